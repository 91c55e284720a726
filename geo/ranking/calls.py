"""Judge for each load whether a site is a `yes`, a `no`, or needs checks first.

`yes`: the grid is surely short, the generators needed surely fit, keep their margins and can be
reached, no two records contradict each other, and nothing decisive is assumed. `no`: the grid
surely covers the load, or too few fit even at best. Otherwise `check first`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from geo import catalogue
from geo.criteria.grid import gap
from geo.criteria.noise.sound import rerating_db
from geo.equipment.generator import derated_power_kw
from geo.equipment.selection import plan_generator
from geo.model import Call, CallCheck, Plan, RangedAssumption, Ranges

YES: Call = "yes"
CHECK: Call = "check first"
NO: Call = "no"
CALLS: tuple[Call, ...] = (YES, CHECK, NO)
Values = Mapping[RangedAssumption, float]
ASSUMED_SETBACKS = "plan's assumption"
WATT = 1e-3
"""Powers that differ by less (kW) are equal: sums of floating-point numbers differ in their last
digits."""


@dataclass(frozen=True)
class Judgment:
    """What stands between each site and a `yes` for one load.

    Attributes:
        is_no: Whether no check could make it a `yes`. Shape (n,).
        fails: For each check, where it is needed. Shape (n,) each.
    """

    is_no: np.ndarray
    fails: dict[CallCheck, np.ndarray]

    @property
    def call(self) -> np.ndarray:
        """The call of each site."""
        fails = np.any(list(self.fails.values()), axis=0)
        return np.where(self.is_no, NO, np.where(fails, CHECK, YES)).astype(object)


def judge_load(sites: pd.DataFrame, plan: Plan, load_kw: float) -> Judgment:
    """Judge every site for a load, with each assumption anywhere in its range.

    An assumption is decisive where another value in its range needs a check that the plan's value
    does not, and where the plan gives no range.

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan, with its margins and ranges.
        load_kw: One of the plan's loads.

    Returns:
        The judgment.
    """
    base = judge_with_values(sites, plan, load_kw, {})
    fails, is_no = dict(base.fails), base.is_no.copy()
    for name, applies in list_assumptions_used(sites, plan, load_kw).items():
        decisive = np.zeros(len(sites), dtype=bool)
        given = getattr(plan.ranges, name)
        if given is None:
            decisive = applies
        else:
            for value in (given.lo, given.hi):
                other = judge_with_values(sites, plan, load_kw, {name: value})
                decisive |= applies & _is_changed(other, base)
                is_no &= other.is_no | ~applies
        fails[name] = decisive
    return Judgment(is_no, fails)


def _is_changed(other: Judgment, base: Judgment) -> np.ndarray:
    """Return where the other judgment needs a further check, or only one of the two is a `no`."""
    new = [other.fails[name] & ~base.fails[name] for name in base.fails]
    return np.asarray(np.any([*new, other.is_no != base.is_no], axis=0))


def list_assumptions_used(
    sites: pd.DataFrame, plan: Plan, load_kw: float
) -> dict[RangedAssumption, np.ndarray]:
    """Return which sites each assumption that may have a range is used at.

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan.
        load_kw: One of the plan's loads.

    Returns:
        One boolean array (n,) per assumption.
    """
    tag = catalogue.load_column_tag(load_kw)
    placed = ~np.isnan(sites[f"margin_at_{tag}"].to_numpy(dtype=float))
    return {
        "usable_share": (sites[f"route_at_{tag}"] == "main").to_numpy(),
        "rating_distance_m": placed,
        "efficiency": np.ones(len(sites), dtype=bool),
        "power_factor": (
            sites["power_factor_assumed"] | (sites["hosting_factor_assumed"] & plan.call.parallel)
        ).to_numpy(dtype=bool),
        "altitude_m": sites["elevation_m"].isna().to_numpy(),
    }


def judge_with_values(sites: pd.DataFrame, plan: Plan, load_kw: float, values: Values) -> Judgment:
    """Judge every site for a load, with other values of some assumptions.

    Where more generators are needed than with the plan's values, their noise and fuel are scaled
    by their number.

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan, with its margins.
        load_kw: One of the plan's loads.
        values: The values of the assumptions that differ from the plan's.

    Returns:
        The judgment, without the checks of assumptions that have a range.
    """
    tag = catalogue.load_column_tag(load_kw)
    needed = count_needed_with(sites, plan, load_kw, values)
    fits = sites[f"fits_at_{tag}"].to_numpy(dtype=int)
    best_n = most_at_best(sites)
    lo_kw, hi_kw = needed.headroom_kw
    second = sites[["second_lo_kw", "second_hi_kw", "second_evidence"]]
    records = second.assign(headroom_lo_kw=lo_kw, headroom_hi_kw=hi_kw)
    contradict = gap.compare_records(records, load_kw) == "contradict"
    fewest = np.where(contradict, _fewest_by_either(sites, plan, load_kw, needed), needed.fewest)
    is_no = (best_n == 0) | (~contradict & (needed.most == 0)) | (best_n < fewest)
    enough = fits >= needed.most
    margin_db = needed_margin_db(sites, plan, needed, values)
    quiet = (margin_db >= plan.call.noise_margin_db) & is_margin_known(
        sites, plan, needed.most, values
    )
    share = needed_fuel_share(sites, plan, needed, values)
    most_share = np.where(sites[f"route_at_{tag}"] == "storage", 1.0, plan.call.fuel_share_most)
    running_kw = np.maximum(needed.most - plan.spares, 0) * needed.machine_kw
    hosted = lowest_hosting_kw(sites, plan, values) + WATT >= running_kw
    hosted |= not plan.call.parallel
    access = sites[f"access_at_{tag}"].where(sites[f"access_at_{tag}"].notna(), sites["access"])
    assumed = sites[f"fuel_assumed_at_{tag}"].notna() | sites["site_assumed"].notna()
    return Judgment(
        is_no,
        {
            "contradiction": contradict,
            "grid": ~needed.is_short & ~contradict,
            "count": ~enough,
            "access": (access != "reached").to_numpy(),
            "fuel_margin": (enough | ~np.isnan(share)) & ~(share <= most_share + 1e-9),
            "noise_margin": (enough | ~np.isnan(margin_db)) & ~quiet,
            "hosting": ~hosted,
            "setbacks": (sites["setback_evidence"] == ASSUMED_SETBACKS).to_numpy(),
            "heights": (sites["unmeasured_count"] > 0).to_numpy(),
            "unmapped": (sites["unmapped"] != "").to_numpy(),
            "assumed": assumed.to_numpy(),
        },
    )


def _fewest_by_either(
    sites: pd.DataFrame, plan: Plan, load_kw: float, needed: "Needed"
) -> np.ndarray:
    """Return the fewest generators needed by whichever of two records says that the grid is short.

    It is 0 where neither does.
    """
    least, _ = gap.shortfall_range_kw(sites["second_hi_kw"], sites["second_hi_kw"], load_kw)
    by_second = gap.count_needed(least.fillna(0.0), sites["machine_kw"], plan.spares).to_numpy()
    both = np.column_stack([needed.fewest, by_second]).astype(float)
    both[both == 0] = np.inf
    lowest = both.min(axis=1)
    return np.where(np.isfinite(lowest), lowest, 0.0)


@dataclass(frozen=True)
class Needed:
    """The generators that a load needs at each site. All arrays have shape (n,).

    Attributes:
        tag: The load's tag in the names of columns.
        fewest: The least number.
        most: The greatest number.
        is_short: Whether the grid is surely short.
        machine_kw: The power of one generator.
        headroom_kw: The lowest and the highest headroom.
        times: How many times as many run as with the plan's values, at least 1.
    """

    tag: str
    fewest: np.ndarray
    most: np.ndarray
    is_short: np.ndarray
    machine_kw: np.ndarray
    headroom_kw: tuple[pd.Series, pd.Series]
    times: np.ndarray


def count_needed_with(sites: pd.DataFrame, plan: Plan, load_kw: float, values: Values) -> Needed:
    """Count the generators that a load needs, with other values of some assumptions.

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan.
        load_kw: One of the plan's loads.
        values: The values of the assumptions that differ from the plan's.

    Returns:
        The numbers, and what they follow from.
    """
    lo_kw, hi_kw = sites["headroom_lo_kw"], sites["headroom_hi_kw"]
    if "power_factor" in values:
        other = values["power_factor"] / plan.grid.power_factor
        factor = np.where(sites["power_factor_assumed"], other, 1.0)
        lo_kw, hi_kw = lo_kw * factor, hi_kw * factor
    machine_kw = sites["machine_kw"]
    if "altitude_m" in values:
        other_kw = derated_power_kw(
            plan_generator(plan), np.array([values["altitude_m"]]), plan.summer_c
        )
        machine_kw = machine_kw.where(sites["elevation_m"].notna(), other_kw[0])
    least, most = gap.shortfall_range_kw(lo_kw, hi_kw, load_kw)
    few, many = (gap.count_needed(short, machine_kw, plan.spares) for short in (least, most))
    tag = catalogue.load_column_tag(load_kw)
    before = np.maximum(sites[f"needed_hi_at_{tag}"].to_numpy(dtype=int) - plan.spares, 1)
    after = np.maximum(many.to_numpy() - plan.spares, 1)
    return Needed(
        tag=tag,
        fewest=few.to_numpy(),
        most=many.to_numpy(),
        is_short=(least > 0).to_numpy(),
        machine_kw=machine_kw.to_numpy(dtype=float),
        headroom_kw=(lo_kw, hi_kw),
        times=np.maximum(after / before, 1.0),
    )


def lowest_hosting_kw(sites: pd.DataFrame, plan: Plan, values: Values) -> np.ndarray:
    """Return the hosting capacity (kW) that the records surely allow (n,), -inf where unknown.

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan.
        values: The values of the assumptions that differ from the plan's.

    Returns:
        The capacity (n,).
    """
    lowest = sites["hosting_lo_kw"].to_numpy(dtype=float)
    if "power_factor" in values:
        other = values["power_factor"] / plan.grid.power_factor
        lowest = np.where(sites["hosting_factor_assumed"], lowest * other, lowest)
    return np.asarray(lowest)


def most_at_best(sites: pd.DataFrame) -> np.ndarray:
    """Return the most generators that any of the plan's fuels may run at each site (n,)."""
    names = [name for name in sites.columns if name.startswith("n_hi_on_")]
    return np.asarray(sites[names].max(axis=1).to_numpy(dtype=int))


def is_margin_known(
    sites: pd.DataFrame, plan: Plan, count: np.ndarray, values: Values
) -> np.ndarray:
    """Return where neighbors were searched far enough to know the margin of some generators.

    Neighbors are searched as far as `sound_reach_n` running generators could reach a limit (see
    `geo.screen.list_needs`). With fewer, whoever lives beyond stays below the limit by more.

    Args:
        sites: `sound_reach_n` of each site.
        plan: The plan, with the margin of a `yes`.
        count: The installed generators (n,).
        values: The values of the assumptions that differ from the plan's.

    Returns:
        One boolean per site.
    """
    running = np.maximum(count - plan.spares, 0)
    louder = 10 ** ((plan.call.noise_margin_db + max(louder_by_db(plan, values), 0.0)) / 10)
    return np.asarray(running * louder <= sites["sound_reach_n"].to_numpy(dtype=float) + 1e-9)


def needed_margin_db(sites: pd.DataFrame, plan: Plan, needed: Needed, values: Values) -> np.ndarray:
    """Return how far below the noise limit the generators needed stay (dB).

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan.
        needed: The generators that one of the plan's loads needs, with those values.
        values: The values of the assumptions that differ from the plan's.

    Returns:
        The margin (n,), inf where nobody hears them, NaN where they have no place.
    """
    margin = sites[f"margin_at_{needed.tag}"].to_numpy(dtype=float)
    return np.asarray(margin - 10 * np.log10(needed.times) - louder_by_db(plan, values))


def louder_by_db(plan: Plan, values: Values) -> float:
    """Return how much louder (dB) a generator is if its rating is at another distance."""
    if "rating_distance_m" not in values:
        return 0.0
    return rerating_db(plan_generator(plan), values["rating_distance_m"])


def needed_fuel_share(
    sites: pd.DataFrame, plan: Plan, needed: Needed, values: Values
) -> np.ndarray:
    """Return the share of their main, plant or tanks that the generators needed take.

    Args:
        sites: The facts from screening, one row per site.
        plan: The plan.
        needed: The generators that one of the plan's loads needs, with those values.
        values: The values of the assumptions that differ from the plan's.

    Returns:
        The share (n,), above 1 where they need more than there is, NaN where it is not known.
    """
    share = sites[f"fuel_share_at_{needed.tag}"].to_numpy(dtype=float) * needed.times
    if "efficiency" in values:
        share = share * plan_generator(plan).efficiency / values["efficiency"]
    if "usable_share" in values:
        piped = (sites[f"route_at_{needed.tag}"] == "main").to_numpy()
        share = np.where(piped, share * plan.fuel.usable_share / values["usable_share"], share)
    return np.asarray(share)


def list_ends(ranges: Ranges) -> Iterator[tuple[RangedAssumption, tuple[float, float]]]:
    """Yield each assumption whose range the plan gives, with the ends of the range."""
    for name in type(ranges).model_fields:
        given = getattr(ranges, name)
        if given is not None:
            yield name, (given.lo, given.hi)  # type: ignore[misc]
