"""Natural gas by mains: what those in reach of a site carry, or why one may or may not be there.

Public data never show a main's spare capacity: `usable_share` is the plan's assumption.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.contract.columns import number_column, text_column
from geo.criteria.fuel import pipes
from geo.criteria.fuel.supply import empty_supply
from geo.equipment.generator import fuel_demand
from geo.errors import ConfigError
from geo.model import AssumedMain, Fuel, Generator, Plan
from geo.shapes.near import find_nearest, find_pairs_within, geometry_array, is_covered

OUT_OF_SERVICE = ("planned", "retired")
CAPACITY_COLUMNS = ["capacity_lo", "capacity_hi", "n_lo", "n_hi"]


@dataclass(frozen=True)
class PipedSupply:
    """What mains can feed at each site, and every main that could.

    `facts` has a row a site. `reach` has a row for each (site, main) pair in reach, both by
    position: `distance_m`, the machines that it carries (`n_lo`, `n_hi`), what is free of it in
    the fuel's unit (`capacity_lo`, `capacity_hi`, NaN where its size or class is not known), its
    `pressure_class` on record and what of it is `assumed`, or None.
    """

    facts: pd.DataFrame
    reach: pd.DataFrame


def supply_from_mains(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    usable_share: float | None = None,
) -> PipedSupply:
    """Return the running machines that mains can feed at each site, worst and best, and why.

    Facts: fuel_n_lo, fuel_n_hi (0 to the plan's cap), the most that any main in reach carries, at
    best the cap where the reach leaves the layer; fuel_evidence; the nearest main that carries so
    many; fuel_capacity, what is surely free of it (in the fuel's unit, NaN where not known);
    fuel_assumed (what the plan took as given, or None). `usable_share` overrides the plan's, to ask
    what more gas would give.

    Worked: a 4 in main of schedule 40 steel at 60 psig carries 90 332 scfh over a mile; a quarter
    of it, 22 583, runs floor(22 583 / 2007.7) = 11 machines.
    """
    share = plan.fuel.usable_share if usable_share is None else usable_share
    shapes, signs = geometry_array(sites), geometry_array(layers.get("gas_signs"))
    sign_m = find_nearest(shapes, signs, plan.fuel.sign_reach_m)["distance_m"].to_numpy()
    facts = _evidence_without_main(sites, layers, coverage, sign_m, plan)
    _assume_main_at_signs(facts, sign_m, fuel, generator, plan, share)
    reach = _mains_in_reach(sites, layers.get("mains"), fuel, generator, plan, share)
    if len(reach):
        most = reach.groupby("site")[["n_lo", "n_hi"]].max()
        at = most.index.to_numpy()
        # A better one may lie beyond the edge of the layer.
        seen = is_covered(shapes[at], coverage.get("mains"), plan.fuel.main_reach_m)
        facts.loc[facts.index[at], "fuel_n_lo"] = most["n_lo"].to_numpy()
        facts.loc[facts.index[at], "fuel_n_hi"] = np.where(seen, most["n_hi"], plan.cap)
        facts.loc[facts.index[at], "fuel_evidence"] = np.where(
            _is_carried_by_known_main(reach, most), "main", "main of unknown size"
        )
        running = facts["fuel_n_lo"].where(facts["fuel_n_lo"] > 0, facts["fuel_n_hi"]).to_numpy()
        _write_main(facts, reach, _choose_main(reach, layers["mains"], running), layers["mains"])
    return PipedSupply(facts, reach)


def name_serving_main(
    piped: PipedSupply,
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    running: np.ndarray,
) -> pd.DataFrame:
    """Return the facts again, of the main that would serve so many running machines (n,).

    The nearest that carries them for sure, else the nearest that may, else the one that carries
    most. A site that runs none keeps the main that it had.

    Worked: with a 2 in main 10 m and an 8 in main 60 m away, one machine takes the 2 in main,
    where it carries one, and ten take the 8 in main.
    """
    facts = piped.facts.copy()
    if len(piped.reach):
        chosen, runs = np.full(len(sites), -1), np.asarray(running) >= 1
        chosen[runs] = _choose_main(piped.reach, layers["mains"], running)[runs]
        _write_main(facts, piped.reach, chosen, layers["mains"])
    return facts


def count_unusable_mains(layers: dict[str, gpd.GeoDataFrame]) -> dict[str, int]:
    """Count the mains near sites that do not say what they carry, or carry nothing, by why."""
    mains = layers.get("mains")
    if mains is None:
        return {}
    gone = np.isin(text_column(mains, "status"), OUT_OF_SERVICE)
    size, pressure = number_column(mains, "diameter_in"), number_column(mains, "pressure_kpa")
    named = text_column(mains, "pressure_class")
    unnamed = pd.isna(named)
    at_least, _ = pipes.pressure_class_range(named, pressure)
    counts = {
        "mains retired or only planned, which serve nobody": gone,
        "mains without a size, from none to the cap": ~gone & np.isnan(size),
        "mains without a pressure, from none to the cap": ~gone & unnamed & np.isnan(pressure),
        "mains whose class is taken from their pressure": ~gone & unnamed & ~np.isnan(pressure),
        "mains whose pressure does not reach their class": ~gone & ~unnamed & (at_least != named),
        "mains of unknown material, between the narrowest and the widest": ~gone
        & pd.isna(text_column(mains, "material")),
    }
    return {name: int(some.sum()) for name, some in counts.items() if some.any()}


def _evidence_without_main(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    sign_m: np.ndarray,
    plan: Plan,
) -> pd.DataFrame:
    """Return what is known of each site before any main in reach: the best evidence there is.

    `sign_m` is how far the nearest sign of a main is, NaN where none is in reach.
    """
    shapes, facts, mapped = geometry_array(sites), empty_supply(sites), "mains" in layers
    seen = is_covered(shapes, coverage.get("mains"), plan.fuel.main_reach_m) & mapped
    signed = ~np.isnan(sign_m)
    in_one = _is_near_layer(shapes, layers.get("gas_territories"), 0.0)
    outside = ~in_one & is_covered(shapes, coverage.get("gas_territories"), 0.0)
    outside &= "gas_territories" in layers and not mapped
    lines = layers.get("gas_transmission")
    if lines is not None:
        status = text_column(lines, "status")
        # A line of which nothing is said is drawn because it is there.
        lines = lines[(status == "in_service") | pd.isna(status)]
    by_line = in_one & _is_near_layer(shapes, lines, plan.fuel.transmission_reach_m)
    told = (
        (seen & signed, "sign of a main"),
        (seen, "no main"),
        (by_line, "territory and transmission line"),
        (in_one, "territory"),
        (signed, "sign of a main"),
        (outside, "no territory"),
    )
    facts.loc[:, "fuel_evidence"] = np.select(
        [where for where, _ in told],
        [text for _, text in told],
        "edge of layer" if mapped else "no layer",
    ).astype(object)
    none = facts["fuel_evidence"].isin(["no main", "no territory"])
    facts["fuel_n_hi"] = np.where(none, 0, plan.cap)
    facts["main_distance_m"] = np.where(facts["fuel_evidence"] == "sign of a main", sign_m, np.nan)
    return facts


def _is_near_layer(
    shapes: np.ndarray, layer: gpd.GeoDataFrame | None, reach_m: float
) -> np.ndarray:
    """Say for each shape whether anything of the layer is so near."""
    found = np.zeros(len(shapes), dtype=bool)
    found[find_pairs_within(shapes, geometry_array(layer), reach_m)[0]] = True
    return found


def _assume_main_at_signs(
    facts: pd.DataFrame,
    sign_m: np.ndarray,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    share: float,
) -> None:
    """Where there is a sign of a main, take the plan's: the facts then rest on the sign."""
    main, signed = plan.assume.main_at_sign, ~np.isnan(sign_m)
    if main is None:
        return
    carried = _free_capacity(
        np.array([main.diameter_in]),
        [np.array([main.pressure_class], dtype=object)] * 2,
        np.array([main.material], dtype=object),
        fuel,
        generator,
        plan,
        share,
    ).iloc[0]
    facts.loc[signed, "fuel_evidence"] = "sign of a main"
    facts.loc[signed, "main_distance_m"] = sign_m[signed]
    facts.loc[signed, "fuel_n_lo"] = int(carried["n_lo"])
    facts.loc[signed, "fuel_n_hi"] = int(carried["n_hi"])
    facts.loc[signed, "fuel_capacity"] = carried["capacity_lo"]
    facts.loc[signed, "fuel_assumed"] = _assumption_text(main, "a main where there are signs")


def _mains_in_reach(
    sites: gpd.GeoDataFrame,
    mains: gpd.GeoDataFrame | None,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    share: float,
) -> pd.DataFrame:
    """Return every pair of a site and a main in reach that serves, and what the main carries."""
    columns = [
        "site",
        "main",
        "distance_m",
        *CAPACITY_COLUMNS,
        "pressure_class",
        "pressure_kpa",
        "assumed",
    ]
    if mains is None:
        return pd.DataFrame(columns=columns)
    there = np.flatnonzero(~np.isin(text_column(mains, "status").astype(str), OUT_OF_SERVICE))
    shapes, lines = geometry_array(sites), geometry_array(mains)
    site, found = find_pairs_within(shapes, lines[there], plan.fuel.main_reach_m)
    main = there[found]
    used, which = np.unique(main, return_inverse=True)
    pair = pd.DataFrame(
        {
            "site": site,
            "main": main,
            # To a millimetre: what is nearer by less is as near.
            "distance_m": np.round(shapely.distance(shapes[site], lines[main]), 3),
        }
    )
    told = _describe_mains(mains.iloc[used], fuel, generator, plan, share).iloc[which]
    return pair.join(told.reset_index(drop=True))[columns]


def _describe_mains(
    mains: gpd.GeoDataFrame, fuel: Fuel, generator: Generator, plan: Plan, share: float
) -> pd.DataFrame:
    """Return what each main carries, its class on record, and what of it the plan assumes."""
    size, material = number_column(mains, "diameter_in"), text_column(mains, "material")
    gauge_kpa = number_column(mains, "pressure_kpa")
    named, at_most = pipes.pressure_class_range(text_column(mains, "pressure_class"), gauge_kpa)
    pressures = [named.copy(), at_most]
    assumed = np.full(len(mains), None, dtype=object)
    main = plan.assume.main_size
    if main is not None:
        unsized, unnamed = np.isnan(size), pd.isna(named)
        missing = unsized | unnamed
        size = np.where(np.isnan(size), main.diameter_in, size)
        for pressure in pressures:
            pressure[pd.isna(pressure)] = main.pressure_class
        material = np.where(missing & pd.isna(material), main.material, material)
        assumed[missing] = _assumption_text(main, "the size of the main")
        bore, drive = f"{main.diameter_in:g} in {main.material}", main.pressure_class
        assumed[unsized & ~unnamed] = f"the size of the main: {bore}"
        assumed[~unsized & unnamed] = f"the pressure of the main: {drive}"
    told = _free_capacity(size, pressures, material, fuel, generator, plan, share)
    return told.assign(pressure_class=named, pressure_kpa=gauge_kpa, assumed=assumed)


def _free_capacity(
    size_in: np.ndarray,
    pressures: Sequence[np.ndarray],
    material: np.ndarray,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    share: float,
) -> pd.DataFrame:
    """Return what is free of each main and the machines that run on it, at least and at most.

    A main of unknown size or class is free of nobody knows what: none to the plan's cap.
    """
    if fuel.gravity is None:
        raise ConfigError(
            f"asking what mains carry of {fuel.title}",
            "its gravity is not given",
            f"give gravity of [{fuel.id}] in geo/catalogue/fuels.toml, or ask another route",
        )
    carried = pd.DataFrame(index=range(len(size_in)), columns=CAPACITY_COLUMNS, dtype=float)
    unknown = {"lo": 0.0, "hi": float(plan.cap)}
    ends = zip(("lo", "hi"), pipes.inside_diameter_in(size_in, material), pressures, strict=True)
    for end, width_in, pressure in ends:
        flow = pipes.pipe_flow_scfh(width_in, pressure, plan.fuel.main_length_m, fuel.gravity)
        count = np.floor(flow * share / fuel_demand(generator, fuel)).clip(0, plan.cap)
        carried[f"capacity_{end}"] = flow * share
        carried[f"n_{end}"] = np.where(np.isnan(count), unknown[end], count)
    return carried.astype({"n_lo": int, "n_hi": int})


def _is_carried_by_known_main(reach: pd.DataFrame, most: pd.DataFrame) -> np.ndarray:
    """Say of each site in `most` whether a main of known size carries as much as any does.

    Where none surely carries a machine, it is the one that may carry most that is asked.
    """
    on_record = reach["assumed"].isna() & reach["capacity_lo"].notna()
    known = reach[on_record].groupby("site")[["n_lo", "n_hi"]].max().reindex(most.index)
    none = most["n_lo"] == 0
    as_sure = (known["n_lo"] == most["n_lo"]) & ~none
    as_likely = (known["n_hi"] == most["n_hi"]) & none
    return (as_sure | as_likely).to_numpy(dtype=bool)


def _choose_main(reach: pd.DataFrame, mains: gpd.GeoDataFrame, running: np.ndarray) -> np.ndarray:
    """Return the row of `reach` whose main would serve each site, -1 where none is in reach.

    Of mains equally near, the one that carries more, then the lower id.
    """
    site, asked = reach["site"].to_numpy(), np.asarray(running)[reach["site"]]
    sure, may = (reach["n_lo"] >= asked).to_numpy(), (reach["n_hi"] >= asked).to_numpy()
    least = reach["capacity_lo"].fillna(-1.0).to_numpy()
    most = reach["capacity_hi"].fillna(-1.0).to_numpy()
    _, place = np.unique(mains["main_id"].to_numpy(dtype=str), return_inverse=True)
    order = np.lexsort(
        (
            place[reach["main"]],
            -most,
            -least,
            reach["distance_m"].to_numpy(),
            np.where(may, 0.0, -least),
            np.select([sure, may], [0, 1], 2),
            site,
        )
    )
    served, first = np.unique(site[order], return_index=True)
    chosen = np.full(len(running), -1)
    chosen[served] = order[first]
    return chosen


def _write_main(
    facts: pd.DataFrame, reach: pd.DataFrame, chosen: np.ndarray, mains: gpd.GeoDataFrame
) -> None:
    """Write the main of each site on its row, and what is assumed of it.

    What a site surely carries may rest on another main, of assumed size: then that is said too.
    """
    served = chosen >= 0
    pair = reach.iloc[chosen[served]]
    rows, at = mains.iloc[pair["main"]], facts.index[served]
    for name, values in (
        ("main_id", text_column(rows, "main_id")),
        ("main_distance_m", pair["distance_m"].to_numpy()),
        ("main_diameter_in", number_column(rows, "diameter_in")),
        ("main_pressure_class", text_column(pair, "pressure_class")),
        ("main_pressure_kpa", number_column(pair, "pressure_kpa")),
        ("main_material", text_column(rows, "material")),
        ("main_source", text_column(rows, "source_id")),
        ("fuel_capacity", pair["capacity_lo"].to_numpy()),
    ):
        facts.loc[at, name] = values
    surely = facts["fuel_n_lo"].to_numpy()[reach["site"]]
    carries = reach[(reach["n_lo"] >= surely).to_numpy()]
    on_record = np.zeros(len(facts), dtype=bool)
    on_record[carries.loc[carries["assumed"].isna(), "site"]] = True
    rests_on = np.full(len(facts), None, dtype=object)
    rests_on[carries["site"]] = text_column(carries, "assumed")
    said = text_column(pair, "assumed")
    other = pd.isna(said) & ~on_record[served]
    facts.loc[at, "fuel_assumed"] = np.where(other, rests_on[served], said)


def _assumption_text(main: AssumedMain, what: str) -> str:
    return f"{what}: {main.diameter_in:g} in {main.material}, {main.pressure_class} pressure"
