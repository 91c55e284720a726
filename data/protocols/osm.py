"""Take things out of an OpenStreetMap extract by their tags."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from data.protocols.refusal import refuse_file
from data.source import Source

# The layers that GDAL makes of an extract.
LAYERS = ("points", "lines", "multipolygons", "multilinestrings", "other_relations")
# Columns that every layer, or the layer of areas, has besides its tags.
_OWN_COLUMNS = {"osm_id", "osm_way_id", "tag"}
# A closed way with one of these tags is an area; GDAL's own list, from its osmconf.ini.
_AREA_TAGS = (
    "aeroway", "amenity", "boundary", "building", "craft", "geological", "historic", "landuse",
    "leisure", "military", "natural", "office", "place", "shop", "sport", "tourism",
    "highway=platform", "public_transport=platform",
)  # fmt: skip
ANY_VALUE = "*"


def osm_options(
    source: Source, layer: str | None, columns: tuple[str, ...], scratch: Path
) -> dict[str, Any]:
    """Return options with which GDAL gives the declared tags of an extract as columns.

    If areas are read, closed ways with a declared tag are areas too: by default GDAL takes the
    fence of a substation (`power`) for a line.

    Args:
        source: The source; `fetch.tags` are the tags to select by.
        layer: The layer that is read.
        columns: Other tags that the source names as its columns.
        scratch: Folder for GDAL's settings.

    Returns:
        The options; none where the source names no tag, so that GDAL's usual columns are read.
    """
    tags = [name for name in (*source.fetch.tags, *columns) if name not in _OWN_COLUMNS]
    if not tags:
        return {}
    areas = [*_AREA_TAGS, *(source.fetch.tags if layer == "multipolygons" else ())]
    lines = [f"closed_ways_are_polygons={','.join(dict.fromkeys(areas))}"]
    lines.append("attribute_name_laundering=no")
    for name in LAYERS:
        lines += [f"[{name}]", "osm_id=yes", "other_tags=no"]
        lines.append(f"attributes={','.join(dict.fromkeys(tags))}")
    settings = scratch / "osmconf.ini"
    settings.write_text("\n".join(lines) + "\n", "utf-8")
    return {"CONFIG_FILE": str(settings)}


def select_by_tags(frame: gpd.GeoDataFrame, source: Source, shown: str) -> gpd.GeoDataFrame:
    """Keep the rows with a declared tag, and add the column `tag` with the first that they have.

    Args:
        frame: The rows of a layer, with the tags as columns.
        source: The source; all rows are returned if it declares no tags.
        shown: Name of its file, for messages.

    Returns:
        The rows.

    Raises:
        SourceChanged: No row has one of the tags.
    """
    if not source.fetch.tags:
        return frame
    tag = pd.Series(None, index=frame.index, dtype="str")
    for key, values in source.fetch.tags.items():
        has_tag = frame[key].notna() if ANY_VALUE in values else frame[key].isin(values)
        tag = tag.where(tag.notna() | ~has_tag, f"{key}=" + frame[key].astype("str"))
    if tag.isna().all():
        wanted = ", ".join(f"{key}={'/'.join(texts)}" for key, texts in source.fetch.tags.items())
        remedy = "correct fetch.tags, or name another layer in fetch.member"
        raise refuse_file(shown, source.id, f"has no row with {wanted} in this layer", remedy)
    return gpd.GeoDataFrame(frame.assign(tag=tag)[tag.notna()])
