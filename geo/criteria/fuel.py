"""What each fuel can run at each site, from where, and how that is known.

Plain for now: the nearest main within reach against a declared carrying table, and stored fuel by
the tanks that the ground takes. Public data never show a main's spare capacity: `usable_share` is
the plan's assumption.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.model import AssumedMain, Carrying, Fuel, Plan
from geo.near import inside, nearest, shapes_of, within
from geo.tanks import Tanks

NO_BUILDING = "no building in the tank's way"
FACTS = {
    "fuel_evidence": None,
    "fuel_n_lo": 0,
    "fuel_n_hi": 0,
    "fuel_capacity": np.nan,
    "main_id": None,
    "main_distance_m": np.nan,
    "main_diameter_in": np.nan,
    "main_pressure_class": None,
    "main_material": None,
    "storage_count": np.nan,
    "storage_capacity": np.nan,
    "storage_unit": None,
    "storage": None,
    "fuel_assumed": None,
}


def supply(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    fuel: Fuel,
    carrying: tuple[Carrying, ...],
    plan: Plan,
    usable_share: float | None = None,
) -> pd.DataFrame:
    """Return the running machines that mains can feed at each site, worst and best, and why.

    Columns: fuel_n_lo, fuel_n_hi (0 to the plan's cap), fuel_evidence, fuel_capacity (in the
    fuel's trade unit, NaN where not known), the main or the tank, fuel_assumed (what the plan took
    as given, or None). `usable_share` overrides the plan's, to ask what more gas would give.

    Worked: a 4 in main at 60 psig carries 80 200 scfh; a quarter of it, 20 050, runs
    floor(20 050 / 2000) = 10 machines.
    """
    share = plan.fuel.usable_share if usable_share is None else usable_share
    shapes, reach = shapes_of(sites), plan.fuel.main_reach_m
    facts = _blank(sites)
    facts["fuel_n_hi"] = plan.cap
    seen = inside(shapes, coverage.get("mains"), reach)
    facts["fuel_evidence"] = np.where(
        seen, "no main", "edge of layer" if "mains" in layers else "no layer"
    )
    facts.loc[seen, "fuel_n_hi"] = 0

    signs = nearest(shapes, shapes_of(layers.get("gas_signs")), plan.fuel.sign_reach_m)
    signed = (signs["other"] >= 0).to_numpy()
    facts.loc[signed, "fuel_evidence"] = "sign of a main"
    facts.loc[signed, "fuel_n_hi"] = plan.cap
    facts.loc[signed, "main_distance_m"] = signs.loc[signed, "distance_m"].to_numpy()
    size = pd.Series(np.nan, index=sites.index)
    pressure = pd.Series(None, index=sites.index, dtype=object)
    _assume(facts, size, pressure, signed, plan.assume.main_at_sign, "a main where there are signs")

    mains = layers.get("mains")
    if mains is not None:
        found = _nearest_main(shapes, mains, reach, carrying)
        hit = (found["other"] >= 0).to_numpy()
        rows = mains.iloc[found.loc[hit, "other"]]
        for column in ("main_id", "diameter_in", "pressure_class", "material"):
            name = column if column == "main_id" else f"main_{column}"
            facts.loc[hit, name] = rows[column].where(rows[column].notna(), None).to_numpy()
        facts.loc[hit, "main_distance_m"] = found.loc[hit, "distance_m"].to_numpy()
        facts.loc[hit, "fuel_assumed"] = None
        size[hit] = rows["diameter_in"].to_numpy(dtype=float)
        pressure[hit] = rows["pressure_class"].to_numpy()
        unsized = hit & (size.isna() | pressure.isna()).to_numpy()
        facts.loc[hit, "fuel_evidence"] = "main"
        facts.loc[unsized, "fuel_evidence"] = "main of unknown size"
        facts.loc[hit, "fuel_n_hi"] = plan.cap
        _assume(facts, size, pressure, unsized, plan.assume.main_size, "the size of the main")

    usable = capacity_scfh(size, pressure, carrying) * share
    # A main below the table's smallest carries something, but no more than the smallest does.
    least_in = min(row.diameter_in for row in carrying)
    bound = capacity_scfh(size.clip(lower=least_in), pressure, carrying) * share
    most = np.floor(bound / fuel.demand_per_machine).clip(upper=plan.cap)
    small = usable.isna() & most.notna()
    facts.loc[small, "fuel_n_hi"] = most[small].astype(int)
    known = usable.notna()
    facts.loc[known, "fuel_capacity"] = usable[known]
    count = np.floor(usable[known] / fuel.demand_per_machine).clip(upper=plan.cap).astype(int)
    facts.loc[known, "fuel_n_lo"] = count
    facts.loc[known, "fuel_n_hi"] = count
    return facts


def by_storage(
    sites: gpd.GeoDataFrame,
    groups: list[Tanks],
    group: np.ndarray,
    body: np.ndarray,
    known: np.ndarray,
    fuel: Fuel,
    plan: Plan,
) -> pd.DataFrame:
    """Return the same for stored fuel: what the tanks of each site feed.

    `group` (n,) names the tanks in `groups`, -1 for none, and `body` where they stand; `known`
    says where all that is in the way is known: elsewhere a tank may stand where a building does.

    Worked: 333.3 gal/h from 30 000 gal over 3 days: floor(333.3 / 22.6) = 14 machines.
    """
    facts = _blank(sites)
    facts["fuel_evidence"] = "storage"
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
        facts.loc[~known & held, "fuel_assumed"] = NO_BUILDING
    else:
        facts.loc[~known, "fuel_n_lo"] = 0
    return facts


def capacity_scfh(
    diameter_in: pd.Series, pressure_class: pd.Series, carrying: tuple[Carrying, ...]
) -> pd.Series:
    """Return what each main carries when empty: the table's row of its class, next size down.

    NaN where size or class is missing, or where the main is smaller than the table's smallest.
    """
    table = pd.DataFrame([row.model_dump() for row in carrying])
    found = pd.Series(np.nan, index=diameter_in.index)
    for name, rows in table.groupby("pressure_class", sort=True):
        sizes = rows.sort_values("diameter_in")
        at = (pressure_class == name) & (diameter_in >= sizes["diameter_in"].iloc[0])
        step = np.searchsorted(sizes["diameter_in"], diameter_in[at], side="right") - 1
        found[at] = sizes["capacity_scfh"].to_numpy()[step]
    return found


def _blank(sites: gpd.GeoDataFrame) -> pd.DataFrame:
    facts = pd.DataFrame(FACTS, index=sites.index)
    texts = [name for name, value in FACTS.items() if value is None]
    return facts.astype(dict.fromkeys(texts, object))


def _nearest_main(
    shapes: np.ndarray, mains: gpd.GeoDataFrame, reach_m: float, carrying: tuple[Carrying, ...]
) -> pd.DataFrame:
    """Return each site's nearest main.

    Of mains equally near, to a millimetre, the one that carries most; then the lower id.
    """
    site, main = within(shapes, shapes_of(mains), reach_m)
    away = np.round(shapely.distance(shapes[site], shapes_of(mains)[main]), 3)
    capacity = capacity_scfh(mains["diameter_in"], mains["pressure_class"], carrying).fillna(-1.0)
    place = mains["main_id"].rank(method="first").to_numpy()
    order = np.lexsort((place[main], -capacity.to_numpy()[main], away, site))
    first = order[np.unique(site[order], return_index=True)[1]]
    found = pd.DataFrame({"other": np.full(len(shapes), -1), "distance_m": np.nan})
    found.loc[site[first], "other"] = main[first]
    found.loc[site[first], "distance_m"] = away[first]
    return found


def _assume(
    facts: pd.DataFrame,
    size: pd.Series,
    pressure: pd.Series,
    where: np.ndarray,
    main: AssumedMain | None,
    what: str,
) -> None:
    """Fill in the plan's main where the facts are missing, and say so on the row."""
    if main is None:
        return
    missing_size, missing_class = where & size.isna(), where & pressure.isna()
    size[missing_size] = main.diameter_in
    pressure[missing_class] = main.pressure_class
    text = f"{what}: {main.diameter_in:g} in, {main.pressure_class} pressure"
    facts.loc[missing_size | missing_class, "fuel_assumed"] = text
