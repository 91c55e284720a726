"""Name what takes the ground of a lot: setbacks, buildings, excluded and steep ground."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import shapely

# What takes less of a lot than this is not named.
NAMED_SHARE = 0.05
SETBACKS, BUILDINGS, STEEP = "setbacks", "buildings", "steep ground"
# The positions of sites, and a shape in the way on each.
InTheWay = tuple[np.ndarray, np.ndarray]


def name_takers(
    parcels: np.ndarray, inner: np.ndarray, in_the_way: Mapping[str, InTheWay]
) -> np.ndarray:
    """Name what takes the ground of each lot, by how much of the lot it takes.

    Args:
        parcels: The lots (n,), in one metric frame.
        inner: What the yards leave of each (n,).
        in_the_way: By name, the shapes that are in the way on each lot.

    Returns:
        Names separated by commas, those that take most first; None where nothing is named (n,).

    >>> lot, inner = shapely.box(0, 0, 10, 10), shapely.box(0, 0, 10, 8)
    >>> house = (np.array([0]), np.array([shapely.box(0, 0, 10, 5)]))
    >>> name_takers(np.array([lot]), np.array([inner]), {"buildings": house}).tolist()
    ['buildings, setbacks']
    """
    lot_m2 = np.maximum(shapely.area(parcels), 1e-9)
    shares = {SETBACKS: 1 - shapely.area(inner) / lot_m2}
    for name, (site, shapes) in in_the_way.items():
        taken_m2 = shapely.area(shapely.intersection(inner[site], shapes))
        shares[name] = np.bincount(site, taken_m2, minlength=len(parcels)) / lot_m2
    table = pd.DataFrame(shares).melt(ignore_index=False, var_name="name", value_name="share")
    named = table[table["share"] >= NAMED_SHARE].rename_axis("site").reset_index()
    named = named.sort_values(["site", "share"], ascending=[True, False], kind="stable")
    names = named.groupby("site")["name"].agg(", ".join)
    takers = np.full(len(parcels), None, dtype=object)
    takers[names.index] = names.to_numpy(dtype=object)
    return takers
