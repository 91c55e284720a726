"""A made-up ranking with every fact, a town to draw it in, and a browser to open it with."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from playwright.sync_api import Browser, Page, sync_playwright

from geo.model import Report, SourceHealth, SourceLine
from tests.maps.every import FACTS

CRS = "EPSG:26986"
ORIGIN = np.array([233_000.0, 901_000.0])
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

# Texts that would run, break out of their element or be computed if they were not escaped.
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "\"double\" 'single' `tick` back\\slash",
    "{{ 7 * 7 }} {% for a in b %} {# note #}",
    "<!-- open comment",
    "line\u2028separator \U0001f3ed works",
    '=HYPERLINK("http://example.invalid","pay")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1,1)",
)
USES = ("commercial", "industrial", "mixed")


def make_ranking(count: int = 40, hostile: tuple[str, ...] = HOSTILE) -> gpd.GeoDataFrame:
    """Return `count` made-up sites in rank order with every fact, some values missing.

    The first sites have the hostile texts in their address, use and neighbor's name. Site 0 has all
    facts; site 1 lacks every fact that can be missing.
    """
    chance = np.random.default_rng(7)
    n = np.arange(count)
    n_lo = np.where(n < 0.6 * count, 1 + (7 * n) % 12, 0)
    n_hi = np.where(n < 0.3 * count, n_lo, np.where(n < 0.85 * count, n_lo + 3, 0))
    verdict = np.where(n_lo > 0, "fit", np.where(n_hi > 0, "unknown", "unfit"))
    headroom = np.where(n % 5 == 3, np.nan, (n * 137) % 1400 - 200.0)
    short_lo = np.where(np.isnan(headroom), 0, np.clip(1000 - np.maximum(headroom, 0), 0, 1000))
    short_hi = np.where(np.isnan(headroom), 1000, short_lo)
    # There is a site in every ninth cell of the town's grid.
    column, row = (3 * n) % 60, (3 * n) // 60 * 3
    left, low = ORIGIN[0] + column * 40.0, ORIGIN[1] + row * 50.0
    geometry = shapely.box(left, low, left + 36, low + 44)
    given: dict[str, Any] = {
        "verdict": verdict,
        "score": np.round(95 - 90 * n / count, 1),
        "score_best": np.round(99 - 80 * n / count, 1),
        "known_share": np.round(0.5 + 0.5 * (n % 3) / 2, 3),
        "rank": n + 1,
        "folded": np.zeros(count, dtype=bool),
        "group_id": [f"{i // 10 + 1}-{i}/A" for i in n],
        "call": np.where(n_lo > 4, "yes", np.where(n_hi > 0, "check first", "no")),
        "n_lo": n_lo,
        "n_hi": n_hi,
        "power_lo_kw": n_lo * 200,
        "power_hi_kw": n_hi * 200,
        "power_served_kw": np.minimum(1000, n_lo * 200),
        "gap_class": np.where(
            np.isnan(headroom), "unknown", np.where(short_lo > 0, "short", "covered")
        ),
        "covers_gap": np.where(
            np.isnan(headroom), None, np.where(n_lo * 200 >= short_hi, "yes", "no")
        ),
        "fuel": np.where(n % 4 == 2, "propane", "natural_gas"),
        "binding": np.array(["noise", "pad", "fuel", "cap", "several"])[n % 5],
        "limit_text": [
            f"a {k + 1}th would reach 69.5 dB(A) at a home 57 ft north-east" for k in n_lo
        ],
        "lift_text": [f"a 3 m noise wall: then {k + 2} generators" for k in n_lo],
        "lift_lever": "wall",
        "sentence": [
            f"Carries {k} generators ({k * 0.2:.1f} MW) on natural gas; the next would "
            "reach 69.5 dB(A) at a home 57 ft north-east. The grid leaves 1 MW short by "
            "800 kW: 4 needed."
            for k in n_lo
        ],
        "data_complete": "85% of the data known; grid record of 2026-03-31",
        "stability": np.round(n % 100 / 100, 2),
        "site_id": [f"{i // 10 + 1}-{i}/A" for i in n],
        "address": [
            f"{10 + 2 * i} {('Mill', 'River', 'Station', 'Foundry')[i % 4]} Street" for i in n
        ],
        "city": "Millbrook",
        "use_class": np.array(USES)[n % 3],
        "use_title": np.array(["Warehouse", "Office building", "Shop with flats"])[n % 3],
        "lot_area_m2": shapely.area(geometry),
        "grid_evidence": np.where(np.isnan(headroom), "unpublished", "substation"),
        "load_headroom_kw": headroom,
        "shortfall_lo_kw": short_lo,
        "shortfall_hi_kw": short_hi,
        "fuel_unit": np.where(n % 4 == 2, "gal/h", "scfh"),
        "zone_split": n % 7 == 0,
        "own_dwelling": n % 11 == 0,
        "grid_as_of": "2026-03-31",
        "receptor_name": None,
    }
    degrees = shapely.centroid(geometry)
    lonlat = gpd.GeoSeries(degrees, crs=CRS).to_crs(4326)
    given |= {"lat": lonlat.y.round(6).to_numpy(), "lon": lonlat.x.round(6).to_numpy()}
    columns: dict[str, Any] = {}
    for k, fact in enumerate(FACTS):
        if fact.name in given:
            columns[fact.name] = pd.Series(given[fact.name], index=n)
        elif fact.decimals is not None:
            values = np.round(chance.uniform(1, 60, count), fact.decimals)
            columns[fact.name] = pd.Series(np.where((n + k) % 6 == 5, np.nan, values))
        else:
            columns[fact.name] = pd.Series(
                [None if (i + k) % 6 == 5 else f"{fact.name} {i % 5}" for i in n], dtype=object
            )
    frame = pd.DataFrame(columns).copy()
    frame["run_id"], frame["plan_digest"], frame["vintage"] = "0123abcd", "feed", "parcels 2026-01"
    frame["receptor_name"] = frame["receptor_name"].astype(object)
    for at, text in enumerate(hostile[:count]):
        for name in ("address", "use_title", "receptor_name", "sentence", "grid_source"):
            frame.loc[at, name] = text
    if count > 1:
        kept = {
            "verdict",
            "score",
            "rank",
            "folded",
            "group_id",
            "call",
            "n_lo",
            "n_hi",
            "site_id",
            "use_class",
            "lat",
            "lon",
            "lot_area_m2",
            "power_lo_kw",
            "power_hi_kw",
            "site_because",
        }
        for fact in FACTS:
            if fact.name not in kept and fact.group != "provenance":
                frame[fact.name] = frame[fact.name].where(frame.index != 1, None)
    rows = np.maximum(n_lo, 1)
    block = shapely.box(left + 5, low + 5, left + 5 + 2.5 * rows, low + 8)
    machines = [
        shapely.MultiPolygon(
            [
                shapely.box(
                    left[i] + 5.5 + 2.5 * j, low[i] + 6, left[i] + 7.0 + 2.5 * j, low[i] + 6.9
                )
                for j in range(n_lo[i])
            ]
        )
        if n_lo[i]
        else None
        for i in n
    ]
    frame = frame.copy()  # defragments the frame, which avoids a pandas warning
    # Like a ranking from a reindexed frame: plain objects, with NaN where there is none.
    frame["machines"] = pd.Series([np.nan if one is None else one for one in machines])
    frame["block"] = gpd.GeoSeries(np.where(n_lo > 0, block, None), crs=CRS)
    frame["gear"] = gpd.GeoSeries(
        np.where(n_lo > 0, shapely.box(left + 5.5, low + 7.1, left + 7.0, low + 7.9), None), crs=CRS
    )
    tank = shapely.multipolygons(shapely.box(left + 20, low + 30, left + 29, low + 32)[:, None])
    frame["storage"] = gpd.GeoSeries(np.where(n_lo > 3, tank, None), crs=CRS)
    return gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(geometry, crs=CRS), crs=CRS)


def make_drawing(parcels: int = 400) -> dict[str, gpd.GeoDataFrame]:
    """Return a made-up town's layers with hostile names in them."""
    n = np.arange(parcels)
    left, low = ORIGIN[0] + n % 60 * 40.0, ORIGIN[1] + n // 60 * 50.0
    use = np.array(["residential", "residential", "commercial", "vacant", "exempt", None])[n % 6]
    high = ORIGIN[1] + (parcels // 60 + 1) * 50.0
    east = ORIGIN[0] + 60 * 40.0

    def frame(geometry: list[Any] | np.ndarray, **columns: object) -> gpd.GeoDataFrame:
        return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(geometry, crs=CRS), crs=CRS)

    across = [
        shapely.LineString([(ORIGIN[0], y), (east, y)]) for y in np.arange(ORIGIN[1] - 3, high, 50)
    ]
    river = shapely.LineString([(ORIGIN[0], high - 60), (east, ORIGIN[1] + 60)])
    rail = shapely.LineString([(ORIGIN[0] + 300, ORIGIN[1]), (ORIGIN[0] + 500, high)])
    x, y = ORIGIN
    return {
        "parcels": frame(shapely.box(left, low, left + 36, low + 44), use_class=use),
        "streets": frame([*across, river, river.buffer(9), rail],
                         kind=["street"] * len(across) + ["river", "river", "rail"],
                         name=[HOSTILE[0]] * (len(across) + 3)),
        "mains": frame(across[:3], main_id=[HOSTILE[1], "M-2", "M-3"],
                       diameter_in=[4.0, np.nan, 8.0], pressure_class=["high", "low", None],
                       material=[HOSTILE[2], None, "PE"]),
        "capacity": frame([across[1], shapely.box(x, y, x + 400, y + 100)],
                          record_id=["F-1", HOSTILE[0]], kind="load", grain=["feeder", "cell"],
                          headroom_kw=[500.0, np.nan]),
        "gas_transmission": frame([across[2]], operator=[HOSTILE[1]], status=["in_service"]),
        "fuel_plants": frame([shapely.Point(x + 300, y + 70)], plant_id=["P-1"],
                             name=[HOSTILE[2]], fuel=["biogas"], plant_kind=["landfill"],
                             status=["operating"]),
        "gas_signs": frame([shapely.Point(x + 80, y + 40)], sign=["leak_report"],
                           address=[HOSTILE[2]], reported_on=[pd.Timestamp("2025-05-01")]),
        "substations": frame([shapely.Point(x + 700, y + 120), shapely.Point(x + 1500, y + 90)],
                             substation_id=["S1", "S2"], name=[HOSTILE[0], None],
                             owner=[HOSTILE[2], "Town"], status=["in_service", "unknown"],
                             firm_capacity_mva=[40.0, np.nan]),
        "receptors": frame([shapely.Point(x + 900, y + 60), shapely.box(x, y, x + 30, y + 30)],
                           receptor_class=["school", "park"], name=[HOSTILE[1], "Town park"]),
        "buildings": frame(shapely.box(left + 12, low + 15, left + 28, low + 35)),
        "exclusions": frame([river.buffer(40), shapely.box(x + 90, y, x + 150, y + 90),
                             shapely.box(x + 600, y + 100, x + 700, y + 200)],
                            kind=["flood", "wetland", "open_space"],
                            name=[HOSTILE[0], None, "Green"]),
    }  # fmt: skip


def make_report(sites: int = 40, parcels: int = 400) -> Report:
    """Return a made-up report with hostile texts and consistent totals."""
    homes = parcels - sites - 5

    def line(name: str, layer: str, title: str) -> SourceLine:
        return SourceLine(
            id=name,
            layer=layer,
            title=title,
            publisher=HOSTILE[2],
            licence="CC BY 4.0",
            attribution="© Millbrook",
            vintage="2026-01",
            rows=1234,
            notes=("condo rows folded", HOSTILE[0]),
        )

    health = SourceHealth(
        id="demo_parcels", title="Parcels", licence="CC BY 4.0", attribution="© Millbrook",
        vintage="2026-01", age_limit="no age limit declared", address=HOSTILE[2],
        good_on="2026-03-30", rows=1234, rows_before=1300, rows_added=4, rows_removed=70,
        columns_digest="0a1b2c3d", verdict="shrunk", error="it has 12 rows, 1234 the last time",
        warnings=("2 invalid rings repaired", HOSTILE[0]),
    )  # fmt: skip
    return Report(
        market_id="demo", market_title="Millbrook <town>", plan_id="default",
        plan_title="Bridge 1 MW with GX230 generators", night="2026-03-31",
        run_id="0123abcd4567",
        plan_digest="feedbeef", program_version="0.1.0", parcels_in=parcels, sites=sites,
        set_aside={"residential use": homes, "no geometry": 5}, unclassified={"999": 3},
        counts={"verdict": {"fit": 24, "unknown": 10, "unfit": 6}},
        first_lines=("Grid capacity is published for part of the town only.",
                     "69 dB(A) (no local rule given).", HOSTILE[0]),
        estimates=("A pad takes 4 to 16 weeks: assumed (as of 2026).",),
        assumptions=("Rated sound level holds at 7 m.", "A quarter of a main is free."),
        sources=(line("demo_parcels", "parcels", "Parcels"),
                 line("demo_substations", "substations", "Substations")),
        health=(health,),
    )  # fmt: skip


@pytest.fixture(scope="session")
def ranking() -> gpd.GeoDataFrame:
    """Return 40 made-up sites; tests must not change them."""
    return make_ranking()


@pytest.fixture(scope="session")
def drawing() -> dict[str, gpd.GeoDataFrame]:
    """Return a made-up town's layers."""
    return make_drawing()


@pytest.fixture(scope="session")
def report() -> Report:
    """Return a made-up report."""
    return make_report()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a real browser; without one, fail in CI and skip elsewhere."""
    if not CHROMIUM.is_file():
        absent = f"no browser at {CHROMIUM}, so the map was not opened"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{absent}, and CI skips nothing")
        pytest.skip(absent)
    with sync_playwright() as tool:
        made = tool.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a file in a new tab and records what the page does.

    Its requests, errors and dialogs are listed in `page.requests`, `page.errors` and
    `page.dialogs`.
    """
    contexts = []

    def opened(path: Path, fragment: str = "", width: int = 1400, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.requests, page.errors, page.dialogs = [], [], []  # type: ignore[attr-defined]
        page.on("request", lambda one: page.requests.append(one.url))  # type: ignore[attr-defined]
        page.on("pageerror", lambda one: page.errors.append(str(one)))  # type: ignore[attr-defined]
        page.on(
            "console",
            lambda one: (
                page.errors.append(one.text)  # type: ignore[attr-defined]
                if one.type in {"error", "warning"}
                else None
            ),
        )

        def refuse(dialog: Any) -> None:
            page.dialogs.append(dialog.message)  # type: ignore[attr-defined]
            dialog.dismiss()

        page.on("dialog", refuse)
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=20_000)
        return page

    yield opened
    for context in contexts:
        context.close()
