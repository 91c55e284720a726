"""Find how more generators could fit: size the sites again under each lever that can help."""

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.criteria.noise.sound import rerating_db
from geo.model import Generator, Lever, Plan, Screening
from geo.sizing.fuel_options import FuelChoice, resize_with_main_share
from geo.sizing.resizing import resize_under_clearance, resize_with_source
from geo.sizing.siting import add_spares


def size_under_levers(
    screening: Screening,
    sites: gpd.GeoDataFrame,
    choice: FuelChoice,
    generator: Generator,
    plan: Plan,
) -> pd.DataFrame:
    """Size the sites again under each of the plan's levers that relieves what limits them.

    Args:
        screening: The sites' layers, rasters and coverage.
        sites: One row per site, polygons in the market's CRS (m).
        choice: The generators that fit at each site on its best fuel.
        generator: The plan's generator.
        plan: The plan with its levers.

    Returns:
        `lift_lever`, the lever or other fuel that allows the most generators; `lift_n`, how many;
        `wall_n` and `rated_n`, how many with a noise wall and with the rating at another distance.
    """
    siting, before = choice.siting, choice.deployed["n_lo"].to_numpy()
    # Another fuel also counts as a lever.
    best_n = choice.n_lo.max(axis=1)
    fuel_ids = np.array([one.fuel.id for one in choice.options], dtype=object)
    fuels = fuel_ids[choice.n_lo.argmax(axis=1)]
    fuels[best_n <= before] = None
    best_name = fuels
    # A lever can help where its criterion stops the next generator, alone or together with another,
    # and no other criterion alone stops it. Ground and neighbors more often stop it together.
    fuel_stops = choice.supply["fuel_n_lo"].to_numpy() + plan.spares <= before
    place_stops = (siting.place_lo <= before) & (before < plan.cap) & ~fuel_stops
    can_help = {
        "fuel": fuel_stops,
        "pad": place_stops & (siting.noise_n > before),
        "noise": place_stops & (siting.pad_lo > before),
    }
    noise_results = {"wall_n": before.astype(float), "rated_n": before.astype(float)}
    for name, lever in plan.levers.items():
        positions = np.flatnonzero(can_help[lever.relieves])
        if not len(positions):
            continue
        after = _size_under_lever(lever, screening, sites, choice, positions, generator, plan)
        if lever.relieves == "noise":
            column = "wall_n" if lever.wall_height_m is not None else "rated_n"
            noise_results[column][positions] = np.maximum(noise_results[column][positions], after)
        better = after > best_n[positions]
        best_n[positions[better]] = after[better]
        best_name[positions[better]] = name
    more = best_n > before
    return pd.DataFrame(
        {"lift_lever": best_name, "lift_n": np.where(more, best_n, np.nan), **noise_results},
        index=sites.index,
    )


def _size_under_lever(
    lever: Lever,
    screening: Screening,
    sites: gpd.GeoDataFrame,
    choice: FuelChoice,
    positions: np.ndarray,
    generator: Generator,
    plan: Plan,
) -> np.ndarray:
    """Return the n_lo of the sites in `positions` under one lever, on the fuel that they have."""
    siting, before = choice.siting, choice.deployed["n_lo"].to_numpy()
    if lever.usable_share is not None:
        after = resize_with_main_share(
            choice, screening, sites, generator, plan, lever.usable_share
        )
        return np.asarray(np.where(np.isnan(after), before, after)[positions].astype(int))
    fuel_n = add_spares(choice.supply["fuel_n_lo"].to_numpy(), plan)[positions]
    changes = {
        key: value
        for key in ("building_clearance_m", "setback_most_m")
        if (value := getattr(lever, key)) is not None
    }
    if changes:
        changed = plan.model_copy(update={"pad": plan.pad.model_copy(update=changes)})
        place_n = resize_under_clearance(siting, sites, screening, positions, changed)
    else:
        gain_db = 0.0
        if lever.level_distance_m is not None:
            gain_db = rerating_db(generator, lever.level_distance_m)
        place_n = resize_with_source(
            siting, positions, fuel_n, gain_db=gain_db, wall_m=lever.wall_height_m or 0.0
        )
    return np.asarray(np.minimum(place_n, fuel_n))
