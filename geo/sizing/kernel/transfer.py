"""The transfer table of a site: one machine at a spot, heard at a receiver point. Compiled."""

import numpy as np

from geo.compiled import called, inlined
from geo.propagation.by_distance import look_up
from geo.propagation.one_pair import send_energy, send_over_open_ground
from geo.sizing.kernel.arrays import (
    COLUMNS_MOST,
    NEAR_SPOTS,
    SPOTS_MOST,
    Bench,
    Case,
    Market,
    Study,
    Table,
)

WALL_TABLE_M = 3.0
"""So far from a machine is the wall around its block, for the search."""
NEAREST_M2 = 1.0
NOT_COMPUTED = -1.0


@inlined
def counts(market: Market, site: int, pair: int, point: int) -> bool:
    """Return whether a receiver point counts: on a distant lot, only those that face the site do.

    Args:
        market: The sites.
        site: The site.
        pair: The pair.
        point: One of its receiver points.

    Returns:
        Whether any corner of the box around the site is in front of a side of the lot there.
    """
    hearing = market.hearing
    if not hearing.facing_only[pair]:
        return True
    left, bottom, right, top = hearing.lot[site]
    px, py = hearing.point[point, 0], hearing.point[point, 1]
    for side in range(2):
        x, y = hearing.outward[point, 2 * side], hearing.outward[point, 2 * side + 1]
        # Where there is no side (NaN), this does not hold.
        ahead = x * ((right if x > 0 else left) - px) + y * ((top if y > 0 else bottom) - py)
        if not ahead <= 0:
            return True
    return False


@inlined
def hear(
    study: Study, case: Case, x: float, y: float, wall_m: float, pair: int, point: int
) -> float:
    """Return the ratio of one machine at (x, y) at a receiver point, by the full model.

    Args:
        study: The arrays.
        case: What the question varies.
        x: The machine, east.
        y: The machine, north.
        wall_m: How far the straight line runs to the wall around the block.
        pair: The pair.
        point: One of its receiver points.

    Returns:
        The energy as a share of what the limit allows.
    """
    market, room = study.market, study.bench.room
    hearing, sound = market.hearing, market.sound
    px, py, up = hearing.point[point, 0], hearing.point[point, 1], hearing.height_m[pair]
    if hearing.over_open_ground[pair]:
        away_m = np.sqrt((px - x) ** 2 + (py - y) ** 2)
        energy = send_over_open_ground(sound, room.buffers, away_m, up)
    else:
        wall = (wall_m, case.wall_height_m)
        energy = send_energy(market.sender, sound, room, (x, y), (px, py, up), wall)
    return energy * hearing.per_limit[pair] * case.gain


@inlined
def squared_m(market: Market, x: float, y: float, pair: int, point: int) -> float:
    """Return the squared distance in space from a machine to a receiver point, at least 1 m2.

    Args:
        market: The sites.
        x: The machine, east.
        y: The machine, north.
        pair: The pair.
        point: One of its receiver points.

    Returns:
        The square, over level ground.
    """
    px, py = market.hearing.point[point, 0], market.hearing.point[point, 1]
    up = market.hearing.height_m[pair] - market.sound.source_height_m
    return max((px - x) ** 2 + (py - y) ** 2 + up * up, NEAREST_M2)


@inlined
def column_squared_m(table: Table, site: int, column: int, x: float, y: float) -> float:
    """Return the squared distance from a machine to a column's receiver point, as `squared_m`.

    Args:
        table: The tables.
        site: The site.
        column: The column of its table.
        x: The machine, east.
        y: The machine, north.

    Returns:
        The square, over level ground.
    """
    at = table.column_at[site, column]
    dx, dy = at[0] - x, at[1] - y
    return max(dx * dx + dy * dy + at[2], NEAREST_M2)


@called
def _fill_entry(study: Study, site: int, spot: int, column: int) -> None:
    """Compute one entry of a table, for the plan's rating and no wall."""
    table = study.table
    x, y = table.spot[site, spot, 0], table.spot[site, spot, 1]
    pair, point = table.column_pair[site, column], table.column_point[site, column]
    plain = Case(False, 1.0, 0.0, 0.0)
    ratio = hear(study, plain, x, y, np.nan, pair, point)
    energy = ratio * squared_m(study.market, x, y, pair, point)
    table.energy[site, column, spot] = energy


@inlined
def _share_behind_wall(study: Study, case: Case, site: int, spot: int, column: int) -> float:
    """Return the share of a spot's energy at a column that a wall around a block leaves."""
    table = study.table
    x, y = table.spot[site, spot, 0], table.spot[site, spot, 1]
    pair, point = table.column_pair[site, column], table.column_point[site, column]
    ratio = hear(study, case, x, y, WALL_TABLE_M, pair, point) / case.gain
    return ratio * squared_m(study.market, x, y, pair, point) / table.energy[site, column, spot]


@called
def add_column(study: Study, site: int, pair: int, point: int) -> bool:
    """Add a receiver point to a site's table.

    Args:
        study: The arrays.
        site: The site.
        pair: The pair.
        point: Its receiver point.

    Returns:
        Whether it was added: not if it is there, or the table is full.
    """
    table, hearing = study.table, study.market.hearing
    columns = table.columns[site]
    for column in range(columns):
        if table.column_point[site, column] == point and table.column_pair[site, column] == pair:
            return False
    if columns == COLUMNS_MOST:
        return False
    table.column_pair[site, columns], table.column_point[site, columns] = pair, point
    up = hearing.height_m[pair] - study.market.sound.source_height_m
    at = table.column_at[site, columns]
    at[0], at[1], at[2] = hearing.point[point, 0], hearing.point[point, 1], up * up
    most_back = 0.0 if hearing.over_open_ground[pair] else study.levels.most_back
    table.column_most[site, columns] = hearing.per_limit[pair] * (1.0 + most_back)
    table.scale[site, columns] = 1.0
    table.walled[site, columns] = 0.0
    table.columns[site] = columns + 1
    for spot in range(table.spots[site]):
        table.energy[site, columns, spot] = NOT_COMPUTED
    return True


@called
def add_spot(table: Table, site: int, x: float, y: float) -> bool:
    """Add a spot to a site's table.

    Args:
        table: The tables.
        site: The site.
        x: The spot, east.
        y: The spot, north.

    Returns:
        Whether it was added: not if one is there, or the table is full.
    """
    spots = table.spots[site]
    if spots == SPOTS_MOST:
        return False
    for spot in range(spots):
        if abs(table.spot[site, spot, 0] - x) < 0.5 and abs(table.spot[site, spot, 1] - y) < 0.5:
            return False
    table.spot[site, spots, 0], table.spot[site, spots, 1] = x, y
    table.spots[site] = spots + 1
    for column in range(table.columns[site]):
        table.energy[site, column, spots] = NOT_COMPUTED
    return True


@called
def start_table(study: Study, site: int) -> None:
    """Fill a site's table with the points that are loudest over open ground at some spot.

    For each spot these are the loudest point of all, and the loudest of the other receptors.
    """
    table, hearing = study.table, study.market.hearing
    for spot in range(table.spots[site]):
        x, y = table.spot[site, spot, 0], table.spot[site, spot, 1]
        loudest, second = 0.0, 0.0
        loudest_pair, loudest_point, second_pair, second_point = -1, -1, -1, -1
        for pair in range(hearing.first[site], hearing.first[site + 1]):
            # A receptor whose box is too far to be the loudest or second need not be looked at.
            away_m = box_distance_m(hearing.box[pair], x, y)
            if look_up(study.levels.open, away_m) * hearing.per_limit[pair] <= second:
                continue
            ratio, point = find_loudest_point(study, site, pair, x, y)
            if ratio > loudest:
                second, second_pair, second_point = loudest, loudest_pair, loudest_point
                loudest, loudest_pair, loudest_point = ratio, pair, point
            elif ratio > second:
                second, second_pair, second_point = ratio, pair, point
        if loudest_pair >= 0:
            add_column(study, site, loudest_pair, loudest_point)
        if second_pair >= 0:
            add_column(study, site, second_pair, second_point)


@inlined
def find_loudest_point(study: Study, site: int, pair: int, x: float, y: float) -> tuple[float, int]:
    """Find where a pair hears one machine in the open the loudest.

    Args:
        study: The arrays.
        site: The site.
        pair: The pair.
        x: The machine, east.
        y: The machine, north.

    Returns:
        The ratio there, and the receiver point; 0 and -1 if no point counts.
    """
    hearing, loudest, chosen = study.market.hearing, 0.0, -1
    for point in range(hearing.begin[pair], hearing.end[pair]):
        if not counts(study.market, site, pair, point):
            continue
        away_m = np.sqrt(squared_m(study.market, x, y, pair, point))
        ratio = look_up(study.levels.open, away_m) * hearing.per_limit[pair]
        if ratio > loudest:
            loudest, chosen = ratio, point
    return loudest, chosen


@inlined
def box_distance_m(box: np.ndarray, x: float, y: float) -> float:
    """Return the distance from a point to a box.

    Args:
        box: Left, bottom, right and top (4,).
        x: The point, east.
        y: The point, north.

    Returns:
        The distance in meters; 0 inside.
    """
    dx = max(box[0] - x, x - box[2], 0.0)
    dy = max(box[1] - y, y - box[3], 0.0)
    return np.sqrt(dx * dx + dy * dy)


@inlined
def find_most_around(table: Table, bench: Bench, site: int, held: int, column: int) -> float:
    """Return a column's largest entry at the spots around a block.

    Args:
        table: The tables.
        bench: The bench, with the spots around the block listed.
        site: The site.
        held: How many spots are listed.
        column: The column.

    Returns:
        The entry; NOT_COMPUTED where one of them is.
    """
    most = 0.0
    for nth in range(held):
        energy = table.energy[site, column, bench.around[nth]]
        if energy == NOT_COMPUTED:
            return NOT_COMPUTED
        most = max(most, energy)
    return most


@inlined
def read_table(
    study: Study,
    case: Case,
    site: int,
    column: int,
    x: float,
    y: float,
    near: np.ndarray,
    weight: np.ndarray,
) -> float:
    """Return the ratio of one machine at (x, y) at a column's point, between the spots.

    Args:
        study: The arrays.
        case: What the question varies.
        site: The site.
        column: The column of its table.
        x: The machine, east.
        y: The machine, north.
        near: The nearest spots (NEAR_SPOTS,).
        weight: Their weights (NEAR_SPOTS,).

    Returns:
        The ratio, for the plan's rating.
    """
    table, total = study.table, 0.0
    for place in range(NEAR_SPOTS):
        if weight[place] > 0:
            if table.energy[site, column, near[place]] == NOT_COMPUTED:
                _fill_entry(study, site, near[place], column)
            total += weight[place] * table.energy[site, column, near[place]]
    if case.wall_height_m > 0:
        if table.walled[site, column] == 0:
            table.walled[site, column] = _share_behind_wall(study, case, site, near[0], column)
        total *= table.walled[site, column]
    return total * table.scale[site, column] / column_squared_m(table, site, column, x, y)
