import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from pydantic import ValidationError

from geo import screen
from geo.model import CallPlan, Plan, Range, Ranges
from geo.ranking import rank
from tests.geo.conftest import make_layer
from tests.geo.ranking.conftest import LOT, make_capacity, make_complete_town

NIGHT = dt.date(2026, 6, 1)
DATE, OLD = pd.Timestamp("2026-01-01"), pd.Timestamp("2012-01-01")


@pytest.fixture
def gas_plan(plan):
    return plan.model_copy(update={"fuels": ("natural_gas",)})


@pytest.fixture
def quiet_plan(gas_plan):
    """Return the plan with a limit of 58 dB(A), so that homes nearby matter."""
    return gas_plan.model_copy(
        update={"noise": gas_plan.noise.model_copy(update={"limit_dba": 58.0})}
    )


def change_ranges(plan, **changes):
    return plan.model_copy(update={"ranges": plan.ranges.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("inches", "headroom_kw", "expected"),
    [
        (8, 300.0, ("short", 4, "yes")),  # the main runs many more than the 4 that are needed
        (2, 850.0, ("short", 1, "check first")),  # one takes 62 % of a quarter of the 2 in main,
        # and more than all of it if only 15 % are free
        (2, 750.0, ("short", 2, "no")),  # one fits, and two are needed
        (np.nan, 300.0, ("short", 4, "check first")),  # from none to the cap: nobody knows
        (8, 1500.0, ("covered", 0, "no")),
    ],
)
def test_only_what_surely_carries_enough_is_a_yes(
    ranked_in, gas_plan, inches, headroom_kw, expected
):
    row = ranked_in(make_complete_town(headroom_kw=headroom_kw, inches=inches), gas_plan).iloc[0]
    assert (row["gap_class"], row["needed_lo"], row["call"]) == expected


def test_each_load_has_its_own_call(ranked_in, gas_plan):
    row = ranked_in(make_complete_town(headroom_kw=300.0), gas_plan).iloc[0]
    # The grid supplies 200 kW. 1 MW needs 4 generators, 3 MW 14 of the 25 that fit.
    assert [row[f"call_{kw}"] for kw in (200, 1000, 3000)] == ["no", "yes", "yes"]
    assert row["call"] == row["call_1000"]
    assert row["checks"] is None
    assert row["check_count"] == 0


def test_carrying_some_but_not_enough_is_not_a_yes(ranked_in, gas_plan):
    # The ground, 6 by 10 m, holds a few generators; 3 MW needs 14.
    small = shapely.box(0, 0, 12, 16)
    row = ranked_in(make_complete_town([small], headroom_kw=300.0), gas_plan).iloc[0]
    assert 4 <= row["n_lo"] < 14
    assert [row["call_1000"], row["call_3000"]] == ["yes", "no"]
    # What the grid supplies, and the generators that fit.
    assert row["largest_yes_kw"] == 300 + 200 * row["n_lo"]


def test_the_largest_load_keeps_the_margins_of_a_yes(ranked_in, quiet_plan):
    home = shapely.box(55, -20, 75, 70)
    town = make_complete_town(headroom_kw=0.0, homes=[home])
    row = ranked_in(town, quiet_plan).iloc[0]
    wanted = quiet_plan.model_copy(update={"call": CallPlan(noise_margin_db=0.0)})
    most = ranked_in(town, wanted).iloc[0]
    # Up to the limit itself, all that fit are a yes. 3 dB below, about half as many are.
    assert most["largest_yes_kw"] == 200 * most["n_lo"]
    assert 0.4 * most["n_lo"] <= row["largest_yes_kw"] / 200 <= 0.75 * most["n_lo"]
    for kw in (200, 1000, 3000):
        assert (row[f"call_{kw}"] == "yes") == (kw <= row["largest_yes_kw"])


def test_the_largest_load_stops_at_the_hosting_capacity(ranked_in, gas_plan):
    # 650 kW may run in parallel: three generators.
    row = ranked_in(make_complete_town(headroom_kw=100.0, hosting_kw=650.0), gas_plan).iloc[0]
    assert row["largest_yes_kw"] == 100 + 3 * 200
    island = gas_plan.model_copy(update={"call": CallPlan(parallel=False)})
    alone = ranked_in(make_complete_town(headroom_kw=100.0, hosting_kw=650.0), island).iloc[0]
    # Neighbors were searched as far as 30 are heard, so that 15 stay 3 dB below anybody's limit.
    assert alone["largest_yes_kw"] == 100 + 15 * 200


@pytest.mark.parametrize(
    ("spoil", "asked"),
    [
        ({"hosting_kw": 700.0}, "hosting capacity is 700 kW"),
        ({"hosting_kw": np.nan}, "no hosting capacity is published here"),
        ({"inches": np.nan}, "Gas utility: the size or pressure of the gas main"),
        ({"inches": 3}, "whether it can spare the fuel of 4 generators"),
    ],
)
def test_what_is_not_sure_is_to_be_checked(ranked_in, gas_plan, spoil, asked):
    row = ranked_in(make_complete_town(headroom_kw=300.0, **spoil), gas_plan).iloc[0]
    assert row["call"] == "check first"
    assert asked in row["checks"]
    assert row["checks"].endswith("it is a yes")
    assert np.isnan(row["largest_yes_kw"]) or row["largest_yes_kw"] < 1000


@pytest.mark.parametrize(
    ("take", "asked"),
    [
        (
            "exclusions",
            "Site visit: flood zones, wetland, easements and railroad land; there",
        ),
        ("elevation", "Site visit: ground heights; there is no complete map of them here"),
        ("buildings", "Site visit: "),
        ("capacity", "Electric utility: whether it could supply 1 MW here now"),
        ("mains", "Gas utility: "),
        ("receptors", "Planning office: "),
        ("lots", "Site visit: "),
    ],
)
def test_a_layer_less_is_never_a_yes(ranked_in, gas_plan, take, asked):
    town = make_complete_town(headroom_kw=300.0)
    assert ranked_in(town, gas_plan).iloc[0]["call"] == "yes"
    town.layers.pop(take, None)
    town.rasters.pop(take, None)
    row = ranked_in(town, gas_plan).iloc[0]
    assert row["call"] == "check first"
    assert asked in row["checks"]


def test_a_site_near_a_neighbor_must_keep_three_decibels(ranked_in, quiet_plan):
    # The nearer the home, the smaller the margin of the four that are needed.
    calls, margins = [], []
    for meters in (10, 14, 20, 30, 50):
        home = shapely.box(46 + meters, -20, 80 + meters, 70)
        row = ranked_in(make_complete_town(headroom_kw=300.0, homes=[home]), quiet_plan).iloc[0]
        assert row["n_lo"] >= 4
        calls.append(row["call"])
        margins.append(row["needed_margin_db"])
    assert margins == sorted(margins)
    assert calls == ["check first" if margin < 3 else "yes" for margin in margins]
    assert set(calls) == {"check first", "yes"}


def test_a_margin_is_shown_as_below_what_it_misses(ranked_in, gas_plan):
    home = shapely.box(58, -20, 80, 70)
    town = make_complete_town(headroom_kw=300.0, homes=[home])
    margin = ranked_in(town, gas_plan).iloc[0]["needed_margin_db"]
    strict = gas_plan.model_copy(update={"call": CallPlan(noise_margin_db=margin + 0.04)})
    row = ranked_in(town, strict).iloc[0]
    assert row["call"] == "check first"
    assert f"{margin - 0.1:.1f} dB below the limit" in row["checks"]


def test_the_pad_must_be_reached_from_the_street(ranked_in, gas_plan):
    wall = shapely.boundary(shapely.box(1, 1, 45, 45)).buffer(0.3)
    row = ranked_in(make_complete_town(headroom_kw=300.0, buildings=[wall]), gas_plan).iloc[0]
    assert row["call"] == "check first"
    assert "a way 9.8 ft wide from the street to the pad" in row["checks"]


def test_assumed_setbacks_are_to_be_checked(ranked_in, gas_plan):
    town = make_complete_town(headroom_kw=300.0, setback_front_m=np.nan)
    row = ranked_in(town, gas_plan).iloc[0]
    assert row["call"] == "check first"
    assert row["checks"].startswith("Zoning office: the setbacks in zone B-1")


@pytest.mark.parametrize(
    ("name", "lo", "hi", "asked"),
    [
        # Four generators take 4 x 2008 of 0.25 x 51 000 scfh of a 3.5 in main, 63 %.
        ("usable_share", 0.15, 0.5, "Gas utility: how much of the main is free"),
        ("efficiency", 0.2, 0.4, "Maker: the efficiency"),
        # At 12 m instead of 7 the machine is 4.7 dB louder.
        ("rating_distance_m", 1, 12, "Maker: at which distance 69 dB(A) is rated"),
    ],
)
def test_an_assumption_decides_if_the_call_changes_within_its_range(
    ranked_in, quiet_plan, name, lo, hi, asked
):
    home = shapely.box(76, -20, 96, 70)
    town = make_complete_town(headroom_kw=300.0, inches=3.5, homes=[home])
    narrow = {
        key: Range(lo=value, hi=value, source="measured")
        for key, value in (
            ("usable_share", 0.25), ("efficiency", 0.33), ("rating_distance_m", 7.0),
            ("power_factor", 0.95), ("altitude_m", 0.0),
        )
    }  # fmt: skip
    sure = quiet_plan.model_copy(update={"ranges": Ranges(**narrow)})
    assert ranked_in(town, sure).iloc[0]["call"] == "yes"
    row = ranked_in(town, change_ranges(sure, **{name: Range(lo=lo, hi=hi, source="a guess")}))
    assert (row["call"][0], row["check_count"][0]) == ("check first", 1)
    assert asked in row["checks"][0]
    assert "assumptions decide: " in row["data_complete"][0]
    # Without a range, an assumption always decides.
    row = ranked_in(town, change_ranges(sure, **{name: None})).iloc[0]
    assert row["call"] == "check first"
    assert "the plan gives no range" in row["checks"]
    assert np.isnan(row["largest_yes_kw"])


def test_an_assumed_power_factor_decides_where_it_may_close_the_gap(ranked_in, gas_plan):
    # 10 MVA less 9 at 0.95 leave 950 kW, so that 50 kW are short; at 1.0 nothing is.
    capacity = make_capacity(
        np.nan, firm_capacity_mva=[10.0, np.nan], peak_load_mva=[9.0, np.nan],
        committed_load_mva=[0.0, np.nan],
    ).assign(headroom_kw=[np.nan, 9_000.0])  # fmt: skip
    town = make_complete_town()
    town.layers["capacity"] = capacity
    row = ranked_in(town, gas_plan).iloc[0]
    assert (row["gap_class"], row["call"]) == ("short", "check first")
    assert row["checks"] == (
        "Valley Electric: the power factor; 0.95 is assumed, it may be 0.9 to 1. If the answer is "
        "favorable, it is a yes"
    )
    town.layers["capacity"] = capacity.assign(power_factor=0.951)
    assert ranked_in(town, gas_plan).iloc[0]["call"] == "yes"


def test_what_contradicts_is_to_be_checked_and_never_a_no(ranked_in, gas_plan):
    town = make_complete_town(headroom_kw=1500.0)
    town.layers["substations"] = make_layer(
        [shapely.Point(500, 0)], substation_id=["U1"], name=["Mill Pond"], status=["in_service"],
        firm_capacity_mva=[10.0], peak_load_mva=[12.0], committed_load_mva=[0.0],
        owner=["Valley Electric"], as_of=pd.Timestamp("2026-01-01"),
    )  # fmt: skip
    town.coverage["substations"] = shapely.box(-9000, -9000, 9000, 9000)
    row = ranked_in(town, gas_plan).iloc[0]
    assert row["call"] == "check first"
    assert "which figure is right, 1,500 kW" in row["checks"]


def test_calls_come_before_scores_in_the_order(ranked_in, gas_plan):
    # The second lot is as good as the first, but its main is 60 m away, and it is a yes.
    far = shapely.box(200, 50, 246, 96)
    town = make_complete_town([LOT, far], headroom_kw=300.0, setback_front_m=[np.nan, 3.0])
    ranking = ranked_in(town, gas_plan)
    assert ranking["call"].tolist() == ["yes", "check first"]
    assert ranking["score"][0] < ranking["score"][1]


@pytest.mark.parametrize("target", [0, -5, float("nan"), float("inf"), "1 MW"])
@pytest.mark.parametrize("key", ["target_kw", "loads_kw"])
def test_a_load_that_is_no_positive_number_is_refused(plan, key, target):
    raw = plan.model_dump() | {key: [target] if key == "loads_kw" else target}
    with pytest.raises(ValidationError, match=key):
        Plan.model_validate(raw)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"efficiency": {"lo": 0, "hi": 0.4, "source": "x"}}, "efficiency.lo is 0"),
        ({"usable_share": {"lo": 0.1, "hi": 1.4, "source": "x"}}, "above 1"),
        ({"power_factor": {"lo": 1, "hi": 0.9, "source": "x"}}, "lo 1 is above hi 0.9"),
    ],
)
def test_a_range_that_cannot_be_is_refused(given, says):
    with pytest.raises(ValidationError, match=says):
        Ranges.model_validate(given)


def test_a_pad_ramp_in_square_meters_is_replaced(plan):
    raw = plan.model_dump()
    raw["score"]["pad"] = {"weight": 17, "zero_at": 0, "one_at": 20_000}
    pad = Plan.model_validate(raw).score.pad
    assert (pad.weight, pad.zero_at, pad.one_at) == (17, 0, 2)
    raw["score"]["pad"] = {"weight": 17, "zero_at": 1, "one_at": 4}
    assert Plan.model_validate(raw).score.pad.one_at == 4


def make_two(first, second, **columns):
    """Return the two rows of a feeder's load and hosting, and a second hosting record."""
    capacity = make_capacity(300.0, first)
    other = capacity.iloc[[1]].assign(headroom_kw=second, record_id="F2", **columns)
    return pd.concat([capacity, other], ignore_index=True)


@pytest.mark.parametrize(
    ("capacity", "call"),
    [
        (make_two(4_000.0, 4_000.0), "yes"),
        (make_two(100.0, 4_000.0), "check first"),  # on the same poles: it may be the 100
        (make_two(np.nan, 4_000.0), "check first"),  # or the one without a value
        (make_capacity(300.0, 4_000.0, as_of=[DATE, OLD]), "check first"),
    ],
)
def test_hosting_capacity_counts_by_the_lowest_that_the_records_allow(
    ranked_in, gas_plan, capacity, call
):
    town = replace(make_complete_town(), night=NIGHT)
    town.layers["capacity"] = capacity
    row = ranked_in(town, gas_plan).iloc[0]
    assert row["call"] == call
    assert call == "yes" or "may be too old, or another record's" in row["checks"]


def test_tanks_that_run_too_few_are_not_asked_to_spare_fuel(ranked_in, plan):
    # Of 0 to 15 generators, the tanks run 11, whatever the grid turns out to supply.
    rules = plan.model_copy(update={"fuels": ("propane",), "target_kw": 3_000.0})
    town = make_complete_town()
    del town.layers["capacity"]
    row = ranked_in(town, rules).iloc[0]
    assert row["call"] == "check first"
    assert "Site visit: room for more tanks" in row["checks"]
    assert "spare" not in row["checks"]


def test_a_cell_does_not_answer_for_a_feeder_without_a_value(ranked_in, gas_plan):
    capacity = make_two(np.nan, 4_000.0, grain="cell")
    shapes = capacity.geometry.to_numpy(copy=True)
    shapes[2] = shapely.box(-10, -10, 60, 60)
    town = make_complete_town()
    town.layers["capacity"] = capacity.set_geometry(shapes, crs=capacity.crs)
    assert ranked_in(town, gas_plan).iloc[0]["call"] == "check first"


def test_a_power_factor_is_assumed_wherever_it_converts(ranked_in, gas_plan):
    # 0.85 MVA of hosting are 808 kW at 0.95, and 765 kW at 0.9; 800 are needed.
    capacity = make_capacity(300.0, np.nan, headroom_mva=[np.nan, 0.85])
    town = make_complete_town()
    town.layers["capacity"] = capacity
    row = ranked_in(town, gas_plan).iloc[0]
    assert (row["call"], row["check_count"]) == ("check first", 1)
    assert "the power factor; 0.95 is assumed" in row["checks"]
    # With a factor on record, even the plan's own, nothing is assumed.
    town.layers["capacity"] = capacity.assign(power_factor=0.95)
    assert ranked_in(town, gas_plan).iloc[0]["call"] == "yes"


def test_a_rating_without_a_range_decides_even_where_nobody_hears_it(ranked_in, gas_plan):
    row = ranked_in(make_complete_town(), change_ranges(gas_plan, rating_distance_m=None)).iloc[0]
    assert row["call"] == "check first"
    assert "Maker: at which distance" in row["checks"]
    # Rated at 70 m, it is 20 dB louder: neighbors were not searched that far.
    far = change_ranges(gas_plan, rating_distance_m=Range(lo=7, hi=70, source="a guess"))
    assert ranked_in(make_complete_town(), far).iloc[0]["call"] == "check first"


def test_a_grid_that_only_just_covers_the_load_is_no_sure_no(ranked_in, gas_plan):
    # 10.6 less 9.5 MVA are 1045 kW at 0.95, and 990 at 0.9.
    capacity = make_capacity(
        np.nan, firm_capacity_mva=[10.6, np.nan], peak_load_mva=[9.5, np.nan],
        committed_load_mva=[0.0, np.nan],
    ).assign(headroom_kw=[np.nan, 9_000.0])  # fmt: skip
    town = make_complete_town()
    town.layers["capacity"] = capacity
    row = ranked_in(town, gas_plan).iloc[0]
    assert (row["gap_class"], row["call"]) == ("covered", "check first")
    assert "the power factor" in row["checks"]


def test_an_unknown_height_beside_the_neighbor_is_to_be_checked(ranked_in, gas_plan):
    loud = gas_plan.model_copy(
        update={"noise": gas_plan.noise.model_copy(update={"limit_dba": 54.0})}
    )
    home, wall = shapely.box(136, -20, 176, 70), shapely.box(143, -20, 144, 70)
    calls = {}
    for height_m in (15.0, np.nan):
        town = make_complete_town(homes=[home], buildings=[wall])
        town.layers["buildings"]["height_m"] = height_m
        calls[height_m] = ranked_in(town, loud).iloc[0]["call"]
    assert list(calls.values()) == ["check first", "check first"]


def test_the_largest_load_needs_fewer_than_a_load_that_is_no_yes(plain_market, gas_plan):
    facts = screen.screen_sites(make_complete_town(), plain_market, gas_plan)
    facts["access_at_3000_kw"] = "blocked"
    row = rank.rank_sites(facts, gas_plan).iloc[0]
    # 3 MW less 300 kW need 14 generators.
    assert (row["call_1000"], row["call_3000"]) == ("yes", "check first")
    assert row["largest_yes_kw"] == 300 + 13 * 200
