"""Compute the flow that a gas main can carry, from its inside diameter and its pressure class.

The flow equations and the standard pipe sizes are those of the `fluids` library. The meaning of a
nominal size and of a pressure class is data, in geo/catalogue/pipes.toml.
"""

from functools import cache

import numpy as np
import pandas as pd
from fluids.compressible import Spitzglass_low, Weymouth
from fluids.piping import nearest_pipe, schedule_lookup

from geo import catalogue
from geo.contract.units import unit_factor
from geo.model import PipeMaterial, PipePressure

# The standard atmosphere, the base of `fluids`'s standard volume.
ATMOSPHERE_PA = 101325.0
SCFH_PER_M3_PER_S = 3600 * unit_factor("m", "ft") ** 3
# Plastic pipe of iron pipe size has the outside diameter of steel pipe of any schedule.
IRON_PIPE_SIZE = "40"
# Published pressures are rounded: 60 psi becomes 4.1 bar.
PRESSURE_TOLERANCE = 0.02


def inside_diameter_in(
    nominal_in: np.ndarray, material: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each main's lowest and highest inside diameter (in), NaN where its size is missing.

    A size that is not standard counts as the next smaller standard size. A material that is not
    known leaves a range: the narrowest and the widest of the known materials.

    A 4 in main is 4.026 in wide in schedule 40 steel and 4.5 x (1 - 2 / 11) = 3.682 in in SDR 11:

    >>> lowest, highest = inside_diameter_in(np.array([4.0]), np.array([None]))
    >>> round(lowest.item(), 3), round(highest.item(), 3)
    (3.682, 4.026)
    """
    nominal = np.round(np.asarray(nominal_in, float), 3)
    materials = catalogue.read_pipes().material
    diameters = {name: _material_diameter_in(nominal, rule) for name, rule in materials.items()}
    lowest = np.fmin.reduce(list(diameters.values()))
    highest = np.fmax.reduce(list(diameters.values()))
    for name, diameter in diameters.items():
        of_material = np.asarray(material, object) == name
        lowest = np.where(of_material, diameter, lowest)
        highest = np.where(of_material, diameter, highest)
    return lowest, highest


def pressure_class_range(named: np.ndarray, gauge_kpa: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each main's lowest and highest pressure class, None where nothing is known.

    A named class is used as it is. Otherwise the class lies between the highest one whose inlet
    pressure the main reaches (`low` if it reaches none) and the next one. A pressure below the
    inlet of the named class contradicts it, and the range is then open below.

    4.1 bar is 59.5 psig and therefore `high`. 200 kPa is 29 psig: `low` to `medium`:

    >>> lowest, highest = pressure_class_range(np.array([None, None]), np.array([410.0, 200.0]))
    >>> lowest.tolist(), highest.tolist()
    (['high', 'low'], ['high', 'medium'])

    Args:
        named: Pressure class on record, None where missing.
        gauge_kpa: Gauge pressure on record, NaN where missing.

    Returns:
        The lowest and the highest class of each main.
    """
    rules = sorted(catalogue.read_pipes().pressure.items(), key=lambda item: item[1].inlet_psig)
    names = np.array([name for name, _ in rules], object)
    inlets_kpa = np.array([rule.inlet_psig for _, rule in rules]) * unit_factor("psi", "kPa")
    pressure_kpa = np.asarray(gauge_kpa, float)
    has_pressure = ~np.isnan(pressure_kpa)
    reached = np.searchsorted(inlets_kpa * (1 - PRESSURE_TOLERANCE), pressure_kpa, side="right") - 1
    below = np.maximum(reached, 0)
    at_inlet = np.abs(pressure_kpa - inlets_kpa[below]) <= PRESSURE_TOLERANCE * inlets_kpa[below]
    # A pressure below the lowest inlet is the lowest class; above the highest, the highest.
    above = np.where(at_inlet | (reached < 0), below, np.minimum(below + 1, len(names) - 1))
    position = pd.Categorical(np.asarray(named, object), categories=list(names)).codes.astype(int)
    is_named = position >= 0
    lowest = np.where(
        is_named, np.where(has_pressure, np.minimum(position, below), position), below
    )
    highest = np.where(is_named, position, above)
    classes = (names[lowest], names[highest])
    for end in classes:
        end[~is_named & ~has_pressure] = None
    return classes


def pipe_flow_scfh(
    inside_in: np.ndarray, pressure_class: np.ndarray, length_m: float, gravity: float
) -> np.ndarray:
    """Return the flow (scfh) that each main carries over its length if no customers draw from it.

    A 3.85 in main at high pressure (60 psig, falling to 20 over a mile) carries, at gravity 0.6:

    >>> flow = pipe_flow_scfh(np.array([3.85]), np.array(["high"]), 1609.344, 0.6)
    >>> round(flow.item(), -1)
    80180.0

    Args:
        inside_in: Inside diameter of each main.
        pressure_class: Pressure class of each main.
        length_m: Length of main over which the pressure falls.
        gravity: Specific gravity of the gas (air is 1).

    Returns:
        The flow of each main, NaN where its diameter or class is missing.
    """
    diameter = np.asarray(inside_in, float)
    flow = np.full(len(diameter), np.nan)
    for name, rule in catalogue.read_pipes().pressure.items():
        selected = (np.asarray(pressure_class, object) == name) & ~np.isnan(diameter)
        sizes, position = np.unique(diameter[selected], return_inverse=True)
        flows = [_class_flow_scfh(float(size), rule, length_m, gravity) for size in sizes]
        flow[selected] = np.array(flows, float)[position]
    return flow


def _material_diameter_in(nominal_in: np.ndarray, rule: PipeMaterial) -> np.ndarray:
    """Return the inside diameter (in) of pipes of one material."""
    if rule.schedule is None and rule.sdr is None:
        return nominal_in
    sizes_in, inside_in, outside_in = _standard_sizes(rule.schedule or IRON_PIPE_SIZE)
    diameter_in = inside_in if rule.sdr is None else outside_in * (1 - 2 / rule.sdr)
    position = np.searchsorted(sizes_in, nominal_in, side="right") - 1
    known = ~np.isnan(nominal_in) & (position >= 0)
    return np.where(known, diameter_in[np.maximum(position, 0)], np.nan)


@cache
def _standard_sizes(schedule: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the standard nominal sizes, and their inside and outside diameters (in)."""
    sizes = sorted(schedule_lookup[schedule][0])
    # `fluids` types its sizes as integers, but accepts every size that it lists.
    pipes = np.array([nearest_pipe(NPS=size, schedule=schedule) for size in sizes])  # type: ignore[arg-type]
    return pipes[:, 0], pipes[:, 1] * unit_factor("m", "in"), pipes[:, 2] * unit_factor("m", "in")


def _class_flow_scfh(
    inside_in: float, rule: PipePressure, length_m: float, gravity: float
) -> float:
    temperature_k = catalogue.read_pipes().temperature_k
    pipe = {
        "SG": gravity,
        "Tavg": temperature_k,
        "Ts": temperature_k,
        "Ps": ATMOSPHERE_PA,
        "L": length_m,
        "D": inside_in * unit_factor("in", "m"),
        "E": rule.efficiency,
    }
    if rule.fall_inwc_per_1000ft is not None:
        fall_inwc = rule.fall_inwc_per_1000ft * length_m * unit_factor("m", "ft") / 1000
        fall_pa = fall_inwc * unit_factor("inWC", "kPa") * 1000
        return float(Spitzglass_low(P1=fall_pa, P2=0.0, **pipe)) * SCFH_PER_M3_PER_S
    inlet_pa, outlet_pa = (
        ATMOSPHERE_PA + psig * unit_factor("psi", "kPa") * 1000
        for psig in (rule.inlet_psig, rule.outlet_psig or 0.0)
    )
    return float(Weymouth(P1=inlet_pa, P2=outlet_pa, **pipe)) * SCFH_PER_M3_PER_S
