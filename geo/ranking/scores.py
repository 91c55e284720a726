"""Score every criterion for the generators that the target load needs, worst and best case.

A score is a straight ramp in real units, from 0 to 1, and never depends on other sites. A criterion
that stops a site short of the generators needed scores 0.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from geo.errors import ConfigError
from geo.model import CRITERIA, Criterion, Line, Plan
from geo.ranking.calls import (
    Needed,
    Values,
    count_needed_with,
    needed_fuel_share,
    needed_margin_db,
)


class Scores(NamedTuple):
    """The score of each criterion, from 0 to 1, in the worst and in the best case. Shape (n,) each.

    Criteria without weight are included.
    """

    worst: dict[Criterion, np.ndarray]
    best: dict[Criterion, np.ndarray]


def score_on_ramp(values: pd.Series, line: Line) -> pd.Series:
    """Return 0 at `zero_at`, 1 at `one_at`, linear between and constant beyond; NaN stays NaN.

    >>> score_on_ramp(pd.Series([30.0]), Line(zero_at=120, one_at=0)).tolist()
    [0.75]
    """
    return ((values - line.zero_at) / (line.one_at - line.zero_at)).clip(0, 1)


def score_criteria(sites: pd.DataFrame, plan: Plan, values: Values | None = None) -> Scores:
    """Score every criterion of each site.

    The worst case needs the most generators that the shortfall may need (at least one) and counts
    each unknown as failing; the best case needs the fewest, and counts each unknown as passing.

    Args:
        sites: The facts from screening, one row per site, with power_lo_kw and power_hi_kw.
        plan: The plan.
        values: The values of the assumptions that differ from the plan's; None: none do.

    Returns:
        The scores.
    """
    values = values or {}
    needed = count_needed_with(sites, plan, plan.target_kw, values)
    most, fewest = np.maximum(needed.most, 1), np.maximum(needed.fewest, 1)
    worst: dict[Criterion, np.ndarray] = {}
    best: dict[Criterion, np.ndarray] = {}
    worst["grid"], best["grid"] = _score_grid(sites, plan, needed)
    worst["fuel"], best["fuel"] = _score_fuel(sites, plan, needed, values)
    worst["pad"], best["pad"] = (
        _score_places(sites[name], count, plan)
        for name, count in (("pad_lo", most), ("pad_n", fewest))
    )
    margin = needed_margin_db(sites, plan, needed, values)
    usual = sites[f"margin_at_{needed.tag}"].to_numpy(dtype=float)
    heard = np.isfinite(usual)
    change_db = np.zeros(len(sites))
    change_db[heard] = margin[heard] - usual[heard]
    # Without a place for those needed, the margin is missing.
    worst["noise"] = _ramp(np.where(np.isnan(margin), -np.inf, margin), plan.score.noise)
    margin_best = sites["needed_margin_best_db"].to_numpy(dtype=float) + change_db
    margin_best = np.where(np.isnan(margin_best), -np.inf, margin_best)
    best["noise"] = np.maximum(_ramp(margin_best, plan.score.noise), worst["noise"])
    return Scores(worst, best)


def _ramp(values: np.ndarray, line: Line) -> np.ndarray:
    return score_on_ramp(pd.Series(values), line).to_numpy()


def _score_grid(sites: pd.DataFrame, plan: Plan, needed: Needed) -> tuple[np.ndarray, np.ndarray]:
    if plan.grid.goal == "bridge":
        short = [(plan.target_kw - kw.clip(lower=0.0)).clip(0.0, plan.target_kw)
                 for kw in reversed(needed.headroom_kw)]  # fmt: skip
        closed = [
            np.minimum(kw, sites[f"power_{end}_kw"]) / plan.target_kw
            for kw, end in zip(short, ("lo", "hi"), strict=True)
        ]
        lowest, highest = (score_on_ramp(share, plan.score.grid) for share in closed)
        return lowest.to_numpy(), highest.to_numpy()
    ends = np.column_stack([_ramp(kw.to_numpy(), plan.score.grid) for kw in needed.headroom_kw])
    return ends.min(axis=1), ends.max(axis=1)


def _score_fuel(
    sites: pd.DataFrame, plan: Plan, needed: Needed, values: Values
) -> tuple[np.ndarray, np.ndarray]:
    """Score the distance to the main or plant, and the share that they take of it if it counts."""
    stored = (sites["fuel_evidence"] == "storage").to_numpy()
    away = sites["needed_line_m"].fillna(sites["main_distance_m"])
    away = away.fillna(sites["plant_distance_m"]).where(~stored, plan.fuel.storage_as_far_as_m)
    reached = score_on_ramp(away, plan.score.fuel).to_numpy()
    share = needed_fuel_share(sites, plan, needed, values)
    most, fewest = np.maximum(needed.most, 1), np.maximum(needed.fewest, 1)
    spared = np.ones(len(sites))
    if plan.score.fuel_share is not None:
        spared = np.where(stored, 1.0, _ramp(share, plan.score.fuel_share))
    runs, may_run = (
        (np.where(sites[f"fuel_n_{end}"] > 0, sites[f"fuel_n_{end}"] + plan.spares, 0) >= count)
        for end, count in (("lo", most), ("hi", fewest))
    )
    # Other values of the assumptions may leave too little for those needed.
    worst = np.where(runs & ~(share > 1.0 + 1e-9), np.fmin(reached, spared), 0.0)
    # With fewer generators or more gas than is known, the share is lower, by an unknown amount.
    same = (most == fewest) & (sites["fuel_n_lo"] == sites["fuel_n_hi"]).to_numpy()
    # Fewer generators may be served by the nearest main.
    nearest = score_on_ramp(sites["nearest_main_distance_m"], plan.score.fuel).to_numpy()
    nearest = np.where(stored, reached, np.fmax(reached, nearest))
    best_case = np.where(np.isnan(reached), 1.0, np.where(same, np.fmin(reached, spared), nearest))
    best = np.where(may_run, best_case, 0.0)
    return np.where(np.isnan(worst), 0.0, worst), np.maximum(best, np.nan_to_num(worst))


def _score_places(places: pd.Series, needed: np.ndarray, plan: Plan) -> np.ndarray:
    """Score the places on the ground for each generator that is needed.

    Where the ground holds the plan's cap, more places would not be used, so it scores in full.
    """
    each = places.to_numpy(dtype=float) / needed
    scored = np.where(places >= plan.cap, 1.0, _ramp(each, plan.score.pad))
    return np.where(each >= 1.0, scored, 0.0)


def weigh_criteria(sites: pd.DataFrame, plan: Plan) -> dict[Criterion, float]:
    """Return the weight of each criterion, 0 where the market lacks its layers.

    Args:
        sites: The facts from screening, with the column `weightless`.
        plan: The plan.

    Returns:
        The weights.

    Raises:
        ConfigError: If no criterion has a weight.
    """
    weightless = set(str(sites["weightless"].iloc[0]).split())
    weights: dict[Criterion, float] = {
        name: 0.0 if name in weightless else getattr(plan.score, name).weight for name in CRITERIA
    }
    if not sum(weights.values()):
        raise ConfigError(
            f"scoring by plan {plan.id!r}",
            f"nothing counts: the market has no layers for {' and '.join(sorted(weightless))}, and "
            "the plan weighs no other criterion",
            "give another criterion of [score] a weight above 0",
        )
    return weights


def add_scores(ranking: pd.DataFrame, plan: Plan) -> None:
    """Add the score of each criterion, the weighted scores and the share of the data known.

    Args:
        ranking: The facts from screening, with power_lo_kw and power_hi_kw; changed in place.
        plan: The plan.

    Raises:
        ConfigError: If no criterion has a weight.
    """
    weights, scores = weigh_criteria(ranking, plan), score_criteria(pd.DataFrame(ranking), plan)
    total = sum(weights.values())
    for name in CRITERIA:
        counted = weights[name] > 0
        ranking[f"score_{name}"] = scores.worst[name] if counted else np.nan
        ranking[f"score_{name}_best"] = scores.best[name] if counted else np.nan
    ranking["score"], ranking["score_best"] = (
        100 * sum(weights[name] * case[name] for name in CRITERIA) / total for case in scores
    )
    certain = {
        "grid": ranking["shortfall_lo_kw"] == ranking["shortfall_hi_kw"],
        "fuel": (ranking["fuel_n_lo"] == ranking["fuel_n_hi"]) & ranking["fuel_assumed"].isna(),
        "pad": (ranking["pad_evidence"] == "buildings")
        & ranking["yards_known"]
        & (ranking["setback_evidence"] == "zoning text"),
        "noise": (ranking["margin_worst_db"] == ranking["margin_best_db"])
        & ~ranking["own_assumed"]
        & ~ranking["ambient_assumed"],
    }
    known = sum(weights[name] * certain[name].astype(float) for name in CRITERIA)
    ranking["known_share"] = known / total
