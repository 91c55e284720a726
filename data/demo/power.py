"""Make four tables of what the grid can still carry, which do not all agree."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.demo import recipe
from data.demo.land import TownGround
from data.demo.layout import TownFrame, TownLayout
from data.demo.streets import split_into_patches

Array = np.ndarray
Weighed = tuple[tuple[float, float | None, float | None], ...]


def lay_feeders(
    streets: gpd.GeoDataFrame,
    layout: TownLayout,
    ground: TownGround,
    of_feeders: np.random.Generator,
    of_sections: np.random.Generator,
) -> gpd.GeoDataFrame:
    """Lay the sections of the feeders, one per street, in the area that the utility publishes.

    The sections of a patch belong to one feeder, which starts at the nearest substation. They have
    nearly the same load, except for a few wrong ones.

    Args:
        streets: The streets, in the town's frame.
        layout: The town's layout.
        ground: The town's ground, for its patches.
        of_feeders: The source of random numbers for feeders.
        of_sections: The source of random numbers for sections.

    Returns:
        The sections, with feeder_id, section_id, substation_id and load_mw (NaN: not published).
    """
    shapes = shapely.intersection(streets.geometry.to_numpy(), ground.hosting)
    long_enough = shapely.length(shapes) > 8
    lines = gpd.GeoDataFrame(geometry=shapes[long_enough])
    middle, patch = split_into_patches(lines, recipe.FEEDER_PATCH_M)
    feeder = _joined(middle, patch)
    load_mw = deal_shares(recipe.FEEDER_MW, feeder.max() + 1, of_feeders)[feeder]
    swing = of_sections.uniform(-1, 1, len(lines)) * recipe.SECTION_SWING
    load_mw = np.minimum(load_mw * (1 + swing), recipe.LOAD_CEILING_MW)
    wrong = _apart(recipe.SECTION_MESS, len(lines), of_sections)
    load_mw[wrong["silent"]] = np.nan
    load_mw[wrong["full"]] = 0.0
    load_mw[wrong["marker"]] = recipe.MARKER_MW
    stations = [s for s in list_in_service() if s.owner == recipe.VALLEY]
    points = shapely.points([layout.frame.place(*s.at) for s in stations])
    nearest = shapely.STRtree(points).nearest(_middles(middle, feeder))
    source = np.array([s.id for s in stations])[nearest]
    number = pd.Series(source).groupby(source).cumcount() + 1
    name = np.array([f"{s}-F{n:02d}" for s, n in zip(source, number, strict=True)])
    section = pd.Series(feeder).groupby(feeder).cumcount() + 1
    lines["feeder_id"] = name[feeder]
    lines["section_id"] = [f"{f}-{n:03d}" for f, n in zip(name[feeder], section, strict=True)]
    lines["substation_id"] = source[feeder]
    lines["load_mw"] = load_mw.round(3)
    return lines


def assign_hosting_kw(sections: gpd.GeoDataFrame, rng: np.random.Generator) -> Array:
    """Return the generation that each section can host (n,), up to the ceiling; NaN if unknown."""
    _, feeder = np.unique(sections.feeder_id, return_inverse=True)
    of_feeder = deal_shares(recipe.GENERATION_KW, feeder.max() + 1, rng)
    hosting_kw = of_feeder[feeder] * rng.uniform(0.6, 1.0, len(sections))
    return np.asarray(np.minimum(hosting_kw, recipe.GENERATION_CEILING_KW).round(-1))


def make_cells(
    sections: gpd.GeoDataFrame, frame: TownFrame, ground: TownGround, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Make the squares of the planning study.

    Where feeders are published, some cells agree with the feeders in them (the median load divided
    by the power factor), and others do not.

    Args:
        sections: The sections of the feeders.
        frame: The town's frame.
        ground: The town's ground.
        rng: The source of random numbers.

    Returns:
        The squares, with cell_id, load_mva and queued_mva.
    """
    area = frame.box(*recipe.STUDY_AREA).intersection(ground.town)
    left, low, right, high = np.array(area.bounds) // recipe.CELL_M
    columns, rows = (one.ravel() for one in np.mgrid[left : right + 1, low : high + 1])
    side = recipe.CELL_M
    squares = shapely.box(columns * side, rows * side, (columns + 1) * side, (rows + 1) * side)
    in_area = shapely.intersects(squares, area)
    squares, columns, rows = squares[in_area], columns[in_area] - left, rows[in_area] - low
    known = sections[sections.load_mw < recipe.MARKER_MW]
    cell, section = shapely.STRtree(known.geometry.to_numpy()).query(squares, "intersects")
    median_mw = pd.Series(known.load_mw.to_numpy()[section]).groupby(cell).median()
    by_feeders = median_mw.reindex(range(len(squares))).to_numpy() / recipe.STUDY_POWER_FACTOR
    agrees = (rng.random(len(squares)) < recipe.STUDY_AGREES_SHARE) & ~np.isnan(by_feeders)
    load_mva = np.where(agrees, by_feeders, deal_shares(recipe.STUDY_MVA, len(squares), rng))
    queued_mva = rng.uniform(*recipe.QUEUED_MVA, len(squares))
    queued = max(1, round(recipe.QUEUED_KNOWN_SHARE * len(squares)))
    queued_mva[rng.permutation(len(squares)) >= queued] = np.nan
    return gpd.GeoDataFrame(
        {
            "cell_id": [f"C{x:03.0f}-{y:03.0f}" for x, y in zip(columns, rows, strict=True)],
            "load_mva": load_mva.round(2),
            "queued_mva": queued_mva.round(2),
        },
        geometry=squares,
    )


def make_areas(frame: TownFrame, ground: TownGround) -> gpd.GeoDataFrame:
    """Return areas of the western substations. Columns: substation_id, firm, left (text)."""
    stations = list_in_service()
    points = shapely.points([frame.place(*s.at) for s in stations])
    nearer = shapely.voronoi_polygons(shapely.multipoints(points), extend_to=ground.county)
    parts = shapely.get_parts(nearer)
    station, part = shapely.STRtree(parts).query(points, "within")
    west = frame.box(*recipe.AREAS_BOX).intersection(ground.town.buffer(100))
    areas = gpd.GeoDataFrame(
        {"substation_id": [stations[i].id for i in station]},
        geometry=shapely.intersection(parts[part], west),
    )
    areas = areas[areas.substation_id.isin(recipe.AREAS) & ~areas.is_empty]
    areas = areas.sort_values("substation_id", ignore_index=True)
    published = [recipe.AREAS[name] for name in areas.substation_id]
    return areas.assign(firm=[firm for firm, _ in published], left=[left for _, left in published])


def list_in_service() -> list[recipe.DemoSubstation]:
    """Return the substations that serve customers today."""
    return [
        s
        for s in recipe.SUBSTATIONS
        if s.status.lower() == "in service" and s.level.startswith("Dist")
    ]


def deal_shares(table: Weighed, count: int, rng: np.random.Generator) -> Array:
    """Deal values in the table's proportions, in random order.

    Unlike random draws, this keeps the proportions in a small town too. For example, the rows
    (1, 0, 0) and (3, 5, 5) give four values as one 0 and three 5s.

    Args:
        table: The values and their weights.
        count: How many values to deal.
        rng: The source of random numbers.

    Returns:
        The values (count,), NaN for None.
    """
    ends = np.cumsum([row[0] for row in table])
    at = (rng.permutation(count) + 0.5) / max(count, 1) * ends[-1]
    pick = np.searchsorted(ends, at, side="right")
    low = np.array([row[1] for row in table], dtype=float)
    high = np.array([row[2] for row in table], dtype=float)
    return np.asarray(low[pick] + (high - low)[pick] * rng.random(count))


def _middles(middle: Array, group: Array) -> Array:
    """Return the middle of each group of points (n, 2) as a point, in the order of the groups."""
    return np.asarray(shapely.points(pd.DataFrame(middle).groupby(group).mean().to_numpy()))


def _joined(middle: Array, patch: Array) -> Array:
    """Return the feeder of each section; patches of few sections join the nearest larger patch."""
    large = np.bincount(patch) >= recipe.FEEDER_SECTIONS_LEAST
    if not large.any():
        return np.zeros_like(patch)
    middles = _middles(middle, patch)
    return np.asarray(shapely.STRtree(middles[large]).nearest(middles)[patch])


def _apart(shares: dict[str, float], count: int, rng: np.random.Generator) -> dict[str, Array]:
    """Return the numbers of different rows for each share of `count` rows, at least one each."""
    sizes = [max(1, round(share * count)) for share in shares.values()]
    parts = np.split(rng.permutation(count), np.cumsum(sizes))
    return dict(zip(shares, parts[:-1], strict=True))
