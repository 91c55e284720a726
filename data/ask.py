"""Ask the server of a source, and distinguish a source that is down from one that has changed.

Only the declared host is asked: an address that sends on to another host is followed if the source
declares that host. Nothing secret in an address or header is logged or shown.
"""

import json
import shutil
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from data.connection import Connection, refuse_answer
from data.download_faults import (
    FAULTS,
    explain_trouble,
    find_body_error,
    find_cause,
    read_wait,
)
from data.secrets import list_secrets
from data.variables import fill_variables, list_values
from geo.addresses import show_address
from geo.errors import (
    SourceChanged,
    SourceDown,
    StoreError,
)

REDIRECTS_MOST = 10
# How often a request is repeated while a server does not answer, and the waits between, in
# seconds. A server's own Retry-After comes first, up to WAIT_MOST_S.
TRIES = 4
WAITS_S = (1.0, 4.0, 16.0)
WAIT_MOST_S = 120.0
RETRY = "try again later; the last good snapshot stays in use"
# So much of the disk stays free.
FREE_BYTES = 200_000_000
_CERTIFICATE_REMEDY = (
    "check the address and the clock of this computer, or tell the publisher; if your own network "
    "replaces certificates, set SSL_CERT_FILE to its certificates; the last good snapshot stays in "
    "use"
)

_SERVER_ERROR, _REDIRECT = 500, 300
# Request timeout, too early, too many requests: the same request may succeed later.
_LATER = frozenset({408, 425, 429})
_PORTS = {"http": 80, "https": 443}
# How often the free space of the disk is looked at while an answer is written.
_LOOK_EVERY_BYTES = 64_000_000
_HEAD_BYTES = 65_536


class Reply(NamedTuple):
    """An answer that is held in memory.

    Attributes:
        url: The address that was asked, as declared, without the parameters.
        body: The body, after decompression.
        headers: The headers of the answer.
    """

    url: str
    body: bytes
    headers: httpx.Headers


def download(connection: Connection, declared: str, path: Path) -> httpx.Headers:
    """Download one address into a file.

    Args:
        connection: The connection.
        declared: The address as declared: ${NAME} is filled from the environment.
        path: The file to write. It may be there in part after an error.

    Returns:
        The headers of the answer.

    Raises:
        SourceDown: It may answer later: status 5xx or 429, a timeout, no such host, an untrusted
            certificate, or a connection that is refused or cut off.
        SourceChanged: It needs a correction: an invalid address, status 4xx, a redirect that is
            not allowed, an answer that is too large, or status 200 with an empty body, an error
            page or an error body.
        StoreError: The file cannot be written, or the disk is nearly full.
        ConfigError: A variable is not set.
    """
    with _ask_once(connection, declared, {}) as (answer, shown):
        try:
            _write_body(answer, path, shown, connection)
        except OSError as error:
            raise StoreError(
                connection.doing,
                f"the file {path} cannot be written: {error.strerror}",
                "check the free space of the disk and the rights to the folder",
            ) from error
        headers = answer.headers
    with path.open("rb") as file:
        head, size = file.read(_HEAD_BYTES), path.stat().st_size
    _check_body(head, size, shown, connection)
    return headers


def ask(
    connection: Connection, declared: str, parameters: Mapping[str, str] | None = None
) -> Reply:
    """Ask one address, and hold the answer in memory; repeat the request while it does not answer.

    Args:
        connection: The connection.
        declared: The address as declared: ${NAME} is filled from the environment.
        parameters: Parameters to add to the address's own.

    Returns:
        The answer.

    Raises:
        SourceDown: As for `download`, after TRIES requests; `wait_s` is how long the server asks
            to wait, if that is longer than WAIT_MOST_S.
        SourceChanged: As for `download`.
        ConfigError: A variable is not set.
    """
    for wait_s in (*WAITS_S[: TRIES - 1], None):
        try:
            with _ask_once(connection, declared, parameters or {}) as (answer, shown):
                body = b"".join(_read_parts(answer, shown, connection))
                headers = answer.headers
            _check_body(body[:_HEAD_BYTES], len(body), shown, connection)
        except SourceDown as error:
            asked_s = error.wait_s if error.wait_s is not None else wait_s
            if wait_s is None or asked_s is None or asked_s > WAIT_MOST_S:
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
    reply = ask(connection, declared, parameters)
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        start = connection.hide(reply.body[:60].decode("utf-8", "replace")).strip()
        wrong = f"{show_address(declared)} answers with what is not a JSON object: {start!r}"
        raise refuse_answer(connection, wrong)
    return found


@contextmanager
def _ask_once(
    connection: Connection, declared: str, parameters: Mapping[str, str]
) -> Iterator[tuple[httpx.Response, str]]:
    """Send one request, and yield an answer of status 200 and the address as shown in messages.

    What goes wrong while the answer is read becomes an error that names the address.
    """
    shown = connection.hide(show_address(declared)).strip() or "an empty text"
    address = fill_variables(declared, "fetch.url", connection.source_id)
    connection.secrets.update(value for value in list_values(declared) if value)
    try:
        url = httpx.URL(address)
        connection.secrets.update(list_secrets(url))
    except (httpx.InvalidURL, UnicodeError):
        # The library's message may quote a part of the address.
        raise refuse_answer(connection, f"{shown} is not an address") from None
    if url.scheme not in _PORTS or not url.host:
        wrong = f"{shown} is not an address that starts with https:// or http://"
        raise refuse_answer(connection, wrong)
    if parameters:
        url = url.copy_merge_params(dict(parameters))
    time.sleep(max(connection.asked_s[0] + connection.pause_s - time.monotonic(), 0.0))
    connection.asked_s[0] = time.monotonic()
    try:
        with _follow(url, shown, connection) as answer:
            yield answer, shown
    except httpx.InvalidURL:
        wrong = f"{shown} sends on to something that is not an address"
        raise refuse_answer(connection, wrong) from None
    except (httpx.HTTPError, httpx.StreamError, UnicodeError, RuntimeError) as error:
        if time.monotonic() >= connection.deadline_s:
            raise _is_late(shown, connection) from None
        if isinstance(error, RuntimeError):
            raise
        wrong = connection.hide(explain_trouble(error, connection.timeout_s))
        remedy = _CERTIFICATE_REMEDY if find_cause(error, ssl.SSLError) else RETRY
        raise SourceDown(connection.doing, f"{shown}: {wrong}", remedy) from None


def _is_late(shown: str, connection: Connection) -> SourceDown:
    return SourceDown(
        connection.doing,
        f"{shown} has not answered whole within {connection.seconds_most:,.0f} s",
        f"try again later, or raise fetch.seconds_most in sources/{connection.source_id}.toml; the "
        "last good snapshot stays in use",
    )


@contextmanager
def _follow(first: httpx.URL, shown: str, connection: Connection) -> Iterator[httpx.Response]:
    """Yield the answer of an address of status 200, after the redirects that are allowed."""
    url = first
    for _ in range(REDIRECTS_MOST + 1):
        headers = connection.headers if _is_same_host(first, url) else {}
        with connection.client.stream("GET", url, headers=headers) as answer:
            target = answer.headers.get("location")
            if answer.is_redirect and target:
                url = _check_redirect(first, url, target, shown, connection)
                continue
            _check_status(answer, shown, connection)
            yield answer
            return
    wrong = f"{shown} sends on more than {REDIRECTS_MOST} times, in a circle"
    raise refuse_answer(connection, wrong)


def _check_redirect(
    first: httpx.URL, from_url: httpx.URL, location: str, shown: str, connection: Connection
) -> httpx.URL:
    """Return the address to ask next. Raises SourceChanged if it may not be asked."""
    to_url = from_url.join(location)
    target = connection.hide(show_address(str(to_url)))
    if to_url.scheme not in _PORTS:
        raise refuse_answer(connection, f"{shown} sends on to {target}, not a network address")
    if from_url.scheme == "https" and to_url.scheme == "http":
        raise refuse_answer(connection, f"{shown} sends on to {target}, from https to http")
    if _is_same_host(first, to_url):
        user = {} if to_url.userinfo else {"username": first.username, "password": first.password}
        return to_url.copy_with(**user) if first.userinfo else to_url
    if {to_url.host, _name_host(to_url)} & set(connection.redirect_hosts):
        return to_url
    host = to_url.host if to_url.port is None else _name_host(to_url)
    raise SourceChanged(
        connection.doing,
        f"{shown} sends on to another host: {target}",
        f'if you trust that host, add redirect_hosts = ["{host}"] to [fetch] in '
        f"sources/{connection.source_id}.toml, or correct fetch.url",
    )


def _name_host(url: httpx.URL) -> str:
    return f"{url.host}:{url.port or _PORTS[url.scheme]}"


def _is_same_host(first: httpx.URL, other: httpx.URL) -> bool:
    """Return whether two addresses are at one host and port; https may replace http."""
    if first.host != other.host:
        return False
    is_upgrade = first.scheme == "http" and other.scheme == "https"
    has_usual_ports = first.port is None and other.port is None
    return _name_host(first) == _name_host(other) or (is_upgrade and has_usual_ports)


def _check_status(answer: httpx.Response, shown: str, connection: Connection) -> None:
    """Raise SourceDown or SourceChanged for a status that is not success."""
    status = answer.status_code
    says = f"{shown} answers {status} ({answer.reason_phrase or 'no reason given'})"
    if status >= _SERVER_ERROR or status in _LATER:
        wait_s = read_wait(answer.headers.get("retry-after", ""))
        asks = f" and asks to wait {wait_s:,.0f} s" if wait_s else ""
        error = SourceDown(connection.doing, connection.hide(says + asks), RETRY)
        error.wait_s = wait_s
        raise error
    if status >= _REDIRECT:
        raise refuse_answer(connection, connection.hide(says), FAULTS.get(status, "changed"))


def _check_body(head: bytes, size: int, shown: str, connection: Connection) -> None:
    """Raise SourceChanged if a body of status 200 is empty, or an error page or an error body."""
    if (body_error := find_body_error(head, size)) is not None:
        wrong, fault = body_error
        raise refuse_answer(connection, connection.hide(f"{shown} answers 200 with {wrong}"), fault)


def _read_parts(answer: httpx.Response, shown: str, connection: Connection) -> Iterator[bytes]:
    """Yield the body part by part, and stop as soon as it is too large or too late."""
    remedy = (
        f"check the address; if so much is due, raise fetch.bytes_most in "
        f"sources/{connection.source_id}.toml"
    )
    wrong = f"{shown} answers with more than {connection.bytes_most:,} bytes"
    length = answer.headers.get("content-length", "")
    if length.isdigit() and int(length) > connection.bytes_most:
        raise SourceChanged(connection.doing, f"{wrong}: {int(length):,}", remedy)
    read = 0
    for part in answer.iter_bytes():
        read += len(part)
        if read > connection.bytes_most:
            raise SourceChanged(connection.doing, wrong, remedy)
        if time.monotonic() >= connection.deadline_s:
            raise _is_late(shown, connection)
        yield part


def _write_body(answer: httpx.Response, path: Path, shown: str, connection: Connection) -> None:
    """Write the body into a file, and stop before the disk is full."""
    length = answer.headers.get("content-length", "")
    _check_space(path, int(length) if length.isdigit() else 0, shown, connection)
    looked, written = 0, 0
    with path.open("wb") as file:
        for part in _read_parts(answer, shown, connection):
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
