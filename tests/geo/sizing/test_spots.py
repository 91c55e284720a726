"""What the search reads of the transfer table: points for machines, and the spots near them."""

from typing import NamedTuple

import numpy as np
import pytest

from geo.compiled import called
from geo.sizing.kernel.arrays import NEAR_SPOTS, SPOTS_MOST
from geo.sizing.kernel.spots import find_near_spots, list_spots_around
from geo.sizing.search_arrays import PARTS, arrange_blocks
from tests.geo.criteria.noise.conftest import GX230


@pytest.mark.parametrize("spares", [0, 3])
def test_points_stand_for_all_running_machines(plan, spares):
    blocks, rows = arrange_blocks(GX230, plan.model_copy(update={"spares": spares}))
    sizes = []
    for layout in range(len(rows)):
        machine = blocks.machine[slice(*blocks.machine_from[layout : layout + 2])]
        which = slice(*blocks.point_from[layout : layout + 2])
        point, many = blocks.point[which], blocks.machines[which]
        assert many.sum() == len(machine)
        assert len(point) <= PARTS**2
        if len(machine):
            np.testing.assert_allclose(many @ point / many.sum(), machine.mean(axis=0), atol=1e-9)
        sizes.append(len(machine) - len(point))
    # Large blocks have fewer points than machines, and one machine is at its own point.
    assert max(sizes) > 10
    assert min(sizes) == 0


class Table(NamedTuple):
    spot: np.ndarray
    spots: np.ndarray


class Bench(NamedTuple):
    around: np.ndarray
    away2: np.ndarray
    near: np.ndarray
    weight: np.ndarray


@called
def find_near(
    table: Table, bench: Bench, circle: tuple[float, float, float], at: np.ndarray
) -> int:
    held = list_spots_around(table, bench, 0, circle)
    for k in range(len(at)):
        find_near_spots(table, bench, 0, held, k, at[k, 0], at[k, 1])
    return held


@pytest.mark.parametrize("spots", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("radius_m", [0.0, 2.0, 30.0])
def test_the_nearest_spots_are_those_of_all(spots, radius_m):
    rng = np.random.default_rng(spots)
    table = Table(rng.uniform(0, 50, (1, SPOTS_MOST, 2)), np.array([spots]))
    count = 20
    bench = Bench(
        np.zeros(SPOTS_MOST, dtype=np.int64),
        np.zeros(SPOTS_MOST),
        np.zeros((count, NEAR_SPOTS), dtype=np.int64),
        np.zeros((count, NEAR_SPOTS)),
    )
    middle, turn = rng.uniform(0, 50, 2), rng.uniform(0, 2 * np.pi, count)
    # Some of the points are on the circle itself.
    away = radius_m * np.minimum(rng.uniform(0, 1.5, count), 1.0)
    at = middle + np.column_stack((away * np.cos(turn), away * np.sin(turn)))
    held = find_near(table, bench, (*middle, radius_m), at)
    for k in range(count):
        away2 = ((table.spot[0, :spots] - at[k]) ** 2).sum(axis=1)
        nearest = np.argsort(away2)[:NEAR_SPOTS]
        share = 1 / (away2[nearest] + 0.01)
        assert bench.near[k, : len(nearest)].tolist() == nearest.tolist()
        expected = np.zeros(NEAR_SPOTS)
        expected[: len(nearest)] = share / share.sum() if spots else []
        np.testing.assert_allclose(bench.weight[k], expected, rtol=1e-9)
    # Far from most spots, only a few are looked at.
    assert held == spots if spots <= NEAR_SPOTS or radius_m == 30 else held < spots
