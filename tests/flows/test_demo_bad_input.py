"""Bad input in the demo town's own faulty files: shapefile, CSV and grids, at a small size."""

import hashlib
import shutil
from pathlib import Path

import pytest

from data import demo
from flows import cli
from tests.built_in import read_sources
from tests.flows import hamlet

ROOT = Path(__file__).parents[2]
PARCELS = 1_100


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a folder with one successful night of a small demo town."""
    folder = tmp_path_factory.mktemp("demo")
    demo.write_town(folder / "files/demo", PARCELS)
    declare_short_plan(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PADFINDER_FILES", "files")
        assert cli.main(["nightly", "--night", "2026-03-31"]) == 0
    return folder


def declare_short_plan(folder: Path) -> None:
    """Declare the demo market with a plan of two generators at most, so that a night is short."""
    market = folder / "own/demo"
    (market / "plans").mkdir(parents=True)
    declared = (ROOT / "data/markets/demo/market.toml").read_text("utf-8")
    (market / "market.toml").write_text(declared.replace('"default"', '"short"'), "utf-8")
    plan = (ROOT / "flows/plans/default.toml").read_text("utf-8")
    plan = plan.replace("cap = 25", "cap = 2").replace('id = "default"', 'id = "short"')
    (market / "plans/short.toml").write_text(plan, "utf-8")
    (folder / "padfinder.toml").write_text('markets = ["own"]\n', "utf-8")


@pytest.fixture
def small_demo(finished, tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "town"
    shutil.copytree(finished, folder, symlinks=True)
    monkeypatch.setenv("PADFINDER_FILES", "files")
    return folder


def digest(folder: Path) -> str:
    return hashlib.sha256(repr(list(hamlet.digests(folder))).encode()).hexdigest()


def file_of(source: str, town: Path) -> Path:
    return town / "files/demo" / str(read_sources()[source].fetch.path)


@pytest.mark.parametrize(
    "source", ["demo_parcels", "demo_substations", "demo_mains", "demo_elevation"]
)
@pytest.mark.parametrize("damage", ["missing", "cut off", "no bytes"])
def test_damaged_file(small_demo, padfinder, source, damage):
    path = file_of(source, small_demo)
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(whole[: len(whole) // 3] if damage == "cut off" else b"")
    before = digest(small_demo / "var/published/demo/default")
    ran = padfinder(small_demo, "nightly", "--night", "2026-04-01")
    assert ran.code in {3, 4, 6}, ran.err
    for word in (path.name, source, "What to do:"):
        assert word in ran.err
    assert "Traceback" not in ran.err
    assert digest(small_demo / "var/published/demo/default") == before
    assert not list((small_demo / "var/published").rglob("new-*"))
