"""Read a grid of values: GeoTIFF and whatever else GDAL takes for a raster."""

import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from data.protocols.file import check_crs
from data.source import ColumnOrigin, Source
from geo.contract.units import convert_units
from geo.errors import SourceChanged
from geo.model import Layer, Raster


def read_raster(path: Path, source: Source, layer: Layer) -> Raster:
    """Read one band of `path` in its own CRS; nodata is NaN, values are in the layer's unit.

    `columns.value` may name the band (`column = "1"`), the source's unit, and in `missing` what
    stands for nodata beside what the file says itself. Rows may run north or south and the grid
    may be turned: its transform says so. Raises SourceChanged for a file that cannot be read whole,
    does not say where it lies or holds no value, ContractError for another CRS.
    """
    declared = source.columns.get("value")
    band = int(declared.column) if declared and declared.column else 1
    doing = f"reading {path.name} for source {source.id!r}"
    remedy = f"fetch the file again, or correct [fetch] in sources/{source.id}.toml"
    try:
        with warnings.catch_warnings():
            # A file that says nowhere where it lies is refused below, with a remedy.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as grid:
                own = grid.crs.to_wkt() if grid.crs else None
                values = grid.read(band, masked=True).astype("float64").filled(np.nan)
                transform = grid.transform
    except (RasterioError, IndexError) as error:
        raise SourceChanged(doing, f"{path.name} cannot be read: {error}", remedy) from error
    if transform.is_identity or transform.is_degenerate:
        raise SourceChanged(
            doing,
            f"{path.name} does not say where it lies: its transform is {tuple(transform)[:6]}",
            "fetch it with its georeference (a GeoTIFF's tags, or the .tfw beside it)",
        )
    check_crs(own, source.fetch.crs, path.name, source.id)
    values = np.where(np.isin(values, _markers(declared)), np.nan, values)
    if not np.isfinite(values).any():
        raise SourceChanged(doing, f"{path.name} is empty: every value is nodata", remedy)
    unit = declared.unit if declared else None
    if unit and layer.unit:
        values = convert_units(values, unit, layer.unit)
    return Raster(values, transform, source.fetch.crs, layer.unit)


def _markers(declared: ColumnOrigin | None) -> list[float]:
    """Return the declared markers of nodata, also as a 32-bit file rounds them."""
    markers = [float(one) for one in declared.missing] if declared else []
    return [*markers, *(float(np.float32(one)) for one in markers)]
