import numpy as np
import pyproj
import shapely
from affine import Affine

from geo.model import Raster
from geo.shapes.raster import reproject_raster, sample_raster


def test_a_point_takes_its_cells_value_and_none_outside():
    values = np.array([[1.0, 2.0], [3.0, np.nan]])
    raster = Raster(values, Affine(10, 0, 0, 0, -10, 20), "EPSG:26986")
    spots = shapely.points([[5, 15], [15, 15], [5, 5], [15, 5], [-1, 5], [5, 21]])
    found = sample_raster(raster, spots, raster.crs)
    assert found[:3].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(found[3:]).all()


def test_rows_may_run_north_and_the_grid_may_be_turned():
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    # Row 0 is the southernmost row: y = 0 + 10 row.
    north = Raster(values, Affine(10, 0, 0, 0, 10, 0), "EPSG:26986")
    spots = shapely.points([[5, 5], [15, 5], [5, 15], [15, 15], [5, -1]])
    assert sample_raster(north, spots, north.crs)[:4].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(sample_raster(north, spots, north.crs)[4])
    # A quarter turn: columns run north (y = 10 column), rows run east (x = 10 row).
    turned = Raster(values, Affine(0, 10, 0, 10, 0, 0), "EPSG:26986")
    assert sample_raster(turned, spots, turned.crs)[:4].tolist() == [1.0, 3.0, 2.0, 4.0]


def test_a_point_nowhere_has_no_value():
    raster = Raster(np.ones((1, 1)), Affine(10, 0, 0, 0, -10, 10), "EPSG:26986")
    spots = np.array([shapely.Point(), None, shapely.Point(5, 5), shapely.Point(np.inf, 5)])
    assert np.isnan(sample_raster(raster, spots, raster.crs)).tolist() == [True, True, False, True]


def test_points_are_moved_into_the_rasters_frame():
    # Cells of half a degree: longitude 8.5 to 9.5, latitude 1 down to 0.
    raster = Raster(
        np.array([[1.0, 2.0], [3.0, 4.0]]), Affine(0.5, 0, 8.5, 0, -0.5, 1), "EPSG:4326"
    )
    # The central meridian of zone 32 is 9 E at x = 500 km. There, a degree of latitude is
    # 110.574 km and the scale is 0.9996. One kilometer to the east is in the second column.
    y = 0.9996 * 110_574 * np.array([0.25, 0.75])
    spots = shapely.points([[501_000, y[0]], [501_000, y[1]], [499_000, y[0]], [700_000, y[0]]])
    assert sample_raster(raster, spots, "EPSG:32632")[:3].tolist() == [4.0, 2.0, 3.0]
    # 200 km east is 1.8 degrees, outside the grid. All points are outside if their coordinates are
    # read as degrees.
    assert np.isnan(sample_raster(raster, spots, "EPSG:32632")[3])
    assert np.isnan(sample_raster(raster, spots, raster.crs)).all()
    inside = shapely.points([[9.2, 0.2]])
    assert (
        sample_raster(raster, inside, "EPSG:4326").tolist()
        == sample_raster(raster, inside, raster.crs).tolist()
        == [4.0]
    )


def test_a_raster_in_another_frame_slopes_as_before():
    """A plane in degrees east and north is sampled at the middles of the new cells."""
    lon, lat = -71.2 + 0.002 * (np.arange(60) + 0.5), 42.45 - 0.002 * (np.arange(40) + 0.5)
    plane = 100 * (lon[None, :] + 71.2) + 50 * (lat[:, None] - 42.3)
    plane[:3, :3] = np.nan
    degrees = Raster(plane, Affine(0.002, 0, -71.2, 0, -0.002, 42.45), "EPSG:4326", "m")
    meters = reproject_raster(degrees, "EPSG:26986")
    assert (meters.crs, meters.unit) == ("EPSG:26986", "m")
    rows, columns = np.indices(meters.values.shape)
    x, y = meters.transform @ (columns.ravel() + 0.5, rows.ravel() + 0.5)
    back = pyproj.Transformer.from_crs("EPSG:26986", "EPSG:4326", always_xy=True)
    east, north = back.transform(x, y)
    found = meters.values.ravel()
    known = ~np.isnan(found)
    inner = (east > lon[3]) & (east < lon[-1]) & (north > lat[-1]) & (north < lat[3])
    assert known[inner].all()
    assert not known[(east < lon[0]) & (north > lat[0])].any()
    expected = 100 * (east + 71.2) + 50 * (north - 42.3)
    # The new cells are a little larger, and each is a weighted mean, so the values agree to within
    # a tenth of the rise across one cell.
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.1 * 0.3)


def test_a_raster_in_its_own_frame_is_itself():
    here = Raster(np.zeros((2, 2)), Affine(10, 0, 0, 0, -10, 20), "EPSG:26986")
    assert reproject_raster(here, pyproj.CRS("EPSG:26986")) is here
