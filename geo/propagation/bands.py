"""The eight octave bands of ISO 9613-2, their A-weights, and the sum over them."""

import numpy as np

MIDBANDS_HZ = np.array([63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
"""Nominal midband frequencies (8,), ISO 9613-2:1996 clause 1."""

EXACT_MIDBANDS_HZ = 1000.0 * 10 ** (0.3 * np.arange(-4, 4))
"""Exact midband frequencies (8,), at which ISO 9613-1 gives absorption: 7943.3 Hz at 8 kHz."""

A_WEIGHTING_DB = np.array([-26.2, -16.1, -8.6, -3.2, 0.0, 1.2, 1.0, -1.1])
"""A-weights (8,), IEC 61672-1."""

WAVELENGTH_M = 340.0 / np.array([62.5, *MIDBANDS_HZ[1:]])
"""Wavelengths (8,), 340 m/s over the frequency, ISO 9613-2:1996 7.4. For example, 0.68 m at 500 Hz.

The longest is that of 62.5 Hz, which reproduces ISO/TR 17534-3:2015 (T16: 14.83 dB)."""


def sum_bands_dba(levels_db: np.ndarray, *, weighted: bool = False) -> np.ndarray:
    """Return the A-weighted total of band levels (..., 8), ISO 9613-2:1996 eq. (5).

    `weighted` means that the levels are already A-weighted.

    >>> silent = [-99.0] * 8
    >>> sum_bands_dba(np.array([*silent[:4], 3.0, *silent[5:]])).round(2).item()
    3.0
    """
    level = levels_db if weighted else levels_db + A_WEIGHTING_DB
    return np.asarray(10 * np.log10(np.sum(10 ** (0.1 * level), axis=-1)))
