"""Read the body of an answer within its limits, and find out whether it is an error."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from data.connection import Connection, refuse_answer
from data.download_faults import RETRY, SERVER_ERROR, find_body_error
from geo.errors import SourceChanged, SourceDown, StoreError

# So much of the disk stays free.
FREE_BYTES = 200_000_000
# How often the free space of the disk is looked at while an answer is written.
_LOOK_EVERY_BYTES = 64_000_000


def say_late(shown: str, connection: Connection) -> SourceDown:
    """Return the error for requests that together take too long; `shown` is their address."""
    return SourceDown(
        connection.doing,
        f"{shown} has not answered whole within {connection.seconds_most:,.0f} s",
        f"try again later, or raise fetch.seconds_most in sources/{connection.source_id}.toml; the "
        "last good snapshot stays in use",
    )


def check_body(head: bytes, size: int, shown: str, connection: Connection) -> None:
    """Check that a body of status 200 is not empty, nor an error page or an error body.

    Args:
        head: Its beginning.
        size: How many bytes it has.
        shown: The address, for messages.
        connection: The connection.

    Raises:
        SourceDown: It is an error body that blames the server itself.
        SourceChanged: It is empty, or another error.
    """
    if (body_error := find_body_error(head, size)) is not None:
        wrong = connection.hide(f"{shown} answers 200 with {body_error.wrong}")
        error: SourceDown | SourceChanged = refuse_answer(connection, wrong, body_error.fault)
        if body_error.code >= SERVER_ERROR:
            error = SourceDown(connection.doing, wrong, RETRY)
        error.may_be_size = error.fault not in {"forbidden", "gone"}
        raise error


def read_body(
    answer: httpx.Response, shown: str, connection: Connection, bytes_most: int | None = None
) -> Iterator[bytes]:
    """Read a body part by part, and stop as soon as it is too large or too late.

    Args:
        answer: The answer.
        shown: The address, for messages.
        connection: The connection.
        bytes_most: The limit of an answer that is held in memory, if that is lower.

    Yields:
        Its parts, after decompression.

    Raises:
        SourceDown: The time for all requests is over.
        SourceChanged: It is too large.
    """
    limit = min(connection.bytes_most, bytes_most or connection.bytes_most)
    length = answer.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _is_too_large(limit, f": {int(length):,}", shown, connection)
    read = 0
    for part in answer.iter_bytes():
        read += len(part)
        if read > limit:
            raise _is_too_large(limit, "", shown, connection)
        if time.monotonic() >= connection.deadline_s:
            raise say_late(shown, connection)
        yield part


def _is_too_large(limit: int, length: str, shown: str, connection: Connection) -> SourceChanged:
    """Return the error for an answer of more bytes than the limit, with its length if known."""
    option = "raise fetch.bytes_most"
    if limit < connection.bytes_most:
        option = "lower fetch.page_rows"
    error = SourceChanged(
        connection.doing,
        f"{shown} answers with more than {limit:,} bytes{length}",
        f"check the address; if so much is due, {option} in sources/{connection.source_id}.toml",
    )
    error.may_be_size = True
    return error


def write_body(answer: httpx.Response, path: Path, shown: str, connection: Connection) -> None:
    """Write a body into a file, and stop before the disk is full.

    Args:
        answer: The answer.
        path: The file.
        shown: The address, for messages.
        connection: The connection.

    Raises:
        SourceDown: The time for all requests is over.
        SourceChanged: It is too large.
        StoreError: The disk is nearly full.
    """
    length = answer.headers.get("content-length", "")
    _check_space(path, int(length) if length.isdigit() else 0, shown, connection)
    looked, written = 0, 0
    with path.open("wb") as file:
        for part in read_body(answer, shown, connection):
            file.write(part)
            written += len(part)
            if written - looked > _LOOK_EVERY_BYTES:
                looked = written
                _check_space(path, 0, shown, connection)


def _check_space(path: Path, due_bytes: int, shown: str, connection: Connection) -> None:
    """Raise StoreError if the disk has no room for so many bytes."""
    free_bytes = shutil.disk_usage(path.parent).free
    if free_bytes < due_bytes + FREE_BYTES:
        raise StoreError(
            connection.doing,
            f"the disk of {path.parent} has {free_bytes:,} bytes free, and {shown} sends "
            f"{f'{due_bytes:,}' if due_bytes else 'more'}",
            f"free {due_bytes + FREE_BYTES:,} bytes; the last good snapshot stays in use",
        )
