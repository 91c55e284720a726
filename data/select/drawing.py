"""Read whole layers for the map."""

import datetime as dt
from pathlib import Path

import geopandas as gpd

from data.database import read_frame
from data.select.lots import create_code_tables, create_parcel_table
from data.store import open_store
from geo import catalogue
from geo.model import LandUse, Market


def read_drawing_layers(
    store: Path, market: Market, night: dt.date, land_use: tuple[LandUse, ...]
) -> dict[str, gpd.GeoDataFrame]:
    """Return every vector layer whole, for the map; `parcels` has only land, with `use_class`.

    Args:
        store: File of the market's store.
        market: The market whose layers are read. Every frame is in its CRS.
        night: The date as of which they are read.
        land_use: The land-use tables, which give the meaning of each use code.

    Returns:
        Frames by layer. Layers that no source fills are left out.
    """
    layers: dict[str, gpd.GeoDataFrame] = {}
    with open_store(store, read_only=True) as opened:
        filled = set(opened.read_snapshots(night, market.sources)["layer"])
        for name, layer in catalogue.read_layers().items():
            if layer.is_raster or name not in filled:
                continue
            if name != "parcels":
                layers[name] = opened.read_layer(name, night, market.sources)
                continue
            create_code_tables(opened.con, land_use)
            create_parcel_table(opened, market, night)
            parcels = opened.con.sql(
                "select parcel_id, address, city, use_code, use_title, use_class, geometry "
                "from parcel where coalesce(rule, '') not in ('no geometry', 'not land') "
                "order by row_id"
            )
            layers[name] = read_frame(parcels, market.crs)
    return layers
