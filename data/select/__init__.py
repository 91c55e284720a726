"""Select the sites of a market and what lies near them, inside the store.

Most parcels are homes. They leave the database only as receptors within reach of a site.
"""

from data.select.drawing import read_drawing_layers
from data.select.notes import describe_sources
from data.select.selection import Selection, select_sites
from data.select.sites import SET_ASIDE_RULES

__all__ = [
    "SET_ASIDE_RULES",
    "Selection",
    "describe_sources",
    "read_drawing_layers",
    "select_sites",
]
