"""No site's answer depends on the batch with which it is screened."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal

from geo import batches
from geo.batches import split_sites, take_surroundings
from geo.screen import list_needs, screen_sites
from tests.geo.conftest import make_town
from tests.geo.oracle_towns import demo_town, select_cambridge, some_of

SITES, SEED = 60, 5


@pytest.fixture(scope="module")
def demo(tmp_path_factory, market, plan):
    town = demo_town(tmp_path_factory.mktemp("demo"), market, plan, 1200)
    return some_of(town, SITES, SEED), market, plan


@pytest.fixture(scope="module")
def cambridge(tmp_path_factory, cambridge_files):
    town, market, plan = select_cambridge(tmp_path_factory.mktemp("cambridge"), cambridge_files)
    return some_of(town, SITES, SEED), market, plan


@pytest.fixture(params=["demo", "cambridge"])
def town(request):
    return request.getfixturevalue(request.param)


def write_bytes(facts):
    """Return each row as bytes."""
    texts = facts.map(lambda value: value.wkb if isinstance(value, shapely.Geometry) else value)
    return [repr(row).encode() for row in texts.itertuples()]


@pytest.mark.parametrize(("sites", "sites_most"), [(SITES, 13), (5, 1)])
def test_one_batch_or_many_give_the_same_bytes(town, monkeypatch, sites, sites_most):
    screening, market, plan = town
    screening = some_of(screening, sites, SEED)
    whole = screen_sites(screening, market, plan)
    monkeypatch.setattr(batches, "SITES_MOST", sites_most)
    rows, made = split_sites(screening, list_needs(market, plan).reach_m)
    parts = list(made)
    assert len(parts) == -(-sites // sites_most)
    assert sorted(np.concatenate(rows)) == list(range(sites))
    # Each batch holds less of the town than all of it.
    every = len(screening.layers["receptors"])
    assert all(len(one.layers["receptors"]) < every for one in parts)
    divided = screen_sites(screening, market, plan)
    assert_geodataframe_equal(divided, whole)
    assert write_bytes(divided) == write_bytes(whole)


def test_neighbors_are_screened_together(demo):
    screening, market, plan = demo
    reach_m = list_needs(market, plan).reach_m
    rows, _ = split_sites(screening, reach_m, workers=1)
    assert [len(one) for one in rows] == [SITES]
    few = replace(screening, sites=screening.sites.iloc[:0])
    assert [len(one) for one in split_sites(few, reach_m, workers=2)[0]] == [0]
    # No batch of fewer than 200 sites is made to keep more workers busy.
    many = replace(screening, sites=screening.sites.iloc[np.arange(450) % SITES])
    assert [len(one) for one in split_sites(many, reach_m, workers=8)[0]] == [225, 225]
    nowhere = many.sites.geometry.copy()
    nowhere.iloc[7] = shapely.Polygon()
    gap = replace(many, sites=many.sites.set_geometry(nowhere))
    assert sorted(np.concatenate(split_sites(gap, reach_m, workers=2)[0])) == list(range(450))
    # Half of the sites are on one side of a line across the town, the other half on the other.
    first, second = split_sites(many, reach_m, workers=2)[1]
    middle = [
        np.median(shapely.get_coordinates(one.sites.centroid), axis=0) for one in (first, second)
    ]
    spread = np.ptp(shapely.get_coordinates(many.sites.centroid), axis=0).max()
    assert np.hypot(*(middle[0] - middle[1])) > 0.2 * spread


def test_a_lot_without_an_outline_has_nothing_near_it():
    given = make_town([shapely.box(0, 0, 40, 40)] * 2, homes=[shapely.box(50, 0, 60, 10)])
    sites = given.sites.set_geometry([None, given.sites.geometry.iloc[1]], crs=given.sites.crs)
    reach_m = dict.fromkeys(("receptors", "buildings", "lots", "exclusions"), 20.0)
    for rows, near in (([0], 0), ([1], 1), ([0, 1], 1)):
        some = take_surroundings(replace(given, sites=sites), np.array(rows), reach_m)
        assert len(some.layers["receptors"]) == near
