"""Sites with the program's answer and the slow oracle's, and where the two disagree.

Each `find_...` function lists the disagreements of some cases, as (rule, site, what).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import shapely

from geo.compiled import called
from geo.criteria.noise.receiver_points import list_receiver_points
from geo.criteria.noise.receptors import find_receptors
from geo.criteria.noise.sound import make_noise_source
from geo.equipment.selection import plan_generator
from geo.model import Market, Plan, Screening
from geo.screen import screen_sites
from geo.sizing.kernel.arrays import Hearing
from geo.sizing.kernel.transfer import counts
from geo.sizing.search_arrays import arrange_hearing
from tests.geo import oracle, oracle_points
from tests.geo.around import is_missing, is_missing_shape
from tests.geo.oracle_fuel import EDGE, FuelSupply
from tests.geo.oracle_points import Spot

Said = tuple[object, ...]
# Between the spots that the oracle tries for one machine, the level may be this much lower.
SPOT_DB = 0.1
# The points where levels are measured are the same to this distance.
SAME_M = 0.001


@dataclass
class Case:
    """One site, with padfinder's answer and the oracle's."""

    got: pd.Series
    site: oracle.Site

    @cached_property
    def found(self) -> oracle.Answer:
        return oracle.answer(self.site)

    @property
    def supply(self) -> FuelSupply:
        """Return what the chosen fuel supplies by the route that padfinder chose."""
        given = self.found.supplies[self.got["fuel"]]
        return next((one for one in given if one.evidence == self.got["fuel_evidence"]), given[0])

    @property
    def given(self) -> tuple[int, int]:
        return int(self.got["n_lo"]), int(self.got["n_hi"])

    @cached_property
    def more(self) -> tuple[int, int]:
        """Return how many more machines the oracle finds a place for: worst case, best case."""
        return self.count_more(worst=True), self.count_more(worst=False)

    def count_more(self, *, worst: bool) -> int:
        """Return how many more machines (0, 1 or 2) the oracle finds a place for."""
        case = 0 if worst else 1
        # What ground and fuel allow. The ground is compared on its own.
        room = min(int(self.got["pad_lo" if worst else "pad_n"]), int(self.runs[case]))
        for more in (1, 2):
            n = self.given[case] + more
            block = oracle.stand(self.site, n, worst=worst) if n <= room else None
            if block is None or not self.is_quiet(block, worst=worst):
                return more - 1
        return 2

    @property
    def runs(self) -> tuple[float, float]:
        """Return how many machines the chosen fuel can run; it is compared on its own."""
        return self.got["fuel_n_lo"], self.got["fuel_n_hi"]

    def is_quiet(self, block: oracle.Block, *, worst: bool) -> bool:
        """Return whether a block meets the limits at every point."""
        spots = block.machines(self.site.plan)[: max(block.n - self.site.plan.spares, 1)]
        machines = [self.site.level_spot(one, block.angle) for one in spots]
        heard = oracle.heard_by(self.site, machines, worst=worst)
        return not heard or heard[0].over_db <= 0

    @property
    def is_drawn(self) -> bool:
        return not is_missing(self.got["placed_n"])

    @cached_property
    def machines(self) -> list[Spot]:
        """Return the centers of the machines that are drawn and run."""
        drawn = [one.centroid.coords[0] for one in self.got["machines"].geoms]
        return drawn[: max(len(drawn) - self.site.plan.spares, 1)]

    @cached_property
    def heard(self) -> list[oracle.Heard]:
        """Return the levels from the drawn machines, the worst first.

        If the machines are drawn for the best case, only certain receptors count.
        """
        return oracle.heard_by(self.site, self.machines, worst=self.got["n_lo"] > 0)

    @cached_property
    def worst_heard(self) -> list[oracle.Heard]:
        """Return the points that are loudest, to 0.01 dB."""
        worst = self.heard[0].over_db if self.heard else math.nan
        return [one for one in self.heard if one.over_db > worst - oracle.EQUAL_DB]

    @property
    def over_db(self) -> float:
        return self.heard[0].over_db if self.heard else math.nan

    def say(self, *what: object) -> Said:
        return self.site.market.noise_rule, self.got["site_id"], *what


def list_cases(town: Screening, market: Market, plan: Plan) -> list[Case]:
    """Screen a town's sites, and return each with what the oracle needs to judge it."""
    facts, air = screen_sites(town, market, plan), oracle.Air.of(town, plan)
    found = []
    for number in range(len(facts)):
        got = facts.iloc[number]
        tanks = None if is_missing_shape(got["storage"]) else got["storage"]
        close = "" if is_missing(got["close_points"]) else got["close_points"]
        site = oracle.Site(
            town.sites.iloc[number], town, plan, market, air, tanks, close.split("; ")
        )
        found.append(Case(got, site))
    return found


def are_near(got: float, expected: float, tolerance: float = oracle.EQUAL_DB) -> bool:
    """Return whether two numbers are equal to a tolerance, or both are missing."""
    if is_missing(got) or is_missing(expected):
        return is_missing(got) and is_missing(expected)
    return abs(got - expected) <= tolerance


def find_wrong_levels(cases: list[Case]) -> list[Said]:
    wrong = []
    for case in cases:
        # The loudest points may have limits, and so levels, of their own.
        levels = [one.level_dba for one in case.worst_heard] or [math.nan]
        if not any(are_near(case.got["level_dba"], one) for one in levels):
            wrong.append(case.say(case.got["level_dba"], levels))
    return wrong


def find_wrong_governors(cases: list[Case]) -> list[Said]:
    wrong = []
    for case in cases:
        named = case.got["receptor_class"], case.got["receptor_id"], case.got["governs"]
        got = tuple(None if is_missing(one) else one for one in named)
        # If two receptors exceed their limits equally, to 0.01 dB, either may be named.
        who: set[Said] = {name_governor(one) for one in case.worst_heard}
        if got not in (who or {(None, None, None)}):
            wrong.append(case.say(got, who))
    return wrong


def name_governor(heard: oracle.Heard) -> Said:
    one = heard.receptor
    return one.kind, one.name, "local rule" if one.by_rule else "plan"


def find_wrong_distances(cases: list[Case]) -> list[Said]:
    wrong = []
    for case in cases:
        middle = case.got["block"].centroid
        away = [math.dist(one.at, (middle.x, middle.y)) for one in case.worst_heard] or [math.nan]
        if not any(are_near(case.got["receptor_distance_m"], one) for one in away):
            wrong.append(case.say(case.got["receptor_distance_m"], away))
    return wrong


def find_wrong_slack(cases: list[Case]) -> list[Said]:
    return [
        case.say(case.got["noise_slack_db"], -case.over_db)
        for case in cases
        if not are_near(case.got["noise_slack_db"], -case.over_db)
    ]


def find_loud(cases: list[Case]) -> list[Said]:
    """List the drawn placements that exceed a limit."""
    # Where the worst case carries no machine, the machines drawn are those of the best case.
    return [case.say(case.over_db) for case in cases if case.over_db > 1e-6]


FIND_WRONG_IN_DRAWN = (
    find_wrong_levels,
    find_wrong_governors,
    find_wrong_distances,
    find_wrong_slack,
    find_loud,
)
"""What is checked of every site with a pad."""


def find_wrong_needed(cases: list[Case]) -> list[Said]:
    """List wrong margins of as many machines as the load needs, which fewer than `n_lo` may be."""
    wrong = []
    for case in cases:
        needed, n_lo, margin = case.got["needed_hi"], case.given[0], case.got["needed_margin_db"]
        heard = needed > 0 and bool(case.site.worst_ears.to.size)
        asked = heard and needed <= n_lo
        # Where fuel alone stops them, ground and neighbors may still have a place for them.
        room = min(case.got["pad_lo"], case.got["noise_n"])
        may_have = heard and n_lo < needed <= room and case.got["fuel_n_lo"] < needed
        if (asked and is_missing(margin)) or not (asked or may_have or is_missing(margin)):
            wrong.append(case.say("needed", needed, "of", n_lo, margin))
        elif not asked and not is_missing(margin) and margin < 0:
            wrong.append(case.say("needed", needed, "too loud", margin))
        elif asked:
            # Fewer machines are never louder at their best place than more at theirs.
            slack = case.got["noise_slack_db"]
            if margin < slack - oracle.EQUAL_DB or (needed == n_lo and not are_near(margin, slack)):
                wrong.append(case.say("needed", needed, "of", n_lo, margin, slack))
    return wrong


def list_more(cases: list[Case], more: int) -> list[Said]:
    """List the sites where the oracle finds a place for so many more machines."""
    return [case.say(case.given, case.more) for case in cases if max(case.more) >= more]


def knows_quietest(case: Case) -> bool:
    """Return whether the site's margin with one machine is known and finite."""
    return not case.site.has_home_somewhere and bool(case.site.worst_ears.to.size)


def find_too_quiet(cases: list[Case]) -> list[Said]:
    """List sites where one machine's margin is missing, or better than at any spot of the lot."""
    wrong = []
    for case in cases:
        margin = case.got["one_machine_margin_db"]
        known = knows_quietest(case)
        if is_missing(margin) == known or (
            known and not oracle.is_quieter_somewhere(case.site, SPOT_DB - margin)
        ):
            wrong.append(case.say(margin))
    return wrong


def list_spot_misses(cases: list[Case]) -> list[tuple[float, Said]]:
    """List by how much (dB) one machine would be quieter at a spot of a plain grid."""
    found = []
    for case in filter(knows_quietest, cases):
        margin, best = case.got["one_machine_margin_db"], -oracle.quietest_on_grid(case.site)
        found.append((best - margin, case.say(margin, best)))
    return found


class Heard(NamedTuple):
    """What padfinder's search reads of the receptors, in its form."""

    hearing: Hearing


@called
def mark_counting(heard: Heard, site: int, pair: int, counting: np.ndarray) -> None:
    """Mark which receiver points of a pair count for padfinder.

    Args:
        heard: The receptors.
        site: The site.
        pair: The pair.
        counting: Set, for each point of the pair (P,).
    """
    for nth in range(len(counting)):
        counting[nth] = counts(heard, site, pair, heard.hearing.begin[pair] + nth)


def find_wrong_points(town: Screening, cases: list[Case]) -> list[Said]:
    """List the receptors whose points are not the oracle's.

    Each program has its own bound of how far away a receptor matters, so one that is farther away
    than all that padfinder knows may be missing, and padfinder may know more.
    """
    market, plan = cases[0].site.market, cases[0].site.plan
    elevation, buildings = town.rasters.get("elevation"), town.layers.get("buildings")
    sound = make_noise_source(plan_generator(plan), plan, buildings, elevation, market.crs)
    pairs = find_receptors(
        town.sites, town.layers, town.coverage, town.rasters.get("ambient"), sound, market, plan
    )
    points = list_receiver_points(pairs)
    heard = Heard(arrange_hearing(pairs, points, sound, plan))
    columns = [pairs.column(name) for name in ("receptor_class", "receptor_id", "by_rule")]
    wrong = []
    for number, case in enumerate(cases):
        theirs: dict[Said, list[np.ndarray]] = {}
        too_far: set[Said] = set()
        its = np.flatnonzero(pairs.site == number)
        farthest_m = pairs.away_m[its].max(initial=0.0)
        for one in case.site.receptors:
            if one.shape.distance(case.site.lot) > farthest_m:
                too_far.add((one.kind, one.name, one.by_rule))
        for pair in its:
            key = tuple(None if is_missing(one[pair]) else one[pair] for one in columns)
            which = slice(points.begin[pair], points.end[pair])
            counting = np.empty(which.stop - which.start, dtype=bool)
            mark_counting(heard, number, pair, counting)
            xy = points.xy[which][counting]
            theirs.setdefault(key, []).append(xy)
        for key, mine in list_points_by_receptor(case.site):
            # The outer side of what is beyond the edge may be drawn otherwise.
            if key[0] == EDGE or (key not in theirs and key in too_far):
                continue
            xy = np.concatenate(theirs.get(key, [np.empty((0, 2))]))
            if len(xy) != len(mine) or not are_same_points(xy, mine):
                wrong.append(case.say(key, len(xy), len(mine)))
    return wrong


def list_points_by_receptor(site: oracle.Site) -> Iterator[tuple[Said, np.ndarray]]:
    found: dict[Said, list[Spot]] = {}
    for one in site.receptors:
        if one.kind != "own dwelling" or one.sure:
            own = one.kind == "own dwelling"
            points = oracle_points.list_points(one.shape, site.lot, one.beyond_m, own=own)
            found.setdefault((one.kind, one.name, one.by_rule), []).extend(points)
    for key, points in found.items():
        yield key, np.array(points)


def are_same_points(first: np.ndarray, second: np.ndarray) -> bool:
    one, other = shapely.MultiPoint(first), shapely.MultiPoint(second)
    return bool(one.hausdorff_distance(other) < SAME_M)


def measure_between_points(case: Case, step_m: float, receptors: int) -> float:
    """Return how much louder it is than at the worst point anywhere along the loudest lines (dB).

    Args:
        case: A case with a pad.
        step_m: How far apart the lines are sampled.
        receptors: How many of the loudest receptors are looked at.

    Returns:
        The excess; negative if the worst point is louder than all samples.
    """
    site, most = case.site, -math.inf
    loudest = dict.fromkeys(id(one.receptor) for one in case.heard)
    by_id = {id(one): one for one in site.receptors}
    for number in list(loudest)[:receptors]:
        one = by_id[number]
        own = one.kind == "own dwelling"
        spots = oracle_points.list_points_every(step_m, one.shape, site.lot, one.beyond_m, own=own)
        ears = oracle.Ears(
            np.zeros(len(spots), dtype=int),
            np.array([(x, y, one.height_m) for x, y in spots]),
            np.full(len(spots), one.limit_dba),
            np.full(len(spots), one.kind == EDGE),
        )
        level = site.air.levels(case.machines, ears, site.plan)
        most = max(most, float(level.max()) - one.limit_dba)
    return most - case.over_db


def find_wrong_ground(cases: list[Case]) -> list[Said]:
    # The mitered corners of a building's clearance reach farther than the clearance distance.
    wrong = []
    for case in cases:
        least, most = (
            oracle.ground(case.site, join=join, beside_tanks=False).area
            for join in ("mitre", "round")
        )
        if not least - 0.05 < case.got["ground_area_m2"] < most + 0.05:
            wrong.append(case.say(case.got["ground_area_m2"], least, most))
    return wrong
