"""Read a file of rows: GeoParquet, what GDAL reads (also zipped), CSV and XLSX."""

import csv
import re
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.crs import check_crs
from data.fetch_options import FetchOptions
from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.archive import Opened, open_file
from data.protocols.bounds import keep_within_bounds
from data.protocols.geoparquet import read_geoparquet
from data.protocols.ogr import name_geometry, read_ogr
from data.protocols.refusal import first_line, refuse_file
from data.protocols.shards import join_frames, name_apart
from data.protocols.workbook import read_workbook
from data.source import Source
from geo.errors import SourceChanged

# A file of another kind, read as a table, can seem to have thousands of columns with long names.
_MAX_NAMES_SHOWN, _MAX_NAME_LENGTH = 200, 60
# Well-known binary begins with its byte order, 0 or 1.
_HEX_SHAPE = re.compile(r"0[01](?:[0-9A-Fa-f]{2}){8,}")
# A shape as text may be longer than the usual limit of 131,072 letters.
CELL_LENGTH = 1_000_000_000
TOO_MANY_FIELDS = "has rows with more fields than there are titles, such as a comma at the end"
BLANKS = "\u0020\u00a0\u2007\u2009\u202f\t"


def read_file(
    path: Path, source: Source, shown: str | None = None
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Read the rows of `path` unchanged, in the declared CRS, with notes on the reading.

    The columns of a CSV or a workbook are text, and their geometry comes from the columns `x` and
    `y`, or is missing if the source has a place table. Of other files only the columns that the
    source names are read, where the format allows it.

    Args:
        path: The file.
        source: The source that names it.
        shown: The file's name in messages, if it is not its own.

    Returns:
        The rows, and notes.

    Raises:
        SourceChanged: The file cannot be read whole, or lacks a named column.
        ContractError: It is in another CRS than the declared one.
    """
    shown = shown or path.name
    with open_file(path, source, shown) as opened:
        frame, own, notes = _read_opened(opened, source, shown, source.list_columns())
    declared = check_crs(own, source.fetch.crs, shown, source.id)
    frame = gpd.GeoDataFrame(frame.set_crs(declared, allow_override=True))
    frame, more_notes = keep_within_bounds(frame, source, shown)
    return frame, notes + more_notes


def read_undeclared(
    path: Path, source: Source, shown: str
) -> tuple[gpd.GeoDataFrame, Any, tuple[str, ...]]:
    """Read all columns of a file whose CRS nobody has declared yet.

    Args:
        path: The file.
        source: A source that says how to open it; its CRS and columns do not count.
        shown: The file's name in messages.

    Returns:
        The rows, the file's own CRS or None, and notes.

    Raises:
        SourceChanged: The file cannot be read whole.
    """
    with open_file(path, source, shown) as opened:
        return _read_opened(opened, source, shown, ())


def read_files(paths: Sequence[Path], source: Source) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Read the files that a source names, one after another, as `read_file` reads each.

    Args:
        paths: The files, in the order of their rows.
        source: The source.

    Returns:
        The rows of all of them, and notes.

    Raises:
        SourceChanged: A file cannot be read whole, or lacks a column that the source names.
        ContractError: A file is in another CRS than the declared one.
    """
    if len(paths) == 1:
        return read_file(paths[0], source)
    names = name_apart(paths)
    frames = []
    notes: list[str] = [RoutineNote(f"{len(paths)} files of {source.fetch.path} read as one")]
    of_files: dict[str, list[str]] = {}
    for path, name in zip(paths, names, strict=True):
        frame, more_notes = read_file(path, source, name)
        file_columns = [str(column) for column in frame.columns]
        require_columns(source.list_columns(), file_columns, name, source.id)
        frames.append(frame)
        for note in more_notes:
            of_files.setdefault(note, []).append(name)
    for note, of in of_files.items():
        where = of[0] if len(of) == 1 else f"each of {len(of)} files"
        notes.append(type(note)(f"{where}: {note}"))
    return join_frames(frames, source.list_columns()), tuple(notes)


def _read_opened(
    opened: Opened, source: Source, shown: str, columns: tuple[str, ...]
) -> tuple[gpd.GeoDataFrame, Any, tuple[str, ...]]:
    """Return the rows of a plain file, its own CRS or None, and notes."""
    fetch, own = source.fetch, None
    if fetch.tags and opened.kind != "osm":
        wrong = "is not an OpenStreetMap extract, for which alone fetch.tags are"
        raise refuse_file(shown, source.id, wrong, "delete fetch.tags")
    if opened.kind == "csv":
        table = read_table(
            opened.path, source.id, fetch.encoding or "utf-8", fetch.delimiter, shown
        )
        frame, notes = _add_points(table, shown, source)
    elif opened.kind == "xlsx":
        table, sheet_notes = read_workbook(opened.path, source, opened.member, shown)
        frame, point_notes = _add_points(table, shown, source)
        notes = sheet_notes + point_notes
    elif opened.kind == "geoparquet":
        frame, own, notes = read_geoparquet(opened.path, source, shown, columns)
        frame = name_geometry(frame)
    else:
        frame, own, notes = read_ogr(opened, source, shown, columns)
    return frame, own, notes


def read_area(path: Path, source: Source, crs: str | None, default_crs: str) -> gpd.GeoDataFrame:
    """Read the polygons of a coverage file.

    Args:
        path: The file.
        source: The source whose coverage it is.
        crs: CRS that is declared for the file, if any; the file's own CRS must equal it.
        default_crs: CRS of a file that has none and for which none is declared.

    Returns:
        The polygons in the declared CRS, else the file's own, else the default.

    Raises:
        SourceChanged: The file cannot be read whole.
        ContractError: The file's own CRS is not the declared one.
    """
    fetch = FetchOptions(protocol="file", path=path.name, crs=default_crs)
    area_source = source.model_copy(update={"fetch": fetch})
    with open_file(path, area_source, path.name) as opened:
        frame, own, _ = _read_opened(opened, area_source, path.name, ())
    if crs is None and own is not None:
        return gpd.GeoDataFrame(frame.set_crs(own, allow_override=True))
    declared = check_crs(own, crs or default_crs, path.name, source.id)
    return gpd.GeoDataFrame(frame.set_crs(declared, allow_override=True))


def read_table(
    path: Path, source_id: str, encoding: str, delimiter: str, shown: str | None = None
) -> pd.DataFrame:
    """Read a CSV with every value as text; an empty value is missing.

    Args:
        path: The file.
        source_id: The source, for error messages.
        encoding: Text encoding.
        delimiter: Character between the columns.
        shown: The file's name in messages, if it is not its own.

    Returns:
        The rows, with blanks around the titles removed.

    Raises:
        SourceChanged: The file is empty, in another encoding, or not a table.
    """
    shown = shown or path.name
    # utf-8-sig also reads plain UTF-8, and keeps a byte-order mark out of the first column's name.
    codec = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    try:
        _check_first_row(path, shown, source_id, codec, delimiter)
        with warnings.catch_warnings():
            # Otherwise pandas drops fields beyond the last title.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                compression=None,
                dtype=str,
                encoding=codec,
                sep=delimiter,
                index_col=False,
                keep_default_na=False,
                na_values=[""],
            ).rename(columns=lambda name: str(name).strip())
    except pd.errors.ParserWarning as error:
        raise refuse_file(shown, source_id, TOO_MANY_FIELDS) from error
    except UnicodeDecodeError as error:
        raise refuse_file(shown, source_id, f"is not {encoding} text ({error.reason})") from error
    except pd.errors.EmptyDataError as error:
        raise refuse_file(shown, source_id, "is empty") from error
    except (pd.errors.ParserError, csv.Error, ValueError, LookupError) as error:
        raise refuse_file(
            shown, source_id, f"is not a readable CSV ({first_line(error)})"
        ) from error


def _check_first_row(path: Path, shown: str, source_id: str, codec: str, delimiter: str) -> None:
    """Raise SourceChanged if a title is there twice, or the first row has more fields than titles.

    pandas would shift the titles, or drop the fields; it refuses such a row only further down.
    """
    csv.field_size_limit(CELL_LENGTH)
    with path.open(encoding=codec, newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        titles, first = next(rows, []), next(rows, [])
    if len(first) > len(titles):
        raise refuse_file(shown, source_id, TOO_MANY_FIELDS)
    named = [title.strip() for title in titles if title.strip()]
    if len(set(named)) < len(named):
        twice = next(title for title in named if named.count(title) > 1)
        raise refuse_file(shown, source_id, f"has two columns titled {twice!r}")


def parse_numbers(values: pd.Series, decimal: str = ".") -> pd.Series:
    """Return `values` as float64; unreadable text and infinite numbers become NaN.

    Text may contain a typographic minus sign, and blanks or the mark that is not the decimal mark
    as thousands separators.

    >>> parse_numbers(pd.Series(["-8 445 879,449"]), ",").tolist()
    [-8445879.449]
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.astype("float64")
    else:
        texts = values.astype("str").str.replace(f"[{BLANKS}]", "", regex=True)
        texts = texts.str.replace("\u2212", "-")
        thousands = "." if decimal == "," else ","
        # A thousands separator stands before three digits: "5,5" is not 55.
        separator = rf"(?<=\d){re.escape(thousands)}(?=\d{{3}}(?!\d))"
        texts = texts.str.replace(separator, "", regex=True).str.replace(decimal, ".", regex=False)
        numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def require_columns(
    names: Sequence[str], file_columns: Sequence[str], file: str, source_id: str
) -> None:
    """Check that a file has columns.

    Args:
        names: The columns that it must have.
        file_columns: The columns that it has.
        file: Its name, for the message.
        source_id: The source that names the columns.

    Raises:
        SourceChanged: A column is missing. The message gives the most similar names in the file.
    """
    missing = []
    shown = [str(column)[:_MAX_NAME_LENGTH] for column in file_columns[:_MAX_NAMES_SHOWN]]
    for name in dict.fromkeys(names):
        if name in file_columns:
            continue
        near = get_close_matches(name, shown, n=3, cutoff=0.5)
        hint = f" (nearest: {', '.join(map(repr, near))})" if near else f" (it has {shown})"
        missing.append(f"no column {name!r}{hint}")
    if missing:
        raise SourceChanged(
            f"reading {file} for source {source_id!r}",
            "; ".join(missing),
            f"name the file's own columns in sources/{source_id}.toml",
        )


def _add_points(
    table: pd.DataFrame, shown: str, source: Source
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Return a table of texts with points from its coordinate columns."""
    fetch = source.fetch
    if fetch.wkt is not None:
        return _add_shapes(table, fetch.wkt, shown, source)
    points = np.full(len(table), None, dtype=object)
    if fetch.x is None or fetch.y is None:
        if source.place is None:
            wrong = "is a table, and fetch.x and fetch.y, or fetch.wkt, do not name its columns"
            raise refuse_file(shown, source.id, wrong)
        return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(points, index=table.index)), ()
    require_columns([fetch.x, fetch.y], list(table.columns), shown, source.id)
    x = parse_numbers(table[fetch.x], fetch.decimal)
    y = parse_numbers(table[fetch.y], fetch.decimal)
    has_point = (x.notna() & y.notna()).to_numpy()
    points[has_point] = shapely.points(x.to_numpy()[has_point], y.to_numpy()[has_point])
    has_text = (table[fetch.x].notna() | table[fetch.y].notna()).to_numpy()
    unread = int((~has_point & has_text).sum())
    notes = (f"{count_noun(unread, 'row')} with a coordinate that is not a number",)
    frame = gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(points, index=table.index))
    return frame, notes if unread else ()


def _add_shapes(
    table: pd.DataFrame, column: str, shown: str, source: Source
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Return a table of texts with the shapes that one of its columns has as text.

    The text is well-known text, or well-known binary in hexadecimal digits, as databases write it.
    """
    require_columns([column], list(table.columns), shown, source.id)
    # PostGIS writes its code before the text.
    texts = table[column].str.replace(r"^SRID=\d+;\s*", "", regex=True)
    texts = texts.where(texts.notna(), None)
    is_binary = texts.str.fullmatch(_HEX_SHAPE).fillna(False).to_numpy(dtype=bool)
    plain = texts.to_numpy(dtype=object, copy=True)
    shapes = np.full(len(plain), None, dtype=object)
    shapes[is_binary] = shapely.from_wkb(plain[is_binary], "ignore")
    shapes[~is_binary] = shapely.from_wkt(plain[~is_binary], "ignore")
    unread = int((shapely.is_missing(shapes) & texts.notna().to_numpy()).sum())
    notes = (f"{count_noun(unread, 'row')} with a shape that is not well-known text",)
    rest = table.drop(columns=column)
    frame = gpd.GeoDataFrame(rest, geometry=gpd.GeoSeries(shapes, index=table.index))
    return frame, notes if unread else ()
