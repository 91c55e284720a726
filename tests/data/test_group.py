"""Several rows of one thing are combined, and rows without coordinates are located by name."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data.pull import refresh_source
from geo.errors import ConfigError, ContractError, SourceChanged

BANKS = {
    "substation_id": {"column": "ID"},
    "status": {"value": "in_service"},
    "name": {"column": "N"},
    "voltage_kv": {"column": "KV", "fold": "min"},
    "bank_count": {"column": "#", "fold": "sum"},
    "nameplate_mva": {"column": "MVA", "times": "#", "fold": "sum"},
    "largest_bank_mva": {"column": "MVA", "fold": "max"},
}
GROUP = {"by": "substation_id"}
PLACE = {"path": "places.csv", "key": "NAME", "to": "substation_id", "x": "x", "y": "y"}


def make_banks(make_points, ids, mva, numbers=1, **columns):
    source = {"ID": ids, "MVA": mva, "N": [None] * len(ids), "KV": [None] * len(ids)}
    return make_points(len(ids), **(source | {"#": numbers} | columns))


def test_each_column_is_combined_as_declared(conform, make_source, make_points):
    frame = make_banks(
        make_points,
        ["a", "b", "a", "a"],
        [40, 7.5, 33.3, None],
        numbers=[2, 3, 1, 1],
        N=[None, "B", "A", None],
        KV=[115, 34.5, 34.5, None],
    )
    conformed = conform(frame, make_source("substations", "s.csv", BANKS, group=GROUP))
    rows = conformed.frame.set_index("substation_id")
    assert rows.index.tolist() == ["a", "b"]
    assert rows["name"].tolist() == ["A", "B"]
    assert rows["bank_count"].tolist() == [2 + 1 + 1, 3]
    assert rows["voltage_kv"].tolist() == [34.5, 34.5]
    assert rows["largest_bank_mva"].tolist() == [40, 7.5]
    # The sum of 80 MVA, 33.3 MVA and a bank of unknown rating is unknown, not 113.3 MVA.
    np.testing.assert_array_equal(rows["nameplate_mva"], [np.nan, 3 * 7.5])
    assert conformed.notes == (
        "4 rows combined into 2 by substation_id",
        "nameplate_mva: 1 sum with a missing part, taken as missing",
    )
    assert conformed.rows_in == 4


def test_a_sum_of_nothing_is_missing(conform, make_source, make_points):
    frame = make_banks(make_points, ["a", "a"], [None, None])
    conformed = conform(frame, make_source("substations", "s.csv", BANKS, group=GROUP))
    assert conformed.frame["nameplate_mva"].isna().all()
    assert conformed.notes == ("2 rows combined into 1 by substation_id",)


def test_the_shape_is_the_first_known_one(conform, make_source, make_points):
    frame = make_banks(make_points, ["a", "a", "b"], [1, 2, 3])
    frame.loc[0, "geometry"] = None
    conformed = conform(frame, make_source("substations", "s.csv", BANKS, group=GROUP))
    assert conformed.frame.geometry.iloc[0] == frame.geometry.iloc[1]
    assert conformed.frame.geometry.iloc[1] == frame.geometry.iloc[2]


def test_rows_without_a_key_are_not_combined(conform, make_source, make_points):
    frame = make_banks(make_points, ["a", "a", None, None], [1, 2, 3, 4])
    # The layer's contract says that a substation must have a key.
    with pytest.raises(ContractError, match="substation_id"):
        conform(frame, make_source("substations", "s.csv", BANKS, group=GROUP))
    columns = {
        "receptor_class": {"value": "school"},
        "name": {"column": "ID"},
    }
    conformed = conform(frame, make_source("receptors", "r.csv", columns, group={"by": "name"}))
    assert len(conformed.frame) == 3
    assert conformed.notes == ("2 rows combined into 1 by name",)


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([None, 0.1, 0.2, 0.3, 7.0, 1000 / 3]),
        st.sampled_from([None, "x", "y", "z"]),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.randoms(use_true_random=False))
def test_shuffled_rows_are_combined_into_the_same(conform, make_source, make_points, rows, random):
    ids, mva, names = zip(*rows, strict=True)
    frame = make_banks(make_points, list(ids), list(mva), N=list(names))
    source = make_source("substations", "s.csv", BANKS, group=GROUP)
    order = list(range(len(rows)))
    random.shuffle(order)
    first, second = conform(frame, source), conform(frame.iloc[order], source)
    pd.testing.assert_frame_equal(pd.DataFrame(first.frame), pd.DataFrame(second.frame))
    assert first.notes == second.notes


def test_rows_filled_down_keep_the_order_of_the_file(conform, make_source, make_points):
    columns = BANKS | {"substation_id": {"column": "ID", "fill_down": True}}
    frame = make_banks(make_points, ["b", None, "a"], [1, 2, 4], N=["z", "y", "x"])
    conformed = conform(frame, make_source("substations", "s.csv", columns, group=GROUP))
    rows = conformed.frame.set_index("substation_id")
    assert rows["nameplate_mva"].to_dict() == {"a": 4, "b": 3}
    assert rows["name"].to_dict() == {"a": "x", "b": "z"}
    assert conformed.notes[:1] == ("ID: 1 blank filled from above",)


# ---------------------------------------------------------------------------------------------
# Places by name

CAPACITY = {
    "record_id": {"column": "ID"},
    "kind": {"value": "load"},
    "grain": {"value": "feeder"},
    "substation_id": {"column": "AT"},
}


@pytest.fixture
def locate(conform, make_source, make_table):
    """Return a function that conforms feeders at named substations, using a table of places."""

    def locate_named(at, places, shapes=None, lost=0.0, **place):
        frame = make_table(shapes or [None] * len(at), ID=[f"F{n}" for n in range(len(at))], AT=at)
        source = make_source(
            "capacity",
            "f.csv",
            CAPACITY,
            place=PLACE | place,
            expect={"null_geometry_share_max": lost},
        )
        conformed = conform(frame, source, places=pd.DataFrame(places, dtype="str"))
        return conformed.frame.set_index("record_id").geometry, conformed.notes

    return locate_named


def test_rows_are_located_by_name(locate, make_point):
    x, y = make_point(5, 7).x, make_point(5, 7).y
    places = {"NAME": ["A ", "B", None], "x": [f"{x}", f"{x + 10}", "1"], "y": [f"{y}"] * 3}
    shapes, notes = locate([" A", "B", "A"], places)
    assert shapes["F0"] == shapes["F2"] == make_point(5, 7)
    assert shapes["F1"] == make_point(15, 7)
    assert notes == ("1 row of places.csv without a name or a readable place",)


def test_rows_without_a_place_are_counted_named_and_dropped(locate, make_point):
    places = {"NAME": ["A"], "x": [str(make_point(0, 0).x)], "y": [str(make_point(0, 0).y)]}
    shapes, notes = locate(["A", "B", None, "B"], places, lost=0.75)
    assert shapes.index.tolist() == ["F0"]
    assert notes == (
        "3 rows without a place in places.csv, such as 'B'",
        "3 rows without geometry dropped",
    )
    with pytest.raises(ContractError, match="null geometry in 3 of 4 rows"):
        locate(["A", "B", None, "B"], places, lost=0.7)


def test_without_any_readable_place_no_row_is_left(locate):
    places = {"NAME": ["A", None], "x": ["east", "1"], "y": ["1", "1"]}
    with pytest.raises(ContractError, match="null geometry in 1 of 1 rows"):
        locate(["A"], places)


def test_two_places_of_one_name_do_not_depend_on_the_files_order(locate, make_point):
    near, far = make_point(0, 0), make_point(100, 50)
    places = {"NAME": ["A", "A"], "x": [str(far.x), str(near.x)], "y": [str(far.y), str(near.y)]}
    shapes, notes = locate(["A"], places)
    assert shapes["F0"] == near  # the one farther west
    assert notes == ("1 row of places.csv with a repeated name, not used",)
    again, _ = locate(["A"], {name: values[::-1] for name, values in places.items()})
    assert again["F0"] == near


def test_a_row_with_its_own_coordinates_keeps_them(locate, make_point):
    places = {"NAME": ["A"], "x": [str(make_point(0, 0).x)], "y": [str(make_point(0, 0).y)]}
    shapes, _ = locate(["A", "A"], places, shapes=[make_point(9, 9), None])
    assert shapes["F0"] == make_point(9, 9)
    assert shapes["F1"] == make_point(0, 0)


def test_places_may_have_another_crs_and_decimal_mark(locate, make_point, make_table):
    there = make_table([make_point(3, 4)]).to_crs(3857).geometry.iloc[0]
    written = [
        f"{value:_.3f}".replace("_", "\u00a0").replace(".", ",") for value in there.coords[0]
    ]
    places = {"NAME": ["A"], "x": written[:1], "y": written[1:]}
    shapes, _ = locate(["A"], places, crs="EPSG:3857", decimal=",")
    # The coordinates are written to the millimeter.
    assert shapes["F0"].distance(make_point(3, 4)) < 0.002


def test_a_missing_column_of_places_is_named(locate):
    with pytest.raises(SourceChanged, match=r"no column 'NAME' \(nearest: 'NAMES'\)"):
        locate(["A"], {"NAMES": ["A"], "x": ["1"], "y": ["1"]})


@pytest.mark.parametrize("more", [{"group": {"by": "names"}}, {"place": PLACE | {"to": "AT"}}])
def test_a_key_must_be_among_the_columns(make_source, more):
    with pytest.raises(ValidationError, match="is not one of its columns"):
        make_source("capacity", "f.csv", CAPACITY, **more)


def test_a_crs_of_places_must_be_known(make_source):
    with pytest.raises(ValidationError, match="'EPSG:0' is not known"):
        make_source("capacity", "f.csv", CAPACITY, place=PLACE | {"crs": "EPSG:0"})


def test_a_table_without_coordinates_is_pulled_with_its_places(
    tmp_path, make_source, make_market, night, make_point
):
    source = make_source("capacity", "f.csv", CAPACITY, place=PLACE | {"delimiter": ";"})
    store = tmp_path / "var" / "tiny.duckdb"
    (tmp_path / "f.csv").write_text("ID,AT\nF1,A\n", "utf-8")
    with pytest.raises(ConfigError, match=r"place\.path = 'places\.csv'"):
        refresh_source(source, make_market(source.id), tmp_path, store, night)
    places = tmp_path / "places.csv"
    places.write_text(f"NAME;x;y\nA;{make_point(0, 0).x};{make_point(0, 0).y}\n", "utf-8")
    first = refresh_source(source, make_market(source.id), tmp_path, store, night)
    assert (first.rows, first.changed) == (1, True)
    assert not refresh_source(source, make_market(source.id), tmp_path, store, night).changed
    # The place table is part of the source's files.
    places.write_text(f"NAME;x;y\nA;{make_point(9, 0).x};{make_point(0, 0).y}\n", "utf-8")
    assert refresh_source(source, make_market(source.id), tmp_path, store, night).changed
    kept = sorted(path.name for path in (store.parent / "raw" / source.id).rglob("*.gz"))
    assert kept == ["0-f.csv.gz", "0-f.csv.gz", "1-places.csv.gz", "1-places.csv.gz"]
