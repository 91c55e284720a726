"""What a source may declare of a column: units in the text, ratings, bounds, twins, multiples."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.source import ColumnOrigin
from data.values import read_column
from geo.errors import ConfigError, ContractError
from geo.model import Column

SUBSTATION = {"substation_id": {"column": "ID"}, "status": {"value": "unknown"}}
CELL = {
    "record_id": {"column": "ID"},
    "kind": {"value": "load"},
    "grain": {"value": "cell"},
}
LENIENT = {"unreadable_share_max": 1.0}


@pytest.fixture
def conform_column(conform, make_source, make_points):
    """Return a function that conforms one column of substations beside others of the file."""

    def conform_one(name, declared, decimal=".", **columns):
        frame = make_points(len(next(iter(columns.values()))), **columns)
        said = make_source(
            "substations",
            "s.csv",
            SUBSTATION | {name: declared},
            fetch={"decimal": decimal},
            expect=LENIENT,
        )
        got = conform(frame, said)
        return got.frame.set_index("substation_id")[name].tolist(), got.notes

    return conform_one


PRESSURES = {"psig": "psi", "bar": "bar", "mbar": "mbar", "in WC": "inWC", "": "psi"}
MAIN = {"main_id": {"column": "ID"}, "pressure_kpa": {"column": "P", "units": PRESSURES}}


def conform_pressures(conform, make_source, make_table, make_square, texts, **fetch):
    lines = [make_square(30 * n, 0).exterior for n in range(len(texts))]
    frame = make_table(lines, ID=[f"S{n}" for n in range(len(texts))], P=texts)
    got = conform(frame, make_source("mains", "m.csv", MAIN, expect=LENIENT, fetch=fetch))
    return got.frame["pressure_kpa"].tolist(), got.notes


def test_each_text_carries_its_own_unit(conform, make_source, make_table, make_square):
    texts = ["60 psig", "4 bar", "75mbar", "7 in  WC", "60", "2 furlongs", "psig", None]
    got, notes = conform_pressures(conform, make_source, make_table, make_square, texts)
    # NIST SP 811 B.8: 1 psi = 6.894757 kPa, 1 conventional inch of water = 249.0889 Pa
    expected = [60 * 6.894757, 400, 7.5, 7 * 0.24908891, 60 * 6.894757] + [np.nan] * 3
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert notes == ("P: 2 unreadable numbers, taken as missing",)


def test_a_unit_stands_after_any_decimal_mark_and_thousands(
    conform, make_source, make_table, make_square
):
    texts = ["1\u00a0200,5 mbar", "1.200,5mbar", "-0,5 bar"]
    with pytest.raises(ContractError, match="pressure_kpa"):  # below what the layer may hold
        conform_pressures(conform, make_source, make_table, make_square, texts, decimal=",")
    got, _ = conform_pressures(
        conform, make_source, make_table, make_square, texts[:2], decimal=","
    )
    assert got == pytest.approx([120.05, 120.05])


def test_a_bare_number_needs_its_unit_declared_too(conform_column):
    declared = {"column": "P", "units": {"MW": "MW", "kW": "kW"}}
    got, notes = conform_column("headroom_kw", declared, P=["5.5MW", "800 kW", "3"])
    np.testing.assert_array_equal(got, [5500, 800, np.nan])
    assert notes == ("P: 1 unreadable number, taken as missing",)


def test_numbers_that_are_numbers_already_have_no_unit(conform_column):
    declared = {"column": "P", "units": {"MW": "MW", "": "kW"}}
    # the decimal mark is of texts: 2.5 is not 25
    got, _ = conform_column("headroom_kw", declared, decimal=",", P=[2.5, 40.0])
    assert got == [2.5, 40]


RATINGS = ["20/26.67/33.33", "18/24/30/33.6", "5", "115-13.8", "12//16/20/24", "a/b", "-5", None]


@pytest.mark.parametrize(
    ("which", "read"), [("max", [33.33, 33.6, 5, 115]), ("first", [20, 18, 5, 115])]
)
def test_a_rating_is_its_highest_or_its_first_stage(conform_column, which, read):
    declared = {"column": "MVA", "rating": which}
    got, notes = conform_column("nameplate_mva", declared, MVA=RATINGS)
    np.testing.assert_array_equal(got, [*read, *[np.nan] * 4])
    assert notes == ("MVA: 3 unreadable numbers, taken as missing",)


@given(st.lists(st.lists(st.integers(1, 10**6), min_size=1, max_size=5), min_size=1, max_size=6))
def test_every_rating_is_read_as_its_own_stages(make_source, stages):
    rows = pd.DataFrame({"R": ["/".join(map(str, one)) for one in stages]})
    # One label for all rows: a file put together of several may have that.
    rows.index = [7] * len(rows)
    column = Column(title="R", type="float", unit="MVA")
    for which, pick in (("max", max), ("first", lambda one: one[0])):
        origin = ColumnOrigin(column="R", rating=which)
        got, notes = read_column(
            rows, "r", origin, column, make_source("substations", "s.csv"), "s.csv"
        )
        assert got.tolist() == [pick(one) for one in stages]
        assert notes == []


def test_ratings_that_became_dates_are_read_back(conform_column):
    # 12/16/20 in a cell is the 16th of December 2020 to a spreadsheet
    texts = ["2020-12-16", "2014-10-12 00:00:00", "12/16/22.4"]
    declared = {"column": "MVA", "rating": "max", "date_was": "%m/%d/%y"}
    got, notes = conform_column("nameplate_mva", declared, MVA=texts)
    assert got == [20, 14, 22.4]
    assert notes == ("MVA: 2 dates read back as ratings",)
    days = [pd.Timestamp(2020, 12, 16), pd.NaT]
    assert conform_column("nameplate_mva", declared, MVA=days)[0][0] == 20


def test_a_date_is_no_rating_unless_said(conform_column):
    got, notes = conform_column(
        "nameplate_mva", {"column": "MVA", "rating": "max"}, MVA=["2020-12-16"]
    )
    assert np.isnan(got).all()
    assert notes == ("MVA: 1 unreadable number, taken as missing",)


def test_what_cannot_be_is_missing_and_counted(conform_column):
    # 999999 kW on a feeder; the bounds are in the layer's unit, here kW
    declared = {"column": "MW", "unit": "MW", "least": -50_000, "most": 500_000}
    got, notes = conform_column("headroom_kw", declared, MW=[999.999, 2.5, -60, -50, 500])
    np.testing.assert_array_equal(got, [np.nan, 2500, np.nan, -50_000, 500_000])
    assert notes == ("MW: 2 values below -50000 or above 500000 kW, taken as missing",)
    got, notes = conform_column("headroom_kw", {"column": "KW", "most": 10}, KW=["11", "10"])
    assert notes == ("KW: 1 value above 10 kW, taken as missing",)


def test_a_zero_counts_only_beside_a_known_twin(conform_column):
    declared = {"column": "MW_v", "unit": "MW", "twin": "MW", "missing": ["n/a"]}
    shown, real = [0, 0, 0, 1.5, 2], ["0.0", None, "n/a", "1.5", None]
    got, notes = conform_column("headroom_kw", declared, MW_v=shown, MW=real)
    np.testing.assert_array_equal(got, [0, np.nan, np.nan, 1500, 2000])
    assert notes == ("MW_v: 2 zeros beside an empty MW, taken as missing",)


def test_a_value_may_be_so_many_times_another_column(conform_column):
    declared = {"column": "Rated MVA", "rating": "max", "times": "#Banks", "unit": "MVA"}
    columns = {"Rated MVA": ["5/6.25", "40", "40", "40", None], "#Banks": ["3", "2", None, "x", 1]}
    got, notes = conform_column("nameplate_mva", declared, **columns)
    # 3 banks of 6.25 MVA; 2 of 40; of an unknown number the sum is unknown
    np.testing.assert_array_equal(got, [18.75, 80, np.nan, np.nan, np.nan])
    assert notes == (
        "#Banks: 1 unreadable number, taken as missing",
        "Rated MVA: 1 value without #Banks, taken as missing",
    )


def test_a_bound_is_of_one_of_several(conform_column):
    declared = {"column": "MVA", "times": "N", "most": 50}
    assert conform_column("nameplate_mva", declared, MVA=["40"], N=["3"])[0] == [120]


def test_a_blank_is_the_value_above_it(conform_column):
    got, notes = conform_column(
        "name", {"column": "N", "fill_down": True}, N=["a", None, "", "b", " "]
    )
    assert got == ["a", "a", "a", "b", "b"]
    assert notes == ("N: 3 blanks filled from above",)
    got, notes = conform_column("name", {"column": "N", "fill_down": True}, N=[None, "b"])
    assert pd.isna(got[0])
    assert (got[1], notes) == ("b", ())


def test_blanks_are_filled_before_rows_are_left_out(conform, make_source, make_points):
    columns = SUBSTATION | {"name": {"column": "N", "fill_down": True}}
    said = make_source("substations", "s.csv", columns, drop={"OLD": ["y"]})
    got = conform(make_points(3, N=["a", None, None], OLD=["y", "n", "n"]), said).frame
    assert got["name"].tolist() == ["a", "a"]


def test_a_name_may_be_spelt_in_another_way(conform_column):
    declared = {"column": "N", "rename": {"ASH STREET": "ASH ST."}, "missing": ["?"]}
    got, notes = conform_column("name", declared, N=["ASH STREET ", "ELM ST.", "?"])
    assert got[:2] == ["ASH ST.", "ELM ST."]
    assert pd.isna(got[2])
    assert notes == ("N: 1 name in another spelling",)


def test_headroom_as_a_percentage_of_firm_capacity(conform, make_source, make_points):
    columns = SUBSTATION | {
        "firm_capacity_mva": {"column": "FIRM", "unit": "MVA"},
        "headroom_share": {"column": "DEMAND", "unit": "%"},
    }
    got = conform(
        make_points(3, FIRM=[40, 20, 10], DEMAND=[25, -12.5, None]),
        make_source("substations", "s.csv", columns),
    ).frame
    # a quarter of 40 MVA; overloaded by an eighth; not said
    np.testing.assert_array_equal(got["headroom_share"], [0.25, -0.125, np.nan])


@pytest.mark.parametrize(
    "ceiling", [{"value": 10_000}, {"value": 10, "unit": "MW"}, {"value": 10_000.0, "unit": "kW"}]
)
def test_a_ceiling_is_one_value_in_its_own_unit(conform, make_source, make_points, ceiling):
    columns = CELL | {"headroom_kw": {"column": "MW", "unit": "MW"}, "ceiling_kw": ceiling}
    got = conform(make_points(2, MW=[10, 3.5]), make_source("capacity", "c.csv", columns)).frame
    assert got["ceiling_kw"].tolist() == [10_000, 10_000]
    # what is censored is what has reached the ceiling
    assert (got["headroom_kw"] >= got["ceiling_kw"]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        ({"column": "A", "unit": "psi", "units": {"": "psi"}}, "either unit or units"),
        ({"column": "A", "units": {"psig": "psig"}}, "'psig' is not a known unit"),
        ({"column": "A", "date_was": "%m/%d/%y"}, "give rating too"),
        ({"column": "A", "least": 2, "most": 1}, "least 2 is above most 1"),
        ({"column": "A", "map": {"a": "b"}, "rename": {"a": "b"}}, "either map or rename"),
        ({"value": 1, "times": "N"}, "times applies to a column"),
        ({"value": 1, "fill_down": True}, "fill_down applies to a column"),
    ],
)
def test_declarations_that_contradict_themselves(declared, wrong):
    with pytest.raises(ValidationError, match=wrong):
        ColumnOrigin.model_validate(declared)


@pytest.mark.parametrize("more", [{"rating": "max"}, {"most": 5}, {"fold": "sum"}, {"times": "N"}])
def test_only_numbers_take_what_is_of_numbers(conform, make_source, make_points, more):
    columns = SUBSTATION | {"name": {"column": "N"} | more}
    with pytest.raises(ConfigError, match="name is a string and takes no"):
        conform(make_points(1, N=["a"]), make_source("substations", "s.csv", columns))


def test_a_unit_of_another_quantity_is_refused(conform_column):
    with pytest.raises(ConfigError, match="measures pressure"):
        conform_column("headroom_kw", {"column": "P", "units": {"psi": "psi"}}, P=["5 psi"])
