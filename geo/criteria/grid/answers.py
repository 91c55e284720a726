"""What each kind of capacity record answers: a row a site, unknown where it has nothing to say."""

import numpy as np
import pandas as pd
import shapely

from geo.criteria.grid.records import CapacityRecords, index_substations
from geo.model import Plan
from geo.shapes.near import find_pairs_within, is_covered

LINE_GRAINS, CELL_GRAINS = ("feeder", "segment"), ("cell",)
# What every answer says of the record that gives it.
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
    shapes: np.ndarray, records: CapacityRecords, stations: CapacityRecords
) -> pd.DataFrame:
    """Answer by the smallest service area round each site; one that names a substation has its."""
    area = (records.rows["grain"] == "area").to_numpy(dtype=bool)
    rows, round_them = records.rows[area].reset_index(drop=True), records.shapes[area]
    told = index_substations(stations)
    silent = rows["stated_kw"].isna()
    for name in ("stated_kw", "hi_kw", "basis", "power_factor", "as_of"):
        by_station = rows.loc[silent, "substation_id"].map(told[name])
        rows.loc[silent, name] = by_station.astype(rows[name].dtype)
    # Its substation's headroom is more than a parcel may get.
    rows.loc[silent, "lo_kw"] = -np.inf
    site, at = find_pairs_within(shapely.point_on_surface(shapes), round_them, 0.0)
    known = rows["stated_kw"].notna().to_numpy()[at]
    site, at = site[known], at[known]
    order = np.lexsort((at, shapely.area(round_them)[at], site))
    first = order[np.unique(site[order], return_index=True)[1]]
    return _make_answer(len(shapes), site[first], rows.iloc[at[first]], np.zeros(len(first)))


def answer_by_line(
    shapes: np.ndarray,
    records: CapacityRecords,
    grains: tuple[str, ...],
    plan: Plan,
    *,
    dimensions: int = 1,
) -> pd.DataFrame:
    """Answer by the nearest line or cell within reach, its rows in reach folded into one.

    The nearest is asked whether or not it says anything: another's value is not its. Shapes of
    fewer dimensions do not say where they run.
    """
    drawn = shapely.get_dimensions(records.shapes) >= dimensions
    some = records.rows["grain"].isin(grains).to_numpy(dtype=bool) & drawn
    rows, lines = records.rows[some].reset_index(drop=True), records.shapes[some]
    site, at = find_pairs_within(shapes, lines, plan.grid.feeder_reach_m)
    away = np.round(shapely.distance(shapes[site], lines[at]), 3)
    order = np.lexsort((at, away, site))
    first = order[np.unique(site[order], return_index=True)[1]]
    # The rows of that feeder within reach, and no other's.
    key = rows["key"].to_numpy(dtype=int)
    wanted = np.full(len(shapes), -1)
    wanted[site[first]] = key[at[first]]
    same = key[at] == wanted[site]
    found = _make_answer(len(shapes), site[first], rows.iloc[at[first]], away[first])
    return _combine_rows(found, site[same], rows.iloc[at[same]], plan)


def answer_by_feeders(
    near: pd.DataFrame, stations: CapacityRecords, records: CapacityRecords, plan: Plan
) -> pd.DataFrame:
    """Answer by the feeders of the nearest substation, where only that is known of them.

    The parcel is on one of them, nobody says which: their least and greatest are the span.
    """
    point = (shapely.get_dimensions(records.shapes) == 0) & records.rows["grain"].isin(
        LINE_GRAINS
    ).to_numpy(dtype=bool)
    rows = records.rows[point].reset_index(drop=True)
    at, ids = near["other"].to_numpy(), stations.rows["substation_id"]
    site = np.flatnonzero(at >= 0)
    asked = pd.DataFrame({"site": site, "substation_id": ids.to_numpy()[at[site]]})
    asked = asked[asked["substation_id"].isin(index_substations(stations).index)]
    pairs = asked.merge(
        rows[["substation_id"]].dropna().reset_index(names="at"), on="substation_id", how="inner"
    ).sort_values(["site", "at"], kind="stable")
    site, of = pairs["site"].to_numpy(dtype=int), pairs["at"].to_numpy(dtype=int)
    first = np.unique(site, return_index=True)[1]
    found = _make_answer(
        len(near), site[first], rows.iloc[of[first]], near["distance_m"].to_numpy()[site[first]]
    )
    found = _combine_rows(found, site, rows.iloc[of], plan)
    several = np.unique(site)
    spans = rows.iloc[of].groupby(site)
    found.loc[several, "lo_kw"] = spans["lo_kw"].min()
    found.loc[several, "hi_kw"] = spans["hi_kw"].max()
    found.loc[several, "record"] = "feeders of " + found.loc[several, "substation_id"].astype(str)
    return found


def answer_by_substation(near: pd.DataFrame, stations: CapacityRecords) -> pd.DataFrame:
    """Answer by the nearest substation, which bounds the parcel from above."""
    site = np.flatnonzero(near["other"] >= 0)
    rows = stations.rows.iloc[near["other"].to_numpy()[site]]
    rows = rows.assign(lo_kw=-np.inf)
    return _make_answer(len(near), site, rows, near["distance_m"].to_numpy()[site])


def drop_uncertain_nearest(
    near: pd.DataFrame, shapes: np.ndarray, coverage: shapely.Geometry | None
) -> pd.DataFrame:
    """Return the nearest substations without those than which a nearer may lie off the map."""
    hit = np.flatnonzero(near["other"] >= 0)
    seen = is_covered(shapes[hit], coverage, near["distance_m"].to_numpy()[hit])
    sure = near.copy()
    sure.loc[hit[~seen], "other"] = -1
    return sure


def _make_answer(
    count: int, site: np.ndarray, rows: pd.DataFrame, away: np.ndarray
) -> pd.DataFrame:
    told = rows.assign(
        distance_m=away, rows=1.0, silent=0.0, min_kw=rows["stated_kw"],
        median_kw=rows["stated_kw"], max_kw=rows["stated_kw"],
    )  # fmt: skip
    columns = {}
    for name, default in EMPTY_ANSWER.items():
        kind = object if default is None else float
        columns[name] = np.full(count, default, dtype=kind)
        columns[name][site] = told[name].to_numpy(dtype=kind)
    return pd.DataFrame(columns)


def _combine_rows(
    found: pd.DataFrame, site: np.ndarray, rows: pd.DataFrame, plan: Plan
) -> pd.DataFrame:
    """Fold the rows of one feeder at each site into the answer, by the plan's choice.

    A row among them that says nothing may be the parcel's own: then the span is open.
    """
    grouped = rows.groupby(site)
    there = np.unique(site)
    known = grouped["stated_kw"].count().astype(float)
    found.loc[there, "rows"] = known
    found.loc[there, "silent"] = grouped.size() - known
    for name in ("min", "median", "max"):
        found.loc[there, f"{name}_kw"] = grouped["stated_kw"].agg(name)
    for name in ("stated_kw", "lo_kw", "hi_kw"):
        found.loc[there, name] = grouped[name].agg(plan.grid.fold)
    found.loc[found["silent"] > 0, ["lo_kw", "hi_kw"]] = [-np.inf, np.inf]
    return found
