"""Nearest shapes and shapes within a distance, in one metric frame. Ties go to the first row."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

GRID_M = 1e-6
# A shape is inside an area if what lies beyond its edge is a sliver: nowhere farther away than this
# many meters, or no larger than this share of the shape. Outlines of different origin differ by it.
SLIVER_M = 1.0
SLIVER_SHARE = 0.01


def find_nearest(shapes: np.ndarray, others: np.ndarray, reach_m: float) -> pd.DataFrame:
    """Find for each shape the nearest other shape within reach.

    Where several are equally near, the first in `others` is taken. For example, a point 3 m east
    and 4 m north of another is 5 m away.

    Args:
        shapes: Geometries (n,), in one metric frame.
        others: Geometries (m,), in the same frame.
        reach_m: The largest distance.

    Returns:
        One row per shape, in order: `other` (a position, -1 where none is in reach) and
        `distance_m` (NaN there).
    """
    nearest = np.full(len(shapes), -1)
    distance = np.full(len(shapes), np.nan)
    if len(others):
        tree = shapely.STRtree(others)
        (shape, other), meters = tree.query_nearest(
            shapes, max_distance=np.nextafter(reach_m, np.inf), return_distance=True
        )
        order = np.lexsort((other, shape))
        first = order[np.unique(shape[order], return_index=True)[1]]
        nearest[shape[first]], distance[shape[first]] = other[first], meters[first]
    return pd.DataFrame({"other": nearest, "distance_m": distance})


def find_pairs_within(
    shapes: np.ndarray, others: np.ndarray, reach_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find every pair of shapes within a distance.

    Args:
        shapes: Geometries (n,), in one metric frame.
        others: Geometries (m,), in the same frame.
        reach_m: The largest distance.

    Returns:
        The positions of the shape and of the other shape of each pair, sorted by shape, then by
        other.
    """
    if not len(others) or not len(shapes):
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    shape, other = shapely.STRtree(others).query(shapes, predicate="dwithin", distance=reach_m)
    order = np.lexsort((other, shape))
    return shape[order], other[order]


def unite_by_group(shapes: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Unite the shapes of each group.

    Where there are several, their corners are rounded to GRID_M. Without rounding, GEOS 3.14 at
    times loses most of a row of houses whose fronts are almost in line, or of a pair of them
    (https://github.com/libgeos/geos/issues/1344).

    Args:
        shapes: Valid geometries (n,). One that is alone in its group stays as it is.
        group: The group of each (n,), 0 to `groups` - 1, in any order.
        groups: How many groups there are.

    Returns:
        One geometry per group, empty where the group has no shape.
    """
    united = np.full(groups, shapely.GeometryCollection(), dtype=object)
    united[group] = np.where(shapely.is_missing(shapes), shapely.GeometryCollection(), shapes)
    size = np.bincount(group, minlength=groups)
    several = np.flatnonzero(size > 1)
    if len(several):
        place = np.cumsum(size > 1) - 1
        order = np.argsort(group, kind="stable")
        order = order[size[group[order]] > 1]
        together = np.empty(len(several), dtype=object)
        shapely.geometrycollections(shapes[order], indices=place[group[order]], out=together)
        united[several] = shapely.union_all(together[:, None], axis=1, grid_size=GRID_M)
    return united


def unite_convex(corners: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Unite the convex polygons of each group, four times as fast as `unite_by_group`.

    They are united as a buffer of width 0. Where the middle of a polygon is not in the result, the
    group is united by `unite_by_group` instead.

    Args:
        corners: The corners of n convex polygons, in order around each (n, k, 2).
        group: The group of each (n,), 0 to `groups` - 1, in any order.
        groups: How many groups there are.

    Returns:
        One geometry per group, empty where the group has no polygon.
    """
    polygons = shapely.polygons(corners)
    united = np.full(groups, shapely.GeometryCollection(), dtype=object)
    order = np.argsort(group, kind="stable")
    shapely.geometrycollections(polygons[order], indices=group[order], out=united)
    united = np.asarray(shapely.buffer(united, 0))
    shapely.prepare(united)
    lost = group[~shapely.intersects_xy(united[group], *corners.mean(axis=1).T)]
    if len(lost):
        again = np.isin(group, lost)
        place = np.unique(lost)
        united[place] = unite_by_group(
            polygons[again], np.searchsorted(place, group[again]), len(place)
        )
    return united


def is_covered(
    shapes: np.ndarray, area: shapely.Geometry | None, reach_m: float | np.ndarray
) -> np.ndarray:
    """Return for each shape whether everything within reach of it lies inside an area.

    A sliver of the shape itself may lie beyond (see SLIVER_M and SLIVER_SHARE). A reach above 0
    must not cross the edge. For example, a lot of 100 m by 100 m that begins 1 m before the edge
    of the area is inside without reach, and 1.1 m before it is not.

    Args:
        shapes: Geometries (n,), in one metric frame.
        area: The area, in the same frame; None if it is not known: then no shape is covered.
        reach_m: The distance around each shape.

    Returns:
        Whether each shape (n,) is covered.
    """
    if area is None:
        return np.zeros(len(shapes), dtype=bool)
    shapely.prepare(area)
    covered = np.asarray(shapely.covers(area, shapes))
    # Most shapes beyond the edge lie there entirely.
    unsure = np.flatnonzero(~covered & shapely.intersects(area, shapes))
    if len(unsure):
        covered[unsure] = _has_only_a_sliver_beyond(shapes[unsure], area)
    edge = shapely.boundary(area)
    shapely.prepare(edge)
    # Exactly at the reach, the edge is not crossed.
    is_crossed = shapely.dwithin(edge, shapes, np.nextafter(reach_m, -np.inf))
    return np.asarray(covered & ~(is_crossed & (np.asarray(reach_m) > 0)))


def _has_only_a_sliver_beyond(shapes: np.ndarray, area: shapely.Geometry) -> np.ndarray:
    """Return for each shape that crosses the edge of an area whether only a sliver is beyond it.

    A sliver is less than half of the shape, so a narrow shape beside the area is not inside.
    """
    beyond = shapely.difference(shapes, area)
    beyond_m2, whole_m2 = shapely.area(beyond), shapely.area(shapes)
    is_small = beyond_m2 <= SLIVER_SHARE * whole_m2 * (1 + GRID_M)
    near = shapely.box(*(shapely.bounds(beyond) + SLIVER_M * np.array([-2, -2, 2, 2])).T)
    # A circle of many corners, since its sides are nearer than its corners.
    reached = shapely.buffer(shapely.intersection(area, near), SLIVER_M + GRID_M, quad_segs=32)
    is_close = shapely.covers(reached, beyond)
    return np.asarray((is_small | is_close) & (beyond_m2 < whole_m2 / 2))


def name_directions(from_points: np.ndarray, to_points: np.ndarray) -> np.ndarray:
    """Name the direction from each point to the matching other point, as one of eight winds.

    For example, from (0, 0) to (1, 1) is `north-east`.
    """
    winds = np.array(
        ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"]
    )
    dx = shapely.get_x(to_points) - shapely.get_x(from_points)
    dy = shapely.get_y(to_points) - shapely.get_y(from_points)
    bearing = np.degrees(np.arctan2(dx, dy)) % 360
    known = ~np.isnan(bearing)
    named = np.full(len(bearing), None, dtype=object)
    named[known] = winds[(((bearing[known] + 22.5) // 45) % 8).astype(int)]
    return named


def geometry_array(frame: gpd.GeoDataFrame | None) -> np.ndarray:
    """Return a layer's geometries as an array, empty where the market has no such layer."""
    return np.empty(0, dtype=object) if frame is None else np.asarray(frame.geometry.array)
