"""A file is read as what it is, whatever its name says, or refused in one sentence."""

import gzip
import itertools
import json
import re
import struct
import tomllib
import zipfile
import zlib

import geopandas as gpd
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from data.database import open_engine
from data.protocols.file import read_file, read_files
from data.protocols.formats import FORMATS
from data.protocols.shards import find_shards
from geo.errors import ConfigError, SourceChanged

DEGREES = {"crs": "EPSG:4326"}
IDS = ["A1", "A2", "A3"]
WEST, SOUTH = -71.1, 42.37


@pytest.fixture
def lots():
    """Return three square lots in degrees, 0.001 degrees wide and as far apart."""
    shapes = [
        shapely.box(WEST + 0.002 * n, SOUTH, WEST + 0.002 * n + 0.001, SOUTH + 0.001)
        for n in range(3)
    ]
    return gpd.GeoDataFrame({"ID": IDS, "USE": ["101", "316", "400"]}, geometry=shapes, crs=4326)


@pytest.fixture
def read(make_source):
    """Return a function that reads a file of parcels with ids."""

    def read_one(path, columns=None, **fetch):
        columns = columns or {"parcel_id": {"column": "ID"}, "use_code": {"column": "USE"}}
        return read_file(path, make_source("parcels", path.name, columns, fetch=DEGREES | fetch))

    return read_one


def write(lots, path, kind):
    """Write the lots as a kind of file, at a path of any name."""
    drivers = {
        "geojson": "GeoJSON",
        "geojson_lines": "GeoJSONSeq",
        "flatgeobuf": "FlatGeobuf",
    }
    whole = path.with_name("whole.gpkg" if kind == "geopackage" else "whole")
    if kind == "geoparquet":
        lots.to_parquet(whole)
    elif kind == "geopackage":
        pyogrio.write_dataframe(lots, whole, layer="lots", driver="GPKG")
    elif kind == "csv":
        frame = pd.DataFrame(lots.drop(columns="geometry"))
        frame.assign(shape=lots.geometry.to_wkt()).to_csv(whole, index=False)
    elif kind == "xlsx":
        book = openpyxl.Workbook()
        book.active.append(["ID", "USE", "shape"])
        for row in lots.itertuples():
            book.active.append([row.ID, row.USE, row.geometry.wkt])
        book.save(whole)
    elif kind == "kml":
        whole.write_text(write_kml(lots), "utf-8")
    elif kind == "esri_json":
        features = [
            {
                "attributes": {"ID": row.ID, "USE": row.USE},
                "geometry": {"rings": [[list(xy) for xy in row.geometry.exterior.coords[::-1]]]},
            }
            for row in lots.itertuples()
        ]
        fields = [{"name": name, "type": "esriFieldTypeString"} for name in ("ID", "USE")]
        document = {"geometryType": "esriGeometryPolygon", "spatialReference": {"wkid": 4326}}
        whole.write_text(json.dumps(document | {"fields": fields, "features": features}), "utf-8")
    elif kind == "topojson":
        arcs = [[list(xy) for xy in shape.exterior.coords] for shape in lots.geometry]
        shapes = [
            {"type": "Polygon", "arcs": [[n]], "properties": {"ID": row.ID, "USE": row.USE}}
            for n, row in enumerate(lots.itertuples())
        ]
        objects = {"lots": {"type": "GeometryCollection", "geometries": shapes}}
        document = {"type": "Topology", "arcs": arcs, "objects": objects}
        whole.write_text(json.dumps(document), "utf-8")
    elif kind == "gml":
        whole.write_text(write_gml(lots), "utf-8")
    else:
        # GDAL writes some kinds only under their own suffix.
        named = path.with_name("whole.fgb" if kind == "flatgeobuf" else "whole.geojson")
        pyogrio.write_dataframe(lots, named, driver=drivers[kind], layer="lots")
        named.rename(whole)
    whole.rename(path)
    return path


KINDS = (
    "geoparquet", "geopackage", "csv", "xlsx", "esri_json", "topojson", "geojson", "geojson_lines",
    "flatgeobuf", "kml", "gml",
)  # fmt: skip


def write_kml(lots):
    marks = []
    for row in lots.itertuples():
        ring = " ".join(f"{x:.6f},{y:.6f},0" for x, y in row.geometry.exterior.coords)
        marks.append(
            f"<Placemark><ExtendedData><Data name='ID'><value>{row.ID}</value></Data><Data name="
            f"'USE'><value>{row.USE}</value></Data></ExtendedData><Polygon><outerBoundaryIs>"
            f"<LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs>"
            "</Polygon></Placemark>"
        )
    head = "<?xml version='1.0'?><kml xmlns='http://www.opengis.net/kml/2.2'><Document>"
    return f"{head}<Folder><name>Lots</name>{''.join(marks)}</Folder></Document></kml>"


def write_gml(lots):
    marks = []
    for n, row in enumerate(lots.itertuples()):
        ring = " ".join(f"{y:.6f} {x:.6f}" for x, y in row.geometry.exterior.coords)
        marks.append(
            f"<gml:featureMember><lot gml:id='l{n}'><ID>{row.ID}</ID><USE>{row.USE}</USE><shape>"
            "<gml:Polygon srsName='urn:ogc:def:crs:EPSG::4326'><gml:exterior><gml:LinearRing>"
            f"<gml:posList>{ring}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
            "</shape></lot></gml:featureMember>"
        )
    head = "<?xml version='1.0'?><gml:FeatureCollection xmlns:gml='http://www.opengis.net/gml/3.2'>"
    return f"{head}{''.join(marks)}</gml:FeatureCollection>"


def is_every_lot(frame, lots):
    frame = frame.sort_values("ID")  # a FlatGeobuf is in the order of its index
    same = [
        a.equals_exact(b.normalize(), 1e-6)
        for a, b in zip(
            shapely.normalize(shapely.force_2d(frame.geometry.to_numpy())),
            lots.geometry,
            strict=True,
        )
    ]
    return frame["ID"].tolist() == IDS and frame["USE"].astype("str").tolist() == [
        "101", "316", "400",
    ] and all(same)  # fmt: skip


@pytest.mark.parametrize("name", ["answer", "lots.csv", "lots.json", "lots.shp.zip", "lots.xlsx"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_as_what_it_is_under_any_name(tmp_path, lots, read, kind, name):
    fetch = {"wkt": "shape"} if kind in {"csv", "xlsx"} else {}
    if kind == "csv" and name in {"lots.json", "lots.xlsx"}:
        # Text without a known beginning is what its name says, unless the source says otherwise.
        fetch["format"] = "csv"
    frame, _ = read(write(lots, tmp_path / name, kind), **fetch)
    assert is_every_lot(frame, lots)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gzip_and_a_zip_of_each_kind_are_read(tmp_path, lots, read, kind):
    fetch = {"wkt": "shape"} if kind in {"csv", "xlsx"} else {}
    plain = write(lots, tmp_path / "plain", kind).read_bytes()
    packed = tmp_path / "download.gz"
    packed.write_bytes(gzip.compress(plain))
    assert is_every_lot(read(packed, **fetch)[0], lots)
    with zipfile.ZipFile(tmp_path / "download", "w") as archive:
        archive.writestr("folder/data", plain)
    assert is_every_lot(read(tmp_path / "download", **fetch)[0], lots)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "csv"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, lots, read, kind, share):
    # Without its first bytes the kind of a file is that of its suffix.
    suffix = {"geoparquet": "parquet", "geopackage": "gpkg", "flatgeobuf": "fgb"}.get(kind, kind)
    path = write(lots, tmp_path / f"lots.{suffix}", kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    fetch = {"wkt": "shape"} if kind == "xlsx" else {}
    with pytest.raises(SourceChanged) as caught:
        read(path, **fetch)
    assert path.name in caught.value.wrong
    assert "tiny_parcels.toml" in caught.value.remedy


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_of_features_that_is_cut_off_is_refused(tmp_path, lots, read, cut):
    path = write(lots, tmp_path / "lots.geojsonl", "geojson_lines")
    path.write_bytes(path.read_bytes().rstrip()[:-cut])
    with pytest.raises(SourceChanged, match="cut off or not GeoJSON in line 3"):
        read(path)


def test_features_between_record_separators_are_read(tmp_path, lots, read):
    path = write(lots, tmp_path / "lots", "geojson_lines")
    lines = path.read_text("utf-8").splitlines()
    path.write_text("".join(f"\x1e{line}\n" for line in lines), "utf-8")
    assert is_every_lot(read(path)[0], lots)
    path.write_text("".join(f"\x1e{line}\n" for line in lines)[:-9], "utf-8")
    with pytest.raises(SourceChanged, match="cut off"):
        read(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page, not data"),
        (b"\xef\xbb\xbf\n  <HTML lang='en'>", "is a web page, not data"),
        (b"<?xml version='1.0'?><!-- x --><!DOCTYPE html PUBLIC ''><html>", "is a web page"),
        (b"<?xml version='1.0'?><ows:ExceptionReport/>", "is a server's error report"),
        (b"<?xml version='1.0'?><wfs:WFS_Capabilities/>", "is XML of a kind that is not read"),
        (b"<OGRVRTDataSource><OGRVRTLayer/></OGRVRTDataSource>", "is a GDAL virtual file of rows"),
        (b"", "is empty"),
        (b"%PDF-1.7", "is a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"\x89PNG\r\n", "is a picture"),
        (b"II*\x00\x08\x00\x00\x00", "is a GeoTIFF, not rows"),
        (b'{"hello": 1}', "neither GeoJSON, Esri JSON nor TopoJSON"),
    ],
)
@pytest.mark.parametrize(
    "name", ["lots.csv", "lots.json", "lots.geojson", "lots.zip", "lots.xlsx", "lots.parquet"]
)
def test_what_is_no_data_is_refused_by_name(tmp_path, read, content, says, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceChanged, match=says) as caught:
        read(path)
    assert name in caught.value.wrong


def test_the_declared_kind_counts_and_must_be_true(tmp_path, lots, read, make_source):
    path = write(lots, tmp_path / "lots.dat", "csv")
    assert is_every_lot(read(path, format="csv", wkt="shape")[0], lots)
    path = write(lots, tmp_path / "lots.csv", "geopackage")
    with pytest.raises(SourceChanged, match=r"is a GeoPackage, and fetch\.format says a CSV"):
        read(path, format="csv")
    path = write(lots, tmp_path / "lots.json", "esri_json")
    with pytest.raises(SourceChanged, match=r"is an Esri JSON, and fetch\.format says a GeoJSON"):
        read(path, format="geojson")
    assert is_every_lot(read(path, format="esri_json")[0], lots)
    with pytest.raises(ValueError, match="is not for protocol 'file'"):
        make_source("parcels", "a", fetch={"format": "geotiff"})
    with pytest.raises(ValueError, match="format"):
        make_source("parcels", "a", fetch={"format": "shape"})


def test_the_declared_kind_chooses_in_a_zip(tmp_path, lots, read):
    plain = write(lots, tmp_path / "plain", "geojson").read_bytes()
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("lots.geojson", plain)
        archive.writestr("lots.kml", b"<kml>")
        archive.writestr("readme.txt", b"hello")
        archive.writestr("fields.csv", b"a,b\n")
    with pytest.raises(SourceChanged, match=r"holds 2 datasets: lots\.geojson, lots\.kml"):
        read(tmp_path / "both.zip")
    assert is_every_lot(read(tmp_path / "both.zip", format="geojson")[0], lots)


# ---------------------------------------------------------------------------------------------
# KML


def placemark(name, west, use):
    ring = " ".join(f"{west + x},{SOUTH + y},0" for x, y in ((0, 0), (0, 0.1), (0.1, 0), (0, 0)))
    return (
        f"<Placemark><name>{name}</name><ExtendedData><Data name='USE'><value>{use}</value></Data>"
        f"</ExtendedData><Polygon><outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates>"
        "</LinearRing></outerBoundaryIs></Polygon></Placemark>"
    )


KML = (
    "<?xml version='1.0'?><kml xmlns='http://www.opengis.net/kml/2.2'><Document>"
    f"<Folder><name>Lots</name>{placemark('A', WEST, '101')}{placemark('B', WEST, '007')}</Folder>"
    f"<Folder><name>Other</name>{placemark('C', WEST, '1')}</Folder></Document></kml>"
)


@pytest.mark.parametrize("name", ["lots.kml", "lots.kmz"])
def test_folders_of_a_kml_are_layers_and_its_data_are_columns(tmp_path, read, name):
    columns = {"parcel_id": {"column": "Name"}, "use_code": {"column": "USE"}}
    path = tmp_path / name
    if name == "lots.kmz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("doc.kml", KML)
            archive.writestr("files/other.kml", KML)
            archive.writestr("files/icon.png", b"")
    else:
        path.write_text(KML, "utf-8")
    with pytest.raises(SourceChanged, match="has 2 layers: Lots, Other"):
        read(path, columns)
    frame, _ = read(path, columns, member="Lots")
    assert frame["Name"].tolist() == ["A", "B"]
    assert frame["USE"].tolist() == ["101", "007"]


# ---------------------------------------------------------------------------------------------
# Zips


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../lots.csv", "/lots.csv", "a/../../lots.csv", "C:\\lots.csv"])
def test_a_zip_that_leads_out_of_itself_is_refused(tmp_path, read, name):
    path = write_zip(tmp_path / "lots.zip", [(name, b"ID\n1\n"), ("fine.csv", b"ID\n1\n")])
    with pytest.raises(SourceChanged, match="lies outside the zip"):
        read(path)
    assert not (tmp_path.parent / "lots.csv").exists()


def test_a_link_in_a_zip_is_refused(tmp_path, read):
    link = zipfile.ZipInfo("lots.csv")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    path = write_zip(tmp_path / "lots.zip", [(link, "/etc/passwd")])
    with pytest.raises(SourceChanged, match=r"holds a link instead of a file: lots\.csv"):
        read(path)


def test_an_encrypted_zip_is_refused(tmp_path, read):
    path = write_zip(tmp_path / "lots.zip", [("lots.csv", b"ID\n1\n")])
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(SourceChanged, match=r"is encrypted: lots\.csv needs a password"):
        read(path)


@pytest.mark.parametrize("packed", ["zip", "gzip", "zip in a zip"])
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, read, packed):
    content = b"ID,USE\n" + b"1,2\n" * 100_000
    path = tmp_path / "lots"
    if packed == "gzip":
        path.write_bytes(gzip.compress(content))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("lots.csv", content)
        if packed == "zip in a zip":
            inner = path.read_bytes()
            write_zip(path, [("inner.zip", inner)])
    with pytest.raises(SourceChanged, match="unpacks to more than 10,000 bytes") as caught:
        read(path, bytes_most=10_000)
    assert "fetch.bytes_most" in caught.value.remedy


def test_zips_nested_too_deep_are_refused(tmp_path, read):
    path = write_zip(tmp_path / "0.zip", [("lots.csv", b"ID\n1\n")])
    for depth in range(1, 6):
        path = write_zip(tmp_path / f"{depth}.zip", [("inner.zip", path.read_bytes())])
    with pytest.raises(SourceChanged, match="is packed more than 4 times"):
        read(path)


def test_a_damaged_zip_is_refused(tmp_path, read):
    path = tmp_path / "lots.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("lots.csv", b"ID,USE\n" + b"1,2\n" * 100)
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceChanged, match=r"is not a whole zip \(lots\.csv is damaged\)"):
        read(path)


@pytest.mark.parametrize("lacking", [".dbf", ".shx"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_shapefile_without_a_part_is_refused(tmp_path, lots, read, lacking, packed):
    lots.to_file(tmp_path / "lots.shp")
    (tmp_path / f"lots{lacking}").unlink()
    path = tmp_path / "lots.shp"
    if packed:
        parts = [(one.name, one.read_bytes()) for one in tmp_path.glob("lots.*")]
        path = write_zip(tmp_path / "a.zip", parts)
    with pytest.raises(SourceChanged, match=f"lacks lots{lacking}"):
        read(path)


def test_the_parts_of_a_shapefile_may_be_written_differently(tmp_path, lots, read):
    lots.to_file(tmp_path / "lots.shp")
    parts = [(f"Data/LOTS{one.suffix}", one.read_bytes()) for one in tmp_path.glob("lots.*")]
    mixed = [(name.lower() if name.endswith(".dbf") else name, content) for name, content in parts]
    path = write_zip(tmp_path / "a.zip", mixed)
    assert is_every_lot(read(path)[0], lots)


def test_an_empty_zip_is_refused(tmp_path, read):
    with pytest.raises(SourceChanged, match="holds no data"):
        read(write_zip(tmp_path / "lots.zip", []))


# ---------------------------------------------------------------------------------------------
# GeoParquet


@pytest.mark.parametrize("version", ["V1", "V2", "BOTH", "NONE"])
def test_geoparquet_of_each_version_is_read(tmp_path, read, version):
    path = tmp_path / "lots.parquet"
    rows = "select 'A' || n as ID, n as USE, st_point(-71 - n, 42)::geometry('EPSG:4326') as geom"
    query = f"copy ({rows} from range(3) t(n)) to '{path}' (geoparquet_version '{version}')"
    open_engine().execute(query)
    frame, _ = read(path)
    assert frame.crs == "EPSG:4326"
    assert frame["ID"].tolist() == ["A0", "A1", "A2"]
    assert frame.geometry.x.tolist() == [-71, -72, -73]


def test_a_parquet_without_shapes_is_refused(tmp_path, read):
    pq.write_table(pa.table({"ID": ["a"]}), tmp_path / "lots.parquet")
    with pytest.raises(SourceChanged, match="is a Parquet file without shapes"):
        read(tmp_path / "lots.parquet")


# ---------------------------------------------------------------------------------------------
# Bounds and columns


@pytest.mark.parametrize("covering", [True, False])
@pytest.mark.parametrize("kind", ["geoparquet", "geopackage", "geojson", "csv", "flatgeobuf"])
def test_only_rows_within_the_bounds_are_read(tmp_path, lots, read, kind, covering):
    if kind == "geoparquet" and covering:
        path = tmp_path / "lots"
        lots.to_parquet(path, write_covering_bbox=True)
    else:
        path = write(lots, tmp_path / "lots", kind)
    fetch = {"wkt": "shape"} if kind == "csv" else {}
    # The second lot begins 0.002 degrees east of the first.
    bounds = [WEST + 0.0015, SOUTH, WEST + 0.0035, SOUTH + 1]
    frame, notes = read(path, bounds=bounds, **fetch)
    assert frame["ID"].tolist() == ["A2"]
    assert "only rows within fetch.bounds are read" in notes
    with pytest.raises(SourceChanged, match=r"has no row within fetch\.bounds, longitude 10 to 11"):
        read(path, bounds=[10, 50, 11, 51], **fetch)


def test_bounds_are_in_degrees_whatever_the_crs_of_the_file(tmp_path, lots, read):
    lots.to_crs(2249).to_file(tmp_path / "lots.shp")
    bounds = [WEST + 0.0015, SOUTH, WEST + 0.0035, SOUTH + 0.01]
    frame, _ = read(tmp_path / "lots.shp", bounds=bounds, crs="EPSG:2249")
    assert frame["ID"].tolist() == ["A2"]


@pytest.mark.parametrize("bounds", [[1, 2, 0, 3], [0, 5, 1, 4], [0, 0, 400, 1], [0, 1, 2]])
def test_impossible_bounds_are_refused(make_source, bounds):
    with pytest.raises(ValueError, match="bounds"):
        make_source("parcels", "a", fetch={"bounds": bounds})


@pytest.mark.parametrize("kind", ["geoparquet", "geopackage", "flatgeobuf"])
def test_only_declared_columns_are_read(tmp_path, lots, read, kind):
    lots = lots.assign(OWNER="somebody", NOTE="x")
    frame, _ = read(write(lots, tmp_path / "lots", kind))
    assert sorted(frame.columns) == ["ID", "USE", "geometry"]


# ---------------------------------------------------------------------------------------------
# OpenStreetMap


def block(kind, content):
    """Return a block of an OSM PBF file: its header, and its content compressed."""
    packed = zlib.compress(content)
    blob = b"\x10" + varint(len(content)) + b"\x1a" + varint(len(packed)) + packed
    header = b"\x0a" + varint(len(kind)) + kind + b"\x18" + varint(len(blob))
    return struct.pack(">I", len(header)) + header + blob


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    """Return a field of a protobuf message: bytes with their length, or a number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def signed(number):
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def write_osm(path):
    """Write an extract of a substation as a closed way, a school as a point, and a pipeline."""
    texts = [b"", b"power", b"substation", b"amenity", b"school", b"man_made", b"pipeline", b"name"]
    texts += [b"North", b"voltage", b"115000"]
    places = [(0, 0), (0, 10), (10, 10), (50, 50), (60, 60)]

    def node(number, tags=()):
        lon, lat = (round(where * 1e7) for where in (WEST, SOUTH))
        x, y = places[number]
        content = field(1, 0)[:1] + signed(number + 1)
        if tags:
            content += field(2, b"".join(varint(key) for key, _ in tags))
            content += field(3, b"".join(varint(value) for _, value in tags))
        content += varint(8 << 3) + signed(lat + y * 1000) + varint(9 << 3) + signed(lon + x * 1000)
        return field(1, content)

    def way(number, refs, tags):
        deltas = [refs[0], *(b - a for a, b in itertools.pairwise(refs))]
        content = field(1, number) + field(2, b"".join(varint(key) for key, _ in tags))
        content += field(3, b"".join(varint(value) for _, value in tags))
        return field(3, content + field(8, b"".join(signed(delta) for delta in deltas)))

    nodes = b"".join(node(n, ((3, 4), (7, 8)) if n == 3 else ()) for n in range(len(places)))
    ways = way(10, [1, 2, 3, 1], ((1, 2), (9, 10))) + way(11, [4, 5], ((5, 6),))
    strings = field(1, b"".join(field(1, text) for text in texts))
    header = block(b"OSMHeader", field(4, b"OsmSchema-V0.6"))
    content = [block(b"OSMData", strings + field(2, group)) for group in (nodes, ways)]
    path.write_bytes(header + b"".join(content))
    return path


TAGS = {"power": ["substation"], "amenity": ["school", "college"]}


@pytest.mark.parametrize(
    ("member", "tag", "shape"),
    [
        ("multipolygons", "power=substation", "MultiPolygon"),
        ("points", "amenity=school", "Point"),
        ("lines", "man_made=pipeline", "LineString"),
    ],
)
def test_things_are_taken_out_of_openstreetmap_by_tag(tmp_path, read, member, tag, shape):
    path = write_osm(tmp_path / "download")
    columns = {"parcel_id": {"column": "tag"}, "use_code": {"column": "voltage"}}
    # A fence is a closed line too, if lines are asked for.
    tags = {"man_made": ["*"]} if member == "lines" else TAGS
    frame, _ = read(path, columns, member=member, tags=tags)
    assert frame["tag"].tolist() == [tag]
    assert frame.geometry.geom_type.tolist() == [shape]
    assert frame["voltage"].notna().tolist() == [member == "multipolygons"]


def test_openstreetmap_without_a_layer_or_such_a_tag_is_refused(tmp_path, lots, read):
    path = write_osm(tmp_path / "town.osm.pbf")
    with pytest.raises(SourceChanged, match="has 5 layers: points, lines"):
        read(path, tags=TAGS)
    with pytest.raises(SourceChanged, match="has no row with leisure=park in this layer"):
        read(path, member="points", tags={"leisure": ["park"]})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceChanged, match="cannot be read"):
        read(path, member="lines", tags=TAGS)
    path = write(lots, tmp_path / "lots", "geojson")
    with pytest.raises(SourceChanged, match="is not an OpenStreetMap extract"):
        read(path, tags=TAGS)


def test_a_real_openstreetmap_extract_is_read_by_tag(real_files, make_source):
    fetch = DEGREES | {
        "member": "multipolygons",
        "tags": {"amenity": ["school"], "landuse": ["industrial"]},
    }
    source = make_source("receptors", "geneva.osm.pbf", {"name": {"column": "name"}}, fetch=fetch)
    frame, _ = read_file(real_files / "osm/geneva.osm.pbf", source)
    counts = frame["tag"].value_counts()
    assert set(counts.index) == {"amenity=school", "landuse=industrial"}
    assert frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"]).all()


# ---------------------------------------------------------------------------------------------
# Many files


@pytest.fixture
def read_pattern(tmp_path, make_source):
    def read_many(pattern, **fetch):
        columns = {"parcel_id": {"column": "ID"}, "use_code": {"column": "USE"}}
        source = make_source("parcels", pattern, columns, fetch=DEGREES | fetch)
        return read_files(find_shards(tmp_path, pattern, source.id), source)

    return read_many


def test_many_files_are_read_as_one(tmp_path, lots, read_pattern):
    for n, folder in enumerate("cab"):
        (tmp_path / "parts" / folder).mkdir(parents=True)
        write(lots.iloc[[n]], tmp_path / "parts" / folder / "lots.geojson", "geojson")
    (tmp_path / "parts/._lots.geojson").write_bytes(b"x")
    frame, notes = read_pattern("parts/**/*.geojson")
    # The folders are read in the order a, b, c.
    assert frame["ID"].tolist() == ["A2", "A3", "A1"]
    assert "3 files of parts/**/*.geojson read as one" in notes


def test_the_parts_of_a_shapefile_are_one_file(tmp_path, lots, read_pattern):
    for n in range(2):
        lots.iloc[[n]].to_file(tmp_path / f"part{n}.shp")
    assert read_pattern("part?.*")[0]["ID"].tolist() == ["A1", "A2"]


def test_a_shard_without_a_column_or_in_another_crs_is_named(tmp_path, lots, read_pattern):
    write(lots, tmp_path / "1.geojson", "geojson")
    write(lots.drop(columns="USE"), tmp_path / "2.geojson", "geojson")
    with pytest.raises(SourceChanged, match=r"reading 2\.geojson .*no column 'USE'"):
        read_pattern("*.geojson")
    lots.to_crs(2249).to_parquet(tmp_path / "2.geojson")
    with pytest.raises(Exception, match=r"2\.geojson says it is in EPSG:2249"):
        read_pattern("*.geojson")
    with pytest.raises(ConfigError, match=r"fetch\.path = 'x\*\.shp': there is no such file"):
        read_pattern("x*.shp")


def test_numbers_of_one_shard_are_texts_of_another(tmp_path, lots, read_pattern):
    write(lots.assign(USE=[101, 316, 7]), tmp_path / "1.geojson", "geojson")
    write(lots.assign(USE=["101", "316", "07"]), tmp_path / "2.geojson", "geojson")
    write(lots.assign(USE=[101.0, 316.0, None]), tmp_path / "3.geojson", "geojson")
    frame, _ = read_pattern("*.geojson")
    texts = [None if pd.isna(value) else str(value) for value in frame["USE"]]
    assert texts == ["101", "316", "7", "101", "316", "07", "101", "316", None]


# ---------------------------------------------------------------------------------------------
# The page of formats


def test_the_page_of_formats_lists_each_and_its_examples_are_valid(request, make_source):
    page = (request.config.rootpath / "docs/source_files.md").read_text("utf-8")
    table = page.partition("| `fetch.format` |")[2].partition("\n\n")[0]
    listed = [
        name
        for line in table.splitlines()[2:]
        for name in re.findall("`(.*?)`", line.split("|")[1])
    ]
    assert listed == list(FORMATS)
    for example in re.findall(r"^```toml\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE):
        declared = tomllib.loads(example)
        fetch = make_source("parcels", "a", fetch=declared["fetch"]).fetch
        assert fetch.model_dump(exclude_unset=True, mode="json") == declared["fetch"]


def test_shapes_may_be_binary_in_hexadecimal_digits(tmp_path, lots, read):
    texts = lots.geometry.to_wkb(hex=True).tolist()
    # A shape may be written in the other way in the next row.
    texts[0] = f"SRID=26986;{lots.geometry.iloc[0].wkt}"
    path = tmp_path / "lots.csv"
    lots.drop(columns="geometry").assign(shape=texts).to_csv(path, index=False)
    assert is_every_lot(read(path, wkt="shape")[0], lots)


def test_a_very_long_shape_in_a_csv(make_source, tmp_path):
    """The shape is longer than the csv module's usual limit of 131,072 letters."""
    ring = ", ".join(f"{-71 + number / 1e5:.5f} 42" for number in range(10_000))
    path = tmp_path / "lots.csv"
    path.write_text(f'id,shape\n1,"POLYGON ((-71 41, {ring}, -71 41))"\n')
    fetch = {"wkt": "shape", "crs": "EPSG:4326"}
    rows, notes = read_file(path, make_source("parcels", "lots.csv", fetch=fetch))
    assert (len(rows.geometry.iloc[0].exterior.coords), notes) == (10_002, ())
