import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from geo import fit


def centres(shape, length, width):
    return fit.centres(np.array([shape]), np.array([float(length)]), np.array([float(width)]))[0]


def test_a_rectangle_in_a_rectangle_has_the_difference_to_move_in():
    # 10 by 6 less 4 by 2 leaves 6 by 4 for the centre (and 1 mm of grace all round).
    assert centres(shapely.box(0, 0, 10, 6), 4, 2).area == pytest.approx(6 * 4, abs=0.02)


def test_an_exact_fit_fits_and_a_centimetre_more_does_not():
    assert not centres(shapely.box(0, 0, 10, 6), 10, 6).is_empty
    assert centres(shapely.box(0, 0, 10, 6), 10.01, 6).is_empty


def test_an_l_has_room_in_each_arm_and_none_across_the_notch():
    # Arms 4 m wide, 12 m long: a 10 by 4 block fits along an arm, a 5 by 5 block nowhere.
    ell = shapely.Polygon([(0, 0), (12, 0), (12, 4), (4, 4), (4, 12), (0, 12)])
    assert not centres(ell, 10, 4).is_empty
    assert not centres(ell, 4, 10).is_empty
    assert centres(ell, 5, 5).is_empty
    # A 4 by 4 block's centre has 8 m to move along each arm: a band 1 mm wide and no more.
    assert centres(ell, 4, 4).length / 2 == pytest.approx(16, abs=0.1)


def test_a_hole_in_the_middle_is_in_the_way():
    # A ring 5 m wide around a 10 m hole.
    ring = shapely.box(0, 0, 20, 20).difference(shapely.box(5, 5, 15, 15))
    assert not centres(ring, 20, 5).is_empty
    assert centres(ring, 6, 6).is_empty


def test_two_parts_are_tried_apart():
    parts = shapely.MultiPolygon([shapely.box(0, 0, 5, 5), shapely.box(5.5, 0, 10.5, 5)])
    assert not centres(parts, 5, 5).is_empty
    assert centres(parts, 6, 3).is_empty


def test_nothing_fits_in_nothing():
    shapes = np.array([shapely.Polygon(), shapely.box(0, 0, 3, 3), shapely.Polygon()])
    found = fit.centres(shapes, np.full(3, 1.0), np.full(3, 1.0))
    assert shapely.is_empty(found).tolist() == [True, False, True]


def test_a_turned_rectangle_has_one_direction_its_own():
    shape, degrees = fit.directions(np.array([rotate(shapely.box(0, 0, 20, 10), 30)]), 3)
    assert shape.tolist() == [0]
    assert degrees[0] == pytest.approx(30)


def test_directions_come_longest_first_and_no_more_than_asked():
    wedge = shapely.Polygon([(0, 0), (30, 0), (30, 10), (20, 20)])
    _, degrees = fit.directions(np.array([wedge]), 2)
    assert degrees.tolist() == [0.0, 45.0]


def test_turning_there_and_back_is_where_it_was():
    shapes = np.array([shapely.box(150_000, 880_000, 150_030, 880_020)])
    origin, degrees = np.array([[150_010.0, 880_005.0]]), np.array([37.0])
    back = fit.turn_back(fit.turn(shapes, origin, degrees), origin, degrees)
    assert shapely.hausdorff_distance(back, shapes)[0] < 1e-9


corner = st.tuples(st.integers(0, 30), st.integers(0, 30))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(corner, min_size=3, max_size=12, unique=True), st.integers(1, 14), st.integers(1, 14)
)
def test_the_centres_are_exactly_those_where_the_rectangle_lies_inside(corners, length, width):
    shape = shapely.make_valid(shapely.convex_hull(shapely.multipoints(corners)))
    notch = translate(shapely.box(0, 0, 4, 7), corners[0][0] - 2, corners[0][1] - 2)
    shape = shape.difference(notch)
    if shape.is_empty or shape.area < 1:
        return
    allowed = centres(shape, length, width)
    grace = shapely.buffer(shape, 0.002)
    inner = shapely.buffer(shape, -0.002)
    for x in np.arange(0.5, 30, 1.7):
        for y in np.arange(0.5, 30, 1.7):
            block = shapely.box(x - length / 2, y - width / 2, x + length / 2, y + width / 2)
            if allowed.contains(shapely.Point(x, y)):
                assert grace.covers(block)
            elif inner.covers(block):
                pytest.fail(f"({x}, {y}) is free, but was not found")
