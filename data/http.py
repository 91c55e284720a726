"""Download a file, and distinguish a source that is down from one that has changed."""

import json
from collections.abc import Sequence
from pathlib import Path

import httpx

from geo.errors import PadfinderError, SourceChanged, SourceDown

TIMEOUT_S = 60.0
_SERVER_ERROR, _CLIENT_ERROR, _TOO_MANY_REQUESTS = 500, 400, 429
_HEAD_BYTES = 65_536


def download_file(
    urls: Sequence[str], path: Path, *, source_id: str, timeout_s: float = TIMEOUT_S
) -> str:
    """Download the first of `urls` that answers into the file `path`, and return that address.

    Args:
        urls: Addresses to try, in order.
        path: The file to write. It does not exist if every address fails.
        source_id: The source, for error messages.
        timeout_s: Seconds to wait for the server to answer, and for each further part.

    Returns:
        The address that answered.

    Raises:
        SourceDown: At least one address may answer later: status 5xx or 429, a timeout, or a
            connection that is refused or cut off.
        SourceChanged: Every address needs a correction: an invalid address, status 4xx, or status
            200 with an empty body, an error page or an error body. Both errors name every address.
    """
    failures: list[PadfinderError] = []
    for url in urls:
        try:
            _download(url, path, source_id, timeout_s)
        except (SourceDown, SourceChanged) as error:
            path.unlink(missing_ok=True)
            failures.append(error)
        else:
            return url
    if len(failures) == 1:
        raise failures[0]
    # If one address is only down, a retry may succeed even where the others need a correction.
    is_down = any(isinstance(failure, SourceDown) for failure in failures)
    kind = SourceDown if is_down else SourceChanged
    wrong = "; ".join(failure.wrong for failure in failures)
    raise kind(failures[0].doing, wrong, failures[0].remedy)


def _download(url: str, path: Path, source_id: str, timeout_s: float) -> None:
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
            for part in answer.iter_bytes():
                file.write(part)
    except httpx.HTTPError as error:
        raise SourceDown(doing, f"{url}: {type(error).__name__} {error}", retry) from error
    except httpx.InvalidURL as error:
        raise SourceChanged(doing, f"{url} is not an address: {error}", check) from error
    if body_error := _find_error(path):
        raise SourceChanged(doing, f"{url} answers 200 with {body_error}", check)


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
