"""Look at a dataset that nobody has declared yet: read its rows, and how it must be opened."""

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj

from data.connection import open_connection
from data.given import (
    Given,
    describe_source,
    find_file,
    guess_vintage,
    name_option,
    wrong_option,
)
from data.guess.address import AddressGuess, guess_address
from data.guess.lines import Line
from data.guess.place import name_crs
from data.guess.table import are_degrees, guess_coordinates, guess_dialect, guess_shape_column
from data.http import download_file, name_answer
from data.protocols.archive import open_file
from data.protocols.file import read_table, read_undeclared
from data.protocols.formats import JSON_FORMATS, TITLES, Format, format_of_suffix
from data.protocols.servers import PROTOCOLS
from data.protocols.workbook import read_workbook
from geo.addresses import show_address
from geo.errors import PadfinderError

_FETCH_ORDER = (
    "path", "url", "member", "crs", "market_bounds", "x", "y", "wkt", "encoding", "delimiter",
    "decimal",
)  # fmt: skip
# So many of a server's first rows are looked at.
ROWS_LOOKED_AT = 2000


@dataclass(frozen=True)
class Dataset:
    """A dataset as it was found.

    Attributes:
        name: Its name, for titles and messages.
        rows: Its rows, in `crs`; the first of them only, if `is_whole` is false.
        crs: Its CRS, as a source declares it.
        row_count: How many rows it has; None if its server does not say.
        is_whole: Whether all rows are here.
        fetch: The lines that say how it is read, as in `[fetch]`.
        vintage: The date of the data, with the reason.
        kind: What it is, in words.
        says: What its server says of it.
    """

    name: str
    rows: gpd.GeoDataFrame
    crs: str
    row_count: int | None
    is_whole: bool
    fetch: tuple[Line, ...]
    vintage: Line
    kind: str
    says: tuple[str, ...] = ()

    @property
    def columns(self) -> pd.DataFrame:
        """The rows without their shapes."""
        return pd.DataFrame(self.rows.drop(columns=self.rows.geometry.name))


@dataclass
class _Opening:
    """How a file is opened, as far as it is known: options of `[fetch]`, and their reasons."""

    options: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, value: Any, why: str = "") -> None:
        self.options[key] = value
        self.why[key] = why


def look_at(given: Given, today: dt.date, name_path: Callable[[Path], str]) -> Dataset:
    """Read a dataset that nobody has declared yet.

    Args:
        given: Where it is.
        today: The date of what is downloaded.
        name_path: Returns a file's path as a source declares it.

    Returns:
        The dataset.

    Raises:
        ConfigError: There is no such file, or its CRS is not known.
        SourceChanged: It cannot be read, or is no data.
        SourceDown: Its server does not answer.
    """
    try:
        if "://" not in given.text:
            return _look_at_file(given, name_path)
        address, _, member = given.text.partition("#")
        asked = guess_address(address)
        if asked.wrong:
            raise wrong_option(given, f"{show_address(given.text)} {asked.wrong}")
        if asked.protocol == "file":
            return _look_at_download(given, today)
        return _look_at_server(given, asked._replace(member=member or asked.member), today)
    except PadfinderError as error:
        raise name_option(error, given) from error
    except OSError as error:
        raise wrong_option(given, f"it cannot be read: {error.strerror}") from error


def look_at_table(
    given: Given, name_path: Callable[[Path], str]
) -> tuple[pd.DataFrame, str, tuple[Line, ...]]:
    """Read a second table, which has no places of its own.

    Args:
        given: Where it is.
        name_path: Returns a file's path as a source declares it.

    Returns:
        Its rows as text, its path as declared, and the lines that say how it is read.

    Raises:
        ConfigError: There is no such file, or it is an address.
        SourceChanged: It is no table in text.
    """
    try:
        if "://" in given.text:
            wrong = f"{show_address(given.text)} is an address, and a second table must be a file"
            raise wrong_option(given, wrong, "download it")
        path, _ = find_file(given)
        with open_file(
            path, describe_source("csv_table", {"path": path.name}), path.name
        ) as opened:
            if opened.kind != "csv" or opened.path != path:
                what = TITLES[opened.kind] if opened.kind and opened.kind != "csv" else "packed"
                wrong = f"{path.name} is {what}, and a second table must be a plain CSV"
                raise wrong_option(given, wrong, "save it as a CSV")
        dialect = guess_dialect(path)
        table = read_table(path, "table", dialect.encoding, dialect.delimiter)
    except PadfinderError as error:
        raise name_option(error, given) from error
    except OSError as error:
        raise wrong_option(given, f"it cannot be read: {error.strerror}") from error
    lines = [Line("path", name_path(path))]
    lines += _dialect_lines(dialect.encoding, dialect.delimiter)
    return table, name_path(path), tuple(lines)


# ---------------------------------------------------------------------------------------------
# Files


def _look_at_file(given: Given, name_path: Callable[[Path], str]) -> Dataset:
    path, member = find_file(given)
    opening = _Opening()
    opening.add("path", name_path(path))
    modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()
    vintage = guess_vintage(path.name, modified, "the day on which the file was last changed")
    return _read(path, path.name, member, opening, given, vintage)


def _look_at_download(given: Given, today: dt.date) -> Dataset:
    address, _, member = given.text.partition("#")
    opening = _Opening()
    opening.add("url", address, _warn_of_key(address))
    with tempfile.TemporaryDirectory(prefix="padfinder-") as folder:
        path = Path(folder) / "answer"
        answer = download_file([address], path, source_id="new")
        path = path.rename(path.with_name(name_answer(answer)))
        vintage = guess_vintage(path.name, today, "the day on which it was downloaded")
        return _read(path, path.name, member or None, opening, given, vintage)


def _read(
    path: Path, name: str, member: str | None, opening: _Opening, given: Given, vintage: Line
) -> Dataset:
    """Read a file, after finding out how it must be opened."""
    if member is not None:
        opening.add("member", member)
    source = describe_source("new", opening.options | _location(opening, name))
    with ExitStack() as stack:
        opened = stack.enter_context(open_file(path, source, name))
        kind = _describe_kind(opened.kind, name)
        if opened.kind == "csv":
            _guess_reading(opened.path, opening, given)
        elif opened.kind == "xlsx":
            _guess_sheet_reading(opened.path, name, opening, given)
    source = describe_source("new", opening.options | _location(opening, name))
    rows, own, _ = read_undeclared(path, source, name)
    crs = _decide_crs(rows, own, opening, given)
    frame = gpd.GeoDataFrame(rows.set_crs(crs, allow_override=True))
    if frame.empty:
        raise wrong_option(given, f"{name} has no rows", "name a file with data")
    return Dataset(
        name=name,
        rows=frame,
        crs=crs,
        row_count=len(frame),
        is_whole=True,
        fetch=tuple(_fetch_lines("file", opening)),
        vintage=vintage,
        kind=kind,
    )


def _describe_kind(kind: Format | None, name: str) -> str:
    """Return what a file is, in words; the first bytes of several kinds of JSON are the same."""
    named = format_of_suffix(name)
    kind = named if kind in JSON_FORMATS and named in JSON_FORMATS else kind
    return TITLES[kind] if kind else "a table"


def _location(opening: _Opening, name: str) -> dict[str, Any]:
    return {} if "url" in opening.options else {"path": name}


def _guess_reading(path: Path, opening: _Opening, given: Given) -> None:
    """Find out how a CSV is written, and where its places are."""
    dialect = guess_dialect(path)
    for line in _dialect_lines(dialect.encoding, dialect.delimiter):
        opening.add(line.key, line.value, line.why)
    if dialect.decimal != ".":
        opening.add("decimal", dialect.decimal, "its numbers are written so")
    table = read_table(path, "new", dialect.encoding, dialect.delimiter, path.name)
    _guess_places(table, dialect.decimal, opening, given)


def _guess_sheet_reading(path: Path, name: str, opening: _Opening, given: Given) -> None:
    """Find where the places of a workbook's sheet are."""
    source = describe_source("new", opening.options | _location(opening, name))
    table, _ = read_workbook(path, source, source.fetch.member, name)
    _guess_places(table, ".", opening, given)


def _guess_places(table: pd.DataFrame, decimal: str, opening: _Opening, given: Given) -> None:
    if (shape := guess_shape_column(table)) is not None:
        opening.add("wkt", shape, "its values are shapes in well-known text or binary")
    elif (found := guess_coordinates(table, decimal)) is not None:
        opening.add("x", found[0], "by its name and numbers")
        opening.add("y", found[1], "by its name and numbers")
    else:
        listed = ", ".join(map(str, table.columns[:20]))
        raise wrong_option(
            given,
            f"it is a table without coordinates or shapes; its columns are {listed}",
            "name a file of shapes; a table that belongs to the parcels is given in "
            "--parcels-table",
        )


def _dialect_lines(encoding: str, delimiter: str) -> Iterator[Line]:
    if encoding != "utf-8":
        why = "it is not UTF-8; look whether letters with accents are right"
        yield Line("encoding", encoding, why)
    if delimiter != ",":
        yield Line("delimiter", delimiter, "the mark between its titles")


def _decide_crs(rows: gpd.GeoDataFrame, own: Any, opening: _Opening, given: Given) -> str:
    """Return the file's own CRS, that of degrees, or the one that a person gives.

    Raises ConfigError if nothing says it.
    """
    if own is not None:
        crs = name_crs(own)
        opening.add("crs", crs)
        return crs
    bounds = rows.total_bounds
    if not np.isfinite(bounds).all():
        opening.add("crs", "EPSG:4326", "no row has a place")
        return "EPSG:4326"
    is_projected = given.crs is not None and not pyproj.CRS(given.crs).is_geographic
    if are_degrees(tuple(bounds)) and (given.crs is None or is_projected):
        why = "the file names no CRS, and its coordinates can be degrees"
        opening.add("crs", "EPSG:4326", why)
        return "EPSG:4326"
    if given.crs is not None:
        opening.add("crs", given.crs, "as given by --crs")
        return given.crs
    x, y = bounds[0], bounds[1]
    raise wrong_option(
        given,
        f"the file does not say in which CRS its coordinates are, such as ({x:.0f}, {y:.0f})",
        "ask its publisher, or look on the page where you found it, and give it as --crs "
        "EPSG:2249, for example",
    )


# ---------------------------------------------------------------------------------------------
# Servers


def _look_at_server(given: Given, asked: AddressGuess, today: dt.date) -> Dataset:
    """Ask a server for the first rows of a layer."""
    protocol, url, member = asked.protocol, asked.url, asked.member
    options: dict[str, Any] = {"protocol": protocol, "url": url}
    options |= {"member": member} if member else {}
    options |= {"bounds": given.bounds} if given.bounds else {}
    # Some servers give their rows in any CRS that they are asked for.
    options |= {"crs": given.crs} if given.crs else {}
    if protocol not in PROTOCOLS:
        raise wrong_option(
            given,
            f"{show_address(url)} is asked by protocol {protocol!r}, which is not built yet",
            "download the layer and name the file",
        )
    source = describe_source("new", options)
    with open_connection("new", redirect_hosts=(), headers={}) as connection:
        preview = PROTOCOLS[protocol].preview(connection, source, ROWS_LOOKED_AT)
    if preview.rows.empty:
        raise wrong_option(given, f"{show_address(url)} has no rows", "name another layer")
    opening = _Opening()
    opening.add("url", url, _warn_of_key(url))
    if member:
        opening.add("member", member)
    if given.bounds is not None:
        opening.add("market_bounds", True, "the server is asked for the market alone")
    rows = preview.rows
    crs = _decide_crs(rows, rows.crs, opening, given)
    count = preview.row_count
    return Dataset(
        name=show_address(url),
        rows=gpd.GeoDataFrame(rows.set_crs(crs, allow_override=True)),
        crs=crs,
        row_count=count,
        is_whole=count is not None and count <= len(rows),
        fetch=tuple(_fetch_lines(protocol, opening)),
        vintage=Line("vintage", today, "the day on which the server was asked"),
        kind=f"a layer of a server ({protocol})",
        says=preview.says,
    )


# ---------------------------------------------------------------------------------------------
# Shared


def _warn_of_key(address: str) -> str:
    """Return what to do about an address that may hold a key; "" if it holds none."""
    if show_address(address) == address or "${" in address:
        return ""
    return "if it holds a key, write ${NAME} instead, and set NAME in the environment"


def _fetch_lines(protocol: str, opening: _Opening) -> Iterator[Line]:
    """Yield the lines of `[fetch]` in the order in which the built-in sources have them."""
    yield Line("protocol", protocol)
    for key in _FETCH_ORDER:
        if key in opening.options:
            yield Line(key, opening.options[key], opening.why.get(key, ""))
