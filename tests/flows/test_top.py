"""The first rows in the terminal and in the artifact: one group of sites does not fill them."""

from flows import nightly, show
from flows.outcome import PublishedNight
from flows.publish import list_top_rows
from tests.maps.conftest import make_ranking, make_report


def test_folded_rows_are_counted_where_their_block_ends(tmp_path, capsys):
    ranking = make_ranking(40, hostile=())
    ranking.loc[[0, 1, 2, 3, 5], "group_id"] = ranking["site_id"][0]
    ranking["folded"] = ranking.index.isin([3, 5])
    ranking["sentence"] = "Carries some."
    first = list_top_rows(ranking)
    assert [row.rank for row in first] == [1, 2, 3, 5, *range(7, 23)]
    assert [row.more for row in first] == [0, 0, 2] + 17 * [0]
    night = PublishedNight(folder=tmp_path, report=make_report(), top=first, seconds={})
    show.print_published(night)
    said = capsys.readouterr().out.splitlines()
    shown = [line for line in said if line[:1].isdigit() and "Carries some." in line]
    assert [line.split(".")[0] for line in shown] == ["1", "2", "3", "5", "7"]
    assert " (+ 2 more on this block) [" in shown[2]
    assert sum("on this block" in line for line in said) == 1
    page = nightly._format_night(night).splitlines()
    row = next(line for line in page if line.startswith("| 3 |"))
    assert "(+ 2 more on this block) |" in row
    assert not [line for line in page if line.startswith("| 4 |")]
