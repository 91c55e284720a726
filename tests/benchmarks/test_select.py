"""The CPU time of each step of a selection and the memory of a refresh, in a large made-up town."""

import datetime as dt
import re
import subprocess
import sys
import time
from functools import wraps
from pathlib import Path

import pytest

from data.select import neighbors, select_sites, selection
from flows import check, settings
from geo import screen
from geo.model import Layer

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
PARCELS = 250_000
NIGHT = dt.date(2026, 3, 1)
STEPS = {
    selection: (
        "create_code_tables",
        "create_parcel_table",
        "create_lot_tables",
        "create_lot_zone_table",
        "create_lot_decision_table",
        "create_site_tables",
        "read_sites",
        "read_set_aside_parcels",
        "read_layers_near_sites",
    ),
    neighbors: ("_read_lots", "_read_receptors", "read_frame"),
}
WRITE_TOWN = "from data.demo import write_town; write_town(folder, parcels)"
REFRESH_TOWN = """
import datetime as dt
from data.pull import refresh_source
from flows import check, settings
run = check.load_run("demo", None, settings.read_settings({}))
store = folder / "store" / "demo.duckdb"
for source in run.sources:
    refresh_source(source, run.market, folder, store, dt.date(2026, 3, 1))
"""


def run_apart(code: str, folder: Path, parcels: int) -> tuple[float, float]:
    """Run code in a process of its own; return its CPU time in s and its most memory in MB."""
    # ru_maxrss of a child includes the memory of its parent, VmHWM does not.
    report = (
        "print(time.process_time())\nprint(Path('/proc/self/status').read_text(encoding='ascii'))"
    )
    begin = f"import time\nfrom pathlib import Path\nfolder, parcels = Path({str(folder)!r}), "
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}{parcels}\n{code}\n{report}"],
        check=True,
        capture_output=True,
        text=True,
    )
    most_kb = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]
    return float(done.stdout.split()[0]), int(most_kb) / 1024


def time_steps(monkeypatch) -> list[str]:
    """Make each step of the selection add a line with its CPU time to the list returned."""
    lines = []

    def timed(step):
        @wraps(step)
        def run(*args, **named):
            begun = time.process_time()
            result = step(*args, **named)
            spent_s = time.process_time() - begun
            rows = f"{len(result):9,} rows" if hasattr(result, "columns") else ""
            layer = next((arg.id for arg in args if isinstance(arg, Layer)), "")
            lines.append(f"    {step.__name__:26s} {spent_s:6.2f} s {rows} {layer}")
            return result

        return run

    for module, names in STEPS.items():
        for name in names:
            monkeypatch.setattr(module, name, timed(getattr(module, name)))
    return lines


def select_town(folder: Path, parcels: int, monkeypatch) -> tuple[float, float]:
    """Print figures of a town; return the CPU time of its selection and the refresh's memory."""
    town_s, _ = run_apart(WRITE_TOWN, folder, parcels)
    refresh_s, refresh_mb = run_apart(REFRESH_TOWN, folder, parcels)
    run = check.load_run("demo", None, settings.read_settings({}))
    needs = screen.list_needs(run.market, run.plan)
    with monkeypatch.context() as patched:
        lines = time_steps(patched)
        begun = time.process_time()
        selected = select_sites(
            folder / "store" / "demo.duckdb", run.market, needs, run.land_use, NIGHT
        )
        select_s = time.process_time() - begun
    sites = len(selected.screening.sites)
    print(
        f"\n{selected.parcels_in:,} parcels, {sites:,} sites: written in {town_s:.1f} s, refreshed "
        f"in {refresh_s:.1f} s and {refresh_mb:,.0f} MB, selected in {select_s:.2f} s of CPU"
    )
    print("\n".join(lines))
    assert selected.parcels_in > 0.9 * parcels
    assert 0 < sites < parcels / 5
    return select_s, refresh_mb


def test_ten_times_the_parcels_take_less_than_fifteen_times_as_long(tmp_path, monkeypatch):
    # The first selection of a process loads the database's extension.
    select_town(tmp_path / "first", 1000, monkeypatch)
    small_s, _ = select_town(tmp_path / "small", PARCELS // 10, monkeypatch)
    large_s, large_mb = select_town(tmp_path / "large", PARCELS, monkeypatch)
    assert large_s < 15 * small_s
    assert large_mb < 1000
