import numpy as np
import pytest

from geo.propagation.air import air_absorption_db_m


@pytest.mark.parametrize(
    ("temperature_c", "humidity_pct", "db_km"),
    [
        # The common input of ISO/TR 17534-4, then ISO/TR 17534-3 (ISO 9613-2 Table 2, rounded).
        (10, 70, [0.12, 0.41, 1.04, 1.93, 3.66, 9.66, 32.77, 116.88]),
        (20, 70, [0.09, 0.34, 1.13, 2.80, 4.98, 9.02, 22.91, 76.62]),
    ],
)
def test_published_coefficients(temperature_c, humidity_pct, db_km):
    assert air_absorption_db_m(temperature_c, humidity_pct) * 1000 == pytest.approx(
        db_km, abs=0.006
    )


def test_thinner_air_takes_another_share():
    assert not np.allclose(air_absorption_db_m(10, 70), air_absorption_db_m(10, 70, 90.0))
