"""A slow second opinion on what the grid and each fuel give a site: one site at a time.

Written from the definitions alone, without a look at how `geo.criteria.grid`, `geo.criteria.fuel`,
`geo.pipes` and `geo.machine` do it: plain loops, one record and one shape at a time, and the flow
equations in their textbook forms, in US units.

Powers are kW, flows standard cubic feet an hour. A bracket runs from the worst to the best.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from geo import catalogue
from geo.model import AssumedMain, Fuel, Generator, GridPlan, Plan
from tests.geo.around import (
    Parcel,
    is_missing,
    is_reach_covered,
    list_rows_within,
    read_cell,
    read_number,
    read_text,
)

Bracket = tuple[int, int]
EDGE = "edge of layer"
BTU_PER_KWH = 3412.142
KPA_PER_PSI = 6.894757

# ---------------------------------------------------------------------------------------------
# The headroom of one record


@dataclass(frozen=True)
class HeadroomSpan:
    """What is stated, and between which two the truth lies: -inf, inf where nothing bounds it."""

    stated_kw: float
    lo_kw: float
    hi_kw: float


UNKNOWN_HEADROOM = HeadroomSpan(math.nan, -math.inf, math.inf)


def is_unbounded(power: HeadroomSpan) -> bool:
    """Return whether a value is bounded on neither side."""
    return power.lo_kw == -math.inf and power.hi_kw == math.inf


def compute_headroom(row: dict, rules: GridPlan) -> HeadroomSpan | None:
    """Return what one record can still take; None where it does not say.

    Published in kW, else in MVA, else as a share of firm; else firm less peak. At best the banks
    that are left carry the plan's greatest factor.
    """
    factor = pick_power_factor(row, rules)
    firm, peak = firm_capacity_mva(row, rules.cyclic_factor), peak_load_mva(row)
    kw, mva, share = (read_number(row, f"headroom_{name}") for name in ("kw", "mva", "share"))
    published, more = True, 0.0
    if kw is not None:
        stated = kw
    elif mva is not None:
        stated = mva * 1000 * factor
    elif share is not None and firm is not None:
        stated = share * firm * 1000 * factor
    elif firm is not None and peak is not None:
        stated, published = (firm - peak) * 1000 * factor, False
        more = (firm_capacity_mva(row, rules.cyclic_factor_most) - firm) * 1000 * factor
    else:
        return None
    ceiling = read_number(row, "ceiling_kw")
    at_least = published and ceiling is not None and stated >= ceiling
    committed = read_number(row, "committed_load_mva")
    included = not is_missing(row.get("committed_included")) and bool(row["committed_included"])
    if not included and committed is not None:
        stated -= committed * 1000 * factor
    at_most = not included and committed is None
    hi = math.inf if at_least else stated + more
    return HeadroomSpan(stated, -math.inf if at_most else stated, hi)


def pick_power_factor(row: dict, rules: GridPlan) -> float:
    own = read_number(row, "power_factor")
    return rules.power_factor if own is None else own


def firm_capacity_mva(row: dict, cyclic_factor: float) -> float | None:
    """Return firm capacity: as published, by amperes, or of banks with the largest one out.

    Worked: three banks of 30 MVA together, 20 MVA left: 20 at a factor of 1, 26 at 1.3.
    """
    firm = read_number(row, "firm_capacity_mva")
    if firm is None:
        firm = current_to_mva(row, "rating_a")
    if firm is not None:
        return firm
    count, nameplate = read_number(row, "bank_count"), read_number(row, "nameplate_mva")
    largest = read_number(row, "largest_bank_mva")
    if nameplate is None:
        return None
    if count == 1:
        return 0.0
    if largest is None:
        if not count:
            return None
        largest = nameplate / count
    return (nameplate - largest) * cyclic_factor


def peak_load_mva(row: dict) -> float | None:
    peak = read_number(row, "peak_load_mva")
    return current_to_mva(row, "peak_a") if peak is None else peak


def current_to_mva(row: dict, name: str) -> float | None:
    """Return the apparent power of a three-phase current (MVA): sqrt 3 x kV x kA."""
    amperes, kv = read_number(row, name), read_number(row, "voltage_kv")
    return None if amperes is None or kv is None else math.sqrt(3) * kv * amperes / 1000


# ---------------------------------------------------------------------------------------------
# What serves a site


@dataclass(frozen=True)
class ServingAnswer:
    """One level's answer: its value, the record that gives it, and what was folded into it.

    `folded` are the values that are known, `silent` how many rows of the record have none.
    """

    evidence: str
    power: HeadroomSpan
    row: dict
    distance_m: float
    folded: tuple[float, ...]
    substation_id: str | None
    silent: int = 0


def combine_values(values: list[float], how: str) -> float:
    """Return the least, the median or the greatest of some values."""
    ranked = sorted(values)
    if how == "median":
        below, above = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
        return below if below == above else (below + above) / 2
    return ranked[0] if how == "min" else ranked[-1]


def list_answers(site: Parcel) -> list[ServingAnswer]:
    """Return every known answer to what load a site may still draw, best first."""
    stations = NearbySubstations(site)
    found = [
        answer_by_area(site),
        answer_by_records(site, "feeder", ("feeder", "segment")),
        answer_by_records(site, "grid cell", ("cell",)),
        answer_by_feeders(site, stations.nearest),
        answer_by_substation(site, stations.nearest),
    ]
    return [one for one in found if one is not None]


def explain_no_answer(site: Parcel) -> str:
    """Return why nothing is known of the load that a site may draw."""
    town, rules = site.town, site.plan.grid
    if not {"substations", "capacity"} & set(town.layers):
        return "no layer"
    stations = NearbySubstations(site)
    if stations.silent:
        return "unpublished"
    searched = is_reach_covered(town, "substations", site.lot, rules.substation_reach_m)
    if "substations" not in town.layers:
        searched = is_reach_covered(town, "capacity", site.lot, rules.feeder_reach_m)
    return "none" if searched and not stations.candidates else EDGE


class NearbySubstations:
    """The substations that may serve a site: in service, and not known as transmission's."""

    def __init__(self, site: Parcel) -> None:
        reach_m = site.plan.grid.substation_reach_m
        self.candidates = [
            one
            for one in list_rows_within(site.town, "substations", site.lot, reach_m)
            if is_distribution(one)
        ]
        best = min(
            self.candidates,
            key=lambda one: (round(one["distance_m"], 3), one["substation_id"]),
            default=None,
        )
        # A nearer one may stand beyond the edge of the layer.
        hidden = best is None or not is_reach_covered(
            site.town, "substations", site.lot, best["distance_m"]
        )
        self.nearest = None if hidden else best
        self.silent = best is not None and compute_headroom(best, site.plan.grid) is None


def is_distribution(row: dict) -> bool:
    return row["status"] == "in_service" and read_text(row, "level") != "transmission"


def find_substation(site: Parcel, substation_id: str | None) -> dict | None:
    """Return the substation of an id, wherever it stands.

    None where none such serves, or where two do: then nobody says which is meant.
    """
    if substation_id is None or "substations" not in site.town.layers:
        return None
    found = [
        row
        for row in site.town.layers["substations"].to_dict("records")
        if row["substation_id"] == substation_id and is_distribution(row)
    ]
    return found[0] if len(found) == 1 else None


def record_sort_key(row: dict) -> tuple[float, str, str, str]:
    """Return what decides between records: how near to a millimetre, then names, then shape."""
    return (
        round(row["distance_m"], 3),
        row["record_id"],
        read_text(row, "source_id") or "",
        row["geometry"].wkb_hex,
    )


def compute_hosting(row: dict, rules: GridPlan) -> HeadroomSpan | None:
    """Return what generation a record says may be let in: as published, and nothing worked out."""
    kw, mva = read_number(row, "headroom_kw"), read_number(row, "headroom_mva")
    if kw is None and mva is None:
        return None
    stated = mva * 1000 * pick_power_factor(row, rules) if kw is None else kw
    ceiling = read_number(row, "ceiling_kw")
    at_least = ceiling is not None and stated >= ceiling
    return HeadroomSpan(stated, stated, math.inf if at_least else stated)


def list_records(site: Parcel, kind: str, reach_m: float) -> list[dict]:
    """Return the capacity records of a kind in reach, each with the `power` that it states.

    That is None where it states none.
    """
    rules = site.plan.grid
    return [
        {
            **one,
            "power": compute_headroom(one, rules)
            if kind == "load"
            else compute_hosting(one, rules),
        }
        for one in list_rows_within(site.town, "capacity", site.lot, reach_m)
        if one["kind"] == kind
    ]


def answer_by_area(site: Parcel) -> ServingAnswer | None:
    """Return what the smallest area round the site states, or its substation does."""
    if "capacity" not in site.town.layers:
        return None
    rules, found = site.plan.grid, []
    for row in list_rows_within(site.town, "capacity", site.lot, 0.0):
        if (row["kind"], row["grain"]) != ("load", "area"):
            continue
        if row["geometry"].geom_type not in {"Polygon", "MultiPolygon"}:
            continue
        if not row["geometry"].covers(site.spot):
            continue
        power, station = (
            compute_headroom(row, rules),
            find_substation(site, read_text(row, "substation_id")),
        )
        if power is None and station is not None:
            power = compute_headroom(station, rules)
            # The substation's: the parcel may get less.
            power = None if power is None else HeadroomSpan(power.stated_kw, -math.inf, power.hi_kw)
        if power is not None:
            found.append({**row, "power": power, "distance_m": 0.0})
    if not found:
        return None
    best = min(found, key=lambda one: (one["geometry"].area, *record_sort_key(one)))
    return ServingAnswer(
        "service area",
        best["power"],
        best,
        0.0,
        (best["power"].stated_kw,),
        read_text(best, "substation_id"),
    )


def answer_by_records(site: Parcel, evidence: str, grains: tuple[str, ...]) -> ServingAnswer | None:
    """Return what the nearest record of some grains states, all its rows in reach folded."""
    found = [
        one
        for one in list_records(site, "load", site.plan.grid.feeder_reach_m)
        if one["grain"] in grains and one["geometry"].geom_type not in {"Point", "MultiPoint"}
    ]
    return answer_by_nearest(site, evidence, found)


def answer_by_nearest(site: Parcel, evidence: str, found: list[dict]) -> ServingAnswer | None:
    """Return what the nearest of some records states with all the rows of its name.

    The nearest is asked whether or not it states anything: another's value is not its own. Of
    several rows one that states nothing may be the site's: then nothing bounds the value.
    """
    if not found:
        return None
    best, how = min(found, key=record_sort_key), site.plan.grid.fold
    name = read_text(best, "source_id"), best["record_id"]
    same = [
        one["power"] for one in found if (read_text(one, "source_id"), one["record_id"]) == name
    ]
    known = [one for one in same if one is not None]
    if not known:
        return None
    power = HeadroomSpan(
        combine_values([one.stated_kw for one in known], how),
        combine_values([one.lo_kw for one in known], how),
        combine_values([one.hi_kw for one in known], how),
    )
    silent = len(same) - len(known)
    return ServingAnswer(
        evidence,
        HeadroomSpan(power.stated_kw, -math.inf, math.inf) if silent else power,
        best,
        best["distance_m"],
        tuple(one.stated_kw for one in known),
        read_text(best, "substation_id"),
        silent,
    )


def answer_by_feeders(site: Parcel, station: dict | None) -> ServingAnswer | None:
    """Return what the feeders of the nearest substation state, of which nobody says the way."""
    if station is None or "capacity" not in site.town.layers:
        return None
    if find_substation(site, station["substation_id"]) is None:
        return None
    rules, said = site.plan.grid, []
    for row in site.town.layers["capacity"].to_dict("records"):
        if row["kind"] != "load" or row["grain"] not in {"feeder", "segment"}:
            continue
        if row["geometry"].geom_type not in {"Point", "MultiPoint"}:
            continue
        if read_text(row, "substation_id") == station["substation_id"]:
            said.append(compute_headroom(row, rules) or UNKNOWN_HEADROOM)
    known = [one for one in said if one is not UNKNOWN_HEADROOM]
    if not known:
        return None
    power = HeadroomSpan(
        combine_values([one.stated_kw for one in known], rules.fold),
        min(one.lo_kw for one in said),
        max(one.hi_kw for one in said),
    )
    return ServingAnswer(
        "feeders of substation",
        power,
        station,
        station["distance_m"],
        tuple(one.stated_kw for one in known),
        station["substation_id"],
        len(said) - len(known),
    )


def answer_by_substation(site: Parcel, station: dict | None) -> ServingAnswer | None:
    """Return what the nearest substation states: a site gets that much at most."""
    power = None if station is None else compute_headroom(station, site.plan.grid)
    if power is None:
        return None
    return ServingAnswer(
        "substation",
        HeadroomSpan(power.stated_kw, -math.inf, power.hi_kw),
        station,
        station["distance_m"],
        (power.stated_kw,),
        station["substation_id"],
    )


def answer_hosting(site: Parcel) -> ServingAnswer | None:
    """Return what generation the nearest record of it would let in."""
    found = list_records(site, "generation", site.plan.grid.feeder_reach_m)
    return answer_by_nearest(site, "hosting", found)


def list_pools(site: Parcel, best: ServingAnswer) -> dict[tuple[str, ...], float]:
    """Return what a site shares with others, by name, and how much of each there is (kW).

    The substation where it is bounded from above; the record where that is, unless what it says
    is of the whole substation.
    """
    found: dict[tuple[str, ...], float] = {}
    station = find_substation(site, best.substation_id)
    power = None if station is None else compute_headroom(station, site.plan.grid)
    if power is not None and power.hi_kw < math.inf:
        found["substation", best.substation_id] = power.hi_kw
    of_all = best.evidence in {"substation", "feeders of substation"}
    if best.power.hi_kw < math.inf and not (of_all and found):
        name = read_text(best.row, "source_id") or "", best.row.get("record_id", best.substation_id)
        found["record", best.evidence, *name] = best.power.hi_kw
    return found


def compute_headroom_left(
    shared: list[dict[tuple[str, ...], float]], own_kw: list[float], target_kw: float
) -> list[float]:
    """Return what each site, best first, finds left of all it shares when those before took theirs.

    No more than its own record gives it. Worked: of 1500 kW, two sites with 1000 kW each leave
    1000 and 500, and a third 0.
    """
    found = []
    for place, (mine, own) in enumerate(zip(shared, own_kw, strict=True)):
        left = own
        for name, whole in mine.items():
            before = [
                kw for pools_, kw in zip(shared[:place], own_kw[:place], strict=True)
                if name in pools_
            ]  # fmt: skip
            left = min(left, whole - sum(min(target_kw, max(kw, 0.0)) for kw in before))
        found.append(max(left, 0.0) if mine else math.nan)
    return found


# ---------------------------------------------------------------------------------------------
# The gap


def compute_machine_kw(site: Parcel) -> float:
    """Return the power of one machine at the site's height on the plan's summer day."""
    grid = site.town.rasters.get("elevation")
    found = None if grid is None else read_cell(grid, site.spot, site.town.sites.crs)
    generator = catalogue.read_generators()[site.plan.generator]
    return compute_derated_kw(
        generator, site.plan.altitude_m if found is None else found, site.plan.summer_c
    )


def compute_derated_kw(generator: Generator, altitude_m: float, air_c: float) -> float:
    loss, lost = generator.derating, 0.0
    if altitude_m > loss.to_altitude_m:
        lost += (altitude_m - loss.to_altitude_m) * loss.share_per_m
    if air_c > loss.to_c:
        lost += (air_c - loss.to_c) * loss.share_per_c
    return generator.power_kw * max(1 - lost, 0.0)


@dataclass(frozen=True)
class LoadGap:
    """What the grid leaves short of one load, and how many machines close that."""

    lo_kw: float
    hi_kw: float
    judged: str
    needed_lo: float
    needed_hi: float


def compute_gap(power: HeadroomSpan, load_kw: float, each_kw: float, spares: int) -> LoadGap:
    """Return the gap of one load: the least of it where the grid gives most."""
    lo, hi = (
        min(max(load_kw - max(given, 0.0), 0.0), load_kw) for given in (power.hi_kw, power.lo_kw)
    )
    judged = "short" if lo > 0 else "covered" if hi <= 0 else "unknown"
    return LoadGap(
        lo, hi, judged, count_needed(lo, each_kw, spares), count_needed(hi, each_kw, spares)
    )


def count_needed(short_kw: float, each_kw: float, spares: int) -> float:
    """Return how many machines close a gap, spares included: none can where they give nothing."""
    if short_kw <= 0:
        return 0
    return math.ceil(short_kw / each_kw) + spares if each_kw > 0 else math.inf


def compare_answers(site: Parcel, target_kw: float) -> str:
    """Return whether the best and the second-best answer agree about a load."""
    return compare_spans([one.power for one in list_answers(site)[:2]], target_kw)


def compare_spans(found: list[HeadroomSpan], target_kw: float) -> str:
    """Return whether two answers agree about a load, by their spans.

    Worked: 0 to 400 and 600 to 800 kW are 200 apart: of a load of 1000 they differ, and of 500,
    short by the one and covered by the other, they contradict.
    """
    if len(found) < 2:
        return "no second answer"
    if any(is_unbounded(one) for one in found):
        return "cannot be compared"
    judged = {compute_gap(one, target_kw, 1.0, 0).judged for one in found}
    if judged == {"short", "covered"}:
        return "contradict"
    apart = max(one.lo_kw for one in found) - min(one.hi_kw for one in found)
    return "differ" if apart > target_kw / 10 else "agree"


def best_headroom(site: Parcel) -> HeadroomSpan:
    """Return what the best answer says of a site; NOTHING where there is none."""
    found = list_answers(site)
    return found[0].power if found else UNKNOWN_HEADROOM


def describe_service(site: Parcel) -> dict[str, object]:
    """Return what serves a site, by the names of the facts."""
    found, hosted = list_answers(site), answer_hosting(site)
    first = describe_answer(site, found[0]) if found else {"grid_evidence": explain_no_answer(site)}
    best, other = (found + [None] * 2)[:2]
    apart = math.nan if other is None else best.power.stated_kw - other.power.stated_kw
    second = UNKNOWN_HEADROOM if other is None else other.power
    return first | {
        "second_evidence": None if other is None else other.evidence,
        "second_headroom_kw": second.stated_kw,
        "second_lo_kw": second.lo_kw,
        "second_hi_kw": second.hi_kw,
        "headroom_disagreement_kw": apart,
        "hosting_kw": math.nan if hosted is None else hosted.power.stated_kw,
        "hosting_at_least": hosted is not None and classify_bounds(hosted.power) == "at least",
    }


def classify_bounds(power: HeadroomSpan) -> str:
    """Return how a headroom is to be read, by its bounds."""
    below, above = power.lo_kw > -math.inf, power.hi_kw < math.inf
    if below and above:
        return "exactly" if power.lo_kw == power.hi_kw else "between"
    return "at most" if above else "at least" if below else "neither"


def describe_answer(site: Parcel, best: ServingAnswer) -> dict[str, object]:
    """Return what a row says of the best answer.

    A value that is bounded on neither side is no bound.
    """
    power = best.power
    return {
        "grid_evidence": best.evidence,
        "load_headroom_kw": power.stated_kw,
        "headroom_lo_kw": power.lo_kw,
        "headroom_hi_kw": power.hi_kw,
        "headroom_reads": classify_bounds(power),
        "overload_kw": max(-power.stated_kw, 0.0),
        "grid_distance_m": best.distance_m,
        "headroom_rows": len(best.folded),
        "headroom_silent_rows": best.silent,
        "headroom_min_kw": min(best.folded),
        "headroom_median_kw": combine_values(list(best.folded), "median"),
        "headroom_max_kw": max(best.folded),
        "substation_id": best.substation_id,
        "pool_kw": next(iter(list_pools(site, best).values()), math.nan),
    }


def describe_gap(site: Parcel) -> dict[str, object]:
    """Return what a row says of the grid and of the gap to the target, by the facts' names."""
    plan, each_kw = site.plan, compute_machine_kw(site)
    short = compute_gap(best_headroom(site), plan.target_kw, each_kw, plan.spares)
    return describe_service(site) | {
        "machine_kw": each_kw,
        "shortfall_lo_kw": short.lo_kw,
        "shortfall_hi_kw": short.hi_kw,
        "gap_class": short.judged,
        "headroom_check": compare_answers(site, plan.target_kw),
        "needed_lo": short.needed_lo,
        "needed_hi": short.needed_hi,
    }


# ---------------------------------------------------------------------------------------------
# Flow in pipes


# Nominal size: inside diameter of schedule 40 steel and outside diameter (in), ASME B36.10M.
PIPES_IN = {
    1.0: (1.049, 1.315),
    1.25: (1.380, 1.660),
    1.5: (1.610, 1.900),
    2.0: (2.067, 2.375),
    2.5: (2.469, 2.875),
    3.0: (3.068, 3.5),
    3.5: (3.548, 4.0),
    4.0: (4.026, 4.5),
    5.0: (5.047, 5.563),
    6.0: (6.065, 6.625),
    8.0: (7.981, 8.625),
    10.0: (10.020, 10.75),
    12.0: (11.938, 12.75),
}
WALL_SHARE = 2 / 11
# Of medium and high pressure: what it falls from and to (psi above the atmosphere's).
FALL_PSIG = {"medium": (30.0, 20.0), "high": (60.0, 20.0)}
# From the lowest class up: what each falls from, which is reached and met within 2 %.
INLET_PSIG = {"low": 0.25, "medium": 30.0, "high": 60.0}
CLASSES, PRESSURE_TOLERANCE = tuple(INLET_PSIG), 0.02
ATMOSPHERE_PSI = 14.696
BASE_R = 519.67
EFFICIENCY = 0.92


def weymouth_scfh(
    inside_in: float, inlet_psig: float, outlet_psig: float, miles: float, gravity: float
) -> float:
    """Return what a main carries at 60 F: Weymouth, in scfh, psia, Rankine, miles and inches.

    Worked: 3.85 in, 60 to 20 psig over a mile, gravity 0.6: 80 150 scfh.
    """
    inlet, outlet = inlet_psig + ATMOSPHERE_PSI, outlet_psig + ATMOSPHERE_PSI
    fall = (inlet**2 - outlet**2) / (gravity * BASE_R * miles)
    base = BASE_R / ATMOSPHERE_PSI
    return 18.062 * base * EFFICIENCY * math.sqrt(fall) * inside_in ** (8 / 3)


def spitzglass_scfh(inside_in: float, fall_in_wc: float, length_ft: float, gravity: float) -> float:
    """Return what a main of low pressure carries: Spitzglass, in scfh, inches of water and feet.

    Worked: 6.065 in, 0.5 inches of water over 1000 ft, gravity 0.6: 6 998 scfh.
    """
    bracket = 1 + 3.6 / inside_in + 0.03 * inside_in
    return 3550 * math.sqrt(inside_in**5 * fall_in_wc / (gravity * length_ft * bracket))


def list_inside_diameters_in(nominal_in: float, material: str | None) -> list[float]:
    """Return the inside diameters that a main may have: one, or one for each material.

    Steel and polyethylene of no standard size are at least the next smaller one; iron was cast to
    its inside.
    """
    sizes = [one for one in PIPES_IN if one <= nominal_in]
    if not sizes:
        return []
    steel, outside = PIPES_IN[max(sizes)]
    by_material = {
        "coated steel": steel,
        "bare steel": steel,
        "polyethylene": outside * (1 - WALL_SHARE),
        "cast iron": nominal_in,
        "other": nominal_in,
    }
    return [by_material[material]] if material else list(by_material.values())


def compute_flow_scfh(inside_in: float, pressure_class: str, plan: Plan, gravity: float) -> float:
    """Return what a main carries when nobody else draws from it."""
    length_m = plan.fuel.main_length_m
    if pressure_class == "low":
        return spitzglass_scfh(inside_in, 0.5, 1000.0, gravity)
    return weymouth_scfh(inside_in, *FALL_PSIG[pressure_class], length_m / 1609.344, gravity)


# ---------------------------------------------------------------------------------------------
# Fuel


@dataclass(frozen=True)
class FuelSupply:
    """How many machines a fuel runs, and the evidence.

    `flows` are the machines, unrounded, of every flow that was counted, up to the plan's cap.
    """

    n: Bracket
    evidence: str
    flows: tuple[float, ...] = ()

    @property
    def is_close(self) -> bool:
        """Whether a flow is so near a whole machine that two ways of computing it may differ."""
        return any(abs(one - round(one)) <= 0.003 * one for one in self.flows)


def compute_demand(fuel: Fuel, generator: Generator) -> float:
    """Return what one machine burns an hour at its rating, in the fuel's unit.

    Worked: 200 kW x 3412.142 / 0.33 / 1030 Btu = 2007.7 scfh of natural gas.
    """
    held = fuel.hhv_btu if generator.efficiency_basis == "HHV" else fuel.lhv_btu
    return generator.power_kw * BTU_PER_KWH / generator.efficiency / held


def compute_plan_demand(fuel: Fuel, plan: Plan) -> float:
    return compute_demand(fuel, catalogue.read_generators()[plan.generator])


def pressure_class_range(main: dict) -> tuple[str, str] | None:
    """Return a main's pressure class at least and at most; None where nothing is known of it.

    Worked: 200 kPa is 29.0 psig, below 29.4: low at least, medium at most. Named high, it would
    be low to high; 29.5 psig is medium.
    """
    told, kpa = read_text(main, "pressure_class"), read_number(main, "pressure_kpa")
    if kpa is None:
        return None if told is None else (told, told)
    psig = kpa / KPA_PER_PSI
    reached = 0
    for place, name in enumerate(CLASSES):
        if psig >= INLET_PSIG[name] * (1 - PRESSURE_TOLERANCE):
            reached = place
    if told is not None:
        return CLASSES[min(reached, CLASSES.index(told))], told
    met = psig <= INLET_PSIG[CLASSES[reached]] * (1 + PRESSURE_TOLERANCE)
    return CLASSES[reached], CLASSES[reached if met else min(reached + 1, len(CLASSES) - 1)]


@dataclass(frozen=True)
class MainInReach:
    """What one main in reach would run: `flows` in machines, unrounded; none where not known."""

    main_id: str
    distance_m: float
    flows: tuple[float, ...]
    cap: int
    is_known: bool

    @property
    def n(self) -> Bracket:
        if not self.flows:
            return 0, self.cap
        lo, hi = (min(math.floor(one), self.cap) for one in (min(self.flows), max(self.flows)))
        return lo, hi


def compute_machines(
    nominal_in: float | None,
    classes: tuple[str, str] | None,
    material: str | None,
    fuel: Fuel,
    plan: Plan,
    share: float | None = None,
) -> tuple[float, ...]:
    """Return how many machines a main would run at least and at most.

    By the class at least through the narrowest bore that it may have, to the class at most
    through the widest.
    """
    bores = [] if nominal_in is None else list_inside_diameters_in(nominal_in, material)
    if not bores or classes is None:
        return ()
    free = (plan.fuel.usable_share if share is None else share) / compute_plan_demand(fuel, plan)
    ends = zip((min(bores), max(bores)), classes, strict=True)
    return tuple(compute_flow_scfh(bore, one, plan, fuel.gravity) * free for bore, one in ends)


def list_mains(site: Parcel, fuel: Fuel, share: float | None = None) -> list[MainInReach]:
    """Return every main in reach that is there, with what it would run."""
    plan, found, assumed = site.plan, [], site.plan.assume.main_size
    for row in list_rows_within(site.town, "mains", site.lot, plan.fuel.main_reach_m):
        if read_text(row, "status") in {"planned", "retired"}:
            continue
        size, classes = read_number(row, "diameter_in"), pressure_class_range(row)
        known, material = size is not None and classes is not None, read_text(row, "material")
        if assumed is not None and not known:
            size = assumed.diameter_in if size is None else size
            classes = (assumed.pressure_class,) * 2 if classes is None else classes
            material = assumed.material if material is None else material
        flows = compute_machines(size, classes, material, fuel, plan, share)
        found.append(
            MainInReach(row["main_id"], row["distance_m"], flows, plan.cap, is_known=known)
        )
    return found


def supply_from_mains(site: Parcel, fuel: Fuel, share: float | None = None) -> FuelSupply:
    """Return what the mains in reach run: the best of them at worst, and the best at best."""
    found = list_mains(site, fuel, share)
    if not found:
        return supply_without_main(site, fuel, share)
    n = max(one.n[0] for one in found), max(one.n[1] for one in found)
    if not is_reach_covered(site.town, "mains", site.lot, site.plan.fuel.main_reach_m):
        # A better one may lie beyond the edge of the layer.
        n = n[0], site.plan.cap
    flows = tuple(flow for one in found for flow in one.flows if flow < site.plan.cap + 1)
    # A known main is told that surely carries what is sure; where nothing is, that may carry most.
    end = 0 if any(one.n[0] for one in found) else 1
    best = max(found, key=lambda one: (one.n[end], one.is_known))
    return FuelSupply(n, "main" if best.is_known else "main of unknown size", flows)


def supply_without_main(site: Parcel, fuel: Fuel, share: float | None) -> FuelSupply:
    """Return what may be known of gas where no main is in reach."""
    plan, town, lot = site.plan, site.town, site.lot
    sign = bool(list_rows_within(town, "gas_signs", lot, plan.fuel.sign_reach_m))
    n, flows, assumed = (0, plan.cap), (), plan.assume.main_at_sign if sign else None
    if assumed is not None:
        n, flows = supply_from_assumed_main(assumed, fuel, plan, share)
    if is_reach_covered(town, "mains", lot, plan.fuel.main_reach_m):
        return FuelSupply(n, "sign of a main", flows) if sign else FuelSupply((0, 0), "no main")
    # Beyond it a territory says more than a sign, unless the plan takes a main for the sign.
    if assumed is not None:
        return FuelSupply(n, "sign of a main", flows)
    if list_rows_within(town, "gas_territories", lot, 0.0):
        lines = list_rows_within(town, "gas_transmission", lot, plan.fuel.transmission_reach_m)
        line = any(read_text(one, "status") in {None, "in_service"} for one in lines)
        return FuelSupply(n, f"territory{' and transmission line' if line else ''}", flows)
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
) -> tuple[Bracket, tuple[float, ...]]:
    classes = main.pressure_class, main.pressure_class
    flows = compute_machines(main.diameter_in, classes, main.material, fuel, plan, share)
    counted = tuple(one for one in flows if one < plan.cap + 1)
    return MainInReach("", 0.0, flows, plan.cap, is_known=False).n, counted


def choose_main(found: list[MainInReach], running: int) -> str | None:
    """Return the main that serves: the nearest that surely runs so many, else that may, else most.

    Of several as near to a millimetre, the one that carries more; then the lower id. Where nothing
    runs, it serves one machine.
    """
    if not found:
        return None
    sure = [one for one in found if one.n[0] >= max(running, 1)]
    may = [one for one in found if one.n[1] >= max(running, 1)]
    if sure or may:
        return min(sure or may, key=nearest_main_key).main_id
    return min(found, key=lambda one: (-min(one.flows), nearest_main_key(one))).main_id


def nearest_main_key(one: MainInReach) -> tuple[float, float, str]:
    return round(one.distance_m, 3), -min(one.flows, default=-1.0), one.main_id


# ---------------------------------------------------------------------------------------------
# Plants


# Of a plant that does not say how much of its gas is methane: least and most.
METHANE_SHARES = (0.45, 0.65)


@dataclass(frozen=True)
class SpareGas:
    """What one plant in reach would run: machines, unrounded, at worst and at best."""

    lo: float
    hi: float

    def n(self, cap: int) -> Bracket:
        lo, hi = (
            cap if one == math.inf else min(math.floor(max(one, 0.0)), cap)
            for one in (self.lo, self.hi)
        )
        return lo, hi


def compute_spare_gas(row: dict, fuel: Fuel, plan: Plan) -> SpareGas:
    """Return how many machines the gas runs that a plant has left.

    What is known to be used is off it, whatever the row calls that, and is gas as it was made: of
    landfill gas, half of it methane.
    """
    flow, used = read_number(row, "flow_scfh"), read_text(row, "used") or "unknown"
    taken, each = read_number(row, "used_scfh"), compute_plan_demand(fuel, plan)
    if used == "yes":
        return SpareGas(0.0, 0.0)
    if flow is None:
        return SpareGas(0.0, math.inf)
    share = (1.0, 1.0)
    if fuel.id == "biogas":
        known = read_number(row, "methane_share")
        share = METHANE_SHARES if known is None else (known, known)
    lo, hi = ((flow - (taken or 0.0)) * one / each for one in share)
    if used != "no" and taken is None:
        lo = 0.0
    if row["status"] != "operating":
        lo = 0.0
    return SpareGas(max(lo, 0.0), max(hi, 0.0))


def list_plants(site: Parcel, fuel: Fuel, reach_m: float) -> list[dict]:
    found = list_rows_within(site.town, "fuel_plants", site.lot, reach_m)
    return [one for one in found if one["fuel"] == fuel.id and one["status"] != "closed"]


def supply_from_plants(site: Parcel, fuel: Fuel) -> FuelSupply:
    """Return what the plants run that a pipe for one site would reach."""
    plan, town = site.plan, site.town
    if "fuel_plants" not in town.layers:
        return FuelSupply((0, plan.cap), "no layer")
    reach_m = plan.fuel.plant_reach_m
    placed = [
        one for one in list_plants(site, fuel, reach_m) if read_text(one, "precision") != "county"
    ]
    if placed:
        given = [(compute_spare_gas(one, fuel, plan), one) for one in placed]
        brackets = [one.n(plan.cap) for one, _ in given]
        n = max(lo for lo, _ in brackets), max(hi for _, hi in brackets)
        _, best = min(given, key=lambda one: best_plant_key(*one, plan.cap))
        flows = tuple(side for one, _ in given for side in (one.lo, one.hi) if side < plan.cap + 1)
        upon = best["distance_m"] <= 0
        return FuelSupply(n, "plant on the site" if upon else "plant by pipe", flows)
    if not is_reach_covered(town, "fuel_plants", site.lot, reach_m):
        return FuelSupply((0, plan.cap), EDGE)
    context = list_plants(site, fuel, max(plan.fuel.context_reach_m, reach_m))
    if not context:
        return FuelSupply((0, 0), "no plant")
    by_county = all(read_text(one, "precision") == "county" for one in context)
    return FuelSupply((0, 0), "plant, place by county only" if by_county else "plant too far")


def best_plant_key(left: SpareGas, row: dict, cap: int) -> tuple[int, int, float, str]:
    """Return what decides between plants: machines at worst, then at best, how near, and the id."""
    lo, hi = left.n(cap)
    return -lo, -hi, round(row["distance_m"], 3), row["plant_id"]


def list_supplies(site: Parcel, fuel: Fuel) -> Iterator[FuelSupply]:
    """Yield what a fuel gives a site by each way in which it comes, but for tanks."""
    if "main" in fuel.routes:
        yield supply_from_mains(site, fuel)
    if "plant" in fuel.routes:
        yield supply_from_plants(site, fuel)
    if "storage" in fuel.routes and fuel.id not in site.plan.fuel.delivered:
        yield FuelSupply((0, 0), "no delivery")
