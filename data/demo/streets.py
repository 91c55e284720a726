"""The streets along which pipes and wires were laid, and their patches."""

import geopandas as gpd
import numpy as np
import shapely

from data.demo.layout import TownLayout

Array = np.ndarray


def streets_served(layout: TownLayout, lots: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the streets that have a lot beside them."""
    blocks = layout.blocks.geometry.to_numpy()[np.unique(lots.block)]
    tree = shapely.STRtree(blocks)
    near = np.unique(tree.query(layout.streets.geometry.to_numpy(), "dwithin", 16.0)[0])
    return layout.streets.iloc[near].reset_index(drop=True)


def split_into_patches(streets: gpd.GeoDataFrame, side_m: float) -> tuple[Array, Array]:
    """Return each street's middle (n, 2), and the number of its square with sides of `side_m`."""
    middle = shapely.get_coordinates(
        shapely.line_interpolate_point(streets.geometry.to_numpy(), 0.5, normalized=True)
    )
    _, patch = np.unique(np.floor(middle / side_m), axis=0, return_inverse=True)
    return middle, patch.ravel()
