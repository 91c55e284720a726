"""The time and memory of publishing a market: the demo town, and one of 250,000 parcels."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.benchmarks.test_select import REFRESH_TOWN, WRITE_TOWN, run_apart

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]
PUBLISH = """
import json, resource, time
from flows.publish import publish_market

if __name__ == "__main__":
    begun = time.time()
    night = publish_market("demo", None, "2026-03-01")
    took_s = time.time() - begun
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
    figures = {"sites": night.report.sites, "took_s": took_s, "cpu_s": cpu_s}
    print(json.dumps(figures | night.seconds))
"""


def read_memory_mb(process: int) -> float:
    """Return the memory of a process and its children in MB; 0 once it has ended.

    What several processes share counts once.
    """
    try:
        status = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
        children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own_kb = re.search(r"^Pss:\s+(\d+) kB", status, re.MULTILINE)
    own_mb = int(own_kb[1]) / 1024 if own_kb else 0.0
    return own_mb + sum(read_memory_mb(int(child)) for child in children.split())


def publish_town(folder: Path, parcels: int) -> dict[str, float]:
    """Publish a town and print the figures."""
    files = folder / "files" / "demo"
    files.mkdir(parents=True)
    run_apart(WRITE_TOWN, files, parcels)
    run_apart(REFRESH_TOWN.replace("folder,", 'folder / "files" / "demo",'), folder, parcels)
    script = folder / "publish.py"
    script.write_text(PUBLISH, "utf-8")
    environment = os.environ | {"PADFINDER_VAR": str(folder), "PADFINDER_FILES": str(files.parent)}
    process = subprocess.Popen(
        [sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True
    )
    most_mb = 0.0
    while process.poll() is None:
        most_mb = max(most_mb, read_memory_mb(process.pid))
        time.sleep(0.5)
    assert process.returncode == 0
    figures = json.loads(process.stdout.read().splitlines()[-1]) | {"memory_mb": most_mb}
    steps = ", ".join(f"{name} {value:.1f} s" for name, value in figures.items() if " " in name)
    print(
        f"\n{parcels:,} parcels, {figures['sites']:,} sites: published in "
        f"{figures['took_s']:.0f} s, {figures['cpu_s'] / figures['sites'] * 1000:.1f} ms of CPU a "
        f"site, all processes together {most_mb:,.0f} MB; {steps}"
    )
    return figures


def test_a_site_of_a_large_town_takes_no_longer_than_one_of_the_demo(tmp_path):
    # The first run compiles the kernels, if they are not compiled yet.
    publish_town(tmp_path / "first", 2_000)
    demo = publish_town(tmp_path / "demo", 21_240)
    town = publish_town(tmp_path / "town", 250_000)
    assert town["cpu_s"] / town["sites"] < 1.3 * demo["cpu_s"] / demo["sites"]
    assert town["memory_mb"] < 4_000
