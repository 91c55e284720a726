"""The map in a real browser, opened from a file without a network."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from maps.ranked import draw_ranked_page
from tests.maps.conftest import make_ranking
from tests.maps.every import FACTS

Opener = Callable[..., Page]
SWITCHES = (
    "Ranked sites",
    "Best 25 by rank",
    "Gas mains",
    "Substations",
    "Feeders",
    "Schools",
    "Pads, generators and tanks",
    "Flood zone",
    "Wetland",
)


@pytest.fixture(scope="module")
def map_file(tmp_path_factory, ranking, drawing, report) -> Path:
    path = tmp_path_factory.mktemp("published") / "map.html"
    path.write_text(draw_ranked_page(ranking, drawing, report), encoding="utf-8")
    return path


def switch(page: Page, title: str):
    label = page.locator(".leaflet-control-layers-overlays label", has_text=title)
    return label.locator("input")


def title_of(page: Page) -> str:
    return page.locator("#pf-card h2").inner_text()


def matrix_of(page: Page, group: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return the headers of a card's table, and its rows by title."""
    table = page.locator(f"#pf-card [data-group={group}] table")
    rows = table.locator("tbody tr").all()
    return table.locator("thead th").all_text_contents(), {
        row.locator("th").text_content(): row.locator("td").all_text_contents() for row in rows
    }


def value_of(page: Page, title: str) -> str:
    """Return the value shown beside a fact's title on the open card."""
    exact = re.compile(f"^{re.escape(title)}$")
    row = page.locator("#pf-card .pf-facts dt").filter(has_text=exact)
    return row.first.evaluate("one => one.nextElementSibling.textContent")


def test_opens_from_a_file_with_no_request_and_no_error(open_page: Opener, map_file: Path) -> None:
    page = open_page(map_file)
    page.locator(".pf-row").first.click()
    page.locator(".leaflet-control-zoom-out").click()
    page.wait_for_timeout(300)
    assert page.requests == [map_file.as_uri()]
    assert page.errors == []
    assert page.dialogs == []


def asked_for(page: Page) -> list[str]:
    """Let a script in the page request an image and a file; return the requests that were sent."""
    left: list[str] = []

    def answer(route) -> None:
        left.append(route.request.url)
        route.fulfill(status=200, body="", headers={"Access-Control-Allow-Origin": "*"})

    page.context.route("http://example.invalid/**", answer)
    page.evaluate(
        "() => { const one = new Image(); one.src = 'http://example.invalid/image';"
        " fetch('http://example.invalid/fetch').catch(() => 0); }"
    )
    page.wait_for_timeout(500)
    return sorted(left)


def test_the_policy_stops_a_request_that_a_script_would_make(
    open_page: Opener, map_file: Path, tmp_path: Path
) -> None:
    page = open_page(map_file)
    assert asked_for(page) == []
    assert any("Content Security Policy" in one for one in page.errors)
    # Without the policy, the same script does send requests, so the test can fail.
    bare = tmp_path / "bare.html"
    text = map_file.read_text(encoding="utf-8")
    bare.write_text(text.replace("Content-Security-Policy", "none"), encoding="utf-8")
    assert asked_for(open_page(bare)) == [
        "http://example.invalid/fetch",
        "http://example.invalid/image",
    ]


def test_only_the_street_map_that_a_reader_switches_on_asks_for_tiles(
    open_page: Opener, map_file: Path
) -> None:
    page = open_page(map_file)
    page.context.route("https://**", lambda route: route.abort())
    box = switch(page, "Street map (online)")
    assert not box.is_checked()
    box.check()
    page.wait_for_timeout(300)
    asked = [one for one in page.requests if not one.startswith(("file:", "data:"))]
    assert asked
    assert all(one.startswith("https://tile.openstreetmap.org/") for one in asked)


def test_text_from_a_source_is_shown_and_never_run(
    open_page: Opener, map_file: Path, ranking
) -> None:
    page = open_page(map_file)
    for row in (0, 2, 3, 4, 5, 6, 7):
        page.evaluate("row => padfinder.card.open(row, 'jump')", row)
        hostile = ranking["address"][row]
        assert page.locator("#pf-card h2").evaluate("one => one.textContent") == hostile
        shown = page.locator("#pf-card .pf-sentence").evaluate("one => one.textContent")
        assert shown == hostile
        assert page.locator("#pf-card script, #pf-card img").count() == 0
    page.locator("#pf-show-sources").click()
    assert "<img src=x onerror=alert(3)>" in page.locator("#pf-sources").inner_text()
    assert page.locator("#pf-sources img, #pf-list img, #pf-list script").count() == 0
    assert page.dialogs == []
    assert page.errors == []


def test_tooltips_of_hostile_layers_are_text(open_page: Opener, map_file: Path) -> None:
    page = open_page(map_file)
    page.locator(".pf-substation").first.hover()
    tip = page.locator(".leaflet-tooltip")
    assert "<script>alert(1)</script>" in tip.inner_text()
    assert tip.locator("script, img").count() == 0
    assert page.dialogs == []


def test_a_click_in_the_list_flies_to_the_site_and_opens_its_card(
    open_page: Opener, map_file: Path, ranking
) -> None:
    page = open_page(map_file)
    assert page.locator("#pf-card").is_hidden()
    page.locator(".pf-row").nth(14).click()
    assert title_of(page) == ranking["address"][14]
    page.wait_for_timeout(1200)
    the_map = page.evaluate("Object.keys(window).find(one => one.startsWith('map_'))")
    center = page.evaluate(
        f"(() => {{ const c = {the_map}.getCenter(); return [c.lat, c.lng]; }})()"
    )
    # The site is within 30 m of the middle of the part of the map that the card leaves visible.
    assert center[0] == pytest.approx(ranking["lat"][14], abs=0.0003)
    assert center[1] == pytest.approx(ranking["lon"][14], abs=0.0004)


def test_a_click_on_a_site_opens_its_card(open_page: Opener, map_file: Path, ranking) -> None:
    page = open_page(map_file, "#2-12%2FA")
    switch(page, "Best 25").uncheck()
    page.locator("#pf-close").click()
    assert page.locator("#pf-card").is_hidden()
    box = page.locator(".folium-map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert title_of(page) == ranking["address"][12]
    assert page.evaluate("location.hash") == "#2-12%2FA"


@pytest.mark.parametrize("row", [0, 20, 39])
def test_a_link_opens_the_card_that_it_names(
    open_page: Opener, map_file: Path, ranking, row: int
) -> None:
    link = f"#{ranking['site_id'][row].replace('/', '%2F')}"
    page = open_page(map_file, link)
    card = page.locator("#pf-card")
    assert card.is_visible()
    assert value_of(page, "Assessor ID") == ranking["site_id"][row]


@pytest.mark.parametrize("fragment", ["#nothing-here", "#%E0%A4%A", "#__proto__", ""])
def test_a_link_that_names_no_site_opens_the_map(
    open_page: Opener, map_file: Path, fragment: str
) -> None:
    page = open_page(map_file, fragment)
    assert page.locator("#pf-card").is_hidden()
    assert page.errors == []


def test_a_card_holds_every_fact_and_calls_a_missing_one_not_known(
    open_page: Opener, map_file: Path
) -> None:
    page = open_page(map_file, "#1-1%2FA")  # site 1 lacks every fact that can be missing
    titles = page.locator("#pf-card .pf-facts dt").all_text_contents()
    assert titles == [
        fact.title
        for group in (
            "result",
            "site",
            "grid",
            "fuel",
            "money",
            "pad",
            "noise",
            "score",
            "provenance",
        )
        for fact in FACTS
        if fact.group == group
    ]
    for title in (
        "Load headroom",
        "Gas main diameter",
        "Buildable ground",
        "Grid score (worst case)",
        "City",
    ):
        assert value_of(page, title) == "not known"
    # Loads are shown side by side, in one column each.
    heads, rows = matrix_of(page, "loads")
    assert heads == ["200 kW", "1 MW", "3 MW"]
    assert rows["Grid gap"] == ["not known"] * 3
    # Four fuels are wider than a card, so they are shown one below the other.
    ladder = page.locator("#pf-card [data-group=ladder] table")
    assert ladder.locator(".pf-of th").all_text_contents() == [
        "Natural gas", "Propane", "Biogas", "Hydrogen",
    ]  # fmt: skip
    asked = [
        "Generators, at least", "Generators, at most", "Distance", "Source of data",
        "What it needs",
    ]  # fmt: skip
    rows = ladder.locator("tr:not(.pf-of) th").all_text_contents()
    assert rows == asked * 4
    money = page.locator("#pf-card [data-group=money]").inner_text()
    assert "Assumed: A pad takes 4 to 16 weeks: assumed (as of 2026)." in money
    said = page.locator("#pf-card").inner_text()
    assert not re.search(r"\b(nan|null|undefined|None|NaN)\b", said)
    assert value_of(page, "Lot area (measured)") == "17,050 sq ft (1,584 m²)"  # 36 m x 44 m


def test_every_layer_has_a_switch_that_works(open_page: Opener, map_file: Path) -> None:
    page = open_page(map_file)
    for title in SWITCHES:
        assert switch(page, title).count() == 1, title
    assert page.locator(".pf-substation").count() == 2
    switch(page, "Substations").uncheck()
    assert page.locator(".pf-substation").count() == 0
    switch(page, "Substations").check()
    assert page.locator(".pf-substation").count() == 2
    pins = page.locator(".pf-pin").count()
    switch(page, "Best 25").uncheck()
    assert (pins, page.locator(".pf-pin").count()) == (25, 0)
    # Layers drawn on a canvas have no elements to find, so count the map's layers instead.
    the_map = page.evaluate("Object.keys(window).find(one => one.startsWith('map_'))")
    count = f"(() => {{ let n = 0; {the_map}.eachLayer(() => n++); return n; }})()"
    for title in ("Gas mains", "Schools", "Feeders", "Flood zone", "Wetland"):
        before = page.evaluate(count)
        switch(page, title).check()
        assert page.evaluate(count) > before, title
    for title in ("Pads, generators and tanks", "Ranked sites", "All parcels"):
        before = page.evaluate(count)
        switch(page, title).uncheck()
        assert page.evaluate(count) < before, title
    assert page.errors == []


def test_search_finds_an_address_or_an_id(open_page: Opener, map_file: Path) -> None:
    page = open_page(map_file)
    page.locator("#pf-search").fill("2-12/a")
    assert page.locator(".pf-row").count() == 1
    page.locator("#pf-search").fill("river street")
    assert page.locator(".pf-row").count() > 1
    page.locator("#pf-search").fill("no such street")
    assert page.locator("#pf-count").inner_text() == "No site matches"


def test_calls_narrow_the_list(open_page: Opener, map_file: Path, ranking) -> None:
    page = open_page(map_file)
    page.locator("#pf-calls button", has_text="Call: yes").click()
    assert page.locator(".pf-row").count() == int((ranking["call"] == "yes").sum())
    assert set(page.locator(".pf-row .pf-chip").all_inner_texts()) == {"yes"}


@pytest.fixture(scope="module")
def folded_file(tmp_path_factory, ranking, drawing, report) -> Path:
    """Return a map on which seven sites form a group, with four folded beneath the third."""
    block = ranking.copy()
    block.loc[[2, 3, 5, 6, 8, 9, 11], "group_id"] = ranking["site_id"][2]
    block["folded"] = block.index.isin([6, 8, 9, 11])
    path = tmp_path_factory.mktemp("folded") / "map.html"
    path.write_text(draw_ranked_page(block, drawing, report), encoding="utf-8")
    return path


def ranks_seen(page: Page) -> list[int]:
    return [int(one.inner_text()) for one in page.locator(".pf-badge").all() if one.is_visible()]


def test_a_block_of_sites_is_folded_and_shown_on_demand(
    open_page: Opener, folded_file: Path
) -> None:
    page = open_page(folded_file)
    hidden = [7, 9, 10, 12]
    others = [n for n in range(1, 41) if n not in hidden]
    assert ranks_seen(page) == others
    count = "40 sites, 4 listed under their group"
    assert page.locator("#pf-count").inner_text() == count
    more = page.locator(".pf-more")
    assert more.all_inner_texts() == ["+ 4 more in this group"]
    more.click()
    assert more.inner_text() == "Hide 4 more in this group"
    assert more.get_attribute("aria-expanded") == "true"
    # directly below the third site of the group, which has rank 6
    assert ranks_seen(page) == [*range(1, 7), *hidden, 8, 11, *range(13, 41)]
    listed, beneath = page.locator(".pf-badge").nth(5), page.locator(".pf-folded .pf-badge").first
    assert beneath.bounding_box()["x"] > listed.bounding_box()["x"]
    page.locator(".pf-folded .pf-row").first.click()
    assert page.locator("#pf-card .pf-rank").inner_text() == "Rank 7 of 40"
    more.click()
    assert ranks_seen(page) == others
    assert page.locator("#pf-count").inner_text() == count
    assert page.errors == []


def test_what_is_looked_for_is_never_folded(open_page: Opener, folded_file: Path, ranking) -> None:
    page = open_page(folded_file)
    search = page.locator("#pf-search")
    search.fill(ranking["site_id"][8])
    assert ranks_seen(page) == [9]
    assert page.locator("#pf-count").inner_text() == "1 site"
    search.fill("")
    assert page.locator(".pf-more").count() == 1
    page.locator("#pf-calls button", has_text="Call: yes").click()
    assert ranks_seen(page) == (ranking["rank"][ranking["call"] == "yes"]).tolist()
    assert page.locator(".pf-more").count() == 0


def test_the_count_of_a_long_list_is_of_what_the_list_holds(
    open_page: Opener, tmp_path: Path, drawing, report
) -> None:
    ranking = make_ranking(70)
    ranking.loc[:9, "group_id"] = ranking["site_id"][0]
    ranking["folded"] = ranking.index.isin(range(3, 10))
    path = tmp_path / "map.html"
    path.write_text(draw_ranked_page(ranking, drawing, report), encoding="utf-8")
    page = open_page(path)
    assert ranks_seen(page) == [1, 2, 3, *range(11, 58)]
    assert (
        page.locator("#pf-count").inner_text()
        == "First 57 of 70 sites, best first, 7 listed under their group"
    )


def test_the_page_says_what_a_reader_must_know(open_page: Opener, map_file: Path, report) -> None:
    page = open_page(map_file)
    assert report.first_lines[0] in page.locator("#pf-banner").inner_text()
    head = page.locator("#pf-head").inner_text()
    assert all(one in head for one in (report.market_title, report.plan_title, report.run_id))
    foot = page.locator("#pf-foot").inner_text()
    assert foot.startswith("Screening is not engineering.")
    assert all(one in foot for one in ("air permit", "zoning permission", "gas-utility", "lease"))
    page.locator("#pf-show-sources").click()
    said = page.locator("#pf-sources").inner_text()
    assert "CC BY 4.0" in said
    assert "Health of the sources" in said
    assert re.search(r"Parcels\s+shrunk\s+2026-03-30\s+1,234\s+1,300 before; 4 came, 70 went", said)
    assert "it has 12 rows, 1234 the last time · 2 invalid rings repaired" in said
    assert re.search(r"Parcels in\s+400", said)
    assert re.search(r"Set aside: residential use\s+355", said)  # 400 - 40 sites - 5 with no shape


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (1280, 720), (390, 800)])
def test_panels_do_not_overlap(open_page: Opener, map_file: Path, width: int, height: int) -> None:
    page = open_page(map_file, "" if width < 820 else "#2-12%2FA", width, height)
    boxes = [
        one.bounding_box()
        for name in ("#pf-legend", ".leaflet-control-layers", ".leaflet-control-zoom", "#pf-card",
                     "#pf-list", "#pf-head")
        if (one := page.locator(name)).is_visible()
    ]  # fmt: skip
    for k, a in enumerate(boxes):
        assert a["x"] >= 0
        assert a["x"] + a["width"] <= width + 1
        for b in boxes[k + 1 :]:
            apart = (
                a["x"] + a["width"] <= b["x"] + 1
                or b["x"] + b["width"] <= a["x"] + 1
                or a["y"] + a["height"] <= b["y"] + 1
                or b["y"] + b["height"] <= a["y"] + 1
            )
            assert apart, (a, b)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_empty_ranking_still_opens(open_page: Opener, tmp_path: Path, ranking, report) -> None:
    path = tmp_path / "map.html"
    path.write_text(draw_ranked_page(ranking.iloc[:0], {}, report), encoding="utf-8")
    page = open_page(path)
    assert page.locator("#pf-count").inner_text() == "No site matches"
    assert page.errors == []
