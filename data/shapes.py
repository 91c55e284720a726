"""Convert shapes to the market's CRS, repair and flatten them, and check their place."""

from functools import cache

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from shapely import GeometryType

from data.center_lines import draw_center_lines
from data.message_text import count_noun
from data.notes import RoutineNote
from data.source import Source
from geo.contract.layer import GEOMETRY_TYPES
from geo.errors import ConfigError, ContractError
from geo.model import Layer, Market

# How far beyond the area of use of the market's CRS a row may lie, as a share of its extent.
CRS_MARGIN = 0.25

# Which parts of a collection a layer of one kind keeps: their dimension, and the word for them.
_PARTS_KEPT = {"point": (0, "points"), "line": (1, "lines"), "polygon": (2, "areas")}

# Left, bottom, right and top, in the unit of a CRS.
Bounds = tuple[float, float, float, float]


def convert_shapes(
    rows: gpd.GeoDataFrame, source: Source, layer: Layer, market: Market, file: str
) -> tuple[gpd.GeoSeries, list[str]]:
    """Return valid two-dimensional shapes in the market's CRS; null for rows without a shape.

    Args:
        rows: The rows, in the CRS that the source declares.
        source: The source.
        layer: The layer that it fills; a layer of areas gets only polygons.
        market: The market.
        file: Name of the source's file, for messages.

    Returns:
        The shapes, one per row, and notes on what was repaired.

    Raises:
        ContractError: A shape lies outside the area that the market's CRS is made for.
    """
    notes: list[str] = []
    shapes = rows.geometry.to_numpy(copy=True)
    has_height, has_measure = shapely.has_z(shapes), shapely.has_m(shapes)
    if has_height.any():
        dropped = f"heights of {count_noun(int(has_height.sum()), 'shape')} dropped"
        notes.append(RoutineNote(dropped))
    if has_measure.any():
        dropped = f"measures of {count_noun(int(has_measure.sum()), 'shape')} dropped"
        notes.append(RoutineNote(dropped))
    if (has_height | has_measure).any():
        shapes = shapely.force_2d(shapes)
    is_invalid = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    if is_invalid.any():
        is_infinite = is_invalid & ~_is_finite(shapes, is_invalid)
        if is_infinite.any():
            shapes[is_infinite] = None
            count = count_noun(int(is_infinite.sum()), "shape")
            notes.append(f"{count} without finite coordinates")
            is_invalid &= ~is_infinite
        shapes[is_invalid] = _repair_shapes(shapes[is_invalid], layer)
        if is_invalid.any():
            notes.append(f"{count_noun(int(is_invalid.sum()), 'invalid ring')} repaired")
    is_mixed = shapely.get_type_id(shapes) == GeometryType.GEOMETRYCOLLECTION
    if is_mixed.any() and len(layer.geometry) == 1:
        dimension, noun = _PARTS_KEPT[layer.geometry[0]]
        shapes[is_mixed] = [keep_parts(shape, dimension) for shape in shapes[is_mixed]]
        count = f"{count_noun(int(is_mixed.sum()), 'collection')} of shapes"
        notes.append(f"{count} repaired: only its {noun} are kept")
    shapes[shapely.is_empty(shapes)] = None
    projected = gpd.GeoSeries(shapes, index=rows.index, crs=source.fetch.crs).to_crs(market.crs)
    check_inside_crs(projected, source, market, file, source.fetch.crs)
    shapes = projected.to_numpy(copy=True)
    # Rounding in the projection can make a barely valid sliver invalid.
    is_invalid = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    if is_invalid.any() and _is_area(layer):
        shapes[is_invalid] = _repair_shapes(shapes[is_invalid], layer)
        shapes[shapely.is_empty(shapes)] = None
    notes += _replace_areas(shapes, source, layer)
    return gpd.GeoSeries(shapes, index=rows.index, crs=market.crs), notes


def _is_finite(shapes: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return whether each coordinate of a shape is a number; True for shapes that are not asked."""
    is_finite = np.ones(len(shapes), dtype=bool)
    points, number = shapely.get_coordinates(shapes[which], return_index=True)
    broken = np.unique(number[~np.isfinite(points).all(axis=1)])
    is_finite[np.flatnonzero(which)[broken]] = False
    # A point of no numbers has no coordinates left to look at.
    return is_finite


def _repair_shapes(shapes: np.ndarray, layer: Layer) -> np.ndarray | list[shapely.Geometry]:
    """Return valid shapes; in a layer of areas, only polygons."""
    valid: np.ndarray = shapely.make_valid(shapes)
    return [keep_parts(shape, 2) for shape in valid] if _is_area(layer) else valid


def drop_strays(
    frame: gpd.GeoDataFrame, source: Source, layer: Layer, file: str
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Take the shape from rows whose shape is of another kind than the layer's.

    Args:
        frame: The rows, with the layer's columns.
        source: The source, for its allowed share of such rows.
        layer: The layer that it fills.
        file: Name of the source's file, for messages.

    Returns:
        The rows: parcels without the shape, and others without those rows; and notes.

    Raises:
        ContractError: More rows have a stray shape than expected.
    """
    names = frame.geometry.geom_type
    allowed = {name for kind in layer.geometry for name in GEOMETRY_TYPES[kind]}
    is_stray = names.notna() & ~names.isin(allowed)
    if not is_stray.any():
        return frame, []
    count, wanted = int(is_stray.sum()), " or ".join(layer.geometry)
    kinds = " or ".join(sorted(names[is_stray].unique()))
    if count > source.expect.stray_shapes_share_max * len(frame):
        as_areas = [kind for kind in ("point", "line") if kind in layer.geometry]
        remedy = f'set shapes.areas_as = "{as_areas[0]}" if they are areas, ' if as_areas else ""
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"{count} of {len(frame)} rows are of type {kinds}, not {wanted}",
            f"{remedy}leave them out with where or drop, or raise expect.stray_shapes_share_max "
            f"in sources/{source.id}.toml",
        )
    stray = f"{count_noun(count, 'row')} of type {kinds}, not {wanted}"
    if layer.id == "parcels":
        shapes = frame.geometry.where(~is_stray, None)
        return frame.set_geometry(shapes), [f"{stray}, left without geometry"]
    return frame[~is_stray], [f"{stray}, dropped"]


def split_points(
    frame: gpd.GeoDataFrame, source: Source, layer: Layer, file: str
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Drop rows without geometry, and split multipoints into one row per point.

    Parcels without geometry are kept, because every parcel must be accounted for; a rule of the
    selection sets them aside.

    Args:
        frame: The rows, with the layer's columns.
        source: The source, for its allowed share of rows without geometry.
        layer: The layer that it fills.
        file: Name of the source's file, for messages.

    Returns:
        The rows, and notes that count the rows without geometry and the rows that were split.

    Raises:
        ContractError: More rows have no geometry than expected.
    """
    notes: list[str] = []
    is_null = frame.geometry.isna()
    count = int(is_null.sum())
    if count > source.expect.null_geometry_share_max * len(frame):
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"null geometry in {count} of {len(frame)} rows, more than the expected share of "
            f"{source.expect.null_geometry_share_max:g}",
            f"correct the file, or raise expect.null_geometry_share_max in "
            f"sources/{source.id}.toml",
        )
    if count and layer.id == "parcels":
        notes.append(f"{count_noun(count, 'row')} without geometry")
    elif count:
        notes.append(f"{count_noun(count, 'row')} without geometry dropped")
        frame = frame[~is_null]
    if (frame.geometry.geom_type == "MultiPoint").any():
        rows_before = len(frame)
        frame = frame.explode(index_parts=False)
        if len(frame) > rows_before:
            rows = count_noun(rows_before, "row")
            split = f"{rows} became {len(frame)}: rows of several points were split"
            notes.append(RoutineNote(split))
    return frame, notes


def check_inside_crs(
    shapes: gpd.GeoSeries, source: Source, market: Market, file: str, declared_crs: str
) -> None:
    """Check that shapes lie inside the area that the market's CRS is made for.

    Args:
        shapes: The shapes, in the market's CRS.
        source: The source that they come from.
        market: The market.
        file: Name of their file, for messages.
        declared_crs: The CRS that they were in.

    Raises:
        ContractError: Some of them lie outside.
    """
    left, bottom, right, top = crs_bounds(market.crs)
    bounds = shapes[shapes.notna()].bounds.to_numpy()
    lowest = np.array([left, bottom, left, bottom])
    highest = np.array([right, top, right, top])
    is_inside = ((bounds >= lowest) & (bounds <= highest)).all(axis=1)
    if is_inside.all():
        return
    first = bounds[~is_inside][0]
    position = f"({first[0]:.0f}, {first[1]:.0f})" if np.isfinite(first).all() else "infinity"
    raise ContractError(
        f"reading {file} for source {source.id!r}",
        f"wrong CRS or coordinates elsewhere: {int((~is_inside).sum())} of {len(bounds)} shapes, "
        f"read as {declared_crs}, are outside market {market.id!r} ({market.crs}), the first at "
        f"{position} m",
        f"set fetch.crs in sources/{source.id}.toml to the real CRS of the coordinates (feet or "
        "meters, x before y), or correct the market's crs if the source is of another place",
    )


@cache
def crs_bounds(crs: str) -> Bounds:
    """Return the area of use of `crs` with its margin: left, bottom, right, top in its own unit."""
    parsed = pyproj.CRS.from_user_input(crs)
    use = parsed.area_of_use
    if use is None:
        return (-np.inf, -np.inf, np.inf, np.inf)
    from_degrees = pyproj.Transformer.from_crs("EPSG:4326", parsed, always_xy=True)
    left, bottom, right, top = from_degrees.transform_bounds(*use.bounds, densify_pts=21)
    margin_x, margin_y = (right - left) * CRS_MARGIN, (top - bottom) * CRS_MARGIN
    return (left - margin_x, bottom - margin_y, right + margin_x, top + margin_y)


def _is_area(layer: Layer) -> bool:
    return layer.geometry == ("polygon",)


def keep_parts(shape: shapely.Geometry, dimension: int) -> shapely.Geometry:
    """Return the parts of a valid shape that are points (0), lines (1) or areas (2).

    For example, without the stray lines that `make_valid` leaves:

    >>> bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2), (0, 1)])
    >>> keep_parts(shapely.make_valid(bow_tie), 2).geom_type
    'MultiPolygon'
    """
    if shape.geom_type != "GeometryCollection" and shapely.get_dimensions(shape) == dimension:
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == dimension])


def _replace_areas(shapes: np.ndarray, source: Source, layer: Layer) -> list[str]:
    """Replace areas by points or lines in place, as the source declares; return notes."""
    kind = source.shapes.areas_as
    if kind is None:
        return []
    if "polygon" in layer.geometry or kind not in layer.geometry:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"shapes.areas_as = {kind!r}, but layer {layer.id!r} takes a "
            f"{' or a '.join(layer.geometry)}",
            "leave it out, or name the layer's kind of shape",
        )
    is_area = shapely.get_dimensions(shapes) == 2
    count = int(is_area.sum())
    if kind == "point":
        shapes[is_area] = shapely.point_on_surface(shapes[is_area])
        replaced = f"{count_noun(count, 'area')} replaced by a point inside"
        return [RoutineNote(replaced)] if count else []
    lines, aside_m = draw_center_lines(shapes[is_area])
    is_line = ~shapely.is_missing(lines)
    shapes[np.flatnonzero(is_area)[is_line]] = lines[is_line]
    if not is_line.any():
        return []
    drawn = count_noun(int(is_line.sum()), "corridor")
    replaced = f"{drawn} replaced by center lines, up to {np.nanmax(aside_m):.1f} m from the sides"
    return [RoutineNote(replaced)]
