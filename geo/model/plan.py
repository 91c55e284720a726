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


class CallPlan(Frozen):
    """The margins that a `yes` must have with the generators that the load needs.

    `noise_margin_db` is how far below the noise limit they must stay, and `fuel_share_most` the
    most that they may take of what a gas main or a plant can spare. `parallel`: the generators run
    in parallel with the grid, so the feeder's hosting capacity must be at least their power.
    """

    noise_margin_db: NotNegative = 3.0
    fuel_share_most: Annotated[float, Field(gt=0, le=1)] = 0.8
    parallel: bool = True


class Range(Frozen):
    """The least and the greatest value that an assumption may really have, and its source."""

    ascending: ClassVar = (("lo", "hi"),)

    lo: NotNegative
    hi: NotNegative
    source: str


class Ranges(Frozen):
    """How far the plan's assumptions may be off. A call that changes within a range is no `yes`.

    An assumption without a range may be off by any amount. `efficiency` and `rating_distance_m` are
    those of the generator; the others have the names of the plan's own keys.
    """

    efficiency: Range | None = None
    rating_distance_m: Range | None = None
    usable_share: Range | None = None
    power_factor: Range | None = None
    altitude_m: Range | None = None

    @model_validator(mode="after")
    def _check_positive(self) -> Self:
        for name in ("efficiency", "rating_distance_m", "usable_share", "power_factor"):
            given = getattr(self, name)
            if given is not None and given.lo == 0:
                raise ValueError(f"{name}.lo is 0; give the least value that is possible")
        for name in ("efficiency", "usable_share", "power_factor"):
            given = getattr(self, name)
            if given is not None and given.hi > 1:
                raise ValueError(f"{name}.hi is {given.hi:g}, which is above 1")
        return self


class Line(Frozen):
    """A straight line from 0 to 1 in the fact's own unit."""

    zero_at: float
    one_at: float

    @model_validator(mode="after")
    def _check_line(self) -> Self:
        if self.zero_at == self.one_at:
            raise ValueError(f"zero_at and one_at are both {self.zero_at}: no ramp between them")
        return self


class Ramp(Line):
    """A straight line from 0 to 1 in the fact's own unit, and its weight."""

    weight: NotNegative


PAD_PLACES_MOST = 100.0
"""A pad ramp that ends beyond so many places for each generator is an old one in square meters."""
PAD_PLACES = {"zero_at": 0.0, "one_at": 2.0}
"""The pad ramp that takes the place of one in square meters."""


def is_pad_in_square_meters(raw: Any) -> bool:
    """Return whether a plan's `score`, as written, has a pad ramp in square meters of ground."""
    pad = raw.get("pad") if isinstance(raw, dict) else None
    ends = [pad.get(key) for key in PAD_PLACES] if isinstance(pad, dict) else []
    return any(isinstance(end, int | float) and abs(end) > PAD_PLACES_MOST for end in ends)


class Score(Frozen):
    """One ramp per criterion, for the generators that the load needs. Weights are relative.

    `grid` is the share of the target load that they cover, or the headroom (kW) where the plan's
    goal is headroom; `fuel` the distance to their main or plant (m); `pad` the places on the ground
    for each of them; `noise` how far below the limit they stay (dB). `fuel_share`, if given, is
    the share that they take of what the main or plant can spare: the lower of it and `fuel` counts.
    A pad ramp in square meters, as until November 2026, is replaced by one of 0 to 2 places.
    """

    grid: Ramp
    fuel: Ramp
    pad: Ramp
    noise: Ramp
    fuel_share: Line | None = None

    @model_validator(mode="before")
    @classmethod
    def _replace_square_meters(cls, raw: Any) -> Any:
        return raw | {"pad": raw["pad"] | PAD_PLACES} if is_pad_in_square_meters(raw) else raw

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
    call: CallPlan = CallPlan()
    ranges: Ranges = Ranges()
    score: Score
    levers: dict[str, Lever] = {}

    @property
    def every_load_kw(self) -> tuple[float, ...]:
        """The loads for which the shortfall is computed, smallest first, including the target."""
        return tuple(sorted({self.target_kw, *self.loads_kw}))
