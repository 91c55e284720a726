"""A slow second opinion on the shortfall of a load and on what sites share, one site at a time.

Written from the definitions alone, like `tests.geo.oracle_grid`. Powers are in kW.
"""

import math
from dataclasses import dataclass

from geo import catalogue
from geo.model import Generator
from tests.geo.around import Parcel, read_cell, read_text
from tests.geo.oracle_grid import (
    UNKNOWN_HEADROOM,
    HeadroomSpan,
    ServingAnswer,
    answer_hosting,
    combine_values,
    explain_no_answer,
    find_substation,
    headroom_at,
    is_unbounded,
    list_answers,
)

# What a site shares, by name, and how much of each there is (kW).
Pools = dict[tuple[str, ...], float]


def list_pools(site: Parcel, best: ServingAnswer) -> Pools:
    """List what a site shares with others, and how much of each there is (kW).

    It shares the substation where that is bounded from above, and the record where that is bounded
    from above, unless the record is for the whole substation.
    """
    pools: Pools = {}
    substation = find_substation(site, best.substation_id)
    headroom = None if substation is None else headroom_at(site, substation)
    if headroom is not None and headroom.hi_kw < math.inf:
        pools["substation", substation["substation_id"]] = headroom.hi_kw
    whole_substation = best.evidence in {"substation", "feeders of substation"}
    if best.headroom.hi_kw < math.inf and not (whole_substation and pools):
        names = best.names or (best.substation_id,)
        source = best.source if best.names else read_text(best.row, "source_id")
        pools["record", best.evidence, source or "", *names] = best.headroom.hi_kw
    return pools


def compute_headroom_left(
    pools_of_sites: list[Pools], own_kw: list[float], target_kw: float
) -> list[float]:
    """Compute the headroom left for each site by what it shares, at most the site's own headroom.

    If three sites with 1000 kW each share 1500 kW, 1000 kW, 500 kW and 0 are left for them.

    Args:
        pools_of_sites: What each site shares, best-ranked site first.
        own_kw: The headroom of each site.
        target_kw: The load that each site takes.

    Returns:
        The headroom left for each site, NaN where it shares nothing known.
    """
    headroom_left = []
    for place, (pools, own) in enumerate(zip(pools_of_sites, own_kw, strict=True)):
        left = own
        for name, pool_kw in pools.items():
            before = [
                kw for others, kw in zip(pools_of_sites[:place], own_kw[:place], strict=True)
                if name in others
            ]  # fmt: skip
            left = min(left, pool_kw - sum(min(target_kw, max(kw, 0.0)) for kw in before))
        headroom_left.append(max(left, 0.0) if pools else math.nan)
    return headroom_left


def compute_machine_kw(site: Parcel) -> float:
    """Compute the power of one generator at the site's altitude on the plan's summer day."""
    grid = site.town.rasters.get("elevation")
    elevation_m = None if grid is None else read_cell(grid, site.spot, site.town.sites.crs)
    generator = catalogue.read_generators()[site.plan.generator]
    altitude_m = site.plan.altitude_m if elevation_m is None else elevation_m
    return compute_derated_kw(generator, altitude_m, site.plan.summer_c)


def compute_derated_kw(generator: Generator, altitude_m: float, air_c: float) -> float:
    """Compute a generator's power at an altitude and an air temperature.

    Args:
        generator: The generator, with its derating.
        altitude_m: The altitude.
        air_c: The air temperature.

    Returns:
        The power (kW).
    """
    derating, loss = generator.derating, 0.0
    if altitude_m > derating.to_altitude_m:
        loss += (altitude_m - derating.to_altitude_m) * derating.share_per_m
    if air_c > derating.to_c:
        loss += (air_c - derating.to_c) * derating.share_per_c
    return generator.power_kw * max(1 - loss, 0.0)


@dataclass(frozen=True)
class LoadGap:
    """The shortfall of one load, its class, and the generators that close it."""

    lo_kw: float
    hi_kw: float
    gap_class: str
    needed_lo: float
    needed_hi: float


def compute_gap(headroom: HeadroomSpan, load_kw: float, each_kw: float, spares: int) -> LoadGap:
    """Compute the gap of one load; the lowest shortfall is where the grid supplies the most.

    Args:
        headroom: The headroom of the site.
        load_kw: The load.
        each_kw: Power of one generator.
        spares: Installed generators that do not run.

    Returns:
        The gap.
    """
    lo, hi = (
        min(max(load_kw - max(kw, 0.0), 0.0), load_kw) for kw in (headroom.hi_kw, headroom.lo_kw)
    )
    gap_class = "short" if lo > 0 else "covered" if hi <= 0 else "unknown"
    needed_lo, needed_hi = (count_needed(short_kw, each_kw, spares) for short_kw in (lo, hi))
    return LoadGap(lo, hi, gap_class, needed_lo, needed_hi)


def count_needed(short_kw: float, each_kw: float, spares: int) -> float:
    """Count the generators that close a shortfall, spares included.

    Args:
        short_kw: The shortfall.
        each_kw: Power of one generator; if it is zero, no number of generators is enough.
        spares: Installed generators that do not run.

    Returns:
        The count, infinite where it cannot be closed.
    """
    if short_kw <= 0:
        return 0
    return math.ceil(short_kw / each_kw) + spares if each_kw > 0 else math.inf


def compare_answers(site: Parcel, target_kw: float) -> str:
    """Return whether the best and the second-best answer agree about a load."""
    return compare_spans([answer.headroom for answer in list_answers(site)[:2]], target_kw)


def compare_spans(spans: list[HeadroomSpan], target_kw: float) -> str:
    """Return whether two answers agree about a load, according to their ranges.

    0 to 400 and 600 to 800 kW are 200 kW apart. For a load of 1000 they differ. For a load of 500
    they contradict each other: one answer is that it is short, the other that it is covered.
    """
    if len(spans) < 2:
        return "no second answer"
    if any(is_unbounded(span) for span in spans):
        return "cannot be compared"
    classes = {compute_gap(span, target_kw, 1.0, 0).gap_class for span in spans}
    if classes == {"short", "covered"}:
        return "contradict"
    distance_kw = max(span.lo_kw for span in spans) - min(span.hi_kw for span in spans)
    return "differ" if distance_kw > target_kw / 10 else "agree"


def best_headroom(site: Parcel) -> HeadroomSpan:
    """Return the headroom of the best answer; UNKNOWN_HEADROOM where there is none."""
    answers = list_answers(site)
    return answers[0].headroom if answers else UNKNOWN_HEADROOM


def describe_service(site: Parcel) -> dict[str, object]:
    """Describe what serves a site, keyed by fact name."""
    answers, hosting = list_answers(site), answer_hosting(site)
    first = (
        describe_answer(site, answers[0]) if answers else {"grid_evidence": explain_no_answer(site)}
    )
    best, second = (answers + [None] * 2)[:2]
    difference_kw = (
        math.nan if second is None else best.headroom.stated_kw - second.headroom.stated_kw
    )
    span = UNKNOWN_HEADROOM if second is None else second.headroom
    return first | {
        "second_evidence": None if second is None else second.evidence,
        "second_headroom_kw": span.stated_kw,
        "second_lo_kw": span.lo_kw,
        "second_hi_kw": span.hi_kw,
        "headroom_disagreement_kw": difference_kw,
        "hosting_kw": math.nan if hosting is None else hosting.headroom.stated_kw,
        "hosting_at_least": hosting is not None and classify_bounds(hosting.headroom) == "at least",
    }


def classify_bounds(span: HeadroomSpan) -> str:
    """Return which bounds a headroom has, in the words of the `headroom_reads` fact."""
    below, above = span.lo_kw > -math.inf, span.hi_kw < math.inf
    if below and above:
        return "exactly" if span.lo_kw == span.hi_kw else "between"
    return "at most" if above else "at least" if below else "neither"


def describe_answer(site: Parcel, best: ServingAnswer) -> dict[str, object]:
    """Describe the best answer, keyed by fact name."""
    headroom = best.headroom
    return {
        "grid_evidence": best.evidence,
        "load_headroom_kw": headroom.stated_kw,
        "headroom_lo_kw": headroom.lo_kw,
        "headroom_hi_kw": headroom.hi_kw,
        "headroom_reads": classify_bounds(headroom),
        "overload_kw": max(-headroom.stated_kw, 0.0),
        "grid_distance_m": best.distance_m,
        "headroom_rows": len(best.values_kw),
        "headroom_silent_rows": best.silent,
        "headroom_min_kw": min(best.values_kw),
        "headroom_median_kw": combine_values(list(best.values_kw), "median"),
        "headroom_max_kw": max(best.values_kw),
        "substation_id": best.substation_id,
        "grid_share": best.share,
        "grid_split": None if best.share is None else best.share < 0.98,
        "serving_count": best.count,
        "grid_old": best.old,
        "pool_kw": next(iter(list_pools(site, best).values()), math.nan),
    }


def describe_gap(site: Parcel) -> dict[str, object]:
    """Describe the grid and the shortfall of the target, keyed by fact name."""
    plan, each_kw = site.plan, compute_machine_kw(site)
    gap = compute_gap(best_headroom(site), plan.target_kw, each_kw, plan.spares)
    return describe_service(site) | {
        "machine_kw": each_kw,
        "shortfall_lo_kw": gap.lo_kw,
        "shortfall_hi_kw": gap.hi_kw,
        "gap_class": gap.gap_class,
        "headroom_check": compare_answers(site, plan.target_kw),
        "needed_lo": gap.needed_lo,
        "needed_hi": gap.needed_hi,
    }
