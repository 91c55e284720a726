"""The words of the house, as frozen models: what we know, what we want, and what a layer is.

Units end each name. Every model forbids keys it does not know, so a misspelt key is an error.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Criterion = Literal["grid", "fuel", "pad", "noise"]
PressureClass = Literal["low", "medium", "high"]
Route = Literal["main", "storage", "plant"]
UseClass = Literal["residential", "mixed", "commercial", "industrial", "exempt", "vacant"]
ZoneClass = Literal["residential", "mixed", "commercial", "industrial", "open_space", "special"]
ReceptorClass = Literal[
    "home", "school", "day_care", "hospital", "clinic", "elderly", "hotel", "worship", "park",
    "commercial", "industrial", "unknown",
]  # fmt: skip
ReceivingClass = Literal["residential", "commercial", "industrial"]
Structure = Literal["principal", "accessory"]
Eight = tuple[float, float, float, float, float, float, float, float]

CRITERIA: tuple[Criterion, ...] = ("grid", "fuel", "pad", "noise")
LIMITING: tuple[Literal["pad", "noise", "fuel"], ...] = ("pad", "noise", "fuel")


class Frozen(BaseModel):
    """A model that cannot be changed once made, and takes no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ---------------------------------------------------------------------------------------------
# What we know (geo/catalogue)


class Gear(Frozen):
    """The electrical cabinet of a few machines: its body, which stands in a machine's place."""

    machines: Annotated[int, Field(ge=1)]
    length_m: Positive
    width_m: Positive
    source: str


class Derating(Frozen):
    """What a machine loses of its rated power in thin air and on hot days.

    So much of it for each metre above `to_altitude_m`, and for each degree above `to_c`.
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
    def _gear_must_fit_a_place(self) -> Self:
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
    shape_db: Eight
    source: str


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
    def _must_limit(self) -> Self:
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

    `between_share` is of the sum of two neighbours' diameters; the larger of both holds.
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
    def _must_say_what_its_routes_need(self) -> Self:
        if "storage" in self.routes and not (self.containers and self.storage_unit):
            raise ValueError("delivered to storage, but no containers or no storage_unit")
        if "main" in self.routes and self.gravity is None:
            raise ValueError("comes in mains, but its gravity is not given")
        if self.lhv_btu > self.hhv_btu:
            raise ValueError(f"lhv_btu {self.lhv_btu:g} is above hhv_btu {self.hhv_btu:g}")
        return self


class PipeMaterial(Frozen):
    """How wide a pipe of one material is inside, from its nominal size.

    By a `schedule` of steel pipe, or by `sdr`, the outside diameter over the wall; neither: as
    wide as its nominal size.
    """

    schedule: str | None = None
    sdr: Annotated[float, Field(gt=2)] | None = None
    source: str

    @model_validator(mode="after")
    def _must_go_by_one(self) -> Self:
        if self.schedule is not None and self.sdr is not None:
            raise ValueError(f"both schedule {self.schedule!r} and sdr {self.sdr:g} are given")
        return self


class PipePressure(Frozen):
    """What drives gas through the mains of one pressure class, above the atmosphere's pressure.

    It falls from inlet to `outlet_psig` over the plan's length of main (Weymouth's equation), or
    by so much for each 1000 ft of whatever length (Spitzglass's, for low pressure).
    """

    inlet_psig: Positive
    outlet_psig: NotNegative | None = None
    fall_inwc_per_1000ft: Positive | None = None
    efficiency: Annotated[float, Field(gt=0, le=1)]
    source: str

    @model_validator(mode="after")
    def _must_fall(self) -> Self:
        if (self.outlet_psig is None) == (self.fall_inwc_per_1000ft is None):
            raise ValueError("give either outlet_psig or fall_inwc_per_1000ft")
        if self.outlet_psig is not None and self.outlet_psig >= self.inlet_psig:
            raise ValueError(
                f"outlet_psig {self.outlet_psig:g} is not below inlet_psig {self.inlet_psig:g}"
            )
        return self


class Pipes(Frozen):
    """Every material and pressure class of gas mains, and how warm the gas in them is."""

    temperature_k: Positive
    material: Annotated[dict[str, PipeMaterial], Field(min_length=1)]
    pressure: Annotated[dict[PressureClass, PipePressure], Field(min_length=1)]


class PlantGas(Frozen):
    """How much methane the gas of a plant holds that does not say, for a fuel counted by it."""

    methane_lo: Share
    methane_hi: Share
    source: str

    @model_validator(mode="after")
    def _must_be_in_order(self) -> Self:
        if self.methane_lo > self.methane_hi:
            raise ValueError(
                f"methane_lo {self.methane_lo:g} is above methane_hi {self.methane_hi:g}"
            )
        return self


class Use(Frozen):
    """What a land-use code means: its class, and who lives or learns there."""

    title: str
    use_class: UseClass = Field(alias="class")
    receptor: ReceptorClass | None = None


class Setback(Frozen):
    """How far what is built stays from each kind of lot line, and from a line next to homes."""

    front_m: NotNegative
    side_m: NotNegative
    rear_m: NotNegative
    home_m: NotNegative


class Setbacks(Frozen):
    """What a zoning text asks of each kind of structure; None where it was not read."""

    principal: Setback | None = None
    accessory: Setback | None = None


class Zone(Frozen):
    """What a zoning code means, and how far off the lot lines it keeps what is built."""

    title: str
    zone_class: ZoneClass = Field(alias="class")
    setbacks: Setbacks = Setbacks()


class LandUse(Frozen):
    """The codes of one jurisdiction and scheme. A code that is not here is `unclassified`."""

    jurisdiction: str
    scheme: str
    source: str
    use: dict[str, Use] = {}
    zone: dict[str, Zone] = {}


class Column(Frozen):
    """One column of a layer: its type, its unit, and what it may hold."""

    title: str
    type: Literal["string", "float", "integer", "boolean", "date"]
    unit: str | None = None
    required: bool = False
    nullable: bool = True
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


class Layer(Frozen):
    """The role that a source fills: geometry kinds and columns.

    A raster has no columns: `unit`, `minimum` and `maximum` are of its cells' values.
    """

    id: str
    title: str
    geometry: tuple[Literal["point", "line", "polygon", "raster"], ...]
    key: str | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    columns: dict[str, Column] = {}

    @property
    def is_raster(self) -> bool:
        """Whether the layer is a grid of values rather than a table."""
        return "raster" in self.geometry


class Fact(Frozen):
    """One published column: the reader's title, its unit and how many decimals it is given.

    `shown` is how many of them a card shows, where fewer. A fact `per` load or fuel stands for a
    column of each: `{of}` in its name and title is filled in.
    """

    name: str
    title: str
    group: Literal[
        "result", "site", "grid", "loads", "fuel", "ladder", "money", "pad", "noise", "score",
        "provenance",
    ]  # fmt: skip
    per: Literal["load", "fuel"] | None = None
    of: str | None = None
    unit: str | None = None
    decimals: int | None = None
    shown: int | None = None
    note: str = ""


# ---------------------------------------------------------------------------------------------
# What we want (flows/markets, flows/plans)


class Market(Frozen):
    """An area with one metric frame and its sources."""

    id: str
    title: str
    crs: str
    time_zone: str
    jurisdiction: str
    plan: str
    noise_rule: str | None = None
    sources: tuple[str, ...]
    note: str = ""


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

    feeder_reach_m: NotNegative
    substation_reach_m: NotNegative
    power_factor: Annotated[float, Field(gt=0, le=1)]
    cyclic_factor: Annotated[float, Field(ge=1, le=1.5)] = 1.0
    cyclic_factor_most: Annotated[float, Field(ge=1, le=1.5)] = 1.3
    fold: Literal["min", "median", "max"] = "median"
    goal: Literal["bridge", "headroom"] = "bridge"

    @model_validator(mode="after")
    def _must_be_in_order(self) -> Self:
        if self.cyclic_factor > self.cyclic_factor_most:
            raise ValueError(
                f"cyclic_factor {self.cyclic_factor:g} is above cyclic_factor_most "
                f"{self.cyclic_factor_most:g}"
            )
        return self


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

    lo: NotNegative
    hi: NotNegative
    source: str
    as_of: str

    @model_validator(mode="after")
    def _must_be_in_order(self) -> Self:
        if self.lo > self.hi:
            raise ValueError(f"lo {self.lo:g} is above hi {self.hi:g}")
        return self


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
    of the zoning is not known. On one parcel stand up to `blocks_most`. `electrical_condition` is
    what faces the live parts: 1 nothing live or grounded, 2 grounded, 3 live.
    """

    structure: Structure = "accessory"
    setbacks: dict[ZoneClass | Literal["other"], Setback]
    setback_most_m: NotNegative | None = None
    building_clearance_m: NotNegative
    service_m: NotNegative
    electrical_condition: Literal[1, 2, 3] = 3
    slope_most: Annotated[float, Field(gt=0)] | None = None
    access_width_m: Positive = 3.0
    blocks_most: Annotated[int, Field(ge=1, le=3)] = 1
    exclusions: tuple[str, ...]

    @model_validator(mode="after")
    def _must_name_the_others(self) -> Self:
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
    def _must_rise_or_fall(self) -> Self:
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
    def _must_weigh(self) -> Self:
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


# ---------------------------------------------------------------------------------------------
# What passes between the rooms


@dataclass(frozen=True)
class Raster:
    """A grid of values in the market's frame or its own: `values` is float, NaN where nodata."""

    values: np.ndarray
    transform: Affine
    crs: str
    unit: str | None = None


@dataclass(frozen=True)
class Needs:
    """What a plan asks of the store: who is a site, who hears, how far each layer matters (m).

    `structure` is what the zoning is asked about.
    """

    sites: Sites
    receptors: tuple[ReceptorClass, ...]
    reach_m: dict[str, float]
    structure: Structure = "accessory"


@dataclass(frozen=True)
class Screening:
    """What leaves the store: the sites, what lies near enough to matter, and each coverage.

    `layers` holds a frame per vector layer that the market has (absent key: no such layer), in
    the market's metric frame; `coverage` the area inside which absence is a fact (None: unknown).
    """

    sites: gpd.GeoDataFrame
    layers: dict[str, gpd.GeoDataFrame]
    coverage: dict[str, shapely.Geometry | None]
    rasters: dict[str, Raster] = field(default_factory=dict)


class SourceLine(Frozen):
    """What a reader is told of one source: where it is from, how old, and what was done to it."""

    id: str
    layer: str
    title: str
    publisher: str
    licence: str
    attribution: str
    vintage: str
    rows: int
    notes: tuple[str, ...] = ()


class Report(Frozen):
    """What a run says of itself. It holds no wall-clock time: the same inputs, the same report."""

    market_id: str
    market_title: str
    plan_id: str
    plan_title: str
    run_id: str
    plan_digest: str
    program_version: str
    parcels_in: int
    sites: int
    set_aside: dict[str, int]
    unclassified: dict[str, int]
    counts: dict[str, dict[str, int]]
    first_lines: tuple[str, ...]
    assumptions: tuple[str, ...]
    estimates: tuple[str, ...]
    sources: tuple[SourceLine, ...]
