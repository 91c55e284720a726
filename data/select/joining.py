"""Join touching lots of one owner into one site."""

import duckdb
import numpy as np
import pandas as pd
import shapely

from data.database import read_frame
from data.queries import read_query
from data.select.sites import JOINED, SPLIT_ZONE_BELOW, TOO_SMALL
from geo.model import Market, Sites
from geo.shapes.adjoining import group_adjoining, unite_adjoining

# Surveys and rounding may leave a gap this wide between two lots that share a line.
TOUCH_TOLERANCE_M = 0.05


def join_lots_of_owner(con: duckdb.DuckDBPyConnection, market: Market, rules: Sites) -> None:
    """Replace touching lots of one owner in `lot_decision` by one row for all of them.

    Only lots that are sites, or are set aside only for their size, are joined. The joined site has
    the first id, and the use and zone of its largest lot; areas and counts are summed. Lots that
    are too small even together are not joined: each one is set aside as too small.

    Args:
        con: Connection to the open store, with the table `lot_decision`.
        market: The market, whose CRS the lots are in.
        rules: The plan's rules for sites.
    """
    lots = read_frame(
        con.sql(read_query("data.select", "list_joinable_lots"), params={"too_small": TOO_SMALL}),
        market.crs,
    )
    shapes, lot_rows = np.asarray(lots.geometry.array), lots["lot_row"].to_numpy()
    first = group_adjoining(shapes, TOUCH_TOLERANCE_M, lots["owner"].to_numpy())
    touches = np.bincount(first, minlength=len(first))[first] > 1
    # Lots are ordered by id, so the first lot of a group has the first id, which the site takes.
    firsts, group = np.unique(first[touches], return_inverse=True)
    grounds = unite_adjoining(shapes[touches], group, TOUCH_TOLERANCE_M)
    is_large = shapely.area(grounds) >= rules.minimum_area_m2
    if not is_large.any():
        return
    joined_lots = pd.DataFrame({"lot_row": lot_rows[touches], "site_row": lot_rows[first][touches]})
    joined_geometry = pd.DataFrame({"site_row": lot_rows[firsts], "wkb": shapely.to_wkb(grounds)})
    _create_table(con, "joined_lot", joined_lots[is_large[group]])
    _create_table(con, "joined_geometry", joined_geometry[is_large])
    con.execute(
        read_query("data.select", "create_joined_site_table"),
        {"split_zone_below": SPLIT_ZONE_BELOW},
    )
    con.execute(read_query("data.select", "replace_joined_lots"), {"joined": JOINED})


def _create_table(con: duckdb.DuckDBPyConnection, name: str, rows: pd.DataFrame) -> None:
    con.register("incoming", rows)
    con.execute(f"create temp table {name} as select * from incoming")  # noqa: S608 (our own names)
    con.unregister("incoming")
