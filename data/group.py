"""Combine the rows that a source has for one thing into one row."""

import geopandas as gpd
import pandas as pd

from data.message_text import count_noun
from data.notes import RoutineNote
from data.source import Source


def group_rows(frame: gpd.GeoDataFrame, source: Source) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Combine conformed rows with the same key; return the rows, and notes on what was done.

    Each column is combined as the source declares. A sum with a missing part is missing: 5 MVA and
    a transformer bank of unknown rating do not add up to 5 MVA. Rows without a key stay as they
    are. The fold `first`, and the shape, take the first known value in the order of the rows.
    """
    if source.group is None:
        return frame, []
    by = source.group.by
    keyed = frame[frame[by].notna()]
    groups = keyed.groupby(by, sort=False)
    notes: list[str] = []
    columns: dict[str, pd.Series] = {}
    for name in frame.columns.drop([by, frame.geometry.name]):
        fold = source.columns[name].fold if name in source.columns else "first"
        values = groups[name]
        if fold == "sum":
            known = values.count()
            is_complete = known == values.size()
            if incomplete := int((~is_complete & (known > 0)).sum()):
                notes.append(
                    f"{name}: {count_noun(incomplete, 'sum')} with a missing part, taken as missing"
                )
            columns[name] = values.sum().where(is_complete)
        else:
            columns[name] = values.agg(fold)
    shapes = keyed[keyed.geometry.notna()].drop_duplicates(by).set_index(by).geometry
    keys = groups.size().index
    folded = gpd.GeoDataFrame(
        pd.DataFrame(columns, index=keys), geometry=shapes.reindex(keys), crs=frame.crs
    ).reset_index()
    folded = folded[frame.columns].astype(frame.dtypes.drop(frame.geometry.name).to_dict())
    if len(folded) < len(keyed):
        combined = f"{count_noun(len(keyed), 'row')} combined into {len(folded)} by {by}"
        notes.insert(0, RoutineNote(combined))
    if len(keyed) == len(frame):
        return folded, notes
    both = pd.concat([folded, frame[frame[by].isna()]], ignore_index=True)
    return gpd.GeoDataFrame(both, crs=frame.crs), notes
