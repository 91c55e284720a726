"""Shapes and tables as small JSON that is safe inside a page."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import shapely
from shapely import GeometryType

POLYGON_KINDS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)
LINE_KINDS = (GeometryType.LINESTRING, GeometryType.LINEARRING, GeometryType.MULTILINESTRING)
POINT_KINDS = (GeometryType.POINT, GeometryType.MULTIPOINT)


def format_script_json(value: object) -> str:
    r"""Return JSON that is safe inside <script>, whatever texts it contains.

    In texts, every < > and &, every { that starts a template expression, and every non-ASCII
    character (such as U+2028) becomes a \u escape. So no text can end the script, open a comment
    or be read as a template expression.

    >>> format_script_json(["</script>", "{{ 7 * 7 }}"])
    '["\\u003c/script\\u003e","\\u007b\\u007b 7 * 7 }}"]'
    """
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        plain = plain.replace(char, f"\\u{ord(char):04x}")
    # Outside texts, { is always followed by a quote or }, so these pairs occur only in texts.
    for opening in ("{{", "{%", "{#"):
        plain = plain.replace(opening, opening.replace("{", "\\u007b"))
    return plain


def encode_texts(texts: Sequence[str | None]) -> dict[str, list[Any]]:
    """Return texts as distinct values `v`, and each row's index `i` in them (-1 for None)."""
    values: dict[str, int] = {}
    places = [-1 if one is None else values.setdefault(one, len(values)) for one in texts]
    return {"v": list(values), "i": places}


def split_parts(
    shapes: np.ndarray, kinds: tuple[GeometryType, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the single parts of the given kinds, and the index of each part's shape.

    Collections are split; missing shapes (None or NaN) and empty shapes have no parts.
    """
    shapes = shapes.copy()
    shapes[pd.isna(shapes)] = None
    parts, of = shapely.get_parts(shapes, return_index=True)
    nested = shapely.get_type_id(parts) == GeometryType.GEOMETRYCOLLECTION
    if nested.any():
        inner, inner_of = split_parts(parts[nested], kinds)
        parts = np.concatenate([parts[~nested], inner])
        of = np.concatenate([of[~nested], of[nested][inner_of]])
    keep = np.isin(shapely.get_type_id(parts), kinds) & ~shapely.is_empty(parts)
    order = np.argsort(of[keep], kind="stable")
    return parts[keep][order], of[keep][order]


def pack_parts(
    parts: np.ndarray, of: np.ndarray, count: int, *, digits: int = 6
) -> dict[str, list[int] | int | str]:
    """Pack parts of one kind as whole numbers that the page unpacks.

    Args:
        parts: Single parts in degrees, longitude and latitude (n,).
        of: Which feature each part belongs to (n,).
        count: The number of features.
        digits: Decimals of a degree that are kept.

    Returns:
        The packed parts, as the page's `unpack` reads them.
    """
    made: dict[str, list[int] | int | str] = {"digits": digits}
    made["parts"] = np.bincount(of, minlength=count).tolist()
    if len(parts) and shapely.get_type_id(parts[0]) in POLYGON_KINDS:
        lines, polygon = shapely.get_rings(parts, return_index=True)
        made["rings"] = np.bincount(polygon, minlength=len(parts)).tolist()
        made["kind"] = "polygon"
    else:
        lines = parts
        point = not len(parts) or shapely.get_type_id(parts[0]) in POINT_KINDS
        made["kind"] = "point" if point else "line"
    xy, line = shapely.get_coordinates(lines, return_index=True)
    if made["kind"] == "polygon":
        last = np.append(line[1:] != line[:-1], True) if len(line) else np.empty(0, dtype=bool)
        xy, line = xy[~last], line[~last]
    whole = np.rint(xy * 10**digits).astype(np.int64)
    made["xy"] = np.diff(whole, axis=0, prepend=0).ravel().tolist() if len(whole) else []
    made["size"] = np.bincount(line, minlength=len(lines)).tolist()
    return made
