"""Read the TOML files and check each against the others, reporting all errors at once."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from zoneinfo import available_timezones

import pyproj

from data.coverage import list_coverage_faults
from data.guess.lines import REVIEW
from data.message_text import count_noun
from data.source import ColumnOrigin, Source
from flows.declarations import (
    Declarations,
    load_land_use,
    load_market,
    load_plan,
    load_source,
    load_sources,
    read_declarations,
)
from flows.settings import Workspace
from geo import catalogue
from geo.contract.toml import parse_toml
from geo.contract.units import unit_factor
from geo.errors import ConfigError, PadfinderError
from geo.model import Column, LandUse, Market, Plan

T = TypeVar("T")

CATALOGUE_READERS: tuple[Callable[[], object], ...] = (
    catalogue.read_generators,
    catalogue.read_fuels,
    catalogue.read_layers,
    catalogue.read_pipes,
    catalogue.read_plants,
    catalogue.read_facts,
    catalogue.read_spectra,
    catalogue.read_noise_rules,
    catalogue.read_separations,
    catalogue.read_code_words,
)


@dataclass(frozen=True)
class LoadedRun:
    """The checked files that one run reads.

    Attributes:
        market: The market.
        plan: The plan.
        sources: The market's sources, in the order of its list.
        land_use: Every land-use table.
    """

    market: Market
    plan: Plan
    sources: tuple[Source, ...]
    land_use: tuple[LandUse, ...]


def find_config_errors(workspace: Workspace) -> list[PadfinderError]:
    """Return every error of every TOML file: catalogue, sources, land use, plans and markets."""
    errors: list[PadfinderError] = []
    for read in CATALOGUE_READERS:
        _try_reading(read, errors)
    if errors:
        return errors  # the other files can be checked only against a valid catalogue
    declarations = _try_reading(functools.partial(read_declarations, workspace), errors)
    if declarations is None:
        return errors
    tables = _read_land_use_tables(declarations, workspace, errors)
    unreadable: set[str] = set()
    for (owner, name), toml in declarations.sources.items():
        source = _try_reading(functools.partial(load_source, name, workspace, owner), errors)
        errors += _check_source(source, toml.label) if source else ()
        unreadable |= {name} if source is None else set()
    for (owner, name), toml in declarations.plans.items():
        plan = _try_reading(functools.partial(load_plan, name, workspace, owner), errors)
        errors += _check_plan(plan, toml.label) if plan else ()
    source_names = {name for _, name in declarations.sources}
    plan_names = {name for _, name in declarations.plans}
    for name, toml in declarations.markets.items():
        market = _try_reading(functools.partial(load_market, name, workspace), errors)
        if market is not None:
            errors += _check_market(market, toml.label, source_names, plan_names, tables)
            if (source_names - unreadable).issuperset(market.sources):
                _try_reading(functools.partial(load_sources, market, workspace), errors)
    return errors


def load_run(market_name: str, plan_name: str | None, workspace: Workspace) -> LoadedRun:
    """Load the files of one run and check them against each other.

    Args:
        market_name: The market's id.
        plan_name: The plan's name; None for the plan that the market names.
        workspace: The settings of this run.

    Returns:
        The market, its plan and sources, and every land-use table.

    Raises:
        ConfigError: If a file has errors. The message names all of them.
    """
    errors: list[PadfinderError] = []
    for read in CATALOGUE_READERS:
        read()
    declarations = read_declarations(workspace)
    market = load_market(market_name, workspace)
    plan = load_plan(plan_name or market.plan, workspace, market.id)
    sources = load_sources(market, workspace)
    tables = load_land_use(workspace)
    for source in sources:
        label = declarations.find_file("source", source.id, market.id).label
        errors += _check_source(source, label)
    errors += _check_plan(plan, declarations.find_file("plan", plan.id, market.id).label)
    errors += _check_market(
        market,
        declarations.markets[market.id].label,
        {source.id for source in sources},
        {name for _, name in declarations.plans},
        tables,
    )
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigError(
            f"reading the files of market {market.id}",
            "".join(f"\n  - {error.doing}: {error.wrong}; {error.remedy}" for error in errors),
            "correct each of them; `padfinder check` lists the errors of every file",
        )
    return LoadedRun(market, plan, sources, tables)


def list_unseen_sources(workspace: Workspace) -> tuple[str, ...]:
    """Return the sources declared from documentation alone, in alphabetical order."""
    names = {name: owner for owner, name in read_declarations(workspace).sources}
    return tuple(
        name
        for name, owner in sorted(names.items())
        if load_source(name, workspace, owner).is_unseen
    )


def count_files(workspace: Workspace) -> int:
    """Return how many TOML files `padfinder check` reads."""
    declarations = read_declarations(workspace)
    tables = (declarations.markets, declarations.plans, declarations.sources)
    land_use = len(declarations.land_use) + len(declarations.user_land_use)
    return len(catalogue.read_file_texts()) + sum(len(table) for table in tables) + land_use


def list_unreviewed(workspace: Workspace) -> list[str]:
    """Return, for each file of the user's with guesses or empty classes, a line that says so."""
    declarations = read_declarations(workspace)
    tables = (declarations.markets, declarations.sources, declarations.plans)
    files = [toml for table in tables for toml in table.values()] + declarations.user_land_use
    lines = []
    for toml in files:
        told = []
        if marks := toml.text.count(REVIEW):
            told.append(f"{marks} {'guess' if marks == 1 else 'guesses'} to review")
        if toml in declarations.user_land_use:
            empty = len(parse_toml(LandUse, toml.text, toml.label).list_unfilled())
            told += [f"{count_noun(empty, 'code')} without a class"] if empty else []
        if told:
            lines.append(f"{toml.label}: {', '.join(told)}")
    return lines


def _read_land_use_tables(
    declarations: Declarations, workspace: Workspace, errors: list[PadfinderError]
) -> list[LandUse]:
    """Return the land-use tables that can be read, and append the errors of the others."""
    files = (*declarations.land_use, *declarations.user_land_use)
    tables_or_none = [
        _try_reading(functools.partial(parse_toml, LandUse, toml.text, toml.label), errors)
        for toml in files
    ]
    tables = [table for table in tables_or_none if table is not None]
    if len(tables) == len(files):
        _try_reading(functools.partial(load_land_use, workspace), errors)
    return tables


def _try_reading(read: Callable[[], T], errors: list[PadfinderError]) -> T | None:
    try:
        return read()
    except PadfinderError as error:
        errors.append(error)
        return None


def _check_source(source: Source, label: str) -> Iterator[ConfigError]:
    """Yield the errors of a source against its layer."""

    def error(wrong: str, remedy: str) -> ConfigError:
        return ConfigError(f"reading {label}", wrong, remedy)

    layers = catalogue.read_layers()
    if source.layer not in layers:
        yield error(f"layer = {source.layer!r} is not a layer", f"use one of {', '.join(layers)}")
        return
    layer = layers[source.layer]
    # A raster has one value per cell, in the layer's unit.
    cell = {"value": Column(title=layer.title, type="float", unit=layer.unit)}
    columns = cell if layer.is_raster else layer.columns
    joined = source.join.columns if source.join else {}
    counted = {source.join.count_as} if source.join and source.join.count_as else set()
    origins: dict[str, ColumnOrigin] = source.columns | joined
    for name, origin in origins.items():
        if name not in columns:
            yield error(
                f"columns.{name} is not a column of the layer {source.layer!r}",
                f"use one of {', '.join(columns)}",
            )
            continue
        yield from (
            error(wrong, remedy) for wrong, remedy in _check_column(name, origin, columns[name])
        )
    for name, column in columns.items():
        if column.required and name not in origins.keys() | counted:
            yield error(
                f"columns.{name} is missing: the layer {source.layer!r} requires it",
                f"add [columns.{name}] with the source's column that it comes from",
            )
    yield from (error(wrong, remedy) for wrong, remedy in list_coverage_faults(source, layer))
    for crs in (source.fetch.crs, source.coverage.crs):
        if crs is not None and not is_crs(crs):
            yield error(f"crs = {crs!r} is not known", "write it as EPSG:2249")


def _check_column(name: str, origin: ColumnOrigin, column: Column) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a column's origin, and what to do about it."""
    values = [*origin.map.values(), *([origin.other] if origin.other else [])]
    if isinstance(origin.value, str) and column.values:
        values.append(origin.value)
    for value in values:
        if column.values and value not in column.values:
            yield (
                f"columns.{name} gives {value!r}",
                f"use one of {', '.join(column.values)}",
            )
    if origin.unit is not None:
        if column.unit is None:
            yield (
                f"columns.{name}.unit = {origin.unit!r}, but this column has no unit",
                "delete `unit`",
            )
            return
        try:
            unit_factor(origin.unit, column.unit)
        except ConfigError as error:
            yield f"columns.{name}.unit = {origin.unit!r}: {error.wrong}", error.remedy


def _check_plan(plan: Plan, label: str) -> Iterator[ConfigError]:
    """Yield an error for each name in the plan that the catalogue does not have."""
    exclusion_kinds = catalogue.read_layers()["exclusions"].columns["kind"].values
    for key, names, known_names in (
        ("generator", (plan.generator,), tuple(catalogue.read_generators())),
        ("fuels", plan.fuels, tuple(catalogue.read_fuels())),
        ("pad.exclusions", plan.pad.exclusions, exclusion_kinds),
        ("noise.receptors", plan.noise.receptors, tuple(catalogue.read_noise_rules().receiving)),
    ):
        for name in names:
            if name not in known_names:
                yield ConfigError(
                    f"reading {label}",
                    f"{key} = {name!r} is not in the catalogue",
                    f"use one of {', '.join(known_names)}",
                )


def _check_market(
    market: Market,
    label: str,
    source_names: set[str],
    plan_names: set[str],
    tables: Iterable[LandUse],
) -> Iterator[ConfigError]:
    """Yield an error for each name or setting of the market that is unknown or unusable."""

    def error(wrong: str, remedy: str) -> ConfigError:
        return ConfigError(f"reading {label}", wrong, remedy)

    for name in market.sources:
        if name not in source_names:
            yield error(
                f"sources names {name!r}, and there is no such source",
                f"correct the name, or add {name}.toml to sources/ in the market's folder",
            )
    if market.plan not in plan_names:
        yield error(
            f"plan = {market.plan!r}, and there is no such plan",
            f"use one of {', '.join(sorted(plan_names))}, or add {market.plan}.toml to plans/ in "
            "the market's folder",
        )
    if market.time_zone not in available_timezones():
        yield error(
            f"time_zone = {market.time_zone!r} is not known", "write it as America/New_York"
        )
    if not is_crs(market.crs):
        yield error(f"crs = {market.crs!r} is not known", "write it as EPSG:26986")
    elif not _is_metric_crs(market.crs):
        yield error(
            f"crs = {market.crs!r} is not a projected CRS in meters",
            "use the state plane or UTM zone in meters, such as EPSG:26986",
        )
    rules = catalogue.read_noise_rules().rule
    if market.noise_rule is not None and market.noise_rule not in rules:
        yield error(
            f"noise_rule = {market.noise_rule!r} is not in the catalogue",
            f"use one of {', '.join(rules)}, or delete the key if the market has no local rule",
        )
    jurisdictions = {table.jurisdiction for table in tables}
    if market.jurisdiction not in jurisdictions:
        yield error(
            f"jurisdiction = {market.jurisdiction!r} has no land-use table",
            f"use one of {', '.join(sorted(jurisdictions))}, or add land_use.toml to the market's "
            "folder",
        )


def is_crs(text: str) -> bool:
    """Return whether a text names a CRS."""
    try:
        pyproj.CRS(text)
    except pyproj.exceptions.CRSError:
        return False
    return True


def _is_metric_crs(text: str) -> bool:
    crs = pyproj.CRS(text)
    # Web Mercator's "meters" are stretched by about a third at these latitudes.
    units = {axis.unit_conversion_factor for axis in crs.axis_info}
    return crs.is_projected and units == {1.0} and crs.to_epsg() != 3857
