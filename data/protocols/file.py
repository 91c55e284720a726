"""Read a file of rows: GeoParquet, GeoJSON, TopoJSON, GeoPackage, zipped shapefile, CSV."""

import json
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
_BLANKS = "\u0020\u00a0\u2007\u2009\u202f\t"


def read(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Read every row of `path` as it stands, in the file's own CRS, with notes on the reading.

    CSV columns are text, and its geometry comes from the columns `x` and `y`. Raises SourceChanged
    for a file that cannot be read whole or lacks a named column, ContractError for another CRS
    than the declared one.
    """
    suffix = path.suffix.lower()
    if suffix in {".csv", ".txt", ".tsv"}:
        frame, notes = _read_csv(path, source)
        own = None
    elif suffix in {".parquet", ".geoparquet"}:
        frame, own, notes = *_read_parquet(path, source), ()
    else:
        frame, own, notes = _read_ogr(path, source)
    declared = same_crs(own, source.fetch.crs, path.name, source.id)
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
    declared = same_crs(own, crs or otherwise, path.name, source.id)
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


def numbers(values: pd.Series, decimal: str = ".") -> pd.Series:
    """Return `values` as float64: what cannot be read is NaN, and so is an infinite number.

    Text may hold blanks or the other mark as thousands separators, and a typographic minus.

    >>> numbers(pd.Series(["-8 445 879,449"]), ",").iloc[0]
    -8445879.449
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        found = values.astype("float64")
    else:
        text = values.astype("str").str.replace(f"[{_BLANKS}]", "", regex=True)
        text = text.str.replace("\u2212", "-")
        thousands = "." if decimal == "," else ","
        text = text.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
        found = pd.to_numeric(text, errors="coerce").astype("float64")
    return found.where(np.isfinite(found))


def want(names: Sequence[str], have: Sequence[str], file: str, source_id: str) -> None:
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
            f"name the file's own columns in data/sources/{source_id}.toml",
        )


def same_crs(own: Any, declared: str, file: str, source_id: str) -> pyproj.CRS:
    """Return the declared CRS, which a file's own must equal; a file with none takes it.

    Axis order and the members of a datum ensemble do not count as a difference. Raises
    ContractError, naming both.
    """
    wanted = pyproj.CRS.from_user_input(declared)
    if own is None:
        return wanted
    found = pyproj.CRS.from_user_input(own)
    if _equal(found, wanted):
        return wanted
    name = found.to_string() if found.to_epsg() else found.name
    raise ContractError(
        f"reading {file} for source {source_id!r}",
        f"wrong CRS: {file} says it is in {name} ({found.name}), data/sources/{source_id}.toml "
        f"declares {declared} ({wanted.name})",
        f"set fetch.crs to {name!r} if the file is right, or mend the file's label if it is not",
    )


def _equal(one: pyproj.CRS, other: pyproj.CRS) -> bool:
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


def _read_csv(path: Path, source: Source) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    fetch = source.fetch
    table = read_table(path, source.id, fetch.encoding, fetch.delimiter)
    x_name, y_name = fetch.x, fetch.y
    if x_name is None or y_name is None:
        raise _unread(path, source.id, "is a CSV, and fetch.x and fetch.y do not name its columns")
    want([x_name, y_name], list(table.columns), path.name, source.id)
    x, y = numbers(table[x_name], fetch.decimal), numbers(table[y_name], fetch.decimal)
    placed = (x.notna() & y.notna()).to_numpy()
    points = np.full(len(table), None, dtype=object)
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
        document = _whole_json(path, source.id)
    if suffix == ".zip":
        _whole_zip(path, source.id)
    place, layer = str(path), source.fetch.member
    if suffix == ".zip":
        place, layer = f"/vsizip/{path}" + (f"/{layer}" if layer else ""), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame, notes = _dataframe(place, layer, path, source.id)
    said = sorted({str(one.message).replace(str(path), path.name) for one in caught})
    frame = _named_geometry(frame)
    own: Any = frame.crs
    if document is not None and "crs" not in document and not _is_degrees(frame):
        # RFC 7946 puts GeoJSON in WGS 84; older files hold projected coordinates and say nothing.
        own = None
    return frame, own, (*notes, *(f"reader: {text}" for text in said))


def _dataframe(
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


def _whole_json(path: Path, source_id: str) -> dict[str, Any]:
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
        f"fetch the file again, or correct [fetch] in data/sources/{source_id}.toml",
    )
