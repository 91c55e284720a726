"""Generators, the fuels they burn, and the clearances that both need."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from geo.model.base import Frozen, NotNegative, OctaveBands, Positive, Share
from geo.model.codes import Route


class Gear(Frozen):
    """The electrical cabinet that serves `machines` machines, and its size.

    It stands in the place of one machine.
    """

    machines: Annotated[int, Field(ge=1)]
    length_m: Positive
    width_m: Positive
    source: str


class Derating(Frozen):
    """The share of its rated power that a machine loses in thin air and on hot days.

    It loses a share for each meter above `to_altitude_m`, and for each degree above `to_c`.
    """

    to_altitude_m: NotNegative
    share_per_m: NotNegative
    to_c: float
    share_per_c: NotNegative
    source: str


class Generator(Frozen):
    """One machine: its rating, size, gear, rated sound level, and where that level was measured.

    `efficiency` is a share of the fuel's heating value, higher (HHV) or lower (LHV) as
    `efficiency_basis` says. `level_surface` is the measurement surface: `hemisphere`, around a
    point over reflecting ground; `box`, ISO 3744's box at `level_distance_m` from the body.
    """

    id: str
    title: str
    power_kw: Positive
    efficiency: Annotated[float, Field(gt=0, lt=1)]
    efficiency_basis: Literal["HHV", "LHV"]
    efficiency_source: str
    derating: Derating
    length_m: Positive
    width_m: Positive
    height_m: Positive
    mass_kg: Positive
    volts_to_ground: Positive
    gear: Gear | None = None
    level_dba: Positive
    level_distance_m: Positive
    level_surface: Literal["hemisphere", "box"] = "hemisphere"
    spectrum: str
    source: str

    @model_validator(mode="after")
    def _check_gear_size(self) -> Self:
        gear = self.gear
        if gear and (gear.length_m > self.length_m or gear.width_m > self.width_m):
            raise ValueError("gear is larger than the machine in whose place it stands")
        return self


class WorkingSpace(Frozen):
    """The required depth of the space before live parts, by condition, up to a voltage."""

    volts_to_ground_most: Positive
    depth_m: tuple[Positive, Positive, Positive]
    source: str


class Spectrum(Frozen):
    """The shape of a sound by octave band, 63 Hz to 8 kHz: A-weighted dB, with any offset."""

    title: str
    shape_db: OctaveBands
    source: str


class Container(Frozen):
    """One size of tank or trailer: its capacity in the fuel's unit of storage, and its dimensions.

    `boil_off` is the flow that it gives off on a cold day without a vaporizer, in the fuel's trade
    unit.
    """

    capacity: Positive
    boil_off: Positive | None = None
    length_m: Positive
    width_m: Positive
    source: str


class SeparationRow(Frozen):
    """Distances for storage of up to `capacity_most`: from each exposure and between containers.

    `between_share` is a share of the sum of two neighbors' diameters; the larger of it and
    `between_m` applies.
    """

    capacity_most: Positive
    exposure_m: dict[str, NotNegative]
    between_m: NotNegative = 0.0
    between_share: NotNegative = 0.0


class Lone(Frozen):
    """The distances that apply instead to a single container of up to `capacity_most`."""

    capacity_most: Positive
    exposure_m: dict[str, NotNegative]


class Separation(Frozen):
    """One edition of a rule on the distance of stored fuel from its surroundings.

    `building`, `line` and `pad` name the table's exposures that stand for buildings, lot lines and
    the generators themselves; `line` is None where we found no such requirement in the rule.
    """

    title: str
    edition: str
    building: str
    line: str | None = None
    pad: str
    rows: Annotated[tuple[SeparationRow, ...], Field(min_length=1)]
    lone: Lone | None = None
    source: str


class Fuel(Frozen):
    """A fuel that a generator can burn, in the fuel's own trade unit.

    `unit` is the unit of flow, and `hhv_btu` and `lhv_btu` are per scf or gallon; `routes` are the
    ways in which the fuel can reach a site; `gravity` is its density relative to air, for flow in
    pipes. Containers are measured in `storage_unit`; `usable_share` is the share that can be
    burned.
    """

    ascending: ClassVar = (("lhv_btu", "hhv_btu"),)

    id: str
    title: str
    unit: Literal["scfh", "scfh of methane", "gal/h"]
    hhv_btu: Positive
    lhv_btu: Positive
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    gravity: Positive | None = None
    storage_unit: Literal["gal", "scf"] | None = None
    usable_share: Share = 1.0
    containers: tuple[Container, ...] = ()
    source: str

    @model_validator(mode="after")
    def _check_routes(self) -> Self:
        if "storage" in self.routes and not (self.containers and self.storage_unit):
            raise ValueError("delivered to storage, but no containers or no storage_unit")
        if "main" in self.routes and self.gravity is None:
            raise ValueError("comes in mains, but its gravity is not given")
        return self
