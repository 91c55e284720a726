"""The ground on each site where a pad may stand, and where a block of n machines fits on it.

A block is a rectangle of rows and columns of machines with a service aisle between and around them,
turned along one of the parcel's own edges. Plain for now: one block per site, the longest few edge
directions, one setback for every yard.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import fit
from geo.block import Block, blocks
from geo.model import Generator, Plan
from geo.near import gather, inside, shapes_of, within
from geo.ragged import counted

DIRECTIONS = 3
CIRCLE_TOLERANCE_M = 0.05
MITRE: dict[str, object] = {"join_style": "mitre", "mitre_limit": 2.0}


@dataclass(frozen=True)
class Ground:
    """Buildable ground per site, and the same turned along each direction that is tried.

    `facts` has a row per site: ground_area_m2, open_area_m2, pad_evidence, bare. `turned` holds the
    ground of site `site_of[i]` moved by `origin[site]` and turned by `degrees[i]`.
    """

    shapes: np.ndarray
    origin: np.ndarray
    radius_m: np.ndarray
    site_of: np.ndarray
    degrees: np.ndarray
    turned: np.ndarray
    facts: pd.DataFrame


def ground(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    plan: Plan,
) -> Ground:
    """Return each parcel less setbacks, less buildings grown by their clearance, less exclusions.

    Where the building layer does not reach, the parcel is taken bare, `pad_evidence` says so, and
    `open_area_m2` bounds the pad by lot area less floor area over storeys, where those are on
    record. Where the exclusions' layer ends, `pad_evidence` is `edge of layer`.

    Worked: a 20 by 30 m parcel with 3 m setbacks leaves 14 by 24 = 336 m2.
    """
    parcels = shapes_of(sites)
    count = len(parcels)
    inner = shapely.buffer(parcels, -plan.pad.setback_m, **MITRE)
    buildings = shapes_of(layers.get("buildings"))
    clearance = plan.pad.building_clearance_m
    site, building = within(inner, buildings, clearance)
    in_the_way = [(site, shapely.buffer(buildings[building], clearance, **MITRE))]
    excluded = layers.get("exclusions")
    if excluded is not None:
        shapes = shapes_of(excluded[excluded["kind"].isin(plan.pad.exclusions)])
        site, exclusion = within(inner, shapes, 0.0)
        in_the_way.append((site, shapes[exclusion]))
    blocked = gather(
        np.concatenate([shapes for _, shapes in in_the_way]),
        np.concatenate([site for site, _ in in_the_way]),
        count,
    )
    left = _areas(shapely.difference(inner, blocked))

    known = inside(parcels, coverage.get("buildings"), 0.0) & ("buildings" in layers)
    # A market without any such layer says so in its first lines; one that ends here is unknown.
    drawn = excluded is None or not plan.pad.exclusions
    clear = inside(parcels, coverage.get("exclusions"), 0.0) | drawn
    facts = pd.DataFrame(
        {
            "pad_evidence": np.select(
                [~clear, known], ["edge of layer", "buildings"], "bare parcel"
            ),
            "bare": ~known,
            "exclusions_known": clear,
            "ground_area_m2": shapely.area(left),
            "open_area_m2": _open_area_m2(sites).clip(min=0.0),
            "open_or_built_over_m2": _open_area_m2(sites),
        },
        index=sites.index,
    )
    return _turned(left, parcels, facts)


def chosen(ground: Ground, sites: np.ndarray) -> Ground:
    """Return the ground of the chosen sites (ascending positions) alone."""
    place = np.full(len(ground.shapes), -1)
    place[sites] = np.arange(len(sites))
    kept = place[ground.site_of] >= 0
    return Ground(
        shapes=ground.shapes[sites],
        origin=ground.origin[sites],
        radius_m=ground.radius_m[sites],
        site_of=place[ground.site_of[kept]],
        degrees=ground.degrees[kept],
        turned=ground.turned[kept],
        facts=ground.facts.iloc[sites],
    )


def shrunk(ground: Ground, by_m: np.ndarray) -> Ground:
    """Return the same ground with every clearance of a site larger by `by_m` (below 0: smaller)."""
    shapes = _areas(shapely.buffer(ground.shapes, -by_m, **MITRE))
    of = ground.site_of
    return replace(
        ground,
        shapes=shapes,
        radius_m=ground.radius_m - by_m,
        turned=fit.turn(shapes[of], ground.origin[of], ground.degrees),
    )


def fits(ground: Ground, count: np.ndarray, generator: Generator, plan: Plan) -> np.ndarray:
    """Say for each site whether a block of so many machines (one number per site) fits."""
    sites = np.arange(len(ground.shapes))
    answer = np.zeros(len(sites), dtype=bool)
    layouts = {int(n): blocks(int(n), generator, plan.pad.aisle_m) for n in np.unique(count)}
    area = shapely.area(ground.shapes)
    open_area = ground.facts["open_area_m2"].to_numpy()
    bare = ground.facts["bare"].to_numpy()
    unsure = np.zeros(len(sites), dtype=bool)
    for n, options in layouts.items():
        half = np.hypot(options[0].length_m, options[0].width_m) / 2
        least = min(block.length_m * block.width_m for block in options)
        side = min(min(block.length_m, block.width_m) for block in options)
        here = (count == n) & (area >= least - fit.TOLERANCE_M * 100)
        # On a bare parcel the record of floor area and storeys still bounds the room.
        here &= ~(bare & (open_area < least))
        answer |= here & (ground.radius_m >= half)
        widest = 2 * (ground.radius_m + CIRCLE_TOLERANCE_M)
        unsure |= here & (ground.radius_m < half) & (widest >= side)
    if unsure.any():
        asked = sites[unsure]
        turned = _options(ground, asked, count[asked], layouts)
        taken, _, _ = fit.first(
            ground.shapes, asked, turned.start, turned.degrees, turned.length_m, turned.width_m
        )
        answer[asked[taken >= 0]] = True
    return answer


def candidates(
    ground: Ground,
    sites: np.ndarray,
    count: np.ndarray,
    quiet: Callable[[np.ndarray, np.ndarray], np.ndarray],
    generator: Generator,
    plan: Plan,
    spots: tuple[np.ndarray, np.ndarray],
    *,
    every: bool = True,
) -> pd.DataFrame:
    """Return placements for each query (site, count), the quietest first.

    `quiet(points, site)` says how quiet a point of a site is, more for quieter. Corners of the
    areas where each layout of a block can be centred are tried, a point inside each, and whichever
    of `spots` (query, and x and y in the market frame) lie in one. Without `every`, only the
    squarest layout that fits is tried.

    The answer has a row per placement: query, site, count, x, y (the block's centre, market
    frame), degrees (its length, counter-clockwise from east), rows, columns, length_m, width_m.
    """
    layouts = {int(n): blocks(int(n), generator, plan.pad.aisle_m) for n in np.unique(count)}
    found = _places(ground, sites, count, layouts, every=every)
    area = np.asarray(found.pop("area"), dtype=object)
    rows = pd.DataFrame(found)
    corner, of = shapely.get_coordinates(area, return_index=True)
    middle = shapely.get_coordinates(shapely.point_on_surface(area))
    spot = np.concatenate((middle, corner))
    row = np.concatenate((np.arange(len(area)), of))
    inner_row, inner = _spots_inside(ground, sites, rows, area, spots)
    spot, row = np.concatenate((spot, inner)), np.concatenate((row, inner_row))
    table = rows.iloc[row].reset_index(drop=True)
    direction = table["direction"].to_numpy()
    table["site"] = sites[table["query"]]
    origin = ground.origin[table["site"]]
    angle = np.radians(ground.degrees[direction])
    x, y = spot.T
    table["x"] = np.round(x * np.cos(angle) - y * np.sin(angle) + origin[:, 0], 4)
    table["y"] = np.round(x * np.sin(angle) + y * np.cos(angle) + origin[:, 1], 4)
    table["degrees"] = ground.degrees[direction] + np.where(table.pop("across"), 90.0, 0.0)
    points = shapely.points(table["x"], table["y"])
    table["quiet"] = np.round(quiet(points, table["site"].to_numpy()), 6)
    table = table.sort_values(
        ["query", "quiet", "x", "y", "degrees", "rows"],
        ascending=[True, False, True, True, True, True],
    )
    table = table.drop_duplicates(["query", "x", "y", "degrees", "rows"])
    return table.drop(columns=["direction", "quiet"]).reset_index(drop=True)


def lack(ground: Ground, parcels: np.ndarray, generator: Generator, plan: Plan) -> np.ndarray:
    """Return what each site's ground lacks for one machine, in machines; 0 where it has room.

    For ordering those that carry none. The larger of the area that is missing over one block's,
    and of the metres by which setbacks alone would have to shrink over the block's short side.
    """
    one = blocks(1, generator, plan.pad.aisle_m)[0]
    need_m2, side_m = one.length_m * one.width_m, min(one.length_m, one.width_m)
    facts = ground.facts
    room = np.where(facts["bare"], facts["open_or_built_over_m2"], facts["ground_area_m2"])
    room = np.fmin(room, facts["ground_area_m2"])
    circle = shapely.maximum_inscribed_circle(parcels, tolerance=CIRCLE_TOLERANCE_M)
    narrow = plan.pad.setback_m + side_m / 2 - shapely.length(circle)
    return np.asarray(np.fmax(np.fmax((need_m2 - room) / need_m2, narrow / side_m), 0.0))


def _spots_inside(
    ground: Ground,
    sites: np.ndarray,
    rows: pd.DataFrame,
    area: np.ndarray,
    spots: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the spots of each query that lie in an area of it, turned like the area."""
    query, xy = spots
    first = np.searchsorted(query, rows["query"], "left")
    times = np.searchsorted(query, rows["query"], "right") - first
    row = np.repeat(np.arange(len(rows)), times)
    at = xy[np.repeat(first, times) + counted(times)]
    direction = rows["direction"].to_numpy()[row]
    dx, dy = (at - ground.origin[sites[rows["query"].to_numpy()[row]]]).T
    angle = np.radians(ground.degrees[direction])
    x = dx * np.cos(angle) + dy * np.sin(angle)
    y = dy * np.cos(angle) - dx * np.sin(angle)
    shapely.prepare(area)
    inside = shapely.contains_xy(area[row], x, y)
    return row[inside], np.column_stack((x[inside], y[inside]))


def _places(
    ground: Ground,
    sites: np.ndarray,
    count: np.ndarray,
    layouts: dict[int, list[Block]],
    *,
    every: bool,
) -> dict[str, np.ndarray]:
    """Return where a block may be centred, per query: each layout in its first turn that fits.

    Which way a block is turned hardly matters to who hears it, but how long and narrow it is does.
    Without `every`, the first layout that fits is enough.
    """
    options = _options(ground, sites, count, layouts)
    query = np.arange(len(sites))
    if every:
        query = np.repeat(query, options.layouts)
        start = np.concatenate(([0], np.cumsum(np.repeat(options.turns, options.layouts))))
    else:
        start = options.start
    taken, centre, _ = fit.first(
        ground.shapes, sites[query], start, options.degrees, options.length_m, options.width_m
    )
    query, taken, centre = query[taken >= 0], taken[taken >= 0], centre[taken >= 0]
    direction, across = options.direction[taken], options.across[taken]
    length, width = options.length_m[taken], options.width_m[taken]
    area = fit.centres(
        ground.turned[direction], np.where(across, width, length), np.where(across, length, width)
    )
    # What fits to a hair may leave no area to move in.
    bare = np.flatnonzero(shapely.is_empty(area))
    if len(bare):
        of = direction[bare]
        at = shapely.points(centre[bare])
        area[bare] = fit.turn(at, ground.origin[ground.site_of[of]], ground.degrees[of])
    return {
        "query": query,
        "direction": direction,
        "across": across,
        "rows": options.rows[taken],
        "columns": options.columns[taken],
        "length_m": length,
        "width_m": width,
        "count": count[query].astype(int),
        "area": area,
    }


@dataclass(frozen=True)
class _Options:
    """Every layout in every turn of each query, squarest first, each along the longest edge first.

    `layouts` and `turns` say how many each query has, `start` where its options begin; a row per
    option follows.
    """

    layouts: np.ndarray
    turns: np.ndarray
    start: np.ndarray
    direction: np.ndarray
    across: np.ndarray
    degrees: np.ndarray
    length_m: np.ndarray
    width_m: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def _options(
    ground: Ground, sites: np.ndarray, count: np.ndarray, layouts: dict[int, list[Block]]
) -> _Options:
    sizes = [
        (one.length_m, one.width_m, one.rows, one.columns)
        for options in layouts.values()
        for one in options
    ]
    table = np.array(sizes, dtype=float).reshape(-1, 4)
    of_count = np.array([len(options) for options in layouts.values()], dtype=int)
    place = np.searchsorted(np.array(list(layouts), dtype=int), count)
    first = np.searchsorted(ground.site_of, np.arange(len(ground.shapes) + 1))
    turns = 2 * np.diff(first)[sites]
    each = of_count[place] * turns
    query, nth = np.repeat(np.arange(len(sites)), each), counted(each)
    rank, turn = nth // turns[query], nth % turns[query]
    size = table[(np.cumsum(of_count) - of_count)[place[query]] + rank]
    direction, across = first[sites[query]] + turn // 2, turn % 2 == 1
    return _Options(
        layouts=of_count[place],
        turns=turns,
        start=np.concatenate(([0], np.cumsum(each))),
        direction=direction,
        across=across,
        degrees=ground.degrees[direction] + np.where(across, 90.0, 0.0),
        length_m=size[:, 0],
        width_m=size[:, 1],
        rows=size[:, 2].astype(int),
        columns=size[:, 3].astype(int),
    )


def _turned(shapes: np.ndarray, parcels: np.ndarray, facts: pd.DataFrame) -> Ground:
    site_of, degrees = fit.directions(parcels, DIRECTIONS)
    room = ~shapely.is_empty(shapes)
    kept = room[site_of]
    site_of, degrees = site_of[kept], degrees[kept]
    origin = np.zeros((len(shapes), 2))
    if len(shapes):
        origin = shapely.get_coordinates(shapely.point_on_surface(parcels))
    radius = np.zeros(len(shapes))
    circle = shapely.maximum_inscribed_circle(shapes[room], tolerance=CIRCLE_TOLERANCE_M)
    # The circle found is at most its tolerance short of the largest.
    radius[room] = shapely.length(circle)
    return Ground(
        shapes=shapes,
        origin=origin,
        radius_m=radius,
        site_of=site_of,
        degrees=degrees,
        turned=fit.turn(shapes[site_of], origin[site_of], degrees),
        facts=facts,
    )


def _areas(shapes: np.ndarray) -> np.ndarray:
    """Keep the polygons of each shape, dropping the points and lines that cutting leaves."""
    parts, of = shapely.get_parts(shapes, return_index=True)
    area = shapely.area(parts) > fit.TOLERANCE_M
    kept = np.full(len(shapes), shapely.Polygon(), dtype=object)
    if area.any():
        shapely.multipolygons(parts[area], indices=of[area], out=kept)
    return kept


def _open_area_m2(sites: gpd.GeoDataFrame) -> np.ndarray:
    """Lot area less building footprint (floor area over storeys); NaN where not on record.

    Below 0 where the record has more building than lot.
    """
    floor = sites["building_area_m2"].to_numpy(dtype=float)
    storeys = sites["storeys"].to_numpy(dtype=float)
    footprint = np.where(floor == 0, 0.0, floor / np.where(storeys > 0, storeys, np.nan))
    lot = sites["lot_area_m2"].to_numpy(dtype=float)
    return np.asarray(lot - footprint)
