"""What walls reflect from any source in a circle is at most the bound."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.compiled import called
from geo.propagation import levels
from geo.propagation.air import air_absorption_db_m
from geo.propagation.bands import sum_bands_dba
from geo.propagation.by_distance import list_distances_m
from geo.propagation.crossings import make_scratch
from geo.propagation.edition import ISO_1996, ISO_2024
from geo.propagation.ground import MeanHeightGround, PlanGround
from geo.propagation.reflection_bound import (
    MOVED_M,
    Walls,
    bound_reflections,
    list_walls_near_circle,
)
from geo.propagation.scene import HARD, Terrain, build_scene, ground_height_m

AIR = air_absorption_db_m(10, 70)
POWER_DB = np.array([80.0, 85, 90, 92, 90, 88, 84, 78])
EDITIONS = st.sampled_from([ISO_1996, ISO_2024])
GROUNDS = st.sampled_from([HARD, PlanGround(0.3, 0.5, 1.0), MeanHeightGround()])
CIRCLES, SOURCES = 15, 30
# Points nearer to a wall than this may be moved in front of it.
AT_WALL_M = 0.15
# Two bands whose energy is the distance itself, of which a half and a quarter are left.
FAR = np.column_stack([list_distances_m()] * 2)
HALF_AND_QUARTER = np.array([0.5, 0.25])
# An entry is that of the next smaller distance, which is up to this much less.
STEP = 0.003


@called
def bound_from_circle(scene, scratch, kept, near, table, left, receiver, circle):
    count = list_walls_near_circle(scene, scratch, circle, near)
    walls = Walls(kept, near[:count])
    return bound_reflections(scene, scratch, walls, table, left, receiver, circle)


def bound_at(scene, circle, receiver, table, left):
    """Return the bound for a circle (x, y, radius) and a receiver (x, y, height above ground)."""
    x, y = scene.index.origin
    up = ground_height_m(np.array([receiver[:2]], dtype=float), scene)[0] + receiver[2]
    return bound_from_circle(
        scene.index, make_scratch(scene.index, 500.0), scene.reflected.max(axis=1, initial=0.0),
        np.empty(len(scene.index.wall) + 1, dtype=np.int64), table, left,
        (float(receiver[0] - x), float(receiver[1] - y), float(up)),
        (float(circle[0] - x), float(circle[1] - y), float(circle[2])),
    )  # fmt: skip


def energy_at(scene, source, receiver, edition):
    """Return the A-weighted energy from each source at one receiver."""
    there = np.tile(receiver, (len(source), 1))
    lost_db = levels.attenuation_db(source, there, scene, AIR, edition)
    return 10 ** (sum_bands_dba(POWER_DB - lost_db) / 10)


def one_path(away_m, source_m, receiver_m, ground, edition):
    """Return the most energy by one path of at least this length in plan."""
    level = levels.upper_level_dba(
        away_m, POWER_DB, source_m, receiver_m, ground, AIR, edition, reflecting=False
    )
    return 10 ** (level / 10)


def most_from_walls(scene, circle, source_m, receiver, ground, edition):
    """Return the bound on the energy that walls reflect from any source in a circle."""
    table = one_path(list_distances_m(), source_m, receiver[2], ground, edition)
    return bound_at(scene, circle, receiver, table[:, None], np.ones(1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 2), EDITIONS, GROUNDS, st.booleans())
def test_no_source_in_a_circle_is_louder_than_the_bounds(town, seed, rows, edition, ground, hilly):
    rng = np.random.default_rng(seed)
    built = town(seed, rows=rows)
    source_m, receiver_m = built.source[2], built.receiver[2]
    terrain = Terrain(rng.uniform(0, 12, (14, 14)), Affine(10, 0, -20, 0, -10, 120))
    fence = shapely.LineString(np.column_stack((rng.uniform(0, 90, (2, 2)), rng.uniform(2, 9, 2))))
    scene = build_scene(
        np.array(built.solids), np.array(built.tops), barriers=np.array([fence]), ground=ground,
        terrain=terrain if hilly else None, solid_absorption=0.1, barrier_absorption=0.3,
    )  # fmt: skip
    walls = shapely.union_all([*shapely.boundary(built.solids), fence])
    shapely.prepare(walls)

    def place(middle, radius_m, count):
        """Return points in a circle that are not at a wall."""
        turn, share = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
        spots = middle + (radius_m * share * [np.cos(turn), np.sin(turn)]).T
        return spots[~shapely.dwithin(shapely.points(spots), walls, AT_WALL_M)]

    for xy in place((45, 45), 65, CIRCLES):
        receiver = np.array([*xy, receiver_m])
        middle, radius_m = rng.uniform(-20, 110, 2), rng.choice([0.0, rng.uniform(0, 25)])
        spots = place(middle, radius_m, SOURCES)
        away_m = np.hypot(*(spots - xy).T)
        most = one_path(away_m, source_m, receiver_m, ground, edition)
        most += most_from_walls(scene, (*middle, radius_m), source_m, receiver, ground, edition)
        source = np.column_stack((spots, np.full(len(spots), source_m)))
        assert (energy_at(scene, source, receiver, edition) <= most * (1 + 1e-9)).all()


# One wall along the x axis from -200 to 200 m, which reflects 80 %.
LONG = [(-200.0, 0.0, 9.0), (200.0, 0.0, 9.0)]


def fence_of(corners):
    return build_scene(barriers=np.array([shapely.LineString(corners)]), barrier_absorption=0.2)


def house_of(left, bottom, right, top):
    house = shapely.box(left, bottom, right, top)
    return build_scene(np.array([house]), np.array([9.0]), solid_absorption=0.2)


@pytest.mark.parametrize("radius_m", [0.0, 4.0])
def test_one_wall_reflects_once_over_the_shortest_folded_distance(radius_m):
    """The source is 10 m from the wall, the receiver 20 m from it and 40 m along it: 50 m."""
    scene = fence_of(LONG)
    folded_m = np.hypot(40, 10 + 20) - radius_m - MOVED_M
    for side in (1, -1):
        got = bound_at(
            scene, (0, 10 * side, radius_m), (40, 20 * side, 1.5), FAR[:, :1], np.ones(1)
        )
        assert 0.8 * folded_m * (1 - STEP) <= got <= 0.8 * folded_m
    # Half of one band is left and a quarter of the other.
    got = bound_at(scene, (0, 10, radius_m), (40, 20, 1.5), FAR, HALF_AND_QUARTER)
    most = 0.8 * folded_m * (0.5 + 0.25)
    assert most * (1 - STEP) <= got <= most


def test_walls_of_two_owners_add_up():
    """A second wall is 50 m from the first: 40 + 30 m across and 40 m along, 80.6 m."""
    second = [(-200.0, 50.0, 9.0), (200.0, 50.0, 9.0)]
    scene = build_scene(
        barriers=np.array([shapely.LineString(LONG), shapely.LineString(second)]),
        barrier_absorption=np.repeat([[0.2], [0.5]], 8, axis=1),
    )
    got = bound_at(scene, (0, 10, 0), (40, 20, 1.5), FAR[:, :1], np.ones(1))
    most = 0.8 * (50 - MOVED_M) + 0.5 * (np.hypot(40, 70) - MOVED_M)
    assert most * (1 - STEP) <= got <= most


def test_a_wall_between_source_and_receiver_does_not_reflect():
    scene = fence_of(LONG)
    assert bound_at(scene, (0, -10, 5), (40, 20, 1.5), FAR[:, :1], np.ones(1)) == 0
    # Some of the circle is on the receiver's side of the wall.
    assert bound_at(scene, (0, -10, 15), (40, 20, 1.5), FAR[:, :1], np.ones(1)) > 0


def test_a_house_reflects_only_on_its_outer_side():
    """The house is south of the x axis, its front along it; only the front faces both."""
    scene = house_of(-200, -20, 200, 0)
    got = bound_at(scene, (0, 10, 0), (40, 20, 1.5), FAR[:, :1], np.ones(1))
    assert 0.8 * (50 - MOVED_M) * (1 - STEP) <= got <= 0.8 * (50 - MOVED_M)
    # In front of the house and behind it, and both inside it.
    assert bound_at(scene, (0, -30, 0), (40, 20, 1.5), FAR[:, :1], np.ones(1)) == 0
    assert bound_at(scene, (0, -9, 0), (40, -11, 1.5), FAR[:, :1], np.ones(1)) == 0


@pytest.mark.parametrize(("radius_m", "is_seen"), [(4.0, False), (4.3, True)])
def test_a_wall_that_is_out_of_view_does_not_reflect(radius_m, is_seen):
    """The line from the mirrored receiver (30, -20) by the wall's end (14, 0) passes (6, 10).

    It runs 16 m west for 20 m north, so that it is 6 x 20 / hypot(16, 20) = 4.69 m from (0, 10).
    """
    scene = fence_of([(14.0, 0.0, 9.0), (40.0, 0.0, 9.0)])
    assert radius_m + MOVED_M != pytest.approx(6 * 20 / np.hypot(16, 20), abs=0.1)
    got = bound_at(scene, (0, 10, radius_m), (30, 20, 1.5), FAR[:, :1], np.ones(1))
    assert (got > 0) == is_seen


@pytest.mark.parametrize(
    ("source_m", "receiver_m", "is_near"),
    [(51, 51, False), (49, 51, True), (51, 49, True), (49, 49, True)],
)
def test_a_wall_reflects_within_50_m_of_source_or_receiver(source_m, receiver_m, is_near):
    got = bound_at(fence_of(LONG), (0, source_m, 0), (30, receiver_m, 1.5), FAR[:, :1], np.ones(1))
    folded_m = np.hypot(30, source_m + receiver_m) - MOVED_M
    assert got == pytest.approx(0.8 * folded_m * is_near, rel=STEP)


def test_a_source_that_is_moved_in_front_of_a_wall_can_come_near_another():
    """A source 8 cm behind the front of a house is 50.03 m from another; 1 cm in front, 49.94 m.

    The receiver is seen past the corner of the first house, 5 cm behind the line of its front.
    """
    houses = [shapely.box(-10, -5, 0, 5), shapely.box(49.95, -50, 60, 31)]
    scene = build_scene(np.array(houses), np.array([9.0, 9.0]), solid_absorption=0.2)
    source, receiver = np.array([[-0.08, 0.0, 1.5]]), np.array([-0.05, 60.0, 1.5])
    got = energy_at(scene, source, receiver, ISO_1996)[0]
    direct = one_path(np.array([60.0]), 1.5, 1.5, HARD, ISO_1996)[0]
    assert got > 1.1 * direct
    back = most_from_walls(scene, (-0.08, 0, 0), 1.5, receiver, HARD, ISO_1996)
    assert got <= direct + back
