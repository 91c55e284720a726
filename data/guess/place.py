"""Choose the CRS of a market from where its parcels lie, and its time zone."""

import re
from math import ceil, floor
from typing import Any, NamedTuple

import pyproj
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info, query_utm_crs_info
from pyproj.enums import PJType

from data.crs import check_crs
from geo.errors import ContractError
from geo.model import Degrees

# The default plan looks for plants of fuel up to 20 km away, which is no more up to 44 degrees of
# latitude.
MARGIN_DEG = 0.25
# The codes that a CRS without one of its own most resembles; taken only if it is the same.
_LEAST_CONFIDENCE = 20
_IN_METERS = re.compile(r"NAD83 / (?!UTM)(?!.*\((?:ft|ftUS)\)).+")
# Statewide grids and grids of several states are coarser than the zones.
_NO_ZONE = re.compile(r"Albers|Lambert|Conus|Great Lakes|MTM|Statistics|Teale|GIC|Equal Area")
_STATE = re.compile(r"United States \(USA\) - (?P<state>[A-Z][a-z]+(?: [A-Z][a-z]+)*)")

# The zone in which most people of a state live.
TIME_ZONES: dict[str, str] = {
    **dict.fromkeys(
        (
            "Connecticut", "Delaware", "District of Columbia", "Florida", "Georgia", "Maine",
            "Maryland", "Massachusetts", "New Hampshire", "New Jersey", "New York",
            "North Carolina", "Ohio", "Pennsylvania", "Rhode Island", "South Carolina", "Vermont",
            "Virginia", "West Virginia", "Kentucky",
        ),
        "America/New_York",
    ),
    **dict.fromkeys(
        (
            "Alabama", "Arkansas", "Illinois", "Iowa", "Kansas", "Louisiana", "Minnesota",
            "Mississippi", "Missouri", "Nebraska", "North Dakota", "Oklahoma", "South Dakota",
            "Tennessee", "Texas", "Wisconsin",
        ),
        "America/Chicago",
    ),
    **dict.fromkeys(
        ("Colorado", "Montana", "New Mexico", "Utah", "Wyoming", "Idaho"), "America/Denver"
    ),
    **dict.fromkeys(("California", "Nevada", "Oregon", "Washington"), "America/Los_Angeles"),
    "Michigan": "America/Detroit",
    "Indiana": "America/Indiana/Indianapolis",
    "Arizona": "America/Phoenix",
    "Alaska": "America/Anchorage",
    "Hawaii": "Pacific/Honolulu",
}  # fmt: skip


class PlaceGuess(NamedTuple):
    """Where a market is.

    Attributes:
        crs: Its metric CRS.
        why_crs: Why this one.
        time_zone: Its time zone.
        why_time_zone: Why this one.
        state: The state of the United States, if it is known.
    """

    crs: str
    why_crs: str
    time_zone: str
    why_time_zone: str
    state: str | None


def guess_place(bounds: Degrees) -> PlaceGuess:
    """Choose the metric CRS and the time zone of a market.

    Args:
        bounds: West, south, east and north of its parcels, in degrees (WGS 84).

    Returns:
        A state plane zone in meters that holds them all, else the UTM zone of their middle.

    >>> guess_place((-71.16, 42.35, -71.06, 42.41)).crs
    'EPSG:26986'
    >>> guess_place((-0.2, 51.4, 0.0, 51.6)).crs
    'EPSG:32630'
    """
    west, south, east, north = bounds
    area = AreaOfInterest(west, south, east, north)
    zones = [
        info
        for info in query_crs_info("EPSG", PJType.PROJECTED_CRS, area, contains=True)
        if _IN_METERS.fullmatch(info.name)
        and not _NO_ZONE.search(info.name)
        and ("United States" in _name_area(info) or "Puerto Rico" in _name_area(info))
    ]
    if zones:
        # The smallest zone; of equal ones the lowest code.
        zone = min(zones, key=lambda info: (_extent(info), int(info.code)))
        found = _STATE.match(_name_area(zone))
        state = found["state"] if found else None
        crs, why = f"EPSG:{zone.code}", f"{zone.name}: a state plane zone that holds all parcels"
    else:
        state = None
        x, y = (west + east) / 2, (south + north) / 2
        info = query_utm_crs_info("WGS 84", AreaOfInterest(x, y, x, y))[0]
        crs, why = f"EPSG:{info.code}", f"{info.name}: the UTM zone of the middle of the parcels"
    time_zone = TIME_ZONES.get(state or "")
    if time_zone is not None:
        reason = f"that of most of {state}"
    else:
        hours = round((west + east) / 30)
        # These names count west of Greenwich as positive.
        time_zone = f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"
        reason = "only from the longitude; write a name such as Europe/London, for summer time"
    return PlaceGuess(crs, f"in meters. {why}", time_zone, reason, state)


def guess_bounds(parcels: Degrees) -> Degrees:
    """Return the bounds of a market: its parcels with room for what matters to them around.

    >>> guess_bounds((-71.16, 42.35, -71.06, 42.41))
    (-71.41, 42.1, -70.81, 42.66)
    """
    west, south, east, north = parcels
    return (
        max(floor((west - MARGIN_DEG) * 100) / 100, -180.0),
        max(floor((south - MARGIN_DEG) * 100) / 100, -90.0),
        min(ceil((east + MARGIN_DEG) * 100) / 100, 180.0),
        min(ceil((north + MARGIN_DEG) * 100) / 100, 90.0),
    )


def _name_area(info: Any) -> str:
    return "" if info.area_of_use is None else str(info.area_of_use.name)


def _extent(info: Any) -> float:
    use = info.area_of_use
    return float((use.east - use.west) * (use.north - use.south))


def name_crs(own: Any) -> str:
    """Return a CRS as a source declares it: its code, or the text of one without a code.

    >>> name_crs(pyproj.CRS("EPSG:2249").to_wkt("WKT1_ESRI"))
    'EPSG:2249'
    """
    crs = pyproj.CRS.from_user_input(own)
    codes = (crs.to_authority(), crs.to_authority(min_confidence=_LEAST_CONFIDENCE))
    for authority in codes:
        if authority is None:
            continue
        code = ":".join(authority)
        try:
            check_crs(crs, code, "", "")
        except (ContractError, pyproj.exceptions.CRSError):
            continue
        return "EPSG:4326" if code == "OGC:CRS84" else code
    return str(crs.to_wkt("WKT1_ESRI", pretty=False))
