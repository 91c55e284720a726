"""Write what a reader should know about the sources and the selection."""

import datetime as dt
from pathlib import Path

import duckdb

from data.message_text import count_noun
from data.select.sites import REPEATED
from data.source import Source
from data.store import open_store
from geo.model import Market, SourceLine

# The box around fewer rows than this says little about the area that somebody mapped.
FEW_ROWS = 10


def describe_sources(store: Path, market: Market, night: dt.date) -> tuple[SourceLine, ...]:
    """Describe each source for readers, as of `night`.

    Args:
        store: File of the market's store.
        market: The market whose sources are described.
        night: The date as of which their snapshots are taken.

    Returns:
        One line per source, in the market's order.
    """
    with open_store(store, read_only=True) as opened:
        snapshots = opened.read_snapshots(night, market.sources)
    return tuple(
        SourceLine(
            id=row["source_id"],
            layer=row["layer"],
            title=row["title"],
            publisher=row["publisher"],
            licence=row["licence"],
            attribution=row["attribution"],
            vintage=f"{row['vintage']:%Y-%m-%d}",
            rows=row["row_count"],
            notes=(
                *row["notes"],
                *_declaration_notes(
                    Source.model_validate_json(row["declaration"]), row["row_count"]
                ),
            ),
        )
        for row in snapshots.to_dict("records")
    )


def count_unclassified_uses(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many parcels have each use code that no land-use table lists, by code."""
    return dict(
        con.execute(
            "select use_code, count(*) from parcel where use_state = 'unclassified' "
            "group by use_code order by use_code"
        ).fetchall()
    )


def list_selection_notes(
    con: duckdb.DuckDBPyConnection, unclassified: dict[str, int], set_aside: dict[str, int]
) -> tuple[str, ...]:
    """List what a reader should know about the parcels' rows and codes.

    Args:
        con: Connection to the open store, with the tables of lots and zones.
        unclassified: How many parcels have each use code that no land-use table lists.
        set_aside: How many parcels each rule set aside.

    Returns:
        Notes on codes that no land-use table lists, and on repeated rows.
    """
    notes: list[str] = []
    if unclassified:
        notes.append(
            f"{sum(unclassified.values())} parcels have a use code without a class in any land-use "
            f"table: {_format_counts(unclassified)}"
        )
    zones = dict(
        con.execute(
            "select zone_code, count(distinct lot_row) from lot_zone where zone_class is null "
            "group by zone_code order by zone_code"
        ).fetchall()
    )
    tied = con.execute(
        "select lot_zone.zone_code, count(distinct lot_row) "
        "from lot_zone join lot_decision using (lot_row) "
        "where is_class_tied group by all order by all"
    ).fetchall()
    if tied:
        notes.append(
            "lots in several zones, none of them the largest, so that their zone is unknown "
            f"(drop overlay districts in the source of zoning): {_format_counts(dict(tied))}"
        )
    if zones:
        notes.append(
            f"lots in a zone without a class in any land-use table: {_format_counts(zones)}"
        )
    if repeats := set_aside.get(REPEATED):
        rows = "1 row that repeats" if repeats == 1 else f"{repeats:,} rows that repeat"
        notes.append(f"{rows} an earlier row of the parcels (same id, same ground), counted once")
    return tuple(notes)


def _declaration_notes(source: Source, rows: int) -> list[str]:
    """Return the notes that follow from the source's own declaration and its number of rows."""
    coverage = source.coverage
    notes = [source.note] if source.note else []
    if coverage.kind == "none":
        notes.append(f"may be incomplete: {coverage.reason or 'its coverage is not known'}")
    if coverage.kind in {"bounds", "hull"} and rows < FEW_ROWS and source.fetch.protocol == "file":
        outline = "box" if coverage.kind == "bounds" else "hull"
        notes.append(
            f"its coverage is only the {outline} around {count_noun(rows, 'row')}: the area that "
            "was mapped may be another"
        )
    return notes


def _format_counts(counts: dict[str, int]) -> str:
    """Return codes with their counts as text.

    >>> _format_counts({"B": 3, "R": 1})
    'B (3), R (1)'
    """
    return ", ".join(f"{code} ({count})" for code, count in counts.items())
