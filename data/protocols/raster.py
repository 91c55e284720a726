"""Read a raster: GeoTIFF, and every other grid format that GDAL reads."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyproj
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from data.crs import check_crs
from data.notes import RoutineNote
from data.source import ColumnOrigin, Source
from geo.contract.units import convert_units
from geo.errors import ContractError, SourceChanged
from geo.model import Layer, Raster


class OwnScale(NamedTuple):
    """What a raster's file says of its values: their unit (None: nothing), scale and offset."""

    unit: str | None
    scale: float
    offset: float


# How files write the units of heights, in lower case, by the name in geo.contract.units.
FILE_UNITS = {
    **dict.fromkeys(("m", "metre", "meter", "metres", "meters"), "m"),
    **dict.fromkeys(("ft", "foot", "feet", "international foot", "foot (international)"), "ft"),
    **dict.fromkeys(
        ("us_ft", "ftus", "us survey foot", "us survey feet", "foot_us", "u.s. survey foot"),
        "us_ft",
    ),
}


def note_scale(path: Path, source: Source, layer: Layer) -> tuple[str, ...]:
    """Return a note if the file's own unit, scale or offset changes its values.

    Args:
        path: The file.
        source: The source's declaration.
        layer: The layer that it fills.

    Returns:
        One note at most.
    """
    declared = source.columns.get("value")
    with rasterio.open(path) as dataset:
        own = _read_own_scale(dataset, _band_of(declared))
    notes = []
    is_converted = own.unit is not None and own.unit != layer.unit
    if is_converted and not (declared and declared.unit):
        notes.append(f"values converted from {own.unit}, as the file says")
    if (own.scale, own.offset) != (1.0, 0.0):
        notes.append(f"values scaled by {own.scale:g} and raised by {own.offset:g}, as it says")
    return (RoutineNote("; ".join(notes)),) if notes else ()


def list_bands(path: Path) -> dict[str, str]:
    """Return the type of each band of a raster, by its number."""
    with rasterio.open(path) as dataset:
        return {f"band {number}": kind for number, kind in enumerate(dataset.dtypes, start=1)}


def _band_of(declared: ColumnOrigin | None) -> int:
    return int(declared.column) if declared and declared.column else 1


def _read_own_scale(dataset: rasterio.DatasetReader, band: int) -> OwnScale:
    """Return the unit of the band, or else of the heights of a compound CRS."""
    unit = FILE_UNITS.get((dataset.units[band - 1] or "").strip().lower())
    if unit is None and dataset.crs is not None:
        crs = pyproj.CRS.from_user_input(dataset.crs.to_wkt())
        if crs.is_compound:
            vertical = crs.sub_crs_list[-1].axis_info[0].unit_name
            unit = FILE_UNITS.get(vertical.strip().lower())
    return OwnScale(unit, dataset.scales[band - 1], dataset.offsets[band - 1])


def read_raster(path: Path, source: Source, layer: Layer) -> Raster:
    """Read one band of `path` in its own CRS; nodata is NaN, values are in the layer's unit.

    The file's own unit, scale and offset are applied.

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
        ContractError: The file's own CRS or unit is not the declared one.
    """
    declared = source.columns.get("value")
    band = _band_of(declared)
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
                own = _read_own_scale(dataset, band)
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
    values = values * own.scale + own.offset
    unit = declared.unit if declared else None
    if unit and own.unit and layer.unit and unit != own.unit:
        raise ContractError(
            doing,
            f"{path.name} says that its values are in {own.unit}, and columns.value.unit is "
            f"{unit!r}",
            f"correct columns.value.unit in sources/{source.id}.toml, or the file's label",
        )
    if layer.unit and (unit or (own.unit and layer.unit in FILE_UNITS.values())):
        values = convert_units(values, unit or own.unit or layer.unit, layer.unit)
    return Raster(values, transform, source.fetch.crs, layer.unit)


def _nodata_markers(declared: ColumnOrigin | None) -> list[float]:
    """Return the declared nodata markers, and the same markers rounded to 32-bit floats."""
    markers = [float(marker) for marker in declared.missing] if declared else []
    return [*markers, *(float(np.float32(marker)) for marker in markers)]
