import numpy as np
import pytest
import shapely
from shapely.affinity import rotate

from geo.criteria.noise import spots
from geo.criteria.noise.sound import noise_reach_m
from tests.geo.criteria.noise.conftest import heard, random_town, receptors, sound_of, under

LOT = shapely.box(0, 0, 40, 40)


def quietest(given, market, plan):
    who, loud = heard(given, market, plan)
    shapes = np.asarray(given.sites.geometry.array)
    exposed = spots.measure_exposure(who, shapes, loud)
    return exposed, spots.find_quiet_spots(shapes, exposed)


def test_half_as_far_as_one_machine_should_keep_is_half_quiet(town, market, plan):
    given = town([LOT], homes=[shapely.box(50, 0, 80, 40)])
    exposed, _ = quietest(given, under(market, None), plan)
    keep_m = noise_reach_m(sound_of(given, plan), 69.0, 1)
    assert exposed.scale_m.tolist() == [keep_m]
    points = shapely.points([(50 - keep_m / 2, 20.0), (50 - keep_m, 20.0)])
    assert exposed.measure_quietness(points, np.array([0, 0])) == pytest.approx([0.5, 1.0])


def test_whoever_is_due_less_is_to_be_kept_from_farther(town, market, plan):
    # A home (50) and a business (55) are equally far: the quietest spot is nearer the business.
    given = town([LOT])
    sides = shapely.box(-20, 0, -10, 40), shapely.box(50, 0, 60, 40)
    given.layers["receptors"] = receptors(sides, ["home", "commercial"])
    exposed, found = quietest(given, under(market, "colorado"), plan)
    assert len(exposed.scale_m) == 3
    loud = sound_of(given, plan)
    home_m, business_m = (noise_reach_m(loud, limit, 1) for limit in (50.0, 55.0))
    # Along the middle line, (10 + x) / home = (50 - x) / business.
    best_x = (50 * home_m - 10 * business_m) / (home_m + business_m)
    assert 20 < best_x < 40
    assert found.x[0] == pytest.approx(best_x, abs=40 / np.sqrt(spots.SPOTS_PER_PARCEL))


def test_the_quietest_spot_is_found_to_within_the_spacing(town, market, plan):
    # Homes are 10 m from both sides of a 40 m square: the middle line is 30 m from each.
    homes = shapely.box(-20, -20, -10, 60), shapely.box(50, -20, 60, 60)
    _, found = quietest(town([LOT], homes=homes), under(market, None), plan)
    step = 40 / np.sqrt(spots.SPOTS_PER_PARCEL)
    assert abs(found.x[0] - 20) <= step


def test_nobody_makes_every_spot_quiet(town, market, plan):
    exposed, found = quietest(town([LOT]), market, plan)
    points = shapely.points(found.x, found.y)
    assert np.isinf(exposed.measure_quietness(points, found.site)).all()


def test_the_quietest_are_kept_and_the_others_thinned_evenly():
    # Of 80 places, the first 16 and every fourth of the other 64 are kept; of 20 places, all.
    kept = spots.choose_spots(np.repeat([0, 1], [80, 20]))
    assert np.flatnonzero(kept[:80]).tolist() == [*range(16), *range(16, 80, 4)]
    assert kept[80:].all()


@pytest.mark.parametrize("seed", range(5))
def test_spots_lie_on_their_parcels_quietest_first(town, market, plan, seed):
    given, _ = random_town(town, 700 + seed)
    exposed, found = quietest(given, market, plan)
    points = shapely.points(found.x, found.y)
    parcels = np.asarray(given.sites.geometry.array)[found.site]
    assert (shapely.distance(parcels, points) < 0.001).all()
    assert found.site.tolist() == sorted(found.site)
    count = np.bincount(found.site, minlength=3)
    assert (count > spots.MOST).all()
    assert (count <= spots.MOST + spots.SPREAD).all()
    quiet = exposed.measure_quietness(points, found.site)
    for site in range(3):
        ours = quiet[found.site == site]
        assert (np.diff(ours) <= 1e-6).all()


@pytest.mark.parametrize("seed", range(5))
def test_leaving_out_who_is_never_nearest_changes_no_spot(town, market, plan, seed):
    given, rng = random_town(town, 800 + seed)
    who, loud = heard(given, market, plan)
    shapes = np.asarray(given.sites.geometry.array)
    exposed = spots.measure_exposure(who, shapes, loud)
    for site, parcel in enumerate(shapes):
        inside = np.array(shapely.point_on_surface(parcel).coords[0])
        points = shapely.points(inside + rng.uniform(-3, 3, (20, 2)))
        points = points[shapely.covers(parcel, points)]
        least = np.full(len(points), np.inf)
        for pair in np.flatnonzero(who.site == site):
            limit = round(float(who.column("limit_dba")[pair]))
            away = shapely.distance(points, who.column("shape")[pair])
            least = np.minimum(least, away / noise_reach_m(loud, float(limit), 1))
        got = exposed.measure_quietness(points, np.full(len(points), site))
        assert got == pytest.approx(least)


def test_a_turned_parcel_has_the_same_quietest_spot_turned(town, market, plan):
    home = shapely.box(50, 50, 80, 70)
    _, straight = quietest(town([LOT], homes=[home]), market, plan)
    lot, neighbor = ([rotate(one, 30, origin=(0, 0))] for one in (LOT, home))
    _, turned = quietest(town(lot, homes=neighbor), market, plan)
    # Both are turned about the far corner, (0, 0).
    assert (straight.x[0], straight.y[0]) == (0, 0)
    assert (turned.x[0], turned.y[0]) == pytest.approx((0, 0), abs=1e-3)
