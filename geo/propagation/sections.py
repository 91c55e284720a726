"""Sections of obstacles in the plane of the straight line, as the corners that a path touches."""

from typing import NamedTuple

import numpy as np

from geo.compiled import inlined
from geo.propagation.crossings import Scratch, distance_m
from geo.propagation.scene import SceneIndex

# The columns of `Scratch.corner`: along and across the straight line in the plane, the place in
# plan, its owner, the corner before it on the last band, whether the band touches it, and its wall.
U, V, X, Y, OWNER, BEFORE_U, BEFORE_V, ON_BAND, WALL = range(9)
COLUMNS = 9
NO_WALL = -1.0
SOURCE, RECEIVER = 0, 1


class Plane(NamedTuple):
    """The plane of the straight line from source to receiver.

    (ax, ay, az) is the source, (bx, by) the receiver, (ux, uy) the direction in plan, `slope` the
    rise per meter in plan, `lengthen` the distance in space per meter in plan, and `side` 1 for the
    left and -1 for the right.
    """

    ax: float
    ay: float
    az: float
    bx: float
    by: float
    ux: float
    uy: float
    slope: float
    lengthen: float
    slant: float
    side: int


@inlined
def level_at(plane: Plane, x: float, y: float) -> float:
    """Return the height of the plane at (x, y).

    Args:
        plane: The plane.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.

    Returns:
        The height above the datum in meters.
    """
    along = (x - plane.ax) * plane.ux + (y - plane.ay) * plane.uy
    return plane.az + plane.slope * along


@inlined
def _add_corner(
    scratch: Scratch, plane: Plane, n: int, x: float, y: float, owner: int, w: float, every: bool
) -> int:
    """Append a corner at (x, y) if it is on this side, or if `every`; return their number."""
    dx, dy = x - plane.ax, y - plane.ay
    across = plane.side * (plane.ux * dy - plane.uy * dx)
    if across <= 0 and not every:
        return n
    corner = scratch.corner
    corner[n, U], corner[n, V] = (dx * plane.ux + dy * plane.uy) * plane.lengthen, across
    corner[n, X], corner[n, Y], corner[n, OWNER], corner[n, WALL] = x, y, owner, w
    corner[n, BEFORE_U] = np.nan
    return n + 1


@inlined
def cut_section(
    scene: SceneIndex, scratch: Scratch, plane: Plane, owner: int, n: int, every: bool
) -> int:
    """Append the corners of an owner's section in the plane; return the number of corners.

    For a solid that reaches through the plane everywhere these are the corners of its convex hull,
    or, with `every`, all corners that stick out.

    Args:
        scene: The scene.
        scratch: The arrays to use.
        plane: The plane.
        owner: The owner.
        n: The number of corners in `scratch.corner` before.
        every: Whether corners on the other side and inside the hull count too.

    Returns:
        The number of corners afterward.
    """
    first, last = scene.wall_from[owner], scene.wall_from[owner + 1]
    if owner < scene.solids:
        top = scene.wall[first, 2]
        whole = True
        for k in range(scene.hull_from[owner], scene.hull_from[owner + 1]):
            whole = whole and top > level_at(plane, scene.hull[k, 0], scene.hull[k, 1])
        if whole and not every:
            for k in range(scene.hull_from[owner], scene.hull_from[owner + 1]):
                x, y = scene.hull[k, 0], scene.hull[k, 1]
                n = _add_corner(scratch, plane, n, x, y, owner, NO_WALL, every)
            return n
    for w in range(first, last):
        x0, y0, top0, x1, y1, top1 = scene.wall[w]
        over0 = top0 - level_at(plane, x0, y0)
        over1 = top1 - level_at(plane, x1, y1)
        before = scene.wall_before[w]
        if over0 > 0:
            sticks_out = True
            if every and before >= 0:
                bx, by = scene.wall[before, 0], scene.wall[before, 1]
                sticks_out = (x0 - bx) * (y1 - y0) - (y0 - by) * (x1 - x0) > 0
            if sticks_out:
                n = _add_corner(scratch, plane, n, x0, y0, owner, w, every)
        if over0 * over1 < 0:
            part = over0 / (over0 - over1)
            x, y = x0 + part * (x1 - x0), y0 + part * (y1 - y0)
            n = _add_corner(scratch, plane, n, x, y, owner, NO_WALL, every)
        # The end of a barrier is not the beginning of another wall.
        if owner >= scene.solids and w == last - 1 and over1 > 0:
            n = _add_corner(scratch, plane, n, x1, y1, owner, NO_WALL, every)
    return n


@inlined
def corner_distance_m(corner: np.ndarray, p: int, q: int) -> float:
    """Return the distance between two corners in the plane.

    Args:
        corner: The corners, by the columns U to WALL.
        p: One corner.
        q: The other.

    Returns:
        The distance in meters.
    """
    return distance_m(corner[q, U] - corner[p, U], corner[q, V] - corner[p, V])
