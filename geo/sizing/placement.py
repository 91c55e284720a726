"""Find the blocks that are drawn, with how loud they are, and list where they stand."""

import numpy as np
import pandas as pd

from geo.sizing.kernel.answers import JUDGE_EACH, QUIETEST
from geo.sizing.questions import PlacedBlocks, ask, no_blocks
from geo.sizing.siting import Siting, SizingContext, list_case


def find_blocks(siting: Siting, count: np.ndarray, sure: np.ndarray) -> PlacedBlocks:
    """Return the best block of `count` machines at each site, worst case where `sure`.

    If no place is found for this number but one is known for a larger number, the smaller number
    stands on the larger block.

    Args:
        siting: What ground and neighbors allow.
        count: The number at each site (n,); 0: none is asked for.
        sure: Whether receptors that may not exist count (n,).

    Returns:
        The blocks, and how loud they are; none where none is asked for.
    """
    context = siting.context
    running = context.search.market.blocks.running
    blocks = no_blocks(len(count))
    for worst in (True, False):
        known = siting.block_lo if worst else siting.block_hi
        held = siting.held_lo if worst else siting.place_hi
        stands = (count > 0) & (sure == worst)
        ready = stands & (count == held) & (known.place[:, 0] >= 0)
        blocks = blocks.replace(ready, known.take(ready))
        if not worst:
            # The block may be that of the worst case. In the best case, fewer people hear it.
            blocks = judge_blocks(siting, blocks, ready, JUDGE_EACH, worst=False)
        positions = np.flatnonzero(stands & ~ready)
        if not len(positions):
            continue
        fewer = known.take(positions)
        fewer.place[:, 4] = running[count[positions]]
        found = ask(
            context.search, QUIETEST, list_case(worst=worst), positions, count[positions], fewer
        )  # fmt: skip
        blocks = blocks.replace(positions, found.blocks)
    return blocks


def judge_blocks(
    siting: Siting, blocks: PlacedBlocks, chosen: np.ndarray, question: int, *, worst: bool
) -> PlacedBlocks:
    """Return the same blocks, with how loud the chosen ones are.

    Args:
        siting: What ground and neighbors allow.
        blocks: A block at each chosen site, at least.
        chosen: One boolean per site.
        question: JUDGE_WORST or JUDGE_EACH, see `kernel.answers`.
        worst: Whether receptors that may not exist count.

    Returns:
        The blocks.
    """
    positions = np.flatnonzero(chosen)
    found = ask(
        siting.context.search, question, list_case(worst=worst), positions,
        np.ones(len(positions)), blocks.take(positions),
    )  # fmt: skip
    return blocks.replace(positions, found.blocks)


def list_placements(context: SizingContext, blocks: np.ndarray, count: np.ndarray) -> pd.DataFrame:
    """Return the places of blocks (p, 5) of `count` machines (p,) as rows, in the market's frame.

    Args:
        context: The context.
        blocks: The blocks (p, 5), as `PlacedBlocks.place`.
        count: How many machines each has (p,).

    Returns:
        Columns x, y, degrees, count, rows, columns, length_m and width_m.
    """
    layouts = context.search.layouts.iloc[blocks[:, 0].astype(int)].reset_index(drop=True)
    xy = blocks[:, 1:3] + context.origin
    return layouts.assign(
        x=xy[:, 0].round(4), y=xy[:, 1].round(4), degrees=np.degrees(blocks[:, 3]), count=count
    )
