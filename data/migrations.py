"""How the store's own tables came to be, step by step; each step runs once in each store."""

from collections.abc import Callable

import duckdb

from geo.errors import StoreError


def _create_tables(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create sequence snapshot_id")
    con.execute("""
        create table snapshot (
            snapshot_id bigint primary key,
            source_id varchar not null,
            layer varchar not null,
            digest varchar not null,
            raw_digest varchar not null,
            declaration_digest varchar not null,
            declaration varchar not null,
            raw_file varchar,
            rows_in bigint not null,
            row_count bigint not null,
            crs varchar not null,
            coverage blob,
            coverage_kind varchar not null,
            title varchar not null,
            publisher varchar not null,
            licence varchar not null,
            attribution varchar not null,
            redistribute boolean not null,
            vintage date not null,
            taken_on date not null,
            last_seen date not null,
            seconds double not null,
            notes varchar[] not null
        )
    """)


STEPS: tuple[tuple[str, Callable[[duckdb.DuckDBPyConnection], None]], ...] = (
    ("snapshots of sources", _create_tables),
)


def read_version(con: duckdb.DuckDBPyConnection) -> int:
    """Return how many steps this store has taken."""
    known = con.execute(
        "select count(*) from duckdb_tables() "
        "where database_name = current_database() and table_name = 'migration'"
    ).fetchone()
    if known is None or known[0] == 0:
        return 0
    taken = con.execute("select coalesce(max(step), 0) from migration").fetchone()
    return int(taken[0]) if taken else 0


def migrate_store(con: duckdb.DuckDBPyConnection, store: str) -> None:
    """Take every step that the store lacks, each recorded in the transaction that takes it.

    Raises StoreError for a store from a newer program, which is left as it is.
    """
    have = read_version(con)
    if have > len(STEPS):
        raise StoreError(
            f"opening {store}",
            f"it is at step {have}, this program knows {len(STEPS)}: a newer padfinder wrote it",
            "update padfinder, or give it another folder for its store",
        )
    for step, (title, act) in enumerate(STEPS[have:], start=have + 1):
        con.begin()
        try:
            if step == 1:
                con.execute("create table migration (step integer primary key, title varchar)")
            act(con)
            con.execute("insert into migration values (?, ?)", [step, title])
            con.commit()
        except BaseException:
            con.rollback()
            raise
