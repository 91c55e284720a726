"""Say in a reader's words what a fuel needs at a site before a generator can run on it."""

import math
from typing import Any

from geo.contract.units import unit_factor
from geo.model import FuelEvidence, Plan

Row = dict[str, Any]

# What a fuel needs where its evidence alone says so.
NEEDS_BY_EVIDENCE: dict[FuelEvidence, str] = {
    "main": (
        "To be confirmed: the capacity of other gas mains nearby, or the material of this one"
    ),
    "main of unknown size": "To be confirmed: the size and pressure of the gas main",
    "sign of a main": "To be confirmed: that there is a gas main in the street, and its size",
    "territory and transmission line": (
        "To be confirmed: where the gas utility's mains are, and their size"
    ),
    "territory": "To be confirmed: where the gas utility's mains are, and their size",
    "edge of layer": "To be confirmed: where the gas mains are (the map of them ends here)",
    "no layer": "To be confirmed: where the gas mains are (no map of them is public)",
    "no main": "No gas main within reach",
    "no territory": "No gas utility serves this location",
    "no delivery": "A delivery supplier (the plan has none)",
    "no plant": "No plant within reach",
    "plant, place by county only": "A plant within reach (the location of the nearest is unknown)",
}
UNKNOWN_PLANTS = "A source nearby (no public data on where there is one)"


def describe_needs(row: Row, plan: Plan) -> str:
    """Say what one fuel needs at a site; a fuel that can run nothing there has `fuel_n_hi` 0."""
    evidence: FuelEvidence = row["fuel_evidence"]
    if evidence == "storage":
        return _describe_tanks(row, plan)
    if evidence == "main" and _is_number(row["main_diameter_in"]):
        return _describe_main(row)
    if evidence in {"plant on the site", "plant by pipe"}:
        return _describe_plant(row)
    if evidence == "plant too far":
        return _describe_far_plant(row, plan)
    if row["fuel_route"] == "plant" and evidence in {"edge of layer", "no layer"}:
        return UNKNOWN_PLANTS
    return NEEDS_BY_EVIDENCE[evidence]


def _describe_main(row: Row) -> str:
    pressure_class = row["main_pressure_class"]
    kind = f"{pressure_class}-pressure" if isinstance(pressure_class, str) else "gas"
    main = f"the {row['main_diameter_in']:g}-inch {kind} main"
    if row["fuel_n_hi"] == 0:
        return f"More gas than {main} can supply"
    return f"A service line from {main}, and the gas utility's approval"


def _describe_plant(row: Row) -> str:
    plant = row["plant_name"] or "the plant"
    if row["fuel_n_hi"] == 0:
        return f"More gas than {plant} can spare"
    status = "" if row["plant_status"] == "operating" else " (not known to be running)"
    return f"A pipe from {plant}{status}, and the owner's agreement"


def _describe_far_plant(row: Row, plan: Plan) -> str:
    limit_ft = plan.fuel.plant_reach_m * unit_factor("m", "ft")
    plant = row["plant_name"]
    name = f", {plant}," if plant else ""
    return f"A closer source (the nearest plant{name} is over {limit_ft:,.0f} ft away)"


def _describe_tanks(row: Row, plan: Plan) -> str:
    if not _is_number(row["storage_capacity"]):
        return "Room for a tank and its clearances"
    days, count = plan.fuel.autonomy_days[row["fuel_id"]], int(row["storage_count"])
    each = f"{row['storage_capacity'] / count:,.0f} {row['storage_unit']}"
    tanks = f"A tank of {each}" if count == 1 else f"{count} tanks of {each} each"
    return f"{tanks}, for at least {f'{days:g} days' if days != 1 else 'a day'} of fuel"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
