"""Where we run and what we want: padfinder.toml, the environment, markets, plans and sources.

A user's own markets, plans, sources and land-use tables stand in folders that padfinder.toml names;
a file there takes the place of the built-in one of the same name.
"""

import datetime as dt
import difflib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from data import demo
from data.source import Source
from geo import catalogue
from geo.contract.toml import parse_toml
from geo.errors import ConfigError
from geo.model import Frozen, LandUse, Market, Plan

M = TypeVar("M", bound=BaseModel)
Kind = Literal["markets", "plans", "sources", "land_use"]

BUILT_IN: dict[Kind, tuple[str, str]] = {
    "markets": ("flows", "markets"),
    "plans": ("flows", "plans"),
    "sources": ("data", "sources"),
    "land_use": ("geo", "catalogue/land_use"),
}
DEMO = "demo"
VARIABLE = re.compile(r"\$\{(\w+)\}")


class Settings(Frozen):
    """The keys of padfinder.toml. Paths are relative to the file that names them."""

    files: str | None = None
    var: str = "var"
    markets: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    land_use: tuple[str, ...] = ()
    retry_delays_s: tuple[float, ...] = (10, 60, 300)


@dataclass(frozen=True)
class RunSettings:
    """Where this run reads and writes: absolute paths, and how long to wait for a source."""

    var: Path
    files: Path | None
    own: Mapping[Kind, tuple[Path, ...]]
    retry_delays_s: tuple[float, ...]


@dataclass(frozen=True)
class TomlText:
    """The text of one TOML file, and the name by which messages call it."""

    shown: str
    text: str


def read_settings(environment: Mapping[str, str] = os.environ) -> RunSettings:
    """Return where this run reads and writes.

    Reads the padfinder.toml in the working folder (or the file that PADFINDER_CONFIG names), if
    there is one; PADFINDER_FILES and PADFINDER_VAR go before it. Raises ConfigError.
    """
    named = environment.get("PADFINDER_CONFIG")
    config = Path(named or "padfinder.toml").absolute()
    if config.is_file():
        settings = parse_toml(Settings, config.read_text("utf-8"), config.name)
        settings = _fill_variables(settings, config.name, environment)
    elif named:
        raise ConfigError(
            "reading PADFINDER_CONFIG",
            f"there is no file {named}",
            "name a padfinder.toml (padfinder.example.toml shows one), or unset the variable",
        )
    else:
        settings = Settings()
    base = config.parent

    def folders(kind: Kind, names: tuple[str, ...]) -> tuple[Path, ...]:
        paths = tuple(base / name for name in names)
        for path in paths:
            if not path.is_dir():
                raise ConfigError(
                    f"reading {config.name}",
                    f"{kind} names {path}, which is not a folder",
                    "name a folder of TOML files, relative to padfinder.toml",
                )
        return paths

    given = environment.get("PADFINDER_FILES")
    folder = Path(given).absolute() if given else base / settings.files if settings.files else None
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            f"reading {'PADFINDER_FILES' if given else config.name}",
            f"files names {folder}, which is not a folder",
            "name the folder that holds the market's files, or a folder with one folder per market",
        )
    var = environment.get("PADFINDER_VAR")
    own: dict[Kind, tuple[Path, ...]] = {
        "markets": folders("markets", settings.markets),
        "plans": folders("plans", settings.plans),
        "sources": folders("sources", settings.sources),
        "land_use": folders("land_use", settings.land_use),
    }
    return RunSettings(
        var=Path(var).absolute() if var else base / settings.var,
        files=folder,
        own=own,
        retry_delays_s=settings.retry_delays_s,
    )


def read_toml_texts(kind: Kind, where: RunSettings) -> dict[str, TomlText]:
    """Return every TOML file of a kind by its name without the ending, in order of name."""
    package, folder = BUILT_IN[kind]
    root: Traversable = files(package)
    for part in folder.split("/"):
        root = root.joinpath(part)
    found = _read_folder(root, f"{package}/{folder}")
    for own in where.own[kind]:
        found |= _read_folder(own, str(own))
    return dict(sorted(found.items()))


def load_market(name: str, where: RunSettings) -> Market:
    """Return the market called `name`. Raises ConfigError."""
    return _load_model(Market, "markets", name, where)


def load_plan(name: str, where: RunSettings) -> Plan:
    """Return the plan called `name`. Raises ConfigError."""
    return _load_model(Plan, "plans", name, where)


def load_source(name: str, where: RunSettings) -> Source:
    """Return the source called `name`. Raises ConfigError."""
    return _load_model(Source, "sources", name, where)


def load_sources(market: Market, where: RunSettings) -> tuple[Source, ...]:
    """Return the market's sources in its own order. Raises ConfigError naming every fault."""
    found: list[Source] = []
    faults: list[ConfigError] = []
    for name in market.sources:
        try:
            found.append(load_source(name, where))
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
    filled = {source.layer for source in found}
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
    return tuple(found)


def load_land_use(where: RunSettings) -> tuple[LandUse, ...]:
    """Return every land-use table. Raises ConfigError."""
    return tuple(
        parse_toml(LandUse, toml.text, toml.shown)
        for toml in read_toml_texts("land_use", where).values()
    )


def find_files_folder(market: Market, sources: tuple[Source, ...], where: RunSettings) -> Path:
    """Return the folder that the market's file sources are relative to.

    That is the folder of files' own folder for the market where there is one, else the folder of
    files. The demo town writes its own where none is given. Raises ConfigError where files are
    needed and no folder is given.
    """
    if where.files is not None and (where.files / market.id).is_dir():
        return where.files / market.id
    if market.id == DEMO:
        return _write_demo_files(where.var / "files" / DEMO)
    if where.files is not None:
        return where.files
    needing = [source.id for source in sources if source.fetch.path is not None]
    if needing:
        raise ConfigError(
            f"looking for the files of market {market.id}",
            f"no folder of files is given, and {len(needing)} sources need one ({needing[0]} ...)",
            "set PADFINDER_FILES to the folder that holds them, or `files` in padfinder.toml",
        )
    return where.var / "files" / market.id


def store_path(market: Market, where: RunSettings) -> Path:
    """Return where the market's store stands."""
    return where.var / "store" / f"{market.id}.duckdb"


def parse_night(market: Market, night: str | None) -> dt.date:
    """Return the night that is meant: the ISO date given, else today in the market's time zone.

    Raises ConfigError for a text that is no date.
    """
    if night is None:
        return dt.datetime.now(ZoneInfo(market.time_zone)).date()
    try:
        return dt.date.fromisoformat(night)
    except ValueError as error:
        raise ConfigError(
            "reading the night", f"{night!r} is not a date", "write it as 2026-03-31"
        ) from error


def program_version() -> str:
    """Return the version with a digest of the code: two programs that differ are told apart."""
    digest = hashlib.sha256()
    for package in ("data", "flows", "geo", "maps"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*")):
            if path.suffix in {".py", ".sql", ".js", ".css", ".html"} or path.name == "style.toml":
                digest.update(path.relative_to(root.parent).as_posix().encode())
                digest.update(path.read_bytes())
    return f"{version('padfinder')}+{digest.hexdigest()[:8]}"


def digest_plan(plan: Plan) -> str:
    """Return twelve characters that change when what the plan says does."""
    return hashlib.sha256(plan.model_dump_json(by_alias=True).encode()).hexdigest()[:12]


def digest_catalogue(where: RunSettings) -> str:
    """Return a digest of all that we know: the catalogue and the user's own land-use tables."""
    digest = hashlib.sha256()
    for name, text in sorted(catalogue.read_file_texts().items()):
        digest.update(f"{name}\0{text}\0".encode())
    for name, toml in read_toml_texts("land_use", where).items():
        digest.update(f"{name}\0{toml.text}\0".encode())
    return digest.hexdigest()


def _read_folder(folder: Traversable, shown: str) -> dict[str, TomlText]:
    items = sorted(folder.iterdir(), key=lambda item: item.name)
    return {
        item.name.removesuffix(".toml"): TomlText(f"{shown}/{item.name}", item.read_text("utf-8"))
        for item in items
        if item.name.endswith(".toml")
    }


def _load_model(model: type[M], kind: Kind, name: str, where: RunSettings) -> M:
    known = read_toml_texts(kind, where)
    one = kind.removesuffix("s")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"looking for the {one} {name!r}",
            f"there is no {one} of that name",
            f"{hint}use one of {', '.join(known)}, or put {name}.toml in a folder that `{kind}` "
            "in padfinder.toml names",
        )
    found = parse_toml(model, known[name].text, known[name].shown)
    if getattr(found, "id", name) != name:
        raise ConfigError(
            f"reading {known[name].shown}",
            f"id = {found.id!r} is not the file's name",  # type: ignore[attr-defined]
            f"call the file {found.id}.toml, or the {one} {name}",  # type: ignore[attr-defined]
        )
    return found


def _fill_variables(settings: Settings, shown: str, environment: Mapping[str, str]) -> Settings:
    """Return the settings with each ${NAME} in a value taken from the environment.

    Only after parsing, so that no message can show what a variable holds.
    """
    absent: set[str] = set()

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            absent.update(set(VARIABLE.findall(value)) - set(environment))
            return VARIABLE.sub(lambda found: environment.get(found[1], ""), value)
        return tuple(fill(item) for item in value) if isinstance(value, tuple) else value

    filled = settings.model_copy(update={key: fill(value) for key, value in settings})
    if absent:
        raise ConfigError(
            f"reading {shown}",
            f"{', '.join('${' + name + '}' for name in sorted(absent))} is not in the environment",
            "set the variable, or write the value in its place if it is no secret",
        )
    return filled


def _write_demo_files(folder: Path) -> Path:
    """Return the demo town's folder, writing it where absent or by another version of the town."""
    stamp = folder / ".written-by"
    made_by = hashlib.sha256()
    for path in sorted(Path(demo.__file__).parent.rglob("*.py")):
        if "demo" in path.relative_to(Path(demo.__file__).parents[1]).as_posix():
            made_by.update(path.read_bytes())
    if stamp.is_file() and stamp.read_text("utf-8") == made_by.hexdigest():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and moved in, so that a broken-off run leaves no half a town.
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".demo-"))
    try:
        demo.write_town(beside)
        (beside / stamp.name).write_text(made_by.hexdigest(), "utf-8")
        beside.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder
