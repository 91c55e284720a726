"""Where a run reads and writes: padfinder.toml, the environment, and the folders of a market."""

import datetime as dt
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from data import demo
from data.source import Source
from geo.contract.toml import parse_toml
from geo.errors import ConfigError
from geo.model import Frozen, Market

FolderKey = Literal["markets", "plans", "sources", "land_use"]
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
class Workspace:
    """Where this run reads and writes: absolute paths, and how long to wait for a source.

    `markets` holds folders of market folders. `plans`, `sources` and `land_use` are the folders of
    the layout before November 2026.
    """

    var: Path
    files: Path | None
    markets: tuple[Path, ...]
    plans: tuple[Path, ...]
    sources: tuple[Path, ...]
    land_use: tuple[Path, ...]
    retry_delays_s: tuple[float, ...]


def read_settings(environment: Mapping[str, str] = os.environ) -> Workspace:
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

    def folders(kind: FolderKey, names: tuple[str, ...]) -> tuple[Path, ...]:
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
    return Workspace(
        var=Path(var).absolute() if var else base / settings.var,
        files=folder,
        markets=folders("markets", settings.markets),
        plans=folders("plans", settings.plans),
        sources=folders("sources", settings.sources),
        land_use=folders("land_use", settings.land_use),
        retry_delays_s=settings.retry_delays_s,
    )


def find_files_folder(market: Market, sources: tuple[Source, ...], workspace: Workspace) -> Path:
    """Return the folder that the market's file sources are relative to.

    That is the folder of files' own folder for the market where there is one, else the folder of
    files. The demo town writes its own where none is given. Raises ConfigError where files are
    needed and no folder is given.
    """
    if workspace.files is not None and (workspace.files / market.id).is_dir():
        return workspace.files / market.id
    if market.id == DEMO:
        return _write_demo_files(workspace.var / "files" / DEMO)
    if workspace.files is not None:
        return workspace.files
    needing = [source.id for source in sources if source.fetch.path is not None]
    if needing:
        raise ConfigError(
            f"looking for the files of market {market.id}",
            f"no folder of files is given, and {len(needing)} sources need one ({needing[0]} ...)",
            "set PADFINDER_FILES to the folder that holds them, or `files` in padfinder.toml",
        )
    return workspace.var / "files" / market.id


def store_path(market: Market, workspace: Workspace) -> Path:
    """Return where the market's store stands."""
    return workspace.var / "store" / f"{market.id}.duckdb"


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
