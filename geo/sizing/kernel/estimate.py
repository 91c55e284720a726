"""Estimate by the transfer table how loud a block is where it is loudest. Compiled.

The column that was the loudest at the last place looked at comes first, since it mostly is again.
Others are looked at only if they could be louder, and those that need a ray come last.
"""

import numpy as np

from geo.compiled import called, inlined
from geo.propagation.by_distance import look_up
from geo.propagation.crossings import distance_m
from geo.sizing.kernel.arrays import Case, Study
from geo.sizing.kernel.bounds import place_machines
from geo.sizing.kernel.transfer import (
    column_squared_m,
    find_near_spots,
    is_computed,
    read_table,
)


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
    place_machines(study, place)
    circle = (place[1], place[2], distance_m(size_m[0], size_m[1]) / 2)
    return _estimate_machines(study, case, site, circle, int(place[4]), give_up)


@called
def _estimate_machines(
    study: Study,
    case: Case,
    site: int,
    circle: tuple[float, float, float],
    running: int,
    give_up: float,
) -> float:
    """Return the highest ratio of the machines on the bench by the table, as `estimate_ratio`.

    Args:
        study: The arrays; the machines stand at their places.
        case: What the question varies.
        site: The site.
        circle: A circle that contains the machines: its center and its radius.
        running: How many machines run.
        give_up: The ratio above which they are of no interest.

    Returns:
        The ratio.
    """
    table = study.table
    worst = study.market.hearing.own[site] * running * case.gain
    # First the column that was the loudest at the last place, then those that need no ray.
    guess = table.loudest[site]
    worst = max(worst, _find_spots_and_sum(study, case, site, guess, running, give_up))
    if worst > give_up:
        return worst
    for ready in (True, False):
        for column in range(table.columns[site]):
            if column == guess:
                continue
            if case.certain_only and not _is_certain(study, site, column):
                continue
            if not _could_be_louder(study, case, site, column, circle, running, worst):
                continue
            if _is_ready(study, case, site, column, running) != ready:
                continue
            ratio = sum_column(study, case, site, column, running, give_up)
            if ratio > worst:
                worst, table.loudest[site] = ratio, column
            if worst > give_up:
                return worst
    return worst


@inlined
def _find_spots_and_sum(
    study: Study, case: Case, site: int, column: int, running: int, give_up: float
) -> float:
    """Find the spots near each machine, and return the sum at a column; 0 if it does not count.

    Above `give_up`, the other machines are left out.
    """
    table, bench = study.table, study.bench
    is_heard = column < table.columns[site]
    if case.certain_only and is_heard:
        is_heard = _is_certain(study, site, column)
    total = 0.0
    for k in range(running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        near, weight = bench.near[k], bench.weight[k]
        find_near_spots(table, site, x, y, near, weight)
        if is_heard:
            total += case.gain * read_table(study, case, site, column, x, y, near, weight)
            if total > give_up:
                break
    return total


@inlined
def _is_ready(study: Study, case: Case, site: int, column: int, running: int) -> bool:
    """Return whether a column is computed at the spots near all machines."""
    bench = study.bench
    for k in range(running):
        if not is_computed(study.table, case, site, column, bench.near[k], bench.weight[k]):
            return False
    return True


@inlined
def _could_be_louder(
    study: Study,
    case: Case,
    site: int,
    column: int,
    circle: tuple[float, float, float],
    running: int,
    worst: float,
) -> bool:
    """Return whether machines in a circle could exceed a ratio at a column.

    Either by what arrives over open ground, or by the column's largest entry.
    """
    table = study.table
    away_m = np.sqrt(column_squared_m(table, site, column, circle[0], circle[1]))
    near_m = max(away_m - circle[2], 1.0)
    times = running * case.gain
    if table.missing[site, column] == 0:
        most = table.most[site, column] * table.scale[site, column]
        if case.wall_height_m > 0 and table.walled[site, column] > 0:
            most *= table.walled[site, column]
        if most * times <= worst * near_m * near_m:
            return False
    return look_up(study.levels.open, near_m) * times * table.column_most[site, column] > worst


@inlined
def _is_certain(study: Study, site: int, column: int) -> bool:
    return study.market.hearing.certain[study.table.column_pair[site, column]]


@inlined
def sum_column(
    study: Study, case: Case, site: int, column: int, running: int, give_up: float
) -> float:
    """Return the sum over a block's machines at a column, by the table.

    Args:
        study: The arrays; the machines stand at their places, and the spots near them are set.
        case: What the question varies.
        site: The site.
        column: The column of its table.
        running: How many machines run.
        give_up: The sum above which the rest of the machines need not be added.

    Returns:
        The ratio.
    """
    bench, total = study.bench, 0.0
    for k in range(running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        near, weight = bench.near[k], bench.weight[k]
        total += case.gain * read_table(study, case, site, column, x, y, near, weight)
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
    study.bench.machine[0, 0], study.bench.machine[0, 1] = x, y
    return _estimate_machines(study, case, site, (x, y, 0.0), 1, give_up)
