"""Keep the parts of a table that comes from a server page by page, and join them to one file.

Each part is a Parquet file whose shapes are well-known binary in the column `geometry`. A part is
either whole or absent, so that a pull that was cut off goes on after the last one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

GEOMETRY = "geometry"


def write_part(path: Path, rows: pa.Table) -> None:
    """Write one part, whole or not at all.

    Args:
        path: The file.
        rows: The rows; the column `geometry`, if there is one, has well-known binary.
    """
    unfinished = path.with_name(f"{path.name}.half")
    pq.write_table(rows, unfinished, compression="zstd")
    unfinished.replace(path)


def join_parts(parts: Sequence[Path], path: Path, crs: Any) -> int:
    """Join parts to one GeoParquet file, in their order, with one part in memory at a time.

    A column that is not in every part, or has another type in some, becomes one that holds all of
    its values: whole numbers become decimal numbers, and anything else text.

    Args:
        parts: The parts, at least one.
        path: The file to write, whole or not at all.
        crs: The CRS of the shapes, as pyproj reads it; None if it is not known.

    Returns:
        The number of rows.
    """
    schema = _unify([pq.read_schema(part) for part in parts])
    own = None if crs is None else pyproj.CRS.from_user_input(crs).to_json_dict()
    shapes: dict[str, Any] = {"encoding": "WKB", "geometry_types": [], "crs": own}
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: shapes}}
    schema = schema.with_metadata({"geo": json.dumps(geo, sort_keys=True)})
    unfinished, rows = path.with_name(f"{path.name}.half"), 0
    with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        for part in parts:
            table = _widen(pq.read_table(part), schema)
            writer.write_table(table)
            rows += len(table)
    unfinished.replace(path)
    return rows


def _unify(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return the columns of all schemas, in the order in which they appear first."""
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for column in schema:
            types[column.name] = _join_types(types.get(column.name), column.type)
    named = [
        pa.field(name, pa.string() if pa.types.is_null(kind) else kind)
        for name, kind in types.items()
        if name != GEOMETRY
    ]
    return pa.schema([*named, pa.field(GEOMETRY, pa.binary())])


def _join_types(one: pa.DataType | None, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both."""
    if one is None or one == other or pa.types.is_null(one):
        return other
    if pa.types.is_null(other):
        return one
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other)]
    if all(numbers):
        whole = pa.types.is_integer(one) and pa.types.is_integer(other)
        return pa.int64() if whole else pa.float64()
    return pa.string()


def _widen(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the columns of a schema, missing where they have none."""
    columns = [
        rows[column.name].cast(column.type)
        if column.name in rows.column_names
        else pa.nulls(len(rows), column.type)
        for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
