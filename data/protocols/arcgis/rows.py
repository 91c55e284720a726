"""Make a table of the rows of an answer, with the types that the layer declares."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from data.protocols.arcgis.layer import refuse_layer
from data.protocols.arcgis.query import Query, read_ids, refuse_repeat
from data.protocols.arcgis.shapes import build_shapes
from data.protocols.parts import GEOMETRY
from data.source import Source
from geo.errors import SourceChanged

_WHOLE, _DECIMAL, _TEXT = "a whole number", "a number", "text"
_KINDS = {
    "esriFieldTypeOID": _WHOLE,
    "esriFieldTypeSmallInteger": _WHOLE,
    "esriFieldTypeInteger": _WHOLE,
    "esriFieldTypeBigInteger": _WHOLE,
    # Milliseconds since 1970, which the declaration reads with date_format = "epoch_ms".
    "esriFieldTypeDate": _WHOLE,
    "esriFieldTypeSingle": _DECIMAL,
    "esriFieldTypeDouble": _DECIMAL,
}
_TYPES = {_WHOLE: pa.int64(), _DECIMAL: pa.float64(), _TEXT: pa.string()}
_DATE = "esriFieldTypeDate"
# How servers before 10.1 write a date.
_OLD_DATE = "%m/%d/%Y %I:%M:%S %p"
_NO_NUMBER = frozenset({"nan", "infinity", "-infinity", "inf", "-inf", ""})


class Page(NamedTuple):
    """The rows of one answer.

    Attributes:
        table: The rows in the order of their ids: the object ids, the columns, and `geometry` as
            well-known binary.
        ids: Their object ids.
        is_cut: Whether the server says that there are more rows than it gave.
        is_sorted: Whether the rows came in the order of their ids.
        reference: The spatial reference of the shapes, as the server writes it.
        notes: How often something was left out or replaced.
    """

    table: pa.Table
    ids: np.ndarray
    is_cut: bool
    is_sorted: bool
    reference: dict[str, Any]
    notes: Counter[str]


def list_types(query: Query) -> pa.Schema:
    """Return the columns of a query's rows and their types, as the layer declares them."""
    kinds = {name: _kind(query.layer.types[name]) for name in query.columns}
    kinds |= dict.fromkeys(query.words, _TEXT)
    return pa.schema(
        [
            pa.field(query.layer.id_column, pa.int64()),
            *(pa.field(name, _TYPES[kinds[name]]) for name in query.columns),
            pa.field(GEOMETRY, pa.binary()),
        ]
    )


def read_page(
    answer: dict[str, Any],
    query: Query,
    source: Source,
    shapes: tuple[np.ndarray, Counter[str]] | None = None,
) -> Page:
    """Make a table of the rows of an answer.

    Args:
        answer: The answer to a query of rows.
        query: What was asked.
        source: The source, for messages.
        shapes: The shape of each row, and how often something was left out, if they are not in the
            answer itself.

    Returns:
        The rows.

    Raises:
        SourceChanged: It is not an answer to that query: it has no rows, lacks a column, has one of
            another type, or gives an object id twice.
    """
    layer = query.layer
    features = answer.get("features")
    if not isinstance(features, list):
        raise refuse_page(query, source, "answers a query for rows without any list of features")
    _check_fields(answer, query, source)
    rows = [_attributes(feature, query, source) for feature in features]
    for name in query.columns:
        if rows and not any(name in row for row in rows):
            raise refuse_page(query, source, f"gives rows without the column {name!r}")
    id_values = [row.get(layer.id_column) for row in rows]
    if None in id_values:
        raise refuse_page(
            query,
            source,
            f"gives rows without an object id, in the column {layer.id_column!r}",
        )
    ids = read_ids(id_values, query, source)
    order = np.argsort(ids, kind="stable")
    if len(repeats := np.flatnonzero(np.diff(ids[order]) == 0)):
        raise refuse_repeat(query, source, int(ids[order][repeats[0]]))
    columns = {layer.id_column: pa.array(ids)}
    for name in query.columns:
        values = _read_column([row.get(name) for row in rows], name, query, source)
        words = query.words.get(name)
        columns[name] = values if words is None else _replace_codes(values, words)
    notes: Counter[str] = Counter()
    if layer.shape_type:
        if shapes is None:
            geometries = [feature.get("geometry") for feature in features]
            shapes = build_shapes(geometries, query, source)
        built, notes = shapes
        columns[GEOMETRY] = pa.array(shapely.to_wkb(built), pa.binary())
    else:
        columns[GEOMETRY] = pa.nulls(len(rows), pa.binary())
    reference = answer.get("spatialReference")
    return Page(
        table=pa.table(columns).take(pa.array(order)),
        ids=ids[order],
        is_cut=_is_cut(answer),
        is_sorted=bool((order == np.arange(len(order))).all()),
        reference=reference if isinstance(reference, dict) else {},
        notes=notes,
    )


def refuse_page(query: Query, source: Source, wrong: str) -> SourceChanged:
    """Return the error for an answer that is not one to the query.

    Args:
        query: What was asked.
        source: The source.
        wrong: What is wrong with the answer, to be read after the layer's address.

    Returns:
        The error, to be raised.
    """
    return refuse_layer(
        source,
        f"{query.layer.shown} {wrong}",
        "try again later, and tell the publisher if it stays so; the last good snapshot stays in "
        "use",
    )


def _attributes(feature: object, query: Query, source: Source) -> dict[str, Any]:
    attributes = feature.get("attributes") if isinstance(feature, dict) else None
    if not isinstance(attributes, dict):
        raise refuse_page(query, source, "gives a row without attributes")
    return attributes


def _is_cut(answer: dict[str, Any]) -> bool:
    inner = answer.get("properties")
    places = [answer, inner if isinstance(inner, dict) else {}]
    return any(place.get("exceededTransferLimit") in {True, "true"} for place in places)


def _kind(esri_type: str) -> str:
    return _KINDS.get(esri_type, _TEXT)


def _check_fields(answer: dict[str, Any], query: Query, source: Source) -> None:
    """Raise SourceChanged if an answer's own list of columns is not that of the layer."""
    listed = answer.get("fields")
    asked = [query.layer.id_column, *query.columns]
    if isinstance(listed, list) and listed:
        kinds = {one.get("name"): str(one.get("type")) for one in listed if isinstance(one, dict)}
    elif isinstance(answer.get("fieldAliases"), dict):
        kinds = {name: query.layer.types.get(name, "") for name in answer["fieldAliases"]}
    elif answer["features"]:
        first = _attributes(answer["features"][0], query, source)
        kinds = {name: query.layer.types.get(name, "") for name in first}
    else:
        return
    for name in asked:
        if name not in kinds:
            wrong = (
                f"has a column {name!r}, and answers without it: its columns changed during the "
                "pull"
            )
            raise refuse_page(query, source, wrong)
        before, now = _kind(query.layer.types[name]), _kind(kinds[name])
        if before != now:
            wrong = (
                f"says that the column {name!r} is {before}, and answers that it is {now}: its "
                "columns changed during the pull"
            )
            raise refuse_page(query, source, wrong)


def _read_column(values: Sequence[Any], name: str, query: Query, source: Source) -> pa.Array:
    """Return the values of a column in its type; whole numbers with decimals become decimals."""
    esri_type = query.layer.types[name]
    kind = _kind(esri_type)
    try:
        # Arrow would cut off the decimals of a number where whole numbers are asked for.
        array = pa.array(values) if kind == _WHOLE else pa.array(values, _TYPES[kind])
        array = array.cast(_TYPES[kind]) if pa.types.is_null(array.type) else array
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return _read_mixed_column(values, name, query, source)
    if array.type != _TYPES[kind]:
        return _read_mixed_column(values, name, query, source)
    if kind == _DECIMAL:
        return pc.if_else(pc.is_finite(array), array, None)
    return array


def _read_mixed_column(values: Sequence[Any], name: str, query: Query, source: Source) -> pa.Array:
    esri_type = query.layer.types[name]
    kind = _kind(esri_type)
    if kind == _TEXT:
        return pa.array([_read_text(value) for value in values], pa.string())
    numbers = []
    for value in values:
        try:
            numbers.append(_read_date(value) if esri_type == _DATE else _read_number(value))
        except (ValueError, TypeError, OverflowError):
            wrong = (
                f"gives {str(value)[:40]!r} in the column {name!r}, which it says is "
                f"{'a date in milliseconds' if esri_type == _DATE else kind}"
            )
            raise refuse_page(query, source, wrong) from None
    is_whole = kind == _WHOLE and all(isinstance(number, int | None) for number in numbers)
    return pa.array(numbers, pa.int64() if is_whole else pa.float64())


def _replace_codes(values: pa.Array, words: dict[str, str]) -> pa.Array:
    """Return the word for each code as text; a code without a word stays."""
    codes = [_read_text(_shorten(value)) for value in values.to_pylist()]
    return pa.array(
        [code if code is None else words.get(code, code) for code in codes], pa.string()
    )


def _shorten(value: object) -> object:
    """Return a whole number without decimals, as the list of codes has it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _read_number(value: object) -> int | float | None:
    """Return a number, or None for the texts that mean none. Raises ValueError, TypeError."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NO_NUMBER):
        return None
    if isinstance(value, str):
        raise TypeError
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        return None
    return int(value) if number.is_integer() else number  # type: ignore[call-overload]


def _read_date(value: object) -> int | float | None:
    """Return milliseconds since 1970; servers before 10.1 write dates as text, without a zone."""
    if isinstance(value, str) and value.strip().lower() not in _NO_NUMBER:
        moment = dt.datetime.strptime(value.strip(), _OLD_DATE).replace(tzinfo=dt.UTC)
        return round(moment.timestamp() * 1000)
    return _read_number(value)
