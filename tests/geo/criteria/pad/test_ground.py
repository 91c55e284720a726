"""The part of a lot that can be built on."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate

from geo import catalogue
from geo.criteria.pad import room
from geo.criteria.pad.ground import cut_buildable_ground
from geo.model import Raster, Screening, Setback
from tests.geo.conftest import CRS
from tests.geo.criteria.pad.conftest import even

GX230 = catalogue.read_generators()["gx230"]
LOT = shapely.box(0, 0, 20, 30)
EVERYWHERE = shapely.box(-1000, -1000, 1000, 1000)


def left_m2(ground):
    return ground.facts["ground_area_m2"].iloc[0]


def test_setbacks_come_off_every_side(ground_of):
    assert left_m2(ground_of([LOT], setback_m=3.0)) == pytest.approx(14 * 24)


def test_buildings_take_their_clearance_with_them(ground_of):
    # A 4 by 4 m shed in the corner takes (4 + 1.524)^2 of the lot.
    ground = ground_of([shapely.box(0, 0, 20, 20)], buildings=[shapely.box(0, 0, 4, 4)])
    assert left_m2(ground) == pytest.approx(400 - 5.524**2)


def test_exclusions_come_off(ground_of):
    ground = ground_of([shapely.box(0, 0, 20, 20)], exclusions=[shapely.box(0, 0, 20, 5)])
    assert left_m2(ground) == pytest.approx(300)


def test_kinds_the_plan_does_not_name_do_not(sites, layer, plan):
    here = sites([LOT])
    parks = layer([shapely.box(0, 0, 20, 5)], kind="open_space", name=None)
    given = Screening(here, {"exclusions": parks}, {"exclusions": EVERYWHERE})
    assert left_m2(cut_buildable_ground(here, given, even(plan, 0.0))) == pytest.approx(600)


# ---------------------------------------------------------------------------------------------
# Yards

STREET = shapely.box(-50, -12, 80, 0)  # south of the lot


@pytest.fixture
def yards(sites, layer, plan):
    """Return the ground of LOT with a street in the south and lots on the other sides."""

    def build(neighbor_use="commercial", *, street=True, known=True, rules=plan, **columns):
        here = sites([LOT], **columns)
        beside = [
            shapely.box(-20, 0, 0, 30), shapely.box(20, 0, 40, 30), shapely.box(-20, 30, 40, 60),
        ]  # fmt: skip
        if not street:
            beside.append(shapely.box(-20, -20, 40, 0))
        shapes = [LOT, *beside, *([STREET] if street else [])]
        lots = layer(
            shapes,
            lot_id=[f"L{number}" for number in range(len(shapes))],
            kind=["lot"] * (1 + len(beside)) + (["street"] if street else []),
            use_class=["commercial", neighbor_use, *["commercial"] * (len(shapes) - 2)],
            site_id=["S00000", *[None] * (len(shapes) - 1)],
        )
        coverage = {"lots": EVERYWHERE if known else shapely.box(0, 0, 20, 30)}
        return cut_buildable_ground(here, Screening(here, {"lots": lots}, coverage), rules)

    return build


@pytest.fixture
def rules(plan):
    """Return a plan with front, side and rear setbacks of 8, 2 and 5 m, and 6 m next to homes."""
    deep = Setback(front_m=8, side_m=2, rear_m=5, home_m=6)
    return plan.model_copy(
        update={"pad": plan.pad.model_copy(update={"setbacks": {"other": deep}})}
    )


def test_each_yard_is_as_deep_as_the_plan_says(yards, rules):
    ground = yards(rules=rules)
    assert ground.facts["yards_known"].all()
    assert ground.facts["setback_evidence"].tolist() == ["plan's assumption"]
    # (20 - 2 x 2) m wide and (30 - 8 - 5) m deep.
    assert left_m2(ground) == pytest.approx(16 * 17)


def test_a_line_along_homes_is_deeper(yards, rules):
    # The western neighbor is a home, so 6 m apply instead of 2 m.
    assert left_m2(yards("residential", rules=rules)) == pytest.approx(12 * 17)


def test_the_zoning_text_goes_before_the_plan(yards, rules):
    depths = {"front": 3.0, "side": 1.0, "rear": 2.0, "home": 9.0}
    text = {f"setback_{yard}_m": depth for yard, depth in depths.items()}
    ground = yards(rules=rules, **text)
    assert ground.facts["setback_evidence"].tolist() == ["zoning text"]
    assert left_m2(ground) == pytest.approx(18 * 25)
    assert left_m2(yards("residential", rules=rules, **text)) == pytest.approx(10 * 25)


def test_a_class_of_zone_has_setbacks_of_its_own(yards, rules):
    deep = Setback(front_m=12, side_m=4, rear_m=6, home_m=12)
    named = {**rules.pad.setbacks, "industrial": deep}
    both = rules.model_copy(update={"pad": rules.pad.model_copy(update={"setbacks": named})})
    assert left_m2(yards(rules=both, zone_class="industrial")) == pytest.approx(12 * 12)
    assert left_m2(yards(rules=both, zone_class="mixed")) == pytest.approx(16 * 17)


@pytest.mark.parametrize("unknown", [{"street": False}, {"known": False}])
def test_where_nobody_knows_which_side_is_which_the_deepest_holds_everywhere(yards, rules, unknown):
    ground = yards(rules=rules, **unknown)
    assert not ground.facts["yards_known"].any()
    assert left_m2(ground) == pytest.approx((20 - 16) * (30 - 16))


def test_a_variance_caps_every_yard(yards, rules):
    eased = rules.model_copy(update={"pad": rules.pad.model_copy(update={"setback_most_m": 1.0})})
    assert left_m2(yards("residential", rules=eased)) == pytest.approx(18 * 28)


# ---------------------------------------------------------------------------------------------
# Slope


@pytest.fixture
def sloping(sites, plan):
    """Return the ground of LOT where the terrain rises steeply to the east from x = 10 m on."""

    def build(slope_most, east=lambda x: np.where(x < 10, 0.0, 0.5 * (x - 10)), cells=60):
        here = sites([LOT])
        x = np.arange(cells) - 19.5
        heights = np.tile(east(x), (60, 1))
        grid = Raster(heights, Affine(1, 0, -20, 0, -1, 45), CRS, "m")
        given = Screening(here, {}, {}, {"elevation": grid})
        return cut_buildable_ground(here, given, even(plan, 0.0, slope_most=slope_most))

    return build


def test_ground_steeper_than_the_plan_allows_comes_off(sloping):
    # The slope is 0.5 east of x = 10, and half of that, 0.25, in the cells beside that line.
    assert left_m2(sloping(0.3)) == pytest.approx(11 * 30, abs=30)
    assert left_m2(sloping(0.6)) == pytest.approx(600)
    assert left_m2(sloping(None)) == pytest.approx(600)
    assert sloping(0.3).facts["pad_evidence"].tolist() == ["bare parcel"]


def test_what_takes_the_ground_is_named_by_how_much_it_takes(sloping, sites, plan):
    assert sloping(0.3).facts["ground_takers"].tolist() == ["steep ground"]
    assert sloping(0.6).facts["ground_takers"].isna().all()
    # Of a lot of 20 by 30 m, yards of 3 m leave 14 by 24 = 336 m2 of 600.
    here = sites([LOT])
    house = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 20, 30)], crs=CRS)
    flooded = gpd.GeoDataFrame({"kind": ["flood"]}, geometry=[shapely.box(3, 3, 5, 27)], crs=CRS)
    given = Screening(here, {"buildings": house, "exclusions": flooded}, {})
    (named,) = cut_buildable_ground(here, given, even(plan, 3.0)).facts["ground_takers"]
    # The house takes all 336 m2; the yards 264; the flood zone 2 by 24 = 48 m2 (8%).
    assert named == "buildings, setbacks, flood zones"


def test_where_heights_end_or_are_missing_the_ground_is_not_known(sloping):
    # The columns reach from -20 to 10 m, so the east of the lot has no heights.
    short = sloping(0.3, cells=30)
    assert short.facts["pad_evidence"].tolist() == ["slope not known"]
    assert not short.facts["clear_known"].any()
    holed = sloping(0.3, east=lambda x: np.where(np.abs(x - 5) < 1, np.nan, 0.0))
    assert holed.facts["pad_evidence"].tolist() == ["slope not known"]


def test_a_lot_that_its_yards_use_up_is_known_to_have_no_ground(sites, plan):
    grid = Raster(np.zeros((60, 60)), Affine(1, 0, -20, 0, -1, 45), CRS, "m")
    here = sites([LOT])
    given = Screening(here, {}, {}, {"elevation": grid})
    ground = cut_buildable_ground(here, given, even(plan, 12.0))
    assert left_m2(ground) == 0
    assert ground.facts["clear_known"].all()


# ---------------------------------------------------------------------------------------------
# Bad input: each case has a defined answer


@pytest.mark.parametrize(
    ("lot", "area_m2", "machines"),
    [
        # A bow tie counts as its two wings, 200 m2 in total.
        (shapely.Polygon([(0, 0), (20, 20), (20, 0), (0, 20)]), 200, None),
        (shapely.Polygon([(0, 0), (30, 0), (0, 0)]), 0, 0),
        (shapely.Polygon(), 0, 0),
        # Two squares that touch at one point count separately.
        (shapely.MultiPolygon([shapely.box(0, 0, 9, 9), shapely.box(9, 9, 12, 12)]), 90, None),
        # A ring that touches itself.
        (shapely.Polygon([(0, 0), (20, 0), (20, 20), (10, 20), (10, 0), (5, 20)]), None, None),
    ],
)  # fmt: skip
def test_bad_parcels_have_a_defined_answer(ground_of, plan, lot, area_m2, machines):
    ground = ground_of([lot, LOT])
    found, upper = room.max_machines_that_fit(ground, GX230, plan)
    assert (found <= upper).all()
    assert found[1] == 25
    if area_m2 is not None:
        assert left_m2(ground) == pytest.approx(area_m2)
    if machines is not None:
        assert found[0] == machines
    assert shapely.is_valid(ground.shapes).all()


def test_a_building_larger_than_the_lot_leaves_nothing(ground_of, plan):
    ground = ground_of([LOT], buildings=[rotate(shapely.box(-30, -30, 60, 70), 20)])
    assert left_m2(ground) == 0
    assert room.max_machines_that_fit(ground, GX230, plan)[0].tolist() == [0]
    assert room.missing_room(ground, np.array([LOT]), GX230, plan)[0] >= 1


def test_a_missing_building_shape_is_passed_over(sites, layer, plan):
    here = sites([LOT])
    holes = layer([None, shapely.Polygon(), shapely.box(0, 0, 4, 4)], height_m=5.0)
    given = Screening(here, {"buildings": holes}, {"buildings": EVERYWHERE})
    ground = cut_buildable_ground(here, given, even(plan, 0.0))
    assert left_m2(ground) == pytest.approx(600 - 5.524**2)


# ---------------------------------------------------------------------------------------------
# Missing data never leaves more ground


def test_a_neighbor_of_unknown_use_may_be_a_home(yards, rules):
    assert left_m2(yards(None, rules=rules)) == left_m2(yards("residential", rules=rules))


def test_beyond_the_map_there_may_be_homes(yards, rules):
    by_homes = Setback(front_m=4, side_m=1, rear_m=2, home_m=9)
    deep = rules.model_copy(
        update={"pad": rules.pad.model_copy(update={"setbacks": {"other": by_homes}})}
    )
    # The lots are mapped, but without a street: no home is there, and the front's 4 m apply to
    # every side.
    assert left_m2(yards(rules=deep, street=False)) == pytest.approx(12 * 22)
    assert left_m2(yards(rules=deep, known=False)) == pytest.approx(2 * 12)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 90), st.floats(0, 3), st.floats(0, 3), st.floats(4, 16), st.floats(4, 26))
def test_a_larger_clearance_never_adds_a_machine_whatever_the_building(
    ground_of, plan, degrees, clearance_m, more_m, x, y
):
    shed = rotate(shapely.box(x - 3, y - 2, x + 3, y + 2), degrees)
    less, more = (
        room.max_machines_that_fit(ground_of([LOT], [shed], clearance_m=c), GX230, plan)[0][0]
        for c in (clearance_m, clearance_m + more_m)
    )
    assert more <= less
