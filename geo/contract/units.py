"""Units of measure: the only module with unit factors."""

from typing import TypeVar

import numpy as np
import pandas as pd

from geo.errors import ConfigError

Values = TypeVar("Values", float, np.ndarray, pd.Series)

# Each unit as a multiple of its quantity's base unit. Exact by definition unless noted.
# US survey foot: 1200/3937 m (NIST SP 811 B.6); international foot and inch: NIST SP 811 B.8.
UNITS: dict[str, tuple[str, float]] = {
    "m": ("length", 1.0),
    "km": ("length", 1000.0),
    "mm": ("length", 0.001),
    "ft": ("length", 0.3048),
    "us_ft": ("length", 1200 / 3937),
    "in": ("length", 0.0254),
    "mi": ("length", 1609.344),
    "m2": ("area", 1.0),
    "ft2": ("area", 0.3048**2),
    "us_ft2": ("area", (1200 / 3937) ** 2),
    "acre": ("area", 4046.8564224),
    "kW": ("power", 1.0),
    "MW": ("power", 1000.0),
    "kVA": ("apparent power", 1.0),
    "MVA": ("apparent power", 1000.0),
    "A": ("current", 1.0),
    "kV": ("voltage", 1.0),
    "V": ("voltage", 0.001),
    "psi": ("pressure", 6894.757293168361),
    "kPa": ("pressure", 1000.0),
    "bar": ("pressure", 100000.0),
    "mbar": ("pressure", 100.0),
    # Conventional inch of water, 25.4 mm of 1000 kg/m3 at 9.80665 m/s2: NIST SP 811 B.8.
    "inWC": ("pressure", 249.08891),
    "scfh": ("gas flow", 1.0),
    "scfm": ("gas flow", 60.0),
    "MMscfd": ("gas flow", 1e6 / 24),
    "gal": ("volume", 1.0),
    "kg": ("mass", 1.0),
    "lb": ("mass", 0.45359237),
    "dB": ("level", 1.0),
    "dB(A)": ("level", 1.0),
    "deg": ("angle", 1.0),
    "%": ("share", 0.01),
    "share": ("share", 1.0),
    "count": ("count", 1.0),
}


def unit_factor(unit: str, to: str) -> float:
    """Return the multiple that converts a value in `unit` to `to`.

    Raises:
        ConfigError: If a unit is unknown, or the two measure different quantities.

    >>> round(unit_factor("us_ft", "m"), 10)
    0.3048006096
    """
    for name in (unit, to):
        if name not in UNITS:
            known = ", ".join(sorted(UNITS))
            raise ConfigError(
                f"converting {unit} to {to}", f"{name!r} is not a known unit", f"use one of {known}"
            )
    (quantity, size), (wanted, base) = UNITS[unit], UNITS[to]
    if quantity != wanted:
        raise ConfigError(
            f"converting {unit} to {to}",
            f"{unit!r} measures {quantity}, {to!r} measures {wanted}",
            "declare the unit that the source's column is really in",
        )
    return size / base


def convert_units(values: Values, unit: str, to: str) -> Values:
    """Convert values from one unit to another; NaN stays NaN.

    Args:
        values: A number, array or series in `unit`.
        unit: The unit of the values.
        to: The unit to convert to.

    Returns:
        The values in `to`.

    Raises:
        ConfigError: If a unit is unknown, or the two measure different quantities.

    >>> convert_units(10.0, "ft", "m")
    3.048
    """
    return values if unit == to else values * unit_factor(unit, to)
