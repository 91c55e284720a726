"""The declared bounds of a source: in its own CRS, and the rows that meet them."""

from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from data.notes import RoutineNote
from data.protocols.refusal import refuse_file
from data.source import Source
from geo.model import Degrees

Bounds = tuple[float, float, float, float]


def bounds_in_crs(degrees: Degrees, crs: Any) -> Bounds:
    """Return bounds in degrees as left, bottom, right and top in a CRS."""
    to_crs = pyproj.CRS.from_user_input(crs)
    from_degrees = pyproj.Transformer.from_crs("EPSG:4326", to_crs, always_xy=True)
    left, bottom, right, top = from_degrees.transform_bounds(*degrees, densify_pts=21)
    return (left, bottom, right, top)


def clip_to_bounds(
    coverage: shapely.Geometry | None, source: Source, crs: str
) -> shapely.Geometry | None:
    """Return the part of a coverage within the source's bounds, as no row beyond them was read.

    Args:
        coverage: The area inside which absence is a fact; None if it is not known.
        source: The source; nothing changes if it declares no bounds.
        crs: CRS of the coverage.

    Returns:
        The area, which may be empty.
    """
    if coverage is None or source.fetch.bounds is None:
        return coverage
    west, south, east, north = source.fetch.bounds
    # Straight sides in degrees are curves in another CRS.
    side = max(east - west, north - south)
    degrees = shapely.segmentize(shapely.box(west, south, east, north), side / 20)
    return shapely.normalize(
        coverage.intersection(gpd.GeoSeries([degrees], crs="EPSG:4326").to_crs(crs).iloc[0])
    )


def keep_within_bounds(
    frame: gpd.GeoDataFrame, source: Source, shown: str
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Leave out the rows whose box does not meet the source's bounds, if it declares bounds.

    Args:
        frame: The rows, in the declared CRS. Some readers have left out rows already.
        source: The source.
        shown: Name of its file, for messages.

    Returns:
        The rows, and at most one note.

    Raises:
        SourceChanged: No row is within the bounds.
    """
    if source.fetch.bounds is None:
        return frame, ()
    left, bottom, right, top = bounds_in_crs(source.fetch.bounds, source.fetch.crs)
    low_x, low_y, high_x, high_y = frame.geometry.bounds.to_numpy().T
    # A row without a shape has no bounds, and no comparison with them is true.
    is_near = (low_x <= right) & (high_x >= left) & (low_y <= top) & (high_y >= bottom)
    if not is_near.any():
        west, south, east, north = source.fetch.bounds
        wrong = (
            f"has no row within fetch.bounds, longitude {west:g} to {east:g} and latitude "
            f"{south:g} to {north:g}"
        )
        raise refuse_file(shown, source.id, wrong, "correct fetch.bounds")
    return gpd.GeoDataFrame(frame[np.asarray(is_near)]), (
        RoutineNote("only rows within fetch.bounds are read"),
    )
