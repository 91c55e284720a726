"""Where a rectangle fits inside a shape: exact in translation, for given directions.

A rectangle turned along a direction fits with its centre at c if and only if c lies in the shape
and no edge of the shape crosses the rectangle: c is outside the Minkowski sum of each edge and the
rectangle. That sum is a hexagon, so the rectangle fits where the shape is free of its edges'
hexagons.

Whether there is any such place (`first`) is asked for many sizes and turns of each shape, so a
compiled search answers it: a cell of centres is dropped when one edge's hexagon covers it, or all
of it lies outside the shape; found when the rectangle fits at its middle; and else halved.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import shapely
from numba import njit

TOLERANCE_M = 0.001
CELLS_MOST = 20_000  # of one rectangle in one turn; thinner than that, a place is not looked for
CHUNK, THREADS = 256, 2
SAME_DIRECTION_DEG = 2.0


def directions(shapes: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return up to `most` directions of each shape's own edges, in degrees from 0 to 90.

    Edges are counted by length, parallel and square ones together (a rectangle that is turned by
    90 degrees is another layout). The answer is (shape, degrees), by shape, longest first.

    Worked: a 20 by 10 m rectangle turned by 30 degrees has the one direction 30.
    """
    edges_of, start, end = edges(shapes)
    step = end - start
    length = np.hypot(step[:, 0], step[:, 1])
    angle = np.degrees(np.arctan2(step[:, 1], step[:, 0])) % 90.0
    keep = length > TOLERANCE_M
    edges_of, length, angle = edges_of[keep], length[keep], np.round(angle[keep], 6) % 90.0
    found_shape: list[np.ndarray] = []
    found_angle: list[np.ndarray] = []
    for _ in range(most):
        if not len(edges_of):
            break
        # The longest edge left of each shape leads; every edge along it is then spent.
        order = np.lexsort((angle, -length, edges_of))
        edges_of, length, angle = edges_of[order], length[order], angle[order]
        shape, first = np.unique(edges_of, return_index=True)
        found_shape.append(shape)
        found_angle.append(angle[first])
        lead = angle[first][np.searchsorted(shape, edges_of)]
        apart = np.abs((angle - lead + 45.0) % 90.0 - 45.0)
        left = apart > SAME_DIRECTION_DEG
        edges_of, length, angle = edges_of[left], length[left], angle[left]
    if not found_shape:
        return np.empty(0, dtype=np.intp), np.empty(0)
    shape_all, angle_all = np.concatenate(found_shape), np.concatenate(found_angle)
    order = np.argsort(shape_all, kind="stable")
    return shape_all[order], angle_all[order]


def edges(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every edge of every ring: the shape's position, the start and the end (x, y)."""
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    xy, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    joined = ring_of_point[:-1] == ring_of_point[1:]
    shape = shape_of_part[part_of_ring[ring_of_point[:-1][joined]]]
    return shape, xy[:-1][joined], xy[1:][joined]


def turn(shapes: np.ndarray, origin: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Move each shape's origin to (0, 0) and turn it clockwise by its degrees."""
    xy, of = shapely.get_coordinates(shapes, return_index=True)
    angle = np.radians(degrees)[of]
    x, y = (xy - origin[of]).T
    turned = np.column_stack(
        (x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle))
    )
    return np.asarray(shapely.set_coordinates(shapes.copy(), turned))


def turn_back(shapes: np.ndarray, origin: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Undo `turn`."""
    zero = np.zeros_like(origin)
    level = turn(shapes, zero, -degrees)
    xy, of = shapely.get_coordinates(level, return_index=True)
    return np.asarray(shapely.set_coordinates(level, xy + origin[of]))


def centres(shapes: np.ndarray, length_m: np.ndarray, width_m: np.ndarray) -> np.ndarray:
    """Return where the centre of a rectangle may stand so that it lies inside its shape.

    `shapes` are polygons already turned so that the rectangle's length lies along x. The answer is
    an area per shape, empty where the rectangle does not fit. 1 mm is forgiven.

    Worked: in a 10 by 6 m rectangle, one of 4 by 2 m has its centre anywhere in 6 by 4 m.
    """
    room = ~shapely.is_empty(shapes)
    if not room.all():
        found = np.full(len(shapes), shapely.Polygon(), dtype=object)
        if room.any():
            found[room] = centres(shapes[room], length_m[room], width_m[room])
        return found
    if not len(shapes):
        return shapes
    half_x = np.maximum(length_m - TOLERANCE_M, TOLERANCE_M) / 2
    half_y = np.maximum(width_m - TOLERANCE_M, TOLERANCE_M) / 2
    of, start, end = edges(shapes)
    swap = start[:, 0] > end[:, 0]
    start[swap], end[swap] = end[swap], start[swap].copy()
    reach = np.column_stack((half_x[of], half_y[of]))
    rising = (end[:, 1] >= start[:, 1])[:, None]
    down_right, up_left = reach * (1, -1), reach * (-1, 1)
    # The hexagon's corners, counter-clockwise; which ends carry the middle pair depends on slope.
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
    hexagons = shapely.polygons(corners)
    bunch = shapely.geometrycollections(hexagons, indices=of)
    blocked = shapely.union_all(bunch[:, None], axis=1)
    return np.asarray(shapely.difference(shapes, blocked))


def first(
    shapes: np.ndarray,
    shape: np.ndarray,
    start: np.ndarray,
    degrees: np.ndarray,
    length_m: np.ndarray,
    width_m: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each query the first of its rectangles that lies in its shape, and where.

    Query q asks for `shape[q]` and the rectangles `start[q]` to `start[q + 1]` (Q + 1,): their
    lengths lie `degrees` counter-clockwise from east. The answer is the rectangle's position (-1:
    none fits), its centre (Q, 2) and whether the search was whole (False: it gave up on one that
    would fit, if at all, by less than centimetres). 1 mm is forgiven.

    Worked: of 5 by 4 and 5 by 3 m along x, a 10 by 3 m shape takes the second.
    """
    of, begin, end = edges(shapes)
    corner = np.zeros((len(shapes), 2))
    filled = np.unique(of)
    corner[filled] = shapely.bounds(shapes[filled])[:, :2]
    # Far from the origin, coordinates lose their end.
    edge = np.column_stack((begin - corner[of], end - corner[of]))
    edge_from = np.searchsorted(of, np.arange(len(shapes) + 1))
    option = np.full(len(shape), -1)
    centre = np.full((len(shape), 2), np.nan)
    whole = np.ones(len(shape), dtype=bool)
    sizes = np.column_stack((np.radians(degrees), length_m, width_m)).astype(float)

    def work(begin: int) -> None:
        part = slice(begin, begin + CHUNK)
        ends = start[begin : begin + CHUNK + 1]
        _first(edge, edge_from, shape[part], ends, sizes, option[part], centre[part], whole[part])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(0, len(shape), CHUNK)))
    return option, centre + corner[shape], whole


@njit(nogil=True, cache=True)
def _first(
    edge: np.ndarray,
    edge_from: np.ndarray,
    shape: np.ndarray,
    start: np.ndarray,
    sizes: np.ndarray,
    option: np.ndarray,
    centre: np.ndarray,
    whole: np.ndarray,
) -> None:
    most = 0
    for k in range(len(edge_from) - 1):
        most = max(most, edge_from[k + 1] - edge_from[k])
    level = np.empty((most, 6))
    stack = np.empty((200, 4))  # cells are halved: no more wait than twice the halvings
    for q in range(len(shape)):
        low, high = edge_from[shape[q]], edge_from[shape[q] + 1]
        for o in range(start[q], start[q + 1]):
            state, x, y = _search(edge[low:high], sizes[o], level, stack)
            if state > 0:
                option[q], centre[q, 0], centre[q, 1] = o, x, y
                break
            if state < 0:
                whole[q] = False


@njit(nogil=True, cache=True)
def _search(
    edge: np.ndarray, size: np.ndarray, level: np.ndarray, stack: np.ndarray
) -> tuple[int, float, float]:
    """Return 1 and the centre of a rectangle that fits, 0 if none does, -1 if that is not known."""
    cos, sin = np.cos(size[0]), np.sin(size[0])
    a = max(size[1] - TOLERANCE_M, TOLERANCE_M) / 2
    b = max(size[2] - TOLERANCE_M, TOLERANCE_M) / 2
    left, low, right, high = np.inf, np.inf, -np.inf, -np.inf
    for i in range(len(edge)):
        x0, y0 = edge[i, 0] * cos + edge[i, 1] * sin, edge[i, 1] * cos - edge[i, 0] * sin
        x1, y1 = edge[i, 2] * cos + edge[i, 3] * sin, edge[i, 3] * cos - edge[i, 2] * sin
        left, low, right, high = min(left, x0), min(low, y0), max(right, x0), max(high, y0)
        level[i, 0], level[i, 1] = (x0 + x1) / 2, (y0 + y1) / 2
        level[i, 2], level[i, 3] = x1 - x0, y1 - y0
        # The edge's hexagon: within both of these of its middle, and its slanted pair of sides.
        level[i, 4], level[i, 5] = a + abs(x1 - x0) / 2, b + abs(y1 - y0) / 2
    if right - left < 2 * a or high - low < 2 * b:
        return 0, np.nan, np.nan
    stack[0, 0], stack[0, 1] = (left + right) / 2, (low + high) / 2
    stack[0, 2], stack[0, 3] = (right - left) / 2 - a, (high - low) / 2 - b
    held = 1
    for _ in range(CELLS_MOST):
        if held == 0:
            return 0, np.nan, np.nan
        held -= 1
        x, y, half_x, half_y = stack[held, 0], stack[held, 1], stack[held, 2], stack[held, 3]
        inside, crossed, hit, covered = False, False, False, False
        for i in range(len(edge)):
            mx, my, dx, dy = level[i, 0], level[i, 1], level[i, 2], level[i, 3]
            if (my - dy / 2 > y) != (my + dy / 2 > y) and x < mx + (y - my) / dy * dx:
                inside = not inside
            off_x, off_y = abs(mx - x), abs(my - y)
            if off_x >= level[i, 4] + half_x or off_y >= level[i, 5] + half_y:
                continue
            across = abs(dx * (y - my) - dy * (x - mx))
            slant, wide = a * abs(dy) + b * abs(dx), half_x * abs(dy) + half_y * abs(dx)
            if off_x < half_x + abs(dx) / 2 and off_y < half_y + abs(dy) / 2 and across < wide:
                crossed = True
            if off_x < level[i, 4] and off_y < level[i, 5] and across < slant:
                hit = True
                covered = (
                    off_x + half_x < level[i, 4]
                    and off_y + half_y < level[i, 5]
                    and across + wide < slant
                )
                if covered:
                    break
        if covered or not (inside or crossed):
            continue
        if inside and not hit:
            return 1, x * cos - y * sin, x * sin + y * cos
        if half_x < TOLERANCE_M / 4 and half_y < TOLERANCE_M / 4:
            continue
        stack[held : held + 2] = stack[held]
        side = 0 if half_x / a > half_y / b else 1
        stack[held : held + 2, 2 + side] /= 2
        stack[held, side] -= stack[held, 2 + side]
        stack[held + 1, side] += stack[held, 2 + side]
        held += 2
    return -1, np.nan, np.nan
