"""The path over the top: a rubber band in the vertical plane over walls and ground. Compiled."""

import numpy as np

from geo.compiled import inlined
from geo.propagation.crossings import (
    Line,
    Scratch,
    contains,
    distance_m,
    ground_height_m,
    list_crossings,
    top_at,
)
from geo.propagation.scene import SceneIndex


@inlined
def profile_leg(
    scene: SceneIndex, scratch: Scratch, line: Line, offset: float, rooms: int, n: int
) -> tuple[int, int, bool, float]:
    """Append to the profile the points above a line that begins `offset` from the source.

    Args:
        scene: The scene.
        scratch: The arrays to use. The first `rooms` solids in `scratch.room` do not count.
        line: The line.
        offset: The length of the path before the line, in plan.
        rooms: The number of those solids.
        n: The number of points in the profile before.

    Returns:
        The number of points in the profile, the number of owners whose walls block the line (listed
        in `scratch.blocker`), whether the ground blocks it, and the ground's mean height.
    """
    length = distance_m(line.bx - line.ax, line.by - line.ay)
    slope = (line.bz - line.az) / length if length > 0 else 0.0
    blocking = 0
    for k in range(list_crossings(scene, scratch, line.ax, line.ay, line.bx, line.by)):
        w, t = scratch.crossed[k], scratch.along[k]
        part = t / length
        x, y = line.ax + part * (line.bx - line.ax), line.ay + part * (line.by - line.ay)
        top = top_at(scene, w, x, y)
        owner = scene.wall_owner[w]
        if top > line.az + slope * t and not contains(owner, scratch.room, rooms):
            scratch.profile[n, 0], scratch.profile[n, 1] = offset + t, top
            n += 1
            if blocking == 0 or not contains(owner, scratch.blocker, blocking):
                scratch.blocker[blocking] = owner
                blocking += 1
    if scene.terrain.size == 0:
        return n, blocking, False, 0.0
    hill = False
    steps = int(np.ceil(length / scene.step_m))
    last = ground_height_m(scene, line.ax, line.ay)
    area = last
    for k in range(1, steps + 1):
        part = k / steps
        x, y = line.ax + part * (line.bx - line.ax), line.ay + part * (line.by - line.ay)
        ground = ground_height_m(scene, x, y)
        area += 2 * ground
        last = ground
        if k < steps and ground > line.az + slope * part * length:
            scratch.profile[n, 0], scratch.profile[n, 1] = offset + part * length, ground
            n += 1
            hill = True
    mean = (area - last) / (2 * steps) if steps else last
    return n, blocking, hill, mean


@inlined
def stretch_band(
    profile: np.ndarray, n: int, az: float, bz: float, plan: float
) -> tuple[float, float, float]:
    """Stretch a rubber band over the profile, all of which lies above the straight line.

    Args:
        profile: Distances from the source in plan, and heights (n, 2).
        n: The number of points.
        az: Height of the source.
        bz: Height of the receiver.
        plan: Distance of the receiver in plan.

    Returns:
        The band's length to the first edge, between the first and the last, and after the last.
    """
    for i in range(1, n):
        t, z = profile[i, 0], profile[i, 1]
        j = i - 1
        while j >= 0 and (profile[j, 0] > t or (profile[j, 0] == t and profile[j, 1] > z)):
            profile[j + 1, 0], profile[j + 1, 1] = profile[j, 0], profile[j, 1]
            j -= 1
        profile[j + 1, 0], profile[j + 1, 1] = t, z
    held = 0
    for i in range(n):
        t, z = profile[i, 0], profile[i, 1]
        while held > 0:
            before_t, before_z = 0.0, az
            if held > 1:
                before_t, before_z = profile[held - 2, 0], profile[held - 2, 1]
            last_t, last_z = profile[held - 1, 0], profile[held - 1, 1]
            turn = (last_t - before_t) * (z - before_z) - (last_z - before_z) * (t - before_t)
            if turn < 0:
                break
            held -= 1
        profile[held, 0], profile[held, 1] = t, z
        held += 1
    while held > 1:
        before_t, before_z = profile[held - 2, 0], profile[held - 2, 1]
        last_t, last_z = profile[held - 1, 0], profile[held - 1, 1]
        turn = (last_t - before_t) * (bz - before_z) - (last_z - before_z) * (plan - before_t)
        if turn < 0:
            break
        held -= 1
    between = 0.0
    for i in range(1, held):
        between += distance_m(profile[i, 0] - profile[i - 1, 0], profile[i, 1] - profile[i - 1, 1])
    before = distance_m(profile[0, 0], profile[0, 1] - az)
    after = distance_m(plan - profile[held - 1, 0], bz - profile[held - 1, 1])
    return before, between, after
