"""The common parts of every page with a map: one HTML file that works offline.

Leaflet is written into the page, and a content security policy in the page itself forbids every
request except for the tiles of a basemap that a reader switches on.
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
import shapely
from branca.element import Element, MacroElement
from folium.template import Template
from folium.utilities import JsCode
from xstatic.pkg import leaflet

from maps.pack import format_script_json, pack_parts
from maps.style import LayerStyle

TILES = "https://tile.openstreetmap.org/{z}/{x}/{y}.png"
TILES_BY = '&copy; <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors'
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: https://tile.openstreetmap.org; base-uri 'none'; form-action 'none'"
)


class Verbatim(Element):
    """Text that goes into the page unchanged, never through a template."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def render(self, **_kwargs: object) -> str:
        """Return the text."""
        return self.text


class PagePart(MacroElement):
    """A part of the page whose template is maps/page/NAME.html."""

    def __init__(self, name: str, **given: Any) -> None:
        super().__init__()
        self._name = name
        self._template = Template(_read_page_file(f"{name}.html"))
        self.given = given


def render_page(the_map: folium.Map, blocks: dict[str, object], title: str) -> str:
    """Render the map's page with Leaflet, the style sheet and the data written into it.

    Args:
        the_map: The map with all its layers.
        blocks: Data for the page by name, as JSON values.
        title: The page's title.

    Returns:
        The whole HTML page.
    """
    figure = the_map.get_root()
    figure.title = title.translate({ord(c): f"&#{ord(c)};" for c in "<>&"})
    code, sheet = _read_leaflet()
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    figure.header.add_child(Verbatim(policy), name="policy", index=0)
    for name, part in (
        ("leaflet_css", f"<style>{sheet}</style>"),
        ("leaflet", f"<script>{code}</script>"),
        ("page_css", f"<style>{_read_page_file('page.css')}</style>"),
        ("base", f"<script>{_read_page_file('base.js')}</script>"),
    ):
        figure.header.add_child(Verbatim(part), name=name)
    for name, value in blocks.items():
        text = format_script_json(value)
        held = f'<script type="application/json" id="padfinder-{name}">{text}</script>'
        figure.html.add_child(Verbatim(held), name=name)
    # Folium's ids are random. Replace them with numbers so that the same night gives the same page.
    for number, element in enumerate(_list_elements(figure)):
        element._id = f"{number:03d}"  # noqa: SLF001
    page: str = figure.render()
    return page


def _list_elements(root: Element) -> list[Element]:
    elements, waiting = [], [root, root.header, root.html, root.script]
    while waiting:
        element = waiting.pop(0)
        elements.append(element)
        waiting += element._children.values()  # noqa: SLF001
    return list(dict.fromkeys(elements))


def _read_page_file(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _read_leaflet() -> tuple[str, str]:
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


def make_map(shown: gpd.GeoDataFrame, max_zoom: int = 17) -> folium.Map:
    """Return a map without layers whose first view shows all of `shown` (in any CRS)."""
    made = folium.Map(tiles=None, prefer_canvas=True, control_scale=True, font_size="0.85rem",
                      zoom_control="topleft")  # fmt: skip
    made.default_js, made.default_css = [], []
    made.options |= {"max_zoom": 21, "min_zoom": 3, "zoom_snap": 0.5, "zoom_delta": 0.5}
    if len(shown):
        west, south, east, north = shown.geometry.to_crs(4326).total_bounds.tolist()
        made.fit_bounds([[south, west], [north, east]], padding=(12, 12), max_zoom=max_zoom)
    return made


def pack_degrees(
    shapes: np.ndarray, of: np.ndarray, count: int, crs: Any, *, meters: float, digits: int = 6
) -> dict[str, Any]:
    """Simplify single parts and pack them as longitude and latitude.

    Args:
        shapes: Single parts in `crs` (n,).
        of: Which feature each part belongs to (n,).
        count: The number of features.
        crs: A metric CRS.
        meters: How far simplifying may move a line.
        digits: Decimals of a degree that are kept.

    Returns:
        The packed parts, as the page's `unpack` reads them.
    """
    if meters:
        shapes = shapely.simplify(shapes, meters)
    degrees = gpd.GeoSeries(shapes, crs=crs).to_crs(4326).to_numpy()
    return pack_parts(degrees, of, count, digits=digits)


def make_empty_layer(name: str, *, show: bool, control: bool, pane: str | None = None,
                interactive: bool = True, **options: Any) -> folium.GeoJson:  # fmt: skip
    """Make a layer that the page fills from packed shapes when it opens.

    Args:
        name: The layer's name in the switches.
        show: Whether it is on when the page opens.
        control: Whether it has a switch.
        pane: The map pane that it is drawn in.
        interactive: Whether it responds to the pointer.
        **options: Further options of the layer.

    Returns:
        The empty layer.
    """
    if pane:
        options["pane"] = pane
    nothing = {"type": "FeatureCollection", "features": []}
    # Leaflet reads a layer's name as markup. This is safe: all names are in maps/ or style.toml.
    return folium.GeoJson(nothing, name=name, show=show, control=control, interactive=interactive,
                          **options)  # fmt: skip


def constant_style(**look: Any) -> JsCode:
    """Return a style that is the same for every feature, without values that are None or empty."""
    stated = {key: value for key, value in look.items() if value not in (None, "")}
    return JsCode(f"() => ({json.dumps(stated)})")


def format_switch_name(one: LayerStyle) -> str:
    """Return a layer's title for its switch, with its symbol in front."""
    edge = f"{max(one.width, 1):g}px {'dashed' if one.dash else 'solid'} {one.color}"
    drawn = f"border-top:{edge}" if one.symbol == "line" else f"border:{edge};background:{one.fill}"
    swatch = f'<span class="pf-swatch pf-swatch-{one.symbol}" style="{drawn}"></span>'
    return f"{swatch}<span>{one.title}</span>"


def leaflet_style(one: LayerStyle) -> dict[str, Any]:
    """Return a layer's style under Leaflet's names."""
    area = one.symbol != "line"
    return {"color": one.color, "weight": one.width, "dashArray": one.dash, "fill": area,
            "fillColor": one.fill, "fillOpacity": one.fill_opacity, "opacity": 1}  # fmt: skip


def read_whole_layer(
    drawing: dict[str, gpd.GeoDataFrame], key: str, crs: Any
) -> gpd.GeoDataFrame | None:
    """Return a layer in the market's CRS without its missing shapes.

    Args:
        drawing: Whole layers by id, in any CRS.
        key: The layer's id.
        crs: The market's metric CRS.

    Returns:
        The layer; None if it is absent or nothing is left.
    """
    frame = drawing.get(key)
    if frame is None:
        return None
    shaped = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    return shaped.to_crs(crs) if len(shaped) else None
