"""The store returns what was stored for each night, and a failure leaves it unchanged."""

import datetime as dt
import gzip
import subprocess
import sys
from pathlib import Path

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import database
from data.migrations import STEPS
from data.raw_files import keep_raw_files, plain_name
from data.snapshot import SnapshotContent, digest_content, digest_frame
from data.store import open_store
from data.values import DTYPES
from geo.catalogue import read_layers
from geo.errors import ContractError, SourceChanged, StoreError

COLUMNS = {
    "substation_id": {"column": "ID"},
    "status": {"value": "unknown"},
    "firm_capacity_mva": {"column": "MVA", "unit": "MVA"},
}
DAY = dt.timedelta(days=1)
RECORDED = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@pytest.fixture
def make_stations(make_point, make_table):
    def build(*mva):
        ids = [f"S{number}" for number in range(len(mva))]
        return make_table([make_point(n, 0) for n in range(len(mva))], ID=ids, MVA=list(mva))

    return build


def read_other_files(folder):
    """Return the bytes of every file except the database."""
    kept = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {str(path): data for path, data in kept.items() if "duckdb" not in path.name}


def test_a_source_is_stored_with_its_declaration(
    tmp_path, make_source, make_market, make_stations, pull, night
):
    make_stations(1.0, 2.0).to_parquet(tmp_path / "s.parquet")
    declared = make_source("substations", "s.parquet", COLUMNS)
    store, (pulled,) = pull(tmp_path, make_market(declared.id), declared)
    assert (pulled.source_id, pulled.changed, pulled.rows_in, pulled.rows) == (
        declared.id,
        True,
        2,
        2,
    )
    with open_store(store, read_only=True) as opened:
        frame = opened.read_layer("substations", night)
        snapshot = opened.read_snapshots().iloc[0]
    assert frame["firm_capacity_mva"].tolist() == [1.0, 2.0]
    assert frame["source_id"].tolist() == [declared.id] * 2
    assert frame.crs.to_string() == "EPSG:26986"
    assert snapshot["licence"] == "made up"
    assert snapshot["taken_on"].date() == snapshot["last_seen"].date() == night
    assert shapely.from_wkb(bytes(snapshot["coverage"])).bounds == tuple(frame.total_bounds)
    raw = store.parent / "raw" / declared.id / snapshot["raw_digest"] / "0-s.parquet.gz"
    assert gzip.decompress(raw.read_bytes()) == (tmp_path / "s.parquet").read_bytes()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | RECORDED,
            st.none() | st.floats(0, 1e9),
            st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
            st.floats(0, 1e6),
            st.floats(0, 1e6),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_stored_frame_is_read_back_unchanged(tmp_path_factory, make_source, rows):
    names, sizes, dates, x, y = zip(*rows, strict=True)
    frame = gpd.GeoDataFrame(
        {
            "substation_id": pd.Series([str(n) for n in range(len(rows))], dtype="str"),
            "name": pd.Series(names, dtype="str"),
            "owner": pd.Series([None] * len(rows), dtype="str"),
            "status": pd.Series(["unknown"] * len(rows), dtype="str"),
            "voltage_kv": pd.Series(sizes, dtype="float64"),
            "firm_capacity_mva": pd.Series([np.nan] * len(rows)),
            "peak_load_mva": pd.Series(sizes, dtype="float64"),
            "committed_load_mva": pd.Series(sizes, dtype="float64"),
            "as_of": pd.Series(pd.to_datetime(pd.Series(dates)), dtype="datetime64[us]"),
        },
        geometry=shapely.points(x, y),
        crs="EPSG:26986",
    )
    columns = read_layers()["substations"].columns
    for name in columns.keys() - set(frame.columns):
        frame[name] = pd.Series(None, index=frame.index, dtype=DTYPES[columns[name].type])
    frame = frame[[*columns, "geometry"]]
    path = tmp_path_factory.mktemp("store") / "s.duckdb"
    content = SnapshotContent(
        make_source("substations", "s.csv"), "r", "d", len(rows), "EPSG:26986", None, (), (), frame
    )
    with open_store(path) as store:
        store.put_snapshot(content, dt.date(2026, 3, 1), 0.0)
        stored = store.read_layer("substations").drop(columns="source_id")
    pd.testing.assert_frame_equal(
        pd.DataFrame(stored), pd.DataFrame(frame), check_column_type=False
    )
    assert digest_frame(stored) == digest_frame(frame)


def test_an_unchanged_source_makes_no_new_snapshot(
    tmp_path, make_source, make_market, make_stations, pull, night
):
    make_stations(1.0, 2.0).to_parquet(tmp_path / "s.parquet")
    declared = make_source("substations", "s.parquet", COLUMNS)
    store, (first,) = pull(tmp_path, make_market(declared.id), declared)
    _, (second,) = pull(tmp_path, make_market(declared.id), declared, night=night + DAY)
    assert (second.changed, second.snapshot_id, second.rows) == (False, first.snapshot_id, 2)
    assert (second.rows_in, second.notes) == (first.rows_in, first.notes)
    with open_store(store, read_only=True) as opened:
        history = opened.read_history()
    assert len(history) == 1
    assert history["taken_on"][0].date() == night
    assert history["last_seen"][0].date() == night + DAY
    # A changed declaration of the same file makes another snapshot.
    other = make_source("substations", "s.parquet", COLUMNS, licence="another")
    _, (third,) = pull(tmp_path, make_market(declared.id), other, night=night + DAY)
    assert third.changed


def test_layers_are_read_as_of_any_night(
    tmp_path, make_source, make_market, make_stations, pull, night
):
    declared = make_source("substations", "s.parquet", COLUMNS)
    for later, mva in enumerate((1.0, 5.0, 1.0)):
        make_stations(mva, 2.0).to_parquet(tmp_path / "s.parquet")
        store, (pulled,) = pull(
            tmp_path, make_market(declared.id), declared, night=night + 10 * later * DAY
        )
        assert pulled.changed
    with open_store(store, read_only=True) as opened:
        stood = [
            opened.read_layer("substations", night + after * DAY)["firm_capacity_mva"][0]
            for after in (0, 9, 10, 19, 20, 1000)
        ]
        assert stood == [1.0, 1.0, 5.0, 5.0, 1.0, 1.0]
        with pytest.raises(StoreError, match="no source of layer 'substations'"):
            opened.read_layer("substations", night - DAY)


def test_two_sources_of_a_layer_are_in_the_markets_order(
    tmp_path, make_source, make_market, make_stations, pull
):
    make_stations(1.0).to_parquet(tmp_path / "a.parquet")
    make_stations(2.0).to_parquet(tmp_path / "b.parquet")
    first_source = make_source("substations", "a.parquet", COLUMNS, id="a")
    second_source = make_source("substations", "b.parquet", COLUMNS, id="b")
    store, _ = pull(tmp_path, make_market("b", "a"), first_source, second_source)
    with open_store(store, read_only=True) as opened:
        assert opened.read_layer("substations", sources=["b", "a"])["source_id"].tolist() == [
            "b",
            "a",
        ]
        assert opened.read_layer("substations", sources=["a"])["source_id"].tolist() == ["a"]


def test_a_source_that_shrinks_keeps_its_last_snapshot(
    tmp_path, make_source, make_market, make_stations, pull, night
):
    declared = make_source("substations", "s.parquet", COLUMNS, expect={"shrink_share_max": 0.2})
    make_stations(*range(10)).to_parquet(tmp_path / "s.parquet")
    store, _ = pull(tmp_path, make_market(declared.id), declared)
    make_stations(*range(8)).to_parquet(tmp_path / "s.parquet")
    assert pull(tmp_path, make_market(declared.id), declared, night=night + DAY)[1][0].rows == 8
    before = read_other_files(store.parent)
    make_stations(*range(6)).to_parquet(tmp_path / "s.parquet")
    # 6 of 8 rows are left: a quarter is lost.
    with pytest.raises(SourceChanged, match="6 rows, 8 the last time: a loss of more than 20%"):
        pull(tmp_path, make_market(declared.id), declared, night=night + 2 * DAY)
    assert read_other_files(store.parent) == before
    with open_store(store, read_only=True) as opened:
        assert len(opened.read_layer("substations")) == 8
        assert opened.read_snapshots()["last_seen"][0].date() == night + DAY


def test_a_failure_anywhere_leaves_the_store_unchanged(
    tmp_path, make_source, make_market, make_stations, pull, night, monkeypatch
):
    declared = make_source("substations", "s.parquet", COLUMNS)
    make_stations(1.0, 2.0).to_parquet(tmp_path / "s.parquet")
    store, _ = pull(tmp_path, make_market(declared.id), declared)
    before = read_other_files(store.parent)
    make_stations(-1.0, 2.0).to_parquet(tmp_path / "s.parquet")
    with pytest.raises(ContractError, match="below 0"):
        pull(tmp_path, make_market(declared.id), declared, night=night + DAY)
    assert read_other_files(store.parent) == before

    def full(*_):
        raise duckdb.IOException("No space left on device")

    make_stations(3.0, 2.0).to_parquet(tmp_path / "s.parquet")
    monkeypatch.setattr("data.store.Store._create_rows_table", full)
    with pytest.raises(StoreError, match="No space left"):
        pull(tmp_path, make_market(declared.id), declared, night=night + DAY)
    monkeypatch.undo()
    assert read_other_files(store.parent) == before
    with open_store(store, read_only=True) as opened:
        assert len(opened.read_history()) == 1
        tables = opened.con.execute(
            "select count(*) from duckdb_tables() where database_name = 'store'"
        ).fetchone()
        # migration, snapshot, and the rows of the one snapshot.
        assert tables == (3,)


def test_a_raster_is_read_back_from_its_raw_file(tmp_path, make_source, make_market, pull, night):
    values = np.array([[1, 2, 3], [4, -9999, 6]], dtype="float32")
    with rasterio.open(
        tmp_path / "dem.tif",
        "w",
        driver="GTiff",
        height=2,
        width=3,
        count=1,
        dtype="float32",
        crs="EPSG:26986",
        nodata=-9999,
        transform=Affine(10, 0, 232_000, 0, -10, 901_000),
    ) as file:
        file.write(values, 1)
    columns = {"value": {"column": "1", "unit": "ft"}}
    declared = make_source("elevation", "dem.tif", columns, fetch={"protocol": "raster"})
    store, (pulled,) = pull(tmp_path, make_market(declared.id), declared)
    # Five of six cells have a value.
    assert (pulled.rows_in, pulled.rows) == (6, 5)
    (tmp_path / "dem.tif").unlink()
    with open_store(store, read_only=True) as opened:
        raster = opened.read_raster_layer("elevation", night)
        coverage = shapely.from_wkb(bytes(opened.read_snapshots()["coverage"][0]))
    expected = np.where(values == -9999, np.nan, values) * 0.3048
    np.testing.assert_allclose(raster.values, expected, rtol=1e-6)
    assert coverage.area == pytest.approx(30 * 20)
    with open_store(store) as opened, pytest.raises(StoreError, match="'ambient'"):
        opened.read_raster_layer("ambient", night)
    next((store.parent / "raw").rglob("*.gz")).unlink()
    with open_store(store) as opened, pytest.raises(StoreError, match="is gone"):
        opened.read_raster_layer("elevation", night)


@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_raster_is_kept_again_when_it_is_pulled(
    tmp_path, make_source, make_market, pull, night, damage
):
    values = np.arange(6, dtype="float32").reshape(2, 3)
    with rasterio.open(
        tmp_path / "dem.tif", "w", driver="GTiff", height=2, width=3, count=1, dtype="float32",
        crs="EPSG:26986", transform=Affine(10, 0, 232_000, 0, -10, 901_000),
    ) as file:  # fmt: skip
        file.write(values, 1)
    columns = {"value": {"column": "1", "unit": "m"}}
    declared = make_source("elevation", "dem.tif", columns, fetch={"protocol": "raster"})
    store, _ = pull(tmp_path, make_market(declared.id), declared)
    kept = next((store.parent / "raw").rglob("*.gz"))
    whole = kept.read_bytes()
    if damage == "gone":
        kept.unlink()
    elif damage == "cut":
        kept.write_bytes(whole[: len(whole) // 2])
    else:
        kept.write_bytes(gzip.compress(gzip.decompress(whole)[::-1]))
    with open_store(store) as opened:
        with pytest.raises(StoreError, match=r"is (damaged|gone)") as caught:
            opened.read_raster_layer("elevation", night)
        assert str(kept) in caught.value.wrong
    _, (pulled,) = pull(tmp_path, make_market(declared.id), declared, night=night + DAY)
    assert not pulled.changed
    assert kept.read_bytes() == whole
    with open_store(store) as opened:
        read = opened.read_raster_layer("elevation", night + DAY)
    np.testing.assert_array_equal(read.values, values)


def test_the_digest_changes_with_anything_stored(make_source, make_stations):
    def digest(frame, **fields):
        declared = make_source("substations", "s.csv")
        given = {"raw_digest": "r", "declaration_digest": "d", "coverage": None} | fields
        return digest_content(
            SnapshotContent(
                declared, rows_in=2, crs="EPSG:26986", notes=(), raw=(), frame=frame, **given
            )
        )

    same = digest(make_stations(1.0, 2.0))
    assert digest(make_stations(1.0, 2.0)) == same
    others = [
        digest(make_stations(1.0, 2.5)),
        digest(make_stations(1.0, np.nan)),
        digest(make_stations(1.0, 2.0).iloc[::-1]),
        digest(make_stations(1.0, 2.0), raw_digest="x"),
        digest(make_stations(1.0, 2.0), declaration_digest="x"),
        digest(make_stations(1.0, 2.0), coverage=shapely.box(0, 0, 1, 1)),
    ]
    assert len({same, *others}) == 7


def test_a_store_from_a_newer_program_is_left_alone(tmp_path):
    path = tmp_path / "s.duckdb"
    with open_store(path) as opened:
        opened.con.execute("insert into migration values (?, 'later')", [len(STEPS) + 1])
    for read_only in (False, True):
        with (
            pytest.raises(StoreError, match=f"at step {len(STEPS) + 1}") as caught,
            open_store(path, read_only=read_only),
        ):
            pass
        assert "update padfinder" in caught.value.remedy


def test_a_step_that_fails_is_not_recorded(tmp_path, monkeypatch):
    def half(con):
        con.execute("create table half (a integer)")
        con.execute("select no_such_column")

    path = tmp_path / "s.duckdb"
    with open_store(path):
        pass
    monkeypatch.setattr("data.migrations.STEPS", (*STEPS, ("half", half)))
    with pytest.raises(StoreError, match="no_such_column"), open_store(path):
        pass
    with pytest.raises(StoreError, match="run padfinder refresh"), open_store(path, read_only=True):
        pass
    monkeypatch.undo()
    with open_store(path, read_only=True) as opened:
        assert opened.con.execute("select max(step) from migration").fetchone() == (len(STEPS),)
        half_tables = opened.con.execute("select 1 from duckdb_tables() where table_name = 'half'")
        assert half_tables.fetchall() == []


def test_another_program_that_holds_the_store_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "HELD_WAIT_S", 0.3)
    path = tmp_path / "s.duckdb"
    with open_store(path):
        pass
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another program holds it") as caught:
            open_store(path).__enter__()
        other.stdin.write("\n")
        other.stdin.flush()
        other.wait(30)
    assert "wait until that program has ended" in caught.value.remedy
    with open_store(path):
        pass


def test_a_store_that_a_reader_holds_for_a_moment_is_written_afterwards(tmp_path):
    path = tmp_path / "s.duckdb"
    with open_store(path):
        pass
    code = (
        "import duckdb, sys, time; c = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print('held', flush=True); time.sleep(1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "held\n"
        with open_store(path) as store:
            assert reader.wait(30) == 0
            assert store.read_history().empty


def test_no_store_and_no_duckdb_file_are_named(tmp_path):
    with (
        pytest.raises(StoreError, match="there is no store yet"),
        open_store(tmp_path / "none.duckdb", read_only=True),
    ):
        pass
    assert not (tmp_path / "none.duckdb").exists()
    path = tmp_path / "text.duckdb"
    path.write_text("this is no database " * 100, "utf-8")
    with pytest.raises(StoreError, match=r"text\.duckdb"), open_store(path):
        pass


def test_the_same_nights_give_the_same_digests_and_raw_bytes(
    tmp_path, make_source, make_market, make_stations, pull
):
    declared = make_source("substations", "s.parquet", COLUMNS)
    seen = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        make_stations(1.0, 2.0).to_parquet(folder / "s.parquet")
        store, _ = pull(folder, make_market(declared.id), declared)
        with open_store(store, read_only=True) as opened:
            digest = opened.read_snapshots()["digest"][0]
        packed = [p.read_bytes() for p in sorted(Path(store.parent / "raw").rglob("*.gz"))]
        seen.append((digest, packed))
    assert seen[0] == seen[1]


def test_a_raw_file_that_does_not_shrink_is_kept_as_it_is(tmp_path):
    rng = np.random.default_rng(1)
    contents = {"noise.bin": rng.bytes(300_000), "text.csv": b"a,b\n" * 75_000}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    kept = tmp_path / "kept"
    assert keep_raw_files([tmp_path / name for name in contents], kept)
    sizes = {path.name: path.stat().st_size for path in kept.iterdir()}
    assert sizes["0-noise.bin.gz"] > 300_000
    assert sizes["1-text.csv.gz"] < 3_000
    for path in kept.iterdir():
        assert gzip.decompress(path.read_bytes()) == contents[plain_name(path)]
