"""The receptors in reach of each site, their limits, and the points where levels are measured."""

from dataclasses import dataclass, replace
from functools import cached_property

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise import rules
from geo.criteria.noise.rules import Limit
from geo.criteria.noise.sound import (
    NoiseSource,
    count_heard_machines,
    noise_reach_m,
    upper_dba,
)
from geo.model import UNCERTAIN_CLASSES, Market, NoiseRule, Plan, Raster
from geo.shapes.near import find_pairs_within, geometry_array, is_covered, unite_by_group
from geo.shapes.raster import sample_raster

MEASURED_TO_M = 100.0
"""Distances between site and receptor are exact up to this; beyond, a lower bound is enough."""
EDGE_OF_LAYER = "edge of layer"
OWN_DWELLING = "own dwelling"
RECEPTOR_COLUMNS = (
    "shape", "receptor_id", "receptor_class", "receptor_name", "certain", "limit_dba", "by_rule",
    "height_m", "beyond_m", "ambient",
)  # fmt: skip


@dataclass(frozen=True)
class ReceptorPairs:
    """The receptors in reach of each site: pairs of a site and a row of `receptors`.

    `receptors` has one row per receptor and limit that protects it (columns RECEPTOR_COLUMNS): the
    shape, name and class of the receptor, the limit, whether it is the market rule's, and where it
    is measured: `height_m` above the ground, at least `beyond_m` outside the site's own lot line
    (below 0: that far in front of the facade). `certain` is False for a row that counts only in the
    worst case: a stand-in at the edge of the receptor layer, since people may live just beyond it,
    a lot of unknown use or zone, or a limit that depends on an unknown ambient level.

    Pairs are sorted by site, with the plan's limit before the rule's, and then by `bound_db`, the
    most by which one machine anywhere on the site could exceed the limit there, loudest first.
    `away_m` is the shortest distance between site and receptor.

    `own_limit_dba` is the limit at homes on the site itself. Per site: `own_at_m` is the distance
    that the plan assumes for homes of unknown place (NaN: none), `own_unknown` marks sites with
    homes of unknown place for which the plan assumes no distance, `ambient_assumed` marks sites
    with a limit that depends on an assumed ambient level, `line` is the site's own shape, and
    `evidence` says how its neighbors are known.
    """

    receptors: pd.DataFrame
    site: np.ndarray
    row: np.ndarray
    away_m: np.ndarray
    bound_db: np.ndarray
    line: np.ndarray
    own_limit_dba: float
    own_at_m: np.ndarray
    own_unknown: np.ndarray
    ambient_assumed: np.ndarray
    evidence: np.ndarray
    known: bool

    def column(self, name: str, pair: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return a column of `receptors` for some pairs, or all."""
        return np.asarray(self._columns[name][self.row[pair]])

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        """Keep the columns of `receptors` as arrays, since they are read thousands of times."""
        return {name: self.receptors[name].to_numpy() for name in RECEPTOR_COLUMNS}

    def name(self, pair: np.ndarray) -> np.ndarray:
        """Return the class and, if it has one, the id of the receptor of some pairs, as text."""
        columns = (self.column(name, pair) for name in ("receptor_class", "receptor_id"))
        names = [
            f"{kind} {one}" if isinstance(one, str) else f"{kind}"
            for kind, one in zip(*columns, strict=True)
        ]
        return np.array(names, dtype=object)

    def take(self, kept: np.ndarray) -> "ReceptorPairs":
        """Return only some pairs, and only their receptors."""
        used, row = np.unique(self.row[kept], return_inverse=True)
        receptors = self.receptors.iloc[used].reset_index(drop=True)
        pairs = {name: getattr(self, name)[kept] for name in ("site", "away_m", "bound_db")}
        return replace(self, receptors=receptors, row=row, **pairs)


def is_named(pairs: ReceptorPairs, names: list[list[str]]) -> np.ndarray:
    """Return which pairs have a receptor that is named at their site.

    Args:
        pairs: The receptors in reach of each site.
        names: The names of some receptors, one list per site.

    Returns:
        One boolean per pair.
    """
    named = np.zeros(len(pairs.site), dtype=bool)
    for site, some in enumerate(names):
        if some:
            its = np.flatnonzero(pairs.site == site)
            named[its] = np.isin(pairs.name(its), some)
    return named


def search_reach_m(limit: Limit, rule: NoiseRule | None, sound: NoiseSource, plan: Plan) -> float:
    """Return the distance from a site within which the receptors of a limit are searched.

    It is the distance at which the machines of `count_heard_machines` could still reach the limit,
    plus the distance by which the rule moves the measuring point. For the plan's own limit it is at
    least the plan's reporting distance.

    Args:
        limit: The limit that protects the receptors.
        rule: The market's noise rule, or None.
        sound: The sound of one machine and its surroundings.
        plan: The plan, for its cap of machines, its ambient floor and its reporting distance.

    Returns:
        The distance in meters.
    """
    lowest = limit.lowest_dba(plan.noise.ambient_floor_dba)
    reach = noise_reach_m(sound, lowest, count_heard_machines(plan))
    if limit.by_rule and rule is not None:
        return reach + rule.beyond_m
    return max(reach, plan.noise.report_reach_m)


def find_receptors(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    ambient: Raster | None,
    sound: NoiseSource,
    market: Market,
    plan: Plan,
) -> ReceptorPairs:
    """Find every receptor at which a site's machines could exceed some limit.

    These are the receptors of the layer, the homes on the site itself, and stand-ins for people who
    may live beyond the edge of the layer. A receptor is included wherever the plan's cap of
    machines could reach its limit, even if something stands between, since with screening the
    nearest receptor is not always the worst.

    Args:
        sites: One row per site, in the market's metric frame.
        layers: The market's layers by name: receptors and buildings are read.
        coverage: The area that each layer covers, by name; None where that is not known.
        ambient: The ambient level in dB(A), or None.
        sound: The sound of one machine and its surroundings.
        market: The market, for its noise rule.
        plan: The plan, for its own limit and its assumptions.

    Returns:
        The pairs of site and receptor.
    """
    shapes = geometry_array(sites)
    limits = rules.list_limits(market, plan)
    rule = rules.market_noise_rule(market)
    receptors = layers.get("receptors")
    evidence = np.full(len(sites), "receptors", dtype=object)
    parts: list[tuple[np.ndarray, np.ndarray, pd.DataFrame]] = []
    if receptors is None:
        evidence[:] = "no layer"
    else:
        area = coverage.get("receptors")
        for limit in limits:
            reach = search_reach_m(limit, rule, sound, plan)
            parts.append(_protected_receptors(sites, layers, limit, rule, reach, ambient, plan))
            near_edge = np.flatnonzero(
                ~is_covered(shapes, area, reach) & _is_subject_to(sites, limit)
            )
            parts.append(_unmapped_receptors(shapes, near_edge, area, reach, limit, plan))
            evidence[near_edge] = EDGE_OF_LAYER
    own = sites["own_dwelling"].to_numpy(dtype=bool)
    home, building, placed = _homes_on_sites(shapes, own, layers.get("buildings"))
    # The rule protects neighboring land only, unless it applies at the facades of homes.
    dwellings = [
        limit
        for limit in limits
        if not limit.by_rule
        or (rule is not None and rule.position == "facade" and "home" in limit.classes)
    ]
    for limit in dwellings:
        chosen = np.flatnonzero(_is_subject_to(sites, limit)[home] & np.isfinite(limit.most_dba))
        rows = _receptor_rows(
            building[chosen],
            limit,
            limit_dba=limit.most_dba,
            height_m=plan.noise.facade_height_m,
            receptor_class=OWN_DWELLING,
        )
        parts.append((home[chosen], np.arange(len(chosen)), rows))
    unplaced = own & ~placed
    assumed = plan.assume.own_dwelling_at_m
    # Homes of unknown place on the site take precedence over the layer's edge, unless the plan
    # assumes a distance for them.
    evidence[unplaced & ((evidence == "receptors") | (assumed is None))] = "own dwelling"
    site, row, rows = _join_pairs(parts)
    away = _measure_distance_m(shapes[site], rows["shape"].to_numpy()[row])
    away = np.maximum(away + np.minimum(rows["beyond_m"].to_numpy()[row], 0.0), 0.0)
    bound = upper_dba(sound, away) - rows["limit_dba"].to_numpy()[row]
    order = np.lexsort((row, -bound, rows["by_rule"].to_numpy()[row], site))
    site, row = site[order], row[order]
    no_ambient, ambient_assumed = (
        np.isin(np.arange(len(sites)), site[(rows["ambient"] == how).to_numpy()[row]])
        for how in ("unknown", "assumed")
    )
    # An unknown ambient level takes precedence over the layer's edge.
    evidence[no_ambient & (evidence != "own dwelling")] = "ambient unknown"
    return ReceptorPairs(
        receptors=rows,
        site=site,
        row=row,
        away_m=away[order],
        bound_db=bound[order],
        line=shapes,
        own_limit_dba=float(np.nanmin([limit.most_dba for limit in dwellings])),
        own_at_m=np.where(unplaced & (assumed is not None), assumed or np.nan, np.nan),
        own_unknown=unplaced & (assumed is None),
        ambient_assumed=ambient_assumed,
        evidence=evidence,
        known=receptors is not None,
    )


def _join_pairs(
    parts: list[tuple[np.ndarray, np.ndarray, pd.DataFrame]],
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return the pairs of all limits (site, row), and one table of all their receptors."""
    start = np.cumsum([0, *(len(rows) for _, _, rows in parts)])
    site = np.concatenate([site for site, _, _ in parts]).astype(np.int32)
    row = np.concatenate(
        [row + first for (_, row, _), first in zip(parts, start[:-1], strict=True)]
    ).astype(np.int32)
    tables = [rows for _, _, rows in parts if len(rows)] or [parts[0][2]]
    types = dict.fromkeys(("limit_dba", "height_m", "beyond_m"), float) | dict.fromkeys(
        ("certain", "by_rule"), bool
    )
    return site, row, pd.concat(tables, ignore_index=True).astype(types)


def _receptor_rows(shape: np.ndarray, limit: Limit, **columns: object) -> pd.DataFrame:
    """Return rows of RECEPTOR_COLUMNS; receptors are certain unless `columns` overrides it."""
    values = {"shape": shape, "by_rule": limit.by_rule, "certain": True, "beyond_m": 0.0,
             "ambient": "known", **columns}  # fmt: skip
    return pd.DataFrame(values, index=range(len(shape))).reindex(columns=list(RECEPTOR_COLUMNS))


def _is_subject_to(sites: gpd.GeoDataFrame, limit: Limit) -> np.ndarray:
    """Return whether the limit applies to each site."""
    if not limit.emits:
        return np.ones(len(sites), dtype=bool)
    return np.asarray(sites["use_class"].isin(limit.emits), dtype=bool)


def _protected_receptors(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    limit: Limit,
    rule: NoiseRule | None,
    reach: float,
    ambient: Raster | None,
    plan: Plan,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return one limit's pairs (the sites to which it applies, the rows), and its receptors."""
    shapes = geometry_array(sites)
    receptors = layers["receptors"]
    rows = receptors[receptors["receptor_class"].isin(limit.classes)]
    receptor_shapes = geometry_array(rows)
    beyond, height = 0.0, plan.noise.receptor_height_m
    if limit.by_rule and rule is not None and rule.position == "beyond":
        beyond = rule.beyond_m
    if limit.by_rule and rule is not None and rule.position == "facade":
        receptor_shapes = _facades(receptor_shapes, layers.get("buildings"))
        beyond, height = -rule.beyond_m, plan.noise.facade_height_m
    level, assumed = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=bool)
    if not np.isnan(limit.above_ambient_db):
        if ambient is not None:
            level = sample_raster(ambient, shapely.point_on_surface(receptor_shapes), sites.crs)
        if plan.assume.ambient_dba is not None:
            assumed = np.isnan(level)
            level = np.where(assumed, plan.assume.ambient_dba, level)
    floor = plan.noise.ambient_floor_dba
    most = limit.at_ambient_dba(level, floor)
    unknown = np.isnan(most)
    receptor_rows = _receptor_rows(
        receptor_shapes,
        limit,
        # Where the ambient level is unknown, use the lowest limit, in the worst case only.
        limit_dba=np.where(unknown, limit.lowest_dba(floor), most),
        height_m=height,
        receptor_class=rows["receptor_class"].to_numpy(),
        receptor_id=rows["receptor_id"].to_numpy(),
        receptor_name=rows["name"].to_numpy(),
        # A lot of unknown use or zone is not certain to have a receptor either.
        certain=~unknown & ~rows["receptor_class"].isin(UNCERTAIN_CLASSES).to_numpy(),
        beyond_m=beyond,
        ambient=np.select([unknown, assumed], ["unknown", "assumed"], "known"),
    )
    site, other = _find_pairs_in_reach(shapes, receptor_shapes, reach)
    own = rows["site_id"].to_numpy()[other] == sites["site_id"].to_numpy()[site]
    # The site's own lot is not a neighbor. A receptor that is a point on it counts as one, for the
    # plan's limit only.
    point = shapely.get_type_id(geometry_array(rows))[other] == shapely.GeometryType.POINT
    kept = _is_subject_to(sites, limit)[site] & ~(own & (limit.by_rule | ~point))
    return site[kept], other[kept], receptor_rows


def _measure_box_distances_m(shapes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the least and the greatest distance between two boxes around shapes, pair by pair."""
    one, other = shapely.bounds(shapes), shapely.bounds(others)
    least = np.maximum(one[:, :2] - other[:, 2:], other[:, :2] - one[:, 2:]).clip(0.0)
    greatest = np.maximum(one[:, 2:] - other[:, :2], other[:, 2:] - one[:, :2])
    return np.hypot(*least.T), np.hypot(*greatest.T)


def _measure_distance_m(shapes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance of each pair of shapes where they are near, else a lower bound on it."""
    away_m, _ = _measure_box_distances_m(shapes, others)
    near = np.flatnonzero(~(away_m > MEASURED_TO_M))
    away_m[near] = shapely.distance(shapes[near], others[near])
    return away_m


def _find_pairs_in_reach(
    shapes: np.ndarray, others: np.ndarray, reach_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of shapes within reach, as positions; most are decided by their boxes."""
    box = shapely.bounds(shapes)
    grown = shapely.box(*(box + np.array([-1, -1, 1, 1]) * reach_m).T)
    pair, other = shapely.STRtree(others).query(grown)
    least, greatest = _measure_box_distances_m(shapes[pair], others[other])
    within = greatest <= reach_m
    unsure = np.flatnonzero(~within & (least <= reach_m))
    within[unsure] = shapely.dwithin(shapes[pair[unsure]], others[other[unsure]], reach_m)
    return pair[within], other[within]


def _facades(lots: np.ndarray, buildings: gpd.GeoDataFrame | None) -> np.ndarray:
    """Return each lot's buildings in place of the lot, where any are mapped on it."""
    footprints = geometry_array(buildings)
    lot, building = find_pairs_within(lots, shapely.point_on_surface(footprints), 0.0)
    housed = unite_by_group(footprints[building], lot, len(lots))
    return np.where(shapely.is_empty(housed), lots, housed)


def _unmapped_receptors(
    shapes: np.ndarray,
    near_edge: np.ndarray,
    area: shapely.Geometry | None,
    reach: float,
    limit: Limit,
    plan: Plan,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return stand-ins for receptors that may be beyond the layer's edge, one per site near it."""
    beyond = shapes[near_edge]
    if area is not None:
        beyond = shapely.difference(shapely.buffer(beyond, reach, quad_segs=4), area)
    unmapped = ~shapely.is_empty(beyond)
    rows = _receptor_rows(
        beyond[unmapped],
        limit,
        limit_dba=limit.lowest_dba(plan.noise.ambient_floor_dba),
        height_m=plan.noise.receptor_height_m,
        receptor_class=EDGE_OF_LAYER,
        certain=False,
    )
    return near_edge[unmapped], np.arange(len(rows)), rows


def _homes_on_sites(
    shapes: np.ndarray, own: np.ndarray, buildings: gpd.GeoDataFrame | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the buildings (site, shape) on sites with homes, and whether each site has any."""
    footprints = geometry_array(buildings)
    home, building = find_pairs_within(shapes, footprints, 0.0)
    overlap = shapely.area(shapely.intersection(shapes[home], footprints[building]))
    on_site = own[home] & (overlap > 0.5 * shapely.area(footprints[building]))
    placed = np.zeros(len(shapes), dtype=bool)
    placed[home[on_site]] = True
    return home[on_site], footprints[building[on_site]], placed
