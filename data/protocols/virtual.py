"""GDAL virtual files (.vrt): rasters that are made of other files, every one of which counts."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from data.protocols.refusal import first_line, refuse_file

# Elements that name a file.
_FILE_ELEMENTS = ("SourceFilename", "SourceDataset")
# Elements whose files or code are not followed.
_FOREIGN = ("PixelFunctionCode", "PixelFunctionLanguage", "OpenOptions", "VRTDataset")


def list_virtual_parts(path: Path, source_id: str) -> list[Path]:
    """Return the files behind a virtual file, each once, in the order in which it names them.

    Args:
        path: The virtual file.
        source_id: The source that names it, for messages.

    Returns:
        The files.

    Raises:
        SourceChanged: A file is not there or is an address, or the virtual file holds code or
            other virtual files. Its content could then change without a trace.
    """
    parts: dict[Path, None] = {}
    for element in _file_elements(path, source_id):
        name = (element.text or "").strip()
        is_address = "://" in name or name.startswith("/vsi") or not name
        part = path.parent / name if element.get("relativeToVRT") == "1" else Path(name)
        if is_address or not part.is_file():
            wrong = f"is made of {name!r}, which is not a file here"
            remedy = "put every file that it names beside it, or join them into a GeoTIFF"
            raise refuse_file(path.name, source_id, wrong, remedy)
        if part.suffix.lower() == ".vrt":
            wrong = f"is made of another virtual file, {name!r}"
            raise refuse_file(path.name, source_id, wrong, "join its files into a GeoTIFF")
        parts[part] = None
    if not parts:
        raise refuse_file(path.name, source_id, "names no file that it is made of")
    return list(parts)


def point_virtual_file(path: Path, parts: Sequence[Path]) -> None:
    """Rewrite a virtual file so that it names its files, in the same order, at other places."""
    tree = ET.parse(path)  # noqa: S314 (expat refuses entities that grow)
    places: dict[str, Path] = {}
    remaining = list(parts)
    for element in tree.iter():
        if element.tag in _FILE_ELEMENTS:
            name = (element.text or "").strip()
            if name not in places:
                places[name] = remaining.pop(0)
            element.text = str(places[name])
            element.set("relativeToVRT", "0")
    tree.write(path, encoding="utf-8")


def _file_elements(path: Path, source_id: str) -> list[ET.Element]:
    try:
        root = ET.parse(path).getroot()  # noqa: S314 (expat refuses entities that grow)
    except (ET.ParseError, OSError) as error:
        raise refuse_file(path.name, source_id, f"cannot be read: {first_line(error)}") from error
    for element in root.iter():
        if element is not root and element.tag in _FOREIGN:
            wrong = f"holds {element.tag}, which is not followed"
            raise refuse_file(path.name, source_id, wrong, "make a GeoTIFF of it (gdal_translate)")
    return [element for element in root.iter() if element.tag in _FILE_ELEMENTS]
