"""How much more clearance a block could have, or how much less the next one would need."""

import numpy as np

from geo.criteria.pad.ground import BuildableGround, shrink_ground, take_sites
from geo.criteria.pad.room import check_fit
from geo.sizing.siting import Siting, SizingContext

MAX_SLACK_M = 6.4
SLACK_STEPS = 6  # halvings of MAX_SLACK_M, down to 0.1 m


def measure_slack_m(siting: Siting, count: np.ndarray) -> np.ndarray:
    """Return the extra clearance (m) that the placed block could have."""
    positions = np.flatnonzero((count > 0) & (count <= siting.pad_n))
    slack = np.full(len(count), np.nan)
    part = take_sites(siting.context.ground, positions)
    low, high = np.zeros(len(positions)), np.minimum(part.radius_m, MAX_SLACK_M)
    for _ in range(SLACK_STEPS):
        middle = (low + high) / 2
        passed = _check_fit_with_margin(
            shrink_ground(part, middle), count[positions], siting.context
        )
        low, high = np.where(passed, middle, low), np.where(passed, high, middle)
    slack[positions] = low
    return slack


def measure_shortage_m(siting: Siting, after: np.ndarray, short: np.ndarray) -> np.ndarray:
    """Return how far (m) clearances would have to shrink for one more; NaN beyond 6.4 m.

    Args:
        siting: What ground and neighbors allow.
        after: One more than the number that fits at each site (n,).
        short: Where the ground has no room for that (n,).

    Returns:
        The distance (n,), NaN where it is not asked for.
    """
    positions = np.flatnonzero(short)
    part = take_sites(siting.context.ground, positions)
    answer = np.full(len(after), np.nan)
    low, high = np.zeros(len(positions)), np.full(len(positions), MAX_SLACK_M)
    ever = np.zeros(len(positions), dtype=bool)
    for step in range(SLACK_STEPS + 1):
        middle = high if step == 0 else (low + high) / 2
        passed = _check_fit_with_margin(
            shrink_ground(part, -middle), after[positions], siting.context
        )
        if step == 0:
            ever = passed
            continue
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    answer[positions[ever]] = high[ever]
    return answer


def _check_fit_with_margin(
    ground: BuildableGround, count: np.ndarray, context: SizingContext
) -> np.ndarray:
    return check_fit(ground, count, context.generator, context.plan)
