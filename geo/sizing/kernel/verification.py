"""How loud a block is where it is worst: the full model, every machine at its place. Compiled.

Receptors come loudest bound first, until no other could be worse. At a point, one machine at the
block's center is heard first. If all machines there stay PROBE_DB below what would matter, the
point is dropped; otherwise every machine is heard from its own place.
"""

import numpy as np

from geo.compiled import called, inlined
from geo.sizing.kernel.arrays import Answer, Bench, Case, Levels, Market, Table
from geo.sizing.kernel.transfer import box_distance_m, find_near_spots, hear, look_up, read_table, squared_m

PROBE_DB = 8.0
PROBE_IN_SIGHT_DB = 2.5
PROBE = float(10 ** (PROBE_DB / 10))
PROBE_WALLED = 1.26
PROBE_IN_SIGHT = float(10 ** (PROBE_IN_SIGHT_DB / 10))
FAR_M, PROBE_FAR_DB = 60.0, 10.0
"""On a lot farther away than this, the nearest point stands for all if it is this far below."""
PROBE_FAR = float(10 ** (PROBE_FAR_DB / 10))
IN_SIGHT = 0.7
"""Nothing screens a point that gets this share of what it would get over open ground."""
NEARBY_M, NEARBY_SHARE = 5.0, 0.3
"""In a quick look, a machine heard before counts for a block that is at most so far from it, or so
far as a share of the distance to the point. Otherwise it must have stood at the same place."""
SAME_PLACE_M = 0.1
OUTERMOST, SAMPLE_DB = 4, 1.5
SAMPLE = float(10 ** (SAMPLE_DB / 10))
NOBODY, OWN_DWELLING = -1, -2
DECIDE, WORST, EACH_LIMIT = range(3)
"""What is asked: whether the limits are met, the worst ratio, or that of each kind of limit."""
LOUDEST_COLUMNS = 3
"""So many of the table's columns, the loudest by estimate, are heard before all others."""


@inlined
def place_machines(
    market: Market,
    bench: Bench,
    layout: int,
    x: float,
    y: float,
    angle: float,
    running: int,
) -> None:
    """Set where the running machines of a block stand: in its first places, row by row."""
    first = market.blocks.machine_from[layout]
    cos, sin = np.cos(angle), np.sin(angle)
    for k in range(running):
        along, across = market.blocks.machine[first + k, 0], market.blocks.machine[first + k, 1]
        bench.machine[k, 0] = x + along * cos - across * sin
        bench.machine[k, 1] = y + along * sin + across * cos


@inlined
def wall_distance_m(
    market: Market, case: Case, place: np.ndarray, x: float, y: float, point: int
) -> float:
    """Return how far the line from (x, y) to a point runs to the wall around a block.

    For example, for a machine at the middle of a 4 by 4 m block with the wall 1 m outside: 3 m.
    """
    if case.wall_height_m <= 0:
        return np.nan
    cos, sin = np.cos(place[3]), np.sin(place[3])
    px, py = market.hearing.point[point, 0], market.hearing.point[point, 1]
    dx, dy, rx, ry = x - place[1], y - place[2], px - x, py - y
    inner_x, inner_y = dx * cos + dy * sin, dy * cos - dx * sin
    ray_x, ray_y = rx * cos + ry * sin, ry * cos - rx * sin
    layout = int(place[0])
    reach_x = market.blocks.size_m[layout, 0] / 2 + case.wall_away_m
    reach_y = market.blocks.size_m[layout, 1] / 2 + case.wall_away_m
    share = np.inf
    if ray_x != 0:
        share = min(share, ((reach_x if ray_x > 0 else -reach_x) - inner_x) / ray_x)
    if ray_y != 0:
        share = min(share, ((reach_y if ray_y > 0 else -reach_y) - inner_y) / ray_y)
    length = np.sqrt(rx * rx + ry * ry)
    return share * length if length > 0 else 0.0


@called
def hear_block(
    market: Market, bench: Bench, case: Case, place: np.ndarray, running: int, pair: int, point: int
) -> float:
    """Return the ratio of a block at a receiver point: the sum over its machines.

    Args:
        market: The sites.
        bench: The thread's arrays; its machines stand at their places.
        case: What the question varies.
        place: The block: layout, x, y, angle, running machines.
        running: How many machines run.
        pair: The pair.
        point: One of its receiver points.

    Returns:
        The energy as a share of what the limit allows.
    """
    total = 0.0
    for k in range(running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        wall_m = wall_distance_m(market, case, place, x, y, point)
        total += hear(market, bench, case, x, y, wall_m, pair, point)
    return total


@inlined
def _push(bench: Bench, held: int, pair: int, bound: float) -> int:
    place = held
    while place > 0 and bench.bound[(place - 1) // 2] < bound:
        above = (place - 1) // 2
        bench.bound[place], bench.waiting[place] = bench.bound[above], bench.waiting[above]
        place = above
    bench.bound[place], bench.waiting[place] = bound, pair
    return held + 1


@inlined
def _drop_first(bench: Bench, held: int) -> int:
    held -= 1
    bound, pair = bench.bound[held], bench.waiting[held]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= held:
            break
        if below + 1 < held and bench.bound[below + 1] > bench.bound[below]:
            below += 1
        if bench.bound[below] <= bound:
            break
        bench.bound[place], bench.waiting[place] = bench.bound[below], bench.waiting[below]
        place = below
    bench.bound[place], bench.waiting[place] = bound, pair
    return held


@inlined
def _threshold(answer: Answer, question: int, kind: int) -> float:
    """Return the ratio above which a point would change the answer."""
    if question == DECIDE:
        return max(1.0, answer.ratio[0], answer.ratio[1])
    if question == WORST:
        return max(answer.ratio[0], answer.ratio[1])
    return answer.ratio[kind]


@inlined
def _note(answer: Answer, kind: int, ratio: float, pair: int, point: int) -> None:
    if ratio > answer.ratio[kind]:
        answer.ratio[kind], answer.pair[kind], answer.point[kind] = ratio, pair, point


@called
def verify_block(
    market: Market,
    levels: Levels,
    bench: Bench,
    table: Table,
    case: Case,
    site: int,
    question: int,
    quick: bool,
    answer: Answer,
) -> float:
    """Hear the block in `answer` at every receiver point that could matter.

    Args:
        market: The sites.
        levels: Energies over open ground.
        bench: The thread's arrays.
        table: The transfer tables, which say where to listen first.
        case: What the question varies.
        site: The site.
        question: DECIDE stops at the first point that exceeds its limit.
        quick: Whether machines that were heard from other places may rule points out. What a quick
            look finds too loud is too loud, but it may miss a point.
        answer: The block; its ratio, pair and point are set.

    Returns:
        The highest ratio.
    """
    hearing, place = market.hearing, answer.place
    x, y = place[1], place[2]
    running = int(place[4])
    bench.room.sent[1] += 1
    place_machines(market, bench, int(place[0]), x, y, place[3], running)
    for kind in range(2):
        answer.ratio[kind], answer.pair[kind], answer.point[kind] = 0.0, NOBODY, NOBODY
    if running == 0:
        return 0.0
    if hearing.own[site] > 0:
        _note(answer, 0, hearing.own[site] * running * case.gain, OWN_DWELLING, NOBODY)
    upper = levels.upper_walled if case.wall_height_m > 0 else levels.upper
    half_m = 0.0
    for k in range(running):
        half_m = max(half_m, (bench.machine[k, 0] - x) ** 2 + (bench.machine[k, 1] - y) ** 2)
    half_m = np.sqrt(half_m)
    _find_outermost(bench, running)
    loudness = running * case.gain
    _hear_loudest_columns(market, bench, table, case, site, running, answer)
    if question == DECIDE and max(answer.ratio[0], answer.ratio[1]) > 1.0:
        return max(answer.ratio[0], answer.ratio[1])
    held = 0
    for pair in range(hearing.first[site], hearing.first[site + 1]):
        if case.certain_only and not hearing.certain[pair]:
            continue
        away_m = box_distance_m(hearing.box[pair], x, y) - half_m
        bound = loudness * look_up(upper, max(away_m, 0.0)) * hearing.per_limit[pair]
        if bound > _threshold(answer, question, int(hearing.by_rule[pair])):
            held = _push(bench, held, pair, bound)
    while held:
        pair, bound = bench.waiting[0], bench.bound[0]
        held = _drop_first(bench, held)
        kind = int(hearing.by_rule[pair])
        if bound <= _threshold(answer, question, kind):
            if question == EACH_LIMIT:
                continue
            break
        is_far = box_distance_m(hearing.box[pair], x, y) > FAR_M
        if quick and is_far and _is_lot_surely_quieter(
            market, levels, bench, table, case, place, running, pair,
            _threshold(answer, question, kind),
        ):  # fmt: skip
            continue
        for point in range(hearing.begin[pair], hearing.end[pair]):
            least = _threshold(answer, question, kind)
            if _is_surely_quieter(
                market, levels, bench, table, case, place, running, pair, point, least, quick
            ):
                continue
            bench.room.sent[4] += 1
            bench.room.sent[5] += running
            ratio = hear_block(market, bench, case, place, running, pair, point)
            if running == 1 and case.wall_height_m <= 0:
                slot = table.probe_from[pair] + point - hearing.begin[pair]
                heard = ratio / case.gain * squared_m(market, x, y, pair, point)
                _keep_probe(table, 0, slot, x, y, heard)
            _note(answer, kind, ratio, pair, point)
            if question == DECIDE and ratio > 1.0:
                return ratio
    return max(answer.ratio[0], answer.ratio[1])


@inlined
def _is_probe_nearby(
    table: Table, kind: int, slot: int, x: float, y: float, away2: float, quick: bool
) -> bool:
    """Return whether a point was heard from (x, y), or in a quick look from nearby, before."""
    shift2 = (table.probe_x[kind, slot] - x) ** 2 + (table.probe_y[kind, slot] - y) ** 2
    most2 = max(NEARBY_SHARE**2 * away2, NEARBY_M**2) if quick else SAME_PLACE_M**2
    return table.probe[kind, slot] > 0 and shift2 <= most2


@inlined
def _keep_probe(table: Table, kind: int, slot: int, x: float, y: float, heard: float) -> None:
    table.probe_x[kind, slot], table.probe_y[kind, slot] = x, y
    table.probe[kind, slot] = heard


@called
def _is_lot_surely_quieter(
    market: Market,
    levels: Levels,
    bench: Bench,
    table: Table,
    case: Case,
    place: np.ndarray,
    running: int,
    pair: int,
    least: float,
) -> bool:
    """Return whether a block stays below a ratio on a whole distant lot, by its nearest point."""
    hearing, x, y = market.hearing, place[1], place[2]
    point, away2 = hearing.begin[pair], np.inf
    for other in range(hearing.begin[pair], hearing.end[pair]):
        own2 = squared_m(market, x, y, pair, other)
        if own2 < away2:
            point, away2 = other, own2
    slot = table.probe_from[pair] + point - hearing.begin[pair]
    if not _is_probe_nearby(table, 0, slot, x, y, away2, True):
        plain = Case(False, 1.0, 0.0, 0.0)
        heard = hear(market, bench, plain, x, y, np.nan, pair, point) * away2
        _keep_probe(table, 0, slot, x, y, heard)
    return running * table.probe[0, slot] * case.gain / away2 * PROBE_FAR <= least


@inlined
def _is_surely_quieter(
    market: Market,
    levels: Levels,
    bench: Bench,
    table: Table,
    case: Case,
    place: np.ndarray,
    running: int,
    pair: int,
    point: int,
    least: float,
    quick: bool,
) -> bool:
    """Return whether a block stays below a ratio at a point, by bounds and by single machines.

    First the bound of each machine over open ground; then one machine at the block's center; then
    the outermost machines of the block.
    """
    hearing = market.hearing
    px, py = hearing.point[point, 0], hearing.point[point, 1]
    upper = levels.upper_walled if case.wall_height_m > 0 else levels.upper
    bound, nearer = 0.0, 0.0
    for k in range(running):
        own2 = squared_m(market, bench.machine[k, 0], bench.machine[k, 1], pair, point)
        bound += look_up(upper, np.sqrt(own2))
        nearer += 1.0 / own2
    bench.room.sent[2] += 1
    if bound * hearing.per_limit[pair] * case.gain <= least:
        return True
    x, y = place[1], place[2]
    away2 = squared_m(market, x, y, pair, point)
    slot = table.probe_from[pair] + point - hearing.begin[pair]
    walled = case.wall_height_m > 0
    over_open = look_up(levels.open, np.sqrt(away2)) * hearing.per_limit[pair] * away2
    is_nearby = _is_probe_nearby(table, 0, slot, x, y, away2, quick)
    if running == 1 and not walled and not is_nearby:
        return False
    margin = PROBE
    if not is_nearby:
        plain = Case(False, 1.0, 0.0, 0.0)
        heard = hear(market, bench, plain, x, y, np.nan, pair, point) * away2
        _keep_probe(table, 0, slot, x, y, heard)
        if heard >= IN_SIGHT * over_open:
            margin = PROBE_IN_SIGHT
    heard = table.probe[0, slot]
    if walled:
        # No wall makes it louder; in sight, it takes about what it takes over open ground.
        margin = PROBE_WALLED
        if heard >= IN_SIGHT * over_open:
            taken = look_up(levels.upper_walled, np.sqrt(away2)) / look_up(
                levels.upper, np.sqrt(away2)
            )
            margin = min(margin, taken * PROBE)
    if quick or walled:
        if nearer * heard * case.gain * margin <= least:
            return True
    elif nearer * heard * case.gain * SAMPLE > least:
        return False
    if running == 1:
        return False
    loudest = heard * case.gain
    if walled:
        if not _is_probe_nearby(table, 1, slot, x, y, away2, quick):
            wall_m = wall_distance_m(market, case, place, x, y, point)
            heard = hear(market, bench, case, x, y, wall_m, pair, point) * away2
            _keep_probe(table, 1, slot, x, y, heard / case.gain)
        loudest = table.probe[1, slot] * case.gain
        if quick and nearer * loudest * PROBE <= least:
            return True
    if running <= OUTERMOST:
        return False
    for nth in range(OUTERMOST):
        k = bench.outermost[nth]
        mx, my = bench.machine[k, 0], bench.machine[k, 1]
        wall_m = wall_distance_m(market, case, place, mx, my, point)
        heard = hear(market, bench, case, mx, my, wall_m, pair, point)
        loudest = max(loudest, heard * squared_m(market, mx, my, pair, point))
        if nearer * loudest * SAMPLE > least:
            return False
    return True


@inlined
def _find_outermost(bench: Bench, running: int) -> None:
    """Set the machines that stand farthest west, east, south and north."""
    for nth in range(OUTERMOST):
        bench.outermost[nth] = 0
    for k in range(1, running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        if x < bench.machine[bench.outermost[0], 0]:
            bench.outermost[0] = k
        if x > bench.machine[bench.outermost[1], 0]:
            bench.outermost[1] = k
        if y < bench.machine[bench.outermost[2], 1]:
            bench.outermost[2] = k
        if y > bench.machine[bench.outermost[3], 1]:
            bench.outermost[3] = k


@inlined
def _hear_loudest_columns(
    market: Market,
    bench: Bench,
    table: Table,
    case: Case,
    site: int,
    running: int,
    answer: Answer,
) -> None:
    """Hear the block at the columns of the table where the estimate is highest."""
    hearing, place = market.hearing, answer.place
    near, weight = bench.near[0], bench.weight[0]
    find_near_spots(table, site, place[1], place[2], near, weight)
    below = np.inf
    for _ in range(LOUDEST_COLUMNS):
        loudest, chosen = 0.0, -1
        for column in range(table.columns[site]):
            pair = table.column_pair[site, column]
            if case.certain_only and not hearing.certain[pair]:
                continue
            ratio = read_table(market, bench, table, case, site, column, place[1], place[2], near, weight)
            if loudest < ratio < below:
                loudest, chosen = ratio, column
        if chosen < 0:
            break
        below = loudest
        pair, point = table.column_pair[site, chosen], table.column_point[site, chosen]
        ratio = hear_block(market, bench, case, place, running, pair, point)
        _note(answer, int(hearing.by_rule[pair]), ratio, pair, point)
