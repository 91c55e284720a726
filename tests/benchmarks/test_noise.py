"""How fast the sites of a made-up town are sized, and how much work bounds save. Prints figures."""

import resource
import time

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geo.contract.toml import parse_toml
from geo.criteria.noise.sound import make_noise_source
from geo.equipment.selection import plan_generator
from geo.model import Market, Plan, Screening
from geo.sizing import questions, siting
from tests.geo.conftest import CRS, make_sites

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
ACROSS, DEEP = 160, 125  # 20,000 lots of 35 by 45 m
LOT_M = (35.0, 45.0)
# Of so many sites, one is sized; all lots are neighbors.
ONE_IN = 20
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
    sites = make_sites(lots, site_id=ids)
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


def size_some(town, market, plan, monkeypatch):
    """Size some sites of the town; print CPU time, work and memory, and return the work.

    The work is the levels of one machine at one point that were computed (rays), and those that
    would be if the plan's cap of machines were heard once at every receiver point.
    """
    sites, layers = town
    everywhere = shapely.box(-1e5, -1e5, 1e5, 1e5)
    generator, asked = plan_generator(plan), []

    def ask(*given, **named):
        asked.append(questions.ask(*given, **named))
        return asked[-1]

    monkeypatch.setattr(siting, "ask", ask)

    def size(some):
        screening = Screening(some, layers, dict.fromkeys(layers, everywhere))
        return siting.size_sites(some, screening, sound, generator, market, plan)

    sound = make_noise_source(generator, plan, layers["buildings"], None, CRS)
    # Compile the code first, so that the time of compiling is not measured.
    size(sites.iloc[:20])
    asked.clear()
    some = sites.iloc[::ONE_IN].reset_index(drop=True)
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    sized = size(some)
    wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    points = sized.context.points
    every = int((points.end - points.begin).sum()) * (plan.cap - plan.spares)
    rays = sum(found.rays for found in asked)
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{len(some):,} sites, {len(points.begin) / len(some):,.0f} receptors in reach of each: "
        f"{1000 * cpu_s / len(some):.1f} ms of CPU and {rays / len(some):,.0f} rays a site, "
        f"{every / len(some):,.0f} without bounds; {wall_s:.1f} s in all; "
        f"they carry {sized.place_lo.mean():.1f} on average; most memory {most_mb:,.0f} MB"
    )
    assert most_mb < 4000
    assert sized.place_lo.max() <= plan.cap
    return rays, every


def test_sites_under_colorados_night_rule(town, market, plan, monkeypatch):
    rays, every = size_some(town, market, plan, monkeypatch)
    assert 0 < rays < every / 10


def test_sites_under_massachusetts_rule_over_a_quiet_night(town, market, plan, monkeypatch):
    """An ambient level of 30 dB(A) gives a limit of 40 dB(A) at every line, up to 1 km away."""
    quiet = plan.assume.model_copy(update={"ambient_dba": 30.0})
    rays, every = size_some(
        town,
        market.model_copy(update={"noise_rule": "massachusetts"}),
        plan.model_copy(update={"assume": quiet}),
        monkeypatch,
    )
    assert 0 < rays < every / 10
