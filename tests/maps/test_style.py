import numpy as np
import pytest

from geo.contract.toml import parse_toml
from geo.errors import ConfigError
from maps.style import ColorStop, ScoreStyle, read_style, relative_luminance, score_fills

LINE = ScoreStyle(
    unknown="#123456",
    stops=(ColorStop(at=0, color="#000000"), ColorStop(at=100, color="#fe8040")),
)


def test_a_fill_is_a_straight_line_between_stops() -> None:
    # Half of 254, 128 and 64 (fe, 80, 40) is 127, 64 and 32 (7f, 40, 20).
    assert score_fills(np.array([0.0, 50.0, 100.0]), LINE).tolist() == [
        "#000000",
        "#7f4020",
        "#fe8040",
    ]


def test_a_score_that_is_not_known_has_its_own_fill_and_others_stay_in_range() -> None:
    assert score_fills(np.array([np.nan, -5.0, 400.0]), LINE).tolist() == [
        "#123456",
        "#000000",
        "#fe8040",
    ]


def test_the_ramp_reads_without_color() -> None:
    """Each step is darker than the one before, so the ramp works for any color vision."""
    light = relative_luminance(score_fills(np.linspace(0, 100, 21), read_style().score).tolist())
    assert np.all(np.diff(light) < 0)


def test_verdicts_differ_by_more_than_color() -> None:
    looks = {(one.width, one.dash) for one in read_style().verdict.values()}
    assert len(looks) == len(read_style().verdict) == 3


def test_stops_must_climb() -> None:
    black = '{ at = 5, color = "#000000" }'
    wrong = f'unknown = "#000000"\nstops = [{black}, {black}]'
    with pytest.raises(ConfigError, match="stops at"):
        parse_toml(ScoreStyle, wrong, "style.toml")
