"""Make the arrays of the compiled search from tables, and put questions to it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise.receiver_points import ReceiverPoints
from geo.criteria.noise.receptors import EDGE_OF_LAYER, ReceptorPairs
from geo.criteria.noise.sound import (
    NoiseSource,
    one_path_dba,
    one_path_energy,
    open_field_dba,
)
from geo.criteria.pad.ground import CIRCLE_TOLERANCE_M, BuildableGround
from geo.equipment.block import list_layouts, locate_machines
from geo.model import Generator, Plan
from geo.propagation.band_energy import MOST_REFLECTED
from geo.propagation.by_distance import list_distances_m
from geo.propagation.one_pair import find_sender, make_room, make_sound
from geo.shapes.rectangles import (
    TOLERANCE_M,
    list_edges,
    longest_edge_direction,
    rotate_shapes,
    rotate_shapes_back,
)
from geo.shapes.ragged import positions_in_groups
from geo.sizing.kernel import answers
from geo.sizing.kernel.arrays import (
    CANDIDATE_COLUMNS,
    CANDIDATES,
    COLUMNS_MOST,
    NEAR_SPOTS,
    PLACE_COLUMNS,
    RANKED_PLACES,
    SPOTS_MOST,
    Answer,
    Bench,
    Blocks,
    Case,
    Grounds,
    Hearing,
    Levels,
    Market,
    Table,
)
from geo.sizing.kernel.verification import NOBODY

PLACES_PER_GROUND = 40
"""About so many places of a block are tried on a site's ground."""
PLACES_PER_LOT = 40
SPOTS_PER_GROUND = 20
"""About so many spots of the ground are in the transfer table."""
SPOTS_PER_LOT = 6
LEAST_STEP_M = 1.0
THREADS = 2
SITES_PER_TURN = 16
STACK_CELLS = 200


def arrange_hearing(
    pairs: ReceptorPairs, points: ReceiverPoints, sound: NoiseSource, plan: Plan
) -> Hearing:
    """Return who hears each site, for the compiled search.

    Args:
        pairs: The receptors in reach of each site.
        points: Their receiver points.
        sound: The sound of one machine and its surroundings.
        plan: The plan, for the height of homes at an assumed distance.

    Returns:
        The arrays.
    """
    sites = len(pairs.line)
    xy = points.xy - sound.scene.index.origin
    limit = pairs.column("limit_dba").astype(float)
    own = np.zeros(sites)
    assumed = np.flatnonzero(~np.isnan(pairs.own_at_m))
    if len(assumed):
        level = open_field_dba(sound, pairs.own_at_m[assumed], plan.noise.facade_height_m)
        own[assumed] = 10 ** ((level - pairs.own_limit_dba) / 10)
    return Hearing(
        lot=shapely.bounds(pairs.line) - np.tile(sound.scene.index.origin, 2),
        first=np.searchsorted(pairs.site, np.arange(sites + 1)),
        box=_boxes_around(xy, points),
        begin=points.begin.astype(np.int64),
        end=points.end.astype(np.int64),
        per_limit=10 ** (-limit / 10),
        height_m=pairs.column("height_m").astype(float),
        by_rule=pairs.column("by_rule").astype(bool),
        certain=pairs.column("certain").astype(bool),
        over_open_ground=pairs.column("receptor_class") == EDGE_OF_LAYER,
        facing_only=points.facing_only,
        point=np.ascontiguousarray(xy),
        outward=points.outward,
        own=own,
    )


def _boxes_around(xy: np.ndarray, points: ReceiverPoints) -> np.ndarray:
    """Return the box around the points of each pair (Q, 4); many pairs share their points."""
    if not len(points.begin):
        return np.empty((0, 4))
    first, position = np.unique(points.begin, return_inverse=True)
    last = np.zeros(len(first), dtype=np.int64)
    np.maximum.at(last, position, points.end)
    # A set of points ends where the next one begins, so that reduceat covers each exactly.
    lowest, highest = (fold.reduceat(xy, first, axis=0) for fold in (np.minimum, np.maximum))
    return np.ascontiguousarray(np.column_stack((lowest, highest))[position])


def arrange_blocks(generator: Generator, plan: Plan) -> tuple[Blocks, pd.DataFrame]:
    """Return every layout of 1 to the plan's cap of machines, for the compiled search and as rows.

    The rows have rows, columns, length_m and width_m.
    """
    layouts = [list_layouts(count, generator, plan) for count in range(1, plan.cap + 1)]
    many = [0, *(len(some) for some in layouts)]
    rows = pd.DataFrame([block for some in layouts for block in some])
    count = np.repeat(np.arange(plan.cap + 1), many)
    running = np.maximum(np.arange(plan.cap + 1) - plan.spares, 0)
    placed = rows.assign(x=0.0, y=0.0, degrees=0.0, count=running[count])
    of, x, y = locate_machines(placed, generator, plan)
    blocks = Blocks(
        first=np.concatenate(([0], np.cumsum(many))),
        size_m=np.ascontiguousarray(rows[["length_m", "width_m"]], dtype=float),
        machine_from=np.searchsorted(of, np.arange(len(rows) + 1)),
        machine=np.ascontiguousarray(np.column_stack((x, y)).reshape(-1, 2)),
        running=running,
    )
    return blocks, rows


def arrange_lone_machine(blocks: Blocks) -> Blocks:
    """Return the layout of one machine alone, which takes no ground."""
    return Blocks(
        first=np.array([0, 0, 1]),
        size_m=np.zeros((1, 2)),
        machine_from=np.array([0, 1]),
        machine=np.zeros((1, 2)),
        running=np.array([0, 1]),
    )


def arrange_levels(sound: NoiseSource) -> Levels:
    """Return the energies by distance that guide the search and bound the levels."""
    away_m = list_distances_m()
    return Levels(
        open=10 ** (one_path_dba(sound, away_m)[:, None] / 10),
        bands=np.ascontiguousarray(one_path_energy(sound, away_m)),
        nothing_taken=np.ones(1),
        most_back=MOST_REFLECTED * float(sound.scene.most_reflected.max(initial=0.0)),
        kept=sound.scene.reflected.max(axis=1, initial=0.0),
    )


def arrange_ground(ground: BuildableGround, origin: np.ndarray) -> Grounds:
    """Return each site's ground with the places to try on it, for the compiled search.

    Args:
        ground: The buildable ground of n sites.
        origin: The scene's origin (2,), meters in the market's frame.

    Returns:
        The arrays.
    """
    edge_of, begin, end = list_edges(ground.shapes)
    place_of, place, step_m = list_places(ground.shapes, PLACES_PER_GROUND)
    sites = np.arange(len(ground.shapes) + 1)
    return Grounds(
        edge=np.column_stack((begin - origin, end - origin)),
        edge_from=np.searchsorted(edge_of, sites),
        turn=np.radians(ground.degrees),
        turn_from=ground.turns_from.astype(np.int64),
        place=place - origin,
        place_from=np.searchsorted(place_of, sites),
        step_m=step_m,
        open_m2=ground.open_m2.astype(float),
        width_m=2 * (ground.radius_m + CIRCLE_TOLERANCE_M),
        long_m=_longest_m(ground.shapes),
    )


def arrange_lots(lots: np.ndarray, origin: np.ndarray) -> Grounds:
    """Return each site's whole lot as ground for one machine alone, in one direction."""
    edge_of, begin, end = list_edges(lots)
    place_of, place, step_m = list_places(lots, PLACES_PER_LOT)
    sites = np.arange(len(lots) + 1)
    return Grounds(
        edge=np.column_stack((begin - origin, end - origin)),
        edge_from=np.searchsorted(edge_of, sites),
        turn=np.zeros(len(lots)),
        turn_from=sites,
        place=place - origin,
        place_from=np.searchsorted(place_of, sites),
        step_m=step_m,
        open_m2=np.full(len(lots), np.inf),
        width_m=np.full(len(lots), np.inf),
        long_m=np.full(len(lots), np.inf),
    )


def _longest_m(shapes: np.ndarray) -> np.ndarray:
    """Return the diagonal of the box around each shape, which is longer than anything in it."""
    box = shapely.bounds(shapes)
    return np.nan_to_num(np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])) + TOLERANCE_M


def list_places(shapes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places on each shape: a lattice along its longest edge, and a point in each part.

    Args:
        shapes: Polygons (n,), in a metric frame.
        count: About how many places per shape; they are at least LEAST_STEP_M apart.

    Returns:
        The shape of each place, sorted; the places (P, 2); the lattice's step (n,).
    """
    area = shapely.area(shapes)
    step_m = np.sqrt(area / count).clip(LEAST_STEP_M)
    turn = longest_edge_direction(shapes)
    origin = np.zeros((len(shapes), 2))
    room = ~shapely.is_empty(shapes)
    origin[room] = shapely.get_coordinates(shapely.point_on_surface(shapes[room]))
    level = rotate_shapes(shapes, origin, turn)
    box = np.where(room[:, None], shapely.bounds(level), 0.0)
    cells = np.ceil((box[:, 2:] - box[:, :2]) / step_m[:, None]).astype(int)
    cells = np.where(room[:, None], np.maximum(cells, 1), 0)
    # Center the lattice in the box.
    start = (box[:, :2] + box[:, 2:]) / 2 - (cells - 1) / 2 * step_m[:, None]
    times = cells.prod(axis=1)
    of = np.repeat(np.arange(len(shapes)), times)
    nth = positions_in_groups(times)
    column, row = nth % np.maximum(cells[of, 0], 1), nth // np.maximum(cells[of, 0], 1)
    lattice = start[of] + np.column_stack((column, row)) * step_m[of, None]
    shapely.prepare(level)
    inside = shapely.contains_xy(level[of], lattice[:, 0], lattice[:, 1])
    parts, part_of = shapely.get_parts(level, return_index=True)
    parts, part_of = parts[~shapely.is_empty(parts)], part_of[~shapely.is_empty(parts)]
    middle = shapely.get_coordinates(shapely.point_on_surface(parts))
    of = np.concatenate((of[inside], part_of))
    places = np.concatenate((lattice[inside], middle))
    points = rotate_shapes_back(shapely.points(places), origin[of], turn[of])
    order = np.argsort(of, kind="stable")
    return of[order], shapely.get_coordinates(points)[order], step_m


def start_tables(grounds: np.ndarray, lots: np.ndarray, origin: np.ndarray) -> Table:
    """Return empty transfer tables with spots on each site's widest ground and on its lot.

    Args:
        grounds: The widest ground of each site (n,).
        lots: The sites' parcels (n,).
        origin: The scene's origin (2,), meters in the market's frame.

    Returns:
        The tables. Their columns are added by the search.
    """
    sites = len(lots)
    spot = np.zeros((sites, SPOTS_MOST, 2))
    spots = np.zeros(sites, dtype=np.int64)
    for shapes, count in ((grounds, SPOTS_PER_GROUND), (lots, SPOTS_PER_LOT)):
        of, place, _ = list_places(shapes, count)
        nth = positions_in_groups(np.bincount(of, minlength=sites))
        # Thin shapes can have many more places than asked for.
        kept = nth < count
        spot[of[kept], spots[of[kept]] + nth[kept]] = place[kept] - origin
        spots += np.bincount(of[kept], minlength=sites)
    return Table(
        spot=spot,
        spots=spots,
        column_point=np.zeros((sites, COLUMNS_MOST), dtype=np.int64),
        column_pair=np.zeros((sites, COLUMNS_MOST), dtype=np.int64),
        columns=np.full(sites, -1, dtype=np.int64),
        energy=np.zeros((sites, SPOTS_MOST, COLUMNS_MOST)),
        scale=np.ones((sites, COLUMNS_MOST)),
        walled=np.zeros((sites, COLUMNS_MOST)),
    )


@dataclass(frozen=True)
class Searcher:
    """The compiled search over the sites of a market.

    Attributes:
        market: Who hears the sites, the source and the blocks.
        levels: Energies by distance over open ground.
        layouts: The layouts of `market.blocks`: rows, columns, length_m and width_m.
        table: The transfer table of each site, which grows with each question.
        longest_m: The farthest that a receiver point may be from a machine.
    """

    market: Market
    levels: Levels
    layouts: pd.DataFrame
    table: Table
    longest_m: float


class PlacedBlocks(NamedTuple):
    """Blocks, one per site (n,), and where they are loudest by the plan's limits and the rule's.

    `place` (n, 5) has layout, x, y, angle and running machines; the layout is -1 where there is no
    block. `ratio` (n, 2) is the energy as a share of what the limit allows, and `pair` and `point`
    (n, 2) say where that is (see `kernel.arrays.Answer`).
    """

    place: np.ndarray
    ratio: np.ndarray
    pair: np.ndarray
    point: np.ndarray

    def take(self, chosen: np.ndarray) -> "PlacedBlocks":
        """Return the blocks of some sites."""
        return PlacedBlocks(*(one[chosen] for one in self))

    def replace(self, chosen: np.ndarray, others: "PlacedBlocks") -> "PlacedBlocks":
        """Return these blocks with those of the `chosen` sites replaced by others, in order."""
        parts = [one.copy() for one in self]
        for mine, other in zip(parts, others, strict=True):
            mine[chosen] = other
        return PlacedBlocks(*parts)


def no_blocks(sites: int) -> PlacedBlocks:
    """Return no block at each of some sites."""
    nobody = np.full((sites, 2), NOBODY, dtype=np.int64)
    place = np.full((sites, PLACE_COLUMNS), -1.0)
    return PlacedBlocks(place, np.zeros((sites, 2)), nobody, nobody.copy())


@dataclass(frozen=True)
class Found:
    """The answers to a question, one per site asked (q,).

    `count` is the number of machines, 0 where none was found, and `blocks` are where they stand.
    `next_place` (q, 5) is the quietest place found for one more
    than the largest number; its layout is -1 where the ground has no room for it. `rays` is how
    many levels of one machine at one point the full model computed.
    """

    count: np.ndarray
    blocks: PlacedBlocks
    next_place: np.ndarray
    rays: int = 0


def make_searcher(
    pairs: ReceptorPairs,
    points: ReceiverPoints,
    widest: np.ndarray,
    sound: NoiseSource,
    generator: Generator,
    plan: Plan,
) -> Searcher:
    """Prepare the compiled search.

    Args:
        pairs: The receptors in reach of each site.
        points: Their receiver points.
        widest: The ground (n,) that any question may use, for the spots of the tables.
        sound: The sound of one machine and its surroundings.
        generator: The generator.
        plan: The plan.

    Returns:
        The search.
    """
    origin = sound.scene.index.origin
    hearing = arrange_hearing(pairs, points, sound, plan)
    blocks, layouts = arrange_blocks(generator, plan)
    lots = shapely.bounds(pairs.line) - np.tile(origin, 2)
    longest_m = 1.0
    if len(hearing.box):
        across = np.maximum(hearing.box[:, 2:] - lots[pairs.site, :2],
                            lots[pairs.site, 2:] - hearing.box[:, :2])  # fmt: skip
        longest_m = float(np.hypot(*across.T).max())
    source = make_sound(
        sound.scene, sound.power_db, sound.source_height_m, sound.air_db_m, sound.edition
    )
    sender = find_sender(source, make_room(source, 0.0))
    return Searcher(
        market=Market(source, sender, hearing, blocks),
        levels=arrange_levels(sound),
        layouts=layouts,
        table=start_tables(widest, pairs.line, origin),
        longest_m=longest_m,
    )


def ask(
    searcher: Searcher,
    ground: Grounds,
    question: int,
    sites: np.ndarray,
    count: np.ndarray,
    case: Case,
    place: np.ndarray | None = None,
    least: np.ndarray | None = None,
    room_for: np.ndarray | None = None,
    heard_at: tuple[np.ndarray, np.ndarray] | None = None,
) -> Found:
    """Put a question to the search for some sites, each at most once.

    Args:
        searcher: The search.
        ground: The ground of all sites.
        question: One of `kernel.answers`.
        sites: Positions of the sites (q,).
        count: The number of machines, or the most to try (q,).
        case: What the question varies.
        place: Blocks that are known (q, 5), as in `PlacedBlocks`; their layout is -1 where none is.
        least: How many machines are known to have a place (q,), for the largest number; None: 0.
        room_for: How many machines the ground has room for (q,), for the largest number. Up to
            there, the quietest place for one more is found too. None: neither that place nor the
            levels of the block are of interest.
        heard_at: The pair and the point (q,) at which blocks are heard, for that question.

    Returns:
        The answers.
    """
    asked = len(sites)
    blocks = no_blocks(asked)
    if place is not None:
        blocks = blocks._replace(place=np.array(place, dtype=float))
    found = Found(
        count=np.zeros(asked, dtype=np.int64),
        blocks=blocks,
        next_place=np.full((asked, PLACE_COLUMNS), -1.0),
    )
    least, room_for = (np.zeros(asked) if one is None else one for one in (least, room_for))
    if heard_at is not None:
        blocks.pair[:, 0], blocks.point[:, 0] = heard_at
    table = searcher.table
    benches: SimpleQueue[Bench] = SimpleQueue()
    for _ in range(THREADS):
        benches.put(_make_bench(searcher, ground))
    bench = benches.get()
    calls = answers.find_calls(searcher.market, searcher.levels, bench, ground, table, case)
    benches.put(bench)
    sites, least, count, room_for = (
        one.astype(np.int64) for one in (sites, least, count, room_for)
    )

    def work(start: int) -> None:
        bench, part = benches.get(), slice(start, start + SITES_PER_TURN)
        answers.answer_each(
            calls, searcher.market, searcher.levels, bench, ground, table, case, sites[part], least[part],
            count[part], room_for[part], question, found.count[part],
            found.next_place[part], blocks.place[part], blocks.ratio[part], blocks.pair[part],
            blocks.point[part],
        )  # fmt: skip
        benches.put(bench)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(0, asked, SITES_PER_TURN)))
    return replace(found, rays=sum(int(benches.get().room.sent[0]) for _ in range(THREADS)))


def _make_bench(searcher: Searcher, ground: Grounds) -> Bench:
    market = searcher.market
    layouts = len(market.blocks.size_m)
    machines = max(int(market.blocks.running.max(initial=1)), 1)
    edges = int(np.diff(ground.edge_from).max(initial=1))
    pairs = int(np.diff(market.hearing.first).max(initial=0))
    return Bench(
        room=make_room(market.sound, searcher.longest_m),
        edge=np.empty((edges, 4)),
        stack=np.empty((STACK_CELLS, 4)),
        fit=np.zeros(layouts, dtype=np.int64),
        fit_turn=np.zeros(layouts, dtype=np.int64),
        fit_across=np.zeros(layouts, dtype=np.int64),
        fit_at=np.zeros((layouts, 2)),
        machine=np.empty((machines, 2)),
        most=np.empty(machines),
        near=np.empty((machines, NEAR_SPOTS), dtype=np.int64),
        weight=np.empty((machines, NEAR_SPOTS)),
        candidate=np.empty((CANDIDATES, CANDIDATE_COLUMNS)),
        trial=Answer(
            np.empty(PLACE_COLUMNS),
            np.empty(2),
            np.empty(2, dtype=np.int64),
            np.empty(2, dtype=np.int64),
        ),  # fmt: skip
        ranked=np.empty(RANKED_PLACES, dtype=np.int64),
        ranked_ratio=np.empty(RANKED_PLACES),
        left=np.empty(8),
        near_block=np.empty(len(market.sound.scene.wall) + 1, dtype=np.int64),
        near_point=np.empty(len(market.sound.scene.wall) + 1, dtype=np.int64),
        waiting=np.empty(pairs + 1, dtype=np.int64),
        bound=np.empty(pairs + 1),
    )
