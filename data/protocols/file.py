"""Read a file of rows: GeoParquet, GeoJSON, TopoJSON, GeoPackage, zipped shapefile, CSV, XLSX."""

import datetime as dt
import json
import re
import warnings
import zipfile
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from data.message_text import count_noun
from data.source import Source
from geo.errors import ContractError, SourceChanged

# A file of another kind, read as a table, can seem to have thousands of columns with long names.
_MAX_NAMES_SHOWN, _MAX_NAME_LENGTH = 200, 60
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
        return pd.read_csv(
            path,
            dtype=str,
            encoding=codec,
            sep=delimiter,
            keep_default_na=False,
            na_values=[""],
        ).rename(columns=lambda name: str(name).strip())
    except UnicodeDecodeError as error:
        raise _unread(path, source_id, f"is not {encoding} text ({error.reason})") from error
    except pd.errors.EmptyDataError as error:
        raise _unread(path, source_id, "is empty") from error
    except (pd.errors.ParserError, ValueError, LookupError) as error:
        raise _unread(path, source_id, f"is not a readable CSV ({_line(error)})") from error


def read_workbook(path: Path, source: Source) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a sheet with every value as text, as `read_table` does, with a note on blank rows.

    Dates are written like 2020-12-16, and numbers with the source's decimal mark. A column without
    a title is left out if it is empty, and otherwise named like "Unnamed: 3"; the second column
    with the same title is named "Title.1". Raises SourceChanged.
    """
    fetch = source.fetch
    try:
        with warnings.catch_warnings():
            # openpyxl warns about formatting that it does not know, which does not matter here.
            warnings.simplefilter("ignore", UserWarning)
            sheet = pd.read_excel(
                path,
                sheet_name=0 if fetch.member is None else fetch.member,
                header=fetch.header_row - 1,
                dtype=object,
                na_filter=False,
                engine="openpyxl",
            )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        wrong = f"cannot be read as a workbook: {_line(error)}"
        raise _unread(path, source.id, wrong) from error
    table = sheet.map(_format_cell, decimal=fetch.decimal).astype("str")
    table.columns = pd.Index([" ".join(str(name).split()) for name in sheet.columns])
    if not table.columns.is_unique:
        title = table.columns[table.columns.duplicated()][0]
        raise _unread(path, source.id, f"has two columns titled {title!r}, apart from blanks")
    is_untitled = table.columns.str.startswith("Unnamed: ")
    table = table.loc[:, ~(is_untitled & table.isna().all().to_numpy())]
    is_blank = table.isna().all(axis=1)
    notes = (f"{count_noun(int(is_blank.sum()), 'blank row')} in the sheet",)
    return table[~is_blank].reset_index(drop=True), notes if is_blank.any() else ()


def _format_cell(value: Any, *, decimal: str) -> str | None:
    """Return a workbook's cell as text; None for an empty one or a formula's error.

    >>> _format_cell(3.75, decimal=","), _format_cell(dt.datetime(2020, 12, 16), decimal=".")
    ('3,75', '2020-12-16')
    """
    if isinstance(value, dt.datetime):
        is_midnight = value.time() == dt.time()
        return value.date().isoformat() if is_midnight else value.isoformat(sep=" ")
    if isinstance(value, float):
        return None if np.isnan(value) else f"{value:.15g}".replace(".", decimal)
    return str(value) if value is not None and str(value).strip() else None


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


def check_crs(own_crs: Any, declared_crs: str, file: str, source_id: str) -> pyproj.CRS:
    """Check that a file's own CRS is the declared one; a file without a CRS takes the declared one.

    Axis order and the members of a datum ensemble do not count as a difference.

    Args:
        own_crs: The file's own CRS, in any form that pyproj reads; None where it has none.
        declared_crs: The CRS that the source declares.
        file: Name of the file, for the message.
        source_id: The source.

    Returns:
        The declared CRS.

    Raises:
        ContractError: The two differ.
    """
    declared = pyproj.CRS.from_user_input(declared_crs)
    if own_crs is None:
        return declared
    own = pyproj.CRS.from_user_input(own_crs)
    if _is_same_crs(own, declared):
        return declared
    name = own.to_string() if own.to_epsg() else own.name
    raise ContractError(
        f"reading {file} for source {source_id!r}",
        f"wrong CRS: {file} says it is in {name} ({own.name}), sources/{source_id}.toml "
        f"declares {declared_crs} ({declared.name})",
        f"set fetch.crs to {name!r} if the file is right, or correct the file's label if it is not",
    )


def _is_same_crs(first: pyproj.CRS, second: pyproj.CRS) -> bool:
    if first.equals(second, ignore_axis_order=True):
        return True
    if first.to_epsg() is not None and first.to_epsg() == second.to_epsg():
        return True
    if first.to_epsg() is not None and second.to_epsg() is not None:
        return False
    with warnings.catch_warnings():
        # pyproj warns that PROJ strings lose the name of the datum. A CRS without an EPSG code has
        # to be compared without that name.
        warnings.simplefilter("ignore", UserWarning)
        return bool(first.to_dict()) and first.to_dict() == second.to_dict()


def _add_points(
    table: pd.DataFrame, path: Path, source: Source
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Return a table of texts with points from its coordinate columns."""
    fetch = source.fetch
    points = np.full(len(table), None, dtype=object)
    if fetch.x is None or fetch.y is None:
        if source.place is None:
            wrong = "is a table, and fetch.x and fetch.y do not name its columns"
            raise _unread(path, source.id, wrong)
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


def _read_parquet(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, Any]:
    try:
        frame = gpd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise _unread(path, source.id, f"is not a whole GeoParquet ({_line(error)})") from error
    return _rename_geometry(frame), frame.crs


def _read_ogr(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, Any, tuple[str, ...]]:
    suffix = path.suffix.lower()
    document: dict[str, Any] | None = None
    if suffix in {".geojson", ".json", ".topojson"}:
        document = _parse_whole_json(path, source.id)
    address, layer = str(path), source.fetch.member
    if suffix == ".zip":
        _check_whole_zip(path, source.id)
        address, layer = f"/vsizip/{path}" + (f"/{layer}" if layer else ""), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame, notes = _read_layer(address, layer, path, source.id)
    reader_warnings = sorted(
        {str(warning.message).replace(str(path), path.name) for warning in caught}
    )
    frame = _rename_geometry(frame)
    own: Any = frame.crs
    if document is not None and "crs" not in document and not _is_degrees(frame):
        # RFC 7946 puts GeoJSON in WGS 84, but older files hold projected coordinates without a CRS.
        own = None
    return frame, own, (*notes, *(f"reader: {text}" for text in reader_warnings))


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
        wrong = f"cannot be read: {_line(error).replace(str(path), path.name)}"
        raise _unread(path, source_id, wrong) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise _unread(path, source_id, "has no geometry")
    return frame, notes


def _parse_whole_json(path: Path, source_id: str) -> dict[str, Any]:
    """Parse the whole text, because GDAL may read a truncated file without an error."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        wrong = f"is cut off or not JSON ({_line(error)}); no row of it was taken"
        raise _unread(path, source_id, wrong) from error
    if not isinstance(document, dict):
        raise _unread(path, source_id, "is not a JSON object")
    if document.get("type") == "FeatureCollection" and not document.get("features"):
        raise SourceChanged(
            f"reading {path.name} for source {source_id!r}",
            f"{path.name} is an empty layer: 0 features",
            "fetch the file again; if it is right, remove the source from the market",
        )
    return document


def _check_whole_zip(path: Path, source_id: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise _unread(path, source_id, f"is not a whole zip ({_line(error)})") from error
    if bad is not None:
        raise _unread(path, source_id, f"is not a whole zip ({bad} is damaged)")


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


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _unread(path: Path, source_id: str, wrong: str) -> SourceChanged:
    return SourceChanged(
        f"reading {path.name} for source {source_id!r}",
        f"{path.name} {wrong}",
        f"fetch the file again, or correct [fetch] in sources/{source_id}.toml",
    )
