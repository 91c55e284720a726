import numpy as np
import shapely
from affine import Affine

from geo.model import Raster
from geo.raster import at_points


def test_a_point_takes_its_cells_value_and_none_outside():
    values = np.array([[1.0, 2.0], [3.0, np.nan]])
    raster = Raster(values, Affine(10, 0, 0, 0, -10, 20), "EPSG:26986")
    spots = shapely.points([[5, 15], [15, 15], [5, 5], [15, 5], [-1, 5], [5, 21]])
    found = at_points(raster, spots)
    assert found[:3].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(found[3:]).all()
