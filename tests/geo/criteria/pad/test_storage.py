import numpy as np
import pytest
import shapely
from shapely.affinity import rotate

from geo import catalogue
from geo.criteria.pad import room
from geo.criteria.pad.storage import place_storage
from geo.equipment.tanks import list_tank_groups

GX230 = catalogue.read_generators()["gx230"]
PROPANE = catalogue.read_fuels()["propane"]
FIFTY_FT = 15.24


def north(points, _site):
    """Rate points as quieter the farther north they are."""
    return points[:, 1]


@pytest.fixture
def kept(ground_of, plan):
    def build(lot, buildings=(), hoped=25):
        ground = ground_of([lot], buildings)
        groups = list_tank_groups(PROPANE, GX230, plan)
        found = place_storage(
            ground, np.array([lot]), np.array(buildings, dtype=object), groups, north,
            np.array([hoped]), GX230, plan,
        )  # fmt: skip
        at = found.group[0]
        return found, None if at < 0 else groups[at]

    return build


@pytest.mark.parametrize("turned_deg", [0, 20])
@pytest.mark.parametrize(
    ("side_m", "count", "gallons"),
    [
        (30.0, None, None),  # 50 ft from every line leaves nothing
        (40.0, 1, 6_500),  # 9.52 m: 9.8 by 2.1 m at 45 degrees, (9.8 + 2.1) / 1.414 = 8.4
        (41.0, 2, 6_500),  # 10.52 m: 9.8 by 5.724
        (43.0, 2, 12_000),  # 12.52 m: 12.2 by 6.324
        (52.0, 1, 30_000),  # 21.52 m: 20.1 by 2.8; two of them need 75 ft
        (66.0, 2, 30_000),  # 66 - 45.72 = 20.28 m: 20.1 by 7.124
    ],
)
def test_the_tanks_that_serve_most_machines_are_taken(kept, side_m, count, gallons, turned_deg):
    found, group = kept(rotate(shapely.box(0, 0, side_m, side_m), turned_deg))
    if count is None:
        assert found.group.tolist() == [-1]
        assert found.body[0] is None
    else:
        assert (group.count, group.container.capacity) == (count, gallons)
        assert shapely.get_num_geometries(found.body[0]) == count
        assert found.body[0].area == pytest.approx(
            count * group.container.length_m * group.container.width_m
        )


def test_no_more_is_stored_than_the_site_could_use(kept):
    _, group = kept(shapely.box(0, 0, 90, 90), hoped=3)
    assert (group.count, group.container.capacity) == (1, 6_500)


def test_tanks_keep_their_distance_from_lines_buildings_and_the_pad(kept, plan):
    lot = rotate(shapely.Polygon([(0, 0), (80, 0), (80, 55), (50, 70), (0, 70)]), 12)
    shed = rotate(shapely.box(60, 40, 68, 48), 12, origin=lot.centroid)
    found, group = kept(lot, [shed])
    body = found.body[0]
    assert body.distance(lot.boundary) >= group.line_m - 0.001
    assert body.distance(shed) >= group.building_m - 0.001
    assert body.distance(found.ground.shapes[0]) >= group.pad_m - 0.001
    # The machines fit on the ground that is left, which excludes the tanks' ground.
    n, _ = room.max_machines_that_fit(found.ground, GX230, plan)
    assert n[0] >= 1


def test_tanks_leave_the_quiet_side_to_the_machines(kept):
    found, _ = kept(shapely.box(0, 0, 60, 60))
    # The south is the least quiet, so the group is as far south as possible, 50 ft from the line.
    assert found.body[0].bounds[1] == pytest.approx(FIFTY_FT, abs=0.01)


def test_a_building_in_the_middle_pushes_every_tank_off(kept):
    # Each wall is 25 m from the line: a distance of 50 ft from both leaves no place.
    found, group = kept(shapely.box(0, 0, 60, 60), [shapely.box(25, 25, 35, 35)])
    assert group is None
    assert found.ground.taken[0] is None


def test_where_tank_and_pad_share_a_small_lot_both_find_room(kept, ground_of, plan):
    # A hall covers the north of the lot, so tanks and pad must share the south.
    lot, hall = shapely.box(0, 0, 46, 60), shapely.box(0, 47, 46, 60)
    alone, _ = room.max_machines_that_fit(ground_of([lot], [hall]), GX230, plan)
    found, group = kept(lot, [hall])
    beside, _ = room.max_machines_that_fit(found.ground, GX230, plan)
    assert alone[0] == 25
    assert min(beside[0], group.feeds) >= 1


def test_on_a_bare_parcel_tanks_and_pad_share_the_open_ground(sites, bare_ground, plan):
    # 40 m2 are open. Two tanks of 2000 gal take 7.3 x 3.31 = 24.2 m2, one of 6500 gal 20.6 m2. The
    # other 19.4 m2 have room for a block of one machine and its cabinet, 16.7 m2.
    lot = shapely.box(0, 0, 60, 60)
    ground = bare_ground(sites([lot], building_area_m2=3560.0, storeys=1.0))
    nothing = np.empty(0, dtype=object)
    found = place_storage(
        ground,
        np.array([lot]),
        nothing,
        list_tank_groups(PROPANE, GX230, plan),
        north,
        np.array([25]),
        GX230,
        plan,
    )
    assert room.max_machines_that_fit(ground, GX230, plan)[0].tolist() == [4]
    assert found.body[0].area == pytest.approx(9.8 * 2.1)
    assert room.max_machines_that_fit(found.ground, GX230, plan)[0].tolist() == [1]
