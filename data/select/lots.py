"""Turn the parcels of a market into lots, inside the database."""

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa

from data.queries import read_query
from data.select.layer_rows import create_layer_view
from data.store import Store
from geo import catalogue
from geo.model import LandUse, Market

# Kinds of polygon in assessors' maps that are not lots (MassGIS level 3 and others), and the kind
# of land that each one shows.
KINDS_OF_LAND = {"ROW": "street", "PRIV_ROW": "street", "RAIL_ROW": "rail", "WATER": "water"}


def create_code_tables(
    con: duckdb.DuckDBPyConnection, land_use: tuple[LandUse, ...], structure: str | None = None
) -> None:
    """Create the tables `use_meaning`, `zone_meaning` and `zone_setback`.

    Args:
        con: Connection to the open store.
        land_use: The land-use tables: the meaning of use and zoning codes in each jurisdiction
            and scheme.
        structure: What the generators count as in zoning texts, "accessory" or "principal"; None
            leaves the setbacks empty.
    """
    con.execute(read_query("data.select", "create_code_tables"))
    for table in land_use:
        scheme = (table.jurisdiction, table.scheme)
        uses = [
            (*scheme, code, use.title, use.use_class, use.receptor)
            for code, use in table.use.items()
            if use.use_class is not None
        ]
        zones = [
            (*scheme, code, zone.title, zone.zone_class)
            for code, zone in table.zone.items()
            if zone.zone_class is not None
        ]
        _insert_rows(con, "use_meaning", uses)
        _insert_rows(con, "zone_meaning", zones)
    setbacks: dict[tuple[str, str], tuple[Any, ...]] = {}
    for table in land_use:
        for code, zone in table.zone.items():
            text = None if structure is None else getattr(zone.setbacks, structure)
            if text is not None:
                # If two schemes of a jurisdiction share a code, the first one with setbacks counts.
                yards = (text.front_m, text.side_m, text.rear_m, text.home_m)
                setbacks.setdefault((table.jurisdiction, code), (table.jurisdiction, code, *yards))
    _insert_rows(con, "zone_setback", list(setbacks.values()))


def _insert_rows(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows into a table: all at once, which is some hundred times faster than one by one."""
    if rows:
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        names = [str(nth) for nth in range(len(columns))]
        con.from_arrow(pa.table(columns, names=names)).insert_into(table)


def create_parcel_table(opened: Store, market: Market, night: dt.date) -> None:
    """Create the table `parcel`: every parcel, the meaning of its use, and the first rules.

    Args:
        opened: The open store, with the tables of `create_code_tables`.
        market: The market whose sources are read.
        night: The date as of which they are read.
    """
    create_layer_view(opened, catalogue.read_layers()["parcels"], market, night, "parcel_row")
    opened.con.execute(
        read_query("data.select", "create_parcel_table"),
        {"polygon_kinds": list(KINDS_OF_LAND), "kinds": list(KINDS_OF_LAND.values())},
    )


def create_lot_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the table `lot`, with one row for stacked parcels or pieces of a repeated id."""
    con.execute(read_query("data.select", "create_lot_tables"))
