"""The time to cut the ground of many lots, and find the largest block that fits."""

import resource
import time

import numpy as np
import pytest
import shapely

from flows import declarations, settings
from geo.criteria.pad import room
from geo.criteria.pad.ground import cut_buildable_ground
from geo.equipment.selection import plan_generator
from geo.model import Screening
from tests.benchmarks.lots import made_lots
from tests.geo.conftest import make_layer, make_sites
from tests.geo.criteria.pad.conftest import even

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
SITES = 20_000
VERTICES = 40


def test_twenty_thousand_lots_with_buildings():
    plan = even(declarations.load_plan("default", settings.read_settings({})), 3.0)
    lots, buildings = made_lots(SITES)
    area = shapely.box(-1e6, -1e6, 1e7, 1e7)
    given = Screening(
        make_sites(lots), {"buildings": make_layer(buildings, height_m=5.0)}, {"buildings": area}
    )
    generator = plan_generator(plan)
    # Compile the code first, so that the time of compiling is not measured.
    few = Screening(given.sites.iloc[:50], given.layers, given.coverage)
    room.max_machines_that_fit(cut_buildable_ground(few.sites, few, plan), generator, plan)

    begun = time.perf_counter()
    ground = cut_buildable_ground(given.sites, given, plan)
    cut_s = time.perf_counter() - begun
    lower, upper = room._bounds(ground, generator, plan)
    bound_s = time.perf_counter() - begun
    most, _ = room.max_machines_that_fit(ground, generator, plan)
    found_s = time.perf_counter() - begun
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    corners = shapely.get_num_coordinates(ground.shapes)
    turns = np.diff(ground.turns_from)
    counted = {n: int((most == n).sum()) for n in (0, 1, 5, 10, 25)}
    print(
        f"\n{SITES:,} lots, {len(buildings):,} buildings, {corners.mean():.1f} vertices of ground "
        f"and {2 * turns.mean():.0f} turns on average; carry {counted}"
        f"\nbounds answer {(lower == upper).mean():.0%}; bound above what fits "
        f"{(upper > most).mean():.0%}"
        f"\nground {cut_s:.1f} s, bounds {bound_s - cut_s:.1f} s, most {found_s - bound_s:.1f} s, "
        f"in all {found_s:.1f} s; most memory {most_mb:,.0f} MB"
    )
    assert corners.mean() >= VERTICES
    assert most_mb < 3000
