"""How loud n running machines are where somebody hears them.

Plain for now: a point source over hard ground, level = rated level - 20 lg(distance / rated
distance), the energy sum of every running machine at its true place, at the nearest point of every
receptor within reach. No screening, no ground, no air.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import fit
from geo.model import Generator, Plan
from geo.near import inside, shapes_of, within

FLOOR_M = 1.0
NOBODY, OWN = (
    -1,
    -2,
)  # in place of a hearer: nobody in reach; homes on the site, at an assumed place
SPOTS = 250  # about so many places of a parcel are tried for its quietest
SPACING_M = 1.0


@dataclass(frozen=True)
class Hearers:
    """Who hears each site: pairs of a site and a receptor, sorted by site.

    `certain` is False for a stand-in at the edge of the receptor layer: somebody may live just
    beyond it, so it counts at worst and not at best. `own_at_m` is the distance the plan assumes to
    homes on the site itself whose place is not known (NaN: none); `own_unknown` marks sites whose
    own homes are known of but neither placed nor assumed; `evidence` is per site. Within `reach_m`
    of any place on a site everybody is here; farther off they may not be, so nobody counts there.
    """

    site: np.ndarray
    shape: np.ndarray
    receptor_id: np.ndarray
    receptor_class: np.ndarray
    receptor_name: np.ndarray
    certain: np.ndarray
    own_at_m: np.ndarray
    own_unknown: np.ndarray
    evidence: np.ndarray
    known: bool
    reach_m: float


def reach_m(generator: Generator, plan: Plan) -> float:
    """Return how far the plan's cap can be heard above the limit.

    Rated distance x sqrt(running machines x 10^((rated level - limit) / 10)).

    Worked: 25 machines of 69 dB(A) at 7 m against 69 dB(A): 7 x sqrt(25) = 35 m.
    """
    over_db = generator.level_dba - plan.noise.limit_dba
    running = max(plan.cap - plan.spares, 1)
    return generator.level_distance_m * float(np.sqrt(running * 10 ** (over_db / 10)))


def hearers(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    generator: Generator,
    plan: Plan,
) -> Hearers:
    """Return who could hear each site: receptors within reach, its own homes, the layer's edge."""
    shapes = shapes_of(sites)
    reach = max(reach_m(generator, plan), plan.noise.report_reach_m)
    receptors = layers.get("receptors")
    parts: list[pd.DataFrame] = []
    evidence = np.full(len(sites), "receptors", dtype=object)
    if receptors is None:
        evidence[:] = "no layer"
    else:
        site, other = within(shapes, shapes_of(receptors), reach)
        rows = receptors.iloc[other]
        own = rows["site_id"].to_numpy() == sites["site_id"].to_numpy()[site]
        parts.append(
            pd.DataFrame(
                {
                    "site": site,
                    "shape": shapes_of(rows),
                    "receptor_id": rows["receptor_id"].to_numpy(),
                    "receptor_class": rows["receptor_class"].to_numpy(),
                    "receptor_name": rows["name"].to_numpy(),
                    "certain": True,
                }
            )[~own]
        )
        area = coverage.get("receptors")
        near_edge = np.flatnonzero(~inside(shapes, area, reach))
        if area is not None:
            beyond = shapely.difference(shapely.buffer(shapes[near_edge], reach), area)
        else:
            beyond = shapes[near_edge]
        parts.append(_stand_in(near_edge, beyond, "edge of layer", certain=False))
        evidence[near_edge] = "edge of layer"

    own = sites["own_dwelling"].to_numpy(dtype=bool)
    buildings = shapes_of(layers.get("buildings"))
    home, building = within(shapes, buildings, 0.0)
    overlap = shapely.area(shapely.intersection(shapes[home], buildings[building]))
    here = own[home] & (overlap > 0.5 * shapely.area(buildings[building]))
    parts.append(_stand_in(home[here], buildings[building[here]], "own dwelling", certain=True))
    unplaced = own.copy()
    unplaced[home[here]] = False
    assumed = plan.assume.own_dwelling_at_m
    # Homes of unknown place on the site decide, whoever else may live beyond the edge.
    evidence[unplaced & ((evidence == "receptors") | (assumed is None))] = "own dwelling"
    table = pd.concat(parts, ignore_index=True).sort_values("site", kind="stable")
    return Hearers(
        **{name: table[name].to_numpy() for name in parts[0].columns},
        own_at_m=np.where(unplaced & (assumed is not None), assumed or np.nan, np.nan),
        own_unknown=unplaced & (assumed is None),
        evidence=evidence,
        known=receptors is not None,
        reach_m=reach,
    )


def exposure(heard: Hearers, sites: int, *, worst: bool) -> np.ndarray:
    """Return per site the shape to keep away from: all who hear it. None where nobody does."""
    counted = heard.certain | worst
    together = np.full(sites, None, dtype=object)
    if counted.any():
        shapely.geometrycollections(
            heard.shape[counted], indices=heard.site[counted].astype(np.intp), out=together
        )
    return together


def level_dba(distance_m: np.ndarray, running: np.ndarray, generator: Generator) -> np.ndarray:
    """Return the level of `running` machines at one place, `distance_m` away (floored at 1 m).

    Worked: 4 machines of 69 dB(A) at 7 m, heard at 14 m: 69 + 6.02 - 6.02 = 69.0 dB(A).
    """
    away = np.maximum(distance_m, FLOOR_M)
    spread = 20 * np.log10(away / generator.level_distance_m)
    with np.errstate(divide="ignore"):
        return np.asarray(generator.level_dba - spread + 10 * np.log10(running))


def allowed(distance_m: np.ndarray, limit_dba: float, generator: Generator, cap: int) -> np.ndarray:
    """Return the most running machines at one place that hold the limit at `distance_m`.

    Worked: at 20 m against 69 dB(A): floor((20 / 7)^2) = 8 machines.
    """
    away = np.maximum(np.where(np.isnan(distance_m), np.inf, distance_m), FLOOR_M)
    energy = 10 ** ((limit_dba - generator.level_dba) / 10)
    most = np.floor((away / generator.level_distance_m) ** 2 * energy + 1e-9)
    return np.minimum(most, cap).astype(int)


def keep_off_m(running: np.ndarray, limit_dba: float, generator: Generator) -> np.ndarray:
    """Return how far the middle of so many machines must be from whoever hears them.

    Exact for machines at one point; a block is louder or quieter by its own size, which is small
    beside the distance.

    Worked: 4 machines of 69 dB(A) at 7 m against 69 dB(A): 7 x sqrt(4) = 14 m.
    """
    over = 10 ** ((generator.level_dba - limit_dba) / 10)
    return np.asarray(generator.level_distance_m * np.sqrt(np.maximum(running, 0) * over))


@dataclass(frozen=True)
class Spots:
    """Places all over each parcel and how far each is from who hears it, sorted by site.

    `site`, `x`, `y`, `away_m` per spot (inf where nobody hears). Per site `quietest_m` is the
    farthest of them, and `ceiling_m` what no place of the parcel exceeds.
    """

    site: np.ndarray
    x: np.ndarray
    y: np.ndarray
    away_m: np.ndarray
    quietest_m: np.ndarray
    ceiling_m: np.ndarray


def spots(shapes: np.ndarray, loudness: np.ndarray, reach_m: float) -> Spots:
    """Sample each parcel on a grid along its longest edge, and along its outline.

    Who is farther than `reach_m` from a spot does not count there.

    The grid is 1 m at the finest and about SPOTS points at the most. A distance changes by no
    more than one moves, so a place between the spots is no farther away than the farthest spot
    and the gap between them.
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
    order = np.argsort(site, kind="stable")
    site, points = site[order], points[order]
    away = shapely.distance(points, loudness[site])
    away = np.where(away <= reach_m, away, np.inf)
    quietest = np.zeros(count)
    np.maximum.at(quietest, site, away)
    x, y = shapely.get_coordinates(points).T
    # Half a cell's diagonal from a grid point, or from the outline half way between two of its own.
    return Spots(site, x, y, away, quietest, quietest + step * (np.sqrt(0.5) + 0.5))


def judge(
    placed: pd.DataFrame,
    machine: tuple[np.ndarray, ...],
    block: np.ndarray,
    heard: Hearers,
    generator: Generator,
    *,
    worst: bool,
) -> pd.DataFrame:
    """Return for each placement the level at its governing receptor, and which that is.

    `placed` has columns site, x, y, length_m, width_m; `machine` is (placement, x, y) of every
    running machine; `block` the pads' outlines. Columns: level_dba, hearer (position in `heard`,
    NOBODY, or OWN for homes on the site at the plan's distance), receptor_distance_m, floored.
    """
    counted = np.flatnonzero(heard.certain | worst)
    site_of = heard.site[counted]
    site = placed["site"].to_numpy()
    first, last = np.searchsorted(site_of, site, "left"), np.searchsorted(site_of, site, "right")
    times = last - first
    pair_place = np.repeat(np.arange(len(placed)), times)
    nth = np.arange(len(pair_place)) - np.repeat(np.cumsum(times) - times, times)
    pair_heard = counted[np.repeat(first, times) + nth]

    centre = shapely.points(placed["x"], placed["y"])
    away = shapely.distance(centre[pair_place], heard.shape[pair_heard])
    half = np.hypot(placed["length_m"].to_numpy(), placed["width_m"].to_numpy()) / 2
    nearest = pd.Series(away).groupby(pair_place).transform("min").to_numpy()
    # Farther than this, no machine of the block is nearer than the farthest is to the nearest one.
    matters = away <= nearest + 2 * half[pair_place] + 1e-6
    pair_place, pair_heard = pair_place[matters], pair_heard[matters]
    near = shapely.distance(block[pair_place], heard.shape[pair_heard]) <= heard.reach_m
    pair_place, pair_heard = pair_place[near], pair_heard[near]

    answer = pd.DataFrame(
        {
            "level_dba": np.nan,
            "hearer": NOBODY,
            "receptor_distance_m": np.nan,
            "floored": False,
        },
        index=np.arange(len(placed)),
    )
    running = np.bincount(machine[0], minlength=len(placed))
    best = _levels(pair_place, pair_heard, centre, block, machine, running, heard, generator)
    answer.loc[best.index, best.columns] = best
    own = heard.own_at_m[site]
    own_level = level_dba(own, running, generator)
    louder = ~np.isnan(own) & ~(answer["level_dba"].to_numpy() >= own_level)
    answer.loc[louder, "level_dba"] = own_level[louder]
    answer.loc[louder, "hearer"] = OWN
    answer.loc[louder, "receptor_distance_m"] = own[louder]
    answer.loc[louder, "floored"] = False
    return answer


def _levels(
    pair_place: np.ndarray,
    pair_heard: np.ndarray,
    centre: np.ndarray,
    block: np.ndarray,
    machine: tuple[np.ndarray, ...],
    running: np.ndarray,
    heard: Hearers,
    generator: Generator,
) -> pd.DataFrame:
    """Return the loudest pair per placement, at the points nearest its centre and its block."""
    shape = heard.shape[pair_heard]
    receiver = np.concatenate(
        [
            shapely.get_coordinates(shapely.get_point(shapely.shortest_line(origin, shape), 1))
            for origin in (centre[pair_place], block[pair_place])
        ]
    )
    pair = np.tile(np.arange(len(pair_place)), 2)
    count = running[pair_place[pair]]
    start = np.concatenate(([0], np.cumsum(running)))[:-1][pair_place[pair]]
    each = np.repeat(np.arange(len(pair)), count)
    nth = np.arange(len(each)) - np.repeat(np.cumsum(count) - count, count)
    at = np.repeat(start, count) + nth
    away = np.hypot(machine[1][at] - receiver[each, 0], machine[2][at] - receiver[each, 1])
    energy = np.bincount(each, 1 / np.maximum(away, FLOOR_M) ** 2, minlength=len(pair))
    nearest = np.full(len(pair), np.inf)
    np.minimum.at(nearest, each, away)
    with np.errstate(divide="ignore"):
        level = generator.level_dba + 10 * np.log10(generator.level_distance_m**2 * energy)
    table = pd.DataFrame(
        {
            "place": pair_place[pair],
            "hearer": pair_heard[pair],
            "level_dba": level,
            "receptor_distance_m": nearest,
            "floored": nearest < FLOOR_M,
        }
    )
    table = table.sort_values(
        ["place", "level_dba", "hearer"], ascending=[True, False, True], kind="stable"
    )
    return table.drop_duplicates("place").set_index("place")


def _stand_in(site: np.ndarray, shapes: np.ndarray, named: str, *, certain: bool) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "site": site,
            "shape": shapes,
            "receptor_id": None,
            "receptor_class": named,
            "receptor_name": None,
            "certain": certain,
        }
    )
    there: pd.DataFrame = frame.loc[~shapely.is_empty(shapes)]
    return there
