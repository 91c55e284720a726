"""Place the generators that fit at each site, and measure what is left and what one more lacks."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise import rules
from geo.criteria.pad.ground import YARDS
from geo.criteria.pad.room import missing_room
from geo.equipment.block import draw_blocks, locate_machines
from geo.model import Market, Screening
from geo.propagation.band_energy import NEAREST_M
from geo.shapes.near import find_nearest, geometry_array, name_directions
from geo.sizing.access import find_access
from geo.sizing.between_points import name_louder_between
from geo.sizing.clearance import measure_shortage_m, measure_slack_m
from geo.sizing.kernel.answers import HEAR, JUDGE_WORST
from geo.sizing.kernel.verification import OWN_DWELLING
from geo.sizing.placement import find_blocks, judge_blocks, list_placements
from geo.sizing.questions import PlacedBlocks, ask, no_blocks
from geo.sizing.siting import (
    Siting,
    SizingContext,
    count_allowed,
    describe_levels,
    has_uncertain_receptors,
    list_case,
)

BUILDING_REACH_M = 100.0  # distances to buildings are reported up to this


def describe_sites(
    sites: gpd.GeoDataFrame,
    screening: Screening,
    siting: Siting,
    deployed: pd.DataFrame,
    tanks: np.ndarray,
    market: Market,
) -> pd.DataFrame:
    """Place the generators that fit at each site, and measure the slack and what one more lacks.

    The number placed is n_lo, or n_hi where n_lo is 0. Slack is what is left at that number:
    decibels below the limit, or meters of extra clearance with which the block still fits. "Short
    by" is what one more generator lacks, in the same units, where that criterion stops it.

    Args:
        sites: All sites, as in `siting.size_sites`.
        screening: As in `siting.size_sites`.
        siting: What ground and neighbors allow.
        deployed: The generators that fit at each site (see `deployment.deploy_fuel`).
        tanks: The tanks beside the generators per site, as shapes; None where there are none.
        market: The market, for its noise rule.

    Returns:
        The facts of pad and noise, one row per site.
    """
    context = siting.context
    generator, plan = context.generator, context.plan
    n_lo = deployed["n_lo"].to_numpy(dtype=int)
    count = np.where(n_lo > 0, n_lo, deployed["n_hi"].to_numpy(dtype=int))
    below_cap, after, sure = count < plan.cap, count + 1, n_lo > 0
    # A block drawn only in the best case is placed for the receptors that certainly exist.
    blocks = find_blocks(siting, count, sure)
    facts = _describe_placement(sites, context, blocks, count)
    facts["close_points"] = name_louder_between(context, blocks, sure)
    facts["building_distance_m"] = _to_building_m(facts["block"], screening)
    pads = facts["block"].where(facts["block"].notna(), None).to_numpy()
    facts["access"] = find_access(
        geometry_array(sites), pads, tanks, np.arange(len(sites)), screening, siting
    )
    facts["ground_pressure_kg_m2"] = generator.mass_kg / (generator.length_m * generator.width_m)
    facts["pad_slack_m"] = measure_slack_m(siting, count)
    facts["pad_short_by_m"] = measure_shortage_m(siting, after, (siting.pad_n < after) & below_cap)
    facts = facts.join(_describe_one_more(siting, count, sure, facts))

    for name, table in (("worst", siting.alone_worst), ("best", siting.alone_best)):
        # The margin is infinite where no receptor is within reach; it is then published as missing.
        facts[f"margin_{name}_db"] = table["margin_db"]
    pairs = context.pairs
    noise_unknown = pairs.own_unknown | (not pairs.known)
    facts.loc[noise_unknown, ["margin_worst_db", "margin_best_db"]] = [-np.inf, np.inf]
    worst = facts["margin_worst_db"]
    facts["one_machine_margin_db"] = worst.where(np.isfinite(worst))
    facts["noise_class"] = _margin_class(facts["margin_worst_db"], facts["margin_best_db"])
    facts["alone_class"] = siting.alone_worst["receptor_class"]
    facts["quiet_side_db"] = siting.alone_worst["quiet_side_db"]
    for kind in ("plan", "rule"):
        allowed = count_allowed(siting.alone_worst[f"margin_{kind}_db"], plan)
        facts[f"noise_n_{kind}"] = np.maximum(allowed, siting.place_lo).astype(float)
    # Where the receptors are not known, the number that they allow is not known either.
    facts["noise_n_plan"] = facts["noise_n_plan"].where(~noise_unknown)
    rule = siting.alone_worst["margin_rule_db"]
    if rules.market_noise_rule(market) is None:
        facts["noise_n_rule"] = np.nan
    # The limit assumes the quietest night possible. If one machine exceeds it, the real ambient
    # level must be higher by the excess.
    lowest = plan.noise.ambient_floor_dba - rule
    no_ambient = (pairs.evidence == "ambient unknown") & np.isfinite(rule)
    facts["ambient_needed_dba"] = lowest.where(no_ambient)
    facts["noise_n_rule"] = facts["noise_n_rule"].where(~no_ambient)
    facts["noise_n"] = pd.Series(siting.noise_n, sites.index, dtype=float).where(~noise_unknown)
    facts["pad_n"], facts["pad_lo"] = siting.pad_n, siting.pad_lo
    facts["pad_n_upper"] = siting.pad_n_upper
    facts["pad_lack"] = missing_room(context.ground, geometry_array(sites), generator, plan)
    facts["noise_unsure"] = (facts["margin_best_db"] > facts["margin_worst_db"]) | (
        siting.place_hi > siting.place_lo
    )
    neighbors = (pairs.evidence == "receptors") & has_uncertain_receptors(pairs)
    facts["noise_evidence"] = np.where(
        neighbors & facts["noise_unsure"], "use unknown", pairs.evidence
    )
    kept = ("setback_evidence", *(f"setback_{yard}_m" for yard in YARDS), "yards_known")
    for name in ("ground_area_m2", "ground_takers", "open_area_m2", "pad_evidence", "bare", *kept):
        facts[name] = context.ground.facts[name]
    return facts


def _describe_blocks(
    context: SizingContext, blocks: PlacedBlocks
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the sites that have a block, and how loud each is (see `describe_levels`)."""
    row = np.flatnonzero(blocks.place[:, 0] >= 0)
    return row, describe_levels(context, blocks.take(row))


def _describe_placement(
    sites: gpd.GeoDataFrame,
    context: SizingContext,
    blocks: PlacedBlocks,
    count: np.ndarray,
) -> pd.DataFrame:
    """Return the facts of the blocks that are placed."""
    row, judged = _describe_blocks(context, blocks)
    placed = list_placements(context, blocks.place[row], count[row])
    block, machines, gear = draw_blocks(placed, context.generator, context.plan)
    parcels = geometry_array(sites)
    finite = {name: judged[name].where(np.isfinite(judged[name])).to_numpy()
              for name in ("margin_db", "margin_plan_db", "margin_rule_db")}  # fmt: skip
    facts = pd.DataFrame(
        {
            "placed_n": placed["count"].to_numpy(),
            "pad_rows": placed["rows"].to_numpy(),
            "pad_columns": placed["columns"].to_numpy(),
            "pad_length_m": placed["length_m"].to_numpy(),
            "pad_width_m": placed["width_m"].to_numpy(),
            "pad_bearing_deg": (90.0 - placed["degrees"].to_numpy()) % 180.0,
            "line_distance_m": shapely.distance(block, shapely.boundary(parcels[row])),
            "level_dba": judged["level_dba"].to_numpy(),
            "limit_dba": judged["limit_dba"].to_numpy(),
            "noise_slack_db": finite["margin_db"],
            "noise_margin_plan_db": finite["margin_plan_db"],
            "noise_margin_rule_db": finite["margin_rule_db"],
            "wall_gain_db": _wall_gain_db(context, blocks.place[row], row, judged),
            "distance_floored": _is_distance_floored(context, placed, judged),
            **{
                name: column.to_numpy()
                for name, column in describe_receptors(context, placed, judged).items()
            },
            "block": block,
            "machines": machines,
            "gear": gear,
        },
        index=sites.index[row],
    )
    facts = facts.reindex(sites.index)
    facts["distance_floored"] = facts["distance_floored"].eq(other=True)
    return facts


def _describe_one_more(
    siting: Siting, count: np.ndarray, sure: np.ndarray, placed: pd.DataFrame
) -> pd.DataFrame:
    """Return how loud one more would be, and at whom, where the ground has room for it."""
    context, after = siting.context, count + 1
    fits = (siting.pad_n >= after) & (count < context.plan.cap)
    # The search for the largest number has tried one more.
    tried = fits & (count == siting.held_lo) & sure & (siting.next_lo[:, 0] >= 0)
    new = no_blocks(len(count))
    new.place[tried] = siting.next_lo[tried]
    blocks = find_blocks(siting, np.where(fits & ~tried, after, 0), sure)
    new = judge_blocks(siting, new, tried, JUDGE_WORST, worst=True)
    blocks = blocks.replace(tried, new.take(tried))
    row, judged = _describe_blocks(context, blocks)
    facts = pd.DataFrame(index=placed.index)
    heard = describe_receptors(
        context, list_placements(context, blocks.place[row], after[row]), judged
    ).set_index(placed.index[row])
    for name in ("receptor_class", "receptor_distance_m", "receptor_direction"):
        # Where the ground has no room for one more, name the receptor of the placed block.
        facts[f"next_{name}"] = heard[name].reindex(placed.index)
        facts.loc[siting.pad_n < after, f"next_{name}"] = placed[name]
    level, margin = np.full((2, len(count)), np.nan)
    level[row], margin[row] = judged["level_dba"], judged["margin_db"]
    facts["level_next_dba"] = level
    facts["noise_short_by_db"] = np.where(margin < 0, -margin, np.nan)
    return facts


def describe_receptors(
    context: SizingContext, placed: pd.DataFrame, judged: pd.DataFrame
) -> pd.DataFrame:
    """Return which receptor governs each placement, where it is, and whose limit applies.

    Args:
        context: The context.
        placed: The placements, with x and y in the market's frame.
        judged: Their judgments (see `siting.describe_levels`).

    Returns:
        receptor_id, receptor_class, receptor_name, receptor_direction, receptor_distance_m (m, to
        the receiver point) and governs, one row per placement.
    """
    pair, point = judged["pair"].to_numpy(), judged["point"].to_numpy()
    names = ("receptor_id", "receptor_class", "receptor_name")
    described = {
        name: np.full(len(pair), None, dtype=object)
        for name in (*names, "receptor_direction", "governs")
    }
    hit = np.flatnonzero(pair >= 0)
    for name in names:
        described[name][hit] = context.pairs.column(name, pair[hit])
    described["governs"][hit] = np.where(
        context.pairs.column("by_rule", pair[hit]), "local rule", "plan"
    )
    center = shapely.points(placed["x"].to_numpy()[hit], placed["y"].to_numpy()[hit])
    receiver = shapely.points(context.points.xy[point[hit]])
    described["receptor_direction"][hit] = name_directions(center, receiver)
    away_m = np.full(len(pair), np.nan)
    away_m[hit] = shapely.distance(center, receiver)
    own = pair == OWN_DWELLING
    described["receptor_class"][own], described["governs"][own] = "own dwelling", "plan"
    if own.any():
        away_m[own] = np.nanmin(context.pairs.own_at_m)
    return pd.DataFrame({**described, "receptor_distance_m": away_m})


def _is_distance_floored(
    context: SizingContext, placed: pd.DataFrame, judged: pd.DataFrame
) -> np.ndarray:
    """Mark placements with a machine nearer to its receiver point than a point source may be."""
    floored = np.zeros(len(placed), dtype=bool)
    hit = np.flatnonzero(judged["pair"] >= 0)
    pair, point = (judged[name].to_numpy()[hit] for name in ("pair", "point"))
    running = (placed["count"] - context.plan.spares).clip(lower=0)
    pads = placed.assign(count=running).iloc[hit]
    of, x, y = locate_machines(pads, context.generator, context.plan)
    at = context.points.xy[point]
    up = context.pairs.column("height_m", pair) - context.sound.source_height_m
    away = np.sqrt((at[of, 0] - x) ** 2 + (at[of, 1] - y) ** 2 + up[of].astype(float) ** 2)
    floored[hit[of[away < NEAREST_M]]] = True
    return floored


def _wall_gain_db(
    context: SizingContext, blocks: np.ndarray, row: np.ndarray, judged: pd.DataFrame
) -> np.ndarray:
    """Return how much the plan's noise wall takes from each block at its governing point.

    NaN if the plan has no such lever.
    """
    gain_db = np.full(len(row), np.nan)
    heights = [lever.wall_height_m for lever in context.plan.levers.values()]
    wall_m = next(filter(None, heights), None)
    hit = np.flatnonzero(judged["pair"] >= 0)
    if wall_m is None or not len(hit):
        return gain_db
    pair, point = (judged[name].to_numpy()[hit] for name in ("pair", "point"))
    given = no_blocks(len(hit))
    given.place[:] = blocks[hit]
    given.pair[:, 0], given.point[:, 0] = pair, point
    found = ask(
        context.search, HEAR, list_case(worst=True, wall_m=wall_m), row[hit], np.ones(len(hit)),
        given,
    )  # fmt: skip
    limit = context.pairs.column("limit_dba", pair).astype(float)
    walled = limit + 10 * np.log10(found.blocks.ratio[:, 0])
    gain_db[hit] = judged["level_dba"].to_numpy()[hit] - walled
    return gain_db


def _to_building_m(block: pd.Series, screening: Screening) -> np.ndarray:
    """Return the distance (m) from each pad to the nearest building; NaN if none is in reach.

    On a bare parcel, whose own building is not mapped, that is a neighbor's.
    """
    buildings, has_block = (
        geometry_array(screening.layers.get("buildings")),
        block.notna().to_numpy(),
    )
    away = np.full(len(block), np.nan)
    away[has_block] = find_nearest(block[has_block].to_numpy(), buildings, BUILDING_REACH_M)[
        "distance_m"
    ]
    return away


def _margin_class(worst: pd.Series, best: pd.Series) -> np.ndarray:
    """Classify one generator at the quietest spot: pass from 3 dB, marginal from 0, else fail."""
    classed = [
        np.select([margin >= 3, margin >= 0], ["pass", "marginal"], "fail")
        for margin in (worst, best)
    ]
    return np.where(classed[0] == classed[1], classed[0], "not known")
