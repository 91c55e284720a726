"""The picture of one site's noise: the contents of its files, and its page in a real browser."""

import json
import re

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from geo.criteria.noise.picture import draw_contours
from geo.model import Raster
from maps import noise
from tests.maps.conftest import CRS, HOSTILE, ORIGIN

CELL_M = 4.0
SIDE = 150
HOUSE = shapely.box(ORIGIN[0] + 40, ORIGIN[1] + 40, ORIGIN[0] + 70, ORIGIN[1] + 60)


def made_grid():
    """Return levels around the origin: 69 dB(A) at 20 m, falling by 20 lg r, none indoors."""
    reach = CELL_M * SIDE / 2
    transform = Affine(CELL_M, 0, ORIGIN[0] - reach, 0, -CELL_M, ORIGIN[1] + reach)
    row, column = np.indices((SIDE, SIDE))
    x = transform.c + (column + 0.5) * CELL_M
    y = transform.f - (row + 0.5) * CELL_M
    values = 69 - 20 * np.log10(np.hypot(x - ORIGIN[0], y - ORIGIN[1]) / 20)
    values[shapely.contains_xy(HOUSE, x, y)] = np.nan
    return Raster(values, transform, CRS, "dB(A)")


@pytest.fixture(scope="module")
def picture():
    grid = made_grid()
    machine = shapely.box(*(ORIGIN - 1), *(ORIGIN + 1))
    return noise.NoisePicture(
        site_id="1-0/A",
        title=HOSTILE[1],
        running=3,
        installed=4,
        parcel=shapely.box(*(ORIGIN - 25), *(ORIGIN + 30)),
        pad=shapely.box(*(ORIGIN - 2), *(ORIGIN + 2)),
        machines=shapely.MultiPolygon([machine]),
        grid=grid,
        lines=draw_contours(grid, np.array([HOUSE])),
        receiver_height_m=1.5,
        edition="ISO 9613-2:1996",
        said=(HOSTILE[0], HOSTILE[4]),
        assumptions=(HOSTILE[2],),
    )


@pytest.fixture(scope="module")
def town(drawing):
    return drawing | {"buildings": gpd.GeoDataFrame(geometry=[HOUSE], crs=CRS)}


@pytest.fixture(scope="module")
def folder(picture, town, report, tmp_path_factory):
    made = tmp_path_factory.mktemp("noise")
    noise.write_picture(picture, town, report, made)
    return made


def test_the_grid_is_a_cloud_optimised_geotiff(folder, picture, report):
    with rasterio.open(folder / noise.GRID) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.crs.to_epsg() == 26986
        assert file.transform == picture.grid.transform
        assert (file.dtypes, file.nodata, file.units) == (("float32",), -9999.0, ("dB(A)",))
        # 150 cells in blocks of 128: there is one overview, with 75 cells
        assert file.overviews(1) == [2]
        read = file.read(1, masked=True)
        tags = file.tags()
    np.testing.assert_allclose(read.filled(np.nan), picture.grid.values, rtol=1e-6)
    assert read.mask.sum() == np.isnan(picture.grid.values).sum() > 0
    assert tags["UNIT"] == "dB(A)"
    assert tags["EDITION"] == "ISO 9613-2:1996"
    assert tags["RUN"] == report.run_id
    assert tags["NOTE"] == "screening, not engineering"


def test_the_lines_are_geojson_in_degrees(folder, picture):
    held = gpd.read_file(folder / noise.LINES)
    assert held.crs.to_epsg() == 4326
    assert held[["level_dba", "kind"]].to_numpy().tolist() == (
        picture.lines[["level_dba", "kind"]].to_numpy().tolist()
    )
    back = held.to_crs(CRS)
    # 60 dB(A) = 69 - 9, at 20 m * 10^(9/20) = 56.4 m; interpolation in cells may shift it slightly
    line = back.geometry[(held["level_dba"] == 60) & (held["kind"] == "line")].iloc[0]
    away = np.hypot(*(shapely.get_coordinates(line) - ORIGIN).T)
    assert np.abs(away - 20 * 10 ** (9 / 20)).max() < CELL_M / 2
    text = (folder / noise.LINES).read_text("utf-8")
    assert max(len(one) for one in re.findall(r"\.(\d+)", text)) <= 6
    document = json.loads(text)
    assert document["note"] == "screening, not engineering"
    assert "3 dB" in document["accuracy"]


def test_polygons_run_counterclockwise(folder):
    held = gpd.read_file(folder / noise.LINES)
    bands = shapely.get_parts(held.geometry[held["kind"] == "band"].to_numpy())
    assert shapely.is_ccw(shapely.get_exterior_ring(bands)).all()


def test_the_same_picture_gives_the_same_bytes(folder, picture, town, report, tmp_path):
    noise.write_picture(picture, town, report, tmp_path)
    for name in (noise.GRID, noise.LINES, noise.PAGE):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_page_opens_with_no_request_and_says_what_the_picture_is(open_page, folder):
    page = open_page(folder / noise.PAGE)
    assert page.requests == [(folder / noise.PAGE).as_uri()]
    assert page.errors == []
    said = page.locator("#pf-list").inner_text()
    # 69 dB(A) is at 20 m, minus the 2 m from the pad's middle to its edge: 18 m or 59 ft
    assert re.search(r"69 dB\(A\)\s+59 ft \(18 m\)", said)
    # 45 dB(A) is 24 dB lower, at 317 m: farther than the picture's 300 m, but inside its corners
    assert re.search(r"45 dB\(A\)\s+more than 1,\d\d\d ft", said)
    assert "accuracy of plus or minus 3 dB" in said
    assert "5 ft (1.5 m) above the ground" in said
    assert "3 of 4 installed generators running" in said
    assert "Screening is not engineering." in page.locator("#pf-foot").inner_text()


def test_text_in_the_page_is_shown_and_never_run(open_page, folder):
    page = open_page(folder / noise.PAGE)
    assert page.locator("#pf-site").evaluate("one => one.textContent") == (
        f"Noise around {HOSTILE[1]}"
    )
    texts = page.locator("#pf-list p, #pf-list li").all_text_contents()
    assert {HOSTILE[0], HOSTILE[2], HOSTILE[4]} <= set(texts)
    assert page.locator("#pf-list img, #pf-list script").count() == 0
    assert page.dialogs == []


def test_a_level_is_hidden_and_shown_again(open_page, folder):
    page = open_page(folder / noise.PAGE)
    labels = page.locator(".pf-noise-label", has_text="60")
    assert labels.count() > 0
    button = page.locator(".pf-level-row", has_text="60 dB(A)")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert labels.count() == 0
    assert page.evaluate("padfinder.lineLook({properties: {i: 3}}).opacity") == 0
    assert page.evaluate("padfinder.bandLook({properties: {i: 3}}).fillOpacity") == 0
    button.click()
    assert labels.count() > 0


def test_labels_leave_room_for_each_other(open_page, folder):
    page = open_page(folder / noise.PAGE)
    boxes = page.locator(".pf-noise-label").evaluate_all(
        "all => all.map(one => [one._leaflet_pos.x, one._leaflet_pos.y])"
    )
    places = np.array(boxes)
    apart = np.hypot(*(places[:, None] - places[None, :]).T)
    assert len(places) > 6
    assert apart[~np.eye(len(places), dtype=bool)].min() >= 33


def test_a_picture_without_lines_or_layers_still_opens(open_page, picture, report, tmp_path):
    quiet = Raster(np.full((20, 20), 30.0), picture.grid.transform, CRS, "dB(A)")
    nothing = np.empty(0, dtype=object)
    bare = noise.NoisePicture(
        **(vars(picture) | {"grid": quiet, "lines": draw_contours(quiet, nothing)})
    )
    noise.write_picture(bare, {}, report, tmp_path)
    page = open_page(tmp_path / noise.PAGE)
    assert page.errors == []
    assert "No level shown here is reached." in page.locator("#pf-list").inner_text()
    assert json.loads((tmp_path / noise.LINES).read_text("utf-8"))["features"] == []
