"""Several plans of one market stand side by side, and other weights need no new screening."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from data.facts_files import KEPT
from flows import screened
from geo.model import Report
from tests.flows import hamlet

NIGHT = ("--night", "2026-03-31")


def write_plan(town, name, **changes):
    """Write another plan of the hamlet, with some of its text replaced."""
    text = (town / "own/hamlet/plans/hamlet.toml").read_text("utf-8")
    for old, new in {'id = "hamlet"': f'id = "{name}"', **changes}.items():
        assert old in text
        text = text.replace(old, new)
    (town / f"own/hamlet/plans/{name}.toml").write_text(text, "utf-8")


def read_ranked(town, plan):
    return (town / f"var/published/hamlet/{plan}/ranked.csv").read_bytes()


@pytest.fixture
def no_screening(monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("the sites were screened again")

    monkeypatch.setattr(screened, "screen_side_by_side", refuse)


def test_plans_are_published_beside_each_other(town, padfinder):
    write_plan(town, "small", **{"target_kw = 1000": "target_kw = 200"})
    before = read_ranked(town, "hamlet")
    ran = padfinder(town, "publish", "-m", "hamlet", "--plan", "small", *NIGHT)
    assert ran.code == 0
    assert f"{town}/var/published/hamlet/small/map.html" in ran.out
    assert read_ranked(town, "hamlet") == before
    reports = {
        plan: Report.model_validate_json(
            (town / f"var/published/hamlet/{plan}/report.json").read_text("utf-8")
        )
        for plan in ("hamlet", "small")
    }
    assert {plan: report.plan_id for plan, report in reports.items()} == {
        "hamlet": "hamlet", "small": "small",
    }  # fmt: skip
    first = pd.read_csv(town / "var/published/hamlet/small/ranked.csv").iloc[0]
    assert first["call"] == first["call_200"]


def test_explain_and_noise_take_the_plan(town, padfinder):
    write_plan(town, "small", **{"target_kw = 1000": "target_kw = 200"})
    assert padfinder(town, "publish", "-m", "hamlet", "--plan", "small", *NIGHT).code == 0
    site = pd.read_csv(town / "var/published/hamlet/small/ranked.csv").iloc[0]
    own = padfinder(town, "explain", site["site_id"], "-m", "hamlet")
    small = padfinder(town, "explain", site["site_id"], "-m", "hamlet", "--plan", "small")
    assert own.code == small.code == 0
    assert own.out != small.out
    assert f"call: {site['call']}" in small.out
    drawn = padfinder(
        town, "noise", "-m", "hamlet", "--site", site["site_id"], "--plan", "small",
        "--cell", "20", *NIGHT,
    )  # fmt: skip
    assert drawn.code == 0


def test_a_plan_that_was_not_published_is_named_with_those_that_were(town, padfinder):
    ran = padfinder(town, "explain", "1", "-m", "hamlet", "--plan", "large")
    assert ran.code == 7
    assert "under plan large" in ran.err
    assert "the plans published are hamlet" in ran.err


@pytest.mark.usefixtures("no_screening")
def test_other_weights_need_no_new_screening(town, padfinder):
    facts = sorted((town / "var/facts/hamlet").iterdir())
    write_plan(town, "noise_first", **{"weight = 25": "weight = 90"})
    for plan in ("hamlet", "noise_first"):
        assert padfinder(town, "publish", "-m", "hamlet", "--plan", plan, *NIGHT).code == 0
    scores = [
        pd.read_csv(town / f"var/published/hamlet/{plan}/ranked.csv")["score"].tolist()
        for plan in ("hamlet", "noise_first")
    ]
    assert scores[0] != scores[1]
    assert sorted((town / "var/facts/hamlet").iterdir()) == facts


def test_ranking_from_kept_facts_gives_the_same_bytes(town, padfinder):
    folder = town / "var/published/hamlet/hamlet"
    before = dict(hamlet.digests(folder))
    assert padfinder(town, "publish", "-m", "hamlet", *NIGHT).code == 0
    assert dict(hamlet.digests(folder)) == before
    shutil.rmtree(town / "var/facts")
    assert padfinder(town, "publish", "-m", "hamlet", *NIGHT).code == 0
    assert dict(hamlet.digests(folder)) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("target_kw = 1000", "target_kw = 600"),
        ("noise_margin_db = 3 ", "noise_margin_db = 4 "),
        ("usable_share = { lo = 0.15", "usable_share = { lo = 0.16"),
        ("cap = 8", "cap = 7"),
    ],
)
@pytest.mark.usefixtures("no_screening")
def test_what_facts_depend_on_is_screened_again(town, padfinder, old, new):
    plan = town / "own/hamlet/plans/hamlet.toml"
    text = plan.read_text("utf-8")
    assert old in text
    plan.write_text(text.replace(old, new), "utf-8")
    ran = padfinder(town, "publish", "-m", "hamlet", *NIGHT)
    assert ran.code == 1
    assert "the sites were screened again" in ran.err


def test_only_the_last_facts_are_kept(town, padfinder):
    plan = town / "own/hamlet/plans/hamlet.toml"
    text = plan.read_text("utf-8")
    for number in range(KEPT):
        plan.write_text(text.replace("cap = 8", f"cap = {number + 1}"), "utf-8")
        assert padfinder(town, "publish", "-m", "hamlet", *NIGHT).code == 0
    assert len(list((town / "var/facts/hamlet").iterdir())) == KEPT


def test_what_was_published_before_plans_had_folders_is_moved(town, padfinder):
    # Until November 2026, the market's folder was a link to the night in a hidden folder beside it.
    published = town / "var/published"
    (published / "hamlet/.hamlet").rename(published / ".hamlet")
    shutil.rmtree(published / "hamlet")
    (published / "hamlet").symlink_to(".hamlet/000001")
    before = (published / "hamlet/ranked.csv").read_bytes()
    write_plan(town, "small", **{"target_kw = 1000": "target_kw = 200"})
    assert padfinder(town, "publish", "-m", "hamlet", "--plan", "small", *NIGHT).code == 0
    assert read_ranked(town, "hamlet") == before
    assert json.loads((published / "hamlet/small/report.json").read_text())["plan_id"] == "small"
    assert (published / "hamlet/hamlet").readlink() == Path(".hamlet/000001")
    assert sorted(path.name for path in published.iterdir()) == ["hamlet"]


def test_facts_of_which_a_file_is_missing_are_screened_again(town, padfinder):
    (kept,) = (town / "var/facts/hamlet").iterdir()
    before = read_ranked(town, "hamlet")
    (kept / "facts.parquet").unlink()
    assert padfinder(town, "publish", "-m", "hamlet", *NIGHT).code == 0
    assert read_ranked(town, "hamlet") == before
    assert (kept / "facts.parquet").is_file()
