"""The declaration of each real layer is pulled from a server that has the recorded columns.

The server is our own. It has the made-up rows of test_real_markets, and is asked within the bounds
of the market.
"""

import datetime as dt
import json
from urllib.parse import urlsplit

import pandas as pd
import pytest
import shapely

import data.ask
from data.pull import refresh_source
from data.store import open_store
from flows import declarations
from tests.built_in import workspace
from tests.data.test_real_markets import CASES, list_rows, list_unseen, make_answer, market_of
from tests.servers import scripted
from tests.servers.arcgis_replay import Layer, serving

NIGHT = dt.date(2026, 12, 1)
PROTOCOLS = {source.id: source.fetch.protocol for source in list_unseen()}
ARCGIS = sorted(name for name, protocol in PROTOCOLS.items() if protocol == "arcgis")
PORTALS = sorted(name for name, protocol in PROTOCOLS.items() if protocol == "opendatasoft")
DATES = {"HC_REFESH_DATE", "changed_date_forecast"}
KINDS = {
    "Polygon": "esriGeometryPolygon",
    "LineString": "esriGeometryPolyline",
    "Point": "esriGeometryPoint",
}


def write_shape(shape):
    """Return a shape as ArcGIS writes it."""
    points = shapely.get_coordinates(shape).tolist()
    if shape.geom_type == "Point":
        return {"x": points[0][0], "y": points[0][1]}
    return {"paths" if shape.geom_type == "LineString" else "rings": [points]}


def name_type(name, values):
    """Return the type of a column as the test's server names it."""
    known = [value for value in values if value is not None]
    if name in DATES:
        return "Date"
    if all(isinstance(value, str) for value in known):
        return "str"
    return "int" if all(isinstance(value, int) for value in known) else "float"


def make_layer(source, columns, shapes, place):
    """Return a layer with the made-up answer, in the CRS that the source declares."""
    frame = make_answer(source, columns, shapes, place).normalize()
    types = {name: name_type(name, values) for name, values in columns.items()}
    rows = [
        ({"row_id": number} | {name: values[number] for name, values in columns.items()}, shape)
        for number, shape in enumerate(map(write_shape, frame))
    ]
    wkid = frame.crs.to_epsg()
    kind = KINDS[frame.iloc[0].geom_type]
    return Layer(rows, types={"row_id": "id"} | types, geometry_type=kind, wkid=wkid)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the path of one store for all sources."""
    return tmp_path_factory.mktemp("var") / "town.duckdb"


@pytest.fixture
def refresh(store, tmp_path, monkeypatch):
    """Return a function that pulls a source from an address, and compares what is stored."""
    monkeypatch.setattr(data.ask, "WAITS_S", (0.0, 0.0, 0.0))

    def run(declared, market, url):
        here = {"url": url, "fallback_urls": (), "requests_per_s": 1000.0}
        fetch = declared.fetch.model_copy(update=here)
        expect = declared.expect.model_copy(update={"rows_min": 1})
        source = declared.model_copy(update={"fetch": fetch, "expect": expect})
        refresh_source(source, market, tmp_path, store, NIGHT)
        with open_store(store) as opened:
            stored = opened.read_layer(source.layer, NIGHT, [source.id])
        expected = CASES[source.id][2]
        count = len(next(iter(expected.values())))
        wanted = pd.DataFrame(expected, dtype=object).head(count)
        assert list_rows(stored, expected) == list_rows(wanted, expected)

    return run


@pytest.mark.parametrize("source_id", ARCGIS)
def test_a_layer_is_asked_for_the_declared_columns_within_the_bounds(source_id, refresh):
    columns, shapes, _ = CASES[source_id]
    market, place = market_of(source_id)
    source = declarations.load_market_source(source_id, market, workspace())
    with serving(make_layer(source, columns, shapes, place)) as layer:
        refresh(source, market, layer.url)
    asked = [(parameters, headers) for kind, parameters, headers in layer.asked if kind == "rows"]
    for parameters, headers in asked:
        assert set(parameters["outFields"].split(",")) == {"row_id", *source.list_columns()}
        assert ("geometry" in parameters) == (source.fetch.bounds is not None)
        assert headers.items() >= source.fetch.headers.items()
    assert asked


@pytest.mark.parametrize("source_id", PORTALS)
def test_a_dataset_is_exported_within_the_bounds(source_id, refresh, monkeypatch):
    monkeypatch.setenv("CADENT_API_KEY", "sesame")
    columns, shapes, _ = CASES[source_id]
    market, place = market_of(source_id)
    source = declarations.load_market_source(source_id, market, workspace())
    rows = make_answer(source, columns, shapes, place)
    path = urlsplit(source.fetch.url).path

    def answer(asked, parameters, headers):
        assert headers.get("Authorization") == ("Apikey sesame" if source.fetch.headers else None)
        fields = [{"name": name, "type": "text"} for name in columns]
        says = {"fields": [*fields, {"name": "geo_shape", "type": "geo_shape"}]}
        if asked != path:
            assert parameters["where"].startswith("intersects(`geo_shape`, geom'POLYGON((-0.6 51.2")
            says = {"total_count": len(rows)}
        if asked == f"{path}/exports/geojson":
            says = json.loads(rows.to_json())
        return 200, {}, json.dumps(says).encode()

    with scripted.serving(answer) as portal:
        refresh(source, market, f"{portal.address}{path}")
    assert [asked for asked, *_ in portal.asked] == [
        path, f"{path}/records", f"{path}/exports/geojson"
    ]  # fmt: skip
