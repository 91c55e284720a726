"""Describe for the reader what a fuel needs at a site before a generator can run on it."""

import math
from typing import Any

from geo.catalogue import read_code_words
from geo.contract.units import unit_factor
from geo.model import FuelEvidence, Plan

Row = dict[str, Any]

PLANT_UNPUBLISHED = "A source nearby (no public data on where there is one)"


def describe_needs(row: Row, plan: Plan) -> str:
    """Describe what one fuel needs at a site; it can run nothing there if `fuel_n_hi` is 0."""
    evidence: FuelEvidence = row["fuel_evidence"]
    if evidence == "storage":
        return _describe_tanks(row, plan)
    if evidence == "main" and _is_number(row["main_diameter_in"]):
        return _describe_main(row)
    if row["fuel_route"] == "plant":
        return _describe_plant_needs(row, plan)
    words = read_code_words()["fuel_evidence"][evidence]
    if words.unknown is not None:
        return f"To be confirmed: {words.unknown}"
    return _unavailable(evidence)


def _describe_plant_needs(row: Row, plan: Plan) -> str:
    evidence: FuelEvidence = row["fuel_evidence"]
    if evidence in {"plant on the site", "plant by pipe"}:
        return _describe_plant(row)
    if evidence == "plant too far":
        return _describe_far_plant(row, plan)
    if evidence in {"edge of layer", "no layer"}:
        return PLANT_UNPUBLISHED
    return _unavailable(evidence)


def _unavailable(evidence: FuelEvidence) -> str:
    reason = read_code_words()["fuel_evidence"][evidence].unavailable or "not available"
    return reason[0].upper() + reason[1:]


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
