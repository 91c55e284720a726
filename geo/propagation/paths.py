"""The paths of sound: straight, over the top, around both sides, and back from walls.

ISO 9613-2:1996 clauses 7.4 and 7.5 with ISO/TR 17534-3:2015 clauses 5.2 to 5.8. A compiled kernel
finds the paths of one pair after another. Pairs are independent, so any division of them gives the
same result.

- Over the top (`over_top`): a rubber band in the vertical plane through source and receiver, over
  every wall in it and over the ground between.
- Around the sides (`around_sides`): a rubber band in the plane of the straight line and a level
  line across it. There is none where the ground itself rises above the straight line (TR 5.8).
- Back from walls (`reflections`): first order only, over the top of obstacles in either leg, never
  around sides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from geo.compiled import called, entry, inlined, refer
from geo.propagation.around_sides import SIDE_REACH, go_around_side
from geo.propagation.crossings import (
    Line,
    Scratch,
    distance_m,
    ground_height_m,
    list_enclosing_solids,
    make_scratch,
    step_in_front,
)
from geo.propagation.over_top import profile_leg, stretch_band
from geo.propagation.reflections import (
    FOLDED,
    FOOT,
    REFLECTOR_REACH_M,
    SHARE,
    TURN_X,
    TURN_Y,
    TURN_Z,
    WALL,
    fade_in,
    list_reflections,
)
from geo.propagation.scene import Scene, SceneIndex
from geo.propagation.sections import Plane

TOP_Z, TOP_BEFORE, TOP_BETWEEN, TOP_AFTER = range(4)
LEFT_Z, LEFT_BETWEEN, RIGHT_Z, RIGHT_BETWEEN = range(4, 8)
PLAN, SLANT, GROUND_MEAN, START, END = range(8, 13)
DIRECT_COLUMNS = 13
BACK_Z, BACK_BEFORE, BACK_BETWEEN, BACK_AFTER = range(4)
BACK_PLAN, BACK_SLANT, BACK_MEAN, BACK_X, BACK_Y = range(4, 9)
BACK_SIZE, TO_WALL, FROM_WALL, FADE = range(9, 13)
BACK_COLUMNS = 13
REFLECTIONS_EXPECTED = 8
"""So many reflections per pair there is room for at first. With more, the search is repeated."""


@dataclass(frozen=True)
class Paths:
    """The paths of P pairs, lengths in meters; NaN where there is no such path.

    Attributes:
        direct: By the columns TOP_Z to END (P, 13): over the top, the detour, first leg, length
            between first and last edge, and last leg; around left and right, the detour and length
            between edges; distance in plan and in space; mean height of the ground; heights of
            source and receiver.
        back: The reflections of all pairs, by the columns BACK_Z to FADE (Q, 13): the same over the
            top and along the folded path, where it turns, the wall's smaller dimension as seen
            along the path, the distances to and from the wall, and the share that counts so near
            to the wall.
        pair: The pair of each reflection (Q,), in ascending order.
        wall_owner: The owner of the wall that reflects (Q,).
    """

    direct: np.ndarray
    back: np.ndarray
    pair: np.ndarray
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
    a, b = (np.array(one, dtype=float, order="C") for one in (source, receiver))
    a[:, :2] -= scene.index.origin
    b[:, :2] -= scene.index.origin
    away = np.array(np.broadcast_to(away, count), dtype=float)
    plan = np.hypot(*(b - a)[:, :2].T)
    scratch = make_scratch(scene.index, plan.max(initial=0.0) + 4 * REFLECTOR_REACH_M)
    direct = np.full((count, DIRECT_COLUMNS), np.nan)
    room = REFLECTIONS_EXPECTED * count
    while True:
        back = np.empty((room, BACK_COLUMNS))
        pair, owner = np.empty((2, room), dtype=np.int64)
        number = _find_paths(
            scene.index, scratch, a, b, away, float(height), direct, back, pair, owner
        )
        if number <= room:
            break
        room = number
    back, pair, owner = back[:number], pair[:number], owner[:number]
    back[:, BACK_X : BACK_Y + 1] += scene.index.origin
    return Paths(direct, back, pair, owner)


def is_enclosed(points: np.ndarray, scene: Scene) -> np.ndarray:
    """Return which points (P, 3), z above the ground, are inside a solid and below its roof.

    Such a solid neither screens nor reflects for pairs with that point. A point less than
    `crossings.BEHIND_WALL_M` behind a wall is in front of it instead.
    """
    local = np.array(points, dtype=float, order="C")
    local[:, :2] -= scene.index.origin
    inside = np.zeros(len(points), dtype=bool)
    _mark_enclosed(scene.index, make_scratch(scene.index, 0.0), local, inside)
    return inside


@called
def _mark_each_enclosed(
    scene: SceneIndex, scratch: Scratch, points: np.ndarray, inside: np.ndarray
) -> None:
    for k in range(len(points)):
        z = ground_height_m(scene, points[k, 0], points[k, 1]) + points[k, 2]
        x, y = step_in_front(scene, points[k, 0], points[k, 1], z)
        inside[k] = list_enclosing_solids(scene, x, y, z, scratch.room, 0) > 0


@inlined
def _find_direct(
    scene: SceneIndex,
    scratch: Scratch,
    line: Line,
    start: float,
    screen_m: float,
    screen_height_m: float,
    rooms: int,
    row: np.ndarray,
) -> None:
    """Write the paths over the top and around both sides into a row of `direct`."""
    plan = distance_m(line.bx - line.ax, line.by - line.ay)
    rise = line.bz - line.az
    slant = np.sqrt(plan**2 + rise**2)
    row[PLAN], row[SLANT], row[START], row[END] = plan, slant, line.az, line.bz
    profile = scratch.profile
    n, blocking, hill, row[GROUND_MEAN] = profile_leg(scene, scratch, line, 0.0, rooms, 0)
    middle, high = 0.0, 0.0
    if blocking:
        # Before the screen is added: the source's own wall must not widen the side reach.
        for j in range(n):
            above = profile[j, 1] - line.az - rise * profile[j, 0] / plan
            high = max(high, above * plan / slant)
        nearest, farthest = profile[0, 0], profile[0, 0]
        for j in range(n):
            nearest, farthest = min(nearest, profile[j, 0]), max(farthest, profile[j, 0])
        middle = (nearest + farthest) / 2
    n = _add_screen(scratch, n, line, plan, start, screen_m, screen_height_m)
    if n == 0:
        return
    before, between, after = stretch_band(profile, n, line.az, line.bz, plan)
    row[TOP_Z] = before + between + after - slant
    row[TOP_BEFORE], row[TOP_BETWEEN], row[TOP_AFTER] = before, between, after
    if blocking and not hill:
        for side in (1, -1):
            plane = Plane(
                line.ax, line.ay, line.az, line.bx, line.by, (line.bx - line.ax) / plan,
                (line.by - line.ay) / plan, rise / plan, slant / plan, slant, side,
            )  # fmt: skip
            reach = SIDE_REACH * high
            detour, apart = go_around_side(scene, scratch, plane, blocking, middle, reach, rooms)
            if side == 1:
                row[LEFT_Z], row[LEFT_BETWEEN] = detour, apart
            else:
                row[RIGHT_Z], row[RIGHT_BETWEEN] = detour, apart


@inlined
def _add_screen(
    scratch: Scratch,
    n: int,
    line: Line,
    plan: float,
    start: float,
    screen_m: float,
    screen_height_m: float,
) -> int:
    """Append the source's own wall to the profile if it screens; return the number of points."""
    top = start + screen_height_m
    if 0 < screen_m < plan and top > line.az + (line.bz - line.az) * screen_m / plan:
        scratch.profile[n, 0], scratch.profile[n, 1] = screen_m, top
        n += 1
    return n


@inlined
def _find_reflection(
    scene: SceneIndex,
    scratch: Scratch,
    line: Line,
    mirror: np.ndarray,
    start: float,
    screen_m: float,
    screen_height_m: float,
    rooms: int,
    row: np.ndarray,
) -> None:
    """Write one reflection into a row of `back`."""
    px, py, pz = mirror[TURN_X], mirror[TURN_Y], mirror[TURN_Z]
    folded, share = mirror[FOLDED], mirror[SHARE]
    rise = line.bz - line.az
    to_wall = Line(line.ax, line.ay, line.az, px, py, pz)
    n, _, _, first = profile_leg(scene, scratch, to_wall, 0.0, rooms, 0)
    from_wall = Line(px, py, pz, line.bx, line.by, line.bz)
    n, _, _, second = profile_leg(scene, scratch, from_wall, folded * share, rooms, n)
    n = _add_screen(scratch, n, line, folded, start, screen_m, screen_height_m)
    length = np.sqrt(folded**2 + rise**2)
    row[BACK_Z] = np.nan
    if n:
        before, between, after = stretch_band(scratch.profile, n, line.az, line.bz, folded)
        row[BACK_Z] = before + between + after - length
        row[BACK_BEFORE], row[BACK_BETWEEN], row[BACK_AFTER] = before, between, after
    w = int(mirror[WALL])
    x0, y0, top0, x1, y1, top1 = scene.wall[w]
    ex, ey = x1 - x0, y1 - y0
    breadth = distance_m(ex, ey)
    tall = top0 + (top1 - top0) * distance_m(px - x0, py - y0) / breadth - mirror[FOOT]
    along = ((line.bx - line.ax) * ex + (line.by - line.ay) * ey) / breadth
    deep = np.sqrt(max(folded**2 - along**2, 0.0))
    row[BACK_PLAN], row[BACK_SLANT] = folded, length
    row[BACK_MEAN] = first * share + second * (1 - share)
    row[BACK_X], row[BACK_Y] = px, py
    # Eq. (19) foreshortens the wall by the angle of incidence. Only its length is foreshortened,
    # its height is not: T19 of the TR reflects from 500 Hz up with this reading alone.
    row[BACK_SIZE] = min(scene.facade_m[w] * deep / length, tall)
    row[TO_WALL], row[FROM_WALL] = length * share, length * (1 - share)
    near_a = abs((line.ax - x0) * ey - (line.ay - y0) * ex) / breadth
    near_b = abs((line.bx - x0) * ey - (line.by - y0) * ex) / breadth
    row[FADE] = fade_in(near_a) * fade_in(near_b)


@called
def find_every_path(
    scene: SceneIndex,
    scratch: Scratch,
    source: np.ndarray,
    receiver: np.ndarray,
    screen_m: np.ndarray,
    screen_height_m: float,
    direct: np.ndarray,
    back: np.ndarray,
    pair: np.ndarray,
    owner: np.ndarray,
) -> int:
    """Find the paths of each pair, as `find_paths`; return the number of reflections.

    Args:
        scene: The scene.
        scratch: The arrays to use.
        source: The sources (P, 3), meters from the scene's origin and above the ground.
        receiver: The receivers, the same.
        screen_m: How far each source's own wall is on the straight line (P,); NaN: none.
        screen_height_m: The height of that wall above the source's ground.
        direct: Set to the straight paths (P, 13).
        back: Set to the reflections, as far as it reaches.
        pair: Set to the pair of each, as far as it reaches.
        owner: Set to the owner of each wall, as far as it reaches.

    Returns:
        The number of reflections.
    """
    total = 0
    for k in range(len(source)):
        start = ground_height_m(scene, source[k, 0], source[k, 1])
        end = ground_height_m(scene, receiver[k, 0], receiver[k, 1])
        az, bz = start + source[k, 2], end + receiver[k, 2]
        ax, ay = step_in_front(scene, source[k, 0], source[k, 1], az)
        bx, by = step_in_front(scene, receiver[k, 0], receiver[k, 1], bz)
        rooms = list_enclosing_solids(scene, ax, ay, az, scratch.room, 0)
        rooms = list_enclosing_solids(scene, bx, by, bz, scratch.room, rooms)
        line = Line(ax, ay, az, bx, by, bz)
        _find_direct(scene, scratch, line, start, screen_m[k], screen_height_m, rooms, direct[k])
        count = list_reflections(scene, scratch, line, rooms)
        for j in range(count if total + count <= len(back) else 0):
            _find_reflection(
                scene, scratch, line, scratch.mirror[j], start, screen_m[k], screen_height_m,
                rooms, back[total + j],
            )  # fmt: skip
            pair[total + j] = k
            owner[total + j] = scene.wall_owner[int(scratch.mirror[j, WALL])]
        total += count
    return total


def _make_find_paths(version: str) -> Callable[..., Any]:
    def find_paths(*values: Any) -> Any:
        len(version)
        return find_every_path(refer(values[0]), refer(values[1]), *values[2:])

    return find_paths


_find_paths = entry(_make_find_paths, ("propagation",))


def _make_mark_enclosed(version: str) -> Callable[..., Any]:
    def mark_enclosed(*values: Any) -> Any:
        len(version)
        return _mark_each_enclosed(*values)

    return mark_enclosed


_mark_enclosed = entry(_make_mark_enclosed, ("propagation",))
