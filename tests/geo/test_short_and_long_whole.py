"""Noise checks with and without bounds agree on every demo site. Slow: run with `make long`.

A result that one more machine is too loud rests, at every place tried, on one receptor's level by
the full model; here that level is computed again. A result that n machines meet the limits, with
the governing receptor and its level, rests on bounds for all other receptors; here every receptor
is evaluated. So exhaustive checks cannot give another n or another place.
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
    """Return, for the worst and best case, which sites were sized and how many each carries."""
    everyone = np.ones(len(found.pad_n), dtype=bool)
    unsure = size._has_uncertain_receptors(found.scene.pairs, len(everyone))
    return (True, everyone, found.held_lo), (False, unsure, found.place_hi)


def among(scene, *, worst):
    return scene.receptor_pairs(worst=worst), scene.sound, scene.generator, scene.plan


def differing(scene, best, *, worst):
    """Return the sites whose placements get different levels from exhaustive checks."""
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
        # If the best case allows no more than the worst case, the placement is the worst case's.
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
    """At n + 1, if the ground has room for it, some receptor is over its limit at every place."""
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
            # A home on the site at an assumed distance gets the same level from every place.
            own = ~np.isnan(pairs.own_at_m[tried["site"]])
            wrong += [(worst, int(site)) for site in tried["site"][named][~over]]
            wrong += [(worst, int(site)) for site in tried["site"][~named & ~own]]
            wrong += differing(scene, best, worst=worst)
            places += len(tried)
    assert wrong == []
    assert places > 10_000
