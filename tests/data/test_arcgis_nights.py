"""From night to night only what changed is pulled, and a pull that was cut off goes on."""

import datetime as dt
import os
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import data.ask
from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from geo.errors import SourceDown
from tests.servers.arcgis_replay import serving
from tests.servers.arcgis_town import ROWS, TYPES, declare, make_layer, requests, row

NIGHT = dt.date(2026, 3, 1)
DAY = dt.timedelta(days=1)
# 2026-02-20 and 2026-03-01, at noon UTC.
BEFORE, LATER = 1_771_588_800_000, 1_772_366_400_000


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(data.ask, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def layer():
    with serving(make_layer(editingInfo={"dataLastEditDate": BEFORE})) as running:
        yield running


@pytest.fixture
def tracked():
    """A layer that keeps the date of each row's last edit."""
    types = TYPES | {"EDITED": "Date"}
    info = {"editingInfo": {"lastEditDate": BEFORE}, "editFieldsInfo": {"editDateField": "EDITED"}}
    with serving(make_layer(types=types, **info)) as running:
        running.put([row(number, EDITED=BEFORE) for number in range(ROWS)])
        yield running


def pull(source, folder, night=NIGHT):
    """Pull a source; return the rows as a table, and the notes."""
    folder.mkdir(exist_ok=True)
    with open_connection("county", requests_per_s=1000) as connection:
        pulled = PROTOCOLS["arcgis"].pull(connection, source, folder, night)
    return pq.read_table(pulled.file), list(map(str, pulled.notes))


def kinds(layer):
    found = [kind for kind, _, _ in layer.asked]
    layer.asked.clear()
    return found


def pulled_anew(layer, source, folder):
    """Return the bytes of a file of all rows as they are now."""
    pull(source, folder)
    layer.asked.clear()
    return (folder / "rows.parquet").read_bytes()


# ---------------------------------------------------------------------------------------------
# Skip


def test_nothing_is_pulled_where_nothing_was_edited(layer, tmp_path):
    source = declare(layer)
    pull(source, tmp_path)
    before = (tmp_path / "rows.parquet").read_bytes()
    kinds(layer)
    _, notes = pull(source, tmp_path, NIGHT + DAY)
    assert kinds(layer) == ["layer", "ids", "count"]
    assert notes == ["nothing pulled: no row was edited, added or deleted"]
    assert (tmp_path / "rows.parquet").read_bytes() == before


def test_all_rows_are_pulled_once_a_week(layer, tmp_path):
    source = declare(layer)
    for day in range(15):
        pull(source, tmp_path, NIGHT + day * DAY)
        assert kinds(layer).count("rows") == (5 if day % 7 == 0 else 0), day


def test_all_rows_are_pulled_each_night_from_a_server_that_does_not_say(layer, tmp_path):
    del layer.info["editingInfo"]
    source = declare(layer)
    for day in range(2):
        pull(source, tmp_path, NIGHT + day * DAY)
        assert kinds(layer).count("rows") == 5


def test_rows_that_were_deleted_or_added_are_seen_although_nothing_was_edited(layer, tmp_path):
    source = declare(layer)
    pull(source, tmp_path)
    kinds(layer)
    del layer.rows[11]
    layer.put([row(50)])
    rows, notes = pull(source, tmp_path, NIGHT + DAY)
    assert [page["where"] for page in requests(layer, "rows")] == [
        "OBJECTID >= 101 AND OBJECTID <= 101"
    ]
    assert notes == ["only edited and new rows pulled: 1; 1 deleted"]
    due = [f"P{number}" for number in [*range(5), *range(6, ROWS), 50]]
    assert rows["PIN"].to_pylist() == due
    anew = pulled_anew(layer, source, tmp_path / "anew")
    assert (tmp_path / "rows.parquet").read_bytes() == anew


@pytest.mark.parametrize(
    "change",
    [
        {"filter": "UNITS < 100"},
        {"coded": ("USE",)},
        {"bounds": (-72.0, 42.0, -70.0, 43.0)},
    ],
)
def test_another_declaration_pulls_all_rows(tmp_path, change):
    layer = make_layer(editingInfo={"lastEditDate": BEFORE})
    field = next(one for one in layer.info["fields"] if one["name"] == "USE")
    field["domain"] = {"type": "codedValue", "codedValues": [{"code": "101", "name": "House"}]}
    with serving(layer):
        pull(declare(layer), tmp_path)
        kinds(layer)
        pull(declare(layer, fetch=change), tmp_path, NIGHT + DAY)
        assert kinds(layer).count("rows") == 5


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"asked": 1}', None],
    ids=["empty", "cut", "list", "other", "gone"],
)
@pytest.mark.parametrize("name", ["last_pull.json", "rows.parquet"])
def test_what_is_damaged_is_pulled_anew(layer, tmp_path, name, damage):
    source = declare(layer)
    pull(source, tmp_path)
    before = (tmp_path / "rows.parquet").read_bytes()
    kinds(layer)
    if damage is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(damage)
    pull(source, tmp_path, NIGHT + DAY)
    assert kinds(layer).count("rows") == 5
    assert (tmp_path / "rows.parquet").read_bytes() == before


def test_a_change_of_the_layers_columns_pulls_all_rows(layer, tmp_path):
    pull(declare(layer), tmp_path)
    kinds(layer)
    next(one for one in layer.info["fields"] if one["name"] == "FLOOR")["type"] = (
        "esriFieldTypeInteger"
    )
    pull(declare(layer), tmp_path, NIGHT + DAY)
    assert kinds(layer).count("rows") == 5


# ---------------------------------------------------------------------------------------------
# Only what was edited


def test_rows_are_compared_by_the_date_of_the_last_known_edit(tracked, tmp_path):
    source = declare(tracked)
    pull(source, tmp_path)
    kinds(tracked)
    tracked.put([row(3, FLOOR=1.0, EDITED=LATER), row(4, FLOOR=2.0, EDITED=LATER)])
    tracked.put([row(17, FLOOR=3.0, EDITED=LATER)])
    tracked.info["editingInfo"] = {"lastEditDate": LATER}
    rows, notes = pull(source, tmp_path, NIGHT + DAY)
    # Edited at the time of the last known edit, 2026-02-20, less two days, or later.
    edited = "EDITED >= TIMESTAMP '2026-02-18 12:00:00'"
    assert [ids["where"] for ids in requests(tracked, "ids")][1] == edited
    # All rows have the date of the last edit, so they may have changed.
    assert notes == [f"all {ROWS} rows pulled"]
    assert rows["FLOOR"].to_pylist()[3:5] == [1.0, 2.0]
    anew = pulled_anew(tracked, source, tmp_path / "anew")
    assert (tmp_path / "rows.parquet").read_bytes() == anew


def test_only_edited_rows_are_pulled(tracked, tmp_path):
    for number in range(ROWS):
        tracked.put([row(number, EDITED=BEFORE - 30 * 86_400_000)])
    source = declare(tracked)
    pull(source, tmp_path)
    kinds(tracked)
    tracked.put([row(number, FLOOR=1.0, EDITED=LATER) for number in (3, 9, 17)])
    tracked.info["editingInfo"] = {"lastEditDate": LATER}
    rows, notes = pull(source, tmp_path, NIGHT + DAY)
    assert notes == ["only edited and new rows pulled: 3; 0 deleted"]
    assert [page["where"] for page in requests(tracked, "rows")] == ["OBJECTID IN (7,19,35)"]
    assert [rows["FLOOR"].to_pylist()[number] for number in (3, 9, 17)] == [1.0, 1.0, 1.0]
    anew = pulled_anew(tracked, source, tmp_path / "anew")
    assert (tmp_path / "rows.parquet").read_bytes() == anew


def test_a_server_that_cannot_filter_by_date_gives_all_rows(tracked, tmp_path):
    def hook(_, parameters, __):
        if "TIMESTAMP" in parameters.get("where", ""):
            return 200, {}, b'{"error": {"code": 400, "message": "Invalid query"}}'
        return None

    source = declare(tracked)
    pull(source, tmp_path)
    kinds(tracked)
    tracked.hook = hook
    tracked.info["editingInfo"] = {"lastEditDate": LATER}
    _, notes = pull(source, tmp_path, NIGHT + DAY)
    assert notes == [f"all {ROWS} rows pulled"]


@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_changes_give_the_file_of_a_full_pull(tmp_path_factory, data):
    """Rows are edited, deleted and added on some nights; the file is that of all rows."""
    types = TYPES | {"EDITED": "Date"}
    info = {"editingInfo": {"lastEditDate": BEFORE}, "editFieldsInfo": {"editDateField": "EDITED"}}
    folder = tmp_path_factory.mktemp("nights")
    old = BEFORE - 30 * 86_400_000
    with serving(make_layer(types=types, **info)) as layer:
        layer.put([row(number, EDITED=old) for number in range(ROWS)])
        source = declare(layer)
        pull(source, folder / "kept")
        numbers = st.sets(st.integers(0, 30), max_size=6)
        for day in range(1, data.draw(st.integers(1, 3)) + 1):
            now = LATER + day * 86_400_000
            layer.put([row(number, FLOOR=float(day), EDITED=now) for number in data.draw(numbers)])
            for number in data.draw(numbers):
                layer.rows.pop(2 * number + 1, None)
            layer.info["editingInfo"] = {"lastEditDate": now}
            layer.refresh()
            pull(source, folder / "kept", NIGHT + day * DAY)
        anew = pulled_anew(layer, source, folder / "anew")
        assert (folder / "kept" / "rows.parquet").read_bytes() == anew


# ---------------------------------------------------------------------------------------------
# Resume


@pytest.mark.parametrize("page", range(1, 6))
def test_a_pull_that_was_cut_off_at_any_page_goes_on(layer, tmp_path, page):
    source = declare(layer)
    layer.hook = lambda kind, _, nth: (404, {}, b"") if kind == "rows" and nth >= page else None
    with pytest.raises(Exception, match="answers 404"):
        pull(source, tmp_path / "kept")
    layer.hook = None
    kinds(layer)
    rows, notes = pull(source, tmp_path / "kept", NIGHT + DAY)
    assert kinds(layer).count("rows") == 5 - (page - 1)
    assert len(rows) == ROWS
    if page > 1:
        done = 5 * (page - 1)
        assert notes[1] == f"the pull was cut off; {done} rows are of 2026-03-01"
    anew = pulled_anew(layer, source, tmp_path / "anew")
    assert (tmp_path / "kept" / "rows.parquet").read_bytes() == anew
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "last_pull.json",
        "rows.parquet",
    ]


PULL = """
import datetime as dt
import sys
from pathlib import Path

from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from data.source import Source

source = Source.model_validate_json(sys.argv[1])
with open_connection("county", requests_per_s=1000) as connection:
    PROTOCOLS["arcgis"].pull(connection, source, Path(sys.argv[2]), dt.date(2026, 3, 1))
"""


def test_a_pull_that_was_killed_goes_on(layer, tmp_path):
    source = declare(layer)
    command = [sys.executable, "-c", PULL, source.model_dump_json(), str(tmp_path)]
    with subprocess.Popen(command, env=os.environ) as process:

        def kill(kind, _, nth):
            if (kind, nth) == ("rows", 4):
                process.kill()
                return 503, {}, b"nobody reads this"
            return None

        layer.hook = kill
        assert process.wait(60) == -signal.SIGKILL
    layer.hook = None
    kinds(layer)
    rows, notes = pull(source, tmp_path)
    assert kinds(layer).count("rows") == 2
    assert rows["PIN"].to_pylist() == [f"P{number}" for number in range(ROWS)]
    assert notes[1] == "the pull was cut off; 15 rows are of 2026-03-01"


def cut_off(layer, source, folder):
    """Cut off a pull at its third page."""
    first = layer.counts["rows"]
    layer.hook = lambda kind, _, nth: (
        (404, {}, b"") if kind == "rows" and nth >= first + 3 else None
    )
    with pytest.raises(Exception, match="answers 404"):
        pull(source, folder)
    layer.hook = None
    kinds(layer)


@pytest.mark.parametrize("change", ["edited", "deleted", "filter", "a week", "damaged"])
def test_a_pull_begins_anew_if_something_changed_since(layer, tmp_path, change):
    source, night = declare(layer), NIGHT + DAY
    cut_off(layer, source, tmp_path)
    if change == "edited":
        layer.info["editingInfo"] = {"dataLastEditDate": LATER}
    elif change == "deleted":
        del layer.rows[45]
        layer.refresh()
    elif change == "filter":
        source = declare(layer, fetch={"filter": "UNITS < 100"})
    elif change == "a week":
        night = NIGHT + 7 * DAY
    else:
        (tmp_path / "unfinished" / "000001.parquet").write_bytes(b"PAR1")
    pull(source, tmp_path, night)
    assert kinds(layer).count("rows") == 5


def test_a_pull_without_listed_ids_goes_on_too(layer, tmp_path):
    def ignore(kind, *_):
        return (200, {}, b'{"features": []}') if kind in {"ids", "count"} else None

    def cut(kind, *rest):
        return ignore(kind, *rest) or ((404, {}, b"") if layer.counts["rows"] > 2 else None)

    source = declare(layer)
    layer.hook = cut
    with pytest.raises(Exception, match="answers 404"):
        pull(source, tmp_path)
    layer.hook = ignore
    kinds(layer)
    rows, _ = pull(source, tmp_path)
    assert requests(layer, "rows")[0]["where"] == "OBJECTID > 19"
    assert len(rows) == ROWS


# ---------------------------------------------------------------------------------------------
# Secrets


def test_no_file_and_no_error_has_a_secret(layer, tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTY_TOKEN", "sesame-token")
    monkeypatch.setenv("COUNTY_KEY", "sesame-key")
    fetch = {
        "url": f"{layer.url}/query?f=html&token=${{COUNTY_TOKEN}}",
        "headers": {"X-Key": "${COUNTY_KEY}"},
    }
    source = declare(layer, fetch=fetch)
    layer.hook = lambda kind, _, nth: (
        (500, {}, b"sesame-token") if kind == "rows" and nth > 3 else None
    )
    with open_connection("county", requests_per_s=1000, headers=fetch["headers"]) as connection:
        with pytest.raises(SourceDown) as caught:
            PROTOCOLS["arcgis"].pull(connection, source, tmp_path, NIGHT)
        held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        layer.hook = None
        pulled = PROTOCOLS["arcgis"].pull(connection, source, tmp_path, NIGHT)
        seen = PROTOCOLS["arcgis"].preview(connection, source, 3)
    held += b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    said = f"{caught.value} {pulled.notes} {seen.says}"
    assert b"sesame" not in held
    assert "sesame" not in said
    for _, parameters, headers in layer.asked:
        assert parameters["token"] == "sesame-token"  # noqa: S105 (made up)
        assert headers["X-Key"] == "sesame-key"
