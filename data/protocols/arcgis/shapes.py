"""Build the shapes of an answer, all of one kind at once.

Rings come without saying which are holes; by rule an outer ring runs clockwise and a hole the other
way, but not every server keeps the rule (koopjs/koop#378). So a ring inside an odd number of other
rings of its row is a hole, whichever way it runs.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import shapely

from data.protocols.arcgis.curves import straighten
from data.protocols.arcgis.layer import refuse_layer
from data.protocols.arcgis.query import Query
from data.source import Source

# What is counted: a noun, and what became of it.
FLAT_RING = "ring without an area, which is left out"
HEIGHT = "row with heights or measures, which are left out"
# A closed ring has the first of its at least three corners twice.
_RING_POINTS = 4


class Parts(NamedTuple):
    """Parts of shapes: rings, lines or groups of points, one after another.

    Attributes:
        corners: The coordinates of all parts.
        part: The number of each corner's part.
        row: The number of each part's row.
    """

    corners: np.ndarray
    part: np.ndarray
    row: np.ndarray


def build_shapes(
    geometries: Sequence[Any], query: Query, source: Source
) -> tuple[np.ndarray, Counter[str]]:
    """Build shapes from Esri's JSON.

    Args:
        geometries: The shape of each row, as the answer has it; None where a row has none.
        query: What was asked, for messages.
        source: The source, for messages.

    Returns:
        The shapes, None where there is none, and how often something was left out.

    Raises:
        SourceChanged: A shape cannot be read.
    """
    rows: dict[str, list[tuple[int, Any]]] = {}
    for row, geometry in enumerate(geometries):
        if geometry is None or geometry == {}:
            continue
        kind, value = _find_kind(geometry, query, source)
        if value:
            rows.setdefault(kind, []).append((row, value))
    shapes = np.full(len(geometries), None, dtype=object)
    notes: Counter[str] = Counter()
    for kind, of_kind in rows.items():
        where = np.array([row for row, _ in of_kind])
        values = [value for _, value in of_kind]
        try:
            shapes[where] = _BUILDERS[kind](values, notes)
        except (TypeError, ValueError, IndexError, KeyError):
            raise refuse_layer(
                source,
                f"{query.layer.shown} gives a shape that is not one of Esri's: "
                f"{_find_broken(values, _BUILDERS[kind])}",
                "tell the publisher, or export the layer to a file; the last good snapshot stays "
                "in use",
            ) from None
    return shapes, notes


def _find_kind(geometry: Any, query: Query, source: Source) -> tuple[str, Any]:
    """Return which kind a shape is, and what it consists of."""
    if isinstance(geometry, dict):
        for kind in ("rings", "paths", "points", "curveRings", "curvePaths"):
            if kind in geometry:
                return kind, geometry[kind]
        if "x" in geometry:
            return "x", (geometry["x"], geometry.get("y"))
        if "xmin" in geometry:
            return "xmin", [geometry.get(key) for key in ("xmin", "ymin", "xmax", "ymax")]
    raise refuse_layer(
        source,
        f"{query.layer.shown} gives a shape of a kind that is not read: {str(geometry)[:60]!r}",
        "tell the publisher, or export the layer to a file; the last good snapshot stays in use",
    )


def _find_broken(values: Sequence[Any], build: Any) -> str:
    """Return the first shape that cannot be built, in short."""
    for value in values:
        try:
            build([value], Counter())
        except (TypeError, ValueError, IndexError, KeyError):
            return repr(str(value)[:60])
    return "several at once"


def _build_points(values: Sequence[tuple[Any, Any]], _notes: Counter[str]) -> np.ndarray:
    """Return points; one whose coordinates are null or "NaN" is none."""
    corners = np.array(
        [[np.nan if number is None else float(number) for number in value] for value in values]
    )
    points = np.full(len(values), None, dtype=object)
    is_there = np.isfinite(corners).all(axis=1)
    points[is_there] = shapely.points(corners[is_there])
    return points


def _build_boxes(values: Sequence[Sequence[Any]], _notes: Counter[str]) -> np.ndarray:
    numbers = np.array(
        [[np.nan if number is None else float(number) for number in value] for value in values]
    )
    boxes = np.full(len(values), None, dtype=object)
    is_there = np.isfinite(numbers).all(axis=1)
    boxes[is_there] = shapely.box(*numbers[is_there].T)
    return boxes


def _build_point_groups(values: Sequence[Any], notes: Counter[str]) -> np.ndarray:
    parts = _list_parts([[points] for points in values], notes)
    points = shapely.points(parts.corners)
    groups = np.full(len(values), None, dtype=object)
    shapely.multipoints(points, indices=parts.row[parts.part], out=groups)
    return groups


def _build_lines(values: Sequence[Any], notes: Counter[str]) -> np.ndarray:
    return join_lines(_list_parts(values, notes), len(values))


def _build_areas(values: Sequence[Any], notes: Counter[str]) -> np.ndarray:
    return join_rings(_list_parts(values, notes), len(values), notes)


def _build_curved_lines(values: Sequence[Any], notes: Counter[str]) -> np.ndarray:
    return _build_lines([[straighten(path) for path in paths] for paths in values], notes)


def _build_curved_areas(values: Sequence[Any], notes: Counter[str]) -> np.ndarray:
    return _build_areas([[straighten(ring) for ring in rings] for rings in values], notes)


_BUILDERS = {
    "x": _build_points,
    "xmin": _build_boxes,
    "points": _build_point_groups,
    "paths": _build_lines,
    "rings": _build_areas,
    "curvePaths": _build_curved_lines,
    "curveRings": _build_curved_areas,
}


def _list_parts(values: Sequence[Any], notes: Counter[str]) -> Parts:
    """Return the parts of several rows; corners that are not numbers are left out."""
    parts = list(chain.from_iterable(values))
    corners = list(chain.from_iterable(parts))
    sizes = np.fromiter(map(len, corners), dtype=np.int64, count=len(corners))
    if len(sizes) and sizes.min() < 2:
        raise ValueError
    if len(sizes) and sizes.max() > 2:
        notes[HEIGHT] += len(values)
        corners = [corner[:2] for corner in corners]
    numbers = np.array(corners, dtype=np.float64).reshape(-1, 2)
    part = np.repeat(np.arange(len(parts)), [len(one) for one in parts])
    row = np.repeat(np.arange(len(values)), [len(one) for one in values])
    is_there = np.isfinite(numbers).all(axis=1)
    return Parts(numbers[is_there], part[is_there], row)


def join_lines(parts: Parts, rows: int) -> np.ndarray:
    """Return the lines of each row, as one shape.

    Args:
        parts: The lines; one with a single corner is left out.
        rows: How many rows there are.

    Returns:
        A line, several lines, or None, for each row.
    """
    parts = _keep_parts(parts, np.bincount(parts.part, minlength=len(parts.row)) > 1)
    lines = shapely.linestrings(parts.corners, indices=parts.part)
    return _join(lines, parts.row, rows, shapely.multilinestrings)


def join_rings(parts: Parts, rows: int, notes: Counter[str]) -> np.ndarray:
    """Return the areas of each row, as one shape.

    Args:
        parts: The rings.
        rows: How many rows there are.
        notes: Counts the rings that are left out.

    Returns:
        An area, several areas, or None, for each row.
    """
    is_area = _are_areas(parts)
    if not is_area.all():
        notes[FLAT_RING] += int((~is_area).sum())
        parts = _keep_parts(parts, is_area)
    rings = shapely.linearrings(parts.corners, indices=parts.part)
    shell_of = _find_shells(parts, rings)
    is_shell = shell_of == np.arange(len(rings))
    areas = shapely.polygons(rings[is_shell])
    with_holes = np.unique(shell_of[~is_shell])
    number = np.cumsum(is_shell) - 1
    for shell in with_holes:
        holes = rings[(shell_of == shell) & ~is_shell]
        areas[number[shell]] = shapely.polygons(rings[shell], holes=holes)
    return _join(areas, parts.row[is_shell], rows, shapely.multipolygons)


def _are_areas(parts: Parts) -> np.ndarray:
    """Return which rings have at least three different corners."""
    count = np.bincount(parts.part, minlength=len(parts.row))
    ends = np.cumsum(count)
    starts = ends - count
    is_area = count >= _RING_POINTS - 1
    some = np.flatnonzero(is_area)
    is_closed = np.zeros(len(count), dtype=bool)
    first, last = parts.corners[starts[some]], parts.corners[ends[some] - 1]
    is_closed[some] = (first == last).all(axis=1)
    is_area &= count - is_closed >= _RING_POINTS - 1
    return np.asarray(is_area)


def _keep_parts(parts: Parts, is_kept: np.ndarray) -> Parts:
    if is_kept.all():
        return parts
    number = np.cumsum(is_kept) - 1
    of_kept = is_kept[parts.part]
    return Parts(parts.corners[of_kept], number[parts.part[of_kept]], parts.row[is_kept])


def _find_shells(parts: Parts, rings: np.ndarray) -> np.ndarray:
    """Return for each ring the ring that it is a hole of: the smallest around it, or itself."""
    shell_of = np.arange(len(rings))
    in_row = np.bincount(parts.row, minlength=1)
    several = np.flatnonzero(in_row[parts.row] > 1)
    if not len(several):
        return shell_of
    areas = shapely.polygons(rings[several])
    size, row = shapely.area(areas), parts.row[several]
    inner, outer = shapely.STRtree(areas).query(areas)
    # Of two rings with the same area, the later one may lie in the earlier one.
    is_larger = (size[outer] > size[inner]) | ((size[outer] == size[inner]) & (outer < inner))
    is_pair = (row[inner] == row[outer]) & is_larger
    inner, outer = inner[is_pair], outer[is_pair]
    used = np.unique(outer)
    shapely.prepare(areas[used])
    corners = shapely.multipoints(
        shapely.points(parts.corners), indices=parts.part
    )[several]  # fmt: skip
    is_around = shapely.covers(areas[outer], corners[inner])
    inner, outer = inner[is_around], outer[is_around]
    depth = np.bincount(inner, minlength=len(several))
    # The smallest of the rings around each comes first.
    order = np.lexsort((size[outer], inner))
    inner, outer = inner[order], outer[order]
    nearest, first = np.unique(inner, return_index=True)
    is_hole = depth[nearest] % 2 == 1
    shell_of[several[nearest[is_hole]]] = several[outer[first[is_hole]]]
    return shell_of


def _join(pieces: np.ndarray, row: np.ndarray, rows: int, gather: Any) -> np.ndarray:
    """Return the pieces of each row as one shape; None for a row without any."""
    shapes = np.full(rows, None, dtype=object)
    count = np.bincount(row, minlength=rows)
    is_single = count[row] == 1
    shapes[row[is_single]] = pieces[is_single]
    rest = np.flatnonzero(~is_single)
    if len(rest):
        rows_of, number = np.unique(row[rest], return_inverse=True)
        shapes[rows_of] = gather(pieces[rest], indices=number)
    return shapes
