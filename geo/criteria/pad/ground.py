"""The ground on each site where a pad may stand: without yards, buildings and exclusions."""

from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import catalogue
from geo.criteria.pad.takers import BUILDINGS, STEEP, name_takers
from geo.criteria.pad.yards import (
    ABUTS_M,
    LotLines,
    classify_lot_lines,
    cut_yards,
    select_street_lines,
)
from geo.model import Plan, Screening
from geo.shapes.near import find_pairs_within, geometry_array, is_covered, unite_by_group
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import TOLERANCE_M, list_directions
from geo.shapes.slope import find_steep_ground, outline_raster

CIRCLE_TOLERANCE_M = 0.25
YARDS = ("front", "side", "rear", "home")
MITER: dict[str, object] = {"join_style": "mitre", "mitre_limit": 2.0}


@dataclass(frozen=True)
class BuildableGround:
    """The buildable ground of each site, and the directions in which a block is tried on it.

    `shapes` (n,) are polygons, `radius_m` (n,) is the radius of the largest circle inside each (0
    where empty, NaN where not measured), and `taken` (n,) is the ground that fuel storage occupies,
    None where there is none.
    `street` (n,) is the lot lines on the street, None where they are not known. `open_m2` (n,) is
    an upper bound on the area that can be used on a parcel assumed bare: the lot less the building
    on record and less what is already placed there; infinite where nothing is on record or
    buildings are mapped. The directions of site i are `degrees[turns_from[i]]` up to but not
    including `degrees[turns_from[i + 1]]`. `origin` is a point of each parcel. `facts` has one row
    per site (see `cut_buildable_ground`).
    """

    shapes: np.ndarray
    radius_m: np.ndarray
    origin: np.ndarray
    turns_from: np.ndarray
    degrees: np.ndarray
    taken: np.ndarray
    street: np.ndarray
    open_m2: np.ndarray
    facts: pd.DataFrame


def cut_buildable_ground(
    sites: gpd.GeoDataFrame, screening: Screening, plan: Plan
) -> BuildableGround:
    """Cut yards, buildings with their clearance, and excluded ground out of each parcel.

    A yard is as deep as the zoning text requires (`setback_*_m` of the site), or else as the plan
    requires for that class of zone; along homes it is at least `home_m`. Where the kind of a lot
    line is not known, its yard is as deep as the deepest; where the land beyond is not known, homes
    are assumed there. The plan's kinds of exclusions, and ground steeper than the plan allows, are
    also cut out. For example, a 20 by 30 m parcel with 3 m setbacks leaves 14 by 24 = 336 m2.

    Args:
        sites: One row per site, in the market's metric frame.
        screening: The layers, their coverage and the rasters.
        plan: The plan, for setbacks, clearances and exclusions.

    Returns:
        The buildable ground. Its `facts` have ground_area_m2; ground_takers (see `name_takers`);
        open_area_m2 (the lot less floor area over stories, which bounds the pad where no building
        is mapped and the parcel is assumed bare); pad_evidence (`buildings`, `bare parcel`,
        `edge of layer` where the layer of exclusions ends, or `slope not known`); bare;
        clear_known, whether every exclusion is known; setback_evidence; and the depths of the
        yards.
    """
    parcels = geometry_array(sites)
    count = len(parcels)
    layers, coverage = screening.layers, screening.coverage
    mapped = is_covered(parcels, coverage.get("lots"), ABUTS_M)
    lines = classify_lot_lines(parcels, sites["site_id"].to_numpy(), layers.get("lots"), mapped)
    depths = _setbacks(sites, plan)
    depth_m = _depth_m(lines, depths)
    inner = cut_yards(parcels, lines, depth_m)
    deepest = np.zeros(count)
    np.maximum.at(deepest, lines.of, depth_m)
    buildings = geometry_array(layers.get("buildings"))
    clearance = plan.pad.building_clearance_m
    site, building = find_pairs_within(inner, buildings, clearance)
    in_the_way = {BUILDINGS: (site, shapely.buffer(buildings[building], clearance, **MITER))}
    excluded = layers.get("exclusions")
    if excluded is not None:
        words = catalogue.read_code_words()["mapped_kind"]
        for kind in plan.pad.exclusions:
            shapes = geometry_array(excluded[excluded["kind"] == kind])
            in_the_way[words[kind].title] = _shapes_on_sites(inner, shapes)
    slope_known = np.ones(count, dtype=bool)
    if plan.pad.slope_most is not None and "elevation" in screening.rasters:
        elevation = screening.rasters["elevation"]
        steeper, unknown = find_steep_ground(elevation, plan.pad.slope_most, sites.crs)
        in_the_way[STEEP] = _shapes_on_sites(inner, steeper)
        slope_known = is_covered(parcels, outline_raster(elevation, sites.crs), 0.0)
        slope_known[_shapes_on_sites(inner, unknown)[0]] = False
    blocked = unite_by_group(
        np.concatenate([shapes for _, shapes in in_the_way.values()]),
        np.concatenate([site for site, _ in in_the_way.values()]),
        count,
    )
    left = keep_polygons(shapely.difference(inner, blocked))

    known = is_covered(parcels, coverage.get("buildings"), 0.0) & ("buildings" in layers)
    # Kinds that are mapped nowhere are noted in the report and checked at every site; beyond the
    # edge of the layer, the others are unknown.
    nothing_mapped = set(find_unmapped_exclusions(screening, plan)) == set(plan.pad.exclusions)
    clear = is_covered(parcels, coverage.get("exclusions"), 0.0) | nothing_mapped
    yards_known = np.ones(count, dtype=bool)
    yards_known[lines.of[lines.yard == "unknown"]] = False
    open_m2 = _open_area_m2(sites)
    facts = pd.DataFrame(
        {
            "pad_evidence": np.select(
                [~clear, ~slope_known, known],
                ["edge of layer", "slope not known", "buildings"],
                "bare parcel",
            ),
            "bare": ~known,
            "clear_known": clear & slope_known,
            "ground_area_m2": shapely.area(left),
            "ground_takers": name_takers(parcels, inner, in_the_way),
            "open_area_m2": open_m2.clip(min=0.0),
            "open_or_built_over_m2": open_m2,
            "yards_known": yards_known,
            "deepest_yard_m": deepest,
            **depths,
        },
        index=sites.index,
    )
    # Take the directions of the parcel's own buildings, so that they do not depend on clearances.
    own, on = find_pairs_within(parcels, buildings, 0.0)
    of, degrees = list_directions(parcels, buildings[on], own)
    return BuildableGround(
        shapes=left,
        radius_m=_largest_circle_radius_m(left),
        origin=_point_on_parcel(parcels),
        turns_from=np.searchsorted(of, np.arange(count + 1)),
        degrees=degrees,
        taken=np.full(count, None, dtype=object),
        street=select_street_lines(lines, count),
        open_m2=np.where(known, np.inf, facts["open_area_m2"].fillna(np.inf)),
        facts=facts,
    )


def find_unmapped_exclusions(screening: Screening, plan: Plan) -> tuple[str, ...]:
    """Return the kinds of ground that the plan keeps clear of and no source of the market maps."""
    if "exclusions" not in screening.layers:
        return plan.pad.exclusions
    unmapped = screening.unmapped.get("exclusions", ())
    return tuple(kind for kind in plan.pad.exclusions if kind in unmapped)


def _setbacks(sites: gpd.GeoDataFrame, plan: Plan) -> dict[str, np.ndarray]:
    """Return the depths of each site's yards, and whether zoning text or the plan gives them."""
    known = plan.pad.setbacks
    rows = [known.get(zone, known["other"]) for zone in sites["zone_class"]]
    text = sites["setback_front_m"].notna().to_numpy()
    most = np.inf if plan.pad.setback_most_m is None else plan.pad.setback_most_m
    setbacks: dict[str, np.ndarray] = {
        "setback_evidence": np.where(text, "zoning text", "plan's assumption")
    }
    for yard in YARDS:
        own = sites[f"setback_{yard}_m"].to_numpy(dtype=float)
        assumed = np.array([getattr(row, f"{yard}_m") for row in rows], dtype=float)
        setbacks[f"setback_{yard}_m"] = np.minimum(np.where(text, own, assumed), most)
    return setbacks


def _depth_m(lines: LotLines, depths: dict[str, np.ndarray]) -> np.ndarray:
    """Return the depth of the yard along each lot line."""
    front, side, rear, home = (depths[f"setback_{yard}_m"][lines.of] for yard in YARDS)
    deepest = np.maximum(np.maximum(front, side), rear)
    deepest = np.where(lines.mapped, deepest, np.maximum(deepest, home))
    depth = np.select(
        [lines.yard == "front", lines.yard == "side", lines.yard == "rear"],
        [front, side, rear],
        deepest,
    )
    return np.asarray(np.where(lines.abuts_home, np.maximum(depth, home), depth))


def _shapes_on_sites(inner: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every pair of a site and a shape that lies on it: the site's position, the shape."""
    site, shape = find_pairs_within(inner, shapes, 0.0)
    return site, shapes[shape]


def _point_on_parcel(parcels: np.ndarray) -> np.ndarray:
    """Return a point (n, 2) on each parcel; (0, 0) for an empty parcel."""
    origin, has_ground = np.zeros((len(parcels), 2)), ~shapely.is_empty(parcels)
    origin[has_ground] = shapely.get_coordinates(shapely.point_on_surface(parcels[has_ground]))
    return origin


def take_sites(ground: BuildableGround, sites: np.ndarray) -> BuildableGround:
    """Return the ground of the chosen sites (positions) only."""
    times = np.diff(ground.turns_from)[sites]
    turn = np.repeat(ground.turns_from[sites], times) + positions_in_groups(times)
    return BuildableGround(
        shapes=ground.shapes[sites],
        radius_m=ground.radius_m[sites],
        origin=ground.origin[sites],
        turns_from=np.concatenate(([0], np.cumsum(times))),
        degrees=ground.degrees[turn],
        taken=ground.taken[sites],
        street=ground.street[sites],
        open_m2=ground.open_m2[sites],
        facts=ground.facts.iloc[sites],
    )


def shrink_ground(ground: BuildableGround, by_m: np.ndarray) -> BuildableGround:
    """Return the ground with all clearances of each site larger by `by_m` (smaller if negative).

    The radius of its largest circle is left open (NaN), since measuring it takes longer than
    searching without it.
    """
    shapes = keep_polygons(shapely.buffer(ground.shapes, -by_m, **MITER))
    return replace(ground, shapes=shapes, radius_m=np.full(len(shapes), np.nan))


def subtract_ground(
    ground: BuildableGround, taken: np.ndarray, stands_m2: np.ndarray | float = 0.0
) -> BuildableGround:
    """Cut the shapes that are already taken out of the ground.

    Args:
        ground: The buildable ground of n sites.
        taken: A shape per site (n,), None where nothing is taken.
        stands_m2: The area (n,) of what stands there, m2; it reduces the open area of a bare
            parcel.

    Returns:
        The ground that is left.
    """
    with_taken = np.flatnonzero(~shapely.is_missing(taken))
    shapes, radius_m = ground.shapes.copy(), ground.radius_m.copy()
    shapes[with_taken] = keep_polygons(shapely.difference(shapes[with_taken], taken[with_taken]))
    radius_m[with_taken] = _largest_circle_radius_m(shapes[with_taken])
    left_m2 = np.maximum(ground.open_m2 - stands_m2, 0.0)
    return replace(ground, shapes=shapes, radius_m=radius_m, taken=taken, open_m2=left_m2)


def select_ground(
    ground: BuildableGround, other: BuildableGround, use_other: np.ndarray
) -> BuildableGround:
    """Take some sites' ground from another table of the same sites.

    Args:
        ground: The buildable ground of n sites.
        other: The other buildable ground of the same n sites.
        use_other: True for the sites (n,) whose ground comes from `other`.

    Returns:
        The combined ground.
    """
    return replace(
        ground,
        shapes=np.where(use_other, other.shapes, ground.shapes),
        radius_m=np.where(use_other, other.radius_m, ground.radius_m),
        taken=np.where(use_other, other.taken, ground.taken),
        open_m2=np.where(use_other, other.open_m2, ground.open_m2),
    )


def keep_polygons(shapes: np.ndarray) -> np.ndarray:
    """Keep the polygons of each shape, dropping the points and lines that cutting leaves."""
    parts, of = shapely.get_parts(shapes, return_index=True)
    area = shapely.area(parts) > TOLERANCE_M
    kept = np.full(len(shapes), shapely.Polygon(), dtype=object)
    if area.any():
        shapely.multipolygons(parts[area], indices=of[area], out=kept)
    return kept


def _largest_circle_radius_m(shapes: np.ndarray) -> np.ndarray:
    """Return the radius of the largest circle in each shape, or less by at most the tolerance."""
    radius, room = np.zeros(len(shapes)), ~shapely.is_empty(shapes)
    circle = shapely.maximum_inscribed_circle(shapes[room], tolerance=CIRCLE_TOLERANCE_M)
    radius[room] = shapely.length(circle)
    return radius


def _open_area_m2(sites: gpd.GeoDataFrame) -> np.ndarray:
    """Return lot area less building footprint (floor area over stories); NaN where not on record.

    It is below 0 where the recorded building is larger than the lot.
    """
    floor = sites["building_area_m2"].to_numpy(dtype=float)
    storeys = sites["storeys"].to_numpy(dtype=float)
    footprint = np.where(floor == 0, 0.0, floor / np.where(storeys > 0, storeys, np.nan))
    lot = sites["lot_area_m2"].to_numpy(dtype=float)
    return np.asarray(lot - footprint)
