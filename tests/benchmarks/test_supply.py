"""The time that the grid and fuel criteria take for many sites."""

import resource
import time

import numpy as np
import pandas as pd
import pytest
import shapely

from flows import declarations, settings
from geo import catalogue
from geo.criteria.fuel import gas, plants
from geo.criteria.grid import serving
from geo.equipment.selection import plan_generator
from tests.geo.conftest import make_layer, make_sites

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
SITES, PITCH_M, LOT_M = 20_000, 60.0, 44.0
EVERYWHERE = shapely.box(-1e6, -1e6, 1e7, 1e7)


def make_town(count: int, seed: int = 5):
    """Make lots in rows, a main and a feeder along each row, and substations."""
    rng = np.random.default_rng(seed)
    across = int(np.sqrt(count))
    n = np.arange(count)
    x, y = n % across * PITCH_M, n // across * PITCH_M
    lots = make_sites(shapely.box(x, y, x + LOT_M, y + LOT_M))
    streets = shapely.linestrings(
        [[(left, low - 8), (left + PITCH_M, low - 8)] for left, low in zip(x, y, strict=True)]
    )
    mains = make_layer(
        streets,
        main_id=[f"M{i}" for i in n],
        diameter_in=rng.choice([2.0, 4.0, 6.0, 8.0, np.nan], count),
        pressure_class=pd.Series(rng.choice(["low", "medium", "high"], count), dtype=object),
        material=pd.Series(rng.choice(["polyethylene", "bare steel", "other"], count)),
        source_id="mains",
    )
    capacity = make_layer(
        streets,
        record_id=[f"F{i // 17}" for i in n],
        kind=pd.Series(np.where(n % 2, "load", "generation"), dtype=object),
        grain="feeder",
        headroom_kw=rng.normal(800.0, 900.0, count),
        committed_included=True,
        source_id="feeders",
    )
    stations = shapely.points(rng.uniform(0, across * PITCH_M, (max(count // 500, 2), 2)))
    substations = make_layer(
        stations,
        substation_id=[f"S{i}" for i in range(len(stations))],
        name="station",
        status="in_service",
        firm_capacity_mva=rng.uniform(10, 60, len(stations)),
        peak_load_mva=rng.uniform(5, 55, len(stations)),
        committed_load_mva=1.0,
        source_id="stations",
    )
    layers = {"mains": mains, "capacity": capacity, "substations": substations}
    return lots, layers, dict.fromkeys(layers, EVERYWHERE)


def time_supply(count: int) -> float:
    plan = declarations.load_plan("default", settings.read_settings({}))
    lots, layers, coverage = make_town(count)
    generator, fuels = plan_generator(plan), catalogue.read_fuels()
    start = time.perf_counter()
    facts = serving.find_serving_records(lots, layers, coverage, plan)
    grid_s = time.perf_counter() - start
    piped = gas.supply_from_mains(lots, layers, coverage, fuels["natural_gas"], generator, plan)
    gas.name_serving_main(piped, lots, layers, np.full(count, 3))
    plants.supply_from_plants(lots, layers, coverage, fuels["biogas"], generator, plan)
    total_s = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{count:,} sites, {len(piped.reach):,} pairs of site and main: grid {grid_s:.2f} s, "
        f"fuel {total_s - grid_s:.2f} s, {peak_mb:.0f} MB at most; "
        f"{facts['grid_evidence'].value_counts().to_dict()}"
    )
    return total_s


def test_ten_times_the_sites_take_less_than_twenty_times_as_long():
    time_supply(200)
    small_s, large_s = time_supply(SITES // 10), time_supply(SITES)
    assert large_s < 20 * small_s
