"""Ask what a layer of an ArcGIS server is, and for its first rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import pyarrow as pa
import shapely

from data.connection import Connection
from data.protocols.arcgis.layer import read_crs
from data.protocols.arcgis.pages import Pages, pull_first
from data.protocols.arcgis.pull import read_first_layer
from data.protocols.arcgis.query import build_query, count_rows
from data.protocols.arcgis.rows import list_types
from data.protocols.parts import GEOMETRY, describe_shapes, unify_schemas, widen_rows
from data.protocols.pulled import Preview
from data.source import Source


def preview_layer(connection: Connection, source: Source, rows: int) -> Preview:
    """Ask for the first rows of a layer, with all of its columns, in a few requests.

    Args:
        connection: The connection.
        source: The source. Its columns need not be declared yet.
        rows: How many rows.

    Returns:
        What the server says, and the rows.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: It is not such a layer.
        ConfigError: The declaration is wrong.
    """
    layer, failed = read_first_layer(connection, source)
    names = [name for name in layer.types if name not in {layer.id_column, GEOMETRY}]
    query = build_query(layer, source, names)
    tables = [list_types(query).empty_table()]
    pages = Pages(
        connection=connection,
        query=query,
        source=source,
        keep=lambda page: tables.append(page.table),
        check_reference=lambda _: None,
        rows_most=max(min(rows, layer.page_rows), 1),
    )
    pull_first(pages, rows)
    return Preview(
        rows=_make_frame(tables, pages.reference or layer.reference).head(rows),
        row_count=count_rows(connection, query),
        types=dict(layer.types),
        says=(*failed, *layer.about),
    )


def _make_frame(tables: Sequence[pa.Table], reference: Mapping[str, Any]) -> gpd.GeoDataFrame:
    schema = describe_shapes(unify_schemas([table.schema for table in tables]), None)
    rows = pa.concat_tables([widen_rows(table, schema) for table in tables]).to_pandas()
    shapes = shapely.from_wkb(rows.pop(GEOMETRY).to_numpy())
    return gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries(shapes, crs=read_crs(reference)))
