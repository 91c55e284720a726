"""Distinguish a source that is down from one that has changed, using a local server."""

import datetime as dt
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data.http import download_file
from geo.errors import SourceChanged, SourceDown
from tests.servers.scripted import serving

ANSWERS = {
    "/good.csv": (200, b"a,b\n1,2\n"),
    "/broken": (503, b"busy"),
    "/many": (429, b"slow down"),
    "/gone": (404, b"not here"),
    "/page": (200, b"<!DOCTYPE html><html>Sign in</html>"),
    "/arcgis": (200, b'{"error": {"code": 400, "message": "Invalid query"}}'),
    "/ogc": (200, b'<?xml version="1.0"?><ows:ExceptionReport/>'),
    "/empty": (200, b""),
    "/features": (200, b'{"type": "FeatureCollection", "features": []}'),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good.csv")
            self.end_headers()
            return
        if self.path == "/slow":
            self.server.released.wait(5)
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"a,b\n")
            return
        status, body = ANSWERS.get(self.path, (200, b"late"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.released = threading.Event()
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/good.csv", "/moved"])
def test_an_answer_is_written_whole(server, tmp_path, path):
    target = tmp_path / "got"
    assert download_file([server + path], target, source_id="s").url == server + path
    assert target.read_bytes() == ANSWERS["/good.csv"][1]


def test_a_body_that_resembles_an_error_is_kept(server, tmp_path):
    download_file([server + "/features"], tmp_path / "got", source_id="s")
    assert (tmp_path / "got").read_bytes() == ANSWERS["/features"][1]


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/broken", SourceDown, "answers 503"),
        ("/many", SourceDown, "answers 429"),
        ("/cut", SourceDown, "RemoteProtocolError"),
        ("/slow", SourceDown, "ReadTimeout"),
        ("/gone", SourceChanged, "answers 404"),
        ("/page", SourceChanged, "an HTML page"),
        ("/arcgis", SourceChanged, "Invalid query"),
        ("/ogc", SourceChanged, "exception report"),
        ("/empty", SourceChanged, "an empty body"),
    ],
)
def test_each_failure_has_its_kind_and_leaves_no_file(server, tmp_path, path, kind, message):
    target = tmp_path / "got"
    with pytest.raises(kind) as caught:
        download_file([server + path], target, source_id="county", timeout_s=0.5)
    assert message in caught.value.wrong
    assert server + path in caught.value.wrong
    assert "county" in str(caught.value)
    assert not target.exists()


def test_a_refused_connection_is_down(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(SourceDown, match="ConnectError"):
            download_file([address], tmp_path / "got", source_id="s")


def test_the_next_address_is_used_where_the_first_fails(server, tmp_path):
    urls = [server + "/broken", server + "/good.csv"]
    assert download_file(urls, tmp_path / "got", source_id="s").url == urls[1]


def test_when_all_fail_each_is_named_and_the_source_is_down(server, tmp_path):
    urls = [server + "/gone", server + "/broken"]
    with pytest.raises(SourceDown) as caught:
        download_file(urls, tmp_path / "got", source_id="s")
    assert "404" in caught.value.wrong
    assert "503" in caught.value.wrong


def test_a_source_is_pulled_from_its_address(server, tmp_path, make_source, make_market, pull):
    """A CSV at an address becomes rows in the store, and its raw file is kept."""
    ANSWERS["/leaks.csv"] = (200, b"lon,lat\n-71.10,42.37\n-71.11,42.38\n")
    leaks = make_source(
        "gas_signs",
        None,
        {"sign": {"value": "leak_report"}},
        fetch={"url": server + "/leaks.csv", "x": "lon", "y": "lat", "crs": "EPSG:4326"},
    )
    store, (pulled,) = pull(tmp_path, make_market(leaks.id), leaks)
    assert (pulled.rows_in, pulled.rows, pulled.changed) == (2, 2, True)
    (kept,) = (store.parent / "raw" / leaks.id).rglob("*.gz")
    assert kept.name == "0-leaks.csv.gz"
    assert [path.name for path in store.parent.iterdir() if path.name.startswith("pull-")] == []


# ---------------------------------------------------------------------------------------------
# What has not changed


def test_a_file_that_has_not_changed_is_not_sent_again(make_source, make_market, tmp_path, pull):
    """Its ETag is sent along, and the other address is asked without it."""
    body = b"lon,lat\n-71.10,42.37\n-71.11,42.38\n"

    def answer(path, _, headers):
        if path == "/a.csv":
            return 503, {}, b"no"
        if headers.get("If-None-Match") == '"v1"':
            return 304, {}, b""
        return 200, {"ETag": '"v1"', "Content-Type": "text/csv"}, body

    with serving(answer) as running:
        url = f"{running.address}/a.csv"
        fetch = {"url": url, "fallback_urls": (f"{running.address}/b.csv",), "x": "lon", "y": "lat"}
        leaks = make_source(
            "gas_signs",
            None,
            {"sign": {"value": "leak_report"}},
            fetch=fetch | {"crs": "EPSG:4326"},
        )
        market = make_market(leaks.id)
        store, (first,) = pull(tmp_path, market, leaks)
        for days, known in ((1, '"v1"'), (7, None)):
            night = dt.date(2026, 3, 1) + dt.timedelta(days=days)
            _, (again,) = pull(tmp_path, market, leaks, night=night)
            assert (first.changed, again.changed) == (True, False)
            (asked,) = [one for path, _, one in running.asked[-2:] if path == "/b.csv"]
            # Once a week the whole file is asked for.
            assert asked.get("If-None-Match") == known
            assert "If-None-Match" not in running.asked[-2][2]
        assert [path.name for path in (store.parent / "pulls").rglob("*.csv")] == ["b.csv"]


def test_a_file_without_a_version_is_not_kept(make_source, make_market, tmp_path, pull):
    with serving(lambda *_: (200, {}, b"lon,lat\n-71.10,42.37\n")) as running:
        leaks = make_source(
            "gas_signs",
            None,
            {"sign": {"value": "leak_report"}},
            fetch={"url": f"{running.address}/a.csv", "x": "lon", "y": "lat", "crs": "EPSG:4326"},
        )
        store, _ = pull(tmp_path, make_market(leaks.id), leaks)
    assert [one for one in (store.parent / "pulls").rglob("*") if one.is_file()] == []
