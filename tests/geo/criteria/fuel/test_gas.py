import math

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo import catalogue
from geo.criteria.fuel import gas, pipes
from geo.criteria.fuel.mains import count_unusable_mains
from geo.criteria.fuel.supply import SUPPLY_COLUMNS
from geo.equipment.generator import fuel_demand
from geo.errors import ConfigError
from geo.model import Assume, AssumedMain

GAS, GX230 = catalogue.read_fuels()["natural_gas"], catalogue.read_generators()["gx230"]
DEMAND = 200 * 3412.142 / 0.33 / 1030
EVERYWHERE = shapely.box(-9000, -9000, 9000, 9000)
LAYERS = ("mains", "gas_signs", "gas_territories", "gas_transmission")
AREA = dict.fromkeys(LAYERS, EVERYWHERE)
LOT = shapely.box(0, 0, 40, 40)
CLASS_ENDS = ("medium", "high")
FOUR_INCH = AssumedMain(diameter_in=4, pressure_class="high")
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make_street(distance_m):
    """Return a street this far south of the lot."""
    return shapely.LineString([(-100, -distance_m), (100, -distance_m)])


def supply_sites(sites, plan, shapes=(LOT,), coverage=AREA, generator=GX230, share=None, **layers):
    return gas.supply_from_mains(sites(list(shapes)), layers, coverage, GAS, generator, plan, share)


def supply_row(sites, plan, **kwargs):
    return supply_sites(sites, plan, **kwargs).facts.iloc[0]


def assume_in_plan(plan, **assumed):
    return plan.model_copy(update={"assume": Assume(**assumed)})


def read_counts(row):
    return [int(row["fuel_n_lo"]), int(row["fuel_n_hi"])]


@pytest.mark.parametrize(
    ("inches", "pressure", "outside_in"),
    [(4, "high", 4.5), (4, "low", 4.5), (2, "high", 2.375), (8, "medium", 8.625)],
)
def test_a_main_runs_what_its_free_share_supplies(sites, mains, plan, inches, pressure, outside_in):
    row = supply_row(sites, plan, mains=mains([(make_street(20), inches, pressure)]))
    # Each of the two polyethylene walls is 1/11 of the outside diameter. 1/4 of the flow is free.
    flow = pipes.pipe_flow_scfh(
        np.array([outside_in * 9 / 11]), np.array([pressure]), 1609.344, 0.6
    )
    assert row["fuel_capacity"] == pytest.approx(flow[0] * 0.25, rel=0.003)
    assert read_counts(row) == [min(flow[0] * 0.25 // DEMAND, plan.cap)] * 2
    assert (row["fuel_evidence"], row["main_distance_m"]) == ("main", 20)


def test_the_example_main(sites, mains, plan):
    steel = mains([(make_street(20), 4, "high")], material="coated steel")
    row = supply_row(sites, plan, mains=steel)
    # 4.026 in, 60 to 20 psig over a mile: 90 332 scfh; a quarter divided by 2007.7 is 11.2.
    assert row["fuel_capacity"] == pytest.approx(90_332 / 4, rel=1e-4)
    assert read_counts(row) == [11, 11]
    # The same main in plastic, 3.682 in: 71 177 / 4 / 2007.7 = 8.9.
    assert read_counts(supply_row(sites, plan, mains=mains([(make_street(20), 4, "high")]))) == [
        8,
        8,
    ]


def test_a_main_of_unknown_material_leaves_a_range(sites, mains, plan):
    row = supply_row(sites, plan, mains=mains([(make_street(20), 4, "high")], material=None))
    assert read_counts(row) == [8, 11]
    assert (row["fuel_evidence"], row["main_material"]) == ("main", None)
    # The capacity is the flow that is certainly free.
    assert row["fuel_capacity"] == pytest.approx(71_177 / 4, rel=1e-4)


@pytest.mark.parametrize(("inches", "pressure"), [(np.nan, "high"), (6, None), (np.nan, None)])
def test_a_main_of_unknown_size_or_class_leaves_a_range_and_not_zero(
    sites, mains, plan, inches, pressure
):
    row = supply_row(sites, plan, mains=mains([(make_street(20), inches, pressure)]))
    assert read_counts(row) == [0, plan.cap]
    assert np.isnan(row["fuel_capacity"])
    assert row["fuel_evidence"] == "main of unknown size"


@pytest.mark.parametrize(("kpa", "named"), [(414.0, "high"), (206.8, "medium"), (1.7, "low")])
def test_a_published_pressure_gives_the_class(sites, mains, plan, kpa, named):
    by_pressure = mains([(make_street(20), 8, None)], pressure_kpa=kpa)
    by_name = mains([(make_street(20), 8, named)])
    row = supply_row(sites, plan, mains=by_pressure)
    assert (row["main_pressure_class"], row["fuel_evidence"]) == (named, "main")
    assert row["main_pressure_kpa"] == kpa
    other = supply_row(sites, plan, mains=by_name).drop("main_pressure_kpa")
    pd.testing.assert_series_equal(row.drop("main_pressure_kpa"), other)


def test_a_pressure_between_two_classes_leaves_a_range(sites, mains, plan):
    row = supply_row(sites, plan, mains=mains([(make_street(20), 8, None)], pressure_kpa=300.0))
    ends = [
        supply_row(sites, plan, mains=mains([(make_street(20), 8, named)])) for named in CLASS_ENDS
    ]
    assert read_counts(row) == [read_counts(ends[0])[0], read_counts(ends[1])[1]]
    assert row["main_pressure_class"] == "medium"
    # A pressure of 1.7 kPa contradicts the high-pressure class.
    wrong = supply_row(sites, plan, mains=mains([(make_street(20), 8, "high")], pressure_kpa=1.7))
    low = supply_row(sites, plan, mains=mains([(make_street(20), 8, "low")]))
    assert read_counts(wrong) == [read_counts(low)[0], read_counts(ends[1])[1]]
    assert count_unusable_mains(
        {"mains": mains([(make_street(20), 8, "high")], pressure_kpa=1.7)}
    ) == {"mains with less pressure than their class needs": 1}


def test_the_best_main_in_reach_counts_and_not_the_nearest(sites, mains, plan):
    rows = [
        (make_street(10), 2, "low"),
        (make_street(60), 8, "high"),
        (make_street(110), 12, "high"),
    ]
    row = supply_row(sites, plan, mains=mains(rows))
    # The 12 in main carries more, but the 8 in main already runs the plan's cap.
    assert read_counts(row) == [25, 25]
    assert (row["main_id"], row["main_distance_m"]) == ("M1", 60)


def test_a_main_beyond_reach_does_not_count(sites, mains, plan):
    row = supply_row(sites, plan, mains=mains([(make_street(120.01), 8, "high")]))
    assert (row["fuel_evidence"], *read_counts(row)) == ("no main", 0, 0)
    assert read_counts(supply_row(sites, plan, mains=mains([(make_street(120), 8, "high")]))) == [
        25,
        25,
    ]


def test_the_nearest_main_that_can_run_the_generators_serves(sites, mains, plan):
    rows = [(make_street(10), 2, "high"), (make_street(60), 8, "high")]
    layers = {"mains": mains(rows)}
    piped = supply_sites(sites, plan, **layers)
    here = sites([LOT])
    # 2 in: 12 931 / 4 / 2007.7 = 1.6.
    for machines, main, distance_m in ((1, "M0", 10), (2, "M1", 60), (25, "M1", 60)):
        row = gas.name_serving_main(piped, here, layers, np.array([machines])).iloc[0]
        assert (row["main_id"], row["main_distance_m"]) == (main, distance_m)
    # The counts do not depend on the serving main. A site that runs none keeps its best main.
    assert read_counts(row) == [25, 25]
    pd.testing.assert_frame_equal(
        gas.name_serving_main(piped, here, layers, np.array([0])), piped.facts
    )


def test_if_no_main_certainly_suffices_the_nearest_that_may_serves(sites, mains, plan):
    rows = [
        (make_street(5), 2, "low"),
        (make_street(20), np.nan, "high"),
        (make_street(60), 4, "high"),
    ]
    layers = {"mains": mains(rows)}
    piped, here = supply_sites(sites, plan, **layers), sites([LOT])
    assert read_counts(piped.facts.iloc[0]) == [8, 25]
    assert piped.facts["fuel_evidence"].tolist() == ["main"]
    for machines, main in ((8, "M2"), (9, "M1")):
        row = gas.name_serving_main(piped, here, layers, np.array([machines])).iloc[0]
        assert row["main_id"] == main
    assert np.isnan(row["fuel_capacity"])


def test_if_no_main_can_suffice_the_largest_serves(sites, mains, plan):
    rows = [(make_street(5), 2, "low"), (make_street(20), 4, "high"), (make_street(60), 3, "high")]
    layers = {"mains": mains(rows)}
    piped = supply_sites(sites, plan, **layers)
    assert read_counts(piped.facts.iloc[0]) == [8, 8]
    row = gas.name_serving_main(piped, sites([LOT]), layers, np.array([9])).iloc[0]
    assert row["main_id"] == "M1"


def test_a_larger_share_runs_more_generators(sites, mains, plan):
    table = mains([(make_street(20), 4, "high")])
    assert read_counts(supply_row(sites, plan, mains=table, share=0.5)) == [17, 17]
    assert read_counts(supply_row(sites, plan, mains=table, share=0.0)) == [0, 0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_among_equally_near_mains_the_larger_serves(sites, mains, plan, order):
    node = (20, -7)
    rows = [
        (shapely.LineString([(-80, -30), node]), 8.0, "high"),
        (shapely.LineString([node, (120, -30)]), 12.0, "high"),
    ]
    row = supply_row(sites, plan, mains=mains([rows[i] for i in order]))
    assert (row["main_diameter_in"], row["fuel_n_lo"]) == (12.0, 25)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_among_equal_mains_the_lower_id_serves(sites, mains, plan, order):
    table = mains([(make_street(20), 4, "high")] * 2).assign(source_id=["one", "two"])
    row = supply_row(sites, plan, mains=table.iloc[list(order)].reset_index(drop=True))
    assert (row["main_id"], row["main_source"]) == ("M0", "one")


def test_the_source_of_a_main_is_missing_where_it_is_not_known(sites, mains, plan):
    assert (
        supply_row(sites, plan, mains=mains([(make_street(20), 4, "high")]))["main_source"] is None
    )


@pytest.mark.parametrize("status", ["planned", "retired"])
def test_a_main_that_is_not_in_service_never_serves(sites, mains, plan, status):
    rows = [(make_street(10), 12, "high"), (make_street(60), 4, "high")]
    row = supply_row(sites, plan, mains=mains(rows, status=[status, "in_service"]))
    assert (row["main_id"], *read_counts(row)) == ("M1", 8, 8)
    row = supply_row(sites, plan, mains=mains(rows[:1], status=status))
    assert (row["fuel_evidence"], *read_counts(row)) == ("no main", 0, 0)


@pytest.mark.parametrize("status", ["in_service", "unknown", None])
def test_a_main_of_unknown_status_counts(sites, mains, plan, status):
    row = supply_row(sites, plan, mains=mains([(make_street(10), 4, "high")], status=status))
    assert (row["fuel_evidence"], *read_counts(row)) == ("main", 8, 8)


def test_an_assumed_size_is_stated_on_the_row(sites, mains, plan):
    assumed_plan = assume_in_plan(plan, main_size=FOUR_INCH)
    row = supply_row(sites, assumed_plan, mains=mains([(make_street(20), np.nan, "medium")]))
    # The class on record is kept: 30 318 / 4 / 2007.7 = 3.8.
    assert read_counts(row) == [3, 3]
    assert row["fuel_evidence"] == "main of unknown size"
    assert row["fuel_assumed"] == "gas main size: 4-inch polyethylene"
    # The assumed size is not written as if it were on record.
    assert np.isnan(row["main_diameter_in"])
    row = supply_row(sites, assumed_plan, mains=mains([(make_street(20), 2, None)], material=None))
    # The size on record is kept: with the assumed material 12 931 / 4 / 2007.7 = 1.6.
    assert (read_counts(row), row["main_pressure_class"]) == ([1, 1], None)
    assert row["fuel_assumed"] == "gas main pressure: high"


def test_the_row_states_an_assumption_about_another_main_that_it_depends_on(sites, mains, plan):
    assumed_plan = assume_in_plan(plan, main_size=FOUR_INCH)
    layers = {"mains": mains([(make_street(10), 2, "high"), (make_street(60), np.nan, "high")])}
    piped = supply_sites(sites, assumed_plan, **layers)
    assert read_counts(piped.facts.iloc[0]) == [8, 8]
    row = gas.name_serving_main(piped, sites([LOT]), layers, np.array([1])).iloc[0]
    assert (row["main_id"], row["main_diameter_in"]) == ("M0", 2)
    assert row["fuel_assumed"] == "gas main size: 4-inch polyethylene"
    # If a main on record can run as many, nothing depends on the assumption.
    layers = {"mains": mains([(make_street(10), 8, "high"), (make_street(60), np.nan, "high")])}
    row = supply_sites(sites, assumed_plan, **layers).facts.iloc[0]
    assert (row["fuel_evidence"], row["fuel_assumed"]) == ("main", None)


def test_a_small_main_on_record_does_not_hide_a_main_of_unknown_size(sites, mains, plan):
    rows = [(make_street(10), 2, "low"), (make_street(60), np.nan, None)]
    row = supply_row(sites, plan, mains=mains(rows))
    assert read_counts(row) == [0, 25]
    assert (row["fuel_evidence"], row["main_id"]) == ("main of unknown size", "M1")


def test_a_better_main_may_lie_beyond_the_edge_of_the_layer(sites, mains, plan):
    small = mains([(make_street(20), 2, "high")])
    inside = supply_row(sites, plan, mains=small)
    assert read_counts(inside) == [1, 1]
    # The layer ends 100 m north of the lot, 20 m short of the plan's reach.
    edge = AREA | {"mains": shapely.box(-9000, -9000, 9000, 140)}
    row = supply_row(sites, plan, coverage=edge, mains=small)
    assert (read_counts(row), row["fuel_evidence"]) == ([1, plan.cap], "main")
    assert row["fuel_capacity"] == inside["fuel_capacity"]


def test_no_main_is_a_fact_only_inside_the_coverage(sites, mains, plan):
    empty = mains([])
    row = supply_row(sites, plan, mains=empty)
    assert (row["fuel_evidence"], *read_counts(row)) == ("no main", 0, 0)
    for edge in ({"mains": shapely.box(-50, -50, 50, 50)}, {"mains": None}, {}):
        row = supply_row(sites, plan, coverage=edge, mains=empty)
        assert (row["fuel_evidence"], *read_counts(row)) == ("edge of layer", 0, 25)
    row = supply_row(sites, plan, coverage={})
    assert (row["fuel_evidence"], *read_counts(row)) == ("no layer", 0, 25)


@pytest.fixture(scope="session")
def leaks(layer):
    return layer(shapely.points([[10.0, -15.0]]), sign="leak_report")


@pytest.fixture(scope="session")
def territory(layer):
    return layer([shapely.box(-500, -500, 500, 500)], utility="Gas Light")


def test_a_leak_in_the_street_is_a_sign_of_a_main(sites, mains, leaks, plan):
    row = supply_row(sites, plan, mains=mains([]), gas_signs=leaks)
    assert (row["fuel_evidence"], *read_counts(row)) == ("sign of a main", 0, 25)
    assert row["main_distance_m"] == 15
    row = supply_row(
        sites, assume_in_plan(plan, main_at_sign=FOUR_INCH), mains=mains([]), gas_signs=leaks
    )
    # 4 in plastic at 60 psig.
    assert read_counts(row) == [8, 8]
    assert row["fuel_assumed"] == "likely gas main: 4-inch polyethylene, high pressure"


def test_a_known_main_outweighs_a_sign(sites, mains, leaks, plan):
    for assumed_plan in (plan, assume_in_plan(plan, main_at_sign=FOUR_INCH)):
        row = supply_row(
            sites, assumed_plan, mains=mains([(make_street(20), 2, "high")]), gas_signs=leaks
        )
        assert (row["fuel_evidence"], row["fuel_n_lo"]) == ("main", 1)
        assert (row["main_distance_m"], row["fuel_assumed"]) == (20, None)


def test_in_a_gas_territory_there_may_be_a_main(sites, territory, layer, plan):
    row = supply_row(sites, plan, gas_territories=territory)
    assert (row["fuel_evidence"], *read_counts(row)) == ("territory", 0, 25)
    away = shapely.box(900, 900, 940, 940)
    row = supply_row(sites, plan, shapes=[away], gas_territories=territory)
    assert (row["fuel_evidence"], *read_counts(row)) == ("no territory", 0, 0)
    # Outside the coverage, a missing territory proves nothing.
    row = supply_row(sites, plan, shapes=[away], coverage={}, gas_territories=territory)
    assert (row["fuel_evidence"], *read_counts(row)) == ("no layer", 0, 25)
    far = shapely.LineString([(-8000, 7000), (8000, 7000)])
    row = supply_row(sites, plan, gas_territories=territory, gas_transmission=layer([far]))
    assert row["fuel_evidence"] == "territory and transmission line"
    # A line without a territory is no evidence of a main.
    row = supply_row(sites, plan, gas_transmission=layer([far]))
    assert row["fuel_evidence"] == "no layer"


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("in_service", True),
        (None, True),
        ("planned", False),
        ("retired", False),
        ("unknown", False),
    ],
)
def test_a_transmission_line_must_be_in_service(sites, territory, layer, plan, status, counts):
    line = layer([shapely.LineString([(-800, 700), (800, 700)])], status=status)
    row = supply_row(sites, plan, gas_territories=territory, gas_transmission=line)
    assert row["fuel_evidence"] == ("territory and transmission line" if counts else "territory")


def test_a_territory_proves_nothing_where_mains_are_mapped(sites, mains, territory, leaks, plan):
    row = supply_row(sites, plan, mains=mains([]), gas_territories=territory)
    assert (row["fuel_evidence"], *read_counts(row)) == ("no main", 0, 0)
    row = supply_row(sites, plan, mains=mains([]), gas_territories=territory, gas_signs=leaks)
    assert (row["fuel_evidence"], *read_counts(row)) == ("sign of a main", 0, 25)
    # Near the edge of the mapped mains, a territory is evidence.
    edge = AREA | {"mains": shapely.box(-50, -50, 50, 50)}
    row = supply_row(sites, plan, coverage=edge, mains=mains([]), gas_territories=territory)
    assert (row["fuel_evidence"], *read_counts(row)) == ("territory", 0, 25)


def test_a_territory_outranks_a_sign_unless_the_plan_assumes_a_main_at_signs(
    sites, territory, leaks, plan
):
    layers = {"gas_territories": territory, "gas_signs": leaks}
    row = supply_row(sites, plan, **layers)
    assert row["fuel_evidence"] == "territory"
    assert np.isnan(row["main_distance_m"])
    row = supply_row(sites, assume_in_plan(plan, main_at_sign=FOUR_INCH), **layers)
    assert (row["fuel_evidence"], *read_counts(row)) == ("sign of a main", 8, 8)
    # A sign also counts outside every utility's territory.
    away = territory.set_geometry([shapely.box(900, 900, 999, 999)], crs=territory.crs)
    row = supply_row(sites, plan, gas_territories=away, gas_signs=leaks)
    assert (row["fuel_evidence"], *read_counts(row)) == ("sign of a main", 0, 25)


def test_a_fuel_without_a_gravity_is_refused(sites, mains, plan):
    with pytest.raises(ConfigError, match="its gravity is not given"):
        gas.supply_from_mains(
            sites([LOT]),
            {"mains": mains([(make_street(20), 4, "high")])},
            AREA,
            catalogue.read_fuels()["hydrogen"],
            GX230,
            plan,
        )


def test_texts_are_missing_as_none_and_numbers_as_nan(sites, mains, plan):
    rows = [(make_street(10), np.nan, None), (make_street(400), 4, "high")]
    lots = [LOT, shapely.box(0, -380, 40, -340)]
    facts = supply_sites(
        sites, plan, shapes=lots, mains=mains(rows, material=[None, "other"])
    ).facts
    for name, default in SUPPLY_COLUMNS.items():
        if default is None:
            assert facts[name].dtype == object, name
            assert all(value is None or isinstance(value, str) for value in facts[name]), name
    assert facts["main_pressure_class"].tolist() == [None, "high"]
    assert facts["main_material"].tolist() == [None, "other"]


def test_no_sites_and_no_mains_are_not_an_error(sites, mains, plan):
    piped = supply_sites(sites, plan, shapes=(), mains=mains([(make_street(20), 4, "high")]))
    assert list(piped.facts.columns) == list(SUPPLY_COLUMNS)
    assert len(piped.facts) == len(piped.reach) == 0
    piped = supply_sites(sites, plan, mains=mains([]))
    kept = gas.name_serving_main(piped, sites([LOT]), {"mains": mains([])}, np.array([3]))
    pd.testing.assert_frame_equal(kept, piped.facts)


# Mains in parallel streets with values missing, and a row of lots.
a_main = st.tuples(
    st.integers(1, 130),
    st.sampled_from([0.75, 1.25, 2.0, 4.0, 5.5, 8.0, np.nan]),
    st.sampled_from(["low", "medium", "high", None]),
    st.sampled_from(["polyethylene", "bare steel", "cast iron", None]),
    st.sampled_from(["in_service", "retired", None]),
    st.sampled_from([np.nan, 1.7, 250.0, 800.0]),
)
some_mains = st.lists(a_main, min_size=1, max_size=6)
LOTS = [shapely.box(60 * n, 9 * n, 60 * n + 40, 9 * n + 40) for n in range(4)]


def lay_mains(mains, rows):
    return mains(
        [(make_street(distance_m), inches, named) for distance_m, inches, named, *_ in rows],
        material=pd.Series([row[3] for row in rows], dtype=object),
        status=pd.Series([row[4] for row in rows], dtype=object),
        pressure_kpa=pd.Series([row[5] for row in rows], dtype=float),
    )


@SETTINGS
@given(some_mains, st.randoms(use_true_random=False), st.lists(st.integers(0, 25), min_size=4))
def test_shuffled_mains_change_nothing(sites, mains, plan, rows, random, machines):
    assumed_plan = assume_in_plan(plan, main_size=FOUR_INCH)
    table = lay_mains(mains, rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    again = table.iloc[order].reset_index(drop=True)
    for used_plan in (plan, assumed_plan):
        first = supply_sites(sites, used_plan, shapes=LOTS, mains=table)
        second = supply_sites(sites, used_plan, shapes=LOTS, mains=again)
        pd.testing.assert_frame_equal(first.facts, second.facts)
        asked = np.array(machines[:4])
        pd.testing.assert_frame_equal(
            gas.name_serving_main(first, sites(LOTS), {"mains": table}, asked),
            gas.name_serving_main(second, sites(LOTS), {"mains": again}, asked),
        )


@SETTINGS
@given(some_mains, st.sampled_from(["diameter_in", "pressure_class", "material", "status"]))
def test_a_missing_value_only_widens_the_range(sites, mains, plan, rows, column):
    # Without pressures, which would replace a missing class.
    whole = lay_mains(mains, [(*row[:5], np.nan) for row in rows])
    less = whole.assign(**{column: np.nan if column == "diameter_in" else None})
    complete, incomplete = (
        supply_sites(sites, plan, shapes=LOTS, mains=table).facts for table in (whole, less)
    )
    assert (incomplete["fuel_n_hi"] >= complete["fuel_n_hi"]).all()
    if column != "status":
        assert (incomplete["fuel_n_lo"] <= complete["fuel_n_lo"]).all()


@SETTINGS
@given(some_mains, st.floats(0.2, 0.9), st.floats(0.2, 0.9), st.floats(0, 1), st.floats(0, 1))
def test_more_demand_or_a_smaller_share_never_runs_more(
    sites, mains, plan, rows, one_way, other, share, another
):
    table = lay_mains(mains, rows)
    thirsty, frugal = (
        GX230.model_copy(update={"efficiency": value}) for value in sorted((one_way, other))
    )
    assert fuel_demand(thirsty, GAS) >= fuel_demand(frugal, GAS)
    less, more = sorted((share, another))
    frugal_more = supply_sites(
        sites, plan, shapes=LOTS, mains=table, generator=frugal, share=more
    ).facts
    for fewer in (
        supply_sites(sites, plan, shapes=LOTS, mains=table, generator=thirsty, share=more).facts,
        supply_sites(sites, plan, shapes=LOTS, mains=table, generator=frugal, share=less).facts,
    ):
        assert (fewer["fuel_n_lo"] <= frugal_more["fuel_n_lo"]).all()
        assert (fewer["fuel_n_hi"] <= frugal_more["fuel_n_hi"]).all()


@SETTINGS
@given(some_mains, a_main)
def test_one_more_main_never_runs_less(sites, mains, plan, rows, another):
    before = supply_sites(sites, plan, shapes=LOTS, mains=lay_mains(mains, rows)).facts
    after = supply_sites(sites, plan, shapes=LOTS, mains=lay_mains(mains, [*rows, another])).facts
    assert (after["fuel_n_lo"] >= before["fuel_n_lo"]).all()
    assert (after["fuel_n_hi"] >= before["fuel_n_hi"]).all()


CLASSES = ("low", "medium", "high")
KPA = {1.7: ("low", "low"), 250.0: ("medium", "high"), 800.0: ("high", "high")}


def try_every_main(plan, lot, rows):
    """Return n_lo, n_hi, distance and id of every main in reach, computed one by one."""
    mains_in_reach = []
    for number, (street_m, inches, named, material, status, kpa) in enumerate(rows):
        distance_m = lot.distance(make_street(street_m))
        if distance_m > plan.fuel.main_reach_m or status == "retired":
            continue
        # 1.7 kPa is a quarter of a psi, 250 kPa is between 30 and 60 psig, and 800 kPa is above.
        by_pressure = None if math.isnan(kpa) else KPA[kpa]
        pressure = by_pressure if named is None else (named, named)
        if named is not None and by_pressure is not None:
            pressure = (min(named, by_pressure[0], key=CLASSES.index), named)
        ends = (0, plan.cap)
        if not math.isnan(inches) and pressure:
            widths = pipes.inside_diameter_in(
                np.array([inches]), np.array([material], dtype=object)
            )
            flows = [
                pipes.pipe_flow_scfh(width, np.array([end]), 1609.344, 0.6)[0]
                for width, end in zip(widths, pressure, strict=True)
            ]
            ends = tuple(min(math.floor(flow * 0.25 / DEMAND), plan.cap) for flow in flows)
        mains_in_reach.append((*ends, round(distance_m, 3), f"M{number}"))
    return mains_in_reach


@SETTINGS
@given(some_mains, st.integers(1, 25))
def test_the_supply_agrees_with_trying_every_main(sites, mains, plan, rows, machines):
    layers = {"mains": lay_mains(mains, rows)}
    piped = supply_sites(sites, plan, shapes=LOTS, **layers)
    served = gas.name_serving_main(piped, sites(LOTS), layers, np.full(len(LOTS), machines))
    for number, lot in enumerate(LOTS):
        tried, row = try_every_main(plan, lot, rows), piped.facts.iloc[number]
        if not tried:
            assert row["fuel_evidence"] == "no main"
            continue
        assert read_counts(row) == [max(n_lo for n_lo, *_ in tried), max(hi for _, hi, *_ in tried)]
        for end in (0, 1):
            sufficient = [main for main in tried if main[end] >= machines]
            if sufficient:
                nearest = min(distance_m for *_, distance_m, _ in sufficient)
                ids = {name for *_, distance_m, name in sufficient if distance_m == nearest}
                assert served["main_id"].iloc[number] in ids
                assert served["main_distance_m"].iloc[number] == nearest
                break
