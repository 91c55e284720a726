"""Pull a layer of an ArcGIS FeatureServer or MapServer into a file, or what changed in it."""

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.connection import Connection
from data.crs import check_crs
from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.arcgis.changes import find_changed, note_codes
from data.protocols.arcgis.layer import ServerLayer, read_crs, read_layer, refuse_layer
from data.protocols.arcgis.merge import list_pieces, merge_pieces
from data.protocols.arcgis.pages import Pages, can_be_binary, first_rows, pull_listed, pull_unlisted
from data.protocols.arcgis.query import Listing, Query, build_query, list_rows
from data.protocols.arcgis.rows import Page, list_types, refuse_page
from data.protocols.arcgis.state import (
    ROWS,
    LastPull,
    Unfinished,
    add_part,
    close_unfinished,
    digest_query,
    name_pull,
    open_unfinished,
    read_last_pull,
    write_last_pull,
)
from data.protocols.pulled import Pulled
from data.protocols.refusal import first_line
from data.source import Source
from geo.errors import SourceDown, StoreError


class Task(NamedTuple):
    """One pull.

    Attributes:
        connection: The connection.
        source: The source.
        folder: The folder kept for it.
        night: The night.
        query: What is asked of the layer.
        listing: The rows that the server says it has, at the beginning.
        last: What is known of the last pull, if its rows are used; None if all are pulled.
    """

    connection: Connection
    source: Source
    folder: Path
    night: dt.date
    query: Query
    listing: Listing
    last: LastPull | None


def pull_layer(connection: Connection, source: Source, folder: Path, night: dt.date) -> Pulled:
    """Pull the rows of a layer into a file of the folder.

    Nothing is pulled where the server says that nothing was edited; only edited rows where it can
    say which those are. Object ids are compared each time. A pull that was cut off goes on.

    Args:
        connection: The connection.
        source: The source.
        folder: The folder kept for it.
        night: The night.

    Returns:
        The file, which is the same byte for byte if the rows are the same.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: It is not such a layer, or its rows cannot be pulled whole.
        ContractError: Its shapes are in another CRS than the declared one.
        ConfigError: The declaration is wrong.
        StoreError: The folder cannot be written.
    """
    layer, failed = read_first_layer(connection, source)
    query = build_query(layer, source)
    last = read_last_pull(folder, digest_query(query), night)
    listing = list_rows(connection, query, source)
    changed = None
    if last is not None:
        held = list_pieces([folder / ROWS], layer.id_column).ids
        changed = find_changed(connection, query, source, last, listing, held)
    task = Task(
        connection, source, folder, night, query, listing, None if changed is None else last
    )
    try:
        notes = _pull_rows(task, changed)
    except OSError as error:
        raise StoreError(
            f"pulling source {source.id!r}",
            f"the folder {folder} cannot be written: {error.strerror or first_line(error)}",
            "check the free space of the disk and the rights to the folder; what has come is kept",
        ) from error
    notes = (*failed, *notes, *note_codes(folder / ROWS, query))
    return Pulled(folder / ROWS, layer.address, notes)


def read_first_layer(connection: Connection, source: Source) -> tuple[ServerLayer, tuple[str, ...]]:
    """Ask what the layer is, at the first of a source's addresses that answers.

    Args:
        connection: The connection.
        source: The source.

    Returns:
        What its server says, and a note for each address that did not answer.

    Raises:
        SourceDown: None answers; the error of the first.
        SourceChanged: An address is not that of a layer.
        ConfigError: The declaration is wrong.
    """
    failed: list[SourceDown] = []
    for declared in (source.fetch.url or "", *source.fetch.fallback_urls):
        try:
            layer = read_layer(connection, source, declared)
        except SourceDown as error:
            failed.append(error)
        else:
            return layer, tuple(f"another address is used: {error.wrong}" for error in failed)
    raise failed[0]


def _pull_rows(task: Task, changed: np.ndarray | None) -> tuple[str, ...]:
    """Pull all rows, or those that changed, into the file, and return notes."""
    layer, listing = task.query.layer, task.listing
    held = [] if task.last is None else [task.folder / ROWS]
    before = list_pieces(held, layer.id_column)
    if task.last is not None and changed is not None and not len(changed):
        is_same = listing.ids is None or np.array_equal(listing.ids, before.ids)
        if is_same:
            return _keep_rows(task)
    unfinished = open_unfinished(task.folder, name_pull(task.query, listing, task.last), task.night)
    resumed = list_pieces(unfinished.parts, layer.id_column).ids
    pages = _open_pages(task, unfinished)
    added = 0
    if listing.ids is None:
        pull_unlisted(pages, int(resumed.max()) if len(resumed) else None)
        final = _check_count(task, unfinished)
    else:
        wanted = listing.ids if changed is None else changed
        pull_listed(pages, np.setdiff1d(wanted, resumed), listing.ids)
        final, added = _settle(task, pages, unfinished, held)
    pieces = list_pieces([*held, *unfinished.parts], layer.id_column)
    reference = pages.reference or layer.reference
    crs = read_crs(reference) if layer.shape_type else None
    merge_pieces(pieces, final, task.folder / ROWS, list_types(task.query), crs)
    full_on = unfinished.full_on if task.last is None else task.last.full_on
    last = LastPull(full_on, unfinished.began, layer.edited, listing.row_count, pages.reference)
    write_last_pull(task.folder, digest_query(task.query), last)
    close_unfinished(unfinished)
    done = f"all {len(final):,} rows pulled"
    if task.last is not None:
        pulled = len(pieces.ids) - len(before.ids)
        gone = len(np.setdiff1d(before.ids, final))
        done = f"only edited and new rows pulled: {pulled:,}; {gone:,} deleted"
    notes: list[str] = [RoutineNote(done)]
    if reference and crs is None and layer.shape_type:
        notes.append(f"the server's CRS is not known ({reference}): fetch.crs is used")
    if len(resumed):
        since = f"{len(resumed):,} rows are of {unfinished.full_on:%Y-%m-%d}"
        notes.append(RoutineNote(f"the pull was cut off; {since}"))
    if added:
        more = count_noun(added, "row")
        notes.append(RoutineNote(f"{more} added during the pull: they come next time"))
    for what, count in sorted(pages.notes.items()):
        noun, _, rest = what.partition(" ")
        notes.append(f"{count_noun(count, noun)} {rest}")
    return tuple(notes)


def _keep_rows(task: Task) -> tuple[str, ...]:
    """Keep the rows of the last pull, and remember when they were last edited."""
    if task.last is not None and task.last.edited != task.query.layer.edited:
        last = task.last._replace(
            edited=task.query.layer.edited,
            row_count=task.listing.row_count,
            began=dt.datetime.now(dt.UTC),
        )
        write_last_pull(task.folder, digest_query(task.query), last)
    return (RoutineNote("nothing pulled: no row was edited, added or deleted"),)


def _open_pages(task: Task, unfinished: Unfinished) -> Pages:
    """Return the requests for pages, each of which is kept among those of the pull."""
    layer, source = task.query.layer, task.source

    def keep(page: Page) -> None:
        add_part(unfinished, page.table, page.reference)

    def check(reference: dict[str, object]) -> None:
        own = read_crs(reference or layer.reference)
        check_crs(own, source.fetch.crs, layer.shown, source.id)

    known = unfinished.reference or (task.last.reference if task.last else {})
    return Pages(
        connection=task.connection,
        query=task.query,
        source=source,
        keep=keep,
        check_reference=check,
        rows_most=first_rows(layer),
        reference=known,
        is_binary=can_be_binary(task.query, task.listing),
    )


def _settle(
    task: Task, pages: Pages, unfinished: Unfinished, held: list[Path]
) -> tuple[np.ndarray, int]:
    """Compare the rows with the ids that the server lists now, and pull once more what is missing.

    Returns:
        The ids of all rows that are still there, and how many were added meanwhile.
    """
    layer = task.query.layer
    known = task.listing.ids if task.listing.ids is not None else np.empty(0, dtype=np.int64)
    for is_last in (False, True):
        now = list_rows(task.connection, task.query, task.source).ids
        if now is None:
            raise refuse_page(task.query, task.source, "does not list its object ids any more")
        have = list_pieces([*held, *unfinished.parts], layer.id_column).ids
        missing = np.setdiff1d(now, have)
        # A row that was added during the pull comes with the next one.
        lost = np.intersect1d(missing, known)
        if not len(lost):
            return np.intersect1d(now, have), len(missing)
        if is_last:
            raise refuse_layer(
                task.source,
                f"{layer.shown} lists {len(now):,} object ids and does not give the rows of "
                f"{len(lost):,} of them, such as {lost[0]}",
                "tell the publisher; the last good snapshot stays in use",
            )
        pull_listed(pages, lost, now)
    raise AssertionError("the second turn returns or raises")  # pragma: no cover


def _check_count(task: Task, unfinished: Unfinished) -> np.ndarray:
    """Return the ids of all rows that a server gave without listing ids.

    Raises:
        SourceChanged: There are not as many as the server counts.
    """
    ids = np.unique(list_pieces(unfinished.parts, task.query.layer.id_column).ids)
    counted = list_rows(task.connection, task.query, task.source).row_count
    if counted is not None and len(ids) not in {counted, task.listing.row_count}:
        close_unfinished(unfinished)
        raise refuse_layer(
            task.source,
            f"{task.query.layer.shown} counts {counted:,} rows, and gives {len(ids):,}",
            "try again later, and tell the publisher if it stays so; the last good snapshot stays "
            "in use",
        )
    return ids
