import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.criteria import grid

AREA = {"substations": shapely.box(-9000, -9000, 9000, 9000)}


@pytest.fixture
def substations(layer):
    def build(*rows):
        names = ("firm_capacity_mva", "peak_load_mva", "committed_load_mva", "status")
        table = pd.DataFrame(rows, columns=names)
        spots = shapely.points([[1000.0 * n, 0.0] for n in range(1, len(rows) + 1)])
        return layer(
            spots,
            substation_id=[f"U{n}" for n in range(len(rows))],
            name=[f"Station {n}" for n in range(len(rows))],
            as_of=pd.Timestamp("2026-01-31"),
            **{name: table[name] for name in names},
        )

    return build


@pytest.fixture
def feeders(layer):
    def build(*headroom_kw):
        lines = [
            shapely.LineString([(n * 500 - 5, 20), (n * 500 + 15, 20)])
            for n in range(len(headroom_kw))
        ]
        return layer(
            lines,
            feeder_id=[f"F{n}" for n in range(len(lines))],
            load_headroom_kw=pd.Series(headroom_kw, dtype=float),
            as_of=pd.Timestamp("2026-03-01"),
        )

    return build


def one(sites, plan, **capacity):
    here = sites([shapely.box(0, 0, 10, 10)])
    return grid.gap(here, capacity, AREA, plan).iloc[0]


def test_a_substation_bounds_the_parcel_from_above(sites, substations, plan):
    # 20 - 16 - 3 = 1 MVA at 0.95 is 950 kW at most: at least 50 of 1000 kW is missing.
    row = one(sites, plan, substations=substations((20, 16, 3, "in_service")))
    assert row["load_headroom_kw"] == pytest.approx(950)
    assert row["headroom_is_bound"]
    assert (row["shortfall_lo_kw"], row["shortfall_hi_kw"]) == (pytest.approx(50), 1000)
    assert (row["gap_class"], row["grid_evidence"]) == ("short", "substation")
    assert (row["grid_source"], row["grid_distance_m"]) == ("Station 0", 990)
    assert row["grid_as_of"] == "2026-01-31"


def test_plenty_at_the_substation_does_not_prove_that_the_street_is_served(
    sites, substations, plan
):
    row = one(sites, plan, substations=substations((60, 20, 0, "in_service")))
    assert (row["shortfall_lo_kw"], row["shortfall_hi_kw"]) == (0, 1000)
    assert row["gap_class"] == "unknown"


def test_a_feeder_is_better_evidence_than_a_substation(sites, substations, feeders, plan):
    row = one(sites, plan, substations=substations((60, 20, 0, "in_service")), feeders=feeders(300))
    assert (row["grid_evidence"], row["load_headroom_kw"]) == ("feeder", 300)
    assert row["shortfall_lo_kw"] == row["shortfall_hi_kw"] == 700
    assert not row["headroom_is_bound"]


def test_negative_headroom_stays_as_overload_and_never_lowers_the_need(sites, feeders, plan):
    row = one(sites, plan, feeders=feeders(-400))
    assert row["overload_kw"] == 400
    assert row["shortfall_lo_kw"] == row["shortfall_hi_kw"] == plan.target_kw


def test_more_than_the_target_is_covered(sites, feeders, plan):
    assert one(sites, plan, feeders=feeders(1000))["gap_class"] == "covered"


def test_a_retired_or_silent_substation_is_passed_over_or_said_to_be_silent(
    sites, substations, plan
):
    stations = substations((30, 1, 0, "retired"), (None, 5, 0, "in_service"))
    row = one(sites, plan, substations=stations)
    assert (row["grid_source"], row["grid_evidence"]) == ("Station 1", "unpublished")
    assert np.isnan(row["load_headroom_kw"])
    assert (row["shortfall_lo_kw"], row["shortfall_hi_kw"]) == (0, 1000)
    assert not grid.published({"substations": stations.iloc[1:]})
    assert grid.published({"substations": stations})


def test_no_layer_none_in_reach_and_the_edge_of_the_layer_are_three_things(
    sites, substations, plan
):
    far = substations((20, 1, 0, "in_service"))
    far.geometry = shapely.points([[8900.0, 0.0]])
    assert one(sites, plan)["grid_evidence"] == "no layer"
    assert one(sites, plan, substations=far)["grid_evidence"] == "none"
    here = sites([shapely.box(0, 0, 10, 10)])
    small = {"substations": shapely.box(-50, -50, 50, 50)}
    row = grid.gap(here, {"substations": far}, small, plan).iloc[0]
    assert row["grid_evidence"] == "edge of layer"


def test_needed_is_rounded_up_and_spares_come_on_top(plan):
    short = pd.Series([0.0, 1.0, 200.0, 201.0, 850.0])
    assert grid.needed(short, 200, plan).tolist() == [0, 1, 1, 2, 5]
    spare = plan.model_copy(update={"spares": 1})
    assert grid.needed(short, 200, spare).tolist() == [0, 2, 2, 3, 6]
    derated = plan.model_copy(update={"derate": 0.9})
    assert grid.needed(short, 200, derated).tolist() == [0, 1, 2, 2, 5]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.floats(-5000, 5000), st.floats(0, 5000))
def test_more_headroom_never_widens_the_gap(sites, feeders, plan, headroom, more):
    before = one(sites, plan, feeders=feeders(headroom))["shortfall_hi_kw"]
    assert one(sites, plan, feeders=feeders(headroom + more))["shortfall_hi_kw"] <= before


def test_a_substation_bounds_only_where_no_nearer_one_can_hide(sites, substations, plan):
    # The layer ends 14 m from the site; the one on record is 990 m off and full.
    here = sites([shapely.box(0, 0, 10, 10)])
    area = {"substations": shapely.box(-14, -500, 9000, 500)}
    full = substations((20, 20, 0, "in_service"))
    row = grid.gap(here, {"substations": full}, area, plan).iloc[0]
    assert (row["grid_evidence"], row["gap_class"]) == ("edge of layer", "unknown")
    assert np.isnan(row["load_headroom_kw"])
    assert not row["headroom_is_bound"]
