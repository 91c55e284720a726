"""Parcels of which only the id is known: no use code, no address, no owner."""

import json

import pandas as pd
import pytest

from tests.flows import hamlet

NIGHT = "2026-03-31"
PUBLISHED = "var/published/hamlet/hamlet"


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return a folder with one night of the hamlet with ids and shapes alone."""
    from flows import cli  # noqa: PLC0415 (reads the settings of the folder)

    folder = tmp_path_factory.mktemp("bare")
    hamlet.write(folder)
    source = folder / "own/hamlet/sources/hamlet_parcels.toml"
    text = source.read_text("utf-8")
    text = text.replace('use_code = { column = "use" }', 'use_code = { value = "" }')
    text = text.replace('address = { column = "address" }\n', "")
    text = text.replace('city = { value = "Hamlet" }\n', "")
    source.write_text(text, "utf-8")
    path = folder / "files/hamlet/parcels.geojson"
    document = hamlet.geojson(path)
    for feature in document["features"]:
        feature["properties"] = {"id": feature["properties"]["id"]}
    path.write_text(json.dumps(document), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["check", "--data"]) == 0
        assert cli.main(["nightly", "--market", "hamlet", "--night", NIGHT]) == 0
    return folder


def test_zoning_alone_decides_which_parcels_are_sites(bare):
    report = json.loads((bare / PUBLISHED / "report.json").read_text("utf-8"))
    # The last 5 of the 20 columns of 15 lots are zoned for business.
    assert report["sites"] == 75
    assert report["set_aside"] == {"missing use in a zone that is not for sites": 225}
    rows = pd.read_parquet(bare / PUBLISHED / "ranked.parquet")
    assert set(rows["site_because"]) == {"zoning"}
    assert rows["use_class"].isna().all()


def test_somebody_may_live_on_every_other_lot(bare, finished_hamlet):
    """What is not known never makes a site better than it is with the facts."""
    with_use = pd.read_parquet(finished_hamlet / PUBLISHED / "ranked.parquet").set_index("site_id")
    without = pd.read_parquet(bare / PUBLISHED / "ranked.parquet").set_index("site_id")
    both = with_use.index.intersection(without.index)
    assert len(both) > 20
    assert (without.loc[both, "n_lo"] <= with_use.loc[both, "n_lo"]).all()
    assert not (without["call"] == "yes").any()


def test_sites_go_by_their_id(bare, padfinder):
    listed = pd.read_csv(bare / PUBLISHED / "ranked.csv", dtype=str).astype(str)
    has_id = listed.apply(lambda row: row.str.fullmatch(r"L\d{4}").any(), axis=1)
    assert has_id.all()
    site = pd.read_parquet(bare / PUBLISHED / "ranked.parquet")["site_id"].iloc[0]
    shown = padfinder(bare, "explain", site, "--market", "hamlet")
    assert shown.code == 0
    assert site in shown.out
    assert "nan" not in shown.out.lower().split()
