"""How often a site keeps its call and its side of the first rows if weights and assumptions vary.

Each draw varies every weight by up to half, and puts every assumption with a range at one of its
ends. The draws are the same in every run.
"""

import numpy as np
import pandas as pd

from geo.model import CRITERIA, Plan
from geo.ranking import calls
from geo.ranking.scores import score_criteria, weigh_criteria

DRAWS = 300
SEED = 230
WEIGHTS_VARY_BY = 0.5


def measure_stability(ranking: pd.DataFrame, plan: Plan, top_rows: int) -> np.ndarray:
    """Return the share of draws in which each site keeps its call, and stays in or out of the top.

    Args:
        ranking: The facts from screening with `call` and power_lo_kw and power_hi_kw, best first.
        plan: The plan, with its weights and ranges.
        top_rows: How many rows are the top.

    Returns:
        One share per site, from 0 to 1.
    """
    weights = weigh_criteria(ranking, plan)
    base = np.array([weights[name] for name in CRITERIA])
    random = np.random.default_rng(SEED)
    factors = random.uniform(1 - WEIGHTS_VARY_BY, 1 + WEIGHTS_VARY_BY, (DRAWS, len(CRITERIA)))
    used = calls.list_assumptions_used(ranking, plan, plan.target_kw)
    ends = list(calls.list_ends(plan.ranges))
    # Draws that differ only in an assumption that no site uses are the same case.
    at_end = random.integers(2, size=(DRAWS, len(ends)))
    at_end *= np.array([used[name].any() for name, _ in ends], dtype=int)
    cases, case_of = np.unique(at_end, axis=0, return_inverse=True)
    place = np.arange(len(ranking))
    on_top = place < top_rows
    was = np.array([calls.CALLS.index(call) for call in ranking["call"]])
    # An assumption without a range remains decisive, whatever the draw.
    unranged = [applies for name, applies in used.items() if getattr(plan.ranges, name) is None]
    always_checked = np.any([*unranged, np.zeros(len(ranking), dtype=bool)], axis=0)
    kept = np.zeros(len(ranking))
    for number, case in enumerate(cases):
        drawn = np.flatnonzero(case_of.ravel() == number)
        values = {name: pair[end] for (name, pair), end in zip(ends, case, strict=True)}
        judged = calls.judge_with_values(ranking, plan, plan.target_kw, values)
        fails = np.any([*judged.fails.values(), always_checked], axis=0)
        call = np.where(judged.is_no, 2, np.where(fails, 1, 0))
        worst = score_criteria(ranking, plan, values).worst
        parts = np.column_stack([worst[name] for name in CRITERIA])
        varied = base * factors[drawn]
        scores = (100 * (parts @ varied.T) / varied.sum(axis=1)).round(4)
        for score in scores.T:
            order = np.lexsort((place, -score, call))
            stays = np.zeros(len(ranking), dtype=bool)
            stays[order[:top_rows]] = True
            kept += (call == was) & (stays == on_top)
    return np.asarray(kept / DRAWS)
