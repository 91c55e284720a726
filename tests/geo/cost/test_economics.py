"""Time and money: bands of the plan's estimates, by arithmetic."""

import math

import numpy as np
import pandas as pd
import pytest

from geo import catalogue
from geo.criteria.cost.economics import describe_estimates, estimate_costs, fuel_cost_usd_per_kwh

MACHINE = catalogue.read_generators()["gx230"]
FUELS = list(catalogue.read_fuels().values())
ROW = {
    "shortfall_lo_kw": 950.0, "shortfall_hi_kw": 950.0, "power_factor": 0.95,
    "grid_evidence": "feeder", "grid_utility": None, "grid_distance_m": 8.0, "placed_n": 9,
    "needed_lo": 5, "needed_hi": 5, "machine_kw": 197.5,
    "fuel": "natural_gas", "service_line_m": 30.0,
}  # fmt: skip


def told(plan, **changes):
    return estimate_costs(pd.DataFrame([ROW | changes]), MACHINE, FUELS, plan).iloc[0]


def test_an_upgrade_is_a_connection_and_its_kilovoltamperes(plan):
    row = told(plan)  # 950 kW at 0.95 is 1000 kVA
    assert row["upgrade_usd_lo"] == pytest.approx(400_000 + 1000 * 51)
    assert row["upgrade_usd_hi"] == pytest.approx(650_000 + 1000 * 220)


def test_where_only_the_substation_is_known_a_line_to_it_is_counted(plan):
    row = told(plan, grid_evidence="substation", grid_distance_m=1000.0)
    assert row["upgrade_usd_lo"] == pytest.approx(400_000 + 1000 * 51)
    assert row["upgrade_usd_hi"] == pytest.approx(650_000 + 1000 * 220 + 1000 * 1056)
    # 1.7 million dollars a mile.
    assert plan.economics.line_usd_per_m.hi == pytest.approx(1.7e6 / 1609.344, abs=0.5)
    nobody = told(plan, grid_evidence="no layer", grid_distance_m=np.nan)
    assert math.isnan(nobody["upgrade_usd_hi"])


def test_what_is_not_short_needs_no_upgrade(plan):
    row = told(plan, shortfall_lo_kw=0.0, shortfall_hi_kw=0.0, needed_lo=0, needed_hi=0)
    names = ("upgrade_usd", "generators_usd", "costed_n", "upgrade_years")
    assert all(math.isnan(row[f"{name}_{end}"]) for name in names for end in ("lo", "hi"))
    # Perhaps nothing is short: then at the least neither way costs anything.
    maybe = told(plan, shortfall_lo_kw=0.0, needed_lo=0)
    assert (maybe["upgrade_usd_lo"], maybe["generators_usd_lo"]) == (0.0, 0.0)
    assert (maybe["upgrade_usd_hi"], maybe["costed_n_hi"]) == (pytest.approx(870_000), 5)


def test_generators_are_costed_for_the_gap_and_no_more(plan):
    row = told(plan)
    assert (row["costed_n_lo"], row["costed_n_hi"]) == (5, 5)
    # 5 x 197.5 kW is more than the 950 that are short.
    assert row["closed_hi_kw"] == 950
    assert row["generators_usd_lo"] == 5 * 200 * 1000
    assert row["generators_usd_hi"] == 5 * 200 * 2900
    few = told(plan, placed_n=2)
    assert (few["costed_n_hi"], few["closed_hi_kw"]) == (2, 2 * 197.5)
    assert math.isnan(told(plan, placed_n=np.nan)["generators_usd_lo"])


def test_a_service_line_is_by_the_metre(plan):
    row = told(plan)
    assert (row["service_line_usd_lo"], row["service_line_usd_hi"]) == (30 * 13, 30 * 328)
    assert math.isnan(told(plan, service_line_m=np.nan)["service_line_usd_lo"])


def test_the_fuel_of_a_kilowatt_hour(plan):
    row = told(plan)
    # 3412.142 / 0.33 Btu a kWh, at 8 and 14 dollars a million.
    assert row["energy_usd_per_kwh_lo"] == pytest.approx(3412.142 / 0.33 * 8 / 1e6)
    assert row["energy_usd_per_kwh_hi"] == pytest.approx(3412.142 / 0.33 * 14 / 1e6)
    by_lhv = MACHINE.model_copy(update={"efficiency_basis": "LHV"})
    cost = fuel_cost_usd_per_kwh(by_lhv, FUELS, plan.economics, "lo")["natural_gas"]
    assert cost == pytest.approx(3412.142 / 0.33 * 1030 / 930 * 8 / 1e6)
    free = plan.economics.model_copy(update={"fuel_usd_per_mmbtu": {}})
    assert fuel_cost_usd_per_kwh(MACHINE, FUELS, free, "lo") == {}


def test_years_are_the_utilitys_where_it_is_named(plan):
    own = plan.economics.upgrade_years.model_copy(update={"lo": 6.0, "hi": 8.0})
    known = plan.economics.model_copy(update={"upgrade_years_of": {"Valley Electric": own}})
    rules = plan.model_copy(update={"economics": known})
    row = told(rules, grid_utility="Valley Electric")
    assert (row["upgrade_years_lo"], row["upgrade_years_hi"]) == (6, 8)
    assert row["upgrade_years_source"] == "Valley Electric"
    other = told(rules, grid_utility="Berkshire Hill Power")
    assert (other["upgrade_years_lo"], other["upgrade_years_hi"]) == (2.5, 5)
    assert other["upgrade_years_source"] == "the plan's default"
    assert (row["pad_weeks_lo"], row["pad_weeks_hi"]) == (4, 16)


def test_every_estimate_is_printed_with_its_source_and_age(plan):
    lines = describe_estimates(plan, FUELS)
    costs = plan.economics
    for one in (costs.upgrade_years, costs.connection_usd, costs.generator_usd_per_kw):
        assert any(one.source in line and one.as_of in line for line in lines)
    assert "A grid upgrade takes 2.5 to 5 years" in lines[0]
