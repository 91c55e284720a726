"""A slow second opinion on what gas mains carry: the flow equations in their textbook forms.

Written from the definitions alone, without reference to `geo.criteria.fuel.pipes`, in US units.
Flows are in standard cubic feet per hour.
"""

import math

from geo.model import Plan
from tests.geo.around import read_number, read_text

KPA_PER_PSI = 6.894757
# Nominal size: inside diameter of schedule 40 steel and outside diameter (in), ASME B36.10M.
PIPES_IN = {
    1.0: (1.049, 1.315),
    1.25: (1.380, 1.660),
    1.5: (1.610, 1.900),
    2.0: (2.067, 2.375),
    2.5: (2.469, 2.875),
    3.0: (3.068, 3.5),
    3.5: (3.548, 4.0),
    4.0: (4.026, 4.5),
    5.0: (5.047, 5.563),
    6.0: (6.065, 6.625),
    8.0: (7.981, 8.625),
    10.0: (10.020, 10.75),
    12.0: (11.938, 12.75),
}
WALL_SHARE = 2 / 11
# Inlet and outlet gauge pressure of medium and high pressure (psi).
FALL_PSIG = {"medium": (30.0, 20.0), "high": (60.0, 20.0)}
# Inlet gauge pressure of each class, lowest class first.
INLET_PSIG = {"low": 0.25, "medium": 30.0, "high": 60.0}
# A pressure within 2 % of an inlet pressure is equal to it.
CLASSES, PRESSURE_TOLERANCE = tuple(INLET_PSIG), 0.02
ATMOSPHERE_PSI = 14.696
BASE_R = 519.67
EFFICIENCY = 0.92


def weymouth_scfh(
    inside_in: float, inlet_psig: float, outlet_psig: float, miles: float, gravity: float
) -> float:
    """Return what a main carries at 60 F (Weymouth), in scfh, psia, Rankine, miles and inches.

    >>> round(weymouth_scfh(3.85, 60, 20, 1, 0.6), -1)
    80150.0

    Args:
        inside_in: Inside diameter.
        inlet_psig: Gauge pressure at the inlet.
        outlet_psig: Gauge pressure at the outlet.
        miles: Length.
        gravity: Specific gravity of the gas.

    Returns:
        The flow (scfh).
    """
    inlet, outlet = inlet_psig + ATMOSPHERE_PSI, outlet_psig + ATMOSPHERE_PSI
    fall = (inlet**2 - outlet**2) / (gravity * BASE_R * miles)
    base = BASE_R / ATMOSPHERE_PSI
    return 18.062 * base * EFFICIENCY * math.sqrt(fall) * inside_in ** (8 / 3)


def spitzglass_scfh(inside_in: float, fall_in_wc: float, length_ft: float, gravity: float) -> float:
    """Return what a low-pressure main carries (Spitzglass), in scfh, inches of water and feet.

    >>> round(spitzglass_scfh(6.065, 0.5, 1000, 0.6))
    6967

    Args:
        inside_in: Inside diameter.
        fall_in_wc: Fall of the pressure.
        length_ft: Length.
        gravity: Specific gravity of the gas.

    Returns:
        The flow (scfh).
    """
    correction = 1 + 3.6 / inside_in + 0.03 * inside_in
    return 3550 * math.sqrt(inside_in**5 * fall_in_wc / (gravity * length_ft * correction))


def list_inside_diameters_in(nominal_in: float, material: str | None) -> list[float]:
    """List the inside diameters that a main may have: one, or one for each material.

    Steel and polyethylene of a size that is not standard count as the next smaller one. The
    nominal size of cast iron is its inside diameter.
    """
    sizes = [size for size in PIPES_IN if size <= nominal_in]
    if not sizes:
        return []
    steel, outside = PIPES_IN[max(sizes)]
    by_material = {
        "coated steel": steel,
        "bare steel": steel,
        "polyethylene": outside * (1 - WALL_SHARE),
        "cast iron": nominal_in,
        "other": nominal_in,
    }
    return [by_material[material]] if material else list(by_material.values())


def compute_flow_scfh(inside_in: float, pressure_class: str, plan: Plan, gravity: float) -> float:
    """Compute what a main carries when nobody draws from it.

    Args:
        inside_in: Inside diameter.
        pressure_class: Pressure class.
        plan: The plan, for the length of main.
        gravity: Specific gravity of the gas.

    Returns:
        The flow (scfh).
    """
    length_m = plan.fuel.main_length_m
    if pressure_class == "low":
        return spitzglass_scfh(inside_in, 0.5, 1000.0, gravity)
    return weymouth_scfh(inside_in, *FALL_PSIG[pressure_class], length_m / 1609.344, gravity)


def pressure_class_range(main: dict) -> tuple[str, str] | None:
    """Return a main's lowest and highest pressure class, or None if nothing is known.

    200 kPa is 29.0 psig, below 29.4: low to medium, or low to high if the class is named high.
    29.5 psig is medium.
    """
    named, kpa = read_text(main, "pressure_class"), read_number(main, "pressure_kpa")
    if kpa is None:
        return None if named is None else (named, named)
    psig = kpa / KPA_PER_PSI
    reached = 0
    for place, name in enumerate(CLASSES):
        if psig >= INLET_PSIG[name] * (1 - PRESSURE_TOLERANCE):
            reached = place
    if named is not None:
        return CLASSES[min(reached, CLASSES.index(named))], named
    at_inlet = psig <= INLET_PSIG[CLASSES[reached]] * (1 + PRESSURE_TOLERANCE)
    return CLASSES[reached], CLASSES[reached if at_inlet else min(reached + 1, len(CLASSES) - 1)]
