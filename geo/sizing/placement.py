"""Find the best place for n machines: try places, judge their noise, and move the block.

Of the places where a block fits, the quietest by distance are judged with the full model. From the
best one the block is moved in ever smaller steps to quieter places.

The module is over 400 lines long; it will be split when sizing is rebuilt.
"""

from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise import judge, spots
from geo.criteria.noise.receptors import ReceptorPairs, find_receptors
from geo.criteria.noise.sound import NoiseSource
from geo.criteria.pad import room
from geo.criteria.pad.ground import BuildableGround, cut_buildable_ground
from geo.equipment.block import draw_block_outlines
from geo.model import Generator, Market, Plan, Screening
from geo.shapes.near import geometry_array, name_directions
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import TOLERANCE_M

# Placements are judged in batches that end at these counts, the quietest by distance first.
TRIED_BY = (1, 4, spots.MOST, spots.MOST + 2 * spots.SPREAD)
# Steps by which a block is moved, as shares of the spacing of the places that were tried.
STEPS = (1 / 2, 1 / 4, 1 / 8)
MAX_MOVES = 2  # of each size
STEPS_IN_FULL = 2  # steps from a place to judge in full, the quietest at its governing receptor
WORTHWHILE_DB = 0.001
# A block that exceeds a limit by no more than this may meet it after it is moved. For smaller steps
# the excess must be smaller in proportion.
HOPEFUL_DB = 0.7
QUERIES = 1_000  # blocks in one batch whose places are searched, so that memory stays small
COMPASS = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])


@dataclass(frozen=True)
class SizingContext:
    """The ground, the receptors, the noise source, and the quiet places of each site.

    Everything about receptors exists twice: with the receptors that may or may not exist (worst
    case), and without them (best case).

    Attributes:
        ground: The buildable ground of each site.
        pairs: All receptors within reach of the sites.
        sure: The receptors that certainly exist.
        exposed_worst: How near each place is to receptors, worst case.
        exposed_best: The same in the best case.
        spots_worst: The quietest places of each parcel, worst case.
        spots_best: The same in the best case.
        sound: One generator as a noise source.
        generator: The plan's generator.
        plan: The plan.
    """

    ground: BuildableGround
    pairs: ReceptorPairs
    sure: ReceptorPairs
    exposed_worst: spots.Exposure
    exposed_best: spots.Exposure
    spots_worst: spots.QuietSpots
    spots_best: spots.QuietSpots
    sound: NoiseSource
    generator: Generator
    plan: Plan

    def receptor_pairs(self, *, worst: bool) -> ReceptorPairs:
        """Return the receptors, with or without those that may not exist."""
        return self.pairs if worst else self.sure

    def exposure(self, *, worst: bool) -> spots.Exposure:
        """Return the exposure of each place to the receptors."""
        return self.exposed_worst if worst else self.exposed_best

    def spots(self, *, worst: bool) -> spots.QuietSpots:
        """Return the quietest places of each parcel."""
        return self.spots_worst if worst else self.spots_best


def make_context(
    sites: gpd.GeoDataFrame,
    screening: Screening,
    sound: NoiseSource,
    generator: Generator,
    market: Market,
    plan: Plan,
) -> SizingContext:
    """Prepare the context that sizing needs for the sites of a screening.

    Args:
        sites: One row per site, polygons in the market's CRS (m).
        screening: The sites' layers, rasters and coverage.
        sound: One generator among the layers' buildings.
        generator: The plan's generator.
        market: The market, for its noise rule.
        plan: The plan.

    Returns:
        The context of all sites.
    """
    parcels = geometry_array(sites)
    ambient = screening.rasters.get("ambient")
    pairs = find_receptors(
        sites, screening.layers, screening.coverage, ambient, sound, market, plan
    )
    sure = pairs.keep_certain()
    exposed = spots.measure_exposure(pairs, parcels, sound)
    quiet = spots.find_quiet_spots(parcels, exposed)
    exposed_best, quiet_best = exposed, quiet
    if not pairs.column("certain").all():
        exposed_best = spots.measure_exposure(sure, parcels, sound)
        quiet_best = spots.find_quiet_spots(parcels, exposed_best)
    return SizingContext(
        ground=cut_buildable_ground(sites, screening, plan),
        pairs=pairs,
        sure=sure,
        exposed_worst=exposed,
        exposed_best=exposed_best,
        spots_worst=quiet,
        spots_best=quiet_best,
        sound=sound,
        generator=generator,
        plan=plan,
    )


def some_placement_meets_limits(
    scene: SizingContext,
    sites: np.ndarray,
    count: np.ndarray,
    *,
    worst: bool,
    quick: bool = False,
) -> np.ndarray:
    """Return for each query whether some placement fits the ground and meets every limit.

    The quietest places by distance are tried first; the others only if none of them meets the
    limits.

    Args:
        scene: The context.
        sites: The site of each query, as positions (q,).
        count: The generators of each query (q,).
        worst: Whether uncertain receptors count.
        quick: Try only the quietest place of the squarest block.

    Returns:
        One boolean per query.
    """
    placed = _list_candidates(scene, sites, count, worst=worst, every=not quick)
    running = drop_spares(placed, scene.plan)
    nth = placed.groupby("query").cumcount().to_numpy()
    query = placed["query"].to_numpy()
    answer, over = np.zeros(len(sites), dtype=bool), np.full(len(sites), judge.NO_RECEPTOR)
    for begin, end in pairwise((0, *(TRIED_BY[:1] if quick else TRIED_BY))):
        positions = np.flatnonzero((nth >= begin) & (nth < end) & ~answer[query])
        passed, exceeded_pair = judge.meets_limits(
            running.iloc[positions].reset_index(drop=True),
            scene.receptor_pairs(worst=worst),
            scene.sound,
            scene.generator,
            scene.plan,
            over[query[positions]],
        )
        answer[query[positions[passed]]] = True
        over[query[positions[~passed]]] = exceeded_pair[~passed]
    return answer


def best_candidate(
    scene: SizingContext,
    sites: np.ndarray,
    count: np.ndarray,
    over_most_db: float = np.inf,
    *,
    worst: bool,
) -> pd.DataFrame:
    """Return the placement with the highest margin among the candidates of each query.

    Args:
        scene: The context.
        sites: The site of each query, as positions (q,).
        count: The generators of each query (q,).
        over_most_db: A placement that exceeds a limit by more than this may get a margin of -inf.
        worst: Whether uncertain receptors count.

    Returns:
        One placement per query that has any, indexed by the query's position.
    """
    candidates = _list_candidates(scene, sites, count, worst=worst)
    return _choose_best(scene, candidates, over_most_db, worst=worst)


def find_best_place(
    scene: SizingContext,
    sites: np.ndarray,
    count: np.ndarray,
    *,
    worst: bool,
    hopeful: bool = False,
) -> pd.DataFrame:
    """Return the best placement of each query, moved to a quieter place where that helps.

    A block that exceeds a limit only slightly is moved until it meets the limit, as long as each
    move makes it quieter at the receptor that governs it.

    Args:
        scene: The context.
        sites: The site of each query, as positions (q,).
        count: The generators of each query (q,).
        worst: Whether uncertain receptors count.
        hopeful: Only decide whether the limits are met; a block that cannot meet them gets a margin
            of -inf.

    Returns:
        One placement per query that has any, indexed by the query's position.
    """
    best = best_candidate(scene, sites, count, HOPEFUL_DB if hopeful else np.inf, worst=worst)
    query, best = best.index, best.reset_index(drop=True)
    lots = scene.pairs.line[best["site"]]
    spacing_m = np.sqrt(shapely.area(lots) / spots.SPOTS_PER_PARCEL).clip(spots.SPACING_M)
    moved = np.zeros(len(best), dtype=bool)
    for share in STEPS:
        # A move changes nothing for homes at an assumed distance, so skip those (receptor < 0).
        stuck = best["margin_db"].between(-2 * share * HOPEFUL_DB, 0, inclusive="left")
        moving = np.flatnonzero(stuck & (best["receptor"] >= 0))
        for _ in range(MAX_MOVES):
            start = best.iloc[moving].reset_index(drop=True)
            better = _step_to_quieter(scene, start, share * spacing_m[moving], worst=worst)
            moving = moving[better.index]
            moved[moving] = True
            for name in better.columns:
                best.loc[moving, name] = better[name].to_numpy()
            moving = moving[better["margin_db"].to_numpy() < 0]
    whole = judge_in_context(scene, best[moved], worst=worst)
    for name in whole.columns:
        best.loc[moved, name] = whole[name].to_numpy()
    return best.set_index(query)


def judge_with_fewer(
    scene: SizingContext, best: pd.DataFrame, count: np.ndarray, *, worst: bool
) -> pd.DataFrame:
    """Judge placements again with fewer generators on the same blocks.

    Args:
        scene: The context.
        best: The placements.
        count: The generators that stand on each (p,).
        worst: Whether uncertain receptors count.

    Returns:
        The placements with their new judgments.
    """
    fewer = best.assign(count=count)
    table = judge_in_context(scene, fewer, worst=worst)
    return fewer.assign(**{name: table[name].to_numpy() for name in table.columns})


def _step_to_quieter(
    scene: SizingContext, start: pd.DataFrame, step_m: np.ndarray, *, worst: bool
) -> pd.DataFrame:
    """Return the blocks that become quieter after a step along their length, their width or both.

    The columns are x, y, margin_db and receptor, indexed like `start`, the judged placements that
    move. Steps that stay on the ground are judged at the governing receptor first, then the best
    few in full.
    """
    row = np.repeat(np.arange(len(start)), len(COMPASS))
    steps = start.iloc[row].reset_index(drop=True)
    along, across = (np.tile(COMPASS, (len(start), 1)) * step_m[row][:, None]).T
    angle = np.radians(steps["degrees"].to_numpy())
    steps["x"] = (steps["x"] + along * np.cos(angle) - across * np.sin(angle)).round(4)
    steps["y"] = (steps["y"] + along * np.sin(angle) + across * np.cos(angle)).round(4)
    ground = scene.ground.shapes[start["site"]]
    shapely.prepare(ground)
    chosen = shapely.covers(ground[row], draw_block_outlines(steps, less_m=TOLERANCE_M))
    steps, row = steps[chosen], row[chosen]
    pairs, receptor = scene.receptor_pairs(worst=worst), steps["receptor"].to_numpy()
    level = judge.level_at_receptor(
        drop_spares(steps, scene.plan),
        receptor,
        pairs,
        scene.sound,
        scene.generator,
        scene.plan,
    )
    gain = pairs.column("limit_dba", receptor) - level - steps["margin_db"].to_numpy()
    steps, row = steps[gain > WORTHWHILE_DB], row[gain > WORTHWHILE_DB]
    order = np.lexsort((-gain[gain > WORTHWHILE_DB].round(6), row))
    order = order[np.arange(len(row)) - np.searchsorted(row[order], row[order]) < STEPS_IN_FULL]
    steps, row = steps.iloc[order], row[order]
    least = steps["margin_db"].to_numpy()
    better = judge_in_context(scene, steps, -least, worst=worst)
    better[["x", "y"]] = steps[["x", "y"]].to_numpy()
    margin = better["margin_db"].to_numpy()
    order = np.lexsort((-margin.round(6), row))
    order = order[margin[order] > least[order] + WORTHWHILE_DB]
    row, first = np.unique(row[order], return_index=True)
    placements: pd.DataFrame = better.iloc[order[first]][["x", "y", "margin_db", "receptor"]]
    return placements.set_axis(row)


def judge_in_context(
    scene: SizingContext,
    placed: pd.DataFrame,
    give_up_db: np.ndarray | None = None,
    first: np.ndarray | None = None,
    *,
    worst: bool,
) -> pd.DataFrame:
    """Judge placements while their spares do not run.

    Args:
        scene: The context.
        placed: The placements.
        give_up_db: Stop judging a placement that exceeds a limit by more than this (p,).
        first: The receptor to evaluate first for each placement (p,).
        worst: Whether uncertain receptors count.

    Returns:
        One judgment per placement (see `judge_placements`).
    """
    running = drop_spares(placed, scene.plan).reset_index(drop=True)
    pairs = scene.receptor_pairs(worst=worst)
    return judge.judge_placements(
        running,
        pairs,
        scene.sound,
        scene.generator,
        scene.plan,
        give_up_db,
        first,
    )


def _choose_best(
    scene: SizingContext, placed: pd.DataFrame, over_most_db: float = np.inf, *, worst: bool
) -> pd.DataFrame:
    """Return the placement of each query with the highest margin, indexed by query.

    The quietest by distance are judged first. A later one is given up as soon as it is no better,
    or exceeds a limit by more than `over_most_db`.
    """
    query = placed["query"].to_numpy()
    nth = placed.groupby("query").cumcount().to_numpy()
    give_up_db = np.full(int(query.max(initial=-1)) + 1, over_most_db)
    governs = np.full(len(give_up_db), judge.NO_RECEPTOR)
    order = np.zeros(len(placed))

    for begin, end in pairwise((0, *TRIED_BY)):
        positions = np.flatnonzero((nth >= begin) & (nth < end))
        given_up = give_up_db[query[positions]]
        table = judge_in_context(
            scene, placed.iloc[positions], given_up, governs[query[positions]], worst=worst
        )
        over = -table["margin_db"].to_numpy()
        order[positions] = over.round(6)
        np.minimum.at(give_up_db, query[positions], over)
        # In the next batch, evaluate first the receptor that governs the best placement so far, or
        # that ruled out the last one.
        telling = (over == give_up_db[query[positions]]) | np.isinf(over)
        governs[query[positions[telling]]] = table["receptor"].to_numpy()[telling]
    best = np.lexsort((nth, order, query))
    best = best[np.unique(query[best], return_index=True)[1]]
    placements = placed.iloc[best].reset_index(drop=True)
    hopeless = None if over_most_db == np.inf else np.full(len(placements), over_most_db)
    return placements.join(judge_in_context(scene, placements, hopeless, worst=worst)).set_index(
        "query"
    )


def _list_candidates(
    scene: SizingContext, sites: np.ndarray, count: np.ndarray, *, worst: bool, every: bool = True
) -> pd.DataFrame:
    """Return the placements to judge: the quietest by distance among those that fit the ground."""
    quiet = scene.spots(worst=worst)
    placements = []
    for begin in range(0, max(len(sites), 1), QUERIES):
        positions = slice(begin, begin + QUERIES)
        selected, many = sites[positions], count[positions]
        first, last = (np.searchsorted(quiet.site, selected, side) for side in ("left", "right"))
        times = last - first
        query = np.repeat(np.arange(len(selected)), times)
        spot = np.repeat(first, times) + positions_in_groups(times)
        fitting = room.list_placements(
            scene.ground,
            selected,
            many,
            scene.exposure(worst=worst).measure_quietness,
            scene.generator,
            scene.plan,
            (query, np.column_stack((quiet.x[spot], quiet.y[spot]))),
            every=every,
        )
        chosen = fitting[spots.choose_spots(fitting["query"].to_numpy())]
        placements.append(chosen.assign(query=chosen["query"] + begin))
    return pd.concat(placements, ignore_index=True)


def drop_spares(placed: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return the placements with the number of running generators, without spares."""
    return placed.assign(count=(placed["count"] - plan.spares).clip(lower=0))


def judge_quietest_spot(scene: SizingContext, sites: np.ndarray, *, worst: bool) -> pd.DataFrame:
    """Judge one generator at the quietest spot of each parcel, whatever its ground.

    Args:
        scene: The context.
        sites: The sites to judge, as positions.
        worst: Whether uncertain receptors count.

    Returns:
        margin_db, margin_plan_db, margin_rule_db, level_dba, limit_dba, receptor_class, and
        quiet_side_db (how much quieter the spot is than the middle of the lot), indexed by site.
    """
    quiet = scene.spots(worst=worst)
    selected = np.isin(quiet.site, sites)
    middle = _place_one_machine(scene, sites, *scene.ground.origin[sites].T)
    spot = _place_one_machine(scene, quiet.site[selected], quiet.x[selected], quiet.y[selected])
    best = _choose_best(scene, pd.concat([spot, middle], ignore_index=True), worst=worst)
    sure = np.full(len(scene.ground.shapes), worst)
    best["receptor_class"] = describe_governing_receptors(scene, best, sure)[
        "receptor_class"
    ].to_numpy()
    at_middle = judge_in_context(scene, middle, worst=worst)
    with np.errstate(invalid="ignore"):
        side = best["margin_db"].to_numpy() - at_middle["margin_db"].to_numpy()
    best["quiet_side_db"] = np.where(np.isfinite(side), side, np.nan)
    return best


def _place_one_machine(
    scene: SizingContext, site: np.ndarray, x: np.ndarray, y: np.ndarray
) -> pd.DataFrame:
    """Return one generator at each place, with each site as its own query."""
    machine, aisle = scene.generator, 2 * scene.plan.pad.service_m
    placed = {"query": site, "site": site, "x": x, "y": y, "degrees": 0.0, "rows": 1, "columns": 1,
              "length_m": machine.width_m + aisle, "width_m": machine.length_m + aisle,
              "count": scene.plan.spares + 1}  # fmt: skip
    return pd.DataFrame(placed)


def describe_governing_receptors(
    scene: SizingContext, best: pd.DataFrame, sure: np.ndarray
) -> pd.DataFrame:
    """Return which receptor governs each placement, where it is, and whose limit applies.

    Args:
        scene: The context.
        best: Judged placements, indexed by site.
        sure: Per site, whether its placement was judged in the worst case.

    Returns:
        receptor_id, receptor_class, receptor_name, receptor_direction, receptor_distance_m (m) and
        governs, one row per placement.
    """
    receptor = best["receptor"].to_numpy()
    worst = sure[best.index.to_numpy()]
    names = ("receptor_id", "receptor_class", "receptor_name")
    described = {
        name: np.full(len(best), None, dtype=object)
        for name in (*names, "receptor_direction", "governs")
    }
    for at_worst in (True, False):
        pairs = scene.receptor_pairs(worst=at_worst)
        hit = np.flatnonzero((receptor >= 0) & (worst == at_worst))
        for name in names:
            described[name][hit] = pairs.column(name, receptor[hit])
        described["governs"][hit] = np.where(
            pairs.column("by_rule", receptor[hit]), "local rule", "plan"
        )
        center = shapely.points(best["x"].to_numpy()[hit], best["y"].to_numpy()[hit])
        towards = shapely.shortest_line(center, pairs.column("shape", receptor[hit]))
        described["receptor_direction"][hit] = name_directions(
            center, shapely.get_point(towards, 1)
        )
    own = receptor == judge.OWN_DWELLING
    described["receptor_class"][own], described["governs"][own] = "own dwelling", "plan"
    return pd.DataFrame(
        {**described, "receptor_distance_m": best["receptor_distance_m"].to_numpy()}
    )
