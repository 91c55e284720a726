"""The headers of the built-in markets' real and made-up files are as declared; faults are told."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine

from data.headers import list_header_faults
from geo.errors import ConfigError, ContractError, SourceChanged
from tests.built_in import read_sources

SOURCES = read_sources()
CAMBRIDGE = [name for name in SOURCES if name.startswith("cambridge_")]


@pytest.mark.parametrize("name", CAMBRIDGE)
def test_cambridges_headers_are_as_declared(name, cambridge_files):
    assert list_header_faults(SOURCES[name], cambridge_files) == ()


@pytest.fixture
def points(make_points):
    return make_points(USE="a")


@pytest.mark.parametrize("suffix", ["gpkg", "fgb", "shp", "geojson", "parquet"])
def test_a_missing_column_and_other_shapes_are_told_of_every_format(
    suffix, points, make_source, tmp_path
):
    if suffix == "parquet":
        points.to_parquet(tmp_path / "lots.parquet")
    else:
        points.to_file(tmp_path / f"lots.{suffix}", engine="pyogrio")
    columns = {"parcel_id": {"column": "ID"}, "use_code": {"column": "USE_CODE"}}
    source = make_source("parcels", f"lots.{suffix}", columns, fetch={"crs": "EPSG:2249"})
    faults = list_header_faults(source, tmp_path)
    kinds = [type(fault) for fault in faults]
    # GeoJSON is in degrees, whatever the frame was in, if its writer says so.
    assert kinds == [SourceChanged, ContractError, ContractError]
    assert "no column 'USE_CODE'" in str(faults[0])
    assert "declares EPSG:2249" in str(faults[1])
    assert "its shapes are Point, and layer 'parcels' takes a polygon" in str(faults[2])


def test_the_titles_of_a_table_and_of_its_second_table_are_read(make_source, tmp_path):
    (tmp_path / "a.csv").write_text("ID,Lon,Lat\n1,2,3\n", "utf-8")
    (tmp_path / "b.csv").write_text("KEY;V\n1;2\n", "utf-8")
    source = make_source(
        "substations",
        "a.csv",
        {"substation_id": {"column": "ID"}, "status": {"value": "unknown"}},
        fetch={"x": "Lon", "y": "LAT"},
        join={
            "path": "b.csv",
            "key": "KEY",
            "to": "ID",
            "delimiter": ";",
            "columns": {"voltage_kv": {"column": "KV"}},
        },
    )
    faults = list_header_faults(source, tmp_path)
    assert [fault.wrong for fault in faults] == [
        "no column 'LAT' (it has ['ID', 'Lon', 'Lat'])",
        "no column 'KV' (nearest: 'V')",
    ]


def test_rows_are_not_read(make_source, tmp_path):
    """A table of which a later row cannot be read has a header that fits."""
    (tmp_path / "a.csv").write_text("ID,Lon,Lat\n1,2,3\n1,2,3,4,5\n", "utf-8")
    columns = {"substation_id": {"column": "ID"}, "status": {"value": "unknown"}}
    source = make_source("substations", "a.csv", columns, fetch={"x": "Lon", "y": "Lat"})
    assert list_header_faults(source, tmp_path) == ()


def test_a_missing_file_and_a_missing_area_are_told_together(make_source, tmp_path):
    source = make_source("parcels", "lots.gpkg", coverage={"kind": "file", "path": "area.geojson"})
    faults = list_header_faults(source, tmp_path)
    assert [type(fault) for fault in faults] == [ConfigError, ConfigError]
    assert str(tmp_path / "lots.gpkg") in str(faults[0])
    assert str(tmp_path / "area.geojson") in str(faults[1])


def test_an_area_without_polygons_is_told(make_source, points, tmp_path):
    gpd.GeoDataFrame(points).to_parquet(tmp_path / "points.parquet")
    source = make_source(
        "substations",
        "points.parquet",
        {"substation_id": {"column": "ID"}},
        coverage={"kind": "file", "path": "points.parquet"},
    )
    (fault,) = list_header_faults(source, tmp_path)
    assert "has no polygon" in str(fault)


def test_a_raster_in_another_crs_or_without_the_band_is_told(make_source, tmp_path):
    with rasterio.open(
        tmp_path / "dem.tif", "w", driver="GTiff", width=2, height=2, count=1, dtype="float32",
        crs="EPSG:26986", transform=Affine(10, 0, 0, 0, -10, 0),
    ) as file:  # fmt: skip
        file.write(np.zeros((2, 2), dtype="float32"), 1)
    fetch = {"protocol": "raster", "crs": "EPSG:2249"}
    source = make_source("elevation", "dem.tif", {"value": {"column": "2"}}, fetch=fetch)
    faults = list_header_faults(source, tmp_path)
    assert ["has 1 bands, not 2" in str(faults[0]), "EPSG:2249" in str(faults[1])] == [True, True]


def test_a_download_is_not_looked_at(make_source, tmp_path):
    source = make_source("parcels", None, fetch={"path": None, "url": "https://h.invalid/a.zip"})
    assert list_header_faults(source, tmp_path) == ()
