"""Tell what kind of file a file is, from its first bytes rather than from its name."""

import json
import re
import zipfile
from pathlib import Path
from typing import Literal, NamedTuple, get_args

Format = Literal[
    "csv", "xlsx", "geoparquet", "geojson", "geojson_lines", "esri_json", "topojson", "geopackage",
    "flatgeobuf", "shapefile", "file_geodatabase", "kml", "gml", "gpx", "osm", "geotiff",
    "ascii_grid", "vrt",
]  # fmt: skip
FORMATS: tuple[Format, ...] = get_args(Format)
# What may be meant where the first bytes only say JSON.
JSON_FORMATS: tuple[Format, ...] = ("geojson", "geojson_lines", "esri_json", "topojson")
RASTER_FORMATS: tuple[Format, ...] = ("geotiff", "ascii_grid", "vrt")

TITLES: dict[Format, str] = {
    "csv": "a CSV",
    "xlsx": "an Excel workbook",
    "geoparquet": "a GeoParquet",
    "geojson": "a GeoJSON",
    "geojson_lines": "a newline-delimited GeoJSON",
    "esri_json": "an Esri JSON",
    "topojson": "a TopoJSON",
    "geopackage": "a GeoPackage",
    "flatgeobuf": "a FlatGeobuf",
    "shapefile": "a shapefile",
    "file_geodatabase": "a file geodatabase",
    "kml": "a KML",
    "gml": "a GML",
    "gpx": "a GPX",
    "osm": "an OpenStreetMap extract",
    "geotiff": "a GeoTIFF",
    "ascii_grid": "an ASCII grid",
    "vrt": "a GDAL virtual file",
}

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".parquet": "geoparquet",
    ".geoparquet": "geoparquet",
    ".geojson": "geojson",
    ".json": "geojson",
    ".geojsonl": "geojson_lines",
    ".geojsons": "geojson_lines",
    ".ndjson": "geojson_lines",
    ".ndgeojson": "geojson_lines",
    ".topojson": "topojson",
    ".gpkg": "geopackage",
    ".fgb": "flatgeobuf",
    ".shp": "shapefile",
    ".gdb": "file_geodatabase",
    ".kml": "kml",
    ".gml": "gml",
    ".gpx": "gpx",
    ".pbf": "osm",
    ".osm": "osm",
    ".tif": "geotiff",
    ".tiff": "geotiff",
    ".asc": "ascii_grid",
    ".vrt": "vrt",
}

# The suffix under which GDAL takes a file for what it is.
GDAL_SUFFIXES: dict[Format, str] = {
    "geojson": ".geojson",
    "geojson_lines": ".geojsonl",
    "esri_json": ".json",
    "topojson": ".topojson",
    "geopackage": ".gpkg",
    "flatgeobuf": ".fgb",
    "kml": ".kml",
    "gml": ".gml",
    "gpx": ".gpx",
    "osm": ".pbf",
}

# The suffix that goes with a Content-Type. Types that many kinds share, such as text/plain and
# application/octet-stream, say nothing.
CONTENT_TYPES: dict[str, str] = {
    "text/csv": ".csv",
    "application/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.apache.parquet": ".parquet",
    "application/geo+json": ".geojson",
    "application/vnd.geo+json": ".geojson",
    "application/geo+json-seq": ".geojsonl",
    "application/x-ndjson": ".geojsonl",
    "application/geopackage+sqlite3": ".gpkg",
    "application/flatgeobuf": ".fgb",
    "application/vnd.google-earth.kml+xml": ".kml",
    "application/vnd.google-earth.kmz": ".kmz",
    "application/gml+xml": ".gml",
    "application/gpx+xml": ".gpx",
    "image/tiff": ".tif",
}

# Files that hold others and are looked into.
Container = Literal["zip", "gzip"]


class Sniffed(NamedTuple):
    """What a file's first bytes say.

    Attributes:
        kind: The kind of rows or cells; None if the bytes do not say.
        container: The kind of file that holds others; None if it is none.
        refused: What the file is, if it can be neither: "is a web page, not data".
    """

    kind: Format | None = None
    container: Container | None = None
    refused: str | None = None


_HEAD_BYTES = 4096
# A first line longer than this is not searched for the end of a feature.
_LINE_BYTES = 64_000_000
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_MAGIC: tuple[tuple[bytes, Sniffed], ...] = (
    (b"\x1f\x8b", Sniffed(container="gzip")),
    (b"PAR1\x15", Sniffed("geoparquet")),
    (b"SQLite format 3\x00", Sniffed("geopackage")),
    (b"fgb\x03", Sniffed("flatgeobuf")),
    (b"\x00\x00\x27\x0a", Sniffed("shapefile")),
    (b"II*\x00", Sniffed("geotiff")),
    (b"MM\x00*", Sniffed("geotiff")),
    (b"II+\x00", Sniffed("geotiff")),
    (b"MM\x00+", Sniffed("geotiff")),
    (b"%PDF", Sniffed(refused="is a PDF, not data")),
    (
        b"\xd0\xcf\x11\xe0",
        Sniffed(refused="is an old Excel or Word file: save it as .xlsx or CSV"),
    ),
    (b"7z\xbc\xaf\x27\x1c", Sniffed(refused="is a 7-Zip archive: pack it as a zip")),
    (b"Rar!\x1a\x07", Sniffed(refused="is a RAR archive: pack it as a zip")),
    (b"BZh91AY&SY", Sniffed(refused="is packed with bzip2: pack it with gzip or as a zip")),
    (b"\xfd7zXZ\x00", Sniffed(refused="is packed with xz: pack it with gzip or as a zip")),
    (b"\x28\xb5\x2f\xfd", Sniffed(refused="is packed with Zstandard: pack it with gzip")),
    (b"\x89PNG", Sniffed(refused="is a picture, not data")),
    (b"\xff\xd8\xff", Sniffed(refused="is a picture, not data")),
)
_WEB_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_VIRTUAL_ROWS = re.compile(rb"<(?:OGRVRTDataSource)[\s>]")
_ERROR_REPORT = re.compile(rb"<(?:\w+:)?(?:ServiceException|ExceptionReport|Error)[\s>/]")
_XML_ROOTS: tuple[tuple[re.Pattern[bytes], Format], ...] = (
    (re.compile(rb"<(?:\w+:)?kml[\s>]"), "kml"),
    (re.compile(rb"<gpx[\s>]"), "gpx"),
    (re.compile(rb"<osm[\s>]"), "osm"),
    (re.compile(rb"<VRTDataset[\s>]"), "vrt"),
    (re.compile(rb"<(?:\w+:)?FeatureCollection[\s>]"), "gml"),
)
_ASCII_GRID = re.compile(rb"\s*ncols\s+\d+\s+nrows\s+\d+", re.IGNORECASE)


def format_of_suffix(name: str) -> Format | None:
    """Return the kind that a name's suffix stands for, also before ".gz"; None if unknown.

    >>> format_of_suffix("Lots.GeoJSON.gz")
    'geojson'
    """
    return SUFFIXES.get(Path(name.lower().removesuffix(".gz")).suffix)


def known_suffix(name: str) -> str:
    """Return a name's suffix in lower case, as it is or before ".gz"; "" if no kind has it.

    >>> known_suffix("Lots.CSV.gz"), known_suffix("download"), known_suffix("lots.zip")
    ('.csv.gz', '', '.zip')
    """
    lower = name.lower()
    packed = ".gz" if lower.endswith(".gz") else ""
    suffix = Path(lower.removesuffix(".gz")).suffix
    return f"{suffix}{packed}" if suffix in {*SUFFIXES, ".zip", ".kmz"} else packed


def sniff(path: Path) -> Sniffed:
    """Return what the first bytes of a file, or the content of a folder, say about its kind."""
    if path.is_dir():
        return Sniffed("file_geodatabase")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return Sniffed(refused="is empty")
    return _sniff_bytes(path, head) or _sniff_text(path, head)


def _sniff_bytes(path: Path, head: bytes) -> Sniffed | None:
    """Return what the mark at the beginning of a file that is not text says; None without one."""
    if head.startswith(_ZIP_MAGIC):
        return Sniffed("xlsx") if _is_workbook(path) else Sniffed(container="zip")
    for mark, says in _MAGIC:
        if head.startswith(mark):
            return says
    if head[4:].startswith(b"\x0a\x09OSMHeader"):
        return Sniffed("osm")
    if head[257:262] == b"ustar":
        return Sniffed(refused="is a tar archive: pack it as a zip")
    return None


def _sniff_text(path: Path, head: bytes) -> Sniffed:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return _sniff_xml(text, path)
    if text.startswith(b"\x1e"):
        return Sniffed("geojson_lines")
    if re.match(rb'\{\s*(?:["}]|$)', text):
        return Sniffed("geojson_lines" if _starts_with_feature_line(path) else "geojson")
    if _ASCII_GRID.match(head):
        return Sniffed("ascii_grid")
    return Sniffed()


def _sniff_xml(text: bytes, path: Path) -> Sniffed:
    """Return what the first known element stands for; a KML may hold a web page in a balloon."""
    patterns: list[tuple[re.Pattern[bytes], Sniffed]] = [
        (_WEB_PAGE, Sniffed(refused="is a web page, not data")),
        (
            _VIRTUAL_ROWS,
            Sniffed(refused="is a GDAL virtual file of rows"),
        ),
        (_ERROR_REPORT, Sniffed(refused="is a server's error report, not data")),
        *((pattern, Sniffed(kind)) for pattern, kind in _XML_ROOTS),
    ]
    matches = [
        (match.start(), says) for pattern, says in patterns if (match := pattern.search(text))
    ]
    if matches:
        return min(matches, key=lambda found: found[0])[1]
    if path.suffix.lower() == ".gml":
        return Sniffed("gml")  # its root may be of the publisher's own schema
    is_xml = text.startswith(b"<?xml")
    return Sniffed(refused="is XML of a kind that is not read") if is_xml else Sniffed()


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        # A workbook that is cut off is still one to the reader of its messages.
        return path.suffix.lower() in {".xlsx", ".xlsm"}


def _starts_with_feature_line(path: Path) -> bool:
    """Return whether the first line is a whole feature, and another line follows it."""
    with path.open("rb") as file:
        line = file.readline(_LINE_BYTES)
        if not line.endswith(b"\n"):
            return False
        try:
            feature = json.loads(line)
        except (ValueError, RecursionError):
            return False
        return feature.get("type") == "Feature" and bool(file.readline(_HEAD_BYTES).strip())
