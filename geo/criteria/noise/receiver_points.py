"""The receiver points of each receptor: several along its line, since any of them can be the worst.

The nearer the receptor is to the site, the closer together they are (STEPS_M), and there is one at
every corner. Of a lot farther away than FACING_BEYOND_M, only the sides that face the site count.
Where a rule measures at a distance beyond the site's own line, the line is that of the part of the
lot which is at least that far away.
"""

from dataclasses import dataclass

import numpy as np
import shapely

from geo.criteria.noise.receptors import OWN_DWELLING, ReceptorPairs

USUAL, CHECKED, CLOSE = range(3)
"""How far apart points are: as usual; where it is checked whether a block is louder between those;
where it is."""
STEPS_M = (
    ((50.0, 2.5), (100.0, 5.0), (np.inf, 10.0)),
    ((100.0, 1.0), (np.inf, 2.0)),
    ((100.0, 0.5), (np.inf, 1.0)),
)
"""Up to a distance between site and receptor, the points on it are at most so far apart."""
FACING_BEYOND_M = 60.0
"""Of a lot farther away, only the points count from which some of the site is on the outer side."""
SIMPLER_BY_M = 0.05
"""Corners that change a line by less than this are left out."""
MITER: dict[str, object] = {"join_style": "mitre", "mitre_limit": 2.0}


@dataclass(frozen=True)
class ReceiverPoints:
    """The receiver points of each pair of `ReceptorPairs`.

    Attributes:
        xy: The points (P, 2), in the market's metric frame.
        begin: The first point of each pair (Q,). Pairs may share points.
        end: One more than the last point of each pair (Q,).
        facing_only: Whether only the points that face the site count (Q,).
        outward: The directions away from the lot before and after each point (P, 4): x, y, x, y;
            NaN where the points are not on the line of a lot.
    """

    xy: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    facing_only: np.ndarray
    outward: np.ndarray


def list_receiver_points(pairs: ReceptorPairs, spacing: np.ndarray | None = None) -> ReceiverPoints:
    """List the receiver points of every pair of a site and a receptor.

    For example, a square lot of 20 by 20 m beside the site has a point every 2.5 m, 32 in all; at
    100 m it has one every 10 m, 8 in all.

    Args:
        pairs: The receptors in reach of each site, in the market's metric frame.
        spacing: How far apart the points of each pair are (Q,): USUAL, CHECKED or CLOSE; None: as
            usual.

    Returns:
        The points.
    """
    # Receptors out of reach of all sites are left out.
    pairs = pairs.take(np.ones(len(pairs.row), dtype=bool))
    shape = pairs.receptors["shape"].to_numpy(dtype=object)
    beyond_m = pairs.receptors["beyond_m"].to_numpy(dtype=float)
    facade = np.flatnonzero(beyond_m < 0)
    shape = shape.copy()
    shape[facade] = shapely.buffer(shape[facade], -beyond_m[facade], **MITER)
    own = (pairs.receptors["receptor_class"] == OWN_DWELLING).to_numpy()
    area = shapely.get_dimensions(shape) == 2
    # A lot that touches or overlaps the site, or is nearer than the rule measures.
    row, limit_m = pairs.row, np.maximum(beyond_m, 0.0)[pairs.row]
    cut = np.flatnonzero(area[row] & ~own[row] & (beyond_m[row] >= 0) & (pairs.away_m <= limit_m))
    lines = _measure_beyond(pairs.line[pairs.site[cut]], shape[row[cut]], limit_m[cut])
    rows, plain = len(shape), _lines_of(shape)
    if spacing is None:
        spacing = np.full(len(row), USUAL)
    step_m = np.concatenate([np.array(steps)[:, 1] for steps in STEPS_M])
    sets = np.concatenate([*([plain] * len(step_m)), lines])
    apart_m = np.concatenate(
        (np.repeat(step_m, rows), np.array([steps[0][1] for steps in STEPS_M])[spacing[cut]])
    )
    used = np.zeros(len(sets), dtype=bool)
    # Distances to a facade are measured from where the level is, in front of it.
    away_m = pairs.away_m + np.maximum(-beyond_m, 0.0)[pairs.row]
    nth, before = np.zeros(len(row), dtype=np.int64), 0
    for kind, steps in enumerate(STEPS_M):
        its = spacing == kind
        nth[its] = before + np.searchsorted(np.array(steps)[:, 0], away_m[its])
        before += len(steps)
    chosen = row + rows * nth
    chosen[cut] = len(step_m) * rows + np.arange(len(cut))
    used[chosen] = True
    is_lot = np.concatenate((np.tile(area, len(step_m)), np.zeros(len(lines), dtype=bool)))
    xy, of, outward = _space_points(sets[used], apart_m[used])
    outward[~is_lot[used][of]] = np.nan
    number = np.cumsum(used) - 1
    first = np.searchsorted(of, np.arange(used.sum() + 1))
    return ReceiverPoints(
        xy=xy,
        begin=first[number[chosen]],
        end=first[number[chosen] + 1],
        facing_only=away_m > FACING_BEYOND_M,
        outward=outward,
    )


def _lines_of(shapes: np.ndarray) -> np.ndarray:
    """Return the boundary of areas, with corners that hardly matter left out; others as they are.

    The inside is to the left of a boundary.
    """
    area = shapely.get_dimensions(shapes) == 2
    lines = shapes.copy()
    lines[area] = shapely.simplify(
        shapely.boundary(shapely.orient_polygons(shapes[area])), SIMPLER_BY_M
    )
    return lines


def _measure_beyond(sites: np.ndarray, lots: np.ndarray, beyond_m: np.ndarray) -> np.ndarray:
    """Return the line of each lot's part that is at least `beyond_m` from the site.

    If the whole lot is nearer, it is the line at that distance from the site, beside the lot. If
    the lot lies on the site, it is the lot's own line.
    """
    too_near = shapely.buffer(sites, beyond_m)
    left = shapely.difference(lots, too_near)
    lines = shapely.boundary(left)
    nothing = shapely.area(left) == 0
    along = shapely.intersection(
        shapely.boundary(too_near[nothing]), shapely.buffer(lots[nothing], beyond_m[nothing])
    )
    inside = shapely.is_empty(along) | (beyond_m[nothing] == 0)
    along[inside] = shapely.boundary(lots[nothing][inside])
    lines[nothing] = along
    return np.asarray(shapely.simplify(lines, SIMPLER_BY_M))


def _space_points(
    lines: np.ndarray, step_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points along each line, at most `step_m` apart, each point's line, and `outward`."""
    spaced = shapely.segmentize(lines, step_m)
    xy, of = shapely.get_coordinates(spaced, return_index=True)
    # A ring ends where it begins: count that point once.
    parts = shapely.get_parts(spaced)
    closed = shapely.is_closed(parts) & (shapely.get_dimensions(parts) == 1)
    many = shapely.get_num_coordinates(parts)
    last = np.cumsum(many) - 1
    kept = np.ones(len(xy), dtype=bool)
    kept[last[closed]] = False
    outward = np.empty((len(xy), 4))
    if len(xy):
        # To the right of the side that follows each point, and of the side before it.
        outward[:-1, 2], outward[:-1, 3] = np.diff(xy[:, 1]), -np.diff(xy[:, 0])
        outward[1:, :2] = outward[:-1, 2:]
        # Before the first point of a ring comes its last side.
        outward[last[closed] - many[closed] + 1, :2] = outward[last[closed] - 1, 2:]
        outward[np.repeat(~closed, many)] = np.nan
    return xy[kept], of[kept], outward[kept]
