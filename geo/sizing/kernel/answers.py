"""Answer the questions of sizing for one site after another. Compiled.

The search uses the table, and whatever it proposes is verified by the full model. Where a block
turns out louder than the table says, the table learns the point, the spot or the difference, and
the search is repeated.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from geo.compiled import address_of, call_at, called, entry, inlined, refer, reference_to
from geo.sizing.kernel.arrays import (
    PACKAGES,
    PLACE_COLUMNS,
    Answer,
    Asked,
    Bench,
    Case,
    Study,
    Table,
)
from geo.sizing.kernel.bounds import place_machines
from geo.sizing.kernel.estimate import estimate_ratio, place_points, sum_column
from geo.sizing.kernel.search import WORTHWHILE, find_quiet_place, fits_here
from geo.sizing.kernel.transfer import (
    add_column,
    add_spot,
    start_table,
)
from geo.sizing.kernel.verification import (
    EACH_LIMIT,
    MEETS,
    NOBODY,
    TABLE_ONLY,
    WORST,
    hear_block,
    verify_block,
)

HOPEFUL, HOPEFUL_LEVER = float(10**0.2), float(10**0.05)
"""A block that the table puts this much over a limit, 2 dB, is verified before it is given up; for
a lever, 0.5 dB."""
HOPEFUL_TURNED = float(10**0.1)
"""Where a number is over a limit by no more than this, 1 dB, its layouts are tried at right angles
too."""
SETTLED = float(10**0.1)
"""Where the table promises no place quieter than the best known by more than this, 1 dB, the
search for the quietest is over."""
REPEATS_LARGEST, REPEATS_LEVER, REPEATS_BEST = 5, 3, 6
"""So often the search for one number is repeated after the table has learned, to find whether that
number meets the limits, the same for a lever, and to find its quietest place."""
REPEATS_HOPEFUL = 3
"""No more often where the table already puts the block over a limit."""
NEARLY = float(10**0.05)
"""A block that is over a limit by no more than this, 0.5 dB, is moved step by step by the full
model."""
STEP_M, LEAST_STEP_M = 2.0, 0.5
STEP_ALONG = (1.0, 0.0, -1.0, 0.0, 1.0, -1.0, -1.0, 1.0)
STEP_ACROSS = (0.0, 1.0, 0.0, -1.0, 1.0, 1.0, -1.0, -1.0)
"""The first and the last size of these steps, and their eight directions."""
SURPRISES_MOST = 2
"""It is given up once it was over a limit more often than this at a point that the table lacked."""
HARDLY_LOUDER = float(10**0.05)
"""A block may be louder by this, 0.5 dB, than at its worst receiver point."""
LARGEST, QUIETEST, JUDGE_WORST, JUDGE_EACH, HEAR, LOUDER = range(6)
"""Questions: the largest number; the quietest place of a number; how loud a given block is where it
is worst, or by each kind of limit, or at a given point; whether it is louder than given by more
than HARDLY_LOUDER."""


def _make_find(version: str) -> Callable[..., Any]:
    def find(
        study: Study,
        case: Case,
        site: int,
        count: int,
        move: bool,
        turned: bool,
        place: np.ndarray,
    ) -> float:
        len(version)
        return find_quiet_place(study, case, site, count, move, turned, place)

    return find


def _make_verify(version: str) -> Callable[..., Any]:
    def verify(
        study: Study, case: Case, site: int, question: int, stop_above: float, answer: Answer
    ) -> float:
        len(version)
        return verify_block(study, case, site, question, stop_above, answer)

    return verify


_find_compiled = entry(_make_find, PACKAGES)
_verify_compiled = entry(_make_verify, PACKAGES)


def link(study: Study, case: Case) -> Study:
    """Return the arrays with the addresses of the two large parts, compiled for their types."""
    kept, trial = reference_to(study), study.bench.trial
    return study._replace(
        find=address_of(_find_compiled, kept, case, 0, 0, False, False, trial.place),
        verify=address_of(_verify_compiled, kept, case, 0, 0, 0.0, reference_to(trial)),
    )


@inlined
def _find(
    study: Study,
    case: Case,
    site: int,
    count: int,
    move: bool,
    turned: bool,
    place: np.ndarray,
) -> float:
    return call_at(study.find, (study, case, np.int64(site), np.int64(count), move, turned, place))


@inlined
def _verify(
    study: Study, case: Case, site: int, question: int, stop_above: float, answer: Answer
) -> float:
    return call_at(
        study.verify, (study, case, np.int64(site), np.int64(question), stop_above, answer)
    )


@inlined
def _forget_fits(bench: Bench) -> None:
    for layout in range(len(bench.fit)):
        bench.fit[layout] = 0


@inlined
def _forget_corrections(table: Table, site: int) -> None:
    for column in range(table.columns[site]):
        table.scale[site, column] = 1.0


@inlined
def _forget_walls(table: Table, site: int) -> None:
    """Forget what a wall leaves, since the next may be of another height."""
    for column in range(table.columns[site]):
        table.walled[site, column] = 0.0


@called
def _learn(study: Study, case: Case, site: int, ratio: float, answer: Answer) -> None:
    """Teach a site's table what the full model says about the block in `answer`."""
    table, place = study.table, answer.place
    kind = 1 if answer.ratio[1] > answer.ratio[0] else 0
    pair, point = answer.pair[kind], answer.point[kind]
    if point < 0 or add_column(study, site, pair, point):
        return
    if case.wall_height_m <= 0 and add_spot(table, site, place[1], place[2]):
        return
    # This sets the points that stand for the machines, and the spots near them.
    estimate_ratio(study, case, site, place, np.inf)
    points = place_points(study, place)
    for column in range(table.columns[site]):
        if table.column_pair[site, column] != pair or table.column_point[site, column] != point:
            continue
        total = sum_column(study, case, site, column, points, np.inf)
        if 0 < total < ratio:
            if case.wall_height_m > 0:
                table.walled[site, column] *= ratio / total
            else:
                table.scale[site, column] *= ratio / total


@inlined
def _copy(place: np.ndarray, other: np.ndarray) -> None:
    for column in range(PLACE_COLUMNS):
        other[column] = place[column]


@inlined
def _take(answer: Answer, best: Answer) -> None:
    _copy(answer.place, best.place)
    for kind in range(2):
        best.ratio[kind] = answer.ratio[kind]
        best.pair[kind], best.point[kind] = answer.pair[kind], answer.point[kind]


@inlined
def _clear(answer: Answer) -> None:
    """Set an answer to no block, as `questions.no_blocks`."""
    for column in range(PLACE_COLUMNS):
        answer.place[column] = -1.0
    for kind in range(2):
        answer.ratio[kind], answer.pair[kind], answer.point[kind] = 0.0, NOBODY, NOBODY


@inlined
def _still_stands(study: Study, site: int, count: int, place: np.ndarray) -> bool:
    """Return whether a known block, if any, has that many machines and is inside the ground."""
    first, last = study.market.blocks.first[count], study.market.blocks.first[count + 1]
    return first <= place[0] < last and fits_here(study, site, place)


@called
def _bisect_by_table(study: Study, case: Case, site: int, least: int, most: int) -> int:
    """Return about the most machines for which the table has a place; `least` have one."""
    below, above, count = least, most + 1, most
    while above - below > 1:
        if _find(study, case, site, count, False, False, study.bench.trial.place) <= 1.0:
            below = count
        else:
            above = count
        count = (below + above) // 2
    return below


@called
def _move_until_quiet(study: Study, case: Case, site: int, question: int, answer: Answer) -> bool:
    """Move a block that is nearly quiet enough until it meets the limits; return whether it does.

    The block starts at `nearest_place` on the bench. At each step, the full model judges it at the
    points that are the loudest by the table. Where that says it is quiet enough, it is judged at
    every point.
    """
    place, known = answer.place, study.bench.nearest_place
    cos, sin = np.cos(known[3]), np.sin(known[3])
    least, step_m, tried, direction, surprises = np.inf, STEP_M, 8, 0, 0
    _copy(known, place)
    heard = _verify(study, case, site, TABLE_ONLY, NEARLY, answer)
    while True:
        if heard < least * (1 - WORTHWHILE):
            # Go on in the same direction.
            least, tried = heard, 0
            _copy(place, known)
            if heard <= 1.0:
                least = _verify(study, case, site, question, 1.0, answer)
                if least <= 1.0:
                    return True
                surprises += 1
                _learn(study, case, site, least, answer)
        else:
            tried, direction = tried + 1, (direction + 1) % 8
        if least > NEARLY or surprises > SURPRISES_MOST:
            return False
        if tried >= 8:
            tried, step_m = 0, step_m / 2
            if step_m < LEAST_STEP_M:
                return False
        along, across = STEP_ALONG[direction] * step_m, STEP_ACROSS[direction] * step_m
        place[1] = known[1] + along * cos - across * sin
        place[2] = known[2] + along * sin + across * cos
        heard = np.inf
        if fits_here(study, site, place):
            heard = _verify(study, case, site, TABLE_ONLY, least, answer)


@called
def _try_number(
    study: Study, case: Case, site: int, count: int, careful: bool, last: np.ndarray
) -> bool:
    """Find a place for a number, verified; return whether there is one.

    `last` is set to the place that the table last said is the quietest, before layouts are tried at
    right angles. Where the answer is `careful`, that and more is tried before a number is given up,
    and it is told by each kind of limit how loud it is.
    """
    answer, nearest, repeats, turned = study.bench.trial, np.inf, 0, False
    question = EACH_LIMIT if careful else MEETS
    hopeful = HOPEFUL if careful else HOPEFUL_LEVER
    repeats_most = REPEATS_LARGEST if careful else REPEATS_LEVER
    while True:
        ratio = _find(study, case, site, count, True, turned, answer.place)
        if not turned:
            _copy(answer.place, last)
        if ratio <= hopeful:
            heard = _verify(study, case, site, question, 1.0, answer)
            if heard <= 1.0:
                return True
            if heard < nearest:
                nearest = heard
                _copy(answer.place, study.bench.nearest_place)
            repeats += 1
            _learn(study, case, site, heard, answer)
        most = REPEATS_LARGEST if ratio <= 1.0 and not turned else REPEATS_HOPEFUL
        if ratio > hopeful or repeats > min(repeats_most, most):
            if turned or not careful or nearest > HOPEFUL_TURNED:
                break
            turned, hopeful, repeats = True, HOPEFUL_LEVER, 0
    if not careful or nearest > NEARLY:
        return False
    return _move_until_quiet(study, case, site, question, answer)


@called
def _find_largest(
    study: Study,
    case: Case,
    site: int,
    least: int,
    most: int,
    room_for: int,
    best: Answer,
    next_place: np.ndarray,
) -> int:
    """Return the most machines, up to `most`, for which a place was found and verified.

    `least` machines are known to have one, which need not be given. `best` may hold a place that is
    known for `most` on wider ground; it is set to a place of more than `least`, and `next_place` to
    the quietest place found for one more, as far as the ground has room for it. It is known how
    loud `best` is if `room_for` asks for the next place.
    """
    verified, highest = least, most
    if _still_stands(study, site, most, best.place):
        verified = most
    else:
        _clear(best)
    count = min(max(_bisect_by_table(study, case, site, least, most), least + 1), most)
    next_count = -1
    while verified < highest:
        meets = _try_number(study, case, site, count, room_for > 0, next_place)
        next_count = count
        _forget_corrections(study.table, site)
        if meets:
            verified = count
            _take(study.bench.trial, best)
            count += 1
        else:
            highest = count - 1
            count = highest
    if verified < room_for and next_count != verified + 1:
        _find(study, case, site, verified + 1, True, False, next_place)
    return verified


@called
def _find_best(study: Study, case: Case, site: int, count: int, best: Answer) -> bool:
    """Set `best` to the quietest place found for a number; return whether there is any.

    `best` may hold a place that is known for that number.
    """
    answer, least = study.bench.trial, np.inf
    if best.place[0] >= 0:
        least = _verify(study, case, site, EACH_LIMIT, np.inf, best)
    for _ in range(REPEATS_BEST):
        expected = _find(study, case, site, count, True, False, answer.place)
        if not np.isfinite(expected):
            break
        heard = _verify(study, case, site, EACH_LIMIT, least, answer)
        if heard < least:
            least = heard
            _take(answer, best)
        if least <= expected * SETTLED:
            break
        _learn(study, case, site, heard, answer)
    return np.isfinite(least)


@called
def _answer_each(study: Study, case: Case, question: int, asked: Asked) -> None:
    for k in range(len(asked.site)):
        site, count = asked.site[k], asked.most[k]
        if study.table.columns[site] < 0:
            study.table.columns[site] = 0
            start_table(study, site)
        best = refer(Answer(asked.place[k], asked.ratio[k], asked.pair[k], asked.point[k]))
        _forget_fits(study.bench)
        _forget_corrections(study.table, site)
        if case.wall_height_m > 0:
            _forget_walls(study.table, site)
        if question == LARGEST:
            asked.found[k] = _find_largest(
                study, case, site, asked.least[k], count, asked.room_for[k], best,
                asked.next_place[k],
            )  # fmt: skip
        elif question == QUIETEST:
            asked.found[k] = count if _find_best(study, case, site, count, best) else 0
        elif question == HEAR:
            place_machines(study, best.place)
            best.ratio[0] = hear_block(study, case, best.place, best.pair[0], best.point[0])
        elif question == LOUDER:
            least = max(best.ratio[0], best.ratio[1]) * HARDLY_LOUDER
            asked.found[k] = _verify(study, case, site, MEETS, least, best) > least
        else:
            worst_only = question == JUDGE_WORST
            _verify(study, case, site, WORST if worst_only else EACH_LIMIT, np.inf, best)


def _make_answer_each(version: str) -> Callable[..., Any]:
    def answer_each(study: Study, case: Case, question: int, asked: Asked) -> None:
        len(version)
        _answer_each(refer(study), case, question, refer(asked))

    return answer_each


answer_each = entry(_make_answer_each, PACKAGES)
