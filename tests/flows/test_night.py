"""One night of the hamlet: what it prints, publishes and keeps, with and without a server."""

import base64
import csv
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import httpx
import pandas as pd
import pytest
from typer.main import get_command

from flows import cli, declarations, settings
from tests.flows import hamlet

# What one night publishes, and nothing else.
FILES = [
    "conformity.html",
    "map.html",
    "ranked.csv",
    "ranked.gpkg",
    "ranked.parquet",
    "ranked.xlsx",
    "report.json",
    "set_aside.csv",
]
# Lots by use (see hamlet.layers): column 3 has shops, columns 18 and 19 factories. Every 29th of
# the other lots is vacant, and lot 1 is the chapel. Vacant lots from column 15 on are in the
# business zone.
OTHERS = [n for n in range(300) if n % 20 not in {3, 18, 19}]
VACANT = [n for n in OTHERS if n % 29 == 0]
SITES = 3 * 15 + sum(n % 20 >= 15 for n in VACANT)


def published(folder: Path) -> Path:
    return folder / "var/published/hamlet/hamlet"


def test_published_files_are_whole(finished_hamlet):
    folder = published(finished_hamlet)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert folder.is_symlink()
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["parcels_in"] == 300
    assert report["sites"] == SITES
    assert report["parcels_in"] == report["sites"] + sum(report["set_aside"].values())
    rows = pd.read_parquet(folder / "ranked.parquet", columns=["site_id", "run_id", "plan_digest"])
    assert len(rows) == SITES
    assert set(rows["run_id"]) == {report["run_id"]}
    assert set(rows["plan_digest"]) == {report["plan_digest"]}
    with (folder / "set_aside.csv").open(encoding="utf-8-sig", newline="") as file:
        aside = list(csv.DictReader(file))
    assert len(aside) == 300 - SITES
    assert set(rows["site_id"]).isdisjoint(line["parcel_id"] for line in aside)


def test_run_report_keeps_the_clock_apart(finished_hamlet):
    run_id = json.loads((published(finished_hamlet) / "report.json").read_text())["run_id"]
    run = json.loads((finished_hamlet / f"var/runs/hamlet/{run_id}.json").read_text("utf-8"))
    assert run["stale"] == []
    assert {one["source_id"] for one in run["sources"]} == {
        f"hamlet_{layer}" for layer in hamlet.COLUMNS_OF
    }
    assert set(run["seconds"]) == {
        "Reading facts",
        "Selecting sites",
        "Screening",
        "Ranking",
        "Writing map and lists",
    }


def test_second_night_gives_the_same_bytes_and_no_new_snapshot(town, padfinder):
    before = dict(hamlet.digests(published(town)))
    rows = pd.read_parquet(published(town) / "ranked.parquet")
    ran = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-03-31")
    assert ran.code == 0, ran.err
    assert dict(hamlet.digests(published(town))) == before
    assert ran.err.count("unchanged") == 5
    # Another night is another run, since records are a week older. The rows are the same.
    ran = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-04-07")
    assert ran.code == 0, ran.err
    later = pd.read_parquet(published(town) / "ranked.parquet")
    assert set(later["run_id"]).isdisjoint(rows["run_id"])
    pd.testing.assert_frame_equal(later.drop(columns="run_id"), rows.drop(columns="run_id"))
    assert "new snapshot" not in ran.err


def test_fresh_folder_gives_the_same_bytes(finished_hamlet, padfinder, tmp_path, monkeypatch):
    """The same input gives the same bytes with another var folder and place."""
    for name in ("own", "files", "padfinder.toml"):
        kind = shutil.copytree if (finished_hamlet / name).is_dir() else shutil.copy
        kind(finished_hamlet / name, tmp_path / name)
    monkeypatch.setenv("PADFINDER_VAR", str(tmp_path / "elsewhere"))
    ran = padfinder(tmp_path, "nightly", "-m", "hamlet", "--night", "2026-03-31")
    assert ran.code == 0, ran.err
    first = dict(hamlet.digests(published(finished_hamlet)))
    second = dict(hamlet.digests(tmp_path / "elsewhere/published/hamlet/hamlet"))
    assert sorted(second) == sorted(first)
    for name, content in first.items():
        assert second[name] == content, f"{name} differs"


def test_final_lines_account_for_every_parcel(town, padfinder):
    ran = padfinder(town, "publish", "-m", "hamlet", "--night", "2026-03-31")
    assert ran.code == 0, ran.err
    assert "300 parcels in = 300 accounted for" in ran.out
    assert "call: " in ran.out
    assert "verdict: " in ran.out
    assert "gap_class: " in ran.out
    for number in range(1, 6):
        assert f"\n{number}. " in ran.out
    assert f"{published(town)}/map.html" in ran.out
    assert f"{published(town)}/ranked.csv" in ran.out


def test_one_previous_night_is_kept(town, padfinder):
    nights = town / "var/published/hamlet/.hamlet"
    for _ in range(2):
        assert padfinder(town, "publish", "-m", "hamlet", "--night", "2026-03-31").code == 0
    assert sorted(path.name for path in nights.iterdir()) == ["000002", "000003"]
    assert published(town).resolve() == (nights / "000003").resolve()


def test_changed_plan_changes_the_run(town, padfinder):
    before = json.loads((published(town) / "report.json").read_text("utf-8"))
    plan = town / "own/hamlet/plans/hamlet.toml"
    plan.write_text(plan.read_text("utf-8").replace("target_kw = 1000", "target_kw = 600"), "utf-8")
    assert padfinder(town, "publish", "-m", "hamlet").code == 0
    after = json.loads((published(town) / "report.json").read_text("utf-8"))
    assert after["plan_digest"] != before["plan_digest"]
    assert after["run_id"] != before["run_id"]


def test_layers_stand_as_of_any_night(town, padfinder):
    """A night before the first snapshot has nothing to publish."""
    ran = padfinder(town, "publish", "-m", "hamlet", "--night", "2026-03-30")
    assert ran.code == 7
    assert "no snapshot of hamlet_parcels" in ran.err
    assert "padfinder refresh --market hamlet" in ran.err


def test_records_age_with_the_night(town, padfinder):
    """On 2027-07-31 the substations' records of 2026-01-31 are 18 months old, a day later more."""
    for night, told in (("2027-07-31", 0), ("2027-08-01", 2)):
        assert padfinder(town, "publish", "-m", "hamlet", "--night", night).code == 0
        report = json.loads((published(town) / "report.json").read_text("utf-8"))
        assert report["night"] == night
        old = "capacity records that are too old, or have no date"
        assert report["counts"]["records"].get(old, 0) == told


def test_made_up_data_do_not_age():
    demo = declarations.load_market("demo", settings.read_settings({}))
    assert settings.parse_night(demo, None) == dt.date(2026, 6, 1)
    assert settings.parse_night(demo, "2026-03-31") == dt.date(2026, 3, 31)
    real = demo.model_copy(update={"night": None})
    today = dt.datetime.now(ZoneInfo(real.time_zone)).date()
    assert abs((settings.parse_night(real, None) - today).days) <= 1


def test_explain_site_and_set_aside(finished_hamlet, padfinder):
    first = pd.read_parquet(published(finished_hamlet) / "ranked.parquet").iloc[0]
    by_id = padfinder(finished_hamlet, "explain", first["site_id"].lower(), "-m", "hamlet")
    assert by_id.code == 0, by_id.err
    assert first["sentence"] in by_id.out
    assert "Load headroom  " in by_id.out
    assert "Screening is not engineering." in by_id.out
    by_address = padfinder(finished_hamlet, "explain", first["address"], "-m", "hamlet")
    assert by_address.out == by_id.out
    home = padfinder(finished_hamlet, "explain", "L0002", "-m", "hamlet")
    assert "Not a site. Set aside: residential use" in home.out
    nobody = padfinder(finished_hamlet, "explain", "L9999", "-m", "hamlet")
    assert nobody.code == 2
    assert "'L9999'" in nobody.err


def test_sources_tell_age_rows_licence_and_health(finished_hamlet, padfinder):
    ran = padfinder(finished_hamlet, "sources", "-m", "hamlet")
    assert ran.code == 0, ran.err
    line = next(line for line in ran.out.splitlines() if line.startswith("hamlet_parcels"))
    for word in ("parcels", "300", "2026-01-31", "2026-03-31", "none: made up"):
        assert word in line


def test_before_the_first_night(tmp_path, padfinder):
    hamlet.write(tmp_path)
    assert padfinder(tmp_path, "check").code == 0
    sources = padfinder(tmp_path, "sources", "-m", "hamlet")
    assert sources.out.count("never pulled") == 5
    explained = padfinder(tmp_path, "explain", "L0001", "-m", "hamlet")
    assert explained.code == 7
    assert "padfinder nightly --market hamlet" in explained.err
    unpublished = padfinder(tmp_path, "publish", "-m", "hamlet")
    assert unpublished.code == 7
    assert "padfinder refresh --market hamlet" in unpublished.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nightly", "-m", "hamlte"], 3, "did you mean 'hamlet'?"),
        (["nightly", "-m", "hamlet", "--plan", "defalt"], 3, "did you mean 'default'?"),
        (["nightly", "-m", "hamlet", "--night", "31.3.2026"], 3, "write it as 2026-03-31"),
        (["nightly", "--markt", "hamlet"], 2, "--markt"),
        (["nightlie"], 2, "nightlie"),
    ],
)
def test_wrong_command_lines(finished_hamlet, padfinder, arguments, code, words):
    ran = padfinder(finished_hamlet, *arguments)
    assert ran.code == code
    assert words in ran.err


def test_secret_in_settings_comes_from_the_environment(town, padfinder, monkeypatch):
    toml = town / "padfinder.toml"
    toml.write_text(toml.read_text().replace('"files"', '"${HAMLET_FILES}"'), "utf-8")
    unset = padfinder(town, "refresh", "-m", "hamlet")
    assert unset.code == 3
    assert "${HAMLET_FILES} is not in the environment" in unset.err
    monkeypatch.setenv("HAMLET_FILES", "files")
    assert padfinder(town, "refresh", "-m", "hamlet").code == 0


def test_every_command_has_an_example_that_it_takes():
    group = get_command(cli.app)
    names = set(group.commands)
    assert names == {
        "nightly",
        "refresh",
        "publish",
        "explain",
        "check",
        "sources",
        "schedule",
        "noise",
        "conformity",
        "new-market",
        "try",
    }
    for name, command in group.commands.items():
        example = (command.epilog or "").removeprefix("Example: ").split()
        assert example[:2] == ["padfinder", name]
        command.make_context(name, example[2:])  # raises for arguments that the command rejects


# ---------------------------------------------------------------------------------------------
# A source that does not answer


@pytest.fixture
def answers() -> Iterator[Callable[[list[tuple[int, bytes]]], tuple[str, list[str]]]]:
    """Serve the given answers in order on this machine, repeating the last one."""
    servers: list[ThreadingHTTPServer] = []

    def serve(replies: list[tuple[int, bytes]]) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = replies[min(len(asked), len(replies) - 1)]
                asked.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/mains.geojson", asked

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def from_the_net(town: Path, url: str) -> None:
    declared = town / "own/hamlet/sources/hamlet_mains.toml"
    text = declared.read_text("utf-8")
    declared.write_text(text.replace('path = "mains.geojson"', f'url = "{url}"'), "utf-8")
    toml = town / "padfinder.toml"
    text = toml.read_text("utf-8")
    toml.write_text(text.replace("retry_delays_s = []", "retry_delays_s = [0, 0]"), "utf-8")


def test_source_that_is_down_is_tried_again(town, padfinder, answers):
    url, asked = answers([(503, b"busy")])
    from_the_net(town, url)
    before = dict(hamlet.digests(published(town)))
    ran = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-04-01")
    assert ran.code == 5, ran.err
    assert "hamlet_mains" in ran.err
    assert len(asked) == 3
    assert dict(hamlet.digests(published(town))) == before


def test_source_that_changed_is_not_tried_again(town, padfinder, answers):
    url, asked = answers([(404, b"gone")])
    from_the_net(town, url)
    ran = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-04-01")
    assert ran.code == 6, ran.err
    assert len(asked) == 1


def test_source_that_comes_back(town, padfinder, answers):
    body = (town / "files/hamlet/mains.geojson").read_bytes()
    url, asked = answers([(503, b"busy"), (200, body)])
    from_the_net(town, url)
    ran = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-04-01")
    assert ran.code == 0, ran.err
    assert len(asked) == 2


# ---------------------------------------------------------------------------------------------
# With and without a Prefect server, in separate processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with an empty home and without the caller's Prefect settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    home.mkdir(exist_ok=True)
    return {**kept, "HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **more}


def padfinder_process(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from flows.cli import main; exit(main())", *arguments]


def test_with_no_server_and_an_empty_home(town, tmp_path):
    home = tmp_path / "home"
    done = subprocess.run(
        padfinder_process("nightly", "-m", "hamlet"),
        cwd=town,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "accounted for" in done.stdout
    assert not list(home.iterdir())
    assert "prefect" not in done.stderr.lower()


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory) -> Path:
    """Return the folder of the Prefect server, which has its database."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def prefect_server(prefect_home) -> Iterator[str]:
    """Run `prefect server start` on this machine only, and stop it after the tests."""
    port, home = free_port(), prefect_home
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "prefect", "server", "start"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        env=environment(home, PREFECT_HOME=str(home)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(240):
            assert process.poll() is None, "the server ended before it answered"
            try:
                if httpx.get(f"{address}/health", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        else:
            pytest.fail("the server did not answer within two minutes")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def list_flow_runs(server: str, state: str) -> list[dict[str, str]]:
    asked = {"flow_runs": {"state": {"type": {"any_": [state]}}}}
    runs: list[dict[str, str]] = httpx.post(f"{server}/flow_runs/filter", json=asked).json()
    return runs


def test_against_a_real_server(town, tmp_path, prefect_server):
    done = subprocess.run(
        padfinder_process("nightly", "-m", "hamlet"),
        cwd=town,
        env=environment(tmp_path / "home", PREFECT_API_URL=prefect_server),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (run,) = list_flow_runs(prefect_server, "COMPLETED")
    assert run["name"] == "nightly hamlet"
    of_run = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    tasks = httpx.post(f"{prefect_server}/task_runs/filter", json=of_run).json()
    assert sorted(task["name"] for task in tasks) == sorted(
        ["publish hamlet", *(f"pull hamlet_{layer}" for layer in hamlet.COLUMNS_OF)]
    )
    artifacts = httpx.post(f"{prefect_server}/artifacts/filter", json={}).json()
    page = next(one["data"] for one in artifacts if one["key"] == "padfinder-hamlet")
    assert "## Stale sources" in page
    assert "None; every source was pulled tonight." in page
    ranking = gpd.read_parquet(published(town) / "ranked.parquet")
    assert page.count("Mill Lane |") == min(20, len(ranking))


@pytest.mark.parametrize(("status", "code", "tries"), [(503, 5, 3), (404, 6, 1)])
def test_prefect_tries_again_only_a_source_that_is_down(
    town, padfinder, answers, prefect_server, status, code, tries
):
    # Prefect reads the environment when it is first imported.
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    url, asked = answers([(status, b"no")])
    from_the_net(town, url)
    failed = len(list_flow_runs(prefect_server, "FAILED"))
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        ran = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-04-01")
    assert ran.code == code, ran.err
    assert "hamlet_mains" in ran.err
    assert len(asked) == tries
    assert len(list_flow_runs(prefect_server, "FAILED")) == failed + 1


def test_prefects_database_holds_no_secret(
    tmp_path, padfinder, answers, prefect_home, prefect_server, monkeypatch
):
    """Neither the log of the failed tasks nor their states, parameters and artifacts."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    hamlet.write(tmp_path)
    echo = "sesame-part sesame-user sesame-pass sesame-token sesame-header"
    url, asked = answers([(200, json.dumps({"error": {"message": echo}}).encode())])
    url = url.replace("http://", "http://sesame-user:sesame-pass@").replace(
        "/mains", "/${PART}/mains"
    )
    from_the_net(tmp_path, f"{url}?token=sesame-token")
    declared = tmp_path / "own/hamlet/sources/hamlet_mains.toml"
    text = declared.read_text("utf-8")
    header = '[fetch]\nheaders = { Authorization = "Bearer ${KEY}" }\n'
    declared.write_text(text.replace("[fetch]\n", header), "utf-8")
    monkeypatch.setenv("PART", "sesame-part")
    monkeypatch.setenv("KEY", "sesame-header")
    failed = len(list_flow_runs(prefect_server, "FAILED"))
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        ran = padfinder(tmp_path, "refresh", "-m", "hamlet")
    assert ran.code == 6, ran.err
    assert asked == ["/sesame-part/mains.geojson?token=sesame-token"]
    assert len(list_flow_runs(prefect_server, "FAILED")) == failed + 1
    kept = b"".join(path.read_bytes() for path in prefect_home.rglob("*") if path.is_file())
    assert b"answers 200 with an error body" in kept
    for name in ("part", "user", "pass", "token", "header"):
        secret = f"sesame-{name}".encode()
        assert secret not in kept
        assert base64.b64encode(secret).rstrip(b"=") not in kept
        assert secret.decode() not in ran.out + ran.err


def test_schedule_serves_the_night_at_two(town, tmp_path, prefect_server):
    process = subprocess.Popen(
        padfinder_process("schedule", "-m", "hamlet"),
        cwd=town,
        env=environment(tmp_path / "home", PREFECT_API_URL=prefect_server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(120):
            assert process.poll() is None, process.communicate()
            found = httpx.post(f"{prefect_server}/deployments/filter", json={}).json()
            if found:
                break
            time.sleep(0.5)
        else:
            pytest.fail("no deployment within a minute")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert found[0]["name"] == "nightly-hamlet"
    assert found[0]["parameters"] == {"market": "hamlet"}
    schedule = found[0]["schedules"][0]["schedule"]
    assert schedule["cron"] == "0 2 * * *"
    assert schedule["timezone"] == "America/New_York"
