"""A hamlet of 300 lots as a user would add it: a market, sources, a land-use table and files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

CRS = "EPSG:26986"
LEFT, BOTTOM = 235_000.0, 900_000.0
COLUMNS, ROWS, LOT_M = 20, 15, 60.0

MARKET = """
id = "hamlet"
title = "The hamlet"
crs = "EPSG:26986"
time_zone = "America/New_York"
jurisdiction = "hamlet"
plan = "hamlet"
sources = [
    "hamlet_parcels", "hamlet_zoning", "hamlet_substations", "hamlet_mains", "hamlet_buildings",
]
"""

LAND_USE = """
jurisdiction = "hamlet"
scheme = "village"
source = "made up for the test"
[use]
H = { title = "House", class = "residential", receptor = "home" }
S = { title = "Shop", class = "commercial" }
F = { title = "Factory", class = "industrial" }
V = { title = "Vacant", class = "vacant" }
E = { title = "Chapel", class = "exempt" }
[zone]
B = { title = "Business", class = "commercial" }
R = { title = "Homes", class = "residential" }
"""

COLUMNS_OF = {
    "parcels": """
parcel_id = { column = "id" }
jurisdiction = { value = "hamlet" }
use_scheme = { value = "village" }
use_code = { column = "use" }
address = { column = "address" }
city = { value = "Hamlet" }
""",
    "zoning": """
jurisdiction = { value = "hamlet" }
zone_scheme = { value = "village" }
zone_code = { column = "zone" }
""",
    "substations": """
substation_id = { column = "id" }
status = { column = "STATUS", map = { "IN SERVICE" = "in_service" } }
firm_capacity_mva = { column = "firm", unit = "MVA" }
peak_load_mva = { column = "peak", unit = "MVA" }
committed_load_mva = { column = "committed", unit = "MVA" }
as_of = { value = "2026-01-31" }
""",
    "mains": """
main_id = { column = "id" }
diameter_in = { column = "inches", unit = "in" }
pressure_class = { column = "class" }
""",
    "buildings": 'height_m = { column = "height", unit = "m" }\n',
}


def source(layer: str) -> str:
    """Return the declaration of the hamlet's source of a layer."""
    return f"""
id = "hamlet_{layer}"
layer = "{layer}"
title = "{layer} of the hamlet"
publisher = "The hamlet"
licence = "none: made up"
attribution = "The hamlet"
redistribute = true
vintage = 2026-01-31
[fetch]
protocol = "file"
path = "{layer}.geojson"
crs = "EPSG:4326"
[coverage]
kind = "bounds"
[columns]
{COLUMNS_OF[layer]}"""


def layers() -> dict[str, gpd.GeoDataFrame]:
    """Return the hamlet's layers in its metric frame."""
    place = np.arange(COLUMNS * ROWS)
    across, up = place % COLUMNS, place // COLUMNS
    x, y = LEFT + across * LOT_M, BOTTOM + up * LOT_M
    lots = shapely.box(x, y, x + LOT_M - 10, y + LOT_M - 10)
    # All are homes except one column of shops, two of factories, some vacant lots and a chapel.
    use = np.select([across == 3, across >= 18, place % 29 == 0, place == 1], [*"SFVE"], "H")
    parcels = gpd.GeoDataFrame(
        {
            "id": [f"L{n:04d}" for n in place],
            "use": use,
            "address": [f"{n} Mill Lane" for n in place],
        },
        geometry=lots,
        crs=CRS,
    )
    right, top = LEFT + COLUMNS * LOT_M, BOTTOM + ROWS * LOT_M
    edge = LEFT + 15 * LOT_M
    zoning = gpd.GeoDataFrame(
        {"zone": ["R", "B"]},
        geometry=[
            shapely.box(LEFT - 20, BOTTOM - 20, edge, top),
            shapely.box(edge, BOTTOM - 20, right, top),
        ],
        crs=CRS,
    )
    substations = gpd.GeoDataFrame(
        {
            "id": ["A", "B"],
            "STATUS": ["IN SERVICE", "IN SERVICE"],
            "firm": [20.0, 10.0],
            "peak": [15.0, 9.0],
            "committed": [4.5, 1.5],
        },
        geometry=shapely.points([[LEFT, BOTTOM], [right, top]]),
        crs=CRS,
    )
    streets = [
        shapely.LineString([(LEFT, BOTTOM + n * LOT_M - 5), (right, BOTTOM + n * LOT_M - 5)])
        for n in range(0, ROWS, 2)
    ]
    mains = gpd.GeoDataFrame(
        {
            "id": [f"M{n}" for n in range(len(streets))],
            "inches": [4.0, None] * (len(streets) // 2),
            "class": ["medium", "low"] * (len(streets) // 2),
        },
        geometry=streets,
        crs=CRS,
    )
    buildings = gpd.GeoDataFrame(
        {"height": 6.0}, geometry=shapely.box(x + 5, y + 5, x + 20, y + 20), crs=CRS,
        index=range(len(place)),
    )  # fmt: skip
    return {
        "parcels": parcels,
        "zoning": zoning,
        "substations": substations,
        "mains": mains,
        "buildings": buildings,
    }


def write(folder: Path) -> None:
    """Write everything that a user provides, with `padfinder.toml`, into an empty folder."""
    for name in ("own/hamlet/plans", "own/hamlet/sources", "files/hamlet"):
        (folder / name).mkdir(parents=True)
    (folder / "padfinder.toml").write_text(
        'files = "files"\nmarkets = ["own"]\nretry_delays_s = []\n', "utf-8"
    )
    root = Path(__file__).parents[2]
    plan = (root / "flows/plans/default.toml").read_text("utf-8")
    # A low cap makes a night shorter.
    plan = plan.replace("cap = 25", "cap = 8").replace('id = "default"', 'id = "hamlet"')
    (folder / "own/hamlet/plans/hamlet.toml").write_text(plan, "utf-8")
    (folder / "own/hamlet/market.toml").write_text(MARKET, "utf-8")
    (folder / "own/hamlet/land_use.toml").write_text(LAND_USE, "utf-8")
    for layer, frame in layers().items():
        (folder / f"own/hamlet/sources/hamlet_{layer}.toml").write_text(source(layer), "utf-8")
        frame.to_crs("EPSG:4326").to_file(
            folder / f"files/hamlet/{layer}.geojson", engine="pyogrio"
        )


def geojson(path: Path) -> dict[str, Any]:
    """Return a GeoJSON file's document, to change and write back."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def digests(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each published file's name and bytes, in order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
