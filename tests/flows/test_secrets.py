"""No secret is shown, logged, stored or published, whatever a server answers and in which form.

The user and password, the query, a part of the path, headers and a fallback address are secret. The
server repeats all that it was told in each of its answers, as many real ones do.
"""

import base64
import contextlib
import gzip
import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, quote_plus, unquote_plus

import duckdb
import geopandas as gpd
import pytest

from data import ask
from data.notes import RoutineNote
from data.protocols.pulled import Protocol, Pulled
from data.protocols.servers import PROTOCOLS
from data.secrets import SECRET_LENGTH, hide_texts, list_header_secrets
from data.variables import fill_variables
from geo.errors import SourceChanged
from tests.flows import hamlet

NIGHT = "2026-04-01"
USER, PASSWORD = "sesame-user", "sesame/pass@1"
TOKEN, KEY, PART = "sesame token+7", "sesame-header:9", "sesame-part"
SECRETS = (USER, PASSWORD, TOKEN, KEY, PART)
# What a server adds itself to the address to which it sends on, as stores of files do.
SIGNATURE = "sesame-signature"
MAINS = "files/hamlet/mains.geojson"
# A message quotes 200 letters of an error. With so many before it, "sesame-part" is cut off.
CUT = 200 - len("/first/sesame-par")
# What the server does, and the exit code of a refresh.
ANSWERS = {
    "forbidden": 6,
    "down": 5,
    "sends on": 6,
    "sends on in a circle": 6,
    "sends on with a signature": 6,
    "page": 6,
    "cut": 5,
    "error": 6,
    "long error": 6,
    "empty": 6,
    "text": 6,
}


def list_forms() -> list[str]:
    """Return every secret as it may be written: plain, in an address, in JSON and in base 64."""
    forms = set()
    for secret in (*SECRETS, SIGNATURE):
        forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
        forms |= {base64.b64encode(secret.encode()).decode().rstrip("=")}
    return [*forms, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode().rstrip("=")]


def find_secrets(text: str) -> list[str]:
    # The beginning of a secret is one too.
    beginnings = [secret[:-1] for secret in SECRETS]
    return sorted(form for form in {*list_forms(), *beginnings} if form in text)


class Echo(BaseHTTPRequestHandler):
    """A server that repeats what it was told, in the way that `server.does` says."""

    def do_GET(self):
        told = f"{self.path} {unquote_plus(self.path)} {dict(self.headers)} "
        told += base64.b64decode(self.headers["Authorization"].split()[1]).decode()
        self.server.told.append(told)
        does = "good" if "/second/" in self.path and self.server.second else self.server.does
        status, headers, body = self.answer(does, told)
        self.send_response(status, f"As you said {self.headers['X-Key']} {self.path[-50:]}")
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def answer(self, does, told):
        error = json.dumps({"error": {"message": told}})
        if does == "good":
            links = {"links": [{"href": told}]}
            return 200, {}, json.dumps(json.loads(self.server.good) | links)
        signed = f"{self.path}&signature={SIGNATURE}"
        is_signed = does == "sends on with a signature" and SIGNATURE not in told
        elsewhere = f"http://other.invalid{self.path}&t={quote(told)}"
        return {
            "forbidden": (401, {}, error),
            "down": (500, {}, error),
            "sends on": (302, {"Location": elsewhere}, error),
            "sends on in a circle": (302, {"Location": self.path}, error),
            "sends on with a signature": (302 if is_signed else 200, {"Location": signed}, error),
            "page": (200, {}, f"<html>{told}</html>"),
            "cut": (200, {"Content-Length": str(len(error) + 10)}, error),
            "error": (200, {}, error),
            "long error": (200, {}, json.dumps({"error": "x" * self.server.before + told})),
            "empty": (200, {}, ""),
            "text": (200, {}, told),
        }[does]

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as running:
        running.does, running.told, running.second, running.before = "good", [], False, 0
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def place(tmp_path, server, monkeypatch):
    """Return a hamlet whose mains are on the server, with secrets everywhere."""
    folder = tmp_path / "place"
    hamlet.write(folder)
    server.good = (folder / MAINS).read_text("utf-8")
    values = {"USER": quote(USER), "PASSWORD": quote(PASSWORD, safe=""), "PART": PART}
    values |= {"TOKEN": quote_plus(TOKEN), "KEY": f"{KEY}\n"}  # as $(cat file) leaves it
    for name, value in values.items():
        monkeypatch.setenv(f"COUNTY_{name}", value)
    market = folder / "own/hamlet/market.toml"
    unused = '"hamlet_substations", "hamlet_mains", "hamlet_buildings",'
    assert unused in market.read_text("utf-8")
    few = market.read_text("utf-8").replace(unused, '"hamlet_mains",')
    market.write_text(few, "utf-8")
    path = folder / "own/hamlet/sources/hamlet_mains.toml"
    text = path.read_text("utf-8").replace('path = "mains.geojson"\n', write_fetch(server))
    path.write_text(text, "utf-8")
    return folder


def write_fetch(server) -> str:
    address = f"http://${{COUNTY_USER}}:${{COUNTY_PASSWORD}}@127.0.0.1:{server.server_port}"
    query = "?token=${COUNTY_TOKEN}"
    return (
        f'url = "{address}/first/${{COUNTY_PART}}/mains.geojson{query}"\n'
        f'fallback_urls = ["{address}/second/${{COUNTY_PART}}/mains.geojson{query}"]\n'
        'headers = { X-Key = "Bearer ${COUNTY_KEY}", User-Agent = "Mozilla/5.0 (padfinder)" }\n'
    )


@pytest.fixture
def refresh(place, padfinder, caplog):
    """Return a function that pulls the hamlet, and finds no secret anywhere afterwards."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name)

    def run(code: int, *options: str) -> str:
        ran = padfinder(place, "refresh", "-m", "hamlet", "--night", NIGHT, *options)
        assert ran.code == code, (code, ran.err)
        listed = padfinder(place, "sources", "-m", "hamlet", "--night", NIGHT)
        said = ran.out + ran.err + listed.out + listed.err
        assert find_secrets(said) == []
        assert find_secrets(caplog.text) == []
        assert find_in_folder(place / "var") == {}
        return said

    return run


def find_in_folder(folder: Path) -> dict[str, list[str]]:
    """Return the secrets in the files of a folder, unpacked, in their names, and in every table."""
    texts = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            with contextlib.suppress(gzip.BadGzipFile):
                content = gzip.decompress(content)
            texts[str(path)] = f"{path} {content.decode('utf-8', errors='replace')}"
        if path.suffix == ".duckdb":
            texts[f"tables of {path}"] = read_tables(path)
    return {name: found for name, text in texts.items() if (found := find_secrets(text))}


def read_tables(store: Path) -> str:
    """Return all tables of a store as text, which its file may hold compressed."""
    with duckdb.connect(store, read_only=True) as con:
        names = [row[0] for row in con.execute("select table_name from duckdb_tables()").fetchall()]
        tables = [con.execute(f'select * from "{name}"').fetchall() for name in names]  # noqa: S608
    assert tables
    return str(tables)


def test_the_search_finds_each_form(tmp_path):
    """The test can fail: each form of each secret is found, also in a packed file and a table."""
    for form in list_forms():
        assert form in find_secrets(f"<{form}>")
    (tmp_path / "a.gz").write_bytes(gzip.compress(KEY.encode()))
    with duckdb.connect(tmp_path / "b.duckdb") as con:
        con.execute("create table a as select ? as b", [PASSWORD])
    assert len(find_in_folder(tmp_path)) >= 2


def test_a_pull_that_succeeds_keeps_no_secret(server, refresh, place):
    """The answer repeats them, as the links of many servers do."""
    said = refresh(0)
    assert f"127.0.0.1:{server.server_port}/first/${{COUNTY_PART}}/mains.geojson" in said
    (told,) = server.told
    for secret in SECRETS:
        assert secret in told
    (kept,) = (place / "var/store/raw/hamlet_mains").rglob("*.gz")
    raw = json.loads(gzip.decompress(kept.read_bytes()))
    assert len(raw["features"]) == len(json.loads(server.good)["features"])
    assert "*" * len(KEY) in raw["links"][0]["href"]


def test_a_pull_that_fails_shows_no_secret(server, refresh):
    """With Prefect's log and the tracebacks, and beside an earlier good pull."""
    refresh(0)
    for does, code in ANSWERS.items():
        server.does, server.before = does, CUT
        assert "127.0.0.1" in refresh(code, "--verbose")


def test_the_second_address_is_as_secret_as_the_first(server, refresh):
    server.does, server.second = "forbidden", True
    said = refresh(0)
    assert "answers 401" in said
    assert "/second/${COUNTY_PART}/mains.geojson" in said


def test_a_server_that_cannot_be_reached(refresh, place):
    path = place / "own/hamlet/sources/hamlet_mains.toml"
    text = path.read_text("utf-8")
    for wrong in ("county.invalid", "${COUNTY_TOKEN}"):
        path.write_text(text.replace("127.0.0.1", wrong), "utf-8")
        refresh(5, "--verbose")


def test_a_key_that_no_header_may_hold(refresh, monkeypatch):
    monkeypatch.setenv("COUNTY_KEY", f"{KEY}\nX-More: {TOKEN}")
    assert "fetch.headers.X-Key holds a line break" in refresh(3, "--verbose")
    monkeypatch.delenv("COUNTY_KEY")
    assert "${COUNTY_KEY}, which is not in the environment" in refresh(3)


# ---------------------------------------------------------------------------------------------
# Servers that are asked page by page


def pull_carelessly(connection, source, folder, night):
    """Pull as a careless protocol would: its notes and errors quote the whole address."""
    address = fill_variables(source.fetch.url, "fetch.url", source.id)
    document = ask.ask_json(connection, source.fetch.url, {"page": "1"})
    if "features" not in document:
        raise SourceChanged(f"asking {address}", f"{TOKEN} {KEY}: {document}", f"see {PART}")
    frame = gpd.GeoDataFrame.from_features(document["features"], crs="EPSG:4326")
    frame.to_parquet(folder / f"rows-{night}.parquet")
    return Pulled(
        folder / f"rows-{night}.parquet",
        source.fetch.url,
        (f"pulled with {KEY} from {address}", RoutineNote(f"of {USER}, night {night}")),
    )


@pytest.fixture
def paged(place, monkeypatch):
    """Let the mains come from a server that is asked page by page."""
    monkeypatch.setattr(ask, "WAITS_S", (0.0, 0.0, 0.0))
    monkeypatch.setitem(PROTOCOLS, "ckan", Protocol(pull_carelessly, lambda *_: None))
    path = place / "own/hamlet/sources/hamlet_mains.toml"
    text = path.read_text("utf-8").replace('protocol = "file"', 'protocol = "ckan"')
    path.write_text(text, "utf-8")


@pytest.mark.usefixtures("paged")
def test_the_folder_of_pulls_holds_no_secret(server, refresh, place):
    said = refresh(0)
    assert "pulled with ***" in said
    (kept,) = (place / "var/store/pulls/hamlet/hamlet_mains").iterdir()
    assert kept.name == f"rows-{NIGHT}.parquet"
    assert "page=1" in server.told[0]


@pytest.mark.usefixtures("paged")
@pytest.mark.parametrize("does", ["forbidden", "down", "long error", "text"])
def test_a_page_that_fails_shows_no_secret(server, refresh, does):
    server.does, server.before = does, CUT
    assert "hamlet_mains" in refresh(ANSWERS[does], "--verbose")


@pytest.mark.usefixtures("paged")
def test_a_careless_error_shows_no_secret(server, refresh):
    server.good = "{}"
    assert "asking http://***@127.0.0.1" in refresh(6, "--verbose")


# ---------------------------------------------------------------------------------------------
# Forms


@pytest.mark.parametrize(
    ("name", "declared", "secret", "open_words"),
    [
        ("X-Key", "${COUNTY_KEY}", [KEY], []),
        ("Authorization", "Bearer sesame-literal", ["Bearer sesame-literal", "sesame-literal"], []),
        ("Authorization", "Apikey ${COUNTY_KEY}", [KEY], []),
        (
            "Authorization",
            f"Basic {base64.b64encode(b'sesame-user:sesame-pass').decode()}",
            ["sesame-user", "sesame-pass"],
            [],
        ),
        ("Authorization", "Basic not/base", ["not/base"], []),
        ("Referer", "https://county.example/map", [], ["https://county.example/map"]),
        ("User-Agent", "Mozilla/5.0 (${COUNTY_KEY})", [KEY], ["Mozilla/5.0"]),
    ],
)
def test_what_of_a_header_is_secret(monkeypatch, name, declared, secret, open_words):
    monkeypatch.setenv("COUNTY_KEY", KEY)
    found = list_header_secrets(name, declared, declared.replace("${COUNTY_KEY}", KEY))
    assert set(secret) <= found
    for word in open_words:
        assert hide_texts(word, found) == word


@pytest.mark.parametrize("secret", SECRETS)
def test_each_form_of_a_secret_is_hidden(secret):
    for form in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret)):
        assert hide_texts(f"see {form}!", {secret}) == "see ***!"
        for length in range(SECRET_LENGTH, len(form)):
            assert hide_texts(f"see {form[:length]}", {secret}) == "see ***"
    assert hide_texts(f"see {json.dumps(secret)}", {secret}) == 'see "***"'
    assert hide_texts("nothing to hide", {secret}) == "nothing to hide"
