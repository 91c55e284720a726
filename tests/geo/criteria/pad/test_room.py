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


def test_more_ground_is_what_the_deficit_asks_for(ground_of, plan):
    # The ground is 4 m square. One machine needs 4.572 m, so 0.286 m more on every side is enough.
    ground, one = ground_of([shapely.box(0, 0, 4, 4)]), np.array([1])
    assert not room.check_fit(shrink_ground(ground, np.array([-0.28])), one, GX230, plan)[0]
    assert room.check_fit(shrink_ground(ground, np.array([-0.29])), one, GX230, plan)[0]
