"""The only place where the criteria meet: the largest deployment that each site carries.

Noise needs a place, the place needs n, and the best place needs noise. So n is feasible where some
placement of n machines on the ground holds the noise limit, and the largest n is found by bisection
over all sites in lockstep. Fuel then bounds n from its own side.
"""

from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import block as blocks
from geo.criteria import noise, pad
from geo.model import LIMITING, Generator, Plan
from geo.near import compass, shapes_of

CANDIDATES = 6  # placements judged in full, of those that keep farthest from who hears them
CANDIDATES_HARD = 24  # ... where those few do not hold the limit
SPOTS = 40  # places of the parcel that are tried then, of those far enough away
# A long block broadside to a neighbour is quieter than as many machines at one point, by at most
# 0.7 dB (25 in a row, 30 m away): so far inside that distance it is worth looking.
NEARER = 0.92
SLACK_MOST_M = 6.4
SLACK_STEPS = 6  # halvings of it: 0.1 m


@dataclass(frozen=True)
class Scene:
    """Ground, neighbours and the limit held to, with the shape that each site keeps away from."""

    ground: pad.Ground
    heard: noise.Hearers
    limit_dba: float
    loud_worst: np.ndarray
    loud_best: np.ndarray
    spots_worst: noise.Spots
    spots_best: noise.Spots
    generator: Generator
    plan: Plan

    def loud(self, *, worst: bool) -> np.ndarray:
        """Return per site who hears it, with those who may stand beyond the edge or without."""
        return self.loud_worst if worst else self.loud_best

    def spots(self, *, worst: bool) -> noise.Spots:
        """Return the places all over each parcel, measured from `loud`."""
        return self.spots_worst if worst else self.spots_best


@dataclass(frozen=True)
class Siting:
    """What ground and neighbours allow at each site, before any fuel.

    Installed machines, 0 to the plan's cap: `pad_n` by the ground alone, `pad_lo` the same with
    ground that is only taken as bare failing; `place_lo`, `place_hi` by ground and neighbours
    together, every unknown failing and passing; `noise_n` by the neighbours alone, at the parcel's
    quietest spot, `quietest_m` away from them (`quietest_best_m` without the unknown ones).
    """

    scene: Scene
    pad_n: np.ndarray
    pad_lo: np.ndarray
    place_lo: np.ndarray
    place_hi: np.ndarray
    noise_n: np.ndarray
    quietest_m: np.ndarray
    quietest_best_m: np.ndarray


def siting(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    generator: Generator,
    plan: Plan,
    barrier_db: float = 0.0,
) -> Siting:
    """Find how many machines each site's ground takes, and how many its neighbours let run there.

    `barrier_db` is what a wall takes off every level (a lever; 0 for none).
    """
    heard = noise.hearers(sites, layers, coverage, generator, plan)
    parcels = shapes_of(sites)
    loud_worst, loud_best = (
        noise.exposure(heard, len(sites), worst=worst) for worst in (True, False)
    )
    spots = noise.spots(parcels, loud_worst, heard.reach_m)
    everyone_is_sure = bool(heard.certain.all())
    scene = Scene(
        ground=pad.ground(sites, layers, coverage, plan),
        heard=heard,
        limit_dba=plan.noise.limit_dba + barrier_db,
        loud_worst=loud_worst,
        loud_best=loud_best,
        spots_worst=spots,
        spots_best=spots if everyone_is_sure else noise.spots(parcels, loud_best, heard.reach_m),
        generator=generator,
        plan=plan,
    )
    pad_n = _largest(
        np.full(len(sites), plan.cap),
        lambda asked, n: pad.fits(pad.chosen(scene.ground, asked), n, generator, plan),
    )
    place_lo = _largest(
        np.minimum(pad_n, _ceiling(scene, worst=True)),
        lambda asked, n: _holds(scene, asked, n, worst=True),
    )
    place_hi = place_lo.copy()
    unsure = np.isin(np.arange(len(sites)), heard.site[~heard.certain])
    edge = np.flatnonzero(unsure & (place_lo < pad_n))
    place_hi[edge] = _largest(
        np.minimum(pad_n, _ceiling(scene, worst=False))[edge],
        lambda asked, n: _holds(scene, edge[asked], n, worst=False),
    )
    quietest, quietest_best = (
        np.fmin(scene.spots(worst=worst).quietest_m, heard.own_at_m) for worst in (True, False)
    )
    alone = noise.allowed(quietest, scene.limit_dba, generator, plan.cap)
    alone = np.maximum(_installed(alone, plan), place_lo)
    unheard = heard.own_unknown | (not heard.known)
    ground = scene.ground.facts
    bare = ground["bare"].to_numpy() & (not plan.assume.bare_parcel)
    bare |= ~ground["exclusions_known"].to_numpy()
    return Siting(
        scene=scene,
        pad_n=pad_n,
        pad_lo=np.where(bare, 0, pad_n),
        place_lo=np.where(bare | unheard, 0, place_lo),
        place_hi=place_hi if heard.known else pad_n,
        noise_n=np.where(unheard, 0, alone),
        quietest_m=quietest,
        quietest_best_m=quietest_best,
    )


def deploy(found: Siting, supply: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return for one fuel the machines each site carries, worst and best, and what stops the next.

    Columns: n_lo, n_hi; binding (`pad`, `noise`, `fuel`, `several`, `cap`) and `binding_set`, the
    criteria that it names; runner_up. Binding is the criterion whose waiver alone gives the
    largest n (ties: pad, noise, fuel); where none helps alone, the set of those that stop n + 1.
    A criterion that is not known counts as failing here, as it does in n_lo.

    Worked: ground for 12, neighbours allow 6, fuel for 10, cap 25: 6, bound by noise, then fuel.
    """
    fuel_lo = _installed(supply["fuel_n_lo"].to_numpy(), plan)
    fuel_hi = _installed(supply["fuel_n_hi"].to_numpy(), plan)
    n_lo = np.minimum(found.place_lo, fuel_lo)
    n_hi = np.minimum(found.place_hi, fuel_hi)
    waived = np.column_stack(
        (
            np.minimum(found.noise_n, fuel_lo),
            np.minimum(found.pad_lo, fuel_lo),
            found.place_lo,
        )
    )
    alone = np.column_stack((found.pad_lo, found.noise_n, fuel_lo))
    stops = alone <= n_lo[:, None]
    # Ground and neighbours can stop n + 1 together though neither does alone.
    together = (found.place_lo <= n_lo) & ~stops[:, 0] & ~stops[:, 1]
    stops[:, :2] |= together[:, None]
    gain = waived.max(axis=1) > n_lo
    lead = waived.argmax(axis=1)
    at_cap = n_lo >= plan.cap
    single = np.array(LIMITING, dtype=object)[lead]
    binding = np.select([at_cap, gain], ["cap", single], "several")
    sets = [
        " and ".join(name for name, stop in zip(LIMITING, row, strict=True) if stop)
        for row in stops
    ]
    named = np.where(binding == "several", sets, binding)
    return pd.DataFrame(
        {
            "n_lo": n_lo,
            "n_hi": np.maximum(n_lo, n_hi),
            "binding": binding,
            "binding_set": named,
            "runner_up": _runner_up(waived, lead, alone, binding, plan.cap),
        },
        index=supply.index,
    )


def describe(sites: gpd.GeoDataFrame, found: Siting, deployed: pd.DataFrame) -> pd.DataFrame:
    """Place what each site carries (n_lo, or n_hi where that is 0) and measure slack and deficit.

    Slack is what is left at n: decibels below the limit, metres of extra clearance at which n
    still fits. Short by is what n + 1 lacks, in the same units, where that criterion stops it.
    """
    scene = found.scene
    heard, generator, plan = scene.heard, scene.generator, scene.plan
    count = deployed["n_lo"].where(deployed["n_lo"] > 0, deployed["n_hi"]).to_numpy()
    below_cap = count < plan.cap
    after = count + 1
    # What is drawn only at best keeps away from who is really there.
    sure = (deployed["n_lo"] > 0).to_numpy()
    facts = _placed(sites, scene, count, sure)
    facts["pad_slack_m"] = _pad_slack(found, count)
    facts["pad_short_by_m"] = _pad_short(found, after, (found.pad_n < after) & below_cap)

    running = np.maximum(after - plan.spares, 0)
    quietest = np.where(sure, found.quietest_m, found.quietest_best_m)
    level = noise.level_dba(quietest, running, generator)
    fits = np.flatnonzero((found.pad_n >= after) & below_cap)
    best = _at_worst_or_best(scene, fits, after, sure)
    level[best.index] = best["level_dba"]
    heard_next = _hearers_of(scene, best).set_index(sites.index[best.index])
    for name in ("receptor_class", "receptor_distance_m", "receptor_direction"):
        # Where one more does not fit, the neighbour of what stands is the one to name.
        facts[f"next_{name}"] = heard_next[name].reindex(sites.index)
        facts.loc[found.pad_n < after, f"next_{name}"] = facts[name]
    facts["level_next_dba"] = np.where(np.isfinite(level) & below_cap, level, np.nan)
    over = facts["level_next_dba"] - scene.limit_dba
    facts["noise_short_by_db"] = over.where(over > 0)

    one = np.ones(len(sites))
    # Infinite where nobody is within reach; the published margin is then missing, not large.
    for name, away in (("worst", found.quietest_m), ("best", found.quietest_best_m)):
        facts[f"margin_{name}_db"] = scene.limit_dba - noise.level_dba(away, one, generator)
    unheard = heard.own_unknown | (not heard.known)
    facts.loc[unheard, ["margin_worst_db", "margin_best_db"]] = [-np.inf, np.inf]
    worst = facts["margin_worst_db"]
    facts["one_machine_margin_db"] = worst.where(np.isfinite(worst))
    facts["noise_n"], facts["pad_n"], facts["pad_lo"] = found.noise_n, found.pad_n, found.pad_lo
    facts["pad_lack"] = pad.lack(scene.ground, shapes_of(sites), generator, plan)
    facts["noise_evidence"] = heard.evidence
    for name in ("ground_area_m2", "open_area_m2", "pad_evidence"):
        facts[name] = scene.ground.facts[name]
    return facts


def _placed(
    sites: gpd.GeoDataFrame, scene: Scene, count: np.ndarray, sure: np.ndarray
) -> pd.DataFrame:
    best = _at_worst_or_best(scene, np.flatnonzero(count > 0), count, sure)
    row = best.index.to_numpy()
    block, machines = blocks.outlines(best, scene.generator, scene.plan)
    parcels = shapes_of(sites)
    placed = pd.DataFrame(
        {
            "placed_n": best["count"].to_numpy(),
            "pad_rows": best["rows"].to_numpy(),
            "pad_columns": best["columns"].to_numpy(),
            "pad_length_m": best["length_m"].to_numpy(),
            "pad_width_m": best["width_m"].to_numpy(),
            "pad_bearing_deg": (90.0 - best["degrees"].to_numpy()) % 180.0,
            "line_distance_m": shapely.distance(block, shapely.boundary(parcels[row])),
            "level_dba": best["level_dba"].to_numpy(),
            "noise_slack_db": scene.limit_dba - best["level_dba"].to_numpy(),
            "distance_floored": best["floored"].to_numpy(dtype=bool),
            **{name: column.to_numpy() for name, column in _hearers_of(scene, best).items()},
            "block": block,
            "machines": machines,
        },
        index=sites.index[row],
    )
    facts = placed.reindex(sites.index)
    facts["distance_floored"] = facts["distance_floored"].eq(other=True)
    return facts


def _hearers_of(scene: Scene, best: pd.DataFrame) -> pd.DataFrame:
    """Return who governs each placement, how far off and in which direction."""
    heard, hearer = scene.heard, best["hearer"].to_numpy()
    hit = np.flatnonzero(hearer >= 0)
    who = {
        name: np.full(len(best), None, dtype=object)
        for name in ("receptor_id", "receptor_class", "receptor_name", "receptor_direction")
    }
    for name in ("receptor_id", "receptor_class", "receptor_name"):
        who[name][hit] = getattr(heard, name)[hearer[hit]]
    who["receptor_class"][hearer == noise.OWN] = "own dwelling"
    centre = shapely.points(best["x"].to_numpy()[hit], best["y"].to_numpy()[hit])
    towards = shapely.shortest_line(centre, heard.shape[hearer[hit]])
    who["receptor_direction"][hit] = compass(centre, shapely.get_point(towards, 1))
    return pd.DataFrame({**who, "receptor_distance_m": best["receptor_distance_m"].to_numpy()})


def _at_worst_or_best(
    scene: Scene, sites: np.ndarray, count: np.ndarray, sure: np.ndarray
) -> pd.DataFrame:
    """Return the best place of each site, indexed by site: at worst where `sure`, else at best."""
    found = []
    for worst in (True, False):
        asked = sites[sure[sites] == worst]
        best = _best_place(scene, asked, count[asked], worst=worst)
        best.index = asked[best.index]
        found.append(best)
    return pd.concat(found).sort_index()


def _holds(scene: Scene, sites: np.ndarray, count: np.ndarray, *, worst: bool) -> np.ndarray:
    """Say for each query whether some placement fits the ground and holds the limit."""
    best = _best_place(scene, sites, count, worst=worst)
    holds = np.zeros(len(sites), dtype=bool)
    holds[best.index] = ~(best["level_dba"] > scene.limit_dba)
    return holds


def _best_place(scene: Scene, sites: np.ndarray, count: np.ndarray, *, worst: bool) -> pd.DataFrame:
    """Return the quietest judged placement of each query, indexed by the query's position.

    The spots farthest from who hears the site are judged first. Where none of them holds the
    limit, every layout is tried, also at places all over the parcel that lie far enough away
    for so many machines. Where there are none, no placement can hold it.
    """
    best = _judged(scene, sites, count, None, worst=worst)
    spots = scene.spots(worst=worst)
    over = (best["level_dba"] > scene.limit_dba) & (best["hearer"] >= 0)
    retry = best.index[over].to_numpy()
    away = NEARER * noise.keep_off_m(
        count[retry] - scene.plan.spares, scene.limit_dba, scene.generator
    )
    hope = spots.ceiling_m[sites[retry]] >= away
    retry, away = retry[hope], away[hope]
    if not len(retry):
        return best
    found = _judged(
        scene, sites[retry], count[retry], _far_spots(spots, sites[retry], away), worst=worst
    )
    found.index = retry[found.index]
    better = found["order"] < best.loc[found.index, "order"]
    best.loc[found.index[better]] = found[better]
    return best


def _far_spots(
    spots: noise.Spots, sites: np.ndarray, away_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the SPOTS places of each query's site that are farthest, and at least `away_m` off."""
    first, last = (np.searchsorted(spots.site, sites, side) for side in ("left", "right"))
    times = last - first
    query = np.repeat(np.arange(len(sites)), times)
    nth = np.arange(len(query)) - np.repeat(np.cumsum(times) - times, times)
    spot = np.repeat(first, times) + nth
    far = spots.away_m[spot] >= away_m[query]
    query, spot = query[far], spot[far]
    order = np.lexsort((spot, -spots.away_m[spot], query))
    query, spot = query[order], spot[order]
    start = np.searchsorted(query, query)
    kept = np.arange(len(query)) - start < SPOTS
    return query[kept], np.column_stack((spots.x[spot[kept]], spots.y[spot[kept]]))


def _ceiling(scene: Scene, *, worst: bool) -> np.ndarray:
    """Return for each site the machines that no place of it could exceed for noise."""
    ceiling = scene.spots(worst=worst).ceiling_m / NEARER
    most = noise.allowed(ceiling, scene.limit_dba, scene.generator, scene.plan.cap)
    return _installed(most, scene.plan)


def _judged(
    scene: Scene,
    sites: np.ndarray,
    count: np.ndarray,
    spots: tuple[np.ndarray, np.ndarray] | None,
    *,
    worst: bool,
) -> pd.DataFrame:
    generator, plan = scene.generator, scene.plan
    loud = scene.loud(worst=worst)
    most = CANDIDATES if spots is None else CANDIDATES_HARD
    placed = pad.candidates(scene.ground, sites, count, loud, generator, plan, most, spots)
    running = placed.assign(count=(placed["count"] - plan.spares).clip(lower=0))
    machine = blocks.machines(running, generator, plan)
    outline = blocks.outlines(placed, generator, plan)[0]
    judged = noise.judge(placed, machine, outline, scene.heard, generator, worst=worst)
    table = placed.join(judged)
    table["order"] = table["level_dba"].round(6).fillna(-np.inf)
    table = table.sort_values(["query", "order"], kind="stable").drop_duplicates("query")
    return table.set_index("query")


def _largest(
    upper: np.ndarray, holds: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return for each site the largest n from 0 to `upper` that `holds(sites, n)`, in lockstep.

    The upper bound is tried first: most sites with room take it.
    """
    below, above = np.zeros(len(upper), dtype=int), upper.astype(int) + 1
    first = True
    while True:
        asked = np.flatnonzero(above - below > 1)
        if not len(asked):
            return below
        n = above[asked] - 1 if first else (below[asked] + above[asked]) // 2
        first = False
        passed = holds(asked, n)
        below[asked[passed]] = n[passed]
        above[asked[~passed]] = n[~passed]


def _installed(running: np.ndarray, plan: Plan) -> np.ndarray:
    """Return the machines that may be installed where so many can run: spares come on top."""
    return np.where(running > 0, np.minimum(running + plan.spares, plan.cap), 0)


def _runner_up(
    waived: np.ndarray, lead: np.ndarray, alone: np.ndarray, binding: np.ndarray, cap: int
) -> np.ndarray:
    """Name what stops the next machine once the binding criterion is waived."""
    reached = waived[np.arange(len(lead)), lead]
    others = np.where(np.arange(3) == lead[:, None], cap + 1, alone)
    second = np.array(LIMITING, dtype=object)[others.argmin(axis=1)]
    answer: np.ndarray = np.where(reached >= cap, "cap", second).astype(object)
    answer[~np.isin(binding, LIMITING)] = None
    return answer


def _pad_slack(found: Siting, count: np.ndarray) -> np.ndarray:
    asked = np.flatnonzero((count > 0) & (count <= found.pad_n))
    slack = np.full(len(count), np.nan)
    part = pad.chosen(found.scene.ground, asked)
    low, high = np.zeros(len(asked)), np.minimum(part.radius_m, SLACK_MOST_M)
    for _ in range(SLACK_STEPS):
        middle = (low + high) / 2
        passed = _fit(pad.shrunk(part, middle), count[asked], found.scene)
        low, high = np.where(passed, middle, low), np.where(passed, high, middle)
    slack[asked] = low
    return slack


def _pad_short(found: Siting, after: np.ndarray, short: np.ndarray) -> np.ndarray:
    """Metres by which every clearance would have to shrink for n + 1 to fit; NaN beyond 6.4."""
    asked = np.flatnonzero(short)
    part = pad.chosen(found.scene.ground, asked)
    answer = np.full(len(after), np.nan)
    low, high = np.zeros(len(asked)), np.full(len(asked), SLACK_MOST_M)
    ever = np.zeros(len(asked), dtype=bool)
    for step in range(SLACK_STEPS + 1):
        middle = high if step == 0 else (low + high) / 2
        passed = _fit(pad.shrunk(part, -middle), after[asked], found.scene)
        if step == 0:
            ever = passed
            continue
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    answer[asked[ever]] = high[ever]
    return answer


def _fit(ground: pad.Ground, count: np.ndarray, scene: Scene) -> np.ndarray:
    return pad.fits(ground, count, scene.generator, scene.plan)
