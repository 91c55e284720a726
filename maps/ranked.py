"""The ranked map: one HTML page that holds everything it needs and opens from a file.

Folium makes the map, its layers and their switches; the templates in maps/page add the list, the
card, the legend and the sources. Leaflet is written into the page, and a content security policy
in the page itself forbids every request but the tiles of the basemap that a reader switches on.
"""

import base64
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from branca.element import Element, MacroElement
from folium.map import CustomPane
from folium.template import Template
from folium.utilities import JsCode
from shapely import GeometryType
from xstatic.pkg import leaflet

from geo.catalogue import facts, layers
from geo.model import Report
from maps.card import NOT_ENGINEERING, NOT_KNOWN, NOT_SCREENED, shown, words
from maps.export import accounting, reader_columns
from maps.pack import LINE_KINDS, POINT_KINDS, POLYGON_KINDS, coded, packed, parts_of, script_json
from maps.style import LayerStyle, Style, fills, luminance, style

SIMPLIFY_M = 0.3
NEAR_SITE_M = 15.0
PINS = 25
TOGETHER = 100
NAME_APART_M, NAMED_LENGTH_M = 300.0, 60.0
FIXED_DAY = pd.Timestamp("2000-01-01")
DARK_INK, LIGHT_INK = "#10202f", "#ffffff"
MIDDLE_LUMINANCE = 0.28
TILES = "https://tile.openstreetmap.org/{z}/{x}/{y}.png"
TILES_BY = '&copy; <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors'
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: https://tile.openstreetmap.org; base-uri 'none'; form-action 'none'"
)
EXCLUSION_LAYERS = {"open_space": "open_space", "flood": "flood", "wetland": "wetland",
                    "easement": "other_exclusions", "rail": "other_exclusions"}  # fmt: skip
CLOSED_GROUPS = frozenset({"result", "score", "provenance"})
# Reader's columns that a card prints beside the facts.
BESIDE = ("Carries (generators)", "Carries (MW)", "Gap (MW)", "Current use", "What limits it",
          "What would lift it")  # fmt: skip


class Verbatim(Element):
    """Text that goes into the page as it is, never through a template."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def render(self, **_kwargs: object) -> str:
        """Return the text."""
        return self.text


class Part(MacroElement):
    """A part of the page whose template is maps/page/NAME.html."""

    def __init__(self, name: str, **given: Any) -> None:
        super().__init__()
        self._name = name
        self._template = Template(_file(f"{name}.html"))
        self.given = given


def draw(ranking: gpd.GeoDataFrame, drawing: dict[str, gpd.GeoDataFrame], report: Report) -> str:
    """Return the whole page. The same arguments give the same text.

    `drawing` holds whole layers in any CRS, by layer id; a layer that is absent or empty has no
    switch. Raises ContractError when the ranking lacks a fact of the catalogue.
    """
    look = style()
    data = _data(ranking, report, look)
    data["streets"] = _street_names(_there(drawing, "streets", ranking.crs))
    shapes: dict[str, dict[str, Any]] = {}
    the_map = _map(ranking)
    Part("data").add_to(the_map)
    basemap = folium.TileLayer(
        TILES, attr=TILES_BY, name="Street map from the internet", overlay=True, show=False,
        max_zoom=21, max_native_zoom=19,
    )  # fmt: skip
    CustomPane("ground", z_index=250).add_to(the_map)
    CustomPane("above", z_index=450).add_to(the_map)
    CustomPane("names", z_index=455).add_to(the_map)
    CustomPane("mark", z_index=460).add_to(the_map)
    scaled = _add_ground(the_map, drawing, ranking.crs, look, shapes)
    pins = folium.FeatureGroup(f"Best {PINS} by rank")
    drawn = _add_layers(the_map, ranking, drawing, look, shapes)
    pins.add_to(the_map)
    basemap.add_to(the_map)
    # The switches stand as the layers lie: what is on top comes first, the street map last.
    for number, child in enumerate(the_map._children.values()):  # noqa: SLF001
        if isinstance(child, folium.GeoJson):
            child.options["order"] = number
    basemap.options["order"] = -1
    control = folium.LayerControl(
        position="topright", collapsed=False, auto_z_index=False, sort_layers=True,
        sort_function=JsCode("padfinder.topFirst"),
    )  # fmt: skip
    control.add_to(the_map)
    Part("list").add_to(the_map)
    Part("card", sites=drawn["sites"]).add_to(the_map)
    Part("legend").add_to(the_map)
    Part("sources").add_to(the_map)
    order = [drawn[key] for key in ("sites", "feeders", "mains", "gas_signs", "receptors")
             if key in drawn]  # fmt: skip
    Part(
        "start", order=order, scaled=scaled, pins=pins, basemap=basemap, sites=drawn["sites"]
    ).add_to(the_map)
    return _page(the_map, {"shapes": shapes, "data": data}, f"{report.market_title} - padfinder")


def _page(the_map: folium.Map, blocks: dict[str, object], title: str) -> str:
    """Return the map's page with Leaflet, the style sheet and the data written into it."""
    figure = the_map.get_root()
    figure.title = title.translate({ord(c): f"&#{ord(c)};" for c in "<>&"})
    code, sheet = _leaflet()
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    figure.header.add_child(Verbatim(policy), name="policy", index=0)
    for name, text in (
        ("leaflet_css", f"<style>{sheet}</style>"),
        ("leaflet", f"<script>{code}</script>"),
        ("page_css", f"<style>{_file('page.css')}</style>"),
        ("base", f"<script>{_file('base.js')}</script>"),
    ):
        figure.header.add_child(Verbatim(text), name=name)
    for name, value in blocks.items():
        held = (
            f'<script type="application/json" id="padfinder-{name}">{script_json(value)}</script>'
        )
        figure.html.add_child(Verbatim(held), name=name)
    # Folium's own ids are random: number them, so that the same night gives the same page.
    for number, element in enumerate(_elements(figure)):
        element._id = f"{number:03d}"  # noqa: SLF001
    page: str = figure.render()
    return page


def _elements(root: Element) -> list[Element]:
    found, waiting = [], [root, root.header, root.html, root.script]
    while waiting:
        element = waiting.pop(0)
        found.append(element)
        waiting += element._children.values()  # noqa: SLF001
    return list(dict.fromkeys(found))


def _file(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _leaflet() -> tuple[str, str]:
    """Return Leaflet's script, and its style sheet with the images written into it."""
    folder = Path(leaflet.BASE_DIR)
    code = (folder / "leaflet.js").read_text(encoding="utf-8")
    sheet = (folder / "leaflet.css").read_text(encoding="utf-8")

    def inline(match: re.Match[str]) -> str:
        image = base64.b64encode((folder / match[1]).read_bytes()).decode("ascii")
        return f"url(data:image/png;base64,{image})"

    return re.sub(r"//# sourceMappingURL=.*", "", code), re.sub(
        r"url\((images/[^)]+)\)", inline, sheet
    )


def _map(ranking: gpd.GeoDataFrame) -> folium.Map:
    made = folium.Map(tiles=None, prefer_canvas=True, control_scale=True, font_size="0.85rem",
                      zoom_control="topleft")  # fmt: skip
    made.default_js, made.default_css = [], []
    made.options |= {"max_zoom": 21, "min_zoom": 3, "zoom_snap": 0.5, "zoom_delta": 0.5}
    if len(ranking):
        west, south, east, north = ranking.geometry.to_crs(4326).total_bounds.tolist()
        made.fit_bounds([[south, west], [north, east]], padding=(12, 12), max_zoom=17)
    return made


def _data(ranking: gpd.GeoDataFrame, report: Report, look: Style) -> dict[str, Any]:
    """Return what the list, the cards, the legend and the sources print."""
    texts = shown(ranking)
    reader = reader_columns(ranking)
    for name in BESIDE:
        values = reader[name]
        texts[name] = [None if pd.isna(v) else _brief(v) for v in values.tolist()]
    fill = fills(pd.to_numeric(ranking["score"]).to_numpy(dtype=float, na_value=np.nan), look.score)
    inks = np.where(luminance(fill.tolist()) > MIDDLE_LUMINANCE, DARK_INK, LIGHT_INK)
    verdict = ranking["verdict"].where(ranking["verdict"].isin(list(look.verdict)), "unknown")
    at = shapely.point_on_surface(ranking.geometry.to_crs(4326).to_numpy()[:PINS])
    xy = np.round(shapely.get_coordinates(at), 6)
    uses = {**look.backdrop.fill, "unclassified": look.backdrop.unclassified}
    return {
        "count": len(ranking),
        "values": {name: coded(column) for name, column in texts.items()},
        "fill": coded(fill.tolist()),
        "ink": coded(inks.tolist()),
        "verdict": coded(verdict.tolist()),
        "outline": {key: one.model_dump(mode="json") for key, one in look.verdict.items()},
        "outlines": [one.model_dump(mode="json") for one in look.verdict.values()],
        "stops": [stop.model_dump(mode="json") for stop in look.score.stops],
        "uses": [
            {"title": key, "fill": fill, "colour": "#b9b4a8", "width": 1}
            for key, fill in uses.items()
        ],
        "pins": [[y, x, i] for i, (x, y) in enumerate(xy.tolist()) if verdict.iloc[i] != "unfit"],
        "groups": _groups(set(texts), report),
        "absent": words().absent,
        "calls": ["yes", "check first", "no"],
        "accounting": accounting(report),
        "report": report.model_dump(mode="json"),
        "not_engineering": NOT_ENGINEERING,
        "not_screened": NOT_SCREENED,
    }


def _brief(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _groups(there: set[str], report: Report) -> list[dict[str, Any]]:
    """Return a card's groups: the facts of each, what says how they are known, and from where."""
    known = words()
    made = []
    for key, title in known.groups.items():
        listed = [{"name": fact.name, "title": fact.title, "note": fact.note}
                  for fact in facts() if fact.group == key and fact.name in there]  # fmt: skip
        roles = known.layers.get(key, ())
        sources = [f"{one.title} ({one.vintage})" for one in report.sources if one.layer in roles]
        made.append(
            {
                "id": key,
                "title": title,
                "facts": listed,
                "from": "; ".join(sources),
                "evidence": known.evidence.get(key),
                "open": key not in CLOSED_GROUPS,
            }
        )
    return [one for one in made if one["facts"]]


def _pack(
    shapes: np.ndarray, of: np.ndarray, count: int, crs: Any, *, metres: float, digits: int = 6
) -> dict[str, Any]:
    """Return single parts (in `crs`, metres) simplified and packed as longitude and latitude."""
    if metres:
        shapes = shapely.simplify(shapes, metres)
    degrees = gpd.GeoSeries(shapes, crs=crs).to_crs(4326).to_numpy()
    return packed(degrees, of, count, digits=digits)


def _geojson(name: str, *, show: bool, control: bool, pane: str | None = None,
             interactive: bool = True, **options: Any) -> folium.GeoJson:  # fmt: skip
    """Return a layer that is filled from packed shapes when the page opens."""
    if pane:
        options["pane"] = pane
    nothing = {"type": "FeatureCollection", "features": []}
    # Leaflet reads a layer's name as markup; every name here stands in this file or style.toml.
    return folium.GeoJson(nothing, name=name, show=show, control=control, interactive=interactive,
                          **options)  # fmt: skip


def _constant(**look: Any) -> JsCode:
    there = {key: value for key, value in look.items() if value not in (None, "")}
    return JsCode(f"() => ({json.dumps(there)})")


def _named(one: LayerStyle) -> str:
    """Return a layer's title for its switch, with its symbol before it."""
    edge = f"{max(one.width, 1):g}px {'dashed' if one.dash else 'solid'} {one.colour}"
    drawn = f"border-top:{edge}" if one.symbol == "line" else f"border:{edge};background:{one.fill}"
    swatch = f'<span class="pf-swatch pf-swatch-{one.symbol}" style="{drawn}"></span>'
    return f"{swatch}<span>{one.title}</span>"


def _look(one: LayerStyle) -> dict[str, Any]:
    area = one.symbol != "line"
    return {"color": one.colour, "weight": one.width, "dashArray": one.dash, "fill": area,
            "fillColor": one.fill, "fillOpacity": one.fill_opacity, "opacity": 1}  # fmt: skip


def _add_ground(
    the_map: folium.Map,
    drawing: dict[str, gpd.GeoDataFrame],
    crs: Any,
    look: Style,
    shapes: dict[str, dict[str, Any]],
) -> list[tuple[folium.GeoJson, float]]:
    """Add what lies under the sites; return the lines whose width follows the zoom."""
    quiet: dict[str, Any] = {"pane": "ground", "interactive": False}
    scaled: list[tuple[folium.GeoJson, float]] = []
    if (parcels := _there(drawing, "parcels", crs)) is not None:
        pack, colours = _backdrop(parcels, look)
        shapes["parcels"] = {"pack": pack}
        tint = JsCode(
            f"(f) => ({{ color: {json.dumps(look.backdrop.line)}, "
            f"weight: {look.backdrop.line_width}, fillOpacity: 1, "
            f"fillColor: {json.dumps(colours)}[f.properties.i] }})"
        )
        layer = _geojson("All parcels, by use", show=True, control=True, style=tint, **quiet)
        Part("shape", key="parcels", more={}).add_to(layer)
        layer.add_to(the_map)
    streets = _there(drawing, "streets", crs)
    if streets is not None:
        scaled += _add_lines(the_map, streets, "river", look, shapes, quiet)
    for key, areas in _excluded(drawing, crs).items():
        parts, _ = parts_of(areas, POLYGON_KINDS)
        if not len(parts):
            continue
        one = look.layers[key]
        pack = _pack(parts, np.zeros(len(parts), dtype=int), 1, crs, metres=SIMPLIFY_M)
        shapes[key] = {"pack": pack}
        layer = _geojson(
            _named(one), show=one.show, control=True, style=_constant(**_look(one)), **quiet
        )
        Part("shape", key=key, more={}).add_to(layer)
        layer.add_to(the_map)
    if streets is not None:
        for kind in ("street", "rail", "boundary"):
            scaled += _add_lines(the_map, streets, kind, look, shapes, quiet)
    return scaled


def _backdrop(parcels: gpd.GeoDataFrame, look: Style) -> tuple[dict[str, Any], list[str]]:
    """Return the parcels packed as features of one tint each, and each feature's tint.

    A feature holds up to TOGETHER neighbouring parcels of one use: one each would make a large
    page, and a browser takes seconds to fill a single shape of thousands of rings.
    """
    tints = {**look.backdrop.fill, "unclassified": look.backdrop.unclassified}
    use = parcels["use_class"].where(parcels["use_class"].isin(list(tints)), "unclassified")
    parts, of = parts_of(parcels.geometry.to_numpy(), POLYGON_KINDS)
    shapes = gpd.GeoSeries(parts, crs=parcels.crs)
    place = pd.Index(list(tints)).get_indexer(use)[of]
    by = np.lexsort((shapes.hilbert_distance().to_numpy(), place))
    place = pd.Series(place[by])
    chunk = place.groupby(place).cumcount() // TOGETHER
    feature = pd.MultiIndex.from_arrays([place, chunk]).factorize()[0]
    first = place[~pd.Series(feature).duplicated()]
    colours = [list(tints.values())[one] for one in first]
    return _pack(parts[by], feature, len(colours), parcels.crs, metres=SIMPLIFY_M), colours


def _excluded(drawing: dict[str, gpd.GeoDataFrame], crs: Any) -> dict[str, np.ndarray]:
    """Return the areas of the switches for parks, flood, wetland and other exclusions.

    A park is often known only as a neighbour: its area counts as a park all the same.
    """
    found: dict[str, np.ndarray] = {}
    if (exclusions := _there(drawing, "exclusions", crs)) is not None:
        role = exclusions["kind"].map(EXCLUSION_LAYERS)
        for key in dict.fromkeys(EXCLUSION_LAYERS.values()):
            found[key] = exclusions.geometry[role == key].to_numpy()
    if (receptors := _there(drawing, "receptors", crs)) is not None:
        parks = receptors.geometry[receptors["receptor_class"] == "park"].to_numpy()
        found["open_space"] = np.concatenate([found.get("open_space", parks[:0]), parks])
    return found


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
            # What lies inside a boundary must stay visible: it is drawn as a line alone.
            rows = np.where(
                np.isin(shapely.get_type_id(rows), POLYGON_KINDS), shapely.boundary(rows), rows
            )
        parts, _ = parts_of(rows, kinds)
        if not len(parts):
            continue
        key = f"{kind}_{form}"
        pack = _pack(parts, np.zeros(len(parts), dtype=int), 1, streets.crs, metres=SIMPLIFY_M)
        shapes[key] = {"pack": pack}
        looks: list[tuple[dict[str, Any], float]] = []
        if form == "area":
            fill = one.fill or one.colour
            looks = [({"color": one.colour, "fillColor": fill, "fillOpacity": 1}, 0.8)]
        else:
            if one.casing:
                looks = [({"color": one.casing}, one.width + 1.6)]
            looks.append(({"color": one.colour, "dashArray": one.dash}, one.width))
        for colours, width in looks:
            fixed = _constant(weight=width, opacity=1, fill=form == "area", **colours)
            layer = _geojson(key, show=True, control=False, style=fixed, **quiet)
            Part("shape", key=key, more={}).add_to(layer)
            layer.add_to(the_map)
            if form == "line":
                scaled.append((layer, width))
    return scaled


def _add_layers(
    the_map: folium.Map,
    ranking: gpd.GeoDataFrame,
    drawing: dict[str, gpd.GeoDataFrame],
    look: Style,
    shapes: dict[str, dict[str, Any]],
) -> dict[str, folium.GeoJson]:
    """Add the sites and the layers over them that a reader can switch; return them by id."""
    crs, count = ranking.crs, len(ranking)
    drawn: dict[str, folium.GeoJson] = {}
    parts, of = parts_of(ranking.geometry.to_numpy(), POLYGON_KINDS)
    shapes["sites"] = {"pack": _pack(parts, of, count, crs, metres=SIMPLIFY_M)}
    drawn["sites"] = _geojson("Ranked sites", show=True, control=True,
                              style=JsCode("padfinder.siteLook"))  # fmt: skip
    Part("shape", key="sites", more={}).add_to(drawn["sites"])
    drawn["sites"].add_to(the_map)

    if (buildings := _there(drawing, "buildings", crs)) is not None and count:
        near = shapely.STRtree(buildings.geometry.to_numpy()).query(
            ranking.geometry.to_numpy(), predicate="dwithin", distance=NEAR_SITE_M
        )[1]
        beside = buildings.iloc[np.unique(near)]
        _add(the_map, "buildings", beside, POLYGON_KINDS, look, shapes, above=True)
    pads = _geojson(_named(look.layers["pads"]), show=look.layers["pads"].show, control=True,
                    pane="above", interactive=False, style=JsCode(_by_kind(look)))  # fmt: skip
    for key, column in (("pads", "block"), ("machines", "machines")):
        if column in ranking.columns:
            parts, of = parts_of(ranking[column].to_numpy(), POLYGON_KINDS)
            # A machine is 1.5 m long: a seventh decimal (1 cm) keeps its corners square.
            shapes[key] = {"pack": _pack(parts, of, count, crs, metres=0, digits=7)}
            Part("shape", key=key, more={"kind": key}).add_to(pads)
    pads.add_to(the_map)
    for key, kinds in (("feeders", LINE_KINDS), ("mains", LINE_KINDS),
                       ("gas_signs", POINT_KINDS), ("receptors", POINT_KINDS),
                       ("substations", POINT_KINDS)):  # fmt: skip
        frame = _there(drawing, key, crs)
        if frame is None:
            continue
        areas = np.isin(shapely.get_type_id(frame.geometry.to_numpy()), POLYGON_KINDS)
        if areas.any():
            # An area would catch the clicks meant for the sites in it: show its edge or middle.
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
    """Add one layer in its style; one that is not above the sites answers the pointer."""
    one = look.layers[key]
    parts, of = parts_of(frame.geometry.to_numpy(), kinds)
    shapes[key] = {"pack": _pack(parts, of, len(frame), frame.crs, metres=SIMPLIFY_M)}
    options: dict[str, Any] = {"style": _constant(**_look(one))}
    if above:
        options |= {"pane": "above", "interactive": False}
    else:
        shapes[key]["tips"] = coded(_tips(key, frame, one.title))
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
    layer = _geojson(_named(one), show=one.show, control=True, **options)
    Part("shape", key=key, more={}).add_to(layer)
    layer.add_to(the_map)
    return layer


def _by_kind(look: Style) -> str:
    by = {key: _look(look.layers[key]) for key in ("pads", "machines")}
    return f"(f) => ({json.dumps(by)})[f.properties.kind]"


def _street_names(streets: gpd.GeoDataFrame | None) -> list[tuple[str, float, float, int]]:
    """Return where street names are written: name, latitude, longitude, turn (degrees clockwise).

    Each name stands at most once in a square of NAME_APART_M, on its longest piece there.
    """
    if streets is None or "name" not in streets.columns:
        return []
    named = streets[(streets["kind"] == "street") & streets["name"].notna()]
    lines, of = parts_of(named.geometry.to_numpy(), LINE_KINDS)
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    ends = [
        shapely.get_coordinates(shapely.line_interpolate_point(lines, at, normalized=True))
        for at in (0.4, 0.6)
    ]
    across = ends[1] - ends[0]
    turn = -np.degrees(np.arctan2(across[:, 1], across[:, 0]))
    at = shapely.get_coordinates(middle)
    degrees = shapely.get_coordinates(gpd.GeoSeries(middle, crs=streets.crs).to_crs(4326))
    table = pd.DataFrame(
        {
            "name": named["name"].astype(str).to_numpy()[of],
            "lat": degrees[:, 1].round(6),
            "lon": degrees[:, 0].round(6),
            # Upright: from -90 to 90, so that no name stands on its head.
            "turn": np.rint((turn + 90) % 180 - 90).astype(int),
            "length": shapely.length(lines).round(2),
            "column": at[:, 0] // NAME_APART_M,
            "row": at[:, 1] // NAME_APART_M,
        }
    )
    long = table[table["length"] >= NAMED_LENGTH_M]
    best = long.sort_values(["length", "lat", "lon", "name"], ascending=False, kind="stable")
    kept = best.drop_duplicates(["name", "column", "row"]).sort_values(["name", "lat", "lon"])
    return list(kept[["name", "lat", "lon", "turn"]].itertuples(index=False, name=None))


def _there(drawing: dict[str, gpd.GeoDataFrame], key: str, crs: Any) -> gpd.GeoDataFrame | None:
    """Return a layer in the market's frame without its missing shapes; None if nothing is left."""
    frame = drawing.get(key)
    if frame is None:
        return None
    shaped = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    return shaped.to_crs(crs) if len(shaped) else None


def _tips(key: str, frame: gpd.GeoDataFrame, title: str) -> list[str]:
    """Return what the pointer is told of each row: the layer's own columns, one to a line."""
    lines = [[title] * len(frame)]
    for name, column in layers()[key].columns.items():
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
