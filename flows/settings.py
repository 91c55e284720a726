"""Where a run reads and writes: padfinder.toml, the environment, and a market's folders."""

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

from pydantic import Field

from data import demo
from data.source import Source
from geo.contract.toml import parse_toml
from geo.errors import ConfigError
from geo.model import Frozen, Market

FolderKey = Literal["markets", "plans", "sources", "land_use"]
# Keys of the folder layout before November 2026, which still works.
OLD_KEYS: tuple[Literal["plans", "sources", "land_use"], ...] = ("plans", "sources", "land_use")
DEMO = "demo"
VARIABLE = re.compile(r"\$\{(\w+)\}")


class Settings(Frozen):
    """The keys of padfinder.toml. Paths are relative to that file.

    Attributes:
        files: The folder of the datasets, or a folder with one such folder per market id.
        var: The folder for the store, run logs and published files.
        markets: Folders that hold one folder per market.
        plans: Folders of plans (old layout).
        sources: Folders of sources (old layout).
        land_use: Folders of land-use tables (old layout).
        retry_delays_s: Seconds to wait before each new try of a source that does not answer.
        workers: How many processes screen sites side by side; None: one per core.
        notify_url: Address to which a night's trouble is posted as JSON, once, and once more when
            all is well again.
    """

    files: str | None = None
    var: str = "var"
    markets: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    land_use: tuple[str, ...] = ()
    retry_delays_s: tuple[float, ...] = (10, 60, 300)
    workers: int | None = Field(default=None, ge=1)
    notify_url: str | None = None


@dataclass(frozen=True)
class Workspace:
    """The settings of this run, as absolute paths; the fields are those of Settings."""

    var: Path
    files: Path | None
    markets: tuple[Path, ...]
    plans: tuple[Path, ...]
    sources: tuple[Path, ...]
    land_use: tuple[Path, ...]
    retry_delays_s: tuple[float, ...]
    workers: int
    notify_url: str | None = None


def read_settings(environment: Mapping[str, str] = os.environ) -> Workspace:
    """Read padfinder.toml, if there is one, and the environment variables that override it.

    The file is the one in the working folder, or the one that PADFINDER_CONFIG names.
    PADFINDER_FILES and PADFINDER_VAR override its `files` and `var`.

    Raises:
        ConfigError: If the file has errors, or names a folder or variable that does not exist.
    """
    config_variable = environment.get("PADFINDER_CONFIG")
    config = Path(config_variable or "padfinder.toml").absolute()
    if config.is_file():
        settings = parse_toml(Settings, config.read_text("utf-8"), config.name)
        settings = _fill_variables(settings, config.name, environment)
    elif config_variable:
        raise ConfigError(
            "reading PADFINDER_CONFIG",
            f"there is no file {config_variable}",
            "set it to a padfinder.toml (see padfinder.example.toml), or unset it",
        )
    else:
        settings = Settings()
    base = config.parent

    def find_folders(key: FolderKey) -> tuple[Path, ...]:
        paths = tuple(base / name for name in getattr(settings, key))
        for path in paths:
            if not path.is_dir():
                raise ConfigError(
                    f"reading {config.name}",
                    f"`{key}` names {path}, which is not a folder",
                    f"name an existing folder, relative to padfinder.toml, or delete `{key}`",
                )
        return paths

    files_variable = environment.get("PADFINDER_FILES")
    var_variable = environment.get("PADFINDER_VAR")
    files = base / settings.files if settings.files else None
    if files_variable:
        files = Path(files_variable).absolute()
    if files is not None and not files.is_dir():
        raise ConfigError(
            f"reading {'PADFINDER_FILES' if files_variable else config.name}",
            f"`files` names {files}, which is not a folder",
            "name the folder that holds the market's files, or a folder with one folder per market",
        )
    return Workspace(
        var=Path(var_variable).absolute() if var_variable else base / settings.var,
        files=files,
        markets=find_folders("markets"),
        plans=find_folders("plans"),
        sources=find_folders("sources"),
        land_use=find_folders("land_use"),
        retry_delays_s=settings.retry_delays_s,
        workers=settings.workers or os.cpu_count() or 1,
        notify_url=settings.notify_url,
    )


def find_files_folder(market: Market, sources: tuple[Source, ...], workspace: Workspace) -> Path:
    """Return the folder that the paths of the market's sources are relative to.

    That is the market's own folder inside `files`, if there is one, else `files` itself. The demo
    town's files are written first, unless `files` has a folder for it.

    Args:
        market: The market.
        sources: Its sources, or only those that are about to be pulled.
        workspace: The settings of this run.

    Returns:
        The folder.

    Raises:
        ConfigError: If a source reads files and `files` is not set.
    """
    if workspace.files is not None and (workspace.files / market.id).is_dir():
        return workspace.files / market.id
    if market.id == DEMO:
        return _write_demo_files(workspace.var / "files" / DEMO)
    if workspace.files is not None:
        return workspace.files
    # An absolute path needs no folder.
    file_sources = [
        source.id
        for source in sources
        if source.fetch.path is not None and not Path(source.fetch.path).is_absolute()
    ]
    if file_sources:
        raise ConfigError(
            f"looking for the files of market {market.id}",
            f"no folder of files is set, and {len(file_sources)} sources read from it "
            f"({file_sources[0]} ...)",
            "set PADFINDER_FILES to the folder that holds them, or `files` in padfinder.toml",
        )
    return workspace.var / "files" / market.id


def store_path(market: Market, workspace: Workspace) -> Path:
    """Return the path of the market's store."""
    return workspace.var / "store" / f"{market.id}.duckdb"


def published_folder(market: Market, plan: str, workspace: Workspace) -> Path:
    """Return the folder of what was last published for a market under a plan.

    Args:
        market: The market.
        plan: The plan's id.
        workspace: The settings of this run.

    Returns:
        The folder, which may not exist.
    """
    return workspace.var / "published" / market.id / plan


def parse_night(market: Market, night: str | None) -> dt.date:
    """Parse an ISO date; None means the market's own night, else today in its time zone.

    Raises:
        ConfigError: If the text is not a date.
    """
    if night is None:
        return market.night or dt.datetime.now(ZoneInfo(market.time_zone)).date()
    try:
        return dt.date.fromisoformat(night)
    except ValueError as error:
        raise ConfigError(
            "reading the night", f"{night!r} is not a date", "write it as 2026-03-31"
        ) from error


def _fill_variables(settings: Settings, shown: str, environment: Mapping[str, str]) -> Settings:
    """Replace each ${NAME} in the settings with the environment variable of that name.

    This is done after parsing, so that a parse error cannot show the value of a secret.
    """
    unset: set[str] = set()

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            unset.update(set(VARIABLE.findall(value)) - set(environment))
            return VARIABLE.sub(lambda match: environment.get(match[1], ""), value)
        return tuple(fill(item) for item in value) if isinstance(value, tuple) else value

    filled = settings.model_copy(update={key: fill(value) for key, value in settings})
    if unset:
        raise ConfigError(
            f"reading {shown}",
            f"{', '.join('${' + name + '}' for name in sorted(unset))} is not in the environment",
            "set the variable, or write its value into the file if it is not a secret",
        )
    return filled


def _write_demo_files(folder: Path) -> Path:
    """Write the demo town's files, unless the folder already has those of this version."""
    stamp = folder / ".written-by"
    version = hashlib.sha256()
    for path in sorted(Path(demo.__file__).parent.rglob("*.py")):
        if "demo" in path.relative_to(Path(demo.__file__).parents[1]).as_posix():
            version.update(path.read_bytes())
    if stamp.is_file() and stamp.read_text("utf-8") == version.hexdigest():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Write to a temporary folder first, so that an interrupted run leaves no incomplete town.
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".demo-"))
    try:
        demo.write_town(temporary)
        (temporary / stamp.name).write_text(version.hexdigest(), "utf-8")
        temporary.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
