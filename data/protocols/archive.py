"""Unpack a zip or a gzip into a folder of its own, within limits, and find the data in it.

Nothing outside that folder is written or read, whatever the names in a zip say.
"""

import gzip
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from data.protocols.formats import (
    JSON_FORMATS,
    RASTER_FORMATS,
    TITLES,
    Format,
    Sniffed,
    format_of_suffix,
    sniff,
)
from data.protocols.refusal import first_line, join_names, refuse_file
from data.source import Source

# A shapefile is unreadable without these.
SHAPEFILE_PARTS = (".shx", ".dbf")
# A file that grows so much, and to more than this, is taken for a bomb.
RATIO_MOST, SUSPECT_BYTES = 200, 2_000_000_000
# Zips inside zips, and gzips inside them.
DEPTH_MOST = 4
_CHUNK_BYTES = 1_000_000
# A table lies beside shapes as a rule as their description, so it is data only if nothing else is.
_TABLES: tuple[Format, ...] = ("csv", "xlsx")
# Where a name begins with a drive of Windows.
_DRIVE = re.compile(r"[A-Za-z]:")


class Opened(NamedTuple):
    """A file that is not packed.

    Attributes:
        path: The file, or the folder of a file geodatabase.
        kind: Its kind; None for a raster that only GDAL knows.
        member: Its layer or sheet, if it is named.
        scratch: A folder for files that its reader writes.
    """

    path: Path
    kind: Format | None
    member: str | None
    scratch: Path


@dataclass
class _Unpacking:
    """One source's file while it is unpacked: the names for messages, and the bytes so far."""

    shown: str
    source: Source
    folder: Path
    is_raster: bool
    bytes_so_far: int = 0
    packed_bytes: int = 1

    def refuse(self, wrong: str, remedy: str = "fetch the file again") -> Exception:
        return refuse_file(self.shown, self.source.id, wrong, remedy)

    def new_folder(self) -> Path:
        folder = self.folder / str(len(list(self.folder.iterdir())))
        folder.mkdir()
        return folder

    def copy(self, packed: IO[bytes] | gzip.GzipFile, path: Path) -> None:
        """Write the plain bytes of a packed file, but no more than the source allows."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as plain:
            while part := packed.read(_CHUNK_BYTES):
                self.bytes_so_far += len(part)
                self.check_size(self.bytes_so_far)
                plain.write(part)

    def check_size(self, size: int) -> None:
        """Raise SourceChanged if so many plain bytes are too many."""
        if size > SUSPECT_BYTES and size > RATIO_MOST * self.packed_bytes:
            wrong = f"would grow from {self.packed_bytes:,} to {size:,} bytes or more"
            raise self.refuse(wrong, "unpack and check it by hand")
        if size > self.source.fetch.bytes_most:
            wrong = f"unpacks to more than {self.source.fetch.bytes_most:,} bytes"
            raise self.refuse(wrong, "check it, and raise fetch.bytes_most if it is right")


@contextmanager
def open_file(path: Path, source: Source, shown: str) -> Iterator[Opened]:
    """Find a source's rows or cells in a file, a folder, a zip or a gzip.

    A zip is looked into, also in its folders and in a zip inside it; `__MACOSX` is ignored. The
    kind of the file is the declared one, else what its first bytes say, else what its suffix says.

    Args:
        path: The file, or the folder of a file geodatabase.
        source: The source. `fetch.member` is a file inside a zip, or a layer or sheet.
        shown: The name of the file in messages.

    Yields:
        The plain file. It is deleted afterwards if it was packed.

    Raises:
        SourceChanged: Nothing or several things are there and none is named, a part of a shapefile
            is missing, the file is damaged or of another kind than declared, or a zip is encrypted,
            grows too large, or has names that lead out of it. The message lists what there is.
    """
    with TemporaryDirectory(prefix="padfinder-") as folder:
        is_raster = source.fetch.protocol == "raster"
        unpacking = _Unpacking(shown, source, Path(folder), is_raster)
        unpacking.packed_bytes = path.stat().st_size or 1
        yield _open(path, source.fetch.file_member, unpacking, DEPTH_MOST)


def _open(path: Path, member: str | None, unpacking: _Unpacking, depth: int) -> Opened:
    said = sniff(path)
    if said.refused is not None:
        raise unpacking.refuse(said.refused)
    if said.container and depth == 0:
        raise unpacking.refuse(f"is packed more than {DEPTH_MOST} times", "unpack it")
    if said.container == "gzip":
        return _open(_unpack_gzip(path, unpacking), member, unpacking, depth - 1)
    if said.container == "zip":
        plain, member = _unpack_zip(path, member, unpacking)
        return _open(plain, member, unpacking, depth - 1)
    kind = _decide_kind(path, said, unpacking)
    if kind == "shapefile":
        _require_parts([one.name for one in path.parent.iterdir()], path.name, unpacking)
    return Opened(path, kind, member, unpacking.folder)


def _decide_kind(path: Path, said: Sniffed, unpacking: _Unpacking) -> Format | None:
    """Return the kind of a plain file: as declared, as its first bytes say, or by its suffix."""
    declared = unpacking.source.fetch.format
    seen = said.kind
    if declared is None:
        kind = seen or format_of_suffix(path.name)
        if kind is None and not unpacking.is_raster:
            # Text of no known beginning is a table; anything else is refused by its reader.
            kind = "csv"
    else:
        kind = declared
        is_same = seen == declared or (seen in JSON_FORMATS and declared in JSON_FORMATS)
        if seen is not None and not is_same:
            wrong = f"is {TITLES[seen]}, and fetch.format says {TITLES[declared]}"
            raise unpacking.refuse(wrong, "correct or delete fetch.format")
    is_no_raster = seen is not None and seen not in {"geopackage", *RASTER_FORMATS}
    if unpacking.is_raster and seen is not None and is_no_raster:
        raise unpacking.refuse(f"is {TITLES[seen]}, not a raster", "use protocol 'file'")
    if kind in RASTER_FORMATS and not unpacking.is_raster:
        raise unpacking.refuse(f"is {TITLES[kind]}, not rows", "use protocol 'raster'")
    return kind


def _unpack_gzip(path: Path, unpacking: _Unpacking) -> Path:
    plain = unpacking.new_folder() / (path.name.removesuffix(".gz") or "plain")
    try:
        with gzip.open(path, "rb") as packed:
            unpacking.copy(packed, plain)
    except (OSError, EOFError, zlib.error) as error:
        wrong = f"is not a whole gzip ({first_line(error)})"
        raise unpacking.refuse(wrong) from error
    return plain


def _unpack_zip(path: Path, member: str | None, unpacking: _Unpacking) -> tuple[Path, str | None]:
    """Unpack the data of a zip; return its file, and the layer that `member` names in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = _check_zip(archive, unpacking)
            chosen, member = _choose(names, member, unpacking)
            return _extract(archive, names, chosen, unpacking), member
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, zlib.error) as error:
        wrong = f"is not a whole zip ({first_line(error)})"
        raise unpacking.refuse(wrong) from error


def _check_zip(archive: zipfile.ZipFile, unpacking: _Unpacking) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a zip by name; refuse one that is encrypted or leads out of itself."""
    files: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        # Some programs of Windows write their own separator.
        name = info.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if not parts:
            continue
        if ".." in parts or name.startswith("/") or _DRIVE.match(name):
            wrong = f"holds a file called {info.filename!r}, which lies outside the zip"
            raise unpacking.refuse(wrong, "take the data from a publisher that you trust")
        if stat.S_ISLNK(info.external_attr >> 16):
            wrong = f"holds a link instead of a file: {info.filename}"
            raise unpacking.refuse(wrong, "pack the file itself")
        if info.flag_bits & 1:
            wrong = f"is encrypted: {info.filename} needs a password"
            raise unpacking.refuse(wrong, "unpack it by hand")
        if info.is_dir() or "__MACOSX" in parts or parts[-1] == ".DS_Store":
            continue
        if name in files:
            raise unpacking.refuse(f"holds two files called {name}", "unpack it by hand")
        files[name] = info
    unpacking.check_size(unpacking.bytes_so_far + sum(one.file_size for one in files.values()))
    return files


def _choose(
    files: dict[str, zipfile.ZipInfo], member: str | None, unpacking: _Unpacking
) -> tuple[str, str | None]:
    """Return the dataset to read in a zip, and the layer that `member` names in it."""
    names = list(files)
    found = _list_data(names, unpacking)
    if member is not None and member in names:
        return member, None
    if member is not None and len(named := _named_like(member, found)) == 1:
        return named[0], None
    zips = [name for name in names if name.lower().endswith((".zip", ".kmz"))]
    if not found and len(zips) == 1:
        return zips[0], member
    if not found and len(names) == 1:
        return names[0], member
    if len(found) != 1:
        held = join_names(found or names)
        wrong = f"holds {len(found)} datasets: {held}" if found else f"holds no data, only {held}"
        raise unpacking.refuse(wrong, "name one of them in fetch.member")
    return found[0], member


def _list_data(names: list[str], unpacking: _Unpacking) -> list[str]:
    """Return the datasets among the files of a zip; a file geodatabase is a folder."""
    if "doc.kml" in names:
        return ["doc.kml"]  # the main file of a KMZ; it may show others
    declared = unpacking.source.fetch.format
    shapes: dict[str, None] = {}
    tables: dict[str, None] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        inside = next((n for n, part in enumerate(parts) if part.lower().endswith(".gdb")), None)
        kind = "file_geodatabase" if inside is not None else format_of_suffix(name)
        if (
            kind is None
            or name.lower().endswith(".txt")
            or (kind in RASTER_FORMATS) != unpacking.is_raster
        ):
            continue
        is_meant = declared in {None, kind} or (kind == "geojson" and declared in JSON_FORMATS)
        if is_meant:
            dataset = name if inside is None else "/".join(parts[: inside + 1])
            (tables if kind in _TABLES else shapes)[dataset] = None
    return sorted(shapes or tables)


def _named_like(member: str, found: list[str]) -> list[str]:
    paths = [PurePosixPath(name) for name in found]
    return [str(path) for path in paths if member in {path.name, path.stem}]


def _extract(
    archive: zipfile.ZipFile,
    files: dict[str, zipfile.ZipInfo],
    chosen: str,
    unpacking: _Unpacking,
) -> Path:
    """Write a dataset and the files that belong to it; return its file or folder."""
    folder = unpacking.new_folder()
    place = PurePosixPath(chosen)
    kind = format_of_suffix(chosen)
    stem = str(place.with_suffix("")).lower()
    if kind == "shapefile":
        _require_parts(list(files), chosen, unpacking)
    if kind == "file_geodatabase" and chosen not in files:
        parts = [name for name in files if name.startswith(f"{chosen}/")]
    elif kind == "vrt":
        parts = list(files)
    else:
        # Beside a shapefile or a raster lie its index, its CRS and its encoding.
        parts = [name for name in files if name.lower().startswith(f"{stem}.")]
        parts = parts if kind == "shapefile" or unpacking.is_raster else [chosen]
    for name in parts:
        # GDAL finds the parts of a shapefile only if they are written alike.
        is_part = kind == "shapefile"
        alike = f"{place.with_suffix('')}{name[len(stem) :].lower()}" if is_part else name
        with archive.open(files[name]) as packed:
            try:
                unpacking.copy(packed, folder / alike)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise unpacking.refuse(f"is not a whole zip ({name} is damaged)") from error
    return folder / (f"{place.with_suffix('')}.shp" if kind == "shapefile" else chosen)


def _require_parts(names: list[str], shp: str, unpacking: _Unpacking) -> None:
    """Raise SourceChanged if the index or the table of a shapefile is missing."""
    have = {name.lower() for name in names}
    for suffix in SHAPEFILE_PARTS:
        part = str(PurePosixPath(shp).with_suffix(suffix))
        if part.lower() not in have:
            raise unpacking.refuse(f"lacks {part}", "fetch the whole shapefile")
