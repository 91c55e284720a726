"""Noise rules: what each class of neighbor may hear, and where it is measured."""

from typing import Literal, Self

from pydantic import model_validator

from geo.model.base import Frozen, NotNegative, Positive
from geo.model.codes import ReceivingClass, ReceptorClass, UseClass


class NoiseLimit(Frozen):
    """What one receiving class may hear, from sites of some uses (none named: from any).

    `above_ambient_db` is on top of the ambient level; where both stand, the lower holds.
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
    """A jurisdiction's noise rule: what each class may hear, and where that is measured.

    `position`: `line`, the receiving parcel's nearest boundary; `beyond`, there, but at least
    `beyond_m` outside the site's own line; `facade`, `beyond_m` before the receiving building.
    `metric`: `leq` of the steady sound, or `ldn`, which is 6.4 dB above it round the clock.
    """

    title: str
    position: Literal["line", "beyond", "facade"]
    beyond_m: NotNegative = 0.0
    metric: Literal["leq", "ldn"] = "leq"
    limits: tuple[NoiseLimit, ...]
    note: str = ""
    source: str


class NoiseRules(Frozen):
    """Every noise rule that we know, and which receiving class each kind of receptor is."""

    receiving: dict[ReceptorClass, ReceivingClass]
    rule: dict[str, NoiseRule]
