"""Read a market's capacity records, and count those that cannot serve a parcel."""

import datetime as dt
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.contract.columns import text_column
from geo.criteria.grid.headroom import compute_headroom, compute_hosting
from geo.model import Plan
from geo.shapes.near import geometry_array

# Substations that never serve a parcel, by status, and the reader's words for it.
STATUSES_NOT_SERVING = {
    "retired": "retired substations, not used",
    "planned": "planned substations, not used",
    "unknown": "substations of unknown status, not used",
}


@dataclass(frozen=True)
class CapacityRecords:
    """Records of one kind with their headroom, in an order that does not depend on the file's.

    Attributes:
        rows: Each record's headroom (see `headroom`), with its name, source, utility and date.
        shapes: The records' geometries, in the order of `rows`.
    """

    rows: pd.DataFrame
    shapes: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def has_published_capacity(layers: dict[str, gpd.GeoDataFrame], plan: Plan) -> bool:
    """Return whether any record in the market's layers gives a load headroom, however old."""
    load = read_capacity(layers.get("capacity"), "load", plan)
    substations = read_substations(layers.get("substations"), plan)
    return any(bool(records.rows["stated_kw"].notna().any()) for records in (load, substations))


def count_unusable_records(
    layers: dict[str, gpd.GeoDataFrame], plan: Plan, night: dt.date | None = None
) -> dict[str, int]:
    """Count the capacity records near sites that do not give a parcel's headroom, by reason.

    Args:
        layers: May hold `capacity` and `substations`.
        plan: The plan, for its grid assumptions.
        night: The date as of which records may be too old; None: none is.

    Returns:
        The number of records by reason, without reasons that apply to none.
    """
    counts: dict[str, int] = {}
    substations = layers.get("substations")
    if substations is not None:
        status = substations["status"].fillna("unknown")
        for name, title in STATUSES_NOT_SERVING.items():
            counts[title] = int((status == name).sum())
        live = substations[status == "in_service"]
        transmission = text_series(live, "level") == "transmission"
        counts["transmission-only substations, not used"] = int(transmission.sum())
        silent = compute_headroom(live[~transmission], plan.grid)["stated_kw"].isna()
        counts["substations that publish no capacity"] = int(silent.sum())
    records = layers.get("capacity")
    if records is not None:
        load = records[records["kind"] == "load"]
        headroom = compute_headroom(load, plan.grid)
        counts["load records without a value"] = int(headroom["stated_kw"].isna().sum())
        at_ceiling = headroom["stated_kw"].notna() & np.isposinf(headroom["hi_kw"])
        counts["load records at the publisher's maximum (there may be more)"] = int(
            at_ceiling.sum()
        )
        overloaded = int((headroom["stated_kw"] < 0).sum())
        counts["overloaded load records (negative headroom)"] = overloaded
        counts["generation records, not used for load"] = len(records) - len(load)
        named = text_series(load, "substation_id")
        missing = find_named_substation(named, read_substations(substations, plan)) < 0
        counts["load records that name no substation in service near here"] = int(
            (missing & named.notna()).sum()
        )
    old = read_capacity(records, "load", plan, night).rows["old"].sum()
    old += read_substations(substations, plan, night).rows["old"].sum()
    counts["capacity records that are too old, or have no date"] = int(old)
    return {name: count for name, count in counts.items() if count}


def read_substations(
    substations: gpd.GeoDataFrame | None, plan: Plan, night: dt.date | None = None
) -> CapacityRecords:
    """Read the distribution substations in service; one of unknown level counts as distribution.

    Args:
        substations: The market's `substations` layer, None where it has none.
        plan: The plan, for its grid assumptions.
        night: The date as of which records may be too old; None: none is.

    Returns:
        The substations with their headroom.
    """
    if substations is None:
        substations = _empty_layer(["substation_id", "status"])
    live = substations[
        (substations["status"] == "in_service")
        & (text_series(substations, "level") != "transmission").to_numpy()
    ]
    order = pd.DataFrame(
        {"substation_id": live["substation_id"], "source": text_series(live, "source_id")}
    )
    live = live.loc[order.sort_values(["substation_id", "source"], kind="stable").index]
    rows = compute_headroom(live, plan.grid)
    rows["record"] = text_series(live, "name").fillna(live["substation_id"])
    rows["substation_id"] = live["substation_id"]
    rows = _open_old_records(_add_origin(rows, live), plan, night)
    return CapacityRecords(rows, geometry_array(live))


def read_capacity(
    capacity: gpd.GeoDataFrame | None, kind: str, plan: Plan, night: dt.date | None = None
) -> CapacityRecords:
    """Read the records of feeders, cells and areas that are for one kind of capacity.

    Args:
        capacity: The market's `capacity` layer, None where it has none.
        kind: `load` or `generation`.
        plan: The plan, for its grid assumptions.
        night: The date as of which records may be too old; None: none is.

    Returns:
        The records with their headroom. `key` in their rows is equal for the rows of one feeder.
    """
    if capacity is None:
        capacity = _empty_layer(["record_id", "kind", "grain"])
    selected = capacity[capacity["kind"] == kind]
    sort_values = selected.drop(columns=selected.geometry.name).astype(str)
    sort_values["shape"] = shapely.to_wkb(geometry_array(selected), hex=True)
    # Sort by id and source, then by everything else, so that the file's order changes nothing.
    keys = ["record_id", *[name for name in ("source_id",) if name in sort_values], "shape"]
    keys += sorted(set(sort_values.columns) - set(keys))
    selected = selected.loc[sort_values.sort_values(keys, kind="stable").index]
    compute = compute_headroom if kind == "load" else compute_hosting
    rows = compute(selected, plan.grid)
    rows["record"], rows["grain"] = selected["record_id"], selected["grain"]
    rows["substation_id"] = text_series(selected, "substation_id")
    # Two sources may use the same id for two feeders.
    rows["key"] = pd.factorize(
        pd.MultiIndex.from_arrays(
            [text_series(selected, "source_id").fillna(""), selected["record_id"]]
        )
    )[0]
    rows = _open_old_records(_add_origin(rows, selected), plan, night)
    return CapacityRecords(rows, geometry_array(selected))


def _empty_layer(columns: list[str]) -> gpd.GeoDataFrame:
    """Return a layer without rows, for a market that does not have it."""
    return gpd.GeoDataFrame({name: pd.Series(dtype=object) for name in columns}, geometry=[])


def _add_origin(rows: pd.DataFrame, frame: gpd.GeoDataFrame) -> pd.DataFrame:
    rows["source"], rows["utility"] = text_series(frame, "source_id"), text_series(frame, "owner")
    rows["as_of"] = _date_texts(frame)
    return rows.reset_index(drop=True)


def index_substations(substations: CapacityRecords) -> pd.DataFrame:
    """Return the substations by id, without ids that two substations share."""
    unique = ~substations.rows["substation_id"].duplicated(keep=False)
    return substations.rows[unique].set_index("substation_id")


def _open_old_records(rows: pd.DataFrame, plan: Plan, night: dt.date | None) -> pd.DataFrame:
    """Mark the records that are too old or have no date (`old`), and let them bound nothing."""
    old = np.zeros(len(rows), dtype=bool)
    if night is not None:
        oldest = pd.Timestamp(night) - pd.DateOffset(months=plan.grid.record_months_most)
        # ISO dates are ordered as texts.
        dates = rows["as_of"].fillna("").astype(str)
        old = (dates < oldest.strftime("%Y-%m-%d")).to_numpy(dtype=bool)
    old = old & rows["stated_kw"].notna().to_numpy()
    rows.loc[old, "lo_kw"], rows.loc[old, "hi_kw"] = -np.inf, np.inf
    # No record has its substation's value yet (see `answers.answer_by_area`).
    return rows.assign(old=old.astype(float), borrowed=0.0)


def find_named_substation(names: pd.Series, substations: CapacityRecords) -> np.ndarray:
    """Return the position of the substation that has each name as its id, else as its name.

    -1 where no substation has it, or several do.
    """
    position = np.full(len(names), -1)
    for column in ("record", "substation_id"):
        known = substations.rows[column]
        unique = known[known.notna() & ~known.duplicated(keep=False)]
        found = names.map(pd.Series(unique.index, index=unique.to_numpy())).fillna(-1)
        position = np.where(found >= 0, found, position)
    return position.astype(int)


def text_series(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of texts, None where a value or the column is missing."""
    return pd.Series(text_column(frame, name), index=frame.index, dtype=object)


def _date_texts(frame: pd.DataFrame) -> np.ndarray:
    if "as_of" not in frame:
        return np.full(len(frame), None, dtype=object)
    days = pd.to_datetime(frame["as_of"]).dt.strftime("%Y-%m-%d")
    return days.astype(object).where(days.notna(), None).to_numpy()
