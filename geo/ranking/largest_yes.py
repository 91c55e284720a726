"""Find the largest load for which each site would be a `yes`."""

import numpy as np
import pandas as pd

from geo import catalogue
from geo.criteria.grid import gap
from geo.equipment.ranges import fuel_share_most
from geo.model import CallCheck, Plan
from geo.ranking import calls
from geo.ranking.calls import Judgment, Values

# Checks that do not depend on how large the load is.
FIXED_CHECKS: tuple[CallCheck, ...] = ("access", "setbacks", "heights", "unmapped", "assumed")


def find_largest_yes_kw(
    sites: pd.DataFrame, plan: Plan, judged: dict[float, Judgment]
) -> np.ndarray:
    """Return the largest load for which each site would be a `yes`, on the fuel of the target load.

    It is what the grid surely supplies plus the power of the generators that keep every margin,
    with each assumption at the least favorable end of its range.

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan.
        judged: The judgment of each of the plan's loads (kW).

    Returns:
        The load (n,) in whole kW, NaN where there is none.
    """
    target = judged[plan.target_kw]
    extremes: list[Values] = [{}]
    extremes += [{name: end} for name, ends in calls.list_ends(plan.ranges) for end in ends]
    needed = [calls.count_needed_with(sites, plan, plan.target_kw, values) for values in extremes]
    lowest_kw = np.min([one.headroom_kw[0] for one in needed], axis=0).clip(min=0.0)
    highest_kw = np.max([one.headroom_kw[1] for one in needed], axis=0).clip(min=0.0)
    machine_kw = np.min([one.machine_kw for one in needed], axis=0)
    running = _count_running(sites, plan, judged, extremes, machine_kw)
    with np.errstate(invalid="ignore"):
        load_kw = np.floor(lowest_kw + running * machine_kw + 1e-6)
    possible = (running > 0) & (load_kw > highest_kw)
    for name in FIXED_CHECKS:
        possible &= ~target.fails[name]
    for name, applies in calls.list_assumptions_used(sites, plan, plan.target_kw).items():
        if getattr(plan.ranges, name) is None:
            possible &= ~applies
    loads = pd.Series(np.where(possible, load_kw, 0.0), sites.index)
    possible &= gap.compare_records(sites, loads) != "contradict"
    answer = np.where(possible, load_kw, np.nan)
    # The plan's own loads have been judged one by one.
    for one_kw in sorted(judged, reverse=True):
        call = judged[one_kw].call
        not_yes = (call != calls.YES) & (one_kw > highest_kw) & (answer >= one_kw)
        fewer = sites[f"needed_hi_at_{catalogue.load_column_tag(one_kw)}"] - plan.spares - 1
        with_fewer_kw = np.floor(lowest_kw + fewer.clip(lower=0) * machine_kw + 1e-6)
        answer = np.where(not_yes, with_fewer_kw, answer)
        answer = np.where(call == calls.YES, np.fmax(answer, one_kw), answer)
    return np.where(answer > highest_kw, answer, np.nan)


def _count_running(
    sites: pd.DataFrame,
    plan: Plan,
    judged: dict[float, Judgment],
    extremes: list[Values],
    machine_kw: np.ndarray,
) -> np.ndarray:
    """Return how many generators may run at each site with every margin kept, in every extreme."""
    quiet = sites["margin_n"].to_numpy(dtype=int)
    for load_kw, judgment in judged.items():
        tag = catalogue.load_column_tag(load_kw)
        placed = ~judgment.fails["count"] & ~judgment.fails["noise_margin"]
        placed &= (sites[f"fuel_at_{tag}"] == sites["fuel"]).to_numpy()
        quiet = np.where(placed, np.maximum(quiet, sites[f"needed_hi_at_{tag}"]), quiet)
    running = np.maximum(quiet - plan.spares, 0).astype(float)
    louder_db = max(0.0, *(calls.louder_by_db(plan, values) for values in extremes))
    running = np.floor(running / 10 ** (louder_db / 10) + 1e-9)
    reach = sites["sound_reach_n"].to_numpy(dtype=float)
    margin_db = plan.call.noise_margin_db + louder_db
    running = np.minimum(running, np.floor(reach / 10 ** (margin_db / 10) + 1e-9))
    if plan.call.parallel:
        hosting = [calls.lowest_hosting_kw(sites, plan, values) for values in extremes]
        lowest_kw = np.maximum(np.min(hosting, axis=0), 0.0)
        running = np.minimum(running, np.floor((lowest_kw + calls.WATT) / machine_kw))
    capacity = (sites["fuel_capacity"] / sites["fuel_demand"]).fillna(0.0).to_numpy(dtype=float)
    most = np.zeros(len(sites))
    routes = sites["fuel_route"].to_numpy(dtype=object)
    for route in np.unique(routes):
        most[routes == route] = fuel_share_most(route, plan)
    return np.asarray(np.minimum(running, np.floor(capacity * most + 1e-9)))
