"""Look at a dataset that nobody has declared yet: read its rows, and how it must be opened."""

import datetime as dt
import difflib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from data.connection import open_connection
from data.guess.address import guess_address
from data.guess.lines import Line
from data.guess.place import name_crs
from data.guess.table import are_degrees, guess_coordinates, guess_dialect, guess_shape_column
from data.http import download_file, name_answer
from data.protocols.archive import open_file
from data.protocols.file import read_table, read_undeclared
from data.protocols.formats import JSON_FORMATS, TITLES, Format, format_of_suffix
from data.protocols.servers import PROTOCOLS
from data.protocols.workbook import read_workbook
from data.source import Source
from geo.addresses import show_address
from geo.errors import ConfigError, PadfinderError

# So many of a server's first rows are looked at.
ROWS_LOOKED_AT = 2000
_YEAR = re.compile(r"(?<!\d)(?:FY)?((?:19|20)\d\d)(?!\d)|FY(\d\d)(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a person says that a dataset is.

    Attributes:
        text: A file or an address; `#layer` at its end names a layer, sheet or file inside it.
        option: The option of the command line that gives it, for messages.
        crs: The CRS that the person gives; None: the dataset's own.
    """

    text: str
    option: str
    crs: str | None = None


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


def look_at(place: Place, today: dt.date, name_path: Callable[[Path], str]) -> Dataset:
    """Read a dataset that nobody has declared yet.

    Args:
        place: Where it is.
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
        if "://" not in place.text:
            return _look_at_file(place, name_path)
        asked = guess_address(place.text)
        if asked.wrong:
            raise wrong_option(place, f"{show_address(place.text)} {asked.wrong}")
        if asked.protocol == "file":
            return _look_at_download(place, today)
        return _look_at_server(place, asked.protocol, asked.url, asked.member, today)
    except PadfinderError as error:
        raise _name_option(error, place) from error


def look_at_table(
    place: Place, name_path: Callable[[Path], str]
) -> tuple[pd.DataFrame, str, tuple[Line, ...]]:
    """Read a second table, which has no places of its own.

    Args:
        place: Where it is.
        name_path: Returns a file's path as a source declares it.

    Returns:
        Its rows as text, its path as declared, and the lines that say how it is read.

    Raises:
        ConfigError: There is no such file, or it is an address.
        SourceChanged: It is no table in text.
    """
    try:
        if "://" in place.text:
            wrong = f"{show_address(place.text)} is an address, and a second table must be a file"
            raise wrong_option(place, wrong, "download it")
        path, _ = find_file(place)
        with open_file(
            path, describe_source("csv_table", {"path": path.name}), path.name
        ) as opened:
            if opened.kind != "csv" or opened.path != path:
                what = TITLES[opened.kind] if opened.kind and opened.kind != "csv" else "packed"
                wrong = f"{path.name} is {what}, and a second table must be a plain CSV"
                raise wrong_option(place, wrong, "save it as a CSV")
        dialect = guess_dialect(path)
        table = read_table(path, "table", dialect.encoding, dialect.delimiter)
    except PadfinderError as error:
        raise _name_option(error, place) from error
    lines = [Line("path", name_path(path))]
    lines += _dialect_lines(dialect.encoding, dialect.delimiter)
    return table, name_path(path), tuple(lines)


# ---------------------------------------------------------------------------------------------
# Files


def _look_at_file(place: Place, name_path: Callable[[Path], str]) -> Dataset:
    path, member = find_file(place)
    opening = _Opening()
    opening.add("path", name_path(path))
    modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()
    vintage = guess_vintage(path.name, modified, "the day on which the file was last changed")
    return _read(path, path.name, member, opening, place, vintage)


def _look_at_download(place: Place, today: dt.date) -> Dataset:
    address, _, member = place.text.partition("#")
    opening = _Opening()
    opening.add("url", address)
    with tempfile.TemporaryDirectory(prefix="padfinder-") as folder:
        path = Path(folder) / "answer"
        answer = download_file([address], path, source_id="new")
        path = path.rename(path.with_name(name_answer(answer)))
        vintage = guess_vintage(path.name, today, "the day on which it was downloaded")
        return _read(path, path.name, member or None, opening, place, vintage)


def find_file(place: Place) -> tuple[Path, str | None]:
    """Return the file that a person names, and the part of it after a #."""
    path = Path(place.text).expanduser().absolute()
    member = None
    if not path.exists() and "#" in place.text:
        text, _, member = place.text.rpartition("#")
        path = Path(text).expanduser().absolute()
    if path.is_file() or path.suffix.lower() == ".gdb":
        return path, member
    if path.is_dir():
        raise wrong_option(place, f"{path} is a folder", "name a file in it")
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise wrong_option(place, f"there is no file {path}{hint}", "name a file that is there")


def _read(
    path: Path, name: str, member: str | None, opening: _Opening, place: Place, vintage: Line
) -> Dataset:
    """Read a file, after finding out how it must be opened."""
    if member is not None:
        opening.add("member", member)
    source = describe_source("new", opening.options | _location(opening, name))
    with ExitStack() as stack:
        opened = stack.enter_context(open_file(path, source, name))
        kind = _describe_kind(opened.kind, name)
        if opened.kind == "csv":
            _guess_reading(opened.path, opening, place)
        elif opened.kind == "xlsx":
            _guess_sheet_reading(opened.path, name, opening, place)
    source = describe_source("new", opening.options | _location(opening, name))
    rows, own, _ = read_undeclared(path, source, name)
    crs = _decide_crs(rows, own, opening, place)
    frame = gpd.GeoDataFrame(rows.set_crs(crs, allow_override=True))
    if frame.empty:
        raise wrong_option(place, f"{name} has no rows", "name a file with data")
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


def _guess_reading(path: Path, opening: _Opening, place: Place) -> None:
    """Find out how a CSV is written, and where its places are."""
    dialect = guess_dialect(path)
    for line in _dialect_lines(dialect.encoding, dialect.delimiter):
        opening.add(line.key, line.value, line.why)
    if dialect.decimal != ".":
        opening.add("decimal", dialect.decimal, "its numbers are written so")
    table = read_table(path, "new", dialect.encoding, dialect.delimiter, path.name)
    _guess_places(table, dialect.decimal, opening, place)


def _guess_sheet_reading(path: Path, name: str, opening: _Opening, place: Place) -> None:
    """Find where the places of a workbook's sheet are."""
    source = describe_source("new", opening.options | _location(opening, name))
    table, _ = read_workbook(path, source, source.fetch.member, name)
    _guess_places(table, ".", opening, place)


def _guess_places(table: pd.DataFrame, decimal: str, opening: _Opening, place: Place) -> None:
    if (shape := guess_shape_column(table)) is not None:
        opening.add("wkt", shape, "its values are shapes in well-known text or binary")
    elif (found := guess_coordinates(table, decimal)) is not None:
        opening.add("x", found[0], "by its name and numbers")
        opening.add("y", found[1], "by its name and numbers")
    else:
        listed = ", ".join(map(str, table.columns[:20]))
        raise wrong_option(
            place,
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


def _decide_crs(rows: gpd.GeoDataFrame, own: Any, opening: _Opening, place: Place) -> str:
    """Return the CRS that a person gives, the file's own, or degrees. Raises ConfigError."""
    if place.crs is not None:
        opening.add("crs", place.crs, "as given by --crs")
        return place.crs
    if own is not None:
        crs = name_crs(own)
        opening.add("crs", crs)
        return crs
    bounds = rows.total_bounds
    if not np.isfinite(bounds).all():
        opening.add("crs", "EPSG:4326", "no row has a place")
        return "EPSG:4326"
    if are_degrees(tuple(bounds)):
        why = "the file names no CRS, and its coordinates can be degrees"
        opening.add("crs", "EPSG:4326", why)
        return "EPSG:4326"
    x, y = bounds[0], bounds[1]
    raise wrong_option(
        place,
        f"the file does not say in which CRS its coordinates are, such as ({x:.0f}, {y:.0f})",
        "ask its publisher, or look on the page where you found it, and give it as --crs "
        "EPSG:2249, for example",
    )


# ---------------------------------------------------------------------------------------------
# Servers


def _look_at_server(
    place: Place, protocol: str, url: str, member: str | None, today: dt.date
) -> Dataset:
    """Ask a server for the first rows of a layer."""
    options: dict[str, Any] = {"protocol": protocol, "url": url}
    options |= {"member": member} if member else {}
    if protocol not in PROTOCOLS:
        raise wrong_option(
            place,
            f"{show_address(url)} is asked by protocol {protocol!r}, which is not built yet",
            "download the layer and name the file",
        )
    source = describe_source("new", options)
    with open_connection("new", redirect_hosts=(), headers={}) as connection:
        preview = PROTOCOLS[protocol].preview(connection, source, ROWS_LOOKED_AT)
    if preview.rows.empty:
        raise wrong_option(place, f"{show_address(url)} has no rows", "name another layer")
    opening = _Opening()
    opening.add("url", url)
    if member:
        opening.add("member", member)
    rows = preview.rows
    crs = _decide_crs(rows, rows.crs, opening, place)
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


def _fetch_lines(protocol: str, opening: _Opening) -> Iterator[Line]:
    """Yield the lines of `[fetch]` in the order in which the built-in sources have them."""
    yield Line("protocol", protocol)
    order = ("path", "url", "member", "crs", "x", "y", "wkt", "encoding", "delimiter", "decimal")
    for key in order:
        if key in opening.options:
            yield Line(key, opening.options[key], opening.why.get(key, ""))


def describe_source(source_id: str, options: dict[str, Any]) -> Source:
    """Return a source that only says how its data are opened."""
    return Source.model_validate(
        {
            "id": source_id,
            "layer": "parcels",
            "title": "",
            "publisher": "",
            "licence": "",
            "attribution": "",
            "redistribute": False,
            "vintage": dt.date(2000, 1, 1),
            "fetch": {"protocol": "file", "crs": "EPSG:4326"} | options,
            "coverage": {"kind": "none"},
        }
    )


def guess_vintage(name: str, otherwise: dt.date, why: str) -> Line:
    """Return the line of the date of the data: the year in the file's name, else another date.

    Args:
        name: The file's name.
        otherwise: The other date.
        why: What that date is.

    Returns:
        The line.
    """
    if (found := _YEAR.search(name)) is not None:
        year = int(found[1] or f"20{found[2]}")
        return Line("vintage", dt.date(year, 1, 1), f"only the year, from the file's name {name}")
    return Line("vintage", otherwise, f"{why}; write the date of the data themselves")


def wrong_option(place: Place, wrong: str, remedy: str = "correct the option") -> ConfigError:
    """Return the error for an option that names what cannot be used.

    Args:
        place: What the option names.
        wrong: What is wrong with it.
        remedy: What to do.

    Returns:
        The error, to be raised.
    """
    return ConfigError(f"reading {place.option}", wrong, remedy)


def _name_option(error: PadfinderError, place: Place) -> PadfinderError:
    """Return an error that speaks of the option instead of a declaration not yet written."""
    remedy = re.sub(r", or correct \[fetch\] in sources/\w+\.toml", "", error.remedy)
    after_mark = f"name one of them after a #, as in {place.option} FILE#NAME"
    remedy = remedy.replace("name one of them in fetch.member", after_mark)
    remedy = re.sub(r", and correct fetch\.url in sources/\w+\.toml if it has moved", "", remedy)
    remedy = re.sub(r"; the last good snapshot stays in use", "", remedy)
    doing = re.sub(r" for source '\w+'|source '\w+'", "", error.doing).strip()
    doing = doing if place.option in doing else f"reading {place.option}: {doing}"
    return type(error)(doing, error.wrong, remedy, fault=error.fault)
