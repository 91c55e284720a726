"""The demo town of any size, and exhaustive noise checks: every receptor of every placement."""

import datetime as dt

import numpy as np

from data import demo, pull, select
from flows import declarations, settings
from geo.criteria.noise import judge
from geo.criteria.noise.sound import make_noise_source
from geo.equipment.selection import plan_generator
from geo.screen import list_needs
from geo.sizing import size
from tests.built_in import read_land_use

NIGHT = dt.date(2026, 6, 1)
SHORT = judge.judge_placements


def demo_town(folder, market, plan, parcels=demo.recipe.PARCELS):
    """Return the screening of a demo town of about `parcels` parcels."""
    return select_demo_town(folder, market, plan, parcels).screening


def select_demo_town(folder, market, plan, parcels=demo.recipe.PARCELS):
    """Write, pull and select a demo town of about `parcels` parcels."""
    where = settings.read_settings({})
    files, store = folder / "files", folder / "demo.duckdb"
    demo.write_town(files, parcels)
    for source_id in market.sources:
        pull.refresh_source(declarations.load_source(source_id, where), market, files, store, NIGHT)
    return select.select_sites(store, market, list_needs(market, plan), read_land_use(), NIGHT)


def sited(town, market, plan):
    """Return what ground and neighbors allow at each site."""
    generator = plan_generator(plan)
    elevation = town.rasters.get("elevation")
    loud = make_noise_source(generator, plan, town.layers.get("buildings"), elevation, market.crs)
    return size.size_sites(town.sites, town, loud, generator, market, plan)


def go_thorough(patch):
    """From here on, evaluate every receptor at every placement, without skipping any."""
    patch.setattr(judge, "judge_placements", _long)
    patch.setattr(judge, "meets_limits", _holds)


def _long(placed, pairs, loud, generator, plan, _give_up_db=None, _first=None):
    return SHORT(placed, pairs, loud, generator, plan, thorough=True)


def _holds(placed, pairs, loud, generator, plan, _first=None):
    table = _long(placed, pairs, loud, generator, plan)
    holds = np.asarray(table["margin_db"] >= 0)
    return holds, np.where(holds, judge.NO_RECEPTOR, table["receptor"])
