"""Which record serves a parcel, what the second-best record gives, and what is shared."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.criteria.grid import records, serving

AREA = {"substations": shapely.box(-9000, -9000, 9000, 9000)}
LOT = shapely.box(0, 0, 10, 10)


@pytest.fixture
def substations(layer):
    def build(*rows, **columns):
        names = ("firm_capacity_mva", "peak_load_mva", "committed_load_mva", "status")
        table = pd.DataFrame(rows, columns=names)
        spots = shapely.points([[1000.0 * n, 0.0] for n in range(1, len(rows) + 1)])
        return layer(
            spots,
            substation_id=[f"U{n}" for n in range(len(rows))],
            name=[f"Station {n}" for n in range(len(rows))],
            owner="Valley Electric",
            as_of=pd.Timestamp("2026-01-31"),
            source_id="stations",
            **{name: table[name] for name in names},
            **columns,
        )

    return build


@pytest.fixture
def capacity(layer):
    def build(*rows):
        """Make records from (shape, id, grain, kW) and, if given, a dict of other columns."""
        table = pd.DataFrame([{**row[4]} if len(row) > 4 else {} for row in rows])
        base = {
            "record_id": [row[1] for row in rows],
            "kind": "load",
            "grain": [row[2] for row in rows],
            "headroom_kw": pd.Series([row[3] for row in rows], dtype=float),
            "committed_included": True,
            "as_of": pd.Timestamp("2026-03-01"),
            "source_id": "maps",
        }
        given_columns = {name: table[name].tolist() for name in table.columns}
        return layer([row[0] for row in rows], **(base | given_columns))

    return build


def make_line(y, x=-5.0, to=15.0):
    return shapely.LineString([(x, y), (to, y)])


def find_row(sites, plan, coverage=AREA, shape=LOT, night=None, **layers):
    return serving.find_serving_records(sites([shape]), layers, coverage, plan, night).iloc[0]


def test_a_substation_bounds_the_parcel_from_above(sites, substations, plan):
    row = find_row(sites, plan, substations=substations((20, 16, 3, "in_service")))
    assert row["load_headroom_kw"] == pytest.approx(950)
    assert row["headroom_reads"] == "at most"
    assert (row["headroom_lo_kw"], row["headroom_hi_kw"]) == (-math.inf, pytest.approx(950))
    assert (row["grid_evidence"], row["grid_source"]) == ("substation", "Station 0")
    assert (row["grid_distance_m"], row["grid_as_of"]) == (990, "2026-01-31")
    assert (row["grid_layer"], row["grid_utility"]) == ("stations", "Valley Electric")
    assert row["headroom_basis"] == "firm less peak"


def test_the_kinds_of_records_answer_in_order_and_the_second_is_reported(
    sites, substations, capacity, plan
):
    stations = substations((60, 20, 0, "in_service"))  # 38 000 kW at most
    records = [
        (shapely.box(-50, -50, 50, 50), "AREA", "area", 700.0),
        (make_line(20), "F1", "feeder", 300.0),
        (shapely.box(0, 0, 400, 400), "C1", "cell", 1500.0),
    ]
    rows = [
        find_row(sites, plan, substations=stations, capacity=capacity(*records[n:]))
        for n in range(len(records))
    ]
    assert [row["grid_evidence"] for row in rows] == ["service area", "feeder", "grid cell"]
    assert [row["load_headroom_kw"] for row in rows] == [700, 300, 1500]
    # The second opinion on a feeder is its substation.
    assert [row["second_evidence"] for row in rows] == ["feeder", "substation", "substation"]
    assert [row["second_headroom_kw"] for row in rows] == [300, 38_000, 38_000]
    assert [row["headroom_disagreement_kw"] for row in rows] == [400, -37_700, -36_500]
    assert [row["headroom_reads"] for row in rows] == ["exactly"] * 3


def test_hosting_capacity_never_stands_in_for_load_headroom(sites, capacity, plan):
    hosting = (make_line(15), "F1", "segment", 3000.0, {"kind": "generation", "ceiling_kw": 3000.0})
    row = find_row(sites, plan, capacity=capacity(hosting))
    assert row["grid_evidence"] == "edge of layer"
    assert math.isnan(row["load_headroom_kw"])
    assert (row["hosting_kw"], row["hosting_at_least"]) == (3000, True)
    assert (row["hosting_source"], row["hosting_distance_m"]) == ("F1", 5)
    # A rating minus a load gives no information about generation.
    rated = {"kind": "generation", "firm_capacity_mva": 10.0, "peak_load_mva": 4.0}
    silent = find_row(
        sites, plan, capacity=capacity((make_line(15), "F1", "segment", np.nan, rated))
    )
    assert math.isnan(silent["hosting_kw"])
    load = (make_line(30), "F2", "feeder", 250.0, {"kind": "load"})
    both = find_row(sites, plan, capacity=capacity(hosting, load))
    assert (both["load_headroom_kw"], both["hosting_kw"]) == (250, 3000)
    assert not records.has_published_capacity({"capacity": capacity(hosting)}, plan)


def test_rows_of_one_feeder_are_combined_by_the_plans_statistic(sites, capacity, plan):
    rows = [(make_line(15 + n), "F1", "segment", kw) for n, kw in enumerate([900.0, 100.0, 400.0])]
    other = (make_line(40), "F2", "segment", 5.0)
    far = (make_line(15, 5000, 5010), "F1", "segment", -700.0)  # the same feeder, out of reach
    row = find_row(sites, plan, capacity=capacity(*rows, other, far))
    assert row["headroom_rows"] == 3
    assert (row["headroom_min_kw"], row["headroom_median_kw"], row["headroom_max_kw"]) == (
        100, 400, 900,
    )  # fmt: skip
    assert row["load_headroom_kw"] == 400  # the plan asks for the median
    for fold, kw in (("min", 100), ("max", 900)):
        grid = plan.grid.model_copy(update={"fold": fold})
        changed = plan.model_copy(update={"grid": grid})
        assert find_row(sites, changed, capacity=capacity(*rows))["load_headroom_kw"] == kw


def test_one_id_from_two_sources_is_two_feeders(sites, capacity, plan):
    rows = [
        (make_line(15), "F1", "feeder", 900.0),
        (make_line(18), "F1", "feeder", 100.0, {"source_id": "others"}),
    ]
    rows[0] = (*rows[0], {"source_id": "maps"})
    row = find_row(sites, plan, capacity=capacity(*rows))
    assert (row["load_headroom_kw"], row["headroom_rows"], row["grid_layer"]) == (900, 1, "maps")


def test_another_feeder_never_answers_for_the_nearest_one(sites, substations, capacity, plan):
    feeders = capacity(
        (make_line(12), "F0", "feeder", np.nan), (make_line(40), "F1", "feeder", 80.0)
    )
    row = find_row(sites, plan, capacity=feeders)
    assert math.isnan(row["load_headroom_kw"])
    # The substation still gives an upper bound.
    both = find_row(
        sites, plan, capacity=feeders, substations=substations((20, 16, 3, "in_service"))
    )
    assert (both["grid_evidence"], both["second_evidence"]) == ("substation", None)


def test_a_section_without_a_value_leaves_the_range_open(sites, capacity, plan):
    rows = [(make_line(15 + n), "F1", "segment", kw) for n, kw in enumerate([900.0, np.nan, 400.0])]
    row = find_row(sites, plan, capacity=capacity(*rows))
    assert (row["load_headroom_kw"], row["headroom_rows"]) == (650, 2)
    assert row["headroom_silent_rows"] == 1
    assert (row["headroom_lo_kw"], row["headroom_hi_kw"]) == (-math.inf, math.inf)
    assert row["headroom_reads"] == "neither"


def test_an_id_that_two_substations_share_identifies_neither(sites, substations, capacity, plan):
    area = (shapely.box(-50, -50, 50, 50), "A1", "area", np.nan, {"substation_id": "U0"})
    stations = substations((20, 19, 0, "in_service"), (30, 10, 5, "in_service"))
    stations["substation_id"], stations["source_id"] = "U0", ["north", "south"]
    row = find_row(sites, plan, substations=stations, capacity=capacity(area))
    assert row["grid_evidence"] == "substation"
    assert row["pool_kw"] == pytest.approx(950)
    reversed_ = find_row(sites, plan, substations=stations.iloc[::-1], capacity=capacity(area))
    assert reversed_["load_headroom_kw"] == row["load_headroom_kw"]


def test_a_service_area_has_the_headroom_of_the_substation_that_it_names(
    sites, substations, capacity, plan
):
    area = (shapely.box(-50, -50, 50, 50), "A1", "area", np.nan, {"substation_id": "U1"})
    stations = substations((20, 19, 0, "in_service"), (30, 10, 5, "in_service"))
    row = find_row(sites, plan, substations=stations, capacity=capacity(area))
    # The substation that serves the area answers, not the nearest one, which has 950 kW.
    assert row["load_headroom_kw"] == pytest.approx(15 * 950)
    assert (row["grid_evidence"], row["grid_source"]) == ("service area", "A1")
    # The parcel may get less than the whole headroom of its substation.
    assert (row["headroom_lo_kw"], row["headroom_reads"]) == (-math.inf, "at most")
    # The value is the substation's own, so there is nothing to compare it with.
    assert row["second_evidence"] is None


def test_the_smallest_nested_area_serves_even_without_a_value(sites, capacity, plan):
    areas = [
        (shapely.box(-900, -900, 900, 900), "A-large", "area", 5.0),
        (shapely.box(-90, -90, 90, 90), "B-small", "area", 7.0),
        (shapely.box(-9, -9, 19, 19), "C-silent", "area", np.nan),
    ]
    row = find_row(sites, plan, capacity=capacity(*areas[:2]))
    assert (row["grid_source"], row["grid_share"]) == ("B-small", 1.0)
    assert math.isnan(find_row(sites, plan, capacity=capacity(*areas))["load_headroom_kw"])


LEFT, RIGHT = shapely.box(-50, -50, 6, 50), shapely.box(6, -50, 50, 50)


@pytest.mark.parametrize(("grain", "evidence"), [("cell", "grid cell"), ("area", "service area")])
def test_the_cell_or_area_that_covers_most_of_the_lot_serves(
    sites, capacity, plan, grain, evidence
):
    # The lot is 10 m wide: the left one covers 60 %, the right one the rest.
    both = [(LEFT, "L", grain, 500.0), (RIGHT, "R", grain, 900.0)]
    row = find_row(sites, plan, capacity=capacity(*both))
    assert (row["grid_evidence"], row["grid_source"]) == (evidence, "L")
    assert (row["load_headroom_kw"], row["grid_share"]) == (500, 0.6)
    # Without a value it leaves the headroom unknown: its neighbor does not answer for it.
    silent = find_row(sites, plan, capacity=capacity((LEFT, "L", grain, np.nan), both[1]))
    assert math.isnan(silent["load_headroom_kw"])
    # Nor where its row is lost: 60 % of the lot is in no record.
    assert math.isnan(find_row(sites, plan, capacity=capacity(both[1]))["load_headroom_kw"])
    # A record that is near but does not reach the lot does not serve it: reach is for lines.
    beside = (shapely.box(11, 0, 40, 10), "B", grain, 700.0)
    assert math.isnan(find_row(sites, plan, capacity=capacity(beside))["load_headroom_kw"])


def test_a_cell_of_several_pieces_counts_with_all_that_it_covers(sites, capacity, plan):
    # The pieces of A cover 3 + 3 m of the 10, and B 4 m.
    pieces = shapely.MultiPolygon([shapely.box(0, 0, 3, 10), shapely.box(7, 0, 20, 10)])
    between = (shapely.box(3, 0, 7, 10), "B", "cell", 9.0)
    whole = capacity((pieces, "A", "cell", 5.0), between)
    apart = capacity(*((one, "A", "cell", 5.0) for one in pieces.geoms), between)
    for records_, rows in ((whole, 1), (apart, 2)):
        row = find_row(sites, plan, capacity=records_)
        assert (row["grid_source"], row["grid_share"], row["headroom_rows"]) == ("A", 0.6, rows)


def test_the_pieces_of_a_lot_count_together(sites, capacity, plan):
    lot = shapely.MultiPolygon([shapely.box(0, 0, 10, 10), shapely.box(100, 0, 110, 20)])
    cells = [
        (shapely.box(-5, -5, 50, 50), "first", "cell", 5.0),
        (shapely.box(50, -5, 150, 50), "second", "cell", 9.0),
    ]
    row = find_row(sites, plan, shape=lot, capacity=capacity(*cells))
    assert (row["grid_source"], row["grid_share"]) == ("second", pytest.approx(2 / 3, abs=1e-4))


def test_half_of_a_lot_is_not_most_of_it(sites, capacity, plan):
    half = (shapely.box(-50, -50, 5, 50), "H", "cell", 500.0)
    assert math.isnan(find_row(sites, plan, capacity=capacity(half))["load_headroom_kw"])


def test_nested_areas_are_measured_by_the_ground_they_cover(sites, capacity, plan):
    inner, outer = shapely.box(-100, -100, 100, 100), shapely.box(-150, -150, 150, 150)
    records_ = capacity(*[(inner, "IN", "area", 100.0)] * 3, (outer, "OUT", "area", 9000.0))
    row = find_row(sites, plan, capacity=records_)
    assert (row["grid_source"], row["load_headroom_kw"]) == ("IN", 100)


def test_an_area_borrows_only_where_it_has_no_value_at_all(sites, substations, capacity, plan):
    around, named = shapely.box(-50, -50, 50, 50), {"substation_id": "U0"}
    rows = [(around, "A1", "area", kw, named) for kw in (5000.0, 5000.0, np.nan)]
    stations = substations((20, 19, 0, "in_service"))  # at most 950
    row = find_row(sites, plan, substations=stations, capacity=capacity(*rows))
    assert (row["headroom_reads"], row["headroom_silent_rows"]) == ("neither", 1)
    assert row["second_headroom_kw"] == pytest.approx(950)


def test_feeders_of_another_utility_are_no_second_opinion(sites, substations, capacity, plan):
    stations = substations((60, 20, 0, "in_service")).assign(owner="Hill Power")
    spot = shapely.Point(1000, 0)
    records_ = capacity(
        (make_line(15), "F1", "feeder", 5000.0, {"owner": "Valley Electric"}),
        (spot, "P1", "feeder", 100.0, {"owner": "Hill Power", "substation_id": "U0"}),
    )
    row = find_row(sites, plan, substations=stations, capacity=records_)
    assert (row["grid_evidence"], row["second_evidence"]) == ("feeder", None)


def test_overlapping_cells_leave_a_range(sites, capacity, plan):
    cells = [(shapely.box(-5, -5, 50, 50), f"C{kw}", "cell", kw) for kw in (900.0, 100.0)]
    row = find_row(sites, plan, capacity=capacity(*cells))
    assert (row["headroom_lo_kw"], row["headroom_hi_kw"]) == (100, 900)
    assert (row["grid_source"], row["serving_count"]) == ("C100.0 or C900.0", 2)


def test_feeders_on_the_same_poles_leave_a_range(sites, capacity, plan):
    lines = [(make_line(15 + apart), name, "feeder", kw) for apart, name, kw in [
        (0, "F1", 0.0), (2, "F2", 4252.0), (2.01, "F3", 90_000.0),
    ]]  # fmt: skip
    row = find_row(sites, plan, capacity=capacity(*lines))
    assert (row["headroom_lo_kw"], row["headroom_hi_kw"]) == (0, 4252)
    assert (row["headroom_reads"], row["grid_source"]) == ("between", "F1 or F2")
    assert (row["serving_count"], row["grid_distance_m"]) == (2, 5)
    # If one of them publishes nothing, nothing bounds the headroom.
    silent = [*lines, (make_line(16), "F4", "feeder", np.nan)]
    row = find_row(sites, plan, capacity=capacity(*silent))
    assert (row["headroom_reads"], row["headroom_silent_rows"]) == ("neither", 1)


def test_the_oldest_record_of_a_set_gives_its_date(sites, capacity, plan):
    lines = [
        (make_line(15), "F1", "feeder", 5.0, {"as_of": pd.Timestamp("2026-01-31")}),
        (make_line(15), "F2", "feeder", 9.0, {"as_of": pd.Timestamp("2024-06-30")}),
    ]
    assert find_row(sites, plan, capacity=capacity(*lines))["grid_as_of"] == "2024-06-30"
    undated = [lines[0], (make_line(15), "F2", "feeder", 9.0, {"as_of": pd.NaT})]
    assert find_row(sites, plan, capacity=capacity(*undated))["grid_as_of"] is None


@pytest.mark.parametrize(
    ("named", "owner", "second"),
    [
        ("U1", None, 14_250.0),  # by its id
        ("Station 1", None, 14_250.0),  # by its name
        (None, "Hill Power", 14_250.0),  # the nearest of its utility
        ("U9", "Hill Power", 14_250.0),  # the one it names is not mapped
        (None, "Far Electric", None),  # never another utility's
        (None, None, 950.0),  # its utility is not known: the nearest may be its own
    ],
)
def test_the_second_opinion_on_a_feeder_is_its_own_substation(
    sites, substations, capacity, plan, named, owner, second
):
    stations = substations((20, 19, 0, "in_service"), (30, 10, 5, "in_service"))
    stations["owner"] = ["Valley Electric", "Hill Power"]
    feeder = (make_line(15), "F1", "feeder", 300.0, {"substation_id": named, "owner": owner})
    row = find_row(sites, plan, substations=stations, capacity=capacity(feeder))
    assert row["grid_evidence"] == "feeder"
    if second is None:
        assert row["second_evidence"] is None
    else:
        assert row["second_headroom_kw"] == pytest.approx(second)


def test_a_feeder_that_names_no_substation_here_is_counted(substations, capacity, plan):
    feeders = capacity(
        (make_line(15), "F1", "feeder", 300.0, {"substation_id": "U9"}),
        (make_line(15), "F2", "feeder", 300.0, {"substation_id": "U0"}),
        (make_line(15), "F3", "feeder", 300.0, {"substation_id": None}),
    )
    layers = {"substations": substations((20, 19, 0, "in_service")), "capacity": feeders}
    counted = records.count_unusable_records(layers, plan)
    assert counted["load records that name no substation in service near here"] == 1


NIGHT = dt.date(2026, 7, 31)


@pytest.mark.parametrize(
    ("as_of", "old"),
    [("2026-07-01", False), ("2025-01-31", False), ("2025-01-30", True), (None, True)],
)
def test_a_record_of_more_than_18_months_or_without_a_date_bounds_nothing(
    sites, capacity, plan, as_of, old
):
    feeder = (make_line(15), "F1", "feeder", 300.0, {"as_of": pd.Timestamp(as_of)})
    row = find_row(sites, plan, night=NIGHT, capacity=capacity(feeder))
    assert (row["load_headroom_kw"], row["grid_old"]) == (300, old)
    span = (-math.inf, math.inf) if old else (300, 300)
    assert (row["headroom_lo_kw"], row["headroom_hi_kw"]) == span
    assert row["headroom_reads"] == ("neither" if old else "exactly")
    layers = {"capacity": capacity(feeder)}
    counted = records.count_unusable_records(layers, plan, NIGHT)
    assert counted.get("capacity records that are too old, or have no date", 0) == old
    # The plan may allow more.
    grid = plan.grid.model_copy(update={"record_months_most": 19})
    longer = plan.model_copy(update={"grid": grid})
    row = find_row(sites, longer, night=NIGHT, capacity=capacity(feeder))
    assert row["grid_old"] == (as_of is None)


def test_one_old_row_of_a_feeder_opens_its_range(sites, substations, capacity, plan):
    rows = [
        (make_line(15 + n), "F1", "segment", 300.0, {"as_of": pd.Timestamp(date)})
        for n, date in enumerate(["2026-01-31", "2026-01-31", "2021-01-31"])
    ]
    row = find_row(sites, plan, night=NIGHT, capacity=capacity(*rows))
    assert (row["headroom_reads"], row["grid_as_of"]) == ("neither", "2021-01-31")
    # The same for a substation, and for an area that has its value.
    stations = substations((20, 16, 3, "in_service")).assign(as_of=pd.Timestamp("2021-01-31"))
    row = find_row(sites, plan, night=NIGHT, substations=stations)
    assert (row["headroom_reads"], row["grid_old"]) == ("neither", True)
    assert math.isnan(row["pool_kw"])
    area = (shapely.box(-50, -50, 50, 50), "A1", "area", np.nan, {"substation_id": "U0"})
    row = find_row(sites, plan, night=NIGHT, substations=stations, capacity=capacity(area))
    assert (row["grid_evidence"], row["headroom_reads"]) == ("service area", "neither")
    assert row["grid_as_of"] == "2021-01-31"


def test_the_feeders_of_the_nearest_substation_leave_a_range(sites, substations, capacity, plan):
    station = substations((60, 20, 0, "in_service"))
    spot = shapely.Point(1000, 0)
    records = capacity(
        *(
            (spot, f"F{n}", "feeder", kw, {"substation_id": "U0"})
            for n, kw in enumerate([200.0, 3000.0, 700.0])
        )
    )
    row = find_row(sites, plan, substations=station, capacity=records)
    assert row["grid_evidence"] == "feeders of substation"
    assert (row["load_headroom_kw"], row["headroom_rows"]) == (700, 3)
    assert (row["headroom_lo_kw"], row["headroom_hi_kw"]) == (200, 3000)
    assert row["headroom_reads"] == "between"
    assert (row["second_evidence"], row["second_headroom_kw"]) == ("substation", 38_000)


def test_only_a_distribution_substation_in_service_serves(sites, substations, plan):
    stations = substations(
        (30, 1, 0, "retired"), (30, 2, 0, "planned"), (30, 3, 0, "unknown"),
        (30, 4, 0, "in_service"), (20, 16, 3, "in_service"),
        level=[None, None, None, "transmission", "distribution"],
    )  # fmt: skip
    far = plan.grid.model_copy(update={"substation_reach_m": 8000.0})
    row = find_row(sites, plan.model_copy(update={"grid": far}), substations=stations)
    assert (row["grid_source"], row["load_headroom_kw"]) == ("Station 4", pytest.approx(950))
    assert records.count_unusable_records({"substations": stations}, plan) == {
        "retired substations, not used": 1,
        "planned substations, not used": 1,
        "substations of unknown status, not used": 1,
        "transmission-only substations, not used": 1,
    }


def test_a_substation_that_publishes_nothing_leaves_the_headroom_unknown(sites, substations, plan):
    stations = substations((None, 5, 0, "in_service"))
    row = find_row(sites, plan, substations=stations)
    assert row["grid_evidence"] == "unpublished"
    assert math.isnan(row["load_headroom_kw"])
    assert (row["grid_source"], row["grid_distance_m"]) == ("Station 0", 990)
    assert not records.has_published_capacity({"substations": stations}, plan)
    assert records.count_unusable_records({"substations": stations}, plan) == {
        "substations that publish no capacity": 1
    }


def test_no_substation_is_a_fact_only_inside_the_coverage(sites, substations, plan):
    far = substations((20, 1, 0, "in_service")).translate(50_000, 0).to_frame("geometry")
    stations = substations((20, 1, 0, "in_service")).set_geometry(far.geometry)
    assert find_row(sites, plan, substations=stations)["grid_evidence"] == "none"
    edge = {"substations": shapely.box(-50, -50, 50, 50)}
    assert find_row(sites, plan, edge, substations=stations)["grid_evidence"] == "edge of layer"
    assert find_row(sites, plan)["grid_evidence"] == "no layer"


def test_a_substation_gives_a_bound_only_if_no_nearer_one_can_be_unmapped(sites, substations, plan):
    # The layer ends 14 m west of the lot: a nearer substation may lie just beyond.
    area = {"substations": shapely.box(-14, -500, 9000, 500)}
    row = find_row(sites, plan, area, substations=substations((20, 20, 0, "in_service")))
    assert row["grid_evidence"] == "edge of layer"
    assert math.isnan(row["load_headroom_kw"])
    assert row["headroom_hi_kw"] == math.inf


def test_sites_share_their_substation_if_it_is_known(sites, substations, capacity, plan):
    stations = substations((20, 16, 3, "in_service"))
    records = capacity(
        (make_line(15), "F1", "feeder", 300.0, {"substation_id": "U0"}),
        (make_line(15, 2000, 2010), "F2", "feeder", 400.0, {"substation_id": "elsewhere"}),
    )
    lots = sites([LOT, shapely.box(2000, 0, 2010, 10)])
    both = {"substations": stations, "capacity": records}
    facts = serving.find_serving_records(lots, both, AREA, plan)
    assert facts["station_pool"].tolist()[0] == "U0"
    assert facts["record_pool"].notna().all()
    assert facts["pool"].tolist() == ["Station 0", "F2"]
    assert facts["pool_kw"].tolist() == [pytest.approx(950), 400]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
@given(seed=st.integers(0, 99))
def test_shuffled_rows_change_nothing(sites, substations, capacity, plan, seed):
    stations = substations((60, 20, 0, "in_service"), (20, 16, 3, "in_service"))
    records = capacity(
        (make_line(15), "F1", "segment", 300.0), (make_line(15), "F2", "segment", 100.0),
        (make_line(16), "F1", "segment", 800.0), (shapely.box(0, 0, 9, 9), "C1", "cell", 9.0),
        (shapely.box(0, 0, 9, 9), "C0", "cell", 7.0),
        (shapely.box(490, -9, 540, 40), "A1", "area", 500.0),
        (shapely.box(490, -9, 540, 40), "A1", "area", 100.0),
    )  # fmt: skip
    lots = sites([LOT, shapely.box(500, 0, 520, 30), shapely.box(-9, -9, 0, 0)])
    first = serving.find_serving_records(
        lots, {"substations": stations, "capacity": records}, AREA, plan
    )
    shuffled = {
        "substations": stations.sample(frac=1, random_state=seed),
        "capacity": records.sample(frac=1, random_state=seed),
    }
    pd.testing.assert_frame_equal(first, serving.find_serving_records(lots, shuffled, AREA, plan))
