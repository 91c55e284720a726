"""Make one row of the several that a source has for one thing, and give rows a place by name."""

import geopandas as gpd
import pandas as pd
import shapely

from data.message_text import count_noun, join_choices
from data.protocols.file import parse_numbers, require_columns
from data.source import Source
from data.values import text_values

_SAMPLES = 3


def group_rows(frame: gpd.GeoDataFrame, source: Source) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return conformed rows with those of one key made one, each column folded as declared.

    A sum of which a part is missing is missing: 5 MVA and a bank of unknown rating are not 5 MVA.
    Rows without a key stay as they are. `first` and the shape are of the rows as they come.
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
            whole = known == values.size()
            if lost := int((~whole & (known > 0)).sum()):
                notes.append(
                    f"{name}: {count_noun(lost, 'sum')} with a missing part, taken as missing"
                )
            columns[name] = values.sum().where(whole)
        else:
            columns[name] = values.agg(fold)
    shapes = keyed[keyed.geometry.notna()].drop_duplicates(by).set_index(by).geometry
    keys = groups.size().index
    folded = gpd.GeoDataFrame(
        pd.DataFrame(columns, index=keys), geometry=shapes.reindex(keys), crs=frame.crs
    ).reset_index()
    folded = folded[frame.columns].astype(frame.dtypes.drop(frame.geometry.name).to_dict())
    if len(folded) < len(keyed):
        notes.insert(0, f"{count_noun(len(keyed), 'row')} folded into {len(folded)} by {by}")
    if len(keyed) == len(frame):
        return folded, notes
    both = pd.concat([folded, frame[frame[by].isna()]], ignore_index=True)
    return gpd.GeoDataFrame(both, crs=frame.crs), notes


def locate_rows(
    frame: gpd.GeoDataFrame, places: pd.DataFrame, source: Source
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return conformed rows with points from the declared place table where they have no shape.

    `places` is that table as text; what it does not name stays without a shape.
    """
    place = source.place
    if place is None:
        return frame, []
    require_columns([place.key, place.x, place.y], list(places.columns), place.path, source.id)
    notes: list[str] = []
    spots = pd.DataFrame(
        {
            "key": text_values(places[place.key]),
            "x": parse_numbers(places[place.x], place.decimal),
            "y": parse_numbers(places[place.y], place.decimal),
        }
    )
    known = spots.notna().all(axis=1)
    if count := int((~known).sum()):
        notes.append(
            f"{count_noun(count, 'row')} of {place.path} without a name or a readable place"
        )
    spots = spots[known].sort_values(["key", "x", "y"])
    again = spots.duplicated("key")
    if count := int(again.sum()):
        notes.append(
            f"{count_noun(count, 'row')} of {place.path} with a name it had before, not used"
        )
    spots = spots[~again].set_index("key")
    points = gpd.GeoSeries(
        shapely.points(spots["x"].to_numpy(), spots["y"].to_numpy()),
        index=spots.index,
        crs=place.crs or source.fetch.crs,
    ).to_crs(source.fetch.crs)
    bare = frame.geometry.isna()
    names = text_values(frame.loc[bare, place.to])
    found = points.reindex(names)
    shapes = frame.geometry.to_numpy(copy=True)
    shapes[bare.to_numpy()] = found.to_numpy()
    lost = names[found.isna().to_numpy()]
    if len(lost):
        some = sorted(set(lost.dropna()))[:_SAMPLES]
        such = f", such as {join_choices(some)}" if some else ""
        notes.append(f"{count_noun(len(lost), 'row')} without a place in {place.path}{such}")
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs)), notes
