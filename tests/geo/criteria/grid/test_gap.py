"""The shortfall of any load according to its definition, and what sites share."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.criteria.grid import gap

HEADROOM = st.floats(-20_000, 20_000)


def shortfall(lo, hi, load=1000.0):
    least, most = gap.shortfall_range_kw(pd.Series([lo]), pd.Series([hi]), load)
    return least.iloc[0], most.iloc[0]


@pytest.mark.parametrize(
    ("lo", "hi", "least", "most", "gap_class"),
    [
        (300.0, 300.0, 700.0, 700.0, "short"),
        (1000.0, 1000.0, 0.0, 0.0, "covered"),
        (-2850.0, -2850.0, 1000.0, 1000.0, "short"),  # overloaded: the whole load is short
        (-math.inf, 950.0, 50.0, 1000.0, "short"),  # an upper bound
        (-math.inf, 38_000.0, 0.0, 1000.0, "unknown"),
        (10_000.0, math.inf, 0.0, 0.0, "covered"),  # published at its ceiling
        (400.0, math.inf, 0.0, 600.0, "unknown"),
        (-math.inf, math.inf, 0.0, 1000.0, "unknown"),
    ],
)
def test_shortfall_and_its_class(lo, hi, least, most, gap_class):
    assert shortfall(lo, hi) == (least, most)
    pair = (pd.Series([value]) for value in shortfall(lo, hi))
    assert gap.classify_gap(*pair)[0] == gap_class


@given(lo=HEADROOM, load=st.floats(1, 5000), more=st.floats(0, 9000))
def test_the_shortfall_never_exceeds_the_load_and_grows_as_headroom_falls(lo, load, more):
    least, most = shortfall(lo, lo, load)
    assert 0 <= least <= load
    assert least == most
    if lo <= 0:
        assert least == load
    assert shortfall(lo - more, lo - more, load)[0] >= least


def test_needed_generators_count_derated_power_and_spares():
    kw = pd.Series([0.0, 1.0, 200.0, 850.0, 987.5, 987.6])
    assert gap.count_needed(kw, 200.0, 0).tolist() == [0, 1, 1, 5, 5, 5]
    assert gap.count_needed(kw, 197.5, 1).tolist() == [0, 2, 3, 6, 6, 7]


def test_power_served_is_the_certain_supply_of_the_grid_plus_the_generators():
    served = gap.power_served_kw(
        1000.0, pd.Series([700.0, 700.0, 0.0]), pd.Series([3, 5, 2]), pd.Series(197.5)
    )
    assert served.iloc[0] == pytest.approx(300 + 3 * 197.5)
    full = gap.power_served_kw(1000.0, pd.Series([700.0]), pd.Series([5]), pd.Series([197.5]))
    assert full.iloc[0] == 1000.0


def test_whether_generators_cover_the_gap():
    needed_lo, needed_hi = pd.Series([0, 4, 4, 4, 6]), pd.Series([0, 4, 6, 6, 6])
    lo, hi = pd.Series([0, 4, 5, 6, 2]), pd.Series([0, 4, 9, 9, 5])
    most = pd.Series([0.0, 700.0, 1000.0, 1000.0, 1000.0])
    assert gap.classify_gap_cover(needed_lo, needed_hi, lo, hi, most).tolist() == [
        "no gap", "yes", "not known", "yes", "no",
    ]  # fmt: skip


def compute_left_kw(station, station_kw, own, record=None, record_kw=None, target=1000.0):
    """Compute the headroom left for sites that share substations and records."""
    nothing = [None] * len(own)
    return gap.headroom_left_kw(
        pd.DataFrame(
            {
                "load_headroom_kw": pd.Series(own, dtype=float),
                "station_pool": pd.Series(station, dtype=object),
                "station_pool_kw": pd.Series(station_kw, dtype=float),
                "record_pool": pd.Series(record or nothing, dtype=object),
                "record_pool_kw": pd.Series(record_kw or nothing, dtype=float),
            }
        ),
        target,
    )


def test_a_shared_feeder_can_run_out_before_its_substation():
    # The substation has 9000 kW and feeder F1 has 1100: 1100 is left, then 100. F2 has its own 700.
    left = compute_left_kw(
        ["S"] * 3, [9000.0] * 3, [1100.0, 1100.0, 700.0], ["F1", "F1", "F2"],
        [1100.0, 1100.0, 700.0],
    )  # fmt: skip
    assert left.tolist() == [1100.0, 100.0, 700.0]


def test_higher_ranked_sites_take_their_headroom_first():
    own = [1500.0, 1500.0, 400.0, 300.0, np.nan]
    left = compute_left_kw(["A", "A", "B", "A", None], [1500.0, 1500.0, 400.0, 1500.0, np.nan], own)
    # At A, 1500 is left, then 500; at B, 400; at A again, 1500 - 1000 - 1000 leaves nothing.
    assert left.tolist()[:4] == [1500.0, 500.0, 400.0, 0.0]
    assert math.isnan(left.iloc[4])


@given(
    pool_kw=st.floats(-5000, 20_000),
    own=st.lists(st.floats(-3000, 9000), min_size=1, max_size=12),
    target=st.floats(100, 3000),
)
def test_the_headroom_left_agrees_with_a_running_balance(pool_kw, own, target):
    count = len(own)
    actual = compute_left_kw(["P"] * count, [pool_kw] * count, own, target=target)
    left = pool_kw
    for own_kw, actual_kw in zip(own, actual, strict=True):
        assert actual_kw == pytest.approx(max(min(left, own_kw), 0.0), abs=1e-6)
        left -= min(max(own_kw, 0.0), target)


@pytest.mark.parametrize(
    ("best", "second", "check"),
    [
        ((300.0, 300.0), (4000.0, 4000.0), "contradict"),
        ((5000.0, 5000.0), (-math.inf, 3000.0), "differ"),
        ((5000.0, 5000.0), (-math.inf, 500.0), "contradict"),
        ((300.0, 300.0), (-math.inf, 950.0), "agree"),
        ((300.0, 300.0), (350.0, 350.0), "agree"),  # 50 kW is less than a tenth of the target
        ((-math.inf, math.inf), (300.0, 300.0), "cannot be compared"),
        ((300.0, 300.0), (-math.inf, math.inf), "cannot be compared"),
    ],
)
def test_two_records_are_compared_by_their_ranges(best, second, check):
    facts = pd.DataFrame(
        [
            {
                "headroom_lo_kw": best[0], "headroom_hi_kw": best[1], "second_lo_kw": second[0],
                "second_hi_kw": second[1], "second_evidence": "grid cell",
            }
        ]
    )  # fmt: skip
    assert gap.compare_records(facts, 1000.0).tolist() == [check]
    no_second = facts.assign(second_evidence=None)
    assert gap.compare_records(no_second, 1000.0).tolist() == ["no second answer"]
