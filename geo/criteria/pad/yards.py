"""Determine which yard lies along each lot line of a parcel: front, side or rear.

A line is classified by the land in the strip from 0.05 m to 1 m outside it. Adjoining lots seldom
share exact coordinates: anything nearer than 0.05 m is drawing error, and anything farther than 1 m
is not a neighbor. Along the line the result is exact, without sampling.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.shapes.near import geometry_array, unite_convex

ABUTS_M = 1.0
STRIP_M = 0.05
SHORTEST_M = 0.001
ROUNDING_M = 1e-6
ROUNDING = 1e-9
SAME_FRONT = np.cos(np.radians(60.0))
BEHIND = np.cos(np.radians(135.0))
NO_SITE = -2
LAND = ("lot", "rail", "water")


@dataclass(frozen=True)
class LotLines:
    """One row per edge of every ring of every parcel, in order of parcel, ring and vertex.

    `of` (m,) is the parcel's position; from `begin` to `end` (m, 2), in meters, the parcel's land
    is on the left; `yard` (m,) is `front`, `side`, `rear` or `unknown`; `abuts_home` (m,) is
    whether the lot of a home, other than the site's own, lies beside the edge; `length_m` (m,);
    `mapped` (m,) is whether the parcel's surroundings were known when the yards were classified.
    """

    of: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    yard: np.ndarray
    abuts_home: np.ndarray
    length_m: np.ndarray
    mapped: np.ndarray


def classify_lot_lines(
    parcels: np.ndarray, own: np.ndarray, lots: gpd.GeoDataFrame | None, known: np.ndarray
) -> LotLines:
    """Determine which yard each edge of each parcel bounds, and whether a home lies beyond it.

    - `front`: less than half of it has land beside it (a lot, rail or water other than the site's
      own), and either a street is drawn beside it, or there is no land at all beside it, not even
      the site's own: assessors who do not draw streets leave them as gaps. "Beside it" means along
      1 m of the edge, or along all of a shorter edge.
    - `rear`: another edge that faces more than 135 degrees away from the main front. The main
      front is the mean direction, weighted by length, of the fronts within 60 degrees of the
      longest.
    - `side`: the rest, edges along rail or water for more than half, and edges of holes.
    - `unknown`: every edge of a parcel that is not known to be mapped or that has no front.

    A lot of unknown use may be a home and counts as one. `abuts_home` reports the lots that are
    drawn: where the surroundings are not mapped, False does not mean that no home is there. For
    example, a 20 by 30 m parcel with lots on three sides and nothing south of it has its front in
    the south, its rear in the north, and two sides.

    Args:
        parcels: Polygons (n,), of one part or several, in a metric frame.
        own: The parcels' site ids (n,).
        lots: The lots in the same frame, with kind (`lot`, `street`, `rail`, `water`), use_class
            and site_id (None: of no site); None where the market has no lots.
        known: Whether each parcel (n,) lies inside the area where lots are mapped.

    Returns:
        One row per edge. Edges shorter than 1 mm and empty parcels have none.
    """
    of, begin, end, hole = _edges(parcels)
    length = np.hypot(*(end - begin).T)
    mapped = np.asarray(known, dtype=bool)[of] & (lots is not None)
    yard = np.full(len(of), "unknown", dtype=object)
    home = np.zeros(len(of), dtype=bool)
    if lots is None or not len(of):
        return LotLines(of, begin, end, yard, home, length, mapped)
    site, names = pd.factorize(np.asarray(own, dtype=object))
    beside = _measure_land_beside(begin, end, site[of], _code_lots(lots, names))
    touch = np.minimum(ABUTS_M, length) - ROUNDING_M
    home = beside["home"] >= touch
    front = beside["neighbor"] < length / 2 - ROUNDING_M
    front &= (beside["street"] >= touch) | (beside["land"] < touch)
    front &= ~hole & mapped
    across = hole | (beside["barrier"] > length / 2 + ROUNDING_M)
    outward = _outward(begin, end, length)
    away = _cosine_to_front(of, outward, length, front, len(parcels))
    faced = np.bincount(of[front], minlength=len(parcels))[of] > 0
    yard[faced] = "side"
    yard[faced & ~across & (away < BEHIND - ROUNDING)] = "rear"
    yard[front] = "front"
    return LotLines(of, begin, end, yard, home, length, mapped)


def cut_yards(parcels: np.ndarray, lines: LotLines, depth_m: np.ndarray) -> np.ndarray:
    """Cut a band along each edge out of each parcel.

    A band extends by its depth past both ends of its edge, with square ends, and to both sides of
    it, since ground across a notch is as near to the line as ground in front of it. A band of depth
    0 removes nothing. A parcel that crosses itself is made valid first; an empty one stays empty.
    For example, 3 m along every edge of a 20 by 30 m parcel leaves 14 by 24 m.

    Args:
        parcels: Polygons (n,), in a metric frame.
        lines: The parcels' edges (m rows), as `classify_lot_lines` returns them.
        depth_m: The depth along each edge (m,).

    Returns:
        What is left of each parcel (n,).

    Raises:
        ValueError: When a depth is below 0 or NaN.
    """
    if not (depth_m >= 0).all():
        raise ValueError("a yard's depth is 0 or more: it is a distance from a line")
    deep = depth_m > ROUNDING_M
    of, begin, end, depth = lines.of[deep], lines.begin[deep], lines.end[deep], depth_m[deep, None]
    land = make_valid_polygons(parcels)
    if not len(of):
        return land
    along = (end - begin) / lines.length_m[deep, None]
    right = np.column_stack((along[:, 1], -along[:, 0]))
    first, last = begin - along * depth, end + along * depth
    aside = right * depth
    corners = np.stack((first - aside, first + aside, last + aside, last - aside), axis=1)
    bands = unite_convex(corners, of, len(parcels))
    return np.asarray(shapely.difference(land, bands))


def select_street_lines(lines: LotLines, count: int) -> np.ndarray:
    """Return the front edges of each of `count` parcels as one MultiLineString.

    It is empty where a mapped parcel has no front, and None where the surroundings are not mapped.
    For example, a corner lot of 20 by 30 m has 50 m of front.
    """
    sides = np.full(count, shapely.MultiLineString(), dtype=object)
    front = lines.yard == "front"
    if front.any():
        pieces = np.stack((lines.begin[front], lines.end[front]), axis=1)
        shapely.multilinestrings(shapely.linestrings(pieces), indices=lines.of[front], out=sides)
    sides[lines.of[~lines.mapped]] = None
    return sides


def make_valid_polygons(shapes: np.ndarray) -> np.ndarray:
    """Make shapes that cross or touch themselves valid, and return polygons only.

    A shape without area, or a missing one, becomes an empty polygon.
    """
    polygons = shapes.copy()
    wrong = ~shapely.is_valid(shapes)
    polygons[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
    polygons[~(shapely.area(polygons) > 0)] = shapely.Polygon()
    return polygons


def _edges(parcels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return each edge's parcel, start and end (land on the left), and whether it bounds a hole."""
    parts, of_part = shapely.get_parts(parcels, return_index=True)
    rings, of_ring = shapely.get_rings(
        shapely.orient_polygons(parts, exterior_cw=False), return_index=True
    )
    # The first ring of a part is its outline.
    inner = np.concatenate((np.zeros(min(len(of_ring), 1), dtype=bool), np.diff(of_ring) == 0))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    begin, end = xy[:-1], xy[1:]
    kept = (ring[:-1] == ring[1:]) & (np.hypot(*(end - begin).T) >= SHORTEST_M)
    ring = ring[:-1][kept]
    return of_part[of_ring[ring]], begin[kept], end[kept], inner[ring]


def _outward(begin: np.ndarray, end: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return the unit normal (m, 2) of each edge that points away from the land on its left."""
    return np.asarray(
        np.column_stack(((end - begin)[:, 1], -(end - begin)[:, 0])) / length[:, None]
    )


def _cosine_to_front(
    of: np.ndarray, outward: np.ndarray, length: np.ndarray, front: np.ndarray, count: int
) -> np.ndarray:
    """Return the cosine of the angle between each edge's normal and its parcel's main front.

    It is 0 on a parcel without a front.
    """
    longest = np.zeros(count)
    np.maximum.at(longest, of[front], length[front])
    # If lengths are equal to a millimeter, the first leads, so rotation keeps the main front.
    leads = np.flatnonzero(front & (length >= longest[of] - SHORTEST_M))
    parcel, first = np.unique(of[leads], return_index=True)
    lead = np.zeros((count, 2))
    lead[parcel] = outward[leads[first]]
    facing = front & ((outward * lead[of]).sum(axis=1) >= SAME_FRONT - ROUNDING)
    weighted = outward[facing] * length[facing, None]
    main = np.column_stack(
        [np.bincount(of[facing], weights=weighted[:, axis], minlength=count) for axis in (0, 1)]
    )
    size = np.hypot(*main.T)
    main = np.asarray(main / np.where(size > 0, size, 1.0)[:, None])
    return np.asarray((outward * main[of]).sum(axis=1))


@dataclass(frozen=True)
class _Lots:
    """The shapes of the lots, the position of each lot's site (-2: no site), and its kinds."""

    shapes: np.ndarray
    site: np.ndarray
    land: np.ndarray
    barrier: np.ndarray
    home: np.ndarray
    street: np.ndarray


def _code_lots(lots: gpd.GeoDataFrame, names: np.ndarray) -> _Lots:
    has_shape = ~(lots.geometry.is_empty | lots.geometry.isna()).to_numpy()
    lots = lots[has_shape]
    site = pd.Index(names).get_indexer(lots["site_id"].to_numpy(dtype=object))
    kind = lots["kind"].to_numpy(dtype=object)
    return _Lots(
        shapes=geometry_array(lots),
        site=np.where(site < 0, NO_SITE, site),
        land=np.isin(kind, LAND),
        barrier=np.isin(kind, ("rail", "water")),
        # A lot of unknown use may be a home.
        home=(kind == "lot")
        & (lots["use_class"].isna() | (lots["use_class"] == "residential")).to_numpy(dtype=bool),
        street=kind == "street",
    )


def _measure_land_beside(
    begin: np.ndarray, end: np.ndarray, site: np.ndarray, lots: _Lots
) -> dict[str, np.ndarray]:
    """Measure the meters of each edge that have each kind of land in the strip outside it.

    `neighbor`: land that is not the site's own; `land`: any; `barrier`: rail or water; `home`;
    `street`. The strip is cut across where a piece of outline in it begins or ends along the edge.
    Within each part, a lot's outline runs along the whole part or is absent; where it is absent,
    the lot covers all of the part or none, so one point decides.
    """
    length = np.hypot(*(end - begin).T)
    edge, lot, low, high = _clip_outlines(begin, end, length, lots.shapes)
    every = np.arange(len(length))
    # The strip is also cut at the edge's own ends, where no lot's outline begins or ends.
    at = np.concatenate((np.zeros(len(length)), length, low, high))
    of = np.concatenate((every, every, edge, edge))
    order = np.lexsort((at, of))
    at, of = at[order], of[order]
    piece = np.flatnonzero((of[1:] == of[:-1]) & (np.diff(at) > ROUNDING_M))
    piece_of, size = of[piece], np.diff(at)[piece]
    middle = _points_outside(begin, end, length, piece_of, at[piece] + size / 2)
    point, cover = shapely.STRtree(lots.shapes).query(middle)
    shapely.prepare(lots.shapes)
    covers = shapely.intersects(lots.shapes[cover], middle[point])
    point, cover = point[covers], cover[covers]

    def meters(counts: np.ndarray, *, foreign: bool = True) -> np.ndarray:
        passing = counts[lot] & ~(foreign & (lots.site[lot] == site[edge]))
        change = np.concatenate((np.zeros(2 * len(length), dtype=int), passing, -1 * passing))
        filled = np.cumsum(change[order])[piece] > 0
        covered = counts[cover] & ~(foreign & (lots.site[cover] == site[piece_of[point]]))
        filled[point[covered]] = True
        return np.bincount(piece_of[filled], weights=size[filled], minlength=len(length))

    return {
        "neighbor": meters(lots.land),
        "land": meters(lots.land, foreign=False),
        "barrier": meters(lots.barrier),
        "home": meters(lots.home),
        "street": meters(lots.street, foreign=False),
    }


def _points_outside(
    begin: np.ndarray, end: np.ndarray, length: np.ndarray, of: np.ndarray, at_m: np.ndarray
) -> np.ndarray:
    """Return the points in the middle of the strip, `at_m` along the edges `of`."""
    along = ((end - begin) / length[:, None])[of]
    right = np.column_stack((along[:, 1], -along[:, 0]))
    return np.asarray(
        shapely.points(begin[of] + along * at_m[:, None] + right * (STRIP_M + ABUTS_M) / 2)
    )


def _clip_outlines(
    begin: np.ndarray, end: np.ndarray, length: np.ndarray, shapes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return each piece of outline in a strip: its edge, its lot, its start and end on the edge."""
    parts, of_part = shapely.get_parts(shapes, return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    joined = ring[:-1] == ring[1:]
    begin_xy, end_xy = xy[:-1][joined], xy[1:][joined]
    far = _outward(begin, end, length) * ABUTS_M
    low = np.minimum(begin, end) + np.minimum(far, 0)
    high = np.maximum(begin, end) + np.maximum(far, 0)
    tree = shapely.STRtree(shapely.linestrings(np.stack((begin_xy, end_xy), axis=1)))
    edge, piece = tree.query(shapely.box(*low.T, *high.T))
    along = ((end - begin) / length[:, None])[edge]
    first, last = begin_xy[piece] - begin[edge], end_xy[piece] - begin[edge]
    # The coordinates of the piece's two ends, along the edge and outward from it.
    u = np.stack([(point * along).sum(axis=1) for point in (first, last)])
    v = np.stack([point[:, 0] * along[:, 1] - point[:, 1] * along[:, 0] for point in (first, last)])
    deep = _clip_piece(v, STRIP_M, np.full(len(edge), ABUTS_M + ROUNDING_M))
    beside = _clip_piece(u, -ROUNDING_M, length[edge] + ROUNDING_M)
    start, stop = np.maximum(deep[0], beside[0]), np.minimum(deep[1], beside[1])
    kept = start <= stop
    edge, lot = edge[kept], of_part[of_ring[ring[:-1][joined]]][piece[kept]]
    reach = u[0, kept] + np.stack((start, stop))[:, kept] * (u[1] - u[0])[kept]
    low_u, high_u = np.clip(np.sort(reach, axis=0), 0.0, length[edge])
    return edge, lot, low_u, high_u


def _clip_piece(value: np.ndarray, least: float, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a piece, from 0 at one end to 1 at the other, that is within bounds.

    `value` (2, k) is the bounded coordinate at the two ends. Where no part is within bounds, the
    result ends before it begins.

    For example, a piece from 2 to 6 m is between 3 and 5 m from 0.25 to 0.75.
    """
    run = value[1] - value[0]
    level = np.abs(run) < ROUNDING
    steps = np.where(level, 1.0, run)
    bounds = np.sort(np.stack(((least - value[0]) / steps, (most - value[0]) / steps)), axis=0)
    inside = (value[0] >= least) & (value[0] <= most)
    start = np.where(level, np.where(inside, 0.0, 2.0), np.maximum(bounds[0], 0.0))
    stop = np.where(level, 1.0, np.minimum(bounds[1], 1.0))
    return start, stop
