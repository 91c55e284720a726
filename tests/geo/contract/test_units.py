import numpy as np
import pandas as pd
import pint
import pytest

from geo.contract.units import UNITS, convert_units, unit_factor
from geo.errors import ConfigError

PINT = {
    "m": "meter", "km": "kilometer", "mm": "millimeter", "ft": "foot", "us_ft": "survey_foot",
    "in": "inch", "mi": "mile", "m2": "meter**2", "ft2": "foot**2", "us_ft2": "survey_foot**2",
    "acre": "acre", "kW": "kilowatt", "MW": "megawatt", "kVA": "kilovolt_ampere",
    "MVA": "megavolt_ampere", "kV": "kilovolt", "V": "volt", "psi": "psi", "kPa": "kilopascal",
    "bar": "bar", "mbar": "millibar", "inWC": "inch_H2O", "A": "ampere",
    "scfh": "foot**3/hour", "scfm": "foot**3/minute", "MMscfd": "kilofoot * foot * kilofoot / day",
    "kg": "kilogram", "lb": "pound",
}  # fmt: skip
BASE = {
    "length": "m", "area": "m2", "power": "kW", "apparent power": "kVA", "voltage": "kV",
    "pressure": "kPa", "mass": "kg", "gas flow": "scfh", "current": "A",
}  # fmt: skip


@pytest.mark.parametrize("unit", PINT)
def test_every_factor_agrees_with_pint(unit):
    registry = pint.UnitRegistry()
    base = BASE[UNITS[unit][0]]
    expected = registry.Quantity(1, PINT[unit]).to(PINT[base]).magnitude
    # Pint's acre is the US survey acre, 4 millionths larger than our international acre.
    assert unit_factor(unit, base) == pytest.approx(expected, rel=1e-5 if unit == "acre" else 1e-9)


def test_a_survey_foot_is_two_millionths_longer_than_an_international_foot():
    assert unit_factor("us_ft", "ft") == pytest.approx(1 + 2e-6, abs=1e-9)


def test_missing_stays_missing():
    values = convert_units(pd.Series([1.0, np.nan]), "MVA", "kVA")
    assert values[0] == 1000
    assert np.isnan(values[1])


def test_power_and_apparent_power_do_not_mix():
    with pytest.raises(ConfigError, match="'MVA' measures apparent power, 'kW' measures power"):
        unit_factor("MVA", "kW")


def test_an_unknown_unit_is_named_with_those_that_are_known():
    with pytest.raises(ConfigError, match="'furlong' is not a known unit"):
        unit_factor("furlong", "m")
