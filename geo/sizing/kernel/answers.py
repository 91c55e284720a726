"""Answer the questions of sizing for one site after another. Compiled.

The search uses the table, and whatever it proposes is verified by the full model. Where a block
turns out louder than the table says, the table learns the point, the spot or the difference, and
the search is repeated.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geo.compiled import address_of, call_at, called, entry, inlined
from geo.propagation.by_distance import look_up
from geo.sizing.kernel.arrays import (
    PLACE_COLUMNS,
    Answer,
    Bench,
    Case,
    Grounds,
    Levels,
    Market,
    Table,
)
from geo.sizing.kernel.search import estimate_ratio, find_quiet_place
from geo.sizing.kernel.transfer import (
    add_column,
    add_spot,
    box_distance_m,
    counts,
    read_table,
    squared_m,
    start_table,
)
from geo.sizing.kernel.verification import (
    EACH_LIMIT,
    MEETS,
    MEETS_EACH,
    WORST,
    hear_block,
    place_machines,
    verify_block,
)

HOPEFUL = float(10**0.05)
"""A block that the table puts this much over a limit, 0.5 dB, is verified before it is given up."""
SETTLED = float(10**0.1)
"""A block that is louder than the table says by no more than this, 1 dB, is not searched again."""
REPEATS = 4
"""So often the search for one number is repeated after the table has learned."""
LARGEST, QUIETEST, JUDGE_WORST, JUDGE_EACH, HEAR = range(5)
"""Questions: the largest number; the quietest place of a number; how loud a given block is where it
is worst, or by each kind of limit, or at a given point."""
PACKAGES = ("propagation", "shapes", "sizing/kernel")


class Calls(NamedTuple):
    """Where the machine code of the two large parts is; see `geo.compiled.call_at`."""

    find: int
    verify: int


def _make_find(version: str) -> Callable[..., Any]:
    def find(
        market: Market, bench: Bench, ground: Grounds, table: Table, case: Case, site: int,
        count: int, move: bool, place: np.ndarray,
    ) -> float:  # fmt: skip
        len(version)
        return find_quiet_place(market, bench, ground, table, case, site, count, move, place)

    return find


def _make_verify(version: str) -> Callable[..., Any]:
    def verify(
        market: Market, levels: Levels, bench: Bench, table: Table, case: Case, site: int,
        question: int, answer: Answer,
    ) -> float:  # fmt: skip
        len(version)
        return verify_block(market, levels, bench, table, case, site, question, answer)

    return verify


_find_compiled = entry(_make_find, PACKAGES)
_verify_compiled = entry(_make_verify, PACKAGES)


def find_calls(
    market: Market, levels: Levels, bench: Bench, ground: Grounds, table: Table, case: Case
) -> Calls:
    """Compile the large parts for arguments of these types, and return where they are."""
    return Calls(
        address_of(
            _find_compiled, market, bench, ground, table, case, 0, 0, False, bench.trial.place
        ),
        address_of(_verify_compiled, market, levels, bench, table, case, 0, 0, bench.trial),
    )


@inlined
def _find(
    calls: Calls, market: Market, bench: Bench, ground: Grounds, table: Table, case: Case,
    site: int, count: int, move: bool, place: np.ndarray,
) -> float:  # fmt: skip
    return call_at(
        calls.find,
        (market, bench, ground, table, case, np.int64(site), np.int64(count), move, place),
    )


@inlined
def _verify(
    calls: Calls, market: Market, levels: Levels, bench: Bench, table: Table, case: Case,
    site: int, question: int, answer: Answer,
) -> float:  # fmt: skip
    return call_at(
        calls.verify,
        (market, levels, bench, table, case, np.int64(site), np.int64(question), answer),
    )


@inlined
def _forget_fits(bench: Bench) -> None:
    for layout in range(len(bench.fit)):
        bench.fit[layout] = 0


@called
def _learn(
    market: Market, bench: Bench, table: Table, case: Case, site: int, ratio: float, answer: Answer
) -> None:
    """Teach a site's table what the full model says about the block in `answer`."""
    kind = 1 if answer.ratio[1] > answer.ratio[0] else 0
    pair, point = answer.pair[kind], answer.point[kind]
    if point < 0 or add_column(market, bench, table, case, site, pair, point):
        return
    place = answer.place
    if case.wall_height_m <= 0 and add_spot(market, bench, table, case, site, place[1], place[2]):
        return
    running = int(place[4])
    # This finds the spots near each machine.
    estimate_ratio(
        market, bench, table, case, site, int(place[0]), place[1], place[2], place[3], running,
        np.inf,
    )  # fmt: skip
    for column in range(table.columns[site]):
        if table.column_pair[site, column] != pair or table.column_point[site, column] != point:
            continue
        total = 0.0
        for k in range(running):
            total += read_table(
                market, bench, table, case, site, column, bench.machine[k, 0], bench.machine[k, 1],
                bench.near[k], bench.weight[k],
            )  # fmt: skip
        total *= case.gain
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


@called
def _find_largest(
    calls: Calls,
    market: Market,
    levels: Levels,
    bench: Bench,
    ground: Grounds,
    table: Table,
    case: Case,
    site: int,
    least: int,
    most: int,
    room_for: int,
    best: Answer,
    next_place: np.ndarray,
) -> int:
    """Return the most machines, up to `most`, for which a place was found and verified.

    `least` machines are known to have one, which need not be given. `best` is set to a place of
    more than that, and `next_place` to the quietest place found for one more, as far as the ground
    has room for it. It is known how loud `best` is if `room_for` asks for the next place.
    """
    answer = bench.trial
    question = MEETS_EACH if room_for > 0 else MEETS
    below, above = least, most + 1
    count = most
    while above - below > 1:
        ratio = _find(calls, market, bench, ground, table, case, site, count, False, answer.place)
        if ratio <= 1.0:
            below = count
        else:
            above = count
        count = (below + above) // 2
    verified, highest, count = least, most, min(max(below, least + 1), most)
    repeats, next_count = 0, -1
    while verified < highest:
        ratio = _find(calls, market, bench, ground, table, case, site, count, True, answer.place)
        next_count = count
        _copy(answer.place, next_place)
        meets = False
        if ratio <= HOPEFUL:
            heard = _verify(calls, market, levels, bench, table, case, site, question, answer)
            meets = heard <= 1.0
            if not meets:
                repeats += 1
                if repeats <= REPEATS:
                    _learn(market, bench, table, case, site, heard, answer)
                    continue
        repeats = 0
        if meets:
            verified = count
            _take(answer, best)
            count += 1
        else:
            highest = count - 1
            count = highest
    if verified < room_for and next_count != verified + 1:
        _find(calls, market, bench, ground, table, case, site, verified + 1, True, next_place)
    return verified


@called
def _find_best(
    calls: Calls,
    market: Market,
    levels: Levels,
    bench: Bench,
    ground: Grounds,
    table: Table,
    case: Case,
    site: int,
    count: int,
    best: Answer,
) -> bool:
    """Set `best` to the quietest place found for a number; return whether there is any.

    `best` may hold a place that is known for that number.
    """
    answer, least = bench.trial, np.inf
    if best.place[0] >= 0:
        least = _verify(calls, market, levels, bench, table, case, site, EACH_LIMIT, best)
    for _ in range(REPEATS):
        expected = _find(calls, market, bench, ground, table, case, site, count, True, answer.place)
        if not np.isfinite(expected):
            break
        heard = _verify(calls, market, levels, bench, table, case, site, EACH_LIMIT, answer)
        if heard < least:
            least = heard
            _take(answer, best)
        if heard <= expected * SETTLED:
            break
        _learn(market, bench, table, case, site, heard, answer)
    return np.isfinite(least)


@called
def _answer_each(
    calls: Calls,
    market: Market,
    levels: Levels,
    bench: Bench,
    ground: Grounds,
    table: Table,
    case: Case,
    site: np.ndarray,
    least: np.ndarray,
    count: np.ndarray,
    room_for: np.ndarray,
    question: int,
    found: np.ndarray,
    next_place: np.ndarray,
    place: np.ndarray,
    ratio: np.ndarray,
    pair: np.ndarray,
    point: np.ndarray,
) -> None:
    for k in range(len(site)):
        if table.columns[site[k]] < 0:
            table.columns[site[k]] = 0
            start_table(market, levels, bench, table, case, site[k])
        best = Answer(place[k], ratio[k], pair[k], point[k])
        _forget_fits(bench)
        if question == LARGEST:
            found[k] = _find_largest(
                calls, market, levels, bench, ground, table, case, site[k], least[k], count[k],
                room_for[k], best, next_place[k],
            )  # fmt: skip
        elif question == HEAR:
            running = int(best.place[4])
            place_machines(
                market, bench, int(best.place[0]), best.place[1], best.place[2], best.place[3],
                running,
            )  # fmt: skip
            best.ratio[0] = hear_block(
                market, bench, case, best.place, running, best.pair[0], best.point[0]
            )
        elif question != QUIETEST:
            asked = WORST if question == JUDGE_WORST else EACH_LIMIT
            _verify(calls, market, levels, bench, table, case, site[k], asked, best)
        elif _find_best(calls, market, levels, bench, ground, table, case, site[k], count[k], best):
            found[k] = count[k]


def _make_answer_each(version: str) -> Callable[..., Any]:
    def answer_each(*values: Any) -> Any:
        len(version)
        return _answer_each(*values)

    return answer_each


answer_each = entry(_make_answer_each, PACKAGES)


@called
def _measure_each_loudness(
    market: Market, levels: Levels, site: np.ndarray, xy: np.ndarray, loudness: np.ndarray
) -> None:
    hearing = market.hearing
    for k in range(len(site)):
        loudest = 0.0
        for pair in range(hearing.first[site[k]], hearing.first[site[k] + 1]):
            away_m = box_distance_m(hearing.box[pair], xy[k, 0], xy[k, 1])
            if look_up(levels.open, away_m) * hearing.per_limit[pair] <= loudest:
                continue
            for point in range(hearing.begin[pair], hearing.end[pair]):
                if not counts(market, site[k], pair, point):
                    continue
                away = np.sqrt(squared_m(market, xy[k, 0], xy[k, 1], pair, point))
                loudest = max(loudest, look_up(levels.open, away) * hearing.per_limit[pair])
        loudness[k] = loudest


def _make_measure_loudness(version: str) -> Callable[..., Any]:
    def measure_loudness(*values: Any) -> Any:
        len(version)
        return _measure_each_loudness(*values)

    return measure_loudness


measure_loudness = entry(_make_measure_loudness, PACKAGES)
