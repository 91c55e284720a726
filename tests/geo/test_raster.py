import numpy as np
import shapely
from affine import Affine

from geo.model import Raster
from geo.raster import at, at_points


def test_a_point_takes_its_cells_value_and_none_outside():
    values = np.array([[1.0, 2.0], [3.0, np.nan]])
    raster = Raster(values, Affine(10, 0, 0, 0, -10, 20), "EPSG:26986")
    spots = shapely.points([[5, 15], [15, 15], [5, 5], [15, 5], [-1, 5], [5, 21]])
    found = at_points(raster, spots)
    assert found[:3].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(found[3:]).all()


def test_rows_may_run_north_and_the_grid_may_be_turned():
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    # Row 0 is the southern one: y = 0 + 10 row.
    north = Raster(values, Affine(10, 0, 0, 0, 10, 0), "EPSG:26986")
    spots = shapely.points([[5, 5], [15, 5], [5, 15], [15, 15], [5, -1]])
    assert at_points(north, spots)[:4].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(at_points(north, spots)[4])
    # A quarter turn: columns run north (y = 10 column), rows run east (x = 10 row).
    turned = Raster(values, Affine(0, 10, 0, 10, 0, 0), "EPSG:26986")
    assert at_points(turned, spots)[:4].tolist() == [1.0, 3.0, 2.0, 4.0]


def test_a_point_nowhere_has_no_value():
    raster = Raster(np.ones((1, 1)), Affine(10, 0, 0, 0, -10, 10), "EPSG:26986")
    spots = np.array([shapely.Point(), None, shapely.Point(5, 5), shapely.Point(np.inf, 5)])
    assert np.isnan(at_points(raster, spots)).tolist() == [True, True, False, True]


def test_points_are_moved_into_the_rasters_frame():
    # Cells of half a degree: longitude 8.5 to 9.5, latitude 1 down to 0.
    raster = Raster(
        np.array([[1.0, 2.0], [3.0, 4.0]]), Affine(0.5, 0, 8.5, 0, -0.5, 1), "EPSG:4326"
    )
    # Zone 32's middle meridian is 9 E at x = 500 km; a degree of latitude is 110.574 km there, and
    # the scale is 0.9996. A kilometre east of it the column is the second.
    y = 0.9996 * 110_574 * np.array([0.25, 0.75])
    spots = shapely.points([[501_000, y[0]], [501_000, y[1]], [499_000, y[0]], [700_000, y[0]]])
    assert at(raster, spots, "EPSG:32632")[:3].tolist() == [4.0, 2.0, 3.0]
    # 200 km east is 1.8 degrees: beyond the grid. Taken as if in the raster's own frame, all are.
    assert np.isnan(at(raster, spots, "EPSG:32632")[3])
    assert np.isnan(at_points(raster, spots)).all()
    inside = shapely.points([[9.2, 0.2]])
    assert at(raster, inside, "EPSG:4326").tolist() == at_points(raster, inside).tolist() == [4.0]
