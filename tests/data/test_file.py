"""Each kind of file is read completely and in the declared CRS, or not at all."""

import json
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine

from data.protocols import raster
from data.protocols.file import parse_numbers, read_file
from geo.catalogue import read_layers
from geo.errors import ContractError, SourceChanged

CODES = ["01", "1", "x"]


@pytest.fixture
def rows(make_square, make_table):
    return make_table(
        [make_square(0, 0), make_square(30, 0), make_square(60, 0)],
        CODE=CODES,
        SIZE=[1.5, None, 3.0],
    )


def write_rows(rows, folder, kind):
    path = folder / f"rows.{kind}"
    if kind == "parquet":
        rows.to_parquet(path)
    elif kind == "geojson":
        rows.to_crs(4326).to_file(path, driver="GeoJSON")
    elif kind == "gpkg":
        rows.to_file(path, layer="lots", driver="GPKG")
        rows.iloc[:1].to_file(path, layer="other", driver="GPKG")
    elif kind == "zip":
        rows.to_file(folder / "lots.shp")
        with zipfile.ZipFile(path, "w") as archive:
            for part in folder.glob("lots.*"):
                archive.write(part, part.name)
    return path


@pytest.mark.parametrize("kind", ["parquet", "geojson", "gpkg", "zip"])
def test_every_kind_gives_the_same_rows(tmp_path, rows, make_source, kind):
    path = write_rows(rows, tmp_path, kind)
    crs = "EPSG:4326" if kind == "geojson" else "EPSG:26986"
    member = {"gpkg": "lots", "zip": "lots.shp"}.get(kind)
    frame, _ = read_file(
        path, make_source("parcels", path.name, fetch={"crs": crs, "member": member})
    )
    assert frame["CODE"].tolist() == CODES
    assert frame["SIZE"].isna().tolist() == [False, True, False]
    # Squares of 20 m by 20 m.
    assert frame.to_crs("EPSG:26986").area.to_numpy() == pytest.approx([400.0] * 3, rel=1e-4)


def test_a_topojson_takes_the_declared_crs(tmp_path, make_source):
    arcs = [[[-71.1, 42.37], [-71.1, 42.371], [-71.099, 42.371], [-71.1, 42.37]]]
    shape = {"type": "Polygon", "arcs": [[0]], "properties": {"ML": "1-2"}}
    lots = {"type": "GeometryCollection", "geometries": [shape]}
    document = {"type": "Topology", "arcs": arcs, "objects": {"lots": lots}}
    path = tmp_path / "lots.topojson"
    path.write_text(json.dumps(document), "utf-8")
    frame, _ = read_file(path, make_source("parcels", path.name, fetch={"crs": "EPSG:4326"}))
    assert frame.crs == "EPSG:4326"
    assert frame["ML"].tolist() == ["1-2"]


def test_a_csv_is_text_and_its_dirty_coordinates_are_numbers(tmp_path, make_source):
    path = tmp_path / "points.csv"
    text = (
        "id;x;y\n007;-8 445 879,449;5 200 000,5\nb;\u22128\u00a0445\u00a0879,4;1,0\nc;n/a;2\nd;;\n"
    )
    path.write_text(text, "utf-8")
    fetch = {"crs": "EPSG:3857", "x": "x", "y": "y", "delimiter": ";", "decimal": ","}
    frame, notes = read_file(path, make_source("substations", path.name, fetch=fetch))
    assert frame["id"].tolist() == ["007", "b", "c", "d"]
    assert frame.geometry.x[0] == -8_445_879.449
    assert frame.geometry.x[1] == -8_445_879.4
    assert frame.geometry.isna().tolist() == [False, False, True, True]
    assert notes == ("1 row with a coordinate that is not a number",)


def test_numbers_are_read_as_people_write_them():
    given = pd.Series(["1,234.5", " 7 ", "\u22123", "inf", "abc", None, ""])
    expected = [1234.5, 7.0, -3.0, np.nan, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(parse_numbers(given), expected)


@pytest.mark.parametrize("kind", ["parquet", "gpkg", "zip"])
def test_a_crs_other_than_declared_is_named_with_both(tmp_path, rows, make_source, kind):
    path = write_rows(rows, tmp_path, kind)
    member = "lots" if kind == "gpkg" else None
    with pytest.raises(ContractError, match="wrong CRS") as caught:
        read_file(
            path, make_source("parcels", path.name, fetch={"crs": "EPSG:2249", "member": member})
        )
    for word in (path.name, "EPSG:26986", "EPSG:2249"):
        assert word in str(caught.value)


def test_a_geojson_is_in_degrees_unless_its_coordinates_are_not(tmp_path, rows, make_source):
    path = write_rows(rows, tmp_path, "geojson")
    with pytest.raises(ContractError, match="wrong CRS"):
        read_file(path, make_source("parcels", path.name))
    features = json.loads(rows.to_json(drop_id=True))
    features.pop("crs", None)
    path.write_text(json.dumps(features), "utf-8")
    frame, _ = read_file(path, make_source("parcels", path.name))
    assert frame.crs == "EPSG:26986"


def test_axis_order_and_datum_ensembles_do_not_matter(tmp_path, rows, make_source):
    path = tmp_path / "rows.parquet"
    rows.to_crs("OGC:CRS84").to_parquet(path)
    frame, _ = read_file(path, make_source("parcels", path.name, fetch={"crs": "EPSG:4326"}))
    assert len(frame) == 3


def test_a_shapefile_in_feet_is_read_in_feet(tmp_path, rows, make_source):
    path = write_rows(rows.to_crs(2249), tmp_path, "zip")
    frame, _ = read_file(path, make_source("parcels", path.name, fetch={"crs": "EPSG:2249"}))
    # 1 US survey foot = 1200/3937 m
    assert frame.area.iloc[0] == pytest.approx(400 * (3937 / 1200) ** 2, rel=1e-3)


@pytest.mark.parametrize("kind", ["parquet", "geojson", "gpkg", "zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_cut_off_gives_no_rows(tmp_path, rows, make_source, kind, share):
    path = write_rows(rows, tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    crs = "EPSG:4326" if kind == "geojson" else "EPSG:26986"
    member = "lots" if kind == "gpkg" else None
    with pytest.raises(SourceChanged) as caught:
        read_file(path, make_source("parcels", path.name, fetch={"crs": crs, "member": member}))
    assert path.name in str(caught.value)
    assert "tiny_parcels.toml" in caught.value.remedy


def test_a_geojson_cut_after_any_feature_gives_no_rows(tmp_path, rows, make_source):
    """GDAL may read the features before the cut, but none of them may be used."""
    text = write_rows(rows, tmp_path, "geojson").read_text("utf-8")
    path = tmp_path / "cut.geojson"
    for end in range(text.index("features"), len(text.rstrip()) - 1, 97):
        path.write_text(text[:end], "utf-8")
        with pytest.raises(SourceChanged, match="cut off"):
            read_file(path, make_source("parcels", path.name, fetch={"crs": "EPSG:4326"}))


def test_the_real_cut_off_file_gives_no_rows(real_files, make_source):
    name = "truncated-substations.geojson"
    with pytest.raises(SourceChanged, match="cut off") as caught:
        read_file(real_files / name, make_source("substations", name, fetch={"crs": "EPSG:4326"}))
    assert name in str(caught.value)
    assert "fetch the file again" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.geojson", '{"type": "FeatureCollection", "features": []}', "an empty layer"),
        ("list.geojson", "[]", "not a JSON object"),
        ("no.csv", "", "is empty"),
        ("less.csv", "a,b\n1,2\n", "no column 'lon'"),
        ("ragged.csv", "lon,lat\n1,2\n1,2,3,4\n", "not a readable CSV"),
        ("what.gpkg", "hello", "cannot be read"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path, make_source, name, text, message):
    (tmp_path / name).write_text(text, "utf-8")
    fetch = {"crs": "EPSG:4326", "x": "lon", "y": "lat"}
    with pytest.raises(SourceChanged) as caught:
        read_file(tmp_path / name, make_source("substations", name, fetch=fetch))
    assert message in caught.value.wrong
    assert name in str(caught.value)


def test_another_encoding_than_declared_is_named(tmp_path, make_source):
    (tmp_path / "a.csv").write_bytes("lon,lat,n\n1,2,Caf\u00e9\n".encode("latin-1"))
    fetch = {"crs": "EPSG:4326", "x": "lon", "y": "lat"}
    with pytest.raises(SourceChanged, match="is not utf-8 text"):
        read_file(tmp_path / "a.csv", make_source("substations", "a.csv", fetch=fetch))
    frame, _ = read_file(
        tmp_path / "a.csv",
        make_source("substations", "a.csv", fetch=fetch | {"encoding": "latin-1"}),
    )
    assert frame["n"].tolist() == ["Caf\u00e9"]


def write_raster(path, crs="EPSG:26986", left=232_000, values=((1.0, 2.0), (-9999.0, 4.0))):
    array = np.array(values, dtype="float32")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=2,
        width=2,
        count=1,
        dtype="float32",
        crs=crs,
        nodata=-9999,
        transform=Affine(10, 0, left, 0, -10, 901_000),
    ) as file:
        file.write(array, 1)


def test_a_raster_is_read_with_nodata_as_nan_in_the_layers_unit(tmp_path, make_source):
    write_raster(tmp_path / "dem.tif")
    source = make_source(
        "elevation",
        "dem.tif",
        {"value": {"column": "1", "unit": "ft"}},
        fetch={"protocol": "raster"},
    )
    grid = raster.read_raster(tmp_path / "dem.tif", source, read_layers()["elevation"])
    # 1 ft = 0.3048 m
    expected = np.array([[0.3048, 2 * 0.3048], [np.nan, 4 * 0.3048]])
    np.testing.assert_allclose(grid.values, expected)
    assert (grid.crs, grid.unit) == ("EPSG:26986", "m")
    assert grid.transform @ (0, 0) == (232_000, 901_000)


def test_a_raster_in_another_crs_or_cut_off_or_empty_is_named(tmp_path, make_source):
    source = make_source("elevation", "dem.tif", fetch={"protocol": "raster"})
    path = tmp_path / "dem.tif"
    write_raster(path, crs="EPSG:2249")
    with pytest.raises(ContractError, match="wrong CRS"):
        raster.read_raster(path, source, read_layers()["elevation"])
    write_raster(path, values=((-9999, -9999), (-9999, -9999)))
    with pytest.raises(SourceChanged, match="every value is nodata"):
        raster.read_raster(path, source, read_layers()["elevation"])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SourceChanged, match="cannot be read"):
        raster.read_raster(path, source, read_layers()["elevation"])


def test_an_unclosed_ring_is_closed(tmp_path, make_source):
    ring = [[-71.1, 42.37], [-71.1, 42.371], [-71.099, 42.371]]
    feature = {"type": "Feature", "properties": {"n": "a"}}
    feature["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    path = tmp_path / "ring.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8")
    frame, notes = read_file(path, make_source("parcels", path.name, fetch={"crs": "EPSG:4326"}))
    assert frame.geometry[0].equals(shapely.Polygon(ring))
    assert "closed or dropped" in notes[0]


# ---------------------------------------------------------------------------------------------
# Workbooks


@pytest.fixture
def write_workbook(tmp_path):
    """Return a function that writes a workbook: rows of cells by sheet."""

    def write(**sheets):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
        path = tmp_path / "book.xlsx"
        book.save(path)
        return path

    return write


PLACE = {"path": "p.csv", "key": "K", "to": "substation_id", "x": "x", "y": "y"}
NAMED = {"substation_id": {"column": "Name"}, "status": {"value": "unknown"}}


def read_book(path, make_source, place=PLACE, **fetch):
    source = make_source("substations", path.name, NAMED, fetch=fetch, place=place)
    return read_file(path, source)


def test_cells_of_a_sheet_are_texts_under_their_titles(write_workbook, make_source):
    titles = ["Name", None, "Age / Last\nMajor  Upgrade", "MVA", "MVA", None, 2013]
    rows = [
        ["List of substations"],
        [],
        titles,
        ["A", None, pd.Timestamp(2020, 12, 16), 3.75, "20/26.67", None, True],
        [],
        [" ", None, pd.Timestamp(2020, 1, 2, 3, 4), 5, "NA", "x", 0.1 + 0.2],
        ["B", None, None, -2.0, 1e-7, None, "#N/A"],
    ]
    path = write_workbook(first=[["other"]], second=rows)
    table, notes = read_book(path, make_source, member="second", header_row=3)
    assert notes == ("1 blank row in the sheet",)
    assert table.geometry.isna().all()
    table = table.drop(columns="geometry").astype("object").where(table.notna(), None)
    assert table.to_dict("list") == {
        "Name": ["A", None, "B"],
        "Age / Last Major Upgrade": ["2020-12-16", "2020-01-02 03:04:00", None],
        "MVA": ["3.75", "5", "-2"],
        "MVA.1": ["20/26.67", "NA", "1e-07"],
        "Unnamed: 5": [None, "x", None],
        "2013": ["True", "0.3", None],
    }


def test_numbers_of_a_sheet_have_the_declared_decimal_mark(write_workbook, make_source):
    path = write_workbook(only=[["Name", "MVA"], ["A", 3.75], ["B", "3,75"]])
    table, _ = read_book(path, make_source, decimal=",")
    assert parse_numbers(table["MVA"], ",").tolist() == [3.75, 3.75]


def test_a_sheet_may_hold_coordinates(write_workbook, make_source):
    path = write_workbook(only=[["Name", "x", "y"], ["A", 232000.5, 901000], ["B", None, None]])
    table, notes = read_book(path, make_source, place=None, x="x", y="y")
    assert table.geometry.iloc[0].coords[0] == (232000.5, 901000)
    assert table.geometry.isna().tolist() == [False, True]
    assert notes == ()


def test_a_broken_workbook_or_one_without_the_sheet_is_refused(
    write_workbook, tmp_path, make_source
):
    path = write_workbook(only=[["Name"], ["A"]])
    with pytest.raises(SourceChanged, match=r"cannot be read as a workbook.*'Sheet9' not found"):
        read_book(path, make_source, member="Sheet9")
    with pytest.raises(SourceChanged, match="cannot be read as a workbook"):
        read_book(path, make_source, header_row=40)
    with pytest.raises(SourceChanged, match="do not name its columns"):
        read_book(path, make_source, place=None)
    for cut in (b"not a workbook", path.read_bytes()[:-600], path.read_bytes()[:50]):
        broken = tmp_path / "cut.xlsx"
        broken.write_bytes(cut)
        with pytest.raises(SourceChanged, match=r"cut\.xlsx cannot be read as a workbook"):
            read_book(broken, make_source)


def test_titles_that_differ_only_by_blanks_are_refused(write_workbook, make_source):
    path = write_workbook(only=[["Name", "Rated\nMVA", "Rated  MVA"], ["A", 1, 2]])
    with pytest.raises(SourceChanged, match="two columns titled 'Rated MVA'"):
        read_book(path, make_source)
