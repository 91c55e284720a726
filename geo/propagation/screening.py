"""Screening by obstacles: ISO 9613-2 clause 7.4 with the rules of ISO/TR 17534-3:2015 clause 5."""

import numpy as np

from geo.propagation.bands import WAVELENGTH_M
from geo.propagation.edition import Edition


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
    before, between, after = legs_m
    c3 = multiple_edges(between)
    screened_m = np.maximum(detour_m, 0)
    reach = edition.c2 / WAVELENGTH_M * c3 * screened_m[:, None]
    if edition.weather_scales_all:
        longer, shorter = np.maximum(before, after) + between, np.minimum(before, after)
        begins = -2 * WAVELENGTH_M / (edition.c2 * c3)
        weather = _kmet(
            (longer * shorter * distance_m)[:, None], detour_m[:, None] - begins, edition
        )
        level = 10 * np.log10(1 + (2 + reach) * weather)
    else:
        weather = _kmet(before * after * distance_m, detour_m, edition)
        level = 10 * np.log10(3 + reach * weather[:, None])
    cap = np.where(between > 0, edition.double_cap_db, edition.single_cap_db)
    return np.where(detour_m[:, None] < 0, 0.0, np.minimum(level, cap[:, None]))


def around_side_db(detour_m: np.ndarray, between_m: np.ndarray, edition: Edition) -> np.ndarray:
    """Return the screening Dz around a vertical edge, eq. (14) with Kmet = 1 and no cap (TR 5.3).

    >>> from geo.propagation.edition import ISO_1996
    >>> around_side_db(np.array([0.48]), np.zeros(1), ISO_1996).round(1)[0, 4].item()
    14.9

    Args:
        detour_m: z, the path around the edge minus the straight one (P,).
        between_m: Distance between the first and the last edge (P,).
        edition: The edition of the standard.

    Returns:
        Dz in dB (P, 8).
    """
    reach = edition.c2 / WAVELENGTH_M * multiple_edges(between_m) * detour_m[:, None]
    return np.asarray(10 * np.log10(3 + reach))


def multiple_edges(between_m: np.ndarray) -> np.ndarray:
    """Return C3 (P, 8), eq. (15): 1 for a single edge (e = 0), up to 3 for edges far apart.

    Edges 5 wavelengths apart give 2 / (1/3 + 1) = 1.5:

    >>> multiple_edges(5 * WAVELENGTH_M[[4]])[0, 4].round(2).item()
    1.5
    """
    apart = np.where(between_m > 0, between_m, np.inf)[:, None]
    ratio = (5 * WAVELENGTH_M / apart) ** 2
    return np.where(between_m[:, None] > 0, (1 + ratio) / (1 / 3 + ratio), 1.0)


def barrier_db(
    top_db: np.ndarray, side_db: tuple[np.ndarray, ...], ground_db: np.ndarray
) -> np.ndarray:
    """Return the attenuation Abar of all paths: eq. (12) over the top, (13) around the sides.

    The screen replaces the ground effect only where that attenuates (TR 5.5). All paths together
    are never louder than without the screen (TR 5.6).

    10 dB over the top, no path around the sides, and a ground effect of -3 dB give 10 dB:

    >>> over_top, no_path, ground = (np.full((1, 8), db) for db in (10.0, np.inf, -3.0))
    >>> barrier_db(over_top, (no_path, no_path), ground)[0, 4].round(2).item()
    10.0

    Args:
        top_db: Dz over the top (P, 8); infinite if there is no such path.
        side_db: Dz around the left and right side, each (P, 8).
        ground_db: Agr (P, 8).

    Returns:
        Abar in dB (P, 8).
    """
    top = np.maximum(top_db - np.maximum(ground_db, 0), 0)
    energy = 10 ** (-0.1 * top)
    for one in side_db:
        energy = energy + 10 ** (-0.1 * one)
    return np.asarray(np.maximum(-10 * np.log10(energy), 0))


def _kmet(product_m3: np.ndarray, detour_m: np.ndarray, edition: Edition) -> np.ndarray:
    """Return Kmet, eq. (18): 1 where the detour is 0 or less."""
    bent = np.sqrt(product_m3 / (2 * np.where(detour_m > 0, detour_m, np.inf)))
    return np.where(detour_m > 0, np.exp(-bent / edition.weather_m), 1.0)
