"""The columns of a source's raw files by name and kind, so that a change of them is seen."""

import hashlib
import json
from collections.abc import Collection, Mapping

import geopandas as gpd
import pandas as pd

# Where a reader keeps the kinds of the file's columns that it left out, in a frame's attributes.
LEFT_OUT = "columns left out"
# The kind of a column without any value, which may turn out to be of any kind.
EMPTY = "empty"
GEOMETRY = "geometry"
_TYPE_NAMES = {
    "number": ("int", "uint", "float", "double", "decimal", "halffloat"),
    "boolean": ("bool",),
    "date": ("date", "timestamp"),
}
_SHOWN_MOST = 6


def list_columns(table: pd.DataFrame, prefix: str = "") -> dict[str, str]:
    """Return the kind of each column of a table as it was read, and of its shapes.

    Args:
        table: The rows.
        prefix: Put before each name, as of a joined file.

    Returns:
        Kinds by column, in alphabetical order: text, number, boolean, date, empty, or the types of
        the shapes. Columns that the reader left out are among them.
    """
    geometry = table.geometry.name if isinstance(table, gpd.GeoDataFrame) else None
    kinds = {f"{prefix}{name}": _kind(table[name]) for name in table.columns if name != geometry}
    kinds |= {f"{prefix}{name}": kind for name, kind in table.attrs.get(LEFT_OUT, {}).items()}
    if isinstance(table, gpd.GeoDataFrame):
        types = table.geometry.geom_type.dropna().str.removeprefix("Multi").unique()
        kinds[f"{prefix}{GEOMETRY}"] = " and ".join(sorted(types)) or EMPTY
    return dict(sorted(kinds.items()))


def name_left_out(types: Mapping[str, str], read: Collection[str]) -> dict[str, str]:
    """Return the kind of each column of a file that was not read.

    Args:
        types: The type of each of the file's columns, in the words of numpy, Arrow or pandas.
        read: The columns that were read.

    Returns:
        Kinds by column, as in `list_columns`.

    >>> name_left_out({"id": "int64", "owner": "object", "on": "timestamp[ms]"}, ["id"])
    {'owner': 'text', 'on': 'date'}
    """
    return {name: _kind_of_type(text) for name, text in types.items() if name not in read}


def _kind_of_type(text: str) -> str:
    for kind, starts in _TYPE_NAMES.items():
        if text.lower().startswith(starts):
            return kind
    return "text"


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
