"""The layers under everything else on a map: parcels by use, water, parks and named streets."""

import json
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from folium.utilities import JsCode

from maps.pack import LINE_KINDS, POLYGON_KINDS, split_parts
from maps.sheet import (
    PagePart,
    constant_style,
    format_switch_name,
    leaflet_style,
    make_empty_layer,
    pack_degrees,
    read_whole_layer,
)
from maps.style import Style

SIMPLIFY_M = 0.3
DRAWN_TOGETHER = 100
NAME_APART_M, NAMED_LENGTH_M = 300.0, 60.0
EXCLUSION_LAYERS = {"open_space": "open_space", "flood": "flood", "wetland": "wetland",
                    "easement": "other_exclusions", "rail": "other_exclusions"}  # fmt: skip


def add_ground(
    the_map: folium.Map,
    drawing: dict[str, gpd.GeoDataFrame],
    crs: Any,
    look: Style,
    shapes: dict[str, dict[str, Any]],
) -> list[tuple[folium.GeoJson, float]]:
    """Add the layers under the sites: parcels, exclusions, streets, water and rail.

    Args:
        the_map: The map to add to.
        drawing: Whole layers by id, in any CRS.
        crs: The market's metric CRS.
        look: The map's style.
        shapes: Packed shapes by layer name; the added layers' shapes are put here.

    Returns:
        The line layers whose width follows the zoom, each with its width.
    """
    quiet: dict[str, Any] = {"pane": "ground", "interactive": False}
    scaled: list[tuple[folium.GeoJson, float]] = []
    if (parcels := read_whole_layer(drawing, "parcels", crs)) is not None:
        pack, colors = _backdrop(parcels, look)
        shapes["parcels"] = {"pack": pack}
        tint = JsCode(
            f"(f) => ({{ color: {json.dumps(look.backdrop.line)}, "
            f"weight: {look.backdrop.line_width}, fillOpacity: 1, "
            f"fillColor: {json.dumps(colors)}[f.properties.i] }})"
        )
        layer = make_empty_layer(
            "All parcels, by use", show=True, control=True, style=tint, **quiet
        )
        PagePart("shape", key="parcels", more={}).add_to(layer)
        layer.add_to(the_map)
    streets = read_whole_layer(drawing, "streets", crs)
    if streets is not None:
        scaled += _add_lines(the_map, streets, "river", look, shapes, quiet)
    for key, areas in _excluded(drawing, crs).items():
        parts, _ = split_parts(areas, POLYGON_KINDS)
        if not len(parts):
            continue
        one = look.layers[key]
        pack = pack_degrees(parts, np.zeros(len(parts), dtype=int), 1, crs, meters=SIMPLIFY_M)
        shapes[key] = {"pack": pack}
        layer = make_empty_layer(
            format_switch_name(one),
            show=one.show,
            control=True,
            style=constant_style(**leaflet_style(one)),
            **quiet,
        )
        PagePart("shape", key=key, more={}).add_to(layer)
        layer.add_to(the_map)
    if streets is not None:
        for kind in ("street", "rail", "boundary"):
            scaled += _add_lines(the_map, streets, kind, look, shapes, quiet)
    return scaled


def _backdrop(parcels: gpd.GeoDataFrame, look: Style) -> tuple[dict[str, Any], list[str]]:
    """Return the parcels packed as features of one tint each, and each feature's tint.

    A feature has up to DRAWN_TOGETHER neighboring parcels of one use. One feature per parcel would
    make a large page, and a browser takes seconds to fill a single shape with thousands of rings.
    """
    tints = {**look.backdrop.fill, "unclassified": look.backdrop.unclassified}
    use = parcels["use_class"].where(parcels["use_class"].isin(list(tints)), "unclassified")
    parts, of = split_parts(parcels.geometry.to_numpy(), POLYGON_KINDS)
    shapes = gpd.GeoSeries(parts, crs=parcels.crs)
    place = pd.Index(list(tints)).get_indexer(use)[of]
    by = np.lexsort((shapes.hilbert_distance().to_numpy(), place))
    place = pd.Series(place[by])
    chunk = place.groupby(place).cumcount() // DRAWN_TOGETHER
    feature = pd.MultiIndex.from_arrays([place, chunk]).factorize()[0]
    first = place[~pd.Series(feature).duplicated()]
    colors = [list(tints.values())[one] for one in first]
    return pack_degrees(parts[by], feature, len(colors), parcels.crs, meters=SIMPLIFY_M), colors


def _excluded(drawing: dict[str, gpd.GeoDataFrame], crs: Any) -> dict[str, np.ndarray]:
    """Return the areas to draw for parks, flood zones, wetland and other exclusions, by layer.

    Parks that are listed only as receptors are included.
    """
    excluded: dict[str, np.ndarray] = {}
    if (exclusions := read_whole_layer(drawing, "exclusions", crs)) is not None:
        role = exclusions["kind"].map(EXCLUSION_LAYERS)
        for key in dict.fromkeys(EXCLUSION_LAYERS.values()):
            excluded[key] = exclusions.geometry[role == key].to_numpy()
    if (receptors := read_whole_layer(drawing, "receptors", crs)) is not None:
        parks = receptors.geometry[receptors["receptor_class"] == "park"].to_numpy()
        excluded["open_space"] = np.concatenate([excluded.get("open_space", parks[:0]), parks])
    return excluded


def _add_lines(
    the_map: folium.Map,
    streets: gpd.GeoDataFrame,
    kind: str,
    look: Style,
    shapes: dict[str, dict[str, Any]],
    quiet: dict[str, Any],
) -> list[tuple[folium.GeoJson, float]]:
    """Add one kind of the streets layer: its areas, then its lines with their casing."""
    one = look.ground[kind]
    rows = streets.geometry[streets["kind"] == kind].to_numpy()
    scaled = []
    for kinds, form in ((POLYGON_KINDS, "area"), (LINE_KINDS, "line")):
        if kind == "boundary":
            # Draw a boundary only as a line, so that everything inside it stays visible.
            rows = np.where(
                np.isin(shapely.get_type_id(rows), POLYGON_KINDS), shapely.boundary(rows), rows
            )
        parts, _ = split_parts(rows, kinds)
        if not len(parts):
            continue
        key = f"{kind}_{form}"
        pack = pack_degrees(
            parts, np.zeros(len(parts), dtype=int), 1, streets.crs, meters=SIMPLIFY_M
        )
        shapes[key] = {"pack": pack}
        looks: list[tuple[dict[str, Any], float]] = []
        if form == "area":
            fill = one.fill or one.color
            looks = [({"color": one.color, "fillColor": fill, "fillOpacity": 1}, 0.8)]
        else:
            if one.casing:
                looks = [({"color": one.casing}, one.width + 1.6)]
            looks.append(({"color": one.color, "dashArray": one.dash}, one.width))
        for colors, width in looks:
            fixed = constant_style(weight=width, opacity=1, fill=form == "area", **colors)
            layer = make_empty_layer(key, show=True, control=False, style=fixed, **quiet)
            PagePart("shape", key=key, more={}).add_to(layer)
            layer.add_to(the_map)
            if form == "line":
                scaled.append((layer, width))
    return scaled


def turn_upright(lines: np.ndarray, at_m: np.ndarray, spread_m: np.ndarray) -> np.ndarray:
    """Return the rotation of a text along each line, chosen so that the text reads upright.

    Args:
        lines: The lines (n,), in a metric CRS.
        at_m: The position of the text along each line, in meters (n,).
        spread_m: The distance to each side over which the direction is measured, in meters (n,).

    Returns:
        Degrees clockwise, from -90 to 90 (n,).
    """
    ends = [
        shapely.get_coordinates(shapely.line_interpolate_point(lines, at_m + way * spread_m))
        for way in (-1, 1)
    ]
    across = ends[1] - ends[0]
    turn = -np.degrees(np.arctan2(across[:, 1], across[:, 0]))
    return np.asarray(np.rint((turn + 90) % 180 - 90).astype(int))


def place_street_names(streets: gpd.GeoDataFrame | None) -> list[tuple[str, float, float, int]]:
    """Return where street names are written: name, latitude, longitude, degrees clockwise."""
    if streets is None or "name" not in streets.columns:
        return []
    named = streets[(streets["kind"] == "street") & streets["name"].notna()]
    lines, of = split_parts(named.geometry.to_numpy(), LINE_KINDS)
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    spread = 0.1 * shapely.length(lines)
    at = shapely.get_coordinates(middle)
    degrees = shapely.get_coordinates(gpd.GeoSeries(middle, crs=streets.crs).to_crs(4326))
    table = pd.DataFrame(
        {
            "name": named["name"].astype(str).to_numpy()[of],
            "lat": degrees[:, 1].round(6),
            "lon": degrees[:, 0].round(6),
            "turn": turn_upright(lines, 5 * spread, spread),
            "length": shapely.length(lines).round(2),
            "column": at[:, 0] // NAME_APART_M,
            "row": at[:, 1] // NAME_APART_M,
        }
    )
    long = table[table["length"] >= NAMED_LENGTH_M]
    best = long.sort_values(["length", "lat", "lon", "name"], ascending=False, kind="stable")
    kept = best.drop_duplicates(["name", "column", "row"]).sort_values(["name", "lat", "lon"])
    return list(kept[["name", "lat", "lon", "turn"]].itertuples(index=False, name=None))
