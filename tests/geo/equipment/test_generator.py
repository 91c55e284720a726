import numpy as np
import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo import catalogue
from geo.equipment.generator import BTU_PER_KWH, derated_power_kw, fuel_demand

GX230, FUELS = catalogue.read_generators()["gx230"], catalogue.read_fuels()


def at(efficiency, basis="HHV"):
    return GX230.model_copy(update={"efficiency": efficiency, "efficiency_basis": basis})


def test_a_kilowatt_hour_is_so_many_international_table_btu():
    units = pint.UnitRegistry()
    assert pytest.approx(units.Quantity(1, "kWh").to("Btu_it").magnitude, rel=2e-7) == BTU_PER_KWH


@pytest.mark.parametrize(
    ("fuel", "value_btu"),
    [("natural_gas", 1030), ("propane", 91_502), ("biogas", 1012), ("hydrogen", 325)],
)
def test_what_a_machine_burns_is_its_power_over_its_efficiency_and_the_fuels_heat(fuel, value_btu):
    expected = 200 * 3412.142 / 0.33 / value_btu
    assert fuel_demand(GX230, FUELS[fuel]) == pytest.approx(expected)


def test_the_worked_number():
    assert fuel_demand(GX230, FUELS["natural_gas"]) == pytest.approx(2007.7, abs=0.05)


@pytest.mark.parametrize(
    ("efficiency", "natural_gas", "propane", "hydrogen"),
    [
        (0.25, 2650, 29.8, 8400),
        (0.30, 2210, 24.9, 7000),
        (0.33, 2010, 22.6, 6360),
        (0.35, 1890, 21.3, 6000),
        (0.38, 1740, 19.6, 5530),
    ],
)
def test_the_planning_table_of_200_kw(efficiency, natural_gas, propane, hydrogen):
    # 200 x 3412 / efficiency, to the three digits that the table gives.
    for fuel, burnt in (("natural_gas", natural_gas), ("propane", propane), ("hydrogen", hydrogen)):
        assert fuel_demand(at(efficiency), FUELS[fuel]) == pytest.approx(burnt, rel=0.005)


def test_the_basis_of_the_efficiency_names_the_heating_value():
    # With the lower heating value: 200 x 3412.142 / 0.33 / 930.
    assert fuel_demand(at(0.33, "LHV"), FUELS["natural_gas"]) == pytest.approx(2223.6, abs=0.05)


def test_thin_and_hot_air_take_their_share():
    # 500 m is 347.6 m above 152.4 m, and 32 C is 7 C above 25 C: 1 - 0.039915 - 0.0126 = 0.947485.
    held = derated_power_kw(GX230, np.array([0.0, 152.4, 500.0]), 32.0)
    assert held == pytest.approx([200 * 0.9874, 200 * 0.9874, 189.497], abs=1e-3)


def test_the_derating_is_three_and_a_half_percent_for_each_1000_ft():
    # 1000 ft above the 500 ft up to which the rating applies, and 10 F above 77 F.
    at_1500_ft = derated_power_kw(GX230, np.array([1500 * 0.3048]), 25.0)
    assert at_1500_ft == pytest.approx([200 * 0.965], rel=1e-5)
    assert derated_power_kw(GX230, np.array([0.0]), (87 - 32) / 1.8) == pytest.approx([200 * 0.99])


def test_cold_and_low_gives_the_rating_and_no_more():
    assert derated_power_kw(GX230, np.array([-400.0, 0.0]), -30.0).tolist() == [200.0, 200.0]


def test_a_missing_altitude_stays_missing():
    assert np.isnan(derated_power_kw(GX230, np.array([np.nan]), 20.0)[0])


@given(
    st.lists(st.floats(-430, 20_000), min_size=2, max_size=8),
    st.floats(-40, 60),
    st.floats(0, 30),
)
def test_higher_or_hotter_never_gives_more_and_never_less_than_nothing(meters, air_c, warmer):
    held = derated_power_kw(GX230, np.sort(meters), air_c)
    assert (np.diff(held) <= 0).all()
    assert ((held >= 0) & (held <= 200)).all()
    assert (derated_power_kw(GX230, np.sort(meters), air_c + warmer) <= held).all()
