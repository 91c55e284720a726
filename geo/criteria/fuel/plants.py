"""Biogas and hydrogen from nearby plants, on the site or by a dedicated pipe.

A plant farther away is named for context and supplies nothing.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import catalogue
from geo.contract.columns import number_column, text_column
from geo.criteria.fuel.supply import EDGE_OF_LAYER, NO_LAYER, SUPPLY_COLUMNS, empty_supply
from geo.equipment.generator import fuel_demand
from geo.model import Fuel, FuelEvidence, Generator, Plan
from geo.shapes.near import find_nearest, find_pairs_within, geometry_array, is_covered

PLANT_COLUMNS: dict[str, object] = {
    "plant_id": None,
    "plant_name": None,
    "plant_kind": None,
    "plant_distance_m": np.nan,
    "plant_status": None,
    "plant_used": None,
}
# Plants are sorted by all of these, so that the order of the file's rows changes nothing.
PLANT_SORT_COLUMNS = (
    "plant_id", "name", "plant_kind", "status", "used", "flow_scfh", "used_scfh", "methane_share",
    "as_of",
)  # fmt: skip
NO_PLANT: FuelEvidence = "no plant"
COUNTY_ONLY: FuelEvidence = "plant, place by county only"
TOO_FAR: FuelEvidence = "plant too far"
BY_PIPE: FuelEvidence = "plant by pipe"
ON_SITE: FuelEvidence = "plant on the site"


def supply_from_plants(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
) -> pd.DataFrame:
    """Return the running generators that plants can supply at each site, worst and best case.

    A plant of which only the county is known supplies nothing, and its distance is not given.

    For example, a plant makes 15 000 scfh at 50 % methane, and 6000 scfh are used. It can spare
    4500 scfh of methane. A generator burns 2043.4, so the plant runs 2 generators.

    Args:
        sites: The sites, in the market's metric CRS.
        layers: May hold `fuel_plants`, in the same CRS.
        coverage: Where each layer is complete.
        fuel: The fuel that the plants supply.
        generator: The generator that burns it.
        plan: The plan, for its reaches and cap.

    Returns:
        The columns of SUPPLY_COLUMNS and PLANT_COLUMNS, one row per site: fuel_n_lo and fuel_n_hi
        are the most that any plant within `plant_reach_m` can run; fuel_capacity is what that
        plant can certainly spare (NaN where not known). The named plant is the one that supplies
        the most, or the nearest where none supplies any.
    """
    shapes, mapped = geometry_array(sites), "fuel_plants" in layers
    facts = empty_supply(sites, SUPPLY_COLUMNS | PLANT_COLUMNS)
    covered = is_covered(shapes, coverage.get("fuel_plants"), plan.fuel.plant_reach_m) & mapped
    facts.loc[:, "fuel_evidence"] = np.where(
        covered, NO_PLANT, EDGE_OF_LAYER if mapped else NO_LAYER
    ).astype(object)
    facts["fuel_n_hi"] = np.where(covered, 0, plan.cap)
    if not mapped:
        return facts
    plants = _select_open_plants(layers["fuel_plants"], fuel)
    located = text_column(plants, "precision") != "county"
    county_plants, plants = plants[~located], plants[located]
    _name_nearest_plant(facts, shapes, county_plants, covered, COUNTY_ONLY, plan)
    # The distance to the middle of a county is not the distance to the plant.
    facts["plant_distance_m"] = np.nan
    _name_nearest_plant(facts, shapes, plants, covered, TOO_FAR, plan)
    _add_plants_in_reach(facts, shapes, plants, fuel, generator, plan)
    return facts


def _select_open_plants(plants: gpd.GeoDataFrame, fuel: Fuel) -> gpd.GeoDataFrame:
    """Return the plants of a fuel that are not closed, by id."""
    is_open = (text_column(plants, "fuel") == fuel.id) & (text_column(plants, "status") != "closed")
    selected = plants[is_open]
    keys = [selected[name].astype(str) for name in PLANT_SORT_COLUMNS if name in selected.columns]
    keys.append(pd.Series(shapely.to_wkb(geometry_array(selected), hex=True), selected.index))
    return selected.iloc[np.lexsort([key.to_numpy(dtype=str) for key in reversed(keys)])]


def _name_nearest_plant(
    facts: pd.DataFrame,
    shapes: np.ndarray,
    plants: gpd.GeoDataFrame,
    covered: np.ndarray,
    evidence: FuelEvidence,
    plan: Plan,
) -> None:
    """Name the nearest plant to each site. It is evidence only where the layer is complete."""
    nearest = find_nearest(shapes, geometry_array(plants), plan.fuel.context_reach_m)
    named = (nearest["other"] >= 0).to_numpy()
    distance_m = nearest["distance_m"].to_numpy()[named]
    _write_plant(facts, named, plants.iloc[nearest["other"][named]], distance_m)
    facts.loc[named & covered, "fuel_evidence"] = evidence


def _add_plants_in_reach(
    facts: pd.DataFrame,
    shapes: np.ndarray,
    plants: gpd.GeoDataFrame,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
) -> None:
    """Count what the plants in reach can run, and name the one that runs the most.

    Ties go to the nearest plant, to a millimeter, and then to the lower id.
    """
    plant_shapes = geometry_array(plants)
    site, plant = find_pairs_within(shapes, plant_shapes, plan.fuel.plant_reach_m)
    if not len(site):
        return
    distance_m = np.round(shapely.distance(shapes[site], plant_shapes[plant]), 3)
    spare_lo, spare_hi = _spare_gas_scfh(plants, fuel)
    demand = fuel_demand(generator, fuel)
    # Spare gas that is not known runs from no generator to the plan's cap.
    n_lo = np.nan_to_num(np.floor(spare_lo / demand), nan=0.0).clip(0, plan.cap).astype(int)
    n_hi = np.nan_to_num(np.floor(spare_hi / demand), nan=plan.cap).clip(0, plan.cap).astype(int)
    order = np.lexsort((plant, distance_m, -n_hi[plant], -n_lo[plant], site))
    supplied, first = np.unique(site[order], return_index=True)
    best, index = order[first], facts.index[supplied]
    is_supplied = np.zeros(len(facts), dtype=bool)
    is_supplied[supplied] = True
    _write_plant(facts, is_supplied, plants.iloc[plant[best]], distance_m[best])
    facts.loc[index, "fuel_evidence"] = np.where(distance_m[best] > 0, BY_PIPE, ON_SITE).astype(
        object
    )
    facts.loc[index, "fuel_capacity"] = spare_lo[plant[best]]
    for name, count in (("fuel_n_lo", n_lo), ("fuel_n_hi", n_hi)):
        highest = np.zeros(len(facts), dtype=int)
        np.maximum.at(highest, site, count[plant])
        facts.loc[index, name] = highest[supplied]


def _spare_gas_scfh(plants: gpd.GeoDataFrame, fuel: Fuel) -> tuple[np.ndarray, np.ndarray]:
    """Return the gas that each plant can spare, lowest and highest (scfh); NaN where not known.

    Only the methane in biogas counts. The lowest value of a plant that does not run yet is not
    known.
    """
    flow, used_scfh = number_column(plants, "flow_scfh"), number_column(plants, "used_scfh")
    used, status = text_column(plants, "used"), text_column(plants, "status")
    unused = np.maximum(flow - used_scfh, 0.0)
    # A used flow on record counts even where the value of `used` contradicts it.
    known = [used == "yes", ~np.isnan(used_scfh), used == "no"]
    lowest = np.select(known, [0.0, unused, flow], np.nan)
    highest = np.select(known, [0.0, unused, flow], flow)
    lowest = np.where(status == "operating", lowest, np.nan)
    composition = catalogue.read_plants().get(fuel.id)
    if composition is None:
        return lowest, highest
    methane_share = number_column(plants, "methane_share")
    is_known = ~np.isnan(methane_share)
    return (
        lowest * np.where(is_known, methane_share, composition.methane_lo),
        highest * np.where(is_known, methane_share, composition.methane_hi),
    )


def _write_plant(
    facts: pd.DataFrame, named: np.ndarray, plants: gpd.GeoDataFrame, distance_m: np.ndarray
) -> None:
    """Write the plant of each named site on its row."""
    for name, column in (
        ("plant_id", "plant_id"),
        ("plant_name", "name"),
        ("plant_kind", "plant_kind"),
        ("plant_status", "status"),
        ("plant_used", "used"),
    ):
        facts.loc[named, name] = text_column(plants, column)
    facts.loc[named, "plant_distance_m"] = distance_m
