"""Every fuel by every route: the fuel chosen, what each runs on its own ground, the ladder."""

import numpy as np
import pandas as pd
import pytest
import shapely

from geo import screen
from geo.ranking import rank

LOT = shapely.box(0, 0, 46, 46)


def make_streets(mains, *rows):
    """Make mains along y = -10, each moved farther south by the given distance."""
    return mains(
        [
            (shapely.LineString([(-500, -10.0 - back), (900, -10.0 - back)]), inches, pressure)
            for back, inches, pressure in rows
        ]
    )


def make_landfill(layer, distance_m=200.0, flow_scfh=20_000.0, **columns):
    """Make a landfill east of the lot: half of its gas is methane, and none is used."""
    base = {
        "plant_id": ["L1"], "name": ["Mill River Landfill"], "fuel": ["biogas"],
        "plant_kind": ["landfill"], "status": ["operating"], "flow_scfh": [flow_scfh],
        "methane_share": [0.5], "used": ["no"], "used_scfh": [np.nan], "precision": ["site"],
        "as_of": pd.Timestamp("2024-09-01"),
    }  # fmt: skip
    return layer([shapely.Point(46 + distance_m, 20)], **(base | columns))


def rank_row(given, market, plan):
    return rank.rank_sites(screen.screen_sites(given, market, plan), plan).iloc[0]


def test_the_named_main_is_the_nearest_that_can_run_what_is_placed(mains, town, market, plan):
    # The 2 in main in front runs one generator; the 8 in main behind it runs the plan's cap.
    given = town([LOT], mains=make_streets(mains, (0, 2, "high"), (20, 8, "high")))
    row = rank_row(given, market, plan)
    assert (row["fuel"], row["n_lo"], row["main_diameter_in"]) == ("natural_gas", 25, 8)
    assert row["main_distance_m"] == 30
    # There is room for one generator only, so the small main in front is enough.
    small = shapely.box(0, 0, 12, 12)
    near = rank_row(
        town([small], mains=make_streets(mains, (0, 2, "high"), (20, 8, "high"))), market, plan
    )
    assert (near["n_lo"], near["main_diameter_in"], near["main_distance_m"]) == (1, 2, 10)
    # The ladder names the same main.
    assert near["distance_of_natural_gas_m"] == 10
    assert near["needs_of_natural_gas"].startswith("A service line from the 2-inch high-pressure")


def test_the_service_line_is_straight_from_the_main_to_the_pad(mains, town, market, plan):
    given = town([LOT], mains=make_streets(mains, (0, 8, "high")))
    facts = screen.screen_sites(given, market, plan).iloc[0]
    assert facts["service_line_m"] == pytest.approx(facts["block"].bounds[1] + 10)
    assert facts["service_line_m"] > facts["main_distance_m"]


def test_a_near_landfill_is_a_fuel_and_a_far_one_is_context(mains, layer, town, market, plan):
    # 20 000 x 0.5 = 10 000 scfh of methane / 2043.4: four generators, 200 m of pipe.
    given = town([LOT], mains=make_streets(mains))
    given.layers["fuel_plants"] = make_landfill(layer)
    given.coverage["fuel_plants"] = shapely.box(-9000, -9000, 9000, 9000)
    without_propane = plan.model_copy(update={"fuels": ("natural_gas", "biogas", "hydrogen")})
    row = rank_row(given, market, without_propane)
    assert (row["fuel"], row["n_lo"], row["n_hi"]) == ("biogas", 4, 4)
    assert row["fuel_ladder"] == "biogas: 4; natural gas: 0; hydrogen: 0"
    assert (row["plant_name"], row["plant_distance_m"]) == ("Mill River Landfill", 200)
    assert row["distance_of_biogas_m"] == 200
    assert row["evidence_of_biogas"] == "plant by pipe"
    assert row["service_line_m"] > 200
    assert row["binding"] == "fuel"
    assert "Mill River Landfill can spare 10,000 scfh of methane" in row["limit_text"]
    given.layers["fuel_plants"] = make_landfill(layer, distance_m=501.0)
    far = rank_row(given, market, without_propane)
    assert (far["n_hi"], far["n_hi_on_biogas"]) == (0, 0)
    assert far["evidence_of_biogas"] == "plant too far"
    assert "the nearest plant, Mill River Landfill, is over 1,640 ft away" in far["needs_of_biogas"]


def test_hydrogen_counts_if_it_is_delivered(mains, town, market, plan):
    given = town([shapely.box(0, 0, 120, 120)], mains=make_streets(mains))
    undelivered = rank_row(given, market, plan)
    assert (undelivered["n_hi_on_hydrogen"], undelivered["fuel"]) == (0, "propane")
    assert "hydrogen: unknown" in undelivered["fuel_ladder"]
    fuel = plan.fuel.model_copy(
        update={
            "delivered": ("propane", "hydrogen"),
            "autonomy_days": {"propane": 3.0, "hydrogen": 1.0},
            "separation": {"propane": "h23", "hydrogen": "h2"},
            "containers_most": 4,
        }
    )
    rules = plan.model_copy(update={"fuel": fuel, "fuels": ("hydrogen",)})
    # Four trailers of 120 000 scf for a day: 480 000 / 24 / 6363 = 3.1.
    delivered = rank_row(given, market, rules)
    assert (delivered["fuel"], delivered["n_lo"], delivered["storage_count"]) == ("hydrogen", 3, 4)
    # 480 000 scf over 3 x 6363 scfh: 25.1 hours.
    assert delivered["storage_days"] == pytest.approx(480_000 / (3 * 6362.97) / 24, abs=0.05)
    assert (
        delivered["needs_of_hydrogen"] == "4 tanks of 120,000 scf each, for at least a day of fuel"
    )


def test_each_fuel_is_sized_on_its_own_ground(mains, town, market, plan):
    # 46 by 46 m: gas runs 25 generators; two tanks that fit with their clearances run 11.
    row = rank_row(town([LOT], mains=make_streets(mains, (0, 8, "high"))), market, plan)
    assert (row["n_lo_on_natural_gas"], row["n_lo_on_propane"]) == (25, 11)
    assert row["distance_of_propane_m"] == 0
    assert row["fuel_ladder"].startswith("natural gas: 25; propane: 11; ")
    assert row["needs_of_propane"] == "2 tanks of 12,000 gal each, for at least 3 days of fuel"
    assert pd.isna(row["storage_days"])


def test_altitude_and_heat_reduce_power_so_more_generators_are_needed(mains, town, market, plan):
    given = town([LOT], mains=make_streets(mains, (0, 8, "high")))
    hot = plan.model_copy(update={"summer_c": 32.0, "altitude_m": 500.0})
    row = rank_row(given, market, hot)
    # 200 x (1 - 347.6 m x 0.000114829 - 7 C x 0.0018) = 189.5 kW: six are needed instead of five.
    assert row["machine_kw"] == pytest.approx(189.5, abs=0.05)
    assert row["needed_hi"] == 6
    assert rank_row(given, market, plan)["needed_hi"] == 5
    assert row["power_lo_kw"] == pytest.approx(25 * 189.497, abs=1)


def test_the_gap_is_given_for_every_load(mains, town, market, plan):
    row = rank_row(town([LOT], mains=make_streets(mains, (0, 8, "high"))), market, plan)
    assert [row[f"short_hi_at_{kw}_kw"] for kw in (200, 1000, 3000)] == [200, 1000, 3000]
    assert [row[f"needed_hi_at_{kw}_kw"] for kw in (200, 1000, 3000)] == [1, 5, 15]
    assert [row[f"served_at_{kw}_kw"] for kw in (200, 1000, 3000)] == [200, 1000, 3000]
    assert row["covers_gap"] == row["covers_at_1000_kw"] == "yes"
    assert row["gap_at_1000_kw"] == row["gap_class"]
