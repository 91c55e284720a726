import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.shapes import near

points = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=12)


def test_three_east_and_four_north_is_five_away():
    found = near.find_nearest(shapely.points([[0, 0]]), shapely.points([[3, 4]]), 5.0)
    assert found.loc[0, "other"] == 0
    assert found.loc[0, "distance_m"] == 5.0


def test_just_beyond_reach_is_not_found_and_not_zero():
    found = near.find_nearest(shapely.points([[0, 0]]), shapely.points([[3, 4]]), 4.999)
    assert found.loc[0, "other"] == -1
    assert np.isnan(found.loc[0, "distance_m"])


@given(points, points, st.integers(0, 80))
def test_nearest_agrees_with_trying_every_pair_and_ties_fall_to_the_first(ours, theirs, reach):
    found = near.find_nearest(shapely.points(ours), shapely.points(theirs), reach)
    for row, (x, y) in enumerate(ours):
        away = [np.hypot(x - a, y - b) for a, b in theirs]
        best = min(away)
        if best <= reach:
            assert found.loc[row, "other"] == away.index(best)
        else:
            assert found.loc[row, "other"] == -1


@given(points, points, st.integers(0, 80))
def test_within_agrees_with_trying_every_pair(ours, theirs, reach):
    pairs = list(
        zip(
            *near.find_pairs_within(shapely.points(ours), shapely.points(theirs), reach),
            strict=True,
        )
    )
    expected = [
        (i, j)
        for i, (x, y) in enumerate(ours)
        for j, (a, b) in enumerate(theirs)
        if np.hypot(x - a, y - b) <= reach
    ]
    assert pairs == expected


def test_gather_unites_each_group_and_leaves_the_others_empty():
    squares = np.array(
        [shapely.box(0, 0, 2, 2), shapely.box(1, 0, 3, 2), shapely.box(9, 9, 10, 10)]
    )
    united = near.unite_by_group(squares, np.array([2, 2, 0]), 4)
    assert [shapely.area(shape) for shape in united] == [1.0, 0.0, 6.0, 0.0]


def test_absence_is_a_fact_only_where_the_whole_reach_is_covered():
    area = shapely.box(0, 0, 100, 100)
    spots = shapely.points([[50, 50], [95, 50], [150, 50]])
    assert near.is_covered(spots, area, 10.0).tolist() == [True, False, False]
    assert near.is_covered(spots, None, 10.0).tolist() == [False, False, False]


def test_directions_have_eight_names():
    origin = shapely.points(np.zeros((8, 2)))
    around = shapely.points([[0, 9], [9, 9], [9, 0], [9, -9], [0, -9], [-9, -9], [-9, 0], [-9, 9]])
    assert near.name_directions(origin, around).tolist() == [
        "north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west",
    ]  # fmt: skip
