"""Keep the raw files of each snapshot, compressed, in a folder beside the store."""

import gzip
import hashlib
import json
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

from data.protocols.formats import sniff
from data.protocols.shards import is_sidecar
from data.protocols.virtual import point_virtual_file

# The fastest level of compression. On real files the usual one saves a few percent more, and takes
# two to three times as long; it used to be a third of the time of a whole refresh.
_LEVEL = 1
# A file whose middle does not shrink below this share, such as a zip or a GeoParquet, is kept as
# it is, in the frame of a gzip.
_WORTHWHILE, _PROBE_BYTES = 0.67, 1_000_000


def raw_files_folder(store: Path, source_id: str, raw_digest: str) -> Path:
    """Return the folder beside the store that keeps a source's raw files.

    Args:
        store: File of the store.
        source_id: The source whose files are kept.
        raw_digest: Digest of the files.

    Returns:
        The folder, which may not exist yet.
    """
    return store.parent / "raw" / source_id / raw_digest


def raw_file_name(number: int, path: Path) -> str:
    """Return the name of a kept raw file, with a number because two files may share a name.

    >>> raw_file_name(0, Path("files/parcels.parquet"))
    '0-parcels.parquet.gz'
    """
    return f"{number}-{path.name}.gz"


def digest_raw_files(paths: Sequence[Path]) -> str:
    """Return the digest of raw files: of the name and the content of each, in order."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append([path.name, hashlib.file_digest(file, "sha256").hexdigest()])
    return _digest_list(digests)


def are_raw_files_whole(folder: Path, raw_digest: str) -> bool:
    """Return whether the kept files of a folder are all there, with the content they had.

    Args:
        folder: The folder, which may not exist.
        raw_digest: The digest of the files, as `digest_raw_files` returns it.

    Returns:
        Whether they are; they are unpacked to find out.
    """
    digests = []
    for kept in sorted(folder.glob("*.gz"), key=_number_of):
        try:
            with gzip.open(kept, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, EOFError, zlib.error):
            return False
        digests.append([plain_name(kept), digest])
    return _digest_list(digests) == raw_digest


def _digest_list(digests: list[list[str]]) -> str:
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def keep_raw_files(paths: Sequence[Path], folder: Path) -> bool:
    """Keep `paths` compressed in `folder`, all or none; return whether the folder is new."""
    if folder.exists():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{folder.name}.half")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        for number, path in enumerate(paths):
            with (
                path.open("rb") as plain,
                (unfinished / raw_file_name(number, path)).open("wb") as file,
                # The archive has no name or time inside, so that equal files give equal bytes.
                gzip.GzipFile("", "wb", _choose_level(path), file, mtime=0) as packed,
            ):
                shutil.copyfileobj(plain, packed)
        unfinished.replace(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return True


def _choose_level(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _PROBE_BYTES, 0) // 2)
        middle = file.read(_PROBE_BYTES)
    shrinks = len(zlib.compress(middle, _LEVEL)) < _WORTHWHILE * len(middle)
    return _LEVEL if shrinks else 0


def unpack_raster(kept: Path, folder: Path) -> Path:
    """Unpack a kept raster, and the files that are read with it, into a folder.

    Args:
        kept: The kept file of the raster itself.
        folder: The folder to write.

    Returns:
        The plain file. A virtual file names the files that it is made of at their new places.
    """
    plain = folder / plain_name(kept)
    tiles = []
    for number, path in enumerate(sorted(kept.parent.glob("*.gz"), key=_number_of)):
        name = plain_name(path)
        beside = path == kept or is_sidecar(name, plain.name)
        place = folder / name if beside else folder / str(number) / name
        place.parent.mkdir(exist_ok=True)
        with gzip.open(path, "rb") as packed, place.open("wb") as file:
            shutil.copyfileobj(packed, file)
        tiles += [] if beside else [place]
    if sniff(plain).kind == "vrt":
        point_virtual_file(plain, tiles)
    return plain


def _number_of(kept: Path) -> int:
    return int(kept.name.partition("-")[0])


def plain_name(kept: Path) -> str:
    """Return the name that a kept file had.

    >>> plain_name(Path("12-lots.shp.gz"))
    'lots.shp'
    """
    return kept.name.partition("-")[2].removesuffix(".gz")
