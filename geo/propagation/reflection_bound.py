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
from geo.propagation.crossings import Scratch, distance_m, list_cells, step_in_front
from geo.propagation.reflections import REFLECTOR_REACH_M
from geo.propagation.scene import SceneIndex

Receiver = tuple[float, float, float]
Circle = tuple[float, float, float]
MOVED_M = 0.5
"""A source at a wall is moved by less than this (see `crossings.step_in_front`)."""


class Walls(NamedTuple):
    """The walls that may reflect.

    `kept` (owners,) is the most that each owner's walls reflect of any band, as a share;
    `near_source` are the walls near the circle (see `list_walls_near_circle`), and `near_receiver`
    is room for all walls.
    """

    kept: np.ndarray
    near_source: np.ndarray
    near_receiver: np.ndarray


@inlined
def _to_wall_m(x0: float, y0: float, x1: float, y1: float, x: float, y: float) -> float:
    """Return the distance from a point to a wall."""
    ex, ey = x1 - x0, y1 - y0
    at = ((x - x0) * ex + (y - y0) * ey) / (ex * ex + ey * ey)
    at = min(max(at, 0.0), 1.0)
    return distance_m(x - x0 - at * ex, y - y0 - at * ey)


@called
def list_walls_near(
    scene: SceneIndex, scratch: Scratch, x: float, y: float, reach_m: float, walls: np.ndarray
) -> int:
    """List the walls within a distance of a point, each once, and return their number.

    Args:
        scene: The scene.
        scratch: The arrays to use.
        x: The point, meters east of the scene's origin.
        y: The point, meters north of the scene's origin.
        reach_m: The distance.
        walls: Set to the walls; it must have room for all.

    Returns:
        How many walls.
    """
    count = 0
    if len(scene.wall) == 0:
        return count
    scratch.mark[0] += 1
    mark = scratch.mark[0]
    corner_x, corner_y, size = scene.cells_xy
    columns, rows = scene.shape
    first, last = list_cells(y - reach_m, y + reach_m, corner_y, size, rows)
    low, high = list_cells(x - reach_m, x + reach_m, corner_x, size, columns)
    for row in range(first, last + 1):
        if low > high:
            break
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
def list_walls_near_circle(
    scene: SceneIndex, scratch: Scratch, circle: Circle, walls: np.ndarray
) -> int:
    """List the walls that are near enough to reflect for a source in a circle; return their number.

    Args:
        scene: The scene.
        scratch: The arrays to use.
        circle: The center, meters east and north of the scene's origin, and the radius in meters.
        walls: Set to the walls; it must have room for all.

    Returns:
        How many walls.
    """
    reach_m = REFLECTOR_REACH_M + circle[2] + MOVED_M
    return list_walls_near(scene, scratch, circle[0], circle[1], reach_m, walls)


@inlined
def _folded_from_m(
    scene: SceneIndex, w: int, px: float, py: float, circle: Circle, radius_m: float
) -> float:
    """Return the least folded distance by a wall, -1 if no source in the circle is reflected."""
    cx, cy, _ = circle
    x0, y0 = scene.wall[w, 0], scene.wall[w, 1]
    ex, ey = scene.wall[w, 3] - x0, scene.wall[w, 4] - y0
    length = distance_m(ex, ey)
    # In the frame of the wall: distance to its right, and along it from its beginning.
    out_p = ((px - x0) * ey - (py - y0) * ex) / length
    out_c = ((cx - x0) * ey - (cy - y0) * ex) / length
    if out_p < 0 and scene.wall_owner[w] >= scene.solids:
        out_p, out_c = -out_p, -out_c
    if out_p <= 0 or out_c + radius_m <= 0:
        return -1.0
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
    px, py = step_in_front(scene, receiver[0], receiver[1], receiver[2])
    radius_m = circle[2] + MOVED_M
    near_source, near_receiver = walls.near_source, walls.near_receiver
    count = list_walls_near(scene, scratch, px, py, REFLECTOR_REACH_M, near_receiver)
    mark = scratch.mark[0]
    total, reflectors = 0.0, 0
    for k in range(count):
        w = near_receiver[k]
        folded_m = _folded_from_m(scene, w, px, py, circle, radius_m)
        if folded_m >= 0:
            scratch.reflector[reflectors] = w
            reflectors += 1
            total += walls.kept[scene.wall_owner[w]] * sum_left(table, left, folded_m)
    for k in range(len(near_source)):
        w = near_source[k]
        if scratch.wall_stamp[w] == mark and (
            _to_wall_m(
                scene.wall[w, 0], scene.wall[w, 1], scene.wall[w, 3], scene.wall[w, 4], px, py
            )
            <= REFLECTOR_REACH_M
        ):
            continue
        folded_m = _folded_from_m(scene, w, px, py, circle, radius_m)
        if folded_m >= 0:
            scratch.reflector[reflectors] = w
            reflectors += 1
            total += walls.kept[scene.wall_owner[w]] * sum_left(table, left, folded_m)
    scratch.reflectors[0] = reflectors
    return total
