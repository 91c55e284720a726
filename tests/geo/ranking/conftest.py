"""A town in which everything is known that a `yes` needs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine

from geo import screen
from geo.model import Raster
from geo.ranking import rank
from tests.geo.conftest import CRS, make_layer, make_mains, make_town

LOT = shapely.box(0, 0, 46, 46)
STREET = shapely.LineString([(-500, -10), (9000, -10)])


def make_capacity(headroom_kw, hosting_kw=9_000.0, **columns):
    """Return a feeder in the street, with its headroom for load and for generation."""
    feeder = shapely.LineString([(-400, -5), (8000, -5)])
    rows = {
        "record_id": ["F1", "F1"],
        "kind": ["load", "generation"],
        "grain": ["feeder", "feeder"],
        "headroom_kw": [headroom_kw, hosting_kw],
        "committed_included": [True, True],
        "owner": ["Valley Electric", "Valley Electric"],
        "as_of": pd.Timestamp("2026-01-01"),
    }
    return make_layer([feeder, feeder], **{**rows, **columns})


def make_complete_town(shapes=(LOT,), *, headroom_kw=300.0, hosting_kw=9_000.0, inches=8, **given):
    """Return a town on flat ground with every layer, beside a main of high pressure."""
    town = make_town(list(shapes), mains=make_mains([(STREET, inches, "high")]), **given)
    town.layers["capacity"] = make_capacity(headroom_kw, hosting_kw)
    town.layers["exclusions"] = make_layer([], kind=[], name=[])
    everywhere = shapely.box(-10_000, -10_000, 10_000, 10_000)
    flat = Raster(np.zeros((40, 40)), Affine(500, 0, -10_000, 0, -500, 10_000), CRS, "m")
    coverage = dict.fromkeys(town.layers, everywhere)
    return replace(town, coverage=coverage, rasters={"elevation": flat})


@pytest.fixture
def ranked_in(plain_market):
    """Screen and rank a town in a market without a noise rule of its own."""

    def build(town, plan):
        return rank.rank_sites(screen.screen_sites(town, plain_market, plan), plan)

    return build
