"""What gas mains carry when empty: how wide they are inside, and what drives gas through them.

The equations and the sizes of pipe are those of the `fluids` library; what a nominal size and a
pressure class stand for is data, in geo/catalogue/pipes.toml.
"""

from functools import cache

import numpy as np
import pandas as pd
from fluids.compressible import Spitzglass_low, Weymouth
from fluids.piping import nearest_pipe, schedule_lookup

from geo import catalogue
from geo.contract.units import unit_factor
from geo.model import PipeMaterial, PipePressure

# The standard atmosphere, which `fluids` takes as the base of its standard volume.
ATMOSPHERE_PA = 101325.0
SCFH_PER_M3_PER_S = 3600 * unit_factor("m", "ft") ** 3
# Plastic pipe of iron pipe size is as wide outside as steel pipe of any schedule.
IRON_PIPE_SIZE = "40"
# Pressures are published rounded: 60 psi as 4.1 bar.
PRESSURE_TOLERANCE = 0.02


def inside_diameter_in(
    nominal_in: np.ndarray, material: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how wide each main is inside at least and at most (in), NaN where its size is missing.

    A size that is no standard one is taken as the next smaller that is. A material that is not
    known leaves a bracket: the narrowest and the widest of those that are.

    Worked: 4 in is 4.026 in of schedule 40 steel and 4.5 x (1 - 2 / 11) = 3.682 in of SDR 11.
    """
    nominal = np.round(np.asarray(nominal_in, float), 3)
    rules = catalogue.read_pipes().material
    widths = {name: _inside_diameter_in(nominal, rule) for name, rule in rules.items()}
    narrowest = np.fmin.reduce(list(widths.values()))
    widest = np.fmax.reduce(list(widths.values()))
    for name, width in widths.items():
        of_it = np.asarray(material, object) == name
        narrowest, widest = np.where(of_it, width, narrowest), np.where(of_it, width, widest)
    return narrowest, widest


def pressure_class_range(named: np.ndarray, gauge_kpa: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each main's pressure class at least and at most, None where nothing is known.

    As named. Where it is not, a pressure lies between the highest class whose inlet it reaches
    (`low` below all of them) and the next. A pressure that does not reach the named class's inlet
    leaves the bracket open below: the two contradict each other.

    Worked: 4.1 bar is 59.5 psig and so high; 200 kPa, 29 psig, is low at least and medium at most.
    """
    rules = sorted(catalogue.read_pipes().pressure.items(), key=lambda one: one[1].inlet_psig)
    names = np.array([name for name, _ in rules], object)
    inlets_kpa = np.array([rule.inlet_psig for _, rule in rules]) * unit_factor("psi", "kPa")
    pressure_kpa = np.asarray(gauge_kpa, float)
    told = ~np.isnan(pressure_kpa)
    reached = np.searchsorted(inlets_kpa * (1 - PRESSURE_TOLERANCE), pressure_kpa, side="right") - 1
    below = np.maximum(reached, 0)
    exact = np.abs(pressure_kpa - inlets_kpa[below]) <= PRESSURE_TOLERANCE * inlets_kpa[below]
    # Below the lowest inlet it is still the lowest class, and above the highest the highest.
    above = np.where(exact | (reached < 0), below, np.minimum(below + 1, len(names) - 1))
    own = pd.Categorical(np.asarray(named, object), categories=list(names)).codes.astype(int)
    known = own >= 0
    lo = np.where(known, np.where(told, np.minimum(own, below), own), below)
    hi = np.where(known, own, above)
    ends = (names[lo], names[hi])
    for end in ends:
        end[~known & ~told] = None
    return ends


def pipe_flow_scfh(
    inside_in: np.ndarray, pressure_class: np.ndarray, length_m: float, gravity: float
) -> np.ndarray:
    """Return what mains so wide inside carry over a length of main when nobody draws (scfh).

    NaN where the width or the class is missing.

    Worked: 3.85 in at high pressure, 60 psig falling to 20 over a mile, gravity 0.6: 80 181 scfh.
    """
    width = np.asarray(inside_in, float)
    flow = np.full(len(width), np.nan)
    for name, rule in catalogue.read_pipes().pressure.items():
        at = (np.asarray(pressure_class, object) == name) & ~np.isnan(width)
        sizes, which = np.unique(width[at], return_inverse=True)
        each = [_flow_of_rule_scfh(float(size), rule, length_m, gravity) for size in sizes]
        flow[at] = np.array(each, float)[which]
    return flow


def _inside_diameter_in(nominal_in: np.ndarray, rule: PipeMaterial) -> np.ndarray:
    """Return how wide pipes of one material are inside (in)."""
    if rule.schedule is None and rule.sdr is None:
        return nominal_in
    sizes_in, inner_in, outer_in = _standard_sizes(rule.schedule or IRON_PIPE_SIZE)
    wide_in = inner_in if rule.sdr is None else outer_in * (1 - 2 / rule.sdr)
    step = np.searchsorted(sizes_in, nominal_in, side="right") - 1
    known = ~np.isnan(nominal_in) & (step >= 0)
    return np.where(known, wide_in[np.maximum(step, 0)], np.nan)


@cache
def _standard_sizes(schedule: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the standard nominal sizes, and how wide they are inside and outside (in)."""
    sizes = sorted(schedule_lookup[schedule][0])
    # `fluids` says that it takes whole sizes, and takes every one that it lists.
    pipes = np.array([nearest_pipe(NPS=size, schedule=schedule) for size in sizes])  # type: ignore[arg-type]
    return pipes[:, 0], pipes[:, 1] * unit_factor("m", "in"), pipes[:, 2] * unit_factor("m", "in")


def _flow_of_rule_scfh(
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
