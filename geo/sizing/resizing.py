"""Size sites again: beside fuel tanks, under other clearances, or with another source."""

from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from geo.criteria.pad.ground import (
    BuildableGround,
    cut_buildable_ground,
    select_ground,
    subtract_ground,
    take_sites,
)
from geo.criteria.pad.room import max_machines_that_fit
from geo.criteria.pad.storage import PlacedStorage, place_storage
from geo.equipment.tanks import TankGroup
from geo.model import Plan, Screening
from geo.shapes.near import geometry_array
from geo.sizing.kernel.answers import LARGEST
from geo.sizing.kernel.arrays import Case
from geo.sizing.questions import PlacedBlocks, Searcher, ask
from geo.sizing.search_arrays import arrange_ground
from geo.sizing.siting import (
    PER_SITE,
    Siting,
    is_ground_unknown,
    is_noise_unknown,
    list_case,
    size_in_context,
    zero_if_only_spares,
)


def resize_beside_tanks(
    siting: Siting, sites: gpd.GeoDataFrame, screening: Screening, groups: list[TankGroup]
) -> tuple[Siting, PlacedStorage]:
    """Size the sites again with fuel tanks on their ground.

    Args:
        siting: The sites as sized without tanks.
        sites: All sites, as in `size_sites`.
        screening: As in `size_sites`.
        groups: The groups of tanks that may be placed.

    Returns:
        The siting, unchanged where no tanks fit, and the tanks with the ground that they leave.
    """
    context, buildings = siting.context, geometry_array(screening.layers.get("buildings"))
    kept = place_storage(
        context.ground,
        geometry_array(sites),
        buildings,
        groups,
        context.measure_quietness,
        siting.place_hi,
        context.generator,
        context.plan,
    )
    positions = np.flatnonzero(kept.group >= 0)
    beside = context.stand_on(kept.ground)
    again = size_in_context(beside, positions, siting.alone_worst, siting.alone_best, siting)
    return select_sitings(siting, again, kept.group >= 0), kept


def select_sitings(siting: Siting, other: Siting, use_other: np.ndarray) -> Siting:
    """Combine two sitings of the same sites; only the ground in their contexts may differ.

    Args:
        siting: The siting to start from.
        other: The siting to take instead where `use_other` is true.
        use_other: One boolean per site.

    Returns:
        The combined siting.
    """
    if not use_other.any():
        return siting
    ground = select_ground(siting.context.ground, other.context.ground, use_other)
    combined: dict[str, Any] = {}
    for name in PER_SITE:
        mine, others = getattr(siting, name), getattr(other, name)
        if isinstance(mine, PlacedBlocks):
            combined[name] = mine.replace(use_other, others.take(use_other))
        else:
            chosen = use_other if mine.ndim == 1 else use_other[:, None]
            combined[name] = np.where(chosen, others, mine)
    return replace(siting, context=siting.context.stand_on(ground), **combined)


def resize_under_clearance(
    siting: Siting,
    sites: gpd.GeoDataFrame,
    screening: Screening,
    positions: np.ndarray,
    plan: Plan,
) -> np.ndarray:
    """Return how many generators some sites carry in the worst case under other clearances.

    Args:
        siting: The sites as sized before.
        sites: All sites, as in `size_sites`.
        screening: As in `size_sites`.
        positions: The sites to size again.
        plan: The plan with the other clearances.

    Returns:
        What ground and neighbors allow together (p,), at least as many as before.
    """
    context = siting.context
    chosen = sites.iloc[positions].reset_index(drop=True)
    before = take_sites(context.ground, positions)
    # Other clearances change neither the tanks nor the open area on the parcel's record.
    wider = subtract_ground(cut_buildable_ground(chosen, screening, plan), before.taken)
    wider = replace(wider, open_m2=before.open_m2)
    room_for, _ = max_machines_that_fit(wider, context.generator, plan)
    ground = _spread_ground(wider, positions, len(sites))
    search = context.search.on(arrange_ground(ground, context.origin))
    return _count_again(siting, search, positions, room_for, list_case(worst=True))


def resize_with_source(
    siting: Siting,
    positions: np.ndarray,
    most: np.ndarray | None = None,
    *,
    gain_db: float = 0.0,
    wall_m: float = 0.0,
    least: np.ndarray | None = None,
) -> np.ndarray:
    """Return how many generators some sites carry in the worst case with another source.

    Args:
        siting: The sites as sized before.
        positions: The sites to size again.
        most: More than this many are of no interest (p,); None: all that the ground has room for.
        gain_db: How much louder the generator is (dB).
        wall_m: The height of a noise wall around the block; 0: none.
        least: How many are known to have a place with a louder source (p,); None: none.

    Returns:
        What ground and neighbors allow together (p,), at least as many as before if the source is
        no louder.
    """
    case = list_case(worst=True, gain_db=gain_db, wall_m=wall_m)
    room_for = siting.pad_n[positions]
    if most is not None:
        room_for = np.minimum(room_for, most)
    if gain_db > 0:
        # Receptors are only listed as far as the plan's rating reaches.
        room_for = np.minimum(room_for, siting.held_lo[positions])
        found = ask(siting.context.search, LARGEST, case, positions, room_for, least=least)
        count = found.count if least is None else np.maximum(found.count, least)
        return _zero_without_facts(siting, count, positions)
    return _count_again(siting, siting.context.search, positions, room_for, case)


def _count_again(
    siting: Siting, search: Searcher, positions: np.ndarray, room_for: np.ndarray, case: Case
) -> np.ndarray:
    """Return the largest number of some sites in another case that allows no fewer."""
    held = siting.held_lo[positions]
    more = np.flatnonzero(room_for > held)
    count = held.copy()
    if len(more):
        found = ask(search, LARGEST, case, positions[more], room_for[more], least=held[more])
        count[more] = np.maximum(found.count, held[more])
    return _zero_without_facts(siting, count, positions)


def _zero_without_facts(siting: Siting, count: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the numbers, 0 where the worst case allows none because a fact is missing."""
    context = siting.context
    missing = is_ground_unknown(context) | is_noise_unknown(context.pairs)
    return np.where(missing[positions], 0, zero_if_only_spares(count, context.plan))


def _spread_ground(ground: BuildableGround, positions: np.ndarray, count: int) -> BuildableGround:
    """Return the ground of some sites as a table of all `count` sites, empty at the others."""
    back = np.full(count, -1)
    back[positions] = np.arange(len(positions))
    shapes = np.full(count, shapely.Polygon(), dtype=object)
    shapes[positions] = ground.shapes
    times = np.zeros(count, dtype=np.int64)
    times[positions] = np.diff(ground.turns_from)
    radius_m, open_m2 = np.zeros(count), np.full(count, np.inf)
    radius_m[positions], open_m2[positions] = ground.radius_m, ground.open_m2
    return replace(
        ground,
        shapes=shapes,
        radius_m=radius_m,
        open_m2=open_m2,
        turns_from=np.concatenate(([0], np.cumsum(times))),
    )
