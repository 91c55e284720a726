"""Small towns, sized: what ground, neighbors and fuel allow on each lot."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.affinity import rotate

from geo.criteria.noise.sound import make_noise_source
from geo.sizing.deployment import deploy_fuel
from geo.sizing.description import describe_sites
from geo.sizing.siting import size_sites
from tests.geo.conftest import BARE_MACHINE, CRS

GX230 = BARE_MACHINE
# A lot of 46 by 46 m leaves 40 by 40 m inside 3 m setbacks, room for any 25. The distance d of a
# home's lot decides how many machines may run: at one spot, n = floor((d / 7)^2).
LOT = shapely.box(0, 0, 46, 46)


def home_at(meters):
    return shapely.box(46 + meters, 0, 66 + meters, 46)


@pytest.fixture
def sized(plain_market):
    return partial(size_in, plain_market)


@pytest.fixture
def described(plain_market):
    """Describe a town that was sized, in a market without a rule unless another is given."""

    def describe(some, found, got, market=plain_market):
        no_tanks = np.full(len(some.sites), None, dtype=object)
        return describe_sites(some.sites, some, found, got, no_tanks, market)

    return describe


def size_in(market, town_, plan, fuel_lo=25, fuel_hi=None):
    """Size a town whose fuel runs `fuel_lo` to `fuel_hi` machines at every site."""
    loud = make_noise_source(GX230, plan, town_.layers.get("buildings"), None, CRS)
    found = size_sites(town_.sites, town_, loud, GX230, market, plan)
    count = len(town_.sites)
    supply = pd.DataFrame(
        {
            "fuel_n_lo": np.broadcast_to(fuel_lo, count).copy(),
            "fuel_n_hi": np.broadcast_to(fuel_lo if fuel_hi is None else fuel_hi, count).copy(),
        }
    )
    return found, deploy_fuel(found, supply, plan)


def crowd(count, seed):
    """Return lots of many shapes in a row, each with a shed and a home somewhere near."""
    draw = np.random.default_rng(seed)
    lots, sheds, homes = [], [], []
    for number in range(count):
        x, width, height = 150.0 * number, *draw.uniform(9, 45, 2)
        lot = shapely.box(x, 0, x + width, height)
        if draw.random() < 0.4:
            lot = lot.difference(shapely.box(x + width / 2, height / 2, x + width, height))
        turn = draw.uniform(0, 90)
        lots.append(rotate(lot, turn, origin=(x, 0)))
        shed_x, shed_y = x + draw.uniform(0, width), draw.uniform(0, height)
        shed = shapely.box(
            shed_x, shed_y, shed_x + draw.uniform(2, 12), shed_y + draw.uniform(2, 12)
        )
        sheds.append(rotate(shed, turn, origin=(x, 0)))
        away = draw.uniform(0, 40)
        home = shapely.box(x + width + away, -5, x + width + away + 15, 15)
        homes.append(rotate(home, turn, origin=(x, 0)))
    return lots, homes, sheds
