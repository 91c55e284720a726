import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.shapes import adjoining

corners = st.tuples(st.integers(0, 25), st.integers(0, 25))
lots = st.lists(st.tuples(corners, st.integers(1, 4), st.integers(0, 2)), max_size=25)


def slowly(shapes, near_m, same):
    """Group shapes by a slow method: from each shape, visit the shapes near it one at a time."""
    first = [-1] * len(shapes)
    for start in range(len(shapes)):
        if first[start] >= 0:
            continue
        first[start], waiting = start, [start]
        while waiting:
            here = waiting.pop()
            for other in range(len(shapes)):
                near = shapes[here].distance(shapes[other]) <= near_m
                if first[other] < 0 and near and same[here] == same[other]:
                    first[other] = start
                    waiting.append(other)
    return first


def squares(*spans):
    return np.array([shapely.box(low, 0, high, 10) for low, high in spans])


FOUR = squares((0, 10), (30, 40), (10, 20), (20.5, 25))


@given(lots, st.sampled_from([0.0, 1.0, 2.5]))
def test_groups_agree_with_a_slow_walk(rows, near_m):
    shapes = np.array([shapely.box(x, y, x + side, y + side) for (x, y), side, _ in rows], object)
    same = np.array([owner for _, _, owner in rows], dtype=int)
    alike = np.zeros(len(rows), dtype=int)
    assert adjoining.group_adjoining(shapes, near_m).tolist() == slowly(shapes, near_m, alike)
    assert adjoining.group_adjoining(shapes, near_m, same).tolist() == slowly(shapes, near_m, same)


def test_the_worked_example():
    assert adjoining.group_adjoining(FOUR, 1.0).tolist() == [0, 1, 0, 0]
    assert adjoining.group_adjoining(FOUR, 0.4).tolist() == [0, 1, 0, 3]
    assert adjoining.group_adjoining(FOUR, 1.0, np.array([1, 1, 2, 2])).tolist() == [0, 1, 2, 2]


def test_a_long_row_in_any_order_is_one_group():
    row = np.random.default_rng(1).permutation(2_000)
    shapes = shapely.box(10.0 * row, 0, 10.0 * row + 10, 10)
    assert set(adjoining.group_adjoining(shapes, 0.0)) == {0}


def test_what_is_missing_or_empty_is_alone():
    shapes = np.array([None, shapely.Polygon(), FOUR[0], FOUR[2]], dtype=object)
    assert adjoining.group_adjoining(shapes, 1.0).tolist() == [0, 1, 2, 2]
    assert adjoining.group_adjoining(shapes[:0], 1.0).tolist() == []


def test_a_hair_between_two_lots_is_no_line_of_the_whole():
    for gap in (0.0, 1e-9, 0.01, 0.04):
        shapes = squares((0, 10), (10 + gap, 20))
        (whole,) = adjoining.unite_adjoining(shapes, np.zeros(2, dtype=int), 0.05)
        assert whole.equals(shapely.box(0, 0, 20, 10)), gap
        assert shapely.get_num_coordinates(whole) == 5


def test_lots_whose_corners_do_not_meet_leave_no_slit():
    # After the rotation, the corner of the two small lots is slightly off the long lot's side.
    turned = [
        shapely.affinity.rotate(one, 17.3, origin=(0, 0))
        for one in (
            shapely.box(0, 0, 10, 30),
            shapely.box(10, 0, 25, 13.37),
            shapely.box(10, 13.37, 25, 30),
        )
    ]
    (whole,) = adjoining.unite_adjoining(np.array(turned), np.zeros(3, dtype=int), 0.05)
    assert whole.geom_type == "Polygon"
    assert len(whole.interiors) == 0
    assert whole.length == pytest.approx(2 * (25 + 30), abs=0.01)
    assert whole.area == pytest.approx(25 * 30, abs=0.1)


def test_each_group_is_united_on_its_own():
    both = adjoining.unite_adjoining(FOUR, adjoining.group_adjoining(FOUR, 0.05), 0.05)
    assert shapely.area(both).tolist() == pytest.approx([200, 100, 45])
