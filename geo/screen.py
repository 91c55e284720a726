"""Screen the sites of a market for a plan: list what the store must give, and measure the facts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import catalogue
from geo.batches import Shared, join_facts, split_sites, take_surroundings
from geo.contract.facts import check_facts
from geo.contract.units import convert_units
from geo.criteria.cost.economics import estimate_costs
from geo.criteria.fuel import stored
from geo.criteria.fuel.mains import describe_nearest_main
from geo.criteria.grid import gap, records, serving
from geo.criteria.noise import rules
from geo.criteria.noise.receptors import search_reach_m
from geo.criteria.noise.sound import (
    count_heard_machines,
    count_unmeasured,
    make_noise_source,
    make_open_field_source,
    rerating_db,
)
from geo.criteria.pad.ground import YARDS
from geo.equipment.generator import derated_power_kw
from geo.equipment.selection import delivered_fuels, plan_fuels, plan_generator
from geo.equipment.tanks import list_tank_groups
from geo.errors import ConfigError
from geo.model import Generator, Market, Needs, Plan, Screening
from geo.shapes import adjoining
from geo.shapes.near import geometry_array
from geo.shapes.raster import sample_raster
from geo.sizing import levers
from geo.sizing.between_points import SEPARATOR
from geo.sizing.description import describe_sites
from geo.sizing.fuel_options import (
    describe_fuel_ladder,
    describe_other_fuel,
    service_line_m,
    size_options,
    take_fuel,
)
from geo.sizing.needed import describe_loads, describe_margins, judge_loads
from geo.sizing.siting import Siting, size_sites
from geo.unmapped import join_words, list_unmapped

# Reach of the land beside a site, to tell a street from a neighbor: half a street and its shoulder.
LOT_REACH_M = 30.0
# An outline with more vertices than this is thinned by at most this distance.
VERTICES_MOST, THINNED_BY_M = 2_000, 0.01
# Sites with no wider gap than this between them (a path, a survey error) form one group of sites.
GROUP_GAP_M = 1.0
# A block of adjoining sites is no longer than this from corner to corner.
BLOCK_MOST_M = 400.0
# Called with the batches and with a function that makes what they share.
ScreenAll = Callable[[Iterator[Screening], Callable[[], Shared]], Iterator[gpd.GeoDataFrame]]
# A site whose block is louder between its receiver points is measured again no more than so often.
MEASURED_AGAIN_MOST = 3


def list_needs(market: Market, plan: Plan) -> Needs:
    """Return what a plan needs from the store: which parcels are sites, and each layer's reach.

    The reach follows from the plan's cap, the loudest source, the lowest limit and the largest
    separation, so that nothing that could change an answer is left out.
    """
    generator = plan_generator(plan)
    source = make_open_field_source(generator, plan)
    rule = rules.market_noise_rule(market)
    audible = max(
        search_reach_m(limit, rule, source, plan) for limit in rules.list_limits(market, plan)
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
        # A building matters to a pad within its clearance, and to sound wherever sound reaches.
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
        exclusions=plan.pad.exclusions,
        structure=plan.pad.structure,
    )


def screen_sites(
    screening: Screening,
    market: Market,
    plan: Plan,
    screen_all: ScreenAll | None = None,
    workers: int = 1,
) -> gpd.GeoDataFrame:
    """Measure the facts of every site; they are judged later (see `geo.ranking`).

    Args:
        screening: The sites with the layers near them, in the market's CRS (m).
        market: The market, for its CRS and noise rule.
        plan: The plan.
        screen_all: Applies `screen_batch` to every batch. Called with the batches and with a
            function that makes what they share. None: one batch after another.
        workers: How many batches that does at once.

    Returns:
        One row of facts per site, in the order of the sites. The columns are declared in
        geo/catalogue/facts.toml.

    Raises:
        ConfigError: If the market has no site under this plan.
        ContractError: If a column is not declared.
    """
    if screening.sites.empty:
        raise ConfigError(
            f"screening {market.title}",
            "no parcel of the market is a site under this plan",
            f"widen [sites] in plan {plan.id!r}: classes, zones or minimum_area_m2",
        )
    reach_m = list_needs(market, plan).reach_m
    rows, batches = split_sites(screening, reach_m, workers)
    if screen_all is None or len(rows) == 1:
        screen_all = _screen_in_turn
    share = partial(_share, screening, market, plan, reach_m)
    facts = join_facts(rows, list(screen_all(batches, share)))
    facts["group_id"] = _group_ids(facts)
    facts["weightless"] = " ".join(list_missing_criteria(screening, plan))
    facts["unmapped"] = join_words(list_unmapped(screening, plan))
    check_facts(facts.columns, "screened sites", published=False)
    return facts


def _share(screening: Screening, market: Market, plan: Plan, reach_m: dict[str, float]) -> Shared:
    """Return what all batches share."""
    buildings, elevation = screening.layers.get("buildings"), screening.rasters.get("elevation")
    sound = make_noise_source(plan_generator(plan), plan, buildings, elevation, market.crs)
    return Shared(sound, market, plan, reach_m)


def _screen_in_turn(
    batches: Iterator[Screening], share: Callable[[], Shared]
) -> Iterator[gpd.GeoDataFrame]:
    """Screen one batch after another."""
    shared = share()
    return (screen_batch(batch, shared) for batch in batches)


def screen_batch(screening: Screening, shared: Shared) -> gpd.GeoDataFrame:
    """Measure the facts of some sites, whatever other sites are screened with them.

    A site whose block is louder between its receiver points than at the worst of them is measured
    again. The points of the receptors where it is are then close together.

    Args:
        screening: The sites with the layers near them, in the market's CRS (m).
        shared: What all batches of the market share.

    Returns:
        One row of facts per site, in their order, without the group of adjoining sites.
    """
    screening = replace(screening, sites=_thin_outlines(screening.sites.reset_index(drop=True)))
    grid = _measure_utilities(screening, shared)
    facts = _measure_facts(screening, shared, grid)
    close: list[list[str]] = [[] for _ in range(len(facts))]
    for _ in range(MEASURED_AGAIN_MOST):
        louder = facts["close_points"].notna().to_numpy()
        if not louder.any():
            break
        again = np.flatnonzero(louder)
        for row, names in zip(again, facts["close_points"].to_numpy()[again], strict=True):
            close[row] += names.split(SEPARATOR)
        some = take_surroundings(screening, again, shared.reach_m)
        same_grid = grid.iloc[again].reset_index(drop=True)
        closer = _measure_facts(some, shared, same_grid, [close[row] for row in again])
        facts = join_facts([np.flatnonzero(~louder), again], [facts[~louder], closer])
    facts["close_points"] = [SEPARATOR.join(names) or None for names in close]
    return facts


def _measure_utilities(screening: Screening, shared: Shared) -> pd.DataFrame:
    """Measure where each site is, what the grid still supplies there, and the nearest gas main."""
    sites, plan = screening.sites, shared.plan
    grid = serving.find_serving_records(
        sites, screening.layers, screening.coverage, plan, screening.night
    )
    _add_location(grid, screening, sites)
    _add_gap(grid, plan_generator(plan), plan)
    return grid.join(describe_nearest_main(sites, screening.layers.get("mains"), plan))


def _measure_facts(
    screening: Screening,
    shared: Shared,
    grid: pd.DataFrame,
    close: list[list[str]] | None = None,
) -> gpd.GeoDataFrame:
    """Measure the facts of some sites, with points close together at the receptors named."""
    sound, market, plan, reach_m = shared
    generator, sites = plan_generator(plan), screening.sites
    siting = size_sites(sites, screening, sound, generator, market, plan, close)
    fuels = plan_fuels(plan)
    options = size_options(screening, sites, siting, fuels, generator, plan)
    at_loads = judge_loads(options, grid, screening, sites, plan)
    choice = take_fuel(options, at_loads[plan.target_kw].option, screening, sites, plan)
    siting = choice.siting
    tanks_there = choice.supply["storage"].to_numpy(dtype=object)
    described = describe_sites(sites, screening, siting, choice.deployed, tanks_there, market)
    # `described` has the setbacks that were used, from the zoning text or from the plan.
    site_columns = sites.drop(columns=[f"setback_{yard}_m" for yard in YARDS])
    parts = [
        site_columns,
        grid,
        choice.supply,
        choice.deployed,
        describe_other_fuel(choice),
        describe_fuel_ladder(choice, plan),
        describe_loads(at_loads, options),
        described,
    ]
    # A copy has its columns together by type, to which others can be added quickly.
    facts = pd.concat(parts, axis=1).copy()
    facts["fuel"] = choice.fuel
    facts = facts.join(describe_margins(facts, at_loads, siting))
    # Where no machine stands, draw no tank.
    facts.loc[facts["block"].isna(), "storage"] = None
    facts["service_line_m"] = service_line_m(choice.supply, facts["block"], screening.layers)
    _add_fuel_slack(facts, plan)
    facts = facts.join(estimate_costs(facts, generator, fuels, plan))
    lifted = levers.size_under_levers(screening, sites, choice, generator, plan)
    facts = facts.join(lifted).copy()
    _add_assumptions(facts, siting, plan)
    facts["sound_reach_n"] = count_heard_machines(plan)
    facts["unmeasured_count"] = count_unmeasured(
        geometry_array(sites),
        at_loads[plan.target_kw].facts["receiver"].to_numpy(dtype=object),
        screening.layers.get("buildings"),
        reach_m["buildings"],
    )
    facts["own_assumed"] = ~np.isnan(siting.context.pairs.own_at_m)
    facts["ambient_assumed"] = siting.context.pairs.ambient_assumed
    facts["noise_rule"] = describe_noise_limits(market, plan)
    facts["noise_edition"] = sound.edition.name
    facts["level_at_1m_dba"] = facts["level_dba"] + rerating_db(generator, 1.0)
    return gpd.GeoDataFrame(facts, geometry="geometry", crs=sites.crs)


def _thin_outlines(sites: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Leave out vertices of outlines that have very many, where that moves a line by 1 cm at most.

    Each piece of a lot line has its own kind, yard and direction. Pieces of less than a millimeter
    would have none, and a hundred thousand of them take many seconds.
    """
    shapes = geometry_array(sites).copy()
    many = shapely.get_num_coordinates(shapes) > VERTICES_MOST
    if not many.any():
        return sites
    shapes[many] = shapely.simplify(shapes[many], THINNED_BY_M)
    return sites.set_geometry(gpd.GeoSeries(shapes, index=sites.index, crs=sites.crs))


def _group_ids(sites: gpd.GeoDataFrame) -> np.ndarray:
    """Return for each site the lowest id in its block of adjoining sites."""
    ids = sites["site_id"].to_numpy(dtype=object)
    order = np.argsort(ids, kind="stable")
    first = adjoining.group_blocks(geometry_array(sites)[order], GROUP_GAP_M, BLOCK_MOST_M)
    siting = np.empty(len(ids), dtype=object)
    siting[order] = ids[order][first]
    return siting


def _add_location(facts: pd.DataFrame, screening: Screening, sites: gpd.GeoDataFrame) -> None:
    """Add the location of each site, and the values of the rasters there."""
    middle = shapely.point_on_surface(np.asarray(sites.geometry.array))
    for layer, name in (("elevation", "elevation_m"), ("ambient", "ambient_dba")):
        raster = screening.rasters.get(layer)
        facts[name] = sample_raster(raster, middle, sites.crs) if raster is not None else np.nan
    lon_lat = gpd.GeoSeries(middle, crs=sites.crs).to_crs("EPSG:4326")
    facts["lat"], facts["lon"] = lon_lat.y, lon_lat.x


def _add_gap(facts: pd.DataFrame, generator: Generator, plan: Plan) -> None:
    """Add the grid's shortfall for each load, and how many generators would close it."""
    altitude_m = facts["elevation_m"].fillna(plan.altitude_m).to_numpy(dtype=float)
    facts["machine_kw"] = derated_power_kw(generator, altitude_m, plan.summer_c)
    lo_kw, hi_kw = facts["headroom_lo_kw"], facts["headroom_hi_kw"]
    columns: dict[str, pd.Series | np.ndarray] = {}
    for load_kw in plan.every_load_kw:
        tag = catalogue.load_column_tag(load_kw)
        least, most = gap.shortfall_range_kw(lo_kw, hi_kw, load_kw)
        columns |= {
            f"gap_at_{tag}": gap.classify_gap(least, most),
            f"short_lo_at_{tag}": least,
            f"short_hi_at_{tag}": most,
            f"needed_lo_at_{tag}": gap.count_needed(least, facts["machine_kw"], plan.spares),
            f"needed_hi_at_{tag}": gap.count_needed(most, facts["machine_kw"], plan.spares),
        }
    tag = catalogue.load_column_tag(plan.target_kw)
    for name, at_target in (
        ("gap_class", "gap"), ("shortfall_lo_kw", "short_lo"), ("shortfall_hi_kw", "short_hi"),
        ("needed_lo", "needed_lo"), ("needed_hi", "needed_hi"),
    ):  # fmt: skip
        facts[name] = columns[f"{at_target}_at_{tag}"]
    facts["headroom_check"] = gap.compare_records(facts, plan.target_kw)
    facts["headroom_fold"] = pd.Series(plan.grid.fold, facts.index, dtype=object).where(
        facts["headroom_rows"] > 1, None
    )
    for name, values in columns.items():
        facts[name] = values


def _add_fuel_slack(facts: pd.DataFrame, plan: Plan) -> None:
    running = (facts["n_lo"] - plan.spares).clip(lower=0)
    facts["fuel_slack"] = facts["fuel_capacity"] - running * facts["fuel_demand"]
    facts.loc[facts["fuel_slack"] < 0, "fuel_slack"] = np.nan
    lacking = (running + 1) * facts["fuel_demand"] - facts["fuel_capacity"]
    # If another main within reach may feed one more, the fuel is not short.
    stops = facts["fuel_n_lo"] <= running
    facts["fuel_short_by"] = lacking.where(stops & (lacking > 0) & (facts["n_lo"] < plan.cap))


def _add_assumptions(facts: pd.DataFrame, siting: Siting, plan: Plan) -> None:
    """Add what the plan assumes on each row, for the reader: of the site, and also of its fuel."""
    ambient = siting.context.pairs.ambient_assumed
    bare = siting.context.ground.facts["bare"].to_numpy() & plan.assume.bare_parcel
    own = ~np.isnan(siting.context.pairs.own_at_m)
    of_sites, of_all = [], []
    for gas, is_bare, is_own, is_ambient in zip(
        facts["fuel_assumed"], bare, own, ambient, strict=True
    ):
        parts = []
        if is_bare:
            parts.append("no buildings in the way (none are mapped here)")
        if is_own:
            distance_ft = convert_units(plan.assume.own_dwelling_at_m or 0.0, "m", "ft")
            parts.append(f"homes on the site are {distance_ft:.0f} ft from the pad")
        if is_ambient:
            parts.append(f"ambient noise level {plan.assume.ambient_dba:g} dB(A)")
        of_sites.append("; ".join(parts) or None)
        fuel = [gas] if isinstance(gas, str) and gas != stored.ASSUMED_NO_BUILDING else []
        of_all.append("; ".join(fuel + parts) or None)
    facts["site_assumed"] = pd.Series(of_sites, facts.index, dtype=object)
    facts["assumed"] = pd.Series(of_all, facts.index, dtype=object)


def describe_noise_limits(market: Market, plan: Plan) -> str:
    """Name the noise limits that apply to the rows."""
    own, rule = f"{plan.noise.limit_dba:g} dB(A)", rules.market_noise_rule(market)
    return f"{own} (no local rule given)" if rule is None else f"{own} and {rule.title}"


def list_missing_criteria(screening: Screening, plan: Plan) -> list[str]:
    """List the criteria for which the market has no layer; they have no weight."""
    names = []
    if not records.has_published_capacity(screening.layers, plan):
        names.append("grid")
    gas_layers = {"mains", "gas_signs", "gas_territories", "gas_transmission", "fuel_plants"}
    if not delivered_fuels(plan) and not (gas_layers & set(screening.layers)):
        names.append("fuel")
    if "receptors" not in screening.layers:
        names.append("noise")
    return names
