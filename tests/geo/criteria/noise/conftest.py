"""One machine or a block of machines on a lot, and the receptors around it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import shapely
from affine import Affine
from shapely.affinity import rotate

from geo.contract.toml import parse_toml
from geo.criteria.noise.receptors import find_receptors
from geo.criteria.noise.sound import make_noise_source
from geo.equipment import block
from geo.model import Plan, Raster
from tests.geo.conftest import BARE_MACHINE, CRS, ROOT, make_layer

GX230 = BARE_MACHINE
RULES = parse_toml(Plan, (ROOT / "flows/plans/default.toml").read_text("utf-8"), "default.toml")


def place(x, y, count=1, *, columns=None, degrees=0.0, site=0):
    """Return a placement: a block of `count` machines centered at (x, y).

    The layout is the squarest one unless `columns` names another. Columns are 1.8288 m apart and
    rows 2.4384 m: a body of 0.9144 by 1.524 m plus an aisle.
    """
    layouts = block.list_layouts(count, GX230, RULES)
    one = next((each for each in layouts if each.columns == columns), layouts[0])
    return pd.DataFrame(
        [
            {
                "site": site, "count": count, "x": x, "y": y, "degrees": degrees, "rows": one.rows,
                "columns": one.columns, "length_m": one.length_m, "width_m": one.width_m,
            }
        ]
    )  # fmt: skip


def under(market, rule):
    """Return the market with another rule of the catalogue, or with none."""
    return market.model_copy(update={"noise_rule": rule})


def sound_of(given, plan):
    return make_noise_source(
        GX230, plan, given.layers.get("buildings"), given.rasters.get("elevation"), CRS
    )


def heard(given, market, plan):
    """Return the receptors of the sites of a town, and the noise source."""
    loud = sound_of(given, plan)
    ambient = given.rasters.get("ambient")
    who = find_receptors(given.sites, given.layers, given.coverage, ambient, loud, market, plan)
    return who, loud


def receptors(shapes, classes, **columns):
    """Return the receptor layer of these shapes."""
    given = {
        "receptor_id": [f"R{number}" for number in range(len(shapes))],
        "receptor_class": classes,
        "name": None,
        "site_id": None,
    }
    return make_layer(shapes, **(given | columns))


def random_town(make_town, seed):
    """Return a town near (0, 0): lots, receptors of several classes, buildings, ambient levels."""
    rng = np.random.default_rng(seed)

    def boxes(count, spread, least, most):
        found = []
        for _ in range(count):
            x, y = rng.uniform(-spread, spread, 2)
            wide, deep = rng.uniform(least, most, 2)
            found.append(rotate(shapely.box(x, y, x + wide, y + deep), rng.uniform(0, 90)))
        return found

    lots = boxes(3, 60, 20, 60)
    lived = boxes(40, 250, 5, 30)
    given = make_town(
        lots,
        homes=lived,
        buildings=boxes(25, 120, 5, 25),
        own_dwelling=rng.random(3) < 0.3,
        use_class=rng.choice(["commercial", "residential", "industrial"], 3),
    )
    classes = ["home", "school", "park", "commercial", "industrial"]
    given.layers["receptors"]["receptor_class"] = rng.choice(classes, len(lived))
    given.layers["buildings"]["height_m"] = rng.uniform(3, 15, 25)
    level = rng.choice([np.nan, 25.0, 33.0, 41.5, 48.0], (6, 6))
    ambient = Raster(level, Affine(120, 0, -360, 0, -120, 360), CRS)
    return replace(given, rasters={"ambient": ambient}), rng
