"""Find how many machines fit on each site's ground, and where: first bounds, then a search.

A block is a rectangle of machines and their gear, with aisles between and around them. It is tried
along every edge of the parcel and of its buildings, and every 5 degrees; its position is exact.
Cheap bounds answer the easy sites: a block fits where its half-diagonal is within the largest
circle of the ground, and it fits nowhere if the ground is too small in area, width or length.
"""

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pandas as pd
import shapely

from geo.criteria.pad.ground import CIRCLE_TOLERANCE_M, BuildableGround
from geo.equipment.block import Block, list_layouts
from geo.model import Generator, Plan
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import (
    TOLERANCE_M,
    find_first_fit,
    find_largest_fit,
    possible_centers_rotated,
)

AREA_TOLERANCE_M2 = TOLERANCE_M * 100


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


def list_placements(
    ground: BuildableGround,
    sites: np.ndarray,
    count: np.ndarray,
    quiet: Callable[[np.ndarray, np.ndarray], np.ndarray],
    generator: Generator,
    plan: Plan,
    spots: tuple[np.ndarray, np.ndarray],
    *,
    every: bool = True,
) -> pd.DataFrame:
    """List places for a block on each site, the quietest first.

    The places tried are the corners of the areas where each layout of the block can be centered, a
    point inside each area, and the `spots` that lie in an area.

    Args:
        ground: The buildable ground of the sites.
        sites: The site's position of each query (q,).
        count: The number of machines of each query (q,).
        quiet: `quiet(points, site)` returns how quiet each point of a site is; higher is quieter.
        generator: The generator.
        plan: The plan, for its aisles.
        spots: The query, and x and y in the market's frame, of further places to try; or None.
        every: Try every layout that fits; otherwise only the squarest.

    Returns:
        One row per placement: query, site, count, x and y (the block's center in the market's
        frame), degrees (its length, counterclockwise from east), rows, columns, length_m and
        width_m.
    """
    rows = _list_layouts(sites, count, generator, plan)
    small = rows["length_m"] * rows["width_m"] <= ground.open_m2[rows["site"]] + AREA_TOLERANCE_M2
    rows = _place_layouts(ground, rows[small], every=every)
    at, turned = rows["site"].to_numpy(), rows["turn"].to_numpy()
    area = possible_centers_rotated(
        ground.shapes[at],
        ground.origin[at],
        ground.degrees[turned],
        rows["across"].to_numpy(),
        rows[["length_m", "width_m"]].to_numpy(),
        rows[["x", "y"]].to_numpy(),
    )
    corner, of = shapely.get_coordinates(area, return_index=True)
    middle = shapely.get_coordinates(shapely.point_on_surface(area))
    spot = np.concatenate((middle, corner))
    row = np.concatenate((np.arange(len(area)), of))
    inner_row, inner = _spots_inside(ground, rows, area, spots)
    spot, row = np.concatenate((spot, inner)), np.concatenate((row, inner_row))
    table = rows.iloc[row].reset_index(drop=True)
    turn, site = table.pop("turn").to_numpy(), table["site"].to_numpy()
    angle = np.radians(ground.degrees[turn])
    x, y = spot.T
    table["x"] = np.round(x * np.cos(angle) - y * np.sin(angle) + ground.origin[site, 0], 4)
    table["y"] = np.round(x * np.sin(angle) + y * np.cos(angle) + ground.origin[site, 1], 4)
    table["degrees"] = ground.degrees[turn] + np.where(table.pop("across"), 90.0, 0.0)
    points = shapely.points(table["x"], table["y"])
    table["quiet"] = np.round(quiet(points, site), 6)
    table = table.sort_values(
        ["query", "quiet", "x", "y", "degrees", "rows"],
        ascending=[True, False, True, True, True, True],
    )
    table = table.drop_duplicates(["query", "x", "y", "degrees", "rows"])
    return table.drop(columns="quiet").reset_index(drop=True)


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
    circle = shapely.maximum_inscribed_circle(parcels, tolerance=CIRCLE_TOLERANCE_M)
    narrow = facts["deepest_yard_m"].to_numpy() + side_m / 2 - shapely.length(circle)
    # A block that fits lacks nothing, however deep a yard is.
    lacking = np.fmax((need_m2 - room) / need_m2, narrow / side_m)
    return np.where(
        check_fit(ground, np.ones(len(parcels), dtype=int), generator, plan), 0.0, lacking
    )


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
    lower, upper = np.zeros((2, sites), dtype=int)
    for n in range(1, plan.cap + 1):
        could, does = np.zeros((2, sites), dtype=bool)
        for one in list_layouts(n, generator, plan):
            long, narrow = max(one.length_m, one.width_m), min(one.length_m, one.width_m)
            room = (area >= long * narrow - AREA_TOLERANCE_M2) & (area > 0)
            could |= room & (widest >= narrow) & (across >= long - TOLERANCE_M)
            does |= room & (ground.radius_m >= np.hypot(long, narrow) / 2)
        upper[could], lower[does & (lower == n - 1)] = n, n
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


def _spots_inside(
    ground: BuildableGround,
    rows: pd.DataFrame,
    area: np.ndarray,
    spots: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the spots of each query that lie in one of its areas, rotated like the area."""
    query, xy = spots
    first = np.searchsorted(query, rows["query"], "left")
    times = np.searchsorted(query, rows["query"], "right") - first
    row = np.repeat(np.arange(len(rows)), times)
    at = xy[np.repeat(first, times) + positions_in_groups(times)]
    dx, dy = (at - ground.origin[rows["site"].to_numpy()[row]]).T
    angle = np.radians(ground.degrees[rows["turn"].to_numpy()[row]])
    x = dx * np.cos(angle) + dy * np.sin(angle)
    y = dy * np.cos(angle) - dx * np.sin(angle)
    shapely.prepare(area)
    inside = shapely.contains_xy(area[row], x, y)
    return row[inside], np.column_stack((x[inside], y[inside]))


def _list_layouts(
    sites: np.ndarray, count: np.ndarray, generator: Generator, plan: Plan
) -> pd.DataFrame:
    """Return every layout of each query (site, count), squarest first, one per row."""
    kinds, kind = np.unique(count, return_inverse=True)
    layouts = [list_layouts(int(n), generator, plan) for n in kinds]
    table = np.array([astuple(one) for options in layouts for one in options]).reshape(-1, 4)
    many = np.array([len(options) for options in layouts], dtype=int)
    times = many[kind]
    query = np.repeat(np.arange(len(sites)), times)
    rows = table[(np.cumsum(many) - many)[kind[query]] + positions_in_groups(times)]
    return pd.DataFrame(
        {
            "query": query,
            "site": sites[query],
            "count": count[query].astype(int),
            "rows": rows[:, 0].astype(int),
            "columns": rows[:, 1].astype(int),
            "length_m": rows[:, 2],
            "width_m": rows[:, 3],
        }
    )


def _place_layouts(ground: BuildableGround, rows: pd.DataFrame, *, every: bool) -> pd.DataFrame:
    """Return the layouts that fit, each with the first direction in which it fits and a place.

    The noise at receptors hardly depends on the direction of a block, but it does depend on how
    long and narrow the block is. Without `every`, the first layout that fits is enough.
    """
    nth = positions_in_groups(rows.groupby("query", sort=False).size().to_numpy())
    placed, waiting = [], rows
    for rank in range(nth.max(initial=-1) + 1):
        now = waiting if every else rows[(nth == rank) & rows["query"].isin(waiting["query"])]
        turn, across, center = find_first_fit(
            ground.shapes,
            ground.turns_from,
            ground.degrees,
            now["site"].to_numpy(),
            now[["length_m", "width_m"]].to_numpy(),
        )
        x, y = center.T
        now = now.assign(turn=turn, across=across, x=x, y=y)[turn >= 0]
        placed.append(now)
        if every:
            break
        waiting = waiting[~waiting["query"].isin(now["query"])]
    if not placed:
        return rows.assign(turn=0, across=False, x=0.0, y=0.0)
    together: pd.DataFrame = pd.concat(placed).sort_values("query", kind="stable")
    return together.reset_index(drop=True)
