"""A slow second opinion on which capacity record serves a site, one site at a time.

Written from the definitions alone, without reference to `geo.criteria.grid`: plain loops, one
record and one shape at a time. It is one long file so that the rules for all kinds of records can
be read in a row. Powers are in kW.
"""

import math
from dataclasses import dataclass

from geo.model import GridPlan
from tests.geo.around import (
    Parcel,
    is_missing,
    is_reach_covered,
    list_layer_rows,
    list_rows_within,
    read_number,
    read_text,
)

EDGE = "edge of layer"

# ---------------------------------------------------------------------------------------------
# The headroom of one record


@dataclass(frozen=True)
class HeadroomSpan:
    """The stated headroom and its range: -inf and inf where nothing bounds it."""

    stated_kw: float
    lo_kw: float
    hi_kw: float


UNKNOWN_HEADROOM = HeadroomSpan(math.nan, -math.inf, math.inf)


def is_unbounded(headroom: HeadroomSpan) -> bool:
    """Return whether a headroom is bounded on neither side."""
    return headroom.lo_kw == -math.inf and headroom.hi_kw == math.inf


def compute_headroom(row: dict, rules: GridPlan) -> HeadroomSpan | None:
    """Compute the load headroom that one record leaves; None where it gives none.

    It is published in kW, else in MVA, else as a share of firm capacity, else it is firm capacity
    minus peak. In the best case, the remaining banks carry the plan's greatest factor.
    """
    factor = pick_power_factor(row, rules)
    firm, peak = firm_capacity_mva(row, rules.cyclic_factor), peak_load_mva(row)
    kw, mva, share = (read_number(row, f"headroom_{name}") for name in ("kw", "mva", "share"))
    published, more_at_best = True, 0.0
    if kw is not None:
        stated = kw
    elif mva is not None:
        stated = mva * 1000 * factor
    elif share is not None and firm is not None:
        stated = share * firm * 1000 * factor
    elif firm is not None and peak is not None:
        stated, published = (firm - peak) * 1000 * factor, False
        more_at_best = (firm_capacity_mva(row, rules.cyclic_factor_most) - firm) * 1000 * factor
    else:
        return None
    ceiling = read_number(row, "ceiling_kw")
    at_least = published and ceiling is not None and stated >= ceiling
    committed = read_number(row, "committed_load_mva")
    included = not is_missing(row.get("committed_included")) and bool(row["committed_included"])
    if not included and committed is not None:
        stated -= committed * 1000 * factor
    at_most = not included and committed is None
    hi = math.inf if at_least else stated + more_at_best
    return HeadroomSpan(stated, -math.inf if at_most else stated, hi)


def compute_hosting(row: dict, rules: GridPlan) -> HeadroomSpan | None:
    """Compute the generation that a record allows: only what is published, nothing derived."""
    kw, mva = read_number(row, "headroom_kw"), read_number(row, "headroom_mva")
    if kw is None and mva is None:
        return None
    stated = mva * 1000 * pick_power_factor(row, rules) if kw is None else kw
    ceiling = read_number(row, "ceiling_kw")
    at_least = ceiling is not None and stated >= ceiling
    return HeadroomSpan(stated, stated, math.inf if at_least else stated)


def pick_power_factor(row: dict, rules: GridPlan) -> float:
    own = read_number(row, "power_factor")
    return rules.power_factor if own is None else own


def firm_capacity_mva(row: dict, cyclic_factor: float) -> float | None:
    """Return firm capacity: as published, from a current, or from banks with the largest out.

    Three banks of 30 MVA in total leave 20 MVA: 20 at a factor of 1, 26 at 1.3.
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
# The record that serves a site


@dataclass(frozen=True)
class ServingAnswer:
    """The answer of one kind of record.

    Attributes:
        evidence: The kind of record.
        headroom: What it leaves.
        row: The record.
        distance_m: Its distance from the lot.
        values_kw: The known values that were combined.
        substation_id: The substation that it names.
        silent: How many of the combined rows have no value.
    """

    evidence: str
    headroom: HeadroomSpan
    row: dict
    distance_m: float
    values_kw: tuple[float, ...]
    substation_id: str | None
    silent: int = 0


def combine_values(values: list[float], statistic: str) -> float:
    """Return the `min`, `median` or `max` of some values."""
    ranked = sorted(values)
    if statistic == "median":
        below, above = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
        return below if below == above else (below + above) / 2
    return ranked[0] if statistic == "min" else ranked[-1]


def list_answers(site: Parcel) -> list[ServingAnswer]:
    """List every known answer to how much load a site may still draw, best first."""
    nearest = NearbySubstations(site).nearest
    answers = [
        answer_by_area(site),
        answer_by_records(site, "feeder", ("feeder", "segment")),
        answer_by_records(site, "grid cell", ("cell",)),
        answer_by_feeders(site, nearest),
        answer_by_substation(site, nearest),
    ]
    return [answer for answer in answers if answer is not None]


def explain_no_answer(site: Parcel) -> str:
    """Return why no record answers for a site."""
    town, rules = site.town, site.plan.grid
    if not {"substations", "capacity"} & set(town.layers):
        return "no layer"
    nearby = NearbySubstations(site)
    if nearby.silent:
        return "unpublished"
    searched = is_reach_covered(town, "substations", site.lot, rules.substation_reach_m)
    if "substations" not in town.layers:
        searched = is_reach_covered(town, "capacity", site.lot, rules.feeder_reach_m)
    return "none" if searched and not nearby.candidates else EDGE


class NearbySubstations:
    """The substations that may serve a site: in service, and not known to be for transmission.

    Attributes:
        candidates: All of them within reach.
        nearest: The nearest, None where a nearer one may be unmapped.
        silent: Whether the nearest publishes no headroom.
    """

    def __init__(self, site: Parcel) -> None:
        reach_m = site.plan.grid.substation_reach_m
        self.candidates = [
            row
            for row in list_rows_within(site.town, "substations", site.lot, reach_m)
            if is_distribution(row)
        ]
        best = min(
            self.candidates,
            key=lambda row: (round(row["distance_m"], 3), row["substation_id"]),
            default=None,
        )
        # A nearer substation may lie beyond the edge of the layer.
        hidden = best is None or not is_reach_covered(
            site.town, "substations", site.lot, best["distance_m"]
        )
        self.nearest = None if hidden else best
        self.silent = best is not None and compute_headroom(best, site.plan.grid) is None


def is_distribution(row: dict) -> bool:
    return row["status"] == "in_service" and read_text(row, "level") != "transmission"


def find_substation(site: Parcel, substation_id: str | None) -> dict | None:
    """Find the distribution substation of an id, at any distance.

    None where there is none, or where two share the id and it is not known which is meant.
    """
    if substation_id is None or "substations" not in site.town.layers:
        return None
    rows = [
        row
        for row in list_layer_rows(site.town.layers["substations"])
        if row["substation_id"] == substation_id and is_distribution(row)
    ]
    return rows[0] if len(rows) == 1 else None


def record_sort_key(row: dict) -> tuple[float, str, str, str]:
    """Return what ranks records: distance to a millimeter, then names, then shape."""
    return (
        round(row["distance_m"], 3),
        row["record_id"],
        read_text(row, "source_id") or "",
        row["geometry"].wkb_hex,
    )


def list_records(site: Parcel, kind: str, reach_m: float) -> list[dict]:
    """List the capacity records of a kind within reach, each with its `headroom`, None if unknown.

    Args:
        site: The site.
        kind: `load` or `generation`.
        reach_m: The reach.

    Returns:
        The records.
    """
    compute = compute_headroom if kind == "load" else compute_hosting
    return [
        {**row, "headroom": compute(row, site.plan.grid)}
        for row in list_rows_within(site.town, "capacity", site.lot, reach_m)
        if row["kind"] == kind
    ]


def answer_by_area(site: Parcel) -> ServingAnswer | None:
    """Answer by the smallest area that contains the site's point, or by its substation."""
    if "capacity" not in site.town.layers:
        return None
    rules, areas = site.plan.grid, []
    for row in list_rows_within(site.town, "capacity", site.lot, 0.0):
        if (row["kind"], row["grain"]) != ("load", "area"):
            continue
        if row["geometry"].geom_type not in {"Polygon", "MultiPolygon"}:
            continue
        if not row["geometry"].covers(site.spot):
            continue
        headroom = compute_headroom(row, rules)
        substation = find_substation(site, read_text(row, "substation_id"))
        if headroom is None and substation is not None:
            headroom = compute_headroom(substation, rules)
            # The parcel may get less than the whole headroom of its substation.
            headroom = (
                None
                if headroom is None
                else HeadroomSpan(headroom.stated_kw, -math.inf, headroom.hi_kw)
            )
        if headroom is not None:
            areas.append({**row, "headroom": headroom, "distance_m": 0.0})
    if not areas:
        return None
    best = min(areas, key=lambda row: (row["geometry"].area, *record_sort_key(row)))
    return ServingAnswer(
        "service area",
        best["headroom"],
        best,
        0.0,
        (best["headroom"].stated_kw,),
        read_text(best, "substation_id"),
    )


def answer_by_records(site: Parcel, evidence: str, grains: tuple[str, ...]) -> ServingAnswer | None:
    """Answer by the nearest record of some grains, with all its rows in reach combined.

    Args:
        site: The site.
        evidence: The evidence of the answer.
        grains: The grains of the records that may answer.

    Returns:
        The answer, None where there is none.
    """
    rows = [
        row
        for row in list_records(site, "load", site.plan.grid.feeder_reach_m)
        if row["grain"] in grains and row["geometry"].geom_type not in {"Point", "MultiPoint"}
    ]
    return answer_by_nearest(site, evidence, rows)


def answer_by_nearest(site: Parcel, evidence: str, rows: list[dict]) -> ServingAnswer | None:
    """Answer by the nearest of some records, with all the rows of the same name combined.

    The nearest record answers even without a value: another record's value must not replace it. If
    one of its rows has no value, that row may be the site's, so nothing bounds the headroom.

    Args:
        site: The site.
        evidence: The evidence of the answer.
        rows: The records that may answer, as `list_records` gives them.

    Returns:
        The answer, None where there is none.
    """
    if not rows:
        return None
    best, statistic = min(rows, key=record_sort_key), site.plan.grid.fold
    name = read_text(best, "source_id"), best["record_id"]
    same = [
        row["headroom"] for row in rows if (read_text(row, "source_id"), row["record_id"]) == name
    ]
    known = [headroom for headroom in same if headroom is not None]
    if not known:
        return None
    combined = HeadroomSpan(
        combine_values([headroom.stated_kw for headroom in known], statistic),
        combine_values([headroom.lo_kw for headroom in known], statistic),
        combine_values([headroom.hi_kw for headroom in known], statistic),
    )
    silent = len(same) - len(known)
    return ServingAnswer(
        evidence,
        HeadroomSpan(combined.stated_kw, -math.inf, math.inf) if silent else combined,
        best,
        best["distance_m"],
        tuple(headroom.stated_kw for headroom in known),
        read_text(best, "substation_id"),
        silent,
    )


def answer_by_feeders(site: Parcel, substation: dict | None) -> ServingAnswer | None:
    """Answer by the feeders of the nearest substation whose routes are not published."""
    if substation is None or "capacity" not in site.town.layers:
        return None
    if find_substation(site, substation["substation_id"]) is None:
        return None
    rules, feeders = site.plan.grid, []
    for row in list_layer_rows(site.town.layers["capacity"]):
        if row["kind"] != "load" or row["grain"] not in {"feeder", "segment"}:
            continue
        if row["geometry"].geom_type not in {"Point", "MultiPoint"}:
            continue
        if read_text(row, "substation_id") == substation["substation_id"]:
            feeders.append(compute_headroom(row, rules) or UNKNOWN_HEADROOM)
    known = [headroom for headroom in feeders if headroom is not UNKNOWN_HEADROOM]
    if not known:
        return None
    combined = HeadroomSpan(
        combine_values([headroom.stated_kw for headroom in known], rules.fold),
        min(headroom.lo_kw for headroom in feeders),
        max(headroom.hi_kw for headroom in feeders),
    )
    return ServingAnswer(
        "feeders of substation",
        combined,
        substation,
        substation["distance_m"],
        tuple(headroom.stated_kw for headroom in known),
        substation["substation_id"],
        len(feeders) - len(known),
    )


def answer_by_substation(site: Parcel, substation: dict | None) -> ServingAnswer | None:
    """Answer by the nearest substation, which bounds the headroom from above."""
    headroom = None if substation is None else compute_headroom(substation, site.plan.grid)
    if headroom is None:
        return None
    return ServingAnswer(
        "substation",
        HeadroomSpan(headroom.stated_kw, -math.inf, headroom.hi_kw),
        substation,
        substation["distance_m"],
        (headroom.stated_kw,),
        substation["substation_id"],
    )


def answer_hosting(site: Parcel) -> ServingAnswer | None:
    """Answer how much generation the nearest record allows."""
    records = list_records(site, "generation", site.plan.grid.feeder_reach_m)
    return answer_by_nearest(site, "hosting", records)
