"""Find a column by its name, and what is known besides the columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from data.guess.catalogue import fit_name, read_names
from data.texts import text_values


@dataclass(frozen=True)
class Context:
    """What is known besides the columns.

    Attributes:
        constants: Values that are the same in every row, by column of the layer.
        drawn_m2: The areas of the shapes in m2, on the rows of the columns; None for no areas.
        key: The column that is the key of a join, and so the id; None without a join.
        partners: The keys of the second table; None without a join.
        many: Whether several rows may belong to one row of the layer, as in a joined table.
    """

    constants: Mapping[str, Any] = field(default_factory=dict)
    drawn_m2: pd.Series | None = None
    key: str | None = None
    partners: frozenset[str] | None = None
    many: bool = False


def find_column(
    rows: pd.DataFrame, layer_id: str, name: str, fits: Callable[[pd.Series], bool]
) -> str | None:
    """Return the column whose name is the most telling one for a column of a layer.

    Args:
        rows: The rows, without shapes.
        layer_id: The layer.
        name: Its column.
        fits: Whether the values of a column can be meant.

    Returns:
        The source's name of the column; None if no name tells.
    """
    for pattern in read_names()[layer_id].get(name, ()):
        for column in map(str, rows.columns):
            if fit_name(column, pattern) and not _is_empty(rows[column]) and fits(rows[column]):
                return column
    return None


def _is_empty(values: pd.Series) -> bool:
    return bool(text_values(values).isna().all())
