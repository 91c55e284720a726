"""Batches are screened in processes of their own."""

import errno
import os
import tempfile

import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal

from flows import declarations, workers
from geo import batches
from geo.errors import ConfigError, PadfinderError
from geo.screen import screen_sites
from tests import built_in
from tests.geo.conftest import make_town


@pytest.fixture(scope="module")
def town():
    """Return six lots in two rows, with homes beside them, the demo market and its plan."""
    lots = [shapely.box(x, y, x + 40, y + 40) for y in (0, 300) for x in (0, 100, 200)]
    homes = [shapely.box(x, y, x + 20, y + 20) for y in (60, 370) for x in (0, 100, 200)]
    where = built_in.workspace()
    market = declarations.load_market("demo", where)
    return make_town(lots, homes=homes), market, declarations.load_plan("default", where)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(batches, "SITES_MOST", 3)


@pytest.mark.usefixtures("small_batches")
def test_two_processes_find_the_same_as_one(town):
    alone = screen_sites(*town)
    assert alone["one_machine_margin_db"].nunique() > 1
    assert_geodataframe_equal(workers.screen_side_by_side(*town, workers=1), alone)
    assert_geodataframe_equal(workers.screen_side_by_side(*town, workers=2), alone)


def end_without_answer(_batch):
    os._exit(1)


@pytest.mark.usefixtures("small_batches")
def test_a_process_that_ends_is_an_error_with_a_remedy(town, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(workers, "_screen_in_worker", end_without_answer)
    with pytest.raises(ConfigError, match="without an answer") as caught:
        workers.screen_side_by_side(*town, workers=2)
    assert "`workers`" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_batches")
def test_a_full_disk_is_an_error_that_names_the_folder(town, monkeypatch, tmp_path):
    def fail(_value, _folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(workers, "write_mapped", fail)
    with pytest.raises(ConfigError, match="No space left on device") as caught:
        workers.screen_side_by_side(*town, workers=2)
    assert str(tmp_path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def fail_on_a_value(_batch):
    raise PadfinderError("screening a batch", "a value is wrong", "mend it")


@pytest.mark.usefixtures("small_batches")
def test_an_error_in_a_process_reaches_the_reader(town, monkeypatch):
    monkeypatch.setattr(workers, "_screen_in_worker", fail_on_a_value)
    with pytest.raises(PadfinderError, match="a value is wrong"):
        workers.screen_side_by_side(*town, workers=2)
