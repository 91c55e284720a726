"""Measure the area of each zone in the lots that may be sites."""

import datetime as dt

import numpy as np
import pandas as pd
import shapely

from data.database import read_frame
from data.queries import read_query
from data.select.layer_rows import create_layer_view
from data.store import Store
from geo import catalogue
from geo.model import Market, Needs


def create_lot_zone_table(opened: Store, market: Market, needs: Needs, night: dt.date) -> None:
    """Create the table `lot_zone`: the area of each zone in each lot that may be a site.

    Args:
        opened: The open store, with the tables of codes and lots.
        market: The market whose zoning is read.
        needs: Its use classes decide which lots cannot be sites, whatever their zone.
        night: The date as of which the zoning is read.

    Raises:
        StoreError: No source of the market fills the layer of zoning.
    """
    con = opened.con
    create_layer_view(opened, catalogue.read_layers()["zoning"], market, night, "zone_row")
    lots = read_frame(
        con.sql(
            read_query("data.select", "list_zonable_lots"),
            params={"classes": list(needs.sites.classes)},
        ),
        market.crs,
    )
    zones = read_frame(con.sql("select row_id, geometry from zone_row order by row_id"), market.crs)
    con.register("overlap", _measure_overlaps(lots, zones))
    con.execute(read_query("data.select", "create_lot_zone_table"))
    con.unregister("overlap")


def _measure_overlaps(lots: pd.DataFrame, zones: pd.DataFrame) -> pd.DataFrame:
    """Return the area of each row of zoning in each lot: lot_row, zone_row_id and area_m2.

    A zone may have ten thousand corners, and the database compares each of them with each lot. An
    index over a zone's edges finds the few lots that it cuts; only these are intersected.
    """
    shapes = np.asarray(lots["geometry"].array)
    parts, zone = shapely.get_parts(np.asarray(zones["geometry"].array), return_index=True)
    shapely.prepare(parts)
    part, lot = shapely.STRtree(shapes).query(parts, predicate="intersects")
    area_m2 = lots["lot_area_m2"].to_numpy()[lot]
    is_cut = ~shapely.covers(parts[part], shapes[lot])
    area_m2[is_cut] = shapely.area(shapely.intersection(parts[part[is_cut]], shapes[lot[is_cut]]))
    overlaps = pd.DataFrame(
        {
            "lot_row": lots["lot_row"].to_numpy()[lot],
            "zone_row_id": zones["row_id"].to_numpy()[zone[part]],
            "area_m2": area_m2,
        }
    )
    # Parts are in the order of their zone, so the sums do not depend on the order of the index.
    summed = overlaps.groupby(["lot_row", "zone_row_id"])["area_m2"].sum().reset_index()
    return summed.loc[summed["area_m2"] > 0]
