"""Place tanks on a site so that the most machines fit beside them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely

from geo.criteria.pad import room
from geo.criteria.pad.ground import MITER, BuildableGround, subtract_ground, take_sites
from geo.equipment.tanks import TankGroup
from geo.model import Generator, Plan
from geo.shapes.near import find_pairs_within, unite_by_group
from geo.shapes.rectangles import (
    find_first_fit,
    make_rectangles,
    possible_centers_rotated,
    rotate_back,
)


@dataclass(frozen=True)
class PlacedStorage:
    """The tanks of each site, and the ground that they leave.

    `group` is the position of the site's tanks in the list of groups, -1 where none fits; `body` is
    the containers of each site as a MultiPolygon, None where there are none.
    """

    group: np.ndarray
    body: np.ndarray
    ground: BuildableGround


def place_storage(
    ground: BuildableGround,
    parcels: np.ndarray,
    buildings: np.ndarray,
    groups: list[TankGroup],
    quiet: Callable[[np.ndarray, np.ndarray], np.ndarray],
    hoped: np.ndarray,
    generator: Generator,
    plan: Plan,
) -> PlacedStorage:
    """Place tanks on each site: the group that can feed the most machines that fit beside it.

    Tanks stand on buildable ground, as far from every lot line and building as their rule requires,
    in the first direction in which they fit, at the least quiet corner of the area where they can
    stand, since the quiet side is for the machines. If several groups serve the same number of
    machines, the smallest is taken. For example, on a 60 by 60 m lot a 30,000 gal tank (50 ft from
    every line) has room in the middle 29.52 by 29.52 m.

    Args:
        ground: The buildable ground of n sites.
        parcels: The parcels (n,), in the market's metric frame.
        buildings: The buildings that the tanks keep away from.
        groups: The groups of tanks to try, as `tanks.list_tank_groups` returns them.
        quiet: `quiet(points, site)` returns how quiet each point of a site is.
        hoped: The most machines that could fit on each site (n,).
        generator: The generator.
        plan: The plan.

    Returns:
        The tanks and the ground beside them.
    """
    count = len(parcels)
    best, group = np.full(count, -1), np.full(count, -1)
    body, taken = np.full((2, count), None, dtype=object)
    stands_m2 = np.zeros(count)
    rooms: dict[tuple[float, float | None], np.ndarray] = {}
    for number, tanks in enumerate(groups):
        away = tanks.building_m, tanks.line_m
        if away not in rooms:
            rooms[away] = _ground_for_tanks(ground, parcels, buildings, *away)
        tanks_m2 = tanks.length_m * tanks.width_m
        candidates = np.flatnonzero((hoped > best) & (ground.open_m2 >= tanks_m2))
        site, outline, containers = _locate_tanks(ground, rooms[away], candidates, tanks, quiet)
        beside = shapely.buffer(outline, tanks.pad_m, **MITER)
        left = subtract_ground(take_sites(ground, site), beside, tanks_m2)
        fitting, _ = room.max_machines_that_fit(left, generator, plan)
        serves = np.minimum(np.minimum(fitting, tanks.feeds + plan.spares), hoped[site])
        more = serves > best[site]
        at = site[more]
        best[at], group[at], stands_m2[at] = serves[more], number, tanks_m2
        body[at], taken[at] = containers[more], beside[more]
    return PlacedStorage(group, body, subtract_ground(ground, taken, stands_m2))


def _ground_for_tanks(
    ground: BuildableGround,
    parcels: np.ndarray,
    buildings: np.ndarray,
    building_m: float,
    line_m: float | None,
) -> np.ndarray:
    """Return the ground of each site that is far enough from every building and lot line."""
    inner = ground.shapes
    if line_m:
        inner = shapely.intersection(inner, shapely.buffer(parcels, -line_m, **MITER))
    site, building = find_pairs_within(inner, buildings, building_m)
    grown = shapely.buffer(buildings[building], building_m, **MITER)
    return np.asarray(shapely.difference(inner, unite_by_group(grown, site, len(parcels))))


def _locate_tanks(
    ground: BuildableGround,
    rooms: np.ndarray,
    candidates: np.ndarray,
    tanks: TankGroup,
    quiet: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sites on which the tanks fit, the outline of the group there and its containers.

    The tanks are centered at the least quiet corner of the area where their center can be.
    """
    sizes = np.tile((tanks.length_m, tanks.width_m), (len(candidates), 1))
    turn, across, center = find_first_fit(
        rooms, ground.turns_from, ground.degrees, candidates, sizes
    )
    held = turn >= 0
    site, turn, across, center = candidates[held], turn[held], across[held], center[held]
    area = possible_centers_rotated(
        rooms[site], ground.origin[site], ground.degrees[turn], across, sizes[held], center
    )
    corner, of = shapely.get_coordinates(area, return_index=True)
    xy = rotate_back(corner, ground.origin[site[of]], ground.degrees[turn[of]]).round(4)
    x, y = xy.T
    quietness = np.round(quiet(xy, site[of]), 6)
    order = np.lexsort((y, x, quietness, of))
    order = order[np.unique(of[order], return_index=True)[1]]
    x, y = x[order], y[order]
    degrees = ground.degrees[turn] + np.where(across, 90.0, 0.0)
    one = np.ones(len(site))
    outline = make_rectangles(x, y, tanks.length_m * one, tanks.width_m * one, degrees)
    # Side by side across the group's width.
    row = np.repeat(np.arange(len(site)), tanks.count)
    nth = np.tile(np.arange(tanks.count), len(site))
    off = (nth - (tanks.count - 1) / 2) * (tanks.container.width_m + tanks.between_m)
    angle, each = np.radians(degrees[row]), np.ones(len(row))
    containers = np.full(len(site), None, dtype=object)
    shapely.multipolygons(
        make_rectangles(
            x[row] - off * np.sin(angle),
            y[row] + off * np.cos(angle),
            tanks.container.length_m * each,
            tanks.container.width_m * each,
            degrees[row],
        ),
        indices=row,
        out=containers,
    )
    return site, outline, containers
