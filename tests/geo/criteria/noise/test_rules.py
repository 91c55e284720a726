from typing import get_args

import numpy as np
import pytest
import shapely

from geo import catalogue
from geo.criteria.noise import rules
from geo.errors import ConfigError
from geo.model import VACANT_CLASSES, NoiseLimit, NoiseRule, ReceptorClass
from tests.geo.criteria.noise.conftest import heard, receptors, under


def made_up(monkeypatch, *limits, **rule):
    """Put a rule `made_up` into the catalogue."""
    known = catalogue.read_noise_rules()
    given = {"title": "Made up", "protects": "use", "position": "line", "source": "nobody"} | rule
    one = NoiseRule(limits=limits, **given)
    both = known.model_copy(update={"rule": known.rule | {"made_up": one}})
    monkeypatch.setattr(catalogue, "read_noise_rules", lambda: both)


def test_the_plans_own_limit_holds_first_and_always(market, plan):
    for rule in (None, *catalogue.read_noise_rules().rule):
        first, *others = rules.list_limits(under(market, rule), plan)
        assert (first.most_dba, first.by_rule, first.emits) == (69, False, ())
        # A lot of unknown use may be a home.
        assert first.classes == (*plan.noise.receptors, "unknown")
        assert all(one.by_rule for one in others)
        assert bool(others) == (rule is not None)


def test_colorados_night_governs_a_site_that_runs_round_the_clock(market, plan):
    # Day and night: 55 and 50 for homes, 60 and 55 for business, 70 and 65 for industry.
    _, home, business, industry = rules.list_limits(under(market, "colorado"), plan)
    assert [one.most_dba for one in (home, business, industry)] == [50, 55, 65]
    assert {"home", "school", "park", "hotel"} <= set(home.classes)
    assert business.classes == ("commercial", "vacant_commercial")
    assert industry.classes == ("industrial", "vacant_industrial")
    assert all(one.emits == () for one in (home, business, industry))


def test_new_jersey_limits_whatever_the_lot_was_since_a_generator_makes_it_a_facility(market, plan):
    _, home = rules.list_limits(under(market, "new_jersey"), plan)
    assert home.most_dba == 50
    assert home.emits == ()


def test_a_day_night_level_is_less_a_steady_sound(market, plan):
    # The nine hours of night count ten times: 10 lg((15 + 9 x 10) / 24) = 6.41 dB.
    _, home = rules.list_limits(under(market, "hud"), plan)
    assert home.most_dba == pytest.approx(65 - 10 * np.log10(105 / 24))
    assert home.most_dba == pytest.approx(58.59, abs=0.005)


def test_massachusetts_is_ten_above_the_ambient_but_never_below_the_quietest_night(market, plan):
    _, home, *_ = rules.list_limits(under(market, "massachusetts"), plan)
    ambient = np.array([42.0, 25.0, np.nan])
    assert home.at_ambient_dba(ambient, 30.0)[:2].tolist() == [42 + 10, 30 + 10]
    assert np.isnan(home.at_ambient_dba(ambient, 30.0)[2])
    assert home.lowest_dba(30.0) == 40


def test_where_both_stand_each_is_a_limit_so_that_the_lower_decides(market, plan, monkeypatch):
    both = NoiseLimit(receives="residential", night_dba=45, above_ambient_db=5)
    made_up(monkeypatch, both)
    _, absolute, relative = rules.list_limits(under(market, "made_up"), plan)
    ambient = np.array([32.0, 60.0, np.nan])
    # 32 + 5 is lower than 45, 60 + 5 is not. Where the ambient level is unknown, 45 still applies.
    assert absolute.at_ambient_dba(ambient, 30.0).tolist() == [45, 45, 45]
    assert relative.at_ambient_dba(ambient, 30.0)[:2].tolist() == [37, 65]
    assert np.isnan(relative.at_ambient_dba(ambient, 30.0)[2])
    assert (absolute.lowest_dba(30.0), relative.lowest_dba(30.0)) == (45, 35)


def test_a_limit_by_who_makes_the_noise_and_who_hears_it(town, market, plan, monkeypatch):
    # Limits by class of the emitter and class of the receiver, as in Connecticut's rule.
    matrix = {
        ("industrial", "residential"): (61, 51), ("industrial", "commercial"): (66, 66),
        ("commercial", "residential"): (55, 45), ("commercial", "commercial"): (62, 62),
    }  # fmt: skip
    made_up(
        monkeypatch,
        *(
            NoiseLimit(receives=to, emits=(of,), day_dba=day, night_dba=night)
            for (of, to), (day, night) in matrix.items()
        ),
    )
    works, shop = shapely.box(0, 0, 40, 40), shapely.box(60, 0, 100, 40)
    home, office = shapely.box(0, 50, 100, 80), shapely.box(0, -40, 100, -10)
    given = town([works, shop], use_class=["industrial", "commercial"])
    given.layers["receptors"] = receptors([home, office], ["home", "commercial"])
    who, _ = heard(given, under(market, "made_up"), plan)
    ruled = who.column("by_rule")
    found = {
        (int(site), name): limit
        for site, name, limit in zip(
            who.site[ruled],
            who.column("receptor_class")[ruled],
            who.column("limit_dba")[ruled],
            strict=True,
        )
    }
    assert found == {
        (0, "home"): 51, (0, "commercial"): 66, (1, "home"): 45, (1, "commercial"): 62,
    }  # fmt: skip


def test_every_shipped_table_is_cited_and_limits_a_class_that_somebody_is(market, plan):
    known = catalogue.read_noise_rules()
    assert {"colorado", "massachusetts", "new_jersey", "hud", "plain"} <= set(known.rule)
    for name, rule in known.rule.items():
        assert len(rule.source) > 10, name
        assert rule.limits, name
        for limit in rules.list_limits(under(market, name), plan):
            assert limit.classes, name


def test_only_a_rule_by_zone_protects_vacant_land(market, plan):
    by_zone = {name for name, rule in catalogue.read_noise_rules().rule.items()
               if rule.protects == "zone"}  # fmt: skip
    assert by_zone == {"colorado"}
    for name in (None, *catalogue.read_noise_rules().rule):
        asked = set(rules.protected_receptors(under(market, name), plan))
        found = asked & set(VACANT_CLASSES)
        assert found == (set(VACANT_CLASSES) if name in by_zone else set()), name


def test_vacant_land_has_the_limit_of_its_zone_and_never_the_plans(market, plan):
    own, *ruled = rules.list_limits(under(market, "colorado"), plan)
    assert not set(own.classes) & set(VACANT_CLASSES)
    limits = {kind: one.most_dba for one in ruled for kind in one.classes}
    assert {kind: limits[kind] for kind in VACANT_CLASSES} == {
        "vacant_residential": 50,
        "vacant_commercial": 55,
        "vacant_industrial": 65,
        "vacant_unknown": 50,
    }


def test_the_same_rule_by_use_leaves_vacant_land_out(market, plan, monkeypatch):
    home = NoiseLimit(receives="residential", night_dba=50)
    for protects, found in (("use", set()), ("zone", {"vacant_residential", "vacant_unknown"})):
        with monkeypatch.context() as patch:
            made_up(patch, home, protects=protects)
            _, limit = rules.list_limits(under(market, "made_up"), plan)
            assert set(limit.classes) & set(VACANT_CLASSES) == found


def test_vacant_land_of_unclear_zone_counts_in_the_worst_case_only(town, market, plan):
    land = [shapely.box(x, 50, x + 20, 80) for x in (0, 25, 50, 75)]
    given = town([shapely.box(0, 0, 100, 40)])
    given.layers["receptors"] = receptors(land, list(VACANT_CLASSES))
    who, _ = heard(given, under(market, "colorado"), plan)
    # The plan's own limit does not protect vacant land.
    assert who.column("by_rule").all()
    found = zip(
        who.column("receptor_class"), who.column("limit_dba"), who.column("certain"), strict=True
    )
    assert {kind: (limit, bool(certain)) for kind, limit, certain in found} == {
        "vacant_residential": (50, True),
        "vacant_commercial": (55, True),
        "vacant_industrial": (65, True),
        "vacant_unknown": (50, False),
    }
    assert "vacant_unknown" not in who.take(who.column("certain")).column("receptor_class")
    # The same land beside the same site, under a rule by use.
    by_use, _ = heard(given, under(market, "new_jersey"), plan)
    assert len(by_use.site) == 0


def test_a_vacant_site_is_not_its_own_receptor(town, market, plan):
    lot, beside = shapely.box(0, 0, 40, 40), shapely.box(50, 0, 90, 40)
    given = town([lot])
    site = given.sites["site_id"].iloc[0]
    given.layers["receptors"] = receptors(
        [lot, beside], ["vacant_residential"] * 2, site_id=[site, None]
    )
    who, _ = heard(given, under(market, "colorado"), plan)
    assert who.column("receptor_id").tolist() == ["R1"]


def test_a_rule_that_the_catalogue_does_not_know_is_refused(market, plan):
    with pytest.raises(ConfigError, match="'atlantis' is not in the catalogue") as caught:
        rules.list_limits(under(market, "atlantis"), plan)
    assert "colorado" in str(caught.value)


def test_who_is_asked_for_is_whoever_some_limit_protects(market, plan):
    assert rules.protected_receptors(under(market, None), plan) == (
        *plan.noise.receptors,
        "unknown",
    )
    asked = rules.protected_receptors(under(market, "colorado"), plan)
    assert set(asked) == set(get_args(ReceptorClass))
    assert len(set(asked)) == len(asked)
