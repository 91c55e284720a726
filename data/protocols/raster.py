"""Read a raster: GeoTIFF, and every other grid format that GDAL reads."""

import math
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyproj
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window
from shapely.geometry import box

from data.crs import check_crs
from data.notes import RoutineNote
from data.protocols.archive import open_file
from data.protocols.bounds import Bounds, bounds_in_crs
from data.protocols.refusal import first_line, refuse_file
from data.protocols.virtual import list_virtual_parts
from data.source import ColumnOrigin, Source
from geo.contract.units import convert_units
from geo.errors import ContractError
from geo.model import Layer, Raster


class OwnScale(NamedTuple):
    """What a raster's file says of its values: their unit (None: nothing), scale and offset."""

    unit: str | None
    scale: float
    offset: float


class _Cells(NamedTuple):
    """The cells of a file as they are read: values, place, the file's own scale, and notes."""

    values: np.ndarray
    transform: Affine
    own: OwnScale
    notes: tuple[str, ...]


# A raster with more cells is read near the parcels only; one with more than CELLS_MOST not at all.
LARGE_CELLS, CELLS_MOST = 25_000_000, 250_000_000
# How far around the parcels, because sound and sight reach beyond them.
MARGIN_M = 5000.0
COARSE_SIDE = 1000

# How files write the units of heights, in lower case, by the name in geo.contract.units.
FILE_UNITS = {
    **dict.fromkeys(("m", "metre", "meter", "metres", "meters"), "m"),
    **dict.fromkeys(("ft", "foot", "feet", "international foot", "foot (international)"), "ft"),
    **dict.fromkeys(
        ("us_ft", "ftus", "us survey foot", "us survey feet", "foot_us", "u.s. survey foot"),
        "us_ft",
    ),
}


def list_bands(path: Path, source: Source) -> dict[str, str]:
    """Return the type of each band of a raster, which may be packed, by its number."""
    with open_file(path, source, path.name) as opened, rasterio.open(opened.path) as dataset:
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


def read_raster(
    path: Path, source: Source, layer: Layer, near: tuple[Bounds, str] | None = None
) -> Raster:
    """Return the raster that `read_noted_raster` reads, without its notes.

    Args:
        path: The file; it may be packed.
        source: The source's declaration.
        layer: The layer that it fills.
        near: Bounds of the parcels, and their CRS.

    Returns:
        The raster, in the declared CRS.
    """
    return read_noted_raster(path, source, layer, near)[0]


def read_noted_raster(
    path: Path, source: Source, layer: Layer, near: tuple[Bounds, str] | None = None
) -> tuple[Raster, tuple[str, ...]]:
    """Read one band of a raster in its own CRS; nodata is NaN, values are in the layer's unit.

    The file's own unit, scale and offset are applied. Only the cells within the source's declared
    bounds are read or, of a large raster, those near the parcels.

    `columns.value` may name the band (`column = "1"`), the source's unit, and, in `missing`, values
    that mean nodata in addition to the file's own nodata value. The transform defines whether rows
    run north or south and how the grid is rotated.

    Args:
        path: The file; it may be packed.
        source: The source's declaration.
        layer: The layer that it fills.
        near: Bounds of the parcels, and their CRS.

    Returns:
        The raster, in the declared CRS, and notes on what was read and how it was converted.

    Raises:
        SourceChanged: The file cannot be read whole, is not georeferenced, or holds no value.
        ContractError: The file's own CRS or unit is not the declared one.
    """
    declared = source.columns.get("value")
    doing = f"reading {path.name} for source {source.id!r}"
    with open_file(path, source, path.name) as opened:
        if opened.kind == "vrt":
            _check_virtual_parts(path, opened.path, source)
        cells = _read_cells(opened.path, source, path.name, near)
    own, values = cells.own, cells.values
    values = np.where(np.isin(values, _nodata_markers(declared)), np.nan, values)
    if not np.isfinite(values).any():
        raise refuse_file(path.name, source.id, "is empty: every value is nodata")
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
    raster = Raster(values, cells.transform, source.fetch.crs, layer.unit)
    return raster, (*cells.notes, *_note_scale(own, unit, layer))


def _check_virtual_parts(path: Path, plain: Path, source: Source) -> None:
    """Check that a virtual file is made of files that are here and, in a zip, of the zip's own."""
    parts = list_virtual_parts(plain, source.id)
    if plain == path:
        return
    for part in parts:
        if not part.resolve().is_relative_to(plain.parent.resolve()):
            wrong = f"holds a virtual file made of {part.name}, which lies outside the zip"
            raise refuse_file(path.name, source.id, wrong, "pack every file that it names")


def _note_scale(own: OwnScale, unit: str | None, layer: Layer) -> tuple[str, ...]:
    """Return a note if the file's own unit, scale or offset changes its values."""
    notes = []
    if own.unit is not None and own.unit != layer.unit and not unit:
        notes.append(f"values converted from {own.unit}, as the file says")
    if (own.scale, own.offset) != (1.0, 0.0):
        notes.append(f"values scaled by {own.scale:g} and raised by {own.offset:g}, as it says")
    return (RoutineNote("; ".join(notes)),) if notes else ()


def _read_cells(path: Path, source: Source, shown: str, near: tuple[Bounds, str] | None) -> _Cells:
    """Read the cells of a plain file that are needed."""
    band = _band_of(source.columns.get("value"))
    try:
        with warnings.catch_warnings():
            # A file without georeference is rejected below, with a remedy.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                transform = dataset.transform
                if transform.is_identity or transform.is_degenerate:
                    raise refuse_file(
                        shown,
                        source.id,
                        f"is not georeferenced: its transform is {tuple(transform)[:6]}",
                        "fetch it with its georeference (a GeoTIFF's tags, or the .tfw beside it)",
                    )
                crs = dataset.crs.to_wkt() if dataset.crs else None
                check_crs(crs, source.fetch.crs, shown, source.id)
                own = _read_own_scale(dataset, band)
                window, step, notes = _choose_window(dataset, source, shown, near)
                size = (math.ceil(window.height / step), math.ceil(window.width / step))
                read = dataset.read(band, window=window, out_shape=size, masked=True)
    except (RasterioError, IndexError) as error:
        wrong = f"cannot be read: {first_line(error).replace(str(path), shown)}"
        raise refuse_file(shown, source.id, wrong) from error
    values = read.astype("float64").filled(np.nan)
    place = transform @ Affine.translation(window.col_off, window.row_off)
    coarse = Affine.scale(window.width / size[1], window.height / size[0])
    return _Cells(values, place @ coarse if step > 1 else place, own, notes)


def _choose_window(
    dataset: rasterio.DatasetReader, source: Source, shown: str, near: tuple[Bounds, str] | None
) -> tuple[Window, int, tuple[str, ...]]:
    """Return the window to read, how many cells apart, and a note on it.

    A raster that lies elsewhere is read coarsely as a whole: it is refused for its place later, and
    only its outline counts.
    """
    whole = Window(0, 0, dataset.width, dataset.height)
    crs = source.fetch.crs
    if source.fetch.bounds is not None:
        window = _window_of(bounds_in_crs(source.fetch.bounds, crs), dataset)
        if window is None:
            wrong = "has no cell within fetch.bounds"
            raise refuse_file(shown, source.id, wrong, "correct fetch.bounds")
        notes: tuple[str, ...] = (RoutineNote("only cells within fetch.bounds are read"),)
    elif near is None or dataset.width * dataset.height <= LARGE_CELLS:
        window, notes = whole, ()
    else:
        bounds, parcels_crs = near
        left, bottom, right, top = box(*bounds).buffer(MARGIN_M, join_style="mitre").bounds
        to_crs = pyproj.Transformer.from_crs(parcels_crs, crs, always_xy=True)
        window = _window_of(to_crs.transform_bounds(left, bottom, right, top), dataset)
        read = f"only cells within {MARGIN_M / 1000:g} km of the parcels are read"
        notes = (RoutineNote(read),)
        if window is None:
            side = max(dataset.width, dataset.height)
            return whole, math.ceil(side / COARSE_SIDE), ()
    if window.width * window.height > CELLS_MOST:
        wrong = f"has {int(window.width * window.height):,} cells to read, too many for the memory"
        raise refuse_file(shown, source.id, wrong, "declare fetch.bounds, or a coarser raster")
    return window, 1, notes


def _window_of(bounds: Bounds, dataset: rasterio.DatasetReader) -> Window | None:
    """Return the cells that meet bounds in the raster's CRS; None if there are none."""
    left, bottom, right, top = bounds
    if not np.isfinite(bounds).all():
        return None
    corners = [(left, bottom), (left, top), (right, bottom), (right, top)]
    across, down = np.array([~dataset.transform @ corner for corner in corners]).T
    first_column, last_column = max(math.floor(across.min()), 0), math.ceil(across.max())
    first_row, last_row = max(math.floor(down.min()), 0), math.ceil(down.max())
    width = min(last_column, dataset.width) - first_column
    height = min(last_row, dataset.height) - first_row
    return Window(first_column, first_row, width, height) if min(width, height) > 0 else None


def _nodata_markers(declared: ColumnOrigin | None) -> list[float]:
    """Return the declared nodata markers, and the same markers rounded to 32-bit floats."""
    markers = [float(marker) for marker in declared.missing] if declared else []
    return [*markers, *(float(np.float32(marker)) for marker in markers)]
