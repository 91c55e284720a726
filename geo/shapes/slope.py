"""Ground that is too steep to build on, from a grid of heights.

The slope is Horn's (1981, Hill Shading and the Reflectance Map, Proceedings of the IEEE 69-1), as
GDAL's gdaldem computes it: from the eight neighbors of a cell, where the four that share an edge
with it count twice.
"""

from itertools import pairwise

import numpy as np
import pyproj
import shapely
from rasterio.features import shapes

from geo.contract.units import convert_units
from geo.model import Raster
from geo.shapes.raster import reproject_raster

ROWS = 512  # at a time: the neighbors of a whole county would not fit in memory
ROUNDING = 1e-9
LEVEL, STEEP, UNKNOWN = 0, 1, 2
SIDE_PIECES = 32


def find_steep_ground(
    raster: Raster, slope_most: float, crs: object
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ground that is too steep, and the ground whose slope is not known.

    A grid in another frame is first resampled bilinearly. Beyond the outermost cells the ground is
    assumed to continue at the same slope. For example, ground that rises 1 m in 10 m to the east
    has a slope of 0.1 everywhere.

    Args:
        raster: Heights in the raster's unit, meters where it has none.
        slope_most: The steepest slope that is allowed, rise over run: 0.15 is 15 %.
        crs: The metric frame of the result.

    Returns:
        Two arrays of polygons in `crs` along the cells' edges, which do not overlap: the steeper
        ground, and the cells inside the grid's outline that have no height or a neighbor without
        one.
    """
    grid = reproject_raster(raster, crs)
    classes = _classify_cells(grid, slope_most)
    polygons = {
        STEEP: _outline_cells(classes, grid, STEEP),
        UNKNOWN: _outline_cells(classes, grid, UNKNOWN),
    }
    if grid is not raster and len(polygons[UNKNOWN]):
        # The resampled grid has corners outside the original one.
        within = shapely.intersection(polygons[UNKNOWN], outline_raster(raster, crs))
        parts = shapely.get_parts(within)
        polygons[UNKNOWN] = parts[shapely.area(parts) > 0]
    return polygons[STEEP], polygons[UNKNOWN]


def outline_raster(raster: Raster, crs: object) -> shapely.Polygon:
    """Return the ground that the grid covers, in `crs`; nothing is known of the ground beyond.

    For example, 3 by 2 cells of 10 m cover 600 m2.
    """
    height, width = raster.values.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height), (0, 0)], dtype=float)
    own, wanted = (pyproj.CRS.from_user_input(one) for one in (raster.crs, crs))
    if own != wanted:
        # A straight side becomes curved in another frame.
        share = np.arange(SIDE_PIECES)[:, None] / SIDE_PIECES
        sides = [begin + (end - begin) * share for begin, end in pairwise(corners)]
        corners = np.concatenate((*sides, corners[:1]))
    x, y = raster.transform @ corners.T
    if own != wanted:
        x, y = pyproj.Transformer.from_crs(own, wanted, always_xy=True).transform(x, y)
    return shapely.Polygon(np.column_stack((x, y)))


def compute_slope(raster: Raster) -> np.ndarray:
    """Return the slope of each cell, rise over run; NaN where it or a neighbor has no height.

    The raster's frame is metric. For example, on the plane z = 0.06 x + 0.08 y it is 0.1.
    """
    values = np.where(np.isfinite(raster.values), raster.values, np.nan)
    values = convert_units(values, raster.unit or "m", "m")
    # Beyond the outermost cells, continue the rise or fall between the last two cells.
    padded = np.pad(values, 1, mode="reflect", reflect_type="odd")
    return _horn_slope(padded, raster)


def _horn_slope(padded: np.ndarray, raster: Raster) -> np.ndarray:
    """Return the slope of the cells of `padded` without its outermost ring."""
    down = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    by_column = (down[:, 2:] - down[:, :-2]) / 8
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    by_row = (across[2:] - across[:-2]) / 8
    # Rise per cell times cells per meter; the grid may be flipped, rotated or stretched.
    back = ~raster.transform
    east = by_column * back.a + by_row * back.d
    north = by_column * back.b + by_row * back.e
    # Horn's sums do not use the middle cell, but without its height there is no slope.
    return np.asarray(np.hypot(east, north) + 0 * padded[1:-1, 1:-1])


def _classify_cells(raster: Raster, slope_most: float) -> np.ndarray:
    """Classify each cell as level, steep or unknown, one strip of rows at a time."""
    rows = len(raster.values)
    classes = np.full(raster.values.shape, UNKNOWN, dtype=np.uint8)
    if not classes.size:
        return classes
    for first in range(0, rows, ROWS):
        top, last = max(first - 1, 0), min(first + ROWS, rows)
        strip = Raster(raster.values[top : last + 1], raster.transform, raster.crs, raster.unit)
        rise = compute_slope(strip)[first - top : last - top]
        known = np.isfinite(rise)
        classes[first:last][known] = np.where(rise[known] > slope_most + ROUNDING, STEEP, LEVEL)
    return classes


def _outline_cells(classes: np.ndarray, raster: Raster, wanted: int) -> np.ndarray:
    """Return the polygons around the cells of one class, each a patch joined along cells' edges."""
    mask = classes == wanted
    if not mask.any():
        return np.empty(0, dtype=object)
    patches = [
        [np.asarray(ring) for ring in patch["coordinates"]]
        for patch, _ in shapes(mask.astype(np.uint8), mask=mask, transform=raster.transform)
    ]
    polygons = np.array([shapely.Polygon(rings[0], rings[1:]) for rings in patches], dtype=object)
    wrong = ~shapely.is_valid(polygons)
    polygons[wrong] = shapely.make_valid(polygons[wrong], method="structure")
    return np.asarray(shapely.get_parts(polygons))
