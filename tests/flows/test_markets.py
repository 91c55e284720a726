"""Markets that come with the program: read offline, and never run unless they are named."""

import inspect
import re
import socket
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.protocols.pulled import Protocol
from data.protocols.servers import PROTOCOLS
from flows import check, cli, declarations, nightly, settings
from flows.settings import Workspace
from geo.errors import ConfigError, SourceDown
from tests.built_in import workspace

ROOT = Path(__file__).parents[2]
FROM_SERVERS = ("boston", "los_angeles", "new_york_city")
BUILT_IN = sorted(path.parent.name for path in ROOT.glob("data/markets/*/market.toml"))


@pytest.fixture
def offline(monkeypatch):
    """Make every use of the network an error."""

    def refuse(*_, **__):
        raise AssertionError("a test used the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def own(tmp_path) -> Workspace:
    """Return a workspace with one market of the user's own, `home`, that names a shared source."""
    folder = tmp_path / "own/home"
    folder.mkdir(parents=True)
    market = (ROOT / "data/markets/demo/market.toml").read_text("utf-8")
    market = market.replace('id = "demo"', 'id = "home"').replace('"demo_flood"', '"us_flood"')
    (folder / "market.toml").write_text(market, "utf-8")
    (tmp_path / "padfinder.toml").write_text('markets = ["own"]\n', "utf-8")
    return settings.read_settings({"PADFINDER_CONFIG": str(tmp_path / "padfinder.toml")})


def add_bounds(own: Workspace, bounds: str) -> None:
    path = own.markets[0] / "home/market.toml"
    path.write_text(f"bounds = {bounds}\n{path.read_text('utf-8')}", "utf-8")


@pytest.mark.usefixtures("offline")
def test_every_built_in_file_is_accepted_without_a_network():
    assert check.find_config_errors(workspace()) == []


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", BUILT_IN)
def test_each_market_is_read_without_a_network(name):
    run = check.load_run(name, None, workspace())
    assert len(run.sources) == len(run.market.sources)
    for source in run.sources:
        assert not source.fetch.market_bounds
        if name in FROM_SERVERS:
            assert source.fetch.url is not None
            if source.id.startswith("us_"):
                assert source.fetch.bounds == run.market.bounds


def test_what_runs_by_itself_needs_no_server():
    """A market of servers runs only if somebody names it."""
    deployed = re.findall(r"market: (\w+)", (ROOT / "prefect.yaml").read_text("utf-8"))
    markets = {*deployed, settings.DEMO}
    for flow in (nightly.run_night, nightly.run_refresh, nightly.run_publish):
        markets.add(inspect.signature(flow.fn).parameters["market"].default)
    assert markets == {"demo", "cambridge"}
    for name in markets:
        market = declarations.load_market(name, workspace())
        for source in declarations.load_sources(market, workspace()):
            assert source.fetch.url is None


@pytest.mark.usefixtures("offline")
def test_the_check_counts_what_nobody_has_seen():
    unseen = check.list_unseen_sources(workspace())
    said = CliRunner().invoke(cli.app, ["check"])
    assert said.exit_code == 0, said.output
    assert f"{len(unseen)} sources were declared from documentation alone" in said.output
    assert {"nyc_parcels", "us_flood", "uk_cadent_mains"} <= set(unseen)
    assert not [name for name in unseen if name.startswith(("cambridge", "demo"))]


@pytest.mark.usefixtures("offline")
def test_the_list_of_sources_says_what_was_verified(padfinder, tmp_path):
    ran = padfinder(tmp_path, "sources", "--market", "boston")
    said = " ".join(ran.out.split())
    assert said.count("declaration not verified: never, no answer was seen") == 11
    ran = padfinder(tmp_path, "sources", "--market", "cambridge")
    assert "declaration verified on 2026-11-28" in " ".join(ran.out.split())


@pytest.mark.parametrize("written", ["2026-02-30", '"never"', '"2026"', "true"])
def test_verified_is_a_date_or_the_words(own, written):
    folder = own.markets[0] / "home/sources"
    folder.mkdir()
    text = (ROOT / "data/shared/us_flood.toml").read_text("utf-8")
    (folder / "us_flood.toml").write_text(
        text.replace('"never, no answer was seen"', written), "utf-8"
    )
    with pytest.raises(ConfigError, match=r"verified|Invalid date"):
        declarations.load_source("us_flood", own, "home")


def test_a_shared_source_is_read_within_the_bounds_of_the_market(own):
    add_bounds(own, "[-71.2, 42.3, -71.0, 42.4]")
    (flood,) = [
        source for source in check.load_run("home", None, own).sources if source.id == "us_flood"
    ]
    assert flood.fetch.bounds == (-71.2, 42.3, -71.0, 42.4)
    assert flood.file == "data/shared/us_flood.toml"
    assert check.find_config_errors(own) == []


@pytest.mark.usefixtures("offline")
def test_a_shared_source_is_tried_within_the_bounds_of_the_market(tmp_path, padfinder, monkeypatch):
    asked = []

    def preview(_, source, rows):
        asked.append((source.id, source.fetch.bounds, rows))
        raise SourceDown("asking", "timed out", "try again later")

    monkeypatch.setitem(PROTOCOLS, "arcgis", Protocol(None, preview))
    ran = padfinder(tmp_path, "try", "us_flood", "--market", "boston", "--rows", "7")
    assert "timed out" in ran.out
    assert asked == [("us_flood", declarations.load_market("boston", workspace()).bounds, 7)]


def test_a_market_without_bounds_is_told_to_add_them(own):
    (error,) = check.find_config_errors(own)
    assert "source 'us_flood' is read within the market's bounds" in error.wrong
    assert "bounds = [west, south, east, north]" in error.remedy
    with pytest.raises(ConfigError, match="within the market's bounds"):
        check.load_run("home", None, own)


@pytest.mark.parametrize("bounds", ["[-71.0, 42.3, -71.2, 42.4]", "[42.3, -71.2, 42.4, -71.0, 0]"])
def test_bounds_in_another_order_are_refused(own, bounds):
    add_bounds(own, bounds)
    with pytest.raises(ConfigError, match="bounds"):
        declarations.load_market("home", own)


def test_a_users_own_file_goes_before_the_shared_one(own):
    """Somebody who has checked the flood maps of a town says so in a copy."""
    add_bounds(own, "[-71.2, 42.3, -71.0, 42.4]")
    folder = own.markets[0] / "home/sources"
    folder.mkdir()
    text = (ROOT / "data/shared/us_flood.toml").read_text("utf-8")
    (folder / "us_flood.toml").write_text(
        text.replace('kind = "none"', 'kind = "parcels"'), "utf-8"
    )
    market = declarations.load_market("home", own)
    source = declarations.load_market_source("us_flood", market, own)
    assert source.coverage.kind == "parcels"
    assert source.fetch.bounds == market.bounds


def test_a_source_has_its_own_bounds_or_the_markets(own):
    folder = own.markets[0] / "home/sources"
    folder.mkdir()
    text = (ROOT / "data/shared/us_flood.toml").read_text("utf-8")
    both = text.replace("market_bounds = true", "market_bounds = true\nbounds = [0, 0, 1, 1]")
    (folder / "us_flood.toml").write_text(both, "utf-8")
    with pytest.raises(ConfigError, match="either bounds or market_bounds"):
        declarations.load_source("us_flood", own, "home")


def test_every_declaration_is_part_of_the_package():
    """What setuptools installs holds the folders of markets and of shared sources.

    A package installs the .toml files beside its modules.
    """
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    patterns = packages["package-data"]["data"]
    installed = {path for pattern in patterns for path in (ROOT / "data").glob(pattern)}
    files = set((ROOT / "data").rglob("*.toml"))
    assert {path for path in files if not (path.parent / "__init__.py").exists()} <= installed


def test_the_page_of_markets_names_each_market_and_each_unseen_source():
    page = (ROOT / "docs/markets.md").read_text("utf-8")
    unseen = {f"`{name}`" for name in check.list_unseen_sources(workspace())}
    listed = {f"`{name}`" for name in BUILT_IN}
    missing = [name for name in sorted(unseen | listed) if name not in page]
    assert not missing
