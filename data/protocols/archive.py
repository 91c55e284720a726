"""Find the rows inside a zip, a file geodatabase or a file of several layers."""

import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyogrio
from pyogrio.errors import DataSourceError

from data.protocols.refusal import first_line, refuse_file

# What a zip may hold, besides other zips.
DATA_SUFFIXES = (".shp", ".gdb", ".gpkg", ".fgb", ".geojson", ".json", ".kml", ".gml", ".gpx")
# A shapefile is unreadable without these.
SHAPEFILE_PARTS = (".shx", ".dbf")
# A zip that grows so much, and to more than this, is taken for a zip bomb.
RATIO_MOST, BYTES_MOST = 200, 2_000_000_000
SHOWN_MOST = 20


class Place(NamedTuple):
    """Where GDAL finds rows: its address, and the layer (None: the only one)."""

    address: str
    layer: str | None


def find_place(path: Path, member: str | None, source_id: str) -> Place:
    """Find the rows of a file, a folder or a zip.

    A zip is looked into, also in its folders and in a zip inside it; `__MACOSX` is ignored.

    Args:
        path: The file, or the folder of a file geodatabase.
        member: The file inside a zip, or the layer of a file with several; None: the only one.
        source_id: The source, for messages.

    Returns:
        The place.

    Raises:
        SourceChanged: Nothing or several things are there and none is named, a part of a shapefile
            is missing, or the zip is damaged. The message lists what there is.
    """
    if path.suffix.lower() != ".zip":
        _require_parts(path, source_id)
        return _find_layer(str(path), member, path.name, source_id)
    names = _list_zip(path, source_id)
    return _look_inside(f"/vsizip/{path}", names, member, path.name, source_id)


def _look_inside(
    address: str,
    names: list[str],
    member: str | None,
    shown: str,
    source_id: str,
) -> Place:
    """Find the data in a zip at `address` that holds the files `names`."""
    found = _list_data(names)
    if member is not None and member in names:
        found, member = [member], None
    elif member is not None and len(named := _named_like(member, found)) == 1:
        found, member = named, None
    zips = [name for name in names if name.lower().endswith(".zip")]
    if not found and len(zips) == 1:
        return _look_inside_zip_in_zip(address, zips[0], member, shown, source_id)
    if len(found) != 1:
        held = _join(found or names)
        wrong = f"holds {len(found)} datasets: {held}" if found else f"holds no data, only {held}"
        raise refuse_file(shown, source_id, wrong, "name one of them in fetch.member")
    if found[0].lower().endswith(".shp"):
        _require_parts_in(names, found[0], shown, source_id)
    return _find_layer(f"{address}/{found[0]}", member, shown, source_id)


def _look_inside_zip_in_zip(
    address: str, inner: str, member: str | None, shown: str, source_id: str
) -> Place:
    outer = address.removeprefix("/vsizip/")
    with zipfile.ZipFile(outer) as archive, archive.open(inner) as file:
        names = _list_names(zipfile.ZipFile(io.BytesIO(file.read())))
    found = _list_data(names)
    if len(found) != 1:
        held = _join(found or names)
        raise refuse_file(shown, source_id, f"holds {inner}, which holds {held}", "unpack it")
    if found[0].lower().endswith(".shp"):
        _require_parts_in(names, found[0], f"{shown}/{inner}", source_id)
    # GDAL writes a zip inside a zip in braces.
    return _find_layer(f"/vsizip/{{{address}/{inner}}}/{found[0]}", member, shown, source_id)


def _list_zip(path: Path, source_id: str) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            packed = max(path.stat().st_size, 1)
            total = sum(one.file_size for one in archive.infolist())
            if total > BYTES_MOST and total > RATIO_MOST * packed:
                wrong = f"would grow from {packed:,} to {total:,} bytes"
                raise refuse_file(path.name, source_id, wrong, "unpack and check it by hand")
            bad = archive.testzip()
            names = _list_names(archive)
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        wrong = f"is not a whole zip ({first_line(error)})"
        raise refuse_file(path.name, source_id, wrong, "fetch the file again") from error
    if bad is not None:
        wrong = f"is not a whole zip ({bad} is damaged)"
        raise refuse_file(path.name, source_id, wrong, "fetch the file again")
    return names


def _list_names(archive: zipfile.ZipFile) -> list[str]:
    return [
        one.filename
        for one in archive.infolist()
        if not one.is_dir() and "__MACOSX" not in PurePosixPath(one.filename).parts
    ]


def _list_data(names: list[str]) -> list[str]:
    """Return the datasets among the files of a zip; a file geodatabase is a folder."""
    found: dict[str, None] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        inside = next((n for n, part in enumerate(parts) if part.lower().endswith(".gdb")), None)
        if inside is not None:
            found["/".join(parts[: inside + 1])] = None
        elif name.lower().endswith(DATA_SUFFIXES):
            found[name] = None
    return sorted(found)


def _named_like(member: str, found: list[str]) -> list[str]:
    paths = [PurePosixPath(name) for name in found]
    return [str(path) for path in paths if member in {path.name, path.stem}]


def _require_parts_in(names: list[str], shp: str, shown: str, source_id: str) -> None:
    have = {name.lower() for name in names}
    for suffix in SHAPEFILE_PARTS:
        part = str(PurePosixPath(shp).with_suffix(suffix))
        if part.lower() not in have:
            raise refuse_file(shown, source_id, f"lacks {part}", "fetch the whole shapefile")


def _require_parts(path: Path, source_id: str) -> None:
    if path.suffix.lower() == ".shp":
        beside = [one.name for one in path.parent.iterdir()]
        _require_parts_in(beside, path.name, path.parent.name or ".", source_id)


def _find_layer(address: str, layer: str | None, shown: str, source_id: str) -> Place:
    """Return the layer that is named, or the only one."""
    try:
        layers = [str(name) for name in pyogrio.list_layers(address)[:, 0]]
    except DataSourceError as error:
        wrong = f"cannot be read: {first_line(error).replace(address, shown)}"
        raise refuse_file(shown, source_id, wrong, "fetch the file again") from error
    if layer is not None and layer not in layers:
        wrong = f"has no layer {layer!r}, only {_join(layers)}"
        raise refuse_file(shown, source_id, wrong, "name one of them in fetch.member")
    if layer is None and len(layers) > 1:
        wrong = f"has {len(layers)} layers: {_join(layers)}"
        raise refuse_file(shown, source_id, wrong, "name one of them in fetch.member")
    return Place(address, layer)


def _join(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_MOST])
    return shown + (f" and {len(names) - SHOWN_MOST} more" if len(names) > SHOWN_MOST else "")
