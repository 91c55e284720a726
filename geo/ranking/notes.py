"""Write the notes at the top of a list: what is missing, and what the plan assumes."""

from collections.abc import Sequence

import geopandas as gpd

from geo import catalogue
from geo.contract.units import convert_units
from geo.criteria.cost import economics
from geo.criteria.fuel.mains import count_unusable_mains
from geo.criteria.grid.records import count_unusable_records
from geo.criteria.noise import rules
from geo.criteria.noise.sound import sound_power_dba
from geo.equipment import block
from geo.equipment.selection import plan_fuels, plan_generator
from geo.model import Assume, Market, Plan, Screening, SourceHealth
from geo.propagation.footprints import UNKNOWN_HEIGHT, find_unusable
from geo.ranking.sentences import (
    ASSUMPTION_TITLES,
    format_feet,
    format_power,
    format_temperature,
)
from geo.screen import describe_noise_limits, list_missing_criteria
from geo.shapes.near import geometry_array
from geo.unmapped import write_unmapped_notes

_WARNED_MOST, _WARNINGS_MOST = 12, 3
_VERDICT_WORDS = {"shrunk": "shorter than before", "never pulled": "missing"}


def count_records(screening: Screening, plan: Plan) -> dict[str, int]:
    """Count the grid and gas records near sites that cannot be fully used, by reason."""
    return {
        **count_unusable_records(screening.layers, plan, screening.night),
        **count_unusable_mains(screening.layers),
    }


def list_first_lines(screening: Screening, market: Market, plan: Plan) -> tuple[str, ...]:
    """List what a reader must know before the first row.

    Args:
        screening: The sites and the layers near them.
        market: The market, with its note and noise rule.
        plan: The plan.

    Returns:
        The notes, each of one or two sentences.
    """
    lines = [market.note] if market.note else []
    missing = list_missing_criteria(screening, plan)
    if "grid" in missing:
        lines.append(
            "No grid capacity is published here: sites are ranked on siting only, and every site "
            "needs the utility's figure first."
        )
    if "fuel" in missing:
        lines.append("No gas mains are mapped here: fuel does not count in the score.")
    if "noise" in missing:
        lines.append("No neighbors are mapped here: noise is unknown everywhere.")
    lines += write_unmapped_notes(screening, plan)
    unread = int(screening.sites["setback_front_m"].isna().sum())
    if unread:
        lines.append(
            f"The zoning text was not read for {unread:,} of {len(screening.sites):,} sites: their "
            "setbacks are the plan's assumption."
        )
    lines += _building_notes(screening.layers.get("buildings"))
    lines += _record_notes(screening, plan)
    lines.append(f"Noise limits applied: {describe_noise_limits(market, plan)}.")
    rule = rules.market_noise_rule(market)
    relative = rule is not None and any(row.above_ambient_db is not None for row in rule.limits)
    if relative and "ambient" not in screening.rasters and plan.assume.ambient_dba is None:
        lines.append(
            "The local noise limit depends on the ambient noise level, which is not published "
            "here. Until somebody measures it, we don't know how many generators fit."
        )
    return tuple(lines)


def list_call_lines(ranking: gpd.GeoDataFrame, plan: Plan) -> tuple[str, ...]:
    """List how many sites are a yes for each load, and what no site can be a yes for.

    Args:
        ranking: The ranking.
        plan: The plan.

    Returns:
        The notes, each of one or two sentences.
    """
    counts = []
    for load_kw in plan.every_load_kw:
        calls = ranking[f"call_{load_kw:.12g}"]
        counts.append(f"{(calls == 'yes').sum():,} for {format_power(load_kw)}")
    lines = [f"Sites with the call yes: {', '.join(counts)}; {len(ranking):,} sites in all."]
    unranged = [
        title
        for name, title in ASSUMPTION_TITLES.items()
        if name in type(plan.ranges).model_fields and getattr(plan.ranges, name) is None
    ]
    if unranged:
        lines.append(
            "The plan gives no range for these assumptions, so no site that depends on one is a "
            f"yes: {', '.join(unranged)}."
        )
    return tuple(lines)


def list_source_lines(health: Sequence[SourceHealth]) -> tuple[str, ...]:
    """List the sources that are not fresh, and what was lost or repaired in reading the others.

    Args:
        health: The health of each source.

    Returns:
        At most one note per source and kind, and few in all.
    """
    lines = [
        f"{one.title} ({one.id}) is {_VERDICT_WORDS.get(one.verdict, one.verdict)}: {one.error}."
        for one in health
        if one.verdict != "fresh"
    ]
    warned = [one for one in health if one.warnings]
    for one in warned[:_WARNED_MOST]:
        more = len(one.warnings) - _WARNINGS_MOST
        shown = "; ".join(one.warnings[:_WARNINGS_MOST])
        lines.append(
            f"Check {one.title} ({one.id}): {shown}{f'; and {more} more' if more > 0 else ''}."
        )
    if others := warned[_WARNED_MOST:]:
        lines.append(f"Check also: {', '.join(one.title for one in others)}.")
    return tuple(lines)


def _record_notes(screening: Screening, plan: Plan) -> list[str]:
    shown = (
        count_unusable_records(screening.layers, plan, screening.night),
        count_unusable_mains(screening.layers),
    )
    return [
        f"Records near sites: {'; '.join(f'{what} ({count:,})' for what, count in near.items())}."
        for near in shown
        if near
    ]


def list_assumptions(market: Market, plan: Plan) -> tuple[str, ...]:
    """List what the plan assumes, for the reader."""
    rule = rules.market_noise_rule(market)
    lines = [
        *_generator_assumptions(plan),
        *_noise_assumptions(plan),
        *([f"{rule.title}: {rule.note} ({rule.source})."] if rule is not None else []),
        (
            f"A gas main is assumed to have {plan.fuel.usable_share:.0%} of its empty capacity to "
            "spare; public data cannot show spare capacity."
        ),
        *_main_assumptions(plan),
        *_pad_assumptions(plan),
        *_grid_assumptions(plan),
        (
            f"Stored fuel scores like a gas main {format_feet(plan.fuel.storage_as_far_as_m)} "
            f"away; up to {plan.fuel.containers_most} tanks stand side by side."
        ),
        *_storage_assumptions(plan),
        *_missing_fact_assumptions(plan.assume),
    ]
    lines += [f"{lever.title}: {lever.source}." for lever in plan.levers.values()]
    return tuple(lines)


def list_estimates(plan: Plan) -> tuple[str, ...]:
    """List the plan's estimates of time and cost, each with its source and date."""
    return tuple(economics.describe_estimates(plan, plan_fuels(plan)))


def _generator_assumptions(plan: Plan) -> list[str]:
    generator = plan_generator(plan)
    basis = "higher" if generator.efficiency_basis == "HHV" else "lower"
    return [
        (
            f"{generator.title}: {generator.power_kw:g} kW, {generator.level_dba:g} dB(A) at "
            f"{format_feet(generator.level_distance_m)} ({generator.source})."
        ),
        (
            f"{generator.title} converts {generator.efficiency:.0%} of the fuel's {basis} heating "
            f"value into power ({generator.efficiency_source}). It produces less at "
            f"{format_temperature(plan.summer_c)} and at high altitude "
            f"({generator.derating.source}). Spare generators: {plan.spares}."
        ),
    ]


def _building_notes(buildings: gpd.GeoDataFrame | None) -> list[str]:
    """List what is missing of the buildings, and which of them the noise model leaves out."""
    if buildings is None:
        text = (
            "No building footprints are available here: space was tested on empty lots, and no "
            "building screens the sound."
        )
        return [text]
    shapes, heights = geometry_array(buildings), buildings["height_m"].to_numpy(dtype=float)
    unusable = find_unusable(shapes, heights)
    unknown = int(unusable.pop(UNKNOWN_HEIGHT).sum())
    notes = []
    if unknown:
        notes.append(
            f"{unknown:,} of {len(heights):,} buildings near sites have no recorded height: they "
            "are assumed to screen no sound."
        )
    others = [f"{rows.sum():,} {reason}" for reason, rows in unusable.items() if rows.any()]
    if others:
        notes.append(
            "Buildings near sites that are assumed to screen no sound, because their record cannot "
            f"be right: {', '.join(others)}."
        )
    return notes


def _noise_assumptions(plan: Plan) -> list[str]:
    generator, noise, ground = plan_generator(plan), plan.noise, plan.noise.ground
    spectrum = catalogue.read_spectra()[generator.spectrum]
    factors = (
        f"ground factors {ground.source:g}, {ground.middle:g} and {ground.receiver:g} "
        "(0 hard, 1 porous)"
        if noise.ground_method == "7.3.1"
        else "porous ground, by its mean height (clause 7.3.2)"
    )
    return [
        (
            f"Sound power {sound_power_dba(generator):.1f} dB(A), with the spectrum of an "
            f"{spectrum.title} ({spectrum.source})."
        ),
        (
            f"Noise by ISO 9613-2:{noise.edition}, downwind, "
            f"{format_temperature(noise.temperature_c)} and {noise.humidity_pct:g}% humidity, "
            f"{factors}. Generators are {format_feet(noise.source_height_m)} high; receivers are "
            f"{format_feet(noise.receptor_height_m)} above the ground at lot lines and "
            f"{format_feet(noise.facade_height_m)} at facades. Walls reflect "
            f"{1 - noise.wall_absorption:.0%}. The standard's own accuracy is 3 dB; "
            "conformity.html beside this map compares the program with the standard's test cases."
        ),
    ]


def _grid_assumptions(plan: Plan) -> list[str]:
    grid = plan.grid
    return [
        f"MVA are converted to MW at power factor {grid.power_factor:g} if none is published.",
        (
            "If only transformer banks are known, firm capacity is the nameplate of the banks that "
            f"remain with the largest one out, times {grid.cyclic_factor:g} (best case "
            f"{grid.cyclic_factor_most:g})."
        ),
        (
            f"If a feeder has several records within {format_feet(grid.feeder_reach_m)}, the "
            f"{grid.fold} counts. A substation gives an upper limit for the sites nearest to it."
        ),
        "Hosting capacity is for generation and is never used as load headroom.",
    ]


def _main_assumptions(plan: Plan) -> list[str]:
    pipes = catalogue.read_pipes()
    pressures = "; ".join(
        f"{name} pressure {rule.inlet_psig:g} to {rule.outlet_psig:g} psig"
        if rule.outlet_psig is not None
        else f"{name} pressure {rule.fall_inwc_per_1000ft:g} inches of water per 1,000 ft"
        for name, rule in pipes.pressure.items()
    )
    length_mi = convert_units(plan.fuel.main_length_m, "m", "mi")
    plastic = pipes.material["polyethylene"]
    return [
        (
            f"A gas main carries what its pressure drives over {length_mi:g} "
            f"mile{'' if length_mi == 1 else 's'}: {pressures}. Steel is schedule 40, "
            f"polyethylene is SDR {plastic.sdr:g}, and other mains are as wide inside as their "
            "nominal size."
        ),
        *(
            f"If a plant does not state its methane, {fuel} is {gas.methane_lo:.0%} to "
            f"{gas.methane_hi:.0%} methane ({gas.source})."
            for fuel, gas in catalogue.read_plants().items()
        ),
        f"Ground of unknown elevation is at {format_feet(plan.altitude_m)}.",
    ]


def _pad_assumptions(plan: Plan) -> list[str]:
    generator, pad = plan_generator(plan), plan.pad
    body_ft2 = convert_units(generator.length_m * generator.width_m, "m2", "ft2")
    mass_lb = convert_units(generator.mass_kg, "kg", "lb")
    setbacks = [
        f"{zone.replace('_', ' ')} zones {format_feet(setback.front_m)} in front, "
        f"{format_feet(setback.side_m)} at the sides, {format_feet(setback.rear_m)} at the rear, "
        f"{format_feet(setback.home_m)} next to homes"
        for zone, setback in sorted(pad.setbacks.items())
    ]
    lines = [
        (
            f"Setbacks are assumed where the zoning text was not read: {'; '.join(setbacks)}. "
            f"Where it was read, a generator counts as a structure of the kind: {pad.structure}."
        ),
        (
            f"{format_feet(pad.building_clearance_m)} to buildings (NFPA 37, openings and "
            f"combustible walls); aisles of {format_feet(pad.service_m)}, and of "
            f"{format_feet(block.electrical_aisle_m(generator, plan))} at the electrical ends (NEC "
            f"110.26, {generator.volts_to_ground:g} V to ground, condition "
            f"{pad.electrical_condition})."
        ),
        (
            f"{mass_lb:,.0f} lb on {body_ft2:.0f} sq ft: {mass_lb / body_ft2:.0f} lb per sq ft. "
            "Generators stand on the ground; roofs are not screened."
        ),
    ]
    if generator.gear is not None:
        lines.append(
            "An electrical cabinet takes a generator's place for every "
            f"{generator.gear.machines} generators. {generator.gear.source}."
        )
    if pad.slope_most is not None:
        lines.append(f"Nothing is placed on ground steeper than {pad.slope_most:.0%}.")
    return lines


def _storage_assumptions(plan: Plan) -> list[str]:
    lines = []
    for fuel in plan_fuels(plan):
        if fuel.id in plan.fuel.delivered and "storage" in fuel.routes:
            rule = catalogue.read_separations()[plan.fuel.separation[fuel.id]]
            vaporizer = plan.fuel.vaporiser and fuel.storage_unit == "gal"
            lines.append(
                f"{fuel.title.capitalize()} lasts {plan.fuel.autonomy_days[fuel.id]:g} days "
                f"between deliveries{', with a vaporizer' if vaporizer else ''}. Tanks keep the "
                f"distances of {rule.title}, {rule.edition}. {rule.source}."
            )
    return lines


def _missing_fact_assumptions(assume: Assume) -> list[str]:
    """List what the plan assumes where a fact is missing."""
    lines = []
    for main, place in (
        (assume.main_at_sign, "Where leaks or stations suggest a gas main"),
        (assume.main_size, "Where a main's size or pressure class is missing"),
    ):
        if main is not None:
            lines.append(
                f"{place}, it is assumed to be {main.diameter_in:g}-inch {main.material} at "
                f"{main.pressure_class} pressure."
            )
    if assume.bare_parcel:
        lines.append("Where buildings are not mapped, none is assumed to be in the way.")
    if assume.own_dwelling_at_m is not None:
        distance = format_feet(assume.own_dwelling_at_m)
        lines.append(f"Homes on a site itself are assumed to be {distance} from the pad.")
    if assume.ambient_dba is not None:
        lines.append(
            f"Where the ambient noise level is unknown, {assume.ambient_dba:g} dB(A) is assumed."
        )
    return lines
