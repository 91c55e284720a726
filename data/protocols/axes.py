"""Which CRS a server names, in which order it writes coordinates, and whether it keeps to it."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyproj

from data.connection import Connection
from data.crs import is_same_crs
from data.protocols.bounds import Bounds, bounds_in_crs
from data.protocols.refusal import join_names
from geo.errors import ContractError, SourceChanged

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_URI = re.compile(r"/def/crs/(\w+)/[^/]*/(\w+)/?$")
_URN = re.compile(r"^urn:(?:x-)?ogc:def:crs:(\w+):(?:[^:]*:)?(\w+)$", re.IGNORECASE)
# GeoServer's own address of a CRS, in the answers of older versions.
_HASH = re.compile(r"/gml/srs/epsg\.xml#(\w+)$")


def read_crs(name: str) -> pyproj.CRS | None:
    """Return the CRS that an OGC address, a URN or a code names; None if it is not known.

    >>> read_crs("http://www.opengis.net/def/crs/EPSG/0/2249").to_epsg()
    2249
    >>> read_crs("urn:ogc:def:crs:EPSG::4326").to_epsg()
    4326
    """
    text = name.strip().strip("<>")
    if match := _URI.search(text) or _URN.match(text):
        text = f"{match[1]}:{match[2]}"
    elif match := _HASH.search(text):
        text = f"EPSG:{match[1]}"
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError:
        return None


def find_offered(offered: Sequence[str], declared: str, shown: str, connection: Connection) -> str:
    """Return the name by which a server offers the declared CRS.

    Args:
        offered: The names of the CRS that it offers.
        declared: The CRS that the source declares.
        shown: The address in messages.
        connection: The connection.

    Returns:
        The name, as the server writes it.

    Raises:
        ContractError: The server does not offer the declared CRS.
    """
    wanted = pyproj.CRS.from_user_input(declared)
    for name in offered:
        own = read_crs(name)
        if own is not None and is_same_crs(own, wanted):
            return name
    known = [crs.to_string() for name in offered if (crs := read_crs(name)) is not None]
    raise ContractError(
        connection.doing,
        f"{shown} does not offer the declared CRS {declared}, only "
        f"{join_names(known) or 'one that it does not name'}",
        f"set fetch.crs in sources/{connection.source_id}.toml to one of these",
    )


def is_north_first(crs: pyproj.CRS) -> bool:
    """Return whether the official order of a CRS is north before east.

    >>> is_north_first(pyproj.CRS("EPSG:4326")), is_north_first(pyproj.CRS("EPSG:2249"))
    (True, False)
    """
    return bool(crs.axis_info) and crs.axis_info[0].direction.lower() in {"north", "south"}


def check_axes(
    box: Sequence[float], extent: Bounds | None, crs: Any, shown: str, connection: Connection
) -> None:
    """Check that rows lie where the server says, and not with exchanged coordinates.

    Args:
        box: Left, bottom, right and top of the rows.
        extent: West, south, east and north of the layer in degrees, if the server says so.
        crs: The CRS of the rows.
        shown: The address in messages.
        connection: The connection.

    Raises:
        SourceChanged: The rows lie there only if east and north are exchanged.
    """
    if extent is None or not np.isfinite(box).all() or not np.isfinite(extent).all():
        return
    if not _is_extent(extent):
        return
    due = bounds_in_crs(extent, crs)
    if not np.isfinite(due).all():
        return
    left, bottom, right, top = box
    if not do_meet(box, due) and do_meet((bottom, left, top, right), due):
        raise SourceChanged(
            connection.doing,
            f"{shown} exchanges east and north: the rows have x from {left:.6g} to {right:.6g} and "
            f"y from {bottom:.6g} to {top:.6g}, but should lie in x from {due[0]:.6g} to "
            f"{due[2]:.6g} and y from {due[1]:.6g} to {due[3]:.6g}",
            "tell the publisher, or set fetch.crs to another CRS that the server offers "
            f"(sources/{connection.source_id}.toml); the last good snapshot stays in use",
        )


def _is_extent(extent: Bounds) -> bool:
    west, south, east, north = extent
    return -180 <= west <= east <= 180 and -90 <= south <= north <= 90


def do_meet(box: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two boxes (left, bottom, right, top) have a point in common."""
    return box[0] <= other[2] and box[2] >= other[0] and box[1] <= other[3] and box[3] >= other[1]
