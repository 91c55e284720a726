"""The report of a published run, and its sources."""

from geo.model.base import Frozen


class SourceLine(Frozen):
    """One source in the report: where it is from, how old it is, and how it was processed."""

    id: str
    layer: str
    title: str
    publisher: str
    licence: str
    attribution: str
    vintage: str
    rows: int
    notes: tuple[str, ...] = ()


class ScreenedCounts(Frozen):
    """The counts and notes of a screening, which a report repeats.

    `set_aside` counts the parcels that are no sites by rule, `unclassified` those of each use code
    that no land-use table lists, and `records` the grid and gas records that cannot be fully used.
    """

    parcels_in: int
    sites: int
    set_aside: dict[str, int]
    unclassified: dict[str, int]
    records: dict[str, int]
    first_lines: tuple[str, ...]


class Report(Frozen):
    """The report of a run. It has no wall-clock time, so the same inputs give the same report.

    `night` is the date as of which the layers are read and the records' ages are measured.
    """

    market_id: str
    market_title: str
    plan_id: str
    plan_title: str
    night: str
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
