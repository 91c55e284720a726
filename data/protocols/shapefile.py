"""Check that the parts of a shapefile belong together, and find the encoding of its text."""

import codecs
from pathlib import Path
from typing import NamedTuple

from data.protocols.refusal import refuse_file
from data.source import Source
from geo.errors import ContractError

# GDAL reads a table that does not say its encoding as this one.
FALLBACK = "ISO-8859-1"
_CHUNK_BYTES = 1_000_000
# Where a table holds the number of its encoding (0: none), and the length of its header.
_LANGUAGE_AT, _HEADER_LENGTH_AT = 29, 8


# The header of a .shp and a .shx, and the bytes in a .shx for each shape (ESRI Shapefile Technical
# Description, 1998).
_HEADER_BYTES, _INDEX_BYTES = 100, 8


def check_whole_shapefile(shp: Path, source_id: str, shown: str) -> None:
    """Check that no part of a shapefile is cut off, and that it has a row for each shape.

    GDAL reads as many rows as the table has, without a word about the shapes that are left over.

    Args:
        shp: The shapefile, with its other parts beside it.
        source_id: The source that names it.
        shown: The name of the file in messages.

    Raises:
        SourceChanged: A part is cut off, or the parts are of different files.
    """
    beside = {path.suffix.lower(): path for path in _parts(shp)}
    if not {".shx", ".dbf"} <= set(beside):
        return
    for suffix in (".shp", ".shx"):
        size = beside[suffix].stat().st_size
        # The length stands in the header in units of two bytes.
        due = 2 * int.from_bytes(_read_head(beside[suffix])[24:28], "big")
        if size < max(due, _HEADER_BYTES):
            wrong = f"is cut off: its {suffix} has {size:,} of {due:,} bytes"
            raise refuse_file(shown, source_id, wrong, "fetch the file again")
    head = _read_head(beside[".dbf"])
    rows, header, row = (
        int.from_bytes(head[start:end], "little") for start, end in ((4, 8), (8, 10), (10, 12))
    )
    size = beside[".dbf"].stat().st_size
    if size < header + rows * row:
        wrong = f"is cut off: its .dbf has {size:,} of {header + rows * row:,} bytes"
        raise refuse_file(shown, source_id, wrong, "fetch the file again")
    shapes = (beside[".shx"].stat().st_size - _HEADER_BYTES) // _INDEX_BYTES
    if rows != shapes:
        wrong = f"has {shapes:,} shapes and {rows:,} rows: its .shp and .dbf do not belong together"
        raise refuse_file(shown, source_id, wrong, "fetch every part of the file again")


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)


class Encoding(NamedTuple):
    """The encoding to read a table in (None: what the file says), and notes on how it was found."""

    name: str | None
    notes: tuple[str, ...] = ()


def find_encoding(shp: Path, source: Source, shown: str) -> Encoding:
    """Return the declared encoding, or that of the file.

    Args:
        shp: The shapefile, with its .dbf and, if there is one, its .cpg beside it.
        source: The source that names it.
        shown: The name of the file in messages.

    Returns:
        The encoding. Where neither the file nor the declaration says it: UTF-8 if the whole text is
        valid in that, else FALLBACK, with a note.

    Raises:
        ContractError: The declared encoding is not known, or is not the one in the .cpg.
    """
    declared, beside = source.fetch.encoding, {path.suffix.lower(): path for path in _parts(shp)}
    said = beside[".cpg"].read_text("ascii", "replace").strip() if ".cpg" in beside else ""
    if declared is not None:
        if said and _codec(said) not in {None, _codec(declared)}:
            raise _refuse(source, shown, f"says in its .cpg that its text is {said}")
        if _codec(declared) is None:
            raise _refuse(source, shown, "cannot be read in an encoding that is not known")
        return Encoding(declared)
    if said or ".dbf" not in beside:
        return Encoding(None)
    table = beside[".dbf"]
    with table.open("rb") as file:
        header = file.read(_LANGUAGE_AT + 1)
        if len(header) <= _LANGUAGE_AT or header[_LANGUAGE_AT] != 0:
            return Encoding(None)
    is_ascii, is_utf_8 = _decode(table, header)
    if is_ascii:
        return Encoding(None)
    name = "UTF-8" if is_utf_8 else FALLBACK
    note = f"the file does not say how its text is encoded; it was read as {name}"
    return Encoding(name, (note,))


def _parts(shp: Path) -> list[Path]:
    return [path for path in shp.parent.iterdir() if path.stem.lower() == shp.stem.lower()]


def _decode(table: Path, header: bytes) -> tuple[bool, bool]:
    """Return whether the rows of a table are ASCII, and whether they are valid UTF-8."""
    is_ascii, decoder = True, codecs.getincrementaldecoder("utf-8")()
    with table.open("rb") as file:
        file.seek(int.from_bytes(header[_HEADER_LENGTH_AT : _HEADER_LENGTH_AT + 2], "little"))
        while chunk := file.read(_CHUNK_BYTES):
            is_ascii = is_ascii and chunk.isascii()
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return False, False
    return is_ascii, True


def _codec(name: str) -> str | None:
    """Return Python's name for an encoding; None for one that it does not know.

    >>> _codec("UTF8"), _codec("ANSI 1252"), _codec("88591"), _codec("?")
    ('utf-8', 'cp1252', 'iso8859-1', None)
    """
    plain = name.lower().removeprefix("ansi ").removeprefix("oem ")
    if plain.isdigit():
        plain = f"iso8859-{plain[4:]}" if plain.startswith("8859") else f"cp{plain}"
    try:
        return codecs.lookup(plain).name
    except (LookupError, ValueError):
        return None


def _refuse(source: Source, shown: str, wrong: str) -> ContractError:
    return ContractError(
        f"reading {shown} for source {source.id!r}",
        f"{shown} {wrong}, and fetch.encoding = {source.fetch.encoding!r}",
        f"correct or delete fetch.encoding in sources/{source.id}.toml",
    )
