"""A slow second opinion on what a site carries: one site at a time, one step at a time.

Written from the definitions alone, without a look at how `geo.criteria`, `geo.fit` and `geo.size`
do it: plain loops, and shapely's functions on one shape at a time. Where a rectangle can stand is
found exactly (every place of its centre, by growing each edge of the ground); how quiet it can be
there is found by trying corners, a grid of 2 m, and steps down to 0.25 m around the best of them.

Lengths are metres in the market's frame, angles degrees counter-clockwise from east, levels dB(A).
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd
import shapely
from shapely import Geometry, Point, Polygon, affinity

from geo import catalogue
from geo.model import Fuel, Plan, Screening

FORGIVEN_M = 0.001
# A region smaller than this is what rounding leaves over, not a place. A block that just fits has
# the square of twice what is forgiven: 4e-6 m2.
NOTHING_M2 = 1e-6
GRID_M = 2.0
STEPS_M = (1.0, 0.5, 0.25)
TRIED, REFINED = 40, 3
# From so far over the limit no quiet place is found beside a spot of the grid.
HOPELESS_DB = 3.0
Bracket = tuple[int, int]
Spot = tuple[float, float]


@dataclass(frozen=True)
class Block:
    """n machines in rows and columns, centred at (x, y) in the frame turned by `angle`."""

    n: int
    rows: int
    columns: int
    angle: float
    x: float = 0.0
    y: float = 0.0

    def moved(self, spot: Spot) -> "Block":
        return replace(self, x=spot[0], y=spot[1])

    def size(self, plan: Plan) -> Spot:
        """Return length (along the columns) and width with the aisles."""
        machine, aisle = catalogue.generators()[plan.generator], plan.pad.aisle_m
        return (
            self.columns * machine.width_m + (self.columns + 1) * aisle,
            self.rows * machine.length_m + (self.rows + 1) * aisle,
        )

    def outline(self, plan: Plan) -> Polygon:
        length, width = self.size(plan)
        return shapely.box(
            self.x - length / 2, self.y - width / 2, self.x + length / 2, self.y + width / 2
        )

    def machines(self, plan: Plan) -> list[Spot]:
        """Return the machines' centres: row by row, first columns first."""
        machine, aisle = catalogue.generators()[plan.generator], plan.pad.aisle_m
        length, width = self.size(plan)
        found = []
        for number in range(self.n):
            row, column = divmod(number, self.columns)
            x = aisle + column * (machine.width_m + aisle) + machine.width_m / 2
            y = aisle + row * (machine.length_m + aisle) + machine.length_m / 2
            found.append((self.x - length / 2 + x, self.y - width / 2 + y))
        return found


# ---------------------------------------------------------------------------------------------
# One site and what lies around it


@dataclass(frozen=True)
class Hearer:
    """Someone who hears: `sure` where known to be there, else only at worst."""

    kind: str
    shape: Geometry
    sure: bool = True


@dataclass
class Site:
    """One site with everything near it, and what has been found out about it so far."""

    row: pd.Series
    town: Screening
    plan: Plan
    regions: dict[tuple[float, int, int], Geometry] = field(default_factory=dict)

    @property
    def lot(self) -> Geometry:
        return self.row["geometry"]

    @cached_property
    def buildings(self) -> list[Geometry]:
        return [one["geometry"] for one in near(self.town, "buildings", self.lot, 50.0)]

    @cached_property
    def ground(self) -> Geometry:
        return ground(self.lot, self.buildings, self.exclusions, self.plan, join="mitre")

    @cached_property
    def round_ground(self) -> Geometry:
        """Return the ground with no more than the clearance taken at buildings' corners."""
        return ground(self.lot, self.buildings, self.exclusions, self.plan, join="round")

    @cached_property
    def exclusions(self) -> list[Geometry]:
        kinds = self.plan.pad.exclusions
        found = near(self.town, "exclusions", self.lot, 0.0)
        return [one["geometry"] for one in found if one["kind"] in kinds]

    @cached_property
    def hearers(self) -> list[Hearer]:
        return hearers(self)

    @cached_property
    def angles(self) -> list[float]:
        return angles(self.lot)

    def turned(self, shape: Geometry, angle: float) -> Geometry:
        """Return `shape` turned so that `angle` lies along x, about the lot's lower left corner."""
        return affinity.rotate(shape, -angle, origin=self.lot.bounds[:2])

    @cached_property
    def turned_ground(self) -> dict[float, Geometry]:
        return {angle: self.turned(self.ground, angle) for angle in self.angles}

    @cached_property
    def turned_hearers(self) -> dict[float, list[tuple[float, Hearer]]]:
        """Return per angle everyone who hears, turned, by distance to the lot."""
        return {
            angle: sorted(
                (
                    (one.shape.distance(self.lot), self._turned_hearer(one, angle))
                    for one in self.hearers
                ),
                key=lambda pair: pair[0],
            )
            for angle in self.angles
        }

    def _turned_hearer(self, one: Hearer, angle: float) -> Hearer:
        return Hearer(one.kind, self.turned(one.shape, angle), one.sure)

    def places(self, block: Block) -> Geometry:
        """Return every place for the centre of a block, in the frame turned by its angle."""
        key = (block.angle, block.rows, block.columns)
        if key not in self.regions:
            self.regions[key] = centres(self.turned_ground[block.angle], *block.size(self.plan))
        return self.regions[key]


def near(town: Screening, layer: str, lot: Geometry, reach_m: float) -> list[dict]:
    """Return the rows of a layer within `reach_m` of a lot, with `distance_m`; none if no layer."""
    if layer not in town.layers:
        return []
    left, bottom, right, top = lot.bounds
    found = []
    for row in town.layers[layer].to_dict("records"):
        x0, y0, x1, y1 = row["geometry"].bounds
        if x0 > right + reach_m or x1 < left - reach_m:
            continue
        if y0 > top + reach_m or y1 < bottom - reach_m:
            continue
        distance_m = lot.distance(row["geometry"])
        if distance_m <= reach_m:
            found.append({**row, "distance_m": distance_m})
    return found


def inside(town: Screening, layer: str, lot: Geometry, reach_m: float) -> bool:
    """Return whether everything within `reach_m` of a lot lies inside the layer's coverage."""
    area = town.coverage.get(layer)
    return area is not None and area.covers(lot) and area.boundary.distance(lot) >= reach_m


def missing(value: object) -> bool:
    return bool(pd.isna(value))


# ---------------------------------------------------------------------------------------------
# Grid


def gap(site: Site) -> dict[str, object]:
    """Return evidence, headroom, shortfall and need, as the grid's facts name them."""
    plan, town = site.plan, site.town
    target = plan.target_kw
    found: dict[str, object] = {"load_headroom_kw": None, "headroom_is_bound": False}
    feeders = near(town, "feeders", site.lot, plan.grid.feeder_reach_m)
    known = [one for one in feeders if not missing(one["load_headroom_kw"])]
    stations = [
        one
        for one in near(town, "substations", site.lot, plan.grid.substation_reach_m)
        if one["status"] == "in_service"
    ]
    if known:
        best = min(known, key=lambda one: one["distance_m"])
        found |= {"grid_evidence": "feeder", "load_headroom_kw": best["load_headroom_kw"]}
    elif stations:
        best = min(stations, key=lambda one: one["distance_m"])
        mva = [best[f"{name}_mva"] for name in ("firm_capacity", "peak_load", "committed_load")]
        if any(missing(value) for value in mva):
            found["grid_evidence"] = "unpublished"
        elif not inside(site.town, "substations", site.lot, best["distance_m"]):
            # A nearer one may stand beyond the edge of the layer.
            found["grid_evidence"] = "edge of layer"
        else:
            headroom = (mva[0] - mva[1] - mva[2]) * 1000 * plan.grid.power_factor
            found |= {
                "grid_evidence": "substation",
                "load_headroom_kw": headroom,
                "headroom_is_bound": True,
            }
    elif not {"feeders", "substations"} & set(town.layers):
        found["grid_evidence"] = "no layer"
    elif inside(town, "substations", site.lot, plan.grid.substation_reach_m):
        found["grid_evidence"] = "none"
    else:
        found["grid_evidence"] = "edge of layer"
    headroom = found["load_headroom_kw"]
    if headroom is None:
        lo, hi = 0.0, target
    else:
        lo = min(max(target - max(headroom, 0.0), 0.0), target)
        hi = target if found["headroom_is_bound"] else lo
    machine_kw = catalogue.generators()[plan.generator].power_kw * plan.derate
    return found | {
        "overload_kw": None if headroom is None else max(-headroom, 0.0),
        "shortfall_lo_kw": lo,
        "shortfall_hi_kw": hi,
        "needed_lo": needed(lo, machine_kw, plan),
        "needed_hi": needed(hi, machine_kw, plan),
        "gap_class": "short" if lo > 0 else "covered" if hi == 0 else "unknown",
    }


def needed(shortfall_kw: float, machine_kw: float, plan: Plan) -> int:
    """Return how many machines close a shortfall, spares included."""
    return math.ceil(shortfall_kw / machine_kw) + plan.spares if shortfall_kw > 0 else 0


# ---------------------------------------------------------------------------------------------
# Fuel


@dataclass(frozen=True)
class Supply:
    """How many machines a fuel runs, and the evidence. Several mains may be equally near."""

    n: Bracket
    evidence: str
    main_ids: frozenset[str] = frozenset()


def supplies(site: Site, fuel: Fuel) -> list[Supply]:
    """Return what a fuel gives a site: one answer, or one for each of several nearest mains."""
    if fuel.delivery == "storage":
        return [tank(site, fuel)]
    return mains(site, fuel)


def mains(site: Site, fuel: Fuel) -> list[Supply]:
    plan, cap = site.plan, site.plan.cap
    found = near(site.town, "mains", site.lot, plan.fuel.main_reach_m)
    if found:
        # Of mains equally near, to a millimetre, the one that carries most; then the lower id.
        best = min(
            found,
            key=lambda one: (round(one["distance_m"], 3), -carried_scfh(one), one["main_id"]),
        )
        return [of_main(best, fuel, plan)]
    if near(site.town, "gas_signs", site.lot, plan.fuel.sign_reach_m):
        return [Supply((0, cap), "sign of a main")]
    if "mains" not in site.town.layers:
        return [Supply((0, cap), "no layer")]
    if inside(site.town, "mains", site.lot, plan.fuel.main_reach_m):
        return [Supply((0, 0), "no main")]
    return [Supply((0, cap), "edge of layer")]


def of_main(main: dict, fuel: Fuel, plan: Plan) -> Supply:
    """Return the machines that one main runs: by its class and the next size down in the table."""
    ids = frozenset([main["main_id"]])
    if missing(main["diameter_in"]) or missing(main["pressure_class"]):
        return Supply((0, plan.cap), "main of unknown size", ids)
    n = min(
        math.floor(carried_scfh(main) * plan.fuel.usable_share / fuel.demand_per_machine), plan.cap
    )
    return Supply((n, n), "main", ids)


def carried_scfh(main: dict) -> float:
    """Return what a main carries when empty, -1 where its size or class is missing."""
    carried = -1.0
    if missing(main["diameter_in"]) or missing(main["pressure_class"]):
        return carried
    for row in sorted(catalogue.carrying(), key=lambda one: one.diameter_in):
        same = row.pressure_class == main["pressure_class"]
        if same and row.diameter_in <= main["diameter_in"]:
            carried = row.capacity_scfh
    return carried


def tank(site: Site, fuel: Fuel) -> Supply:
    """Return the machines that the largest tank runs which fits with its separation."""
    plan = site.plan
    hours = 24 * plan.fuel.propane_autonomy_days
    for one in sorted(fuel.storage, key=lambda size: size.capacity_gal, reverse=True):
        free = site.lot.buffer(-one.separation_m, join_style="mitre")
        for building in site.buildings:
            free = free.difference(building.buffer(one.separation_m, quad_segs=4))
        for angle in site.angles:
            if not centres(site.turned(free, angle), one.length_m, one.width_m).is_empty:
                # 80 % is as full as a tank may be.
                n = math.floor(one.capacity_gal * 0.8 / (fuel.demand_per_machine * hours))
                n = min(n, plan.cap)
                # Where buildings are not mapped, one may stand in the tank's way.
                mapped = inside(site.town, "buildings", site.lot, 0.0)
                return Supply((n if mapped else 0, n), "storage")
    return Supply((0, 0), "storage")


# ---------------------------------------------------------------------------------------------
# Pad


def ground(
    lot: Geometry, buildings: list[Geometry], exclusions: list[Geometry], plan: Plan, *, join: str
) -> Geometry:
    """Return the lot less setback, less buildings and their clearance, less exclusions."""
    free = lot.buffer(-plan.pad.setback_m, join_style="mitre")
    clearance = plan.pad.building_clearance_m
    for building in buildings:
        free = free.difference(building.buffer(clearance, join_style=join, mitre_limit=2))
    for exclusion in exclusions:
        free = free.difference(exclusion)
    return free


def angles(lot: Geometry) -> list[float]:
    """Return up to three directions of the longest edges, 2 degrees apart, and each turned."""
    edges = []
    for ring in rings(lot):
        for (x0, y0), (x1, y1) in itertools.pairwise(ring.coords):
            angle = math.degrees(math.atan2(y1 - y0, x1 - x0)) % 90
            edges.append((math.hypot(x1 - x0, y1 - y0), angle))
    found: list[float] = []
    for _, angle in sorted(edges, key=lambda edge: edge[0], reverse=True):
        apart = [abs(angle - other) for other in found]
        if len(found) < 3 and all(min(one, 90 - one) >= 2 for one in apart):
            found.append(angle)
    return [one for angle in found for one in (angle, angle + 90)]


def rings(shape: Geometry) -> Iterator[Geometry]:
    """Yield each ring of a polygon or of several."""
    for part in parts(shape):
        yield part.exterior
        yield from part.interiors


def parts(shape: Geometry) -> list[Polygon]:
    pieces = getattr(shape, "geoms", [shape])
    return [one for one in pieces if isinstance(one, Polygon) and not one.is_empty]


def shapes_of(n: int) -> list[tuple[int, int]]:
    """Return the blocks of n machines as (rows, columns).

    Only the smallest number of rows of each number of columns: more rows of as many columns hold
    the same machines in a larger block.
    """
    found: dict[int, int] = {}
    for rows in range(1, n + 1):
        found.setdefault(math.ceil(n / rows), rows)
    return [(rows, columns) for columns, rows in found.items()]


def centres(turned_ground: Geometry, length: float, width: float) -> Geometry:
    """Return every place for the centre of a rectangle along x that lies wholly in the ground.

    The rectangle is in the ground where its centre is, and no edge of the ground runs through it.
    An edge runs through it where the centre is in what the rectangle sweeps along that edge.
    """
    half_x, half_y = length / 2 - FORGIVEN_M, width / 2 - FORGIVEN_M
    places = []
    for part in parts(turned_ground):
        left, bottom, right, top = part.bounds
        if right - left < 2 * half_x or top - bottom < 2 * half_y:
            continue
        if part.area < 4 * half_x * half_y:
            continue
        swept = []
        for ring in rings(part):
            for (x0, y0), (x1, y1) in itertools.pairwise(ring.coords):
                corners = [
                    (x + side, y + end)
                    for x, y in ((x0, y0), (x1, y1))
                    for side in (-half_x, half_x)
                    for end in (-half_y, half_y)
                ]
                swept.append(shapely.MultiPoint(corners).convex_hull)
        left_over = part.difference(shapely.union_all(swept))
        places += [one for one in parts(left_over) if one.area > NOTHING_M2]
    return shapely.MultiPolygon(places)


def places(site: Site, n: int) -> Iterator[tuple[Block, Geometry]]:
    """Yield each block of n that fits somewhere, and every place for its centre."""
    for rows, columns in shapes_of(n):
        for angle in site.angles:
            block = Block(n, rows, columns, angle)
            where = site.places(block)
            if not where.is_empty:
                yield block, where


def pad_most(site: Site) -> int:
    """Return the most machines that the ground takes, up to the plan's cap.

    A block of n + 1 holds one of n, so the first number that fits nowhere ends it.
    """
    n = 0
    while n < site.plan.cap and any(True for _ in places(site, n + 1)):
        n += 1
    return n


# ---------------------------------------------------------------------------------------------
# Noise


def hearers(site: Site) -> list[Hearer]:
    """Return who hears the site, and who may: beyond the layer's edge, and on the site itself."""
    reach_m = site.plan.noise.report_reach_m
    found = [
        Hearer(one["receptor_class"], one["geometry"])
        for one in near(site.town, "receptors", site.lot, reach_m)
        if one["receptor_class"] in site.plan.noise.receptors
        and (missing(one["site_id"]) or one["site_id"] != site.row["site_id"])
    ]
    if site.row["own_dwelling"]:
        own = [one for one in site.buildings if one.intersection(site.lot).area > one.area / 2]
        found += [Hearer("own dwelling", one) for one in own]
        if not own:
            found.append(Hearer("own dwelling", site.lot, sure=False))
    if not inside(site.town, "receptors", site.lot, reach_m):
        area = site.town.coverage.get("receptors") or Polygon()
        beyond = site.lot.buffer(reach_m).difference(area)
        found.append(Hearer("edge of layer", beyond, sure=False))
    return found


def level_at(spot: Spot, machines: list[Spot], plan: Plan) -> float:
    """Return the level of all machines together at a spot."""
    generator = catalogue.generators()[plan.generator]
    at_x, at_y = spot
    energy = 0.0
    for x, y in machines:
        distance_m = max(math.hypot(at_x - x, at_y - y), 1.0)
        energy += (generator.level_distance_m / distance_m) ** 2
    return generator.level_dba + 10 * math.log10(energy)


def level_of(hearer: Geometry, block: Polygon, machines: list[Spot], plan: Plan) -> float:
    """Return the level at a hearer's point nearest the block's centre, or nearest the block."""
    near_centre = shapely.shortest_line(hearer, block.centroid).coords[0]
    near_block = shapely.shortest_line(hearer, block).coords[0]
    return max(level_at(spot, machines, plan) for spot in (near_centre, near_block))


def far_enough_m(n: int, plan: Plan) -> float:
    """Return the distance beyond which n machines are not over the limit, however they stand."""
    generator = catalogue.generators()[plan.generator]
    over = generator.level_dba + 10 * math.log10(n) - plan.noise.limit_dba
    return generator.level_distance_m * 10 ** (over / 20)


def stand(site: Site, n: int, *, worst: bool) -> Block | None:
    """Return n machines that stand in the ground with every hearer at or under the limit."""
    for block, where in places(site, n):
        found = quiet_somewhere(site, block, where, worst=worst)
        if found is not None:
            return found
    return None


def quiet_somewhere(site: Site, block: Block, where: Geometry, *, worst: bool) -> Block | None:
    """Return the block moved to a place that keeps every hearer at the limit, if one is found."""
    far_m = far_enough_m(block.n, site.plan)
    those = [
        one.shape
        for distance_m, one in site.turned_hearers[block.angle]
        if distance_m <= far_m and (worst or one.sure)
    ]

    def over(spot: Spot) -> float:
        return excess_db(block.moved(spot), those, site.plan)

    def room(spot: Spot) -> float:
        return min((shape.distance(Point(spot)) for shape in those), default=math.inf)

    tried = []
    for spot in sorted(spots_in(where, GRID_M), key=room, reverse=True)[:TRIED]:
        tried.append((over(spot), spot))
        if tried[-1][0] <= 0:
            return block.moved(spot)
    for start in sorted(tried)[:REFINED]:
        if start[0] > HOPELESS_DB:
            break
        over_db, spot = downhill(*start, where, over)
        if over_db <= 0:
            return block.moved(spot)
    return None


def downhill(
    best_db: float, spot: Spot, where: Geometry, over: Callable[[Spot], float]
) -> tuple[float, Spot]:
    """Step from a spot to quieter ones, in ever smaller steps, until it is quiet enough."""
    for step in STEPS_M:
        moved = True
        while moved and best_db > 0:
            moved = False
            for dx, dy in itertools.product((-step, 0, step), repeat=2):
                there = (spot[0] + dx, spot[1] + dy)
                if where.intersects(Point(there)):
                    over_db = over(there)
                    if over_db < best_db - 1e-6:
                        best_db, spot, moved = over_db, there, True
    return best_db, spot


def excess_db(block: Block, hearers: list[Geometry], plan: Plan) -> float:
    """Return by how much the loudest level is over the limit; minus infinity if nobody is near."""
    outline, machines = block.outline(plan), block.machines(plan)
    far_m = far_enough_m(block.n, plan)
    levels = [
        level_of(shape, outline, machines, plan)
        for shape in hearers
        if shape.distance(outline) <= far_m
    ]
    return max(levels, default=-math.inf) - plan.noise.limit_dba


def spots_in(where: Geometry, step_m: float) -> list[Spot]:
    """Return the corners of a region and a grid of spots inside it."""
    spots = [(x, y) for ring in rings(where) for x, y in ring.coords[:-1]]
    for part in parts(where):
        left, bottom, right, top = part.bounds
        for i in range(int((right - left) / step_m) + 1):
            for j in range(int((top - bottom) / step_m) + 1):
                x, y = left + i * step_m, bottom + j * step_m
                if part.intersects(Point(x, y)):
                    spots.append((x, y))
    return spots


def most_that_holds(site: Site, *, worst: bool) -> int:
    """Return the most machines that ground and hearers allow; two numbers that do not end it."""
    most, n = 0, 0
    while n < site.plan.cap and n < most + 2:
        n += 1
        if stand(site, n, worst=worst) is not None:
            most = n
    return most


def quietest_room_m(site: Site, *, worst: bool) -> float:
    """Return how far the nearest hearer is from the lot's quietest spot: inf if there is none."""
    those = [one.shape for one in site.hearers if worst or one.sure]
    if not those:
        return math.inf
    spots = spots_in(site.lot, max(GRID_M, math.sqrt(site.lot.area) / 20))
    return max(min(shape.distance(Point(spot)) for shape in those) for spot in spots)


def most_at_quietest(site: Site, *, worst: bool) -> int:
    """Return the most machines that the hearers allow, were all at the lot's quietest spot."""
    room_m = max(quietest_room_m(site, worst=worst), 1.0)
    return sum(room_m >= far_enough_m(n, site.plan) for n in range(1, site.plan.cap + 1))


# ---------------------------------------------------------------------------------------------
# All together


@dataclass(frozen=True)
class Answer:
    """What one site carries: by the ground, by ground and hearers, by each fuel (worst, best)."""

    pad: int
    pad_lo: int
    noise_lo: int
    stands: Bracket
    supplies: dict[str, list[Supply]]

    def carried(self, supply: Supply) -> Bracket:
        """Return the machines that ground, hearers and a fuel allow, at worst and at best."""
        return min(self.stands[0], supply.n[0]), min(self.stands[1], supply.n[1])


def answer(site: Site) -> Answer:
    """Size one site."""
    sure = all(one.sure for one in site.hearers)
    # Where the buildings' layer does not cover the lot, others may stand on it.
    built = inside(site.town, "buildings", site.lot, 0.0)
    pad = pad_most(site)
    at_worst = most_that_holds(site, worst=True)
    return Answer(
        pad=pad,
        pad_lo=pad if built else 0,
        noise_lo=most_at_quietest(site, worst=True),
        stands=(at_worst if built else 0, at_worst if sure else most_that_holds(site, worst=False)),
        supplies={name: supplies(site, catalogue.fuels()[name]) for name in site.plan.fuels},
    )


def best_fuel(carried: dict[str, Bracket]) -> str:
    """Return the first fuel that surely carries a machine, else that which carries most at best."""
    for name, (lo, _) in carried.items():
        if lo >= 1:
            return name
    return max(carried, key=lambda name: carried[name][1])


def binding(found: Answer, supply: Supply, cap: int) -> str:
    """Return the criterion whose waiver alone would allow the most machines, at worst."""
    lo, _ = found.carried(supply)
    if lo >= cap:
        return "cap"
    waived = {
        "pad": min(found.noise_lo, supply.n[0]),
        "noise": min(found.pad_lo, supply.n[0]),
        "fuel": found.stands[0],
    }
    most = max(waived, key=lambda name: waived[name])
    return most if waived[most] > lo else "several"
