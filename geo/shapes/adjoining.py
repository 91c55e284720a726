"""Which shapes adjoin, directly or through others, and what they are together."""

import numpy as np
import shapely

from geo.shapes.near import unite_by_group

# Ground is united on a grid this fine (m): what rounding leaves between two lots is not a lot line.
GRID_M = 0.001


def group_adjoining(
    shapes: np.ndarray, near_m: float, same: np.ndarray | None = None
) -> np.ndarray:
    """Return for each shape the position of the first member of its group.

    `shapes` (n,) are geometries in one metric frame. Two are of one group where no more than
    `near_m` lies between them, or where a chain of others joins them so; with `same` (n,), no
    link of a chain is between two whose `same` differ. A missing or empty shape is alone.

    Worked: of squares over x = 0..10, 30..40, 10..20 and 20.5..25, within 1 m the first, third and
    fourth are one group: 0, 1, 0, 0. Within 0.4 m the fourth is alone: 0, 1, 0, 3. Where `same` is
    1, 1, 2, 2, the first is alone, and the fourth's group begins at the third: 0, 1, 2, 2.
    """
    first = np.arange(len(shapes))
    one, other = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=near_m)
    keep = one < other
    if same is not None:
        keep &= same[one] == same[other]
    one, other = one[keep], other[keep]
    while True:
        # Each pair takes, for itself and for those it was led to, the lower of its two firsts.
        before, low = first.copy(), np.minimum(first[one], first[other])
        for end in (one, other, before[one], before[other]):
            np.minimum.at(first, end, low)
        first = first[first]
        if np.array_equal(first, before):
            return np.asarray(first)


def unite_adjoining(shapes: np.ndarray, group: np.ndarray, near_m: float) -> np.ndarray:
    """Return the ground of each group of adjoining polygons: the shapes united, gaps closed.

    `group` (n,) is as `groups` returns it; the answer has one polygon for each different value in
    it, in rising order. A gap up to `near_m` wide between two of them is no line of the united
    lot, which a setback would keep from. Corners are on a grid of 1 mm.

    Worked: squares over x = 0..10 and 10.04..20, y = 0..10, are one of 200 m2 within 0.05 m.
    """
    found, place = np.unique(group, return_inverse=True)
    united = unite_by_group(shapes, place, len(found))
    half = near_m / 2
    wide = shapely.buffer(united, half, join_style="mitre")
    closed = shapely.buffer(wide, -half, join_style="mitre")
    whole = shapely.union(united, closed, grid_size=GRID_M)
    # Where two lots met, the whole's straight side has a corner that is none.
    return np.asarray(shapely.simplify(whole, 2 * GRID_M))
