"""Size every fuel of the plan for each of its routes, and take one of them at each site.

Each fuel is sized on its own ground: stored fuel beside its tanks, which take space; a main or a
plant takes none.
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
from geo.model import Fuel, FuelEvidence, Generator, Plan, Route, Screening
from geo.shapes.near import geometry_array
from geo.sizing.deployment import deploy_fuel
from geo.sizing.resizing import resize_beside_tanks, select_sitings
from geo.sizing.siting import Siting

# Columns that only some routes have.
EXTRA_SUPPLY_COLUMNS = {**plants.PLANT_COLUMNS, "storage_days": np.nan}
# Evidence of a fuel from plants where it is not known whether a plant is near.
UNKNOWN_PLANT_EVIDENCE: tuple[FuelEvidence, ...] = ("no layer", "edge of layer")


@dataclass(frozen=True)
class FuelOption:
    """One fuel by one route: the siting with it, and the generators that fit.

    Attributes:
        fuel: The fuel.
        route: How it reaches the sites.
        siting: What ground and neighbors allow, less the space that the fuel takes.
        supply: The generators that the fuel can run, and on what evidence.
        deployed: The generators that fit at each site, and what limits them.
        piped: What mains can supply, for the route `main` only.
    """

    fuel: Fuel
    route: Route
    siting: Siting
    supply: pd.DataFrame
    deployed: pd.DataFrame
    piped: gas.PipedSupply | None = None


@dataclass(frozen=True)
class FuelChoice:
    """The generators that fit at each site on its best fuel, and the ground and supply for them.

    Attributes:
        options: Every fuel by every route, in the plan's order.
        supplies: The supply of each option, with the main that would serve the site's generators.
        best_option: The option that each site takes, as a position in `options`. Shape (n,).
        siting: What ground and neighbors allow at each site, with its best fuel.
        deployed: The generators that fit at each site on its best fuel.
        supply: The supply of each site's best fuel.
        n_lo: Generators that certainly fit at each site on each option. Shape (n, options).
        n_hi: The same in the best case.
    """

    options: tuple[FuelOption, ...]
    supplies: tuple[pd.DataFrame, ...]
    best_option: np.ndarray
    siting: Siting
    deployed: pd.DataFrame
    supply: pd.DataFrame
    n_lo: np.ndarray
    n_hi: np.ndarray

    @property
    def fuel(self) -> np.ndarray:
        """The id of each site's best fuel."""
        ids = np.array([option.fuel.id for option in self.options], dtype=object)
        return np.asarray(ids[self.best_option])


def size_options(
    screening: Screening,
    sites: gpd.GeoDataFrame,
    siting: Siting,
    fuels: list[Fuel],
    generator: Generator,
    plan: Plan,
) -> tuple[FuelOption, ...]:
    """Size every fuel by every route.

    Args:
        screening: The layers, rasters and coverage of the market.
        sites: The sites, in the market's metric CRS.
        siting: What ground and neighbors allow before any fuel.
        fuels: The plan's fuels in its order.
        generator: The plan's generator.
        plan: The plan.

    Returns:
        The options, in the plan's order of fuels.
    """
    return tuple(
        _size_option(screening, sites, siting, fuel, route, generator, plan)
        for fuel in fuels
        for route in fuel.routes
    )


def take_fuel(
    options: tuple[FuelOption, ...],
    chosen: np.ndarray,
    screening: Screening,
    sites: gpd.GeoDataFrame,
    plan: Plan,
) -> FuelChoice:
    """Take one option at each site (see `needed.judge_needed`).

    Args:
        options: Every fuel by every route.
        chosen: The option of each site, as a position. Shape (n,).
        screening: The layers, rasters and coverage of the market.
        sites: The sites, in the market's metric CRS.
        plan: The plan.

    Returns:
        The chosen fuel of each site, and every option.
    """
    n_lo = np.column_stack([option.deployed["n_lo"] for option in options])
    n_hi = np.column_stack([option.deployed["n_hi"] for option in options])
    chosen_siting = options[0].siting
    for number, option in enumerate(options):
        chosen_siting = select_sitings(chosen_siting, option.siting, chosen == number)
    deployed = pick_rows([option.deployed for option in options], chosen)
    supplies = tuple(_complete_supply(option, sites, screening, plan) for option in options)
    supply = pick_rows(list(supplies), chosen)
    absent = {name: value for name, value in EXTRA_SUPPLY_COLUMNS.items() if name not in supply}
    supply = supply.join(pd.DataFrame(absent, index=supply.index))
    return FuelChoice(options, supplies, chosen, chosen_siting, deployed, supply, n_lo, n_hi)


def _size_option(
    screening: Screening,
    sites: gpd.GeoDataFrame,
    siting: Siting,
    fuel: Fuel,
    route: Route,
    generator: Generator,
    plan: Plan,
) -> FuelOption:
    piped = None
    if route == "main":
        piped = gas.supply_from_mains(
            sites, screening.layers, screening.coverage, fuel, generator, plan
        )
        supply = piped.facts
    elif route == "plant":
        supply = plants.supply_from_plants(
            sites, screening.layers, screening.coverage, fuel, generator, plan
        )
        unknown = supply["fuel_evidence"].isin(UNKNOWN_PLANT_EVIDENCE)
        supply["fuel_n_hi"] = supply["fuel_n_hi"].where(~unknown, 0)
    elif fuel.id in plan.fuel.delivered:
        siting, supply = _size_beside_tanks(screening, sites, siting, fuel, generator, plan)
    else:
        supply = stored.supply_undelivered(sites, fuel, plan)
    demand = fuel_demand(generator, fuel)
    supply = supply.assign(fuel_unit=fuel.unit, fuel_demand=demand, fuel_route=route)
    return FuelOption(fuel, route, siting, supply, deploy_fuel(siting, supply, plan), piped)


def _size_beside_tanks(
    screening: Screening,
    sites: gpd.GeoDataFrame,
    siting: Siting,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
) -> tuple[Siting, pd.DataFrame]:
    """Return the generators that fit beside a fuel's tanks, and the supply from the tanks."""
    groups = list_tank_groups(fuel, generator, plan)
    beside_tanks, placed = resize_beside_tanks(siting, sites, screening, groups)
    ground = siting.context.ground.facts
    known = (~ground["bare"] & ground["clear_known"]).to_numpy()
    supply = stored.supply_from_storage(sites, groups, placed.group, placed.body, known, fuel, plan)
    return beside_tanks, supply


def _complete_supply(
    option: FuelOption, sites: gpd.GeoDataFrame, screening: Screening, plan: Plan
) -> pd.DataFrame:
    """Return an option's supply with the main that serves the site, or the days its tanks last.

    Both are for the generators that are drawn: those that certainly fit, or, where none certainly
    fits, those that fit in the best case.
    """
    n_lo, n_hi = option.deployed["n_lo"], option.deployed["n_hi"]
    running = (n_lo.where(n_lo > 0, n_hi) - plan.spares).clip(lower=0).to_numpy()
    if option.piped is not None:
        facts = gas.name_serving_main(option.piped, sites, screening.layers, running)
        return facts.join(option.supply[["fuel_unit", "fuel_demand", "fuel_route"]])
    if option.route != "storage":
        return option.supply
    usable = option.supply["storage_capacity"].to_numpy(dtype=float) * option.fuel.usable_share
    demand = option.supply["fuel_demand"].to_numpy(dtype=float) * running
    return option.supply.assign(storage_days=storage_days(usable, demand))


def pick_rows(tables: list[pd.DataFrame], chosen: np.ndarray) -> pd.DataFrame:
    """Take each row from the table whose position is `chosen`; columns it lacks are missing.

    >>> pick_rows([pd.DataFrame({"n": [1, 2]}), pd.DataFrame({"n": [3, 4]})], np.array([0, 1]))
       n
    0  1
    1  4
    """
    index = tables[0].index
    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    picked: dict[str, pd.Series] = {}
    for name in columns:
        series = [
            table[name] if name in table else pd.Series(None, index=index, dtype=object)
            for table in tables
        ]
        values = np.column_stack([column.to_numpy(dtype=object) for column in series])
        rows = pd.Series(values[np.arange(len(chosen)), chosen], index=index, dtype=object)
        picked[name] = _cast_like(rows, next(table[name] for table in tables if name in table))
    return pd.DataFrame(picked, index=index)


def _cast_like(values: pd.Series, like: pd.Series) -> pd.Series:
    """Return values in the type of another column, or as floats where one is missing."""
    if pd.api.types.is_bool_dtype(like.dtype):
        return values.fillna(value=False).astype(bool)
    if pd.api.types.is_numeric_dtype(like.dtype):
        numbers = pd.to_numeric(values).astype(float)
        return numbers if numbers.isna().any() else numbers.astype(like.dtype)
    return values


def describe_other_fuel(choice: FuelChoice) -> pd.DataFrame:
    """Return the fuel that may run the most generators, with its range and evidence."""
    option = choice.n_hi.argmax(axis=1)
    rows = np.arange(len(option))
    evidence = np.column_stack([one.supply["fuel_evidence"] for one in choice.options])
    titles = np.array([one.fuel.title for one in choice.options], dtype=object)
    return pd.DataFrame(
        {
            "other_title": titles[option],
            "other_n_lo": choice.n_lo[rows, option],
            "other_n_hi": choice.n_hi[rows, option],
            "other_evidence": evidence[rows, option],
        },
        index=choice.supply.index,
    )


def describe_fuel_ladder(choice: FuelChoice, plan: Plan) -> pd.DataFrame:
    """Return for each fuel its generators, distance, evidence and needs, and one line of all fuels.

    If a fuel has several routes, the one that surely runs the most counts, and for the best case
    the one that may run the most. The line has the chosen fuel
    first, then those that certainly run a generator, those that may, and the others, each in the
    plan's order.
    """
    columns: dict[str, np.ndarray] = {}
    places, texts = [], []
    for fuel_id in plan.fuels:
        numbers = [i for i, option in enumerate(choice.options) if option.fuel.id == fuel_id]
        # Compare routes by their worst case, then by their best case.
        route = (choice.n_lo[:, numbers] * 1000 + choice.n_hi[:, numbers]).argmax(axis=1)
        option = np.array(numbers)[route]
        rows = np.arange(len(option))
        # Another route than the surest may run more in the best case.
        n_lo, n_hi = choice.n_lo[rows, option], choice.n_hi[:, numbers].max(axis=1)
        supply = pick_rows([choice.supplies[i] for i in numbers], route)
        columns[f"n_lo_on_{fuel_id}"], columns[f"n_hi_on_{fuel_id}"] = n_lo, n_hi
        columns[f"distance_of_{fuel_id}_m"] = _supply_distance_m(supply)
        columns[f"evidence_of_{fuel_id}"] = supply["fuel_evidence"].to_numpy()
        records = supply.assign(fuel_id=fuel_id).drop(columns="storage").to_dict("records")
        needs = [describe_needs({str(k): v for k, v in row.items()}, plan) for row in records]
        columns[f"needs_of_{fuel_id}"] = np.array(needs, dtype=object)
        places.append(np.select([choice.fuel == fuel_id, n_lo > 0, n_hi > 0], [0, 1, 2], 3))
        unknown = supply["fuel_evidence"].isin(UNKNOWN_PLANT_EVIDENCE).to_numpy()
        texts.append(_count_texts(choice.options[numbers[0]].fuel.title, n_lo, n_hi, unknown))
    order = np.argsort(np.column_stack(places), axis=1, kind="stable")
    ordered = np.take_along_axis(np.column_stack(texts), order, axis=1)
    columns["fuel_ladder"] = np.array(["; ".join(line) for line in ordered], dtype=object)
    return pd.DataFrame(columns, index=choice.supply.index)


def _count_texts(title: str, n_lo: np.ndarray, n_hi: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    ranges = [
        f"{title}: {lowest}" if lowest == highest else f"{title}: {lowest} to {highest}"
        for lowest, highest in zip(n_lo.tolist(), n_hi.tolist(), strict=True)
    ]
    return np.where(unknown & (n_hi == 0), f"{title}: unknown", np.array(ranges, dtype=object))


def _supply_distance_m(supply: pd.DataFrame) -> np.ndarray:
    distance_m = supply["main_distance_m"].astype(float)
    if "plant_distance_m" in supply:
        distance_m = distance_m.fillna(supply["plant_distance_m"].astype(float))
    return distance_m.where(supply["storage_count"].isna(), 0.0).to_numpy()


def service_line_m(
    supply: pd.DataFrame, block: pd.Series, layers: dict[str, gpd.GeoDataFrame]
) -> np.ndarray:
    """Return the straight distance from each pad to the main or plant that supplies it.

    The real service line follows lot lines and streets, so it is at least this long.

    Args:
        supply: The supply of each site's fuel.
        block: The block of generators at each site, None where none stands, in the market's
            metric CRS.
        layers: The layers that the supply was computed from, in the same CRS.

    Returns:
        The distance (m), NaN where neither a main nor a plant supplies the site.
    """
    distance_m = np.full(len(supply), np.nan)
    for layer, key in (("mains", "main_id"), ("fuel_plants", "plant_id")):
        frame = layers.get(layer)
        if frame is None or frame.empty:
            continue
        has_both = supply[key].notna().to_numpy() & block.notna().to_numpy()
        if layer == "mains" and "source_id" in frame:
            # Two sources may use the same id for two mains.
            ids = pd.MultiIndex.from_frame(frame[["source_id", key]])
            wanted = pd.MultiIndex.from_arrays([supply["main_source"], supply[key]])
        else:
            ids, wanted = pd.Index(frame[key]), pd.Index(supply[key])
        shapes = pd.Series(geometry_array(frame), index=ids)
        origin = shapes[~ids.duplicated()].reindex(wanted).to_numpy()
        known = has_both & ~shapely.is_missing(origin)
        distance_m[known] = shapely.distance(block.to_numpy()[known], origin[known])
    return distance_m


def resize_with_main_share(
    choice: FuelChoice,
    screening: Screening,
    sites: gpd.GeoDataFrame,
    generator: Generator,
    plan: Plan,
    share: float,
) -> np.ndarray:
    """Return the n_lo of each site on its chosen fuel if another share of each main were free.

    Args:
        choice: The chosen fuel of each site.
        screening: The layers and coverage of the market.
        sites: The sites, in the market's metric CRS.
        generator: The plan's generator.
        plan: The plan.
        share: Share of a main's flow that is free.

    Returns:
        The generators of each site, NaN where no main supplies it. Shape (n,).
    """
    n_lo = np.full(len(choice.best_option), np.nan)
    for number, option in enumerate(choice.options):
        if option.route != "main":
            continue
        piped = gas.supply_from_mains(
            sites,
            screening.layers,
            screening.coverage,
            option.fuel,
            generator,
            plan,
            usable_share=share,
        )
        resized = deploy_fuel(choice.siting, piped.facts, plan)["n_lo"].to_numpy()
        n_lo[choice.best_option == number] = resized[choice.best_option == number]
    return n_lo
