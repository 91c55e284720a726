"""Judge the generators that each load needs: on which fuel, how loud, and how they are reached."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import catalogue
from geo.criteria.fuel import gas
from geo.equipment.block import draw_block_outlines
from geo.equipment.ranges import fuel_share_most
from geo.model import Plan, Screening
from geo.shapes.near import geometry_array
from geo.sizing.access import find_access
from geo.sizing.fuel_options import FuelOption, pick_rows
from geo.sizing.placement import find_blocks, list_placements
from geo.sizing.resizing import resize_with_source
from geo.sizing.siting import Siting, describe_levels, is_noise_unknown, name_classes

# What is known of the generators that a load needs on one fuel; see `judge_needed`.
UNPLACED: dict[str, object] = {
    "margin_db": np.nan, "fuel_share": np.nan, "line_m": np.nan, "access": None,
    "fuel_assumed": None, "receptor_class": None, "receiver": None,
}  # fmt: skip


@dataclass(frozen=True)
class NeededGenerators:
    """The fuel of each site for the generators that a load needs, and how they do on it.

    Attributes:
        option: The fuel and route, as a position among the options. Shape (n,).
        facts: `n_lo` (what certainly fits on that fuel), `margin_db` (how far below the noise
            limit the needed ones stay at their best place; inf: nobody hears them; NaN: they have
            no place), `fuel_share` (of what the main, plant or tanks supply), `line_m` (from the
            lot to that main or plant), `access` (from the street to their place; None where the
            rest already stops them), `fuel_assumed`, and where the margin is: `receptor_class` and
            `receiver` (a point, None: nowhere).
    """

    option: np.ndarray
    facts: pd.DataFrame


def judge_loads(
    options: tuple[FuelOption, ...],
    grid: pd.DataFrame,
    screening: Screening,
    sites: gpd.GeoDataFrame,
    plan: Plan,
) -> dict[float, NeededGenerators]:
    """Judge the generators that each load needs at most (see `judge_needed`).

    Where the grid surely covers the target load, one generator is judged. For another load, nothing
    is judged unless the grid is surely short.

    Args:
        options: Every fuel by every route, in the plan's order.
        grid: The columns gap_at_{load} and needed_hi_at_{load} of the sites.
        screening: The layers of the market.
        sites: The sites, in the market's metric CRS.
        plan: The plan.

    Returns:
        The judgment of each of the plan's loads (kW).
    """
    judged: dict[float, tuple[np.ndarray, NeededGenerators]] = {}
    for load_kw in sorted(plan.every_load_kw, key=lambda load_kw: load_kw != plan.target_kw):
        tag = catalogue.load_column_tag(load_kw)
        needed = grid[f"needed_hi_at_{tag}"].to_numpy(dtype=int)
        if load_kw == plan.target_kw:
            needed = needed.clip(min=1)
        else:
            # Another load matters for its call alone, which is no yes unless the grid is short.
            needed = np.where(grid[f"gap_at_{tag}"] == "short", needed, 0)
        # Where another load needs as many, they are not judged again.
        known = {other: needed == count for other, (count, _) in judged.items()}
        new = ~np.any([*known.values(), np.zeros(len(needed), dtype=bool)], axis=0)
        found = judge_needed(options, np.where(new, needed, 0), screening, sites, plan)
        for other, same in known.items():
            earlier = judged[other][1]
            found = NeededGenerators(
                np.where(same, earlier.option, found.option),
                pick_rows([found.facts, earlier.facts], same.astype(int)),
            )
        judged[load_kw] = needed, found
    return {load_kw: judged[load_kw][1] for load_kw in plan.every_load_kw}


def judge_needed(
    options: tuple[FuelOption, ...],
    needed: np.ndarray,
    screening: Screening,
    sites: gpd.GeoDataFrame,
    plan: Plan,
) -> NeededGenerators:
    """Choose for each site the fuel for the generators that a load needs.

    It is the plan's first fuel on which they keep the plan's margins, are reached from the street,
    and depend on nothing that is assumed. Where there is none, it is the first that certainly runs
    the most of them; where none certainly runs any, the one that may run the most.

    Args:
        options: Every fuel by every route, in the plan's order.
        needed: The generators that the load needs at each site (n,); 0: nothing is judged.
        screening: The layers of the market.
        sites: The sites, in the market's metric CRS.
        plan: The plan.

    Returns:
        The fuel of each site, and what is known of the generators on it.
    """
    n_lo = np.column_stack([option.deployed["n_lo"] for option in options])
    n_hi = np.column_stack([option.deployed["n_hi"] for option in options])
    most = np.minimum(n_lo, needed[:, None])
    # argmax returns the first of several equal values, which is the plan's preference.
    chosen = np.where((n_lo > 0).any(axis=1), most.argmax(axis=1), n_hi.argmax(axis=1))
    decided = np.zeros(len(needed), dtype=bool)
    tables = []
    for number, option in enumerate(options):
        asked = ~decided & ((n_lo[:, number] >= needed) | (chosen == number))
        facts = _judge_on_fuel(option, np.where(asked, needed, 0), screening, sites, plan)
        tables.append(facts.assign(n_lo=n_lo[:, number]))
        good = asked & (facts["access"] == "reached").to_numpy()
        chosen[good] = number
        decided |= good
    return NeededGenerators(chosen, pick_rows(tables, chosen))


def _judge_on_fuel(
    option: FuelOption,
    needed: np.ndarray,
    screening: Screening,
    sites: gpd.GeoDataFrame,
    plan: Plan,
) -> pd.DataFrame:
    """Judge the needed generators on one fuel, at the sites where some are needed.

    The access is checked only where nothing else is in the way.
    """
    facts = pd.DataFrame(UNPLACED, index=sites.index).astype(
        {"access": object, "fuel_assumed": object, "receptor_class": object, "receiver": object}
    )
    asked = needed > 0
    if not asked.any():
        return facts
    running = np.maximum(needed - plan.spares, 0)
    supply = _supply(option, sites, screening, running, plan)
    share = running * supply["fuel_demand"] / supply["fuel_capacity"]
    away = supply["main_distance_m"].astype(float)
    if "plant_distance_m" in supply:
        away = away.fillna(supply["plant_distance_m"].astype(float))
    facts.loc[asked, "fuel_share"] = share[asked].astype(float)
    facts.loc[asked, "line_m"] = away[asked]
    facts.loc[asked, "fuel_assumed"] = supply["fuel_assumed"][asked]
    # Ground and neighbors may allow more than the fuel can run.
    held = np.where(asked & (option.siting.place_lo >= needed), needed, 0)
    blocks = find_blocks(option.siting, held, np.ones(len(held), dtype=bool))
    row = np.flatnonzero(blocks.place[:, 0] >= 0)
    margin = np.full(len(held), np.nan)
    judged = describe_levels(option.siting.context, blocks.take(row))
    margin[row] = judged["margin_db"]
    facts["margin_db"] = margin
    classes = name_classes(option.siting.context.pairs, judged["pair"].to_numpy())
    facts.loc[sites.index[row], "receptor_class"] = classes
    heard = row[judged["point"].to_numpy() >= 0]
    at = option.siting.context.points.xy[judged["point"].to_numpy()[judged["point"] >= 0]]
    facts.loc[sites.index[heard], "receiver"] = shapely.points(at)
    spared = (share <= fuel_share_most(option.route, plan)) & facts["fuel_assumed"].isna()
    passes = (margin >= plan.call.noise_margin_db) & spared.to_numpy()
    passes &= option.deployed["n_lo"].to_numpy() >= needed
    placed = np.flatnonzero(passes)
    access = _check_access(option, blocks.place[placed], needed[placed], placed, sites, screening)
    facts.loc[sites.index[placed], "access"] = access
    return facts


def _supply(
    option: FuelOption,
    sites: gpd.GeoDataFrame,
    screening: Screening,
    running: np.ndarray,
    plan: Plan,
) -> pd.DataFrame:
    """Return an option's supply, with the main that would serve the `running` generators.

    If a main leaves them the plan's margin, it comes before a nearer one that does not.
    """
    if option.piped is None:
        return option.supply
    most = fuel_share_most(option.route, plan)
    wanted = running * option.supply["fuel_demand"].to_numpy(dtype=float)
    wanted = wanted / most if most > 0 else None
    facts = gas.name_serving_main(option.piped, sites, screening.layers, running, wanted)
    return facts.join(option.supply[["fuel_demand"]])


def _check_access(
    option: FuelOption,
    blocks: np.ndarray,
    count: np.ndarray,
    positions: np.ndarray,
    sites: gpd.GeoDataFrame,
    screening: Screening,
) -> np.ndarray:
    """Return whether a path leads from the street to each block of some sites."""
    context = option.siting.context
    pads = draw_block_outlines(list_placements(context, blocks, count))
    tanks = option.supply["storage"].to_numpy(dtype=object)[positions]
    return find_access(
        geometry_array(sites)[positions], pads, tanks, positions, screening, option.siting
    )


def describe_loads(
    at_loads: dict[float, NeededGenerators], options: tuple[FuelOption, ...]
) -> pd.DataFrame:
    """Return the facts of the generators that each load needs, in columns per load.

    Args:
        at_loads: The judgment of each load (kW).
        options: Every fuel by every route.

    Returns:
        The fuel and its route, what fits on it, and the margins of the generators needed.
    """
    fuels = np.array([option.fuel.id for option in options], dtype=object)
    routes = np.array([option.route for option in options], dtype=object)
    columns: dict[str, np.ndarray] = {}
    for load_kw, judged in at_loads.items():
        tag, facts = catalogue.load_column_tag(load_kw), judged.facts
        columns |= {
            f"fuel_at_{tag}": fuels[judged.option],
            f"route_at_{tag}": routes[judged.option],
            f"fits_at_{tag}": facts["n_lo"].to_numpy(dtype=int),
            f"margin_at_{tag}": facts["margin_db"].to_numpy(dtype=float),
            f"fuel_share_at_{tag}": facts["fuel_share"].to_numpy(dtype=float),
            f"access_at_{tag}": facts["access"].to_numpy(dtype=object),
            f"fuel_assumed_at_{tag}": facts["fuel_assumed"].to_numpy(dtype=object),
        }
    return pd.DataFrame(columns, index=next(iter(at_loads.values())).facts.index)


def describe_margins(
    facts: pd.DataFrame, at_loads: dict[float, NeededGenerators], siting: Siting
) -> pd.DataFrame:
    """Return how the generators that the target load needs keep their margins.

    Args:
        facts: n_lo, noise_slack_db, headroom_hi_kw and the generators that each load needs.
        at_loads: The judgment of each load (kW).
        siting: What ground and neighbors allow, with each site's fuel.

    Returns:
        `needed_margin_db` and, in the best case, `needed_margin_best_db`; `needed_line_m`; the
        receptor at which the margin is smallest; and
        `margin_n`, the most generators that keep the plan's noise margin.
    """
    judged = at_loads[siting.context.plan.target_kw].facts
    margin = judged["margin_db"].to_numpy(dtype=float)
    any_needed = facts["needed_hi"].to_numpy(dtype=int) > 0
    return pd.DataFrame(
        {
            "needed_margin_db": np.where(np.isfinite(margin) & any_needed, margin, np.nan),
            "needed_margin_best_db": _find_best_margin(siting, facts, margin),
            "needed_line_m": judged["line_m"].to_numpy(dtype=float),
            "needed_receptor_class": judged["receptor_class"].to_numpy(dtype=object),
            "margin_n": _count_with_margin(siting, facts, at_loads),
        },
        index=facts.index,
    )


def _count_with_margin(
    siting: Siting, facts: pd.DataFrame, at_loads: dict[float, NeededGenerators]
) -> np.ndarray:
    """Return how many generators keep the plan's noise margin, of those that certainly fit.

    It is 0 where the grid may supply all of the plan's loads, since none is then surely short.
    """
    plan = siting.context.plan
    wanted_db = plan.call.noise_margin_db
    n_lo = facts["n_lo"].to_numpy(dtype=int)
    short = facts["headroom_hi_kw"].to_numpy(dtype=float) < max(plan.every_load_kw)
    # Nobody hears the block where its margin is missing.
    quiet = facts["noise_slack_db"].fillna(np.inf).to_numpy(dtype=float) >= wanted_db
    loud = siting.alone_worst["margin_db"].to_numpy(dtype=float) < wanted_db
    most, least = n_lo.copy(), np.where(quiet, n_lo, 0)
    for load_kw, judged in at_loads.items():
        needed = facts[f"needed_hi_at_{catalogue.load_column_tag(load_kw)}"].to_numpy(dtype=int)
        margin = judged.facts["margin_db"].to_numpy(dtype=float)
        here = ~np.isnan(margin) & (judged.option == at_loads[plan.target_kw].option)
        here &= (needed > 0) & (needed <= n_lo)
        least = np.where(here & (margin >= wanted_db), np.maximum(least, needed), least)
        most = np.where(here & (margin < wanted_db), np.minimum(most, needed - 1), most)
    positions = np.flatnonzero(short & ~loud & (most > least))
    if len(positions):
        least[positions] = resize_with_source(
            siting, positions, most[positions], gain_db=wanted_db, least=least[positions]
        )
    return np.where(short & ~loud, least, 0)


def _find_best_margin(siting: Siting, facts: pd.DataFrame, worst_db: np.ndarray) -> np.ndarray:
    """Return how far below the limit the fewest generators needed may stay, in the best case (dB).

    Where anything is unknown, that is an upper bound: all of them at the quietest spot of the lot.
    It is inf where nobody hears them or nothing is known of who does, and NaN where they have no
    place.
    """
    pairs, plan = siting.context.pairs, siting.context.plan
    fewest = facts["needed_lo"].to_numpy(dtype=int).clip(min=1)
    running = np.maximum(fewest - plan.spares, 1)
    bound_db = siting.alone_best["margin_db"].to_numpy(dtype=float) - 10 * np.log10(running)
    unknown = is_noise_unknown(pairs)
    best = np.where(unknown, np.inf, bound_db)
    certain = ~unknown & (siting.place_hi == siting.place_lo)
    certain &= (siting.alone_best["margin_db"] == siting.alone_worst["margin_db"]).to_numpy()
    certain &= (facts["needed_hi"].to_numpy(dtype=int).clip(min=1) == fewest) & ~np.isnan(worst_db)
    best = np.where(certain, worst_db, np.fmax(best, worst_db))
    return np.where(np.where(unknown, siting.pad_n, siting.place_hi) >= fewest, best, np.nan)
