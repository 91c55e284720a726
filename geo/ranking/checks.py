"""Say what somebody must check before a site is a `yes`, who can answer it, and what then follows.

The functions take a row of the ranking and return text, for a reader who makes the calls.
"""

from collections.abc import Callable
from typing import get_args

from geo.catalogue import read_code_words
from geo.equipment.selection import plan_generator
from geo.model import CallCheck, Plan
from geo.ranking.sentences import (
    Row,
    format_feet,
    format_machines,
    format_power,
    is_known,
    lower_first,
    phrase_receptor,
)

# Levels are shown with one decimal.
ROUNDING_DB = 0.05
NOISE_ASKED = {"ambient unknown": "Noise consultant", "own dwelling": "Site visit"}


def list_checks(row: Row, failing: list[CallCheck], plan: Plan) -> list[str]:
    """List the checks of a site for the target load, the most decisive first.

    Each says who can answer it, and what to ask.

    Args:
        row: A row of the ranking.
        failing: The checks that it needs.
        plan: The plan.

    Returns:
        One text per check; the same text appears once.
    """
    if "contradiction" in failing and row["needed_hi"] == 0:
        # Nothing else was judged: by the record that serves the site, nothing is needed.
        return [_contradiction(row, plan)]
    texts: list[str] = []
    for name in get_args(CallCheck):
        if name == "count" and name in failing:
            texts += _list_count_checks(row, plan)
        elif name in failing:
            texts.append(_CHECKS[name](row, plan))
    return list(dict.fromkeys(texts))


def join_checks(texts: list[str], *, is_first_step: bool = False) -> str | None:
    """Join a site's checks into one text that says what follows if the answers are favorable.

    >>> join_checks(["Site visit: the way to the pad"])
    'Site visit: the way to the pad. If the answer is favorable, it is a yes'
    >>> join_checks(["Site visit: the way", "Gas utility: the main"])
    '1. Site visit: the way. 2. Gas utility: the main. If both answers are favorable, it is a yes'
    >>> join_checks([]) is None
    True

    Args:
        texts: The texts of the checks.
        is_first_step: Whether further checks may follow.

    Returns:
        The text, or None where there is no check.
    """
    if not texts:
        return None
    if is_first_step:
        return f"{'. '.join(texts)}. If the grid is short, other checks follow"
    if len(texts) == 1:
        return f"{texts[0]}. If the answer is favorable, it is a yes"
    numbered = ". ".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))
    every = "both" if len(texts) == 2 else f"all {len(texts)}"
    return f"{numbered}. If {every} answers are favorable, it is a yes"


def _utility(row: Row) -> str:
    return row["grid_utility"] if isinstance(row["grid_utility"], str) else "Electric utility"


def _contradiction(row: Row, plan: Plan) -> str:
    first, second = (f"{row[name]:,.0f} kW" for name in ("load_headroom_kw", "second_headroom_kw"))
    records = read_code_words()["grid_evidence"]
    best, other = (records[row[name]].phrase for name in ("grid_evidence", "second_evidence"))
    return (
        f"{_utility(row)}: which figure is right, {first} ({best}) or {second} ({other}); the "
        f"target is {format_power(plan.target_kw)}"
    )


def _grid(row: Row, plan: Plan) -> str:
    target = format_power(plan.target_kw)
    if row["grid_old"] == 1:
        age = f"of {row['grid_as_of']}" if isinstance(row["grid_as_of"], str) else "without a date"
        return f"{_utility(row)}: its current headroom here; the figure on file is {age}"
    return f"{_utility(row)}: whether it could supply {target} here now, or how much less"


def _list_count_checks(row: Row, plan: Plan) -> list[str]:
    """Ask for each unknown that may hide the generators needed, or for what would need fewer."""
    words, needed, checks = read_code_words(), int(row["needed_hi"]), []
    may_fit = row["n_hi"] >= needed
    if may_fit and row["fuel_n_lo"] + plan.spares < needed <= row["fuel_n_hi"] + plan.spares:
        unknown = words["fuel_evidence"][row["fuel_evidence"]].unknown
        checks.append(f"{_fuel_asked(row)}: {unknown or 'how much fuel it can supply'}")
    if may_fit and row["pad_lo"] < needed <= row["pad_n"]:
        checks.append(f"Site visit: {words['pad_evidence'][row['pad_evidence']].unknown}")
    noise = words["noise_evidence"][row["noise_evidence"]].unknown
    neighbors_allow = is_known(row["noise_n"]) and row["noise_n"] >= needed
    if may_fit and not neighbors_allow and row["noise_unsure"] and noise is not None:
        checks.append(f"{NOISE_ASKED.get(row['noise_evidence'], 'Planning office')}: {noise}")
    if not may_fit and needed <= row["other_n_hi"]:
        unknown = words["fuel_evidence"][row["other_evidence"]].unknown
        checks.append(
            f"Gas utility: {unknown or 'how much fuel it can supply'}, for {row['other_title']}"
        )
    if checks:
        return checks
    count = int(row["n_lo"] or row["n_hi"])
    fit = f"{format_machines(count)} {'fits' if count == 1 else 'fit'}"
    needed_text = f"from {row['needed_lo']:.0f} to {needed} are needed"
    return [f"{_utility(row)}: the exact headroom; {fit}, and {needed_text}"]


def _fuel_asked(row: Row) -> str:
    if str(row["fuel_evidence"]).startswith("plant"):
        return str(row["plant_name"] or "The plant's operator")
    return "Site visit" if row["fuel_evidence"] == "storage" else "Gas utility"


def _access(row: Row, plan: Plan) -> str:
    why = {
        "blocked": "buildings are in the way on the lot",
        "no street side": "the lot has no side on a street",
    }.get(str(row["access"]), "the street side or the buildings are not known")
    width = format_feet(plan.pad.access_width_m)
    return f"Site visit: a way {width} wide from the street to the pad; {why}"


def _fuel_margin(row: Row, plan: Plan) -> str:
    needed, share = format_machines(int(row["needed_hi"])), row["needed_fuel_share"]
    if row["fuel_evidence"] == "storage":
        return f"Site visit: room for more tanks; those that fit do not last for {needed}"
    if not is_known(share):
        return f"{_fuel_asked(row)}: how much fuel it can spare for {needed}"
    return (
        f"{_fuel_asked(row)}: whether it can spare the fuel of {needed}, {share:.0%} of what we "
        f"assume is free; we want no more than {plan.call.fuel_share_most:.0%}"
    )


def _noise_margin(row: Row, plan: Plan) -> str:
    needed = format_machines(int(row["needed_hi"]))
    margin = row["needed_margin_db"]
    wanted = plan.call.noise_margin_db
    # A margin that rounds up to the one that is wanted is shown as one that is just below it.
    if not is_known(margin) or margin > wanted + ROUNDING_DB:
        return f"Noise consultant: who hears {needed}; neighbors were not searched far enough"
    shown = f"{min(margin, wanted - 2 * ROUNDING_DB):.1f}"
    neighbor = phrase_receptor(row["needed_receptor_class"])
    return (
        f"Noise consultant: the level of {needed} at {neighbor}, "
        f"{shown} dB below the limit by our model; we want {wanted:.3g} dB"
    )


def _hosting(row: Row, plan: Plan) -> str:
    running = max(int(row["needed_hi"]) - plan.spares, 0) * row["machine_kw"]
    power = format_power(round(running))
    if is_known(row["hosting_kw"]) and row["hosting_lo_kw"] < row["hosting_kw"]:
        dated = isinstance(row["hosting_as_of"], str)
        age = f"of {row['hosting_as_of']}" if dated else "without a date"
        return (
            f"{_utility(row)}: whether {power} may run in parallel with the grid; the published "
            f"{row['hosting_kw']:,.0f} kW ({age}) may be too old, or another record's"
        )
    if is_known(row["hosting_kw"]):
        return (
            f"{_utility(row)}: whether {power} may run in parallel with the grid; the feeder's "
            f"published hosting capacity is {row['hosting_kw']:,.0f} kW"
        )
    return (
        f"{_utility(row)}: whether {power} may run in parallel with the grid; no hosting capacity "
        "is published here"
    )


def _setbacks(row: Row, _plan: Plan) -> str:
    zone = f"zone {row['zone_code']}" if isinstance(row["zone_code"], str) else "this zone"
    return f"Zoning office: the setbacks in {zone}; the plan's are assumed"


def _heights(row: Row, _plan: Plan) -> str:
    count = int(row["unmeasured_count"])
    what = "the height of a building" if count == 1 else f"the heights of {count} buildings"
    return f"Site visit: {what} nearby; the noise model leaves out buildings of unknown height"


def _unmapped(row: Row, _plan: Plan) -> str:
    return f"Site visit: {row['unmapped']}; there is no complete map of them here"


def _assumed(row: Row, _plan: Plan) -> str:
    return f"Site visit: {lower_first(row['assumed'] or 'the fuel')}"


def _range_text(name: str, shown: Callable[[float], str], plan: Plan) -> str:
    given = getattr(plan.ranges, name)
    if given is None:
        return "the plan gives no range"
    return f"it may be {shown(given.lo)} to {shown(given.hi)}"


def _usable_share(_row: Row, plan: Plan) -> str:
    free = f"{plan.fuel.usable_share:.0%}"
    span = _range_text("usable_share", "{:.0%}".format, plan)
    return f"Gas utility: how much of the main is free; {free} is assumed, {span}"


def _rating_distance(_row: Row, plan: Plan) -> str:
    generator = plan_generator(plan)
    span = _range_text("rating_distance_m", format_feet, plan)
    return (
        f"Maker: at which distance {generator.level_dba:g} dB(A) is rated; "
        f"{format_feet(generator.level_distance_m)} is assumed, {span}"
    )


def _efficiency(_row: Row, plan: Plan) -> str:
    used = f"{plan_generator(plan).efficiency:.0%}"
    span = _range_text("efficiency", "{:.0%}".format, plan)
    return f"Maker: the efficiency; {used} is assumed, {span}"


def _power_factor(row: Row, plan: Plan) -> str:
    span = _range_text("power_factor", "{:g}".format, plan)
    return f"{_utility(row)}: the power factor; {plan.grid.power_factor:g} is assumed, {span}"


def _altitude(_row: Row, plan: Plan) -> str:
    span = _range_text("altitude_m", format_feet, plan)
    return f"Survey: the altitude; {format_feet(plan.altitude_m)} is assumed, {span}"


_CHECKS: dict[CallCheck, Callable[[Row, Plan], str]] = {
    "contradiction": _contradiction,
    "grid": _grid,
    "access": _access,
    "fuel_margin": _fuel_margin,
    "noise_margin": _noise_margin,
    "hosting": _hosting,
    "setbacks": _setbacks,
    "heights": _heights,
    "unmapped": _unmapped,
    "assumed": _assumed,
    "usable_share": _usable_share,
    "rating_distance_m": _rating_distance,
    "efficiency": _efficiency,
    "power_factor": _power_factor,
    "altitude_m": _altitude,
}
