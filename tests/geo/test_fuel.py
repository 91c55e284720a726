import numpy as np
import pandas as pd
import pytest
import shapely

from geo import catalogue
from geo.criteria import fuel
from geo.model import Assume, AssumedMain
from geo.tanks import tanks

GAS, PROPANE = catalogue.fuels()["natural_gas"], catalogue.fuels()["propane"]
AREA = dict.fromkeys(("mains", "buildings"), shapely.box(-9000, -9000, 9000, 9000))
STREET = shapely.LineString([(-100, -20), (100, -20)])


def one(sites, plan, which=GAS, coverage=AREA, shape=None, **layers):
    here = sites([shapely.box(0, 0, 40, 40) if shape is None else shape])
    return fuel.supply(here, layers, coverage, which, catalogue.carrying(), plan).iloc[0]


@pytest.mark.parametrize(
    ("inches", "pressure", "empty_scfh"),
    [
        (4, "high", 80_200),
        (4, "low", 2_350),
        (2, "high", 12_900),
        (8, "medium", 207_200),
        (5, "high", 80_200),
        (12, "low", 14_300),
    ],
)
def test_a_main_carries_what_the_table_says_of_its_size_or_the_next_below(
    sites, mains, plan, inches, pressure, empty_scfh
):
    row = one(sites, plan, mains=mains([(STREET, inches, pressure)]))
    usable = empty_scfh * 0.25
    assert row["fuel_capacity"] == usable
    assert row["fuel_n_lo"] == row["fuel_n_hi"] == min(usable // 2000, plan.cap)
    assert (row["fuel_evidence"], row["main_distance_m"]) == ("main", 20)


@pytest.mark.parametrize(("inches", "pressure"), [(np.nan, "high"), (6, None)])
def test_a_main_of_unknown_size_or_class_is_a_bracket_not_a_zero(
    sites, mains, plan, inches, pressure
):
    row = one(sites, plan, mains=mains([(STREET, inches, pressure)]))
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (0, plan.cap)
    assert np.isnan(row["fuel_capacity"])
    assert row["fuel_evidence"] == "main of unknown size"


@pytest.mark.parametrize(("pressure", "at_best"), [("high", 1), ("medium", 0), ("low", 0)])
def test_a_main_below_the_table_carries_no_more_than_its_smallest(
    sites, mains, plan, pressure, at_best
):
    row = one(sites, plan, mains=mains([(STREET, 1.25, pressure)]))
    # 2 in: 12 900, 5 500 and 380 scfh, a quarter of which runs 1, 0 and 0 machines.
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (0, at_best)
    assert row["fuel_evidence"] == "main"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_mains_equally_near_the_one_that_carries_more_serves(sites, mains, plan, order):
    node = (20, -7)
    rows = [
        (shapely.LineString([(-80, -30), node]), 2.0, "low"),
        (shapely.LineString([node, (120, -30)]), 8.0, "high"),
    ]
    row = one(sites, plan, mains=mains([rows[i] for i in order]))
    assert (row["main_diameter_in"], row["fuel_n_lo"]) == (8.0, 25)


def test_the_plan_may_assume_a_size_and_the_row_says_so(sites, mains, plan):
    assume = Assume(main_size=AssumedMain(diameter_in=4, pressure_class="high"))
    taken = plan.model_copy(update={"assume": assume})
    row = one(sites, taken, mains=mains([(STREET, np.nan, "medium")]))
    # The class is on record and stays: 34 100 x 0.25 / 2000 = 4.26.
    assert row["fuel_n_lo"] == row["fuel_n_hi"] == 4
    assert "4 in" in row["fuel_assumed"]


def test_no_main_is_a_fact_only_inside_the_layer(sites, mains, plan):
    empty = mains([])
    assert one(sites, plan, mains=empty)[["fuel_n_lo", "fuel_n_hi"]].tolist() == [0, 0]
    edge = {"mains": shapely.box(-50, -50, 50, 50)}
    row = one(sites, plan, coverage=edge, mains=empty)
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (0, plan.cap)
    assert row["fuel_evidence"] == "edge of layer"
    assert one(sites, plan, coverage={})["fuel_evidence"] == "no layer"


def test_a_leak_in_the_street_is_a_sign_of_a_main(sites, mains, layer, plan):
    leaks = layer(shapely.points([[10.0, -15.0]]), sign="leak_report")
    row = one(sites, plan, mains=mains([]), gas_signs=leaks)
    assert (row["fuel_evidence"], row["fuel_n_lo"], row["fuel_n_hi"]) == ("sign of a main", 0, 25)
    assume = Assume(main_at_sign=AssumedMain(diameter_in=4, pressure_class="high"))
    taken = plan.model_copy(update={"assume": assume})
    row = one(sites, taken, mains=mains([]), gas_signs=leaks)
    assert row["fuel_n_lo"] == row["fuel_n_hi"] == 10
    assert "4 in, high pressure" in row["fuel_assumed"]


def test_a_known_main_outweighs_a_sign(sites, mains, layer, plan):
    leaks = layer(shapely.points([[10.0, -5.0]]), sign="leak_report")
    row = one(sites, plan, mains=mains([(STREET, 2, "high")]), gas_signs=leaks)
    assert (row["fuel_evidence"], row["fuel_n_lo"]) == ("main", 1)


def stored(sites, plan, *, known=True, group=1):
    groups, here = tanks(PROPANE, plan), sites([shapely.box(0, 0, 60, 60)])
    body = np.array([shapely.MultiPolygon([shapely.box(0, 0, 2, 9)])], dtype=object)
    return fuel.by_storage(
        here, groups, np.array([group]), body, np.array([known]), PROPANE, plan
    ).iloc[0]


def test_tanks_run_what_they_feed(sites, plan):
    row = stored(sites, plan)
    # The second smallest: 6500 gal; 5200 / 72 h = 72.2 gal/h; / 22.6 = 3.2 machines.
    assert (row["storage_count"], row["storage_capacity"], row["storage_unit"]) == (1, 6500, "gal")
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (3, 3)
    assert row["fuel_capacity"] == pytest.approx(5200 / 72)
    assert row["fuel_evidence"] == "storage"


def test_no_tank_runs_none(sites, plan):
    row = stored(sites, plan, group=-1)
    assert np.isnan(row["storage_capacity"])
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (0, 0)


def test_where_buildings_are_not_known_the_tank_is_only_a_best_case(sites, plan):
    row = stored(sites, plan, known=False)
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (0, 3)
    taken = plan.assume.model_copy(update={"bare_parcel": True})
    row = stored(sites, plan.model_copy(update={"assume": taken}), known=False)
    assert (row["fuel_n_lo"], row["fuel_assumed"]) == (3, fuel.NO_BUILDING)


def test_more_demand_never_raises_the_machines_that_a_main_carries(sites, mains, plan):
    table = mains([(STREET, 4, "high")])
    here = sites([shapely.box(0, 0, 40, 40)])
    counts = []
    for demand in (500, 1750, 2000, 2650, 9000, 30_000):
        hungry = GAS.model_copy(update={"demand_per_machine": float(demand)})
        got = fuel.supply(here, {"mains": table}, AREA, hungry, catalogue.carrying(), plan)
        counts.append(int(got["fuel_n_lo"].iloc[0]))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == plan.cap
    assert counts[-1] == 0


def test_shuffled_mains_change_nothing(sites, mains, plan):
    rows = [
        (shapely.LineString([(-100, -20 - n), (100, -20 - n)]), 2 + 2 * (n % 4), "low")
        for n in range(8)
    ]
    table = mains(rows)
    here = sites([shapely.box(60 * n, 0, 60 * n + 40, 40) for n in range(5)])
    again = table.sample(frac=1, random_state=7)
    first = fuel.supply(here, {"mains": table}, AREA, GAS, catalogue.carrying(), plan)
    second = fuel.supply(here, {"mains": again}, AREA, GAS, catalogue.carrying(), plan)
    pd.testing.assert_frame_equal(first, second)
