import numpy as np
import pytest
import shapely
from hypothesis import given, settings
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


def group_slowly(shapes, near_m, most_m):
    """Join the nearest pairs of single shapes first, as sets, while the box of all is small."""
    group = {nth: {nth} for nth in range(len(shapes))}
    pairs = sorted(
        (round(shapes[one].distance(shapes[other]), 3), one, other)
        for other in range(len(shapes))
        for one in range(other)
        if shapes[one].distance(shapes[other]) <= near_m
    )
    for _, one, other in pairs:
        both = group[one] | group[other]
        left, low, right, high = shapely.total_bounds(shapes[sorted(both)])
        if (right - left) ** 2 + (high - low) ** 2 <= most_m**2:
            for each in both:
                group[each] = both
    return [min(group[nth]) for nth in range(len(shapes))]


@settings(deadline=None)
@given(lots, st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([1.0, 6.0, 15.0, 100.0]))
def test_blocks_agree_with_a_slow_method(rows, near_m, most_m):
    shapes = np.array([shapely.box(x, y, x + side, y + side) for (x, y), side, _ in rows], object)
    found = adjoining.group_blocks(shapes, near_m, most_m).tolist()
    assert found == group_slowly(shapes, near_m, most_m)


def test_the_worked_example_of_blocks():
    three = squares((0, 10), (10, 20), (20.5, 30))
    assert adjoining.group_blocks(three, 1.0, 50.0).tolist() == [0, 0, 0]
    assert adjoining.group_blocks(three, 1.0, 25.0).tolist() == [0, 0, 2]


def test_a_railway_of_many_pieces_joins_nothing():
    """One id with 67 pieces along 19 km, a lot at each: once a single block of a whole city."""
    at = 290.0 * np.arange(67)
    lots = shapely.box(at, 20, at + 100, 60)
    railway = shapely.multipolygons(shapely.box(at, 0, at + 280, 20))
    shapes = np.array([railway, *lots], dtype=object)
    group = adjoining.group_blocks(shapes, 1.0, 400.0)
    # Its pieces are equally large, so the first counts, and only the lot there joins it.
    assert group.tolist() == [0, 0, *range(2, 68)]
    whole = shapely.union_all(shapely.box(at, 0, at + 290, 20))
    group = adjoining.group_blocks(np.array([whole, *lots], dtype=object), 1.0, 400.0)
    assert group.tolist() == list(range(68))


def test_a_missing_or_empty_shape_is_a_block_of_its_own():
    shapes = np.array([None, shapely.Polygon(), FOUR[0], FOUR[2]], dtype=object)
    assert adjoining.group_blocks(shapes, 1.0, 400.0).tolist() == [0, 1, 2, 2]
    assert adjoining.group_blocks(shapes[:0], 1.0, 400.0).tolist() == []
