"""OGC API Features: pages, counts, ids, CRS and axis order, resume and skip, and every fault."""

import datetime as dt
import gzip
import json
from pathlib import Path

import geopandas as gpd
import httpx
import pyproj
import pytest

from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from data.redirects import check_link
from geo.errors import ConfigError, ContractError, SourceChanged, SourceDown
from tests.servers.scripted import serving

NIGHT = dt.date(2026, 3, 1)
NEXT = dt.date(2026, 3, 2)
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
ZONES = "/ogc/collections/zones"
COUNT, PAGE = 7, 3


def make_features(count=COUNT):
    """Return squares of 0.001 degrees in a row near Cambridge."""
    features = []
    for number in range(count):
        west, south = -71.12 + number / 500, 42.37
        ring = [
            [west + x, south + y]
            for x, y in [(0, 0), (0.001, 0), (0.001, 0.001), (0, 0.001), (0, 0)]
        ]
        features.append(
            {
                "type": "Feature",
                "id": f"z.{number}",
                "properties": {"zone": f"B-{number}", "rank": number},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    return features


class Api:
    """One collection, and what is wrong with its answers."""

    def __init__(self):
        self.features = make_features()
        self.collection = {
            "id": "zones",
            "title": "Zones",
            "itemType": "feature",
            "extent": {"spatial": {"bbox": [[-71.2, 42.3, -71.0, 42.5]], "crs": CRS84}},
            "crs": [CRS84, f"{EPSG}4326", f"{EPSG}26986", f"{EPSG}3035"],
        }
        self.conforms = []
        self.page_most = 1000
        self.has_count = True
        # Called with the start and the page, before it is sent; returns the page or an answer.
        self.spoil = lambda _, page: page
        self.headers = {}
        self.keeps_crs = True

    def __call__(self, path, parameters, headers):
        if path == ZONES:
            return 200, {}, json.dumps(self.collection).encode()
        if path == "/ogc/conformance":
            return 200, {}, json.dumps({"conformsTo": self.conforms}).encode()
        if path != f"{ZONES}/items":
            return 404, {}, b"no"
        start = int(parameters.get("from", 0))
        size = min(int(parameters.get("limit", 10)), self.page_most)
        features = [transform(one, parameters.get("crs")) for one in self.features]
        page = {"type": "FeatureCollection", "features": features[start : start + size]}
        if self.has_count:
            page["numberMatched"] = len(features)
        if start + size < len(features):
            link = self.link(start + size, size)
            if "crs" in parameters and self.keeps_crs:
                link["href"] += f"&crs={parameters['crs']}"
            page["links"] = [link]
        spoiled = self.spoil(start, page)
        if isinstance(spoiled, tuple):
            return spoiled
        own = {"Content-Crs": f"<{parameters['crs']}>"} if "crs" in parameters else {}
        if self.headers.get("ETag") and headers.get("If-None-Match") == self.headers["ETag"]:
            return 304, {}, b""
        return 200, own | self.headers, json.dumps(spoiled).encode()

    def link(self, start, size=PAGE):
        href = f"{self.address}{ZONES}/items?from={start}&limit={size}"
        return {"rel": "next", "href": href}


def transform(feature, crs):
    """Return a feature in another CRS, its coordinates in the CRS's official order."""
    if crs is None:
        return feature
    code = crs.rpartition("/")[2]
    change = pyproj.Transformer.from_crs("OGC:CRS84", f"EPSG:{code}")
    ring = [list(change.transform(*point)) for point in feature["geometry"]["coordinates"][0]]
    return feature | {"geometry": {"type": "Polygon", "coordinates": [ring]}}


@pytest.fixture
def api():
    one = Api()
    with serving(one) as running:
        one.address, one.asked = running.address, running.asked
        yield one


@pytest.fixture
def zones(api, make_zones, quick):  # noqa: ARG001 (it changes how long to wait)
    """Return a function that makes the market and the source of the collection."""

    def make(url=None, **fetch):
        address = url or f"{api.address}{ZONES}?token=sesame-token"
        return make_zones("ogc_features", address, **({"page_rows": PAGE} | fetch))

    return make


def pull_rows(source, folder, night=NIGHT):
    """Pull a source into a folder; return its rows and what the pull says."""
    folder.mkdir(exist_ok=True)
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        pulled = PROTOCOLS["ogc_features"].pull(connection, source, folder, night)
    return gpd.read_parquet(pulled.file), pulled


def list_starts(api):
    """Return where each page began that was asked for."""
    asked = [parameters for path, parameters, _ in api.asked if path.endswith("/items")]
    api.asked.clear()
    return [int(parameters.get("from", 0)) for parameters in asked]


# ---------------------------------------------------------------------------------------------
# Rows


def test_all_pages_are_pulled_and_counted(api, zones, tmp_path):
    _, source = zones()
    rows, pulled = pull_rows(source, tmp_path / "kept")
    assert sorted(rows["zone"]) == [f"B-{number}" for number in range(COUNT)]
    assert rows["rank"].tolist() == list(range(COUNT))
    assert rows["id"].tolist() == [f"z.{number}" for number in range(COUNT)]
    west, south, _, _ = rows.total_bounds
    assert (west, south) == pytest.approx((-71.12, 42.37))
    assert list_starts(api) == [0, 3, 6]
    assert pulled.notes == ()
    # The key is sent with each page, and never kept.
    kept = b"".join(one.read_bytes() for one in (tmp_path / "kept").rglob("*") if one.is_file())
    assert b"sesame" not in kept


def test_the_key_is_sent_with_every_page(api, zones, tmp_path):
    _, source = zones()
    pull_rows(source, tmp_path / "kept")
    assert {parameters["token"] for _, parameters, _ in api.asked} == {"sesame-token"}


def test_a_link_that_names_a_variable_is_not_filled(api, zones, tmp_path, monkeypatch):
    """A server could otherwise read the environment."""
    monkeypatch.setenv("OTHER_KEY", "sesame-other")
    link = {"rel": "next", "href": f"{api.address}{ZONES}/items?from=3&x=${{OTHER_KEY}}"}
    api.spoil = lambda start, page: page | ({"links": [link]} if start == 0 else {})
    api.page_most = 4
    _, source = zones()
    pull_rows(source, tmp_path / "kept")
    assert "sesame-other" not in str(api.asked)


def test_the_same_rows_give_the_same_bytes_in_any_order_and_page_size(api, zones, tmp_path):
    _, source = zones()
    first = pull_rows(source, tmp_path / "a")[1].file.read_bytes()
    api.features.reverse()
    _, source = zones(page_rows=5)
    assert pull_rows(source, tmp_path / "b")[1].file.read_bytes() == first


def test_a_kind_that_changes_between_pages_becomes_text(api, zones, tmp_path):
    api.features[5]["properties"]["rank"] = "5a"
    _, source = zones()
    rows, _ = pull_rows(source, tmp_path / "kept")
    assert rows["rank"].tolist() == ["0", "1", "2", "3", "4", "5a", "6"]


def test_a_column_that_only_a_later_page_has_is_missing_before(api, zones, tmp_path):
    api.features[6]["properties"]["late"] = {"a": [1]}
    api.features[0]["geometry"] = None
    _, source = zones()
    rows, _ = pull_rows(source, tmp_path / "kept")
    assert rows["late"].isna().tolist() == [True] * 6 + [False]
    assert rows["late"].iloc[-1] == '{"a": [1]}'
    assert rows.geometry.isna().tolist() == [True] + [False] * 6


@pytest.mark.parametrize("crs", ["EPSG:26986", "EPSG:3035"])
def test_the_declared_crs_is_asked_for_and_its_axes_are_read(zones, tmp_path, crs):
    """The official order of EPSG:3035 is north before east."""
    _, source = zones(crs=crs)
    rows, _ = pull_rows(source, tmp_path / "kept")
    assert rows.crs == crs
    west, south, east, north = rows.to_crs("EPSG:4326").total_bounds
    expected = (-71.12, 42.37, -71.12 + (COUNT - 1) / 500 + 0.001, 42.371)
    assert (west, south, east, north) == pytest.approx(expected, abs=1e-6)


def test_bounds_filter_and_page_rows_are_sent(api, zones, tmp_path):
    api.conforms = ["http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter"]
    _, source = zones(bounds=(-71.2, 42.3, -71.0, 42.5), filter="rank < 100", page_rows=4)
    pull_rows(source, tmp_path / "kept")
    parameters = next(one for path, one, _ in api.asked if path.endswith("/items"))
    assert parameters["bbox"] == "-71.2,42.3,-71,42.5"
    assert parameters["filter"] == "rank < 100"
    assert parameters["filter-lang"] == "cql2-text"
    assert parameters["limit"] == "4"


@pytest.mark.parametrize("most", [5, 500])
def test_a_server_that_refuses_the_usual_page_size(api, zones, tmp_path, most):
    """It is asked for fewer rows, and then for as many as it sends by itself."""

    def refuse(_, page):
        size = api.asked[-1][1].get("limit")
        return (400, {}, b"limit") if size is not None and int(size) > most else page

    api.spoil = refuse
    _, source = zones(page_rows=None)
    assert len(pull_rows(source, tmp_path / "kept")[0]) == COUNT


def test_a_preview_has_some_rows_and_the_count(zones):
    _, source = zones()
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        seen = PROTOCOLS["ogc_features"].preview(connection, source, 2)
    assert (len(seen.rows), seen.row_count) == (2, COUNT)
    assert seen.types == {"id": "string", "zone": "string", "rank": "int64"}
    assert seen.says == ("title: Zones",)
    # A CRS that is not offered is no hindrance yet: the rows say in which one they are.
    _, source = zones(crs="EPSG:2249")
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        assert PROTOCOLS["ogc_features"].preview(connection, source, 2).rows.crs == "OGC:CRS84"


# ---------------------------------------------------------------------------------------------
# Pages that do not end, or overlap


def test_a_gap_is_not_the_end(api, zones, tmp_path):
    def leave_gap(start, page):
        if start == 3 and not api.asked[-1][1].get("again"):
            again = api.link(3)["href"] + "&again=1"
            return page | {"features": [], "links": [{"rel": "next", "href": again}]}
        return page

    api.spoil, api.has_count = leave_gap, False
    _, source = zones()
    assert len(pull_rows(source, tmp_path / "kept")[0]) == COUNT


@pytest.mark.parametrize("has_count", [True, False])
def test_an_endless_row_of_empty_pages_is_the_end(api, zones, tmp_path, has_count):
    api.has_count = has_count
    api.spoil = lambda start, page: page | {"links": [api.link(start + PAGE)]}
    _, source = zones()
    assert len(pull_rows(source, tmp_path / "kept")[0]) == COUNT
    assert len(list_starts(api)) <= 6


def test_pages_that_overlap_count_once_if_all_features_came(api, zones, tmp_path):
    def overlap(start, page):
        return page | ({"links": [api.link(start + 2)]} if start + PAGE < COUNT else {})

    api.spoil = overlap
    _, source = zones()
    rows, pulled = pull_rows(source, tmp_path / "kept")
    assert rows["rank"].tolist() == list(range(COUNT))
    assert "came twice" in pulled.notes[0]


def repeat_and_drop(start, page):
    """Repeat a feature of the first page in the second, in place of one of its own."""
    if start == PAGE:
        page["features"][0] = make_features()[0]
    return page


def test_ids_that_differ_only_on_one_page_are_no_loss(api, zones, tmp_path):
    """Where everything is on one page, no feature can move to another."""
    for feature in api.features:
        feature["id"] = "same"
    _, source = zones(page_rows=100)
    assert len(pull_rows(source, tmp_path / "kept")[0]) == COUNT


# ---------------------------------------------------------------------------------------------
# Resume and skip


def test_a_pull_that_is_cut_off_goes_on_behind_the_last_page(api, zones, tmp_path):
    api.spoil = lambda start, page: (503, {}, b"later") if start == 6 else page
    _, source = zones()
    with pytest.raises(SourceDown):
        pull_rows(source, tmp_path / "kept")
    list_starts(api)
    api.spoil = lambda _, page: page
    rows, pulled = pull_rows(source, tmp_path / "kept", NEXT)
    assert rows["rank"].tolist() == list(range(COUNT))
    # The first page is asked for again: it says how many features there are.
    assert list_starts(api) == [0, 6]
    assert "continued" in pulled.notes[0]
    assert not (tmp_path / "kept" / "parts").exists()


@pytest.mark.parametrize("damage", ["cut", "no json", "other id", "gone"])
def test_what_was_kept_of_a_cut_pull_is_not_trusted(api, zones, tmp_path, damage):
    api.spoil = lambda start, page: (503, {}, b"later") if start == 6 else page
    _, source = zones()
    with pytest.raises(SourceDown):
        pull_rows(source, tmp_path / "kept")
    parts = tmp_path / "kept" / "parts"
    if damage == "cut":
        (parts / "000001.parquet").write_bytes(b"PAR1")
    elif damage == "gone":
        (parts / "000001.parquet").unlink()
    elif damage == "no json":
        (parts / "progress.json").write_text("{")
    else:
        api.features[0]["id"] = "z.new"
        api.features[3]["id"] = "z.0"
    api.spoil = lambda _, page: page
    rows, _ = pull_rows(source, tmp_path / "kept", NEXT)
    assert rows["rank"].is_unique
    assert len(rows) == COUNT


def test_an_unchanged_collection_is_not_pulled_again_for_a_week(api, zones, tmp_path):
    api.collection["updated"] = "2026-02-01T00:00:00Z"
    _, source = zones()
    first = pull_rows(source, tmp_path / "kept")[1].file.read_bytes()
    list_starts(api)
    assert pull_rows(source, tmp_path / "kept", NEXT)[1].file.read_bytes() == first
    assert list_starts(api) == []
    pull_rows(source, tmp_path / "kept", NIGHT + dt.timedelta(days=7))
    assert list_starts(api) == [0, 3, 6]
    api.collection["updated"] = "2026-03-09T00:00:00Z"
    pull_rows(source, tmp_path / "kept", NIGHT + dt.timedelta(days=8))
    assert list_starts(api) == [0, 3, 6]


def test_an_etag_of_the_only_page_spares_the_pull(api, zones, tmp_path):
    api.headers = {"ETag": '"v1"'}
    _, source = zones(page_rows=100)
    pull_rows(source, tmp_path / "kept")
    pull_rows(source, tmp_path / "kept", NEXT)
    assert api.asked[-1][2]["If-None-Match"] == '"v1"'
    # A damaged file is pulled again, whatever the server says.
    (tmp_path / "kept" / "rows.parquet").write_bytes(b"PAR1")
    assert len(pull_rows(source, tmp_path / "kept", NEXT)[0]) == COUNT


def test_another_request_is_a_new_pull(api, zones, tmp_path):
    api.collection["updated"] = "2026-02-01T00:00:00Z"
    pull_rows(zones()[1], tmp_path / "kept")
    rows, _ = pull_rows(zones(crs="EPSG:26986")[1], tmp_path / "kept", NEXT)
    assert rows.crs == "EPSG:26986"


def test_unchanged_rows_make_no_new_snapshot(api, zones, tmp_path, pull):
    market, source = zones()
    _, (first,) = pull(tmp_path, market, source)
    _, (second,) = pull(tmp_path, market, source, night=NEXT)
    assert (first.changed, second.changed) == (True, False)
    api.features[2]["properties"]["zone"] = "C"
    _, (third,) = pull(tmp_path, market, source, night=NIGHT + dt.timedelta(days=2))
    assert third.changed


# ---------------------------------------------------------------------------------------------
# Faults


def swap(_, page):
    features = []
    for feature in page["features"]:
        ring = [[y, x] for x, y in feature["geometry"]["coordinates"][0]]
        features.append(feature | {"geometry": {"type": "Polygon", "coordinates": [ring]}})
    return page | {"features": features}


def send_body(body, status=200, **headers):
    return lambda start, page: (status, headers, body) if start == PAGE else page


def in_circle(start, page):
    return page | {"links": [{"rel": "next", "href": "?from=0&limit=3"}]} if start == 6 else page


def change_count(start, page):
    return page | {"numberMatched": COUNT + (1 if start else 0)}


FAULTS = {
    "html": (send_body(b"<!doctype html><html>"), SourceChanged, "an HTML page"),
    "cut json": (send_body(b'{"type": "Feat'), SourceChanged, "cut off or is not JSON"),
    "no features": (send_body(b'{"type": "x"}'), SourceChanged, "not a list of GeoJSON"),
    "empty": (send_body(b""), SourceChanged, "an empty body"),
    "not found": (send_body(b"no", 404), SourceChanged, "answers 404"),
    "token": (send_body(b"no", 401), SourceChanged, "answers 401"),
    "error body": (send_body(b'{"error": {"code": 498}}'), SourceChanged, "an error body"),
    "down": (send_body(b"no", 504), SourceDown, "answers 504"),
    "too many": (send_body(b"no", 429, **{"Retry-After": "900"}), SourceDown, "wait 900 s"),
    "cut off": (
        send_body(b'{"type": "Feat', **{"Content-Length": "1000"}), SourceDown, "cut off"),
    "redirect": (
        send_body(b"", 302, Location="http://localhost:1/?sesame"), SourceChanged, "another host"),
    "file": (send_body(b"", 302, Location="/etc/passwd:x"), SourceChanged, "answers 404"),
    "circle": (in_circle, SourceChanged, "in a circle"),
    "repeats": (repeat_and_drop, SourceChanged, "6 different features came, and 1 of them"),
    "too few": (
        lambda start, page: page | {"features": page["features"][:-1]} if start == 6 else page,
        SourceChanged, "says that it has 7 features, but 6 different features came"),
    "count changes": (change_count, SourceDown, "it changed while it was pulled"),
    "swapped": (swap, SourceChanged, "exchanges east and north"),
    "other crs": (
        lambda _, page: (200, {"Content-Crs": f"<{EPSG}3857>"}, json.dumps(page).encode()),
        SourceChanged, "answers in the CRS"),
    "endless": (
        lambda start, page: page | {
            "features": [one | {"id": f"x{start}.{one['id']}"} for one in make_features(3)],
            "links": [{"rel": "next", "href": f"?from={start + 3}"}]},
        SourceChanged, "says that it has 7 features, but 9 different features came"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_one_sentence_and_keeps_the_snapshot(
    api, zones, tmp_path, pull, check_refused, name
):
    spoil, kind, words = FAULTS[name]
    market, source = zones()
    pull(tmp_path, market, source)
    api.spoil = spoil
    error = check_refused(market, source, kind)
    assert words in error.wrong
    # Once the server is well again, so is the pull.
    api.spoil = lambda _, page: page
    pull(tmp_path, market, source, night=NIGHT + dt.timedelta(days=9))


@pytest.mark.parametrize("has_count", [True, False])
def test_repeated_features_without_a_count_are_refused(api, zones, check_refused, has_count):
    """Without a count, nothing shows that no feature is missing instead."""
    api.spoil, api.has_count = repeat_and_drop, has_count
    error = check_refused(*zones(), SourceChanged)
    assert "z.0" in error.wrong


def test_a_next_page_at_another_host_is_refused(api, zones, check_refused):
    with serving(api) as other:
        link = {"rel": "next", "href": f"{other.address}{ZONES}/items?from=3&t=sesame"}
        api.spoil = lambda _, page: page | {"links": [link]}
        error = check_refused(*zones(), SourceChanged)
        assert f"sends on to another host: {other.address}" in error.wrong
        assert other.asked == []


@pytest.mark.parametrize("link", ["ftp://127.0.0.1/x", Path("/etc/passwd").as_uri()])
def test_a_next_page_that_is_no_network_address_is_refused(api, zones, check_refused, link):
    api.spoil = lambda _, page: page | {"links": [{"rel": "next", "href": link}]}
    assert "not a network address" in check_refused(*zones(), SourceChanged).wrong


def test_one_byte_at_a_time_ends_at_the_deadline(api, zones, check_refused):
    body = [b"x"] * 100
    api.spoil = lambda *_: (200, {}, body)
    error = check_refused(*zones(seconds_most=1.0), SourceDown)
    assert "within 1 s" in error.wrong
    assert "fetch.seconds_most" in error.remedy


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_page_larger_than_memory_should_hold(api, zones, check_refused, monkeypatch, is_packed):
    """Also one that is small before it is unpacked."""
    monkeypatch.setattr("data.ask.PAGE_BYTES_MOST", 100_000)
    body = gzip.compress(b" " * 1_000_000) if is_packed else b" " * 1_000_000
    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    api.spoil = lambda *_: (200, headers, body)
    error = check_refused(*zones(), SourceChanged)
    assert "more than 100,000 bytes" in error.wrong
    assert "fetch.page_rows" in error.remedy


def test_too_many_bytes_over_all_pages(zones, check_refused):
    error = check_refused(*zones(bytes_most=2000), SourceChanged)
    assert "more than 2,000 bytes" in error.wrong
    assert "fetch.bytes_most" in error.remedy


def test_an_empty_layer_is_refused(api, zones, check_refused):
    api.features = []
    error = check_refused(*zones(), SourceChanged)
    assert "0 features" in error.wrong
    assert error.fault == "shrunk"


def test_a_crs_that_is_not_offered(zones, check_refused):
    error = check_refused(*zones(crs="EPSG:2249"), ContractError)
    assert "does not offer the declared CRS EPSG:2249" in error.wrong
    assert "EPSG:26986" in error.wrong


def test_a_next_page_in_another_crs_is_refused(api, zones, check_refused):
    api.keeps_crs = False
    assert "none that it names" in check_refused(*zones(crs="EPSG:26986"), SourceChanged).wrong


def test_a_server_behind_a_proxy_may_name_itself_by_http():
    with open_connection("county") as connection:
        first = httpx.URL("https://example.org/collections/a/items?limit=3")
        link = check_link(first, "http://example.org/x?from=3", "x", connection)
        assert str(link) == "https://example.org/x?from=3"
        with pytest.raises(SourceChanged, match="another host"):
            check_link(first, "https://example.com/x?from=3", "x", connection)


def test_a_filter_that_the_server_would_ignore(zones, check_refused):
    error = check_refused(*zones(filter="rank < 3"), ConfigError)
    assert "does not say that the server takes a filter" in error.wrong


def test_an_address_that_is_no_collection(api, zones, check_refused):
    error = check_refused(*zones(f"{api.address}/ogc"), ConfigError)
    assert "not the address of a collection" in error.wrong


def test_a_collection_of_other_things(api, zones, check_refused):
    api.collection["itemType"] = "record"
    assert "'record', not features" in check_refused(*zones(), SourceChanged).wrong
