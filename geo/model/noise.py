"""Noise rules: the limit for each class of neighbor, and where it is measured."""

from typing import Literal, Self, get_args

from pydantic import model_validator

from geo.model.base import Frozen, NotNegative, Positive
from geo.model.codes import (
    VACANT_CLASSES,
    ProtectedBy,
    ReceivingClass,
    ReceptorClass,
    UseClass,
    ZoneClass,
)


class NoiseLimit(Frozen):
    """The limit at one receiving class for sites of the uses in `emits` (empty: of any use).

    `above_ambient_db` is added to the ambient level; where an absolute limit is also given, the
    lower of the two applies.
    """

    receives: ReceivingClass
    emits: tuple[UseClass, ...] = ()
    day_dba: Positive | None = None
    night_dba: Positive | None = None
    above_ambient_db: NotNegative | None = None

    @model_validator(mode="after")
    def _check_some_limit(self) -> Self:
        if self.day_dba is None and self.night_dba is None and self.above_ambient_db is None:
            raise ValueError("no limit: give day_dba, night_dba or above_ambient_db")
        return self


class NoiseRule(Frozen):
    """A jurisdiction's noise rule: the limit for each class, and where it is measured.

    `protects`: land by its `zone`, vacant land included, or only by its `use`.
    `position`: `line`, the receiving parcel's nearest boundary; `beyond`, the same, but at least
    `beyond_m` outside the site's own line; `facade`, `beyond_m` in front of the receiving building.
    `metric`: `leq` of the steady sound, or `ldn`, which is 6.4 dB higher for a sound that runs day
    and night.
    """

    title: str
    protects: ProtectedBy
    position: Literal["line", "beyond", "facade"]
    beyond_m: NotNegative = 0.0
    metric: Literal["leq", "ldn"] = "leq"
    limits: tuple[NoiseLimit, ...]
    note: str = ""
    source: str


class NoiseRules(Frozen):
    """Every known noise rule, and the receiving class of each kind of receptor.

    `vacant` is the kind of receptor that vacant land in each class of zone is.
    """

    receiving: dict[ReceptorClass, ReceivingClass]
    vacant: dict[ZoneClass, ReceptorClass]
    rule: dict[str, NoiseRule]

    @model_validator(mode="after")
    def _check_vacant_land(self) -> Self:
        missing = [zone for zone in get_args(ZoneClass) if zone not in self.vacant]
        if missing:
            raise ValueError(f"vacant: no receptor class for zone class {', '.join(missing)}")
        wrong = [kind for kind in self.vacant.values() if kind not in VACANT_CLASSES]
        if wrong:
            raise ValueError(f"vacant: {', '.join(wrong)} is not a class of vacant land")
        return self
