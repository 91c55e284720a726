"""Put questions to the compiled search: the largest number, the quietest place, how loud."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import pandas as pd

from geo.criteria.noise.receiver_points import ReceiverPoints
from geo.criteria.noise.receptors import ReceptorPairs
from geo.criteria.noise.sound import NoiseSource
from geo.criteria.pad.ground import BuildableGround
from geo.model import Generator, Plan
from geo.propagation.one_pair import find_sender, make_room, make_sound
from geo.sizing.kernel import answers
from geo.sizing.kernel.arrays import (
    CANDIDATE_COLUMNS,
    CANDIDATES,
    NEAR_SPOTS,
    PLACE_COLUMNS,
    RANKED_PLACES,
    SPOTS_MOST,
    Answer,
    Asked,
    Bench,
    Case,
    Grounds,
    Levels,
    Market,
    Study,
    Table,
)
from geo.sizing.kernel.loudness import fill_loudness
from geo.sizing.kernel.verification import NOBODY
from geo.sizing.search_arrays import (
    arrange_blocks,
    arrange_ground,
    arrange_hearing,
    arrange_levels,
    start_tables,
)

THREADS = os.cpu_count() or 1
SITES_PER_TURN = 16
STACK_CELLS = 200


@dataclass(frozen=True)
class Searcher:
    """The compiled search over the sites of a market.

    Attributes:
        market: Who hears the sites, the source and the blocks.
        ground: The ground of each site.
        levels: Energies by distance over open ground.
        layouts: The layouts of `market.blocks`: rows, columns, length_m and width_m.
        table: The transfer table of each site, which grows with each question.
        longest_m: The farthest that a receiver point may be from a machine.
    """

    market: Market
    ground: Grounds
    levels: Levels
    layouts: pd.DataFrame
    table: Table
    longest_m: float

    def on(self, ground: Grounds) -> "Searcher":
        """Return the search over other ground."""
        return replace(self, ground=ground)


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
    `next_place` (q, 5) is the quietest place found for one more than the largest number; its layout
    is -1 where the ground has no room for it. `rays` is how many levels of one machine at one point
    the full model computed.
    """

    count: np.ndarray
    blocks: PlacedBlocks
    next_place: np.ndarray
    rays: int = 0


def make_searcher(
    pairs: ReceptorPairs,
    points: ReceiverPoints,
    ground: BuildableGround,
    sound: NoiseSource,
    generator: Generator,
    plan: Plan,
) -> Searcher:
    """Prepare the compiled search.

    Args:
        pairs: The receptors in reach of each site.
        points: Their receiver points.
        ground: The buildable ground of each site.
        sound: The sound of one machine and its surroundings.
        generator: The generator.
        plan: The plan.

    Returns:
        The search.
    """
    origin = sound.scene.index.origin
    hearing = arrange_hearing(pairs, points, sound, plan)
    blocks, layouts = arrange_blocks(generator, plan)
    longest_m = 1.0
    if len(hearing.box):
        lots, box = hearing.lot[pairs.site], hearing.box
        across = np.maximum(box[:, 2:] - lots[:, :2], lots[:, 2:] - box[:, :2])
        longest_m = float(np.hypot(*across.T).max())
    source = make_sound(
        sound.scene, sound.power_db, sound.source_height_m, sound.air_db_m, sound.edition
    )
    sender = find_sender(source, make_room(source, 0.0))
    return Searcher(
        market=Market(source, sender, hearing, blocks),
        ground=arrange_ground(ground, origin),
        levels=arrange_levels(sound),
        layouts=layouts,
        table=start_tables(ground.shapes, pairs.line, origin),
        longest_m=longest_m,
    )


def ask(
    searcher: Searcher,
    question: int,
    case: Case,
    sites: np.ndarray,
    count: np.ndarray,
    given: PlacedBlocks | None = None,
    least: np.ndarray | None = None,
    room_for: np.ndarray | None = None,
) -> Found:
    """Put a question to the search for some sites, each at most once.

    Args:
        searcher: The search.
        question: One of `kernel.answers`.
        case: What the question varies.
        sites: Positions of the sites (q,).
        count: The number of machines, or the most to try (q,).
        given: Blocks that are known (q); None: none. A known block of `count` machines that is
            inside the ground answers the question for the largest number. Only the question for
            the level at a given point reads that point and its pair (of the first kind).
        least: How many machines are known to have a place (q,), for the largest number; None: 0.
        room_for: How many machines the ground has room for (q,), for the largest number. Up to
            there, the quietest place for one more is found too. None: neither that place nor the
            levels of the block are of interest.

    Returns:
        The answers.
    """
    count, least, room_for = (
        np.zeros(len(sites), dtype=np.int64) if one is None else one.astype(np.int64)
        for one in (count, least, room_for)
    )
    blocks = no_blocks(len(sites))
    if given is not None:
        blocks = blocks.replace(np.arange(len(sites)), given)
    asked = Asked(
        sites.astype(np.int64), least, count, room_for, np.zeros_like(count),
        np.full((len(sites), PLACE_COLUMNS), -1.0), *blocks,
    )  # fmt: skip
    # Worker processes already keep every core busy.
    threads = 1 if multiprocessing.parent_process() else THREADS
    studies: SimpleQueue[Study] = SimpleQueue()
    for _ in range(threads):
        bench = _make_bench(searcher)
        parts = (searcher.market, searcher.levels, searcher.ground, searcher.table, bench)
        studies.put(answers.link(Study(*parts, find=0, verify=0), case))

    def work(start: int) -> None:
        study = studies.get()
        part = Asked(*(one[start : start + SITES_PER_TURN] for one in asked))
        answers.answer_each(study, case, question, part)
        studies.put(study)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, len(sites), SITES_PER_TURN)))
    rays = sum(int(studies.get().bench.room.sent[0]) for _ in range(threads))
    return Found(asked.found, blocks, asked.next_place, rays)


def measure_loudness(searcher: Searcher, site: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return the highest ratio (q,) of one machine in the open at points of sites.

    Args:
        searcher: The search.
        site: The site of each point (q,).
        xy: The points (q, 2), in meters from the scene's origin.

    Returns:
        The energy as a share of what the limit allows; 0 where nobody hears it.
    """
    parts = (searcher.market, searcher.levels, searcher.ground, searcher.table)
    study = Study(*parts, _make_bench(searcher), find=0, verify=0)
    loudness = np.zeros(len(xy))
    fill_loudness(study, site.astype(np.int64), np.ascontiguousarray(xy), loudness)
    return loudness


def _make_bench(searcher: Searcher) -> Bench:
    market, ground = searcher.market, searcher.ground
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
        machines=np.empty(machines),
        most=np.empty(machines),
        with_back=np.empty(machines),
        around=np.empty(SPOTS_MOST, dtype=np.int64),
        away2=np.empty(SPOTS_MOST),
        near=np.empty((machines, NEAR_SPOTS), dtype=np.int64),
        weight=np.empty((machines, NEAR_SPOTS)),
        candidate=np.empty((CANDIDATES, CANDIDATE_COLUMNS)),
        trial=Answer(
            np.empty(PLACE_COLUMNS),
            np.empty(2),
            np.empty(2, dtype=np.int64),
            np.empty(2, dtype=np.int64),
        ),
        tried=np.empty(PLACE_COLUMNS),
        nearest_place=np.empty(PLACE_COLUMNS),
        ranked=np.empty(RANKED_PLACES, dtype=np.int64),
        ranked_ratio=np.empty(RANKED_PLACES),
        left=np.empty(8),
        near_block=np.empty(len(market.sound.scene.wall) + 1, dtype=np.int64),
        waiting=np.empty(pairs + 1, dtype=np.int64),
        bound=np.empty(pairs + 1),
    )
