"""Read an answer in Esri's binary format (f=pbf), which is some times smaller than its JSON.

The messages are those of Esri's FeatureCollection.proto in the encoding of Protocol Buffers
(https://protobuf.dev/programming-guides/encoding/). Coordinates are whole multiples of the
precision in which the server stores them, each counted from the one before.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely

from data.protocols.arcgis.shapes import HEIGHT, Parts, join_lines, join_rings

# Numbers of fields in the messages.
_QUERY_RESULT, _FEATURE_RESULT = 2, 1
_GEOMETRY_TYPE, _REFERENCE, _EXCEEDED, _HAS_Z, _HAS_M, _TRANSFORM = 7, 8, 9, 10, 11, 12
_FIELDS, _FEATURES = 13, 15
_ATTRIBUTES, _GEOMETRY, _SHAPE_BUFFER = 1, 2, 3
_LENGTHS, _COORDS = 2, 3
_POINT, _MULTIPOINT, _LINE, _AREA, _NONE = 0, 1, 2, 3, 127
_LOWER_LEFT, _WKT = 1, 5
# How the bytes of a field end: a number of variable length, 8 bytes, a length before it, 4 bytes.
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


class NotReadableError(ValueError):
    """The bytes are not an answer in this format."""


class Table(NamedTuple):
    """The rows of an answer.

    Attributes:
        answer: The rest of the answer as its JSON would be, with rows without shapes.
        shapes: The shape of each row, or None.
        notes: How often something was left out.
    """

    answer: dict[str, Any]
    shapes: np.ndarray
    notes: Counter[str]


def read_table(body: bytes) -> Table:
    """Read an answer.

    Args:
        body: Its bytes.

    Returns:
        The rows.

    Raises:
        NotReadableError: It is not a whole answer to a query for rows.
    """
    try:
        return _read_table(body)
    except (IndexError, KeyError, ValueError, struct.error, UnicodeDecodeError) as error:
        raise NotReadableError(str(error)) from error


def _read_table(body: bytes) -> Table:
    result = _only(body, _only(body, (0, len(body)), _QUERY_RESULT), _FEATURE_RESULT)
    single: dict[int, Any] = {}
    names: list[str] = []
    features: list[tuple[int, int]] = []
    for number, value in _list_fields(body, *result):
        if number == _FEATURES:
            features.append(value)
        elif number == _FIELDS:
            names.append(_read_name(body, value))
        else:
            single[number] = value
    reference = dict(_list_fields(body, *single[_REFERENCE])) if _REFERENCE in single else {}
    keys: dict[int, str] = {1: "wkid", 2: "latestWkid"}
    rows, geometries = [], []
    for begin, end in features:
        values, geometry = [], None
        for number, value in _list_fields(body, begin, end):
            if number == _ATTRIBUTES:
                values.append(_read_value(body, *value))
            elif number == _GEOMETRY:
                geometry = value
            elif number == _SHAPE_BUFFER:
                raise NotReadableError("shapes in another encoding")
        rows.append({"attributes": dict(zip(names, values, strict=True))})
        geometries.append(geometry)
    notes: Counter[str] = Counter()
    named = {keys[key]: value for key, value in reference.items() if key in keys}
    if _WKT in reference:
        named["wkt"] = body[slice(*reference[_WKT])].decode()
    answer = {
        "fieldAliases": dict.fromkeys(names, ""),
        "features": rows,
        "exceededTransferLimit": bool(single.get(_EXCEEDED)),
        "spatialReference": named,
    }
    return Table(answer, _read_shapes(body, geometries, single, notes), notes)


def _only(body: bytes, span: tuple[int, int], wanted: int) -> tuple[int, int]:
    """Return where the one message with a number is."""
    found = [value for number, value in _list_fields(body, *span) if number == wanted]
    if len(found) != 1 or not isinstance(found[0], tuple):
        raise NotReadableError("no answer to a query for rows")
    return found[0]


def _list_fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each field: a number, or where its bytes are."""
    while at < end:
        key, at = _read_varint(body, at)
        kind = key & 7
        if kind == _VARINT:
            value: Any
            value, at = _read_varint(body, at)
        else:
            if kind == _BYTES:
                size, at = _read_varint(body, at)
            else:
                size = {_EIGHT: 8, _FOUR: 4}[kind]
            value = (at, at + size)
            at += size
        if at > end:
            raise NotReadableError("cut off")
        yield key >> 3, value


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    byte = body[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        at += 1
        byte = body[at]
        value |= (byte & 0x7F) << shift
        shift += 7
    return value, at + 1


def _read_name(body: bytes, span: tuple[int, int]) -> str:
    return body[slice(*dict(_list_fields(body, *span))[1])].decode()


def _read_value(body: bytes, begin: int, end: int) -> str | int | float | bool | None:
    """Return a value; a message without any field is null."""
    if begin == end:
        return None
    ((number, value),) = _list_fields(body, begin, end)
    if number == 1:
        return body[slice(*value)].decode()
    if number in {2, 3}:
        (decimal,) = struct.unpack("<f" if number == 2 else "<d", body[slice(*value)])
        # A number of 32 bits has as few digits as in JSON: 21.499, not 21.499000549316406.
        return float(str(np.float32(decimal))) if number == 2 else float(decimal)
    if number in {4, 8}:
        return int((value >> 1) ^ -(value & 1))
    if number == 6:
        return int(value - (1 << 64) if value >= 1 << 63 else value)
    return bool(value) if number == 9 else int(value)


def _read_shapes(
    body: bytes,
    geometries: Sequence[tuple[int, int] | None],
    single: dict[int, Any],
    notes: Counter[str],
) -> np.ndarray:
    """Return the shapes of rows; None where there is none."""
    shapes = np.full(len(geometries), None, dtype=object)
    kind = single.get(_GEOMETRY_TYPE, _POINT)
    is_there = np.array([one is not None and one[0] < one[1] for one in geometries], dtype=bool)
    if kind == _NONE or not is_there.any():
        return shapes
    parts = [dict(_list_fields(body, *one)) for one in geometries if one and one[0] < one[1]]
    lengths, length_counts = _read_packed(body, [one.get(_LENGTHS, (0, 0)) for one in parts])
    numbers, number_counts = _read_packed(body, [one.get(_COORDS, (0, 0)) for one in parts])
    size = 2 + bool(single.get(_HAS_Z)) + bool(single.get(_HAS_M))
    if size > 2:
        notes[HEIGHT] += len(parts)
    if kind == _POINT:
        # A point has no list of lengths.
        length_counts = number_counts // size
        lengths = np.ones(int(length_counts.sum()), dtype=np.uint64)
    counts = lengths.astype(np.int64)
    if counts.sum() * size != len(numbers):
        raise NotReadableError("another number of coordinates than announced")
    steps = (numbers >> 1).astype(np.int64) ^ -(numbers & 1).astype(np.int64)
    corners = _place(_sum_steps(steps.reshape(-1, size)[:, :2], counts), body, single)
    part = np.repeat(np.arange(len(counts)), counts)
    found = Parts(corners, part, np.repeat(np.arange(len(parts)), length_counts))
    shapes[is_there] = _build(found, kind, len(parts), notes)
    return shapes


def _build(parts: Parts, kind: int, rows: int, notes: Counter[str]) -> np.ndarray:
    if kind == _AREA:
        return join_rings(parts, rows, notes)
    if kind == _LINE:
        return join_lines(parts, rows)
    of_row = parts.row[parts.part]
    shapes = np.full(rows, None, dtype=object)
    if kind == _POINT:
        shapes[of_row] = shapely.points(parts.corners)
    elif kind == _MULTIPOINT:
        shapely.multipoints(shapely.points(parts.corners), indices=of_row, out=shapes)
    else:
        raise NotReadableError("shapes of another type")
    return shapes


def _read_packed(body: bytes, spans: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of variable length in several places, and how many each has."""
    data = np.frombuffer(b"".join(body[begin:end] for begin, end in spans), dtype=np.uint8)
    is_last = data < 0x80
    ends = np.flatnonzero(is_last) + 1
    bounds = np.cumsum([0, *(end - begin for begin, end in spans)])
    counts = np.diff(np.searchsorted(ends, bounds, side="right"))
    if not len(ends):
        return np.empty(0, dtype=np.uint64), counts
    starts = np.concatenate([[0], ends[:-1]])
    place = np.arange(ends[-1]) - np.repeat(starts, ends - starts)
    bits = (data[: ends[-1]] & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.bitwise_or.reduceat(bits, starts), counts


def _sum_steps(steps: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return where the steps of each part lead, beginning anew with each part."""
    sums = np.cumsum(steps, axis=0)
    starts = np.cumsum(counts) - counts
    before = np.vstack([np.zeros((1, 2), dtype=np.int64), sums])[starts]
    return np.asarray(sums - np.repeat(before, counts, axis=0))


def _place(steps: np.ndarray, body: bytes, single: dict[int, Any]) -> np.ndarray:
    """Return coordinates in the server's CRS."""
    transform = dict(_list_fields(body, *single[_TRANSFORM]))
    scale, origin = (_read_pair(body, transform.get(key), key == 2) for key in (2, 3))
    up = 1.0 if transform.get(1, 0) == _LOWER_LEFT else -1.0
    return np.asarray(origin + steps * scale * np.array([1.0, up]))


def _read_pair(body: bytes, span: tuple[int, int] | None, is_scale: bool) -> np.ndarray:
    found = dict(_list_fields(body, *span)) if span else {}
    default = struct.pack("<d", 1.0 if is_scale else 0.0)
    values = [body[slice(*found[key])] if key in found else default for key in (1, 2)]
    return np.array([struct.unpack("<d", value)[0] for value in values])
