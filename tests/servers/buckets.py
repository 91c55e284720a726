"""moto's server, which plays S3 with buckets that a test fills."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

from tests.servers.running import PYTHON, find_port, require, running


@contextmanager
def serving_buckets(folder: Path) -> Iterator[str]:
    """Serve buckets, and yield the address of the server; `put_objects` fills them."""
    program = require(PYTHON.with_name("moto_server"), "run .ci/install_python_servers")
    port = find_port()
    address = f"http://127.0.0.1:{port}"
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    with running(command, f"{address}/moto-api/", folder / "moto.log"):
        yield address


def put_objects(address: str, bucket: str, objects: Mapping[str, bytes]) -> None:
    """Make a bucket and put objects into it by their keys."""
    store = fs.S3FileSystem(
        access_key="a",
        secret_key="b",  # noqa: S106 (moto takes any)
        endpoint_override=address,
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir(bucket)
    for key, body in objects.items():
        with store.open_output_stream(f"{bucket}/{key}") as stream:
            stream.write(body)
