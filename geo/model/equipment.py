"""Generators, the fuels they burn, and the clearances that both need."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from geo.model.base import Frozen, NotNegative, OctaveBands, Positive, Share
from geo.model.codes import Route


class Gear(Frozen):
    """The electrical cabinet of a few machines: its body, which stands in a machine's place."""

    machines: Annotated[int, Field(ge=1)]
    length_m: Positive
    width_m: Positive
    source: str


class Derating(Frozen):
    """What a machine loses of its rated power in thin air and on hot days.

    So much of it for each meter above `to_altitude_m`, and for each degree above `to_c`.
    """

    to_altitude_m: NotNegative
    share_per_m: NotNegative
    to_c: float
    share_per_c: NotNegative
    source: str


class Generator(Frozen):
    """One machine: its rating, body, gear, and rated sound level with where that level holds.

    `efficiency` is of the fuel's heating value on the basis named: higher (HHV) or lower (LHV).
    `level_surface`: `hemisphere`, a point over reflecting ground; `box`, ISO 3744's box
    `level_distance_m` from the body.
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
    """How deep the space before live parts must be, up to a voltage to ground, by condition."""

    volts_to_ground_most: Positive
    depth_m: tuple[Positive, Positive, Positive]
    source: str


class Spectrum(Frozen):
    """The shape of a sound by octave band, 63 Hz to 8 kHz: A-weighted decibels on any footing."""

    title: str
    shape_db: OctaveBands
    source: str


class Container(Frozen):
    """One size of tank or trailer: what it holds, in the fuel's unit of storage, and its body.

    `boil_off` is what it gives off on a cold day without a vaporiser, in the fuel's trade unit.
    """

    capacity: Positive
    boil_off: Positive | None = None
    length_m: Positive
    width_m: Positive
    source: str


class SeparationRow(Frozen):
    """How far storage of up to so much stays from each exposure, and containers from each other.

    `between_share` is of the sum of two neighbors' diameters; the larger of both holds.
    """

    capacity_most: Positive
    exposure_m: dict[str, NotNegative]
    between_m: NotNegative = 0.0
    between_share: NotNegative = 0.0


class Lone(Frozen):
    """What one container alone, up to so much, may keep instead."""

    capacity_most: Positive
    exposure_m: dict[str, NotNegative]


class Separation(Frozen):
    """One edition of a rule on how far stored fuel stays from what is round it.

    `building`, `line` and `pad` name the exposures of the table that stand for buildings, lot
    lines and the generators themselves; None: the rule says nothing that we have seen.
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
    """What a generator can burn, in the fuel's own trade unit.

    `unit` is of the flow and `hhv_btu`, `lhv_btu` of a scf or gallon of it; `routes` are the ways
    in which it can come; `gravity` is its weight over that of air, for flow in pipes. Containers
    hold it in `storage_unit`, of which `usable_share` is burnt.
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
