"""Sites with nothing around them, with too much, or with outlines of a million vertices."""

import numpy as np
import pydantic
import pytest
import shapely

from geo.compiled import reference_to
from geo.model import Plan
from geo.screen import screen_sites
from geo.sizing.search_arrays import arrange_blocks
from tests.geo.criteria.noise.conftest import GX230
from tests.geo.sizing.conftest import LOT, home_at

pytestmark = pytest.mark.timeout(300)
# A lot that is a circle of 15 m.
MANY, FEW = 1_000_000, 1_000


def circle(vertices):
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    return shapely.Polygon(15 * np.column_stack((np.cos(angle), np.sin(angle))))


def test_a_lot_without_ground_carries_nothing_and_says_why(town, sized, plan):
    # Setbacks of 3 m leave nothing of 5 m.
    lots = [shapely.box(0, 0, 5, 5), shapely.Polygon(), LOT]
    _, got = sized(town(lots, homes=[home_at(20)]), plan)
    assert got["n_hi"].tolist()[:2] == [0, 0]
    assert got["binding"].tolist()[:2] == ["pad", "pad"]
    assert got["n_lo"][2] > 0


def test_without_neighbors_the_ground_decides(town, plain_market, plan):
    facts = screen_sites(town([LOT]), plain_market, plan).iloc[0]
    assert facts["pad_n"] == plan.cap
    assert facts["noise_n"] == plan.cap
    # Nobody hears it: there is no level.
    assert np.isnan(facts["level_dba"])


def test_buildings_without_heights_neither_screen_nor_reflect(town, sized, plan):
    # A long shed stands between the lot and the home.
    shed, homes = shapely.box(48, -60, 52, 106), [home_at(10)]
    some = town([LOT], homes=homes, buildings=[shed])
    some.layers["buildings"]["height_m"] = np.nan
    unknown, _ = sized(some, plan)
    nothing, _ = sized(town([LOT], homes=homes), plan)
    margin = [one.alone_worst["margin_db"][0] for one in (unknown, nothing)]
    assert margin[0] == margin[1]
    known, _ = sized(town([LOT], homes=homes, buildings=[shed]), plan)
    assert known.alone_worst["margin_db"][0] > margin[0] + 3


def test_a_neighbor_that_covers_the_site_hears_it_at_least_as_one_all_around(town, sized, plan):
    around = shapely.box(-100, -100, 146, 146)
    covering, _ = sized(town([LOT], homes=[around]), plan)
    ring, _ = sized(town([LOT], homes=[around.difference(LOT)]), plan)
    assert np.isfinite(covering.alone_worst["level_dba"]).all()
    assert covering.place_lo[0] <= ring.place_lo[0] < plan.cap


@pytest.mark.parametrize("vertices", [FEW, 100_000, MANY])
def test_a_lot_of_a_million_vertices_is_answered_as_one_of_a_thousand(
    town, plain_market, plan, vertices
):
    # A home 1 m away; machines are at most 11 m from the middle of the lot.
    home = shapely.box(16, -20, 36, 20)
    facts = screen_sites(town([circle(vertices)], homes=[home]), plain_market, plan).iloc[0]
    # Setbacks of 3 m leave a circle of 12 m.
    assert facts["ground_area_m2"] == pytest.approx(np.pi * 12**2, rel=0.005)
    few = screen_sites(town([circle(FEW)], homes=[home]), plain_market, plan).iloc[0]
    assert 1 < few["noise_n"] < plan.cap
    assert facts["noise_n"] == few["noise_n"]
    assert facts["pad_n"] == few["pad_n"]


def test_a_neighbor_of_a_million_vertices_hears_as_one_of_a_thousand(town, sized, plan):
    lot = shapely.box(18, -10, 38, 10)
    many, _ = sized(town([lot], homes=[circle(MANY)]), plan)
    few, _ = sized(town([lot], homes=[circle(FEW)]), plan)
    assert 0 < few.place_lo[0] < plan.cap
    assert many.place_lo.tolist() == few.place_lo.tolist()
    expected = pytest.approx(few.alone_worst["margin_db"][0], abs=0.1)
    assert many.alone_worst["margin_db"][0] == expected


@pytest.mark.parametrize("cap", [0, -1, 101, 500])
def test_a_cap_below_one_or_above_a_hundred_is_refused_by_name(plan, cap):
    given = plan.model_dump(by_alias=True) | {"cap": cap}
    with pytest.raises(pydantic.ValidationError, match="cap"):
        Plan.model_validate(given)


@pytest.mark.parametrize("cap", [1, 100])
def test_the_least_and_the_largest_cap_are_kept(town, sized, plan, cap):
    given = Plan.model_validate(plan.model_dump(by_alias=True) | {"cap": cap})
    _, got = sized(town([shapely.box(0, 0, 100, 100)]), given)
    assert got["n_lo"].tolist() == [min(cap, 25)]


def test_no_cap_needs_machine_code_of_its_own(plan):
    kinds = {
        reference_to(arrange_blocks(GX230, plan.model_copy(update={"cap": cap}))[0])
        for cap in (1, 2, 500)
    }
    assert len(kinds) == 1
