import numpy as np
import pytest
import shapely

from geo.criteria.noise.sound import level_dba, open_field_dba
from tests.geo.sizing.conftest import LOT, crowd, home_at, size_in


def level_at_home(row, site, found):
    """Return the level of the drawn machines at the loudest receiver point of the named home."""
    pairs, points = found.context.pairs, found.context.points
    same = (pairs.site == site) & (pairs.column("receptor_id") == row["receptor_id"])
    (pair,) = np.flatnonzero(same)
    at = points.xy[points.begin[pair] : points.end[pair]]
    source = np.array([(*shapely.centroid(one).coords[0], 1.5) for one in row["machines"].geoms])
    sums = []
    for place in at:
        receiver = np.tile([*place, 1.5], (len(source), 1))
        each = level_dba(found.context.sound, source, receiver)
        sums.append(10 * np.log10((10 ** (each / 10)).sum()))
    return max(sums)


def test_the_stricter_of_plan_and_rule_decides(town, market, plain_market, plan, described):
    # One machine at the far side of the lot is 60.2 m from the home's lot: 69 - 20 lg(60.2 / 7) =
    # 50.3 dB(A), less 0.2 in the air. The plan's 69 allow 25 machines. Colorado's 50 at night count
    # from 7.62 m beyond the line. The nearest such point is on the home's lot line beside the lot:
    # from (3.8, 6) to (64, -7.62) it is 61.7 m, 49.9 dB(A) after the air, so one is allowed.
    lot = shapely.box(0, 0, 64, 12)
    some = town([lot], homes=[shapely.box(64, -100, 200, 100)])
    found, _ = size_in(plain_market, some, plan)
    by_rule, got = size_in(market, some, plan)
    facts = described(some, by_rule, got, market).iloc[0]
    assert found.place_lo[0] == facts["noise_n_plan"] == 25
    assert got["n_lo"].tolist() == [facts["noise_n_rule"]] == [1]
    assert (got["binding"][0], facts["governs"], facts["limit_dba"]) == ("noise", "local rule", 50)
    assert facts["noise_margin_rule_db"] == facts["noise_slack_db"]
    assert facts["noise_margin_plan_db"] == pytest.approx(69 - 50.1, abs=0.1)


def test_a_market_without_a_rule_has_no_machines_by_one(town, sized, plan, described):
    some = town([LOT], homes=[home_at(5)])
    found, got = sized(some, plan)
    facts = described(some, found, got).iloc[0]
    assert np.isnan(facts["noise_n_rule"])
    assert np.isnan(facts["noise_margin_rule_db"])
    assert facts["governs"] == "plan"


def test_an_unknown_ambient_level_says_what_would_do(town, market, plan, described):
    massachusetts = market.model_copy(update={"noise_rule": "massachusetts"})
    some = town([shapely.box(0, 0, 73, 12)], homes=[shapely.box(73, -100, 200, 100)])
    found, got = size_in(massachusetts, some, plan)
    facts = described(some, found, got, massachusetts).iloc[0]
    assert got.iloc[0][["n_lo", "n_hi"]].tolist() == [0, 25]
    assert (facts["noise_evidence"], facts["noise_class"]) == ("ambient unknown", "not known")
    # The ambient level needed is 10 dB below the level of one machine at the quietest spot, about
    # 70 m from the home's line.
    one = open_field_dba(found.context.sound, np.array([73.0]), 1.5)[0]
    assert one - 10.000001 <= facts["ambient_needed_dba"] <= one - 10 + 20 * np.log10(73 / 69)


def test_passes_with_three_decibels_and_is_marginal_with_less(town, sized, plan, described):
    # The quietest spot is the far side of the lot, `away_m` from the home.
    for away_m, said in ((11.0, "pass"), (8.5, "marginal"), (6.0, "fail")):
        some = town([shapely.box(0, 0, 4, 4)], homes=[shapely.box(away_m, -50, 90, 50)])
        found, got = sized(some, plan)
        facts = described(some, found, got).iloc[0]
        margin = 69 - open_field_dba(found.context.sound, np.array([away_m]), 1.5)[0]
        assert facts["one_machine_margin_db"] == pytest.approx(margin, abs=0.2)
        assert facts["noise_class"] == said


def test_what_is_described_is_what_was_sized(town, sized, plan, described):
    lots, homes, sheds = crowd(40, 23)
    some = town(lots, homes=homes, buildings=sheds)
    found, got = sized(some, plan)
    facts = described(some, found, got)
    placed = (got["n_lo"] > 0).to_numpy()
    assert (facts.loc[placed, "placed_n"] == got.loc[placed, "n_lo"]).all()
    assert (facts.loc[placed, "noise_slack_db"].dropna() >= 0).all()
    assert (facts.loc[placed, "pad_slack_m"] >= 0).all()
    inside = shapely.covers(
        shapely.buffer(found.context.ground.shapes[placed], 0.005),
        facts.loc[placed, "block"].to_numpy(),
    )
    assert inside.all()
    # Compute the level of each placement at the governing home again, machine by machine.
    named = np.flatnonzero(placed & facts["receptor_id"].notna().to_numpy())
    for row in named:
        level = level_at_home(facts.iloc[row], row, found)
        assert facts["level_dba"][row] == pytest.approx(level, abs=0.001)
    assert len(named) > 10
    stopped = (got["binding"] == "noise").to_numpy()
    assert stopped.any()
    assert (facts.loc[stopped, "noise_short_by_db"] > 0).all()


def test_as_many_as_fit_lie_on_the_ground_and_do_not_overlap(town, sized, plan, described):
    lots, _, sheds = crowd(30, 7)
    some = town(lots, buildings=sheds)
    found, got = sized(some, plan)
    facts = described(some, found, got)
    assert (found.pad_n == got["n_lo"]).all()
    for row in np.flatnonzero(got["n_lo"] > 0):
        machines = facts["machines"][row]
        assert shapely.get_num_geometries(machines) == got["n_lo"][row]
        # Overlapping machines would cover less area than their footprints add up to.
        covered = shapely.area(shapely.union_all([machines]))
        assert covered == pytest.approx(got["n_lo"][row] * 1.524 * 0.9144, rel=1e-6)
        assert shapely.covers(shapely.buffer(facts["block"][row], 0.001), machines)


def test_what_is_drawn_at_best_holds_the_limit_where_somebody_really_lives(
    town, sized, plan, described
):
    # A home is 16 m west, and nothing is mapped beyond x = 22. In the best case only that home
    # counts.
    lot, home = shapely.box(0, 0, 20, 40), shapely.box(-26, 0, -16, 40)
    some = town([lot], homes=[home])
    some.coverage["receptors"] = shapely.box(-500, -500, 22, 500)
    found, got = sized(some, plan, fuel_lo=0, fuel_hi=25)
    facts = described(some, found, got)
    assert got["n_lo"].tolist() == [0]
    assert facts["placed_n"].tolist() == got["n_hi"].tolist()
    assert facts["level_dba"].iloc[0] <= 69
    level = level_at_home(facts.iloc[0], 0, found)
    assert facts["level_dba"].iloc[0] == pytest.approx(level, abs=0.001)


def test_where_the_flood_layer_ends_the_evidence_says_so(town, layer, sized, plan, described):
    some = town([LOT, shapely.box(60, 0, 106, 46)])
    some.layers["exclusions"] = layer([], kind=[], name=[])
    some.coverage["exclusions"] = shapely.box(-500, -500, 50, 500)
    found, got = sized(some, plan)
    facts = described(some, found, got)
    assert facts["pad_evidence"].tolist() == ["buildings", "edge of layer"]


def test_the_distance_is_to_the_receiver_point_and_the_wall_takes_some_decibels(
    town, sized, plan, described
):
    some = town([LOT], homes=[home_at(0)])
    found, got = sized(some, plan)
    row = described(some, found, got).iloc[0]
    middle = shapely.centroid(row["block"])
    # The home's line is straight, so the loudest point is near the foot of the perpendicular.
    nearest = 46 - middle.x
    assert nearest <= row["receptor_distance_m"] <= np.hypot(nearest, 2.5)
    assert row["receptor_direction"] == "east"
    assert 3 < row["wall_gain_db"] < 20
    assert not row["distance_floored"]


def test_the_slack_of_the_ground_is_what_the_block_leaves(town, sized, plan, described):
    # One machine takes 2.7432 by 3.3528 m. A lot of 12 by 12 m leaves 6 by 6 m of ground. The block
    # still fits with 1.32 m more on each side; with 0.1 m steps at least 1.2 m.
    some = town([shapely.box(0, 0, 12, 12)])
    found, got = sized(some, plan, fuel_lo=1)
    row = described(some, found, got).iloc[0]
    assert got["n_lo"].tolist() == [1]
    assert (6 - 3.3528) / 2 - 0.11 <= row["pad_slack_m"] <= (6 - 3.3528) / 2 + 0.001
    # 4 fit. Five in 2 rows of 3 take 3 x 0.9144 + 4 x 0.9144 = 6.4008 m: 0.2004 m a side are short.
    found, got = sized(some, plan)
    row = described(some, found, got).iloc[0]
    assert got["n_lo"].tolist() == [4]
    assert (6.4008 - 6) / 2 - 0.001 <= row["pad_short_by_m"] <= (6.4008 - 6) / 2 + 0.11
