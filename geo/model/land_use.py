"""Land-use and zoning codes, and the setbacks that zoning requires."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from geo.model.base import Frozen, NotNegative
from geo.model.codes import ReceptorClass, UseClass, ZoneClass

# `class = ""`: nobody has said yet what the code means, so it counts as not listed.
_Unfilled = BeforeValidator(lambda value: None if value == "" else value)


class Use(Frozen):
    """The meaning of a land-use code: its class, and the kind of receptor on such a lot, if any.

    Without a class, the code is `unclassified`.
    """

    title: str
    use_class: Annotated[UseClass | None, _Unfilled] = Field(alias="class")
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
    """The meaning of a zoning code, and the setbacks from the lot lines that it requires.

    Without a class, the code is `unclassified`.
    """

    title: str
    zone_class: Annotated[ZoneClass | None, _Unfilled] = Field(alias="class")
    setbacks: Setbacks = Setbacks()


class LandUse(Frozen):
    """The codes of one jurisdiction and scheme. A code that is not here is `unclassified`."""

    jurisdiction: str
    scheme: str
    source: str
    use: dict[str, Use] = {}
    zone: dict[str, Zone] = {}

    def list_unfilled(self) -> tuple[str, ...]:
        """Return the codes whose class is still empty, uses first."""
        uses = (code for code, use in self.use.items() if use.use_class is None)
        zones = (code for code, zone in self.zone.items() if zone.zone_class is None)
        return (*uses, *zones)
