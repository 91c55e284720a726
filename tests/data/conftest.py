"""A small market and sources made for one test: meters in EPSG:26986, near Cambridge."""

import datetime as dt

import geopandas as gpd
import pytest
import shapely

from data.conform import conform_table
from data.pull import refresh_source
from data.source import Source
from data.store import open_store
from geo.catalogue import read_layers
from geo.contract.layer import check_layer
from geo.model import LandUse, Market, Needs, Sites

CRS = "EPSG:26986"
X, Y = 232_000.0, 901_000.0
NIGHT = dt.date(2026, 3, 1)


@pytest.fixture(scope="session")
def night():
    return NIGHT


def build_market(*sources, **fields):
    defaults = {
        "id": "tiny",
        "title": "Tiny",
        "crs": CRS,
        "time_zone": "America/New_York",
        "jurisdiction": "tiny",
        "plan": "default",
        "sources": sources,
    }
    return Market(**(defaults | fields))


@pytest.fixture(scope="session")
def make_market():
    """Return a function that makes a market of the named sources."""
    return build_market


def build_source(layer, path, columns=None, **fields):
    fetch = {"protocol": "file", "path": path, "crs": CRS} | fields.pop("fetch", {})
    defaults = {
        "id": f"tiny_{layer}",
        "layer": layer,
        "title": layer.title(),
        "publisher": "Tiny",
        "licence": "made up",
        "attribution": "Tiny",
        "redistribute": True,
        "vintage": dt.date(2026, 1, 1),
        "fetch": fetch,
        "columns": columns or {},
        "coverage": {"kind": "bounds"},
    }
    return Source.model_validate(defaults | fields)


@pytest.fixture(scope="session")
def make_source():
    """Return a function that makes a source of a layer, read from a file."""
    return build_source


def build_square(x, y, side=20.0, high=None):
    return shapely.box(X + x, Y + y, X + x + side, Y + y + (side if high is None else high))


@pytest.fixture(scope="session")
def make_square():
    """Return a function that makes a square, or a rectangle, from its lower left corner."""
    return build_square


@pytest.fixture(scope="session")
def make_point():
    """Return a function that makes a point."""
    return lambda x, y: shapely.Point(X + x, Y + y)


@pytest.fixture(scope="session")
def make_table():
    """Return a function that makes a table of shapes and columns."""

    def build(shapes, crs=CRS, **columns):
        return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)

    return build


@pytest.fixture(scope="session")
def conform(make_market):
    """Return a function that conforms a table and checks it against its layer."""

    def conform_and_check(frame, source, **more):
        layer = read_layers()[source.layer]
        conformed = conform_table(
            frame, source, layer, make_market(), file=source.fetch.path, **more
        )
        check_layer(conformed.frame, layer, source.id)
        return conformed

    return conform_and_check


@pytest.fixture(scope="session")
def make_points(make_point, make_table):
    """Return a function that makes a table of points in a row, with ids and more columns."""

    def build(count=3, **columns):
        ids = [f"S{number}" for number in range(count)]
        shapes = [make_point(10 * number, 0) for number in range(count)]
        return make_table(shapes, **({"ID": ids} | columns))

    return build


ZONE = {"jurisdiction": {"value": "tiny"}, "zone_scheme": {"value": "s"}}
PARCEL = {"jurisdiction": {"value": "tiny"}, "use_scheme": {"value": "s"}}


@pytest.fixture(scope="session")
def parcel_source():
    columns = PARCEL | {
        "parcel_id": {"column": "ID"},
        "use_code": {"column": "USE"},
        "polygon_kind": {"column": "KIND"},
        "building_area_m2": {"column": "FLOOR"},
    }
    return build_source(
        "parcels", "parcels.parquet", columns, expect={"null_geometry_share_max": 0.5}
    )


@pytest.fixture(scope="session")
def zone_source():
    return build_source("zoning", "zoning.parquet", ZONE | {"zone_code": {"column": "ZONE"}})


@pytest.fixture(scope="session")
def land_use():
    return (
        LandUse.model_validate(
            {
                "jurisdiction": "tiny",
                "scheme": "s",
                "source": "made up",
                "use": {
                    "1": {"title": "House", "class": "residential", "receptor": "home"},
                    "3": {"title": "Shop", "class": "commercial"},
                    "4": {"title": "Factory", "class": "industrial"},
                    "9": {"title": "School", "class": "exempt", "receptor": "school"},
                    "V": {"title": "Vacant", "class": "vacant"},
                    "M": {"title": "Shop and homes", "class": "mixed", "receptor": "home"},
                },
                "zone": {
                    "B": {"title": "Business", "class": "commercial"},
                    "R": {"title": "Houses", "class": "residential"},
                },
            }
        ),
    )


@pytest.fixture(scope="session")
def make_needs():
    """Return a function that makes what a plan needs: reach by layer, and rules for sites."""

    def build(reach_m=None, **sites):
        rules = Sites(**({"minimum_area_m2": 100.0} | sites))
        return Needs(rules, ("home", "school", "park"), reach_m or {})

    return build


@pytest.fixture(scope="session")
def pull():
    """Return a function that pulls sources into a store on one night."""

    def pull_sources(folder, market, *sources, night=NIGHT):
        store = folder / "var" / "tiny.duckdb"
        pulled = [refresh_source(source, market, folder, store, night) for source in sources]
        return store, pulled

    return pull_sources


# ---------------------------------------------------------------------------------------------
# Servers


@pytest.fixture
def quick(monkeypatch):
    """Let requests follow each other at once, also those that are repeated."""
    monkeypatch.setattr("data.ask.WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def make_zones(make_market):
    """Return a function that makes a market of one source of zones at a server, and the source."""

    def build(protocol, url, **fetch):
        source = build_source(
            "zoning",
            None,
            ZONE | {"zone_code": {"column": "zone"}},
            fetch={"protocol": protocol, "path": None, "url": url, "crs": "EPSG:4326"}
            | {"requests_per_s": 1000.0}
            | fetch,
        )
        return make_market(source.id), source

    return build


@pytest.fixture
def check_refused(tmp_path, pull):
    """Return a function that pulls a source and checks its refusal; it returns the error.

    The refusal is one sentence and a remedy, which name the source and show no secret, and the last
    good snapshot stays.
    """

    def check(market, source, kind, *, night=NIGHT + dt.timedelta(days=8)):
        store = tmp_path / "var" / "tiny.duckdb"
        before = None
        if store.exists():
            with open_store(store, read_only=True) as opened:
                before = opened.read_snapshots().astype("str").to_dict()
        with pytest.raises(kind) as caught:
            pull(tmp_path, market, source, night=night)
        text = str(caught.value)
        assert len(text.splitlines()) == 2, text
        assert text.splitlines()[1].startswith("  What to do: ")
        assert source.id in text
        assert "sesame" not in text
        if before is not None:
            with open_store(store, read_only=True) as opened:
                assert opened.read_snapshots().astype("str").to_dict() == before
        return caught.value

    return check
