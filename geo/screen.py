"""Screen the sites of a market for a plan: what to ask of the store, and the facts of each site."""

from dataclasses import dataclass, replace
from typing import TypeVar

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import adjoining, catalogue, size
from geo.criteria import fuel, grid
from geo.criteria.noise import rules
from geo.criteria.noise.hearers import looked_m
from geo.criteria.noise.sound import open_field, rerated, rerating_db, sound
from geo.criteria.pad.ground import YARDS
from geo.errors import ConfigError
from geo.model import Fuel, Generator, Lever, Market, Needs, Plan, Screening
from geo.raster import at
from geo.tanks import tanks

T = TypeVar("T")

# Land beside a site, for telling a street's side from a neighbour's: a street's half and its verge.
LOT_REACH_M = 30.0
# Sites that adjoin across no more than this, a path or a survey's error, are one block of sites.
GROUP_M = 1.0


def needs(market: Market, plan: Plan) -> Needs:
    """Say what a plan asks of the store: who is a site, and how far each layer matters to one.

    The reach follows from the plan's cap, the loudest source, the lowest limit and the largest
    separation, so that nothing that could change an answer is left behind.
    """
    generator = generator_of(plan)
    heard = open_field(generator, plan)
    rule = rules.rule_of(market)
    audible = max(looked_m(limit, rule, heard, plan) for limit in rules.limits(market, plan))
    stored = [one for one in fuels_of(plan) if one.delivery == "storage"]
    separations = [group.building_m for one in stored for group in tanks(one, plan)]
    clearance = max([plan.pad.building_clearance_m, *separations])
    reach = {
        "substations": plan.grid.substation_reach_m,
        "feeders": plan.grid.feeder_reach_m,
        "mains": plan.fuel.main_reach_m,
        "gas_signs": plan.fuel.sign_reach_m,
        "receptors": audible,
        # A building matters to a pad by its clearance, and to sound wherever it goes.
        "buildings": max(clearance, audible),
        "lots": LOT_REACH_M,
        "exclusions": 0.0,
        "elevation": 0.0,
        "ambient": 0.0,
    }
    return Needs(
        sites=plan.sites,
        receptors=rules.receptors(market, plan),
        reach_m=reach,
        structure=plan.pad.structure,
    )


def generator_of(plan: Plan) -> Generator:
    """Return the plan's generator. Raises ConfigError where the catalogue does not know it."""
    return _known(catalogue.generators(), plan.generator, "generator", plan)


def fuels_of(plan: Plan) -> list[Fuel]:
    """Return the plan's fuels in its order. Raises ConfigError for one that is not known."""
    return [_known(catalogue.fuels(), name, "fuel", plan) for name in plan.fuels]


def _known(table: dict[str, T], name: str, what: str, plan: Plan) -> T:
    if name not in table:
        raise ConfigError(
            f"reading plan {plan.id!r}",
            f"{what} {name!r} is not in the catalogue",
            f"use one of {', '.join(table)}",
        )
    return table[name]


@dataclass(frozen=True)
class _Choice:
    """What each site carries on its best fuel, with the ground and the supply behind it."""

    found: size.Siting
    deployed: pd.DataFrame
    supply: pd.DataFrame
    fuel: np.ndarray
    n_by_fuel: np.ndarray
    ladder: list[str]
    other: pd.DataFrame


def screen(given: Screening, market: Market, plan: Plan) -> gpd.GeoDataFrame:
    """Return the facts of every site, one row each, in the order of `given.sites`.

    Nothing is judged here: verdict, score and rank are opinions (`geo.rank`). Geometry is in the
    market's metric frame; columns as in the catalogue's facts, with the worst and best that the
    ranking needs.
    """
    generator = generator_of(plan)
    sites = given.sites.reset_index(drop=True)
    if sites.empty:
        raise ConfigError(
            f"screening {market.title}",
            "no parcel of the market is a site under this plan",
            f"widen [sites] in plan {plan.id!r}: classes, zones or minimum_area_m2",
        )
    heard = sound(
        generator,
        plan,
        given.layers.get("buildings"),
        given.rasters.get("elevation"),
        market.crs,
    )
    found = size.siting(sites, given, heard, generator, market, plan)
    choice = _best_fuel(given, sites, found, plan)
    found = choice.found
    stored = choice.supply["storage"].to_numpy(dtype=object)
    described = size.describe(sites, given, found, choice.deployed, stored, market)
    gap = grid.gap(sites, given.layers, given.coverage, plan)
    # What the zoning asks is on the row as it was taken: by its text or by the plan.
    asked = sites.drop(columns=[f"setback_{yard}_m" for yard in YARDS])
    parts = [asked, gap, choice.supply, choice.deployed, choice.other, described]
    facts = pd.concat(parts, axis=1)
    power_kw = generator.power_kw
    facts["needed_lo"] = grid.needed(facts["shortfall_lo_kw"], power_kw, plan)
    facts["needed_hi"] = grid.needed(facts["shortfall_hi_kw"], power_kw, plan)
    facts["fuel"], facts["fuel_ladder"] = choice.fuel, choice.ladder
    # Where no machine stands, no tank is drawn for one.
    facts.loc[facts["block"].isna(), "storage"] = None
    _fuel_slack(facts, plan)
    facts = facts.join(_lifted(given, sites, choice, plan))
    facts["assumed"] = _assumed(facts, found, plan)
    facts["own_assumed"] = ~np.isnan(found.scene.heard.own_at_m)
    facts["ambient_assumed"] = found.scene.heard.ambient_assumed
    facts["noise_rule"] = noise_rule(market, plan)
    facts["noise_edition"] = heard.edition.name
    facts["level_at_1m_dba"] = facts["level_dba"] + rerating_db(generator, 1.0)
    facts["group_id"] = _group_ids(sites)
    facts["weightless"] = " ".join(absent(given, plan))
    middle = shapely.point_on_surface(np.asarray(sites.geometry.array))
    for layer, name in (("elevation", "elevation_m"), ("ambient", "ambient_dba")):
        raster = given.rasters.get(layer)
        facts[name] = at(raster, middle, sites.crs) if raster is not None else np.nan
    lon_lat = gpd.GeoSeries(middle, crs=sites.crs).to_crs("EPSG:4326")
    facts["lat"], facts["lon"] = lon_lat.y, lon_lat.x
    return gpd.GeoDataFrame(facts, geometry="geometry", crs=sites.crs)


def _group_ids(sites: gpd.GeoDataFrame) -> np.ndarray:
    """Return for each site the least id of the sites that it adjoins, its own where it is alone."""
    ids = sites["site_id"].to_numpy(dtype=object)
    order = np.argsort(ids, kind="stable")
    first = adjoining.groups(np.asarray(sites.geometry.array)[order], GROUP_M)
    found = np.empty(len(ids), dtype=object)
    found[order] = ids[order][first]
    return found


def _best_fuel(
    given: Screening, sites: gpd.GeoDataFrame, found: size.Siting, plan: Plan
) -> _Choice:
    """Size every fuel; take the first of the plan's that surely carries one generator.

    Where none surely does, take the one that may carry most, the plan's first among equals.
    """
    supplies, deployments, standing = [], [], []
    for one in fuels_of(plan):
        there = found
        if one.delivery == "storage":
            there, supply = _stored(given, sites, found, one, plan)
        else:
            supply = fuel.supply(
                sites, given.layers, given.coverage, one, catalogue.carrying(), plan
            )
        supplies.append(supply.assign(fuel_unit=one.unit, fuel_demand=one.demand_per_machine))
        deployments.append(size.deploy(there, supply, plan))
        standing.append(there)
    lo = np.column_stack([deployed["n_lo"] for deployed in deployments])
    hi = np.column_stack([deployed["n_hi"] for deployed in deployments])
    # argmax takes the first of equals, which is the plan's preference.
    best = np.where((lo > 0).any(axis=1), (lo > 0).argmax(axis=1), hi.argmax(axis=1))
    titles = [one.title for one in fuels_of(plan)]
    found = standing[0]
    for number, there in enumerate(standing):
        found = size.either(found, there, best == number)
    return _Choice(
        found=found,
        deployed=_chosen(deployments, best),
        supply=_chosen(supplies, best),
        fuel=np.array(plan.fuels, dtype=object)[best],
        n_by_fuel=lo,
        other=_most_at_best(supplies, lo, hi, titles),
        ladder=[_ladder(titles, a, b) for a, b in zip(lo.tolist(), hi.tolist(), strict=True)],
    )


def _stored(
    given: Screening, sites: gpd.GeoDataFrame, found: size.Siting, one: Fuel, plan: Plan
) -> tuple[size.Siting, pd.DataFrame]:
    """Return what the ground carries beside a fuel's tanks, and what they feed."""
    groups = tanks(one, plan)
    there, kept = size.beside_tanks(found, sites, given, groups)
    ground = found.scene.ground.facts
    known = (~ground["bare"] & ground["clear_known"]).to_numpy()
    supply = fuel.by_storage(sites, groups, kept.group, kept.body, known, one, plan)
    return there, supply


def _most_at_best(
    supplies: list[pd.DataFrame], lo: np.ndarray, hi: np.ndarray, titles: list[str]
) -> pd.DataFrame:
    """Return the fuel that may carry most at best, how many at worst and best, and how known."""
    most = hi.argmax(axis=1)
    evidence = np.column_stack([supply["fuel_evidence"] for supply in supplies])
    rows = np.arange(len(hi))
    return pd.DataFrame(
        {
            "other_title": np.array(titles, dtype=object)[most],
            "other_n_lo": lo[rows, most],
            "other_n_hi": hi[rows, most],
            "other_evidence": evidence[rows, most],
        },
        index=supplies[0].index,
    )


def _chosen(tables: list[pd.DataFrame], which: np.ndarray) -> pd.DataFrame:
    """Take each row from the table that `which` names."""
    stacked = pd.concat(tables, keys=range(len(tables)))
    rows = pd.MultiIndex.from_arrays([which, tables[0].index])
    return stacked.loc[rows].droplevel(0)


def _ladder(titles: list[str], lo: list[int], hi: list[int]) -> str:
    order = sorted(range(len(titles)), key=lambda i: (-lo[i], -hi[i], i))
    return "; ".join(
        f"{titles[i]} {lo[i]}" if lo[i] == hi[i] else f"{titles[i]} {lo[i]} to {hi[i]}"
        for i in order
    )


def _fuel_slack(facts: pd.DataFrame, plan: Plan) -> None:
    running = (facts["n_lo"] - plan.spares).clip(lower=0)
    facts["fuel_slack"] = facts["fuel_capacity"] - running * facts["fuel_demand"]
    facts.loc[facts["fuel_slack"] < 0, "fuel_slack"] = np.nan
    lacking = (running + 1) * facts["fuel_demand"] - facts["fuel_capacity"]
    facts["fuel_short_by"] = lacking.where((lacking > 0) & (facts["n_lo"] < plan.cap))


def _lifted(
    given: Screening,
    sites: gpd.GeoDataFrame,
    choice: _Choice,
    plan: Plan,
) -> pd.DataFrame:
    """Size again under each of the plan's levers, where it relieves what limits a site.

    `lift_lever` is the lever (or the other fuel) that lets a site carry most, `lift_n` how many.
    `wall_n` and `rated_n` are what a noise wall and the rating at another distance would give.
    """
    found, before = choice.found, choice.deployed["n_lo"].to_numpy()
    # Another fuel is a lever too.
    best_n = choice.n_by_fuel.max(axis=1)
    fuels = np.array(plan.fuels, dtype=object)[choice.n_by_fuel.argmax(axis=1)]
    fuels[best_n <= before] = None
    best_name = fuels
    # A lever can help where what it relieves stops the next one, or may with another, and nothing
    # else alone does. Ground and neighbours stop it together more often than apart.
    fuel_stops = choice.supply["fuel_n_lo"].to_numpy() + plan.spares <= before
    place_stops = (found.place_lo <= before) & (before < plan.cap) & ~fuel_stops
    asked_by = {
        "fuel": fuel_stops,
        "pad": place_stops & (found.noise_n > before),
        "noise": place_stops & (found.pad_lo > before),
    }
    by_noise = {"wall_n": before.astype(float), "rated_n": before.astype(float)}
    for name, lever in plan.levers.items():
        asked = np.flatnonzero(asked_by[lever.relieves])
        if not len(asked):
            continue
        after = _under(lever, given, sites, choice, asked, plan)
        if lever.relieves == "noise":
            column = "wall_n" if lever.wall_height_m is not None else "rated_n"
            by_noise[column][asked] = np.maximum(by_noise[column][asked], after)
        better = after > best_n[asked]
        best_n[asked[better]] = after[better]
        best_name[asked[better]] = name
    lifted = best_n > before
    return pd.DataFrame(
        {"lift_lever": best_name, "lift_n": np.where(lifted, best_n, np.nan), **by_noise},
        index=sites.index,
    )


def _under(
    lever: Lever,
    given: Screening,
    sites: gpd.GeoDataFrame,
    choice: _Choice,
    asked: np.ndarray,
    plan: Plan,
) -> np.ndarray:
    """Return n_lo of the asked sites under one lever, on the fuel they already have."""
    found = choice.found
    if lever.relieves == "fuel":
        after = choice.deployed["n_lo"].to_numpy().copy()
        for one in fuels_of(plan):
            if one.delivery != "main":
                continue
            supply = fuel.supply(
                sites,
                given.layers,
                given.coverage,
                one,
                catalogue.carrying(),
                plan,
                usable_share=lever.usable_share,
            )
            same = choice.fuel == one.id
            after[same] = size.deploy(found, supply, plan)["n_lo"].to_numpy()[same]
        return np.asarray(after[asked])
    changes = {
        key: value
        for key in ("building_clearance_m", "setback_most_m")
        if (value := getattr(lever, key)) is not None
    }
    easier = plan.model_copy(update={"pad": plan.pad.model_copy(update=changes)})
    heard = found.scene.sound
    if lever.wall_height_m is not None:
        heard = replace(heard, wall_height_m=lever.wall_height_m)
    if lever.level_distance_m is not None:
        heard = rerated(heard, generator_of(plan), lever.level_distance_m)
    again = size.eased(found, sites, given, asked, easier, heard)
    return np.asarray(size.deploy(again, choice.supply, plan)["n_lo"].iloc[asked])


def _assumed(facts: pd.DataFrame, found: size.Siting, plan: Plan) -> list[str | None]:
    """List what the plan took as given on each row."""
    ambient = found.scene.heard.ambient_assumed
    bare = found.scene.ground.facts["bare"].to_numpy() & plan.assume.bare_parcel
    own = ~np.isnan(found.scene.heard.own_at_m)
    texts = []
    each = zip(facts["fuel_assumed"], bare, own, ambient, strict=True)
    for gas, is_bare, is_own, is_ambient in each:
        parts = [gas] if isinstance(gas, str) and gas != fuel.NO_BUILDING else []
        if is_bare:
            parts.append("no building in the way: none are mapped")
        if is_own:
            parts.append(f"homes on the site {plan.assume.own_dwelling_at_m:g} m from the pad")
        if is_ambient:
            parts.append(f"ambient noise of {plan.assume.ambient_dba:g} dB(A)")
        texts.append("; ".join(parts) or None)
    return texts


def noise_rule(market: Market, plan: Plan) -> str:
    """Name the limits that the rows are held to."""
    own, rule = f"{plan.noise.limit_dba:g} dB(A)", rules.rule_of(market)
    return f"{own} only: no local rule given" if rule is None else f"{own} and {rule.title}"


def absent(given: Screening, plan: Plan) -> list[str]:
    """Name the criteria whose layers the market does not have at all: they weigh nothing."""
    names = []
    if not grid.published(given.layers):
        names.append("grid")
    piped = all(one.delivery == "main" for one in fuels_of(plan))
    if piped and not ({"mains", "gas_signs"} & set(given.layers)):
        names.append("fuel")
    if "receptors" not in given.layers:
        names.append("noise")
    return names
