import json

import numpy as np
import pytest
import shapely

from maps.pack import (
    LINE_KINDS,
    POLYGON_KINDS,
    encode_texts,
    format_script_json,
    pack_parts,
    split_parts,
)


@pytest.mark.parametrize(
    "text",
    [
        "</script>",
        "<!--",
        "\u2028\u2029",
        "{{ 1 }}",
        "{% if %}",
        "{#",
        "{{{",
        "\\",
        '"',
        "\U0001f3ed",
    ],
)
def test_script_json_reads_back_and_holds_nothing_that_a_page_obeys(text: str) -> None:
    held = format_script_json({"k": [text, {"x": {}}]})
    assert json.loads(held) == {"k": [text, {"x": {}}]}
    assert held.isascii()
    assert not any(bad in held for bad in ("<", ">", "{{", "{%", "{#"))


def test_script_json_refuses_what_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        format_script_json([float("nan")])


def test_coded_keeps_each_text_once() -> None:
    assert encode_texts(["a", None, "b", "a"]) == {"v": ["a", "b"], "i": [0, -1, 1, 0]}


def test_packed_polygons_hold_steps_between_whole_numbers() -> None:
    square = shapely.Polygon([(0, 0), (0.00001, 0), (0.00001, 0.00002), (0, 0.00002)])
    made = pack_parts(np.array([square]), np.array([1]), 2)
    assert made["kind"] == "polygon"
    assert made["parts"] == [0, 1]
    assert (made["rings"], made["size"]) == ([1], [4])
    # (0,0) (10,0) (10,20) (0,20) in millionths of a degree, each relative to the previous point.
    assert made["xy"] == [0, 0, 10, 0, 0, 20, -10, 0]


def test_packed_keeps_holes_and_several_parts() -> None:
    outer, inner = shapely.box(0, 0, 9, 9), shapely.box(2, 2, 4, 4)
    parts, of = split_parts(
        np.array(
            [outer.difference(inner), shapely.MultiPolygon([outer, shapely.box(20, 0, 21, 1)])]
        ),
        POLYGON_KINDS,
    )
    made = pack_parts(parts, of, 2)
    assert made["parts"] == [1, 2]
    assert made["rings"] == [2, 1, 1]
    assert made["size"] == [4, 4, 4, 4]


def test_parts_of_opens_collections_and_drops_the_rest() -> None:
    line, box = shapely.LineString([(0, 0), (1, 1)]), shapely.box(0, 0, 1, 1)
    mixed = np.array([None, shapely.GeometryCollection([line, box]), shapely.Polygon(), line])
    parts, of = split_parts(mixed, LINE_KINDS)
    assert of.tolist() == [1, 3]
    assert all(shapely.equals(parts, line))


def test_packed_of_nothing_is_empty() -> None:
    made = pack_parts(np.empty(0, dtype=object), np.empty(0, dtype=int), 3)
    assert (made["parts"], made["xy"], made["size"]) == ([0, 0, 0], [], [])
