"""Several blocks on one parcel, where a plan allows them and one is stopped by the ground.

The first block stays where it stands best; another is looked for on the ground that it leaves, as
large as everybody's limit allows with both running, and so on. What is found is "at least": other
splits of the same machines are not tried.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import shapely

from geo.criteria.pad import ground as grounds
from geo.criteria.pad import room
from geo.equipment import block as blocks
from geo.shapes.near import gather
from geo.sizing import placement as placing
from geo.sizing.placement import Scene


@dataclass(frozen=True)
class Laid:
    """How many machines stand on each site in all, and the blocks of sites with more than one.

    `blocks` has a row per block, by site and in the order in which they were laid: the columns of
    a placement, judged with all the others of its site running.
    """

    count: np.ndarray
    blocks: pd.DataFrame


def extended(
    scene: Scene, first_n: np.ndarray, room_n: np.ndarray, roof: np.ndarray, *, worst: bool
) -> Laid:
    """Return what the sites carry with up to the plan's blocks on each.

    `first_n` machines stand in one block, whose size the ground stops at `room_n`; no more than
    `roof` are wanted.
    """
    count = first_n.copy()
    asked = np.flatnonzero((first_n > 0) & (first_n == room_n) & (first_n < roof))
    best = placing.best_place(scene, asked, first_n[asked], worst=worst)
    best = best[best["margin_db"] >= 0]
    asked, laid = asked[best.index], best.reset_index(drop=True)
    several = np.zeros(len(count), dtype=bool)
    for _ in range(1, scene.plan.pad.blocks_most):
        beside = _beside(scene, laid)
        most = np.zeros(len(count), dtype=int)
        most[asked], _ = room.most(
            grounds.chosen(beside.ground, asked), scene.generator, scene.plan
        )
        most = np.minimum(most, np.maximum(roof - count, 0))
        more, found = _largest_beside(beside, laid, asked, most, worst=worst)
        asked = asked[more[asked] > 0]
        count += more
        several |= more > 0
        laid = pd.concat([laid, found], ignore_index=True).sort_values("site", kind="stable")
        laid = laid.reset_index(drop=True)
    kept = laid[several[laid["site"]]].reset_index(drop=True)
    return Laid(count, judged_together(scene, kept, worst=worst))


def on_ground(scene: Scene, first_n: np.ndarray) -> np.ndarray:
    """Return how many machines the ground alone takes in up to the plan's blocks.

    `first_n` stand in the first, wherever it is found to fit; then as many as fit on what is left.
    """
    count, plan = first_n.copy(), scene.plan
    laid = pd.DataFrame()
    asked, last = np.flatnonzero(first_n > 0), first_n
    nowhere = np.empty(0, dtype=int), np.empty((0, 2))
    here = scene
    for _ in range(1, plan.pad.blocks_most):
        asked = asked[count[asked] < plan.cap]
        stands = room.candidates(
            here.ground, asked, last[asked], _alike, scene.generator, plan, nowhere, every=False
        )
        laid = pd.concat([laid, stands.drop_duplicates("query")], ignore_index=True)
        laid = laid.sort_values("site", kind="stable").reset_index(drop=True)
        here = _beside(scene, laid)
        last = np.zeros_like(count)
        last[asked], _ = room.most(grounds.chosen(here.ground, asked), scene.generator, plan)
        last = np.minimum(last, plan.cap - count)
        count = count + last
        asked = asked[last[asked] > 0]
    return count


def _alike(points: np.ndarray, _site: np.ndarray) -> np.ndarray:
    return np.zeros(len(points))


def judged_together(scene: Scene, laid: pd.DataFrame, *, worst: bool) -> pd.DataFrame:
    """Judge each block with the others of its site running: where its own neighbours hear it."""
    if laid.empty:
        return laid
    nth = laid.groupby("site").cumcount().to_numpy()
    tables = []
    for number in range(nth.max() + 1):
        own, others = laid[nth == number], laid[nth != number].reset_index(drop=True)
        together = replace(scene, standing=others)
        tables.append(
            placing.judged(together, own.reset_index(drop=True), worst=worst).set_axis(own.index)
        )
    found = pd.concat(tables).sort_index()
    return laid.assign(**{name: found[name] for name in found.columns})


def _beside(scene: Scene, laid: pd.DataFrame) -> Scene:
    """Return the scene with these blocks standing, and the ground that they leave."""
    ground = scene.ground
    bodies = gather(blocks.bodies(laid), laid["site"].to_numpy(), len(ground.shapes))
    taken = bodies.copy()
    taken[shapely.is_empty(bodies)] = None
    left = replace(grounds.less(ground, taken, shapely.area(bodies)), taken=ground.taken)
    return replace(scene, ground=left, standing=laid)


def _largest_beside(
    beside: Scene, laid: pd.DataFrame, asked: np.ndarray, most: np.ndarray, *, worst: bool
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the most machines of one block more that hold with all running, and where it stands.

    From the most that fit down to one, by halves: a smaller block is no louder where it stands.
    """
    below, above = np.zeros(len(most), dtype=int), most + 1
    above[np.setdiff1d(np.arange(len(most)), asked)] = 1
    kept: dict[int, pd.DataFrame] = {}
    n = most.copy()
    while True:
        some = np.flatnonzero(above - below > 1)
        if not len(some):
            break
        placed = placing.best_tried(beside, some, n[some], worst=worst)
        site = some[placed.index]
        placed = placed.reset_index(drop=True)
        together = pd.concat([laid[laid["site"].isin(site)], placed], ignore_index=True)
        together = together.sort_values("site", kind="stable").reset_index(drop=True)
        margin = judged_together(beside, together, worst=worst).groupby("site")["margin_db"].min()
        holds = np.zeros(len(most), dtype=bool)
        holds[margin.index[margin >= 0]] = True
        for number in np.flatnonzero(holds[site]):
            kept[int(site[number])] = placed.iloc[number : number + 1]
        passed = holds[some]
        below[some[passed]] = n[some[passed]]
        above[some[~passed]] = n[some[~passed]]
        n = (below + above) // 2
    found = [kept[site] for site in sorted(kept)]
    return below, pd.concat(found, ignore_index=True) if found else laid.iloc[:0]
