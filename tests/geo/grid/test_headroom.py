"""What a capacity record leaves: units, power factors, N-1, ceilings, what is committed."""

import math

import numpy as np
import pandas as pd
import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.criteria.grid.headroom import compute_headroom

UNITS = pint.UnitRegistry()


def left(plan, **columns):
    return compute_headroom(pd.DataFrame([columns]), plan.grid).iloc[0]


def test_firm_less_peak_less_committed_at_the_plans_power_factor(plan):
    row = left(plan, firm_capacity_mva=20.0, peak_load_mva=16.0, committed_load_mva=3.0)
    assert row["stated_kw"] == pytest.approx((20 - 16 - 3) * 1000 * 0.95)
    assert row["lo_kw"] == row["hi_kw"] == row["stated_kw"]
    assert (row["basis"], row["power_factor"]) == ("firm less peak", 0.95)


def test_the_records_own_power_factor_goes_before_the_plans(plan):
    row = left(plan, headroom_mva=2.0, power_factor=0.98, committed_included=True)
    assert row["stated_kw"] == pytest.approx(1960)
    assert row["power_factor"] == 0.98


@pytest.mark.parametrize(
    ("banks", "firm_mva"),
    [
        ({"bank_count": 3, "nameplate_mva": 60.0, "largest_bank_mva": 20.0}, 40.0),
        ({"bank_count": 2, "nameplate_mva": 53.33, "largest_bank_mva": 33.33}, 20.0),
        ({"bank_count": 4, "nameplate_mva": 80.0}, 60.0),  # all alike: 3/4 of it
        ({"bank_count": 1, "nameplate_mva": 33.33}, 0.0),  # nothing is left with it out
        ({"bank_count": 1, "nameplate_mva": 33.33, "largest_bank_mva": 33.33}, 0.0),
    ],
)
def test_banks_are_firm_with_the_largest_out(plan, banks, firm_mva):
    row = left(plan, **banks, peak_load_mva=5.0, committed_load_mva=0.0)
    assert row["stated_kw"] == pytest.approx((firm_mva - 5) * 950)
    assert row["basis"] == "N-1 of the banks less peak"


def test_banks_left_may_carry_more_than_their_nameplate_by_the_plan(plan):
    grid = plan.grid.model_copy(update={"cyclic_factor": 1.2})
    records = pd.DataFrame([{"bank_count": 2, "nameplate_mva": 40.0, "peak_load_mva": 22.0,
                             "committed_load_mva": 0.0}])  # fmt: skip
    row = compute_headroom(records, grid).iloc[0]
    assert row["stated_kw"] == row["lo_kw"] == pytest.approx((20 * 1.2 - 22) * 950)
    # At best 1.3 times: an upper bound is of what they may carry, not of what they surely do.
    assert row["hi_kw"] == pytest.approx((20 * 1.3 - 22) * 950)


def test_a_nameplate_of_an_unknown_number_of_banks_says_nothing(plan):
    row = left(plan, nameplate_mva=40.0, peak_load_mva=5.0)
    assert math.isnan(row["stated_kw"])
    assert (row["lo_kw"], row["hi_kw"]) == (-math.inf, math.inf)


def test_a_share_of_firm_is_a_share_of_firm_and_not_of_what_is_left(plan):
    # UK Power Networks: headroom MVA = firm x share.
    row = left(plan, headroom_share=0.23, firm_capacity_mva=30.0, committed_included=True)
    assert row["stated_kw"] == pytest.approx(0.23 * 30 * 950)
    assert row["basis"] == "share of firm"


def test_amps_become_power_by_the_square_root_of_three(plan):
    row = left(plan, rating_a=241.0, peak_a=104.0, voltage_kv=4.8, committed_load_mva=0.0)
    amps = (241 - 104) * UNITS.ampere
    power = (math.sqrt(3) * 4.8 * UNITS.kilovolt * amps).to("kilowatt").magnitude
    assert row["stated_kw"] == pytest.approx(power * 0.95)


def test_at_the_ceiling_only_a_lower_bound_is_known(plan):
    row = left(plan, headroom_kw=10_000.0, ceiling_kw=10_000.0, committed_included=True)
    assert (row["lo_kw"], row["hi_kw"]) == (10_000.0, math.inf)
    below = left(plan, headroom_kw=9_999.0, ceiling_kw=10_000.0, committed_included=True)
    assert below["lo_kw"] == below["hi_kw"] == 9_999.0


def test_what_is_committed_and_not_said_leaves_an_upper_bound(plan):
    row = left(plan, headroom_kw=800.0)
    assert (row["stated_kw"], row["lo_kw"], row["hi_kw"]) == (800.0, -math.inf, 800.0)
    off = left(plan, headroom_kw=800.0, committed_load_mva=0.5, committed_included=False)
    assert off["stated_kw"] == off["lo_kw"] == pytest.approx(800 - 475)
    # Off already: the queue is not taken twice.
    assert left(plan, headroom_kw=800.0, committed_load_mva=0.5,
                committed_included=True)["stated_kw"] == 800.0  # fmt: skip


def test_negative_is_data(plan):
    row = left(plan, firm_capacity_mva=10.0, peak_load_mva=12.0, committed_load_mva=1.0)
    assert row["stated_kw"] == pytest.approx(-3 * 950)


def test_missing_is_missing(plan):
    row = left(plan, firm_capacity_mva=10.0, peak_load_mva=np.nan, committed_load_mva=1.0)
    assert math.isnan(row["stated_kw"])
    assert row["basis"] is None


@given(
    firm=st.floats(0, 100), peak=st.floats(0, 100), committed=st.floats(0, 50), more=st.floats(0, 9)
)
def test_more_load_or_queue_never_leaves_more(plan, firm, peak, committed, more):
    records = pd.DataFrame(
        {
            "firm_capacity_mva": firm,
            "peak_load_mva": [peak, peak + more, peak],
            "committed_load_mva": [committed, committed, committed + more],
        }
    )
    as_is, more_load, more_queue = compute_headroom(records, plan.grid)["stated_kw"]
    assert more_load <= as_is
    assert more_queue <= as_is
