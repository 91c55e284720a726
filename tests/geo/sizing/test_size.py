from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.affinity import rotate

from geo import catalogue
from geo.criteria.noise.sound import level_dba, make_noise_source, open_field_dba, rerate_source
from geo.equipment.tanks import list_tank_groups
from geo.model import Setback
from geo.sizing import size
from geo.sizing.placement import some_placement_meets_limits
from tests.geo.conftest import BARE_MACHINE, CRS, SETBACKS

GX230 = BARE_MACHINE
NO_TANKS = np.full(60, None, dtype=object)


@pytest.fixture
def sized(plain_market):
    return partial(size_in, plain_market)


def size_in(market, town_, plan, fuel_lo=25, fuel_hi=None):
    """Size a town whose fuel runs `fuel_lo` to `fuel_hi` machines at every site."""
    loud = make_noise_source(GX230, plan, town_.layers.get("buildings"), None, CRS)
    found = size.size_sites(town_.sites, town_, loud, GX230, market, plan)
    count = len(town_.sites)
    supply = pd.DataFrame(
        {
            "fuel_n_lo": np.broadcast_to(fuel_lo, count).copy(),
            "fuel_n_hi": np.broadcast_to(fuel_lo if fuel_hi is None else fuel_hi, count).copy(),
        }
    )
    return found, size.deploy_fuel(found, supply, plan)


# A lot of 46 by 46 m leaves 40 by 40 m inside 3 m setbacks, room for any 25. The distance d of a
# home's lot decides how many machines may run: at one spot, n = floor((d / 7)^2).
LOT = shapely.box(0, 0, 46, 46)


def home_at(meters):
    return shapely.box(46 + meters, 0, 66 + meters, 46)


def test_nothing_stops_it_but_the_plan(town, sized, plan):
    _, got = sized(town([LOT]), plan)
    assert got.iloc[0].tolist() == [25, 25, "cap", "cap", None]


def test_the_neighbors_stop_it_and_fuel_is_next(town, sized, plan):
    small = shapely.box(0, 0, 12, 12)  # 6 by 6 m of ground: four machines
    near = shapely.box(14, 0, 30, 12)
    found, got = sized(town([small], homes=[near]), plan, fuel_lo=3)
    row = got.iloc[0]
    # The ground fits 4. The farthest corner is 14 m from the home: floor(2^2) = 4 at one point, but
    # a real block's center is nearer: (14 - 3 - 1.37) / 7 squared is 1.9, so one.
    assert found.pad_n.tolist() == [4]
    assert found.noise_n.tolist() == [4]
    assert row["n_lo"] == row["n_hi"] == 1
    assert (row["binding"], row["runner_up"]) == ("pad", "fuel")


def test_waiving_noise_alone_gives_most(town, sized, plan):
    found, got = sized(town([shapely.box(0, 0, 20, 20)], homes=[shapely.box(20, 0, 40, 20)]), plan)
    # 14 by 14 m of ground fits 25 (13.1 by 10.1); neighbors allow floor((20 / 7)^2) = 8 to run.
    assert found.pad_n.tolist() == [25]
    assert found.noise_n.tolist() == [8]
    assert got["binding"].tolist() == ["noise"]
    assert got["runner_up"].tolist() == ["cap"]


def test_the_stricter_of_plan_and_rule_decides(town, market, plain_market, plan):
    # One machine at the far side of the lot, 52 m from a home, gives 51.3 dB(A). The plan's 69
    # allow 25 machines. Colorado's 50 at night allow one: 7.62 m farther away the level is 1.2 dB
    # lower, and the air absorbs the rest.
    lot = shapely.box(0, 0, 57, 12)
    some = town([lot], homes=[shapely.box(57, -100, 200, 100)])
    found, _ = size_in(plain_market, some, plan)
    by_rule, got = size_in(market, some, plan)
    facts = size.describe_sites(
        some.sites, some, by_rule, got, NO_TANKS[: len(some.sites)], market
    ).iloc[0]
    assert found.place_lo[0] == facts["noise_n_plan"] == 25
    assert got["n_lo"].tolist() == [facts["noise_n_rule"]] == [1]
    assert (got["binding"][0], facts["governs"], facts["limit_dba"]) == ("noise", "local rule", 50)
    assert facts["noise_margin_rule_db"] == facts["noise_slack_db"]
    assert facts["noise_margin_plan_db"] == pytest.approx(69 - 51.3, abs=0.3)


def test_a_market_without_a_rule_has_no_machines_by_one(town, sized, plain_market, plan):
    some = town([LOT], homes=[home_at(5)])
    found, got = sized(some, plan)
    facts = size.describe_sites(
        some.sites, some, found, got, NO_TANKS[: len(some.sites)], plain_market
    ).iloc[0]
    assert np.isnan(facts["noise_n_rule"])
    assert np.isnan(facts["noise_margin_rule_db"])
    assert facts["governs"] == "plan"


def test_an_ambient_level_that_nobody_knows_is_a_bracket_and_says_what_would_do(town, market, plan):
    # One machine is at most 70 m from the home, and the worst-case limit is 40 dB(A), so a machine
    # is allowed only if the ambient level is known.
    massachusetts = market.model_copy(update={"noise_rule": "massachusetts"})
    some = town([shapely.box(0, 0, 73, 12)], homes=[shapely.box(73, -100, 200, 100)])
    found, got = size_in(massachusetts, some, plan)
    facts = size.describe_sites(
        some.sites, some, found, got, NO_TANKS[: len(some.sites)], massachusetts
    ).iloc[0]
    assert got.iloc[0][["n_lo", "n_hi"]].tolist() == [0, 25]
    assert (facts["noise_evidence"], facts["noise_class"]) == ("ambient unknown", "not known")
    # The ambient level needed is 10 dB below the level of one machine at the quietest spot, about
    # 70 m from the home's line.
    spot = np.array([73.0])
    one = open_field_dba(found.scene.sound, spot, 1.5)[0]
    assert one - 10.000001 <= facts["ambient_needed_dba"] <= one - 10 + 20 * np.log10(73 / 69)


def test_passes_with_three_decibels_and_is_marginal_with_less(town, sized, plain_market, plan):
    # The quietest spot is the far side of the lot, `away_m` from the home.
    for away_m, said in ((11.0, "pass"), (8.5, "marginal"), (6.0, "fail")):
        some = town([shapely.box(0, 0, 4, 4)], homes=[shapely.box(away_m, -50, 90, 50)])
        found, got = sized(some, plan)
        facts = size.describe_sites(
            some.sites, some, found, got, NO_TANKS[: len(some.sites)], plain_market
        ).iloc[0]
        margin = 69 - open_field_dba(found.scene.sound, np.array([away_m]), 1.5)[0]
        assert facts["one_machine_margin_db"] == pytest.approx(margin, abs=0.2)
        assert facts["noise_class"] == said


def test_fuel_binds_and_several_bind(town, sized, plan):
    _, got = sized(town([LOT]), plan, fuel_lo=6)
    assert got.iloc[0].tolist() == [6, 6, "fuel", "fuel", "cap"]
    _, got = sized(town([shapely.box(0, 0, 8, 8)]), plan, fuel_lo=0)
    # 2 by 2 m of ground fits none and there is no gas: neither waiver helps alone.
    assert got.iloc[0].tolist() == [0, 0, "several", "pad and fuel", None]


def test_unknown_fuel_is_a_bracket(town, sized, plan):
    _, got = sized(town([LOT]), plan, fuel_lo=0, fuel_hi=25)
    assert got.iloc[0][["n_lo", "n_hi", "binding"]].tolist() == [0, 25, "fuel"]


def test_spares_stand_on_the_pad_but_are_not_heard(town, sized, plan):
    near = town([LOT], homes=[home_at(0)])
    spare = plan.model_copy(update={"spares": 2})
    n = sized(near, plan)[1]["n_lo"].iloc[0]
    # The two spares stand in the block too, so it has up to two more machines, never fewer.
    assert n <= sized(near, spare)[1]["n_lo"].iloc[0] <= n + 2
    assert sized(town([LOT]), spare, fuel_lo=4)[1]["n_lo"].tolist() == [6]
    assert sized(town([LOT]), spare, fuel_lo=0)[1]["n_lo"].tolist() == [0]


def test_no_receptor_layer_is_unknown_not_a_pass(town, sized, plan):
    bare = town([LOT])
    del bare.layers["receptors"]
    _, got = sized(bare, plan)
    assert got.iloc[0][["n_lo", "n_hi"]].tolist() == [0, 25]


def test_the_edge_of_the_layer_is_a_bracket(town, sized, plan):
    lot = shapely.box(0, 0, 20, 20)
    edge = shapely.box(-500, -500, 24, 500)  # the layer stops 4 m east of the lot
    _, got = sized(town([lot], coverage=edge), plan)
    row = got.iloc[0]
    assert row["n_hi"] == 25
    assert 1 <= row["n_lo"] < 25
    # In the worst case, homes are assumed all along that edge.
    along = shapely.box(24, -200, 44, 200)
    assert row["n_lo"] == sized(town([lot], homes=[along]), plan)[1]["n_lo"].iloc[0]


def test_no_building_layer_is_unknown_unless_the_plan_takes_the_parcel_as_bare(town, sized, plan):
    bare = town([LOT])
    del bare.layers["buildings"]
    assert sized(bare, plan)[1].iloc[0][["n_lo", "n_hi"]].tolist() == [0, 25]
    assumed = plan.assume.model_copy(update={"bare_parcel": True})
    taken = plan.model_copy(update={"assume": assumed})
    assert sized(bare, taken)[1].iloc[0][["n_lo", "n_hi"]].tolist() == [25, 25]


def crowd(count, seed):
    """Return lots of many shapes in a row, each with a shed and a home somewhere near."""
    draw = np.random.default_rng(seed)
    lots, sheds, homes = [], [], []
    for number in range(count):
        x, width, height = 150.0 * number, *draw.uniform(9, 45, 2)
        lot = shapely.box(x, 0, x + width, height)
        if draw.random() < 0.4:
            lot = lot.difference(shapely.box(x + width / 2, height / 2, x + width, height))
        turn = draw.uniform(0, 90)
        lots.append(rotate(lot, turn, origin=(x, 0)))
        shed_x, shed_y = x + draw.uniform(0, width), draw.uniform(0, height)
        shed = shapely.box(
            shed_x, shed_y, shed_x + draw.uniform(2, 12), shed_y + draw.uniform(2, 12)
        )
        sheds.append(rotate(shed, turn, origin=(x, 0)))
        away = draw.uniform(0, 40)
        home = shapely.box(x + width + away, -5, x + width + away + 15, 15)
        homes.append(rotate(home, turn, origin=(x, 0)))
    return lots, homes, sheds


def test_bisection_finds_what_counting_up_finds(town, sized, plan):
    lots, homes, sheds = crowd(60, 3)
    some = town(lots, homes=homes, buildings=sheds)
    found, got = sized(some, plan)
    everyone = np.arange(len(lots))
    best = np.zeros(len(lots), dtype=int)
    for n in range(1, plan.cap + 1):
        asked = everyone[found.pad_n >= n]
        best[
            asked[
                some_placement_meets_limits(found.scene, asked, np.full(len(asked), n), worst=True)
            ]
        ] = n
    assert got["n_lo"].tolist() == best.tolist()
    assert len(set(best)) > 5


def test_shuffled_sites_and_neighbors_change_nothing(town, sized, plan):
    lots, homes, sheds = crowd(25, 5)
    order = np.random.default_rng(1).permutation(25)
    _, straight = sized(town(lots, homes=homes, buildings=sheds), plan)
    shuffled = town(
        [lots[i] for i in order], homes=homes[::-1], buildings=[sheds[i] for i in order[::-1]]
    )
    _, mixed = sized(shuffled, plan)
    assert mixed["n_lo"].tolist() == straight["n_lo"].to_numpy()[order].tolist()
    assert mixed["binding"].tolist() == straight["binding"].to_numpy()[order].tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"pad": {"setbacks": {"other": Setback(front_m=5, side_m=5, rear_m=5, home_m=5)}}},
        {"pad": {"building_clearance_m": 4.0}},
        {"noise": {"limit_dba": 65.0}},
    ],
)
def test_a_stricter_rule_never_adds_a_machine(town, sized, plan, change):
    lots, homes, sheds = crowd(40, 11)
    # There is no zoning text, so the plan's setbacks apply.
    some = town(lots, homes=homes, buildings=sheds, **dict.fromkeys(SETBACKS, np.nan))
    part, rules = next(iter(change.items()))
    strict = plan.model_copy(update={part: getattr(plan, part).model_copy(update=rules)})
    assert (sized(some, strict)[1]["n_lo"] <= sized(some, plan)[1]["n_lo"]).all()


def test_wider_aisles_never_make_more_room(town, sized, plan):
    # Noise may still allow more machines: if they are farther apart, fewer are near one neighbor.
    lots, homes, sheds = crowd(40, 11)
    some = town(lots, homes=homes, buildings=sheds)
    wide = plan.model_copy(update={"pad": plan.pad.model_copy(update={"service_m": 1.5})})
    assert (sized(some, wide)[0].pad_n <= sized(some, plan)[0].pad_n).all()


def level_at_home(row, home, found):
    """Return the level of the drawn machines at the point of the home nearest the pad's middle."""
    middle = shapely.centroid(row["block"])
    at = shapely.get_coordinates(shapely.shortest_line(middle, home))[1]
    source = np.array([(*shapely.centroid(one).coords[0], 1.5) for one in row["machines"].geoms])
    receiver = np.tile([*at, 1.5], (len(source), 1))
    each = level_dba(found.scene.sound, source, receiver)
    return 10 * np.log10((10 ** (each / 10)).sum())


def test_what_is_described_is_what_was_sized(town, sized, plain_market, plan):
    lots, homes, sheds = crowd(40, 23)
    some = town(lots, homes=homes, buildings=sheds)
    found, got = sized(some, plan)
    facts = size.describe_sites(
        some.sites, some, found, got, NO_TANKS[: len(some.sites)], plain_market
    )
    placed = (got["n_lo"] > 0).to_numpy()
    assert (facts.loc[placed, "placed_n"] == got.loc[placed, "n_lo"]).all()
    assert (facts.loc[placed, "noise_slack_db"].dropna() >= 0).all()
    assert (facts.loc[placed, "pad_slack_m"] >= 0).all()
    inside = shapely.covers(
        shapely.buffer(found.scene.ground.shapes[placed], 0.005),
        facts.loc[placed, "block"].to_numpy(),
    )
    assert inside.all()
    # Compute the level of each placement at the governing home again, machine by machine.
    named = np.flatnonzero(placed & facts["receptor_id"].notna().to_numpy())
    for row in named:
        level = level_at_home(facts.iloc[row], homes[int(facts["receptor_id"][row][1:])], found)
        assert facts["level_dba"][row] == pytest.approx(level, abs=0.001)
    assert len(named) > 10
    stopped = (got["binding"] == "noise").to_numpy()
    assert stopped.any()
    assert (facts.loc[stopped, "noise_short_by_db"] > 0).all()


def test_a_wall_and_a_rating_nearer_by_let_more_run(town, sized, plan):
    some = town([shapely.box(0, 0, 20, 20)], homes=[shapely.box(20, 0, 40, 20)])
    plain, _ = sized(some, plan)
    loud, everyone = plain.scene.sound, np.arange(1)
    walled = size.resize_under_lever(
        plain, some.sites, some, everyone, plan, replace(loud, wall_height_m=3.0)
    )
    assert plan.cap >= walled.place_lo[0] > plain.place_lo[0]
    # The level is 16.9 dB lower, so the ground is what limits the number.
    rated = size.resize_under_lever(
        plain, some.sites, some, everyone, plan, rerate_source(loud, GX230, 1.0)
    )
    assert rated.place_lo[0] == rated.pad_n[0] == plain.pad_n[0]
    assert {one.wall_height_m for one in plan.levers.values()} >= {3.0}


def test_what_is_drawn_at_best_holds_the_limit_where_somebody_really_lives(
    town, sized, plain_market, plan
):
    # A home is 16 m west, and nothing is mapped beyond x = 22. In the best case only that home
    # counts.
    lot, home = shapely.box(0, 0, 20, 40), shapely.box(-26, 0, -16, 40)
    some = town([lot], homes=[home])
    some.coverage["receptors"] = shapely.box(-500, -500, 22, 500)
    found, got = sized(some, plan, fuel_lo=0, fuel_hi=25)
    facts = size.describe_sites(
        some.sites, some, found, got, NO_TANKS[: len(some.sites)], plain_market
    )
    assert got["n_lo"].tolist() == [0]
    assert facts["placed_n"].tolist() == got["n_hi"].tolist()
    assert facts["level_dba"].iloc[0] <= 69
    level = level_at_home(facts.iloc[0], home, found)
    assert facts["level_dba"].iloc[0] == pytest.approx(level, abs=0.001)


def test_where_the_flood_layer_ends_the_ground_is_not_known(town, layer, sized, plain_market, plan):
    some = town([LOT, shapely.box(60, 0, 106, 46)])
    some.layers["exclusions"] = layer([], kind=[], name=[])
    some.coverage["exclusions"] = shapely.box(-500, -500, 50, 500)
    found, got = sized(some, plan)
    assert got["n_lo"].tolist() == [25, 0]
    assert got["n_hi"].tolist() == [25, 25]
    facts = size.describe_sites(
        some.sites, some, found, got, NO_TANKS[: len(some.sites)], plain_market
    )
    assert facts["pad_evidence"].tolist() == ["buildings", "edge of layer"]


def test_the_quietest_spot_is_never_louder_than_the_middle_of_the_lot(town, market, plan):
    # A building east of the lot screens only the middle of the lot from the homes behind it.
    some = town(
        [LOT],
        homes=[shapely.box(LOT.bounds[2] + 40, -200, LOT.bounds[2] + 60, 200)],
        buildings=[shapely.box(LOT.bounds[2] + 1, -6, LOT.bounds[2] + 4, 60)],
    )
    found, _ = size_in(market, some, plan)
    assert (found.alone_worst["quiet_side_db"] >= 0).all()


def test_a_lever_leaves_a_bare_parcel_no_more_than_its_tanks_do(town, sized, plan):
    # 60 m2 are open. Tanks take part of that area, and a smaller setback does not return it.
    some = town([shapely.box(0, 0, 60, 60)], building_area_m2=3540.0, storeys=1.0)
    del some.layers["buildings"]
    taken = plan.assume.model_copy(update={"bare_parcel": True})
    rules = plan.model_copy(update={"assume": taken})
    found, _ = sized(some, rules)
    groups = list_tank_groups(
        catalogue.read_fuels()["propane"], catalogue.read_generators()["gx230"], rules
    )
    beside, kept = size.resize_beside_tanks(found, some.sites, some, groups)
    assert kept.body[0] is not None
    nearer = rules.model_copy(update={"pad": rules.pad.model_copy(update={"setback_most_m": 1.0})})
    eased = size.resize_under_lever(
        beside, some.sites, some, np.arange(1), nearer, beside.scene.sound
    )
    assert eased.pad_n[0] == beside.pad_n[0] < found.pad_n[0]
