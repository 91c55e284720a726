"""Check how the pads of sites are reached from the street, past buildings and fuel tanks."""

import numpy as np
import shapely

from geo.criteria.pad.access import check_access
from geo.model import Screening
from geo.shapes.near import find_pairs_within, geometry_array
from geo.sizing.siting import Siting


def find_access(
    parcels: np.ndarray,
    pads: np.ndarray,
    tanks: np.ndarray,
    positions: np.ndarray,
    screening: Screening,
    siting: Siting,
) -> np.ndarray:
    """Return whether a path leads from the street to each pad, past buildings and tanks.

    Args:
        parcels: The parcels of some sites (p,), in the market's metric CRS.
        pads: Their pads (p,); None where there is none.
        tanks: Their tanks (p,), as shapes; None where there are none.
        positions: Their positions among all sites (p,).
        screening: The layers near the sites.
        siting: The siting of all sites.

    Returns:
        One `Access` per site (p,); None where buildings or the street side are not known.
    """
    ground, plan = siting.context.ground, siting.context.plan
    buildings = geometry_array(screening.layers.get("buildings"))
    site, building = find_pairs_within(parcels, buildings, 0.0)
    stored = np.flatnonzero(~shapely.is_missing(tanks))
    site, standing = np.append(site, stored), np.append(buildings[building], tanks[stored])
    street = ground.street.copy()
    street[ground.facts["bare"]] = None
    access = check_access(parcels, site, standing, street[positions], pads, plan.pad.access_width_m)
    access[shapely.is_missing(pads)] = None
    return access
