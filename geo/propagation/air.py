"""Air absorption: ISO 9613-1."""

import numpy as np

from geo.propagation.bands import EXACT_MIDBANDS_HZ

REFERENCE_KELVIN = 293.15
TRIPLE_POINT_KELVIN = 273.16
ZERO_CELSIUS_KELVIN = 273.15
REFERENCE_KPA = 101.325


def air_absorption_db_m(
    temperature_c: float, humidity_pct: float, pressure_kpa: float = REFERENCE_KPA
) -> np.ndarray:
    """Return the air absorption at the exact midbands, ISO 9613-1:1993 eq. (5).

    >>> (1000 * air_absorption_db_m(10.0, 70.0)[4]).round(2).item()  # dB per km at 1 kHz
    3.66

    Args:
        temperature_c: Air temperature.
        humidity_pct: Relative humidity.
        pressure_kpa: Air pressure.

    Returns:
        The absorption in dB per meter (8,).
    """
    kelvin = temperature_c + ZERO_CELSIUS_KELVIN
    warmth = kelvin / REFERENCE_KELVIN
    pressure = pressure_kpa / REFERENCE_KPA
    # Share of water molecules, in percent: ISO 9613-1 eq. (B.1) to (B.3).
    saturation = 10 ** (-6.8346 * (TRIPLE_POINT_KELVIN / kelvin) ** 1.261 + 4.6151)
    water = humidity_pct * saturation / pressure
    # Relaxation of oxygen and nitrogen: eq. (3) and (4).
    oxygen_hz = pressure * (24 + 4.04e4 * water * (0.02 + water) / (0.391 + water))
    nitrogen_hz = (
        pressure * warmth**-0.5 * (9 + 280 * water * np.exp(-4.170 * (warmth ** (-1 / 3) - 1)))
    )
    squared = EXACT_MIDBANDS_HZ**2
    classical = 1.84e-11 / pressure * np.sqrt(warmth)
    oxygen = 0.01275 * np.exp(-2239.1 / kelvin) / (oxygen_hz + squared / oxygen_hz)
    nitrogen = 0.1068 * np.exp(-3352.0 / kelvin) / (nitrogen_hz + squared / nitrogen_hz)
    return np.asarray(8.686 * squared * (classical + warmth**-2.5 * (oxygen + nitrogen)))
