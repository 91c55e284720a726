"""Markets, plans, sources and land-use tables: where their TOML files are, and how to read them.

One folder holds one market: `market.toml`, `land_use.toml`, `plans/*.toml` and `sources/*.toml`.
The built-in markets are in data/markets; `markets` in padfinder.toml names a user's own folders of
the same shape. A user's file takes the place of the built-in file of the same name. Plans that
every market can use are in flows/plans.
"""

import difflib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, TypeVar

from pydantic import BaseModel

from data.source import Source
from flows.settings import Workspace
from geo.contract.toml import parse_toml
from geo.errors import ConfigError
from geo.model import LandUse, Market, PadPlan, Plan

KeyT = TypeVar("KeyT", str, tuple[str, str])
ModelT = TypeVar("ModelT", bound=BaseModel)
Kind = Literal["market", "plan", "source"]

SHARED = ""  # In place of a market's id: files that any market may use.
LAND_USE_FILE, MARKET_FILE = "land_use.toml", "market.toml"


@dataclass(frozen=True)
class TomlText:
    """The text of one TOML file, and the name by which messages call it."""

    shown: str
    text: str


@dataclass
class Declarations:
    """Every TOML text by kind: markets by id, plans and sources by market and name.

    `land_use` has the built-in tables first, then the user's.
    """

    market: dict[str, TomlText] = field(default_factory=dict)
    plan: dict[tuple[str, str], TomlText] = field(default_factory=dict)
    source: dict[tuple[str, str], TomlText] = field(default_factory=dict)
    land_use: list[TomlText] = field(default_factory=list)
    user_land_use: list[TomlText] = field(default_factory=list)

    def find_file(self, kind: Literal["plan", "source"], name: str, market_id: str) -> TomlText:
        """Return a plan's or source's file: the market's own, else a shared one, else another's.

        Args:
            kind: What to look for.
            name: The plan's or source's name: its file name without the ending.
            market_id: The market that asks for it; SHARED for none.

        Returns:
            The text of the file.

        Raises:
            ConfigError: If no file has this name, naming the nearest one.
        """
        table = self.plan if kind == "plan" else self.source
        for owner in (market_id, SHARED, *self.market):
            if (owner, name) in table:
                return table[owner, name]
        raise _unknown_name(kind, name, sorted({known for _, known in table}))


def read_declarations(workspace: Workspace) -> Declarations:
    """Read the text of every built-in and user TOML file; nothing is parsed yet.

    Raises:
        ConfigError: If two of the user's own files declare the same market, plan or source.
    """
    built_in = _read_built_in()
    own = _read_own(workspace, built_in)
    return Declarations(
        market=dict(sorted((built_in.market | own.market).items())),
        plan=_override(built_in.plan, own.plan),
        source=_override(built_in.source, own.source),
        land_use=built_in.land_use,
        user_land_use=own.land_use,
    )


def load_market(name: str, workspace: Workspace) -> Market:
    """Return the market called `name`. Raises ConfigError."""
    known = read_declarations(workspace).market
    if name not in known:
        raise _unknown_name("market", name, list(known))
    market = parse_toml(Market, known[name].text, known[name].shown)
    return _check_id(market, market.id, name, known[name], "market")


def load_plan(name: str, workspace: Workspace, market_id: str = SHARED) -> Plan:
    """Return the plan called `name` as a market sees it.

    Args:
        name: The plan's name.
        workspace: Where this run reads its files.
        market_id: The market whose own plans go before shared ones.

    Returns:
        The plan.

    Raises:
        ConfigError: If there is no such plan, or its file has faults.
    """
    toml = read_declarations(workspace).find_file("plan", name, market_id)
    plan = parse_toml(Plan, toml.text, toml.shown)
    return _check_id(plan, plan.id, name, toml, "plan")


def load_source(name: str, workspace: Workspace, market_id: str = SHARED) -> Source:
    """Return the source called `name` as a market sees it.

    Args:
        name: The source's name.
        workspace: Where this run reads its files.
        market_id: The market whose own sources go before others.

    Returns:
        The source.

    Raises:
        ConfigError: If there is no such source, or its file has faults.
    """
    toml = read_declarations(workspace).find_file("source", name, market_id)
    source = parse_toml(Source, toml.text, toml.shown)
    return _check_id(source, source.id, name, toml, "source")


def load_sources(market: Market, workspace: Workspace) -> tuple[Source, ...]:
    """Return the market's sources in its own order. Raises ConfigError naming every fault."""
    sources: list[Source] = []
    faults: list[ConfigError] = []
    for name in market.sources:
        try:
            sources.append(load_source(name, workspace, market.id))
        except ConfigError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ConfigError(
            f"reading the sources of market {market.id}",
            "; ".join(f"{error.doing}: {error.wrong}" for error in faults),
            faults[0].remedy,
        )
    filled = {source.layer for source in sources}
    for layer, reason in (
        ("parcels", "there is nothing to screen"),
        ("zoning", "parcels whose use is vacant, missing or unclassified cannot be judged"),
    ):
        if layer not in filled:
            raise ConfigError(
                f"reading market {market.id}",
                f"none of its sources ({', '.join(market.sources)}) fills the layer {layer!r}: "
                f"{reason}",
                f"add a source of {layer} to `sources` in the market's file",
            )
    return tuple(sources)


def load_land_use(workspace: Workspace) -> tuple[LandUse, ...]:
    """Return every land-use table; a user's table replaces the built-in one of the same codes.

    Raises:
        ConfigError: If a file has faults, or two of the user's tables have the same jurisdiction
            and scheme.
    """
    declarations = read_declarations(workspace)
    tables: dict[tuple[str, str], LandUse] = {}
    for toml in declarations.land_use:
        table = parse_toml(LandUse, toml.text, toml.shown)
        tables[table.jurisdiction, table.scheme] = table
    own: dict[tuple[str, str], TomlText] = {}
    for toml in declarations.user_land_use:
        table = parse_toml(LandUse, toml.text, toml.shown)
        key = (table.jurisdiction, table.scheme)
        if key in own:
            raise ConfigError(
                f"reading {toml.shown}",
                f"{own[key].shown} already has the codes of jurisdiction {key[0]!r}, scheme "
                f"{key[1]!r}",
                "put all codes into one of the two files and delete the other",
            )
        own[key], tables[key] = toml, table
    return tuple(tables.values())


def describe_old_layout(workspace: Workspace) -> str | None:
    """Say which of the user's files should move where, in one message; None if all are in place.

    Until November 2026, padfinder.toml named one folder for each kind of file. Such folders still
    work.
    """
    moves = [
        f"{parent}/{_stem(item)}.toml to {parent}/{_stem(item)}/{MARKET_FILE}"
        for parent in workspace.markets
        for _, item in _toml_files(parent, str(parent))
    ]
    for key, target in (
        ("plans", "plans/"),
        ("sources", "sources/"),
        ("land_use", LAND_USE_FILE),
    ):
        moves += [
            f"the files of {parent} to the market's folder, as {target}, and delete `{key}` from "
            "padfinder.toml"
            for parent in getattr(workspace, key)
        ]
    declarations = read_declarations(workspace)
    retired = sorted(
        f"pad.{key} in {toml.shown}"
        for toml in declarations.plan.values()
        for key in _retired_keys(toml.text)
    )
    parts = []
    if moves:
        parts.append(f"Old folder layout, still read. Move {'; '.join(moves)}.")
    if retired:
        parts.append(f"No longer used and ignored, delete: {'; '.join(retired)}.")
    return " ".join(parts) or None


def _retired_keys(text: str) -> list[str]:
    try:
        pad = tomllib.loads(text).get("pad")
    except tomllib.TOMLDecodeError:
        return []
    return sorted(PadPlan.retired & pad.keys()) if isinstance(pad, dict) else []


def _read_built_in() -> Declarations:
    built_in = Declarations()
    for folder in _sorted_items(files("data").joinpath("markets")):
        _read_market_folder(folder, f"data/markets/{folder.name}", built_in)
    _add_all(built_in.plan, files("flows").joinpath("plans"), "flows/plans", SHARED)
    return built_in


def _read_own(workspace: Workspace, built_in: Declarations) -> Declarations:
    own = Declarations()
    for parent in workspace.markets:
        for folder in _sorted_items(parent):
            if _is_market_folder(folder, built_in):
                _read_market_folder(folder, f"{parent}/{folder.name}", own)
        for shown, item in _toml_files(parent, str(parent)):
            _add(own.market, _stem(item), shown, item)
    for parents, table in ((workspace.plans, own.plan), (workspace.sources, own.source)):
        for parent in parents:
            _add_all(table, parent, str(parent), SHARED)
    for parent in workspace.land_use:
        own.land_use += [
            _read_text(shown, item) for shown, item in _toml_files(parent, str(parent))
        ]
    return own


def _override(
    built_in: dict[tuple[str, str], TomlText], own: dict[tuple[str, str], TomlText]
) -> dict[tuple[str, str], TomlText]:
    """Return both tables as one; a user's shared file replaces built-in files of its name."""
    shared = {name for owner, name in own if owner == SHARED}
    kept = {key: toml for key, toml in built_in.items() if key[1] not in shared}
    return dict(sorted((kept | own).items()))


def _is_market_folder(folder: Traversable, built_in: Declarations) -> bool:
    """Return whether a folder of a user declares a market, or adds to a built-in one.

    Raises:
        ConfigError: If it has a market's files but no market.toml, and is not a built-in market.
    """
    if not folder.is_dir():
        return False
    parts = [folder.joinpath(name) for name in ("plans", "sources")]
    partial = folder.joinpath(LAND_USE_FILE).is_file() or any(part.is_dir() for part in parts)
    if folder.joinpath(MARKET_FILE).is_file() or (partial and folder.name in built_in.market):
        return True
    if partial:
        raise ConfigError(
            f"reading the market folder {folder}",
            f"it has no {MARKET_FILE}",
            f"add {MARKET_FILE} (data/markets/cambridge shows one), or move the folder elsewhere",
        )
    return False


def _read_market_folder(folder: Traversable, shown: str, into: Declarations) -> None:
    """Add the files of one market's folder."""
    market_id = folder.name
    if folder.joinpath(MARKET_FILE).is_file():
        _add(into.market, market_id, f"{shown}/{MARKET_FILE}", folder.joinpath(MARKET_FILE))
    land_use = folder.joinpath(LAND_USE_FILE)
    if land_use.is_file():
        into.land_use.append(_read_text(f"{shown}/{LAND_USE_FILE}", land_use))
    for name, table in (("plans", into.plan), ("sources", into.source)):
        if folder.joinpath(name).is_dir():
            _add_all(table, folder.joinpath(name), f"{shown}/{name}", market_id)


def _add_all(
    table: dict[tuple[str, str], TomlText], folder: Traversable, shown: str, owner: str
) -> None:
    """Add every TOML file of a folder to a table, as files of one market or shared ones."""
    for label, item in _toml_files(folder, shown):
        _add(table, (owner, _stem(item)), label, item)


def _add(table: dict[KeyT, TomlText], key: KeyT, shown: str, item: Traversable) -> None:
    if key in table:
        raise ConfigError(
            f"reading {shown}",
            f"{table[key].shown} has the same name",
            "delete or rename one of the two files",
        )
    table[key] = _read_text(shown, item)


def _read_text(shown: str, item: Traversable) -> TomlText:
    return TomlText(shown, item.read_text("utf-8"))


def _sorted_items(folder: Traversable) -> list[Traversable]:
    return sorted(folder.iterdir(), key=lambda item: item.name)


def _toml_files(folder: Traversable, shown: str) -> Iterator[tuple[str, Traversable]]:
    for item in _sorted_items(folder):
        if item.name.endswith(".toml") and item.is_file():
            yield f"{shown}/{item.name}", item


def _stem(item: Traversable) -> str:
    return item.name.removesuffix(".toml")


def _unknown_name(kind: Kind, name: str, known: list[str]) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    place = {
        "market": f"put {name}/market.toml into a folder that `markets` in padfinder.toml names",
        "plan": f"put {name}.toml into plans/ in the market's folder",
        "source": f"put {name}.toml into sources/ in the market's folder",
    }[kind]
    return ConfigError(
        f"looking for the {kind} {name!r}",
        f"there is no {kind} of that name",
        f"{hint}use one of {', '.join(known)}, or {place}",
    )


def _check_id(model: ModelT, own_id: str, name: str, toml: TomlText, kind: Kind) -> ModelT:
    if own_id == name:
        return model
    if toml.shown.endswith(MARKET_FILE):
        remedy = f"call the folder {own_id}, or the {kind} {name}"
    else:
        remedy = f"call the file {own_id}.toml, or the {kind} {name}"
    raise ConfigError(f"reading {toml.shown}", f"id = {own_id!r} is not the file's name", remedy)
