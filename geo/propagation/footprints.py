"""Building outlines ready for the path search: valid, apart or joined, and without extra corners.

Footprint layers have row houses that share walls, outlines that were digitized twice, and corners
that do not exist. The path search must not depend on these, so the outlines are prepared once:

1. An outline that cannot be an obstacle is left out and counted, with the reason.
2. Buildings that touch and have equally high roofs become one outline.
3. Of two buildings that touch and have different roofs, the lower one loses what overlaps with the
   higher one, except for a strip under its edge (UNDER_M), so that no path fits between the two.
4. Spikes and slivers thinner than DIGITIZING_M are removed, and so are corners that are nearer
   than that to a straight wall.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.shapes.near import unite_by_group

DIGITIZING_M = 0.02
"""Outlines are digitized to about this. Buildings that are nearer to each other touch."""
UNDER_M = 0.05
SAME_ROOF_M = 0.005
HIGHEST_M = 1_000.0
"""No building is higher than this."""
FARTHEST_M = 1e8
"""No metric frame has coordinates beyond this."""
TOUCHING_M = DIGITIZING_M + 0.001
HALF_M = TOUCHING_M / 2
NO_OUTLINE = "without an outline"
BAD_COORDINATES = "with coordinates that are not finite or too large"
NO_AREA = "with an outline that has no area"
UNKNOWN_HEIGHT = "of unknown height"
IMPOSSIBLE_HEIGHT = "of impossible height"
NOT_ABOVE_GROUND = "with a roof that is not above the ground"


@dataclass(frozen=True)
class Footprints:
    """N prepared outlines.

    Attributes:
        outlines: Polygons (N,), their shells counter-clockwise.
        top_m: Height of each roof above the datum (N,).
        building: The position of a building that each outline comes from (N,).
        left_out: How many buildings are left out, by reason.
    """

    outlines: np.ndarray
    top_m: np.ndarray
    building: np.ndarray
    left_out: dict[str, int]


def find_unusable(
    shapes: np.ndarray, height_m: np.ndarray, *, above_ground: bool = True
) -> dict[str, np.ndarray]:
    """Return which buildings cannot be obstacles, by reason; each has one reason at most.

    A roof at 0 m above the ground, and one at infinity:

    >>> square = shapely.box(0, 0, 9, 9)
    >>> found = find_unusable(np.array([square] * 2), np.array([0, np.inf]), above_ground=True)
    >>> {reason: int(rows.sum()) for reason, rows in found.items() if rows.any()}
    {'of impossible height': 1, 'with a roof that is not above the ground': 1}

    Args:
        shapes: Buildings (S,), in a metric frame.
        height_m: Height of each roof (S,), NaN where unknown.
        above_ground: Whether heights are above the ground; otherwise they are above the datum.

    Returns:
        A mask (S,) by reason.
    """
    number, of = shapely.get_coordinates(shapes, return_index=True)
    wild = ~(np.abs(number) <= FARTHEST_M).all(axis=1)
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    impossible = ~np.isnan(height_m) & ~(
        np.abs(height_m) <= HIGHEST_M * (1 if above_ground else 10)
    )
    bad = np.bincount(of[wild], minlength=len(shapes)) > 0
    flat = ~missing & ~bad & (shapely.area(shapes) == 0)
    # The two halves of a bow tie have opposite signs.
    flat[flat] = shapely.area(shapely.make_valid(shapes[flat])) == 0
    checks = {
        NO_OUTLINE: missing,
        BAD_COORDINATES: bad,
        NO_AREA: flat,
        UNKNOWN_HEIGHT: np.isnan(height_m),
        IMPOSSIBLE_HEIGHT: impossible,
        NOT_ABOVE_GROUND: (height_m <= 0) & above_ground,
    }
    earlier = np.zeros(len(shapes), dtype=bool)
    reasons = {}
    for reason, rows in checks.items():
        reasons[reason] = rows & ~earlier
        earlier |= rows
    return reasons


def prepare_footprints(
    shapes: np.ndarray, top_m: np.ndarray, absorption: np.ndarray, unusable: dict[str, np.ndarray]
) -> Footprints:
    """Prepare building outlines for the path search.

    Two houses that share a wall become one outline with four corners:

    >>> houses = np.array([shapely.box(0, 0, 10, 8), shapely.box(10, 0, 20, 8)])
    >>> row = prepare_footprints(houses, np.full(2, 6.0), np.zeros((2, 8)), {})
    >>> len(row.outlines), len(row.outlines[0].exterior.coords) - 1
    (1, 4)

    Args:
        shapes: Buildings as polygons (S,), possibly with holes or several parts, in a metric frame.
        top_m: Height of each roof above the datum (S,).
        absorption: The share of sound that each building's walls absorb (S, 8). Only buildings that
            absorb equally are joined.
        unusable: Which buildings to leave out, by reason (see `find_unusable`).

    Returns:
        The outlines, and how many buildings are left out.
    """
    usable = ~np.logical_or.reduce([*unusable.values(), np.zeros(len(shapes), dtype=bool)])
    building = np.flatnonzero(usable)
    parts, of = _valid_polygons(shapes[building])
    building = building[of]
    parts, of = _remove_thin(parts)
    building = building[of]
    left_out = {reason: int(rows.sum()) for reason, rows in unusable.items()}
    left_out[NO_AREA] = left_out.get(NO_AREA, 0) + int(usable.sum()) - len(np.unique(building))

    one, other = _touching(parts)
    if len(one):
        top = top_m[building]
        alike = (np.abs(top[one] - top[other]) <= SAME_ROOF_M) & (
            absorption[building[one]] == absorption[building[other]]
        ).all(axis=1)
        parts, first = _join(parts, one[alike], other[alike], top)
        building = building[first]
        parts, of = _cut_below(parts, top_m[building])
        building = building[of]
    parts = shapely.simplify(shapely.normalize(parts), DIGITIZING_M)
    parts = shapely.orient_polygons(parts, exterior_cw=False)
    return Footprints(parts, top_m[building], building, left_out)


def _valid_polygons(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the valid polygons of some shapes, and the shape that each belongs to."""
    parts, of = shapely.get_parts(shapes, return_index=True)
    polygonal = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    parts, of = parts[polygonal], of[polygonal]
    invalid = np.flatnonzero(~shapely.is_valid(parts))
    if len(invalid):
        parts[invalid] = _repair(parts[invalid])
    # A repaired polygon, or a shape whose parts overlap, is several polygons or a single one.
    return _explode(parts, of)


def _repair(polygons: np.ndarray) -> np.ndarray:
    """Return valid shapes with the area of the shells minus that of the holes."""
    rings, of = shapely.get_rings(polygons, return_index=True)
    area = shapely.make_valid(shapely.polygons(rings), method="structure", keep_collapsed=False)
    is_shell = np.concatenate((np.ones(1, dtype=bool), of[1:] != of[:-1]))
    holes = np.full(len(polygons), shapely.Polygon(), dtype=object)
    for each in np.unique(of[~is_shell]):
        holes[each] = shapely.union_all(area[~is_shell & (of == each)])
    return np.asarray(shapely.difference(area[is_shell], holes))


def _explode(shapes: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the polygons of some shapes, and `of` of each one's shape."""
    parts, place = shapely.get_parts(shapes, return_index=True)
    solid = shapely.area(parts) > 0
    return parts[solid], of[place[solid]]


def _offset(shapes: np.ndarray, by_m: float) -> np.ndarray:
    return np.asarray(shapely.buffer(shapes, by_m, join_style="mitre"))


def _remove_thin(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove slits, spikes and slivers; return the polygons left, and the part that each was."""
    parts = parts.copy()
    thin = np.flatnonzero(shapely.minimum_clearance(parts) < 2 * HALF_M)
    if len(thin):
        parts[thin] = _open_necks(_close_gaps(parts[thin]))
    return _explode(parts, np.arange(len(parts)))


def _touching(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of polygons that touch or overlap, each pair once."""
    one, other = shapely.STRtree(parts).query(parts, predicate="dwithin", distance=TOUCHING_M)
    return one[one < other], other[one < other]


def _join(
    parts: np.ndarray, one: np.ndarray, other: np.ndarray, top: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Join polygons by pairs; return the polygons, and for each the highest of its members."""
    count = len(parts)
    graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(count, count))
    groups, group = connected_components(graph, directed=False)
    order = np.lexsort((np.arange(count), -top, group))
    highest = order[np.unique(group[order], return_index=True)[1]]
    joined = unite_by_group(parts, group, groups)
    several = np.bincount(group, minlength=groups) > 1
    joined[several] = _close_gaps(joined[several])
    parts, of = _explode(joined, np.arange(groups))
    one, other = _touching(parts)
    same = of[one] == of[other]
    if same.any():
        patches = _patch_corners(parts[one[same]], parts[other[same]])
        joined = unite_by_group(
            np.concatenate((parts, patches)), np.concatenate((of, of[one[same]])), groups
        )
        parts, of = _explode(joined, np.arange(groups))
    return parts, highest[of]


def _cut_below(parts: np.ndarray, top: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut higher polygons out of the lower ones that they touch, except for a strip.

    Return the polygons, and the one that each was.
    """
    one, other = _touching(parts)
    first_is_low = top[one] < top[other]
    low, high = np.where(first_is_low, (one, other), (other, one))
    lower, nth = np.unique(low, return_inverse=True)
    if not len(lower):
        return parts, np.arange(len(parts))
    above = unite_by_group(parts[high], nth, len(lower))
    left = _open_necks(shapely.difference(parts[lower], above))
    wider = _offset(left, UNDER_M)
    strip = shapely.intersection(wider, above)
    shared = shapely.area(shapely.intersection(wider[nth], parts[high]))
    at_corner = (shared < 2 * UNDER_M**2) & (shapely.distance(left[nth], parts[high]) <= TOUCHING_M)
    patches = _patch_corners(left[nth[at_corner]], parts[high[at_corner]])
    every = np.arange(len(lower))
    whole = unite_by_group(
        np.concatenate((left, strip, patches)),
        np.concatenate((every, every, nth[at_corner])),
        len(lower),
    )
    parts = parts.copy()
    parts[lower] = _close_gaps(whole)
    return _explode(parts, np.arange(len(parts)))


def _close_gaps(shapes: np.ndarray) -> np.ndarray:
    return _offset(_offset(shapes, HALF_M), -HALF_M)


def _open_necks(shapes: np.ndarray) -> np.ndarray:
    return _offset(_offset(shapes, -HALF_M), HALF_M)


def _patch_corners(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return a small square at each place where two outlines touch in a corner."""
    nearest = shapely.shortest_line(one, other)
    return np.asarray(shapely.buffer(shapely.centroid(nearest), UNDER_M, cap_style="square"))
