"""The path around one side: a rubber band in the plane of the straight line. Compiled.

The plane contains the straight line from source to receiver and a level line across it. The band
goes around the sections in that plane of the obstacles that block the straight line, and of every
further obstacle that it meets. Where source or receiver stands in a courtyard or behind a wing, so
that the band would go through an obstacle, the path is the shortest one from corner to corner that
has the same obstacles on its other side (`corner_paths`).

A side path is neglected if it goes more than SIDE_REACH times as far from the straight line as the
path over the top does (ISO/TR 17534-3:2015 5.2).
"""

import numpy as np

from geo.compiled import inlined
from geo.propagation.corner_paths import drop_far_corners, find_shortest_path
from geo.propagation.crossings import (
    Scratch,
    contains,
    distance_m,
    is_inside,
    list_crossings,
    list_enclosing_solids,
    top_at,
)
from geo.propagation.scene import SceneIndex
from geo.propagation.sections import (
    BEFORE_U,
    BEFORE_V,
    COLUMNS,
    NO_WALL,
    ON_BAND,
    OWNER,
    RECEIVER,
    SOURCE,
    WALL,
    Plane,
    U,
    V,
    X,
    Y,
    cut_section,
    level_at,
)

SIDE_REACH = 8.0
MAX_ROUNDS = 64
SAME_PLACE_M2 = 1e-12
TOUCH_M = 0.06
"""A band touches a wall, and does not cross it, if it passes this near to one of its ends."""


@inlined
def _wrap_side(corner: np.ndarray, n: int, chain: np.ndarray) -> int:
    """Wrap a band around the corners of one side, from the source to the receiver.

    Return the number of points in the chain, including both ends; 0 if rounding, among corners at
    almost the same place, keeps it from the receiver.
    """
    chain[0] = SOURCE
    held = 1
    while chain[held - 1] != RECEIVER:
        if held == n:
            return 0
        now = chain[held - 1]
        x, y = corner[now, U], corner[now, V]
        best, bx, by = RECEIVER, corner[RECEIVER, U] - x, corner[RECEIVER, V] - y
        for k in range(2, n):
            dx, dy = corner[k, U] - x, corner[k, V] - y
            if dx * dx + dy * dy < SAME_PLACE_M2:
                continue
            turn = bx * dy - by * dx
            near = 1e-12 * (abs(bx * dy) + abs(by * dx))
            if turn > near or (turn >= -near and dx * dx + dy * dy > bx * bx + by * by):
                best, bx, by = k, dx, dy
        chain[held] = best
        held += 1
    return held


@inlined
def _drop_inner_corners(scratch: Scratch, n: int, held: int) -> int:
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
def _is_too_wide(corner: np.ndarray, first: int, n: int, slant: float, reach: float) -> bool:
    """Return whether an obstacle beside the straight line is wider than `reach`.

    Every path around it is too.
    """
    wide = False
    for k in range(first, n):
        wide = wide or (corner[k, V] > reach and 0 <= corner[k, U] <= slant)
    return wide


@inlined
def _measure_chain(corner: np.ndarray, chain: np.ndarray, held: int) -> tuple[float, float, float]:
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
def _least_detour_m(scratch: Scratch, n: int, slant: float) -> float:
    """Return the detour around the corners that are beside the straight line.

    What blocks the line reaches from there to each corner, so that every path around it is longer.
    """
    corner, beside = scratch.corner, 2
    for k in range(2, n):
        if corner[k, V] > 0 and 0 <= corner[k, U] <= slant:
            corner[beside, U], corner[beside, V] = corner[k, U], corner[k, V]
            beside += 1
    held = _wrap_side(corner, beside, scratch.chain)
    if held == 0:
        return 0.0
    length, _, _ = _measure_chain(corner, scratch.chain, held)
    return max(length - slant, 0.0)


@inlined
def _add_member(scratch: Scratch, owner: int, members: int, u: float, v: float) -> int:
    """Append an owner, which was met at (u, v), to the members; return the number of members."""
    scratch.owner_stamp[owner] = scratch.mark[1]
    scratch.member[members] = owner
    scratch.met_at[members, 0], scratch.met_at[members, 1] = u, v
    return members + 1


@inlined
def _goes_through(
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
def _add_met_owners(
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
                    crosses = crosses or _goes_through(scene, w, px, py, qx, qy, part)
            elif scratch.owner_stamp[owner] != scratch.mark[1]:
                u = corner[p, U] + part * (corner[q, U] - corner[p, U])
                v = corner[p, V] + part * (corner[q, V] - corner[p, V])
                members = _add_member(scratch, owner, members, u, v)
        # A piece along a wall may be inside a neighbor from end to end, crossing none of its walls.
        x, y = (px + qx) / 2, (py + qy) / 2
        around = list_enclosing_solids(scene, x, y, level_at(plane, x, y), scratch.room, rooms)
        for j in range(rooms, around):
            solid = scratch.room[j]
            if scratch.owner_stamp[solid] != scratch.mark[1] and not contains(
                solid, scratch.room, rooms
            ):
                u, v = (corner[p, U] + corner[q, U]) / 2, (corner[p, V] + corner[q, V]) / 2
                members = _add_member(scratch, solid, members, u, v)
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

    Args:
        scene: The scene.
        scratch: The arrays to use. The first `blocking` owners in `scratch.blocker` block the
            straight line; the first `rooms` solids in `scratch.room` do not count.
        plane: The plane of the straight line, and the side.
        blocking: The number of those owners.
        middle: The distance in plan, from the source, of the middle of what blocks the line.
        reach: The distance from the straight line beyond which a path is neglected.
        rooms: The number of those solids.

    Returns:
        The detour and the length between the first and the last edge, in meters. Where
        `scratch.roughly` is set, only what blocks the straight line is looked at: the detour may be
        too short, and there is one edge, so that the path is never screened too much.
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
        members = _add_member(scratch, scratch.blocker[k], members, middle * plane.lengthen, 0.0)
    n, done, by_corners = 2, 0, False
    for _ in range(MAX_ROUNDS):
        old = n
        for k in range(done, members):
            n = cut_section(scene, scratch, plane, scratch.member[k], n, by_corners)
        if _is_too_wide(corner, old, n, plane.slant, reach):
            break
        if scratch.roughly[0]:
            # Every further obstacle makes the path longer, and two edges screen more than one.
            return _least_detour_m(scratch, n, plane.slant), 0.0
        if by_corners:
            n = drop_far_corners(corner, n, reach)
            held = find_shortest_path(scene, scratch, plane, n, members)
            if held == 0:
                break
        else:
            held = _wrap_side(corner, n, scratch.chain)
            if held == 0:
                by_corners, n, done = True, 2, 0
                continue
        length, between, wide = _measure_chain(corner, scratch.chain, held)
        if wide > reach:
            break
        done = members
        members, crosses = _add_met_owners(scene, scratch, plane, held, rooms, members)
        if crosses and not by_corners:
            by_corners, n, done = True, 2, 0
        elif members == done:
            return max(length - plane.slant, 0.0), between
        elif not by_corners:
            n = _drop_inner_corners(scratch, n, held)
    return np.nan, np.nan
