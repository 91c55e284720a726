"""Attenuation from sources to receivers: all paths of ISO 9613-2 combined.

Limits of the model: only first-order reflections, only at walls within `REFLECTOR_REACH_M` (50 m)
of source or receiver, and all of them together up to MOST_REFLECTED (3) times what would arrive in
the open. An upper bound is therefore valid for any surroundings (`upper_level_dba`).
Reflections are screened over the top, never around the sides. Propagation is downwind (Cmet = 0);
the foliage, industrial sites and housing of Annex A are not modeled.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from geo.propagation import paths
from geo.propagation.band_energy import MOST_REFLECTED, NEAREST_M, Rules, read_rules, sum_energy
from geo.propagation.bands import sum_bands_dba
from geo.propagation.edition import Edition
from geo.propagation.ground import (
    GroundEffect,
    MeanHeightGround,
    PlanGround,
    ZonedGround,
    correct_steep_ground_db,
    end_zone_db,
    middle_zone_db,
    weight_factors,
)
from geo.propagation.scene import Scene, ground_height_m
from geo.propagation.screening import over_top_db

CHUNK = 2_048
THREADS = 2
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
    rules = read_rules(edition, air, mean_height=isinstance(scene.ground, MeanHeightGround))
    energy = np.empty((count, 8))

    def work(start: int) -> None:
        part = slice(start, start + CHUNK)
        here = None
        if screen is not None:
            here = (np.broadcast_to(screen[0], count)[part], screen[1])
        energy[part] = _energy_of_chunk(source[part], receiver[part], scene, rules, edition, here)

    starts = range(0, count, CHUNK)
    if len(starts) > 1:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, starts))
    else:
        for start in starts:
            work(start)
    # The energy far away can be less than the smallest number there is.
    return np.asarray(-10 * np.log10(np.maximum(energy, np.finfo(float).tiny)))


is_enclosed = paths.is_enclosed


def _energy_of_chunk(
    source: np.ndarray,
    receiver: np.ndarray,
    scene: Scene,
    rules: Rules,
    edition: Edition,
    screen: tuple[np.ndarray, float] | None,
) -> np.ndarray:
    """Return the share of the source's energy that arrives at each receiver (P, 8)."""
    found = paths.find_paths(source, receiver, scene, screen)
    source_m, receiver_m = source[:, 2], receiver[:, 2]
    turn = found.back[:, paths.BACK_X : paths.BACK_Y + 1]
    factors = (
        _ground_factors(scene.ground, source, source[:, :2], receiver),
        _ground_factors(scene.ground, source[found.pair], turn, receiver[found.pair]),
    )
    own = np.empty((0, 8))
    if screen is not None:
        height_m = found.direct[:, [paths.START, paths.END]].T
        plan, slant = found.direct[:, paths.PLAN], found.direct[:, paths.SLANT]
        slant = np.maximum(slant, NEAREST_M)
        own = 10 ** (-0.1 * _screen_db(height_m, source_m, plan, slant, screen, edition))
    return sum_energy(found, (source_m, receiver_m), factors, scene, own, rules)


def _ground_factors(
    ground: GroundEffect, source: np.ndarray, turn_xy: np.ndarray, receiver: np.ndarray
) -> np.ndarray:
    """Return the ground factors of the source, middle and receiver zone of each path (P, 3)."""
    if isinstance(ground, ZonedGround):
        path_xy = np.stack((source[:, :2], turn_xy, receiver[:, :2]), axis=1)
        return np.column_stack(weight_factors(path_xy, source[:, 2], receiver[:, 2], ground))
    factors = (0.0, 0.0, 0.0)
    if isinstance(ground, PlanGround):
        factors = (ground.source, ground.middle, ground.receiver)
    return np.tile(factors, (len(source), 1))


def _open_db(distance_m: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Return divergence plus air absorption, ISO 9613-2:1996 eq. (7) and (8).

    At 100 m the divergence is 51 dB.
    """
    return np.asarray((20 * np.log10(distance_m) + 11)[:, None] + distance_m[:, None] * air)


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
        falling = falling + 10 * np.log10(1 + MOST_REFLECTED * (1 - least_absorption))
    return np.asarray(falling[place])


def upper_path_db(
    distance_m: np.ndarray,
    power_db: np.ndarray,
    source_m: float,
    receiver_m: float,
    ground: GroundEffect,
    air: np.ndarray,
    edition: Edition,
) -> np.ndarray:
    """Return upper bounds on the band levels by any one path behind a wall, before the wall's part.

    For sources with a closed wall around them, the level by one path (over the top, around one
    side, back from one wall) is at most this minus `wall_attenuation_db`, band by band. It is the
    same as in `upper_level_dba`, except that the screen replaces a ground effect that attenuates.

    Args:
        distance_m: Shortest distance in plan (N,).
        power_db: Sound power level per band, not weighted (8,).
        source_m: Height of the source above the ground.
        receiver_m: Height of the receiver above the ground.
        ground: The ground effect.
        air: Air absorption in dB per meter (8,).
        edition: The edition of the standard.

    Returns:
        The band levels in dB (N, 8).
    """
    level, place = _bands_at_distance(
        distance_m, power_db, source_m, receiver_m, ground, air, edition, screened=True
    )
    return np.asarray(np.maximum.accumulate(level[::-1])[::-1][place])


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
