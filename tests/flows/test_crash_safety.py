"""Two runs at once, and nights after something was damaged: each is answered, none is lost."""

import csv
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time

import geopandas as gpd
import pytest

from data.protocols.kept import write_kept
from tests.flows import hamlet

NIGHT = ("--market", "hamlet", "--night", "2026-04-01")
HOLD = """
import sys
from flows.market_lock import hold_market
from flows.settings import read_settings
with hold_market("hamlet", read_settings(), "refreshing"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other_run(town):
    """Return another process that holds the market until its standard input closes."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=town,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("command", ["nightly", "refresh", "publish"])
def test_a_second_run_says_who_holds_the_market_and_since_when(padfinder, town, other_run, command):
    ran = padfinder(town, command, *NIGHT)
    assert ran.code == 7
    assert f"another run holds it: process {other_run.pid} of " in ran.err
    assert f"refreshing since {time.strftime('%Y-%m-%d %H:', time.gmtime())}" in ran.err
    assert "wait until that run has ended" in ran.err


def test_a_run_that_is_killed_lets_the_market_go(padfinder, town, other_run):
    other_run.kill()
    other_run.wait(30)
    assert padfinder(town, "refresh", *NIGHT).code == 0


def test_an_unreadable_record_of_the_pulls_does_not_stop_the_night(padfinder, town):
    record = town / "var/runs/hamlet/sources.json"
    for damaged in ("", "{", '{"hamlet_parcels": {"rows": "many"}}'):
        record.write_text(damaged, "utf-8")
        ran = padfinder(town, "sources", "--market", "hamlet")
        assert ran.code == 0
        assert "sources.json cannot be read" in ran.err.replace("\n", " ")
    assert padfinder(town, "nightly", *NIGHT).code == 0
    assert len(json.loads(record.read_text("utf-8"))) == len(hamlet.COLUMNS_OF)


def test_a_folder_in_the_place_of_the_published_link_is_moved_aside(padfinder, town):
    published = town / "var/published/hamlet/hamlet"
    restored = published.resolve()
    published.unlink()
    shutil.copytree(restored, published)
    for night in ("2026-04-01", "2026-04-02"):
        ran = padfinder(town, "publish", "--market", "hamlet", "--night", night)
        assert ran.code == 0, ran.err
        assert json.loads((published / "report.json").read_text("utf-8"))["night"] == night
    assert (published.parent / "hamlet.moved-1/map.html").is_file()
    assert not (published.parent / "hamlet.moved-2").exists()


def test_what_a_killed_pull_left_is_removed_by_the_next_one(tmp_path):
    (tmp_path / "answer.half").write_bytes(b"half")
    (tmp_path / "reading-x").mkdir()
    (tmp_path / "reading-x" / "answer").write_bytes(b"half")
    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"a")
    write_kept(tmp_path, "asked", dt.date(2026, 3, 1), rows, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pulled.json", "rows.csv"]


def test_no_list_runs_what_a_parcel_is_called(padfinder, town):
    path = town / "files/hamlet/parcels.geojson"
    path = path if path.exists() else next(town.rglob("parcels.geojson"))
    parcels = gpd.read_file(path)
    # Lot 0 is vacant among homes: it is set aside.
    parcels.loc[0, ["id", "address"]] = ["=cmd|' /C calc'!A0", "@SUM(1+1)"]
    parcels.to_file(path)
    assert padfinder(town, "nightly", *NIGHT).code == 0
    folder = town / "var/published/hamlet/hamlet"
    for name in ("set_aside.csv", "ranked.csv"):
        with (folder / name).open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]
    ran = padfinder(town, "explain", "=cmd|' /C calc'!A0", "--market", "hamlet")
    assert ran.code == 0
    assert "Not a site. Set aside:" in ran.out
