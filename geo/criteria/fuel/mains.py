"""The gas mains within reach of each site, and how many generators each of them can run."""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.contract.columns import number_column, text_column
from geo.criteria.fuel import pipes
from geo.equipment.generator import fuel_demand
from geo.errors import ConfigError
from geo.model import AssumedMain, Fuel, Generator, Plan
from geo.shapes.near import find_nearest, find_pairs_within, geometry_array

OUT_OF_SERVICE, TRANSMISSION = ("planned", "retired"), "transmission"
# The facts of the nearest main, and the columns of the layer that they are from.
NEAREST_MAIN_COLUMNS = {
    "nearest_main_id": "main_id",
    "nearest_main_diameter_in": "diameter_in",
    "nearest_main_pressure_class": "pressure_class",
    "nearest_main_material": "material",
}
CAPACITY_COLUMNS = ["capacity_lo", "capacity_hi", "n_lo", "n_hi"]


def find_mains_in_reach(
    sites: gpd.GeoDataFrame,
    mains: gpd.GeoDataFrame | None,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    share: float,
) -> pd.DataFrame:
    """Find every pair of a site and a main within reach, and what the main can supply.

    Args:
        sites: The sites, in the market's metric CRS.
        mains: The market's mains in the same CRS, None where it has no such layer.
        fuel: The piped fuel.
        generator: The generator that burns it.
        plan: The plan, for its reach, assumptions and cap.
        share: Share of a main's flow that is free.

    Returns:
        The columns of `PipedSupply.reach`.
    """
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
    in_service = np.flatnonzero(is_usable_main(mains))
    shapes, lines = geometry_array(sites), geometry_array(mains)
    site, position = find_pairs_within(shapes, lines[in_service], plan.fuel.main_reach_m)
    main = in_service[position]
    unique, of_unique = np.unique(main, return_inverse=True)
    pairs = pd.DataFrame(
        {
            "site": site,
            "main": main,
            # Rounded to a millimeter, so that mains closer to each other than that count as equal.
            "distance_m": np.round(shapely.distance(shapes[site], lines[main]), 3),
        }
    )
    capacity = _describe_mains(mains.iloc[unique], fuel, generator, plan, share).iloc[of_unique]
    return pairs.join(capacity.reset_index(drop=True))[columns]


def is_usable_main(mains: gpd.GeoDataFrame) -> np.ndarray:
    """Return which pipes may serve a site: those in service that are not transmission lines."""
    retired = np.isin(text_column(mains, "status").astype(str), OUT_OF_SERVICE)
    return np.asarray(~retired & (text_column(mains, "kind") != TRANSMISSION))


def describe_nearest_main(
    sites: gpd.GeoDataFrame, mains: gpd.GeoDataFrame | None, plan: Plan
) -> pd.DataFrame:
    """Describe the nearest main within reach of each site, whatever fuel is used there.

    Args:
        sites: The sites, in the market's metric CRS.
        mains: The market's mains in the same CRS, None where it has no such layer.
        plan: The plan, for its reach.

    Returns:
        One row per site: nearest_main_id, nearest_main_distance_m, nearest_main_diameter_in,
        nearest_main_pressure_class and nearest_main_material, empty where no main is in reach.
    """
    if mains is None:
        mains = gpd.GeoDataFrame({"main_id": pd.Series(dtype=object)}, geometry=[])
    # Of equally near mains, the one with the lowest id is named.
    usable = mains[is_usable_main(mains)].sort_values("main_id", kind="stable")
    near = find_nearest(geometry_array(sites), geometry_array(usable), plan.fuel.main_reach_m)
    found = near["other"].to_numpy()
    facts = pd.DataFrame({"nearest_main_distance_m": near["distance_m"]}).set_axis(sites.index)
    for fact, column in NEAREST_MAIN_COLUMNS.items():
        read = number_column if column == "diameter_in" else text_column
        # The last place is for the sites that have none.
        facts[fact] = np.array([*read(usable, column), None], dtype=object)[found]
    facts["nearest_main_diameter_in"] = facts["nearest_main_diameter_in"].astype(float)
    return facts


def compute_free_capacity(
    size_in: np.ndarray,
    pressures: Sequence[np.ndarray],
    material: np.ndarray,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    share: float,
) -> pd.DataFrame:
    """Compute the free capacity of each main and the generators it can run, lowest and highest.

    A main of unknown size or class can run from no generator to the plan's cap.

    Args:
        size_in: Nominal size of each main, NaN where missing.
        pressures: Lowest and highest pressure class of each main, None where missing.
        material: Material of each main, None where missing.
        fuel: The piped fuel.
        generator: The generator that burns it.
        plan: The plan, for the length of main and the cap.
        share: Share of a main's flow that is free.

    Returns:
        The columns of CAPACITY_COLUMNS, one row per main.

    Raises:
        ConfigError: If the catalogue gives no specific gravity for the fuel.
    """
    if fuel.gravity is None:
        raise ConfigError(
            f"computing how much {fuel.title} mains carry",
            "its gravity is not given",
            f"give gravity of [{fuel.id}] in geo/catalogue/fuels.toml, or another route",
        )
    capacity = pd.DataFrame(index=range(len(size_in)), columns=CAPACITY_COLUMNS, dtype=float)
    unknown = {"lo": 0.0, "hi": float(plan.cap)}
    ends = zip(("lo", "hi"), pipes.inside_diameter_in(size_in, material), pressures, strict=True)
    for end, inside_in, pressure in ends:
        flow = pipes.pipe_flow_scfh(inside_in, pressure, plan.fuel.main_length_m, fuel.gravity)
        count = np.floor(flow * share / fuel_demand(generator, fuel)).clip(0, plan.cap)
        capacity[f"capacity_{end}"] = flow * share
        capacity[f"n_{end}"] = np.where(np.isnan(count), unknown[end], count)
    return capacity.astype({"n_lo": int, "n_hi": int})


def count_unusable_mains(layers: dict[str, gpd.GeoDataFrame]) -> dict[str, int]:
    """Count the mains near sites that supply nothing or whose capacity is uncertain, by reason."""
    mains = layers.get("mains")
    if mains is None:
        return {}
    retired = np.isin(text_column(mains, "status"), OUT_OF_SERVICE)
    size, pressure = number_column(mains, "diameter_in"), number_column(mains, "pressure_kpa")
    named = text_column(mains, "pressure_class")
    unnamed = pd.isna(named)
    lowest, _ = pipes.pressure_class_range(named, pressure)
    retired |= text_column(mains, "kind") == TRANSMISSION
    shapes = pd.Series(shapely.to_wkb(shapely.normalize(geometry_array(mains))), dtype=object)
    drawn = shapes[~retired & shapes.notna().to_numpy()]
    twice = np.zeros(len(mains), dtype=bool)
    twice[drawn.index[drawn.duplicated()]] = True
    reasons = {
        "retired or planned mains, and transmission lines, not used": retired,
        "mains drawn twice, under two ids": twice,
        "mains without a size (capacity unknown)": ~retired & np.isnan(size),
        "mains without a pressure (capacity unknown)": ~retired & unnamed & np.isnan(pressure),
        "mains with a pressure class taken from their pressure": ~retired
        & unnamed
        & ~np.isnan(pressure),
        "mains with less pressure than their class needs": ~retired & ~unnamed & (lowest != named),
        "mains of unknown material (capacity is a range)": ~retired
        & pd.isna(text_column(mains, "material")),
    }
    return {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}


def describe_assumed_main(main: AssumedMain) -> str:
    """Describe the main that a plan assumes, for the reader."""
    return f"{main.diameter_in:g}-inch {main.material}, {main.pressure_class} pressure"


def _describe_mains(
    mains: gpd.GeoDataFrame, fuel: Fuel, generator: Generator, plan: Plan, share: float
) -> pd.DataFrame:
    """Return each main's capacity, its class on record, and what the plan assumes about it."""
    size, material = number_column(mains, "diameter_in"), text_column(mains, "material")
    gauge_kpa = number_column(mains, "pressure_kpa")
    lowest, highest = pipes.pressure_class_range(text_column(mains, "pressure_class"), gauge_kpa)
    pressures = [lowest.copy(), highest]
    assumed = np.full(len(mains), None, dtype=object)
    main = plan.assume.main_size
    if main is not None:
        unsized, unnamed = np.isnan(size), pd.isna(lowest)
        missing = unsized | unnamed
        size = np.where(np.isnan(size), main.diameter_in, size)
        for pressure in pressures:
            pressure[pd.isna(pressure)] = main.pressure_class
        material = np.where(missing & pd.isna(material), main.material, material)
        assumed[missing] = f"gas main: {describe_assumed_main(main)}"
        assumed[unsized & ~unnamed] = f"gas main size: {main.diameter_in:g}-inch {main.material}"
        assumed[~unsized & unnamed] = f"gas main pressure: {main.pressure_class}"
    capacity = compute_free_capacity(size, pressures, material, fuel, generator, plan, share)
    return capacity.assign(pressure_class=lowest, pressure_kpa=gauge_kpa, assumed=assumed)
