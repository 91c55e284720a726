"""The oracle's receiver points agree with arithmetic on plain shapes."""

import math

import pytest
import shapely

from tests.geo.oracle_points import line_of, list_points

LOT = shapely.box(0, 0, 40, 40)


@pytest.mark.parametrize(("away_m", "step_m"), [(50, 2.5), (50.01, 5), (60, 5)])
def test_the_farther_away_the_fewer_points(away_m, step_m):
    beside = shapely.box(40 + away_m, 0, 60 + away_m, 20)
    points = list_points(beside, LOT, 0.0)
    assert len(points) == len(set(points)) == 4 * 20 / step_m
    assert {(40 + away_m, 0), (40 + away_m, 10)} <= set(points)


@pytest.mark.parametrize(("away_m", "step_m"), [(60.01, 5), (100, 5), (100.01, 10)])
def test_beyond_60_m_only_the_sides_that_face_the_lot_count(away_m, step_m):
    # The lot reaches from 0 to 40 m: part of it is above the upper side, none below the lower one.
    beside = shapely.box(40 + away_m, 0, 60 + away_m, 20)
    points = list_points(beside, LOT, 0.0)
    assert len(points) == len(set(points)) == 2 * 20 / step_m + 1
    assert all(x == 40 + away_m or y == 20 for x, y in points)
    # A point at the end of a side that faces the lot counts.
    assert {(40 + away_m, 0), (60 + away_m, 20)} <= set(points)
    assert (60 + away_m, 0) not in points


def test_of_a_court_the_far_side_faces_the_lot():
    court = shapely.box(120, 0, 160, 40).difference(shapely.box(130, 10, 150, 30))
    inner = [(x, y) for x, y in list_points(court, LOT, 0.0) if 130 <= x <= 150 and 10 <= y <= 30]
    # From the far side of the court, the lot is across it; from its near side, it is behind. The
    # lot also reaches above the lower side and below the upper one.
    assert {(150, 15), (140, 10), (140, 30)} <= set(inner)
    assert (130, 15) not in inner


@pytest.mark.parametrize("turned", [False, True])
def test_the_order_of_the_corners_does_not_matter(turned):
    beside = shapely.box(120, 0, 140, 20, ccw=turned)
    assert len(list_points(beside, LOT, 0.0)) == 2 * 20 / 5 + 1


def test_all_points_of_a_distant_line_count():
    ring = shapely.LineString([(120, 0), (140, 0), (140, 20), (120, 20), (120, 0)])
    assert len(list_points(ring, LOT, 0.0)) == 4 * 20 / 5


def test_pieces_are_even_and_not_longer_than_the_step():
    line = shapely.LineString([(50, 0), (50, 7), (54, 10)])
    y = [at for _, at in list_points(line, LOT, 0.0)]
    assert y == pytest.approx([0, 7 / 3, 14 / 3, 7, 8.5, 10])


def test_a_point_is_its_own_point():
    assert list_points(shapely.Point(50, 3), LOT, 7.62) == [(50, 3)]


def test_a_corner_of_less_than_5_cm_is_left_out():
    almost_flat = shapely.Polygon([(41, 0), (41.04, 10), (41, 20), (61, 20), (61, 0)])
    assert max(list_points(almost_flat, LOT, 0.0)) == (61, 20)
    assert (41.04, 10) not in list_points(almost_flat, LOT, 0.0)
    bent = shapely.Polygon([(41, 0), (41.06, 10), (41, 20), (61, 20), (61, 0)])
    assert (41.06, 10) in list_points(bent, LOT, 0.0)


def test_what_is_too_near_is_cut_off():
    beside = shapely.box(42, 10, 62, 30)
    line = line_of(beside, LOT, 7.0)
    assert line.bounds == (47, 10, 62, 30)
    # It is measured where it is if the rule applies at the lot line.
    assert line_of(beside, LOT, 0.0).bounds == (42, 10, 62, 30)
    # Two sides of 20 m and two of 15 m.
    assert len(list_points(beside, LOT, 7.0)) == 2 * 20 / 2.5 + 2 * 15 / 2.5


def test_a_receptor_that_is_wholly_too_near_is_measured_beside_it():
    strip = shapely.box(42, 10, 45, 30)
    line = line_of(strip, LOT, 7.0)
    assert shapely.get_coordinates(line)[:, 0] == pytest.approx(47)
    # Around each end, as far as the receptor is within 7 m: 47 is 2 m from its side.
    reach_m = math.sqrt(7**2 - 2**2)
    assert line.bounds[1::2] == pytest.approx((10 - reach_m, 30 + reach_m), abs=0.1)


def test_one_on_the_lot_keeps_its_line_at_the_lot_line():
    upon = shapely.box(10, 10, 20, 20)
    assert line_of(upon, LOT, 0.0).equals(upon.boundary)


def test_one_across_the_line_counts_outside_the_lot():
    across = shapely.box(30, 10, 50, 20)
    assert line_of(across, LOT, 0.0).equals(shapely.box(40, 10, 50, 20).boundary)
    assert line_of(across, LOT, 0.0, own=True).equals(across.boundary)


def test_a_facade_is_measured_in_front_of_it():
    house = shapely.box(50, 0, 60, 10)
    assert line_of(house, LOT, -2.0).bounds == (48, -2, 62, 12)
    # 14 m to a side, in 6 pieces of 2.33 m.
    assert len(list_points(house, LOT, -2.0)) == 4 * 6
