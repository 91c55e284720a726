"""Where a rectangle fits inside a shape: exact in translation, for given directions.

A rectangle turned along a direction fits with its centre at c if and only if c lies in the shape
and no edge of the shape crosses the rectangle: c is outside the Minkowski sum of each edge and the
rectangle. That sum is a hexagon, so the rectangle fits where the shape is free of its edges'
hexagons.
"""

import numpy as np
import shapely

TOLERANCE_M = 0.001
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
