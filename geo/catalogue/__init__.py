"""Reference data: generators, spectra, fuels, pipes, noise rules, clearances, layers, facts."""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import TypeVar

from pydantic import BaseModel, RootModel

from geo.contract.toml import parse_toml, validate_model
from geo.errors import ConfigError
from geo.model import (
    CodeWords,
    Fact,
    Frozen,
    Fuel,
    Generator,
    Layer,
    NoiseRules,
    Pipes,
    PlantGas,
    Separation,
    Spectrum,
    WorkingSpace,
)

# The shapes drawn for a site's pad: its outline, machines, gear, and the fuel stored beside it.
SHAPE_COLUMNS = ("block", "machines", "gear", "storage")
# The tag of a load in the name of a column ends in this.
LOAD_ENDING = "_kw"
M = TypeVar("M", bound=BaseModel)


class _Clearances(Frozen):
    working_space: tuple[WorkingSpace, ...]
    separation: dict[str, Separation]


class _FactTable(Frozen):
    fact: tuple[Fact, ...]
    working: dict[str, str]


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _table(model: type[M], name: str) -> dict[str, M]:
    """Read a TOML file of named tables. Each is a `model` whose id is the table's name."""
    where = f"geo/catalogue/{name}"
    raw = parse_toml(RootModel[dict[str, dict[str, object]]], _text(name), where).root
    rows = {key: {"id": key, **row} for key, row in raw.items()}
    return validate_model(RootModel[dict[str, model]], rows, where).root  # type: ignore[valid-type]


@cache
def read_generators() -> dict[str, Generator]:
    """Return every generator by id."""
    return _table(Generator, "generators.toml")


@cache
def read_fuels() -> dict[str, Fuel]:
    """Return every fuel by id."""
    return _table(Fuel, "fuels.toml")


@cache
def read_layers() -> dict[str, Layer]:
    """Return every layer by id."""
    return _table(Layer, "layers.toml")


@cache
def read_pipes() -> Pipes:
    """Return the materials and pressures of gas mains, which decide what they carry."""
    return parse_toml(Pipes, _text("pipes.toml"), "geo/catalogue/pipes.toml")


@cache
def read_plants() -> dict[str, PlantGas]:
    """Return the methane in the gas of plants, by fuel, for fuels measured by their methane."""
    where = "geo/catalogue/plants.toml"
    return parse_toml(RootModel[dict[str, PlantGas]], _text("plants.toml"), where).root


@cache
def read_spectra() -> dict[str, Spectrum]:
    """Return every spectrum shape by id."""
    where = "geo/catalogue/spectra.toml"
    return parse_toml(RootModel[dict[str, Spectrum]], _text("spectra.toml"), where).root


@cache
def read_noise_rules() -> NoiseRules:
    """Return every local noise rule, and the receiving class of each kind of receptor."""
    return parse_toml(NoiseRules, _text("noise_limits.toml"), "geo/catalogue/noise_limits.toml")


@cache
def _clearances() -> _Clearances:
    return parse_toml(_Clearances, _text("clearances.toml"), "geo/catalogue/clearances.toml")


def read_separations() -> dict[str, Separation]:
    """Return every rule on the distance of stored fuel from its surroundings, by id."""
    return _clearances().separation


@cache
def working_space_m(volts_to_ground: float, condition: int) -> float:
    """Return the required depth (m) of the space before live parts: NEC 110.26(A)(1).

    Raises ConfigError for a voltage beyond the table. For example, 277 V and condition 3: 1.2192 m
    (4 ft).
    """
    for row in sorted(_clearances().working_space, key=lambda row: row.volts_to_ground_most):
        if volts_to_ground <= row.volts_to_ground_most:
            return row.depth_m[condition - 1]
    raise ConfigError(
        "looking up the working space in geo/catalogue/clearances.toml",
        f"no row reaches {volts_to_ground:g} V to ground",
        "add the row of that voltage with its source",
    )


@cache
def read_code_words() -> dict[str, dict[str, CodeWords]]:
    """Return the reader's words for every code, by the fact that has the code."""
    where = "geo/catalogue/evidence.toml"
    return parse_toml(
        RootModel[dict[str, dict[str, CodeWords]]], _text("evidence.toml"), where
    ).root


@cache
def _fact_table() -> _FactTable:
    return parse_toml(_FactTable, _text("facts.toml"), "geo/catalogue/facts.toml")


def read_facts() -> tuple[Fact, ...]:
    """Return every published column, in the order of the lists."""
    return _fact_table().fact


def read_working_columns() -> dict[str, str]:
    """Return the meaning of each unpublished column that screening passes to ranking, by name.

    In the name of a column per load, `{of}` stands for the load's tag (see `load_column_tag`).
    """
    return _fact_table().working


def facts_of_table(columns: Iterable[str]) -> tuple[Fact, ...]:
    """Return the facts that a table with these columns has, in the order of the lists.

    A fact per load or per fuel appears once for each load or fuel that the columns name, which its
    `of` gives. Facts that are next to each other in the catalogue stay together for each load or
    fuel.
    """
    present = dict.fromkeys(columns)
    facts: list[Fact] = []
    for per, group in groupby(read_facts(), key=lambda fact: fact.per):
        group_facts = list(group)
        if per is None:
            facts += [fact for fact in group_facts if fact.name in present]
            continue
        for of, title in _list_loads_or_fuels(per, present):
            named = {
                fact.name.format(of=of, kw=of.removesuffix(LOAD_ENDING)): fact
                for fact in group_facts
            }
            facts += [
                fact.model_copy(
                    update={"name": name, "title": fact.title.format(of=title), "of": title}
                )
                for name, fact in named.items()
                if name in present
            ]
    return tuple(facts)


def _list_loads_or_fuels(per: str, present: dict[str, None]) -> list[tuple[str, str]]:
    """Return what replaces `{of}`, with its title: every fuel, or the loads in the columns.

    Loads are sorted, smallest first.
    """
    if per == "fuel":
        return [(one.id, one.title.capitalize()) for one in read_fuels().values()]
    loads = [float(tag.removesuffix(LOAD_ENDING)) for tag in list_load_tags(present)]
    return [
        (load_column_tag(kw), f"{kw:g} kW" if kw < 1000 else f"{kw / 1000:g} MW") for kw in loads
    ]


def list_load_tags(columns: Iterable[str]) -> list[str]:
    """Return the tags of the loads for which a table has the grid's gap, smallest load first.

    >>> list_load_tags(["gap_at_1000_kw", "gap_at_200_kw", "n_lo"])
    ['200_kw', '1000_kw']
    """
    shape = re.compile(rf"gap_at_(\d+(?:\.\d+)?){LOAD_ENDING}")
    loads = sorted(float(at[1]) for name in columns if (at := shape.fullmatch(str(name))))
    return [load_column_tag(load_kw) for load_kw in loads]


def load_column_tag(load_kw: float) -> str:
    """Return the tag that stands for a load in the names of columns.

    >>> load_column_tag(1000.0)
    '1000_kw'
    """
    return f"{load_kw:.12g}{LOAD_ENDING}"


def read_file_texts() -> dict[str, str]:
    """Return the text of every catalogue file by name, from which the digest is computed."""
    root = files(__package__)
    names = sorted(item.name for item in root.iterdir() if item.name.endswith(".toml"))
    return {name: _text(name) for name in names}
