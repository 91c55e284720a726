import re
import time

import geopandas as gpd
import pytest

from geo.errors import ContractError
from maps.ranked import draw_ranked_page


def test_same_input_gives_the_same_page(ranking, drawing, report) -> None:
    first = draw_ranked_page(ranking, drawing, report)
    time.sleep(1.1)
    assert draw_ranked_page(ranking.copy(), dict(drawing), report) == first


def test_nothing_is_fetched_from_elsewhere(ranking, drawing, report) -> None:
    page = draw_ranked_page(ranking, drawing, report)
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", page.split("<body>")[0])
    for library in ("jquery", "bootstrap", "font-awesome", "awesome-markers", "cdn."):
        assert library not in page.lower()
    assert "sourceMappingURL" not in page


def test_scripts_end_where_they_should(ranking, drawing, report) -> None:
    """No text from a source ends a script: each script tag that opens is closed once."""
    page = draw_ranked_page(ranking, drawing, report)
    assert "alert(2)" in page
    assert len(re.findall(r"<script[ >]", page)) == page.count("</script>")
    assert "<!-- open comment" not in page
    assert "\u2028" not in page


def test_an_absent_or_empty_layer_has_no_switch(ranking, drawing, report) -> None:
    some = {key: value for key, value in drawing.items() if key != "mains"}
    some["substations"] = drawing["substations"].iloc[:0]
    some["gas_signs"] = drawing["gas_signs"].assign(geometry=None).set_crs("EPSG:26986")
    page = draw_ranked_page(ranking, some, report)
    assert "<span>Gas mains</span>" not in page.replace("\\u003c", "<").replace("\\u003e", ">")
    for key in ("mains", "substations", "gas_signs"):
        assert f'"{key}":{{"pack"' not in page
    assert '"capacity":{"pack"' in page


def test_hosting_capacity_is_not_drawn_as_load_headroom(ranking, drawing, report) -> None:
    hosting = drawing | {"capacity": drawing["capacity"].assign(kind="generation")}
    assert '"capacity":{"pack"' not in draw_ranked_page(ranking, hosting, report)


def test_layers_come_in_any_frame(ranking, drawing, report) -> None:
    degrees = {key: frame.to_crs(4326) for key, frame in drawing.items()}
    assert draw_ranked_page(ranking, degrees, report).count('"pack"') == draw_ranked_page(
        ranking, drawing, report
    ).count('"pack"')


def test_a_ranking_without_a_fact_is_refused_by_name(ranking, drawing, report) -> None:
    with pytest.raises(ContractError, match="load_headroom_kw"):
        draw_ranked_page(
            gpd.GeoDataFrame(ranking.drop(columns="load_headroom_kw")), drawing, report
        )


def test_numbers_are_known_to_the_page_only_as_text(ranking, drawing, report) -> None:
    page = draw_ranked_page(ranking, drawing, report)
    assert "NaN" not in page.split('id="padfinder-data">')[1].split("</script>")[0]
