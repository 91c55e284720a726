"""The towns whose sites the slow oracle looks at: the demo town of any size, and Cambridge."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np

from data import demo, pull, select
from flows import declarations, settings
from geo.contract.toml import parse_toml
from geo.model import Market, Plan, Screening
from geo.screen import list_needs
from tests.built_in import read_land_use

ROOT = Path(__file__).parents[2]
NIGHT = dt.date(2026, 6, 1)


def demo_town(
    folder: Path, market: Market, plan: Plan, parcels: int = demo.recipe.PARCELS
) -> Screening:
    """Write a demo town of about `parcels` parcels and return its screening."""
    return select_demo_town(folder, market, plan, parcels).screening


def select_demo_town(
    folder: Path, market: Market, plan: Plan, parcels: int = demo.recipe.PARCELS
) -> select.Selection:
    """Write a demo town of about `parcels` parcels and return the selection of its sites."""
    demo.write_town(folder / "files", parcels)
    return _select_from(folder / "files", folder / "demo.duckdb", market, plan)


def _select_from(files: Path, store: Path, market: Market, plan: Plan) -> select.Selection:
    where = settings.read_settings({})
    for source_id in market.sources:
        pull.refresh_source(declarations.load_source(source_id, where), market, files, store, NIGHT)
    needs = list_needs(market, plan)
    return select.select_sites(store, market, needs, read_land_use(), NIGHT)


def select_cambridge(folder: Path, files: Path) -> tuple[Screening, Market, Plan]:
    """Pull Cambridge's files into a store, and return its screening, its market and its plan."""
    declared = ROOT / "data/markets/cambridge"
    market = parse_toml(Market, (declared / "market.toml").read_text("utf-8"), "market.toml")
    text = (declared / "plans/cambridge.toml").read_text("utf-8")
    plan = parse_toml(Plan, text, "cambridge.toml")
    return _select_from(files, folder / "cambridge.duckdb", market, plan).screening, market, plan


def some_of(town: Screening, count: int, seed: int | np.random.Generator) -> Screening:
    """Return a town with only some of its sites, chosen at random."""
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(len(town.sites), min(count, len(town.sites)), replace=False))
    sites = town.sites.iloc[some].reset_index(drop=True)
    # The plan's setbacks are the same on every side, so the kind of each yard does not matter.
    sites[[name for name in sites if name.startswith("setback_")]] = np.nan
    return replace(town, sites=sites)
