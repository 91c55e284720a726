from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely.affinity import rotate, translate

from geo.criteria.noise.receiver_points import (
    CHECKED,
    CLOSE,
    FACING_BEYOND_M,
    SIMPLER_BY_M,
    STEPS_M,
    USUAL,
    list_receiver_points,
)
from tests.geo.criteria.noise.conftest import heard, random_town, receptors, under

LOT = shapely.box(0, 0, 40, 40)
BEYOND_M = 7.62  # Colorado's rule measures 25 ft beyond the line


def xy_of(points, pair):
    return points.xy[points.begin[pair] : points.end[pair]]


def points_at(town, market, plan, shape, *, rule=None, lot=LOT, **layers):
    """Return the receiver points of the only receptor of a lot, under one kind of limit."""
    given = town([lot], homes=[shape], **layers)
    who, _ = heard(given, under(market, rule), plan)
    pairs = np.flatnonzero(who.column("by_rule") == (rule is not None))
    assert len(pairs) == 1
    return xy_of(list_receiver_points(who), pairs[0])


def all_points(town, market, plan, shape, *, rule=None, **layers):
    """Return the receiver points of the only receptor of the lot, with what is known of them."""
    who, _ = heard(town([LOT], homes=[shape], **layers), under(market, rule), reporting_far(plan))
    pairs = np.flatnonzero(who.column("by_rule") == (rule is not None))
    assert len(pairs) == 1
    points, (pair,) = list_receiver_points(who), pairs
    at = slice(points.begin[pair], points.end[pair])
    return points.xy[at], points.outward[at], points.facing_only[pair]


def reporting_far(plan):
    """Return the plan with its own limit looked at up to 150 m from the site."""
    wide = plan.noise.model_copy(update={"report_reach_m": 150.0})
    return plan.model_copy(update={"noise": wide})


def sorted_rows(xy, digits=6):
    rows = np.round(xy, digits) + 0.0
    return rows[np.lexsort(rows.T)]


def away_m(xy, shape):
    return shapely.distance(shapely.points(xy), shape)


# ---------------------------------------------------------------------------------------------
# Spacing


def test_the_nearer_the_receptor_the_closer_its_points():
    assert STEPS_M[USUAL] == ((50.0, 2.5), (100.0, 5.0), (np.inf, 10.0))


@pytest.mark.parametrize(("spacing", "times"), [(USUAL, 1), (CHECKED, 2.5), (CLOSE, 5)])
def test_points_are_closer_together_where_it_is_louder_between(town, market, plan, spacing, times):
    home = shapely.box(60, 0, 80, 20)
    who, _ = heard(town([LOT], homes=[home]), under(market, None), plan)
    points = list_receiver_points(who, np.full(len(who.site), spacing))
    # A line of 80 m, with a point every 2.5 m.
    assert (points.end - points.begin).tolist() == [32 * times] * len(who.site)


@pytest.mark.parametrize(
    ("off_m", "step_m"), [(1.0, 2.5), (50.0, 2.5), (50.5, 5.0), (100.0, 5.0), (100.5, 10.0)]
)
def test_a_square_has_a_point_at_each_step_of_its_line(town, market, plan, off_m, step_m):
    lot = shapely.box(40 + off_m, 0, 60 + off_m, 20)
    xy = points_at(town, market, reporting_far(plan), lot)
    ring = lot.exterior
    expected = [ring.interpolate(at).coords[0] for at in np.arange(0, 80, step_m)]
    assert len(xy) == 80 / step_m
    assert sorted_rows(xy).tolist() == sorted_rows(np.array(expected)).tolist()


def test_an_edge_that_is_no_multiple_of_the_step_is_divided_evenly(town, market, plan):
    # 21 m take nine parts of 2.33 m; 6 m take three of 2 m.
    xy = points_at(town, market, plan, shapely.box(50, 0, 71, 6))
    assert len(xy) == 2 * (9 + 3)
    bottom = np.sort(xy[xy[:, 1] == 0, 0])
    assert np.diff(bottom) == pytest.approx(np.full(9, 21 / 9))


def test_every_corner_has_a_point_and_no_gap_is_wider_than_the_step(town, market, plan):
    shape = shapely.Polygon([(45, 0), (70, 3), (66, 31), (58, 12), (50, 29)])
    xy = points_at(town, market, plan, shape)
    corners = shapely.get_coordinates(shape)[:-1]
    assert (away_m(corners, shapely.MultiPoint(xy)) < 1e-9).all()
    at = np.sort(shapely.line_locate_point(shape.exterior, shapely.points(xy)))
    gaps = np.diff([*at, shape.exterior.length])
    assert gaps.max() <= 2.5 + 1e-9
    assert (away_m(xy, shape.exterior) < 1e-9).all()


def test_corners_that_hardly_change_the_line_are_left_out(town, market, plan):
    # With the bend, each half of the edge is a bit over 10 m and takes five parts in place of four.
    for off, count in ((SIMPLER_BY_M * 0.8, 4 * 8), (SIMPLER_BY_M * 1.2, 3 * 8 + 2 * 5)):
        shape = shapely.Polygon([(50, 0), (70, 0), (70, 20), (60, 20 + off), (50, 20)])
        xy = points_at(town, market, plan, shape)
        corner = away_m(np.array([[60.0, 20 + off]]), shapely.MultiPoint(xy))[0]
        assert (corner < 1e-9) == (off > SIMPLER_BY_M)
        assert len(xy) == count


def test_a_ring_ends_where_it_begins_and_that_point_counts_once(town, market, plan):
    court = shapely.box(50, 0, 70, 20).difference(shapely.box(55, 5, 65, 15))
    parts = shapely.union(shapely.box(50, 0, 60, 20), shapely.box(62, 0, 72, 20))
    for shape, count in ((court, 32 + 16), (parts, 24 + 24)):
        xy = points_at(town, market, plan, shape)
        assert len(xy) == count
        assert len(np.unique(np.round(xy, 6), axis=0)) == count


def test_a_point_is_measured_where_it_is(town, market, plan):
    assert points_at(town, market, plan, shapely.Point(45, 7)).tolist() == [[45, 7]]
    # A rule beyond the line does not move it either.
    at = points_at(town, market, plan, shapely.Point(43, 7), rule="colorado")
    assert at.tolist() == [[43, 7]]


def test_an_empty_shape_has_no_points_and_takes_none_from_others(town, market, plan):
    homes = [shapely.box(50, 0, 70, 20), shapely.Polygon(), shapely.box(-30, 0, -10, 20)]
    who, _ = heard(town([LOT], homes=homes), under(market, None), plan)
    points = list_receiver_points(who)
    many = dict(zip(who.column("receptor_id"), points.end - points.begin, strict=True))
    assert {name: many[name] for name in ("H0", "H2")} == {"H0": 32, "H2": 32}
    assert many.get("H1", 0) == 0


def test_nobody_has_no_points(town, market, plan):
    who, _ = heard(town([LOT]), market, plan)
    points = list_receiver_points(who)
    assert (len(points.xy), len(points.begin), len(points.end)) == (0, 0, 0)


# ---------------------------------------------------------------------------------------------
# The sides that face the site


@pytest.mark.parametrize(("off_m", "facing_only"), [(1, False), (60, False), (60.5, True)])
def test_of_a_lot_farther_than_60_m_only_the_sides_that_face_the_site_count(
    town, market, plan, off_m, facing_only
):
    assert FACING_BEYOND_M == 60
    lot = shapely.box(40 + off_m, 0, 60 + off_m, 20)
    assert all_points(town, market, plan, lot)[2] == facing_only


@pytest.mark.parametrize("ccw", [True, False])
def test_outward_is_away_from_the_lot_before_and_after_each_point(town, market, plan, ccw):
    xy, outward, _ = all_points(town, market, plan, shapely.box(110, 0, 130, 20, ccw=ccw))
    away = {(130, 10): (1, 0), (120, 20): (0, 1), (110, 10): (-1, 0), (120, 0): (0, -1)}
    # Around the lot with its inside to the left, a corner is after one side and before the next.
    corners = {
        (130, 0): (0, -1, 1, 0), (130, 20): (1, 0, 0, 1),
        (110, 20): (0, 1, -1, 0), (110, 0): (-1, 0, 0, -1),
    }  # fmt: skip
    expected = corners | {at: side * 2 for at, side in away.items()}
    got = {}
    for at, sides in zip(xy.tolist(), outward.reshape(-1, 2, 2), strict=True):
        got[tuple(at)] = tuple((sides / np.hypot(*sides.T)[:, None]).ravel().tolist())
    assert {at: got[at] for at in expected} == expected


def test_outward_of_a_court_is_into_the_court(town, market, plan):
    court = shapely.box(110, 0, 150, 40).difference(shapely.box(120, 10, 140, 30))
    xy, outward, _ = all_points(town, market, plan, court)
    for at, side in (((120, 20), (1, 0)), ((140, 20), (-1, 0)), ((110, 20), (-1, 0))):
        (there,) = np.flatnonzero((xy == at).all(axis=1))
        assert np.sign(outward[there]).tolist() == [*side, *side]


@pytest.mark.parametrize(
    "shape", [shapely.Point(120, 10), shapely.LineString([(110, 0), (130, 0), (130, 20)])]
)
def test_a_point_or_a_line_has_no_outer_side(town, market, plan, shape):
    _, outward, _ = all_points(town, market, plan, shape)
    assert len(outward) > 0
    assert np.isnan(outward).all()


@pytest.mark.parametrize(
    ("off_m", "step_m", "facing_only"), [(50, 2.5, False), (59, 5, False), (61, 5, True)]
)
def test_distances_to_a_facade_are_to_the_house(town, market, plan, off_m, step_m, facing_only):
    # The level is measured 2 m in front, along a line of 16 by 16 m.
    house = shapely.box(40 + off_m, 10, 52 + off_m, 22)
    xy, _, only = all_points(
        town, market, plan, shapely.box(40 + off_m, 0, 90 + off_m, 40), rule="hud",
        buildings=[house],
    )  # fmt: skip
    assert len(xy) == 4 * np.ceil(16 / step_m)
    assert only == facing_only


# ---------------------------------------------------------------------------------------------
# Beyond the site's line


def test_a_lot_that_shares_a_line_is_measured_that_far_beyond_it(town, market, plan):
    lot = shapely.box(40, 0, 60, 40)
    beyond = points_at(town, market, plan, lot, rule="colorado")
    # What is left of the lot is 12.38 m wide: 5 parts there and 16 along the line, twice.
    assert beyond.min(axis=0).tolist() == pytest.approx([40 + BEYOND_M, 0])
    assert beyond.max(axis=0).tolist() == pytest.approx([60, 40])
    assert len(beyond) == 2 * (5 + 16)
    assert away_m(beyond, LOT).min() == pytest.approx(BEYOND_M)
    # The plan's limit applies at the line itself.
    assert away_m(points_at(town, market, plan, lot), LOT).min() == 0


@pytest.mark.parametrize(("street_m", "least_m"), [(0, 7.62), (5, 7.62), (7.62, 7.62), (12, 12)])
def test_the_street_counts_toward_the_distance_beyond(town, market, plan, street_m, least_m):
    lot = shapely.box(40 + street_m, 0, 90, 40)
    xy = points_at(town, market, plan, lot, rule="colorado")
    assert away_m(xy, LOT).min() == pytest.approx(least_m)
    assert (away_m(xy, lot) < 1e-9).all()


@pytest.mark.parametrize("thin", [(40, 45), (43, 45), (40, 40.5), (41, 47.6)])
def test_a_lot_that_is_all_too_near_is_measured_at_the_distance_beside_it(town, market, plan, thin):
    lot = shapely.box(thin[0], 10, thin[1], 30)
    xy = points_at(town, market, plan, lot, rule="colorado")
    # Straight along the site's line, 7.62 m from it; corners of the site are farther off.
    assert xy[:, 0] == pytest.approx(np.full(len(xy), 40 + BEYOND_M))
    # As far as 7.62 m from the lot: the square of the other leg is 7.62^2 less the gap's square.
    gap = 40 + BEYOND_M - thin[1]
    past = np.sqrt(BEYOND_M**2 - gap**2)
    assert [xy[:, 1].min(), xy[:, 1].max()] == pytest.approx([10 - past, 30 + past], abs=0.1)
    assert np.diff(np.sort(xy[:, 1])).max() <= 2.5


@pytest.mark.parametrize(
    "lot",
    [
        shapely.box(40, 0, 60, 40),
        shapely.box(40, 40, 70, 70),  # touches a corner
        shapely.box(30, 10, 70, 20),  # overlaps
        shapely.box(-30, -30, 90, 90),  # covers the site
        shapely.box(40, 30, 44, 60),  # thin, past a corner
        shapely.box(-3, -3, 43, 43),  # a thin strip all around
    ],
)
def test_no_point_is_nearer_to_the_site_than_the_rule_measures(town, market, plan, lot):
    xy = points_at(town, market, plan, lot, rule="colorado")
    away = away_m(xy, LOT)
    # Circles around corners are polygons, which are within 0.05 m.
    assert away.min() >= BEYOND_M - SIMPLER_BY_M
    assert away.min() <= BEYOND_M + SIMPLER_BY_M
    assert (away_m(xy, shapely.buffer(lot, BEYOND_M)) < 0.1).all()


def test_a_receptor_that_overlaps_the_site_is_measured_outside_it(town, market, plan):
    xy = points_at(town, market, plan, shapely.box(30, 10, 60, 30))
    # For the plan's limit: the part of 20 by 20 m east of the line.
    assert len(xy) == 32
    assert xy.min(axis=0).tolist() == [40, 10]
    assert xy.max(axis=0).tolist() == [60, 30]


def test_a_receptor_that_covers_the_site_is_measured_along_both_lines(town, market, plan):
    xy = points_at(town, market, plan, shapely.box(-20, -20, 60, 60))
    assert len(xy) == (4 * 80 + 4 * 40) / 2.5
    assert away_m(xy, LOT).min() == 0


@pytest.mark.parametrize("rule", [None, "colorado"])
def test_a_receptor_inside_the_site_is_measured_at_its_own_line(town, market, plan, rule):
    home = shapely.box(10, 10, 20, 20)
    xy = points_at(town, market, plan, home, rule=rule)
    assert len(xy) == 16
    assert (away_m(xy, home.exterior) == 0).all()


# ---------------------------------------------------------------------------------------------
# Facades


def test_a_facade_is_measured_two_meters_in_front_all_around(town, market, plan):
    house = shapely.box(55, 10, 65, 30)
    given = town([LOT], homes=[shapely.box(45, 0, 80, 40)], buildings=[house])
    who, _ = heard(given, under(market, "hud"), plan)
    pair = np.flatnonzero(who.column("by_rule"))
    xy = xy_of(list_receiver_points(who), pair[0])
    # The line two meters in front is 14 by 24 m: 6 and 10 parts.
    assert len(xy) == 2 * (6 + 10)
    assert xy.min(axis=0).tolist() == [53, 8]
    assert xy.max(axis=0).tolist() == [67, 32]
    assert away_m(xy, house).min() == pytest.approx(2)


def test_without_a_building_the_facade_is_the_lots_line(town, market, plan):
    xy = points_at(town, market, plan, shapely.box(50, 0, 70, 20), rule="hud")
    assert xy.min(axis=0).tolist() == [48, -2]
    assert xy.max(axis=0).tolist() == [72, 22]


def test_homes_on_the_site_are_measured_at_their_own_walls(town, market, plan):
    house = shapely.box(10, 10, 30, 30)
    given = town([LOT], buildings=[house], own_dwelling=True)
    who, _ = heard(given, under(market, None), plan)
    xy = xy_of(list_receiver_points(who), 0)
    assert len(xy) == 32
    assert (away_m(xy, house.exterior) == 0).all()


# ---------------------------------------------------------------------------------------------
# Sharing and moving


@pytest.mark.parametrize("rule", [None, "colorado", "hud"])
@pytest.mark.parametrize("seed", range(3))
def test_points_that_pairs_share_are_the_points_of_each_alone(town, market, plan, rule, seed):
    given, _ = random_town(town, 900 + seed)
    who, _ = heard(given, under(market, rule), plan)
    points = list_receiver_points(who)
    assert len(points.begin) == len(who.site) > 10
    # Some pairs share their points.
    assert len(np.unique(points.begin)) < len(points.begin)
    for pair in range(len(who.site)):
        one = [pair]
        alone = replace(
            who, site=who.site[one], row=who.row[one], away_m=who.away_m[one],
            bound_db=who.bound_db[one],
        )  # fmt: skip
        own = list_receiver_points(alone)
        assert (own.begin[0], own.end[0]) == (0, len(own.xy))
        assert own.xy.tolist() == xy_of(points, pair).tolist()


@pytest.mark.parametrize("rule", [None, "colorado", "hud"])
@pytest.mark.parametrize(
    "shape",
    [
        # No edge is a multiple of a step, where the last digit decides how often it is divided.
        shapely.box(40, 0.3, 61.3, 39),
        shapely.Polygon([(45, 0), (70, 3), (66, 31), (58, 12), (50, 29)]),
        shapely.box(40, 10, 44.7, 31),
        shapely.box(52, 0.3, 91, 39),
    ],
)
def test_turning_and_moving_everything_turns_and_moves_the_points(town, market, plan, shape, rule):
    def moved(one):
        return translate(rotate(one, 37, origin=(0, 0)), 230_000, 900_000)

    here = points_at(town, market, plan, shape, rule=rule)
    there = points_at(
        town, market, plan, moved(shape), rule=rule, lot=moved(LOT),
        coverage=shapely.box(-1e7, -1e7, 1e7, 1e7),
    )  # fmt: skip
    expected = shapely.MultiPoint(shapely.get_coordinates(moved(shapely.MultiPoint(here))))
    assert len(here) == len(there)
    assert shapely.hausdorff_distance(expected, shapely.MultiPoint(there)) < 1e-6


def test_every_class_is_measured_at_points_of_its_own_distance(town, market, plan):
    # The same lot is measured at its line for the plan, and beyond it for the rule.
    given = town([LOT])
    lot = shapely.box(40, 0, 60, 40)
    given.layers["receptors"] = receptors([lot, lot], ["home", "commercial"])
    who, _ = heard(given, under(market, "colorado"), plan)
    points = list_receiver_points(who)
    least = [away_m(xy_of(points, pair), LOT).min() for pair in range(len(who.site))]
    expected = np.where(who.column("by_rule"), BEYOND_M, 0.0)
    assert set(expected.tolist()) == {0.0, BEYOND_M}
    assert least == pytest.approx(expected.tolist())
