import numpy as np
import pytest
import shapely
from shapely.affinity import rotate, translate

from geo import block, catalogue
from geo.criteria import pad

GX230 = catalogue.generators()["gx230"]
# The block of n machines, 0.9144 m aisles: 1: 2.7432 by 3.3528; 2 by 2: 4.572 by 5.7912.
ONE = (2.7432, 3.3528)
FOUR = (4.572, 5.7912)


@pytest.fixture
def ground_of(sites, layer, plan):
    def build(shapes, buildings=(), exclusions=(), setback_m=0.0, clearance_m=1.524, **columns):
        rules = plan.pad.model_copy(
            update={"setback_m": setback_m, "building_clearance_m": clearance_m}
        )
        eased = plan.model_copy(update={"pad": rules})
        layers = {
            "buildings": layer(buildings, height_m=5.0),
            "exclusions": layer(exclusions, kind="flood", name=None),
        }
        area = shapely.box(-1e6, -1e6, 1e6, 1e6)
        return pad.ground(sites(shapes, **columns), layers, {"buildings": area}, eased)

    return build


def most(ground, plan, cap=25):
    """Count up from one: the slow way to the largest n that fits."""
    n = 0
    while n < cap and pad.fits(ground, np.array([n + 1]), GX230, plan)[0]:
        n += 1
    return n


def test_setbacks_come_off_every_side(ground_of):
    ground = ground_of([shapely.box(0, 0, 20, 30)], setback_m=3.0)
    assert ground.facts["ground_area_m2"].iloc[0] == pytest.approx(14 * 24)


def test_buildings_take_their_clearance_with_them(ground_of):
    # A 4 by 4 m shed in the corner takes (4 + 1.524)^2 of the lot.
    ground = ground_of([shapely.box(0, 0, 20, 20)], buildings=[shapely.box(0, 0, 4, 4)])
    assert ground.facts["ground_area_m2"].iloc[0] == pytest.approx(400 - 5.524**2)


def test_exclusions_come_off_and_kinds_the_plan_does_not_name_do_not(ground_of):
    flood = shapely.box(0, 0, 20, 5)
    ground = ground_of([shapely.box(0, 0, 20, 20)], exclusions=[flood])
    assert ground.facts["ground_area_m2"].iloc[0] == pytest.approx(300)


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [
        (2.74, 3.35, 0),  # a hair too small for one
        (2.7432, 3.3528, 1),
        (3.3528, 2.7432, 1),  # turned
        (4.572, 5.7912, 4),
        (4.572, 3.3528, 2),  # two side by side: 2 x 0.9144 + 3 x 0.9144 by one machine
        (2.7432, 8.2296, 3),  # three in a file: 3 x 1.524 + 4 x 0.9144 = 8.2296
        (10.0584, 13.1064, 25),  # five by five
        (46.6344, 3.3528, 25),  # one row of 25: 25 x 0.9144 + 26 x 0.9144
    ],
)
@pytest.mark.parametrize("turned_deg", [0, 30, 77])
def test_closed_form_rectangles_take_what_they_take(
    ground_of, plan, width, height, count, turned_deg
):
    lot = rotate(shapely.box(0, 0, width, height), turned_deg)
    assert most(ground_of([lot]), plan) == count


def test_an_l_takes_what_its_arms_take(ground_of, plan):
    # Arms 3.3528 m wide and 10 m long hold one row: 10 m is 5 machines (10.0584 m is just over).
    ell = shapely.Polygon(
        [(0, 0), (10.06, 0), (10.06, 3.3528), (3.3528, 3.3528), (3.3528, 10.06), (0, 10.06)]
    )
    assert most(ground_of([ell]), plan) == 5


def test_a_sliver_takes_none(ground_of, plan):
    assert most(ground_of([shapely.box(0, 0, 200, 2.5)]), plan) == 0


def test_a_hole_is_not_ground(ground_of, plan):
    ring = shapely.box(0, 0, 12, 12).difference(shapely.box(2, 2, 10, 10))
    assert most(ground_of([ring]), plan) == 0


def test_a_flood_over_the_whole_lot_leaves_nothing(ground_of, plan):
    lot = shapely.box(0, 0, 30, 30)
    assert most(ground_of([lot], exclusions=[shapely.buffer(lot, 5)]), plan) == 0


def test_no_larger_clearance_ever_adds_a_machine(ground_of, plan):
    lot = rotate(shapely.Polygon([(0, 0), (26, 0), (26, 14), (12, 19), (0, 19)]), 17)
    shed = rotate(shapely.box(9, 6, 17, 12), 17, origin=(13, 9))
    counts = [most(ground_of([lot], [shed], clearance_m=c), plan) for c in (0, 1, 2, 3, 4, 5)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_moving_and_turning_a_lot_changes_nothing(ground_of, plan):
    lot = shapely.Polygon([(0, 0), (11, 0), (11, 6), (7, 9), (0, 9)])
    there = translate(rotate(lot, 41), 230_000, 900_000)
    assert most(ground_of([lot]), plan) == most(ground_of([there]), plan) > 0


def test_the_record_of_floor_area_bounds_a_bare_parcel(sites, plan):
    # 400 m2 of lot, 780 m2 over two storeys: 10 m2 is open, which one block (9.2 m2) fits.
    lot = sites([shapely.box(0, 0, 20, 20)], building_area_m2=780.0, storeys=2.0)
    ground = pad.ground(lot, {}, {}, plan)
    assert ground.facts["pad_evidence"].iloc[0] == "bare parcel"
    assert ground.facts["open_area_m2"].iloc[0] == 10
    assert most(ground, plan) == 1


def test_an_unrecorded_building_is_not_a_zero(sites, plan):
    lot = sites([shapely.box(0, 0, 20, 20)], building_area_m2=500.0, storeys=np.nan)
    ground = pad.ground(lot, {}, {}, plan)
    assert np.isnan(ground.facts["open_area_m2"].iloc[0])
    assert most(ground, plan) == 25


def test_candidates_lie_on_the_ground_and_do_not_overlap(ground_of, plan):
    lots = [rotate(shapely.box(60 * n, 0, 60 * n + 18 + n, 24), 13 * n) for n in range(6)]
    ground = ground_of(lots, [shapely.box(60 * n + 5, 5, 60 * n + 9, 12) for n in range(6)])
    sites, count = np.arange(6), np.array([1, 3, 5, 9, 12, 25])
    away = np.array([shapely.Point(60 * n + 30, 50) for n in range(6)], dtype=object)

    def quiet(points, site):
        return shapely.distance(points, away[site])

    # Two places given for each: its middle, and one far outside that must not be taken.
    middle = np.array([(60 * n + 9, 12) for n in range(6)], dtype=float)
    given = np.tile(sites, 2), np.concatenate((middle, middle + 1000))

    placed = pad.candidates(ground, sites, count, quiet, GX230, plan, given)
    fitting = np.flatnonzero(pad.fits(ground, count, GX230, plan))
    assert set(placed["query"]) == set(fitting)
    outline, machines = block.outlines(placed, GX230, plan)
    on = ground.shapes[placed["site"]]
    assert shapely.covers(shapely.buffer(on, 0.005), outline).all()
    assert shapely.covers(shapely.buffer(outline, 0.001), machines).all()
    assert (shapely.get_num_geometries(machines) == placed["count"]).all()
    # Machines that overlapped would cover less than their own footprints.
    each = shapely.area(shapely.union_all(machines[:, None], axis=1)) / placed["count"]
    assert each.to_numpy() == pytest.approx(1.524 * 0.9144)
    assert placed.groupby("query")["rows"].nunique().max() > 1
    # The first candidate of each query is the farthest from whom it should keep away.
    far = shapely.distance(shapely.points(placed["x"], placed["y"]), away[placed["site"]])
    assert (
        far[placed.groupby("query").head(1).index]
        >= np.round(placed.assign(f=far).groupby("query")["f"].max(), 2) - 0.01
    ).all()


def test_more_ground_is_what_the_deficit_asks_for(ground_of, plan):
    # 4 m wide: two machines need 4.572 by 3.3528; growing by 0.3 m all round is enough.
    ground = ground_of([shapely.box(0, 0, 4, 4)])
    two = np.array([2])
    assert not pad.fits(pad.shrunk(ground, np.array([-0.28])), two, GX230, plan)[0]
    assert pad.fits(pad.shrunk(ground, np.array([-0.29])), two, GX230, plan)[0]
