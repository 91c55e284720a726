"""Convert a source's rows to a layer's: every change is counted and every fault is named."""

import datetime as dt
import re

import numpy as np
import pandas as pd
import pytest
import shapely

from data.center_lines import draw_center_lines
from data.shapes import crs_bounds
from geo.errors import ConfigError, ContractError, SourceChanged

SUBSTATION = {"substation_id": {"column": "ID"}, "status": {"value": "unknown"}}
PARCEL = {
    "parcel_id": {"column": "ID"},
    "jurisdiction": {"value": "tiny"},
    "use_scheme": {"value": "s"},
    "use_code": {"column": "ID"},
}


def test_units_text_and_missing_markers(conform, make_source, make_points):
    frame = make_points(4, KVA=["40,000", "n/a", "-9999", " 5 000 "], KV=[115, 23, -9999, None])
    columns = SUBSTATION | {
        "firm_capacity_mva": {"column": "KVA", "unit": "kVA", "missing": ["n/a", -9999]},
        "voltage_kv": {"column": "KV", "unit": "kV", "missing": [-9999]},
    }
    conformed = conform(frame, make_source("substations", "s.csv", columns)).frame
    # 1000 kVA = 1 MVA
    np.testing.assert_allclose(conformed["firm_capacity_mva"], [40.0, np.nan, np.nan, 5.0])
    np.testing.assert_allclose(conformed["voltage_kv"], [115, 23, np.nan, np.nan])
    assert conformed["peak_load_mva"].isna().all()
    assert conformed["peak_load_mva"].dtype == "float64"


def test_a_marker_in_the_sources_unit_is_missing_after_conversion(
    conform, make_source, make_square, make_table
):
    frame = make_table([make_square(0, 0), make_square(30, 0)], ID=["a", "b"], FT=["-9999.0", "10"])
    source = make_source(
        "buildings", "b.gpkg", {"height_m": {"column": "FT", "unit": "ft", "missing": [-9999]}}
    )
    conformed = conform(frame, source).frame
    assert sorted(conformed["height_m"].dropna()) == [pytest.approx(10 * 0.3048)]


def test_names_of_people_are_not_quoted(conform, make_source, make_points):
    frame = make_points(4, OWNER1=["ROE JANE", "ROE JANE", "DOE JOHN", "DOE JOHN"])
    kept = conform(
        frame, make_source("substations", "s.csv", SUBSTATION, drop={"OWNER1": ["ROE JANE"]})
    )
    assert kept.notes == ("2 rows left out: by OWNER1",)
    as_owner = {"owner": {"column": "OWNER1"}}
    for wrong in (
        {"where": {"OWNER1": ["MOE MAX"]}},
        {"columns": SUBSTATION | {"owner": as_owner["owner"] | {"map": {"MOE MAX": "m"}}}},
        {"columns": SUBSTATION | {"peak_load_mva": {"column": "OWNER1", "unit": "MVA"}}},
    ):
        declared = {"columns": SUBSTATION} | wrong
        with pytest.raises((ContractError, SourceChanged)) as caught:
            conform(frame, make_source("substations", "s.csv", **declared))
        assert "OWNER1" in str(caught.value)
        assert not any(name in str(caught.value) for name in ("ROE", "DOE", "MOE"))


def test_unreadable_numbers_are_counted_or_refused(conform, make_source, make_points):
    frame = make_points(4, KVA=["1", "??", "2", "lots"])
    columns = SUBSTATION | {"firm_capacity_mva": {"column": "KVA", "unit": "kVA"}}
    with pytest.raises(ContractError) as caught:
        conform(frame, make_source("substations", "s.csv", columns))
    assert "'KVA': 2 of 4 rows are not a number, such as '??' or 'lots'" in caught.value.wrong
    lenient = make_source("substations", "s.csv", columns, expect={"unreadable_share_max": 0.5})
    conformed = conform(frame, lenient)
    assert conformed.notes == ("KVA: 2 unreadable numbers, taken as missing",)
    assert conformed.frame["firm_capacity_mva"].isna().sum() == 2


def test_codes_are_mapped_and_an_unlisted_code_is_refused(conform, make_source, make_points):
    frame = make_points(3, ST=["open", "shut", "odd"])
    status = {"column": "ST", "map": {"open": "in_service", "shut": "retired"}}
    with pytest.raises(ContractError, match="'odd' in 1 row"):
        conform(frame, make_source("substations", "s.csv", SUBSTATION | {"status": status}))
    columns = SUBSTATION | {"status": status | {"other": "unknown"}}
    conformed = conform(frame, make_source("substations", "s.csv", columns)).frame
    assert conformed["status"].tolist() == ["in_service", "retired", "unknown"]


def test_dates_whole_numbers_and_leading_zeros(conform, make_source, make_points):
    frame = make_points(3, WHEN=["03/01/2026", "", "12/31/2025"], CODE=[7.0, np.nan, 8.0])
    columns = SUBSTATION | {
        "as_of": {"column": "WHEN", "date_format": "%m/%d/%Y"},
        "name": {"column": "CODE"},
    }
    conformed = conform(frame, make_source("substations", "s.csv", columns)).frame
    assert conformed["as_of"].iloc[0] == pd.Timestamp(dt.date(2026, 3, 1))
    assert conformed["as_of"].isna().tolist() == [False, True, False]
    assert conformed["name"].iloc[0] == "7"
    with pytest.raises(ContractError, match="not a date"):
        conform(
            make_points(1, WHEN=["soon"], CODE=[1.0]), make_source("substations", "s.csv", columns)
        )


def test_where_and_drop_choose_rows_and_are_counted(conform, make_source, make_points):
    frame = make_points(
        5, TYPE=["gas", "power", "gas", None, "gas"], OLD=["n", "n", "y", "n", None]
    )
    source = make_source(
        "substations", "s.csv", SUBSTATION, where={"TYPE": ["gas"]}, drop={"OLD": ["y"]}
    )
    conformed = conform(frame, source)
    assert conformed.frame["substation_id"].tolist() == ["S0", "S4"]
    assert conformed.rows_in == 5
    assert conformed.notes == ("2 rows left out: another TYPE", "1 row left out: OLD is 'y'")
    nothing = make_source("substations", "s.csv", SUBSTATION, where={"TYPE": ["gaz"]})
    with pytest.raises(SourceChanged, match=r"\['gaz'\]; it holds \['gas', 'power'\]"):
        conform(frame, nothing)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"columns": SUBSTATION | {"name": {"column": "NAM"}}},
            r"no column 'NAM' \(nearest: 'NAME'",
        ),
        ({"where": {"TYP": ["a"]}}, "no column 'TYP'"),
        ({"drop": {"ZZZ": ["a"]}}, r"no column 'ZZZ' \(it has \['ID', 'NAME'\]\)"),
    ],
)
def test_a_column_that_the_file_lacks_is_named_with_the_nearest(
    conform, make_source, make_points, fields, message
):
    columns = fields.pop("columns", SUBSTATION)
    with pytest.raises(SourceChanged, match=message) as caught:
        conform(
            make_points(2, NAME=["a", "b"]), make_source("substations", "s.csv", columns, **fields)
        )
    assert "sources/tiny_substations.toml" in caught.value.remedy


def test_a_column_that_the_layer_lacks_is_named_with_the_nearest(conform, make_source, make_points):
    columns = SUBSTATION | {"firm_capacity_mw": {"column": "ID"}}
    with pytest.raises(ConfigError, match="did you mean 'firm_capacity_mva'"):
        conform(make_points(), make_source("substations", "s.csv", columns))


def test_no_rows_too_few_and_too_many(conform, make_source, make_points):
    with pytest.raises(SourceChanged, match=r"s\.csv is an empty layer: 0 rows"):
        conform(make_points(3).iloc[:0], make_source("substations", "s.csv", SUBSTATION))
    few = make_source("substations", "s.csv", SUBSTATION, expect={"rows_min": 4})
    with pytest.raises(SourceChanged, match="3 rows are left, at least 4"):
        conform(make_points(3), few)
    many = make_source("substations", "s.csv", SUBSTATION, expect={"rows_max": 2})
    with pytest.raises(SourceChanged, match="3 rows are left, at most 2"):
        conform(make_points(3), many)


JOIN = {
    "path": "tax.csv",
    "key": "KEY",
    "to": "ID",
    "count_as": "record_count",
    "columns": {
        "building_area_m2": {"column": "SQFT", "unit": "ft2", "fold": "sum"},
        "storeys": {"column": "FLOORS", "fold": "max"},
        "address": {"column": "WHERE"},
    },
}


def test_a_join_combines_rows_and_counts_those_without_a_match(
    conform, make_source, make_square, make_table
):
    lots = make_table(
        [make_square(0, 0), make_square(30, 0), make_square(60, 0)], ID=["a", "b", "c"]
    )
    tax = pd.DataFrame(
        {
            "KEY": ["a", "a ", "b", "z"],
            "SQFT": ["100", "50", None, "9"],
            "FLOORS": ["2", "3.5", "", "1"],
            "WHERE": [None, "1 Main St", "2 Main St", "?"],
        }
    )
    conformed = conform(lots, make_source("parcels", "p.gpkg", PARCEL, join=JOIN), joined=tax)
    frame = conformed.frame.set_index("parcel_id")
    # 1 sq ft = 0.3048^2 m2; a missing value is not zero.
    assert frame.loc["a", "building_area_m2"] == pytest.approx(150 * 0.3048**2)
    assert np.isnan(frame.loc["b", "building_area_m2"])
    assert frame.loc["a", "storeys"] == 3.5
    assert frame.loc["a", "address"] == "1 Main St"
    assert frame["record_count"].fillna(-1).to_dict() == {"a": 2, "b": 1, "c": -1}
    assert conformed.notes == (
        "1 row with several rows of tax.csv, combined into one",
        "1 row without a match in tax.csv",
        "1 row of tax.csv without a match",
    )


def test_a_joined_table_may_have_merged_cells_too(conform, make_source, make_square, make_table):
    lots = make_table([make_square(0, 0), make_square(30, 0)], ID=["a", "b"])
    tax = pd.DataFrame({"KEY": ["a", "b"], "SQFT": [None] * 2, "FLOORS": ["2", None]})
    columns = {"storeys": {"column": "FLOORS", "fill_down": True, "most": 100}}
    conformed = conform(
        lots, make_source("parcels", "p.gpkg", PARCEL, join=JOIN | {"columns": columns}), joined=tax
    )
    assert conformed.frame["storeys"].tolist() == [2, 2]
    assert conformed.notes == ("FLOORS: 1 blank filled from above",)
    wrong = JOIN | {"columns": {"address": {"column": "KEY", "fold": "sum"}}}
    with pytest.raises(ConfigError, match="address is a string and takes no fold = sum"):
        conform(lots, make_source("parcels", "p.gpkg", PARCEL, join=wrong), joined=tax)


def test_a_missing_join_key_is_named(conform, make_source, make_square, make_table):
    lots = make_table([make_square(0, 0)], ID=["a"])
    tax = pd.DataFrame({"KEYS": ["a"], "SQFT": ["1"], "FLOORS": ["1"], "WHERE": ["x"]})
    with pytest.raises(SourceChanged, match=r"no column 'KEY' \(nearest: 'KEYS'\)"):
        conform(lots, make_source("parcels", "p.gpkg", PARCEL, join=JOIN), joined=tax)


def test_a_bow_tie_becomes_its_two_triangles(conform, make_source, make_table, make_square):
    x, y = make_square(0, 0).bounds[:2]
    tie = shapely.Polygon([(x, y), (x + 10, y + 10), (x + 10, y), (x, y + 10)])
    conformed = conform(
        make_table([tie, make_square(50, 0)], ID=["a", "b"]),
        make_source("parcels", "p.gpkg", PARCEL),
    )
    assert conformed.notes == ("1 invalid ring repaired",)
    shape = conformed.frame.set_index("parcel_id").geometry["a"]
    assert shape.geom_type == "MultiPolygon"
    # Two triangles of base 10 m and height 5 m.
    assert shape.area == pytest.approx(2 * 10 * 5 / 2)


def test_a_ring_without_area_is_null_geometry(conform, make_source, make_table, make_square):
    x, y = make_square(0, 0).bounds[:2]
    flat = shapely.Polygon([(x, y), (x + 10, y), (x, y)])
    lots = make_table([flat, make_square(50, 0)], ID=["a", "b"])
    source = make_source("parcels", "p.gpkg", PARCEL, expect={"null_geometry_share_max": 0.5})
    conformed = conform(lots, source)
    assert conformed.frame.set_index("parcel_id").geometry.isna().to_dict() == {
        "a": True,
        "b": False,
    }


def test_null_geometry_beyond_the_expected_share_is_refused(
    conform, make_source, make_points, make_square, make_table
):
    lots = make_table([make_square(0, 0), None, None, make_square(60, 0)], ID=list("abcd"))
    with pytest.raises(ContractError, match="null geometry in 2 of 4 rows") as caught:
        conform(lots, make_source("parcels", "p.gpkg", PARCEL))
    assert "p.gpkg" in caught.value.doing
    half = {"null_geometry_share_max": 0.5}
    kept = conform(lots, make_source("parcels", "p.gpkg", PARCEL, expect=half))
    assert (len(kept.frame), kept.notes) == (4, ("2 rows without geometry",))
    stations = make_points(4)
    stations.loc[[0, 3], "geometry"] = None
    dropped = conform(stations, make_source("substations", "s.csv", SUBSTATION, expect=half))
    assert (len(dropped.frame), dropped.notes) == (2, ("2 rows without geometry dropped",))


def test_points_of_several_parts_are_split_and_heights_dropped(
    conform, make_source, make_table, make_point
):
    many = shapely.MultiPoint([make_point(0, 0), make_point(5, 0)])
    high = shapely.Point(*make_point(9, 0).coords[0], 30.0)
    conformed = conform(
        make_table([many, high], ID=["a", "b"]), make_source("substations", "s.csv", SUBSTATION)
    )
    assert len(conformed.frame) == 3
    assert not conformed.frame.geometry.has_z.any()
    assert conformed.notes == (
        "heights of 1 shape dropped",
        "2 rows became 3: rows of several points were split",
    )


def test_another_kind_of_shape_is_refused(conform, make_source, make_table, make_square):
    with pytest.raises(ContractError, match="1 of 1 rows are of type Polygon, not point"):
        conform(
            make_table([make_square(0, 0)], ID=["a"]),
            make_source("substations", "s.csv", SUBSTATION),
        )


@pytest.mark.parametrize(
    ("x", "y", "crs"),
    [
        (42.37, -71.1, "EPSG:4326"),  # latitude before longitude
        (762_000, 2_960_000, "EPSG:26986"),  # feet, declared as meters
        (232_000, 901_000, "EPSG:2249"),  # meters, declared as feet
        (232_000, 901_000, "EPSG:4326"),  # meters, declared as degrees
        (-71.1, 42.37, "EPSG:26986"),  # degrees, declared as meters
        (-91.8, 45.7, "EPSG:4326"),  # another state
    ],
)
def test_coordinates_outside_the_market_are_refused(conform, make_source, make_table, x, y, crs):
    frame = make_table([shapely.Point(x, y)], crs=crs, ID=["a"])
    source = make_source("substations", "s.gpkg", SUBSTATION, fetch={"crs": crs})
    with pytest.raises(ContractError, match="wrong CRS or coordinates elsewhere") as caught:
        conform(frame, source)
    for word in ("s.gpkg", crs, "EPSG:26986", "1 of 1 shapes"):
        assert word in str(caught.value)


def test_crs_bounds_are_the_area_of_use_and_a_quarter_more():
    left, bottom, right, top = crs_bounds("EPSG:26986")
    assert left < 33_000
    assert right > 330_000
    assert bottom < 777_000
    assert top > 960_000
    assert top - bottom < 400_000


def test_shuffled_rows_give_the_same_frame(conform, make_source, make_points):
    frame = make_points(6, NAME=list("ccbbaa"))
    source = make_source("substations", "s.csv", SUBSTATION | {"name": {"column": "NAME"}})
    straight = conform(frame, source).frame
    shuffled = conform(frame.sample(frac=1, random_state=4), source).frame
    pd.testing.assert_frame_equal(pd.DataFrame(straight), pd.DataFrame(shuffled))


def test_coverage_of_each_kind(conform, make_source, make_points, make_table, make_square):
    def coverage(kind, **more):
        source = make_source("substations", "s.csv", SUBSTATION, coverage={"kind": kind, **more})
        area = make_table([make_square(-100, -100, 300)]).to_crs(4326) if kind == "file" else None
        frame = make_points(3)
        frame.loc[1, "geometry"] = shapely.Point(*(np.add(frame.geometry[0].coords[0], (0, 40))))
        return conform(frame, source, area=area).coverage

    # A box of 20 m by 40 m, and a triangle of half its area.
    assert coverage("bounds").area == pytest.approx(20 * 40)
    assert coverage("hull").area == pytest.approx(20 * 40 / 2)
    assert coverage("file", path="town.geojson").area == pytest.approx(300**2, rel=1e-4)
    assert coverage("none") is None


def test_rows_with_the_same_key_go_by_shape_and_then_by_the_other_values(
    conform, make_source, make_square, make_table
):
    rng = np.random.default_rng(8)
    count = 500
    ids = pd.Series(rng.choice([*"abcdefgh", None], count), dtype="str").where(
        rng.random(count) < 0.5, [f"p{number}" for number in range(count)]
    )
    # Two squares have the same shape, and some rows are equal but for the address.
    shapes = [make_square(30 * at, 0) for at in rng.integers(0, 8, count)]
    shapes[7] = None
    frame = make_table(shapes, ID=ids, ADDRESS=rng.choice([*"xyz"], count))
    columns = PARCEL | {"use_code": {"value": "1"}, "address": {"column": "ADDRESS"}}
    source = make_source("parcels", "p.csv", columns, expect={"null_geometry_share_max": 0.1})
    rows = conform(frame, source).frame
    order = [
        # What is missing comes last.
        (name == "", name, shape is None, shape.wkb_hex if shape else "", address)
        for name, shape, address in zip(
            rows["parcel_id"].fillna(""), rows.geometry, rows["address"], strict=True
        )
    ]
    assert order == sorted(order)


MAIN = {"main_id": {"column": "ID"}}


def test_an_area_becomes_a_point_inside(conform, make_source, make_table, make_square, make_point):
    x, y = make_square(0, 0).bounds[:2]
    # The middle of a U is outside of it.
    u = shapely.box(x, y, x + 30, y + 30) - shapely.box(x + 10, y + 10, x + 20, y + 30)
    table = make_table([u, make_point(99, 0)], ID=["a", "b"])
    source = make_source("substations", "s.gpkg", SUBSTATION, shapes={"areas_as": "point"})
    conformed = conform(table, source)
    assert conformed.notes == ("1 area replaced by a point inside",)
    points = conformed.frame.set_index("substation_id").geometry
    assert u.contains(points["a"])
    assert points["b"].equals(make_point(99, 0))


@pytest.mark.parametrize("cap", ["flat", "round"])
def test_a_corridor_becomes_the_line_along_its_middle(
    conform, make_source, make_table, make_point, cap
):
    line = shapely.LineString([make_point(0, 0), make_point(200, 0), make_point(200, 150)])
    table = make_table([line.buffer(6, cap_style=cap)], ID=["a"])
    source = make_source("mains", "m.gpkg", MAIN, shapes={"areas_as": "line"})
    conformed = conform(table, source)
    (drawn,) = conformed.frame.geometry
    # It ends about half a width before each end, and cuts the bend a little.
    assert drawn.length == pytest.approx(200 + 150 - 2 * 6, abs=6)
    assert line.hausdorff_distance(drawn) < 6 + 2
    corners = shapely.points(shapely.get_coordinates(drawn))
    assert shapely.distance(corners, line).max() < 2
    (note,) = conformed.notes
    told_m = re.fullmatch(
        r"1 corridor replaced by center lines, up to (\d\.\d) m from the sides", note
    )
    assert 6 <= float(told_m[1]) < 8


def test_a_corridor_may_branch_or_run_in_a_circle():
    street = [shapely.LineString([(0, 0), (300, 0)]), shapely.LineString([(150, 0), (150, 200)])]
    ring = shapely.Point(0, 0).buffer(50).exterior
    areas = [shapely.union_all(street).buffer(5), ring.buffer(3), shapely.box(0, 0, 10, 10)]
    lines, aside_m = draw_center_lines(np.array(areas))
    assert shapely.length(lines[0]) == pytest.approx(300 + 200, abs=5 * 3)
    assert max(line.distance(shapely.Point(xy)) for line in [shapely.union_all(street)]
               for xy in shapely.get_coordinates(lines[0])) < 2.5  # fmt: skip
    # A circle of 50 m radius is 2 * pi * 50 m around.
    assert shapely.length(lines[1]) == pytest.approx(2 * np.pi * 50, rel=0.01)
    # A square is no corridor.
    assert lines[2] is None
    np.testing.assert_allclose(aside_m, [5, 3, np.nan], rtol=0.3)


def test_areas_as_lines_are_refused_where_the_layer_takes_no_lines(
    conform, make_source, make_table, make_square
):
    source = make_source("substations", "s.gpkg", SUBSTATION, shapes={"areas_as": "line"})
    with pytest.raises(ConfigError, match="layer 'substations' takes a point"):
        conform(make_table([make_square(0, 0)], ID=["a"]), source)


def test_a_declared_share_of_stray_shapes_is_left_out_and_counted(
    conform, make_source, make_table, make_square, make_point
):
    shapes = [*(make_square(30 * nth, 0) for nth in range(9)), make_point(0, 50)]
    table = make_table(shapes, ID=list("abcdefghij"))
    with pytest.raises(
        ContractError, match="1 of 10 rows are of type Point, not polygon"
    ) as caught:
        conform(table, make_source("parcels", "p.gpkg", PARCEL))
    assert "expect.stray_shapes_share_max" in str(caught.value)
    allowed = {"stray_shapes_share_max": 0.1}
    lots = conform(table, make_source("parcels", "p.gpkg", PARCEL, expect=allowed))
    # Every parcel is accounted for.
    assert lots.frame.geometry.isna().tolist() == [False] * 9 + [True]
    assert lots.notes == ("1 row of type Point, not polygon, left without geometry",)
    buildings = conform(table, make_source("buildings", "b.gpkg", {}, expect=allowed))
    assert len(buildings.frame) == 9
    assert buildings.notes == ("1 row of type Point, not polygon, dropped",)


def test_a_collection_keeps_the_parts_of_the_layers_kind(
    conform, make_source, make_table, make_square, make_point
):
    line = shapely.LineString([make_point(0, 0), make_point(50, 0)])
    mixed = shapely.GeometryCollection([line, make_point(5, 5), make_square(60, 0)])
    conformed = conform(make_table([mixed], ID=["a"]), make_source("mains", "m.gpkg", MAIN))
    assert conformed.frame.geometry[0].equals(line)
    assert conformed.notes == ("1 collection of shapes repaired: only its lines are kept",)
