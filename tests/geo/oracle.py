"""A slow second opinion on what a site carries: one site at a time, one step at a time.

Written from the definitions alone, without reference to `geo.criteria`, `geo.equipment` and
`geo.sizing`: plain loops, and shapely's functions on one shape at a time. The places where a
rectangle can stand are exact (every place of its center, found by growing each edge of the ground).
The quietest of them is searched for at corners, on a grid of 2 m or more, and in steps down to
0.5 m around the best spot. The attenuation from one point to another is taken as given from
`geo.propagation.levels`, and the distance to search from its upper bound. Where a receptor's level
is measured is in `oracle_points`.

Lengths are meters in the market's frame, angles degrees counter-clockwise from east, levels dB(A).
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyproj
import shapely
from shapely import Geometry, Point, Polygon, affinity

from geo import catalogue
from geo.model import Fuel, Market, NoiseLimit, Plan, Screening
from geo.propagation import levels
from geo.propagation.air import air_absorption_db_m
from geo.propagation.edition import ISO_1996
from geo.propagation.ground import PlanGround
from geo.propagation.scene import Scene, Terrain, build_scene
from tests.geo import oracle_fuel
from tests.geo.around import Parcel, is_reach_covered, list_rows_within, read_cell
from tests.geo.oracle_fuel import EDGE, FuelSupply
from tests.geo.oracle_points import Spot, list_points

FORGIVEN_M = 0.001
# A region smaller than this is a rounding error, not a place. A block that just fits leaves the
# square of twice the tolerance: 4e-6 m2.
NOTHING_M2 = 1e-6
GRID_M = 2.0
STEPS_M = (1.0, 0.5)
TRIED, REFINED = 4, 1
SHAPES, TURNS, MOVES = 4, 2, 6
# The quietest spot of a lot for one machine: spots across, starts, steps and moves. First a grid of
# spots away from walls, then spots everywhere, each search more thorough than the one before.
GRID_ALONE, FROM_WALL_M = (12, 1, (), 0), 1.0
# Spots so far from the buildings, and so far apart, are tried too.
BESIDE_WALL_M, BESIDE_STEP_M = (0.1, 0.5, 1.0, 2.0), 0.5
EVERYWHERE = ((10, 2, (2.0, 0.5), 8), (40, 8, (2.0, 1.0, 0.5, 0.25, 0.1), 30))
# If a spot is farther over a limit than this, no place near it is quiet enough.
HOPELESS_DB = 1.5
A_WEIGHTING_DB = np.array([-26.2, -16.1, -8.6, -3.2, 0.0, 1.2, 1.0, -1.1])
# Three echoes and the hardest ground add at most this to the level after spreading and air loss:
# the ground 1.5 dB at each end, and up to 3 dB in between, beyond 30 times both heights.
ECHOES = 3
HARD_ENDS_DB, HARD_MIDDLE_DB, ENDS = 3.0, 3.0, 30.0
# Levels that differ by less are equal: either point may be named as the worst.
EQUAL_DB = 0.01
# Pairs of a machine and a point that are evaluated at once: first a few, at the loudest points.
FIRST_PAIRS, PAIRS = 160, 2000
LOUD_POINTS = 8
Bracket = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """n machines in rows and columns, centered at (x, y) in the frame turned by `angle`."""

    n: int
    rows: int
    columns: int
    angle: float
    x: float = 0.0
    y: float = 0.0

    def moved(self, spot: Spot) -> "Block":
        return replace(self, x=spot[0], y=spot[1])

    def size(self, plan: Plan) -> Spot:
        """Return length (along x) and width, aisles included."""
        machine, aisle = catalogue.read_generators()[plan.generator], plan.pad.service_m
        return (
            self.columns * machine.width_m + (self.columns + 1) * aisle,
            self.rows * machine.length_m + sum(aisles(self.rows, plan)),
        )

    def outline(self, plan: Plan) -> Polygon:
        length, width = self.size(plan)
        return shapely.box(
            self.x - length / 2, self.y - width / 2, self.x + length / 2, self.y + width / 2
        )

    def machines(self, plan: Plan) -> list[Spot]:
        """Return the machines' centers, row by row, each row from its first column."""
        machine, aisle = catalogue.read_generators()[plan.generator], plan.pad.service_m
        length, width = self.size(plan)
        found = []
        for number in range(self.n):
            row, column = divmod(number, self.columns)
            x = aisle + column * (machine.width_m + aisle) + machine.width_m / 2
            y = sum(aisles(self.rows, plan)[: row + 1]) + (row + 0.5) * machine.length_m
            found.append((self.x - length / 2 + x, self.y - width / 2 + y))
        return found


def aisles(rows: int, plan: Plan) -> list[float]:
    """Return the aisle depths before, between and after rows that face each other in pairs.

    An aisle is 3 ft deep, or 4 ft where live parts face each other across it (277 V to ground).
    """
    assert catalogue.read_generators()[plan.generator].volts_to_ground == 277
    return [1.2192 if number % 2 else plan.pad.service_m for number in range(rows + 1)]


# ---------------------------------------------------------------------------------------------
# One site and what lies around it


@dataclass(frozen=True)
class Receptor:
    """A receptor; if it or its limit is not certain (`sure`), it counts only in the worst case.

    The level is measured `height_m` above the ground at several points of its line: that of its
    part at least `beyond_m` outside the site's own line, or, if `beyond_m` is negative, the line
    that far in front of its facades.
    """

    kind: str
    name: str | None
    shape: Geometry
    limit_dba: float
    by_rule: bool
    height_m: float
    beyond_m: float = 0.0
    sure: bool = True


@dataclass(frozen=True)
class Ears:
    """Every point where some receptors hear the machines, side by side."""

    receptor: np.ndarray  # the receptor's place in the site's list (P,)
    to: np.ndarray  # x, y and height above the ground (P, 3)
    limit_dba: np.ndarray
    unmapped: np.ndarray  # beyond the edge of the layer, where no obstacle is counted (P,)

    def some(self, which: np.ndarray) -> "Ears":
        return Ears(
            self.receptor[which], self.to[which], self.limit_dba[which], self.unmapped[which]
        )


@dataclass
class Site(Parcel):
    """One site with everything near it, and what has been computed for it so far."""

    market: Market
    air: "Air"
    tanks: Geometry | None = None
    # The receptors whose points are close together, because it is louder between the usual ones.
    close: list[str] = field(default_factory=list)
    regions: dict[tuple[float, int, int], Geometry] = field(default_factory=dict)

    @cached_property
    def buildings(self) -> list[Geometry]:
        return [one["geometry"] for one in list_rows_within(self.town, "buildings", self.lot, 50.0)]

    @cached_property
    def ground(self) -> Geometry:
        return ground(self, join="mitre")

    @cached_property
    def round_ground(self) -> Geometry:
        """Return the ground if the clearance is rounded at buildings' corners."""
        return ground(self, join="round")

    @cached_property
    def exclusions(self) -> list[Geometry]:
        kinds = self.plan.pad.exclusions
        found = list_rows_within(self.town, "exclusions", self.lot, 0.0)
        return [one["geometry"] for one in found if one["kind"] in kinds]

    @cached_property
    def receptors(self) -> list[Receptor]:
        return list_receptors(self)

    @cached_property
    def worst_ears(self) -> Ears:
        return place_ears(self, worst=True)

    @cached_property
    def best_ears(self) -> Ears:
        return place_ears(self, worst=False)

    def ears(self, *, worst: bool) -> Ears:
        """Return the points of all receptors, or only of those that are sure."""
        return self.worst_ears if worst else self.best_ears

    @cached_property
    def has_home_somewhere(self) -> bool:
        """Return whether there is a home on the site, but nobody knows where."""
        return any(one.kind == "own dwelling" and not one.sure for one in self.receptors)

    @cached_property
    def angles(self) -> list[float]:
        return angles(self.lot, [b for b in self.buildings if self.in_the_way(b)])

    def in_the_way(self, building: Geometry) -> bool:
        inner = inner_ground(self.lot, self.plan)
        return inner.distance(building) <= self.plan.pad.building_clearance_m

    def turned(self, shape: Geometry, angle: float) -> Geometry:
        """Return `shape` turned so that `angle` lies along x, about the lot's lower left corner."""
        return affinity.rotate(shape, -angle, origin=self.lot.bounds[:2])

    @cached_property
    def turned_ground(self) -> dict[float, Geometry]:
        return {angle: self.turned(self.ground, angle) for angle in self.angles}

    def level_spot(self, spot: Spot, angle: float) -> Spot:
        """Convert a spot from the frame turned by `angle` to the market's frame."""
        left, bottom, _, _ = self.lot.bounds
        dx, dy, turn = spot[0] - left, spot[1] - bottom, math.radians(angle)
        return (
            left + dx * math.cos(turn) - dy * math.sin(turn),
            bottom + dx * math.sin(turn) + dy * math.cos(turn),
        )

    def places(self, block: Block) -> Geometry:
        """Return every place for the center of a block, in the frame turned by its angle."""
        key = (block.angle, block.rows, block.columns)
        if key not in self.regions:
            self.regions[key] = centers(self.turned_ground[block.angle], *block.size(self.plan))
        return self.regions[key]


# ---------------------------------------------------------------------------------------------
# Fuel that is stored


def supplies(site: Site, fuel: Fuel) -> list[FuelSupply]:
    """Return what a fuel supplies to a site by each of its routes."""
    found = list(oracle_fuel.list_supplies(site, fuel))
    if "storage" in fuel.routes and fuel.id in site.plan.fuel.delivered:
        found.append(tank(site, fuel))
    return found


def tank(site: Site, fuel: Fuel) -> FuelSupply:
    """Return how many machines the best group of tanks that fits can run, ignoring the pad.

    The tanks of a group have one size and stand in one row, across their length.
    """
    plan, rule = site.plan, catalogue.read_separations()[site.plan.fuel.separation[fuel.id]]
    hours, burnt = (
        24 * plan.fuel.autonomy_days[fuel.id],
        oracle_fuel.compute_plan_demand(fuel, plan),
    )
    most = 0
    for one in fuel.containers:
        for count in range(1, plan.fuel.containers_most + 1):
            gallons = count * one.capacity
            away = next(row for row in rule.rows if gallons <= row.capacity_most).exposure_m
            if count == 1 and gallons <= rule.lone.capacity_most:
                away = rule.lone.exposure_m
            each = next(row for row in rule.rows if one.capacity <= row.capacity_most)
            gap = max(each.between_m, each.between_share * 2 * one.width_m)
            n = min(math.floor(gallons * 0.8 / (burnt * hours)), plan.cap)
            if n > most and tanks_fit(
                site, away, one.length_m, count * one.width_m + (count - 1) * gap
            ):
                most = n
    # Where buildings are not mapped, one may stand in the place of the tanks.
    mapped = is_reach_covered(site.town, "buildings", site.lot, 0.0)
    return FuelSupply((most if mapped else 0, most), "storage")


def tanks_fit(site: Site, away: dict[str, float], length: float, width: float) -> bool:
    free = ground(site, join="mitre", beside_tanks=False)
    free = free.intersection(site.lot.buffer(-away["adjoining_property"], join_style="mitre"))
    for building in list_rows_within(site.town, "buildings", site.lot, away["important_building"]):
        grown = building["geometry"].buffer(away["important_building"], join_style="mitre")
        free = free.difference(grown)
    return any(
        not centers(site.turned(free, angle), length, width).is_empty for angle in site.angles
    )


# ---------------------------------------------------------------------------------------------
# Pad


def inner_ground(lot: Geometry, plan: Plan) -> Geometry:
    """Return the lot minus a band along each of its lines, extended past the ends by its width."""
    (even,) = {plan.pad.setbacks["other"].front_m, plan.pad.setbacks["other"].home_m}
    free = lot
    for ring in rings(lot):
        for begin, end in itertools.pairwise(ring.coords):
            line = shapely.LineString([begin, end])
            if line.length > FORGIVEN_M:
                free = free.difference(line.buffer(even, cap_style="square"))
    return free


def ground(site: Site, *, join: str, beside_tanks: bool = True) -> Geometry:
    """Return the lot minus setback, buildings and their clearance, exclusions and tanks."""
    plan = site.plan
    free = inner_ground(site.lot, plan)
    clearance = plan.pad.building_clearance_m
    for building in site.buildings:
        free = free.difference(building.buffer(clearance, join_style=join, mitre_limit=2))
    for exclusion in site.exclusions:
        free = free.difference(exclusion)
    if site.tanks is not None and beside_tanks:
        # An air intake must be 10 ft from the point where tanks are filled.
        group = site.tanks.minimum_rotated_rectangle
        free = free.difference(group.buffer(10 * 0.3048, join_style="mitre"))
    return free


def angles(lot: Geometry, buildings: list[Geometry]) -> list[float]:
    """Return the directions of all edges and every 5 degrees from the lot's longest edge.

    For each direction, the one perpendicular to it follows.
    """
    found, longest = set(), (0.0, 0.0)
    for shape in (lot, *buildings):
        for ring in rings(shape):
            for (x0, y0), (x1, y1) in itertools.pairwise(ring.coords):
                length = math.hypot(x1 - x0, y1 - y0)
                angle = math.degrees(math.atan2(y1 - y0, x1 - x0)) % 90
                if length > FORGIVEN_M:
                    found.add(round(angle, 4) % 90)
                if shape is lot and length > longest[0] + 1e-6:
                    longest = (length, angle)
    found |= {round(longest[1] + 5 * step, 4) % 90 for step in range(18)}
    kept: list[float] = []
    for angle in sorted(found):
        if not kept or angle - kept[-1] > 0.002:
            kept.append(angle)
    return [one for angle in kept for one in (angle, angle + 90)]


def rings(shape: Geometry) -> Iterator[Geometry]:
    """Yield each ring of a polygon or of several."""
    for part in parts(shape):
        yield part.exterior
        yield from part.interiors


def parts(shape: Geometry) -> list[Polygon]:
    pieces = getattr(shape, "geoms", [shape])
    return [one for one in pieces if isinstance(one, Polygon) and not one.is_empty]


def shapes_of(n: int) -> list[tuple[int, int]]:
    """Return (rows, columns) of the blocks of n machines with one cabinet for every four.

    Each number of columns comes with its smallest number of rows only: more rows would hold the
    same machines in a larger block.
    """
    stand = n + math.ceil(n / 4)
    found: dict[int, int] = {}
    for rows in range(1, stand + 1):
        found.setdefault(math.ceil(stand / rows), rows)
    return [(rows, columns) for columns, rows in found.items()]


def centers(turned_ground: Geometry, length: float, width: float) -> Geometry:
    """Return every center for which a rectangle along x lies wholly in the ground.

    The rectangle is in the ground if its center is and no edge of the ground runs through it. An
    edge runs through it if the center is in the area that the rectangle sweeps along that edge.
    """
    half_x, half_y = length / 2 - FORGIVEN_M, width / 2 - FORGIVEN_M
    places = []
    for part in parts(turned_ground):
        left, bottom, right, top = part.bounds
        if right - left < 2 * half_x or top - bottom < 2 * half_y:
            continue
        if part.area < 4 * half_x * half_y:
            continue
        corners = np.array([(x, y) for x in (-half_x, half_x) for y in (-half_y, half_y)])
        ends = [
            np.stack((xy[:-1], xy[1:]), axis=1) for xy in map(shapely.get_coordinates, rings(part))
        ]
        around = np.concatenate(ends)[:, :, None] + corners  # (edges, ends, corners, xy)
        each = np.repeat(np.arange(len(around)), 8)
        points = shapely.points(around.reshape(-1, 2))
        swept = shapely.convex_hull(shapely.multipoints(points, indices=each))
        left_over = part.difference(shapely.union_all(swept))
        places += [one for one in parts(left_over) if one.area > NOTHING_M2]
    return shapely.MultiPolygon(places)


def places(site: Site, n: int) -> Iterator[tuple[Block, Geometry]]:
    """Yield each block of n that fits somewhere, and every place for its center."""
    for rows, columns in shapes_of(n):
        for angle in site.angles:
            block = Block(n, rows, columns, angle)
            where = site.places(block)
            if not where.is_empty:
                yield block, where


def pad_most(site: Site) -> int:
    """Return the largest number of machines that fits on the ground, up to the plan's cap.

    A block of n + 1 contains a block of n, so the count stops at the first n that fits nowhere.
    """
    n = 0
    while n < site.plan.cap and any(True for _ in places(site, n + 1)):
        n += 1
    return n


# ---------------------------------------------------------------------------------------------
# Noise


@dataclass(frozen=True)
class Air:
    """The sound power of one machine by band, and everything that its sound meets in a town."""

    power_db: np.ndarray
    air_db_m: np.ndarray
    where: Scene
    nothing: Scene

    @staticmethod
    def of(town: Screening, plan: Plan) -> "Air":
        noise, machine = plan.noise, catalogue.read_generators()[plan.generator]
        assert machine.level_surface == "hemisphere"
        assert noise.edition == "1996"
        rating_dba = machine.level_dba + 10 * math.log10(2 * math.pi * machine.level_distance_m**2)
        shape = np.array(catalogue.read_spectra()[machine.spectrum].shape_db)
        shift = rating_dba - 10 * math.log10(sum(10 ** (one / 10) for one in shape))
        buildings, ground = town.layers.get("buildings"), town.rasters.get("elevation")
        if ground is not None:
            assert pyproj.CRS(ground.crs) == town.sites.crs
        plain = PlanGround(noise.ground.source, noise.ground.middle, noise.ground.receiver)
        return Air(
            power_db=shape + shift - A_WEIGHTING_DB,
            air_db_m=air_absorption_db_m(noise.temperature_c, noise.humidity_pct),
            where=build_scene(
                None if buildings is None else np.array(list(buildings.geometry), dtype=object),
                None if buildings is None else buildings["height_m"].to_numpy(dtype=float),
                terrain=None if ground is None else Terrain(ground.values, ground.transform),
                ground=plain,
                solid_absorption=noise.wall_absorption,
            ),
            nothing=build_scene(ground=plain),
        )

    def levels(self, machines: list[Spot], ears: Ears, plan: Plan) -> np.ndarray:
        """Return the level of all machines together at each point (P,)."""
        count = len(machines)
        source = np.array([(x, y, plan.noise.source_height_m) for x, y in machines])
        sources, receivers = np.tile(source, (len(ears.to), 1)), np.repeat(ears.to, count, axis=0)
        unmapped = np.repeat(ears.unmapped, count)
        lost = np.empty((len(sources), 8))
        for pairs, where in ((unmapped, self.nothing), (~unmapped, self.where)):
            if pairs.any():
                lost[pairs] = levels.attenuation_db(
                    sources[pairs], receivers[pairs], where, self.air_db_m, ISO_1996
                )
        return added_dba((self.power_db - lost).reshape(len(ears.to), count, 8))

    def most(self, distance_m: np.ndarray, plan: Plan, height_m: np.ndarray) -> np.ndarray:
        """Return an upper bound of one machine's level at each distance, whatever stands around."""
        away = np.maximum(distance_m, 1.0)
        echoes = 10 * math.log10(1 + ECHOES * (1 - plan.noise.wall_absorption))
        middle = np.maximum(1 - ENDS * (plan.noise.source_height_m + height_m) / away, 0.0)
        ground_db = HARD_ENDS_DB + HARD_MIDDLE_DB * middle
        lost = (20 * np.log10(away) + 11 - ground_db - echoes)[..., None]
        return added_dba((self.power_db - lost - away[..., None] * self.air_db_m)[..., None, :])


def added_dba(band_db: np.ndarray) -> np.ndarray:
    """Return the A-weighted sums of levels by machine and band (..., machines, 8)."""
    return np.asarray(10 * np.log10((10 ** ((band_db + A_WEIGHTING_DB) / 10)).sum(axis=(-2, -1))))


def looked_m(air: Air, limit_dba: float, plan: Plan) -> float:
    """Return the greatest distance at which the plan's cap of machines could exceed a limit."""
    noise = plan.noise
    away = np.geomspace(1, 20_000, 20_000)
    ground = PlanGround(noise.ground.source, noise.ground.middle, noise.ground.receiver)
    running = max(plan.cap - plan.spares, 1)
    last = 0.0
    for height_m in (noise.receptor_height_m, noise.facade_height_m):
        most = levels.upper_level_dba(
            away, air.power_db, noise.source_height_m, height_m, ground, air.air_db_m, ISO_1996,
            reflecting=True, least_absorption=noise.wall_absorption,
        )  # fmt: skip
        over = away[most + 10 * math.log10(running) > limit_dba]
        last = max(last, over.max(initial=0.0))
    return last


@dataclass(frozen=True)
class Due:
    """The limit for some classes: `most_dba`, or ambient plus `above_db` where that is lower."""

    classes: list[str]
    most_dba: float
    above_db: float | None
    by_rule: bool
    position: str = "line"
    beyond_m: float = 0.0

    def at(self, ambient_dba: float | None, plan: Plan) -> tuple[float, bool]:
        """Return the limit at an ambient level (None: not known), and whether it is sure."""
        if self.above_db is None:
            return self.most_dba, True
        least = plan.noise.ambient_floor_dba
        ambient = least if ambient_dba is None else max(ambient_dba, least)
        return min(self.most_dba, ambient + self.above_db), ambient_dba is not None


def dues(site: Site) -> list[Due]:
    """Return the limits that apply to a site: the plan's, then the rows of the market's rule."""
    plan = site.plan
    # A lot of unknown use may be a home.
    listed = [*plan.noise.receptors, *(["unknown"] if "home" in plan.noise.receptors else [])]
    found = [Due(listed, plan.noise.limit_dba, None, by_rule=False)]
    known = catalogue.read_noise_rules()
    if site.market.noise_rule is None:
        return found
    rule = known.rule[site.market.noise_rule]
    for row in rule.limits:
        if row.emits and site.row["use_class"] not in row.emits:
            continue
        found.append(
            Due(
                [
                    one
                    for one, held_as in known.receiving.items()
                    if held_as == row.receives
                    and (rule.protects == "zone" or not one.startswith("vacant"))
                ],
                # Machines run day and night.
                absolute(row) - (10 * math.log10(105 / 24) if rule.metric == "ldn" else 0.0),
                row.above_ambient_db,
                by_rule=True,
                position=rule.position,
                beyond_m=rule.beyond_m,
            )
        )
    return found


def absolute(row: NoiseLimit) -> float:
    return min((one for one in (row.day_dba, row.night_dba) if one is not None), default=math.inf)


def list_receptors(site: Site) -> list[Receptor]:
    """Return the receptors in reach, with those possible beyond the layer and homes on the site."""
    noise = site.plan.noise
    found = []
    for due in dues(site):
        lowest, _ = due.at(None, site.plan)
        reach_m = looked_m(site.air, lowest, site.plan)
        if site.market.noise_rule is not None:
            reach_m += catalogue.read_noise_rules().rule[site.market.noise_rule].beyond_m
        if not due.by_rule:
            reach_m = max(reach_m, noise.report_reach_m)
        found += protected(site, due, reach_m)
        if "receptors" in site.town.layers and not is_reach_covered(
            site.town, "receptors", site.lot, reach_m
        ):
            area = site.town.coverage.get("receptors") or Polygon()
            beyond = site.lot.buffer(reach_m).difference(area)
            found.append(
                Receptor(EDGE, None, beyond, lowest, due.by_rule, noise.receptor_height_m,
                       sure=False)
            )  # fmt: skip
        if site.row["own_dwelling"] and (not due.by_rule or due.position == "facade"):
            found += at_home(site, due)
    return found


def protected(site: Site, due: Due, reach_m: float) -> list[Receptor]:
    """Return the receptors that one limit protects."""
    noise, found = site.plan.noise, []
    for one in list_rows_within(site.town, "receptors", site.lot, reach_m):
        # The site's own lot is no neighbor. A point on it counts, but only under the plan's limit.
        own = one["site_id"] == site.row["site_id"]
        if own and (due.by_rule or not isinstance(one["geometry"], Point)):
            continue
        if one["receptor_class"] not in due.classes:
            continue
        shape, height_m, beyond_m = one["geometry"], noise.receptor_height_m, 0.0
        if due.position == "beyond":
            beyond_m = due.beyond_m
        if due.position == "facade":
            height_m, beyond_m = noise.facade_height_m, -due.beyond_m
            houses = [
                each["geometry"]
                for each in list_rows_within(site.town, "buildings", shape, 0.0)
                if shape.intersects(each["geometry"].point_on_surface())
            ]
            shape = shapely.union_all(houses) if houses else shape
            if shape.distance(site.lot) > reach_m:
                continue
        ambient = ambient_dba(site, shape) if due.above_db is not None else None
        limit, sure = due.at(ambient, site.plan)
        sure = sure and one["receptor_class"] not in ("unknown", "vacant_unknown")
        found.append(
            Receptor(one["receptor_class"], one["receptor_id"], shape, limit, due.by_rule, height_m,
                   beyond_m, sure=sure)
        )  # fmt: skip
    return found


def at_home(site: Site, due: Due) -> list[Receptor]:
    """Return the homes on the site itself: at their buildings, or anywhere on the lot."""
    own = [one for one in site.buildings if one.intersection(site.lot).area > one.area / 2]
    height_m = site.plan.noise.facade_height_m
    return [
        Receptor("own dwelling", None, one, due.most_dba, due.by_rule, height_m, sure=bool(own))
        for one in own or [site.lot]
    ]


def ambient_dba(site: Site, shape: Geometry) -> float | None:
    """Return the ambient level at a shape, or None where it is unknown."""
    grid, crs = site.town.rasters.get("ambient"), site.town.sites.crs
    known = None if grid is None else read_cell(grid, shape.point_on_surface(), crs)
    return site.plan.assume.ambient_dba if known is None else known


def evidence(site: Site) -> str:
    """Return how the neighbors are known."""
    if "receptors" not in site.town.layers:
        return "no layer"
    unsure = [one.kind for one in site.receptors if not one.sure]
    if "own dwelling" in unsure:
        return "own dwelling"
    if any(one not in (EDGE, "unknown", "vacant_unknown") for one in unsure):
        return "ambient unknown"
    if EDGE in unsure:
        return EDGE
    return "use unknown" if unsure else "receptors"


def place_ears(site: Site, *, worst: bool) -> Ears:
    """List the points of a site's receptors; those that are not sure only in the worst case."""
    rows = []
    for number, one in enumerate(site.receptors):
        if worst or one.sure:
            own = one.kind == "own dwelling"
            close = " ".join(filter(None, (one.kind, one.name))) in site.close
            for x, y in list_points(one.shape, site.lot, one.beyond_m, own=own, close=close):
                rows.append((number, x, y, one.height_m, one.limit_dba, one.kind == EDGE))
    table = np.array(rows, dtype=float).reshape(-1, 6)
    return Ears(table[:, 0].astype(int), table[:, 1:4], table[:, 4], table[:, 5] > 0)


@dataclass(frozen=True)
class Heard:
    """The level at one of a receptor's points, and by how much it exceeds the limit there."""

    receptor: Receptor
    at: Spot
    level_dba: float
    over_db: float


def could_be_over_db(site: Site, machines: list[Spot], ears: Ears) -> np.ndarray:
    """Return an upper bound of the excess over the limit at each point."""
    standing = np.array(machines)
    away = np.hypot(*(ears.to[:, None, :2] - standing).transpose(2, 0, 1))
    alone = site.air.most(away, site.plan, ears.to[:, 2:])
    return np.asarray(10 * np.log10((10 ** (alone / 10)).sum(axis=1)) - ears.limit_dba)


def heard_by(site: Site, machines: list[Spot], *, worst: bool) -> list[Heard]:
    """Return the levels at all points that could be most over their limit, the worst first.

    A point is left out if it would be less over its limit even with nothing in the way.
    """
    ears, most_db = site.ears(worst=worst), -math.inf
    could = could_be_over_db(site, machines, ears)
    found: list[Heard] = []
    order = np.argsort(-could, kind="stable")
    count = max(PAIRS // len(machines), 1)
    for first in range(0, len(order), count):
        some = order[first : first + count]
        if could[some[0]] < most_db - EQUAL_DB:
            break
        level = site.air.levels(machines, ears.some(some), site.plan)
        over = level - ears.limit_dba[some]
        most_db = max(most_db, float(over.max()))
        for number, dba, db in zip(some, level.tolist(), over.tolist(), strict=True):
            x, y = ears.to[number, :2].tolist()
            found.append(Heard(site.receptors[ears.receptor[number]], (x, y), dba, db))
    return sorted(found, key=lambda each: -each.over_db)


def could_hear(site: Site, running: int, *, worst: bool) -> Ears:
    """Return the points that could be over their limit with this many machines on the lot."""
    ears = site.ears(worst=worst)
    away = shapely.distance(shapely.points(ears.to[:, :2]), site.lot)
    could = site.air.most(away, site.plan, ears.to[:, 2]) + 10 * math.log10(running)
    return ears.some(could > ears.limit_dba)


def stand(site: Site, n: int, *, worst: bool) -> Block | None:
    """Return a block of n machines that fits the ground and meets all limits, if one is found."""
    if worst and site.has_home_somewhere:
        return None
    for block, where in compact_places(site, n):
        found = quiet_somewhere(site, block, where, worst=worst)
        if found is not None:
            return found
    return None


def compact_places(site: Site, n: int) -> Iterator[tuple[Block, Geometry]]:
    """Yield places of the most compact shapes of a block, each in the directions that fit first."""
    shapes = 0
    for rows, columns in sorted(
        shapes_of(n), key=lambda one: math.hypot(*Block(n, *one, 0).size(site.plan))
    ):
        blocks = (Block(n, rows, columns, angle) for angle in site.angles)
        fitting = ((block, site.places(block)) for block in blocks)
        some = list(itertools.islice((one for one in fitting if not one[1].is_empty), TURNS))
        yield from some
        shapes += bool(some)
        if shapes == SHAPES:
            break


def quiet_somewhere(site: Site, block: Block, where: Geometry, *, worst: bool) -> Block | None:
    """Return the block moved to a place where it meets all limits, if one is found."""
    running = max(block.n - site.plan.spares, 1)
    ears = could_hear(site, running, worst=worst)
    first: list[int] = []

    def over(spot: Spot, give_up_db: float = HOPELESS_DB) -> float:
        there = block.moved(spot).machines(site.plan)[:running]
        machines = [site.level_spot(one, block.angle) for one in there]
        return over_db(site, machines, ears, first, give_up_db)

    spots = spots_in(where, max(GRID_M, math.sqrt(where.area) / 16))
    room = room_of([site.level_spot(spot, block.angle) for spot in spots], ears)
    tried = []
    for number in np.argsort(-room, kind="stable")[:TRIED]:
        tried.append((over(spots[number]), spots[number]))
        if tried[-1][0] <= 0:
            return block.moved(spots[number])
    for start in sorted(tried)[:REFINED]:
        if start[0] > HOPELESS_DB:
            break
        best_db, spot = downhill(*start, where, over)
        if best_db <= 0:
            return block.moved(spot)
    return None


def over_db(
    site: Site,
    machines: list[Spot],
    ears: Ears,
    first: list[int],
    give_up_db: float,
    quiet_db: float = 0.0,
) -> float:
    """Return the highest excess over a limit at `ears`, or one that is above `give_up_db`.

    The points in `first` are evaluated first, and the loudest one found moves to its front. An
    excess of less than `quiet_db` is not looked for: minus infinity if no point could have more.
    """
    could, most_db = could_be_over_db(site, machines, ears), -math.inf
    order = np.argsort(-could, kind="stable")
    order = np.concatenate((np.array(first, dtype=int), order[could[order] > quiet_db]))
    begin, count = 0, max(FIRST_PAIRS // len(machines), LOUD_POINTS)
    while begin < len(order):
        some = order[begin : begin + count]
        if begin and could[some].max() <= max(most_db, quiet_db):
            break
        over = site.air.levels(machines, ears.some(some), site.plan) - ears.limit_dba[some]
        if over.max() > most_db:
            most_db = float(over.max())
            loudest = int(some[over.argmax()])
        if most_db > give_up_db:
            break
        begin, count = begin + count, max(PAIRS // len(machines), 1)
    if most_db > -math.inf:
        first[:] = [loudest, *(one for one in first if one != loudest)][:LOUD_POINTS]
    return most_db


def room_of(spots: list[Spot], ears: Ears) -> np.ndarray:
    """Return each spot's weighted distance to the nearest point.

    A limit that is 20 dB higher multiplies the distance by ten.
    """
    away = np.array(spots)[:, None, :] - ears.to[:, :2]
    room = np.hypot(away[..., 0], away[..., 1]) * 10 ** (ears.limit_dba / 20)
    return np.asarray(room.min(axis=1, initial=math.inf))


def downhill(
    best_db: float,
    spot: Spot,
    where: Geometry,
    over: Callable[[Spot, float], float],
    steps_m: tuple[float, ...] = STEPS_M,
    moves: int = MOVES,
    enough_db: float = 0.0,
) -> tuple[float, Spot]:
    """Step from a spot to quieter ones, in ever smaller steps, until it is quiet enough.

    A spot that is louder than the best so far need not be evaluated to the end.
    """
    for step in steps_m:
        for _ in range(moves):
            start = spot
            for dx, dy in itertools.product((-step, 0, step), repeat=2):
                there = (start[0] + dx, start[1] + dy)
                if (dx or dy) and best_db > enough_db and where.intersects(Point(there)):
                    over_db = over(there, best_db)
                    if over_db < best_db - 1e-6:
                        best_db, spot = over_db, there
            if spot == start:
                break
    return best_db, spot


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


def quietest_on_grid(site: Site) -> float:
    """Return the least excess that one machine causes at the spots of a grid, away from walls."""
    walls = shapely.union_all(site.buildings).buffer(FROM_WALL_M)
    return quietest_by(site, *GRID_ALONE, site.lot.difference(walls))


def is_quieter_somewhere(site: Site, over_db: float) -> bool:
    """Return whether a spot is found on the lot where one machine causes no more excess."""
    if any(quietest_by(site, *search, site.lot) <= over_db for search in EVERYWHERE):
        return True
    ears, first = site.worst_ears, list[int]()
    return any(
        over_db_at(site, spot, ears, first, over_db) <= over_db for spot in spots_beside_walls(site)
    )


def over_db_at(site: Site, spot: Spot, ears: Ears, first: list[int], give_up_db: float) -> float:
    """Return the excess over a limit that one machine causes, or one above `give_up_db`."""
    return over_db(site, [spot], ears, first, give_up_db, quiet_db=-math.inf)


def spots_beside_walls(site: Site) -> Iterator[Spot]:
    """Yield spots of the lot close to its buildings, where the shadows are deepest."""
    for away_m in BESIDE_WALL_M:
        for building in site.buildings:
            line = building.buffer(away_m).boundary.intersection(site.lot)
            for x, y in shapely.get_coordinates(line.segmentize(BESIDE_STEP_M)):
                yield float(x), float(y)


def quietest_by(
    site: Site, across: int, starts: int, steps_m: tuple[float, ...], moves: int, where: Geometry
) -> float:
    """Return the least excess over a limit that one machine causes anywhere in a region.

    It is searched for on a grid, and in ever smaller steps around the best spots of the grid.
    """
    ears = site.worst_ears
    first: list[int] = []

    def over(spot: Spot, give_up_db: float) -> float:
        return over_db(site, [spot], ears, first, give_up_db, quiet_db=-math.inf)

    tried: list[tuple[float, Spot]] = []
    for spot in spots_in(where, max(GRID_M / 2, math.sqrt(site.lot.area) / across)):
        # A spot that is louder than the best few so far need not be evaluated to the end.
        tried.append((over(spot, tried[-1][0] if len(tried) == starts else math.inf), spot))
        tried = sorted(tried)[:starts]
    return min(
        (downhill(*start, where, over, steps_m, moves, -math.inf)[0] for start in tried),
        default=math.inf,
    )


# ---------------------------------------------------------------------------------------------
# All together


@dataclass(frozen=True)
class Answer:
    """What one site's ground allows (best case, worst case), and what each fuel supplies."""

    pad: int
    pad_lo: int
    supplies: dict[str, list[FuelSupply]]


def answer(site: Site) -> Answer:
    """Size one site by its ground and its fuels."""
    # Where the buildings' layer does not cover the lot, unmapped buildings may stand on it.
    built = is_reach_covered(site.town, "buildings", site.lot, 0.0)
    pad = pad_most(site)
    return Answer(
        pad=pad,
        pad_lo=pad if built else 0,
        supplies={name: supplies(site, catalogue.read_fuels()[name]) for name in site.plan.fuels},
    )


def best_fuel(carried: dict[str, Bracket]) -> str:
    """Return the first fuel that certainly runs one machine, else the best in the best case."""
    for name, (lo, _) in carried.items():
        if lo >= 1:
            return name
    return max(carried, key=lambda name: carried[name][1])


def binding(
    found: Answer, noise_lo: int, lo: int, supply: FuelSupply, cap: int, *, more: bool
) -> str:
    """Return the criterion whose waiver alone would allow the most machines in the worst case.

    `more` is true if ground and neighbors allow another machine.
    """
    if lo >= cap:
        return "cap"
    waived = {
        "pad": min(noise_lo, supply.n[0]),
        "noise": min(found.pad_lo, supply.n[0]),
        # Waiving the fuel helps only where the fuel is what stops another machine.
        "fuel": lo + 1 if more and supply.n[0] <= lo else lo,
    }
    most = max(waived, key=lambda name: waived[name])
    return most if waived[most] > lo else "several"
