"""Fuel that is brought by road and stands on the site: what its tanks or trailers feed."""

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.criteria.fuel.supply import empty_supply
from geo.equipment.tanks import TankGroup
from geo.errors import ConfigError
from geo.model import Fuel, Plan

ASSUMED_NO_BUILDING = "no building in the tank's way"


def supply_from_storage(
    sites: gpd.GeoDataFrame,
    groups: list[TankGroup],
    group: np.ndarray,
    body: np.ndarray,
    known: np.ndarray,
    fuel: Fuel,
    plan: Plan,
) -> pd.DataFrame:
    """Return the running machines that stored fuel feeds at each site, worst and best.

    `group` (n,) names the tanks in `groups`, -1 for none, and `body` where they stand; `known`
    says where all that is in the way is known: elsewhere a tank may stand where a building does.

    Worked: 333.3 gal/h from 30 000 gal over 3 days: floor(333.3 / 22.6) = 14 machines.
    """
    facts = empty_supply(sites)
    facts.loc[:, "fuel_evidence"] = "storage"
    held, at = group >= 0, group[group >= 0]
    facts["storage"] = body
    for name, values in (
        ("storage_count", [one.count for one in groups]),
        ("storage_capacity", [one.capacity for one in groups]),
        ("fuel_capacity", [one.flow for one in groups]),
        ("fuel_n_hi", [min(one.feeds, plan.cap) for one in groups]),
    ):
        facts.loc[held, name] = np.array(values)[at]
    facts.loc[held, "storage_unit"] = fuel.storage_unit
    facts["fuel_n_lo"] = facts["fuel_n_hi"]
    if plan.assume.bare_parcel:
        facts.loc[~known & held, "fuel_assumed"] = ASSUMED_NO_BUILDING
    else:
        facts.loc[~known, "fuel_n_lo"] = 0
    return facts


def supply_undelivered(sites: gpd.GeoDataFrame, fuel: Fuel, plan: Plan) -> pd.DataFrame:
    """Return the same for a fuel that nobody brings: none, by the plan and not by the ground.

    Raises ConfigError for a fuel that the plan does have brought: what is stored must be asked.
    """
    if fuel.id in plan.fuel.delivered:
        raise ConfigError(
            f"taking {fuel.title} as not delivered by plan {plan.id!r}",
            f"delivered under [fuel] names {fuel.id!r}",
            "ask what its storage feeds, or take it off the list",
        )
    facts = empty_supply(sites)
    facts.loc[:, "fuel_evidence"] = "no delivery"
    return facts
