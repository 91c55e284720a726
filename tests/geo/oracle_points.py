"""Where a receptor's level is measured, for the slow oracle: points along its line.

Written from the definition alone, without reference to `geo.criteria.noise.receiver_points`: one
receptor at a time, one straight piece at a time.
"""

import itertools
import math

import shapely
from shapely import Geometry, Point

FAR_M, FARTHER_M = 20.0, 60.0
NEAR_STEP_M, FAR_STEP_M, FARTHER_STEP_M = 2.5, 5.0, 10.0
SIMPLER_BY_M = 0.05
Spot = tuple[float, float]


def list_points(
    shape: Geometry, lot: Geometry, beyond_m: float, *, own: bool = False
) -> list[Spot]:
    """Return the points of a receptor at which the level of a site's machines is measured.

    Args:
        shape: The receptor.
        lot: The site's lot.
        beyond_m: How far beyond the lot's line the limit applies; negative: in front of a facade.
        own: Whether the receptor is a dwelling on the site itself.

    Returns:
        Every corner of the receptor's line, and points between them that divide each straight piece
        evenly.
    """
    step_m = NEAR_STEP_M if is_cut(shape, lot, beyond_m, own=own) else step_at(shape.distance(lot))
    return space_points(line_of(shape, lot, beyond_m, own=own), step_m)


def step_at(away_m: float) -> float:
    """Return how far apart the points of a receptor are, by its distance from the lot."""
    if away_m <= FAR_M:
        return NEAR_STEP_M
    return FAR_STEP_M if away_m <= FARTHER_M else FARTHER_STEP_M


def is_cut(shape: Geometry, lot: Geometry, beyond_m: float, *, own: bool) -> bool:
    """Return whether a part of the receptor is too near to the lot for the limit to apply."""
    return is_area(shape) and not own and beyond_m >= 0 and shape.distance(lot) <= beyond_m


def line_of(shape: Geometry, lot: Geometry, beyond_m: float, *, own: bool = False) -> Geometry:
    """Return the line along which a receptor's points lie; one without an area is its own line."""
    if beyond_m < 0:
        line = shape.buffer(-beyond_m, join_style="mitre", mitre_limit=2).boundary
    elif is_cut(shape, lot, beyond_m, own=own):
        line = beyond_line(shape, lot, beyond_m)
    elif is_area(shape):
        line = shape.boundary
    else:
        return shape
    return line.simplify(SIMPLER_BY_M)


def is_area(shape: Geometry) -> bool:
    return bool(shape.area > 0)


def beyond_line(shape: Geometry, lot: Geometry, beyond_m: float) -> Geometry:
    """Return the line of the receptor's part that is at least `beyond_m` away from the lot.

    Where there is no such part, it is the line at that distance from the lot, beside the receptor.
    """
    # The function's corners have fewer pieces than those of the method of the same name.
    too_near = shapely.buffer(lot, beyond_m) if beyond_m > 0 else lot
    left = shape.difference(too_near)
    if left.area > 0:
        return left.boundary
    if beyond_m > 0:
        beside = too_near.boundary.intersection(shapely.buffer(shape, beyond_m))
        if not beside.is_empty:
            return beside
    return shape.boundary


def space_points(line: Geometry, step_m: float) -> list[Spot]:
    """Return the corners of a line, and points that divide each straight piece evenly."""
    found: list[Spot] = []
    for part in getattr(line, "geoms", [line]):
        if isinstance(part, Point):
            found.append((part.x, part.y))
            continue
        corners = [(x, y) for x, y, *_ in part.coords]
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            pieces = max(math.ceil(math.hypot(x1 - x0, y1 - y0) / step_m), 1)
            found += [
                (x0 + (x1 - x0) * i / pieces, y0 + (y1 - y0) * i / pieces) for i in range(pieces)
            ]
        if corners[0] != corners[-1]:
            found.append(corners[-1])
    return found
