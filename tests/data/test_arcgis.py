"""A layer of an ArcGIS server is pulled whole, and a server's faults end in one sentence.

The server is our own, and answers as Esri's documentation says, or with a fault that was recorded
of real servers.
"""

import datetime as dt
import json
import time

import geopandas as gpd
import httpx
import pytest
import shapely

import data.ask
from data.connection import open_connection
from data.protocols.servers import PROTOCOLS, pulls_folder
from data.pull import refresh_source
from data.store import open_store
from geo.errors import SourceChanged, SourceDown, StoreError
from tests.servers.arcgis_replay import (
    PATH,
    cut_body,
    cut_connection,
    drip,
    drip_headers,
    gzip_bomb,
    never_end,
    say_nothing,
    serving,
)
from tests.servers.arcgis_town import COLUMNS, ROWS, declare, make_layer, requests, row

NIGHT = dt.date(2026, 3, 1)
NAMES = [f"P{number}" for number in range(ROWS)]
TOKEN = "sesame-token"  # noqa: S105 (made up)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(data.ask, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def layer():
    with serving(make_layer()) as running:
        yield running


@pytest.fixture
def refresh(tmp_path, make_market):
    """Return a function that pulls a source into a store, and gives what the store has then."""

    def run(source, night=NIGHT):
        store = tmp_path / "var" / "tiny.duckdb"
        return refresh_source(source, make_market("county"), tmp_path, store, night)

    return run


@pytest.fixture
def pull_names(tmp_path):
    """Return a function that pulls a source without a store, and gives the names of its rows."""

    def run(source):
        with open_connection("county", requests_per_s=1000) as connection:
            pulled = PROTOCOLS["arcgis"].pull(connection, source, tmp_path, NIGHT)
        return gpd.read_parquet(pulled.file)["PIN"].tolist()

    return run


@pytest.fixture
def stored(tmp_path):
    """Return a function that reads the stored rows."""

    def read(night=NIGHT, store="tiny"):
        with open_store(tmp_path / "var" / f"{store}.duckdb") as opened:
            return opened.read_layer("parcels", night, ["county"])

    return read


@pytest.fixture
def folder(tmp_path):
    return pulls_folder(tmp_path / "var" / "tiny.duckdb", "county")


# ---------------------------------------------------------------------------------------------
# A pull


def test_a_layer_is_pulled_by_ranges_of_ids(layer, refresh, folder):
    pulled = refresh(declare(layer))
    assert pulled.rows == pulled.rows_in == ROWS
    assert [kind for kind, _, _ in layer.asked] == (
        ["layer", "ids", "count"] + ["rows"] * 5 + ["ids", "count"]
    )
    pages = requests(layer, "rows")
    # 23 rows in pages of 5: ids 1 to 9, 11 to 19, ...
    assert pages[0]["where"] == "OBJECTID >= 1 AND OBJECTID <= 9"
    assert pages[-1]["where"] == "OBJECTID >= 41 AND OBJECTID <= 45"
    for page in pages:
        assert "resultOffset" not in page
        assert "maxAllowableOffset" not in page
        assert "outSR" not in page
        assert page["orderByFields"] == "OBJECTID ASC"
        assert page["returnTrueCurves"] == "false"
        assert page["outFields"] == "OBJECTID,PIN,USE,FLOOR"
    assert all("padfinder/" in headers["user-agent"] for _, _, headers in layer.asked)
    rows = gpd.read_parquet(folder / "rows.parquet")
    assert rows["PIN"].tolist() == [f"P{number}" for number in range(ROWS)]
    assert rows.geometry.area.unique().tolist() == [400.0]
    assert rows.crs.to_epsg() == 26986


def test_the_same_rows_as_from_a_file(layer, refresh, make_source, make_market, tmp_path, stored):
    refresh(declare(layer))
    pulled = stored()
    rows = [attributes for attributes, _ in layer.rows.values()]
    shapes = [shapely.Polygon(shape["rings"][0]) for _, shape in layer.rows.values()]
    gpd.GeoDataFrame(rows, geometry=shapes, crs="EPSG:26986").to_parquet(tmp_path / "p.parquet")
    store = tmp_path / "var" / "other.duckdb"
    from_file = make_source("parcels", "p.parquet", COLUMNS, id="county")
    refresh_source(from_file, make_market("county"), tmp_path, store, NIGHT)
    assert pulled.to_wkt().equals(stored(store="other").to_wkt())


# ---------------------------------------------------------------------------------------------
# Faults after which the pull goes on


def hook_once(fault, kind="rows", nth=2):
    """Return a hook that answers one request with a fault."""

    def hook(one, _, number):
        return fault if (one, number) == (kind, nth) else None

    return hook


BUSY = (429, {"Retry-After": "0"}, b"slow down")
RECOVERED = {
    "a cut connection": cut_connection,
    "a cut body": cut_body,
    "too many requests": BUSY,
    "503": (503, {}, b"busy"),
    "504": (504, {}, b"late"),
    "an error body": (200, {}, b'{"error": {"code": 500, "message": "Error performing query"}}'),
    "an HTML page": (200, {}, b"<!DOCTYPE html><html>Proxy error</html>"),
    "JSON that is cut off": (200, {}, b'{"features": [{"attributes": {"OBJ'),
    "an empty body": (200, {}, b""),
}


@pytest.mark.parametrize("fault", RECOVERED)
def test_a_fault_of_one_answer_is_overcome(layer, pull_names, fault):
    layer.hook = hook_once(RECOVERED[fault])
    assert pull_names(declare(layer)) == NAMES


def test_a_server_that_fails_at_large_pages_is_asked_for_smaller_ones(layer, pull_names):
    def hook(kind, parameters, _):
        if kind == "rows" and len(layer.find(parameters)) > 2:
            return 504, {}, b"timeout"
        return None

    layer.hook = hook
    assert pull_names(declare(layer)) == NAMES
    sizes = [len(layer.find(parameters)) for parameters in requests(layer, "rows")]
    # 5 rows fail twice, then 2 come at once; after 8 good pages 4 are tried again.
    assert sizes[:4] == [5, 5, 2, 2]
    assert max(sizes[4:10]) == 2


def test_a_row_that_cannot_be_had_is_named(layer, refresh):
    def hook(kind, parameters, _):
        if kind == "rows" and 25 in layer.find(parameters):
            return 500, {}, b"no"
        return None

    layer.hook = hook
    with pytest.raises(SourceDown, match="asked for the rows with object id 25\n") as caught:
        refresh(declare(layer))
    assert caught.value.wrong.startswith(f"{layer.url}/query answers 500")


def promise_more(answer, kind, _):
    """Give no more than 3 rows, and do not say that there are more."""
    if kind == "rows":
        answer["features"] = answer["features"][:3]


def empty_with_flag(answer, kind, nth):
    if kind == "rows" and nth == 2:
        answer["features"], answer["exceededTransferLimit"] = [], True


def flag_in_properties(answer, kind, _):
    if kind == "rows" and len(answer["features"]) > 3:
        answer["features"] = answer["features"][:2]
        answer["properties"] = {"exceededTransferLimit": True}


def wrong_order(answer, kind, _):
    if kind == "rows":
        answer["features"].reverse()


def drop_once(answer, kind, nth):
    if kind == "rows" and nth == 2:
        del answer["features"][1]


def count_wrong_once(answer, kind, nth):
    if kind == "count" and nth == 1:
        answer["count"] += 1


def ids_as_decimals(answer, kind, _):
    if kind == "ids":
        answer["objectIds"] = [float(number) for number in answer["objectIds"]]


def no_count(_, kind, __):
    if kind == "count":
        return {"features": []}
    return None


CHANGES = [
    promise_more, empty_with_flag, flag_in_properties, wrong_order, drop_once, count_wrong_once,
    ids_as_decimals, no_count,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_an_odd_server_gives_all_rows(layer, pull_names, change):
    layer.change = change
    assert pull_names(declare(layer)) == NAMES


@pytest.mark.parametrize("paged", [True, False])
def test_a_server_that_does_not_list_ids_is_asked_for_what_comes_after(layer, pull_names, paged):
    """Cook County's server answers a query for ids or a count with a page of rows."""

    def ignore(kind, *_):
        if kind in {"ids", "count"}:
            _, answer = layer.answer({"where": "1=1", "outFields": "PIN", "returnGeometry": "true"})
            return 200, {}, json.dumps(answer).encode()
        return None

    layer.hook = ignore
    layer.info["advancedQueryCapabilities"]["supportsPagination"] = paged
    del layer.info["maxRecordCount"]
    assert pull_names(declare(layer)) == NAMES
    wheres = [page["where"] for page in requests(layer, "rows")]
    # Pages of 5 end at the ids 9, 19, 29, 39 and 45, and after the last there is nothing.
    assert wheres == ["1=1", *(f"OBJECTID > {last}" for last in (9, 19, 29, 39, 45))]


def test_the_size_of_pages_is_declared_or_the_servers_or_ours(layer, pull_names):
    layer.info["maxRecordCount"] = 100_000
    pull_names(declare(layer, fetch={"page_rows": 3}))
    assert requests(layer, "rows")[0]["where"] == "OBJECTID >= 1 AND OBJECTID <= 5"


def test_rows_deleted_or_added_during_the_pull(layer, refresh):
    def hook(kind, _, nth):
        if (kind, nth) == ("rows", 3):
            del layer.rows[45]
            layer.put([row(40)])

    layer.hook = hook
    pulled = refresh(declare(layer))
    assert pulled.rows == ROWS - 1
    assert "1 row added during the pull: they come next time" in pulled.notes
    layer.hook = None
    assert refresh(declare(layer), NIGHT + dt.timedelta(days=1)).rows == ROWS


def test_a_row_that_is_not_given_beside_one_that_was_added(layer, refresh):
    """Rows added among others come with them; they are no reason to ask for ever."""

    def hook(kind, _, nth):
        if (kind, nth) == ("rows", 1):
            layer.put([(row(50)[0] | {"OBJECTID": 14}, row(50)[1])])

    def change(answer, kind, _):
        if kind == "rows":
            lost = range(11, 20, 2)
            features = answer["features"]
            answer["features"] = [
                one for one in features if one["attributes"]["OBJECTID"] not in lost
            ]

    layer.hook, layer.change = hook, change
    with pytest.raises(SourceChanged, match="does not give the rows of 5 of them, such as 11"):
        refresh(declare(layer))
    assert len(requests(layer, "rows")) < 20


# ---------------------------------------------------------------------------------------------
# Faults that need a person


def repeat_row(answer, kind, _):
    if kind == "rows":
        answer["features"].append(answer["features"][0])


def repeat_page(layer):
    def change(_, kind, __):
        if kind == "rows":
            page = {"where": "OBJECTID < 10", "outFields": "*", "returnGeometry": "true"}
            return layer.answer(page)[1]
        return None

    return change


def drop_row(answer, kind, _):
    if kind == "rows":
        answer["features"] = [
            one for one in answer["features"] if one["attributes"]["OBJECTID"] != 25
        ]


def lose_column(answer, kind, nth):
    if kind == "rows" and nth > 7:
        answer["fields"] = [one for one in answer["fields"] if one["name"] != "USE"]
        for one in answer["features"]:
            del one["attributes"]["USE"]


def lose_values(answer, kind, nth):
    if kind == "rows" and nth > 7:
        for one in answer["features"]:
            del one["attributes"]["USE"]


def change_type(answer, kind, nth):
    if kind == "rows" and nth > 7:
        answer["fields"] = [
            one | {"type": "esriFieldTypeString"} if one["name"] == "FLOOR" else one
            for one in answer["fields"]
        ]


def change_values(answer, kind, nth):
    if kind == "rows" and nth > 7:
        for one in answer["features"]:
            one["attributes"]["FLOOR"] = "large"


def change_crs(answer, kind, nth):
    if kind == "rows" and nth > 7:
        answer["spatialReference"] = {"wkid": 4326}


def count_wrong(answer, kind, _):
    if kind == "count":
        answer["count"] += 1


def no_features(_, kind, __):
    return {"status": "Processing"} if kind == "rows" else None


def odd_shape(answer, kind, _):
    if kind == "rows":
        answer["features"][0]["geometry"] = {"rings": [[["a", "b"], [1, 2], [3, 4], [5, 6]]]}


def wrong_ids(answer, kind, _):
    if kind == "ids":
        answer["objectIds"] = ["{A}", "{B}"]


REFUSED = {
    "a row twice": (repeat_row, "gives two rows with the object id 1 "),
    "a page again": (repeat_page, "object ids 11 to 19 and gives the row 1"),
    "a row never": (drop_row, "does not give the rows of 1 of them, such as 25"),
    "a column gone": (lose_column, "has a column 'USE', and answers without it"),
    "values gone": (lose_values, "gives rows without the column 'USE'"),
    "another type": (change_type, "the column 'FLOOR' is a number, and answers that it is text"),
    "other values": (change_values, "gives 'large' in the column 'FLOOR'"),
    "another CRS": (change_crs, "gives shapes in the CRS {'wkid': 4326} after others"),
    "another count": (count_wrong, f"counts {ROWS + 1} rows, and lists {ROWS} object ids"),
    "no features": (no_features, "without any list of features"),
    "an odd shape": (odd_shape, "gives a shape that is not one of Esri's"),
    "ids that are texts": (wrong_ids, "gives '{A}' as an object id"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_server_that_cannot_be_believed_is_refused(layer, refresh, stored, fault):
    source = declare(layer, fetch={"url": f"{layer.url}?token={TOKEN}"})
    before = refresh(source)
    change, wrong = REFUSED[fault]
    layer.change = change(layer) if change is repeat_page else change
    layer.info["editingInfo"] = {"lastEditDate": 1_772_400_000_000}
    night = NIGHT + dt.timedelta(days=1)
    with pytest.raises(SourceChanged) as caught:
        refresh(source, night)
    check_sentence(caught.value, wrong)
    assert len(stored(night)) == ROWS
    layer.change = None
    again = refresh(source, night)
    assert (again.changed, again.snapshot_id) == (False, before.snapshot_id)


def check_sentence(error, wrong):
    """Check that an error is one sentence that names source and address, and a remedy."""
    text = str(error)
    assert wrong in error.wrong, error.wrong
    assert "'county'" in text
    assert PATH in error.wrong
    assert TOKEN not in text
    assert len(text.splitlines()) == 2
    assert text.splitlines()[1].startswith("  What to do: ")


def answer_json(value, status=200):
    return status, {}, json.dumps(value).encode()


# What is wrong, how a request is answered, the error, and what it says of the source.
REFUSED_ANSWERS = {
    "no token": (answer_json({"error": {"code": 499, "message": "Token Required"}}), "forbidden"),
    "an old token": (answer_json({"error": {"code": 498, "message": "Invalid"}}), "forbidden"),
    "401": ((401, {}, b"no"), "forbidden"),
    "404": ((404, {}, b"no"), "gone"),
    "another host": ((302, {"Location": "http://example.org/x"}, b""), "changed"),
    "a file": ((302, {"Location": "file://localhost/etc/passwd"}, b""), "changed"),
    "HTML": ((200, {}, b"<html>Sign in</html>"), "changed"),
    "a list": (answer_json([1]), "changed"),
    "without end": (never_end, "changed"),
    "a gzip bomb": (gzip_bomb, "changed"),
}


@pytest.mark.parametrize("fault", REFUSED_ANSWERS)
def test_an_answer_that_is_no_answer_is_refused(layer, refresh, stored, monkeypatch, fault):
    monkeypatch.setattr(data.ask, "PAGE_BYTES_MOST", 1_000_000)
    source = declare(layer, fetch={"url": f"{layer.url}?token={TOKEN}"})
    refresh(source)
    answered, says = REFUSED_ANSWERS[fault]
    night = NIGHT + dt.timedelta(days=1)
    for kind in ("layer", "ids", "rows"):
        # The third page of the pull, when a token may have expired.
        first = layer.counts[kind] + (3 if kind == "rows" else 1)
        layer.hook = lambda one, _, nth, kind=kind, first=first: (
            answered if one == kind and nth >= first else None
        )
        with pytest.raises(SourceChanged) as caught:
            refresh(source, night)
        check_sentence(caught.value, "")
        assert caught.value.fault == says
    assert len(stored(night)) == ROWS
    layer.hook = None
    layer.asked.clear()
    assert refresh(source, night).rows == ROWS
    # The two pages that had come are not asked for again.
    assert len(requests(layer, "rows")) == 3


@pytest.mark.parametrize(
    ("kind", "slow"), [("layer", drip_headers), ("rows", drip), ("ids", say_nothing)]
)
def test_a_byte_at_a_time_ends_with_the_deadline(layer, refresh, stored, kind, slow):
    refresh(declare(layer))
    layer.hook = lambda one, *_: slow if one == kind else None
    night, began = NIGHT + dt.timedelta(days=1), time.monotonic()
    with pytest.raises(SourceDown) as caught:
        refresh(declare(layer, fetch={"seconds_most": 0.6}), night)
    assert time.monotonic() - began < 10
    check_sentence(caught.value, "has not answered whole within 1 s")
    assert len(stored(night)) == ROWS


def test_a_server_that_is_down_leaves_the_snapshot(layer, refresh, stored):
    refresh(declare(layer))
    layer.hook = lambda *_: cut_connection
    with pytest.raises(SourceDown) as caught:
        refresh(declare(layer), NIGHT + dt.timedelta(days=1))
    check_sentence(caught.value, "")
    assert len(stored(NIGHT + dt.timedelta(days=1))) == ROWS


def test_the_first_page_is_small_and_the_next_ones_double(pull_names, monkeypatch):
    monkeypatch.setattr("data.protocols.arcgis.pages.FIRST_ROWS", 3)
    with serving(make_layer(page=100)) as layer:
        assert pull_names(declare(layer)) == NAMES
    # 3, 6, 12, and the last 2 of 23 rows.
    sizes = [len(layer.find(parameters)) for parameters in requests(layer, "rows")]
    assert sizes == [3, 6, 12, 2]


def test_large_rows_make_the_pages_smaller(pull_names, monkeypatch):
    with serving(make_layer(page=8)) as layer:
        # A row is some 150 bytes with its name and shape.
        monkeypatch.setattr("data.protocols.arcgis.pages.PAGE_BYTES", 1000)
        assert pull_names(declare(layer)) == NAMES
    sizes = [len(layer.find(parameters)) for parameters in requests(layer, "rows")]
    assert sizes[0] == 8
    assert sizes[1] == 4


def test_a_folder_that_cannot_be_written_is_said(layer, refresh, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("data.protocols.arcgis.state.write_part", fail)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        refresh(declare(layer))


def test_a_server_that_starts_again_is_waited_for(layer, pull_names, monkeypatch):
    """A connection that is refused is no reason to ask for less."""
    refused = []

    real = data.ask._follow

    def follow(*arguments):
        if len(requests(layer, "rows")) == 2 and len(refused) < 3:
            refused.append(1)
            raise httpx.ConnectError("refused")
        return real(*arguments)

    monkeypatch.setattr(data.ask, "_follow", follow)
    assert pull_names(declare(layer)) == NAMES
    assert len(refused) == 3
    assert len(requests(layer, "rows")) == 5
