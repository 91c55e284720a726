"""Biogas and hydrogen from plants: on the site or by a pipe of its own; beyond that, context."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import catalogue
from geo.contract.columns import number_column, text_column
from geo.criteria.fuel.supply import SUPPLY_COLUMNS, empty_supply
from geo.equipment.generator import fuel_demand
from geo.model import Fuel, Generator, Plan
from geo.shapes.near import find_nearest, find_pairs_within, geometry_array, is_covered

PLANT_COLUMNS: dict[str, object] = {
    "plant_id": None,
    "plant_name": None,
    "plant_kind": None,
    "plant_distance_m": np.nan,
    "plant_status": None,
    "plant_used": None,
}
# What is published of a plant, for an order that does not hang on that of the rows.
PLANT_SORT_COLUMNS = (
    "plant_id", "name", "plant_kind", "status", "used", "flow_scfh", "used_scfh", "methane_share",
    "as_of",
)  # fmt: skip


def supply_from_plants(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
) -> pd.DataFrame:
    """Return the running machines that plants can feed at each site, worst and best, and why.

    Facts, as every fuel's: fuel_n_lo, fuel_n_hi, the most that any plant feeds within the plan's
    `plant_reach_m`; fuel_evidence; fuel_capacity, what is surely spare there (NaN where not
    known); and plant_id, plant_name, plant_kind, plant_distance_m, plant_status, plant_used of
    the plant that feeds most, else of the nearest for context. A plant that is known by its
    county alone counts for nothing, and no distance to it is given.

    Worked: 15 000 scfh at 50 % methane, 6000 of it used: 4500 scfh of methane are spare, and
    a machine burns 2043.4: 2 machines.
    """
    shapes, mapped = geometry_array(sites), "fuel_plants" in layers
    facts = empty_supply(sites, SUPPLY_COLUMNS | PLANT_COLUMNS)
    seen = is_covered(shapes, coverage.get("fuel_plants"), plan.fuel.plant_reach_m) & mapped
    facts.loc[:, "fuel_evidence"] = np.where(
        seen, "no plant", "edge of layer" if mapped else "no layer"
    ).astype(object)
    facts["fuel_n_hi"] = np.where(seen, 0, plan.cap)
    if not mapped:
        return facts
    plants = _open_plants(layers["fuel_plants"], fuel)
    placed = text_column(plants, "precision") != "county"
    by_county, plants = plants[~placed], plants[placed]
    _name_nearest_plant(facts, shapes, by_county, seen, "plant, place by county only", plan)
    # How far a county's middle is says nothing of how far the plant is.
    facts["plant_distance_m"] = np.nan
    _name_nearest_plant(facts, shapes, plants, seen, "plant too far", plan)
    _feed_from_plants(facts, shapes, plants, fuel, generator, plan)
    return facts


def _open_plants(plants: gpd.GeoDataFrame, fuel: Fuel) -> gpd.GeoDataFrame:
    """Return the plants of a fuel that are not closed, by id."""
    theirs = (text_column(plants, "fuel") == fuel.id) & (text_column(plants, "status") != "closed")
    kept = plants[theirs]
    by = [kept[name].astype(str) for name in PLANT_SORT_COLUMNS if name in kept.columns]
    by.append(pd.Series(shapely.to_wkb(geometry_array(kept), hex=True), kept.index))
    return kept.iloc[np.lexsort([one.to_numpy(dtype=str) for one in reversed(by)])]


def _name_nearest_plant(
    facts: pd.DataFrame,
    shapes: np.ndarray,
    plants: gpd.GeoDataFrame,
    seen: np.ndarray,
    evidence: str,
    plan: Plan,
) -> None:
    """Name the nearest plant to each site. It is evidence only where no nearer one is missed."""
    found = find_nearest(shapes, geometry_array(plants), plan.fuel.context_reach_m)
    hit = (found["other"] >= 0).to_numpy()
    _write_plant(facts, hit, plants.iloc[found["other"][hit]], found["distance_m"].to_numpy()[hit])
    facts.loc[hit & seen, "fuel_evidence"] = evidence


def _feed_from_plants(
    facts: pd.DataFrame,
    shapes: np.ndarray,
    plants: gpd.GeoDataFrame,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
) -> None:
    """Count what the plants in reach feed: of several, the one that feeds most, then the nearest.

    Of those as near, to a millimetre, the one of the lower id.
    """
    lines = geometry_array(plants)
    site, plant = find_pairs_within(shapes, lines, plan.fuel.plant_reach_m)
    if not len(site):
        return
    away = np.round(shapely.distance(shapes[site], lines[plant]), 3)
    spare_lo, spare_hi = _spare_gas_scfh(plants, fuel)
    each = fuel_demand(generator, fuel)
    # Nobody knows how little, or how much: none, to the plan's cap.
    n_lo = np.nan_to_num(np.floor(spare_lo / each), nan=0.0).clip(0, plan.cap).astype(int)
    n_hi = np.nan_to_num(np.floor(spare_hi / each), nan=plan.cap).clip(0, plan.cap).astype(int)
    order = np.lexsort((plant, away, -n_hi[plant], -n_lo[plant], site))
    fed, first = np.unique(site[order], return_index=True)
    best, at = order[first], facts.index[fed]
    hit = np.zeros(len(facts), dtype=bool)
    hit[fed] = True
    _write_plant(facts, hit, plants.iloc[plant[best]], away[best])
    facts.loc[at, "fuel_evidence"] = np.where(
        away[best] > 0, "plant by pipe", "plant on the site"
    ).astype(object)
    facts.loc[at, "fuel_capacity"] = spare_lo[plant[best]]
    for name, count in (("fuel_n_lo", n_lo), ("fuel_n_hi", n_hi)):
        most = np.zeros(len(facts), dtype=int)
        np.maximum.at(most, site, count[plant])
        facts.loc[at, name] = most[fed]


def _spare_gas_scfh(plants: gpd.GeoDataFrame, fuel: Fuel) -> tuple[np.ndarray, np.ndarray]:
    """Return what each plant can spare at least and at most (scfh), NaN where nobody knows.

    Of gas that counts by its methane, the methane in it. A plant that does not run yet surely
    spares nothing that is known.
    """
    flow, used_scfh = number_column(plants, "flow_scfh"), number_column(plants, "used_scfh")
    used, status = text_column(plants, "used"), text_column(plants, "status")
    left = np.maximum(flow - used_scfh, 0.0)
    # A figure for what is used holds, whatever the word beside it says.
    known = [used == "yes", ~np.isnan(used_scfh), used == "no"]
    at_least = np.select(known, [0.0, left, flow], np.nan)
    at_most = np.select(known, [0.0, left, flow], flow)
    at_least = np.where(status == "operating", at_least, np.nan)
    gas = catalogue.read_plants().get(fuel.id)
    if gas is None:
        return at_least, at_most
    share = number_column(plants, "methane_share")
    said = ~np.isnan(share)
    return (
        at_least * np.where(said, share, gas.methane_lo),
        at_most * np.where(said, share, gas.methane_hi),
    )


def _write_plant(
    facts: pd.DataFrame, hit: np.ndarray, plants: gpd.GeoDataFrame, distance_m: np.ndarray
) -> None:
    """Write each site's plant on its row."""
    for name, column in (
        ("plant_id", "plant_id"),
        ("plant_name", "name"),
        ("plant_kind", "plant_kind"),
        ("plant_status", "status"),
        ("plant_used", "used"),
    ):
        facts.loc[hit, name] = text_column(plants, column)
    facts.loc[hit, "plant_distance_m"] = distance_m
