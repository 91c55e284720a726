"""Combine the records that may serve a site into one answer.

An answer has a row per site and the columns of EMPTY_ANSWER, and keeps the empty values where the
records give no information about a site.
"""

import numpy as np
import pandas as pd

from geo.model import Plan

# What several records of a site must have in common to be printed.
SAME_FOR_ALL = ("basis", "power_factor", "source", "utility", "substation_id")
# The columns of an answer, and their values where nothing is known.
EMPTY_ANSWER = {
    "stated_kw": np.nan,
    "lo_kw": -np.inf,
    "hi_kw": np.inf,
    "basis": None,
    "power_factor": np.nan,
    "record": None,
    "source": None,
    "utility": None,
    "substation_id": None,
    "as_of": None,
    "distance_m": np.nan,
    "share": np.nan,
    "records": np.nan,
    "rows": np.nan,
    "silent": 0.0,
    "borrowed": 0.0,
    "old": 0.0,
    "factor_assumed": 0.0,
    "min_kw": np.nan,
    "median_kw": np.nan,
    "max_kw": np.nan,
}


def combine_records(
    count: int, pairs: pd.DataFrame, rows: pd.DataFrame, plan: Plan
) -> pd.DataFrame:
    """Return the answer of the records that may serve each site.

    The rows of one record are combined with the plan's statistic. If one of them has no value, or
    is too old, it may be the site's own, so the range is open. Of several records, the lowest and
    the highest value are the range, and it is open if one of them is.

    Args:
        count: How many sites there are.
        pairs: One row per site and row of a record: site, row, key, distance_m and, for areas,
            share.
        rows: The records' rows; `borrowed` is 1 where the value is the substation's.
        plan: The plan, for the statistic.

    Returns:
        An answer for each site.
    """
    pairs = pairs.sort_values(["site", "distance_m", "row"], kind="stable")
    taken = rows.iloc[pairs["row"]].reset_index(drop=True)
    site, key = pairs["site"].to_numpy(), pairs["key"].to_numpy()
    first = np.unique(site, return_index=True)[1]
    answer = describe_record(
        count, site[first], taken.iloc[first], pairs["distance_m"].to_numpy()[first]
    )
    answered = site[first]
    if not len(answered):
        return answer
    fold, values = plan.grid.fold, taken["stated_kw"]
    by_record = taken.groupby([site, key])
    folded = by_record[["stated_kw", "lo_kw", "hi_kw"]].agg(fold)
    is_open = (by_record["stated_kw"].count() < by_record.size()) | (by_record["old"].max() == 1)
    folded.loc[is_open, ["lo_kw", "hi_kw"]] = [-np.inf, np.inf]
    of_site = folded.groupby(level=0)
    by_site, known = values.groupby(site), values.groupby(site).count().astype(float)
    written = {
        "rows": known,
        "silent": by_site.size() - known,
        "stated_kw": of_site["stated_kw"].agg(fold),
        "lo_kw": of_site["lo_kw"].min(),
        "hi_kw": of_site["hi_kw"].max(),
        "records": of_site.size().astype(float),
        **{name: taken[name].groupby(site).max() for name in ("borrowed", "old", "factor_assumed")},
        "record": _join_names(taken["record"], site),
        **{f"{name}_kw": by_site.agg(name) for name in ("min", "median", "max")},
        **{name: _pick_common(taken[name], site) for name in SAME_FOR_ALL},
        "as_of": _pick_oldest(taken["as_of"], site),
    }
    if "share" in pairs:
        written["share"] = pairs.groupby("site")["share"].max()
    for name, of_sites in written.items():
        column = answer[name].to_numpy(copy=True)
        column[answered] = of_sites.to_numpy(dtype=column.dtype)
        answer[name] = column
    return answer


def _join_names(names: pd.Series, site: np.ndarray) -> pd.Series:
    """Return the different names of each site's records in order, as one text."""
    named = names.astype(object).where(names.notna(), "unnamed")
    of_site = pd.DataFrame({"site": site, "name": named.astype(str)}).drop_duplicates()
    return of_site.sort_values(["site", "name"]).groupby("site")["name"].agg(" or ".join)


def _pick_common(values: pd.Series, site: np.ndarray) -> pd.Series:
    """Return the value that all rows of a site share, None where they differ."""
    code, different = pd.factorize(values, sort=True)
    lowest, highest = (getattr(pd.Series(code).groupby(site), end)() for end in ("min", "max"))
    common = np.array([*different, None], dtype=object)[lowest]
    return pd.Series(np.where(lowest == highest, common, None), index=lowest.index)


def _pick_oldest(dates: pd.Series, site: np.ndarray) -> pd.Series:
    """Return the oldest ISO date of each site's rows, None where one of them has no date."""
    code, different = pd.factorize(dates, sort=True)
    lowest = pd.Series(code).groupby(site).min()
    return pd.Series(np.array([*different, None], dtype=object)[lowest], index=lowest.index)


def describe_record(
    count: int, site: np.ndarray, rows: pd.DataFrame, distance_m: np.ndarray
) -> pd.DataFrame:
    """Return the answer of one row of a record at some sites.

    Args:
        count: How many sites there are.
        site: The sites that have an answer, by position.
        rows: The record's row for each of them.
        distance_m: Its distance from each of them.

    Returns:
        An answer for each site.
    """
    values = rows.assign(
        distance_m=distance_m, share=np.nan, records=1.0, rows=1.0, silent=0.0,
        min_kw=rows["stated_kw"], median_kw=rows["stated_kw"], max_kw=rows["stated_kw"],
    )  # fmt: skip
    columns = {}
    for name, default in EMPTY_ANSWER.items():
        dtype = object if default is None else float
        columns[name] = np.full(count, default, dtype=dtype)
        columns[name][site] = values[name].to_numpy(dtype=dtype)
    return pd.DataFrame(columns)
