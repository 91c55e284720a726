"""Attenuation from sources to receivers: all paths of ISO 9613-2 combined.

Limits of the model: only first-order reflections, only at walls within `REFLECTOR_REACH_M` (50 m)
of source or receiver, and in each band only the MAX_REFLECTIONS (3) loudest ones, after screening,
size and absorption. An upper bound is therefore valid for any surroundings (`upper_level_dba`).
Reflections are screened over the top, never around the sides. Propagation is downwind (Cmet = 0);
the foliage, industrial sites and housing of Annex A are not modeled.

The module is over 400 lines long: the upper bounds are next to the terms that they bound.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from geo.propagation import paths
from geo.propagation.bands import WAVELENGTH_M, sum_bands_dba
from geo.propagation.edition import Edition
from geo.propagation.ground import (
    GroundEffect,
    MeanHeightGround,
    PlanGround,
    correct_steep_ground_db,
    end_zone_db,
    mean_height_db,
    middle_zone_db,
    solid_angle_db,
    table3_db,
    weight_factors,
)
from geo.propagation.scene import Scene, ground_height_m
from geo.propagation.screening import around_side_db, barrier_db, over_top_db
from geo.shapes.ragged import positions_in_groups

CHUNK = 2_048
THREADS = 2
MAX_REFLECTIONS = 3
"""So many reflections count in each band. One that is dropped is no louder than any of these."""
NEAREST_M = 1.0
"""A source nearer than this is not a point, so shorter distances count as 1 m."""
BOUND_FROM_M, BOUND_TO_M, BOUND_STEPS = 1.0, 1e5, 4000


def attenuation_db(
    source: np.ndarray,
    receiver: np.ndarray,
    scene: Scene,
    air: np.ndarray,
    edition: Edition,
    *,
    screen: tuple[np.ndarray, float] | None = None,
) -> np.ndarray:
    """Return the attenuation of each pair: level = sound power level - attenuation, per band.

    All contributions are summed by energy. A solid that contains source or receiver below its roof
    is left out for that pair (see `is_enclosed`), but a point that is only a little behind a wall
    stands in front of it (`crossings.BEHIND_WALL_M`). The result is never NaN or infinite.

    Over 100 m of hard ground, both ends 2 m high, without air absorption, every band is attenuated
    by 20 lg 100 + 11 - 3 = 48 dB:

    >>> from geo.propagation.edition import ISO_1996
    >>> from geo.propagation.scene import build_scene
    >>> places = np.array([[0.0, 0, 2]]), np.array([[100.0, 0, 2]])
    >>> empty = build_scene(np.array([]))
    >>> attenuation_db(*places, empty, np.zeros(8), ISO_1996)[0, 4].round().item()
    48.0

    Args:
        source: x, y and height above the ground, meters (P, 3).
        receiver: The same for the receivers (P, 3).
        scene: Buildings, barriers, terrain and ground.
        air: Air absorption in dB per meter (8,).
        edition: The edition of the standard.
        screen: A closed wall around each source, as the plan distance from the source (P,) and the
            height above the source's ground. Every path is attenuated at least as much as by this
            wall alone, and no path leads around it. None: no wall.

    Returns:
        The attenuation in dB (P, 8).

    Raises:
        ValueError: When a coordinate is not finite.
    """
    count = len(source)
    for name, points in (("source", source), ("receiver", receiver)):
        wild = np.flatnonzero(~np.isfinite(points).all(axis=1))
        if len(wild):
            raise ValueError(
                f"computing noise levels: {name} {wild[0]} is at {points[wild[0]].tolist()}; "
                "coordinates must be finite"
            )
    lost = np.empty((count, 8))

    def work(start: int) -> None:
        part = slice(start, start + CHUNK)
        here = None
        if screen is not None:
            here = (np.broadcast_to(screen[0], count)[part], screen[1])
        lost[part] = _attenuate_chunk(source[part], receiver[part], scene, air, edition, here)

    starts = range(0, count, CHUNK)
    if len(starts) > 1:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, starts))
    else:
        for start in starts:
            work(start)
    return lost


is_enclosed = paths.is_enclosed


def _attenuate_chunk(
    source: np.ndarray,
    receiver: np.ndarray,
    scene: Scene,
    air: np.ndarray,
    edition: Edition,
    screen: tuple[np.ndarray, float] | None,
) -> np.ndarray:
    path_table = paths.find_paths(source, receiver, scene, screen)
    direct = path_table.direct
    source_m, receiver_m = source[:, 2], receiver[:, 2]
    plan, slant = direct[:, paths.PLAN], np.maximum(direct[:, paths.SLANT], NEAREST_M)
    straight = np.stack((source[:, :2], source[:, :2], receiver[:, :2]), axis=1)
    mean_m = (direct[:, paths.START] + direct[:, paths.END]) / 2 - direct[:, paths.GROUND_MEAN]
    ground, gain = _ground_db(
        scene.ground, straight, source_m, receiver_m, plan, slant, mean_m, edition
    )
    lost = _open_db(slant, air) + ground - gain

    own = None
    if screen is not None:
        height_m = direct[:, [paths.START, paths.END]].T
        own = _screen_db(height_m, source_m, plan, slant, screen, edition)
    over = np.flatnonzero(~np.isnan(direct[:, paths.TOP_Z]))
    if len(over):
        rows = direct[over]
        top = over_top_db(
            rows[:, paths.TOP_Z],
            (rows[:, paths.TOP_BEFORE], rows[:, paths.TOP_BETWEEN], rows[:, paths.TOP_AFTER]),
            slant[over],
            edition,
        )
        if own is not None:
            # This wall, nearer to the source than all other edges, can lift the band off them. Eq.
            # (15) then counts fewer edges, so that Dz could be less than by this wall alone.
            top = np.maximum(top, own[over])
        sides = tuple(
            _side_db(rows[:, z], rows[:, between], None if own is None else own[over], edition)
            for z, between in (
                (paths.LEFT_Z, paths.LEFT_BETWEEN),
                (paths.RIGHT_Z, paths.RIGHT_BETWEEN),
            )
        )
        lost[over] += barrier_db(top, sides, ground[over])

    pair, back = path_table.pair, path_table.back
    if not len(pair):
        return np.asarray(lost)
    away, turned = back[:, paths.BACK_PLAN], np.maximum(back[:, paths.BACK_SLANT], NEAREST_M)
    folded = np.stack(
        (source[pair, :2], back[:, paths.BACK_X : paths.BACK_Y + 1], receiver[pair, :2]), axis=1
    )
    mean_m = (direct[pair, paths.START] + direct[pair, paths.END]) / 2 - back[:, paths.BACK_MEAN]
    ground, gain = _ground_db(
        scene.ground, folded, source_m[pair], receiver_m[pair], away, turned, mean_m, edition
    )
    way = _open_db(turned, air) + ground - gain
    over = np.flatnonzero(~np.isnan(back[:, paths.BACK_Z]))
    if len(over):
        rows = back[over]
        top = over_top_db(
            rows[:, paths.BACK_Z],
            (rows[:, paths.BACK_BEFORE], rows[:, paths.BACK_BETWEEN], rows[:, paths.BACK_AFTER]),
            turned[over],
            edition,
        )
        if own is not None:
            top = np.maximum(top, own[pair[over]])
        way[over] += barrier_db(top, (), ground[over])
    kept = (1 - scene.absorption[path_table.wall_owner]) * back[:, [paths.FADE]]
    energy = np.where(_is_large_enough(back), kept, 0) * 10 ** (-0.1 * way)
    total = 10 ** (-0.1 * lost) + _sum_loudest(energy, pair, len(source))
    return np.asarray(-10 * np.log10(total))


def _sum_loudest(energy: np.ndarray, pair: np.ndarray, pairs: int) -> np.ndarray:
    """Return the energy (pairs, 8) of each pair's MAX_REFLECTIONS loudest reflections by band.

    `energy` (Q, 8) is sorted by pair.
    """
    number = np.bincount(pair, minlength=pairs)
    table = np.zeros((pairs, max(int(number.max()), MAX_REFLECTIONS), energy.shape[1]))
    table[pair, positions_in_groups(number)] = energy
    table.partition(table.shape[1] - MAX_REFLECTIONS, axis=1)
    return np.asarray(np.sort(table[:, -MAX_REFLECTIONS:], axis=1).sum(axis=1))


def _open_db(distance_m: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Return divergence plus air absorption, ISO 9613-2:1996 eq. (7) and (8).

    At 100 m the divergence is 51 dB.
    """
    return np.asarray((20 * np.log10(distance_m) + 11)[:, None] + distance_m[:, None] * air)


def _ground_db(
    ground: GroundEffect,
    path_xy: np.ndarray,
    source_m: np.ndarray,
    receiver_m: np.ndarray,
    plan_m: np.ndarray,
    distance_m: np.ndarray,
    mean_m: np.ndarray,
    edition: Edition,
) -> tuple[np.ndarray, np.ndarray | float]:
    """Return Agr (P, 8), and DOmega (P, 1), which only 7.3.2 has."""
    if isinstance(ground, MeanHeightGround):
        # The area between path and ground divided by the path's length: ISO 9613-2 figure 3.
        level = mean_height_db(mean_m * plan_m / distance_m, distance_m)
        angle = solid_angle_db(source_m, receiver_m, plan_m)
        return np.repeat(level[:, None], 8, axis=1), angle[:, None]
    if isinstance(ground, PlanGround):
        factor: tuple[np.ndarray | float, ...] = (ground.source, ground.middle, ground.receiver)
    else:
        factor = weight_factors(path_xy, source_m, receiver_m, ground)
    return table3_db(source_m, receiver_m, plan_m, (factor[0], factor[1], factor[2]), edition), 0.0


def wall_attenuation_db(
    source: np.ndarray,
    receiver: np.ndarray,
    scene: Scene,
    edition: Edition,
    screen: tuple[np.ndarray, float],
) -> np.ndarray:
    """Return the attenuation by a closed wall around each source if nothing else is in the way.

    For example, a 3 m wall stands 3 m from a source that is 1.5 m high. For a receiver 60 m away at
    the same height, z = 0.37 m: 10 lg(3 + 20 / 0.34 x 0.37 x 0.94) = 13.7 dB at 1 kHz.

    Args:
        source: x, y and height above the ground, meters (P, 3).
        receiver: The same for the receivers (P, 3).
        scene: Buildings, barriers, terrain and ground.
        edition: The edition of the standard.
        screen: The wall, as in `attenuation_db`.

    Returns:
        The attenuation in dB (P, 8).
    """
    height_m = np.stack(
        [ground_height_m(one[:, :2], scene) + one[:, 2] for one in (source, receiver)]
    )
    plan = np.hypot(*(receiver[:, :2] - source[:, :2]).T)
    slant = np.maximum(np.hypot(plan, height_m[1] - height_m[0]), NEAREST_M)
    return _screen_db(height_m, source[:, 2], plan, slant, screen, edition)


def _screen_db(
    height_m: np.ndarray,
    source_m: np.ndarray,
    plan: np.ndarray,
    slant: np.ndarray,
    screen: tuple[np.ndarray, float],
    edition: Edition,
) -> np.ndarray:
    """Return Dz (P, 8) over the screen alone, 0 where it is not between source and receiver.

    `height_m` (2, P) is the heights of source and receiver above the datum, `source_m` the height
    of the source above ground.
    """
    away, height = screen
    begin, end = height_m
    rise = height - source_m
    fall = end - begin - rise
    before, after = np.hypot(away, rise), np.hypot(plan - away, fall)
    line = (end - begin) * away / np.maximum(plan, NEAREST_M)
    screens = (away > 0) & (away < plan) & (rise > line)
    level = over_top_db(
        np.maximum(before + after - slant, 0),
        (before, np.zeros_like(before), after),
        slant,
        edition,
    )
    return np.where(screens[:, None], level, 0.0)


def _side_db(
    detour_m: np.ndarray, between_m: np.ndarray, least: np.ndarray | None, edition: Edition
) -> np.ndarray:
    """Return Dz (P, 8) around a side, at least `least`, infinite where there is no path."""
    has_path = ~np.isnan(detour_m)
    level = np.full((len(detour_m), 8), np.inf)
    level[has_path] = around_side_db(detour_m[has_path], between_m[has_path], edition)
    return level if least is None else np.maximum(level, least)


def _is_large_enough(back: np.ndarray) -> np.ndarray:
    """Return per band whether the wall is large enough to reflect, ISO 9613-2:1996 eq. (19)."""
    to, onward = back[:, paths.TO_WALL], back[:, paths.FROM_WALL]
    least = (
        (2 / np.maximum(back[:, paths.BACK_SIZE], 1e-6)) ** 2
        * to
        * onward
        / np.maximum(to + onward, 1e-6)
    )
    return np.asarray(least[:, None] < 1 / WAVELENGTH_M)


def upper_level_dba(
    distance_m: np.ndarray,
    power_db: np.ndarray,
    source_m: float,
    receiver_m: float,
    ground: GroundEffect,
    air: np.ndarray,
    edition: Edition,
    *,
    reflecting: bool,
    least_absorption: float = 0.0,
) -> np.ndarray:
    """Return an upper bound on the level of any pair at least `distance_m` apart.

    It assumes that nothing stands between, that the ground is the hardest in `ground`, and, with
    `reflecting`, that walls cause as many reflections as possible. It is valid over any terrain,
    which only makes the path longer. It falls with distance, in steps of 0.3 %.

    94 dB at 1 kHz over 100 m of hard ground, both ends 2 m high, without air absorption, give
    94 - 48 = 46 dB(A), and up to 0.03 more:

    >>> from geo.propagation.edition import ISO_1996
    >>> from geo.propagation.scene import HARD
    >>> tone_db = np.array([-99.0] * 4 + [94.0] + [-99.0] * 3)
    >>> upper_level_dba(
    ...     np.array([100.0]), tone_db, 2.0, 2.0, HARD, np.zeros(8), ISO_1996, reflecting=False
    ... ).round(1).tolist()
    [46.0]

    Args:
        distance_m: Shortest distance in plan (N,).
        power_db: Sound power level per band, not weighted (8,).
        source_m: Height of the source above the ground.
        receiver_m: Height of the receiver above the ground.
        ground: The ground effect.
        air: Air absorption in dB per meter (8,).
        edition: The edition of the standard.
        reflecting: Whether there may be walls that reflect.
        least_absorption: The least absorption of any wall.

    Returns:
        The level in dB(A) (N,).
    """
    level, place = _bands_at_distance(
        distance_m, power_db, source_m, receiver_m, ground, air, edition, screened=False
    )
    falling = np.maximum.accumulate(sum_bands_dba(level)[::-1])[::-1]
    if reflecting:
        falling = falling + 10 * np.log10(1 + MAX_REFLECTIONS * (1 - least_absorption))
    return np.asarray(falling[place])


def upper_screened_db(
    distance_m: np.ndarray,
    power_db: np.ndarray,
    source_m: float,
    receiver_m: float,
    ground: GroundEffect,
    air: np.ndarray,
    edition: Edition,
    *,
    least_absorption: float = 0.0,
) -> np.ndarray:
    """Return upper bounds on the band levels behind a wall, before the wall's own attenuation.

    For sources with a closed wall around them, the level from all paths together (over the top,
    around two sides, back from walls) is at most this minus `wall_attenuation_db`, band by band.

    For example, the 46 dB of `upper_level_dba`'s example, behind walls that reflect everything,
    become 46 + 10 lg 6 = 53.8 dB.

    Args:
        distance_m: Shortest distance in plan (N,).
        power_db: Sound power level per band, not weighted (8,).
        source_m: Height of the source above the ground.
        receiver_m: Height of the receiver above the ground.
        ground: The ground effect.
        air: Air absorption in dB per meter (8,).
        edition: The edition of the standard.
        least_absorption: The least absorption of any wall.

    Returns:
        The band levels in dB (N, 8).
    """
    level, place = _bands_at_distance(
        distance_m, power_db, source_m, receiver_m, ground, air, edition, screened=True
    )
    falling = np.maximum.accumulate(level[::-1])[::-1]
    ways = 3 + MAX_REFLECTIONS * (1 - least_absorption)
    return np.asarray(falling[place] + 10 * np.log10(ways))


def _bands_at_distance(
    distance_m: np.ndarray,
    power_db: np.ndarray,
    source_m: float,
    receiver_m: float,
    ground: GroundEffect,
    air: np.ndarray,
    edition: Edition,
    *,
    screened: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest level from one path per step of distance (S, 8), and each distance's step.

    If it is `screened`, the screen replaces the ground effect where that attenuates (TR 5.5).
    """
    node = np.geomspace(BOUND_FROM_M, BOUND_TO_M, BOUND_STEPS)
    near, far = node[:-1], node[1:]
    # Distances below 1 m count as 1 m for divergence and air, but not for the ground effect.
    plan_near = np.concatenate(([0.0], near[1:]))
    gain = _least_ground_gain(ground, plan_near, far, source_m, receiver_m, edition)
    if screened:
        gain = np.maximum(gain, 0.0)
    place = np.searchsorted(node, np.maximum(distance_m, BOUND_FROM_M), side="right") - 1
    return power_db - _open_db(near, air) + gain, np.clip(place, 0, len(near) - 1)


def _least_ground_gain(
    ground: GroundEffect,
    near: np.ndarray,
    far: np.ndarray,
    source_m: float,
    receiver_m: float,
    edition: Edition,
) -> np.ndarray:
    """Return the most that the ground can add (N, 8) at any distance from `near` to `far`.

    As and Ar grow with distance and Am falls, so As and Ar are taken at `near`, Am at `far`.
    """
    if isinstance(ground, MeanHeightGround):
        return np.full((len(near), 8), 10 * np.log10(2))
    if isinstance(ground, PlanGround):
        source, middle, receiver = ground.source, ground.middle, ground.receiver
    else:
        source = middle = receiver = min([ground.elsewhere, *ground.factor])
    high, low = np.full(len(near), source_m), np.full(len(near), receiver_m)
    least = end_zone_db(high, near, source) + end_zone_db(low, near, receiver)
    least += middle_zone_db(high + low, far, middle)
    if edition.steep_ground:
        least = np.minimum(
            correct_steep_ground_db(least, high, low, near),
            correct_steep_ground_db(least, high, low, far),
        )
    return np.asarray(-least)
