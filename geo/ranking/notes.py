"""What a reader is told before the first row: what is missing, and what was taken as given."""

from geo import catalogue
from geo.criteria.cost import economics
from geo.criteria.fuel.mains import count_unusable_mains
from geo.criteria.grid.records import count_unusable_records
from geo.criteria.noise import rules
from geo.criteria.noise.sound import sound_power_dba
from geo.equipment import block
from geo.model import Market, Plan, Screening
from geo.screen import describe_noise_limits, list_missing_criteria, plan_fuels, plan_generator


def count_records(given: Screening, plan: Plan) -> dict[str, int]:
    """Count the records of grid and gas near sites that say less than they should, by why."""
    return {
        **count_unusable_records(given.layers, plan),
        **count_unusable_mains(given.layers),
    }


def list_first_lines(given: Screening, market: Market, plan: Plan) -> tuple[str, ...]:
    """Say what a reader must know before the first row."""
    lines = [market.note] if market.note else []
    missing = list_missing_criteria(given, plan)
    if "grid" in missing:
        lines.append("Grid capacity is not published here: ranked on siting only.")
    if "fuel" in missing:
        lines.append("No gas mains are mapped here: fuel weighs nothing.")
    if "noise" in missing:
        lines.append("No neighbours are mapped here: noise is not known anywhere.")
    if plan.pad.exclusions and "exclusions" not in given.layers:
        lines.append("No flood zones or wetland are mapped here: none was kept clear of.")
    if plan.pad.slope_most is not None and "elevation" not in given.rasters:
        lines.append(
            "No ground heights are mapped here: how steep the ground is was not looked at."
        )
    unread = int(given.sites["setback_front_m"].isna().sum())
    if unread:
        lines.append(
            f"The zoning text of {unread:,} of {len(given.sites):,} sites was not read: their "
            "setbacks are the plan's assumption."
        )
    if "buildings" not in given.layers:
        lines.append(
            "No building footprints here: the fit was tested against the bare parcel, and nothing "
            "screens the sound."
        )
    else:
        heights = given.layers["buildings"]["height_m"]
        if heights.isna().any():
            lines.append(
                f"{heights.isna().sum():,} of {len(heights):,} buildings near sites have no height "
                "on record: they screen no sound."
            )
    lines += _record_notes(given, plan)
    lines.append(f"Noise is held to {describe_noise_limits(market, plan)}.")
    rule = rules.market_noise_rule(market)
    relative = rule is not None and any(row.above_ambient_db is not None for row in rule.limits)
    if relative and "ambient" not in given.rasters and plan.assume.ambient_dba is None:
        lines.append(
            "The local noise limit rests on the ambient level, which is not published here: what a "
            "site carries is a bound until somebody measures it."
        )
    return tuple(lines)


def _record_notes(given: Screening, plan: Plan) -> list[str]:
    told = (
        count_unusable_records(given.layers, plan),
        count_unusable_mains(given.layers),
    )
    return [
        f"Records near sites: {'; '.join(f'{what} ({count:,})' for what, count in near.items())}."
        for near in told
        if near
    ]


def list_assumptions(market: Market, plan: Plan) -> tuple[str, ...]:
    """List what the plan takes as given, for the reader."""
    machine = plan_generator(plan)
    noise, ground, rule = plan.noise, plan.noise.ground, rules.market_noise_rule(market)
    factors = (
        f"ground factors {ground.source:g}, {ground.middle:g} and {ground.receiver:g} "
        "(0 hard, 1 porous)"
        if noise.ground_method == "7.3.1"
        else "porous ground by mean height (7.3.2)"
    )
    lines = [
        (
            f"{machine.title}: {machine.power_kw:g} kW, {machine.level_dba:g} dB(A) at "
            f"{machine.level_distance_m:g} m ({machine.source})"
        ),
        (
            f"Sound power {sound_power_dba(machine):.1f} dB(A), spread over octaves as "
            f"{catalogue.read_spectra()[machine.spectrum].title}; "
            f"{catalogue.read_spectra()[machine.spectrum].source}."
        ),
        (
            f"Noise by ISO 9613-2:{noise.edition}, downwind, {noise.temperature_c:g} C and "
            f"{noise.humidity_pct:g} % humidity, {factors}; machines "
            f"{noise.source_height_m:g} m high, heard {noise.receptor_height_m:g} m above the "
            f"ground at lot lines and {noise.facade_height_m:g} m at facades; walls give back "
            f"{1 - noise.wall_absorption:.0%}. The standard's own accuracy is 3 dB; "
            "conformity.html beside this map holds the program to the standard's test cases."
        ),
        *([f"{rule.title}: {rule.note} ({rule.source})."] if rule is not None else []),
        (
            f"{plan.fuel.usable_share:.0%} of what a gas main carries when empty is taken to be "
            "free; public data cannot show spare capacity."
        ),
        *_main_assumptions(plan),
        *_pad_assumptions(plan),
        *_grid_assumptions(plan),
        (
            f"{machine.title} turns {machine.efficiency:.0%} of the fuel's "
            f"{'higher' if machine.efficiency_basis == 'HHV' else 'lower'} heating value into "
            f"power ({machine.efficiency_source}). It gives less on a day of {plan.summer_c:g} C "
            f"and in thin air ({machine.derating.source}); {plan.spares} spares."
        ),
        (
            f"Stored fuel scores like a main {plan.fuel.storage_as_far_as_m:g} m away; up to "
            f"{plan.fuel.containers_most} tanks stand side by side."
        ),
        *_storage_assumptions(plan),
    ]
    taken = plan.assume
    if taken.main_at_sign is not None:
        main = taken.main_at_sign
        lines.append(
            f"Where leaks or stations show a gas main: {main.diameter_in:g} in {main.material}, "
            f"{main.pressure_class} pressure."
        )
    if taken.main_size is not None:
        main = taken.main_size
        lines.append(
            f"Where a main's size or class is missing: {main.diameter_in:g} in {main.material}, "
            f"{main.pressure_class} pressure."
        )
    if taken.bare_parcel:
        lines.append("Where buildings are not mapped, none stands in the way.")
    if taken.own_dwelling_at_m is not None:
        lines.append(f"Homes on a site itself stand {taken.own_dwelling_at_m:g} m from the pad.")
    if taken.ambient_dba is not None:
        lines.append(f"Where the ambient level is not known: {taken.ambient_dba:g} dB(A).")
    lines += [f"Lever, {lever.title}: {lever.source}" for lever in plan.levers.values()]
    return tuple(lines)


def list_estimates(plan: Plan) -> tuple[str, ...]:
    """List the plan's estimates of time and money, each with its source and age."""
    return tuple(economics.describe_estimates(plan, plan_fuels(plan)))


def _grid_assumptions(plan: Plan) -> list[str]:
    """Say what is assumed of the grid."""
    grid = plan.grid
    return [
        f"MVA count as MW at power factor {grid.power_factor:g} where none is published.",
        (
            "Firm capacity, where only transformer banks are known, is what is left with the "
            f"largest one out, at {grid.cyclic_factor:g} times its nameplate, at best "
            f"{grid.cyclic_factor_most:g}."
        ),
        (
            f"Of several rows of one feeder within {grid.feeder_reach_m:g} m the {grid.fold} is "
            "taken; a substation bounds the parcels that it is nearest to from above."
        ),
        "Hosting capacity is for generation, and never answers for load.",
    ]


def _main_assumptions(plan: Plan) -> list[str]:
    """Say what is assumed of gas mains and of plants."""
    pipes, gas_of = catalogue.read_pipes(), catalogue.read_plants()
    falls = "; ".join(
        f"{name} {rule.inlet_psig:g} to {rule.outlet_psig:g} psig"
        if rule.outlet_psig is not None
        else f"{name} {rule.fall_inwc_per_1000ft:g} inch of water each 1000 ft"
        for name, rule in pipes.pressure.items()
    )
    plastic = pipes.material["polyethylene"]
    return [
        (
            f"A main carries what its pressure drives over {plan.fuel.main_length_m:,.0f} m: "
            f"{falls}. Steel is taken as schedule 40, polyethylene as SDR {plastic.sdr:g}, other "
            "mains as wide inside as their nominal size."
        ),
        *(
            f"Gas of {name} whose methane is not told is {one.methane_lo:.0%} to "
            f"{one.methane_hi:.0%} methane ({one.source})."
            for name, one in gas_of.items()
        ),
        f"Ground whose height is not mapped lies at {plan.altitude_m:g} m.",
    ]


def _pad_assumptions(plan: Plan) -> list[str]:
    """Say what is assumed of the ground, and of how machines stand on it."""
    machine, pad = plan_generator(plan), plan.pad
    pressure = machine.mass_kg / (machine.length_m * machine.width_m)
    yards = [
        f"{zone} zones {one.front_m:.1f} m in front, {one.side_m:.1f} beside, {one.rear_m:.1f} "
        f"behind, {one.home_m:.1f} next to homes"
        for zone, one in sorted(pad.setbacks.items())
    ]
    lines = [
        (
            f"Setbacks where the zoning text was not read, assumed: {'; '.join(yards)}. Where it "
            f"was, as it asks of a structure that is {pad.structure}."
        ),
        (
            f"{pad.building_clearance_m:g} m to buildings (NFPA 37, openings and combustible "
            f"walls); aisles of {pad.service_m:g} m, and of "
            f"{block.electrical_aisle_m(machine, plan):g} m at the electrical ends (NEC 110.26, "
            f"{machine.volts_to_ground:g} V to ground, condition {pad.electrical_condition})."
        ),
        (
            f"{machine.mass_kg:g} kg on {machine.length_m * machine.width_m:.2f} m2: "
            f"{pressure:.0f} kg/m2. Machines stand on the ground; roofs are not screened."
        ),
    ]
    if machine.gear is not None:
        lines.append(
            f"A cabinet stands in a machine's place for every {machine.gear.machines} machines. "
            f"{machine.gear.source}."
        )
    if pad.slope_most is not None:
        lines.append(f"Ground steeper than {pad.slope_most:.0%} is left alone.")
    return lines


def _storage_assumptions(plan: Plan) -> list[str]:
    """Say what is assumed of each stored fuel of the plan."""
    lines = []
    for one in plan_fuels(plan):
        if one.id in plan.fuel.delivered and "storage" in one.routes:
            rule = catalogue.read_separations()[plan.fuel.separation[one.id]]
            boils = plan.fuel.vaporiser and one.storage_unit == "gal"
            lines.append(
                f"{one.title.capitalize()} lasts {plan.fuel.autonomy_days[one.id]:g} days between "
                f"deliveries{', through a vaporiser' if boils else ''}; kept clear by "
                f"{rule.title} of {rule.edition}. {rule.source}."
            )
    return lines
