"""The shortest path around one side from corner to corner. Compiled.

It is needed where source or receiver stands in a courtyard or behind a wing, so that a rubber band
would go through an obstacle.
"""

import numpy as np

from geo.compiled import inlined
from geo.propagation.crossings import END_M, Scratch, distance_m, is_inside, list_crossings, top_at
from geo.propagation.scene import SceneIndex
from geo.propagation.sections import (
    COLUMNS,
    OWNER,
    RECEIVER,
    SOURCE,
    WALL,
    Plane,
    U,
    V,
    X,
    Y,
    corner_distance_m,
    level_at,
)


@inlined
def drop_far_corners(corner: np.ndarray, n: int, reach: float) -> int:
    """Drop the corners that are too far from the straight line.

    Args:
        corner: The corners, by the columns U to WALL.
        n: Their number.
        reach: The distance in meters.

    Returns:
        How many are left.
    """
    left = 2
    for k in range(2, n):
        if abs(corner[k, V]) <= reach:
            for column in range(COLUMNS):
                corner[left, column] = corner[k, column]
            left += 1
    return left


@inlined
def _touches_only(scene: SceneIndex, corner: np.ndarray, p: int, q: int) -> bool:
    """Return whether the line between two corners leaves both walls at q on the same side.

    On a shortest path, only such lines occur.
    """
    if corner[q, WALL] < 0:
        return True
    w = int(corner[q, WALL])
    before = scene.wall_before[w]
    if before < 0:
        return True
    x, y = corner[q, X], corner[q, Y]
    dx, dy = x - corner[p, X], y - corner[p, Y]
    ahead = dx * (scene.wall[w, 4] - y) - dy * (scene.wall[w, 3] - x)
    behind = dx * (scene.wall[before, 1] - y) - dy * (scene.wall[before, 0] - x)
    small = 1e-9 * (1 + distance_m(dx, dy))
    return (ahead >= -small and behind >= -small) or (ahead <= small and behind <= small)


@inlined
def _is_tangent(scene: SceneIndex, corner: np.ndarray, p: int, q: int) -> bool:
    """Return whether a shortest path could go straight from one corner to the other."""
    return _touches_only(scene, corner, p, q) and _touches_only(scene, corner, q, p)


@inlined
def _is_leg_clear(
    scene: SceneIndex, scratch: Scratch, plane: Plane, p: int, q: int, members: int
) -> bool:
    """Return whether the straight piece between two corners is clear of the members.

    The piece also may not leave a member on the wrong side: on its way to the receiver, it may not
    pass below the place (at a lower v) where the member was met.
    """
    corner = scratch.corner
    pu, pv, px, py = corner[p, U], corner[p, V], corner[p, X], corner[p, Y]
    qu, qv, qx, qy = corner[q, U], corner[q, V], corner[q, X], corner[q, Y]
    for k in range(members):
        cut, least = scratch.met_at[k, 0], scratch.met_at[k, 1] - END_M
        if pu < cut < qu and pv + (cut - pu) / (qu - pu) * (qv - pv) < least:
            return False
    length = distance_m(qx - px, qy - py)
    if length < END_M:
        return True
    for j in range(list_crossings(scene, scratch, px, py, qx, qy)):
        w = scratch.crossed[j]
        if scratch.owner_stamp[scene.wall_owner[w]] == scratch.mark[1]:
            part = scratch.along[j] / length
            x, y = px + part * (qx - px), py + part * (qy - py)
            if top_at(scene, w, x, y) > level_at(plane, x, y) + 1e-9:
                return False
    along_wall = -1
    for one, other in ((p, q), (q, p)):
        w = corner[other, WALL]
        if w >= 0 and corner[one, WALL] >= 0 and scene.wall_before[int(w)] == corner[one, WALL]:
            along_wall = int(corner[one, OWNER])
    x, y = (px + qx) / 2, (py + qy) / 2
    level = level_at(plane, x, y)
    for k in range(members):
        owner = scratch.member[k]
        if owner < scene.solids and owner != along_wall:
            top = scene.wall[scene.wall_from[owner], 2]
            if top > level + 1e-9 and is_inside(scene, owner, x, y):
                return False
    return True


@inlined
def find_shortest_path(
    scene: SceneIndex, scratch: Scratch, plane: Plane, n: int, members: int
) -> int:
    """Find the shortest path from source to receiver around the members' corners on one side.

    This is A*: corners are settled in the order of the shortest path through them.

    Args:
        scene: The scene.
        scratch: The arrays to use; the path is in `scratch.chain`.
        plane: The plane.
        n: The number of corners.
        members: The number of owners in `scratch.member`.

    Returns:
        The number of points on the path, including both ends; 0 if there is no path.
    """
    corner = scratch.corner
    way, came, settled = scratch.way_m, scratch.came_from, scratch.settled
    for k in range(n):
        way[k], came[k], settled[k] = np.inf, -1, False
    way[SOURCE] = 0.0
    while True:
        now, least = -1, np.inf
        for k in range(n):
            if not settled[k] and way[k] < np.inf:
                whole = way[k] + corner_distance_m(corner, k, RECEIVER)
                if whole < least:
                    now, least = k, whole
        if now < 0:
            return 0
        settled[now] = True
        if now == RECEIVER:
            break
        for k in range(n):
            if not settled[k]:
                other = way[now] + corner_distance_m(corner, now, k)
                if (
                    other < way[k]
                    and _is_tangent(scene, corner, now, k)
                    and _is_leg_clear(scene, scratch, plane, now, k, members)
                ):
                    way[k], came[k] = other, now
    held = 1
    at = RECEIVER
    while at != SOURCE:
        held += 1
        at = came[at]
    at = RECEIVER
    for k in range(held - 1, -1, -1):
        scratch.chain[k] = at
        at = came[at]
    return held
