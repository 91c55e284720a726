"""Give the answer of each kind of capacity record for each parcel.

An answer has a row per site (see `combining`).
"""

import numpy as np
import pandas as pd
import shapely

from geo.criteria.grid.combining import combine_records, describe_record
from geo.criteria.grid.records import (
    CapacityRecords,
    find_named_substation,
    index_substations,
)
from geo.model import Plan
from geo.shapes.near import find_nearest, find_pairs_within, is_covered, unite_by_group

LINE_GRAINS, CELL_GRAINS, AREA_GRAINS = ("feeder", "segment"), ("cell",), ("area",)
# Lines that are no farther apart than this hang on the same poles.
SAME_LINE_M = 2.0
# Records whose shares of a site differ by no more than this cover the same ground.
SAME_SHARE = 0.001


def answer_by_area(
    shapes: np.ndarray, records: CapacityRecords, substations: CapacityRecords, plan: Plan
) -> pd.DataFrame:
    """Answer from the service area that covers most of each site; of nested areas, the smallest.

    An area without a value of its own has the value of the substation that it names.

    Args:
        shapes: The sites' geometries, in the market's metric CRS.
        records: The market's load records.
        substations: The market's distribution substations.
        plan: The plan, for the statistic that combines rows.

    Returns:
        An answer for each site.
    """
    rows, areas = _take_grains(records, AREA_GRAINS, dimensions=2)
    named = find_named_substation(rows["substation_id"], substations)
    # An area with a value in one of its rows does not take the substation's for the others.
    all_silent = rows["stated_kw"].isna().groupby(rows["key"]).transform("all")
    silent = all_silent & (named >= 0)
    for name in ("stated_kw", "hi_kw", "basis", "power_factor", "factor_assumed", "as_of", "old"):
        of_substation = substations.rows[name].iloc[named[silent]]
        rows.loc[silent, name] = of_substation.astype(rows[name].dtype).array
    # A parcel may get less than the whole headroom of its substation.
    rows.loc[silent, "lo_kw"] = -np.inf
    rows["borrowed"] = silent.astype(float)
    pairs = _list_covering(shapes, rows, areas)
    record, keys = pd.factorize(rows["key"])
    size_m2 = pd.Series(shapely.area(unite_by_group(areas, record, len(keys))), index=keys)
    # Of areas that cover the same share, the smallest serves.
    pairs["size_m2"] = pairs["key"].map(size_m2)
    smallest = pairs.sort_values(["site", "size_m2", "key"]).groupby("site")["key"].first()
    pairs = pairs[pairs["key"] == pairs["site"].map(smallest)]
    return combine_records(len(shapes), pairs, rows, plan)


def answer_by_cell(shapes: np.ndarray, records: CapacityRecords, plan: Plan) -> pd.DataFrame:
    """Answer from the grid cell that covers most of each site, whether or not it has a value.

    A site most of which no cell covers has no answer. Of cells that cover the same share, the
    lowest and the highest value are the range.

    Args:
        shapes: The sites' geometries, in the market's metric CRS.
        records: The market's records of one kind.
        plan: The plan, for the statistic that combines rows.

    Returns:
        An answer for each site.
    """
    rows, cells = _take_grains(records, CELL_GRAINS, dimensions=2)
    return combine_records(len(shapes), _list_covering(shapes, rows, cells), rows, plan)


def answer_by_line(
    shapes: np.ndarray, records: CapacityRecords, plan: Plan, *, dimensions: int = 1
) -> pd.DataFrame:
    """Answer from the nearest feeder line within reach, and those that run along with it.

    Lines that are no more than SAME_LINE_M farther away than the nearest hang on the same poles:
    the parcel is on one of them, so the lowest and the highest value are the range. The rows of one
    feeder within reach are combined. The nearest feeder is used whether or not it has a value:
    another feeder's value never replaces it.

    Args:
        shapes: The sites' geometries, in the market's metric CRS.
        records: The market's records of one kind.
        plan: The plan, for its reach and the statistic that combines rows.
        dimensions: The fewest dimensions that a record's shape may have. A point (0) does not show
            where a feeder runs.

    Returns:
        An answer for each site.
    """
    rows, lines = _take_grains(records, LINE_GRAINS, dimensions=dimensions)
    site, row = find_pairs_within(shapes, lines, plan.grid.feeder_reach_m)
    pairs = pd.DataFrame({"site": site, "row": row, "key": rows["key"].to_numpy(dtype=int)[row]})
    pairs["distance_m"] = np.round(shapely.distance(shapes[site], lines[row]), 3)
    nearest_m = pairs.groupby("site")["distance_m"].transform("min")
    of_feeder_m = pairs.groupby(["site", "key"])["distance_m"].transform("min")
    return combine_records(len(shapes), pairs[of_feeder_m <= nearest_m + SAME_LINE_M], rows, plan)


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
    # Each row may be the parcel's feeder, so each is a record of its own.
    pairs = pd.DataFrame({"site": site, "row": row, "key": row})
    pairs["distance_m"] = nearest["distance_m"].to_numpy()[site]
    answer = combine_records(len(nearest), pairs, rows, plan)
    answered = np.unique(site)
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
    return describe_record(len(nearest), site, rows, nearest["distance_m"].to_numpy()[site])


def find_own_substation(
    facts: pd.DataFrame,
    shapes: np.ndarray,
    substations: CapacityRecords,
    coverage: shapely.Geometry | None,
    plan: Plan,
) -> pd.DataFrame:
    """Find the substation of each site's record: the one it names, else the nearest of its utility.

    A substation of another utility never serves the record. Where the utility of either is not
    known, the substation may be the record's.

    Args:
        facts: The record of each site: `substation_id`, which may be its name, and `grid_utility`.
        shapes: The sites' geometries, in the market's metric CRS.
        substations: The market's distribution substations.
        coverage: Where the substations layer is complete, None where that is not known.
        plan: The plan, for its reach.

    Returns:
        For each site the position of that substation (`other`, -1 for none) and `distance_m`.
    """
    position = find_named_substation(facts["substation_id"], substations)
    owner, utility = substations.rows["utility"], facts["grid_utility"]
    for name in [*utility.dropna().unique(), None]:
        theirs = utility.isna() if name is None else utility == name
        site = np.flatnonzero((position < 0) & theirs)
        may_serve = np.flatnonzero(owner.isna() | (owner == name) if name else owner.index >= 0)
        nearest = find_nearest(
            shapes[site], substations.shapes[may_serve], plan.grid.substation_reach_m
        )
        nearest = drop_uncertain_nearest(nearest, shapes[site], coverage)
        found = nearest["other"].to_numpy()
        position[site[found >= 0]] = may_serve[found[found >= 0]]
    distance_m = np.full(len(shapes), np.nan)
    named = position >= 0
    distance_m[named] = shapely.distance(shapes[named], substations.shapes[position[named]])
    return pd.DataFrame({"other": position, "distance_m": distance_m})


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


def _take_grains(
    records: CapacityRecords, grains: tuple[str, ...], *, dimensions: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows and the shapes of the records of some grains."""
    is_drawn = shapely.get_dimensions(records.shapes) >= dimensions
    wanted = records.rows["grain"].isin(grains).to_numpy(dtype=bool) & is_drawn
    return records.rows[wanted].reset_index(drop=True), records.shapes[wanted]


def _list_covering(shapes: np.ndarray, rows: pd.DataFrame, areas: np.ndarray) -> pd.DataFrame:
    """List the rows of the record that covers most of each site.

    Args:
        shapes: The sites' geometries (n,).
        rows: The records' rows; those of one record have the same `key`.
        areas: The rows' polygons.

    Returns:
        One row per site and row of its record: site, row, key, `share` of the site that the record
        covers, and `distance_m` of 0. Several records of a site have the same share. A site has
        none if no record covers more of it than is left uncovered.
    """
    site, row = find_pairs_within(shapes, areas, 0.0)
    pieces = shapely.intersection(shapes[site], areas[row])
    pairs = pd.DataFrame({"site": site, "row": row, "key": rows["key"].to_numpy(dtype=int)[row]})
    record = pairs.groupby(["site", "key"], sort=True).ngroup().to_numpy()
    lot_m2 = shapely.area(shapes)
    of_record = shapely.area(unite_by_group(pieces, record, int(record.max(initial=-1)) + 1))
    covered = shapely.area(unite_by_group(pieces, site, len(shapes)))
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs["share"] = np.minimum(of_record[record] / lot_m2[site], 1.0).round(4)
        uncovered = np.maximum(1.0 - covered / lot_m2, 0.0).round(4)
    largest = pairs.groupby("site")["share"].transform("max")
    serves = (pairs["share"] >= largest - SAME_SHARE) & (pairs["share"] > 0)
    serves &= largest > uncovered[site]
    covering: pd.DataFrame = pairs[serves].assign(distance_m=0.0)
    return covering
