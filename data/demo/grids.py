"""Make the two grids of the town: ground height and ambient noise."""

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from data.demo.layout import TownLayout

Array = np.ndarray
NODATA = -9999.0
# The sound that a source's strip of pixels emits, as the level at 10 m.
SOURCES_DBA = {"arterial": 64.0, "street": 47.0, "rail": 57.0}
QUIET_DBA = 36.0


@dataclass(frozen=True)
class DemoGrid:
    """Data (row 0 north) with their transform in the town's own frame."""

    data: Array
    transform: Affine


def _blank(town: shapely.Geometry, pixel_m: float) -> tuple[Affine, tuple[int, int]]:
    left, low, right, high = town.buffer(60).bounds
    left, high = np.floor(left / pixel_m) * pixel_m, np.ceil(high / pixel_m) * pixel_m
    shape = (int(np.ceil((high - low) / pixel_m)), int(np.ceil((right - left) / pixel_m)))
    return Affine(pixel_m, 0, left, 0, -pixel_m, high), shape


def make_elevation(layout: TownLayout, town: shapely.Geometry) -> DemoGrid:
    """Return ground height in feet: a valley along the river, hills behind it."""
    pixel_m = 15.0 * max(1.0, layout.frame.scale)
    transform, (rows, columns) = _blank(town, pixel_m)
    x = transform.c + (np.arange(columns) + 0.5) * pixel_m
    y = transform.f - (np.arange(rows) + 0.5) * pixel_m
    river_x, river_y = shapely.get_coordinates(layout.river).T
    away = np.abs(y[:, None] - np.interp(x, river_x, river_y)[None, :])
    hills = 14 * np.sin(x[None, :] / 610 + 0.8) * np.sin(y[:, None] / 470) + 6 * np.sin(
        (x[None, :] + 1.7 * y[:, None]) / 240
    )
    height_m = 92 + 0.002 * x[None, :] + 60 * (1 - np.exp(-((away / 1500) ** 1.3)))
    height_m = height_m + hills * np.clip(away / 500, 0, 1)
    values = (height_m / 0.3048).round(1).astype("float32")
    # Clouds hid the first columns from the survey.
    values[:, :3] = NODATA
    return DemoGrid(values, transform)


def make_ambient(layout: TownLayout, town: shapely.Geometry) -> DemoGrid:
    """Return the level exceeded 90% of the time: the sum of roads, streets, railway and a floor."""
    pixel_m = 20.0 * max(1.0, layout.frame.scale)
    transform, shape = _blank(town, pixel_m)
    arterial = layout.streets.district == "arterial"
    lines = {
        "street": layout.streets.geometry[~arterial],
        "arterial": layout.streets.geometry[arterial],
        "rail": [layout.rail],
    }
    power = np.zeros(shape)
    for kind, shapes in lines.items():
        mask = rasterize(((one, 1) for one in shapes), shape, transform=transform, dtype="uint8")
        power = np.maximum(power, mask * 10 ** (SOURCES_DBA[kind] / 10))
    values = 10 * np.log10(_spread(power, pixel_m) + 10 ** (QUIET_DBA / 10))
    return DemoGrid(values.round(1).astype("float32"), transform)


def _spread(power: Array, pixel_m: float) -> Array:
    """Return the power that each pixel receives from all pixels, which decreases with distance."""
    size = [2 * n for n in power.shape]
    rows, columns = (np.fft.fftfreq(n, 1 / n) * pixel_m for n in size)
    distance2 = rows[:, None] ** 2 + columns[None, :] ** 2
    kernel = (pixel_m / 100) * 10**2 / (distance2 + 10**2)
    spread = np.fft.irfft2(np.fft.rfft2(power, size) * np.fft.rfft2(kernel), size)
    return np.asarray(np.clip(spread[: power.shape[0], : power.shape[1]], 0, None))
