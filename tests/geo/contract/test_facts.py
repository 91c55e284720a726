import pytest
import shapely

from geo import catalogue, screen
from geo.contract.facts import check_facts
from geo.errors import ContractError
from geo.ranking import rank

LOT = shapely.box(0, 0, 40, 40)
PUBLISHED = [fact.name for fact in catalogue.read_facts() if fact.per is None]


def test_every_fact_is_a_published_column():
    check_facts([*PUBLISHED, "n_lo_on_propane", "gap_at_1000_kw", "geometry"], "t", published=True)


def test_a_misspelled_column_is_named():
    with pytest.raises(ContractError, match=r"columns \['headroom_lo_kv'\] are not declared"):
        check_facts(["site_id", "headroom_lo_kv"], "screened sites", published=False)


def test_a_missing_fact_is_named():
    without = [name for name in PUBLISHED if name != "grid_evidence"]
    with pytest.raises(ContractError, match=r"facts \['grid_evidence'\] are missing"):
        check_facts(without, "the ranking", published=True)


def test_a_working_column_is_not_published():
    check_facts(["headroom_lo_kw"], "screened sites", published=False)
    with pytest.raises(ContractError, match="headroom_lo_kw"):
        check_facts([*PUBLISHED, "headroom_lo_kw"], "the ranking", published=True)


def test_screening_fails_on_a_column_that_is_not_declared(town, plain_market, plan, monkeypatch):
    estimate_costs = screen.estimate_costs

    def add_typo(*arguments):
        return estimate_costs(*arguments).assign(upgrade_yeers=1.0)

    monkeypatch.setattr(screen, "estimate_costs", add_typo)
    with pytest.raises(ContractError, match="upgrade_yeers"):
        screen.screen_sites(town([LOT]), plain_market, plan)


def test_the_ranking_has_every_fact(town, plain_market, plan):
    ranking = rank.rank_sites(screen.screen_sites(town([LOT]), plain_market, plan), plan)
    assert set(PUBLISHED) - set(ranking.columns) == {"run_id", "plan_digest", "vintage"}
