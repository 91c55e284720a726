import numpy as np
import pytest
import shapely

from geo import catalogue
from geo.criteria.fuel import stored
from geo.criteria.fuel.supply import SUPPLY_COLUMNS
from geo.equipment.tanks import list_tank_groups
from geo.errors import ConfigError

PROPANE, HYDROGEN = catalogue.read_fuels()["propane"], catalogue.read_fuels()["hydrogen"]
GX230 = catalogue.read_generators()["gx230"]


def supply_row(sites, plan, *, known=True, group=1):
    groups, lots = list_tank_groups(PROPANE, GX230, plan), sites([shapely.box(0, 0, 60, 60)])
    body = np.array([shapely.MultiPolygon([shapely.box(0, 0, 2, 9)])], dtype=object)
    return stored.supply_from_storage(
        lots, groups, np.array([group]), body, np.array([known]), PROPANE, plan
    ).iloc[0]


def test_tanks_run_what_they_hold_for_the_plans_days(sites, plan):
    row = supply_row(sites, plan)
    # The second smallest group: 6500 gal; 5200 / 72 h = 72.2 gal/h; / 22.6 = 3.2 generators.
    assert (row["storage_count"], row["storage_capacity"], row["storage_unit"]) == (1, 6500, "gal")
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (3, 3)
    assert row["fuel_capacity"] == pytest.approx(5200 / 72)
    assert row["fuel_evidence"] == "storage"


def test_without_a_tank_nothing_runs(sites, plan):
    row = supply_row(sites, plan, group=-1)
    assert np.isnan(row["storage_capacity"])
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (0, 0)


def test_a_tank_is_only_a_best_case_where_buildings_are_not_known(sites, plan):
    row = supply_row(sites, plan, known=False)
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == (0, 3)
    assume = plan.assume.model_copy(update={"bare_parcel": True})
    row = supply_row(sites, plan.model_copy(update={"assume": assume}), known=False)
    assert (row["fuel_n_lo"], row["fuel_assumed"]) == (3, stored.ASSUMED_NO_BUILDING)


def test_a_fuel_that_is_not_delivered_runs_none(sites, plan):
    facts = stored.supply_undelivered(sites([shapely.box(0, 0, 60, 60)] * 2), HYDROGEN, plan)
    assert list(facts.columns) == list(SUPPLY_COLUMNS)
    assert facts["fuel_evidence"].tolist() == ["no delivery"] * 2
    assert facts[["fuel_n_lo", "fuel_n_hi"]].to_numpy().tolist() == [[0, 0]] * 2


def test_a_delivered_fuel_is_refused_as_not_delivered(sites, plan):
    with pytest.raises(ConfigError, match="delivered under \\[fuel\\] names 'propane'"):
        stored.supply_undelivered(sites([shapely.box(0, 0, 60, 60)]), PROPANE, plan)
