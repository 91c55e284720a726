"""A market: an area with one metric CRS and its sources."""

import datetime as dt

from geo.model.base import Degrees, Frozen


class Market(Frozen):
    """An area with one metric frame and its sources.

    `bounds` hold the parcels and all that lies near enough to matter to one: a shared source is
    read within them. `night` is the date of every run that names none, for made-up data; None: the
    day of the run.
    """

    id: str
    title: str
    crs: str
    time_zone: str
    jurisdiction: str
    plan: str
    noise_rule: str | None = None
    sources: tuple[str, ...]
    bounds: Degrees | None = None
    note: str = ""
    night: dt.date | None = None
