"""What the grid leaves short at each site. It never sees a generator count.

Load headroom by the best evidence there is: the load capacity of a feeder in the street, else what
the nearest in-service substation has left, which bounds the parcel from above, else unknown.
Headroom of a substation is firm - peak - committed (the UK networks' convention for published
headroom: UK Power Networks, "primary-substation-headroom").
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.model import Plan
from geo.near import inside, nearest, shapes_of


def published(layers: dict[str, gpd.GeoDataFrame]) -> bool:
    """Say whether anything in the market's capacity layers says what the grid can still carry."""
    feeders, substations = layers.get("feeders"), layers.get("substations")
    by_feeder = feeders is not None and bool(feeders["load_headroom_kw"].notna().any())
    by_substation = substations is not None and bool(
        substations[["firm_capacity_mva", "peak_load_mva"]].notna().all(axis=1).any()
    )
    return by_feeder or by_substation


def gap(
    sites: gpd.GeoDataFrame,
    capacity: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    plan: Plan,
) -> pd.DataFrame:
    """Return each site's load headroom, with its evidence, and the gap it leaves in the target.

    `capacity` holds the layers `feeders` and `substations`, metric frame. Shortfall is
    clip(target - max(headroom, 0), 0, target); under a bound from above it is at least that and at
    most the target. Unknown headroom leaves 0 to target. Negative headroom is kept as overload.

    Worked: firm 20, peak 16, committed 3 MVA at power factor 0.95 leaves 950 kW at the most; of a
    target of 1000 kW at least 50 kW is missing.
    """
    shapes = shapes_of(sites)
    facts = pd.DataFrame(
        {
            "grid_evidence": "no layer",
            "load_headroom_kw": np.nan,
            "headroom_is_bound": False,
            "grid_source": None,
            "grid_distance_m": np.nan,
            "grid_as_of": None,
        },
        index=sites.index,
    )
    facts[["grid_source", "grid_as_of"]] = facts[["grid_source", "grid_as_of"]].astype(object)
    if "substations" in capacity:
        _by_substation(facts, shapes, capacity["substations"], coverage.get("substations"), plan)
    if "feeders" in capacity:
        _by_feeder(facts, shapes, capacity["feeders"], plan)
    headroom = facts["load_headroom_kw"]
    facts["overload_kw"] = (-headroom).clip(lower=0)
    short = (plan.target_kw - headroom.clip(lower=0)).clip(0, plan.target_kw)
    facts["shortfall_lo_kw"] = short.fillna(0.0)
    facts["shortfall_hi_kw"] = short.where(~facts["headroom_is_bound"]).fillna(plan.target_kw)
    facts["gap_class"] = np.select(
        [facts["shortfall_lo_kw"] > 0, facts["shortfall_hi_kw"] == 0],
        ["short", "covered"],
        "unknown",
    )
    return facts


def needed(shortfall_kw: pd.Series, power_kw: float, plan: Plan) -> pd.Series:
    """Return the generators that close a shortfall: ceil(shortfall / derated power) + spares.

    Worked: 850 kW short, 200 kW each, one spare: 5 + 1 = 6. Nothing short needs none.
    """
    count = np.ceil(shortfall_kw / (power_kw * plan.derate)) + plan.spares
    answer: pd.Series = count.where(shortfall_kw > 0, 0).astype(int)
    return answer


def _by_substation(
    facts: pd.DataFrame,
    shapes: np.ndarray,
    substations: gpd.GeoDataFrame,
    coverage: shapely.Geometry | None,
    plan: Plan,
) -> None:
    serving = substations[substations["status"] == "in_service"].sort_values("substation_id")
    reach = plan.grid.substation_reach_m
    found = nearest(shapes, shapes_of(serving), reach)
    seen = inside(shapes, coverage, reach)
    facts["grid_evidence"] = np.where(seen, "none", "edge of layer")
    hit = (found["other"] >= 0).to_numpy()
    rows = serving.iloc[found.loc[hit, "other"]]
    # A nearer one may stand just beyond the edge of the layer: then this one bounds nothing.
    nearest_known = inside(shapes[hit], coverage, found.loc[hit, "distance_m"].to_numpy())
    left_mva = rows["firm_capacity_mva"] - rows["peak_load_mva"]
    # A substation that does not publish what it has committed still bounds from above.
    left_mva = (left_mva - rows["committed_load_mva"].fillna(0.0)).to_numpy(dtype=float)
    silent = np.isnan(left_mva)
    left_mva = np.where(nearest_known, left_mva, np.nan)
    name = rows["name"].fillna(rows["substation_id"]).to_numpy()
    facts.loc[hit, "load_headroom_kw"] = left_mva * 1000 * plan.grid.power_factor
    facts.loc[hit, "headroom_is_bound"] = ~np.isnan(left_mva)
    facts.loc[hit, "grid_evidence"] = np.select(
        [silent, nearest_known], ["unpublished", "substation"], "edge of layer"
    )
    facts.loc[hit, "grid_source"] = name
    facts.loc[hit, "grid_distance_m"] = found.loc[hit, "distance_m"].to_numpy()
    facts.loc[hit, "grid_as_of"] = _day(rows["as_of"])


def _by_feeder(
    facts: pd.DataFrame, shapes: np.ndarray, feeders: gpd.GeoDataFrame, plan: Plan
) -> None:
    rated = feeders[feeders["load_headroom_kw"].notna()].sort_values("feeder_id")
    found = nearest(shapes, shapes_of(rated), plan.grid.feeder_reach_m)
    hit = (found["other"] >= 0).to_numpy()
    rows = rated.iloc[found.loc[hit, "other"]]
    facts.loc[hit, "load_headroom_kw"] = rows["load_headroom_kw"].to_numpy(dtype=float)
    facts.loc[hit, "headroom_is_bound"] = False
    facts.loc[hit, "grid_evidence"] = "feeder"
    facts.loc[hit, "grid_source"] = rows["feeder_id"].to_numpy()
    facts.loc[hit, "grid_distance_m"] = found.loc[hit, "distance_m"].to_numpy()
    facts.loc[hit, "grid_as_of"] = _day(rows["as_of"])


def _day(dates: pd.Series) -> np.ndarray:
    days = pd.to_datetime(dates).dt.strftime("%Y-%m-%d")
    return days.astype(object).where(days.notna(), None).to_numpy()
