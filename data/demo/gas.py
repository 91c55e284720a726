"""Lay gas mains along the streets, record their data, and draw where each company sells gas."""

import geopandas as gpd
import numpy as np
import shapely

from data.demo import recipe
from data.demo.land import TownGround
from data.demo.layout import TownLayout
from data.demo.recipe import DISTRICTS, Main
from data.demo.streets import split_into_patches

Array = np.ndarray


def lay_mains(
    streets: gpd.GeoDataFrame, layout: TownLayout, ground: TownGround, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Lay the gas mains that are on record.

    Most streets of a patch have the same kind of main, and the others each have their own kind.
    Streets without a main have no row.

    Args:
        streets: The streets, in the town's frame.
        layout: The town's layout.
        ground: The town's ground, for its patches.
        rng: The source of random numbers.

    Returns:
        The mains, with diameter_in, pressure_class and material (NaN or None where not known).
    """
    district = _served_as(streets, layout)
    middle, patch = split_into_patches(streets, recipe.PATCH_M)
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
    mains = gpd.GeoDataFrame(
        {
            "street": streets.name,
            "diameter_in": size,
            "pressure_class": pressure,
            "material": material,
        },
        geometry=shapes,
    )
    return mains[laid].reset_index(drop=True)


def _served_as(streets: gpd.GeoDataFrame, layout: TownLayout) -> Array:
    """Return the district whose mains each street has; an arterial among houses is a strip."""
    of = layout.cells.loc[streets.cell.to_numpy()].reset_index(drop=True)
    homes = of.district.isin(["suburb", "courts", "old_town"])
    strip = homes & (streets.district == "arterial").to_numpy()
    return np.asarray(of.district.mask(strip, "strip").mask(strip & of.main_street, "main_street"))


def scatter_signs(
    streets: gpd.GeoDataFrame, pipes: gpd.GeoDataFrame, ground: TownGround, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Scatter leak reports and a few regulating stations along the streets.

    Args:
        streets: The streets, in the town's frame.
        pipes: The mains on record, which affect how likely signs are.
        ground: The town's ground, for the gas company's area.
        rng: The source of random numbers.

    Returns:
        Points, with sign, street and day.
    """
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


def record_mains(pipes: gpd.GeoDataFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Return the mains as recorded. Columns added: maop, status; some materials become "UNK".

    The maximum allowed pressure is hand-typed text in various units, and only mains without a
    pressure class have it.
    """
    recorded, count = pipes.copy(), len(pipes)
    bare = np.flatnonzero(recorded.pressure_class.isna())
    rated = np.sort(rng.permutation(bare)[: round(recipe.MAOP_SHARE * len(bare))])
    maop = np.full(count, "", dtype=object)
    # Use the texts in turn, so that a small town has one of each.
    maop[rated] = np.array(recipe.MAOP, dtype=object)[np.arange(len(rated)) % len(recipe.MAOP)]
    order, gone = rng.permutation(count), 0
    status = np.full(count, "ACT", dtype=object)
    for code, share in recipe.MAIN_STATUS.items():
        many = max(1, round(share * count))
        status[order[gone : gone + many]] = code
        gone += many
    unknown = rng.permutation(count)[: max(1, round(recipe.NO_MATERIAL_SHARE * count))]
    material = recorded.material.to_numpy(dtype=object)
    material[unknown] = "UNK"
    return recorded.assign(maop=maop, status=status, material=material)


def draw_territories(layout: TownLayout, ground: TownGround) -> gpd.GeoDataFrame:
    """Return where each gas company sells. Column: company. No company serves one corner."""
    _, east = recipe.GAS_TERRITORY
    beyond = layout.frame.box(east, 99, -99, 99).intersection(ground.county)
    rest = beyond.difference(layout.frame.box(*recipe.NO_GAS_CORNER))
    return gpd.GeoDataFrame({"company": recipe.GAS_COMPANIES}, geometry=[ground.gas, rest])


def draw_transmission(layout: TownLayout, ground: TownGround) -> gpd.GeoDataFrame:
    """Return the transmission lines, cut off at the county line. Columns: operator, status."""
    table = recipe.GAS_TRANSMISSION
    shapes = [
        shapely.LineString([layout.frame.place(*at) for at in corners]) for _, _, corners in table
    ]
    return gpd.GeoDataFrame(
        {"operator": [row[0] for row in table], "status": [row[1] for row in table]},
        geometry=shapely.intersection(np.array(shapes, dtype=object), ground.county),
    )
