"""What is guessed of a dataset that nobody has declared: columns, units, codes, keys and CRS."""

import tomllib

import numpy as np
import pandas as pd
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.guess.address import guess_address
from data.guess.catalogue import read_names, read_words
from data.guess.codes import count_codes, propose_use, propose_zone
from data.guess.columns import guess_columns
from data.guess.dates import find_date_format
from data.guess.ids import find_pseudo_ids
from data.guess.join import explain_no_join, guess_join
from data.guess.lines import Line, Table, write_toml, write_value
from data.guess.market import add_words, write_land_use
from data.guess.naming import Context
from data.guess.numbers import guess_area_unit, guess_markers, guess_unit
from data.guess.place import TIME_ZONES, guess_place, name_crs
from data.guess.table import guess_coordinates, guess_dialect, guess_shape_column
from geo.catalogue import read_layers
from geo.contract.toml import parse_toml
from geo.model import Column, LandUse

PARCELS = read_layers()["parcels"]
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def origins(rows, layer=PARCELS, **context):
    """Return what is guessed for each column of a layer, by its name."""
    lines = guess_columns(rows, layer, Context(**context))
    return {line.key: line.value for line in lines if not line.is_open}


def is_open(rows, layer, name):
    return any(line.key == name and line.is_open for line in guess_columns(rows, layer, Context()))


# ---------------------------------------------------------------------------------------------
# The written file


@given(key=texts, value=values, why=texts)
@settings(max_examples=150, deadline=None)
def test_any_value_is_read_back_from_what_is_written(key, value, why):
    """Whatever stands in a publisher's data, the file is TOML and holds the same."""
    text = write_toml([Table("", (Line("first", value, why), Line("open", value, why, True)))])
    assert tomllib.loads(text) == {"first": value}
    assert tomllib.loads(f"a = {write_value({key: value})}") == {"a": {key: value}}


@given(st.lists(st.tuples(texts.filter(str.strip), texts), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_code_is_written_with_its_class(pairs):
    frame = pd.DataFrame(pairs, columns=["code", "title"])
    codes = count_codes(frame["code"], [frame["title"]])
    table = parse_toml(LandUse, write_land_use("mytown", codes, ()), "land_use.toml")
    assert list(table.use) == [code.code for code in codes]
    assert sum(code.rows for code in codes) == len(frame)


def test_a_code_without_a_class_is_unfilled():
    codes = count_codes(pd.Series(["1", "2"]), [pd.Series(["Warehouse", "Zeppelin mooring"])])
    text = write_land_use("mytown", codes, ())
    assert '"1" = { title = "Warehouse", class = "commercial" }   # REVIEW: 1 row; ' in text
    assert '"2" = { title = "Zeppelin mooring", class = "" }   # REVIEW: 1 row; ' in text
    assert parse_toml(LandUse, text, "land_use.toml").list_unfilled() == ("2",)


# ---------------------------------------------------------------------------------------------
# Codes


def test_every_word_is_of_a_class_that_the_land_use_table_knows():
    words = read_words()
    table = {
        "jurisdiction": "a",
        "scheme": "a",
        "source": "a",
        "use": {name: {"title": name, "class": name} for name in words.use},
        "zone": {name: {"title": name, "class": name} for name in words.zone},
    }
    LandUse.model_validate(table)
    for name, synonyms in words.values.items():  # noqa: PD011
        allowed = {
            value
            for layer in read_layers().values()
            if name in layer.columns
            for value in layer.columns[name].values  # noqa: PD011
        }
        assert set(synonyms) <= allowed, name


def test_every_named_column_is_in_its_layer():
    for layer, names in read_names().items():
        assert set(names) - {"words"} <= set(read_layers()[layer].columns), layer


@pytest.mark.parametrize(
    ("title", "name", "receptor"),
    [
        ("SNGL-FAM-RES", "residential", "home"),
        ("MXD RETAIL-STORE", "mixed", "home"),
        ("RETAIL-CONDO", "commercial", None),
        ("CONDOMINIUM", "residential", "home"),
        ("Vacant City", "exempt", None),
        ("COM-DEV-LAND", "vacant", None),
        ("Church", "exempt", "worship"),
        ("HOTEL", "commercial", "hotel"),
        ("Housing Authority", "exempt", "home"),
        ("RES-&-DEV-FC", "", None),
        ("121 Corporation", "", None),
        ("Warehouse and apartments", "", None),
    ],
)
def test_a_class_is_proposed_only_where_the_words_are_plain(title, name, receptor):
    proposed = propose_use(title)
    assert (proposed.name, proposed.receptor) == (name, receptor)
    assert proposed.why


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Residence C-1 District, Multifamily dwellings", "residential"),
        ("Industry A District, Warehouse and light manufacturing", "industrial"),
        ("Business A District, business and multifamily dwellings", ""),
        ("Special Business, Office and Industrial District", "special"),
        ("C-2A", ""),
    ],
)
def test_a_zone_is_proposed_only_where_the_words_are_plain(title, name):
    assert propose_zone(title).name == name


def test_words_come_from_a_list_of_codes():
    codes = count_codes(pd.Series(["R1", "B2"]))
    table = pd.DataFrame({"Zone": ["B2", "R1"], "Name": ["Business", "Homes"], "More": ["x", None]})
    named, count = add_words(codes, table)
    assert count == 2
    assert [one.title for one in named] == ["Business, x", "Homes"]
    assert add_words(codes, table[["Name"]])[1] == 0


# ---------------------------------------------------------------------------------------------
# Columns


def test_columns_are_found_by_name_in_a_shapefile():
    rows = pd.DataFrame(
        {
            "OBJECTID": [1, 2, 3],
            "MAP_PAR_ID": ["1-1", "1-2", "1-3"],
            "USE_CODE": ["101", "101", "316"],
            "USE_DESCRI": ["House", "House", "Warehouse"],
            "SITE_ADDRE": ["1 Elm St", "2 Elm St", "3 Elm St"],
            "OWNER1": ["Ann", "Bob", "Cy"],
            "STORIES": [2, 0, 1],
        }
    )
    assert origins(rows) == {
        "parcel_id": {"column": "MAP_PAR_ID"},
        "use_code": {"column": "USE_CODE"},
        "use_title": {"column": "USE_DESCRI"},
        "address": {"column": "SITE_ADDRE"},
        "storeys": {"column": "STORIES", "missing": ["0"]},
    }


def test_an_id_and_an_address_are_found_by_their_content():
    count = 60
    rows = pd.DataFrame(
        {
            "OBJECTID": range(count),
            "K1": [f"M{n:03d}" for n in range(count)],
            "K2": [f"{n} Oak Street" for n in range(count)],
            "Shape_Area": np.arange(count) + 0.5,
        }
    )
    found = origins(rows)
    assert found["parcel_id"] == {"column": "K1"}
    assert found["address"] == {"column": "K2"}


def test_a_row_number_is_an_id_only_in_need():
    rows = pd.DataFrame({"OBJECTID": range(30), "KIND": ["a"] * 30})
    line = guess_columns(rows, PARCELS, Context())[0]
    assert line.value == {"column": "OBJECTID"}
    assert "may change" in line.why
    assert is_open(rows[["KIND"]], PARCELS, "parcel_id")


def test_streets_that_are_drawn_as_parcels_are_told_from_lots():
    ids = [f"1-{n}" for n in range(300)] + ["ROAD", "ROAD", "RR", "---"]
    found = origins(pd.DataFrame({"ML": ids}))
    assert found["parcel_id"] == {"column": "ML", "missing": ["---", "ROAD", "RR"]}
    assert found["polygon_kind"] == {
        "column": "ML",
        "map": {"ROAD": "ROW", "RR": "RAIL_ROW"},
        "other": "FEE",
    }


def test_ids_without_digits_are_ids_where_most_have_none():
    assert find_pseudo_ids(pd.Series([f"LOT{chr(65 + n)}" for n in range(20)])) == []


@given(st.lists(st.text("abc-", max_size=4) | st.none(), max_size=30), st.integers(1, 30))
@settings(max_examples=15, deadline=None)
def test_any_column_can_be_looked_at(texts_of_ids, number):
    """No content of a column makes the guessing fail, and what is guessed names real columns."""
    rows = pd.DataFrame({"PARCEL_ID": texts_of_ids, "ACRES": [number] * len(texts_of_ids)})
    for layer in read_layers().values():
        if not layer.is_raster:
            for line in guess_columns(rows, layer, Context()):
                assert line.is_open or line.value.get("column", "ACRES") in rows


def test_a_height_without_a_unit_stays_open():
    layer = read_layers()["buildings"]
    rows = pd.DataFrame({"HEIGHT": [20.0, 30.0]})
    assert is_open(rows, layer, "height_m")
    assert origins(rows.rename(columns={"HEIGHT": "HEIGHT_FT"}), layer) == {
        "height_m": {"column": "HEIGHT_FT", "unit": "ft"}
    }


def test_values_of_a_closed_list_are_translated():
    layer = read_layers()["mains"]
    rows = pd.DataFrame(
        {
            "FACILITYID": ["a", "b", "c"],
            "DIAMETER": ["4", "6", "UNK"],
            "STATUS": ["ACT", "Abandoned", "Zzz"],
            "MATERIAL": ["PE", "CI", "PE"],
        }
    )
    assert origins(rows, layer) == {
        "main_id": {"column": "FACILITYID"},
        "diameter_in": {"column": "DIAMETER", "unit": "in", "missing": ["UNK"]},
        "material": {"column": "MATERIAL", "map": {"CI": "cast iron", "PE": "polyethylene"}},
        "status": {
            "column": "STATUS",
            "map": {"ACT": "in_service", "Abandoned": "retired"},
            "other": "unknown",
        },
    }


# ---------------------------------------------------------------------------------------------
# Numbers


@pytest.mark.parametrize(("unit", "factor"), [("ft2", 10.7639), ("m2", 1.0), ("acre", 1 / 4046.86)])
@given(sizes=st.lists(st.floats(50, 50_000), min_size=3, max_size=30))
@settings(max_examples=25, deadline=None)
def test_the_unit_of_lot_sizes_is_found_by_comparing_with_the_shapes(unit, factor, sizes):
    drawn_m2 = pd.Series(sizes)
    guessed = guess_area_unit(drawn_m2 * factor * 1.03, drawn_m2)
    assert guessed is not None
    assert guessed.unit == unit


def test_lot_sizes_in_no_known_unit_stay_open():
    assert guess_area_unit(pd.Series([7.0, 9.0]), pd.Series([100.0, 900.0])) is None
    rows = pd.DataFrame({"APN": ["1", "2", "3"], "LOT_SIZE": [7.0, 8.0, 9.0]})
    lines = guess_columns(rows, PARCELS, Context(drawn_m2=pd.Series([100.0, 500.0, 900.0])))
    assert [line.is_open for line in lines if line.key == "recorded_area_m2"] == [True]


def test_units_are_read_from_names_and_numbers():
    def unit(name, number, column_unit):
        column = Column(title="A", type="float", unit=column_unit)
        guessed = guess_unit(name, pd.Series([number]), column)
        return None if guessed is None else guessed.unit

    assert unit("LOAD_CAP_MW_V", 2, "kW") == "MW"
    assert unit("maxVoltageKv", 115, "kV") == "kV"
    assert unit("VOLTAGE", 13_800, "kV") == "V"
    assert unit("DIAMETER", 180, "in") == "mm"
    assert unit("LandAreaSqft", 5000, "m2") == "ft2"
    assert unit("HEADROOM", 2, "kW") is None


def test_texts_that_mean_missing_are_few():
    assert guess_markers(pd.Series(["1", "n/a", "2"]), zero_is_missing=False)[0] == ["n/a"]
    many = pd.Series([f"about {n}" for n in range(20)])
    assert guess_markers(many, zero_is_missing=False)[0] is None


@pytest.mark.parametrize(
    ("written", "date_format"),
    [
        (["7/5/2005", "12/31/1999"], "%m/%d/%Y"),
        (["2005-07-05"], ""),
        (["1774387062000"], "epoch_ms"),
        (["1774387062"], "epoch_s"),
        (["20050705"], ""),
        (["1", "2"], None),
        (["spring"], None),
        ([None], None),
    ],
)
def test_dates_are_recognized(written, date_format):
    assert find_date_format(pd.Series(written)) == date_format


# ---------------------------------------------------------------------------------------------
# Joins


@given(st.lists(st.integers(0, 10_000), min_size=10, max_size=60, unique=True), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_the_key_is_found_whatever_it_is_called(numbers, lost):
    keys = [f"K{number}" for number in numbers]
    kept = keys[lost // 2 :]
    rows = pd.DataFrame({"noise": ["a"] * len(keys), "here": keys})
    table = pd.DataFrame({"x": [str(n) for n in range(len(kept))], "there": kept})
    found = guess_join(rows, table)
    assert found is not None
    assert (found.to, found.key) == ("here", "there")
    assert found.partners == len(kept)


def test_keys_that_are_written_differently_are_explained():
    rows = pd.DataFrame({"PIN": ["0012-03", "0012-04", "0099-01"]})
    table = pd.DataFrame({"PARCEL": ["1203", "1204", "9901"]})
    assert guess_join(rows, table) is None
    assert "'0012-03'" in explain_no_join(rows, table)
    assert explain_no_join(rows, pd.DataFrame({"A": ["x", "y", "z"]})) == ""


# ---------------------------------------------------------------------------------------------
# Places, tables and addresses


@pytest.mark.parametrize(
    ("bounds", "crs", "time_zone"),
    [
        ((-71.16, 42.35, -71.06, 42.41), "EPSG:26986", "America/New_York"),
        ((-118.6, 33.9, -118.0, 34.2), "EPSG:26945", "America/Los_Angeles"),
        ((-105.1, 39.6, -104.8, 39.9), "EPSG:26953", "America/Denver"),
        ((-0.2, 51.4, 0.0, 51.6), "EPSG:32630", "Etc/GMT"),
        ((-79.5, 43.6, -79.2, 43.8), "EPSG:32617", "Etc/GMT+5"),
    ],
)
def test_the_markets_crs_follows_from_the_place(bounds, crs, time_zone):
    place = guess_place(bounds)
    assert (place.crs, place.time_zone) == (crs, time_zone)


@given(st.floats(-179, 178.5), st.floats(-79, 83))
@settings(max_examples=8, deadline=None)
def test_every_place_gets_a_crs_in_meters_that_holds_it(west, south):
    place = guess_place((west, south, west + 0.2, south + 0.2))
    crs = pyproj.CRS(place.crs)
    assert crs.is_projected
    assert {axis.unit_conversion_factor for axis in crs.axis_info} == {1.0}
    use = crs.area_of_use
    assert use.south <= south + 0.2
    assert south <= use.north
    assert place.time_zone in TIME_ZONES.values() or place.time_zone.startswith("Etc/GMT")


@pytest.mark.parametrize("code", ["EPSG:2249", "EPSG:2263", "EPSG:26986", "EPSG:4326", "EPSG:4269"])
def test_the_crs_of_a_shapefile_is_named_by_its_code(code):
    assert name_crs(pyproj.CRS(code).to_wkt("WKT1_ESRI")) == code


def test_a_crs_without_a_code_is_named_by_its_text():
    own = pyproj.CRS("+proj=tmerc +lat_0=42 +lon_0=-71 +ellps=GRS80 +units=us-ft")
    assert name_crs(own).startswith("PROJCS[")


@pytest.mark.parametrize(
    ("text", "encoding", "dialect"),
    [
        ("a,b\n1.5,2\n", "utf-8", ("utf-8", ",", ".")),
        ("a;b\n1,5;2,5\n", "utf-8", ("utf-8", ";", ",")),
        ("a\tb\n1.5\tx\n", "utf-8", ("utf-8", "\t", ".")),
        ("a,b\nCaf\u00e9,2\n", "latin-1", ("latin-1", ",", ".")),
        ("a,b\nCaf\u00e9,2\n", "utf-8-sig", ("utf-8", ",", ".")),
    ],
)
def test_how_a_table_is_written_is_found_out(tmp_path, text, encoding, dialect):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    assert guess_dialect(path) == dialect


def test_places_of_a_table_are_found():
    table = pd.DataFrame({"Y_COORD": ["42.1"], "X_COORD": ["-71.2"], "note": ["a"]})
    assert guess_coordinates(table, ".") == ("X_COORD", "Y_COORD")
    assert guess_coordinates(table.assign(Y_COORD="north"), ".") is None
    shapes = pd.DataFrame({"the_geom": ["POLYGON ((0 0, 1 0, 1 1, 0 0))", None], "id": ["1", "2"]})
    assert guess_shape_column(shapes) == "the_geom"


@pytest.mark.parametrize(
    ("address", "protocol", "url"),
    [
        ("https://h/arcgis/rest/services/A/MapServer/3?f=json", "arcgis", "https://h/arcgis/rest/services/A/MapServer/3"),
        ("https://h/x/collections/lots", "ogc_features", "https://h/x/collections/lots"),
        ("https://h/ows?service=WFS&typeNames=a:lots", "wfs", "https://h/ows"),
        ("https://h/api/explore/v2.1/catalog/datasets/pipes/records", "opendatasoft", "https://h/api/explore/v2.1/catalog/datasets/pipes"),
        ("https://h/api/explore/v2.1/catalog/datasets/pipes/exports/geojson", "file", "https://h/api/explore/v2.1/catalog/datasets/pipes/exports/geojson"),
        ("https://h/files/lots.zip?token=${T}", "file", "https://h/files/lots.zip?token=${T}"),
        ("s3://bucket/lots.parquet", "file", "s3://bucket/lots.parquet"),
    ],
)  # fmt: skip
def test_the_protocol_follows_from_the_address(address, protocol, url):
    assert guess_address(address)[:2] == (protocol, url)


def test_a_service_without_a_layer_is_refused():
    assert "FeatureServer/0" in guess_address("https://h/rest/services/A/FeatureServer").wrong
