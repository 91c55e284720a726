import numpy as np
import pytest
import shapely

from geo import catalogue
from geo.criteria.noise.sound import rerating_db
from geo.equipment.tanks import list_tank_groups
from geo.sizing.resizing import resize_beside_tanks, resize_under_clearance, resize_with_source
from tests.geo.sizing.conftest import GX230, LOT, crowd, home_at

ONE = np.arange(1)


def beside_home(town):
    return town([shapely.box(0, 0, 20, 20)], homes=[shapely.box(20, 0, 40, 20)])


def test_a_wall_and_a_rating_nearer_by_let_more_run(town, sized, plan):
    plain, _ = sized(beside_home(town), plan)
    walled = resize_with_source(plain, ONE, wall_m=3.0)
    assert plan.cap >= walled[0] > plain.place_lo[0]
    # The level is 16.9 dB lower, so the ground is what limits the number.
    gain_db = rerating_db(GX230, 1.0)
    assert gain_db == pytest.approx(-20 * np.log10(7))
    rated = resize_with_source(plain, ONE, gain_db=gain_db)
    assert rated[0] == plain.pad_n[0] > walled[0] or walled[0] == plain.pad_n[0]
    assert {one.wall_height_m for one in plan.levers.values()} >= {3.0}


def test_three_decibels_less_let_twice_as_many_run(town, sized, plan):
    # The lot is narrow, so that a larger block stands hardly nearer: 25 machines are 46.6 m long.
    lot, home = shapely.box(0, 0, 10, 60), shapely.box(20, -200, 60, 260)
    plain, _ = sized(town([lot], homes=[home]), plan)
    n = plain.place_lo[0]
    assert 2 <= n <= 8
    twice = resize_with_source(plain, ONE, gain_db=-10 * np.log10(2))[0]
    assert 2 * n <= twice <= 2 * n + 3


def test_a_louder_source_allows_no_more_and_the_same_source_the_same(town, sized, plan):
    lots, homes, sheds = crowd(20, 31)
    found, _ = sized(town(lots, homes=homes, buildings=sheds), plan)
    every = np.arange(20)
    same = resize_with_source(found, every)
    assert (same >= found.held_lo).all()
    assert (same <= found.held_lo + 1).all()
    louder = resize_with_source(found, every, gain_db=3.0)
    assert (louder <= found.held_lo).all()
    assert (louder < found.held_lo).any()
    quieter = resize_with_source(found, every, gain_db=-3.0)
    assert (quieter >= found.held_lo).all()
    assert (quieter > found.held_lo).any()
    assert (quieter <= found.pad_n).all()
    walled = resize_with_source(found, every, wall_m=3.0)
    assert (walled >= found.held_lo).all()
    assert (walled > found.held_lo).any()


def test_only_the_sites_that_are_asked_for_are_sized_again(town, sized, plan):
    lots, homes, sheds = crowd(20, 31)
    found, _ = sized(town(lots, homes=homes, buildings=sheds), plan)
    every = resize_with_source(found, np.arange(20), wall_m=3.0)
    some = np.array([17, 3, 8])
    assert resize_with_source(found, some, wall_m=3.0).tolist() == every[some].tolist()


def test_no_lever_helps_where_a_fact_is_missing(town, sized, plan):
    bare = town([LOT], homes=[home_at(0)])
    del bare.layers["buildings"]
    found, _ = sized(bare, plan)
    assert found.held_lo[0] > 0
    assert resize_with_source(found, ONE, wall_m=3.0).tolist() == [0]
    assert resize_with_source(found, ONE, gain_db=3.0).tolist() == [0]


def test_a_smaller_setback_makes_room(town, sized, plan):
    # A lot of 10 by 10 m leaves 4 by 4 m, room for one. One meter from the line leaves 8 by 8 m:
    # 3 columns of 0.9144 m take 6.4 m and 2 rows 5.8 m, so six fit, and no more columns or rows.
    lot = shapely.box(0, 0, 10, 10)
    some = town([lot])
    found, _ = sized(some, plan)
    assert found.pad_n.tolist() == [1]
    nearer = plan.model_copy(update={"pad": plan.pad.model_copy(update={"setback_most_m": 1.0})})
    eased = resize_under_clearance(found, some.sites, some, ONE, nearer)
    alone, _ = sized(some, nearer)
    assert eased.tolist() == alone.pad_n.tolist()
    assert eased[0] >= 6


def test_other_clearances_never_leave_fewer(town, sized, plan):
    lots, homes, sheds = crowd(20, 31)
    some = town(lots, homes=homes, buildings=sheds)
    found, _ = sized(some, plan)
    every = np.arange(20)
    pad = plan.pad.model_copy(update={"building_clearance_m": 0.4572})
    closer = resize_under_clearance(
        found, some.sites, some, every, plan.model_copy(update={"pad": pad})
    )
    assert (closer >= found.held_lo).all()
    assert (closer > found.held_lo).any()
    # A wider clearance is no lever: what is known to fit stays. Asked once more, the search may
    # find a place for one more that it missed, at no more than one of these sites.
    pad = plan.pad.model_copy(update={"building_clearance_m": 6.0})
    wider = resize_under_clearance(
        found, some.sites, some, every, plan.model_copy(update={"pad": pad})
    )
    more = wider - found.held_lo
    assert (more >= 0).all()
    assert more.sum() <= 1


def test_a_lever_leaves_a_bare_parcel_no_more_than_its_tanks_do(town, sized, plan):
    # 60 m2 are open. Tanks take part of that area, and a smaller setback does not return it.
    some = town([shapely.box(0, 0, 60, 60)], building_area_m2=3540.0, storeys=1.0)
    del some.layers["buildings"]
    taken = plan.assume.model_copy(update={"bare_parcel": True})
    rules = plan.model_copy(update={"assume": taken})
    found, _ = sized(some, rules)
    groups = list_tank_groups(
        catalogue.read_fuels()["propane"], catalogue.read_generators()["gx230"], rules
    )
    beside, kept = resize_beside_tanks(found, some.sites, some, groups)
    assert kept.body[0] is not None
    nearer = rules.model_copy(update={"pad": rules.pad.model_copy(update={"setback_most_m": 1.0})})
    eased = resize_under_clearance(beside, some.sites, some, ONE, nearer)
    assert eased.tolist() == beside.pad_n.tolist()
    assert eased[0] < found.pad_n[0]


def test_other_clearances_of_a_site_do_not_depend_on_who_else_is_asked_for(town, sized, plan):
    lots, homes, sheds = crowd(20, 31)
    some = town(lots, homes=homes, buildings=sheds)
    found, _ = sized(some, plan)
    closer = plan.model_copy(
        update={"pad": plan.pad.model_copy(update={"building_clearance_m": 0.4572})}
    )
    every = resize_under_clearance(found, some.sites, some, np.arange(20), closer)
    for few in ([17, 19], [0], [3, 8, 12]):
        asked = resize_under_clearance(found, some.sites, some, np.array(few), closer)
        assert asked.tolist() == every[few].tolist()
