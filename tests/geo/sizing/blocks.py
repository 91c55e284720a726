"""How loud given blocks are by the compiled search, and by a slow sum over machines and points."""

import numpy as np
import pandas as pd
import shapely
from shapely.affinity import rotate

from geo.criteria.noise.receiver_points import list_receiver_points
from geo.criteria.noise.sound import level_dba, open_field_dba
from geo.criteria.pad.ground import cut_buildable_ground
from geo.equipment import block
from geo.sizing import description
from geo.sizing.kernel.answers import JUDGE_EACH
from geo.sizing.questions import ask, make_searcher, no_blocks
from geo.sizing.siting import SizingContext, describe_levels, list_case
from tests.geo.criteria.noise.conftest import GX230, heard

WALL_AWAY_M = 1.0


def context_of(given, market, plan):
    """Return the context in which the sites of a town are sized."""
    pairs, loud = heard(given, market, plan)
    points = list_receiver_points(pairs)
    ground = cut_buildable_ground(given.sites, given, plan)
    search = make_searcher(pairs, points, ground, loud, GX230, plan)
    return SizingContext(ground, pairs, points, search, loud, GX230, plan)


def block_row(context, placed):
    """Return a placement as the search holds it: layout, x, y, angle, running machines."""
    count, layouts = int(placed["count"]), context.search.layouts
    layout = 0
    if count:
        first, end = context.search.market.blocks.first[count : count + 2]
        same = layouts["columns"].to_numpy()[first:end] == placed["columns"]
        layout = first + int(np.flatnonzero(same)[0])
    x, y = np.array([placed["x"], placed["y"]], dtype=float) - context.origin
    return [layout, x, y, np.radians(placed["degrees"]), count]


def judge_blocks(context, placed, *, worst=True, wall_m=0.0):
    """Return how loud each placement is at each kind of limit, as `describe_levels`."""
    case = list_case(worst=worst, wall_m=wall_m)
    rows = []
    for _, one in placed.iterrows():
        given = no_blocks(1)
        given.place[0] = block_row(context, one)
        found = ask(context.search, JUDGE_EACH, case, np.array([one["site"]]), np.ones(1), given)
        rows.append(describe_levels(context, found.blocks))
    return pd.concat(rows, ignore_index=True)


def to_wall_m(placed, source, receiver):
    """Return how far each straight line runs to the wall, which is 1 m outside the block."""
    half = np.array([placed["length_m"], placed["width_m"]], dtype=float) / 2 + WALL_AWAY_M
    x, y = placed["x"], placed["y"]
    wall = shapely.box(x - half[0], y - half[1], x + half[0], y + half[1])
    wall = rotate(wall, placed["degrees"], origin=(x, y)).exterior
    away = receiver[:, :2] - source[:, :2]
    length = np.maximum(np.hypot(*away.T), 1e-12)[:, None]
    far = source[:, :2] + away / length * 500
    lines = shapely.linestrings(np.stack((source[:, :2], far), axis=1))
    return shapely.distance(shapely.intersection(lines, wall), shapely.points(source[:, :2]))


def levels_at_points(context, placed, pair, loud=None):
    """Return the level of a placement at every receiver point of a pair: the sum over machines."""
    return levels_at_pairs(context, placed, [pair], loud)[0]


def levels_at_pairs(context, placed, chosen, loud=None):
    """Return for each chosen pair the level of a placement at every one of its receiver points."""
    loud = context.sound if loud is None else loud
    row = placed.to_frame().T.astype(float).astype({"count": int, "rows": int, "columns": int})
    of, x, y = block.locate_machines(row, GX230, context.plan)
    points, pairs = context.points, context.pairs
    count = points.end[chosen] - points.begin[chosen]
    at = np.concatenate([points.xy[points.begin[pair] : points.end[pair]] for pair in chosen])
    source = np.column_stack((x, y, np.full(len(of), loud.source_height_m)))
    up = np.repeat(pairs.column("height_m")[chosen].astype(float), count)
    receiver = np.repeat(np.column_stack((at, up)), len(of), axis=0)
    source = np.tile(source, (len(at), 1))
    wall_m = to_wall_m(placed, source, receiver) if loud.wall_height_m else None
    each = level_dba(loud, source, receiver, wall_m).reshape(len(at), len(of))
    together = 10 * np.log10((10 ** (each / 10)).sum(axis=1))
    return np.split(together, np.cumsum(count)[:-1])


def faces_the_site(context, pair):
    """Return which points of a pair count: on a distant lot, only those that face the site."""
    points, pairs = context.points, context.pairs
    part = slice(points.begin[pair], points.end[pair])
    at, outward = points.xy[part], points.outward[part]
    left, bottom, right, top = shapely.bounds(pairs.line[pairs.site[pair]])
    corners = np.array([(left, bottom), (left, top), (right, bottom), (right, top)])
    to_corner = corners[None, :, :] - at[:, None, :]
    ahead = [
        (to_corner * side[:, None, :]).sum(axis=2).max(axis=1)
        for side in (outward[:, :2], outward[:, 2:])
    ]
    no_side = np.isnan(outward).any(axis=1)
    return ~points.facing_only[pair] | no_side | (np.maximum(*ahead) > 0)


def loudest_by_hand(context, placed, loud=None):
    """Return the pairs that hear a placement, and the level at the loudest point of each."""
    pairs, points = context.pairs, context.points
    chosen = np.flatnonzero((pairs.site == placed["site"]) & (points.begin < points.end))
    if placed["count"] == 0 or len(chosen) == 0:
        return chosen[:0], np.empty(0)
    levels = levels_at_pairs(context, placed, chosen, loud)
    loudest = [
        level[faces_the_site(context, pair)].max()
        for pair, level in zip(chosen, levels, strict=True)
    ]
    return chosen, np.array(loudest)


def margins_by_hand(context, placed, heard_by, *, worst=True):
    """Return the smallest margin by the plan's limits and by the rule's, over all who hear it.

    `heard_by` is what `loudest_by_hand` returns.
    """
    pairs, least = context.pairs, np.full(2, np.inf)
    if placed["count"] == 0:
        return least
    for pair, level in zip(*heard_by, strict=True):
        if not (worst or pairs.column("certain")[pair]):
            continue
        kind = int(pairs.column("by_rule")[pair])
        least[kind] = min(least[kind], pairs.column("limit_dba")[pair] - level)
    own_m = pairs.own_at_m[int(placed["site"])]
    if not np.isnan(own_m):
        one = open_field_dba(context.sound, np.array([own_m]), context.plan.noise.facade_height_m)
        level = one[0] + 10 * np.log10(placed["count"])
        least[0] = min(least[0], pairs.own_limit_dba - level)
    return least


def describe_block(given, market, plan, placed):
    """Return the context of a town, and how loud one placement is, at whom and how far away."""
    context = context_of(given, market, plan)
    judged = judge_blocks(context, placed)
    heard_at = description.describe_receptors(context, placed, judged)
    row = pd.concat((judged, heard_at), axis=1).iloc[0]
    row["floored"] = description._is_distance_floored(context, placed, judged)[0]
    return context, row
