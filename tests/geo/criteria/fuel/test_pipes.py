import math

import numpy as np
import pytest
from fluids.compressible import Spitzglass_low, Weymouth
from hypothesis import given
from hypothesis import strategies as st

from geo import catalogue
from geo.criteria.fuel import pipes
from geo.model import PipeMaterial, PipePressure

MILE_M = 1609.344
CLASSES = ("low", "medium", "high")
MATERIALS = tuple(catalogue.read_pipes().material)
diameters = st.floats(0.3, 40)


def compute_flow(inside_in, pressure, length_m=MILE_M, gravity=0.6):
    """Compute what one main carries (scfh)."""
    named = np.array([pressure], dtype=object)
    return pipes.pipe_flow_scfh(np.array([inside_in]), named, length_m, gravity)[0]


def compute_inside(nominal_in, material):
    lo, hi = pipes.inside_diameter_in(np.array([nominal_in]), np.array([material], dtype=object))
    return lo[0], hi[0]


def test_the_equations_match_published_cases():
    # From the tests of `fluids`: case H of a comparison of pipeline equations, and a short
    # low-pressure pipe (m3/s).
    case_h = Weymouth(D=0.340, P1=90e5, P2=20e5, L=160e3, SG=0.693, Tavg=277.15)
    assert case_h == pytest.approx(32.07729, rel=1e-6)
    short = Spitzglass_low(D=0.154051, P1=6720.3199, P2=0, L=54.864, SG=0.6, Tavg=288.7)
    assert short == pytest.approx(0.9488775, rel=1e-6)


@pytest.mark.parametrize(
    ("inches", "high", "medium"),
    [
        (1.94, 12_900, 5_500),
        (3.85, 80_200, 34_100),
        (5.71, 229_300, 97_700),
        (7.57, 486_400, 207_200),
    ],
)
def test_a_mile_of_pressurized_main_matches_the_planning_table(inches, high, medium):
    # Weymouth, efficiency 0.92, gravity 0.6: 60 to 20 and 30 to 20 psig over a mile.
    assert compute_flow(inches, "high") == pytest.approx(high, rel=0.005)
    assert compute_flow(inches, "medium") == pytest.approx(medium, rel=0.005)


@pytest.mark.parametrize(
    ("inches", "low"), [(2.067, 380), (4.026, 2350), (6.065, 7000), (7.981, 14_300)]
)
def test_the_low_pressure_column_of_that_table_is_for_schedule_40_steel(inches, low):
    assert compute_flow(inches, "low") == pytest.approx(low, rel=0.02)


def test_that_column_is_not_for_the_plastic_pipe_that_the_table_names():
    # 3550 sqrt(3.85^5 x 0.5 / (0.6 x 1000 x (1 + 3.6/3.85 + 0.03 x 3.85))) = 2081, not 2350.
    assert compute_flow(3.85, "low") == pytest.approx(2081, rel=0.02)


def test_low_pressure_does_not_use_the_shortcut_that_is_a_third_too_high():
    # 6.065 in, 0.5 inWC over 1000 ft. The shortcut leaves out the bracket 1 + 3.6/d + 0.03d.
    shortcut = 3550 * math.sqrt(6.065**5 * 0.5 / (0.6 * 1000))
    bracket = 1 + 3.6 / 6.065 + 0.03 * 6.065
    flow = compute_flow(6.065, "low")
    assert shortcut / flow == pytest.approx(1.33, abs=0.01)
    assert flow == pytest.approx(shortcut / math.sqrt(bracket), rel=0.001)


def test_a_low_pressure_main_carries_the_same_at_any_length():
    assert compute_flow(4.026, "low", 304.8) == pytest.approx(
        compute_flow(4.026, "low", 5 * MILE_M)
    )


@pytest.mark.parametrize(
    ("nominal", "material", "inches"),
    [
        # ASME B36.10M schedule 40, to the 0.1 mm to which the metric sizes are rounded.
        (2, "coated steel", 2.067),
        (4, "bare steel", 4.026),
        (6, "coated steel", 6.065),
        (8, "bare steel", 7.981),
        # The outside diameter of iron pipe size (2.375, 4.5, 6.625 in) minus two walls of 1/11.
        (2, "polyethylene", 2.375 * 9 / 11),
        (4, "polyethylene", 4.5 * 9 / 11),
        (6, "polyethylene", 6.625 * 9 / 11),
        (6, "cast iron", 6),
        (4, "other", 4),
    ],
)
def test_the_inside_diameter_differs_from_the_nominal_size(nominal, material, inches):
    lo, hi = compute_inside(float(nominal), material)
    assert lo == hi
    assert lo == pytest.approx(inches, abs=0.005)


@pytest.mark.parametrize("material", MATERIALS)
def test_the_catalogue_has_every_material_and_class_of_the_layer(material):
    columns = catalogue.read_layers()["mains"].columns
    assert set(columns["material"].values) == set(MATERIALS)
    assert (
        set(columns["pressure_class"].values)
        == set(catalogue.read_pipes().pressure)
        == set(CLASSES)
    )
    assert len(catalogue.read_pipes().material[material].source) > 20


def test_a_size_that_is_not_standard_counts_as_the_next_smaller_one():
    assert compute_inside(5.5, "coated steel") == compute_inside(5.0, "coated steel")
    assert compute_inside(4.0 - 1e-9, "coated steel") == compute_inside(4.0, "coated steel")
    assert compute_inside(60.0, "coated steel") == compute_inside(36.0, "coated steel")


@pytest.mark.parametrize("material", [None, np.nan, "unobtainium"])
def test_an_unknown_material_leaves_a_range_of_diameters(material):
    lo, hi = compute_inside(4.0, material)
    assert (lo, hi) == (
        compute_inside(4.0, "polyethylene")[0],
        compute_inside(4.0, "coated steel")[1],
    )
    # 8 in cast iron is wider than 8 in steel (7.981 in).
    assert compute_inside(8.0, material)[1] == 8.0


def test_a_missing_size_or_class_leaves_the_result_missing():
    assert np.isnan(compute_inside(np.nan, "polyethylene")).all()
    assert np.isnan(compute_inside(np.nan, None)).all()
    assert np.isnan(compute_flow(np.nan, "high"))
    assert np.isnan(compute_flow(4.0, None))


@pytest.mark.parametrize(
    ("psig", "least", "most"),
    [
        (0.0, "low", "low"),
        (0.25, "low", "low"),
        (2.0, "low", "medium"),  # between 0.25 and 30 psi
        (29.0, "low", "medium"),
        (29.5, "medium", "medium"),  # 30, rounded
        (30.0, "medium", "medium"),
        (45.0, "medium", "high"),
        (59.5, "high", "high"),  # 4.1 bar
        (60.0, "high", "high"),
        (99.0, "high", "high"),
    ],
)
def test_the_class_lies_between_the_one_that_the_pressure_reaches_and_the_next(psig, least, most):
    classes = pipes.pressure_class_range(np.array([None]), np.array([psig * 6.894757]))
    assert [end.tolist() for end in classes] == [[least], [most]]


def test_a_named_class_counts_unless_the_pressure_does_not_reach_it():
    named = np.array(["low", None, "high", "medium", "high"], dtype=object)
    kpa = np.array([414.0, np.nan, 1.7, np.nan, 207.0])
    least, most = pipes.pressure_class_range(named, kpa)
    assert least.tolist() == ["low", None, "low", "medium", "medium"]
    assert most.tolist() == ["low", None, "high", "medium", "high"]


@given(diameters, diameters, st.sampled_from(CLASSES), st.floats(100, 20_000))
def test_a_wider_main_never_carries_less(first, second, pressure, length_m):
    narrow, wide = sorted((first, second))
    assert compute_flow(narrow, pressure, length_m) <= compute_flow(wide, pressure, length_m)


@given(st.sampled_from(MATERIALS), st.floats(0.25, 60), st.floats(0.25, 60))
def test_a_larger_nominal_size_is_never_narrower(material, first, second):
    small, large = sorted((first, second))
    assert compute_inside(small, material)[0] <= compute_inside(large, material)[0]


@given(diameters, st.sampled_from(("medium", "high")), st.floats(100, 9000), st.floats(100, 9000))
def test_a_longer_main_never_carries_more(inches, pressure, first, second):
    short, long = sorted((first, second))
    assert compute_flow(inches, pressure, long) <= compute_flow(inches, pressure, short)


@given(st.lists(st.tuples(diameters | st.just(np.nan), st.sampled_from((*CLASSES, None)))))
def test_several_mains_at_once_equal_each_alone(rows):
    inside_in = np.array([diameter for diameter, _ in rows], dtype=float)
    named = np.array([name for _, name in rows], dtype=object)
    together = pipes.pipe_flow_scfh(inside_in, named, MILE_M, 0.6)
    assert together == pytest.approx([compute_flow(*row) for row in rows], nan_ok=True)


def test_a_higher_class_carries_more_at_every_size():
    for inches in (1.0, 2.0, 4.0, 8.0, 24.0):
        assert (
            compute_flow(inches, "low")
            < compute_flow(inches, "medium")
            < compute_flow(inches, "high")
        )


def test_a_rule_with_too_many_or_too_few_values_is_refused():
    with pytest.raises(ValueError, match="both schedule '40' and sdr 11"):
        PipeMaterial(schedule="40", sdr=11, source="none")
    with pytest.raises(ValueError, match="give either outlet_psig or fall_inwc_per_1000ft"):
        PipePressure(inlet_psig=60, efficiency=0.92, source="none")
    with pytest.raises(ValueError, match="outlet_psig 60 is not below inlet_psig 30"):
        PipePressure(inlet_psig=30, outlet_psig=60, efficiency=0.92, source="none")
