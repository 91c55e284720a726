"""Quantities in text: fractions of an inch, and ranges that may be open."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.quantities import append_units, read_quantities
from data.source import ColumnOrigin
from geo.errors import ConfigError, ContractError, SourceChanged
from geo.model import Column

INCHES = Column(title="Diameter", type="float", unit="in")
POWER = Column(title="Headroom", type="float", unit="kW")
PIPE = {"column": "SIZE", "fraction": True, "units": {'"': "in", "in": "in", "mm": "mm", "": "in"}}
CAPACITY = {"column": "KW", "units": {"kW": "kW", "MW": "MW", "": "kW"}}


def read(texts, layer_column, decimal=".", **declared):
    found = read_quantities(pd.Series(texts), ColumnOrigin(**declared), layer_column, decimal)
    return found.numbers.tolist(), found.is_unreadable.tolist(), found.notes


@pytest.mark.parametrize(
    ("text", "inches"),
    [
        ('1-1/4"', 1.25),
        ('1 1/4"', 1.25),
        ("3/4 in", 0.75),
        ("2-1/2", 2.5),
        ("1\u00bc in", 1.25),
        ('\u00be"', 0.75),
        ("1\u20441 in", np.nan),
        ("5\u20448", 0.625),
        ("6", 6.0),
        ("0.75", 0.75),
        ("127 mm", 5.0),  # 25.4 mm to the inch
        ("33/64", 0.515625),
        ("4/3", np.nan),  # not a proper fraction
        ("1/3", np.nan),  # not on a ruler
        ("1-1", np.nan),
        ('1/4"-1/2"', np.nan),
        ("2 furlongs", np.nan),
    ],
)
def test_a_size_may_be_a_fraction_of_an_inch(text, inches):
    values, is_unreadable, _ = read([text], INCHES, **PIPE)
    np.testing.assert_allclose(values, [inches])
    assert is_unreadable == [bool(np.isnan(inches))]


def test_a_fraction_needs_its_declaration():
    values, is_unreadable, _ = read(["3/4"], INCHES, column="SIZE")
    assert np.isnan(values).all()
    assert is_unreadable == [True]


def test_a_fraction_that_became_a_date_is_read_back():
    # A spreadsheet reads 3/4 as March 4 of the current year.
    values, _, notes = read(
        ["2026-03-04", "1-1/4"], INCHES, column="SIZE", fraction=True, date_was="%m/%d"
    )
    assert values == [0.75, 1.25]
    assert notes == ["SIZE: 1 date read back as a fraction"]


@given(st.integers(0, 60), st.integers(1, 63))
def test_every_sixty_fourth_is_read(whole, part):
    # 12/64 stays as it is: nobody has to reduce a fraction.
    text = f"{whole}-{part}/64" if whole else f"{part}/64"
    assert read([text], INCHES, **PIPE)[0] == [whole + part / 64]


NO = np.nan


@pytest.mark.parametrize(
    ("text", "low_kw", "high_kw"),
    [
        ("250 - 500 kW", 250, 500),
        ("250-500", 250, 500),
        ("250 \u2013 500 kW", 250, 500),
        ("250 kW to 500 kW", 250, 500),
        ("between 250 and 500 kW", 250, 500),
        ("from 250 to 500", 250, 500),
        ("250\u2026500", 250, 500),
        ("0.5 - 1.5 MW", 500, 1500),
        ("500 kW - 1 MW", 500, 1000),
        ("1,000 - 2,000 kW", 1000, 2000),
        ("-500 - -200 kW", -500, -200),
        ("-500 to 0", -500, 0),
        ("0 - 0", 0, 0),
        ("300 kW", 300, 300),
        ("> 2000", 2000, NO),
        (">2000 kW", 2000, NO),
        (">= 2 MW", 2000, NO),
        ("\u2265 2 MW", 2000, NO),
        ("2000+ kW", 2000, NO),
        ("2000 kW+", 2000, NO),
        ("2000+", 2000, NO),
        ("over 2000 kW", 2000, NO),
        ("More than 2,000", 2000, NO),
        ("at least 2000", 2000, NO),
        ("2000 kW or more", 2000, NO),
        ("< 250 kW", NO, 250),
        ("\u2264250", NO, 250),
        ("up to 250 kW", NO, 250),
        ("less than 250", NO, 250),
        ("250 or less", NO, 250),
    ],
)
def test_a_range_has_two_ends_of_which_one_may_be_open(text, low_kw, high_kw):
    low, low_unreadable, _ = read([text], POWER, range="low", **CAPACITY)
    high, high_unreadable, _ = read([text], POWER, range="high", **CAPACITY)
    np.testing.assert_array_equal(low + high, [low_kw, high_kw])
    # An open end is missing, but it was read.
    readable = not (np.isnan(low_kw) and np.isnan(high_kw))
    assert low_unreadable == high_unreadable == [not readable]


@pytest.mark.parametrize(
    "text",
    ["500 - 250", "> 250 - 500", "250 - 500 hp", "250 -", "> < 250", "many", "1-2-3", "2 to"],
)
def test_what_is_no_range_is_unreadable(text):
    for end in ("low", "high"):
        values, is_unreadable, _ = read([text], POWER, range=end, **CAPACITY)
        assert np.isnan(values).all()
        assert is_unreadable == [True]


def test_a_range_with_decimal_commas_and_one_unit():
    assert read(["0,5 - 1,5"], POWER, ",", column="C", range="high", unit="MW")[0] == [1500]
    # A unit in the text that the declaration does not name is not believed.
    assert read(["1 - 2 GW"], POWER, column="C", range="high", unit="MW")[1] == [True]


@given(
    st.integers(-5000, 5000), st.integers(0, 5000), st.sampled_from(["-", " - ", " to ", "\u2013"])
)
def test_both_ends_of_a_range_come_back(low, more, between):
    text = f"{low}{between}{low + more} kW"
    ends = [read([text], POWER, range=end, **CAPACITY)[0][0] for end in ("low", "high")]
    assert ends == [low, low + more]


def test_a_range_goes_into_two_columns(conform, make_source, make_points):
    columns = {
        "record_id": {"column": "ID"},
        "kind": {"value": "load"},
        "grain": {"value": "cell"},
        "headroom_least_kw": CAPACITY | {"range": "low"},
        "headroom_most_kw": CAPACITY | {"range": "high"},
    }
    texts = ["250 - 500 kW", "> 2000 kW", "< 250 kW"]
    frame = conform(make_points(3, KW=texts), make_source("capacity", "c.csv", columns)).frame
    np.testing.assert_array_equal(frame["headroom_least_kw"], [250, 2000, np.nan])
    np.testing.assert_array_equal(frame["headroom_most_kw"], [500, np.nan, 250])
    wrong = columns | {"headroom_kw": CAPACITY | {"range": "low"}}
    with pytest.raises(ConfigError, match="headroom_kw is one number and takes no range"):
        conform(make_points(3, KW=texts), make_source("capacity", "c.csv", wrong))


@pytest.mark.parametrize(
    "declared", [{"rating": "max", "fraction": True}, {"range": "low", "fraction": True}]
)
def test_a_text_is_read_in_one_way(declared):
    with pytest.raises(ValidationError, match="only one of rating, fraction and range"):
        ColumnOrigin(column="A", **declared)


# ---------------------------------------------------------------------------------------------
# The unit in another column

SIZE = {"column": "SIZE", "unit_column": "UNIT", "units": {"MM": "mm", "I": "in"}}


def read_mains(conform, make_source, make_table, make_square, sizes, units, **declared):
    """Return the diameters and notes of mains whose sizes and units are in two columns."""
    fetch, expect = declared.pop("fetch", {}), declared.pop("expect", {})
    columns = {"main_id": {"column": "ID"}, "diameter_in": SIZE | declared}
    lines = [make_square(20 * nth, 0).exterior for nth in range(len(sizes))]
    table = make_table(lines, ID=[f"M{nth}" for nth in range(len(sizes))], SIZE=sizes, UNIT=units)
    source = make_source("mains", "m.csv", columns, fetch=fetch, expect=expect)
    found = conform(table, source)
    return found.frame["diameter_in"].tolist(), found.notes


@pytest.fixture
def mains(conform, make_source, make_table, make_square):
    return partial(read_mains, conform, make_source, make_table, make_square)


def test_each_number_has_the_unit_of_its_own_row(mains):
    inches, notes = mains([127.0, 6.0, None, 254.0], ["MM", "I", "MM", " MM "])
    np.testing.assert_allclose(inches, [5.0, 6.0, np.nan, 10.0])
    assert notes == ()
    # As text, with decimal commas, and as a fraction.
    inches, _ = mains(["63,5", "1 1/4"], ["MM", "I"], fraction=True, fetch={"decimal": ","})
    np.testing.assert_allclose(inches, [2.5, 1.25])


def test_a_number_without_a_unit_is_missing_and_counted(mains):
    inches, notes = mains([127.0, 6.0, 6.0], ["MM", None, "UN"], missing=["UN"])
    np.testing.assert_allclose(inches, [5.0, np.nan, np.nan])
    assert notes == ("SIZE: 2 values without UNIT, taken as missing",)


def test_a_unit_that_is_not_declared_is_unreadable(mains):
    with pytest.raises(ContractError, match="such as '6 CM'"):
        mains([127.0, 6.0], ["MM", "CM"])
    inches, notes = mains([127.0, 6.0], ["MM", "CM"], expect={"unreadable_share_max": 0.5})
    np.testing.assert_allclose(inches, [5.0, np.nan])
    assert notes == ("SIZE: 1 unreadable number, taken as missing",)


@given(st.lists(st.tuples(st.floats(0.5, 40), st.sampled_from(["MM", "I"])), min_size=1))
def test_the_unit_column_is_as_good_as_a_unit_in_the_text(sizes):
    origin = ColumnOrigin(column="SIZE", units=SIZE["units"])
    numbers, units = (pd.Series(part) for part in zip(*sizes, strict=True))
    found = read_quantities(append_units(numbers, units, "."), origin, INCHES, ".").numbers
    inches = [size / 25.4 if unit == "MM" else size for size, unit in sizes]
    np.testing.assert_allclose(found, inches)


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        ({"column": "SIZE", "unit_column": "UNIT"}, "unit_column needs units"),
        ({"column": "SIZE", "unit_column": "UNIT", "unit": "in"}, "unit_column needs units"),
        ({"value": 4, "unit_column": "UNIT", "units": {"I": "in"}}, "applies to a column"),
    ],
)
def test_a_unit_column_needs_the_meaning_of_its_texts(declared, wrong):
    with pytest.raises(ValidationError, match=wrong):
        ColumnOrigin(**declared)


def test_a_missing_unit_column_is_named(conform, make_source, make_points):
    columns = {"main_id": {"column": "ID"}, "diameter_in": SIZE}
    with pytest.raises(SourceChanged, match="no column 'UNIT'"):
        conform(make_points(1, SIZE=[6]), make_source("mains", "m.csv", columns))
