"""A plan: what we would deploy, the limits to meet, and the weight of each criterion."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from geo.model.base import Frozen, NotNegative, Positive, Share
from geo.model.codes import PressureClass, ReceptorClass, Structure, UseClass, ZoneClass
from geo.model.land_use import Setback


class Sites(Frozen):
    """Which parcels are sites: by use, by zone where the use does not decide, and by size.

    `join_owner`: join touching parcels of one owner into one site, if each of them would be a site
    apart from its size.
    """

    classes: tuple[UseClass, ...] = ("commercial", "industrial", "mixed")
    zones: tuple[ZoneClass, ...] = ("commercial", "industrial", "mixed")
    minimum_area_m2: NotNegative = 0.0
    zone_share_minimum: Share = 0.5
    join_owner: bool = False


class GridPlan(Frozen):
    """How the grid's shortfall is judged.

    `cyclic_factor` is the multiple of their nameplate that the remaining banks carry when the
    largest is out, and `cyclic_factor_most` the highest multiple that is thought possible; `fold`
    is the statistic that combines several rows of one feeder. A record older than
    `record_months_most` on the night of the run, or without a date, bounds nothing.
    """

    ascending: ClassVar = (("cyclic_factor", "cyclic_factor_most"),)

    feeder_reach_m: NotNegative
    substation_reach_m: NotNegative
    power_factor: Annotated[float, Field(gt=0, le=1)]
    cyclic_factor: Annotated[float, Field(ge=1, le=1.5)] = 1.0
    cyclic_factor_most: Annotated[float, Field(ge=1, le=1.5)] = 1.3
    fold: Literal["min", "median", "max"] = "median"
    record_months_most: Annotated[int, Field(ge=1)] = 18
    goal: Literal["bridge", "headroom"] = "bridge"


class FuelPlan(Frozen):
    """How far away fuel may come from, the share of a main assumed to be free, and the storage.

    `main_length_m` is the length of main over which its pressure falls from inlet to outlet.
    `delivered` names the fuels that are delivered by road. For each fuel, `autonomy_days` gives the
    days that storage lasts, and `separation` the rule for its distances. Plants count within
    `plant_reach_m`, the longest pipe that would be laid for one site, and are named up to
    `context_reach_m` away.
    """

    main_reach_m: NotNegative
    sign_reach_m: NotNegative
    transmission_reach_m: NotNegative = 0.0
    plant_reach_m: NotNegative = 500.0
    context_reach_m: NotNegative = 0.0
    main_length_m: Positive = 1609.344
    usable_share: Share
    delivered: tuple[str, ...] = ()
    autonomy_days: dict[str, Positive] = {}
    separation: dict[str, str] = {}
    containers_most: Annotated[int, Field(ge=1, le=12)] = 2
    vaporiser: bool = True
    storage_as_far_as_m: NotNegative


class Estimate(Frozen):
    """A number that is only known to lie between `lo` and `hi`, with its source and date."""

    ascending: ClassVar = (("lo", "hi"),)

    lo: NotNegative
    hi: NotNegative
    source: str
    as_of: str


class Economics(Frozen):
    """The time and money for each option: an upgrade of the grid, and generators on the pad.

    `upgrade_years_of` is by utility, and overrides `upgrade_years`. Fuel is priced per million Btu
    of its higher heating value.
    """

    upgrade_years: Estimate
    upgrade_years_of: dict[str, Estimate] = {}
    upgrade_usd_per_kva: Estimate
    connection_usd: Estimate
    line_usd_per_m: Estimate
    pad_weeks: Estimate
    generator_usd_per_kw: Estimate
    service_line_usd_per_m: Estimate
    fuel_usd_per_mmbtu: dict[str, Estimate] = {}


class PadPlan(Frozen):
    """The clearances that decide which ground is left, and how machines stand on it.

    `setbacks` are by class of zone (`other` for any that is not named), and apply wherever the
    zoning text is not known. `electrical_condition` is what faces the live parts: 1 nothing live
    or grounded, 2 grounded, 3 live. Keys in `retired` are no longer used and are ignored.
    """

    retired: ClassVar[frozenset[str]] = frozenset({"blocks_most"})

    structure: Structure = "accessory"
    setbacks: dict[ZoneClass | Literal["other"], Setback]
    setback_most_m: NotNegative | None = None
    building_clearance_m: NotNegative
    service_m: NotNegative
    electrical_condition: Literal[1, 2, 3] = 3
    slope_most: Annotated[float, Field(gt=0)] | None = None
    access_width_m: Positive = 3.0
    exclusions: tuple[str, ...]

    @model_validator(mode="before")
    @classmethod
    def _drop_retired_keys(cls, raw: Any) -> Any:
        if isinstance(raw, dict):
            return {key: value for key, value in raw.items() if key not in cls.retired}
        return raw

    @model_validator(mode="after")
    def _check_other_setback(self) -> Self:
        if "other" not in self.setbacks:
            raise ValueError("setbacks has no `other`: what holds in a zone of any other class?")
        return self


class GroundFactors(Frozen):
    """How porous the ground is, 0 hard to 1 porous: near the source, between, near the receiver."""

    source: Share = 0.0
    middle: Share = 0.0
    receiver: Share = 0.0


class NoisePlan(Frozen):
    """The plan's own limit, the receptors to protect, and the air and ground for the calculation.

    `ground_method` is the clause of ISO 9613-2: 7.3.1 uses the ground factors; 7.3.2 uses the mean
    height over porous ground instead, and gives a level some 5 dB too low over a paved yard.
    Heights are above the ground. `ambient_floor_dba` is the level of the quietest night thought
    possible: a limit relative to the ambient is never below this floor plus its allowance.
    """

    limit_dba: Positive
    receptors: tuple[ReceptorClass, ...]
    report_reach_m: NotNegative = 0.0
    edition: Literal["1996", "2024"] = "1996"
    temperature_c: Annotated[float, Field(ge=-40, le=50)] = 10.0
    humidity_pct: Annotated[float, Field(gt=0, le=100)] = 70.0
    ground: GroundFactors = GroundFactors()
    ground_method: Literal["7.3.1", "7.3.2"] = "7.3.1"
    wall_absorption: Share = 0.2
    source_height_m: Positive = 1.5
    receptor_height_m: Positive = 1.5
    facade_height_m: Positive = 4.0
    ambient_floor_dba: Positive = 30.0


class AssumedMain(Frozen):
    """The main that is assumed where there is a sign of one but no record of it."""

    diameter_in: Positive
    pressure_class: PressureClass
    material: str = "polyethylene"


class Assume(Frozen):
    """Assumptions in place of missing facts; every row that uses one says so."""

    main_at_sign: AssumedMain | None = None
    main_size: AssumedMain | None = None
    bare_parcel: bool = False
    own_dwelling_at_m: Positive | None = None
    ambient_dba: Positive | None = None


class Ramp(Frozen):
    """A straight line from 0 to 1 in the fact's own unit, and its weight."""

    weight: NotNegative
    zero_at: float
    one_at: float

    @model_validator(mode="after")
    def _check_ramp(self) -> Self:
        if self.zero_at == self.one_at:
            raise ValueError(f"zero_at and one_at are both {self.zero_at}: no ramp between them")
        return self


class Score(Frozen):
    """One ramp per criterion. Weights are relative."""

    grid: Ramp
    fuel: Ramp
    pad: Ramp
    noise: Ramp

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if not any(ramp.weight for ramp in (self.grid, self.fuel, self.pad, self.noise)):
            raise ValueError("every weight is 0: nothing would be scored")
        return self


class Lever(Frozen):
    """One change that would allow more generators: it changes one rule, and sizing runs again."""

    title: str
    relieves: Literal["pad", "noise", "fuel"]
    wall_height_m: Positive | None = None
    level_distance_m: Positive | None = None
    usable_share: Share | None = None
    building_clearance_m: NotNegative | None = None
    setback_most_m: NotNegative | None = None
    source: str


class Plan(Frozen):
    """What we would deploy in a market, the limits to meet, and the weight of each criterion.

    `target_kw` is the load that sites are ranked for; the shortfall is also computed for the other
    loads in `loads_kw`. `altitude_m` is used where the ground's height is not mapped.
    """

    id: str
    title: str
    generator: str
    fuels: Annotated[tuple[str, ...], Field(min_length=1)]
    target_kw: Positive
    loads_kw: tuple[Positive, ...] = ()
    cap: Annotated[int, Field(ge=1, le=100)]
    spares: Annotated[int, Field(ge=0)] = 0
    altitude_m: float = 0.0
    summer_c: float
    sites: Sites
    grid: GridPlan
    fuel: FuelPlan
    pad: PadPlan
    noise: NoisePlan
    economics: Economics
    assume: Assume = Assume()
    score: Score
    levers: dict[str, Lever] = {}

    @property
    def every_load_kw(self) -> tuple[float, ...]:
        """The loads for which the shortfall is computed, smallest first, including the target."""
        return tuple(sorted({self.target_kw, *self.loads_kw}))
