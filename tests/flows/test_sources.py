"""The health of each source, what the reader warns of, and real paths, as a user sees them."""

import json
import re
import shutil
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from data.store import open_store
from flows import cli
from tests.flows import hamlet

NIGHT, NEXT = "2026-03-31", "2026-04-01"
PARCELS = "files/hamlet/parcels.geojson"
MAINS = "files/hamlet/mains.geojson"
SECRETS = ("sesame-user", "sesame-pass", "sesame-token", "sesame-header", "Olga Owner", "555-0100")


@pytest.fixture(scope="session")
def pulled(tmp_path_factory):
    """Return a hamlet whose sources were pulled once; copy it before changing it."""
    folder = tmp_path_factory.mktemp("pulled")
    hamlet.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["refresh", "--market", "hamlet", "--night", NIGHT]) == 0
    return folder


@pytest.fixture
def place(pulled, tmp_path):
    """Return a copy of the pulled hamlet that the test may change."""
    folder = tmp_path / "place"
    shutil.copytree(pulled, folder, symlinks=True)
    return folder


@pytest.fixture
def refresh(padfinder, place):
    """Return a function that pulls the hamlet on the next night."""
    return partial(padfinder, place, "refresh", "-m", "hamlet", "--night", NEXT)


@pytest.fixture
def sources(padfinder, place):
    """Return a function that lists the hamlet's sources: the exit code, and words on one source."""

    def run(name, night=NEXT):
        ran = padfinder(place, "sources", "-m", "hamlet", "--night", night)
        # Only a path is longer than the page is wide.
        assert all(len(line) <= 100 or " " not in line.strip() for line in ran.out.splitlines())
        row = next(line for line in ran.out.splitlines() if line.startswith(name))
        details = re.split(r"\n(?!  )", ran.out.split(f"\n{name}: ")[1])[0]
        return ran.code, " ".join(f"{row} {details}".split())

    return run


@pytest.fixture
def server():
    """Return a server on this computer: its address, and its answers by path."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.server.answers[self.path.split("?")[0]]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if self.server.wait:
                self.send_header("Retry-After", self.server.wait)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        running.answers, running.wait = {}, ""
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def change_features(path, change):
    """Change the list of a GeoJSON file's features."""
    document = hamlet.geojson(path)
    document["features"] = change(document["features"])
    path.write_text(json.dumps(document), "utf-8")


def set_fetch(place, layer, **keys):
    """Replace the path of a source by other keys of [fetch]."""
    path = place / f"own/hamlet/sources/hamlet_{layer}.toml"
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    text = path.read_text("utf-8")
    assert f'path = "{layer}.geojson"\n' in text
    path.write_text(text.replace(f'path = "{layer}.geojson"\n', lines), "utf-8")


def add_to(place, layer, text):
    path = place / f"own/hamlet/sources/hamlet_{layer}.toml"
    path.write_text(path.read_text("utf-8") + text, "utf-8")


# ---------------------------------------------------------------------------------------------
# Verdicts


def test_a_fresh_source_shows_its_rights_and_its_rows(place, refresh, sources):
    change_features(place / PARCELS, lambda features: features[2:])
    assert refresh().code == 0
    code, said = sources("hamlet_parcels")
    assert code == 0
    for words in ("298 300", "2026-01-31", NEXT, "fresh", "none: made up", "by The hamlet",
                  "no age limit declared", "from parcels.geojson",
                  "0 rows added, 2 removed"):  # fmt: skip
        assert words in said


def test_a_changed_row_of_a_layer_without_a_key_came_and_went(place, refresh, sources):
    def raise_first(features):
        features[0]["properties"]["height"] = 9.0
        return features

    change_features(place / "files/hamlet/buildings.geojson", raise_first)
    assert refresh().code == 0
    assert "1 row added, 1 removed" in sources("hamlet_buildings")[1]


def test_changed_columns_are_seen_once(place, refresh, sources, padfinder):
    def change(features):
        for feature in features:
            feature["properties"]["id"] = int(feature["properties"]["id"][1:])
            feature["properties"]["laid"] = "1950"
        return features

    change_features(place / MAINS, change)
    assert refresh().code == 0
    code, said = sources("hamlet_mains")
    assert code == 0
    assert "changed: its columns have changed: column 'laid' is new; " in said
    assert "column 'id' was text and is number" in said
    assert str(place / "own/hamlet/sources/hamlet_mains.toml") in said
    padfinder(place, "refresh", "-m", "hamlet", "--night", "2026-04-02")
    assert "fresh" in sources("hamlet_mains", "2026-04-02")[1]


def test_an_old_source_is_stale_by_its_declared_age(place, refresh, sources):
    """The data are of 2026-01-31: on 2026-04-01 they are 60 days old."""
    add_to(place, "mains", "\n[expect]\nage_days_max = 59\n")
    assert refresh().code == 0
    code, said = sources("hamlet_mains")
    assert code == 0
    assert "stale: its data are 60 days old, at most 59 declared" in said
    add_to(place, "zoning", "\n[expect]\nage_days_max = 60\n")
    assert refresh().code == 0
    assert " fresh " in sources("hamlet_zoning")[1]


def test_a_source_that_is_no_longer_pulled_is_stale(sources):
    assert " fresh " in sources("hamlet_mains", "2026-04-03")[1]
    assert "stale: it was last pulled 4 days ago" in sources("hamlet_mains", "2026-04-04")[1]


def shrink(place):
    change_features(place / MAINS, lambda features: features[:3])


def cut(place):
    path = place / MAINS
    path.write_bytes(path.read_bytes()[:-100])


def remove(place):
    (place / MAINS).unlink()


@pytest.mark.parametrize(
    ("spoil", "verdict", "words", "code"),
    [
        (shrink, "shrunk", "it has 3 rows, 8 the last time", 6),
        (cut, "changed", "is cut off or not JSON", 6),
        (remove, "gone", "there is no file", 3),
    ],
)
def test_a_failed_pull_is_remembered(place, refresh, sources, spoil, verdict, words, code):
    """The last good rows stay, and the verdict needs no network and no new try."""
    spoil(place)
    failed = refresh()
    assert failed.code == code
    assert words in failed.err
    told, said = sources("hamlet_mains")
    assert told == code
    assert f"2026-01-31 {NIGHT} {verdict} none: made up" in said
    assert f"{verdict}: " in said
    assert words in said
    assert "What to do: " in said
    with open_store(place / "var/store/hamlet.duckdb", read_only=True) as store:
        assert store.read_layer("mains").shape[0] == 8
    # As of the night before, it was fine.
    assert sources("hamlet_mains", NIGHT)[0] == 0
    # The next good pull ends it.
    (place / MAINS).unlink(missing_ok=True)
    hamlet.layers()["mains"].to_crs("EPSG:4326").to_file(place / MAINS, engine="pyogrio")
    assert refresh().code == 0
    assert sources("hamlet_mains")[0] == 0


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [(403, "forbidden", 6), (404, "gone", 6), (400, "changed", 6), (500, "stale", 5)],
)
def test_the_verdict_on_a_server(*, place, refresh, sources, server, status, verdict, code):
    server.answers["/mains"] = (status, b"no")
    set_fetch(place, "mains", url=f"http://127.0.0.1:{server.server_port}/mains")
    failed = refresh()
    assert failed.code == code
    assert "Traceback" not in failed.err
    assert "hamlet_mains" in failed.err
    told, said = sources("hamlet_mains")
    assert told == code
    assert f"{NIGHT} {verdict} none" in said
    assert f"answers {status}" in said


def test_the_address_that_answered_is_shown_with_the_others_failures(
    place, refresh, sources, server
):
    body = (place / MAINS).read_bytes()
    server.answers |= {"/a": (403, b"no"), "/b": (200, body)}
    address = f"http://127.0.0.1:{server.server_port}"
    set_fetch(place, "mains", url=f"{address}/a", fallback_urls=[f"{address}/b"])
    ran = refresh()
    assert ran.code == 0, ran.err
    assert f"{address}/a answers 403" in ran.out
    code, said = sources("hamlet_mains")
    assert code == 0
    assert f"from {address}/b" in said
    assert f"Warning: {address}/a answers 403 (Forbidden); {address}/b was used instead" in said


@pytest.mark.parametrize(
    ("path", "code"), [("..", 5), ("x" * 3000, 5), ("a\nb", 6), ("\0", 6), ("[::1", 5)]
)
def test_an_address_that_is_no_file_name(place, refresh, path, code):
    set_fetch(place, "mains", url=f"http://127.0.0.1:1/{path}")
    ran = refresh()
    assert ran.code == code, ran.err
    assert len(ran.err.split("Pulling hamlet_buildings")[1].splitlines()) == 3


def test_a_server_that_asks_to_wait_is_asked_later(place, refresh, server, monkeypatch):
    """The wait is the longer of the setting's and the server's, but never more than 600 s."""
    waits = []
    monkeypatch.setattr("flows.refresh.time.sleep", waits.append)
    set_fetch(place, "mains", url=f"http://127.0.0.1:{server.server_port}/mains")
    settings = place / "padfinder.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace("retry_delays_s = []", "retry_delays_s = [1, 60]"), "utf-8")
    server.answers["/mains"] = (429, b"no")
    server.wait = "20"
    assert refresh().code == 5
    server.wait = "86400"
    assert refresh().code == 5
    # The pauses between two requests of one try are shorter than a second.
    assert [wait for wait in waits if wait >= 1] == [20, 60, 600, 600]


# ---------------------------------------------------------------------------------------------
# Warnings


def spoil_shapes(place):
    """Make a bow tie of a lot and a text of a height; drop a house by the declaration."""

    def cross(features):
        ring = features[1]["geometry"]["coordinates"][0]
        ring[1], ring[2] = ring[2], ring[1]
        return features

    def break_height(features):
        for feature in features:
            feature["properties"]["height"] = "6.0"
        features[5]["properties"]["height"] = "tall"
        return features

    change_features(place / PARCELS, cross)
    change_features(place / "files/hamlet/buildings.geojson", break_height)
    add_to(place, "buildings", "\n[expect]\nunreadable_share_max = 0.1\n")
    add_to(place, "parcels", '\n[drop]\nid = ["L0007"]\n')


def test_warnings_are_printed_and_routine_is_not(place, refresh, sources):
    spoil_shapes(place)
    ran = refresh()
    assert ran.code == 0, ran.err
    assert "Check parcels of the hamlet (hamlet_parcels): 1 invalid ring repaired." in ran.out
    assert "height: 1 unreadable number, taken as missing" in ran.out
    assert "299 rows, new snapshot, 1 warning" in ran.err
    assert "L0007" not in ran.out
    assert "tall" not in ran.out
    assert "Warning: 1 invalid ring repaired" in sources("hamlet_parcels")[1]
    assert refresh().out.count("1 invalid ring repaired") == 1


def test_warnings_and_health_are_published(town, padfinder):
    spoil_shapes(town)
    (town / MAINS).write_bytes(b"{")
    ran = padfinder(town, "nightly", "-m", "hamlet", "--night", NEXT, "--stale-ok")
    assert ran.code == 0, ran.err
    folder = town / "var/published/hamlet/hamlet"
    report = json.loads((folder / "report.json").read_text("utf-8"))
    page = (folder / "map.html").read_text("utf-8")
    health = {one["id"]: one for one in report["health"]}
    assert health["hamlet_mains"]["verdict"] == "changed"
    assert "cut off" in health["hamlet_mains"]["error"]
    assert health["hamlet_parcels"]["warnings"] == ["1 invalid ring repaired"]
    lines = " ".join(report["first_lines"])
    for words in ("1 invalid ring repaired", "mains of the hamlet (hamlet_mains) is changed: "):
        assert words in lines
        assert words in ran.out
        assert words in page
    assert '"verdict":"changed"' in page.replace('": "', '":"')


# ---------------------------------------------------------------------------------------------
# Real paths, and remedies that can be followed


@pytest.fixture
def says(place, refresh, padfinder):
    """Return a function that checks what a refused pull says, and that its remedy is accepted."""

    def check(layer, file, words, addition=""):
        failed = refresh()
        declaration = str(place / f"own/hamlet/sources/hamlet_{layer}.toml")
        said = " ".join(failed.err.split())
        assert failed.code in {3, 4, 6}, failed.err
        assert declaration in said
        assert "sources/" not in said.replace(declaration, "")
        assert str(place / "files/hamlet" / file) in said
        assert words in said
        if addition:
            add_to(place, layer, addition)
            assert padfinder(place, "check").code == 0
            ran = refresh()
            assert ran.code == 0, ran.err

    return check


def test_unlisted_code(place, says):
    def stop(features):
        features[0]["properties"]["STATUS"] = "RETIRED"
        return features

    change_features(place / "files/hamlet/substations.geojson", stop)
    says("substations", "substations.geojson", "columns.status.other")


def test_unreadable_number(place, says):
    def break_size(features):
        for feature in features:
            feature["properties"]["inches"] = "4"
        features[0]["properties"]["inches"] = "wide"
        return features

    change_features(place / MAINS, break_size)
    says(
        "mains",
        "mains.geojson",
        "list what means missing in columns.diameter_in.missing, or raise "
        "expect.unreadable_share_max",
        "\n[expect]\nunreadable_share_max = 0.2\n",
    )


def test_null_geometry(place, says):
    def lose(features):
        features[0]["geometry"] = None
        return features

    change_features(place / MAINS, lose)
    remedy = "\n[expect]\nnull_geometry_share_max = 0.2\n"
    says("mains", "mains.geojson", "raise expect.null_geometry_share_max", remedy)


def test_too_few_rows(place, says):
    add_to(place, "mains", "\n[expect]\nrows_min = 9\n")
    says("mains", "mains.geojson", "lower expect.rows_min")


def test_another_crs(place, says):
    path = place / "own/hamlet/sources/hamlet_mains.toml"
    text = path.read_text("utf-8").replace("EPSG:4326", "EPSG:2249")
    path.write_text(text, "utf-8")
    says("mains", "mains.geojson", "set fetch.crs to 'EPSG:4326'")


def test_a_missing_column(place, says):
    path = place / MAINS
    path.write_text(path.read_text("utf-8").replace('"inches"', '"size"'), "utf-8")
    says("mains", "mains.geojson", "no column 'inches'")


def test_a_joined_column_names_its_own_key(place, says):
    table = place / "files/hamlet/tax.csv"
    rows = "".join(f"L{number:04d},{number}\n" for number in range(300))
    table.write_text(f"PIN,AREA\n{rows}".replace(",7\n", ",large\n"), "utf-8")
    add_to(
        place,
        "parcels",
        '\n[join]\npath = "tax.csv"\nkey = "PIN"\nto = "id"\n'
        '[join.columns.building_area_m2]\ncolumn = "AREA"\nunit = "m2"\n',
    )
    remedy = 'missing = ["large"]\n'
    says("parcels", "tax.csv", "join.columns.building_area_m2.missing", remedy)


# ---------------------------------------------------------------------------------------------
# Secrets and people


def hold_secret(folder):
    """List the files in a folder that hold a secret, also in their names."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        if path.suffix == ".gz":
            # The publisher's own data are kept as they are.
            continue
        text = path.read_bytes().decode("utf-8", errors="replace") + str(path)
        found += [(str(path), secret) for secret in SECRETS if secret in text]
    return found


def test_no_secret_anywhere(town, padfinder, server, monkeypatch):
    """An address with a password and a token, and a header: neither stored, shown nor published."""
    monkeypatch.setenv("COUNTY_KEY", "sesame-header")
    body = (town / MAINS).read_bytes()
    server.answers |= {"/sesame-header/mains.geojson": (200, body), "/gone": (403, b"sesame-token")}
    address = f"http://sesame-user:sesame-pass@127.0.0.1:{server.server_port}"
    query = "?token=sesame-token"
    set_fetch(
        town,
        "mains",
        url=f"{address}/gone{query}",
        fallback_urls=[f"{address}/${{COUNTY_KEY}}/mains.geojson{query}"],
    )
    add_to(town, "mains", '[fetch.headers]\nX-Key = "${COUNTY_KEY}"\nX-Plain = "sesame-token"\n')
    outputs = []

    def run(code, *arguments):
        ran = padfinder(town, *arguments, "-m", "hamlet", "--night", NEXT)
        assert ran.code == code, ran.err
        outputs.append(ran.out + ran.err)

    run(0, "refresh", "--verbose")
    run(0, "sources")
    assert hold_secret(town / "var") == []
    server.answers["/sesame-header/mains.geojson"] = (
        200,
        b'{"error": {"message": "sesame-token of sesame-user: sesame-header"}}',
    )
    run(6, "refresh", "--verbose")
    run(0, "nightly", "--stale-ok", "--verbose")
    run(6, "sources")
    assert hold_secret(town / "var") == []
    assert [secret for secret in SECRETS if secret in "".join(outputs)] == []
    assert "127.0.0.1" in "".join(outputs)


def test_an_error_in_a_declaration_shows_no_secret(place, padfinder):
    set_fetch(place, "mains", url="http://sesame-user:sesame-pass@x/?t=sesame-token", path="a.csv")
    ran = padfinder(place, "check")
    assert ran.code == 3
    assert "give either path or url" in ran.err
    assert [secret for secret in SECRETS if secret in ran.err] == []


def test_people_are_never_quoted(place, refresh, padfinder):
    """Names and phone numbers are in columns that no declaration reads."""

    def add_people(features):
        for nth, feature in enumerate(features):
            person = {"owner_name": f"Olga Owner {nth}", "phone": f"555-0100-{nth}"}
            feature["properties"] |= person
        return features

    change_features(place / PARCELS, add_people)
    change_features(place / MAINS, add_people)
    spoil_shapes(place)
    ran = refresh()
    assert ran.code == 0, ran.err
    outputs = [ran.out + ran.err, padfinder(place, "sources", "-m", "hamlet").out]
    assert "column 'owner_name' is new" in ran.out
    add_to(place, "mains", '\n[where]\nowner_name = ["The city"]\n')
    for feature_file in (PARCELS, MAINS):
        path = place / feature_file
        path.write_text(path.read_text("utf-8").replace('"use"', '"use_cd"'), "utf-8")
    ran = refresh()
    assert ran.code == 6
    outputs.append(ran.out + ran.err)
    assert [secret for secret in SECRETS if secret in "".join(outputs)] == []
    assert hold_secret(place / "var") == []
