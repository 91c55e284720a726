"""Bring a store's own tables up to date; each step runs once in each store."""

from collections.abc import Callable

import duckdb

from data.database import transaction
from data.queries import read_query
from geo.errors import StoreError


def _create_tables(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(read_query("data", "create_snapshot_table"))


def _add_health_columns(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(read_query("data", "add_health_columns"))


STEPS: tuple[tuple[str, Callable[[duckdb.DuckDBPyConnection], None]], ...] = (
    ("snapshots of sources", _create_tables),
    ("health of sources", _add_health_columns),
)


def read_version(con: duckdb.DuckDBPyConnection) -> int:
    """Return how many migration steps have run in this store."""
    tables = con.execute(
        "select count(*) from duckdb_tables() "
        "where database_name = current_database() and table_name = 'migration'"
    ).fetchone()
    if tables is None or tables[0] == 0:
        return 0
    last_step = con.execute("select coalesce(max(step), 0) from migration").fetchone()
    return int(last_step[0]) if last_step else 0


def check_version(con: duckdb.DuckDBPyConnection, store: str) -> None:
    """Raise StoreError for a store that is older or newer than this program."""
    version = read_version(con)
    if version != len(STEPS):
        is_newer = version > len(STEPS)
        raise StoreError(
            f"opening {store}",
            f"it is at step {version}, this program knows {len(STEPS)}",
            "update padfinder" if is_newer else "run padfinder refresh once, which updates it",
        )


def migrate_store(con: duckdb.DuckDBPyConnection, store: str) -> None:
    """Run every step that the store lacks, and record each in the same transaction.

    Raises StoreError for a store from a newer program, and does not change that store.
    """
    version = read_version(con)
    if version > len(STEPS):
        raise StoreError(
            f"opening {store}",
            f"it is at step {version}, this program knows {len(STEPS)}: a newer padfinder wrote it",
            "update padfinder, or give it another folder for its store",
        )
    for step, (title, run_step) in enumerate(STEPS[version:], start=version + 1):
        with transaction(con):
            if step == 1:
                con.execute("create table migration (step integer primary key, title varchar)")
            run_step(con)
            con.execute("insert into migration values (?, ?)", [step, title])
