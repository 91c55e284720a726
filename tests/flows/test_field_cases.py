"""Broken inputs from public bug reports: each is read with every row, or refused in one sentence.

What is right for each is in its CASE.md, in the folder of real files.
"""

import shutil
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pandas as pd
import pytest

from data.store import open_store

NIGHT = "2026-03-31"


@pytest.fixture
def pull(padfinder, monkeypatch, tmp_path, real_files):
    """Return a function that pulls the sources of a case, with texts of its files replaced."""

    def run(case, changes=None):
        folder = tmp_path / "case"
        shutil.copytree(real_files / "field" / case, folder)
        for name, pairs in (changes or {}).items():
            path = folder / "own/sources" / name
            text = path.read_text("utf-8")
            for old, new in pairs.items():
                assert old in text
                text = text.replace(old, new)
            path.write_text(text, "utf-8")
        monkeypatch.setenv("PADFINDER_CONFIG", str(folder / "padfinder.toml"))
        monkeypatch.setenv("PADFINDER_VAR", str(tmp_path / "var"))
        return padfinder(tmp_path, "refresh", "--market", "hamlet", "--night", NIGHT)

    return run


@pytest.fixture
def read_snapshot(tmp_path):
    """Return a function that reads a source's rows and notes from the store."""

    def read(source, layer):
        with open_store(tmp_path / "var/store/hamlet.duckdb", read_only=True) as store:
            snapshots = store.read_snapshots(pd.Timestamp(NIGHT).date(), [source])
            return store.read_layer(layer, pd.Timestamp(NIGHT).date(), [source]), " ".join(
                snapshots.iloc[0]["notes"]
            )

    return read


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("F01/j1_trailing_delimiter", "tax.csv has rows with more fields than there are titles"),
        ("F01/j2_excel_scientific", "only 0 of 60 rows found a row of tax.csv"),
        ("F01/j3_leading_zero_lost", "id is '001000', '001001', '001002', and PIN is '1000'"),
        ("F02/v15_esrijson_page", "30 features, and the server says that there are more"),
        ("F07", "2 cells of 'firm' hold a formula without a value"),
        ("F12", "parcels.zip has two columns called 'use'"),
        ("F13", "parcels.zip lacks lots.shx"),
        ("F21", "fetch.x and fetch.y, or fetch.wkt, do not name its columns"),
    ],
)
def test_what_cannot_be_right_is_refused(pull, tmp_path, case, says):
    ran = pull(case)
    assert ran.code == 6, ran.err
    assert says in ran.err
    assert "What to do: " in ran.err
    assert not (tmp_path / "var/published").exists()


def test_a_page_of_a_server_is_refused(pull, real_files):
    body = real_files / "field/F02/u1_exceeded/answers/0.body"

    class Answer(SimpleHTTPRequestHandler):
        def do_GET(self):
            content = body.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True).start()
    try:
        port = str(server.server_port)
        ran = pull("F02/u1_exceeded", {"hamlet_parcels.toml": {"PORT": port}})
    finally:
        server.shutdown()
        server.server_close()
    assert ran.code == 6, ran.err
    assert "the server says that there are more (exceededTransferLimit)" in ran.err


@pytest.mark.parametrize(
    ("case", "changes", "rows"),
    [
        ("F17", {}, 60),
        ("F19/g1_gdb_zip_two_layers", {}, 60),
        ("F19/g2_gdb_folder", {}, 60),
        ("F21", {'path = "p.csv"': 'path = "p.csv"\nwkt = "the_geom"'}, 60),
        ("F25/s3_nested_macosx", {}, 60),
        ("F25/v8_zip_in_zip", {}, 60),
    ],
)
def test_every_parcel_is_read(pull, read_snapshot, case, changes, rows):
    ran = pull(case, {"hamlet_parcels.toml": changes})
    assert ran.code == 0, ran.err
    parcels, _ = read_snapshot("hamlet_parcels", "parcels")
    assert len(parcels) == rows
    assert parcels.geometry.area.min() > 0


def test_long_ids_keep_every_digit(pull, read_snapshot):
    assert pull("F03").code == 0
    parcels, _ = read_snapshot("hamlet_parcels", "parcels")
    ids = parcels["parcel_id"].dropna()
    assert len(parcels) == 60
    assert ids.is_unique
    assert ids.str.fullmatch(r"\d{18}").all()


def test_a_collection_of_shapes_keeps_its_area_and_is_counted(pull, read_snapshot):
    assert pull("F17").code == 0
    _, notes = read_snapshot("hamlet_parcels", "parcels")
    assert "1 collection of shapes repaired: only its areas are kept" in notes


@pytest.mark.parametrize("case", ["F05/r1_dem_band_unit_feet", "F05/w5_compound_ft_epsg"])
def test_heights_in_feet_are_converted_and_noted(pull, tmp_path, case):
    assert pull(case).code == 0
    with open_store(tmp_path / "var/store/hamlet.duckdb", read_only=True) as store:
        snapshot = store.read_snapshots(pd.Timestamp(NIGHT).date(), ["hamlet_elev"]).iloc[0]
    assert "values converted from us_ft, as the file says" in " ".join(snapshot["notes"])


def test_a_unit_that_the_file_contradicts_is_refused(pull):
    declared = {'value = { column = "1" }': 'value = { column = "1", unit = "m" }'}
    ran = pull("F05/r1_dem_band_unit_feet", {"hamlet_elev.toml": declared})
    assert ran.code == 4, ran.err
    assert "says that its values are in us_ft, and columns.value.unit is 'm'" in ran.err


def test_heights_of_lines_are_dropped_with_a_note(pull, read_snapshot):
    assert pull("F15").code == 0
    mains, notes = read_snapshot("hamlet_mains", "mains")
    assert not mains.geometry.has_z.any()
    assert "dropped" in notes


def test_dates_in_milliseconds_are_read_if_declared(pull, read_snapshot):
    refused = {'column = "asof"': 'column = "asof", date_format = "epoch_ms"'}
    ran = pull("F23/d1_epoch_ms", {"hamlet_feeders.toml": refused})
    assert ran.code == 0, ran.err
    feeders, _ = read_snapshot("hamlet_feeders", "capacity")
    # 1735689600000 ms after 1970 is the first of January 2025.
    assert pd.Timestamp("2025-01-01") in set(feeders["as_of"])


def test_a_date_before_1900_is_none(pull, read_snapshot):
    assert pull("F23/d2_1899").code == 0
    feeders, notes = read_snapshot("hamlet_feeders", "capacity")
    assert feeders["as_of"].isna().any()
    assert "before 1900 taken as missing" in notes


def test_the_text_of_a_frame_without_a_code_is_given_and_works(pull, padfinder, tmp_path):
    ran = pull("F27/c1_county_crs")
    assert ran.code == 4, ran.err
    text = ran.err.split("in single quotes: ")[1].split("'")[1]
    assert text.startswith("PROJCS[")
    path = tmp_path / "case/own/sources/hamlet_parcels.toml"
    old = 'crs = "EPSG:4326"'
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, f"crs = '{text}'"), "utf-8")
    again = padfinder(tmp_path, "refresh", "--market", "hamlet", "--night", NIGHT)
    assert again.code == 0, again.err


def test_a_compound_frame_equals_its_horizontal_part(pull):
    assert pull("F27/r3_dem_compound_crs").code == 0


def test_a_lot_under_two_zones_has_neither(pull, padfinder, tmp_path):
    assert pull("F09").code == 0
    ran = padfinder(tmp_path, "publish", "--market", "hamlet", "--night", NIGHT)
    assert ran.code == 0, ran.err
    # Two vacant lots lie in the homes' zone R and in the overlay B as a whole. B comes first in the
    # alphabet, but does not make them sites.
    aside = pd.read_csv(tmp_path / "var/published/hamlet/hamlet/set_aside.csv")["rule"]
    assert (aside == "vacant use in several zones, none of them the largest").sum() == 2
    assert "lots in several zones, none of them the largest" in ran.out
    assert "B (5), R (5)" in ran.out
