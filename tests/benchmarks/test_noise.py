"""How fast a market's receptors are evaluated, and how much work bounds save. Prints figures."""

import resource
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geo.contract.toml import parse_toml
from geo.criteria.noise import judge, spots
from geo.criteria.noise.receptors import find_receptors
from geo.criteria.noise.sound import make_noise_source
from geo.equipment.block import list_layouts
from geo.equipment.selection import plan_generator
from geo.model import Market, Plan

pytestmark = pytest.mark.benchmark
CRS = "EPSG:26986"
ACROSS, DEEP = 160, 125  # 20,000 lots of 35 by 45 m
LOT_M = (35.0, 45.0)
USES = ("home", "commercial", "industrial")


@pytest.fixture(scope="module")
def root(request):
    return request.config.rootpath


@pytest.fixture(scope="module")
def plan(root):
    text = (root / "flows/plans/default.toml").read_text("utf-8")
    return parse_toml(Plan, text, "flows/plans/default.toml")


@pytest.fixture(scope="module")
def market(root):
    text = (root / "data/markets/demo/market.toml").read_text("utf-8")
    return parse_toml(Market, text, "data/markets/demo/market.toml")


@pytest.fixture(scope="module")
def town():
    """Return 20,000 lots, each a site and a neighbor, most with a building 4 to 12 m high."""
    rng = np.random.default_rng(7)
    column, row = np.divmod(np.arange(ACROSS * DEEP), DEEP)
    # There is a street of 14 m after every second row of lots and every tenth column.
    x = column * LOT_M[0] + 14.0 * (column // 10)
    y = row * LOT_M[1] + 14.0 * (row // 2)
    lots = shapely.box(x, y, x + LOT_M[0], y + LOT_M[1])
    ids = [f"L{number:05d}" for number in range(len(lots))]
    kind = np.array(USES)[(column // 20 + row // 20) % 3]
    sites = gpd.GeoDataFrame(
        {"site_id": ids, "use_class": "commercial", "own_dwelling": False}, geometry=lots, crs=CRS
    )
    receptors = gpd.GeoDataFrame(
        {"receptor_id": ids, "receptor_class": kind, "name": None, "site_id": ids},
        geometry=lots,
        crs=CRS,
    )
    built = rng.random(len(lots)) < 0.85
    wide, deep = rng.uniform(8, 22, len(lots)), rng.uniform(8, 20, len(lots))
    left, low = x + rng.uniform(2, 10, len(lots)), y + rng.uniform(4, 18, len(lots))
    buildings = gpd.GeoDataFrame(
        {"height_m": rng.uniform(4, 12, len(lots))[built]},
        geometry=shapely.box(left, low, left + wide, low + deep)[built],
        crs=CRS,
    )
    return sites, {"receptors": receptors, "buildings": buildings}


def judged(sites, layers, market, plan):
    """Judge 1 machine and the plan's cap at each site's quietest spot; print time and memory."""
    generator = plan_generator(plan)
    everywhere = {"receptors": shapely.box(-1e5, -1e5, 1e5, 1e5)}
    shapes = np.asarray(sites.geometry.array)
    begun = time.perf_counter()
    sound = make_noise_source(generator, plan, layers["buildings"], None, CRS)
    pairs = find_receptors(sites, layers, everywhere, None, sound, market, plan)
    found_s = time.perf_counter() - begun
    exposed = spots.measure_exposure(pairs, shapes, sound)
    quiet = spots.find_quiet_spots(shapes, exposed)
    first = np.unique(quiet.site, return_index=True)[1]
    spotted_s = time.perf_counter() - begun
    done = []
    for count in (1, plan.cap):
        block = list_layouts(count, generator, plan)[0]
        placed = pd.DataFrame(
            {
                "site": quiet.site[first], "x": quiet.x[first], "y": quiet.y[first], "degrees": 0.0,
                "rows": block.rows, "columns": block.columns, "length_m": block.length_m,
                "width_m": block.width_m, "count": count,
            }
        )  # fmt: skip
        begun_s = time.perf_counter()
        found = judge.judge_placements(placed, pairs, sound, generator, plan)
        done.append(time.perf_counter() - begun_s)
        assert np.isfinite(found["level_dba"]).all()
        print(
            f"\n{count} machines at each: {len(pairs.site):,} candidate pairs in {done[-1]:.1f} s, "
            f"{1e6 * done[-1] / len(pairs.site):.2f} us for each"
        )
    total_s = time.perf_counter() - begun
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(sites):,} sites: who hears them {found_s:.1f} s, where it is quiet "
        f"{spotted_s - found_s:.1f} s, levels {total_s - spotted_s:.1f} s, in all {total_s:.1f} s; "
        f"most memory {most_mb:,.0f} MB"
    )
    return len(pairs.site), done, most_mb


def test_twenty_thousand_sites_under_colorados_night_rule(town, market, plan):
    pairs, done, most_mb = judged(*town, market, plan)
    assert pairs >= 2_000_000
    # Bounds settle most pairs: 25 machines at each site cost less than 25 times one machine.
    assert done[1] < 25 * done[0]
    assert most_mb < 4000


def test_every_tenth_site_under_massachusetts_rule_over_a_quiet_night(town, market, plan):
    """An ambient level of 30 dB(A) gives a limit of 40 dB(A) at every line, up to 1 km away."""
    sites, layers = town
    quiet = plan.assume.model_copy(update={"ambient_dba": 30.0})
    _, done, most_mb = judged(
        sites.iloc[::10].reset_index(drop=True),
        layers,
        market.model_copy(update={"noise_rule": "massachusetts"}),
        plan.model_copy(update={"assume": quiet}),
    )
    assert done[1] < 25 * done[0]
    assert most_mb < 4000
