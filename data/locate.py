"""Give rows without coordinates a point, using the name of their place."""

import geopandas as gpd
import pandas as pd
import shapely

from data.message_text import count_noun, join_choices
from data.protocols.file import parse_numbers, require_columns
from data.source import PlaceTable, Source
from data.texts import text_values

_MAX_SAMPLES = 3


def locate_rows(
    frame: gpd.GeoDataFrame, places: pd.DataFrame, source: Source
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return conformed rows; those without a shape get a point from the declared place table.

    Args:
        frame: The rows, in the source's CRS.
        places: The place table as text. A row whose place it does not list stays without a shape.
        source: The source, which declares the table's columns.

    Returns:
        The rows, and notes on what was done.

    Raises:
        SourceChanged: The table lacks a declared column.
    """
    place = source.place
    if place is None:
        return frame, []
    require_columns([place.key, place.x, place.y], list(places.columns), place.path, source.id)
    coordinates, notes = _read_coordinates(places, place)
    points = gpd.GeoSeries(
        shapely.points(coordinates["x"].to_numpy(), coordinates["y"].to_numpy()),
        index=coordinates.index,
        crs=place.crs or source.fetch.crs,
    ).to_crs(source.fetch.crs)
    has_no_shape = frame.geometry.isna()
    names = text_values(frame.loc[has_no_shape, place.to])
    row_points = points.reindex(names)
    shapes = frame.geometry.to_numpy(copy=True)
    shapes[has_no_shape.to_numpy()] = row_points.to_numpy()
    unlocated = names[row_points.isna().to_numpy()]
    if len(unlocated):
        samples = sorted(set(unlocated.dropna()))[:_MAX_SAMPLES]
        such_as = f", such as {join_choices(samples)}" if samples else ""
        rows = count_noun(len(unlocated), "row")
        notes.append(f"{rows} without a place in {place.path}{such_as}")
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs)), notes


def _read_coordinates(places: pd.DataFrame, place: PlaceTable) -> tuple[pd.DataFrame, list[str]]:
    """Return x and y by place name, and notes on the rows that are not used."""
    notes: list[str] = []
    coordinates = pd.DataFrame(
        {
            "key": text_values(places[place.key]),
            "x": parse_numbers(places[place.x], place.decimal),
            "y": parse_numbers(places[place.y], place.decimal),
        }
    )
    is_readable = coordinates.notna().all(axis=1)
    if count := int((~is_readable).sum()):
        rows = count_noun(count, "row")
        notes.append(f"{rows} of {place.path} without a name or a readable place")
    coordinates = coordinates[is_readable].sort_values(["key", "x", "y"])
    is_repeated = coordinates.duplicated("key")
    if count := int(is_repeated.sum()):
        rows = count_noun(count, "row")
        notes.append(f"{rows} of {place.path} with a repeated name, not used")
    return coordinates[~is_repeated].set_index("key"), notes
