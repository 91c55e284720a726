"""The ranked map: one HTML page that contains everything it needs and opens from a file.

Folium makes the map, its layers and their switches; the templates in maps/page add the list, the
card, the legend and the sources.
"""

import json
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from folium.map import CustomPane
from folium.utilities import JsCode
from shapely import GeometryType

from geo.catalogue import facts_of_table, read_layers
from geo.model import Report
from maps.card import NOT_ENGINEERING, NOT_KNOWN, NOT_SCREENED, format_facts, read_card_words
from maps.export import list_accounting, make_reader_columns
from maps.ground import SIMPLIFY_M, add_ground, place_street_names
from maps.pack import LINE_KINDS, POINT_KINDS, POLYGON_KINDS, encode_texts, split_parts
from maps.sheet import (
    TILES,
    TILES_BY,
    PagePart,
    constant_style,
    format_switch_name,
    leaflet_style,
    make_empty_layer,
    make_map,
    pack_degrees,
    read_whole_layer,
    render_page,
)
from maps.style import Style, read_style, relative_luminance, score_fills

NEAR_SITE_M = 15.0
PINS = 25
FIXED_DAY = pd.Timestamp("2000-01-01")
DARK_INK, LIGHT_INK = "#10202f", "#ffffff"
MIDDLE_LUMINANCE = 0.28
CLOSED_GROUPS = frozenset({"result", "score", "provenance"})
# The parts of a pad that are drawn: the ranking's column of shapes, by style.
ON_A_PAD = {"pads": "block", "machines": "machines", "gear": "gear", "storage": "storage"}
# Columns for readers that a card shows in addition to the facts.
CARD_READER_COLUMNS = (
    "Fits (generators)",
    "Fits (MW)",
    "Grid shortfall (MW)",
    "Current use",
    "What limits it",
    "How to fit more",
)


def draw_ranked_page(
    ranking: gpd.GeoDataFrame, drawing: dict[str, gpd.GeoDataFrame], report: Report
) -> str:
    """Draw the ranked map as one page; the same arguments give the same text.

    Args:
        ranking: The ranking, one row per site.
        drawing: Whole layers by id, in any CRS. A layer that is absent or empty has no switch.
        report: The report of the run.

    Returns:
        The whole HTML page.

    Raises:
        ContractError: If the ranking lacks a fact of the catalogue.
    """
    look = read_style()
    data = _page_data(ranking, report, look)
    data["streets"] = place_street_names(read_whole_layer(drawing, "streets", ranking.crs))
    shapes: dict[str, dict[str, Any]] = {}
    the_map = make_map(ranking)
    PagePart("data").add_to(the_map)
    basemap = folium.TileLayer(
        TILES, attr=TILES_BY, name="Street map (online)", overlay=True, show=False,
        max_zoom=21, max_native_zoom=19,
    )  # fmt: skip
    CustomPane("ground", z_index=250).add_to(the_map)
    CustomPane("above", z_index=450).add_to(the_map)
    CustomPane("names", z_index=455).add_to(the_map)
    CustomPane("mark", z_index=460).add_to(the_map)
    scaled = add_ground(the_map, drawing, ranking.crs, look, shapes)
    pins = folium.FeatureGroup(f"Best {PINS} by rank")
    drawn = _add_layers(the_map, ranking, drawing, look, shapes)
    pins.add_to(the_map)
    basemap.add_to(the_map)
    # List the switches in the order of the layers: the top layer first, the street map last.
    for number, child in enumerate(the_map._children.values()):  # noqa: SLF001
        if isinstance(child, folium.GeoJson):
            child.options["order"] = number
    basemap.options["order"] = -1
    control = folium.LayerControl(
        position="topright", collapsed=False, auto_z_index=False, sort_layers=True,
        sort_function=JsCode("padfinder.topFirst"),
    )  # fmt: skip
    control.add_to(the_map)
    PagePart("list").add_to(the_map)
    PagePart("card", sites=drawn["sites"]).add_to(the_map)
    PagePart("legend").add_to(the_map)
    PagePart("sources").add_to(the_map)
    order = [drawn[key] for key in ("sites", "capacity", "gas_transmission", "mains",
                                    "fuel_plants", "gas_signs", "receptors")
             if key in drawn]  # fmt: skip
    PagePart(
        "start", order=order, scaled=scaled, pins=pins, basemap=basemap, sites=drawn["sites"]
    ).add_to(the_map)
    return render_page(
        the_map, {"shapes": shapes, "data": data}, f"{report.market_title} - padfinder"
    )


def _page_data(ranking: gpd.GeoDataFrame, report: Report, look: Style) -> dict[str, Any]:
    """Return the data for the list, the cards, the legend and the sources."""
    texts = format_facts(ranking)
    reader = make_reader_columns(ranking)
    for name in CARD_READER_COLUMNS:
        values = reader[name]
        texts[name] = [None if pd.isna(v) else _round_short(v) for v in values.tolist()]
    fill = score_fills(
        pd.to_numeric(ranking["score"]).to_numpy(dtype=float, na_value=np.nan), look.score
    )
    inks = np.where(relative_luminance(fill.tolist()) > MIDDLE_LUMINANCE, DARK_INK, LIGHT_INK)
    verdict = ranking["verdict"].where(ranking["verdict"].isin(list(look.verdict)), "unknown")
    at = shapely.point_on_surface(ranking.geometry.to_crs(4326).to_numpy()[:PINS])
    xy = np.round(shapely.get_coordinates(at), 6)
    uses = {**look.backdrop.fill, "unclassified": look.backdrop.unclassified}
    return {
        "count": len(ranking),
        "values": {name: encode_texts(column) for name, column in texts.items()},
        "fill": encode_texts(fill.tolist()),
        "ink": encode_texts(inks.tolist()),
        "verdict": encode_texts(verdict.tolist()),
        "outline": {key: one.model_dump(mode="json") for key, one in look.verdict.items()},
        "outlines": [one.model_dump(mode="json") for one in look.verdict.values()],
        "stops": [stop.model_dump(mode="json") for stop in look.score.stops],
        "uses": [
            {"title": key, "fill": fill, "color": "#b9b4a8", "width": 1}
            for key, fill in uses.items()
        ],
        "on_a_pad": [
            {
                "title": look.layers[key].title,
                "fill": look.layers[key].fill,
                "color": look.layers[key].color,
                "width": look.layers[key].width,
            }
            for key in ("machines", "gear", "storage")
        ],
        "pins": [[y, x, i] for i, (x, y) in enumerate(xy.tolist()) if verdict.iloc[i] != "unfit"],
        "groups": _list_card_groups(set(texts), report),
        "absent": read_card_words().absent,
        "calls": ["yes", "check first", "no"],
        "accounting": list_accounting(report),
        "report": report.model_dump(mode="json"),
        "not_engineering": NOT_ENGINEERING,
        "not_screened": NOT_SCREENED,
    }


def _round_short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list_card_groups(present: set[str], report: Report) -> list[dict[str, Any]]:
    """Return a card's groups: their facts, how the facts are known, and from which sources."""
    known, facts = read_card_words(), facts_of_table(present)
    made = []
    for key, title in known.groups.items():
        listed = [{"name": fact.name, "title": fact.title, "note": fact.note, "of": fact.of}
                  for fact in facts if fact.group == key]  # fmt: skip
        roles = known.layers.get(key, ())
        sources = [f"{one.title} ({one.vintage})" for one in report.sources if one.layer in roles]
        made.append(
            {
                "id": key,
                "title": title,
                "facts": listed,
                "from": "; ".join(sources),
                "assumed": report.estimates if key == "money" else (),
                "evidence": known.evidence.get(key),
                "open": key not in CLOSED_GROUPS,
            }
        )
    return [one for one in made if one["facts"]]


def _add_layers(
    the_map: folium.Map,
    ranking: gpd.GeoDataFrame,
    drawing: dict[str, gpd.GeoDataFrame],
    look: Style,
    shapes: dict[str, dict[str, Any]],
) -> dict[str, folium.GeoJson]:
    """Add the sites and the layers above them that a reader can switch; return them by id."""
    crs, count = ranking.crs, len(ranking)
    drawn: dict[str, folium.GeoJson] = {}
    parts, of = split_parts(ranking.geometry.to_numpy(), POLYGON_KINDS)
    shapes["sites"] = {"pack": pack_degrees(parts, of, count, crs, meters=SIMPLIFY_M)}
    drawn["sites"] = make_empty_layer("Ranked sites", show=True, control=True,
                              style=JsCode("padfinder.siteLook"))  # fmt: skip
    PagePart("shape", key="sites", more={}).add_to(drawn["sites"])
    drawn["sites"].add_to(the_map)

    if (buildings := read_whole_layer(drawing, "buildings", crs)) is not None and count:
        near = shapely.STRtree(buildings.geometry.to_numpy()).query(
            ranking.geometry.to_numpy(), predicate="dwithin", distance=NEAR_SITE_M
        )[1]
        beside = buildings.iloc[np.unique(near)]
        _add(the_map, "buildings", beside, POLYGON_KINDS, look, shapes, above=True)
    one = look.layers["pads"]
    pads = make_empty_layer(format_switch_name(one), show=one.show, control=True, pane="above",
                       interactive=False, style=JsCode(_by_kind(look)))  # fmt: skip
    for key, column in ON_A_PAD.items():
        if column in ranking.columns:
            parts, of = split_parts(ranking[column].to_numpy(), POLYGON_KINDS)
            # A machine is 1.5 m long, so a seventh decimal (1 cm) is needed for square corners.
            shapes[key] = {"pack": pack_degrees(parts, of, count, crs, meters=0, digits=7)}
            PagePart("shape", key=key, more={"kind": key}).add_to(pads)
    pads.add_to(the_map)
    for key, kinds in (("capacity", LINE_KINDS), ("mains", LINE_KINDS),
                       ("gas_transmission", LINE_KINDS), ("fuel_plants", POINT_KINDS),
                       ("gas_signs", POINT_KINDS), ("receptors", POINT_KINDS),
                       ("substations", POINT_KINDS)):  # fmt: skip
        frame = read_whole_layer(drawing, key, crs)
        if frame is not None and "kind" in frame:
            # Hosting capacity is listed for the same lines, but it is not load headroom.
            frame = frame[frame["kind"] != "generation"]
        if frame is None or frame.empty:
            continue
        areas = np.isin(shapely.get_type_id(frame.geometry.to_numpy()), POLYGON_KINDS)
        if areas.any():
            # An area would catch clicks meant for the sites inside it, so show its edge or center.
            form = shapely.boundary if kinds is LINE_KINDS else shapely.point_on_surface
            changed = frame.geometry.to_numpy().copy()
            changed[areas] = form(changed[areas])
            frame = frame.set_geometry(gpd.GeoSeries(changed, crs=crs, index=frame.index))
        drawn[key] = _add(the_map, key, frame, kinds, look, shapes)
    return drawn


def _add(
    the_map: folium.Map,
    key: str,
    frame: gpd.GeoDataFrame,
    kinds: tuple[GeometryType, ...],
    look: Style,
    shapes: dict[str, dict[str, Any]],
    *,
    above: bool = False,
) -> folium.GeoJson:
    """Add one layer in its style; a layer that is not above the sites has tooltips."""
    one = look.layers[key]
    parts, of = split_parts(frame.geometry.to_numpy(), kinds)
    shapes[key] = {"pack": pack_degrees(parts, of, len(frame), frame.crs, meters=SIMPLIFY_M)}
    options: dict[str, Any] = {"style": constant_style(**leaflet_style(one))}
    if above:
        options |= {"pane": "above", "interactive": False}
    else:
        shapes[key]["tips"] = encode_texts(_list_tooltips(key, frame, one.title))
        options["on_each_feature"] = JsCode(f"padfinder.tip({json.dumps(key)})")
    if one.symbol == "dot":
        options["point_to_layer"] = JsCode(
            f"(f, at) => L.circleMarker(at, {json.dumps({'radius': one.radius})})"
        )
    if one.symbol == "square":
        side = 2 * one.radius
        options["point_to_layer"] = JsCode(
            '(f, at) => L.marker(at, {icon: L.divIcon({className: "pf-substation", '
            f"iconSize: [{side}, {side}]}}), keyboard: false}})"
        )
    layer = make_empty_layer(format_switch_name(one), show=one.show, control=True, **options)
    PagePart("shape", key=key, more={}).add_to(layer)
    layer.add_to(the_map)
    return layer


def _by_kind(look: Style) -> str:
    by = {key: leaflet_style(look.layers[key]) for key in ON_A_PAD}
    return f"(f) => ({json.dumps(by)})[f.properties.kind]"


def _list_tooltips(key: str, frame: gpd.GeoDataFrame, title: str) -> list[str]:
    """Return the tooltip of each row: the layer's own columns, one per line."""
    lines = [[title] * len(frame)]
    for name, column in read_layers()[key].columns.items():
        if name not in frame.columns:
            continue
        values, unit = frame[name], f" {column.unit}" if column.unit else ""
        known = values.notna()
        if column.type in {"float", "integer"}:
            said = [f"{v:,.6g}{unit}" for v in values.where(known, 0).astype(float)]
        elif column.type == "date":
            said = [f"{v:%Y-%m-%d}" for v in pd.to_datetime(values).where(known, FIXED_DAY)]
        else:
            is_code = bool(column.values)
            said = [str(v).replace("_", " ") if is_code else str(v) for v in values]
        lines.append([
            f"{column.title}: {one if k else NOT_KNOWN}"
            for one, k in zip(said, known, strict=True)
        ])  # fmt: skip
    return ["\n".join(row) for row in zip(*lines, strict=True)]
