from pathlib import Path

import pytest

from geo.config import parse
from geo.errors import ConfigError
from geo.model import Plan

PLAN = Path(__file__).parents[2] / "flows/plans/default.toml"


@pytest.fixture
def text():
    return PLAN.read_text(encoding="utf-8")


def test_every_fault_of_a_file_is_named_at_once(text):
    broken = text.replace("setback_m = 3.0", "setbak_m = 3.0").replace("cap = 25", 'cap = "many"')
    with pytest.raises(ConfigError) as caught:
        parse(Plan, broken, "plans/mine.toml")
    message = str(caught.value)
    assert "plans/mine.toml" in message
    assert "unknown key 'pad.setbak_m' (did you mean 'setback_m'?)" in message
    assert "cap = 'many'" in message
    assert "What to do" in message


def test_a_line_that_is_not_toml_is_named(text):
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse(Plan, text + "\n= 3\n", "plans/mine.toml")


def test_a_ramp_without_a_slope_is_refused(text):
    with pytest.raises(ConfigError, match="no ramp between them"):
        parse(Plan, text.replace("one_at = 20\n", "one_at = 0\n"), "plans/mine.toml")


def test_weights_that_count_nothing_are_refused(text):
    for weight in (40, 20, 15, 25):
        text = text.replace(f"weight = {weight}", "weight = 0")
    with pytest.raises(ConfigError, match="every weight is 0"):
        parse(Plan, text, "plans/mine.toml")
