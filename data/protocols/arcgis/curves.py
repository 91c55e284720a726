"""Replace the curves of Esri's JSON by short straight lines."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# A straight line stands for at most so much of a circle: 2 degrees depart by 1/6500 of the radius.
_STEP_RAD = math.radians(2)
_BEZIER_STEPS = 32


def straighten(path: Sequence[Any]) -> list[list[float]]:
    """Return the corners of a path in which curves are straight lines.

    Args:
        path: Corners, and curves from the corner before: `c` an arc through a point, `b` a Bezier
            curve with two control points, `a` an arc of an ellipse around a center.

    Returns:
        The corners, as x and y.

    Raises:
        ValueError: A curve is of another kind.
    """
    corners: list[list[float]] = []
    for step in path:
        if not isinstance(step, dict):
            corners.append([float(step[0]), float(step[1])])
            continue
        start = np.array(corners[-1])
        if "c" in step:
            found = _arc_through(start, *_read_points(step["c"][:2]))
        elif "b" in step:
            found = _bezier(start, *_read_points(step["b"][:3]))
        elif "a" in step:
            found = _arc_around(start, step["a"])
        else:
            raise ValueError
        corners.extend([float(x), float(y)] for x, y in found)
    return corners


def _read_points(points: Sequence[Sequence[float]]) -> list[np.ndarray]:
    return [np.array([float(point[0]), float(point[1])]) for point in points]


def _arc_through(start: np.ndarray, end: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return corners on the circle through three points, after the first of them."""
    if np.array_equal(start, end):
        # A whole circle, of which the point between is the opposite one.
        center = (start + middle) / 2
        return _turn(start, center, 2 * math.pi, end)
    (ax, ay), (bx, by) = middle - start, end - start
    cross = 2 * (ax * by - ay * bx)
    if cross == 0:
        return np.array([middle, end])
    a2, b2 = ax * ax + ay * ay, bx * bx + by * by
    center = start + np.array([(by * a2 - ay * b2) / cross, (ax * b2 - bx * a2) / cross])
    angle = _angle(start, end, center)
    # The arc runs to the left where the point between lies right of the straight line.
    if cross > 0:
        return _turn(start, center, angle, end)
    return _turn(start, center, angle - 2 * math.pi, end)


def _arc_around(start: np.ndarray, arc: Sequence[Any]) -> np.ndarray:
    """Return corners of an arc of an ellipse: end, center, minor, clockwise, and its axes."""
    end, center = _read_points(arc[:2])
    clockwise = bool(arc[3]) if len(arc) > 3 else False
    rotation = float(arc[4]) if len(arc) > 4 else 0.0
    ratio = float(arc[6]) if len(arc) > 6 else 1.0
    if ratio <= 0:
        raise ValueError
    # Stretched along its shorter axis, an ellipse is a circle.
    cos, sin = math.cos(rotation), math.sin(rotation)
    to_circle = np.array([[cos, sin], [-sin / ratio, cos / ratio]])
    first, last = to_circle @ (start - center), to_circle @ (end - center)
    angle = _angle(first, last, np.zeros(2)) or 2 * math.pi
    if clockwise:
        angle = angle - 2 * math.pi or -2 * math.pi
    turned = _turn(first, np.zeros(2), angle, last)
    found = turned @ np.linalg.inv(to_circle).T + center
    found[-1] = end
    return np.asarray(found)


def _angle(start: np.ndarray, end: np.ndarray, center: np.ndarray) -> float:
    """Return the angle from one point to another around a center, to the left, in [0, 2 pi)."""
    (ax, ay), (bx, by) = start - center, end - center
    return math.atan2(ax * by - ay * bx, ax * bx + ay * by) % (2 * math.pi)


def _turn(start: np.ndarray, center: np.ndarray, angle: float, end: np.ndarray) -> np.ndarray:
    steps = max(math.ceil(abs(angle) / _STEP_RAD), 1)
    turns = angle * np.arange(1, steps + 1) / steps
    x, y = start - center
    found = np.column_stack(
        [
            center[0] + x * np.cos(turns) - y * np.sin(turns),
            center[1] + x * np.sin(turns) + y * np.cos(turns),
        ]
    )
    found[-1] = end
    return found


def _bezier(
    start: np.ndarray, end: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    t = np.arange(1, _BEZIER_STEPS + 1)[:, None] / _BEZIER_STEPS
    found = (
        (1 - t) ** 3 * start
        + 3 * (1 - t) ** 2 * t * first
        + 3 * (1 - t) * t**2 * second
        + t**3 * end
    )
    found[-1] = end
    return np.asarray(found)
