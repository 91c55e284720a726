"""The base of every model, and the kinds of numbers that models hold."""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _check_degrees(
    bounds: tuple[float, float, float, float],
) -> tuple[float, float, float, float]:
    west, south, east, north = bounds
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ValueError("bounds are west, south, east and north in degrees, in this order")
    return bounds


# West, south, east and north (WGS 84).
Degrees = Annotated[tuple[float, float, float, float], AfterValidator(_check_degrees)]
OctaveBands = tuple[float, float, float, float, float, float, float, float]


class Frozen(BaseModel):
    """A model that cannot be changed once it is made, and that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    # Pairs of fields: the first may not exceed the second where both are given.
    ascending: ClassVar[tuple[tuple[str, str], ...]] = ()

    @model_validator(mode="after")
    def _check_ascending(self) -> Self:
        for low_name, high_name in self.ascending:
            low, high = getattr(self, low_name), getattr(self, high_name)
            if low is not None and high is not None and low > high:
                raise ValueError(f"{low_name} {low:g} is above {high_name} {high:g}")
        return self
