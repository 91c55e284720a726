import numpy as np
import pytest
import shapely

from geo.equipment.block import draw_blocks
from geo.model import Setback
from geo.sizing.placement import list_placements
from geo.sizing.resizing import select_sitings
from tests.geo.conftest import SETBACKS
from tests.geo.sizing.conftest import GX230, LOT, crowd, home_at, size_in


def test_two_machines_need_root_two_times_the_distance_of_one(town, sized, plan):
    # The ground has room for one layout of two machines in one place only: 4.572 by 3.3528 m.
    lot = shapely.box(0, 0, 4.6 + 6, 3.4 + 6)
    counts = []
    for off_m in (0.0, 8.0):
        # Long homes on both sides; machines stand about the middle, 5.3 m from the lot's sides.
        homes = [shapely.box(10.6 + off_m, -50, 60, 60), shapely.box(-60, -50, -off_m, 60)]
        found, _ = sized(town([lot], homes=homes), plan)
        assert found.pad_n.tolist() == [2]
        counts.append(found.place_lo[0])
    # One machine 7 m away meets the limit: at 5.3 m it does not, and at 13.3 m two do.
    assert counts == [0, 2]


def test_an_unknown_ambient_level_is_a_bracket(town, market, plan):
    # One machine is at most 70 m from the home, and the worst-case limit is 40 dB(A), so a machine
    # is allowed only if the ambient level is known.
    massachusetts = market.model_copy(update={"noise_rule": "massachusetts"})
    some = town([shapely.box(0, 0, 73, 12)], homes=[shapely.box(73, -100, 200, 100)])
    found, _ = size_in(massachusetts, some, plan)
    assert (found.place_lo[0], found.place_hi[0]) == (0, 25)


def test_no_receptor_layer_is_unknown_not_a_pass(town, sized, plan):
    bare = town([LOT])
    del bare.layers["receptors"]
    found, got = sized(bare, plan)
    assert got.iloc[0][["n_lo", "n_hi"]].tolist() == [0, 25]
    assert (found.place_lo[0], found.place_hi[0], found.noise_n[0]) == (0, plan.cap, 0)


def test_the_edge_of_the_layer_is_a_bracket(town, sized, plan):
    lot = shapely.box(0, 0, 20, 20)
    edge = shapely.box(-500, -500, 24, 500)  # the layer stops 4 m east of the lot
    _, got = sized(town([lot], coverage=edge), plan)
    row = got.iloc[0]
    assert row["n_hi"] == 25
    assert 1 <= row["n_lo"] < 25
    # In the worst case, homes are assumed all along that edge.
    along = shapely.box(24, -200, 44, 200)
    assert row["n_lo"] == sized(town([lot], homes=[along]), plan)[1]["n_lo"].iloc[0]


def test_no_building_layer_is_unknown_unless_the_plan_takes_the_parcel_as_bare(town, sized, plan):
    bare = town([LOT])
    del bare.layers["buildings"]
    assert sized(bare, plan)[1].iloc[0][["n_lo", "n_hi"]].tolist() == [0, 25]
    assumed = plan.assume.model_copy(update={"bare_parcel": True})
    taken = plan.model_copy(update={"assume": assumed})
    assert sized(bare, taken)[1].iloc[0][["n_lo", "n_hi"]].tolist() == [25, 25]


def test_shuffled_sites_and_neighbors_change_nothing(town, sized, plan):
    lots, homes, sheds = crowd(25, 5)
    order = np.random.default_rng(1).permutation(25)
    _, straight = sized(town(lots, homes=homes, buildings=sheds), plan)
    shuffled = town(
        [lots[i] for i in order], homes=homes[::-1], buildings=[sheds[i] for i in order[::-1]]
    )
    _, mixed = sized(shuffled, plan)
    assert mixed["n_lo"].tolist() == straight["n_lo"].to_numpy()[order].tolist()
    assert mixed["binding"].tolist() == straight["binding"].to_numpy()[order].tolist()
    assert straight["n_lo"].nunique() > 5


def test_sizing_again_gives_the_same_blocks(town, sized, plan):
    lots, homes, sheds = crowd(25, 5)
    some = town(lots, homes=homes, buildings=sheds)
    one, other = sized(some, plan)[0], sized(some, plan)[0]
    assert one.held_lo.tolist() == other.held_lo.tolist()
    assert one.block_lo.place.tolist() == other.block_lo.place.tolist()
    assert one.block_lo.ratio.tolist() == other.block_lo.ratio.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"pad": {"setbacks": {"other": Setback(front_m=5, side_m=5, rear_m=5, home_m=5)}}},
        {"pad": {"building_clearance_m": 4.0}},
        {"noise": {"limit_dba": 65.0}},
    ],
)
def test_a_stricter_rule_hardly_ever_adds_a_machine(town, sized, plan, change):
    lots, homes, sheds = crowd(40, 11)
    # There is no zoning text, so the plan's setbacks apply.
    some = town(lots, homes=homes, buildings=sheds, **dict.fromkeys(SETBACKS, np.nan))
    part, rules = next(iter(change.items()))
    strict = plan.model_copy(update={part: getattr(plan, part).model_copy(update=rules)})
    fewer, more = sized(some, strict)[1]["n_lo"], sized(some, plan)[1]["n_lo"]
    # On other ground the search tries other places, and may find one for one more.
    gained = (fewer - more).clip(lower=0)
    assert gained.max() <= 1
    assert (gained > 0).mean() <= 0.03
    assert (fewer < more).mean() > 0.1


def test_wider_aisles_never_make_more_room(town, sized, plan):
    # Noise may still allow more machines: if they are farther apart, fewer are near one neighbor.
    lots, homes, sheds = crowd(40, 11)
    some = town(lots, homes=homes, buildings=sheds)
    wide = plan.model_copy(update={"pad": plan.pad.model_copy(update={"service_m": 1.5})})
    fewer, more = sized(some, wide)[0].pad_n, sized(some, plan)[0].pad_n
    assert (fewer <= more).all()
    assert (fewer < more).any()


def test_where_the_flood_layer_ends_the_ground_is_not_known(town, layer, sized, plan):
    some = town([LOT, shapely.box(60, 0, 106, 46)])
    some.layers["exclusions"] = layer([], kind=[], name=[])
    some.coverage["exclusions"] = shapely.box(-500, -500, 50, 500)
    _, got = sized(some, plan)
    assert got["n_lo"].tolist() == [25, 0]
    assert got["n_hi"].tolist() == [25, 25]


def test_the_quietest_spot_is_never_louder_than_the_middle_of_the_lot(town, market, plan):
    # A building east of the lot screens only the middle of the lot from the homes behind it.
    some = town(
        [LOT],
        homes=[shapely.box(LOT.bounds[2] + 40, -200, LOT.bounds[2] + 60, 200)],
        buildings=[shapely.box(LOT.bounds[2] + 1, -6, LOT.bounds[2] + 4, 60)],
    )
    found, _ = size_in(market, some, plan)
    assert (found.alone_worst["quiet_side_db"] >= 0).all()


def test_the_quietest_spot_is_as_far_as_the_lot_reaches(town, sized, plan):
    # Homes along the east side: the far side is 46 m off and the middle 23 m, 6 dB louder.
    home = shapely.box(46, -300, 90, 300)
    found, _ = sized(town([LOT], homes=[home]), plan)
    alone = found.alone_worst.iloc[0]
    assert alone["quiet_side_db"] == pytest.approx(20 * np.log10(2), abs=0.2)
    assert alone["level_dba"] == pytest.approx(69 - 20 * np.log10(46 / 7), abs=0.4)
    assert alone["margin_db"] == pytest.approx(69 - alone["level_dba"])
    assert alone["receptor_class"] == "home"


def test_one_generator_that_nobody_hears_has_an_infinite_margin(town, sized, plan):
    found, _ = sized(town([LOT]), plan)
    alone = found.alone_worst.iloc[0]
    assert alone["margin_db"] == np.inf
    assert np.isnan(alone["quiet_side_db"])
    assert alone["receptor_class"] is None


def test_quietness_is_what_one_machine_would_be_allowed(town, sized, plan):
    found, _ = sized(town([LOT, LOT], homes=[home_at(10)]), plan)
    # 14 m from the nearest point of the home, one machine is at a quarter of what is allowed.
    points = np.array([(56.0 - 14, 23), (56 - 7, 23)])
    quiet = found.context.measure_quietness(points, np.array([0, 1]))
    assert quiet == pytest.approx([4, 1], rel=0.06)
    alone, _ = sized(town([LOT]), plan)
    assert np.isinf(alone.context.measure_quietness(points, np.array([0, 0]))).all()


def test_sitings_are_combined_site_by_site(town, sized, plan):
    lots = [LOT, shapely.box(200, 0, 246, 46)]
    homes = [home_at(0), shapely.box(246, 0, 260, 46)]
    some = town(lots, homes=homes)
    loose, _ = sized(some, plan)
    strict, _ = sized(some, plan.model_copy(update={"cap": 2}))
    both = select_sitings(loose, strict, np.array([False, True]))
    assert both.held_lo.tolist() == [loose.held_lo[0], strict.held_lo[1]]
    assert both.held_lo.tolist() != loose.held_lo.tolist()
    assert both.block_lo.place[0].tolist() == loose.block_lo.place[0].tolist()
    assert both.block_lo.place[1].tolist() == strict.block_lo.place[1].tolist()
    assert select_sitings(loose, strict, np.zeros(2, dtype=bool)) is loose


def test_blocks_stand_on_their_ground_and_machines_do_not_overlap(town, sized, plan):
    lots, homes, sheds = crowd(40, 23)
    found, _ = sized(town(lots, homes=homes, buildings=sheds), plan)
    row = np.flatnonzero((found.held_lo > 0) & (found.block_lo.place[:, 0] >= 0))
    assert len(row) > 20
    count = found.held_lo[row]
    placed = list_placements(found.context, found.block_lo.place[row], count)
    outline, machines, _ = draw_blocks(placed, GX230, plan)
    on = shapely.buffer(found.context.ground.shapes[row], 0.005)
    assert shapely.covers(on, outline).all()
    assert shapely.covers(shapely.buffer(outline, 0.001), machines).all()
    # Overlapping machines would cover less area than their footprints add up to.
    each = np.array([shapely.unary_union(some).area for some in machines])
    assert each == pytest.approx(count * 1.524 * 0.9144)
