"""How many machines fit on ground of a known shape, computed from the dimensions of a block.

Along: c columns of 0.9144 m with 0.9144 m between and around them, (2 c + 1) x 0.9144 m. Across: r
rows of 1.524 m and r + 1 aisles of 0.9144 m, of which every second is 0.3048 m deeper. For every
four machines, a cabinet takes one more place.
"""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from geo import catalogue
from geo.criteria.pad import room
from geo.criteria.pad.ground import shrink_ground
from geo.equipment import block

GX230 = catalogue.read_generators()["gx230"]


def along(columns):
    return (2 * columns + 1) * 0.9144


def across(rows):
    return rows * 1.524 + (rows + 1) * 0.9144 + -(-rows // 2) * 0.3048


def most(ground, plan):
    found, upper = room.max_machines_that_fit(ground, GX230, plan)
    assert found[0] <= upper[0]
    return int(found[0])


def by_one(ground, plan):
    """Find the largest n that fits by the slow method of counting up from one."""
    n = 0
    while n < plan.cap and room.check_fit(ground, np.array([n + 1]), GX230, plan)[0]:
        n += 1
    return n


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [
        (along(2) - 0.003, across(1), 0),  # 3 mm too small for one and its cabinet
        (along(2), across(1), 1),
        (across(1), along(2), 1),  # turned
        (along(1), across(2), 1),  # in one column
        (along(3), across(1), 2),
        (along(2), across(2), 3),
        (along(5), across(1), 4),
        (along(5), across(2), 8),
        (along(8), across(4), 25),  # 25 and 7 cabinets
        (along(32), across(1), 25),  # the same in one row
    ],
)
@pytest.mark.parametrize("turned_deg", [0, 30, 77])
def test_closed_form_rectangles_take_what_they_take(
    ground_of, plan, width, height, count, turned_deg
):
    ground = ground_of([rotate(shapely.box(0, 0, width, height), turned_deg)])
    assert most(ground, plan) == by_one(ground, plan) == count


@pytest.mark.parametrize("turned_deg", [0, 21, 58])
def test_an_l_takes_what_its_longer_arm_takes(ground_of, plan, turned_deg):
    # Each arm is as wide as one row. The longer arm has 7 places: 5 machines and 2 cabinets.
    wide, long, short = across(1), along(7), along(5)
    ell = [(0, 0), (long, 0), (long, wide), (wide, wide), (wide, short), (0, short)]
    assert most(ground_of([rotate(shapely.Polygon(ell), turned_deg)]), plan) == 5


@pytest.mark.parametrize("turned_deg", [0, 33])
def test_a_u_takes_what_its_base_takes(ground_of, plan, turned_deg):
    # The base has one row of 10 places, and the arms are a little too narrow for any.
    base, wide, arm = along(10), across(1), along(1) - 0.01
    you = shapely.box(0, 0, base, 20).difference(shapely.box(arm, wide, base - arm, 20))
    assert most(ground_of([rotate(you, turned_deg)]), plan) == 8


@pytest.mark.parametrize("turned_deg", [0, 45.5])
def test_a_ring_takes_what_a_side_of_it_takes(ground_of, plan, turned_deg):
    # The ring around a court is one row wide. Its longest side has 9 places: 7 machines and 2
    # cabinets.
    ring = shapely.box(0, 0, along(9), along(6))
    ring = ring.difference(ring.buffer(-across(1), join_style="mitre"))
    assert most(ground_of([rotate(ring, turned_deg)]), plan) == 7


def test_a_sliver_takes_none_at_any_length(ground_of, plan):
    assert most(ground_of([shapely.box(0, 0, 900, along(1) - 0.01)]), plan) == 0


def test_a_hole_is_not_ground(ground_of, plan):
    # 12 by 12 m with a hole that leaves 2 m on every side.
    ring = shapely.box(0, 0, 12, 12).difference(shapely.box(2, 2, 10, 10))
    assert most(ground_of([ring]), plan) == 0
    # A hole of similar size in a corner leaves an L 4 m wide: one row of 5 places in 12 m.
    corner = shapely.box(0, 0, 12, 12).difference(shapely.box(0.5, 0.5, 8, 8))
    assert most(ground_of([corner]), plan) == 4


def test_turned_across_the_lot_where_only_that_fits(ground_of, plan):
    # A turned square without two of its corners: along its diagonal, a block is at 45 degrees to
    # the square's edges, which is one of the 5-degree steps.
    lot = rotate(shapely.box(0, 0, 9, 9), 45)
    notched = lot.difference(shapely.box(-50, 8, 50, 50)).difference(shapely.box(-50, -50, 50, 1))
    ground = ground_of([notched])
    assert 0 < most(ground, plan) == by_one(ground, plan)


def test_two_parts_are_not_one(ground_of, plan):
    half = shapely.box(0, 0, along(2), across(1))
    parts = shapely.MultiPolygon([half, translate(half, along(2) + 0.5, 0)])
    assert most(ground_of([parts]), plan) == 1


def test_where_no_direction_fits_though_area_and_width_would_do_the_bound_says_so(ground_of, plan):
    # The area and width of a triangle would do for more than any rectangle inside it.
    found, upper = room.max_machines_that_fit(
        ground_of([shapely.Polygon([(0, 0), (14, 0), (7, 12)])]), GX230, plan
    )
    assert 0 < found[0] < upper[0]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"clearance_m": 1.0}, {"clearance_m": 4.0}),
        ({"setback_m": 1.0}, {"setback_m": 2.0}),
        ({}, {"exclusions": [shapely.box(-10, -10, 12, 30)]}),
    ],
)
def test_a_larger_clearance_setback_or_exclusion_never_adds_a_machine(ground_of, plan, first, then):
    lot = rotate(shapely.Polygon([(0, 0), (26, 0), (26, 14), (12, 19), (0, 19)]), 17)
    shed = rotate(shapely.box(9, 6, 17, 12), 17, origin=(13, 9))
    assert most(ground_of([lot], [shed], **then), plan) < most(
        ground_of([lot], [shed], **first), plan
    )


corner = st.tuples(st.integers(0, 40), st.integers(0, 40))


@settings(max_examples=60, deadline=None)
@given(st.lists(corner, min_size=3, max_size=8, unique=True), st.floats(0, 360), st.floats(0, 3))
def test_turning_moving_and_shrinking(ground_of, plan, corners, degrees, by_m):
    lot = shapely.make_valid(shapely.Polygon(corners)).buffer(0)
    if lot.area < 1:
        return
    there = translate(rotate(lot, degrees, origin=(0, 0)), 230_000, 900_000)
    # An exact fit may be found or missed because of rounding, so 4 mm are allowed either way.
    counts = [
        most(ground_of([shape]), plan)
        for shape in (
            lot.buffer(-0.004, join_style="mitre"),
            there,
            lot.buffer(0.004, join_style="mitre"),
        )
    ]
    assert counts == sorted(counts)
    ground = ground_of([lot])
    smaller = most(shrink_ground(ground, np.array([by_m])), plan)
    assert smaller <= most(ground, plan)


def test_the_record_of_floor_area_bounds_a_bare_parcel(sites, bare_ground, plan):
    # The lot has 400 m2 and the building 766 m2 on two stories: 17 m2 are open, room for one block
    # (16.7 m2).
    lot = sites([shapely.box(0, 0, 20, 20)], building_area_m2=766.0, storeys=2.0)
    ground = bare_ground(lot)
    assert ground.facts["pad_evidence"].iloc[0] == "bare parcel"
    assert ground.facts["open_area_m2"].iloc[0] == 17
    assert most(ground, plan) == by_one(ground, plan) == 1


def test_an_unrecorded_building_is_not_a_zero(sites, bare_ground, plan):
    ground = bare_ground(sites([shapely.box(0, 0, 30, 30)], building_area_m2=500.0, storeys=np.nan))
    assert np.isnan(ground.facts["open_area_m2"].iloc[0])
    assert most(ground, plan) == 25


def test_candidates_lie_on_the_ground_and_do_not_overlap(ground_of, plan):
    lots = [rotate(shapely.box(60 * n, 0, 60 * n + 18 + n, 24), 13 * n) for n in range(6)]
    ground = ground_of(lots, [shapely.box(60 * n + 5, 5, 60 * n + 9, 12) for n in range(6)])
    sites, count = np.arange(6), np.array([1, 3, 5, 9, 12, 25])
    away = np.array([shapely.Point(60 * n + 30, 50) for n in range(6)], dtype=object)

    def quiet(points, site):
        return shapely.distance(points, away[site])

    # Two places are given for each site: its middle, and one far outside that must not be used.
    middle = np.array([(60 * n + 9, 12) for n in range(6)], dtype=float)
    given = np.tile(sites, 2), np.concatenate((middle, middle + 1000))

    placed = room.list_placements(ground, sites, count, quiet, GX230, plan, given)
    fitting = np.flatnonzero(room.check_fit(ground, count, GX230, plan))
    assert set(placed["query"]) == set(fitting)
    outline, machines, gear = block.draw_blocks(placed, GX230, plan)
    on = ground.shapes[placed["site"]]
    assert shapely.covers(shapely.buffer(on, 0.005), outline).all()
    assert shapely.covers(shapely.buffer(outline, 0.001), machines).all()
    assert (shapely.get_num_geometries(machines) == placed["count"]).all()
    # Overlapping machines would cover less area than their footprints add up to.
    stands = np.column_stack((machines, gear))
    each = shapely.area(shapely.union_all(stands, axis=1))
    cabinets = -(-placed["count"] // 4)
    assert (shapely.get_num_geometries(gear) == cabinets).all()
    assert each == pytest.approx((placed["count"] + cabinets).to_numpy() * 1.524 * 0.9144)
    assert placed.groupby("query")["rows"].nunique().max() > 1
    # The first candidate of each query is the farthest from the point to keep away from.
    far = shapely.distance(shapely.points(placed["x"], placed["y"]), away[placed["site"]])
    assert (
        far[placed.groupby("query").head(1).index]
        >= np.round(placed.assign(f=far).groupby("query")["f"].max(), 2) - 0.01
    ).all()


def test_more_ground_is_what_the_deficit_asks_for(ground_of, plan):
    # The ground is 4 m square. One machine needs 4.572 m, so 0.286 m more on every side is enough.
    ground, one = ground_of([shapely.box(0, 0, 4, 4)]), np.array([1])
    assert not room.check_fit(shrink_ground(ground, np.array([-0.28])), one, GX230, plan)[0]
    assert room.check_fit(shrink_ground(ground, np.array([-0.29])), one, GX230, plan)[0]
