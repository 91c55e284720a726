import itertools
from typing import get_args

import pytest
from pydantic import ValidationError

from geo import catalogue
from geo.contract.units import UNITS, unit_factor
from geo.errors import ConfigError
from geo.model import VACANT_CLASSES, NoiseRule, NoiseRules, ReceptorClass, ZoneClass
from tests.built_in import read_land_use


def test_every_row_names_its_source():
    rows = [
        *catalogue.read_generators().values(),
        *catalogue.read_fuels().values(),
        *read_land_use(),
    ]
    rows += [*catalogue.read_spectra().values(), *catalogue.read_noise_rules().rule.values()]
    rows += [tank for fuel in catalogue.read_fuels().values() for tank in fuel.containers]
    rows += [machine.gear for machine in catalogue.read_generators().values()]
    rows += [*catalogue.read_separations().values()]
    pipes = catalogue.read_pipes()
    rows += [*pipes.material.values(), *pipes.pressure.values(), *catalogue.read_plants().values()]
    assert all(len(row.source) > 20 for row in rows)


def test_units_end_the_names_of_columns_and_are_known():
    endings = {"m": "_m", "m2": "_m2", "kW": "_kw", "MVA": "_mva", "kV": "_kv", "in": "_in"}
    for layer in catalogue.read_layers().values():
        for name, column in layer.columns.items():
            if column.unit is not None:
                assert column.unit in UNITS, (layer.id, name)
            if column.unit in endings:
                assert name.endswith(endings[column.unit]), (layer.id, name)


def test_facts_are_named_once_and_say_how_they_are_rounded():
    facts = catalogue.read_facts()
    assert len({fact.name for fact in facts}) == len(facts)
    for fact in facts:
        if fact.unit in {"m", "m2", "kW", "dB", "dB(A)", "share", "of 1", "of 100"}:
            assert fact.decimals is not None, fact.name


def test_the_machine_stands_on_fifteen_square_feet():
    machine = catalogue.read_generators()["gx230"]
    area_ft2 = machine.length_m * machine.width_m * unit_factor("m2", "ft2")
    assert area_ft2 == pytest.approx(15)


@pytest.mark.parametrize(
    ("volts", "feet"), [(120, (3, 3, 3)), (150, (3, 3, 3)), (277, (3, 3.5, 4)), (600, (3, 3.5, 4))]
)
def test_working_space_before_live_parts(volts, feet):
    # NEC 110.26(A)(1): 480Y/277 V is in the row from 151 to 600 V to ground.
    depths = [catalogue.working_space_m(volts, condition) for condition in (1, 2, 3)]
    assert depths == pytest.approx([one * 0.3048 for one in feet])


def test_a_voltage_beyond_the_table_is_refused():
    with pytest.raises(ConfigError, match="no row reaches 2400 V to ground"):
        catalogue.working_space_m(2400, 3)


@pytest.mark.parametrize(
    ("gallons", "feet"),
    [(250, 10), (500, 10), (2000, 25), (30_000, 50), (70_000, 75), (90_000, 100)],
)
def test_propane_keeps_the_distances_of_table_h_23(gallons, feet):
    row = next(r for r in catalogue.read_separations()["h23"].rows if gallons <= r.capacity_most)
    assert row.exposure_m["important_building"] == pytest.approx(feet * 0.3048, abs=1e-4)
    assert row.exposure_m["adjoining_property"] == pytest.approx(feet * 0.3048, abs=1e-4)


def test_hydrogen_keeps_the_distances_of_table_h_2():
    small, middle, large = catalogue.read_separations()["h2"].rows
    feet = {
        "wood_frame_building": (10, 25, 50), "noncombustible_building": (0, 10, 25),
        "wall_opening": (10, 10, 10), "open_flame": (25, 25, 25), "air_intake": (50, 50, 50),
        "people": (25, 50, 50),
    }  # fmt: skip
    for exposure, away in feet.items():
        got = [row.exposure_m[exposure] for row in (small, middle, large)]
        assert got == pytest.approx([one * 0.3048 for one in away], abs=1e-4), exposure


def test_more_fuel_never_stands_nearer():
    for rule in catalogue.read_separations().values():
        assert {rule.building, rule.line or rule.building, rule.pad} <= set(rule.rows[0].exposure_m)
        for less, more in itertools.pairwise(rule.rows):
            assert less.capacity_most < more.capacity_most
            assert all(more.exposure_m[one] >= away for one, away in less.exposure_m.items())


def test_a_code_stands_in_one_class_only_per_jurisdiction():
    keys = [(table.jurisdiction, table.scheme) for table in read_land_use()]
    assert len(set(keys)) == len(keys)


def test_every_kind_of_receptor_is_held_to_some_class():
    kinds = set(get_args(ReceptorClass))
    assert set(catalogue.read_noise_rules().receiving) == kinds


def test_vacant_land_has_a_class_in_every_zone():
    table = catalogue.read_noise_rules().vacant
    assert set(table) == set(get_args(ZoneClass))
    assert set(table.values()) == set(VACANT_CLASSES)
    # A zone that may allow homes never gets less than the residential limit, at worst.
    for zone in ("residential", "mixed", "special"):
        assert catalogue.read_noise_rules().receiving[table[zone]] == "residential"


@pytest.mark.parametrize(
    ("vacant", "wrong"),
    [
        ({"residential": "vacant_residential"}, "no receptor class for zone class mixed"),
        (dict.fromkeys(get_args(ZoneClass), "home"), "home, .* is not a class of vacant land"),
    ],
)
def test_a_zone_without_a_class_of_vacant_land_is_refused(vacant, wrong):
    with pytest.raises(ValidationError, match=wrong):
        NoiseRules(receiving={}, vacant=vacant, rule={})


def test_a_rule_says_whether_it_protects_by_zone_or_by_use():
    rule = catalogue.read_noise_rules().rule["colorado"].model_dump()
    assert NoiseRule.model_validate(rule).protects == "zone"
    for wrong in (rule | {"protects": "area"}, {k: v for k, v in rule.items() if k != "protects"}):
        with pytest.raises(ValidationError, match="protects"):
            NoiseRule.model_validate(wrong)


def test_no_night_is_louder_than_its_day():
    for rule in catalogue.read_noise_rules().rule.values():
        for row in rule.limits:
            if row.day_dba is not None and row.night_dba is not None:
                assert row.night_dba <= row.day_dba, rule.title
