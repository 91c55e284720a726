import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.propagation import paths
from geo.propagation.around_sides import SIDE_REACH
from geo.propagation.scene import Terrain, build_scene

LENGTHS = [paths.TOP_Z, paths.LEFT_Z, paths.RIGHT_Z]


def found(town_or_scene, source, receiver, **given_):
    return paths.find_paths(
        np.array([source], float), np.array([receiver], float), town_or_scene, **given_
    )


def wall(*at, top=5.0):
    return build_scene(barriers=np.array([shapely.LineString([(*one, top) for one in at])]))


def test_over_a_wall_half_way():
    way = found(wall((10, -200), (10, 200)), (0, 0, 1), (20, 0, 1)).direct[0]
    assert way[paths.TOP_Z] == pytest.approx(2 * np.hypot(10, 4) - 20)
    # The side paths are neglected: they are 200 m wide, more than 8 times the 4 m over the top.
    assert np.isnan(way[paths.LEFT_Z])


def test_round_both_ends_of_a_short_wall():
    way = found(wall((10, -3), (10, 4)), (0, 0, 1), (20, 0, 1)).direct[0]
    assert way[paths.LEFT_Z] == pytest.approx(2 * np.hypot(10, 4) - 20)
    assert way[paths.RIGHT_Z] == pytest.approx(2 * np.hypot(10, 3) - 20)


def test_back_from_a_wall():
    back = found(wall((-50, 8), (50, 8)), (0, 0, 1), (12, 0, 1))
    assert back.wall_owner.tolist() == [0]
    way = back.back[0]
    assert way[paths.BACK_PLAN] == pytest.approx(20)
    assert (way[paths.BACK_X], way[paths.BACK_Y]) == pytest.approx((6, 8))
    # At an angle with cos = 16 / 20, the 100 m appear as 80 m. The 5 m of height are less.
    assert way[paths.BACK_SIZE] == pytest.approx(5)


def test_no_reflection_above_the_wall_beside_it_or_out_of_reach():
    assert not len(found(wall((-50, 8), (50, 8)), (0, 0, 9), (12, 0, 9)).back)
    assert not len(found(wall((30, 8), (50, 8)), (0, 0, 1), (12, 0, 1)).back)
    assert not len(found(wall((-50, 58), (50, 58)), (0, 0, 1), (12, 0, 1)).back)


def test_the_ground_alone_has_no_sides():
    hill = np.zeros((3, 41))
    hill[:, 20] = 6.0
    way = found(
        build_scene(terrain=Terrain(hill, Affine(1, 0, -0.5, 0, -1, 2.5))), (1, 1, 1), (39, 1, 1)
    ).direct[0]
    assert way[paths.TOP_Z] > 0
    assert np.isnan(way[[paths.LEFT_Z, paths.RIGHT_Z]]).all()


@pytest.mark.parametrize("far", [(-900, 0), (900, 0), (0, -900), (0, 900), (700, 700)])
def test_far_from_everything_nothing_is_found(far):
    way = found(wall((10, -3), (10, 4)), (*far, 1), (far[0] + 30, far[1] + 20, 1))
    assert not len(way.back)
    assert np.isnan(way.direct[0, LENGTHS]).all()


def test_out_of_a_courtyard():
    """The source is in a U open to the west: the path leaves it around the north arm's corners."""
    yard = shapely.Polygon(
        [(0, 0), (40, 0), (40, 30), (0, 30), (0, 20), (30, 20), (30, 10), (0, 10)]
    )
    solid = build_scene(np.array([yard]), np.array([30.0]))
    way = found(solid, (10, 15, 1), (60, 15, 1)).direct[0]
    legs = np.hypot(10, 5) + 10 + 40 + np.hypot(20, 15)
    assert way[paths.LEFT_Z] == pytest.approx(legs - 50)
    assert way[paths.RIGHT_Z] == pytest.approx(legs - 50)


def test_a_point_inside_a_solid_does_not_have_it_in_the_way():
    box = build_scene(np.array([shapely.box(0, 0, 10, 10)]), np.array([6.0]))
    points = np.array([[5, 5, 1], [5, 5, 7], [20, 5, 1]], float)
    assert paths.is_enclosed(points, box).tolist() == [True, False, False]
    assert np.isnan(found(box, (5, 5, 1), (20, 5, 1)).direct[0, paths.TOP_Z])


def test_a_front_does_not_screen_who_stands_at_it():
    box = build_scene(np.array([shapely.box(10, -5, 20, 5)]), np.array([6.0]))
    at_front = found(box, (0, 0, 1), (10, 0, 1))
    assert np.isnan(at_front.direct[0, paths.TOP_Z])
    assert not len(at_front.back)
    assert found(box, (0, 0, 1), (20, 0, 1)).direct[0, paths.TOP_Z] > 0


# Overlapping outlines are cut, and corners nearer than 2 cm to a straight wall dropped.
CLEANING_M = 0.03


@pytest.mark.parametrize("rows", [0, 4])
def test_random_towns_agree_with_hulls_drawn_by_shapely(town, rows):
    compared = 0
    for seed in range(250):
        one = town(seed, rows=rows)
        way = found(one.scene, one.source, one.receiver).direct[0]
        over, high = one.over_top_m()
        assert way[paths.TOP_Z] == pytest.approx(over, abs=CLEANING_M, nan_ok=True), seed
        if np.isnan(over):
            assert np.isnan(way[[paths.LEFT_Z, paths.RIGHT_Z]]).all()
            continue
        for side, column in ((1, paths.LEFT_Z), (-1, paths.RIGHT_Z)):
            slow = one.round_side_m(side)
            if slow is None:  # a courtyard, which the hull method does not handle
                continue
            detour, wide = slow
            wanted = detour if wide <= SIDE_REACH * high else np.nan
            if abs(wide - SIDE_REACH * high) > SIDE_REACH * CLEANING_M:
                assert way[column] == pytest.approx(wanted, abs=CLEANING_M, nan_ok=True), (
                    seed,
                    side,
                )
                compared += not np.isnan(wanted)
    assert compared > 100


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_there_and_back_are_equally_far(town, seed):
    one = town(seed)
    there = found(one.scene, one.source, one.receiver)
    back = found(one.scene, one.receiver, one.source)
    assert there.direct[0, paths.TOP_Z] == pytest.approx(
        back.direct[0, paths.TOP_Z], abs=1e-9, nan_ok=True
    )
    assert there.direct[0, paths.LEFT_Z] == pytest.approx(
        back.direct[0, paths.RIGHT_Z], abs=1e-9, nan_ok=True
    )
    assert np.sort(there.back[:, paths.BACK_PLAN]) == pytest.approx(
        np.sort(back.back[:, paths.BACK_PLAN])
    )


@pytest.mark.parametrize("change", [np.asfortranarray, lambda at: np.broadcast_to(at[0], at.shape)])
def test_points_of_any_layout_in_memory_compile_nothing_more(change):
    scene, at = wall((10, -3), (10, 4)), np.array([[0.0, 0, 1], [0, 0, 1]])
    to = np.array([[20.0, 0, 1], [20, 0, 1]])
    before = paths.find_paths(at, to, scene)
    assert not paths.is_enclosed(at, scene).any()
    kinds = len(paths._find_paths.signatures), len(paths._mark_enclosed.signatures)
    after = paths.find_paths(change(at), change(to), scene)
    assert np.array_equal(after.direct, before.direct, equal_nan=True)
    assert not paths.is_enclosed(change(at), scene).any()
    assert (len(paths._find_paths.signatures), len(paths._mark_enclosed.signatures)) == kinds
