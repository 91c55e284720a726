"""A slow second opinion on what each fuel supplies to a site, one site at a time.

Written from the definitions alone, without reference to `geo.criteria.fuel` and
`geo.equipment.generator`: plain loops, one main and one plant at a time. Flows are in standard
cubic feet per hour. A range of counts runs from the worst case to the best.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from geo import catalogue
from geo.model import AssumedMain, Fuel, Generator, Plan
from tests.geo.around import Parcel, is_reach_covered, list_rows_within, read_number, read_text
from tests.geo.oracle_pipes import (
    compute_flow_scfh,
    list_inside_diameters_in,
    pressure_class_range,
)

CountRange = tuple[int, int]
EDGE = "edge of layer"
BTU_PER_KWH = 3412.142

# ---------------------------------------------------------------------------------------------
# Gas from mains


@dataclass(frozen=True)
class FuelSupply:
    """How many generators a fuel can run, and the evidence.

    Attributes:
        n: The generators, worst and best case.
        evidence: How it is known.
        flows: Every flow that was counted, in generators, unrounded, up to the plan's cap.
    """

    n: CountRange
    evidence: str
    flows: tuple[float, ...] = ()

    @property
    def is_close(self) -> bool:
        """Whether a flow is so near a whole generator that two ways to compute it may differ."""
        return any(abs(flow - round(flow)) <= 0.003 * flow for flow in self.flows)


def compute_demand(fuel: Fuel, generator: Generator) -> float:
    """Compute what one generator burns per hour at its rating, in the fuel's unit.

    200 kW x 3412.142 / 0.33 / 1030 Btu = 2007.7 scfh of natural gas.
    """
    btu = fuel.hhv_btu if generator.efficiency_basis == "HHV" else fuel.lhv_btu
    return generator.power_kw * BTU_PER_KWH / generator.efficiency / btu


def compute_plan_demand(fuel: Fuel, plan: Plan) -> float:
    return compute_demand(fuel, catalogue.read_generators()[plan.generator])


@dataclass(frozen=True)
class MainInReach:
    """What one main in reach can run: `flows` in generators, unrounded; empty if not known."""

    main_id: str
    distance_m: float
    flows: tuple[float, ...]
    cap: int
    is_known: bool

    @property
    def n(self) -> CountRange:
        if not self.flows:
            return 0, self.cap
        lo, hi = (min(math.floor(flow), self.cap) for flow in (min(self.flows), max(self.flows)))
        return lo, hi


def compute_machines(
    nominal_in: float | None,
    classes: tuple[str, str] | None,
    material: str | None,
    fuel: Fuel,
    plan: Plan,
    share: float | None = None,
) -> tuple[float, ...]:
    """Compute the generators that a main can run, worst and best case, unrounded.

    The worst case is its lowest class through its smallest possible diameter, the best case its
    highest class through its largest.

    Args:
        nominal_in: Nominal size, None where missing.
        classes: Lowest and highest pressure class, None where missing.
        material: Material, None where missing.
        fuel: The fuel.
        plan: The plan.
        share: Share of the flow that is free, in place of the plan's.

    Returns:
        The two counts, empty where the size or class is missing.
    """
    diameters = [] if nominal_in is None else list_inside_diameters_in(nominal_in, material)
    if not diameters or classes is None:
        return ()
    free = (plan.fuel.usable_share if share is None else share) / compute_plan_demand(fuel, plan)
    ends = zip((min(diameters), max(diameters)), classes, strict=True)
    return tuple(
        compute_flow_scfh(inside_in, pressure_class, plan, fuel.gravity) * free
        for inside_in, pressure_class in ends
    )


def list_mains(site: Parcel, fuel: Fuel, share: float | None = None) -> list[MainInReach]:
    """List every main in service within reach, with what it can run.

    Args:
        site: The site.
        fuel: The fuel.
        share: Share of the flow that is free, in place of the plan's.

    Returns:
        The mains.
    """
    plan, mains, assumed = site.plan, [], site.plan.assume.main_size
    for row in list_rows_within(site.town, "mains", site.lot, plan.fuel.main_reach_m):
        if read_text(row, "status") in {"planned", "retired"} or row.get("kind") == "transmission":
            continue
        size, classes = read_number(row, "diameter_in"), pressure_class_range(row)
        known, material = size is not None and classes is not None, read_text(row, "material")
        if assumed is not None and not known:
            size = assumed.diameter_in if size is None else size
            classes = (assumed.pressure_class,) * 2 if classes is None else classes
            material = assumed.material if material is None else material
        flows = compute_machines(size, classes, material, fuel, plan, share)
        mains.append(
            MainInReach(row["main_id"], row["distance_m"], flows, plan.cap, is_known=known)
        )
    return mains


def find_nearest_main(site: Parcel) -> dict[str, object]:
    """Describe the nearest main in service within reach, keyed by fact name."""
    rows = [
        row
        for row in list_rows_within(site.town, "mains", site.lot, site.plan.fuel.main_reach_m)
        if read_text(row, "status") not in {"planned", "retired"}
        and read_text(row, "kind") != "transmission"
    ]
    best = min(rows, key=lambda row: (row["distance_m"], row["main_id"]), default={})
    return {
        "nearest_main_id": best.get("main_id"),
        "nearest_main_distance_m": best.get("distance_m"),
        "nearest_main_diameter_in": read_number(best, "diameter_in"),
        "nearest_main_pressure_class": read_text(best, "pressure_class"),
        "nearest_main_material": read_text(best, "material"),
    }


def supply_from_mains(site: Parcel, fuel: Fuel, share: float | None = None) -> FuelSupply:
    """Return what the mains in reach can run: the best main in each case.

    Args:
        site: The site.
        fuel: The fuel.
        share: Share of the flow that is free, in place of the plan's.

    Returns:
        The supply.
    """
    mains = list_mains(site, fuel, share)
    if not mains:
        return supply_without_main(site, fuel, share)
    n = max(main.n[0] for main in mains), max(main.n[1] for main in mains)
    if not is_reach_covered(site.town, "mains", site.lot, site.plan.fuel.main_reach_m):
        # A better main may lie beyond the edge of the layer.
        n = n[0], site.plan.cap
    flows = tuple(flow for main in mains for flow in main.flows if flow < site.plan.cap + 1)
    # The evidence is that of the main that certainly runs the most, else of the one that may.
    end = 0 if any(main.n[0] for main in mains) else 1
    best = max(mains, key=lambda main: (main.n[end], main.is_known))
    return FuelSupply(n, "main" if best.is_known else "main of unknown size", flows)


def supply_without_main(site: Parcel, fuel: Fuel, share: float | None) -> FuelSupply:
    """Return what is known of gas where no main is in reach.

    Args:
        site: The site.
        fuel: The fuel.
        share: Share of the flow that is free, in place of the plan's.

    Returns:
        The supply.
    """
    plan, town, lot = site.plan, site.town, site.lot
    sign = bool(list_rows_within(town, "gas_signs", lot, plan.fuel.sign_reach_m))
    n, flows, assumed = (0, plan.cap), (), plan.assume.main_at_sign if sign else None
    if assumed is not None:
        n, flows = supply_from_assumed_main(assumed, fuel, plan, share)
    if is_reach_covered(town, "mains", lot, plan.fuel.main_reach_m):
        return FuelSupply(n, "sign of a main", flows) if sign else FuelSupply((0, 0), "no main")
    # Where mains are not mapped, a territory is better evidence than a sign, unless the plan
    # assumes a main at the sign.
    if assumed is not None:
        return FuelSupply(n, "sign of a main", flows)
    if list_rows_within(town, "gas_territories", lot, 0.0):
        lines = list_rows_within(town, "gas_transmission", lot, plan.fuel.transmission_reach_m)
        near_line = any(read_text(row, "status") in {None, "in_service"} for row in lines)
        return FuelSupply(n, f"territory{' and transmission line' if near_line else ''}", flows)
    if sign:
        return FuelSupply(n, "sign of a main", flows)
    if "mains" in town.layers:
        return FuelSupply(n, EDGE)
    outside = "gas_territories" in town.layers and is_reach_covered(
        town, "gas_territories", lot, 0.0
    )
    return FuelSupply((0, 0), "no territory") if outside else FuelSupply(n, "no layer")


def supply_from_assumed_main(
    main: AssumedMain, fuel: Fuel, plan: Plan, share: float | None
) -> tuple[CountRange, tuple[float, ...]]:
    """Return what a main that the plan assumes can run.

    Args:
        main: The assumed main.
        fuel: The fuel.
        plan: The plan.
        share: Share of the flow that is free, in place of the plan's.

    Returns:
        The generators, and the flows that were counted.
    """
    classes = main.pressure_class, main.pressure_class
    flows = compute_machines(main.diameter_in, classes, main.material, fuel, plan, share)
    counted = tuple(flow for flow in flows if flow < plan.cap + 1)
    return MainInReach("", 0.0, flows, plan.cap, is_known=False).n, counted


def choose_main(mains: list[MainInReach], running: int) -> str | None:
    """Choose the serving main: the nearest that certainly can, else that may, else the largest.

    Among mains equally near to a millimeter, the one that carries more serves, then the lower id.
    If no generator runs, the main is chosen for one generator.
    """
    if not mains:
        return None
    certain = [main for main in mains if main.n[0] >= max(running, 1)]
    possible = [main for main in mains if main.n[1] >= max(running, 1)]
    if certain or possible:
        return min(certain or possible, key=nearest_main_key).main_id
    return min(mains, key=lambda main: (-min(main.flows), nearest_main_key(main))).main_id


def nearest_main_key(main: MainInReach) -> tuple[float, float, str]:
    return round(main.distance_m, 3), -min(main.flows, default=-1.0), main.main_id


# ---------------------------------------------------------------------------------------------
# Gas from plants


# Lowest and highest share of methane where a plant does not give it.
METHANE_SHARES = (0.45, 0.65)


@dataclass(frozen=True)
class SpareGas:
    """What one plant in reach can run: generators, unrounded, worst and best case."""

    lo: float
    hi: float

    def n(self, cap: int) -> CountRange:
        lo, hi = (
            cap if count == math.inf else min(math.floor(max(count, 0.0)), cap)
            for count in (self.lo, self.hi)
        )
        return lo, hi


def compute_spare_gas(row: dict, fuel: Fuel, plan: Plan) -> SpareGas:
    """Compute how many generators a plant's spare gas can run.

    A used flow on record is deducted whatever the `used` word says. It is raw gas: half of landfill
    gas is methane.

    Args:
        row: The plant.
        fuel: The fuel.
        plan: The plan.

    Returns:
        The spare gas.
    """
    flow, used = read_number(row, "flow_scfh"), read_text(row, "used") or "unknown"
    used_scfh, demand = read_number(row, "used_scfh"), compute_plan_demand(fuel, plan)
    if used == "yes":
        return SpareGas(0.0, 0.0)
    if flow is None:
        return SpareGas(0.0, math.inf)
    shares = (1.0, 1.0)
    if fuel.id == "biogas":
        known = read_number(row, "methane_share")
        shares = METHANE_SHARES if known is None else (known, known)
    lo, hi = ((flow - (used_scfh or 0.0)) * share / demand for share in shares)
    if used != "no" and used_scfh is None:
        lo = 0.0
    if row["status"] != "operating":
        lo = 0.0
    return SpareGas(max(lo, 0.0), max(hi, 0.0))


def list_plants(site: Parcel, fuel: Fuel, reach_m: float) -> list[dict]:
    """List the plants of a fuel within reach that are not closed.

    Args:
        site: The site.
        fuel: The fuel.
        reach_m: The reach.

    Returns:
        The plants.
    """
    rows = list_rows_within(site.town, "fuel_plants", site.lot, reach_m)
    return [row for row in rows if row["fuel"] == fuel.id and row["status"] != "closed"]


def supply_from_plants(site: Parcel, fuel: Fuel) -> FuelSupply:
    """Return how many generators the plants within reach of a dedicated pipe can run."""
    plan, town = site.plan, site.town
    if "fuel_plants" not in town.layers:
        return FuelSupply((0, plan.cap), "no layer")
    reach_m = plan.fuel.plant_reach_m
    located = [
        row for row in list_plants(site, fuel, reach_m) if read_text(row, "precision") != "county"
    ]
    if located:
        plants = [(compute_spare_gas(row, fuel, plan), row) for row in located]
        counts = [spare.n(plan.cap) for spare, _ in plants]
        n = max(lo for lo, _ in counts), max(hi for _, hi in counts)
        _, best = min(plants, key=lambda plant: best_plant_key(*plant, plan.cap))
        flows = tuple(
            count for spare, _ in plants for count in (spare.lo, spare.hi) if count < plan.cap + 1
        )
        on_site = best["distance_m"] <= 0
        return FuelSupply(n, "plant on the site" if on_site else "plant by pipe", flows)
    if not is_reach_covered(town, "fuel_plants", site.lot, reach_m):
        return FuelSupply((0, plan.cap), EDGE)
    context = list_plants(site, fuel, max(plan.fuel.context_reach_m, reach_m))
    if not context:
        return FuelSupply((0, 0), "no plant")
    county_only = all(read_text(row, "precision") == "county" for row in context)
    return FuelSupply((0, 0), "plant, place by county only" if county_only else "plant too far")


def best_plant_key(spare: SpareGas, row: dict, cap: int) -> tuple[int, int, float, str]:
    """Return what ranks plants: generators in the worst case, in the best, distance, id.

    Args:
        spare: What the plant can spare.
        row: The plant.
        cap: The plan's cap.

    Returns:
        The sort key.
    """
    lo, hi = spare.n(cap)
    return -lo, -hi, round(row["distance_m"], 3), row["plant_id"]


def list_supplies(site: Parcel, fuel: Fuel) -> Iterator[FuelSupply]:
    """Yield what a fuel supplies to a site by each of its routes, except from tanks."""
    if "main" in fuel.routes:
        yield supply_from_mains(site, fuel)
    if "plant" in fuel.routes:
        yield supply_from_plants(site, fuel)
    if "storage" in fuel.routes and fuel.id not in site.plan.fuel.delivered:
        yield FuelSupply((0, 0), "no delivery")
