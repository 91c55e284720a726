"""Where on a parcel it would be quiet, by distance alone: cheap, and only for where to look."""

from dataclasses import dataclass

import numpy as np
import shapely

from geo.criteria.noise.hearers import ReceptorPairs
from geo.criteria.noise.sound import NoiseSource, noise_reach_m
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import longest_edge_direction, rotate_shapes, rotate_shapes_back

SPOTS_PER_PARCEL = 250  # about so many places of a parcel are looked at
SPACING_M = 1.0
MOST, SPREAD = 16, 16
SITES_PER_BATCH = 1_000  # parcels in one go, so that memory stays small
BIN_DB = 1.0


@dataclass(frozen=True)
class Exposure:
    """Who to keep away from: per bin of limits a shape per site, and how far to keep from it.

    `shapes` is (bins, sites), None where nobody of that bin hears the site; `scale_m` (bins,) is
    the distance at which one machine in the open just holds the bin's limit.
    """

    shapes: np.ndarray
    scale_m: np.ndarray

    def quiet(self, points: np.ndarray, site: np.ndarray) -> np.ndarray:
        """Return how quiet each point is: the least share of the distance to keep, inf for nobody.

        Worked: 31 m from a home that one machine should keep 62 m from: 0.5.
        """
        least = np.full(len(points), np.inf)
        for shapes, scale in zip(self.shapes, self.scale_m, strict=True):
            away = shapely.distance(points, shapes[site])
            least = np.fmin(least, away / scale)
        return least


def measure_exposure(heard: ReceptorPairs, shapes: np.ndarray, sound: NoiseSource) -> Exposure:
    """Return whom each site is to keep away from: who is nearest, by the limit they are due.

    Whoever is farther from the site than another and once across the site is never the nearest.
    """
    sites = len(shapes)
    step = np.round(heard.column("limit_dba") / BIN_DB) * BIN_DB
    bins = np.unique(step)
    nearest = np.full((len(bins), sites), np.inf)
    place = np.searchsorted(bins, step)
    np.minimum.at(nearest, (place, heard.site), heard.away_m)
    box = shapely.bounds(shapes)
    across = np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    close = heard.away_m <= nearest[place, heard.site] + across[heard.site]
    together = np.full((len(bins), sites), None, dtype=object)
    for row, limit in zip(together, bins, strict=True):
        of = np.flatnonzero((step == limit) & close)
        shapely.geometrycollections(
            heard.column("shape", of), indices=heard.site[of].astype(np.intp), out=row
        )
    scale = np.array([noise_reach_m(sound, limit, 1) for limit in bins])
    return Exposure(together, scale)


@dataclass(frozen=True)
class QuietSpots:
    """Places of each parcel to judge, sorted by site, the quietest by exposure first.

    The quietest MOST, then SPREAD more spread over all the others: a place that is near somebody
    may lie behind a building.
    """

    site: np.ndarray
    x: np.ndarray
    y: np.ndarray


def find_quiet_spots(shapes: np.ndarray, exposed: Exposure) -> QuietSpots:
    """Return places to judge, of some 250 on a grid and along the outline of each parcel.

    The grid lies along the parcel's longest edge, 1 m at the finest.
    """
    parts = [
        _quietest_spots(
            shapes, np.arange(start, min(start + SITES_PER_BATCH, len(shapes))), exposed
        )
        for start in range(0, len(shapes), SITES_PER_BATCH)
    ]
    site, x, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    return QuietSpots(site, x, y)


def _quietest_spots(
    shapes: np.ndarray, some: np.ndarray, exposed: Exposure
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return site, x and y of the places to judge of some sites."""
    parcels = shapes[some]
    step = np.sqrt(shapely.area(parcels) / SPOTS_PER_PARCEL).clip(SPACING_M)
    turn = longest_edge_direction(parcels)
    origin = shapely.get_coordinates(shapely.point_on_surface(parcels))
    level = rotate_shapes(parcels, origin, turn)
    box = shapely.bounds(level)
    across = np.ceil((box[:, 2:] - box[:, :2]) / step[:, None]).astype(int) + 1
    cells = across.prod(axis=1)
    place = np.repeat(np.arange(len(parcels)), cells)
    nth = positions_in_groups(cells)
    column, row = nth % across[place, 0], nth // across[place, 0]
    grid = box[place, :2] + np.column_stack((column, row)) * step[place, None]
    shapely.prepare(level)
    inside = shapely.contains_xy(level[place], grid[:, 0], grid[:, 1])
    edge, edge_of = shapely.get_coordinates(shapely.segmentize(level, step), return_index=True)
    place = np.concatenate((place[inside], edge_of))
    points = rotate_shapes_back(
        shapely.points(np.concatenate((grid[inside], edge))), origin[place], turn[place]
    )
    quiet = np.round(exposed.quiet(points, some[place]), 9)
    x, y = shapely.get_coordinates(points).T.round(4)
    order = np.lexsort((y, x, -quiet, place))
    place, x, y = place[order], x[order], y[order]
    kept = choose_spots(place)
    return some[place[kept]], x[kept], y[kept]


def choose_spots(group: np.ndarray) -> np.ndarray:
    """Say which of each group, sorted by group and quietest first, are worth judging.

    Worked: of 80 places, the first 16, then every fourth of the other 64.
    """
    first = np.searchsorted(group, group)
    nth = np.arange(len(group)) - first
    others = np.searchsorted(group, group, "right") - first - MOST
    step = np.maximum(-(-others // SPREAD), 1)
    return np.asarray((nth < MOST) | ((nth - MOST) % step == 0))
