import os
import subprocess
import sys

from geo import compiled
from geo.propagation import ground

COMPILE_ONE = """
import numpy as np
from geo.propagation import ground
ground.middle_zone_db(np.ones(1), np.ones(1), 0.0)
print(sum(ground._fill_middle_zones.stats.cache_hits.values()))
"""


def test_the_next_process_reads_the_machine_code_from_the_cache(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    hits = [
        subprocess.run(
            [sys.executable, "-c", COMPILE_ONE], env=environment, capture_output=True, text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    assert hits == ["0", "1"]


def test_the_key_of_the_cache_has_the_version_of_all_sources():
    closed_over = [cell.cell_contents for cell in ground._fill_middle_zones.py_func.__closure__]
    assert closed_over == [compiled.source_version(("propagation",))]
