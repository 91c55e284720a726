"""What a published run says about itself and its sources."""

from geo.model.base import Frozen


class SourceLine(Frozen):
    """What a reader is told of one source: where it is from, how old, and what was done to it."""

    id: str
    layer: str
    title: str
    publisher: str
    licence: str
    attribution: str
    vintage: str
    rows: int
    notes: tuple[str, ...] = ()


class Report(Frozen):
    """What a run says of itself. It holds no wall-clock time: the same inputs, the same report."""

    market_id: str
    market_title: str
    plan_id: str
    plan_title: str
    run_id: str
    plan_digest: str
    program_version: str
    parcels_in: int
    sites: int
    set_aside: dict[str, int]
    unclassified: dict[str, int]
    counts: dict[str, dict[str, int]]
    first_lines: tuple[str, ...]
    assumptions: tuple[str, ...]
    estimates: tuple[str, ...]
    sources: tuple[SourceLine, ...]
