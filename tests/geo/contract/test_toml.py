from pathlib import Path

import pytest

from geo.contract.toml import parse_toml
from geo.errors import ConfigError
from geo.model import NoiseRules, Plan

PLAN = Path(__file__).parents[3] / "flows/plans/default.toml"


@pytest.fixture
def text():
    return PLAN.read_text(encoding="utf-8")


def test_every_fault_of_a_file_is_named_at_once(text):
    broken = text.replace("service_m =", "servise_m =").replace("cap = 25", 'cap = "many"')
    with pytest.raises(ConfigError) as caught:
        parse_toml(Plan, broken, "plans/mine.toml")
    message = str(caught.value)
    assert "plans/mine.toml" in message
    assert "unknown key 'pad.servise_m' (did you mean 'service_m'?)" in message
    assert "cap = 'many'" in message
    assert "What to do" in message


def test_a_line_that_is_not_toml_is_named(text):
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse_toml(Plan, text + "\n= 3\n", "plans/mine.toml")


def test_a_ramp_without_a_slope_is_refused(text):
    with pytest.raises(ConfigError, match="no ramp between them"):
        parse_toml(Plan, text.replace("one_at = 2\n", "one_at = 0\n"), "plans/mine.toml")


def test_weights_that_count_nothing_are_refused(text):
    for weight in (40, 20, 15, 25):
        text = text.replace(f"weight = {weight}", "weight = 0")
    with pytest.raises(ConfigError, match="every weight is 0"):
        parse_toml(Plan, text, "plans/mine.toml")


def test_a_noise_limit_that_limits_nothing_is_refused():
    rule = """
        [receiving]
        home = "residential"
        [rule.empty]
        title = "Empty"
        position = "line"
        source = "nobody"
        limits = [{ receives = "residential" }]
    """
    with pytest.raises(ConfigError, match="no limit: give day_dba, night_dba or above_ambient_db"):
        parse_toml(NoiseRules, rule, "noise_limits.toml")


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ('edition = "1996"', 'edition = "1997"', "noise.edition"),
        ("humidity_pct = 70", "humidity_pct = 0", "noise.humidity_pct"),
        ("source = 0, ", "source = 1.5, ", "noise.ground.source"),
        ("limit_dba = 69", "limit_dba = -69", "noise.limit_dba"),
    ],
)
def test_what_sound_cannot_be_worked_with_is_refused(text, right, wrong, says):
    assert right in text
    with pytest.raises(ConfigError, match=says):
        parse_toml(Plan, text.replace(right, wrong), "plans/mine.toml")
