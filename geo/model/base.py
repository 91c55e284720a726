"""The base of every model, and the kinds of numbers that models hold."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
OctaveBands = tuple[float, float, float, float, float, float, float, float]


class Frozen(BaseModel):
    """A model that cannot be changed once made, and takes no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
