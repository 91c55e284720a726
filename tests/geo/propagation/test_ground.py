import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.propagation import ground
from geo.propagation.edition import ISO_1996, ISO_2024


def agr_db(source_m, receiver_m, plan_m, factor, edition):
    """Return Agr (8,) of one pair; `factor` is of all three zones."""
    level = np.empty(8)
    table = ground.read_table3(edition)
    ground.add_ground(table, source_m, receiver_m, plan_m, np.full(3, factor), level)
    return level


ONE, FOUR, AWAY = np.array([1.0]), np.array([4.0]), np.array([np.hypot(190, 40)])


def test_porous_ground_near_the_source_of_t03():
    """The source term of ISO/TR 17534-3 T03 has a' to d' of 2.45, 9.20, 10.16 and 3.49."""
    zone = ground.end_zone_db(ONE, AWAY, 1.0)[0]
    assert zone == pytest.approx([-1.5, 0.95, 7.70, 8.66, 1.99, 0, 0, 0], abs=0.006)


def test_hard_ground_of_t01():
    """The end zones give -1.5 each, and the middle zone -3 (1 - 150 / 194.16)."""
    level = agr_db(1.0, 4.0, AWAY[0], 0.0, ISO_1996)
    assert level == pytest.approx(np.full(8, -3 - 3 * (1 - 150 / AWAY[0])))


def test_editions_differ_where_the_way_is_steep():
    """Heights 30 and 10 m, 25 m apart, G = 1: Kgeo = 1025 / 2225; the first band is 63 Hz."""
    old = agr_db(30.0, 10.0, 25.0, 1.0, ISO_1996)
    new = agr_db(30.0, 10.0, 25.0, 1.0, ISO_2024)
    assert old == pytest.approx([-3, 0.059, 0, 0, 0, 0, 0, 0], abs=0.001)
    assert new == pytest.approx([-1.639, 0.027, 0, 0, 0, 0, 0, 0], abs=0.001)


def test_mean_height():
    assert ground.mean_height_db(2.0, 100.0) == pytest.approx(4.0)
    assert ground.mean_height_db(50.0, 100.0) == 0
    assert ground.solid_angle_db(1.0, 1.0, 1e6) == pytest.approx(10 * np.log10(2))
    assert np.isfinite(ground.solid_angle_db(0.0, 0.0, 0.0))


ZONES = ground.ZonedGround(
    np.array([shapely.box(0, -10, 50, 60), shapely.box(50, -10, 150, 60)]),
    np.array([0.2, 0.5]),
    0.9,
)


def test_factors_of_t04():
    """40.88 m of the path lie over G = 0.2, 102.19 m over 0.5 and 51.10 m over 0.9."""
    path = np.array([[[10, 10], [10, 10], [200, 50]]], dtype=float)
    source, middle, receiver = ground.weight_factors(path, ONE, FOUR, ZONES)
    first, second, whole = 40.88 - 30, 194.16 - 120 - 40.88, 44.16
    assert source[0] == pytest.approx(0.2)
    assert middle[0] == pytest.approx((0.2 * first + 0.5 * second) / whole, abs=1e-3)
    assert receiver[0] == pytest.approx((0.5 * (120 - 51.10) + 0.9 * 51.10) / 120, abs=1e-3)


@given(st.floats(0.05, 0.95))
def test_a_bend_on_the_straight_way_changes_nothing(share):
    start, end = np.array([10.0, 10.0]), np.array([200.0, 50.0])
    straight = np.array([[start, start, end]])
    bent = np.array([[start, start + share * (end - start), end]])
    assert np.allclose(
        ground.weight_factors(straight, ONE, FOUR, ZONES),
        ground.weight_factors(bent, ONE, FOUR, ZONES),
    )
