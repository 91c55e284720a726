"""First-order reflections: where the straight line from a mirrored source meets a wall. Compiled.

A wall reflects towards points on its outer side, between the roofs and the ground in front of it
and its own top. A wall that faces a neighbor's wall, with no more than SKIN_M between, does not
reflect, and neither does one that is buried in a higher building.
"""

import numpy as np

from geo.compiled import inlined
from geo.propagation.crossings import (
    AT_WALL_M,
    UNKNOWN,
    Line,
    Scratch,
    contains,
    distance_m,
    ground_height_m,
    highest_roof_m,
    list_cells,
)
from geo.propagation.scene import SceneIndex

REFLECTOR_REACH_M = 50.0
FADE_M = 0.5
"""Nearer to a wall than this, its reflection fades, down to none at the wall: the level at a facade
is that of the incident sound. An assumption, so that a level does not jump at a facade."""
SKIN_M = 0.03
# The columns of `Scratch.mirror`.
WALL, FOLDED, TURN_X, TURN_Y, TURN_Z, SHARE, FOOT = range(7)


@inlined
def fade_in(distance_m: float) -> float:
    """Return the share of a reflection that counts at this distance from the wall."""
    return min(max((distance_m - AT_WALL_M) / (FADE_M - AT_WALL_M), 0.0), 1.0)


@inlined
def _exposed_from_m(
    scene: SceneIndex, w: int, x: float, y: float, z: float, nx: float, ny: float
) -> float:
    """Return the height above which a wall is free at (x, y), inf if it is not free at height z.

    (nx, ny) points away from the wall on the side that reflects.
    """
    owner = scene.wall_owner[w]
    foot = ground_height_m(scene, x, y)
    if owner < scene.solids:
        behind = highest_roof_m(scene, x - SKIN_M * nx, y - SKIN_M * ny, owner)
        if behind > scene.wall[w, 2]:
            return np.inf
        foot = max(foot, highest_roof_m(scene, x + SKIN_M * nx, y + SKIN_M * ny, owner))
    return foot if z > foot else np.inf


@inlined
def list_reflections(scene: SceneIndex, scratch: Scratch, line: Line, rooms: int) -> int:
    """List the reflections in `scratch.mirror`; return their number.

    Each has its wall, the folded distance in plan, the x, y and z of the turn, its share of the
    path, and the height from which the wall is free.

    Args:
        scene: The scene.
        scratch: The arrays to use. The first `rooms` solids in `scratch.room` do not reflect. Where
            it is known which walls may reflect, only those are looked at.
        line: The straight line from source to receiver.
        rooms: The number of those solids.

    Returns:
        The number of reflections.
    """
    count = 0
    if len(scene.wall) == 0:
        return count
    scratch.mark[0] += 1
    for k in range(scratch.reflectors[0]):
        w = scratch.reflector[k]
        ends = scene.wall[w, 0], scene.wall[w, 1], scene.wall[w, 3], scene.wall[w, 4]
        count = _add_reflection(scene, scratch, line, rooms, w, ends, count)
    if scratch.reflectors[0] != UNKNOWN:
        return count
    corner_x, corner_y, size = scene.cells_xy
    columns, rows = scene.shape
    for turn in range(2):
        x, y = (line.ax, line.ay) if turn == 0 else (line.bx, line.by)
        first, last = list_cells(y - REFLECTOR_REACH_M, y + REFLECTOR_REACH_M, corner_y, size, rows)
        for row in range(first, last + 1):
            away = max(corner_y + row * size - y, y - corner_y - (row + 1) * size, 0.0)
            wide = np.sqrt(max(REFLECTOR_REACH_M**2 - away**2, 0.0))
            low, high = list_cells(x - wide, x + wide, corner_x, size, columns)
            if low > high:
                continue
            for k in range(
                scene.cell_from[row * columns + low], scene.cell_from[row * columns + high + 1]
            ):
                ends = (
                    scene.cell_line[k, 0], scene.cell_line[k, 1],
                    scene.cell_line[k, 2], scene.cell_line[k, 3],
                )  # fmt: skip
                w = scene.cell_wall[k]
                count = _add_reflection(scene, scratch, line, rooms, w, ends, count)
    return count


@inlined
def _add_reflection(
    scene: SceneIndex,
    scratch: Scratch,
    line: Line,
    rooms: int,
    w: int,
    ends: tuple[float, float, float, float],
    count: int,
) -> int:
    """Append the reflection at a wall to `scratch.mirror`, if there is one; return their number."""
    ax, ay, az, bx, by, bz = line
    x0, y0, x1, y1 = ends
    ex, ey = x1 - x0, y1 - y0
    # The cross products are distances from the wall times its length, above 0 at right.
    right_a = (ax - x0) * ey - (ay - y0) * ex
    right_b = (bx - x0) * ey - (by - y0) * ex
    if right_a * right_b <= 0:
        return count
    owner = scene.wall_owner[w]
    mark = scratch.mark[0]
    if scratch.wall_stamp[w] == mark or (right_a < 0 and owner < scene.solids):
        return count
    share = right_a / (right_a + right_b)
    square = ex * ex + ey * ey
    at_a = (ax - x0) * ex + (ay - y0) * ey
    at_b = (bx - x0) * ex + (by - y0) * ey
    at = (at_a + (at_b - at_a) * share) / square
    pz = az + (bz - az) * share
    top = scene.wall[w, 2] + (scene.wall[w, 5] - scene.wall[w, 2]) * at
    length = np.sqrt(square)
    near = AT_WALL_M * length
    if at < 0 or at >= 1 or pz >= top or abs(right_a) <= near or abs(right_b) <= near:
        return count
    if not (_is_in_reach(at_a, right_a, square) or _is_in_reach(at_b, right_b, square)):
        return count
    scratch.wall_stamp[w] = mark
    px, py = x0 + at * ex, y0 + at * ey
    out = 1.0 if right_a > 0 else -1.0
    foot = np.inf
    if not contains(owner, scratch.room, rooms):
        foot = _exposed_from_m(scene, w, px, py, pz, out * ey / length, -out * ex / length)
    if foot == np.inf:
        return count
    mirror = scratch.mirror[count]
    mirror[WALL], mirror[SHARE], mirror[FOOT] = w, share, foot
    mirror[FOLDED] = distance_m(at_b - at_a, right_a + right_b) / length
    mirror[TURN_X], mirror[TURN_Y], mirror[TURN_Z] = px, py, pz
    return count + 1


@inlined
def _is_in_reach(at: float, right: float, square: float) -> bool:
    """Return whether a point is near enough to a wall, given its place times the wall's length."""
    past = max(-at, at - square, 0.0)
    return past**2 + right**2 <= REFLECTOR_REACH_M**2 * square
