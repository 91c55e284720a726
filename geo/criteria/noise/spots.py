"""Find quiet places on a parcel from distances alone: a cheap guide to where to look."""

from dataclasses import dataclass

import numpy as np
import shapely

from geo.criteria.noise.receptors import ReceptorPairs
from geo.criteria.noise.sound import NoiseSource, noise_reach_m
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import longest_edge_direction, rotate_shapes, rotate_shapes_back

SPOTS_PER_PARCEL = 250  # about how many places on a parcel are examined
SPACING_M = 1.0
MOST, SPREAD = 16, 16
SITES_PER_BATCH = 1_000  # parcels in one batch, so that memory stays small
BIN_DB = 1.0


@dataclass(frozen=True)
class Exposure:
    """The receptors to keep away from, a shape per bin of limits and site, and how far.

    `shapes` is (bins, sites), None where the site has no receptor of that bin; `scale_m` (bins,) is
    the distance at which one machine in the open just meets the bin's limit.
    """

    shapes: np.ndarray
    scale_m: np.ndarray

    def measure_quietness(self, points: np.ndarray, site: np.ndarray) -> np.ndarray:
        """Return how quiet each point is: its least distance as a share of the distance to keep.

        It is inf for a point without receptors. For example, for a point 31 m from a home from
        which one machine should keep 62 m away, it is 0.5.
        """
        least = np.full(len(points), np.inf)
        for shapes, scale in zip(self.shapes, self.scale_m, strict=True):
            away = shapely.distance(points, shapes[site])
            least = np.fmin(least, away / scale)
        return least


def measure_exposure(pairs: ReceptorPairs, shapes: np.ndarray, sound: NoiseSource) -> Exposure:
    """Find the receptors from which each site should keep away: the nearest of each bin of limits.

    A receptor whose distance from the site exceeds that of another one by more than the width of
    the site is never the nearest.

    Args:
        pairs: The receptors in reach of each site.
        shapes: The sites' parcels (n,), in the market's metric frame.
        sound: The sound of one machine and its surroundings.

    Returns:
        The exposure of every site.
    """
    sites = len(shapes)
    step = np.round(pairs.column("limit_dba") / BIN_DB) * BIN_DB
    bins = np.unique(step)
    nearest = np.full((len(bins), sites), np.inf)
    place = np.searchsorted(bins, step)
    np.minimum.at(nearest, (place, pairs.site), pairs.away_m)
    box = shapely.bounds(shapes)
    across = np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    close = pairs.away_m <= nearest[place, pairs.site] + across[pairs.site]
    together = np.full((len(bins), sites), None, dtype=object)
    for row, limit in zip(together, bins, strict=True):
        of = np.flatnonzero((step == limit) & close)
        shapely.geometrycollections(
            pairs.column("shape", of), indices=pairs.site[of].astype(np.intp), out=row
        )
    scale = np.array([noise_reach_m(sound, limit, 1) for limit in bins])
    return Exposure(together, scale)


@dataclass(frozen=True)
class QuietSpots:
    """The places on each parcel to judge, sorted by site, the quietest first.

    These are the MOST quietest places, and SPREAD more from among all the others, since a place
    near a receptor may lie behind a building.
    """

    site: np.ndarray
    x: np.ndarray
    y: np.ndarray


def find_quiet_spots(shapes: np.ndarray, exposed: Exposure) -> QuietSpots:
    """Choose the places to judge from about 250 on a grid and along the outline of each parcel.

    The grid follows the parcel's longest edge, with a spacing of at least 1 m.
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
    shapes: np.ndarray, chunk: np.ndarray, exposed: Exposure
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the site, x and y of the places to judge on some sites."""
    parcels = shapes[chunk]
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
    quiet = np.round(exposed.measure_quietness(points, chunk[place]), 9)
    x, y = shapely.get_coordinates(points).T.round(4)
    order = np.lexsort((y, x, -quiet, place))
    place, x, y = place[order], x[order], y[order]
    kept = choose_spots(place)
    return chunk[place[kept]], x[kept], y[kept]


def choose_spots(group: np.ndarray) -> np.ndarray:
    """Choose which members of each group, sorted by group and quietest first, are worth judging.

    For example, of 80 places, the first 16, then every fourth of the other 64.
    """
    first = np.searchsorted(group, group)
    nth = np.arange(len(group)) - first
    others = np.searchsorted(group, group, "right") - first - MOST
    step = np.maximum(-(-others // SPREAD), 1)
    return np.asarray((nth < MOST) | ((nth - MOST) % step == 0))
