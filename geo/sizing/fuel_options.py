"""Every fuel by every route that it has: what each site carries on it, and which is the best.

A fuel's own ground counts: stored fuel is sized beside its tanks, a main or a plant takes none.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.fuel import gas, plants, stored
from geo.criteria.fuel.requirements import describe_needs
from geo.equipment.generator import fuel_demand
from geo.equipment.tanks import list_tank_groups, storage_days
from geo.model import Fuel, Generator, Plan, Route, Screening
from geo.shapes.near import geometry_array
from geo.sizing import size

# What a row says of its fuel besides what every route answers with.
EXTRA_SUPPLY_COLUMNS = {**plants.PLANT_COLUMNS, "storage_days": np.nan}
# Where it is not known whether a plant is near, a fuel that counts only from one is context.
UNKNOWN_PLANT_EVIDENCE = ("no layer", "edge of layer")


@dataclass(frozen=True)
class FuelOption:
    """One fuel by one route: the ground beside it, what it can run, and what a site so carries."""

    fuel: Fuel
    route: Route
    siting: size.Siting
    supply: pd.DataFrame
    deployed: pd.DataFrame
    piped: gas.PipedSupply | None = None


@dataclass(frozen=True)
class FuelChoice:
    """What each site carries on its best fuel, with the ground and the supply behind it.

    `served` is the supply of each option, with the main that serves what a site carries on it;
    `best` (n,) the option that each site takes; `lo` and `hi` (n, options) what it would carry on
    each.
    """

    options: tuple[FuelOption, ...]
    supplies: tuple[pd.DataFrame, ...]
    best_option: np.ndarray
    siting: size.Siting
    deployed: pd.DataFrame
    supply: pd.DataFrame
    n_lo: np.ndarray
    n_hi: np.ndarray

    @property
    def fuel(self) -> np.ndarray:
        """The id of each site's best fuel."""
        named = np.array([one.fuel.id for one in self.options], dtype=object)
        return np.asarray(named[self.best_option])


def choose_fuel(
    given: Screening,
    sites: gpd.GeoDataFrame,
    found: size.Siting,
    fuels: list[Fuel],
    generator: Generator,
    plan: Plan,
) -> FuelChoice:
    """Size every fuel of the plan; take the first that surely carries one generator.

    Where none surely does, take the one that may carry most, the plan's first among equals.
    """
    options = tuple(
        _size_option(given, sites, found, one, route, generator, plan)
        for one in fuels
        for route in one.routes
    )
    lo = np.column_stack([one.deployed["n_lo"] for one in options])
    hi = np.column_stack([one.deployed["n_hi"] for one in options])
    # argmax takes the first of equals, which is the plan's preference.
    best = np.where((lo > 0).any(axis=1), (lo > 0).argmax(axis=1), hi.argmax(axis=1))
    there = options[0].siting
    for number, one in enumerate(options):
        there = size.select_sitings(there, one.siting, best == number)
    deployed = pick_rows([one.deployed for one in options], best)
    served = tuple(_name_supply(one, sites, given, plan) for one in options)
    supply = pick_rows(list(served), best)
    lacking = {name: value for name, value in EXTRA_SUPPLY_COLUMNS.items() if name not in supply}
    supply = supply.join(pd.DataFrame(lacking, index=supply.index))
    return FuelChoice(options, served, best, there, deployed, supply, lo, hi)


def _size_option(
    given: Screening,
    sites: gpd.GeoDataFrame,
    found: size.Siting,
    fuel: Fuel,
    route: Route,
    generator: Generator,
    plan: Plan,
) -> FuelOption:
    there, piped = found, None
    if route == "main":
        piped = gas.supply_from_mains(sites, given.layers, given.coverage, fuel, generator, plan)
        supply = piped.facts
    elif route == "plant":
        supply = plants.supply_from_plants(
            sites, given.layers, given.coverage, fuel, generator, plan
        )
        silent = supply["fuel_evidence"].isin(UNKNOWN_PLANT_EVIDENCE)
        supply["fuel_n_hi"] = supply["fuel_n_hi"].where(~silent, 0)
    elif fuel.id in plan.fuel.delivered:
        there, supply = _size_beside_tanks(given, sites, found, fuel, generator, plan)
    else:
        supply = stored.supply_undelivered(sites, fuel, plan)
    burns = fuel_demand(generator, fuel)
    supply = supply.assign(fuel_unit=fuel.unit, fuel_demand=burns, fuel_route=route)
    return FuelOption(fuel, route, there, supply, size.deploy_fuel(there, supply, plan), piped)


def _size_beside_tanks(
    given: Screening,
    sites: gpd.GeoDataFrame,
    found: size.Siting,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
) -> tuple[size.Siting, pd.DataFrame]:
    """Return what the ground carries beside a fuel's tanks, and what they feed."""
    groups = list_tank_groups(fuel, generator, plan)
    there, kept = size.resize_beside_tanks(found, sites, given, groups)
    ground = found.scene.ground.facts
    known = (~ground["bare"] & ground["clear_known"]).to_numpy()
    supply = stored.supply_from_storage(sites, groups, kept.group, kept.body, known, fuel, plan)
    return there, supply


def _name_supply(
    option: FuelOption, sites: gpd.GeoDataFrame, given: Screening, plan: Plan
) -> pd.DataFrame:
    """Return an option's supply, with the main that serves what a site carries, or its tanks' days.

    That is what it carries at least, or at most where that is none: what is drawn.
    """
    placed = option.deployed["n_lo"].where(option.deployed["n_lo"] > 0, option.deployed["n_hi"])
    running = (placed - plan.spares).clip(lower=0).to_numpy()
    if option.piped is not None:
        kept = ["fuel_unit", "fuel_demand", "fuel_route"]
        return gas.name_serving_main(option.piped, sites, given.layers, running).join(
            option.supply[kept]
        )
    if option.route != "storage":
        return option.supply
    held = option.supply["storage_capacity"].to_numpy(dtype=float) * option.fuel.usable_share
    burnt = option.supply["fuel_demand"].to_numpy(dtype=float) * running
    return option.supply.assign(storage_days=storage_days(held, burnt))


def pick_rows(tables: list[pd.DataFrame], which: np.ndarray) -> pd.DataFrame:
    """Take each row from the table that `which` names; a column that it lacks is missing."""
    index = tables[0].index
    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    picked: dict[str, pd.Series] = {}
    for name in columns:
        held = [
            table[name] if name in table else pd.Series(None, index=index, dtype=object)
            for table in tables
        ]
        whole = np.column_stack([one.to_numpy(dtype=object) for one in held])
        values = pd.Series(whole[np.arange(len(which)), which], index=index, dtype=object)
        picked[name] = _cast_like(values, next(table[name] for table in tables if name in table))
    return pd.DataFrame(picked, index=index)


def _cast_like(values: pd.Series, like: pd.Series) -> pd.Series:
    """Return values in another column's type, which a missing one widens."""
    if pd.api.types.is_bool_dtype(like.dtype):
        return values.fillna(value=False).astype(bool)
    if pd.api.types.is_numeric_dtype(like.dtype):
        numbers = pd.to_numeric(values).astype(float)
        return numbers if numbers.isna().any() else numbers.astype(like.dtype)
    return values


def describe_other_fuel(choice: FuelChoice) -> pd.DataFrame:
    """Return the fuel that may carry most at best, how many at worst and best, and how known."""
    most = choice.n_hi.argmax(axis=1)
    rows = np.arange(len(most))
    evidence = np.column_stack([one.supply["fuel_evidence"] for one in choice.options])
    titles = np.array([one.fuel.title for one in choice.options], dtype=object)
    return pd.DataFrame(
        {
            "other_title": titles[most],
            "other_n_lo": choice.n_lo[rows, most],
            "other_n_hi": choice.n_hi[rows, most],
            "other_evidence": evidence[rows, most],
        },
        index=choice.supply.index,
    )


def describe_fuel_ladder(choice: FuelChoice, plan: Plan) -> pd.DataFrame:
    """Return the fuel ladder: for each fuel machines, distance, evidence, needs; and in a line.

    Of a fuel's routes the one that carries most counts. The line has the best fuel first, then
    those that surely carry one in the plan's order, those that may, the others.
    """
    found, order, texts = {}, [], []
    for name in plan.fuels:
        at = [i for i, one in enumerate(choice.options) if one.fuel.id == name]
        route = (choice.n_lo[:, at] * 1000 + choice.n_hi[:, at]).argmax(axis=1)
        own = np.array(at)[route]
        rows = np.arange(len(own))
        lo, hi = choice.n_lo[rows, own], choice.n_hi[rows, own]
        supply = pick_rows([choice.supplies[i] for i in at], route)
        found[f"n_lo_on_{name}"], found[f"n_hi_on_{name}"] = lo, hi
        found[f"distance_of_{name}_m"] = _supply_distance_m(supply)
        found[f"evidence_of_{name}"] = supply["fuel_evidence"].to_numpy()
        title = choice.options[at[0]].fuel.title
        told = supply.assign(fuel_id=name).drop(columns="storage").to_dict("records")
        texts_of = [describe_needs({str(k): v for k, v in row.items()}, plan) for row in told]
        found[f"needs_of_{name}"] = np.array(texts_of, dtype=object)
        place = np.select([choice.fuel == name, lo > 0, hi > 0], [0, 1, 2], 3)
        order.append(place)
        silent = supply["fuel_evidence"].isin(UNKNOWN_PLANT_EVIDENCE).to_numpy()
        texts.append(_count_text(title, lo, hi, silent))
    ranks = np.argsort(np.column_stack(order), axis=1, kind="stable")
    words = np.column_stack(texts)
    lines = np.take_along_axis(words, ranks, axis=1)
    found["fuel_ladder"] = np.array(["; ".join(line) for line in lines], dtype=object)
    return pd.DataFrame(found, index=choice.supply.index)


def _count_text(title: str, lo: np.ndarray, hi: np.ndarray, silent: np.ndarray) -> np.ndarray:
    span = [
        f"{title} {a}" if a == b else f"{title} {a} to {b}"
        for a, b in zip(lo.tolist(), hi.tolist(), strict=True)
    ]
    unknown = f"{title} not known"
    return np.where(silent & (hi == 0), unknown, np.array(span, dtype=object))


def _supply_distance_m(supply: pd.DataFrame) -> np.ndarray:
    away = supply["main_distance_m"].astype(float)
    if "plant_distance_m" in supply:
        away = away.fillna(supply["plant_distance_m"].astype(float))
    return away.where(supply["storage_count"].isna(), 0.0).to_numpy()


def service_line_m(
    supply: pd.DataFrame, block: pd.Series, layers: dict[str, gpd.GeoDataFrame]
) -> np.ndarray:
    """Return how far each pad is, straight, from the main or plant that feeds it; NaN for neither.

    A pipe is laid along lot lines and streets: it is at least so long.
    """
    away = np.full(len(supply), np.nan)
    for layer, key in (("mains", "main_id"), ("fuel_plants", "plant_id")):
        frame = layers.get(layer)
        if frame is None or frame.empty:
            continue
        told = supply[key].notna().to_numpy() & block.notna().to_numpy()
        if layer == "mains" and "source_id" in frame:
            # An id is its source's own.
            whose = pd.MultiIndex.from_frame(frame[["source_id", key]])
            named = pd.MultiIndex.from_arrays([supply["main_source"], supply[key]])
        else:
            whose, named = pd.Index(frame[key]), pd.Index(supply[key])
        lines = pd.Series(geometry_array(frame), index=whose)
        found = lines[~whose.duplicated()].reindex(named).to_numpy()
        both = told & ~shapely.is_missing(found)
        away[both] = shapely.distance(block.to_numpy()[both], found[both])
    return away


def resize_with_main_share(
    choice: FuelChoice,
    given: Screening,
    sites: gpd.GeoDataFrame,
    generator: Generator,
    plan: Plan,
    share: float,
) -> np.ndarray:
    """Return n_lo of each site on the fuel it has, were so much of a main free; NaN off mains."""
    after = np.full(len(choice.best_option), np.nan)
    for number, one in enumerate(choice.options):
        if one.route != "main":
            continue
        piped = gas.supply_from_mains(
            sites, given.layers, given.coverage, one.fuel, generator, plan, usable_share=share
        )
        again = size.deploy_fuel(choice.siting, piped.facts, plan)["n_lo"].to_numpy()
        after[choice.best_option == number] = again[choice.best_option == number]
    return after
