"""Straight facades: walls of several houses that continue each other reflect as one surface."""

import numpy as np
import shapely

from geo.propagation.footprints import DIGITIZING_M, UNDER_M

STEP_M = 0.5
"""A facade goes on where the next roof is at most this much lower."""


def measure_facades(wall: np.ndarray, owner: np.ndarray, solids: int) -> np.ndarray:
    """Return the length of the straight facade that each wall belongs to.

    Two houses of 6 m, the second one 20 cm higher, stand in a row along the x axis:

    >>> wall = np.array([[0.0, 0, 8, 6, 0, 8], [6, 0, 8.2, 12, 0, 8.2]])
    >>> measure_facades(wall, np.array([0, 1]), 2).tolist()
    [12.0, 12.0]

    Args:
        wall: x0, y0, top0, x1, y1 and top1 of each wall, meters (W, 6).
        owner: The owner of each wall (W,).
        solids: The number of solids, which are the first owners; the others are barriers, whose
            walls are facades of their own.

    Returns:
        The lengths in meters (W,).
    """
    along = wall[:, 3:5] - wall[:, :2]
    length = np.hypot(*along.T)
    ahead = _next_walls(wall, along / length[:, None], owner, solids)
    behind = np.full(len(wall), -1)
    follows = np.flatnonzero(ahead >= 0)
    behind[ahead[follows]] = follows
    total = length.copy()
    for step in (ahead, behind):
        at, reached = np.arange(len(wall)), step
        while (reached >= 0).any():
            on = (reached >= 0) & (wall[reached, 2] >= wall[at, 2] - STEP_M)
            at, reached = at[on], reached[on]
            total[at] += length[reached]
            reached = step[reached]
    return np.asarray(total)


def _next_walls(
    wall: np.ndarray, direction: np.ndarray, owner: np.ndarray, solids: int
) -> np.ndarray:
    """Return the wall of another solid that continues each wall beyond its end, or -1."""
    after = np.full(len(wall), -1)
    near = UNDER_M + 2 * DIGITIZING_M
    begin, end = shapely.points(wall[:, :2]), shapely.points(wall[:, 3:5])
    one, other = shapely.STRtree(begin).query(end, predicate="dwithin", distance=near)
    of_two = (owner[one] != owner[other]) & (owner[one] < solids) & (owner[other] < solids)
    one, other = one[of_two], other[of_two]
    gap = wall[other, 3:5] - wall[one, 3:5]
    aside = np.abs(direction[one, 0] * gap[:, 1] - direction[one, 1] * gap[:, 0])
    forward = (direction[one] * gap).sum(axis=1) > 0
    straight = (
        forward
        & (aside <= 2 * DIGITIZING_M)
        & ((direction[one] * direction[other]).sum(axis=1) > 0)
    )
    after[one[straight]] = other[straight]
    return after
