"""Screen the sites of a market for a plan: what to ask of the store, and the facts of each site."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.contract.facts import check_facts
from geo.contract.units import convert_units
from geo.criteria.cost.economics import estimate_costs
from geo.criteria.fuel import stored
from geo.criteria.grid import gap, records, serving
from geo.criteria.noise import rules
from geo.criteria.noise.hearers import search_reach_m
from geo.criteria.noise.sound import make_noise_source, make_open_field_source, rerating_db
from geo.criteria.pad.ground import YARDS
from geo.equipment.generator import derated_power_kw
from geo.equipment.selection import delivered_fuels, plan_fuels, plan_generator
from geo.equipment.tanks import list_tank_groups
from geo.errors import ConfigError
from geo.model import Generator, Market, Needs, Plan, Screening
from geo.shapes import adjoining
from geo.shapes.raster import sample_raster
from geo.sizing import levers, size
from geo.sizing.fuel_options import (
    choose_fuel,
    describe_fuel_ladder,
    describe_other_fuel,
    service_line_m,
)

# Land beside a site, for telling a street's side from a neighbour's: a street's half and its verge.
LOT_REACH_M = 30.0
# Sites that adjoin across no more than this, a path or a survey's error, are one block of sites.
GROUP_GAP_M = 1.0


def list_needs(market: Market, plan: Plan) -> Needs:
    """Say what a plan asks of the store: who is a site, and how far each layer matters to one.

    The reach follows from the plan's cap, the loudest source, the lowest limit and the largest
    separation, so that nothing that could change an answer is left behind.
    """
    generator = plan_generator(plan)
    heard = make_open_field_source(generator, plan)
    rule = rules.market_noise_rule(market)
    audible = max(
        search_reach_m(limit, rule, heard, plan) for limit in rules.list_limits(market, plan)
    )
    separations = [
        group.building_m
        for one in delivered_fuels(plan)
        for group in list_tank_groups(one, generator, plan)
    ]
    clearance = max([plan.pad.building_clearance_m, *separations])
    reach = {
        "substations": plan.grid.substation_reach_m,
        "capacity": plan.grid.feeder_reach_m,
        "mains": plan.fuel.main_reach_m,
        "gas_signs": plan.fuel.sign_reach_m,
        "gas_territories": 0.0,
        "gas_transmission": plan.fuel.transmission_reach_m,
        "fuel_plants": max(plan.fuel.plant_reach_m, plan.fuel.context_reach_m),
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
        receptors=rules.protected_receptors(market, plan),
        reach_m=reach,
        structure=plan.pad.structure,
    )


def screen_sites(given: Screening, market: Market, plan: Plan) -> gpd.GeoDataFrame:
    """Return the facts of every site, one row each, in the order of `given.sites`.

    Nothing is judged here: verdict, score and rank are opinions (`geo.rank`). Geometry is in the
    market's metric frame; columns as in the catalogue's facts, with the worst and best that the
    ranking needs.
    """
    generator = plan_generator(plan)
    sites = given.sites.reset_index(drop=True)
    if sites.empty:
        raise ConfigError(
            f"screening {market.title}",
            "no parcel of the market is a site under this plan",
            f"widen [sites] in plan {plan.id!r}: classes, zones or minimum_area_m2",
        )
    heard = make_noise_source(
        generator,
        plan,
        given.layers.get("buildings"),
        given.rasters.get("elevation"),
        market.crs,
    )
    found = size.size_sites(sites, given, heard, generator, market, plan)
    fuels = plan_fuels(plan)
    choice = choose_fuel(given, sites, found, fuels, generator, plan)
    found = choice.siting
    tanks_there = choice.supply["storage"].to_numpy(dtype=object)
    described = size.describe_sites(sites, given, found, choice.deployed, tanks_there, market)
    # What the zoning asks is on the row as it was taken: by its text or by the plan.
    asked = sites.drop(columns=[f"setback_{yard}_m" for yard in YARDS])
    parts = [
        asked,
        serving.find_serving_records(sites, given.layers, given.coverage, plan),
        choice.supply,
        choice.deployed,
        describe_other_fuel(choice),
        describe_fuel_ladder(choice, plan),
        described,
    ]
    facts = pd.concat(parts, axis=1)
    _add_location(facts, given, sites)
    _add_gap(facts, generator, plan)
    facts["fuel"] = choice.fuel
    # Where no machine stands, no tank is drawn for one.
    facts.loc[facts["block"].isna(), "storage"] = None
    facts["service_line_m"] = service_line_m(choice.supply, facts["block"], given.layers)
    _add_fuel_slack(facts, plan)
    facts = facts.join(estimate_costs(facts, generator, fuels, plan))
    facts = facts.join(levers.size_under_levers(given, sites, choice, generator, plan))
    facts["assumed"] = _assumption_texts(facts, found, plan)
    facts["own_assumed"] = ~np.isnan(found.scene.heard.own_at_m)
    facts["ambient_assumed"] = found.scene.heard.ambient_assumed
    facts["noise_rule"] = describe_noise_limits(market, plan)
    facts["noise_edition"] = heard.edition.name
    facts["level_at_1m_dba"] = facts["level_dba"] + rerating_db(generator, 1.0)
    facts["group_id"] = _group_ids(sites)
    facts["weightless"] = " ".join(list_missing_criteria(given, plan))
    check_facts(facts.columns, "screened sites", published=False)
    return gpd.GeoDataFrame(facts, geometry="geometry", crs=sites.crs)


def _group_ids(sites: gpd.GeoDataFrame) -> np.ndarray:
    """Return for each site the least id of the sites that it adjoins, its own where it is alone."""
    ids = sites["site_id"].to_numpy(dtype=object)
    order = np.argsort(ids, kind="stable")
    first = adjoining.group_adjoining(np.asarray(sites.geometry.array)[order], GROUP_GAP_M)
    found = np.empty(len(ids), dtype=object)
    found[order] = ids[order][first]
    return found


def _add_location(facts: pd.DataFrame, given: Screening, sites: gpd.GeoDataFrame) -> None:
    """Add where each site is, and what the rasters say there."""
    middle = shapely.point_on_surface(np.asarray(sites.geometry.array))
    for layer, name in (("elevation", "elevation_m"), ("ambient", "ambient_dba")):
        raster = given.rasters.get(layer)
        facts[name] = sample_raster(raster, middle, sites.crs) if raster is not None else np.nan
    lon_lat = gpd.GeoSeries(middle, crs=sites.crs).to_crs("EPSG:4326")
    facts["lat"], facts["lon"] = lon_lat.y, lon_lat.x


def _add_gap(facts: pd.DataFrame, generator: Generator, plan: Plan) -> None:
    """Add what the grid leaves short of the target, and how many machines that takes here."""
    altitude_m = facts["elevation_m"].fillna(plan.altitude_m).to_numpy(dtype=float)
    facts["machine_kw"] = derated_power_kw(generator, altitude_m, plan.summer_c)
    least, most = gap.shortfall_range_kw(
        facts["headroom_lo_kw"], facts["headroom_hi_kw"], plan.target_kw
    )
    facts["shortfall_lo_kw"], facts["shortfall_hi_kw"] = least, most
    facts["gap_class"] = gap.classify_gap(least, most)
    facts["headroom_check"] = gap.compare_records(facts, plan.target_kw)
    facts["headroom_fold"] = pd.Series(plan.grid.fold, facts.index, dtype=object).where(
        facts["headroom_rows"] > 1, None
    )
    for name, short in (("needed_lo", least), ("needed_hi", most)):
        facts[name] = gap.count_needed(short, facts["machine_kw"], plan.spares)


def _add_fuel_slack(facts: pd.DataFrame, plan: Plan) -> None:
    running = (facts["n_lo"] - plan.spares).clip(lower=0)
    facts["fuel_slack"] = facts["fuel_capacity"] - running * facts["fuel_demand"]
    facts.loc[facts["fuel_slack"] < 0, "fuel_slack"] = np.nan
    lacking = (running + 1) * facts["fuel_demand"] - facts["fuel_capacity"]
    # Another main in reach may feed one more: then the fuel is not short.
    stops = facts["fuel_n_lo"] <= running
    facts["fuel_short_by"] = lacking.where(stops & (lacking > 0) & (facts["n_lo"] < plan.cap))


def _assumption_texts(facts: pd.DataFrame, found: size.Siting, plan: Plan) -> list[str | None]:
    """List what the plan took as given on each row."""
    ambient = found.scene.heard.ambient_assumed
    bare = found.scene.ground.facts["bare"].to_numpy() & plan.assume.bare_parcel
    own = ~np.isnan(found.scene.heard.own_at_m)
    texts = []
    each = zip(facts["fuel_assumed"], bare, own, ambient, strict=True)
    for gas, is_bare, is_own, is_ambient in each:
        parts = [gas] if isinstance(gas, str) and gas != stored.ASSUMED_NO_BUILDING else []
        if is_bare:
            parts.append("no buildings in the way (none are mapped here)")
        if is_own:
            distance_ft = convert_units(plan.assume.own_dwelling_at_m or 0.0, "m", "ft")
            parts.append(f"homes on the site are {distance_ft:.0f} ft from the pad")
        if is_ambient:
            parts.append(f"ambient noise level {plan.assume.ambient_dba:g} dB(A)")
        texts.append("; ".join(parts) or None)
    return texts


def describe_noise_limits(market: Market, plan: Plan) -> str:
    """Name the limits that the rows are held to."""
    own, rule = f"{plan.noise.limit_dba:g} dB(A)", rules.market_noise_rule(market)
    return f"{own} (no local rule given)" if rule is None else f"{own} and {rule.title}"


def list_missing_criteria(given: Screening, plan: Plan) -> list[str]:
    """Name the criteria whose layers the market does not have at all: they weigh nothing."""
    names = []
    if not records.has_published_capacity(given.layers, plan):
        names.append("grid")
    gas_layers = {"mains", "gas_signs", "gas_territories", "gas_transmission", "fuel_plants"}
    if not delivered_fuels(plan) and not (gas_layers & set(given.layers)):
        names.append("fuel")
    if "receptors" not in given.layers:
        names.append("noise")
    return names
