"""WFS 1.1.0 and 2.0.0: order, counts, ids, axes, resume, recorded capabilities, every fault."""

import datetime as dt
import re

import geopandas as gpd
import pyproj
import pytest

from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from data.protocols.wfs_answers import read_capabilities, read_schema, scan_page
from geo.errors import ConfigError, ContractError, SourceChanged, SourceDown
from tests.servers.scripted import serving

NIGHT = dt.date(2026, 3, 1)
NEXT = dt.date(2026, 3, 2)
COUNT, PAGE = 7, 3
_WFS = 'xmlns:wfs="http://www.opengis.net/wfs{w}" xmlns:gml="http://www.opengis.net/gml{g}"'
_OWS = 'xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:a="http://a" xmlns="http://www.w3.org/2001/XMLSchema"'


class Wfs:
    """A WFS with one feature type of squares near Cambridge, and what is wrong with it."""

    def __init__(self):
        self.rows = [{"n": number, "zone": f"0{number}"} for number in range(COUNT)]
        self.version = "2.0.0"
        self.types = ("a:zones",)
        self.columns = '<element name="objectid" type="int"/><element name="zone" type="string"/>'
        self.constraints = {}
        self.page_most = 1000
        self.hits = None
        self.id_of = lambda row: f"zones.{row['n']}"
        self.srs_name = None
        self.is_swapped = False
        self.has_cql = True
        # Called with the start and the page; returns the page or an answer.
        self.spoil = lambda _, page: page
        self.headers = {}

    def __call__(self, _, parameters, headers):
        given = {name.lower(): text for name, text in parameters.items()}
        request = given["request"]
        if request == "GetCapabilities":
            return 200, {}, self.describe_server().encode()
        if request == "DescribeFeatureType":
            return 200, {}, self.describe_type().encode()
        rows = self.choose(given)
        if given.get("resulttype") == "hits":
            hits = len(rows) if self.hits is None else self.hits
            name = "numberMatched" if self.version[0] == "2" else "numberOfFeatures"
            return 200, {}, self.collect([], f'{name}="{hits}"').encode()
        start = int(given.get("startindex", 0))
        size = min(int(given.get("count", given.get("maxfeatures", 1000))), self.page_most)
        page = rows[start : start + size]
        # Without an order, every answer has another one.
        if "sortby" not in given and start:
            page = page[::-1]
        spoiled = self.spoil(start, page)
        if isinstance(spoiled, tuple):
            return spoiled
        if self.headers.get("ETag") and headers.get("If-None-Match") == self.headers["ETag"]:
            return 304, {}, b""
        matched = f'numberMatched="unknown" numberReturned="{len(spoiled)}"'
        return 200, self.headers, self.collect(spoiled, matched, given["srsname"]).encode()

    def choose(self, given):
        if self.has_cql and given.get("cql_filter") == "EXCLUDE":
            return []
        if "filter" in given or (self.has_cql and "cql_filter" in given):
            return self.rows[:2]
        return self.rows

    def collect(self, rows, attributes, srs=""):
        is_new = self.version[0] == "2"
        names = _WFS.format(w="/2.0" if is_new else "", g="/3.2" if is_new else "")
        holder = "wfs:member" if is_new else "gml:featureMember"
        members = "".join(f"<{holder}>{self.draw(row, srs)}</{holder}>" for row in rows)
        head = f"<wfs:FeatureCollection {names} xmlns:a='http://a' {attributes}>"
        return f"{head}{members}</wfs:FeatureCollection>"

    def draw(self, row, srs):
        code = re.search(r"\d+$", srs)[0]
        crs = pyproj.CRS(f"EPSG:{code}")
        change = pyproj.Transformer.from_crs("OGC:CRS84", crs)
        west, south = -71.12 + row["n"] / 500, 42.37
        ring = [(west, south), (west + 0.001, south), (west + 0.001, south + 0.001), (west, south)]
        points = [change.transform(*point) for point in ring]
        if self.is_swapped:
            points = [point[::-1] for point in points]
        texts = " ".join(f"{x:.9f} {y:.9f}" for x, y in points)
        name = self.srs_name or srs
        key = self.id_of(row)
        own = f' gml:id="{key}"' if key else ""
        return (
            f"<a:zones{own}><a:objectid>{row['n']}</a:objectid><a:zone>{row['zone']}</a:zone>"
            f'<a:geom><gml:Polygon srsName="{name}"><gml:exterior><gml:LinearRing><gml:posList>'
            f"{texts}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></a:geom></a:zones>"
        )

    def describe_server(self):
        types = "".join(
            f"<FeatureType><Name>{name}</Name><Title>Zones</Title>"
            "<DefaultCRS>urn:ogc:def:crs:EPSG::4326</DefaultCRS>"
            "<OtherCRS>urn:ogc:def:crs:EPSG::26986</OtherCRS>"
            "<OtherCRS>urn:ogc:def:crs:EPSG::3035</OtherCRS><ows:WGS84BoundingBox>"
            "<ows:LowerCorner>-71.2 42.3</ows:LowerCorner><ows:UpperCorner>-71.0 42.5"
            "</ows:UpperCorner></ows:WGS84BoundingBox></FeatureType>"
            for name in self.types
        )
        limits = "".join(
            f'<ows:Constraint name="{name}"><ows:NoValues/><ows:DefaultValue>{value}'
            "</ows:DefaultValue></ows:Constraint>"
            for name, value in self.constraints.items()
        )
        return (
            f'<WFS_Capabilities version="{self.version}" {_OWS}>{limits}<FeatureTypeList>{types}'
            "</FeatureTypeList></WFS_Capabilities>"
        )

    def describe_type(self):
        return (
            f'<schema {_OWS} xmlns:gml="g"><element name="zones" type="a:zonesType"/>'
            f'<complexType name="zonesType"><sequence>{self.columns}'
            '<element name="geom" type="gml:GeometryPropertyType"/></sequence></complexType>'
            "</schema>"
        )


@pytest.fixture
def wfs():
    one = Wfs()
    with serving(one) as running:
        one.address, one.asked = running.address, running.asked
        yield one


@pytest.fixture
def zones(wfs, make_zones, quick):  # noqa: ARG001 (it changes how long to wait)
    """Return a function that makes the market and the source of the feature type."""

    def make(**fetch):
        address = f"{wfs.address}/wfs?token=sesame-token"
        return make_zones("wfs", address, **({"page_rows": PAGE} | fetch))

    return make


def pull_rows(source, folder, night=NIGHT):
    """Pull a source into a folder; return its rows and what the pull says."""
    folder.mkdir(exist_ok=True)
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        pulled = PROTOCOLS["wfs"].pull(connection, source, folder, night)
    return gpd.read_parquet(pulled.file), pulled


def list_pages(wfs):
    """Return the parameters of the pages that were asked for."""
    asked = [one for _, one, _ in wfs.asked if one["request"] == "GetFeature"]
    wfs.asked.clear()
    return [one for one in asked if "resulttype" not in one]


# ---------------------------------------------------------------------------------------------
# Rows


@pytest.mark.parametrize("version", ["2.0.0", "1.1.0"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:26986", "EPSG:3035"])
def test_all_pages_in_each_version_and_crs(wfs, zones, tmp_path, version, crs):
    """The official order of EPSG:4326 and EPSG:3035 is north before east."""
    wfs.version = version
    _, source = zones(crs=crs)
    rows, pulled = pull_rows(source, tmp_path / "kept")
    assert rows["objectid"].tolist() == list(range(COUNT))
    # A code keeps its zero, because the server declares it as text.
    assert rows["zone"].tolist() == [f"0{number}" for number in range(COUNT)]
    assert rows["gml_id"].tolist() == [f"zones.{number}" for number in range(COUNT)]
    west, south, east, north = rows.to_crs("EPSG:4326").total_bounds
    expected = (-71.12, 42.37, -71.12 + (COUNT - 1) / 500 + 0.001, 42.371)
    assert (west, south, east, north) == pytest.approx(expected, abs=1e-6)
    assert pulled.notes == ()
    size = "count" if version == "2.0.0" else "maxfeatures"
    asked = [(one["startindex"], one[size], one["sortby"]) for one in list_pages(wfs)]
    assert asked == [(str(start), "3", "objectid") for start in (0, 3, 6)]


def test_the_declared_version_is_spoken(wfs, make_zones, tmp_path):
    wfs.version = "1.1.0"
    url = f"{wfs.address}/wfs?map=a.map&SERVICE=WFS&VERSION=1.1.0&request=GetCapabilities"
    _, source = make_zones("wfs", url)
    pull_rows(source, tmp_path / "kept")
    assert {one["map"] for _, one, _ in wfs.asked} == {"a.map"}
    assert {one["version"] for _, one, _ in wfs.asked} == {"1.1.0"}
    assert {one["service"] for _, one, _ in wfs.asked} == {"WFS"}


@pytest.mark.parametrize("name", ["EPSG:4326", "http://www.opengis.net/gml/srs/epsg.xml#4326"])
@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_name_that_leaves_the_axes_open_is_read_where_the_layer_lies(
    wfs, zones, tmp_path, name, is_swapped
):
    wfs.srs_name, wfs.is_swapped = name, is_swapped
    rows, _ = pull_rows(zones()[1], tmp_path / "kept")
    assert rows.total_bounds[:2].tolist() == pytest.approx([-71.12, 42.37])


def test_the_same_rows_give_the_same_bytes_in_any_page_size(zones, tmp_path):
    first = pull_rows(zones()[1], tmp_path / "a")[1].file.read_bytes()
    assert pull_rows(zones(page_rows=5)[1], tmp_path / "b")[1].file.read_bytes() == first


def test_a_server_that_sends_fewer_rows_than_asked(wfs, zones, tmp_path):
    """Only the rows that came say where the next page begins."""
    wfs.page_most = 2
    rows, _ = pull_rows(zones()[1], tmp_path / "kept")
    assert rows["objectid"].tolist() == list(range(COUNT))
    assert [one["startindex"] for one in list_pages(wfs)] == ["0", "2", "4", "6"]


def test_a_server_that_counts_no_further_than_it_sends(wfs, zones, tmp_path):
    """MapServer counts only up to its own limit."""
    wfs.page_most = wfs.hits = 3
    wfs.constraints = {"CountDefault": 3}
    rows, pulled = pull_rows(zones()[1], tmp_path / "kept")
    assert len(rows) == COUNT
    assert "counts only 3 features, and gave 7" in pulled.notes[0]


def test_a_server_that_does_not_count(wfs, zones, tmp_path):
    wfs.hits = "unknown"
    rows, pulled = pull_rows(zones()[1], tmp_path / "kept")
    assert len(rows) == COUNT
    assert "does not say how many" in pulled.notes[0]


@pytest.mark.parametrize("key", ["fid--5a3f_18c_-7ff{n}", ""])
def test_ids_that_are_made_up_for_each_answer_are_not_kept(wfs, zones, tmp_path, key):
    """GeoServer makes them up where a table has no primary key."""
    nights = iter(range(1000))
    wfs.id_of = lambda _: key.format(n=next(nights)) if key else ""
    first = pull_rows(zones()[1], tmp_path / "a")[1].file.read_bytes()
    assert pull_rows(zones()[1], tmp_path / "b")[1].file.read_bytes() == first
    assert b"fid--" not in first


def test_without_a_column_to_sort_by_everything_must_come_at_once(
    wfs, zones, tmp_path, check_refused
):
    wfs.columns = '<element name="zone" type="string"/>'
    rows, _ = pull_rows(zones()[1], tmp_path / "kept")
    assert len(rows) == COUNT
    assert all("sortby" not in one for one in list_pages(wfs))
    wfs.page_most = 5
    error = check_refused(*zones(), SourceChanged)
    assert "sends 5 of 7 features at once" in error.wrong
    assert "sorts by no column" in error.wrong


def test_a_server_that_refuses_to_sort_is_asked_for_everything_at_once(wfs, zones, tmp_path):
    report = b"<ows:ExceptionReport><ows:ExceptionText>no</ows:ExceptionText></ows:ExceptionReport>"

    def refuse(_, page):
        return (400, {}, report) if "sortby" in wfs.asked[-1][1] else page

    wfs.spoil = refuse
    assert len(pull_rows(zones()[1], tmp_path / "kept")[0]) == COUNT


@pytest.mark.parametrize("text", ["<Filter><x/></Filter>", "zone = '00'"])
def test_a_filter_in_xml_or_cql(wfs, zones, tmp_path, text):
    _, source = zones(filter=text, bounds=(-71.2, 42.3, -71.0, 42.5))
    assert len(pull_rows(source, tmp_path / "kept")[0]) == 2
    (page,) = list_pages(wfs)
    assert page["filter" if text.startswith("<") else "cql_filter"] == text
    assert "bbox" not in page


def test_a_filter_that_the_server_would_ignore(wfs, zones, check_refused):
    wfs.has_cql = False
    error = check_refused(*zones(filter="zone = '00'"), ConfigError)
    assert "does not take a filter in CQL" in error.wrong


@pytest.mark.parametrize(
    ("crs", "start"), [("EPSG:4326", "42.3,-71.2,42.5,-71"), ("EPSG:26986", "22")]
)
def test_bounds_are_sent_in_the_order_of_the_crs(wfs, zones, tmp_path, crs, start):
    _, source = zones(bounds=(-71.2, 42.3, -71.0, 42.5), crs=crs)
    pull_rows(source, tmp_path / "kept")
    box = list_pages(wfs)[0]["bbox"]
    assert box.startswith(start)
    assert box.endswith(f"urn:ogc:def:crs:{crs.replace(':', '::')}")


def test_a_preview_has_some_rows_the_count_and_the_types(zones):
    _, source = zones()
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        seen = PROTOCOLS["wfs"].preview(connection, source, 2)
    assert (len(seen.rows), seen.row_count) == (2, COUNT)
    assert seen.types == {"objectid": "int", "zone": "string"}
    assert seen.says[0] == "title: Zones"
    # A CRS that is not offered is no hindrance yet: the rows say in which one they are.
    _, source = zones(crs="EPSG:2249")
    with open_connection(source.id, requests_per_s=1000.0) as connection:
        assert PROTOCOLS["wfs"].preview(connection, source, 2).rows.crs == "EPSG:4326"


# ---------------------------------------------------------------------------------------------
# Resume and skip


def test_a_pull_that_is_cut_off_goes_on_behind_the_last_page(wfs, zones, tmp_path):
    wfs.spoil = lambda start, page: (503, {}, b"later") if start == 6 else page
    _, source = zones()
    with pytest.raises(SourceDown):
        pull_rows(source, tmp_path / "kept")
    list_pages(wfs)
    wfs.spoil = lambda _, page: page
    rows, pulled = pull_rows(source, tmp_path / "kept", NEXT)
    assert rows["objectid"].tolist() == list(range(COUNT))
    assert [one["startindex"] for one in list_pages(wfs)] == ["0", "6"]
    assert "continued" in pulled.notes[0]


def test_an_etag_of_the_only_page_spares_the_pull(wfs, zones, tmp_path):
    wfs.headers = {"ETag": '"v1"'}
    _, source = zones(page_rows=100)
    pull_rows(source, tmp_path / "kept")
    pull_rows(source, tmp_path / "kept", NEXT)
    assert wfs.asked[-1][2]["If-None-Match"] == '"v1"'


def test_unchanged_rows_make_no_new_snapshot(zones, tmp_path, pull):
    market, source = zones()
    _, (first,) = pull(tmp_path, market, source)
    _, (second,) = pull(tmp_path, market, source, night=NEXT)
    assert (first.changed, second.changed) == (True, False)


# ---------------------------------------------------------------------------------------------
# Faults

REPORT = (
    b'<?xml version="1.0"?><ows:ExceptionReport xmlns:ows="o"><ows:Exception><ows:ExceptionText>'
    b"Cannot do natural order without a primary key</ows:ExceptionText></ows:Exception>"
    b"</ows:ExceptionReport>"
)


def send_body(body, status=200, **headers):
    return lambda start, page: (status, headers, body) if start == PAGE else page


FAULTS = {
    "report": (send_body(REPORT), SourceChanged, "exception report: Cannot do natural order"),
    "html": (send_body(b"<html><body>"), SourceChanged, "an HTML page"),
    "json": (send_body(b'{"type": 1}'), SourceChanged, "is not XML"),
    "cut xml": (send_body(b"<wfs:FeatureCollection xmlns:wfs='w'>"), SourceChanged, "cut off"),
    "cut off": (send_body(b"<a", **{"Content-Length": "100"}), SourceDown, "cut off"),
    "forbidden": (send_body(b"no", 403), SourceChanged, "answers 403"),
    "down": (send_body(b"no", 502), SourceDown, "answers 502"),
    "redirect": (
        send_body(b"", 302, Location="http://localhost:1/?sesame"), SourceChanged, "another host"),
    "repeats": (
        lambda start, page: [{"n": 0, "zone": "00"}, *page[1:]] if start == PAGE else page,
        SourceChanged, "6 different features came, and 1 of them came again, such as 'zones.0'"),
    "starts anew": (
        lambda start, page: [{"n": n, "zone": "0"} for n in range(PAGE)] if start else page,
        SourceChanged, "came again"),
    "too few": (
        lambda start, page: page[:-1] if start == 6 else page,
        SourceChanged, "says that it has 7 features, but 6 different features came"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_one_sentence_and_keeps_the_snapshot(
    wfs, zones, tmp_path, pull, check_refused, name
):
    spoil, kind, words = FAULTS[name]
    market, source = zones()
    pull(tmp_path, market, source)
    wfs.spoil = spoil
    error = check_refused(market, source, kind)
    assert words in error.wrong
    # Once the server is well again, so is the pull.
    wfs.spoil = lambda _, page: page
    pull(tmp_path, market, source, night=NIGHT + dt.timedelta(days=9))


def test_axes_that_contradict_the_name_of_the_crs(wfs, zones, check_refused):
    wfs.is_swapped = True
    assert "exchanges east and north" in check_refused(*zones(), SourceChanged).wrong


def test_rows_that_are_added_meanwhile(wfs, zones, check_refused):
    def add(start, page):
        if start == 6 and len(wfs.rows) == COUNT:
            wfs.rows.append({"n": COUNT, "zone": "0"})
        return page

    wfs.spoil = add
    assert "changed while it was pulled" in check_refused(*zones(), SourceDown).wrong


def test_one_byte_at_a_time_ends_at_the_deadline(wfs, zones, check_refused):
    wfs.spoil = lambda *_: (200, {}, [b"<"] * 100)
    assert "within 1 s" in check_refused(*zones(seconds_most=1.0), SourceDown).wrong


def test_a_feature_type_that_is_not_there_or_not_named(wfs, zones, check_refused):
    wfs.types = ("a:zones", "b:zones", "b:lots")
    for member, words in (
        (None, "has 3 feature types: a:zones, b:zones, b:lots"),
        ("roads", "has no single feature type 'roads': a:zones, b:zones, b:lots"),
        ("zones", "has no single feature type 'zones'"),
    ):
        error = check_refused(*zones(member=member), SourceChanged)
        assert words in error.wrong
        assert "fetch.member" in error.remedy


def test_a_crs_that_is_not_offered(zones, check_refused):
    error = check_refused(*zones(crs="EPSG:2249"), ContractError)
    assert "does not offer the declared CRS EPSG:2249, only EPSG:4326, EPSG:26986" in error.wrong


def test_an_answer_in_another_crs(wfs, zones, check_refused):
    wfs.srs_name = "urn:ogc:def:crs:EPSG::2249"
    assert "answers in EPSG:2249" in check_refused(*zones(), ContractError).wrong


def test_a_version_that_is_not_read(wfs, zones, check_refused):
    wfs.version = "1.0.0"
    assert "speaks WFS 1.0.0, not 1.1.0 or 2.0.0" in check_refused(*zones(), SourceChanged).wrong


# ---------------------------------------------------------------------------------------------
# Recorded answers


@pytest.mark.parametrize(
    ("name", "version", "count", "rows_most", "has_pages", "first", "crs"),
    [
        ("wfs_koeln_arcgis_getcapabilities_200", "2.0.0", 86, None, True,
         "adressen_stadtteil:Altstadt_Nord", "urn:ogc:def:crs:EPSG::25832"),
        ("wfs_koeln_arcgis_getcapabilities_110", "1.1.0", 86, None, None,
         "adressen_stadtteil:Altstadt_Nord", "urn:ogc:def:crs:EPSG::25832"),
        ("wfs_dov_getcapabilities_200", "2.0.0", 1, 10_000, True,
         "gw_meetnetten:meetnetten", "urn:ogc:def:crs:EPSG::31370"),
        ("wfs_dov_getcapabilities_110", "1.1.0", 1, None, None,
         "gw_meetnetten:meetnetten", "urn:x-ogc:def:crs:EPSG:31370"),
        ("wfs_HSRS_GetCapabilities_1_1_0", "1.1.0", 8, 512, None, None, None),
        ("wfs_CUZK_GetCapabilities_2_0_0", "2.0.0", 3, None, False, None, None),
        ("mapserver-wfs-cap", "1.0.0", 25, None, None, "antarctic_ice_shelves_fill", "EPSG:3031"),
    ],
)  # fmt: skip
def test_recorded_capabilities(real_files, name, version, count, rows_most, has_pages, first, crs):
    folder = real_files / "protocol" / "owslib" / "tests" / "resources"
    said = read_capabilities((folder / f"{name}.xml").read_bytes())
    assert (said.version, len(said.types)) == (version, count)
    assert (said.rows_most, said.has_pages) == (rows_most, has_pages)
    if first is not None:
        assert (said.types[0].name, said.types[0].crs[0]) == (first, crs)


def test_recorded_schemas(real_files):
    folder = real_files / "protocol" / "owslib" / "tests" / "resources"
    body = (folder / "wfs_koeln_arcgis_describefeaturetype_200.xml").read_bytes()
    columns = read_schema(body, "adressen_stadtteil:Blumenberg")
    assert list(columns.items())[:2] == [("objectid", "int"), ("Nummer", "string")]
    assert len(columns) == 25
    body = (folder / "wfs_schema_dov_hhz.xml").read_bytes()
    assert read_schema(body, "gw_varia:hhz")["opp_m2"] == "long"


def test_a_recorded_page(real_files):
    folder = real_files / "protocol" / "owslib" / "tests" / "resources" / "owc_atom_examples"
    outline = scan_page((folder / "gml_road.xml").read_bytes())
    assert outline.root
