from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from geo.criteria.noise.sound import level_dba, open_field_dba
from geo.model import Assume, GroundFactors
from geo.sizing.kernel.verification import NOBODY, OWN_DWELLING
from geo.sizing.siting import describe_levels, size_sites
from tests.geo.criteria.noise.conftest import (
    GX230,
    place,
    random_town,
    receptors,
    sound_of,
    under,
)
from tests.geo.sizing.blocks import (
    context_of,
    judge_blocks,
    levels_at_points,
    loudest_by_hand,
    margins_by_hand,
)

LOT = shapely.box(0, 0, 40, 40)
BESIDE = shapely.box(40, 0, 80, 40)
RULES = (None, "colorado", "massachusetts", "new_jersey", "hud")
SLOW = [HealthCheck.too_slow]
MARGINS = ["margin_plan_db", "margin_rule_db"]


def judged(given_town, market, plan, *placed, **case):
    context = context_of(given_town, market, plan)
    return judge_blocks(context, pd.concat(placed, ignore_index=True), **case)


def reaching(plan, reach_m):
    noise = plan.noise.model_copy(update={"report_reach_m": reach_m})
    return plan.model_copy(update={"noise": noise})


def walled_to(plan, wall_m):
    """Return the plan with a noise wall of another height among its levers."""
    wall = plan.levers["wall"].model_copy(update={"wall_height_m": wall_m})
    return plan.model_copy(update={"levers": {**plan.levers, "wall": wall}})


@pytest.fixture(scope="module")
def plain(market):
    return under(market, None)


# ---------------------------------------------------------------------------------------------
# Levels


@pytest.mark.parametrize(
    ("count", "columns", "off"),
    [
        (1, 1, [(0, 0)]),
        # Columns are 1.8288 m apart and rows 2.4384 m, and the first row is full.
        (2, 2, [(-0.9144, 0), (0.9144, 0)]),
        (4, 2, [(-0.9144, -1.2192), (0.9144, -1.2192), (-0.9144, 1.2192), (0.9144, 1.2192)]),
        (5, 3, [(-1.8288, -1.2192), (0, -1.2192), (1.8288, -1.2192), (-1.8288, 1.2192),
                (0, 1.2192)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("degrees", [0.0, 90.0])
@pytest.mark.parametrize("at", [(20, 20), (37, 20), (33, 6.3)])
def test_every_machine_counts_by_its_energy_from_its_own_place(
    town, plain, plan, count, columns, off, degrees, at
):
    given_town = town([LOT], homes=[BESIDE])
    pad = place(*at, count, columns=columns, degrees=degrees)
    row = judged(given_town, plain, plan, pad).iloc[0]
    turned = [(x, y) if degrees == 0 else (-y, x) for x, y in off]
    source = np.array([(at[0] + x, at[1] + y, 1.5) for x, y in turned])
    # The points on the line x = 40 are 2.5 m apart, and the loudest of them governs.
    sums = []
    for y in np.arange(0, 40.1, 2.5):
        each = level_dba(sound_of(given_town, plan), source, np.tile([40.0, y, 1.5], (count, 1)))
        sums.append(10 * np.log10((10 ** (each / 10)).sum()))
    assert row["level_dba"] == pytest.approx(max(sums), abs=1e-6)
    assert row["limit_dba"] == 69
    assert row["margin_plan_db"] == pytest.approx(69 - max(sums), abs=1e-6)
    assert row["margin_rule_db"] == np.inf


def test_the_governing_point_is_the_nearest_of_a_straight_line(town, plain, plan):
    # 6.3 m along, the nearest point is 7.5 m along; 11 m from the line that is 1.2 m off the foot.
    context = context_of(town([LOT], homes=[BESIDE]), plain, plan)
    row = judge_blocks(context, place(29, 6.3)).iloc[0]
    assert context.points.xy[int(row["point"])].tolist() == [40, 7.5]
    away = np.hypot(11, 1.2)
    level = open_field_dba(context.sound, np.array([away]), 1.5)[0]
    assert row["level_dba"] == pytest.approx(level, abs=1e-6)


def test_four_machines_far_off_are_six_decibels_over_one(town, plain, plan):
    given_town = town([LOT], homes=[shapely.box(540, 0, 580, 40)])
    found = judged(given_town, plain, reaching(plan, 600.0), place(20, 20), place(20, 20, 4))
    assert found["level_dba"].diff()[1] == pytest.approx(10 * np.log10(4), abs=0.01)


def test_several_limits_and_who_governs(town, market, plan):
    # The limit is 50 dB(A) at the home and 55 at the business, both measured 7.62 m beyond the
    # line. From the middle both are as far, so that the home's lower limit governs. Nearer the
    # business it is 39.62 m and 15.62 m: 20 lg(39.62 / 15.62) = 8.1 dB, more than 5.
    home, office = shapely.box(47.38, 0, 80, 40), shapely.box(-40, 0, -7.62, 40)
    given_town = town([LOT])
    given_town.layers["receptors"] = receptors([home, office], ["home", "commercial"])
    context = context_of(given_town, market, plan)
    for x, governs in ((20.0, "home"), (8.0, "commercial")):
        row = judge_blocks(context, place(x, 20)).iloc[0]
        margins = {
            "home": 50 - open_field_dba(context.sound, np.array([47.62 - x]), 1.5)[0],
            "commercial": 55 - open_field_dba(context.sound, np.array([x + 7.62]), 1.5)[0],
        }
        assert min(margins, key=lambda name: margins[name]) == governs
        assert context.pairs.column("receptor_class")[int(row["pair"])] == governs
        assert row["margin_rule_db"] == pytest.approx(margins[governs], abs=1e-6)
        # The plan's limit applies only to the home, at its lot line.
        own = 69 - open_field_dba(context.sound, np.array([47.38 - x]), 1.5)[0]
        assert row["margin_plan_db"] == pytest.approx(own, abs=1e-6)
        assert row["margin_db"] == min(row["margin_plan_db"], row["margin_rule_db"])
        assert row["limit_dba"] == {"home": 50, "commercial": 55}[governs]
        assert row["level_dba"] == pytest.approx(row["limit_dba"] - row["margin_db"])


def test_nobody_in_reach_is_no_level_not_a_low_one(town, market, plan):
    row = judged(town([LOT]), market, plan, place(20, 20)).iloc[0]
    assert row["pair"] == NOBODY
    assert np.isnan(row[["level_dba", "limit_dba"]].astype(float)).all()
    assert row["margin_db"] == np.inf


def test_no_machine_running_is_no_level_either(town, market, plan):
    pad = place(20, 20).assign(count=0)
    row = judged(town([LOT], homes=[BESIDE]), market, plan, pad).iloc[0]
    assert (row["pair"], row["margin_db"]) == (NOBODY, np.inf)


def test_a_nearer_home_behind_a_building_does_not_govern(town, plain, plan):
    # One home is 20 m east behind a long hall that reflects nothing, one 30 m west in the open.
    hall = shapely.box(34, -60, 38, 100)
    homes = [BESIDE, shapely.box(-40, 0, -10, 40)]
    still = plan.model_copy(
        update={"noise": plan.noise.model_copy(update={"wall_absorption": 1.0})}
    )
    given_town = town([LOT], homes=homes, buildings=[hall])
    given_town.layers["buildings"]["height_m"] = 15.0
    context = context_of(given_town, plain, still)
    row = judge_blocks(context, place(20, 20)).iloc[0]
    assert context.pairs.column("receptor_id")[int(row["pair"])] == "H1"
    assert context.points.xy[int(row["point"])].tolist() == [-10, 20]
    level = open_field_dba(context.sound, np.array([30.0]), 1.5)[0]
    assert row["level_dba"] == pytest.approx(level, abs=1e-6)
    # Without the hall, the nearer home governs.
    context = context_of(town([LOT], homes=homes), plain, still)
    row = judge_blocks(context, place(20, 20)).iloc[0]
    assert context.pairs.column("receptor_id")[int(row["pair"])] == "H0"


def test_homes_at_an_assumed_distance_govern_where_they_hear_most(town, plain, plan):
    given_town = town([LOT], homes=[shapely.box(45, 0, 80, 40)], own_dwelling=True)
    for assumed, pair, away_m, height_m in ((10.0, OWN_DWELLING, 10, 4.0), (60.0, 0, 25, 1.5)):
        taken = plan.model_copy(update={"assume": Assume(own_dwelling_at_m=assumed)})
        context = context_of(given_town, plain, taken)
        row = judge_blocks(context, place(20, 20, 4)).iloc[0]
        assert row["pair"] == pair
        one = open_field_dba(context.sound, np.array([float(away_m)]), height_m)[0]
        level = one + 10 * np.log10(4)
        assert row["level_dba"] == pytest.approx(level, abs=1e-6 if pair < 0 else 0.05)
        assert row["limit_dba"] == 69


def test_only_certain_receptors_count_in_the_best_case(town, plain, plan):
    # The layer ends 5 m east of the lot, and one home is 30 m west.
    given_town = town(
        [LOT], homes=[shapely.box(-50, 0, -10, 40)], coverage=shapely.box(-500, -500, 45, 500)
    )
    context = context_of(given_town, plain, plan)
    worst, best = (judge_blocks(context, place(20, 20), worst=one).iloc[0] for one in (True, False))
    assert worst["level_dba"] == pytest.approx(
        open_field_dba(context.sound, np.array([25.0]), 1.5)[0], abs=0.05
    )
    assert best["level_dba"] == pytest.approx(
        open_field_dba(context.sound, np.array([30.0]), 1.5)[0], abs=1e-6
    )


# ---------------------------------------------------------------------------------------------
# Work that bounds save does not change results


def several(rng, sites):
    """Return placements of 1 to 25 machines near the middle of each site."""
    found = []
    for site, shape in enumerate(sites.geometry):
        for _ in range(4):
            at = shapely.point_on_surface(shape)
            x, y = np.array([at.x, at.y]) + rng.uniform(-2, 2, 2)
            count = int(rng.choice([1, 2, 5, 12, 25]))
            found.append(place(x, y, count, degrees=rng.uniform(0, 180), site=site))
    return pd.concat(found, ignore_index=True)


@pytest.mark.parametrize("wall_m", [0.0, 3.0])
@pytest.mark.parametrize("rule", RULES)
def test_given_blocks_are_as_loud_as_the_slow_sum_at_every_point(town, market, plan, rule, wall_m):
    wrong, named = [], 0
    for seed in range(100, 103):
        given_town, rng = random_town(town, seed)
        context = context_of(given_town, under(market, rule), plan)
        loud = replace(context.sound, wall_height_m=wall_m or None)
        placed = several(rng, given_town.sites)
        heard = [loudest_by_hand(context, one, loud) for _, one in placed.iterrows()]
        for worst in (True, False):
            got = judge_blocks(context, placed, worst=worst, wall_m=wall_m)
            for nth, one in placed.iterrows():
                expected = margins_by_hand(context, one, heard[nth], worst=worst)
                margins = got.loc[nth, MARGINS].to_numpy(dtype=float)
                named += int(np.isfinite(expected).sum())
                if not np.allclose(margins, expected, rtol=0, atol=0.01):
                    wrong.append((seed, worst, nth, margins.tolist(), expected.tolist()))
    assert wrong == []
    assert named > 50


@pytest.mark.parametrize("rule", RULES)
def test_published_blocks_are_as_loud_as_the_slow_sum_at_every_point(town, market, plan, rule):
    wrong, looked = [], 0
    for seed in range(200, 212):
        given_town, _ = random_town(town, seed)
        market_ = under(market, rule)
        found = size_sites(
            given_town.sites, given_town, sound_of(given_town, plan), GX230, market_, plan
        )
        context = found.context
        for site, row in enumerate(found.block_lo.place):
            if row[0] < 0 or found.held_lo[site] == 0:
                continue
            one = context.search.layouts.iloc[int(row[0])]
            x, y = row[1:3] + context.origin
            placed = pd.Series(
                {
                    "site": site, "count": int(row[4]), "x": x, "y": y, "rows": one["rows"],
                    "degrees": np.degrees(row[3]), "columns": one["columns"],
                    "length_m": one["length_m"], "width_m": one["width_m"],
                }
            )  # fmt: skip
            assert placed["count"] == found.held_lo[site]
            got = describe_levels(context, found.block_lo.take(np.array([site])))
            expected = margins_by_hand(context, placed, loudest_by_hand(context, placed))
            looked += 1
            margins = got.loc[0, MARGINS].to_numpy(dtype=float)
            # What is published also meets every limit at every point.
            if not np.allclose(margins, expected, rtol=0, atol=0.01) or expected.min() < -1e-6:
                wrong.append((seed, site, margins.tolist(), expected.tolist()))
    assert wrong == []
    assert looked > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_level_at_the_governing_point_is_the_sum_there(town, market, plan, seed):
    given_town, rng = random_town(town, 300 + seed)
    context = context_of(given_town, market, plan)
    placed = several(rng, given_town.sites)
    found = judge_blocks(context, placed)
    named = np.flatnonzero(found["pair"] >= 0)
    assert len(named)
    for nth in named:
        pair, point = (int(found[name][nth]) for name in ("pair", "point"))
        again = levels_at_points(context, placed.iloc[nth], pair)
        assert found["level_dba"][nth] == pytest.approx(
            again[point - context.points.begin[pair]], abs=1e-6
        )


# ---------------------------------------------------------------------------------------------
# Properties that are true everywhere


@settings(deadline=None, max_examples=40, suppress_health_check=SLOW)
@given(st.floats(5, 60), st.floats(0, 60), st.integers(1, 12), st.floats(0, 180))
def test_farther_is_never_louder_and_one_more_never_quieter(
    town, plain, plan, near_m, more_m, running, degrees
):
    # Twelve machines in one column are 31 m long, so the pad stays on its lot at any angle.
    def level(away_m, count):
        homes = [shapely.box(40 + away_m, -500, 900, 500)]
        pad = place(20, 20, count, columns=1, degrees=degrees)
        return judged(town([LOT], homes=homes), plain, wide, pad)["level_dba"][0]

    wide = reaching(plan, 300.0)
    assert level(near_m + more_m, running) <= level(near_m, running) + 1e-9
    assert level(near_m, running + 1) >= level(near_m, running)


@settings(deadline=None, max_examples=40, suppress_health_check=SLOW)
@given(st.floats(0, 80), st.integers(1, 25), st.floats(0.5, 6), st.floats(0, 180))
def test_a_wall_around_the_pad_is_never_louder(town, plain, plan, away_m, running, wall_m, degrees):
    wide = walled_to(reaching(plan, 300.0), wall_m)
    given_town = town([LOT], homes=[shapely.box(40 + away_m, -500, 900, 500)])
    pad = place(20, 20, running, degrees=degrees)
    bare, walled = (
        judged(given_town, plain, wide, pad, wall_m=height)["level_dba"][0]
        for height in (0.0, wall_m)
    )
    assert walled <= bare + 1e-9


def test_a_wall_is_one_meter_outside_the_pad_and_screens_by_its_top(town, plain, plan):
    # A block of one machine is 2.7432 m long: the wall is 2.3716 m from the machine and 3 m high.
    given_town = town([LOT], homes=[shapely.Point(45, 20)])
    pad = place(20, 20)
    walled = judged(given_town, plain, plan, pad, wall_m=3.0)["level_dba"][0]
    source, receiver = np.array([[20.0, 20, 1.5]]), np.array([[45.0, 20, 1.5]])
    loud = replace(sound_of(given_town, plan), wall_height_m=3.0)
    expected = level_dba(loud, source, receiver, np.array([2.7432 / 2 + 1]))[0]
    assert walled == pytest.approx(expected, abs=1e-6)
    assert walled < judged(given_town, plain, plan, pad)["level_dba"][0] - 5
    # A wall at the machines' height, 1.5 m, is not in the way.
    low = judged(given_town, plain, walled_to(plan, 1.5), pad, wall_m=1.5)["level_dba"][0]
    assert low == pytest.approx(judged(given_town, plain, plan, pad)["level_dba"][0], abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_every_level_is_finite_and_not_below_nothing(town, market, plan, seed):
    given_town, rng = random_town(town, 500 + seed)
    # Some pads stand inside buildings, on neighbors' lots and on top of receptors.
    placed = several(rng, given_town.sites)
    placed["x"] += rng.uniform(-15, 15, len(placed))
    factors = GroundFactors(source=1, middle=1, receiver=1)
    soft = plan.model_copy(update={"noise": plan.noise.model_copy(update={"ground": factors})})
    for rule in RULES:
        for rules in (plan, soft):
            found = judged(given_town, under(market, rule), rules, placed)
            somebody = found["pair"] != NOBODY
            told = found.loc[somebody, ["level_dba", "limit_dba", "margin_db"]]
            assert np.isfinite(told.to_numpy(dtype=float)).all()
            assert (found.loc[somebody, "level_dba"] > 0).all()
            assert not np.isnan(found[MARGINS]).to_numpy().any()
            assert (found[MARGINS] > -np.inf).to_numpy().all()


def test_turning_and_moving_everything_changes_no_level(town, market, plan):
    # No edge is a multiple of a step, where the last digit decides how often it is divided.
    lot = shapely.box(0, 0, 39, 41)
    homes = [shapely.box(39, 0, 80, 41), shapely.box(-61, 0, -20, 31)]
    hall = shapely.box(30, 5, 36, 20)

    def moved(shape):
        return translate(rotate(shape, 37, origin=(0, 0)), 230_000, 900_000)

    everywhere = shapely.box(-1e7, -1e7, 1e7, 1e7)
    here = town([lot], homes=homes, buildings=[hall])
    there = town(
        [moved(lot)], homes=list(map(moved, homes)), buildings=[moved(hall)], coverage=everywhere
    )
    at = moved(shapely.Point(15, 20))
    pads = place(15, 20, 6), place(at.x, at.y, 6, degrees=37.0)
    levels = [
        judged(given_town, market, plan, pad)["level_dba"][0]
        for given_town, pad in zip((here, there), pads, strict=True)
    ]
    assert levels[1] == pytest.approx(levels[0], abs=0.001)
