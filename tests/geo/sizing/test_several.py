"""Several blocks on one parcel."""

import numpy as np
import pytest
import shapely
from shapely.affinity import rotate

from geo.criteria.noise.sound import level_dba
from geo.sizing import size
from tests.geo.conftest import BARE_MACHINE
from tests.geo.sizing.test_size import NO_TANKS, size_in

# A hall across the middle of a lot of 27 by 40 m leaves 21 by 3.4 m at either end, inside 3 m
# setbacks and 5 ft round the hall: one row each, of ten, 10 x 0.9144 + 11 x 0.9144 = 19.2 m.
LOT = shapely.box(0, 0, 27, 40)
HALL = shapely.box(0, 7.924, 27, 32.076)


def with_blocks(plan, most):
    return plan.model_copy(update={"pad": plan.pad.model_copy(update={"blocks_most": most})})


@pytest.mark.parametrize(("blocks", "n"), [(1, 10), (2, 20), (3, 20)])
@pytest.mark.parametrize("turned_deg", [0, 28])
def test_each_end_of_a_lot_takes_a_block_of_its_own(
    town, plain_market, plan, blocks, n, turned_deg
):
    both = rotate(shapely.GeometryCollection([LOT, HALL]), turned_deg, origin=(0, 0))
    some = town([both.geoms[0]], buildings=[both.geoms[1]])
    found, got = size_in(plain_market, some, with_blocks(plan, blocks))
    assert got.iloc[0][["n_lo", "n_hi"]].tolist() == [n, n]
    facts = size.describe(some.sites, some, found, got, NO_TANKS[:1], plain_market).iloc[0]
    assert facts["placed_n"] == n
    assert facts["pad_blocks"] == -(-n // 10)
    assert shapely.get_num_geometries(facts["machines"]) == n
    assert shapely.get_num_geometries(facts["block"]) == facts["pad_blocks"]
    # No two overlap, all on the ground.
    ground = found.scene.ground.shapes[0].buffer(0.002)
    assert ground.covers(facts["block"])
    bodies = shapely.union_all(shapely.get_parts(facts["machines"]))
    assert bodies.area == pytest.approx(n * 1.524 * 0.9144)


def test_fewer_than_one_block_holds_stand_in_one(town, plain_market, plan):
    some = town([LOT], buildings=[HALL])
    found, got = size_in(plain_market, some, with_blocks(plan, 2), fuel_lo=7)
    facts = size.describe(some.sites, some, found, got, NO_TANKS[:1], plain_market).iloc[0]
    assert (facts["placed_n"], facts["pad_blocks"]) == (7, 1)
    found, got = size_in(plain_market, some, with_blocks(plan, 2), fuel_lo=13)
    facts = size.describe(some.sites, some, found, got, NO_TANKS[:1], plain_market).iloc[0]
    assert (facts["placed_n"], facts["pad_blocks"]) == (13, 2)


def test_all_blocks_are_heard_together(town, plain_market, plan):
    # A home north of the lot, so far that one block passes easily and both together just do.
    home = shapely.box(-20, 62, 60, 80)
    some = town([LOT], homes=[home], buildings=[HALL])
    some.layers["buildings"]["height_m"] = np.nan  # of unknown height: nothing screens
    found, got = size_in(plain_market, some, with_blocks(plan, 2))
    n = int(got["n_lo"].iloc[0])
    assert 10 < n <= 20
    facts = size.describe(some.sites, some, found, got, NO_TANKS[:1], plain_market).iloc[0]
    assert facts["noise_slack_db"] >= 0
    # The level is that of every machine of both, where the home is nearest to one of the pads.
    source = [(*one.centroid.coords[0], 1.5) for one in facts["machines"].geoms]
    levels = []
    for pad in facts["block"].geoms:
        at = shapely.get_coordinates(shapely.shortest_line(pad.centroid, home))[1]
        each = level_dba(found.scene.sound, np.array(source), np.tile([*at, 1.5], (n, 1)))
        levels.append(10 * np.log10((10 ** (each / 10)).sum()))
    assert facts["level_dba"] == pytest.approx(max(levels), abs=0.01)
    assert BARE_MACHINE.level_dba == 69


def test_a_neighbour_who_is_due_less_stops_the_second_block(town, plain_market, plan):
    near = shapely.box(-20, 45, 60, 60)
    some = town([LOT], homes=[near], buildings=[HALL])
    one = size_in(plain_market, some, with_blocks(plan, 1))[1]["n_lo"].iloc[0]
    two = size_in(plain_market, some, with_blocks(plan, 2))[1]["n_lo"].iloc[0]
    assert one <= two < 20


def test_a_plan_of_one_block_has_no_others(town, plain_market, plan):
    found, _ = size_in(plain_market, town([LOT], buildings=[HALL]), plan)
    assert found.blocks_lo is None
    assert found.blocks_hi is None


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_on_a_bare_parcel_all_blocks_together_keep_to_the_open_ground(
    town, plain_market, plan, blocks
):
    # 3600 m2 of lot and 3560 m2 of building on record leave 40 m2, whatever the number of blocks.
    some = town([shapely.box(0, 0, 60, 60)], building_area_m2=3560.0, storeys=1.0)
    del some.layers["buildings"]
    taken = plan.assume.model_copy(update={"bare_parcel": True})
    rules = with_blocks(plan, blocks).model_copy(update={"assume": taken})
    found, got = size_in(plain_market, some, rules)
    facts = size.describe(some.sites, some, found, got, NO_TANKS[:1], plain_market).iloc[0]
    assert got["n_lo"].iloc[0] >= 3
    assert facts["block"].area <= 40.1
