"""A large raster is read near the parcels, and every file behind a raster counts."""

import zipfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from data.protocols import raster
from data.store import open_store
from geo.catalogue import read_layers
from geo.errors import ContractError, SourceChanged

LEFT, TOP = 232_000.0, 901_000.0


def write_tile(path, left=LEFT, value=50.0, cells=(10, 20), **more):
    """Write a raster of 10 m cells, all of one value."""
    profile = {
        "driver": "GTiff",
        "height": cells[0],
        "width": cells[1],
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:26986",
        "transform": Affine(10, 0, left, 0, -10, TOP),
    }
    known = {name: value for name, value in (profile | more).items() if value is not None}
    with rasterio.open(path, "w", **known) as file:
        file.write(np.full(cells, value, dtype="float32"), 1)


@pytest.fixture
def source(make_source):
    def build(path="dem.tif", **fetch):
        return make_source("elevation", path, fetch={"protocol": "raster"} | fetch)

    return build


@pytest.fixture
def pull_over_lots(tmp_path, make_square, make_table, make_source, make_market, pull):
    """Return a function that pulls ten lots and then a raster, and reads it from the store."""

    def pull_one(raster_source):
        shapes = [make_square(20 * n, -60) for n in range(10)]
        make_table(shapes, ID=[f"L{n}" for n in range(10)]).to_parquet(tmp_path / "lots.parquet")
        columns = {
            "parcel_id": {"column": "ID"},
            "jurisdiction": {"value": "tiny"},
            "use_scheme": {"value": "s"},
            "use_code": {"value": "1"},
        }
        lots = make_source("parcels", "lots.parquet", columns)
        market = make_market(lots.id, raster_source.id)
        store, pulled = pull(tmp_path, market, lots, raster_source)
        with open_store(store, read_only=True) as opened:
            return pulled[1], opened.read_raster_layer(raster_source.layer)

    return pull_one


@pytest.fixture
def large(tmp_path):
    """Write a raster of 30,000 by 30,000 cells of 10 m, few of them with values."""
    path = tmp_path / "dem.tif"
    side = 30_000
    middle = side // 2
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=side,
        width=side,
        count=1,
        dtype="float32",
        crs="EPSG:26986",
        transform=Affine(10, 0, LEFT - 10 * middle, 0, -10, TOP + 10 * middle),
        tiled=True,
        sparse_ok=True,
    ) as file:
        cells = np.arange(1, 401, dtype="float32").reshape(20, 20)
        file.write(cells, 1, window=Window(middle, middle, 20, 20))
    return path


@pytest.mark.usefixtures("large")
def test_a_large_raster_is_read_near_the_parcels_only(source, pull_over_lots):
    pulled, grid = pull_over_lots(source())
    assert "only cells within 5 km of the parcels are read" in pulled.notes
    # The lots are 200 m by 20 m, with 5 km around them: 1,020 by 1,002 cells of 10 m, of 9e8.
    assert grid.values.shape == (1002, 1020)
    assert pulled.rows_in == 1002 * 1020
    column, row = ~grid.transform @ (LEFT + 5, TOP - 5)
    # The first written cell has its upper left corner at LEFT, TOP.
    assert grid.values[int(row), int(column)] == 1.0


@pytest.mark.usefixtures("large")
def test_only_the_cells_within_declared_bounds_are_read(source, make_market, pull, tmp_path):
    # About 0.002 by 0.001 degrees around (232100, 900900): some 16 by 11 cells.
    bounds = [-71.1110, 42.3580, -71.1090, 42.3590]
    declared = source(bounds=bounds)
    _, (pulled,) = pull(tmp_path, make_market(declared.id), declared)
    assert "only cells within fetch.bounds are read" in pulled.notes
    assert 100 < pulled.rows_in < 400


def test_a_large_raster_elsewhere_or_too_large_is_refused(large, source, pull_over_lots):
    with pytest.raises(SourceChanged, match=r"has no cell within fetch\.bounds"):
        raster.read_raster(large, source(bounds=[10, 50, 11, 51]), read_layers()["elevation"])
    with pytest.raises(SourceChanged, match="has 900,000,000 cells to read, too many"):
        raster.read_raster(large, source(), read_layers()["elevation"])
    with rasterio.open(large, "r+") as file:
        file.transform = Affine(10, 0, LEFT - 900_000, 0, -10, TOP)
        file.write(np.ones((3000, 3000), dtype="float32"), 1, window=Window(0, 0, 3000, 3000))
    with pytest.raises(ContractError, match="wrong CRS or coordinates elsewhere"):
        pull_over_lots(source())


def test_a_raster_in_a_zip_is_read_and_kept(tmp_path, source, pull_over_lots):
    write_tile(tmp_path / "tile.tif")
    with zipfile.ZipFile(tmp_path / "dem.zip", "w") as archive:
        archive.write(tmp_path / "tile.tif", "folder/tile.tif")
        archive.writestr("readme.txt", "hello")
        archive.writestr("tile.csv", "a,b\n")
    _, grid = pull_over_lots(source("dem.zip"))
    assert grid.values.shape == (10, 20)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_position_beside_a_raster_counts(tmp_path, source, pull_over_lots):
    path = tmp_path / "dem.asc"
    rows = "\n".join(" ".join(["50"] * 20) for _ in range(10))
    head = f"ncols 20\nnrows 10\nxllcorner {LEFT}\nyllcorner {TOP - 100}\ncellsize 10\n"
    path.write_text(head + rows + "\n", "ascii")
    _, grid = pull_over_lots(source("dem.asc"))
    assert grid.transform @ (0, 0) == (LEFT, TOP)
    write_tile(tmp_path / "bare.tif", transform=None, crs=None)
    world = tmp_path / "bare.tfw"
    world.write_text(f"10\n0\n0\n-10\n{LEFT + 5}\n{TOP - 5}\n", "ascii")
    _, grid = pull_over_lots(source("bare.tif"))
    assert grid.transform @ (0, 0) == (LEFT, TOP)
    world.write_text(f"10\n0\n0\n-10\n{LEFT + 15}\n{TOP - 5}\n", "ascii")
    second, grid = pull_over_lots(source("bare.tif"))
    assert second.changed
    assert grid.transform @ (0, 0) == (LEFT + 10, TOP)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>", "is a web page, not data"),
        (b'{"type": "FeatureCollection", "features": []}', "is a GeoJSON, not a raster"),
        (b"<?xml version='1.0'?><GDAL_WMS><Service/></GDAL_WMS>", "is XML of a kind that is not"),
        (b"", "is empty"),
        (b"hello", "cannot be read"),
    ],
)
def test_what_is_no_raster_is_refused_by_name(tmp_path, source, content, says):
    (tmp_path / "dem.tif").write_bytes(content)
    with pytest.raises(SourceChanged, match=says) as caught:
        raster.read_raster(tmp_path / "dem.tif", source(), read_layers()["elevation"])
    assert "dem.tif" in caught.value.wrong


def write_vrt(path, *names, element="SimpleSource"):
    """Write a virtual file of tiles that lie side by side, each of 10 by 20 cells."""
    sources = "".join(
        f"<{element}><SourceFilename relativeToVRT='1'>{name}</SourceFilename><SourceBand>1"
        f"</SourceBand><SrcRect xOff='0' yOff='0' xSize='20' ySize='10'/><DstRect xOff='{20 * n}' "
        f"yOff='0' xSize='20' ySize='10'/></{element}>"
        for n, name in enumerate(names)
    )
    path.write_text(
        f"<VRTDataset rasterXSize='{20 * len(names)}' rasterYSize='10'><SRS>EPSG:26986</SRS>"
        f"<GeoTransform>{LEFT}, 10, 0, {TOP}, 0, -10</GeoTransform>"
        f"<VRTRasterBand dataType='Float32' band='1'>{sources}</VRTRasterBand></VRTDataset>",
        "utf-8",
    )


def test_every_file_behind_a_virtual_file_counts(tmp_path, source, pull_over_lots):
    for folder, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / folder).mkdir()
        write_tile(tmp_path / folder / "tile.tif", value=value)
    write_vrt(tmp_path / "dem.vrt", "a/tile.tif", "b/tile.tif")
    first, grid = pull_over_lots(source("dem.vrt"))
    assert grid.values[0].tolist() == [1.0] * 20 + [2.0] * 20
    assert not pull_over_lots(source("dem.vrt"))[0].changed
    write_tile(tmp_path / "b/tile.tif", value=3.0)
    second, grid = pull_over_lots(source("dem.vrt"))
    assert (first.changed, second.changed) == (True, True)
    assert grid.values[0].tolist() == [1.0] * 20 + [3.0] * 20


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.tif", "is made of 'gone.tif', which is not a file here"),
        ("https://host/dem.tif", "is made of 'https://host/dem.tif', which is not a file here"),
        ("/vsicurl/http://host/a.tif", "which is not a file here"),
        ("other.vrt", "is made of another virtual file, 'other.vrt'"),
    ],
)
def test_a_virtual_file_of_what_cannot_be_hashed_is_refused(
    tmp_path, source, pull_over_lots, name, says
):
    write_vrt(tmp_path / "other.vrt", "a.tif")
    write_vrt(tmp_path / "dem.vrt", name)
    with pytest.raises(SourceChanged, match=says):
        pull_over_lots(source("dem.vrt"))


def test_a_virtual_file_in_a_zip_is_read_with_its_tiles(tmp_path, source, pull_over_lots):
    write_tile(tmp_path / "a.tif", value=1.0)
    write_vrt(tmp_path / "dem.vrt", "a.tif")
    with zipfile.ZipFile(tmp_path / "dem.zip", "w") as archive:
        archive.write(tmp_path / "dem.vrt", "dem.vrt")
        archive.write(tmp_path / "a.tif", "a.tif")
    _, grid = pull_over_lots(source("dem.zip", member="dem.vrt"))
    assert grid.values[0].tolist() == [1.0] * 20
    write_vrt(tmp_path / "dem.vrt", str(tmp_path / "a.tif"))
    with zipfile.ZipFile(tmp_path / "dem.zip", "w") as archive:
        archive.write(tmp_path / "dem.vrt", "dem.vrt")
        archive.write(tmp_path / "a.tif", "b.tif")
    with pytest.raises(SourceChanged, match="lies outside the zip"):
        pull_over_lots(source("dem.zip", member="dem.vrt"))
