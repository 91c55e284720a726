"""A picture of the noise around a site: the level in every cell, and lines of equal level."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import contourpy
import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from rasterio.features import geometry_mask
from rasterio.fill import fillnodata

from geo.criteria.noise.sound import NoiseSource, level_dba
from geo.model import Raster

LEVELS_DBA = (45.0, 50.0, 55.0, 60.0, 65.0, 69.0)
# The accuracy that ISO 9613-2 Table 5 states up to 1 km, broadband, 5 m or less above the ground.
ACCURACY_DB = 3.0
MAX_RAYS = 400_000  # machines times cells in one batch, so that memory stays small


def compute_level_grid(
    machines_xy: np.ndarray,
    sound: NoiseSource,
    *,
    receiver_height_m: float,
    cell_m: float,
    reach_m: float,
    indoors: np.ndarray,
    crs: str,
) -> Raster:
    """Compute the level in dB(A) at the middle of each cell around the machines, summed by energy.

    The grid is north up and reaches at least `reach_m` beyond the machines. Its corners are
    multiples of the cell size, so that the pictures of two sites share one grid. For example, with
    one machine at (2, 3) and cells of 5 m, a reach of 10 m covers x and y from -10 to 15.

    Args:
        machines_xy: The machines' centers (M, 2), meters in `crs`.
        sound: The sound of one machine and its surroundings.
        receiver_height_m: Height of the receivers above the ground.
        cell_m: The cell size in meters.
        reach_m: How far the grid reaches beyond the machines.
        indoors: Polygons (S,) in `crs` inside which no level is given.
        crs: The frame of the machines, of `indoors` and of the result; metric.

    Returns:
        The raster of levels, NaN where a cell's middle is indoors.
    """
    low = np.floor((machines_xy.min(axis=0) - reach_m) / cell_m).astype(int)
    high = np.ceil((machines_xy.max(axis=0) + reach_m) / cell_m).astype(int)
    columns, rows = (high - low).tolist()
    transform = Affine(cell_m, 0, low[0] * cell_m, 0, -cell_m, high[1] * cell_m)
    outdoors = np.ones((rows, columns), dtype=bool)
    if len(indoors):
        outdoors = geometry_mask(indoors, (rows, columns), transform)
    row, column = np.nonzero(outdoors)
    middle = np.column_stack((column + 0.5, row + 0.5))
    height = np.full(len(middle), receiver_height_m)
    receivers = np.column_stack((*(transform @ middle.T), height))
    values = np.full((rows, columns), np.nan)
    values[row, column] = _sum_levels(machines_xy, receivers, sound)
    return Raster(values, transform, crs, "dB(A)")


def _sum_levels(machines_xy: np.ndarray, receivers: np.ndarray, sound: NoiseSource) -> np.ndarray:
    """Return the level of all machines together at each receiver (P, 3), in dB(A)."""
    count = len(machines_xy)
    sources = np.column_stack((machines_xy, np.full(count, sound.source_height_m)))
    total_dba = np.empty(len(receivers))
    step = max(MAX_RAYS // count, 1)
    for begin in range(0, len(receivers), step):
        chunk = receivers[begin : begin + step]
        level = level_dba(sound, np.tile(sources, (len(chunk), 1)), np.repeat(chunk, count, axis=0))
        energy = (10 ** (level / 10)).reshape(-1, count).sum(axis=1)
        total_dba[begin : begin + step] = 10 * np.log10(energy)
    return total_dba


def draw_contours(
    raster: Raster,
    indoors: np.ndarray,
    levels: Sequence[float] = LEVELS_DBA,
    band_db: float = ACCURACY_DB,
) -> gpd.GeoDataFrame:
    """Draw the line of each level, and the band within `band_db` of it.

    Between the middles of the cells the level is linear. Cells without a level are bridged, so that
    a line runs up to a wall, and the polygons `indoors` are cut out. For example, in a raster whose
    level falls by 1 dB per meter to the east, from 60 dB at x = 0, the line of 50 dB is at x = 10
    and its band of 3 dB runs from x = 7 to x = 13.

    Args:
        raster: The levels, as `compute_level_grid` returns them.
        indoors: Polygons (S,) in the raster's frame.
        levels: The levels to draw, dB(A).
        band_db: Half the width of the band, dB.

    Returns:
        One row per `level_dba` and `kind` in the raster's frame, in the order of `levels`: "line"
        (MultiLineString) where the raster is at the level, and "band" (MultiPolygon) where it is
        within `band_db` of it. A level that is reached nowhere has no row.
    """
    known = np.isfinite(raster.values)
    rows: list[tuple[float, str, shapely.Geometry]] = []
    if known.any():
        walls = shapely.union_all(indoors)
        grid = _contour_generator(raster, known)
        for level in levels:
            lines: list[Any] = list(grid.lines(level))
            line = shapely.MultiLineString([one for one in lines if len(one) > 1])
            rows.append((level, "line", shapely.line_merge(shapely.difference(line, walls))))
            rows.append((level, "band", shapely.difference(_band(grid, level, band_db), walls)))
    kept = [(level, kind, _keep_parts(shape, kind)) for level, kind, shape in rows]
    kept = [row for row in kept if not row[2].is_empty]
    return gpd.GeoDataFrame(
        {"level_dba": [float(row[0]) for row in kept], "kind": [row[1] for row in kept]},
        geometry=[row[2] for row in kept],
        crs=raster.crs,
    )


def _contour_generator(raster: Raster, known: np.ndarray) -> contourpy.ContourGenerator:
    values = np.where(known, raster.values, 0.0)
    if not known.all():
        values = fillnodata(values, mask=known, max_search_distance=float(sum(known.shape)))
    row, column = np.indices(values.shape)
    middle: np.ndarray = np.stack((column + 0.5, row + 0.5))
    x, y = raster.transform @ middle
    return contourpy.contour_generator(
        x,
        y,
        values,
        name="serial",
        line_type=contourpy.LineType.Separate,
        fill_type=contourpy.FillType.OuterOffset,
    )


def _band(grid: contourpy.ContourGenerator, level: float, band_db: float) -> shapely.Geometry:
    """Return where the grid is within `band_db` of a level, as valid polygons."""
    filled: Any = grid.filled(level - band_db, level + band_db)
    points, offsets = filled
    polygons = []
    for ring, starts in zip(points, offsets, strict=True):
        shell, *holes = (ring[a:b] for a, b in pairwise(starts))
        polygons.append(shapely.Polygon(shell, holes))
    # A ring that touches itself at a saddle is not a valid polygon until it is repaired.
    return shapely.union_all(shapely.make_valid(np.array(polygons, dtype=object)))


def _keep_parts(shape: shapely.Geometry, kind: str) -> shapely.Geometry:
    """Return the lines or the polygons that a cut leaves, in normalized order."""
    parts = shapely.get_parts(shape)
    if kind == "line":
        lines = parts[shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING]
        return shapely.normalize(shapely.multilinestrings(lines))
    areas = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return shapely.normalize(shapely.multipolygons(areas))
