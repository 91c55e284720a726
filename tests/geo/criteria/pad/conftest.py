"""Ground cut from hand-made lots."""

import pytest
import shapely

from geo.criteria.pad.ground import cut_buildable_ground
from geo.model import Screening, Setback


@pytest.fixture(scope="session")
def ground_of(sites, layer, plan):
    """Return the ground of lots with the same setback on every side."""

    def build(shapes, buildings=(), exclusions=(), setback_m=0.0, clearance_m=1.524, **columns):
        eased = even(plan, setback_m, building_clearance_m=clearance_m)
        layers = {
            "buildings": layer(buildings, height_m=5.0),
            "exclusions": layer(exclusions, kind="flood", name=None),
        }
        area = shapely.box(-1e6, -1e6, 1e6, 1e6)
        coverage = {"buildings": area, "exclusions": area}
        return cut_buildable_ground(
            sites(shapes, **columns), Screening(sites([]), layers, coverage), eased
        )

    return build


@pytest.fixture(scope="session")
def bare_ground(plan):
    """Return the ground, without setbacks, of sites that no layer describes."""
    return lambda sites: cut_buildable_ground(sites, Screening(sites, {}, {}), even(plan, 0.0))


def even(plan, setback_m, **rules):
    same = dict.fromkeys(("front_m", "side_m", "rear_m", "home_m"), setback_m)
    pad = plan.pad.model_copy(update={"setbacks": {"other": Setback(**same)}, **rules})
    return plan.model_copy(update={"pad": pad})
