"""Cambridge with its real files: all parcels are accounted for, line 1 says what is unknown."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from flows import cli

ROOT = Path(__file__).parents[2]
# `make long` runs the built-in plan, which caps at 25 generators and takes twice as long.
LOW_CAP = 6


@pytest.fixture(
    scope="module", params=["low cap", pytest.param("as it is", marks=pytest.mark.long)]
)
def published(request, cambridge_files, tmp_path_factory):
    """Return the folder that one night of Cambridge published."""
    folder = tmp_path_factory.mktemp("cambridge")
    if request.param == "low cap":
        replace_plan(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PADFINDER_FILES", str(cambridge_files))
        assert cli.main(["nightly", "--market", "cambridge", "--night", "2026-03-31"]) == 0
    return folder / "var/published/cambridge/cambridge"


def replace_plan(folder):
    """Declare a plan with a low cap in place of the market's built-in one, as a user would."""
    plan = (ROOT / "data/markets/cambridge/plans/cambridge.toml").read_text("utf-8")
    assert "cap = 25" in plan
    own = folder / "own/cambridge/plans"
    own.mkdir(parents=True)
    (own / "cambridge.toml").write_text(plan.replace("cap = 25", f"cap = {LOW_CAP}"), "utf-8")
    (folder / "padfinder.toml").write_text('markets = ["own"]\n', "utf-8")


def test_every_parcel_is_accounted_for(published):
    report = json.loads((published / "report.json").read_text("utf-8"))
    assert report["parcels_in"] == 13_116
    assert report["parcels_in"] == report["sites"] + sum(report["set_aside"].values())
    assert len(pd.read_csv(published / "set_aside.csv")) == sum(report["set_aside"].values())
    assert sum(report["counts"]["verdict"].values()) == report["sites"]


def test_capacity_is_not_published_and_the_first_line_says_so(published):
    report = json.loads((published / "report.json").read_text("utf-8"))
    assert "no grid capacity is published here" in report["first_lines"][0].lower()
    rows = pd.read_parquet(published / "ranked.parquet", columns=["load_headroom_kw", "gap_class"])
    assert rows["load_headroom_kw"].isna().all()
    assert set(rows["gap_class"]) == {"unknown"}


def test_no_verdict_holds_nearly_all(published):
    report = json.loads((published / "report.json").read_text("utf-8"))
    assert max(report["counts"]["verdict"].values()) <= 0.8 * report["sites"]


def test_hardly_a_site_is_ordered_by_its_id_alone(published):
    order = ["call", "score", "known_share", "n_lo", "smallest_slack"]
    rows = pd.read_parquet(published / "ranked.parquet", columns=order)
    # Without published capacity and ambient levels, many sites are known equally little.
    assert rows.duplicated(keep=False).mean() <= 0.1


def test_what_the_plan_assumes_stands_on_the_rows_that_rest_on_it(published):
    columns = ["fuel_evidence", "fuel", "assumed", "sentence"]
    rows = pd.read_parquet(published / "ranked.parquet", columns=columns)
    by_sign = rows[(rows["fuel_evidence"] == "sign of a main") & (rows["fuel"] == "natural_gas")]
    assert len(by_sign) > 100
    assert by_sign["assumed"].str.contains("4-inch polyethylene, high pressure").all()
    assert by_sign["sentence"].str.contains("Assumed: ").all()


def test_without_the_folder_of_files_the_message_says_what_to_set(tmp_path, padfinder):
    ran = padfinder(tmp_path, "nightly", "--market", "cambridge")
    assert ran.code == 3
    assert "PADFINDER_FILES" in ran.err


def test_missing_real_file_is_named(cambridge_files, tmp_path, padfinder, monkeypatch):
    """Without the city's zoning file, the message names the file and the source."""
    files = tmp_path / "files"
    files.mkdir()
    for path in cambridge_files.iterdir():
        if path.name != "CDD_ZoningDistricts.geojson":
            shutil.copy(path, files / path.name)
    monkeypatch.setenv("PADFINDER_FILES", str(files))
    ran = padfinder(tmp_path, "nightly", "--market", "cambridge")
    assert ran.code == 3
    assert "CDD_ZoningDistricts.geojson" in ran.err
    assert "cambridge_zoning" in ran.err
    assert not (tmp_path / "var/published").exists()
