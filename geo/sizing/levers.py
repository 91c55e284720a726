"""What would lift a site: it is sized again under each of the plan's levers that can help."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.criteria.noise.sound import rerate_source
from geo.model import Generator, Lever, Plan, Screening
from geo.sizing import size
from geo.sizing.fuel_options import FuelChoice, resize_with_main_share


def size_under_levers(
    given: Screening,
    sites: gpd.GeoDataFrame,
    choice: FuelChoice,
    generator: Generator,
    plan: Plan,
) -> pd.DataFrame:
    """Size again under each of the plan's levers, where it relieves what limits a site.

    `lift_lever` is the lever (or the other fuel) that lets a site carry most, `lift_n` how many.
    `wall_n` and `rated_n` are what a noise wall and the rating at another distance would give.
    """
    found, before = choice.siting, choice.deployed["n_lo"].to_numpy()
    # Another fuel is a lever too.
    best_n = choice.n_lo.max(axis=1)
    named = np.array([one.fuel.id for one in choice.options], dtype=object)
    fuels = named[choice.n_lo.argmax(axis=1)]
    fuels[best_n <= before] = None
    best_name = fuels
    # A lever can help where what it relieves stops the next one, or may with another, and nothing
    # else alone does. Ground and neighbours stop it together more often than apart.
    fuel_stops = choice.supply["fuel_n_lo"].to_numpy() + plan.spares <= before
    place_stops = (found.place_lo <= before) & (before < plan.cap) & ~fuel_stops
    asked_by = {
        "fuel": fuel_stops,
        "pad": place_stops & (found.noise_n > before),
        "noise": place_stops & (found.pad_lo > before),
    }
    by_noise = {"wall_n": before.astype(float), "rated_n": before.astype(float)}
    for name, lever in plan.levers.items():
        asked = np.flatnonzero(asked_by[lever.relieves])
        if not len(asked):
            continue
        after = _size_under_lever(lever, given, sites, choice, asked, generator, plan)
        if lever.relieves == "noise":
            column = "wall_n" if lever.wall_height_m is not None else "rated_n"
            by_noise[column][asked] = np.maximum(by_noise[column][asked], after)
        better = after > best_n[asked]
        best_n[asked[better]] = after[better]
        best_name[asked[better]] = name
    more = best_n > before
    return pd.DataFrame(
        {"lift_lever": best_name, "lift_n": np.where(more, best_n, np.nan), **by_noise},
        index=sites.index,
    )


def _size_under_lever(
    lever: Lever,
    given: Screening,
    sites: gpd.GeoDataFrame,
    choice: FuelChoice,
    asked: np.ndarray,
    generator: Generator,
    plan: Plan,
) -> np.ndarray:
    """Return n_lo of the asked sites under one lever, on the fuel they already have."""
    found, before = choice.siting, choice.deployed["n_lo"].to_numpy()
    if lever.usable_share is not None:
        after = resize_with_main_share(choice, given, sites, generator, plan, lever.usable_share)
        return np.asarray(np.where(np.isnan(after), before, after)[asked].astype(int))
    changes = {
        key: value
        for key in ("building_clearance_m", "setback_most_m")
        if (value := getattr(lever, key)) is not None
    }
    easier = plan.model_copy(update={"pad": plan.pad.model_copy(update=changes)})
    heard = found.scene.sound
    if lever.wall_height_m is not None:
        heard = replace(heard, wall_height_m=lever.wall_height_m)
    if lever.level_distance_m is not None:
        heard = rerate_source(heard, generator, lever.level_distance_m)
    again = size.resize_under_lever(found, sites, given, asked, easier, heard)
    return np.asarray(size.deploy_fuel(again, choice.supply, plan)["n_lo"].iloc[asked])
