"""How loud a block is where it is worst: the full model, every machine at its place. Compiled.

Receptors come loudest bound first, until no other could be worse. At each receiver point, the block
is first bounded: by what would arrive in the open, and by the walls that could reflect to there.
Then its machines are heard, one after another, each from its own place, until those not yet heard
could not matter. The machine nearest to the center comes first, then those at both ends as seen
from the point. The point is dropped if all machines together, each as loud as the loudest so far
and PROBE_DB more after the first, or SAMPLE_DB more after the third, would not matter. All this is
done with rough side paths first (see `around_sides`), which are never quieter, and with exact ones
only where those do not rule the point out.
"""

import numpy as np

from geo.compiled import called, inlined
from geo.propagation.by_distance import look_up
from geo.propagation.crossings import UNKNOWN
from geo.propagation.reflection_bound import MOVED_M, list_walls_near_circle
from geo.sizing.kernel.arrays import Answer, Bench, Case, Study
from geo.sizing.kernel.bounds import bound_each, place_machines, wall_distance_m
from geo.sizing.kernel.spots import find_near_spots, list_spots_around
from geo.sizing.kernel.transfer import (
    box_distance_m,
    counts,
    hear,
    read_table,
    squared_m,
)

PROBE_DB, SAMPLE_DB = 18.0, 3.0
PROBE = float(10 ** (PROBE_DB / 10))
SAMPLE = float(10 ** (SAMPLE_DB / 10))
QUIETER = -1.0
ROUNDING = 1 + 1e-9
NOBODY, OWN_DWELLING = -1, -2
MEETS, WORST, EACH_LIMIT, TABLE_ONLY = range(4)
"""What is asked: whether a ratio is exceeded; the worst ratio; that by each kind of limit; or only
the worst at the points that are the loudest by the table."""
LOUDEST_COLUMNS = 3
"""So many of the table's columns, the loudest by estimate, are heard before all others."""


@called
def hear_block(study: Study, case: Case, place: np.ndarray, pair: int, point: int) -> float:
    """Return the ratio of a block at a receiver point: the sum over its machines.

    Args:
        study: The arrays; the machines stand at their places.
        case: What the question varies.
        place: The block (PLACE_COLUMNS,).
        pair: The pair.
        point: One of its receiver points.

    Returns:
        The energy as a share of what the limit allows.
    """
    machine, total = study.bench.machine, 0.0
    for k in range(int(place[4])):
        x, y = machine[k, 0], machine[k, 1]
        wall_m = wall_distance_m(study, case, place, x, y, point)
        total += hear(study, case, x, y, wall_m, pair, point)
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
def _threshold(answer: Answer, question: int, stop_above: float, kind: int) -> float:
    """Return the ratio above which a point would change the answer."""
    if question == MEETS:
        return max(stop_above, answer.ratio[0], answer.ratio[1])
    if question == WORST:
        return max(answer.ratio[0], answer.ratio[1])
    return answer.ratio[kind]


@inlined
def _note(answer: Answer, kind: int, ratio: float, pair: int, point: int) -> None:
    if ratio > answer.ratio[kind]:
        answer.ratio[kind], answer.pair[kind], answer.point[kind] = ratio, pair, point


@called
def verify_block(
    study: Study, case: Case, site: int, question: int, stop_above: float, answer: Answer
) -> float:
    """Hear the block in `answer` at every receiver point that could matter.

    Args:
        study: The arrays. The transfer table says where to listen first.
        case: What the question varies.
        site: The site.
        question: One of MEETS, WORST, EACH_LIMIT and TABLE_ONLY.
        stop_above: A block above this ratio is of no interest: stop at the first such point.
        answer: The block; its ratio, pair and point are set.

    Returns:
        The highest ratio, or one above `stop_above`.
    """
    hearing, bench, place = study.market.hearing, study.bench, answer.place
    x, y, running = place[1], place[2], int(place[4])
    place_machines(study, place)
    for kind in range(2):
        answer.ratio[kind], answer.pair[kind], answer.point[kind] = 0.0, NOBODY, NOBODY
    if running == 0:
        return 0.0
    if hearing.own[site] > 0:
        _note(answer, 0, hearing.own[site] * running * case.gain, OWN_DWELLING, NOBODY)
    _hear_loudest_columns(study, case, site, stop_above, answer)
    if question == TABLE_ONLY or max(answer.ratio[0], answer.ratio[1]) > stop_above:
        return max(answer.ratio[0], answer.ratio[1])
    radius_m = _put_middle_first(bench, running, x, y)
    scene, circle = study.market.sound.scene, (x, y, radius_m)
    walls = list_walls_near_circle(scene, bench.room.scratch, circle, bench.near_block)
    held = _list_waiting(study, case, site, question, stop_above, radius_m, answer)
    while held:
        pair, bound = bench.waiting[0], bench.bound[0]
        held = _drop_first(bench, held)
        kind = int(hearing.by_rule[pair])
        if bound <= _threshold(answer, question, stop_above, kind):
            continue
        for point in range(hearing.begin[pair], hearing.end[pair]):
            if not counts(study.market, site, pair, point):
                continue
            least = _threshold(answer, question, stop_above, kind)
            ratio = _hear_unless_quieter(study, case, place, radius_m, walls, pair, point, least)
            _note(answer, kind, ratio, pair, point)
            if ratio > stop_above:
                return ratio
    return max(answer.ratio[0], answer.ratio[1])


@inlined
def _list_waiting(
    study: Study,
    case: Case,
    site: int,
    question: int,
    stop_above: float,
    radius_m: float,
    answer: Answer,
) -> int:
    """Put the pairs that could change the answer on a heap, by their boxes; return how many."""
    hearing, levels = study.market.hearing, study.levels
    x, y, running = answer.place[1], answer.place[2], answer.place[4]
    held = 0
    for pair in range(hearing.first[site], hearing.first[site + 1]):
        if case.certain_only and not hearing.certain[pair]:
            continue
        away_m = box_distance_m(hearing.box[pair], x, y) - radius_m - MOVED_M
        bound = look_up(levels.open, max(away_m, 0.0))
        if not hearing.over_open_ground[pair]:
            bound *= 1.0 + levels.most_back
        bound *= running * case.gain * hearing.per_limit[pair]
        if bound > _threshold(answer, question, stop_above, int(hearing.by_rule[pair])):
            held = _push(study.bench, held, pair, bound)
    return held


@inlined
def _hear_unless_quieter(
    study: Study,
    case: Case,
    place: np.ndarray,
    radius_m: float,
    walls: int,
    pair: int,
    point: int,
    least: float,
) -> float:
    """Return the ratio of a block at a point, or QUIETER once it is known to be below a ratio.

    Args:
        study: The arrays; the machine nearest to the block's center stands first.
        case: What the question varies.
        place: The block (PLACE_COLUMNS,).
        radius_m: The farthest that a machine stands from the block's center.
        walls: The number of walls near the block.
        pair: The pair.
        point: One of its receiver points.
        least: The ratio.

    Returns:
        The energy as a share of what the limit allows.
    """
    bound = bound_each(study, case, place, radius_m, walls, pair, point, least)
    ratio = QUIETER
    if bound > least:
        ratio = _hear_each(study, case, place, pair, point, bound, least)
    study.bench.room.scratch.reflectors[0] = UNKNOWN
    return ratio


@called
def _hear_each(
    study: Study, case: Case, place: np.ndarray, pair: int, point: int, bound: float, least: float
) -> float:
    """Return the ratio of a block at a point, or QUIETER, as `_hear_unless_quieter`.

    Args:
        study: The arrays; the machine nearest to the block's center stands first, and it is known
            how loud each can be and which walls may reflect.
        case: What the question varies.
        place: The block (PLACE_COLUMNS,).
        pair: The pair.
        point: One of its receiver points.
        bound: The sum of what each machine can cause.
        least: The ratio.

    Returns:
        The energy as a share of what the limit allows.
    """
    hearing, bench, running = study.market.hearing, study.bench, int(place[4])
    roughly = bench.room.scratch.roughly
    nearer = 0.0
    for k in range(running):
        x, y = bench.machine[k, 0], bench.machine[k, 1]
        nearer += 1.0 / squared_m(study.market, x, y, pair, point)
    _put_ends_next(bench, place, hearing.point[point, 0], hearing.point[point, 1])
    for rough in (True, False):
        total, loudest = 0.0, 0.0
        for k in range(running):
            x, y = bench.machine[k, 0], bench.machine[k, 1]
            wall_m = wall_distance_m(study, case, place, x, y, point)
            roughly[0] = rough
            ratio = hear(study, case, x, y, wall_m, pair, point)
            roughly[0] = False
            total += ratio
            bound += ratio - bench.most[k]
            bench.most[k] = ratio
            loudest = max(loudest, ratio * squared_m(study.market, x, y, pair, point))
            if bound * ROUNDING <= least:
                return QUIETER
            if k == 0 and nearer * loudest * PROBE <= least:
                return QUIETER
            if k == 2 and nearer * loudest * SAMPLE <= least:
                return QUIETER
            if rough and nearer * loudest > least:
                break
    return total


@inlined
def _put_middle_first(bench: Bench, running: int, x: float, y: float) -> float:
    """Put the machine nearest to (x, y) first; return the distance of the farthest."""
    chosen, least2, most2 = 0, np.inf, 0.0
    for k in range(running):
        away2 = (bench.machine[k, 0] - x) ** 2 + (bench.machine[k, 1] - y) ** 2
        most2 = max(most2, away2)
        if away2 < least2:
            chosen, least2 = k, away2
    _swap(bench, 0, chosen)
    return np.sqrt(most2)


@inlined
def _put_ends_next(bench: Bench, place: np.ndarray, px: float, py: float) -> None:
    """Put the two machines next that are farthest left and right as seen from (px, py)."""
    dx, dy, running = px - place[1], py - place[2], int(place[4])
    for end in range(min(2, running - 1)):
        chosen, most = 1 + end, -np.inf
        for k in range(1 + end, running):
            left = (bench.machine[k, 1] - place[2]) * dx - (bench.machine[k, 0] - place[1]) * dy
            if (left if end else -left) > most:
                chosen, most = k, (left if end else -left)
        _swap(bench, 1 + end, chosen)


@inlined
def _swap(bench: Bench, one: int, other: int) -> None:
    for axis in range(2):
        kept = bench.machine[one, axis]
        bench.machine[one, axis] = bench.machine[other, axis]
        bench.machine[other, axis] = kept
    kept = bench.most[one]
    bench.most[one] = bench.most[other]
    bench.most[other] = kept


@inlined
def _hear_loudest_columns(
    study: Study, case: Case, site: int, stop_above: float, answer: Answer
) -> None:
    """Hear the block at the columns of the table where the estimate is highest."""
    hearing, table, place = study.market.hearing, study.table, answer.place
    bench = study.bench
    held = list_spots_around(table, bench, site, (place[1], place[2], 0.0))
    find_near_spots(table, bench, site, held, 0, place[1], place[2])
    near, weight = bench.near[0], bench.weight[0]
    below = np.inf
    for _ in range(LOUDEST_COLUMNS):
        loudest, chosen = 0.0, -1
        for column in range(table.columns[site]):
            pair = table.column_pair[site, column]
            if case.certain_only and not hearing.certain[pair]:
                continue
            ratio = read_table(study, case, site, column, place[1], place[2], near, weight)
            if loudest < ratio < below:
                loudest, chosen = ratio, column
        if chosen < 0:
            break
        below = loudest
        pair, point = table.column_pair[site, chosen], table.column_point[site, chosen]
        ratio = hear_block(study, case, place, pair, point)
        _note(answer, int(hearing.by_rule[pair]), ratio, pair, point)
        if ratio > stop_above:
            break
