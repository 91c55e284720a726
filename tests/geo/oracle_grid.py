"""A slow second opinion on which capacity record serves a site, one site at a time.

Written from the definitions alone, without reference to `geo.criteria.grid`: plain loops, one
record and one shape at a time. It is one long file so that the rules for all kinds of records can
be read in a row. Powers are in kW.
"""

import calendar
import datetime as dt
import math
from dataclasses import dataclass, replace

import shapely

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
    share, span = read_number(row, "headroom_share"), read_published(row, factor)
    published, more_at_best, less_at_worst = True, 0.0, 0.0
    if span is not None:
        stated = span.stated_kw
        more_at_best, less_at_worst = span.hi_kw - stated, stated - span.lo_kw
    elif share is not None and firm is not None:
        stated = share * firm * 1000 * factor
    elif firm is not None and peak is not None:
        stated, published = (firm - peak) * 1000 * factor, False
        more_at_best = (firm_capacity_mva(row, rules.cyclic_factor_most) - firm) * 1000 * factor
    elif has_single_bank(row) and peak is not None:
        stated, published = (read_number(row, "nameplate_mva") - peak) * 1000 * factor, False
    else:
        return None
    ceiling = read_number(row, "ceiling_kw")
    at_least = published and ceiling is not None and stated >= ceiling
    committed = read_number(row, "committed_load_mva")
    included = not is_missing(row.get("committed_included")) and bool(row["committed_included"])
    if not included and committed is not None:
        stated -= committed * 1000 * factor
    at_most = not included and committed is None
    if not published and firm is None:
        # The firm capacity of a single bank is not known: it is no more than its nameplate.
        at_most = True
    hi = math.inf if at_least else stated + more_at_best
    return HeadroomSpan(stated, -math.inf if at_most else stated - less_at_worst, hi)


def read_published(row: dict, factor: float) -> HeadroomSpan | None:
    """Return what a record publishes: one number, or a range that may be open at one end."""
    for name, kw_per_unit in (("headroom_kw", 1.0), ("headroom_mva", 1000 * factor)):
        number = read_number(row, name)
        if number is not None:
            return HeadroomSpan(*[number * kw_per_unit] * 3)
    ends = []
    for end in ("least", "most"):
        kw, mva = (read_number(row, f"headroom_{end}_{unit}") for unit in ("kw", "mva"))
        ends.append(mva * 1000 * factor if kw is None and mva is not None else kw)
    low, high = ends
    if low is None and high is None:
        return None
    return HeadroomSpan(
        high if low is None else low,
        -math.inf if low is None else low,
        math.inf if high is None else high,
    )


def headroom_at(site: Parcel, row: dict) -> HeadroomSpan | None:
    """Return the load headroom of a record, which bounds nothing if the record is too old."""
    headroom = compute_headroom(row, site.plan.grid)
    if headroom is None or not is_old(site, row):
        return headroom
    return HeadroomSpan(headroom.stated_kw, -math.inf, math.inf)


def hosting_at(site: Parcel, row: dict) -> HeadroomSpan | None:
    """Return the generation that a record allows; the same for its age."""
    hosting = compute_hosting(row, site.plan.grid)
    if hosting is None or not is_old(site, row):
        return hosting
    return HeadroomSpan(hosting.stated_kw, -math.inf, math.inf)


def is_old(site: Parcel, row: dict) -> bool:
    """Return whether a record has no date, or one more than the plan's months before the night."""
    night = site.town.night
    if night is None:
        return False
    if is_missing(row.get("as_of")):
        return True
    months = site.plan.grid.record_months_most
    year, month = divmod(night.year * 12 + night.month - 1 - months, 12)
    # The last day of a shorter month stands for the days that it lacks.
    day = min(night.day, calendar.monthrange(year, month + 1)[1])
    return row["as_of"].date() < dt.date(year, month + 1, day)


def compute_hosting(row: dict, rules: GridPlan) -> HeadroomSpan | None:
    """Compute the generation that a record allows: only what is published, nothing derived."""
    published = read_published(row, pick_power_factor(row, rules))
    if published is None:
        return None
    ceiling = read_number(row, "ceiling_kw")
    at_least = ceiling is not None and published.stated_kw >= ceiling
    return replace(published, hi_kw=math.inf if at_least else published.hi_kw)


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
    if has_single_bank(row):
        return None
    if largest is None:
        if not count:
            return None
        largest = nameplate / count
    return (nameplate - largest) * cyclic_factor


def has_single_bank(row: dict) -> bool:
    """Return whether a record has a nameplate of a single transformer bank."""
    count, nameplate = read_number(row, "bank_count"), read_number(row, "nameplate_mva")
    largest = read_number(row, "largest_bank_mva")
    if nameplate is None:
        return False
    return count == 1 or (count is None and largest is not None and largest >= nameplate)


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
        utility: The utility of all combined rows.
        names: The names of the combined records.
        source: The source of all combined rows.
        borrowed: Whether the value is that of the substation that the record names.
        share: The share of the lot in a cell or area.
        count: How many records may serve the site.
        old: Whether one of the combined rows is too old.
    """

    evidence: str
    headroom: HeadroomSpan
    row: dict
    distance_m: float
    values_kw: tuple[float, ...]
    substation_id: str | None
    silent: int = 0
    utility: str | None = None
    names: tuple[str, ...] = ()
    source: str | None = None
    borrowed: bool = False
    share: float | None = None
    count: int = 1
    old: bool = False


def combine_values(values: list[float], statistic: str) -> float:
    """Return the `min`, `median` or `max` of some values."""
    ranked = sorted(values)
    if statistic == "median":
        below, above = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
        return below if below == above else (below + above) / 2
    return ranked[0] if statistic == "min" else ranked[-1]


def list_answers(site: Parcel) -> list[ServingAnswer]:
    """List every known answer to how much load a site may still draw, best first.

    If a feeder, a cell or an area is best, its own substation answers instead of the nearest. Of a
    feeder, that is the second answer.
    """
    nearest = NearbySubstations(site).nearest
    answers = [
        answer_by_area(site),
        answer_by_lines(site),
        answer_by_cell(site),
        answer_by_feeders(site, nearest),
        answer_by_substation(site, nearest),
    ]
    known = [answer for answer in answers if answer is not None]
    if not known or known[0].evidence not in {"service area", "feeder", "grid cell"}:
        return known
    own, feeders = None, None
    if not known[0].borrowed:
        substation = find_own_substation(site, known[0])
        own, feeders = answer_by_substation(site, substation), answer_by_feeders(site, substation)
    of_nearest = {"substation", "feeders of substation"}
    others = [answer for answer in known[1:] if answer.evidence not in of_nearest]
    after = [answer for answer in (feeders, own) if answer is not None]
    if known[0].evidence == "feeder" and own is not None:
        return [known[0], own, *others, *after[:-1]]
    return [known[0], *others, *after]


def find_own_substation(site: Parcel, answer: ServingAnswer) -> dict | None:
    """Find the substation that a record names, else the nearest of the same utility."""
    named = find_substation(site, answer.substation_id)
    if named is not None:
        return named | {"distance_m": site.lot.distance(named["geometry"])}
    candidates = [
        row
        for row in NearbySubstations(site).candidates
        if None in {answer.utility, read_text(row, "owner")}
        or read_text(row, "owner") == answer.utility
    ]
    best = min(
        candidates,
        key=lambda row: (
            row["distance_m"],
            row["substation_id"],
            read_text(row, "source_id") or "",
        ),
        default=None,
    )
    if best is None or not is_reach_covered(site.town, "substations", site.lot, best["distance_m"]):
        return None
    return best


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


def find_substation(site: Parcel, name: str | None) -> dict | None:
    """Find the distribution substation of an id, else of a name, at any distance.

    None where there is none, or where two share the id or name and it is not known which is meant.
    """
    if name is None or "substations" not in site.town.layers:
        return None
    rows = [row for row in list_layer_rows(site.town.layers["substations"]) if is_distribution(row)]
    for column in ("substation_id", "name"):
        found = [row for row in rows if read_text(row, column) == name]
        if len(found) == 1:
            return found[0]
    return None


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
    compute = headroom_at if kind == "load" else hosting_at
    return [
        {**row, "headroom": compute(site, row)}
        for row in list_rows_within(site.town, "capacity", site.lot, reach_m)
        if row["kind"] == kind
    ]


def answer_by_area(site: Parcel) -> ServingAnswer | None:
    """Answer by the area that covers most of the lot; of nested ones, by the smallest."""
    records = find_covering_records(site, "area")
    if not records:
        return None
    smallest = min(
        records,
        key=lambda rows: (
            area_of_record(site, rows[0]),
            rows[0]["record_id"],
        ),
    )
    borrowed = False
    own_value = any(
        headroom_at(site, row) is not None for row in list_whole_record(site, smallest[0], "area")
    )
    for row in [] if own_value else smallest:
        substation = find_substation(site, read_text(row, "substation_id"))
        if row["headroom"] is None and substation is not None:
            headroom = headroom_at(site, substation)
            # The parcel may get less than the whole headroom of its substation.
            if headroom is not None:
                row["headroom"] = HeadroomSpan(headroom.stated_kw, -math.inf, headroom.hi_kw)
                row["as_of"] = substation.get("as_of")
                borrowed = True
    answer = combine_records(site, "service area", [smallest])
    share = share_of_lot(site, smallest)
    return None if answer is None else replace(answer, borrowed=borrowed, share=share)


def answer_by_cell(site: Parcel) -> ServingAnswer | None:
    """Answer by the grid cell that covers most of the lot."""
    records = find_covering_records(site, "cell")
    answer = combine_records(site, "grid cell", records)
    share = max((share_of_lot(site, rows) for rows in records), default=None)
    return None if answer is None else replace(answer, share=share)


def find_covering_records(site: Parcel, grain: str, kind: str = "load") -> list[list[dict]]:
    """Find the records of a grain that cover the largest share of the lot, each as its rows.

    None where as much of the lot is left uncovered.
    """
    by_name: dict[tuple, list[dict]] = {}
    for row in list_records(site, kind, 0.0):
        if row["grain"] == grain and row["geometry"].geom_type in {"Polygon", "MultiPolygon"}:
            name = row["record_id"], read_text(row, "source_id")
            by_name.setdefault(name, []).append(row)
    if not by_name:
        return []
    shares = {name: share_of_lot(site, rows) for name, rows in by_name.items()}
    largest = max(shares.values())
    uncovered = 1 - share_of_lot(site, [row for rows in by_name.values() for row in rows])
    if largest == 0 or largest <= round(max(uncovered, 0.0), 4):
        return []
    return [rows for name, rows in by_name.items() if 0 < largest - 0.001 <= shares[name]]


def share_of_lot(site: Parcel, rows: list[dict]) -> float:
    """Return the share of the lot that some rows cover together."""
    covered = shapely.union_all([row["geometry"] for row in rows]).intersection(site.lot)
    return round(min(covered.area / site.lot.area, 1.0), 4)


def area_of_record(site: Parcel, one: dict) -> float:
    """Return the ground that all rows of an area's record cover together."""
    return shapely.union_all([row["geometry"] for row in list_whole_record(site, one, "area")]).area


def list_whole_record(site: Parcel, one: dict, grain: str) -> list[dict]:
    """List all rows of the record that a row belongs to, wherever they are."""
    return [
        row
        for row in list_layer_rows(site.town.layers["capacity"])
        if (row["kind"], row["grain"]) == (one["kind"], grain)
        and row["geometry"].geom_type in {"Polygon", "MultiPolygon"}
        and (row["record_id"], read_text(row, "source_id"))
        == (one["record_id"], read_text(one, "source_id"))
    ]


def answer_by_lines(
    site: Parcel, kind: str = "load", evidence: str = "feeder", *, points: bool = False
) -> ServingAnswer | None:
    """Answer by the nearest feeder and all that are no more than 2 m farther away.

    Args:
        site: The site.
        kind: `load` or `generation`.
        evidence: The evidence of the answer.
        points: Whether records without a route may answer too.

    Returns:
        The answer, None where there is none.
    """
    by_name: dict[tuple, list[dict]] = {}
    for row in list_records(site, kind, site.plan.grid.feeder_reach_m):
        is_point = row["geometry"].geom_type in {"Point", "MultiPoint"}
        if row["grain"] in {"feeder", "segment"} and (points or not is_point):
            row["distance_m"] = round(row["distance_m"], 3)
            name = row["record_id"], read_text(row, "source_id")
            by_name.setdefault(name, []).append(row)
    away = {name: min(row["distance_m"] for row in rows) for name, rows in by_name.items()}
    near_m = min(away.values(), default=0.0) + 2.0
    return combine_records(
        site, evidence, [rows for name, rows in by_name.items() if away[name] <= near_m]
    )


def combine_records(site: Parcel, evidence: str, records: list[list[dict]]) -> ServingAnswer | None:
    """Combine the records that may serve a site: the lowest and the highest are the range.

    The rows of one record are combined by the plan's statistic. A row without a value may be the
    site's, so nothing bounds the headroom then.

    Args:
        site: The site.
        evidence: The evidence of the answer.
        records: The records, each as its rows with their `headroom`.

    Returns:
        The answer, None where no row has a value.
    """
    statistic, spans, rows = site.plan.grid.fold, [], [row for one in records for row in one]
    known = [row["headroom"] for row in rows if row["headroom"] is not None]
    if not known:
        return None
    for one in records:
        values = [row["headroom"] for row in one if row["headroom"] is not None]
        ends = [
            combine_values([getattr(value, name) for value in values], statistic)
            if values
            else math.nan
            for name in ("stated_kw", "lo_kw", "hi_kw")
        ]
        spans.append(
            HeadroomSpan(*ends)
            if len(values) == len(one) and not any(is_old(site, row) for row in one)
            else HeadroomSpan(ends[0], -math.inf, math.inf)
        )
    stated = [span.stated_kw for span in spans if not math.isnan(span.stated_kw)]
    nearest = min(rows, key=record_sort_key)
    return ServingAnswer(
        evidence,
        HeadroomSpan(
            combine_values(stated, statistic),
            min(span.lo_kw for span in spans),
            max(span.hi_kw for span in spans),
        ),
        nearest,
        nearest["distance_m"],
        tuple(headroom.stated_kw for headroom in known),
        only_text(rows, "substation_id"),
        len(rows) - len(known),
        utility=only_text(rows, "owner"),
        names=tuple(sorted({row["record_id"] for row in rows})),
        source=only_text(rows, "source_id"),
        count=len(records),
        old=any(is_old(site, row) for row in rows if row["headroom"] is not None),
    )


def only_text(rows: list[dict], name: str) -> str | None:
    """Return the text that all rows have in a column, None if they differ."""
    texts = {read_text(row, name) for row in rows}
    return texts.pop() if len(texts) == 1 else None


def answer_by_feeders(site: Parcel, substation: dict | None) -> ServingAnswer | None:
    """Answer by the feeders of the nearest substation whose routes are not published."""
    if substation is None or "capacity" not in site.town.layers:
        return None
    if find_substation(site, substation["substation_id"]) is None:
        return None
    rules, feeders, old = site.plan.grid, [], False
    for row in list_layer_rows(site.town.layers["capacity"]):
        if row["kind"] != "load" or row["grain"] not in {"feeder", "segment"}:
            continue
        if row["geometry"].geom_type not in {"Point", "MultiPoint"}:
            continue
        if read_text(row, "substation_id") == substation["substation_id"]:
            feeders.append(headroom_at(site, row) or UNKNOWN_HEADROOM)
            old = old or (feeders[-1] is not UNKNOWN_HEADROOM and is_old(site, row))
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
        count=len(feeders),
        old=old,
    )


def answer_by_substation(site: Parcel, substation: dict | None) -> ServingAnswer | None:
    """Answer by the nearest substation, which bounds the headroom from above."""
    headroom = None if substation is None else headroom_at(site, substation)
    if headroom is None:
        return None
    return ServingAnswer(
        "substation",
        HeadroomSpan(headroom.stated_kw, -math.inf, headroom.hi_kw),
        substation,
        substation["distance_m"],
        (headroom.stated_kw,),
        substation["substation_id"],
        old=is_old(site, substation),
    )


def answer_hosting(site: Parcel) -> ServingAnswer | None:
    """Answer how much generation the nearest lines allow, else the cell, else the area."""
    cells = find_covering_records(site, "cell", "generation")
    areas = find_covering_records(site, "area", "generation")
    smallest = sorted(
        areas,
        key=lambda rows: (
            area_of_record(site, rows[0]),
            rows[0]["record_id"],
        ),
    )[:1]
    return (
        answer_by_lines(site, "generation", "hosting", points=True)
        or combine_records(site, "hosting", cells)
        or combine_records(site, "hosting", smallest)
    )
