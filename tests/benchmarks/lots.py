"""A made-up town of lots and the buildings on them, for benchmarks of buildable ground.

Each lot is drawn in a unit square with its street below, and each of its buildings in a slot of its
own. Both are then stretched to the lot's sides, turned by the lot's angle and laid out in rows, far
enough apart that no two lots touch. The lots are meant to be hard: the ground left around the
buildings has many corners and is often very small.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

MEDIAN_M2, SPREAD, AREAS_M2 = 2000.0, 1.2, (300.0, 200_000.0)
STRAIGHT, ELL, CURVED = range(3)
KINDS = (0.2, 0.1, 0.7)
LONGER_THAN_DEEP = (1.0, 3.0)
JITTER = 0.04
FRONT_CORNERS = (10, 20)
SAG = 0.12
# Shares of lots with one to four buildings. These shares and those of the footprints are chosen so
# that the ground left on a lot (minus 3 m along its sides and 1.5 m around its buildings) has 40
# corners on average, and is smaller than 10 m2 on one lot in ten.
BUILDINGS = (0.03, 0.07, 0.15, 0.75)
# The target share of a lot that buildings cover. One lot in twenty has less than 0.2, because a
# building had to be made smaller.
COVERED = (0.22, 0.45)
# Small lots are like those in the middle of a town: long, narrow and mostly built over.
SMALL_M2, SMALL_COVERED, SMALL_LONGER = 700.0, (0.42, 0.45), (1.5, 6.0)
# What projects from a footprint's front, and what is cut from its back.
PLAIN, BAY = range(2)
WHOLE, CORNER_CUT, COURT = range(3)
FOOTPRINTS = ((PLAIN, WHOLE), (PLAIN, CORNER_CUT), (PLAIN, COURT), (BAY, CORNER_CUT), (BAY, COURT))
FOOTPRINT_SHARES = (0.03, 0.05, 0.1, 0.2, 0.62)
ASKEW, ASKEW_DEG = 0.25, (5.0, 40.0)
# The greatest share of its slot's sides that a building fills, and how far it may be from the
# slot's middle, as a share of the spare room.
FILLED = 0.97
OFF_CENTRE = 0.3
APART_M = 5.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[np.object_]
# A point of one shape (numbers), or a point of each of many shapes (arrays).
Point = tuple[Floats | float, Floats | float]


@dataclass(frozen=True)
class Drawn:
    """Rings in unit squares, one after another: the points, and the ring that each belongs to."""

    points: Floats
    ring: Ints

    def polygons(self, points: Floats) -> Shapes:
        """Return the polygons of the rings, with their points replaced by the given points."""
        shapes: Shapes = shapely.polygons(shapely.linearrings(points, indices=self.ring))
        return shapes


class Plot(NamedTuple):
    """The outline of each lot: its kind, where its L bends, and how far its street side bends."""

    kind: Ints
    bend: Floats
    sag: Floats


def made_lots(count: int, seed: int = 20260601) -> tuple[Shapes, Shapes]:
    """Return the polygons of `count` lots, and those of the one to four buildings on each lot."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, count, p=KINDS)
    sag = np.where(kind == CURVED, rng.uniform(-SAG, SAG, count), 0.0)
    plots = Plot(kind, rng.uniform(0.4, 0.65, (count, 2)), sag)
    outline = outlines(rng, plots)
    area = np.clip(MEDIAN_M2 * rng.lognormal(0, SPREAD, count), *AREAS_M2)
    small = area < SMALL_M2

    def drawn(usual: tuple[float, float], if_small: tuple[float, float]) -> Floats:
        return np.where(small, rng.uniform(*if_small, count), rng.uniform(*usual, count))

    longer = np.sqrt(drawn(LONGER_THAN_DEEP, SMALL_LONGER))
    sides = np.column_stack([longer, 1 / longer])
    flat = shapely.area(outline.polygons(outline.points))
    sides *= np.sqrt(area / flat)[:, None]

    lot, slot = slots(rng, plots)
    on_lot = np.bincount(lot, weights=np.prod(slot[:, 1] - slot[:, 0], axis=1), minlength=count)
    fill = drawn(COVERED, SMALL_COVERED) * flat / on_lot
    footprint, points = buildings(rng, slot * sides[lot, None], fill[lot])

    angle = rng.uniform(0, 2 * np.pi, count)
    corners = turned(outline.points * sides[outline.ring], angle[outline.ring])
    walls = turned(points, angle[lot][footprint.ring])
    lots = outline.polygons(corners)
    shift = laid_out(shapely.bounds(lots))
    return (
        outline.polygons(corners + shift[outline.ring]),
        footprint.polygons(walls + shift[lot][footprint.ring]),
    )


def outlines(rng: np.random.Generator, plots: Plot) -> Drawn:
    """Return the lots' outlines, counter-clockwise from the lower left."""
    drawn = []
    lots = np.flatnonzero(plots.kind == ELL)
    drawn.append((lots, stacked(len(lots), (0, 0), (1, 0), *cut_corner(*plots.bend[lots].T))))
    corners = rng.integers(FRONT_CORNERS[0], FRONT_CORNERS[1] + 1, len(plots.kind))
    corners[plots.kind == STRAIGHT] = 2
    corners[plots.kind == ELL] = 0
    for many in np.unique(corners[corners > 0]):
        lots = np.flatnonzero(corners == many)
        along = np.linspace(0, 1, many)
        front = [(t, 4 * t * (1 - t) * plots.sag[lots]) for t in along]
        points = stacked(len(lots), *front, (1, 1), (0, 1))
        # The corners of the lot are moved; the curve between them is not changed.
        for corner in (0, many - 1, many, many + 1):
            points[:, corner] += rng.uniform(-JITTER, JITTER, (len(lots), 2))
        drawn.append((lots, points))
    return joined(drawn)


def slots(rng: np.random.Generator, plots: Plot) -> tuple[Ints, Floats]:
    """Return the lot of each building, and the lower left and upper right of its slot.

    A lot is divided into a front and a back. With three buildings, the front is divided in two;
    with four, the back is too. The back of an L is only as wide as the L's upper arm.
    """
    count = len(plots.kind)
    ell = plots.kind == ELL
    short, deep = plots.bend.T
    back = np.where(ell, short, 1.0)
    many = rng.choice(4, count, p=BUILDINGS) + 1
    # A single building has all of a straight lot, but only the front of an L.
    deep = np.where((many == 1) & ~ell, 1.0, deep)
    half = rng.uniform(0.4, 0.6, count)
    two, four = many >= 3, many == 4
    places: list[tuple[NDArray[np.bool_], Point, Point]] = [
        (many >= 1, (0, 0), (np.where(two, half, 1), deep)),
        (two, (half, 0), (1, deep)),
        (many >= 2, (0, deep), (np.where(four, half, 1) * back, 1)),
        (four, (half * back, deep), (back, 1)),
    ]
    edge = np.where(ell, 0, JITTER)
    low = np.column_stack([edge, edge + np.maximum(plots.sag, 0)])
    room = 1 - edge[:, None] - low
    lots, found = [], []
    for stands, first, last in places:
        box = low[:, None] + stacked(count, first, last) * room[:, None]
        lots.append(np.flatnonzero(stands))
        found.append(box[stands])
    lot = np.concatenate(lots)
    order = np.argsort(lot, kind="stable")
    return lot[order], np.concatenate(found)[order]


def buildings(rng: np.random.Generator, slot: Floats, fill: Floats) -> tuple[Drawn, Floats]:
    """Return the footprints, and their points in their slots, each filling the given share."""
    count = len(slot)
    drawn = footprints(rng, count)
    area = shapely.area(drawn.polygons(drawn.points))
    # Any side may be the front.
    swapped = rng.random(count) < 0.5
    points = np.where(swapped[drawn.ring, None], drawn.points[:, ::-1], drawn.points)
    points = np.where(rng.random((count, 2))[drawn.ring] < 0.5, 1 - points, points)

    room = slot[:, 1] - slot[:, 0]
    longer = np.exp(rng.uniform(-0.15, 0.15, count))
    share = np.sqrt(fill / area)[:, None] * np.column_stack([longer, 1 / longer])
    sides = room * np.minimum(share, FILLED)
    askew = np.radians(rng.uniform(*ASKEW_DEG, count)) * (rng.random(count) < ASKEW)
    cos, sin = np.cos(askew), np.sin(askew)
    # A building that is turned relative to its lot needs more of its slot, and is made smaller if
    # necessary.
    wide, deep = sides.T
    taken = np.column_stack([wide * cos + deep * sin, wide * sin + deep * cos])
    less = np.minimum((room * FILLED / taken).min(axis=1), 1)
    spare = room - taken * less[:, None]
    middle = slot.mean(axis=1) + spare * rng.uniform(-OFF_CENTRE, OFF_CENTRE, (count, 2))
    ring = drawn.ring
    return drawn, turned((points - 0.5) * (sides * less[:, None])[ring], askew[ring]) + middle[ring]


def footprints(rng: np.random.Generator, count: int) -> Drawn:
    """Return `count` footprints, each as wide and deep as the unit square."""
    which = rng.choice(len(FOOTPRINTS), count, p=FOOTPRINT_SHARES)
    drawn = []
    for number, (front, back) in enumerate(FOOTPRINTS):
        rings = np.flatnonzero(which == number)
        many = len(rings)
        points: list[Point] = [(0, 0), (1, 0)]
        if front == BAY:
            left, right = rng.uniform(0.1, 0.35, many), rng.uniform(0.6, 0.9, many)
            out = rng.uniform(0.1, 0.2, many)
            points = [(0, out), (left, out), (left, 0), (right, 0), (right, out), (1, out)]
        if back == WHOLE:
            points += [(1, 1), (0, 1)]
        elif back == CORNER_CUT:
            points += cut_corner(*rng.uniform(0.35, 0.65, (2, many)))
        else:
            left, right = rng.uniform(0.18, 0.3, many), rng.uniform(0.7, 0.82, many)
            deep = rng.uniform(0.35, 0.6, many)
            points += [(1, 1), (right, 1), (right, deep), (left, deep), (left, 1), (0, 1)]
        drawn.append((rings, stacked(many, *points)))
    return joined(drawn)


def cut_corner(short: Floats, deep: Floats) -> list[Point]:
    """Return the back of a square without its upper right corner, from right to left."""
    return [(1, deep), (short, deep), (short, 1), (0, 1)]


def stacked(count: int, *points: Point) -> Floats:
    """Return `count` rows of these points; each coordinate is one number or one per row."""
    columns = [np.broadcast_to(each, count) for point in points for each in point]
    return np.stack(columns, axis=1).reshape(count, len(points), 2).astype(float)


def joined(drawn: list[tuple[Ints, Floats]]) -> Drawn:
    """Return groups of rings joined into one; the rings of a group have equally many points."""
    points = np.concatenate([each.reshape(-1, 2) for _, each in drawn])
    ring = np.concatenate([np.repeat(rings, each.shape[1]) for rings, each in drawn])
    order = np.argsort(ring, kind="stable")
    return Drawn(points[order], ring[order])


def turned(points: Floats, angle: Floats) -> Floats:
    """Return points turned about the origin, each by its own angle in radians."""
    (x, y), cos, sin = points.T, np.cos(angle), np.sin(angle)
    return np.column_stack([x * cos - y * sin, x * sin + y * cos])


def laid_out(bounds: Floats) -> Floats:
    """Return how far to move each of these bounds so that they lie in rows without overlap."""
    count = len(bounds)
    across = max(int(np.sqrt(count)), 1)
    row = np.arange(count) // across
    wide, high = (bounds[:, 2:] - bounds[:, :2] + APART_M).T
    highest = np.zeros(row[-1] + 1)
    np.maximum.at(highest, row, high)
    before = np.cumsum(wide) - wide
    left = before - before[row * across]
    bottom = (np.cumsum(highest) - highest)[row]
    return np.column_stack([left, bottom]) - bounds[:, :2]
