"""Answers that real servers gave, and addresses that are not those of a layer of rows."""

import json

import geopandas as gpd
import pytest
import shapely

import data.ask
from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from geo.errors import ConfigError, SourceChanged, SourceDown
from tests.data.test_arcgis_nights import NIGHT
from tests.servers.arcgis_replay import Layer, serving
from tests.servers.arcgis_town import ROWS, declare, make_layer, requests

KENT = (
    'PROJCS["NAD_1983_StatePlane_Michigan_South_FIPS_2113_IntlFeet",GEOGCS["GCS_North_American_'
    '1983",DATUM["D_North_American_1983",SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM['
    '"Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic"],'
    'PARAMETER["False_Easting",13123359.58005249],PARAMETER["False_Northing",0.0],PARAMETER['
    '"Central_Meridian",-84.36666666666666],PARAMETER["Standard_Parallel_1",42.1],PARAMETER['
    '"Standard_Parallel_2",43.66666666666666],PARAMETER["Latitude_Of_Origin",41.5],UNIT["Foot",'
    "0.3048]]"
)


class Recorded(Layer):
    """A layer whose rows, and the form of whose answers, were recorded of a real server."""

    def __init__(self, info, page):
        named = info.get("objectIdField")
        typed = [one["name"] for one in info["fields"] if one["type"] == "esriFieldTypeOID"]
        super().__init__([], types={named or typed[0]: "id"}, geometry_type=None)
        self.info, self.page = info, page
        features = page["features"]
        self.rows_most = len(features)
        for number, feature in enumerate(features):
            number = feature["attributes"].get(self.id_column, number)  # noqa: PLW2901
            self.rows[number] = (feature["attributes"], feature.get("geometry"))
        self.refresh()

    def refresh(self):
        kept, self.info = self.info, {"fields": [{"name": self.id_column, "type": ""}]}
        super().refresh()
        self.info = kept

    def answer(self, parameters):
        kind, answer = super().answer(parameters)
        if kind == "rows":
            wanted = set(self.find(parameters))
            features = self.page["features"]
            given = [
                one
                for one in features
                if one["attributes"].get(self.id_column, next(iter(wanted), None)) in wanted
            ]
            answer = self.page | {"features": given[: self.rows_most]}
        return kind, answer


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(data.ask, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def recorded(real_files):
    """Return a function that reads a recorded answer."""

    def read(name, folder="pyesridump/tests/fixtures"):
        path = real_files / "protocol" / folder / name
        return json.loads(path.read_text("utf-8"))

    return read


def pull(layer, folder, columns=(), **more):
    folder.mkdir(exist_ok=True)
    declared = {f"of_{number}": {"column": name} for number, name in enumerate(columns)}
    with serving(layer), open_connection("county", requests_per_s=1000) as connection:
        source = declare(layer, declared, **more)
        pulled = PROTOCOLS["arcgis"].pull(connection, source, folder, NIGHT)
    return gpd.read_parquet(pulled.file)


def refused(layer, folder, kind=SourceChanged, columns=(), **more):
    """Return the error of a pull, which is one sentence and a remedy."""
    with pytest.raises(kind) as caught:
        pull(layer, folder, columns, **more)
    text = str(caught.value)
    assert "'county'" in text or "sources/county.toml" in text
    assert text.splitlines()[1].startswith("  What to do: ")
    assert len(text.splitlines()) == 2
    return caught.value


# The server, its CRS as the recorded answers have it, the rows, and what the first one has. The
# recorder asked for degrees at some.
COUNTIES = {
    "us-mi-kent": (KENT, 15, {"OBJECTID": 1, "PPN": 410_106_100_009.0}),
    "us-mo-columbia": ("EPSG:4326", 43, {"OBJECTID": 64_579_816}),
    "us-fl-polk": ("EPSG:4326", 10, {"OBJECTID": 3_345_100}),
    "us-ms-madison": ("EPSG:4326", 1, {"OBJECTID": 26_353}),
    "us-esri-test": ("EPSG:4326", 1000, {"objectid": 306_120}),
}  # fmt: skip


@pytest.mark.parametrize("county", COUNTIES)
def test_a_countys_recorded_answers_are_read(recorded, tmp_path, county):
    crs, count, first = COUNTIES[county]
    layer = Recorded(
        recorded(f"{county}/{county}-metadata.json"), recorded(f"{county}/{county}-0.json")
    )
    frame = pull(layer, tmp_path, list(first), fetch={"crs": crs})
    assert len(frame) == count
    assert {name: frame[name].iloc[0] for name in first} == first
    asked = {parameters.get("resultRecordCount") for parameters in requests(layer, "rows")}
    assert asked == {None}


@pytest.mark.parametrize("most", [500, 77])
def test_cook_county_neither_lists_its_ids_nor_sorts_its_rows(recorded, tmp_path, most):
    """It answers a query for ids with a page of another layer, and its dates are texts."""
    layer = Recorded(recorded("us-il-cook/metadata.json"), recorded("us-il-cook/page-full.json"))
    layer.hook = lambda kind, *_: (
        (200, {}, json.dumps(recorded(f"us-il-cook/{kind}-only.json")).encode())
        if kind in {"ids", "count"}
        else None
    )
    layer.rows_most = most
    frame = pull(layer, tmp_path, ["NAME", "LAST_EDIT"], fetch={"crs": "EPSG:4326"})
    numbers = [row["attributes"]["OBJECTID"] for row in layer.page["features"]]
    assert frame["OBJECTID"].tolist() == sorted(numbers)
    assert frame["NAME"].iloc[:2].tolist() == ["MT ISAIAH", "SCHURZ HIGH"]
    assert frame["LAST_EDIT"].notna().any()


def test_carson_gives_one_object_id_to_several_rows(recorded, tmp_path):
    county = "us-ca-carson/us-ca-carson"
    layer = Recorded(recorded(f"{county}-metadata.json"), recorded(f"{county}-0.json"))
    error = refused(layer, tmp_path, columns=["SITENUMBER"], fetch={"crs": "EPSG:4326"})
    assert "gives two rows with the object id" in error.wrong


def test_tuolumne_county_answers_without_its_object_ids(recorded, tmp_path):
    county = "us-ca-tuolumne/us-ca-tuolumne"
    layer = Recorded(recorded(f"{county}-metadata.json"), recorded(f"{county}-0.json"))
    error = refused(layer, tmp_path, columns=["O_ID"], fetch={"crs": "EPSG:2227"})
    assert "has a column 'SHAPE.fid', and answers without it" in error.wrong


@pytest.mark.parametrize(
    ("county", "counted", "listed"),
    [
        ("us-ca-carson", "30,551", "100"),
        ("us-ca-tuolumne", "469", "15"),
        ("us-fl-polk", "338,142", "10"),
        ("us-mi-kent", "222,460", "15"),
        ("us-mo-columbia", "84,296", "43"),
        ("us-ms-madison", "124", "1"),
        ("us-esri-test", "312", "1,000"),
    ],
)
def test_a_recorded_sample_of_ids_is_not_taken_for_all(recorded, tmp_path, county, counted, listed):
    layer = make_layer()
    layer.info = recorded(f"{county}/{county}-metadata.json")
    layer.hook = lambda kind, *_: (
        None
        if kind == "layer"
        else (200, {}, json.dumps(recorded(f"{county}/{county}-{kind}-only.json")).encode())
    )
    error = refused(layer, tmp_path)
    assert f"counts {counted} rows, and lists {listed} object ids" in error.wrong


def test_a_layer_without_rows_is_an_empty_file(recorded, tmp_path):
    """Census places in Chicago's service: no row, by its own count."""
    layer = make_layer()
    layer.info = recorded("us-il-chicago/metadata.json")
    layer.hook = lambda kind, *_: {
        "ids": (200, {}, b'{"objectIdFieldName": "OBJECTID", "objectIds": null}'),
        "count": (200, {}, json.dumps(recorded("us-il-chicago/count-only.json")).encode()),
    }.get(kind)
    frame = pull(layer, tmp_path, ["NAME"], fetch={"crs": "EPSG:3857"})
    assert frame.empty


@pytest.mark.parametrize(
    ("name", "kind", "fault", "wrong"),
    [
        ("error_499_http200.json", SourceChanged, "forbidden", "Token Required"),
        ("error_500_http200.json", SourceDown, "stale", "Error performing query operation"),
        ("hub_processing.json", SourceChanged, "changed", "without any list of features"),
        ("query_geojson_exceeded_in_properties.json", SourceChanged, "changed", "attributes"),
    ],
)
def test_recorded_answers_that_are_no_rows(recorded, tmp_path, name, kind, fault, wrong):
    layer = make_layer()
    body = json.dumps(recorded(name, "extra")).encode()
    layer.hook = lambda one, *_: (200, {}, body) if one == "rows" else None
    error = refused(layer, tmp_path, kind, ["PIN"])
    assert error.fault == fault
    assert wrong in error.wrong


# ---------------------------------------------------------------------------------------------
# Esri's binary format


BINARY = {
    "pbf-points": ("esriGeometryPoint", 0),
    "pbf-multilinestring": ("esriGeometryPolyline", 0),
    "pbf-lines-quantization": ("esriGeometryPolyline", 0),
    "pbf-null-handling": ("esriGeometryPolygon", 0),
    # Rounded to 2,446 m, three rings in two of these rows have become lines.
    "pbf-quantization": ("esriGeometryPolygon", 2),
}


@pytest.fixture
def decoded(recorded):
    """Return a function that gives a recorded answer in the binary format as a layer and rows."""

    def read(name):
        folder = "arcgis-pbf-parser/test/decoded"
        features = recorded(f"{name}.json", folder)["featureCollection"]["features"]
        kinds = {"id": "OID", "FID": "OID", "OBJECTID": "OID"}
        names = features[0]["properties"]
        id_column = next(one for one in names if one in kinds)
        types = {
            one: "id"
            if one == id_column
            else _find_type([row["properties"][one] for row in features])
            for one in names
        }
        rows = [(feature["properties"], None) for feature in features]
        layer = Layer(
            rows, types=types, geometry_type=BINARY[name][0], supportedQueryFormats="JSON, PBF"
        )
        return layer, features

    return read


def _find_type(values):
    known = {type(value) for value in values} - {type(None)}
    return "str" if known <= {str} else "float" if float in known else "SmallInteger"


@pytest.mark.parametrize("name", BINARY)
def test_a_recorded_binary_answer_is_that_of_its_decoded_twin(
    decoded, real_files, tmp_path, monkeypatch, name
):
    monkeypatch.setattr("data.protocols.arcgis.pages.FIRST_ROWS", 1000)
    layer, features = decoded(name)
    body = real_files / "protocol" / "arcgis-pbf-parser/test/encoded" / f"{name}.pbf"
    layer.hook = lambda kind, *_: (200, {}, body.read_bytes()) if kind == "rows" else None
    names = list(features[0]["properties"])
    crs = "EPSG:4326" if name == "pbf-multilinestring" else "EPSG:3857"
    frame = pull(layer, tmp_path, names, fetch={"crs": crs})
    assert {one["f"] for one in requests(layer, "rows")} == {"pbf"}
    due = sorted(features, key=lambda one: one["properties"][layer.id_column])
    for column in names:
        values = [one["properties"][column] for one in due]
        found = frame[column].astype(object)
        given = [
            None if is_none else value for value, is_none in zip(found, found.isna(), strict=True)
        ]
        assert (
            given == pytest.approx(values, rel=1e-6)
            if _find_type(values) == "float"
            else given == values
        )
    geometries = [one["geometry"] for one in due]
    shapes = [None if one is None else shapely.geometry.shape(one) for one in geometries]
    assert frame.geometry.isna().tolist() == [one is None for one in shapes]
    apart = shapely.hausdorff_distance(frame.geometry.to_numpy(), shapes)
    assert (apart > 1e-6).sum() == BINARY[name][1]


@pytest.mark.parametrize(
    "body", [b"\x12\x03abc", b'{"error": {"code": 400, "message": "f"}}', b"\x12\xfb\x01\n"]
)
def test_a_server_that_fails_at_the_binary_format_is_asked_for_json(tmp_path, body):
    layer = make_layer(supportedQueryFormats="JSON, geoJSON, PBF")
    layer.hook = lambda _, parameters, __: (200, {}, body) if parameters.get("f") == "pbf" else None
    frame = pull(layer, tmp_path, ["PIN"])
    assert frame["PIN"].tolist() == [f"P{number}" for number in range(ROWS)]
    # The first page is asked for at most three times.
    assert len(requests(layer, "rows")) <= 5 + 2


@pytest.mark.parametrize("kind", ["int", "BigInteger"])
def test_whole_numbers_are_not_asked_for_in_the_binary_format(tmp_path, kind):
    """Koop cuts off those of more than 32 bits."""
    rows = [({"OBJECTID": 1, "A": 1_774_387_062_000}, None)]
    types = {"OBJECTID": "id", "A": kind}
    layer = Layer(rows, types=types, geometry_type=None, supportedQueryFormats="JSON, PBF")
    assert pull(layer, tmp_path, ["A"])["A"].tolist() == [1_774_387_062_000]
    assert {one["f"] for one in requests(layer, "rows")} == {"json"}


def test_a_server_that_answers_in_json_nevertheless(tmp_path):
    layer = make_layer(supportedQueryFormats="JSON, PBF")
    assert len(pull(layer, tmp_path, ["PIN"])) == ROWS
    assert len(requests(layer, "rows")) == 5


# ---------------------------------------------------------------------------------------------
# What is not a layer of rows


SERVICE = {
    "currentVersion": 10.81,
    "capabilities": "Map,Query,Data",
    "layers": [{"id": 0, "name": "Lots"}, {"id": 3, "name": "Zones"}],
    "tables": [{"id": 7, "name": "Owners"}],
}


@pytest.mark.parametrize(
    ("info", "wrong"),
    [
        (SERVICE, "is not one layer: it holds the layers 0 (Lots), 3 (Zones), 7 (Owners)"),
        (
            {"type": "Group Layer", "subLayers": [{"id": 4, "name": "Mains"}]},
            "is not one layer: it holds the layers 4 (Mains)",
        ),
        ({"services": [{"name": "a/Lots", "type": "MapServer"}]}, "is a folder of the services"),
        (
            {"capabilities": "Map,Tilemap", "singleFusedMapCache": True, "layers": []},
            "gives no rows: it offers Map,Tilemap, and not Query",
        ),
        ({"status": "Processing"}, "does not describe a layer of rows: it names no columns"),
        (
            {"fields": [{"name": "A", "type": "esriFieldTypeString"}]},
            "has no column of object ids",
        ),
        (
            make_layer().info | {"geometryType": "esriGeometryMultiPatch"},
            "has shapes of the type esriGeometryMultiPatch",
        ),
    ],
)
def test_what_is_not_a_layer_of_rows_says_what_it_is(tmp_path, info, wrong):
    layer = make_layer()
    layer.info = info
    error = refused(layer, tmp_path)
    assert wrong in error.wrong
    assert layer.url in error.wrong


def test_a_service_of_images_is_refused(recorded, tmp_path):
    layer = make_layer()
    layer.info = recorded("ImageServer_json_Download.json", "esri-dump/test/fixtures")
    assert "is a service of images" in refused(layer, tmp_path).wrong


@pytest.mark.parametrize("more", ["where=1%3D1", "f=json&resultOffset=10", "maxAllowableOffset=5"])
def test_an_address_with_a_query_is_refused(tmp_path, more):
    layer = make_layer()
    with serving(layer):
        source = declare(layer, fetch={"url": f"{layer.url}/query?{more}"})
    with open_connection("county") as connection, pytest.raises(ConfigError) as caught:
        PROTOCOLS["arcgis"].pull(connection, source, tmp_path, NIGHT)
    assert "choose rows with fetch.filter" in str(caught.value)


def test_the_next_address_is_used_where_the_first_is_down(tmp_path):
    layer, down = make_layer(), make_layer()
    down.hook = lambda *_: (503, {}, b"busy")
    tmp_path.mkdir(exist_ok=True)
    with (
        serving(layer),
        serving(down),
        open_connection("county", requests_per_s=1000) as connection,
    ):
        fetch = {"fallback_urls": (layer.url,), "url": down.url}
        pulled = PROTOCOLS["arcgis"].pull(connection, declare(layer, fetch=fetch), tmp_path, NIGHT)
    assert pulled.address == layer.url
    assert any("another address is used" in note for note in pulled.notes)
    assert len(gpd.read_parquet(pulled.file)) == ROWS


# ---------------------------------------------------------------------------------------------
# A preview


@pytest.mark.parametrize("paged", [True, False])
def test_a_preview_asks_for_the_first_rows_only(paged):
    layer = make_layer(
        description="Lots of the town", editingInfo={"lastEditDate": 1_772_366_400_000}
    )
    layer.info["advancedQueryCapabilities"]["supportsPagination"] = paged
    with serving(layer), open_connection("county", requests_per_s=1000) as connection:
        seen = PROTOCOLS["arcgis"].preview(connection, declare(layer, {}), 3)
    assert seen.row_count == ROWS
    assert seen.rows["PIN"].tolist() == ["P0", "P1", "P2"]
    assert seen.rows.crs.to_epsg() == 26986
    assert seen.rows.geometry.area.tolist() == [400.0] * 3
    assert seen.types["UNITS"] == "esriFieldTypeInteger"
    assert list(seen.rows.columns) == ["OBJECTID", "PIN", "USE", "FLOOR", "UNITS", "geometry"]
    assert "rows last edited: 2026-03-01 12:00 UTC" in seen.says
    assert "description: Lots of the town" in seen.says
    assert len(layer.asked) <= 4


def test_a_preview_of_an_empty_layer_and_of_a_table():
    empty = make_layer(rows=0)
    table = Layer(
        [({"OBJECTID": 1, "A": "x"}, None)],
        types={"OBJECTID": "id", "A": "str"},
        geometry_type=None,
    )
    for layer, count in ((empty, 0), (table, 1)):
        with serving(layer), open_connection("county") as connection:
            seen = PROTOCOLS["arcgis"].preview(connection, declare(layer, {}), 3)
        assert seen.row_count == len(seen.rows) == count
