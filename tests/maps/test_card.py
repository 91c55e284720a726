import re

import numpy as np
import pandas as pd
import pytest

from geo.errors import ContractError
from maps import card
from tests.maps.every import FACTS


def value(row: pd.Series, name: str) -> str:
    return next(one.text for group in card.make_card(row) for one in group.rows if one.name == name)


def with_(ranking, **changed: object) -> pd.Series:
    row = ranking.iloc[12].copy()
    for name, one in changed.items():
        row[name] = one
    return row


def test_every_fact_stands_once_in_catalogue_order_within_its_group(ranking) -> None:
    rows = [one.name for group in card.make_card(ranking.iloc[12]) for one in group.rows]
    assert sorted(rows) == sorted(fact.name for fact in FACTS)
    for group in card.make_card(ranking.iloc[12]):
        assert [one.name for one in group.rows] == [
            fact.name for fact in FACTS if fact.group == group.id
        ]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("receptor_distance_m", 17.5, "57 ft (17.5 m)"),  # 17.5 / 0.3048 = 57.4
        ("pad_length_m", 3.35, "11.0 ft (3.35 m)"),  # 3.35 / 0.3048 = 10.99
        ("lot_area_m2", 1584.0, "17,050 sq ft (1,584 m²)"),  # 1584 / 0.3048^2 = 17050.0
        ("lot_area_m2", 24391.0, "6.03 acres (24,391 m²)"),  # 24391 / 4046.856 = 6.027
        # 502 / 0.45359237 x 0.3048^2 = 102.8
        ("ground_pressure_kg_m2", 502.0, "103 lb per sq ft (502 kg/m²)"),
        ("zone_share", 0.975, "97.5 %"),
        ("score", 71.25, "71.2 of 100"),
        ("n_lo", 1, "1 generator"),
        ("n_hi", 12, "12 generators"),
        ("load_headroom_kw", -1200.0, "-1,200 kW"),
        ("load_headroom_kw", 0.0, "0 kW"),
        ("noise_slack_db", -0.0, "0.0 dB"),
        ("main_diameter_in", 4.0, "4 in"),
        ("storeys", 2.5, "2.5"),
        ("pad_bearing_deg", 34.5, "34.5°"),
        ("access", "reached", "yes"),
        ("access", "no street side", "no: the lot has no street frontage"),
        ("zone_split", True, "yes"),
        ("zone_split", np.bool_(False), "no"),
        ("fuel", "natural_gas", "natural gas"),
        ("binding", "noise", "noise"),
        ("binding", "pad and noise", "space and noise"),
        ("verdict", "fit", "fits at least one generator"),
        ("verdict", "unknown", "undecided: data missing"),
        ("gap_class", "unknown", "not known"),
        ("grid_as_of", pd.Timestamp("2026-03-31"), "2026-03-31"),
        ("load_headroom_kw", np.nan, "not known"),
        ("load_headroom_kw", None, "not known"),
        ("city", None, "not known"),
        ("assumed", None, "nothing"),
    ],
)
def test_a_value_is_said_in_the_readers_words(ranking, name: str, given: object, said: str) -> None:
    assert value(with_(ranking, **{name: given}), name) == said


def test_fuel_is_given_in_its_own_unit(ranking) -> None:
    assert value(with_(ranking, fuel_unit="scfh", fuel_capacity=8525.0), "fuel_capacity") == (
        "8,525.0 scfh"
    )
    assert value(with_(ranking, fuel_unit=None, fuel_capacity=None), "fuel_capacity") == "not known"


def test_nobody_within_reach_is_not_a_missing_fact(ranking) -> None:
    alone = with_(ranking, pad_length_m=9.0, noise_evidence="receptors", receptor_class=None,
                  receptor_distance_m=None, level_dba=None)  # fmt: skip
    assert value(alone, "receptor_distance_m") == "nobody within reach"
    unsure = with_(alone.to_frame().T.reset_index(drop=True).reindex(range(13), method="ffill"),
                   noise_evidence="edge of layer")  # fmt: skip
    assert value(unsure, "receptor_distance_m") == "not known"
    none = with_(ranking, pad_length_m=None, pad_rows=None)
    assert value(none, "pad_rows") == "no pad placed"


def test_missing_is_never_printed_as_a_number(ranking) -> None:
    said = card.format_card_text(ranking.iloc[1])
    assert not re.search(r"\b(nan|NaN|None|NaT|<NA>)\b", said)
    assert value(ranking.iloc[1], "load_headroom_kw") == "not known"


def test_text_names_place_sentence_evidence_and_what_is_not_screened(ranking) -> None:
    said = card.format_card_text(ranking.iloc[12])
    first, second = said.splitlines()[:2]
    assert first == f"{ranking['address'][12]}, Millbrook (2-12/A)"
    assert second.startswith("Rank 13 · call: check first · score ")
    assert ranking["sentence"][12] in said
    assert "Grid (known from: record of the nearest substation (the site may get less))" in said
    assert said.rstrip().endswith("the lease.")


def test_text_holds_nothing_that_a_terminal_obeys(ranking) -> None:
    said = card.format_card_text(with_(ranking, address="\x1b[31mred\x07\nnext\u2028line"))
    assert "\x1b" not in said
    assert "\x07" not in said
    assert said.splitlines()[0] == " [31mred  next line, Millbrook (2-12/A)"


def test_one_row_and_the_whole_ranking_say_the_same(ranking) -> None:
    whole = card.format_facts(ranking)
    for at in (0, 1, 3, 39):
        for group in card.make_card(ranking.iloc[at]):
            for one in group.rows:
                there = whole[one.name][at]
                assert one.text == (card.describe_missing(one.name) if there is None else there)


def test_a_ranking_without_a_fact_is_refused_by_name(ranking) -> None:
    with pytest.raises(ContractError, match="n_lo, sentence"):
        card.make_card(ranking.iloc[0].drop(["n_lo", "sentence"]))


def test_what_tanks_hold_is_in_the_unit_that_the_row_names(ranking) -> None:
    gallons = with_(ranking, storage_capacity=24_000.0, storage_unit="gal")
    assert value(gallons, "storage_capacity") == "24,000 gal"
    feet = with_(ranking, storage_capacity=480_000.0, storage_unit="scf")
    assert value(feet, "storage_capacity") == "480,000 scf"
