"""Give the answer of each kind of capacity record for each parcel.

An answer has a row per site and the columns of EMPTY_ANSWER, and keeps the empty values where the
records give no information about a site.
"""

import numpy as np
import pandas as pd
import shapely

from geo.criteria.grid.records import CapacityRecords, index_substations
from geo.model import Plan
from geo.shapes.near import find_pairs_within, is_covered

LINE_GRAINS, CELL_GRAINS = ("feeder", "segment"), ("cell",)
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
    "rows": np.nan,
    "silent": 0.0,
    "min_kw": np.nan,
    "median_kw": np.nan,
    "max_kw": np.nan,
}


def answer_by_area(
    shapes: np.ndarray, records: CapacityRecords, substations: CapacityRecords
) -> pd.DataFrame:
    """Answer from the smallest service area that contains a point of each site.

    An area without a value of its own has the value of the substation that it names.

    Args:
        shapes: The sites' geometries, in the market's metric CRS.
        records: The market's load records.
        substations: The market's distribution substations.

    Returns:
        An answer for each site.
    """
    is_area = (records.rows["grain"] == "area").to_numpy(dtype=bool)
    rows, areas = records.rows[is_area].reset_index(drop=True), records.shapes[is_area]
    by_id = index_substations(substations)
    silent = rows["stated_kw"].isna()
    for name in ("stated_kw", "hi_kw", "basis", "power_factor", "as_of"):
        of_substation = rows.loc[silent, "substation_id"].map(by_id[name])
        rows.loc[silent, name] = of_substation.astype(rows[name].dtype)
    # A parcel may get less than the whole headroom of its substation.
    rows.loc[silent, "lo_kw"] = -np.inf
    site, row = find_pairs_within(shapely.point_on_surface(shapes), areas, 0.0)
    known = rows["stated_kw"].notna().to_numpy()[row]
    site, row = site[known], row[known]
    order = np.lexsort((row, shapely.area(areas)[row], site))
    first = order[np.unique(site[order], return_index=True)[1]]
    return _make_answer(len(shapes), site[first], rows.iloc[row[first]], np.zeros(len(first)))


def answer_by_line(
    shapes: np.ndarray,
    records: CapacityRecords,
    grains: tuple[str, ...],
    plan: Plan,
    *,
    dimensions: int = 1,
) -> pd.DataFrame:
    """Answer from the nearest line or cell within reach, and combine its rows within reach.

    The nearest record is used whether or not it has a value: another feeder's value never replaces
    the missing value of the nearest feeder.

    Args:
        shapes: The sites' geometries, in the market's metric CRS.
        records: The market's records of one kind.
        grains: The grains of records that may answer, such as LINE_GRAINS.
        plan: The plan, for its reach and the statistic that combines rows.
        dimensions: The fewest dimensions that a record's shape may have. A point (0) does not show
            where a feeder runs.

    Returns:
        An answer for each site.
    """
    is_drawn = shapely.get_dimensions(records.shapes) >= dimensions
    wanted = records.rows["grain"].isin(grains).to_numpy(dtype=bool) & is_drawn
    rows, lines = records.rows[wanted].reset_index(drop=True), records.shapes[wanted]
    site, row = find_pairs_within(shapes, lines, plan.grid.feeder_reach_m)
    distance_m = np.round(shapely.distance(shapes[site], lines[row]), 3)
    order = np.lexsort((row, distance_m, site))
    first = order[np.unique(site[order], return_index=True)[1]]
    # Combine only the rows of the nearest feeder within reach.
    key = rows["key"].to_numpy(dtype=int)
    nearest_key = np.full(len(shapes), -1)
    nearest_key[site[first]] = key[row[first]]
    same = key[row] == nearest_key[site]
    answer = _make_answer(len(shapes), site[first], rows.iloc[row[first]], distance_m[first])
    return _combine_rows(answer, site[same], rows.iloc[row[same]], plan)


def answer_by_feeders(
    nearest: pd.DataFrame, substations: CapacityRecords, records: CapacityRecords, plan: Plan
) -> pd.DataFrame:
    """Answer from the feeders of the nearest substation whose routes are not published.

    The parcel is on one of these feeders, but it is not known on which: their lowest and highest
    values are the range.

    Args:
        nearest: For each site the position of its nearest substation (`other`, -1 for none) and
            `distance_m`.
        substations: The market's distribution substations.
        records: The market's load records.
        plan: The plan, for the statistic that combines rows.

    Returns:
        An answer for each site.
    """
    is_point_feeder = (shapely.get_dimensions(records.shapes) == 0) & records.rows["grain"].isin(
        LINE_GRAINS
    ).to_numpy(dtype=bool)
    rows = records.rows[is_point_feeder].reset_index(drop=True)
    position, ids = nearest["other"].to_numpy(), substations.rows["substation_id"]
    site = np.flatnonzero(position >= 0)
    substations_in_reach = pd.DataFrame(
        {"site": site, "substation_id": ids.to_numpy()[position[site]]}
    )
    substations_in_reach = substations_in_reach[
        substations_in_reach["substation_id"].isin(index_substations(substations).index)
    ]
    pairs = substations_in_reach.merge(
        rows[["substation_id"]].dropna().reset_index(names="row"), on="substation_id", how="inner"
    ).sort_values(["site", "row"], kind="stable")
    site, row = pairs["site"].to_numpy(dtype=int), pairs["row"].to_numpy(dtype=int)
    first = np.unique(site, return_index=True)[1]
    distance_m = nearest["distance_m"].to_numpy()[site[first]]
    answer = _make_answer(len(nearest), site[first], rows.iloc[row[first]], distance_m)
    answer = _combine_rows(answer, site, rows.iloc[row], plan)
    answered = np.unique(site)
    by_site = rows.iloc[row].groupby(site)
    answer.loc[answered, "lo_kw"] = by_site["lo_kw"].min()
    answer.loc[answered, "hi_kw"] = by_site["hi_kw"].max()
    answer.loc[answered, "record"] = "feeders of " + answer.loc[answered, "substation_id"].astype(
        str
    )
    return answer


def answer_by_substation(nearest: pd.DataFrame, substations: CapacityRecords) -> pd.DataFrame:
    """Answer from the nearest substation, which bounds a parcel's headroom from above.

    `nearest` is as for `answer_by_feeders`.
    """
    site = np.flatnonzero(nearest["other"] >= 0)
    rows = substations.rows.iloc[nearest["other"].to_numpy()[site]]
    rows = rows.assign(lo_kw=-np.inf)
    return _make_answer(len(nearest), site, rows, nearest["distance_m"].to_numpy()[site])


def drop_uncertain_nearest(
    nearest: pd.DataFrame, shapes: np.ndarray, coverage: shapely.Geometry | None
) -> pd.DataFrame:
    """Drop each nearest substation where a nearer one may lie beyond the layer's coverage.

    Args:
        nearest: As for `answer_by_feeders`.
        shapes: The sites' geometries, in the market's metric CRS.
        coverage: Where the substations layer is complete, None where that is not known.

    Returns:
        `nearest` with `other` -1 at those sites.
    """
    site = np.flatnonzero(nearest["other"] >= 0)
    covered = is_covered(shapes[site], coverage, nearest["distance_m"].to_numpy()[site])
    certain = nearest.copy()
    certain.loc[site[~covered], "other"] = -1
    return certain


def _make_answer(
    count: int, site: np.ndarray, rows: pd.DataFrame, distance_m: np.ndarray
) -> pd.DataFrame:
    values = rows.assign(
        distance_m=distance_m, rows=1.0, silent=0.0, min_kw=rows["stated_kw"],
        median_kw=rows["stated_kw"], max_kw=rows["stated_kw"],
    )  # fmt: skip
    columns = {}
    for name, default in EMPTY_ANSWER.items():
        dtype = object if default is None else float
        columns[name] = np.full(count, default, dtype=dtype)
        columns[name][site] = values[name].to_numpy(dtype=dtype)
    return pd.DataFrame(columns)


def _combine_rows(
    answer: pd.DataFrame, site: np.ndarray, rows: pd.DataFrame, plan: Plan
) -> pd.DataFrame:
    """Combine the rows of one feeder at each site with the plan's statistic.

    If one of the rows has no value, it may be the parcel's own, so the range is open.
    """
    by_site = rows.groupby(site)
    answered = np.unique(site)
    known = by_site["stated_kw"].count().astype(float)
    answer.loc[answered, "rows"] = known
    answer.loc[answered, "silent"] = by_site.size() - known
    for name in ("min", "median", "max"):
        answer.loc[answered, f"{name}_kw"] = by_site["stated_kw"].agg(name)
    for name in ("stated_kw", "lo_kw", "hi_kw"):
        answer.loc[answered, name] = by_site[name].agg(plan.grid.fold)
    answer.loc[answer["silent"] > 0, ["lo_kw", "hi_kw"]] = [-np.inf, np.inf]
    return answer
