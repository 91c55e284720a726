import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from geo.criteria.pad.access import check_access

LOT = shapely.box(0, 0, 20, 40)
FRONT = shapely.MultiLineString([[(0, 0), (20, 0)]])
BACK = shapely.box(5, 30, 15, 35)


def asked(parcel, street, pad, *buildings, width=3.0):
    found = check_access(
        np.array([parcel], dtype=object),
        np.zeros(len(buildings), dtype=int),
        np.array(buildings, dtype=object),
        np.array([street], dtype=object),
        np.array([pad], dtype=object),
        width,
    )
    return found.tolist()[0]


def across(lane):
    """Return a building 10 m deep across the lot that leaves a lane along the lot's east line."""
    return shapely.box(0, 5, 20 - lane, 15)


def test_a_bare_lot_is_reached():
    assert asked(LOT, FRONT, BACK) == "reached"


@pytest.mark.parametrize(
    ("lane", "answer"),
    [(3.5, "reached"), (3.0, "reached"), (2.98, "blocked"), (2.9, "blocked"), (0.0, "blocked")],
)
def test_a_lane_as_wide_as_the_truck_will_do(lane, answer):
    assert asked(LOT, FRONT, BACK, across(lane)) == answer


def test_a_lane_between_two_buildings_and_into_a_courtyard():
    walls = [shapely.box(0, 35, 20, 40), shapely.box(0, 5, 2, 35), shapely.box(18, 5, 20, 35)]
    for lane, answer in ((3.0, "reached"), (2.9, "blocked")):
        middle = 10 + lane
        front = [shapely.box(0, 2, 10, 8), shapely.box(middle, 2, 20, 8)]
        assert asked(LOT, FRONT, shapely.box(5, 20, 15, 25), *walls, *front) == answer


def test_the_lane_may_start_at_the_street_line():
    for lane, answer in ((3.0, "reached"), (2.9, "blocked")):
        house = shapely.box(0, 0, 20 - lane, 15)
        assert asked(LOT, FRONT, BACK, house) == answer


def test_a_narrow_gate_in_a_thin_wall_is_no_way_in():
    gate = [shapely.box(0, 0, 9, 0.1), shapely.box(11, 0, 20, 0.1)]
    assert asked(LOT, FRONT, BACK, *gate) == "blocked"
    assert asked(LOT, FRONT, BACK, *gate, width=2.0) == "reached"


def test_a_building_across_the_whole_front_blocks():
    assert asked(LOT, FRONT, BACK, shapely.box(0, 0, 20, 5)) == "blocked"
    # It also blocks if it is drawn over the street or in pieces.
    assert asked(LOT, FRONT, BACK, shapely.box(-1, -1, 21, 5)) == "blocked"
    pieces = [shapely.box(0, 0, 10, 5), shapely.box(10, 0, 20, 5)]
    assert asked(LOT, FRONT, BACK, *pieces) == "blocked"


def test_the_street_line_itself_hinders_nobody():
    # A truck is 3 m wide: on a lot 2 m deep it is partly on the street, 1 m deep mostly.
    for deep in (2.0, 1.0):
        shallow = shapely.box(0, 0, 20, deep)
        assert asked(shallow, FRONT, shapely.box(5, deep - 0.5, 8, deep)) == "reached"
    # A side without a street remains a lot line.
    side = shapely.MultiLineString([[(0, 0), (0, 2)]])
    assert asked(shapely.box(0, 0, 20, 2), side, shapely.box(15, 0, 18, 2)) == "blocked"


def test_a_strip_to_the_street_has_to_be_wide_enough():
    for wide, answer in ((3.0, "reached"), (2.9, "blocked")):
        flag = shapely.union(shapely.box(0, 20, 20, 40), shapely.box(5, 0, 5 + wide, 20))
        street = shapely.MultiLineString([[(5, 0), (5 + wide, 0)]])
        assert asked(flag, street, BACK) == answer


def test_a_bent_street_side_in_pieces_is_open_all_along():
    angle = np.radians(np.linspace(-60, -120, 13))
    bend = np.column_stack((10 + 20 * np.cos(angle), 17 + 20 * np.sin(angle)))
    parcel = shapely.Polygon([(0, 40), (20, 40), *bend][::-1])
    street = shapely.MultiLineString([bend[i : i + 2] for i in range(12)])
    assert asked(parcel, street, BACK) == "reached"
    # A lane between two houses meets the street line where two of its pieces join.
    x = 10 + 20 * np.cos(np.radians(-90))
    houses = [shapely.box(-9, -9, x - 1.5, 20), shapely.box(x + 1.5, -9, 30, 20)]
    assert asked(parcel, street, BACK, *houses) == "reached"


def test_a_way_over_the_neighbors_land_is_none():
    # The side lines lean inward: the ground straight in from the street's end is the neighbor's.
    wedge = shapely.Polygon([(0, 0), (20, 0), (12, 8), (12, 40), (10, 40), (10, 10)])
    assert asked(wedge, FRONT, shapely.box(10.5, 35, 11.5, 38)) == "blocked"


def test_the_other_part_of_a_parcel_is_not_reached_through_the_gap():
    parts = shapely.MultiPolygon([shapely.box(0, 0, 20, 20), shapely.box(0, 22, 20, 40)])
    assert asked(parts, FRONT, BACK) == "blocked"
    assert asked(parts, FRONT, shapely.box(5, 10, 8, 12)) == "reached"
    both = shapely.MultiLineString([[(0, 0), (20, 0)], [(20, 22), (20, 40)]])
    assert asked(parts, both, BACK) == "reached"


def test_what_is_not_known_is_not_said():
    assert asked(LOT, None, BACK) is None
    assert asked(LOT, FRONT, None) is None
    assert asked(LOT, FRONT, shapely.Polygon()) is None
    assert asked(LOT, shapely.MultiLineString(), BACK) == "no street side"
    assert asked(LOT, shapely.MultiLineString(), None) is None


def test_each_site_has_its_own_buildings():
    lots = np.array([translate(LOT, 100 * i) for i in range(4)], dtype=object)
    fronts = np.array([translate(FRONT, 100 * i) for i in range(4)], dtype=object)
    pads = np.array([translate(BACK, 100 * i) for i in range(4)], dtype=object)
    fronts[1] = None
    houses = np.array([translate(across(lane), x) for lane, x in ((2, 300), (9, 200), (2, 100))])
    found = check_access(lots, np.array([3, 2, 1]), houses, fronts, pads, 3.0)
    assert found.tolist() == ["reached", None, "reached", "blocked"]
    nobody = np.empty(0, dtype=object)
    assert len(check_access(nobody, np.empty(0, dtype=int), nobody, nobody, nobody, 3.0)) == 0


def test_bad_shapes_have_an_answer():
    bow = shapely.Polygon([(0, 0), (20, 20), (20, 0), (0, 20)])
    flat = shapely.Polygon([(0, 0), (20, 0), (10, 0)])
    for parcel in (bow, flat, shapely.Polygon(), None):
        assert asked(parcel, FRONT, BACK, bow, flat, None, shapely.Polygon()) == "blocked"
    assert asked(LOT, FRONT, BACK, flat, None, shapely.Polygon()) == "reached"
    assert asked(LOT, FRONT, BACK, width=0.0) == "reached"


@settings(max_examples=80, deadline=None)
@given(
    st.floats(0, 360),
    st.integers(-(10**6), 10**6),
    st.integers(-(10**6), 10**6),
    st.sampled_from([(3.0, "reached"), (2.9, "blocked")]),
)
def test_turned_and_moved_it_is_the_same(degrees, east, north, case):
    lane, answer = case

    def moved(shape):
        return translate(rotate(shape, degrees, origin=(0, 0)), east, north)

    assert asked(moved(LOT), moved(FRONT), moved(BACK), moved(across(lane))) == answer
    # The same answer is given if the street line differs from the lot line by a few millimeters.
    near = translate(moved(FRONT), 0.003, -0.002)
    assert asked(moved(LOT), near, moved(BACK), moved(across(lane))) == answer
