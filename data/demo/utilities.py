"""Lay gas mains and feeders along the streets, and report leaks where there may be a main."""

import geopandas as gpd
import numpy as np
import shapely

from data.demo import recipe
from data.demo.land import Ground
from data.demo.layout import Layout
from data.demo.recipe import DISTRICTS, Main

Array = np.ndarray


def served_streets(layout: Layout, lots: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the streets that some lot fronts on."""
    blocks = layout.blocks.geometry.to_numpy()[np.unique(lots.block)]
    tree = shapely.STRtree(blocks)
    near = np.unique(tree.query(layout.streets.geometry.to_numpy(), "dwithin", 16.0)[0])
    return layout.streets.iloc[near].reset_index(drop=True)


def mains(
    streets: gpd.GeoDataFrame, layout: Layout, ground: Ground, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Return the mains on record. Columns: diameter_in, pressure_class, material (NaN or None).

    A patch of streets is laid with one kind of main, and some of its streets with another. Streets
    without a main are not there.
    """
    district = _served_as(streets, layout)
    middle, patch = _patches(streets)
    size = np.full(len(streets), None, dtype=object)
    pressure = np.full(len(streets), None, dtype=object)
    same = rng.random(len(streets)) < 0.75
    for name in sorted(set(district)):
        table: tuple[Main, ...] = DISTRICTS[name].mains
        weights = np.array([row[0] for row in table], dtype=float)
        of_patch = rng.choice(len(table), patch.max() + 1, p=weights / weights.sum())
        of_street = rng.choice(len(table), len(streets), p=weights / weights.sum())
        chosen = district == name
        pick = np.where(same, of_patch[patch], of_street)[chosen]
        size[chosen] = np.array([row[1] for row in table], dtype=object)[pick]
        pressure[chosen] = np.array([row[2] for row in table], dtype=object)[pick]
    x, y = layout.frame.shares(middle).T
    for at_x, at_y, reach_x, reach_y in recipe.NOT_PIPED:
        size[((x - at_x) / reach_x) ** 2 + ((y - at_y) / reach_y) ** 2 <= 1] = 0
    laid = size != 0
    shapes = shapely.intersection(streets.geometry.to_numpy(), ground.gas)
    laid &= shapely.length(shapes) > 8
    material = np.array(
        [
            recipe.MATERIALS[name][i % len(recipe.MATERIALS[name])] if name else None
            for i, name in enumerate(pressure)
        ],
        dtype=object,
    )
    found = gpd.GeoDataFrame(
        {
            "street": streets.name,
            "diameter_in": size,
            "pressure_class": pressure,
            "material": material,
        },
        geometry=shapes,
    )
    return found[laid].reset_index(drop=True)


def _patches(streets: gpd.GeoDataFrame) -> tuple[Array, Array]:
    """Return each street's middle (n, 2), and the number of the square patch that it is in."""
    middle = shapely.get_coordinates(
        shapely.line_interpolate_point(streets.geometry.to_numpy(), 0.5, normalized=True)
    )
    _, patch = np.unique(np.floor(middle / recipe.PATCH_M), axis=0, return_inverse=True)
    return middle, patch.ravel()


def _served_as(streets: gpd.GeoDataFrame, layout: Layout) -> Array:
    """Return each street's recipe for utilities: an arterial among houses serves its strip."""
    of = layout.cells.loc[streets.cell.to_numpy()].reset_index(drop=True)
    homes = of.district.isin(["suburb", "courts", "old_town"])
    strip = homes & (streets.district == "arterial").to_numpy()
    return np.asarray(of.district.mask(strip, "strip").mask(strip & of.main_street, "main_street"))


def signs(
    streets: gpd.GeoDataFrame, pipes: gpd.GeoDataFrame, ground: Ground, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Return leak reports and a few regulating stations, as points. Columns: sign, street, day."""
    lines = streets.geometry.to_numpy()
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    tree = shapely.STRtree(pipes.geometry.to_numpy())
    piped = np.zeros(len(lines), dtype=bool)
    piped[tree.query(middle, "dwithin", 2.0)[0]] = True
    inside = shapely.intersects(ground.gas, middle)
    share = np.where(
        piped,
        recipe.SIGN_SHARES["main"],
        np.where(inside, recipe.SIGN_SHARES["no_main"], recipe.SIGN_SHARES["elsewhere"]),
    )
    street = np.flatnonzero(rng.random(len(lines)) < share)
    street = np.repeat(street, rng.integers(1, 4, len(street)))
    points = shapely.get_coordinates(
        shapely.line_interpolate_point(lines[street], rng.random(len(street)), normalized=True)
    )
    points += rng.normal(0, 2.5, points.shape)
    station = rng.random(len(street)) < 0.03
    day = np.datetime64("2023-01-01") + rng.integers(0, 1180, len(street))
    return gpd.GeoDataFrame(
        {
            "sign": np.where(station, "Regulator station", "Grade 3 leak"),
            "street": streets.name.to_numpy()[street],
            "day": day,
        },
        geometry=shapely.points(points),
    )


def feeders(
    streets: gpd.GeoDataFrame, ground: Ground, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Return a feeder section per street of the published area. Columns: feeder_id, load_mw."""
    table = recipe.FEEDER_MW
    weights = np.array([row[0] for row in table])
    low = np.array([row[1] for row in table], dtype=float)
    high = np.array([row[2] for row in table], dtype=float)

    def draw(count: int) -> Array:
        pick = rng.choice(len(table), count, p=weights / weights.sum())
        return np.asarray(low[pick] + (high - low)[pick] * rng.random(count))

    _, patch = _patches(streets)
    of_patch, of_street = draw(patch.max() + 1), draw(len(streets))
    same = rng.random(len(streets)) < 0.8
    load_mw = np.where(same, of_patch[patch], of_street).round(3)
    shapes = shapely.intersection(streets.geometry.to_numpy(), ground.hosting)
    number = streets.groupby("cell").cumcount().to_numpy()
    ids = [f"MB-{cell:03d}-{n:02d}" for cell, n in zip(streets.cell, number, strict=True)]
    found = gpd.GeoDataFrame({"feeder_id": ids, "load_mw": load_mw}, geometry=shapes)
    return found[shapely.length(shapes) > 8].reset_index(drop=True)
