"""Describe in plain American English what fits on a site, what limits it, and how to fit more.

The functions take a row of the ranking and return text. The words for codes are in
geo/catalogue/evidence.toml. Feet, square feet and MW are the reader's units.
"""

import math
from collections.abc import Callable
from typing import Any

from geo.catalogue import read_code_words
from geo.contract.units import convert_units
from geo.model import CallCheck, Plan
from geo.unmapped import join_words

Row = dict[str, Any]

# Below this many feet, a distance is given with one decimal.
WHOLE_FEET = 20.0


def format_ordinal(number: int) -> str:
    """Return a count as an ordinal.

    >>> [format_ordinal(number) for number in (1, 2, 3, 11, 21)]
    ['1st', '2nd', '3rd', '11th', '21st']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def format_power(kw: float) -> str:
    """Return a power in kW below 1 MW, and in MW from there on.

    >>> format_power(800), format_power(1200)
    ('800 kW', '1.2 MW')
    """
    return f"{kw:g} kW" if kw < 1000 else f"{round(kw / 1000, 2):g} MW"


def format_temperature(celsius: float) -> str:
    """Return a temperature in degrees Fahrenheit.

    >>> format_temperature(32)
    '90 °F'
    """
    return f"{celsius * 9 / 5 + 32:.0f} °F"


def format_area(area_m2: float) -> str:
    """Return an area in square feet below an acre, and in acres from there on.

    >>> format_area(1_584.0), format_area(24_391.0)
    ('17,050 sq ft', '6.03 acres')
    """
    acres = convert_units(area_m2, "m2", "acre")
    if acres < 1:
        return f"{convert_units(area_m2, 'm2', 'ft2'):,.0f} sq ft"
    return f"{acres:,.2f} acres"


def format_machines(count: int) -> str:
    """Return a number of generators.

    >>> format_machines(1), format_machines(6)
    ('1 generator', '6 generators')
    """
    return f"{count} generator{'' if count == 1 else 's'}"


def format_feet(meters: float) -> str:
    """Return a distance in feet, with one decimal where it is short.

    >>> format_feet(17.5), format_feet(0.4)
    ('57 ft', '1.3 ft')
    """
    feet = convert_units(meters, "m", "ft")
    return f"{feet:,.{1 if feet < WHOLE_FEET else 0}f} ft"


def describe_limit(row: Row, plan: Plan) -> str:
    """Describe in a few words what limits the site."""
    if row["binding"] == "cap":
        return f"None; capped at {plan.cap} by the plan"
    return "; ".join(_limits(row))


def describe_levers(row: Row, plan: Plan) -> str | None:
    """Describe how more generators could fit: with a lever, or if unknown facts become known."""
    parts = []
    lever = row["lift_lever"]
    certain = row["lift_n"] if is_known(row["lift_n"]) else 0
    if isinstance(lever, str):
        known = plan.levers.get(lever)
        title = known.title if known else f"Use {lever.replace('_', ' ')}"
        parts.append(f"{title}: {format_machines(int(row['lift_n']))}")
    unknown = list_unknowns(row)
    if row["n_hi"] > row["n_lo"] and unknown:
        most = format_machines(int(row["n_hi"]))
        parts.append(f"Find out {' and '.join(unknown)}: up to {most}")
    elif row["other_n_hi"] > max(row["other_n_lo"], row["n_hi"], certain):
        what = read_code_words()["fuel_evidence"][row["other_evidence"]].unknown
        most = format_machines(int(row["other_n_hi"]))
        parts.append(f"Find out {what}: up to {most} on {row['other_title']}")
    return "; ".join(parts) or None


# What a reader calls each assumption that may decide a call.
ASSUMPTION_TITLES: dict[CallCheck, str] = {
    "usable_share": "free share of the gas main",
    "rating_distance_m": "distance of the noise rating",
    "efficiency": "efficiency",
    "power_factor": "power factor",
    "altitude_m": "altitude",
    "setbacks": "setbacks",
    "assumed": "the assumptions on this row",
}


def describe_data(row: Row, failing: list[CallCheck]) -> str:
    """Describe how complete the data are, how old the grid's record is, and what decides.

    Args:
        row: A row of the ranking.
        failing: The checks that the target load needs.

    Returns:
        The text.
    """
    parts = [f"{row['known_share']:.0%} of the data known"]
    if is_known(row["load_headroom_kw"]):
        dated = isinstance(row["grid_as_of"], str)
        parts.append(f"grid record of {row['grid_as_of']}" if dated else "grid record undated")
    deciding = [title for name, title in ASSUMPTION_TITLES.items() if name in failing]
    if deciding and row["call"] != "no":
        parts.append(f"assumptions decide: {', '.join(deciding)}")
    return "; ".join(parts)


def list_unknowns(row: Row) -> list[str]:
    """List the unknown facts that separate the worst case from the best case."""
    words = read_code_words()
    unknowns = []
    if row["fuel_n_lo"] < row["fuel_n_hi"]:
        unknowns.append(words["fuel_evidence"][row["fuel_evidence"]].unknown)
    noise = words["noise_evidence"][row["noise_evidence"]].unknown
    if noise is not None and row["noise_unsure"]:
        if is_known(row["ambient_needed_dba"]):
            noise += f" ({row['ambient_needed_dba']:.0f} dB(A) would allow one generator)"
        unknowns.append(noise)
    if row["pad_lo"] < row["pad_n"]:
        unknowns.append(words["pad_evidence"][row["pad_evidence"]].unknown)
    return [unknown for unknown in unknowns if unknown is not None]


def write_sentence(row: Row, plan: Plan) -> str:
    """Describe in a few plain sentences what fits on the site, and what the grid lacks."""
    text = f"{_fits(row, plan)} {_grid(row, plan)}"
    if row["headroom_check"] == "contradict":
        text += f" {_contradiction(row)}"
    access = read_code_words()["access"].get(row["access"])
    if access is not None and access.phrase is not None:
        text += f" {access.phrase}."
    if isinstance(row["assumed"], str):
        text += f" Assumed: {row['assumed']}."
    return text


def _fits(row: Row, plan: Plan) -> str:
    lo, hi, fuel = int(row["n_lo"]), int(row["n_hi"]), row["fuel_title"]
    if hi == 0:
        return f"Fits no generators ({'; '.join(map(lower_first, _limits(row)))})."
    if lo == 0:
        return (
            f"Fits up to {format_machines(hi)} ({format_power(row['power_hi_kw'])}) on {fuel}, "
            f"or none: we don't know {' or '.join(list_unknowns(row))}."
        )
    power = format_power(row["power_lo_kw"])
    best = f", up to {hi} in the best case" if hi > lo else ""
    return f"Fits {format_machines(lo)} ({power}) on {fuel}{best}; {_next(row, plan)}."


def _next(row: Row, plan: Plan) -> str:
    """Describe what stops one more generator."""
    lo = int(row["n_lo"])
    another = f"{'an' if lo + 1 in (8, 11, 18) else 'a'} {format_ordinal(lo + 1)}"
    if row["binding"] == "cap":
        return f"capped at {plan.cap} by the plan"
    if row["binding"] == "noise" and is_known(row["level_next_dba"]):
        place = _receptor(row, "next_receptor")
        level, over = row["level_next_dba"], row["noise_short_by_db"]
        excess = f", {over:.1f} dB over its limit" if is_known(over) else ""
        return f"{another} would reach {level:.1f} dB(A) at {place}{excess}"
    if row["binding"] == "pad":
        return f"there is no space for {another}: {_no_space(row)}"
    if row["binding"] == "fuel":
        return f"{another} would need more fuel: {_fuel_limit(row)}"
    return f"limited by {' and '.join(map(lower_first, _limits(row)))}"


def _limits(row: Row) -> list[str]:
    return [_LIMITS[name](row) for name in str(row["binding_set"]).split(" and ")]


def _receptor(row: Row, prefix: str = "receptor") -> str:
    """Return the affected receptor, its distance and its direction."""
    receptor = phrase_receptor(row[f"{prefix}_class"])
    distance_m, direction = row[f"{prefix}_distance_m"], row[f"{prefix}_direction"]
    if not is_known(distance_m):
        return receptor
    bearing = f" {direction.replace('-', '')}" if isinstance(direction, str) else " away"
    return f"{receptor} {format_feet(distance_m)}{bearing}"


def phrase_receptor(receptor_class: object) -> str:
    """Return a kind of receptor, for the middle of a sentence."""
    words = read_code_words()["receptor_class"].get(str(receptor_class))
    return words.phrase if words and words.phrase else "the nearest neighbor"


def _noise_limit(row: Row) -> str:
    evidence = row["noise_evidence"]
    undecided = ("own dwelling", "no layer", "ambient unknown", "use unknown")
    if evidence in undecided and row["noise_unsure"]:
        return f"Noise: we don't know {read_code_words()['noise_evidence'][evidence].unknown}"
    if row["noise_n"] == 0 and is_known(row["margin_worst_db"]):
        over = -float(row["margin_worst_db"])
        receptor = phrase_receptor(row["alone_class"])
        return f"Noise: one generator is {over:.1f} dB too loud at {receptor}, anywhere on the lot"
    return f"Noise at {_receptor(row)}"


def _no_space(row: Row) -> str:
    if row["pad_lo"] < row["pad_n"]:
        unknown = read_code_words()["pad_evidence"][row["pad_evidence"]].unknown
        return f"we don't know {unknown}"
    if row["pad_n"] > row["n_lo"]:
        return "the open ground is too close to neighbors"
    if row["ground_area_m2"] == 0:
        return f"no ground is left {_after_takers(row)}".strip()
    if is_known(row["pad_short_by_m"]):
        short = format_feet(row["pad_short_by_m"])
        return f"{short} too little is left {_after_takers(row)}".strip()
    if row["pad_evidence"] == "bare parcel" and is_known(row["open_area_m2"]):
        open_m2 = row["open_area_m2"]
        left = f"leaves {format_area(open_m2)} of" if open_m2 > 0 else "covers"
        return f"the recorded building {left} the lot"
    return "clearances leave too little ground"


def _after_takers(row: Row) -> str:
    """Return what takes the ground, for the end of a sentence."""
    takers = row["ground_takers"]
    return f"after {join_words(takers.split(', '))}" if isinstance(takers, str) else ""


def _fuel_limit(row: Row) -> str:
    words = read_code_words()["fuel_evidence"][row["fuel_evidence"]]
    if row["fuel_n_lo"] < row["fuel_n_hi"] and words.unknown is not None:
        return f"we don't know {words.unknown}"
    if words.unavailable is not None:
        return words.unavailable
    if row["fuel_evidence"] == "storage":
        if not is_known(row["storage_capacity"]):
            return f"no {row['fuel_title']} tank fits with its clearances"
        return f"{_tanks(row)} beside the generators"
    return _spare_fuel(row)


def _spare_fuel(row: Row) -> str:
    """Describe the gas that a main or a plant can spare."""
    if not is_known(row["fuel_capacity"]):
        return "gas"
    capacity = f"{row['fuel_capacity']:,.0f} {row['fuel_unit']}"
    if str(row["fuel_evidence"]).startswith("plant"):
        return f"{row['plant_name'] or 'the plant'} can spare {capacity}"
    size_in, pressure = row["main_diameter_in"], row["main_pressure_class"]
    if is_known(size_in) and isinstance(pressure, str):
        distance = format_feet(row["main_distance_m"])
        main = f"the {size_in:g}-inch {pressure}-pressure main {distance} away"
    else:
        main = "the assumed gas main"
    return f"{main} can spare {capacity}"


def _tanks(row: Row) -> str:
    count, unit = int(row["storage_count"]), row["storage_unit"]
    each = f"{row['storage_capacity'] / count:,.0f} {unit}"
    if count == 1:
        return f"no more than one tank of {each} fits"
    return f"no more than {count} tanks of {each} fit"


def _grid(row: Row, plan: Plan) -> str:
    target = format_power(plan.target_kw)
    lo, hi = float(row["shortfall_lo_kw"]), float(row["shortfall_hi_kw"])
    if row["gap_class"] == "covered":
        return f"The grid can already supply {target}."
    if row["gap_class"] == "unknown":
        if row["grid_old"] == 1:
            return f"{_old_record(row)} The target is {target}."
        if row["grid_evidence"] == "substation":
            return (
                f"We don't know whether the grid can supply {target} here; the nearest substation "
                "could."
            )
        return f"We don't know what the grid can supply here; the target is {target}."
    needed = format_machines(int(row["needed_hi"]))
    if row["needed_lo"] != row["needed_hi"]:
        needed = f"{row['needed_lo']:.0f} to {needed}"
    if lo == hi == plan.target_kw:
        return f"No grid capacity for {target}; {needed} needed."
    least = "" if lo == hi else "at least "
    return f"Grid shortfall for {target}: {least}{format_power(lo)}; {needed} needed."


def _old_record(row: Row) -> str:
    record = read_code_words()["grid_evidence"][row["grid_evidence"]].phrase
    age = f"as of {row['grid_as_of']}" if isinstance(row["grid_as_of"], str) else "without a date"
    utility = row["grid_utility"] if isinstance(row["grid_utility"], str) else "the utility"
    return (
        f"The grid had {row['load_headroom_kw']:,.0f} kW by {record} ({age}), which is too old to "
        f"rely on: ask {utility} for the current figure."
    )


def _contradiction(row: Row) -> str:
    records = read_code_words()["grid_evidence"]
    first, second = records[row["grid_evidence"]].phrase, records[row["second_evidence"]].phrase
    return (
        f"Two sources contradict each other: {row['load_headroom_kw']:,.0f} kW spare by {first}, "
        f"{row['second_headroom_kw']:,.0f} kW by {second}."
    )


def lower_first(text: str) -> str:
    """Return a text that begins in lower case."""
    return text[:1].lower() + text[1:]


def is_known(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)


_LIMITS: dict[str, Callable[[Row], str]] = {
    "pad": lambda row: f"Space: {_no_space(row)}",
    "noise": _noise_limit,
    "fuel": lambda row: f"Fuel: {_fuel_limit(row)}",
}
