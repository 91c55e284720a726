"""What each fuel can run at each site, from where, and how that is known.

Plain for now: the nearest main within reach against a declared carrying table, and propane by the
largest tank whose body and separation fit the parcel. Public data never show a main's spare
capacity: `usable_share` is the plan's assumption.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import fit
from geo.model import AssumedMain, Carrying, Fuel, Plan
from geo.near import gather, inside, nearest, shapes_of, within

HOURS_PER_DAY = 24
FILL_SHARE = 0.8  # a propane tank is filled to 80 % (NFPA 58 practice), the rest is for expansion
DIRECTIONS = 3
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
    "storage_gal": np.nan,
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
    """Return the running machines that `fuel` can feed at each site, worst and best, and why.

    Columns: fuel_n_lo, fuel_n_hi (0 to the plan's cap), fuel_evidence, fuel_capacity (in the
    fuel's trade unit, NaN where not known), the main or the tank, fuel_assumed (what the plan took
    as given, or None). `usable_share` overrides the plan's, to ask what more gas would give.

    Worked: a 4 in main at 60 psig carries 80 200 scfh; a quarter of it, 20 050, runs
    floor(20 050 / 2000) = 10 machines.
    """
    if fuel.delivery == "storage":
        return _by_storage(sites, layers, coverage, fuel, plan)
    share = plan.fuel.usable_share if usable_share is None else usable_share
    return _by_main(sites, layers, coverage, fuel, carrying, plan, share)


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


def _by_main(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    fuel: Fuel,
    carrying: tuple[Carrying, ...],
    plan: Plan,
    usable_share: float,
) -> pd.DataFrame:
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

    usable = capacity_scfh(size, pressure, carrying) * usable_share
    # A main below the table's smallest carries something, but no more than the smallest does.
    least_in = min(row.diameter_in for row in carrying)
    bound = capacity_scfh(size.clip(lower=least_in), pressure, carrying) * usable_share
    most = np.floor(bound / fuel.demand_per_machine).clip(upper=plan.cap)
    small = usable.isna() & most.notna()
    facts.loc[small, "fuel_n_hi"] = most[small].astype(int)
    known = usable.notna()
    facts.loc[known, "fuel_capacity"] = usable[known]
    count = np.floor(usable[known] / fuel.demand_per_machine).clip(upper=plan.cap).astype(int)
    facts.loc[known, "fuel_n_lo"] = count
    facts.loc[known, "fuel_n_hi"] = count
    return facts


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


def _by_storage(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    fuel: Fuel,
    plan: Plan,
) -> pd.DataFrame:
    facts = _blank(sites)
    facts["fuel_evidence"] = "storage"
    shapes, buildings = shapes_of(sites), shapes_of(layers.get("buildings"))
    per_machine = fuel.demand_per_machine * HOURS_PER_DAY * plan.fuel.propane_autonomy_days
    spots, degrees = fit.directions(shapes, DIRECTIONS)
    for tank in sorted(fuel.storage, key=lambda tank: tank.capacity_gal):
        inner = shapely.buffer(shapes, -tank.separation_m, join_style="mitre")
        site, building = within(inner, buildings, tank.separation_m)
        grown = shapely.buffer(buildings[building], tank.separation_m, quad_segs=4)
        room = shapely.difference(inner, gather(grown, site, len(shapes)))
        origin = shapely.get_coordinates(shapely.centroid(shapes))[spots]
        turned = fit.turn(room[spots], origin, degrees)
        ones = np.ones(len(spots))
        fits = np.zeros(len(shapes), dtype=bool)
        for length, width in (
            (tank.length_m, tank.width_m),
            (tank.width_m, tank.length_m),
        ):
            places = fit.centres(turned, length * ones, width * ones)
            fits[spots[~shapely.is_empty(places)]] = True
        usable = tank.capacity_gal * FILL_SHARE
        facts.loc[fits, "storage_gal"] = tank.capacity_gal
        facts.loc[fits, "fuel_capacity"] = usable / (
            HOURS_PER_DAY * plan.fuel.propane_autonomy_days
        )
        facts.loc[fits, "fuel_n_hi"] = min(int(usable // per_machine), plan.cap)
    facts["fuel_n_lo"] = facts["fuel_n_hi"]
    # Against a bare parcel the tank may stand where a building does.
    bare = ~inside(shapes, coverage.get("buildings"), 0.0) | ("buildings" not in layers)
    if plan.assume.bare_parcel:
        facts.loc[bare & (facts["fuel_n_hi"] > 0), "fuel_assumed"] = NO_BUILDING
    else:
        facts.loc[bare, "fuel_n_lo"] = 0
    return facts
