"""Cut blocks into lots, and give each lot an address, a use and a building.

All pieces of all blocks are cut together. Each round halves the pieces that are still too large, in
a direction that leaves both halves a front on the street.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.demo import recipe
from data.demo.layout import TownFrame, TownLayout
from data.demo.recipe import DISTRICTS

Array = np.ndarray
ROUNDS = 16
TRIES = 3


def cut_lots(layout: TownLayout, parcels: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Cut the town into lots with addresses, from its center outward.

    Args:
        layout: The town's layout.
        parcels: About how many lots.
        rng: The source of random numbers.

    Returns:
        The lots, with block, cell, district, place, number, street, front_x and front_y.
    """
    blocks = layout.blocks
    lots = _subdivide(blocks, rng)
    # The town ends where it has enough lots. Works and business parks at its edge count as nearer.
    far = np.hypot(*layout.frame.shares(_xy(blocks.geometry.to_numpy())).T)
    far = np.where(blocks.district.isin(["business_park", "works", "plant"]), far * 0.7, far)
    order = np.argsort(far, kind="stable")
    count = np.bincount(lots.block, minlength=len(blocks))[order].cumsum()
    kept = order[: int(np.searchsorted(count, parcels)) + 1]
    lots = lots[lots.block.isin(kept)].sort_values(["block"], kind="stable", ignore_index=True)
    return _addresses(lots, layout)


def _xy(shapes: Array) -> Array:
    return np.asarray(shapely.get_coordinates(shapely.centroid(shapes)))


def _box(shapes: Array) -> tuple[Array, Array, Array, Array]:
    """Return each shape's oriented box: corner, long side, short side, both lengths (n, 2)."""
    ring = shapely.get_exterior_ring(shapely.oriented_envelope(shapes))
    corners = shapely.get_coordinates(ring).reshape(-1, 5, 2)[:, :4]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    longer = (np.hypot(*first.T) >= np.hypot(*second.T))[:, None]
    along, across = np.where(longer, first, second), np.where(longer, second, first)
    lengths = np.column_stack([np.hypot(*along.T), np.hypot(*across.T)])
    return corners[:, 0], along / lengths[:, :1], across / lengths[:, 1:], lengths


def _halves(shapes: Array, at: Array, lengthwise: Array) -> tuple[Array, Array]:
    """Cut each shape at share `at` of its box: across the long side, or along it (`lengthwise`)."""
    corner, along, across, lengths = _box(shapes)
    turn = lengthwise[:, None]
    u, v = np.where(turn, across, along), np.where(turn, along, across)
    reach = np.where(lengthwise, lengths[:, 1], lengths[:, 0])
    line = corner + u * (reach * at)[:, None]
    wide = v * 1.5 * lengths.max(axis=1)[:, None]
    back, ahead = -u * 1.5 * reach[:, None], u * 1.5 * reach[:, None]
    left = np.stack([line - wide, line + wide, line + wide + back, line - wide + back], axis=1)
    right = np.stack([line - wide, line + wide, line + wide + ahead, line - wide + ahead], axis=1)
    return (
        np.asarray(shapely.intersection(shapes, shapely.polygons(left))),
        np.asarray(shapely.intersection(shapes, shapely.polygons(right))),
    )


def _subdivide(blocks: gpd.GeoDataFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    table = pd.DataFrame(
        {name: (*d.lot_m2, d.depth_m) for name, d in DISTRICTS.items()}, index=["lo", "hi", "depth"]
    ).T
    of = table.loc[blocks.district].to_numpy()
    wanted = np.exp(rng.uniform(np.log(of[:, 0]), np.log(of[:, 1])))
    shapes, block = blocks.geometry.to_numpy(), np.arange(len(blocks))
    tries = np.zeros(len(blocks), dtype=int)
    done: list[tuple[Array, Array]] = []
    for step in range(ROUNDS):
        lengths = _box(shapes)[3]
        low, high, depth = of[block].T
        # First cut blocks into rows that lie back to back, then cut the rows into lots.
        rows = (lengths[:, 1] > 1.55 * depth) & (lengths[:, 1] < 3.2 * depth) & (step < 2)
        large = (shapely.area(shapes) > 1.45 * wanted) & (shapely.area(shapes) > 1.7 * low)
        split = (rows | large) & (tries < TRIES)
        done.append((shapes[~split], block[~split]))
        shapes, block, wanted, tries = shapes[split], block[split], wanted[split], tries[split]
        rows, low, high = rows[split], low[split], high[split]
        if not len(shapes):
            break
        # After each failed try, a piece may be cut farther from its middle.
        swing = 0.08 + 0.07 * tries
        at = np.where(rows & (tries == 0), 0.5, rng.uniform(0.5 - swing, 0.5 + swing))
        edge = blocks.edge.to_numpy()[block]
        halves = _halves(shapes, at, rows)
        good = _fronts(halves, edge, low)
        again = np.flatnonzero(~good)
        turned = _halves(shapes[again], at[again], ~rows[again])
        better = _fronts(turned, edge[again], low[again])
        for half, other in zip(halves, turned, strict=True):
            half[again[better]] = other[better]
        good[again[better]] = True
        drift = np.exp(rng.normal(0, 0.38, (2, len(shapes))))
        grown = np.clip(wanted * drift, low, high)
        shapes = np.concatenate([halves[0][good], halves[1][good], shapes[~good]])
        wanted = np.concatenate([grown[0][good], grown[1][good], wanted[~good]])
        tries = np.concatenate([np.zeros(2 * int(good.sum()), dtype=int), tries[~good] + 1])
        block = np.concatenate([block[good], block[good], block[~good]])
    done.append((shapes, block))
    shapes = np.concatenate([piece for piece, _ in done])
    block = np.concatenate([of_block for _, of_block in done])
    middle = _xy(shapes).round(2)
    order = np.lexsort((middle[:, 1], middle[:, 0], block))
    columns = blocks.loc[block[order], ["cell", "district", "place"]].reset_index(drop=True)
    return gpd.GeoDataFrame(columns.assign(block=block[order]), geometry=shapes[order])


def _fronts(halves: tuple[Array, Array], edge: Array, low: Array) -> Array:
    """Return whether both halves are whole, not too small, and reach the street."""
    good = np.ones(len(edge), dtype=bool)
    for half in halves:
        good &= (shapely.get_type_id(half) == 3) & (shapely.area(half) > 0.55 * low)
        good &= shapely.dwithin(half, edge, 0.05)
        # Twice the area divided by the perimeter is the width of a strip: reject slivers.
        good &= 2 * shapely.area(half) / shapely.length(half) > 0.27 * np.sqrt(low)
    return good


def assign_uses(lots: gpd.GeoDataFrame, rng: np.random.Generator) -> Array:
    """Return the use code of each lot, drawn from those of its district."""
    use = np.empty(len(lots), dtype=object)
    for name, district in DISTRICTS.items():
        chosen = np.flatnonzero(lots.district == name)
        weights = np.array(list(district.uses.values()), dtype=float)
        use[chosen] = rng.choice(list(district.uses), len(chosen), p=weights / weights.sum())
    # Shops with homes above them are only on small lots; a large lot gets a shop without homes.
    # Homes in an old mill or above a workshop may be on large lots.
    large = (lots.area > 1500) & ~lots.district.isin(("mills", "works"))
    use[(use == "013") & large.to_numpy()] = "325"
    return use


def cut_village(lots: gpd.GeoDataFrame, frame: TownFrame, rng: np.random.Generator) -> Array:
    """Put a shop on the ground floor of some houses in the west village.

    Args:
        lots: The lots, with their use codes.
        frame: The town's frame, for the location of the village.
        rng: The source of random numbers.

    Returns:
        The use codes of the lots.
    """
    west, east, south, north = recipe.WEST_VILLAGE
    x, y = frame.shares(_xy(lots.geometry.to_numpy())).T
    in_village = (x > west) & (x < east) & (y > south) & (y < north)
    houses = np.flatnonzero(
        in_village & (lots.district == "old_town") & lots.use.isin(["101", "104"])
    )
    use: Array = lots.use.to_numpy(copy=True)
    use[houses[rng.random(len(houses)) < recipe.VILLAGE_SHOPS_SHARE]] = "013"
    return use


def _addresses(lots: gpd.GeoDataFrame, layout: TownLayout) -> gpd.GeoDataFrame:
    """Number each lot along its nearest street, odd on one side and even on the other."""
    lines = layout.streets.geometry.to_numpy()
    tree = shapely.STRtree(lines)
    middle = shapely.centroid(lots.geometry.to_numpy())
    lot, street = tree.query_nearest(lots.geometry.to_numpy(), all_matches=False)
    nearest = np.empty(len(lots), dtype=int)
    nearest[lot] = street
    line = lines[nearest]
    along = shapely.line_locate_point(line, middle)
    foot = shapely.get_coordinates(shapely.line_interpolate_point(line, along))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, along + 1.0))
    behind = shapely.get_coordinates(
        shapely.line_interpolate_point(line, np.maximum(along - 1.0, 0))
    )
    way, out = ahead - behind, shapely.get_coordinates(middle) - foot
    left = way[:, 0] * out[:, 1] - way[:, 1] * out[:, 0] > 0
    lots["number"] = 2 * (along / 9.0).astype(int) + np.where(left, 1, 2)
    lots["street"] = layout.streets.name.to_numpy()[nearest]
    lots["front_x"], lots["front_y"] = foot.T
    return lots


# ---------------------------------------------------------------------------------------------
# Buildings

BARE = ("130", "337", "390", "440", "900", "975")


def place_buildings(lots: gpd.GeoDataFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Place the buildings of every built-on lot. Columns: lot, storeys, height_m, geometry.

    Buildings are set back from the front and the sides of the lot, and never extend beyond it. Some
    are L-shaped or in two parts.
    """
    standing = np.flatnonzero(~lots.use.isin(BARE).to_numpy())
    on = lots.iloc[standing]
    spans = (
        pd.DataFrame(
            {n: (*d.cover, *d.storeys, *d.front_m, d.side_m) for n, d in DISTRICTS.items()}
        )
        .T.loc[on.district]
        .to_numpy()
    )

    def between(i: int) -> Array:
        return np.asarray(rng.uniform(spans[:, i], spans[:, i + 1]))

    cover, storeys, front = between(0), np.floor(between(2) + 0.5), between(4)
    yard = shapely.buffer(on.geometry.to_numpy(), -spans[:, 6], join_style="mitre")
    whole = _set(on, cover, front, spans[:, 6], np.zeros(len(on)), rng)
    # Some buildings get a wing: a narrower rectangle on one side, which makes an L.
    winged = rng.random(len(on)) < 0.35
    wing = _set(on, cover * 0.8, front, spans[:, 6], rng.choice([-0.32, 0.32], len(on)), rng, 0.5)
    shape = np.where(winged, shapely.union(whole, wing), whole)
    shape = np.asarray(shapely.intersection(shape, yard))
    parts, index = shapely.get_parts(shape, return_index=True)
    keep = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 35)
    story_m = np.where(
        on.use.str.startswith("4"), 5.0, np.where(on.use.str.startswith("3"), 4.0, 3.0)
    )
    height = storeys * story_m + rng.uniform(0.5, 3.0, len(on))
    index = index[keep]
    return gpd.GeoDataFrame(
        {"lot": standing[index], "storeys": storeys[index], "height_m": height[index].round(1)},
        geometry=parts[keep],
    )


def _set(
    on: gpd.GeoDataFrame,
    cover: Array,
    front: Array,
    side: Array,
    shift: Array,
    rng: np.random.Generator,
    narrow: float = 1.0,
) -> Array:
    """Return a rectangle per lot, parallel to its box, set back `front` meters from its front."""
    shapes = on.geometry.to_numpy()
    corner, along, across, lengths = _box(shapes)
    middle = corner + along * lengths[:, :1] / 2 + across * lengths[:, 1:] / 2
    to_street = on[["front_x", "front_y"]].to_numpy() - middle
    u, v = (to_street * along).sum(axis=1), (to_street * across).sum(axis=1)
    # The front is the side of the box that is nearest to the street.
    by_long = np.abs(u) - lengths[:, 0] / 2 > np.abs(v) - lengths[:, 1] / 2
    ahead = np.where(by_long[:, None], along * np.sign(u)[:, None], across * np.sign(v)[:, None])
    aside = np.column_stack([-ahead[:, 1], ahead[:, 0]])
    depth = np.where(by_long, lengths[:, 0], lengths[:, 1])
    width = np.where(by_long, lengths[:, 1], lengths[:, 0])
    area = shapely.area(shapes) * cover
    front = np.minimum(front, depth * 0.3)
    room = np.maximum(width - 2 * side, 4.0)
    wide = np.clip(np.sqrt(area * rng.uniform(0.8, 1.6, len(on))), room * 0.45, room) * narrow
    deep = np.minimum(area / wide, depth - front - side)
    slide = (room - wide) / 2 * rng.uniform(-1, 1, len(on)) * (shift == 0) + shift * room * 0.5
    face = middle + ahead * (depth / 2 - front)[:, None] + aside * slide[:, None]
    half, back = aside * (wide / 2)[:, None], ahead * deep[:, None]
    return np.asarray(
        shapely.polygons(
            np.stack([face - half, face + half, face + half - back, face - half - back], axis=1)
        )
    )
