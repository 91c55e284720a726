"""Pull a file, or the rows within the bounds, from a bucket: s3://BUCKET/KEY.

The objects are read by pyarrow, with its own S3 and its Parquet reader. DuckDB's would need its
extension httpfs, which comes from a download at run time; pyarrow reads the same row groups.
"""

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data.connection import Connection
from data.notes import RoutineNote
from data.protocols.features import FEATURE_ID
from data.protocols.kept import digest_request, read_kept, write_kept
from data.protocols.pulled import Pulled
from data.protocols.sorted_parts import sort_parts
from data.secrets import SECRET_LENGTH
from data.source import Source
from geo.addresses import show_address
from geo.errors import ConfigError, SourceChanged, SourceDown

SCHEME = "s3://"
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_PACKAGES = Path(__file__).parents[2]


def pull_objects(connection: Connection, source: Source, folder: Path, night: dt.date) -> Pulled:
    """Pull what a source's s3:// address stands for, unless it has not changed.

    One object is copied as it is. Of several Parquet objects, or with bounds, only the rows within
    the bounds are read, from the row groups that may have such rows.

    Args:
        connection: The connection, for its limits.
        source: The source.
        folder: The folder kept for the source.
        night: The night.

    Returns:
        The file.

    Raises:
        SourceDown: The server does not answer in time.
        SourceChanged: There is no such object, it may not be read, or it is too large.
        ConfigError: The address is no s3:// address.
    """
    url = source.fetch.url or ""
    asked = digest_request(source)
    kept = read_kept(folder, asked, night)
    connection.secrets.update(
        text for name in _SECRETS if len(text := os.environ.get(name, "")) >= SECRET_LENGTH
    )
    address = url.removeprefix(SCHEME)
    if "/" not in address.strip("/") or "$" in address or "#" in address:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"fetch.url = {show_address(url)} is not the address of an object",
            "write it as s3://BUCKET/KEY; keys come from AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment",
        )
    with TemporaryDirectory(dir=folder, prefix="reading-") as scratch:
        request = {
            "address": address,
            "bounds": source.fetch.bounds,
            "bytes_most": connection.bytes_most,
            "known": "" if kept is None else kept.version.get("objects", ""),
            "folder": scratch,
        }
        answer = _run_reader(request, url, connection)
        if answer.get("unchanged") and kept is not None:
            return Pulled(kept.file, url, kept.notes)
        notes = tuple(RoutineNote(connection.hide(str(note))) for note in answer["notes"])
        file = _keep_answer(answer, Path(scratch), folder)
    write_kept(folder, asked, night, file, {"objects": str(answer["version"])}, notes)
    return Pulled(file, url, notes)


def _keep_answer(answer: Mapping[str, Any], scratch: Path, folder: Path) -> Path:
    """Return the file in the folder that holds what was read."""
    if "file" in answer:
        name = Path(str(answer["file"]))
        return (scratch / name.name).replace(folder / f"rows{name.suffix}")
    parts = [scratch / "parts" / str(name) for name in answer["parts"]]
    file = folder / "rows.parquet"
    sort_parts(parts, file, answer["crs"], FEATURE_ID)
    return file


def _run_reader(request: Mapping[str, Any], url: str, connection: Connection) -> dict[str, Any]:
    """Have another process read the objects, and end it at the deadline."""
    # The same code as this, from whatever folder padfinder is started.
    paths = os.pathsep.join([str(_PACKAGES), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-P", "-m", "data.protocols.s3_reader"]
    try:
        done = subprocess.run(  # noqa: S603 (our own program)
            command,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=max(connection.deadline_s - time.monotonic(), 0.1),
            check=False,
            env={**os.environ, "PYTHONPATH": paths, "AWS_EC2_METADATA_DISABLED": "true"},
        )
    except subprocess.TimeoutExpired:
        raise SourceDown(
            connection.doing,
            f"{show_address(url)} has not answered whole within {connection.seconds_most:,.0f} s",
            "try again later, or raise fetch.seconds_most in "
            f"sources/{connection.source_id}.toml; the last good snapshot stays in use",
        ) from None
    if done.returncode:
        last = (done.stderr.strip() or "no words").splitlines()[-1]
        raise SourceDown(
            connection.doing,
            connection.hide(f"{show_address(url)}: reading ended early ({last[:200]})"),
            "try again later; the last good snapshot stays in use",
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    _check_answer(answer, url, connection)
    return answer


def _check_answer(answer: Mapping[str, Any], url: str, connection: Connection) -> None:
    """Raise the error that an answer stands for, if it stands for one."""
    shown = show_address(url)
    if "down" in answer:
        raise SourceDown(
            connection.doing,
            connection.hide(f"{shown}: {answer['down']}"),
            "try again later, or check AWS_ENDPOINT_URL and AWS_REGION; the last good snapshot "
            "stays in use",
        )
    if "refused" not in answer:
        return
    remedy = f"{answer['remedy']} in sources/{connection.source_id}.toml"
    if answer["fault"] == "forbidden":
        remedy = (
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment to a key that may "
            f"read it, or correct fetch.url in sources/{connection.source_id}.toml"
        )
    raise SourceChanged(
        connection.doing,
        connection.hide(f"{shown} {answer['refused']}"),
        f"{remedy}; the last good snapshot stays in use",
        fault=answer["fault"],
    )
