"""Find how many machines fit on each site's ground: first bounds, then a search.

A block is a rectangle of machines and their gear, with aisles between and around them. It is tried
along every edge of the parcel and of its buildings, and every 5 degrees; its position is exact.
Cheap bounds answer the easy sites: a block fits where its half-diagonal is within the largest
circle of the ground, and it fits nowhere if the ground is too small in area, width or length.
"""

import numpy as np
import shapely

from geo.criteria.pad.ground import CIRCLE_TOLERANCE_M, BuildableGround
from geo.equipment.block import Block, list_layouts
from geo.model import Generator, Plan
from geo.shapes.rectangles import (
    TOLERANCE_M,
    find_largest_fit,
)

AREA_TOLERANCE_M2 = TOLERANCE_M * 100
LACK_TOLERANCE_M = 0.05


def max_machines_that_fit(
    ground: BuildableGround, generator: Generator, plan: Plan
) -> tuple[np.ndarray, np.ndarray]:
    """Find the largest block of machines that fits on each site.

    Ground so intricate that `rectangles.find_largest_fit` stops a search early counts as too
    small. For example, 4.6 by 6.1 m of ground holds 3 machines and a cabinet, two by two.

    Args:
        ground: The buildable ground of n sites.
        generator: The generator.
        plan: The plan, for its aisles and its cap.

    Returns:
        The most machines that fit (n,), and an upper bound on it (n,), both from 0 to the plan's
        cap. The bound is valid for a block in any direction; where it is higher, no larger block
        was found in the directions tried, and there may be none.
    """
    lower, upper = _bounds(ground, generator, plan)
    return _search_between(ground, lower, upper, generator, plan), upper


def check_fit(
    ground: BuildableGround, count: np.ndarray, generator: Generator, plan: Plan
) -> np.ndarray:
    """Check whether a block of a given number of machines fits on each site.

    Args:
        ground: The buildable ground of n sites.
        count: The number of machines per site (n,).
        generator: The generator.
        plan: The plan, for its aisles and its cap.

    Returns:
        Whether it fits (n,).
    """
    lower, upper = _bounds(ground, generator, plan)
    wanted = np.where((lower < count) & (count <= upper), count, 0)
    fitting = _search_between(ground, np.maximum(wanted - 1, 0), wanted, generator, plan)
    return np.asarray((count <= lower) | ((wanted > 0) & (fitting >= count)))


def missing_room(
    ground: BuildableGround, parcels: np.ndarray, generator: Generator, plan: Plan
) -> np.ndarray:
    """Measure how much ground each site lacks for one machine, in machines; 0 where it has room.

    It is used only to order the sites where no machine fits. It is the larger of two shares: the
    missing area over one block's area, and, over the block's short side, the distance by which the
    deepest yard would have to shrink if it were on every side.

    Args:
        ground: The buildable ground of n sites.
        parcels: The parcels (n,), in the market's metric frame.
        generator: The generator.
        plan: The plan, for its aisles.

    Returns:
        The share that is missing (n,).
    """
    one = list_layouts(1, generator, plan)[0]
    need_m2, side_m = one.length_m * one.width_m, min(one.length_m, one.width_m)
    facts = ground.facts
    room = np.where(facts["bare"], facts["open_or_built_over_m2"], facts["ground_area_m2"])
    room = np.fmin(room, facts["ground_area_m2"])
    # A block that fits lacks nothing, however deep a yard is.
    short = ~check_fit(ground, np.ones(len(parcels), dtype=int), generator, plan)
    circle = shapely.maximum_inscribed_circle(parcels[short], tolerance=LACK_TOLERANCE_M)
    narrow = facts["deepest_yard_m"].to_numpy()[short] + side_m / 2 - shapely.length(circle)
    lacking = np.zeros(len(parcels))
    lacking[short] = np.fmax((need_m2 - room[short]) / need_m2, narrow / side_m)
    return lacking


def _bounds(
    ground: BuildableGround, generator: Generator, plan: Plan
) -> tuple[np.ndarray, np.ndarray]:
    """Return the machines that certainly fit on each site's ground, and an upper bound."""
    sites = len(ground.shapes)
    parts, of = shapely.get_parts(ground.shapes, return_index=True)
    parts, of = parts[~shapely.is_empty(parts)], of[~shapely.is_empty(parts)]
    box = shapely.bounds(parts)
    area, across = np.zeros(sites), np.zeros(sites)
    np.maximum.at(area, of, shapely.area(parts))
    np.maximum.at(across, of, np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]))
    # On a bare parcel the recorded floor area and stories still limit the room.
    area = np.minimum(area, ground.open_m2)
    # A radius that was not measured rules nothing out, and nothing in.
    widest = np.nan_to_num(2 * (ground.radius_m + CIRCLE_TOLERANCE_M), nan=np.inf)
    if plan.cap == 0:
        return np.zeros(sites, dtype=int), np.zeros(sites, dtype=int)
    layouts = [_sizes(list_layouts(n, generator, plan)) for n in range(1, plan.cap + 1)]
    first = np.cumsum([0, *(len(one) for one in layouts[:-1])])
    size = np.concatenate(layouts)
    long, narrow = size.max(axis=1), size.min(axis=1)
    room = (area[:, None] >= long * narrow - AREA_TOLERANCE_M2) & (area[:, None] > 0)
    could = room & (widest[:, None] >= narrow) & (across[:, None] >= long - TOLERANCE_M)
    does = room & (ground.radius_m[:, None] >= np.hypot(long, narrow) / 2)
    # Per number of machines: whether one of its layouts could fit, and whether one does.
    could, does = (np.logical_or.reduceat(one, first, axis=1) for one in (could, does))
    upper = np.where(could, np.arange(1, plan.cap + 1), 0).max(axis=1)
    lower = np.logical_and.accumulate(does, axis=1).sum(axis=1)
    return lower, upper


def _search_between(
    ground: BuildableGround, held: np.ndarray, upper: np.ndarray, generator: Generator, plan: Plan
) -> np.ndarray:
    """Return the most machines that fit on each site, known to be from `held` to `upper`."""
    largest = int(upper.max(initial=0))
    layouts = [_sizes(list_layouts(n, generator, plan)) for n in range(1, largest + 1)]
    most, _ = find_largest_fit(
        ground.shapes,
        ground.turns_from,
        ground.degrees,
        layouts,
        held,
        upper,
        ground.open_m2 + AREA_TOLERANCE_M2,
    )
    return most


def _sizes(layouts: list[Block]) -> np.ndarray:
    return np.array([(one.length_m, one.width_m) for one in layouts], dtype=float).reshape(-1, 2)
