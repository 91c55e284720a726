"""Ground effect of ISO 9613-2 clause 7.3: from ground factors, or from mean height."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import shapely

from geo.compiled import called, entry, inlined
from geo.propagation.edition import ISO_1996, Edition

ZONE_HEIGHTS = 30.0
"""Length of the source and receiver zones along the path, as a multiple of height, 7.3.1."""

A_DASH = (1.5, 3.0, 0.12, 5.0, 50.0, 5.7, 0.09, 2.8e-6)
"""Constants of a'(h), Table 3: 1.5, then 3.0 exp(-0.12 (h - 5)^2), 50 m, 5.7 exp(-0.09 h^2), ..."""
B_DASH = (1.5, 8.6, 0.09, 50.0)
C_DASH = (1.5, 14.0, 0.46, 50.0)
D_DASH = (1.5, 5.0, 0.9, 50.0)
"""Constants of b'(h), c'(h) and d'(h), Table 3: 1.5 + 8.6 exp(-0.09 h^2) (1 - exp(-dp / 50))."""


@dataclass(frozen=True)
class PlanGround:
    """Ground factors that apply everywhere: 0 hard, 1 porous (7.3.1, Table 3)."""

    source: float
    middle: float
    receiver: float


@dataclass(frozen=True)
class ZonedGround:
    """Ground factors by area: polygons (Z,) that do not overlap, their factors, and elsewhere."""

    areas: np.ndarray
    factor: np.ndarray
    elsewhere: float = 0.0
    tree: shapely.STRtree = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", shapely.STRtree(self.areas))


@dataclass(frozen=True)
class MeanHeightGround:
    """The alternative of 7.3.2 for porous ground, from the mean height of the path only."""


GroundEffect = PlanGround | ZonedGround | MeanHeightGround


def weight_factors(
    path_xy: np.ndarray, source_m: np.ndarray, receiver_m: np.ndarray, ground: ZonedGround
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ground factors of source, middle and receiver zone, weighted by length.

    ISO 9613-2:1996 clause 7.3.1. A zone without length has the factor of the ground elsewhere,
    which then has no effect.

    For example, 40 m over G = 0 and 10 m over G = 0.5 inside one zone give 0.1.

    Args:
        path_xy: Source, bend and receiver in plan, meters (P, 3, 2). The bend of a straight path
            may be anywhere on it.
        source_m: Height of the source above the ground (P,).
        receiver_m: Height of the receiver above the ground (P,).
        ground: The ground effect with its factors.

    Returns:
        The factors of the three zones, each (P,).
    """
    legs = np.hypot(*np.moveaxis(np.diff(path_xy, axis=1), -1, 0))
    bend, end = legs[:, 0], legs.sum(axis=1)
    near = np.minimum(ZONE_HEIGHTS * source_m, end)
    far = np.maximum(end - ZONE_HEIGHTS * receiver_m, 0.0)
    middle = (np.minimum(near, far), np.maximum(far, near))
    zones = ((np.zeros_like(end), near), middle, (far, end))
    answer = [_weighted(path_xy, legs, bend, start, stop, ground) for start, stop in zones]
    return answer[0], answer[1], answer[2]


def _weighted(
    path_xy: np.ndarray,
    legs: np.ndarray,
    bend: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    ground: ZonedGround,
) -> np.ndarray:
    """Return the factor between two distances along each path."""
    stations = np.stack((start, np.clip(bend, start, stop), stop), axis=1)
    first = np.clip(stations / np.maximum(legs[:, :1], 1e-9), 0, 1)[..., None]
    second = np.clip((stations - legs[:, :1]) / np.maximum(legs[:, 1:], 1e-9), 0, 1)[..., None]
    source, corner, receiver = path_xy[:, :1], path_xy[:, 1:2], path_xy[:, 2:]
    line = shapely.linestrings(source + first * (corner - source) + second * (receiver - corner))
    path, area = ground.tree.query(line, predicate="intersects")
    inside = shapely.length(shapely.intersection(line[path], ground.areas[area]))
    over = np.bincount(path, inside * (ground.factor[area] - ground.elsewhere), minlength=len(line))
    return np.asarray(np.clip(ground.elsewhere + over / np.maximum(stop - start, 1e-9), 0, 1))


class Table3(NamedTuple):
    """The constants of Table 3 as the kernel reads them, and whether Agr is corrected (2024)."""

    a_dash: np.ndarray  # (8,)
    other_dash: np.ndarray  # (3, 4): b', c' and d'
    steep_ground: bool


def read_table3(edition: Edition) -> Table3:
    """Return the constants of Table 3 for an edition.

    >>> from geo.propagation.edition import ISO_1996
    >>> read_table3(ISO_1996).other_dash[0].tolist()
    [1.5, 8.6, 0.09, 50.0]
    """
    return Table3(np.array(A_DASH), np.array((B_DASH, C_DASH, D_DASH)), bool(edition.steep_ground))


@inlined
def _add_end_zone(
    table: Table3, height_m: float, plan_m: float, factor: float, level: np.ndarray
) -> None:
    """Add As or Ar of Table 3 to the levels of the 8 bands."""
    level[0] -= 1.5
    if factor == 0:
        for band in range(1, 8):
            level[band] -= 1.5
        return
    flat, near, near_fall, peak_m, length_m, far, far_fall, square = table.a_dash
    squared = height_m**2
    level[1] += factor * (
        flat
        + near * np.exp(-near_fall * (height_m - peak_m) ** 2) * -np.expm1(-plan_m / length_m)
        + far * np.exp(-far_fall * squared) * -np.expm1(-square * plan_m**2)
    )
    level[1] -= 1.5
    for k in range(3):
        base, gain = table.other_dash[k, 0], table.other_dash[k, 1]
        fall, reach_m = table.other_dash[k, 2], table.other_dash[k, 3]
        dash = base + gain * np.exp(-fall * squared) * -np.expm1(-plan_m / reach_m)
        level[2 + k] += factor * dash - 1.5
    for band in range(5, 8):
        level[band] -= 1.5 * (1 - factor)


@inlined
def _add_middle_zone(heights_m: float, plan_m: float, factor: float, level: np.ndarray) -> None:
    """Add Am of Table 3 to the levels of the 8 bands."""
    share = max(1 - ZONE_HEIGHTS * heights_m / max(plan_m, 1e-9), 0.0)
    level[0] -= 3 * share
    for band in range(1, 8):
        level[band] -= 3 * share * (1 - factor)


def _direct_to_mirrored(source_m: Any, receiver_m: Any, plan_m: Any) -> Any:
    """Return the squared distance to the receiver over that to its image in the ground."""
    # If both points are at one place on the ground, both distances are 0 and the ratio is 1.
    direct = plan_m**2 + (source_m - receiver_m) ** 2 + 1e-12
    return direct / (plan_m**2 + (source_m + receiver_m) ** 2 + 1e-12)


direct_to_mirrored = inlined(_direct_to_mirrored)


@inlined
def _correct_steep_ground(
    source_m: float, receiver_m: float, plan_m: float, level: np.ndarray
) -> None:
    """Correct the levels of Table 3 for steep ground, ISO 9613-2:2024 clause 7.3.1."""
    geometry = direct_to_mirrored(source_m, receiver_m, plan_m)
    for band in range(8):
        level[band] = -10 * np.log10(1 + (10 ** (-0.1 * level[band]) - 1) * geometry)


@inlined
def add_ground(
    table: Table3,
    source_m: float,
    receiver_m: float,
    plan_m: float,
    factor: np.ndarray,
    level: np.ndarray,
) -> None:
    """Set the levels of the bands to Agr, ISO 9613-2:1996 eq. (9) and Table 3.

    With the 2024 edition, it is corrected for steep ground. 10 m over hard ground, both ends 1 m
    high:

    >>> level = np.empty(8)
    >>> add_ground(read_table3(ISO_1996), 1.0, 1.0, 10.0, np.zeros(3), level)
    >>> level.round(2).tolist()
    [-3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0]

    Args:
        table: The constants of Table 3.
        source_m: Height of the source above the ground.
        receiver_m: Height of the receiver above the ground.
        plan_m: Distance in plan.
        factor: The ground factors of source, middle and receiver zone (3,).
        level: The levels (8,).
    """
    for band in range(8):
        level[band] = 0.0
    _add_end_zone(table, source_m, plan_m, factor[0], level)
    _add_end_zone(table, receiver_m, plan_m, factor[2], level)
    _add_middle_zone(source_m + receiver_m, plan_m, factor[1], level)
    if table.steep_ground:
        _correct_steep_ground(source_m, receiver_m, plan_m, level)


@called
def _add_each_end_zone(
    table: Table3, height_m: np.ndarray, plan_m: np.ndarray, factor: np.ndarray, level: np.ndarray
) -> None:
    for k in range(len(plan_m)):
        _add_end_zone(table, height_m[k], plan_m[k], factor[k], level[k])


@called
def _add_each_middle_zone(
    heights_m: np.ndarray, plan_m: np.ndarray, factor: np.ndarray, level: np.ndarray
) -> None:
    for k in range(len(plan_m)):
        _add_middle_zone(heights_m[k], plan_m[k], factor[k], level[k])


def _make_fill_end_zones(version: str) -> Callable[..., Any]:
    def fill_end_zones(*values: Any) -> Any:
        len(version)
        return _add_each_end_zone(*values)

    return fill_end_zones


_fill_end_zones = entry(_make_fill_end_zones, ("propagation",))


def _make_fill_middle_zones(version: str) -> Callable[..., Any]:
    def fill_middle_zones(*values: Any) -> Any:
        len(version)
        return _add_each_middle_zone(*values)

    return fill_middle_zones


_fill_middle_zones = entry(_make_fill_middle_zones, ("propagation",))


def end_zone_db(height_m: np.ndarray, plan_m: np.ndarray, factor: np.ndarray | float) -> np.ndarray:
    """Return As or Ar of Table 3.

    1 m above porous ground (G = 1), 194.16 m away, at 1 kHz it is -1.5 + 3.49 = 1.99 dB:

    >>> end_zone_db(np.ones(1), np.array([194.16]), 1.0)[0, 4].round(2).item()
    1.99

    Args:
        height_m: Height of the source or receiver above the ground (P,).
        plan_m: Distance in plan (P,).
        factor: The ground factor of the zone (P,).

    Returns:
        The attenuation in dB (P, 8).
    """
    level = np.zeros((len(plan_m), 8))
    factors = np.broadcast_to(factor, len(plan_m))
    _fill_end_zones(
        read_table3(ISO_1996), _floats(height_m), _floats(plan_m), _floats(factors), level
    )
    return level


def middle_zone_db(
    heights_m: np.ndarray, plan_m: np.ndarray, factor: np.ndarray | float
) -> np.ndarray:
    """Return Am of Table 3.

    >>> middle_zone_db(np.array([5.0]), np.array([194.16]), np.zeros(1)).round(2)[0, :2].tolist()
    [-0.68, -0.68]

    Args:
        heights_m: The sum of the heights of source and receiver (P,).
        plan_m: Distance in plan (P,).
        factor: The ground factor of the middle zone (P,).

    Returns:
        The attenuation in dB (P, 8).
    """
    level = np.zeros((len(plan_m), 8))
    factors = np.broadcast_to(factor, len(plan_m))
    _fill_middle_zones(_floats(heights_m), _floats(plan_m), _floats(factors), level)
    return level


def _floats(column: np.ndarray) -> np.ndarray:
    """Return the column as the one type of array for which the kernel is compiled."""
    return np.array(column, dtype=float)


def correct_steep_ground_db(
    ground_db: np.ndarray, source_m: np.ndarray, receiver_m: np.ndarray, plan_m: np.ndarray
) -> np.ndarray:
    """Return Agr according to ISO 9613-2:2024 clause 7.3.1 from the Agr of Table 3.

    Heights of 30 and 10 m, 25 m apart, give Kgeo = 1025 / 2225 = 0.4607, and -3 dB becomes -1.64:

    >>> heights_m, plan_m = (np.array([30.0]), np.array([10.0])), np.array([25.0])
    >>> correct_steep_ground_db(np.full((1, 8), -3.0), *heights_m, plan_m)[0, 0].round(2).item()
    -1.64

    Args:
        ground_db: Agr according to Table 3 (P, 8).
        source_m: Height of the source above the ground (P,).
        receiver_m: Height of the receiver above the ground (P,).
        plan_m: Distance in plan (P,).

    Returns:
        The corrected Agr in dB (P, 8).
    """
    geometry = _direct_to_mirrored(source_m, receiver_m, plan_m)
    return np.asarray(-10 * np.log10(1 + (10 ** (-0.1 * ground_db) - 1) * geometry[:, None]))


@inlined
def mean_height_db(mean_height_m: float, distance_m: float) -> float:
    """Return Agr according to ISO 9613-2:1996 eq. (10), never below 0.

    >>> round(mean_height_db(2.0, 100.0), 2)
    4.0
    """
    return max(4.8 - 2 * mean_height_m / distance_m * (17 + 300 / distance_m), 0.0)


@inlined
def solid_angle_db(source_m: float, receiver_m: float, plan_m: float) -> float:
    """Return DOmega according to ISO 9613-2:1996 eq. (11), which is used together with eq. (10).

    Near the ground and far away it is 10 lg 2.

    >>> round(solid_angle_db(1.0, 1.0, 1000.0), 2)
    3.01

    Args:
        source_m: Height of the source above the ground.
        receiver_m: Height of the receiver above the ground.
        plan_m: Distance in plan.

    Returns:
        DOmega in dB.
    """
    return 10 * np.log10(1 + direct_to_mirrored(source_m, receiver_m, plan_m))
