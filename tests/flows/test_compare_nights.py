"""The comparison of two nights finds every kind of difference."""

import json
import shutil

import pandas as pd
import pytest

from tests.compare_nights import compare_nights, main

PUBLISHED = "var/published/hamlet/hamlet"


@pytest.fixture
def nights(finished_hamlet, tmp_path):
    """Return a published night and a copy of it to change."""
    shutil.copytree((finished_hamlet / PUBLISHED).resolve(), tmp_path / "after")
    return finished_hamlet / PUBLISHED, tmp_path / "after"


def change_rows(night, change) -> None:
    path = night / "ranked.parquet"
    rows = pd.read_parquet(path)
    change(rows).to_parquet(path)


def test_a_copy_is_identical(nights, capsys):
    result = compare_nights(*nights)
    assert result.differences == ()
    assert result.rows == len(pd.read_parquet(nights[0] / "ranked.parquet"))
    assert result.identical_facts > 150
    assert result.identical_shapes >= 2
    assert main([str(night) for night in nights]) == 0
    assert "no difference" in capsys.readouterr().out


def test_one_number_of_one_row_is_a_difference(nights, capsys):
    def change(rows):
        rows.loc[rows.index[3], "score"] += 1e-9
        return rows

    change_rows(nights[1], change)
    site = pd.read_parquet(nights[0] / "ranked.parquet")["site_id"].iloc[3]
    (difference,) = compare_nights(*nights).differences
    assert difference.startswith(f"score differs in 1 rows, first at site {site}")
    assert main([str(night) for night in nights]) == 1
    assert difference in capsys.readouterr().out


def test_a_value_that_goes_missing_is_a_difference(nights):
    def change(rows):
        return rows.assign(score=rows["score"].mask(rows["rank"] == 1))

    change_rows(nights[1], change)
    (difference,) = compare_nights(*nights).differences
    assert difference.startswith("score differs in 1 rows")


def test_a_lost_or_new_fact_is_a_difference(nights):
    change_rows(nights[1], lambda rows: rows.drop(columns="score").assign(points=1.0))
    assert compare_nights(*nights).differences == ("score is in one night only", "points is new")
    allowed = compare_nights(*nights, dropped=frozenset({"score"})).differences
    assert allowed == ("points is new",)


def test_a_moved_shape_is_a_difference(nights):
    def change(rows):
        swapped = rows["geometry"].to_numpy(copy=True)
        swapped[[0, 1]] = swapped[[1, 0]]
        return rows.assign(geometry=swapped)

    change_rows(nights[1], change)
    (difference,) = compare_nights(*nights).differences
    assert difference.startswith("geometry differs in 2 rows")


def test_another_order_or_a_lost_row_is_a_difference(nights):
    change_rows(nights[1], lambda rows: rows.iloc[::-1])
    assert compare_nights(*nights).differences[0].startswith("the sites or their order differ")
    change_rows(nights[1], lambda rows: rows.iloc[1:])
    assert compare_nights(*nights).differences[0].startswith("the sites or their order differ")


def test_counts_and_parcels_set_aside_are_compared(nights):
    report = json.loads((nights[1] / "report.json").read_text("utf-8"))
    report["sites"] += 1
    (nights[1] / "report.json").write_text(json.dumps(report), "utf-8")
    with (nights[1] / "set_aside.csv").open("a", encoding="utf-8") as file:
        file.write("L1\n")
    differences = compare_nights(*nights).differences
    assert differences[0] == "set_aside.csv differs"
    assert differences[1].startswith("report.json: sites differs")
    assert len(differences) == 2
