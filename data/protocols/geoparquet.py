"""Read GeoParquet 1.0 to 2.0, and Parquet files whose shapes have only Parquet's own type."""

import json
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from data.notes import group_messages
from data.protocols.bounds import bounds_in_crs
from data.protocols.refusal import first_line, refuse_file
from data.schema import LEFT_OUT, name_left_out
from data.source import Source

_NATIVE_TYPES = {"Geometry", "Geography"}
# The Parquet format's CRS of shapes that name none.
_DEFAULT_CRS = "OGC:CRS84"


def read_geoparquet(
    path: Path, source: Source, shown: str, columns: tuple[str, ...]
) -> tuple[gpd.GeoDataFrame, Any, tuple[str, ...]]:
    """Read a GeoParquet file.

    Only the row groups that meet the source's bounds are read if the file says where they lie.

    Args:
        path: The file.
        source: The source that names it.
        shown: The name of the file in messages.
        columns: The columns to read; all of them if it is empty or the file lacks one.

    Returns:
        The rows, the file's own CRS or None, and notes.

    Raises:
        SourceChanged: The file cannot be read whole, or has no shapes.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            frame, types = _read_frame(path, source, shown, columns)
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as error:
        wrong = f"is not a whole GeoParquet ({first_line(error).replace(str(path), shown)})"
        raise refuse_file(shown, source.id, wrong) from error
    frame.attrs[LEFT_OUT] = name_left_out(types, frame.columns)
    messages = [str(warning.message).replace(str(path), shown) for warning in caught]
    said = group_messages(messages, [shown, *map(str, frame.columns)])
    return frame, frame.crs, tuple(f"reader: {text}" for text in said)


def read_geoparquet_head(
    path: Path, source: Source, shown: str
) -> tuple[tuple[str, ...], Any, frozenset[str], int]:
    """Read the header of a GeoParquet file.

    Args:
        path: The file.
        source: The source that names it.
        shown: The name of the file in messages.

    Returns:
        Its columns, its own CRS or None, the types of its shapes if it names them, and the number
        of its rows.

    Raises:
        SourceChanged: The file cannot be opened, or has no shapes.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, native, rows = file.schema_arrow, _find_native_shapes(file), file.metadata
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as error:
        wrong = f"is not a whole GeoParquet ({first_line(error).replace(str(path), shown)})"
        raise refuse_file(shown, source.id, wrong) from error
    metadata = (schema.metadata or {}).get(b"geo")
    if metadata is None and native is None:
        raise refuse_file(shown, source.id, "is a Parquet file without shapes")
    if metadata is None:
        # The rows say their CRS in several ways; it is checked when they are read.
        return tuple(schema.names), None, frozenset(), int(rows.num_rows)
    geo = json.loads(metadata)
    column = geo["columns"][geo["primary_column"]]
    types = frozenset(str(name).removesuffix(" Z") for name in column.get("geometry_types", ()))
    own = column.get("crs", _DEFAULT_CRS)
    return tuple(schema.names), own, types, int(rows.num_rows)


def _read_frame(
    path: Path, source: Source, shown: str, columns: tuple[str, ...]
) -> tuple[gpd.GeoDataFrame, dict[str, str]]:
    """Return the rows, and the type of each of the file's columns apart from its shapes."""
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        native = _find_native_shapes(file)
    names = list(schema.names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise refuse_file(shown, source.id, f"has two columns called {twice!r}")
    types = dict(zip(names, map(str, schema.types), strict=True))
    chosen = list(columns) if columns and set(columns) <= set(names) else None
    metadata = (schema.metadata or {}).get(b"geo")
    if metadata is None:
        if native is None:
            raise refuse_file(shown, source.id, "is a Parquet file without shapes")
        types.pop(native[0], None)
        return _read_native(path, chosen, *native), types
    geo = json.loads(metadata)
    primary = geo["primary_column"]
    if chosen is not None:
        chosen = [name for name in chosen if name != primary] + [primary]
    covered = "bbox" in geo["columns"][primary].get("covering", {})
    own = geo["columns"][primary].get("crs", _DEFAULT_CRS)
    bbox = None
    if source.fetch.bounds is not None and covered and own is not None:
        bbox = bounds_in_crs(source.fetch.bounds, own)
    types = {name: kind for name, kind in types.items() if name not in {*geo["columns"], "bbox"}}
    return gpd.read_parquet(path, columns=chosen, bbox=bbox), types


def _find_native_shapes(file: pq.ParquetFile) -> tuple[str, Any] | None:
    """Return the first column of Parquet's own type of shapes, and its CRS as the file says."""
    for number in range(len(file.schema.names)):
        column = file.schema.column(number)
        kind = json.loads(column.logical_type.to_json())
        if kind.get("Type") in _NATIVE_TYPES:
            return column.path, kind.get("crs") or _DEFAULT_CRS
    return None


def _read_native(path: Path, chosen: list[str] | None, name: str, crs: Any) -> gpd.GeoDataFrame:
    columns = None if chosen is None else [*(one for one in chosen if one != name), name]
    table = pq.read_table(path, columns=columns)
    shapes = shapely.from_wkb(table.column(name).to_pandas().to_numpy())
    rows = table.drop_columns([name]).to_pandas()
    if isinstance(crs, str) and crs.startswith("srid:"):
        crs = f"EPSG:{crs.removeprefix('srid:')}"
    elif isinstance(crs, str) and crs.startswith("projjson:"):
        crs = (table.schema.metadata or {})[crs.removeprefix("projjson:").encode()].decode()
    return gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries(shapes, index=rows.index, crs=crs))
