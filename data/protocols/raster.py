"""Read a raster: GeoTIFF, and every other grid format that GDAL reads."""

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

    `columns.value` may name the band (`column = "1"`), the source's unit, and, in `missing`, values
    that mean nodata in addition to the file's own nodata value. The transform defines whether rows
    run north or south and how the grid is rotated.

    Args:
        path: The file.
        source: The source's declaration.
        layer: The layer that it fills.

    Returns:
        The raster, in the declared CRS.

    Raises:
        SourceChanged: The file cannot be read whole, is not georeferenced, or holds no value.
        ContractError: The file's own CRS is not the declared one.
    """
    declared = source.columns.get("value")
    band = int(declared.column) if declared and declared.column else 1
    doing = f"reading {path.name} for source {source.id!r}"
    remedy = f"fetch the file again, or correct [fetch] in sources/{source.id}.toml"
    try:
        with warnings.catch_warnings():
            # A file without georeference is rejected below, with a remedy.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                own_crs = dataset.crs.to_wkt() if dataset.crs else None
                values = dataset.read(band, masked=True).astype("float64").filled(np.nan)
                transform = dataset.transform
    except (RasterioError, IndexError) as error:
        raise SourceChanged(doing, f"{path.name} cannot be read: {error}", remedy) from error
    if transform.is_identity or transform.is_degenerate:
        raise SourceChanged(
            doing,
            f"{path.name} is not georeferenced: its transform is {tuple(transform)[:6]}",
            "fetch it with its georeference (a GeoTIFF's tags, or the .tfw beside it)",
        )
    check_crs(own_crs, source.fetch.crs, path.name, source.id)
    values = np.where(np.isin(values, _nodata_markers(declared)), np.nan, values)
    if not np.isfinite(values).any():
        raise SourceChanged(doing, f"{path.name} is empty: every value is nodata", remedy)
    unit = declared.unit if declared else None
    if unit and layer.unit:
        values = convert_units(values, unit, layer.unit)
    return Raster(values, transform, source.fetch.crs, layer.unit)


def _nodata_markers(declared: ColumnOrigin | None) -> list[float]:
    """Return the declared nodata markers, and the same markers rounded to 32-bit floats."""
    markers = [float(marker) for marker in declared.missing] if declared else []
    return [*markers, *(float(np.float32(marker)) for marker in markers)]
