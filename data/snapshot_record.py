"""Write one snapshot into an open store: its record, and what changed since the last."""

import datetime as dt
import json

import duckdb
import pandas as pd
import shapely

from data.notes import list_warnings
from data.queries import read_query
from data.raw_files import raw_file_name
from data.schema import describe_column_changes
from data.snapshot import SnapshotContent, digest_content
from data.source import Source
from geo import catalogue
from geo.errors import SourceChanged


def snapshot_table(snapshot_id: int) -> str:
    """Return the name of the table that holds a snapshot's rows.

    >>> snapshot_table(7)
    'snapshot_7'
    """
    return f"snapshot_{snapshot_id}"


def check_not_shrunk(source: Source, rows: int, rows_before: int) -> None:
    """Check that a source has not lost more rows than it allows.

    Args:
        source: The source.
        rows: Its rows now.
        rows_before: Its rows in the last snapshot.

    Raises:
        SourceChanged: It has lost more.
    """
    rows_min = rows_before * (1 - source.expect.shrink_share_max)
    if rows < rows_min:
        raise SourceChanged(
            f"storing source {source.id!r}",
            f"it has {rows} rows, {rows_before} the last time: "
            f"a loss of more than {source.expect.shrink_share_max:.0%}",
            "check the source; the last snapshot stays in use until then. If the loss is real, "
            f"raise expect.shrink_share_max in sources/{source.id}.toml",
            fault="shrunk",
        )


def insert_snapshot(
    con: duckdb.DuckDBPyConnection,
    content: SnapshotContent,
    rows: int,
    night: dt.date,
    seconds: float,
) -> int:
    """Insert the record of a snapshot.

    Args:
        con: Connection to the open store.
        content: The content of the snapshot.
        rows: How many rows it has.
        night: The night on which it was taken.
        seconds: How long the source took.

    Returns:
        The new snapshot's number.
    """
    source, coverage = content.source, content.coverage
    ((snapshot_id,),) = con.execute("select nextval('snapshot_id')").fetchall()
    con.execute(
        f"insert into snapshot values ({', '.join('?' * 31)})",  # noqa: S608 (only marks)
        [
            snapshot_id,
            source.id,
            source.layer,
            digest_content(content),
            content.raw_digest,
            content.declaration_digest,
            source.hide_secrets().model_dump_json(),
            raw_file_name(0, content.raw[0]) if content.raw else None,
            content.rows_in,
            rows,
            content.crs,
            shapely.to_wkb(coverage) if coverage is not None else None,
            source.coverage.kind,
            source.title,
            source.publisher,
            source.licence,
            source.attribution,
            source.redistribute,
            source.vintage,
            night,
            night,
            seconds,
            [str(note) for note in content.notes],
            list(list_warnings(content.notes)),
            json.dumps(dict(content.raw_columns)),
            "",
            None,
            None,
            None,
            content.fetched.address,
            list(content.fetched.failed),
        ],
    )
    return int(snapshot_id)


def compare_to_last(
    con: duckdb.DuckDBPyConnection,
    snapshot_id: int,
    content: SnapshotContent,
    last: "pd.Series",
) -> None:
    """Record which columns changed, and how many rows came and went, since the last snapshot.

    Rows are compared by the layer's key, if it has one, else by all columns of both snapshots.

    Args:
        con: Connection to the open store.
        snapshot_id: The new snapshot, whose rows are stored.
        content: Its content.
        last: The record of the last snapshot.
    """
    new_table = snapshot_table(snapshot_id)
    old_table = snapshot_table(int(last["snapshot_id"]))
    layer = catalogue.read_layers()[str(last["layer"])]
    added: int | None = None
    removed: int | None = None
    if not layer.is_raster and layer.id == content.source.layer:
        old_columns, new_columns = (con.table(name).columns for name in (old_table, new_table))
        shared = [name for name in new_columns if name in old_columns and name != "row_number"]
        columns = [layer.key] if layer.key in shared else shared
        if columns:
            query = read_query(
                "data",
                "count_row_changes",
                new_table=new_table,
                old_table=old_table,
                columns=", ".join(f'"{name}"' for name in columns),
            )
            ((added, removed),) = con.execute(query).fetchall()
    con.execute(
        "update snapshot set column_changes = ?, rows_before = ?, rows_added = ?, "
        "rows_removed = ? where snapshot_id = ?",
        [
            describe_column_changes(json.loads(last["raw_columns"]), content.raw_columns),
            int(last["row_count"]),
            added,
            removed,
            snapshot_id,
        ],
    )
