"""Batches are screened in processes of their own."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def wait_long(_batch):
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    time.sleep(60)


WAITING = """
import signal
from flows import cli, workers
from tests.flows import test_workers

# A process in the background of a shell is started so that it ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
workers._screen_in_worker = test_workers.wait_long
cli._end_in_order()
if __name__ == "__main__":
    list(workers._screen_all(2, iter([1, 2]), lambda: [1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists processes in /proc")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_workers_end_with_the_process_that_started_them(tmp_path, number, code):
    script = tmp_path / "waiting.py"
    script.write_text(WAITING, "utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as first:
        started = [int(first.stdout.readline()) for _ in range(2)]
        first.send_signal(number)
        assert first.wait(20) == code
        until = time.monotonic() + 20
        while any(is_alive(process) for process in started) and time.monotonic() < until:
            time.sleep(0.05)
        assert not [process for process in started if is_alive(process)]
    assert list(temporary.iterdir()) == []


def is_alive(process):
    """Return whether a process is there and has not ended."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
