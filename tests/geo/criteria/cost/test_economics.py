"""Time and money: the plan's estimates, checked by arithmetic."""

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


def estimate(plan, **changes):
    return estimate_costs(pd.DataFrame([ROW | changes]), MACHINE, FUELS, plan).iloc[0]


def test_an_upgrade_costs_a_connection_and_dollars_per_kva(plan):
    row = estimate(plan)  # 950 kW at 0.95 is 1000 kVA
    assert row["upgrade_usd_lo"] == pytest.approx(400_000 + 1000 * 51)
    assert row["upgrade_usd_hi"] == pytest.approx(650_000 + 1000 * 220)


def test_a_line_to_the_substation_is_added_where_only_the_substation_is_known(plan):
    row = estimate(plan, grid_evidence="substation", grid_distance_m=1000.0)
    assert row["upgrade_usd_lo"] == pytest.approx(400_000 + 1000 * 51)
    assert row["upgrade_usd_hi"] == pytest.approx(650_000 + 1000 * 220 + 1000 * 1056)
    # 1.7 million dollars per mile.
    assert plan.economics.line_usd_per_m.hi == pytest.approx(1.7e6 / 1609.344, abs=0.5)
    unknown = estimate(plan, grid_evidence="no layer", grid_distance_m=np.nan)
    assert math.isnan(unknown["upgrade_usd_hi"])


def test_a_site_that_is_not_short_needs_no_upgrade(plan):
    row = estimate(plan, shortfall_lo_kw=0.0, shortfall_hi_kw=0.0, needed_lo=0, needed_hi=0)
    names = ("upgrade_usd", "generators_usd", "costed_n", "upgrade_years")
    assert all(math.isnan(row[f"{name}_{end}"]) for name in names for end in ("lo", "hi"))
    # If the shortfall may be zero, the low end of both costs is zero.
    uncertain = estimate(plan, shortfall_lo_kw=0.0, needed_lo=0)
    assert (uncertain["upgrade_usd_lo"], uncertain["generators_usd_lo"]) == (0.0, 0.0)
    assert (uncertain["upgrade_usd_hi"], uncertain["costed_n_hi"]) == (pytest.approx(870_000), 5)


def test_only_the_generators_that_close_the_shortfall_are_costed(plan):
    row = estimate(plan)
    assert (row["costed_n_lo"], row["costed_n_hi"]) == (5, 5)
    # 5 x 197.5 kW is more than the shortfall of 950 kW.
    assert row["closed_hi_kw"] == 950
    assert row["generators_usd_lo"] == 5 * 200 * 1000
    assert row["generators_usd_hi"] == 5 * 200 * 2900
    too_few = estimate(plan, placed_n=2)
    assert (too_few["costed_n_hi"], too_few["closed_hi_kw"]) == (2, 2 * 197.5)
    assert math.isnan(estimate(plan, placed_n=np.nan)["generators_usd_lo"])


def test_a_service_line_is_priced_by_the_meter(plan):
    row = estimate(plan)
    assert (row["service_line_usd_lo"], row["service_line_usd_hi"]) == (30 * 13, 30 * 328)
    assert math.isnan(estimate(plan, service_line_m=np.nan)["service_line_usd_lo"])


def test_the_fuel_cost_of_a_kilowatt_hour(plan):
    row = estimate(plan)
    # 3412.142 / 0.33 Btu per kWh, at 8 and 14 dollars per million Btu.
    assert row["energy_usd_per_kwh_lo"] == pytest.approx(3412.142 / 0.33 * 8 / 1e6)
    assert row["energy_usd_per_kwh_hi"] == pytest.approx(3412.142 / 0.33 * 14 / 1e6)
    by_lhv = MACHINE.model_copy(update={"efficiency_basis": "LHV"})
    cost = fuel_cost_usd_per_kwh(by_lhv, FUELS, plan.economics, "lo")["natural_gas"]
    assert cost == pytest.approx(3412.142 / 0.33 * 1030 / 930 * 8 / 1e6)
    free = plan.economics.model_copy(update={"fuel_usd_per_mmbtu": {}})
    assert fuel_cost_usd_per_kwh(MACHINE, FUELS, free, "lo") == {}


def test_the_upgrade_years_are_those_of_the_utility_if_the_plan_names_it(plan):
    own = plan.economics.upgrade_years.model_copy(update={"lo": 6.0, "hi": 8.0})
    known = plan.economics.model_copy(update={"upgrade_years_of": {"Valley Electric": own}})
    rules = plan.model_copy(update={"economics": known})
    row = estimate(rules, grid_utility="Valley Electric")
    assert (row["upgrade_years_lo"], row["upgrade_years_hi"]) == (6, 8)
    assert row["upgrade_years_source"] == "Valley Electric"
    other = estimate(rules, grid_utility="Berkshire Hill Power")
    assert (other["upgrade_years_lo"], other["upgrade_years_hi"]) == (2.5, 5)
    assert other["upgrade_years_source"] == "plan default"
    assert (row["pad_weeks_lo"], row["pad_weeks_hi"]) == (4, 16)


def test_every_estimate_is_listed_with_its_source_and_date(plan):
    lines = describe_estimates(plan, FUELS)
    costs = plan.economics
    for item in (costs.upgrade_years, costs.connection_usd, costs.generator_usd_per_kw):
        assert any(item.source in line and item.as_of in line for line in lines)
    assert "A grid upgrade takes 2.5 to 5 years" in lines[0]
    # Dollars per meter become dollars per foot: 559 and 1056 x 0.3048.
    assert any("A new line to the substation costs $170 to $322 per foot" in line for line in lines)
