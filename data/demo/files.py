"""Write the town as files like those of real sources, including their faults.

Every file has the same bytes each time: dates inside containers are fixed, and rows are in order.
"""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import rasterio
import shapely
from affine import Affine

from data.demo import recipe
from data.demo.grids import NODATA, DemoGrid

Array = np.ndarray
FIXED_DATE = "2026-01-01"
ZIP_DATE = (2026, 1, 1, 0, 0, 0)
FEET = "EPSG:2249"
DEGREES = "EPSG:4326"


def place_shapes(shapes: Array, crs: str = recipe.CRS) -> gpd.GeoSeries:
    """Move shapes from the town's own frame to the location of the town, in `crs`."""
    moved = shapely.transform(shapes, lambda xy: xy + np.array(recipe.MIDDLE_M))
    series = gpd.GeoSeries(moved, crs=recipe.CRS)
    return series if crs == recipe.CRS else series.to_crs(crs)


def write_shapefile_zip(table: gpd.GeoDataFrame, path: Path, name: str) -> None:
    """Write a zipped shapefile.

    Args:
        table: The rows, already in the file's CRS.
        path: The path of the zip file.
        name: The name of the shapefile inside.
    """
    with tempfile.TemporaryDirectory() as scratch:
        pyogrio.write_dataframe(
            table,
            Path(scratch) / f"{name}.shp",
            driver="ESRI Shapefile",
            layer_options={"DBF_DATE_LAST_UPDATE": FIXED_DATE, "ENCODING": "UTF-8"},
        )
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in sorted(Path(scratch).iterdir()):
                info = zipfile.ZipInfo(member.name, ZIP_DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, member.read_bytes())


def write_geojson(table: pd.DataFrame, shapes: Array, path: Path) -> None:
    """Write GeoJSON in degrees, rounded to about a centimeter.

    Args:
        table: The columns (n rows).
        shapes: The shapes (n,), in the town's frame.
        path: The path of the file.
    """
    degrees = place_shapes(shapes, DEGREES).to_numpy()
    geometry = shapely.to_geojson(shapely.set_precision(degrees, 1e-7, mode="pointwise"))
    features = [
        {"type": "Feature", "properties": row, "geometry": json.loads(shape)}
        for row, shape in zip(_records(table), geometry, strict=True)
    ]
    document = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


def write_geopackage(layers: dict[str, gpd.GeoDataFrame], path: Path) -> None:
    """Write each frame as a layer of one GeoPackage."""
    path.unlink(missing_ok=True)
    with _fixed_clock():
        for name, table in layers.items():
            pyogrio.write_dataframe(
                table, path, layer=name, driver="GPKG", append=path.exists(), promote_to_multi=False
            )


def write_csv(table: pd.DataFrame, shapes: Array, path: Path) -> None:
    """Write a CSV file with longitude and latitude as text.

    Args:
        table: The columns (n rows).
        shapes: The points (n,), in the town's frame.
        path: The path of the file.
    """
    lon, lat = shapely.get_coordinates(place_shapes(shapes, DEGREES).to_numpy()).T
    table = table.assign(
        Longitude=[f"{value:.6f}" for value in lon], Latitude=[f"{value:.6f}" for value in lat]
    )
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\r\n")
    path.write_bytes(text.getvalue().encode("utf-8-sig"))


def write_geotiff(grid: DemoGrid, path: Path) -> None:
    """Write a grid (town frame) as a compressed GeoTIFF at the location of the town."""
    (rows, columns), t = grid.data.shape, grid.transform
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=columns,
        height=rows,
        count=1,
        dtype="float32",
        crs=recipe.CRS,
        nodata=NODATA,
        compress="deflate",
        predictor=3,
        transform=Affine(t.a, t.b, t.c + recipe.MIDDLE_M[0], t.d, t.e, t.f + recipe.MIDDLE_M[1]),
    ) as file:
        file.write(grid.data, 1)


@contextmanager
def _fixed_clock() -> Iterator[None]:
    name = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: f"{FIXED_DATE}T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
