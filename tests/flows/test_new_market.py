"""`padfinder new-market` on datasets that nobody has declared, `try` and `check --data`."""

import json
import shutil
import tomllib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from data.protocols.pulled import Preview, Protocol
from data.protocols.servers import PROTOCOLS
from geo.errors import SourceDown
from tests.flows import hamlet
from tests.servers.arcgis_replay import serving
from tests.servers.arcgis_town import make_layer

FEET = "EPSG:2249"  # Massachusetts mainland in US survey feet


@pytest.fixture(scope="module")
def lots() -> gpd.GeoDataFrame:
    """Return the hamlet's lots with an assessor's columns."""
    rows = hamlet.layers()["parcels"]
    uses = {"H": "101", "S": "325", "F": "400", "V": "390", "E": "960"}
    words = {"H": "Single Family", "S": "Retail Store", "F": "Factory", "V": "Vacant", "E": "Zzz"}
    acres = rows.area / 4046.8564224
    return gpd.GeoDataFrame(
        {
            "OBJECTID": np.arange(len(rows)) + 1,
            "MAP_PAR_ID": rows["id"],
            "USE_CODE": rows["use"].map(uses),
            "USE_DESCRI": rows["use"].map(words),
            "SITE_ADDRE": rows["address"],
            "CITY": "HAMLET",
            "LOT_SIZE": acres.round(4),
            "STORIES": np.where(rows["use"] == "V", 0, 2),
            "OWNER1": [f"Owner {n % 40}" for n in range(len(rows))],
        },
        geometry=rows.geometry,
        crs=rows.crs,
    )


@pytest.fixture
def files(tmp_path, lots) -> Path:
    """Return a folder with the hamlet's datasets as publishers would give them."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    unpacked = tmp_path / "shapefile"
    unpacked.mkdir()
    lots.to_crs(FEET).to_file(unpacked / "parcels_2025.shp", engine="pyogrio")
    shutil.make_archive(str(folder / "parcels_2025"), "zip", unpacked)
    layers = hamlet.layers()
    layers["zoning"].assign(
        ZONE=["R-1", "B"], ZONE_DESC=["Residential district", "Local business"]
    ).drop(columns="zone").to_crs("EPSG:4326").to_file(folder / "zoning.geojson", engine="pyogrio")
    layers["buildings"].rename(columns={"height": "HEIGHT_FT"}).to_parquet(
        folder / "buildings.parquet"
    )
    points = layers["substations"].to_crs("EPSG:4326")
    pd.DataFrame(
        {
            "Substation ID": points["id"],
            "Status": points["STATUS"],
            "Firm MVA": points["firm"],
            "Longitude": points.geometry.x,
            "Latitude": points.geometry.y,
        }
    ).to_csv(folder / "substations.csv", index=False)
    layers["mains"].rename(columns={"id": "FACILITYID", "inches": "DIAMETER"}).to_file(
        folder / "gas.gpkg", layer="mains", engine="pyogrio"
    )
    layers["zoning"].to_file(folder / "gas.gpkg", layer="territory", engine="pyogrio")
    return folder


def read(folder: Path, name: str) -> dict:
    return tomllib.loads((folder / "markets/mytown" / name).read_text("utf-8"))


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted((folder / "markets").rglob("*.toml"))
    }


def create(padfinder, folder, *more, parcels="downloads/parcels_2025.zip"):
    return padfinder(folder, "new-market", "mytown", "--parcels", parcels, *more)


ALL = (
    "--zoning", "downloads/zoning.geojson", "--buildings", "downloads/buildings.parquet",
    "--substations", "downloads/substations.csv", "--gas-mains", "downloads/gas.gpkg#mains",
)  # fmt: skip


# ---------------------------------------------------------------------------------------------
# What is written


@pytest.mark.usefixtures("files")
def test_a_whole_market_is_written_checked_and_pulled(tmp_path, padfinder):
    ran = create(padfinder, tmp_path, *ALL)
    assert ran.code == 0, ran.err
    market = read(tmp_path, "market.toml")
    assert market["crs"] == "EPSG:26986"
    assert market["time_zone"] == "America/New_York"
    assert market["noise_rule"] == "massachusetts"
    assert market["sources"] == [
        f"mytown_{layer}" for layer in ("parcels", "zoning", "substations", "mains", "buildings")
    ]
    parcels = read(tmp_path, "sources/mytown_parcels.toml")
    assert parcels["fetch"] == {"protocol": "file", "path": "parcels_2025.zip", "crs": FEET}
    assert parcels["columns"] == {
        "parcel_id": {"column": "MAP_PAR_ID"},
        "jurisdiction": {"value": "mytown"},
        "use_scheme": {"value": "local"},
        "use_code": {"column": "USE_CODE"},
        "use_title": {"column": "USE_DESCRI"},
        "address": {"column": "SITE_ADDRE"},
        "city": {"column": "CITY"},
        "recorded_area_m2": {"column": "LOT_SIZE", "unit": "acre"},
        "storeys": {"column": "STORIES", "missing": ["0"]},
    }
    assert str(parcels["vintage"]) == "2025-01-01"
    assert parcels["expect"]["rows_min"] == 240  # 80% of 300
    land_use = read(tmp_path, "land_use.toml")
    assert {code: use["class"] for code, use in land_use["use"].items()} == {
        "101": "residential", "325": "commercial", "390": "vacant", "400": "industrial", "960": "",
    }  # fmt: skip
    assert {code: zone["class"] for code, zone in land_use["zone"].items()} == {
        "R-1": "residential",
        "B": "commercial",
    }
    substations = read(tmp_path, "sources/mytown_substations.toml")
    assert (substations["fetch"]["x"], substations["fetch"]["y"]) == ("Longitude", "Latitude")
    assert substations["columns"]["firm_capacity_mva"] == {"column": "Firm MVA", "unit": "MVA"}
    assert substations["coverage"]["kind"] == "none"
    buildings = read(tmp_path, "sources/mytown_buildings.toml")
    assert buildings["columns"]["height_m"] == {"column": "HEIGHT_FT", "unit": "ft"}
    assert read(tmp_path, "sources/mytown_mains.toml")["fetch"]["member"] == "mains"

    checked = padfinder(tmp_path, "check", "--data")
    assert checked.code == 0, checked.err
    assert "headers of 5 sources, no errors" in checked.out
    assert "land_use.toml: 8 guesses to review, 1 code without a class" in checked.out
    refreshed = padfinder(tmp_path, "refresh", "--market", "mytown")
    assert refreshed.code == 0, refreshed.err


@pytest.mark.usefixtures("files")
def test_every_guess_has_a_mark_and_a_line_on_the_terminal(tmp_path, padfinder):
    ran = create(padfinder, tmp_path, *ALL)
    for name, text in texts(tmp_path).items():
        assert text.count("# REVIEW: ") > 3, name
        assert max(map(len, text.splitlines())) < 200
    for told in (
        "publisher, licence",
        "2025-01-01",
        "MAP_PAR_ID",
        "EPSG:26986",
        "America/New_York",
        "LOT_SIZE",
        "Firm MVA",
    ):
        assert told in ran.out
    assert "owner: OWNER1 is left out" in ran.out
    assert "1 to fill in" in ran.out
    assert "padfinder nightly --market mytown" in ran.out


@pytest.mark.usefixtures("files")
def test_the_same_input_gives_the_same_bytes(tmp_path, padfinder):
    create(padfinder, tmp_path, *ALL)
    first = texts(tmp_path)
    again = create(padfinder, tmp_path, *ALL, "--overwrite")
    assert again.code == 0, again.err
    assert "market.toml (replaced)" in again.out
    fewer = create(padfinder, tmp_path, "--zoning", "downloads/zoning.geojson", "--overwrite")
    assert "mytown_mains.toml (was there, and is left as it is)" in fewer.out
    create(padfinder, tmp_path, *ALL, "--overwrite")
    assert texts(tmp_path) == first


@pytest.mark.usefixtures("files")
def test_an_existing_market_is_never_overwritten_untold(tmp_path, padfinder):
    create(padfinder, tmp_path, *ALL)
    path = tmp_path / "markets/mytown/market.toml"
    path.write_text(path.read_text("utf-8") + "# mine\n", "utf-8")
    ran = create(padfinder, tmp_path, *ALL)
    assert ran.code == 3
    assert "nothing in it was changed" in ran.err
    assert "--overwrite" in ran.err
    assert path.read_text("utf-8").endswith("# mine\n")
    taken = padfinder(
        tmp_path, "new-market", "cambridge", "--parcels", "downloads/parcels_2025.zip"
    )
    assert taken.code == 3
    assert "a market of that name already" in taken.err


def test_files_outside_the_folder_of_files_are_named_whole(files, tmp_path, padfinder):
    """With settings of their own, files lie where the user says, and others keep their path."""
    (tmp_path / "files").mkdir()
    (tmp_path / "markets").mkdir()
    (tmp_path / "padfinder.toml").write_text('files = "files"\nmarkets = ["markets"]\n', "utf-8")
    shutil.copy(files / "zoning.geojson", tmp_path / "files")
    create(padfinder, tmp_path, "--zoning", "files/zoning.geojson")
    assert read(tmp_path, "sources/mytown_zoning.toml")["fetch"]["path"] == "zoning.geojson"
    path = read(tmp_path, "sources/mytown_parcels.toml")["fetch"]["path"]
    assert path == str(files / "parcels_2025.zip")
    assert padfinder(tmp_path, "refresh", "--market", "mytown").code == 0


@pytest.mark.usefixtures("files")
def test_without_zoning_it_says_that_zoning_is_needed(tmp_path, padfinder):
    ran = create(padfinder, tmp_path)
    assert ran.code == 0, ran.err
    assert "There is no zoning yet" in ran.out
    assert padfinder(tmp_path, "check").code == 3


def test_parcels_with_an_id_alone(files, tmp_path, padfinder, lots):
    """Without a use code, zoning alone decides; without an address, sites go by their id."""
    lots[["MAP_PAR_ID", "geometry"]].to_file(files / "bare.geojson", engine="pyogrio")
    zoning = ("--zoning", "downloads/zoning.geojson")
    ran = create(padfinder, tmp_path, *zoning, parcels="downloads/bare.geojson")
    assert ran.code == 0, ran.err
    assert "zoning alone decides which parcels are sites" in ran.out
    assert "sites are listed by their id alone" in ran.out
    columns = read(tmp_path, "sources/mytown_parcels.toml")["columns"]
    assert columns["use_code"] == {"value": ""}
    assert "address" not in columns
    assert padfinder(tmp_path, "check", "--data").code == 0
    assert padfinder(tmp_path, "refresh", "--market", "mytown").code == 0


def test_what_reaches_beyond_the_market_is_read_within_its_bounds(files, tmp_path, padfinder):
    """A list of the whole country would otherwise lie outside the area of the market's CRS."""
    near = hamlet.layers()["substations"].to_crs("EPSG:4326")
    far = near.assign(id=["FAR1", "FAR2"]).set_geometry(shapely.points([[-118, 34], [-87, 41]]))
    rows = pd.concat([near, far.set_crs("EPSG:4326", allow_override=True)])
    gpd.GeoDataFrame(rows).to_file(files / "national.geojson", engine="pyogrio")
    ran = create(
        padfinder, tmp_path, "--zoning", "downloads/zoning.geojson",
        "--substations", "downloads/national.geojson",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "2 of 4 rows are within its bounds" in ran.out
    west, south, east, north = read(tmp_path, "market.toml")["bounds"]
    parcels = hamlet.layers()["parcels"].to_crs("EPSG:4326").total_bounds
    assert west < parcels[0] - 0.24 < parcels[2] + 0.24 < east
    assert south < parcels[1] - 0.24 < parcels[3] + 0.24 < north
    substations = read(tmp_path, "sources/mytown_substations.toml")
    assert substations["fetch"]["market_bounds"] is True
    assert substations["expect"]["rows_min"] == 1  # 80% of 2 rows
    refreshed = padfinder(tmp_path, "refresh", "--market", "mytown")
    assert refreshed.code == 0, refreshed.err
    tried = padfinder(tmp_path, "try", "mytown_substations")
    assert "2 of 2 rows tried" in tried.out


def test_data_of_another_place_are_told(files, tmp_path, padfinder):
    far = gpd.GeoDataFrame({"id": ["A"]}, geometry=[shapely.Point(-118, 34)], crs="EPSG:4326")
    far.to_file(files / "far.geojson", engine="pyogrio")
    ran = create(padfinder, tmp_path, "--substations", "downloads/far.geojson")
    assert "none of its 1 rows lies near the parcels: is it of another place?" in ran.out


@pytest.mark.usefixtures("files")
def test_a_part_of_the_parcels_can_be_taken(tmp_path, padfinder, lots):
    """The lots west of the middle of the hamlet."""
    west, south, east, north = lots.to_crs("EPSG:4326").total_bounds
    middle = (west + east) / 2
    bounds = f"{west - 0.01},{south - 0.01},{middle},{north + 0.01}"
    ran = create(padfinder, tmp_path, "--bounds", bounds, "--zoning", "downloads/zoning.geojson")
    assert ran.code == 0, ran.err
    assert read(tmp_path, "market.toml")["bounds"] == list(map(float, bounds.split(",")))
    assert read(tmp_path, "sources/mytown_parcels.toml")["fetch"]["market_bounds"] is True
    refreshed = padfinder(tmp_path, "refresh", "--market", "mytown")
    assert refreshed.code == 0, refreshed.err
    wrong = create(padfinder, tmp_path, "--bounds", "42,-71", "--overwrite")
    assert wrong.code == 3
    assert "--bounds" in wrong.err


@pytest.mark.usefixtures("files")
def test_buildings_of_an_openstreetmap_extract_and_heights(real_files, tmp_path, padfinder):
    osm = real_files / "osm"
    ran = create(
        padfinder, tmp_path, "--buildings", f"{osm}/geneva.osm.pbf#multipolygons",
        "--elevation", str(osm / "dem.asc.gz"), "--crs", "EPSG:2056",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    buildings = read(tmp_path, "sources/mytown_buildings.toml")
    assert buildings["fetch"]["tags"] == {"building": ["*"]}
    assert buildings["expect"]["rows_min"] == 9300  # 80% of 11,712 buildings, two digits
    assert "rows lies near the parcels" in ran.out  # the hamlet is in Massachusetts
    elevation = read(tmp_path, "sources/mytown_elevation.toml")
    assert elevation["fetch"]["path"].endswith("osm/dem.asc.gz")
    assert elevation["fetch"]["crs"] == "EPSG:2056"
    assert elevation["columns"]["value"] == {"column": "1", "unit": "m"}


# ---------------------------------------------------------------------------------------------
# Two tables


def test_a_second_table_is_joined_by_the_key_that_both_share(files, tmp_path, padfinder, lots):
    lots[["MAP_PAR_ID", "geometry"]].to_file(files / "shapes.geojson", engine="pyogrio")
    table = lots.drop(columns=["geometry", "OBJECTID"]).rename(columns={"MAP_PAR_ID": "ACCOUNT"})
    pd.concat([table, table.head(20)]).iloc[5:].to_csv(files / "tax.csv", sep=";", index=False)
    ran = create(
        padfinder, tmp_path, "--parcels-table", "downloads/tax.csv",
        "--zoning", "downloads/zoning.geojson", parcels="downloads/shapes.geojson",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "300 of 300 rows (100.0%) find a row of tax.csv; 15 find several rows" in ran.out
    parcels = read(tmp_path, "sources/mytown_parcels.toml")
    join = parcels["join"]
    assert (join["key"], join["to"], join["delimiter"]) == ("ACCOUNT", "MAP_PAR_ID", ";")
    assert join["columns"]["use_code"] == {"column": "USE_CODE"}
    assert join["columns"]["recorded_area_m2"] == {
        "column": "LOT_SIZE", "unit": "acre", "fold": "max",
    }  # fmt: skip
    assert "use_code" not in parcels["columns"]
    assert padfinder(tmp_path, "refresh", "--market", "mytown").code == 0


def test_a_table_of_other_parcels_is_refused(files, tmp_path, padfinder, lots):
    table = lots.drop(columns="geometry")
    table.assign(MAP_PAR_ID=table["MAP_PAR_ID"].str.replace("L", "L-")).drop(
        columns=["OBJECTID", "SITE_ADDRE", "OWNER1"]
    ).to_csv(files / "tax.csv", index=False)
    lots[["MAP_PAR_ID", "geometry"]].to_file(files / "shapes.geojson", engine="pyogrio")
    ran = create(
        padfinder, tmp_path, "--parcels-table", "downloads/tax.csv",
        parcels="downloads/shapes.geojson",
    )  # fmt: skip
    assert ran.code == 4
    assert "'L0000'" in ran.err
    assert "if both were written alike" in ran.err
    assert not (tmp_path / "markets").exists()


def test_cambridges_raw_files(cambridge_files, tmp_path, padfinder):
    """The closing note's case: raw TopoJSON and tax table, with the zoning and its list."""
    ran = padfinder(
        tmp_path, "new-market", "mytown",
        "--parcels", str(cambridge_files / "ASSESSING_ParcelsFY2014.topojson"),
        "--parcels-table", str(cambridge_files / "TaxFY14.csv"),
        "--zoning", str(cambridge_files / "CDD_ZoningDistricts.geojson"),
        "--zoning-words", str(cambridge_files / "ZoneListFromMunicode.csv"),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "ML = ML: 12,982 of 13,115 rows (99.0%) find a row of TaxFY14.csv" in ran.out
    assert read(tmp_path, "market.toml")["crs"] == "EPSG:26986"
    parcels = read(tmp_path, "sources/mytown_parcels.toml")
    assert parcels["columns"]["parcel_id"]["column"] == "ML"
    assert {"ROAD", "RR", "---"} <= set(parcels["columns"]["parcel_id"]["missing"])
    assert parcels["columns"]["polygon_kind"]["map"]["ROAD"] == "ROW"
    assert parcels["join"]["columns"]["recorded_area_m2"]["unit"] == "ft2"
    assert parcels["expect"]["rows_min"] == 10_000  # 80% of 13,116 is 10,492.8
    land_use = read(tmp_path, "land_use.toml")
    assert len(land_use["use"]) == 156
    assert land_use["use"]["316"] == {"title": "WAREHOUSE", "class": "commercial"}
    assert land_use["use"]["9555"]["receptor"] == "hospital"
    assert land_use["zone"]["C-1"]["class"] == "residential"
    proposed = [one["class"] for kind in ("use", "zone") for one in land_use[kind].values()]
    assert sum(map(bool, proposed)) >= 0.75 * len(proposed)
    assert padfinder(tmp_path, "check").code == 0
    tried = padfinder(tmp_path, "try", "mytown_parcels")
    assert tried.code == 0, tried.out
    assert "1,000 of 13,116 rows tried" in tried.out


def test_the_proposed_classes_agree_with_the_built_in_ones(cambridge_files, tmp_path, padfinder):
    """No code that a person classed as a home, vacant or exempt is proposed as a site."""
    padfinder(
        tmp_path, "new-market", "mytown",
        "--parcels", str(cambridge_files / "parcels_fy2014.parquet"),
    )  # fmt: skip
    root = Path(__file__).parents[2]
    built_in = tomllib.loads((root / "data/markets/cambridge/land_use.toml").read_text("utf-8"))
    written = read(tmp_path, "land_use.toml")["use"]
    sites = {"commercial", "industrial"}
    wrong = {
        code: (use["class"], built_in["use"][code]["class"])
        for code, use in written.items()
        if code in built_in["use"]
        and use["class"] in sites
        and built_in["use"][code]["class"] not in {*sites, "mixed"}
    }
    assert wrong == {}


# ---------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.usefixtures("files")
def test_a_file_that_is_not_there_is_named_with_the_nearest(tmp_path, padfinder):
    ran = create(padfinder, tmp_path, parcels="downloads/parcels_2024.zip")
    assert ran.code == 3
    assert "did you mean parcels_2025.zip?" in ran.err
    assert not (tmp_path / "markets").exists()
    assert not (tmp_path / "padfinder.toml").exists()


@pytest.mark.parametrize(
    ("name", "text", "code", "wrong"),
    [
        ("empty.geojson", "", 6, "is empty"),
        ("page.geojson", "<!doctype html><html><body>Sign in</body></html>", 6, "is a web page"),
        ("cut.geojson", '{"type": "FeatureCollection", "features": [{"ty', 6, "cut.geojson"),
        ("none.geojson", '{"type": "FeatureCollection", "features": []}', 6, "is an empty layer"),
        ("table.csv", "APN,USE\n1,2\n", 3, "--parcels-table"),
        ("titles.csv", "APN,Latitude,Longitude\n", 3, "without coordinates"),
    ],
)
def test_a_file_that_is_no_map_is_refused(tmp_path, padfinder, name, text, code, wrong):
    (tmp_path / name).write_text(text, "utf-8")
    ran = create(padfinder, tmp_path, parcels=name)
    assert ran.code == code, ran.err
    assert wrong in ran.err
    assert "reading --parcels" in ran.err
    assert "Traceback" not in ran.err
    assert "sources/" not in ran.err
    assert not (tmp_path / "markets").exists()


@pytest.mark.usefixtures("files")
def test_points_are_no_parcels(tmp_path, padfinder):
    ran = create(padfinder, tmp_path, parcels="downloads/substations.csv")
    assert ran.code == 4
    assert "substations.csv has points, and parcels with their use must be areas" in ran.err


def test_an_unknown_crs_must_be_given(tmp_path, padfinder, lots):
    folder = tmp_path / "downloads"
    folder.mkdir()
    lots.to_crs(FEET).to_file(folder / "lots.shp", engine="pyogrio")
    (folder / "lots.prj").unlink()
    ran = create(padfinder, tmp_path, parcels="downloads/lots.shp")
    assert ran.code == 3
    assert "does not say in which CRS" in ran.err
    assert "--crs EPSG:2249" in ran.err
    given = create(padfinder, tmp_path, "--crs", FEET, parcels="downloads/lots.shp")
    assert given.code == 0, given.err
    assert read(tmp_path, "sources/mytown_parcels.toml")["fetch"]["crs"] == FEET


@pytest.mark.usefixtures("files")
def test_a_crs_is_given_for_files_without_one_alone(tmp_path, padfinder):
    """The zoning says its own CRS, and the substations are in degrees."""
    ran = create(padfinder, tmp_path, *ALL, "--crs", FEET)
    assert ran.code == 0, ran.err
    assert read(tmp_path, "sources/mytown_zoning.toml")["fetch"]["crs"] == "EPSG:4326"
    assert read(tmp_path, "sources/mytown_substations.toml")["fetch"]["crs"] == "EPSG:4326"


@pytest.mark.usefixtures("files")
def test_a_crs_that_is_none_is_refused(tmp_path, padfinder):
    ran = create(padfinder, tmp_path, "--crs", "EPSG:banana")
    assert ran.code == 3
    assert "EPSG:banana" in ran.err
    assert "Traceback" not in ran.err


def test_parcels_without_an_id_are_refused(files, tmp_path, padfinder, lots):
    lots[["CITY", "geometry"]].to_file(files / "lots.geojson", engine="pyogrio")
    ran = create(padfinder, tmp_path, parcels="downloads/lots.geojson")
    assert ran.code == 4
    assert "tells the parcels apart" in ran.err
    assert "--parcel-id COLUMN" in ran.err
    wrong = create(padfinder, tmp_path, "--parcel-id", "APN", parcels="downloads/lots.geojson")
    assert wrong.code == 3
    assert "has no column 'APN'" in wrong.err
    named = create(padfinder, tmp_path, "--parcel-id", "CITY", parcels="downloads/lots.geojson")
    assert named.code == 0, named.err


@pytest.mark.usefixtures("files")
def test_several_layers_are_listed(tmp_path, padfinder):
    ran = create(padfinder, tmp_path, "--gas-mains", "downloads/gas.gpkg")
    assert ran.code == 6
    assert "mains, territory" in ran.err
    assert "--gas-mains PLACE#NAME" in ran.err


@pytest.mark.parametrize("name", ["My Town", "2town", "", "../up"])
@pytest.mark.usefixtures("files")
def test_a_bad_name_is_refused(tmp_path, padfinder, name):
    ran = padfinder(tmp_path, "new-market", name, "--parcels", "downloads/parcels_2025.zip")
    assert ran.code == 3
    assert "begins with a letter" in ran.err


@pytest.mark.usefixtures("files")
def test_settings_without_markets_are_not_changed(tmp_path, padfinder):
    (tmp_path / "padfinder.toml").write_text('var = "var"\n', "utf-8")
    ran = create(padfinder, tmp_path)
    assert ran.code == 3
    assert 'add markets = ["markets"]' in ran.err
    assert (tmp_path / "padfinder.toml").read_text("utf-8") == 'var = "var"\n'


# ---------------------------------------------------------------------------------------------
# Servers

URL = "https://gis.example.gov/arcgis/rest/services/Lots/FeatureServer/0"


@pytest.fixture
def server(monkeypatch, lots):
    """Serve the hamlet's lots by a made-up protocol; return what it was asked."""
    asked = []

    def preview(connection, source, rows):
        del connection
        asked.append((source.fetch.url, rows))
        types = {str(name): "text" for name in lots.columns if name != "geometry"}
        shown = lots.to_crs("EPSG:3857").head(min(rows, 100))
        return Preview(shown, len(lots), types, ("Lots of the hamlet",))

    monkeypatch.setitem(PROTOCOLS, "arcgis", Protocol(None, preview))
    return asked


@pytest.mark.usefixtures("files")
def test_a_layer_of_a_server_is_asked_for_its_first_rows(server, tmp_path, padfinder):
    zoning = ("--zoning", "downloads/zoning.geojson")
    ran = create(padfinder, tmp_path, *zoning, parcels=f"{URL}/query?where=1%3D1")
    assert ran.code == 0, ran.err
    assert server[0][0] == URL
    fetch = read(tmp_path, "sources/mytown_parcels.toml")["fetch"]
    assert fetch == {"protocol": "arcgis", "url": URL, "crs": "EPSG:3857"}
    assert "only the first 100 rows of 300 were looked at" in ran.out
    assert "Lots of the hamlet" in ran.out
    tried = padfinder(tmp_path, "try", "mytown_parcels", "--rows", "50")
    assert tried.code == 0, tried.out
    assert "50 of 300 rows tried" in tried.out
    assert server[-1] == (URL, 50)
    checked = padfinder(tmp_path, "check", "--data")
    assert checked.code == 0, checked.err
    assert server[-1] == (URL, 1)


@pytest.mark.usefixtures("server")
def test_a_server_that_does_not_answer_is_one_sentence(tmp_path, padfinder, monkeypatch):
    def preview(*_):
        raise SourceDown("downloading source 'new'", f"{URL}: timed out", "try again later")

    monkeypatch.setitem(PROTOCOLS, "arcgis", Protocol(None, preview))
    ran = create(padfinder, tmp_path, parcels=URL)
    assert ran.code == 5
    assert "timed out" in ran.err
    assert "source 'new'" not in ran.err


@pytest.mark.usefixtures("files")
def test_a_real_layer_goes_from_its_address_to_the_store(tmp_path, padfinder):
    """From the address alone: looked at, written, tried and pulled by the ArcGIS protocol."""
    with serving(make_layer(rows=60, page=2000)) as layer:
        zoning = ("--zoning", "downloads/zoning.geojson")
        ran = create(padfinder, tmp_path, *zoning, parcels=f"{layer.url}?f=json")
        assert ran.code == 0, ran.err
        parcels = read(tmp_path, "sources/mytown_parcels.toml")
        assert parcels["fetch"] == {"protocol": "arcgis", "url": layer.url, "crs": "EPSG:26986"}
        assert parcels["columns"]["parcel_id"] == {"column": "PIN"}
        assert parcels["columns"]["use_code"] == {"column": "USE"}
        assert parcels["expect"]["rows_min"] == 48  # 80% of 60
        tried = padfinder(tmp_path, "try", "mytown_parcels")
        assert tried.code == 0, tried.out
        assert "60 of 60 rows tried" in tried.out
        assert "Codes without a class in land_use.toml, with their rows: 101 (60)" in tried.out
        refreshed = padfinder(tmp_path, "refresh", "--market", "mytown")
        assert refreshed.code == 0, refreshed.err
        assert "60 rows" in refreshed.err


@pytest.mark.usefixtures("files")
def test_a_key_in_an_address_is_not_shown(server, tmp_path, padfinder):
    zoning = ("--zoning", "downloads/zoning.geojson")
    ran = create(padfinder, tmp_path, *zoning, parcels=f"{URL}?token=s3cr3t-key")
    assert ran.code == 0, ran.err
    assert server[0][0] == f"{URL}?token=s3cr3t-key"
    assert "s3cr3t" not in ran.out + ran.err
    assert "write ${NAME} instead" in ran.out
    ran = create(
        padfinder, tmp_path, "--overwrite", *zoning, parcels=f"{URL}?token=${{COUNTY_KEY}}"
    )
    url = read(tmp_path, "sources/mytown_parcels.toml")["fetch"]["url"]
    assert url == f"{URL}?token=${{COUNTY_KEY}}"


def test_a_server_of_html_is_refused_in_one_sentence(tmp_path, padfinder):
    with serving(make_layer()) as layer:
        layer.hook = lambda *_: (200, {"content-type": "text/html"}, b"<html>Sign in</html>")
        ran = create(padfinder, tmp_path, parcels=layer.url)
    assert ran.code == 6, ran.err
    assert "reading --parcels" in ran.err
    assert "sources/" not in ran.err
    assert not (tmp_path / "markets").exists()


# ---------------------------------------------------------------------------------------------
# try and check --data


@pytest.fixture
def hamlet_folder(tmp_path) -> Path:
    """Return a folder with the declared hamlet."""
    hamlet.write(tmp_path)
    return tmp_path


def change(folder: Path, layer: str, before: str, after: str) -> None:
    path = folder / f"own/hamlet/sources/hamlet_{layer}.toml"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


def test_try_shows_a_sample_and_writes_nothing(hamlet_folder, padfinder):
    before = sorted(hamlet_folder.rglob("*"))
    ran = padfinder(hamlet_folder, "try", "hamlet_parcels")
    assert ran.code == 0, ran.out
    assert "300 of 300 rows tried" in ran.out
    assert "L0004" in ran.out
    assert "The declaration fits." in ran.out
    assert sorted(hamlet_folder.rglob("*")) == before


def test_try_names_every_fault_at_once(hamlet_folder, padfinder):
    change(hamlet_folder, "substations", '"firm"', '"firmm"')
    change(hamlet_folder, "substations", '"IN SERVICE" = "in_service"', '"RETIRED" = "retired"')
    ran = padfinder(hamlet_folder, "try", "hamlet_substations", "--market", "hamlet")
    assert ran.code == 4
    assert "no column 'firmm' (nearest: 'firm')" in ran.out
    assert "'IN SERVICE' in 2 rows, which the map of status does not list" in ran.out
    assert "peak_load_mva" in ran.out  # the sample has what still fits
    assert str(hamlet_folder / "own/hamlet/sources/hamlet_substations.toml") in ran.out


def test_try_counts_codes_without_a_class(hamlet_folder, padfinder):
    path = hamlet_folder / "own/hamlet/land_use.toml"
    text = path.read_text("utf-8").replace('class = "residential", receptor = "home"', 'class = ""')
    path.write_text(text, "utf-8")
    ran = padfinder(hamlet_folder, "try", "hamlet_parcels")
    assert ran.code == 0, ran.out
    homes = int((hamlet.layers()["parcels"]["use"] == "H").sum())
    assert f"Codes without a class in land_use.toml, with their rows: H ({homes})" in ran.out


def test_try_says_which_values_cannot_be_read(hamlet_folder, padfinder):
    path = hamlet_folder / "files/hamlet/mains.geojson"
    document = hamlet.geojson(path)
    document["features"][0]["properties"]["inches"] = "four"
    path.write_text(json.dumps(document), "utf-8")
    ran = padfinder(hamlet_folder, "try", "hamlet_mains")
    assert ran.code == 4
    assert "'four'" in ran.out
    assert "1 unreadable number" in ran.out


def test_try_does_not_say_that_a_silent_server_does_not_fit(hamlet_folder, padfinder):
    change(hamlet_folder, "mains", 'path = "mains.geojson"', 'url = "http://127.0.0.1:9/mains"')
    ran = padfinder(hamlet_folder, "try", "hamlet_mains")
    assert ran.code == 5
    assert "No answer: downloading source 'hamlet_mains'" in ran.out
    assert "Does not fit" not in ran.out
    assert "hamlet_mains: 0 rows tried, as EPSG:4326" in ran.out


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["try", "hamlet_parcel"], "did you mean 'hamlet_parcels'?"),
        (["try", "hamlet_parcels", "--market", "hamlt"], "there is no market"),
    ],
)
def test_try_needs_a_source_that_is_there(hamlet_folder, padfinder, arguments, wrong):
    ran = padfinder(hamlet_folder, *arguments)
    assert ran.code == 3
    assert wrong in ran.err


def test_check_data_lists_the_faults_of_every_source(hamlet_folder, padfinder):
    change(hamlet_folder, "parcels", '"use"', '"USE_CD"')
    change(hamlet_folder, "zoning", 'crs = "EPSG:4326"', 'crs = "EPSG:2249"')
    change(hamlet_folder, "mains", '"mains.geojson"', '"buildings.geojson"')
    change(hamlet_folder, "mains", '"inches"', '"height"')
    (hamlet_folder / "files/hamlet/substations.geojson").unlink()
    path = hamlet_folder / "own/hamlet/sources/hamlet_buildings.toml"
    path.write_text(path.read_text("utf-8") + "[expect]\nrows_min = 500\n", "utf-8")
    assert padfinder(hamlet_folder, "check").code == 0
    ran = padfinder(hamlet_folder, "check", "--data")
    assert ran.code == 3
    for wrong in (
        "no column 'USE_CD'",
        "sources/hamlet_zoning.toml declares EPSG:2249",
        "its shapes are Polygon, and layer 'mains' takes a line",
        "there is no file",
        "it has 300 rows, at least 500 expected",
    ):
        assert wrong in ran.err
    assert "errors" in ran.out
