"""The derated power of one machine, and the fuel that it burns."""

import numpy as np

from geo.model import Fuel, Generator

# 3.6e6 J over the international-table Btu of 1055.055 852 62 J (NIST SP 811 B.8).
BTU_PER_KWH = 3412.142


def derated_power_kw(generator: Generator, altitude_m: np.ndarray, air_c: float) -> np.ndarray:
    """Compute the power that one machine can still deliver in thin air and on a hot day.

    It is never below 0 and never above the rating. For example, at 500 m and 32 C:
    200 x (1 - 347.6 x 0.000114829 - 7 x 0.0018) = 189.5 kW.

    Args:
        generator: The generator, for its rating and derating.
        altitude_m: Altitudes (n,), meters above sea level.
        air_c: The temperature of the air, degrees C.

    Returns:
        The power of one machine (n,) in kW, NaN where the altitude is missing.
    """
    loss = generator.derating
    thin = loss.share_per_m * np.maximum(np.asarray(altitude_m, float) - loss.to_altitude_m, 0.0)
    hot = loss.share_per_c * max(air_c - loss.to_c, 0.0)
    return np.asarray(generator.power_kw * np.maximum(1.0 - thin - hot, 0.0))


def fuel_demand(generator: Generator, fuel: Fuel) -> float:
    """Return the fuel that one machine burns at its rating, in the fuel's unit of flow.

    It is based on the heating value, higher or lower, to which the machine's efficiency refers.

    For example, 200 x 3412.142 / 0.33 / 1030 = 2007.7 scfh of natural gas.
    """
    value_btu = fuel.hhv_btu if generator.efficiency_basis == "HHV" else fuel.lhv_btu
    return generator.power_kw * BTU_PER_KWH / generator.efficiency / value_btu
