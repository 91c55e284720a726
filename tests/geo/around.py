"""Look up what lies around one parcel, for the slow oracles.

Each function works on one shape at a time. Lengths are in meters in the market's frame.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyproj
import shapely
from shapely import Geometry, Point

from geo.model import Plan, Raster, Screening


@dataclass
class Parcel:
    """One site, the town that it lies in, and the plan that applies to it."""

    row: pd.Series
    town: Screening
    plan: Plan

    @property
    def lot(self) -> Geometry:
        return self.row["geometry"]

    @property
    def spot(self) -> Point:
        """Return the point on the lot where areas and rasters are read."""
        return self.lot.point_on_surface()


def list_rows_within(town: Screening, layer: str, lot: Geometry, reach_m: float) -> list[dict]:
    """List the rows of a layer within reach of a lot, each with its `distance_m`.

    Args:
        town: The town's layers.
        layer: The layer's name; a town without it has no rows.
        lot: The lot, in the market's metric CRS.
        reach_m: The greatest distance from the lot.

    Returns:
        The rows, in the layer's order.
    """
    if layer not in town.layers:
        return []
    left, bottom, right, top = lot.bounds
    rows, frame = [], town.layers[layer]
    around = shapely.box(left - reach_m, bottom - reach_m, right + reach_m, top + reach_m)
    every = list_layer_rows(frame)
    for nth in np.sort(frame.sindex.query(around)):
        row = every[nth]
        distance_m = lot.distance(row["geometry"])
        if distance_m <= reach_m:
            rows.append({**row, "distance_m": distance_m})
    return rows


# The rows of each table already read, with the table itself, so that no other can have its id.
_read_tables: dict[int, tuple[pd.DataFrame, list[dict]]] = {}


def list_layer_rows(frame: pd.DataFrame) -> list[dict]:
    """List all rows of a layer; the layer must not be changed afterwards."""
    if id(frame) not in _read_tables:
        _read_tables[id(frame)] = (frame, frame.to_dict("records"))
    return _read_tables[id(frame)][1]


def is_reach_covered(town: Screening, layer: str, lot: Geometry, reach_m: float) -> bool:
    """Return whether everything within reach of a lot lies inside the layer's coverage.

    Of the lot itself, less than half may lie beyond: no farther than 1 m, or no more than 1%.

    Args:
        town: The town's coverage.
        layer: The layer's name.
        lot: The lot, in the market's metric CRS.
        reach_m: The reach.

    Returns:
        False where the coverage is unknown.
    """
    area = town.coverage.get(layer)
    if area is None or area.boundary.distance(lot) < reach_m:
        return False
    beyond = lot.difference(area)
    is_sliver = beyond.area <= 0.01 * lot.area or area.buffer(1.0).covers(beyond)
    return bool(area.covers(lot) or (is_sliver and beyond.area < lot.area / 2))


def read_cell(grid: Raster, point: Point, crs: object) -> float | None:
    """Read the value of the raster's cell under a point.

    Args:
        grid: The raster.
        point: The point.
        crs: The point's CRS.

    Returns:
        The value; None outside the raster and where the raster has no value.
    """
    cells = np.asarray(grid.values)
    transformer = pyproj.Transformer.from_crs(crs, grid.crs, always_xy=True)
    position = ~grid.transform @ transformer.transform(point.x, point.y)
    column, row = (math.floor(value) for value in position)
    known = (
        0 <= row < len(cells) and 0 <= column < len(cells[0]) and not np.isnan(cells[row, column])
    )
    return float(cells[row, column]) if known else None


def is_missing(value: object) -> bool:
    return bool(pd.isna(value))


def is_missing_shape(value: object) -> bool:
    return not isinstance(value, Geometry)


def read_number(row: dict, name: str) -> float | None:
    """Return the number in a row's column, or None if the value or the column is missing."""
    value = row.get(name)
    return None if is_missing(value) else float(value)


def read_text(row: dict, name: str) -> str | None:
    """Return the text in a row's column, or None if the value or the column is missing."""
    value = row.get(name)
    return None if is_missing(value) else str(value)


def are_equal(name: str, actual: object, expected: object) -> bool:
    """Return whether two values of a fact are equal: numbers to a millionth, texts exactly.

    Args:
        name: The fact's name. One that ends in `_m` may have been rounded to the millimeter.
        actual: The program's value.
        expected: The oracle's value.

    Returns:
        True where both are missing.
    """
    if is_missing(actual) or is_missing(expected):
        return is_missing(actual) and is_missing(expected)
    if isinstance(expected, (bool, str)):
        return actual == expected
    tolerance = 0.00051 if name.endswith("_m") else 1e-6
    return math.isclose(actual, expected, rel_tol=1e-6, abs_tol=tolerance)
