"""The full demo town under the default plan has enough sites with every kind of answer.

The town's night rule, 50 dB(A) at homes, decides more sites than anything else. Most sites carry
some generators anyway because the recipe puts lots in industrial estates.
"""

import json
from dataclasses import dataclass, replace

import pandas as pd
import pytest

from flows import cli, declarations, settings
from geo import screen
from geo.ranking import rank
from tests.geo.oracle_towns import select_demo_town

KINDS = (
    "verdict", "gap_class", "binding", "grid_evidence", "headroom_check", "fuel_evidence",
    "noise_evidence", "pad_evidence",
)  # fmt: skip
EXPECTED = {
    "verdict": {"fit", "unfit", "unknown"},
    "gap_class": {"short", "covered", "unknown"},
    "binding": {"noise", "fuel", "several", "cap"},
    "grid_evidence": {"service area", "feeder", "grid cell", "substation"},
    "headroom_check": {"agree", "differ", "contradict", "no second answer"},
    "fuel_evidence": {"main", "territory and transmission line", "no main", "storage"},
    "noise_evidence": {"receptors", "edge of layer", "use unknown", "own dwelling"},
    "pad_evidence": {"buildings", "bare parcel"},
}  # fmt: skip
# These answers occur at fewer sites: most have a main of known size, or another certain fuel.
RARER = {
    "binding": {"pad"},
    "headroom_check": {"cannot be compared"},
    "fuel_evidence": {"sign of a main", "edge of layer"},
}
# The report does not count these. They come from the ranking, and are missing where nothing is
# placed.
NOISE_CLASSES = {"pass", "marginal", "fail", "not known"}
GOVERNS = {"plan", "local rule"}
RARELY_GOVERNS = {"plan"}
ORDER = ["call", "score", "known_share", "n_lo", "smallest_slack"]
# Every twelfth site is enough to see the shares; `make long` publishes a night of all of them.
EVERY = 12
pytestmark = pytest.mark.timeout(1_800)


@dataclass(frozen=True)
class Town:
    """The ranking of the full demo town or of some of its sites, and the count of each answer."""

    whole: bool
    parcels_in: int
    set_aside: int
    sites: int
    ranking: pd.DataFrame
    counts: dict[str, dict[str, int]]


@pytest.fixture(
    scope="module", params=["some sites", pytest.param("every site", marks=pytest.mark.long)]
)
def town(request, tmp_path_factory):
    """Return the full demo town, with some of its sites screened, or after a published night."""
    folder = tmp_path_factory.mktemp("town")
    return screen_some(folder) if request.param == "some sites" else publish_night(folder)


def screen_some(folder):
    """Write, pull and select the full town, then screen and rank every twelfth of its sites."""
    workspace = settings.read_settings({})
    market = declarations.load_market("demo", workspace)
    plan = declarations.load_plan("default", workspace)
    selection = select_demo_town(folder, market, plan)
    screening = selection.screening
    sites = screening.sites.iloc[::EVERY].reset_index(drop=True)
    ranking = rank.rank_sites(
        screen.screen_sites(replace(screening, sites=sites), market, plan), plan
    )
    return Town(
        whole=False,
        parcels_in=selection.parcels_in,
        set_aside=sum(selection.set_aside.values()),
        sites=len(screening.sites),
        ranking=ranking,
        counts=rank.count_opinions(ranking),
    )


def publish_night(folder):
    """Run one night of the full town and read what it published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["nightly", "--night", "2026-03-31"]) == 0
    published = folder / "var/published/demo/default"
    report = json.loads((published / "report.json").read_text("utf-8"))
    return Town(
        whole=True,
        parcels_in=report["parcels_in"],
        set_aside=sum(report["set_aside"].values()),
        sites=report["sites"],
        ranking=pd.read_parquet(published / "ranked.parquet"),
        counts=report["counts"],
    )


def test_the_town_has_some_twenty_thousand_parcels_and_a_tenth_are_sites(town):
    assert 19_000 <= town.parcels_in <= 22_000
    assert 0.08 <= town.sites / town.parcels_in <= 0.15
    assert town.parcels_in == town.sites + town.set_aside


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_answer_holds_at_least_one_percent(town, kind):
    counted = town.counts[kind]
    rare = RARER.get(kind, set())
    # A sample of sites may lack a rare kind of answer; all sites together have it.
    assert EXPECTED[kind] | (rare if town.whole else set()) <= set(counted)
    assert set(counted) <= EXPECTED[kind] | rare
    least = min(counted[name] for name in EXPECTED[kind])
    assert least >= 0.01 * len(town.ranking), counted


def test_one_generator_passes_is_marginal_fails_and_is_not_known(town):
    counted = town.ranking["noise_class"].value_counts()
    assert set(counted.index) == NOISE_CLASSES
    assert counted.min() >= 0.02 * counted.sum(), counted


def test_now_the_plan_and_now_the_local_rule_governs(town):
    # Colorado's rule is below the plan's limit wherever both apply. The plan's limit governs only
    # where homes are on the site itself, to which the rule does not apply: a few mills and
    # workshops.
    governs = set(town.ranking["governs"].dropna())
    assert GOVERNS - (set() if town.whole else RARELY_GOVERNS) <= governs <= GOVERNS


def test_what_is_drawn_holds_every_limit(town):
    slack = town.ranking["noise_slack_db"].dropna()
    assert len(slack) > 0.5 * len(town.ranking)
    assert (slack >= 0).all()


def test_no_count_of_generators_holds_over_half_the_sites(town):
    # At about two in five sites no generator certainly fits, mostly for a neighbor close by.
    counted = town.counts["n_lo"]
    assert max(counted.values()) <= 0.5 * len(town.ranking), counted


def test_hardly_a_site_is_ordered_by_its_id_alone(town):
    assert town.ranking[ORDER].duplicated(keep=False).mean() <= 0.01
