"""Esri's JSON becomes shapes and values with nothing lost in silence."""

import json
import math

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import data.ask
from data.connection import open_connection
from data.protocols.arcgis.curves import straighten
from data.protocols.servers import PROTOCOLS
from geo.errors import ContractError, SourceChanged
from tests.data.test_arcgis_nights import NIGHT
from tests.servers.arcgis_replay import Layer, serving
from tests.servers.arcgis_town import TYPES, declare, make_layer, row

ID = {"OBJECTID": "id"}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(data.ask, "WAITS_S", (0.0, 0.0, 0.0))


def pull(layer, folder, columns=(), **more) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Pull some columns of a layer; return its rows and the notes."""
    folder.mkdir(exist_ok=True)
    declared = {f"of_{name}": {"column": name} for name in columns}
    with serving(layer), open_connection("county", requests_per_s=1000) as connection:
        source = declare(layer, declared, **more)
        pulled = PROTOCOLS["arcgis"].pull(connection, source, folder, NIGHT)
    return gpd.read_parquet(pulled.file), list(map(str, pulled.notes))


def shapes_of(geometries, folder, geometry_type="esriGeometryPolygon"):
    rows = [({"OBJECTID": number}, shape) for number, shape in enumerate(geometries, start=1)]
    frame, notes = pull(Layer(rows, types=ID, geometry_type=geometry_type), folder)
    return frame.geometry.tolist(), notes


def ring(x, y, side, *, clockwise=True):
    corners = [[x, y], [x, y + side], [x + side, y + side], [x + side, y], [x, y]]
    return corners if clockwise else corners[::-1]


# ---------------------------------------------------------------------------------------------
# Areas


@pytest.mark.parametrize("flipped", [False, True])
def test_rings_make_areas_with_holes_whichever_way_they_run(tmp_path, flipped):
    """Two areas, the first with a hole in which there is an island; in any order of rings."""
    rings = [
        ring(30, 30, 10, clockwise=not flipped),
        ring(0, 0, 100, clockwise=not flipped),
        ring(200, 0, 50, clockwise=not flipped),
        ring(20, 20, 30, clockwise=flipped),
    ]
    (shape,), _ = shapes_of([{"rings": rings}], tmp_path)
    # 100 x 100 less 30 x 30, the island of 10 x 10, and 50 x 50.
    assert shape.area == 10_000 - 900 + 100 + 2_500
    assert shape.is_valid
    assert len(shape.geoms) == 3


def test_holes_that_touch_and_areas_side_by_side(tmp_path):
    touching = {"rings": [ring(0, 0, 10), ring(0, 2, 4, clockwise=False)]}
    beside = {"rings": [ring(0, 0, 10), ring(10, 0, 10)]}
    (first, second), _ = shapes_of([touching, beside], tmp_path)
    assert (first.area, second.area) == (100 - 16, 200)


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_areas_come_back(tmp_path_factory, data):
    """Areas on a lattice, with any holes, in any order and direction of rings."""
    areas = []
    for _ in range(data.draw(st.integers(1, 4))):
        cells = data.draw(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
        areas.append(shapely.union_all([shapely.box(x, y, x + 1, y + 1) for x, y in cells]))
    geometries = []
    for area in areas:
        parts = shapely.get_parts(area)
        rings = [shapely.get_coordinates(one).tolist() for one in shapely.get_rings(parts)]
        order = data.draw(st.permutations(rings))
        turned = [one[::-1] if data.draw(st.booleans()) else one for one in order]
        geometries.append({"rings": turned})
    found, _ = shapes_of(geometries, tmp_path_factory.mktemp("areas"))
    for area, shape in zip(areas, found, strict=True):
        assert shapely.equals(area, shape), (area, shape)


def test_null_empty_and_flat_shapes(tmp_path):
    """A row without a shape stays a row; a ring that is only a line is left out and counted."""
    flat = [[0, 0], [1, 1], [0, 0]]
    geometries = [None, {}, {"rings": []}, {"rings": [flat]}, {"rings": [ring(0, 0, 2), flat]}]
    found, notes = shapes_of(geometries, tmp_path)
    assert found[:4] == [None] * 4
    assert found[4].area == 4
    assert "2 rings without an area, which is left out" in notes


def test_heights_are_left_out_and_noted(tmp_path):
    high = [[*corner, 7.0, 1.0] for corner in ring(0, 0, 2)]
    (shape,), notes = shapes_of([{"hasZ": True, "rings": [high]}], tmp_path)
    assert shape.area == 4
    assert not shape.has_z
    assert any("heights or measures" in note for note in notes)


# ---------------------------------------------------------------------------------------------
# Other shapes


def test_points_lines_and_groups(tmp_path):
    points = [{"x": 1, "y": 2}, {"x": "NaN", "y": "NaN"}, {"x": None, "y": None}]
    found, _ = shapes_of(points, tmp_path / "points", "esriGeometryPoint")
    assert found == [shapely.Point(1, 2), None, None]
    lines = [
        {"paths": [[[0, 0], [3, 4]]]},
        {"paths": [[[0, 0], [3, 4]], [[0, 0], [0, 1]]]},
        {"paths": [[[0, 0]]]},
    ]
    found, _ = shapes_of(lines, tmp_path / "lines", "esriGeometryPolyline")
    assert [None if one is None else one.length for one in found] == [5, 6, None]
    groups = [{"points": [[0, 0], [1, 1]]}, {"points": []}]
    found, _ = shapes_of(groups, tmp_path / "groups", "esriGeometryMultipoint")
    assert found == [shapely.MultiPoint([(0, 0), (1, 1)]), None]
    boxes = [{"xmin": 0, "ymin": 0, "xmax": 2, "ymax": 3}]
    found, _ = shapes_of(boxes, tmp_path / "boxes", "esriGeometryEnvelope")
    assert found[0].area == 6


def test_a_table_without_shapes(tmp_path):
    layer = make_layer(rows=3)
    table = Layer([(row(number)[0], None) for number in range(3)], types=TYPES, geometry_type=None)
    frame, _ = pull(table, tmp_path, ["PIN"])
    assert frame["PIN"].tolist() == ["P0", "P1", "P2"]
    assert frame.geometry.isna().all()
    assert {one["returnGeometry"] for kind, one, _ in table.asked if kind == "rows"} == {"false"}
    assert layer.rows.keys() == table.rows.keys()


# ---------------------------------------------------------------------------------------------
# Curves: returnTrueCurves=false is asked, and what comes nevertheless is made straight.


def test_arcs_become_short_straight_lines(tmp_path):
    half = [[0, 0], {"c": [[20, 0], [10, 10]]}, [0, 0]]
    (shape,), _ = shapes_of([{"curveRings": [half]}], tmp_path)
    # Half a circle of radius 10. A chord of 2 degrees has 1 - sin(2) / 2 radians of it too little.
    assert shape.area == pytest.approx(math.pi * 100 / 2, rel=3e-4)
    assert shape.bounds == pytest.approx((0, 0, 20, 10))
    assert shapely.distance(shape.exterior, shapely.Point(10, 10)) < 1e-9


@pytest.mark.parametrize(
    ("path", "length", "box"),
    [
        # A quarter of a circle of radius 1 around (0, 0), to the left.
        ([[1, 0], {"a": [[0, 1], [0, 0], 0, 0]}], math.pi / 2, (0, 0, 1, 1)),
        # The other three quarters, clockwise.
        ([[1, 0], {"a": [[0, 1], [0, 0], 0, 1]}], 3 * math.pi / 2, (-1, -1, 1, 1)),
        # A whole circle.
        ([[1, 0], {"a": [[1, 0], [0, 0], 0, 1]}], 2 * math.pi, (-1, -1, 1, 1)),
        ([[1, 0], {"c": [[1, 0], [-1, 0]]}], 2 * math.pi, (-1, -1, 1, 1)),
        # Half of an ellipse with the half axes 2 and 1; its length by Ramanujan's formula.
        (
            [[2, 0], {"a": [[-2, 0], [0, 0], 0, 0, 0, 2, 0.5]}],
            math.pi * (9 - math.sqrt(35)) / 2,
            (-2, 0, 2, 1),
        ),
        # A straight Bezier curve, and an arc through a point on the straight line.
        ([[0, 0], {"b": [[3, 3], [1, 1], [2, 2]]}], math.sqrt(18), (0, 0, 3, 3)),
        ([[0, 0], {"c": [[2, 0], [1, 0]]}], 2, (0, 0, 2, 0)),
    ],
)
def test_curves_have_their_length_and_extent(path, length, box):
    line = shapely.LineString(straighten(path))
    assert line.length == pytest.approx(length, rel=3e-4)
    assert line.bounds == pytest.approx(box, abs=2e-3)


def test_a_curve_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(SourceChanged, match="a shape that is not one of Esri's"):
        shapes_of([{"curveRings": [[[0, 0], {"q": [[1, 1]]}, [0, 0]]]}], tmp_path)


# ---------------------------------------------------------------------------------------------
# Values


def values_of(kind, values, folder, fields=None):
    """Pull a column of a type; the page size is 2, so that every page has its own values."""
    types = ID | {"A": kind}
    rows = [({"OBJECTID": number, "A": value}, None) for number, value in enumerate(values)]
    layer = Layer(rows, types=types, geometry_type=None, maxRecordCount=2)
    frame, notes = pull(layer, folder, ["A"], **(fields or {}))
    return list_values(frame["A"]), notes


def list_values(column):
    """Return the values of a column, None where one is missing."""
    return [
        None if is_missing else value
        for value, is_missing in zip(column.astype(object), column.isna(), strict=True)
    ]


@pytest.mark.parametrize(
    ("kind", "values", "due"),
    [
        # 2^53 + 1 has no exact decimal number of 64 bits.
        ("BigInteger", [1, None, 9_007_199_254_740_993, 3], [1, None, 9_007_199_254_740_993, 3]),
        ("Integer", [1.0, None, 2.0], [1, None, 2]),
        ("Integer", [1, 2, 2.5], [1.0, 2.0, 2.5]),
        ("Double", [1, None, "NaN", 2.5], [1.0, None, None, 2.5]),
        ("Double", [float("nan"), float("inf"), 1.0], [None, None, 1.0]),
        ("String", ["007", None, "NaN", ""], ["007", None, "NaN", ""]),
        ("String", ["a", 7], ["a", "7"]),
        ("GUID", ["{A}", None], ["{A}", None]),
        ("Date", [1_772_366_400_000, None], [1_772_366_400_000, None]),
        # Servers before 10.1 write a date as text: 2006-04-21.
        ("Date", ["4/21/2006 12:00:00 AM", None], [1_145_577_600_000, None]),
    ],
)
def test_values_keep_the_type_that_the_layer_declares(tmp_path, monkeypatch, kind, values, due):
    monkeypatch.setattr("tests.servers.arcgis_replay.pd.to_datetime", lambda values, **_: values)
    found, _ = values_of(kind, values, tmp_path)
    assert found == due
    assert [type(value) for value in found] == [type(value) for value in due]


def test_codes_become_words_where_it_is_declared(tmp_path):
    domain = {
        "type": "codedValue",
        "codedValues": [{"code": 1, "name": "House"}, {"code": 2, "name": "Shop"}],
    }
    rows = [({"OBJECTID": n, "A": code}, None) for n, code in enumerate([1, 2, None, 9, 9])]
    layer = Layer(rows, types=ID | {"A": "int"}, geometry_type=None)
    layer.info["fields"][1]["domain"] = domain
    plain, _ = pull(layer, tmp_path / "plain", ["A"])
    assert plain["A"].dropna().tolist() == [1, 2, 9, 9]
    frame, notes = pull(layer, tmp_path / "coded", ["A"], fetch={"coded": ("A",)})
    assert list_values(frame["A"]) == ["House", "Shop", None, "9", "9"]
    assert notes[-1] == "A: codes without a word of the server: '9' in 2 rows"


def test_codes_of_subtypes_become_words(tmp_path):
    rows = [({"OBJECTID": n, "KIND": n, "A": 5}, None) for n in (1, 2)]
    layer = Layer(rows, types=ID | {"KIND": "int", "A": "int"}, geometry_type=None)
    of_type = {"A": {"type": "codedValue", "codedValues": [{"code": 5, "name": "Steel"}]}}
    layer.info |= {
        "typeIdField": "KIND",
        "types": [{"id": 1, "name": "Main", "domains": of_type}, {"id": 2, "name": "Service"}],
    }
    frame, _ = pull(layer, tmp_path, ["KIND", "A"], fetch={"coded": ("KIND", "A")})
    assert frame["KIND"].tolist() == ["Main", "Service"]
    assert frame["A"].tolist() == ["Steel", "Steel"]


def test_a_column_without_words_cannot_be_coded(tmp_path):
    with pytest.raises(SourceChanged, match="has no words for the codes of the column 'USE'"):
        pull(make_layer(), tmp_path, ["USE"], fetch={"coded": ("USE",)})


def test_a_column_that_is_absent_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(SourceChanged, match=r"no column 'FLOR' \(nearest: 'FLOOR'\)"):
        pull(make_layer(), tmp_path, ["FLOR"])


def test_a_joined_layer_has_long_names(tmp_path):
    types = {"GIS.LOTS.OBJECTID": "id", "GIS.LOTS.PIN": "str"}
    rows = [({"GIS.LOTS.OBJECTID": n, "GIS.LOTS.PIN": f"P{n}"}, None) for n in range(4)]
    layer = Layer(rows, types=types, geometry_type=None, maxRecordCount=2)
    del layer.info["objectIdField"]
    frame, _ = pull(layer, tmp_path, ["GIS.LOTS.PIN"])
    assert frame["GIS.LOTS.PIN"].tolist() == ["P0", "P1", "P2", "P3"]


# ---------------------------------------------------------------------------------------------
# CRS, filter and bounds


def test_a_declared_crs_that_is_not_the_servers_is_refused(tmp_path):
    layer = make_layer()
    with pytest.raises(ContractError, match=r"set fetch\.crs to 'EPSG:26986'"):
        pull(layer, tmp_path, fetch={"crs": "EPSG:2249"})
    # After the first page.
    assert layer.counts["rows"] == 1


@pytest.mark.parametrize(
    ("reference", "declared"),
    [
        ({"wkid": 102100}, "EPSG:3857"),
        ({"wkid": 102100, "latestWkid": 3857}, "EPSG:3857"),
        ({"wkid": 102643, "latestWkid": 2227}, "EPSG:2227"),
        ({"wkid": 102697}, "ESRI:102697"),
        ({"wkid": 0}, "EPSG:2249"),
        ({"wkid": 999_999}, "EPSG:2249"),
    ],
)
def test_a_server_names_its_crs_by_a_number(tmp_path, reference, declared):
    layer = make_layer(rows=2)
    layer.reference = layer.info["extent"]["spatialReference"] = reference
    frame, _ = pull(layer, tmp_path, fetch={"crs": declared})
    assert len(frame) == 2


def test_a_filter_stays_in_its_parentheses(tmp_path):
    layer = make_layer(rows=20)
    frame, _ = pull(layer, tmp_path, ["PIN"], fetch={"filter": "UNITS < 3 OR UNITS > 17"})
    assert frame["PIN"].tolist() == ["P0", "P1", "P2", "P18", "P19"]
    for _, parameters, _ in layer.asked[1:]:
        assert parameters["where"].removeprefix("(").startswith("UNITS < 3 OR UNITS > 17")
    assert layer.asked[3][1]["where"] == (
        "(UNITS < 3 OR UNITS > 17) AND (OBJECTID >= 1 AND OBJECTID <= 39)"
    )


def test_bounds_are_asked_for_in_the_servers_crs(tmp_path):
    layer = make_layer()
    pull(layer, tmp_path, fetch={"bounds": (-71.2, 42.3, -71.0, 42.4)})
    for kind, parameters, _ in layer.asked:
        if kind == "layer":
            continue
        assert parameters["geometryType"] == "esriGeometryEnvelope"
        assert json.loads(parameters["inSR"]) == {"wkid": 26986, "latestWkid": 26986}
        west, south, east, north = map(float, parameters["geometry"].split(","))
        box = gpd.GeoSeries([shapely.box(-71.2, 42.3, -71.0, 42.4)], crs="EPSG:4326")
        due = box.to_crs("EPSG:26986").total_bounds
        assert np.allclose([west, south, east, north], due, atol=100)
