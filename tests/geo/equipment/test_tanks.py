import itertools

import numpy as np
import pytest

from geo import catalogue
from geo.equipment.generator import fuel_demand
from geo.equipment.tanks import list_tank_groups, storage_days
from geo.errors import ConfigError

PROPANE, HYDROGEN = catalogue.read_fuels()["propane"], catalogue.read_fuels()["hydrogen"]
GX230 = catalogue.read_generators()["gx230"]
FOOT_M = 0.3048


def under(plan, **rules):
    return plan.model_copy(update={"fuel": plan.fuel.model_copy(update=rules)})


def test_a_tank_feeds_what_it_holds_for_the_days_between_deliveries(plan):
    found = {
        (one.count, one.container.capacity): one for one in list_tank_groups(PROPANE, GX230, plan)
    }
    large = found[1, 30_000]
    # 80 % of 30 000 gal over 72 hours is 333.3 gal/h; / 22.6 gal/h = 14.7 machines.
    assert large.flow == pytest.approx(30_000 * 0.8 / 72)
    assert large.feeds == 14
    assert (large.building_m, large.line_m) == (50 * FOOT_M, 50 * FOOT_M)
    assert large.pad_m == pytest.approx(10 * FOOT_M)
    # A single 1000 or 2000 gal tank does not last three days for one machine.
    assert (1, 1000) not in found
    assert (1, 2000) not in found


def test_several_tanks_keep_what_they_hold_together_and_a_distance_from_each_other(plan):
    found = {
        (one.count, one.container.capacity): one for one in list_tank_groups(PROPANE, GX230, plan)
    }
    two = found[2, 30_000]
    # For 60 000 gal, the table's row up to 70 000 gal gives 75 ft. Containers of up to 30 000 gal
    # each are 5 ft apart.
    assert (two.building_m, two.between_m) == pytest.approx((75 * FOOT_M, 5 * FOOT_M))
    assert two.width_m == pytest.approx(2 * 2.8 + 5 * FOOT_M)
    assert two.length_m == 20.1
    # Two of 2000 gal are 4000 gal: 50 ft, instead of 25 ft for one, and 3 ft between them.
    small = found[2, 2_000]
    assert (small.building_m, small.between_m) == pytest.approx((50 * FOOT_M, 3 * FOOT_M))


def test_groups_are_told_apart_by_what_they_feed(plan):
    many = list_tank_groups(PROPANE, GX230, under(plan, containers_most=6))
    feeds = [min(one.feeds, plan.cap) for one in many]
    assert feeds == sorted(set(feeds))
    assert feeds[-1] == plan.cap


def test_a_small_tank_alone_may_stand_nearer(plan):
    one = list_tank_groups(PROPANE, GX230, under(plan, autonomy_days={"propane": 1.0}))[0]
    # The 800 gal last a day for one machine that burns 542.4. Up to 1200 gal, 10 ft replace 25 ft.
    assert (one.count, one.container.capacity, one.feeds) == (1, 1000, 1)
    assert one.building_m == pytest.approx(10 * FOOT_M)


def test_without_a_vaporiser_a_tank_gives_what_it_boils_off(plan):
    # Each tank of 1000 gal gives 3.02 gal/h, so one machine needs eight. The rate of larger tanks
    # is not known.
    cold = under(plan, vaporiser=False, containers_most=12)
    assert [(one.count, one.feeds) for one in list_tank_groups(PROPANE, GX230, cold)] == [(8, 1)]
    assert list_tank_groups(PROPANE, GX230, under(plan, vaporiser=False)) == []


def test_hydrogen_keeps_fifty_feet_from_the_machines_and_says_nothing_of_lot_lines(plan):
    rules = under(plan, autonomy_days={"hydrogen": 1.0}, separation={"hydrogen": "h2"})
    (pair,) = list_tank_groups(HYDROGEN, GX230, rules)
    # 240 000 scf a day are 10 000 scfh, enough for one machine that burns 6360.
    assert (pair.count, pair.feeds, pair.line_m) == (2, 1, None)
    assert (pair.building_m, pair.pad_m) == pytest.approx((50 * FOOT_M, 50 * FOOT_M))


def test_a_group_lasts_at_least_the_plans_days_at_what_it_feeds(plan):
    each = fuel_demand(GX230, PROPANE)
    for rules in (plan, under(plan, containers_most=6, autonomy_days={"propane": 10.0})):
        groups = list_tank_groups(PROPANE, GX230, rules)
        assert groups
        usable = np.array([group.capacity * 0.8 for group in groups])
        feeds = np.array([group.feeds for group in groups])
        days = rules.fuel.autonomy_days["propane"]
        assert (storage_days(usable, feeds * each) >= days).all()
        # One more machine would empty the tanks before the next delivery.
        assert (storage_days(usable, (feeds + 1) * each) < days).all()


def test_a_tank_lasts_what_it_holds_over_what_is_burnt():
    # 24 000 gal divided by 14 x 22.6 gal/h x 24 h = 7593.6 gal a day, by one machine's 542.4 gal a
    # day, and by nothing.
    days = storage_days(np.full(3, 24_000.0), np.array([14, 1, 0]) * 22.6)
    assert days[:2] == pytest.approx([3.1605, 44.2478], abs=1e-4)
    assert np.isnan(days[2])


def test_a_thirstier_machine_is_never_fed_more(plan):
    fed = []
    for efficiency in (0.38, 0.33, 0.25):
        machine = GX230.model_copy(update={"efficiency": efficiency})
        groups = list_tank_groups(PROPANE, machine, plan)
        fed.append({(one.count, one.container.capacity): one.feeds for one in groups})
    for frugal, thirsty in itertools.pairwise(fed):
        assert all(frugal.get(key, count) >= count for key, count in thirsty.items())


def test_longer_between_deliveries_never_feeds_more(plan):
    feeds = []
    for days in (1, 2, 3, 7, 14):
        groups = list_tank_groups(
            PROPANE, GX230, under(plan, autonomy_days={"propane": float(days)})
        )
        feeds.append({(one.count, one.container.capacity): one.feeds for one in groups})
    for sooner, later in itertools.pairwise(feeds):
        assert all(sooner.get(key, later[key]) >= later[key] for key in later)


def test_a_plan_that_does_not_say_how_long_it_lasts_is_refused(plan):
    with pytest.raises(ConfigError, match=r"autonomy_days.propane is None"):
        list_tank_groups(PROPANE, GX230, under(plan, autonomy_days={}))
    with pytest.raises(ConfigError, match=r"separation.propane is 'h24'"):
        list_tank_groups(PROPANE, GX230, under(plan, separation={"propane": "h24"}))
