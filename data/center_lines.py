"""Draw the center lines of corridors: areas along a pipe, a wire or a street."""

import numpy as np
import shapely
from scipy.spatial import Voronoi

# The outline is sampled so many times along the width of a corridor, and no more often in all.
SAMPLES_ACROSS, SAMPLES_MOST = 6, 50_000
# Two points of the outline are on opposite sides if the way along it is this many times as long as
# the straight way. Beside a right-angled corner it is 1.4 times as long.
OPPOSITE = 2.0


def draw_center_lines(areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the line midway between the sides of each corridor.

    It consists of the edges of the Voronoi diagram of the outline that separate opposite sides
    (Ogniewicz and Kübler, "Hierarchic Voronoi skeletons", Pattern Recognition 28(3), 1995). It ends
    half a width before the end of a corridor.

    Args:
        areas: Valid polygons and multipolygons (n,), in a metric frame.

    Returns:
        The lines (n,), None for an area that is not longer than it is wide, and how far the sides
        are from each line at most (n,), in meters.

    >>> lines, aside_m = draw_center_lines(np.array([shapely.box(0, 0, 100, 4)]))
    >>> [round(x) for x in lines[0].bounds], round(aside_m[0])
    ([2, 2, 98, 2], 2)
    """
    lines = np.full(len(areas), None, dtype=object)
    aside_m = np.full(len(areas), np.nan)
    for nth, area in enumerate(areas):
        drawn = [_draw_center_line(part) for part in shapely.get_parts(area)]
        if any(line is None for line in drawn):
            continue
        lines[nth] = shapely.line_merge(shapely.union_all(drawn))
        corners = shapely.points(shapely.get_coordinates(lines[nth]))
        aside_m[nth] = shapely.distance(corners, shapely.boundary(area)).max()
    return lines, aside_m


def _draw_center_line(area: shapely.Polygon) -> shapely.Geometry | None:
    """Return the center line of one polygon; None if it is not longer than it is wide."""
    outline = shapely.boundary(area)
    length_m = shapely.length(outline)
    # Of a long corridor, this is the width.
    width_m = 2 * shapely.area(area) / length_m
    step_m = max(width_m / SAMPLES_ACROSS, length_m / SAMPLES_MOST)
    samples, along_m, ring, ring_m = _sample_rings(area, step_m)
    diagram = Voronoi(samples)
    edges = np.asarray(diagram.ridge_vertices)
    one, other = diagram.ridge_points.T
    way_m = np.abs(along_m[one] - along_m[other])
    way_m = np.minimum(way_m, ring_m[ring[one]] - way_m)
    way_m[ring[one] != ring[other]] = np.inf
    straight_m = np.hypot(*(samples[one] - samples[other]).T)
    kept = (edges >= 0).all(axis=1) & (way_m > OPPOSITE * straight_m)
    shapely.prepare(area)
    inside = shapely.contains_xy(area, diagram.vertices)
    kept &= inside[edges].all(axis=1)
    if not kept.any():
        return None
    pieces = shapely.linestrings(diagram.vertices[edges[kept]])
    line = shapely.simplify(shapely.line_merge(shapely.union_all(pieces)), step_m / 2)
    return line if shapely.length(line) > width_m else None


def _sample_rings(
    area: shapely.Polygon, step_m: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points along the rings, where on its ring and on which each is, and ring lengths."""
    rings = shapely.get_rings(area)
    points, of = shapely.get_coordinates(shapely.segmentize(rings, step_m), return_index=True)
    ring_m = shapely.length(rings)
    gaps_m = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    first = np.flatnonzero(np.diff(of, prepend=-1))
    gaps_m[first] = 0.0
    along_m = np.cumsum(gaps_m)
    along_m -= along_m[first][of]
    # The last point of a ring is its first again.
    last = np.append(first[1:], len(of)) - 1
    keep = np.ones(len(of), dtype=bool)
    keep[last] = False
    return points[keep], along_m[keep], of[keep], ring_m
