"""Who hears each site, what each of them may hear, and where that is measured."""

from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise import rules
from geo.criteria.noise.rules import Limit
from geo.criteria.noise.sound import Sound, reach_m, upper_dba
from geo.model import Market, NoiseRule, Plan, Raster
from geo.near import gather, inside, shapes_of, within
from geo.raster import at

PAIR_FIELDS = (
    "site", "shape", "receptor_id", "receptor_class", "receptor_name", "certain", "limit_dba",
    "by_rule", "away_m", "bound_db", "height_m", "beyond_m",
)  # fmt: skip


@dataclass(frozen=True)
class Hearers:
    """Who hears each site, a row per site, receptor and limit.

    Sorted by site, the plan's limit before the rule's, and by `bound_db`: how far one machine
    anywhere on the site could at most be over the limit there, loudest first; `away_m` is how far
    it is from the site at the least. `beyond_m` is how far
    the receiving point lies outside the site's own line at least (below 0: before the facade).

    `certain` is False for whoever counts at worst and not at best: a stand-in at the edge of the
    receptor layer, since somebody may live just beyond it, or a limit that rests on an ambient
    level that is not known. Per site: `own_at_m` is the distance the plan assumes to homes on the
    site itself whose place is not known (NaN: none), `own_unknown` marks those neither placed nor
    assumed, `ambient_assumed` those with a limit on an ambient level that the plan assumes, `line`
    the site's own shape.
    """

    site: np.ndarray
    shape: np.ndarray
    receptor_id: np.ndarray
    receptor_class: np.ndarray
    receptor_name: np.ndarray
    certain: np.ndarray
    limit_dba: np.ndarray
    by_rule: np.ndarray
    away_m: np.ndarray
    bound_db: np.ndarray
    height_m: np.ndarray
    beyond_m: np.ndarray
    line: np.ndarray
    own_at_m: np.ndarray
    own_unknown: np.ndarray
    ambient_assumed: np.ndarray
    evidence: np.ndarray
    known: bool

    def surely(self) -> "Hearers":
        """Return those who hear for certain alone."""
        return replace(self, **{name: getattr(self, name)[self.certain] for name in PAIR_FIELDS})


def hearers(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    ambient: Raster | None,
    sound: Sound,
    market: Market,
    plan: Plan,
) -> Hearers:
    """Return who could hear each site above some limit: receptors, own homes, the layer's edge.

    A receptor is looked at wherever the plan's cap of machines could reach its limit, behind
    whatever screens: with screening the nearest is not always the worst.
    """
    shapes = shapes_of(sites)
    running = max(plan.cap - plan.spares, 1)
    limits = rules.limits(market, plan)
    rule = rules.rule_of(market)
    receptors = layers.get("receptors")
    evidence = np.full(len(sites), "receptors", dtype=object)
    parts: list[pd.DataFrame] = []
    if receptors is None:
        evidence[:] = "no layer"
    else:
        for limit in limits:
            lowest = limit.lowest_dba(plan.noise.ambient_floor_dba)
            reach = reach_m(sound, lowest, running)
            if not limit.by_rule:
                reach = max(reach, plan.noise.report_reach_m)
            parts.append(_heard(sites, layers, limit, rule, reach, ambient, plan))
            near_edge = np.flatnonzero(~inside(shapes, coverage.get("receptors"), reach))
            near_edge = near_edge[_emits(sites, limit)[near_edge]]
            parts.append(
                _beyond(shapes, near_edge, coverage.get("receptors"), reach, limit, lowest, plan)
            )
            evidence[near_edge] = "edge of layer"
    own = sites["own_dwelling"].to_numpy(dtype=bool)
    homes, placed = _own_homes(shapes, own, layers.get("buildings"), plan)
    # The rule is about other people's land, unless it is about dwellings.
    at_home = rule is not None and rule.position == "facade"
    parts += [
        homes.assign(limit_dba=limit.most_dba, by_rule=limit.by_rule)
        for limit in limits
        if not limit.by_rule or at_home
    ]
    unplaced = own & ~placed
    assumed = plan.assume.own_dwelling_at_m
    # Homes of unknown place on the site decide, whoever else may live beyond the edge.
    evidence[unplaced & ((evidence == "receptors") | (assumed is None))] = "own dwelling"
    table = pd.concat([part for part in parts if len(part)] or [homes], ignore_index=True)
    table = table.reindex(columns=[*PAIR_FIELDS, "ambient"])
    site = table["site"].to_numpy(dtype=np.intp)
    away = shapely.distance(shapes[site], table["shape"].to_numpy(dtype=object))
    away = np.maximum(away + np.minimum(table["beyond_m"].to_numpy(dtype=float), 0.0), 0.0)
    table["away_m"] = away
    table["bound_db"] = upper_dba(sound, away) - table["limit_dba"].to_numpy(dtype=float)
    order = np.lexsort((np.arange(len(table)), -table["bound_db"], table["by_rule"], site))
    table = table.iloc[order]
    no_ambient, ambient_assumed = (
        np.isin(np.arange(len(sites)), table.loc[table["ambient"] == how, "site"].astype(int))
        for how in ("unknown", "assumed")
    )
    evidence[no_ambient & (evidence == "receptors")] = "ambient unknown"
    types = {"site": np.intp, "certain": bool, "limit_dba": float, "by_rule": bool, "away_m": float,
             "bound_db": float, "height_m": float, "beyond_m": float}  # fmt: skip
    return Hearers(
        **{name: table[name].to_numpy(dtype=types.get(name, object)) for name in PAIR_FIELDS},
        line=shapes,
        own_at_m=np.where(unplaced & (assumed is not None), assumed or np.nan, np.nan),
        own_unknown=unplaced & (assumed is None),
        ambient_assumed=ambient_assumed,
        evidence=evidence,
        known=receptors is not None,
    )


def _emits(sites: gpd.GeoDataFrame, limit: Limit) -> np.ndarray:
    """Say which sites the limit is about."""
    if not limit.emits:
        return np.ones(len(sites), dtype=bool)
    return np.asarray(sites["use_class"].isin(limit.emits), dtype=bool)


def _heard(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    limit: Limit,
    rule: NoiseRule | None,
    reach: float,
    ambient: Raster | None,
    plan: Plan,
) -> pd.DataFrame:
    """Return the receptors that one limit protects, within reach of each site it is about."""
    shapes = shapes_of(sites)
    receptors = layers["receptors"]
    rows = receptors[receptors["receptor_class"].isin(limit.classes)]
    at_facade = limit.by_rule and rule is not None and rule.position == "facade"
    heard = shapes_of(rows)
    beyond, height = 0.0, plan.noise.receptor_height_m
    if limit.by_rule and rule is not None and rule.position == "beyond":
        beyond = rule.beyond_m
    if at_facade and rule is not None:
        heard = _facades(heard, layers.get("buildings"))
        beyond, height = -rule.beyond_m, plan.noise.facade_height_m
    site, other = within(shapes, heard, reach)
    kept = _emits(sites, limit)[site]
    own = rows["site_id"].to_numpy()[other] == sites["site_id"].to_numpy()[site]
    site, other = site[kept & ~own], other[kept & ~own]
    some = rows.iloc[other]
    level, assumed = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=bool)
    if not np.isnan(limit.above_ambient_db):
        if ambient is not None:
            level = at(ambient, shapely.point_on_surface(heard), sites.crs)
        if plan.assume.ambient_dba is not None:
            assumed = np.isnan(level)
            level = np.where(assumed, plan.assume.ambient_dba, level)
    floor = plan.noise.ambient_floor_dba
    most = limit.at(level, floor)
    unknown = np.isnan(most)
    return pd.DataFrame(
        {
            "site": site,
            "shape": heard[other],
            "receptor_id": some["receptor_id"].to_numpy(),
            "receptor_class": some["receptor_class"].to_numpy(),
            "receptor_name": some["name"].to_numpy(),
            # Where nobody knows the ambient level: the lowest it can be, at worst alone.
            "certain": ~unknown[other],
            "limit_dba": np.where(unknown, limit.lowest_dba(floor), most)[other],
            "by_rule": limit.by_rule,
            "height_m": height,
            "beyond_m": beyond,
            "ambient": np.select([unknown, assumed], ["unknown", "assumed"], "known")[other],
        }
    )


def _facades(lots: np.ndarray, buildings: gpd.GeoDataFrame | None) -> np.ndarray:
    """Return each lot's buildings in place of the lot, where any is mapped on it."""
    footprints = shapes_of(buildings)
    lot, building = within(lots, shapely.point_on_surface(footprints), 0.0)
    housed = gather(footprints[building], lot, len(lots))
    return np.where(shapely.is_empty(housed), lots, housed)


def _beyond(
    shapes: np.ndarray,
    near_edge: np.ndarray,
    area: shapely.Geometry | None,
    reach: float,
    limit: Limit,
    lowest_dba: float,
    plan: Plan,
) -> pd.DataFrame:
    """Return a stand-in for whoever may hear beyond the edge of the layer."""
    beyond = shapes[near_edge]
    if area is not None:
        beyond = shapely.difference(shapely.buffer(beyond, reach, quad_segs=4), area)
    frame = pd.DataFrame(
        {
            "site": near_edge,
            "shape": beyond,
            "receptor_class": "edge of layer",
            "certain": False,
            "limit_dba": lowest_dba,
            "by_rule": limit.by_rule,
            "height_m": plan.noise.receptor_height_m,
            "beyond_m": 0.0,
        }
    )
    there: pd.DataFrame = frame.loc[~shapely.is_empty(beyond)]
    return there


def _own_homes(
    shapes: np.ndarray, own: np.ndarray, buildings: gpd.GeoDataFrame | None, plan: Plan
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the buildings of sites with homes of their own, and which sites have any mapped."""
    footprints = shapes_of(buildings)
    home, building = within(shapes, footprints, 0.0)
    overlap = shapely.area(shapely.intersection(shapes[home], footprints[building]))
    here = own[home] & (overlap > 0.5 * shapely.area(footprints[building]))
    placed = np.zeros(len(shapes), dtype=bool)
    placed[home[here]] = True
    frame = pd.DataFrame(
        {
            "site": home[here],
            "shape": footprints[building[here]],
            "receptor_class": "own dwelling",
            "certain": True,
            "height_m": plan.noise.facade_height_m,
            "beyond_m": 0.0,
        }
    )
    return frame, placed
