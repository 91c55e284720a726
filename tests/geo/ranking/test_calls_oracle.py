from collections import Counter

import pytest

from geo import screen
from geo.model import Ranges
from geo.ranking import rank
from tests.geo.ranking.oracle_calls import find_call
from tests.geo.ranking.test_losing_data import make_mixed_town, put_side_by_side

LOADS = (200.0, 1000.0, 3000.0)


@pytest.mark.parametrize("changes", ["none", "spares", "no ranges", "island"])
def test_every_call_follows_from_the_facts(plain_market, plan, changes):
    plan = {
        "none": plan,
        "spares": plan.model_copy(update={"spares": 1}),
        "no ranges": plan.model_copy(update={"ranges": Ranges()}),
        "island": plan.model_copy(
            update={"call": plan.call.model_copy(update={"parallel": False})}
        ),
    }[changes]
    town = put_side_by_side([make_mixed_town(seed) for seed in range(10, 22)])
    facts = screen.screen_sites(town, plain_market, plan)
    ranking = rank.rank_sites(facts, plan).set_index("site_id").loc[facts["site_id"]]
    counted, wrong = Counter(), []
    for row in facts.drop(columns="geometry").to_dict("records"):
        for load_kw in LOADS:
            expected = find_call(row, plan, load_kw)
            got = ranking.loc[row["site_id"], f"call_{load_kw:g}"]
            counted[expected] += 1
            if got != expected:
                wrong.append((row["site_id"], load_kw, got, expected))
    assert wrong == []
    # Without ranges, nothing is a yes.
    assert min(counted["check first"], counted["no"]) >= 20
    assert (counted["yes"] >= 10) == (changes != "no ranges"), counted
