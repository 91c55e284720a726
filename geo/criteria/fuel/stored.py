"""Fuel that is delivered by road and stored on the site: what its tanks or trailers can run."""

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.criteria.fuel.supply import empty_supply
from geo.equipment.tanks import TankGroup
from geo.errors import ConfigError
from geo.model import Fuel, FuelEvidence, Plan

ASSUMED_NO_BUILDING = "no building where the tank stands"
STORED: FuelEvidence = "storage"
NOT_DELIVERED: FuelEvidence = "no delivery"


def supply_from_storage(
    sites: gpd.GeoDataFrame,
    groups: list[TankGroup],
    group: np.ndarray,
    body: np.ndarray,
    known: np.ndarray,
    fuel: Fuel,
    plan: Plan,
) -> pd.DataFrame:
    """Return the running generators that stored fuel supplies at each site, worst and best case.

    For example, 30 000 gal of propane, 80 % usable, last 3 days at 333.3 gal/h, which runs
    floor(333.3 / 22.6) = 14 generators.

    Args:
        sites: The sites.
        groups: The groups of tanks that the plan allows.
        group: The group at each site, as a position in `groups`; -1 for none. Shape (n,).
        body: Where the tanks stand at each site. Shape (n,), in the market's metric CRS.
        known: Whether all obstacles at each site are known. Elsewhere a building may stand where
            the tank is placed. Shape (n,).
        fuel: The stored fuel.
        plan: The plan.

    Returns:
        The columns of SUPPLY_COLUMNS, one row per site.
    """
    facts = empty_supply(sites)
    facts.loc[:, "fuel_evidence"] = STORED
    has_tanks, position = group >= 0, group[group >= 0]
    facts["storage"] = body
    for name, values in (
        ("storage_count", [tanks.count for tanks in groups]),
        ("storage_capacity", [tanks.capacity for tanks in groups]),
        ("fuel_capacity", [tanks.flow for tanks in groups]),
        ("fuel_n_hi", [min(tanks.feeds, plan.cap) for tanks in groups]),
    ):
        facts.loc[has_tanks, name] = np.array(values)[position]
    facts.loc[has_tanks, "storage_unit"] = fuel.storage_unit
    facts["fuel_n_lo"] = facts["fuel_n_hi"]
    if plan.assume.bare_parcel:
        facts.loc[~known & has_tanks, "fuel_assumed"] = ASSUMED_NO_BUILDING
    else:
        facts.loc[~known, "fuel_n_lo"] = 0
    return facts


def supply_undelivered(sites: gpd.GeoDataFrame, fuel: Fuel, plan: Plan) -> pd.DataFrame:
    """Return no supply, for a stored fuel that is not delivered under the plan.

    Args:
        sites: The sites.
        fuel: A fuel that the plan does not have delivered.
        plan: The plan.

    Returns:
        The columns of SUPPLY_COLUMNS, one row per site.

    Raises:
        ConfigError: If the plan has the fuel delivered: use `supply_from_storage` instead.
    """
    if fuel.id in plan.fuel.delivered:
        raise ConfigError(
            f"treating {fuel.title} as not delivered under plan {plan.id!r}",
            f"delivered under [fuel] names {fuel.id!r}",
            f"size the tanks of {fuel.title}, or remove it from the list",
        )
    facts = empty_supply(sites)
    facts.loc[:, "fuel_evidence"] = NOT_DELIVERED
    return facts
