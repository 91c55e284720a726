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

from data.source import Source
from geo.errors import ContractError, SourceChanged

NAMES_SHOWN, NAME_SHOWN = 200, 60
BLANKS = "\u0020\u00a0\u2007\u2009\u202f\t"


def read_file(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Read every row of `path` as it stands, in the file's own CRS, with notes on the reading.

    The columns of a CSV or a workbook are text, and their geometry comes from the columns `x` and
    `y`, or is missing where the source has a place table. Raises SourceChanged for a file that
    cannot be read whole or lacks a named column, ContractError for another CRS than the declared.
    """
    suffix = path.suffix.lower()
    fetch, own = source.fetch, None
    if suffix in {".csv", ".txt", ".tsv"}:
        table = read_table(path, source.id, fetch.encoding, fetch.delimiter)
        frame, notes = _add_points(table, path, source)
    elif suffix in {".xlsx", ".xlsm"}:
        table, blank = read_workbook(path, source)
        frame, notes = _add_points(table, path, source)
        notes = blank + notes
    elif suffix in {".parquet", ".geoparquet"}:
        frame, own, notes = *_read_parquet(path, source), ()
    else:
        frame, own, notes = _read_ogr(path, source)
    declared = check_crs(own, fetch.crs, path.name, source.id)
    return gpd.GeoDataFrame(frame.set_crs(declared, allow_override=True)), notes


def read_area(path: Path, source: Source, crs: str | None, otherwise: str) -> gpd.GeoDataFrame:
    """Read polygons in the declared `crs`; without one, in the file's own, or else `otherwise`."""
    fetch = source.fetch.model_copy(update={"path": path.name, "member": None, "crs": otherwise})
    beside = source.model_copy(update={"fetch": fetch})
    if path.suffix.lower() in {".parquet", ".geoparquet"}:
        frame, own = _read_parquet(path, beside)
    else:
        frame, own, _ = _read_ogr(path, beside)
    if crs is None and own is not None:
        return gpd.GeoDataFrame(frame.set_crs(own, allow_override=True))
    declared = check_crs(own, crs or otherwise, path.name, source.id)
    return gpd.GeoDataFrame(frame.set_crs(declared, allow_override=True))


def read_table(path: Path, source_id: str, encoding: str, delimiter: str) -> pd.DataFrame:
    """Read a CSV with every value as text; an empty value is missing. Raises SourceChanged."""
    # utf-8-sig reads plain UTF-8 too, and keeps a byte-order mark out of the first column's name.
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
    """Read a sheet with every value as text, as `read_table` does, and how many rows are blank.

    A date becomes 2020-12-16; a number has the source's decimal mark. Columns without a title are
    left out where they are empty, else called "Unnamed: 3"; a title's second column is "Title.1".
    Raises SourceChanged.
    """
    fetch = source.fetch
    try:
        with warnings.catch_warnings():
            # openpyxl says which of a workbook's looks it does not know; we read none of them.
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
    table = sheet.map(_cell_text, decimal=fetch.decimal).astype("str")
    table.columns = pd.Index([" ".join(str(name).split()) for name in sheet.columns])
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise _unread(path, source.id, f"has two columns titled {twice!r} but for their blanks")
    untitled = table.columns.str.startswith("Unnamed: ")
    table = table.loc[:, ~(untitled & table.isna().all().to_numpy())]
    blank = table.isna().all(axis=1)
    notes = (f"{int(blank.sum())} blank rows of the sheet",) if blank.any() else ()
    return table[~blank].reset_index(drop=True), notes


def _cell_text(value: Any, *, decimal: str) -> str | None:
    """Return a workbook's cell as text; None for an empty one or a formula's error."""
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, float):
        return None if np.isnan(value) else f"{value:.15g}".replace(".", decimal)
    return str(value) if value is not None and str(value).strip() else None


def parse_numbers(values: pd.Series, decimal: str = ".") -> pd.Series:
    """Return `values` as float64: what cannot be read is NaN, and so is an infinite number.

    Text may hold blanks or the other mark as thousands separators, and a typographic minus.

    >>> numbers(pd.Series(["-8 445 879,449"]), ",").iloc[0]
    -8445879.449
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        found = values.astype("float64")
    else:
        text = values.astype("str").str.replace(f"[{BLANKS}]", "", regex=True)
        text = text.str.replace("\u2212", "-")
        thousands = "." if decimal == "," else ","
        # A mark of thousands stands before three digits: "5,5" is no 55.
        mark = rf"(?<=\d){re.escape(thousands)}(?=\d{{3}}(?!\d))"
        text = text.str.replace(mark, "", regex=True).str.replace(decimal, ".", regex=False)
        found = pd.to_numeric(text, errors="coerce").astype("float64")
    return found.where(np.isfinite(found))


def require_columns(names: Sequence[str], have: Sequence[str], file: str, source_id: str) -> None:
    """Raise SourceChanged for every one of `names` that the file lacks, with the nearest names."""
    faults = []
    # Another kind of file read as a table can have thousands of "columns".
    some = [str(one)[:NAME_SHOWN] for one in have[:NAMES_SHOWN]]
    for name in dict.fromkeys(names):
        if name in have:
            continue
        near = get_close_matches(name, some, n=3, cutoff=0.5)
        hint = f" (nearest: {', '.join(map(repr, near))})" if near else f" (it has {some})"
        faults.append(f"no column {name!r}{hint}")
    if faults:
        raise SourceChanged(
            f"reading {file} for source {source_id!r}",
            "; ".join(faults),
            f"name the file's own columns in sources/{source_id}.toml",
        )


def check_crs(own: Any, declared: str, file: str, source_id: str) -> pyproj.CRS:
    """Return the declared CRS, which a file's own must equal; a file with none takes it.

    Axis order and the members of a datum ensemble do not count as a difference. Raises
    ContractError, naming both.
    """
    wanted = pyproj.CRS.from_user_input(declared)
    if own is None:
        return wanted
    found = pyproj.CRS.from_user_input(own)
    if _is_same_crs(found, wanted):
        return wanted
    name = found.to_string() if found.to_epsg() else found.name
    raise ContractError(
        f"reading {file} for source {source_id!r}",
        f"wrong CRS: {file} says it is in {name} ({found.name}), sources/{source_id}.toml "
        f"declares {declared} ({wanted.name})",
        f"set fetch.crs to {name!r} if the file is right, or mend the file's label if it is not",
    )


def _is_same_crs(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    if one.equals(other, ignore_axis_order=True):
        return True
    if one.to_epsg() is not None and one.to_epsg() == other.to_epsg():
        return True
    if one.to_epsg() is not None and other.to_epsg() is not None:
        return False
    with warnings.catch_warnings():
        # PROJ strings lose the datum's name, which is just what is wanted of a label without code.
        warnings.simplefilter("ignore", UserWarning)
        return bool(one.to_dict()) and one.to_dict() == other.to_dict()


def _add_points(
    table: pd.DataFrame, path: Path, source: Source
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Return a table of texts with points from its coordinate columns."""
    fetch = source.fetch
    points = np.full(len(table), None, dtype=object)
    x_name, y_name = fetch.x, fetch.y
    if x_name is None or y_name is None:
        if source.place is None:
            wrong = "is a table, and fetch.x and fetch.y do not name its columns"
            raise _unread(path, source.id, wrong)
        return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(points, index=table.index)), ()
    require_columns([x_name, y_name], list(table.columns), path.name, source.id)
    x, y = parse_numbers(table[x_name], fetch.decimal), parse_numbers(table[y_name], fetch.decimal)
    placed = (x.notna() & y.notna()).to_numpy()
    points[placed] = shapely.points(x.to_numpy()[placed], y.to_numpy()[placed])
    unread = int((~placed & (table[x_name].notna() | table[y_name].notna()).to_numpy()).sum())
    notes = (f"{unread} rows with a coordinate that is not a number",) if unread else ()
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(points, index=table.index)), notes


def _read_parquet(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, Any]:
    try:
        frame = gpd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise _unread(path, source.id, f"is not a whole GeoParquet ({_line(error)})") from error
    return _named_geometry(frame), frame.crs


def _read_ogr(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, Any, tuple[str, ...]]:
    suffix = path.suffix.lower()
    document: dict[str, Any] | None = None
    if suffix in {".geojson", ".json", ".topojson"}:
        document = _parse_whole_json(path, source.id)
    if suffix == ".zip":
        _whole_zip(path, source.id)
    place, layer = str(path), source.fetch.member
    if suffix == ".zip":
        place, layer = f"/vsizip/{path}" + (f"/{layer}" if layer else ""), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame, notes = _read_layer(place, layer, path, source.id)
    said = sorted({str(one.message).replace(str(path), path.name) for one in caught})
    frame = _named_geometry(frame)
    own: Any = frame.crs
    if document is not None and "crs" not in document and not _is_degrees(frame):
        # RFC 7946 puts GeoJSON in WGS 84; older files hold projected coordinates and say nothing.
        own = None
    return frame, own, (*notes, *(f"reader: {text}" for text in said))


def _read_layer(
    place: str, layer: str | None, path: Path, source_id: str
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    try:
        try:
            frame = pyogrio.read_dataframe(place, layer=layer)
        except shapely.errors.GEOSException:
            frame = pyogrio.read_dataframe(place, layer=layer, on_invalid="fix")
            notes = ("some shapes could not be built as written and were closed or dropped",)
    except (DataSourceError, DataLayerError, ValueError) as error:
        wrong = f"cannot be read: {_line(error).replace(str(path), path.name)}"
        raise _unread(path, source_id, wrong) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise _unread(path, source_id, "has no geometry")
    return frame, notes


def _parse_whole_json(path: Path, source_id: str) -> dict[str, Any]:
    """Parse the whole text first: GDAL may take a cut-off file for the rows before the cut."""
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
            "fetch the file again; if it is right, take the source out of the market",
        )
    return document


def _whole_zip(path: Path, source_id: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise _unread(path, source_id, f"is not a whole zip ({_line(error)})") from error
    if bad is not None:
        raise _unread(path, source_id, f"is not a whole zip ({bad} is damaged)")


def _named_geometry(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    name = frame.geometry.name
    if name == "geometry":
        return frame
    # A plain column of that name would clash with the geometry's.
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
