"""What the grid leaves short of a load, and what is left where parcels share what serves them."""

import numpy as np
import pandas as pd

# Answers nearer to each other than this share of the target agree.
AGREEMENT_SHARE = 0.1


def shortfall_range_kw(
    lo_kw: pd.Series, hi_kw: pd.Series, load_kw: float
) -> tuple[pd.Series, pd.Series]:
    """Return the least and the most that is missing of a load, from the span of the headroom.

    Shortfall is clip(load - max(headroom, 0), 0, load): a negative headroom leaves the whole load
    short and no more. -inf to inf (nothing known) leaves 0 to the load.

    Worked: at the most 950 kW of headroom (-inf to 950): of 1000 kW, 50 to 1000 are missing.
    """
    least = (load_kw - hi_kw.clip(lower=0.0)).clip(0.0, load_kw)
    most = (load_kw - lo_kw.clip(lower=0.0)).clip(0.0, load_kw)
    return least, most


def classify_gap(least_kw: pd.Series, most_kw: pd.Series) -> np.ndarray:
    """Return `short`, `covered` or, where the span reaches both, `unknown`."""
    return np.select([least_kw > 0, most_kw == 0], ["short", "covered"], "unknown")


def compare_records(facts: pd.DataFrame, target_kw: float) -> np.ndarray:
    """Say whether the best and the second-best answer agree, by their spans of headroom.

    `contradict`: by one the target is covered, by the other it is short. `differ`: they lie more
    than DIFFER of the target apart, which decides nothing for it. `cannot be compared`: one of
    them bounds nothing. Reads headroom_lo_kw, headroom_hi_kw, second_lo_kw, second_hi_kw and
    second_evidence.

    Worked: 5000 kW by the feeder, at most 3000 by its substation: they differ; of a target of
    1000 kW nothing is short by the feeder, and maybe nothing by the other.
    """
    ends = [facts[name] for name in
            ("headroom_lo_kw", "headroom_hi_kw", "second_lo_kw", "second_hi_kw")]  # fmt: skip
    lo, hi, second_lo, second_hi = ends
    one = classify_gap(*shortfall_range_kw(lo, hi, target_kw))
    other = classify_gap(*shortfall_range_kw(second_lo, second_hi, target_kw))
    told = (one != "unknown") & (other != "unknown")
    apart = np.maximum(second_lo - hi, lo - second_hi)
    open_ended = (np.isneginf(lo) & np.isposinf(hi)) | (
        np.isneginf(second_lo) & np.isposinf(second_hi)
    )
    return np.select(
        [facts["second_evidence"].isna(), open_ended, told & (one != other),
         apart > AGREEMENT_SHARE * target_kw],
        ["no second answer", "cannot be compared", "contradict", "differ"],
        "agree",
    )  # fmt: skip


def count_needed(shortfall_kw: pd.Series, power_kw: pd.Series | float, spares: int) -> pd.Series:
    """Return the generators that close a shortfall: ceil(shortfall / derated power) + spares.

    Worked: 850 kW short, 200 kW each, one spare: 5 + 1 = 6. Nothing short needs none.
    """
    each = (shortfall_kw / power_kw).round(9)
    count = each.apply(np.ceil) + spares
    answer: pd.Series = count.where(shortfall_kw > 0, 0).astype(int)
    return answer


def power_served_kw(
    load_kw: float, most_short_kw: pd.Series, running: pd.Series, power_kw: pd.Series
) -> pd.Series:
    """Return the power served (kW): min(load, what the grid surely gives + the generators').

    Worked: of 1000 kW the grid surely gives 300; 3 running at 197.5 kW: 892.5 kW.
    """
    answer: pd.Series = (load_kw - most_short_kw + running * power_kw).clip(upper=load_kw)
    return answer


def classify_gap_cover(
    least: pd.Series, most: pd.Series, n_lo: pd.Series, n_hi: pd.Series, most_short_kw: pd.Series
) -> np.ndarray:
    """Say whether a site's generators cover the gap: `no gap`, `yes`, `no` or `not known`.

    `least` and `most` are the generators that are needed, `n_lo` and `n_hi` those it carries.
    """
    return np.select(
        [most_short_kw == 0, n_lo >= most, n_hi < least], ["no gap", "yes", "no"], "not known"
    )


def headroom_left_kw(facts: pd.DataFrame, target_kw: float) -> pd.Series:
    """Return the headroom that is left for each site once the better-ranked ones took theirs.

    Sites stand best first. They share a substation (`station_pool`, None where not known) and the
    record that serves them (`record_pool`), of which so much is left (`..._kw`); a site takes no
    more than the target and no more than its own headroom. NaN where neither is known.

    Worked: 1500 kW shared by three sites with a target of 1000 kW: the first sees 1500, the second
    500, the third nothing.
    """
    own = facts["load_headroom_kw"]
    takes = own.clip(0.0, target_kw).fillna(0.0)
    left = own
    for name in ("station_pool", "record_pool"):
        before = takes.groupby(facts[name], sort=False).cumsum() - takes
        # Where it is not shared with anybody known, nothing is taken from it.
        left = left.clip(upper=(facts[f"{name}_kw"] - before).fillna(np.inf))
    shared = facts["station_pool"].notna() | facts["record_pool"].notna()
    answer: pd.Series = left.clip(lower=0.0).where(shared & own.notna())
    return answer
