"""Where a source is complete: of each declared kind, in parts, with gaps, and from bad files."""

import geopandas as gpd
import pytest
import shapely

from data.coverage import close_gaps, close_slivers
from data.select import describe_sources
from geo.errors import ConfigError, ContractError, SourceChanged
from tests.data.conftest import CRS, PARCEL, X, Y, build_source

SUBSTATION = {"substation_id": {"column": "ID"}, "status": {"value": "in_service"}}
EXCLUSION = {"kind": {"value": "flood"}}


@pytest.fixture
def cover(conform, make_points, make_table):
    """Return a function that gives coverage and notes of three points and a coverage file."""

    def find(polygons, **declared):
        source = build_source(
            "substations", "s.csv", SUBSTATION,
            coverage={"kind": "file", "path": "town.geojson"} | declared,
        )  # fmt: skip
        rows = conform(make_points(3), source, area=make_table(polygons))
        return rows.coverage, rows.notes

    return find


# ---------------------------------------------------------------------------------------------
# A file of polygons


def test_slivers_between_coverage_polygons_are_closed_and_counted(cover, make_square):
    # Three squares of 100 m: 0.4 m lie between the first two, 3 m between the last two.
    squares = [make_square(x, -50, 100) for x in (-50, 50.4, 153.4)]
    area, notes = cover(squares)
    assert notes == (
        "1 gap narrower than 1 m between the coverage polygons of town.geojson closed",
        "coverage in 2 parts",
    )
    assert area.area == pytest.approx(3 * 100 * 100 + 0.4 * 100, abs=0.01)
    area, notes = cover(squares, sliver_m=5)
    assert notes == (
        "2 gaps narrower than 5 m between the coverage polygons of town.geojson closed",
    )
    assert area.area == pytest.approx(3 * 100 * 100 + 3.4 * 100, abs=0.01)
    area, notes = cover(squares, sliver_m=0)
    assert notes == ("coverage in 3 parts",)
    assert area.area == pytest.approx(3 * 100 * 100)


@pytest.mark.parametrize("gap_m", [1e-6, 1e-3, 0.02, 0.99])
def test_no_gap_is_too_narrow_to_be_closed(gap_m):
    halves = shapely.union_all([shapely.box(0, 0, 50, 100), shapely.box(50 + gap_m, 0, 100, 100)])
    assert len(shapely.get_parts(halves)) == 2
    closed, gaps = close_slivers(halves, 1.0)
    assert gaps == 1
    assert closed.geom_type == "Polygon"
    assert shapely.symmetric_difference(closed, shapely.box(0, 0, 100, 100)).area < 1e-4


def test_a_wide_gap_and_a_ragged_edge_stay_as_they_are():
    ragged = shapely.Point(0, 0).buffer(1_000, quad_segs=200)
    ring = shapely.union(
        ragged.difference(shapely.Point(0, 0).buffer(300)), shapely.box(0, 0, 9, 9)
    )
    for area in (
        ragged,
        ring,
        shapely.MultiPolygon([shapely.box(0, 0, 9, 9), shapely.box(10.1, 0, 19, 9)]),
    ):
        closed, gaps = close_slivers(area, 1.0)
        assert gaps == 0
        assert closed is area


def test_parts_and_holes_are_reported_with_their_area(cover, make_square):
    whole = make_square(-2_000, -2_000, 4_000)
    lake = make_square(500, 500, 1_000, 1_200)
    area, notes = cover([whole.difference(lake), make_square(9_000, 0, 100)])
    # 1,000 m by 1,200 m are 120 ha; an acre is 4046.86 m2.
    assert notes == ("coverage in 2 parts with 1 hole of 297 acres (120 ha)",)
    assert area.area == pytest.approx(4_000**2 - 1_000 * 1_200 + 100**2)


def test_invalid_coverage_polygons_are_repaired_and_counted(cover):
    # Both rings of the bow tie count, 2 x 100 x 100 / 2 m2.
    bow_tie = shapely.Polygon(
        [(X - 1, Y - 1), (X + 199, Y + 99), (X + 199, Y - 1), (X - 1, Y + 99)]
    )
    area, notes = cover([bow_tie])
    assert "1 invalid polygon of the coverage in town.geojson repaired" in notes
    assert area.area == pytest.approx(100 * 100)


def test_a_coverage_file_without_polygons_is_refused(cover, make_square, make_point):
    line = make_square(0, 0).exterior
    for shapes, has in (
        ([line, make_point(0, 0)], "LinearRing, Point"),
        ([None], "no shape"),
        ([], "no shape"),
    ):
        with pytest.raises(ContractError, match="has no polygon") as caught:
            cover(shapes)
        for word in ("town.geojson", "tiny_substations", has):
            assert word in str(caught.value)
    area, notes = cover([make_square(-50, -50, 100), make_point(0, 0)])
    assert "1 shape of town.geojson left out of the coverage: not a polygon" in notes
    assert area.area == pytest.approx(100 * 100)


@pytest.mark.parametrize("text", ['{"type": "FeatureCollection", "features": []}', ""])
def test_an_empty_coverage_file_is_refused(tmp_path, pull, make_market, make_points, text):
    make_points(3).to_parquet(tmp_path / "s.parquet")
    (tmp_path / "town.geojson").write_text(text)
    source = build_source(
        "substations", "s.parquet", SUBSTATION, coverage={"kind": "file", "path": "town.geojson"}
    )
    with pytest.raises((ContractError, SourceChanged), match=r"town\.geojson"):
        pull(tmp_path, make_market(source.id), source)
    assert not (tmp_path / "var" / "tiny.duckdb").exists()


def test_a_coverage_elsewhere_is_noted_and_for_parcels_refused(
    cover, conform, make_square, make_table
):
    elsewhere = make_square(5_000, 5_000)
    _, notes = cover([elsewhere])
    assert notes == ("none of its rows lies inside its coverage: check town.geojson and its CRS",)
    columns = PARCEL | {"parcel_id": {"column": "ID"}, "use_code": {"value": "1"}}
    source = build_source(
        "parcels", "p.csv", columns, coverage={"kind": "file", "path": "town.geojson"}
    )
    with pytest.raises(ContractError, match="none of its 1 parcels touches") as caught:
        conform(make_table([make_square(0, 0)], ID=["a"]), source, area=make_table([elsewhere]))
    assert "coverage.crs" in str(caught.value)


# ---------------------------------------------------------------------------------------------
# The source's own shapes


def test_own_shapes_closed_over_a_distance(conform, make_square, make_table):
    # Two blocks of 40 m on either side of a street of 12 m, and a third 100 m beyond.
    blocks = make_table([make_square(x, 0, 40) for x in (0, 52, 192)])

    def area(**declared):
        source = build_source("exclusions", "e.csv", EXCLUSION, coverage=declared)
        return conform(blocks, source).coverage.area

    assert area(kind="closed", closed_m=15) == pytest.approx(3 * 40 * 40 + 12 * 40, abs=0.1)
    assert area(kind="closed", closed_m=10) == pytest.approx(3 * 40 * 40, abs=0.1)
    assert area(kind="closed", closed_m=120) == pytest.approx(40 * 232, abs=0.1)


def test_closing_never_loses_a_shape():
    stars = [shapely.Point(37 * n, 5 * (n % 3)).buffer(20, quad_segs=1 + n % 4) for n in range(40)]
    for width_m in (0.5, 7.0, 60.0):
        closed = close_gaps(stars, width_m)
        assert all(shapely.difference(star, closed).area < 1e-6 for star in stars)


def test_parcels_are_their_own_outline(conform, make_square, make_table):
    columns = PARCEL | {"parcel_id": {"column": "ID"}, "use_code": {"value": "1"}}
    source = build_source("parcels", "p.csv", columns, coverage={"kind": "parcels"})
    lots = make_table([make_square(x, 0, 40) for x in (0, 90, 200)], ID=["a", "b", "c"])
    rows = conform(lots, source)
    # Streets up to 60 m wide are covered: the first of 50 m, not the second of 70 m.
    assert rows.coverage.area == pytest.approx(3 * 40 * 40 + 50 * 40, abs=0.1)
    assert rows.notes == ("coverage in 2 parts",)


def test_points_that_enclose_nothing_are_no_coverage(conform, make_points):
    source = build_source(
        "substations", "s.csv", SUBSTATION, coverage={"kind": "closed", "closed_m": 30}
    )
    with pytest.raises(ContractError, match="3 shapes, closed over 30 m, enclose no area"):
        conform(make_points(3), source)


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        ({"kind": "closed"}, "needs closed_m"),
        ({"kind": "file", "path": "a", "closed_m": 5}, "applies to the kinds"),
        ({"kind": "closed", "closed_m": 0}, "greater than 0"),
        ({"kind": "bounds", "sliver_m": -1}, "greater than or equal to 0"),
        ({"kind": "outline"}, "'bounds', 'hull', 'closed', 'parcels', 'file' or 'none'"),
    ],
)
def test_a_wrong_declaration_is_refused(declared, wrong):
    with pytest.raises(ValueError, match=wrong):
        build_source("exclusions", "e.csv", EXCLUSION, coverage=declared)


def test_a_kind_that_the_layer_does_not_have_is_refused(
    conform, make_square, make_table, make_points
):
    table = make_table([make_square(0, 0)])
    source = build_source(
        "exclusions", "e.csv", EXCLUSION, coverage={"kind": "none", "kinds": ["floods"]}
    )
    with pytest.raises(ConfigError, match="names 'floods', which is no kind") as caught:
        conform(table, source)
    assert "flood, wetland, open_space, easement, rail" in str(caught.value)
    source = build_source(
        "substations", "s.csv", SUBSTATION, coverage={"kind": "none", "kinds": ["flood"]}
    )
    with pytest.raises(ConfigError, match=r"delete coverage\.kinds"):
        conform(make_points(1), source)


def test_the_box_around_a_few_rows_is_noted(tmp_path, pull, make_market, make_points, night):
    for count, noted in ((9, True), (10, False)):
        folder = tmp_path / str(count)
        folder.mkdir()
        make_points(count).to_parquet(folder / "s.parquet")
        source = build_source("substations", "s.parquet", SUBSTATION)
        market = make_market(source.id)
        store, _ = pull(folder, market, source)
        (line,) = describe_sources(store, market, night)
        assert any("only the box around 9 rows" in note for note in line.notes) == noted


def test_rows_that_are_there_twice_are_counted(conform, make_points, make_square, make_table):
    table = make_points(4)
    table = gpd.GeoDataFrame(table.iloc[[0, 1, 1, 2, 3, 3, 3]], crs=CRS)
    rows = conform(table, build_source("substations", "s.csv", SUBSTATION))
    assert rows.notes == ("3 rows that repeat an earlier row (same id, same place)",)
    # A layer without an id: same in every column, however the outline is drawn.
    square = make_square(0, 0)
    shapes = [square, shapely.reverse(square), make_square(90, 0), square]
    rows = conform(
        make_table(shapes, NAME=["a", "a", "a", "b"]),
        build_source("exclusions", "e.csv", EXCLUSION | {"name": {"column": "NAME"}}),
    )
    assert rows.notes == ("1 row that repeats an earlier row (the same in every column)",)
