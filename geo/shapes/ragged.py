"""Groups of unequal size, laid end to end in one array."""

import numpy as np


def positions_in_groups(times: np.ndarray) -> np.ndarray:
    """Return the positions 0, 1, ... within each group of the given sizes.

    >>> positions_in_groups(np.array([2, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    start = np.repeat(np.cumsum(times) - times, times)
    return np.asarray(np.arange(len(start)) - start)
