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

from geo.criteria import noise, pad
from geo.model import LIMITING, Generator, Plan
from geo.near import compass, shapes_of

CANDIDATES = 6  # placements judged in full, of those that keep farthest from who hears them
SLACK_MOST_M = 6.4
SLACK_STEPS = 6  # halvings of it: 0.1 m


@dataclass(frozen=True)
class Siting:
    """What ground and neighbours allow at each site, before any fuel.

    Installed machines, 0 to the plan's cap: `pad_n` by the ground alone; `place_lo`, `place_hi` by
    ground and neighbours together, every unknown failing and passing; `noise_n` by the neighbours
    alone, at the parcel's quietest spot; `pad_known` where the ground is not taken bare.
    """

    ground: pad.Ground
    heard: noise.Hearers
    limit_dba: float
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
    ground = pad.ground(sites, layers, coverage, plan)
    heard = noise.hearers(sites, layers, coverage, generator, plan)
    limit = plan.noise.limit_dba + barrier_db
    everyone = np.arange(len(sites))

    pad_n = _largest(
        np.full(len(sites), plan.cap),
        lambda asked, n: pad.fits(pad.chosen(ground, asked), n, generator, plan),
    )
    loud_lo = noise.exposure(heard, len(sites), worst=True)
    parcels = shapes_of(sites)
    quietest = np.fmin(noise.quietest_m(parcels, loud_lo), heard.own_at_m)
    loud_hi = noise.exposure(heard, len(sites), worst=False)
    quietest_best = np.fmin(noise.quietest_m(parcels, loud_hi), heard.own_at_m)
    alone = noise.allowed(quietest, limit, generator, plan.cap)
    alone = np.where(alone > 0, np.minimum(alone + plan.spares, plan.cap), 0)

    def holds(*, worst: bool) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        loud = loud_lo if worst else loud_hi

        def test(asked: np.ndarray, n: np.ndarray) -> np.ndarray:
            best = _best_place(ground, heard, loud, asked, n, generator, plan, worst=worst)
            level = best["level_dba"].reindex(np.arange(len(asked)))
            placed = best["site"].reindex(np.arange(len(asked))).notna()
            return np.asarray(placed & ~(level > limit))

        return test

    place_lo = _largest(pad_n, holds(worst=True))
    place_hi = place_lo.copy()
    unsure = everyone[np.isin(everyone, heard.site[~heard.certain]) & (place_lo < pad_n)]
    if len(unsure):
        test = holds(worst=False)
        place_hi[unsure] = _largest(pad_n[unsure], lambda asked, n: test(unsure[asked], n))
    place_lo = np.where(heard.own_unknown | (not heard.known), 0, place_lo)
    if not heard.known:
        place_hi = pad_n.copy()
    bare = ground.facts["bare"].to_numpy() & (not plan.assume.bare_parcel)
    return Siting(
        ground=ground,
        heard=heard,
        limit_dba=limit,
        pad_n=pad_n,
        pad_lo=np.where(bare, 0, pad_n),
        place_lo=np.where(bare, 0, place_lo),
        place_hi=place_hi,
        noise_n=np.where(heard.own_unknown | (not heard.known), 0, np.maximum(alone, place_lo)),
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


def describe(
    sites: gpd.GeoDataFrame,
    found: Siting,
    deployed: pd.DataFrame,
    generator: Generator,
    plan: Plan,
) -> pd.DataFrame:
    """Place what each site carries (n_lo, or n_hi where that is 0) and measure slack and deficit.

    Slack is what is left at n: decibels below the limit, metres of extra clearance at which n
    still fits. Short by is what n + 1 lacks, in the same units, where that criterion stops it.
    """
    count = deployed["n_lo"].where(deployed["n_lo"] > 0, deployed["n_hi"]).to_numpy()
    facts = _placed_facts(sites, found, count, generator, plan)
    facts["pad_slack_m"] = _pad_slack(found, count, generator, plan)
    after = count + 1
    short = (found.pad_n < after) & (count < plan.cap)
    facts["pad_short_by_m"] = _pad_short(found, after, short, generator, plan)

    level_next = noise.level_dba(found.quietest_m, np.maximum(after - plan.spares, 0), generator)
    fits = np.flatnonzero((found.pad_n >= after) & (count < plan.cap))
    loud = noise.exposure(found.heard, len(sites), worst=True)
    best = _best_place(
        found.ground, found.heard, loud, fits, after[fits], generator, plan, worst=True
    )
    level_next[fits[best.index]] = best["level_dba"]
    level_next = np.where(np.isfinite(level_next) & (count < plan.cap), level_next, np.nan)
    facts["level_next_dba"] = level_next
    over = level_next - found.limit_dba
    facts["noise_short_by_db"] = np.where(over > 0, over, np.nan)
    one = np.ones(len(sites))
    # Infinite where nobody is within reach; the published margin is then missing, not large.
    facts["margin_worst_db"] = found.limit_dba - noise.level_dba(found.quietest_m, one, generator)
    facts["margin_best_db"] = found.limit_dba - noise.level_dba(
        found.quietest_best_m, one, generator
    )
    unheard = found.heard.own_unknown | (not found.heard.known)
    facts.loc[unheard, ["margin_worst_db", "margin_best_db"]] = [-np.inf, np.inf]
    worst = facts["margin_worst_db"]
    facts["one_machine_margin_db"] = worst.where(np.isfinite(worst))
    facts["noise_n"] = found.noise_n
    facts["pad_n"] = found.pad_n
    facts["noise_evidence"] = found.heard.evidence
    ground = found.ground.facts
    for name in ("ground_area_m2", "open_area_m2", "pad_evidence"):
        facts[name] = ground[name]
    return facts


def _placed_facts(
    sites: gpd.GeoDataFrame,
    found: Siting,
    count: np.ndarray,
    generator: Generator,
    plan: Plan,
) -> pd.DataFrame:
    asked = np.flatnonzero(count > 0)
    loud = noise.exposure(found.heard, len(sites), worst=True)
    best = _best_place(
        found.ground, found.heard, loud, asked, count[asked], generator, plan, worst=True
    )
    row = asked[best.index]
    block, machines = pad.outlines(best, generator, plan)
    facts = pd.DataFrame(index=sites.index)
    for name, source in {
        "pad_rows": "rows",
        "pad_columns": "columns",
        "pad_length_m": "length_m",
        "pad_width_m": "width_m",
        "level_dba": "level_dba",
        "receptor_distance_m": "receptor_distance_m",
        "placed_n": "count",
    }.items():
        column = np.full(len(sites), np.nan)
        column[row] = best[source]
        facts[name] = column
    bearing = np.full(len(sites), np.nan)
    bearing[row] = (90.0 - best["degrees"].to_numpy()) % 180.0
    facts["pad_bearing_deg"] = bearing
    facts["distance_floored"] = False
    facts.loc[sites.index[row], "distance_floored"] = best["floored"].to_numpy(dtype=bool)
    facts["noise_slack_db"] = found.limit_dba - facts["level_dba"]

    parcels = shapes_of(sites)
    line = np.full(len(sites), np.nan)
    line[row] = shapely.distance(block, shapely.boundary(parcels[row]))
    facts["line_distance_m"] = line
    blocks, bodies = (np.full(len(sites), None, dtype=object) for _ in range(2))
    blocks[row], bodies[row] = block, machines
    facts["block"], facts["machines"] = blocks, bodies

    hearer = best["hearer"].to_numpy()
    heard = np.flatnonzero(hearer >= 0)
    for name in ("receptor_id", "receptor_class", "receptor_name"):
        column = np.full(len(sites), None, dtype=object)
        column[row[heard]] = getattr(found.heard, name)[hearer[heard]]
        facts[name] = column
    own = row[hearer == -2]
    facts.loc[sites.index[own], "receptor_class"] = "own dwelling"
    centre = shapely.points(best["x"].to_numpy()[heard], best["y"].to_numpy()[heard])
    towards = shapely.shortest_line(centre, found.heard.shape[hearer[heard]])
    wind = np.full(len(sites), None, dtype=object)
    wind[row[heard]] = compass(centre, shapely.get_point(towards, 1))
    facts["receptor_direction"] = wind
    return facts


def _best_place(
    ground: pad.Ground,
    heard: noise.Hearers,
    loud: np.ndarray,
    sites: np.ndarray,
    count: np.ndarray,
    generator: Generator,
    plan: Plan,
    *,
    worst: bool,
) -> pd.DataFrame:
    """Return the quietest judged placement of each query, indexed by the query's position."""
    placed = pad.candidates(ground, sites, count, loud, generator, plan, CANDIDATES)
    running = placed.assign(count=(placed["count"] - plan.spares).clip(lower=0))
    machine = pad.machines(running, generator, plan)
    block = pad.outlines(placed, generator, plan)[0]
    judged = noise.judge(placed, machine, block, heard, generator, worst=worst)
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


def _pad_slack(found: Siting, count: np.ndarray, generator: Generator, plan: Plan) -> np.ndarray:
    asked = np.flatnonzero((count > 0) & (count <= found.pad_n))
    slack = np.full(len(count), np.nan)
    part = pad.chosen(found.ground, asked)
    low, high = np.zeros(len(asked)), np.minimum(part.radius_m, SLACK_MOST_M)
    for _ in range(SLACK_STEPS):
        middle = (low + high) / 2
        passed = pad.fits(pad.shrunk(part, middle), count[asked], generator, plan)
        low, high = np.where(passed, middle, low), np.where(passed, high, middle)
    slack[asked] = low
    return slack


def _pad_short(
    found: Siting, after: np.ndarray, short: np.ndarray, generator: Generator, plan: Plan
) -> np.ndarray:
    """Metres by which every clearance would have to shrink for n + 1 to fit; NaN beyond 6.4."""
    asked = np.flatnonzero(short)
    part = pad.chosen(found.ground, asked)
    answer = np.full(len(after), np.nan)
    low, high = np.zeros(len(asked)), np.full(len(asked), SLACK_MOST_M)
    ever = np.zeros(len(asked), dtype=bool)
    for step in range(SLACK_STEPS + 1):
        middle = high if step == 0 else (low + high) / 2
        passed = pad.fits(pad.shrunk(part, -middle), after[asked], generator, plan)
        if step == 0:
            ever = passed
            continue
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    answer[asked[ever]] = high[ever]
    return answer
