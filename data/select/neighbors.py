"""Read what lies near the sites: layers, lots and receptors, each within its reach."""

import datetime as dt

import duckdb
import geopandas as gpd

from data.database import read_frame
from data.queries import read_query
from data.select.layer_rows import create_layer_view
from data.store import Store
from geo import catalogue
from geo.model import VACANT_CLASSES, Market, Needs

# A point of these layers marks where a feeder begins, not where it runs, so it may matter to a site
# far from the point. There are few such points, so all are read.
LAYERS_WITH_START_POINTS = frozenset({"capacity"})

# Below this reach, a grid of cells would decide few rows, and cost more than measuring all of them.
_CELLS_FROM_M = 100.0

_LOT_TEXTS = ("lot_id", "kind", "use_class", "site_id")
_RECEPTOR_TEXTS = ("receptor_id", "receptor_class", "name", "site_id")


def read_layers_near_sites(
    opened: Store, market: Market, needs: Needs, night: dt.date
) -> dict[str, gpd.GeoDataFrame]:
    """Return the rows of each of the market's vector layers that are within reach of a site.

    The layer `lots` is made from the parcels; no source fills it.

    Args:
        opened: The open store, with the tables of parcels and sites.
        market: The market whose sources are read.
        needs: The layers to read, each with its reach in meters.
        night: The date as of which the layers are read.

    Returns:
        Frames in the market's CRS, by layer. Layers that the market does not have are left out.
    """
    layers: dict[str, gpd.GeoDataFrame] = {}
    filled = set(opened.read_snapshots(night, market.sources)["layer"])
    for name, reach_m in sorted(needs.reach_m.items()):
        if name == "lots":
            layers[name] = _read_lots(opened.con, market, reach_m)
            continue
        layer = catalogue.read_layers()[name]
        if layer.is_raster or name in {"parcels", "zoning"}:
            continue
        if name == "receptors":
            layers[name] = _read_receptors(opened, market, needs, night, is_filled=name in filled)
        elif name in filled:
            table = f"{name}_row"
            create_layer_view(opened, layer, market, night, table)
            columns = ", ".join(["source_id", *layer.columns, "geometry"])
            condition = f"row_id in ({_query_rows_within_reach(table, reach_m)})"
            if name in LAYERS_WITH_START_POINTS:
                condition += " or st_dimension(geometry) = 0"
            layers[name] = read_frame(
                opened.con.sql(
                    f"select {columns} from {table} "  # noqa: S608 (the catalogue's names)
                    f"where {condition} order by row_id"
                ),
                market.crs,
                layer,
            )
    return layers


def _query_rows_within_reach(table: str, reach_m: float) -> str:
    """Return the query for the `row_id` of the rows of `table` within `reach_m` of a site."""
    return read_query(
        "data.select",
        "rows_within_reach",
        table=table,
        reach_m=repr(float(reach_m)),
        cells_from_m=repr(_CELLS_FROM_M),
    )


def _read_lots(con: duckdb.DuckDBPyConnection, market: Market, reach_m: float) -> gpd.GeoDataFrame:
    """Return every piece of land within `reach_m` of a site, including the sites' own land.

    Columns: lot_id, kind (lot, street, rail or water), use_class, site_id (of the site whose ground
    it is part of, else null), geometry; sorted by lot_id. Ground that several parcels share, such
    as a stack of condominiums, is one row with the first id; it is residential if any of the
    parcels is. Each piece of a repeated id is a row. Parcels without geometry are left out.
    """
    query = read_query(
        "data.select",
        "list_lots_near_sites",
        rows_within_reach=_query_rows_within_reach("other_parcel", reach_m),
    )
    lots = read_frame(con.sql(query), market.crs)
    return gpd.GeoDataFrame(lots.astype(dict.fromkeys(_LOT_TEXTS, "str")))


def _read_receptors(
    opened: Store, market: Market, needs: Needs, night: dt.date, *, is_filled: bool
) -> gpd.GeoDataFrame:
    """Return the receptors: parcels by their use, vacant land by its zone, and listed receptors.

    Vacant land is left out unless a noise rule by zone protects it. `is_filled` is whether the
    market has a source for the layer.
    """
    con = opened.con
    reach_m = needs.reach_m["receptors"]
    classes = {"classes": list(needs.receptors)}
    con.execute(read_query("data.select", "create_parcel_receptor_table"), classes)
    tables = ["parcel_receptor"]
    if is_filled:
        layer = catalogue.read_layers()["receptors"]
        create_layer_view(opened, layer, market, night, "receptor_row")
        con.execute(read_query("data.select", "create_listed_receptor_table"), classes)
        tables.append("listed_receptor")
    parts = [
        f"select receptor_id, receptor_class, name, site_id, geometry from {table} "  # noqa: S608
        f"where row_id in ({_query_rows_within_reach(table, reach_m)})"
        for table in tables
    ]
    if not set(VACANT_CLASSES).isdisjoint(needs.receptors):
        _create_vacant_receptor_table(con, needs, reach_m)
        parts.append(
            "select receptor_id, receptor_class, name, site_id, geometry from vacant_receptor"
        )
    query = f"{' union all '.join(parts)} order by receptor_id"
    receptors = read_frame(con.sql(query), market.crs)
    return gpd.GeoDataFrame(receptors.astype(dict.fromkeys(_RECEPTOR_TEXTS, "str")))


def _create_vacant_receptor_table(
    con: duckdb.DuckDBPyConnection, needs: Needs, reach_m: float
) -> None:
    """Create the table `vacant_receptor`: the vacant lots within `reach_m` of a site, by zone.

    The table `parcel_receptor` must exist. Only these lots are intersected with the zoning.
    """
    by_zone = catalogue.read_noise_rules().vacant
    con.execute(read_query("data.select", "create_vacant_lot_table"))
    query = read_query(
        "data.select",
        "create_vacant_receptor_table",
        rows_within_reach=_query_rows_within_reach("vacant_lot", reach_m),
    )
    con.execute(
        query,
        {
            "classes": list(needs.receptors),
            "zones": list(by_zone),
            "zone_receptors": list(by_zone.values()),
        },
    )
