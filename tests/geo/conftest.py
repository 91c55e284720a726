"""Small hand-made towns for the criteria: meters, EPSG:26986, near (0, 0)."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geo import catalogue
from geo.contract.toml import parse_toml
from geo.model import Market, Plan, Screening, Setback

CRS = "EPSG:26986"
ROOT = Path(__file__).parents[2]
SETBACKS = ("setback_front_m", "setback_side_m", "setback_rear_m", "setback_home_m")
# A machine without cabinets. The space in front of its live parts is 3 ft, as on its other sides.
BARE_MACHINE = catalogue.read_generators()["gx230"].model_copy(
    update={"gear": None, "volts_to_ground": 120.0}
)
EVERYWHERE = shapely.box(-10_000, -10_000, 10_000, 10_000)


@pytest.fixture(scope="session")
def plan():
    """Return the default plan with 3 m on every side of a lot."""
    text = (ROOT / "flows/plans/default.toml").read_text(encoding="utf-8")
    whole = parse_toml(Plan, text, "flows/plans/default.toml")
    even = Setback(front_m=3.0, side_m=3.0, rear_m=3.0, home_m=3.0)
    pad = whole.pad.model_copy(update={"setbacks": {"other": even}})
    # At sea level and 25 C, the machine delivers its rated 200 kW.
    return whole.model_copy(update={"pad": pad, "summer_c": 25.0, "altitude_m": 0.0})


@pytest.fixture(scope="session")
def market():
    text = (ROOT / "data/markets/demo/market.toml").read_text(encoding="utf-8")
    return parse_toml(Market, text, "data/markets/demo/market.toml")


@pytest.fixture(scope="session")
def plain_market(market):
    """Return the market without a local noise rule, so that only the plan's limit applies."""
    return market.model_copy(update={"noise_rule": None})


@pytest.fixture(scope="session")
def sites():
    return make_sites


@pytest.fixture(scope="session")
def layer():
    return make_layer


@pytest.fixture(scope="session")
def town():
    return make_town


def make_sites(shapes, **columns):
    """Return a sites frame as the store gives it: one row per shape."""
    count = len(shapes)
    frame = gpd.GeoDataFrame(
        {
            "site_id": [f"S{number:05d}" for number in range(count)],
            "address": "1 Main Street",
            "city": "Millbrook",
            "use_code": "325",
            "use_title": "Shop",
            "use_class": "commercial",
            "site_because": "use",
            "zone_code": "B-1",
            "zone_class": "commercial",
            "zone_share": 1.0,
            "zone_split": False,
            "recorded_area_m2": np.nan,
            "building_area_m2": np.nan,
            "storeys": np.nan,
            "record_count": 1,
            "stacked_count": 1,
            "piece_count": 1,
            "joined_count": 1,
            "own_dwelling": False,
            **dict.fromkeys(SETBACKS, np.nan),
        },
        geometry=list(shapes),
        crs=CRS,
        index=range(count),
    )
    frame["lot_area_m2"] = frame.area
    for name, values in columns.items():
        frame[name] = values
    return frame


def make_layer(shapes, **columns):
    """Return a layer's frame with the geometry and the given columns."""
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=CRS, index=range(len(shapes)))


def make_town(shapes, *, homes=(), buildings=(), mains=None, coverage=EVERYWHERE, **sites):
    """Return a Screening with the layers that a test names; homes and buildings are shapes.

    The zoning text asks for 3 m on every side.
    """
    layers = {
        "receptors": make_layer(
            homes,
            receptor_id=[f"H{number}" for number in range(len(homes))],
            receptor_class="home",
            name=None,
            site_id=None,
        ),
        "buildings": make_layer(buildings, height_m=5.0),
    }
    layers["mains"] = mains if mains is not None else make_mains([])
    # Each lot stands alone, with streets all around it.
    layers["lots"] = make_layer(
        shapes,
        lot_id=[f"S{number:05d}" for number in range(len(shapes))],
        kind="lot",
        use_class="commercial",
        site_id=[f"S{number:05d}" for number in range(len(shapes))],
    )
    return Screening(
        sites=make_sites(shapes, **dict.fromkeys(SETBACKS, 3.0) | sites),
        layers=layers,
        coverage=dict.fromkeys(layers, coverage),
    )


def make_mains(rows):
    """Return gas mains from (shape, diameter_in, pressure_class)."""
    shapes, sizes, classes = zip(*rows, strict=True) if rows else ((), (), ())
    return make_layer(
        shapes,
        main_id=[f"M{number}" for number in range(len(shapes))],
        diameter_in=pd.Series(sizes, dtype=float),
        pressure_class=pd.Series(classes, dtype=object),
        material="polyethylene",
    )


@pytest.fixture(scope="session")
def mains():
    return make_mains
