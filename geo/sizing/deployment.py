"""Combine ground, neighbors and fuel: how many generators fit, and what stops the next one."""

import numpy as np
import pandas as pd

from geo.model import LIMITING, Plan
from geo.sizing.siting import Siting, add_spares


def deploy_fuel(siting: Siting, supply: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Find how many generators fit at each site on one fuel, and what stops the next one.

    The binding criterion is the one that, if it alone is waived, gives the largest n (ties: pad,
    noise, fuel). If waiving one does not help, the criteria that together stop one more generator
    are named. An unknown criterion counts as failing, as it does in `n_lo`. The ground limits only
    where it has no room for one more: where it has, but nowhere quiet enough, noise does.

    For example, the ground has room for 12, the neighbors allow 6, the fuel runs 10 and the cap is
    25: 6 fit, limited by noise and then by fuel.

    Args:
        siting: What ground and neighbors allow.
        supply: What the fuel can run: `fuel_n_lo` and `fuel_n_hi`, running generators per site.
        plan: The plan, for its cap and spares.

    Returns:
        Columns n_lo, n_hi, binding (`pad`, `noise`, `fuel`, `several`, `cap`), binding_set (the
        criteria that it names) and runner_up, one row per site.
    """
    fuel_lo = add_spares(supply["fuel_n_lo"].to_numpy(), plan)
    fuel_hi = add_spares(supply["fuel_n_hi"].to_numpy(), plan)
    n_lo = np.minimum(siting.place_lo, fuel_lo)
    n_hi = np.minimum(siting.place_hi, fuel_hi)
    waived = np.column_stack(
        (
            np.minimum(siting.noise_n, fuel_lo),
            np.minimum(siting.pad_lo, fuel_lo),
            siting.place_lo,
        )
    )
    alone = np.column_stack((siting.pad_lo, siting.noise_n, fuel_lo))
    stops = alone <= n_lo[:, None]
    # Where the ground has room for n + 1, but nowhere quiet enough, the neighbors stop it.
    has_room = siting.pad_lo > n_lo
    waived[has_room, 0] = n_lo[has_room]
    stops[:, 1] |= (siting.place_lo <= n_lo) & has_room
    gain = waived.max(axis=1) > n_lo
    lead = waived.argmax(axis=1)
    at_cap = n_lo >= plan.cap
    single = np.array(LIMITING, dtype=object)[lead]
    binding = np.select([at_cap, gain], ["cap", single], "several")
    sets = [
        " and ".join(name for name, stop in zip(LIMITING, row, strict=True) if stop)
        for row in stops
    ]
    named = np.where(binding == "several", sets, binding)
    return pd.DataFrame(
        {
            "n_lo": n_lo,
            "n_hi": np.maximum(n_lo, n_hi),
            "binding": binding,
            "binding_set": named,
            "runner_up": _name_runner_up(waived, lead, alone, binding, plan.cap),
        },
        index=supply.index,
    )


def _name_runner_up(
    waived: np.ndarray, lead: np.ndarray, alone: np.ndarray, binding: np.ndarray, cap: int
) -> np.ndarray:
    """Return what stops the next generator once the binding criterion is waived."""
    reached = waived[np.arange(len(lead)), lead]
    others = np.where(np.arange(3) == lead[:, None], cap + 1, alone)
    second = np.array(LIMITING, dtype=object)[others.argmin(axis=1)]
    answer: np.ndarray = np.where(reached >= cap, "cap", second).astype(object)
    answer[~np.isin(binding, LIMITING)] = None
    return answer
