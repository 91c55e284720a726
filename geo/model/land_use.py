"""Land-use and zoning codes, and the setbacks that zoning requires."""

from pydantic import Field

from geo.model.base import Frozen, NotNegative
from geo.model.codes import ReceptorClass, UseClass, ZoneClass


class Use(Frozen):
    """The meaning of a land-use code: its class, and the kind of receptor on such a lot, if any."""

    title: str
    use_class: UseClass = Field(alias="class")
    receptor: ReceptorClass | None = None


class Setback(Frozen):
    """The setback from each kind of lot line, and from a line next to homes."""

    front_m: NotNegative
    side_m: NotNegative
    rear_m: NotNegative
    home_m: NotNegative


class Setbacks(Frozen):
    """The setbacks that a zoning text requires of each kind of structure; None where not read."""

    principal: Setback | None = None
    accessory: Setback | None = None


class Zone(Frozen):
    """The meaning of a zoning code, and the setbacks from the lot lines that it requires."""

    title: str
    zone_class: ZoneClass = Field(alias="class")
    setbacks: Setbacks = Setbacks()


class LandUse(Frozen):
    """The codes of one jurisdiction and scheme. A code that is not here is `unclassified`."""

    jurisdiction: str
    scheme: str
    source: str
    use: dict[str, Use] = {}
    zone: dict[str, Zone] = {}
