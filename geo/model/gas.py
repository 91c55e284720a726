"""Gas mains and the gas of plants."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from geo.model.base import Frozen, NotNegative, Positive, Share
from geo.model.codes import PressureClass


class PipeMaterial(Frozen):
    """How to find the inside diameter of a pipe of one material from its nominal size.

    Use a `schedule` of steel pipe, or `sdr`, the outside diameter over the wall thickness. With
    neither, the inside diameter is the nominal size.
    """

    schedule: str | None = None
    sdr: Annotated[float, Field(gt=2)] | None = None
    source: str

    @model_validator(mode="after")
    def _check_one_wall_given(self) -> Self:
        if self.schedule is not None and self.sdr is not None:
            raise ValueError(f"both schedule {self.schedule!r} and sdr {self.sdr:g} are given")
        return self


class PipePressure(Frozen):
    """The gauge pressure that drives gas through the mains of one pressure class.

    It falls from inlet to `outlet_psig` over the plan's length of main (Weymouth's equation), or
    by `fall_inwc_per_1000ft` at any length (Spitzglass's equation, for low pressure).
    """

    inlet_psig: Positive
    outlet_psig: NotNegative | None = None
    fall_inwc_per_1000ft: Positive | None = None
    efficiency: Annotated[float, Field(gt=0, le=1)]
    source: str

    @model_validator(mode="after")
    def _check_pressure_drop(self) -> Self:
        if (self.outlet_psig is None) == (self.fall_inwc_per_1000ft is None):
            raise ValueError("give either outlet_psig or fall_inwc_per_1000ft")
        if self.outlet_psig is not None and self.outlet_psig >= self.inlet_psig:
            raise ValueError(
                f"outlet_psig {self.outlet_psig:g} is not below inlet_psig {self.inlet_psig:g}"
            )
        return self


class Pipes(Frozen):
    """Every material and pressure class of gas mains, and the temperature of the gas in them."""

    temperature_k: Positive
    material: Annotated[dict[str, PipeMaterial], Field(min_length=1)]
    pressure: Annotated[dict[PressureClass, PipePressure], Field(min_length=1)]


class PlantGas(Frozen):
    """The range of methane in the gas of plants that do not report it, for such a fuel."""

    ascending: ClassVar = (("methane_lo", "methane_hi"),)

    methane_lo: Share
    methane_hi: Share
    source: str
