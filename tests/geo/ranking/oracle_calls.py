"""The call of one site by the rules of docs/method.md, step by step, for checks of the fast way."""

import math

from geo.equipment.selection import plan_generator

DERATING_TO_M, SHARE_PER_M, TO_C, SHARE_PER_C = 152.4, 0.000114829, 25.0, 0.0018
ASSUMPTIONS = ("efficiency", "rating_distance_m", "usable_share", "power_factor", "altitude_m")


def is_missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def find_call(row, plan, load_kw):
    """Return the call of a site, from its facts as screening gives them, for one load."""
    base = list_obstacles(row, plan, load_kw, {})
    if "no" in base:
        ends = [
            list_obstacles(row, plan, load_kw, {name: value})
            for name in ASSUMPTIONS
            if is_used(row, plan, load_kw, name) and getattr(plan.ranges, name) is not None
            for value in (getattr(plan.ranges, name).lo, getattr(plan.ranges, name).hi)
        ]
        return "no" if all("no" in found for found in ends) else "check first"
    for name in ASSUMPTIONS:
        if not is_used(row, plan, load_kw, name):
            continue
        given = getattr(plan.ranges, name)
        if given is None:
            return "check first"
        for value in (given.lo, given.hi):
            if set(list_obstacles(row, plan, load_kw, {name: value})) - set(base):
                return "check first"
    return "check first" if base else "yes"


def is_used(row, plan, load_kw, name):
    at = f"{load_kw:g}_kw"
    if name == "usable_share":
        return row[f"route_at_{at}"] == "main"
    if name == "rating_distance_m":
        return not is_missing(row[f"margin_at_{at}"])
    if name == "power_factor":
        return row["power_factor_assumed"] or (plan.call.parallel and row["hosting_factor_assumed"])
    return name == "efficiency" or is_missing(row["elevation_m"])


def list_obstacles(row, plan, load_kw, changed):
    """Return what keeps a site from a yes, with some assumptions changed; `no` if it is a no."""
    at = f"{load_kw:g}_kw"
    lo, hi, kw = row["headroom_lo_kw"], row["headroom_hi_kw"], row["machine_kw"]
    if "power_factor" in changed and row["power_factor_assumed"]:
        lo, hi = (end * changed["power_factor"] / plan.grid.power_factor for end in (lo, hi))
    if "altitude_m" in changed and is_missing(row["elevation_m"]):
        thin = SHARE_PER_M * max(changed["altitude_m"] - DERATING_TO_M, 0)
        hot = SHARE_PER_C * max(plan.summer_c - TO_C, 0)
        kw = plan_generator(plan).power_kw * (1 - thin - hot)
    few, many = (count_needed(load_kw, end, kw, plan) for end in (hi, lo))
    best = max(row[f"n_hi_on_{fuel}"] for fuel in plan.fuels)
    contradicts = is_contradiction(row, lo, hi, load_kw)
    least = few
    if contradicts:
        by_second = count_needed(load_kw, row["second_hi_kw"], row["machine_kw"], plan)
        least = min([count for count in (few, by_second) if count > 0], default=0)
    if best == 0 or best < least or (not contradicts and many == 0):
        return ["no"]
    found = ["contradiction"] if contradicts else []
    if few == 0 and not contradicts:
        found.append("grid")
    if row[f"fits_at_{at}"] < many:
        found.append("count")
    usual = count_needed(load_kw, row["headroom_lo_kw"], row["machine_kw"], plan)
    found += list_thin_margins(row, plan, at, changed, many, usual)
    access = row[f"access_at_{at}"] if not is_missing(row[f"access_at_{at}"]) else row["access"]
    running = max(many - plan.spares, 0)
    hosting = row["hosting_lo_kw"]
    if "power_factor" in changed and row["hosting_factor_assumed"]:
        hosting *= changed["power_factor"] / plan.grid.power_factor
    obstacles = {
        "access": access != "reached",
        "hosting": plan.call.parallel and hosting < running * kw - 0.001,
        "setbacks": row["setback_evidence"] != "zoning text",
        "heights": row["unmeasured_count"] > 0,
        "unmapped": row["unmapped"] != "",
        "assumed": not is_missing(row[f"fuel_assumed_at_{at}"])
        or not is_missing(row["site_assumed"]),
    }
    return found + [name for name, stands in obstacles.items() if stands]


def list_thin_margins(row, plan, at, changed, many, usual):
    """Return which of noise and fuel lacks its margin for as many generators as are needed."""
    running, usually = (max(count - plan.spares, 1) for count in (many, usual))
    times = max(running / usually, 1.0)
    generator = plan_generator(plan)
    margin = row[f"margin_at_{at}"] - 10 * math.log10(times)
    rated_at_m = changed.get("rating_distance_m", generator.level_distance_m)
    margin -= 20 * math.log10(rated_at_m / generator.level_distance_m)
    louder_db = 20 * math.log10(rated_at_m / generator.level_distance_m)
    loudest = max(many - plan.spares, 0) * 10 ** (
        (plan.call.noise_margin_db + max(louder_db, 0.0)) / 10
    )
    quiet = margin >= plan.call.noise_margin_db and loudest <= row["sound_reach_n"] + 1e-9
    share = row[f"fuel_share_at_{at}"] * times
    share *= generator.efficiency / changed.get("efficiency", generator.efficiency)
    route = row[f"route_at_{at}"]
    if route == "main":
        share *= plan.fuel.usable_share / changed.get("usable_share", plan.fuel.usable_share)
    most = 1.0 if route == "storage" else plan.call.fuel_share_most
    enough = row[f"fits_at_{at}"] >= many
    thin = [] if quiet or (math.isnan(margin) and not enough) else ["noise"]
    spared = share <= most + 1e-9 or (math.isnan(share) and not enough)
    return thin if spared else [*thin, "fuel"]


def count_needed(load_kw, headroom_kw, machine_kw, plan):
    short = min(max(load_kw - max(headroom_kw, 0), 0), load_kw)
    return math.ceil(round(short / machine_kw, 9)) + plan.spares if short > 0 else 0


def is_contradiction(row, lo, hi, load_kw):
    if is_missing(row["second_evidence"]):
        return False
    ends = (lo, hi), (row["second_lo_kw"], row["second_hi_kw"])
    if any(math.isinf(low) and math.isinf(high) for low, high in ends):
        return False
    kinds = []
    for low, high in ends:
        surely_short = max(high, 0) < load_kw
        kinds.append("short" if surely_short else "covered" if max(low, 0) >= load_kw else None)
    return None not in kinds and kinds[0] != kinds[1]
