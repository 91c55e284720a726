"""How loud a block is where it is worst: the full model, every machine at its place. Compiled.

Receptors come loudest bound first, until no other could be worse. At each receiver point, the block
is first bounded: by what would arrive in the open, and by the walls that could reflect to there. Of
a block of many machines, the one nearest to the center and the outermost are then heard; the point
is dropped if all machines together, each as loud as the loudest of those, and SAMPLE_DB more, would
not matter. Otherwise every machine is heard from its own place.
"""

import numpy as np

from geo.compiled import called, inlined
from geo.propagation.by_distance import look_up, sum_left
from geo.propagation.band_energy import NEAREST_M
from geo.propagation.crossings import distance_m, ground_height_m
from geo.propagation.one_pair import set_own_wall
from geo.propagation.reflection_bound import bound_reflections, list_walls_near
from geo.propagation.reflections import REFLECTOR_REACH_M
from geo.sizing.kernel.arrays import Answer, Bench, Case, Levels, Market, Table
from geo.sizing.kernel.transfer import (
    box_distance_m,
    counts,
    find_near_spots,
    hear,
    read_table,
    squared_m,
)

OUTERMOST, SAMPLE_DB = 4, 1.5
SAMPLE = float(10 ** (SAMPLE_DB / 10))
WAYS = 3.0
"""Behind a wall, sound can come over the top and around both sides of what stands behind it."""
NOBODY, OWN_DWELLING = -1, -2
MEETS, MEETS_EACH, WORST, EACH_LIMIT = range(4)
"""What is asked: whether the limits are met; the same, and the ratio by each kind of limit if they
are; the worst ratio; or that by each kind of limit."""
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
    if question == MEETS:
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
    answer: Answer,
) -> float:
    """Hear the block in `answer` at every receiver point that could matter.

    Args:
        market: The sites.
        levels: Bounds by distance.
        bench: The thread's arrays.
        table: The transfer tables, which say where to listen first.
        case: What the question varies.
        site: The site.
        question: MEETS and MEETS_EACH stop at the first point that exceeds its limit.
        answer: The block; its ratio, pair and point are set.

    Returns:
        The highest ratio.
    """
    hearing, place = market.hearing, answer.place
    x, y = place[1], place[2]
    running = int(place[4])
    place_machines(market, bench, int(place[0]), x, y, place[3], running)
    for kind in range(2):
        answer.ratio[kind], answer.pair[kind], answer.point[kind] = 0.0, NOBODY, NOBODY
    if running == 0:
        return 0.0
    if hearing.own[site] > 0:
        _note(answer, 0, hearing.own[site] * running * case.gain, OWN_DWELLING, NOBODY)
    radius_m = 0.0
    for k in range(running):
        radius_m = max(radius_m, (bench.machine[k, 0] - x) ** 2 + (bench.machine[k, 1] - y) ** 2)
    radius_m = np.sqrt(radius_m)
    _hear_loudest_columns(market, bench, table, case, site, running, answer)
    stops = question <= MEETS_EACH
    if stops and max(answer.ratio[0], answer.ratio[1]) > 1.0:
        return max(answer.ratio[0], answer.ratio[1])
    _find_outermost(bench, running, x, y)
    scene = market.sound.scene
    walls = list_walls_near(
        scene, bench.room.scratch, x, y, REFLECTOR_REACH_M + radius_m, bench.near_block
    )
    held = _list_waiting(market, levels, bench, case, site, question, running, radius_m, answer)
    while held:
        pair, bound = bench.waiting[0], bench.bound[0]
        held = _drop_first(bench, held)
        kind = int(hearing.by_rule[pair])
        if bound <= _threshold(answer, question, kind):
            continue
        for point in range(hearing.begin[pair], hearing.end[pair]):
            if not counts(market, site, pair, point) or _is_surely_quieter(
                market, levels, bench, case, place, running, radius_m, walls, pair, point,
                _threshold(answer, question, kind),
            ):  # fmt: skip
                continue
            ratio = hear_block(market, bench, case, place, running, pair, point)
            _note(answer, kind, ratio, pair, point)
            if stops and ratio > 1.0:
                return ratio
    return max(answer.ratio[0], answer.ratio[1])


@inlined
def _list_waiting(
    market: Market,
    levels: Levels,
    bench: Bench,
    case: Case,
    site: int,
    question: int,
    running: int,
    radius_m: float,
    answer: Answer,
) -> int:
    """Put the pairs that could change the answer on a heap, by their boxes; return how many."""
    hearing, x, y = market.hearing, answer.place[1], answer.place[2]
    held = 0
    for pair in range(hearing.first[site], hearing.first[site + 1]):
        if case.certain_only and not hearing.certain[pair]:
            continue
        away_m = max(box_distance_m(hearing.box[pair], x, y) - radius_m, 0.0)
        bound = look_up(levels.open, away_m)
        if not hearing.over_open_ground[pair]:
            bound *= 1.0 + levels.most_back
        bound *= running * case.gain * hearing.per_limit[pair]
        if bound > _threshold(answer, question, int(hearing.by_rule[pair])):
            held = _push(bench, held, pair, bound)
    return held


@called
def _is_surely_quieter(
    market: Market,
    levels: Levels,
    bench: Bench,
    case: Case,
    place: np.ndarray,
    running: int,
    radius_m: float,
    walls: int,
    pair: int,
    point: int,
    least: float,
) -> bool:
    """Return whether a block stays below a ratio at a point, by bounds or by some machines.

    Args:
        market: The sites.
        levels: Bounds by distance.
        bench: The thread's arrays.
        case: What the question varies.
        place: The block: layout, x, y, angle, running machines.
        running: How many machines run.
        radius_m: The farthest that one stands from the center.
        walls: The number of walls near the block.
        pair: The pair.
        point: One of its receiver points.
        least: The ratio.

    Returns:
        Whether the point can be dropped.
    """
    hearing = market.hearing
    per_limit = hearing.per_limit[pair] * case.gain
    px, py = hearing.point[point, 0], hearing.point[point, 1]
    direct, nearer = 0.0, 0.0
    for k in range(running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        direct += look_up(levels.open, distance_m(px - x, py - y))
        nearer += 1.0 / squared_m(market, x, y, pair, point)
    if hearing.over_open_ground[pair]:
        return direct * per_limit <= least
    if direct * (1.0 + levels.most_back) * per_limit <= least:
        return True
    bound, table, left = direct, levels.open, levels.nothing_taken
    if case.wall_height_m > 0:
        one_way = _bound_behind_wall(market, levels, bench, case, place, running, pair, point)
        bound, table, left = min(direct, WAYS * one_way), levels.bands, bench.most_left
    if bound * per_limit <= least:
        scene = market.sound.scene
        pz = ground_height_m(scene, px, py) + hearing.height_m[pair]
        back = bound_reflections(
            scene, bench.room.scratch, levels.kept, table, left, px, py, pz, place[1], place[2],
            radius_m, bench.near_block[:walls], bench.near_point,
        )  # fmt: skip
        if (bound + running * back) * per_limit <= least:
            return True
    if running <= OUTERMOST + 1:
        return False
    loudest = 0.0
    for nth in range(OUTERMOST + 1):
        k = bench.outermost[nth]
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        wall_m = wall_distance_m(market, case, place, x, y, point)
        heard = hear(market, bench, case, x, y, wall_m, pair, point)
        loudest = max(loudest, heard * squared_m(market, x, y, pair, point))
        if nearer * loudest * SAMPLE > least:
            return False
    return True


@inlined
def _bound_behind_wall(
    market: Market,
    levels: Levels,
    bench: Bench,
    case: Case,
    place: np.ndarray,
    running: int,
    pair: int,
    point: int,
) -> float:
    """Return the most that each machine sends by one path behind the wall, summed.

    Set `most_left` to the most that the wall leaves of any machine's sound, by band.
    """
    scene, total = market.sound.scene, 0.0
    px, py = market.hearing.point[point, 0], market.hearing.point[point, 1]
    end = ground_height_m(scene, px, py) + market.hearing.height_m[pair]
    for band in range(8):
        bench.most_left[band] = 0.0
    for k in range(running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        begin = ground_height_m(scene, x, y) + market.sound.source_height_m
        plan = distance_m(px - x, py - y)
        slant = max(distance_m(plan, end - begin), NEAREST_M)
        wall_m = wall_distance_m(market, case, place, x, y, point)
        set_own_wall(
            market.sound, begin, end, plan, slant, wall_m, case.wall_height_m, bench.left
        )
        total += sum_left(levels.bands, bench.left, plan)
        for band in range(8):
            bench.most_left[band] = max(bench.most_left[band], bench.left[band])
    return total


@inlined
def _find_outermost(bench: Bench, running: int, center_x: float, center_y: float) -> None:
    """Set the machine nearest to the block's center, and those farthest out on four sides."""
    for nth in range(OUTERMOST + 1):
        bench.outermost[nth] = 0
    nearest2 = np.inf
    for k in range(running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        away2 = (x - center_x) ** 2 + (y - center_y) ** 2
        if away2 < nearest2:
            nearest2, bench.outermost[0] = away2, k
        if x < bench.machine[bench.outermost[1], 0]:
            bench.outermost[1] = k
        if x > bench.machine[bench.outermost[2], 0]:
            bench.outermost[2] = k
        if y < bench.machine[bench.outermost[3], 1]:
            bench.outermost[3] = k
        if y > bench.machine[bench.outermost[4], 1]:
            bench.outermost[4] = k


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
