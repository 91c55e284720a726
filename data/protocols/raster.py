"""Read a grid of values: GeoTIFF and whatever else GDAL takes for a raster."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from data.protocols.file import same_crs
from data.source import Source
from geo.errors import SourceChanged
from geo.measure import convert
from geo.model import Layer, Raster


def read(path: Path, source: Source, layer: Layer) -> Raster:
    """Read one band of `path` in its own CRS; nodata is NaN, values are in the layer's unit.

    `columns.value` may name the band (`column = "1"`) and the source's unit. Raises SourceChanged
    for a file that cannot be read whole or holds no value, ContractError for another CRS.
    """
    declared = source.columns.get("value")
    band = int(declared.column) if declared and declared.column else 1
    doing = f"reading {path.name} for source {source.id!r}"
    remedy = f"fetch the file again, or correct [fetch] in data/sources/{source.id}.toml"
    try:
        with rasterio.open(path) as grid:
            own = grid.crs.to_wkt() if grid.crs else None
            values = grid.read(band, masked=True).astype("float64").filled(np.nan)
            transform = grid.transform
    except (RasterioError, IndexError) as error:
        raise SourceChanged(doing, f"{path.name} cannot be read: {error}", remedy) from error
    same_crs(own, source.fetch.crs, path.name, source.id)
    if not np.isfinite(values).any():
        raise SourceChanged(doing, f"{path.name} is empty: every value is nodata", remedy)
    unit = declared.unit if declared else None
    if unit and layer.unit:
        values = convert(values, unit, layer.unit)
    return Raster(values, transform, source.fetch.crs, layer.unit)
