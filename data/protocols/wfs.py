"""Pull a feature type of a WFS 1.1.0 or 2.0.0, page by page in the order of a column.

GDAL reads the GML of each page, but the pages are asked for here rather than by its driver WFS:
docs/source_servers.md says why.
"""

import datetime as dt
import re
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd

from data.ask import Version, read_version
from data.connection import Connection
from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.axes import check_axes
from data.protocols.features import FEATURE_ID
from data.protocols.gml import GmlReader, GmlReply, ask_page
from data.protocols.kept import digest_request, find_version, name_version, read_kept, write_kept
from data.protocols.paging import Asked, Page, dropping_parts, note_pages, pull_pages
from data.protocols.pulled import Preview, Protocol, Pulled
from data.protocols.refusal import join_names
from data.protocols.sorted_parts import sort_parts
from data.protocols.wfs_layer import Layer, ask_hits, read_layer
from data.source import Source
from geo import catalogue
from geo.addresses import show_address
from geo.errors import SourceChanged, SourceDown

ROWS_AT_ONCE = 1_000
# Columns that number the rows, by their usual names, the surest first.
_KEYS = (
    "objectid", "ogc_fid", "fid", "gid", "oid", "objectid_1", "id", "globalid", "uuid", "gml_id",
)  # fmt: skip
# A number of hits that may be the most that the server counts to.
_ROUND_HITS = 100


def pull(connection: Connection, source: Source, folder: Path, night: dt.date) -> Pulled:
    """Pull all features of a feature type.

    Args:
        connection: The connection.
        source: The source.
        folder: The folder kept for the source.
        night: The night.

    Returns:
        The file with all rows.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not whole, or not what the source declares.
        ContractError: It does not offer the declared CRS.
        ConfigError: The declaration does not fit the server.
    """
    layer, source = read_layer(connection, source)
    asked = digest_request(source)
    kept = read_kept(folder, asked, night)
    hits, is_capped = _count_hits(connection, layer)
    key = _choose_key(layer, source)
    first = _ask_first(connection, source, layer, key, hits, find_version(kept))
    if kept is not None and first.reply.is_unchanged:
        return Pulled(kept.file, layer.address, kept.notes)
    reader = GmlReader(connection, source, layer.schema, layer.kind.extent, first.key)
    rows = _Rows(connection, layer, reader, first, None if is_capped else hits)
    shown = connection.hide(show_address(layer.address))
    pages = pull_pages(
        Asked("0", rows.read_page, f"{asked} {hits} {first.key}", shown), folder, night, connection
    )
    with dropping_parts(folder):
        check_axes(pages.box, layer.kind.extent, source.fetch.crs, shown, connection)
        if not is_capped and hits is not None:
            _check_hits_again(connection, layer, hits)
    file = folder / "rows.parquet"
    sort_parts(pages.parts, file, source.fetch.crs, FEATURE_ID)
    notes = note_pages(pages) + reader.list_notes() + _note_hits(pages.rows, hits, is_capped)
    is_one = len(pages.parts) == 1 and not pages.is_resumed
    version = name_version(read_version(first.reply.headers)) if is_one else {}
    write_kept(folder, asked, night, file, version, notes)
    return Pulled(file, layer.address, notes)


def preview(connection: Connection, source: Source, rows: int) -> Preview:
    """Ask for the first features of a feature type.

    Args:
        connection: The connection.
        source: The source.
        rows: How many rows to ask for.

    Returns:
        What the server says, and the rows.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not what the source declares.
        ContractError: It does not offer the declared CRS.
        ConfigError: The declaration does not fit the server.
    """
    layer, source = read_layer(connection, source, takes_any_crs=True)
    hits, is_capped = _count_hits(connection, layer)
    reply = ask_page(connection, layer.address, layer.list_parameters(rows))
    reader = GmlReader(connection, source, layer.schema, layer.kind.extent, None)
    frame = gpd.GeoDataFrame(reader.read_frame(reply)[:rows])
    types = layer.schema or {
        name: str(kind) for name, kind in frame.dtypes.items() if name != "geometry"
    }
    says = (
        f"title: {layer.kind.title}",
        f"CRS offered: {join_names(layer.kind.crs)}",
        f"WFS {layer.version}",
    )
    return Preview(frame, None if is_capped else hits, dict(types), says)


PROTOCOL = Protocol(pull, preview)


# ---------------------------------------------------------------------------------------------
# Numbers and order


def _count_hits(connection: Connection, layer: Layer) -> tuple[int | None, bool]:
    """Return how many features there are, and whether there are in fact more.

    Some servers count no further than they send at once, so a number that may be such a limit is
    tried out.
    """
    hits = ask_hits(connection, layer)
    is_suspect = (
        hits is not None
        and hits > 0
        and (hits == layer.capabilities.rows_most or hits % _ROUND_HITS == 0)
    )
    if hits is None or not is_suspect or layer.capabilities.has_pages is False:
        return hits, False
    parameters = layer.list_parameters(1, hits)
    return hits, ask_page(connection, layer.address, parameters).outline.features > 0


def _check_hits_again(connection: Connection, layer: Layer, hits: int) -> None:
    """Raise SourceDown if the number of features changed while they were pulled."""
    again = ask_hits(connection, layer)
    if again != hits:
        shown = connection.hide(show_address(layer.address))
        after = "no number" if again is None else f"{again:,}"
        raise SourceDown(
            connection.doing,
            f"{shown} said that it has {count_noun(hits, 'feature')}, and after the last page "
            f"{after}: it changed while it was pulled",
            "try again later; the last good snapshot stays in use",
        )


def _note_hits(rows: int, hits: int | None, is_capped: bool) -> tuple[str, ...]:
    if is_capped:
        return (
            RoutineNote(
                f"the server counts only {hits:,} features, and gave {rows:,}: the number could "
                "not be compared"
            ),
        )
    return (
        () if hits is not None else (RoutineNote("the server does not say how many rows it has"),)
    )


class _First(NamedTuple):
    """The first page: how it was asked for, and what came."""

    reply: GmlReply
    key: str | None
    rows: int | None


def _choose_key(layer: Layer, source: Source) -> str | None:
    """Return the column to sort by, so that no row moves to another page; None if there is none."""
    if layer.capabilities.has_sorting is False or layer.capabilities.has_pages is False:
        return None
    by_lower = {name.lower(): name for name in layer.schema}
    usual = [by_lower[name] for name in _KEYS if name in by_lower]
    key = catalogue.read_layers()[source.layer].key
    origin = source.columns.get(key) if key is not None else None
    declared = [] if origin is None or origin.column not in layer.schema else [origin.column]
    numbered = [name for name in layer.schema if re.search(r"(?i)(_|^)(id|nr|no)$", name)]
    return next(iter([*usual, *(one for one in declared if one), *numbered]), None)


def _ask_first(
    connection: Connection,
    source: Source,
    layer: Layer,
    key: str | None,
    hits: int | None,
    known: Version,
) -> _First:
    """Ask for the first page in the order of a column, or for everything at once without one."""
    rows = source.fetch.page_rows or ROWS_AT_ONCE
    if key is not None:
        parameters = layer.list_parameters(rows, 0) | {"sortby": key}
        try:
            return _First(ask_page(connection, layer.address, parameters, known), key, rows)
        except SourceChanged as error:
            if error.fault != "changed":
                raise
    whole = layer.list_parameters(None if hits is None else hits + 1)
    reply = ask_page(connection, layer.address, whole, known)
    if reply.is_unchanged or (
        hits is not None and reply.outline.features == hits and not reply.has_next
    ):
        return _First(reply, None, None)
    shown = connection.hide(show_address(layer.address))
    total = "an unknown number" if hits is None else f"{hits:,}"
    raise SourceChanged(
        connection.doing,
        f"{shown} sends {reply.outline.features:,} of {total} features at once, and the others "
        "cannot be asked for safely: it sorts by no column that numbers the rows",
        f"set fetch.bounds in sources/{source.id}.toml to fewer rows, or ask the publisher for a "
        "file",
    )


class _Rows(NamedTuple):
    """What asks for the pages of one feature type."""

    connection: Connection
    layer: Layer
    reader: GmlReader
    first: _First
    hits: int | None

    def read_page(self, cursor: str) -> Page:
        """Return the page that begins with the row of this number."""
        start, reply = int(cursor), self.first.reply
        if start:
            parameters = self.layer.list_parameters(self.first.rows, start)
            parameters["sortby"] = self.first.key or ""
            reply = ask_page(self.connection, self.layer.address, parameters)
        after = start + reply.outline.features
        is_last = self.first.key is None or after in {start, self.hits}
        return Page(
            self.reader.read_rows(reply), len(reply.body), "" if is_last else str(after), self.hits
        )
