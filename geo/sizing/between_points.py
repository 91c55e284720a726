"""Find the receptors at which a block is louder somewhere between their receiver points.

Sound through a gap between two buildings, or back from a small wall, reaches a meter or two of a
neighbor's line, which can be louder than the receiver points on either side. A block is therefore
measured once more, at points that are close together.
"""

from dataclasses import replace

import numpy as np

from geo.criteria.noise.receiver_points import CHECKED, list_receiver_points
from geo.criteria.noise.receptors import ReceptorPairs, is_named
from geo.sizing.kernel.answers import LOUDER
from geo.sizing.questions import PlacedBlocks, Searcher, ask
from geo.sizing.search_arrays import arrange_hearing
from geo.sizing.siting import SizingContext, list_case

SEPARATOR = "; "


def name_louder_between(
    context: SizingContext, blocks: PlacedBlocks, sure: np.ndarray
) -> np.ndarray:
    """Name the receptors at which each block is louder between the points than anywhere at one.

    A difference of up to HARDLY_LOUDER (0.5 dB) does not count.

    Args:
        context: The context.
        blocks: A block at each site, or none, and how loud it is (n).
        sure: Whether receptors that may not exist count (n,).

    Returns:
        The names (n,) as text, separated by semicolons (see `ReceptorPairs.name`); None: nowhere.
    """
    pairs, stands = context.pairs, blocks.place[:, 0] >= 0
    could_be = 10 ** (pairs.bound_db / 10) * blocks.place[pairs.site, 4]
    is_louder = could_be > blocks.ratio.max(axis=1)[pairs.site]
    counts = sure[pairs.site] | pairs.column("certain")
    pairs = pairs.take(is_louder & counts & stands[pairs.site])
    search = _listen_closely(context, pairs)
    names: list[list[str]] = [[] for _ in sure]
    waiting = np.flatnonzero(stands)
    while len(waiting):
        found = np.zeros(len(sure), dtype=bool)
        for worst in (True, False):
            sites = waiting[sure[waiting] == worst]
            answer = ask(
                search, LOUDER, list_case(worst=worst), sites, np.ones(len(sites)),
                blocks.take(sites),
            )  # fmt: skip
            louder = np.flatnonzero(answer.count > 0)
            found[sites[louder]] = True
            kind = answer.blocks.ratio[louder].argmax(axis=1)
            for site, name in zip(
                sites[louder], pairs.name(answer.blocks.pair[louder, kind]), strict=True
            ):
                names[site].append(name)
        # Look for others at the same sites.
        waiting = np.flatnonzero(found)
        if len(waiting):
            pairs = pairs.take(found[pairs.site] & ~is_named(pairs, names))
            search = _listen_closely(context, pairs)
    told = [SEPARATOR.join(one) or None for one in names]
    return np.array(told, dtype=object)


def _listen_closely(context: SizingContext, pairs: ReceptorPairs) -> Searcher:
    """Return the search with some pairs and points close together on them."""
    points = list_receiver_points(pairs, np.full(len(pairs.site), CHECKED))
    hearing = arrange_hearing(pairs, points, context.sound, context.plan)
    search = context.search
    # The columns of the table are other points.
    table = search.table._replace(columns=np.zeros_like(search.table.columns))
    return replace(search, market=search.market._replace(hearing=hearing), table=table)
