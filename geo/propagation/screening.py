"""Screening by obstacles: ISO 9613-2 clause 7.4 with the rules of ISO/TR 17534-3:2015 clause 5.

The compiled functions give the share of the energy that is left, 10^(-Dz / 10), band by band.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geo.compiled import called, entry, inlined
from geo.propagation.bands import WAVELENGTH_M
from geo.propagation.edition import Edition


class Screening(NamedTuple):
    """The constants of clause 7.4 as the kernel reads them; caps as shares of the energy."""

    wavelength_m: np.ndarray  # (8,)
    c2: float
    single_cap: float
    double_cap: float
    weather_m: float
    weather_scales_all: bool


def read_screening(edition: Edition) -> Screening:
    """Return the constants of clause 7.4 for an edition.

    >>> from geo.propagation.edition import ISO_1996
    >>> read_screening(ISO_1996).single_cap
    0.01
    """
    return Screening(
        WAVELENGTH_M,
        edition.c2,
        10 ** (-edition.single_cap_db / 10),
        10 ** (-edition.double_cap_db / 10),
        edition.weather_m,
        edition.weather_scales_all,
    )


@inlined
def multiple_edges_at(wavelength_m: float, between_m: float) -> float:
    """Return C3, eq. (15)."""
    if between_m <= 0:
        return 1.0
    ratio = (5 * wavelength_m / between_m) ** 2
    return (1 + ratio) / (1 / 3 + ratio)


@inlined
def kmet(rules: Screening, product_m3: float, detour_m: float) -> float:
    """Return Kmet, eq. (18): 1 where the detour is 0 or less.

    Args:
        rules: The constants of clause 7.4.
        product_m3: The product under the root.
        detour_m: The detour.

    Returns:
        Kmet.
    """
    if detour_m <= 0:
        return 1.0
    return np.exp(-np.sqrt(product_m3 / (2 * detour_m)) / rules.weather_m)


@inlined
def screen_over_top(
    rules: Screening,
    detour_m: float,
    before: float,
    between: float,
    after: float,
    distance_m: float,
    share: np.ndarray,
) -> None:
    """Set the shares of the 8 bands that are left over top edges, eq. (14), capped.

    Args:
        rules: The constants of clause 7.4.
        detour_m: z, the path over the edges minus the straight one.
        before: dss.
        between: e; 0 is a single edge.
        after: dsr.
        distance_m: The straight distance.
        share: The shares (8,).
    """
    if detour_m < 0:
        for band in range(8):
            share[band] = 1.0
        return
    cap = rules.double_cap if between > 0 else rules.single_cap
    weather = kmet(rules, before * after * distance_m, detour_m)
    longer, shorter = max(before, after) + between, min(before, after)
    for band in range(8):
        length = rules.wavelength_m[band]
        c3 = multiple_edges_at(length, between)
        reach = rules.c2 / length * c3 * detour_m
        if rules.weather_scales_all:
            begins = -2 * length / (rules.c2 * c3)
            weather = kmet(rules, longer * shorter * distance_m, detour_m - begins)
            left = 1 / (1 + (2 + reach) * weather)
        else:
            left = 1 / (3 + reach * weather)
        share[band] = max(left, cap)


@inlined
def screen_around_side(
    rules: Screening, detour_m: float, between_m: float, share: np.ndarray
) -> None:
    """Set the shares of the 8 bands left around a vertical edge, eq. (14); no cap (TR 5.3).

    Kmet is 1.

    >>> from geo.propagation.edition import ISO_1996
    >>> share = np.empty(8)
    >>> screen_around_side(read_screening(ISO_1996), 0.48, 0.0, share)
    >>> (-10 * np.log10(share[4])).round(1).item()
    14.9

    Args:
        rules: The constants of clause 7.4.
        detour_m: z, the path around the edge minus the straight one.
        between_m: Distance between the first and the last edge.
        share: The shares (8,).
    """
    for band in range(8):
        length = rules.wavelength_m[band]
        c3 = multiple_edges_at(length, between_m)
        share[band] = 1 / (3 + rules.c2 / length * c3 * detour_m)


@called
def _screen_each_over_top(
    rules: Screening, detour_m: np.ndarray, legs_m: np.ndarray, distance_m: np.ndarray,
    share: np.ndarray,
) -> None:  # fmt: skip
    for k in range(len(detour_m)):
        screen_over_top(
            rules, detour_m[k], legs_m[k, 0], legs_m[k, 1], legs_m[k, 2], distance_m[k], share[k]
        )


def _make_fill_over_top(version: str) -> Callable[..., Any]:
    def fill_over_top(*values: Any) -> Any:
        len(version)
        return _screen_each_over_top(*values)

    return fill_over_top


_fill_over_top = entry(_make_fill_over_top, ("propagation",))


def over_top_db(
    detour_m: np.ndarray,
    legs_m: tuple[np.ndarray, np.ndarray, np.ndarray],
    distance_m: np.ndarray,
    edition: Edition,
) -> np.ndarray:
    """Return the screening Dz over top edges, eq. (14), capped.

    A negative detour screens nothing (TR 5.4). A path that just grazes the edge (z = 0) is
    attenuated by 10 lg 3 dB.

    >>> from geo.propagation.edition import ISO_1996
    >>> legs_m = (np.array([50.0]), np.zeros(1), np.array([50.0]))
    >>> over_top_db(np.zeros(1), legs_m, np.array([100.0]), ISO_1996).round(2)[0, 4].item()
    4.77

    Args:
        detour_m: z, the path over the edges minus the straight one (P,).
        legs_m: dss, e and dsr, each (P,); e = 0 is a single edge.
        distance_m: The straight distance (P,).
        edition: The edition of the standard.

    Returns:
        Dz in dB (P, 8).
    """
    share = np.empty((len(detour_m), 8))
    legs = np.ascontiguousarray(np.column_stack(legs_m), dtype=float)
    detour, distance = (np.array(one, dtype=float) for one in (detour_m, distance_m))
    _fill_over_top(read_screening(edition), detour, legs, distance, share)
    return np.asarray(-10 * np.log10(share))


@inlined
def combine_paths(top: float, left: float, right: float, ground_db: float) -> float:
    """Return the share that is left on all paths: eq. (12) over the top, (13) around the sides.

    The screen replaces the ground effect only where that attenuates (TR 5.5). All paths together
    are never louder than without the screen (TR 5.6).

    Args:
        top: The share left over the top.
        left: The share left around the left side; 0 if there is no path.
        right: The same around the right side.
        ground_db: Agr.

    Returns:
        The share, 10^(-Abar / 10).
    """
    over = top
    if ground_db > 0:
        over = min(top * 10 ** (0.1 * ground_db), 1.0)
    return min(over + left + right, 1.0)
