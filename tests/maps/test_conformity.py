import pandas as pd
import pytest

from flows import cli
from geo.propagation import conformity, ground
from maps.conformity import draw_conformity_page

META = {"Edition": "ISO 9613-2:1996", "Program": "padfinder <0>"}


def test_green_where_met_and_red_where_not():
    table = pd.DataFrame(
        {
            "case": ["T1", "T1", "T2<"],
            "title": ["one", "one", "two & three"],
            "band": ["63 Hz", "total", "total"],
            "required": [True, True, False],
            "expected": [1.0, 2.0, 3.0],
            "computed": [1.01, 2.0, 3.2],
            "deviation": [0.01, 0.0, 0.2],
            "note": ["", "", "why <not>"],
            "met": [True, True, False],
        }
    )
    text = draw_conformity_page(table, META)
    assert text.count('class="met"') == 1 + 2
    assert text.count('class="missed"') == 1 + 1
    assert "1 of 2 cases met; not met: T2&lt;" in text
    assert "two &amp; three" in text
    assert "<b>T2&lt;, two &amp; three.</b> why &lt;not&gt;" in text
    assert "padfinder &lt;0&gt;" in text
    assert "+0.20" in text
    assert draw_conformity_page(table, META) == text


def test_one_altered_constant_turns_the_page_red(monkeypatch):
    before = draw_conformity_page(conformity.run_cases(), META)
    monkeypatch.setattr(ground, "C_DASH", (1.5, 14.0, 0.5, 50.0))
    after = draw_conformity_page(conformity.run_cases(), META)
    assert after.count('class="missed"') > before.count('class="missed"')
    assert "http" not in before.replace("http-equiv", "")


@pytest.mark.parametrize("failed", [False, True])
def test_the_command_writes_the_page_and_fails_where_a_required_case_does(
    tmp_path, monkeypatch, failed
):
    if failed:
        monkeypatch.setattr(ground, "C_DASH", (1.5, 14.0, 0.5, 50.0))
    path = tmp_path / "out" / "page.html"
    assert cli.main(["conformity", "--out", str(path)]) == int(failed)
    assert "T19" in path.read_text("utf-8")
