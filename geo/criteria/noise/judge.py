"""The level of a placement at its governing receptor, according to the full ISO 9613-2 model.

To save work, a receptor is skipped if an upper bound shows that it could not be the worst even with
nothing in the way. Every level that is printed, or that decides, comes from the full model.

The module is over 400 lines long; it will be rebuilt together with sizing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise.receptors import ReceptorPairs
from geo.criteria.noise.sound import (
    WALL_OFFSET_M,
    NoiseSource,
    level_dba,
    open_field_dba,
    remove_obstacles,
    upper_dba,
    upper_walled_dba,
)
from geo.equipment.block import locate_machines
from geo.model import Generator, Plan
from geo.propagation.band_energy import NEAREST_M
from geo.shapes.ragged import positions_in_groups

EDGE_OF_LAYER = "edge of layer"
# These stand for a receptor: none within reach; homes on the site, at an assumed distance.
NO_RECEPTOR, OWN_DWELLING = -1, -2
ON_LINE_M = 0.01  # a point nearer than this to the site's line counts as on it
FIRST_BATCH = 2  # receptors of each placement evaluated first, then twice as many each time
LevelOf = Callable[[NoiseSource, np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
MAX_RAYS = 400_000  # machines times receivers in one batch, so that memory stays small


@dataclass(frozen=True)
class _Case:
    """The placements and the receptors within their reach."""

    placed: pd.DataFrame
    pairs: ReceptorPairs
    sound: NoiseSource
    generator: Generator
    plan: Plan

    @cached_property
    def running(self) -> np.ndarray:
        """The number of machines that run at each placement."""
        return np.asarray(self.placed["count"])

    @cached_property
    def louder_db(self) -> np.ndarray:
        """The level of each unit's machines above that of one machine, dB; -inf where none runs."""
        with np.errstate(divide="ignore"):
            return np.asarray(10 * np.log10(np.repeat(self.running, 2)))


@dataclass
class _WorstReceptors:
    """The highest excess found so far, the receptor and its distance, by unit.

    A unit is a placement and a kind of limit: 2 i for the plan's limit, 2 i + 1 for the rule's.
    """

    over: np.ndarray
    pair: np.ndarray
    away: np.ndarray

    def take(
        self, unit: np.ndarray, pair: np.ndarray, excess_db: np.ndarray, away: np.ndarray
    ) -> None:
        """Keep the receptor with the highest excess of each unit; ties go to the first pair."""
        order = np.lexsort((pair, -excess_db, unit))
        worst = order[np.unique(unit[order], return_index=True)[1]]
        at, excess = unit[worst], excess_db[worst]
        is_tie_before = (excess == self.over[at]) & (pair[worst] < self.pair[at])
        more = (excess > self.over[at]) | is_tie_before
        at, worst = at[more], worst[more]
        self.over[at], self.pair[at], self.away[at] = excess_db[worst], pair[worst], away[worst]


class _Query(NamedTuple):
    """Placements `of` (N,), the points `xy` (N, 2) where each is measured, and the `pair` (N,)."""

    of: np.ndarray
    xy: np.ndarray
    pair: np.ndarray


def judge_placements(
    placed: pd.DataFrame,
    pairs: ReceptorPairs,
    sound: NoiseSource,
    generator: Generator,
    plan: Plan,
    give_up_db: np.ndarray | None = None,
    first: np.ndarray | None = None,
    *,
    thorough: bool = False,
) -> pd.DataFrame:
    """Compute each placement's margins to the plan's and the rule's limits, and what governs it.

    Args:
        placed: One row per placement: site, x, y, count (running machines), rows, columns,
            length_m, width_m and degrees.
        pairs: The receptors in reach of each site.
        sound: The sound of one machine and its surroundings.
        generator: The generator.
        plan: The plan.
        give_up_db: Per placement, the excess (dB) beyond which it need not be computed further; its
            margin_db is then -inf. When given, only margin_db is complete.
        first: Per placement, a receptor pair that is likely to govern (NO_RECEPTOR: none). It is
            computed first, since it usually rules out most of the others.
        thorough: Compute every receptor; this is slower and gives the same answer.

    Returns:
        One row per placement: margin_plan_db and margin_rule_db (inf: no receptor), margin_db (the
        lower of the two), receptor (a position in `pairs`, NO_RECEPTOR, or OWN_DWELLING for homes
        at the distance that the plan assumes), and at that receptor level_dba, limit_dba,
        receptor_distance_m and floored (whether a machine is nearer to it than NEAREST_M).
    """
    case = _Case(placed, pairs, sound, generator, plan)
    tally = _find_worst(case, give_up_db, first, thorough=thorough)
    over, worst_pair, away = (each.reshape(-1, 2) for each in (tally.over, tally.pair, tally.away))
    margin = -over
    own = pairs.own_at_m[placed["site"].to_numpy()]
    own_level = _level_at_assumed_distance(own, case.running, sound, plan)
    own_margin = np.where(np.isnan(own), np.inf, pairs.own_limit_dba - own_level)
    rule = margin[:, 1] < np.minimum(margin[:, 0], own_margin)
    receptor = np.where(rule, worst_pair[:, 1], worst_pair[:, 0])
    at_own = ~rule & (own_margin < margin[:, 0])
    receptor[at_own] = OWN_DWELLING
    margin[:, 0] = np.minimum(margin[:, 0], own_margin)
    least = margin.min(axis=1)
    if give_up_db is not None:
        least = np.where(over.max(axis=1) > give_up_db, -np.inf, least)
    named = receptor >= 0
    limit = np.where(at_own, pairs.own_limit_dba, np.nan)
    limit[named] = pairs.column("limit_dba", receptor[named])
    distance = np.where(rule, away[:, 1], away[:, 0])
    distance = np.where(at_own, own, np.where(named, distance, np.nan))
    return pd.DataFrame(
        {
            "margin_plan_db": margin[:, 0],
            "margin_rule_db": margin[:, 1],
            "margin_db": least,
            "receptor": receptor,
            "level_dba": np.where(np.isfinite(limit), limit - least, np.nan),
            "limit_dba": limit,
            "receptor_distance_m": distance,
            "floored": False if give_up_db is not None else _is_distance_floored(case, receptor),
        },
        index=placed.index,
    )


def meets_limits(
    placed: pd.DataFrame,
    pairs: ReceptorPairs,
    sound: NoiseSource,
    generator: Generator,
    plan: Plan,
    first: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Check whether each placement meets every limit, and stop as soon as that is decided.

    Args:
        placed: The placements, as in `judge_placements`.
        pairs: The receptors in reach of each site.
        sound: The sound of one machine and its surroundings.
        generator: The generator.
        plan: The plan.
        first: Per placement, the receptor pair to compute first (NO_RECEPTOR: none).

    Returns:
        Whether each placement meets every limit, and a receptor pair whose limit it exceeds
        (NO_RECEPTOR where it exceeds none).
    """
    case = _Case(placed, pairs, sound, generator, plan)
    tally = _find_worst(case, np.zeros(len(placed)), first, enough=True)
    own = pairs.own_at_m[placed["site"].to_numpy()]
    own_level = _level_at_assumed_distance(own, case.running, sound, plan)
    quiet = (tally.over <= 0).reshape(-1, 2).all(axis=1)
    by_rule = tally.over[1::2] > np.maximum(tally.over[0::2], 0.0)
    exceeded_pair = np.where(
        by_rule, tally.pair[1::2], np.where(tally.over[0::2] > 0, tally.pair[0::2], NO_RECEPTOR)
    )
    return quiet & ~(own_level > pairs.own_limit_dba), exceeded_pair


def _is_distance_floored(case: _Case, receptor: np.ndarray) -> np.ndarray:
    """Mark placements with a machine nearer to its receptor than a point source may be."""
    named = np.flatnonzero(receptor >= 0)
    pads, pair = case.placed.iloc[named], receptor[named]
    x, y, site = (pads[name].to_numpy() for name in ("x", "y", "site"))
    at = receiver_points(x, y, pair, site, case.pairs)
    up = case.pairs.column("height_m", pair) - case.sound.source_height_m
    of, mx, my = locate_machines(pads, case.generator, case.plan)
    away = np.sqrt((at[of, 0] - mx) ** 2 + (at[of, 1] - my) ** 2 + up[of] ** 2)
    floored = np.zeros(len(receptor), dtype=bool)
    floored[named[of[away < NEAREST_M]]] = True
    return floored


def level_at_receptor(
    placed: pd.DataFrame,
    receptor: np.ndarray,
    pairs: ReceptorPairs,
    sound: NoiseSource,
    generator: Generator,
    plan: Plan,
) -> np.ndarray:
    """Compute each placement's level at one given receptor.

    Args:
        placed: The placements, as in `judge_placements`.
        receptor: Per placement, the receptor's position in `pairs`.
        pairs: The receptors in reach of each site.
        sound: The sound of one machine and its surroundings.
        generator: The generator.
        plan: The plan.

    Returns:
        The levels in dB(A), one per placement.
    """
    x, y, site = (placed[name].to_numpy() for name in ("x", "y", "site"))
    at = receiver_points(x, y, receptor, site, pairs)
    each = np.arange(len(placed))
    case = _Case(placed, pairs, sound, generator, plan)
    return _levels_dba(case, _Query(each, at, receptor))


def receiver_points(
    x: np.ndarray, y: np.ndarray, pair: np.ndarray, site: np.ndarray, pairs: ReceptorPairs
) -> np.ndarray:
    """Find where the sound of a pad centered at (x, y) is measured for each receptor pair.

    It is the nearest point of the receiving lot or facade, moved straight away from the pad until
    it is as far outside the site's own line as the rule requires, or as far in front of the facade.
    A receptor on the site itself stays where it is. For example, for a lot line 10 m east of the
    pad that is the site's own line, the level is measured 7.62 m beyond it: at 17.62 m.

    Args:
        x: Eastings of the pads' centers (N,), meters.
        y: Northings of the pads' centers (N,), meters.
        pair: Positions in `pairs` (N,).
        site: The sites' positions (N,).
        pairs: The receptors in reach of each site.

    Returns:
        The points (N, 2), meters.
    """
    center = shapely.points(x, y)
    shape = pairs.column("shape", pair)
    point = shapely.get_point(shapely.shortest_line(center, shape), 1)
    at = np.column_stack((shapely.get_x(point), shapely.get_y(point)))
    beyond = pairs.column("beyond_m", pair)
    moved = np.flatnonzero(beyond != 0)
    if len(moved):
        start = np.column_stack((x, y))[moved]
        ray = at[moved] - start
        length = np.hypot(*ray.T)
        lot = pairs.line[site[moved]]
        outside = shapely.distance(point[moved], lot)
        within = (outside == 0) & (
            shapely.distance(point[moved], shapely.boundary(lot)) > ON_LINE_M
        )
        by = np.where(beyond[moved] > 0, np.maximum(beyond[moved] - outside, 0.0), beyond[moved])
        by = np.where(within & (by > 0), 0.0, by)
        by = np.maximum(by, -length)
        along = np.divide(ray, length[:, None], out=np.zeros_like(ray), where=length[:, None] > 0)
        at[moved] += along * by[:, None]
    return at


def _find_worst(
    case: _Case,
    give_up_db: np.ndarray | None = None,
    first: np.ndarray | None = None,
    *,
    enough: bool = False,
    thorough: bool = False,
) -> _WorstReceptors:
    """Return the highest excess of each placement over each kind of limit, and the receptor.

    Receptors are computed loudest bound first, a few of each placement at a time, until no other
    could be worse; the receptor named `first` comes before them all. A placement is finished once
    a receptor exceeds its limit by more than `give_up_db`; with `enough`, once any receptor
    exceeds its limit or no remaining receptor could.
    """
    pairs, placed = case.pairs, case.placed
    count = len(placed)
    tally = _WorstReceptors(
        over=np.full(2 * count, -np.inf),
        pair=np.full(2 * count, NO_RECEPTOR),
        away=np.full(2 * count, np.nan),
    )
    over, louder_db = tally.over, case.louder_db
    key = 2 * pairs.site + pairs.column("by_rule")
    unit_key = (2 * placed["site"].to_numpy()[:, None] + np.arange(2)).ravel()
    start, stop = (np.searchsorted(key, unit_key, side) for side in ("left", "right"))

    def could(unit: np.ndarray, bound_db: np.ndarray) -> np.ndarray:
        """Return for which units a bound on one machine's excess could still change the answer."""
        if thorough:
            return np.ones(len(unit), dtype=bool)
        # Where a placement may be given up, only the worse of the two kinds of limit matters.
        least = over[unit] if give_up_db is None else np.maximum(over[unit], over[unit ^ 1])
        return np.asarray(bound_db + louder_db[unit] > (np.maximum(least, 0) if enough else least))

    if first is not None and not thorough:
        named = np.flatnonzero((first >= 0) & (placed["count"].to_numpy() > 0))
        pair = first[named]
        _evaluate_pairs(case, tally, 2 * named + pairs.column("by_rule", pair), pair, could)
    look = FIRST_BATCH
    waiting = np.flatnonzero((stop > start) & np.isfinite(louder_db))
    while len(waiting):
        # The next pair of each unit has the highest bound of the pairs that are left.
        waiting = waiting[could(waiting, pairs.bound_db[start[waiting]])]
        if give_up_db is not None and not thorough:
            lost = np.maximum(over[0::2], over[1::2]) > give_up_db
            waiting = waiting[~lost[waiting // 2]]
        times = np.minimum(stop[waiting] - start[waiting], look)
        unit = np.repeat(waiting, times)
        pair = np.repeat(start[waiting], times) + positions_in_groups(times)
        start[waiting] += times
        waiting = waiting[start[waiting] < stop[waiting]]
        look *= 2
        may = could(unit, pairs.bound_db[pair])
        _evaluate_pairs(case, tally, unit[may], pair[may], could, thorough=thorough)
    return tally


def _evaluate_pairs(
    case: _Case,
    tally: _WorstReceptors,
    unit: np.ndarray,
    pair: np.ndarray,
    could: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    thorough: bool = False,
) -> None:
    """Compute each unit's level at a receptor, wherever it could still matter, and tally it."""
    of = unit // 2
    x, y, site = (case.placed[name].to_numpy()[of] for name in ("x", "y", "site"))
    half = np.hypot(*case.placed[["length_m", "width_m"]].to_numpy()[of].T) / 2
    limit_dba = case.pairs.column("limit_dba", pair)
    at = receiver_points(x, y, pair, site, case.pairs)
    distance = np.hypot(at[:, 0] - x, at[:, 1] - y)
    nearest = distance - half
    most = upper_dba(case.sound, np.maximum(nearest, 0.0))
    may = could(unit, most - limit_dba)
    if case.sound.wall_height_m is not None and not thorough:
        # Levels behind a wall are far below that bound, so compute a tighter one.
        chosen = np.flatnonzero(may)
        most = _levels_dba(case, _Query(of[chosen], at[chosen], pair[chosen]), upper_walled_dba)
        may[chosen] = could(unit[chosen], most - limit_dba[chosen] - case.louder_db[unit[chosen]])
    level = _levels_dba(case, _Query(of[may], at[may], pair[may]))
    # Round off digits that do not matter, so that ties do not depend on the batches.
    excess = np.round(level - limit_dba[may], 9)
    tally.take(unit[may], pair[may], excess, distance[may])


def _levels_dba(case: _Case, query: _Query, walled_dba: LevelOf = level_dba) -> np.ndarray:
    """Return the level of each queried placement at its measuring point.

    `walled_dba` is the level of one machine, or a bound on it, where a noise wall surrounds it.
    """
    pairs = case.pairs
    level, height = np.empty(len(query.of)), pairs.column("height_m", query.pair)
    # Beyond the layer's edge a receptor may be anywhere, so no obstacle certainly stands between.
    edge = pairs.column("receptor_class", query.pair) == EDGE_OF_LAYER
    for chosen in (edge, ~edge):
        if chosen.any():
            surroundings, one_dba = case, walled_dba
            if chosen is edge:
                surroundings, one_dba = replace(case, sound=remove_obstacles(case.sound)), level_dba
            level[chosen] = _add_machines(
                surroundings, query.of[chosen], query.xy[chosen], height[chosen], one_dba
            )
    return level


def _add_machines(
    case: _Case, of: np.ndarray, at: np.ndarray, height_m: np.ndarray, one_dba: LevelOf
) -> np.ndarray:
    """Return the level of placement `of[i]` at the point `at[i]`: the sum over its machines."""
    placed, sound = case.placed, case.sound
    size = case.running[of]
    last = np.cumsum(size)
    total_dba = np.empty(len(of))
    begin = 0
    while begin < len(of):
        done = last[begin - 1] if begin else 0
        end = max(int(np.searchsorted(last, done + MAX_RAYS, "right")), begin + 1)
        part = slice(begin, end)
        pads = placed.iloc[of[part]]
        ray, mx, my = locate_machines(pads, case.generator, case.plan)
        pads = pads.iloc[ray]
        source = np.column_stack((mx, my, np.full(len(ray), sound.source_height_m)))
        receiver = np.column_stack((at[part][ray], height_m[part][ray]))
        wall = None
        if sound.wall_height_m is not None:
            wall = _wall_distance_m(pads, source, receiver)
        energy = 10 ** (one_dba(sound, source, receiver, wall) / 10)
        total_dba[part] = 10 * np.log10(np.bincount(ray, weights=energy, minlength=end - begin))
        begin = end
    return total_dba


def _wall_distance_m(pad: pd.DataFrame, source: np.ndarray, receiver: np.ndarray) -> np.ndarray:
    """Return how far from each source the straight path crosses the wall around its pad.

    For example, for a machine at the middle of a 4 by 4 m pad with the wall 1 m outside: 3 m.
    """
    angle = np.radians(pad["degrees"].to_numpy())
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    center = pad[["x", "y"]].to_numpy()
    inner = np.einsum("ijk,kj->ki", turn, source[:, :2] - center)
    ray = np.einsum("ijk,kj->ki", turn, receiver[:, :2] - source[:, :2])
    length = np.hypot(*ray.T)
    reach = pad[["length_m", "width_m"]].to_numpy() / 2 + WALL_OFFSET_M
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = (np.where(ray > 0, reach, -reach) - inner) / ray
    share = np.where(ray == 0, np.inf, share).min(axis=1)
    # If the receiver is right above the source, the path has no length in plan.
    return np.where(length > 0, share * np.where(length > 0, length, 1.0), 0.0)


def _level_at_assumed_distance(
    away_m: np.ndarray, running: np.ndarray, sound: NoiseSource, plan: Plan
) -> np.ndarray:
    """Return the level at homes at the assumed distance, with nothing in the way."""
    level = np.full(len(away_m), -np.inf)
    known = ~np.isnan(away_m) & (running > 0)
    if known.any():
        one = open_field_dba(sound, away_m[known], plan.noise.facade_height_m)
        level[known] = one + 10 * np.log10(running[known])
    return level
