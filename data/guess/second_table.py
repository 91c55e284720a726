"""Draft how a second table is joined to the parcels."""

from dataclasses import dataclass

import pandas as pd

from data.guess.columns import guess_columns
from data.guess.join import JoinGuess, explain_no_join, guess_join
from data.guess.lines import Line, Table
from data.guess.naming import Context
from data.texts import text_values
from geo.errors import ContractError
from geo.model import Layer


@dataclass(frozen=True)
class SecondTable:
    """A second table with more columns of the parcels.

    Attributes:
        rows: Its rows, as text.
        path: Its path, as declared.
        lines: How it is read.
    """

    rows: pd.DataFrame
    path: str
    lines: tuple[Line, ...]


def find_join(columns: pd.DataFrame, second: SecondTable, name: str) -> JoinGuess:
    """Return the columns by which a second table belongs to a dataset.

    Args:
        columns: The dataset's columns.
        second: The second table.
        name: The dataset's name, for the message.

    Returns:
        The columns, with the numbers of their partners.

    Raises:
        ContractError: No two columns share their keys.
    """
    found = guess_join(columns, second.rows)
    if found is not None:
        return found
    alike = explain_no_join(columns, second.rows)
    raise ContractError(
        "reading --parcels-table",
        f"no column of {second.path} holds the keys of {name}: not even half of the rows of any "
        f"column find a row of it" + (f"; {alike}" if alike else ""),
        "bring the keys of both files to one form, as text with every digit and leading zero"
        if alike
        else f"name the table that belongs to {name}; both need a column with the same keys",
    )


def draft_join(
    columns: pd.DataFrame,
    second: SecondTable,
    joined: JoinGuess,
    layer: Layer,
    found: set[str],
    drawn_m2: pd.Series | None,
) -> tuple[tuple[Table, ...], set[str]]:
    """Draft how a second table is joined.

    Args:
        columns: The dataset's own columns.
        second: The second table.
        joined: The columns that hold the keys.
        layer: The layer.
        found: The layer's columns that the dataset itself fills.
        drawn_m2: The areas of its shapes in m2.

    Returns:
        The tables of the join, and the layer's columns that it fills.
    """
    keys = text_values(second.rows[joined.key])
    is_many = bool(keys.dropna().duplicated().any())
    areas = None
    if drawn_m2 is not None:
        by_key = drawn_m2.groupby(text_values(columns[joined.to])).sum()
        areas = keys.map(by_key).astype("float64")
    rest = {
        name: column
        for name, column in layer.columns.items()
        if name not in found and name not in {layer.key, "polygon_kind", "record_count"}
    }
    of_table = layer.model_copy(update={"columns": rest})
    context = Context(drawn_m2=areas, many=is_many)
    lines = tuple(
        line
        for line in guess_columns(second.rows.drop(columns=joined.key), of_table, context)
        if not (line.is_open and rest[line.key].required)
    )
    head = [
        *second.lines,
        Line("key", joined.key, describe_join(joined, second)),
        Line("to", joined.to),
    ]
    if is_many and "record_count" not in found:
        head.append(Line("count_as", "record_count"))
    filled = {line.key for line in lines if not line.is_open}
    return (Table("join", tuple(head)), Table("join.columns", lines)), filled


def describe_join(joined: JoinGuess, second: SecondTable) -> str:
    """Return in words how many rows find a partner."""
    repeated = f"; {joined.repeated:,} find several rows" if joined.repeated else ""
    found = f"{joined.partners:,} of {joined.keys:,} rows ({joined.share:.1%}) find a row"
    return (
        f"{joined.to} = {joined.key}: {found} of {second.path}{repeated}; {joined.unused:,} of its "
        f"{len(second.rows):,} rows are not used"
    )
