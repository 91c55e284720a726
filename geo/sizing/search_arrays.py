"""Make the arrays of the compiled search from tables."""

import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise.receiver_points import ReceiverPoints
from geo.criteria.noise.receptors import EDGE_OF_LAYER, ReceptorPairs
from geo.criteria.noise.sound import (
    NoiseSource,
    one_path_dba,
    one_path_energy,
    open_field_dba,
)
from geo.criteria.pad.ground import CIRCLE_TOLERANCE_M, BuildableGround
from geo.equipment.block import list_layouts, locate_machines
from geo.model import Generator, Plan
from geo.propagation.band_energy import MOST_REFLECTED
from geo.propagation.by_distance import list_distances_m
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import (
    TOLERANCE_M,
    list_edges,
    longest_edge_direction,
    rotate_back,
    rotate_shapes,
)
from geo.sizing.kernel.arrays import (
    COLUMNS_MOST,
    SPOTS_MOST,
    Blocks,
    Grounds,
    Hearing,
    Levels,
    Table,
)

PLACES_PER_GROUND = 80
"""About so many places of a block are tried on a site's ground."""
PLACES_PER_LOT = 40
SPOTS_PER_GROUND = 20
"""About so many spots of the ground are in the transfer table."""
SPOTS_PER_LOT = 6
LEAST_STEP_M = 1.0
PARTS = 3
"""Each side of a block is cut into this many; one point of each part stands for its machines."""


def arrange_hearing(
    pairs: ReceptorPairs, points: ReceiverPoints, sound: NoiseSource, plan: Plan
) -> Hearing:
    """Return who hears each site, for the compiled search.

    Args:
        pairs: The receptors in reach of each site.
        points: Their receiver points.
        sound: The sound of one machine and its surroundings.
        plan: The plan, for the height of homes at an assumed distance.

    Returns:
        The arrays.
    """
    sites = len(pairs.line)
    xy = points.xy - sound.scene.index.origin
    limit = pairs.column("limit_dba").astype(float)
    own = np.zeros(sites)
    assumed = np.flatnonzero(~np.isnan(pairs.own_at_m))
    if len(assumed):
        level = open_field_dba(sound, pairs.own_at_m[assumed], plan.noise.facade_height_m)
        own[assumed] = 10 ** ((level - pairs.own_limit_dba) / 10)
    return Hearing(
        lot=shapely.bounds(pairs.line) - np.tile(sound.scene.index.origin, 2),
        first=np.searchsorted(pairs.site, np.arange(sites + 1)),
        box=_boxes_around(xy, points),
        begin=points.begin.astype(np.int64),
        end=points.end.astype(np.int64),
        per_limit=10 ** (-limit / 10),
        height_m=pairs.column("height_m").astype(float),
        by_rule=pairs.column("by_rule").astype(bool),
        certain=pairs.column("certain").astype(bool),
        over_open_ground=pairs.column("receptor_class") == EDGE_OF_LAYER,
        facing_only=points.facing_only,
        point=np.ascontiguousarray(xy),
        outward=points.outward,
        own=own,
    )


def _boxes_around(xy: np.ndarray, points: ReceiverPoints) -> np.ndarray:
    """Return the box around the points of each pair (Q, 4); many pairs share their points."""
    if not len(points.begin):
        return np.empty((0, 4))
    first, position = np.unique(points.begin, return_inverse=True)
    last = np.zeros(len(first), dtype=np.int64)
    np.maximum.at(last, position, points.end)
    # A set of points ends where the next one begins, so that reduceat covers each exactly.
    lowest, highest = (fold.reduceat(xy, first, axis=0) for fold in (np.minimum, np.maximum))
    return np.ascontiguousarray(np.column_stack((lowest, highest))[position])


def arrange_blocks(generator: Generator, plan: Plan) -> tuple[Blocks, pd.DataFrame]:
    """Return every layout of 1 to the plan's cap of machines, for the compiled search and as rows.

    The rows have rows, columns, length_m and width_m.
    """
    layouts = [list_layouts(count, generator, plan) for count in range(1, plan.cap + 1)]
    many = [0, *(len(some) for some in layouts)]
    rows = pd.DataFrame([block for some in layouts for block in some])
    count = np.repeat(np.arange(plan.cap + 1), many)
    running = np.maximum(np.arange(plan.cap + 1) - plan.spares, 0)
    placed = rows.assign(x=0.0, y=0.0, degrees=0.0, count=running[count])
    of, x, y = locate_machines(placed, generator, plan)
    point_of, point, machines = _gather_machines(rows, of, x, y)
    blocks = Blocks(
        first=np.concatenate(([0], np.cumsum(many))),
        size_m=np.array(rows[["length_m", "width_m"]], dtype=float, order="C"),
        machine_from=np.searchsorted(of, np.arange(len(rows) + 1)),
        machine=np.ascontiguousarray(np.column_stack((x, y)).reshape(-1, 2)),
        point_from=np.searchsorted(point_of, np.arange(len(rows) + 1)),
        point=point,
        machines=machines,
        running=running,
    )
    return blocks, rows


def _gather_machines(
    rows: pd.DataFrame, of: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points that stand for the machines of each layout: the middles of groups of neighbors.

    Each group has the machines of one part of the layout (see PARTS).

    Args:
        rows: The layouts, with length_m and width_m.
        of: The layout of each machine (k,), in ascending order.
        x: The machine along the layout, meters from its center (k,).
        y: The machine across, the same (k,).

    Returns:
        The layout of each point (p,), the points (p, 2), and how many machines each stands for.
    """
    part = [
        np.floor((place / rows[size].to_numpy()[of] + 0.5) * PARTS)
        for place, size in ((x, "length_m"), (y, "width_m"))
    ]
    groups = pd.DataFrame({"of": of, "along": part[0], "across": part[1], "x": x, "y": y})
    points = groups.groupby(["of", "along", "across"]).agg(
        x=("x", "mean"), y=("y", "mean"), machines=("x", "size")
    )
    return (
        points.index.get_level_values("of").to_numpy(),
        np.array(points[["x", "y"]], order="C"),
        points["machines"].to_numpy(dtype=float),
    )


def arrange_lone_machine() -> Blocks:
    """Return the layout of one machine alone, which takes no ground."""
    return Blocks(
        first=np.array([0, 0, 1]),
        size_m=np.zeros((1, 2)),
        machine_from=np.array([0, 1]),
        machine=np.zeros((1, 2)),
        point_from=np.array([0, 1]),
        point=np.zeros((1, 2)),
        machines=np.ones(1),
        running=np.array([0, 1]),
    )


def arrange_levels(sound: NoiseSource) -> Levels:
    """Return the energies by distance that guide the search and bound the levels."""
    away_m = list_distances_m()
    return Levels(
        open=10 ** (one_path_dba(sound, away_m)[:, None] / 10),
        bands=np.ascontiguousarray(one_path_energy(sound, away_m)),
        nothing_taken=np.ones(1),
        most_back=MOST_REFLECTED * float(sound.scene.most_reflected.max(initial=0.0)),
        kept=sound.scene.reflected.max(axis=1, initial=0.0),
    )


def arrange_ground(ground: BuildableGround, origin: np.ndarray) -> Grounds:
    """Return each site's ground with the places to try on it, for the compiled search.

    Args:
        ground: The buildable ground of n sites.
        origin: The scene's origin (2,), meters in the market's frame.

    Returns:
        The arrays.
    """
    edge_of, begin, end = list_edges(ground.shapes)
    place_of, place, step_m = list_places(ground.shapes, PLACES_PER_GROUND)
    sites = np.arange(len(ground.shapes) + 1)
    return Grounds(
        edge=np.column_stack((begin - origin, end - origin)),
        edge_from=np.searchsorted(edge_of, sites),
        turn=np.radians(ground.degrees),
        turn_from=ground.turns_from.astype(np.int64),
        place=place - origin,
        place_from=np.searchsorted(place_of, sites),
        step_m=step_m,
        open_m2=ground.open_m2.astype(float),
        width_m=2 * (ground.radius_m + CIRCLE_TOLERANCE_M),
        long_m=_longest_m(ground.shapes),
    )


def arrange_lots(lots: np.ndarray, origin: np.ndarray) -> Grounds:
    """Return each site's whole lot as ground for one machine alone, in one direction."""
    edge_of, begin, end = list_edges(lots)
    place_of, place, step_m = list_places(lots, PLACES_PER_LOT)
    sites = np.arange(len(lots) + 1)
    return Grounds(
        edge=np.column_stack((begin - origin, end - origin)),
        edge_from=np.searchsorted(edge_of, sites),
        turn=np.zeros(len(lots)),
        turn_from=sites,
        place=place - origin,
        place_from=np.searchsorted(place_of, sites),
        step_m=step_m,
        open_m2=np.full(len(lots), np.inf),
        width_m=np.full(len(lots), np.inf),
        long_m=np.full(len(lots), np.inf),
    )


def _longest_m(shapes: np.ndarray) -> np.ndarray:
    """Return the diagonal of the box around each shape, which is longer than anything in it."""
    box = shapely.bounds(shapes)
    diagonal_m = np.nan_to_num(np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]))
    return np.asarray(diagonal_m + TOLERANCE_M)


def list_places(shapes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places on each shape: a lattice along its longest edge, and a point in each part.

    Args:
        shapes: Polygons (n,), in a metric frame.
        count: About how many places per shape; they are at least LEAST_STEP_M apart.

    Returns:
        The shape of each place, sorted; the places (P, 2); the lattice's step (n,).
    """
    area = shapely.area(shapes)
    step_m = np.sqrt(area / count).clip(LEAST_STEP_M)
    turn = longest_edge_direction(shapes)
    origin = np.zeros((len(shapes), 2))
    room = ~shapely.is_empty(shapes)
    origin[room] = shapely.get_coordinates(shapely.point_on_surface(shapes[room]))
    level = rotate_shapes(shapes, origin, turn)
    box = np.where(room[:, None], shapely.bounds(level), 0.0)
    cells = np.ceil((box[:, 2:] - box[:, :2]) / step_m[:, None]).astype(int)
    cells = np.where(room[:, None], np.maximum(cells, 1), 0)
    # Center the lattice in the box.
    start = (box[:, :2] + box[:, 2:]) / 2 - (cells - 1) / 2 * step_m[:, None]
    times = cells.prod(axis=1)
    of = np.repeat(np.arange(len(shapes)), times)
    nth = positions_in_groups(times)
    column, row = nth % np.maximum(cells[of, 0], 1), nth // np.maximum(cells[of, 0], 1)
    lattice = start[of] + np.column_stack((column, row)) * step_m[of, None]
    shapely.prepare(level)
    inside = shapely.contains_xy(level[of], lattice[:, 0], lattice[:, 1])
    parts, part_of = shapely.get_parts(level, return_index=True)
    parts, part_of = parts[~shapely.is_empty(parts)], part_of[~shapely.is_empty(parts)]
    middle = shapely.get_coordinates(shapely.point_on_surface(parts))
    of = np.concatenate((of[inside], part_of))
    places = np.concatenate((lattice[inside], middle))
    order = np.argsort(of, kind="stable")
    of, places = of[order], places[order]
    return of, rotate_back(places, origin[of], turn[of]), step_m


def start_tables(grounds: np.ndarray, lots: np.ndarray, origin: np.ndarray) -> Table:
    """Return empty transfer tables with spots on each site's widest ground and on its lot.

    Args:
        grounds: The widest ground of each site (n,).
        lots: The sites' parcels (n,).
        origin: The scene's origin (2,), meters in the market's frame.

    Returns:
        The tables. Their columns are added by the search.
    """
    sites = len(lots)
    spot = np.zeros((sites, SPOTS_MOST, 2))
    spots = np.zeros(sites, dtype=np.int64)
    for shapes, count in ((grounds, SPOTS_PER_GROUND), (lots, SPOTS_PER_LOT)):
        of, place, _ = list_places(shapes, count)
        nth = positions_in_groups(np.bincount(of, minlength=sites))
        # Thin shapes can have many more places than asked for.
        kept = nth < count
        spot[of[kept], spots[of[kept]] + nth[kept]] = place[kept] - origin
        spots += np.bincount(of[kept], minlength=sites)
    return Table(
        spot=spot,
        spots=spots,
        column_point=np.zeros((sites, COLUMNS_MOST), dtype=np.int64),
        column_pair=np.zeros((sites, COLUMNS_MOST), dtype=np.int64),
        column_at=np.zeros((sites, COLUMNS_MOST, 3)),
        column_most=np.zeros((sites, COLUMNS_MOST)),
        columns=np.full(sites, -1, dtype=np.int64),
        energy=np.zeros((sites, COLUMNS_MOST, SPOTS_MOST)),
        loudest=np.zeros(sites, dtype=np.int64),
        scale=np.ones((sites, COLUMNS_MOST)),
        walled=np.zeros((sites, COLUMNS_MOST)),
    )
