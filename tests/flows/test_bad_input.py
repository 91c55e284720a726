"""Bad input gives a clear message and an exit code, and last night's map stays unchanged."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pytest

from data.store import open_store
from flows import cli
from geo import catalogue
from tests.flows import hamlet
from tests.flows.conftest import Ran

CONFIG, CONTRACT, CHANGED = 3, 4, 6


@dataclass(frozen=True)
class State:
    """Everything that bad input must leave unchanged."""

    published: str
    store: str
    files: frozenset[str]


def state(town: Path) -> State:
    digest = hashlib.sha256()
    for name, content in hamlet.digests(town / "var/published/hamlet/hamlet"):
        digest.update(f"{name}\0".encode() + content)
    with open_store(town / "var/store/hamlet.duckdb", read_only=True) as store:
        table = store.read_history()[["snapshot_id", "source_id", "digest", "row_count"]]
        tables = [row[0] for row in store.con.execute("show tables").fetchall()]
    kept = frozenset(
        path.relative_to(town).as_posix()
        for folder in ("published", "store")
        for path in (town / "var" / folder).rglob("*")
    )
    return State(digest.hexdigest(), table.to_csv() + str(tables), kept)


@pytest.fixture
def refused(town, padfinder) -> Callable[..., Ran]:
    """Return a check that tonight's run is refused with a message and changes nothing."""

    def check(code: int, *words: str) -> Ran:
        before = state(town)
        ran = padfinder(town, "nightly", "--market", "hamlet", "--night", "2026-04-01")
        said = " ".join(ran.err.split())
        assert ran.code == code, ran.err
        for word in (*words, "What to do:"):
            assert word in said, f"{word!r} is not in: {said}"
        assert "Traceback" not in ran.err
        assert state(town) == before
        return ran

    return check


def clear_catalogue_caches() -> None:
    """Clear the caches, so that each catalogue table is read from its file again."""
    for function in vars(catalogue).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("own/hamlet/market.toml", "title", "titel", ("'titel'", "'title'")),
        ("own/hamlet/plans/hamlet.toml", "service_m", "servise_m", ("servise_m", "'service_m'")),
        ("own/hamlet/sources/hamlet_zoning.toml", "licence", "license", ("'license'", "'licence'")),
        (
            "own/hamlet/sources/hamlet_zoning.toml",
            "zone_code",
            "zone_cod",
            ("zone_cod", "zone_code"),
        ),
        ("own/hamlet/land_use.toml", "scheme", "sceme", ("'sceme'", "'scheme'")),
        ("padfinder.toml", "markets", "market", ("'market'", "'markets'")),
    ],
)
def test_misspelt_key(town, refused, file, old, new, words):
    spoil(town / file, old, new)
    refused(CONFIG, Path(file).name, *words)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("generators.toml", "power_kw", "power_kv"),
        ("fuels.toml", "routes", "rotes"),
        ("layers.toml", "nullable", "nulable"),
        ("pipes.toml", "inlet_psig", "inlet_psi"),
        ("plants.toml", "methane_hi", "methane_high"),
        ("facts.toml", "group", "grp"),
        ("evidence.toml", "title = ", "titel = "),
        ("clearances.toml", "depth_m", "depht_m"),
        ("spectra.toml", "shape_db", "shape_bd"),
        ("noise_limits.toml", "source = ", "sourse = "),
    ],
)
def test_misspelt_key_in_the_catalogue(refused, monkeypatch, name, old, new):
    read = catalogue._text
    monkeypatch.setattr(
        catalogue,
        "_text",
        lambda file: read(file).replace(old, new, 1) if file == name else read(file),
    )
    clear_catalogue_caches()
    try:
        refused(CONFIG, name, new.removesuffix(" = "))
    finally:
        monkeypatch.undo()
        clear_catalogue_caches()


def test_broken_toml(town, refused):
    spoil(town / "own/hamlet/market.toml", "sources = [", "sources = ")
    refused(CONFIG, "hamlet/market.toml", "not valid TOML")


def test_value_out_of_range(town, refused):
    spoil(town / "own/hamlet/plans/hamlet.toml", "usable_share = 0.25", "usable_share = 1.25")
    refused(CONFIG, "hamlet.toml", "usable_share = 1.25")


def test_unknown_source_is_named_with_its_market(town, refused):
    spoil(town / "own/hamlet/market.toml", "hamlet_mains", "hamlet_manes")
    refused(CONFIG, "hamlet_manes", "hamlet_mains")


def test_missing_file(town, refused):
    (town / "files/hamlet/mains.geojson").unlink()
    refused(CONFIG, "mains.geojson", "hamlet_mains", "PADFINDER_FILES")


def test_empty_layer(town, refused):
    path = town / "files/hamlet/substations.geojson"
    document = hamlet.geojson(path)
    path.write_text(json.dumps(document | {"features": []}), "utf-8")
    refused(CHANGED, "substations.geojson", "hamlet_substations", "0 features")


def test_empty_file(town, refused):
    (town / "files/hamlet/substations.geojson").write_bytes(b"")
    refused(CHANGED, "substations.geojson", "hamlet_substations")


def test_truncated_geojson(town, refused, real_files):
    cut = (real_files / "truncated-substations.geojson").read_bytes()
    (town / "files/hamlet/substations.geojson").write_bytes(cut)
    refused(CHANGED, "substations.geojson", "hamlet_substations", "cut off")


def test_truncated_in_mid_feature(town, refused):
    path = town / "files/hamlet/parcels.geojson"
    path.write_bytes(path.read_bytes()[:-5000])
    refused(CHANGED, "parcels.geojson", "hamlet_parcels", "cut off")


def test_wrong_crs_in_the_file(town, refused):
    """The file is labeled in feet and the declaration in degrees: neither is trusted."""
    path = town / "files/hamlet/mains.geojson"
    frame = gpd.read_file(path).to_crs("EPSG:2249")
    path.unlink()
    frame.to_file(path, engine="pyogrio")
    refused(CONTRACT, "mains.geojson", "EPSG:2249", "EPSG:4326", "fetch.crs")


def test_wrong_crs_in_the_declaration(town, refused):
    """Degrees that are read as meters lie outside the market."""
    path = town / "files/hamlet/mains.geojson"
    document = hamlet.geojson(path)
    document.pop("crs", None)
    path.write_text(json.dumps(document), "utf-8")
    spoil(town / "own/hamlet/sources/hamlet_mains.toml", "EPSG:4326", "EPSG:32619")
    refused(CONTRACT, "mains.geojson", "EPSG:32619", "fetch.crs")


def test_no_crs_in_the_file(town, refused):
    """The file has meters without a CRS, and the declaration is in degrees."""
    path = town / "files/hamlet/mains.geojson"
    frame = gpd.read_file(path).to_crs(hamlet.CRS)
    document = json.loads(frame.to_json(drop_id=True))
    document.pop("crs", None)
    path.write_text(json.dumps(document), "utf-8")
    refused(CONTRACT, "mains.geojson", "hamlet_mains", "EPSG:4326", "fetch.crs")


def test_no_crs_in_the_declaration(town, refused):
    spoil(town / "own/hamlet/sources/hamlet_mains.toml", 'crs = "EPSG:4326"\n', "")
    refused(CONFIG, "hamlet_mains.toml", "'fetch.crs' is missing")


def test_market_frame_that_is_not_metric(town, refused):
    spoil(town / "own/hamlet/market.toml", "EPSG:26986", "EPSG:2249")
    refused(CONFIG, "hamlet/market.toml", "EPSG:2249", "meters")


def test_null_geometry(town, refused):
    path = town / "files/hamlet/mains.geojson"
    document = hamlet.geojson(path)
    document["features"][0]["geometry"] = None
    path.write_text(json.dumps(document), "utf-8")
    refused(CONTRACT, "mains.geojson", "hamlet_mains", "null geometry in 1 of 8")


def test_parcels_without_zoning_source(town, refused):
    spoil(town / "own/hamlet/market.toml", '"hamlet_zoning", ', "")
    refused(CONFIG, "market hamlet", "'zoning'", "add a source")


def test_parcels_without_zoning_file(town, refused):
    (town / "files/hamlet/zoning.geojson").unlink()
    refused(CONFIG, "zoning.geojson", "hamlet_zoning")


def test_column_that_went_away(town, refused):
    path = town / "files/hamlet/parcels.geojson"
    path.write_text(path.read_text("utf-8").replace('"use"', '"use_cd"'), "utf-8")
    refused(CHANGED, "parcels.geojson", "'use'", "'use_cd'")


def test_source_that_shrank(town, refused):
    path = town / "files/hamlet/parcels.geojson"
    document = hamlet.geojson(path)
    document["features"] = document["features"][:100]
    path.write_text(json.dumps(document), "utf-8")
    refused(CHANGED, "hamlet_parcels", "100 rows, 300 the last time")


def test_no_folder_of_files(town, refused):
    spoil(town / "padfinder.toml", 'files = "files"\n', "")
    refused(CONFIG, "market hamlet", "PADFINDER_FILES")


def test_every_failure_is_named(town, refused):
    """One failing source does not hide another."""
    (town / "files/hamlet/mains.geojson").unlink()
    (town / "files/hamlet/buildings.geojson").write_bytes(b"{")
    refused(CONFIG, "2 sources failed", "mains.geojson", "buildings.geojson")


def test_disk_trouble_while_writing_leaves_last_night(town, padfinder, monkeypatch):
    """Publishing writes everything and then swaps folders: a fault in between keeps last night."""
    spoil(town / "own/hamlet/plans/hamlet.toml", "target_kw = 1000", "target_kw = 1200")
    before = state(town)

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flows.publish.ranked.draw_ranked_page", full)
    ran = padfinder(town, "publish", "--market", "hamlet", "--night", "2026-04-01")
    assert ran.code == cli.UNEXPECTED
    assert "No space left on device" in ran.err
    assert state(town) == before


def test_stale_ok_publishes_with_the_last_good_snapshot(town, padfinder):
    (town / "files/hamlet/mains.geojson").write_bytes(b"{")
    refused = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-04-01")
    assert refused.code == CHANGED
    ran = padfinder(town, "nightly", "-m", "hamlet", "--night", "2026-04-01", "--stale-ok")
    assert ran.code == 0, ran.err
    assert "stale: hamlet_mains: " in ran.out
    published = json.loads((town / "var/published/hamlet/hamlet/report.json").read_text())
    run = json.loads((town / f"var/runs/hamlet/{published['run_id']}.json").read_text())
    assert run["stale"] == ["hamlet_mains"]
    said = published["first_lines"]
    assert said[0] == "Stale: hamlet_mains could not be pulled; its last good snapshot is used."
    assert padfinder(town, "sources", "-m", "hamlet").out.count("failing") == 1


def test_check_names_all_faults_at_once(town, padfinder):
    spoil(town / "own/hamlet/market.toml", "title", "titel")
    spoil(town / "own/hamlet/plans/hamlet.toml", "natural_gas", "naturel_gas")
    spoil(town / "own/hamlet/sources/hamlet_mains.toml", "inches", "inchs")
    spoil(town / "own/hamlet/sources/hamlet_zoning.toml", "licence", "license")
    ran = padfinder(town, "check")
    assert ran.code == CONFIG
    for word in ("'titel'", "naturel_gas", "'license'"):
        assert word in ran.err
