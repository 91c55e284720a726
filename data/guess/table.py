"""Find out how a table in text is written, and which of its columns hold places."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from data.protocols.file import parse_numbers
from data.texts import text_values

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 200
_X = ("longitude", "lon", "long", "lng", "x", "xcoord", "xcoordinate", "easting", "pointx")
_Y = ("latitude", "lat", "latt", "y", "ycoord", "ycoordinate", "northing", "pointy")
_WKT = re.compile(
    r"(?:SRID=\d+;\s*)?(?:MULTI)?(?:POINT|LINESTRING|POLYGON|GEOMETRYCOLLECTION)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_HEX = re.compile(r"0[01](?:[0-9A-Fa-f]{2}){20,}")
_PLACES_MIN = 0.5


class Dialect(NamedTuple):
    """How a table is written: its encoding, the character between columns, its decimal mark."""

    encoding: str
    delimiter: str
    decimal: str


def guess_dialect(path: Path) -> Dialect:
    """Return how a table in text is written.

    Latin-1 is taken for whatever is not UTF-8: every text can be read so, but some letters may be
    wrong.
    """
    with path.open("rb") as file:
        is_utf8 = True
        try:
            for line in file:
                line.decode("utf-8")
        except UnicodeDecodeError:
            is_utf8 = False
    encoding = "utf-8" if is_utf8 else "latin-1"
    with path.open(encoding="utf-8-sig" if is_utf8 else encoding, newline="") as text:
        lines = [line for _, line in zip(range(_SAMPLE_LINES), text, strict=False)]
    counts = {mark: len(next(csv.reader(lines[:1], delimiter=mark), [])) for mark in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda mark: counts[mark])
    rows = list(csv.reader(lines[1:], delimiter=delimiter))
    cells = [cell.strip() for row in rows for cell in row]
    with_comma = sum(re.fullmatch(r"-?\d+,\d+", cell) is not None for cell in cells)
    with_point = sum(re.fullmatch(r"-?\d+\.\d+", cell) is not None for cell in cells)
    is_comma = delimiter != "," and with_comma > with_point
    return Dialect(encoding, delimiter, "," if is_comma else ".")


def guess_coordinates(table: pd.DataFrame, decimal: str) -> tuple[str, str] | None:
    """Return the columns of a table that hold x and y; None if it has none.

    >>> guess_coordinates(pd.DataFrame({"Lat": ["42.1"], "Lon": ["-71.2"]}), ".")
    ('Lon', 'Lat')
    """
    found = []
    for names in (_X, _Y):
        plain = {re.sub(r"[\W_]", "", str(name).lower()): str(name) for name in table.columns}
        near = [plain[name] for name in names if name in plain]
        near = [
            name
            for name in near
            if parse_numbers(table[name], decimal).notna().mean() >= _PLACES_MIN
        ]
        if not near:
            return None
        found.append(near[0])
    return found[0], found[1]


def guess_shape_column(table: pd.DataFrame) -> str | None:
    """Return the column of a table that holds shapes as text; None if there is none."""
    for name in map(str, table.columns):
        known = text_values(table[name]).dropna().head(_SAMPLE_LINES)
        is_shape = [bool(_WKT.fullmatch(text) or _HEX.fullmatch(text)) for text in known]
        if is_shape and all(is_shape):
            return name
    return None


def are_degrees(bounds: tuple[float, float, float, float]) -> bool:
    """Return whether coordinates within these bounds can be longitudes and latitudes."""
    west, south, east, north = bounds
    return bool(-180 <= west <= east <= 180 and -90 <= south <= north <= 90)
