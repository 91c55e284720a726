"""Estimate by the transfer table how loud a block is where it is loudest. Compiled.

A few points stand for the machines of a block. The column that was the loudest at the last
place looked at comes first, since it mostly is again. Others are looked at only if they could be
louder, and those that need a ray come last.
"""

import numpy as np

from geo.compiled import called, inlined
from geo.propagation.by_distance import look_up
from geo.propagation.crossings import distance_m
from geo.sizing.kernel.arrays import Case, Study
from geo.sizing.kernel.bounds import move_into_place
from geo.sizing.kernel.spots import find_near_spots, list_spots_around
from geo.sizing.kernel.transfer import (
    NOT_COMPUTED,
    column_squared_m,
    find_most_around,
    read_table,
)

QUIETER, READY, LACKS_RAYS = range(3)
"""Whether a column could be louder than a ratio, and if so, whether its entries are computed."""


@called
def estimate_ratio(study: Study, case: Case, site: int, place: np.ndarray, give_up: float) -> float:
    """Return the highest ratio of a block by the table, or anything above `give_up` if it is above.

    Args:
        study: The arrays.
        case: What the question varies.
        site: The site.
        place: The block (PLACE_COLUMNS,).
        give_up: The ratio above which the block is of no interest.

    Returns:
        The ratio.
    """
    size_m = study.market.blocks.size_m[int(place[0])]
    circle = (place[1], place[2], distance_m(size_m[0], size_m[1]) / 2)
    points = place_points(study, place)
    return _estimate_points(study, case, site, circle, points, place[4], give_up)


@inlined
def place_points(study: Study, place: np.ndarray) -> int:
    """Set the points that stand for the running machines of a block, and how many each stands for.

    Args:
        study: The arrays.
        place: The block (PLACE_COLUMNS,).

    Returns:
        How many points.
    """
    blocks, bench = study.market.blocks, study.bench
    first, last = blocks.point_from[int(place[0])], blocks.point_from[int(place[0]) + 1]
    move_into_place(place, blocks.point[first:last], bench.machine)
    for k in range(last - first):
        bench.machines[k] = blocks.machines[first + k]
    return last - first


@called
def _estimate_points(
    study: Study,
    case: Case,
    site: int,
    circle: tuple[float, float, float],
    points: int,
    running: float,
    give_up: float,
) -> float:
    """Return the highest ratio of the machines on the bench by the table, as `estimate_ratio`.

    Args:
        study: The arrays; the points that stand for the machines are on the bench.
        case: What the question varies.
        site: The site.
        circle: A circle that contains the points: its center and its radius.
        points: How many points.
        running: How many machines run.
        give_up: The ratio above which they are of no interest.

    Returns:
        The ratio.
    """
    table, bench = study.table, study.bench
    held = list_spots_around(table, bench, site, circle)
    times = running * case.gain
    worst = study.market.hearing.own[site] * times
    # First the column that was the loudest at the last place, then those that need no ray.
    guess = table.loudest[site]
    worst = max(worst, _find_spots_and_sum(study, case, site, guess, points, held, give_up))
    for ready in (True, False):
        lacks_rays = False
        for column in range(table.columns[site]):
            if worst > give_up:
                return worst
            if column == guess or (case.certain_only and not _is_certain(study, site, column)):
                continue
            could_be = _bound_column(study, case, site, column, circle, times, held, worst)
            if could_be == QUIETER:
                continue
            if (could_be == READY) != ready:
                lacks_rays = True
                continue
            ratio = sum_column(study, case, site, column, points, give_up)
            if ratio > worst:
                worst, table.loudest[site] = ratio, column
        if not lacks_rays:
            break
    return worst


@inlined
def _find_spots_and_sum(
    study: Study, case: Case, site: int, column: int, points: int, held: int, give_up: float
) -> float:
    """Find the spots near each point, and return the sum at a column; 0 if it does not count.

    Above `give_up`, the other points are left out.
    """
    table, bench = study.table, study.bench
    is_heard = column < table.columns[site]
    if case.certain_only and is_heard:
        is_heard = _is_certain(study, site, column)
    total = 0.0
    for k in range(points):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        find_near_spots(table, bench, site, held, k, x, y)
        if is_heard:
            near, weight, gain = bench.near[k], bench.weight[k], case.gain * bench.machines[k]
            total += gain * read_table(study, case, site, column, x, y, near, weight)
            if total > give_up:
                break
    return total


@inlined
def _bound_column(
    study: Study,
    case: Case,
    site: int,
    column: int,
    circle: tuple[float, float, float],
    times: float,
    held: int,
    worst: float,
) -> int:
    """Return whether machines in a circle, together `times` as loud as one, could exceed a ratio.

    Either by what arrives over open ground, or by the column's largest entry around the circle.

    Returns:
        QUIETER, READY where no ray is needed to tell, or LACKS_RAYS.
    """
    table = study.table
    away_m = np.sqrt(column_squared_m(table, site, column, circle[0], circle[1]))
    near_m = max(away_m - circle[2], 1.0)
    if look_up(study.levels.open, near_m) * times * table.column_most[site, column] <= worst:
        return QUIETER
    most = find_most_around(table, study.bench, site, held, column)
    if most == NOT_COMPUTED:
        return LACKS_RAYS
    most *= table.scale[site, column]
    if case.wall_height_m > 0:
        if table.walled[site, column] == 0:
            return LACKS_RAYS
        most *= table.walled[site, column]
    return READY if most * times > worst * near_m * near_m else QUIETER


@inlined
def _is_certain(study: Study, site: int, column: int) -> bool:
    return study.market.hearing.certain[study.table.column_pair[site, column]]


@inlined
def sum_column(
    study: Study, case: Case, site: int, column: int, points: int, give_up: float
) -> float:
    """Return the sum over a block's machines at a column, by the table.

    Args:
        study: The arrays; the points that stand for the machines and the spots near them are set.
        case: What the question varies.
        site: The site.
        column: The column of its table.
        points: How many points.
        give_up: The sum above which the rest of the points need not be added.

    Returns:
        The ratio.
    """
    bench, total = study.bench, 0.0
    for k in range(points):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        near, weight, gain = bench.near[k], bench.weight[k], case.gain * bench.machines[k]
        total += gain * read_table(study, case, site, column, x, y, near, weight)
        if total > give_up:
            break
    return total


@inlined
def estimate_at(study: Study, case: Case, site: int, x: float, y: float, give_up: float) -> float:
    """Return the highest ratio of one machine at a point by the table, as `estimate_ratio`.

    Args:
        study: The arrays.
        case: What the question varies.
        site: The site.
        x: The point, east.
        y: The point, north.
        give_up: The ratio above which the point is of no interest.

    Returns:
        The ratio.
    """
    bench = study.bench
    bench.machine[0, 0], bench.machine[0, 1], bench.machines[0] = x, y, 1.0
    return _estimate_points(study, case, site, (x, y, 0.0), 1, 1.0, give_up)
