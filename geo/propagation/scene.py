"""The obstacles between source and receiver: buildings, barriers and terrain.

Coordinates are in the market's metric CRS. Heights of tops are above the datum of the terrain,
which is 0 where there is no terrain.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine
from rasterio.fill import fillnodata

from geo.propagation.facades import measure_facades
from geo.propagation.footprints import find_unusable, prepare_footprints
from geo.propagation.ground import GroundEffect, PlanGround
from geo.shapes.ragged import positions_in_groups

PLAN_ABSORPTION = 0.2
"""A plan assumption: a plain building front absorbs a fifth of the sound that reaches it."""
CELL_M = 16.0
MAX_CELLS = 4_000_000
STEP_M = 10.0
NEAR_M = 0.15
HARD = PlanGround(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Terrain:
    """Ground heights (rows, cols) at the centers of cells; `transform` as in rasterio.

    Between the centers the height is bilinear; beyond the outermost ones it is constant. An unknown
    height (NaN) is interpolated from the known ones around it.
    """

    height_m: np.ndarray
    transform: Affine


class SceneIndex(NamedTuple):
    """The scene in the form that the path search reads: plain arrays, in meters from `origin`.

    A wall is one straight segment (W,) of an owner. Owners are the S solids first, then the
    barriers. A solid lies to the left of its walls. `wall_from` (owners + 1) is where each owner's
    walls begin, `wall_before` the previous wall in the same ring (-1: it begins a barrier), and
    `hull` has the corners of each owner's convex hull, from `hull_from` on. Cells are squares, row
    by row. `cell_from` and `cell_wall` list the walls near each cell, `room_from` and `room_solid`
    the solids that may cover it.
    """

    origin: np.ndarray
    solids: int
    wall: np.ndarray  # (W, 6): x0, y0, top0, x1, y1, top1
    wall_owner: np.ndarray
    wall_from: np.ndarray
    wall_before: np.ndarray
    facade_m: np.ndarray  # (W,): length of the straight facade that the wall belongs to
    hull: np.ndarray  # (H, 2): x, y
    hull_from: np.ndarray
    box: np.ndarray  # (owners, 4)
    cells_xy: np.ndarray  # (4,): x, y of the corner, size
    shape: np.ndarray  # (2,): columns, rows
    cell_from: np.ndarray
    cell_wall: np.ndarray
    cell_line: np.ndarray  # x0, y0, x1, y1 of each wall in `cell_wall`
    room_from: np.ndarray
    room_solid: np.ndarray
    terrain: np.ndarray  # (rows, cols); (0, 0) without
    to_terrain: np.ndarray  # (6,): from meters to column and row, integers at cell centers
    step_m: float


@dataclass(frozen=True)
class Scene:
    """A scene that is ready for the path search.

    Attributes:
        index: The arrays that the path search reads.
        ground: The ground effect.
        absorption: The share that each owner's walls absorb (owners, 8), 0 (reflects all) to 1.
        left_out: How many buildings are left out, by reason.
    """

    index: SceneIndex
    ground: GroundEffect
    absorption: np.ndarray
    left_out: dict[str, int]

    @cached_property
    def reflected(self) -> np.ndarray:
        """The share of the energy that each owner's walls reflect (owners, 8)."""
        return np.asarray(1 - self.absorption)

    @cached_property
    def most_reflected(self) -> np.ndarray:
        """The largest such share of any wall (8,)."""
        return np.asarray(self.reflected.max(axis=0, initial=0.0))


def build_scene(
    solids: np.ndarray | None = None,
    height_m: np.ndarray | None = None,
    *,
    top_m: np.ndarray | None = None,
    barriers: np.ndarray | None = None,
    terrain: Terrain | None = None,
    ground: GroundEffect = HARD,
    solid_absorption: np.ndarray | float = PLAN_ABSORPTION,
    barrier_absorption: np.ndarray | float = PLAN_ABSORPTION,
    step_m: float = STEP_M,
) -> Scene:
    """Build a scene of buildings, barriers and terrain.

    Buildings that touch are joined, and outlines are cleaned (see `footprints`). A building that
    cannot be an obstacle, because its height is unknown or impossible or its outline unusable, is
    left out and counted: it neither screens nor reflects.

    Args:
        solids: Buildings as polygons, possibly with holes or several parts (S,).
        height_m: Height of each flat roof above the ground at the building's centroid (S,), NaN
            where unknown.
        top_m: Height of the roofs above the datum (S,); replaces `height_m`.
        barriers: Lines with z, the height of the upper edge above the datum (B,).
        terrain: Ground heights; None for level ground at 0.
        ground: The ground effect.
        solid_absorption: One number, (8,) by band, or (S, 8).
        barrier_absorption: One number, (8,) by band, or (B, 8).
        step_m: Distance between the points at which the terrain profile is sampled.

    Returns:
        The scene.

    Raises:
        ValueError: When a barrier has coordinates that are not finite.
    """
    shapes = np.empty(0, dtype=object) if solids is None else np.asarray(solids, dtype=object)
    tops = next((one for one in (top_m, height_m) if one is not None), np.zeros(0))
    heights = np.asarray(tops, dtype=float)
    lines = np.empty(0, dtype=object) if barriers is None else np.asarray(barriers, dtype=object)
    alpha = np.broadcast_to(np.asarray(solid_absorption, dtype=float), (len(shapes), 8))
    _check_barriers(lines)
    ropes, rope_of = shapely.get_parts(lines, return_index=True)
    unusable = find_unusable(shapes, heights, above_ground=top_m is None)
    known = ~np.logical_or.reduce([*unusable.values()])

    origin = _origin(shapes[known], ropes, terrain)
    values, to_terrain = _read_terrain(terrain, origin)
    if top_m is None and values.size:
        middle = shapely.get_coordinates(shapely.centroid(shapes[known])) - origin
        heights = heights.copy()
        heights[known] += interpolate_height_m(values, to_terrain, middle)
    cleaned = prepare_footprints(shapes, heights, alpha, unusable)
    absorption = np.concatenate(
        (
            alpha[cleaned.building],
            np.broadcast_to(np.asarray(barrier_absorption, dtype=float), (len(lines), 8))[rope_of],
        )
    )
    index = _build_index(cleaned.outlines, cleaned.top_m, ropes, origin, values, to_terrain, step_m)
    return Scene(index, ground, absorption, cleaned.left_out)


def interpolate_height_m(values: np.ndarray, to_terrain: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return the bilinear height of the ground.

    Halfway between the centers of cells of 2 and 4 m, it is 3 m:

    >>> heights_m, to_terrain = np.array([[2.0, 4.0]]), np.array([1.0, 0, 0, 0, 1, 0])
    >>> interpolate_height_m(heights_m, to_terrain, np.array([[0.5, 0.0]])).tolist()
    [3.0]

    Args:
        values: Heights at the centers of cells, meters (rows, cols).
        to_terrain: The transform from meters to rows and columns.
        xy: Places in meters from the origin (N, 2).

    Returns:
        The height in meters (N,).
    """
    if not values.size:
        return np.zeros(len(xy))
    a, b, c, d, e, f = to_terrain
    rows, cols = values.shape
    col = np.clip(a * xy[:, 0] + b * xy[:, 1] + c, 0, cols - 1)
    row = np.clip(d * xy[:, 0] + e * xy[:, 1] + f, 0, rows - 1)
    left, upper = col.astype(int), row.astype(int)
    right, lower = np.minimum(left + 1, cols - 1), np.minimum(upper + 1, rows - 1)
    u, v = col - left, row - upper
    above = values[upper, left] * (1 - u) + values[upper, right] * u
    below = values[lower, left] * (1 - u) + values[lower, right] * u
    return np.asarray(above * (1 - v) + below * v)


def ground_height_m(xy: np.ndarray, scene: Scene) -> np.ndarray:
    """Return the height of the ground (N,) at places (N, 2) of a scene; 0 without terrain."""
    return interpolate_height_m(
        scene.index.terrain, scene.index.to_terrain, xy - scene.index.origin
    )


def _check_barriers(lines: np.ndarray) -> None:
    at, of = shapely.get_coordinates(lines, include_z=True, return_index=True)
    wild = ~np.isfinite(at[:, :2]).all(axis=1) | np.isinf(at[:, 2])
    if wild.any():
        raise ValueError(
            f"building the noise scene: barrier {of[wild][0]} has a point at "
            f"{at[wild][0].tolist()}; coordinates must be finite"
        )


def _origin(parts: np.ndarray, ropes: np.ndarray, terrain: Terrain | None) -> np.ndarray:
    """Return a whole-meter corner near all shapes, since coordinates far away lose precision."""
    everything = np.concatenate((parts, ropes))
    if len(everything):
        return np.asarray(np.floor(shapely.total_bounds(everything)[:2]))
    if terrain is not None:
        return np.floor([terrain.transform.c, terrain.transform.f])
    return np.zeros(2)


def _read_terrain(terrain: Terrain | None, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if terrain is None or not np.isfinite(terrain.height_m).any():
        return np.zeros((0, 0)), np.zeros(6)
    values = np.array(terrain.height_m, dtype=float, order="C")
    unknown = ~np.isfinite(values)
    if unknown.any():
        values[unknown] = 0
        values = fillnodata(values, mask=~unknown, max_search_distance=float(sum(values.shape)))
    # A cell's center is half a cell from its corner.
    back = ~(terrain.transform @ Affine.translation(0.5, 0.5)) @ Affine.translation(*origin)
    return values, np.array([back.a, back.b, back.c, back.d, back.e, back.f])


def _build_index(
    parts: np.ndarray,
    top: np.ndarray,
    ropes: np.ndarray,
    origin: np.ndarray,
    values: np.ndarray,
    to_terrain: np.ndarray,
    step_m: float,
) -> SceneIndex:
    rings, ring_of = shapely.get_rings(parts, return_index=True)
    xy, line = shapely.get_coordinates(rings, return_index=True)
    solid = np.column_stack((xy - origin, top[ring_of[line]]))
    rope, rope_line = shapely.get_coordinates(ropes, include_z=True, return_index=True)
    rope[:, :2] -= origin
    points = np.concatenate((solid, np.nan_to_num(rope)))
    of_line = np.concatenate((line, len(rings) + rope_line))
    owner = np.concatenate((ring_of[line], len(parts) + rope_line)).astype(np.int64)
    joined = (of_line[1:] == of_line[:-1]) & (points[1:, :2] != points[:-1, :2]).any(axis=1)
    wall = np.column_stack((points[:-1][joined], points[1:][joined]))
    wall_owner = owner[:-1][joined]
    owners = len(parts) + len(ropes)
    hull, hull_of = shapely.get_coordinates(
        shapely.convex_hull(np.concatenate((parts, ropes))), return_index=True
    )
    box = shapely.bounds(np.concatenate((parts, ropes))).reshape(-1, 4) - np.tile(origin, 2)
    corner, size, shape = _size_cells(box)
    cell_from, cell_wall = _list_walls_by_cell(wall, corner, size, shape)
    room_from, room_solid = _list_boxes_by_cell(box[: len(parts)], corner, size, shape)
    return SceneIndex(
        origin=origin,
        solids=len(parts),
        wall=np.ascontiguousarray(wall),
        wall_owner=wall_owner,
        wall_from=np.searchsorted(wall_owner, np.arange(owners + 1)),
        wall_before=_previous_walls(of_line[:-1][joined], len(rings)),
        facade_m=measure_facades(wall, wall_owner, len(parts)),
        hull=hull - origin,
        hull_from=np.searchsorted(hull_of, np.arange(owners + 1)),
        box=np.ascontiguousarray(box),
        cells_xy=np.array([*corner, size]),
        shape=shape,
        cell_from=cell_from,
        cell_wall=cell_wall,
        cell_line=np.ascontiguousarray(wall[cell_wall][:, [0, 1, 3, 4]]),
        room_from=room_from,
        room_solid=room_solid,
        terrain=values,
        to_terrain=to_terrain,
        step_m=step_m,
    )


def _previous_walls(line: np.ndarray, rings: int) -> np.ndarray:
    """Return each wall's previous one, of the same line: one of the rings, or a barrier's line."""
    before = np.arange(-1, len(line) - 1)
    is_first = np.diff(line, prepend=-1) != 0
    last = np.searchsorted(line, line[is_first], "right") - 1
    before[is_first] = np.where(line[is_first] < rings, last, -1)
    return before


def _size_cells(box: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the corner, size and number of the cells that contain every box."""
    if not len(box):
        return np.zeros(2), CELL_M, np.zeros(2, dtype=np.int64)
    corner = box[:, :2].min(axis=0) - 0.5
    width, depth = box[:, 2:].max(axis=0) + 0.5 - corner
    size = max(CELL_M, float(np.sqrt(width * depth / MAX_CELLS)))
    return corner, size, np.array([width // size + 1, depth // size + 1], dtype=np.int64)


def _list_walls_by_cell(
    wall: np.ndarray, corner: np.ndarray, size: float, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which walls touch each cell: where each cell's list starts, and the lists."""
    begin, end = wall[:, 0:2], wall[:, 3:5]
    box = np.column_stack((np.minimum(begin, end), np.maximum(begin, end)))
    which, column, row = _list_cells_of_boxes(box, corner, size, count)
    # A wall whose box touches a cell misses it if all corners of the cell are on one side of it.
    (x0, y0), (ex, ey) = begin[which].T, (end - begin)[which].T
    left, low = corner[0] + column * size - NEAR_M - x0, corner[1] + row * size - NEAR_M - y0
    wide = size + 2 * NEAR_M
    sides = [ex * (low + up) - ey * (left + right) for right in (0.0, wide) for up in (0.0, wide)]
    meets = (np.minimum.reduce(sides) <= 0) & (np.maximum.reduce(sides) >= 0)
    return _group_by_cell(which[meets], column[meets], row[meets], count)


def _list_boxes_by_cell(
    box: np.ndarray, corner: np.ndarray, size: float, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which boxes touch each cell: where each cell's list starts, and the lists."""
    return _group_by_cell(*_list_cells_of_boxes(box, corner, size, count), count)


def _list_cells_of_boxes(
    box: np.ndarray, corner: np.ndarray, size: float, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each box once for every cell that it touches, with the column and row of the cell.

    A box near the side of a cell also counts, for points that stand at a wall.
    """
    low = ((box[:, :2] - NEAR_M - corner) // size).astype(np.int64).clip(0)
    high = ((box[:, 2:] + NEAR_M - corner) // size).astype(np.int64)
    wide = np.minimum(high, count - 1) - low + 1
    number = wide.prod(axis=1)
    which, nth = np.repeat(np.arange(len(box)), number), positions_in_groups(number)
    return which, low[which, 0] + nth % wide[which, 0], low[which, 1] + nth // wide[which, 0]


def _group_by_cell(
    which: np.ndarray, column: np.ndarray, row: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the list of each cell starts, row by row of cells, and the lists."""
    cell = row * count[0] + column
    order = np.lexsort((which, cell))
    start = np.searchsorted(cell[order], np.arange(count.prod() + 1))
    return start.astype(np.int64), which[order].astype(np.int64)
