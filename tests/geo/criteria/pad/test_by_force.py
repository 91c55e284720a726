"""Brute force, at every degree and decimeter, finds no more machines than the search.

A few sites are checked here, and 500 sites of two towns in `make long`.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from data import pull, select
from data.demo import recipe
from flows import declarations, settings
from geo.criteria.pad import room
from geo.criteria.pad.ground import cut_buildable_ground
from geo.equipment import block
from geo.equipment.selection import plan_generator
from geo.screen import list_needs
from tests.built_in import read_land_use
from tests.geo.force import fits_by_force
from tests.geo.oracle_towns import NIGHT, demo_town

SEED, FEW, MANY = 20261121, 100, 250
SMALL_PARCELS = 2_000
# The bound that the issue sets, as a share of all sites checked.
MISSED_SHARE = 0.005
FILES = Path(__file__).parents[5] / "shared/realdata/cambridge-ma"


def make_demo(folder, parcels):
    where = settings.read_settings({})
    market, plan = declarations.load_market("demo", where), declarations.load_plan("default", where)
    return demo_town(folder, market, plan, parcels), plan


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("small_demo"), SMALL_PARCELS)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("demo"), recipe.PARCELS)


@pytest.fixture(scope="module")
def cambridge(tmp_path_factory):
    where, store = (
        settings.read_settings({}),
        tmp_path_factory.mktemp("cambridge") / "cambridge.duckdb",
    )
    market, plan = (
        declarations.load_market("cambridge", where),
        declarations.load_plan("cambridge", where),
    )
    for source_id in market.sources:
        pull.refresh_source(declarations.load_source(source_id, where), market, FILES, store, NIGHT)
    chosen = select.select_sites(store, market, list_needs(market, plan), read_land_use(), NIGHT)
    return chosen.screening, plan


def missed(given, plan, count):
    """Check `count` sites and return those on which force fits one more machine than the search."""
    generator = plan_generator(plan)
    ground = cut_buildable_ground(given.sites, given, plan)
    most, upper = room.max_machines_that_fit(ground, generator, plan)
    # Sites at the cap or at the upper bound cannot hold more, so only the others are checked.
    some = np.sort(np.random.default_rng(SEED).choice(len(most), count, replace=False))
    found = []
    for site in some[most[some] < upper[some]]:
        sizes = [
            (one.length_m, one.width_m)
            for one in block.list_layouts(int(most[site]) + 1, generator, plan)
        ]
        fit = fits_by_force(ground.shapes[site], sizes)
        if fit is not None:
            found.append((given.sites["site_id"].iloc[site], int(most[site]), fit))
    # On a bare parcel, the recorded floor area limits the room, and the force search ignores it.
    return len(some), int((most[some] < upper[some]).sum()), found


def test_force_finds_no_more_on_a_few_sites_of_the_demo_town(small_demo):
    looked, hard, found = missed(*small_demo, FEW)
    assert looked == FEW
    assert hard >= 3
    assert len(found) <= 1, (hard, found)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not FILES.is_dir() and "CI" not in os.environ, reason="no files of Cambridge")
def test_force_seldom_finds_more_on_five_hundred_sites(demo, cambridge, capsys):
    every = [missed(*demo, MANY), missed(*cambridge, MANY)]
    for name, (looked, hard, found) in zip(("demo", "cambridge"), every, strict=True):
        with capsys.disabled():
            print(f"\n{name}: {looked} sites, {hard} not settled by bounds; more on {found}")  # noqa: T201 (the figures are asked for)
    found = [one for _, _, some in every for one in some]
    assert len(found) <= MISSED_SHARE * 2 * MANY, found
