"""Random small towns, and the paths through them, computed by a slow method with shapely."""

import numpy as np
import pytest
import shapely
import shapely.affinity

from geo.propagation.scene import build_scene

SIDE_REACH = 8.0


def row_of_houses(rng, houses, height_m):
    """Return houses that share walls, with gaps and overlaps as digitizing leaves them."""
    width = rng.uniform(5, 9, houses)
    begin = np.cumsum(width) - width
    slack = rng.choice([-0.01, 0.0, 0.01, 0.5], (houses, 2))
    deep = rng.uniform(8, 14, houses) if rng.random() < 0.5 else np.full(houses, 10.0)
    front = np.where(deep == deep[0], 0.0, rng.uniform(-2, 2, houses))
    row = [
        shapely.box(x - a, y, x + w + b, y + d)
        for x, w, y, d, (a, b) in zip(begin, width, front, deep, slack, strict=True)
    ]
    turn, (x, y) = rng.uniform(0, 180), rng.uniform(0, 60, 2)
    moved = [shapely.affinity.rotate(one, turn, origin=(0, 0)) for one in row]
    moved = [shapely.affinity.translate(one, x, y) for one in moved]
    return moved, list(np.broadcast_to(height_m, houses))


class Town:
    """A few rotated buildings, or rows of houses, and the paths from one point to another."""

    def __init__(self, seed, blocks=7, rows=0):
        rng = np.random.default_rng(seed)
        self.solids, self.tops = [], []
        for _ in range(0 if rows else blocks):
            x, y = rng.uniform(0, 80, 2)
            block = shapely.box(x, y, x + rng.uniform(4, 25), y + rng.uniform(4, 15))
            self.solids.append(shapely.affinity.rotate(block, rng.uniform(0, 90)))
            self.tops.append(rng.uniform(2, 12))
        for _ in range(rows):
            houses = int(rng.integers(2, 6))
            heights = rng.choice([6.0, 8.0, 11.0], houses)
            row, tops = row_of_houses(rng, houses, heights)
            self.solids += row
            self.tops += tops
        together = shapely.union_all(self.solids)
        places = rng.uniform(-10, 100, (400, 2))
        outside = places[shapely.distance(shapely.points(places), together) > 0.1]
        self.source = np.array([*outside[0], rng.uniform(0.5, 4)])
        self.receiver = np.array([*outside[1], rng.uniform(0.5, 8)])
        self.scene = build_scene(np.array(self.solids), np.array(self.tops))

    def over_top_m(self):
        """Return detour and height of the path over the roofs: the hull in the vertical plane."""
        plan = np.hypot(*(self.receiver - self.source)[:2])
        ends = [(0, self.source[2]), (plan, self.receiver[2])]
        line = shapely.LineString([self.source[:2], self.receiver[:2]])
        above = []
        for solid, top in zip(self.solids, self.tops, strict=True):
            for x, y in shapely.get_coordinates(shapely.intersection(solid, line)):
                t = np.hypot(x - self.source[0], y - self.source[1])
                if top > np.interp(t, *zip(*ends, strict=True)):
                    above.append((t, top))
        if not above:
            return np.nan, np.nan
        slant = np.hypot(plan, ends[1][1] - ends[0][1])
        hull = shapely.convex_hull(shapely.MultiPoint([*ends, *above]))
        line = shapely.LineString(ends)
        high = max(shapely.distance(line, shapely.Point(one)) for one in above)
        return hull.length - 2 * slant, high

    def round_side_m(self, side):
        """Return detour and width of the path around one side, in the tilted plane.

        The path is the hull of all sections that it meets, extended until it meets no other.
        """
        plan = np.hypot(*(self.receiver - self.source)[:2])
        rise = self.receiver[2] - self.source[2]
        slant = np.hypot(plan, rise)
        (ux, uy), (x0, y0) = (self.receiver - self.source)[:2] / plan, self.source[:2]
        stretch = slant / plan
        turn = [
            ux * stretch, uy * stretch, -uy * side, ux * side,
            -(ux * x0 + uy * y0) * stretch, (uy * x0 - ux * y0) * side,
        ]  # fmt: skip
        sections = []
        for solid, top in zip(self.solids, self.tops, strict=True):
            # The plane is below the roof where source height + rise * u / slant is below the top.
            if rise:
                edge = (top - self.source[2]) * slant / rise
                room = (-1e4, edge) if rise > 0 else (edge, 1e4)
            else:
                room = (-1e4, 1e4) if top > self.source[2] else (1e4, 1e4)
            below = shapely.box(min(room), -1e4, max(room), 1e4)
            if room[0] >= room[1]:
                below = shapely.Polygon()
            flat = shapely.affinity.affine_transform(solid, turn)
            sections.append(shapely.intersection(flat, below))
        # Sections that touch, with gaps of up to 2 cm, are one obstacle.
        near = {"join_style": "mitre"}
        sections = shapely.buffer(shapely.union_all(sections), 0.0105, **near)
        sections = shapely.get_parts(shapely.buffer(sections, -0.0105, **near))
        start, end = shapely.Point(0, 0), shapely.Point(slant, 0)
        band = shapely.LineString([start, end])
        held = set()
        while True:
            met = {k for k, one in enumerate(sections) if self._meets(one, band)}
            if met <= held:
                return band.length - slant, shapely.bounds(band)[3]
            held |= met
            hull = shapely.convex_hull(
                shapely.GeometryCollection([start, end, *(sections[k] for k in held)])
            )
            ring = shapely.get_coordinates(shapely.orient_polygons(hull, exterior_cw=True))[:-1]
            at = [
                np.flatnonzero(np.hypot(*(ring - place).T) < 1e-9)
                for place in ((0.0, 0.0), (slant, 0.0))
            ]
            if not (len(at[0]) and len(at[1])):
                return None
            ring = np.roll(ring, -at[0][0], axis=0)
            last = np.flatnonzero(np.hypot(*(ring - (slant, 0.0)).T) < 1e-9)[0]
            band = shapely.LineString(ring[: last + 1])

    @staticmethod
    def _meets(section, band):
        return shapely.length(shapely.intersection(section, band)) > 1e-6 and shapely.intersects(
            shapely.buffer(section, -1e-6), band
        )


@pytest.fixture(scope="session")
def town():
    return Town
