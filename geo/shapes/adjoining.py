"""Find the shapes that adjoin, directly or through others, and unite them."""

import numpy as np
import shapely
from numba import njit

from geo.shapes.near import unite_by_group

# Grid (m) on which ground is united, so that a rounding gap between two lots is not a lot line.
GRID_M = 0.001


def group_adjoining(
    shapes: np.ndarray, near_m: float, same: np.ndarray | None = None
) -> np.ndarray:
    """Group shapes that adjoin, directly or through others.

    Two shapes are in one group when no more than `near_m` lies between them, or when a chain of
    others joins them in that way. A missing or empty shape is alone in its group. For example,
    squares over x = 0..10, 30..40, 10..20 and 20.5..25 give 0, 1, 0, 0 within 1 m, and 0, 1, 0, 3
    within 0.4 m. With `same` of 1, 1, 2, 2 they give 0, 1, 2, 2 within 1 m: the first is alone, and
    the fourth joins the third.

    Args:
        shapes: Geometries (n,), in one metric frame.
        near_m: The largest gap between two shapes that adjoin.
        same: Values (n,) that must be equal for two shapes to be linked; None: link any two.

    Returns:
        For each shape (n,), the position of the first member of its group.
    """
    first = np.arange(len(shapes))
    one, other = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=near_m)
    keep = one < other
    if same is not None:
        keep &= same[one] == same[other]
    one, other = one[keep], other[keep]
    while True:
        # Both shapes of a pair, and the firsts that they point to, take the lower first.
        before, low = first.copy(), np.minimum(first[one], first[other])
        for end in (one, other, before[one], before[other]):
            np.minimum.at(first, end, low)
        first = first[first]
        if np.array_equal(first, before):
            return np.asarray(first)


def group_blocks(shapes: np.ndarray, near_m: float, extent_most_m: float) -> np.ndarray:
    """Group shapes that adjoin into blocks of a limited extent.

    The nearest pairs are joined first, and no two groups are joined whose common bounding box would
    have a diagonal of more than `extent_most_m`. Of a shape of several pieces only the largest
    counts: pieces far apart do not join what lies between. For example, squares over x = 0..10,
    10..20 and 20.5..30 are in one group within 1 m and 50 m, and in two within 1 m and 25 m.

    Args:
        shapes: Polygons (n,), in one metric frame; a missing or empty one is alone.
        near_m: The largest gap between two shapes that adjoin.
        extent_most_m: The largest diagonal of a group's bounding box.

    Returns:
        For each shape (n,), the position of the first member of its group.
    """
    pieces, of = shapely.get_parts(shapes, return_index=True)
    order = np.lexsort((-shapely.area(pieces), of))
    of, first = np.unique(of[order], return_index=True)
    largest = np.full(len(shapes), None, dtype=object)
    largest[of] = pieces[order][first]
    one, other = shapely.STRtree(largest).query(largest, predicate="dwithin", distance=near_m)
    one, other = one[one < other], other[one < other]
    gap_m = shapely.distance(largest[one], largest[other]).round(3)
    boxes = shapely.bounds(largest)
    pairs = np.column_stack((one, other))[np.lexsort((other, one, gap_m))]
    return np.asarray(_join_within(pairs, boxes, extent_most_m))


@njit(nogil=True, cache=True)
def _join_within(pairs: np.ndarray, boxes: np.ndarray, extent_most_m: float) -> np.ndarray:
    """Join pairs in order while the box of both groups is small enough; return each one's group."""
    group = np.arange(len(boxes))
    box = boxes.copy()
    for nth in range(len(pairs)):
        one, other = pairs[nth, 0], pairs[nth, 1]
        while group[one] != one:
            one = group[one]
        while group[other] != other:
            other = group[other]
        if one == other:
            continue
        left, low = min(box[one, 0], box[other, 0]), min(box[one, 1], box[other, 1])
        right, high = max(box[one, 2], box[other, 2]), max(box[one, 3], box[other, 3])
        if (right - left) ** 2 + (high - low) ** 2 > extent_most_m**2:
            continue
        first, last = min(one, other), max(one, other)
        group[last] = first
        box[first, 0], box[first, 1], box[first, 2], box[first, 3] = left, low, right, high
    for nth in range(len(group)):
        while group[group[nth]] != group[nth]:
            group[nth] = group[group[nth]]
    return group


def unite_adjoining(shapes: np.ndarray, group: np.ndarray, near_m: float) -> np.ndarray:
    """Unite the polygons of each group and close the gaps between them.

    A gap of up to `near_m` between two polygons is not a lot line of the united lot, so no setback
    applies there. Corners are on a grid of 1 mm. For example, squares over x = 0..10 and 10.04..20,
    y = 0..10, become one polygon of 200 m2 within 0.05 m.

    Args:
        shapes: Polygons (n,), in one metric frame.
        group: The group of each (n,), as `group_adjoining` returns it.
        near_m: The largest gap that is closed.

    Returns:
        One polygon for each different value of `group`, in ascending order.
    """
    groups, place = np.unique(group, return_inverse=True)
    united = unite_by_group(shapes, place, len(groups))
    half = near_m / 2
    wide = shapely.buffer(united, half, join_style="mitre")
    closed = shapely.buffer(wide, -half, join_style="mitre")
    whole = shapely.union(united, closed, grid_size=GRID_M)
    # Remove the extra vertices on straight sides where two lots met.
    return np.asarray(shapely.simplify(whole, 2 * GRID_M))
