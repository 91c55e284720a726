"""Check that a raster's declared CRS fits its place, and that its layer allows its values."""

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from shapely.geometry import box

from data.shapes import CRS_MARGIN, Bounds, crs_bounds
from data.source import Source
from geo.errors import ContractError
from geo.model import Layer, Market, Raster

# A raster in the wrong place misses the parcels or clips a corner of them. One in the right place,
# however small or large, contains the parcels or lies within them. This is the smallest overlap
# that is accepted, as a share of the smaller of the two.
MIN_OVERLAP_SHARE = 0.05
# The same limit for the raster and the area of use of its CRS. A raster of a whole state may extend
# beyond that area.
MIN_SHARE_WITHIN_USE = 0.5
# Units of projected coordinates that are mistaken for each other, in meters.
UNITS_M = {"US survey feet": 1200 / 3937, "feet": 0.3048, "meters": 1.0}
# How many different values a message shows.
MAX_VALUES_SHOWN = 3


def check_raster_place(
    raster: Raster,
    source: Source,
    layer: Layer,
    market: Market,
    *,
    file: str,
    parcels: Bounds | None,
) -> shapely.Geometry:
    """Check a raster's values and place, and return the outline of its values.

    Args:
        raster: The raster, in its own CRS.
        source: The source's declaration.
        layer: The layer that it fills.
        market: The market.
        file: Name of the source's file, for messages.
        parcels: Bounds of the market's parcels in its CRS; None if it has no parcels yet.

    Returns:
        The outline in the market's CRS: a box, or a rotated one.

    Raises:
        ContractError: The layer does not allow a value, or the raster lies outside the area of use
            of its own CRS or of the market's, or away from the parcels.
    """
    _check_values(raster, source, layer, file)
    outline = _outline_values(raster)
    misplacement = _explain_misplacement(outline, raster.crs, market, parcels)
    if misplacement is not None:
        unit = pyproj.CRS.from_user_input(raster.crs).axis_info[0].unit_name
        left, bottom, right, top = outline.bounds
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"wrong CRS or coordinates elsewhere: read as {_crs_title(raster.crs)}, in {unit}, "
            f"its x {left:.7g} to {right:.7g} and y {bottom:.7g} to {top:.7g} are at "
            f"{_describe_place(outline, raster.crs)}: {misplacement}",
            _suggest_crs(outline, raster.crs, source, file, market, parcels),
        )
    # A raster of the whole country has corners that cannot be projected into the market's CRS.
    use = _area_of_use_in(market.crs, raster.crs)
    near = outline if use is None else outline.intersection(use)
    return _reproject_outline(near, raster.crs, market.crs)


def _check_values(raster: Raster, source: Source, layer: Layer, file: str) -> None:
    """Raise ContractError if the layer does not allow a value."""
    lowest = -np.inf if layer.minimum is None else layer.minimum
    highest = np.inf if layer.maximum is None else layer.maximum
    values = raster.values
    # An infinite value is an error in every layer: it is neither nodata nor a measured value.
    is_beyond = (values < lowest) | (values > highest) | np.isinf(values)
    if not is_beyond.any():
        return
    wrong_values, counts = np.unique(values[is_beyond], return_counts=True)
    commonest = np.argsort(-counts, kind="stable")[:MAX_VALUES_SHOWN]
    shown = ", ".join(f"{wrong_values[i]:.9g} in {counts[i]} of them" for i in commonest)
    more = len(wrong_values) - len(commonest)
    declared = source.columns.get("value")
    unit = declared.unit if declared and declared.unit else layer.unit
    raise ContractError(
        f"reading {file} for source {source.id!r}",
        f"{int(is_beyond.sum())} of {values.size} cells have a value of {layer.id} that is not "
        f"between {lowest:g} and {highest:g} {layer.unit}: {shown}"
        f"{f' and {more} other values' if more else ''}, read as {unit}",
        f"in sources/{source.id}.toml list what means no value in columns.value.missing (such "
        "as -9999, in the file's own unit), or correct columns.value.unit or its band; "
        '[columns.value] always has its band, as in column = "1"',
    )


def _outline_values(raster: Raster) -> shapely.Polygon:
    """Return the outline of the raster's known values, in its CRS; it may be a rotated box."""
    is_known = np.isfinite(raster.values)
    rows, columns = np.flatnonzero(is_known.any(axis=1)), np.flatnonzero(is_known.any(axis=0))
    top, bottom = rows[0], rows[-1] + 1
    left, right = columns[0], columns[-1] + 1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return shapely.normalize(shapely.Polygon([raster.transform @ corner for corner in corners]))


def _reproject_outline(shape: shapely.Polygon, from_crs: str, to_crs: str) -> shapely.Polygon:
    """Return an outline in another CRS, where its straight sides may become curves."""
    x0, y0, x1, y1 = shape.bounds
    segmented = shapely.segmentize(shape, max(x1 - x0, y1 - y0) / 20)
    return shapely.normalize(gpd.GeoSeries([segmented], crs=from_crs).to_crs(to_crs).iloc[0])


def _explain_misplacement(
    outline: shapely.Polygon, crs: str, market: Market, parcels: Bounds | None
) -> str | None:
    """Return why a raster cannot lie where its CRS puts it; None if it can.

    Everything is compared in the raster's CRS, because a large raster cannot be projected whole
    into the market's CRS.
    """
    if _overlap_share(outline, _area_of_use_in(crs, crs)) < MIN_SHARE_WITHIN_USE:
        return f"outside the area that {crs} is made for, {_describe_area_of_use(crs)}"
    if _overlap_share(outline, _area_of_use_in(market.crs, crs)) < MIN_OVERLAP_SHARE:
        return f"outside market {market.id!r} ({market.crs}), {_describe_area_of_use(market.crs)}"
    if parcels is None:
        return None
    lots = box(*parcels)
    lots_in_crs = _reproject_outline(lots, market.crs, crs)
    if _overlap_share(outline, lots_in_crs) >= MIN_OVERLAP_SHARE:
        return None
    touches = "hardly touches" if outline.intersects(lots_in_crs) else "does not touch"
    place = _describe_place(lots, market.crs)
    return f"it {touches} the parcels of market {market.id!r}, at {place}"


def _area_of_use_in(crs: str, to_crs: str) -> shapely.Polygon | None:
    """Return a CRS's area of use, with its margin, in another CRS; None if it is not known."""
    use = pyproj.CRS.from_user_input(crs).area_of_use
    if use is None:
        return None
    if crs == to_crs:
        return box(*crs_bounds(crs))
    west, south, east, north = use.bounds
    margin_x, margin_y = (east - west) * CRS_MARGIN, (north - south) * CRS_MARGIN
    degrees = box(
        max(west - margin_x, -180),
        max(south - margin_y, -90),
        min(east + margin_x, 180),
        min(north + margin_y, 90),
    )
    return _reproject_outline(degrees, "EPSG:4326", to_crs)


def _overlap_share(first: shapely.Polygon, second: shapely.Polygon | None) -> float:
    """Return the overlap as a share of the smaller of the two; 1 if the second is unknown.

    >>> _overlap_share(box(0, 0, 10, 10), box(8, 0, 12, 10))
    0.5
    """
    if second is None:
        return 1.0
    if not np.isfinite(second.bounds).all():
        return 0.0  # it cannot be projected into the CRS
    return float(first.intersection(second).area / min(first.area, second.area))


def _suggest_crs(
    outline: shapely.Polygon,
    crs: str,
    source: Source,
    file: str,
    market: Market,
    parcels: Bounds | None,
) -> str:
    """Return what to declare instead: a likely CRS in which the raster meets the parcels."""
    declare = f"declare [fetch] crs in sources/{source.id}.toml"
    relabel = f"and where {file} carries a wrong label, correct it (gdal_edit.py -a_srs)"
    meets = "in which the raster meets the parcels"
    for other in (market.crs, "EPSG:4326"):
        if other == crs or not parcels:
            continue
        if _explain_misplacement(outline, other, market, parcels) is None:
            return f"{declare} as {other!r}, {meets}, {relabel}"
    for unit, unit_m in UNITS_M.items():
        # The false origin of a zone is the same point on the ground in either unit.
        scale = unit_m / pyproj.CRS.from_user_input(crs).axis_info[0].unit_conversion_factor
        rescaled = shapely.transform(outline, lambda xy, by=scale: xy * by)
        if parcels and _explain_misplacement(rescaled, crs, market, parcels) is None:
            return f"{declare} as the same zone as {crs} but in {unit}, {meets}, {relabel}"
    return (
        f"{declare} as the real CRS of the coordinates (feet or meters, x before y), {relabel}; "
        "or take a raster of this market"
    )


def _crs_title(crs: str) -> str:
    parsed = pyproj.CRS.from_user_input(crs)
    epsg = parsed.to_epsg()
    return f"EPSG:{epsg} ({parsed.name})" if epsg else parsed.name


def _describe_area_of_use(crs: str) -> str:
    use = pyproj.CRS.from_user_input(crs).area_of_use
    return _format_bounds(use.bounds) if use is not None else "anywhere"


def _describe_place(shape: shapely.Polygon, crs: str) -> str:
    return _format_bounds(_reproject_outline(shape, crs, "EPSG:4326").bounds)


def _format_bounds(bounds: Bounds) -> str:
    """Return bounds in degrees as text.

    >>> _format_bounds((-71.2, 42.35, -71.0, 42.4))
    'longitude -71.2000 to -71.0000, latitude 42.3500 to 42.4000'
    """
    west, south, east, north = bounds
    # Infinite values and NaN fail this test too; they come from coordinates far outside the CRS.
    if not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        return "no longitude and latitude"
    return f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"
