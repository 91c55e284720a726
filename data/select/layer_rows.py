"""Number the rows of a layer in a view of the database."""

import datetime as dt
from itertools import accumulate

from data.store import Store
from geo.errors import StoreError
from geo.model import Layer, Market


def create_layer_view(
    opened: Store, layer: Layer, market: Market, night: dt.date, view: str
) -> None:
    """Create the temporary view `view` of a layer's rows, numbered from 1 in `row_id`.

    Args:
        opened: The open store.
        layer: The layer to read.
        market: The market whose sources are read, in the order of its list.
        night: The date as of which they are read.
        view: Name of the view. It is written into the SQL, so it must not come from a source.

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
    query = relation.sql_query()
    counts: dict[int, int] = dict(
        opened.con.execute(
            f"select source_order, count(*) from ({query}) "  # noqa: S608 (no outside names)
            "group by source_order"
        ).fetchall()
    )
    # The store numbers a source's rows from 0, so nothing needs to be sorted.
    orders = range(max(counts, default=0) + 1)
    before = [0, *accumulate(counts.get(order, 0) for order in orders)]
    opened.con.execute(
        f"create temp view {view} as select "  # noqa: S608 (no outside names)
        f"{before}[source_order + 1] + row_number + 1 as row_id, * from ({query})"
    )
