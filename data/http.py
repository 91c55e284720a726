"""Download a file, and distinguish a source that is down from one that has changed.

Only the declared host is asked: an address that sends on to another host is followed if the source
declares that host. Nothing secret in an address or header is logged or shown.
"""

import logging
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import httpx

from data.download_faults import (
    FAULTS,
    explain_trouble,
    find_body_error,
    find_cause,
    read_wait,
)
from data.protocols.formats import CONTENT_TYPES, known_suffix
from data.variables import fill_variables, list_values
from geo.addresses import show_address
from geo.errors import (
    ConfigError,
    Fault,
    PadfinderError,
    SourceChanged,
    SourceDown,
    StoreError,
)

TIMEOUT_S = 60.0
BYTES_MOST = 4_000_000_000
REDIRECTS_MOST = 10
_SERVER_ERROR, _REDIRECT = 500, 300
# Request timeout, too early, too many requests: the same request may succeed later.
_LATER = frozenset({408, 425, 429})
# Shorter parts of an address, such as "1" or "json", are ordinary words of a message.
_SECRET_LENGTH = 6
# A longer name than this may be too long for the file system.
_NAME_LENGTH = 100
_PORTS = {"http": 80, "https": 443}
RETRY = "try again later; the last good snapshot stays in use"
_CERTIFICATE_REMEDY = (
    "check the address and the clock of this computer, or tell the publisher; if your own network "
    "replaces certificates, set SSL_CERT_FILE to its certificates; the last good snapshot stays in "
    "use"
)


class Answer(NamedTuple):
    """What answered a request, apart from the file.

    Attributes:
        url: The address that answered, as declared.
        content_type: Its Content-Type, or "".
        content_disposition: Its Content-Disposition, or "".
        failed: What is wrong with each address that was tried before.
    """

    url: str
    content_type: str = ""
    content_disposition: str = ""
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Request:
    """What is asked of every address of a source.

    Attributes:
        source_id: The source.
        timeout_s: Seconds to wait for each part of an answer.
        bytes_most: The largest answer.
        headers: Further headers for the declared host.
        redirect_hosts: Other hosts to which it may send on.
        secrets: Texts that no message may repeat.
    """

    source_id: str
    timeout_s: float
    bytes_most: int
    headers: Mapping[str, str]
    redirect_hosts: Sequence[str]
    secrets: set[str] = field(default_factory=set)

    @property
    def doing(self) -> str:
        return f"downloading source {self.source_id!r}"

    def hide(self, text: str) -> str:
        """Return a server's or library's words on one line, without this request's secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return "".join(mark if mark.isprintable() else " " for mark in text)


def download_file(
    urls: Sequence[str],
    path: Path,
    *,
    source_id: str,
    timeout_s: float = TIMEOUT_S,
    bytes_most: int = BYTES_MOST,
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
    failed: list[PadfinderError] = []
    filled = {
        name: fill_variables(value, f"fetch.headers.{name}", source_id)
        for name, value in (headers or {}).items()
    }
    request = _Request(source_id, timeout_s, bytes_most, filled, redirect_hosts)
    request.secrets.update(value for value in filled.values() if len(value) >= _SECRET_LENGTH)
    for url in urls:
        try:
            answer = _download(url, path, request)
        except (SourceDown, SourceChanged) as error:
            path.unlink(missing_ok=True)
            failed.append(error)
        else:
            return answer._replace(failed=tuple(error.wrong for error in failed))
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


def _download(declared: str, path: Path, request: _Request) -> Answer:
    shown = request.hide(show_address(declared)).strip() or "an empty text"
    address = fill_variables(declared, "fetch.url", request.source_id)
    request.secrets.update(value for value in list_values(declared) if value)
    try:
        url = httpx.URL(address)
        request.secrets.update(_list_secrets(url))
    except (httpx.InvalidURL, UnicodeError):
        # The library's message may quote a part of the address.
        raise _refuse(request, f"{shown} is not an address") from None
    if url.scheme not in _PORTS or not url.host:
        raise _refuse(request, f"{shown} is not an address that starts with https:// or http://")
    with _quiet_log(), _open_client(request) as client:
        try:
            headers = _follow(client, url, shown, path, request)
        except httpx.InvalidURL:
            wrong = f"{shown} sends on to something that is not an address"
            raise _refuse(request, wrong) from None
        except (httpx.HTTPError, UnicodeError) as error:
            wrong = request.hide(explain_trouble(error, request.timeout_s))
            remedy = _CERTIFICATE_REMEDY if find_cause(error, ssl.SSLError) else RETRY
            raise SourceDown(request.doing, f"{shown}: {wrong}", remedy) from None
        except OSError as error:
            raise StoreError(
                request.doing,
                f"the file {path} cannot be written: {error.strerror}",
                "check the free space of the disk and the rights to the folder",
            ) from error
    if (body_error := find_body_error(path)) is not None:
        wrong, fault = body_error
        raise _refuse(request, request.hide(f"{shown} answers 200 with {wrong}"), fault)
    disposition = headers.get("content-disposition", "")
    return Answer(declared, headers.get("content-type", ""), disposition)


def _follow(
    client: httpx.Client, first: httpx.URL, shown: str, path: Path, request: _Request
) -> httpx.Headers:
    """Write the answer of an address into `path`, after the redirects that are allowed."""
    url = first
    for _ in range(REDIRECTS_MOST + 1):
        headers = request.headers if _is_same_host(first, url) else {}
        with client.stream("GET", url, headers=headers) as answer:
            target = answer.headers.get("location")
            if answer.is_redirect and target:
                url = _check_redirect(first, url, target, shown, request)
                continue
            _check_status(answer, shown, request)
            _write_body(answer, path, shown, request)
            return answer.headers
    raise _refuse(request, f"{shown} sends on more than {REDIRECTS_MOST} times, in a circle")


def _check_redirect(
    first: httpx.URL, from_url: httpx.URL, location: str, shown: str, request: _Request
) -> httpx.URL:
    """Return the address to ask next. Raises SourceChanged if it may not be asked."""
    to_url = from_url.join(location)
    target = request.hide(show_address(str(to_url)))
    if to_url.scheme not in _PORTS:
        raise _refuse(request, f"{shown} sends on to {target}, which is not a network address")
    if from_url.scheme == "https" and to_url.scheme == "http":
        raise _refuse(request, f"{shown} sends on to {target}, from https to http")
    if _is_same_host(first, to_url):
        user = {} if to_url.userinfo else {"username": first.username, "password": first.password}
        return to_url.copy_with(**user) if first.userinfo else to_url
    if {to_url.host, _name_host(to_url)} & set(request.redirect_hosts):
        return to_url
    host = to_url.host if to_url.port is None else _name_host(to_url)
    raise SourceChanged(
        request.doing,
        f"{shown} sends on to another host: {target}",
        f'if you trust that host, add redirect_hosts = ["{host}"] to [fetch] in '
        f"sources/{request.source_id}.toml, or correct fetch.url",
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


def _check_status(answer: httpx.Response, shown: str, request: _Request) -> None:
    """Raise SourceDown or SourceChanged for a status that is not success."""
    status = answer.status_code
    says = f"{shown} answers {status} ({answer.reason_phrase or 'no reason given'})"
    if status >= _SERVER_ERROR or status in _LATER:
        wait_s = read_wait(answer.headers.get("retry-after", ""))
        asks = f" and asks to wait {wait_s:,.0f} s" if wait_s else ""
        error = SourceDown(request.doing, request.hide(says + asks), RETRY)
        error.wait_s = wait_s
        raise error
    if status >= _REDIRECT:
        raise _refuse(request, request.hide(says), FAULTS.get(status, "changed"))


def _write_body(answer: httpx.Response, path: Path, shown: str, request: _Request) -> None:
    """Write the body, and stop as soon as it is larger than allowed."""
    remedy = (
        f"check the address; if so much is due, raise fetch.bytes_most in "
        f"sources/{request.source_id}.toml"
    )
    wrong = f"{shown} answers with more than {request.bytes_most:,} bytes"
    length = answer.headers.get("content-length", "")
    if length.isdigit() and int(length) > request.bytes_most:
        raise SourceChanged(request.doing, f"{wrong}: {int(length):,}", remedy)
    written = 0
    with path.open("wb") as file:
        for part in answer.iter_bytes():
            written += len(part)
            if written > request.bytes_most:
                raise SourceChanged(request.doing, wrong, remedy)
            file.write(part)


def _refuse(request: _Request, wrong: str, fault: Fault = "changed") -> SourceChanged:
    remedy = (
        f"open the address, and correct fetch.url in sources/{request.source_id}.toml if it has "
        "moved"
    )
    if fault == "forbidden":
        remedy = (
            "ask the publisher for access, and give the key as ${NAME} in fetch.url or "
            f"fetch.headers in sources/{request.source_id}.toml"
        )
    return SourceChanged(request.doing, wrong, remedy, fault=fault)


# ---------------------------------------------------------------------------------------------
# Secrets and the client


def _list_secrets(url: httpx.URL) -> set[str]:
    """Return the parts of an address that no message may repeat: its user, password and query."""
    values = [value for _, value in url.params.multi_items()]
    texts = {url.username, url.password, url.query.decode("ascii"), *values}
    return {text for text in texts if len(text) >= _SECRET_LENGTH}


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Keep the network library from logging whole addresses and headers."""
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _open_client(request: _Request) -> httpx.Client:
    try:
        return httpx.Client(timeout=request.timeout_s, follow_redirects=False)
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise ConfigError(
            request.doing,
            f"the network settings of this computer cannot be used ({type(error).__name__})",
            "correct the environment variables SSL_CERT_FILE, SSL_CERT_DIR, HTTP_PROXY and "
            "HTTPS_PROXY",
        ) from None
