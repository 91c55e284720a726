"""Read a layer of a file that GDAL reads: shapefile, geodatabase, GeoJSON, KML and others."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

from data.notes import group_messages
from data.protocols.archive import Opened
from data.protocols.bounds import bounds_in_crs
from data.protocols.formats import GDAL_SUFFIXES, JSON_FORMATS, Format
from data.protocols.osm import osm_options, select_by_tags
from data.protocols.refusal import first_line, join_names, refuse_file
from data.protocols.shapefile import Encoding, check_whole_shapefile, find_encoding
from data.protocols.whole_text import (
    check_whole_lines,
    check_whole_xml,
    json_kind,
    parse_whole_json,
)
from data.schema import LEFT_OUT, name_left_out
from data.source import Source

_XML_FORMATS: tuple[Format, ...] = ("kml", "gml", "gpx")
# Of these, GDAL reads some columns without reading the others, and lists them without reading rows.
_BY_COLUMN: tuple[Format, ...] = ("shapefile", "geopackage", "flatgeobuf", "file_geodatabase")
_GDAL_OPTIONS = {
    # Otherwise a column ID of a KML would be taken for the attribute of that name.
    "LIBKML_ID_FIELD": "placemark_id",
    # Otherwise a GML could make GDAL open an address.
    "GML_DOWNLOAD_SCHEMA": False,
}
_ERRORS = (DataSourceError, DataLayerError, FeatureError, FieldError, ValueError, RuntimeError)


def read_ogr(
    opened: Opened, source: Source, shown: str, columns: tuple[str, ...]
) -> tuple[gpd.GeoDataFrame, Any, tuple[str, ...]]:
    """Read a layer of a file.

    Args:
        opened: The plain file.
        source: The source that names it.
        shown: The name of the file in messages.
        columns: The columns to read, where the format allows it; all of them if it is empty or the
            file lacks one.

    Returns:
        The rows with their shapes in `geometry`, the file's own CRS or None, and notes.

    Raises:
        SourceChanged: The file cannot be read whole, has several layers of which none is named, no
            shapes, or two columns of one name.
    """
    document = _check_whole(opened, source, shown)
    opened = _name_by_kind(opened, document)
    address, layer = _find_layer(opened, source, shown)
    options = _layer_options(opened, source, columns, address, layer, shown)
    encoding = Encoding(None)
    if opened.kind == "shapefile":
        encoding = find_encoding(opened.path, source, shown)
        options |= {} if encoding.name is None else {"encoding": encoding.name}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame, notes = _read_layer(address, layer, options, source, shown)
    notes += encoding.notes
    if "columns" in options:
        types = dict(_list_fields(address, layer, opened, source, shown))
        frame.attrs[LEFT_OUT] = name_left_out(types, frame.columns)
    if document is not None and json_kind(document) == "topojson":
        frame = _restore_id(frame)
    if opened.kind == "osm":
        frame = select_by_tags(frame, source, shown)
    messages = [_reword(warning.message, opened.path, shown) for warning in caught]
    frame = name_geometry(frame)
    own: Any = frame.crs
    if document is not None and "crs" not in document and not _is_degrees(frame):
        # RFC 7946 puts GeoJSON in WGS 84, but older files hold projected coordinates without a CRS.
        own = None
    said = group_messages(messages, [shown, *map(str, frame.columns)])
    return frame, own, (*notes, *(f"reader: {text}" for text in said))


def read_ogr_head(
    opened: Opened, source: Source, shown: str
) -> tuple[tuple[str, ...], Any, frozenset[str], int | None]:
    """Read the header of a layer of a file that is not JSON.

    Args:
        opened: The plain file.
        source: The source that names it.
        shown: The name of the file in messages.

    Returns:
        Its columns, its own CRS or None, the types of its shapes if it names them, and the number
        of its rows if it says so.

    Raises:
        SourceChanged: The file cannot be opened, or has several layers of which none is named.
    """
    address, layer = _find_layer(_name_by_kind(opened, None), source, shown)
    try:
        info = pyogrio.read_info(address, layer=layer)
    except _ERRORS as error:
        wrong = f"cannot be read: {_reword(first_line(error), opened.path, shown)}"
        raise refuse_file(shown, source.id, wrong) from error
    words = str(info["geometry_type"] or "").split()
    types = frozenset(word for word in words if word not in {"Unknown", "2.5D", "3D", "Z", "M"})
    count = int(info["features"])
    names = tuple(str(name) for name in info["fields"])
    return names, info["crs"], types, count if count >= 0 else None


def name_geometry(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the frame with its shapes in the column `geometry`."""
    name = frame.geometry.name
    if name == "geometry":
        return frame
    # An ordinary column named "geometry" would clash with the geometry column.
    return frame.drop(columns="geometry", errors="ignore").rename_geometry("geometry")


def _check_whole(opened: Opened, source: Source, shown: str) -> dict[str, Any] | None:
    """Check that a file is whole where GDAL does not; return the document of a JSON file."""
    path, kind = opened.path, opened.kind
    if kind == "geojson_lines":
        check_whole_lines(path, source.id, shown)
    elif kind in JSON_FORMATS:
        return parse_whole_json(path, source.id, shown, source.fetch.format)
    elif kind in _XML_FORMATS or (kind == "osm" and _is_xml(path)):
        check_whole_xml(path, source.id, shown)
    elif kind == "shapefile":
        check_whole_shapefile(path, source.id, shown)
    elif kind == "geopackage":
        _check_whole_database(path, source.id, shown)
    return None


def _name_by_kind(opened: Opened, document: dict[str, Any] | None) -> Opened:
    """Return the file under a suffix of its kind, by which GDAL chooses what reads it."""
    if opened.kind not in GDAL_SUFFIXES:
        return opened
    kind = json_kind(document) or "geojson" if document is not None else opened.kind
    suffix = ".osm" if kind == "osm" and _is_xml(opened.path) else GDAL_SUFFIXES[kind]
    # GDAL writes files beside a GML, and reads those that it finds there.
    if opened.path.suffix == suffix and kind != "gml":
        return opened
    link = opened.scratch / f"{opened.path.stem or 'rows'}{suffix}"
    link.symlink_to(opened.path.absolute())
    return opened._replace(path=link)


def _is_xml(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(100).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def _check_whole_database(path: Path, source_id: str, shown: str) -> None:
    """Raise SourceChanged if a GeoPackage is shorter than it says: GDAL reads its first rows."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as con:
            (pages,) = con.execute("pragma page_count").fetchone()
            (page_bytes,) = con.execute("pragma page_size").fetchone()
            con.execute("select count(*) from gpkg_contents")
    except sqlite3.Error as error:
        raise refuse_file(shown, source_id, f"cannot be read: {first_line(error)}") from error
    if path.stat().st_size < pages * page_bytes:
        wrong = f"cannot be read: it is cut off, {pages * page_bytes:,} bytes long as it says"
        raise refuse_file(shown, source_id, wrong)


def _find_layer(opened: Opened, source: Source, shown: str) -> tuple[str, str | None]:
    """Return GDAL's address of a file, and the layer that is named or the only one."""
    address, layer = str(opened.path), opened.member
    if opened.kind == "geojson_lines":
        # The prefix keeps GDAL from taking the first line for the whole file.
        address = f"GeoJSONSeq:{address}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyogrio.set_gdal_config_options(_GDAL_OPTIONS)
            layers = [str(name) for name in pyogrio.list_layers(address)[:, 0]]
    except _ERRORS as error:
        wrong = f"cannot be read: {_reword(first_line(error), opened.path, shown)}"
        raise refuse_file(shown, source.id, wrong) from error
    if layer is None and opened.kind == "gpx":
        layers = [name for name in layers if name in {"waypoints", "routes", "tracks"}]
    if layer is not None and layer not in layers:
        wrong = f"has no layer {layer!r}, only {join_names(layers)}"
        raise refuse_file(shown, source.id, wrong, "name one of them in fetch.member")
    if layer is None and len(layers) > 1:
        wrong = f"has {len(layers)} layers: {join_names(layers)}"
        raise refuse_file(shown, source.id, wrong, "name one of them in fetch.member")
    if not layers:
        raise refuse_file(shown, source.id, "is empty: it has no layer")
    return address, layer


def _layer_options(
    opened: Opened,
    source: Source,
    columns: tuple[str, ...],
    address: str,
    layer: str | None,
    shown: str,
) -> dict[str, Any]:
    """Return what GDAL is asked of a layer: some columns, the rows within the bounds, the tags."""
    options: dict[str, Any] = {}
    if opened.kind == "osm":
        options |= osm_options(source, layer, columns, opened.scratch)
    if source.fetch.bounds is not None:
        options["bbox"] = bounds_in_crs(source.fetch.bounds, source.fetch.crs)
    if opened.kind in _BY_COLUMN:
        fields = [name for name, _ in _list_fields(address, layer, opened, source, shown)]
        if len(set(fields)) < len(fields):
            twice = next(name for name in fields if fields.count(name) > 1)
            raise refuse_file(shown, source.id, f"has two columns called {twice!r}")
        if columns and set(columns) <= set(fields):
            options["columns"] = list(columns)
    return options


def _list_fields(
    address: str, layer: str | None, opened: Opened, source: Source, shown: str
) -> list[tuple[str, str]]:
    """Return the name and the type of each column."""
    try:
        info = pyogrio.read_info(address, layer=layer)
        return [
            (str(name), str(kind))
            for name, kind in zip(info["fields"], info["dtypes"], strict=True)
        ]
    except _ERRORS as error:
        wrong = f"cannot be read: {_reword(first_line(error), opened.path, shown)}"
        raise refuse_file(shown, source.id, wrong) from error


def _read_layer(
    address: str, layer: str | None, options: dict[str, Any], source: Source, shown: str
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    try:
        try:
            frame = pyogrio.read_dataframe(address, layer=layer, **options)
        except shapely.errors.GEOSException:
            frame = pyogrio.read_dataframe(address, layer=layer, on_invalid="fix", **options)
            notes = ("some shapes could not be built as written and were closed or dropped",)
    except _ERRORS as error:
        path = Path(address.removeprefix("GeoJSONSeq:"))
        wrong = f"cannot be read: {_reword(first_line(error), path, shown)}"
        raise refuse_file(shown, source.id, wrong) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise refuse_file(shown, source.id, "has no geometry")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise refuse_file(shown, source.id, f"has two columns called {twice!r}")
    return _keep_digits(frame, address, layer, options), notes


def _restore_id(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a TopoJSON's property ID, whose values GDAL puts into a column of its own, id."""
    for name in frame.columns:
        if "id" in frame and name != "id" and name.lower() == "id" and frame[name].isna().all():
            return gpd.GeoDataFrame(frame.assign(**{name: frame["id"]}).drop(columns="id"))
    return frame


def _keep_digits(
    frame: gpd.GeoDataFrame, address: str, layer: str | None, options: dict[str, Any]
) -> gpd.GeoDataFrame:
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
        if str(kind).startswith("int") and name in frame and frame[name].dtype.kind == "f"
    ]
    if not whole:
        return frame
    again = options | {"columns": whole}
    _, table = pyogrio.read_arrow(address, layer=layer, read_geometry=False, **again)
    exact = {name: table.column(name).to_pandas(types_mapper=_map_integer) for name in whole}
    return gpd.GeoDataFrame(frame.assign(**exact))


def _may_be_whole(column: pd.Series) -> bool:
    """Return whether a column of numbers has a missing value and otherwise only whole ones."""
    if column.dtype.kind != "f" or not column.isna().any():
        return False
    return bool((column.dropna() % 1 == 0).all())


def _map_integer(kind: Any) -> pd.Int64Dtype | None:
    return pd.Int64Dtype() if str(kind).startswith("int") else None


def _reword(text: object, path: Path, shown: str) -> str:
    """Return GDAL's text with the file's name instead of the place where it was unpacked."""
    # After a semicolon GDAL guesses what to do, for a programmer.
    return str(text).replace(str(path), shown).split("; ")[0]


def _is_degrees(frame: gpd.GeoDataFrame) -> bool:
    left, bottom, right, top = frame.total_bounds
    if not np.isfinite([left, bottom, right, top]).all():
        return True
    return bool(left >= -181 and right <= 181 and bottom >= -91 and top <= 91)
