"""The energy that one source sends to one receiver, for compiled callers that ask pair by pair.

`levels.attenuation_db` computes many given pairs. A search knows its next pair only from the last
answer, so it calls `send_energy` from compiled code. Both use the same kernel.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geo.compiled import address_of, call_at, called, entry, inlined, reference_to
from geo.propagation import paths
from geo.propagation.band_energy import (
    DIVERGENCE,
    LN_10,
    NEAREST_M,
    Buffers,
    Rules,
    read_rules,
    sum_each_energy,
)
from geo.propagation.bands import A_WEIGHTING_DB
from geo.propagation.crossings import Scratch, distance_m, make_scratch
from geo.propagation.edition import Edition
from geo.propagation.ground import (
    GroundEffect,
    MeanHeightGround,
    PlanGround,
    add_ground,
    mean_height_db,
    solid_angle_db,
)
from geo.propagation.reflections import REFLECTOR_REACH_M
from geo.propagation.scene import Scene, SceneIndex
from geo.propagation.screening import screen_over_top

MOST_REFLECTIONS = 10_000
Point = tuple[float, float]
Receiver = tuple[float, float, float]
Wall = tuple[float, float]


class Room(NamedTuple):
    """The arrays that one thread fills anew for each pair."""

    scratch: Scratch
    buffers: Buffers
    source: np.ndarray  # (1, 3)
    receiver: np.ndarray  # (1, 3)
    screen_m: np.ndarray  # (1,)
    direct: np.ndarray  # (1, columns of a direct path)
    back: np.ndarray  # (reflections, columns of a reflection)
    pair: np.ndarray  # (reflections,)
    owner: np.ndarray  # (reflections,)
    source_m: np.ndarray  # (1,)
    receiver_m: np.ndarray  # (1,)
    direct_factor: np.ndarray  # (1, 3): ground factors of the three zones
    back_factor: np.ndarray  # (reflections, 3)
    no_wall: np.ndarray  # (0, 8)
    own_wall: np.ndarray  # (1, 8): the share that the source's own wall leaves
    energy: np.ndarray  # (1, 8)
    sent: np.ndarray  # (1,): how many pairs were computed


class Sound(NamedTuple):
    """A source, the scene around it, and the constants of the standard, for compiled code.

    `power` (8,) is the A-weighted sound energy by band, in units of 0 dB.
    """

    scene: SceneIndex
    rules: Rules
    reflected: np.ndarray
    most_reflected: np.ndarray
    factor: np.ndarray  # (3,)
    power: np.ndarray  # (8,)
    source_height_m: float


def make_sound(
    scene: Scene, power_db: np.ndarray, source_height_m: float, air: np.ndarray, edition: Edition
) -> Sound:
    """Return a source and its surroundings for compiled code.

    Args:
        scene: The scene. Its ground effect must be the same everywhere.
        power_db: Sound power level by octave band, not weighted (8,).
        source_height_m: Height of the source above the ground.
        air: Air absorption in dB per meter (8,).
        edition: The edition of the standard.

    Returns:
        The source.

    Raises:
        ValueError: When the ground effect depends on the place.
    """
    rules = read_rules(edition, air, mean_height=isinstance(scene.ground, MeanHeightGround))
    return Sound(
        scene=scene.index,
        rules=rules,
        reflected=np.array(scene.reflected, dtype=float, order="C"),
        most_reflected=scene.most_reflected,
        factor=_list_factors(scene.ground),
        power=10 ** ((power_db + A_WEIGHTING_DB) / 10),
        source_height_m=float(source_height_m),
    )


def _list_factors(ground: GroundEffect) -> np.ndarray:
    if isinstance(ground, PlanGround):
        return np.array([ground.source, ground.middle, ground.receiver], dtype=float)
    if isinstance(ground, MeanHeightGround):
        return np.zeros(3)
    raise ValueError("computing noise pair by pair: the ground effect must be the same everywhere")


def make_room(sound: Sound, longest_m: float) -> Room:
    """Return the arrays that one thread needs for pairs up to `longest_m` apart."""
    reflections = min(len(sound.scene.wall) + 1, MOST_REFLECTIONS)
    scratch = make_scratch(sound.scene, longest_m + 4 * REFLECTOR_REACH_M)
    return Room(
        scratch=scratch,
        buffers=Buffers(*np.empty((7, 8))),
        source=np.empty((1, 3)),
        receiver=np.empty((1, 3)),
        screen_m=np.empty(1),
        direct=np.empty((1, paths.DIRECT_COLUMNS)),
        back=np.empty((reflections, paths.BACK_COLUMNS)),
        pair=np.empty(reflections, dtype=np.int64),
        owner=np.empty(reflections, dtype=np.int64),
        source_m=np.empty(1),
        receiver_m=np.empty(1),
        direct_factor=sound.factor[None, :].copy(),
        back_factor=np.tile(sound.factor, (reflections, 1)),
        no_wall=np.empty((0, 8)),
        own_wall=np.empty((1, 8)),
        energy=np.empty((1, 8)),
        sent=np.zeros(1, dtype=np.int64),
    )


@called
def _send_energy(
    sound: Sound,
    room: Room,
    source: Point,
    receiver: Receiver,
    wall: Wall,
) -> float:
    wall_m, wall_height_m = wall
    room.sent[0] += 1
    room.source[0, 0], room.source[0, 1] = source
    room.source[0, 2] = sound.source_height_m
    room.receiver[0, 0], room.receiver[0, 1], room.receiver[0, 2] = receiver
    room.source_m[0], room.receiver_m[0] = sound.source_height_m, receiver[2]
    room.screen_m[0] = np.nan
    for column in range(room.direct.shape[1]):
        room.direct[0, column] = np.nan
    own = room.no_wall
    if wall_height_m > 0:
        room.screen_m[0] = wall_m
    count = paths.find_every_path(
        sound.scene, room.scratch, room.source, room.receiver, room.screen_m, wall_height_m,
        room.direct, room.back, room.pair, room.owner,
    )  # fmt: skip
    count = min(count, len(room.back))
    if wall_height_m > 0:
        row = room.direct[0]
        set_own_wall(
            sound, row[paths.START], row[paths.END], row[paths.PLAN],
            max(row[paths.SLANT], NEAREST_M), wall_m, wall_height_m, room.own_wall[0],
        )  # fmt: skip
        own = room.own_wall
    sum_each_energy(
        sound.rules, room.buffers, room.direct, room.back, room.pair[:count], room.owner,
        sound.most_reflected, room.source_m, room.receiver_m, room.direct_factor,
        room.back_factor, sound.reflected, own, room.energy,
    )  # fmt: skip
    total = 0.0
    for band in range(8):
        total += sound.power[band] * room.energy[0, band]
    return total


@inlined
def set_own_wall(
    sound: Sound,
    begin: float,
    end: float,
    plan: float,
    slant: float,
    wall_m: float,
    wall_height_m: float,
    left: np.ndarray,
) -> None:
    """Set the share by band that a wall around the source leaves, as `levels.wall_attenuation_db`.

    Args:
        sound: The source.
        begin: Its height above the datum.
        end: The receiver's height above the datum.
        plan: The distance in plan.
        slant: The distance in space, at least NEAREST_M.
        wall_m: How far from the source the straight line crosses the wall.
        wall_height_m: The height of the wall above the source's ground.
        left: The shares (8,).
    """
    rise = wall_height_m - sound.source_height_m
    fall = end - begin - rise
    line = (end - begin) * wall_m / max(plan, NEAREST_M)
    if 0 < wall_m < plan and rise > line:
        before, after = distance_m(wall_m, rise), distance_m(plan - wall_m, fall)
        detour = max(before + after - slant, 0.0)
        screen_over_top(sound.rules.screening, detour, before, 0.0, after, slant, left)
    else:
        for band in range(8):
            left[band] = 1.0


def _make_send_energy(version: str) -> Callable[..., Any]:
    def send(sound: Sound, room: Room, source: Point, receiver: Receiver, wall: Wall) -> float:
        len(version)
        return _send_energy(sound, room, source, receiver, wall)

    return send


_send_compiled = entry(_make_send_energy, ("propagation",))


def find_sender(sound: Sound, room: Room) -> int:
    """Return the address at which `send_energy` finds its machine code."""
    kept = (reference_to(sound), reference_to(room))
    return address_of(_send_compiled, *kept, (0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0))


@inlined
def send_energy(
    sender: int, sound: Sound, room: Room, source: Point, receiver: Receiver, wall: Wall
) -> float:
    """Return the A-weighted energy at a receiver, 10^(level / 10), by all paths.

    Args:
        sender: See `find_sender`.
        sound: A reference to the source and its surroundings.
        room: A reference to the thread's arrays.
        source: The source, meters east and north of the scene's origin.
        receiver: The receiver, the same, and its height above the ground.
        wall: How far from the source the straight line crosses a wall around it, and the height of
            that wall above the source's ground; 0: no wall.

    Returns:
        The energy.
    """
    return call_at(sender, (sound, room, source, receiver, wall))


@inlined
def send_over_open_ground(
    sound: Sound, buffers: Buffers, away_m: float, receiver_height_m: float
) -> float:
    """Return the A-weighted energy over level ground with nothing around.

    Args:
        sound: The source.
        buffers: The thread's arrays.
        away_m: The distance in plan.
        receiver_height_m: The receiver's height above the ground.

    Returns:
        The energy, 10^(level / 10).
    """
    rules, gain_db = sound.rules, 0.0
    source_m = sound.source_height_m
    slant = max(distance_m(away_m, source_m - receiver_height_m), NEAREST_M)
    if rules.mean_height:
        lost_db = mean_height_db((source_m + receiver_height_m) / 2 * away_m / slant, slant)
        gain_db = solid_angle_db(source_m, receiver_height_m, away_m)
        for band in range(8):
            buffers.ground_db[band] = lost_db
    else:
        add_ground(
            rules.table3, source_m, receiver_height_m, away_m, sound.factor, buffers.ground_db
        )
    total = 0.0
    for band in range(8):
        lost_db = slant * rules.air[band] + buffers.ground_db[band] - gain_db
        total += sound.power[band] * DIVERGENCE / slant**2 * np.exp(-0.1 * LN_10 * lost_db)
    return total
