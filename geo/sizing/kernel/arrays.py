"""The plain arrays that the compiled search reads and fills.

Coordinates are meters east and north of the scene's origin. A level is an energy, 10^(level / 10).
A ratio is the energy at a receiver point as a share of the energy that its limit allows: 1 just
meets the limit.
"""

from typing import NamedTuple

import numpy as np

from geo.propagation.one_pair import Room, Sound

PACKAGES = ("propagation", "shapes", "sizing/kernel")
"""The packages whose compiled pieces the search uses (see `geo.compiled.entry`)."""
SPOTS_MOST = 64
"""Spots of one site in its transfer table."""
COLUMNS_MOST = 64
"""Receiver points of one site in its transfer table."""
NEAR_SPOTS = 3
"""So many spots of the table, the nearest ones, stand for a machine between them."""
RANKED_PLACES = 24
"""So many places, the quietest for one machine, are looked at for a block."""
CANDIDATES = 3
"""So many places of a block are moved to quieter ones."""
CANDIDATE_COLUMNS = 5  # ratio, layout, x, y, angle
PLACE_COLUMNS = 5  # layout, x, y, angle, running machines


class Hearing(NamedTuple):
    """Who hears each site: pairs of a site and a receptor's limit, and the receiver points.

    The pairs of site i are `first[i]` up to but not including `first[i + 1]`, and the receiver
    points of pair q are `begin[q]` up to but not including `end[q]`.
    """

    lot: np.ndarray  # (sites, 4): the box around each site
    first: np.ndarray  # (sites + 1,)
    box: np.ndarray  # (pairs, 4): around the pair's points
    begin: np.ndarray  # (pairs,)
    end: np.ndarray  # (pairs,)
    per_limit: np.ndarray  # (pairs,): 1 / energy at the limit
    height_m: np.ndarray  # (pairs,): of the receiver points above the ground
    by_rule: np.ndarray  # (pairs,): whether the limit is the market rule's
    certain: np.ndarray  # (pairs,): whether the receptor and its limit are certain
    over_open_ground: np.ndarray  # (pairs,): whether no obstacle stands in between
    facing_only: np.ndarray  # (pairs,): whether only the points that face the site count
    point: np.ndarray  # (points, 2)
    outward: np.ndarray  # (points, 4): away from the lot, on both sides of the point; NaN: no lot
    own: np.ndarray  # (sites,): ratio of one machine at homes at an assumed distance


class Grounds(NamedTuple):
    """The ground of each site on which a block may stand, and the places to try on it."""

    edge: np.ndarray  # (edges, 4): x, y, x, y
    edge_from: np.ndarray  # (sites + 1,)
    turn: np.ndarray  # directions in radians
    turn_from: np.ndarray  # (sites + 1,)
    place: np.ndarray  # (places, 2)
    place_from: np.ndarray  # (sites + 1,)
    step_m: np.ndarray  # (sites,): about the distance between places
    open_m2: np.ndarray  # (sites,): no larger block may stand there
    width_m: np.ndarray  # (sites,): no block with a longer short side fits
    long_m: np.ndarray  # (sites,): no block with a longer long side fits


class Blocks(NamedTuple):
    """Every layout of a block, by its number of machines; layouts of n from `first[n]` on."""

    first: np.ndarray  # (cap + 2,)
    size_m: np.ndarray  # (layouts, 2): length and width
    machine_from: np.ndarray  # (layouts + 1,)
    machine: np.ndarray  # (running machines, 2): along and across, from the block's center
    point_from: np.ndarray  # (layouts + 1,)
    point: np.ndarray  # (points, 2): for the table, a few points stand for the running machines
    machines: np.ndarray  # (points,): how many machines each stands for
    running: np.ndarray  # (cap + 1,): machines that run, of n


class Market(NamedTuple):
    """All that the search knows about the sites of a market."""

    sound: Sound
    sender: int  # see one_pair
    hearing: Hearing
    blocks: Blocks


class Table(NamedTuple):
    """The transfer table of each site: what one machine at a spot causes at a receiver point.

    `energy` is multiplied by the squared distance, so that it changes little from spot to spot. A
    column is a receiver point of a pair. Columns are added when a block exceeds a limit there.
    """

    spot: np.ndarray  # (sites, SPOTS_MOST, 2)
    spots: np.ndarray  # (sites,)
    column_point: np.ndarray  # (sites, COLUMNS_MOST)
    column_pair: np.ndarray  # (sites, COLUMNS_MOST)
    column_at: np.ndarray  # (sites, COLUMNS_MOST, 3): x, y, squared height over a source
    column_most: np.ndarray  # (sites, COLUMNS_MOST): the highest ratio, per `Levels.open`
    columns: np.ndarray  # (sites,); below 0: not started
    energy: np.ndarray  # (sites, COLUMNS_MOST, SPOTS_MOST)
    loudest: np.ndarray  # (sites,): the column that was loudest at the last place looked at
    scale: np.ndarray  # (sites, COLUMNS_MOST): corrections that verified blocks have taught
    walled: np.ndarray  # (sites, COLUMNS_MOST): what a wall around a block leaves; 0: not known


class Levels(NamedTuple):
    """Upper bounds of the energy that one path carries, by distance (see `by_distance`).

    Over flat ground with nothing around, `open` is hardly more than what arrives.
    """

    open: np.ndarray  # (distances, 1)
    bands: np.ndarray  # (distances, 8): of one path behind a wall, before what the wall takes
    nothing_taken: np.ndarray  # (1,): 1
    most_back: float  # all walls together reflect at most so much of what arrives in the open
    kept: np.ndarray  # (owners,): the most that each owner's walls reflect of any band


class Answer(NamedTuple):
    """A block and how loud it is."""

    place: np.ndarray  # (PLACE_COLUMNS,): layout, x, y, angle, running machines
    ratio: np.ndarray  # (2,): the highest by the plan's limits, and by the rule's
    pair: np.ndarray  # (2,): where that is; see `verification`
    point: np.ndarray  # (2,)


class Bench(NamedTuple):
    """The arrays that one thread fills anew for each question."""

    room: Room
    edge: np.ndarray  # (edges, 4): the ground, turned
    stack: np.ndarray  # (200, 4)
    fit: np.ndarray  # (layouts,): 0 not tried, 1 fits, -1 does not
    fit_turn: np.ndarray  # (layouts,)
    fit_across: np.ndarray  # (layouts,)
    fit_at: np.ndarray  # (layouts, 2): center in the turned frame
    machine: np.ndarray  # (machines, 2): where the machines of a block stand, or a few points
    machines: np.ndarray  # (machines,): how many machines each of the points stands for
    most: np.ndarray  # (machines,): the most that each can cause at a point, as a ratio
    with_back: np.ndarray  # (machines,): the same, however many walls reflect
    around: np.ndarray  # (SPOTS_MOST,): spots that may be the nearest to a machine of a block
    away2: np.ndarray  # (SPOTS_MOST,): squared distances of spots
    near: np.ndarray  # (machines, NEAR_SPOTS): the nearest spots of the table
    weight: np.ndarray  # (machines, NEAR_SPOTS)
    candidate: np.ndarray  # (CANDIDATES, CANDIDATE_COLUMNS)
    trial: Answer
    tried: np.ndarray  # (PLACE_COLUMNS,): the place that the search looks at
    nearest_place: np.ndarray  # (PLACE_COLUMNS,): the quietest of those over a limit
    ranked: np.ndarray  # (RANKED_PLACES,): the quietest places for one machine
    ranked_ratio: np.ndarray  # (RANKED_PLACES,)
    left: np.ndarray  # (8,): the most that a wall leaves of any machine's sound, by band
    near_block: np.ndarray  # (walls,): the walls near a block
    waiting: np.ndarray  # (pairs,): pairs in a heap, the loudest bound first
    bound: np.ndarray  # (pairs,)


class Study(NamedTuple):
    """All that one thread needs to answer questions; see `geo.compiled.call_at` for the calls."""

    market: Market
    levels: Levels
    ground: Grounds
    table: Table
    bench: Bench
    find: int  # where the machine code of `search.find_quiet_place` is
    verify: int  # where that of `verification.verify_block` is


class Asked(NamedTuple):
    """Sites that a question is put for (q,), and their answers."""

    site: np.ndarray
    least: np.ndarray  # how many machines are known to have a place
    most: np.ndarray  # the number of machines, or the most to try
    room_for: np.ndarray  # how many the ground has room for, where one more is of interest
    found: np.ndarray  # the answer: how many machines
    next_place: np.ndarray  # (q, PLACE_COLUMNS)
    place: np.ndarray  # (q, PLACE_COLUMNS)
    ratio: np.ndarray  # (q, 2)
    pair: np.ndarray  # (q, 2)
    point: np.ndarray  # (q, 2)


class Case(NamedTuple):
    """What a question varies.

    Attributes:
        certain_only: Whether only certain receptors count.
        gain: Energy of another rating, as a multiple of that of the plan's.
        wall_height_m: Height of a wall around the block; 0: none.
        wall_away_m: Its distance outside the block.
    """

    certain_only: bool
    gain: float
    wall_height_m: float
    wall_away_m: float
