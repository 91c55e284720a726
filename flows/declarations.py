"""Markets, plans, sources and land-use tables: where their TOML files are, and how to read them.

Each market has one folder: `market.toml`, `land_use.toml`, `plans/*.toml` and `sources/*.toml`.
The built-in markets are in data/markets; `markets` in padfinder.toml names folders that hold a
user's own markets in the same layout. A user's file replaces the built-in file of the same name.
Plans that every market can use are in flows/plans, and sources that any market can name in
data/shared.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, TypeVar

from data.source import Source
from flows.names import check_id, refuse_name
from flows.settings import OLD_KEYS, Workspace
from geo.contract.toml import parse_toml
from geo.errors import ConfigError
from geo.model import LandUse, Market, Plan

KeyT = TypeVar("KeyT", str, tuple[str, str])

SHARED = ""  # Stands for the market's id where a file belongs to no market in particular.
LAND_USE_FILE, MARKET_FILE = "land_use.toml", "market.toml"
PARTS = ("plans", "sources", "land_use")  # the folders inside a market's folder


@dataclass(frozen=True)
class TomlText:
    """The text of one TOML file.

    Attributes:
        label: The file's name in messages: its path.
        text: Its content.
    """

    label: str
    text: str


@dataclass
class Declarations:
    """The text of every TOML file, by kind.

    Attributes:
        markets: By market id.
        plans: By market id (SHARED for none) and name.
        sources: By market id (SHARED for none) and name.
        land_use: The built-in land-use tables.
        user_land_use: The user's land-use tables.
    """

    markets: dict[str, TomlText] = field(default_factory=dict)
    plans: dict[tuple[str, str], TomlText] = field(default_factory=dict)
    sources: dict[tuple[str, str], TomlText] = field(default_factory=dict)
    land_use: list[TomlText] = field(default_factory=list)
    user_land_use: list[TomlText] = field(default_factory=list)

    def find_file(self, kind: Literal["plan", "source"], name: str, market_id: str) -> TomlText:
        """Find a plan or source: the market's own, else a shared one, else another market's.

        Args:
            kind: What to look for.
            name: Its name, which is the file name without `.toml`.
            market_id: The market that uses it; SHARED for none.

        Returns:
            The text of the file.

        Raises:
            ConfigError: If no file has this name. The message suggests the nearest name.
        """
        table = self.plans if kind == "plan" else self.sources
        for owner in (market_id, SHARED, *self.markets):
            if (owner, name) in table:
                return table[owner, name]
        raise refuse_name(kind, name, sorted({other_name for _, other_name in table}))


def read_declarations(workspace: Workspace) -> Declarations:
    """Read the text of every built-in and user TOML file, without parsing it.

    Raises:
        ConfigError: If two of the user's files declare the same market, plan or source.
    """
    built_in = _read_built_in()
    user = _read_user_files(workspace, built_in)
    return Declarations(
        markets=dict(sorted((built_in.markets | user.markets).items())),
        plans=_override_built_in(built_in.plans, user.plans),
        sources=_override_built_in(built_in.sources, user.sources),
        land_use=list(built_in.land_use),
        user_land_use=user.land_use,
    )


def load_market(name: str, workspace: Workspace) -> Market:
    """Read the market called `name`. Raises ConfigError."""
    files_by_id = read_declarations(workspace).markets
    if name not in files_by_id:
        raise refuse_name("market", name, list(files_by_id))
    toml = files_by_id[name]
    market = parse_toml(Market, toml.text, toml.label)
    check_id(market.id, name, toml.label, "market")
    return market


def load_plan(name: str, workspace: Workspace, market_id: str = SHARED) -> Plan:
    """Read the plan called `name`.

    Args:
        name: The plan's name.
        workspace: The settings of this run.
        market_id: The market whose own plans are looked up before the shared ones.

    Returns:
        The plan.

    Raises:
        ConfigError: If there is no such plan, or its file has errors.
    """
    toml = read_declarations(workspace).find_file("plan", name, market_id)
    plan = parse_toml(Plan, toml.text, toml.label)
    check_id(plan.id, name, toml.label, "plan")
    return plan


def load_source(name: str, workspace: Workspace, market_id: str = SHARED) -> Source:
    """Read the source called `name`.

    Args:
        name: The source's name.
        workspace: The settings of this run.
        market_id: The market whose own sources are looked up first.

    Returns:
        The source.

    Raises:
        ConfigError: If there is no such source, or its file has errors.
    """
    toml = read_declarations(workspace).find_file("source", name, market_id)
    source = parse_toml(Source, toml.text, toml.label)
    check_id(source.id, name, toml.label, "source")
    return source.set_file(toml.label)


def load_market_source(name: str, market: Market, workspace: Workspace) -> Source:
    """Read the source called `name` as a market uses it: within its bounds, where it is shared.

    Args:
        name: The source's name.
        market: The market that names it.
        workspace: The settings of this run.

    Returns:
        The source.

    Raises:
        ConfigError: If there is no such source, its file has errors, or it is read within the
            market's bounds and the market has none.
    """
    source = load_source(name, workspace, market.id)
    if not source.fetch.market_bounds:
        return source
    if market.bounds is None:
        raise ConfigError(
            f"reading market {market.id}",
            f"source {name!r} is read within the market's bounds, and it has none",
            "add bounds = [west, south, east, north] in degrees to the market's file, wide enough "
            "for what lies near its parcels",
        )
    return source.limit_to(market.bounds)


def load_sources(market: Market, workspace: Workspace) -> tuple[Source, ...]:
    """Read the market's sources, in the order of its list. Raises ConfigError naming all errors."""
    sources: list[Source] = []
    errors: list[ConfigError] = []
    for name in market.sources:
        try:
            sources.append(load_market_source(name, market, workspace))
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigError(
            f"reading the sources of market {market.id}",
            "; ".join(f"{error.doing}: {error.wrong}" for error in errors),
            errors[0].remedy,
        )
    filled_layers = {source.layer for source in sources}
    for layer, reason in (
        ("parcels", "there is nothing to screen"),
        ("zoning", "parcels whose use is vacant, missing or unclassified cannot be judged"),
    ):
        if layer not in filled_layers:
            raise ConfigError(
                f"reading market {market.id}",
                f"none of its sources ({', '.join(market.sources)}) fills the layer {layer!r}: "
                f"{reason}",
                f"add a source of {layer} to `sources` in the market's file",
            )
    return tuple(sources)


def load_land_use(workspace: Workspace) -> tuple[LandUse, ...]:
    """Read every land-use table; a user's table replaces the built-in one of the same codes.

    Raises:
        ConfigError: If a file has errors, or two of the user's tables have the same jurisdiction
            and scheme.
    """
    declarations = read_declarations(workspace)
    tables: dict[tuple[str, str], LandUse] = {}
    for toml in declarations.land_use:
        table = parse_toml(LandUse, toml.text, toml.label)
        tables[table.jurisdiction, table.scheme] = table
    user_files: dict[tuple[str, str], TomlText] = {}
    for toml in declarations.user_land_use:
        table = parse_toml(LandUse, toml.text, toml.label)
        key = (table.jurisdiction, table.scheme)
        if key in user_files:
            raise ConfigError(
                f"reading {toml.label}",
                f"{user_files[key].label} already has the codes of jurisdiction {key[0]!r}, scheme "
                f"{key[1]!r}",
                "put all codes into one of the two files and delete the other",
            )
        user_files[key], tables[key] = toml, table
    return tuple(tables.values())


@functools.cache
def _read_built_in() -> Declarations:
    """Read the files that come with the program; the result is shared and must not be changed."""
    built_in = Declarations()
    for folder in _sorted_items(files("data").joinpath("markets")):
        _read_market_folder(folder, f"data/markets/{folder.name}", built_in)
    _add_folder(built_in.plans, files("flows").joinpath("plans"), "flows/plans", SHARED)
    _add_folder(built_in.sources, files("data").joinpath("shared"), "data/shared", SHARED)
    return built_in


def _read_user_files(workspace: Workspace, built_in: Declarations) -> Declarations:
    user = Declarations()
    old_folders = {folder for key in OLD_KEYS for folder in getattr(workspace, key)}
    for parent in workspace.markets:
        _refuse_market_folder(parent)
        for folder in _sorted_items(parent):
            if _is_market_folder(folder, built_in, old_folders):
                _read_market_folder(folder, f"{parent}/{folder.name}", user)
        for label, item in _toml_files(parent, str(parent)):
            _add_file(user.markets, _stem(item), label, item)
    for parents, table in ((workspace.plans, user.plans), (workspace.sources, user.sources)):
        for parent in parents:
            _add_folder(table, parent, str(parent), SHARED)
    for parent in workspace.land_use:
        user.land_use += _read_texts(parent, str(parent))
    return user


def _override_built_in(
    built_in: dict[tuple[str, str], TomlText], user: dict[tuple[str, str], TomlText]
) -> dict[tuple[str, str], TomlText]:
    """Merge both tables; a user's shared file replaces the built-in files of the same name."""
    replaced = {name for owner, name in user if owner == SHARED}
    remaining = {key: toml for key, toml in built_in.items() if key[1] not in replaced}
    return dict(sorted((remaining | user).items()))


def _has_parts(folder: Traversable) -> bool:
    """Return whether a folder contains files of a market other than market.toml."""
    return folder.joinpath(LAND_USE_FILE).is_file() or any(
        folder.joinpath(name).is_dir() for name in PARTS
    )


def _refuse_market_folder(parent: Path) -> None:
    if parent.joinpath(MARKET_FILE).is_file() and _has_parts(parent):
        raise ConfigError(
            "reading padfinder.toml",
            f"`markets` names {parent}, which is the folder of one market",
            f"name the folder that it is in: {parent.parent}",
        )


def _is_market_folder(folder: Traversable, built_in: Declarations, old_folders: set[Path]) -> bool:
    """Return whether a user's folder declares a market, or adds files to a built-in one.

    Args:
        folder: A folder or file inside a folder that `markets` names.
        built_in: The built-in files.
        old_folders: The folders of the old layout, which may be inside any other folder.

    Returns:
        Whether to read it as a market's folder.

    Raises:
        ConfigError: If it has a market's files but no market.toml, and is not a built-in market.
    """
    if not folder.is_dir():
        return False
    if folder.joinpath(MARKET_FILE).is_file():
        return True
    if not _has_parts(folder) or any(folder.joinpath(name) in old_folders for name in PARTS):
        return False
    if folder.name in built_in.markets:
        return True
    raise ConfigError(
        f"reading the market folder {folder}",
        f"it has no {MARKET_FILE}",
        f"add {MARKET_FILE} (copy the one in data/markets/cambridge), or move the folder elsewhere",
    )


def _read_market_folder(folder: Traversable, label: str, into: Declarations) -> None:
    """Add the files of one market's folder to `into`."""
    market_id = folder.name
    if folder.joinpath(MARKET_FILE).is_file():
        _add_file(into.markets, market_id, f"{label}/{MARKET_FILE}", folder.joinpath(MARKET_FILE))
    land_use = folder.joinpath(LAND_USE_FILE)
    if land_use.is_file():
        into.land_use.append(_read_text(f"{label}/{LAND_USE_FILE}", land_use))
    # A town with several code lists has one file for each.
    if folder.joinpath("land_use").is_dir():
        into.land_use += _read_texts(folder.joinpath("land_use"), f"{label}/land_use")
    for name, table in (("plans", into.plans), ("sources", into.sources)):
        if folder.joinpath(name).is_dir():
            _add_folder(table, folder.joinpath(name), f"{label}/{name}", market_id)


def _add_folder(
    table: dict[tuple[str, str], TomlText], folder: Traversable, label: str, owner: str
) -> None:
    """Add every TOML file of a folder to a table, as files of one market or as shared files."""
    for file_label, item in _toml_files(folder, label):
        _add_file(table, (owner, _stem(item)), file_label, item)


def _add_file(table: dict[KeyT, TomlText], key: KeyT, label: str, item: Traversable) -> None:
    if key in table:
        raise ConfigError(
            f"reading {label}",
            f"{table[key].label} has the same name",
            "delete or rename one of the two files",
        )
    table[key] = _read_text(label, item)


def _read_text(label: str, item: Traversable) -> TomlText:
    return TomlText(label, item.read_text("utf-8"))


def _read_texts(folder: Traversable, label: str) -> list[TomlText]:
    return [_read_text(file_label, item) for file_label, item in _toml_files(folder, label)]


def _sorted_items(folder: Traversable) -> list[Traversable]:
    return sorted(folder.iterdir(), key=lambda item: item.name)


def _toml_files(folder: Traversable, label: str) -> Iterator[tuple[str, Traversable]]:
    for item in _sorted_items(folder):
        if item.name.endswith(".toml") and item.is_file():
            yield f"{label}/{item.name}", item


def _stem(item: Traversable) -> str:
    return item.name.removesuffix(".toml")
