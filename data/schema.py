"""The columns of a source's raw files by name and kind, so that a change of them is seen."""

import hashlib
import json
from collections.abc import Mapping

import geopandas as gpd
import pandas as pd

# The kind of a column without any value, which may turn out to be of any kind.
EMPTY = "empty"
GEOMETRY = "geometry"
_SHOWN_MOST = 6


def list_columns(table: pd.DataFrame, prefix: str = "") -> dict[str, str]:
    """Return the kind of each column of a table as it was read, and of its shapes.

    Args:
        table: The rows.
        prefix: Put before each name, as of a joined file.

    Returns:
        Kinds by column, in alphabetical order: text, number, boolean, date, empty, or the types of
        the shapes.
    """
    geometry = table.geometry.name if isinstance(table, gpd.GeoDataFrame) else None
    kinds = {f"{prefix}{name}": _kind(table[name]) for name in table.columns if name != geometry}
    if isinstance(table, gpd.GeoDataFrame):
        types = table.geometry.geom_type.dropna().str.removeprefix("Multi").unique()
        kinds[f"{prefix}{GEOMETRY}"] = " and ".join(sorted(types)) or EMPTY
    return dict(sorted(kinds.items()))


def digest_columns(columns: Mapping[str, str]) -> str:
    """Return eight characters that change with the name or kind of a column; "" if none is known.

    >>> digest_columns({"id": "text"}) != digest_columns({"id": "number"})
    True
    """
    if not columns:
        return ""
    return hashlib.sha256(json.dumps(sorted(columns.items())).encode()).hexdigest()[:8]


def describe_column_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return in words how the columns differ; "" if they do not, or if one side is not known.

    >>> describe_column_changes({"id": "text", "use": "text"}, {"id": "number", "code": "text"})
    "column 'code' is new; column 'use' is gone; column 'id' was text and is number"
    """
    if not before or not now:
        return ""
    changes = [f"column {name!r} is new" for name in now if name not in before]
    changes += [f"column {name!r} is gone" for name in before if name not in now]
    changes += [
        f"column {name!r} was {before[name]} and is {kind}"
        for name, kind in now.items()
        if name in before and before[name] != kind and EMPTY not in {before[name], kind}
    ]
    more = len(changes) - _SHOWN_MOST
    return "; ".join(changes[:_SHOWN_MOST]) + (f"; and {more} more changes" if more > 0 else "")


def _kind(values: pd.Series) -> str:
    types = pd.api.types
    if values.isna().all():
        return EMPTY
    if types.is_bool_dtype(values.dtype):
        return "boolean"
    if types.is_numeric_dtype(values.dtype):
        return "number"
    if types.is_datetime64_any_dtype(values.dtype):
        return "date"
    return "text"
