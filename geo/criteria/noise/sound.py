"""The sound of one machine, and the air, the ground and the buildings that affect it."""

import math
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np

from geo import catalogue
from geo.equipment.generator import derated_power_kw
from geo.equipment.selection import plan_generator
from geo.errors import ConfigError
from geo.model import Generator, Plan, Raster
from geo.propagation import levels
from geo.propagation.air import air_absorption_db_m
from geo.propagation.bands import A_WEIGHTING_DB, sum_bands_dba
from geo.propagation.edition import ISO_1996, ISO_2024, Edition
from geo.propagation.footprints import find_unusable
from geo.propagation.ground import GroundEffect, MeanHeightGround, PlanGround
from geo.propagation.reflections import REFLECTOR_REACH_M
from geo.propagation.scene import Scene, Terrain, build_scene
from geo.shapes.near import find_pairs_within, geometry_array
from geo.shapes.raster import reproject_raster

WALL_OFFSET_M = 1.0  # distance of a noise wall outside the pad
EDITIONS = {"1996": ISO_1996, "2024": ISO_2024}
TABLE_M = np.concatenate(([0.0], np.geomspace(1.0, 20_000.0, 2_000)))


@dataclass(frozen=True)
class NoiseSource:
    """The sound power of one machine by band, unweighted, and what affects it on its way.

    `upper_dba` is, at each of TABLE_M's distances, the highest level that one machine can cause at
    that distance or farther, in any surroundings; `one_path_dba` is the same without any
    reflection. `one_path_db` has the highest band levels by one path behind a noise wall, before
    what the wall takes. `wall_height_m` is the height of a noise wall around every pad (None: no
    wall).
    """

    power_db: np.ndarray
    source_height_m: float
    scene: Scene
    air_db_m: np.ndarray
    edition: Edition
    upper_dba: np.ndarray
    one_path_dba: np.ndarray
    one_path_db: np.ndarray
    wall_height_m: float | None = None


def sound_power_dba(generator: Generator) -> float:
    """Return the A-weighted sound power level of one machine from its rating.

    On a hemisphere around a point over reflecting ground, Lw = Lp + 10 lg(2 pi r^2). This accounts
    for the ground's reflection, as the ground effect of ISO 9613-2 over hard ground does, so the
    reflection is not counted twice. On ISO 3744's box the area is S = 4 (ab + bc + ca), where a and
    b are half the body's length and width plus the distance, and c is its height plus the distance.

    For example, 69 dB(A) at 7 m: 69 + 10 lg(307.9) = 93.9 dB; at 1 m: 69 + 10 lg(6.283) = 77.0 dB.
    """
    away = generator.level_distance_m
    if generator.level_surface == "hemisphere":
        surface_m2 = 2 * np.pi * away**2
    else:
        a, b = generator.length_m / 2 + away, generator.width_m / 2 + away
        c = generator.height_m + away
        surface_m2 = 4 * (a * b + b * c + c * a)
    return float(generator.level_dba + 10 * np.log10(surface_m2))


def sound_power_bands_db(generator: Generator) -> np.ndarray:
    """Return the sound power by octave band, (8,), not weighted.

    A-weighted, the bands add up to the rating exactly.

    Raises ConfigError for a spectrum that the catalogue does not know.
    """
    known = catalogue.read_spectra()
    if generator.spectrum not in known:
        raise ConfigError(
            f"reading generator {generator.id!r}",
            f"spectrum {generator.spectrum!r} is not in the catalogue",
            f"use one of {', '.join(known)}",
        )
    shape = np.array(known[generator.spectrum].shape_db)
    return np.asarray(
        shape - A_WEIGHTING_DB + sound_power_dba(generator) - sum_bands_dba(shape, weighted=True)
    )


def make_noise_source(
    generator: Generator,
    plan: Plan,
    buildings: gpd.GeoDataFrame | None = None,
    elevation: Raster | None = None,
    crs: object = None,
) -> NoiseSource:
    """Describe the sound of one machine among these buildings and over this ground.

    A building of unknown height neither screens nor reflects.

    Args:
        generator: The generator, for its sound rating.
        plan: The plan, for its noise wall, air and ground.
        buildings: The buildings, in the market's metric frame, with their heights; or None.
        elevation: The heights of the ground, or None for level ground.
        crs: The market's frame, in which the buildings are.

    Returns:
        The sound and its surroundings.
    """
    terrain = None
    if elevation is not None:
        elevation = reproject_raster(elevation, crs)
        terrain = Terrain(elevation.values, elevation.transform)
    around = build_scene(
        geometry_array(buildings),
        None if buildings is None else buildings["height_m"].to_numpy(dtype=float),
        terrain=terrain,
        ground=_ground_effect(plan),
        solid_absorption=plan.noise.wall_absorption,
    )
    return _build_source(generator, plan, around, reflecting=buildings is not None)


def make_open_field_source(generator: Generator, plan: Plan) -> NoiseSource:
    """Return the source without obstacles, to set search distances; its bound allows for walls."""
    return _build_source(generator, plan, build_scene(ground=_ground_effect(plan)), reflecting=True)


def count_heard_machines(plan: Plan) -> int:
    """Return how many running machines the receptors are searched for.

    They are the plan's cap, or as many as raise the level of those that its largest load needs by
    the margin of a `yes`. For example, 3 MW of 200 kW machines are 15; 3 dB more are as loud as 30.
    """
    generator = plan_generator(plan)
    at_altitude_kw = float(
        derated_power_kw(generator, np.array([plan.altitude_m]), plan.summer_c)[0]
    )
    needed = math.ceil(max(plan.every_load_kw) / max(at_altitude_kw, 1.0))
    margin = 10 ** (plan.call.noise_margin_db / 10)
    most = max(plan.cap - plan.spares, 1)
    return max(most, math.ceil(min(needed, most) * margin))


def count_unmeasured(
    sites: np.ndarray, receivers: np.ndarray, buildings: gpd.GeoDataFrame | None, reach_m: float
) -> np.ndarray:
    """Count the buildings near each site or its receiver that the noise model leaves out.

    They could reflect the sound of machines on the site, as far as the model counts reflections.

    Args:
        sites: The sites (n,), in a metric frame.
        receivers: The point where each site's machines are nearest to a limit (n,); None: nowhere.
        buildings: The buildings with their height_m (m, NaN where unknown); None: none are mapped.
        reach_m: How far from a site all buildings are known.

    Returns:
        The count (n,).
    """
    if buildings is None:
        return np.zeros(len(sites), dtype=int)
    shapes, heights = geometry_array(buildings), buildings["height_m"].to_numpy(dtype=float)
    left_out = np.any(list(find_unusable(shapes, heights).values()), axis=0)
    near_m = min(REFLECTOR_REACH_M, reach_m)
    pairs = [
        np.column_stack(find_pairs_within(one, shapes[left_out], near_m))
        for one in (sites, receivers)
    ]
    near = np.unique(np.concatenate(pairs), axis=0)[:, 0]
    return np.bincount(near, minlength=len(sites))


def rerating_db(generator: Generator, level_distance_m: float) -> float:
    """Return the change in sound power (dB) if the rating is at another distance, on a hemisphere.

    For example, at 1 m in place of 7 m: -20 lg 7 = -16.9 dB.
    """
    other = generator.model_copy(
        update={"level_distance_m": level_distance_m, "level_surface": "hemisphere"}
    )
    return sound_power_dba(other) - sound_power_dba(generator)


def _ground_effect(plan: Plan) -> GroundEffect:
    if plan.noise.ground_method == "7.3.2":
        return MeanHeightGround()
    factors = plan.noise.ground
    return PlanGround(factors.source, factors.middle, factors.receiver)


def _build_source(
    generator: Generator, plan: Plan, around: Scene, *, reflecting: bool
) -> NoiseSource:
    noise = plan.noise
    air = air_absorption_db_m(noise.temperature_c, noise.humidity_pct)
    edition = EDITIONS[noise.edition]
    bands = sound_power_bands_db(generator)
    heights = (noise.receptor_height_m, noise.facade_height_m)
    effect = _ground_effect(plan)
    one_path, upper = (
        np.max([_upper_dba(generator, plan, height, walls=walls) for height in heights], axis=0)
        for walls in (False, reflecting)
    )
    walled = [
        levels.upper_path_db(TABLE_M, bands, noise.source_height_m, height, effect, air, edition)
        for height in heights
    ]
    return NoiseSource(
        power_db=bands,
        source_height_m=noise.source_height_m,
        scene=around,
        air_db_m=air,
        edition=edition,
        upper_dba=upper,
        one_path_dba=one_path,
        one_path_db=np.maximum(*walled),
    )


def upper_dba(sound: NoiseSource, distance_m: np.ndarray) -> np.ndarray:
    """Return the highest level that one machine can cause at this distance or farther.

    It is the table's value at the next smaller distance, so it is never below the true level.
    """
    return np.asarray(sound.upper_dba[_source_and_receiver(distance_m)])


def _upper_dba(generator: Generator, plan: Plan, height_m: float, *, walls: bool) -> np.ndarray:
    noise = plan.noise
    return levels.upper_level_dba(
        TABLE_M,
        sound_power_bands_db(generator),
        noise.source_height_m,
        height_m,
        _ground_effect(plan),
        air_absorption_db_m(noise.temperature_c, noise.humidity_pct),
        EDITIONS[noise.edition],
        reflecting=walls,
        least_absorption=noise.wall_absorption,
    )


def one_path_dba(sound: NoiseSource, distance_m: np.ndarray) -> np.ndarray:
    """Return the highest level that any one path of this length or longer can cause."""
    return np.asarray(sound.one_path_dba[_source_and_receiver(distance_m)])


def one_path_energy(sound: NoiseSource, distance_m: np.ndarray) -> np.ndarray:
    """Return the most A-weighted energy by band (N, 8) that one path behind a wall can carry.

    The wall takes its part of it, band by band.
    """
    level_db = sound.one_path_db[_source_and_receiver(distance_m)]
    return np.asarray(10 ** ((level_db + A_WEIGHTING_DB) / 10))


def _source_and_receiver(distance_m: np.ndarray) -> np.ndarray:
    place = np.searchsorted(TABLE_M, distance_m, "right") - 1
    return np.clip(place, 0, len(TABLE_M) - 1)


def noise_reach_m(sound: NoiseSource, limit_dba: float, running: int) -> float:
    """Return the distance beyond which a number of machines cannot exceed a limit.

    Args:
        sound: The sound of one machine and its surroundings.
        limit_dba: The limit in dB(A).
        running: How many machines run.

    Returns:
        The distance in meters.
    """
    over = sound.upper_dba + 10 * np.log10(max(running, 1)) > limit_dba
    last = int(np.flatnonzero(over)[-1]) if over.any() else 0
    return float(TABLE_M[min(last + 1, len(TABLE_M) - 1)])


def level_dba(
    sound: NoiseSource, source: np.ndarray, receiver: np.ndarray, wall_m: np.ndarray | None = None
) -> np.ndarray:
    """Compute the level of one machine for each pair of points.

    Args:
        sound: The sound of one machine and its surroundings.
        source: Points (P, 3): x, y and height above ground, meters.
        receiver: Points (P, 3), as `source`.
        wall_m: Distance from each source (P,) to where the path crosses its noise wall; None if
            there is no wall.

    Returns:
        The levels (P,) in dB(A).
    """
    screen = None
    if sound.wall_height_m is not None and wall_m is not None:
        screen = (wall_m, sound.wall_height_m)
    loss = levels.attenuation_db(
        source, receiver, sound.scene, sound.air_db_m, sound.edition, screen=screen
    )
    return sum_bands_dba(sound.power_db - loss)


def remove_obstacles(sound: NoiseSource) -> NoiseSource:
    """Return the same sound over level ground with nothing around."""
    return replace(sound, scene=build_scene(ground=sound.scene.ground), wall_height_m=None)


def open_field_dba(sound: NoiseSource, distance_m: np.ndarray, receiver_m: float) -> np.ndarray:
    """Compute the level of one machine over level ground with nothing around.

    Args:
        sound: The sound of one machine.
        distance_m: Horizontal distances (P,), meters.
        receiver_m: Height of the receivers above the ground, meters.

    Returns:
        The levels (P,) in dB(A).
    """
    source = np.zeros((len(distance_m), 3))
    receiver = np.zeros((len(distance_m), 3))
    source[:, 2], receiver[:, 0], receiver[:, 2] = sound.source_height_m, distance_m, receiver_m
    return level_dba(remove_obstacles(sound), source, receiver)
