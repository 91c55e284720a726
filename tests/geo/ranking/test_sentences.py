import numpy as np
import pytest

from geo.model import VACANT_CLASSES
from geo.ranking.sentences import (
    describe_levers,
    describe_limit,
    format_ordinal,
    format_power,
    write_sentence,
)

ROW = {
    "n_lo": 6, "n_hi": 6, "fuel_title": "natural gas", "binding": "noise", "binding_set": "noise",
    "level_next_dba": 69.5, "noise_short_by_db": 0.5, "ambient_needed_dba": np.nan,
    "alone_class": "home", "receptor_class": "home", "receptor_distance_m": 17.5,
    "receptor_direction": "north-east", "next_receptor_class": "home",
    "next_receptor_distance_m": 17.5, "next_receptor_direction": "north-east",
    "noise_evidence": "receptors", "noise_unsure": False,
    "noise_n": 6, "margin_worst_db": 8.0, "pad_lo": 25, "pad_n": 25, "pad_evidence": "buildings",
    "pad_short_by_m": np.nan, "ground_area_m2": 900.0, "ground_takers": "setbacks, buildings",
    "open_area_m2": np.nan,
    "fuel_n_lo": 10, "fuel_n_hi": 10, "fuel_evidence": "main", "fuel_capacity": 20050.0,
    "fuel_unit": "scfh", "main_diameter_in": 4.0, "main_pressure_class": "high",
    "main_distance_m": 12.3, "storage_capacity": np.nan, "access": "reached", "lift_lever": None,
    "lift_n": np.nan,
    "headroom_check": "no second answer", "load_headroom_kw": 200.0, "second_headroom_kw": np.nan,
    "second_evidence": None, "plant_name": None, "plant_status": None,
    "fuel_id": "natural_gas", "fuel_route": "main",
    "grid_old": False, "grid_as_of": "2026-01-31", "grid_utility": "Valley Electric",
    "gap_class": "short", "grid_evidence": "feeder", "shortfall_lo_kw": 800.0,
    "shortfall_hi_kw": 800.0, "needed_lo": 4, "needed_hi": 4, "assumed": None,
    "other_n_lo": 10, "other_n_hi": 10, "other_evidence": "main", "other_title": "natural gas",
}  # fmt: skip


def say(plan, **changes):
    row = ROW | changes
    power = {"power_lo_kw": 200.0 * row["n_lo"], "power_hi_kw": 200.0 * row["n_hi"]}
    return write_sentence(row | power, plan)


def test_a_noise_bound_site_reads_as_the_house_asks(plan):
    assert say(plan) == (
        "Fits 6 generators (1.2 MW) on natural gas; a 7th would reach 69.5 dB(A) at a home 57 ft "
        "northeast, 0.5 dB over its limit. Grid shortfall for 1 MW: 800 kW; 4 generators needed."
    )


def test_fuel_pad_cap_and_several(plan):
    fuel = say(plan, n_lo=10, n_hi=10, binding="fuel", binding_set="fuel")
    assert (
        "an 11th would need more fuel: the 4-inch high-pressure main 40 ft away can spare 20,050"
        in fuel
    )
    pad = say(plan, binding="pad", binding_set="pad", pad_short_by_m=0.4, pad_lo=6, pad_n=6)
    assert (
        "there is no space for a 7th: 1.3 ft too little is left after setbacks and buildings" in pad
    )
    # There is room for 25, but not where the noise limits would let them run.
    near = say(plan, binding="pad", binding_set="pad")
    assert "there is no space for a 7th: the open ground is too close to neighbors" in near
    cap = say(plan, n_lo=25, n_hi=25, binding="cap", binding_set="cap")
    assert cap.startswith("Fits 25 generators (5 MW) on natural gas; capped at 25 by the plan.")
    several = say(
        plan,
        n_lo=0,
        n_hi=0,
        binding="several",
        binding_set="pad and fuel",
        ground_area_m2=0.0,
        ground_takers="steep ground, setbacks, buildings",
        pad_lo=0,
        pad_n=0,
        fuel_evidence="no main",
        fuel_n_lo=0,
        fuel_n_hi=0,
    )
    assert several.startswith(
        "Fits no generators (space: no ground is left after steep ground, setbacks and buildings; "
        "fuel: no gas main within reach)."
    )


def test_one_machine_too_loud_anywhere_names_who_hears_it(plan):
    none = {"n_lo": 0, "n_hi": 0, "noise_n": 0, "margin_worst_db": -3.21}
    assert say(plan, **none).startswith(
        "Fits no generators (noise: one generator is 3.2 dB too loud at a home, anywhere on the "
        "lot)."
    )
    park = say(plan, **none, alone_class="park")
    assert "too loud at a park" in park


def test_a_business_and_the_edge_are_named_as_a_reader_would(plan):
    near = say(plan, next_receptor_class="commercial", next_receptor_direction="west")
    assert "at a business 57 ft west" in near
    edge = say(plan, next_receptor_class="edge of layer", next_receptor_direction=None)
    assert "at the edge of the map 57 ft away, 0.5 dB over its limit" in edge


def test_vacant_land_is_named_as_a_reader_would(plan):
    land = say(plan, next_receptor_class="vacant_residential")
    assert "at vacant residential land 57 ft" in land
    for kind in VACANT_CLASSES:
        assert "nearest neighbor" not in say(plan, next_receptor_class=kind)
    unclear = ROW | {"n_lo": 0, "n_hi": 6, "noise_evidence": "use unknown", "noise_unsure": True}
    assert describe_levers(unclear, plan) == (
        "Find out whether anyone lives, or could live, on nearby lots with no recorded use or "
        "unclear zoning: up to 6 generators"
    )


def test_an_ambient_level_that_nobody_knows_says_what_would_do(plan):
    row = ROW | {
        "n_lo": 0, "n_hi": 6, "noise_evidence": "ambient unknown", "noise_unsure": True,
        "ambient_needed_dba": 41.6,
    }  # fmt: skip
    lift = describe_levers(row, plan)
    assert lift == (
        "Find out how loud the nights already are, which sets the local limit "
        "(42 dB(A) would allow one generator): up to 6 generators"
    )
    assert describe_limit(row, plan).startswith("Noise: we don't know how loud the nights")


def test_what_is_not_known_is_named(plan):
    text = say(
        plan,
        n_lo=0,
        n_hi=12,
        fuel_n_lo=0,
        fuel_n_hi=25,
        fuel_evidence="main of unknown size",
        binding="fuel",
        binding_set="fuel",
    )
    assert text.startswith(
        "Fits up to 12 generators (2.4 MW) on natural gas, or none: we don't know the size or "
        "pressure of the gas main."
    )
    lift = describe_levers(
        ROW
        | {
            "n_lo": 0,
            "n_hi": 12,
            "fuel_n_lo": 0,
            "fuel_n_hi": 25,
            "fuel_evidence": "main of unknown size",
        },
        plan,
    )
    assert lift == "Find out the size or pressure of the gas main: up to 12 generators"


def test_the_gap_is_said_as_it_is_known(plan):
    bound = say(
        plan,
        grid_evidence="substation",
        shortfall_lo_kw=50.0,
        shortfall_hi_kw=1000.0,
        needed_lo=1,
        needed_hi=5,
    )
    assert bound.endswith("Grid shortfall for 1 MW: at least 50 kW; 1 to 5 generators needed.")
    assert say(plan, gap_class="covered").endswith("The grid can already supply 1 MW.")
    nothing = say(plan, shortfall_lo_kw=1000.0, shortfall_hi_kw=1000.0, needed_lo=5, needed_hi=5)
    assert nothing.endswith("No grid capacity for 1 MW; 5 generators needed.")
    silent = say(plan, gap_class="unknown", grid_evidence="unpublished")
    assert silent.endswith("We don't know what the grid can supply here; the target is 1 MW.")


def test_nobody_reads_the_codes_words(plan):
    for text in (say(plan), say(plan, binding="fuel", binding_set="fuel"), say(plan, n_lo=0)):
        for word in ("deployable", "binding", "bracket", "ramp", "nan", "n_lo", "_kw"):
            assert word not in text


@pytest.mark.parametrize(
    ("number", "place"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
    ],
)
def test_ordinals(number, place):
    assert format_ordinal(number) == place


def test_powers_are_said_in_the_unit_that_reads():
    assert [format_power(kw) for kw in (50, 800, 1000, 1200, 5000)] == [
        "50 kW", "800 kW", "1 MW", "1.2 MW", "5 MW",
    ]  # fmt: skip


def test_another_fuel_is_worth_finding_out_only_where_it_is_not_known(plan):
    tank = {"other_title": "propane", "other_evidence": "storage", "other_n_hi": 14}
    assert describe_levers(ROW | tank | {"other_n_lo": 14}, plan) is None
    found = describe_levers(ROW | tank | {"other_n_lo": 0}, plan)
    assert found == (
        "Find out whether buildings leave room for the tank: up to 14 generators on propane"
    )
    more = ROW | tank | {"other_n_lo": 0, "lift_lever": "half_main", "lift_n": 20}
    assert (
        describe_levers(more, plan)
        == "Have the gas utility confirm half of the main's capacity: 20 generators"
    )


def test_a_lot_without_a_way_from_the_street_says_so(plan):
    assert "Access from the street to the pad is blocked." in say(plan, access="blocked")
    assert "The lot has no street frontage." in say(plan, access="no street side")
    assert "street" not in say(plan, access="reached")


def test_tanks_that_limit_are_counted(plan):
    given = {"binding": "fuel", "binding_set": "fuel", "fuel_evidence": "storage", "n_lo": 14,
             "n_hi": 14, "fuel_title": "propane", "storage_unit": "gal"}  # fmt: skip
    one = say(plan, storage_count=1.0, storage_capacity=30_000.0, **given)
    assert "no more than one tank of 30,000 gal fits beside the generators" in one
    two = say(plan, storage_count=2.0, storage_capacity=24_000.0, **given)
    assert "no more than 2 tanks of 12,000 gal fit beside the generators" in two
    assert "no propane tank fits" in say(plan, **given)


def test_two_sources_that_contradict_each_other_are_both_named(plan):
    said = say(
        plan, headroom_check="contradict", second_evidence="grid cell", second_headroom_kw=3000.0
    )
    assert said.endswith(
        "Two sources contradict each other: 200 kW spare by the feeder's record, 3,000 kW by the "
        "grid cell's record."
    )


@pytest.mark.parametrize(
    ("as_of", "utility", "age", "whom"),
    [
        ("2023-06-30", "Valley Electric", "as of 2023-06-30", "Valley Electric"),
        (None, None, "without a date", "the utility"),
    ],
)
def test_an_old_record_sends_the_reader_to_the_utility(plan, as_of, utility, age, whom):
    text = say(plan, gap_class="unknown", grid_old=True, grid_as_of=as_of, grid_utility=utility)
    assert text.endswith(
        f"The grid had 200 kW by the feeder's record ({age}), which is too old to rely on: ask "
        f"{whom} for the current figure. The target is 1 MW."
    )
