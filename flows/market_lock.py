"""Let one run at a time work on a market, and say who holds it.

The lock ends with the process that holds it, even if that is killed.
"""

import datetime as dt
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from flows.settings import Workspace
from geo.errors import StoreError


@contextmanager
def hold_market(market_id: str, workspace: Workspace, doing: str) -> Iterator[None]:
    """Hold a market, so that no other run pulls or publishes it meanwhile.

    A run that holds the market already, such as a night that goes on to publish, holds it again.

    Args:
        market_id: The market.
        workspace: The workspace, in whose folder `var/locks` the lock is.
        doing: What the run does, such as "refreshing", for the message to another run.

    Yields:
        Nothing.

    Raises:
        StoreError: Another run holds the market. The message says which, and since when.
    """
    folder = workspace.var / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{market_id}.lock", is_singleton=True, thread_local=False)
    holder = folder / f"{market_id}.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(
            f"{doing} market {market_id}",
            f"another run holds it: {_read_holder(holder)}",
            "wait until that run has ended, or end it, and try again",
        ) from None
    try:
        if lock.lock_counter == 1:
            _write_holder(holder, doing)
        yield
    finally:
        lock.release()


def _write_holder(path: Path, doing: str) -> None:
    said = {
        "doing": doing,
        "process": os.getpid(),
        "host": socket.gethostname(),
        "user": _name_user(),
        "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(said) + "\n", "utf-8")
    unfinished.replace(path)


def _read_holder(path: Path) -> str:
    """Return who holds a market, in words."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(path.read_text("utf-8"))
        since = dt.datetime.fromisoformat(said["since"])
        return (
            f"process {said['process']} of {said['user']} on {said['host']}, {said['doing']} since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC"
        )
    return "it has not said who it is"


def _name_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "a user"
