"""Trials of declarations: what fits is shown, and every fault is told."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from geopandas.testing import assert_geodataframe_equal

from data.select import select_sites
from data.trial import run_trial
from geo.errors import ContractError, SourceChanged
from geo.model.land_use import Use
from tests.data.conftest import NIGHT

PARCEL = {
    "parcel_id": {"column": "ID"},
    "jurisdiction": {"value": "tiny"},
    "use_scheme": {"value": "s"},
    "use_code": {"column": "USE"},
}

JOIN = {"path": "tax.csv", "key": "KEY", "to": "ID", "columns": {"storeys": {"column": "ST"}}}


@pytest.fixture
def parcels(make_square, make_table, tmp_path):
    """Write twelve lots, and return their source's columns."""
    shapes = [make_square(30 * number, 0) for number in range(12)]
    ids = [f"L{number}" for number in range(12)]
    table = make_table(shapes, ID=ids, USE=["1"] * 10 + ["3", "7"], KIND=["a"] * 11 + ["b"])
    table.to_parquet(tmp_path / "lots.parquet")


@pytest.fixture
def zones(make_square, make_table, tmp_path):
    """Write one zone for business, which holds every lot."""
    zone = make_table([make_square(-10, -10, 1000)], ZONE=["B"])
    zone.to_parquet(tmp_path / "zoning.parquet")


@pytest.fixture
def run(make_market, land_use, tmp_path):
    """Return a function that tries a source on some rows."""

    def run_source(source, rows=1000):
        return run_trial(source, make_market(source.id), tmp_path, land_use, rows)

    return run_source


@pytest.mark.usefixtures("parcels")
def test_a_declaration_that_fits(run, make_source):
    trial = run(make_source("parcels", "lots.parquet", PARCEL))
    assert (trial.rows_read, trial.row_count, trial.faults) == (12, 12, [])
    assert trial.is_whole
    assert trial.unused == ("KIND",)
    assert trial.unclassified == {"7": 1}


@pytest.mark.usefixtures("parcels")
def test_the_first_rows_are_not_held_to_the_number_of_all(run, make_source):
    source = make_source("parcels", "lots.parquet", PARCEL, expect={"rows_min": 12})
    trial = run(source, 5)
    assert (trial.rows_read, trial.row_count, trial.faults) == (5, 12, [])
    assert len(trial.frame) == 5
    few = run(make_source("parcels", "lots.parquet", PARCEL, expect={"rows_min": 13}), 5)
    assert [fault.wrong for fault in few.faults] == ["it has 12 rows, at least 13 expected"]


def test_the_first_rows_may_have_more_than_their_share_of_what_is_allowed(
    run, make_source, make_square, make_table, tmp_path
):
    shapes = [None, None, *(make_square(30 * number, 0) for number in range(18))]
    make_table(shapes, ID=[f"L{n}" for n in range(20)], USE="1").to_parquet(
        tmp_path / "lots.parquet"
    )
    allowed = make_source(
        "parcels", "lots.parquet", PARCEL, expect={"null_geometry_share_max": 0.1}
    )
    assert run(allowed, 4).faults == []
    assert run(allowed).faults == []
    strict = make_source("parcels", "lots.parquet", PARCEL)
    assert "null geometry in 2 of 4 rows" in run(strict, 4).faults[0].wrong


@pytest.mark.usefixtures("parcels")
def test_faults_of_the_table_and_of_the_second_table_are_told_together(run, make_source, tmp_path):
    (tmp_path / "tax.csv").write_text("KEY,FLOOR\nL1,20\nL2,lots\n", "utf-8")
    source = make_source(
        "parcels",
        "lots.parquet",
        PARCEL
        | {"address": {"column": "ADDR"}}
        | {"polygon_kind": {"column": "KIND", "map": {"a": "FEE"}}},
        join=JOIN,
    )
    trial = run(source)
    assert [type(fault) for fault in trial.faults] == [SourceChanged, ContractError, SourceChanged]
    assert "no column 'ADDR'" in trial.faults[0].wrong
    assert "'b' in 1 row" in trial.faults[1].wrong
    assert "no column 'ST'" in trial.faults[2].wrong
    assert "join.columns" not in trial.faults[0].remedy
    # What fits is shown all the same.
    assert list(trial.frame["parcel_id"])[:2] == ["L0", "L1"]


@pytest.mark.usefixtures("parcels")
def test_a_join_that_misses_is_told_with_the_keys(run, make_source, tmp_path):
    (tmp_path / "tax.csv").write_text("KEY,ST\nX1,2\nX2,3\n", "utf-8")
    trial = run(make_source("parcels", "lots.parquet", PARCEL, join=JOIN))
    assert "only 0 of 12 rows found a row of tax.csv" in trial.faults[0].wrong


@pytest.mark.usefixtures("parcels")
def test_another_crs_is_told(run, make_source):
    trial = run(make_source("parcels", "lots.parquet", PARCEL, fetch={"crs": "EPSG:2249"}))
    assert "wrong CRS" in trial.faults[0].wrong
    assert trial.frame is None


def test_a_raster_is_read(run, make_source, tmp_path):
    with rasterio.open(
        tmp_path / "dem.tif", "w", driver="GTiff", width=4, height=3, count=1, dtype="float32",
        crs="EPSG:26986", transform=Affine(10, 0, 232_000, 0, -10, 901_000),
    ) as file:  # fmt: skip
        file.write(np.ones((3, 4), dtype="float32"), 1)
    source = make_source(
        "elevation",
        "dem.tif",
        {"value": {"column": "1", "unit": "m"}},
        fetch={"protocol": "raster"},
    )
    trial = run(source)
    assert (trial.rows_read, trial.faults) == (12, [])


@pytest.mark.usefixtures("parcels", "zones")
def test_an_empty_class_counts_like_a_code_that_is_not_listed(
    zone_source, make_market, make_needs, pull, land_use, make_source, tmp_path
):
    source = make_source("parcels", "lots.parquet", PARCEL)
    market = make_market(source.id, zone_source.id)
    store, _ = pull(tmp_path, market, source, zone_source)
    (table,) = land_use
    without = {code: use for code, use in table.use.items() if code != "1"}
    empty = Use.model_validate({"title": "House", "class": ""})
    assert empty.use_class is None
    unlisted = table.model_copy(update={"use": without})
    unfilled = table.model_copy(update={"use": without | {"1": empty}})
    assert unfilled.list_unfilled() == ("1",)
    first, second = (
        select_sites(store, market, make_needs(), (one,), NIGHT) for one in (unlisted, unfilled)
    )
    assert first.unclassified == second.unclassified == {"1": 10, "7": 1}
    assert first.set_aside == second.set_aside
    assert_geodataframe_equal(first.screening.sites, second.screening.sites)
    # Such a lot is a site only because of its zone.
    assert set(second.screening.sites["site_because"]) == {"use", "zoning"}
