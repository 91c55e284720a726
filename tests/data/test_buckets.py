"""Files and rows of S3 buckets, from moto's server: Overture's layout, bounds, skip, faults."""

import datetime as dt
import io

import geopandas as gpd
import pytest
import shapely
from pydantic import ValidationError

from data.connection import open_connection
from data.protocols import s3
from data.protocols.s3_reader import answer_request
from data.store import open_store
from data.trial import run_trial
from geo.errors import ConfigError, SourceChanged, SourceDown
from tests.servers.buckets import put_objects, serving_buckets
from tests.servers.scripted import serving

NIGHT = dt.date(2026, 3, 1)
NEXT = dt.date(2026, 3, 2)
WEST, SOUTH, SIZE = -71.2, 42.3, 0.001
COLUMNS, ROWS = 40, 20
BUILDINGS = "theme=buildings/type=building"


def make_shards(release):
    """Return three Parquet objects of small squares, column by column, as Overture lays them."""
    frames = []
    for number in range(COLUMNS * ROWS):
        column, row = divmod(number, ROWS)
        x, y = WEST + column * 0.005, SOUTH + row * 0.005
        frames.append((f"b{number:04}", shapely.box(x, y, x + SIZE, y + SIZE)))
    ids, shapes = zip(*frames, strict=True)
    frame = gpd.GeoDataFrame(
        {
            "id": ids,
            "height": [None if number % 2 else 10.0 for number in range(len(ids))],
            "names": [{"primary": f"House {one}", "rules": [{"a": 1}]} for one in ids],
            "sources": [[{"dataset": "OpenStreetMap"}] for _ in ids],
        },
        geometry=list(shapes),
        crs="OGC:CRS84",
    )
    third = len(frame) // 3
    shards = {}
    for nth, start in enumerate((0, third, 2 * third)):
        stop = len(frame) if nth == 2 else start + third
        held = io.BytesIO()
        part = frame.iloc[start:stop]
        part.to_parquet(held, write_covering_bbox=True, row_group_size=ROWS)
        shards[f"release/{release}/{BUILDINGS}/part-0000{nth}.zstd.parquet"] = held.getvalue()
    return frame, shards


@pytest.fixture(scope="session")
def buckets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moto")
    with serving_buckets(folder) as address:
        _, shards = make_shards("2026-02-18.0")
        old = {f"release/2026-01-21.0/{BUILDINGS}/part-00000.zstd.parquet": b"old and not read"}
        put_objects(address, "overture", shards | old)
        put_objects(address, "files", {"zones/a.csv": b"a,b\n1,2\n", "zones/b.csv": b"a\n"})
        yield address


@pytest.fixture
def bucket(buckets, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", buckets)
    return buckets


@pytest.fixture
def buildings(make_source, make_market):
    """Return a function that makes the market and a source of buildings in a bucket."""

    def make(url=f"s3://overture/release/{{newest}}/{BUILDINGS}/*.parquet", **fetch):
        source = make_source(
            "buildings",
            None,
            {"height_m": {"column": "height", "unit": "m"}},
            fetch={"url": url, "crs": "EPSG:4326", "bounds": (-71.151, 42.349, -71.129, 42.361)}
            | fetch,
            coverage={"kind": "none"},
        )
        return make_market(source.id), source

    return make


pytestmark = pytest.mark.usefixtures("bucket")


def pull_file(source, folder, night=NIGHT):
    folder.mkdir(exist_ok=True)
    with open_connection(source.id, bytes_most=source.fetch.bytes_most) as connection:
        return s3.pull_objects(connection, source, folder, night)


def count_near(frame, bounds):
    """Return how many boxes meet bounds, by comparing every one."""
    west, south, east, north = bounds
    box = frame.bounds
    near = (box.minx <= east) & (box.maxx >= west) & (box.miny <= north) & (box.maxy >= south)
    return int(near.sum())


def test_the_rows_within_bounds_of_the_newest_release(buildings, tmp_path):
    _, source = buildings()
    pulled = pull_file(source, tmp_path / "kept")
    rows = gpd.read_parquet(pulled.file)
    frame, _ = make_shards("2026-02-18.0")
    assert len(rows) == count_near(frame, source.fetch.bounds) > 0
    assert rows["id"].is_monotonic_increasing
    # An object's values are columns of their own; lists are text.
    first = rows.iloc[0]
    assert first["names.primary"] == f"House {first['id']}"
    assert first["sources"] == '[{"dataset": "OpenStreetMap"}]'
    assert "bbox" not in rows.columns
    assert pulled.notes == ("2026-02-18.0 is the newest of 2 in overture/release/",)


def test_only_row_groups_near_the_bounds_are_read(buildings, tmp_path):
    """All of the objects together are larger than the limit."""
    _, shards = make_shards("2026-02-18.0")
    size = sum(map(len, shards.values()))
    _, source = buildings(bytes_most=size // 4)
    assert len(gpd.read_parquet(pull_file(source, tmp_path / "kept").file))
    _, source = buildings(bytes_most=size // 4, bounds=None)
    with pytest.raises(SourceChanged, match="bytes to read, more than"):
        pull_file(source, tmp_path / "all")


def test_an_unchanged_release_is_not_read_again(buildings, tmp_path, pull):
    market, source = buildings()
    _, (first,) = pull(tmp_path, market, source)
    file = next((tmp_path / "var" / "pulls").rglob("rows.parquet"))
    before = file.stat().st_mtime_ns
    _, (second,) = pull(tmp_path, market, source, night=NEXT)
    assert (first.changed, second.changed) == (True, False)
    assert file.stat().st_mtime_ns == before
    assert first.rows > 0


def test_the_same_rows_in_other_objects_give_the_same_bytes(bucket, buildings, tmp_path):
    frame, _ = make_shards("x")
    held = io.BytesIO()
    frame.iloc[::-1].to_parquet(held, write_covering_bbox=True, row_group_size=64)
    put_objects(bucket, "other", {"all.parquet": held.getvalue()})
    first = pull_file(buildings()[1], tmp_path / "a").file.read_bytes()
    _, source = buildings("s3://other/all.parquet")
    assert pull_file(source, tmp_path / "b").file.read_bytes() == first


@pytest.mark.parametrize("has_key", [True, False])
def test_one_object_is_copied_as_it_is(buildings, tmp_path, monkeypatch, has_key):
    if has_key:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sesame-id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame-secret")
    _, source = buildings("s3://files/zones/a.csv")
    file = pull_file(source, tmp_path / "kept").file
    assert (file.name, file.read_bytes()) == ("rows.csv", b"a,b\n1,2\n")


REFUSALS = {
    "s3://files/zones/c.csv": "is not there; files/zones has a.csv, b.csv",
    "s3://files/zones/*.xlsx": "stands for no object; files/zones has a.csv, b.csv",
    "s3://files/zones/*.csv": "stands for 2 objects",
    "s3://nobody/a.csv": "is not there",
    "s3://overture/release/{newest}/none/*.parquet": "stands for no object",
    "s3://overture/{newest}/a.csv": "is not there",
    "s3://overture/release/2026-01-21.0/theme=buildings/type=building/*.parquet": "is not whole",
}


@pytest.mark.parametrize("url", REFUSALS)
def test_what_is_not_there_or_not_read_is_one_sentence(buildings, check_refused, url):
    assert REFUSALS[url] in check_refused(*buildings(url), SourceChanged).wrong


def test_no_row_within_the_bounds(buildings, check_refused):
    error = check_refused(*buildings(bounds=(10, 10, 11, 11)), SourceChanged)
    assert "has no row within fetch.bounds" in error.wrong


@pytest.mark.parametrize("url", ["s3://bucket", "s3://", "s3://b/${KEY}"])
def test_what_is_no_address_of_an_object(buildings, check_refused, url):
    assert "is not the address of an object" in check_refused(*buildings(url), ConfigError).wrong


def test_an_object_that_may_not_be_read(buildings, check_refused, monkeypatch):
    body = (
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message>'
        b"</Error>"
    )
    with serving(lambda *_: (403, {"Content-Type": "application/xml"}, body)) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sesame-id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame-secret")
        error = check_refused(*buildings("s3://files/{newest}/a.csv"), SourceChanged)
    assert error.fault == "forbidden"
    assert "AWS_ACCESS_KEY_ID" in error.remedy


def test_one_byte_at_a_time_ends_at_the_deadline(buildings, check_refused, monkeypatch):
    with serving(lambda *_: (200, {"Content-Type": "application/xml"}, [b"<"] * 200)) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.address)
        market, source = buildings("s3://files/{newest}/a.csv", seconds_most=1.5)
        error = check_refused(market, source, SourceDown)
    assert "within 2 s" in error.wrong


def test_a_server_that_is_not_there(buildings, check_refused, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    error = check_refused(*buildings("s3://files/a.csv"), SourceDown)
    assert "NETWORK_CONNECTION" in error.wrong
    assert "AWS_ENDPOINT_URL" in error.remedy


def test_heights_reach_the_layer(buildings, tmp_path, pull):
    store, _ = pull(tmp_path, *buildings())
    with open_store(store, read_only=True) as opened:
        rows = opened.read_layer("buildings", sources=["tiny_buildings"])
    assert set(rows["height_m"].dropna()) == {10.0}


def test_a_bucket_of_amazon_is_asked_in_its_own_region(monkeypatch, tmp_path):
    """Amazon refuses a request to another region. Its own answer is made up here."""
    asked = []
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    def resolve(bucket):
        asked.append(bucket)
        raise OSError("curlCode: 6, Could not resolve host name")

    monkeypatch.setattr("data.protocols.s3_reader.fs.resolve_s3_region", resolve)
    answer = answer_request(
        {"address": "overture/a.csv", "bounds": None, "bytes_most": 1, "known": "",
         "folder": str(tmp_path)}
    )  # fmt: skip
    assert asked == ["overture"]
    assert "Could not resolve host name" in answer["down"]


def test_a_trial_reads_an_object(buildings, tmp_path):
    market, source = buildings()
    trial = run_trial(source, market, tmp_path, (), 5)
    assert (trial.rows_read, trial.faults) == (5, [])
    assert trial.row_count == count_near(make_shards("x")[0], source.fetch.bounds)


@pytest.mark.parametrize(
    ("fetch", "words"),
    [
        ({"protocol": "wfs", "url": "s3://files/a"}, "an s3:// address is that of a file"),
        ({"fallback_urls": ("https://example.org/a.csv",)}, "without fallback_urls"),
        ({"protocol": "ogc_features", "url": "https://a", "format": "csv"}, "format is for files"),
    ],
)
def test_what_does_not_go_together(buildings, fetch, words):
    with pytest.raises(ValidationError, match=words):
        buildings(**({"url": "s3://files/zones/a.csv"} | fetch))
