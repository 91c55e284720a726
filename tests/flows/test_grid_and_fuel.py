"""Messy grid and gas records, end to end: how they are read, which rule applies, how many count."""

import json

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from flows import cli
from tests.flows import hamlet

LEFT, BOTTOM, LOT_M = hamlet.LEFT, hamlet.BOTTOM, hamlet.LOT_M
EAST = LEFT + hamlet.COLUMNS * LOT_M

CAPACITY = """
record_id = { column = "feeder" }
kind = { value = "load" }
grain = { value = "GRAIN" }
headroom_kw = { column = "kw", unit = "kW", most = 100000, missing = ["-1"] }
committed_included = { value = "yes" }
as_of = { value = "2026-01-31" }
"""
MAINS = """
main_id = { column = "id" }
diameter_in = { column = "inches", unit = "in" }
pressure_class = { column = "class" }
pressure_kpa = { column = "maop", units = { psig = "psi", bar = "bar", mbar = "mbar" } }
"""


def source(name: str, layer: str, columns: str) -> str:
    said = hamlet.source("mains").split("[columns]")[0]
    said = said.replace('"hamlet_mains"', f'"hamlet_{name}"').replace(
        'layer = "mains"', f'layer = "{layer}"'
    )
    unread = "\n[expect]\nunreadable_share_max = 0.5\n"
    return said.replace('"mains.geojson"', f'"{name}.geojson"') + f"[columns]{columns}{unread}"


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """Publish a hamlet whose utilities have messy records; return the report and the rows."""
    folder = tmp_path_factory.mktemp("messy")
    hamlet.write(folder)
    layers = hamlet.layers()
    stations = layers["substations"]
    stations.loc[len(stations)] = {
        "id": "OLD", "STATUS": "RETIRED", "firm": 90.0, "peak": 1.0, "committed": 0.0,
        "geometry": shapely.Point(EAST - 100, BOTTOM + 400),
    }  # fmt: skip
    stations["STATUS"] = stations["STATUS"].replace("RETIRED", "RETIRED 1999")
    columns = hamlet.COLUMNS_OF["substations"].replace(
        '"in_service" }', '"in_service", "RETIRED 1999" = "retired" }'
    )
    # A feeder runs along each of the hamlet's streets, in two sources that disagree.
    streets = layers["mains"].geometry
    kw = [300.0, 999_999.0, -1.0, -250.0, 5_000.0, 700.0, 50.0, 800.0][: len(streets)]
    feeders = gpd.GeoDataFrame(
        {"feeder": [f"F{n}" for n in range(len(streets))], "kw": kw},
        geometry=list(streets), crs=hamlet.CRS,
    )  # fmt: skip
    cells = gpd.GeoDataFrame(
        {"feeder": ["C1"], "kw": [4_000.0]},
        geometry=[shapely.box(LEFT, BOTTOM, EAST, BOTTOM + 300)], crs=hamlet.CRS,
    )  # fmt: skip
    mains = layers["mains"]
    mains["class"] = None
    maop = ["60 psig", "4.2 bar", "25 mbar", "7 furlongs", None, "0.5 bar", "30 psig", "60 psig"]
    mains["maop"] = maop[: len(mains)]
    mains["inches"] = [4.0, 4.0, 4.0, 4.0, 4.0, None, 4.0, 4.0][: len(mains)]
    frames = {"substations": stations, "feeders": feeders, "cells": cells, "mains": mains}
    said = {
        "substations": source("substations", "substations", columns),
        "feeders": source("feeders", "capacity", CAPACITY.replace("GRAIN", "feeder")),
        "cells": source("cells", "capacity", CAPACITY.replace("GRAIN", "cell")),
        "mains": source("mains", "mains", MAINS),
    }
    for name, frame in frames.items():
        (folder / f"own/hamlet/sources/hamlet_{name}.toml").write_text(said[name], "utf-8")
        frame.to_crs("EPSG:4326").to_file(folder / f"files/hamlet/{name}.geojson", engine="pyogrio")
    market = folder / "own/hamlet/market.toml"
    market.write_text(
        market.read_text("utf-8").replace(
            '"hamlet_mains",', '"hamlet_mains", "hamlet_feeders", "hamlet_cells",'
        ),
        "utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["nightly", "--market", "hamlet", "--night", "2026-03-31"]) == 0
    published = folder / "var/published/hamlet/hamlet"
    report = json.loads((published / "report.json").read_text("utf-8"))
    return report, pd.read_csv(published / "ranked.csv")


def notes_of(report: dict, name: str) -> str:
    return " ".join(next(s["notes"] for s in report["sources"] if s["id"] == f"hamlet_{name}"))


def test_a_retired_substation_serves_nobody_and_is_counted(messy):
    report, rows = messy
    assert report["counts"]["records"]["retired substations, not used"] == 1
    assert "OLD" not in set(rows["grid_source"]) | set(rows["second_source"].dropna())
    assert any("retired substations, not used (1)" in line for line in report["first_lines"])


def test_a_feeder_that_says_999999_says_nothing(messy):
    report, rows = messy
    assert "1 value above 100000" in notes_of(report, "feeders")
    # F1 has the marker value and F2 the declared -1: neither is the headroom of a site.
    assert not {"F1", "F2"} & set(rows["grid_source"])
    assert report["counts"]["records"]["load records without a value"] == 2
    assert rows["load_headroom_kw"].max() < 100_000


def test_what_is_overloaded_stays_overloaded(messy):
    report, rows = messy
    over = rows[rows["grid_source"] == "F3"]
    assert len(over)
    assert (over["load_headroom_kw"] == -250).all()
    assert (over["overload_kw"] == 250).all()
    assert (over["shortfall_hi_kw"] == 1000).all()
    assert report["counts"]["records"]["overloaded load records (negative headroom)"] == 1


def test_two_sources_that_contradict_each_other_are_both_shown(messy):
    report, rows = messy
    both = rows[(rows["grid_source"] == "F0") & (rows["second_source"] == "C1")]
    assert len(both)
    assert (both["grid_evidence"] == "feeder").all()
    assert (both["load_headroom_kw"] == 300).all()
    assert (both["second_headroom_kw"] == 4000).all()
    assert (both["headroom_disagreement_kw"] == -3700).all()
    assert (both["headroom_check"] == "contradict").all()
    assert not (both["call"] == "yes").any()
    assert both["sentence"].str.contains("Two sources contradict each other: 300 kW").all()
    counted = (rows["headroom_check"] == "contradict").sum()
    assert report["counts"]["headroom_check"]["contradict"] == counted >= len(both)


def test_pressure_in_three_units_is_one_pressure(messy):
    report, rows = messy
    assert "1 unreadable" in notes_of(report, "mains")
    known = rows[rows["main_id"].isin(["M0", "M1", "M2"])]
    classes = dict(zip(known["main_id"], known["main_pressure_class"], strict=True))
    # 60 psig and 4.2 bar (60.9 psig) are high; 25 mbar (0.36 psig) is low.
    for main, named in classes.items():
        assert named == {"M0": "high", "M1": "high", "M2": "low"}[main]
    assert classes
    counts = report["counts"]["records"]
    assert counts["mains with a pressure class taken from their pressure"] >= 5
    assert counts["mains without a pressure (capacity unknown)"] == 2


def test_a_main_without_a_size_carries_from_none_to_the_cap(messy):
    report, rows = messy
    assert report["counts"]["records"]["mains without a size (capacity unknown)"] == 1
    unsized = rows[rows["evidence_of_natural_gas"] == "main of unknown size"]
    assert len(unsized)
    assert (unsized["n_lo_on_natural_gas"] == 0).all()
    counted = (rows["fuel_evidence"] == "main of unknown size").sum()
    assert report["counts"]["fuel_evidence"].get("main of unknown size", 0) == counted
