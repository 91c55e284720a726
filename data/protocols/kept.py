"""Keep what a pull learned for the next night: the version it saw, and the file that it made."""

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data.ask import Version
from data.notes import RoutineNote
from data.source import Source

# A server may forget to say that something changed, so that everything is pulled once a week.
FULL_EVERY_DAYS = 7
# Raise this when a pull gives another file for the same answers.
_PULL_VERSION = 1
_STATE = "pulled.json"


class Kept(NamedTuple):
    """What an earlier pull left.

    Attributes:
        file: The file with all rows.
        version: What the server said of the version of the rows, by the name it gives it.
        notes: What a reader should know of the pull.
    """

    file: Path
    version: dict[str, str]
    notes: tuple[str, ...]


def name_version(version: Version) -> dict[str, str]:
    """Return the version of an answer as it is kept, beside what a server says in other words."""
    return {"etag": version.etag, "last-modified": version.modified}


def find_version(kept: Kept | None) -> Version:
    """Return the version of the answer that is kept, to ask for a newer one only."""
    known = {} if kept is None else kept.version
    return Version(known.get("etag", ""), known.get("last-modified", ""))


def digest_request(source: Source) -> str:
    """Return the digest of what a source asks its server for. Another one needs a new pull."""
    parts = [str(_PULL_VERSION), source.fetch.model_dump_json()]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def read_kept(folder: Path, asked: str, night: dt.date) -> Kept | None:
    """Return what an earlier pull left, if the next one may use it.

    Args:
        folder: The folder kept for the source.
        asked: The digest of what the source asks for.
        night: The night.

    Returns:
        What is kept; None if there is nothing, if it is damaged, if something else was asked for,
        or if it is a week old.
    """
    try:
        state = json.loads((folder / _STATE).read_text("utf-8"))
        age = (night - dt.date.fromisoformat(state["night"])).days
        file = folder / Path(state["file"]).name
        is_current = state["asked"] == asked and 0 <= age < FULL_EVERY_DAYS
        if not is_current or _digest_file(file) != state["digest"]:
            return None
        version = {str(name): str(value) for name, value in state["version"].items()}
        notes = [RoutineNote(text) if routine else str(text) for text, routine in state["notes"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Kept(file, version, tuple(notes))


def write_kept(
    folder: Path,
    asked: str,
    night: dt.date,
    file: Path,
    version: Mapping[str, str],
    notes: tuple[str, ...] = (),
) -> None:
    """Keep what a pull learned, and delete what earlier pulls have left.

    Args:
        folder: The folder kept for the source.
        asked: The digest of what the source asks for.
        night: The night on which everything was pulled.
        file: The file with all rows, in the folder.
        version: What the server says of their version; empty if it says nothing.
        notes: What a reader should know of the pull.
    """
    state = {
        "asked": asked,
        "night": night.isoformat(),
        "file": file.name,
        "digest": _digest_file(file),
        "version": dict(version),
        "notes": [[str(note), isinstance(note, RoutineNote)] for note in notes],
    }
    unfinished = folder / f"{_STATE}.half"
    unfinished.write_text(json.dumps(state, indent=1), "utf-8")
    unfinished.replace(folder / _STATE)
    for other in folder.iterdir():
        if other.is_dir():
            shutil.rmtree(other, ignore_errors=True)
        elif other.name not in {file.name, _STATE}:
            other.unlink()


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
