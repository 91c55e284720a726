"""Ask an ArcGIS server what a layer is: its columns, its ids, its page size and its CRS."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyproj

from data.ask import ask_json
from data.connection import Connection
from data.protocols.arcgis.address import layer_address
from data.protocols.refusal import join_names
from data.source import Source
from geo.addresses import show_address
from geo.errors import Fault, SourceChanged

# Servers that do not say how many rows an answer may have give at least so many (ArcGIS 10.0).
PAGE_ROWS = 500
# No page is larger, whatever the server promises: some cannot keep it (koopjs/FeatureServer#141).
PAGE_ROWS_MOST = 2_000
OBJECT_ID, GEOMETRY = "esriFieldTypeOID", "esriFieldTypeGeometry"
# Esri's own numbers for the CRS of web maps.
_WEB_MERCATOR = {102100: 3857, 900913: 3857}
_SHAPE_TYPES = {
    "esriGeometryPoint",
    "esriGeometryMultipoint",
    "esriGeometryPolyline",
    "esriGeometryPolygon",
    "esriGeometryEnvelope",
}


class ServerLayer(NamedTuple):
    """What a server says of a layer.

    Attributes:
        address: Its address as declared, with its own parameters, such as a token.
        shown: Its address, for messages.
        title: Its name.
        id_column: The column of object ids.
        page_rows: How many rows a page may have.
        types: Esri's type of each column, apart from the shapes.
        words: For columns of coded values, the word for each code, as text.
        shape_type: Esri's type of its shapes; None for a table.
        reference: The spatial reference of the shapes, as the server writes it.
        edited: When the rows were last edited; empty if the server does not say.
        edit_column: The column with the date of each row's last edit, if there is one.
        formats: The formats of answers, in lower case.
        is_sorted: Whether rows can be asked for in an order.
        is_paged: Whether the number of rows in an answer can be asked for.
        about: Sentences for a reader.
    """

    address: str
    shown: str
    title: str
    id_column: str
    page_rows: int
    types: dict[str, str]
    words: dict[str, dict[str, str]]
    shape_type: str | None
    reference: dict[str, Any]
    edited: str
    edit_column: str | None
    formats: frozenset[str]
    is_sorted: bool
    is_paged: bool
    about: tuple[str, ...]


def read_layer(connection: Connection, source: Source, declared: str) -> ServerLayer:
    """Ask a server what a layer is.

    Args:
        connection: The connection.
        source: The source.
        declared: The layer's address, as declared.

    Returns:
        What the server says.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: The address is not that of a layer of rows with object ids.
        ConfigError: The address has parameters of a query.
    """
    address = layer_address(declared, source)
    info = ask_json(connection, address, {"f": "json"})
    shown = connection.hide(show_address(address))
    fields = _list_fields(info)
    if not fields or not can_query(info):
        raise _refuse_kind(info, shown, source)
    types = {
        str(one["name"]): str(one.get("type")) for one in fields if one.get("type") != GEOMETRY
    }
    id_column = _find_id_column(info, types)
    if id_column is None:
        raise refuse_layer(
            source,
            f"{shown} has no column of object ids, by which its rows could be asked for in parts",
            "export the layer to a file, and declare that with protocol = 'file'",
        )
    shape_type = _find_shape_type(info, shown, source)
    editing, able = _part(info, "editingInfo"), _part(info, "advancedQueryCapabilities")
    edited = editing.get("dataLastEditDate") or editing.get("lastEditDate") or ""
    edit_column = _part(info, "editFieldsInfo").get("editDateField")
    return ServerLayer(
        address=address,
        shown=shown,
        title=str(info.get("name") or ""),
        id_column=id_column,
        page_rows=min(
            _whole(info.get("maxRecordCount")) or PAGE_ROWS,
            PAGE_ROWS_MOST,
            source.fetch.page_rows or PAGE_ROWS_MOST,
        ),
        types=types,
        words=_list_words(info, fields),
        shape_type=shape_type,
        reference=_find_reference(info) if shape_type else {},
        edited=str(edited),
        edit_column=edit_column if edit_column in types else None,
        formats=frozenset(
            name.strip().lower() for name in str(info.get("supportedQueryFormats") or "").split(",")
        ),
        is_sorted=info.get("supportsAdvancedQueries", True) is not False
        and able.get("supportsOrderBy", True) is not False,
        is_paged=able.get("supportsPagination") is True,
        about=_describe(info, edited, connection),
    )


def read_crs(reference: Mapping[str, Any]) -> pyproj.CRS | None:
    """Return the CRS that a server's spatial reference names; None if it is not known.

    Args:
        reference: A number of EPSG or Esri in latestWkid or wkid, or a text in wkt.

    Returns:
        The CRS.

    >>> read_crs({"wkid": 102643, "latestWkid": 2227}).to_epsg()
    2227
    """
    numbers = [_whole(reference.get(key)) for key in ("latestWkid", "wkid")]
    codes = [_WEB_MERCATOR.get(number, number) for number in numbers if number]
    texts = [f"{authority}:{code}" for code in codes for authority in ("EPSG", "ESRI")]
    texts += [str(text) for key in ("latestWkt", "wkt", "wkt2") if (text := reference.get(key))]
    for text in texts:
        try:
            return pyproj.CRS.from_user_input(text)
        except pyproj.exceptions.CRSError:
            continue
    return None


def refuse_layer(
    source: Source, wrong: str, remedy: str, fault: Fault = "changed"
) -> SourceChanged:
    """Return the error for a layer that cannot be pulled as it is declared.

    Args:
        source: The source.
        wrong: What is wrong, with the address of the layer.
        remedy: What to do.
        fault: What it says of the source.

    Returns:
        The error, to be raised.
    """
    return SourceChanged(f"pulling source {source.id!r}", wrong, remedy, fault=fault)


def _list_fields(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    fields = info.get("fields")
    if not isinstance(fields, list):
        return []
    return [one for one in fields if isinstance(one, dict) and one.get("name")]


def _part(info: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = info.get(key)
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    """Return a positive whole number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if number > 0 else None


def can_query(info: Mapping[str, Any]) -> bool:
    """Return whether a service lets its rows be asked for; old servers do not say."""
    is_images = "bandCount" in info or "pixelType" in info
    able = info.get("capabilities")
    return not is_images and (not able or "query" in str(able).lower())


def _refuse_kind(info: Mapping[str, Any], shown: str, source: Source) -> SourceChanged:
    """Return the error for something that is not a layer of rows, which says what it is."""
    held = info.get("subLayers") or []
    held = [*held, *(info.get("layers") or []), *(info.get("tables") or [])]
    layers = [
        f"{one.get('id')} ({one.get('name')})" for one in held if isinstance(one, dict) and held
    ]
    services = [str(one.get("name")) for one in info.get("services") or [] if isinstance(one, dict)]
    remedy = (
        f"give the address of one layer, which ends with its number, as fetch.url in "
        f"sources/{source.id}.toml"
    )
    if "bandCount" in info or "pixelType" in info:
        wrong = "is a service of images, which has no rows"
        remedy = "export it to a GeoTIFF, and declare that with protocol = 'raster'"
    elif not can_query(info):
        wrong = (
            f"gives no rows: it offers {info.get('capabilities')}, and not Query, as a service of "
            "map tiles does"
        )
        remedy = "ask the publisher for the layer with Query, or for a file"
    elif layers:
        wrong = f"is not one layer: it holds the layers {join_names(layers)}"
    elif services:
        wrong = f"is a folder of the services {join_names(services)}"
    else:
        wrong = "does not describe a layer of rows: it names no columns"
    return refuse_layer(source, f"{shown} {wrong}", remedy)


def _find_id_column(info: Mapping[str, Any], types: Mapping[str, str]) -> str | None:
    named = str(info.get("objectIdField")).casefold()
    typed = [name for name in types if name.casefold() == named]
    typed += [name for name, kind in types.items() if kind == OBJECT_ID]
    return typed[0] if typed else None


def _find_shape_type(info: Mapping[str, Any], shown: str, source: Source) -> str | None:
    shape_type = info.get("geometryType")
    if info.get("type") == "Table" or not shape_type or shape_type == "esriGeometryNull":
        return None
    if shape_type not in _SHAPE_TYPES:
        raise refuse_layer(
            source,
            f"{shown} has shapes of the type {shape_type}, which is not read",
            "ask the publisher for points, lines or areas",
        )
    return str(shape_type)


def _find_reference(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spatial reference of answers: that of the map in which the layer is."""
    for place in (_part(info, "extent"), info):
        if reference := _part(place, "spatialReference"):
            return reference
    return _part(info, "sourceSpatialReference")


def _list_words(
    info: Mapping[str, Any], fields: Sequence[dict[str, Any]]
) -> dict[str, dict[str, str]]:
    """Return the words for codes: of a column's own list, of its subtypes, and of types."""
    words = {str(one["name"]): _read_domain(one.get("domain")) for one in fields}
    for kind in info.get("types") or []:
        if not isinstance(kind, dict):
            continue
        for name, domain in _part(kind, "domains").items():
            words[name] = _read_domain(domain) | words.get(name, {})
        if (column := info.get("typeIdField")) in words and "id" in kind:
            words[str(column)].setdefault(str(kind["id"]), str(kind.get("name")))
    return {name: known for name, known in words.items() if known}


def _read_domain(domain: object) -> dict[str, str]:
    coded = domain.get("codedValues") if isinstance(domain, dict) else None
    return {
        str(one["code"]): str(one["name"])
        for one in coded or []
        if isinstance(one, dict) and "code" in one and one.get("name") is not None
    }


def _describe(info: Mapping[str, Any], edited: object, connection: Connection) -> tuple[str, ...]:
    """Return what the server says of the layer, for a reader."""
    said = {
        "title": info.get("name"),
        "description": info.get("description"),
        "copyright": info.get("copyrightText"),
        "rows last edited": _read_moment(edited),
        "coded columns": ", ".join(_list_words(info, _list_fields(info))),
    }
    return tuple(
        f"{key}: {connection.hide(str(text)).strip()[:500]}" for key, text in said.items() if text
    )


def _read_moment(milliseconds: object) -> str:
    number = _whole(milliseconds)
    try:
        moment = dt.datetime.fromtimestamp((number or 0) / 1000, dt.UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if number else ""
