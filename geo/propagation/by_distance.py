"""Energies by distance, looked up in compiled code."""

import numpy as np

from geo.compiled import inlined

TO_M = 20_000.0
STEPS = 4_000
STEP = float(np.log(TO_M) / STEPS)


def list_distances_m() -> np.ndarray:
    """Return the distances of a table's entries: 0, then 1 m to 20 km in even ratios.

    >>> list_distances_m()[[0, 1, -1]].round().tolist()
    [0.0, 1.0, 20000.0]
    """
    return np.concatenate(([0.0], np.exp(STEP * np.arange(STEPS + 1))))


@inlined
def row_at(away_m: float) -> int:
    """Return the row of a table for the next smaller distance."""
    return 0 if away_m < 1.0 else min(int(np.log(away_m) / STEP), STEPS) + 1


@inlined
def look_up(table: np.ndarray, away_m: float) -> float:
    """Return the entry of a table (distances, 1) for the next smaller distance."""
    return table[row_at(away_m), 0]


@inlined
def sum_left(table: np.ndarray, left: np.ndarray, away_m: float) -> float:
    """Return the sum over bands of a table (distances, bands), each times what is left of it.

    Args:
        table: The table.
        left: The shares (bands,).
        away_m: The distance.

    Returns:
        The sum for the next smaller distance.
    """
    return sum_row(table, left, row_at(away_m))


@inlined
def sum_row(table: np.ndarray, left: np.ndarray, row: int) -> float:
    """Return the sum over bands of a row of a table, each band times what is left of it.

    Args:
        table: The table (distances, bands).
        left: The shares (bands,).
        row: The row.

    Returns:
        The sum.
    """
    total = 0.0
    for band in range(len(left)):
        total += table[row, band] * left[band]
    return total
