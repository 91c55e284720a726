"""A market: an area with one metric CRS and its sources."""

from geo.model.base import Frozen


class Market(Frozen):
    """An area with one metric frame and its sources."""

    id: str
    title: str
    crs: str
    time_zone: str
    jurisdiction: str
    plan: str
    noise_rule: str | None = None
    sources: tuple[str, ...]
    note: str = ""
