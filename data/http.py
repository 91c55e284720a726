"""Download the file of a source from the first of its addresses that answers."""

import re
from collections.abc import Mapping, Sequence
from email.message import Message
from pathlib import Path
from typing import NamedTuple

from data.ask import Version, download, read_version
from data.connection import BYTES_MOST, SECONDS_MOST, TIMEOUT_S, Connection, open_connection
from data.protocols.formats import CONTENT_TYPES, known_suffix
from geo.errors import PadfinderError, SourceChanged, SourceDown

# A longer name than this may be too long for the file system.
_NAME_LENGTH = 100


class Answer(NamedTuple):
    """What answered a request, apart from the file.

    Attributes:
        url: The address that answered, as declared.
        content_type: Its Content-Type, or "".
        content_disposition: Its Content-Disposition, or "".
        failed: What is wrong with each address that was tried before.
        version: What the server says of the version of the file.
        is_unchanged: Whether it is the version that was known, and no file was written.
    """

    url: str
    content_type: str = ""
    content_disposition: str = ""
    failed: tuple[str, ...] = ()
    version: Version = Version()
    is_unchanged: bool = False


def download_file(
    urls: Sequence[str],
    path: Path,
    *,
    source_id: str,
    timeout_s: float = TIMEOUT_S,
    bytes_most: int = BYTES_MOST,
    seconds_most: float = SECONDS_MOST,
    headers: Mapping[str, str] | None = None,
    redirect_hosts: Sequence[str] = (),
) -> Answer:
    """Download the first of `urls` that answers into the file `path`.

    Args:
        urls: Addresses to try, in order, as declared: ${NAME} is filled from the environment.
        path: The file to write. It does not exist if every address fails.
        source_id: The source, for error messages.
        timeout_s: Seconds to wait for the server to answer, and for each further part.
        bytes_most: The largest answer, in bytes after decompression.
        seconds_most: How long all addresses together may take.
        headers: Further headers, as declared. They are sent to the declared host alone.
        redirect_hosts: Other hosts ("example.org" or "example.org:8443") to which an address may
            send on.

    Returns:
        The address that answered, what its server says of the file, and what failed before.

    Raises:
        SourceDown: At least one address may answer later: status 5xx or 429, a timeout, no such
            host, an untrusted certificate, or a connection that is refused or cut off.
        SourceChanged: Every address needs a correction: an invalid address, status 4xx, a redirect
            that is not allowed, an answer that is too large, or status 200 with an empty body, an
            error page or an error body. Both errors name every address.
        ConfigError: A variable is not set, or the computer's network settings are wrong.
    """
    with open_connection(
        source_id,
        timeout_s=timeout_s,
        bytes_most=bytes_most,
        seconds_most=seconds_most,
        headers=headers,
        redirect_hosts=redirect_hosts,
    ) as connection:
        return download_first(connection, urls, path)


def download_first(
    connection: Connection,
    urls: Sequence[str],
    path: Path,
    known: Mapping[str, Version] | None = None,
) -> Answer:
    """Download the first of `urls` that answers, over a connection that is open.

    Args:
        connection: The connection.
        urls: As for `download_file`.
        path: As for `download_file`.
        known: The version that is at hand, by the address that gave it.

    Returns:
        As for `download_file`.

    Raises:
        SourceDown: As for `download_file`.
        SourceChanged: As for `download_file`.
        ConfigError: A variable is not set.
    """
    failed: list[PadfinderError] = []
    for url in urls:
        try:
            version = (known or {}).get(url, Version())
            answered = download(connection, url, path, known=version)
        except (SourceDown, SourceChanged) as error:
            path.unlink(missing_ok=True)
            failed.append(error)
        else:
            before = tuple(error.wrong for error in failed)
            if answered is None:
                return Answer(url, failed=before, version=version, is_unchanged=True)
            return Answer(
                url,
                answered.get("content-type", ""),
                answered.get("content-disposition", ""),
                before,
                read_version(answered),
            )
    if len(failed) == 1:
        raise failed[0]
    # If one address is only down, a retry may succeed even where the others need a correction.
    down = [failure for failure in failed if isinstance(failure, SourceDown)]
    first = (down or failed)[0]
    wrong = "; ".join(failure.wrong for failure in failed)
    combined = type(first)(first.doing, wrong, first.remedy, fault=first.fault)
    if isinstance(combined, SourceDown):
        combined.wait_s = max((one.wait_s or 0 for one in down), default=0) or None
    raise combined


def name_answer(answer: Answer) -> str:
    """Return a name for a downloaded file: that of its address, with the suffix of its kind.

    The suffix is that of the file name in Content-Disposition, else that of the Content-Type, else
    that of the address. The name itself is not taken from the server, because it may hold a date.

    >>> name_answer(Answer("https://host/download?id=7", "text/csv; charset=utf-8"))
    'download.csv'
    >>> name_answer(Answer("https://host/..")), name_answer(Answer("https://host/my%20lots.zip"))
    ('answer', 'my_20lots.zip')
    """
    path = re.split(r"[?#]", answer.url.partition("://")[2], maxsplit=1)[0]
    _, _, last = path.partition("/")[2].rpartition("/")
    name = re.sub(r"[^\w.-]+", "_", last)[-_NAME_LENGTH:].lstrip(".")
    message = Message()
    message["content-type"] = answer.content_type or "application/octet-stream"
    message["content-disposition"] = answer.content_disposition or "inline"
    sent = known_suffix(message.get_filename() or "")
    suffix = sent or CONTENT_TYPES.get(message.get_content_type(), "")
    if not suffix or suffix == known_suffix(name):
        return name or "answer"
    return f"{name.removesuffix(known_suffix(name)) or 'answer'}{suffix}"
