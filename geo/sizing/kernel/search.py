"""Find the place for a block of n machines that the transfer table says is the quietest. Compiled.

The places tried are those of the ground, and for each layout an exact place, which is found however
tight the ground is. The quietest few are moved in ever smaller steps while that helps.
"""

import numpy as np

from geo.compiled import called, inlined
from geo.shapes.rectangles import fits_at, rotate_edges, search_center
from geo.sizing.kernel.arrays import (
    CANDIDATE_COLUMNS,
    CANDIDATES,
    RANKED_PLACES,
    Bench,
    Case,
    Study,
)
from geo.sizing.kernel.estimate import estimate_at, estimate_ratio

ROUGH = 1.5
"""A place where all machines at the block's center would be louder than this many times the best
block so far is not looked at."""
TRIED_PLACES = 4
"""So many of the quietest places at which a layout fits are tried."""
APART = 0.9
"""The quietest few are at least so many steps of the lattice of places apart."""
ALL_TURNS, FEW_TURNS = 1_000_000, 6
HALVINGS = 5
MOVES = 8  # of each size, while that helps
WORTHWHILE = 1e-4
AREA_TOLERANCE_M2 = 0.1


@inlined
def set_place(
    place: np.ndarray, layout: int, x: float, y: float, angle: float, running: int
) -> None:
    """Set a block's place.

    Args:
        place: The block (PLACE_COLUMNS,).
        layout: Its layout.
        x: Its center, east.
        y: Its center, north.
        angle: Its direction in radians.
        running: How many of its machines run.
    """
    place[0], place[1], place[2], place[3], place[4] = layout, x, y, angle, running


@called
def _find_fit(study: Study, site: int, layout: int, turns: int) -> None:
    """Find the first of some directions in which a layout fits, and an exact place for it."""
    ground, bench = study.ground, study.bench
    size = study.market.blocks.size_m[layout]
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


@called
def fits_here(study: Study, site: int, place: np.ndarray) -> bool:
    """Return whether a block at its place is inside a site's ground.

    Args:
        study: The arrays.
        site: The site.
        place: The block (PLACE_COLUMNS,).

    Returns:
        Whether it is.
    """
    ground, size = study.ground, study.market.blocks.size_m[int(place[0])]
    if size[0] * size[1] > ground.open_m2[site] + AREA_TOLERANCE_M2:
        return False
    cos, sin = np.cos(place[3]), np.sin(place[3])
    first, last = ground.edge_from[site], ground.edge_from[site + 1]
    rotate_edges(ground.edge[first:last], place[3], study.bench.edge)
    level, x, y = study.bench.edge[: last - first], place[1], place[2]
    return fits_at(level, x * cos + y * sin, y * cos - x * sin, size[0], size[1])


@inlined
def _rank_places(study: Study, case: Case, site: int) -> int:
    """List the quietest places of the ground for one machine, the quietest first; count them."""
    ground, bench, held = study.ground, study.bench, 0
    for k in range(ground.place_from[site], ground.place_from[site + 1]):
        most = bench.ranked_ratio[held - 1] if held == RANKED_PLACES else np.inf
        x, y = ground.place[k, 0], ground.place[k, 1]
        ratio = estimate_at(study, case, site, x, y, most)
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
def _keep(bench: Bench, ratio: float, tried: np.ndarray, apart_m: float) -> None:
    """Keep a place among the quietest few. Of places nearer than `apart_m`, one is kept."""
    candidate = bench.candidate
    place = CANDIDATES - 1
    if ratio >= candidate[place, 0]:
        return
    for nth in range(CANDIDATES):
        if not np.isfinite(candidate[nth, 0]):
            break
        dx, dy = candidate[nth, 2] - tried[1], candidate[nth, 3] - tried[2]
        if dx * dx + dy * dy < apart_m * apart_m:
            if ratio >= candidate[nth, 0]:
                return
            place = min(place, nth)
    while place > 0 and candidate[place - 1, 0] > ratio:
        for column in range(CANDIDATE_COLUMNS):
            candidate[place, column] = candidate[place - 1, column]
        place -= 1
    candidate[place, 0] = ratio
    for column in range(4):
        candidate[place, 1 + column] = tried[column]


@called
def find_quiet_place(
    study: Study,
    case: Case,
    site: int,
    count: int,
    move: bool,
    turned: bool,
    place: np.ndarray,
) -> float:
    """Find a quiet place for a block on a site's ground, and return its ratio by the table.

    Args:
        study: The arrays. The fits on its bench must be those of this ground, or not tried.
        case: What the question varies.
        site: The site.
        count: How many machines.
        move: Whether to move the quietest few to quieter places.
        turned: Whether to try layouts only at right angles to the first direction in which they
            fit.
        place: Set to layout, x, y, angle and running machines.

    Returns:
        The ratio; infinite where the block does not fit.
    """
    blocks, bench = study.market.blocks, study.bench
    running = blocks.running[count]
    for nth in range(CANDIDATES):
        bench.candidate[nth, 0] = np.inf
    ranked = _rank_places(study, case, site)
    turns = ALL_TURNS
    for layout in range(blocks.first[count], blocks.first[count + 1]):
        if bench.fit[layout] == 0:
            _find_fit(study, site, layout, turns)
        if bench.fit[layout] > 0:
            # Noise hardly depends on the direction, so that one layout is enough to be sure of.
            turns = FEW_TURNS
            _try_layout(study, case, site, layout, turned, running, ranked)
    best = 0
    for nth in range(CANDIDATES):
        if move and np.isfinite(bench.candidate[nth, 0]):
            _move_to_quieter(study, case, site, nth, running)
        if bench.candidate[nth, 0] < bench.candidate[best, 0]:
            best = nth
    chosen = bench.candidate[best]
    set_place(place, int(chosen[1]), chosen[2], chosen[3], chosen[4], running)
    return chosen[0]


@called
def _try_layout(
    study: Study,
    case: Case,
    site: int,
    layout: int,
    turned: bool,
    running: int,
    ranked: int,
) -> None:
    """Try a layout at its exact place, and at the quietest places in the same direction.

    If it is `turned`, try it at the quietest places at right angles to that direction.
    """
    ground, bench = study.ground, study.bench
    turn, across = ground.turn[bench.fit_turn[layout]], bench.fit_across[layout]
    if turned:
        across = 1 - across
    size, tried = study.market.blocks.size_m[layout], bench.tried
    apart_m = APART * ground.step_m[site]
    cos, sin = np.cos(turn), np.sin(turn)
    angle = turn + (np.pi / 2 if across else 0.0)
    first, last = ground.edge_from[site], ground.edge_from[site + 1]
    rotate_edges(ground.edge[first:last], turn, bench.edge)
    level = bench.edge[: last - first]
    if not turned:
        x, y = bench.fit_at[layout, 0], bench.fit_at[layout, 1]
        set_place(tried, layout, x * cos - y * sin, x * sin + y * cos, angle, running)
        _keep(bench, estimate_ratio(study, case, site, tried, np.inf), tried, apart_m)
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
        set_place(tried, layout, x, y, angle, running)
        _keep(bench, estimate_ratio(study, case, site, tried, worst), tried, apart_m)


@called
def _move_to_quieter(study: Study, case: Case, site: int, nth: int, running: int) -> None:
    """Move a candidate by steps along its sides, half as long each time, while that helps."""
    ground, bench = study.ground, study.bench
    candidate, tried = bench.candidate[nth], bench.tried
    layout, angle = int(candidate[1]), candidate[4]
    size = study.market.blocks.size_m[layout]
    cos, sin = np.cos(angle), np.sin(angle)
    first, last = ground.edge_from[site], ground.edge_from[site + 1]
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
                set_place(tried, layout, x, y, angle, running)
                ratio = estimate_ratio(study, case, site, tried, least)
                if ratio < least * (1 - WORTHWHILE):
                    least = ratio
                    candidate[0], candidate[2], candidate[3] = ratio, x, y
            if candidate[2] == start_x and candidate[3] == start_y:
                break
