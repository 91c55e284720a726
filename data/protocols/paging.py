"""Pull the pages of a server one after another, go on after a cut, and count what came.

Each page is kept as a part, so that a pull that was cut off goes on behind the last one. At the end
the different ids of the features are compared with the number that the server gives.
"""

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from data.connection import Connection
from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.features import FEATURE_ID
from data.protocols.parts import GEOMETRY, write_part
from geo.errors import PadfinderError, SourceChanged, SourceDown

# A server that never comes to an end is left after so many pages, or so many in a row that have no
# new feature.
PAGES_MOST, EMPTY_MOST = 10_000, 3
# A pull that was cut off goes on for this long; the server's rows may have changed by then.
_RESUME_DAYS = 1
_PROGRESS = "progress.json"


class _Unfit(Exception):
    """The pages do not fit together, so that a pull cannot go on behind them."""

    def __init__(self, error: PadfinderError) -> None:
        super().__init__(str(error))
        self.error = error


class Page(NamedTuple):
    """One page of a server's answer.

    Attributes:
        rows: Its rows, with the columns FEATURE_ID and `geometry`.
        bytes: The size of the answer.
        following: What to ask for next, free of secrets; "" after the last page.
        matched: How many features there are in all pages; None if the server does not say.
    """

    rows: pa.Table
    bytes: int
    following: str
    matched: int | None


class Asked(NamedTuple):
    """What is asked for.

    Attributes:
        first: What to ask for first.
        page: Asks for one page.
        request: The digest of the request, and of the version of the rows.
        shown: The address in messages.
    """

    first: str
    page: Callable[[str], Page]
    request: str
    shown: str


@dataclass
class Pages:
    """The pages so far.

    Attributes:
        parts: Their files.
        following: What to ask for next.
        matched: How many features the server says there are.
        rows: How many rows came.
        bytes: The size of the answers.
        box: Left, bottom, right and top of the shapes.
        ids: A digest of each feature's id.
        repeats: How many features came again on a later page.
        repeated: The id of one of them.
        empty: How many pages without a new feature came last.
        is_resumed: Whether the first of them are from a pull that was cut off.
    """

    parts: list[Path]
    following: str
    matched: int | None = None
    rows: int = 0
    bytes: int = 0
    box: list[float] = field(default_factory=lambda: [np.inf, np.inf, -np.inf, -np.inf])
    ids: set[int] = field(default_factory=set)
    repeats: int = 0
    repeated: str = ""
    empty: int = 0
    is_resumed: bool = False


def pull_pages(asked: Asked, folder: Path, night: dt.date, connection: Connection) -> Pages:
    """Pull all pages.

    Args:
        asked: What to ask for.
        folder: The folder kept for the source. The parts are in its folder `parts`, which the
            caller deletes once the rows are joined.
        night: The night.
        connection: The connection.

    Returns:
        The pages.

    Raises:
        SourceDown: The server does not answer, or its rows changed meanwhile. In the first case the
            pages so far are kept, and the next pull goes on behind them.
        SourceChanged: The pages are not whole: a circle, repeated features, too few or too many.
    """
    parts = folder / "parts"
    pages = _read_progress(parts, asked.request, night)
    if pages is not None:
        try:
            return _pull_rest(pages, asked, parts, night, connection)
        except _Unfit:
            pass
        except SourceChanged as error:
            # An address that the server gave for the next page may not hold for ever.
            if error.fault == "forbidden":
                raise
    drop_parts(folder)
    parts.mkdir(parents=True)
    try:
        return _pull_rest(Pages([], asked.first), asked, parts, night, connection)
    except _Unfit as unfit:
        drop_parts(folder)
        raise unfit.error from None


def drop_parts(folder: Path) -> None:
    """Delete the parts once their rows are joined."""
    shutil.rmtree(folder / "parts", ignore_errors=True)


@contextmanager
def dropping_parts(folder: Path) -> Iterator[None]:
    """Delete the parts if a check of all rows fails, so that no later pull goes on behind them."""
    try:
        yield
    except PadfinderError:
        drop_parts(folder)
        raise


def note_pages(pages: Pages) -> tuple[str, ...]:
    """Return what a reader should know of the pages."""
    notes: list[str] = []
    if pages.is_resumed:
        notes.append(RoutineNote("a pull that had been cut off was continued"))
    if pages.repeats:
        notes.append(
            f"{count_noun(pages.repeats, 'feature')} came twice, on two pages, and counted once; "
            "all of them are there"
        )
    return tuple(notes)


def _pull_rest(
    pages: Pages, asked: Asked, parts: Path, night: dt.date, connection: Connection
) -> Pages:
    visited: set[str] = set()
    while pages.following:
        cursor = pages.following
        if cursor in visited:
            raise _refuse(connection, f"{asked.shown} sends its pages in a circle")
        visited.add(cursor)
        page = asked.page(cursor)
        _check_page(page, pages, asked, connection)
        pages.following = page.following
        before = pages.rows
        if len(page.rows):
            _add_rows(page, pages, parts)
            # An address with a secret in it is not kept, and such a pull does not go on.
            if connection.hide(page.following) == page.following:
                _write_progress(pages, asked.request, parts, night)
        if _is_at_end(page, pages.rows - before, pages):
            break
        if len(visited) > PAGES_MOST:
            wrong = f"{asked.shown} has more than {PAGES_MOST:,} pages"
            raise _refuse(connection, wrong, "raise fetch.page_rows, or set fetch.bounds")
    _check_count(pages, asked, connection)
    return pages


def _is_at_end(page: Page, new_rows: int, pages: Pages) -> bool:
    """Return whether no more features follow, or already too many came.

    One page without a new feature may be a gap, and a server may offer a further page after the
    last for ever.
    """
    if new_rows:
        pages.empty = 0
        return pages.matched is not None and pages.rows > pages.matched
    pages.empty += 1
    is_complete = pages.matched is not None and pages.rows >= pages.matched
    return (is_complete and not len(page.rows)) or pages.empty >= EMPTY_MOST


def _check_page(page: Page, pages: Pages, asked: Asked, connection: Connection) -> None:
    """Raise an error if the server changes its count, or sends more bytes than allowed."""
    pages.bytes += page.bytes
    if pages.bytes > connection.bytes_most:
        wrong = f"{asked.shown} answers with more than {connection.bytes_most:,} bytes"
        raise _refuse(connection, wrong, "if so much is due, raise fetch.bytes_most")
    if page.matched is None:
        return
    if pages.matched is not None and pages.matched != page.matched:
        raise _Unfit(
            SourceDown(
                connection.doing,
                f"{asked.shown} said that it has {count_noun(pages.matched, 'feature')}, and then "
                f"{page.matched:,}: it changed while it was pulled",
                "try again later; the last good snapshot stays in use",
            )
        )
    pages.matched = page.matched


def _add_rows(page: Page, pages: Pages, parts: Path) -> None:
    """Write the rows of a page as a part, without the features that came before."""
    rows, is_only = page.rows, not pages.parts and not page.following
    texts = rows[FEATURE_ID].to_pylist()
    is_new = []
    for nth, text in enumerate(texts):
        digest = None if text is None else _digest_id(text)
        is_known = digest is not None and digest in pages.ids
        # Where there is one page only, the same id for other content is no sign of lost rows.
        if is_known and is_only and not _is_repeated(rows, texts, nth):
            is_known = False
        if digest is not None:
            pages.ids.add(digest)
        is_new.append(not is_known)
    if not all(is_new):
        pages.repeats += is_new.count(False)
        pages.repeated = str(texts[is_new.index(False)])
        rows = rows.filter(pa.array(is_new))
    if not len(rows):
        return
    path = parts / f"{len(pages.parts):06}.parquet"
    write_part(path, rows)
    _measure_part(rows, pages)
    pages.parts.append(path)


def _is_repeated(rows: pa.Table, texts: list[str | None], nth: int) -> bool:
    """Return whether an earlier row of the same id is the same in every column."""
    row = rows.slice(nth, 1)
    earlier = [place for place in range(nth) if texts[place] == texts[nth]]
    return any(rows.slice(place, 1).equals(row) for place in earlier)


def _measure_part(rows: pa.Table, pages: Pages) -> None:
    pages.rows += len(rows)
    shapes = shapely.from_wkb(rows[GEOMETRY].to_numpy(zero_copy_only=False))
    left, bottom, right, top = shapely.total_bounds(shapes)
    low, high = np.fmin(pages.box[:2], [left, bottom]), np.fmax(pages.box[2:], [right, top])
    pages.box = [*low.tolist(), *high.tolist()]


def _digest_id(text: str) -> int:
    """Return a number for an id, which takes less memory than the text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _check_count(pages: Pages, asked: Asked, connection: Connection) -> None:
    """Raise SourceChanged unless every feature is there that the server says it has."""
    if pages.matched is not None and pages.rows != pages.matched:
        came = f"{count_noun(pages.rows, 'different feature')} came"
        again = ""
        if pages.repeats:
            again = f", and {pages.repeats:,} of them came again, such as {pages.repeated[:60]!r}"
        wrong = (
            f"{asked.shown} says that it has {count_noun(pages.matched, 'feature')}, but "
            f"{came}{again}"
        )
        remedy = "try again later; if it stays so, tell the publisher"
        raise _refuse(connection, wrong, remedy)
    if pages.matched is None and pages.repeats:
        wrong = (
            f"{asked.shown} sends {count_noun(pages.repeats, 'feature')} on two pages, such as "
            f"{pages.repeated[:60]!r}, and does not say how many there are: others may be missing"
        )
        remedy = "raise fetch.page_rows, so that all fit on one page, or tell the publisher"
        raise _refuse(connection, wrong, remedy)
    if not pages.rows:
        wrong = f"{asked.shown} is an empty layer: 0 features"
        remedy = "correct fetch.filter and fetch.bounds if it has some; if not, remove the source"
        raise _refuse(connection, wrong, remedy, is_shrunk=True)


def _refuse(
    connection: Connection,
    wrong: str,
    remedy: str = "tell the publisher",
    *,
    is_shrunk: bool = False,
) -> _Unfit:
    return _Unfit(
        SourceChanged(
            connection.doing,
            connection.hide(wrong),
            f"{remedy} (sources/{connection.source_id}.toml); the last good snapshot stays in use",
            fault="shrunk" if is_shrunk else None,
        )
    )


# ---------------------------------------------------------------------------------------------
# Progress


def _write_progress(pages: Pages, request: str, parts: Path, night: dt.date) -> None:
    state: dict[str, Any] = {
        "request": request,
        "night": night.isoformat(),
        "parts": len(pages.parts),
        "following": pages.following,
        "matched": pages.matched,
        "bytes": pages.bytes,
        "repeats": pages.repeats,
        "repeated": pages.repeated,
    }
    unfinished = parts / f"{_PROGRESS}.half"
    unfinished.write_text(json.dumps(state), "utf-8")
    unfinished.replace(parts / _PROGRESS)


def _read_progress(parts: Path, request: str, night: dt.date) -> Pages | None:
    """Return the pages of a pull that was cut off; None if there are none, or they are damaged."""
    try:
        state = json.loads((parts / _PROGRESS).read_text("utf-8"))
        age = (night - dt.date.fromisoformat(state["night"])).days
        if state["request"] != request or not 0 <= age <= _RESUME_DAYS:
            return None
        files = [parts / f"{number:06}.parquet" for number in range(int(state["parts"]))]
        pages = Pages(
            files,
            str(state["following"]),
            matched=state["matched"],
            bytes=int(state["bytes"]),
            repeats=int(state["repeats"]),
            repeated=str(state["repeated"]),
            is_resumed=True,
        )
        for file in files:
            rows = pq.read_table(file)
            _measure_part(rows, pages)
            texts = rows[FEATURE_ID].to_pylist()
            pages.ids.update(_digest_id(text) for text in texts if text is not None)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    return pages
