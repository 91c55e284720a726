"""The columns of every fuel's supply, and their values before anything is known."""

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.model import FuelEvidence

# Nothing is known of a fuel: the search extends beyond the layer, or there is no such layer.
EDGE_OF_LAYER: FuelEvidence = "edge of layer"
NO_LAYER: FuelEvidence = "no layer"
SUPPLY_COLUMNS: dict[str, object] = {
    "fuel_evidence": None,
    "fuel_n_lo": 0,
    "fuel_n_hi": 0,
    "fuel_capacity": np.nan,
    "main_id": None,
    "main_distance_m": np.nan,
    "main_diameter_in": np.nan,
    "main_pressure_class": None,
    "main_pressure_kpa": np.nan,
    "main_material": None,
    "main_source": None,
    "storage_count": np.nan,
    "storage_capacity": np.nan,
    "storage_unit": None,
    "storage": None,
    "fuel_assumed": None,
}


def empty_supply(
    sites: gpd.GeoDataFrame, columns: Mapping[str, object] = SUPPLY_COLUMNS
) -> pd.DataFrame:
    """Return one row per site with nothing known; columns with the value None have object type."""
    facts = pd.DataFrame(dict(columns), index=sites.index)
    texts = [name for name, value in columns.items() if value is None]
    return facts.astype(dict.fromkeys(texts, object))
