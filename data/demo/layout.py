"""Lay the town out: neighborhoods, streets and blocks, around a river and a railway.

A neighborhood is a Voronoi cell with its own street grid, parallel to the cell's longest edge; the
old center has rings and spokes. All of it is then warped by long waves, so that no street stays
straight and no shapes overlap. Lengths are in meters, in a frame centered on the town.

The module is over 400 lines long: each step reads the geometry of the step before.
"""

from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.demo import recipe
from data.demo.recipe import DISTRICTS

Array = np.ndarray


@dataclass(frozen=True)
class TownFrame:
    """The size of the town: `scale` is 1 for 20,000 parcels, and `half_m` is its half axes."""

    scale: float
    half_m: tuple[float, float]
    waves: Array

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return a place in meters, given in shares of the town's half axes."""
        return x * self.half_m[0], y * self.half_m[1]

    def box(self, west: float, east: float, south: float, north: float) -> shapely.Polygon:
        """Return a box in meters, given in shares of the town's half axes.

        Args:
            west: Its western side, -1 to 1.
            east: Its eastern side, -1 to 1.
            south: Its southern side, -1 to 1.
            north: Its northern side, -1 to 1.

        Returns:
            The box, in the town's frame.
        """
        return shapely.box(*self.place(west, south), *self.place(east, north))

    def shares(self, points: Array) -> Array:
        """Return points (n, 2) in meters as shares of the half axes."""
        return np.asarray(points / np.array(self.half_m))


@dataclass(frozen=True)
class TownLayout:
    """The layout of a town: cells, blocks, streets, and the lines along which the town grew."""

    frame: TownFrame
    cells: gpd.GeoDataFrame
    blocks: gpd.GeoDataFrame
    streets: gpd.GeoDataFrame
    arterials: gpd.GeoDataFrame
    river: shapely.LineString
    rail: shapely.LineString


def make_frame(parcels: int, rng: np.random.Generator) -> TownFrame:
    """Return the frame that holds `parcels`, with some room to spare."""
    scale = float(np.sqrt(parcels / recipe.PARCELS))
    half_m = (recipe.HALF_M[0] * scale, recipe.HALF_M[1] * scale)
    # Wavelength, direction of travel, phase, direction of shift. Long waves shift points farther.
    count = 9
    length = np.geomspace(520, 3200, count)
    turn = rng.uniform(0, 2 * np.pi, count)
    phase = rng.uniform(0, 2 * np.pi, count)
    push = rng.uniform(0, 2 * np.pi, count)
    return TownFrame(scale, half_m, np.column_stack([length, turn, phase, push]))


def warp_points(shapes: Array, waves: Array) -> Array:
    """Move every vertex of `shapes` along smooth waves. Adjoining shapes still adjoin."""

    def move(xy: Array) -> Array:
        length, turn, phase, push = (waves[:, [i]].T for i in range(4))
        along = xy[:, :1] * np.cos(turn) + xy[:, 1:] * np.sin(turn)
        # A slope of at most 0.11 per wave keeps the sum of all nine below 1, so shapes never fold.
        swing = 0.11 * length / (2 * np.pi) * np.sin(2 * np.pi * along / length + phase)
        shift = np.column_stack(
            [(swing * np.cos(push)).sum(axis=1), (swing * np.sin(push)).sum(axis=1)]
        )
        return np.asarray(xy + shift)

    return np.asarray(shapely.transform(shapely.segmentize(shapes, 22.0), move))


def lay_out_town(parcels: int, rng: np.random.Generator) -> TownLayout:
    """Lay out a town with somewhat more ground than `parcels` need."""
    town = make_frame(parcels, rng)
    river, rail = _river(town), _rail(town)
    arterials = _arterials(town)
    cells = _cells(town, rng)
    blocks, streets = _grids(cells, town, rng)
    for table in (cells, blocks, streets):
        table["geometry"] = warp_points(table.geometry.to_numpy(), town.waves)
    water = shapely.union_all([river.buffer(recipe.RIVER_M / 2), rail.buffer(recipe.RAIL_M / 2)])
    blocks = _open_streets(blocks, water, arterials)
    blocks = _set_aside_blocks(blocks, town, rng)
    blocks, courts = _courts(blocks, rng)
    blocks = _strips(blocks, cells, arterials)
    streets = _finish_streets(streets, courts, arterials, river, cells)
    return TownLayout(town, cells, blocks, streets, arterials, river, rail)


def district_at(points: Array, town: TownFrame, rng: np.random.Generator) -> Array:
    """Return the district of each point: the first place that contains it, or else the suburb.

    Args:
        points: Points (n, 2), in the town's frame.
        town: The town's frame.
        rng: The source of random numbers, which selects the courts among the suburbs.

    Returns:
        The district of each point (n,).
    """
    x, y = town.shares(points).T
    district = np.where(rng.random(len(points)) < recipe.COURTS_SHARE, "courts", "suburb")
    district = district.astype(object)
    for name, at_x, at_y, reach_x, reach_y in reversed(recipe.PLACES):
        inside = ((x - at_x) / reach_x) ** 2 + ((y - at_y) / reach_y) ** 2 <= 1
        district[inside] = name
    return district


def _river(town: TownFrame) -> shapely.LineString:
    half_x, half_y = town.half_m
    t = np.linspace(-1.25, 1.25, 260)
    bends = 0.10 * np.sin(5.2 * t + 0.4) + 0.045 * np.sin(13.7 * t + 1.0)
    return shapely.LineString(np.column_stack([t * half_x, half_y * (-0.13 + bends)]))


def _rail(town: TownFrame) -> shapely.LineString:
    half_x, half_y = town.half_m
    t = np.linspace(-1.25, 1.25, 120)
    bends = 0.09 * np.sin(5.2 * t + 0.1) + 0.05 * np.sin(2.1 * t)
    return shapely.LineString(np.column_stack([t * half_x, half_y * (-0.36 + bends)]))


def _arterials(town: TownFrame) -> gpd.GeoDataFrame:
    """Draw the roads that leave the center, each bent by its own curve."""
    center = np.array(town.place(*recipe.CENTER))
    start = _center_radius(town) - 40
    lines = []
    for _, bearing_deg, curve in recipe.ARTERIALS:
        r = np.arange(start, 1.3 * town.half_m[0], 40.0)
        angle = np.radians(bearing_deg) + curve * np.sin(r / (620 * max(town.scale, 0.5)))
        lines.append(
            shapely.LineString(center + np.column_stack([r * np.cos(angle), r * np.sin(angle)]))
        )
    names = [name for name, _, _ in recipe.ARTERIALS]
    return gpd.GeoDataFrame({"name": names}, geometry=lines)


def _center_radius(town: TownFrame) -> float:
    rings = max(2, round(recipe.CENTER_RADIUS_M * town.scale / recipe.RING_M))
    return float(rings * recipe.RING_M)


def _cells(town: TownFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Return the neighborhoods: the center's disc, and Voronoi cells of randomly moved points."""
    half_x, half_y = town.half_m
    pitch = 420.0
    x, y = np.meshgrid(
        np.arange(-1.35 * half_x - pitch, 1.35 * half_x + pitch, pitch),
        np.arange(-1.35 * half_y - pitch, 1.35 * half_y + pitch, pitch),
    )
    seeds = np.column_stack([x.ravel(), y.ravel()])
    seeds += rng.uniform(-0.34, 0.34, seeds.shape) * pitch
    polygons = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds)))
    # The order of the cells is not guaranteed, so sort them west to east, then south to north.
    middles = shapely.get_coordinates(shapely.centroid(polygons)).round(3)
    polygons = polygons[np.lexsort((middles[:, 1], middles[:, 0]))]
    polygons = polygons[np.hypot(*town.shares(_xy(polygons)).T) < 1.22]
    disc = shapely.Point(town.place(*recipe.CENTER)).buffer(_center_radius(town), quad_segs=32)
    polygons = shapely.difference(polygons, disc)
    polygons = polygons[(shapely.area(polygons) > 9_000) & (shapely.get_type_id(polygons) == 3)]
    district = district_at(_xy(polygons), town, rng)
    cells = gpd.GeoDataFrame({"district": district}, geometry=polygons)
    middle = gpd.GeoDataFrame({"district": ["center"]}, geometry=[disc])
    cells = pd.concat([middle, cells], ignore_index=True)
    cells["strip"] = rng.random(len(cells)) < recipe.STRIP_SHARE
    cells["zone_shift_m"] = rng.uniform(-14, 12, len(cells))
    near = np.hypot(*(town.shares(_xy(cells.geometry.to_numpy())) - recipe.CENTER).T)
    cells["main_street"] = near < recipe.MAIN_STREET_REACH
    return cells


def _xy(shapes: Array) -> Array:
    return np.asarray(shapely.get_coordinates(shapely.centroid(shapes)))


def _grids(
    cells: gpd.GeoDataFrame, town: TownFrame, rng: np.random.Generator
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Fill each cell with blocks, and return them with the center lines of their streets."""
    blocks: list[gpd.GeoDataFrame] = []
    streets: list[gpd.GeoDataFrame] = []
    for cell, (district, polygon) in enumerate(zip(cells.district, cells.geometry, strict=True)):
        if district == "center":
            pieces, lines = _rings(polygon, town)
        else:
            pieces, lines = _rows(polygon, DISTRICTS[district].block_m, rng)
        for shapes, into in ((pieces, blocks), (lines, streets)):
            of = {"cell": [cell] * len(shapes), "district": district}
            into.append(gpd.GeoDataFrame(of, geometry=shapes))
    return pd.concat(blocks, ignore_index=True), pd.concat(streets, ignore_index=True)


def _rows(
    cell: shapely.Polygon, block_m: tuple[float, float], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return blocks in rows along the cell's longest edge, each row shifted, and their streets."""
    ring = shapely.get_coordinates(cell.exterior)
    edges = np.diff(ring, axis=0)
    longest = int(np.argmax(np.hypot(*edges.T)))
    origin, along = ring[longest], edges[longest] / np.hypot(*edges[longest])
    across = np.array([-along[1], along[0]])
    u, v = (ring - origin) @ along, (ring - origin) @ across
    depth, length = block_m
    if abs(v.min()) > v.max():  # the cell lies on the other side of its longest edge
        across, v = -across, -v
    # Adjust the depth of the rows so that the last one ends at the cell's far side.
    count = max(1, round(v.max() / depth))
    depth = v.max() / count
    rows, lines = [], []
    for row in range(count):
        shift = rng.uniform(0, length)
        cuts = np.arange(u.min() - shift, u.max() + length, length * rng.uniform(0.85, 1.15))
        low, high = row * depth, (row + 1) * depth
        corners = np.array([[[a, low], [b, low], [b, high], [a, high]] for a, b in pairwise(cuts)])
        rows.append(corners)
        lines += [[[a, low], [a, high]] for a in cuts]
        lines.append([[u.min(), high], [u.max(), high]])
    turn = np.vstack([along, across])
    pieces = shapely.intersection(shapely.polygons(np.concatenate(rows) @ turn + origin), cell)
    streets = shapely.intersection(
        shapely.linestrings(np.array(lines) @ turn + origin), cell.buffer(-1.0)
    )
    return _whole(pieces, 3, 900.0), _whole(np.append(streets, cell.exterior), 1, 25.0)


def _rings(disc: shapely.Polygon, town: TownFrame) -> tuple[Array, Array]:
    """Return the blocks and streets of the old center: rings around a common, cut by spokes."""
    center = np.array(town.place(*recipe.CENTER))
    rings = round(_center_radius(town) / recipe.RING_M)
    pieces: list[Array] = []
    lines: list[Array] = []

    def arc(radius: float, start: float, end: float) -> Array:
        angle = np.linspace(start, end, 14)
        return np.asarray(center + radius * np.column_stack([np.cos(angle), np.sin(angle)]))

    pieces.append(arc(recipe.RING_M, 0, 2 * np.pi)[:-1])
    for ring in range(1, rings):
        inner, outer = ring * recipe.RING_M, (ring + 1) * recipe.RING_M
        spokes = 5 * (1 if ring < 2 else 2 if ring < 5 else 3 if ring < 9 else 4)
        cuts = np.linspace(0, 2 * np.pi, spokes + 1) + 0.3
        for start, end in pairwise(cuts):
            pieces.append(np.vstack([arc(inner, start, end), arc(outer, end, start)]))
            lines += [
                arc(inner, start, end),
                np.vstack([arc(inner, end, end)[0], arc(outer, end, end)[0]]),
            ]
    blocks = np.array([shapely.Polygon(piece) for piece in pieces])
    streets = np.array([shapely.LineString(line) for line in lines])
    return shapely.intersection(blocks, disc), streets


def _whole(shapes: Array, kind: int, least: float) -> Array:
    """Return parts of one kind (1 line, 3 polygon) whose length or area is at least `least`."""
    parts = shapely.get_parts(shapes)
    size = shapely.area(parts) if kind == 3 else shapely.length(parts)
    keep = np.isin(shapely.get_type_id(parts), (kind, 2 if kind == 1 else kind)) & (size >= least)
    return np.asarray(parts[keep])


def _open_streets(
    blocks: gpd.GeoDataFrame, water: shapely.Geometry, arterials: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Remove the streets, the river and the railway from the blocks."""
    half = blocks.district.map({name: d.street_m / 2 for name, d in DISTRICTS.items()})
    blocks = blocks.set_geometry(
        shapely.buffer(blocks.geometry.to_numpy(), -half.to_numpy(), join_style="mitre")
    )
    roads = shapely.union_all(shapely.buffer(arterials.geometry.to_numpy(), recipe.ARTERIAL_M / 2))
    barred = shapely.union_all([water, roads])
    shapely.prepare(barred)
    crossed = shapely.intersects(barred, blocks.geometry.to_numpy())
    ground = blocks.geometry.to_numpy().copy()
    ground[crossed] = shapely.difference(ground[crossed], barred)
    blocks = blocks.set_geometry(ground).explode(ignore_index=True)
    # The rest of a block beside a road or the river must still be wide enough to build on.
    wide = ~shapely.is_empty(shapely.buffer(blocks.geometry.to_numpy(), -6.0))
    return blocks[wide & (blocks.area > 450)].reset_index(drop=True)


def _set_aside_blocks(
    blocks: gpd.GeoDataFrame, town: TownFrame, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Give whole blocks to schools, parks and the hospital."""
    district = blocks.district.to_numpy().copy()
    area, draw = blocks.area.to_numpy(), rng.random(len(blocks))
    for name, within, one_in, least_m2 in recipe.BLOCKS:
        suits = np.isin(district, within) & (area >= least_m2)
        district[suits & (draw < 1 / one_in)] = name
        draw = rng.random(len(blocks))
    # The center's first block, in the middle of the rings, is the common.
    district[int(np.flatnonzero(district == "center")[0])] = "park"
    hospital = blocks.geometry.distance(shapely.Point(town.place(*recipe.HOSPITAL)))
    suits = np.isin(district, ("suburb", "courts", "old_town", "park")) & (area > 5000)
    district[int(hospital.where(suits, np.inf).argmin())] = "hospital"
    blocks["place"] = blocks.district
    blocks["district"] = district
    return blocks


def _courts(
    blocks: gpd.GeoDataFrame, rng: np.random.Generator
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Cut a dead-end street with a turning circle into some of the deep blocks."""
    share = blocks.district.map({name: d.courts for name, d in DISTRICTS.items()}).to_numpy()
    box = shapely.oriented_envelope(blocks.geometry.to_numpy())
    corner = np.stack([shapely.get_coordinates(one)[:4] for one in box])
    first, second = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 1]
    deep = np.minimum(np.hypot(*first.T), np.hypot(*second.T)) > 84
    chosen = np.flatnonzero((rng.random(len(blocks)) < share) & deep)
    flip = rng.random(len(chosen)) < 0.5
    long_first = np.hypot(*first[chosen].T) >= np.hypot(*second[chosen].T)
    axis = np.where(long_first[:, None], first[chosen], second[chosen])
    middle = corner[chosen].mean(axis=1)
    axis = np.where(flip[:, None], -axis, axis)
    stop = middle + axis * rng.uniform(0.02, 0.16, (len(chosen), 1))
    bend = np.column_stack([-axis[:, 1], axis[:, 0]]) * rng.uniform(-0.035, 0.035, (len(chosen), 1))
    stems = shapely.linestrings(
        np.stack([middle - axis * 0.62, middle - axis * 0.2 + bend, stop], axis=1)
    )
    bulbs = shapely.buffer(shapely.points(stop), 15.0, quad_segs=5)
    dead_ends = shapely.union(shapely.buffer(stems, 6.0), bulbs)
    ground = blocks.geometry.to_numpy().copy()
    left = shapely.difference(ground[chosen], dead_ends)
    whole = shapely.get_type_id(left) == 3
    ground[chosen[whole]] = left[whole]
    lines = gpd.GeoDataFrame(
        {"cell": blocks.cell.to_numpy()[chosen[whole]], "district": "courts", "court": True},
        geometry=stems[whole],
    )
    return blocks.set_geometry(ground), lines


def _strips(
    blocks: gpd.GeoDataFrame, cells: gpd.GeoDataFrame, arterials: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Cut business strips along arterials off the blocks behind; `edge` is the street line."""
    blocks["edge"] = shapely.boundary(blocks.geometry.to_numpy())
    of = cells.loc[blocks.cell.to_numpy()].reset_index(drop=True)
    homes = blocks.district.isin(["suburb", "courts", "old_town"]).to_numpy()
    chosen = homes & (of.strip | of.main_street).to_numpy()
    reach = shapely.union_all(
        shapely.buffer(arterials.geometry.to_numpy(), recipe.ARTERIAL_M / 2 + recipe.STRIP_DEPTH_M)
    )
    shapely.prepare(reach)
    ground = blocks.geometry.to_numpy()
    chosen &= shapely.intersects(reach, ground)
    front = blocks[chosen].set_geometry(shapely.intersection(ground[chosen], reach))
    front["district"] = np.where(of.main_street[chosen], "main_street", "strip")
    back = blocks[chosen].set_geometry(shapely.difference(ground[chosen], reach))
    parts = pd.concat([front, back]).explode(ignore_index=True)
    parts = parts[(parts.geom_type == "Polygon") & (parts.area > 150)]
    return pd.concat([blocks[~chosen], parts], ignore_index=True)


def _finish_streets(
    streets: gpd.GeoDataFrame,
    courts: gpd.GeoDataFrame,
    arterials: gpd.GeoDataFrame,
    river: shapely.LineString,
    cells: gpd.GeoDataFrame,
) -> gpd.GeoDataFrame:
    """Combine and name all center lines, and remove what lies in the river from minor streets."""
    streets["court"] = False
    roads = gpd.overlay(
        arterials[["name", "geometry"]],
        cells.assign(cell=cells.index)[["cell", "geometry"]],
        how="intersection",
        keep_geom_type=True,
    ).explode(ignore_index=True)
    roads["district"] = "arterial"
    wet = river.buffer(recipe.RIVER_M / 2)
    minor = pd.concat([streets, courts], ignore_index=True)
    minor = minor.set_geometry(shapely.difference(minor.geometry.to_numpy(), wet))
    minor = minor.explode(ignore_index=True)
    minor = minor[minor.length > 12].reset_index(drop=True)
    order = np.arange(len(minor))
    names = np.array(recipe.STREET_NAMES)[order % len(recipe.STREET_NAMES)]
    kinds = np.array(recipe.STREET_KINDS)[
        (order // len(recipe.STREET_NAMES)) % len(recipe.STREET_KINDS)
    ]
    kinds = np.where(minor.court, "Court", kinds)
    minor["name"] = np.char.add(np.char.add(names, " "), kinds.astype(str))
    roads["court"] = False
    return pd.concat([roads, minor], ignore_index=True)
