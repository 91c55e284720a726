import numpy as np
import pytest
import shapely

from geo import screen
from geo.ranking.scores import score_criteria
from tests.geo.ranking.conftest import LOT, make_complete_town

CRITERIA = ("grid", "fuel", "pad", "noise")
SCORES = [f"score_{name}{best}" for name in CRITERIA for best in ("", "_best")]


@pytest.fixture
def gas_plan(plan):
    return plan.model_copy(update={"fuels": ("natural_gas",)})


def test_a_lot_twice_as_large_as_one_that_fits_twice_over_scores_the_same(ranked_in, gas_plan):
    # 1 MW less 300 kW needs 4 generators. The ground of 14 by 14 m holds many more than 8.
    once, twice = shapely.box(0, 0, 20, 20), shapely.box(0, 0, 20, 40)
    few, many = (
        ranked_in(make_complete_town([lot], headroom_kw=300.0), gas_plan).iloc[0]
        for lot in (once, twice)
    )
    assert (few["needed_hi"], few["call"]) == (4, "yes")
    assert few["pad_n"] >= 8
    assert few["score"] == many["score"]
    assert few[SCORES].equals(many[SCORES])


def test_the_pad_is_scored_by_places_for_each_generator_needed(ranked_in, gas_plan):
    # A lot with just a few places more than the 4 that are needed: the ramp is from 0 to 2 places.
    row = ranked_in(make_complete_town([shapely.box(0, 0, 12, 19)]), gas_plan).iloc[0]
    assert 4 < row["pad_n"] < 8
    assert row["score_pad"] == pytest.approx(row["pad_n"] / 4 / 2, abs=0.001)


def test_fuel_is_scored_by_its_line_and_by_the_share_that_is_taken(ranked_in, gas_plan):
    # 4 generators of 2008 scfh take 62 % of a quarter of the 3.5 in main, 10 m away: the line
    # scores (120 - 10) / 120, the share (1 - 0.62) / 0.5.
    row = ranked_in(make_complete_town(inches=3.5), gas_plan).iloc[0]
    assert row["needed_line_m"] == 10
    assert row["score_fuel"] == pytest.approx((1 - row["needed_fuel_share"]) / 0.5, abs=0.002)
    wide = ranked_in(make_complete_town(inches=8), gas_plan).iloc[0]
    assert wide["score_fuel"] == pytest.approx(110 / 120, abs=0.001)


def test_noise_is_scored_by_the_margin_of_those_needed(ranked_in, gas_plan):
    quiet = gas_plan.model_copy(
        update={"noise": gas_plan.noise.model_copy(update={"limit_dba": 58.0})}
    )
    town = make_complete_town(homes=[shapely.box(76, -20, 96, 70)])
    row = ranked_in(town, quiet).iloc[0]
    assert 0 < row["needed_margin_db"] < 10
    assert row["score_noise"] == pytest.approx(row["needed_margin_db"] / 10, abs=0.006)
    assert row["score_noise"] == row["score_noise_best"]


@pytest.mark.parametrize(
    ("changes", "stopped"),
    [
        ({"shapes": [shapely.box(0, 0, 12, 12)], "headroom_kw": 0.0}, {"pad", "noise"}),
        ({"inches": 2}, {"fuel"}),
        ({"homes": [shapely.box(46.5, -80, 200, 120)], "limit_dba": 50.0}, {"noise"}),
    ],
)
def test_what_stops_a_site_short_of_those_needed_scores_0(ranked_in, gas_plan, changes, stopped):
    given = dict(changes)
    limit = given.pop("limit_dba", 69.0)
    plan = gas_plan.model_copy(
        update={"noise": gas_plan.noise.model_copy(update={"limit_dba": limit})}
    )
    row = ranked_in(make_complete_town(**given), plan).iloc[0]
    assert row["n_lo"] < row["needed_hi"]
    # Where the ground has no room for those needed, there is no place to measure their noise.
    zero = {name for name in ("fuel", "pad", "noise") if row[f"score_{name}"] == 0}
    assert zero == stopped


def test_the_worst_case_is_never_above_the_best(ranked_in, gas_plan):
    rng = np.random.default_rng(4)
    for number in range(6):
        headroom_kw = [0.0, 600.0, np.nan][number // 2]
        homes = [shapely.box(46 + rng.uniform(1, 60), -20, 150, 70)]
        town = make_complete_town(
            [LOT], headroom_kw=headroom_kw,
            inches=rng.choice([np.nan, 2, 4]), homes=homes,
        )  # fmt: skip
        if number % 2:
            town.coverage["receptors"] = shapely.box(-500, -500, 60, 500)
        row = ranked_in(town, gas_plan).iloc[0]
        assert row["score"] <= row["score_best"]
        for name in CRITERIA[int(np.isnan(headroom_kw)) :]:
            assert row[f"score_{name}"] <= row[f"score_{name}_best"], name


def test_other_values_of_the_assumptions_change_the_scores_they_bear_on(plain_market, gas_plan):
    town = make_complete_town(inches=3.5, homes=[shapely.box(60, -20, 96, 70)])
    facts = screen.screen_sites(town, plain_market, gas_plan)
    facts["power_lo_kw"] = facts["n_lo"] * 200.0
    facts["power_hi_kw"] = facts["n_hi"] * 200.0
    usual = score_criteria(facts, gas_plan).worst
    thirsty = score_criteria(facts, gas_plan, {"efficiency": 0.25}).worst
    # They take 1.32 times as much gas: of 62 %, 82 %.
    share = facts["fuel_share_at_1000_kw"].iloc[0]
    assert thirsty["fuel"] == pytest.approx((1 - share * 0.33 / 0.25) / 0.5)
    assert thirsty["fuel"] < usual["fuel"]
    assert thirsty["noise"] == usual["noise"]
    # Half the gas is not enough for them.
    assert score_criteria(facts, gas_plan, {"usable_share": 0.12}).worst["fuel"] == 0
    louder = score_criteria(facts, gas_plan, {"rating_distance_m": 10.0}).worst
    margin = facts["margin_at_1000_kw"].iloc[0]
    assert louder["noise"] == pytest.approx(min((margin - 20 * np.log10(10 / 7)) / 10, 1))
    assert louder["fuel"] == usual["fuel"]
