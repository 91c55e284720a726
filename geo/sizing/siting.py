"""Find how many generators each site's ground has room for, and how many its neighbors allow.

Noise depends on the place, the place on the number of generators, and the best place on noise. So
the search tries numbers, places and directions together (see `kernel`), against a table of what one
machine at a spot causes at a receiver point. Every number that it returns is for a block that was
verified by the full model, with each machine at its place, at every receiver point.
"""

from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.criteria.noise.receiver_points import CLOSE, USUAL, ReceiverPoints, list_receiver_points
from geo.criteria.noise.receptors import ReceptorPairs, find_receptors, is_named
from geo.criteria.noise.sound import WALL_OFFSET_M, NoiseSource
from geo.criteria.pad.ground import BuildableGround, cut_buildable_ground, take_sites
from geo.criteria.pad.room import max_machines_that_fit
from geo.model import Generator, Market, Plan, Screening
from geo.sizing.kernel.answers import JUDGE_EACH, JUDGE_WORST, LARGEST, QUIETEST
from geo.sizing.kernel.arrays import PLACE_COLUMNS, Case
from geo.sizing.kernel.verification import OWN_DWELLING
from geo.sizing.questions import (
    PlacedBlocks,
    Searcher,
    ask,
    make_searcher,
    measure_loudness,
    no_blocks,
)
from geo.sizing.search_arrays import arrange_ground, arrange_lone_machine, arrange_lots

HOPELESS_DB = 1.0
"""Where one machine at the quietest spot exceeds a limit by more, no place is searched."""


@dataclass(frozen=True)
class SizingContext:
    """The ground, the receptors, the noise source, and the search over them.

    Attributes:
        ground: The buildable ground of each site.
        pairs: All receptors within reach of the sites.
        points: Their receiver points.
        search: The compiled search over that ground.
        sound: One generator as a noise source.
        generator: The plan's generator.
        plan: The plan.
    """

    ground: BuildableGround
    pairs: ReceptorPairs
    points: ReceiverPoints
    search: Searcher
    sound: NoiseSource
    generator: Generator
    plan: Plan

    @property
    def origin(self) -> np.ndarray:
        """The origin of the search's coordinates (2,), in the market's frame."""
        return self.sound.scene.index.origin

    def stand_on(self, ground: BuildableGround) -> "SizingContext":
        """Return the same sites with other ground."""
        search = self.search.on(arrange_ground(ground, self.origin))
        return replace(self, ground=ground, search=search)

    def measure_quietness(self, points: np.ndarray, site: np.ndarray) -> np.ndarray:
        """Return how quiet some points (n, 2) of sites are over open ground; inf: nobody hears it.

        For example, 0.5 where one machine would be allowed half of what it emits.
        """
        loudness = measure_loudness(self.search, site, points - self.origin)
        with np.errstate(divide="ignore"):
            return np.asarray(1 / loudness)


@dataclass(frozen=True)
class Siting:
    """What the ground and the neighbors allow at each site, before any fuel.

    All counts are of installed generators, from 0 to the plan's cap, one value per site.

    Attributes:
        context: The ground, the receptors and the noise source.
        pad_n: What the ground alone has room for.
        pad_n_upper: An upper bound for `pad_n`.
        pad_lo: `pad_n` in the worst case: 0 where the ground is only assumed to be free.
        place_lo: What ground and neighbors allow together in the worst case.
        place_hi: The same in the best case.
        held_lo: The number for which a place was found in the worst case: `place_lo` before it is
            set to 0 for missing facts (`pad_n` without a receptor layer).
        noise_n: What the neighbors alone allow, at the quietest spot.
        block_lo: The block of `held_lo`, and how loud it is.
        block_hi: The block of `place_hi`.
        next_lo: The quietest block found for one more than `held_lo`.
        alone_worst: One generator at the quietest spot, worst case (see `judge_quietest_spots`).
        alone_best: The same in the best case.
    """

    context: SizingContext
    pad_n: np.ndarray
    pad_n_upper: np.ndarray
    pad_lo: np.ndarray
    place_lo: np.ndarray
    place_hi: np.ndarray
    held_lo: np.ndarray
    noise_n: np.ndarray
    block_lo: PlacedBlocks
    block_hi: PlacedBlocks
    next_lo: np.ndarray
    alone_worst: pd.DataFrame
    alone_best: pd.DataFrame


PER_SITE = ("pad_n", "pad_n_upper", "pad_lo", "place_lo", "place_hi", "held_lo", "noise_n",
            "block_lo", "block_hi", "next_lo")  # fmt: skip


def list_case(*, worst: bool, gain_db: float = 0.0, wall_m: float = 0.0) -> Case:
    """Return what a question varies.

    Args:
        worst: Whether receptors that may not exist count.
        gain_db: How much louder another rating is than the plan's.
        wall_m: The height of a noise wall around the block; 0: none.

    Returns:
        The case.
    """
    return Case(not worst, float(10 ** (gain_db / 10)), float(wall_m), WALL_OFFSET_M)


def size_sites(
    sites: gpd.GeoDataFrame,
    screening: Screening,
    sound: NoiseSource,
    generator: Generator,
    market: Market,
    plan: Plan,
    close: list[list[str]] | None = None,
) -> Siting:
    """Find how many generators each site's ground has room for, and how many its neighbors allow.

    Args:
        sites: One row per site, polygons in the market's CRS (m).
        screening: The sites' layers, rasters and coverage.
        sound: The noise source: one generator among the layers' buildings.
        generator: The plan's generator.
        market: The market, for its noise rule.
        plan: The plan.
        close: Names of each site's receptors with points close together; None: none.

    Returns:
        The siting of every site, in the order of `sites`.
    """
    layers, ambient = screening.layers, screening.rasters.get("ambient")
    pairs = find_receptors(sites, layers, screening.coverage, ambient, sound, market, plan)
    spacing = None if close is None else np.where(is_named(pairs, close), CLOSE, USUAL)
    points = list_receiver_points(pairs, spacing)
    ground = cut_buildable_ground(sites, screening, plan)
    search = make_searcher(pairs, points, ground, sound, generator, plan)
    context = SizingContext(ground, pairs, points, search, sound, generator, plan)
    every = np.arange(len(sites))
    alone_worst = alone_best = judge_quietest_spots(context, every, worst=True)
    uncertain = could_uncertain_govern(pairs, alone_worst["margin_db"].to_numpy())
    if uncertain.any():
        known = judge_quietest_spots(context, every[uncertain], worst=False)
        alone_best = pd.concat([known, alone_worst[~uncertain]]).sort_index()
    return size_in_context(context, every, alone_worst, alone_best)


def size_in_context(
    context: SizingContext,
    positions: np.ndarray,
    alone_worst: pd.DataFrame,
    alone_best: pd.DataFrame,
    roomier: Siting | None = None,
) -> Siting:
    """Size some sites on the ground of a context.

    Args:
        context: The context.
        positions: The sites to size.
        alone_worst: One generator at the quietest spot of each site, worst case.
        alone_best: The same in the best case.
        roomier: A siting of the same sites that allows at least as many at each; None: none.

    Returns:
        The siting of all sites, without any generator at the others.
    """
    pairs, plan = context.pairs, context.plan
    pad_n, pad_n_upper = np.zeros((2, len(context.ground.shapes)), dtype=int)
    pad_n[positions], pad_n_upper[positions] = max_machines_that_fit(
        take_sites(context.ground, positions), context.generator, plan
    )
    roof_lo = roof_hi = pad_n
    known_lo = known_hi = None
    if roomier is not None:
        known_lo, known_hi = roomier.block_lo, roomier.block_hi
        roof_lo = np.minimum(pad_n, roomier.held_lo)
        roof_hi = np.minimum(pad_n, roomier.place_hi)
    held, block_lo, next_lo = _find_largest(
        context, roof_lo, pad_n, np.zeros(len(pad_n)), alone_worst, known_lo, worst=True
    )
    place_lo = zero_if_only_spares(held, plan)
    place_hi = place_lo.copy()
    with np.errstate(divide="ignore"):
        uncertain = could_uncertain_govern(pairs, 10 * np.log10(roof_hi)) & (place_lo < roof_hi)
    more, block, _ = _find_largest(
        context, np.where(uncertain, roof_hi, 0), pad_n, held, alone_best, known_hi, worst=False
    )
    more = zero_if_only_spares(more, plan)
    raised = more > place_hi
    place_hi[raised] = more[raised]
    block_hi = block_lo.replace(raised, block.take(raised))
    allowed = count_allowed(alone_worst["margin_db"], plan)
    noise_unknown = is_noise_unknown(pairs)
    ground_unknown = is_ground_unknown(context)
    return Siting(
        context=context,
        pad_n=pad_n,
        pad_n_upper=pad_n_upper,
        pad_lo=np.where(ground_unknown, 0, pad_n),
        place_lo=np.where(ground_unknown | noise_unknown, 0, place_lo),
        place_hi=place_hi if pairs.known else pad_n,
        held_lo=place_lo if pairs.known else pad_n,
        noise_n=np.where(noise_unknown, 0, np.maximum(allowed, place_lo)),
        block_lo=block_lo,
        block_hi=block_hi,
        next_lo=next_lo,
        alone_worst=alone_worst,
        alone_best=alone_best,
    )


def _find_largest(
    context: SizingContext,
    most: np.ndarray,
    room_for: np.ndarray,
    least: np.ndarray,
    alone: pd.DataFrame,
    known: PlacedBlocks | None,
    *,
    worst: bool,
) -> tuple[np.ndarray, PlacedBlocks, np.ndarray]:
    """Return the largest number of each site, its block, and the best block for one more.

    `least` are known to have a place, for which no block is returned. `known` are blocks on wider
    ground, which are kept where they have `most` machines and still fit.
    """
    count = np.zeros(len(most), dtype=int)
    block = no_blocks(len(most))
    one_more = np.full((len(most), PLACE_COLUMNS), -1.0)
    hopeful = (alone["margin_db"] > -HOPELESS_DB).to_numpy()
    positions = np.flatnonzero((most > least) & (hopeful | (context.plan.spares > 0)))
    if len(positions):
        given = None if known is None else known.take(positions)
        found = ask(
            context.search, LARGEST, list_case(worst=worst), positions, most[positions], given,
            least=least[positions], room_for=room_for[positions],
        )  # fmt: skip
        count[positions] = found.count
        block = block.replace(positions, found.blocks)
        one_more[positions] = found.next_place
    return count, block, one_more


def judge_quietest_spots(context: SizingContext, sites: np.ndarray, *, worst: bool) -> pd.DataFrame:
    """Judge one running generator at the quietest spot of each parcel, whatever its ground.

    Args:
        context: The context.
        sites: The sites to judge, as positions.
        worst: Whether uncertain receptors count.

    Returns:
        margin_db, margin_plan_db, margin_rule_db, level_dba, limit_dba, receptor_class, and
        quiet_side_db (how much quieter the spot is than the middle of the lot), indexed by site.
    """
    search = context.search
    lots = arrange_lots(context.pairs.line, context.origin)
    market = search.market._replace(blocks=arrange_lone_machine())
    lone = replace(search, market=market, ground=lots)
    one, case = np.ones(len(sites), dtype=int), list_case(worst=worst)
    best = ask(lone, QUIETEST, case, sites, one)
    middle = no_blocks(len(sites))
    middle.place[:, 0], middle.place[:, 3], middle.place[:, 4] = 0, 0, 1
    middle.place[:, 1:3] = context.ground.origin[sites] - context.origin
    at_middle = ask(lone, JUDGE_WORST, case, sites, one, middle)
    # A lot without area has no spot but its middle.
    nowhere = best.count == 0
    heard = best.blocks
    if nowhere.any():
        alone = ask(lone, JUDGE_EACH, case, sites[nowhere], one[nowhere], middle.take(nowhere))
        heard = heard.replace(nowhere, alone.blocks)
    judged = describe_levels(context, heard)
    with np.errstate(divide="ignore", invalid="ignore"):
        side = 10 * np.log10(at_middle.blocks.ratio.max(axis=1) / heard.ratio.max(axis=1))
    judged["quiet_side_db"] = np.where(np.isfinite(side), np.maximum(side, 0.0), np.nan)
    judged["receptor_class"] = name_classes(context.pairs, judged["pair"].to_numpy())
    return judged.set_index(pd.Index(sites))


def describe_levels(context: SizingContext, found: PlacedBlocks) -> pd.DataFrame:
    """Return the margins of verified blocks, and the level and the limit where they are smallest.

    Args:
        context: The context.
        found: The blocks, and how loud they are.

    Returns:
        margin_plan_db, margin_rule_db and margin_db (inf: nobody hears it), level_dba, limit_dba,
        pair and point (-1: nobody), one row per block.
    """
    with np.errstate(divide="ignore"):
        margin = -10 * np.log10(found.ratio)
    by_rule = found.ratio[:, 1] > found.ratio[:, 0]
    each = np.arange(len(by_rule))
    pair, point = (one[each, by_rule.astype(int)] for one in (found.pair, found.point))
    limit = np.full(len(pair), np.nan)
    limit[pair >= 0] = context.pairs.column("limit_dba", pair[pair >= 0])
    limit[pair == OWN_DWELLING] = context.pairs.own_limit_dba
    least = margin.min(axis=1)
    return pd.DataFrame(
        {
            "margin_plan_db": margin[:, 0],
            "margin_rule_db": margin[:, 1],
            "margin_db": least,
            "level_dba": np.where(np.isfinite(limit), limit - least, np.nan),
            "limit_dba": limit,
            "pair": pair,
            "point": point,
        }
    )


def name_classes(pairs: ReceptorPairs, pair: np.ndarray) -> np.ndarray:
    """Return the class of the receptor of each pair; None for nobody."""
    names = np.full(len(pair), None, dtype=object)
    names[pair >= 0] = pairs.column("receptor_class", pair[pair >= 0])
    names[pair == OWN_DWELLING] = "own dwelling"
    return names


def count_allowed(margin_db: pd.Series, plan: Plan) -> np.ndarray:
    """Return the number of installed generators that the margin of one allows, summed by energy.

    For example, a margin of 6.1 dB with one generator allows floor(10^0.61) = 4 running ones.
    """
    running = np.floor(10 ** (margin_db.to_numpy(dtype=float).clip(max=30.0) / 10) + 1e-9)
    return add_spares(running.astype(int), plan)


def add_spares(running: np.ndarray, plan: Plan) -> np.ndarray:
    """Return how many generators may be installed where `running` may run, including spares."""
    return np.where(running > 0, np.minimum(running + plan.spares, plan.cap), 0)


def zero_if_only_spares(installed: np.ndarray, plan: Plan) -> np.ndarray:
    """Return the installed generators, or 0 where all of them are spares."""
    return np.where(installed > plan.spares, installed, 0)


def has_uncertain_receptors(pairs: ReceptorPairs) -> np.ndarray:
    """Return whether each site has receptors that may or may not exist."""
    uncertain = np.zeros(len(pairs.line), dtype=bool)
    uncertain[pairs.site[~pairs.column("certain")]] = True
    return uncertain


def could_uncertain_govern(pairs: ReceptorPairs, margin_db: np.ndarray) -> np.ndarray:
    """Return where a receptor that may not exist could be louder than one machine by `margin_db`.

    Args:
        pairs: The receptors in reach of each site.
        margin_db: Per site (n,), how far below its limit one machine stays at any other receptor,
            or how many machines run, in dB above one.

    Returns:
        One boolean per site.
    """
    uncertain = np.flatnonzero(~pairs.column("certain"))
    loudest = np.full(len(pairs.line), -np.inf)
    np.maximum.at(loudest, pairs.site[uncertain], pairs.bound_db[uncertain])
    return np.asarray(loudest > -margin_db)


def is_noise_unknown(pairs: ReceptorPairs) -> np.ndarray:
    """Return where it is not known who hears the site."""
    return pairs.own_unknown | (not pairs.known)


def is_ground_unknown(context: SizingContext) -> np.ndarray:
    """Return where the ground is only free if the plan may not assume it is."""
    facts = context.ground.facts
    bare = facts["bare"].to_numpy() & (not context.plan.assume.bare_parcel)
    return np.asarray(bare | ~facts["clear_known"].to_numpy())
