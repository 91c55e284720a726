"""Whether a grid lies where its CRS puts it, and holds what its layer may hold."""

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from shapely.geometry import box

from data.shapes import CRS_MARGIN, Bounds, crs_bounds
from data.source import Source
from geo.errors import ContractError
from geo.model import Layer, Market, Raster

# A grid in the wrong place misses the parcels or clips a corner of them; a right one, however small
# or large, holds or is held by them. This is the least overlap, as a share of the smaller of both.
OVERLAP_MIN = 0.05
# ... and with the area that its CRS is made for, beyond which a grid of a whole state may well go.
WITHIN_USE_MIN = 0.5
# The units of projected coordinates that are taken for each other.
UNITS_M = {"US survey feet": 1200 / 3937, "feet": 0.3048, "metres": 1.0}
# How many different values a message shows.
SHOWN_VALUES = 3


def check_raster_place(
    raster: Raster,
    source: Source,
    layer: Layer,
    market: Market,
    *,
    file: str,
    parcels: Bounds | None,
) -> shapely.Geometry:
    """Return the outline of a grid's values in the market's frame: a box, or a turned one.

    `parcels` are the bounds of the market's parcels in its frame, None where it has none yet.
    Raises ContractError for values that the layer cannot hold, and for a grid that lies outside
    its own CRS's area of use, outside the market's, or beside the parcels.
    """
    _check_values(raster, source, layer, file)
    own = _outline_values(raster)
    wrong = _explain_misplacement(own, raster.crs, market, parcels)
    if wrong is not None:
        unit = pyproj.CRS.from_user_input(raster.crs).axis_info[0].unit_name
        left, bottom, right, top = own.bounds
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"wrong CRS or coordinates elsewhere: taken as {_crs_title(raster.crs)}, in {unit}, "
            f"its x {left:.7g} to {right:.7g} and y {bottom:.7g} to {top:.7g} are at "
            f"{_describe_place(own, raster.crs)}: {wrong}",
            _suggest_crs(own, raster.crs, source, file, market, parcels),
        )
    # A grid of the whole country has corners that the market's frame has no place for.
    around = _area_of_use_in(market.crs, raster.crs)
    near = own if around is None else own.intersection(around)
    return _reproject_outline(near, raster.crs, market.crs)


def _check_values(raster: Raster, source: Source, layer: Layer, file: str) -> None:
    """Raise ContractError where a value is none that the layer can hold."""
    low = -np.inf if layer.minimum is None else layer.minimum
    high = np.inf if layer.maximum is None else layer.maximum
    values = raster.values
    # An infinite value is neither nodata nor a value, whatever the layer holds.
    beyond = (values < low) | (values > high) | np.isinf(values)
    if not beyond.any():
        return
    found, counts = np.unique(values[beyond], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:SHOWN_VALUES]
    said = ", ".join(f"{found[i]:.9g} in {counts[i]} of them" for i in most)
    more = f" and {len(found) - len(most)} other values" if len(found) > len(most) else ""
    declared = source.columns.get("value")
    unit = declared.unit if declared and declared.unit else layer.unit
    raise ContractError(
        f"reading {file} for source {source.id!r}",
        f"{int(beyond.sum())} of {values.size} cells hold no {layer.id} between {low:g} and "
        f"{high:g} {layer.unit}: {said}{more}, read as {unit}",
        f"in sources/{source.id}.toml list what means no value in columns.value.missing (such "
        "as -9999, in the file's own unit), or correct columns.value.unit or its band",
    )


def _outline_values(raster: Raster) -> shapely.Polygon:
    """Return what the grid's known values cover, in its own frame; its transform may turn it."""
    known = np.isfinite(raster.values)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    top, bottom = rows[0], rows[-1] + 1
    left, right = columns[0], columns[-1] + 1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return shapely.normalize(shapely.Polygon([raster.transform @ corner for corner in corners]))


def _reproject_outline(shape: shapely.Polygon, crs: str, to: str) -> shapely.Polygon:
    """Return a grid's outline in another CRS, where its straight sides may be curves."""
    x0, y0, x1, y1 = shape.bounds
    fine = shapely.segmentize(shape, max(x1 - x0, y1 - y0) / 20)
    return shapely.normalize(gpd.GeoSeries([fine], crs=crs).to_crs(to).iloc[0])


def _explain_misplacement(
    own: shapely.Polygon, crs: str, market: Market, parcels: Bounds | None
) -> str | None:
    """Return why a grid cannot lie where its CRS puts it; None where it can.

    All is compared in the grid's own CRS: the market's may have no place for all of a large grid.
    """
    if _overlap_share(own, _area_of_use_in(crs, crs)) < WITHIN_USE_MIN:
        return f"outside the area that {crs} is made for, {_describe_area_of_use(crs)}"
    if _overlap_share(own, _area_of_use_in(market.crs, crs)) < OVERLAP_MIN:
        return f"outside market {market.id!r} ({market.crs}), {_describe_area_of_use(market.crs)}"
    if parcels is None:
        return None
    lots = box(*parcels)
    there = _reproject_outline(lots, market.crs, crs)
    if _overlap_share(own, there) >= OVERLAP_MIN:
        return None
    hardly = "hardly touches" if own.intersects(there) else "does not touch"
    where = _describe_place(lots, market.crs)
    return f"it {hardly} the parcels of market {market.id!r}, at {where}"


def _area_of_use_in(crs: str, to: str) -> shapely.Polygon | None:
    """Return the area that a CRS is made for, with its margin, in another; None where not known."""
    use = pyproj.CRS.from_user_input(crs).area_of_use
    if use is None:
        return None
    if crs == to:
        return box(*crs_bounds(crs))
    west, south, east, north = use.bounds
    wide, high = (east - west) * CRS_MARGIN, (north - south) * CRS_MARGIN
    degrees = box(
        max(west - wide, -180), max(south - high, -90), min(east + wide, 180), min(north + high, 90)
    )
    return _reproject_outline(degrees, "EPSG:4326", to)


def _overlap_share(own: shapely.Polygon, other: shapely.Polygon | None) -> float:
    """Return what share of the smaller of both lies in the other; 1 where the other is unknown."""
    if other is None:
        return 1.0
    if not np.isfinite(other.bounds).all():
        return 0.0  # the CRS has no place for it
    return float(own.intersection(other).area / min(own.area, other.area))


def _suggest_crs(
    own: shapely.Polygon,
    crs: str,
    source: Source,
    file: str,
    market: Market,
    parcels: Bounds | None,
) -> str:
    """Return what to declare instead: the first likely CRS in which the grid meets the parcels."""
    declare = f"declare [fetch] crs in sources/{source.id}.toml"
    label = f"and where {file} carries a wrong label, mend it (gdal_edit.py -a_srs)"
    for other in (market.crs, "EPSG:4326"):
        if other != crs and parcels and _explain_misplacement(own, other, market, parcels) is None:
            return f"{declare} as {other!r}, in which the grid meets the parcels, {label}"
    for unit, in_metres in UNITS_M.items():
        # The false origin of a zone is the same point on the ground in either unit.
        scale = in_metres / pyproj.CRS.from_user_input(crs).axis_info[0].unit_conversion_factor
        other_unit = shapely.transform(own, lambda xy, by=scale: xy * by)
        if parcels and _explain_misplacement(other_unit, crs, market, parcels) is None:
            like = f"the like of {crs} in {unit}"
            return f"{declare} as {like}, in which the grid meets the parcels, {label}"
    return (
        f"{declare} as what the coordinates are really in (feet or metres, x before y), {label}; "
        "or take a grid of this market"
    )


def _crs_title(crs: str) -> str:
    frame = pyproj.CRS.from_user_input(crs)
    epsg = frame.to_epsg()
    return f"EPSG:{epsg} ({frame.name})" if epsg else frame.name


def _describe_area_of_use(crs: str) -> str:
    use = pyproj.CRS.from_user_input(crs).area_of_use
    return _format_bounds(use.bounds) if use is not None else "anywhere"


def _describe_place(shape: shapely.Polygon, crs: str) -> str:
    return _format_bounds(_reproject_outline(shape, crs, "EPSG:4326").bounds)


def _format_bounds(bounds: Bounds) -> str:
    west, south, east, north = bounds
    # False for infinite and NaN too, which is what comes of metres far from any frame.
    if not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        return "no longitude and latitude"
    return f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"
