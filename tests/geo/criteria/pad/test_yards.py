import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from geo.criteria.pad import yards

CRS = "EPSG:26986"
LOT = shapely.box(0, 0, 20, 30)


def town(*rows):
    """Return lots from (shape, kind, use class, site)."""
    shapes, kinds, uses, sites = zip(*rows, strict=True) if rows else ((), (), (), ())
    return gpd.GeoDataFrame(
        {
            "lot_id": [str(number) for number in range(len(rows))],
            "kind": np.array(kinds, dtype=object),
            "use_class": np.array(uses, dtype=object),
            "site_id": np.array(sites, dtype=object),
        },
        geometry=list(shapes),
        crs=CRS,
    )


def lot(shape, use="commercial", site=None):
    return (shape, "lot", use, site)


def lines(parcel, lots, known=True):
    return yards.classify_lot_lines(
        np.array([parcel], dtype=object), np.array(["a"], dtype=object), lots, np.array([known])
    )


def facing(found):
    """Return each edge's yard, keyed by the direction from (10, 15) to the edge's middle."""
    middle = (found.begin + found.end) / 2 - (10, 15)
    name = np.where(
        np.abs(middle[:, 0]) / 20 > np.abs(middle[:, 1]) / 30,
        np.where(middle[:, 0] > 0, "east", "west"),
        np.where(middle[:, 1] > 0, "north", "south"),
    )
    return dict(zip(name.tolist(), found.yard.tolist(), strict=True))


WEST, EAST = shapely.box(-20, 0, 0, 30), shapely.box(20, 0, 40, 30)
NORTH, SOUTH = shapely.box(-20, 30, 40, 60), shapely.box(-20, -12, 40, 0)
OWN = lot(LOT, "industrial", "a")
MIDDLE = {"south": "front", "north": "rear", "east": "side", "west": "side"}


def test_a_lot_between_lots_fronts_on_the_gap():
    found = lines(LOT, town(OWN, lot(WEST), lot(EAST), lot(NORTH)))
    assert facing(found) == MIDDLE
    assert found.length_m.sum() == 100
    assert not found.abuts_home.any()
    assert found.of.tolist() == [0] * 4


def test_a_drawn_street_is_a_front_and_a_gap_with_a_kink_of_land_is_not():
    street = (SOUTH, "street", None, None)
    assert facing(lines(LOT, town(OWN, lot(WEST), lot(EAST), lot(NORTH), street))) == MIDDLE
    # A neighbor's corner 0.5 m away covers 4 of the 20 m. With a drawn street, it is still a front.
    kink = lot(shapely.box(16, -9, 40, -0.5))
    drawn = shapely.difference(SOUTH, kink[0]), "street", None, None
    assert facing(lines(LOT, town(OWN, lot(WEST), lot(NORTH), kink, drawn)))["south"] == "front"
    # Without a drawn street, the gap beside the neighbor's land does not count as a street.
    assert facing(lines(LOT, town(OWN, lot(WEST), lot(NORTH), kink)))["south"] != "front"


def test_more_than_half_has_to_be_open():
    street = (SOUTH, "street", None, None)
    for taken, yard in ((9.9, "front"), (10.0, "rear"), (10.1, "rear")):
        before = lot(shapely.box(0, -12, taken, 0))
        found = facing(lines(LOT, town(OWN, lot(WEST), lot(EAST), before, street)))
        assert (found["south"], found["north"]) == (yard, "front")


def test_land_counts_up_to_a_metre_off():
    for gap, yard in ((0.02, "rear"), (0.9, "rear"), (1.0, "rear"), (1.1, "front")):
        north = lot(translate(NORTH, 0, gap))
        assert facing(lines(LOT, town(OWN, lot(WEST), lot(EAST), north)))["north"] == yard


def test_a_neighbor_drawn_across_the_line_is_still_a_neighbor():
    over = [lot(translate(WEST, 0.3)), lot(translate(EAST, -4)), lot(translate(NORTH, 0, -0.3))]
    assert facing(lines(LOT, town(OWN, *over))) == MIDDLE


def test_a_lot_stacked_on_the_site_hides_no_front():
    stacked = lot(LOT)
    assert facing(lines(LOT, town(OWN, stacked, lot(WEST), lot(EAST), lot(NORTH)))) == MIDDLE


def test_a_corner_lot_has_two_fronts_and_a_lot_between_streets_no_rear():
    corner = facing(lines(LOT, town(OWN, lot(WEST), lot(NORTH))))
    # The eastern front is the longer one, so the side opposite it, the west, is the rear.
    assert corner == {"south": "front", "east": "front", "north": "side", "west": "rear"}
    through = facing(lines(LOT, town(OWN, lot(WEST), lot(EAST))))
    assert through == {"south": "front", "north": "front", "east": "side", "west": "side"}


def test_rail_and_water_are_beside_whatever_way_they_lie():
    for kind in ("rail", "water"):
        found = lines(LOT, town(OWN, lot(WEST), lot(EAST), (NORTH, kind, None, None)))
        assert facing(found)["north"] == "side"
    # The site's own railroad siding is neither a neighbor nor a street.
    own = lines(LOT, town(OWN, lot(WEST), lot(EAST), (NORTH, "rail", None, "a")))
    assert facing(own)["north"] == "rear"


def test_a_home_beside_is_marked_and_the_sites_own_is_not():
    found = lines(
        LOT,
        town(OWN, lot(WEST, "residential"), lot(EAST, "residential", "a"), lot(NORTH, "mixed")),
    )
    assert facing(found)["west"] == "side"
    # Only the west edge is marked: x is 0 at both ends.
    beside = found.begin[found.abuts_home], found.end[found.abuts_home]
    assert [side[:, 0].tolist() for side in beside] == [[0.0], [0.0]]


def test_a_home_counts_from_a_metre_of_line_on():
    for long, beside in ((0.9, False), (1.1, True)):
        home = lot(shapely.box(20, 10, 40, 10 + long), "residential")
        assert lines(LOT, town(OWN, home)).abuts_home.any() == beside
    # An edge of half a meter counts if all of it adjoins the home.
    short = shapely.Polygon([(0, 0), (20, 0), (20, 10), (20, 10.5), (20, 30), (0, 30)])
    home = lot(shapely.box(20, 10, 40, 10.5), "residential")
    found = lines(short, town(OWN, home))
    assert found.length_m[found.abuts_home].tolist() == [0.5]


def test_nothing_is_said_where_nothing_is_known():
    around = town(OWN, lot(WEST, "residential"), lot(EAST), lot(NORTH))
    unmapped = lines(LOT, around, known=False)
    assert set(unmapped.yard) == {"unknown"}
    assert unmapped.abuts_home.sum() == 1
    without = lines(LOT, None)
    assert set(without.yard) == {"unknown"}
    assert not without.abuts_home.any()
    assert yards.select_street_lines(unmapped, 1).tolist() == [None]
    landlocked = lines(LOT, town(OWN, lot(WEST), lot(EAST), lot(NORTH), lot(SOUTH)))
    assert set(landlocked.yard) == {"unknown"}
    assert yards.select_street_lines(landlocked, 1)[0].is_empty


def test_an_edge_towards_a_hole_is_beside():
    hole = shapely.box(5, 10, 15, 20)
    found = lines(LOT.difference(hole), town(OWN, lot(hole, "residential"), lot(NORTH)))
    inner = np.isin(found.begin[:, 0], (5, 15))
    assert found.yard[inner].tolist() == ["side"] * 4
    assert found.abuts_home[inner].all()


def test_two_parts_of_a_site_are_no_street_to_each_other():
    parts = [shapely.box(0, 0, 20, 15), shapely.box(0, 15.5, 20, 30)]
    own = [lot(part, "industrial", "a") for part in parts]
    found = lines(shapely.MultiPolygon(parts), town(*own, lot(WEST), lot(EAST), lot(NORTH)))
    between = (found.begin[:, 1] == found.end[:, 1]) & np.isin(found.begin[:, 1], (15, 15.5))
    # The southern part's edge is opposite the front. The northern part's edge faces the same way as
    # the front.
    assert found.yard[between].tolist() == ["rear", "side"]
    assert found.yard.tolist().count("front") == 1


def test_the_street_side_is_the_fronts():
    found = yards.classify_lot_lines(
        np.array([LOT, shapely.Polygon(), translate(LOT, 500)], dtype=object),
        np.array(["a", "b", "c"], dtype=object),
        town(OWN, lot(WEST), lot(NORTH)),
        np.array([True, True, False]),
    )
    sides = yards.select_street_lines(found, 3)
    assert sides[0].length == 50
    assert sides[1].is_empty
    assert sides[2] is None


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 360), st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_turning_and_moving_changes_no_yard_and_no_ground(degrees, east, north):
    def moved(shape):
        return translate(rotate(shape, degrees, origin=(0, 0)), east, north)

    ell = shapely.Polygon([(0, 0), (20, 0), (20, 12), (8, 12), (8, 30), (0, 30)])
    rows = [
        (ell, "lot", None, "a"),
        lot(WEST, "residential"),
        lot(NORTH),
        lot(shapely.box(8, 12, 40, 30)),
    ]
    before = lines(ell, town(*rows))
    after = lines(moved(ell), town(*((moved(row[0]), *row[1:]) for row in rows)))
    # Turning does not change where a ring begins, so the edges stay in order.
    assert after.yard.tolist() == before.yard.tolist()
    assert after.abuts_home.tolist() == before.abuts_home.tolist()
    depth = np.where(before.yard == "front", 4.0, 2.0)
    still = yards.cut_yards(np.array([ell]), before, depth)[0]
    turned = yards.cut_yards(np.array([moved(ell)]), after, depth)[0]
    assert moved(still).symmetric_difference(turned).area == pytest.approx(0, abs=1e-4)


def test_three_meters_everywhere_leave_fourteen_by_twenty_four():
    found = lines(LOT, None)
    left = yards.cut_yards(np.array([LOT]), found, np.full(4, 3.0))[0]
    assert left.equals(shapely.box(3, 3, 17, 27))


def test_each_edge_has_its_own_depth():
    found = lines(LOT, town(OWN, lot(WEST), lot(EAST), lot(NORTH)))
    depth = {"front": 6.0, "side": 2.0, "rear": 4.0}
    left = yards.cut_yards(np.array([LOT]), found, np.array([depth[name] for name in found.yard]))[
        0
    ]
    assert left.equals(shapely.box(2, 6, 18, 26))
    front = np.where(found.yard == "front", 6.0, 0.0)
    assert yards.cut_yards(np.array([LOT]), found, front)[0].equals(shapely.box(0, 6, 20, 30))
    assert yards.cut_yards(np.array([LOT]), found, np.zeros(4))[0].equals(LOT)
    assert yards.cut_yards(np.array([LOT]), found, np.full(4, 10.0))[0].is_empty


@pytest.mark.parametrize("depth", [-1.0, np.nan])
def test_a_depth_that_is_no_distance_is_refused(depth):
    with pytest.raises(ValueError, match="0 or more"):
        yards.cut_yards(np.array([LOT]), lines(LOT, None), np.full(4, depth))


@st.composite
def stars(draw):
    """Return a parcel of 3 to 12 corners around (0, 0), 5 m away or more, sometimes with a hole."""
    angles = draw(st.lists(st.integers(0, 71), min_size=3, max_size=12, unique=True))
    reach = draw(st.lists(st.integers(5, 40), min_size=len(angles), max_size=len(angles)))
    turned = np.radians(np.array(sorted(angles)) * 5.0)
    shape = shapely.Polygon(np.column_stack((np.cos(turned), np.sin(turned))) * np.c_[reach])
    assume(shape.is_valid)
    if draw(st.booleans()):
        shape = shape.difference(shapely.box(-2, -1, 1, 2))
    return shape


@settings(max_examples=150, deadline=None)
@given(
    stars(),
    st.lists(st.floats(0, 12, allow_subnormal=False), min_size=40, max_size=40),
    st.floats(0, 5),
)
def test_an_inset_lies_inside_and_only_shrinks(parcel, depths, more):
    found = lines(parcel, None)
    depth = np.array(depths)[: len(found.of)]
    first, second = (
        yards.cut_yards(np.array([parcel], dtype=object), found, one)[0]
        for one in (depth, depth + more)
    )
    assert first.difference(shapely.make_valid(parcel).buffer(1e-6)).area < 1e-6
    assert second.difference(first.buffer(1e-6)).area < 1e-6
    one = depths[0] if depths[0] > 1e-6 else 0.0
    even = yards.cut_yards(np.array([parcel], dtype=object), found, np.full(len(found.of), one))[0]
    assert even.difference(shapely.buffer(parcel, -one).buffer(1e-6)).area < 1e-6


def test_bad_shapes_have_an_answer():
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    flat = shapely.Polygon([(0, 0), (10, 0), (20, 0)])
    touching = shapely.Polygon([(0, 0), (20, 0), (10, 10), (20, 20), (0, 20), (10, 10)])
    point = shapely.Polygon([(5, 5)] * 4)
    two = shapely.MultiPolygon([LOT, translate(LOT, 30)])
    parcels = np.array([bow, flat, touching, point, shapely.Polygon(), two, None], dtype=object)
    rows = [*(lot(shape) for shape in parcels[:6]), lot(NORTH, "residential"), lot(None)]
    for lots in (None, town(*rows), town()):
        found = yards.classify_lot_lines(
            parcels, np.array(list("abcdefg")), lots, np.ones(7, dtype=bool)
        )
        assert set(found.of) == {0, 1, 2, 5}
        assert (found.length_m >= 0.001).all()
        left = yards.cut_yards(parcels, found, np.full(len(found.of), 1.0))
        assert shapely.is_valid(left).all()
        assert shapely.is_empty(left).tolist() == [False, True, False, True, True, False, True]
        assert left[5].area == pytest.approx(2 * 18 * 28)
        assert len(yards.select_street_lines(found, 7)) == 7


def test_no_parcels_have_no_lines():
    nothing = np.empty(0, dtype=object)
    found = yards.classify_lot_lines(nothing, nothing, town(OWN), np.empty(0, dtype=bool))
    assert len(found.of) == 0
    assert len(yards.cut_yards(nothing, found, np.empty(0))) == 0
    assert len(yards.select_street_lines(found, 0)) == 0
