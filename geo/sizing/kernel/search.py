"""Find the place for a block of n machines that the transfer table says is the quietest. Compiled.

The places tried are those of the ground, and for each layout an exact place, which is found however
tight the ground is. The quietest few are moved in ever smaller steps while that helps.
"""

import numpy as np

from geo.compiled import called, inlined
from geo.shapes.rectangles import fits_at, rotate_edges, search_center
from geo.sizing.kernel.arrays import (
    CANDIDATES,
    RANKED_PLACES,
    Bench,
    Case,
    Grounds,
    Market,
    Table,
)
from geo.sizing.kernel.transfer import find_near_spots, is_computed, read_table
from geo.sizing.kernel.verification import place_machines

ROUGH = 1.5
"""A place where all machines at the block's center would be louder than this many times the best
block so far is not looked at."""
TRIED_PLACES = 4
"""So many of the quietest places at which a layout fits are tried."""
ALL_TURNS, FEW_TURNS = 1_000_000, 6
HALVINGS = 3
MOVES = 2  # of each size
WORTHWHILE = 1e-4
AREA_TOLERANCE_M2 = 0.1


@called
def estimate_ratio(
    market: Market,
    bench: Bench,
    table: Table,
    case: Case,
    site: int,
    layout: int,
    x: float,
    y: float,
    angle: float,
    running: int,
    give_up: float,
) -> float:
    """Return the highest ratio of a block by the table, or anything above `give_up` if it is above.

    Args:
        market: The sites.
        bench: The thread's arrays.
        table: The transfer tables.
        case: What the question varies.
        site: The site.
        layout: The block's layout.
        x: Its center, east.
        y: Its center, north.
        angle: Its direction in radians.
        running: How many machines run.
        give_up: The ratio above which the block is of no interest.

    Returns:
        The ratio.
    """
    place_machines(market, bench, layout, x, y, angle, running)
    for k in range(running):
        find_near_spots(
            table, site, bench.machine[k, 0], bench.machine[k, 1], bench.near[k], bench.weight[k]
        )
    worst = market.hearing.own[site] * running * case.gain
    # First the columns that are computed at the spots near all machines.
    for computed in (True, False):
        for column in range(table.columns[site]):
            if case.certain_only and not market.hearing.certain[table.column_pair[site, column]]:
                continue
            ready = True
            for k in range(running):
                ready &= is_computed(table, case, site, column, bench.near[k], bench.weight[k])
            if ready != computed:
                continue
            total = 0.0
            for k in range(running):
                total += read_table(
                    market, bench, table, case, site, column, bench.machine[k, 0],
                    bench.machine[k, 1], bench.near[k], bench.weight[k],
                )  # fmt: skip
            worst = max(worst, total * case.gain)
            if worst > give_up:
                return worst
    return worst


@inlined
def _estimate_at_center(
    market: Market,
    bench: Bench,
    table: Table,
    case: Case,
    site: int,
    x: float,
    y: float,
    give_up: float,
) -> float:
    """Return the highest ratio of one machine at a point by the table, as `estimate_ratio`."""
    near, weight = bench.near[0], bench.weight[0]
    find_near_spots(table, site, x, y, near, weight)
    worst = market.hearing.own[site]
    for computed in (True, False):
        for column in range(table.columns[site]):
            if case.certain_only and not market.hearing.certain[table.column_pair[site, column]]:
                continue
            if is_computed(table, case, site, column, near, weight) != computed:
                continue
            ratio = read_table(market, bench, table, case, site, column, x, y, near, weight)
            worst = max(worst, ratio)
            if worst * case.gain > give_up:
                return worst * case.gain
    return worst * case.gain


@called
def _find_fit(
    market: Market, bench: Bench, ground: Grounds, site: int, layout: int, turns: int
) -> None:
    """Find the first of some directions in which a layout fits, and an exact place for it."""
    size = market.blocks.size_m[layout]
    first, last = ground.edge_from[site], ground.edge_from[site + 1]
    bench.fit[layout] = -1
    if size[0] * size[1] > ground.open_m2[site] + AREA_TOLERANCE_M2:
        return
    if min(size[0], size[1]) > ground.width_m[site] or max(size[0], size[1]) > ground.long_m[site]:
        return
    first_turn, last_turn = ground.turn_from[site], ground.turn_from[site + 1]
    for turn in range(first_turn, min(first_turn + turns, last_turn)):
        box = rotate_edges(ground.edge[first:last], ground.turn[turn], bench.edge)
        for across in range(2):
            state, x, y = search_center(
                bench.edge[: last - first], box, size[across], size[1 - across], bench.stack
            )
            if state > 0:
                bench.fit[layout] = 1
                bench.fit_turn[layout], bench.fit_across[layout] = turn, across
                bench.fit_at[layout, 0], bench.fit_at[layout, 1] = x, y
                return


@inlined
def _rank_places(
    market: Market, bench: Bench, ground: Grounds, table: Table, case: Case, site: int
) -> int:
    """List the quietest places of the ground for one machine, the quietest first; return how many."""
    held = 0
    for k in range(ground.place_from[site], ground.place_from[site + 1]):
        most = bench.ranked_ratio[held - 1] if held == RANKED_PLACES else np.inf
        ratio = _estimate_at_center(
            market, bench, table, case, site, ground.place[k, 0], ground.place[k, 1], most
        )
        if ratio >= most:
            continue
        place = min(held, RANKED_PLACES - 1)
        while place > 0 and bench.ranked_ratio[place - 1] > ratio:
            bench.ranked_ratio[place] = bench.ranked_ratio[place - 1]
            bench.ranked[place] = bench.ranked[place - 1]
            place -= 1
        bench.ranked_ratio[place], bench.ranked[place] = ratio, k
        held = min(held + 1, RANKED_PLACES)
    return held


@inlined
def _keep(bench: Bench, ratio: float, layout: int, x: float, y: float, angle: float) -> None:
    """Keep a place among the quietest few."""
    candidate = bench.candidate
    place = CANDIDATES - 1
    if ratio >= candidate[place, 0]:
        return
    while place > 0 and candidate[place - 1, 0] > ratio:
        for column in range(5):
            candidate[place, column] = candidate[place - 1, column]
        place -= 1
    candidate[place, 0], candidate[place, 1] = ratio, layout
    candidate[place, 2], candidate[place, 3], candidate[place, 4] = x, y, angle


@called
def find_quiet_place(
    market: Market,
    bench: Bench,
    ground: Grounds,
    table: Table,
    case: Case,
    site: int,
    count: int,
    move: bool,
    place: np.ndarray,
) -> float:
    """Find a quiet place for a block on a site's ground, and return its ratio by the table.

    Args:
        market: The sites.
        bench: The thread's arrays. Its fits must be those of this ground, or not tried.
        ground: The ground.
        table: The transfer tables.
        case: What the question varies.
        site: The site.
        count: How many machines.
        move: Whether to move the quietest few to quieter places.
        place: Set to layout, x, y, angle and running machines.

    Returns:
        The ratio; infinite where the block does not fit.
    """
    for nth in range(CANDIDATES):
        bench.candidate[nth, 0] = np.inf
    first, last = ground.edge_from[site], ground.edge_from[site + 1]
    ranked = _rank_places(market, bench, ground, table, case, site)
    turns = ALL_TURNS
    for layout in range(market.blocks.first[count], market.blocks.first[count + 1]):
        if bench.fit[layout] == 0:
            _find_fit(market, bench, ground, site, layout, turns)
        if bench.fit[layout] < 0:
            continue
        # The noise hardly depends on the direction, so that one layout is enough to be sure of.
        turns = FEW_TURNS
        _try_layout(market, bench, ground, table, case, site, count, layout, first, last, ranked)
    if move:
        for nth in range(CANDIDATES):
            if np.isfinite(bench.candidate[nth, 0]):
                _move_to_quieter(
                    market, bench, ground, table, case, site, nth,
                    market.blocks.running[count], first, last,
                )  # fmt: skip
    best = 0
    for nth in range(1, CANDIDATES):
        if bench.candidate[nth, 0] < bench.candidate[best, 0]:
            best = nth
    for column in range(4):
        place[column] = bench.candidate[best, 1 + column]
    place[4] = market.blocks.running[count]
    return bench.candidate[best, 0]


@called
def _try_layout(
    market: Market,
    bench: Bench,
    ground: Grounds,
    table: Table,
    case: Case,
    site: int,
    count: int,
    layout: int,
    first: int,
    last: int,
    ranked: int,
) -> None:
    """Try a layout at its exact place, and at the quietest places in the same direction."""
    turn, across = ground.turn[bench.fit_turn[layout]], bench.fit_across[layout]
    size, running = market.blocks.size_m[layout], market.blocks.running[count]
    cos, sin = np.cos(turn), np.sin(turn)
    angle = turn + (np.pi / 2 if across else 0.0)
    rotate_edges(ground.edge[first:last], turn, bench.edge)
    level = bench.edge[: last - first]
    x, y = bench.fit_at[layout, 0], bench.fit_at[layout, 1]
    x, y = x * cos - y * sin, x * sin + y * cos
    _keep(
        bench,
        estimate_ratio(market, bench, table, case, site, layout, x, y, angle, running, np.inf),
        layout, x, y, angle,
    )  # fmt: skip
    fitting = 0
    for nth in range(ranked):
        k = bench.ranked[nth]
        x, y = ground.place[k, 0], ground.place[k, 1]
        worst = bench.candidate[CANDIDATES - 1, 0]
        if running * bench.ranked_ratio[nth] > ROUGH * worst or fitting == TRIED_PLACES:
            break
        if not fits_at(level, x * cos + y * sin, y * cos - x * sin, size[across], size[1 - across]):
            continue
        fitting += 1
        ratio = estimate_ratio(
            market, bench, table, case, site, layout, x, y, angle, running, worst
        )
        _keep(bench, ratio, layout, x, y, angle)


@called
def _move_to_quieter(
    market: Market,
    bench: Bench,
    ground: Grounds,
    table: Table,
    case: Case,
    site: int,
    nth: int,
    running: int,
    first: int,
    last: int,
) -> None:
    """Move a candidate by steps along its sides, half as long each time, while that helps."""
    candidate = bench.candidate[nth]
    layout, angle = int(candidate[1]), candidate[4]
    size = market.blocks.size_m[layout]
    cos, sin = np.cos(angle), np.sin(angle)
    rotate_edges(ground.edge[first:last], angle, bench.edge)
    level = bench.edge[: last - first]
    step = ground.step_m[site]
    for _ in range(HALVINGS):
        step /= 2
        for _ in range(MOVES):
            start_x, start_y = candidate[2], candidate[3]
            least = candidate[0]
            for direction in range(9):
                along, across = (direction % 3 - 1) * step, (direction // 3 - 1) * step
                x = start_x + along * cos - across * sin
                y = start_y + along * sin + across * cos
                if direction == 4 or not fits_at(
                    level, x * cos + y * sin, y * cos - x * sin, size[0], size[1]
                ):
                    continue
                ratio = estimate_ratio(
                    market, bench, table, case, site, layout, x, y, angle, running, least
                )
                if ratio < least * (1 - WORTHWHILE):
                    least = ratio
                    candidate[0], candidate[2], candidate[3] = ratio, x, y
            if candidate[2] == start_x and candidate[3] == start_y:
                break
