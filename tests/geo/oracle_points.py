"""Where a receptor's level is measured, for the slow oracle: points along its line.

Written from the definition alone, without reference to `geo.criteria.noise.receiver_points`: one
receptor at a time, one straight piece at a time.
"""

import functools
import itertools
import math

import shapely
from shapely import Geometry, Point

FAR_M, FARTHER_M = 50.0, 100.0
NEAR_STEP_M, FAR_STEP_M, FARTHER_STEP_M = 2.5, 5.0, 10.0
FACING_BEYOND_M = 60.0
SIMPLER_BY_M = 0.05
# So far to each side of a line, the receptor is looked for.
BESIDE_M = 0.5
Spot = tuple[float, float]
Piece = tuple[Spot, Spot]


@functools.lru_cache(maxsize=20_000)
def list_points(
    shape: Geometry, lot: Geometry, beyond_m: float, *, own: bool = False, close: bool = False
) -> list[Spot]:
    """Return the points of a receptor at which the level of a site's machines is measured.

    Args:
        shape: The receptor.
        lot: The site's lot.
        beyond_m: How far beyond the lot's line the limit applies; negative: in front of a facade.
        own: Whether the receptor is a dwelling on the site itself.
        close: Whether the points are close together, because it is louder between the usual ones.

    Returns:
        Every corner of the receptor's line, and points between them that divide each straight piece
        evenly; of a receptor that is far away, only those that face the site.
    """
    away_m = 0.0 if is_cut(shape, lot, beyond_m, own=own) else shape.distance(lot)
    step_m = close_step_at(away_m) if close else step_at(away_m)
    return list_points_every(step_m, shape, lot, beyond_m, own=own)


def list_points_every(
    step_m: float, shape: Geometry, lot: Geometry, beyond_m: float, *, own: bool = False
) -> list[Spot]:
    """Return points that are at most `step_m` apart, otherwise as `list_points` does.

    Args:
        step_m: The longest distance between two points.
        shape: The receptor.
        lot: The site's lot.
        beyond_m: As in `list_points`.
        own: As in `list_points`.

    Returns:
        The points.
    """
    line = line_of(shape, lot, beyond_m, own=own)
    around = put_in_front(shape, beyond_m)
    if shape.distance(lot) <= FACING_BEYOND_M or not is_area(around):
        return space_points(line, step_m)
    return [
        spot
        for ring in getattr(line, "geoms", [line])
        for spot in space_facing_points(ring, around, lot, step_m)
    ]


def step_at(away_m: float) -> float:
    """Return how far apart the points of a receptor are, by its distance from the lot."""
    if away_m <= FAR_M:
        return NEAR_STEP_M
    return FAR_STEP_M if away_m <= FARTHER_M else FARTHER_STEP_M


def close_step_at(away_m: float) -> float:
    """Return the same where it is louder between the points."""
    return 0.5 if away_m <= FARTHER_M else 1.0


def is_cut(shape: Geometry, lot: Geometry, beyond_m: float, *, own: bool) -> bool:
    """Return whether a part of the receptor is too near to the lot for the limit to apply."""
    return is_area(shape) and not own and beyond_m >= 0 and shape.distance(lot) <= beyond_m


def line_of(shape: Geometry, lot: Geometry, beyond_m: float, *, own: bool = False) -> Geometry:
    """Return the line along which a receptor's points lie; one without an area is its own line."""
    if beyond_m < 0:
        line = walk_around(put_in_front(shape, beyond_m))
    elif is_cut(shape, lot, beyond_m, own=own):
        line = beyond_line(shape, lot, beyond_m)
    elif is_area(shape):
        line = walk_around(shape)
    else:
        return shape
    return line.simplify(SIMPLER_BY_M)


def walk_around(shape: Geometry) -> Geometry:
    """Return the boundary of an area, with the area to its left.

    Of several corners within `SIMPLER_BY_M`, the direction decides which are left out.
    """
    return shapely.orient_polygons(shape).boundary


def put_in_front(shape: Geometry, beyond_m: float) -> Geometry:
    """Return a receptor, or the area around it if the level is measured in front of its facade."""
    return shape.buffer(-beyond_m, join_style="mitre", mitre_limit=2) if beyond_m < 0 else shape


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
        pieces = list_pieces(part)
        for piece in pieces:
            found += divide(piece, step_m)
        if pieces[0][0] != pieces[-1][1]:
            found.append(pieces[-1][1])
    return found


def space_facing_points(
    ring: Geometry, around: Geometry, lot: Geometry, step_m: float
) -> list[Spot]:
    """Return the points of a ring from which some of the box around a lot is on the outer side.

    Args:
        ring: A closed line.
        around: The area of which it is a boundary.
        lot: The lot.
        step_m: The longest distance between two points.

    Returns:
        The points for which this holds at either of the pieces that meet there.
    """
    left, bottom, right, top = lot.bounds
    box = list(itertools.product((left, right), (bottom, top)))
    pieces, found = list_pieces(ring), []
    outer = find_outer_side(pieces, around)
    for before, piece in zip([pieces[-1], *pieces[:-1]], pieces, strict=True):
        for nth, spot in enumerate(divide(piece, step_m)):
            meeting = [piece] if nth else [before, piece]
            if any(outer * side_of(each, spot, at) > 0 for each in meeting for at in box):
                found.append(spot)
    return found


def list_pieces(line: Geometry) -> list[Piece]:
    """Return the straight pieces of a line."""
    return list(itertools.pairwise((x, y) for x, y, *_ in line.coords))


def divide(piece: Piece, step_m: float) -> list[Spot]:
    """Return the points that divide a piece evenly, with its beginning and without its end."""
    (x0, y0), (x1, y1) = piece
    parts = max(math.ceil(math.hypot(x1 - x0, y1 - y0) / step_m), 1)
    return [(x0 + (x1 - x0) * i / parts, y0 + (y1 - y0) * i / parts) for i in range(parts)]


def side_of(piece: Piece, spot: Spot, at: Spot) -> float:
    """Return a number above 0 if `at` is to the left of a piece through `spot`, else below."""
    (x0, y0), (x1, y1) = piece
    return (x1 - x0) * (at[1] - spot[1]) - (y1 - y0) * (at[0] - spot[0])


def find_outer_side(pieces: list[Piece], around: Geometry) -> int:
    """Return 1 if the outer side of a ring is to its left, else -1.

    It is the side with less of the area next to the longest piece.
    """
    longest = shapely.LineString(max(pieces, key=lambda piece: math.dist(*piece)))
    to_left, to_right = (
        around.intersection(longest.buffer(off_m, single_sided=True)).area
        for off_m in (BESIDE_M, -BESIDE_M)
    )
    return 1 if to_left < to_right else -1
