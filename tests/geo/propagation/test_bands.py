import numpy as np
import pytest

from geo.propagation import bands


def test_exact_midbands_are_tenths_of_decades():
    assert bands.EXACT_MIDBANDS_HZ[4] == 1000.0
    assert bands.EXACT_MIDBANDS_HZ[7] == pytest.approx(7943.28, abs=0.01)


def test_wavelengths_are_340_meters_per_second_over_the_frequency():
    assert bands.WAVELENGTH_M[3] == 340 / 500


def test_two_equal_bands_are_three_decibels_more_than_one():
    level = np.full(8, -np.inf)
    level[[4, 5]] = 0.0, -1.2
    assert bands.sum_bands_dba(level) == pytest.approx(10 * np.log10(2))
    assert bands.sum_bands_dba(level, weighted=True) == pytest.approx(10 * np.log10(1 + 10**-0.12))
