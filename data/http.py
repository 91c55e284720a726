"""Fetch one address to a file, and tell a source that is down from one that has changed."""

import json
from collections.abc import Sequence
from pathlib import Path

import httpx

from geo.errors import PadfinderError, SourceChanged, SourceDown

TIMEOUT_S = 60.0
_SERVER_ERROR, _CLIENT_ERROR, _TOO_MANY = 500, 400, 429
_HEAD_BYTES = 65_536


def download_file(
    urls: Sequence[str], to: Path, *, source_id: str, timeout_s: float = TIMEOUT_S
) -> str:
    """Fetch the first of `urls` that answers into the file `to`, and return its address.

    Nothing is left at `to` when all fail. Raises SourceDown (worth trying again: 5xx, 429, time
    out, refused, cut off) or SourceChanged (4xx, or an error page or body in a 200), the first
    address's error, naming every address tried.
    """
    failures: list[PadfinderError] = []
    for url in urls:
        try:
            _fetch(url, to, source_id, timeout_s)
        except (SourceDown, SourceChanged) as error:
            to.unlink(missing_ok=True)
            failures.append(error)
        else:
            return url
    if len(failures) == 1:
        raise failures[0]
    # One address that is merely down may be back at the next try, whatever the others say.
    kind = SourceDown if any(isinstance(one, SourceDown) for one in failures) else SourceChanged
    raise kind(failures[0].doing, "; ".join(one.wrong for one in failures), failures[0].remedy)


def _fetch(url: str, to: Path, source_id: str, timeout_s: float) -> None:
    doing = f"fetching source {source_id!r}"
    again = "try again later; the last good snapshot stays in use"
    look = f"open the address, and correct url in sources/{source_id}.toml if it has moved"
    try:
        with (
            httpx.stream("GET", url, timeout=timeout_s, follow_redirects=True) as answer,
            to.open("wb") as file,
        ):
            status = answer.status_code
            if status >= _SERVER_ERROR or status == _TOO_MANY:
                raise SourceDown(doing, f"{url} answers {status}", again)
            if status >= _CLIENT_ERROR:
                raise SourceChanged(doing, f"{url} answers {status}", look)
            for part in answer.iter_bytes():
                file.write(part)
    except httpx.HTTPError as error:
        raise SourceDown(doing, f"{url}: {type(error).__name__} {error}", again) from error
    except httpx.InvalidURL as error:
        raise SourceChanged(doing, f"{url} is not an address: {error}", look) from error
    if fault := _find_error(to):
        raise SourceChanged(doing, f"{url} answers 200 with {fault}", look)


def _find_error(path: Path) -> str | None:
    """Return what is wrong with a body that says it is fine, or None."""
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
