import csv
import io
import json
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest

from geo.errors import ContractError
from maps import export
from tests.maps.every import FACTS

READER = [
    "Rank", "Call", "Address", "City", "Current use", "Lot sq ft", "Building sq ft",
    "Fits (generators)", "Fits (MW)", "Grid shortfall (MW)", "Covers shortfall", "Best fuel",
    "What limits it", "How to fit more", "Summary", "What to check first", "Data complete",
    "Rank stability (%)", "Assessor ID", "Map link", "Latitude", "Longitude",
]  # fmt: skip
COLUMNS = READER + [fact.name for fact in FACTS]
FILES = ("ranked.csv", "ranked.gpkg", "ranked.parquet", "ranked.xlsx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, ranking, report) -> Path:
    made = tmp_path_factory.mktemp("lists")
    export.write_files(ranking, report, made)
    return made


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[list[str]]:
    text = (folder / "ranked.csv").read_bytes().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.fixture(scope="module")
def book(folder: Path) -> openpyxl.Workbook:
    return openpyxl.load_workbook(folder / "ranked.xlsx")


def test_the_facts_begin_with_verdict_and_score() -> None:
    assert COLUMNS[len(READER) : len(READER) + 2] == ["verdict", "score"]


def test_same_ranking_gives_the_same_bytes(folder: Path, tmp_path: Path, ranking, report) -> None:
    time.sleep(1.1)
    export.write_files(ranking.copy(), report, tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_writing_twice_into_one_folder_replaces(tmp_path: Path, ranking, report, folder) -> None:
    for _ in range(2):
        export.write_files(ranking, report, tmp_path)
    assert (tmp_path / "ranked.gpkg").read_bytes() == (folder / "ranked.gpkg").read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == list(FILES)


def test_csv_is_rfc_4180_with_a_mark_for_excel(folder: Path, rows) -> None:
    raw = (folder / "ranked.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == len(rows) == 1 + 40
    assert rows[0] == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}


def test_csv_runs_no_formula(rows, ranking) -> None:
    address = COLUMNS.index("Address")
    for at, text in enumerate(ranking["address"][:11]):
        said = rows[1 + at][address]
        known = isinstance(text, str)
        if known and text[0] in "=+-@":
            assert said == f"'{text}"
        else:
            assert said == (text if known else "not known")
    texts = [i for i, name in enumerate(COLUMNS) if name in {"use_title", "grid_source"}]
    assert all(row[i][:1] not in {"=", "+", "-", "@"} for row in rows[1:] for i in texts)
    # A negative number is a number and keeps its sign.
    assert float(rows[1][COLUMNS.index("load_headroom_kw")]) == ranking["load_headroom_kw"][0] < 0


def test_a_missing_fact_is_empty_and_a_missing_word_is_not_known(rows, ranking) -> None:
    row = dict(zip(COLUMNS, rows[2], strict=True))  # site 1 lacks every fact that can be missing
    assert row["Grid shortfall (MW)"] == row["City"] == row["Building sq ft"] == "not known"
    assert row["load_headroom_kw"] == row["city"] == row["score_grid"] == ""
    assert not any(cell in {"nan", "NaN", "None", "<NA>"} for one in rows for cell in one)
    assert int(ranking["load_headroom_kw"].isna().sum()) == sum(
        one[COLUMNS.index("load_headroom_kw")] == "" for one in rows[1:]
    )


def test_a_range_is_a_text_and_a_certainty_a_number(ranking) -> None:
    changed = ranking.iloc[:4].copy()
    changed["n_lo"], changed["n_hi"] = [6, 0, 0, 2], [6, 12, 0, 25]
    changed["power_lo_kw"] = changed["n_lo"] * 200.0
    changed["power_hi_kw"] = changed["n_hi"] * 200.0
    changed["load_headroom_kw"] = [200.0, 200.0, np.nan, 1500.0]
    changed["shortfall_lo_kw"] = [800.0, 800.0, 0.0, 0.0]
    changed["shortfall_hi_kw"] = [800.0, 1000.0, 1000.0, 0.0]
    said = export.make_reader_columns(changed)
    assert said["Fits (generators)"].tolist() == [6, "0 to 12", 0, "2 to 25"]
    assert said["Fits (MW)"].tolist() == [1.2, "0 to 2.4", 0.0, "0.4 to 5"]
    assert said["Grid shortfall (MW)"].tolist() == [0.8, "0.8 to 1", "not known", 0.0]


def test_reader_columns_are_in_order_and_link_to_the_map(ranking) -> None:
    said = export.make_reader_columns(ranking, "night.html")
    assert list(said.columns) == READER
    assert said["Map link"][12] == "night.html#2-12%2FA"
    assert said["Lot sq ft"][0] == 17050  # 36 m x 44 m / 0.3048^2 = 17 050.0
    assert said["Best fuel"][0] == "natural gas"


def test_excel_holds_numbers_text_and_no_formula(book, ranking) -> None:
    sheet = book["Ranked sites"]
    table = list(sheet.iter_rows())
    assert [cell.value for cell in table[0]] == COLUMNS
    assert len(table) == 1 + len(ranking)
    assert not [cell for row in table for cell in row if cell.data_type == "f"]
    address = COLUMNS.index("Address")
    assert table[8][address].value == ranking["address"][7]
    assert table[1][COLUMNS.index("Rank")].value == 1
    assert table[2][COLUMNS.index("Grid shortfall (MW)")].value == "not known"
    assert table[2][COLUMNS.index("load_headroom_kw")].value is None
    assert sheet.freeze_panes == "D2"
    assert sheet.auto_filter.ref.startswith("A1:")
    link = table[13][COLUMNS.index("Map link")]
    assert link.hyperlink.target.startswith("map.html")


def test_excel_says_what_it_is(book, report) -> None:
    said = [[cell for cell in row if cell is not None]
            for row in book["About"].iter_rows(values_only=True)]  # fmt: skip
    flat = [str(cell) for row in said for cell in row]
    assert list(report.first_lines) == [row[0] for row in said[1:4]]
    assert all(one in flat for one in (*report.assumptions, *report.estimates))
    assert ["Parcels in", 400] in said
    assert ["Set aside: residential use", 355] in said
    assert report.run_id in flat
    assert ["Parcels", "shrunk", "2026-03-30", 1300, "no age limit declared"] in [
        row[:5] for row in said
    ]
    assert any("2 invalid rings repaired" in text for text in flat)
    assert book.properties.created.year == 2000


def test_geoparquet_reads_back(folder: Path, ranking) -> None:
    back = gpd.read_parquet(folder / "ranked.parquet")
    assert list(back.columns[: len(COLUMNS)]) == COLUMNS
    assert back["rank"].tolist() == ranking["rank"].tolist()
    assert back.crs == ranking.crs
    assert back.geometry.geom_equals(ranking.geometry).all()
    assert back["machines"].isna().tolist() == ranking["machines"].isna().tolist()
    pd.testing.assert_series_equal(
        back["load_headroom_kw"].astype(float), ranking["load_headroom_kw"].astype(float).round(0)
    )
    assert back["zone_split"].dtype == bool or back["zone_split"].dropna().isin([True, False]).all()


def test_geoparquet_is_1_1_with_a_covering(folder: Path) -> None:
    about = json.loads(pq.read_schema(folder / "ranked.parquet").metadata[b"geo"])
    assert about["version"] == "1.1.0"
    assert about["primary_column"] == "geometry"
    assert about["columns"]["geometry"]["encoding"] == "WKB"
    assert about["columns"]["geometry"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]


def test_geopackage_holds_sites_machines_and_blocks(folder: Path, ranking) -> None:
    path = folder / "ranked.gpkg"
    shapes = {"block", "machines", "gear", "storage"}
    assert {name for name, _ in pyogrio.list_layers(path)} == {"sites", *shapes}
    back = gpd.read_file(path, layer="sites")
    clash = {"rank", "call", "address", "city"}
    assert list(back.columns) == [n for n in COLUMNS if n not in clash] + ["geometry"]
    assert len(back) == len(ranking)
    assert back.crs == ranking.crs
    assert np.allclose(back.geometry.area, ranking.geometry.area)
    machines = gpd.read_file(path, layer="machines")
    assert machines["Rank"].tolist() == ranking["rank"][ranking["machines"].notna()].tolist()


def test_an_empty_ranking_is_written_too(tmp_path: Path, ranking, report) -> None:
    export.write_files(ranking.iloc[:0], report, tmp_path)
    assert len((tmp_path / "ranked.csv").read_bytes().splitlines()) == 1
    assert len(gpd.read_parquet(tmp_path / "ranked.parquet")) == 0


def test_a_ranking_without_a_fact_is_refused_by_name(tmp_path: Path, ranking, report) -> None:
    with pytest.raises(ContractError, match="score_grid"):
        export.write_files(gpd.GeoDataFrame(ranking.drop(columns="score_grid")), report, tmp_path)
    assert not list(tmp_path.iterdir())
