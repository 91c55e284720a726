"""Draft the declaration of a raster from what its file says."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from data.given import (
    Given,
    describe_source,
    find_file,
    guess_vintage,
    name_option,
    wrong_option,
)
from data.guess.declare import Draft
from data.guess.lines import Line, Table
from data.guess.place import name_crs
from data.protocols.archive import open_file
from data.protocols.raster import FILE_UNITS
from geo.errors import PadfinderError
from geo.model import Layer


def draft_raster(
    source_id: str, layer: Layer, given: Given, name_path: Callable[[Path], str]
) -> Draft:
    """Draft the declaration of a raster.

    Args:
        source_id: The source's id.
        layer: The layer that it fills.
        given: Where the file is.
        name_path: Returns a file's path as a source declares it.

    Returns:
        The draft.

    Raises:
        ConfigError: There is no such file, it is no raster, or its CRS is not known.
        SourceChanged: It is packed and cannot be unpacked.
    """
    try:
        return _draft(source_id, layer, given, name_path)
    except PadfinderError as error:
        raise name_option(error, given) from error


def _draft(source_id: str, layer: Layer, given: Given, name_path: Callable[[Path], str]) -> Draft:
    path, _ = find_file(given)
    source = describe_source(source_id, {"protocol": "raster", "path": path.name})
    with open_file(path, source, path.name) as opened:
        try:
            with rasterio.open(opened.path) as dataset:
                unit = FILE_UNITS.get((dataset.units[0] or "").strip().lower())
                own = dataset.crs.to_wkt() if dataset.crs is not None else None
        except RasterioError as error:
            wrong = f"{path.name} is no raster"
            raise wrong_option(given, wrong, "name a GeoTIFF, for example") from error
    crs = given.crs or (name_crs(own) if own else None)
    if crs is None:
        wrong = f"{path.name} does not say in which CRS it is"
        raise wrong_option(given, wrong, "give it as --crs EPSG:2249, for example")
    modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()
    vintage = guess_vintage(path.name, modified, "the day on which the file was last changed")
    why = "as the file says" if unit else "the file names no unit; feet are ft or us_ft"
    head = (
        Line("id", source_id),
        Line("layer", layer.id),
        Line("title", layer.title, "the name for readers"),
        Line("publisher", "not stated", "who publishes the data?"),
        Line("licence", "not stated", "which license do they have?"),
        Line("attribution", "not stated", "the credit that must be shown with the data"),
        Line("redistribute", False, "true only if the license allows passing the data on"),
        vintage,
    )
    fetch = (
        Line("protocol", "raster"),
        Line("path", name_path(path)),
        Line("crs", crs, "as given by --crs" if given.crs else ""),
    )
    columns = (Line("value", {"column": "1", "unit": unit or layer.unit}, why),)
    tables = (
        Table("", head),
        Table("fetch", fetch),
        Table("columns", columns),
        Table("coverage", (Line("kind", "bounds"),)),
    )
    return Draft(source_id, layer.id, tables, (), (), ())
