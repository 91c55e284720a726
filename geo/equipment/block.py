"""The body of n machines and their gear: rows, columns and aisles, and where each stands."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely

from geo import catalogue
from geo.model import Generator, Plan
from geo.shapes.ragged import positions_in_groups
from geo.shapes.rectangles import make_rectangles


@dataclass(frozen=True)
class Block:
    """The body of n machines in rows and columns: `length_m` along the columns."""

    rows: int
    columns: int
    length_m: float
    width_m: float


def count_places(count: np.ndarray, generator: Generator) -> np.ndarray:
    """Return the number of places in a block: one for each machine and for each cabinet of gear.

    For example, 5 machines, one cabinet for every 4: 7 places.
    """
    if generator.gear is None:
        return np.asarray(count)
    return np.asarray(count + -(-count // generator.gear.machines))


def list_layouts(count: int, generator: Generator, plan: Plan) -> list[Block]:
    """List every layout of `count` machines and their gear in full columns, squarest first.

    Machines stand with their long sides next to each other, with a service aisle between and around
    them. Rows stand face to face: the aisle at their electrical ends is as deep as the National
    Electrical Code requires (110.26(A)(1)), and two rows share it; the others are service aisles.
    For example, 3 machines of 0.9144 by 1.524 m and a cabinet, with aisles of 0.9144 m and
    1.2192 m at the electrical ends, take 2 by 2 places: 2 x 0.9144 + 3 x 0.9144 = 4.572 m by
    2 x 1.524 + 2 x 0.9144 + 1.2192 = 6.096 m.

    Args:
        count: How many machines.
        generator: The generator, for its body and its gear.
        plan: The plan, for its aisles.

    Returns:
        The layouts; every place is taken by a machine or a cabinet.
    """
    layouts = []
    wanted = int(count_places(np.array(count), generator))
    for rows in range(1, wanted + 1):
        columns = -(-wanted // rows)
        if rows > 1 and columns == -(-wanted // (rows - 1)):
            continue  # one more row with the same columns only makes the block larger
        length = columns * generator.width_m + (columns + 1) * plan.pad.service_m
        width = _aisle_depth_m(rows, generator, plan) + rows * generator.length_m
        layouts.append(Block(rows, columns, length, width))
    return sorted(layouts, key=lambda one: (math.hypot(one.length_m, one.width_m), one.rows))


def electrical_aisle_m(generator: Generator, plan: Plan) -> float:
    """Return the depth of the aisle at the machines' electrical ends; at least a service aisle's.

    For example, 277 V to ground, live parts on both sides (condition 3): 4 ft, 1.2192 m.
    """
    depth = catalogue.working_space_m(generator.volts_to_ground, plan.pad.electrical_condition)
    return max(depth, plan.pad.service_m)


def _aisle_depth_m(row: Any, generator: Generator, plan: Plan) -> Any:
    """Return the total depth (m) of the aisles up to the one after `row` rows, one or an array.

    Every second aisle is an electrical one.
    """
    deeper = electrical_aisle_m(generator, plan) - plan.pad.service_m
    return (row + 1) * plan.pad.service_m + (row + 1) // 2 * deeper


def locate_machines(
    placed: pd.DataFrame, generator: Generator, plan: Plan
) -> tuple[np.ndarray, ...]:
    """Locate each machine of each placement.

    For example, with one machine and its cabinet side by side in a block at (0, 0), each 0.9144 m
    wide and 0.9144 m apart, the machine is at x = -0.9144.

    Args:
        placed: One row per placement: x, y, count, rows, columns, length_m, width_m and degrees.
        generator: The generator, for its body.
        plan: The plan, for its aisles.

    Returns:
        The placement of each machine, and its center's x and y in meters, in placement order and
        row by row.
    """
    count = placed["count"].to_numpy()
    return _locate_places(placed, np.zeros_like(count), count, generator, plan)


def _locate_places(
    placed: pd.DataFrame,
    after: np.ndarray,
    count: np.ndarray,
    generator: Generator,
    plan: Plan,
) -> tuple[np.ndarray, ...]:
    """Return the centers of `count` places of each block, after skipping the first `after`."""
    of = np.repeat(np.arange(len(placed)), count)
    nth = positions_in_groups(count) + after[of]
    at = placed.iloc[of]
    aisle = plan.pad.service_m
    column, row = nth % at["columns"].to_numpy(), nth // at["columns"].to_numpy()
    along = aisle + generator.width_m / 2 + column * (generator.width_m + aisle)
    across = _aisle_depth_m(row, generator, plan) + (row + 0.5) * generator.length_m
    along = along - at["length_m"].to_numpy() / 2
    across = across - at["width_m"].to_numpy() / 2
    angle = np.radians(at["degrees"].to_numpy())
    x = at["x"].to_numpy() + along * np.cos(angle) - across * np.sin(angle)
    y = at["y"].to_numpy() + along * np.sin(angle) + across * np.cos(angle)
    return of, x, y


def draw_blocks(placed: pd.DataFrame, generator: Generator, plan: Plan) -> tuple[np.ndarray, ...]:
    """Draw the block of each placement, its machines and its gear.

    Args:
        placed: One row per placement, as in `locate_machines`.
        generator: The generator, for its body and its gear.
        plan: The plan, for its aisles.

    Returns:
        Per placement, the block (Polygon), the machines and the gear (MultiPolygons).
    """
    count = placed["count"].to_numpy()
    cabinets = count_places(count, generator) - count
    # A block may be larger than its machines need; the gear stands in its last places.
    size = (placed["rows"] * placed["columns"]).to_numpy()
    stands = _draw_bodies(placed, locate_machines(placed, generator, plan), generator.width_m,
                      generator.length_m)  # fmt: skip
    gear = np.full(len(placed), None, dtype=object)
    if generator.gear is not None:
        at = _locate_places(placed, size - cabinets, cabinets, generator, plan)
        gear = _draw_bodies(placed, at, generator.gear.width_m, generator.gear.length_m)
    return draw_block_outlines(placed), stands, gear


def _draw_bodies(
    placed: pd.DataFrame, at: tuple[np.ndarray, ...], width_m: float, length_m: float
) -> np.ndarray:
    """Return bodies of one size at the given places, as one MultiPolygon per placement."""
    of, x, y = at
    turned, each = placed["degrees"].to_numpy()[of], np.ones(len(of))
    group = np.full(len(placed), None, dtype=object)
    shapely.multipolygons(
        make_rectangles(x, y, width_m * each, length_m * each, turned), indices=of, out=group
    )
    return group


def draw_block_outlines(placed: pd.DataFrame, less_m: float = 0.0) -> np.ndarray:
    """Return each placement's block as a Polygon, smaller by `less_m` on every side."""
    x, y, length, width, degrees = (
        placed[name].to_numpy() for name in ("x", "y", "length_m", "width_m", "degrees")
    )
    return make_rectangles(x, y, length - 2 * less_m, width - 2 * less_m, degrees)
