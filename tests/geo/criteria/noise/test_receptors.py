from dataclasses import replace

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from geo import catalogue
from geo.criteria.noise.sound import (
    count_heard_machines,
    noise_reach_m,
    open_field_dba,
    sound_power_dba,
)
from geo.model import Assume, NoiseLimit, NoiseRule, Raster
from geo.sizing.kernel.verification import OWN_DWELLING
from tests.geo.conftest import CRS
from tests.geo.criteria.noise.conftest import GX230, heard, place, receptors, sound_of, under
from tests.geo.sizing.blocks import describe_block

LOT = shapely.box(0, 0, 40, 40)
BESIDE = shapely.box(40, 0, 80, 40)


def names(who):
    """Return each receptor's class, limit, whether the rule sets it, and whether it is certain."""
    columns = ("receptor_class", "limit_dba", "by_rule", "certain")
    return sorted(zip(*(who.column(name).tolist() for name in columns), strict=True))


def judged(given, market, plan, x=20, y=20, count=1):
    """Return who hears a block at (x, y), the sound, and the level at the point that governs."""
    context, row = describe_block(given, market, plan, place(x, y, count))
    return context.pairs, context.sound, row


def ambient(level_dba, *, west=-500.0, crs=CRS):
    """Return a grid of 100 m cells with the same level everywhere, 1 km across."""
    return Raster(np.full((10, 10), level_dba), Affine(100, 0, west, 0, -100, 500), crs)


# ---------------------------------------------------------------------------------------------
# Which receptors count


def test_a_home_is_held_to_the_plan_and_to_the_rule(town, market, plan):
    who, _ = heard(town([LOT], homes=[BESIDE]), under(market, "colorado"), plan)
    assert names(who) == [("home", 50, True, True), ("home", 69, False, True)]
    who, _ = heard(town([LOT], homes=[BESIDE]), under(market, None), plan)
    assert names(who) == [("home", 69, False, True)]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("school", [("school", 50, True, True), ("school", 69, False, True)]),
        # The plan has no limit for businesses; Colorado's table has one.
        ("commercial", [("commercial", 55, True, True)]),
        ("industrial", [("industrial", 65, True, True)]),
    ],
)
def test_each_class_is_held_to_its_own_limit(town, market, plan, kind, found):
    given = town([LOT])
    given.layers["receptors"] = receptors([BESIDE], kind)
    assert names(heard(given, under(market, "colorado"), plan)[0]) == found


def test_a_rule_about_other_sites_does_not_hold_here(town, market, plan, monkeypatch):
    given = town([LOT, shapely.box(80, 0, 120, 40)], homes=[shapely.box(40, 0, 80, 40)],
                 use_class=["residential", "commercial"])  # fmt: skip
    known = catalogue.read_noise_rules()
    row = NoiseLimit(receives="residential", emits=("commercial",), night_dba=50)
    rule = NoiseRule(
        title="Made up", protects="use", position="line", limits=(row,), source="nobody"
    )
    made_up = known.model_copy(update={"rule": {"made_up": rule}})
    monkeypatch.setattr(catalogue, "read_noise_rules", lambda: made_up)
    who, _ = heard(given, under(market, "made_up"), plan)
    assert set(who.site[who.column("by_rule")]) == {1}
    assert set(who.site[~who.column("by_rule")]) == {0, 1}


def test_a_site_does_not_hear_itself(town, market, plan):
    given = town([LOT], homes=[LOT])
    given.layers["receptors"]["site_id"] = given.sites["site_id"].iloc[0]
    assert names(heard(given, market, plan)[0]) == []


def test_everybody_within_reach_of_a_limit_is_looked_at_and_nobody_beyond(town, market, plan):
    loud = sound_of(town([LOT]), plan)
    # 3 MW need 15 machines. To know that they stay 3 dB below the limit, 30 are searched for.
    assert count_heard_machines(plan) == 30
    reach = noise_reach_m(loud, 50.0, 30)
    # The reach counts from the measuring point, which is at most 25 ft (7.62 m) beyond the line.
    near, far = (shapely.box(40 + at, 0, 60 + at, 40) for at in (reach - 1, reach + 9))
    colorado = under(market, "colorado")
    assert names(heard(town([LOT], homes=[near]), colorado, plan)[0]) == [("home", 50, True, True)]
    assert names(heard(town([LOT], homes=[far]), colorado, plan)[0]) == []
    # With 30 machines running together, no level at the reach is over 50 dB(A).
    away = 10 * np.log10(30) + open_field_dba(loud, np.array([reach]), 1.5)[0]
    assert away <= 50


def test_receptors_stand_loudest_bound_first_within_each_kind_of_limit(town, market, plan):
    homes = [shapely.box(40 + 15 * n, 0, 50 + 15 * n, 40) for n in (3, 0, 2, 1)]
    who, _ = heard(town([LOT, shapely.box(200, 0, 240, 40)], homes=homes), market, plan)
    key = list(zip(who.site, who.column("by_rule"), -who.bound_db, strict=True))
    assert key == sorted(key)
    first = who.column("receptor_id")[(who.site == 0) & who.column("by_rule")]
    assert first.tolist() == ["H1", "H3", "H2", "H0"]


# ---------------------------------------------------------------------------------------------
# Homes on the site itself


def test_homes_on_the_site_are_heard_at_their_facade(town, market, plan):
    house = shapely.box(30, 0, 40, 40)
    given = town([LOT], buildings=[house], own_dwelling=True)
    # The rule protects only other people's land, so only the plan's limit applies here.
    who, _, row = judged(given, under(market, "colorado"), plan, 10, 20)
    assert names(who) == [("own dwelling", 69, False, True)]
    assert who.column("height_m").tolist() == [plan.noise.facade_height_m]
    assert row["receptor_distance_m"] == pytest.approx(20)


def test_a_rule_about_dwellings_holds_for_those_on_the_site_too(town, market, plan):
    given = town([LOT], buildings=[shapely.box(30, 0, 40, 40)], own_dwelling=True)
    who, _ = heard(given, under(market, "hud"), plan)
    hud = 65 - 10 * np.log10(105 / 24)
    assert names(who) == [
        ("own dwelling", pytest.approx(hud), True, True), ("own dwelling", 69, False, True),
    ]  # fmt: skip


def test_homes_on_the_site_with_no_building_are_unknown_unless_assumed(town, market, plan):
    given = town([LOT], own_dwelling=True)
    plain = under(market, None)
    who, _ = heard(given, plain, plan)
    assert who.own_unknown.tolist() == [True]
    assert who.evidence.tolist() == ["own dwelling"]
    taken = plan.model_copy(update={"assume": Assume(own_dwelling_at_m=10)})
    who, loud, row = judged(given, plain, taken, count=4)
    assert who.own_unknown.tolist() == [False]
    one = open_field_dba(loud, np.array([10.0]), plan.noise.facade_height_m)[0]
    assert row["level_dba"] == pytest.approx(one + 10 * np.log10(4))
    assert (row["pair"], row["receptor_distance_m"]) == (OWN_DWELLING, 10)


# ---------------------------------------------------------------------------------------------
# The edge of the layer


def test_beyond_the_edge_of_the_layer_somebody_may_live(town, market, plan):
    given = town([LOT], coverage=shapely.box(-5, -5, 60, 45))
    who, _, row = judged(given, under(market, "colorado"), plan)
    assert who.evidence.tolist() == ["edge of layer"]
    # It is not known who lives there: a stand-in for each limit counts in the worst case only.
    stand_ins = [("edge of layer", limit, limit != 69, False) for limit in (50, 55, 65, 69)]
    assert names(who) == stand_ins
    # The nearest edges are 25 m away, and no unmapped receptor can be nearer.
    assert row["receptor_distance_m"] == pytest.approx(25)
    assert row["limit_dba"] == 50
    assert len(who.take(who.column("certain")).site) == 0


def test_with_no_coverage_known_somebody_may_live_anywhere(town, market, plan):
    given = town([LOT], coverage=None)
    who, _, row = judged(given, under(market, None), plan)
    assert names(who) == [("edge of layer", 69, False, False)]
    assert np.isfinite(row["level_dba"])


def test_inside_the_coverage_nobody_is_made_up(town, market, plan):
    who, _ = heard(town([LOT]), market, plan)
    assert names(who) == []
    assert who.evidence.tolist() == ["receptors"]


def test_no_receptor_layer_is_unknown_not_a_pass(town, market, plan):
    given = town([LOT])
    del given.layers["receptors"]
    who, _ = heard(given, market, plan)
    assert not who.known
    assert who.evidence.tolist() == ["no layer"]
    assert names(who) == []


# ---------------------------------------------------------------------------------------------
# The ambient level


def massachusetts(town, market, plan, raster=None, *, assumed=None):
    given = town([LOT], homes=[BESIDE])
    if raster is not None:
        given = replace(given, rasters={"ambient": raster})
    if assumed is not None:
        plan = plan.model_copy(update={"assume": Assume(ambient_dba=assumed)})
    return heard(given, under(market, "massachusetts"), plan)[0]


def test_a_relative_limit_is_on_top_of_the_ambient_level(town, market, plan):
    who = massachusetts(town, market, plan, ambient(42.0))
    assert names(who) == [("home", 52, True, True), ("home", 69, False, True)]
    assert who.evidence.tolist() == ["receptors"]
    # A level below the plan's ambient floor counts as the floor, 30 dB(A).
    who = massachusetts(town, market, plan, ambient(21.0))
    assert ("home", 40, True, True) in names(who)


@pytest.mark.parametrize(
    "raster", [None, ambient(np.nan), ambient(42.0, west=90_000.0)], ids=["none", "nodata", "away"]
)
def test_an_ambient_level_that_nobody_knows_is_a_bracket(town, market, plan, raster):
    who = massachusetts(town, market, plan, raster)
    # The worst case is the quietest night, 30 + 10. In the best case there is no such limit.
    assert names(who) == [("home", 40, True, False), ("home", 69, False, True)]
    assert names(who.take(who.column("certain"))) == [("home", 69, False, True)]
    assert who.evidence.tolist() == ["ambient unknown"]
    assert who.ambient_assumed.tolist() == [False]


def test_an_ambient_level_may_be_assumed_where_none_is_known(town, market, plan):
    who = massachusetts(town, market, plan, ambient(np.nan), assumed=35.0)
    assert ("home", 45, True, True) in names(who)
    assert who.ambient_assumed.tolist() == [True]
    assert who.evidence.tolist() == ["receptors"]
    who = massachusetts(town, market, plan, ambient(42.0), assumed=35.0)
    assert ("home", 52, True, True) in names(who)
    assert who.ambient_assumed.tolist() == [False]


def test_an_ambient_grid_in_another_frame_is_read_where_it_lies(town, market, plan):
    lon, lat = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(60, 20)
    values = np.array([[42.0]])
    grid = Raster(values, Affine(0.02, 0, lon - 0.01, 0, -0.02, lat + 0.01), "EPSG:4326")
    assert ("home", 52, True, True) in names(massachusetts(town, market, plan, grid))


# ---------------------------------------------------------------------------------------------
# Where it is measured


@pytest.mark.parametrize(
    ("rule", "away_m"),
    [
        (None, 10.0),  # at the line
        ("massachusetts", 10.0),
        ("colorado", 10 + 7.62),  # 25 ft beyond it
    ],
)
def test_it_is_measured_at_the_line_or_beyond_it(town, market, plan, rule, away_m):
    given = replace(town([LOT], homes=[BESIDE]), rasters={"ambient": ambient(30.0)})
    _, loud, row = judged(given, under(market, rule), plan, 30, 20)
    assert row["receptor_distance_m"] == pytest.approx(away_m)
    level = open_field_dba(loud, np.array([away_m]), plan.noise.receptor_height_m)[0]
    assert row["level_dba"] == pytest.approx(level)


def test_a_lot_across_the_street_is_far_enough_beyond_the_line_already(town, market, plan):
    # With a street of 12 m, the lot's line is more than 7.62 m outside the site's; with 5 m, not.
    for street, away_m in ((12.0, 22.0), (5.0, 17.62)):
        given = town([LOT], homes=[shapely.box(40 + street, 0, 90, 40)])
        row = judged(given, under(market, "colorado"), plan, 30, 20)[2]
        assert row["receptor_distance_m"] == pytest.approx(away_m)


def test_a_facade_rule_is_measured_before_the_building_upstairs(town, market, plan):
    house = shapely.box(55, 10, 65, 30)
    given = town([LOT], homes=[BESIDE], buildings=[house])
    given.layers["buildings"]["height_m"] = np.nan  # so that the house reflects nothing
    who, loud, row = judged(given, under(market, "hud"), plan, 30, 20)
    # The house is 25 m away, and the level is measured 2 m in front of it.
    assert row["receptor_distance_m"] == pytest.approx(25 - 2)
    level = open_field_dba(loud, np.array([23.0]), plan.noise.facade_height_m)[0]
    assert row["level_dba"] == pytest.approx(level)
    assert who.column("height_m")[int(row["pair"])] == plan.noise.facade_height_m


def test_a_facade_rule_where_no_building_is_mapped_is_measured_before_the_lot(town, market, plan):
    row = judged(town([LOT], homes=[BESIDE]), under(market, "hud"), plan, 30, 20)[2]
    assert row["receptor_distance_m"] == pytest.approx(10 - 2)


# ---------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.parametrize("rule", [None, "colorado", "hud"])
@pytest.mark.parametrize("at", [(20, 20), (25, 20), (20.0001, 20)])
def test_a_receptor_inside_the_site_is_at_least_a_metre_off(town, market, plan, rule, at):
    given = town([LOT], homes=[shapely.Point(20, 20)])
    _, _, row = judged(given, under(market, rule), plan, *at)
    one_metre = sound_power_dba(GX230) - 10 * np.log10(2 * np.pi)
    assert 40 < row["level_dba"] <= one_metre + 0.1
    assert row["margin_db"] == pytest.approx(row["limit_dba"] - row["level_dba"])
    assert row["receptor_distance_m"] >= 0
    # At a facade, the measuring point is 2.5 m above the machine.
    assert row["floored"] == (rule != "hud" and row["receptor_distance_m"] < 1)


@pytest.mark.parametrize(("off_m", "floored"), [(0.9, True), (1.1, False)])
def test_it_is_the_nearest_machine_that_is_too_near_not_the_pad(town, market, plan, off_m, floored):
    # The two machines are 0.9144 m to either side of the middle of their pad.
    given = town([LOT], homes=[shapely.Point(20 + 0.9144 + off_m, 20)])
    _, _, row = judged(given, under(market, None), plan, 20, 20, 2)
    assert row["receptor_distance_m"] > 1
    assert row["floored"] == floored


@pytest.mark.parametrize("home", [LOT, shapely.box(-20, -20, 60, 60)], ids=["on it", "round it"])
def test_a_home_that_covers_the_pad_is_measured_at_the_line(town, market, plan, home):
    _, loud, row = judged(town([LOT], homes=[home]), under(market, None), plan)
    assert not row["floored"]
    assert row["receptor_distance_m"] == pytest.approx(20)
    assert row["level_dba"] == pytest.approx(open_field_dba(loud, np.array([20.0]), 1.5)[0])


@pytest.mark.parametrize("height_m", [-8.0, 0.0, np.nan])
def test_buildings_without_a_height_above_ground_screen_nothing(town, market, plan, height_m):
    given = town([LOT], homes=[BESIDE], buildings=[shapely.box(32, 0, 38, 40)])
    plain = judged(town([LOT], homes=[BESIDE]), market, plan)[2]
    given.layers["buildings"]["height_m"] = height_m
    row = judged(given, market, plan)[2]
    assert row["level_dba"] == pytest.approx(plain["level_dba"], abs=1e-9)


def test_an_empty_shape_is_nobody(town, market, plan):
    given = town([LOT], homes=[shapely.Polygon(), BESIDE])
    _, _, row = judged(given, market, plan)
    assert np.isfinite(row["level_dba"])
