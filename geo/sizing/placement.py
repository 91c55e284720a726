"""Where n machines stand best: places are tried, judged by their noise, and settled.

The quietest by distance of the places where a block fits are judged by the full model. From the
best of them the block is moved in ever smaller steps to wherever it is heard less still.
"""

from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise import judge, spots
from geo.criteria.noise.hearers import ReceptorPairs, find_receptors
from geo.criteria.noise.sound import NoiseSource
from geo.criteria.pad import room
from geo.criteria.pad.ground import BuildableGround, cut_buildable_ground
from geo.equipment.block import draw_block_outlines
from geo.model import Generator, Market, Plan, Screening
from geo.shapes.near import geometry_array, name_directions
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import TOLERANCE_M

# Placements are judged so many at a time, until one holds: those quietest by distance first.
TRIED_BY = (1, 4, spots.MOST, spots.MOST + 2 * spots.SPREAD)
# Steps of a block that settles, as shares of how far apart the places are that were looked at.
STEPS = (1 / 2, 1 / 4, 1 / 8)
MAX_MOVES = 2  # of each size
STEPS_IN_FULL = (
    2  # of the steps from one place, those that are heard least by whoever governs there
)
WORTHWHILE_DB = 0.001
# A block that is over a limit by no more than this may settle below it: with the smaller steps, as
# much less.
HOPEFUL_DB = 0.7
QUERIES = 1_000  # blocks in one go whose places are looked for, so that memory stays small
COMPASS = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])


@dataclass(frozen=True)
class SizingContext:
    """Ground, neighbours and sound, with whom each site keeps away from and where it is quiet.

    Everything of the neighbours is there twice: with those who only may be there (`worst`), and
    without them.
    """

    ground: BuildableGround
    heard: ReceptorPairs
    sure: ReceptorPairs
    exposed_worst: spots.Exposure
    exposed_best: spots.Exposure
    spots_worst: spots.QuietSpots
    spots_best: spots.QuietSpots
    sound: NoiseSource
    generator: Generator
    plan: Plan

    def hearers(self, *, worst: bool) -> ReceptorPairs:
        """Return who hears the sites, with those who only may or without."""
        return self.heard if worst else self.sure

    def exposed(self, *, worst: bool) -> spots.Exposure:
        """Return whom each site keeps away from."""
        return self.exposed_worst if worst else self.exposed_best

    def spots(self, *, worst: bool) -> spots.QuietSpots:
        """Return the quietest places of each parcel."""
        return self.spots_worst if worst else self.spots_best


def make_context(
    sites: gpd.GeoDataFrame,
    given: Screening,
    sound: NoiseSource,
    generator: Generator,
    market: Market,
    plan: Plan,
) -> SizingContext:
    """Return what the sites of a screening stand on and among; `sound` is a machine there."""
    parcels = geometry_array(sites)
    ambient = given.rasters.get("ambient")
    heard = find_receptors(sites, given.layers, given.coverage, ambient, sound, market, plan)
    sure = heard.surely()
    exposed = spots.measure_exposure(heard, parcels, sound)
    quiet = spots.find_quiet_spots(parcels, exposed)
    exposed_best, quiet_best = exposed, quiet
    if not heard.column("certain").all():
        exposed_best = spots.measure_exposure(sure, parcels, sound)
        quiet_best = spots.find_quiet_spots(parcels, exposed_best)
    return SizingContext(
        ground=cut_buildable_ground(sites, given, plan),
        heard=heard,
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
    """Say for each query whether some placement fits the ground and holds every limit.

    The quietest by distance are tried first, the rest only where none of them holds. If it must be
    `quick`, the quietest place of the squarest block is tried alone.
    """
    placed = _list_candidates(scene, sites, count, worst=worst, every=not quick)
    running = drop_spares(placed, scene.plan)
    nth = placed.groupby("query").cumcount().to_numpy()
    query = placed["query"].to_numpy()
    answer, over = np.zeros(len(sites), dtype=bool), np.full(len(sites), judge.NO_RECEPTOR)
    for begin, end in pairwise((0, *(TRIED_BY[:1] if quick else TRIED_BY))):
        asked = np.flatnonzero((nth >= begin) & (nth < end) & ~answer[query])
        passed, who = judge.meets_limits(
            running.iloc[asked].reset_index(drop=True),
            scene.hearers(worst=worst),
            scene.sound,
            scene.generator,
            scene.plan,
            over[query[asked]],
        )
        answer[query[asked[passed]]] = True
        over[query[asked[~passed]]] = who[~passed]
    return answer


def best_candidate(
    scene: SizingContext,
    sites: np.ndarray,
    count: np.ndarray,
    over_most_db: float = np.inf,
    *,
    worst: bool,
) -> pd.DataFrame:
    """Return the placement of each query with the highest margin of those tried, by position.

    One that is over some limit by more than `over_most_db` may have a margin of -inf.
    """
    tried = _list_candidates(scene, sites, count, worst=worst)
    return _choose_best(scene, tried, over_most_db, worst=worst)


def find_best_place(
    scene: SizingContext,
    sites: np.ndarray,
    count: np.ndarray,
    *,
    worst: bool,
    hopeful: bool = False,
) -> pd.DataFrame:
    """Return the best placement of each query, indexed by its position.

    The best of those tried; where it is only just too loud there, settled: moved for as long as
    whoever governs hears it less, until it holds. Where only that is asked (`hopeful`), no more is
    worked out than it takes: a block that cannot hold has a margin of -inf.
    """
    best = best_candidate(scene, sites, count, HOPEFUL_DB if hopeful else np.inf, worst=worst)
    query, best = best.index, best.reset_index(drop=True)
    lots = scene.heard.line[best["site"]]
    spacing_m = np.sqrt(shapely.area(lots) / spots.SPOTS_PER_PARCEL).clip(spots.SPACING_M)
    moved = np.zeros(len(best), dtype=bool)
    for share in STEPS:
        # Who is at an assumed distance hears a block alike wherever it stands.
        stuck = best["margin_db"].between(-2 * share * HOPEFUL_DB, 0, inclusive="left")
        moving = np.flatnonzero(stuck & (best["hearer"] >= 0))
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
    """Return the placements with only so many machines on the same blocks, judged again."""
    fewer = best.assign(count=count)
    table = judge_in_context(scene, fewer, worst=worst)
    return fewer.assign(**{name: table[name].to_numpy() for name in table.columns})


def _step_to_quieter(
    scene: SizingContext, start: pd.DataFrame, step_m: np.ndarray, *, worst: bool
) -> pd.DataFrame:
    """Return the blocks that are heard less one step off, along or across themselves or both.

    Columns x, y, margin_db and hearer, indexed like `start`, whose judged placements they move.
    Steps that stay on the ground are judged at whoever governs first, then the best few in full.
    """
    row = np.repeat(np.arange(len(start)), len(COMPASS))
    steps = start.iloc[row].reset_index(drop=True)
    along, across = (np.tile(COMPASS, (len(start), 1)) * step_m[row][:, None]).T
    angle = np.radians(steps["degrees"].to_numpy())
    steps["x"] = (steps["x"] + along * np.cos(angle) - across * np.sin(angle)).round(4)
    steps["y"] = (steps["y"] + along * np.sin(angle) + across * np.cos(angle)).round(4)
    ground = scene.ground.shapes[start["site"]]
    shapely.prepare(ground)
    kept = shapely.covers(ground[row], draw_block_outlines(steps, less_m=TOLERANCE_M))
    steps, row = steps[kept], row[kept]
    heard, hearer = scene.hearers(worst=worst), steps["hearer"].to_numpy()
    level = judge.level_at_receptor(
        drop_spares(steps, scene.plan),
        hearer,
        heard,
        scene.sound,
        scene.generator,
        scene.plan,
    )
    gain = heard.column("limit_dba", hearer) - level - steps["margin_db"].to_numpy()
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
    found: pd.DataFrame = better.iloc[order[first]][["x", "y", "margin_db", "hearer"]]
    return found.set_axis(row)


def judge_in_context(
    scene: SizingContext,
    placed: pd.DataFrame,
    give_up_db: np.ndarray | None = None,
    first: np.ndarray | None = None,
    *,
    worst: bool,
) -> pd.DataFrame:
    """Judge placements, whose spares stand still, by who hears at worst or at best."""
    running = drop_spares(placed, scene.plan).reset_index(drop=True)
    heard = scene.hearers(worst=worst)
    return judge.judge_placements(
        running,
        heard,
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

    The quietest by distance are judged first; any other is given up as soon as it is no better, or
    over a limit by more than `over_most_db`.
    """
    query = placed["query"].to_numpy()
    nth = placed.groupby("query").cumcount().to_numpy()
    give_up_db = np.full(int(query.max(initial=-1)) + 1, over_most_db)
    governs = np.full(len(give_up_db), judge.NO_RECEPTOR)
    order = np.zeros(len(placed))

    for begin, end in pairwise((0, *TRIED_BY)):
        asked = np.flatnonzero((nth >= begin) & (nth < end))
        given_up = give_up_db[query[asked]]
        table = judge_in_context(
            scene, placed.iloc[asked], given_up, governs[query[asked]], worst=worst
        )
        over = -table["margin_db"].to_numpy()
        order[asked] = over.round(6)
        np.minimum.at(give_up_db, query[asked], over)
        # Whoever governs the best yet, or made the last one hopeless, is asked first of the next.
        telling = (over == give_up_db[query[asked]]) | np.isinf(over)
        governs[query[asked[telling]]] = table["hearer"].to_numpy()[telling]
    best = np.lexsort((nth, order, query))
    best = best[np.unique(query[best], return_index=True)[1]]
    found = placed.iloc[best].reset_index(drop=True)
    hopeless = None if over_most_db == np.inf else np.full(len(found), over_most_db)
    return found.join(judge_in_context(scene, found, hopeless, worst=worst)).set_index("query")


def _list_candidates(
    scene: SizingContext, sites: np.ndarray, count: np.ndarray, *, worst: bool, every: bool = True
) -> pd.DataFrame:
    """Return the placements to judge: the quietest by distance among those that fit the ground."""
    quiet = scene.spots(worst=worst)
    found = []
    for begin in range(0, max(len(sites), 1), QUERIES):
        asked = slice(begin, begin + QUERIES)
        some, many = sites[asked], count[asked]
        first, last = (np.searchsorted(quiet.site, some, side) for side in ("left", "right"))
        times = last - first
        query = np.repeat(np.arange(len(some)), times)
        spot = np.repeat(first, times) + positions_in_groups(times)
        fitting = room.list_placements(
            scene.ground,
            some,
            many,
            scene.exposed(worst=worst).quiet,
            scene.generator,
            scene.plan,
            (query, np.column_stack((quiet.x[spot], quiet.y[spot]))),
            every=every,
        )
        kept = fitting[spots.choose_spots(fitting["query"].to_numpy())]
        found.append(kept.assign(query=kept["query"] + begin))
    return pd.concat(found, ignore_index=True)


def drop_spares(placed: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return the placements with as many machines as run: the spares stand still."""
    return placed.assign(count=(placed["count"] - plan.spares).clip(lower=0))


def judge_quietest_spot(scene: SizingContext, sites: np.ndarray, *, worst: bool) -> pd.DataFrame:
    """Judge one machine at the quietest spot of each parcel, whatever ground is there.

    A row per site of `sites`, indexed by it: margin_db, margin_plan_db, margin_rule_db, level_dba,
    limit_dba and receptor_class; `quiet_side_db`, how much quieter that is than the lot's middle.
    """
    quiet = scene.spots(worst=worst)
    some = np.isin(quiet.site, sites)
    middle = _place_one_machine(scene, sites, *scene.ground.origin[sites].T)
    spot = _place_one_machine(scene, quiet.site[some], quiet.x[some], quiet.y[some])
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
    """Return one machine at each place, each site a query of its own."""
    machine, aisle = scene.generator, 2 * scene.plan.pad.service_m
    placed = {"query": site, "site": site, "x": x, "y": y, "degrees": 0.0, "rows": 1, "columns": 1,
              "length_m": machine.width_m + aisle, "width_m": machine.length_m + aisle,
              "count": scene.plan.spares + 1}  # fmt: skip
    return pd.DataFrame(placed)


def describe_governing_receptors(
    scene: SizingContext, best: pd.DataFrame, sure: np.ndarray
) -> pd.DataFrame:
    """Return who governs each placement, how far off, in which direction and by whose limit."""
    hearer = best["hearer"].to_numpy()
    worst = sure[best.index.to_numpy()]
    names = ("receptor_id", "receptor_class", "receptor_name")
    who = {
        name: np.full(len(best), None, dtype=object)
        for name in (*names, "receptor_direction", "governs")
    }
    for at_worst in (True, False):
        heard = scene.hearers(worst=at_worst)
        hit = np.flatnonzero((hearer >= 0) & (worst == at_worst))
        for name in names:
            who[name][hit] = heard.column(name, hearer[hit])
        who["governs"][hit] = np.where(heard.column("by_rule", hearer[hit]), "local rule", "plan")
        centre = shapely.points(best["x"].to_numpy()[hit], best["y"].to_numpy()[hit])
        towards = shapely.shortest_line(centre, heard.column("shape", hearer[hit]))
        who["receptor_direction"][hit] = name_directions(centre, shapely.get_point(towards, 1))
    own = hearer == judge.OWN_DWELLING
    who["receptor_class"][own], who["governs"][own] = "own dwelling", "plan"
    return pd.DataFrame({**who, "receptor_distance_m": best["receptor_distance_m"].to_numpy()})
