"""The database engine: DuckDB with its spatial extension, and frames read from it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import duckdb
import geopandas as gpd
import numpy as np
import pyarrow as pa

from data.values import DTYPES
from geo.errors import StoreError
from geo.model import Layer

# DuckDB writes its groups of so many rows to the file as soon as they are complete.
_ROWS_AT_ONCE = 122_880
# A file that another program holds, such as a reader of it, is tried again for so long.
HELD_WAIT_S, HELD_TRY_S = 30.0, 0.25


@cache
def open_engine() -> duckdb.DuckDBPyConnection:
    """Return this process's database engine, to which stores are attached one at a time.

    The spatial extension is large, and DuckDB reads all of it to check its signature. A shared
    engine does this once instead of each time a store is opened.
    """
    con = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    _load_spatial(con)
    return con


def attach_store(con: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool) -> None:
    """Attach the file at `path` as the database `store`, and use it.

    Args:
        con: Connection to the engine.
        path: File of the store.
        read_only: Whether the store may not be changed.

    Raises:
        StoreError: Another program holds the file for more than HELD_WAIT_S, or it is not a DuckDB
            file.
    """
    literal = str(path).replace("'", "''")
    until_s = time.monotonic() + HELD_WAIT_S
    while True:
        try:
            con.execute(f"attach '{literal}' as store{' (read_only)' if read_only else ''}")
            con.execute("use store")
        except duckdb.Error as error:
            wrong = first_line(error)
            if "already attached" not in wrong.lower() and "lock" not in wrong.lower():
                remedy = "move the file away; padfinder refresh makes a new store"
                raise StoreError(f"opening {path}", wrong, remedy) from error
            if "lock" in wrong.lower() and time.monotonic() < until_s:
                time.sleep(HELD_TRY_S)
                continue
            raise StoreError(
                f"opening {path}",
                f"another program holds it ({wrong})",
                "wait until that program has ended, or end it, and try again",
            ) from error
        return


def detach_store(con: duckdb.DuckDBPyConnection) -> None:
    """Undo `attach_store`."""
    con.execute("use memory")
    con.execute("detach store")


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit the changes made inside the block, or undo all of them if it raises an error."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def first_line(error: duckdb.Error) -> str:
    """Return the first line of a database error; the other lines repeat the query."""
    return str(error).splitlines()[0]


def read_frame(
    relation: duckdb.DuckDBPyRelation, crs: str, layer: Layer | None = None
) -> gpd.GeoDataFrame:
    """Return a relation with a `geometry` column as a frame, in the same order.

    Args:
        relation: The rows. The columns source_order and row_number are left out.
        crs: CRS of the geometry, as the market writes it.
        layer: If given, the columns get the layer's types, even where they contain nulls.

    Returns:
        The frame, in `crs`.
    """
    frame = gpd.GeoDataFrame.from_arrow(relation.to_arrow_table())
    # DuckDB writes the same CRS in a different form.
    frame = gpd.GeoDataFrame(frame.set_crs(crs, allow_override=True))
    frame = frame.drop(columns=["source_order", "row_number"], errors="ignore")
    if layer is not None:
        types = {
            name: DTYPES[column.type] for name, column in layer.columns.items() if name in frame
        }
        frame = gpd.GeoDataFrame(frame.astype(types))
    return frame


def create_rows_table(con: duckdb.DuckDBPyConnection, name: str, frame: gpd.GeoDataFrame) -> None:
    """Create a table of a frame's rows, with their place in the frame as row_number.

    Args:
        con: Connection to the store.
        name: Name of the table.
        frame: The rows.
    """
    numbered = frame.assign(row_number=np.arange(len(frame), dtype="int64"))
    # The bytes of all shapes at once would take as much memory again as the shapes.
    for start in range(0, max(len(frame), 1), _ROWS_AT_ONCE):
        rows = numbered.iloc[start : start + _ROWS_AT_ONCE]
        con.register("incoming", pa.table(rows.to_arrow(geometry_encoding="WKB", index=False)))
        try:
            incoming = con.table("incoming")
            if start == 0:
                incoming.create(name)
            else:
                incoming.insert_into(name)
        finally:
            con.unregister("incoming")


def _load_spatial(con: duckdb.DuckDBPyConnection) -> None:
    """Load DuckDB's spatial extension from its PyPI package; nothing is ever downloaded."""
    try:
        folder = files("duckdb_extension_spatial") / "extensions" / f"v{duckdb.__version__}"
        with as_file(folder / "spatial.duckdb_extension") as extension:
            con.load_extension(str(extension))
    except (ModuleNotFoundError, FileNotFoundError, duckdb.Error) as error:
        raise StoreError(
            "loading DuckDB's spatial extension",
            f"{type(error).__name__}: {str(error).splitlines()[0]}",
            f"install duckdb-extension-spatial=={duckdb.__version__}, the version of duckdb",
        ) from error
