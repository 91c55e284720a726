import numpy as np
import pandas as pd
import pytest
import shapely

from geo import catalogue, screen
from geo.equipment.ranges import fuel_share_most
from geo.model import Range, Ranges
from geo.sizing.fuel_options import FuelOption
from geo.sizing.needed import judge_needed
from tests.geo.conftest import make_layer, make_mains
from tests.geo.sizing.conftest import LOT, home_at

GAS = catalogue.read_fuels()["natural_gas"]


def option(found, got, *, capacity=np.inf, assumed=None, route="plant"):
    """Return one fuel that is delivered by `route`, with what it can supply."""
    count = len(got)
    supply = pd.DataFrame(
        {
            "fuel_demand": 2000.0,
            "fuel_capacity": np.broadcast_to(capacity, count).astype(float),
            "main_distance_m": 10.0,
            "storage": np.full(count, None, dtype=object),
            "fuel_assumed": np.full(count, assumed, dtype=object),
        }
    )
    return FuelOption(GAS, route, found, supply, got)


def judge(some, options, needed, plan):
    counts = np.broadcast_to(needed, len(some.sites)).astype(int)
    return judge_needed(tuple(options), counts, some, some.sites, plan)


def test_the_margin_of_what_the_load_needs(town, sized, plan, described):
    some = town([LOT], homes=[home_at(0)])
    found, got = sized(some, plan)
    n = int(got["n_lo"].iloc[0])
    assert n > 3
    margins = {
        needed: judge(some, [option(found, got)], needed, plan).facts["margin_db"].iloc[0]
        for needed in (0, 1, n // 2, n, n + 1)
    }
    # None is needed, or more than fit.
    assert np.isnan(margins[0])
    assert np.isnan(margins[n + 1])
    assert margins[n] == described(some, found, got)["noise_slack_db"].iloc[0]
    # Half as many are about 3 dB quieter, and find a quieter place.
    assert margins[n // 2] >= margins[n] + 10 * np.log10(n / (n // 2)) - 0.1
    assert margins[1] > margins[n // 2]
    # One machine on the ground is no quieter than on the whole lot.
    assert margins[1] <= found.alone_worst["margin_db"].iloc[0] + 0.1


def test_the_margin_is_infinite_where_nobody_hears_it(town, sized, plan):
    some = town([LOT])
    found, got = sized(some, plan)
    facts = judge(some, [option(found, got)], 4, plan).facts.iloc[0]
    assert facts["margin_db"] == np.inf
    # 4 machines of 2000 take 80 % of 10 000.
    some_gas = judge(some, [option(found, got, capacity=10_000)], 4, plan).facts.iloc[0]
    assert some_gas["fuel_share"] == pytest.approx(0.8)
    assert (facts["line_m"], facts["access"]) == (10, "reached")


@pytest.mark.parametrize(
    ("first", "needed", "expected"),
    [
        ({}, 4, 0),  # the plan's first fuel does
        ({"capacity": 9_000.0}, 4, 1),  # 4 take 89 % of it: the second keeps the margin
        ({"assumed": "likely gas main"}, 4, 1),  # it depends on an assumption
        ({"capacity": 9_000.0}, 30, 0),  # neither carries 30: the first of equals
    ],
)
def test_the_first_fuel_that_keeps_the_margins_is_used(town, sized, plan, first, needed, expected):
    some = town([LOT])
    found, got = sized(some, plan)
    options = [option(found, got, **first), option(found, got)]
    assert judge(some, options, needed, plan).option.tolist() == [expected]


def test_where_no_fuel_keeps_the_margins_the_one_that_carries_more_is_used(town, sized, plan):
    some = town([LOT])
    found, few = sized(some, plan, fuel_lo=2)
    _, many = sized(some, plan, fuel_lo=3)
    options = [option(found, few, capacity=4_500), option(found, many, capacity=7_000)]
    # 2 or 3 of 4 that are needed; one is carried by either.
    assert judge(some, options, 4, plan).option.tolist() == [1]
    assert judge(some, options, 1, plan).option.tolist() == [0]


def test_a_pad_that_cannot_be_reached_is_passed_over(town, sized, plan):
    some = town([LOT])
    # A yard wall encloses all but a strip along the street.
    wall = shapely.boundary(shapely.box(1, 1, 45, 45)).buffer(0.3)
    some.layers["buildings"] = make_layer([wall], height_m=3.0)
    found, got = sized(some, plan)
    facts = judge(some, [option(found, got)], 4, plan).facts.iloc[0]
    assert facts["access"] == "blocked"


def test_a_margin_holds_at_the_least_favorable_value_of_an_assumption(plan):
    # 80 % of a plant; at 25 % efficiency instead of 33 %, machines take 1.32 times as much.
    assert fuel_share_most("plant", plan) == pytest.approx(0.8 * 0.25 / 0.33)
    # If only 15 % of a main are free, not 25 %, they take 1.67 times as much.
    assert fuel_share_most("main", plan) == pytest.approx(0.8 * 0.15 / 0.25)
    # Tanks are there for the site alone.
    assert fuel_share_most("storage", plan) == pytest.approx(0.25 / 0.33)
    narrow = Range(lo=0.33, hi=0.33, source="measured")
    sure = plan.model_copy(update={"ranges": Ranges(efficiency=narrow)})
    assert fuel_share_most("plant", sure) == pytest.approx(0.8)
    # Without a range, the share may be anything.
    assert fuel_share_most("main", sure) == 0


def feeder(headroom_kw):
    return make_layer(
        [shapely.LineString([(0, -5), (40, -5)])],
        record_id=["F1"], kind=["load"], grain=["feeder"], headroom_kw=[headroom_kw],
        committed_included=[True], as_of=pd.Timestamp("2026-01-01"),
    )  # fmt: skip


def test_each_load_has_its_own_generators_and_margin(town, plain_market, plan):
    main = make_mains([(shapely.LineString([(-500, -10), (900, -10)]), 8, "high")])
    some = town([LOT], homes=[home_at(30)], mains=main)
    some.layers["capacity"] = feeder(0.0)
    row = screen.screen_sites(some, plain_market, plan).iloc[0]
    # 200, 1000 and 3000 kW need 1, 5 and 15 machines of 200 kW.
    counts = [row[f"needed_hi_at_{kw}_kw"] for kw in (200, 1000, 3000)]
    assert counts == [1, 5, 15]
    margins = [row[f"margin_at_{kw}_kw"] for kw in (200, 1000, 3000)]
    assert margins[0] > margins[1] > margins[2] > 0
    shares = [row[f"fuel_share_at_{kw}_kw"] for kw in (200, 1000, 3000)]
    assert shares == pytest.approx([shares[0], 5 * shares[0], 15 * shares[0]])
    assert row["needed_margin_db"] == margins[1]
    # The most that keep 3 dB: more than a load with more, fewer than one with less.
    for count, margin in zip(counts, margins, strict=True):
        assert (count <= row["margin_n"]) == (margin >= 3)


def test_nothing_is_judged_for_a_load_that_the_grid_may_supply(town, plain_market, plan):
    some = town([LOT])
    some.layers["capacity"] = feeder(500.0)
    row = screen.screen_sites(some, plain_market, plan).iloc[0]
    assert np.isnan(row["margin_at_200_kw"])
    assert np.isnan(row["fuel_share_at_200_kw"])
    # 1000 kW: 500 kW are short, three machines.
    assert row["needed_hi_at_1000_kw"] == 3
