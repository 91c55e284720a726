"""Turn the features of a GeoJSON answer into rows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from data.protocols.parts import GEOMETRY

# The column of a part that holds the ids by which the server knows its features.
FEATURE_ID = "id of the feature"
_SHAPE_ERRORS = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, shapely.errors.ShapelyError,
)  # fmt: skip


def read_features(features: Sequence[Mapping[str, Any]], *, is_swapped: bool) -> pa.Table:
    """Return the features of a GeoJSON document as rows.

    A feature's own id is the column `id`, unless its properties have one of that name. Objects and
    lists become JSON text, and a column whose values are of several kinds becomes text.

    Args:
        features: The features.
        is_swapped: Whether their coordinates are north before east, to be put into the usual order.

    Returns:
        The rows. The shapes are well-known binary in the column `geometry`, missing where they
        cannot be built, and the ids of the features are in the column FEATURE_ID.
    """
    properties = [feature.get("properties") or {} for feature in features]
    names = dict.fromkeys(name for row in properties for name in row)
    columns = {
        name: build_column([row.get(name) for row in properties])
        for name in names
        if name not in {GEOMETRY, FEATURE_ID}
    }
    ids = [feature.get("id") for feature in features]
    if "id" not in columns and any(one is not None for one in ids):
        columns = {"id": build_column(ids)} | columns
    shapes = np.array([_read_shape(feature.get("geometry")) for feature in features], dtype=object)
    if is_swapped:
        shapes = swap_axes(shapes)
    texts = [None if one is None else str(one) for one in ids]
    return pa.table(
        columns
        | {
            FEATURE_ID: pa.array(texts, pa.string()),
            GEOMETRY: pa.array(shapely.to_wkb(shapes), pa.binary()),
        }
    )


def build_column(values: Sequence[Any]) -> pa.Array:
    """Return values as a column: of one type if they allow it, otherwise as text.

    >>> build_column([1, None, 2.5]).type, build_column([7, "7a"]).to_pylist()
    (DataType(double), ['7', '7a'])
    """
    plain = [_write_json(one) if isinstance(one, dict | list) else one for one in values]
    try:
        return pa.array(plain)
    except (pa.ArrowException, OverflowError):
        texts = [one if one is None or isinstance(one, str) else _write_json(one) for one in plain]
        return pa.array(texts, pa.string())


def swap_axes(shapes: np.ndarray) -> np.ndarray:
    """Return shapes with the two coordinates of each point exchanged."""
    return np.asarray(shapely.transform(shapes, lambda points: points[:, ::-1]))


def _write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read_shape(geometry: Any) -> Any:
    """Return a GeoJSON geometry as a shape; None if there is none or it cannot be built."""
    if not isinstance(geometry, dict):
        return None
    try:
        return shapely.geometry.shape(geometry)
    except _SHAPE_ERRORS:
        return None
