"""A page of a server's answer that was saved as a file is not taken for the whole layer."""

import json

import pytest
import shapely

from data.protocols.file import read_file
from geo.errors import SourceChanged

LINKS = [{"rel": "self", "href": "https://x"}, {"rel": "next", "href": "https://x?offset=2"}]
GML = """<?xml version="1.0" encoding="UTF-8"?>
<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0"
    xmlns:gml="http://www.opengis.net/gml/3.2" {said}>
  <wfs:member>
    <lot gml:id="a"><ID>a</ID><shape><gml:Point gml:id="p" srsName="EPSG:26986">
      <gml:pos>232000 901000</gml:pos></gml:Point></shape></lot>
  </wfs:member>
</wfs:FeatureCollection>"""


@pytest.fixture
def read(tmp_path, make_source):
    """Return a function that reads a text as a file of substations."""

    def read_text(name, text, crs):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        columns = {"substation_id": {"column": "ID"}, "status": {"value": "unknown"}}
        source = make_source("substations", name, columns, fetch={"crs": crs})
        return len(read_file(path, source)[0])

    return read_text


@pytest.fixture
def read_json(read):
    """Return a function that reads two points with more keys in the document."""

    def read_points(**more):
        features = [
            {"type": "Feature", "properties": {"ID": name},
             "geometry": shapely.geometry.mapping(shapely.Point(-71, 42))}
            for name in "ab"
        ]  # fmt: skip
        document = {"type": "FeatureCollection", "features": features} | more
        return read("points.geojson", json.dumps(document), "EPSG:4326")

    return read_points


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"exceededTransferLimit": True}, "exceededTransferLimit"),
        ({"properties": {"exceededTransferLimit": True}}, "exceededTransferLimit"),
        ({"numberMatched": 60, "numberReturned": 2}, "60 in all"),
        ({"totalFeatures": 3}, "3 in all"),
        ({"links": LINKS}, "a link to the next page"),
        ({"numberMatched": "unknown", "links": LINKS}, "a link to the next page"),
    ],
)
def test_a_document_that_says_there_is_more_is_refused(read_json, more, says):
    with pytest.raises(SourceChanged, match=rf"one page of a server's answer: 2 .*\({says}\)"):
        read_json(**more)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"exceededTransferLimit": False},
        {"numberMatched": 2, "numberReturned": 2},
        {"totalFeatures": "unknown"},
        {"links": LINKS[:1]},
        # Some servers name a next page after the last one too.
        {"numberMatched": 2, "links": LINKS},
    ],
)
def test_a_whole_document_is_read(read_json, more):
    assert read_json(**more) == 2


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ('numberMatched="60" numberReturned="1"', "1 features.*60 in all"),
        ('numberReturned="1" next="https://x?startIndex=1"', "a link to the next page"),
    ],
)
def test_a_page_of_gml_is_refused(read, said, says):
    with pytest.raises(SourceChanged, match=says):
        read("lots.gml", GML.format(said=said), "EPSG:26986")


def test_whole_gml_is_read(read):
    said = 'numberMatched="1" numberReturned="1" next="https://x?startIndex=1"'
    assert read("lots.gml", GML.format(said=said), "EPSG:26986") == 1
