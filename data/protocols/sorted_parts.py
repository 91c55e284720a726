"""Join the parts of a table to one file in the order of an id, however large it is.

A server may give the same rows in another order on another night. The same rows then still give
the same bytes, so that no new snapshot is made of them.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data.protocols.parts import GEOMETRY, join_parts

# So many rows are written at a time: the same number for the same bytes.
_ROWS_AT_ONCE = 20_000
_MEMORY = "400MB"


def sort_parts(parts: Sequence[Path], path: Path, crs: Any, key: str) -> int:
    """Join parts to one GeoParquet file whose rows are in the order of a column.

    Rows with the same value are ordered by their other columns. The columns are in alphabetical
    order, and the key is left out.

    Args:
        parts: The parts, at least one, as `join_parts` takes them.
        path: The file to write, whole or not at all.
        crs: The CRS of the shapes, as pyproj reads it; None if it is not known.
        key: The column.

    Returns:
        The number of rows.
    """
    joined = path.with_name(f"{path.name}.joined")
    rows = join_parts(parts, joined, crs)
    unfinished = path.with_name(f"{path.name}.half")
    whole = pq.read_schema(joined)
    names = sorted(name for name in whole.names if name not in {key, GEOMETRY})
    columns = [whole.field(name) for name in [*names, GEOMETRY]]
    schema = pa.schema(columns, metadata=whole.metadata)
    with contextlib.closing(_open_sorter(path.parent)) as con:
        found = con.execute(
            f"""
            select {", ".join(_quote(name) for name in schema.names)}
            from read_parquet($path)
            order by {", ".join(_quote(name) for name in [key, *schema.names])}
            """,  # noqa: S608 (names, quoted)
            {"path": str(joined)},
        )
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for batch in found.to_arrow_reader(_ROWS_AT_ONCE):
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    unfinished.replace(path)
    joined.unlink()
    return rows


def _open_sorter(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that moves to a file what does not fit."""
    con = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": _MEMORY,
            "temp_directory": str(folder / "sorting"),
        },
    )
    con.execute("set enable_geoparquet_conversion = false")
    return con


def _quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
