import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import catalogue, screen
from geo.errors import ConfigError
from geo.model import Ramp
from geo.ranking import rank, scores
from geo.ranking.notes import list_assumptions, list_first_lines


def street(mains, *, inches=8, pressure="high", y=-10.0):
    return mains([(shapely.LineString([(-500, y), (9000, y)]), inches, pressure)])


@pytest.fixture
def ranked(town, market, plan):
    def build(*shapes, rules=plan, **columns):
        facts = screen.screen_sites(town(list(shapes), **columns), market, rules)
        return rank.rank_sites(facts, rules)

    return build


LOT = shapely.box(0, 0, 46, 46)
SMALL = shapely.box(200, 0, 208, 8)


@settings(deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(-100, 100), st.floats(-100, 100))
def test_a_ramp_is_straight_between_its_ends_and_flat_beyond(value, zero, one):
    if zero == one:
        return
    got = scores.score_on_ramp(pd.Series([value]), Ramp(weight=1, zero_at=zero, one_at=one))[0]
    assert got == pytest.approx(min(max((value - zero) / (one - zero), 0), 1))


def test_missing_scores_are_neither_zero_nor_one():
    scored = scores.score_on_ramp(pd.Series([np.nan]), Ramp(weight=1, zero_at=0, one_at=1))
    assert np.isnan(scored[0])


def test_a_score_is_the_weighted_mean_of_its_ramps(ranked, mains):
    row = ranked(LOT, mains=street(mains)).iloc[0]
    # There is no capacity layer, so grid has no weight. The main is 10 m away: (120 - 10) / 120.
    # From none to five generators are needed. The ground holds the cap; no receptor is in reach;
    # the 8 in main runs many more than five.
    expected = 100 * (20 * (110 / 120) + 15 * 1 + 25 * 1) / (20 + 15 + 25)
    assert row["score"] == row["score_best"] == pytest.approx(expected, abs=0.05)
    assert np.isnan(row["score_grid"])
    assert row["known_share"] == 1.0


def test_verdicts_follow_the_bracket(ranked, mains):
    fit = ranked(LOT, mains=street(mains)).iloc[0]
    assert (fit["verdict"], fit["n_lo"], fit["n_hi"]) == ("fit", 25, 25)
    unfit = ranked(SMALL, mains=street(mains)).iloc[0]
    assert (unfit["verdict"], unfit["n_hi"]) == ("unfit", 0)
    # 24 by 24 m fits 25 generators, but no propane tank that would last long enough.
    unknown = ranked(shapely.box(0, 0, 24, 24), mains=street(mains, inches=np.nan)).iloc[0]
    assert (unknown["verdict"], unknown["n_lo"], unknown["n_hi"]) == ("unknown", 0, 25)
    assert unknown["score"] < unknown["score_best"]
    assert unknown["known_share"] == pytest.approx(40 / 60, abs=0.001)


def test_the_order_is_call_then_score(ranked, mains):
    ranking = ranked(SMALL, LOT, shapely.box(300, 40, 346, 86), mains=street(mains))
    assert ranking["call"].tolist() == ["check first", "check first", "no"]
    assert ranking["rank"].tolist() == [1, 2, 3]
    assert ranking["score"][0] > ranking["score"][1]
    assert ranking["site_id"].tolist() == ["S00001", "S00002", "S00000"]


def test_a_new_site_never_moves_anothers_score(ranked, mains):
    alone = ranked(LOT, SMALL, mains=street(mains)).set_index("site_id")
    other = shapely.box(400, 0, 900, 400)
    more = ranked(LOT, SMALL, other, mains=street(mains)).set_index("site_id")
    # What is left of a shared main depends on who else takes from it.
    shared = ("main_sites", "main_left", "main_left_n")
    moved = ("rank", "folded", "geometry", *shared, *catalogue.SHAPE_COLUMNS)
    kept = [name for name in alone.columns if name not in moved]
    pd.testing.assert_frame_equal(
        pd.DataFrame(alone.loc[["S00000", "S00001"], kept]),
        pd.DataFrame(more.loc[["S00000", "S00001"], kept]),
    )


def test_adjoining_sites_are_a_block_by_the_least_id(ranked, mains):
    # From west to east, the gaps between the lots are 0.9, 0.6 and 1.1 m.
    row = [shapely.box(x, 0, x + 46, 46) for x in (93.5, 0.0, 46.9, 140.6)]
    ranking = ranked(*row, mains=street(mains)).set_index("site_id")
    assert ranking["group_id"].sort_index().to_dict() == {
        "S00000": "S00000",
        "S00001": "S00000",
        "S00002": "S00000",
        "S00003": "S00003",
    }


def slowly_folded(groups):
    listed, answer = [], []
    for group in groups:
        away = len(listed) < rank.TOP_ROWS and listed.count(group) == rank.ROWS_PER_GROUP
        answer.append(away)
        if not away:
            listed.append(group)
    return answer


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdefghijkl"), max_size=60))
def test_a_block_has_three_of_the_first_twenty_listed(groups):
    got = rank.mark_folded(pd.Series(groups, dtype=object))
    assert got.tolist() == slowly_folded(groups)
    table = pd.DataFrame({"group_id": groups, "folded": got})
    beneath = rank.count_folded_beneath(table)
    assert beneath.sum() == got.sum()
    assert not beneath[got].any()


def test_the_worked_example_of_folding():
    groups = pd.Series([*"aabaacaa"])
    assert np.flatnonzero(rank.mark_folded(groups)).tolist() == [4, 6, 7]
    table = pd.DataFrame({"group_id": groups, "folded": rank.mark_folded(groups)})
    assert rank.count_folded_beneath(table).tolist() == [0, 0, 0, 3, 0, 0, 0, 0]
    # After the twentieth nothing is folded.
    alone = pd.Series([*"aaa", *(f"b{n}" for n in range(17)), *"aa"])
    assert not rank.mark_folded(alone).any()


def test_folding_leaves_rank_and_order_alone(ranked, mains):
    row = [shapely.box(46.0 * n, 0, 46.0 * n + 46, 46) for n in range(5)]
    ranking = ranked(*row, mains=street(mains))
    assert ranking["rank"].tolist() == [1, 2, 3, 4, 5]
    assert ranking["folded"].tolist() == [False, False, False, True, True]


def feeder(layer, headroom_kw):
    """Return a feeder in the street with this load headroom, committed load already deducted."""
    return layer(
        [shapely.LineString([(0, -5), (40, -5)])],
        record_id=["F1"],
        kind=["load"],
        grain=["feeder"],
        headroom_kw=[headroom_kw],
        committed_included=[True],
        as_of=pd.Timestamp("2026-01-01"),
    )


def test_power_served_is_grid_and_generators_up_to_the_target(mains, layer, town, market, plan):
    given_town = town([LOT], mains=street(mains, inches=2))
    given_town.layers["capacity"] = feeder(layer, 300.0)
    plan = plan.model_copy(update={"fuels": ("natural_gas",)})
    row = rank.rank_sites(screen.screen_sites(given_town, market, plan), plan).iloc[0]
    # The gas runs one machine: 12 900 x 0.25 / 2008 = 1.6. Grid and machine serve 300 + 200 of
    # 1000 kW. The shortfall of 700 kW needs four machines.
    assert (row["n_lo"], row["power_served_kw"], row["needed_lo"]) == (1, 500, 4)
    assert (row["gap_class"], row["covers_gap"]) == ("short", "no")
    assert row["score_grid"] == pytest.approx(0.2)
    # One of the four that are needed is not enough.
    assert row["call"] == "no"
    assert "700 kW; 4 generators needed." in row["sentence"]


def test_without_published_capacity_nothing_is_a_yes(mains, town, market, plan):
    given_town = town([LOT], mains=street(mains))
    row = rank.rank_sites(screen.screen_sites(given_town, market, plan), plan).iloc[0]
    assert (row["verdict"], row["gap_class"], row["call"]) == ("fit", "unknown", "check first")


def test_what_the_grid_already_carries_is_no_call(mains, layer, town, market, plan):
    given_town = town([LOT], mains=street(mains))
    given_town.layers["capacity"] = feeder(layer, 1500.0)
    row = rank.rank_sites(screen.screen_sites(given_town, market, plan), plan).iloc[0]
    assert (row["gap_class"], row["covers_gap"], row["call"]) == ("covered", "no gap", "no")
    assert "The grid can already supply 1 MW." in row["sentence"]


def test_covered_by_one_source_and_short_by_another_is_to_be_checked(
    mains, layer, town, market, plan
):
    given_town = town([LOT], mains=street(mains))
    stations = layer(
        [shapely.Point(500, 0)], substation_id=["U1"], name=["Mill Pond"], status=["in_service"],
        firm_capacity_mva=[10.0], peak_load_mva=[12.0], committed_load_mva=[0.0],
    )  # fmt: skip
    given_town.layers.update(capacity=feeder(layer, 1500.0), substations=stations)
    given_town.coverage["substations"] = shapely.box(-9000, -9000, 9000, 9000)
    row = rank.rank_sites(screen.screen_sites(given_town, market, plan), plan).iloc[0]
    # The feeder has 1500 kW of headroom, and its substation is overloaded by 2 MVA.
    assert (row["gap_class"], row["headroom_check"]) == ("covered", "contradict")
    assert (row["second_headroom_kw"], row["second_reads"]) == (-1900, "at most")
    assert row["call"] == "check first"


def test_goal_headroom_scores_spans_from_worst_to_best(mains, layer, town, market, plan):
    rules = plan.model_copy(
        update={
            "grid": plan.grid.model_copy(update={"goal": "headroom"}),
            "score": plan.score.model_copy(
                update={"grid": Ramp(weight=40, zero_at=0, one_at=3000)}
            ),
        }
    )
    given_town = town([LOT], mains=street(mains))
    given_town.layers["capacity"] = feeder(layer, 1500.0).assign(committed_included=False)
    row = rank.rank_sites(screen.screen_sites(given_town, market, rules), rules).iloc[0]
    # The committed load is not known, so the headroom is at most 1500 kW.
    assert (row["score_grid"], row["score_grid_best"]) == (0.0, 0.5)
    given_town.layers["capacity"] = feeder(layer, 1500.0).assign(ceiling_kw=1500.0)
    row = rank.rank_sites(screen.screen_sites(given_town, market, rules), rules).iloc[0]
    assert (row["score_grid"], row["score_grid_best"]) == (0.5, 1.0)


def test_goal_headroom_scores_headroom_itself(mains, layer, town, market, plan):
    given_town = town([LOT], mains=street(mains))
    given_town.layers["capacity"] = feeder(layer, 1500.0)
    rules = plan.model_copy(
        update={
            "grid": plan.grid.model_copy(update={"goal": "headroom"}),
            "score": plan.score.model_copy(
                update={"grid": Ramp(weight=40, zero_at=0, one_at=3000)}
            ),
        }
    )
    row = rank.rank_sites(screen.screen_sites(given_town, market, rules), rules).iloc[0]
    assert row["score_grid"] == 0.5


def test_a_market_without_capacity_says_so_first(town, market, plan, mains):
    lines = list_first_lines(town([LOT], mains=street(mains)), market, plan)
    assert (
        "No grid capacity is published here: sites are ranked on siting only, and every site needs "
        "the utility's figure first."
    ) in lines
    assert any(line.startswith("Noise limits applied: 69 dB(A) and Colorado") for line in lines)


def test_a_market_without_a_noise_rule_says_so(town, plain_market, plan):
    lines = list_first_lines(town([LOT]), plain_market, plan)
    assert "Noise limits applied: 69 dB(A) (no local rule given)." in lines
    facts = screen.screen_sites(town([LOT]), plain_market, plan)
    assert set(facts["noise_rule"]) == {"69 dB(A) (no local rule given)"}


def test_what_the_noise_rests_on_is_listed(market, plain_market, plan):
    text = " ".join(list_assumptions(market, plan))
    # 69 + 10 lg(2 pi 49) = 93.9 dB of sound power.
    for words in ("Sound power 93.9 dB(A)", "ISO 9613-2:1996", "50 °F and 70%", "C.R.S. 25-12-103"):
        assert words in text
    assert "C.R.S." not in " ".join(list_assumptions(plain_market, plan))


def test_an_unknown_ambient_level_is_a_first_line_unless_it_is_assumed(town, market, plan):
    relative = market.model_copy(update={"noise_rule": "massachusetts"})
    says = [line for line in list_first_lines(town([LOT]), relative, plan) if "ambient" in line]
    assert len(says) == 1
    taken = plan.model_copy(update={"assume": plan.assume.model_copy(update={"ambient_dba": 35.0})})
    assert not [line for line in list_first_lines(town([LOT]), relative, taken) if "rests" in line]
    assert "Where the ambient noise level is unknown, 35 dB(A) is assumed." in list_assumptions(
        relative, taken
    )


def test_the_answer_on_a_one_metre_basis_stands_beside(mains, town, plain_market, plan):
    some = town([LOT], homes=[shapely.box(50, -20, 90, 60)], mains=street(mains))
    facts = screen.screen_sites(some, plain_market, plan).iloc[0]
    # The level is 20 lg 7 = 16.9 dB lower.
    assert facts["level_dba"] - facts["level_at_1m_dba"] == pytest.approx(20 * np.log10(7))


def test_a_wall_and_a_rating_at_one_metre_say_what_they_would_give(mains, town, market, plan):
    homes = [shapely.box(90, -100, 190, 100)]
    lot = shapely.box(0, 0, 80, 40)
    row = screen.screen_sites(town([lot], homes=homes, mains=street(mains)), market, plan).iloc[0]
    assert row["binding"] == "noise"
    assert row["n_lo"] < row["wall_n"] <= row["rated_n"] <= plan.cap
    assert row["wall_gain_db"] > 5


def test_every_published_fact_but_the_runs_own_is_there(ranked, mains):
    ranking = ranked(LOT, SMALL, mains=street(mains))
    facts = [fact for fact in catalogue.read_facts() if fact.group != "provenance"]
    assert {fact.name for fact in facts if fact.per is None} <= set(ranking.columns)
    of = {"load": ("200_kw", "1000_kw", "3000_kw"), "fuel": tuple(catalogue.read_fuels())}
    for fact in facts:
        for one in of.get(fact.per, ()):
            assert fact.name.format(of=one, kw=one.removesuffix("_kw")) in ranking.columns


def test_numbers_are_rounded_as_the_catalogue_says(ranked, mains):
    ranking = ranked(LOT, SMALL, mains=street(mains))
    for fact in catalogue.facts_of_table(ranking.columns):
        if fact.decimals is not None:
            values = pd.to_numeric(ranking[fact.name]).dropna()
            assert (values == values.round(fact.decimals)).all(), fact.name


def test_counts_add_up_to_the_sites(ranked, mains):
    ranking = ranked(LOT, SMALL, mains=street(mains))
    for name, counted in rank.count_opinions(ranking).items():
        assert sum(counted.values()) == len(ranking), name


def test_a_plan_that_names_an_unknown_machine_is_refused(plan, town, market):
    wrong = plan.model_copy(update={"generator": "gx231"})
    with pytest.raises(ConfigError, match="'gx231' is not in the catalogue"):
        screen.screen_sites(town([LOT]), market, wrong)


def test_a_market_without_a_site_is_refused(plan, town, market):
    nothing = town([LOT])
    empty = type(nothing)(nothing.sites.iloc[:0], nothing.layers, nothing.coverage)
    with pytest.raises(ConfigError, match="no parcel of the market is a site"):
        screen.screen_sites(empty, market, plan)


def test_what_is_assumed_stands_on_the_row(mains, town, market, plan):
    bare = town([LOT], mains=street(mains))
    del bare.layers["buildings"]
    rules = plan.model_copy(update={"assume": plan.assume.model_copy(update={"bare_parcel": True})})
    row = rank.rank_sites(screen.screen_sites(bare, market, rules), rules).iloc[0]
    assert row["verdict"] == "fit"
    assert row["call"] == "check first"
    assert "no buildings in the way" in row["assumed"]
    assert "Assumed: no buildings in the way" in row["sentence"]
    # An assumption does not count as known: fuel (20) and noise (25) are known, of 60.
    assert row["known_share"] == 0.75
    assert row["data_complete"] == (
        "75% of the data known; assumptions decide: the assumptions on this row"
    )


def test_a_lever_that_helps_is_named_with_what_it_gives(ranked, mains):
    # 6 by 6 m of ground fits one machine and its cabinet; a setback of 1 m leaves 10 by 10 m.
    row = ranked(shapely.box(0, 0, 12, 12), mains=street(mains)).iloc[0]
    assert (row["n_lo"], row["binding"], row["lift_lever"]) == (1, "pad", "variance")
    assert row["lift_n"] > 1
    assert row["lift_text"].startswith("Get a zoning variance to build 3 ft from the lot line: ")


def test_a_sure_fuel_comes_before_an_unknown_one_that_may_carry_more(ranked, mains):
    # 46 by 46 m fits two 12 000 gal tanks, 50 ft from every line (19 200 gal in 72 hours: eleven
    # machines of 22.6 gal/h). There is a main, but its size is not known.
    row = ranked(LOT, mains=street(mains, inches=np.nan)).iloc[0]
    assert (row["fuel"], row["n_lo"], row["n_hi"]) == ("propane", 11, 11)
    assert row["fuel_ladder"] == (
        "propane: 11; natural gas: 0 to 25; biogas: unknown; hydrogen: unknown"
    )
    assert (
        "the size or pressure of the gas main: up to 25 generators on natural gas"
        in row["lift_text"]
    )


def test_needs_reach_as_far_as_anything_could_matter(market, plain_market, plan):
    # The plan reports receptors farther away than 25 machines could exceed 69 dB(A): 7 m x 5, and
    # with three echoes of 80 % each another 5.3 dB, 1.8 times as far, 65 m.
    plain = screen.list_needs(plain_market, plan)
    assert plain.reach_m["receptors"] == plain.reach_m["buildings"] == 100
    # A lot of unknown use may be a home.
    assert plain.receptors == (*plan.noise.receptors, "unknown")
    # Colorado's 50 is 19 dB lower: 8.9 times as far, minus what the air absorbs. At long distances,
    # hard ground in between adds up to 3 dB.
    ruled = screen.list_needs(market, plan)
    assert 400 < ruled.reach_m["receptors"] < 65 * 10 ** (22 / 20)
    assert ruled.reach_m["buildings"] == ruled.reach_m["receptors"]
    assert {"commercial", "industrial"} <= set(ruled.receptors)
    assert ruled.reach_m["mains"] == plan.fuel.main_reach_m


def test_buildings_matter_as_far_as_a_propane_tank_keeps_from_them(plain_market, plan):
    near = plan.noise.model_copy(update={"report_reach_m": 0.0, "limit_dba": 100.0})
    reach = screen.list_needs(plain_market, plan.model_copy(update={"noise": near})).reach_m
    assert reach["receptors"] < 22.86
    assert reach["buildings"] == 22.86  # 75 ft for two large tanks, more than the 5 ft for a pad


def test_a_plan_that_weighs_only_what_the_market_lacks_is_refused(mains, town, market, plan):
    off = {
        name: getattr(plan.score, name).model_copy(update={"weight": 0.0})
        for name in ("fuel", "pad", "noise")
    }
    rules = plan.model_copy(update={"score": plan.score.model_copy(update=off)})
    facts = screen.screen_sites(town([LOT], mains=street(mains)), market, rules)
    with pytest.raises(ConfigError, match="nothing counts: the market has no layers for grid"):
        rank.rank_sites(facts, rules)


def test_the_level_with_one_more_is_at_the_neighbor_who_then_hears_most(
    mains, town, plain_market, plan
):
    homes = [shapely.box(-40, 0, -6, 26), shapely.box(0, -40, 26, -6.5)]
    given_town = town([shapely.box(0, 0, 26, 26)], homes=homes, mains=street(mains, y=31.0))
    row = rank.rank_sites(screen.screen_sites(given_town, plain_market, plan), plan).iloc[0]
    assert row["binding"] == "noise"
    assert (
        f"{row['next_receptor_distance_m'] / 0.3048:.0f} ft {row['next_receptor_direction']}"
        in row["sentence"]
    )
    assert f"would reach {row['level_next_dba']:.1f} dB(A)" in row["sentence"]
    assert f"{row['noise_short_by_db']:.1f} dB over its limit" in row["sentence"]


def test_spares_are_not_sold_as_power(mains, town, market, plan):
    rules = plan.model_copy(update={"spares": 1, "fuels": ("natural_gas",)})
    facts = screen.screen_sites(town([LOT], mains=street(mains, inches=2)), market, rules)
    row = rank.rank_sites(facts, rules).iloc[0]
    assert (row["n_lo"], row["power_lo_kw"]) == (2, 200)
    assert row["sentence"].startswith("Fits 2 generators (200 kW) on natural gas")


def test_ground_beyond_the_edge_of_the_flood_layer_is_not_known(mains, layer, town, market, plan):
    some = town([LOT], mains=street(mains))
    some.layers["exclusions"] = layer([], kind=[], name=[])
    some.coverage["exclusions"] = shapely.box(-500, -500, 40, 500)
    row = rank.rank_sites(screen.screen_sites(some, market, plan), plan).iloc[0]
    assert (row["verdict"], row["pad_evidence"]) == ("unknown", "edge of layer")
    # Fuel (20) and noise (25) of 60 are known; the ground (15) is not.
    assert row["known_share"] == 0.75
