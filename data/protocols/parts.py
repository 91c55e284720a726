"""Keep the parts of a table that comes from a server page by page, and join them to one file.

Each part is a Parquet file whose shapes are well-known binary in the column `geometry`. A part is
either whole or absent, so that a pull that was cut off goes on after the last one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

GEOMETRY = "geometry"
# The rows of the file are in groups of so many, however many a page had, so that the same rows give
# the same bytes.
GROUP_ROWS = 2_048


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
    schema = describe_shapes(unify_schemas([pq.read_schema(part) for part in parts]), crs)
    unfinished, rows = path.with_name(f"{path.name}.half"), 0
    with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        waiting = schema.empty_table()
        for part in parts:
            waiting = pa.concat_tables([waiting, widen_rows(pq.read_table(part), schema)])
            whole = len(waiting) - len(waiting) % GROUP_ROWS
            if whole:
                writer.write_table(waiting.slice(0, whole), row_group_size=GROUP_ROWS)
                rows, waiting = rows + whole, waiting.slice(whole)
        if len(waiting):
            writer.write_table(waiting.combine_chunks())
    unfinished.replace(path)
    return rows + len(waiting)


def describe_shapes(schema: pa.Schema, crs: Any) -> pa.Schema:
    """Return the columns of a GeoParquet file, with what readers need to know of them.

    Args:
        schema: The columns; the shapes are in `geometry`.
        crs: The CRS of the shapes, as pyproj reads it; None if it is not known.

    Returns:
        The columns. pandas reads whole numbers as whole, though some are missing.
    """
    own = None if crs is None else pyproj.CRS.from_user_input(crs).to_json_dict()
    shapes: dict[str, Any] = {"encoding": "WKB", "geometry_types": [], "crs": own}
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: shapes}}
    whole = [column.name for column in schema if pa.types.is_integer(column.type)]
    nullable = pd.DataFrame({name: pd.Series(dtype="Int64") for name in whole})
    pandas = pa.Schema.from_pandas(nullable, preserve_index=False).metadata[b"pandas"]
    return schema.with_metadata({"geo": json.dumps(geo, sort_keys=True), "pandas": pandas})


def unify_schemas(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return the columns of all schemas, in the order in which they appear first.

    A column that has another type in some becomes one that holds all of its values.
    """
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


def widen_rows(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the columns of a schema, missing where they have none.

    Args:
        rows: The rows.
        schema: The columns.

    Returns:
        The rows, in the types of the schema.
    """
    columns = [
        rows[column.name].cast(column.type)
        if column.name in rows.column_names
        else pa.nulls(len(rows), column.type)
        for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
