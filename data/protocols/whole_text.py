"""Check that a text file of shapes is whole, because GDAL may read a cut-off file in part."""

import json
import xml.parsers.expat
from pathlib import Path
from typing import Any

from data.protocols.formats import TITLES, Format
from data.protocols.pages import refuse_page, refuse_part
from data.protocols.refusal import first_line, refuse_file
from geo.errors import SourceChanged

_GEOJSON_TYPES = {
    "FeatureCollection", "Feature", "GeometryCollection", "Point", "MultiPoint", "LineString",
    "MultiLineString", "Polygon", "MultiPolygon",
}  # fmt: skip
# RFC 8142 begins each feature with a record separator.
_SEPARATOR = b"\x1e"
_BLANKS = b"\xef\xbb\xbf \t\r\n"


def parse_whole_json(
    path: Path, source_id: str, shown: str, declared: Format | None = None
) -> dict[str, Any]:
    """Parse a file as one JSON document of shapes.

    Args:
        path: The file.
        source_id: The source that names it, for messages.
        shown: The name of the file in messages.
        declared: The kind that the source declares, if any.

    Returns:
        The document.

    Raises:
        SourceChanged: The file is cut off, empty, one page of several, or not JSON of shapes.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        wrong = f"is cut off or not JSON ({first_line(error)}); no row of it was taken"
        raise refuse_file(shown, source_id, wrong) from error
    if not isinstance(document, dict):
        raise refuse_file(shown, source_id, "is not a JSON object")
    refuse_page(document, source_id, shown)
    kind = json_kind(document)
    if kind is None:
        wrong = "is JSON, but neither GeoJSON, Esri JSON nor TopoJSON"
        raise refuse_file(shown, source_id, wrong)
    if declared is not None and kind != declared:
        wrong = f"is {TITLES[kind]}, and fetch.format says {TITLES[declared]}"
        raise refuse_file(shown, source_id, wrong, "correct or delete fetch.format")
    if "features" in document and not document["features"]:
        raise SourceChanged(
            f"reading {shown} for source {source_id!r}",
            f"{shown} is an empty layer: 0 features",
            "fetch the file again; if it is right, remove the source from the market",
            fault="shrunk",
        )
    return document


def check_whole_lines(path: Path, source_id: str, shown: str) -> None:
    """Check that every line is a whole feature, because GDAL leaves out the others.

    Args:
        path: The file.
        source_id: The source that names it, for messages.
        shown: The name of the file in messages.

    Raises:
        SourceChanged: A line is cut off, or holds no feature.
    """
    with path.open("rb") as file:
        has_separators = file.read(1) == _SEPARATOR
        file.seek(0)
        lines = file.read().split(_SEPARATOR) if has_separators else file
        count = 0
        for number, line in enumerate(lines, start=1):
            text = line.strip(_BLANKS)
            if not text:
                continue
            try:
                feature = json.loads(text)
            except (ValueError, RecursionError) as error:
                wrong = f"is cut off or not GeoJSON in line {number} ({first_line(error)})"
                raise refuse_file(shown, source_id, f"{wrong}; no row of it was taken") from error
            if not isinstance(feature, dict) or feature.get("type") != "Feature":
                raise refuse_file(shown, source_id, f"holds no feature in line {number}")
            count += 1
    if count == 0:
        raise refuse_file(shown, source_id, "is an empty layer: 0 features")


def check_whole_xml(path: Path, source_id: str, shown: str) -> None:
    """Check that a file is one whole XML document.

    Args:
        path: The file.
        source_id: The source that names it, for messages.
        shown: The name of the file in messages.

    Raises:
        SourceChanged: It is not, or it is one page of several.
    """
    roots: list[dict[str, str]] = []

    def keep_root(_: str, attributes: dict[str, str]) -> None:
        if not roots:
            roots.append(attributes)

    try:
        with path.open("rb") as file:
            parser = xml.parsers.expat.ParserCreate()
            parser.StartElementHandler = keep_root
            parser.ParseFile(file)
    except xml.parsers.expat.ExpatError as error:
        wrong = f"is cut off or not XML ({first_line(error)}); no row of it was taken"
        raise refuse_file(shown, source_id, wrong) from error
    root = roots[0]
    refuse_part(root, None, source_id, shown, has_next="next" in root)


def json_kind(document: dict[str, Any]) -> Format | None:
    """Return which kind of JSON a document is; None if it has no shapes."""
    kind = document.get("type")
    if kind == "Topology":
        return "topojson"
    if kind in _GEOJSON_TYPES:
        return "geojson"
    return "esri_json" if isinstance(document.get("features"), list) else None
