"""The path around one side: a rubber band in the plane of the straight line. Compiled.

The plane contains the straight line from source to receiver and a level line across it. The band
goes around the sections in that plane of the obstacles that block the straight line, and of every
further obstacle that it meets. Where source or receiver stands in a courtyard or behind a wing, so
that no band can be stretched, it is the shortest path from corner to corner that leaves the same
obstacles on the other side.

A side path is neglected if it goes more than SIDE_REACH times as far from the straight line as the
path over the top does (ISO/TR 17534-3:2015 5.2).
"""

from typing import NamedTuple

import numpy as np

from geo.propagation.compiled import inlined
from geo.propagation.crossings import (
    END_M,
    Scratch,
    cell_at,
    contains,
    distance_m,
    is_inside,
    list_crossings,
    top_at,
)
from geo.propagation.scene import SceneIndex

SIDE_REACH = 8.0
MAX_ROUNDS = 64
TOUCH_M = 0.06
"""A band touches a wall, and does not cross it, if it passes this near to one of its ends."""
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
    """Return the height of the plane at (x, y)."""
    along = (x - plane.ax) * plane.ux + (y - plane.ay) * plane.uy
    return plane.az + plane.slope * along


@inlined
def add_corner(
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
                n = add_corner(scratch, plane, n, x, y, owner, NO_WALL, every)
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
                n = add_corner(scratch, plane, n, x0, y0, owner, w, every)
        if over0 * over1 < 0:
            part = over0 / (over0 - over1)
            x, y = x0 + part * (x1 - x0), y0 + part * (y1 - y0)
            n = add_corner(scratch, plane, n, x, y, owner, NO_WALL, every)
        # The end of a barrier is not the beginning of another wall.
        if owner >= scene.solids and w == last - 1 and over1 > 0:
            n = add_corner(scratch, plane, n, x1, y1, owner, NO_WALL, every)
    return n


@inlined
def wrap_side(corner: np.ndarray, n: int, chain: np.ndarray) -> int:
    """Wrap a band around the corners of one side, from the source to the receiver.

    Return the number of points in the chain, including both ends.
    """
    chain[0] = SOURCE
    held = 1
    while chain[held - 1] != RECEIVER:
        now = chain[held - 1]
        x, y = corner[now, U], corner[now, V]
        best, bx, by = RECEIVER, corner[RECEIVER, U] - x, corner[RECEIVER, V] - y
        for k in range(2, n):
            dx, dy = corner[k, U] - x, corner[k, V] - y
            turn = bx * dy - by * dx
            near = 1e-12 * (abs(bx * dy) + abs(by * dx))
            if turn > near or (turn >= -near and dx * dx + dy * dy > bx * bx + by * by):
                best, bx, by = k, dx, dy
        chain[held] = best
        held += 1
    return held


@inlined
def drop_inner_corners(scratch: Scratch, n: int, held: int) -> int:
    """Drop the corners inside the band, which no wider band can touch; return how many are left."""
    corner = scratch.corner
    for k in range(2, n):
        corner[k, ON_BAND] = 0.0
    for k in range(1, held - 1):
        corner[scratch.chain[k], ON_BAND] = 1.0
    left = 2
    for k in range(2, n):
        if corner[k, ON_BAND] > 0:
            for column in range(COLUMNS):
                corner[left, column] = corner[k, column]
            left += 1
    return left


@inlined
def is_too_wide(corner: np.ndarray, first: int, n: int, slant: float, reach: float) -> bool:
    """Return whether an obstacle beside the straight line is wider than `reach`.

    Every path around it is too.
    """
    wide = False
    for k in range(first, n):
        wide = wide or (corner[k, V] > reach and 0 <= corner[k, U] <= slant)
    return wide


@inlined
def drop_far_corners(corner: np.ndarray, n: int, reach: float) -> int:
    """Drop the corners that are wider than `reach`; return how many are left."""
    left = 2
    for k in range(2, n):
        if abs(corner[k, V]) <= reach:
            for column in range(COLUMNS):
                corner[left, column] = corner[k, column]
            left += 1
    return left


@inlined
def touches_only(scene: SceneIndex, corner: np.ndarray, p: int, q: int) -> bool:
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
def is_leg_clear(
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
def is_tangent(scene: SceneIndex, corner: np.ndarray, p: int, q: int) -> bool:
    """Return whether a shortest path could go straight from one corner to the other."""
    return touches_only(scene, corner, p, q) and touches_only(scene, corner, q, p)


@inlined
def find_shortest_path(
    scene: SceneIndex, scratch: Scratch, plane: Plane, n: int, members: int
) -> int:
    """Find the shortest path from source to receiver around the members' corners on one side.

    This is A*: corners are settled in the order of the shortest path through them.

    Return the number of points in the chain (0: there is no path).
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
                    and is_tangent(scene, corner, now, k)
                    and is_leg_clear(scene, scratch, plane, now, k, members)
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


@inlined
def corner_distance_m(corner: np.ndarray, p: int, q: int) -> float:
    """Return the distance between two corners in the plane."""
    return distance_m(corner[q, U] - corner[p, U], corner[q, V] - corner[p, V])


@inlined
def measure_chain(corner: np.ndarray, chain: np.ndarray, held: int) -> tuple[float, float, float]:
    """Return a chain's length, its length between first and last edge, and how wide it goes."""
    length, between, wide = 0.0, 0.0, 0.0
    for k in range(1, held):
        p, q = chain[k - 1], chain[k]
        wide = max(wide, abs(corner[q, V]))
        piece = distance_m(corner[q, U] - corner[p, U], corner[q, V] - corner[p, V])
        length += piece
        if 1 < k < held - 1:
            between += piece
    return length, between, wide


@inlined
def add_member(scratch: Scratch, owner: int, members: int, u: float, v: float) -> int:
    """Append an owner, which was met at (u, v), to the members; return the number of members."""
    scratch.owner_stamp[owner] = scratch.mark[1]
    scratch.member[members] = owner
    scratch.met_at[members, 0], scratch.met_at[members, 1] = u, v
    return members + 1


@inlined
def goes_through(
    scene: SceneIndex, w: int, px: float, py: float, qx: float, qy: float, part: float
) -> bool:
    """Return whether the line from p to q goes through a wall's owner, and not only touches it.

    `part` is the share of the line before the wall. A line that passes near one end of the wall
    may touch a corner, so whether it is inside on either side of the wall decides.
    """
    dx, dy = qx - px, qy - py
    off = TOUCH_M * distance_m(dx, dy)
    first = dx * (scene.wall[w, 1] - py) - dy * (scene.wall[w, 0] - px)
    last = dx * (scene.wall[w, 4] - py) - dy * (scene.wall[w, 3] - px)
    if abs(first) > off and abs(last) > off:
        return True
    owner = scene.wall_owner[w]
    before, after = part / 2, (1 + part) / 2
    return owner < scene.solids and (
        is_inside(scene, owner, px + before * dx, py + before * dy)
        or is_inside(scene, owner, px + after * dx, py + after * dy)
    )


@inlined
def add_met_owners(
    scene: SceneIndex, scratch: Scratch, plane: Plane, held: int, rooms: int, members: int
) -> tuple[int, bool]:
    """Append the owners that the band meets to the members.

    Return the number of members, and whether the band crosses one. Only its first and its last
    piece can: a band goes around all corners of the members on its side, but not around those
    behind source or receiver on the other side.
    """
    corner, chain = scratch.corner, scratch.chain
    crosses, before = False, members
    for k in range(1, held):
        p, q = chain[k - 1], chain[k]
        # A piece that the previous band already had meets only members.
        if corner[q, BEFORE_U] == corner[p, U] and corner[q, BEFORE_V] == corner[p, V]:
            continue
        corner[q, BEFORE_U], corner[q, BEFORE_V] = corner[p, U], corner[p, V]
        px, py, qx, qy = corner[p, X], corner[p, Y], corner[q, X], corner[q, Y]
        for j in range(list_crossings(scene, scratch, px, py, qx, qy)):
            w = scratch.crossed[j]
            owner = scene.wall_owner[w]
            if contains(owner, scratch.room, rooms):
                continue
            part = scratch.along[j] / distance_m(qx - px, qy - py)
            x, y = px + part * (qx - px), py + part * (qy - py)
            if top_at(scene, w, x, y) <= level_at(plane, x, y):
                continue
            if contains(owner, scratch.member, before):
                if k in (1, held - 1):
                    crosses = crosses or goes_through(scene, w, px, py, qx, qy, part)
            elif scratch.owner_stamp[owner] != scratch.mark[1]:
                u = corner[p, U] + part * (corner[q, U] - corner[p, U])
                v = corner[p, V] + part * (corner[q, V] - corner[p, V])
                members = add_member(scratch, owner, members, u, v)
        # A piece along a wall may be inside a neighbor from end to end, crossing none of its walls.
        x, y = (px + qx) / 2, (py + qy) / 2
        cell = cell_at(scene, x, y)
        if cell >= 0:
            for j in range(scene.room_from[cell], scene.room_from[cell + 1]):
                solid = scene.room_solid[j]
                if (
                    scratch.owner_stamp[solid] != scratch.mark[1]
                    and scene.wall[scene.wall_from[solid], 2] > level_at(plane, x, y)
                    and is_inside(scene, solid, x, y)
                    and not contains(solid, scratch.room, rooms)
                ):
                    u, v = (corner[p, U] + corner[q, U]) / 2, (corner[p, V] + corner[q, V]) / 2
                    members = add_member(scratch, solid, members, u, v)
    return members, crosses


@inlined
def go_around_side(
    scene: SceneIndex,
    scratch: Scratch,
    plane: Plane,
    blocking: int,
    middle: float,
    reach: float,
    rooms: int,
) -> tuple[float, float]:
    """Return the detour and the length between edges around one side (NaN: there is no path).

    The first `blocking` owners in `scratch.blocker` block the straight line, around `middle` meters
    from the source. A path wider than `reach` is neglected.
    """
    corner = scratch.corner
    for column in range(COLUMNS):
        corner[SOURCE, column] = 0.0
        corner[RECEIVER, column] = 0.0
    corner[SOURCE, X], corner[SOURCE, Y] = plane.ax, plane.ay
    corner[RECEIVER, X], corner[RECEIVER, Y] = plane.bx, plane.by
    corner[RECEIVER, U] = plane.slant
    for k in range(2):
        corner[k, OWNER], corner[k, WALL], corner[k, BEFORE_U] = -1.0, NO_WALL, np.nan
    scratch.mark[1] += 1
    members = 0
    for k in range(blocking):
        members = add_member(scratch, scratch.blocker[k], members, middle * plane.lengthen, 0.0)
    n, done, by_corners = 2, 0, False
    for _ in range(MAX_ROUNDS):
        old = n
        for k in range(done, members):
            n = cut_section(scene, scratch, plane, scratch.member[k], n, by_corners)
        if is_too_wide(corner, old, n, plane.slant, reach):
            break
        if by_corners:
            n = drop_far_corners(corner, n, reach)
            held = find_shortest_path(scene, scratch, plane, n, members)
            if held == 0:
                break
        else:
            held = wrap_side(corner, n, scratch.chain)
        length, between, wide = measure_chain(corner, scratch.chain, held)
        if wide > reach:
            break
        done = members
        members, crosses = add_met_owners(scene, scratch, plane, held, rooms, members)
        if crosses and not by_corners:
            by_corners, n, done = True, 2, 0
        elif members == done:
            return max(length - plane.slant, 0.0), between
        elif not by_corners:
            n = drop_inner_corners(scratch, n, held)
    return np.nan, np.nan
