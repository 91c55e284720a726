"""What a pull keeps in its folder: the pages of one that was cut off, and what the last one saw.

Nothing here holds a secret: of an address only what `show_address` shows is kept. What is damaged
or missing leads to a new, full pull.
"""

import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from data.protocols.arcgis.query import Listing, Query
from data.protocols.parts import write_part
from geo.addresses import show_address

# Raise this when the files of older pulls are not to be used any more.
STATE_VERSION = 1
ROWS, LAST, UNFINISHED, MANIFEST = "rows.parquet", "last_pull.json", "unfinished", "manifest.json"
# All rows are pulled again after so many days, and no older page is used.
FULL_EVERY_DAYS = 7


class LastPull(NamedTuple):
    """What is known of the last complete pull.

    Attributes:
        full_on: The night of the last pull of all rows.
        began: When the last pull began, in UTC.
        edited: When the rows were last edited, as the server said then.
        row_count: How many rows the server said it had then; None if it did not say.
        reference: The spatial reference of the shapes, as the server wrote it.
    """

    full_on: dt.date
    began: dt.datetime
    edited: str
    row_count: int | None
    reference: dict[str, Any]


class Unfinished(NamedTuple):
    """The pages of a pull that is under way.

    Attributes:
        folder: Where they are.
        full_on: The night on which the pull began.
        began: When it began, in UTC.
        parts: The files of the pages that are there.
        reference: The spatial reference of their shapes, as the server wrote it.
    """

    folder: Path
    full_on: dt.date
    began: dt.datetime
    parts: list[Path]
    reference: dict[str, Any]


def digest_query(query: Query) -> str:
    """Return the digest of what is asked of a layer and how it is read, without secrets."""
    layer = query.layer
    columns = [layer.id_column, *query.columns]
    asked = {
        "version": STATE_VERSION,
        "address": show_address(layer.address),
        "types": [[name, layer.types[name]] for name in columns],
        "words": query.words,
        "shape": layer.shape_type,
        "reference": layer.reference,
        "filter": query.filter,
        "box": query.box,
    }
    return _digest(asked)


def name_pull(query: Query, listing: Listing, last: LastPull | None) -> str:
    """Return the digest of everything that must stay as it is for a pull to go on.

    Args:
        query: What is asked of the layer.
        listing: The rows that the server says it has.
        last: The pull whose rows are used; None if all rows are pulled.

    Returns:
        The digest.
    """
    ids = "" if listing.ids is None else hashlib.sha256(listing.ids.tobytes()).hexdigest()
    since = "" if last is None else last.began.isoformat()
    return _digest([digest_query(query), query.layer.edited, ids, listing.row_count, since])


def read_last_pull(folder: Path, asked: str, night: dt.date) -> LastPull | None:
    """Return what is known of the last complete pull.

    Args:
        folder: The folder of the source.
        asked: The digest of what is asked now.
        night: The night.

    Returns:
        None if there is none, if something else was asked, if its rows are damaged, or if it is
        time for a pull of all rows.
    """
    try:
        said = json.loads((folder / LAST).read_text("utf-8"))
        last = LastPull(
            dt.date.fromisoformat(said["full_on"]),
            dt.datetime.fromisoformat(said["began"]),
            str(said["edited"]),
            None if said["count"] is None else int(said["count"]),
            dict(said["reference"]),
        )
        is_whole = said["asked"] == asked and said["rows"] == _digest_file(folder / ROWS)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    age = (night - last.full_on).days
    if not is_whole or last.began.tzinfo is None or not 0 <= age < FULL_EVERY_DAYS:
        return None
    return last


def write_last_pull(folder: Path, asked: str, last: LastPull) -> None:
    """Keep what is known of a complete pull, whose rows are in the folder.

    Args:
        folder: The folder of the source.
        asked: The digest of what was asked.
        last: What is known.
    """
    said = {
        "asked": asked,
        "full_on": last.full_on.isoformat(),
        "began": last.began.isoformat(),
        "edited": last.edited,
        "count": last.row_count,
        "reference": last.reference,
        "rows": _digest_file(folder / ROWS),
    }
    _write_json(folder / LAST, said)


def open_unfinished(folder: Path, fits: str, night: dt.date) -> Unfinished:
    """Open the pages of a pull that was cut off, if they fit; else begin a new one.

    Args:
        folder: The folder of the source.
        fits: The digest of everything that must be as it was.
        night: The night.

    Returns:
        The pages that are there.
    """
    own = folder / UNFINISHED
    try:
        said = json.loads((own / MANIFEST).read_text("utf-8"))
        full_on = dt.date.fromisoformat(said["full_on"])
        began = dt.datetime.fromisoformat(said["began"])
        parts = sorted(own.glob("*.parquet"))
        references = [_read_reference(part) for part in parts]
        if said["fits"] == fits and 0 <= (night - full_on).days < FULL_EVERY_DAYS:
            return Unfinished(own, full_on, began, parts, next(filter(None, references), {}))
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):
        pass
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    began = dt.datetime.now(dt.UTC)
    manifest = {"fits": fits, "full_on": night.isoformat(), "began": began.isoformat()}
    _write_json(own / MANIFEST, manifest)
    return Unfinished(own, night, began, [], {})


def add_part(unfinished: Unfinished, table: pa.Table, reference: dict[str, Any]) -> None:
    """Write the rows of a page among the pages of a pull.

    Args:
        unfinished: The pull.
        table: The rows.
        reference: The spatial reference of the shapes, as the server writes it.
    """
    path = unfinished.folder / f"{len(unfinished.parts) + 1:06}.parquet"
    write_part(path, table.replace_schema_metadata({"reference": json.dumps(reference)}))
    unfinished.parts.append(path)


def _read_reference(part: Path) -> dict[str, Any]:
    said = json.loads((pq.read_schema(part).metadata or {})[b"reference"])
    return dict(said)


def close_unfinished(unfinished: Unfinished) -> None:
    """Remove the pages of a pull that is complete or is to begin anew."""
    shutil.rmtree(unfinished.folder, ignore_errors=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Any) -> None:
    unfinished = path.with_name(f"{path.name}.half")
    unfinished.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", "utf-8")
    unfinished.replace(path)
