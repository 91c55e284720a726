"""Losing data never makes a call better: no site becomes a `yes` that was none before."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from shapely import affinity

from geo import catalogue
from geo.model import Raster
from tests.geo.conftest import CRS, make_layer, make_mains, make_town

APART_M = 150.0
LOT = shapely.box(0, 0, 46, 46)
AROUND = shapely.box(-3_000, -3_000, 5_000, 3_000)
TOWNS_APART_M = 10_000.0
IDS = ("site_id", "lot_id", "record_id", "substation_id", "main_id", "receptor_id", "name")
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 8))]
NIGHT = dt.date(2026, 6, 1)
DATES = (pd.Timestamp("2026-01-01"), pd.Timestamp("2026-02-01"), pd.Timestamp("2023-01-01"))
# What a record is: without it, it is not a record of its layer.
KINDS = {"kind", "grain", "receptor_class", "sign", "use_class"}
CALLS = ["call_200", "call_1000", "call_3000"]


def make_mixed_town(seed):
    """Return ten lots in a row that are a yes, a no or to be checked, for many reasons."""
    rng = np.random.default_rng(seed)
    place = [np.array([APART_M * n, 0.0]) for n in range(10)]

    def on_lot(n, shape):
        return shapely.transform(shape, lambda xy: xy + place[n])

    sizes = rng.choice([12, 20, 46, 60], 10)
    lots = [on_lot(n, shapely.box(0, 0, size, size)) for n, size in enumerate(sizes)]
    homes = [on_lot(n, shapely.box(62, 0, 72, 40)) for n in range(10) if rng.random() < 0.4]
    sheds = [on_lot(n, shapely.box(0.5, 6, 4, 9)) for n in range(10) if rng.random() < 0.5]
    mains = make_mains(
        [
            (on_lot(n, shapely.LineString([(-40, -10), (90, -10)])), inches, pressure)
            for n, inches, pressure in zip(
                range(10), rng.choice([2, 3, 4, 8], 10), rng.choice(["high", "medium"], 10),
                strict=True,
            )
        ]
    )  # fmt: skip
    town = make_town(lots, homes=homes, buildings=sheds, mains=mains)
    line = shapely.LineString([(-20, -5), (60, -5)])
    feeders = [on_lot(n, line) for n in range(10)]
    # Some records are for a line, some for the ground on which the lot lies.
    grains = rng.choice(["feeder", "cell", "area"], 10)
    ground = [on_lot(n, shapely.box(-5, -5, 70, 70)) for n in range(10)]
    shapes = [line if one == "feeder" else area
              for line, area, one in zip(feeders, ground, grains, strict=True)]  # fmt: skip
    load = make_layer(
        shapes, record_id=[f"F{n}" for n in range(10)], kind="load", grain=grains,
        substation_id=[f"U{n % 2}" for n in range(10)], owner="Valley Electric",
        headroom_kw=rng.choice([0.0, 300.0, 700.0, 1500.0], 10),
        committed_included=rng.random(10) < 0.8, as_of=rng.choice(DATES, 10, p=[0.45, 0.45, 0.1]),
    )  # fmt: skip
    hosting = load.assign(
        kind="generation", grain="feeder", headroom_kw=rng.choice([500.0, 4000.0], 10)
    ).set_geometry(feeders, crs=CRS)
    stations = make_layer(
        [shapely.Point(0, 500), shapely.Point(1500, 500)], substation_id=["U0", "U1"],
        name=["Mill Pond", "High Hill"], status="in_service", owner="Valley Electric",
        firm_capacity_mva=[10.0, 30.0], peak_load_mva=[9.5, 22.0], committed_load_mva=[0.2, 1.0],
        power_factor=[0.93, 0.93], as_of=DATES[0],
    )  # fmt: skip
    layers = town.layers | {
        "capacity": pd.concat([load, hosting], ignore_index=True),
        "substations": stations,
        "exclusions": make_layer([on_lot(9, shapely.box(0, 30, 46, 46))], kind="flood", name=None),
        "gas_signs": make_layer([on_lot(3, shapely.Point(5, -10))], sign="leak_report"),
        "gas_territories": make_layer([AROUND], utility="Valley Gas"),
    }
    flat = np.zeros((2, 200))
    slope = Raster(flat, Affine(5_000, 0, -10_000, 0, -5_000, 5_000), CRS, "m")
    coverage = dict.fromkeys(layers, AROUND)
    rasters = {"elevation": slope}
    return replace(town, layers=layers, coverage=coverage, rasters=rasters, night=NIGHT)


def lose_layers(town):
    for name in town.layers:
        layers = {key: frame for key, frame in town.layers.items() if key != name}
        yield f"no {name}", replace(town, layers=layers)
    yield "no elevation", replace(town, rasters={})


def lose_kinds(town):
    """Yield the town where some kinds of ground or receptor, and their rows, are mapped nowhere."""
    kinds = [("exclusions", "kind", kind) for kind in ("flood", "wetland", "easement", "rail")]
    kinds += [("receptors", "receptor_class", kind) for kind in ("home", "school", "worship")]
    for layer, column, kind in kinds:
        frame = town.layers[layer]
        left = frame[frame[column] != kind].reset_index(drop=True)
        yield (
            f"no {kind}",
            replace(town, layers=town.layers | {layer: left}, unmapped={layer: (kind,)}),
        )
    yield (
        "no exclusions, each kind named",
        replace(
            town,
            layers=town.layers | {"exclusions": town.layers["exclusions"].iloc[:0]},
            coverage=town.coverage | {"exclusions": None},
            unmapped={"exclusions": ("flood", "wetland", "easement", "rail")},
        ),
    )


def lose_values(town):
    """Yield the town without the values of one column, of all rows and of every second one."""
    for name, frame in town.layers.items():
        # The lots come from the parcels, whose values the sites have.
        if name == "lots":
            continue
        columns = catalogue.read_layers()[name].columns
        required = [column for column, about in columns.items() if about.required]
        for column in frame.columns.difference(["geometry", *required, *KINDS]):
            for rows in (slice(None), slice(None, None, 2)):
                lost = frame.copy()
                lost[column] = lost[column].astype(object)
                lost.loc[lost.index[rows], column] = None
                if frame[column].dtype.kind in "iuf":
                    lost[column] = lost[column].astype(float)
                yield f"{name}.{column}", replace(town, layers=town.layers | {name: lost})
    for column in town.sites.columns.difference(
        ["geometry", "site_id", "use_class", "own_dwelling", "site_because", "lot_area_m2"]
    ):
        empty = np.nan if pd.api.types.is_numeric_dtype(town.sites[column]) else None
        yield f"sites.{column}", replace(town, sites=town.sites.assign(**{column: empty}))


def lose_rows(town):
    """Yield the town without some rows of a layer, and without its coverage there."""
    for name, frame in town.layers.items():
        if name == "lots":
            continue
        for first in range(2):
            lost = frame.iloc[first::2]
            gone = shapely.union_all(shapely.buffer(lost.geometry.to_numpy(), 1.0))
            left = frame.drop(index=lost.index).reset_index(drop=True)
            yield (
                f"rows of {name}",
                replace(
                    town,
                    layers=town.layers | {name: left},
                    coverage=town.coverage | {name: shapely.difference(AROUND, gone)},
                ),
            )


def put_side_by_side(towns):
    """Return towns as one, so far apart that they do not matter to each other."""

    def move(frame, nth):
        moved = frame.assign(
            **{name: frame[name] + f"-{nth}" for name in IDS if name in frame and len(frame)}
        )
        return moved.set_geometry(moved.translate(xoff=nth * TOWNS_APART_M))

    def join(frames):
        whole = pd.concat([move(frame, nth) for nth, frame in enumerate(frames)])
        return whole.reset_index(drop=True)

    layers = {name: join([town.layers[name] for town in towns]) for name in towns[0].layers}
    coverage = {
        name: shapely.union_all(
            [
                affinity.translate(
                    shapely.intersection(town.coverage[name], AROUND), nth * TOWNS_APART_M
                )
                for nth, town in enumerate(towns)
            ]
        )
        for name in layers
    }
    return replace(
        towns[0], sites=join([town.sites for town in towns]), layers=layers, coverage=coverage
    )


def find_better(before, after):
    """Return the loads and sites of a call that became a `yes`."""
    # Of two records that contradict each other, one is wrong. Without it, the other holds.
    sure = before["headroom_check"] != "contradict"
    return [
        (name, site)
        for name in CALLS
        for site in before.index[(after[name] == "yes") & (before[name] != "yes") & sure]
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_losing_a_layer_never_makes_a_call_better(ranked_in, plan, seed):
    town = make_mixed_town(seed)
    before = ranked_in(town, plan).set_index("site_id")
    assert set(before[CALLS].to_numpy().ravel()) == {"yes", "check first", "no"}
    better = {
        what: find_better(before, ranked_in(less, plan).set_index("site_id").loc[before.index])
        for what, less in lose_layers(town)
    }
    assert {what: found for what, found in better.items() if found} == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_losing_a_kind_never_makes_a_call_better(ranked_in, plan, seed):
    town = make_mixed_town(seed)
    before = ranked_in(town, plan).set_index("site_id")
    for what, less in lose_kinds(town):
        after = ranked_in(less, plan).set_index("site_id").loc[before.index]
        assert find_better(before, after) == [], what
        assert not (after[CALLS] == "yes").any(axis=None), what


@pytest.mark.parametrize("lose", [lose_values, lose_rows])
@pytest.mark.parametrize("seed", SEEDS)
def test_losing_values_or_rows_never_makes_a_call_better(ranked_in, plan, lose, seed):
    town = make_mixed_town(seed)
    before = ranked_in(town, plan).set_index("site_id")
    whats, towns = zip(("nothing", town), *lose(town), strict=True)
    after = ranked_in(put_side_by_side(towns), plan).set_index("site_id")
    better = {}
    for nth, what in enumerate(whats):
        rows = after.loc[[f"{site}-{nth}" for site in before.index]].set_index(before.index)
        if nth == 0:
            assert rows[CALLS].equals(before[CALLS])
        better[f"{nth} {what}"] = find_better(before, rows)
    assert {what: found for what, found in better.items() if found} == {}
