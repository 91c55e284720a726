"""The short and the long way agree on every site of the demo town. Takes long: `make long`."""

import numpy as np
import pytest

from geo import placing, size
from tests.geo.short_and_long import demo_town, go_thorough, sited

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
CHUNK = 40  # sites in one go, so that memory stays small


@pytest.fixture(scope="module")
def town(tmp_path_factory, market, plan):
    return demo_town(tmp_path_factory.mktemp("demo"), market, plan)


@pytest.fixture(scope="module")
def found(town, market, plan):
    return sited(town, market, plan)


def chunks(sites):
    return [sites[start : start + CHUNK] for start in range(0, len(sites), CHUNK)]


def thoroughly(scene, sites, count, *, worst):
    with pytest.MonkeyPatch.context() as patch:
        go_thorough(patch)
        return placing.best_place(scene, sites, count, worst=worst)


def answers(found):
    """Return per case (at worst, at best) the sites that were sized so, and how many they carry."""
    heard = found.scene.heard
    sized = (found.pad_lo == found.pad_n) & ~heard.own_unknown
    unsure = size._unsure(heard, len(sized))
    return (True, sized, found.place_lo), (False, unsure, found.place_hi)


def test_what_stands_holds_and_is_heard_as_loud_by_the_same(found):
    """At n, whose best place the long way finds too: who governs, and the level to 0.01 dB."""
    wrong, looked = [], 0
    for worst, sized, n in answers(found):
        names = ["x", "y", "degrees", "hearer", "rows"]
        for sites in chunks(np.flatnonzero(sized & (n > 0))):
            short = placing.best_place(found.scene, sites, n[sites], worst=worst)
            long = thoroughly(found.scene, sites, n[sites], worst=worst)
            assert len(short) == len(long) == len(sites)
            same = (short[names] == long[names]).all(axis=1).to_numpy(copy=True)
            for name in ("level_dba", "margin_db", "margin_plan_db", "margin_rule_db"):
                one, other = (table[name].to_numpy(dtype=float) for table in (short, long))
                same &= np.isclose(one, other, rtol=0, atol=0.01, equal_nan=True)
            same &= long["margin_db"].to_numpy() >= 0
            wrong += [(worst, int(site)) for site in sites[~same]]
            looked += len(sites)
    assert wrong == []
    assert looked > 100


def test_one_more_holds_nowhere(found):
    """At n + 1, where the ground has room for it, every place judged is too loud for somebody."""
    wrong, looked = [], 0
    for worst, sized, n in answers(found):
        for sites in chunks(np.flatnonzero(sized & (n < found.pad_n))):
            long = thoroughly(found.scene, sites, n[sites] + 1, worst=worst)
            holds = sites[long.index[long["margin_db"] >= 0]]
            wrong += [(worst, int(site), int(n[site])) for site in holds]
            looked += len(long)
    assert wrong == []
    assert looked > 1000
