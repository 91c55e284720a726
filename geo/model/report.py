"""The report of a published run, and its sources."""

from typing import Literal

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


# How a source is: "stale" if its data are old or it does not answer, "shrunk" if too many rows went
# missing, "changed" if its columns or contents changed, "gone" or "forbidden" if it is not there or
# not allowed any more.
SourceVerdict = Literal["fresh", "stale", "shrunk", "changed", "gone", "forbidden", "never pulled"]


class SourceHealth(Frozen):
    """How one source is on a night, as far as the store and the last try to pull it tell.

    Attributes:
        id: The source.
        title: Its title.
        licence: Its license.
        attribution: The credit text.
        vintage: The date of the data.
        age_limit: The greatest age that its declaration allows, in words.
        verified: When its declaration was held against the publisher's own data, in words.
        address: Where the last good pull found its file, without secrets.
        good_on: The last night on which it was pulled; None: never.
        rows: Rows now, in the last good snapshot.
        rows_before: Rows in the snapshot before that one.
        rows_added: Rows that came with the last snapshot.
        rows_removed: Rows that went with it.
        columns_digest: Changes with the name or kind of a column of the raw files.
        verdict: How the source is.
        error: Why, in words; "" if it is fresh.
        remedy: What to do; "" if nothing.
        is_usable: Whether the last try to pull it succeeded.
        warnings: What was lost, repaired or read in another way than written.
    """

    id: str
    title: str
    licence: str
    attribution: str
    vintage: str
    age_limit: str
    verified: str = ""
    address: str = ""
    good_on: str | None = None
    rows: int | None = None
    rows_before: int | None = None
    rows_added: int | None = None
    rows_removed: int | None = None
    columns_digest: str = ""
    verdict: SourceVerdict
    error: str = ""
    remedy: str = ""
    is_usable: bool = True
    warnings: tuple[str, ...] = ()


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
    health: tuple[SourceHealth, ...] = ()
