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
PLACE_COLUMNS = (
    "query",
    "direction",
    "across",
    "rows",
    "columns",
    "length_m",
    "width_m",
    "count",
    "area",
)
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
        found = _places(ground, asked, count[asked], layouts)
        answer[asked[np.unique(found["query"])]] = True
    return answer


def candidates(
    ground: Ground,
    sites: np.ndarray,
    count: np.ndarray,
    quiet: Callable[[np.ndarray, np.ndarray], np.ndarray],
    generator: Generator,
    plan: Plan,
    chosen: Callable[[np.ndarray], np.ndarray],
    spots: tuple[np.ndarray, np.ndarray],
) -> pd.DataFrame:
    """Return placements for each query (site, count), the quietest first.

    `quiet(points, site)` says how quiet a point of a site is, more for quieter; `chosen(query)`
    which of each query's places, quietest first, are kept. Corners of the
    areas where each layout of a block can be centred are tried, a point inside each, and whichever
    of `spots` (query, and x and y in the market frame) lie in one.

    The answer has a row per placement: query, site, count, x, y (the block's centre, market
    frame), degrees (its length, counter-clockwise from east), rows, columns, length_m, width_m.
    """
    layouts = {int(n): blocks(int(n), generator, plan.pad.aisle_m) for n in np.unique(count)}
    found = _places(ground, sites, count, layouts, every=True)
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
    table = table[chosen(table["query"].to_numpy())]
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
    every: bool = False,
) -> dict[str, np.ndarray]:
    """Return where a block may be centred, per query: each layout in its first turn that fits.

    Layouts are tried squarest first; each along the parcel's longest edge first, then across it,
    then along the next. Which way a block is turned hardly matters to who hears it, but how long
    and narrow it is does. Without `every`, the first layout that fits is enough.
    """
    first = np.searchsorted(ground.site_of, np.arange(len(ground.shapes) + 1))
    of_site = np.diff(first)
    found: dict[str, list[np.ndarray]] = {name: [] for name in PLACE_COLUMNS}
    most = max((len(options) for options in layouts.values()), default=0)
    turns = 2 * int(of_site[sites].max()) if len(sites) else 0
    options = np.array([len(layouts[int(n)]) for n in count])
    found_any = np.zeros(len(sites), dtype=bool)
    for rank in range(most):
        open_queries = np.flatnonzero((rank < options) & ~found_any)
        for turn in range(turns):
            query = open_queries[of_site[sites[open_queries]] > turn // 2]
            if not len(query):
                continue
            block = [layouts[int(n)][rank] for n in count[query]]
            size = np.array([(b.length_m, b.width_m, b.rows, b.columns) for b in block])
            direction = first[sites[query]] + turn // 2
            across = bool(turn % 2)
            length, width = (size[:, 1], size[:, 0]) if across else (size[:, 0], size[:, 1])
            room = ground.turned[direction]
            box = shapely.bounds(room)
            span = box[:, 2:] - box[:, :2] + fit.TOLERANCE_M
            # A block longer than the ground's box, turned alike, cannot fit; nor one whose short
            # side is wider than the ground's inscribed circle.
            widest = 2 * (ground.radius_m[sites[query]] + CIRCLE_TOLERANCE_M)
            can = (length <= span[:, 0]) & (width <= span[:, 1])
            may = np.flatnonzero(can & (np.minimum(length, width) <= widest))
            places = fit.centres(room[may], length[may], width[may])
            fits = ~shapely.is_empty(places)
            hit, area = may[fits], places[fits]
            found["query"].append(query[hit])
            found["direction"].append(direction[hit])
            found["across"].append(np.full(len(hit), across))
            found["rows"].append(size[hit, 2].astype(int))
            found["columns"].append(size[hit, 3].astype(int))
            found["length_m"].append(size[hit, 0])
            found["width_m"].append(size[hit, 1])
            found["count"].append(count[query[hit]].astype(int))
            found["area"].append(area)
            open_queries = np.setdiff1d(open_queries, query[hit])
            if not every:
                found_any[query[hit]] = True
    empty = np.empty(0, dtype=np.intp)
    return {name: np.concatenate(parts) if parts else empty for name, parts in found.items()}


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
