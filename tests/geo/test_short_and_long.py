"""Noise checks that use bounds to skip work agree with exhaustive checks on every site."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from geo.criteria.noise import judge, spots
from geo.sizing import size
from tests.geo.short_and_long import demo_town, go_thorough, sited

PARCELS = 1_000
EVERY = 7  # of the town's sites
CAP = 6  # generators at most: a thorough search of large blocks takes minutes
FEW = 3  # places judged at each, plus as many spread over the rest: exhaustive checks are slow


def described(town, market, plan):
    """Return what each site carries if fuel never limits it, and the governing receptors."""
    found = sited(town, market, plan)
    supply = pd.DataFrame({"fuel_n_lo": [plan.cap] * len(town.sites)})
    supply["fuel_n_hi"] = supply["fuel_n_lo"]
    deployed = size.deploy_fuel(found, supply, plan)
    nothing = np.full(len(town.sites), None, dtype=object)
    facts = size.describe_sites(town.sites, town, found, deployed, nothing, market)
    return pd.concat((deployed, facts), axis=1)


@pytest.fixture(scope="module")
def plan(plan):
    return plan.model_copy(update={"cap": CAP})


@pytest.fixture(scope="module")
def town(tmp_path_factory, market, plan):
    made = demo_town(tmp_path_factory.mktemp("demo"), market, plan, PARCELS)
    return replace(made, sites=made.sites.iloc[::EVERY].reset_index(drop=True))


@pytest.fixture(scope="module")
def both(town, market, plan):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spots, "MOST", FEW)
        patch.setattr(spots, "SPREAD", FEW)
        short = described(town, market, plan)
        go_thorough(patch)
        return short, described(town, market, plan)


def test_they_agree_on_how_many(both):
    short, thorough = both
    for name in ("n_lo", "n_hi", "noise_n", "binding", "placed_n"):
        pd.testing.assert_series_equal(short[name], thorough[name])
    assert short["n_lo"].nunique() > 2


def test_they_agree_on_who_governs(both):
    short, thorough = both
    for name in ("receptor_id", "receptor_class", "governs", "limit_dba", "noise_class"):
        pd.testing.assert_series_equal(short[name], thorough[name])
    assert short["receptor_id"].notna().sum() > 3


def test_they_agree_on_levels_and_margins(both):
    names = [
        "level_dba", "noise_slack_db", "noise_margin_plan_db", "noise_margin_rule_db",
        "level_next_dba", "noise_short_by_db", "one_machine_margin_db", "wall_gain_db",
    ]  # fmt: skip
    short, thorough = (frame[names].to_numpy(dtype=float) for frame in both)
    np.testing.assert_allclose(short, thorough, rtol=0, atol=0.01)


def test_a_bound_that_is_too_low_would_be_seen(town, market, plan, monkeypatch):
    some = replace(town, sites=town.sites.iloc[:12].reset_index(drop=True))
    right = sited(some, market, plan)
    upper = judge.upper_dba
    monkeypatch.setattr(judge, "upper_dba", lambda sound, away: upper(sound, away) - 30)
    wrong = sited(some, market, plan)
    assert not right.alone_worst["margin_db"].equals(wrong.alone_worst["margin_db"])
