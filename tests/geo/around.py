"""What lies around one parcel: the questions that the slow oracles ask of a town.

One shape at a time. Lengths are metres in the market's frame.
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
    """One site, the town that it lies in, and what is asked of it."""

    row: pd.Series
    town: Screening
    plan: Plan

    @property
    def lot(self) -> Geometry:
        return self.row["geometry"]

    @property
    def spot(self) -> Point:
        """Return a point on the lot: what an area or a raster is asked about."""
        return self.lot.point_on_surface()


def list_rows_within(town: Screening, layer: str, lot: Geometry, reach_m: float) -> list[dict]:
    """Return the rows of a layer within `reach_m` of a lot, with `distance_m`; none if no layer."""
    if layer not in town.layers:
        return []
    left, bottom, right, top = lot.bounds
    found, frame = [], town.layers[layer]
    about = shapely.box(left - reach_m, bottom - reach_m, right + reach_m, top + reach_m)
    for row in frame.iloc[np.sort(frame.sindex.query(about))].to_dict("records"):
        distance_m = lot.distance(row["geometry"])
        if distance_m <= reach_m:
            found.append({**row, "distance_m": distance_m})
    return found


def is_reach_covered(town: Screening, layer: str, lot: Geometry, reach_m: float) -> bool:
    """Return whether everything within `reach_m` of a lot lies inside the layer's coverage."""
    area = town.coverage.get(layer)
    return area is not None and area.covers(lot) and area.boundary.distance(lot) >= reach_m


def read_cell(grid: Raster, point: Point, crs: object) -> float | None:
    """Return the value of the raster's cell under a point, None outside and where none is held."""
    cells = np.asarray(grid.values)
    move = pyproj.Transformer.from_crs(crs, grid.crs, always_xy=True)
    column, row = (math.floor(one) for one in ~grid.transform @ move.transform(point.x, point.y))
    known = (
        0 <= row < len(cells) and 0 <= column < len(cells[0]) and not np.isnan(cells[row, column])
    )
    return float(cells[row, column]) if known else None


def is_missing(value: object) -> bool:
    return bool(pd.isna(value))


def is_missing_shape(value: object) -> bool:
    return not isinstance(value, Geometry)


def read_number(row: dict, name: str) -> float | None:
    """Return what a row holds under a name; None where that is missing, or no such column."""
    value = row.get(name)
    return None if is_missing(value) else float(value)


def read_text(row: dict, name: str) -> str | None:
    """Return the text that a row holds under a name; None as for `number`."""
    value = row.get(name)
    return None if is_missing(value) else str(value)


def are_equal(name: str, got: object, wanted: object) -> bool:
    """Return whether two answers are the same: numbers within a millionth, words as they are.

    Metres may have been rounded to the millimetre.
    """
    if is_missing(got) or is_missing(wanted):
        return is_missing(got) and is_missing(wanted)
    if isinstance(wanted, (bool, str)):
        return got == wanted
    apart = 0.00051 if name.endswith("_m") else 1e-6
    return math.isclose(got, wanted, rel_tol=1e-6, abs_tol=apart)
