"""Download a file, and distinguish a source that is down from one that has changed."""

import json
from collections.abc import Sequence
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from data.protocols.formats import CONTENT_TYPES, known_suffix
from geo.errors import PadfinderError, SourceChanged, SourceDown

TIMEOUT_S = 60.0
_SERVER_ERROR, _CLIENT_ERROR, _TOO_MANY_REQUESTS = 500, 400, 429
_HEAD_BYTES = 65_536


class Answer(NamedTuple):
    """What a server says of the file that it sends.

    Attributes:
        url: The address that answered.
        content_type: Its Content-Type, or "".
        content_disposition: Its Content-Disposition, or "".
    """

    url: str
    content_type: str = ""
    content_disposition: str = ""


def download_file(
    urls: Sequence[str],
    path: Path,
    *,
    source_id: str,
    timeout_s: float = TIMEOUT_S,
    bytes_most: int | None = None,
) -> Answer:
    """Download the first of `urls` that answers into the file `path`.

    Args:
        urls: Addresses to try, in order.
        path: The file to write. It does not exist if every address fails.
        source_id: The source, for error messages.
        timeout_s: Seconds to wait for the server to answer, and for each further part.
        bytes_most: Most bytes to accept; None for any number.

    Returns:
        The address that answered, and what the server says of the file.

    Raises:
        SourceDown: At least one address may answer later: status 5xx or 429, a timeout, or a
            connection that is refused or cut off.
        SourceChanged: Every address needs a correction: an invalid address, status 4xx, or status
            200 with an empty body, too large a body, an error page or an error body. Both errors
            name every address.
    """
    failures: list[PadfinderError] = []
    for url in urls:
        try:
            answer = _download(url, path, source_id, timeout_s, bytes_most)
        except (SourceDown, SourceChanged) as error:
            path.unlink(missing_ok=True)
            failures.append(error)
        else:
            return answer
    if len(failures) == 1:
        raise failures[0]
    # If one address is only down, a retry may succeed even where the others need a correction.
    is_down = any(isinstance(failure, SourceDown) for failure in failures)
    kind = SourceDown if is_down else SourceChanged
    wrong = "; ".join(failure.wrong for failure in failures)
    raise kind(failures[0].doing, wrong, failures[0].remedy)


def _download(
    url: str, path: Path, source_id: str, timeout_s: float, bytes_most: int | None
) -> Answer:
    doing = f"downloading source {source_id!r}"
    retry = "try again later; the last good snapshot stays in use"
    check = f"open the address, and correct url in sources/{source_id}.toml if it has moved"
    try:
        with (
            httpx.stream("GET", url, timeout=timeout_s, follow_redirects=True) as answer,
            path.open("wb") as file,
        ):
            status = answer.status_code
            if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
                raise SourceDown(doing, f"{url} answers {status}", retry)
            if status >= _CLIENT_ERROR:
                raise SourceChanged(doing, f"{url} answers {status}", check)
            size = 0
            for part in answer.iter_bytes():
                size += len(part)
                if bytes_most is not None and size > bytes_most:
                    raise SourceChanged(
                        doing,
                        f"{url} answers with more than {bytes_most:,} bytes",
                        f"raise fetch.bytes_most in sources/{source_id}.toml if that is right",
                    )
                file.write(part)
            headers = answer.headers
    except httpx.HTTPError as error:
        raise SourceDown(doing, f"{url}: {type(error).__name__} {error}", retry) from error
    except httpx.InvalidURL as error:
        raise SourceChanged(doing, f"{url} is not an address: {error}", check) from error
    if body_error := _find_error(path):
        raise SourceChanged(doing, f"{url} answers 200 with {body_error}", check)
    return Answer(url, headers.get("content-type", ""), headers.get("content-disposition", ""))


def name_answer(answer: Answer) -> str:
    """Return a name for a downloaded file: that of its address, with the suffix of its kind.

    The suffix is that of the file name in Content-Disposition, else that of the Content-Type, else
    that of the address. The name itself is not taken from the server, because it may hold a date.

    >>> name_answer(Answer("https://host/download?id=7", "text/csv; charset=utf-8"))
    'download.csv'
    """
    place = PurePosixPath(urlsplit(answer.url).path)
    message = Message()
    message["content-type"] = answer.content_type or "application/octet-stream"
    message["content-disposition"] = answer.content_disposition or "inline"
    sent = known_suffix(message.get_filename() or "")
    suffix = sent or CONTENT_TYPES.get(message.get_content_type(), "")
    if not suffix or suffix == known_suffix(place.name):
        return place.name or "answer"
    stem = place.name.removesuffix(known_suffix(place.name))
    return f"{stem or 'answer'}{suffix}"


def _find_error(path: Path) -> str | None:
    """Return what is wrong with the body of an answer whose status is 200, or None."""
    size = path.stat().st_size
    if size == 0:
        return "an empty body"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if b"exceptionreport" in head[:2000].lower():
        return "an OGC exception report"
    # ArcGIS servers answer 200 with {"error": {...}}; such bodies are short.
    if start.startswith(b"{") and size <= _HEAD_BYTES:
        try:
            body = json.loads(head)
        except ValueError:
            return None
        if isinstance(body, dict) and "error" in body:
            return f"an error body: {str(body['error'])[:200]}"
    return None
