"""A small market and sources made for one test: metres in EPSG:26986, near Cambridge."""

import datetime as dt

import geopandas as gpd
import pytest
import shapely

from data.conform import conform_table
from data.pull import refresh_source
from data.source import Source
from geo.catalogue import read_layers
from geo.contract.layer import check_layer
from geo.model import LandUse, Market, Needs, Sites

CRS = "EPSG:26986"
X, Y = 232_000.0, 901_000.0
NIGHT = dt.date(2026, 3, 1)


@pytest.fixture(scope="session")
def night():
    return NIGHT


def make_market(*sources, **fields):
    said = {
        "id": "tiny",
        "title": "Tiny",
        "crs": CRS,
        "time_zone": "America/New_York",
        "jurisdiction": "tiny",
        "plan": "default",
        "sources": sources,
    }
    return Market(**(said | fields))


@pytest.fixture(scope="session")
def market():
    return make_market


def make_source(layer, path, columns=None, **fields):
    fetch = {"protocol": "file", "path": path, "crs": CRS} | fields.pop("fetch", {})
    said = {
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
    return Source.model_validate(said | fields)


@pytest.fixture(scope="session")
def source():
    return make_source


def make_square(x, y, side=20.0, high=None):
    return shapely.box(X + x, Y + y, X + x + side, Y + y + (side if high is None else high))


@pytest.fixture(scope="session")
def square():
    return make_square


@pytest.fixture(scope="session")
def point():
    return lambda x, y: shapely.Point(X + x, Y + y)


@pytest.fixture(scope="session")
def table():
    def made(shapes, crs=CRS, **columns):
        return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)

    return made


@pytest.fixture(scope="session")
def made(market):
    """Return a function that conforms a table and holds it to its layer."""

    def done(frame, source, **more):
        layer = read_layers()[source.layer]
        got = conform_table(frame, source, layer, market(), file=source.fetch.path, **more)
        check_layer(got.frame, layer, source.id)
        return got

    return done


@pytest.fixture(scope="session")
def points(point, table):
    """Return a function that makes a table of points in a row, with ids and more columns."""

    def done(count=3, **columns):
        ids = [f"S{number}" for number in range(count)]
        return table([point(10 * n, 0) for n in range(count)], **({"ID": ids} | columns))

    return done


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
    return make_source(
        "parcels", "parcels.parquet", columns, expect={"null_geometry_share_max": 0.5}
    )


@pytest.fixture(scope="session")
def zone_source():
    return make_source("zoning", "zoning.parquet", ZONE | {"zone_code": {"column": "ZONE"}})


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
def needs():
    def made(reach_m=None, **sites):
        rules = Sites(**({"minimum_area_m2": 100.0} | sites))
        return Needs(rules, ("home", "school", "park"), reach_m or {})

    return made


@pytest.fixture(scope="session")
def pull():
    """Return a function that pulls sources into a store on one night."""

    def done(folder, market, *sources, night=NIGHT):
        store = folder / "var" / "tiny.duckdb"
        pulled = [refresh_source(one, market, folder, store, night) for one in sources]
        return store, pulled

    return done
