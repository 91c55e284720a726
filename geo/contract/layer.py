"""Check a table against the layer that it fills, and name every fault at once."""

from collections.abc import Callable, Iterator

import geopandas as gpd
import pandas as pd

from geo.errors import ContractError
from geo.model import Column, Layer

GEOMETRY_TYPES: dict[str, frozenset[str]] = {
    "point": frozenset({"Point"}),
    "line": frozenset({"LineString", "MultiLineString", "LinearRing"}),
    "polygon": frozenset({"Polygon", "MultiPolygon"}),
}

_HOLDS: dict[str, Callable[[pd.Series], bool]] = {
    "string": lambda values: pd.api.types.is_string_dtype(values.dtype),
    "float": lambda values: pd.api.types.is_float_dtype(values.dtype),
    "integer": lambda values: pd.api.types.is_integer_dtype(values.dtype),
    "boolean": lambda values: pd.api.types.is_bool_dtype(values.dtype),
    "date": lambda values: pd.api.types.is_datetime64_dtype(values.dtype),
}


def check_layer(frame: gpd.GeoDataFrame, layer: Layer, source_id: str) -> None:
    """Check a frame against its layer: columns, types, nulls, values, bounds, geometry and CRS.

    A null geometry is allowed here; the source's declaration says how many it may have.

    Args:
        frame: The conformed rows, in a projected CRS in meters.
        layer: The layer that they fill.
        source_id: The source, for the message.

    Raises:
        ContractError: If there is any fault; it names every one, in the layer's column order, with
            the first values that show it.
    """
    faults = [*_crs_faults(frame), *_geometry_faults(frame, layer)]
    for name, column in layer.columns.items():
        if name not in frame.columns:
            if column.required:
                faults.append(f"column {name!r} is missing")
            continue
        faults += [f"column {name!r} {fault}" for fault in _column_faults(frame[name], column)]
    extra = [str(n) for n in frame.columns if n not in layer.columns and n != frame.geometry.name]
    if extra:
        faults.append(f"columns {extra} do not belong to the layer")
    if faults:
        raise ContractError(
            f"checking source {source_id!r} against layer {layer.id!r}",
            "; ".join(faults),
            f"correct the columns in sources/{source_id}.toml, or the file that it reads",
        )


def _crs_faults(frame: gpd.GeoDataFrame) -> Iterator[str]:
    if frame.crs is None:
        yield "the geometry has no CRS"
    elif frame.crs.is_geographic:
        yield f"the geometry is in degrees ({frame.crs.name})"
    elif any(axis.unit_conversion_factor != 1 for axis in frame.crs.axis_info[:2]):
        unit = frame.crs.axis_info[0].unit_name
        yield f"the geometry is in {unit} ({frame.crs.name}), not meters"


def _geometry_faults(frame: gpd.GeoDataFrame, layer: Layer) -> Iterator[str]:
    allowed = frozenset[str]().union(*(GEOMETRY_TYPES.get(kind, ()) for kind in layer.geometry))
    counts_by_type = frame.geometry.geom_type.dropna().value_counts()
    for kind, count in sorted(counts_by_type.items()):
        if kind not in allowed:
            wanted = " or ".join(layer.geometry)
            yield f"{count} of {len(frame)} rows are of type {kind}, not {wanted}"


def _column_faults(values: pd.Series, column: Column) -> Iterator[str]:
    known = values.dropna()
    if not _HOLDS[column.type](values) and not (known.empty and column.nullable):
        yield f"is {values.dtype}, not {column.type}"
        return
    if not column.nullable and len(known) < len(values):
        yield f"is null in {len(values) - len(known)} of {len(values)} rows"
    if column.values:  # noqa: PD011 (a pydantic field, not a frame's)
        outside = known[~known.isin(column.values)]
        if len(outside):
            yield (
                f"holds {_shown(outside)} in {len(outside)} rows, not one of {list(column.values)}"
            )
    if column.minimum is not None and bool((below := known < column.minimum).any()):
        yield f"is below {column.minimum:g} in {below.sum()} rows ({_shown(known[below])})"
    if column.maximum is not None and bool((above := known > column.maximum).any()):
        yield f"is above {column.maximum:g} in {above.sum()} rows ({_shown(known[above])})"


def _shown(values: pd.Series) -> str:
    """Return up to three different values, sorted, as text."""
    different = sorted(set(values.tolist()))
    more = ", ..." if len(different) > 3 else ""
    return ", ".join(repr(value) for value in different[:3]) + more
