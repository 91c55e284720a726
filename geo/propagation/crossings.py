"""What a straight line meets: the walls that it crosses, the solids around a point, the ground.

Compiled. The functions of the kernel are inlined, because a call would pass on each array of the
scene.
"""

from typing import NamedTuple

import numpy as np

from geo.compiled import inlined
from geo.propagation.scene import SceneIndex

AT_WALL_M = 0.01
"""A source or receiver at a wall stands this far in front of it."""
BEHIND_WALL_M = 0.1
"""A point this little behind a wall of a building stands in front of it too: footprints and
receiver points come from different surveys."""
END_M = 0.001
"""A line does not cross the walls at which it begins or ends."""
MAX_ENCLOSING = 8
UNKNOWN = -1


class Line(NamedTuple):
    """A straight line from a to b, with heights above the datum, meters from the scene's origin."""

    ax: float
    ay: float
    az: float
    bx: float
    by: float
    bz: float


class Scratch(NamedTuple):
    """Arrays that the kernel fills anew for each pair (W walls, N owners).

    A wall or owner whose stamp equals the mark was met already.
    """

    mark: np.ndarray  # (2,): of walls, of owners
    wall_stamp: np.ndarray  # (W,)
    crossed: np.ndarray  # (W + 1,): walls
    along: np.ndarray  # (W + 1,): distances from the line's beginning
    profile: np.ndarray  # distance and height of what is above the line
    room: np.ndarray  # (3 MAX_ENCLOSING,): solids that contain source, receiver, a place between
    blocker: np.ndarray  # (N + 1,): owners that block the straight line
    owner_stamp: np.ndarray  # (N + 1,)
    member: np.ndarray  # (N + 1,): owners that a band around one side encloses
    met_at: np.ndarray  # (N + 1, 2): where the band met each member, along and across the line
    corner: np.ndarray  # the members' corners, see around_sides
    chain: np.ndarray  # corners that the band touches
    way_m: np.ndarray  # shortest known distance from the source to each corner
    came_from: np.ndarray  # the corner before it on that path
    settled: np.ndarray  # whether that distance is final
    mirror: np.ndarray  # (W + 1, 7): reflections, see reflections
    reflector: np.ndarray  # (W + 1,): walls that may reflect
    reflectors: np.ndarray  # (1,): how many; UNKNOWN: any wall near source or receiver may
    roughly: np.ndarray  # (1,): whether side paths may be taken to be shorter than they are


def make_scratch(scene: SceneIndex, longest_m: float) -> Scratch:
    """Return the arrays for pairs up to `longest_m` apart, reflections included."""
    walls, owners = len(scene.wall), len(scene.wall_from) - 1
    samples = int(longest_m / scene.step_m) + 8 if scene.terrain.size else 0
    return Scratch(
        mark=np.zeros(2, dtype=np.int64),
        wall_stamp=np.zeros(walls, dtype=np.int64),
        crossed=np.empty(walls + 1, dtype=np.int64),
        along=np.empty(walls + 1),
        profile=np.empty((2 * walls + samples + 8, 2)),
        room=np.empty(3 * MAX_ENCLOSING, dtype=np.int64),
        blocker=np.empty(owners + 1, dtype=np.int64),
        owner_stamp=np.zeros(owners + 1, dtype=np.int64),
        member=np.empty(owners + 1, dtype=np.int64),
        met_at=np.empty((owners + 1, 2)),
        corner=np.empty((3 * walls + 4, 9)),
        chain=np.empty(3 * walls + 6, dtype=np.int64),
        way_m=np.empty(3 * walls + 6),
        came_from=np.empty(3 * walls + 6, dtype=np.int64),
        settled=np.empty(3 * walls + 6, dtype=bool),
        mirror=np.empty((walls + 1, 7)),
        reflector=np.empty(walls + 1, dtype=np.int64),
        reflectors=np.full(1, UNKNOWN, dtype=np.int64),
        roughly=np.zeros(1, dtype=np.bool_),
    )


@inlined
def ground_height_m(scene: SceneIndex, x: float, y: float) -> float:
    """Return the ground's height: bilinear between cell centers, constant beyond the outermost.

    Args:
        scene: The scene.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.

    Returns:
        The height above the datum in meters.
    """
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


@inlined
def top_at(scene: SceneIndex, w: int, x: float, y: float) -> float:
    """Return the height of a wall's upper edge at (x, y).

    Args:
        scene: The scene.
        w: The wall.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.

    Returns:
        The height above the datum in meters.
    """
    x0, y0, top0, x1, y1, top1 = scene.wall[w]
    if top0 == top1:
        return top0
    ex, ey = x1 - x0, y1 - y0
    return top0 + (top1 - top0) * ((x - x0) * ex + (y - y0) * ey) / (ex**2 + ey**2)


@inlined
def distance_m(dx: float, dy: float) -> float:
    """Return the length of a vector; np.hypot would call a slower function."""
    return np.sqrt(dx * dx + dy * dy)


@inlined
def list_cells(low: float, high: float, corner: float, size: float, count: int) -> tuple[int, int]:
    """Return the first and the last cell between two coordinates.

    Args:
        low: The lower coordinate in meters from the scene's origin.
        high: The higher one.
        corner: Where the first cell begins.
        size: The size of a cell.
        count: The number of cells.

    Returns:
        The two cells; the first is greater than the last if there is none.
    """
    first, last = (low - 1e-6 - corner) / size, (high + 1e-6 - corner) / size
    if last < 0 or first >= count:
        return 1, 0
    return int(max(first, 0.0)), int(min(last, count - 1.0))


@inlined
def list_cells_around(
    scene: SceneIndex, x: float, y: float, reach_m: float
) -> tuple[int, int, int, int]:
    """Return the first and last row, and the first and last column, of the cells around a point.

    Args:
        scene: The scene.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.
        reach_m: How far around it.

    Returns:
        The four numbers; the first row is greater than the last if there is no cell.
    """
    corner_x, corner_y, size = scene.cells_xy
    columns, rows = scene.shape
    first, last = list_cells(y - reach_m, y + reach_m, corner_y, size, rows)
    low, high = list_cells(x - reach_m, x + reach_m, corner_x, size, columns)
    if low > high:
        first, last = 1, 0
    return first, last, low, high


@inlined
def list_crossings(
    scene: SceneIndex, scratch: Scratch, ax: float, ay: float, bx: float, by: float
) -> int:
    """List the walls that the line from a to b crosses, and how far along.

    Args:
        scene: The scene.
        scratch: The arrays to use. The walls are in `crossed`, the distances from a in `along`.
        ax: Easting of a in meters from the scene's origin.
        ay: Northing of a.
        bx: Easting of b.
        by: Northing of b.

    Returns:
        The number of walls.
    """
    n = 0
    if len(scene.wall) == 0:
        return n
    scratch.mark[0] += 1
    mark = scratch.mark[0]
    corner_x, corner_y, size = scene.cells_xy
    columns, rows = scene.shape
    dx, dy = bx - ax, by - ay
    length = distance_m(dx, dy)
    if length <= 2 * END_M:
        return n
    west, east = min(ax, bx), max(ax, bx)
    low, high = list_cells(west, east, corner_x, size, columns)
    steep = dy / dx if abs(dx) > 1e-6 else 0.0
    for col in range(low, high + 1):
        ya, yb = ay, by
        if abs(dx) > 1e-6:
            left = corner_x + col * size
            ya = ay + (min(max(left, west), east) - ax) * steep
            yb = ay + (min(max(left + size, west), east) - ax) * steep
        first, last = list_cells(min(ya, yb), max(ya, yb), corner_y, size, rows)
        for row in range(first, last + 1):
            cell = row * columns + col
            for k in range(scene.cell_from[cell], scene.cell_from[cell + 1]):
                x0, y0 = scene.cell_line[k, 0], scene.cell_line[k, 1]
                x1, y1 = scene.cell_line[k, 2], scene.cell_line[k, 3]
                # The distances of the wall's ends from the line, times its length.
                left0 = dx * (y0 - ay) - dy * (x0 - ax)
                left1 = dx * (y1 - ay) - dy * (x1 - ax)
                if left0 * left1 > 0 or left0 == left1:
                    continue
                w = scene.cell_wall[k]
                if scratch.wall_stamp[w] == mark:
                    continue
                scratch.wall_stamp[w] = mark
                u = left0 / (left0 - left1)
                t = ((x0 + u * (x1 - x0) - ax) * dx + (y0 + u * (y1 - y0) - ay) * dy) / length
                if END_M < t < length - END_M:
                    scratch.crossed[n], scratch.along[n] = w, t
                    n += 1
    return n


@inlined
def is_inside(scene: SceneIndex, solid: int, x: float, y: float) -> bool:
    """Return whether (x, y) is inside a solid's outline.

    Args:
        scene: The scene.
        solid: The solid.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.

    Returns:
        Whether it is; for a point on the outline either answer.
    """
    box = scene.box[solid]
    inside = False
    if box[0] < x < box[2] and box[1] < y < box[3]:
        for w in range(scene.wall_from[solid], scene.wall_from[solid + 1]):
            x0, y0 = scene.wall[w, 0], scene.wall[w, 1]
            x1, y1 = scene.wall[w, 3], scene.wall[w, 4]
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
                inside = not inside
    return inside


@inlined
def cell_at(scene: SceneIndex, x: float, y: float) -> int:
    """Return the cell that contains (x, y).

    Args:
        scene: The scene.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.

    Returns:
        The cell; -1 outside all cells.
    """
    corner_x, corner_y, size = scene.cells_xy
    col, row = (x - corner_x) / size, (y - corner_y) / size
    if not (0 <= col < scene.shape[0] and 0 <= row < scene.shape[1]):
        return -1
    return int(row) * scene.shape[0] + int(col)


@inlined
def list_enclosing_solids(
    scene: SceneIndex, x: float, y: float, z: float, room: np.ndarray, n: int
) -> int:
    """Append the solids that contain the point below their roofs to a list.

    Args:
        scene: The scene.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.
        z: Height above the datum.
        room: The list, of which `n` are in use.
        n: That number.

    Returns:
        The number in use afterward.
    """
    cell = cell_at(scene, x, y)
    if cell >= 0:
        most = n + MAX_ENCLOSING
        for k in range(scene.room_from[cell], scene.room_from[cell + 1]):
            solid = scene.room_solid[k]
            top = scene.wall[scene.wall_from[solid], 2]
            if z < top and n < most and is_inside(scene, solid, x, y):
                room[n] = solid
                n += 1
    return n


@inlined
def highest_roof_m(scene: SceneIndex, x: float, y: float, owner: int) -> float:
    """Return the height of the highest roof over (x, y).

    Args:
        scene: The scene.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.
        owner: The solid whose roof does not count.

    Returns:
        The height above the datum; -inf if there is no roof.
    """
    highest = -np.inf
    cell = cell_at(scene, x, y)
    if cell >= 0:
        for k in range(scene.room_from[cell], scene.room_from[cell + 1]):
            solid = scene.room_solid[k]
            top = scene.wall[scene.wall_from[solid], 2]
            if solid != owner and top > highest and is_inside(scene, solid, x, y):
                highest = top
    return highest


@inlined
def step_in_front(scene: SceneIndex, x: float, y: float, z: float) -> tuple[float, float]:
    """Return the place of a source or receiver, moved in front of the wall at which it stands.

    A point up to AT_WALL_M in front of a solid's wall, or up to BEHIND_WALL_M behind it, is moved
    to AT_WALL_M in front of the nearest such wall.

    Args:
        scene: The scene.
        x: Easting in meters from the scene's origin.
        y: Northing in meters from the scene's origin.
        z: Height above the datum.

    Returns:
        Easting and northing of the place in front.
    """
    for _ in range(4):
        cell = cell_at(scene, x, y)
        if cell < 0:
            break
        nearest, to_x, to_y = np.inf, x, y
        for k in range(scene.cell_from[cell], scene.cell_from[cell + 1]):
            w = scene.cell_wall[k]
            owner = scene.wall_owner[w]
            if owner >= scene.solids or z >= scene.wall[w, 2]:
                continue
            x0, y0 = scene.wall[w, 0], scene.wall[w, 1]
            ex, ey = scene.wall[w, 3] - x0, scene.wall[w, 4] - y0
            length = distance_m(ex, ey)
            off = ((x - x0) * ey - (y - y0) * ex) / length
            at = ((x - x0) * ex + (y - y0) * ey) / length
            if not (-BEHIND_WALL_M < off < AT_WALL_M - 1e-9 and 0 <= at <= length):
                continue
            if abs(off) < nearest and (off >= 0 or is_inside(scene, owner, x, y)):
                nearest = abs(off)
                to_x = x + (AT_WALL_M - off) * ey / length
                to_y = y - (AT_WALL_M - off) * ex / length
        if nearest == np.inf:
            break
        x, y = to_x, to_y
    return x, y


@inlined
def contains(one: int, many: np.ndarray, count: int) -> bool:
    """Return whether a number is in a list.

    Args:
        one: The number.
        many: The list.
        count: How many of the list are in use.

    Returns:
        Whether it is among these.
    """
    contained = False
    for k in range(count):
        contained = contained or many[k] == one
    return contained
