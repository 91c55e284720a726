"""Find by brute force whether a rectangle fits in a shape: every degree, every decimeter.

Written from the definition alone, without reference to `geo.fit`. A rectangle fits if the shape
covers it after it is shrunk by 0.5 mm on every side. It is tried at every `step_deg`, with its
lower left corner (and so its center) on a grid of `cell_m` that starts at the lower left of the
shape's bounds, both in the frame turned with the rectangle.

A rectangle that is found certainly fits: shapely checks that very rectangle. A rectangle that fits
is missed if it has too little room for a place on the grid: at an angle between two steps, or with
less than a cell to spare. For one angle and size, at most `TRIED` places are checked.

Lengths are meters, angles degrees counter-clockwise from east to the rectangle's length.
"""

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

FORGIVEN_M = 0.0005
# A point this far inside a rectangle is inside the shape despite any rounding.
WELL_INSIDE_M = 2 * FORGIVEN_M
# The first pass at each angle checks points this many cells apart.
COARSE = 5
# At most `TRIED` places are checked per angle and size: the innermost ones, then others spread
# evenly over the rest. They are checked in batches because the first is likely to fit.
TRIED, INNERMOST, BATCH = 400, 200, 25

Fit = tuple[float, float, float, float, float]
Sizes = Sequence[tuple[float, float]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def fits_by_force(
    shape: Polygon | MultiPolygon, sizes: Sizes, step_deg: float = 1.0, cell_m: float = 0.1
) -> Fit | None:
    """Return (length, width, degrees, x, y) of the first rectangle that fits, or None.

    Angles are tried in rising order, and the sizes in the given order. (x, y) is the center.
    """
    if shape.is_empty:
        return None
    # Near the origin, a rotation loses no precision.
    left, bottom, right, top = shape.bounds
    middle = np.array([(left + right) / 2, (bottom + top) / 2])
    shape = shapely.transform(shape, lambda points: points - middle)
    starts, ends = edges(shape)
    for degrees in np.arange(0.0, 180.0, step_deg):
        turn = turned_by(degrees)
        # Multiplying row vectors by the matrix rotates them the other way.
        turned_starts, turned_ends = starts @ turn, ends @ turn
        corner = turned_starts.min(axis=0)
        sides = turned_starts.max(axis=0) - corner
        lines = turned_starts - corner, turned_ends - corner
        hopeful = possible(lines, sides, sizes, COARSE * cell_m)
        if not hopeful:
            continue
        fit = first_fit(turned_back(shape, turn, corner), hopeful, cell_m)
        if fit:
            length, width, at = fit
            x, y = (at + corner) @ turn.T + middle
            return length, width, float(degrees), float(x), float(y)
    return None


def turned_by(degrees: float) -> Floats:
    """Return the matrix that turns a column (x, y) counter-clockwise."""
    angle = math.radians(degrees)
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def turned_back(
    shape: Polygon | MultiPolygon, turn: Floats, corner: Floats
) -> Polygon | MultiPolygon:
    """Return the shape in the turned frame, with the corner of its bounds at the origin."""
    return shapely.transform(shape, lambda points: points @ turn - corner)


def edges(shape: Polygon | MultiPolygon) -> tuple[Floats, Floats]:
    """Return where each edge of each ring starts and ends."""
    rings = [shapely.get_coordinates(r) for r in shapely.get_rings(shapely.get_parts(shape))]
    return np.concatenate([r[:-1] for r in rings]), np.concatenate([r[1:] for r in rings])


def possible(lines: tuple[Floats, Floats], sides: Floats, sizes: Sizes, step_m: float) -> Sizes:
    """Return the sizes that points `step_m` apart do not rule out at this angle.

    Wherever a rectangle lies on a grid of points, it contains a known minimum number of them in
    each direction, and if it fits, each of these points is in the shape.
    """
    within = [s for s in sizes if np.all(np.array(s) <= sides + WELL_INSIDE_M)]
    if not within:
        return []
    sums = summed(inside(*lines, sides, step_m))

    def least(side: float) -> int:
        return max(math.floor((side - 2 * WELL_INSIDE_M) / step_m), 0)

    return [s for s in within if windows(sums, least(s[0]), least(s[1])).size]


def first_fit(
    shape: Polygon | MultiPolygon, sizes: Sizes, cell_m: float
) -> tuple[float, float, Floats] | None:
    """Return length, width and center of the first rectangle that fits at this angle.

    The shape's bounds start at the origin. The points checked are the centers of cells, so that a
    rectangle with its corner on the grid contains the same pattern of points at every place.
    """
    starts, ends = edges(shape)
    sums = summed(inside(starts, ends, starts.max(axis=0), cell_m))
    shapely.prepare(shape)
    for length, width in sizes:
        across, up = (
            max(math.floor((side - WELL_INSIDE_M) / cell_m + 0.5), 0) for side in (length, width)
        )
        free = windows(sums, across, up)
        half = np.array([length, width]) / 2
        places = in_turn(sums, free, across, up)
        for first in range(0, len(places), BATCH):
            centers = places[first : first + BATCH] * cell_m + half
            low, high = centers - half + FORGIVEN_M, centers + half - FORGIVEN_M
            good = shapely.covers(shape, shapely.box(*low.T, *high.T))
            if good.any():
                return length, width, centers[good.argmax()]
    return None


def inside(starts: Floats, ends: Floats, sides: Floats, step_m: float) -> NDArray[np.bool_]:
    """Return which points, half a step from the origin and a step apart, are in the shape.

    The result is indexed (row, column). A point is inside if an odd number of edges cross its row
    to its left.
    """
    across, up = (max(math.ceil(side / step_m), 1) for side in sides)
    rows = (np.arange(up) + 0.5) * step_m
    edge, row = np.nonzero((starts[:, 1, None] <= rows) != (ends[:, 1, None] <= rows))
    start, end = starts[edge], ends[edge]
    share = (rows[row] - start[:, 1]) / (end[:, 1] - start[:, 1])
    crossing = start[:, 0] + share * (end[:, 0] - start[:, 0])
    column = np.clip(np.ceil(crossing / step_m - 0.5).astype(np.int64), 0, across)
    crossed = np.bincount(row * (across + 1) + column, minlength=up * (across + 1))
    odd = (crossed.reshape(up, across + 1) & 1).astype(bool)
    return np.logical_xor.accumulate(odd, axis=1)[:, :across]


def summed(free: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return how many points are free below and left of each corner."""
    sums = np.zeros((free.shape[0] + 1, free.shape[1] + 1), dtype=np.int32)
    np.cumsum(free, axis=0, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    return sums


def windows(sums: NDArray[np.int32], across: int, up: int) -> Ints:
    """Return (column, row) of the lower left of each window that is free throughout."""
    height, width = sums.shape
    if across >= width or up >= height:
        return np.empty((0, 2), dtype=np.int64)
    strips = sums[up:] - sums[: height - up]
    full = strips[:, across:] - strips[:, : width - across] == across * up
    row, column = np.divmod(np.flatnonzero(full), full.shape[1])
    return np.column_stack([column, row])


def in_turn(sums: NDArray[np.int32], free: Ints, across: int, up: int) -> Ints:
    """Return the places to check, innermost first: those with the most free points around them."""
    height, width = sums.shape
    left, right = np.maximum(free[:, 0] - 1, 0), np.minimum(free[:, 0] + across + 1, width - 1)
    low, high = np.maximum(free[:, 1] - 1, 0), np.minimum(free[:, 1] + up + 1, height - 1)
    about = sums[high, right] - sums[high, left] - sums[low, right] + sums[low, left]
    ranked = free[np.argsort(-about, kind="stable")]
    if len(ranked) <= TRIED:
        return ranked
    rest = np.linspace(INNERMOST, len(ranked) - 1, TRIED - INNERMOST).round().astype(np.int64)
    return np.concatenate([ranked[:INNERMOST], ranked[rest]])
