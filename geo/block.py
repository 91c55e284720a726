"""The body of n machines: rows and columns with service aisles, and where each stands."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from geo.model import Generator, Plan
from geo.ragged import counted


@dataclass(frozen=True)
class Block:
    """The body of n machines in rows and columns: `length_m` along the columns."""

    rows: int
    columns: int
    length_m: float
    width_m: float


def blocks(count: int, generator: Generator, aisle_m: float) -> list[Block]:
    """Return every layout of `count` machines in full columns, the squarest first.

    Worked: 4 machines of 0.9144 by 1.524 m with 0.9144 m aisles, 2 by 2: 4.572 by 5.7912 m.
    """
    found = []
    for rows in range(1, count + 1):
        columns = -(-count // rows)
        if rows > 1 and columns == -(-count // (rows - 1)):
            continue  # a row more for the same columns is only a larger block
        length = columns * generator.width_m + (columns + 1) * aisle_m
        width = rows * generator.length_m + (rows + 1) * aisle_m
        found.append(Block(rows, columns, length, width))
    return sorted(found, key=lambda block: (np.hypot(block.length_m, block.width_m), block.rows))


def machines(placed: pd.DataFrame, generator: Generator, plan: Plan) -> tuple[np.ndarray, ...]:
    """Return each machine's centre: (placement, x, y), in placement order, row by row.

    Worked: one machine stands at its block's centre.
    """
    count = placed["count"].to_numpy()
    of = np.repeat(np.arange(len(placed)), count)
    nth = counted(count)
    at = placed.iloc[of]
    aisle = plan.pad.aisle_m
    column, row = nth % at["columns"].to_numpy(), nth // at["columns"].to_numpy()
    along = aisle + generator.width_m / 2 + column * (generator.width_m + aisle)
    across = aisle + generator.length_m / 2 + row * (generator.length_m + aisle)
    along = along - at["length_m"].to_numpy() / 2
    across = across - at["width_m"].to_numpy() / 2
    angle = np.radians(at["degrees"].to_numpy())
    x = at["x"].to_numpy() + along * np.cos(angle) - across * np.sin(angle)
    y = at["y"].to_numpy() + along * np.sin(angle) + across * np.cos(angle)
    return of, x, y


def outlines(placed: pd.DataFrame, generator: Generator, plan: Plan) -> tuple[np.ndarray, ...]:
    """Return per placement its block (Polygon) and its machines (MultiPolygon)."""
    of, x, y = machines(placed, generator, plan)
    turned = placed["degrees"].to_numpy()[of]
    each = np.ones(len(of))
    body = _rectangles(x, y, generator.width_m * each, generator.length_m * each, turned)
    group = np.full(len(placed), None, dtype=object)
    shapely.multipolygons(body, indices=of, out=group)
    return bodies(placed), group


def bodies(placed: pd.DataFrame, less_m: float = 0.0) -> np.ndarray:
    """Return each placement's block as a Polygon, on every side smaller by `less_m`."""
    x, y, length, width, degrees = (
        placed[name].to_numpy() for name in ("x", "y", "length_m", "width_m", "degrees")
    )
    return _rectangles(x, y, length - 2 * less_m, width - 2 * less_m, degrees)


def _rectangles(
    x: np.ndarray, y: np.ndarray, length: np.ndarray, width: np.ndarray, degrees: np.ndarray
) -> np.ndarray:
    angle = np.radians(degrees)
    corners = []
    for along, across in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        dx, dy = along * length / 2, across * width / 2
        corners.append(
            np.column_stack(
                (
                    x + dx * np.cos(angle) - dy * np.sin(angle),
                    y + dx * np.sin(angle) + dy * np.cos(angle),
                )
            )
        )
    return np.asarray(shapely.polygons(np.stack(corners, axis=1)))
