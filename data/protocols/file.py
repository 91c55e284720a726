"""Read a file of rows: GeoParquet, what GDAL reads (also zipped), CSV and XLSX."""

import csv
import json
import re
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from data.crs import check_crs
from data.message_text import count_noun
from data.notes import group_messages
from data.protocols.archive import find_place
from data.protocols.refusal import first_line, refuse_file
from data.protocols.workbook import read_workbook
from data.source import Source
from geo.errors import SourceChanged

# A file of another kind, read as a table, can seem to have thousands of columns with long names.
_MAX_NAMES_SHOWN, _MAX_NAME_LENGTH = 200, 60
TOO_MANY_FIELDS = "has rows with more fields than there are titles, such as a comma at the end"
BLANKS = "\u0020\u00a0\u2007\u2009\u202f\t"


def read_file(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Read every row of `path` unchanged, in the declared CRS, with notes on the reading.

    The columns of a CSV or a workbook are text, and their geometry comes from the columns `x` and
    `y`, or is missing if the source has a place table. Raises SourceChanged for a file that cannot
    be read whole or lacks a named column, and ContractError for a CRS other than the declared one.
    """
    suffix = path.suffix.lower()
    fetch, own = source.fetch, None
    if suffix in {".csv", ".txt", ".tsv"}:
        table = read_table(path, source.id, fetch.encoding, fetch.delimiter)
        frame, notes = _add_points(table, path, source)
    elif suffix in {".xlsx", ".xlsm"}:
        table, sheet_notes = read_workbook(path, source)
        frame, point_notes = _add_points(table, path, source)
        notes = sheet_notes + point_notes
    elif suffix in {".parquet", ".geoparquet"}:
        frame, own, notes = *_read_parquet(path, source), ()
    else:
        frame, own, notes = _read_ogr(path, source)
    declared = check_crs(own, fetch.crs, path.name, source.id)
    return gpd.GeoDataFrame(frame.set_crs(declared, allow_override=True)), notes


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
    fetch = source.fetch.model_copy(update={"path": path.name, "member": None, "crs": default_crs})
    area_source = source.model_copy(update={"fetch": fetch})
    if path.suffix.lower() in {".parquet", ".geoparquet"}:
        frame, own = _read_parquet(path, area_source)
    else:
        frame, own, _ = _read_ogr(path, area_source)
    if crs is None and own is not None:
        return gpd.GeoDataFrame(frame.set_crs(own, allow_override=True))
    declared = check_crs(own, crs or default_crs, path.name, source.id)
    return gpd.GeoDataFrame(frame.set_crs(declared, allow_override=True))


def read_table(path: Path, source_id: str, encoding: str, delimiter: str) -> pd.DataFrame:
    """Read a CSV with every value as text; an empty value is missing.

    Args:
        path: The file.
        source_id: The source, for error messages.
        encoding: Text encoding.
        delimiter: Character between the columns.

    Returns:
        The rows, with blanks around the titles removed.

    Raises:
        SourceChanged: The file is empty, in another encoding, or not a table.
    """
    # utf-8-sig also reads plain UTF-8, and keeps a byte-order mark out of the first column's name.
    codec = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    try:
        _check_first_row(path, source_id, codec, delimiter)
        with warnings.catch_warnings():
            # Otherwise pandas drops fields beyond the last title.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                dtype=str,
                encoding=codec,
                sep=delimiter,
                index_col=False,
                keep_default_na=False,
                na_values=[""],
            ).rename(columns=lambda name: str(name).strip())
    except pd.errors.ParserWarning as error:
        raise refuse_file(path.name, source_id, TOO_MANY_FIELDS) from error
    except UnicodeDecodeError as error:
        raise refuse_file(
            path.name, source_id, f"is not {encoding} text ({error.reason})"
        ) from error
    except pd.errors.EmptyDataError as error:
        raise refuse_file(path.name, source_id, "is empty") from error
    except (pd.errors.ParserError, csv.Error, ValueError, LookupError) as error:
        raise refuse_file(
            path.name, source_id, f"is not a readable CSV ({first_line(error)})"
        ) from error


def _check_first_row(path: Path, source_id: str, codec: str, delimiter: str) -> None:
    """Raise SourceChanged if the first row has more fields than there are titles.

    pandas would shift the titles, or drop the fields; it refuses such a row only further down.
    """
    with path.open(encoding=codec, newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        titles, first = next(rows, []), next(rows, [])
    if len(first) > len(titles):
        raise refuse_file(path.name, source_id, TOO_MANY_FIELDS)


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
    table: pd.DataFrame, path: Path, source: Source
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Return a table of texts with points from its coordinate columns."""
    fetch = source.fetch
    if fetch.wkt is not None:
        return _add_shapes(table, fetch.wkt, path, source)
    points = np.full(len(table), None, dtype=object)
    if fetch.x is None or fetch.y is None:
        if source.place is None:
            wrong = "is a table, and fetch.x and fetch.y, or fetch.wkt, do not name its columns"
            raise refuse_file(path.name, source.id, wrong)
        return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(points, index=table.index)), ()
    require_columns([fetch.x, fetch.y], list(table.columns), path.name, source.id)
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
    table: pd.DataFrame, column: str, path: Path, source: Source
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Return a table of texts with the shapes that one of its columns has as well-known text."""
    require_columns([column], list(table.columns), path.name, source.id)
    # PostGIS writes its code before the text.
    texts = table[column].str.replace(r"^SRID=\d+;\s*", "", regex=True)
    shapes = shapely.from_wkt(texts.where(texts.notna(), None).to_numpy(dtype=object), "ignore")
    unread = int((shapely.is_missing(shapes) & texts.notna().to_numpy()).sum())
    notes = (f"{count_noun(unread, 'row')} with a shape that is not well-known text",)
    rest = table.drop(columns=column)
    frame = gpd.GeoDataFrame(rest, geometry=gpd.GeoSeries(shapes, index=table.index))
    return frame, notes if unread else ()


def _read_parquet(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, Any]:
    try:
        frame = gpd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise refuse_file(
            path.name, source.id, f"is not a whole GeoParquet ({first_line(error)})"
        ) from error
    return _rename_geometry(frame), frame.crs


def _read_ogr(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, Any, tuple[str, ...]]:
    suffix = path.suffix.lower()
    document: dict[str, Any] | None = None
    if suffix in {".geojson", ".json", ".topojson"} or (suffix != ".zip" and _is_json(path)):
        document = _parse_whole_json(path, source.id)
    address, layer = find_place(path, source.fetch.member, source.id)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame, notes = _read_layer(address, layer, path, source.id)
    messages = [str(warning.message).replace(str(path), path.name) for warning in caught]
    frame = _rename_geometry(frame)
    own: Any = frame.crs
    if document is not None and "crs" not in document and not _is_degrees(frame):
        # RFC 7946 puts GeoJSON in WGS 84, but older files hold projected coordinates without a CRS.
        own = None
    said = group_messages(messages, [path.name, *map(str, frame.columns)])
    return frame, own, (*notes, *(f"reader: {text}" for text in said))


def _read_layer(
    address: str, layer: str | None, path: Path, source_id: str
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    try:
        try:
            frame = pyogrio.read_dataframe(address, layer=layer)
        except shapely.errors.GEOSException:
            frame = pyogrio.read_dataframe(address, layer=layer, on_invalid="fix")
            notes = ("some shapes could not be built as written and were closed or dropped",)
    except (DataSourceError, DataLayerError, ValueError) as error:
        wrong = f"cannot be read: {first_line(error).replace(str(path), path.name)}"
        raise refuse_file(path.name, source_id, wrong) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise refuse_file(path.name, source_id, "has no geometry")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise refuse_file(path.name, source_id, f"has two columns called {twice!r}")
    return _keep_digits(frame, address, layer), notes


def _keep_digits(frame: gpd.GeoDataFrame, address: str, layer: str | None) -> gpd.GeoDataFrame:
    """Return whole numbers with all their digits where pandas made them floating-point numbers.

    It does so for a column with a missing value, and then loses the last digits of long ids.
    """
    # Opening some formats reads the whole file, so look first whether any column may be meant.
    if not any(_may_be_whole(frame[name]) for name in frame.columns):
        return frame
    info = pyogrio.read_info(address, layer=layer)
    whole = [
        str(name)
        for name, kind in zip(info["fields"], info["dtypes"], strict=True)
        if str(kind).startswith("int") and frame[name].dtype.kind == "f"
    ]
    if not whole:
        return frame
    _, table = pyogrio.read_arrow(address, layer=layer, columns=whole, read_geometry=False)
    exact = {name: table.column(name).to_pandas(types_mapper=_map_integer) for name in whole}
    return gpd.GeoDataFrame(frame.assign(**exact))


def _may_be_whole(column: pd.Series) -> bool:
    """Return whether a column of numbers has a missing value and otherwise only whole ones."""
    if column.dtype.kind != "f" or not column.isna().any():
        return False
    return bool((column.dropna() % 1 == 0).all())


def _map_integer(kind: Any) -> pd.Int64Dtype | None:
    return pd.Int64Dtype() if str(kind).startswith("int") else None


def _is_json(path: Path) -> bool:
    """Return whether a file, such as a server's answer without a suffix, begins like JSON."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return file.read(100).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def _parse_whole_json(path: Path, source_id: str) -> dict[str, Any]:
    """Parse the whole text, because GDAL may read a truncated file without an error."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        wrong = f"is cut off or not JSON ({first_line(error)}); no row of it was taken"
        raise refuse_file(path.name, source_id, wrong) from error
    if not isinstance(document, dict):
        raise refuse_file(path.name, source_id, "is not a JSON object")
    if _says_there_is_more(document):
        count = len(document.get("features") or [])
        raise SourceChanged(
            f"reading {path.name} for source {source_id!r}",
            f"{path.name} is one page of a server's answer: {count:,} features, and the server "
            "says that there are more (exceededTransferLimit)",
            "fetch every page, or export the whole layer",
        )
    if document.get("type") == "FeatureCollection" and not document.get("features"):
        raise SourceChanged(
            f"reading {path.name} for source {source_id!r}",
            f"{path.name} is an empty layer: 0 features",
            "fetch the file again; if it is right, remove the source from the market",
            fault="shrunk",
        )
    return document


def _says_there_is_more(document: dict[str, Any]) -> bool:
    """Return whether a feature server marked its answer as cut off at its page size."""
    inner = document.get("properties")
    places = [document, inner if isinstance(inner, dict) else {}]
    return any(place.get("exceededTransferLimit") in {True, "true"} for place in places)


def _rename_geometry(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    name = frame.geometry.name
    if name == "geometry":
        return frame
    # An ordinary column named "geometry" would clash with the geometry column.
    return frame.drop(columns="geometry", errors="ignore").rename_geometry("geometry")


def _is_degrees(frame: gpd.GeoDataFrame) -> bool:
    left, bottom, right, top = frame.total_bounds
    if not np.isfinite([left, bottom, right, top]).all():
        return True
    return bool(left >= -181 and right <= 181 and bottom >= -91 and top <= 91)
