"""Divide the sites of a market into batches, which can be screened one after another or at once."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.criteria.noise.sound import NoiseSource
from geo.model import Market, Plan, Screening
from geo.shapes.near import geometry_array

SITES_MOST = 1_000
"""A batch has no more sites than this: its tables take some hundred megabytes."""
SITES_LEAST = 200
"""Fewer sites than this are not worth a batch of their own."""
# Layers with so many rows that a batch gets only those near its sites. What lies farther away is
# never looked at. The other layers stay whole: some of their records refer to each other.
LARGE_LAYERS = ("receptors", "buildings", "lots", "exclusions")
MARGIN_M = 1.0
TEXT, NUMBERS = pd.StringDtype(na_value=np.nan), "biuf"


class Shared(NamedTuple):
    """What all batches of a market share.

    Attributes:
        sound: The sound of one machine, with all buildings of the market around it.
        market: The market.
        plan: The plan.
        reach_m: How far from a site each layer matters, in meters (see `model.Needs`).
    """

    sound: NoiseSource
    market: Market
    plan: Plan
    reach_m: dict[str, float]


def split_sites(
    screening: Screening, reach_m: dict[str, float], workers: int = 1
) -> tuple[list[np.ndarray], Iterator[Screening]]:
    """Divide the sites into batches of neighbors, each with the layers near it.

    Args:
        screening: All sites of a market and its layers, in the market's metric frame.
        reach_m: How far from a site each layer matters, in meters (see `model.Needs`).
        workers: How many batches are screened at once.

    Returns:
        For each batch the positions of its sites among all sites, in ascending order, and its
        screening, which is put together only when it is its turn.
    """
    sites = screening.sites
    count = max(-(-len(sites) // SITES_MOST), min(workers, len(sites) // SITES_LEAST), 1)
    if count == 1:
        return [np.arange(len(sites))], iter((screening,))
    # Along a Hilbert curve, sites that follow each other are near each other. A lot without an
    # outline may be anywhere.
    box = np.nan_to_num(shapely.bounds(geometry_array(sites)))
    middle = gpd.GeoSeries(shapely.points((box[:, :2] + box[:, 2:]) / 2))
    along = np.argsort(middle.hilbert_distance().to_numpy(), kind="stable")
    parts = [np.sort(rows) for rows in np.array_split(along, count)]
    return parts, (take_surroundings(screening, rows, reach_m) for rows in parts)


def take_surroundings(
    screening: Screening, rows: np.ndarray, reach_m: dict[str, float]
) -> Screening:
    """Return some sites with the rows of the large layers that lie near them.

    Args:
        screening: The sites and their layers, in the market's metric frame.
        rows: The positions of the sites.
        reach_m: How far from a site each layer matters, in meters (see `model.Needs`).

    Returns:
        The sites, in the order of `rows`, and the layers.
    """
    sites = screening.sites.iloc[rows].reset_index(drop=True)
    boxes = shapely.bounds(geometry_array(sites))
    # A lot without an outline has nothing near it.
    boxes = boxes[~np.isnan(boxes).any(axis=1)]
    layers = dict(screening.layers)
    receptors = None
    for name in LARGE_LAYERS:
        if name not in layers:
            continue
        shapes = geometry_array(layers[name])
        is_near = _is_near(shapes, boxes, reach_m[name] + MARGIN_M)
        if name == "receptors":
            receptors = shapes[is_near]
        if name == "buildings" and receptors is not None:
            # The facades of a large receptor may be farther away than its lot line.
            is_near[shapely.STRtree(shapes).query(shapely.envelope(receptors))[1]] = True
        layers[name] = layers[name][is_near]
    return replace(screening, sites=sites, layers=layers)


def _is_near(shapes: np.ndarray, boxes: np.ndarray, reach_m: float) -> np.ndarray:
    """Return which shapes have a bounding box that meets any of some boxes grown by a distance."""
    bounds = shapely.bounds(shapes)
    lowest, highest = boxes[:, :2] - reach_m, boxes[:, 2:] + reach_m
    near = (bounds[:, :2] <= highest.max(axis=0, initial=-np.inf)) & (
        bounds[:, 2:] >= lowest.min(axis=0, initial=np.inf)
    )
    is_near = np.asarray(near.all(axis=1))
    grown = shapely.STRtree(shapely.box(*np.column_stack((lowest, highest)).T))
    some = np.flatnonzero(is_near)
    met = np.unique(grown.query(shapely.box(*bounds[some].T))[0])
    is_near[some] = False
    is_near[some[met]] = True
    return is_near


def join_facts(rows: list[np.ndarray], facts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return the facts of all batches as one table.

    Args:
        rows: The positions of each batch's sites among all sites.
        facts: The facts of each batch.

    Returns:
        One row per site, in the order of their positions.
    """
    # Most columns are numbers, of the same type in all parts.
    names, types = facts[0].columns, [part.dtypes[facts[0].columns].to_numpy() for part in facts]
    plain = np.array(
        [
            first.kind in NUMBERS and all(one[nth] == first for one in types)
            for nth, first in enumerate(types[0])
        ]
    )
    numbers = pd.concat([pd.DataFrame(part[names[plain]]) for part in facts], ignore_index=True)
    others = {name: _join_column([part[name] for part in facts]) for name in names[~plain]}
    order = np.argsort(np.concatenate(rows))
    whole = pd.concat([numbers, pd.DataFrame(others)], axis=1)[names]
    together = gpd.GeoDataFrame(whole, geometry="geometry", crs=facts[0].crs)
    return together.iloc[order].reset_index(drop=True)


def _join_column(parts: list[pd.Series]) -> pd.Series:
    """Return the values of all parts, of a type that does not depend on how they are divided.

    The types of two parts may differ where one has no values. Texts are always of one type.
    """
    valued = [part for part in parts if part.notna().any()]
    together = pd.concat(valued or parts)
    if valued and pd.api.types.is_string_dtype(together.dropna()):
        parts = [part.astype(TEXT) for part in parts]
    elif valued and not pd.api.types.is_integer_dtype(together):
        parts = [part.astype(together.dtype) for part in parts]
    return pd.concat(parts, ignore_index=True)
