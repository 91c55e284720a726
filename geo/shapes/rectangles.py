"""Where a rectangle fits inside a shape: exact in position, for given directions.

A rectangle in a given direction fits with its center at c if and only if c lies in the shape and no
edge of the shape crosses the rectangle: c is outside the Minkowski sum of each edge and the
rectangle. That sum is a hexagon, so the rectangle fits wherever the shape is free of its edges'
hexagons.

`find_first_fit` must decide for many sizes and directions of each shape whether there is any such
place, so the search is compiled. A cell of possible centers is dropped when one edge's hexagon
covers it or when it lies wholly outside the shape, accepted when the rectangle fits at its middle,
and halved otherwise.

The module is over 400 lines long: the search and its callers share compiled code.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import shapely
from numba import njit

from geo.compiled import called
from geo.shapes.near import unite_convex

TOLERANCE_M = 0.001
MAX_SEARCH_CELLS = (
    20_000  # for one rectangle in one direction; the search stops after so many cells
)
CHUNK, THREADS = 256, 2
STEP_DEG = 5.0
DECIMALS = 3  # of a degree: at the end of a 50 m side, about 1 mm


def longest_edge_direction(shapes: np.ndarray) -> np.ndarray:
    """Return the direction of each shape's longest edge, in degrees from 0 to 90; 0 without edges.

    Of several longest edges, the smallest direction counts. For example, a 20 by 10 m rectangle
    rotated by 30 degrees: 30.
    """
    of, length, angle = _edge_directions(shapes)
    order = np.lexsort((angle, -length.round(6), of))
    has_edges, first_of = np.unique(of[order], return_index=True)
    direction = np.zeros(len(shapes))
    direction[has_edges] = angle[order[first_of]]
    return direction


def list_directions(
    shapes: np.ndarray, more: np.ndarray, more_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """List the directions in which a rectangle is tried in each shape.

    These are the directions of the edges of the shape and of its further shapes, those with the
    greatest total length first; then every STEP_DEG from the shape's longest edge. They run from 0
    to 90 degrees, since the caller also tries each at right angles; directions that are equal to a
    thousandth of a degree are listed once. For example, a 20 by 10 m rectangle rotated by 30
    degrees: 30, then 35, 40, ... 85, 0, 5, ... 25.

    Args:
        shapes: Polygons (n,), in a metric frame.
        more: Further shapes (m,) whose edges count.
        more_of: The position of the shape (m,) to which each belongs.

    Returns:
        The shape's position and the direction in degrees, sorted by shape.
    """
    of, length, angle = _edge_directions(shapes)
    other, other_length, other_angle = _edge_directions(more)
    lead, leading = longest_edge_direction(shapes), np.unique(of)
    of = np.concatenate((of, more_of[other]))
    length, angle = np.concatenate((length, other_length)), np.concatenate((angle, other_angle))
    # Measured from the longest edge, so that a shape's directions rotate with the shape.
    apart = np.round((angle - lead[of]) % 90.0, DECIMALS) % 90.0
    key = np.round(apart * 10**DECIMALS).astype(np.int64)
    kind, at = np.unique(np.column_stack((of, key)), axis=0, return_inverse=True)
    meters = np.bincount(at.ravel(), length, len(kind))
    steps = np.round(np.arange(0, 90, STEP_DEG) * 10**DECIMALS).astype(np.int64)
    every = np.column_stack((np.repeat(leading, len(steps)), np.tile(steps, len(leading))))
    table = np.concatenate((kind, every))
    meters = np.concatenate((meters, np.zeros(len(every))))
    _, once = np.unique(table, axis=0, return_index=True)
    table, meters = table[once], meters[once]
    order = np.lexsort((table[:, 1], -meters.round(6), table[:, 0]))
    of, apart = table[order, 0], table[order, 1] / 10**DECIMALS
    return of, (lead[of] + apart) % 90.0


def _edge_directions(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the position of each edge's shape, its length, and its direction from 0 to 90."""
    of, begin, end = list_edges(shapes)
    step = end - begin
    length = np.hypot(step[:, 0], step[:, 1])
    angle = np.round(np.degrees(np.arctan2(step[:, 1], step[:, 0])) % 90.0, 6) % 90.0
    keep = length > TOLERANCE_M
    return of[keep], length[keep], angle[keep]


def list_edges(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every edge of every ring: its shape's position, its start and its end (x, y)."""
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    xy, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    joined = ring_of_point[:-1] == ring_of_point[1:]
    shape = shape_of_part[part_of_ring[ring_of_point[:-1][joined]]]
    return shape, xy[:-1][joined], xy[1:][joined]


def make_rectangles(
    x: np.ndarray, y: np.ndarray, length: np.ndarray, width: np.ndarray, degrees: np.ndarray
) -> np.ndarray:
    """Make rectangles around (x, y), with their length rotated counterclockwise from east.

    For example, 4 by 2 m around (0, 0), rotated by 90 degrees: from (-1, -2) to (1, 2).

    Args:
        x: Eastings of the centers (n,), meters.
        y: Northings of the centers (n,), meters.
        length: Lengths (n,), meters.
        width: Widths (n,), meters.
        degrees: Directions of the lengths (n,).

    Returns:
        The polygons (n,).
    """
    angle = np.radians(degrees)
    corners = []
    for along, across in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        dx, dy = along * length / 2, across * width / 2
        corners.append(
            np.column_stack(
                (
                    x + dx * np.cos(angle) - dy * np.sin(angle),
                    y + dx * np.sin(angle) + dy * np.cos(angle),
                )
            )
        )
    return np.asarray(shapely.polygons(np.stack(corners, axis=1)))


def rotate_shapes(shapes: np.ndarray, origin: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Move each shape's origin to (0, 0) and rotate it clockwise.

    Args:
        shapes: Geometries (n,).
        origin: The points (n, 2) that become (0, 0).
        degrees: The rotations (n,).

    Returns:
        The moved geometries (n,).
    """
    xy, of = shapely.get_coordinates(shapes, return_index=True)
    angle = np.radians(degrees)[of]
    x, y = (xy - origin[of]).T
    turned = np.column_stack(
        (x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle))
    )
    return np.asarray(shapely.set_coordinates(shapes.copy(), turned))


def rotate_back(xy: np.ndarray, origin: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Return points rotated counterclockwise about (0, 0), then moved to their origin.

    This undoes `rotate_shapes`, point by point.

    >>> rotate_back(np.array([[1.0, 0.0]]), np.array([[5.0, 5.0]]), np.array([90.0])).tolist()
    [[5.0, 6.0]]

    Args:
        xy: The points (n, 2).
        origin: The origin of each point (n, 2).
        degrees: The rotations (n,).

    Returns:
        The points (n, 2).
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = xy.T
    moved: np.ndarray = origin + np.column_stack((x * cos - y * sin, y * cos + x * sin))
    return moved


def possible_centers(shapes: np.ndarray, length_m: np.ndarray, width_m: np.ndarray) -> np.ndarray:
    """Find where the center of a rectangle may be so that the rectangle lies inside its shape.

    A tolerance of 1 mm is allowed. For example, in a 10 by 6 m rectangle, a rectangle of 4 by 2 m
    may have its center anywhere in an area of 6 by 4 m.

    Args:
        shapes: Polygons (n,), rotated so that the rectangle's length lies along x.
        length_m: Lengths (n,).
        width_m: Widths (n,).

    Returns:
        An area per shape (n,), empty where the rectangle does not fit.
    """
    room = ~shapely.is_empty(shapes)
    if not room.all():
        areas = np.full(len(shapes), shapely.Polygon(), dtype=object)
        if room.any():
            areas[room] = possible_centers(shapes[room], length_m[room], width_m[room])
        return areas
    if not len(shapes):
        return shapes
    half_x = np.maximum(length_m - TOLERANCE_M, TOLERANCE_M) / 2
    half_y = np.maximum(width_m - TOLERANCE_M, TOLERANCE_M) / 2
    of, start, end = list_edges(shapes)
    swap = start[:, 0] > end[:, 0]
    start[swap], end[swap] = end[swap], start[swap].copy()
    reach = np.column_stack((half_x[of], half_y[of]))
    rising = (end[:, 1] >= start[:, 1])[:, None]
    down_right, up_left = reach * (1, -1), reach * (-1, 1)
    # The hexagon's corners, counterclockwise; the slope decides the ends that have the middle pair.
    corners = np.stack(
        (
            start - reach,
            np.where(rising, start + down_right, end - reach),
            end + down_right,
            end + reach,
            np.where(rising, end + up_left, start + reach),
            start + up_left,
            start - reach,
        ),
        axis=1,
    )
    blocked = unite_convex(corners, of, len(shapes))
    return np.asarray(shapely.difference(shapes, blocked))


def possible_centers_rotated(
    shapes: np.ndarray,
    origin: np.ndarray,
    degrees: np.ndarray,
    across: np.ndarray,
    sizes_m: np.ndarray,
    center: np.ndarray,
) -> np.ndarray:
    """Find the possible centers of rectangles, each in its own direction.

    Args:
        shapes: Polygons (n,), in a metric frame.
        origin: The points (n, 2) around which the shapes are rotated.
        degrees: The directions of the rectangles (n,).
        across: Whether each rectangle's length lies at right angles to its direction (n,).
        sizes_m: Lengths and widths (n, 2).
        center: A center (n, 2) known to fit; it is used where a tight fit leaves no area.

    Returns:
        An area per shape (n,), moved by `origin` and rotated.
    """
    long, wide = sizes_m.T
    area = possible_centers(
        rotate_shapes(shapes, origin, degrees),
        np.where(across, wide, long),
        np.where(across, long, wide),
    )
    bare = np.flatnonzero(shapely.is_empty(area))
    if len(bare):
        area[bare] = rotate_shapes(shapely.points(center[bare]), origin[bare], degrees[bare])
    return area


def find_first_fit(
    shapes: np.ndarray,
    turns_from: np.ndarray,
    degrees: np.ndarray,
    shape: np.ndarray,
    sizes_m: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the first direction in which each rectangle fits in its shape, and a place for it.

    Where the shape is so intricate that a search is stopped early, the rectangle counts as not
    fitting. A tolerance of 1 mm is allowed. For example, a 3 by 10 m rectangle fits in one of 10 by
    3 m in the first direction, across, at its middle.

    Args:
        shapes: Polygons (n,), in a metric frame.
        turns_from: The directions of shape k are `degrees[turns_from[k]]` up to but not including
            `degrees[turns_from[k + 1]]` (n + 1,).
        degrees: Directions, counterclockwise from east; each is also tried at right angles.
        shape: The shape of each query (q,).
        sizes_m: The length and width of each query's rectangle (q, 2).

    Returns:
        For each query the position in `degrees` (-1 where it fits in none), `across`, whether the
        rectangle lies at right angles to it, and the rectangle's center (q, 2), NaN where none.
    """
    edge, edge_from, corner = _edges_from(shapes)
    taken, across = np.full(len(shape), -1), np.zeros(len(shape), dtype=bool)
    center = np.full((len(shape), 2), np.nan)
    turn = np.radians(degrees)

    def work(begin: int) -> None:
        part = slice(begin, begin + CHUNK)
        _find_first_fit((edge, edge_from), (turn, turns_from), shape[part], sizes_m[part],
               taken[part], across[part], center[part])  # fmt: skip

    _in_chunks(work, len(shape))
    return taken, across, center + corner[shape]


def find_largest_fit(
    shapes: np.ndarray,
    turns_from: np.ndarray,
    degrees: np.ndarray,
    layouts: Sequence[np.ndarray],
    held: np.ndarray,
    upper: np.ndarray,
    most_m2: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each shape the largest n for which some layout fits in some direction.

    A layout of n + 1 contains one of n. A tolerance of 1 mm is allowed. For example, in a 10 by 3 m
    rectangle, with (3, 3) for one, (6, 3) for two and (12, 3) for three: 2.

    Args:
        shapes: Polygons (n,), in a metric frame.
        turns_from: Where each shape's directions start, as in `find_first_fit`.
        degrees: Directions, as in `find_first_fit`.
        layouts: `layouts[n - 1]` holds the rectangles (k, 2), length and width, of which one must
            fit for n.
        held: The number known to fit in each shape (n,).
        upper: A known upper bound on it (n,); only numbers in between are tried.
        most_m2: The area of each shape (n,) above which no rectangle is tried.

    Returns:
        The largest number (n,), and whether the search was complete (n,): False where the search
        for one more was stopped early.
    """
    edge, edge_from, _ = _edges_from(shapes)
    largest, whole = held.astype(np.int64), np.ones(len(shapes), dtype=bool)
    sizes = np.concatenate([np.empty((0, 2)), *layouts]).astype(float)
    sizes_from = np.cumsum([0, *(len(one) for one in layouts)])
    open_shapes = np.flatnonzero(upper > held)
    turn = np.radians(degrees)
    room_m2 = np.full(len(shapes), np.inf) if most_m2 is None else most_m2

    def work(begin: int) -> None:
        chunk = open_shapes[begin : begin + CHUNK]
        turns, sized = (turn, turns_from), (sizes, sizes_from)
        _find_largest_fit((edge, edge_from), chunk, turns, sized, (upper, room_m2), largest, whole)

    _in_chunks(work, len(open_shapes))
    return largest, whole


def _in_chunks(work: Callable[[int], None], count: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(0, count, CHUNK)))


def _edges_from(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each edge (x, y, x, y) from its shape's corner, each shape's first edge, the corners.

    They are measured from the corner because coordinates far from the origin lose precision.
    """
    of, begin, end = list_edges(shapes)
    corner = np.zeros((len(shapes), 2))
    filled = ~shapely.is_empty(shapes)
    corner[filled] = shapely.bounds(shapes[filled])[:, :2]
    edge = np.column_stack((begin - corner[of], end - corner[of]))
    return edge, np.searchsorted(of, np.arange(len(shapes) + 1)), corner


@njit(nogil=True, cache=True)
def _longest(edge_from: np.ndarray) -> int:
    longest = 0
    for k in range(len(edge_from) - 1):
        longest = max(longest, edge_from[k + 1] - edge_from[k])
    return longest


@njit(nogil=True, cache=True)
def _find_first_fit(
    edges: tuple[np.ndarray, np.ndarray],
    turns: tuple[np.ndarray, np.ndarray],
    shape: np.ndarray,
    sizes: np.ndarray,
    taken: np.ndarray,
    across: np.ndarray,
    center: np.ndarray,
) -> None:
    edge, edge_from = edges
    turn, turns_from = turns
    level = np.empty((_longest(edge_from), 4))
    stack = np.empty((200, 4))  # enough: at most two cells wait for each level of halving
    for q in range(len(shape)):
        low, high = edge_from[shape[q]], edge_from[shape[q] + 1]
        for t in range(turns_from[shape[q]], turns_from[shape[q] + 1]):
            box = rotate_edges(edge[low:high], turn[t], level)
            for turned in range(2):
                a, b = sizes[q, turned], sizes[q, 1 - turned]
                state, x, y = search_center(level[: high - low], box, a, b, stack)
                if state > 0:
                    cos, sin = np.cos(turn[t]), np.sin(turn[t])
                    taken[q], across[q] = t, turned == 1
                    center[q, 0], center[q, 1] = x * cos - y * sin, x * sin + y * cos
                    break
            if taken[q] >= 0:
                break


@njit(nogil=True, cache=True)
def _find_largest_fit(
    edges: tuple[np.ndarray, np.ndarray],
    asked: np.ndarray,
    turns: tuple[np.ndarray, np.ndarray],
    layouts: tuple[np.ndarray, np.ndarray],
    bounds: tuple[np.ndarray, np.ndarray],
    largest: np.ndarray,
    whole: np.ndarray,
) -> None:
    edge, edge_from = edges
    upper, room_m2 = bounds
    turn, turns_from = turns
    sizes, sizes_from = layouts
    level = np.empty((_longest(edge_from), 4))
    stack = np.empty((200, 4))
    for s in asked:
        low, high = edge_from[s], edge_from[s + 1]
        for t in range(turns_from[s], turns_from[s + 1]):
            if largest[s] >= upper[s]:
                break
            box = rotate_edges(edge[low:high], turn[t], level)
            # The stride doubles while a layout fits, then halves: few tests for a large answer.
            stride = 1
            above = upper[s] + 1
            while largest[s] + 1 < above:
                n = min(largest[s] + stride, above - 1)
                held = False
                for o in range(sizes_from[n - 1], sizes_from[n]):
                    if sizes[o, 0] * sizes[o, 1] > room_m2[s]:
                        continue
                    for across in range(2):
                        a, b = sizes[o, across], sizes[o, 1 - across]
                        state, _, _ = search_center(level[: high - low], box, a, b, stack)
                        if state < 0:
                            whole[s] = False
                        held = held or state > 0
                        if held:
                            break
                    if held:
                        break
                if held:
                    largest[s] = n
                    stride *= 2
                else:
                    above = n
                    stride = max((above - largest[s]) // 2, 1)


@called
def rotate_edges(
    edge: np.ndarray, angle: float, level: np.ndarray
) -> tuple[float, float, float, float]:
    """Rotate edges clockwise, and return the box around them.

    Args:
        edge: The edges (E, 4): x, y, x, y.
        angle: In radians.
        level: Set to the middle and the step of each (E, 4).

    Returns:
        Left, bottom, right and top.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    left, low, right, high = np.inf, np.inf, -np.inf, -np.inf
    for i in range(len(edge)):
        x0, y0 = edge[i, 0] * cos + edge[i, 1] * sin, edge[i, 1] * cos - edge[i, 0] * sin
        x1, y1 = edge[i, 2] * cos + edge[i, 3] * sin, edge[i, 3] * cos - edge[i, 2] * sin
        left, low, right, high = min(left, x0), min(low, y0), max(right, x0), max(high, y0)
        level[i, 0], level[i, 1] = (x0 + x1) / 2, (y0 + y1) / 2
        level[i, 2], level[i, 3] = x1 - x0, y1 - y0
    return left, low, right, high


@called
def search_center(
    level: np.ndarray,
    box: tuple[float, float, float, float],
    length_m: float,
    width_m: float,
    stack: np.ndarray,
) -> tuple[int, float, float]:
    """Search for a place of a rectangle that is level in the frame of the edges.

    Args:
        level: The edges of the ground, from `rotate_edges`.
        box: The box around them.
        length_m: The rectangle's size from left to right.
        width_m: Its size from bottom to top.
        stack: Room for the search, (STACK_CELLS, 4).

    Returns:
        1 and the center of one that fits; 0 if none fits; -1 if stopped early.
    """
    a = max(length_m - TOLERANCE_M, TOLERANCE_M) / 2
    b = max(width_m - TOLERANCE_M, TOLERANCE_M) / 2
    left, low, right, high = box
    if right - left < 2 * a or high - low < 2 * b:
        return 0, np.nan, np.nan
    stack[0, 0], stack[0, 1] = (left + right) / 2, (low + high) / 2
    stack[0, 2], stack[0, 3] = (right - left) / 2 - a, (high - low) / 2 - b
    held = 1
    for _ in range(MAX_SEARCH_CELLS):
        if held == 0:
            return 0, np.nan, np.nan
        held -= 1
        x, y, half_x, half_y = stack[held, 0], stack[held, 1], stack[held, 2], stack[held, 3]
        inside, crossed, hit, covered = False, False, False, False
        for i in range(len(level)):
            mx, my, dx, dy = level[i, 0], level[i, 1], level[i, 2], level[i, 3]
            if (my - dy / 2 > y) != (my + dy / 2 > y) and x < mx + (y - my) / dy * dx:
                inside = not inside
            # Inside the edge's hexagon: within these distances of its middle, between its slants.
            wide_x, wide_y = a + abs(dx) / 2, b + abs(dy) / 2
            off_x, off_y = abs(mx - x), abs(my - y)
            if off_x >= wide_x + half_x or off_y >= wide_y + half_y:
                continue
            across = abs(dx * (y - my) - dy * (x - mx))
            slant, wide = a * abs(dy) + b * abs(dx), half_x * abs(dy) + half_y * abs(dx)
            if off_x < half_x + abs(dx) / 2 and off_y < half_y + abs(dy) / 2 and across < wide:
                crossed = True
            if off_x < wide_x and off_y < wide_y and across < slant:
                hit = True
                covered = (
                    off_x + half_x < wide_x and off_y + half_y < wide_y and across + wide < slant
                )
                if covered:
                    break
        if covered or not (inside or crossed):
            continue
        if inside and not hit:
            return 1, x, y
        if half_x < TOLERANCE_M / 4 and half_y < TOLERANCE_M / 4:
            continue
        side = 0 if half_x / a > half_y / b else 1
        stack[held, 2 + side] /= 2
        for column in range(4):
            stack[held + 1, column] = stack[held, column]
        stack[held, side] -= stack[held, 2 + side]
        stack[held + 1, side] += stack[held, 2 + side]
        held += 2
    return -1, np.nan, np.nan


@called
def fits_at(level: np.ndarray, x: float, y: float, length_m: float, width_m: float) -> bool:
    """Return whether a rectangle along x fits with its center at (x, y).

    Args:
        level: The shape's edges, turned (see `rotate_edges`).
        x: The center, in the turned frame.
        y: The center, as `x`.
        length_m: The side along x.
        width_m: The side along y.

    Returns:
        Whether the rectangle lies in the shape, with a tolerance of 1 mm.
    """
    a = max(length_m - TOLERANCE_M, TOLERANCE_M) / 2
    b = max(width_m - TOLERANCE_M, TOLERANCE_M) / 2
    inside = False
    for i in range(len(level)):
        mx, my, dx, dy = level[i, 0], level[i, 1], level[i, 2], level[i, 3]
        if (my - dy / 2 > y) != (my + dy / 2 > y) and x < mx + (y - my) / dy * dx:
            inside = not inside
        off_x, off_y = abs(mx - x), abs(my - y)
        if off_x < a + abs(dx) / 2 and off_y < b + abs(dy) / 2:
            across = abs(dx * (y - my) - dy * (x - mx))
            if across < a * abs(dy) + b * abs(dx):
                return False
    return inside
