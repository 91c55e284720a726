import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.model import Raster
from geo.shapes.slope import ROWS, compute_slope, find_steep_ground, outline_raster

CRS = "EPSG:26986"
SOUTHWARDS = Affine(10, 0, 0, 0, -10, 80)
GRIDS = {
    "rows run south": SOUTHWARDS,
    "rows run north": Affine(10, 0, 0, 0, 10, 0),
    "turned by 30 degrees": Affine.rotation(30) @ SOUTHWARDS,
    "a quarter turn": Affine(0, 10, 0, 10, 0, 0),
    "long cells": Affine(4, 0, 7, 0, -25, 3),
    "sheared": Affine(10, 3, 0, 1, -10, 80),
}


def middles(shape, transform):
    row, column = np.indices(shape) + 0.5
    return transform @ np.array([column.ravel(), row.ravel()])


def plane(transform, east, north, shape=(8, 12)):
    x, y = middles(shape, transform)
    return Raster((east * x + north * y).reshape(shape), transform, CRS, "m")


def area(polygons):
    return shapely.area(polygons).sum()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    ("east", "north", "rise"), [(0.1, 0, 0.1), (0.06, 0.08, 0.1), (-0.3, 0.4, 0.5), (0, 0, 0)]
)
def test_a_plane_has_its_own_slope_everywhere(grid, east, north, rise):
    raster = plane(GRIDS[grid], east, north)
    assert compute_slope(raster) == pytest.approx(np.full((8, 12), rise), abs=1e-9)
    none, unknown = find_steep_ground(raster, rise, CRS)
    assert len(none) == len(unknown) == 0
    if rise:
        whole, _ = find_steep_ground(raster, rise - 0.001, CRS)
        assert shapely.union_all(whole).equals_exact(
            outline_raster(raster, CRS), 1e-6, normalize=True
        )


def test_heights_in_feet_are_made_meters():
    meters = plane(SOUTHWARDS, 0.1, 0)
    feet = Raster(meters.values / 0.3048, SOUTHWARDS, CRS, "ft")
    assert compute_slope(feet) == pytest.approx(np.full((8, 12), 0.1))
    assert compute_slope(Raster(meters.values, SOUTHWARDS, CRS)) == pytest.approx(
        np.full((8, 12), 0.1)
    )


def test_one_high_cell_is_steep_all_round_and_not_on_top():
    values = np.zeros((8, 12))
    values[4, 5] = 8.0
    found = compute_slope(Raster(values, SOUTHWARDS, CRS, "m"))
    # The high cell has a weight of 2 / 8 in the cells beside it, and 1 / 8 in each direction at the
    # corners.
    beside, corner = 2 * 8 / (8 * 10), np.hypot(8 / (8 * 10), 8 / (8 * 10))
    expected = np.zeros((8, 12))
    expected[3:6, 4:7] = corner
    expected[[3, 5, 4, 4], [5, 5, 4, 6]] = beside
    expected[4, 5] = 0
    assert found == pytest.approx(expected)
    ring, unknown = find_steep_ground(Raster(values, SOUTHWARDS, CRS, "m"), 0.1, CRS)
    assert len(unknown) == 0
    # Steep: columns 4 to 6 and rows 3 to 5 from y = 80 down, except the level cell in the middle.
    around = shapely.box(40, 20, 70, 50).difference(shapely.box(50, 30, 60, 40))
    assert len(ring) == 1
    assert ring[0].equals(around)
    # Between 0.1414 and 0.2, only the four cells beside it are left. They touch only at corners.
    four, _ = find_steep_ground(Raster(values, SOUTHWARDS, CRS, "m"), 0.15, CRS)
    assert shapely.area(four).tolist() == [100] * 4


def test_a_hole_in_the_heights_is_unknown_and_one_cell_round_it():
    raster = plane(SOUTHWARDS, 0.3, 0)
    raster.values[4, 5] = np.nan
    raster.values[0, 0] = np.inf
    ground, unknown = find_steep_ground(raster, 0.15, CRS)
    gap = shapely.union(shapely.box(40, 20, 70, 50), shapely.box(0, 60, 20, 80))
    assert shapely.union_all(unknown).equals(gap)
    assert shapely.union_all(ground).equals(outline_raster(raster, CRS).difference(gap))


def test_a_strip_of_rows_ends_where_the_next_begins():
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (ROWS + 3, 4))
    values[ROWS - 1, 2] = np.nan
    raster = Raster(values, Affine(10, 0, 0, 0, -10, 0), CRS, "m")
    rise = compute_slope(raster)
    ground, unknown = find_steep_ground(raster, 0.1, CRS)
    assert area(ground) == pytest.approx(100 * (rise > 0.1).sum())
    assert area(unknown) == 900


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(GRIDS)))
def test_cells_are_steep_unknown_or_neither_and_polygons_say_the_same(seed, grid):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1.5, (7, 9))
    values[rng.random((7, 9)) < 0.03] = np.nan
    raster = Raster(values, GRIDS[grid], CRS, "m")
    rise = compute_slope(raster).ravel()
    spots = shapely.points(*middles((7, 9), GRIDS[grid]))
    ground, unknown = find_steep_ground(raster, 0.15, CRS)
    assert shapely.is_valid(ground).all()
    assert shapely.is_valid(unknown).all()
    assert shapely.contains(shapely.union_all(ground), spots).tolist() == (rise > 0.15).tolist()
    assert shapely.contains(shapely.union_all(unknown), spots).tolist() == np.isnan(rise).tolist()
    assert area(ground) == pytest.approx(shapely.union_all(ground).area)


def test_grids_too_small_for_a_neighbor_are_level():
    for shape in ((1, 1), (1, 4), (4, 1)):
        ground, unknown = find_steep_ground(
            Raster(np.full(shape, 5.0), SOUTHWARDS, CRS, "m"), 0.1, CRS
        )
        assert len(ground) == len(unknown) == 0
    # A row of cells that rises 2 m in every 10 m is steep along the row.
    row = Raster(np.array([[0.0, 2.0, 4.0]]), SOUTHWARDS, CRS, "m")
    assert area(find_steep_ground(row, 0.15, CRS)[0]) == 300
    nothing = Raster(np.empty((0, 4)), SOUTHWARDS, CRS, "m")
    assert [len(found) for found in find_steep_ground(nothing, 0.1, CRS)] == [0, 0]
    void = Raster(np.full((2, 3), np.nan), SOUTHWARDS, CRS, "m")
    ground, unknown = find_steep_ground(void, 0.1, CRS)
    assert len(ground) == 0
    assert area(unknown) == outline_raster(void, CRS).area == 600


def test_a_grid_in_degrees_slopes_in_meters():
    """A slope made in the metric frame and sampled in degrees has the same steepness in meters."""
    # 1.7 degrees west of the frame's central meridian, north is turned by a degree, which leaves
    # the corners empty.
    transform = Affine(0.0002, 0, -73.2, 0, -0.0002, 42.4)
    x, _ = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(
        *middles((200, 200), transform)
    )
    # The slope is 0.2 east of the middle and 0 west of it.
    fold = np.median(x)
    values = (0.2 * np.maximum(x - fold, 0)).reshape(200, 200)
    ground, unknown = find_steep_ground(Raster(values, transform, "EPSG:4326", "m"), 0.15, CRS)
    whole = outline_raster(Raster(values, transform, "EPSG:4326", "m"), CRS)
    # A degree is 111.1 km northward and 111.3 km x cos 42.38 eastward; cos 42.38 = 0.7387.
    assert whole.area == pytest.approx(0.04**2 * 111_080 * 111_320 * 0.7387, rel=0.003)
    west, south, _, north = whole.bounds
    hill = shapely.union_all(ground)
    # Cells are about 20 m wide. Two cells on each side of the fold and three along the rim are not
    # compared.
    assert hill.intersection(shapely.box(west, south, fold - 40, north)).is_empty
    assert whole.buffer(-60).difference(shapely.box(west, south, fold + 40, north)).within(hill)
    rim = shapely.union_all(unknown)
    assert rim.area > 0
    assert rim.within(whole.buffer(1e-6))
    assert rim.within(whole.difference(whole.buffer(-60)))
