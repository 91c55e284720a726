"""Where the machines of a block stand, and the most that they can cause at a point. Compiled."""

import numpy as np

from geo.compiled import inlined
from geo.propagation.band_energy import NEAREST_M
from geo.propagation.by_distance import look_up, row_at, sum_left, sum_row
from geo.propagation.crossings import distance_m, ground_height_m
from geo.propagation.reflection_bound import MOVED_M, Walls, bound_reflections
from geo.propagation.screening import screen_over_top
from geo.sizing.kernel.arrays import Case, Study

WAYS = 3.0
"""Behind a wall, sound can come over the top and around both sides of what stands behind it."""


@inlined
def place_machines(study: Study, place: np.ndarray) -> None:
    """Set where the running machines of a block stand: in its first places, row by row."""
    blocks = study.market.blocks
    first = blocks.machine_from[int(place[0])]
    move_into_place(place, blocks.machine[first : first + int(place[4])], study.bench.machine)


@inlined
def move_into_place(place: np.ndarray, inner: np.ndarray, at: np.ndarray) -> None:
    """Set where points of a block are.

    Args:
        place: The block (PLACE_COLUMNS,).
        inner: The points along and across, in meters from the block's center (k, 2).
        at: Set to their places (k or more, 2).
    """
    cos, sin = np.cos(place[3]), np.sin(place[3])
    for k in range(len(inner)):
        along, across = inner[k, 0], inner[k, 1]
        at[k, 0] = place[1] + along * cos - across * sin
        at[k, 1] = place[2] + along * sin + across * cos


@inlined
def wall_distance_m(
    study: Study, case: Case, place: np.ndarray, x: float, y: float, point: int
) -> float:
    """Return how far the line from (x, y) to a point runs to the wall around a block.

    For example, for a machine at the middle of a 4 by 4 m block with the wall 1 m outside: 3 m.

    Args:
        study: The arrays.
        case: What the question varies; without a wall, the distance is NaN.
        place: The block (PLACE_COLUMNS,).
        x: A machine, east.
        y: The machine, north.
        point: The receiver point.

    Returns:
        The distance in meters.
    """
    if case.wall_height_m <= 0:
        return np.nan
    size_m, point_xy = study.market.blocks.size_m, study.market.hearing.point
    cos, sin = np.cos(place[3]), np.sin(place[3])
    dx, dy = x - place[1], y - place[2]
    rx, ry = point_xy[point, 0] - x, point_xy[point, 1] - y
    inner_x, inner_y = dx * cos + dy * sin, dy * cos - dx * sin
    ray_x, ray_y = rx * cos + ry * sin, ry * cos - rx * sin
    reach_x = size_m[int(place[0]), 0] / 2 + case.wall_away_m
    reach_y = size_m[int(place[0]), 1] / 2 + case.wall_away_m
    share = np.inf
    if ray_x != 0:
        share = min(share, ((reach_x if ray_x > 0 else -reach_x) - inner_x) / ray_x)
    if ray_y != 0:
        share = min(share, ((reach_y if ray_y > 0 else -reach_y) - inner_y) / ray_y)
    length = np.sqrt(rx * rx + ry * ry)
    return share * length if length > 0 else 0.0


@inlined
def bound_each(
    study: Study,
    case: Case,
    place: np.ndarray,
    radius_m: float,
    walls: int,
    pair: int,
    point: int,
    least: float,
) -> float:
    """Bound the ratio of each machine in `bench.most`, and return the sum.

    Args:
        study: The arrays; the machines stand at their places.
        case: What the question varies.
        place: The block (PLACE_COLUMNS,).
        radius_m: The farthest that a machine stands from the block's center.
        walls: The number of walls near the block.
        pair: The pair.
        point: One of its receiver points.
        least: A bound that is no higher than this need not be lower.

    Returns:
        The sum. Where it is at most `least`, the machines' own bounds may not be set.
    """
    hearing, scene = study.market.hearing, study.market.sound.scene
    levels, bench, running = study.levels, study.bench, int(place[4])
    px, py = hearing.point[point, 0], hearing.point[point, 1]
    per_limit = hearing.per_limit[pair] * case.gain
    back_share = 0.0 if hearing.over_open_ground[pair] else levels.most_back
    # First all machines at the nearest place, then each at its own, then the walls that reflect.
    near_m = max(distance_m(px - place[1], py - place[2]) - radius_m - MOVED_M, 0.0)
    bound = running * per_limit * (1.0 + back_share) * look_up(levels.open, near_m)
    if bound <= least:
        return bound
    walled = case.wall_height_m > 0 and not hearing.over_open_ground[pair]
    pz = 0.0
    if back_share > 0:
        pz = ground_height_m(scene, px, py) + hearing.height_m[pair]
    if walled:
        _bound_behind_wall(study, case, place, radius_m, point, pz)
        behind = sum_left(levels.bands, bench.left, near_m)
        behind *= running * per_limit * (WAYS + back_share)
        if behind <= least:
            return behind
    bound = 0.0
    for k in range(running):
        away_m = distance_m(px - bench.machine[k, 0], py - bench.machine[k, 1])
        row = row_at(max(away_m - MOVED_M, 0.0))
        bench.most[k] = levels.open[row, 0] * per_limit
        bench.with_back[k] = bench.most[k] * (1.0 + back_share)
        if walled:
            behind = sum_row(levels.bands, bench.left, row) * per_limit
            bench.most[k] = min(bench.most[k], WAYS * behind)
            bench.with_back[k] = min(bench.with_back[k], (WAYS + back_share) * behind)
        bound += bench.with_back[k]
    if bound <= least or back_share == 0:
        return bound
    near = Walls(levels.kept, bench.near_block[:walls])
    table = levels.bands if walled else levels.open
    left = bench.left if walled else levels.nothing_taken
    circle = (place[1], place[2], radius_m)
    back = bound_reflections(scene, bench.room.scratch, near, table, left, (px, py, pz), circle)
    bound = 0.0
    for k in range(running):
        bench.most[k] = min(bench.most[k] + back * per_limit, bench.with_back[k])
        bound += bench.most[k]
    return bound


@inlined
def _bound_behind_wall(
    study: Study, case: Case, place: np.ndarray, radius_m: float, point: int, end: float
) -> None:
    """Set the most that the wall leaves of any machine's sound to a point at height `end`, by band.

    The detour over a wall is at least that to a receiver infinitely far away in the same direction.
    It is least where the wall is farthest from the machine, and where the receiver is highest.
    """
    sound, bench = study.market.sound, study.bench
    px, py = study.market.hearing.point[point, 0], study.market.hearing.point[point, 1]
    wall_m, begin = 0.0, np.inf
    for k in range(int(place[4])):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        wall_m = max(wall_m, wall_distance_m(study, case, place, x, y, point))
        begin = min(begin, ground_height_m(sound.scene, x, y) + sound.source_height_m)
    center_m = distance_m(px - place[1], py - place[2])
    plan, longest = center_m - radius_m, center_m + radius_m
    rise = case.wall_height_m - sound.source_height_m
    slope = (end - begin) / max(plan, NEAREST_M)
    if wall_m >= plan or rise <= slope * wall_m or rise <= 0:
        for band in range(8):
            bench.left[band] = 1.0
        return
    steep = np.sqrt(1.0 + slope * slope)
    before = distance_m(wall_m, rise)
    detour = max(before - (wall_m + rise * slope) / steep, 0.0)
    screen_over_top(
        sound.rules.screening, detour, before, 0.0, longest * steep, longest * steep, bench.left
    )
