"""Check whether a truck or a crane can get from the street to the pad.

A vehicle is a disc as wide as the path that it needs. Its center may be on the parcel, and on the
street in front of it, except within half that width of a building or of a lot line that is not on
the street. The disc may cross the lot line on the street, since that line is open.
"""

import numpy as np
import shapely

from geo.criteria.pad.yards import make_valid_polygons
from geo.shapes.near import unite_convex

TOLERANCE_M = 0.005
NEAR_M = 0.01
ASIDE_M = 0.05
QUARTER = 8  # corners of a quarter circle: a path around a building's corner is 0.5 % too short


def check_access(
    parcels: np.ndarray,
    buildings_site: np.ndarray,
    buildings: np.ndarray,
    street: np.ndarray,
    pads: np.ndarray,
    width_m: float,
) -> np.ndarray:
    """Check for each site whether a path leads from its street side to its pad.

    A tolerance of 5 mm on each side is allowed, and the path ends where the disc is within 1 cm of
    the pad, which is free ground. A pad that can be reached from the street itself needs no path on
    the lot. For example, a building 17 m wide on a lot 20 m wide leaves a lane of 3 m: a pad behind
    it is reached when the path is 3 m wide, and blocked when it is 3.02 m wide.

    Args:
        parcels: The parcels (n,), in one metric frame.
        buildings_site: The site's position of each building (b,).
        buildings: The buildings (b,); any part outside the parcel is ignored.
        street: The lot lines on the street (n,), as `yards.select_street_lines` returns them.
        pads: The pads (n,); None or empty where not known.
        width_m: The width of the path.

    Returns:
        For each site (n,) `reached`, `blocked`, `no street side`, or None where the street side or
        the pad is not known.
    """
    answer = np.full(len(parcels), None, dtype=object)
    known = ~shapely.is_missing(street) & ~(shapely.is_missing(pads) | shapely.is_empty(pads))
    answer[known & shapely.is_empty(street)] = "no street side"
    sites = np.flatnonzero(known & ~shapely.is_empty(street))
    if not len(sites):
        return answer
    answer[sites] = "blocked"
    place = np.full(len(parcels), -1)
    place[sites] = np.arange(len(sites))
    on_known_site = place[buildings_site] >= 0
    land, radius = make_valid_polygons(parcels[sites]), max(width_m / 2 - TOLERANCE_M, 0.0)
    taken = _blocked_ground(
        land,
        place[buildings_site][on_known_site],
        make_valid_polygons(buildings[on_known_site]),
        street[sites],
        radius,
    )
    before = _street_strip(land, street[sites], width_m)
    on_lot, lot_of = shapely.get_parts(shapely.difference(land, taken), return_index=True)
    on_street, street_of = shapely.get_parts(shapely.difference(before, taken), return_index=True)
    ways = np.concatenate((on_lot, on_street))
    of = np.concatenate((lot_of, street_of))
    good = shapely.distance(ways, before[of]) <= NEAR_M
    good &= shapely.distance(ways, pads[sites[of]]) <= width_m / 2 + NEAR_M
    answer[sites[of[good]]] = "reached"
    return answer


def _blocked_ground(
    parcels: np.ndarray,
    site: np.ndarray,
    buildings: np.ndarray,
    street: np.ndarray,
    radius_m: float,
) -> np.ndarray:
    """Return the ground too near to a building, or to a lot line that is not on the street."""
    # Cut 1 cm wider: the street's line may differ from the lot's in the last digits, and no piece
    # of it may be left to block the path.
    lines = shapely.difference(shapely.boundary(parcels), shapely.buffer(street, NEAR_M))
    inside = shapely.intersection(buildings, parcels[site])
    everything = np.concatenate((lines, inside))
    of = np.concatenate((np.arange(len(parcels)), site))
    order = np.argsort(of, kind="stable")
    obstacles = shapely.geometrycollections(everything[order], indices=of[order])
    return np.asarray(shapely.buffer(obstacles, radius_m, quad_segs=QUARTER))


def _street_strip(parcels: np.ndarray, street: np.ndarray, width_m: float) -> np.ndarray:
    """Return the street in front of each parcel: a rectangle `width_m` deep at each line piece."""
    lines, of_line = shapely.get_parts(street, return_index=True)
    xy, line = shapely.get_coordinates(lines, return_index=True)
    begin, end = xy[:-1], xy[1:]
    length = np.hypot(*(end - begin).T)
    kept = (line[:-1] == line[1:]) & (length > 0)
    begin, end, of = begin[kept], end[kept], of_line[line[:-1][kept]]
    along = (end - begin) / length[kept, None]
    off = np.column_stack((along[:, 1], -along[:, 0]))
    shapely.prepare(parcels)
    aside = (begin + end) / 2 + off * ASIDE_M
    off[shapely.contains_xy(parcels[of], *aside.T)] *= -1
    corners = (begin, end, end + off * width_m, begin + off * width_m)
    return unite_convex(np.stack(corners, axis=1), of, len(parcels))
