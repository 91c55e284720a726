"""A narrow gap between two halls lets sound through to a stretch of a neighbor's line."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from geo.criteria.noise.receiver_points import ReceiverPoints
from geo.screen import screen_sites
from geo.sizing.between_points import name_louder_between
from geo.sizing.kernel.answers import JUDGE_EACH
from geo.sizing.questions import ask, no_blocks
from geo.sizing.siting import list_case
from tests.geo.criteria.noise.conftest import place, under
from tests.geo.sizing.blocks import block_row, context_of, levels_at_points

LOT = shapely.box(0, 0, 40, 40)
HOME = shapely.box(60, 0, 100, 40)
# The home's line is at x = 60, with a point every 2.5 m; the halls reach from x = 50 to 52.
GAP_M = 0.8


@pytest.fixture
def behind_halls(town, market, plan):
    """Return the town with a gap through which a machine at (20, 20) is seen from (60, seen_y)."""
    noise = plan.noise.model_copy(update={"wall_absorption": 1.0})
    still = plan.model_copy(update={"noise": noise})

    def build(seen_y):
        halls = []
        if seen_y is None:
            halls.append(shapely.box(50, -90, 52, 130))
        else:
            gap_y = 20 + (seen_y - 20) * (51 - 20) / (60 - 20)
            halls.append(shapely.box(50, -90, 52, gap_y - GAP_M / 2))
            halls.append(shapely.box(50, gap_y + GAP_M / 2, 52, 130))
        given = town([LOT], homes=[HOME], buildings=halls)
        given.layers["buildings"]["height_m"] = 12.0
        return given, under(market, None), still

    return build


def judge(context):
    """Return one machine at (20, 20), and how loud it is at the receiver points."""
    given = no_blocks(1)
    given.place[0] = block_row(context, place(20, 20).iloc[0])
    return ask(
        context.search, JUDGE_EACH, list_case(worst=True), np.zeros(1, int), np.ones(1), given
    ).blocks


@pytest.mark.parametrize(
    ("seen_y", "louder"),
    # Between two points, at a point, and without a gap.
    [(21.25, "home H0"), (18.75, "home H0"), (20.0, None), (22.5, None), (None, None)],
)
def test_a_gap_is_found_where_no_receiver_point_is(behind_halls, seen_y, louder):
    context = context_of(*behind_halls(seen_y))
    assert name_louder_between(context, judge(context), np.array([True])).tolist() == [louder]


def test_a_receptor_that_may_not_exist_counts_in_the_worst_case_only(behind_halls):
    given, market, plan = behind_halls(21.25)
    given.layers["receptors"]["receptor_class"] = "unknown"
    context = context_of(given, market, plan)
    assert context.pairs.column("certain").tolist() == [False]
    blocks = judge(context)
    assert name_louder_between(context, blocks, np.array([True])).tolist() == ["unknown H0"]
    assert name_louder_between(context, blocks, np.array([False])).tolist() == [None]


def test_no_block_is_not_louder_anywhere(behind_halls):
    context = context_of(*behind_halls(21.25))
    assert name_louder_between(context, no_blocks(1), np.array([True])).tolist() == [None]


def test_such_a_site_is_measured_at_close_points(behind_halls):
    given, market, plan = behind_halls(21.25)
    context = context_of(given, market, plan)
    row = screen_sites(given, market, plan).iloc[0]
    drawn = row["block"].centroid
    # The block stands where it is seen through the gap between two points, or it is moved aside.
    assert row["n_lo"] > 0
    level = levels_along(context, row, drawn, 0.25)
    assert level <= row["limit_dba"] + 0.5
    assert level <= row["level_dba"] + 0.5


def levels_along(context, row, drawn, apart_m):
    """Return the highest level of the drawn block at points of the home's near line."""
    at = np.column_stack((np.full(161, 60.0), np.arange(0, 40 + apart_m / 2, apart_m)))
    closer = ReceiverPoints(
        xy=at, begin=np.zeros(1, int), end=np.array([len(at)]), facing_only=np.zeros(1, bool),
        outward=np.full((len(at), 4), np.nan),
    )  # fmt: skip
    moved = replace(context, points=closer)
    placed = place(
        drawn.x, drawn.y, int(row["placed_n"]), columns=int(row["pad_columns"]),
        degrees=90 - row["pad_bearing_deg"],
    ).iloc[0]  # fmt: skip
    return levels_at_points(moved, placed, 0).max()
