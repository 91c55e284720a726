"""Columns are read as declared: units in the text, ratings, bounds, twins, multiples."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.source import ColumnOrigin
from data.texts import text_values
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
    """Return a function that conforms one column of substations, given other columns too."""

    def conform_one(name, declared, decimal=".", **columns):
        frame = make_points(len(next(iter(columns.values()))), **columns)
        source = make_source(
            "substations",
            "s.csv",
            SUBSTATION | {name: declared},
            fetch={"decimal": decimal},
            expect=LENIENT,
        )
        conformed = conform(frame, source)
        return conformed.frame.set_index("substation_id")[name].tolist(), conformed.notes

    return conform_one


PRESSURES = {"psig": "psi", "bar": "bar", "mbar": "mbar", "in WC": "inWC", "": "psi"}
MAIN = {"main_id": {"column": "ID"}, "pressure_kpa": {"column": "P", "units": PRESSURES}}


def conform_pressures(conform, make_source, make_table, make_square, texts, **fetch):
    lines = [make_square(30 * n, 0).exterior for n in range(len(texts))]
    frame = make_table(lines, ID=[f"S{n}" for n in range(len(texts))], P=texts)
    conformed = conform(frame, make_source("mains", "m.csv", MAIN, expect=LENIENT, fetch=fetch))
    return conformed.frame["pressure_kpa"].tolist(), conformed.notes


def test_each_text_carries_its_own_unit(conform, make_source, make_table, make_square):
    texts = ["60 psig", "4 bar", "75mbar", "7 in  WC", "60", "2 furlongs", "psig", None]
    values, notes = conform_pressures(conform, make_source, make_table, make_square, texts)
    # NIST SP 811 B.8: 1 psi = 6.894757 kPa, 1 conventional inch of water = 249.0889 Pa
    expected = [60 * 6.894757, 400, 7.5, 7 * 0.24908891, 60 * 6.894757] + [np.nan] * 3
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert notes == ("P: 2 unreadable numbers, taken as missing",)


def test_a_unit_may_follow_any_decimal_mark_and_thousands(
    conform, make_source, make_table, make_square
):
    texts = ["1\u00a0200,5 mbar", "1.200,5mbar", "-0,5 bar"]
    with pytest.raises(ContractError, match="pressure_kpa"):  # below the layer's minimum
        conform_pressures(conform, make_source, make_table, make_square, texts, decimal=",")
    values, _ = conform_pressures(
        conform, make_source, make_table, make_square, texts[:2], decimal=","
    )
    assert values == pytest.approx([120.05, 120.05])


def test_a_number_alone_needs_a_declared_unit_too(conform_column):
    declared = {"column": "P", "units": {"MW": "MW", "kW": "kW"}}
    values, notes = conform_column("headroom_kw", declared, P=["5.5MW", "800 kW", "3"])
    np.testing.assert_array_equal(values, [5500, 800, np.nan])
    assert notes == ("P: 1 unreadable number, taken as missing",)


def test_numeric_cells_have_no_unit_in_the_text(conform_column):
    declared = {"column": "P", "units": {"MW": "MW", "": "kW"}}
    # The decimal mark applies only to texts: the number 2.5 is not read as 25.
    values, _ = conform_column("headroom_kw", declared, decimal=",", P=[2.5, 40.0])
    assert values == [2.5, 40]


RATINGS = ["20/26.67/33.33", "18/24/30/33.6", "5", "115-13.8", "12//16/20/24", "a/b", "-5", None]


@pytest.mark.parametrize(
    ("which", "read"), [("max", [33.33, 33.6, 5, 115]), ("first", [20, 18, 5, 115])]
)
def test_a_rating_is_its_highest_or_first_stage(conform_column, which, read):
    declared = {"column": "MVA", "rating": which}
    values, notes = conform_column("nameplate_mva", declared, MVA=RATINGS)
    np.testing.assert_array_equal(values, [*read, *[np.nan] * 4])
    assert notes == ("MVA: 3 unreadable numbers, taken as missing",)


@given(st.lists(st.lists(st.integers(1, 10**6), min_size=1, max_size=5), min_size=1, max_size=6))
def test_each_row_has_its_own_stages(make_source, stages):
    rows = pd.DataFrame({"R": ["/".join(map(str, parts)) for parts in stages]})
    # All rows have the same index label, as in a table combined from several files.
    rows.index = [7] * len(rows)
    column = Column(title="R", type="float", unit="MVA")
    for which, pick in (("max", max), ("first", lambda parts: parts[0])):
        origin = ColumnOrigin(column="R", rating=which)
        values, notes = read_column(
            rows, "r", origin, column, make_source("substations", "s.csv"), "s.csv"
        )
        assert values.tolist() == [pick(parts) for parts in stages]
        assert notes == []


def test_ratings_that_became_dates_are_read_back(conform_column):
    # A spreadsheet reads 12/16/20 in a cell as December 16, 2020.
    texts = ["2020-12-16", "2014-10-12 00:00:00", "12/16/22.4"]
    declared = {"column": "MVA", "rating": "max", "date_was": "%m/%d/%y"}
    values, notes = conform_column("nameplate_mva", declared, MVA=texts)
    assert values == [20, 14, 22.4]
    assert notes == ("MVA: 2 dates read back as ratings",)
    days = [pd.Timestamp(2020, 12, 16), pd.NaT]
    assert conform_column("nameplate_mva", declared, MVA=days)[0][0] == 20


def test_a_date_is_not_a_rating_unless_declared(conform_column):
    values, notes = conform_column(
        "nameplate_mva", {"column": "MVA", "rating": "max"}, MVA=["2020-12-16"]
    )
    assert np.isnan(values).all()
    assert notes == ("MVA: 1 unreadable number, taken as missing",)


def test_impossible_values_are_missing_and_counted(conform_column):
    # A feeder with 999,999 kW; the bounds are in the layer's unit, kW.
    declared = {"column": "MW", "unit": "MW", "least": -50_000, "most": 500_000}
    values, notes = conform_column("headroom_kw", declared, MW=[999.999, 2.5, -60, -50, 500])
    np.testing.assert_array_equal(values, [np.nan, 2500, np.nan, -50_000, 500_000])
    assert notes == ("MW: 2 values below -50000 or above 500000 kW, taken as missing",)
    values, notes = conform_column("headroom_kw", {"column": "KW", "most": 10}, KW=["11", "10"])
    assert notes == ("KW: 1 value above 10 kW, taken as missing",)


def test_a_zero_counts_only_beside_a_known_twin(conform_column):
    declared = {"column": "MW_v", "unit": "MW", "twin": "MW", "missing": ["n/a"]}
    shown, real = [0, 0, 0, 1.5, 2], ["0.0", None, "n/a", "1.5", None]
    values, notes = conform_column("headroom_kw", declared, MW_v=shown, MW=real)
    np.testing.assert_array_equal(values, [0, np.nan, np.nan, 1500, 2000])
    assert notes == ("MW_v: 2 zeros beside an empty MW, taken as missing",)


def test_a_value_may_be_multiplied_by_another_column(conform_column):
    declared = {"column": "Rated MVA", "rating": "max", "times": "#Banks", "unit": "MVA"}
    columns = {"Rated MVA": ["5/6.25", "40", "40", "40", None], "#Banks": ["3", "2", None, "x", 1]}
    values, notes = conform_column("nameplate_mva", declared, **columns)
    # 3 banks of 6.25 MVA; 2 banks of 40 MVA; an unknown number of banks gives an unknown sum.
    np.testing.assert_array_equal(values, [18.75, 80, np.nan, np.nan, np.nan])
    assert notes == (
        "#Banks: 1 unreadable number, taken as missing",
        "Rated MVA: 1 value without #Banks, taken as missing",
    )


def test_a_bound_applies_before_the_multiple(conform_column):
    declared = {"column": "MVA", "times": "N", "most": 50}
    assert conform_column("nameplate_mva", declared, MVA=["40"], N=["3"])[0] == [120]


def test_a_blank_is_filled_with_the_value_above_it(conform_column):
    values, notes = conform_column(
        "name", {"column": "N", "fill_down": True}, N=["a", None, "", "b", " "]
    )
    assert values == ["a", "a", "a", "b", "b"]
    assert notes == ("N: 3 blanks filled from above",)
    values, notes = conform_column("name", {"column": "N", "fill_down": True}, N=[None, "b"])
    assert pd.isna(values[0])
    assert (values[1], notes) == ("b", ())


def test_blanks_are_filled_before_rows_are_left_out(conform, make_source, make_points):
    columns = SUBSTATION | {"name": {"column": "N", "fill_down": True}}
    source = make_source("substations", "s.csv", columns, drop={"OLD": ["y"]})
    values = conform(make_points(3, N=["a", None, None], OLD=["y", "n", "n"]), source).frame
    assert values["name"].tolist() == ["a", "a"]


def test_a_name_in_another_spelling_is_renamed(conform_column):
    declared = {"column": "N", "rename": {"ASH STREET": "ASH ST."}, "missing": ["?"]}
    values, notes = conform_column("name", declared, N=["ASH STREET ", "ELM ST.", "?"])
    assert values[:2] == ["ASH ST.", "ELM ST."]
    assert pd.isna(values[2])
    assert notes == ("N: 1 name in another spelling",)


def test_headroom_as_a_percentage_of_firm_capacity(conform, make_source, make_points):
    columns = SUBSTATION | {
        "firm_capacity_mva": {"column": "FIRM", "unit": "MVA"},
        "headroom_share": {"column": "DEMAND", "unit": "%"},
    }
    values = conform(
        make_points(3, FIRM=[40, 20, 10], DEMAND=[25, -12.5, None]),
        make_source("substations", "s.csv", columns),
    ).frame
    # 1/4 of the capacity is left; overloaded by 1/8; unknown.
    np.testing.assert_array_equal(values["headroom_share"], [0.25, -0.125, np.nan])


@pytest.mark.parametrize(
    "ceiling", [{"value": 10_000}, {"value": 10, "unit": "MW"}, {"value": 10_000.0, "unit": "kW"}]
)
def test_a_ceiling_is_one_value_with_its_own_unit(conform, make_source, make_points, ceiling):
    columns = CELL | {"headroom_kw": {"column": "MW", "unit": "MW"}, "ceiling_kw": ceiling}
    values = conform(make_points(2, MW=[10, 3.5]), make_source("capacity", "c.csv", columns)).frame
    assert values["ceiling_kw"].tolist() == [10_000, 10_000]
    # A value is censored where it has reached the ceiling.
    assert (values["headroom_kw"] >= values["ceiling_kw"]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        ({"column": "A", "unit": "psi", "units": {"": "psi"}}, "either unit or units"),
        ({"column": "A", "units": {"psig": "psig"}}, "'psig' is not a known unit"),
        ({"column": "A", "date_was": "%m/%d/%y"}, "give one of them too"),
        ({"column": "A", "least": 2, "most": 1}, "least 2 is above most 1"),
        ({"column": "A", "map": {"a": "b"}, "rename": {"a": "b"}}, "either map or rename"),
        ({"value": 1, "times": "N"}, "times applies to a column"),
        ({"value": 1, "fill_down": True}, "fill_down applies to a column"),
    ],
)
def test_contradictory_declarations_are_refused(declared, wrong):
    with pytest.raises(ValidationError, match=wrong):
        ColumnOrigin.model_validate(declared)


@pytest.mark.parametrize("more", [{"rating": "max"}, {"most": 5}, {"fold": "sum"}, {"times": "N"}])
def test_only_numbers_take_options_of_numbers(conform, make_source, make_points, more):
    columns = SUBSTATION | {"name": {"column": "N"} | more}
    with pytest.raises(ConfigError, match="name is a string and takes no"):
        conform(make_points(1, N=["a"]), make_source("substations", "s.csv", columns))


def test_a_unit_of_another_quantity_is_refused(conform_column):
    with pytest.raises(ConfigError, match="measures pressure"):
        conform_column("headroom_kw", {"column": "P", "units": {"psi": "psi"}}, P=["5 psi"])


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([7.0, 2.5, None, -0.0, 1e-5, 1e22, float("inf"), 2.0**60]),
        # 1.1 as float32 is 1.10000002..., which the text must not hide.
        pd.Series([1.1, 2.0], dtype="float32"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([2.0, None, 3.25], dtype="Float64"),
        pd.Series([1, 2, 3]),
        pd.Series([" a", "", " ", None, "b\t"], dtype="str"),
        pd.Series([" a", 1, 2.0, True, None], dtype="object"),
        pd.Series([True, False]),
        pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"])),
    ],
    ids=lambda values: str(values.dtype),
)
def test_texts_are_those_of_the_single_values(values):
    is_number = pd.api.types.is_float_dtype(values.dtype)

    def write(value):
        if is_number and float(value).is_integer() and abs(value) < 2**53:
            return str(int(value))
        return str(value).strip()

    known = [value for value in values.astype("object") if not pd.isna(value)]
    texts = text_values(values)
    assert texts.dtype == "str"
    assert texts.dropna().tolist() == [text for text in map(write, known) if text]
    assert len(texts) == len(values)


@pytest.mark.parametrize("ids", [["2.12926E+17", "2.12927E+17"], [212926000000000001.0, 3.0]])
def test_ids_that_lost_their_last_digits_are_refused(conform, make_source, make_points, ids):
    source = make_source("substations", "s.csv", SUBSTATION)
    with pytest.raises(ContractError, match=r"'ID': \d ids? of 2 lost digits, such as '2\.12926"):
        conform(make_points(2, ID=ids), source)
    # An id may look like a power of ten.
    assert len(conform(make_points(2, ID=["1E10", "12E45"]), source).frame) == 2


@pytest.mark.parametrize(("date_format", "unit"), [("epoch_ms", 1000), ("epoch_s", 1)])
def test_a_date_may_count_from_1970(conform_column, date_format, unit):
    # 20,089 days after the first of January 1970 is the first of January 2025.
    declared = {"column": "D", "date_format": date_format}
    values, _ = conform_column("as_of", declared, D=[20_089 * 86_400 * unit, None])
    assert values[0] == pd.Timestamp("2025-01-01")
    other = 20_089 * 86_400 * (1 if unit == 1000 else 1000)
    values, notes = conform_column("as_of", declared, D=[other])
    assert pd.isna(values[0])
    assert notes == ("D: 1 unreadable date, taken as missing",)


def test_texts_can_neither_steer_a_terminal_nor_fill_a_page(conform, make_source, make_points):
    names = [
        "\x1b[31mred\x07",
        "two\r\nlines",
        "a\u202egnp.exe",
        "x" * 5_000,
        "Zoë 🏭 \u200f",
        "\x00",
    ]
    frame = make_points(6, NAME=names)
    conformed = conform(
        frame, make_source("substations", "s.csv", SUBSTATION | {"name": {"column": "NAME"}})
    )
    expected = ["[31mred", "two  lines", "a gnp.exe", "x" * 999 + "…", "Zoë 🏭 \u200f", None]
    found = conformed.frame.sort_values("substation_id")["name"]
    assert [None if pd.isna(one) else one for one in found] == expected
    assert conformed.notes == (
        "NAME: 4 texts with control characters, read as blanks",
        "NAME: 1 text cut after 1,000 characters",
    )
