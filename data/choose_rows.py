"""Choose the rows of a dataset that belong to a market, and declare the choice."""

from dataclasses import replace

import geopandas as gpd
import numpy as np

from data.guess.lines import Line
from data.look import Dataset
from data.protocols.bounds import bounds_in_crs
from data.protocols.formats import TITLES
from geo.model import Degrees


def narrow_to_bounds(dataset: Dataset, bounds: Degrees) -> Dataset:
    """Return the rows of a dataset within a market's bounds, if it reaches beyond them.

    Args:
        dataset: The dataset.
        bounds: West, south, east and north of the market, in degrees.

    Returns:
        The dataset, to be read within the market's bounds; unchanged if it lies within, or if no
        row does.
    """
    left, bottom, right, top = bounds_in_crs(bounds, dataset.crs)
    low_x, low_y, high_x, high_y = dataset.rows.geometry.bounds.to_numpy().T
    is_near = (low_x <= right) & (high_x >= left) & (low_y <= top) & (high_y >= bottom)
    is_within = (low_x >= left) & (high_x <= right) & (low_y >= bottom) & (high_y <= top)
    if bool((is_within | np.isnan(low_x)).all()):
        return dataset
    if not is_near.any():
        far = f"none of its {len(is_near):,} rows lies near the parcels: is it of another place?"
        return replace(dataset, says=(*dataset.says, far))
    if any(line.key == "market_bounds" for line in dataset.fetch):
        return dataset
    count = int(is_near.sum())
    why = f"it reaches beyond the market: {count:,} of {len(is_near):,} rows are within its bounds"
    fetch = []
    for line in dataset.fetch:
        fetch += [line, Line("market_bounds", True, why)] if line.key == "crs" else [line]
    return replace(
        dataset,
        rows=gpd.GeoDataFrame(dataset.rows[np.asarray(is_near)]),
        row_count=count if dataset.is_whole else None,
        fetch=tuple(fetch),
    )


def choose_tags(dataset: Dataset, layer_id: str) -> Dataset:
    """Return the rows of an OpenStreetMap extract that belong to a layer, and declare their tag.

    Other datasets are returned unchanged, and so is an extract for a layer without a usual tag.
    """
    if dataset.kind != TITLES["osm"]:
        return dataset
    if layer_id != "buildings" or "building" not in dataset.rows:
        says = "every row is taken: choose those of a tag with fetch.tags (docs/source_files.md)"
        return replace(dataset, says=(*dataset.says, says))
    rows = gpd.GeoDataFrame(dataset.rows[dataset.rows["building"].notna()])
    line = Line("tags", {"building": ["*"]}, "the tag of buildings")
    return replace(dataset, rows=rows, row_count=len(rows), fetch=(*dataset.fetch, line))
