"""The same layer, from its file and from the real servers of each protocol, is the same table."""

import datetime as dt

import geopandas as gpd
import numpy as np
import pytest
import shapely

from data.store import open_store
from tests.built_in import read_sources
from tests.servers.buckets import put_objects, serving_buckets
from tests.servers.geoapi import serving_collections
from tests.servers.mapserver import serving_types

NIGHT = dt.date(2026, 3, 1)
FILE = "CDD_ZoningDistricts.geojson"


@pytest.fixture(scope="session")
def geoapi(tmp_path_factory, cambridge_files):
    folder = tmp_path_factory.mktemp("geoapi")
    with serving_collections(folder, {"zoning": (cambridge_files / FILE, "GlobalID")}) as address:
        yield {"protocol": "ogc_features", "url": f"{address}/collections/zoning"}


@pytest.fixture(scope="session")
def mapserver(tmp_path_factory, cambridge_files):
    """Yield a function that tells how to ask for a version, and the server's own limit is 100."""
    folder = tmp_path_factory.mktemp("mapserver")
    frame = gpd.read_file(cambridge_files / FILE)
    with serving_types(folder, {"zoning": (frame, "GlobalID")}, most=100) as server:
        yield lambda version: {
            "protocol": "wfs",
            "url": f"{server.address}?version={version}",
            "member": "zoning",
        }


@pytest.fixture(scope="session")
def moto(tmp_path_factory, cambridge_files):
    with serving_buckets(tmp_path_factory.mktemp("moto")) as address:
        put_objects(address, "cambridge", {FILE: (cambridge_files / FILE).read_bytes()})
        yield address


# Each server, and how its layer is asked for in a CRS. Another protocol has its place here.
WAYS = ("ogc_features", "wfs 2.0.0", "wfs 1.1.0")
CASES = [(way, crs) for way in WAYS for crs in ("EPSG:4326", "EPSG:26986")] + [("s3", "EPSG:4326")]


@pytest.fixture
def ask(request):
    """Return a function that gives the [fetch] of a way to ask for the layer."""

    def choose(way, monkeypatch):
        name, _, version = way.partition(" ")
        if name == "ogc_features":
            return request.getfixturevalue("geoapi")
        if name == "wfs":
            return request.getfixturevalue("mapserver")(version)
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("moto"))
        return {"protocol": "file", "url": f"s3://cambridge/{FILE}"}

    return choose


@pytest.fixture(scope="session")
def pull_zones(pull, make_market, cambridge_files):
    """Return a function that pulls the built-in source of Cambridge's zones in another way."""

    def read(folder, fetch):
        source = read_sources()["cambridge_zoning"]
        declared = source.fetch.model_dump() | {"path": None, "requests_per_s": 1000.0} | fetch
        source = type(source).model_validate(source.model_dump() | {"fetch": declared})
        for name in (FILE, source.coverage.path):
            (folder / name).symlink_to(cambridge_files / name)
        store, _ = pull(folder, make_market(source.id), source, night=NIGHT)
        with open_store(store, read_only=True) as opened:
            return opened.read_layer("zoning"), opened.read_snapshots().iloc[0]

    return read


@pytest.fixture(scope="session")
def in_file(tmp_path_factory, pull_zones):
    """Return the rows of the file itself, and what its snapshot says."""
    return pull_zones(tmp_path_factory.mktemp("file"), {"protocol": "file", "path": FILE})


@pytest.mark.parametrize(("way", "crs"), CASES)
def test_the_same_layer_is_the_same_table(
    ask, in_file, way, crs, pull_zones, tmp_path, monkeypatch
):
    expected, said = in_file
    rows, server_said = pull_zones(tmp_path, ask(way, monkeypatch) | {"crs": crs})
    assert len(rows) == len(expected) == 261
    # Rows of the same code stand in the order of their shapes, which differ in their last digits.
    mine, due = (_sort_zones(one) for one in (rows, expected))
    assert mine["zone_code"].tolist() == due["zone_code"].tolist()
    apart = shapely.hausdorff_distance(mine.geometry.to_numpy(), due.geometry.to_numpy())
    # MapServer writes degrees with six digits, which are 0.06 m.
    assert apart.max() < (0.15 if way.startswith("wfs") and crs == "EPSG:4326" else 0.001)
    assert server_said["rows_in"] == said["rows_in"]


def _sort_zones(frame):
    points = frame.geometry.representative_point()
    order = np.lexsort([points.y.round(), points.x.round(), frame["zone_code"].astype(str)])
    return frame.iloc[order].reset_index(drop=True)
