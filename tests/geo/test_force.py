import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Polygon, affinity, box

from tests.geo.force import fits_by_force

FAR = 230_000.0, 900_000.0
LOT = box(0, 0, 20, 10)
ELL = Polygon([(0, 0), (24, 0), (24, 7), (9, 7), (9, 20), (0, 20)])
RING = box(0, 0, 30, 30) - box(8, 8, 22, 22)


def placed(shape, degrees=0.0, at=FAR):
    """Return the shape rotated about the origin, then moved."""
    return affinity.translate(affinity.rotate(shape, degrees, origin=(0, 0)), *at)


def rectangle(fit, less=0.0):
    """Return the rectangle of a fit, shrunk by `less` on every side."""
    length, width, degrees, x, y = fit
    half = length / 2 - less, width / 2 - less
    flat = box(-half[0], -half[1], half[0], half[1])
    return placed(flat, degrees, (x, y))


@pytest.mark.parametrize("at", [(0.0, 0.0), (-3.21, 4.56), FAR])
@pytest.mark.parametrize("degrees", [0, 17, 90, 133])
@pytest.mark.parametrize(
    ("shape", "size", "bigger"),
    [
        (LOT, (20, 10), (20.01, 10)),
        (LOT, (20, 10), (20, 10.01)),
        (ELL, (24, 7), (24, 7.01)),
        (ELL, (20, 9), (20.01, 9)),
        (RING, (30, 8), (30, 8.01)),
        (RING, (30, 8), (30.01, 8)),
        (MultiPolygon([LOT, box(30, 0, 40, 5)]), (20, 10), (20, 10.01)),
        (MultiPolygon([box(30, 0, 40, 5), LOT]), (10, 10), (20.01, 5)),
    ],
)
def test_an_exact_fit_is_found_in_a_whole_degree_and_nothing_bigger(
    shape, size, bigger, degrees, at
):
    ground = placed(shape, degrees, at)
    fit = fits_by_force(ground, [bigger, size])
    assert fit is not None
    assert fit[:2] == size
    assert ground.buffer(1e-6).covers(rectangle(fit))
    assert fits_by_force(ground, [bigger]) is None


def test_the_turn_is_that_of_the_length():
    for degrees in (0, 17, 90, 133):
        length, width, turn, x, y = fits_by_force(placed(LOT, degrees), [(20, 10)])
        assert (length, width, turn) == (20, 10, degrees)
        middle = placed(LOT, degrees).centroid
        assert (x, y) == pytest.approx((middle.x, middle.y), abs=1e-6)


def test_between_two_degrees_an_exact_fit_is_missed_and_one_with_slack_found():
    assert fits_by_force(placed(LOT, 17.5), [(20, 10)]) is None
    assert fits_by_force(placed(LOT, 17.5), [(20, 10)], step_deg=0.5) is not None
    roomy = placed(LOT.buffer(0.2, join_style="mitre"), 17.5)
    fit = fits_by_force(roomy, [(20, 10)])
    assert fit[2] in {17, 18}
    assert roomy.covers(rectangle(fit))


def test_a_millimetre_is_forgiven_and_no_more():
    assert fits_by_force(box(0, 0, 20, 9.9995), [(20, 10)]) is not None
    assert fits_by_force(box(0, 0, 20, 9.998), [(20, 10)]) is None


def test_nothing_stands_in_an_empty_shape_nor_across_parts():
    assert fits_by_force(Polygon(), [(1, 1)]) is None
    assert fits_by_force(MultiPolygon(), [(1, 1)]) is None
    apart = MultiPolygon([box(0, 0, 10, 10), box(10.05, 0, 20, 10)])
    assert fits_by_force(apart, [(11, 5)]) is None
    assert fits_by_force(LOT, []) is None


@pytest.mark.parametrize("thin", [box(9.98, 4, 9.99, 5), box(3, 4.96, 17, 4.97)])
def test_what_falls_between_two_points_is_seen(thin):
    assert fits_by_force(LOT - thin, [(20, 10), (13, 5.5)]) is None


def test_the_first_in_order_of_turns_and_then_sizes():
    assert fits_by_force(LOT, [(10, 20), (21, 1), (5, 5), (4, 4)])[:3] == (5, 5, 0)
    assert fits_by_force(LOT, [(10, 20)])[:3] == (10, 20, 90)


def test_what_is_found_fits_and_what_fits_with_slack_is_found():
    # Rough ground around a rectangle at any angle, with 20 cm to spare on every side of it.
    rng = np.random.default_rng(5)
    for _ in range(20):
        size = length, width = rng.uniform(4, 18), rng.uniform(4, 18)
        kept = box(-length / 2 - 0.2, -width / 2 - 0.2, length / 2 + 0.2, width / 2 + 0.2)
        kept = affinity.rotate(kept, rng.uniform(0, 180), origin=(0, 0))
        spots = shapely.buffer(shapely.points(rng.uniform(-15, 15, (40, 2))), 2, quad_segs=2)
        ground = box(-16, -16, 16, 16) - shapely.union_all(spots) | kept
        ground = affinity.translate(ground, *FAR)
        fit = fits_by_force(ground, [size])
        assert fit is not None
        assert ground.covers(rectangle(fit, less=0.00051))
