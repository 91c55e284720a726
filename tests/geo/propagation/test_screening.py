import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.propagation import screening
from geo.propagation.edition import ISO_1996, ISO_2024


def over_wall(edition):
    """Return Dz of a wall 50 m away and 8 m high; source 5 m high, receiver 1.5 m high at 100 m."""
    before, after, away = np.hypot(50, 3), np.hypot(50, 6.5), np.hypot(100, 3.5)
    detour = np.array([before + after - away])
    legs = (np.array([before]), np.zeros(1), np.array([after]))
    return screening.over_top_db(detour, legs, np.array([away]), edition)[0]


@pytest.mark.parametrize(
    ("edition", "dz_db"),
    [
        (ISO_1996, [7.431, 9.069, 11.186, 13.670, 16.391, 19.249]),
        (ISO_2024, [7.245, 8.935, 11.101, 13.621, 16.365, 19.235]),
    ],
)
def test_a_wall_by_both_editions(edition, dz_db):
    """The bands are compared from 125 Hz up; the highest is at the cap for one edge."""
    assert over_wall(edition)[1:7] == pytest.approx(dz_db, abs=0.001)
    assert over_wall(edition)[7] == pytest.approx(20)
    uncapped = dataclasses.replace(edition, single_cap_db=99.0)
    assert over_wall(uncapped)[7] == pytest.approx(22.178, abs=0.005)


def test_grazing_takes_ten_lg_three_and_passing_above_takes_nothing():
    one, none = np.ones(1), np.zeros(1)
    assert screening.over_top_db(none, (one, none, one), one * 2, ISO_1996) == pytest.approx(
        np.full((1, 8), 10 * np.log10(3))
    )
    assert not screening.over_top_db(-one, (one, none, one), one * 2, ISO_1996).any()


def test_the_cap_is_for_the_top_edge_alone():
    far = np.array([100.0])
    assert screening.over_top_db(far, (far, far, far), far, ISO_1996).max() == pytest.approx(25)
    share = np.empty(8)
    screening.screen_around_side(screening.read_screening(ISO_1996), 100.0, 100.0, share)
    assert (-10 * np.log10(share)).max() > 40


def test_two_edges_five_wavelengths_apart():
    assert screening.multiple_edges_at(0.68, 3.4) == pytest.approx(2 / (1 / 3 + 1))
    assert screening.multiple_edges_at(0.68, 0.0) == 1


def test_the_screen_replaces_only_a_ground_that_takes_away():
    """Dz of 10 dB leaves a tenth; behind ground that takes 4 dB, Abar is 6 dB."""
    assert screening.combine_paths(0.1, 0.0, 0.0, -3.0) == pytest.approx(0.1)
    assert screening.combine_paths(0.1, 0.0, 0.0, 4.0) == pytest.approx(10**-0.6)
    assert screening.combine_paths(0.1, 0.1, 0.0, 0.0) == pytest.approx(0.2)
    # Two paths of 0 dB each would make the sound louder than without a screen.
    assert screening.combine_paths(1.0, 1.0, 0.0, 0.0) == 1


@given(st.floats(0.001, 20), st.floats(0, 5), st.sampled_from([ISO_1996, ISO_2024]))
def test_a_longer_detour_is_never_louder(detour, more, edition):
    legs = (np.full(2, 30.0), np.zeros(2), np.full(2, 20.0))
    level = screening.over_top_db(
        np.array([detour, detour + more]), legs, np.full(2, 49.0), edition
    )
    assert (np.diff(level, axis=0) >= -1e-9).all()
