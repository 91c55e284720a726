"""The energy that arrives on all paths of a pair, by band, as a share of the source's. Compiled.

The formulas of ISO 9613-2 in one loop over pairs: divergence and air, ground effect, screening,
reflections. Energies are used where the standard writes levels: an attenuation of A dB leaves
10^(-A / 10).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geo.compiled import called, entry, inlined, refer
from geo.propagation import paths
from geo.propagation.edition import Edition
from geo.propagation.ground import (
    Table3,
    add_ground,
    mean_height_db,
    read_table3,
    solid_angle_db,
)
from geo.propagation.scene import Scene
from geo.propagation.screening import (
    Screening,
    combine_paths,
    read_screening,
    screen_around_side,
    screen_over_top,
)

MOST_REFLECTED = 3.0
"""All reflections together count in each band up to this many times what would arrive from the
source in the open, less absorption. An upper bound on the level therefore holds in any
surroundings. In real ones they hardly ever amount to that much."""
NEAREST_M = 1.0
"""A source nearer than this is not a point, so shorter distances count as 1 m."""
LN_10 = float(np.log(10.0))
DIVERGENCE = float(10**-1.1)
"""The share at 1 m: Adiv = 20 lg d + 11, ISO 9613-2:1996 eq. (7)."""


class Rules(NamedTuple):
    """The constants of the standard, and which ground effect to use."""

    table3: Table3
    screening: Screening
    air: np.ndarray  # (8,), dB per meter
    mean_height: bool  # 7.3.2 in place of Table 3


class Buffers(NamedTuple):
    """Arrays that the kernel fills anew for each path or pair, each (8,)."""

    ground_db: np.ndarray
    open: np.ndarray
    top: np.ndarray
    left: np.ndarray
    right: np.ndarray
    reflected: np.ndarray
    most: np.ndarray


def read_rules(edition: Edition, air: np.ndarray, *, mean_height: bool) -> Rules:
    """Return the constants of an edition.

    Args:
        edition: The edition of the standard.
        air: Air absorption in dB per meter (8,).
        mean_height: Whether the ground effect is that of 7.3.2.

    Returns:
        The rules.
    """
    return Rules(
        read_table3(edition),
        read_screening(edition),
        np.array(air, dtype=float),
        mean_height,
    )


def sum_energy(
    found: paths.Paths,
    heights_m: tuple[np.ndarray, np.ndarray],
    factors: tuple[np.ndarray, np.ndarray],
    scene: Scene,
    own: np.ndarray,
    rules: Rules,
) -> np.ndarray:
    """Return the share of the source's energy that arrives at each receiver.

    Args:
        found: The paths of P pairs, with Q reflections.
        heights_m: Heights of sources and receivers above the ground, each (P,).
        factors: Ground factors of source, middle and receiver zone of the straight paths (P, 3) and
            of the reflections (Q, 3).
        scene: The scene, for the share of the energy that its walls reflect.
        own: The share that a wall around each source leaves (P, 8); no rows: there is no wall.
        rules: The constants of the standard.

    Returns:
        The shares (P, 8).
    """
    energy = np.empty((len(found.direct), 8))
    ground_db, share, top, left_side, right_side, reflected_sum, most = np.empty((7, 8))
    buffers = Buffers(ground_db, share, top, left_side, right_side, reflected_sum, most)
    given = (*heights_m, *factors, scene.reflected, own)
    source_m, receiver_m, direct, back, reflected, left = (
        np.array(one, dtype=float, order="C") for one in given
    )
    _fill_energy(
        rules, buffers, found.direct, np.ascontiguousarray(found.back), found.pair,
        found.wall_owner, scene.most_reflected, source_m, receiver_m, direct, back, reflected, left,
        energy,
    )  # fmt: skip
    return energy


@inlined
def _set_open(
    rules: Rules,
    buffers: Buffers,
    source_m: float,
    receiver_m: float,
    plan: float,
    slant: float,
    mean_m: float,
    factor: np.ndarray,
) -> None:
    """Set the ground effect, and the share that is left by distance, air and ground."""
    gain_db = 0.0
    if rules.mean_height:
        # The area between path and ground divided by the path's length: ISO 9613-2 figure 3.
        lost_db = mean_height_db(mean_m * plan / slant, slant)
        gain_db = solid_angle_db(source_m, receiver_m, plan)
        for band in range(8):
            buffers.ground_db[band] = lost_db
    else:
        add_ground(rules.table3, source_m, receiver_m, plan, factor, buffers.ground_db)
    for band in range(8):
        lost_db = slant * rules.air[band] + buffers.ground_db[band] - gain_db
        buffers.open[band] = DIVERGENCE / slant**2 * np.exp(-0.1 * LN_10 * lost_db)


@inlined
def _is_large_enough(rules: Rules, row: np.ndarray, band: int) -> bool:
    """Return whether a wall is large enough to reflect a band, ISO 9613-2:1996 eq. (19)."""
    to, onward = row[paths.TO_WALL], row[paths.FROM_WALL]
    size = max(row[paths.BACK_SIZE], 1e-6)
    least = (2 / size) ** 2 * to * onward / max(to + onward, 1e-6)
    return least < 1 / rules.screening.wavelength_m[band]


@called
def sum_each_energy(
    rules: Rules,
    buffers: Buffers,
    direct: np.ndarray,
    back: np.ndarray,
    pair: np.ndarray,
    owner: np.ndarray,
    kept_most: np.ndarray,
    source_m: np.ndarray,
    receiver_m: np.ndarray,
    direct_factor: np.ndarray,
    back_factor: np.ndarray,
    kept: np.ndarray,
    own: np.ndarray,
    energy: np.ndarray,
) -> None:
    """Fill the energy of each pair (P, 8), as `sum_energy` returns it.

    Args:
        rules: The constants of the standard.
        buffers: The arrays to use.
        direct: The straight paths, as `paths.Paths.direct`.
        back: The reflections, as `paths.Paths.back`.
        pair: The pair of each reflection.
        owner: The owner of each wall that reflects.
        kept_most: The most that any wall reflects, by band.
        source_m: Heights of the sources above the ground (P,).
        receiver_m: Heights of the receivers above the ground (P,).
        direct_factor: Ground factors of the three zones of the straight paths (P, 3).
        back_factor: The same of the reflections.
        kept: The share that each owner's walls reflect, by band.
        own: The share that a wall around each source leaves (P, 8); no rows: there is no wall.
        energy: Set to the shares (P, 8).
    """
    screened, nth = len(own) > 0, 0
    for k in range(len(direct)):
        row = direct[k]
        slant = max(row[paths.SLANT], NEAREST_M)
        middle = (row[paths.START] + row[paths.END]) / 2
        _set_open(
            rules, buffers, source_m[k], receiver_m[k], row[paths.PLAN], slant,
            middle - row[paths.GROUND_MEAN], direct_factor[k],
        )  # fmt: skip
        if np.isnan(row[paths.TOP_Z]):
            for band in range(8):
                energy[k, band] = buffers.open[band]
        else:
            screen_over_top(
                rules.screening, row[paths.TOP_Z], row[paths.TOP_BEFORE], row[paths.TOP_BETWEEN],
                row[paths.TOP_AFTER], slant, buffers.top,
            )  # fmt: skip
            for band in range(8):
                buffers.left[band], buffers.right[band] = 0.0, 0.0
            if not np.isnan(row[paths.LEFT_Z]):
                screen_around_side(
                    rules.screening, row[paths.LEFT_Z], row[paths.LEFT_BETWEEN], buffers.left
                )
            if not np.isnan(row[paths.RIGHT_Z]):
                screen_around_side(
                    rules.screening, row[paths.RIGHT_Z], row[paths.RIGHT_BETWEEN], buffers.right
                )
            for band in range(8):
                most = own[k, band] if screened else 1.0
                # The source's own wall, nearer to it than all other edges, can lift the band off
                # them. Eq. (15) then counts fewer edges: Dz could be less than by this wall alone.
                energy[k, band] = buffers.open[band] * combine_paths(
                    min(buffers.top[band], most),
                    min(buffers.left[band], most),
                    min(buffers.right[band], most),
                    buffers.ground_db[band],
                )
        for band in range(8):
            buffers.most[band] = MOST_REFLECTED * kept_most[band] * buffers.open[band]
            if screened:
                over = combine_paths(own[k, band], 0.0, 0.0, buffers.ground_db[band])
                buffers.most[band] *= over
            buffers.reflected[band] = 0.0
        while nth < len(pair) and pair[nth] == k:
            row = back[nth]
            slant = max(row[paths.BACK_SLANT], NEAREST_M)
            _set_open(
                rules, buffers, source_m[k], receiver_m[k], row[paths.BACK_PLAN], slant,
                middle - row[paths.BACK_MEAN], back_factor[nth],
            )  # fmt: skip
            blocked = not np.isnan(row[paths.BACK_Z])
            if blocked:
                screen_over_top(
                    rules.screening, row[paths.BACK_Z], row[paths.BACK_BEFORE],
                    row[paths.BACK_BETWEEN], row[paths.BACK_AFTER], slant, buffers.top,
                )  # fmt: skip
            for band in range(8):
                if not _is_large_enough(rules, row, band):
                    continue
                arrives = buffers.open[band] * kept[owner[nth], band] * row[paths.FADE]
                if blocked:
                    most = own[k, band] if screened else 1.0
                    arrives *= combine_paths(
                        min(buffers.top[band], most), 0.0, 0.0, buffers.ground_db[band]
                    )
                buffers.reflected[band] += arrives
            nth += 1
        for band in range(8):
            energy[k, band] += min(buffers.reflected[band], buffers.most[band])


def _make_fill_energy(version: str) -> Callable[..., Any]:
    def fill_energy(*values: Any) -> Any:
        len(version)
        return sum_each_energy(refer(values[0]), refer(values[1]), *values[2:])

    return fill_energy


_fill_energy = entry(_make_fill_energy, ("propagation",))
