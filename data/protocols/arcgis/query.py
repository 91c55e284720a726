"""What is asked of a layer: which rows, which columns, and the parameters that say so."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data.ask import ask_json
from data.connection import Connection
from data.protocols.arcgis.address import query_address
from data.protocols.arcgis.layer import ServerLayer, read_crs, refuse_layer
from data.protocols.bounds import bounds_in_crs
from data.protocols.file import require_columns
from data.protocols.parts import GEOMETRY
from data.source import Source
from geo.errors import SourceChanged

# Many servers refuse addresses of more than 2,048 characters. Columns take at most so many.
_COLUMN_LETTERS_MOST = 700
# So many object ids are listed in one condition, which keeps the address short enough.
IDS_MOST = 40


class Query(NamedTuple):
    """Which rows and columns of a layer are asked for.

    Attributes:
        layer: The layer.
        address: The address of the query, as declared.
        columns: The columns, without that of the object ids.
        words: For the columns whose codes are replaced, the word for each code.
        filter: Which rows, in the server's SQL; empty for all.
        box: Parameters for rows in a box; none for all.
    """

    layer: ServerLayer
    address: str
    columns: tuple[str, ...]
    words: dict[str, dict[str, str]]
    filter: str
    box: dict[str, str]


class Listing(NamedTuple):
    """The rows that a server says it has.

    Attributes:
        ids: Their object ids, ascending, each once; None if the server does not list them.
        row_count: How many there are; None if the server does not say.
    """

    ids: np.ndarray | None
    row_count: int | None


def build_query(layer: ServerLayer, source: Source, columns: Sequence[str] | None = None) -> Query:
    """Return what a source's declaration asks of a layer.

    Args:
        layer: The layer.
        source: The source.
        columns: The columns to ask for; by default those that the source names.

    Returns:
        The query.

    Raises:
        SourceChanged: The layer has no such column, or no words for its codes.
    """
    fetch = source.fetch
    known = [name for name in layer.types if name != GEOMETRY]
    named = source.list_columns() if columns is None else columns
    require_columns([*named, *fetch.coded], known, layer.shown, source.id)
    wordless = [name for name in fetch.coded if name not in layer.words]
    if wordless:
        raise refuse_layer(
            source,
            f"{layer.shown} has no words for the codes of the column {wordless[0]!r}",
            f"take it out of fetch.coded in sources/{source.id}.toml, and give the words in its "
            "columns table with map",
        )
    return Query(
        layer=layer,
        address=query_address(layer.address),
        columns=tuple(name for name in named if name != layer.id_column),
        words={name: layer.words[name] for name in fetch.coded},
        filter=fetch.filter.strip(),
        box=_box_parameters(layer, source),
    )


def _box_parameters(layer: ServerLayer, source: Source) -> dict[str, str]:
    """Return the parameters that ask for rows whose box meets the declared bounds."""
    bounds, crs = source.fetch.bounds, read_crs(layer.reference)
    if bounds is None or layer.shape_type is None:
        return {}
    reference: object = 4326
    if crs is not None:
        bounds, reference = bounds_in_crs(bounds, crs), layer.reference
    return {
        "geometry": ",".join(str(number) for number in bounds),
        "geometryType": "esriGeometryEnvelope",
        "spatialRel": "esriSpatialRelEnvelopeIntersects",
        "inSR": json.dumps(reference, separators=(",", ":")),
    }


def join_conditions(*conditions: str) -> str:
    """Return the condition that all of these hold; empty ones do not count.

    >>> join_conditions("A = 1 OR B = 2", "", "ID > 5")
    '(A = 1 OR B = 2) AND (ID > 5)'
    >>> join_conditions("", "")
    '1=1'
    """
    given = [condition for condition in conditions if condition]
    if len(given) < 2:
        return given[0] if given else "1=1"
    return " AND ".join(f"({condition})" for condition in given)


def between_ids(column: str, low: int, high: int) -> str:
    """Return the condition for object ids in a range.

    Args:
        column: The column of object ids.
        low: The lowest.
        high: The highest.

    Returns:
        The condition, in the server's SQL.

    >>> between_ids("OBJECTID", 3, 9)
    'OBJECTID >= 3 AND OBJECTID <= 9'
    """
    return f"{column} >= {low} AND {column} <= {high}"


def among_ids(column: str, ids: Sequence[int]) -> str:
    """Return the condition for these object ids.

    >>> among_ids("OBJECTID", [3, 9])
    'OBJECTID IN (3,9)'
    """
    return f"{column} IN ({','.join(str(number) for number in ids)})"


def row_parameters(
    query: Query, condition: str, rows_most: int | None = None, *, is_binary: bool = False
) -> dict[str, str]:
    """Return the parameters that ask for rows.

    Args:
        query: What is asked of the layer.
        condition: Which of its rows, in the server's SQL.
        rows_most: The most rows to give, where the server can be asked for that.
        is_binary: Whether to ask for Esri's binary format instead of JSON.

    Returns:
        The parameters. The shapes are asked for in the server's own CRS, as they are stored.
    """
    layer = query.layer
    names = ",".join([layer.id_column, *query.columns])
    parameters = {
        "f": "pbf" if is_binary else "json",
        "where": join_conditions(query.filter, condition),
        "outFields": names if len(names) <= _COLUMN_LETTERS_MOST else "*",
        "returnGeometry": "true" if layer.shape_type else "false",
        "returnTrueCurves": "false",
        **query.box,
    }
    if layer.is_sorted:
        parameters["orderByFields"] = f"{layer.id_column} ASC"
    if rows_most is not None and layer.is_paged:
        parameters["resultRecordCount"] = str(rows_most)
    return parameters


def list_rows(connection: Connection, query: Query, source: Source, condition: str = "") -> Listing:
    """Ask which rows there are.

    Args:
        connection: The connection.
        query: What is asked of the layer.
        source: The source, for messages.
        condition: Which of its rows, in the server's SQL; empty for all.

    Returns:
        Their object ids and their number.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: It refuses, or the ids are not numbers, or are not those of the rows.
    """
    for last in (False, True):
        ids = list_ids(connection, query, source, condition)
        count = count_rows(connection, query, condition)
        if ids is None or count is None or count == len(ids):
            return Listing(ids, count)
        # Perhaps a row was added between the two requests, so both are repeated once.
        if last:
            raise refuse_layer(
                source,
                f"{query.layer.shown} counts {count:,} rows, and lists {len(ids):,} object ids",
                "tell the publisher; the last good snapshot stays in use",
            )
    raise AssertionError("the second turn returns or raises")  # pragma: no cover


def list_ids(
    connection: Connection, query: Query, source: Source, condition: str = ""
) -> np.ndarray | None:
    """Ask for the object ids of rows.

    Args:
        connection: The connection.
        query: What is asked of the layer.
        source: The source, for messages.
        condition: Which of its rows, in the server's SQL; empty for all.

    Returns:
        The object ids, ascending; None if the server does not list them, or not all.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: It refuses, or the ids are not numbers, or one is there twice.
    """
    parameters = {
        "f": "json",
        "where": join_conditions(query.filter, condition),
        "returnIdsOnly": "true",
        **query.box,
    }
    answer = ask_json(connection, query.address, parameters)
    if "objectIds" not in answer or answer.get("exceededTransferLimit"):
        return None
    ids = read_ids(answer["objectIds"] or [], query, source)
    if len(np.unique(ids)) < len(ids):
        numbers, times = np.unique(ids, return_counts=True)
        raise refuse_repeat(query, source, int(numbers[times > 1][0]))
    return np.sort(ids)


def read_ids(values: Sequence[object], query: Query, source: Source) -> np.ndarray:
    """Return object ids as whole numbers of 64 bits; some servers write them as 6.4579816E7.

    Args:
        values: The ids as the server writes them.
        query: What was asked, for messages.
        source: The source, for messages.

    Returns:
        The ids, in their order.

    Raises:
        SourceChanged: One is not a whole number.
    """
    try:
        ids = np.array([int(value) for value in values], dtype=np.int64)  # type: ignore[call-overload]
        if all(type(value) is int for value in values) or (ids == np.array(values)).all():
            return ids
    except (TypeError, ValueError, OverflowError):
        pass
    wrong = next(
        (value for value in values if not isinstance(value, int | float) or value % 1),
        values[0] if values else None,
    )
    raise refuse_layer(
        source,
        f"{query.layer.shown} gives {str(wrong)[:40]!r} as an object id in the column "
        f"{query.layer.id_column!r}, which is not a whole number",
        "ask the publisher for a column of object ids, or export the layer to a file",
    )


def refuse_repeat(query: Query, source: Source, number: int) -> SourceChanged:
    """Return the error for an object id that several rows have.

    Args:
        query: What was asked.
        source: The source.
        number: The object id.

    Returns:
        The error, to be raised.
    """
    return refuse_layer(
        source,
        f"{query.layer.shown} gives two rows with the object id {number} in the column "
        f"{query.layer.id_column!r}",
        "tell the publisher, or export the layer to a file; the last good snapshot stays in use",
    )


def count_rows(connection: Connection, query: Query, condition: str = "") -> int | None:
    """Ask how many rows there are.

    Args:
        connection: The connection.
        query: What is asked of the layer.
        condition: Which of its rows, in the server's SQL; empty for all.

    Returns:
        How many; None if the server does not say.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: It refuses.
    """
    parameters = {
        "f": "json",
        "where": join_conditions(query.filter, condition),
        "returnCountOnly": "true",
        **query.box,
    }
    count = ask_json(connection, query.address, parameters).get("count")
    return count if isinstance(count, int) else None
