"""The paths of sound: straight, over the top, around both sides, and back from walls.

ISO 9613-2:1996 clauses 7.4 and 7.5 with ISO/TR 17534-3:2015 clauses 5.2 to 5.8. A compiled kernel
finds the paths of one pair after another. Pairs are independent, so any division of them gives the
same result.

- Over the top: a rubber band in the vertical plane through source and receiver, over every wall in
  it and over the ground between.
- Around the sides: a rubber band in the plane of the straight line and a level line across it,
  around the sections in that plane of the obstacles and of every further obstacle that the band
  meets; from inside a courtyard, the shortest path out on that side. A side path is neglected if it
  goes more than SIDE_REACH times as far from the straight line as the top does (TR 5.2), and there
  is none where the ground itself rises above the straight line (TR 5.8).
- Back from walls: first order only, over the top of obstacles in either leg, never around sides.

The functions of the kernel are inlined, because a call would count references to the scene's
arrays, and two threads would slow each other down (35 instead of 15 microseconds per pair).

The module is over 400 lines long; it will be split when the noise engine is reworked.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from geo.propagation.scene import Scene, SceneIndex

SIDE_REACH = 8.0
"""TR 5.2. The tables of T08 and T09 themselves include side paths 87 and 16 times as far, which
changes 0.03 and 0.09 dB at 63 Hz; the table of T10 neglects one 9 times as far."""
REFLECTOR_REACH_M = 50.0
MAX_REFLECTIONS = 3
AT_WALL_M = 0.01
"""A source or receiver this near to a wall stands at it: the wall neither screens nor reflects, so
that a receiver at a facade has the level of the incident sound."""
MAX_ROUNDS = 32
MAX_ENCLOSING = 8
MAX_CORNERS = 24
"""With more corners than this, no path around a side is searched from a courtyard."""

TOP_Z, TOP_BEFORE, TOP_BETWEEN, TOP_AFTER = range(4)
LEFT_Z, LEFT_BETWEEN, RIGHT_Z, RIGHT_BETWEEN = range(4, 8)
PLAN, SLANT, GROUND_MEAN, START, END = range(8, 13)
DIRECT_COLUMNS = 13
BACK_Z, BACK_BEFORE, BACK_BETWEEN, BACK_AFTER = range(4)
BACK_PLAN, BACK_SLANT, BACK_MEAN, BACK_X, BACK_Y = range(4, 9)
BACK_SIZE, TO_WALL, FROM_WALL = range(9, 12)
BACK_COLUMNS = 12


@dataclass(frozen=True)
class Paths:
    """The paths of P pairs, lengths in meters; NaN where there is no such path.

    Attributes:
        direct: By the columns TOP_Z to END (P, 13): over the top, the detour, first leg, length
            between first and last edge, and last leg; around left and right, the detour and length
            between edges; distance in plan and in space; mean height of the ground; heights of
            source and receiver.
        back: By the columns BACK_Z to FROM_WALL (P, 3, 12): the same over the top and along the
            folded path, where it turns, the wall's smaller dimension as seen along the path, and
            the distances to and from the wall.
        wall_owner: The owner of the wall (P, 3); -1 for none.
    """

    direct: np.ndarray
    back: np.ndarray
    wall_owner: np.ndarray


def find_paths(
    source: np.ndarray,
    receiver: np.ndarray,
    scene: Scene,
    screen: tuple[np.ndarray, float] | None = None,
) -> Paths:
    """Find the paths between sources and receivers.

    For example, from (0, 0, 1) to (20, 0, 1) over a 5 m wall halfway, the detour is
    z = 2 sqrt(100 + 16) - 20 = 1.54 m.

    Args:
        source: x, y and height above the ground, meters (P, 3).
        receiver: The same for the receivers (P, 3).
        scene: Buildings, barriers, terrain and ground.
        screen: A closed wall around each source, as the plan distance from the source (P,) and the
            height above the source's ground: one more edge over the top. None: no wall.

    Returns:
        The paths of every pair.
    """
    count = len(source)
    away, height = (np.full(count, np.nan), 0.0) if screen is None else screen
    direct = np.full((count, DIRECT_COLUMNS), np.nan)
    back = np.full((count, MAX_REFLECTIONS, BACK_COLUMNS), np.nan)
    owner = np.full((count, MAX_REFLECTIONS), -1)
    a, b = (np.array(one, dtype=float) for one in (source, receiver))
    a[:, :2] -= scene.index.origin
    b[:, :2] -= scene.index.origin
    away = np.ascontiguousarray(np.broadcast_to(away, count), dtype=float)
    _find_paths(scene.index, a, b, away, float(height), direct, back, owner)
    back[..., BACK_X] += scene.index.origin[0]
    back[..., BACK_Y] += scene.index.origin[1]
    return Paths(direct, back, owner)


def is_enclosed(points: np.ndarray, scene: Scene) -> np.ndarray:
    """Return which points (P, 3), z above the ground, are inside a solid and below its roof.

    Such a solid neither screens nor reflects for pairs with that point.
    """
    inside = np.zeros(len(points), dtype=bool)
    local = np.array(points, dtype=float)
    local[:, :2] -= scene.index.origin
    _mark_enclosed(scene.index, local, inside)
    return inside


@njit(nogil=True, cache=True)
def _mark_enclosed(scene: SceneIndex, points: np.ndarray, inside: np.ndarray) -> None:
    rooms = np.empty(MAX_ENCLOSING, dtype=np.int64)
    for k in range(len(points)):
        x, y = points[k, 0], points[k, 1]
        inside[k] = (
            _list_enclosing_solids(
                scene, x, y, _ground_height_m(scene, x, y) + points[k, 2], rooms, 0
            )
            > 0
        )


@njit(nogil=True, cache=True)
def _find_paths(
    scene: SceneIndex,
    source: np.ndarray,
    receiver: np.ndarray,
    screen_m: np.ndarray,
    screen_height_m: float,
    direct: np.ndarray,
    back: np.ndarray,
    owner: np.ndarray,
) -> None:
    walls, owners = len(scene.wall), len(scene.vertex_from) - 1
    stamp = np.zeros(walls, dtype=np.int64)
    mark = 0
    longest = 0.0
    for k in range(len(source)):
        span = np.hypot(receiver[k, 0] - source[k, 0], receiver[k, 1] - source[k, 1])
        longest = max(longest, span)
    samples = 0
    if scene.terrain.size:
        samples = int((longest + 4 * REFLECTOR_REACH_M) / scene.step_m) + 8
    crossed = np.empty(walls + 1, dtype=np.int64)
    along = np.empty(walls + 1)
    profile = np.empty((2 * walls + samples + 8, 2))
    points = np.empty((2 * len(scene.vertex) + 2, 8))
    chain = np.empty(2 * len(scene.vertex) + 4, dtype=np.int64)
    members = np.empty(owners + 1, dtype=np.int64)
    blockers = np.empty(owners + 1, dtype=np.int64)
    member_of = np.zeros(owners + 1, dtype=np.int64)
    group = 0
    rooms = np.empty(2 * MAX_ENCLOSING, dtype=np.int64)
    best = np.empty((MAX_REFLECTIONS, 5))
    best_wall = np.empty(MAX_REFLECTIONS, dtype=np.int64)
    for k in range(len(source)):
        ax, ay = source[k, 0], source[k, 1]
        bx, by = receiver[k, 0], receiver[k, 1]
        start, end = _ground_height_m(scene, ax, ay), _ground_height_m(scene, bx, by)
        az, bz = start + source[k, 2], end + receiver[k, 2]
        plan = np.hypot(bx - ax, by - ay)
        slant = np.sqrt(plan**2 + (bz - az) ** 2)
        direct[k, PLAN], direct[k, SLANT] = plan, slant
        direct[k, START], direct[k, END] = az, bz
        n_rooms = _list_enclosing_solids(scene, ax, ay, az, rooms, 0)
        n_rooms = _list_enclosing_solids(scene, bx, by, bz, rooms, n_rooms)
        skip = rooms[:n_rooms]

        mark += 1
        n, blocking, hill, mean = _profile_leg(
            scene,
            ax,
            ay,
            az,
            bx,
            by,
            bz,
            0.0,
            skip,
            stamp,
            mark,
            crossed,
            along,
            profile,
            0,
            blockers,
        )
        direct[k, GROUND_MEAN] = mean
        middle, high = 0.0, 0.0
        if blocking:
            # Before the screen is added: the source's own wall must not widen the side reach.
            for j in range(n):
                above = profile[j, 1] - az - (bz - az) * profile[j, 0] / plan
                high = max(high, above * plan / slant)
            middle = (profile[:n, 0].min() + profile[:n, 0].max()) / 2
        if 0 < screen_m[k] < plan:
            top = start + screen_height_m
            if top > az + (bz - az) * screen_m[k] / plan:
                profile[n, 0], profile[n, 1] = screen_m[k], top
                n += 1
        if n:
            before, between, after = _stretch_band(profile, n, az, bz, plan)
            direct[k, TOP_Z] = before + between + after - slant
            direct[k, TOP_BEFORE], direct[k, TOP_BETWEEN], direct[k, TOP_AFTER] = (
                before, between, after,
            )  # fmt: skip
            if blocking and not hill:
                for side in (1, -1):
                    group += 1
                    n_members = 0
                    for j in range(blocking):
                        if member_of[blockers[j]] != group:
                            member_of[blockers[j]] = group
                            members[n_members] = blockers[j]
                            n_members += 1
                    mark, detour, apart = _path_around_side(
                        scene, ax, ay, az, bx, by, bz, plan, slant, side,
                        middle, SIDE_REACH * high, skip, stamp, mark, crossed, along,
                        points, chain, members, n_members, member_of, group,
                    )  # fmt: skip
                    if side == 1:
                        direct[k, LEFT_Z], direct[k, LEFT_BETWEEN] = detour, apart
                    else:
                        direct[k, RIGHT_Z], direct[k, RIGHT_BETWEEN] = detour, apart

        mark += 1
        reflector_count = _nearest_reflectors(
            scene, ax, ay, az, bx, by, bz, skip, stamp, mark, best, best_wall
        )
        for j in range(reflector_count):
            px, py, pz = best[j, 1], best[j, 2], best[j, 3]
            folded, share = best[j, 0], best[j, 4]
            mark += 1
            n, _, _, first = _profile_leg(
                scene,
                ax,
                ay,
                az,
                px,
                py,
                pz,
                0.0,
                skip,
                stamp,
                mark,
                crossed,
                along,
                profile,
                0,
                blockers,
            )
            mark += 1
            n, _, _, second = _profile_leg(
                scene, px, py, pz, bx, by, bz, folded * share, skip, stamp, mark, crossed, along,
                profile, n, blockers,
            )  # fmt: skip
            if 0 < screen_m[k] < folded:
                top = start + screen_height_m
                if top > az + (bz - az) * screen_m[k] / folded:
                    profile[n, 0], profile[n, 1] = screen_m[k], top
                    n += 1
            length = np.sqrt(folded**2 + (bz - az) ** 2)
            if n:
                before, between, after = _stretch_band(profile, n, az, bz, folded)
                back[k, j, BACK_Z] = before + between + after - length
                back[k, j, BACK_BEFORE], back[k, j, BACK_BETWEEN], back[k, j, BACK_AFTER] = (
                    before, between, after,
                )  # fmt: skip
            w = best_wall[j]
            x0, y0, top0, x1, y1, top1 = scene.wall[w]
            breadth = np.hypot(x1 - x0, y1 - y0)
            at = np.hypot(px - x0, py - y0) / breadth
            tall = top0 + (top1 - top0) * at - _ground_height_m(scene, px, py)
            deep = np.sqrt(
                max(folded**2 - _distance_along_wall(ax, ay, bx, by, x0, y0, x1, y1) ** 2, 0.0)
            )
            back[k, j, BACK_PLAN], back[k, j, BACK_SLANT] = folded, length
            back[k, j, BACK_MEAN] = first * share + second * (1 - share)
            back[k, j, BACK_X], back[k, j, BACK_Y] = px, py
            # Only the wall's length is foreshortened, so that T19 reflects from 500 Hz up.
            back[k, j, BACK_SIZE] = min(breadth * deep / length, tall)
            back[k, j, TO_WALL], back[k, j, FROM_WALL] = length * share, length * (1 - share)
            owner[k, j] = scene.wall_owner[w]


@njit(nogil=True, cache=True, forceinline=True)
def _distance_along_wall(
    ax: float, ay: float, bx: float, by: float, x0: float, y0: float, x1: float, y1: float
) -> float:
    """Return the distance from a to b, measured along the wall."""
    return ((bx - ax) * (x1 - x0) + (by - ay) * (y1 - y0)) / np.hypot(x1 - x0, y1 - y0)


@njit(nogil=True, cache=True, forceinline=True)
def _ground_height_m(scene: SceneIndex, x: float, y: float) -> float:
    """Return the ground's height: bilinear between cell centers, constant beyond the outermost."""
    if scene.terrain.size == 0:
        return 0.0
    rows, cols = scene.terrain.shape
    t = scene.to_terrain
    col = min(max(t[0] * x + t[1] * y + t[2], 0.0), cols - 1.0)
    row = min(max(t[3] * x + t[4] * y + t[5], 0.0), rows - 1.0)
    left, upper = int(col), int(row)
    right, lower = min(left + 1, cols - 1), min(upper + 1, rows - 1)
    u, v = col - left, row - upper
    above = scene.terrain[upper, left] * (1 - u) + scene.terrain[upper, right] * u
    below = scene.terrain[lower, left] * (1 - u) + scene.terrain[lower, right] * u
    return above * (1 - v) + below * v


@njit(nogil=True, cache=True, forceinline=True)
def _list_enclosing_solids(
    scene: SceneIndex, x: float, y: float, z: float, rooms: np.ndarray, n: int
) -> int:
    """Append the solids that contain the point below their roofs; return the number in `rooms`."""
    corner_x, corner_y, size = scene.cells_xy
    col, row = int(np.floor((x - corner_x) / size)), int(np.floor((y - corner_y) / size))
    if col < 0 or row < 0 or col >= scene.shape[0] or row >= scene.shape[1]:
        return n
    cell = row * scene.shape[0] + col
    most = n + MAX_ENCLOSING
    for k in range(scene.room_from[cell], scene.room_from[cell + 1]):
        solid = scene.room_solid[k]
        box = scene.box[solid]
        if x <= box[0] or x >= box[2] or y <= box[1] or y >= box[3]:
            continue
        if z >= scene.vertex[scene.vertex_from[solid], 2] or n == most:
            continue
        inside = False
        clear = True
        for w in range(scene.wall_from[solid], scene.wall_from[solid + 1]):
            x0, y0, x1, y1 = (
                scene.wall[w, 0],
                scene.wall[w, 1],
                scene.wall[w, 3],
                scene.wall[w, 4],
            )
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
                inside = not inside
            length = np.hypot(x1 - x0, y1 - y0)
            at = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
            off = abs((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length
            if off < AT_WALL_M and -AT_WALL_M < at < length + AT_WALL_M:
                clear = False
        if inside and clear:
            rooms[n] = solid
            n += 1
    return n


@njit(nogil=True, cache=True, forceinline=True)
def _crossings(
    scene: SceneIndex,
    ax: float,
    ay: float,
    bx: float,
    by: float,
    stamp: np.ndarray,
    mark: int,
    crossed: np.ndarray,
    along: np.ndarray,
) -> int:
    """List the walls that the piece from a to b crosses, and how far along; return their number."""
    n = 0
    if len(scene.wall) == 0:
        return n
    corner_x, corner_y, size = scene.cells_xy
    columns, rows = scene.shape
    dx, dy = bx - ax, by - ay
    length = np.hypot(dx, dy)
    if length <= 2 * AT_WALL_M:
        return n
    low = max(0, int(np.floor((min(ax, bx) - 1e-6 - corner_x) / size)))
    high = min(columns - 1, int(np.floor((max(ax, bx) + 1e-6 - corner_x) / size)))
    for col in range(low, high + 1):
        ya, yb = ay, by
        if abs(dx) > 1e-6:
            left = corner_x + col * size
            ya = ay + min(max((left - ax) / dx, 0.0), 1.0) * dy
            yb = ay + min(max((left + size - ax) / dx, 0.0), 1.0) * dy
        first = max(0, int(np.floor((min(ya, yb) - 1e-6 - corner_y) / size)))
        last = min(rows - 1, int(np.floor((max(ya, yb) + 1e-6 - corner_y) / size)))
        for row in range(first, last + 1):
            cell = row * columns + col
            for k in range(scene.cell_from[cell], scene.cell_from[cell + 1]):
                w = scene.cell_wall[k]
                if stamp[w] == mark:
                    continue
                stamp[w] = mark
                x0, y0 = scene.wall[w, 0], scene.wall[w, 1]
                ex, ey = scene.wall[w, 3] - x0, scene.wall[w, 4] - y0
                across = dx * ey - dy * ex
                if across == 0:
                    continue
                t = ((x0 - ax) * ey - (y0 - ay) * ex) / across * length
                u = ((x0 - ax) * dy - (y0 - ay) * dx) / across
                if 0 <= u <= 1 and AT_WALL_M < t < length - AT_WALL_M:
                    crossed[n], along[n] = w, t
                    n += 1
    return n


@njit(nogil=True, cache=True, forceinline=True)
def _top_at(scene: SceneIndex, w: int, x: float, y: float) -> float:
    """Return the height of a wall's upper edge at (x, y)."""
    x0, y0, top0, x1, y1, top1 = scene.wall[w]
    if top0 == top1:
        return top0
    ex, ey = x1 - x0, y1 - y0
    return top0 + (top1 - top0) * ((x - x0) * ex + (y - y0) * ey) / (ex**2 + ey**2)


@njit(nogil=True, cache=True, forceinline=True)
def _contains(one: int, many: np.ndarray) -> bool:
    contained = False
    for k in range(len(many)):
        contained = contained or many[k] == one
    return contained


@njit(nogil=True, cache=True, forceinline=True)
def _profile_leg(
    scene: SceneIndex,
    ax: float,
    ay: float,
    az: float,
    bx: float,
    by: float,
    bz: float,
    offset: float,
    skip: np.ndarray,
    stamp: np.ndarray,
    mark: int,
    crossed: np.ndarray,
    along: np.ndarray,
    profile: np.ndarray,
    n: int,
    blockers: np.ndarray,
) -> tuple[int, int, bool, float]:
    """Append to the profile the points above the line from a to b; a is `offset` from the source.

    Return the number of points in the profile, the number of owners whose walls block the line
    (listed in `blockers`), whether the ground blocks it, and the ground's mean height.
    """
    length = np.hypot(bx - ax, by - ay)
    slope = (bz - az) / length if length > 0 else 0.0
    blocking = 0
    for k in range(_crossings(scene, ax, ay, bx, by, stamp, mark, crossed, along)):
        w, t = crossed[k], along[k]
        part = t / length
        top = _top_at(scene, w, ax + part * (bx - ax), ay + part * (by - ay))
        owner = scene.wall_owner[w]
        if top > az + slope * t and not _contains(owner, skip):
            profile[n, 0], profile[n, 1] = offset + t, top
            n += 1
            if blocking == 0 or blockers[blocking - 1] != owner:
                known = False
                for j in range(blocking):
                    known = known or blockers[j] == owner
                if not known:
                    blockers[blocking] = owner
                    blocking += 1
    if scene.terrain.size == 0:
        return n, blocking, False, 0.0
    hill = False
    steps = int(np.ceil(length / scene.step_m))
    last = _ground_height_m(scene, ax, ay)
    area = last
    for k in range(1, steps + 1):
        part = k / steps
        ground = _ground_height_m(scene, ax + part * (bx - ax), ay + part * (by - ay))
        area += 2 * ground
        last = ground
        if k < steps and ground > az + slope * part * length:
            profile[n, 0], profile[n, 1] = offset + part * length, ground
            n += 1
            hill = True
    mean = (area - last) / (2 * steps) if steps else last
    return n, blocking, hill, mean


@njit(nogil=True, cache=True, forceinline=True)
def _stretch_band(
    profile: np.ndarray, n: int, az: float, bz: float, plan: float
) -> tuple[float, float, float]:
    """Stretch a rubber band over the profile, all of which lies above the straight line.

    Return its length to the first edge, between the first and the last, and after the last.
    """
    for i in range(1, n):
        t, z = profile[i, 0], profile[i, 1]
        j = i - 1
        while j >= 0 and (profile[j, 0] > t or (profile[j, 0] == t and profile[j, 1] > z)):
            profile[j + 1, 0], profile[j + 1, 1] = profile[j, 0], profile[j, 1]
            j -= 1
        profile[j + 1, 0], profile[j + 1, 1] = t, z
    held = 0
    for i in range(n):
        t, z = profile[i, 0], profile[i, 1]
        while held > 0:
            before_t, before_z = 0.0, az
            if held > 1:
                before_t, before_z = profile[held - 2, 0], profile[held - 2, 1]
            last_t, last_z = profile[held - 1, 0], profile[held - 1, 1]
            turn = (last_t - before_t) * (z - before_z) - (last_z - before_z) * (t - before_t)
            if turn < 0:
                break
            held -= 1
        profile[held, 0], profile[held, 1] = t, z
        held += 1
    while held > 1:
        before_t, before_z = profile[held - 2, 0], profile[held - 2, 1]
        last_t, last_z = profile[held - 1, 0], profile[held - 1, 1]
        turn = (last_t - before_t) * (bz - before_z) - (last_z - before_z) * (plan - before_t)
        if turn < 0:
            break
        held -= 1
    between = 0.0
    for i in range(1, held):
        between += np.hypot(profile[i, 0] - profile[i - 1, 0], profile[i, 1] - profile[i - 1, 1])
    before = np.hypot(profile[0, 0], profile[0, 1] - az)
    after = np.hypot(plan - profile[held - 1, 0], bz - profile[held - 1, 1])
    return before, between, after


@njit(nogil=True, cache=True, forceinline=True)
def _cut_section(
    scene: SceneIndex,
    owner: int,
    ax: float,
    ay: float,
    az: float,
    ux: float,
    uy: float,
    slope: float,
    lengthen: float,
    side: int,
    points: np.ndarray,
    n: int,
) -> int:
    """Append the corners of an owner's section in the tilted plane, each as (u, v, x, y, owner).

    u is along the straight line and v across it, in the plane; x and y are the place in plan.
    """
    first, last = scene.vertex_from[owner], scene.vertex_from[owner + 1]
    before = 0.0
    for k in range(first, last):
        x, y, top = scene.vertex[k]
        t = (x - ax) * ux + (y - ay) * uy
        over = top - (az + slope * t)
        if k > first and over * before < 0:
            part = before / (before - over)
            px = scene.vertex[k - 1, 0] + part * (x - scene.vertex[k - 1, 0])
            py = scene.vertex[k - 1, 1] + part * (y - scene.vertex[k - 1, 1])
            points[n, 0] = ((px - ax) * ux + (py - ay) * uy) * lengthen
            points[n, 1] = side * (ux * (py - ay) - uy * (px - ax))
            points[n, 2], points[n, 3], points[n, 4] = px, py, owner
            n += 1
        if over > 0:
            points[n, 0] = t * lengthen
            points[n, 1] = side * (ux * (y - ay) - uy * (x - ax))
            points[n, 2], points[n, 3], points[n, 4] = x, y, owner
            n += 1
        before = over
    return n


@njit(nogil=True, cache=True, forceinline=True)
def _wrap_side(points: np.ndarray, n: int, chain: np.ndarray) -> int:
    """Wrap a band around one side, from point 0 (source) to point 1 (receiver).

    Return the number of points in the chain, including both ends; 0 where no band can be stretched
    because one of the ends lies within the hull.
    """
    chain[0] = 0
    held = 1
    while chain[held - 1] != 1:
        now = chain[held - 1]
        x, y = points[now, 0], points[now, 1]
        best = -1
        for k in range(n):
            dx, dy = points[k, 0] - x, points[k, 1] - y
            if dx * dx + dy * dy < 1e-12:
                continue
            if best < 0:
                best = k
                continue
            bx, by = points[best, 0] - x, points[best, 1] - y
            turn = bx * dy - by * dx
            near = 1e-12 * (abs(bx * dy) + abs(by * dx))
            if turn > near or (turn >= -near and dx * dx + dy * dy > bx * bx + by * by):
                best = k
        if best <= 0 or held >= n:
            return 0
        bx, by = points[best, 0] - x, points[best, 1] - y
        # From a point within the hull, no line has all other points on one side.
        for k in range(n if held == 1 else 0):
            dx, dy = points[k, 0] - x, points[k, 1] - y
            if bx * dy - by * dx > 1e-9 * (1 + abs(bx * dy) + abs(by * dx)):
                return 0
        chain[held] = best
        held += 1
    return held


@njit(nogil=True, cache=True, forceinline=True)
def _drop_inner_points(
    points: np.ndarray, n: int, chain: np.ndarray, held: int, slant: float
) -> int:
    """Drop the points inside the band, which no wider band can touch; return how many are left.

    Keep points across the line behind source or receiver: they may still close a hull around them.
    """
    points[:n, 7] = 0.0
    for k in range(held):
        points[chain[k], 7] = 1.0
    left = 0
    for k in range(n):
        behind = points[k, 1] < 0 and (points[k, 0] < 0 or points[k, 0] > slant)
        if points[k, 7] > 0 or behind:
            points[left] = points[k]
            left += 1
    return left


@njit(nogil=True, cache=True)
def _is_leg_clear(
    scene: SceneIndex,
    p: int,
    q: int,
    az: float,
    slope: float,
    lengthen: float,
    cut: float,
    stamp: np.ndarray,
    mark: int,
    crossed: np.ndarray,
    along: np.ndarray,
    points: np.ndarray,
    members: np.ndarray,
    n_members: int,
    member_of: np.ndarray,
    group: int,
) -> bool:
    """Return whether the straight piece between two corners is clear of the members.

    The piece also may not cross the other side of the straight line where that is blocked (u =
    `cut`, v < 0), so that the path stays on its own side.
    """
    pu, pv, px, py = points[p, 0], points[p, 1], points[p, 2], points[p, 3]
    qu, qv, qx, qy = points[q, 0], points[q, 1], points[q, 2], points[q, 3]
    if (pu - cut) * (qu - cut) < 0 and pv + (cut - pu) / (qu - pu) * (qv - pv) < 0:
        return False
    length = np.hypot(qx - px, qy - py)
    if length == 0:  # the last corner of a ring is also its first
        return True
    for j in range(_crossings(scene, px, py, qx, qy, stamp, mark, crossed, along)):
        w = crossed[j]
        if member_of[scene.wall_owner[w]] == group:
            part = along[j] / length
            level = az + slope * (pu + part * (qu - pu)) / lengthen
            top = _top_at(scene, w, px + part * (qx - px), py + part * (qy - py))
            if top > level + 1e-9:
                return False
    if points[p, 4] == points[q, 4] and abs(p - q) == 1:
        return True
    x, y = (px + qx) / 2, (py + qy) / 2
    level = az + slope * (pu + qu) / 2 / lengthen
    for k in range(n_members):
        owner = members[k]
        if owner >= scene.solids or scene.vertex[scene.vertex_from[owner], 2] <= level + 1e-9:
            continue
        inside = False
        for v in range(scene.vertex_from[owner], scene.vertex_from[owner + 1] - 1):
            x0, y0 = scene.vertex[v, 0], scene.vertex[v, 1]
            x1, y1 = scene.vertex[v + 1, 0], scene.vertex[v + 1, 1]
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
                inside = not inside
        if inside:
            return False
    return True


@njit(nogil=True, cache=True)
def _shortest_way_round(
    scene: SceneIndex,
    az: float,
    slope: float,
    lengthen: float,
    cut: float,
    stamp: np.ndarray,
    mark: int,
    crossed: np.ndarray,
    along: np.ndarray,
    points: np.ndarray,
    n: int,
    chain: np.ndarray,
    members: np.ndarray,
    n_members: int,
    member_of: np.ndarray,
    group: int,
) -> tuple[int, int]:
    """Find the shortest path from point 0 to point 1 around the members' corners on one side.

    Return the mark, and the number of points in the chain (0: there is no path).
    """
    way = np.full(n, np.inf)
    came = np.full(n, -1)
    settled = np.zeros(n, dtype=np.bool_)
    way[0] = 0.0
    for _ in range(n):
        now = -1
        for k in range(n):
            if not settled[k] and way[k] < np.inf and (now < 0 or way[k] < way[now]):
                now = k
        if now < 0 or now == 1:
            break
        settled[now] = True
        for k in range(n):
            step = np.hypot(points[k, 0] - points[now, 0], points[k, 1] - points[now, 1])
            if settled[k] or way[now] + step >= way[k]:
                continue
            mark += 1
            if _is_leg_clear(
                scene, now, k, az, slope, lengthen, cut, stamp, mark, crossed, along,
                points, members, n_members, member_of, group,
            ):  # fmt: skip
                way[k], came[k] = way[now] + step, now
    if came[1] < 0:
        return mark, 0
    held = 1
    at = 1
    while at != 0:
        held += 1
        at = came[at]
    at = 1
    for k in range(held - 1, -1, -1):
        chain[k] = at
        at = came[at]
    return mark, held


@njit(nogil=True, cache=True, forceinline=True)
def _path_around_side(
    scene: SceneIndex,
    ax: float,
    ay: float,
    az: float,
    bx: float,
    by: float,
    bz: float,
    plan: float,
    slant: float,
    side: int,
    middle: float,
    reach: float,
    skip: np.ndarray,
    stamp: np.ndarray,
    mark: int,
    crossed: np.ndarray,
    along: np.ndarray,
    points: np.ndarray,
    chain: np.ndarray,
    members: np.ndarray,
    n_members: int,
    member_of: np.ndarray,
    group: int,
) -> tuple[int, float, float]:
    """Return the mark, and the detour and length between edges around one side (NaN: no path)."""
    ux, uy = (bx - ax) / plan, (by - ay) / plan
    slope, lengthen = (bz - az) / plan, slant / plan
    points[:2] = 0.0
    points[0, 2], points[0, 3], points[0, 4] = ax, ay, -1
    points[1, 0], points[1, 2], points[1, 3], points[1, 4] = slant, bx, by, -1
    points[:2, 5] = np.nan
    n, done, courtyard = 2, 0, False
    for turn in range(MAX_ROUNDS):
        old = n
        for k in range(done, n_members):
            n = _cut_section(
                scene, members[k], ax, ay, az, ux, uy, slope, lengthen, side, points, n
            )  # fmt: skip
        points[old:n, 5] = np.nan
        done = n_members
        held = 0 if courtyard else _wrap_side(points, n, chain)
        if held == 0 and (turn == 0 or courtyard) and n <= MAX_CORNERS:
            courtyard = True
            mark, held = _shortest_way_round(
                scene, az, slope, lengthen, middle * lengthen, stamp, mark, crossed, along,
                points, n, chain, members, n_members, member_of, group,
            )  # fmt: skip
        if held == 0:
            break
        length, between, wide = 0.0, 0.0, 0.0
        for k in range(1, held):
            p, q = chain[k - 1], chain[k]
            wide = max(wide, abs(points[q, 1]))
            piece = np.hypot(points[q, 0] - points[p, 0], points[q, 1] - points[p, 1])
            length += piece
            if 1 < k < held - 1:
                between += piece
        if wide > reach:
            break
        for k in range(1, held):
            p, q = chain[k - 1], chain[k]
            # A piece that the previous band already had meets only members.
            if points[q, 5] == points[p, 0] and points[q, 6] == points[p, 1]:
                continue
            points[q, 5], points[q, 6] = points[p, 0], points[p, 1]
            px, py, qx, qy = points[p, 2], points[p, 3], points[q, 2], points[q, 3]
            mark += 1
            for j in range(_crossings(scene, px, py, qx, qy, stamp, mark, crossed, along)):
                w = crossed[j]
                owner = scene.wall_owner[w]
                if member_of[owner] == group or _contains(owner, skip):
                    continue
                part = along[j] / np.hypot(qx - px, qy - py)
                x, y = px + part * (qx - px), py + part * (qy - py)
                level = az + slope * ((x - ax) * ux + (y - ay) * uy)
                if _top_at(scene, w, x, y) > level:
                    member_of[owner] = group
                    members[n_members] = owner
                    n_members += 1
        if n_members == done:
            return mark, max(length - slant, 0.0), between
        if not courtyard:
            n = _drop_inner_points(points, n, chain, held, slant)
    return mark, np.nan, np.nan


@njit(nogil=True, cache=True, forceinline=True)
def _nearest_reflectors(
    scene: SceneIndex,
    ax: float,
    ay: float,
    az: float,
    bx: float,
    by: float,
    bz: float,
    skip: np.ndarray,
    stamp: np.ndarray,
    mark: int,
    best: np.ndarray,
    best_wall: np.ndarray,
) -> int:
    """Find the walls with the shortest first-order reflections; return their number.

    `best` has the folded distance in plan, the x, y and z of the turn, and its share of the path.
    """
    count = 0
    if len(scene.wall) == 0:
        return count
    corner_x, corner_y, size = scene.cells_xy
    columns, rows = scene.shape
    for turn in range(2):
        x, y = (ax, ay) if turn == 0 else (bx, by)
        low = max(0, int(np.floor((x - REFLECTOR_REACH_M - corner_x) / size)))
        high = min(columns - 1, int(np.floor((x + REFLECTOR_REACH_M - corner_x) / size)))
        first = max(0, int(np.floor((y - REFLECTOR_REACH_M - corner_y) / size)))
        last = min(rows - 1, int(np.floor((y + REFLECTOR_REACH_M - corner_y) / size)))
        if low > high:
            continue
        for row in range(first, last + 1):
            for k in range(
                scene.cell_from[row * columns + low], scene.cell_from[row * columns + high + 1]
            ):
                w = scene.cell_wall[k]
                if stamp[w] == mark:
                    continue
                x0, y0 = scene.wall[w, 0], scene.wall[w, 1]
                ex, ey = scene.wall[w, 3] - x0, scene.wall[w, 4] - y0
                # The cross products are distances from the wall times its length, above 0 at right.
                right_a = (ax - x0) * ey - (ay - y0) * ex
                right_b = (bx - x0) * ey - (by - y0) * ex
                if (right_a > 0) != (right_b > 0):
                    continue
                owner = scene.wall_owner[w]
                if right_a <= 0 and owner < scene.solids:
                    continue
                share = right_a / (right_a + right_b) if right_a + right_b != 0 else 0.5
                square = ex * ex + ey * ey
                at_a = (ax - x0) * ex + (ay - y0) * ey
                at_b = (bx - x0) * ex + (by - y0) * ey
                at = (at_a + (at_b - at_a) * share) / square
                if at < 0 or at >= 1:
                    continue
                pz = az + (bz - az) * share
                top = scene.wall[w, 2] + (scene.wall[w, 5] - scene.wall[w, 2]) * at
                if pz >= top:
                    continue
                length = np.sqrt(square)
                near = AT_WALL_M * length
                if abs(right_a) < near or abs(right_b) < near:
                    continue
                at_x, at_y = (at_a, right_a) if turn == 0 else (at_b, right_b)
                past = max(-at_x, at_x - square, 0.0)
                if past**2 + at_y**2 > REFLECTOR_REACH_M**2 * square:
                    continue
                stamp[w] = mark
                folded = np.hypot(at_b - at_a, right_a + right_b) / length
                if count == MAX_REFLECTIONS and folded > best[count - 1, 0]:
                    continue
                if _contains(owner, skip) or pz <= _ground_height_m(
                    scene, x0 + at * ex, y0 + at * ey
                ):
                    continue
                if count == MAX_REFLECTIONS:
                    if folded == best[count - 1, 0] and w > best_wall[count - 1]:
                        continue
                else:
                    count += 1
                j = count - 1
                while j > 0 and (
                    best[j - 1, 0] > folded or (best[j - 1, 0] == folded and best_wall[j - 1] > w)
                ):
                    best[j] = best[j - 1]
                    best_wall[j] = best_wall[j - 1]
                    j -= 1
                best[j, 0], best[j, 1], best[j, 2] = folded, x0 + at * ex, y0 + at * ey
                best[j, 3], best[j, 4] = pz, share
                best_wall[j] = w
    return count
