"""The headroom of a record: units, power factors, N-1, ceilings, committed load."""

import math

import numpy as np
import pandas as pd
import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.criteria.grid.headroom import compute_headroom, compute_hosting

UNITS = pint.UnitRegistry()


def compute_row(plan, **columns):
    return compute_headroom(pd.DataFrame([columns]), plan.grid).iloc[0]


def test_headroom_is_firm_less_peak_less_committed_at_the_plans_power_factor(plan):
    row = compute_row(plan, firm_capacity_mva=20.0, peak_load_mva=16.0, committed_load_mva=3.0)
    assert row["stated_kw"] == pytest.approx((20 - 16 - 3) * 1000 * 0.95)
    assert row["lo_kw"] == row["hi_kw"] == row["stated_kw"]
    assert (row["basis"], row["power_factor"]) == ("firm less peak", 0.95)


def test_the_records_power_factor_replaces_the_plans(plan):
    row = compute_row(plan, headroom_mva=2.0, power_factor=0.98, committed_included=True)
    assert row["stated_kw"] == pytest.approx(1960)
    assert row["power_factor"] == 0.98


@pytest.mark.parametrize(
    ("banks", "firm_mva"),
    [
        ({"bank_count": 3, "nameplate_mva": 60.0, "largest_bank_mva": 20.0}, 40.0),
        ({"bank_count": 2, "nameplate_mva": 53.33, "largest_bank_mva": 33.33}, 20.0),
        ({"bank_count": 4, "nameplate_mva": 80.0}, 60.0),  # equal banks: 3/4 of the total
        # Two banks are said, but one is as large as both: none remains.
        ({"bank_count": 2, "nameplate_mva": 33.33, "largest_bank_mva": 33.33}, 0.0),
    ],
)
def test_the_firm_capacity_of_banks_is_without_the_largest(plan, banks, firm_mva):
    row = compute_row(plan, **banks, peak_load_mva=5.0, committed_load_mva=0.0)
    assert row["stated_kw"] == pytest.approx((firm_mva - 5) * 950)
    assert row["basis"] == "N-1 of the banks less peak"


@pytest.mark.parametrize(
    "bank",
    [
        {"bank_count": 1, "nameplate_mva": 33.33},
        {"bank_count": 1, "nameplate_mva": 33.33, "largest_bank_mva": 33.33},
        {"nameplate_mva": 33.33, "largest_bank_mva": 33.33},
    ],
)
def test_a_single_bank_is_not_an_overload(plan, bank):
    """N-1 of one bank is 0 by definition; what it can carry is at most its nameplate."""
    row = compute_row(plan, **bank, peak_load_mva=9.16, committed_load_mva=2.0)
    assert row["hi_kw"] == row["stated_kw"] == pytest.approx((33.33 - 9.16 - 2) * 950)
    assert row["lo_kw"] == -math.inf
    assert row["basis"] == "nameplate of one bank less peak"
    # A share of a firm capacity that is not known is not known either.
    share = compute_row(plan, **bank, headroom_share=0.2, committed_included=True)
    assert math.isnan(share["stated_kw"])


def test_the_plan_may_let_the_remaining_banks_exceed_their_nameplate(plan):
    grid = plan.grid.model_copy(update={"cyclic_factor": 1.2})
    records = pd.DataFrame([{"bank_count": 2, "nameplate_mva": 40.0, "peak_load_mva": 22.0,
                             "committed_load_mva": 0.0}])  # fmt: skip
    row = compute_headroom(records, grid).iloc[0]
    assert row["stated_kw"] == row["lo_kw"] == pytest.approx((20 * 1.2 - 22) * 950)
    # In the best case the banks carry 1.3 times their rating, which gives the upper bound.
    assert row["hi_kw"] == pytest.approx((20 * 1.3 - 22) * 950)


def test_a_nameplate_without_a_number_of_banks_gives_no_headroom(plan):
    row = compute_row(plan, nameplate_mva=40.0, peak_load_mva=5.0)
    assert math.isnan(row["stated_kw"])
    assert (row["lo_kw"], row["hi_kw"]) == (-math.inf, math.inf)


def test_a_headroom_share_is_a_share_of_firm_capacity(plan):
    # UK Power Networks: headroom MVA = firm x share.
    row = compute_row(plan, headroom_share=0.23, firm_capacity_mva=30.0, committed_included=True)
    assert row["stated_kw"] == pytest.approx(0.23 * 30 * 950)
    assert row["basis"] == "share of firm"


def test_current_becomes_three_phase_power(plan):
    row = compute_row(plan, rating_a=241.0, peak_a=104.0, voltage_kv=4.8, committed_load_mva=0.0)
    amps = (241 - 104) * UNITS.ampere
    power = (math.sqrt(3) * 4.8 * UNITS.kilovolt * amps).to("kilowatt").magnitude
    assert row["stated_kw"] == pytest.approx(power * 0.95)


def test_a_value_at_the_ceiling_is_a_lower_bound(plan):
    row = compute_row(plan, headroom_kw=10_000.0, ceiling_kw=10_000.0, committed_included=True)
    assert (row["lo_kw"], row["hi_kw"]) == (10_000.0, math.inf)
    below = compute_row(plan, headroom_kw=9_999.0, ceiling_kw=10_000.0, committed_included=True)
    assert below["lo_kw"] == below["hi_kw"] == 9_999.0


INCLUDED = {"committed_included": True}


@pytest.mark.parametrize("compute", [compute_headroom, compute_hosting])
@pytest.mark.parametrize(
    ("published", "stated", "lo", "hi"),
    [
        ({"headroom_least_kw": 250.0, "headroom_most_kw": 500.0}, 250, 250, 500),
        ({"headroom_least_kw": 2000.0}, 2000, 2000, math.inf),
        ({"headroom_most_kw": 250.0}, 250, -math.inf, 250),
        # 0.95 kW per kVA
        ({"headroom_least_mva": 1.0, "headroom_most_mva": 2.0}, 950, 950, 1900),
        ({"headroom_least_kw": 900.0, "headroom_most_mva": 2.0}, 900, 900, 1900),
        # A single number comes before a range.
        ({"headroom_kw": 300.0, "headroom_most_kw": 500.0}, 300, 300, 300),
        ({"headroom_mva": 1.0, "headroom_least_kw": 10.0}, 950, 950, 950),
    ],
)
def test_a_published_range_stays_a_range(plan, compute, published, stated, lo, hi):
    row = compute(pd.DataFrame([published | INCLUDED]), plan.grid).iloc[0]
    assert row[["stated_kw", "lo_kw", "hi_kw"]].tolist() == pytest.approx([stated, lo, hi])
    assert row["basis"] == "published"


def test_a_range_less_the_committed_load(plan):
    ends = {"headroom_least_kw": 1000.0, "headroom_most_kw": 2000.0}
    row = compute_row(plan, **ends, committed_load_mva=0.5, committed_included=False)
    assert (row["lo_kw"], row["hi_kw"]) == pytest.approx((1000 - 475, 2000 - 475))
    unknown = compute_row(plan, **ends)
    assert (unknown["lo_kw"], unknown["hi_kw"]) == (-math.inf, 2000)


@given(st.floats(-5000, 5000), st.floats(0, 5000), st.sampled_from(["least", "most"]))
def test_losing_one_end_of_a_range_only_widens_it(plan, low, more, lost):
    ends = {"headroom_least_kw": low, "headroom_most_kw": low + more}
    whole = compute_row(plan, **ends, **INCLUDED)
    del ends[f"headroom_{lost}_kw"]
    left = compute_row(plan, **ends, **INCLUDED)
    assert left["lo_kw"] <= whole["lo_kw"]
    assert left["hi_kw"] >= whole["hi_kw"]


def test_an_unknown_committed_load_leaves_an_upper_bound(plan):
    row = compute_row(plan, headroom_kw=800.0)
    assert (row["stated_kw"], row["lo_kw"], row["hi_kw"]) == (800.0, -math.inf, 800.0)
    deducted = compute_row(
        plan, headroom_kw=800.0, committed_load_mva=0.5, committed_included=False
    )
    assert deducted["stated_kw"] == deducted["lo_kw"] == pytest.approx(800 - 475)
    # If the committed load is already deducted, it is not deducted again.
    assert compute_row(plan, headroom_kw=800.0, committed_load_mva=0.5,
                committed_included=True)["stated_kw"] == 800.0  # fmt: skip


def test_negative_headroom_is_kept(plan):
    row = compute_row(plan, firm_capacity_mva=10.0, peak_load_mva=12.0, committed_load_mva=1.0)
    assert row["stated_kw"] == pytest.approx(-3 * 950)


def test_a_missing_peak_leaves_the_headroom_missing(plan):
    row = compute_row(plan, firm_capacity_mva=10.0, peak_load_mva=np.nan, committed_load_mva=1.0)
    assert math.isnan(row["stated_kw"])
    assert row["basis"] is None


@given(
    firm=st.floats(0, 100), peak=st.floats(0, 100), committed=st.floats(0, 50), more=st.floats(0, 9)
)
def test_more_load_never_leaves_more_headroom(plan, firm, peak, committed, more):
    records = pd.DataFrame(
        {
            "firm_capacity_mva": firm,
            "peak_load_mva": [peak, peak + more, peak],
            "committed_load_mva": [committed, committed, committed + more],
        }
    )
    as_is, more_load, more_committed = compute_headroom(records, plan.grid)["stated_kw"]
    assert more_load <= as_is
    assert more_committed <= as_is
