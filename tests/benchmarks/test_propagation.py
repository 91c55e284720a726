"""Speed and memory of the noise model. Prints figures; asserts only what is true on any machine."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import shapely
import shapely.affinity

from geo.propagation.air import air_absorption_db_m
from geo.propagation.edition import ISO_1996
from geo.propagation.levels import attenuation_db
from geo.propagation.scene import build_scene

pytestmark = pytest.mark.benchmark
AIR = air_absorption_db_m(10, 70)
SIDE_M, BUILDINGS, FAR_M = 1000.0, 2000, 300.0


def town():
    """Return 2,000 buildings with 4 to 8 walls in a square kilometer, on a street grid."""
    rng = np.random.default_rng(1)
    across = int(np.sqrt(BUILDINGS))
    step = SIDE_M / across
    solids = []
    for x, y in np.ndindex(across, across):
        width, depth = rng.uniform(6, 15, 2)
        block = shapely.box(0, 0, width, depth)
        if (x + y) % 2:
            block = block.difference(shapely.box(width / 2, depth / 2, width, depth))
        turned = shapely.affinity.rotate(block, rng.uniform(0, 10))
        solids.append(shapely.affinity.translate(turned, x * step + 2, y * step + 2))
    return np.array(solids), rng.uniform(4, 12, len(solids))


def pairs(count, solids):
    """Return pairs of points up to 300 m apart, all outside buildings."""
    rng = np.random.default_rng(2)
    tree = shapely.STRtree(solids)

    def outside(xy):
        clear = np.ones(len(xy), dtype=bool)
        clear[tree.query(shapely.points(xy), predicate="within")[0]] = False
        return clear

    source = rng.uniform(0, SIDE_M, (3 * count, 2))
    turn, away = rng.uniform(0, 2 * np.pi, 3 * count), rng.uniform(5, FAR_M, 3 * count)
    receiver = source + away[:, None] * np.column_stack((np.cos(turn), np.sin(turn)))
    both = np.flatnonzero(outside(source) & outside(receiver))[:count]
    height = np.full(len(both), 1.5)
    return np.column_stack((source[both], height)), np.column_stack((receiver[both], height + 2.5))


def timed(source, receiver, where):
    begun = time.perf_counter()
    attenuation_db(source, receiver, where, AIR, ISO_1996)
    return time.perf_counter() - begun


def test_speed_and_memory():
    # The peak memory so far comes from other benchmarks, so reset it in the operating system.
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    solids, heights = town()
    source, receiver = pairs(100_000, solids)
    begun = time.perf_counter()
    built = build_scene(solids, heights)
    print(f"\nscene of {len(solids)} buildings: {time.perf_counter() - begun:.2f} s")
    timed(source[:1000], receiver[:1000], built)
    screened_s = timed(source, receiver, built)
    print(f"in a town: {screened_s / len(source) * 1e6:.1f} us a pair")
    ten = np.tile(source, (10, 1)), np.tile(receiver, (10, 1))
    flat_s = timed(*ten, build_scene())
    print(f"flat: {len(ten[0]) / flat_s / 1e6:.2f} million pairs a second")
    status = Path("/proc/self/status").read_text("ascii")
    most_mb = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    print(f"most memory of the process meanwhile: {most_mb:.0f} MB")
    assert flat_s / len(ten[0]) < screened_s / len(source)
    assert most_mb < 1000


def test_the_kernel_beats_plain_shapely():
    """Compare only the path over the top by shapely with the whole computation by the kernel."""
    solids, heights = town()
    source, receiver = pairs(2000, solids)
    built = build_scene(solids, heights)
    timed(source, receiver, built)
    ours = min(timed(source, receiver, built) for _ in range(3))
    tree = shapely.STRtree(solids)
    begun = time.perf_counter()
    for a, b in zip(source[:200], receiver[:200], strict=True):
        line = shapely.LineString([a[:2], b[:2]])
        met = solids[tree.query(line)]
        shapely.get_coordinates(shapely.intersection(met, line))
    plain = (time.perf_counter() - begun) * len(source) / 200
    print(f"\nplain shapely, cutting alone: {plain / ours:.1f} times the kernel's whole work")
    assert plain > ours
