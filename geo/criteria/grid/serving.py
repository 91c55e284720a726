"""Choose the capacity record that serves each parcel, and report the second-best one.

Best first: the service area that covers most of the parcel, a feeder line within reach, the grid
cell that covers most of it, the feeders of the nearest substation where their routes are not
published, and that substation itself, which bounds the parcel from above. The second opinion on a
feeder is its own substation, else the nearest of the same utility. Hosting capacity (for
generation) is a separate fact and never stands in for load headroom.
"""

import datetime as dt

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.grid.answers import (
    answer_by_area,
    answer_by_cell,
    answer_by_feeders,
    answer_by_line,
    answer_by_substation,
    drop_uncertain_nearest,
    find_own_substation,
)
from geo.criteria.grid.combining import EMPTY_ANSWER
from geo.criteria.grid.records import (
    CapacityRecords,
    find_named_substation,
    read_capacity,
    read_substations,
)
from geo.model import GridEvidence, HeadroomReading, Plan
from geo.shapes.near import find_nearest, geometry_array, is_covered

# A site with a smaller share in its cell or area is split.
WHOLE_SHARE = 0.98
# The kinds of records, best first, and the places of some of them.
LINE, FEEDERS, SUBSTATION = 1, 3, 4
SERVING_EVIDENCE: tuple[GridEvidence, ...] = (
    "service area", "feeder", "grid cell", "feeders of substation", "substation",
)  # fmt: skip


def find_serving_records(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    plan: Plan,
    night: dt.date | None = None,
) -> pd.DataFrame:
    """Find the load that the grid can still supply at each site, and the two best records for it.

    For example, a feeder 8 m away has 300 kW and its substation at most 950 kW. The feeder serves
    the site with 300 kW; the substation is second with 950 kW, and they disagree by -650 kW.

    Args:
        sites: The sites, in the market's metric CRS.
        layers: May hold `capacity` and `substations`, in the same CRS.
        coverage: Where each layer is complete.
        plan: The plan, for reaches and grid assumptions.
        night: The date as of which records may be too old; None: none is.

    Returns:
        One row per site: grid_evidence; load_headroom_kw, its range headroom_lo_kw to
        headroom_hi_kw (-inf and inf where open) and how to read it (headroom_reads); overload_kw
        and headroom_basis; the record's name, layer, utility, distance and date; how many rows
        were combined, with their lowest, median and highest value; the second-best record and the
        difference; hosting_*; and what the site shares with others (see `gap.headroom_left_kw`).
    """
    shapes = geometry_array(sites)
    substations = read_substations(layers.get("substations"), plan, night)
    records = read_capacity(layers.get("capacity"), "load", plan, night)
    nearest = find_nearest(shapes, substations.shapes, plan.grid.substation_reach_m)
    certain = drop_uncertain_nearest(nearest, shapes, coverage.get("substations"))
    answers = [
        answer_by_area(shapes, records, substations, plan),
        answer_by_line(shapes, records, plan),
        answer_by_cell(shapes, records, plan),
        answer_by_feeders(certain, substations, records, plan),
        answer_by_substation(certain, substations),
    ]
    best = _choose_first(answers)
    facts = _describe_best(answers, best, sites.index)
    mapped = {"capacity", "substations"} & set(layers)
    facts["grid_evidence"] = np.where(
        best >= 0,
        np.array([*SERVING_EVIDENCE, "none"], dtype=object)[best],
        _explain_unknown(nearest, substations, _is_reach_mapped(shapes, layers, coverage, plan))
        if mapped
        else "no layer",
    )
    _name_silent_substation(facts, best < 0, nearest, substations)
    # A feeder, cell or area is compared with its own substation, not with the nearest.
    own = find_own_substation(facts, shapes, substations, coverage.get("substations"), plan)
    # A value that is the substation's is not compared with itself.
    own.loc[_pick_answers(answers, best, "borrowed") == 1, "other"] = -1
    has_record = (best >= 0) & (best < FEEDERS)
    compared = certain.where(pd.Series(~has_record), own)
    answers[FEEDERS] = answer_by_feeders(compared, substations, records, plan)
    answers[SUBSTATION] = answer_by_substation(compared, substations)
    facts = facts.join(_describe_second(answers, facts, _choose_second(answers, best)))
    hosting = read_capacity(layers.get("capacity"), "generation", plan, night)
    facts = facts.join(_describe_hosting(shapes, hosting, plan, sites.index))
    return facts.join(_describe_pools(facts, substations))


def _choose_first(answers: list[pd.DataFrame]) -> np.ndarray:
    """Return the first answer that is known at each site, -1 where none is."""
    known = np.column_stack([answer["stated_kw"].notna() for answer in answers])
    return np.where(known.any(axis=1), known.argmax(axis=1), -1)


def _choose_second(answers: list[pd.DataFrame], best: np.ndarray) -> np.ndarray:
    """Return the answer that each site's best one is compared with, -1 where there is none.

    That is the next known one; of a feeder line, the substation comes first.
    """
    others = np.column_stack([answer["stated_kw"].notna() for answer in answers])
    others[np.flatnonzero(best >= 0), best[best >= 0]] = False
    second = np.where(others.any(axis=1), others.argmax(axis=1), -1)
    return np.where((best == LINE) & others[:, SUBSTATION], SUBSTATION, second)


def _pick_answers(answers: list[pd.DataFrame], chosen: np.ndarray, name: str) -> np.ndarray:
    columns = np.column_stack([answer[name].to_numpy(dtype=object) for answer in answers])
    picked = columns[np.arange(len(chosen)), chosen]
    picked[chosen < 0] = EMPTY_ANSWER[name]
    return np.asarray(picked)


def _describe_best(answers: list[pd.DataFrame], best: np.ndarray, index: pd.Index) -> pd.DataFrame:
    values = {name: _pick_answers(answers, best, name) for name in EMPTY_ANSWER}
    stated = values["stated_kw"].astype(float)
    lo, hi = values["lo_kw"].astype(float), values["hi_kw"].astype(float)
    texts = {
        "headroom_basis": "basis", "grid_source": "record", "grid_layer": "source",
        "grid_utility": "utility", "grid_as_of": "as_of", "substation_id": "substation_id",
    }  # fmt: skip
    numbers = {
        "power_factor": "power_factor", "grid_distance_m": "distance_m", "headroom_rows": "rows",
        "headroom_silent_rows": "silent", "headroom_min_kw": "min_kw",
        "headroom_median_kw": "median_kw", "headroom_max_kw": "max_kw",
        "grid_share": "share", "serving_count": "records",
    }  # fmt: skip
    return pd.DataFrame(
        {
            "load_headroom_kw": stated,
            "headroom_lo_kw": lo,
            "headroom_hi_kw": hi,
            "headroom_reads": _classify_bounds(stated, lo, hi),
            "overload_kw": np.maximum(-stated, 0.0) + 0.0,
            "grid_old": values["old"].astype(float) == 1,
            "power_factor_assumed": values["factor_assumed"].astype(float) == 1,
            "grid_split": _is_split(values["share"].astype(float)),
            **{name: values[column] for name, column in texts.items()},
            **{name: values[column].astype(float) for name, column in numbers.items()},
        },
        index=index,
    )


def _is_split(share: np.ndarray) -> np.ndarray:
    """Return whether part of each site is outside its cell or area, None where it has neither."""
    split = (share < WHOLE_SHARE).astype(object)
    split[np.isnan(share)] = None
    return split


def _is_reach_mapped(
    shapes: np.ndarray,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    plan: Plan,
) -> np.ndarray:
    """Return for each site whether everything within reach is mapped.

    This is the reach of substations, or of capacity records where the market has no substations.
    """
    if "substations" in layers:
        return is_covered(shapes, coverage.get("substations"), plan.grid.substation_reach_m)
    return is_covered(shapes, coverage.get("capacity"), plan.grid.feeder_reach_m)


def _classify_bounds(stated: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """Classify how to read each headroom: as a value, as a bound, or (`neither`) as no bound.

    A headroom bounds nothing where it was published at its ceiling and the committed load is not
    deducted.
    """
    below, above = np.isfinite(lo), np.isfinite(hi)
    conditions = [below & above & (lo == hi), below & above, above, below]
    bounds: list[HeadroomReading] = ["exactly", "between", "at most", "at least"]
    otherwise: HeadroomReading = "neither"
    reads = np.select(conditions, bounds, otherwise).astype(object)
    reads[np.isnan(stated)] = None
    return reads


def _explain_unknown(
    nearest: pd.DataFrame, substations: CapacityRecords, mapped: np.ndarray
) -> np.ndarray:
    """Return the evidence where no record answers; `mapped`: all within reach is mapped."""
    in_reach = (nearest["other"] >= 0).to_numpy()
    silent = in_reach.copy()
    if len(substations):
        position = nearest["other"].to_numpy()[in_reach]
        silent[in_reach] = substations.rows["stated_kw"].isna().to_numpy()[position]
    reasons: list[GridEvidence] = ["unpublished", "edge of layer", "none"]
    otherwise: GridEvidence = "edge of layer"
    return np.select([silent, in_reach, mapped], reasons, otherwise)


def _name_silent_substation(
    facts: pd.DataFrame, unknown: np.ndarray, nearest: pd.DataFrame, substations: CapacityRecords
) -> None:
    """Name the nearest substation at sites where nothing is known, and its distance."""
    position = nearest["other"].to_numpy()
    named = unknown & (position >= 0)
    rows = substations.rows.iloc[position[named]]
    for name, column in (
        ("grid_source", "record"),
        ("grid_layer", "source"),
        ("grid_utility", "utility"),
        ("grid_as_of", "as_of"),
        ("substation_id", "substation_id"),
    ):
        facts.loc[named, name] = rows[column].to_numpy()
    facts.loc[named, "grid_distance_m"] = nearest["distance_m"].to_numpy()[named]


def _describe_second(
    answers: list[pd.DataFrame], facts: pd.DataFrame, second: np.ndarray
) -> pd.DataFrame:
    stated = _pick_answers(answers, second, "stated_kw").astype(float)
    lo = _pick_answers(answers, second, "lo_kw").astype(float)
    hi = _pick_answers(answers, second, "hi_kw").astype(float)
    evidence = np.array([*SERVING_EVIDENCE, None], dtype=object)[second]
    return pd.DataFrame(
        {
            "second_evidence": evidence,
            "second_source": _pick_answers(answers, second, "record"),
            "second_layer": _pick_answers(answers, second, "source"),
            "second_as_of": _pick_answers(answers, second, "as_of"),
            "second_headroom_kw": stated,
            "second_reads": _classify_bounds(stated, lo, hi),
            "second_lo_kw": lo,
            "second_hi_kw": hi,
            "headroom_disagreement_kw": facts["load_headroom_kw"] - stated,
        },
        index=facts.index,
    )


def _describe_hosting(
    shapes: np.ndarray, records: CapacityRecords, plan: Plan, index: pd.Index
) -> pd.DataFrame:
    """Return the generation that the grid can take at each site, from the nearest such record."""
    answers = [
        answer_by_line(shapes, records, plan, dimensions=0),
        answer_by_cell(shapes, records, plan),
        answer_by_area(shapes, records, read_substations(None, plan), plan),
    ]
    first = _choose_first(answers)
    answer = pd.DataFrame({name: _pick_answers(answers, first, name) for name in EMPTY_ANSWER})
    answer = answer.astype({"lo_kw": float, "hi_kw": float, "stated_kw": float})
    # A record without a value that comes before the one with a value may be lower.
    silent = np.zeros(len(index), dtype=bool)
    for number, one in enumerate(answers):
        silent |= (one["records"].notna() & one["stated_kw"].isna()).to_numpy() & (number < first)
    lowest_kw = np.where(silent, -np.inf, answer["lo_kw"])
    at_least = np.isfinite(answer["lo_kw"]) & np.isposinf(answer["hi_kw"])
    return pd.DataFrame(
        {
            "hosting_kw": answer["stated_kw"].to_numpy(),
            "hosting_lo_kw": np.where(answer["stated_kw"].notna(), lowest_kw, -np.inf),
            "hosting_factor_assumed": answer["factor_assumed"].to_numpy(dtype=float) == 1,
            "hosting_at_least": at_least.to_numpy(),
            "hosting_source": answer["record"].to_numpy(),
            "hosting_layer": answer["source"].to_numpy(),
            "hosting_distance_m": answer["distance_m"].to_numpy(),
            "hosting_as_of": answer["as_of"].to_numpy(),
        },
        index=index,
    )


def _describe_pools(facts: pd.DataFrame, substations: CapacityRecords) -> pd.DataFrame:
    """Return the pools that each site shares: its record, and its substation where known.

    `record_pool` and `station_pool` identify them, each with its headroom in `..._kw`.
    """
    named = find_named_substation(facts["substation_id"], substations)
    named = np.where(facts["load_headroom_kw"].notna(), named, -1)
    # There is no row -1: a site without a known substation gets an empty one.
    station = substations.rows.reindex(named).set_axis(facts.index)
    substation_kw = station["hi_kw"].astype(float).where(np.isfinite)
    own_kw = facts["headroom_hi_kw"].where(np.isfinite)
    is_bounded = substation_kw.notna()
    # A value for a substation, or for all of its feeders, does not belong to a separate record.
    whole_substation = facts["grid_evidence"].isin(["substation", "feeders of substation"])
    # Two records may have the same name, so a pool is identified by evidence, source and name.
    record = facts["grid_evidence"].astype(str) + "/" + facts["grid_layer"].fillna("").astype(str)
    record += "/" + facts["grid_source"].fillna("").astype(str)
    return pd.DataFrame(
        {
            "pool": station["record"].where(is_bounded, facts["grid_source"]),
            "pool_kw": substation_kw.where(is_bounded, own_kw),
            "station_pool": station["substation_id"].where(is_bounded),
            "station_pool_kw": substation_kw,
            "record_pool": record.where(own_kw.notna() & ~(whole_substation & is_bounded)),
            "record_pool_kw": own_kw,
        },
        index=facts.index,
    )
