"""Where on a parcel it would be quiet, by distance alone: cheap, and only for where to look."""

from dataclasses import dataclass

import numpy as np
import shapely

from geo import fit
from geo.criteria.noise.hearers import Hearers
from geo.criteria.noise.sound import Sound, reach_m

SPOTS = 250  # about so many places of a parcel are looked at
SPACING_M = 1.0
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


def exposure(heard: Hearers, shapes: np.ndarray, sound: Sound) -> Exposure:
    """Return whom each site is to keep away from: who is nearest, by the limit they are due.

    Whoever is farther from the site than another and once across the site is never the nearest.
    """
    sites = len(shapes)
    step = np.round(heard.limit_dba / BIN_DB) * BIN_DB
    bins = np.unique(step)
    nearest = np.full((len(bins), sites), np.inf)
    place = np.searchsorted(bins, step)
    np.minimum.at(nearest, (place, heard.site), heard.away_m)
    box = shapely.bounds(shapes)
    across = np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    close = heard.away_m <= nearest[place, heard.site] + across[heard.site]
    together = np.full((len(bins), sites), None, dtype=object)
    for row, limit in zip(together, bins, strict=True):
        of = (step == limit) & close
        shapely.geometrycollections(heard.shape[of], indices=heard.site[of], out=row)
    scale = np.array([reach_m(sound, limit, 1) for limit in bins])
    return Exposure(together, scale)


@dataclass(frozen=True)
class Spots:
    """The quietest places of each parcel by exposure, sorted by site, quietest first."""

    site: np.ndarray
    x: np.ndarray
    y: np.ndarray


def spots(shapes: np.ndarray, exposed: Exposure, most: int) -> Spots:
    """Return the `most` quietest of some 250 places on a grid and along the outline of each parcel.

    The grid lies along the parcel's longest edge, 1 m at the finest.
    """
    count = len(shapes)
    step = np.sqrt(shapely.area(shapes) / SPOTS).clip(SPACING_M)
    of, degrees = fit.directions(shapes, 1)
    turn = np.zeros(count)
    turn[of] = degrees
    origin = shapely.get_coordinates(shapely.point_on_surface(shapes))
    level = fit.turn(shapes, origin, turn)
    box = shapely.bounds(level)
    across = np.ceil((box[:, 2:] - box[:, :2]) / step[:, None]).astype(int) + 1
    cells = across.prod(axis=1)
    site = np.repeat(np.arange(count), cells)
    nth = np.arange(len(site)) - np.repeat(np.cumsum(cells) - cells, cells)
    column, row = nth % across[site, 0], nth // across[site, 0]
    grid = box[site, :2] + np.column_stack((column, row)) * step[site, None]
    shapely.prepare(level)
    inside = shapely.contains_xy(level[site], grid[:, 0], grid[:, 1])
    edge, edge_of = shapely.get_coordinates(shapely.segmentize(level, step), return_index=True)
    site = np.concatenate((site[inside], edge_of))
    points = fit.turn_back(
        shapely.points(np.concatenate((grid[inside], edge))), origin[site], turn[site]
    )
    quiet = np.round(exposed.quiet(points, site), 9)
    x, y = shapely.get_coordinates(points).T.round(4)
    order = np.lexsort((y, x, -quiet, site))
    site, x, y = site[order], x[order], y[order]
    kept = np.arange(len(site)) - np.searchsorted(site, site) < most
    return Spots(site[kept], x[kept], y[kept])
