"""Read objects of a bucket: a program of its own, which data.protocols.s3 starts and can end.

It reads a request as JSON from its standard input, and writes an answer as JSON to its standard
output. Nothing else can end a library that waits for a server which sends one byte at a time.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyproj
from pyarrow import fs

from data.protocols.features import FEATURE_ID
from data.protocols.parts import GEOMETRY, write_part

Bounds = tuple[float, float, float, float]

# Stands for the folder whose name comes last in the alphabet, such as that of the newest release.
NEWEST = "{newest}"
_DEFAULT_CRS = "OGC:CRS84"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_COPY_BYTES = 8_000_000
_LISTED_MOST = 20
_FREE_BYTES = 200_000_000
# What the library says where a person has to look, and what that says of the source.
_FAULTS = (
    ("gone", ("NO_SUCH_BUCKET", "NO_SUCH_KEY", "RESOURCE_NOT_FOUND")),
    ("forbidden", ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH",
                   "INVALID_CLIENT_TOKEN_ID", "EXPIRED_TOKEN", "HTTP status 403")),
)  # fmt: skip


class Refused(Exception):
    """The request cannot be answered: what is wrong, what it says of the source, and a remedy."""

    def __init__(
        self, wrong: str, fault: str = "changed", remedy: str = "correct fetch.url"
    ) -> None:
        super().__init__(wrong)
        self.answer = {"refused": wrong, "fault": fault, "remedy": remedy}


def answer_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one request.

    Args:
        request: The address without its scheme (`address`), the limit (`bytes_most`), the degrees
            to read within (`bounds`, or null), the version that is at hand (`known`) and the
            folder to write to (`folder`).

    Returns:
        What was done, or what is wrong.
    """
    try:
        return _read(request)
    except Refused as refused:
        return refused.answer
    except FileNotFoundError as error:
        return Refused(_first_line(error), "gone").answer
    except pa.ArrowException as error:
        return Refused(f"is not whole: {_first_line(error)}").answer
    except OSError as error:
        said = _first_line(error)
        for fault, marks in _FAULTS:
            if any(mark in said for mark in marks):
                return Refused(_plain_words(said), fault).answer
        return {"down": _plain_words(said)}


def _read(request: Mapping[str, Any]) -> dict[str, Any]:
    address = str(request["address"])
    store = _open_store(address.partition("/")[0])
    objects, notes = _find_objects(store, address)
    version = _digest_objects(objects)
    if version == request["known"]:
        return {"unchanged": True}
    folder, most = Path(request["folder"]), int(request["bytes_most"])
    bounds = request["bounds"]
    is_parquet = all(one.path.endswith((".parquet", ".geoparquet")) for one in objects)
    if len(objects) > 1 and not is_parquet:
        raise Refused(
            f"stands for {len(objects)} objects, such as {objects[0].path}, and only Parquet is "
            "read from several",
            remedy="name one object in fetch.url",
        )
    if is_parquet and (len(objects) > 1 or bounds is not None):
        done = _read_rows(store, objects, bounds, most, folder)
    else:
        done = {"file": _copy(store, objects[0], most, folder)}
    return {"version": version, "notes": notes, **done}


def _open_store(bucket: str) -> fs.S3FileSystem:
    """Open S3 as the standard variables of the environment say; without a key, as anybody."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        # Amazon says in which region a bucket is; another server has none.
        region = "us-east-1" if endpoint else fs.resolve_s3_region(bucket)
    has_key = any(
        os.environ.get(name)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
    )
    return fs.S3FileSystem(
        anonymous=not has_key,
        endpoint_override=endpoint,
        region=region,
        connect_timeout=20,
        request_timeout=60,
    )


# ---------------------------------------------------------------------------------------------
# Objects


def _find_objects(store: fs.S3FileSystem, address: str) -> tuple[list[Any], list[str]]:
    """Return the objects that an address stands for, and notes for a reader."""
    notes: list[str] = []
    while NEWEST in address:
        above, _, below = address.partition(NEWEST)
        if not above.endswith("/") or not below.startswith("/"):
            raise Refused(f"has {NEWEST} within a name", remedy=f"write /{NEWEST}/ as a whole name")
        infos = store.get_file_info(fs.FileSelector(above.rstrip("/"), allow_not_found=True))
        names = sorted(one.base_name for one in infos if one.type == fs.FileType.Directory)
        if not names:
            raise Refused(f"has no folder in {above}", "gone")
        notes.append(f"{names[-1]} is the newest of {len(names)} in {above}")
        address = f"{above}{names[-1]}{below}"
    if not any(mark in address for mark in "*?"):
        info = store.get_file_info(address)
        if info.type != fs.FileType.File:
            raise Refused(f"is not there{_list_beside(store, address)}", "gone")
        return [info], notes
    start = re.split(r"[*?]", address, maxsplit=1)[0].rpartition("/")[0]
    if "/" not in address or not start:
        raise Refused("has no bucket", remedy="write s3://BUCKET/KEY")
    infos = store.get_file_info(fs.FileSelector(start, recursive=True, allow_not_found=True))
    pattern = re.compile(_write_regex(address))
    found = [one for one in infos if one.type == fs.FileType.File and pattern.fullmatch(one.path)]
    if not found:
        raise Refused(f"stands for no object{_list_beside(store, f'{start}/x')}", "gone")
    return sorted(found, key=lambda one: str(one.path)), notes


def _write_regex(pattern: str) -> str:
    """Return a pattern as a regular expression; `*` does not reach into another folder."""
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    marks = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(marks.get(part) or re.escape(part) for part in parts)


def _list_beside(store: fs.S3FileSystem, address: str) -> str:
    """Return the names that there are in the folder of an address; "" if there is none."""
    above = address.rpartition("/")[0]
    infos = store.get_file_info(fs.FileSelector(above, allow_not_found=True)) if above else []
    names = sorted(one.base_name for one in infos)
    more = f" and {len(names) - _LISTED_MOST} more" if len(names) > _LISTED_MOST else ""
    return f"; {above} has {', '.join(names[:_LISTED_MOST])}{more}" if names else ""


def _digest_objects(objects: Sequence[Any]) -> str:
    """Return a digest of which objects there are, and when each was written."""
    listed = [[one.path, one.size, one.mtime_ns] for one in objects]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _copy(store: fs.S3FileSystem, info: Any, most: int, folder: Path) -> str:
    """Copy one object to a file, and return the name of the file."""
    _check_size(info.size, most)
    if shutil.disk_usage(folder).free < info.size + _FREE_BYTES:
        raise Refused(
            f"is {info.size:,} bytes long, and the disk is nearly full", "stale", "free space"
        )
    name = f"answer{Path(info.path).suffix.lower()}"
    with store.open_input_stream(info.path) as stream, (folder / name).open("wb") as file:
        while part := stream.read(_COPY_BYTES):
            file.write(part)
    if (folder / name).stat().st_size != info.size:
        raise OSError(f"the answer is cut off: {info.size:,} bytes are due")
    return name


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise Refused(
            f"is {size:,} bytes to read, more than {most:,}",
            remedy="set fetch.bounds, or raise fetch.bytes_most if so much is due",
        )


# ---------------------------------------------------------------------------------------------
# Parquet


def _read_rows(
    store: fs.S3FileSystem,
    objects: Sequence[Any],
    bounds: Sequence[float] | None,
    most: int,
    folder: Path,
) -> dict[str, Any]:
    """Write the rows of Parquet objects within the bounds as parts, one row group at a time."""
    parts = folder / "parts"
    parts.mkdir()
    names: list[str] = []
    crs: Any = None
    total = 0
    for info in objects:
        with pq.ParquetFile(store.open_input_file(info.path), pre_buffer=False) as file:
            shapes, crs, covering = _read_geo(file, info.path)
            box = None if bounds is None else _turn_bounds(bounds, crs)
            groups = list(_choose_groups(file.metadata, covering, box))
            total += sum(file.metadata.row_group(number).total_byte_size for number in groups)
            _check_size(total, most)
            for number in groups:
                rows = _keep_near(file.read_row_group(number), covering, box)
                if len(rows):
                    name = f"{len(names):06}.parquet"
                    write_part(parts / name, _plain_rows(rows, shapes, covering))
                    names.append(name)
    if not names:
        raise Refused("has no row within fetch.bounds", "shrunk", "correct fetch.bounds")
    return {"parts": names, "crs": crs, "bytes_read": total}


def _read_geo(file: pq.ParquetFile, path: str) -> tuple[str, Any, dict[str, list[str]] | None]:
    """Return the column of shapes, its CRS, and where the columns of each shape's box are."""
    schema = file.schema_arrow
    metadata = (schema.metadata or {}).get(b"geo")
    if metadata is None:
        raise Refused(f"is no GeoParquet: {path} does not say which column has shapes")
    geo = json.loads(metadata)
    shapes = geo["primary_column"]
    column = geo["columns"][shapes]
    covering = column.get("covering", {}).get("bbox")
    # Older releases of Overture have the column, and do not say so.
    if (
        covering is None
        and "bbox" in schema.names
        and pa.types.is_struct(schema.field("bbox").type)
    ):
        covering = {corner: ["bbox", corner] for corner in _CORNERS}
    return shapes, column.get("crs", _DEFAULT_CRS) or _DEFAULT_CRS, covering


def _turn_bounds(bounds: Sequence[float], crs: Any) -> Bounds:
    # Other modules that do this import too much for a program that is started each time.
    change = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    west, south, east, north = bounds
    left, bottom, right, top = change.transform_bounds(west, south, east, north, densify_pts=21)
    return left, bottom, right, top


def _choose_groups(
    metadata: pq.FileMetaData, covering: Mapping[str, Sequence[str]] | None, box: Bounds | None
) -> Iterator[int]:
    """Yield the row groups that may have a shape in a box, as the file's statistics say."""
    if covering is None or box is None:
        yield from range(metadata.num_row_groups)
        return
    paths = {".".join(covering[corner]): corner for corner in _CORNERS}
    left, bottom, right, top = box
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        least, most = {}, {}
        for place in range(group.num_columns):
            column = group.column(place)
            corner = paths.get(column.path_in_schema)
            if (
                corner is not None
                and column.statistics is not None
                and column.statistics.has_min_max
            ):
                least[corner], most[corner] = column.statistics.min, column.statistics.max
        is_known = len(least) == len(_CORNERS)
        if not is_known or (
            least["xmin"] <= right
            and most["xmax"] >= left
            and least["ymin"] <= top
            and most["ymax"] >= bottom
        ):
            yield number


def _keep_near(
    rows: pa.Table, covering: Mapping[str, Sequence[str]] | None, box: Bounds | None
) -> pa.Table:
    """Return the rows whose own box meets the bounds."""
    if covering is None or box is None:
        return rows
    left, bottom, right, top = box
    corners = {corner: pc.field(*covering[corner]) for corner in _CORNERS}
    return rows.filter(
        (corners["xmin"] <= right)
        & (corners["xmax"] >= left)
        & (corners["ymin"] <= top)
        & (corners["ymax"] >= bottom)
    )


def _plain_rows(
    rows: pa.Table, shapes: str, covering: Mapping[str, Sequence[str]] | None
) -> pa.Table:
    """Return rows whose columns have one value each: `names.primary` for a value in an object.

    Lists and deeper objects become JSON text. The boxes of the shapes are left out.
    """
    boxes = {covering[corner][0] for corner in _CORNERS} if covering else set()
    shape = rows[shapes].combine_chunks().cast(pa.binary())
    rest = rows.drop_columns([name for name in rows.column_names if name in {shapes, *boxes}])
    columns: dict[str, pa.Array] = {}
    # Flattening leaves columns that are no objects as they are.
    for name, column in zip(rest.flatten().column_names, rest.flatten().columns, strict=True):
        values = column.combine_chunks()
        if pa.types.is_nested(values.type):
            texts = [None if one is None else _write_json(one) for one in values.to_pylist()]
            values = pa.array(texts, pa.string())
        columns[name] = values
    columns.pop(GEOMETRY, None)
    ids = columns["id"].cast(pa.string()) if "id" in columns else pa.nulls(len(rows), pa.string())
    return pa.table(columns | {FEATURE_ID: ids, GEOMETRY: shape})


def _write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _plain_words(said: str) -> str:
    """Return the library's words without the number that the server gives each request."""
    return re.sub(r"\s*\(Request ID: [^)]*\)", "", said)


if __name__ == "__main__":
    json.dump(answer_request(json.load(sys.stdin)), sys.stdout)
