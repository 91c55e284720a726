"""The speed and memory of pulling many parcels from a server, page by page."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
COUNTS = (62_500, 125_000, 250_000)
# The server is a process of its own, so that its memory and time do not count.
SERVE = """
import sys

from tests.servers.arcgis_replay import serving
from tests.servers.arcgis_town import make_layer

with serving(make_layer(rows=int(sys.argv[1]), page=2000)) as layer:
    print(layer.url, flush=True)
    sys.stdin.read()
"""
PULL = """
import datetime as dt
import json
import resource
import sys
import time
from pathlib import Path

from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from data.pull import refresh_source
from data.source import Source
from geo.model import Market

url, folder, is_whole = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "refresh"
columns = {
    "parcel_id": {"column": "PIN"},
    "use_code": {"column": "USE"},
    "building_area_m2": {"column": "FLOOR", "unit": "ft2"},
    "jurisdiction": {"value": "tiny"},
    "use_scheme": {"value": "s"},
}
fetch = {"protocol": "arcgis", "url": url, "crs": "EPSG:26986", "requests_per_s": 1000.0}
source = Source(
    id="lots", layer="parcels", title="Lots", publisher="Tiny", licence="made up",
    attribution="Tiny", redistribute=True, vintage=dt.date(2026, 1, 1),
    fetch=fetch, columns=columns, coverage={"kind": "bounds"},
)
market = Market(
    id="tiny", title="Tiny", crs="EPSG:26986", time_zone="America/New_York", jurisdiction="tiny",
    plan="default", sources=("lots",),
)


def used_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


night, cpu_s, began = dt.date(2026, 3, 1), used_s(), time.perf_counter()
if is_whole:
    rows = refresh_source(source, market, folder, folder / "store" / "tiny.duckdb", night).rows
else:
    with open_connection("lots", requests_per_s=1000.0) as connection:
        PROTOCOLS["arcgis"].pull(connection, source, folder, night)
    rows = None
print(json.dumps({
    "rows": rows,
    "seconds": time.perf_counter() - began,
    "cpu_s": used_s() - cpu_s,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


@contextmanager
def serving(count):
    """Serve so many lots from another process; yield the address."""
    command = [sys.executable, "-c", SERVE, str(count)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(30)


def measure(url, folder, what):
    """Pull in a process of its own; return what it used."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PULL, url, str(folder), what],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_memory_of_a_pull_does_not_grow_with_the_rows(tmp_path):
    peaks = {}
    for count in COUNTS:
        with serving(count) as url:
            used = measure(url, tmp_path / f"pull{count}", "pull")
        peaks[count] = used["peak_mb"]
        print(
            f"\n{count:,} parcels pulled: {count / used['seconds']:,.0f} rows/s, "
            f"{used['cpu_s']:.1f} s of CPU ({1e6 * used['cpu_s'] / count:.0f} us a row), "
            f"peak {used['peak_mb']:.0f} MB"
        )
    assert peaks[COUNTS[-1]] < 1000
    # A million rows more would need 4 times as much.
    assert peaks[COUNTS[-1]] - peaks[COUNTS[0]] < 60


def test_a_quarter_of_a_million_parcels_are_refreshed(tmp_path):
    count = COUNTS[-1]
    with serving(count) as url:
        used = measure(url, tmp_path / "refresh", "refresh")
    print(
        f"\n{count:,} parcels refreshed: {used['seconds']:.0f} s, {used['cpu_s']:.0f} s of CPU, "
        f"peak {used['peak_mb']:.0f} MB"
    )
    assert used["rows"] == count
    assert used["peak_mb"] < 1000
