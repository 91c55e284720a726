"""Read every TOML file and hold each to the others: all faults at once."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from zoneinfo import available_timezones

import pyproj

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
)


def find_faults(workspace: Workspace) -> list[PadfinderError]:
    """Return every fault of every TOML file: catalogue, sources, land use, plans and markets."""
    faults: list[PadfinderError] = []
    for read in CATALOGUE_READERS:
        _try_reading(read, faults)
    if faults:
        return faults  # the other files are checked against the catalogue
    declarations = _try_reading(functools.partial(read_declarations, workspace), faults)
    if declarations is None:
        return faults
    tables = _land_use_tables(declarations, workspace, faults)
    unreadable: set[str] = set()
    for (owner, name), toml in declarations.source.items():
        source = _try_reading(functools.partial(load_source, name, workspace, owner), faults)
        faults += _source_faults(source, toml.shown) if source else ()
        unreadable |= {name} if source is None else set()
    for (owner, name), toml in declarations.plan.items():
        plan = _try_reading(functools.partial(load_plan, name, workspace, owner), faults)
        faults += _plan_faults(plan, toml.shown) if plan else ()
    source_names = {name for _, name in declarations.source}
    plan_names = {name for _, name in declarations.plan}
    for name, toml in declarations.market.items():
        market = _try_reading(functools.partial(load_market, name, workspace), faults)
        if market is not None:
            faults += _market_faults(market, toml.shown, source_names, plan_names, tables)
            if (source_names - unreadable).issuperset(market.sources):
                _try_reading(functools.partial(load_sources, market, workspace), faults)
    return faults


def load_run(
    market_name: str, plan_name: str | None, workspace: Workspace
) -> tuple[Market, Plan, tuple[Source, ...], tuple[LandUse, ...]]:
    """Load what one run reads, checked against each other.

    Args:
        market_name: The market's id.
        plan_name: The plan's name; None for the market's own.
        workspace: Where this run reads its files.

    Returns:
        The market, its plan, its sources in its order, and every land-use table.

    Raises:
        ConfigError: Naming every fault at once.
    """
    faults: list[PadfinderError] = []
    for read in CATALOGUE_READERS:
        read()
    declarations = read_declarations(workspace)
    market = load_market(market_name, workspace)
    plan = load_plan(plan_name or market.plan, workspace, market.id)
    sources = load_sources(market, workspace)
    tables = load_land_use(workspace)
    for source in sources:
        shown = declarations.find_file("source", source.id, market.id).shown
        faults += _source_faults(source, shown)
    faults += _plan_faults(plan, declarations.find_file("plan", plan.id, market.id).shown)
    faults += _market_faults(
        market,
        declarations.market[market.id].shown,
        {source.id for source in sources},
        {name for _, name in declarations.plan},
        tables,
    )
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ConfigError(
            f"reading what a night of {market.id} needs",
            "".join(f"\n  - {fault.doing}: {fault.wrong}; {fault.remedy}" for fault in faults),
            "correct each; `padfinder check` shows every file's faults",
        )
    return market, plan, sources, tables


def count_files(workspace: Workspace) -> int:
    """Return how many TOML files there are to check."""
    declarations = read_declarations(workspace)
    tables = (declarations.market, declarations.plan, declarations.source)
    land_use = len(declarations.land_use) + len(declarations.user_land_use)
    return len(catalogue.read_file_texts()) + sum(len(table) for table in tables) + land_use


def _land_use_tables(
    declarations: Declarations, workspace: Workspace, faults: list[PadfinderError]
) -> list[LandUse]:
    """Return the land-use tables that can be read, adding every fault of the others."""
    files = (*declarations.land_use, *declarations.user_land_use)
    read = [
        _try_reading(functools.partial(parse_toml, LandUse, toml.text, toml.shown), faults)
        for toml in files
    ]
    tables = [table for table in read if table is not None]
    if len(tables) == len(files):
        _try_reading(functools.partial(load_land_use, workspace), faults)
    return tables


def _try_reading(read: Callable[[], T], found: list[PadfinderError]) -> T | None:
    try:
        return read()
    except PadfinderError as error:
        found.append(error)
        return None


def _source_faults(source: Source, shown: str) -> Iterator[ConfigError]:
    def fault(wrong: str, remedy: str) -> ConfigError:
        return ConfigError(f"reading {shown}", wrong, remedy)

    layers = catalogue.read_layers()
    if source.layer not in layers:
        yield fault(f"layer = {source.layer!r} is not a layer", f"use one of {', '.join(layers)}")
        return
    layer = layers[source.layer]
    # A grid has one value in each cell, in the layer's unit.
    cell = {"value": Column(title=layer.title, type="float", unit=layer.unit)}
    columns = cell if layer.is_raster else layer.columns
    joined = source.join.columns if source.join else {}
    counted = {source.join.count_as} if source.join and source.join.count_as else set()
    given: dict[str, ColumnOrigin] = source.columns | joined
    for name, origin in given.items():
        if name not in columns:
            yield fault(
                f"columns.{name} is no column of the layer {source.layer!r}",
                f"use one of {', '.join(columns)}",
            )
            continue
        yield from (
            fault(wrong, remedy) for wrong, remedy in _column_faults(name, origin, columns[name])
        )
    for name, column in columns.items():
        if column.required and name not in given.keys() | counted:
            yield fault(
                f"columns.{name} is missing: the layer {source.layer!r} requires it",
                f"say which of the source's columns it comes from: [columns.{name}]",
            )
    for crs in (source.fetch.crs, source.coverage.crs):
        if crs is not None and not _is_crs(crs):
            yield fault(f"crs = {crs!r} is not known", "write it as EPSG:2249")


def _column_faults(name: str, origin: ColumnOrigin, column: Column) -> Iterator[tuple[str, str]]:
    words = [*origin.map.values(), *([origin.other] if origin.other else [])]
    if isinstance(origin.value, str) and column.values:
        words.append(origin.value)
    for word in words:
        if column.values and word not in column.values:
            yield (
                f"columns.{name} gives {word!r}",
                f"use one of {', '.join(column.values)}",
            )
    if origin.unit is not None:
        if column.unit is None:
            yield f"columns.{name}.unit = {origin.unit!r}, but it has no unit", "leave unit out"
            return
        try:
            unit_factor(origin.unit, column.unit)
        except ConfigError as error:
            yield f"columns.{name}.unit = {origin.unit!r}: {error.wrong}", error.remedy


def _plan_faults(plan: Plan, shown: str) -> Iterator[ConfigError]:
    kinds = catalogue.read_layers()["exclusions"].columns["kind"].values
    for key, names, known in (
        ("generator", (plan.generator,), tuple(catalogue.read_generators())),
        ("fuels", plan.fuels, tuple(catalogue.read_fuels())),
        ("pad.exclusions", plan.pad.exclusions, kinds),
        ("noise.receptors", plan.noise.receptors, tuple(catalogue.read_noise_rules().receiving)),
    ):
        for name in names:
            if name not in known:
                yield ConfigError(
                    f"reading {shown}",
                    f"{key} = {name!r} is not in the catalogue",
                    f"use one of {', '.join(known)}",
                )


def _market_faults(
    market: Market, shown: str, sources: set[str], plans: set[str], tables: Iterable[LandUse]
) -> Iterator[ConfigError]:
    def fault(wrong: str, remedy: str) -> ConfigError:
        return ConfigError(f"reading {shown}", wrong, remedy)

    for name in market.sources:
        if name not in sources:
            yield fault(
                f"sources names {name!r}, and there is no such source",
                f"correct it, or add {name}.toml to a folder that `sources` in padfinder.toml "
                "names",
            )
    if market.plan not in plans:
        yield fault(
            f"plan = {market.plan!r}, and there is no such plan",
            f"use one of {', '.join(sorted(plans))}",
        )
    if market.time_zone not in available_timezones():
        yield fault(
            f"time_zone = {market.time_zone!r} is not known", "write it as America/New_York"
        )
    if not _is_crs(market.crs):
        yield fault(f"crs = {market.crs!r} is not known", "write it as EPSG:26986")
    elif not _is_metric_crs(market.crs):
        yield fault(
            f"crs = {market.crs!r} is not a projected frame in metres",
            "use the state plane or UTM zone in metres, such as EPSG:26986",
        )
    rules = catalogue.read_noise_rules().rule
    if market.noise_rule is not None and market.noise_rule not in rules:
        yield fault(
            f"noise_rule = {market.noise_rule!r} is not in the catalogue",
            f"use one of {', '.join(rules)}, or leave it out: each row then says that no local "
            "rule is given",
        )
    jurisdictions = {table.jurisdiction for table in tables}
    if market.jurisdiction not in jurisdictions:
        yield fault(
            f"jurisdiction = {market.jurisdiction!r} has no land-use table",
            f"use one of {', '.join(sorted(jurisdictions))}, or add a table to a folder that "
            "`land_use` in padfinder.toml names",
        )


def _is_crs(text: str) -> bool:
    try:
        pyproj.CRS(text)
    except pyproj.exceptions.CRSError:
        return False
    return True


def _is_metric_crs(text: str) -> bool:
    crs = pyproj.CRS(text)
    # Web Mercator is in "metres" that are half as long again at these latitudes.
    units = {axis.unit_conversion_factor for axis in crs.axis_info}
    return crs.is_projected and units == {1.0} and crs.to_epsg() != 3857
