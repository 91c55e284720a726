"""A town's parcels as an ArcGIS layer for tests, and the source that declares it."""

from tests.data.conftest import build_source
from tests.servers.arcgis_replay import Layer

X, Y = 232_000, 901_000
TYPES = {"OBJECTID": "id", "PIN": "str", "USE": "str", "FLOOR": "float", "UNITS": "int"}
COLUMNS = {
    "jurisdiction": {"value": "tiny"},
    "use_scheme": {"value": "s"},
    "parcel_id": {"column": "PIN"},
    "use_code": {"column": "USE"},
    "building_area_m2": {"column": "FLOOR"},
}
ROWS, PAGE = 23, 5


def square(number):
    """Return a lot of 20 m by 20 m."""
    x, y = X + 30 * (number % 500), Y + 30 * (number // 500)
    return {"rings": [[[x, y], [x, y + 20], [x + 20, y + 20], [x + 20, y], [x, y]]]}


def row(number, **more):
    """Return a row: odd object ids, so that there are gaps between them."""
    values = {
        "OBJECTID": 2 * number + 1,
        "PIN": f"P{number}",
        "USE": "101",
        "FLOOR": 10.5 * number,
        "UNITS": number,
    }
    return values | more, square(number)


def make_layer(rows=ROWS, page=PAGE, **info):
    """Return a layer of so many lots, of which a page has five."""
    types = info.pop("types", TYPES)
    return Layer([row(number) for number in range(rows)], types=types, maxRecordCount=page, **info)


def declare(layer, columns=COLUMNS, **more):
    """Declare a layer as the source `county` of parcels."""
    fetch = {"protocol": "arcgis", "path": None, "url": layer.url, "requests_per_s": 1000.0}
    fetch |= more.pop("fetch", {})
    return build_source("parcels", None, columns, id="county", fetch=fetch, **more)


def requests(layer, kind):
    """Return the parameters of all requests of a kind."""
    return [parameters for one, parameters, _ in layer.asked if one == kind]
