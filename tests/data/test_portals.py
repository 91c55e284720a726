"""Datasets of Opendatasoft and CKAN portals: exports and files, counts, skip, and every fault."""

import datetime as dt
import io
import json
import zipfile

import geopandas as gpd
import openpyxl
import pytest

from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from geo.errors import ConfigError, SourceChanged, SourceDown
from tests.servers.scripted import serving

NIGHT = dt.date(2026, 3, 1)
NEXT = dt.date(2026, 3, 2)
COUNT = 5
CATALOG = "/api/explore/v2.1/catalog/datasets"


def make_features():
    return [
        {
            "type": "Feature",
            "properties": {"zone": f"0{number}", "geo_point_2d": {"lon": 1, "lat": 2}},
            "geometry": {"type": "Polygon", "coordinates": [[
                [-71.12 + number / 500, 42.37], [-71.119 + number / 500, 42.37],
                [-71.119 + number / 500, 42.371], [-71.12 + number / 500, 42.37]]]},
        }
        for number in range(COUNT)
    ]  # fmt: skip


def make_csv():
    """Return rows of which one has a text of two lines."""
    rows = []
    for number in range(COUNT):
        west = -71.12 + number / 500
        ring = f"{west} 42.37, {west + 0.001} 42.37, {west + 0.001} 42.371, {west} 42.37"
        rows.append(f'0{number},"POLYGON (({ring}))","a\nb"')
    return "\n".join(["zone,shape,text", *rows, ""]).encode()


class Portal:
    """A portal of both kinds with one dataset, and what is wrong with it."""

    def __init__(self):
        self.features = make_features()
        self.types = {"zone": "text", "geo_point_2d": "geo_point_2d", "geo_shape": "geo_shape"}
        self.modified = "2026-02-01T00:00:00+00:00"
        self.total = COUNT
        # Answers by path, instead of the good ones.
        self.spoiled = {}
        self.resources = [self.describe("r1", "Zones", "/files/a.csv", "CSV")]
        self.file, self.file_headers = make_csv(), {"Content-Type": "text/csv"}

    def describe(self, key, name, path, kind, **more):
        return {"id": key, "name": name, "format": kind, "path": path,
                "last_modified": "2026-02-01T00:00:00"} | more  # fmt: skip

    def __call__(self, path, parameters, headers):
        if path in self.spoiled:
            return self.spoiled[path]
        if path.startswith(CATALOG):
            return self.answer_explore(path.removeprefix(CATALOG), parameters)
        return self.answer_ckan(path, parameters, headers)

    def answer_explore(self, path, parameters):
        if path == "":
            return send_json({"results": [{"dataset_id": "zones"}, {"dataset_id": "lots"}]})
        if path == "/zones":
            fields = [{"name": name, "type": kind} for name, kind in self.types.items()]
            metas = {"title": "Zones", "modified": self.modified}
            return send_json({"fields": fields, "metas": {"default": metas}})
        if path == "/zones/records":
            assert parameters["limit"] == "0"
            return send_json({"total_count": self.total, "results": []})
        limit = int(parameters.get("limit", 1000))
        if path == "/zones/exports/geojson":
            return send_json({"type": "FeatureCollection", "features": self.features[:limit]})
        if path == "/zones/exports/csv":
            return 200, {}, make_csv()
        return 404, {}, b"{}"

    def answer_ckan(self, path, parameters, headers):
        action = path.removeprefix("/api/3/action/")
        if action == "package_show":
            if parameters["id"] != "zones":
                return 404, {}, b'{"success": false}'
            listed = [one | {"url": self.name(one["path"])} for one in self.resources]
            return send_json({"success": True, "result": {"title": "City", "resources": listed}})
        if action == "package_list":
            return send_json({"success": True, "result": ["zones", "lots"]})
        if action == "datastore_search":
            assert parameters["limit"] == "0"
            return send_json({"success": True, "result": {"total": self.total}})
        return self.answer_file(path, headers)

    def answer_file(self, path, headers):
        if path.startswith(("/files/", "/datastore/dump/")):
            if headers.get("If-None-Match") == self.file_headers.get("ETag", "none"):
                return 304, {}, b""
            return 200, self.file_headers, self.file
        return 404, {}, b"no"

    def name(self, path):
        return f"{self.address}{path}" if path.startswith("/") else path


def send_json(document):
    return 200, {}, json.dumps(document).encode()


@pytest.fixture
def portal():
    one = Portal()
    with serving(one) as running:
        one.address, one.asked = running.address, running.asked
        yield one


@pytest.fixture
def explore(portal, make_zones, monkeypatch, quick):  # noqa: ARG001 (quick changes how long to wait)
    """Return a function that makes the market and the source of the Opendatasoft dataset."""
    monkeypatch.setenv("PORTAL_KEY", "sesame-key")

    def make(path=f"{CATALOG}/zones", **fetch):
        headers = {"Authorization": "Apikey ${PORTAL_KEY}"}
        url = f"{portal.address}{path}?lang=sesame-fr"
        return make_zones("opendatasoft", url, **({"headers": headers} | fetch))

    return make


@pytest.fixture
def ckan(portal, make_zones, quick):  # noqa: ARG001 (quick changes how long to wait)
    """Return a function that makes the market and the source of the CKAN resource."""

    def make(path="/dataset/zones", **fetch):
        return make_zones("ckan", f"{portal.address}{path}", **({"wkt": "shape"} | fetch))

    return make


def pull_file(source, folder, night=NIGHT):
    folder.mkdir(exist_ok=True)
    with open_connection(source.id, requests_per_s=1000.0, **_options(source)) as connection:
        return PROTOCOLS[source.fetch.protocol].pull(connection, source, folder, night)


def _options(source):
    fetch = source.fetch
    return {"headers": fetch.headers, "redirect_hosts": fetch.redirect_hosts}


def list_paths(portal):
    paths = [path for path, _, _ in portal.asked]
    portal.asked.clear()
    return paths


# ---------------------------------------------------------------------------------------------
# Opendatasoft


@pytest.mark.parametrize("path", [f"{CATALOG}/zones", "/explore/dataset/zones/information/",
                                  f"{CATALOG}/zones/exports/geojson"])  # fmt: skip
def test_an_export_is_pulled_whole_and_in_order(portal, explore, tmp_path, path):
    _, source = explore(path)
    first = pull_file(source, tmp_path / "a").file
    rows = gpd.read_parquet(first)
    assert sorted(rows["zone"]) == [f"0{number}" for number in range(COUNT)]
    assert rows.crs == "EPSG:4326"
    assert rows.total_bounds[:2].tolist() == pytest.approx([-71.12, 42.37])
    assert {one["Authorization"] for _, _, one in portal.asked} == {"Apikey sesame-key"}
    portal.features.reverse()
    assert pull_file(source, tmp_path / "b").file.read_bytes() == first.read_bytes()


def test_a_filter_and_bounds_are_one_condition(portal, explore, tmp_path):
    _, source = explore(filter="zone > '00'", bounds=(-71.2, 42.3, -71.0, 42.5))
    pull_file(source, tmp_path / "a")
    wheres = {one["where"] for path, one, _ in portal.asked if "/zones/" in path}
    ring = "-71.2 42.3, -71 42.3, -71 42.5, -71.2 42.5, -71.2 42.3"
    assert wheres == {f"(zone > '00') and intersects(`geo_shape`, geom'POLYGON(({ring}))')"}
    del portal.types["geo_shape"]
    portal.asked.clear()
    pull_file(source, tmp_path / "b")
    wheres = {one["where"] for path, one, _ in portal.asked if "/zones/" in path}
    assert wheres == {"(zone > '00') and in_bbox(`geo_point_2d`, 42.3, -71.2, 42.5, -71)"}


def test_a_dataset_without_shapes_is_a_csv(portal, explore, tmp_path, pull):
    portal.types = {"zone": "text"}
    market, source = explore(wkt="shape")
    _, (pulled,) = pull(tmp_path, market, source)
    assert pulled.rows == COUNT


def test_a_very_long_text_is_one_cell(portal, explore, tmp_path):
    portal.types = {"zone": "text"}
    long = b'zone,shape,text\n01,"%s",x\n' % (b"1 2, " * 100_000)
    portal.spoiled = {f"{CATALOG}/zones/exports/csv": (200, {}, long)}
    portal.total = 1
    _, source = explore(wkt="shape")
    assert pull_file(source, tmp_path / "a").file.read_bytes() == long


def test_an_unchanged_dataset_is_not_exported_again(portal, explore, tmp_path):
    _, source = explore()
    first = pull_file(source, tmp_path / "a").file.read_bytes()
    list_paths(portal)
    assert pull_file(source, tmp_path / "a", NEXT).file.read_bytes() == first
    assert list_paths(portal) == [f"{CATALOG}/zones"]
    portal.modified = "2026-03-02T00:00:00+00:00"
    pull_file(source, tmp_path / "a", NEXT)
    assert f"{CATALOG}/zones/exports/geojson" in list_paths(portal)


def test_a_preview_of_a_dataset(portal, explore):
    _, source = explore()
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        seen = PROTOCOLS["opendatasoft"].preview(connection, source, 2)
    assert (len(seen.rows), seen.row_count) == (2, COUNT)
    assert seen.types == portal.types
    assert "modified: 2026-02-01T00:00:00+00:00" in seen.says


EXPORT = f"{CATALOG}/zones/exports/geojson"
EXPLORE_FAULTS = {
    "html": ({EXPORT: (200, {}, b"<html>")}, SourceChanged, "an HTML page"),
    "cut": ({EXPORT: (200, {}, b'{"type": "FeatureCollection", "features": [{"ty')},
            SourceChanged, "cut off or not GeoJSON"),
    "cut off": ({EXPORT: (200, {"Content-Length": "999"}, b"{")}, SourceDown, "cut off"),
    "forbidden": ({EXPORT: (401, {}, b"no")}, SourceChanged, "answers 401"),
    "down": ({EXPORT: (503, {}, b"no")}, SourceDown, "answers 503"),
    "redirect": ({EXPORT: (302, {"Location": "http://localhost:1/?sesame"}, b"")},
                 SourceChanged, "another host"),
    "count": ({f"{CATALOG}/zones/records": send_json({"total_count": 6})},
              SourceChanged, "says that it has 6 rows, but its export has 5"),
    "no count": ({f"{CATALOG}/zones/records": send_json({})}, SourceChanged, "how many rows"),
    "no rows": ({f"{CATALOG}/zones/records": send_json({"total_count": 0})},
                SourceChanged, "0 rows"),
    "gone": ({f"{CATALOG}/zones": (404, {}, b"{}")}, SourceChanged,
             "there is no dataset 'zones'; the portal has zones, lots"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLORE_FAULTS)
def test_each_fault_of_an_opendatasoft_portal(portal, explore, tmp_path, pull, check_refused, name):
    spoiled, kind, words = EXPLORE_FAULTS[name]
    market, source = explore()
    pull(tmp_path, market, source)
    portal.spoiled = spoiled
    assert words in check_refused(market, source, kind).wrong
    portal.spoiled = {}
    pull(tmp_path, market, source, night=NIGHT + dt.timedelta(days=9))


def test_an_address_that_is_no_dataset(explore, check_refused):
    assert "is not a dataset's address" in check_refused(*explore("/x"), ConfigError).wrong


# ---------------------------------------------------------------------------------------------
# CKAN


@pytest.mark.parametrize(
    "path",
    ["/dataset/zones", "/dataset/zones/resource/r1", "/api/3/action/package_show?id=zones"],
)
def test_the_file_of_a_resource_is_pulled(portal, ckan, tmp_path, pull, path):
    market, source = ckan(path)
    _, (pulled,) = pull(tmp_path, market, source)
    assert pulled.rows == COUNT
    # The file's address changes with each version, and the same rows make no new snapshot.
    portal.resources[0] |= {"path": "/files/b.csv", "last_modified": "2026-03-02"}
    _, (again,) = pull(tmp_path, market, source, night=NEXT)
    assert not again.changed


@pytest.mark.parametrize("member", ["Lots", "r2"])
def test_a_resource_is_named_by_its_title_or_id(portal, ckan, tmp_path, member):
    portal.resources.append(portal.describe("r2", "Lots", "/files/lots", "CSV"))
    _, source = ckan(member=member)
    file = pull_file(source, tmp_path / "a").file
    assert file.name == "rows.csv"
    assert list_paths(portal)[-1] == "/files/lots"


def test_a_sheet_or_a_file_inside_is_named_behind_two_colons(portal, ckan, tmp_path, pull):
    book = openpyxl.Workbook()
    book.active.append(["other"])
    sheet = book.create_sheet("Zones of 2026")
    for row in [("zone", "shape"), ("01", "POLYGON ((-71 42, -71 42.001, -71.001 42, -71 42))")]:
        sheet.append(row)
    held = io.BytesIO()
    book.save(held)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "zone\n")
        archive.writestr("zones.csv", make_csv())
    for body, kind, inner, count in (
        (held.getvalue(), "XLSX", "Zones of 2026", 1),
        (packed.getvalue(), "ZIP", "zones.csv", COUNT),
    ):
        portal.resources = [portal.describe("r1", "Zones", "/files/x", kind)]
        portal.file, portal.file_headers = body, {}
        market, source = ckan(member=f"Zones::{inner}")
        source = source.model_copy(update={"expect": source.expect.model_copy(
            update={"shrink_share_max": 1.0})})  # fmt: skip
        _, (pulled,) = pull(tmp_path / kind, market, source)
        assert pulled.rows == count


def test_an_unchanged_resource_is_not_downloaded_again(portal, ckan, tmp_path):
    _, source = ckan()
    pull_file(source, tmp_path / "a")
    list_paths(portal)
    pull_file(source, tmp_path / "a", NEXT)
    assert list_paths(portal) == ["/api/3/action/package_show"]
    portal.resources[0]["hash"] = "abc"
    pull_file(source, tmp_path / "a", NEXT)
    assert list_paths(portal)[-1] == "/files/a.csv"


def test_a_resource_without_a_date_is_asked_for_by_its_etag(portal, ckan, tmp_path):
    portal.resources[0]["last_modified"] = None
    portal.file_headers |= {"ETag": '"v1"'}
    _, source = ckan()
    pull_file(source, tmp_path / "a")
    pull_file(source, tmp_path / "a", NEXT)
    assert portal.asked[-1][2]["If-None-Match"] == '"v1"'


def test_rows_of_the_portals_database_come_from_its_dump(portal, ckan, tmp_path, check_refused):
    portal.resources = [portal.describe("r1", "Zones", "", "CSV", datastore_active=True)]
    portal.name = lambda path: path
    assert pull_file(ckan()[1], tmp_path / "a").file.name == "rows.csv"
    assert list_paths(portal)[1:] == ["/datastore/dump/r1", "/api/3/action/datastore_search"]
    portal.total = COUNT + 1
    error = check_refused(*ckan(), SourceChanged)
    assert "says that it has 6 rows, but its dump has 5" in error.wrong


def test_a_file_at_another_host_needs_the_declaration(portal, ckan, tmp_path, check_refused):
    with serving(lambda *_: (200, {}, make_csv())) as other:
        portal.resources[0]["path"] = f"{other.address}/a.csv?signature=sesame-signature"
        error = check_refused(*ckan(), SourceChanged)
        assert "sends on to another host" in error.wrong
        assert "redirect_hosts" in error.remedy
        assert other.asked == []
        host = other.address.removeprefix("http://")
        _, source = ckan(redirect_hosts=(host,), headers={"X-Key": "sesame-header"})
        pull_file(source, tmp_path / "a")
        assert "X-Key" not in other.asked[0][2]


def test_a_preview_of_a_resource(ckan):
    _, source = ckan()
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        seen = PROTOCOLS["ckan"].preview(connection, source, 2)
    assert (len(seen.rows), seen.row_count) == (2, COUNT)
    assert list(seen.types) == ["zone", "text"]
    assert seen.says == ("title: City: Zones", "modified: 2026-02-01T00:00:00")


SHOW = "/api/3/action/package_show"
CKAN_FAULTS = {
    "html": ({"/files/a.csv": (200, {}, b"<html>")}, SourceChanged, "an HTML page"),
    "gone file": ({"/files/a.csv": (404, {}, b"no")}, SourceChanged, "answers 404"),
    "down": ({"/files/a.csv": (500, {}, b"no")}, SourceDown, "answers 500"),
    "cut off": ({"/files/a.csv": (200, {"Content-Length": "999"}, b"a")}, SourceDown, "cut off"),
    "gone": ({SHOW: (404, {}, b"{}")}, SourceChanged, "no dataset 'zones'; the portal has zones"),
    "refused": ({SHOW: send_json({"success": False, "error": {"message": "no"}})},
                SourceChanged, "an error body"),
    "no json": ({SHOW: (200, {}, b"[1")}, SourceChanged, "JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("name", CKAN_FAULTS)
def test_each_fault_of_a_ckan_portal(portal, ckan, tmp_path, pull, check_refused, name):
    spoiled, kind, words = CKAN_FAULTS[name]
    market, source = ckan()
    pull(tmp_path, market, source)
    portal.spoiled = spoiled
    assert words in check_refused(market, source, kind).wrong
    portal.spoiled = {}
    pull(tmp_path, market, source, night=NIGHT + dt.timedelta(days=9))


def test_a_resource_that_is_not_there_or_not_named(portal, ckan, check_refused):
    portal.resources.append(portal.describe("r2", "Lots", "/files/lots", "XLSX"))
    error = check_refused(*ckan(), SourceChanged)
    assert "has 2 resources in dataset 'zones', which has Zones (CSV), Lots (XLSX)" in error.wrong
    error = check_refused(*ckan(member="Roads"), SourceChanged)
    assert "has no resource called 'Roads'" in error.wrong
    assert error.fault == "gone"


def test_what_does_not_go_with_a_ckan_portal(ckan, check_refused):
    assert "whole files" in check_refused(*ckan(filter="a = 1"), ConfigError).wrong
    assert "is not a dataset's address" in check_refused(*ckan("/x"), ConfigError).wrong
