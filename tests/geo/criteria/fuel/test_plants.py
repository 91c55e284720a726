import math

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo import catalogue
from geo.criteria.fuel.plants import PLANT_COLUMNS, supply_from_plants
from geo.criteria.fuel.supply import SUPPLY_COLUMNS

BIOGAS, HYDROGEN = catalogue.read_fuels()["biogas"], catalogue.read_fuels()["hydrogen"]
GX230 = catalogue.read_generators()["gx230"]
# The methane and the hydrogen that one generator burns (scfh).
METHANE = 200 * 3412.142 / 0.33 / 1012
PURE = 200 * 3412.142 / 0.33 / 325
LOT = shapely.box(-20, -20, 20, 20)
AREA = {"fuel_plants": shapely.box(-90_000, -90_000, 90_000, 90_000)}
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def supply_sites(sites, plan, table, fuel=BIOGAS, shapes=(LOT,), coverage=AREA):
    layers = {} if table is None else {"fuel_plants": table}
    return supply_from_plants(sites(list(shapes)), layers, coverage, fuel, GX230, plan)


def supply_row(sites, plan, table, **kwargs):
    return supply_sites(sites, plan, table, **kwargs).iloc[0]


def read_supply(row):
    return row["fuel_evidence"], int(row["fuel_n_lo"]), int(row["fuel_n_hi"])


def make_point_east(distance_m):
    """Return a point this far east of the lot."""
    return shapely.Point(20 + distance_m, 0)


def test_the_example_plant(sites, plants, plan):
    table = plants({"flow_scfh": 15_000.0, "used": "partly", "used_scfh": 6_000.0})
    row = supply_row(sites, plan, table)
    # (15 000 - 6000) x 0.5 / 2043.4 = 2.2.
    assert read_supply(row) == ("plant on the site", 2, 2)
    assert row["fuel_capacity"] == 4500
    names = ("plant_id", "plant_name", "plant_kind", "plant_status", "plant_used")
    assert [row[name] for name in names] == ["P", "Hill", "landfill", "operating", "partly"]
    assert row["plant_distance_m"] == 0


def test_plants_answer_with_the_columns_of_every_fuel_and_their_own(sites, plants, plan):
    facts = supply_sites(sites, plan, plants())
    assert list(facts.columns) == [*SUPPLY_COLUMNS, *PLANT_COLUMNS]
    assert len(supply_sites(sites, plan, plants({}), shapes=())) == 0


def test_all_hydrogen_counts_but_only_from_hydrogen_plants(sites, plants, plan):
    table = plants({"fuel": "hydrogen", "plant_kind": "hydrogen plant", "methane_share": np.nan})
    # 30 000 / 6363 = 4.7.
    assert read_supply(supply_row(sites, plan, table, fuel=HYDROGEN)) == ("plant on the site", 4, 4)
    assert math.floor(30_000 / PURE) == 4
    assert read_supply(supply_row(sites, plan, table)) == ("no plant", 0, 0)


def test_gas_of_unknown_methane_share_leaves_a_range(sites, plants, plan):
    row = supply_row(sites, plan, plants({"methane_share": np.nan}))
    # 30 000 x 0.45 / 2043.4 = 6.6 and 30 000 x 0.65 / 2043.4 = 9.5.
    assert read_supply(row) == ("plant on the site", 6, 9)
    assert row["fuel_capacity"] == 13_500


@pytest.mark.parametrize(
    ("used", "used_scfh", "lo", "hi"),
    [
        ("no", np.nan, 7, 7),          # 30 000 x 0.5 / 2043.4 = 7.3
        ("yes", np.nan, 0, 0),
        ("yes", 10_000.0, 0, 0),
        ("partly", 20_000.0, 2, 2),    # 10 000 x 0.5 / 2043.4 = 2.4
        ("partly", 40_000.0, 0, 0),
        ("partly", np.nan, 0, 7),
        ("unknown", np.nan, 0, 7),
        (None, np.nan, 0, 7),
    ],
)  # fmt: skip
def test_gas_that_is_already_used_is_not_spare(sites, plants, plan, used, used_scfh, lo, hi):
    row = supply_row(sites, plan, plants({"used": used, "used_scfh": used_scfh}))
    assert read_supply(row) == ("plant on the site", lo, hi)


def test_a_plant_without_a_flow_leaves_a_range_and_not_zero(sites, plants, plan):
    row = supply_row(sites, plan, plants({"flow_scfh": np.nan}))
    assert read_supply(row) == ("plant on the site", 0, plan.cap)
    assert np.isnan(row["fuel_capacity"])
    # If all of its gas is used, it runs none, whatever its flow is.
    row = supply_row(sites, plan, plants({"flow_scfh": np.nan, "used": "yes"}))
    assert read_supply(row) == ("plant on the site", 0, 0)


@pytest.mark.parametrize("status", ["planned", "unknown", None])
def test_a_plant_that_may_not_run_is_only_a_best_case(sites, plants, plan, status):
    row = supply_row(sites, plan, plants({"status": status}))
    assert read_supply(row) == ("plant on the site", 0, 7)
    assert (row["plant_status"], np.isnan(row["fuel_capacity"])) == (status, True)


def test_a_closed_plant_never_counts(sites, plants, plan):
    row = supply_row(sites, plan, plants({"status": "closed"}))
    assert read_supply(row) == ("no plant", 0, 0)
    assert row["plant_id"] is None


def test_a_plant_counts_within_pipe_reach_and_is_context_beyond_it(sites, plants, plan):
    row = supply_row(sites, plan, plants({"shape": make_point_east(500)}))
    assert read_supply(row) == ("plant by pipe", 7, 7)
    row = supply_row(sites, plan, plants({"shape": make_point_east(501)}))
    assert read_supply(row) == ("plant too far", 0, 0)
    assert (row["plant_id"], row["plant_distance_m"]) == ("P", 501)
    row = supply_row(sites, plan, plants({"shape": make_point_east(20_001)}))
    assert read_supply(row) == ("no plant", 0, 0)
    assert row["plant_id"] is None


def test_a_plan_without_pipes_counts_only_plants_on_the_site(sites, plants, plan):
    no_pipe = plan.fuel.model_copy(update={"plant_reach_m": 0.0})
    changed = plan.model_copy(update={"fuel": no_pipe})
    grounds = shapely.box(19, -5, 80, 5)
    assert read_supply(supply_row(sites, changed, plants({"shape": grounds}))) == (
        "plant on the site",
        7,
        7,
    )
    assert read_supply(supply_row(sites, changed, plants({"shape": make_point_east(1)}))) == (
        "plant too far",
        0,
        0,
    )


def test_a_plant_known_only_by_its_county_counts_for_nothing(sites, plants, plan):
    row = supply_row(sites, plan, plants({"precision": "county"}))
    assert read_supply(row) == ("plant, place by county only", 0, 0)
    # The middle of its county lies on the lot, but the distance to the plant is not known.
    assert (row["plant_id"], np.isnan(row["plant_distance_m"])) == ("P", True)
    both = plants({"precision": "county"}, {"plant_id": "Q", "shape": make_point_east(900)})
    row = supply_row(sites, plan, both)
    assert (*read_supply(row), row["plant_id"]) == ("plant too far", 0, 0, "Q")
    assert read_supply(supply_row(sites, plan, plants({"precision": None}))) == (
        "plant on the site",
        7,
        7,
    )


def test_no_plant_is_a_fact_only_inside_the_coverage(sites, plants, plan):
    assert read_supply(supply_row(sites, plan, plants())) == ("no plant", 0, 0)
    near = {"fuel_plants": shapely.box(-400, -400, 400, 400)}
    assert read_supply(supply_row(sites, plan, plants(), coverage=near)) == ("edge of layer", 0, 25)
    assert read_supply(supply_row(sites, plan, plants(), coverage={})) == ("edge of layer", 0, 25)
    assert read_supply(supply_row(sites, plan, None)) == ("no layer", 0, 25)
    # A nearer plant may lie beyond the edge, so naming one that is too far proves nothing.
    row = supply_row(sites, plan, plants({"shape": make_point_east(900)}), coverage=near)
    assert (*read_supply(row), row["plant_id"]) == ("edge of layer", 0, 25, "P")


def test_the_best_plant_in_reach_supplies_the_site(sites, plants, plan):
    table = plants(
        {"plant_id": "near", "flow_scfh": 9_000.0, "shape": make_point_east(10)},
        {"plant_id": "rich", "shape": make_point_east(400)},
        {"plant_id": "silent", "flow_scfh": np.nan, "shape": make_point_east(5)},
    )
    row = supply_row(sites, plan, table)
    # The plant without a flow may run any number of generators.
    assert (*read_supply(row), row["plant_id"]) == ("plant by pipe", 7, 25, "rich")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_among_equal_plants_the_nearer_and_then_the_lower_id_supplies(sites, plants, plan, order):
    for distances_m, expected in (((50, 40), "b"), ((40, 40), "a")):
        rows = [
            {"plant_id": name, "shape": make_point_east(far)}
            for name, far in zip("ab", distances_m, strict=True)
        ]
        table = plants(*(rows[number] for number in order))
        assert supply_row(sites, plan, table)["plant_id"] == expected


a_plant = st.fixed_dictionaries(
    {
        "plant_id": st.sampled_from(["a", "b", "c"]),
        "flow_scfh": st.sampled_from([0.0, 5_000.0, 30_000.0, np.nan]),
        "methane_share": st.sampled_from([0.0, 0.4, 0.6, np.nan]),
        "used": st.sampled_from(["no", "partly", "yes", "unknown", None]),
        "used_scfh": st.sampled_from([0.0, 4_000.0, np.nan]),
        "status": st.sampled_from(["operating", "planned", "closed", "unknown"]),
        "precision": st.sampled_from(["site", "address", "county", None]),
        "shape": st.sampled_from(
            [make_point_east(distance_m) for distance_m in (-5, 40, 300, 700, 9_000)]
        ),
    }
)


def is_consistent(row):
    """Return whether `used` agrees with `used_scfh`.

    If they disagree, the flow decides, so removing it may change the answer either way.
    """
    if row["used"] == "no":
        return not row["used_scfh"] > 0
    return row["used"] != "yes" or not row["used_scfh"] < row["flow_scfh"]


LOTS = [LOT, shapely.box(200, 0, 240, 40), shapely.box(900, 0, 940, 40)]


@SETTINGS
@given(st.lists(a_plant, max_size=6), st.randoms(use_true_random=False))
def test_shuffled_plants_change_nothing(sites, plants, plan, rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    pd.testing.assert_frame_equal(
        supply_sites(sites, plan, plants(*rows), shapes=LOTS),
        supply_sites(sites, plan, plants(*shuffled), shapes=LOTS),
    )


@SETTINGS
@given(
    st.lists(a_plant.filter(is_consistent), min_size=1, max_size=5),
    st.sampled_from(["flow_scfh", "used", "used_scfh", "status"]),
)
def test_a_missing_value_only_widens_the_range(sites, plants, plan, rows, column):
    incomplete = [row | {column: None if column in {"used", "status"} else np.nan} for row in rows]
    first = supply_sites(sites, plan, plants(*rows), shapes=LOTS)
    second = supply_sites(sites, plan, plants(*incomplete), shapes=LOTS)
    assert (second["fuel_n_lo"] <= first["fuel_n_lo"]).all()
    assert (second["fuel_n_hi"] >= first["fuel_n_hi"]).all()


@SETTINGS
@given(st.lists(a_plant, max_size=5), a_plant)
def test_one_more_plant_never_supplies_less(sites, plants, plan, rows, another):
    fewer = supply_sites(sites, plan, plants(*rows), shapes=LOTS)
    more = supply_sites(sites, plan, plants(*rows, another), shapes=LOTS)
    assert (more["fuel_n_lo"] >= fewer["fuel_n_lo"]).all()
    assert (more["fuel_n_hi"] >= fewer["fuel_n_hi"]).all()


@SETTINGS
@given(a_plant)
def test_one_plant_agrees_with_the_arithmetic(sites, plants, plan, row):
    lo, hi = 0, plan.cap
    if not math.isnan(row["flow_scfh"]) or row["used"] == "yes":
        flow = 0.0 if row["used"] == "yes" else row["flow_scfh"]
        left, certain = flow, row["used"] in {"no", "yes"}
        if row["used"] != "yes" and not math.isnan(row["used_scfh"]):
            left, certain = max(flow - row["used_scfh"], 0.0), True
        share = row["methane_share"]
        least, most = (0.45, 0.65) if math.isnan(share) else (share, share)
        hi = min(math.floor(left * most / METHANE), plan.cap)
        if certain and row["status"] == "operating":
            lo = min(math.floor(left * least / METHANE), plan.cap)
    far = LOT.distance(row["shape"]) > plan.fuel.plant_reach_m
    if far or row["status"] == "closed" or row["precision"] == "county":
        lo = hi = 0
    assert read_supply(supply_row(sites, plan, plants(row)))[1:] == (lo, hi)
