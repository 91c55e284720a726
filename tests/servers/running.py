"""Start real servers that others wrote, on loopback, for as long as the tests need them."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-servers" / "bin" / "python"
START_S = 40.0


def require(program: str | Path, remedy: str) -> str:
    """Return the path of a program; skip the test without it, except in CI."""
    found = shutil.which(program)
    if found is None:
        absent = f"{program} is absent: {remedy}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{absent}, and CI skips nothing")
        pytest.skip(absent)
    return found


def find_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command, ready: str, log: Path, **environment: str) -> Iterator[None]:
    """Run a server until the end of the block, which begins once an address of it answers."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [str(word) for word in command],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env={**kept, **environment},
        ) as process,
    ):
        try:
            _wait(process, ready, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process, ready: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(ready, timeout=5):  # noqa: S310 (our own address)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail(f"{ready} does not answer: {log.read_text(errors='replace')[-2000:]}")
