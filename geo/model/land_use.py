"""Land-use and zoning codes, and the setbacks that zoning asks for."""

from pydantic import Field

from geo.model.base import Frozen, NotNegative
from geo.model.codes import ReceptorClass, UseClass, ZoneClass


class Use(Frozen):
    """What a land-use code means: its class, and who lives or learns there."""

    title: str
    use_class: UseClass = Field(alias="class")
    receptor: ReceptorClass | None = None


class Setback(Frozen):
    """How far what is built stays from each kind of lot line, and from a line next to homes."""

    front_m: NotNegative
    side_m: NotNegative
    rear_m: NotNegative
    home_m: NotNegative


class Setbacks(Frozen):
    """What a zoning text asks of each kind of structure; None where it was not read."""

    principal: Setback | None = None
    accessory: Setback | None = None


class Zone(Frozen):
    """What a zoning code means, and how far off the lot lines it keeps what is built."""

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
