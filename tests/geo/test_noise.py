import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo import block, catalogue
from geo.criteria import noise
from geo.model import Assume

GX230 = catalogue.generators()["gx230"]


def test_the_rating_is_the_level_at_its_own_distance():
    assert noise.level_dba(np.array([7.0]), np.array([1]), GX230)[0] == pytest.approx(69.0)


@pytest.mark.parametrize(
    ("away_m", "running", "level"),
    [
        (14.0, 1, 69 - 20 * np.log10(2)),
        (14.0, 4, 69.0),
        (35.0, 25, 69.0),
        (100.0, 10, 69 + 10 - 20 * np.log10(100 / 7)),
    ],
)
def test_doubling_the_distance_is_six_decibels_and_four_machines_are_six(away_m, running, level):
    assert noise.level_dba(np.array([away_m]), np.array([running]), GX230)[0] == pytest.approx(
        level
    )


@given(st.floats(0, 500), st.floats(0, 500), st.integers(1, 24))
def test_farther_is_never_louder_and_one_more_never_quieter(near_m, more_m, running):
    def level(away, count):
        return noise.level_dba(np.array([away]), np.array([count]), GX230)[0]

    assert level(near_m + more_m, running) <= level(near_m, running)
    assert level(near_m, running + 1) > level(near_m, running)
    assert np.isfinite(level(near_m, running))


@pytest.mark.parametrize(
    ("away_m", "most"), [(6.99, 0), (7.0, 1), (20.0, 8), (35.0, 25), (900, 25)]
)
def test_the_machines_allowed_at_a_distance(away_m, most):
    # floor((d / 7)^2): 20 m is 8.16.
    assert noise.allowed(np.array([float(away_m)]), 69.0, GX230, 25)[0] == most


def test_the_reach_is_where_the_cap_falls_to_the_limit(plan):
    assert noise.reach_m(GX230, plan) == pytest.approx(7 * 5)
    strict = plan.model_copy(update={"noise": plan.noise.model_copy(update={"limit_dba": 49.0})})
    # 20 dB lower reaches ten times as far.
    assert noise.reach_m(GX230, strict) == pytest.approx(350)


def place(x, y, count=1, rows=1, columns=1, degrees=0.0, site=0):
    layouts = block.blocks(count, GX230, 0.9144)
    chosen = next(one for one in layouts if (one.rows, one.columns) == (rows, columns))
    return pd.DataFrame(
        [
            {
                "site": site, "count": count, "x": x, "y": y, "degrees": degrees, "rows": rows,
                "columns": columns, "length_m": chosen.length_m, "width_m": chosen.width_m,
            }
        ]
    )  # fmt: skip


def heard_by(town, plan, *homes, lots=None, **columns):
    lots = [shapely.box(0, 0, 40, 40)] if lots is None else lots
    given_town = town(lots, homes=homes, **columns)
    return noise.hearers(given_town.sites, given_town.layers, given_town.coverage, GX230, plan)


def judge(placed, heard, plan, *, worst=True):
    machine = block.machines(placed, GX230, plan)
    outline = block.outlines(placed, GX230, plan)[0]
    return noise.judge(placed, machine, outline, heard, GX230, worst=worst).iloc[0]


def test_one_machine_fourteen_metres_from_a_home(town, plan):
    heard = heard_by(town, plan, shapely.box(34, 0, 60, 40))
    row = judge(place(20, 20), heard, plan)
    assert row["receptor_distance_m"] == pytest.approx(14)
    assert row["level_dba"] == pytest.approx(69 - 20 * np.log10(2))
    assert heard.receptor_class[int(row["hearer"])] == "home"


def test_each_machine_counts_from_its_own_place(town, plan):
    # Two machines 1.8288 m apart in a line with a home's wall 14 m east of the block's centre.
    heard = heard_by(town, plan, shapely.box(34, 0, 60, 40))
    row = judge(place(20, 20, 2, 1, 2), heard, plan)
    energy = 1 / (14 - 0.9144) ** 2 + 1 / (14 + 0.9144) ** 2
    assert row["level_dba"] == pytest.approx(69 + 10 * np.log10(49 * energy))
    assert row["receptor_distance_m"] == pytest.approx(14 - 0.9144)


def test_every_receptor_is_looked_at_and_the_loudest_governs(town, plan):
    homes = [shapely.box(50, 0, 60, 40), shapely.box(0, 44, 40, 60), shapely.box(-30, 0, -10, 40)]
    heard = heard_by(town, plan, *homes)
    row = judge(place(20, 30), heard, plan)
    assert heard.receptor_id[int(row["hearer"])] == "H1"
    alone = [judge(place(20, 30), heard_by(town, plan, home), plan) for home in homes]
    assert row["level_dba"] == max(one["level_dba"] for one in alone)


def test_a_receptor_over_the_pad_is_floored_at_a_metre_and_flagged(town, plan):
    heard = heard_by(town, plan, shapely.box(0, 0, 40, 40))
    row = judge(place(20, 20), heard, plan)
    assert row["floored"]
    assert row["level_dba"] == pytest.approx(69 + 20 * np.log10(7))


def test_nobody_in_reach_is_no_level_not_a_low_one(town, plan):
    row = judge(place(20, 20), heard_by(town, plan), plan)
    assert np.isnan(row["level_dba"])
    assert row["hearer"] == -1


def test_beyond_the_edge_of_the_layer_somebody_may_live(town, plan):
    heard = heard_by(town, plan, coverage=shapely.box(-5, -5, 50, 45))
    assert heard.evidence.tolist() == ["edge of layer"]
    worst, best = (judge(place(20, 20), heard, plan, worst=w) for w in (True, False))
    # The edge nearest to (20, 20) is at x = -5 (or y = -5, or y = 45): 25 m.
    assert worst["level_dba"] == pytest.approx(69 - 20 * np.log10(25 / 7))
    assert np.isnan(best["level_dba"])


def test_homes_on_the_site_are_heard_at_their_building(town, plan):
    lot = shapely.box(0, 0, 40, 40)
    given_town = town([lot], buildings=[shapely.box(30, 0, 40, 40)], own_dwelling=True)
    heard = noise.hearers(given_town.sites, given_town.layers, given_town.coverage, GX230, plan)
    row = judge(place(10, 20), heard, plan)
    assert heard.receptor_class[int(row["hearer"])] == "own dwelling"
    assert row["receptor_distance_m"] == pytest.approx(20)


def test_homes_on_the_site_with_no_building_are_unknown_unless_assumed(town, plan):
    heard = heard_by(town, plan, own_dwelling=True)
    assert heard.own_unknown.tolist() == [True]
    assert heard.evidence.tolist() == ["own dwelling"]
    taken = plan.model_copy(update={"assume": Assume(own_dwelling_at_m=10)})
    heard = heard_by(town, taken, own_dwelling=True)
    assert heard.own_unknown.tolist() == [False]
    row = judge(place(20, 20), heard, taken)
    assert row["level_dba"] == pytest.approx(69 - 20 * np.log10(10 / 7))
    assert row["hearer"] == -2


def test_no_receptor_layer_is_not_silence(sites, plan):
    lots = sites([shapely.box(0, 0, 40, 40)])
    heard = noise.hearers(lots, {}, {}, GX230, plan)
    assert not heard.known
    assert heard.evidence.tolist() == ["no layer"]


def test_a_site_does_not_hear_itself(town, plan):
    given_town = town([shapely.box(0, 0, 40, 40)], homes=[shapely.box(0, 0, 40, 40)])
    given_town.layers["receptors"]["site_id"] = given_town.sites["site_id"].iloc[0]
    heard = noise.hearers(given_town.sites, given_town.layers, given_town.coverage, GX230, plan)
    assert len(heard.site) == 0


def test_nobody_counts_farther_off_than_everybody_is_known(town, plan):
    # A lot 200 m long. The home 60 m beyond its east end is looked at, one 120 m off its west end
    # is not: from a pad at the west end the first is too far to say that it hears most.
    lot = shapely.box(0, 0, 200, 20)
    heard = heard_by(town, plan, shapely.box(260, 0, 280, 20), lots=[lot])
    assert np.isnan(judge(place(10, 10), heard, plan)["level_dba"])
    assert judge(place(190, 10), heard, plan)["receptor_distance_m"] == pytest.approx(70)
    spots = noise.spots(np.array([lot]), noise.exposure(heard, 1, worst=True), heard.reach_m)
    assert spots.quietest_m.tolist() == [np.inf]


def test_the_quietest_spot_is_found_to_within_the_spacing(town, plan):
    # Homes on both sides of a 40 m square, 10 m off: the middle line is 30 m from each.
    homes = shapely.box(-20, -20, -10, 60), shapely.box(50, -20, 60, 60)
    heard = heard_by(town, plan, *homes)
    loud = noise.exposure(heard, 1, worst=True)
    found = noise.spots(np.array([shapely.box(0, 0, 40, 40)]), loud, heard.reach_m)
    assert 30 - noise.SPACING_M * 2.6 <= found.quietest_m[0] <= 30
    assert found.ceiling_m[0] >= 30
