"""The picture of one site's noise: a GeoTIFF, its lines as GeoJSON, and a map of both.

The map is one HTML page that contains everything it needs and opens from a file. Every file has the
same bytes each time, because none contains the time at which it was written.

The module is over 400 lines long: the three files share the picture's grid, lines and texts.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import rasterio
import shapely
from folium.map import CustomPane
from folium.utilities import JsCode

from geo.contract.units import convert_units
from geo.model import Raster, Report
from geo.shapes.ragged import positions_in_groups
from maps.card import NOT_ENGINEERING, NOT_SCREENED
from maps.ground import SIMPLIFY_M, add_ground, place_street_names, turn_upright
from maps.pack import LINE_KINDS, POLYGON_KINDS, split_parts
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
from maps.style import Style, read_style

GRID, LINES, PAGE = "noise.tif", "contours.geojson", "noise.html"
NODATA = -9999.0
TILE_PIXELS = 128
TEN_CENTIMETERS = 6  # decimals of a degree
LABEL_EVERY_M, LABELED_M, LABEL_SPREAD_M = 250.0, 40.0, 6.0
ACCURACY = (
    "The true line may lie anywhere in its band. ISO 9613-2 (Table 5) states an accuracy of "
    "plus or minus 3 dB for broadband noise up to 1 km (3,280 ft) in the open. It states none "
    "behind buildings or near reflecting walls, so there the true band is at least this wide."
)


@dataclass(frozen=True)
class NoisePicture:
    """The data of one site's picture, in the market's CRS; `lines` come from geo.picture.contours.

    Of the `installed` machines, `running` make noise. `said` are sentences about the site, and
    `assumptions` are what the picture assumes.
    """

    site_id: str
    title: str
    running: int
    installed: int
    parcel: shapely.Geometry
    pad: shapely.Geometry
    machines: shapely.Geometry
    grid: Raster
    lines: gpd.GeoDataFrame
    receiver_height_m: float
    edition: str
    said: tuple[str, ...]
    assumptions: tuple[str, ...]


def write_picture(
    picture: NoisePicture, drawing: dict[str, gpd.GeoDataFrame], report: Report, folder: Path
) -> None:
    """Write the grid, the lines and the page of a noise map.

    Args:
        picture: What is drawn.
        drawing: Whole layers by id, in any CRS.
        report: What the published run says about itself.
        folder: An existing folder to write into.
    """
    write_grid(picture, report, folder / GRID)
    text = json.dumps(
        make_feature_collection(picture, report), separators=(",", ":"), allow_nan=False
    )
    (folder / LINES).write_text(text + "\n", "utf-8", newline="\n")
    (folder / PAGE).write_text(draw_noise_page(picture, drawing, report), "utf-8", newline="\n")


def write_grid(picture: NoisePicture, report: Report, path: Path) -> None:
    """Write the grid as a cloud-optimized GeoTIFF: 32-bit levels in dB(A), with overviews.

    Args:
        picture: What is drawn.
        report: What the published run says about itself.
        path: The file to write.
    """
    grid = picture.grid
    height, width = grid.values.shape
    with rasterio.open(
        path,
        "w",
        driver="COG",
        height=height,
        width=width,
        count=1,
        dtype="float32",
        crs=grid.crs,
        transform=grid.transform,
        nodata=NODATA,
        blocksize=TILE_PIXELS,
        compress="DEFLATE",
        predictor=3,
        overview_resampling="NEAREST",
    ) as file:
        file.write(np.where(np.isnan(grid.values), NODATA, grid.values).astype("float32"), 1)
        file.set_band_description(1, "A-weighted sound pressure level")
        file.units = (grid.unit,)
        file.update_tags(
            UNIT=grid.unit,
            EDITION=picture.edition,
            SITE=picture.site_id,
            RUN=report.run_id,
            PROGRAM=report.program_version,
            RECEIVER_HEIGHT_M=f"{picture.receiver_height_m:g}",
            NOTE="screening, not engineering",
        )


def make_feature_collection(picture: NoisePicture, report: Report) -> dict[str, Any]:
    """Return the lines and bands as GeoJSON: longitude and latitude, rounded to about 10 cm.

    Exterior rings run counterclockwise, as RFC 7946 requires.
    """
    lines = picture.lines.to_crs(4326)
    shapes = shapely.transform(
        shapely.orient_polygons(lines.geometry.to_numpy()),
        lambda xy: np.round(xy, TEN_CENTIMETERS),
    )
    rows = zip(picture.lines["level_dba"], picture.lines["kind"], shapes, strict=True)
    return {
        "type": "FeatureCollection",
        "site": picture.site_id,
        "run": report.run_id,
        "edition": picture.edition,
        "note": "screening, not engineering",
        "accuracy": ACCURACY,
        "features": [
            {
                "type": "Feature",
                "properties": {"level_dba": level, "kind": kind},
                "geometry": shapely.geometry.mapping(shape),
            }
            for level, kind, shape in rows
        ],
    }


def draw_noise_page(
    picture: NoisePicture, drawing: dict[str, gpd.GeoDataFrame], report: Report
) -> str:
    """Draw the page of a noise map; the same arguments give the same text.

    Args:
        picture: What is drawn.
        drawing: Whole layers by id, in any CRS.
        report: What the published run says about itself.

    Returns:
        The whole HTML page.
    """
    look, crs = read_style(), picture.grid.crs
    edge = outline_grid(picture.grid)
    near = {key: _near(layer, edge, crs) for key, layer in drawing.items()}
    levels = sorted(set(picture.lines["level_dba"]))
    shapes: dict[str, dict[str, Any]] = {}
    the_map = make_map(_in_view(picture, edge), max_zoom=19)
    PagePart("data").add_to(the_map)
    for name, depth in (("ground", 250), ("bands", 300), ("above", 450), ("lines", 452),
                        ("names", 455)):  # fmt: skip
        CustomPane(name, z_index=depth).add_to(the_map)
    basemap = folium.TileLayer(
        TILES, attr=TILES_BY, name="Street map (online)", overlay=True, show=False,
        max_zoom=21, max_native_zoom=19,
    )  # fmt: skip
    basemap.add_to(the_map)
    # Leave out the exclusions, because their areas would hide the bands.
    quiet = {key: layer for key, layer in near.items() if key in {"parcels", "streets"}}
    scaled = add_ground(the_map, quiet, crs, look, shapes)
    buildings = read_whole_layer(near, "buildings", crs)
    bands = _add_levels(the_map, picture, levels, "band", shapes)
    _add_loudest(the_map, picture, buildings, look, shapes)
    _add_site(the_map, picture, buildings, look, shapes)
    lines = _add_levels(the_map, picture, levels, "line", shapes)
    # List the switches in the order of the layers: the top layer first, the street map last.
    for number, child in enumerate(the_map._children.values()):  # noqa: SLF001
        if isinstance(child, folium.GeoJson):
            child.options["order"] = number
    basemap.options["order"] = -1
    folium.LayerControl(
        position="topright", collapsed=False, auto_z_index=False, sort_layers=True,
        sort_function=JsCode("padfinder.topFirst"),
    ).add_to(the_map)  # fmt: skip
    PagePart("noise", bands=bands, lines=lines, basemap=basemap, scaled=scaled).add_to(the_map)
    data = _data(picture, levels, report, look)
    data["streets"] = place_street_names(read_whole_layer(near, "streets", crs))
    title = f"Noise around {picture.title} - padfinder"
    return render_page(the_map, {"shapes": shapes, "data": data}, title)


def outline_grid(grid: Raster) -> shapely.Polygon:
    """Return the outline of a grid, in the grid's CRS."""
    height, width = grid.values.shape
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return shapely.Polygon([grid.transform @ corner for corner in corners])


def _near(layer: gpd.GeoDataFrame, edge: shapely.Polygon, crs: str) -> gpd.GeoDataFrame:
    """Return the part of a layer that lies inside the picture, cut off at its edge."""
    moved = layer[layer.geometry.notna()].to_crs(crs)
    met = moved[moved.intersects(edge)]
    return met.set_geometry(met.geometry.make_valid().intersection(edge))


def _in_view(picture: NoisePicture, edge: shapely.Polygon) -> gpd.GeoDataFrame:
    """Return what the map shows first: the parcel and every line, or the grid if there is none."""
    shapes = [picture.parcel, *picture.lines.geometry[picture.lines["kind"] == "line"]]
    return gpd.GeoDataFrame(geometry=shapes if len(shapes) > 1 else [edge], crs=picture.grid.crs)


def _add_levels(
    the_map: folium.Map,
    picture: NoisePicture,
    levels: Sequence[float],
    kind: str,
    shapes: dict[str, dict[str, Any]],
) -> folium.GeoJson:
    """Add the lines or bands of all levels as one layer, with features numbered like `levels`."""
    rows = picture.lines[picture.lines["kind"] == kind]
    kinds = LINE_KINDS if kind == "line" else POLYGON_KINDS
    parts, of = split_parts(rows.geometry.to_numpy(), kinds)
    place = np.searchsorted(levels, rows["level_dba"].to_numpy())[of]
    order = np.argsort(place, kind="stable")
    shapes[kind] = {
        "pack": pack_degrees(
            parts[order], place[order], len(levels), picture.grid.crs, meters=SIMPLIFY_M
        )
    }
    title = "Lines of equal level" if kind == "line" else "Bands of plus or minus 3 dB"
    layer = make_empty_layer(
        title, show=True, control=True, pane=f"{kind}s", interactive=False,
        style=JsCode(f"padfinder.{kind}Look"),
    )  # fmt: skip
    PagePart("shape", key=kind, more={}).add_to(layer)
    layer.add_to(the_map)
    return layer


def _add_loudest(
    the_map: folium.Map,
    picture: NoisePicture,
    buildings: gpd.GeoDataFrame | None,
    look: Style,
    shapes: dict[str, dict[str, Any]],
) -> None:
    """Fill the area that every band encloses; left blank, the loudest area would look quiet."""
    walls = shapely.union_all([] if buildings is None else buildings.geometry.to_numpy())
    bands = picture.lines.geometry[picture.lines["kind"] == "band"]
    # A band that ends at a wall encloses the area only together with the wall.
    round_it = shapely.union_all([*bands, walls])
    rings = [ring for part in shapely.get_parts(round_it) for ring in part.interiors]
    inside = [one for one in map(shapely.Polygon, rings) if one.intersects(picture.machines)]
    parts, of = split_parts(np.array([shapely.union_all(inside).difference(walls)]), POLYGON_KINDS)
    if not len(parts):
        return
    crs = picture.grid.crs
    shapes["loudest"] = {"pack": pack_degrees(parts, of, 1, crs, meters=SIMPLIFY_M)}
    fill = {"fillColor": look.noise.levels[-1].color, "fillOpacity": look.noise.loudest_opacity}
    layer = make_empty_layer(
        "Louder still",
        show=True,
        control=False,
        pane="bands",
        interactive=False,
        style=constant_style(stroke=False, fill=True, **fill),
    )
    PagePart("shape", key="loudest", more={}).add_to(layer)
    layer.add_to(the_map)


def _add_site(
    the_map: folium.Map,
    picture: NoisePicture,
    buildings: gpd.GeoDataFrame | None,
    look: Style,
    shapes: dict[str, dict[str, Any]],
) -> None:
    """Add the buildings, the parcel's outline, the pad and its machines, the last on top."""
    crs = picture.grid.crs
    site = {"color": look.noise.site, "weight": look.noise.site_width, "fill": False}
    held: list[tuple[str, str, np.ndarray, dict[str, Any]]] = [
        ("parcel", "The site", np.array([picture.parcel]), site)
    ]
    for key, title, shape in (("pads", "Pad", picture.pad),
                              ("machines", "Generators", picture.machines)):  # fmt: skip
        one = look.layers[key].model_copy(update={"title": title})
        held.append((key, format_switch_name(one), np.array([shape]), leaflet_style(one)))
    if buildings is not None:
        one = look.layers["buildings"].model_copy(update={"title": "Buildings"})
        held.insert(
            0,
            (
                "buildings",
                format_switch_name(one),
                buildings.geometry.to_numpy(),
                leaflet_style(one),
            ),
        )
    for key, title, stated, drawn in held:
        parts, of = split_parts(stated, POLYGON_KINDS)
        exact = key in {"pads", "machines"}
        shapes[key] = {
            # A machine is 1.5 m long, so a seventh decimal (1 cm) is needed for square corners.
            "pack": pack_degrees(parts, of * 0, 1, crs, meters=0 if exact else SIMPLIFY_M,
                                 digits=7 if exact else 6)
        }  # fmt: skip
        layer = make_empty_layer(
            title,
            show=True,
            control=True,
            pane="above",
            interactive=False,
            style=constant_style(**drawn),
        )
        PagePart("shape", key=key, more={}).add_to(layer)
        layer.add_to(the_map)


def _data(
    picture: NoisePicture, levels: Sequence[float], report: Report, look: Style
) -> dict[str, Any]:
    """Return the texts of the panel beside the map, and the positions of the lines' labels."""
    lines = picture.lines[picture.lines["kind"] == "line"].set_index("level_dba").geometry
    height = f"{convert_units(picture.receiver_height_m, 'm', 'ft'):.0f} ft"
    return {
        "title": picture.title,
        "site": picture.site_id,
        "market": report.market_title,
        "run": report.run_id,
        "said": picture.said,
        "heard": f"The level outdoors, {height} ({picture.receiver_height_m:g} m) above the "
        f"ground, with {picture.running} of {picture.installed} installed generators running, "
        f"according to {picture.edition}. No level is given inside buildings.",
        "levels": [
            {
                "title": f"{level:g} dB(A)",
                "color": look.noise.color(level),
                "reach": _reach(lines.get(level), picture),
            }
            for level in levels
        ],
        "labels": _labels(lines, levels, picture.grid.crs),
        "look": look.noise.model_dump(mode="json"),
        "accuracy": ACCURACY,
        "assumptions": picture.assumptions,
        "ranking_assumptions": report.assumptions,
        "files": [GRID, LINES],
        "not_engineering": NOT_ENGINEERING,
        "not_screened": NOT_SCREENED,
    }


def _reach(line: shapely.Geometry | None, picture: NoisePicture) -> str:
    """Return how far a level's line is from the pad; "more than" if the picture cuts it off."""
    if line is None:
        return "no line; levels come close to it"
    points = shapely.points(shapely.get_coordinates(line))
    away = float(shapely.distance(points, picture.pad).max())
    said = f"{convert_units(away, 'm', 'ft'):,.0f} ft ({away:,.0f} m)"
    edge = shapely.boundary(outline_grid(picture.grid))
    cell_m = float(np.hypot(picture.grid.transform.a, picture.grid.transform.d))
    cut = shapely.dwithin(line, edge, cell_m)
    return f"more than {said}" if cut else said


def _labels(
    lines: gpd.GeoSeries, levels: Sequence[float], crs: Any
) -> list[tuple[str, float, float, int, int]]:
    """Return the lines' labels: text, latitude, longitude, turn (degrees clockwise), level."""
    parts, of = split_parts(lines.to_numpy(), LINE_KINDS)
    long = shapely.length(parts) >= LABELED_M
    parts, of = parts[long], of[long]
    count = 1 + (shapely.length(parts) // LABEL_EVERY_M).astype(int)
    each = np.repeat(np.arange(len(parts)), count)
    run, of = parts[each], of[each]
    at_m = (positions_in_groups(count) + 0.5) * shapely.length(run) / count[each]
    turn = turn_upright(run, at_m, np.full(len(run), LABEL_SPREAD_M))
    points = gpd.GeoSeries(shapely.line_interpolate_point(run, at_m), crs=crs).to_crs(4326)
    level = lines.index.to_numpy()[of]
    place = np.searchsorted(levels, level)
    made = zip(
        [f"{one:g}" for one in level],
        points.y.round(6).tolist(),
        points.x.round(6).tolist(),
        turn.tolist(),
        place.tolist(),
        strict=True,
    )
    # Where labels overlap, the first are kept: the loudest, whose lines are the shortest.
    return sorted(made, key=lambda one: -one[-1])
