"""Capacity records, read: what each leaves, and which of them no parcel can be served by."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.contract.columns import text_column
from geo.criteria.grid.headroom import compute_headroom, compute_hosting
from geo.model import Plan
from geo.shapes.near import geometry_array

STATUSES_NOT_SERVING = {"retired": "retired", "planned": "planned", "unknown": "of unknown status"}


@dataclass(frozen=True)
class CapacityRecords:
    """Records of one kind, in an order that the file's own does not change, with their headroom."""

    rows: pd.DataFrame
    shapes: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def has_published_capacity(layers: dict[str, gpd.GeoDataFrame], plan: Plan) -> bool:
    """Say whether anything in the market's capacity layers says what the grid can still carry."""
    load = read_capacity(layers.get("capacity"), "load", plan)
    stations = read_substations(layers.get("substations"), plan)
    return any(bool(one.rows["stated_kw"].notna().any()) for one in (load, stations))


def count_unusable_records(layers: dict[str, gpd.GeoDataFrame], plan: Plan) -> dict[str, int]:
    """Count the capacity records near sites that do not say what a parcel may have, by why."""
    counts: dict[str, int] = {}
    stations = layers.get("substations")
    if stations is not None:
        status = stations["status"].fillna("unknown")
        for name, title in STATUSES_NOT_SERVING.items():
            counts[f"substations {title}, which serve nobody"] = int((status == name).sum())
        live = stations[status == "in_service"]
        sends = text_series(live, "level") == "transmission"
        counts["substations for transmission alone, which serve nobody"] = int(sends.sum())
        silent = compute_headroom(live[~sends], plan.grid)["stated_kw"].isna()
        counts["substations that publish no capacity"] = int(silent.sum())
    records = layers.get("capacity")
    if records is not None:
        load = records[records["kind"] == "load"]
        said = compute_headroom(load, plan.grid)
        counts["load records without a value"] = int(said["stated_kw"].isna().sum())
        at_ceiling = said["stated_kw"].notna() & np.isposinf(said["hi_kw"])
        counts["load records at their ceiling, a lower bound"] = int(at_ceiling.sum())
        overloaded = int((said["stated_kw"] < 0).sum())
        counts["load records below nothing, kept as overload"] = overloaded
        counts["generation records, which say nothing of load"] = len(records) - len(load)
    return {name: count for name, count in counts.items() if count}


def read_substations(substations: gpd.GeoDataFrame | None, plan: Plan) -> CapacityRecords:
    """Return the distribution substations in service; one that does not say what it is counts."""
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
    return CapacityRecords(_add_origin(rows, live), geometry_array(live))


def read_capacity(capacity: gpd.GeoDataFrame | None, kind: str, plan: Plan) -> CapacityRecords:
    """Return the records of feeders, cells and areas that are for `load` or for `generation`."""
    if capacity is None:
        capacity = _empty_layer(["record_id", "kind", "grain"])
    some = capacity[capacity["kind"] == kind]
    told = some.drop(columns=some.geometry.name).astype(str)
    told["shape"] = shapely.to_wkb(geometry_array(some), hex=True)
    # By id and source; where those are alike by all else that is said, whatever the file's order.
    keys = ["record_id", *[name for name in ("source_id",) if name in told], "shape"]
    keys += sorted(set(told.columns) - set(keys))
    some = some.loc[told.sort_values(keys, kind="stable").index]
    rows = (compute_headroom if kind == "load" else compute_hosting)(some, plan.grid)
    rows["record"], rows["grain"] = some["record_id"], some["grain"]
    rows["substation_id"] = text_series(some, "substation_id")
    # The rows of one feeder: an id is its source's own.
    rows["key"] = pd.factorize(
        pd.MultiIndex.from_arrays([text_series(some, "source_id").fillna(""), some["record_id"]])
    )[0]
    return CapacityRecords(_add_origin(rows, some), geometry_array(some))


def _empty_layer(columns: list[str]) -> gpd.GeoDataFrame:
    """Return a layer without a row, for a market that does not have it."""
    return gpd.GeoDataFrame({name: pd.Series(dtype=object) for name in columns}, geometry=[])


def _add_origin(rows: pd.DataFrame, frame: gpd.GeoDataFrame) -> pd.DataFrame:
    rows["source"], rows["utility"] = text_series(frame, "source_id"), text_series(frame, "owner")
    rows["as_of"] = _date_texts(frame)
    return rows.reset_index(drop=True)


def index_substations(stations: CapacityRecords) -> pd.DataFrame:
    """Return the substations by id; an id that two sources use for two of them names neither."""
    alone = ~stations.rows["substation_id"].duplicated(keep=False)
    return stations.rows[alone].set_index("substation_id")


def text_series(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of texts, None where missing or where there is no such column."""
    return pd.Series(text_column(frame, name), index=frame.index, dtype=object)


def _date_texts(frame: pd.DataFrame) -> np.ndarray:
    if "as_of" not in frame:
        return np.full(len(frame), None, dtype=object)
    days = pd.to_datetime(frame["as_of"]).dt.strftime("%Y-%m-%d")
    return days.astype(object).where(days.notna(), None).to_numpy()
