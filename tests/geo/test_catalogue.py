from typing import get_args

import pytest

from geo import catalogue, measure
from geo.model import ReceptorClass


def test_every_row_names_its_source():
    rows = [*catalogue.generators().values(), *catalogue.fuels().values(), *catalogue.land_use()]
    rows += [*catalogue.spectra().values(), *catalogue.noise_rules().rule.values()]
    rows += [tank for fuel in catalogue.fuels().values() for tank in fuel.storage]
    assert all(len(row.source) > 20 for row in rows)


def test_units_end_the_names_of_columns_and_are_known():
    endings = {"m": "_m", "m2": "_m2", "kW": "_kw", "MVA": "_mva", "kV": "_kv", "in": "_in"}
    for layer in catalogue.layers().values():
        for name, column in layer.columns.items():
            if column.unit is not None:
                assert column.unit in measure.UNITS, (layer.id, name)
            if column.unit in endings:
                assert name.endswith(endings[column.unit]), (layer.id, name)


def test_facts_are_named_once_and_say_how_they_are_rounded():
    facts = catalogue.facts()
    assert len({fact.name for fact in facts}) == len(facts)
    for fact in facts:
        if fact.unit in {"m", "m2", "kW", "dB", "dB(A)", "share", "of 1", "of 100"}:
            assert fact.decimals is not None, fact.name


def test_a_wider_main_or_a_higher_class_never_carries_less():
    by_size = {
        (row.pressure_class, row.diameter_in): row.capacity_scfh for row in catalogue.carrying()
    }
    for pressure in ("low", "medium", "high"):
        flows = [by_size[pressure, inch] for inch in (2, 4, 6, 8)]
        assert flows == sorted(flows)
    for inch in (2, 4, 6, 8):
        assert by_size["low", inch] < by_size["medium", inch] < by_size["high", inch]


def test_gas_demand_is_the_arithmetic_it_cites():
    demand = 200 * 3412 / 0.33 / 1030
    assert catalogue.fuels()["natural_gas"].demand_per_machine == pytest.approx(demand, rel=0.005)
    gallons = 200 * 3412 / 0.33 / 91_502
    assert catalogue.fuels()["propane"].demand_per_machine == pytest.approx(gallons, rel=0.005)


def test_the_machine_stands_on_fifteen_square_feet():
    machine = catalogue.generators()["gx230"]
    area_ft2 = machine.length_m * machine.width_m * measure.factor("m2", "ft2")
    assert area_ft2 == pytest.approx(15)


def test_a_code_stands_in_one_class_only_per_jurisdiction():
    keys = [(table.jurisdiction, table.scheme) for table in catalogue.land_use()]
    assert len(set(keys)) == len(keys)


def test_every_kind_of_receptor_is_held_to_some_class():
    kinds = set(get_args(ReceptorClass))
    assert set(catalogue.noise_rules().receiving) == kinds


def test_no_night_is_louder_than_its_day():
    for rule in catalogue.noise_rules().rule.values():
        for row in rule.limits:
            if row.day_dba is not None and row.night_dba is not None:
                assert row.night_dba <= row.day_dba, rule.title
