"""An upper bound on the energy that walls can reflect from a small area to a point. Compiled.

A wall counts if a source somewhere in a circle could have a reflection there: from the receiver
mirrored at the wall, some of the circle is seen through the wall. Its reflection is at most the
open-field energy at the shortest folded distance, less what the wall absorbs. Heights and the size
that a wall needs to reflect are not looked at.
"""

from typing import NamedTuple

import numpy as np

from geo.compiled import called, inlined
from geo.propagation.by_distance import sum_left
from geo.propagation.crossings import Scratch, distance_m, list_cells_around, step_in_front
from geo.propagation.reflections import REFLECTOR_REACH_M
from geo.propagation.scene import SceneIndex

Receiver = tuple[float, float, float]
Circle = tuple[float, float, float]
MOVED_M = 0.5
"""A source at a wall is moved by less than this (see `crossings.step_in_front`)."""


class Walls(NamedTuple):
    """The walls that may reflect.

    `kept` (owners,) is the most that each owner's walls reflect of any band, as a share, and
    `near_source` are the walls near the circle (see `list_walls_near_circle`).
    """

    kept: np.ndarray
    near_source: np.ndarray


@inlined
def _to_wall_m(x0: float, y0: float, x1: float, y1: float, x: float, y: float) -> float:
    """Return the distance from a point to a wall."""
    ex, ey = x1 - x0, y1 - y0
    at = ((x - x0) * ex + (y - y0) * ey) / (ex * ex + ey * ey)
    at = min(max(at, 0.0), 1.0)
    return distance_m(x - x0 - at * ex, y - y0 - at * ey)


@called
def list_walls_near_circle(
    scene: SceneIndex, scratch: Scratch, circle: Circle, walls: np.ndarray
) -> int:
    """List the walls that are near enough to reflect for a source in a circle; return their number.

    Args:
        scene: The scene.
        scratch: The arrays to use.
        circle: The center, meters east and north of the scene's origin, and the radius in meters.
        walls: Set to the walls, each once; it must have room for all.

    Returns:
        How many walls.
    """
    count = 0
    if len(scene.wall) == 0:
        return count
    x, y = circle[0], circle[1]
    reach_m = REFLECTOR_REACH_M + circle[2] + MOVED_M
    scratch.mark[0] += 1
    mark = scratch.mark[0]
    columns = scene.shape[0]
    first, last, low, high = list_cells_around(scene, x, y, reach_m)
    for row in range(first, last + 1):
        for k in range(
            scene.cell_from[row * columns + low], scene.cell_from[row * columns + high + 1]
        ):
            w = scene.cell_wall[k]
            if scratch.wall_stamp[w] == mark:
                continue
            scratch.wall_stamp[w] = mark
            x0, y0 = scene.cell_line[k, 0], scene.cell_line[k, 1]
            x1, y1 = scene.cell_line[k, 2], scene.cell_line[k, 3]
            if _to_wall_m(x0, y0, x1, y1, x, y) <= reach_m:
                walls[count] = w
                count += 1
    return count


@inlined
def _folded_from_m(
    scene: SceneIndex,
    w: int,
    ends: tuple[float, float, float, float],
    px: float,
    py: float,
    circle: Circle,
) -> float:
    """Return the least folded distance by a wall, -1 if no source in the circle is reflected."""
    cx, cy, radius_m = circle
    x0, y0 = ends[0], ends[1]
    ex, ey = ends[2] - x0, ends[3] - y0
    # Distances to the right of the wall, times its length. Most walls face away from one or both.
    right_p = (px - x0) * ey - (py - y0) * ex
    right_c = (cx - x0) * ey - (cy - y0) * ex
    if right_p < 0 and scene.wall_owner[w] >= scene.solids:
        right_p, right_c = -right_p, -right_c
    square = ex * ex + ey * ey
    if right_p <= 0 or (right_c <= 0 and right_c * right_c >= radius_m * radius_m * square):
        return -1.0
    # In the frame of the wall: distance to its right, and along it from its beginning.
    length = np.sqrt(square)
    out_p, out_c = right_p / length, right_c / length
    at_p = ((px - x0) * ex + (py - y0) * ey) / length
    along = ((cx - x0) * ex + (cy - y0) * ey) / length - at_p
    across = out_c + out_p
    # How far the center is inside the two sides of the view from the mirrored receiver.
    if out_p * along + at_p * across < -radius_m * distance_m(at_p, out_p):
        return -1.0
    left = length - at_p
    if left * across - out_p * along < -radius_m * distance_m(left, out_p):
        return -1.0
    return max(distance_m(along, across) - radius_m, 0.0)


@inlined
def _add_wall(
    scene: SceneIndex,
    scratch: Scratch,
    walls: Walls,
    w: int,
    folded_m: float,
    table: np.ndarray,
    left: np.ndarray,
) -> float:
    """List a wall as one that may reflect, and return a bound on the energy that it does."""
    scratch.wall_stamp[w] = scratch.mark[0]
    count = scratch.reflectors[0]
    scratch.reflector[count] = w
    scratch.reflectors[0] = count + 1
    return walls.kept[scene.wall_owner[w]] * sum_left(table, left, folded_m)


@called
def bound_reflections(
    scene: SceneIndex,
    scratch: Scratch,
    walls: Walls,
    table: np.ndarray,
    left: np.ndarray,
    receiver: Receiver,
    circle: Circle,
) -> float:
    """Return a bound on the energy that walls reflect to a point from one source in a circle.

    Args:
        scene: The scene.
        scratch: The arrays to use. The walls that may reflect are listed in `reflector`, and their
            number is in `reflectors`. For other points or sources, set it back to UNKNOWN.
        walls: The walls that may reflect.
        table: Upper bounds of the energy of one path, by distance (see `by_distance`) and band.
        left: What a wall around the source leaves of each band; as many as the table has.
        receiver: Meters east and north of the scene's origin, and its height above the datum.
        circle: The center, the same, and the radius in meters.

    Returns:
        The energy.
    """
    scratch.reflectors[0] = 0
    if len(scene.wall) == 0:
        return 0.0
    px, py = step_in_front(scene, receiver[0], receiver[1], receiver[2])
    around = circle[0], circle[1], circle[2] + MOVED_M
    scratch.mark[0] += 1
    mark, total = scratch.mark[0], 0.0
    for k in range(len(walls.near_source)):
        w = walls.near_source[k]
        ends = scene.wall[w, 0], scene.wall[w, 1], scene.wall[w, 3], scene.wall[w, 4]
        folded_m = _folded_from_m(scene, w, ends, px, py, around)
        if folded_m >= 0:
            total += _add_wall(scene, scratch, walls, w, folded_m, table, left)
    columns = scene.shape[0]
    first, last, low, high = list_cells_around(scene, px, py, REFLECTOR_REACH_M)
    for row in range(first, last + 1):
        for k in range(
            scene.cell_from[row * columns + low], scene.cell_from[row * columns + high + 1]
        ):
            w = scene.cell_wall[k]
            ends = (
                scene.cell_line[k, 0], scene.cell_line[k, 1],
                scene.cell_line[k, 2], scene.cell_line[k, 3],
            )  # fmt: skip
            folded_m = _folded_from_m(scene, w, ends, px, py, around)
            if folded_m < 0 or scratch.wall_stamp[w] == mark:
                continue
            if _to_wall_m(*ends, px, py) <= REFLECTOR_REACH_M:
                total += _add_wall(scene, scratch, walls, w, folded_m, table, left)
    return total
