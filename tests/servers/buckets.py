"""moto's server, which plays S3 with buckets that a test fills."""

import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.running import PYTHON, find_port, require, running


@contextmanager
def serving_buckets(folder: Path) -> Iterator[str]:
    """Serve buckets, and yield the address of the server; `put_objects` fills them."""
    require(PYTHON, "run .ci/install_python_servers")
    program = require(PYTHON.with_name("moto_server"), "run .ci/install_python_servers")
    port = find_port()
    address = f"http://127.0.0.1:{port}"
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    with running(command, f"{address}/moto-api/", folder / "moto.log"):
        yield address


def put_objects(address: str, bucket: str, objects: Mapping[str, bytes]) -> None:
    """Make a bucket that everybody may read, and put objects into it by their keys."""
    _put(f"{address}/{bucket}", b"", {"x-amz-acl": "public-read"})
    for key, body in objects.items():
        _put(f"{address}/{bucket}/{key}", body, {"x-amz-acl": "public-read"})


def _put(address: str, body: bytes, headers: Mapping[str, str]) -> None:
    request = urllib.request.Request(address, body, dict(headers), method="PUT")  # noqa: S310
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310 (our own address)
        pass
