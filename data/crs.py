"""Compare a file's own CRS with the one that its source declares."""

import warnings
from typing import Any

import pyproj

from geo.errors import ContractError


def check_crs(own_crs: Any, declared_crs: str, file: str, source_id: str) -> pyproj.CRS:
    """Check that a file's own CRS is the declared one; a file without a CRS takes the declared one.

    Axis order, the members of a datum ensemble and heights do not count as a difference.

    Args:
        own_crs: The file's own CRS, in any form that pyproj reads; None where it has none.
        declared_crs: The CRS that the source declares.
        file: Name of the file, for the message.
        source_id: The source.

    Returns:
        The declared CRS.

    Raises:
        ContractError: The two differ.
    """
    declared = pyproj.CRS.from_user_input(declared_crs)
    if own_crs is None:
        return declared
    own = pyproj.CRS.from_user_input(own_crs)
    if is_same_crs(own, declared):
        return declared
    name = own.to_string() if own.to_epsg() else own.name
    raise ContractError(
        f"reading {file} for source {source_id!r}",
        f"wrong CRS: {file} says it is in {name} ({own.name}), sources/{source_id}.toml "
        f"declares {declared_crs} ({declared.name})",
        f"set fetch.crs to {_remedy_crs(own)} if the file is right, or correct the file's label if "
        "it is not",
    )


def _remedy_crs(own: pyproj.CRS) -> str:
    """Return what to write into fetch.crs: a code, or the text of a CRS that has none."""
    if own.to_epsg():
        return repr(own.to_string())
    text = own.to_wkt("WKT1_ESRI", pretty=False)
    return f"the text of its .prj file, in single quotes: '{text}'"


def _flatten_crs(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the horizontal part of a CRS with heights."""
    if crs.is_compound:
        return crs.sub_crs_list[0]
    return crs.to_2d() if len(crs.axis_info) > 2 else crs


def is_same_crs(first: pyproj.CRS, second: pyproj.CRS) -> bool:
    """Return whether two CRS place coordinates alike, whatever the order of their axes."""
    first, second = _flatten_crs(first), _flatten_crs(second)
    if first.equals(second, ignore_axis_order=True):
        return True
    if first.to_epsg() is not None and first.to_epsg() == second.to_epsg():
        return True
    if first.to_epsg() is not None and second.to_epsg() is not None:
        return False
    with warnings.catch_warnings():
        # pyproj warns that PROJ strings lose the name of the datum. A CRS without an EPSG code has
        # to be compared without that name.
        warnings.simplefilter("ignore", UserWarning)
        return bool(first.to_dict()) and first.to_dict() == second.to_dict()
