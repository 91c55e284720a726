"""Check the slow oracles of grid and fuel against published cases and arithmetic."""

import math

import pytest

from tests.geo import oracle_grid, oracle_pipes


def test_the_flow_equations_match_published_cases():
    # A mile of main at gravity 0.6, inside diameters 1.94 to 7.57 in: 60 to 20 and 30 to 20 psig.
    for inside_in, high, medium in (
        (1.94, 12_900, 5_500),
        (3.85, 80_200, 34_100),
        (5.71, 229_300, 97_700),
        (7.57, 486_400, 207_200),
    ):
        flows = [oracle_pipes.weymouth_scfh(inside_in, psig, 20, 1, 0.6) for psig in (60, 30)]
        assert flows == pytest.approx([high, medium], rel=0.005)
    # The low-pressure case in the tests of fluids: 0.154051 m, 6720.32 Pa over 54.864 m (180 ft),
    # gravity 0.6: 0.9488775 m3/s at 15 C.
    scfh = oracle_pipes.spitzglass_scfh(0.154051 / 0.0254, 6720.32 / 249.089, 180, 0.6)
    assert scfh * 0.3048**3 / 3600 == pytest.approx(0.9488775, rel=0.002)


@pytest.mark.parametrize(
    ("row", "kw", "highest_kw"),
    [
        # Published in kW, MVA x 0.95, share x firm x 0.95. The first of these that is given counts.
        ({"headroom_kw": 700, "headroom_mva": 9}, 700, 700),
        ({"headroom_mva": 2, "firm_capacity_mva": 90, "peak_load_mva": 1}, 1900, 1900),
        ({"headroom_share": 0.1, "firm_capacity_mva": 10}, 950, 950),
        # Firm minus peak: 10 - 6 MVA; sqrt 3 x 10 kV x (300 - 100) A = 3464 kVA at 0.9.
        ({"firm_capacity_mva": 10, "peak_load_mva": 6}, 3800, 3800),
        ({"rating_a": 300, "peak_a": 100, "voltage_kv": 10, "power_factor": 0.9}, 3117.69, 3117.69),
        # Banks of 30 MVA with the largest out, times 1.1, or 1.3 in the best case:
        # (30 - 12) 1.1 - 10, and 18 x 1.3 - 10 = 13.4; 2/3 of 30: 20 x 1.3 - 10 = 16.
        ({"nameplate_mva": 30, "largest_bank_mva": 12, "peak_load_mva": 10}, 9310, 12730),
        ({"nameplate_mva": 30, "bank_count": 3, "peak_load_mva": 10}, 11400, 15200),
        # A published share refers to the firm capacity at 1.1, also in the best case.
        ({"headroom_share": 0.1, "nameplate_mva": 30, "bank_count": 3}, 2090, 2090),
    ],
)
def test_the_headroom_of_a_record(plan, row, kw, highest_kw):
    factors = {"power_factor": 0.95, "cyclic_factor": 1.1, "cyclic_factor_most": 1.3}
    rules = plan.grid.model_copy(update=factors)
    span = oracle_grid.compute_headroom({**row, "committed_included": True}, rules)
    assert (span.stated_kw, span.lo_kw, span.hi_kw) == pytest.approx((kw, kw, highest_kw))
    # The committed load is 1 MVA, or unknown.
    less = oracle_grid.compute_headroom({**row, "committed_load_mva": 1}, rules)
    assert less.stated_kw == pytest.approx(kw - 1000 * row.get("power_factor", 0.95))
    unknown = oracle_grid.compute_headroom(row, rules)
    assert (unknown.lo_kw, unknown.hi_kw) == pytest.approx((-math.inf, highest_kw))


def test_the_headroom_of_a_single_bank_is_only_bounded_from_above(plan):
    row = {"nameplate_mva": 30, "bank_count": 1, "peak_load_mva": 10, "committed_included": True}
    rules = plan.grid.model_copy(update={"power_factor": 0.95})
    span = oracle_grid.compute_headroom(row, rules)
    assert (span.stated_kw, span.lo_kw, span.hi_kw) == (19_000, -math.inf, 19_000)


@pytest.mark.parametrize(
    ("named", "psig", "classes"),
    [
        # 0.25, 30 and 60 psig minus 2 %: 0.245, 29.4 and 58.8; plus 2 %: 0.255, 30.6 and 61.2.
        (None, 0.1, ("low", "low")),
        (None, 0.254, ("low", "low")),
        (None, 0.256, ("low", "medium")),
        (None, 29.3, ("low", "medium")),
        (None, 29.5, ("medium", "medium")),
        (None, 30.5, ("medium", "medium")),
        (None, 30.7, ("medium", "high")),
        (None, 58.9, ("high", "high")),
        (None, 99.0, ("high", "high")),
        ("high", 29.3, ("low", "high")),
        ("high", 45.0, ("medium", "high")),
        ("medium", 99.0, ("medium", "medium")),
        ("low", None, ("low", "low")),
        (None, None, None),
    ],
)
def test_the_pressure_class_of_a_main(named, psig, classes):
    kpa = None if psig is None else psig * 6.894757
    row = {"pressure_class": named, "pressure_kpa": kpa}
    assert oracle_pipes.pressure_class_range(row) == classes
