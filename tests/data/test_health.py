"""The health of sources from the store: old stores, columns, and rows that came and went."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import migrations
from data.health import FailedPull, judge_sources
from data.schema import describe_column_changes, digest_columns, list_columns
from data.store import open_store
from geo.addresses import hide_secrets, show_address

KINDS = st.sampled_from(["text", "number", "date", "boolean", "empty"])
COLUMNS = st.dictionaries(st.text(min_size=1, max_size=5), KINDS, min_size=1, max_size=5)


@pytest.fixture
def write(tmp_path, make_points):
    def write_points(*ids, **columns):
        table = make_points(len(ids), ID=list(ids), **columns)
        table.to_parquet(tmp_path / "signs.parquet")

    return write_points


@pytest.fixture
def source(make_source):
    return make_source(
        "substations",
        "signs.parquet",
        {"substation_id": {"column": "ID"}, "status": {"value": "in_service"}},
        expect={"shrink_share_max": 1.0},
    )


@pytest.fixture
def judge(tmp_path, source, make_market, pull, night):
    """Return a function that pulls the source some nights later, and judges it then."""

    def pull_and_judge(nights=0, failed=None):
        on = night + dt.timedelta(days=nights)
        store, _ = pull(tmp_path, make_market(source.id), source, night=on)
        (health,) = judge_sources(store, [source], on, failed or {})
        return health

    return pull_and_judge


def test_rows_that_came_and_went_are_counted_by_key(write, judge):
    write("A", "B", "C")
    first = judge()
    assert (first.rows, first.rows_before, first.rows_added) == (3, None, None)
    write("C", "D", "D2", "A", SIZE=[1, 2, 3, 4])
    second = judge(1)
    assert (second.rows, second.rows_before) == (4, 3)
    assert (second.rows_added, second.rows_removed) == (2, 1)
    assert second.verdict == "changed"
    # Nothing changes on the third night: the counts stay those of the last change.
    third = judge(2)
    assert (third.verdict, third.rows_added, third.good_on) == ("fresh", 2, "2026-03-03")
    assert third.columns_digest == second.columns_digest != first.columns_digest


def test_a_failure_counts_until_the_next_good_pull(write, judge, night):
    write("A")
    wrong = FailedPull(night + dt.timedelta(days=1), "forbidden", "it answers 403", "ask")
    before = judge(0, {"tiny_substations": wrong})
    assert (before.verdict, before.is_usable) == ("fresh", True)
    same = judge(1, {"tiny_substations": wrong})
    assert (same.verdict, same.error, same.is_usable) == ("forbidden", "it answers 403", False)
    assert judge(2, {"tiny_substations": wrong}).verdict == "fresh"


def test_a_store_of_an_older_program_is_brought_up_to_date(
    tmp_path, monkeypatch, source, night, write, judge
):
    """What an older program noted counts as a warning, and its columns are not known."""
    path = tmp_path / "var/tiny.duckdb"
    monkeypatch.setattr(migrations, "STEPS", migrations.STEPS[:1])
    with open_store(path) as store:
        values = [
            1, source.id, "substations", "d", "r", "c", source.model_dump_json(), None, 5, 5,
            "EPSG:26986", None, "bounds", "t", "p", "l", "a", True, night, night, night, 1.0,
            ["2 invalid rings repaired"],
        ]  # fmt: skip
        marks = ", ".join("?" * len(values))
        store.con.execute(f"insert into snapshot values ({marks})", values)  # noqa: S608
        store.con.execute(
            "create table snapshot_1 as select 1 as row_number, null::geometry as geometry"
        )
        store.con.execute("select nextval('snapshot_id')")
    monkeypatch.undo()
    with open_store(path) as store:
        (row,) = store.read_history().to_dict("records")
    assert list(row["warnings"]) == ["2 invalid rings repaired"]
    (health,) = judge_sources(path, [source], night, {})
    assert (health.verdict, health.rows, health.columns_digest) == ("fresh", 5, "")
    write("A", "B")
    health = judge(1)
    assert (health.verdict, health.rows, health.rows_before) == ("fresh", 2, 5)


@given(COLUMNS, COLUMNS)
def test_changed_columns_are_named_exactly_where_they_differ(before, now):
    assert describe_column_changes(before, before) == ""
    changes = describe_column_changes(before, now)
    differ = before.keys() != now.keys() or any(
        before[name] != now[name] and "empty" not in {before[name], now[name]} for name in before
    )
    assert bool(changes) == differ
    assert (digest_columns(before) == digest_columns(now)) == (before == now)


def test_kinds_do_not_depend_on_missing_values(make_points):
    whole = make_points(3, N=[1, 2, 3], T=["a", "b", "c"])
    gaps = make_points(3, N=[1, None, 3], T=["a", None, "c"])
    assert list_columns(whole) == list_columns(gaps)
    assert list_columns(whole) == {"ID": "text", "N": "number", "T": "text", "geometry": "Point"}
    assert list_columns(pd.DataFrame({"A": [None]}), "tax.csv: ") == {"tax.csv: A": "empty"}


PLAIN = st.text("abcdefghij0123456789", min_size=8, max_size=20)


@given(PLAIN, PLAIN, PLAIN, st.sampled_from(["{}", "see {}.", "({})", "{}: ReadTimeout", "a {} b"]))
def test_no_part_of_an_address_that_may_be_secret_is_shown(user, password, token, text):
    address = f"https://u{user}:p/@{password}@county.org/data.csv?k=t{token}#t{token}"
    for shown in (show_address(address), hide_secrets(text.format(address))):
        assert f"u{user}" not in shown
        assert password not in shown
        assert f"t{token}" not in shown
        assert "https://***@county.org/data.csv?..." in shown
        assert hide_secrets(shown) == shown
    plain = "read https://county.org/a.csv, then ask https://example.org/b."
    assert hide_secrets(plain) == plain
