"""Hold grid and fuel to the slow oracle, site by site: made-up neighbourhoods and the demo."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from shapely import affinity

from geo import catalogue
from geo.criteria.fuel import gas, pipes, plants
from geo.criteria.grid import gap, headroom, serving
from geo.equipment.generator import derated_power_kw
from geo.model import AssumedMain, Plan, Raster, Screening
from geo.shapes import raster
from tests.geo import oracle_supply
from tests.geo.around import Parcel, are_equal, read_text
from tests.geo.conftest import CRS, make_layer, make_sites, make_town
from tests.geo.oracle_supply import EDGE
from tests.geo.short_and_long import demo_town

SEED = 20260603
TOWNS, SITES = 20, 12
# The demo town is made with about so many parcels, and so many of its sites are looked at.
DEMO_PARCELS, DEMO_SITES = 2000, 200
# Everything lies in a square of so many metres; layers end at random within it and beyond.
SIDE_M = 1200.0
MATERIALS = ("polyethylene", "coated steel", "bare steel", "cast iron", "other", None)
SIZES_IN = (1.25, 2, 2.2, 3, 4, 4.5, 6, 7, 8, 12, math.nan)
REQUIRED = ("record_id", "kind", "grain", "substation_id", "status", "main_id", "fuel",
            "plant_kind", "plant_id", "utility", "sign")  # fmt: skip


@dataclass(frozen=True)
class Town:
    """One made-up neighbourhood, the plan that holds there, and its sites one by one."""

    town: Screening
    plan: Plan

    @property
    def parcels(self):
        return [Parcel(row, self.town, self.plan) for _, row in self.town.sites.iterrows()]


@pytest.fixture(scope="module")
def made(plan):
    return [made_town(np.random.default_rng([SEED, number]), plan) for number in range(TOWNS)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory, market, plan):
    """Return some sites of a small demo town."""
    town = demo_town(tmp_path_factory.mktemp("demo"), market, plan, DEMO_PARCELS)
    rng = np.random.default_rng(SEED)
    some_ = np.sort(rng.choice(len(town.sites), DEMO_SITES, replace=False))
    return [Town(replace(town, sites=town.sites.iloc[some_].reset_index(drop=True)), plan)]


@pytest.fixture(scope="module", params=["made", "demo"])
def towns(request):
    return request.getfixturevalue(request.param)


# ---------------------------------------------------------------------------------------------
# The neighbourhoods


def made_town(rng, plan):
    """Return lots, and records of every kind with holes in every column, in any order of rows."""
    lots = [a_lot(rng) for _ in range(SITES)]
    layers = {
        "substations": substations(rng),
        "capacity": capacity(rng),
        "mains": mains(rng),
        "gas_territories": make_layer([a_part(rng)], utility="Valley Gas"),
        "gas_transmission": transmission(rng),
        "gas_signs": make_layer(spots(rng, 6), sign="leak_report"),
        "fuel_plants": fuel_plants(rng),
    }
    if rng.random() < 0.1:
        del layers["substations"], layers["capacity"]
    there = {name: holed(rng, frame) for name, frame in layers.items() if rng.random() < 0.8}
    coverage = {name: rng.choice([None, a_part(rng), everywhere()]) for name in there}
    town = Screening(make_sites(lots), there, coverage, {"elevation": heights(rng)})
    return Town(town, made_plan(rng, plan))


def heights(rng):
    """Return the ground's height in cells of 100 m, a third of them with none on record."""
    cells = np.where(rng.random((10, 10)) < 1 / 3, np.nan, rng.uniform(-50, 3000, (10, 10)))
    return Raster(cells, Affine(100, 0, 0, 0, -100, 1000), CRS)


def made_plan(rng, plan):
    assumed = AssumedMain(diameter_in=4, pressure_class=pick(rng, ("low", "medium", "high")))
    cyclic_factor = rng.uniform(1, 1.3)
    grid = {
        "feeder_reach_m": rng.uniform(20, 150),
        "substation_reach_m": rng.uniform(300, 900),
        "fold": pick(rng, ("min", "median", "max")),
        "cyclic_factor": cyclic_factor,
        "cyclic_factor_most": rng.uniform(cyclic_factor, 1.5),
    }
    fuel = {
        "main_reach_m": rng.uniform(20, 200),
        "sign_reach_m": rng.uniform(20, 200),
        "transmission_reach_m": rng.uniform(0, 500),
        "plant_reach_m": pick(rng, (0.0, 100.0, 300.0)),
        "context_reach_m": 600.0,
        "main_length_m": rng.uniform(500, 3000),
        "usable_share": rng.uniform(0.05, 0.5),
    }
    assume = {
        "main_at_sign": pick(rng, (None, assumed)),
        "main_size": pick(rng, (None, assumed)),
    }
    return plan.model_copy(
        update={
            "spares": int(rng.integers(3)),
            "altitude_m": rng.uniform(0, 2500),
            "summer_c": rng.uniform(20, 45),
            "loads_kw": (200.0, 3000.0),
            "grid": plan.grid.model_copy(update=grid),
            "fuel": plan.fuel.model_copy(update=fuel),
            "assume": plan.assume.model_copy(update=assume),
        }
    )


def pick(rng, values):
    return values[rng.integers(len(values))]


def picks(rng, values, count):
    return [pick(rng, values) for _ in range(count)]


def some(rng, low, high, count, known=0.5):
    """Return numbers, of which a share is known and the others are missing."""
    return np.where(rng.random(count) < known, rng.uniform(low, high, count), np.nan)


def holed(rng, frame):
    """Return a layer with one or two of its optional columns gone, its rows in any order."""
    optional = [name for name in frame if name not in {*REQUIRED, "geometry"}]
    gone = [name for name in optional if rng.random() < 0.05]
    shuffled = frame.drop(columns=gone).iloc[rng.permutation(len(frame))]
    return shuffled.reset_index(drop=True)


def a_lot(rng):
    shape = shapely.box(0, 0, *rng.uniform(15, 60, 2))
    turned = affinity.rotate(shape, rng.uniform(0, 90))
    return affinity.translate(turned, *rng.uniform(0, SIDE_M, 2))


def everywhere():
    return shapely.box(-2000, -2000, SIDE_M + 2000, SIDE_M + 2000)


def a_part(rng):
    """Return the part of the square on one side of a line across it."""
    at = rng.uniform(0.2, 1) * SIDE_M
    half = shapely.box(-2000, -2000, at, SIDE_M + 2000)
    return affinity.rotate(half, pick(rng, (0, 90, 180, 270)), origin=(SIDE_M / 2, SIDE_M / 2))


def spots(rng, count):
    return list(shapely.points(rng.uniform(0, SIDE_M, (count, 2))))


def a_line(rng):
    begin = rng.uniform(0, SIDE_M, 2)
    return shapely.LineString([begin, begin + rng.uniform(-500, 500, 2)])


def a_box(rng, size):
    return affinity.translate(shapely.box(0, 0, *rng.uniform(size / 4, size, 2)),
                              *rng.uniform(-size / 2, SIDE_M, 2))  # fmt: skip


def numbers(rng, count):
    """Return every way in which a record may say what it can still take, each often missing."""
    banks = rng.choice([np.nan, 1, 2, 3, 4], count)
    nameplate = some(rng, 5, 60, count, 0.7)
    largest = nameplate * np.where(banks == 1, 1, rng.uniform(0.5, 0.7, count))
    return {
        "headroom_kw": some(rng, -500, 5000, count, 0.25),
        "headroom_mva": some(rng, -1, 5, count, 0.15),
        "headroom_share": some(rng, -0.2, 0.5, count, 0.15),
        "ceiling_kw": some(rng, 500, 3000, count, 0.4),
        "firm_capacity_mva": some(rng, 4, 12, count, 0.3),
        "bank_count": banks,
        "nameplate_mva": nameplate,
        "largest_bank_mva": np.where(rng.random(count) < 0.5, largest, np.nan),
        "peak_load_mva": some(rng, 3, 10, count, 0.5),
        "committed_load_mva": some(rng, 0, 2, count, 0.4),
        "committed_included": picks(rng, (True, False, None), count),
        "power_factor": some(rng, 0.8, 1, count, 0.5),
        "voltage_kv": some(rng, 4, 30, count, 0.6),
        "owner": picks(rng, ("Valley Electric", None), count),
        "as_of": picks(rng, (pd.Timestamp("2026-01-31"), pd.NaT), count),
        "source_id": picks(rng, ("north", "south"), count),
    }


def substations(rng):
    """Return substations, in half of the towns two of them with one id, from two sources."""
    count = int(rng.integers(1, 7))
    told, ids = numbers(rng, count), [f"U{number}" for number in range(count)]
    if count > 1 and rng.random() < 0.5:
        ids[1] = ids[0]
        told["source_id"][:2] = ["north", "south"]
    return make_layer(
        spots(rng, count),
        substation_id=ids,
        name=[f"Station {number}" for number in range(count)],
        status=picks(rng, ("in_service", "in_service", "planned", "retired", "unknown"), count),
        level=picks(rng, ("distribution", "distribution", "transmission", "unknown", None), count),
        **told,
    )


def capacity(rng):
    """Return records of every grain, several rows of one name, some of them in one place.

    Every third row is of its neighbour's feeder and lies beside it, or in its place under a name
    of its own.
    """
    grains = picks(rng, ("feeder", "feeder", "segment", "cell", "area"), 60)
    kinds = picks(rng, ("load", "load", "load", "generation"), 60)
    shapes = [capacity_shape(rng, grain) for grain in grains]
    names = [f"F{number}" for number in rng.integers(25, size=60)]
    for number in range(1, 60):
        if grains[number] == grains[number - 1] and rng.random() < 0.6:
            beside = rng.random() < 0.5
            shapes[number] = affinity.translate(shapes[number - 1], 5 * beside)
            if beside:
                names[number], kinds[number] = names[number - 1], kinds[number - 1]
    told = numbers(rng, 60)
    told["headroom_kw"] = some(rng, -500, 5000, 60, 0.5)
    # Two sources' records of one name have a test of their own.
    told["source_id"] = ["north" if int(one[1:]) % 2 else "south" for one in names]
    del told["bank_count"], told["nameplate_mva"], told["largest_bank_mva"]
    return make_layer(
        shapes,
        record_id=names,
        kind=kinds,
        grain=grains,
        substation_id=picks(rng, (*(f"U{number}" for number in range(5)), None), 60),
        rating_a=some(rng, 100, 600, 60, 0.3),
        peak_a=some(rng, 50, 500, 60, 0.5),
        **told,
    )


def capacity_shape(rng, grain):
    if grain == "area":
        return a_box(rng, 900)
    if grain == "cell":
        return a_box(rng, 200)
    kind = rng.random()
    if kind < 0.3:
        return spots(rng, 1)[0]
    return a_line(rng) if kind < 0.9 else a_line(rng).buffer(5)


def mains(rng):
    count = int(rng.integers(4, 14))
    return make_layer(
        [a_line(rng) for _ in range(count)],
        main_id=[f"M{number}" for number in range(count)],
        diameter_in=picks(rng, SIZES_IN, count),
        pressure_class=picks(rng, ("low", "medium", "high", None), count),
        pressure_kpa=pressures_kpa(rng, count),
        material=picks(rng, MATERIALS, count),
        status=picks(
            rng, ("in_service", "in_service", "planned", "retired", "unknown", None), count
        ),
        source_id="pipes",
    )


def pressures_kpa(rng, count):
    """Return pressures, half of them close to where a class begins: 0.25, 30 and 60 psig."""
    close = np.array(picks(rng, (0.25, 30, 60), count)) * rng.uniform(0.95, 1.05, count) * 6.894757
    any_ = rng.uniform(0, 600, count)
    told = np.where(rng.random(count) < 0.5, close, any_)
    return np.where(rng.random(count) < 0.6, told, np.nan)


def transmission(rng):
    return make_layer(
        [a_line(rng), a_line(rng)],
        operator="Long Line",
        status=picks(rng, ("in_service", "planned", "retired"), 2),
    )


def fuel_plants(rng):
    count = int(rng.integers(1, 10))
    shapes = [a_box(rng, 150) if rng.random() < 0.5 else spots(rng, 1)[0] for _ in range(count)]
    fuels = picks(rng, ("biogas", "biogas", "hydrogen"), count)
    used = picks(rng, ("no", "partly", "yes", "unknown", None), count)
    return make_layer(
        shapes,
        plant_id=[f"P{number}" for number in range(count)],
        name=[f"Plant {number}" for number in range(count)],
        fuel=fuels,
        plant_kind=["hydrogen plant" if one == "hydrogen" else "landfill" for one in fuels],
        status=picks(rng, ("operating", "operating", "planned", "closed", "unknown"), count),
        flow_scfh=some(rng, 0, 80_000, count, 0.8),
        methane_share=some(rng, 0.3, 0.7, count, 0.6),
        used=used,
        used_scfh=some(rng, 0, 20_000, count, 0.5),
        precision=picks(rng, ("site", "address", "county", "county", None), count),
        source_id="works",
    )


# ---------------------------------------------------------------------------------------------
# What is held


def differences(got, wanted, *where):
    return [
        (*where, name, got[name], value)
        for name, value in wanted.items()
        if not are_equal(name, got[name], value)
    ]


def different(towns, answered, asked):
    """Return where the program's rows of a town are not what the oracle says of each site."""
    wrong = []
    for number, one in enumerate(towns):
        rows = answered(one).to_dict("records")
        for site, (got, parcel) in enumerate(zip(rows, one.parcels, strict=True)):
            wrong += differences(got, asked(parcel), number, site)
    return wrong


def served(one):
    return serving.find_serving_records(
        one.town.sites, one.town.layers, one.town.coverage, one.plan
    )


def test_enough_of_every_kind_is_looked_at(made):
    parcels = [parcel for one in made for parcel in one.parcels]
    assert len(parcels) == 240
    fuels = catalogue.read_fuels()
    grid = {oracle_supply.describe_service(one)["grid_evidence"] for one in parcels}
    mains_ = {
        oracle_supply.supply_from_mains(one, fuels["natural_gas"]).evidence for one in parcels
    }
    plants_ = {oracle_supply.supply_from_plants(one, fuels["biogas"]).evidence for one in parcels}
    assert grid == {*serving.SERVING_EVIDENCE, "unpublished", "none", EDGE, "no layer"}
    checks = {oracle_supply.compare_answers(one, one.plan.target_kw) for one in parcels}
    assert checks == {
        "agree", "differ", "contradict", "cannot be compared", "no second answer",
    }  # fmt: skip
    folded = [best for one in parcels for best in oracle_supply.list_answers(one)]
    assert {"feeder", "grid cell"} <= {one.evidence for one in folded if one.silent}
    assert mains_ == {
        "main", "main of unknown size", "sign of a main", "territory and transmission line",
        "territory", "no territory", "no main", EDGE, "no layer",
    }  # fmt: skip
    assert plants_ == {
        "plant on the site", "plant by pipe", "plant too far", "plant, place by county only",
        "no plant", EDGE, "no layer",
    }  # fmt: skip


@pytest.mark.parametrize("told", [headroom.compute_headroom, headroom.compute_hosting])
def test_what_every_record_says(plan, told):
    rng = np.random.default_rng(SEED)
    rows = pd.DataFrame(
        numbers(rng, 2000)
        | {"rating_a": some(rng, 100, 600, 2000, 0.3), "peak_a": some(rng, 50, 500, 2000, 0.5)}
    )
    rules = plan.grid.model_copy(update={"cyclic_factor": 1.1, "cyclic_factor_most": 1.25})
    asked = (
        oracle_supply.compute_headroom
        if told is headroom.compute_headroom
        else oracle_supply.compute_hosting
    )
    wrong, known = [], 0
    for number, (got, row) in enumerate(
        zip(told(rows, rules).to_dict("records"), rows.to_dict("records"), strict=True)
    ):
        wanted = asked(row, rules) or oracle_supply.UNKNOWN_HEADROOM
        known += wanted is not oracle_supply.UNKNOWN_HEADROOM
        ends = {"lo_kw": wanted.lo_kw, "hi_kw": wanted.hi_kw}
        wrong += differences(got, {"stated_kw": wanted.stated_kw} | ends, number)
    assert wrong == []
    assert 500 < known < 1500


def test_the_pressure_class_of_every_main():
    rng = np.random.default_rng(SEED)
    named = np.array(picks(rng, ("low", "medium", "high", None), 2000), dtype=object)
    kpa, wrong = pressures_kpa(rng, 2000), []
    least, most = pipes.pressure_class_range(named, kpa)
    for place, given in enumerate(zip(named, kpa, strict=True)):
        row = dict(zip(("pressure_class", "pressure_kpa"), given, strict=True))
        wanted = oracle_supply.pressure_class_range(row) or (None, None)
        if (least[place], most[place]) != wanted:
            wrong.append((row, least[place], most[place], wanted))
    assert wrong == []


def test_what_serves_a_site(towns):
    assert different(towns, served, oracle_supply.describe_service) == []


def test_the_gap_of_every_load(towns):
    def answered(one):
        rows, plan = served(one), one.plan
        points = shapely.point_on_surface(np.asarray(one.town.sites.geometry.array))
        found = raster.sample_raster(one.town.rasters["elevation"], points, CRS)
        height = np.where(np.isnan(found), plan.altitude_m, found)
        rows["machine_kw"] = derated_power_kw(generator_of(one), height, plan.summer_c)
        for load_kw in plan.every_load_kw:
            rows[f"{load_kw:g} check"] = gap.compare_records(rows, load_kw)
            ends = gap.shortfall_range_kw(rows["headroom_lo_kw"], rows["headroom_hi_kw"], load_kw)
            rows[f"{load_kw:g} judged"] = gap.classify_gap(*ends)
            for name, short in zip(("lo", "hi"), ends, strict=True):
                rows[f"{load_kw:g} short {name}"] = short
                need = gap.count_needed(short, rows["machine_kw"], plan.spares)
                rows[f"{load_kw:g} needed {name}"] = need
        return rows

    assert different(towns, answered, gaps) == []


def gaps(parcel):
    """Return the gap of each load, by the names that the test gives them."""
    found = {"machine_kw": oracle_supply.compute_machine_kw(parcel)}
    power = oracle_supply.best_headroom(parcel)
    for load_kw in parcel.plan.every_load_kw:
        one = oracle_supply.compute_gap(power, load_kw, found["machine_kw"], parcel.plan.spares)
        found |= {
            f"{load_kw:g} check": oracle_supply.compare_answers(parcel, load_kw),
            f"{load_kw:g} judged": one.judged,
            f"{load_kw:g} short lo": one.lo_kw,
            f"{load_kw:g} short hi": one.hi_kw,
            f"{load_kw:g} needed lo": one.needed_lo,
            f"{load_kw:g} needed hi": one.needed_hi,
        }
    return found


def test_what_the_better_ranked_leave(towns):
    for one in towns:
        rows, order = served(one), np.random.default_rng(SEED).permutation(len(one.parcels))
        rows, parcels = rows.iloc[order], [one.parcels[number] for number in order]
        got = gap.headroom_left_kw(rows, one.plan.target_kw)
        best = [next(iter(oracle_supply.list_answers(parcel)), None) for parcel in parcels]
        shared = [
            {} if answer is None else oracle_supply.list_pools(parcel, answer)
            for parcel, answer in zip(parcels, best, strict=True)
        ]
        own = [math.nan if answer is None else answer.power.stated_kw for answer in best]
        wanted = oracle_supply.compute_headroom_left(shared, own, one.plan.target_kw)
        assert got.tolist() == pytest.approx(wanted, rel=1e-6, nan_ok=True)


def test_records_of_one_name_from_two_sources_are_two_pools(plan):
    lots = [shapely.box(0, 0, 20, 20), shapely.box(1000, 0, 1020, 20)]
    records = make_layer(
        [shapely.LineString([(x, -10), (x + 20, -10)]) for x in (0, 1000)],
        record_id="F1",
        source_id=["north", "south"],
        kind="load",
        grain="feeder",
        headroom_kw=[900.0, 500.0],
        committed_included=True,
    )
    town = make_town(lots)
    rows = serving.find_serving_records(town.sites, {"capacity": records}, {}, plan)
    left = gap.headroom_left_kw(rows, plan.target_kw)
    assert left.tolist() == [900.0, 500.0]


def test_the_nearest_record_is_asked_though_it_says_nothing(plan):
    # F1 runs 5 m away and says nothing; F2, 8 m away, says 900 kW that is not the site's.
    town = make_town([shapely.box(0, 0, 20, 20)])
    lines = [shapely.LineString([(0, -y), (20, -y)]) for y in (5, 8, 9)]
    records = make_layer(
        lines,
        record_id=["F1", "F2", "F1"],
        source_id="north",
        kind="load",
        grain="feeder",
        headroom_kw=[math.nan, 900.0, math.nan],
        committed_included=True,
    )
    for kw in (math.nan, 400.0):
        records.loc[2, "headroom_kw"] = kw
        one = Town(replace(town, layers={"capacity": records}, coverage={}), plan)
        assert different([one], served, oracle_supply.describe_service) == []
        said = oracle_supply.describe_service(one.parcels[0])
        # Of F1's two rows one says 400 kW: that is stated, and nothing bounds it.
        assert said.get("load_headroom_kw", math.nan) == pytest.approx(kw, nan_ok=True)
        if kw == 400.0:
            assert (said["headroom_rows"], said["headroom_silent_rows"]) == (1, 1)
            assert said["headroom_reads"] == "neither"


@pytest.mark.parametrize(
    ("third_kw", "stated_kw", "span_kw", "rows"),
    [
        # The median of 300, 700 and 800, between the least and the greatest.
        (800.0, 700.0, (300.0, 800.0), (3, 0)),
        # Of two, (300 + 700) / 2: the site's may be the third, which says nothing.
        (math.nan, 500.0, (-math.inf, math.inf), (2, 1)),
    ],
)
def test_the_feeders_of_a_substation(plan, third_kw, stated_kw, span_kw, rows):
    town = make_town([shapely.box(0, 0, 20, 20)])
    station = make_layer(
        [shapely.Point(10, -100)],
        substation_id="U1", name="Main Street", status="in_service", source_id="north",
    )  # fmt: skip
    records = make_layer(
        [shapely.Point(10, -100)] * 3,
        record_id=["F1", "F2", "F3"],
        source_id="north",
        kind="load",
        grain="feeder",
        substation_id="U1",
        headroom_kw=[300.0, 700.0, third_kw],
        committed_included=True,
    )
    layers = {"substations": station, "capacity": records}
    coverage = {"substations": everywhere()}
    one = Town(replace(town, layers=layers, coverage=coverage), plan)
    assert different([one], served, oracle_supply.describe_service) == []
    said = oracle_supply.describe_service(one.parcels[0])
    assert said["load_headroom_kw"] == stated_kw
    assert (said["headroom_lo_kw"], said["headroom_hi_kw"]) == span_kw
    assert (said["headroom_rows"], said["headroom_silent_rows"]) == rows


@pytest.mark.parametrize("status", ["in_service", "retired"])
def test_an_id_that_two_substations_share_names_neither(plan, status):
    # An area that says nothing has its substation's 700 kW, unless another of that id serves too.
    town = make_town([shapely.box(0, 0, 20, 20)])
    area = make_layer(
        [shapely.box(-50, -50, 50, 50)],
        record_id="A1", source_id="north", kind="load", grain="area", substation_id="U1",
    )  # fmt: skip
    stations = make_layer(
        [shapely.Point(50_000, 0), shapely.Point(90_000, 0)],
        substation_id="U1",
        name=["Main Street", "High Street"],
        status=["in_service", status],
        headroom_kw=[700.0, 500.0],
        committed_included=True,
        source_id=["north", "south"],
    )
    layers = {"capacity": area, "substations": stations}
    one = Town(replace(town, layers=layers, coverage={}), plan)
    assert different([one], served, oracle_supply.describe_service) == []
    said = oracle_supply.describe_service(one.parcels[0])
    assert said["grid_evidence"] == (EDGE if status == "in_service" else "service area")


SPANS_KW = (-math.inf, -500.0, 0.0, 850.0, 900.0, 1000.0, 1050.0, 1100.0, 3000.0, math.inf)


def test_whether_two_answers_agree():
    """Hold `gap.check` to the oracle at every two spans between some powers, target 1000 kW."""
    spans = [(lo, hi) for lo in SPANS_KW[:-1] for hi in SPANS_KW[1:] if lo <= hi]
    both = [(one, other) for one in spans for other in spans]
    best, second = (np.array([pair[place] for pair in both]) for place in (0, 1))
    facts = pd.DataFrame(
        {
            "headroom_lo_kw": best[:, 0],
            "headroom_hi_kw": best[:, 1],
            "second_lo_kw": second[:, 0],
            "second_hi_kw": second[:, 1],
            "second_evidence": "substation",
        }
    )
    got = gap.compare_records(facts, 1000.0)
    wanted = []
    for pair in both:
        given = [oracle_supply.HeadroomSpan(0.0, *one) for one in pair]
        wanted.append(oracle_supply.compare_spans(given, 1000.0))
    assert list(got) == wanted
    assert set(wanted) == {"cannot be compared", "contradict", "differ", "agree"}


def test_substations_of_one_name_are_two_pools(plan):
    lots = [shapely.box(0, 0, 20, 20), shapely.box(50_000, 0, 50_020, 20)]
    stations = make_layer(
        [shapely.Point(10, -100), shapely.Point(50_010, -100)],
        substation_id=["U1", "U2"],
        name="Main Street",
        status="in_service",
        headroom_kw=[900.0, 500.0],
        committed_included=True,
        source_id=["north", "south"],
    )
    town, everywhere_ = make_town(lots), {"substations": shapely.box(-1e5, -1e5, 1e5, 1e5)}
    rows = serving.find_serving_records(town.sites, {"substations": stations}, everywhere_, plan)
    left = gap.headroom_left_kw(rows, plan.target_kw)
    assert left.tolist() == [900.0, 500.0]


def generator_of(one):
    return catalogue.read_generators()[one.plan.generator]


@pytest.mark.parametrize("share", [None, 0.5])
def test_gas_by_mains(towns, share):
    fuel = catalogue.read_fuels()["natural_gas"]

    def answered(one):
        town = one.town
        return gas.supply_from_mains(
            town.sites, town.layers, town.coverage, fuel, generator_of(one), one.plan, share
        ).facts

    wrong = different(
        towns, answered, lambda parcel: told(oracle_supply.supply_from_mains(parcel, fuel, share))
    )
    assert wrong == []


def test_every_main_in_reach(towns):
    fuel, wrong = catalogue.read_fuels()["natural_gas"], []
    for number, one in enumerate(towns):
        if "mains" not in one.town.layers:
            continue
        each, town = oracle_supply.compute_plan_demand(fuel, one.plan), one.town
        got = gas.supply_from_mains(
            town.sites, town.layers, town.coverage, fuel, generator_of(one), one.plan
        )
        ids = town.layers["mains"]["main_id"]
        for site, parcel in enumerate(one.parcels):
            rows = got.reach[got.reach["site"] == site]
            rows = rows.assign(main_id=rows["main"].map(ids)).set_index("main_id")
            wanted = oracle_supply.list_mains(parcel, fuel)
            assert sorted(rows.index) == sorted(main.main_id for main in wanted)
            for main in wanted:
                lo, hi = (end(main.flows, default=math.nan) * each for end in (min, max))
                carried = rows.loc[main.main_id, ["capacity_lo", "capacity_hi"]].tolist()
                # The equations round their constants apart: 0.3 %.
                if carried != pytest.approx([lo, hi], rel=0.003, nan_ok=True):
                    wrong.append((number, site, main, carried))
    assert wrong == []


@pytest.mark.parametrize("running", [1, 3, 8, 25])
def test_the_main_that_serves(towns, running):
    fuel, wrong = catalogue.read_fuels()["natural_gas"], []
    for number, one in enumerate(towns):
        town, running_each = one.town, np.full(len(one.town.sites), running)
        found = gas.supply_from_mains(
            town.sites, town.layers, town.coverage, fuel, generator_of(one), one.plan
        )
        got = gas.name_serving_main(found, town.sites, town.layers, running_each).to_dict("records")
        for site, parcel in enumerate(one.parcels):
            near = oracle_supply.list_mains(parcel, fuel)
            wanted = oracle_supply.choose_main(near, running)
            close = [flow for main in near for flow in main.flows if is_about(flow, running)]
            if read_text(got[site], "main_id") != wanted and not close:
                wrong.append((number, site, got[site]["main_id"], wanted))
    assert wrong == []


def is_about(flow, running):
    return abs(flow - running) <= 0.003 * running


@pytest.mark.parametrize("name", ["biogas", "hydrogen"])
def test_gas_by_plants(towns, name):
    fuel = catalogue.read_fuels()[name]

    def answered(one):
        town = one.town
        return plants.supply_from_plants(
            town.sites, town.layers, town.coverage, fuel, generator_of(one), one.plan
        )

    wrong = different(
        towns, answered, lambda parcel: told(oracle_supply.supply_from_plants(parcel, fuel))
    )
    assert wrong == []


def told(supply):
    """Return what a row says of a fuel, but for numbers that a rounding could turn."""
    found = {"fuel_evidence": supply.evidence}
    if not supply.is_close:
        found |= {"fuel_n_lo": supply.n[0], "fuel_n_hi": supply.n[1]}
    return found


@pytest.mark.parametrize(
    ("used", "used_scfh", "n"),
    [
        # 75 000 less 40 000 scfh are left, of which a machine burns
        # 200 x 3412.142 / 0.33 / 325 = 6363: 5.5 machines.
        ("no", 40_000.0, (5, 5)),
        ("partly", 40_000.0, (5, 5)),
        ("unknown", 40_000.0, (5, 5)),
        (None, 40_000.0, (5, 5)),
        # 75 000 / 6363 = 11.8: all of it, or nobody says how much.
        ("no", math.nan, (11, 11)),
        ("partly", math.nan, (0, 11)),
        (None, math.nan, (0, 11)),
        ("yes", 40_000.0, (0, 0)),
        ("yes", math.nan, (0, 0)),
    ],
)
def test_gas_that_is_told_to_be_used_is_not_to_be_had(plan, used, used_scfh, n):
    lot = shapely.box(0, 0, 20, 20)
    works = make_layer(
        [shapely.Point(10, 10)],
        plant_id="P1",
        name="Works",
        fuel="hydrogen",
        plant_kind="hydrogen plant",
        status="operating",
        flow_scfh=75_000.0,
        used=[used],
        used_scfh=used_scfh,
    )
    town, fuel = make_town([lot]), catalogue.read_fuels()["hydrogen"]
    generator = catalogue.read_generators()[plan.generator]
    got = plants.supply_from_plants(
        town.sites, {"fuel_plants": works}, {}, fuel, generator, plan
    ).iloc[0]
    assert (got["fuel_n_lo"], got["fuel_n_hi"]) == n
    one = Parcel(town.sites.iloc[0], replace(town, layers={"fuel_plants": works}), plan)
    assert oracle_supply.supply_from_plants(one, fuel).n == n


# ---------------------------------------------------------------------------------------------
# The oracle by hand


def test_the_flow_equations_are_the_published_ones():
    # A mile of main at gravity 0.6, inside diameters 1.94 to 7.57 in: 60 to 20 psig, 30 to 20.
    for inside_in, high, medium in (
        (1.94, 12_900, 5_500),
        (3.85, 80_200, 34_100),
        (5.71, 229_300, 97_700),
        (7.57, 486_400, 207_200),
    ):
        given = [oracle_supply.weymouth_scfh(inside_in, psig, 20, 1, 0.6) for psig in (60, 30)]
        assert given == pytest.approx([high, medium], rel=0.005)
    # The low-pressure case in the tests of fluids: 0.154051 m, 6720.32 Pa over 54.864 m (180 ft),
    # gravity 0.6: 0.9488775 m3/s at 15 C.
    scfh = oracle_supply.spitzglass_scfh(0.154051 / 0.0254, 6720.32 / 249.089, 180, 0.6)
    assert scfh * 0.3048**3 / 3600 == pytest.approx(0.9488775, rel=0.002)


@pytest.mark.parametrize(
    ("row", "kw", "most_kw"),
    [
        # Published in kW, MVA x 0.95, share x firm x 0.95; before any of them, what goes before.
        ({"headroom_kw": 700, "headroom_mva": 9}, 700, 700),
        ({"headroom_mva": 2, "firm_capacity_mva": 90, "peak_load_mva": 1}, 1900, 1900),
        ({"headroom_share": 0.1, "firm_capacity_mva": 10}, 950, 950),
        # Firm less peak: 10 - 6; sqrt 3 x 10 kV x (300 - 100) A = 3464 kVA at 0.9.
        ({"firm_capacity_mva": 10, "peak_load_mva": 6}, 3800, 3800),
        ({"rating_a": 300, "peak_a": 100, "voltage_kv": 10, "power_factor": 0.9}, 3117.69, 3117.69),
        # Banks of 30 MVA with the largest out, times 1.1, at best 1.3: (30 - 12) 1.1 - 10, and
        # 18 x 1.3 - 10 = 13.4; 2/3 of 30: 20 x 1.3 - 10 = 16; none left.
        ({"nameplate_mva": 30, "largest_bank_mva": 12, "peak_load_mva": 10}, 9310, 12730),
        ({"nameplate_mva": 30, "bank_count": 3, "peak_load_mva": 10}, 11400, 15200),
        ({"nameplate_mva": 30, "bank_count": 1, "peak_load_mva": 10}, -9500, -9500),
        # A share that was published is of that firm capacity, whatever the banks may carry.
        ({"headroom_share": 0.1, "nameplate_mva": 30, "bank_count": 3}, 2090, 2090),
    ],
)
def test_the_headroom_of_a_record(plan, row, kw, most_kw):
    factors = {"power_factor": 0.95, "cyclic_factor": 1.1, "cyclic_factor_most": 1.3}
    rules = plan.grid.model_copy(update=factors)
    found = oracle_supply.compute_headroom({**row, "committed_included": True}, rules)
    assert (found.stated_kw, found.lo_kw, found.hi_kw) == pytest.approx((kw, kw, most_kw))
    # 1 MVA is promised; or nobody knows how much is.
    less = oracle_supply.compute_headroom({**row, "committed_load_mva": 1}, rules)
    assert less.stated_kw == pytest.approx(kw - 1000 * row.get("power_factor", 0.95))
    unknown = oracle_supply.compute_headroom(row, rules)
    assert (unknown.lo_kw, unknown.hi_kw) == pytest.approx((-math.inf, most_kw))


@pytest.mark.parametrize(
    ("told", "psig", "classes"),
    [
        # 0.25, 30 and 60 psig less 2 %: 0.245, 29.4 and 58.8; and 2 % more: 0.255, 30.6, 61.2.
        (None, 0.1, ("low", "low")),
        (None, 0.254, ("low", "low")),
        (None, 0.256, ("low", "medium")),
        (None, 29.3, ("low", "medium")),
        (None, 29.5, ("medium", "medium")),
        (None, 30.5, ("medium", "medium")),
        (None, 30.7, ("medium", "high")),
        (None, 58.9, ("high", "high")),
        (None, 99.0, ("high", "high")),
        ("high", 29.3, ("low", "high")),
        ("high", 45.0, ("medium", "high")),
        ("medium", 99.0, ("medium", "medium")),
        ("low", None, ("low", "low")),
        (None, None, None),
    ],
)
def test_the_pressure_class_of_a_main(told, psig, classes):
    kpa = None if psig is None else psig * 6.894757
    row = {"pressure_class": told, "pressure_kpa": kpa}
    assert oracle_supply.pressure_class_range(row) == classes
