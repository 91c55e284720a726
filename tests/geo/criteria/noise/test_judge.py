from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from geo.criteria.noise import judge
from geo.criteria.noise.sound import level_dba, open_field_dba
from geo.model import Assume, GroundFactors
from tests.geo.criteria.noise.conftest import (
    GX230,
    heard,
    place,
    random_town,
    receptors,
    sound_of,
    under,
)

LOT = shapely.box(0, 0, 40, 40)
BESIDE = shapely.box(40, 0, 80, 40)
TOWNS = 50
RULES = (None, "colorado", "massachusetts", "new_jersey", "hud")
JUDGED = ["margin_plan_db", "margin_rule_db", "margin_db", "level_dba", "limit_dba",
          "receptor_distance_m"]  # fmt: skip


def judged(given_town, market, plan, *placed, thorough=False, wall_m=None):
    who, loud = heard(given_town, market, plan)
    loud = replace(loud, wall_height_m=wall_m)
    pads = pd.concat(placed, ignore_index=True)
    return judge.judge_placements(pads, who, loud, GX230, plan, thorough=thorough)


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
def test_every_machine_counts_by_its_energy_from_its_own_place(
    town, plain, plan, count, columns, off, degrees
):
    given_town = town([LOT], homes=[BESIDE])
    row = judged(given_town, plain, plan, place(20, 20, count, columns=columns, degrees=degrees))
    turned = [(x, y) if degrees == 0 else (-y, x) for x, y in off]
    # The level is measured at (40, 20), the point of the home's lot nearest to the block's middle.
    source = np.array([(20 + x, 20 + y, 1.5) for x, y in turned])
    receiver = np.tile([40.0, 20.0, 1.5], (count, 1))
    each = level_dba(sound_of(given_town, plan), source, receiver)
    assert row["level_dba"][0] == pytest.approx(10 * np.log10((10 ** (each / 10)).sum()), abs=1e-9)
    assert row["receptor_distance_m"][0] == pytest.approx(20)


def test_four_machines_far_off_are_six_decibels_over_one(town, plain, plan):
    given_town = town([LOT], homes=[shapely.box(540, 0, 580, 40)])
    near = plan.model_copy(
        update={"noise": plan.noise.model_copy(update={"report_reach_m": 600.0})}
    )
    found = judged(given_town, plain, near, place(20, 20), place(20, 20, 4))
    assert found["level_dba"].diff()[1] == pytest.approx(10 * np.log10(4), abs=0.01)


def test_several_limits_and_who_governs(town, market, plan):
    # The limit is 50 dB(A) at the home, 35 m away, and 55 at the business, 20 m away. The home's
    # limit is 5 dB lower, and the level there is 20 lg(35 / 20) = 4.9 dB lower.
    home, office = shapely.box(47.38, 0, 80, 40), shapely.box(-40, 0, -7.62, 40)
    given_town = town([LOT])
    given_town.layers["receptors"] = receptors([home, office], ["home", "commercial"])
    for x, governs in ((20.0, "home"), (8.0, "commercial")):
        who, loud = heard(given_town, market, plan)
        row = judge.judge_placements(place(x, 20), who, loud, GX230, plan).iloc[0]
        margins = {
            "home": 50 - open_field_dba(loud, np.array([47.38 + 0.24 - x]), 1.5)[0],
            "commercial": 55 - open_field_dba(loud, np.array([x + 7.62]), 1.5)[0],
        }
        assert min(margins, key=lambda name: margins[name]) == governs
        assert who.column("receptor_class")[int(row["receptor"])] == governs
        assert row["margin_rule_db"] == pytest.approx(margins[governs], abs=1e-6)
        # The plan's limit applies only to the home, at its lot line.
        own = 69 - open_field_dba(loud, np.array([47.38 - x]), 1.5)[0]
        assert row["margin_plan_db"] == pytest.approx(own)
        assert row["margin_db"] == min(row["margin_plan_db"], row["margin_rule_db"])
        assert row["level_dba"] == pytest.approx(row["limit_dba"] - row["margin_db"])


def test_nobody_in_reach_is_no_level_not_a_low_one(town, market, plan):
    row = judged(town([LOT]), market, plan, place(20, 20)).iloc[0]
    assert row["receptor"] == judge.NO_RECEPTOR
    assert np.isnan(row[["level_dba", "limit_dba", "receptor_distance_m"]].astype(float)).all()
    assert row["margin_db"] == np.inf


def test_no_machine_running_is_no_level_either(town, market, plan):
    row = judged(town([LOT], homes=[BESIDE]), market, plan, place(20, 20).assign(count=0)).iloc[0]
    assert (row["receptor"], row["margin_db"]) == (judge.NO_RECEPTOR, np.inf)


def test_a_nearer_home_behind_a_building_does_not_govern(town, plain, plan):
    # One home is 20 m east behind a long hall that reflects nothing, one 30 m west in the open.
    hall = shapely.box(34, -60, 38, 100)
    homes = [BESIDE, shapely.box(-40, 0, -10, 40)]
    still = plan.model_copy(
        update={"noise": plan.noise.model_copy(update={"wall_absorption": 1.0})}
    )
    given_town = town([LOT], homes=homes, buildings=[hall])
    given_town.layers["buildings"]["height_m"] = 15.0
    who, loud = heard(given_town, plain, still)
    row = judge.judge_placements(place(20, 20), who, loud, GX230, still).iloc[0]
    assert who.column("receptor_id")[int(row["receptor"])] == "H1"
    assert row["receptor_distance_m"] == pytest.approx(30)
    assert row["level_dba"] == pytest.approx(open_field_dba(loud, np.array([30.0]), 1.5)[0])
    # Without the hall, the nearer home governs.
    who, loud = heard(town([LOT], homes=homes), plain, still)
    row = judge.judge_placements(place(20, 20), who, loud, GX230, still).iloc[0]
    assert who.column("receptor_id")[int(row["receptor"])] == "H0"


def test_homes_at_an_assumed_place_govern_where_they_hear_most(town, plain, plan):
    given_town = town([LOT], homes=[shapely.box(45, 0, 80, 40)], own_dwelling=True)
    for assumed, receptor in ((10.0, judge.OWN_DWELLING), (60.0, 0)):
        taken = plan.model_copy(update={"assume": Assume(own_dwelling_at_m=assumed)})
        row = judged(given_town, plain, taken, place(20, 20)).iloc[0]
        assert row["receptor"] == receptor
        assert row["receptor_distance_m"] == pytest.approx(
            10 if receptor == judge.OWN_DWELLING else 25
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


@dataclass
class Work:
    """How many pairs of placement and receptor the full model evaluated, and with how many rays."""

    pairs: int = 0
    rays: int = 0


@contextmanager
def count_full_model(monkeypatch):
    """Count what the full model evaluates; bounds do not count."""
    work, original = Work(), judge._add_machines

    def count_and_add(case, of, at, height_m, one_dba):
        if one_dba is level_dba:
            work.pairs += len(of)
            work.rays += int(case.running[of].sum())
        return original(case, of, at, height_m, one_dba)

    with monkeypatch.context() as patch:
        patch.setattr(judge, "_add_machines", count_and_add)
        yield work


@pytest.mark.parametrize("wall_m", [None, 3.0])
@pytest.mark.parametrize("rule", RULES)
def test_the_short_way_is_the_long_way(town, market, plan, rule, wall_m, monkeypatch):
    short_rays, long_rays, limits = 0, 0, set()
    for seed in range(TOWNS // len(RULES)):
        given_town, rng = random_town(town, 100 + seed)
        who, loud = heard(given_town, under(market, rule), plan)
        loud = replace(loud, wall_height_m=wall_m)
        placed = several(rng, given_town.sites)
        with count_full_model(monkeypatch) as short_work:
            short = judge.judge_placements(placed, who, loud, GX230, plan)
        with count_full_model(monkeypatch) as full_work:
            full = judge.judge_placements(placed, who, loud, GX230, plan, thorough=True)
        np.testing.assert_allclose(short[JUDGED], full[JUDGED], rtol=0, atol=1e-9)
        assert short["receptor"].tolist() == full["receptor"].tolist()
        holds, over = judge.meets_limits(placed, who, loud, GX230, plan)
        assert holds.tolist() == (full["margin_db"] >= 0).tolist()
        assert (over[holds] == judge.NO_RECEPTOR).all()
        guessed = judge.judge_placements(placed, who, loud, GX230, plan, None, over)
        np.testing.assert_allclose(guessed[JUDGED], full[JUDGED], rtol=0, atol=1e-9)
        assert guessed["receptor"].tolist() == full["receptor"].tolist()
        receptors_of_site = np.bincount(who.site, minlength=len(given_town.sites))
        assert full_work.pairs == receptors_of_site[placed["site"]].sum()
        assert short_work.pairs <= full_work.pairs
        short_rays, long_rays = short_rays + short_work.rays, long_rays + full_work.rays
        limits |= set(full["limit_dba"].dropna())
    assert short_rays < 0.6 * long_rays
    assert len(limits) >= {None: 1, "hud": 1}.get(rule, 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_level_again_at_the_governing_receptor_is_the_same(town, market, plan, seed):
    given_town, rng = random_town(town, 300 + seed)
    who, loud = heard(given_town, market, plan)
    placed = several(rng, given_town.sites)
    found = judge.judge_placements(placed, who, loud, GX230, plan)
    named = np.flatnonzero(found["receptor"] >= 0)
    receptor = found["receptor"].to_numpy()[named]
    again = judge.level_at_receptor(placed.iloc[named], receptor, who, loud, GX230, plan)
    assert again == pytest.approx(found["level_dba"].to_numpy()[named], abs=1e-9)


# ---------------------------------------------------------------------------------------------
# Properties that are true everywhere


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(5, 60), st.floats(0, 60), st.integers(1, 12), st.floats(0, 180))
def test_farther_is_never_louder_and_one_more_never_quieter(
    town, plain, plan, near_m, more_m, running, degrees
):
    # Twelve machines in one column are 31 m long, so the pad stays on its lot at any angle.
    def level(away_m, count):
        homes = [shapely.box(40 + away_m, -500, 900, 500)]
        pad = place(20, 20, count, columns=1, degrees=degrees)
        return judged(town([LOT], homes=homes), plain, wide, pad)["level_dba"][0]

    wide = plan.model_copy(
        update={"noise": plan.noise.model_copy(update={"report_reach_m": 300.0})}
    )
    assert level(near_m + more_m, running) <= level(near_m, running) + 1e-9
    assert level(near_m, running + 1) >= level(near_m, running)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(0, 80), st.integers(1, 25), st.floats(0.5, 6), st.floats(0, 180))
def test_a_wall_round_the_pad_is_never_louder(town, plain, plan, away_m, running, wall_m, degrees):
    wide = plan.model_copy(
        update={"noise": plan.noise.model_copy(update={"report_reach_m": 300.0})}
    )
    given_town = town([LOT], homes=[shapely.box(40 + away_m, -500, 900, 500)])
    pad = place(20, 20, running, degrees=degrees)
    bare, walled = (
        judged(given_town, plain, wide, pad, wall_m=height)["level_dba"][0]
        for height in (None, wall_m)
    )
    assert walled <= bare + 1e-9


def test_a_wall_is_one_metre_outside_the_pad_and_screens_by_its_top(town, plain, plan):
    # A block of one machine is 2.7432 m long: the wall is 2.3716 m from the machine and 3 m high.
    given_town = town([LOT], homes=[BESIDE])
    pad = place(20, 20)
    walled = judged(given_town, plain, plan, pad, wall_m=3.0)["level_dba"][0]
    source, receiver = np.array([[20.0, 20, 1.5]]), np.array([[40.0, 20, 1.5]])
    loud = replace(sound_of(given_town, plan), wall_height_m=3.0)
    assert walled == pytest.approx(level_dba(loud, source, receiver, np.array([2.7432 / 2 + 1]))[0])
    assert walled < judged(given_town, plain, plan, pad)["level_dba"][0] - 5


@pytest.mark.parametrize("seed", range(10))
def test_every_level_is_finite_and_not_below_nothing(town, market, plan, seed):
    given_town, rng = random_town(town, 500 + seed)
    # Some pads stand inside buildings, on neighbors' lots and on top of receptors.
    placed = several(rng, given_town.sites)
    placed["x"] += rng.uniform(-15, 15, len(placed))
    soft = plan.model_copy(
        update={
            "noise": plan.noise.model_copy(
                update={"ground": GroundFactors(source=1, middle=1, receiver=1)}
            )
        }
    )
    for rule in RULES:
        for rules in (plan, soft):
            found = judged(given_town, under(market, rule), rules, placed)
            somebody = found["receptor"] != judge.NO_RECEPTOR
            told = found.loc[somebody, ["level_dba", "limit_dba", "margin_db"]]
            assert np.isfinite(told.to_numpy(dtype=float)).all()
            assert (found.loc[somebody, "level_dba"] > 0).all()
            assert not np.isnan(found[["margin_plan_db", "margin_rule_db"]]).to_numpy().any()
            assert (found[["margin_plan_db", "margin_rule_db"]] > -np.inf).to_numpy().all()


def test_turning_and_moving_everything_changes_no_level(town, market, plan):
    homes, hall = [BESIDE, shapely.box(-60, 0, -20, 30)], shapely.box(30, 5, 36, 20)

    def moved(shape):
        return translate(rotate(shape, 37, origin=(0, 0)), 230_000, 900_000)

    everywhere = shapely.box(-1e7, -1e7, 1e7, 1e7)
    here = town([LOT], homes=homes, buildings=[hall])
    there = town(
        [moved(LOT)], homes=list(map(moved, homes)), buildings=[moved(hall)], coverage=everywhere
    )
    at = moved(shapely.Point(15, 20))
    pads = place(15, 20, 6), place(at.x, at.y, 6, degrees=37.0)
    levels = [
        judged(given_town, market, plan, pad)["level_dba"][0]
        for given_town, pad in zip((here, there), pads, strict=True)
    ]
    assert levels[1] == pytest.approx(levels[0], abs=0.001)
