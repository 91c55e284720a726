"""Find how many generators fit at each site, where they stand, and what stops the next one.

Noise depends on the place, the place on the number of generators, and the best place on noise. So
a number n is possible if some placement of n generators on the ground meets every noise limit. The
largest n is found by bisection, over all sites at once. Fuel then limits n separately.

The module is over 400 lines long; it will be split when sizing is rebuilt.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise import judge, rules
from geo.criteria.noise.receptors import ReceptorPairs
from geo.criteria.noise.sound import NoiseSource, power_difference_db
from geo.criteria.pad.access import check_access
from geo.criteria.pad.ground import (
    YARDS,
    BuildableGround,
    cut_buildable_ground,
    select_ground,
    shrink_ground,
    subtract_ground,
    take_sites,
)
from geo.criteria.pad.room import check_fit, max_machines_that_fit, missing_room
from geo.criteria.pad.storage import PlacedStorage, place_storage
from geo.equipment.block import draw_blocks
from geo.equipment.tanks import TankGroup
from geo.model import LIMITING, Generator, Market, Plan, Screening
from geo.shapes.near import find_nearest, find_pairs_within, geometry_array
from geo.sizing.placement import (
    SizingContext,
    best_candidate,
    describe_governing_receptors,
    drop_spares,
    find_best_place,
    judge_quietest_spot,
    judge_with_fewer,
    make_context,
    some_placement_meets_limits,
)

WALL_GUESS_DB = 8.0  # rough attenuation of a wall, used only to start the search
MAX_SLACK_M = 6.4
BUILDING_REACH_M = 100.0  # distances to buildings are reported up to this
SLACK_STEPS = 6  # halvings of MAX_SLACK_M, down to 0.1 m


@dataclass(frozen=True)
class Siting:
    """What the ground and the neighbors allow at each site, before any fuel.

    All counts are of installed generators, from 0 to the plan's cap, one value per site.

    Attributes:
        scene: The ground, the receptors and the noise source.
        pad_n: What the ground alone has room for.
        pad_n_upper: An upper bound for `pad_n`.
        pad_lo: `pad_n` in the worst case: 0 where the ground is only assumed to be free.
        place_lo: What ground and neighbors allow together in the worst case.
        place_hi: The same in the best case.
        held_lo: The number for which a place was found in the worst case: `place_lo` before it is
            set to 0 for missing facts (`pad_n` without a receptor layer).
        noise_n: What the neighbors alone allow, at the quietest spot.
        alone_worst: One generator at the quietest spot, worst case (see `judge_quietest_spot`).
        alone_best: The same in the best case.
    """

    scene: SizingContext
    pad_n: np.ndarray
    pad_n_upper: np.ndarray
    pad_lo: np.ndarray
    place_lo: np.ndarray
    place_hi: np.ndarray
    held_lo: np.ndarray
    noise_n: np.ndarray
    alone_worst: pd.DataFrame
    alone_best: pd.DataFrame


def size_sites(
    sites: gpd.GeoDataFrame,
    screening: Screening,
    sound: NoiseSource,
    generator: Generator,
    market: Market,
    plan: Plan,
) -> Siting:
    """Find how many generators each site's ground has room for, and how many its neighbors allow.

    Args:
        sites: One row per site, polygons in the market's CRS (m).
        screening: The sites' layers, rasters and coverage.
        sound: The noise source: one generator among the layers' buildings.
        generator: The plan's generator.
        market: The market, for its noise rule.
        plan: The plan.

    Returns:
        The siting of every site, in the order of `sites`.
    """
    scene = make_context(sites, screening, sound, generator, market, plan)
    alone_worst = alone_best = judge_quietest_spot(scene, np.arange(len(sites)), worst=True)
    uncertain = _has_uncertain_receptors(scene.pairs, len(sites))
    if uncertain.any():
        known = judge_quietest_spot(scene, np.flatnonzero(uncertain), worst=False)
        alone_best = pd.concat([known, alone_worst[~uncertain]]).sort_index()
    return _size_in_context(scene, np.arange(len(sites)), alone_worst, alone_best)


def resize_under_lever(
    siting: Siting,
    sites: gpd.GeoDataFrame,
    screening: Screening,
    positions: np.ndarray,
    plan: Plan,
    sound: NoiseSource,
) -> Siting:
    """Size some sites again under other clearances or with another noise source, worst case only.

    Args:
        siting: The sites as sized before.
        sites: All sites, as in `size_sites`.
        screening: As in `size_sites`.
        positions: The positions of the sites to size again.
        plan: The plan with other clearances, or the same plan.
        sound: Another noise source, or the same one.

    Returns:
        A siting that is valid for the sites in `positions` only, except for `noise_n`.
    """
    scene = siting.scene
    alone_worst = siting.alone_worst
    if plan.pad != scene.plan.pad:
        ground = subtract_ground(cut_buildable_ground(sites, screening, plan), scene.ground.taken)
        # A lever changes neither the tanks nor the open area on the parcel's record.
        ground = replace(ground, open_m2=scene.ground.open_m2)
        scene = replace(scene, ground=ground, plan=plan)
    if sound is not scene.sound:
        more = power_difference_db(sound, scene.sound)
        scene = replace(
            scene,
            sound=sound,
            pairs=replace(scene.pairs, bound_db=scene.pairs.bound_db + more),
            sure=replace(scene.sure, bound_db=scene.sure.bound_db + more),
        )
        # Where the search starts: exact for another rating, a rough guess for a wall.
        quieter = WALL_GUESS_DB if sound.wall_height_m is not None else -more
        alone_worst = alone_worst.assign(margin_db=alone_worst["margin_db"] + quieter)
    return _size_in_context(scene, positions, alone_worst, alone_worst, worst_only=True)


def resize_beside_tanks(
    siting: Siting, sites: gpd.GeoDataFrame, screening: Screening, groups: list[TankGroup]
) -> tuple[Siting, PlacedStorage]:
    """Size the sites again with fuel tanks on their ground.

    Args:
        siting: The sites as sized without tanks.
        sites: All sites, as in `size_sites`.
        screening: As in `size_sites`.
        groups: The groups of tanks that may be placed.

    Returns:
        The siting, unchanged where no tanks fit, and the tanks with the ground that they leave.
    """
    scene, buildings = siting.scene, geometry_array(screening.layers.get("buildings"))
    kept = place_storage(
        scene.ground,
        geometry_array(sites),
        buildings,
        groups,
        scene.exposure(worst=True).measure_quietness,
        siting.place_hi,
        scene.generator,
        scene.plan,
    )
    positions = np.flatnonzero(kept.group >= 0)
    beside = replace(scene, ground=kept.ground)
    again = _size_in_context(beside, positions, siting.alone_worst, siting.alone_best, siting)
    return select_sitings(siting, again, kept.group >= 0), kept


def select_sitings(siting: Siting, other: Siting, use_other: np.ndarray) -> Siting:
    """Combine two sitings of the same sites; only the ground in their scenes may differ.

    Args:
        siting: The siting to start from.
        other: The siting to take instead where `use_other` is true.
        use_other: One boolean per site.

    Returns:
        The combined siting.
    """
    names = ("pad_n", "pad_n_upper", "pad_lo", "place_lo", "place_hi", "held_lo", "noise_n")
    ground = select_ground(siting.scene.ground, other.scene.ground, use_other)
    return replace(
        siting,
        scene=replace(siting.scene, ground=ground),
        **{
            name: np.where(use_other, getattr(other, name), getattr(siting, name)) for name in names
        },
    )


def _size_in_context(
    scene: SizingContext,
    positions: np.ndarray,
    alone_worst: pd.DataFrame,
    alone_best: pd.DataFrame,
    roomier: Siting | None = None,
    *,
    worst_only: bool = False,
) -> Siting:
    """Size the sites in `positions`; `roomier` is a siting with at least as many at each site."""
    pairs, plan, generator = scene.pairs, scene.plan, scene.generator
    count = len(scene.ground.shapes)
    pad_n, pad_n_upper, cap = np.zeros((3, count), dtype=int)
    cap[positions] = plan.cap
    pad_n[positions], pad_n_upper[positions] = max_machines_that_fit(
        take_sites(scene.ground, positions), generator, plan
    )
    most = _count_allowed(alone_worst["margin_db"], plan)
    roof_lo = pad_n if roomier is None else np.minimum(pad_n, roomier.held_lo)
    roof_hi = pad_n if roomier is None else np.minimum(pad_n, roomier.place_hi)
    # Under a lever, only the quietest place is tried, so its n is a lower bound.
    place_lo = _find_largest(
        roof_lo,
        most if roomier is None else roof_lo,
        lambda sites_tried, n: some_placement_meets_limits(
            scene, sites_tried, n, worst=True, quick=worst_only
        ),
    )
    if not worst_only:
        place_lo = _raise_where_settled(scene, place_lo, roof_lo, worst=True)
    place_lo = _zero_if_only_spares(place_lo, plan)
    place_hi = place_lo.copy()
    if not worst_only:
        roof = np.where(_has_uncertain_receptors(pairs, count) & (place_lo < roof_hi), roof_hi, 0)
        more = _find_largest(
            roof,
            _count_allowed(alone_best["margin_db"], plan) if roomier is None else roof_hi,
            lambda sites_tried, n: some_placement_meets_limits(scene, sites_tried, n, worst=False),
        )
        more = _raise_where_settled(scene, np.maximum(more, place_lo), roof, worst=False)
        place_hi = np.maximum(place_hi, _zero_if_only_spares(more, plan))
    noise_unknown = pairs.own_unknown | (not pairs.known)
    ground = scene.ground.facts
    bare = ground["bare"].to_numpy() & (not plan.assume.bare_parcel)
    bare |= ~ground["clear_known"].to_numpy()
    return Siting(
        scene=scene,
        pad_n=pad_n,
        pad_n_upper=pad_n_upper,
        pad_lo=np.where(bare, 0, pad_n),
        place_lo=np.where(bare | noise_unknown, 0, place_lo),
        place_hi=place_hi if pairs.known else pad_n,
        held_lo=place_lo if pairs.known else pad_n,
        noise_n=np.where(noise_unknown, 0, np.maximum(most, place_lo)),
        alone_worst=alone_worst,
        alone_best=alone_best,
    )


def _raise_where_settled(
    scene: SizingContext, held: np.ndarray, most: np.ndarray, *, worst: bool
) -> np.ndarray:
    """Raise each site's count while one more meets the limits after its block has been moved."""
    held = held.copy()
    positions = np.flatnonzero(held < most)
    while len(positions):
        best = find_best_place(scene, positions, held[positions] + 1, worst=worst, hopeful=True)
        up = positions[best.index[best["margin_db"] >= 0]]
        held[up] += 1
        positions = up[held[up] < most[up]]
    return held


def _zero_if_only_spares(installed: np.ndarray, plan: Plan) -> np.ndarray:
    """Return the installed generators, or 0 where all of them are spares that never run."""
    return np.where(installed > plan.spares, installed, 0)


def _has_uncertain_receptors(pairs: ReceptorPairs, sites: int) -> np.ndarray:
    """Return whether each of `sites` sites has receptors that may or may not exist."""
    uncertain = np.zeros(sites, dtype=bool)
    uncertain[pairs.site[~pairs.column("certain")]] = True
    return uncertain


def deploy_fuel(siting: Siting, supply: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Find how many generators fit at each site on one fuel, and what stops the next one.

    The binding criterion is the one that, if it alone is waived, gives the largest n (ties: pad,
    noise, fuel). If waiving one does not help, the criteria that together stop one more generator
    are named. An unknown criterion counts as failing, as it does in `n_lo`.

    For example, the ground has room for 12, the neighbors allow 6, the fuel runs 10 and the cap is
    25: 6 fit, limited by noise and then by fuel.

    Args:
        siting: What ground and neighbors allow.
        supply: What the fuel can run: `fuel_n_lo` and `fuel_n_hi`, running generators per site.
        plan: The plan, for its cap and spares.

    Returns:
        Columns n_lo, n_hi, binding (`pad`, `noise`, `fuel`, `several`, `cap`), binding_set (the
        criteria that it names) and runner_up, one row per site.
    """
    fuel_lo = _add_spares(supply["fuel_n_lo"].to_numpy(), plan)
    fuel_hi = _add_spares(supply["fuel_n_hi"].to_numpy(), plan)
    n_lo = np.minimum(siting.place_lo, fuel_lo)
    n_hi = np.minimum(siting.place_hi, fuel_hi)
    waived = np.column_stack(
        (
            np.minimum(siting.noise_n, fuel_lo),
            np.minimum(siting.pad_lo, fuel_lo),
            siting.place_lo,
        )
    )
    alone = np.column_stack((siting.pad_lo, siting.noise_n, fuel_lo))
    stops = alone <= n_lo[:, None]
    # Ground and neighbors can together stop n + 1 although neither stops it alone.
    together = (siting.place_lo <= n_lo) & ~stops[:, 0] & ~stops[:, 1]
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
            "runner_up": _name_runner_up(waived, lead, alone, binding, plan.cap),
        },
        index=supply.index,
    )


def describe_sites(
    sites: gpd.GeoDataFrame,
    screening: Screening,
    siting: Siting,
    deployed: pd.DataFrame,
    tanks: np.ndarray,
    market: Market,
) -> pd.DataFrame:
    """Place the generators that fit at each site, and measure the slack and what one more lacks.

    The number placed is n_lo, or n_hi where n_lo is 0. Slack is what is left at that number:
    decibels below the limit, or meters of extra clearance with which the block still fits. "Short
    by" is what one more generator lacks, in the same units, where that criterion stops it.

    Args:
        sites: All sites, as in `size_sites`.
        screening: As in `size_sites`.
        siting: What ground and neighbors allow.
        deployed: The generators that fit at each site (see `deploy_fuel`).
        tanks: The tanks beside the generators per site, as shapes; None where there are none.
        market: The market, for its noise rule.

    Returns:
        The facts of pad and noise, one row per site.
    """
    scene = siting.scene
    pairs, generator, plan = scene.pairs, scene.generator, scene.plan
    count = deployed["n_lo"].where(deployed["n_lo"] > 0, deployed["n_hi"]).to_numpy()
    below_cap = count < plan.cap
    after = count + 1
    # A block drawn only in the best case is placed for the receptors that certainly exist.
    sure = (deployed["n_lo"] > 0).to_numpy()
    facts = _describe_placement(sites, siting, count, sure)
    facts["building_distance_m"] = _to_building_m(facts["block"], screening, scene)
    facts["access"] = _access(sites, facts["block"], tanks, screening, scene)
    facts["ground_pressure_kg_m2"] = generator.mass_kg / (generator.length_m * generator.width_m)
    facts["pad_slack_m"] = _pad_slack_m(siting, count)
    facts["pad_short_by_m"] = _pad_short_m(siting, after, (siting.pad_n < after) & below_cap)

    level, margin = np.full(len(sites), np.nan), np.full(len(sites), np.nan)
    fits = np.flatnonzero((siting.pad_n >= after) & below_cap)
    best = _find_by_case(best_candidate, scene, fits, after, sure)
    level[best.index], margin[best.index] = best["level_dba"], best["margin_db"]
    heard_next = describe_governing_receptors(scene, best, sure).set_index(sites.index[best.index])
    for name in ("receptor_class", "receptor_distance_m", "receptor_direction"):
        # Where the ground has no room for one more, name the receptor of the placed block.
        facts[f"next_{name}"] = heard_next[name].reindex(sites.index)
        facts.loc[siting.pad_n < after, f"next_{name}"] = facts[name]
    facts["level_next_dba"] = level
    facts["noise_short_by_db"] = np.where(margin < 0, -margin, np.nan)

    for name, table in (("worst", siting.alone_worst), ("best", siting.alone_best)):
        # The margin is infinite where no receptor is within reach; it is then published as missing.
        facts[f"margin_{name}_db"] = table["margin_db"]
    noise_unknown = pairs.own_unknown | (not pairs.known)
    facts.loc[noise_unknown, ["margin_worst_db", "margin_best_db"]] = [-np.inf, np.inf]
    worst = facts["margin_worst_db"]
    facts["one_machine_margin_db"] = worst.where(np.isfinite(worst))
    facts["noise_class"] = _margin_class(facts["margin_worst_db"], facts["margin_best_db"])
    facts["alone_class"] = siting.alone_worst["receptor_class"]
    facts["quiet_side_db"] = siting.alone_worst["quiet_side_db"]
    for kind in ("plan", "rule"):
        allowed = _count_allowed(siting.alone_worst[f"margin_{kind}_db"], plan)
        facts[f"noise_n_{kind}"] = np.maximum(allowed, siting.place_lo).astype(float)
    # Where the receptors are not known, the number that they allow is not known either.
    facts["noise_n_plan"] = facts["noise_n_plan"].where(~noise_unknown)
    rule = siting.alone_worst["margin_rule_db"]
    if rules.market_noise_rule(market) is None:
        facts["noise_n_rule"] = np.nan
    # The limit assumes the quietest night possible. If one machine exceeds it, the real ambient
    # level must be higher by the excess.
    needed = plan.noise.ambient_floor_dba - rule
    no_ambient = (pairs.evidence == "ambient unknown") & np.isfinite(rule)
    facts["ambient_needed_dba"] = needed.where(no_ambient)
    facts["noise_n_rule"] = facts["noise_n_rule"].where(~no_ambient)
    facts["noise_n"] = pd.Series(siting.noise_n, sites.index, dtype=float).where(~noise_unknown)
    facts["pad_n"], facts["pad_lo"] = siting.pad_n, siting.pad_lo
    facts["pad_n_upper"] = siting.pad_n_upper
    facts["pad_lack"] = missing_room(scene.ground, geometry_array(sites), generator, plan)
    facts["noise_unsure"] = (facts["margin_best_db"] > facts["margin_worst_db"]) | (
        siting.place_hi > siting.place_lo
    )
    neighbors = (pairs.evidence == "receptors") & _has_uncertain_receptors(pairs, len(sites))
    facts["noise_evidence"] = np.where(
        neighbors & facts["noise_unsure"], "use unknown", pairs.evidence
    )
    kept = ("setback_evidence", *(f"setback_{yard}_m" for yard in YARDS), "yards_known")
    for name in ("ground_area_m2", "open_area_m2", "pad_evidence", "bare", *kept):
        facts[name] = scene.ground.facts[name]
    return facts


def _to_building_m(block: pd.Series, screening: Screening, scene: SizingContext) -> np.ndarray:
    """Return the distance (m) from each pad to the nearest building; NaN if none is in reach."""
    buildings, has_block = (
        geometry_array(screening.layers.get("buildings")),
        block.notna().to_numpy(),
    )
    away = np.full(len(block), np.nan)
    away[has_block] = find_nearest(block[has_block].to_numpy(), buildings, BUILDING_REACH_M)[
        "distance_m"
    ]
    return np.where(scene.ground.facts["bare"], np.nan, away)


def _access(
    sites: gpd.GeoDataFrame,
    block: pd.Series,
    tanks: np.ndarray,
    screening: Screening,
    scene: SizingContext,
) -> np.ndarray:
    """Return whether a path leads from the street to each pad, past buildings and tanks.

    None where buildings are not known.
    """
    parcels, buildings = geometry_array(sites), geometry_array(screening.layers.get("buildings"))
    site, building = find_pairs_within(parcels, buildings, 0.0)
    stored = np.flatnonzero(~shapely.is_missing(tanks))
    site, standing = np.append(site, stored), np.append(buildings[building], tanks[stored])
    street = scene.ground.street.copy()
    street[scene.ground.facts["bare"]] = None
    width_m = scene.plan.pad.access_width_m
    pads = block.where(block.notna(), None).to_numpy()
    access = check_access(parcels, site, standing, street, pads, width_m)
    access[shapely.is_missing(pads)] = None
    return access


def _margin_class(worst: pd.Series, best: pd.Series) -> np.ndarray:
    """Classify one generator at the quietest spot: pass from 3 dB, marginal from 0, else fail."""
    classed = [
        np.select([margin >= 3, margin >= 0], ["pass", "marginal"], "fail")
        for margin in (worst, best)
    ]
    return np.where(classed[0] == classed[1], classed[0], "not known")


def _find_standing_blocks(siting: Siting, count: np.ndarray, sure: np.ndarray) -> pd.DataFrame:
    """Return the best placement of `count` generators at each site, indexed by site.

    If no place is found for this number but one is known for a larger number, the smaller number
    stands on the larger block.
    """
    scene, stands = siting.scene, np.flatnonzero(count > 0)
    best = _find_by_case(find_best_place, scene, stands, count, sure)
    loud = best["margin_db"] < 0
    known = count <= siting.held_lo
    held = np.where(known, siting.held_lo, siting.place_hi)
    larger = _find_by_case(find_best_place, scene, best.index[loud].to_numpy(), held, known)
    tables = [best[~loud]]
    for worst in (True, False):
        at_worst = larger[sure[larger.index] == worst]
        tables.append(judge_with_fewer(scene, at_worst, count[at_worst.index], worst=worst))
    return pd.concat(tables).sort_index()


def _describe_placement(
    sites: gpd.GeoDataFrame, siting: Siting, count: np.ndarray, sure: np.ndarray
) -> pd.DataFrame:
    """Place `count` machines on each site, worst case where `sure`, and return their facts."""
    scene = siting.scene
    best = _find_standing_blocks(siting, count, sure)
    walled = _level_with_wall_dba(scene, best, sure)
    row = best.index.to_numpy()
    block, machines, gear = _draw_pads(best.assign(site=row), row, scene)
    parcels = geometry_array(sites)
    finite = {name: best[name].where(np.isfinite(best[name])).to_numpy()
              for name in ("margin_db", "margin_plan_db", "margin_rule_db")}  # fmt: skip
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
            "limit_dba": best["limit_dba"].to_numpy(),
            "noise_slack_db": finite["margin_db"],
            "noise_margin_plan_db": finite["margin_plan_db"],
            "noise_margin_rule_db": finite["margin_rule_db"],
            "wall_gain_db": best["level_dba"].to_numpy() - walled,
            "distance_floored": best["floored"].to_numpy(dtype=bool),
            **{
                name: col.to_numpy()
                for name, col in describe_governing_receptors(scene, best, sure).items()
            },
            "block": block,
            "machines": machines,
            "gear": gear,
        },
        index=sites.index[row],
    )
    facts = placed.reindex(sites.index)
    facts["distance_floored"] = facts["distance_floored"].eq(other=True)
    return facts


def _draw_pads(
    every: pd.DataFrame, row: np.ndarray, scene: SizingContext
) -> tuple[np.ndarray, ...]:
    """Return the outline, machines and cabinets of the block on each site of `row`."""
    site = np.searchsorted(row, every["site"].to_numpy(dtype=int))
    drawn = []
    for number, shapes in enumerate(draw_blocks(every, scene.generator, scene.plan)):
        parts, of = shapely.get_parts(shapes, return_index=True)
        order = np.argsort(site[of], kind="stable")
        group = np.full(len(row), None, dtype=object)
        shapely.multipolygons(parts[order], indices=site[of][order], out=group)
        if number == 0:
            one = shapely.get_num_geometries(group) == 1
            group[one] = shapely.get_geometry(group[one], 0)
        drawn.append(group)
    return tuple(drawn)


def _level_with_wall_dba(scene: SizingContext, best: pd.DataFrame, sure: np.ndarray) -> np.ndarray:
    """Return the level of each placement at its governing receptor behind the plan's noise wall.

    NaN if the plan has no such lever.
    """
    heights = [lever.wall_height_m for lever in scene.plan.levers.values()]
    sound = replace(scene.sound, wall_height_m=next(filter(None, heights), None))
    siting = np.full(len(best), np.nan)
    if sound.wall_height_m is None:
        return siting
    running = drop_spares(best, scene.plan).assign(site=best["site"])
    worst = sure[best.index.to_numpy()]
    for at_worst in (True, False):
        positions = np.flatnonzero((worst == at_worst) & (best["receptor"].to_numpy() >= 0))
        siting[positions] = judge.level_at_receptor(
            running.iloc[positions],
            best["receptor"].to_numpy()[positions],
            scene.receptor_pairs(worst=at_worst),
            sound,
            scene.generator,
            scene.plan,
        )
    return siting


def _find_by_case(
    find: Callable[..., pd.DataFrame],
    scene: SizingContext,
    sites: np.ndarray,
    count: np.ndarray,
    sure: np.ndarray,
) -> pd.DataFrame:
    """Find the best place per site, indexed by site; the worst case counts where `sure`."""
    siting = []
    for worst in (True, False):
        positions = sites[sure[sites] == worst]
        best = find(scene, positions, count[positions], worst=worst)
        best.index = positions[best.index]
        siting.append(best)
    return pd.concat(siting).sort_index()


def _count_allowed(margin_db: pd.Series, plan: Plan) -> np.ndarray:
    """Return the number of installed generators that the margin of one allows, summed by energy.

    For example, a margin of 6.1 dB with one generator allows floor(10^0.61) = 4 running ones.
    """
    running = np.floor(10 ** (margin_db.to_numpy(dtype=float).clip(max=30.0) / 10) + 1e-9)
    return _add_spares(running.astype(int), plan)


def _find_largest(
    upper: np.ndarray, guess: np.ndarray, holds: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return per site the largest n from 0 to `upper` for which `holds(sites, n)` is true.

    All sites are searched at once. The guess is tried first, then the next number on the side of
    the answer, then bisection.
    """
    below, above = np.zeros(len(upper), dtype=int), upper.astype(int) + 1
    turn = 0
    while True:
        positions = np.flatnonzero(above - below > 1)
        if not len(positions):
            return below
        lo, hi = below[positions], above[positions]
        if turn == 0:
            n = np.clip(guess[positions], 1, hi - 1)
        elif turn == 1:
            n = np.where(lo > 0, lo + 1, hi - 1)
        else:
            n = (lo + hi) // 2
        turn += 1
        passed = holds(positions, n)
        below[positions[passed]] = n[passed]
        above[positions[~passed]] = n[~passed]


def _add_spares(running: np.ndarray, plan: Plan) -> np.ndarray:
    """Return how many generators may be installed where `running` may run, including spares."""
    return np.where(running > 0, np.minimum(running + plan.spares, plan.cap), 0)


def _name_runner_up(
    waived: np.ndarray, lead: np.ndarray, alone: np.ndarray, binding: np.ndarray, cap: int
) -> np.ndarray:
    """Return what stops the next generator once the binding criterion is waived."""
    reached = waived[np.arange(len(lead)), lead]
    others = np.where(np.arange(3) == lead[:, None], cap + 1, alone)
    second = np.array(LIMITING, dtype=object)[others.argmin(axis=1)]
    answer: np.ndarray = np.where(reached >= cap, "cap", second).astype(object)
    answer[~np.isin(binding, LIMITING)] = None
    return answer


def _pad_slack_m(siting: Siting, count: np.ndarray) -> np.ndarray:
    """Return the extra clearance (m) that the placed block could have."""
    positions = np.flatnonzero((count > 0) & (count <= siting.pad_n))
    slack = np.full(len(count), np.nan)
    part = take_sites(siting.scene.ground, positions)
    low, high = np.zeros(len(positions)), np.minimum(part.radius_m, MAX_SLACK_M)
    for _ in range(SLACK_STEPS):
        middle = (low + high) / 2
        passed = _check_fit_with_margin(shrink_ground(part, middle), count[positions], siting.scene)
        low, high = np.where(passed, middle, low), np.where(passed, high, middle)
    slack[positions] = low
    return slack


def _pad_short_m(siting: Siting, after: np.ndarray, short: np.ndarray) -> np.ndarray:
    """Return how far (m) clearances would have to shrink for one more; NaN beyond 6.4 m."""
    positions = np.flatnonzero(short)
    part = take_sites(siting.scene.ground, positions)
    answer = np.full(len(after), np.nan)
    low, high = np.zeros(len(positions)), np.full(len(positions), MAX_SLACK_M)
    ever = np.zeros(len(positions), dtype=bool)
    for step in range(SLACK_STEPS + 1):
        middle = high if step == 0 else (low + high) / 2
        passed = _check_fit_with_margin(
            shrink_ground(part, -middle), after[positions], siting.scene
        )
        if step == 0:
            ever = passed
            continue
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    answer[positions[ever]] = high[ever]
    return answer


def _check_fit_with_margin(
    ground: BuildableGround, count: np.ndarray, scene: SizingContext
) -> np.ndarray:
    return check_fit(ground, count, scene.generator, scene.plan)
