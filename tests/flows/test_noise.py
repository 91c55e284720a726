"""`padfinder noise` draws a published site of the hamlet, or explains why it cannot."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from tests.flows import hamlet

FILES = ["contours.geojson", "noise.html", "noise.tif"]


def ranked(folder):
    return gpd.read_parquet(folder / "var/published/hamlet/hamlet/ranked.parquet")


@pytest.fixture
def loudest(town):
    """Return the row of the site that carries the most in the worst case."""
    rows = ranked(town)
    return rows.sort_values("n_lo", ascending=False, kind="stable").iloc[0]


def test_a_site_is_drawn_round_its_machines(padfinder, town, loudest):
    done = padfinder(town, "noise", "--market", "hamlet", "--site", loudest["site_id"])
    assert done.code == 0, done.err
    folder = town / "var/noise/hamlet" / loudest["site_id"]
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert str(folder / "noise.html") in done.out
    report = json.loads((town / "var/published/hamlet/hamlet/report.json").read_text("utf-8"))
    with rasterio.open(folder / "noise.tif") as file:
        levels, transform, tags = file.read(1, masked=True), file.transform, file.tags()
        assert file.crs.to_string() == hamlet.CRS
        assert file.res == (5.0, 5.0)
    assert tags["RUN"] == report["run_id"]
    # The hamlet's buildings are known inside the box around them, and the picture is larger.
    page = (folder / "noise.html").read_text("utf-8")
    assert "Buildings are mapped for only part of the picture" in page
    # The loudest cell is next to a machine, and cells in buildings have no value.
    row, column = np.unravel_index(levels.argmax(), levels.shape)
    loud = shapely.Point(transform @ (column + 0.5, row + 0.5))
    assert loud.distance(loudest["machines"]) < 5
    houses = hamlet.layers()["buildings"].geometry
    x, y = transform @ np.stack(np.nonzero(levels.mask)[::-1]) + 2.5 * np.array([[1], [-1]])
    assert len(x) > 0
    # coordinates were converted to degrees with 15 decimals and back; buildings are 15 m wide
    assert houses.union_all().buffer(0.01).covers(shapely.MultiPoint(np.column_stack((x, y))))


def test_the_same_picture_twice_by_id_and_by_address(padfinder, town, loudest):
    for out, site in (("a", loudest["site_id"]), ("b", loudest["address"].upper())):
        done = padfinder(
            town, "noise", "--market", "hamlet", "--site", site, "--cell", "10", "--out", out
        )
        assert done.code == 0, done.err
    for name in FILES:
        assert (town / "a" / name).read_bytes() == (town / "b" / name).read_bytes(), name


def test_what_has_nothing_to_draw_is_named(padfinder, town):
    rows = ranked(town)
    none = rows[rows["machines"].isna()]
    aside = pd.read_csv(town / "var/published/hamlet/hamlet/set_aside.csv").iloc[0]
    cases = [
        ("nowhere", "no parcel of market hamlet has that id or address"),
        (aside["parcel_id"], f"Set aside: {aside['rule']}"),
        *([(none.iloc[0]["site_id"], "it fits no generator")] if len(none) else []),
    ]
    for site, words in cases:
        done = padfinder(town, "noise", "--market", "hamlet", "--site", site)
        assert done.code == 2
        assert words in " ".join(done.err.split())
    assert not (town / "var/noise").exists()


def test_a_site_that_fits_no_generator_is_refused(padfinder, town, loudest):
    path = town / "var/published/hamlet/hamlet/ranked.parquet"
    rows = ranked(town)
    rows.loc[rows["site_id"] == loudest["site_id"], ["machines", "block"]] = None
    rows.to_parquet(path)
    done = padfinder(town, "noise", "--market", "hamlet", "--site", loudest["site_id"])
    assert done.code == 2
    assert "it fits no generator" in done.err


def test_two_sites_of_one_address_need_the_id(padfinder, town):
    path = town / "var/published/hamlet/hamlet/ranked.parquet"
    rows = ranked(town)
    rows["address"] = "1 Mill Lane"
    rows.to_parquet(path)
    done = padfinder(town, "noise", "--market", "hamlet", "--site", "1 mill lane")
    assert done.code == 2
    assert "Give the assessor id" in " ".join(done.err.split())


def test_nothing_published_says_what_to_run(padfinder, tmp_path):
    hamlet.write(tmp_path)
    done = padfinder(tmp_path, "noise", "--market", "hamlet", "--site", "L0003")
    assert done.code == 7
    assert "padfinder nightly --market hamlet" in done.err


def test_a_plan_changed_since_is_not_drawn_from(padfinder, town, loudest):
    plan = town / "own/hamlet/plans/hamlet.toml"
    plan.write_text(plan.read_text("utf-8").replace("humidity_pct = 70", "humidity_pct = 50"))
    done = padfinder(town, "noise", "--market", "hamlet", "--site", loudest["site_id"])
    assert done.code == 7
    assert "plan 'hamlet' has changed since" in done.err
    assert "padfinder publish --market hamlet --plan hamlet" in done.err


def test_sources_pulled_again_since_are_not_drawn_from(padfinder, town, loudest):
    path = town / "files/hamlet/buildings.geojson"
    document = hamlet.geojson(path)
    document["features"] = document["features"][:-1]
    path.write_text(json.dumps(document), "utf-8")
    assert padfinder(town, "refresh", "--market", "hamlet").code == 0
    done = padfinder(town, "noise", "--market", "hamlet", "--site", loudest["site_id"])
    assert done.code == 7
    assert "pulled again since" in done.err


def test_spares_stand_idle(padfinder, town, loudest):
    plan = town / "own/hamlet/plans/hamlet.toml"
    plan.write_text(plan.read_text("utf-8").replace("spares = 0", "spares = 1"))
    assert padfinder(town, "publish", "--market", "hamlet", "--night", "2026-03-31").code == 0
    row = ranked(town).set_index("site_id").loc[loudest["site_id"]]
    installed = len(shapely.get_parts(row["machines"]))
    done = padfinder(town, "noise", "--market", "hamlet", "--site", loudest["site_id"])
    assert done.code == 0, done.err
    assert f"{installed - 1} generators running" in done.out
