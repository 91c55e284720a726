"""A plan: what we would deploy, what must hold, and what counts how much."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from geo.model.base import Frozen, NotNegative, Positive, Share
from geo.model.codes import PressureClass, ReceptorClass, Structure, UseClass, ZoneClass
from geo.model.land_use import Setback


class Sites(Frozen):
    """Who is a site: which uses, which zones where the use does not say, and how large.

    `join_owner`: touching parcels of one owner, each a site but for its size, are one site.
    """

    classes: tuple[UseClass, ...] = ("commercial", "industrial", "mixed")
    zones: tuple[ZoneClass, ...] = ("commercial", "industrial", "mixed")
    minimum_area_m2: NotNegative = 0.0
    zone_share_minimum: Share = 0.5
    join_owner: bool = False


class GridPlan(Frozen):
    """How the grid's gap is judged.

    `cyclic_factor` is what the banks that are left carry over their nameplate when the largest is
    out, and `cyclic_factor_most` what they may at best; `fold` says which of several rows of one
    feeder is taken.
    """

    ascending: ClassVar = (("cyclic_factor", "cyclic_factor_most"),)

    feeder_reach_m: NotNegative
    substation_reach_m: NotNegative
    power_factor: Annotated[float, Field(gt=0, le=1)]
    cyclic_factor: Annotated[float, Field(ge=1, le=1.5)] = 1.0
    cyclic_factor_most: Annotated[float, Field(ge=1, le=1.5)] = 1.3
    fold: Literal["min", "median", "max"] = "median"
    goal: Literal["bridge", "headroom"] = "bridge"


class FuelPlan(Frozen):
    """How far fuel may be fetched, how much of a main is taken to be free, and what is stored.

    `main_length_m` is the length of main over which its pressure falls from inlet to floor.
    `delivered` names the fuels that somebody brings by road. By fuel: for how many days storage
    lasts, and by which rule it keeps its distance. Plants count within `plant_reach_m`, the
    longest pipe that would be laid for one site, and are named up to `context_reach_m` away.
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
    """A number that is only known to lie between two, with its source and how old that is."""

    ascending: ClassVar = (("lo", "hi"),)

    lo: NotNegative
    hi: NotNegative
    source: str
    as_of: str


class Economics(Frozen):
    """What time and money each way takes: the grid's upgrade, and generators on the pad.

    `upgrade_years_of` is by utility, and goes before `upgrade_years`. Fuel is priced by the
    million Btu of its higher heating value.
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
    """The clearances that decide what ground is left, and how machines stand on it.

    `setbacks` are by class of zone, `other` for any that is not named, and hold wherever the text
    of the zoning is not known. `electrical_condition` is what faces the live parts: 1 nothing live
    or grounded, 2 grounded, 3 live. Keys in `retired` had a meaning once and are ignored.
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
    """How porous the ground is, 0 hard to 1 porous: round the source, between, at the receiver."""

    source: Share = 0.0
    middle: Share = 0.0
    receiver: Share = 0.0


class NoisePlan(Frozen):
    """The plan's own limit, who is to be spared, and the air and ground sound travels over.

    `ground_method` is the clause of ISO 9613-2: by ground factors, or (7.3.2) by mean height over
    porous ground, which does not read them and is some 5 dB too quiet over a paved yard.
    Heights are above the ground; `ambient_floor_dba` is the quietest night that is thought
    possible: a limit relative to the ambient never falls below it and its allowance.
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
    """Named missing facts that the plan takes as given; every row that uses one says so."""

    main_at_sign: AssumedMain | None = None
    main_size: AssumedMain | None = None
    bare_parcel: bool = False
    own_dwelling_at_m: Positive | None = None
    ambient_dba: Positive | None = None


class Ramp(Frozen):
    """A straight line from 0 to 1 in the fact's own unit, and how much it counts."""

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
    """One thing that could be done to carry more: it changes one rule, and sizing runs again."""

    title: str
    relieves: Literal["pad", "noise", "fuel"]
    wall_height_m: Positive | None = None
    level_distance_m: Positive | None = None
    usable_share: Share | None = None
    building_clearance_m: NotNegative | None = None
    setback_most_m: NotNegative | None = None
    source: str


class Plan(Frozen):
    """What we would deploy in a market, what must hold, and what counts how much.

    `target_kw` is the load that sites are ranked for; `loads_kw` are others that the gap is told
    of. `altitude_m` holds where the ground's height is not mapped.
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
        """The loads that the gap is told of, least first, the one for ranking among them."""
        return tuple(sorted({self.target_kw, *self.loads_kw}))
