"""Open a connection to the servers of one source, with its limits, headers and secrets."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

import httpx

from data.secrets import hide_texts, list_header_secrets
from data.variables import fill_variables
from geo.errors import ConfigError, Fault, SourceChanged

TIMEOUT_S = 60.0
BYTES_MOST = 4_000_000_000
# How long all the requests of one source may take together, and how fast they follow each other.
SECONDS_MOST = 3_600.0
REQUESTS_PER_S = 5.0
_LOGGERS = ("httpx", "httpcore")


@dataclass(frozen=True)
class Connection:
    """An open connection to the servers of one source.

    Attributes:
        source_id: The source.
        client: Keeps the connections open between requests.
        timeout_s: Seconds to wait for each part of an answer.
        bytes_most: The largest answer, in bytes after decompression.
        seconds_most: How long all the requests of the source may take together.
        deadline_s: When they must end, on the clock `time.monotonic`.
        pause_s: The shortest time between two requests.
        headers: Further headers for the declared host, with their values.
        redirect_hosts: Other hosts to which it may send on.
        secrets: Texts that no message may repeat.
        asked_s: When the last request began, on the same clock.
    """

    source_id: str
    client: httpx.Client
    timeout_s: float
    bytes_most: int
    seconds_most: float
    deadline_s: float
    pause_s: float
    headers: Mapping[str, str]
    redirect_hosts: Sequence[str]
    secrets: set[str] = field(default_factory=set)
    asked_s: list[float] = field(default_factory=lambda: [float("-inf")])

    @property
    def doing(self) -> str:
        """Return what is being done, for messages."""
        return f"downloading source {self.source_id!r}"

    def hide(self, text: str) -> str:
        """Return a server's or library's words on one line, without this source's secrets."""
        text = hide_texts(text, self.secrets)
        return "".join(mark if mark.isprintable() else " " for mark in text)


@contextmanager
def open_connection(
    source_id: str,
    *,
    timeout_s: float = TIMEOUT_S,
    bytes_most: int = BYTES_MOST,
    seconds_most: float = SECONDS_MOST,
    requests_per_s: float = REQUESTS_PER_S,
    headers: Mapping[str, str] | None = None,
    redirect_hosts: Sequence[str] = (),
) -> Iterator[Connection]:
    """Open a connection for the requests of one source, and close it at the end.

    Args:
        source_id: The source, for error messages.
        timeout_s: Seconds to wait for the server to answer, and for each further part.
        bytes_most: The largest answer, in bytes after decompression.
        seconds_most: How long all the requests may take together.
        requests_per_s: How many requests a second are sent at most.
        headers: Further headers, as declared. They are sent to the declared host alone.
        redirect_hosts: Other hosts ("example.org" or "example.org:8443") to which an address may
            send on.

    Yields:
        The connection.

    Raises:
        ConfigError: A variable is not set, or the computer's network settings are wrong.
    """
    filled = {name: _fill_header(name, value, source_id) for name, value in (headers or {}).items()}
    with quiet_log(), _open_client(source_id, timeout_s) as client:
        connection = Connection(
            source_id=source_id,
            client=client,
            timeout_s=timeout_s,
            bytes_most=bytes_most,
            seconds_most=seconds_most,
            deadline_s=time.monotonic() + seconds_most,
            pause_s=1 / requests_per_s,
            headers=filled,
            redirect_hosts=redirect_hosts,
        )
        for name, value in (headers or {}).items():
            connection.secrets.update(list_header_secrets(name, value, filled[name]))
        # A server that sends one byte at a time keeps every single wait short.
        watch = threading.Timer(seconds_most, client.close)
        watch.daemon = True
        watch.start()
        try:
            yield connection
        finally:
            watch.cancel()


def refuse_answer(connection: Connection, wrong: str, fault: Fault = "changed") -> SourceChanged:
    """Return the error for an answer that is not what the declaration expects.

    Args:
        connection: The connection.
        wrong: What is wrong with the answer, with its address.
        fault: What it says of the source.

    Returns:
        The error, to be raised.
    """
    remedy = (
        f"open the address, and correct fetch.url in sources/{connection.source_id}.toml if it has "
        "moved"
    )
    if fault == "forbidden":
        remedy = (
            "ask the publisher for access, and give the key as ${NAME} in fetch.url or "
            f"fetch.headers in sources/{connection.source_id}.toml"
        )
    return SourceChanged(connection.doing, wrong, remedy, fault=fault)


def _fill_header(name: str, declared: str, source_id: str) -> str:
    """Return a header with its variables filled. Raises ConfigError if it cannot be sent."""
    filled = fill_variables(declared, f"fetch.headers.{name}", source_id).strip()
    # The library would quote the header in its message.
    if not filled.isascii() or not filled.isprintable():
        raise ConfigError(
            f"reading sources/{source_id}.toml",
            f"fetch.headers.{name} holds a line break or a letter that no header may hold, perhaps "
            "in the value of an environment variable",
            "write it in plain letters and on one line",
        )
    return filled


@contextmanager
def quiet_log() -> Iterator[None]:
    """Keep the network library from logging whole addresses and headers."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _LOGGERS]
    loggers = [logging.getLogger(name) for name in {*_LOGGERS, *names}]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _open_client(source_id: str, timeout_s: float) -> httpx.Client:
    agent = f"padfinder/{version('padfinder')}"
    try:
        return httpx.Client(
            timeout=timeout_s, follow_redirects=False, headers={"user-agent": agent}
        )
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise ConfigError(
            f"downloading source {source_id!r}",
            f"the network settings of this computer cannot be used ({type(error).__name__})",
            "correct the environment variables SSL_CERT_FILE, SSL_CERT_DIR, HTTP_PROXY and "
            "HTTPS_PROXY",
        ) from None
