import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from geo.shapes.rectangles import (
    TOLERANCE_M,
    find_first_fit,
    find_largest_fit,
    list_directions,
    longest_edge_direction,
    possible_centers,
    rotate_back,
    rotate_shapes,
)


def centers(shape, length, width):
    return possible_centers(np.array([shape]), np.array([float(length)]), np.array([float(width)]))[
        0
    ]


def test_a_rectangle_in_a_rectangle_has_the_difference_to_move_in():
    # 10 by 6 minus 4 by 2 leaves 6 by 4 for the center (and a 1 mm tolerance on every side).
    assert centers(shapely.box(0, 0, 10, 6), 4, 2).area == pytest.approx(6 * 4, abs=0.02)


def test_an_exact_fit_fits_and_a_centimeter_more_does_not():
    assert not centers(shapely.box(0, 0, 10, 6), 10, 6).is_empty
    assert centers(shapely.box(0, 0, 10, 6), 10.01, 6).is_empty


def test_an_l_has_room_in_each_arm_and_none_across_the_notch():
    # The arms are 4 m wide and 12 m long: a 10 by 4 block fits along an arm, a 5 by 5 block does
    # not fit.
    ell = shapely.Polygon([(0, 0), (12, 0), (12, 4), (4, 4), (4, 12), (0, 12)])
    assert not centers(ell, 10, 4).is_empty
    assert not centers(ell, 4, 10).is_empty
    assert centers(ell, 5, 5).is_empty
    # The center of a 4 by 4 block can move 8 m along each arm, in a band only 1 mm wide.
    assert centers(ell, 4, 4).length / 2 == pytest.approx(16, abs=0.1)


def test_a_hole_in_the_middle_is_in_the_way():
    # A ring 5 m wide around a 10 m hole.
    ring = shapely.box(0, 0, 20, 20).difference(shapely.box(5, 5, 15, 15))
    assert not centers(ring, 20, 5).is_empty
    assert centers(ring, 6, 6).is_empty


def test_two_parts_are_tried_apart():
    parts = shapely.MultiPolygon([shapely.box(0, 0, 5, 5), shapely.box(5.5, 0, 10.5, 5)])
    assert not centers(parts, 5, 5).is_empty
    assert centers(parts, 6, 3).is_empty


def test_nothing_fits_in_nothing():
    shapes = np.array([shapely.Polygon(), shapely.box(0, 0, 3, 3), shapely.Polygon()])
    found = possible_centers(shapes, np.full(3, 1.0), np.full(3, 1.0))
    assert shapely.is_empty(found).tolist() == [True, False, True]


def test_the_longest_edge_leads():
    wedge = shapely.Polygon([(0, 0), (30, 0), (30, 10), (20, 20)])
    shapes = np.array([rotate(shapely.box(0, 0, 20, 10), 30), wedge, shapely.Polygon()])
    assert longest_edge_direction(shapes) == pytest.approx([30, 0, 0])


def test_every_edge_is_a_direction_and_every_five_degrees_from_the_longest():
    wedge = shapely.Polygon([(0, 0), (30, 0), (30, 10), (20, 20)])
    shed = rotate(shapely.box(5, 5, 12, 9), 12)
    of, degrees = list_directions(np.array([wedge]), np.array([shed]), np.array([0]))
    assert set(of) == {0}
    # Perpendicular directions count once: 14.1 + 28.3 m at 45 degrees, 30 + 10 m at 0 and 90, then
    # the shed's 12 degrees, then the remaining steps.
    assert degrees[:3].round(3).tolist() == [45, 0, 12]
    assert len(degrees) == len(set(degrees.round(3))) == 18 + 1
    assert set(np.arange(0, 90, 5)) <= set(degrees.round(3))
    assert 12 in degrees.round(3)


def test_directions_turn_with_the_shape_and_its_buildings():
    wedge = shapely.Polygon([(0, 0), (30, 0), (30, 10), (21, 20), (3, 17)])
    shed = rotate(shapely.box(5, 5, 12, 9), 12)
    _, before = list_directions(np.array([wedge]), np.array([shed]), np.array([0]))
    both = rotate(shapely.GeometryCollection([wedge, shed]), 31, origin=(0, 0))
    _, after = list_directions(np.array([both.geoms[0]]), np.array([both.geoms[1]]), np.array([0]))
    apart = (after - before - 31 + 45) % 90 - 45
    assert np.abs(apart).max() < 0.002


def test_turning_there_and_back_is_where_it_was():
    shapes = np.array([shapely.box(150_000, 880_000, 150_030, 880_020)])
    origin, degrees = np.array([[150_010.0, 880_005.0]]), np.array([37.0])
    turned = shapely.get_coordinates(rotate_shapes(shapes, origin, degrees))
    back = shapely.set_coordinates(shapes.copy(), rotate_back(turned, origin, degrees))
    assert shapely.hausdorff_distance(back, shapes)[0] < 1e-9


corner = st.tuples(st.integers(0, 30), st.integers(0, 30))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(corner, min_size=3, max_size=12, unique=True), st.integers(1, 14), st.integers(1, 14)
)
def test_the_centers_are_exactly_those_where_the_rectangle_lies_inside(corners, length, width):
    shape = shapely.make_valid(shapely.convex_hull(shapely.multipoints(corners)))
    notch = translate(shapely.box(0, 0, 4, 7), corners[0][0] - 2, corners[0][1] - 2)
    shape = shape.difference(notch)
    if shape.is_empty or shape.area < 1:
        return
    allowed = centers(shape, length, width)
    grace = shapely.buffer(shape, 0.002)
    inner = shapely.buffer(shape, -0.002)
    for x in np.arange(0.5, 30, 1.7):
        for y in np.arange(0.5, 30, 1.7):
            block = shapely.box(x - length / 2, y - width / 2, x + length / 2, y + width / 2)
            if allowed.contains(shapely.Point(x, y)):
                assert grace.covers(block)
            elif inner.covers(block):
                pytest.fail(f"({x}, {y}) is free, but was not found")


def one(shape, size, *degrees):
    """Return the first angle at which a size fits, whether it lies across, and its center."""
    turns = np.array(degrees or (0.0,), dtype=float)
    turn, across, center = find_first_fit(
        np.array([shape]), np.array([0, len(turns)]), turns, np.array([0]), np.array([size], float)
    )
    return int(turn[0]), bool(across[0]), center[0]


def test_the_first_turn_in_which_it_fits_is_taken():
    lot = shapely.box(0, 0, 10, 3)
    assert one(lot, (5, 3))[:2] == (0, False)
    assert one(lot, (3, 5))[:2] == (0, True)
    assert one(rotate(lot, 30), (9.9, 2.9), 10, 20, 30, 40)[:2] == (2, False)
    assert one(lot, (5, 4))[0] == -1
    assert np.isnan(one(lot, (5, 4))[2]).all()


@pytest.mark.parametrize("turn", [0, 17, 45, 90, 133])
@pytest.mark.parametrize("at", [(0, 0), (155_000, 880_000)])
def test_an_exact_fit_is_found_wherever_it_is_turned_and_two_millimeters_more_is_not(turn, at):
    shape = translate(rotate(shapely.box(0, 0, 10, 6), turn, origin=(0, 0)), *at)
    found, across, center = one(shape, (10, 6), turn % 90)
    assert (found, across) == (0, turn >= 90)
    middle = shape.centroid
    assert center == pytest.approx([middle.x, middle.y], abs=0.001)
    assert one(shape, (10.002, 6), turn)[0] == -1
    assert one(shape, (10, 6.002), turn)[0] == -1


def test_an_l_a_ring_and_two_parts_take_what_they_take():
    ell = shapely.Polygon([(0, 0), (12, 0), (12, 4), (4, 4), (4, 12), (0, 12)])
    ring = shapely.box(0, 0, 20, 20).difference(shapely.box(5, 5, 15, 15))
    parts = shapely.MultiPolygon([shapely.box(0, 0, 5, 5), shapely.box(5.5, 0, 10.5, 5)])
    for shape, fits, too_large in (
        (ell, [(12, 4), (4, 12)], [(5, 5), (12, 4.1)]),
        (ring, [(20, 5), (5, 20)], [(6, 6), (20, 5.1)]),
        (parts, [(5, 5)], [(6, 3)]),
    ):
        assert [one(shape, size)[0] for size in fits] == [0] * len(fits)
        assert [one(shape, size)[0] for size in too_large] == [-1] * len(too_large)


def test_nothing_takes_nothing():
    shapes = np.array([shapely.Polygon(), shapely.box(0, 0, 3, 3)])
    turns = np.arange(3), np.zeros(2)
    turn, _, center = find_first_fit(shapes, *turns, np.array([0, 1]), np.ones((2, 2)))
    assert turn.tolist() == [-1, 1]
    assert np.isnan(center[0]).all()
    none = find_first_fit(shapes, *turns, np.array([], dtype=int), np.empty((0, 2)))
    assert [len(part) for part in none] == [0, 0, 0]


def layouts_of(*sizes):
    return [np.array([size], dtype=float) for size in sizes]


def test_the_most_is_the_last_that_fits_in_some_turn():
    lots = np.array(
        [shapely.box(0, 0, 10, 3), rotate(shapely.box(0, 0, 3, 20), 40), shapely.Polygon()]
    )
    grow = layouts_of((3, 3), (6, 3), (9, 3), (12, 3), (15, 3))
    turns = np.array([0, 1, 3, 3]), np.array([0.0, 10.0, 40.0])
    none, cap = np.zeros(3, dtype=int), np.full(3, 5)
    found, whole = find_largest_fit(lots, *turns, grow, none, cap)
    assert found.tolist() == [3, 5, 0]
    assert whole.all()
    # Sites whose answer is already known are not computed again.
    found, _ = find_largest_fit(lots, *turns, grow, np.array([3, 2, 0]), np.array([3, 4, 0]))
    assert found.tolist() == [3, 4, 0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(corner, min_size=3, max_size=9, unique=True), st.lists(st.floats(0, 90), min_size=1)
)
def test_the_most_is_what_asking_one_by_one_gives(corners, degrees):
    shape = shapely.make_valid(shapely.Polygon(corners)).buffer(0)
    grow = [np.array([(2.0 * n, 3.0), (4.0, 1.7 * n)]) for n in range(1, 8)]
    turns = np.array([0, len(degrees)]), np.array(degrees)
    found, whole = find_largest_fit(np.array([shape]), *turns, grow, np.array([0]), np.array([7]))
    held = [any(one(shape, tuple(size), *degrees)[0] >= 0 for size in sizes) for sizes in grow]
    if whole[0]:
        assert found[0] == (held.index(False) if False in held else 7)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(corner, min_size=3, max_size=12, unique=True),
    st.floats(1, 14),
    st.floats(1, 14),
    st.floats(0, 90),
)
def test_it_fits_where_there_is_an_area_of_centers(corners, length, width, degrees):
    shape = shapely.make_valid(shapely.Polygon(corners)).buffer(0)
    if shape.is_empty:
        return
    turn, across, center = one(shape, (length, width), degrees)
    origin = np.zeros((1, 2))
    turned = rotate_shapes(np.array([shape]), origin, np.array([degrees]))[0]
    areas = [centers(turned, *size) for size in ((length, width), (width, length))]
    # A gap thinner than centimeters may be missed.
    if all(area.is_empty or not area.buffer(-0.0005).is_empty for area in areas):
        assert (turn == 0) == (not all(area.is_empty for area in areas))
    if turn == 0:
        length, width = (width, length) if across else (length, width)
        half = TOLERANCE_M
        block = shapely.box(
            -length / 2 + half, -width / 2 + half, length / 2 - half, width / 2 - half
        )
        stands = translate(rotate(block, degrees, origin=(0, 0)), *center)
        assert shape.buffer(1e-9).covers(stands)
