"""Compare the headers of a source's data with its declaration, without reading the rows."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import rasterio
from rasterio.errors import RasterioError

from data.crs import check_crs
from data.fetch_options import is_pattern
from data.protocols.archive import Opened, open_file
from data.protocols.file import read_area, read_undeclared, require_columns
from data.protocols.formats import JSON_FORMATS
from data.protocols.geoparquet import read_geoparquet_head
from data.protocols.ogr import read_ogr_head
from data.protocols.refusal import first_line, refuse_file
from data.protocols.servers import preview_rows
from data.protocols.shards import find_shards
from data.pull import find_file, find_layer
from data.real_paths import list_data_files, name_real_files
from data.source import Source
from geo.addresses import show_address
from geo.contract.layer import GEOMETRY_TYPES
from geo.errors import ConfigError, ContractError, PadfinderError, SourceChanged
from geo.model import Layer

# The tables of a file that has to be read whole to know its columns.
_READ_WHOLE = (*JSON_FORMATS, "xlsx")


class Head(NamedTuple):
    """What the header of a dataset says.

    Attributes:
        columns: Its columns; None if they cannot be known without reading the rows.
        crs: Its own CRS; None if it names none.
        types: The types of its shapes, such as Polygon; empty if it does not say.
        rows: How many rows it has; None if it does not say.
    """

    columns: tuple[str, ...] | None
    crs: Any
    types: frozenset[str]
    rows: int | None


def list_header_faults(source: Source, files: Path) -> tuple[PadfinderError, ...]:
    """Return everything in the headers of a source's data that its declaration does not expect.

    The headers of files and the descriptions of servers are read. Only of JSON and of workbooks,
    which have no header, the rows are read too. A file that has to be downloaded is not looked at.

    Args:
        source: The source.
        files: The folder that the paths in the source are relative to.

    Returns:
        The faults: missing files and columns, another CRS, other shapes, too few rows.
    """
    faults: list[PadfinderError] = []
    try:
        layer = find_layer(source)
    except PadfinderError as error:
        return (error,)
    for check in (_check_own, _check_second_tables, _check_area):
        try:
            faults += check(source, layer, files)
        except PadfinderError as error:
            faults.append(error)
    url = source.fetch.url
    real = list_data_files(source, files, show_address(url) if url else "")
    for fault in faults:
        name_real_files(fault, source, real)
    return tuple(faults)


def is_looked_at(source: Source) -> bool:
    """Return whether the header of a source's own data can be read without a download."""
    return source.fetch.is_server or source.fetch.url is None


def _check_own(source: Source, layer: Layer, files: Path) -> Iterator[PadfinderError]:
    """Yield the faults of the source's own data."""
    fetch = source.fetch
    if not is_looked_at(source):
        return
    if layer.is_raster:
        yield from _check_raster(source, find_file(files, str(fetch.path), source.id, "fetch.path"))
        return
    if fetch.is_server:
        shown = show_address(fetch.url or "")
        yield from _compare(_ask_head(source), source, layer, shown)
        return
    if is_pattern(str(fetch.path)) and not (files / str(fetch.path)).exists():
        paths = find_shards(files, str(fetch.path), source.id)
    else:
        paths = (find_file(files, str(fetch.path), source.id, "fetch.path"),)
    for path in paths:
        with open_file(path, source, path.name) as opened:
            head = _read_head(opened, path, source)
        # Of many files, no single one has all rows.
        head = head if len(paths) == 1 else head._replace(rows=None)
        yield from _compare(head, source, layer, path.name)


def _ask_head(source: Source) -> Head:
    """Return what a server says of a layer, with its first row."""
    preview = preview_rows(source, 1)
    rows = preview.rows
    columns = dict.fromkeys((*preview.types, *(str(name) for name in rows.columns)))
    types = frozenset(rows.geometry.geom_type.dropna())
    return Head(tuple(columns), rows.crs, types, preview.row_count)


def _read_head(opened: Opened, path: Path, source: Source) -> Head:
    """Return the header of a plain file."""
    shown, fetch = path.name, source.fetch
    if opened.kind == "csv":
        titles = read_titles(opened.path, fetch.encoding or "utf-8", fetch.delimiter)
        return Head(titles, None, frozenset(), None)
    if opened.kind == "geoparquet":
        return Head(*read_geoparquet_head(opened.path, source, shown))
    if opened.kind in _READ_WHOLE:
        rows, own, _ = read_undeclared(path, source, shown)
        columns = [str(name) for name in rows.columns]
        columns += [name for name in (fetch.x, fetch.y, fetch.wkt) if name is not None]
        types = frozenset(rows.geometry.geom_type.dropna())
        return Head(tuple(columns), own, types, len(rows))
    head = Head(*read_ogr_head(opened, source, shown))
    # A tag of an OpenStreetMap extract is a column only where it is asked for.
    return head._replace(columns=None) if opened.kind == "osm" else head


def read_titles(path: Path, encoding: str, delimiter: str) -> tuple[str, ...]:
    """Return the titles of a CSV.

    Args:
        path: The file.
        encoding: Text encoding.
        delimiter: Character between the columns.

    Returns:
        The titles, without blanks around them; none for a file that is no text.
    """
    plain = encoding.lower().replace("_", "-") in {"utf-8", "utf8"}
    try:
        with path.open(encoding="utf-8-sig" if plain else encoding, newline="") as file:
            titles = next(csv.reader(file, delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error, LookupError):
        return ()
    return tuple(title.strip() for title in titles)


def _compare(head: Head, source: Source, layer: Layer, shown: str) -> Iterator[PadfinderError]:
    """Yield what a header has otherwise than declared."""
    fetch = source.fetch
    if head.columns is not None:
        places = [name for name in (fetch.x, fetch.y, fetch.wkt) if name is not None]
        try:
            require_columns([*source.list_columns(), *places], head.columns, shown, source.id)
        except SourceChanged as error:
            yield error
    try:
        check_crs(head.crs, fetch.crs, shown, source.id)
    except ContractError as error:
        yield error
    allowed = frozenset[str]().union(*(GEOMETRY_TYPES[kind] for kind in layer.geometry))
    allowed |= {"MultiPoint"} if "point" in layer.geometry else set()
    allowed |= GEOMETRY_TYPES["polygon"] if source.shapes.areas_as else set()
    # A collection may hold any kind of shape.
    if head.types and not head.types & {*allowed, "GeometryCollection"}:
        yield ContractError(
            f"reading {shown} for source {source.id!r}",
            f"its shapes are {' and '.join(sorted(head.types))}, and layer {layer.id!r} takes a "
            f"{' or a '.join(layer.geometry)}",
            f"name another file or layer in sources/{source.id}.toml",
        )
    if head.rows is not None and head.rows < source.expect.rows_min:
        yield SourceChanged(
            f"reading {shown} for source {source.id!r}",
            f"it has {head.rows:,} rows, at least {source.expect.rows_min:,} expected",
            f"look at the data; if they are right, lower expect.rows_min in "
            f"sources/{source.id}.toml",
            fault="shrunk",
        )


def _check_raster(source: Source, path: Path) -> Iterator[PadfinderError]:
    origin = source.columns.get("value")
    band = int(origin.column) if origin is not None and origin.column else 1
    with open_file(path, source, path.name) as opened:
        try:
            with rasterio.open(opened.path) as dataset:
                count, own = dataset.count, dataset.crs
        except RasterioError as error:
            wrong = f"cannot be read: {first_line(error)}"
            raise refuse_file(path.name, source.id, wrong) from error
    if band > count:
        yield refuse_file(path.name, source.id, f"has {count} bands, not {band}")
    try:
        check_crs(own.to_wkt() if own else None, source.fetch.crs, path.name, source.id)
    except ContractError as error:
        yield error


def _check_second_tables(source: Source, layer: Layer, files: Path) -> Iterator[PadfinderError]:
    """Yield the faults of the tables that are joined, or that say where things are."""
    del layer
    if (join := source.join) is not None:
        names = [name for origin in join.columns.values() for name in origin.source_columns]
        yield from _check_titles(
            source, files, (join.path, "join.path"), (join.encoding, join.delimiter),
            [join.key, *names],
        )  # fmt: skip
    if (place := source.place) is not None:
        yield from _check_titles(
            source, files, (place.path, "place.path"), (place.encoding, place.delimiter),
            [place.key, place.x, place.y],
        )  # fmt: skip


def _check_titles(
    source: Source,
    files: Path,
    named: tuple[str, str],
    written: tuple[str, str],
    names: list[str],
) -> Iterator[PadfinderError]:
    try:
        titles = read_titles(find_file(files, named[0], source.id, named[1]), *written)
        require_columns(names, titles, named[0], source.id)
    except PadfinderError as error:
        yield error


def _check_area(source: Source, layer: Layer, files: Path) -> Iterator[PadfinderError]:
    """Yield the faults of the file of the coverage."""
    del layer
    coverage = source.coverage
    if coverage.kind != "file":
        return
    if coverage.path is None:
        yield ConfigError(
            f"reading sources/{source.id}.toml",
            'coverage.kind = "file" has no path',
            "give coverage.path, or another kind",
        )
        return
    path = find_file(files, coverage.path, source.id, "coverage.path")
    area = read_area(path, source, coverage.crs, source.fetch.crs)
    if not pd.Series(area.geometry.geom_type).str.contains("Polygon").any():
        yield ContractError(
            f"finding the coverage of source {source.id!r}",
            f"coverage.path = {coverage.path!r} has no polygon",
            f"name a file of the area in which the layer is complete, in sources/{source.id}.toml",
        )
