import numpy as np
import pytest
import shapely
from affine import Affine

from geo import catalogue
from geo.criteria.noise.picture import compute_level_grid, draw_contours
from geo.criteria.noise.sound import level_dba, make_open_field_source
from geo.model import Raster

CRS = "EPSG:26986"
NOTHING = np.empty(0, dtype=object)
ORIGIN = np.array([[236_000.0, 901_000.0]])


@pytest.fixture(scope="module")
def heard(plan):
    return make_open_field_source(catalogue.read_generators()[plan.generator], plan)


def at_distance(heard, meters, height_m=1.5):
    """Return one machine's level at points due east of it."""
    meters = np.atleast_1d(np.asarray(meters, dtype=float))
    source = np.tile([0.0, 0.0, heard.source_height_m], (len(meters), 1))
    receiver = np.column_stack((meters, np.zeros_like(meters), np.full_like(meters, height_m)))
    return level_dba(heard, source, receiver)


def distance_of(heard, level):
    """Return by bisection the distance at which the level has fallen to `level`."""
    near, far = 1.0, 10_000.0
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (middle, far) if at_distance(heard, middle)[0] > level else (near, middle)
    return near


def drawn(heard, machines=ORIGIN, indoors=NOTHING, cell_m=5.0, reach_m=200.0):
    return compute_level_grid(
        machines,
        heard,
        receiver_height_m=1.5,
        cell_m=cell_m,
        reach_m=reach_m,
        indoors=indoors,
        crs=CRS,
    )


def test_the_grid_reaches_and_its_corners_are_whole_cells(heard):
    grid = drawn(heard, np.array([[2.0, 3.0]]), reach_m=10.0)
    # x from 2 - 10 = -8 to 12 and y from 3 - 10 = -7 to 13, extended to whole cells of 5 m
    assert grid.transform @ (0, 0) == (-10, 15)
    assert grid.values.shape == (5, 5)
    assert grid.transform @ (5, 5) == (15, -10)
    assert (grid.crs, grid.unit) == (CRS, "dB(A)")


def test_a_cell_holds_the_formulas_level_at_its_middle(heard):
    grid = drawn(heard)
    row, column = 12, 71
    x, y = grid.transform @ (column + 0.5, row + 0.5)
    away = np.hypot(x - ORIGIN[0, 0], y - ORIGIN[0, 1])
    assert grid.values[row, column] == pytest.approx(at_distance(heard, away)[0], abs=1e-9)


def test_machines_add_by_energy(heard):
    one, four = drawn(heard), drawn(heard, np.repeat(ORIGIN, 4, axis=0))
    # four times the energy: 10 lg 4 = 6.02 dB
    np.testing.assert_allclose(four.values - one.values, 10 * np.log10(4), atol=1e-9)


def test_no_level_is_stated_indoors(heard):
    x, y = ORIGIN[0] + 50
    grid = drawn(heard, indoors=np.array([shapely.box(x, y, x + 20, y + 10)]))
    # the building of 20 m by 10 m covers 4 by 2 whole cells
    assert np.isnan(grid.values).sum() == 8
    assert np.isnan(grid.values[grid_cell(grid, x + 1, y + 1)])


def grid_cell(grid, x, y):
    column, row = ~grid.transform @ (x, y)
    return int(row), int(column)


@pytest.mark.parametrize("level", [50.0, 55.0, 60.0])
def test_the_line_lies_where_the_formula_gives_its_level(heard, level):
    cell_m = 5.0
    found = draw_contours(drawn(heard, cell_m=cell_m), NOTHING, [level])
    line = found.geometry[found["kind"] == "line"].iloc[0]
    away = np.hypot(*(shapely.get_coordinates(line) - ORIGIN).T)
    assert np.abs(away - distance_of(heard, level)).max() < cell_m / 2
    # the line is one closed ring
    assert len(shapely.get_parts(line)) == 1
    assert shapely.is_closed(shapely.get_parts(line)[0])


def test_the_bands_edges_are_3_db_to_either_side(heard):
    found = draw_contours(drawn(heard), NOTHING, [55.0])
    assert found["kind"].tolist() == ["line", "band"]
    band = shapely.get_parts(found.geometry.iloc[1])[0]
    outer = np.hypot(*(shapely.get_coordinates(band.exterior) - ORIGIN).T)
    inner = np.hypot(*(shapely.get_coordinates(band.interiors[0]) - ORIGIN).T)
    assert np.abs(outer - distance_of(heard, 52.0)).max() < 2.5
    assert np.abs(inner - distance_of(heard, 58.0)).max() < 2.5


RAMP = Raster(
    # 60 dB at x = 0 and 1 dB less for each meter; the cells' middles are at 0, 1, 2 ...
    np.tile(60.0 - np.arange(31), (11, 1)),
    Affine(1, 0, -0.5, 0, -1, 10.5),
    CRS,
    "dB(A)",
)


def test_lines_and_bands_of_a_ramp_are_exact():
    found = draw_contours(RAMP, NOTHING, [50.0, 20.0])
    # 20 dB occurs nowhere: the ramp ends at 30
    assert found[["level_dba", "kind"]].to_numpy().tolist() == [[50.0, "line"], [50.0, "band"]]
    assert found.geometry.iloc[0].bounds == pytest.approx((10, 0, 10, 10))
    assert found.geometry.iloc[1].bounds == pytest.approx((7, 0, 13, 10))
    assert found.geometry.iloc[1].area == pytest.approx(6 * 10)
    assert found.crs == CRS


def test_a_building_is_cut_out_at_its_walls():
    values = RAMP.values.copy()
    values[4:7, 8:13] = np.nan
    # The walls lie between the middles of the cells.
    house = shapely.box(7.6, 3.6, 12.4, 6.4)
    holed = Raster(values, RAMP.transform, CRS, "dB(A)")
    found = draw_contours(holed, np.array([house]), [50.0])
    line, band = found.geometry
    # In the cells that a wall crosses, the level is a guess, so the line's ends may bend a little.
    assert line.length == pytest.approx(10 - 2.8, abs=0.2)
    assert band.area == pytest.approx(6 * 10 - 4.8 * 2.8)
    assert not line.intersects(house.buffer(-0.01))
    assert line.distance(house) < 0.01


def test_a_grid_without_levels_has_no_lines():
    empty = Raster(np.full((3, 3), np.nan), RAMP.transform, CRS, "dB(A)")
    assert len(draw_contours(empty, NOTHING)) == 0


def test_a_turned_grid_gives_turned_lines():
    # Columns run north and rows run east, so the level falls to the north.
    turned = Raster(RAMP.values, Affine(0, 1, -0.5, 1, 0, -0.5), CRS, "dB(A)")
    line = draw_contours(turned, NOTHING, [50.0]).geometry.iloc[0]
    assert line.bounds == pytest.approx((0, 10, 10, 10))
