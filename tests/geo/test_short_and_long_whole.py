"""The short and the long way agree on every site of the demo town. Takes long: `make long`.

That one more is too loud rests, at every place tried, on somebody's level by the full model: here
it is worked out again. That n holds, and who governs how loudly, rests on bounds for all others:
here everybody is looked at. So neither n nor the place can be another by the long way.
"""

import numpy as np
import pandas as pd
import pytest

from geo.criteria.noise import judge
from geo.sizing import placement, size
from tests.geo.short_and_long import demo_town, sited

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
CHUNK = 100  # sites in one go, so that memory stays small
JUDGED = ["level_dba", "margin_db", "margin_plan_db", "margin_rule_db"]


@pytest.fixture(scope="module")
def town(tmp_path_factory, market, plan):
    return demo_town(tmp_path_factory.mktemp("demo"), market, plan)


@pytest.fixture(scope="module")
def found(town, market, plan):
    return sited(town, market, plan)


def chunks(sites):
    return [sites[start : start + CHUNK] for start in range(0, len(sites), CHUNK)]


def answers(found):
    """Return per case (at worst, at best) which sites were asked, and how many each carries."""
    everyone = np.ones(len(found.pad_n), dtype=bool)
    unsure = size._has_uncertain_receptors(found.scene.pairs, len(everyone))
    return (True, everyone, found.held_lo), (False, unsure, found.place_hi)


def among(scene, *, worst):
    return scene.receptor_pairs(worst=worst), scene.sound, scene.generator, scene.plan


def differing(scene, best, *, worst):
    """Return the sites whose placements the long way hears otherwise."""
    running = placement.drop_spares(best, scene.plan)
    long = judge.judge_placements(running, *among(scene, worst=worst), thorough=True)
    same = (best["receptor"] == long["receptor"]).to_numpy(copy=True)
    for name in JUDGED:
        one, other = (table[name].to_numpy(dtype=float) for table in (best, long))
        same &= np.isclose(one, other, rtol=0, atol=0.01, equal_nan=True)
    return best["site"].to_numpy()[~same].tolist()


def test_what_stands_holds_and_is_heard_as_loud_by_the_same(found):
    """At n: who governs, and the level to 0.01 dB."""
    wrong, looked = [], 0
    for worst, asked, n in answers(found):
        # What is no more at best than at worst has its place from there.
        stands = asked & (n > (0 if worst else found.held_lo))
        for sites in chunks(np.flatnonzero(stands)):
            best = placement.find_best_place(found.scene, sites, n[sites], worst=worst)
            assert best["site"].tolist() == sites.tolist()
            assert (best["margin_db"] >= 0).all()
            wrong += differing(found.scene, best, worst=worst)
            looked += len(best)
    assert wrong == []
    assert looked > 1000


def test_one_more_is_too_loud_wherever_it_was_tried(found):
    """At n + 1, where the ground has room for it: somebody is over their limit, at every place."""
    scene, wrong, places = found.scene, [], 0
    for worst, asked, n in answers(found):
        pairs = scene.receptor_pairs(worst=worst)
        for sites in chunks(np.flatnonzero(asked & (n < found.pad_n))):
            best = placement.find_best_place(scene, sites, n[sites] + 1, worst=worst)
            tried = placement._list_candidates(scene, sites, n[sites] + 1, worst=worst)
            tried = pd.concat([tried, best[tried.columns.drop("query")]], ignore_index=True)
            running = placement.drop_spares(tried, scene.plan)
            holds, who = judge.meets_limits(running, *among(scene, worst=worst))
            assert not holds.any()
            named = who >= 0
            level = judge.level_at_receptor(running[named], who[named], *among(scene, worst=worst))
            over = level > pairs.column("limit_dba", who[named])
            # Whoever lives on the site at an assumed distance hears every place alike.
            own = ~np.isnan(pairs.own_at_m[tried["site"]])
            wrong += [(worst, int(site)) for site in tried["site"][named][~over]]
            wrong += [(worst, int(site)) for site in tried["site"][~named & ~own]]
            wrong += differing(scene, best, worst=worst)
            places += len(tried)
    assert wrong == []
    assert places > 10_000
