"""Number the rows of a layer in a table of the database."""

import datetime as dt

from data.store import Store
from geo.errors import StoreError
from geo.model import Layer, Market


def create_layer_table(
    opened: Store, layer: Layer, market: Market, night: dt.date, table: str
) -> None:
    """Create the temporary table `table` with a layer's rows, numbered in `row_id`.

    Args:
        opened: The open store.
        layer: The layer to read.
        market: The market whose sources are read, in the order of its list.
        night: The date as of which they are read.
        table: Name of the table. It is written into the SQL, so it must not come from a source.

    Raises:
        StoreError: No source of the market fills the layer.
    """
    relation = opened.query_layer(layer, night, market.sources)
    if relation is None:
        raise StoreError(
            f"reading layer {layer.id!r} of market {market.id!r}",
            f"none of its sources has a snapshot of it on or before {night}",
            f"run `padfinder refresh --market {market.id}`",
        )
    opened.con.execute(
        f"create temp table {table} as select row_number() over "  # noqa: S608 (no outside names)
        f"(order by source_order, row_number) as row_id, * from ({relation.sql_query()})"
    )
