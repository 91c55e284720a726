"""Compute the shortfall of a load, and the headroom that remains where parcels share a supply."""

from typing import cast

import numpy as np
import pandas as pd

from geo.model import GapClass, GapCover, HeadroomCheck

# Two answers agree if they differ by no more than this share of the target load.
AGREEMENT_SHARE = 0.1


def shortfall_range_kw(
    lo_kw: pd.Series, hi_kw: pd.Series, load_kw: float | pd.Series
) -> tuple[pd.Series, pd.Series]:
    """Return the lowest and the highest shortfall of a load, from the range of the headroom.

    Shortfall = clip(load - max(headroom, 0), 0, load). Negative headroom therefore leaves exactly
    the whole load short. A headroom from -inf to inf (nothing known) leaves a shortfall from 0 to
    the load.

    At most 950 kW of headroom leaves 50 to 1000 kW of a load of 1000 kW short:

    >>> least, most = shortfall_range_kw(pd.Series([-np.inf]), pd.Series([950.0]), 1000.0)
    >>> least.item(), most.item()
    (50.0, 1000.0)

    Args:
        lo_kw: Lowest headroom of each site, -inf where it is not bounded.
        hi_kw: Highest headroom of each site, inf where it is not bounded.
        load_kw: The load that the sites need, one for all or one for each.

    Returns:
        The lowest and the highest shortfall (kW), each between 0 and the load.
    """
    # NumPy's functions take a tenth of the time of the same methods of a series.
    least, most = (
        np.minimum(np.maximum(load_kw - np.maximum(end_kw, 0.0), 0.0), load_kw)
        for end_kw in (hi_kw, lo_kw)
    )
    return cast("pd.Series", least), cast("pd.Series", most)


def classify_gap(least_kw: pd.Series, most_kw: pd.Series) -> np.ndarray:
    """Classify each shortfall range as `short`, `covered` or, where both are possible, `unknown`.

    >>> classify_gap(pd.Series([50.0, 0.0, 0.0]), pd.Series([1000.0, 0.0, 1000.0])).tolist()
    ['short', 'covered', 'unknown']
    """
    classes: list[GapClass] = ["short", "covered"]
    unclear: GapClass = "unknown"
    return np.select([least_kw > 0, most_kw == 0], classes, unclear)


def compare_records(facts: pd.DataFrame, target_kw: float | pd.Series) -> np.ndarray:
    """Compare the best and the second-best record of each site by their ranges of headroom.

    `contradict`: according to one record the target is covered, according to the other it is
    short. `differ`: the ranges are further apart than AGREEMENT_SHARE of the target, but this does
    not decide whether the target is covered. `cannot be compared`: one of the ranges is open on
    both sides.

    The feeder has 5000 kW and its substation at most 3000 kW. For a target of 1000 kW, there is no
    shortfall according to the feeder, and possibly none according to the substation, so the records
    only differ:

    >>> facts = {"headroom_lo_kw": [5000.0], "headroom_hi_kw": [5000.0]}
    >>> facts |= {"second_lo_kw": [-np.inf], "second_hi_kw": [3000.0], "second_evidence": ["bank"]}
    >>> compare_records(pd.DataFrame(facts), 1000.0).tolist()
    ['differ']

    Args:
        facts: Columns headroom_lo_kw, headroom_hi_kw, second_lo_kw, second_hi_kw and
            second_evidence, one row per site.
        target_kw: The load that the headroom is compared for, one for all sites or one for each.

    Returns:
        One `HeadroomCheck` per site.
    """
    lo, hi = facts["headroom_lo_kw"], facts["headroom_hi_kw"]
    second_lo, second_hi = facts["second_lo_kw"], facts["second_hi_kw"]
    best_class = classify_gap(*shortfall_range_kw(lo, hi, target_kw))
    second_class = classify_gap(*shortfall_range_kw(second_lo, second_hi, target_kw))
    both_decided = (best_class != "unknown") & (second_class != "unknown")
    distance_kw = np.maximum(second_lo - hi, lo - second_hi)
    unbounded = (np.isneginf(lo) & np.isposinf(hi)) | (
        np.isneginf(second_lo) & np.isposinf(second_hi)
    )
    results: list[HeadroomCheck] = ["no second answer", "cannot be compared", "contradict",
                                    "differ"]  # fmt: skip
    otherwise: HeadroomCheck = "agree"
    return np.select(
        [
            facts["second_evidence"].isna(),
            unbounded,
            both_decided & (best_class != second_class),
            distance_kw > AGREEMENT_SHARE * target_kw,
        ],
        results,
        otherwise,
    )


def count_needed(shortfall_kw: pd.Series, power_kw: pd.Series | float, spares: int) -> pd.Series:
    """Count the generators that close a shortfall: ceil(shortfall / derated power) + spares.

    Where nothing is short, no generator is needed. A shortfall of 850 kW with generators of 200 kW
    and one spare needs 5 + 1:

    >>> count_needed(pd.Series([850.0, 0.0]), 200.0, spares=1).tolist()
    [6, 0]

    Args:
        shortfall_kw: Shortfall of each site.
        power_kw: Derated power of one generator, at each site or at all of them.
        spares: Installed generators that do not run.

    Returns:
        The number of installed generators that each site needs.
    """
    count = cast("pd.Series", np.ceil((shortfall_kw / power_kw).round(9))) + spares
    needed: pd.Series = (count * (shortfall_kw > 0)).astype(int)
    return needed


def power_served_kw(
    load_kw: float, most_short_kw: pd.Series, running: pd.Series, power_kw: pd.Series
) -> pd.Series:
    """Return the power served (kW): what the grid certainly supplies plus the generators.

    Of a load of 1000 kW the grid certainly supplies 300; 3 running generators add 592.5:

    >>> power_served_kw(1000.0, pd.Series([700.0]), pd.Series([3]), pd.Series([197.5])).item()
    892.5

    Args:
        load_kw: The load that each site needs.
        most_short_kw: Highest shortfall of each site.
        running: Running generators at each site.
        power_kw: Derated power of one generator at each site.

    Returns:
        The power served at each site, at most the load.
    """
    served: pd.Series = (load_kw - most_short_kw + running * power_kw).clip(upper=load_kw)
    return served


def classify_gap_cover(
    needed_lo: pd.Series,
    needed_hi: pd.Series,
    n_lo: pd.Series,
    n_hi: pd.Series,
    most_short_kw: pd.Series,
) -> np.ndarray:
    """Classify whether a site's generators close its shortfall.

    Args:
        needed_lo: Lowest number of generators needed at each site.
        needed_hi: Highest number of generators needed at each site.
        n_lo: Lowest number of generators that fit at each site.
        n_hi: Highest number of generators that fit at each site.
        most_short_kw: Highest shortfall of each site.

    Returns:
        One `GapCover` per site: `no gap`, `yes`, `no` or `not known`.
    """
    covers: list[GapCover] = ["no gap", "yes", "no"]
    otherwise: GapCover = "not known"
    return np.select([most_short_kw == 0, n_lo >= needed_hi, n_hi < needed_lo], covers, otherwise)


def headroom_left_kw(facts: pd.DataFrame, target_kw: float) -> pd.Series:
    """Return the headroom that is left for each site after higher-ranked sites take their share.

    Sites share a substation (`station_pool`, None where not known) and the record that serves
    them (`record_pool`), each with a headroom (`station_pool_kw`, `record_pool_kw`). A site takes
    no more than the target and no more than its own headroom.

    Three sites with a target of 1000 kW share a feeder of 1500 kW. The first has 1500 kW, the
    second 500 kW, the third nothing:

    >>> facts = {"load_headroom_kw": 1500.0, "record_pool": "F1", "record_pool_kw": 1500.0}
    >>> facts |= {"station_pool": None, "station_pool_kw": np.nan}
    >>> headroom_left_kw(pd.DataFrame(facts, index=range(3)), 1000.0).tolist()
    [1500.0, 500.0, 0.0]

    Args:
        facts: The grid facts, one row per site, best-ranked site first.
        target_kw: The load that each site takes.

    Returns:
        The headroom left at each site (kW), NaN where its headroom or its pool is not known.
    """
    own = facts["load_headroom_kw"]
    takes = own.clip(0.0, target_kw).fillna(0.0)
    left = own
    for name in ("station_pool", "record_pool"):
        taken_before = takes.groupby(facts[name], sort=False).cumsum() - takes
        # A site without a known pool shares it with no other site, so nothing is taken from it.
        left = left.clip(upper=(facts[f"{name}_kw"] - taken_before).fillna(np.inf))
    shared = facts["station_pool"].notna() | facts["record_pool"].notna()
    answer: pd.Series = left.clip(lower=0.0).where(shared & own.notna())
    return answer
