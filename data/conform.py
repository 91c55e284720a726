"""Make a source's rows into a layer's: columns, units, keys, shapes and frame, counting each act.

Pure: tables in, tables out. Nothing is dropped or mended without a note that says how many.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from shapely.geometry import box

from data.group import group_rows, locate_rows
from data.message_text import count_noun, join_choices
from data.protocols.file import require_columns
from data.source import Source
from data.values import DTYPES, fill_down, read_column, text_values
from geo.errors import ConfigError, ContractError, SourceChanged
from geo.model import Layer, Market

# How far beyond the area of use of the market's CRS a row may lie, as a share of its extent.
CRS_MARGIN = 0.25

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class ConformedRows:
    """A layer's rows in the market's frame, in an order that the source's own does not change."""

    frame: gpd.GeoDataFrame
    rows_in: int
    coverage: shapely.Geometry | None
    notes: tuple[str, ...]


def conform_table(
    table: gpd.GeoDataFrame,
    source: Source,
    layer: Layer,
    market: Market,
    *,
    file: str,
    joined: pd.DataFrame | None = None,
    places: pd.DataFrame | None = None,
    area: gpd.GeoDataFrame | None = None,
) -> ConformedRows:
    """Return `table` as `layer`, in the market's metric frame.

    `joined` and `places` are the rows of the declared join's and place's files as text; `area` the
    polygons of the declared coverage file in any CRS; `file` is the source's file name, for
    messages. Raises ConfigError for a column that the layer does not have, SourceChanged for one
    that the file does not have or too few rows, ContractError for values and shapes that the
    source's declaration rules out.
    """
    _check_declared_columns(source, layer)
    rows_in = len(table)
    if rows_in == 0:
        raise _source_changed(source, file, f"{file} is an empty layer: 0 rows")
    _check_file_columns(table, source, file)
    whole, notes = fill_down(table, source.columns)
    rows, said = _filter_rows(gpd.GeoDataFrame(whole), source, file)
    notes += said
    values: dict[str, pd.Series] = {}
    for name, origin in source.columns.items():
        values[name], said = read_column(rows, name, origin, layer.columns[name], source, file)
        notes += said
    if source.join is not None and joined is not None:
        more, said = _join_columns(rows, joined, source, layer)
        values |= more
        notes += said
    columns = {
        name: values.get(name, pd.Series(None, index=rows.index, dtype=DTYPES[column.type]))
        for name, column in layer.columns.items()
        if name in values or not column.required
    }
    frame = gpd.GeoDataFrame(columns, index=rows.index, geometry=rows.geometry)
    frame = frame.set_crs(source.fetch.crs, allow_override=True)
    if source.group is not None:
        in_order = any(origin.fill_down for origin in source.columns.values())
        frame, said = group_rows(frame if in_order else _sort_rows(frame, layer), source)
        notes += said
    if source.place is not None and places is not None:
        frame, said = locate_rows(frame, places, source)
        notes += said
    shapes, said = _convert_shapes(frame, source, layer, market, file)
    notes += said
    frame = frame.set_geometry(shapes)
    frame, said = _split_points(frame, source, layer, file)
    notes += said
    _check_row_count(len(frame), source, file)
    frame = _sort_rows(frame, layer)
    # Two columns of the layer may come from one of the source: what was done to it is said once.
    said_once = tuple(dict.fromkeys(notes))
    return ConformedRows(frame, rows_in, _coverage_area(frame, source, market, area), said_once)


# ---------------------------------------------------------------------------------------------
# Rows and columns


def _check_declared_columns(source: Source, layer: Layer) -> None:
    joined = list(source.join.columns) if source.join else []
    counted = [source.join.count_as] if source.join and source.join.count_as else []
    for name in [*source.columns, *joined, *counted]:
        if name in layer.columns:
            continue
        near = get_close_matches(name, list(layer.columns), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else f" (it has {list(layer.columns)})"
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"layer {layer.id!r} has no column {name!r}{hint}",
            "name a column of geo/catalogue/layers.toml",
        )

    joins = source.join.columns.items() if source.join else ()
    for name, origin in [*source.columns.items(), *joins]:
        kind = layer.columns[name].type
        if origin.counts and kind not in {"float", "integer"}:
            raise ConfigError(
                f"reading sources/{source.id}.toml",
                f"columns.{name} is a {kind} and takes no {origin.counts[0]}",
                "leave it out, or name another column",
            )


def _check_file_columns(table: gpd.GeoDataFrame, source: Source, file: str) -> None:
    named = [name for origin in source.columns.values() for name in origin.columns]
    named += [*source.where, *source.drop]
    if source.join is not None:
        named.append(source.join.to)
    have = [str(name) for name in table.columns if name != table.geometry.name]
    require_columns(named, have, file, source.id)


def _filter_rows(
    table: gpd.GeoDataFrame, source: Source, file: str
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the rows that `where` and `drop` leave; an empty text in either means missing."""
    notes, rows = [], table
    for name, wanted in source.where.items():
        keep = text_values(rows[name]).fillna("").isin(wanted)
        if not keep.any():
            found = sorted(text_values(rows[name]).dropna().unique())[:12]
            raise _source_changed(
                source, file, f"no row has {name} in {list(wanted)}; it holds {found}"
            )
        if not keep.all():
            notes.append(f"{count_noun(int((~keep).sum()), 'row')} left out: other {name}")
        rows = rows[keep]
    for name, unwanted in source.drop.items():
        out = text_values(rows[name]).fillna("").isin(unwanted)
        if out.any():
            notes.append(
                f"{count_noun(int(out.sum()), 'row')} left out: {name} is {join_choices(unwanted)}"
            )
        rows = rows[~out]
    return rows, notes


def _join_columns(
    rows: gpd.GeoDataFrame, joined: pd.DataFrame, source: Source, layer: Layer
) -> tuple[dict[str, pd.Series], list[str]]:
    """Return the joined columns, one value to a row, and how many rows found no partner."""
    join = source.join
    if join is None:
        return {}, []
    named = [name for origin in join.columns.values() for name in origin.columns]
    require_columns([join.key, *named], list(joined.columns), join.path, source.id)
    joined, notes = fill_down(joined, join.columns)
    keys = joined[join.key].str.strip()
    to = text_values(rows[join.to])
    found: dict[str, pd.Series] = {}
    for name, origin in join.columns.items():
        column = layer.columns[name]
        values, said = read_column(joined, name, origin, column, source, join.path)
        notes += said
        groups = values.groupby(keys)
        # sum of nothing is nothing, not zero
        folded = groups.sum(min_count=1) if origin.fold == "sum" else groups.agg(origin.fold)
        found[name] = to.map(folded).astype(DTYPES[column.type])
    counts = to.map(keys.value_counts())
    if join.count_as:
        found[join.count_as] = counts.astype("Int64")
    several = int((counts > 1).sum())
    if several:
        notes.append(
            f"{count_noun(several, 'row')} with several rows of {join.path}, folded into one"
        )
    if alone := int(counts.isna().sum()):
        notes.append(f"{count_noun(alone, 'row')} without a row of {join.path}")
    if left := int((~keys.isin(set(to.dropna()))).sum()):
        notes.append(f"{count_noun(left, 'row')} of {join.path} without a partner")
    return found, notes


# ---------------------------------------------------------------------------------------------
# Shapes


def _convert_shapes(
    rows: gpd.GeoDataFrame, source: Source, layer: Layer, market: Market, file: str
) -> tuple[gpd.GeoSeries, list[str]]:
    """Return valid two-dimensional shapes in the market's frame; null where there is none."""
    notes: list[str] = []
    shapes = rows.geometry.to_numpy(copy=True)
    if (high := shapely.has_z(shapes)).any():
        shapes = shapely.force_2d(shapes)
        notes.append(f"heights of {count_noun(int(high.sum()), 'shape')} dropped")
    invalid = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    if invalid.any():
        if (broken := ~np.isfinite(shapely.bounds(shapes)).all(axis=1) & invalid).any():
            shapes[broken] = None
            notes.append(f"{count_noun(int(broken.sum()), 'shape')} without finite coordinates")
            invalid &= ~broken
        mended = shapely.make_valid(shapes[invalid])
        shapes[invalid] = [_only_polygons(one) for one in mended] if _is_area(layer) else mended
        if invalid.any():
            notes.append(f"{count_noun(int(invalid.sum()), 'invalid ring')} repaired")
    shapes[shapely.is_empty(shapes)] = None
    placed = gpd.GeoSeries(shapes, index=rows.index, crs=source.fetch.crs).to_crs(market.crs)
    _check_inside_crs(placed, source, market, file, source.fetch.crs)
    again = placed.to_numpy(copy=True)
    # Reprojection rounds: a sliver that was just valid may not be after it.
    worse = ~shapely.is_valid(again) & ~shapely.is_missing(again)
    if worse.any() and _is_area(layer):
        again[worse] = [_only_polygons(one) for one in shapely.make_valid(again[worse])]
        again[shapely.is_empty(again)] = None
    return gpd.GeoSeries(again, index=rows.index, crs=market.crs), notes


def _split_points(
    frame: gpd.GeoDataFrame, source: Source, layer: Layer, file: str
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Count null geometry, and split points of several parts into rows of their own."""
    notes: list[str] = []
    nulls = frame.geometry.isna()
    count = int(nulls.sum())
    if count > source.expect.null_geometry_share_max * len(frame):
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"null geometry in {count} of {len(frame)} rows, more than the share of "
            f"{source.expect.null_geometry_share_max:g} that is expected",
            f"mend the file, or raise expect.null_geometry_share_max in sources/{source.id}.toml",
        )
    if count and layer.id == "parcels":
        # Kept: every parcel is accounted for, and select sets these aside by rule.
        notes.append(f"{count_noun(count, 'row')} without geometry")
    elif count:
        notes.append(f"{count_noun(count, 'row')} without geometry dropped")
        frame = frame[~nulls]
    several = frame.geometry.geom_type == "MultiPoint"
    if several.any():
        before = len(frame)
        split = frame.explode(index_parts=False)
        if len(split) > before:
            notes.append(f"{before} rows of several points are {len(split)} rows of one")
        frame = split
    return frame, notes


def _check_inside_crs(
    shapes: gpd.GeoSeries, source: Source, market: Market, file: str, declared: str
) -> None:
    """Raise ContractError where shapes lie outside the area that the market's CRS is made for."""
    left, bottom, right, top = crs_bounds(market.crs)
    bounds = shapes[shapes.notna()].bounds.to_numpy()
    low = np.array([left, bottom, left, bottom])
    high = np.array([right, top, right, top])
    inside = ((bounds >= low) & (bounds <= high)).all(axis=1)
    if inside.all():
        return
    first = bounds[~inside][0]
    at = f"({first[0]:.0f}, {first[1]:.0f})" if np.isfinite(first).all() else "infinity"
    raise ContractError(
        f"reading {file} for source {source.id!r}",
        f"wrong CRS or coordinates elsewhere: {int((~inside).sum())} of {len(bounds)} shapes, read "
        f"as {declared}, fall outside market {market.id!r} ({market.crs}), the first at {at} m",
        f"set fetch.crs in sources/{source.id}.toml to what the coordinates are really in "
        "(feet or metres, x before y), or the market's crs if the source is of another place",
    )


@cache
def crs_bounds(crs: str) -> Bounds:
    """Return the area of use of `crs` with its margin: left, bottom, right, top in its own unit."""
    frame = pyproj.CRS.from_user_input(crs)
    use = frame.area_of_use
    if use is None:
        return (-np.inf, -np.inf, np.inf, np.inf)
    across = pyproj.Transformer.from_crs("EPSG:4326", frame, always_xy=True)
    left, bottom, right, top = across.transform_bounds(*use.bounds, densify_pts=21)
    wide, high = (right - left) * CRS_MARGIN, (top - bottom) * CRS_MARGIN
    return (left - wide, bottom - high, right + wide, top + high)


def _coverage_area(
    frame: gpd.GeoDataFrame, source: Source, market: Market, area: gpd.GeoDataFrame | None
) -> shapely.Geometry | None:
    """Return the area inside which absence is a fact, in the market's frame."""
    kind = source.coverage.kind
    shapes = frame.geometry[frame.geometry.notna()]
    if kind == "file" and area is not None:
        placed = area.geometry.to_crs(market.crs)
        _check_inside_crs(placed, source, market, str(source.coverage.path), str(area.crs))
        whole = shapely.union_all(shapely.make_valid(placed.to_numpy()))
        return shapely.normalize(_only_polygons(whole))
    if kind == "bounds":
        return box(*shapes.total_bounds)
    if kind == "hull":
        return shapely.normalize(shapely.convex_hull(shapely.GeometryCollection(list(shapes))))
    return None


def _is_area(layer: Layer) -> bool:
    return layer.geometry == ("polygon",)


def _only_polygons(shape: shapely.Geometry) -> shapely.Geometry:
    """Return the polygons of what `make_valid` leaves: a bow tie's stray lines are not ground."""
    if shape.geom_type in {"Polygon", "MultiPolygon"}:
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all([part for part in parts if part.geom_type == "Polygon"])


# ---------------------------------------------------------------------------------------------
# Order and words


def _sort_rows(frame: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    """Order rows by what they hold, so that a shuffled file gives the same snapshot."""
    keys = pd.DataFrame({"shape": frame.geometry.to_wkb(hex=True)}, index=frame.index)
    names = [name for name in layer.columns if name in frame.columns]
    for name in names:
        keys[name] = frame[name].astype("str")
    first = [layer.key] if layer.key in names else []
    keys.index = pd.RangeIndex(len(keys))
    order = keys.sort_values([*first, "shape", *names], kind="stable", na_position="last").index
    return frame.iloc[order].reset_index(drop=True)


def _check_row_count(rows: int, source: Source, file: str) -> None:
    expect = source.expect
    if rows < expect.rows_min:
        raise _source_changed(
            source, file, f"{rows} rows are left, at least {expect.rows_min} expected"
        )
    if expect.rows_max is not None and rows > expect.rows_max:
        raise _source_changed(
            source, file, f"{rows} rows are left, at most {expect.rows_max} expected"
        )


def _source_changed(source: Source, file: str, wrong: str) -> SourceChanged:
    return SourceChanged(
        f"reading {file} for source {source.id!r}",
        wrong if file in wrong else f"{file}: {wrong}",
        f"look at the file; if it is right, change sources/{source.id}.toml to say so",
    )
