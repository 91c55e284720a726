"""Say in plain words what a site carries, what limits it and what would lift it.

Rows in, text out. The reader's words: carries, gap, what limits it; never the code's.
"""

import math
from collections.abc import Callable
from typing import Any

from geo.model import Plan

WHO = {
    "home": "a home",
    "school": "a school",
    "day_care": "a day-care centre",
    "hospital": "a hospital",
    "clinic": "a clinic",
    "elderly": "a home for the elderly",
    "hotel": "a hotel",
    "worship": "a place of worship",
    "park": "a park",
    "commercial": "a business",
    "industrial": "an industrial neighbour",
    "own dwelling": "the homes on the site",
    "unknown": "a lot of unknown use",
    "edge of layer": "the edge of what is mapped",
}
FUEL_UNKNOWN = {
    "main of unknown size": "the size or pressure of the gas main",
    "sign of a main": "whether a gas main is in the street, and its size",
    "edge of layer": "where the gas mains run: they are not mapped this far",
    "no layer": "where the gas mains run: nobody has published them",
    "main": "what other gas mains nearby carry, or what this one is made of",
    "territory and transmission line": "where the gas utility's mains run, and their size",
    "territory": "where the gas utility's mains run, and their size",
    "storage": "whether buildings leave room for the tank",
    "plant on the site": "how much gas the plant has to spare",
    "plant by pipe": "how much gas the plant has to spare",
}
NO_FUEL = {
    "no main": "no gas main within reach",
    "no territory": "no gas utility serves this place",
    "no delivery": "the plan names nobody who delivers it",
    "no plant": "no plant within reach",
    "plant too far": "no plant within reach",
    "plant, place by county only": "no plant known to be within reach",
    "no layer": "nothing is published of where it can be had",
}
NOISE_UNKNOWN = {
    "edge of layer": "who lives beyond the edge of what is mapped",
    "own dwelling": "where on the lot its own homes are",
    "no layer": "who lives nearby: no neighbours are mapped",
    "use unknown": "whether anybody lives on the lots nearby whose use is not on record",
    "ambient unknown": "how loud the night is there already, on which the local limit rests",
}
NO_WAY = {
    "blocked": "No clear way leads to the pad from the street",
    "no street side": "The lot has no line on a street",
}
PAD_UNKNOWN = {
    "bare parcel": "where the buildings stand",
    "edge of layer": "whether floods or wetland reach here: they are not mapped this far",
    "slope not known": "how steep the ground is: no heights are mapped on part of it",
}

Row = dict[str, Any]


def format_ordinal(number: int) -> str:
    """Return a count as a place: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def format_power(kw: float) -> str:
    """Return a power as a reader says it: 800 kW, 1 MW, 1.2 MW.

    Worked: 1200 kW is "1.2 MW".
    """
    return f"{kw:g} kW" if kw < 1000 else f"{round(kw / 1000, 2):g} MW"


def format_machines(count: int) -> str:
    """Return "1 generator" or "6 generators"."""
    return f"{count} generator{'' if count == 1 else 's'}"


def describe_limit(row: Row, plan: Plan) -> str:
    """Say in a few words what limits the site."""
    if row["binding"] == "cap":
        return f"nothing: the plan stops at {plan.cap}"
    parts = [_LIMITS[name](row) for name in str(row["binding_set"]).split(" and ")]
    return "; ".join(parts)


def describe_levers(row: Row, plan: Plan) -> str | None:
    """Say what would let the site carry more: a lever that does, or what is worth finding out."""
    parts = []
    lever = row["lift_lever"]
    sure = row["lift_n"] if _known(row["lift_n"]) else 0
    if isinstance(lever, str):
        known = plan.levers.get(lever)
        title = known.title if known else f"{lever.replace('_', ' ')} instead"
        parts.append(f"{title}: {format_machines(int(row['lift_n']))}")
    unknown = list_unknowns(row)
    if row["n_hi"] > row["n_lo"] and unknown:
        parts.append(f"finding out {' and '.join(unknown)}: up to {int(row['n_hi'])}")
    elif row["other_n_hi"] > max(row["other_n_lo"], row["n_hi"], sure):
        what, most = FUEL_UNKNOWN[row["other_evidence"]], int(row["other_n_hi"])
        parts.append(f"finding out {what}: up to {most} on {row['other_title']}")
    return "; ".join(parts) or None


def list_unknowns(row: Row) -> list[str]:
    """List what is not known and stands between the worst and the best answer."""
    found = []
    if row["fuel_n_lo"] < row["fuel_n_hi"]:
        found.append(FUEL_UNKNOWN[row["fuel_evidence"]])
    if row["noise_evidence"] in NOISE_UNKNOWN and row["noise_unsure"]:
        what = NOISE_UNKNOWN[row["noise_evidence"]]
        if _known(row["ambient_needed_dba"]):
            what += f" ({row['ambient_needed_dba']:.0f} dB(A) would do for one generator)"
        found.append(what)
    if row["pad_lo"] < row["pad_n"]:
        found.append(PAD_UNKNOWN[row["pad_evidence"]])
    return found


def write_sentence(row: Row, plan: Plan) -> str:
    """Say in one or two plain sentences what the site carries and what the grid leaves."""
    text = f"{_carries(row, plan)} {_grid(row, plan)}"
    if row["headroom_check"] == "contradict":
        text += f" {_contradiction(row)}"
    if row["access"] in NO_WAY:
        text += f" {NO_WAY[row['access']]}."
    if isinstance(row["assumed"], str):
        text += f" Assumed: {row['assumed']}."
    return text


def _carries(row: Row, plan: Plan) -> str:
    lo, hi, fuel = int(row["n_lo"]), int(row["n_hi"]), row["fuel_title"]
    if hi == 0:
        return f"Carries none ({describe_limit(row, plan)})."
    if lo == 0:
        return (
            f"Carries up to {format_machines(hi)} ({format_power(row['power_hi_kw'])}) on {fuel}, "
            f"or none: not known is {' and '.join(list_unknowns(row))}."
        )
    size = format_power(row["power_lo_kw"])
    more = f", up to {hi} at best" if hi > lo else ""
    return f"Carries {format_machines(lo)} ({size}) on {fuel}{more}; {_next(row, plan)}."


def _next(row: Row, plan: Plan) -> str:
    lo = int(row["n_lo"])
    a_next = f"{'an' if lo + 1 in (8, 11, 18) else 'a'} {format_ordinal(lo + 1)}"
    if row["binding"] == "cap":
        return f"the plan stops at {plan.cap}"
    if row["binding"] == "noise" and _known(row["level_next_dba"]):
        where = _hearer(row, "next_receptor")
        level, over = row["level_next_dba"], row["noise_short_by_db"]
        limit_dba = f", {over:.1f} over its limit" if _known(over) else ""
        return f"{a_next} would reach {level:.1f} dB(A) at {where}{limit_dba}"
    if row["binding"] == "pad":
        return f"{a_next} finds no room: {_no_room(row)}"
    if row["binding"] == "fuel":
        return f"{a_next} would need more fuel: {_fuel_limit(row)}"
    return f"{a_next} is stopped by {describe_limit(row, plan)}"


def _hearer(row: Row, which: str = "receptor") -> str:
    who = WHO.get(row[f"{which}_class"], "the nearest neighbour")
    away, wind = row[f"{which}_distance_m"], row[f"{which}_direction"]
    if not _known(away):
        return who
    return f"{who} {away:.1f} m{f' {wind}' if isinstance(wind, str) else ''}"


def _noise_limit(row: Row) -> str:
    blind = ("own dwelling", "no layer", "ambient unknown", "use unknown")
    if row["noise_evidence"] in blind and row["noise_unsure"]:
        return f"noise: not known is {NOISE_UNKNOWN[row['noise_evidence']]}"
    if row["noise_n"] == 0 and _known(row["margin_worst_db"]):
        over = -float(row["margin_worst_db"])
        who = WHO.get(row["alone_class"], "the nearest neighbour")
        return f"noise: one generator is {over:.1f} dB too loud at {who}, at every place tried"
    return f"noise at {_hearer(row)}"


def _no_room(row: Row) -> str:
    if row["pad_lo"] < row["pad_n"]:
        return f"not known is {PAD_UNKNOWN[row['pad_evidence']]}"
    if row["pad_n"] > row["n_lo"]:
        return "what ground there is lies too near the neighbours"
    if row["ground_area_m2"] == 0:
        return "setbacks, buildings and exclusions leave no ground"
    if _known(row["pad_short_by_m"]):
        return f"setbacks, clearances and exclusions are {row['pad_short_by_m']:.1f} m too tight"
    if row["pad_evidence"] == "bare parcel" and _known(row["open_area_m2"]):
        return f"the building on record leaves {row['open_area_m2']:.0f} m2 of the lot"
    return "clearances leave too little ground"


def _fuel_limit(row: Row) -> str:
    evidence = row["fuel_evidence"]
    if row["fuel_n_lo"] < row["fuel_n_hi"] and evidence in FUEL_UNKNOWN:
        return f"not known is {FUEL_UNKNOWN[evidence]}"
    if evidence in NO_FUEL:
        return NO_FUEL[evidence]
    if evidence == "storage":
        if not _known(row["storage_capacity"]):
            return f"no {row['fuel_title']} tank fits with its separation distances"
        return f"{_tanks(row)} beside the generators"
    return _spare(row)


def _spare(row: Row) -> str:
    """Say what a main or a plant has to spare."""
    if not _known(row["fuel_capacity"]):
        return "gas"
    have = f"{row['fuel_capacity']:,.0f} {row['fuel_unit']}"
    if str(row["fuel_evidence"]).startswith("plant"):
        return f"{row['plant_name'] or 'the plant'} has {have} to spare"
    size, pressure = row["main_diameter_in"], row["main_pressure_class"]
    if _known(size) and isinstance(pressure, str):
        where = f"the {size:g} in {pressure}-pressure main {row['main_distance_m']:.0f} m away"
    else:
        where = "the main taken to be there"
    return f"{where} spares {have}"


def _tanks(row: Row) -> str:
    count, unit = int(row["storage_count"]), row["storage_unit"]
    each = f"{row['storage_capacity'] / count:,.0f} {unit}"
    if count == 1:
        return f"one tank of {each} is the most that fits"
    return f"{count} tanks of {each} are the most that fit"


def _grid(row: Row, plan: Plan) -> str:
    target = format_power(plan.target_kw)
    lo, hi = float(row["shortfall_lo_kw"]), float(row["shortfall_hi_kw"])
    if row["gap_class"] == "covered":
        return f"The grid already carries {target}."
    if row["gap_class"] == "unknown":
        if row["grid_evidence"] == "substation":
            return f"Whether the grid carries {target} here is not known: its substation could."
        return f"What the grid can carry here is not known; the target is {target}."
    if lo == hi == plan.target_kw:
        return f"The grid has nothing left for the {target}: {row['needed_lo']:.0f} needed."
    if lo == hi:
        return (
            f"The grid leaves {target} short by {format_power(lo)}: {row['needed_lo']:.0f} needed."
        )
    count = (
        f"{row['needed_lo']:.0f} needed"
        if row["needed_lo"] == row["needed_hi"]
        else f"{row['needed_lo']:.0f} to {row['needed_hi']:.0f} needed"
    )
    return f"The grid leaves {target} short by at least {format_power(lo)}: {count}."


def _contradiction(row: Row) -> str:
    best, second = row["load_headroom_kw"], row["second_headroom_kw"]
    return (
        f"Two sources contradict each other: {best:,.0f} kW by {_HOW[row['grid_evidence']]} "
        f"record, {second:,.0f} kW by {_HOW[row['second_evidence']]}."
    )


def _known(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


_HOW = {
    "service area": "the area's",
    "feeder": "the feeder's",
    "grid cell": "the grid cell's",
    "feeders of substation": "the substation's feeders'",
    "substation": "the substation's",
}
_LIMITS: dict[str, Callable[[Row], str]] = {
    "pad": lambda row: f"room: {_no_room(row)}",
    "noise": _noise_limit,
    "fuel": lambda row: f"fuel: {_fuel_limit(row)}",
}
