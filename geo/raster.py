"""Values of a raster at or under shapes in the same frame."""

import numpy as np
import shapely

from geo.model import Raster


def at_points(raster: Raster, points: np.ndarray) -> np.ndarray:
    """Return the raster's value in the cell under each point; NaN outside it and on nodata.

    `points` are in the raster's own frame. Worked: in a raster whose first cell covers
    x 0-10, y 0-10 from the top left corner (0, 10), the point (5, 5) takes that cell's value.
    """
    found = np.full(len(points), np.nan)
    known = ~shapely.is_empty(points)
    column, row = ~raster.transform @ (shapely.get_x(points[known]), shapely.get_y(points[known]))
    column, row = np.floor(column).astype(int), np.floor(row).astype(int)
    height, width = raster.values.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    where = np.flatnonzero(known)[inside]
    found[where] = raster.values[row[inside], column[inside]]
    return found
