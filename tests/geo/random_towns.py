"""Made-up towns with records of every kind, often incomplete, for checks against the slow oracles.

The order of the random draws matters: another order makes other towns.
"""

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from affine import Affine
from shapely import affinity

from geo.model import AssumedMain, Plan, Raster, Screening
from tests.geo.around import Parcel
from tests.geo.conftest import CRS, make_layer, make_sites

SITES = 12
# Everything lies in a square with this side. The layers' coverage ends at random in or beyond it.
SIDE_M = 1200.0
MATERIALS = ("polyethylene", "coated steel", "bare steel", "cast iron", "other", None)
SIZES_IN = (1.25, 2, 2.2, 3, 4, 4.5, 6, 7, 8, 12, math.nan)
NIGHT = dt.date(2026, 6, 1)
# On that night, the last is more than 18 months old.
DATES = (pd.Timestamp("2026-01-31"), pd.Timestamp("2024-12-01"), pd.Timestamp("2024-11-30"))
REQUIRED = ("record_id", "kind", "grain", "substation_id", "status", "main_id", "fuel",
            "plant_kind", "plant_id", "utility", "sign")  # fmt: skip


@dataclass(frozen=True)
class ScreenedTown:
    """One town and the plan that applies to it."""

    screening: Screening
    plan: Plan

    @property
    def parcels(self):
        return [
            Parcel(row, self.screening, self.plan) for _, row in self.screening.sites.iterrows()
        ]


def make_random_town(rng, plan):
    """Make lots, and shuffled records of every kind with missing values in every column."""
    lots = [make_lot(rng) for _ in range(SITES)]
    layers = {
        "substations": make_substations(rng),
        "capacity": make_capacity(rng),
        "mains": make_mains(rng),
        "gas_territories": make_layer([cut_square(rng)], utility="Valley Gas"),
        "gas_transmission": make_transmission(rng),
        "gas_signs": make_layer(make_points(rng, 6), sign="leak_report"),
        "fuel_plants": make_fuel_plants(rng),
    }
    if rng.random() < 0.1:
        del layers["substations"], layers["capacity"]
    kept = {
        name: drop_columns_and_shuffle(rng, frame)
        for name, frame in layers.items()
        if rng.random() < 0.8
    }
    coverage = {name: rng.choice([None, cut_square(rng), whole_area()]) for name in kept}
    rasters = {"elevation": make_elevation(rng)}
    night = None if len(kept) % 3 == 0 else NIGHT
    town = Screening(make_sites(lots), kept, coverage, rasters, night)
    return ScreenedTown(town, make_plan(rng, plan))


def make_elevation(rng):
    """Make ground heights in cells of 100 m, a third of them missing."""
    cells = np.where(rng.random((10, 10)) < 1 / 3, np.nan, rng.uniform(-50, 3000, (10, 10)))
    return Raster(cells, Affine(100, 0, 0, 0, -100, 1000), CRS)


def make_plan(rng, plan):
    assumed = AssumedMain(diameter_in=4, pressure_class=choose(rng, ("low", "medium", "high")))
    cyclic_factor = rng.uniform(1, 1.3)
    grid = {
        "feeder_reach_m": rng.uniform(20, 150),
        "substation_reach_m": rng.uniform(300, 900),
        "fold": choose(rng, ("min", "median", "max")),
        "cyclic_factor": cyclic_factor,
        "cyclic_factor_most": rng.uniform(cyclic_factor, 1.5),
    }
    fuel = {
        "main_reach_m": rng.uniform(20, 200),
        "sign_reach_m": rng.uniform(20, 200),
        "transmission_reach_m": rng.uniform(0, 500),
        "plant_reach_m": choose(rng, (0.0, 100.0, 300.0)),
        "context_reach_m": 600.0,
        "main_length_m": rng.uniform(500, 3000),
        "usable_share": rng.uniform(0.05, 0.5),
    }
    assume = {
        "main_at_sign": choose(rng, (None, assumed)),
        "main_size": choose(rng, (None, assumed)),
    }
    return plan.model_copy(
        update={
            "spares": int(rng.integers(3)),
            "altitude_m": rng.uniform(0, 2500),
            "summer_c": rng.uniform(20, 45),
            "loads_kw": (200.0, 3000.0),
            "grid": plan.grid.model_copy(update=grid),
            "fuel": plan.fuel.model_copy(update=fuel),
            "assume": plan.assume.model_copy(update=assume),
        }
    )


def choose(rng, values):
    return values[rng.integers(len(values))]


def choose_many(rng, values, count):
    return [choose(rng, values) for _ in range(count)]


def draw_numbers(rng, low, high, count, known=0.5):
    """Draw numbers; a share of them is known and the others are missing."""
    return np.where(rng.random(count) < known, rng.uniform(low, high, count), np.nan)


def drop_columns_and_shuffle(rng, frame):
    """Return a layer without some of its optional columns, with its rows shuffled."""
    optional = [name for name in frame if name not in {*REQUIRED, "geometry"}]
    gone = [name for name in optional if rng.random() < 0.05]
    shuffled = frame.drop(columns=gone).iloc[rng.permutation(len(frame))]
    return shuffled.reset_index(drop=True)


def make_lot(rng):
    shape = shapely.box(0, 0, *rng.uniform(15, 60, 2))
    turned = affinity.rotate(shape, rng.uniform(0, 90))
    return affinity.translate(turned, *rng.uniform(0, SIDE_M, 2))


def whole_area():
    return shapely.box(-2000, -2000, SIDE_M + 2000, SIDE_M + 2000)


def cut_square(rng):
    """Return the part of the square on one side of a line across it."""
    at = rng.uniform(0.2, 1) * SIDE_M
    half = shapely.box(-2000, -2000, at, SIDE_M + 2000)
    return affinity.rotate(half, choose(rng, (0, 90, 180, 270)), origin=(SIDE_M / 2, SIDE_M / 2))


def make_points(rng, count):
    return list(shapely.points(rng.uniform(0, SIDE_M, (count, 2))))


def make_line(rng):
    begin = rng.uniform(0, SIDE_M, 2)
    return shapely.LineString([begin, begin + rng.uniform(-500, 500, 2)])


def make_box(rng, size):
    return affinity.translate(shapely.box(0, 0, *rng.uniform(size / 4, size, 2)),
                              *rng.uniform(-size / 2, SIDE_M, 2))  # fmt: skip


def make_capacity_values(rng, count):
    """Make every column that a headroom may be computed from, each often missing."""
    banks = rng.choice([np.nan, 1, 2, 3, 4], count)
    nameplate = draw_numbers(rng, 5, 60, count, 0.7)
    largest = nameplate * np.where(banks == 1, 1, rng.uniform(0.5, 0.7, count))
    return {
        "headroom_kw": draw_numbers(rng, -500, 5000, count, 0.25),
        "headroom_mva": draw_numbers(rng, -1, 5, count, 0.15),
        "headroom_share": draw_numbers(rng, -0.2, 0.5, count, 0.15),
        "ceiling_kw": draw_numbers(rng, 500, 3000, count, 0.4),
        "firm_capacity_mva": draw_numbers(rng, 4, 12, count, 0.3),
        "bank_count": banks,
        "nameplate_mva": nameplate,
        "largest_bank_mva": np.where(rng.random(count) < 0.5, largest, np.nan),
        "peak_load_mva": draw_numbers(rng, 3, 10, count, 0.5),
        "committed_load_mva": draw_numbers(rng, 0, 2, count, 0.4),
        "committed_included": choose_many(rng, (True, False, None), count),
        "power_factor": draw_numbers(rng, 0.8, 1, count, 0.5),
        "voltage_kv": draw_numbers(rng, 4, 30, count, 0.6),
        "owner": choose_many(rng, ("Valley Electric", None), count),
        "as_of": [
            DATES[number % len(DATES)] if known else pd.NaT
            for number, known in enumerate(choose_many(rng, (True, False), count))
        ],
        "source_id": choose_many(rng, ("north", "south"), count),
    }


def make_substations(rng):
    """Make substations; in half of the towns two of them, from two sources, share an id."""
    count = int(rng.integers(1, 7))
    values, ids = make_capacity_values(rng, count), [f"U{number}" for number in range(count)]
    if count > 1 and rng.random() < 0.5:
        ids[1] = ids[0]
        values["source_id"][:2] = ["north", "south"]
    return make_layer(
        make_points(rng, count),
        substation_id=ids,
        name=[f"Station {number}" for number in range(count)],
        status=choose_many(
            rng, ("in_service", "in_service", "planned", "retired", "unknown"), count
        ),
        level=choose_many(
            rng, ("distribution", "distribution", "transmission", "unknown", None), count
        ),
        **values,
    )


def make_capacity(rng):
    """Make records of every grain, some with several rows of one name or in one place.

    Some rows lie beside the previous row and belong to its feeder, or lie in the same place under
    another name.
    """
    grains = choose_many(rng, ("feeder", "feeder", "segment", "cell", "area"), 60)
    kinds = choose_many(rng, ("load", "load", "load", "generation"), 60)
    shapes = [make_capacity_shape(rng, grain) for grain in grains]
    names = [f"F{number}" for number in rng.integers(25, size=60)]
    for number in range(1, 60):
        if grains[number] == grains[number - 1] and rng.random() < 0.6:
            beside = rng.random() < 0.5
            shapes[number] = affinity.translate(shapes[number - 1], 5 * beside)
            if beside:
                names[number], kinds[number] = names[number - 1], kinds[number - 1]
    values = make_capacity_values(rng, 60)
    values["headroom_kw"] = draw_numbers(rng, -500, 5000, 60, 0.5)
    ranges = np.random.default_rng(rng.bit_generator.seed_seq.entropy)
    values["headroom_least_kw"] = draw_numbers(ranges, -500, 1500, 60, 0.05)
    values["headroom_most_kw"] = draw_numbers(ranges, 1500, 5000, 60, 0.05)
    values["headroom_least_mva"] = draw_numbers(ranges, -1, 1, 60, 0.05)
    values["headroom_most_mva"] = draw_numbers(ranges, 1.9, 5, 60, 0.05)
    # Two sources with records of one name have a separate test.
    values["source_id"] = ["north" if int(name[1:]) % 2 else "south" for name in names]
    del values["bank_count"], values["nameplate_mva"], values["largest_bank_mva"]
    return make_layer(
        shapes,
        record_id=names,
        kind=kinds,
        grain=grains,
        substation_id=choose_many(rng, (*(f"U{number}" for number in range(5)), None), 60),
        rating_a=draw_numbers(rng, 100, 600, 60, 0.3),
        peak_a=draw_numbers(rng, 50, 500, 60, 0.5),
        **values,
    )


def make_capacity_shape(rng, grain):
    if grain == "area":
        return make_box(rng, 900)
    if grain == "cell":
        return make_box(rng, 200)
    kind = rng.random()
    if kind < 0.3:
        return make_points(rng, 1)[0]
    return make_line(rng) if kind < 0.9 else make_line(rng).buffer(5)


def make_mains(rng):
    count = int(rng.integers(4, 14))
    return make_layer(
        [make_line(rng) for _ in range(count)],
        main_id=[f"M{number}" for number in range(count)],
        diameter_in=choose_many(rng, SIZES_IN, count),
        pressure_class=choose_many(rng, ("low", "medium", "high", None), count),
        pressure_kpa=make_pressures_kpa(rng, count),
        material=choose_many(rng, MATERIALS, count),
        status=choose_many(
            rng, ("in_service", "in_service", "planned", "retired", "unknown", None), count
        ),
        kind=[("main", None, "main", "transmission")[number % 4] for number in range(count)],
        source_id="pipes",
    )


def make_pressures_kpa(rng, count):
    """Make pressures, half of them close to the class boundaries at 0.25, 30 and 60 psig."""
    close = (
        np.array(choose_many(rng, (0.25, 30, 60), count))
        * rng.uniform(0.95, 1.05, count)
        * 6.894757
    )
    other = rng.uniform(0, 600, count)
    values = np.where(rng.random(count) < 0.5, close, other)
    return np.where(rng.random(count) < 0.6, values, np.nan)


def make_transmission(rng):
    return make_layer(
        [make_line(rng), make_line(rng)],
        operator="Long Line",
        status=choose_many(rng, ("in_service", "planned", "retired"), 2),
    )


def make_fuel_plants(rng):
    count = int(rng.integers(1, 10))
    shapes = [
        make_box(rng, 150) if rng.random() < 0.5 else make_points(rng, 1)[0] for _ in range(count)
    ]
    fuels = choose_many(rng, ("biogas", "biogas", "hydrogen"), count)
    used = choose_many(rng, ("no", "partly", "yes", "unknown", None), count)
    return make_layer(
        shapes,
        plant_id=[f"P{number}" for number in range(count)],
        name=[f"Plant {number}" for number in range(count)],
        fuel=fuels,
        plant_kind=["hydrogen plant" if fuel == "hydrogen" else "landfill" for fuel in fuels],
        status=choose_many(rng, ("operating", "operating", "planned", "closed", "unknown"), count),
        flow_scfh=draw_numbers(rng, 0, 80_000, count, 0.8),
        methane_share=draw_numbers(rng, 0.3, 0.7, count, 0.6),
        used=used,
        used_scfh=draw_numbers(rng, 0, 20_000, count, 0.5),
        precision=choose_many(rng, ("site", "address", "county", "county", None), count),
        source_id="works",
    )
