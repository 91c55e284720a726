"""What is drawn over the lots: zoning, town line, streets, flood zone, wetland and receptors."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.demo import recipe
from data.demo.layout import TownLayout
from data.demo.recipe import DISTRICTS

Array = np.ndarray
RECEPTORS = {"934": "school", "953": "hospital", "300": "hotel", "960": "worship", "900": "park"}
FIRST_NAMES = (
    "Ashby",
    "Bancroft",
    "Clara Barton",
    "Millbrook",
    "Emerson",
    "Fuller",
    "Goddard",
    "Hawthorne",
    "Meadowbrook",
    "Northgate",
    "Old Mill",
    "Prescott",
    "Quarry Hill",
    "Riverside",
    "Thoreau",
    "Union",
    "Valley",
    "Whitman",
)
LAST_NAMES = {
    "school": "School",
    "hospital": "Hospital",
    "hotel": "Inn",
    "worship": "Church",
    "park": "Park",
}


@dataclass(frozen=True)
class TownGround:
    """The areas of the town, of each layer that ends elsewhere, and of the county."""

    town: shapely.Geometry
    gas: shapely.Geometry
    hosting: shapely.Geometry
    footprints: shapely.Geometry
    clerk: shapely.Geometry
    county: shapely.Geometry


def lay_ground(layout: TownLayout, lots: gpd.GeoDataFrame) -> TownGround:
    """Return the areas that the layers cover, in the town's own frame."""
    cells = layout.cells.geometry.to_numpy()[np.unique(lots.cell)]
    town = shapely.union_all(shapely.buffer(cells, 70.0, quad_segs=4)).simplify(5.0)
    town = shapely.Polygon(max(shapely.get_parts(town), key=shapely.area).exterior)
    west, east = recipe.GAS_TERRITORY
    box = layout.frame.box
    gas = town.buffer(400).intersection(box(west, east, -9, 9))
    hosting = town.buffer(100).intersection(box(*recipe.HOSTING_AREA))
    footprints = town.difference(box(*recipe.WEST_VILLAGE))
    clerk = town.intersection(box(-9, recipe.CLERKS_LIST_END, -9, 9))
    county = shapely.box(*town.buffer(6_000).bounds)
    return TownGround(town, gas, hosting, footprints, clerk, county)


def draw_zoning(layout: TownLayout, lots: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the zoning districts. They end at streets, or near the lot lines behind a strip."""
    cells = layout.cells.loc[np.unique(lots.cell)]
    whole = cells.geometry.to_numpy()
    zone_of = {name: district.zone for name, district in DISTRICTS.items()}
    deep = recipe.ARTERIAL_M / 2 + recipe.STRIP_DEPTH_M + cells.zone_shift_m.to_numpy()
    homes = cells.district.isin(["suburb", "courts", "old_town"]).to_numpy()
    business = homes & (cells.strip | cells.main_street).to_numpy()
    roads = shapely.union_all(layout.arterials.geometry.to_numpy())
    strip = np.full(len(cells), shapely.Polygon(), dtype=object)
    near = business & shapely.dwithin(whole, roads, 90.0)
    strip[near] = shapely.intersection(shapely.buffer(roads, deep[near]), whole[near])
    green = layout.blocks[layout.blocks.district.eq("park") & layout.blocks.index.isin(lots.block)]
    rest = shapely.difference(whole, strip)
    parks = shapely.union_all(shapely.buffer(green.geometry.to_numpy(), 4.0))
    zones = pd.DataFrame(
        {
            "zone": [
                *cells.district.map(zone_of),
                *np.where(cells.main_street[near], "MX", "B-1"),
            ],
            "shape": [*shapely.difference(rest, parks), *shapely.difference(strip[near], parks)],
        }
    )
    rows = [("OS", parks)]
    rows += [
        (str(name), shapely.union_all(part.to_numpy()))
        for name, part in zones.groupby("zone").shape
    ]
    table = gpd.GeoDataFrame(
        {"zone": [name for name, _ in rows]}, geometry=[shape for _, shape in rows]
    ).explode(ignore_index=True)
    return table[(table.geom_type == "Polygon") & (table.area > 30)].reset_index(drop=True)


def draw_rights_of_way(
    layout: TownLayout, lots: gpd.GeoDataFrame, town: shapely.Geometry
) -> gpd.GeoDataFrame:
    """Draw the ground between the lots: streets, the river and the railway.

    Args:
        layout: The town's layout.
        lots: The lots, in the town's frame.
        town: The outline of the town.

    Returns:
        The shapes, with their kind.
    """
    blocks = layout.blocks.loc[np.unique(lots.block)]
    water = layout.river.buffer(recipe.RIVER_M / 2).intersection(town)
    rail = layout.rail.buffer(recipe.RAIL_M / 2).intersection(town).difference(water)
    taken = shapely.union(water, rail)
    streets = []
    for cell, part in blocks.groupby("cell"):
        whole = layout.cells.geometry[cell]
        built = shapely.union_all(shapely.buffer(part.geometry.to_numpy(), 0.0))
        around = shapely.intersection(whole, shapely.buffer(built, 12.0, quad_segs=2))
        between = shapely.difference(shapely.difference(around, built), taken)
        parts = shapely.get_parts(between)
        # A cut can leave a sliver without area, which a shapefile cannot hold.
        streets.append(shapely.multipolygons(parts[shapely.area(parts) > 1]))
    rows = [("ROW", shape) for shape in streets]
    rows += [("WATER", water), ("RAIL_ROW", cut_railway(rail))]
    table = gpd.GeoDataFrame(
        {"kind": [kind for kind, _ in rows]}, geometry=[shape for _, shape in rows]
    )
    return table[~table.is_empty].reset_index(drop=True)


def cut_railway(rail: shapely.Geometry) -> shapely.Geometry:
    """Return the railway in pieces, with narrow gaps between them, as one shape."""
    west, south, east, north = rail.bounds
    middle = np.linspace(west, east, recipe.RAIL_PIECES + 1)[1:-1]
    half = recipe.RAIL_GAP_M / 2
    gaps = shapely.box(middle - half, south, middle + half, north)
    return shapely.difference(rail, shapely.union_all(gaps))


def draw_flood_zone(layout: TownLayout, town: shapely.Geometry) -> shapely.Geometry:
    """Return the flood zone, which is wider on one bank of the river, then on the other."""
    x, y = _middle_of_low_ground(layout)
    low, high = np.column_stack([x, y - 42]), np.column_stack([x, y + 42])
    return shapely.Polygon(np.vstack([low, high[::-1]])).buffer(0).intersection(town)


def draw_sewer_easement(layout: TownLayout, town: shapely.Geometry) -> shapely.Geometry:
    """Return the easement of the trunk sewer, in the middle of the flood zone."""
    sewer = shapely.LineString(np.column_stack(_middle_of_low_ground(layout)))
    return sewer.buffer(recipe.SEWER_EASEMENT_M / 2, cap_style="flat").intersection(town)


def _middle_of_low_ground(layout: TownLayout) -> tuple[Array, Array]:
    """Return the line (x, y) that swings from one bank of the river to the other."""
    x, y = shapely.get_coordinates(layout.river).T
    return x, y - 34 * np.sin(x / (430 * max(layout.frame.scale, 0.4)))


def draw_wetland(layout: TownLayout, town: shapely.Geometry, rng: np.random.Generator) -> Array:
    """Draw a few marshes along the river.

    Args:
        layout: The town's layout.
        town: The outline of the town.
        rng: The source of random numbers.

    Returns:
        The marshes, in the town's frame.
    """
    line = layout.river.intersection(town)
    count = max(2, round(9 * layout.frame.scale))
    middle = shapely.get_coordinates(
        shapely.line_interpolate_point(line, rng.uniform(0.04, 0.96, count), normalized=True)
    )
    middle += rng.choice([-1, 1], (count, 1)) * rng.uniform(20, 60, (count, 1)) * [[0, 1]]
    angle = np.linspace(0, 2 * np.pi, 26)[:-1]
    wobble = 1 + 0.22 * np.sin(3 * angle + rng.uniform(0, 6, (count, 1)))
    size = rng.uniform(28, 75, (count, 1)) * wobble
    rings = middle[:, None, :] + np.stack(
        [1.7 * size * np.cos(angle), size * np.sin(angle)], axis=2
    )
    return np.asarray(shapely.intersection(shapely.polygons(rings), town))


def place_receptors(lots: gpd.GeoDataFrame, ground: TownGround) -> gpd.GeoDataFrame:
    """Return schools, the hospital, inns and churches as points, and parks as polygons.

    Receptors beyond the end of the clerk's list are left out.
    """
    receptors = lots[lots.use.isin(RECEPTORS)].copy()
    kind = receptors.use.map(RECEPTORS)
    order = np.arange(len(receptors))
    first = np.array(FIRST_NAMES)[order % len(FIRST_NAMES)]
    shapes = np.where(
        kind == "park", receptors.geometry, shapely.point_on_surface(receptors.geometry.to_numpy())
    )
    table = gpd.GeoDataFrame(
        {
            "kind": kind.to_numpy(),
            "name": [f"{a} {LAST_NAMES[b]}" for a, b in zip(first, kind, strict=True)],
        },
        geometry=shapes,
    )
    return table[table.intersects(ground.clerk)].reset_index(drop=True)
