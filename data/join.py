"""Add the columns of a second table that shares a key with the first."""

import geopandas as gpd
import pandas as pd

from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.file import require_columns
from data.source import Source
from data.texts import text_values
from data.values import DTYPES, fill_down, read_column
from geo.errors import SourceChanged
from geo.model import Layer


def join_columns(
    rows: gpd.GeoDataFrame, joined: pd.DataFrame, source: Source, layer: Layer
) -> tuple[dict[str, pd.Series], list[str]]:
    """Return the joined columns of a source, and notes on rows without a match.

    Args:
        rows: The source's rows.
        joined: Rows of the joined file, as text.
        source: The source, which declares the join.
        layer: The layer that it fills.

    Returns:
        The columns, one value per row, and notes.

    Raises:
        SourceChanged: The file lacks a column, or too few rows find a row of it.
        ContractError: Values are not as the source declares.
    """
    join = source.join
    if join is None:
        return {}, []
    declared = [name for origin in join.columns.values() for name in origin.source_columns]
    require_columns([join.key, *declared], list(joined.columns), join.path, source.id)
    joined, notes = fill_down(joined, join.columns)
    joined_keys = joined[join.key].str.strip()
    keys = text_values(rows[join.to])
    columns: dict[str, pd.Series] = {}
    for name, origin in join.columns.items():
        column = layer.columns[name]
        values, more_notes = read_column(joined, name, origin, column, source, join.path)
        notes += more_notes
        groups = values.groupby(joined_keys)
        # A sum without any known value is missing, not zero.
        folded = groups.sum(min_count=1) if origin.fold == "sum" else groups.agg(origin.fold)
        columns[name] = keys.map(folded).astype(DTYPES[column.type])
    counts = keys.map(joined_keys.value_counts())
    if join.count_as:
        columns[join.count_as] = counts.astype("Int64")
    _check_partners(source, keys, joined_keys)
    if combined := int((counts > 1).sum()):
        count = count_noun(combined, "row")
        repeated = f"{count} with several rows of {join.path}, combined into one"
        notes.append(RoutineNote(repeated))
    if unmatched := int(counts.isna().sum()):
        notes.append(f"{count_noun(unmatched, 'row')} without a match in {join.path}")
    if unused := int((~joined_keys.isin(set(keys.dropna()))).sum()):
        notes.append(f"{count_noun(unused, 'row')} of {join.path} without a match")
    return columns, notes


def _check_partners(source: Source, keys: pd.Series, joined_keys: pd.Series) -> None:
    """Raise SourceChanged if too few rows have a partner, as when the keys were rewritten."""
    join = source.join
    known = keys.dropna()
    if join is None or known.empty:
        return
    found = int(known.isin(set(joined_keys.dropna())).sum())
    if found >= join.partners_min * len(known):
        return
    here, there = (", ".join(map(repr, side.dropna().unique()[:3])) for side in (keys, joined_keys))
    raise SourceChanged(
        f"joining {join.path} for source {source.id!r}",
        f"only {found:,} of {len(known):,} rows found a row of {join.path}, at least "
        f"{join.partners_min:.0%} expected; {join.to} is {here}, and {join.key} is {there}",
        "correct the keys, as text with every digit and leading zero, or set join.partners_min in "
        f"sources/{source.id}.toml",
    )
