"""Which spots of the transfer table stand for a machine between them. Compiled."""

import numpy as np

from geo.compiled import inlined
from geo.sizing.kernel.arrays import NEAR_SPOTS, Bench, Table


@inlined
def list_spots_around(
    table: Table, bench: Bench, site: int, circle: tuple[float, float, float]
) -> int:
    """List the spots that can be among the nearest of some point in a circle, in `bench.around`.

    Args:
        table: The tables.
        bench: The bench.
        site: The site.
        circle: Its center and its radius.

    Returns:
        How many these are.
    """
    x, y, radius_m = circle
    spots, nearest, held = table.spots[site], bench.weight[0], 0
    for place in range(NEAR_SPOTS):
        nearest[place] = np.inf
    for spot in range(spots):
        dx, dy = table.spot[site, spot, 0] - x, table.spot[site, spot, 1] - y
        away2 = dx * dx + dy * dy
        bench.away2[spot] = away2
        place = NEAR_SPOTS - 1
        if away2 >= nearest[place]:
            continue
        while place > 0 and nearest[place - 1] > away2:
            nearest[place] = nearest[place - 1]
            place -= 1
        nearest[place] = away2
    # From any point in the circle, the last of these is at most one radius farther away than from
    # the center, and that point is itself up to one radius from the center.
    reach_m = np.sqrt(nearest[NEAR_SPOTS - 1]) + 2 * radius_m
    reach2 = reach_m * reach_m * (1 + 1e-9)
    for spot in range(spots):
        if bench.away2[spot] <= reach2:
            bench.around[held] = spot
            held += 1
    return held


@inlined
def find_near_spots(
    table: Table, bench: Bench, site: int, held: int, machine: int, x: float, y: float
) -> None:
    """Set the nearest spots of a machine, and their weights: inverse squares, together 1.

    Where there are fewer spots, the weight is 0.

    Args:
        table: The tables.
        bench: The bench, with the spots around the block listed.
        site: The site.
        held: How many spots are listed.
        machine: The machine.
        x: Its place, east.
        y: Its place, north.
    """
    near, weight, count = bench.near[machine], bench.weight[machine], 0
    for nth in range(held):
        spot = bench.around[nth]
        dx, dy = table.spot[site, spot, 0] - x, table.spot[site, spot, 1] - y
        away2 = dx * dx + dy * dy
        if count == NEAR_SPOTS and away2 >= weight[count - 1]:
            continue
        place = min(count, NEAR_SPOTS - 1)
        while place > 0 and weight[place - 1] > away2:
            weight[place], near[place] = weight[place - 1], near[place - 1]
            place -= 1
        weight[place], near[place] = away2, spot
        count = min(count + 1, NEAR_SPOTS)
    total = 0.0
    for place in range(NEAR_SPOTS):
        if place < count:
            weight[place] = 1.0 / (weight[place] + 0.01)
            total += weight[place]
        else:
            weight[place], near[place] = 0.0, 0
    for place in range(count):
        weight[place] /= total
