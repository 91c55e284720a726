import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo import catalogue
from geo.contract.toml import validate_model
from geo.criteria.noise import sound
from geo.errors import ConfigError
from geo.model import Generator, Plan, Raster
from geo.propagation.bands import A_WEIGHTING_DB
from tests.geo.conftest import CRS, make_layer
from tests.geo.criteria.noise.conftest import GX230, random_town, sound_of


@pytest.fixture(scope="module")
def open_air(plan):
    return sound.make_noise_source(GX230, plan)


def rated(**changes):
    return GX230.model_copy(update=changes)


@pytest.mark.parametrize(
    ("away_m", "power_db"),
    [(7.0, 69 + 10 * np.log10(2 * np.pi * 49)), (1.0, 69 + 10 * np.log10(2 * np.pi))],
)
def test_the_power_of_a_point_on_hard_ground_is_its_level_over_half_a_sphere(away_m, power_db):
    assert sound.sound_power_dba(rated(level_distance_m=away_m)) == pytest.approx(power_db)
    assert power_db == pytest.approx({7.0: 93.88, 1.0: 76.98}[away_m], abs=0.005)


def test_the_power_of_a_body_is_its_level_over_the_box_round_it():
    # The box 1 m around a body of 5 by 3 by 6 ft: 1.524 / 2 + 1, 0.9144 / 2 + 1, 1.8288 + 1.
    a, b, c = 1.762, 1.4572, 2.8288
    area_m2 = 4 * (a * b + b * c + c * a)
    assert area_m2 == pytest.approx(46.7, abs=0.05)
    box = rated(level_surface="box", level_distance_m=1.0)
    assert sound.sound_power_dba(box) == pytest.approx(69 + 10 * np.log10(area_m2))
    assert sound.sound_power_dba(box) == pytest.approx(85.7, abs=0.05)


@pytest.mark.parametrize("spectrum", list(catalogue.read_spectra()))
@pytest.mark.parametrize("away_m", [1.0, 7.0, 15.0])
def test_the_spectrum_adds_up_to_the_rating_exactly(spectrum, away_m):
    machine = rated(spectrum=spectrum, level_distance_m=away_m)
    weighted = sound.sound_power_bands_db(machine) + A_WEIGHTING_DB
    assert 10 * np.log10((10 ** (weighted / 10)).sum()) == pytest.approx(
        69 + 10 * np.log10(2 * np.pi * away_m**2), abs=1e-9
    )


def test_the_spectrum_keeps_its_shape():
    weighted = sound.sound_power_bands_db(GX230) + A_WEIGHTING_DB
    shape = np.array(catalogue.read_spectra()[GX230.spectrum].shape_db)
    assert np.ptp(weighted - shape) == pytest.approx(0, abs=1e-9)


def test_an_unknown_spectrum_is_refused():
    with pytest.raises(ConfigError, match="'hum' is not in the catalogue"):
        sound.sound_power_bands_db(rated(spectrum="hum"))


def test_over_hard_ground_the_rating_is_heard_where_it_holds(open_air):
    assert sound.open_field_dba(open_air, np.array([7.0]), 1.5)[0] == pytest.approx(69.0, abs=0.1)


def test_ten_times_as_far_is_twenty_decibels_and_the_air(open_air):
    near, far = sound.open_field_dba(open_air, np.array([7.0, 70.0]), 1.5)
    # 63 m of air at 10 C absorb less than 1 dB of an engine's sound.
    assert 20 <= near - far < 21


def test_the_rating_at_another_distance_moves_every_level_alike(open_air, plan):
    rated_1m = GX230.model_copy(update={"level_distance_m": 1.0, "level_surface": "hemisphere"})
    at_1m = sound.make_noise_source(rated_1m, plan)
    less_db = 20 * np.log10(7)
    assert sound.rerating_db(GX230, 1.0) == pytest.approx(-less_db)
    assert open_air.power_db - at_1m.power_db == pytest.approx(np.full(8, less_db))
    assert less_db == pytest.approx(16.9, abs=0.01)
    away = np.array([1.0, 7.0, 50.0, 400.0])
    got = sound.open_field_dba(open_air, away, 1.5) - sound.open_field_dba(at_1m, away, 1.5)
    assert got == pytest.approx(np.full(4, less_db))
    bound = sound.upper_dba(open_air, away) - sound.upper_dba(at_1m, away)
    assert bound == pytest.approx(np.full(4, less_db))


@pytest.mark.parametrize("seed", range(8))
def test_the_upper_bound_is_never_beaten_among_buildings(town, plan, seed):
    given_town, rng = random_town(town, seed)
    machine = sound_of(given_town, plan)
    from_xy, to_xy = rng.uniform(-150, 150, (2, 800, 2))
    source = np.column_stack((from_xy, np.full(800, plan.noise.source_height_m)))
    heights = (plan.noise.receptor_height_m, plan.noise.facade_height_m)
    receiver = np.column_stack((to_xy, rng.choice(heights, 800)))
    level = sound.level_dba(machine, source, receiver)
    away = np.hypot(*(to_xy - from_xy).T)
    assert (level <= sound.upper_dba(machine, away) + 1e-9).all()
    assert np.isfinite(level).all()


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(0, 3000), st.floats(0, 3000), st.sampled_from([1.5, 4.0]))
def test_farther_is_never_louder_and_never_over_the_bound(open_air, near_m, more_m, height_m):
    near, far = sound.open_field_dba(open_air, np.array([near_m, near_m + more_m]), height_m)
    assert far <= near + 1e-9
    assert near <= sound.upper_dba(open_air, np.array([near_m]))[0] + 1e-9
    assert np.isfinite([near, far]).all()


@pytest.mark.parametrize("limit_dba", [40.0, 50.0, 69.0])
@pytest.mark.parametrize("running", [1, 25])
def test_beyond_the_reach_nobody_is_over_the_limit(plan, limit_dba, running):
    machine = sound.make_open_field_source(GX230, plan)
    reach = sound.noise_reach_m(machine, limit_dba, running)
    louder = 10 * np.log10(running)
    beyond = np.geomspace(reach, 10 * reach, 50)
    assert (sound.upper_dba(machine, beyond) + louder <= limit_dba).all()
    assert sound.upper_dba(machine, np.array([0.97 * reach]))[0] + louder > limit_dba


def test_a_building_of_unknown_height_and_one_below_the_ground_change_nothing(plan, open_air):
    source, receiver = np.array([[0.0, 0, 1.5]]), np.array([[60.0, 0, 1.5]])
    house = shapely.box(20, -15, 35, 15)
    levels = {
        height: sound.level_dba(
            sound.make_noise_source(GX230, plan, make_layer([house], height_m=[height])),
            source,
            receiver,
        )[0]
        for height in (np.nan, -5.0, 0.0, 8.0)
    }
    free = sound.level_dba(open_air, source, receiver)[0]
    assert levels[np.nan] == levels[-5.0] == levels[0.0] == free
    assert levels[8.0] < free - 5


def test_a_hill_between_screens_and_its_grid_may_be_in_another_frame(plan):
    ground_m = np.zeros((40, 40))
    ground_m[:, 19:21] = 20.0
    hill = Raster(ground_m, Affine(10, 0, 0, 0, -10, 400), CRS)
    source, receiver = np.array([[50.0, 200, 1.5]]), np.array([[350.0, 200, 1.5]])
    flat = sound.level_dba(sound.make_noise_source(GX230, plan), source, receiver)[0]
    behind = sound.level_dba(
        sound.make_noise_source(GX230, plan, elevation=hill, crs=CRS), source, receiver
    )[0]
    assert behind < flat - 5


@pytest.mark.parametrize("key", ["level_dba", "level_distance_m", "height_m"])
def test_a_machine_with_a_negative_figure_is_refused(key):
    with pytest.raises(ConfigError, match=key):
        validate_model(Generator, GX230.model_dump() | {key: -1.0}, "generators.toml")


@pytest.mark.parametrize("key", ["source_height_m", "receptor_height_m", "facade_height_m"])
def test_a_plan_with_a_negative_height_is_refused(plan, key):
    raw = plan.model_dump(by_alias=True)
    raw["noise"][key] = -1.5
    with pytest.raises(ConfigError, match=key):
        validate_model(Plan, raw, "plans/mine.toml")
