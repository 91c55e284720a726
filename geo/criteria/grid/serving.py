"""Which capacity record serves a parcel, and what its second best says.

Best first: the polygon of a service area round it, a feeder's line within reach, a grid cell, the
feeders of its nearest substation where nobody says where they run, that substation itself, which
bounds the parcel from above. Hosting capacity for generation is looked up apart: it is another
fact, and never answers for load.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.grid.answers import (
    CELL_GRAINS,
    EMPTY_ANSWER,
    LINE_GRAINS,
    answer_by_area,
    answer_by_feeders,
    answer_by_line,
    answer_by_substation,
    drop_uncertain_nearest,
)
from geo.criteria.grid.records import (
    CapacityRecords,
    index_substations,
    read_capacity,
    read_substations,
)
from geo.model import Plan
from geo.shapes.near import find_nearest, geometry_array, is_covered

SERVING_EVIDENCE = ("service area", "feeder", "grid cell", "feeders of substation", "substation")
# How a headroom is to be read: as it stands, as a bound from above or below, or as no bound at all,
# where it was published at its ceiling and what is committed is not off yet.
HEADROOM_READINGS = ("exactly", "between", "at most", "at least", "neither")


def find_serving_records(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    plan: Plan,
) -> pd.DataFrame:
    """Return what the grid can still give each site, from which record, and the second answer.

    `layers` may hold `capacity` and `substations`, metric frame. Columns: grid_evidence (one of
    EVIDENCE, or `unpublished`, `none`, `edge of layer`, `no layer`), load_headroom_kw, its span
    headroom_lo_kw to headroom_hi_kw (-inf, inf where open) and headroom_reads (see READS),
    overload_kw, headroom_basis, the record's name, layer, utility, distance and date; how many rows
    were folded and their least, median and greatest; the second-best answer and the difference;
    hosting_*; and pool, what is shared with the other sites (see `gap.left_kw`).

    Worked: a feeder 8 m away says 300 kW, its substation 950 at the most: 300 kW by feeder; the
    second says 950, and the difference is -650.
    """
    shapes = geometry_array(sites)
    stations = read_substations(layers.get("substations"), plan)
    records = read_capacity(layers.get("capacity"), "load", plan)
    area = coverage.get("substations")
    near = find_nearest(shapes, stations.shapes, plan.grid.substation_reach_m)
    sure = drop_uncertain_nearest(near, shapes, area)
    answers = [
        answer_by_area(shapes, records, stations),
        answer_by_line(shapes, records, LINE_GRAINS, plan),
        answer_by_line(shapes, records, CELL_GRAINS, plan),
        answer_by_feeders(sure, stations, records, plan),
        answer_by_substation(sure, stations),
    ]
    known = np.column_stack([answer["stated_kw"].notna() for answer in answers])
    best, second = _first_two(known)
    facts = _answer_facts(answers, best, sites.index)
    there = {"capacity", "substations"} & set(layers)
    facts["grid_evidence"] = np.where(
        best >= 0,
        np.array([*SERVING_EVIDENCE, "none"], dtype=object)[best],
        _classify_unknown(near, stations, _is_reach_mapped(shapes, layers, coverage, plan))
        if there
        else "no layer",
    )
    _name_silent(facts, best < 0, near, stations)
    facts = facts.join(_second_opinions(answers, facts, second))
    facts = facts.join(_hosting_facts(shapes, layers.get("capacity"), plan, sites.index))
    return facts.join(_pool_facts(facts, stations))


def _first_two(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the second answer that is known at each site, -1 where none is."""
    rows = np.arange(len(known))
    best = np.where(known.any(axis=1), known.argmax(axis=1), -1)
    rest = known.copy()
    rest[rows[best >= 0], best[best >= 0]] = False
    return best, np.where(rest.any(axis=1), rest.argmax(axis=1), -1)


def _pick_answers(answers: list[pd.DataFrame], which: np.ndarray, name: str) -> np.ndarray:
    columns = np.column_stack([answer[name].to_numpy(dtype=object) for answer in answers])
    picked = columns[np.arange(len(which)), which]
    picked[which < 0] = EMPTY_ANSWER[name]
    return np.asarray(picked)


def _answer_facts(answers: list[pd.DataFrame], best: np.ndarray, index: pd.Index) -> pd.DataFrame:
    got = {name: _pick_answers(answers, best, name) for name in EMPTY_ANSWER}
    stated = got["stated_kw"].astype(float)
    lo, hi = got["lo_kw"].astype(float), got["hi_kw"].astype(float)
    texts = {
        "headroom_basis": "basis", "grid_source": "record", "grid_layer": "source",
        "grid_utility": "utility", "grid_as_of": "as_of", "substation_id": "substation_id",
    }  # fmt: skip
    numbers = {
        "power_factor": "power_factor", "grid_distance_m": "distance_m", "headroom_rows": "rows",
        "headroom_silent_rows": "silent", "headroom_min_kw": "min_kw",
        "headroom_median_kw": "median_kw", "headroom_max_kw": "max_kw",
    }  # fmt: skip
    return pd.DataFrame(
        {
            "load_headroom_kw": stated,
            "headroom_lo_kw": lo,
            "headroom_hi_kw": hi,
            "headroom_reads": _classify_bounds(stated, lo, hi),
            "overload_kw": np.maximum(-stated, 0.0) + 0.0,
            **{name: got[key] for name, key in texts.items()},
            **{name: got[key].astype(float) for name, key in numbers.items()},
        },
        index=index,
    )


def _is_reach_mapped(
    shapes: np.ndarray,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    plan: Plan,
) -> np.ndarray:
    """Say which sites were searched round about for substations, or for records where none are."""
    if "substations" in layers:
        return is_covered(shapes, coverage.get("substations"), plan.grid.substation_reach_m)
    return is_covered(shapes, coverage.get("capacity"), plan.grid.feeder_reach_m)


def _classify_bounds(stated: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    below, above = np.isfinite(lo), np.isfinite(hi)
    ways = [below & above & (lo == hi), below & above, above, below]
    reads = np.select(ways, HEADROOM_READINGS[:4], HEADROOM_READINGS[4]).astype(object)
    reads[np.isnan(stated)] = None
    return reads


def _classify_unknown(
    near: pd.DataFrame, stations: CapacityRecords, seen: np.ndarray
) -> np.ndarray:
    """Say why nothing is known at each site; `seen` is where the whole reach is on the map."""
    hit = (near["other"] >= 0).to_numpy()
    silent = hit.copy()
    if len(stations):
        silent[hit] = stations.rows["stated_kw"].isna().to_numpy()[near["other"].to_numpy()[hit]]
    return np.select([silent, hit, seen], ["unpublished", "edge of layer", "none"], "edge of layer")


def _name_silent(
    facts: pd.DataFrame, unknown: np.ndarray, near: pd.DataFrame, stations: CapacityRecords
) -> None:
    """Name the substation that publishes nothing, or that bounds nothing, and how far it is."""
    at = near["other"].to_numpy()
    there = unknown & (at >= 0)
    rows = stations.rows.iloc[at[there]]
    for name, column in (
        ("grid_source", "record"),
        ("grid_layer", "source"),
        ("grid_utility", "utility"),
        ("grid_as_of", "as_of"),
        ("substation_id", "substation_id"),
    ):
        facts.loc[there, name] = rows[column].to_numpy()
    facts.loc[there, "grid_distance_m"] = near["distance_m"].to_numpy()[there]


def _second_opinions(
    answers: list[pd.DataFrame], facts: pd.DataFrame, second: np.ndarray
) -> pd.DataFrame:
    stated = _pick_answers(answers, second, "stated_kw").astype(float)
    lo = _pick_answers(answers, second, "lo_kw").astype(float)
    hi = _pick_answers(answers, second, "hi_kw").astype(float)
    named = np.array([*SERVING_EVIDENCE, None], dtype=object)[second]
    return pd.DataFrame(
        {
            "second_evidence": named,
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


def _hosting_facts(
    shapes: np.ndarray, capacity: gpd.GeoDataFrame | None, plan: Plan, index: pd.Index
) -> pd.DataFrame:
    """Return what generation the grid would take at each site, by the nearest record of it."""
    records = read_capacity(capacity, "generation", plan)
    found = answer_by_line(
        shapes, records, ("feeder", "segment", "cell", "area"), plan, dimensions=0
    )
    at_least = np.isfinite(found["lo_kw"]) & np.isposinf(found["hi_kw"])
    return pd.DataFrame(
        {
            "hosting_kw": found["stated_kw"].to_numpy(),
            "hosting_at_least": at_least.to_numpy(),
            "hosting_source": found["record"].to_numpy(),
            "hosting_layer": found["source"].to_numpy(),
            "hosting_distance_m": found["distance_m"].to_numpy(),
            "hosting_as_of": found["as_of"].to_numpy(),
        },
        index=index,
    )


def _pool_facts(facts: pd.DataFrame, stations: CapacityRecords) -> pd.DataFrame:
    """Return what each site shares with others: its record, and its substation where known.

    `record_pool` and `station_pool` are their identities, with the headroom of each.
    """
    told = index_substations(stations)
    named = facts["substation_id"].where(facts["load_headroom_kw"].notna())
    of_station = named.map(told["hi_kw"]).astype(float).where(np.isfinite)
    own = facts["headroom_hi_kw"].where(np.isfinite)
    by_station = of_station.notna()
    # What is known of a substation, or of all of its feeders, is no record of a parcel's own.
    of_all = facts["grid_evidence"].isin(["substation", "feeders of substation"])
    # A name may be of several: what is shared goes by layer, source and id.
    record = facts["grid_evidence"].astype(str) + "/" + facts["grid_layer"].fillna("").astype(str)
    record += "/" + facts["grid_source"].fillna("").astype(str)
    return pd.DataFrame(
        {
            "pool": named.map(told["record"]).where(by_station, facts["grid_source"]),
            "pool_kw": of_station.where(by_station, own),
            "station_pool": named.where(by_station),
            "station_pool_kw": of_station,
            "record_pool": record.where(own.notna() & ~(of_all & by_station)),
            "record_pool_kw": own,
        },
        index=facts.index,
    )
