import numpy as np
import pytest
import shapely
from affine import Affine

from geo.compiled import called, refer
from geo.propagation import levels, one_pair
from geo.propagation.air import air_absorption_db_m
from geo.propagation.bands import A_WEIGHTING_DB
from geo.propagation.edition import ISO_1996, ISO_2024
from geo.propagation.ground import MeanHeightGround, PlanGround, ZonedGround
from geo.propagation.scene import Terrain, build_scene

POWER_DB = np.array([70.0, 81, 84, 83, 88, 82, 78, 71])
AIR = air_absorption_db_m(10.0, 70.0)
SOURCE_M = 1.5
PAIRS = 60
EDITIONS = [ISO_1996, ISO_2024]
NO_WALL = np.zeros(PAIRS)


@called
def send_each(sender, sound, room, source, receiver, wall_m, wall_height_m, energy):
    given, used = refer(sound), refer(room)
    for k in range(len(energy)):
        start = source[k, 0], source[k, 1]
        end = receiver[k, 0], receiver[k, 1], receiver[k, 2]
        wall = wall_m[k], wall_height_m
        energy[k] = one_pair.send_energy(sender, given, used, start, end, wall)


@called
def send_each_over_open_ground(sound, room, away_m, height_m, energy):
    for k in range(len(energy)):
        energy[k] = one_pair.send_over_open_ground(sound, room.buffers, away_m[k], height_m[k])


def hills(seed):
    """Return heights of up to 12 m in cells of 20 m."""
    height_m = np.random.default_rng(seed).uniform(0, 12, (12, 12))
    return Terrain(height_m, Affine(20, 0, -60, 0, -20, 160))


def random_scene(town, seed, ground, *, hilly=False, rows=0):
    """Return a town's scene with this ground, and pairs of points among its buildings."""
    rng = np.random.default_rng(1000 + seed)
    built = town(seed, blocks=int(rng.integers(3, 12)), rows=rows)
    terrain = hills(seed) if hilly else None
    scene = build_scene(
        np.array(built.solids), np.array(built.tops), terrain=terrain, ground=ground,
        solid_absorption=0.3,
    )  # fmt: skip
    source = np.column_stack((rng.uniform(-20, 100, (PAIRS, 2)), np.full(PAIRS, SOURCE_M)))
    receiver = np.column_stack((rng.uniform(-40, 120, (PAIRS, 2)), rng.uniform(0.5, 8, PAIRS)))
    # One pair is at the same place.
    receiver[0, :2] = source[0, :2]
    return scene, source, receiver, rng


def energy_by_levels(scene, source, receiver, edition, screen=None):
    lost = levels.attenuation_db(source, receiver, scene, AIR, edition, screen=screen)
    return (10 ** ((POWER_DB + A_WEIGHTING_DB - lost) / 10)).sum(axis=1)


def energy_pair_by_pair(
    scene, source, receiver, edition, wall_m=NO_WALL, wall_height_m=0.0, *, roughly=False
):
    sound = one_pair.make_sound(scene, POWER_DB, SOURCE_M, AIR, edition)
    room = one_pair.make_room(sound, 400.0)
    room.scratch.roughly[0] = roughly
    sender = one_pair.find_sender(sound, room)
    origin = scene.index.origin
    energy = np.empty(len(source))
    send_each(
        sender, sound, room, source[:, :2] - origin,
        np.column_stack((receiver[:, :2] - origin, receiver[:, 2])), wall_m, wall_height_m, energy,
    )  # fmt: skip
    assert room.sent[0] == len(source)
    return energy


GROUNDS = [PlanGround(0.0, 0.0, 0.0), PlanGround(0.2, 1.0, 0.6), MeanHeightGround()]


@pytest.mark.parametrize("edition", EDITIONS, ids=["1996", "2024"])
@pytest.mark.parametrize("ground", GROUNDS, ids=["hard", "mixed", "mean height"])
@pytest.mark.parametrize("hilly", [False, True], ids=["level", "hilly"])
@pytest.mark.parametrize("seed", range(3))
def test_one_pair_is_as_loud_as_among_many(town, seed, hilly, ground, edition):
    scene, source, receiver, _ = random_scene(town, seed, ground, hilly=hilly)
    expected = energy_by_levels(scene, source, receiver, edition)
    got = energy_pair_by_pair(scene, source, receiver, edition)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    # Some pairs are screened and some are not, so that this compares different paths.
    empty = build_scene(ground=ground, terrain=hills(seed) if hilly else None)
    open_ = energy_by_levels(empty, source, receiver, edition)
    assert (expected < 0.5 * open_).any()
    assert (expected > 0.9 * open_).any()


@pytest.mark.parametrize("wall_height_m", [0.0, 3.0])
@pytest.mark.parametrize("edition", EDITIONS, ids=["1996", "2024"])
@pytest.mark.parametrize("hilly", [False, True], ids=["level", "hilly"])
def test_rough_side_paths_are_never_quieter(town, hilly, edition, wall_height_m):
    differs, louder = 0, 0
    for seed in range(10):
        scene, source, receiver, rng = random_scene(
            town, seed, GROUNDS[seed % 3], hilly=hilly, rows=seed % 2 * 6
        )
        given = scene, source, receiver, edition, rng.uniform(0.5, 8, PAIRS), wall_height_m
        exact, rough = (energy_pair_by_pair(*given, roughly=one) for one in (False, True))
        assert (rough >= exact * (1 - 1e-9)).all()
        differs += int((rough > exact).sum())
        louder += int((rough > 2 * exact).sum())
    # It is seldom 3 dB louder, or it would be of no use.
    assert 0 < louder < 0.5 * differs


@pytest.mark.parametrize("ground", GROUNDS, ids=["hard", "mixed", "mean height"])
@pytest.mark.parametrize("hilly", [False, True], ids=["level", "hilly"])
@pytest.mark.parametrize("seed", range(3))
def test_a_wall_around_the_source_takes_as_much_as_a_screen(town, seed, hilly, ground):
    scene, source, receiver, rng = random_scene(town, seed, ground, hilly=hilly)
    # Some walls are farther away than the receiver and screen nothing.
    wall_m, height_m = rng.uniform(0.5, 30, PAIRS), float(rng.uniform(1.6, 5))
    expected = energy_by_levels(scene, source, receiver, ISO_1996, (wall_m, height_m))
    got = energy_pair_by_pair(scene, source, receiver, ISO_1996, wall_m, height_m)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    bare = energy_pair_by_pair(scene, source, receiver, ISO_1996)
    assert (got <= bare * (1 + 1e-12)).all()
    assert (got < 0.5 * bare).any()


def test_a_thread_uses_its_arrays_again_and_each_pair_starts_afresh(town):
    scene, source, receiver, _ = random_scene(town, 5, GROUNDS[0])
    forward = energy_pair_by_pair(scene, source, receiver, ISO_1996)
    backward = energy_pair_by_pair(scene, source[::-1], receiver[::-1], ISO_1996)
    assert forward.tolist() == backward[::-1].tolist()


@pytest.mark.parametrize("edition", EDITIONS, ids=["1996", "2024"])
@pytest.mark.parametrize("ground", GROUNDS, ids=["hard", "mixed", "mean height"])
def test_over_open_ground_it_is_as_in_an_empty_scene(ground, edition):
    scene = build_scene(ground=ground)
    away_m = np.concatenate(([0.0, 0.5], np.geomspace(1, 5000, PAIRS - 2)))
    height_m = np.tile([1.5, 4.0, 0.5], PAIRS // 3)
    source = np.tile([0.0, 0.0, SOURCE_M], (PAIRS, 1))
    receiver = np.column_stack((away_m, np.zeros(PAIRS), height_m))
    expected = energy_by_levels(scene, source, receiver, edition)
    sound = one_pair.make_sound(scene, POWER_DB, SOURCE_M, AIR, edition)
    got = np.empty(PAIRS)
    send_each_over_open_ground(sound, one_pair.make_room(sound, 0.0), away_m, height_m, got)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_ground_that_differs_from_place_to_place_is_refused():
    zoned = ZonedGround(np.array([shapely.box(0, 0, 9, 9)], dtype=object), np.array([1.0]), 0.0)
    with pytest.raises(ValueError, match="the ground effect must be the same everywhere"):
        one_pair.make_sound(build_scene(ground=zoned), POWER_DB, SOURCE_M, AIR, ISO_1996)


def test_the_power_is_weighted_by_band():
    sound = one_pair.make_sound(build_scene(), POWER_DB, SOURCE_M, AIR, ISO_1996)
    # At 1 kHz, the fifth band, the A-weighting is 0 dB: 10^8.8.
    assert sound.power[4] == pytest.approx(10**8.8)
    louder = one_pair.make_sound(build_scene(), POWER_DB + 10, SOURCE_M, AIR, ISO_1996)
    assert louder.power == pytest.approx(10 * sound.power)
