"""Ask the server of a source, and distinguish a source that is down from one that has changed.

Only the declared host is asked: an address that sends on to another host is followed if the source
declares that host. Nothing secret in an address or header is logged or shown.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from data.answer_body import check_body, read_body, say_late, write_body
from data.connection import Connection, refuse_answer
from data.download_faults import (
    FAULTS,
    RETRY,
    SERVER_ERROR,
    explain_trouble,
    find_cause,
    read_wait,
)
from data.redirects import PORTS, check_link, check_redirect, is_same_host
from data.secrets import list_secrets
from data.variables import fill_variables, list_values
from geo.addresses import show_address
from geo.errors import SourceDown, StoreError

REDIRECTS_MOST = 10
# How often a request is repeated while a server does not answer, and the waits between, in
# seconds. A server's own Retry-After comes first, up to WAIT_MOST_S.
TRIES = 4
WAITS_S = (1.0, 4.0, 16.0)
WAIT_MOST_S = 120.0
_CERTIFICATE_REMEDY = (
    "check the address and the clock of this computer, or tell the publisher; if your own network "
    "replaces certificates, set SSL_CERT_FILE to its certificates; the last good snapshot stays in "
    "use"
)

_REDIRECT, _NOT_MODIFIED = 300, 304
# Request timeout, too early, too many requests: the same request may succeed later.
_LATER = frozenset({408, 425, 429})
_HEAD_BYTES = 65_536
# The largest answer that is held in memory: a page of rows.
PAGE_BYTES_MOST = 128_000_000


class Version(NamedTuple):
    """What a server says of the version of an answer; both are "" if it does not say.

    Attributes:
        etag: Its ETag.
        modified: Its Last-Modified.
    """

    etag: str = ""
    modified: str = ""


class Reply(NamedTuple):
    """An answer that is held in memory.

    Attributes:
        url: The address that was asked, as declared, without the parameters.
        body: The body, after decompression.
        headers: The headers of the answer.
        is_unchanged: Whether the server says that its answer is the known version, without a body.
    """

    url: str
    body: bytes
    headers: httpx.Headers
    is_unchanged: bool = False


class _Request(NamedTuple):
    """What is asked for: an address, and what the public functions say of it."""

    address: str
    parameters: Mapping[str, str] = MappingProxyType({})
    linked_from: str | None = None
    known: Version = Version()


def read_version(headers: httpx.Headers) -> Version:
    """Return what an answer's headers say of its version."""
    return Version(headers.get("etag", ""), headers.get("last-modified", ""))


def download(
    connection: Connection,
    declared: str,
    path: Path,
    *,
    linked_from: str | None = None,
    known: Version = Version(),  # noqa: B008 (it cannot be changed)
) -> httpx.Headers | None:
    """Download one address into a file.

    Args:
        connection: The connection.
        declared: The address as declared: ${NAME} is filled from the environment.
        path: The file to write. It may be there in part after an error.
        linked_from: The declared address whose answer names this one, if it is not declared
            itself. It is then used as it is, and must be at a host that is declared.
        known: The version that is at hand, and need not be sent again.

    Returns:
        The headers of the answer; None if the known version is the current one, and no file is
        written.

    Raises:
        SourceDown: It may answer later: status 5xx or 429, a timeout, no such host, an untrusted
            certificate, or a connection that is refused or cut off.
        SourceChanged: It needs a correction: an invalid address, status 4xx, a redirect that is
            not allowed, an answer that is too large, or status 200 with an empty body, an error
            page or an error body.
        StoreError: The file cannot be written, or the disk is nearly full.
        ConfigError: A variable is not set.
    """
    request = _Request(declared, linked_from=linked_from, known=known)
    with _ask_once(connection, request) as (answer, shown):
        if answer.status_code == _NOT_MODIFIED:
            return None
        try:
            write_body(answer, path, shown, connection)
        except OSError as error:
            raise StoreError(
                connection.doing,
                f"the file {path} cannot be written: {error.strerror}",
                "check the free space of the disk and the rights to the folder",
            ) from error
        headers = answer.headers
    with path.open("rb") as file:
        head, size = file.read(_HEAD_BYTES), path.stat().st_size
    check_body(head, size, shown, connection)
    return headers


def ask(
    connection: Connection,
    declared: str,
    parameters: Mapping[str, str] | None = None,
    *,
    linked_from: str | None = None,
    known: Version = Version(),  # noqa: B008 (it cannot be changed)
    tries: int = TRIES,
) -> Reply:
    """Ask one address, and hold the answer in memory; repeat the request while it does not answer.

    Args:
        connection: The connection.
        declared: The address as declared: ${NAME} is filled from the environment.
        parameters: Parameters to add to the address's own.
        linked_from: As for `download`.
        known: As for `download`.
        tries: How often to ask at most where a request for less may succeed, unless the server
            itself asks to wait.

    Returns:
        The answer.

    Raises:
        SourceDown: As for `download`, after so many requests; `wait_s` is how long the server asks
            to wait, if that is longer than WAIT_MOST_S.
        SourceChanged: As for `download`.
        ConfigError: A variable is not set.
    """
    request = _Request(declared, parameters or {}, linked_from, known)
    for nth, wait_s in enumerate((*WAITS_S[: TRIES - 1], None), start=1):
        try:
            with _ask_once(connection, request) as (answer, shown):
                if answer.status_code == _NOT_MODIFIED:
                    return Reply(declared, b"", answer.headers, is_unchanged=True)
                body = b"".join(read_body(answer, shown, connection, PAGE_BYTES_MOST))
                headers = answer.headers
            check_body(body[:_HEAD_BYTES], len(body), shown, connection)
        except SourceDown as error:
            asked_s = error.wait_s if error.wait_s is not None else wait_s
            if wait_s is None or asked_s is None or asked_s > WAIT_MOST_S:
                raise
            if nth >= tries and error.may_be_size and error.wait_s is None:
                raise
            if time.monotonic() + asked_s > connection.deadline_s:
                raise
            time.sleep(asked_s)
        else:
            return Reply(declared, body, headers)
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def ask_json(
    connection: Connection, declared: str, parameters: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Ask one address for a JSON object.

    Args:
        connection: The connection.
        declared: The address as declared: ${NAME} is filled from the environment.
        parameters: Parameters to add to the address's own.

    Returns:
        The object.

    Raises:
        SourceDown: As for `ask`.
        SourceChanged: As for `ask`, or the answer is not a whole JSON object.
        ConfigError: A variable is not set.
    """
    return parse_object(connection, ask(connection, declared, parameters))


def parse_object(connection: Connection, reply: Reply) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Args:
        connection: The connection, for messages.
        reply: The answer.

    Returns:
        The object.

    Raises:
        SourceChanged: The answer is not a whole JSON object.
    """
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        start = connection.hide(reply.body[:60].decode("utf-8", "replace")).strip()
        shown = connection.hide(show_address(reply.url))
        wrong = f"{shown} answers with what is not a whole JSON object: {start!r}"
        error = refuse_answer(connection, wrong)
        error.may_be_size = True
        raise error
    return found


@contextmanager
def _ask_once(connection: Connection, request: _Request) -> Iterator[tuple[httpx.Response, str]]:
    """Send one request, and yield an answer of status 200 and the address as shown in messages.

    The status is 304 if the known version is the current one. What goes wrong while the answer is
    read becomes an error that names the address.
    """
    first = _read_address(connection, request.linked_from or request.address)
    url, shown = first, connection.hide(show_address(request.address))
    try:
        if request.linked_from is not None:
            from_shown = connection.hide(show_address(request.linked_from))
            url = check_link(first, request.address, from_shown, connection)
        if request.parameters:
            url = url.copy_merge_params(dict(request.parameters))
        time.sleep(max(connection.asked_s[0] + connection.pause_s - time.monotonic(), 0.0))
        connection.asked_s[0] = time.monotonic()
        with _follow(first, url, request.known, shown, connection) as answer:
            yield answer, shown
    except httpx.InvalidURL:
        wrong = f"{shown} sends on to something that is not an address"
        raise refuse_answer(connection, wrong) from None
    except (httpx.HTTPError, httpx.StreamError, UnicodeError, RuntimeError) as error:
        if time.monotonic() >= connection.deadline_s:
            raise say_late(shown, connection) from None
        if isinstance(error, RuntimeError):
            raise
        wrong = connection.hide(explain_trouble(error, connection.timeout_s))
        remedy = _CERTIFICATE_REMEDY if find_cause(error, ssl.SSLError) else RETRY
        down = SourceDown(connection.doing, f"{shown}: {wrong}", remedy)
        down.may_be_size = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        raise down from None


def _read_address(connection: Connection, declared: str) -> httpx.URL:
    """Return a declared address with its variables filled. Raises SourceChanged if it is none."""
    shown = connection.hide(show_address(declared)).strip() or "an empty text"
    address = fill_variables(declared, "fetch.url", connection.source_id)
    connection.secrets.update(value for value in list_values(declared) if value)
    try:
        url = httpx.URL(address)
        connection.secrets.update(list_secrets(url))
    except (httpx.InvalidURL, UnicodeError):
        # The library's message may quote a part of the address.
        raise refuse_answer(connection, f"{shown} is not an address") from None
    if url.scheme not in PORTS or not url.host:
        wrong = f"{shown} is not an address that starts with https:// or http://"
        raise refuse_answer(connection, wrong)
    return url


@contextmanager
def _follow(
    first: httpx.URL, url: httpx.URL, known: Version, shown: str, connection: Connection
) -> Iterator[httpx.Response]:
    """Yield the answer of an address of status 200, after the redirects that are allowed.

    `first` is the declared address, at whose host alone the declared headers are sent.
    """
    conditions = {"if-none-match": known.etag, "if-modified-since": known.modified}
    conditions = {name: text for name, text in conditions.items() if text}
    for _ in range(REDIRECTS_MOST + 1):
        headers = connection.headers if is_same_host(first, url) else {}
        sent = {**conditions, **headers}
        # A server that says nothing must not be waited for beyond the deadline.
        wait_s = min(
            connection.timeout_s, max(connection.deadline_s - time.monotonic(), 0.0) + 0.05
        )
        with connection.client.stream("GET", url, headers=sent, timeout=wait_s) as answer:
            target = answer.headers.get("location")
            if answer.status_code == _NOT_MODIFIED and conditions:
                yield answer
                return
            if answer.is_redirect and target:
                url = check_redirect(first, url, target, shown, connection)
                continue
            _check_status(answer, shown, connection)
            yield answer
            return
    wrong = f"{shown} sends on more than {REDIRECTS_MOST} times, in a circle"
    raise refuse_answer(connection, wrong)


def _check_status(answer: httpx.Response, shown: str, connection: Connection) -> None:
    """Raise SourceDown or SourceChanged for a status that is not success."""
    status = answer.status_code
    says = f"{shown} answers {status} ({answer.reason_phrase or 'no reason given'})"
    if status >= SERVER_ERROR or status in _LATER:
        wait_s = read_wait(answer.headers.get("retry-after", ""))
        asks = f" and asks to wait {wait_s:,.0f} s" if wait_s else ""
        error = SourceDown(connection.doing, connection.hide(says + asks), RETRY)
        error.wait_s, error.may_be_size = wait_s, status >= SERVER_ERROR
        raise error
    if status >= _REDIRECT:
        raise refuse_answer(connection, connection.hide(says), FAULTS.get(status, "changed"))
