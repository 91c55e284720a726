"""Check grid and fuel against the slow oracles, site by site: made-up towns and the demo.

One long file, so that the towns are made once for all checks.
"""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import shapely

from geo import catalogue
from geo.criteria.fuel import gas, pipes, plants
from geo.criteria.fuel.mains import describe_nearest_main
from geo.criteria.fuel.shared_mains import gas_left_of_mains
from geo.criteria.grid import gap, headroom, serving
from geo.equipment.generator import derated_power_kw
from geo.model import FuelEvidence, GridEvidence, HeadroomCheck
from geo.shapes import raster
from tests.geo import oracle_fuel, oracle_gap, oracle_grid, oracle_pipes
from tests.geo.around import Parcel, are_equal, read_text
from tests.geo.conftest import CRS, make_layer, make_town
from tests.geo.oracle_grid import EDGE
from tests.geo.oracle_towns import demo_town
from tests.geo.random_towns import (
    ScreenedTown,
    choose_many,
    draw_numbers,
    make_capacity_values,
    make_pressures_kpa,
    make_random_town,
    whole_area,
)

SEED = 20260606
TOWNS = 20
# The approximate number of parcels of the demo town, and how many of its sites are checked.
DEMO_PARCELS, DEMO_SITES = 1200, 100


@pytest.fixture(scope="module")
def made_up(plan):
    return [
        make_random_town(np.random.default_rng([SEED, number]), plan) for number in range(TOWNS)
    ]


@pytest.fixture(scope="module")
def demo(tmp_path_factory, market, plan):
    """Return some sites of a small demo town."""
    town = demo_town(tmp_path_factory.mktemp("demo"), market, plan, DEMO_PARCELS)
    rng = np.random.default_rng(SEED)
    chosen = np.sort(rng.choice(len(town.sites), DEMO_SITES, replace=False))
    return [ScreenedTown(replace(town, sites=town.sites.iloc[chosen].reset_index(drop=True)), plan)]


@pytest.fixture(scope="module", params=["made_up", "demo"])
def towns(request):
    return request.getfixturevalue(request.param)


def list_differences(actual, expected, *where):
    return [
        (*where, name, actual[name], value)
        for name, value in expected.items()
        if not are_equal(name, actual[name], value)
    ]


def list_wrong_rows(towns, screen, ask_oracle):
    """List where the program's rows of a town differ from the oracle's answer for each site.

    Args:
        towns: The towns.
        screen: Returns the program's rows of a town.
        ask_oracle: Returns the oracle's facts of a parcel.

    Returns:
        The differences.
    """
    wrong = []
    for number, town in enumerate(towns):
        rows = screen(town).to_dict("records")
        for site, (row, parcel) in enumerate(zip(rows, town.parcels, strict=True)):
            wrong += list_differences(row, ask_oracle(parcel), number, site)
    return wrong


def find_service(town):
    given = town.screening
    return serving.find_serving_records(
        given.sites, given.layers, given.coverage, town.plan, given.night
    )


def test_the_made_up_towns_have_every_kind_of_evidence(made_up):
    parcels = [parcel for town in made_up for parcel in town.parcels]
    assert len(parcels) == 240
    fuels = catalogue.read_fuels()
    natural_gas, biogas = fuels["natural_gas"], fuels["biogas"]
    grid = {oracle_gap.describe_service(parcel)["grid_evidence"] for parcel in parcels}
    by_mains = {oracle_fuel.supply_from_mains(parcel, natural_gas).evidence for parcel in parcels}
    by_plants = {oracle_fuel.supply_from_plants(parcel, biogas).evidence for parcel in parcels}
    assert grid == {*serving.SERVING_EVIDENCE, "unpublished", "none", EDGE, "no layer"}
    assert grid == set(get_args(GridEvidence))
    assert by_mains | by_plants < set(get_args(FuelEvidence))
    checks = {oracle_gap.compare_answers(parcel, parcel.plan.target_kw) for parcel in parcels}
    assert checks == {
        "agree", "differ", "contradict", "cannot be compared", "no second answer",
    }  # fmt: skip
    assert checks == set(get_args(HeadroomCheck))
    answers = [answer for parcel in parcels for answer in oracle_grid.list_answers(parcel)]
    assert {"feeder", "service area"} <= {answer.evidence for answer in answers if answer.silent}
    assert by_mains == {
        "main", "main of unknown size", "sign of a main", "territory and transmission line",
        "territory", "no territory", "no main", EDGE, "no layer",
    }  # fmt: skip
    assert by_plants == {
        "plant on the site", "plant by pipe", "plant too far", "plant, place by county only",
        "no plant", EDGE, "no layer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("compute", "ask_oracle"),
    [
        (headroom.compute_headroom, oracle_grid.compute_headroom),
        (headroom.compute_hosting, oracle_grid.compute_hosting),
    ],
)
def test_the_headroom_of_every_record(plan, compute, ask_oracle):
    rng = np.random.default_rng(SEED)
    rows = pd.DataFrame(
        make_capacity_values(rng, 2000)
        | {
            "rating_a": draw_numbers(rng, 100, 600, 2000, 0.3),
            "peak_a": draw_numbers(rng, 50, 500, 2000, 0.5),
        }
    )
    rules = plan.grid.model_copy(update={"cyclic_factor": 1.1, "cyclic_factor_most": 1.25})
    wrong, known = [], 0
    for number, (actual, row) in enumerate(
        zip(compute(rows, rules).to_dict("records"), rows.to_dict("records"), strict=True)
    ):
        expected = ask_oracle(row, rules) or oracle_grid.UNKNOWN_HEADROOM
        known += expected is not oracle_grid.UNKNOWN_HEADROOM
        ends = {"lo_kw": expected.lo_kw, "hi_kw": expected.hi_kw}
        wrong += list_differences(actual, {"stated_kw": expected.stated_kw} | ends, number)
    assert wrong == []
    assert 500 < known < 1500


def test_the_pressure_class_of_every_main():
    rng = np.random.default_rng(SEED)
    named = np.array(choose_many(rng, ("low", "medium", "high", None), 2000), dtype=object)
    kpa, wrong = make_pressures_kpa(rng, 2000), []
    lowest, highest = pipes.pressure_class_range(named, kpa)
    for place, (name, gauge_kpa) in enumerate(zip(named, kpa, strict=True)):
        row = {"pressure_class": name, "pressure_kpa": gauge_kpa}
        expected = oracle_pipes.pressure_class_range(row) or (None, None)
        if (lowest[place], highest[place]) != expected:
            wrong.append((row, lowest[place], highest[place], expected))
    assert wrong == []


def test_the_records_that_serve_a_site(towns):
    assert list_wrong_rows(towns, find_service, oracle_gap.describe_service) == []


def test_the_gap_of_every_load(towns):
    def screen(town):
        rows, plan = find_service(town), town.plan
        points = shapely.point_on_surface(np.asarray(town.screening.sites.geometry.array))
        elevation = raster.sample_raster(town.screening.rasters["elevation"], points, CRS)
        altitude_m = np.where(np.isnan(elevation), plan.altitude_m, elevation)
        rows["machine_kw"] = derated_power_kw(plan_generator(town), altitude_m, plan.summer_c)
        for load_kw in plan.every_load_kw:
            rows[f"{load_kw:g} check"] = gap.compare_records(rows, load_kw)
            ends = gap.shortfall_range_kw(rows["headroom_lo_kw"], rows["headroom_hi_kw"], load_kw)
            rows[f"{load_kw:g} class"] = gap.classify_gap(*ends)
            for name, short_kw in zip(("lo", "hi"), ends, strict=True):
                rows[f"{load_kw:g} short {name}"] = short_kw
                needed = gap.count_needed(short_kw, rows["machine_kw"], plan.spares)
                rows[f"{load_kw:g} needed {name}"] = needed
        return rows

    assert list_wrong_rows(towns, screen, describe_gaps) == []


def describe_gaps(parcel):
    """Return the gap of each load, keyed by the test's own names."""
    facts = {"machine_kw": oracle_gap.compute_machine_kw(parcel)}
    span = oracle_gap.best_headroom(parcel)
    for load_kw in parcel.plan.every_load_kw:
        load_gap = oracle_gap.compute_gap(span, load_kw, facts["machine_kw"], parcel.plan.spares)
        facts |= {
            f"{load_kw:g} check": oracle_gap.compare_answers(parcel, load_kw),
            f"{load_kw:g} class": load_gap.gap_class,
            f"{load_kw:g} short lo": load_gap.lo_kw,
            f"{load_kw:g} short hi": load_gap.hi_kw,
            f"{load_kw:g} needed lo": load_gap.needed_lo,
            f"{load_kw:g} needed hi": load_gap.needed_hi,
        }
    return facts


def test_what_is_left_after_higher_ranked_sites(towns):
    for town in towns:
        rows, parcels = find_service(town), town.parcels
        order = np.random.default_rng(SEED).permutation(len(parcels))
        rows, parcels = rows.iloc[order], [parcels[number] for number in order]
        actual = gap.headroom_left_kw(rows, town.plan.target_kw)
        best = [next(iter(oracle_grid.list_answers(parcel)), None) for parcel in parcels]
        pools = [
            {} if answer is None else oracle_gap.list_pools(parcel, answer)
            for parcel, answer in zip(parcels, best, strict=True)
        ]
        own = [math.nan if answer is None else answer.headroom.stated_kw for answer in best]
        expected = oracle_gap.compute_headroom_left(pools, own, town.plan.target_kw)
        assert actual.tolist() == pytest.approx(expected, rel=1e-6, nan_ok=True)


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


def test_the_nearest_record_answers_even_without_a_value(plan):
    # F1 is 5 m away and has no value. F2 is 8 m away and has 900 kW, which are not the site's.
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
        records = records.assign(headroom_kw=[math.nan, 900.0, kw])
        case = ScreenedTown(replace(town, layers={"capacity": records}, coverage={}), plan)
        assert list_wrong_rows([case], find_service, oracle_gap.describe_service) == []
        facts = oracle_gap.describe_service(case.parcels[0])
        # One of F1's two rows has 400 kW: that value is stated, and nothing bounds the headroom.
        assert facts.get("load_headroom_kw", math.nan) == pytest.approx(kw, nan_ok=True)
        if kw == 400.0:
            assert (facts["headroom_rows"], facts["headroom_silent_rows"]) == (1, 1)
            assert facts["headroom_reads"] == "neither"


@pytest.mark.parametrize(
    ("third_kw", "stated_kw", "span_kw", "rows"),
    [
        # The stated value is the median of 300, 700 and 800; the lowest and the highest bound it.
        (800.0, 700.0, (300.0, 800.0), (3, 0)),
        # The median of two values is (300 + 700) / 2. The third feeder, which has no value, may be
        # the site's, so nothing bounds the headroom.
        (math.nan, 500.0, (-math.inf, math.inf), (2, 1)),
    ],
)
def test_the_feeders_of_a_substation(plan, third_kw, stated_kw, span_kw, rows):
    town = make_town([shapely.box(0, 0, 20, 20)])
    substation = make_layer(
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
    layers = {"substations": substation, "capacity": records}
    coverage = {"substations": whole_area()}
    case = ScreenedTown(replace(town, layers=layers, coverage=coverage), plan)
    assert list_wrong_rows([case], find_service, oracle_gap.describe_service) == []
    facts = oracle_gap.describe_service(case.parcels[0])
    assert facts["load_headroom_kw"] == stated_kw
    assert (facts["headroom_lo_kw"], facts["headroom_hi_kw"]) == span_kw
    assert (facts["headroom_rows"], facts["headroom_silent_rows"]) == rows


@pytest.mark.parametrize("status", ["in_service", "retired"])
def test_an_id_that_two_substations_share_identifies_neither(plan, status):
    # An area without a value has its substation's 700 kW, unless another one of that id serves too.
    town = make_town([shapely.box(0, 0, 20, 20)])
    area = make_layer(
        [shapely.box(-50, -50, 50, 50)],
        record_id="A1", source_id="north", kind="load", grain="area", substation_id="U1",
    )  # fmt: skip
    substations = make_layer(
        [shapely.Point(50_000, 0), shapely.Point(90_000, 0)],
        substation_id="U1",
        name=["Main Street", "High Street"],
        status=["in_service", status],
        headroom_kw=[700.0, 500.0],
        committed_included=True,
        source_id=["north", "south"],
    )
    layers = {"capacity": area, "substations": substations}
    case = ScreenedTown(replace(town, layers=layers, coverage={}), plan)
    assert list_wrong_rows([case], find_service, oracle_gap.describe_service) == []
    facts = oracle_gap.describe_service(case.parcels[0])
    assert facts["grid_evidence"] == (EDGE if status == "in_service" else "service area")


SPANS_KW = (-math.inf, -500.0, 0.0, 850.0, 900.0, 1000.0, 1050.0, 1100.0, 3000.0, math.inf)


def test_whether_two_answers_agree():
    """Compare every pair of ranges that end at these powers, for a target of 1000 kW."""
    spans = [(lo, hi) for lo in SPANS_KW[:-1] for hi in SPANS_KW[1:] if lo <= hi]
    pairs = [(first, second) for first in spans for second in spans]
    best, second = (np.array([pair[place] for pair in pairs]) for place in (0, 1))
    facts = pd.DataFrame(
        {
            "headroom_lo_kw": best[:, 0],
            "headroom_hi_kw": best[:, 1],
            "second_lo_kw": second[:, 0],
            "second_hi_kw": second[:, 1],
            "second_evidence": "substation",
        }
    )
    actual = gap.compare_records(facts, 1000.0)
    expected = [
        oracle_gap.compare_spans([oracle_grid.HeadroomSpan(0.0, *span) for span in pair], 1000.0)
        for pair in pairs
    ]
    assert list(actual) == expected
    assert set(expected) == {"cannot be compared", "contradict", "differ", "agree"}


def test_substations_of_one_name_are_two_pools(plan):
    lots = [shapely.box(0, 0, 20, 20), shapely.box(50_000, 0, 50_020, 20)]
    substations = make_layer(
        [shapely.Point(10, -100), shapely.Point(50_010, -100)],
        substation_id=["U1", "U2"],
        name="Main Street",
        status="in_service",
        headroom_kw=[900.0, 500.0],
        committed_included=True,
        source_id=["north", "south"],
    )
    town, coverage = make_town(lots), {"substations": shapely.box(-1e5, -1e5, 1e5, 1e5)}
    rows = serving.find_serving_records(town.sites, {"substations": substations}, coverage, plan)
    left = gap.headroom_left_kw(rows, plan.target_kw)
    assert left.tolist() == [900.0, 500.0]


def plan_generator(town):
    return catalogue.read_generators()[town.plan.generator]


def supply_town_from_mains(town, fuel, share=None):
    screening = town.screening
    return gas.supply_from_mains(
        screening.sites, screening.layers, screening.coverage, fuel, plan_generator(town),
        town.plan, share,
    )  # fmt: skip


@pytest.mark.parametrize("share", [None, 0.5])
def test_the_supply_from_mains(towns, share):
    fuel = catalogue.read_fuels()["natural_gas"]
    wrong = list_wrong_rows(
        towns,
        lambda town: supply_town_from_mains(town, fuel, share).facts,
        lambda parcel: describe_supply(oracle_fuel.supply_from_mains(parcel, fuel, share)),
    )
    assert wrong == []


def test_every_main_in_reach(towns):
    fuel, wrong = catalogue.read_fuels()["natural_gas"], []
    for number, town in enumerate(towns):
        if "mains" not in town.screening.layers:
            continue
        demand = oracle_fuel.compute_plan_demand(fuel, town.plan)
        reach = supply_town_from_mains(town, fuel).reach
        ids = town.screening.layers["mains"]["main_id"]
        for site, parcel in enumerate(town.parcels):
            rows = reach[reach["site"] == site]
            rows = rows.assign(main_id=rows["main"].map(ids)).set_index("main_id")
            mains = oracle_fuel.list_mains(parcel, fuel)
            assert sorted(rows.index) == sorted(main.main_id for main in mains)
            for main in mains:
                lo, hi = (end(main.flows, default=math.nan) * demand for end in (min, max))
                capacity = rows.loc[main.main_id, ["capacity_lo", "capacity_hi"]].tolist()
                # The constants of the two forms of an equation differ by up to 0.3 %.
                if capacity != pytest.approx([lo, hi], rel=0.003, nan_ok=True):
                    wrong.append((number, site, main, capacity))
    assert wrong == []


def test_the_nearest_main(towns):
    wrong, named = [], 0
    for number, town in enumerate(towns):
        mains = town.screening.layers.get("mains")
        rows = describe_nearest_main(town.screening.sites, mains, town.plan).to_dict("records")
        for site, parcel in enumerate(town.parcels):
            expected = oracle_fuel.find_nearest_main(parcel)
            named += expected["nearest_main_id"] is not None
            wrong += list_differences(rows[site], expected, number, site)
    assert wrong == []
    assert named > 20


def test_the_gas_left_of_a_main():
    facts = pd.DataFrame(
        {
            "main_id": ["A", "B", "A", None, "A", "A"],
            "main_source": ["x", "x", "x", "x", "y", "x"],
            "fuel_capacity": [9000.0, math.nan, 9000.0, 5000.0, 9000.0, 9000.0],
            "fuel_demand": 2000.0,
            "n_lo": [3, 2, 9, 1, 4, 0],
            "needed_hi": [2, 2, 6, 1, 0, 6],
        }
    )
    # With one spare the first takes 1 x 2000, the third 5 x 2000.
    rows = gas_left_of_mains(facts, spares=1)
    assert rows["main_left"].tolist() == pytest.approx(
        [9000, math.nan, 7000, math.nan, 9000, 0], nan_ok=True
    )
    assert rows["main_left_n"].tolist() == pytest.approx(
        [4, math.nan, 3, math.nan, 4, 0], nan_ok=True
    )
    assert rows["main_sites"].tolist() == pytest.approx([3, 1, 3, math.nan, 1, 3], nan_ok=True)


@pytest.mark.parametrize("running", [1, 3, 8, 25])
def test_the_main_that_serves(towns, running):
    fuel, wrong = catalogue.read_fuels()["natural_gas"], []
    for number, town in enumerate(towns):
        sites, layers = town.screening.sites, town.screening.layers
        piped = supply_town_from_mains(town, fuel)
        facts = gas.name_serving_main(piped, sites, layers, np.full(len(sites), running))
        rows = facts.to_dict("records")
        for site, parcel in enumerate(town.parcels):
            mains = oracle_fuel.list_mains(parcel, fuel)
            expected = oracle_fuel.choose_main(mains, running)
            close = [flow for main in mains for flow in main.flows if is_close(flow, running)]
            if read_text(rows[site], "main_id") != expected and not close:
                wrong.append((number, site, rows[site]["main_id"], expected))
    assert wrong == []


def is_close(flow, running):
    return abs(flow - running) <= 0.003 * running


@pytest.mark.parametrize("name", ["biogas", "hydrogen"])
def test_the_supply_from_plants(towns, name):
    fuel = catalogue.read_fuels()[name]

    def screen(town):
        screening = town.screening
        return plants.supply_from_plants(
            screening.sites, screening.layers, screening.coverage, fuel, plan_generator(town),
            town.plan,
        )  # fmt: skip

    wrong = list_wrong_rows(
        towns, screen, lambda parcel: describe_supply(oracle_fuel.supply_from_plants(parcel, fuel))
    )
    assert wrong == []


def describe_supply(supply):
    """Return the facts of a fuel, without counts that rounding could change."""
    facts = {"fuel_evidence": supply.evidence}
    if not supply.is_close:
        facts |= {"fuel_n_lo": supply.n[0], "fuel_n_hi": supply.n[1]}
    return facts


@pytest.mark.parametrize(
    ("used", "used_scfh", "n"),
    [
        # 75 000 - 40 000 scfh are left, and one generator burns
        # 200 x 3412.142 / 0.33 / 325 = 6363: 5.5 generators.
        ("no", 40_000.0, (5, 5)),
        ("partly", 40_000.0, (5, 5)),
        ("unknown", 40_000.0, (5, 5)),
        (None, 40_000.0, (5, 5)),
        # 75 000 / 6363 = 11.8 generators with all of the gas; an unknown part may be used.
        ("no", math.nan, (11, 11)),
        ("partly", math.nan, (0, 11)),
        (None, math.nan, (0, 11)),
        ("yes", 40_000.0, (0, 0)),
        ("yes", math.nan, (0, 0)),
    ],
)
def test_gas_that_is_already_used_is_not_available(plan, used, used_scfh, n):
    lot = shapely.box(0, 0, 20, 20)
    plant = make_layer(
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
    row = plants.supply_from_plants(
        town.sites, {"fuel_plants": plant}, {}, fuel, generator, plan
    ).iloc[0]
    assert (row["fuel_n_lo"], row["fuel_n_hi"]) == n
    parcel = Parcel(town.sites.iloc[0], replace(town, layers={"fuel_plants": plant}), plan)
    assert oracle_fuel.supply_from_plants(parcel, fuel).n == n
