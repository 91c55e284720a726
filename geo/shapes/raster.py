"""Values of a raster at points, in its own frame or another."""

from functools import cache

import numpy as np
import pyproj
import shapely
from rasterio.warp import Resampling, calculate_default_transform, reproject

from geo.model import Raster


def sample_raster(raster: Raster, points: np.ndarray, crs: object) -> np.ndarray:
    """Return the raster's value in the cell under each point.

    The points are transformed to the raster's own frame; the grid itself is never resampled. A
    point that cannot be transformed counts as outside. The rows may run north or south, and the
    grid may be rotated. For example, a raster in degrees whose one cell covers longitude 9 to 10
    and latitude 0 to 1 gives its value at (500000, 55000) in UTM zone 32, which is 9 E, 0.5 N.

    Args:
        raster: The raster.
        points: Points (n,) in `crs`, x before y.
        crs: The frame of the points, as pyproj accepts it.

    Returns:
        The values (n,), NaN outside the raster and where it has no data.
    """
    across = _transformer(str(pyproj.CRS.from_user_input(crs)), raster.crs)
    return _cell_values(raster, *across.transform(*_xy(points)))


def reproject_raster(raster: Raster, crs: object) -> Raster:
    """Return the raster in another frame, resampled bilinearly; unchanged if already in it."""
    own, wanted = (pyproj.CRS.from_user_input(one) for one in (raster.crs, crs))
    if own == wanted:
        return raster
    height, width = raster.values.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=float)
    x, y = raster.transform @ corners.T
    transform, wide, high = calculate_default_transform(
        own, wanted, width, height, left=x.min(), bottom=y.min(), right=x.max(), top=y.max()
    )
    values = np.full((high, wide), np.nan)
    reproject(
        raster.values,
        values,
        src_transform=raster.transform,
        src_crs=own,
        src_nodata=np.nan,
        dst_transform=transform,
        dst_crs=wanted,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )
    return Raster(values, transform, wanted.to_string(), raster.unit)


@cache
def _transformer(crs: str, other: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, other, always_xy=True)


def _xy(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and y of points, NaN where a point is empty or missing."""
    x, y = np.full((2, len(points)), np.nan)
    has_place = ~(shapely.is_empty(points) | shapely.is_missing(points))
    x[has_place], y[has_place] = shapely.get_x(points[has_place]), shapely.get_y(points[has_place])
    return x, y


def _cell_values(raster: Raster, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the values in the cells under coordinates (n,) in the raster's frame."""
    values = np.full(len(x), np.nan)
    known = np.isfinite(x) & np.isfinite(y)
    column, row = ~raster.transform @ (x[known], y[known])
    column, row = np.floor(column), np.floor(row)
    height, width = raster.values.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    where = np.flatnonzero(known)[inside]
    values[where] = raster.values[row[inside].astype(int), column[inside].astype(int)]
    return values
