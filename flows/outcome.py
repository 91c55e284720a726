"""What became of a night: of each source, of the publishing, and the error failures add up to."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from geo.errors import (
    ConfigError,
    ContractError,
    PadfinderError,
    SourceChanged,
    SourceDown,
    StoreError,
)
from geo.model import Frozen, Report

# What decides the kind of many failures, and their exit codes: worst first.
EXIT_CODES: dict[type[PadfinderError], int] = {
    ConfigError: 3,
    ContractError: 4,
    SourceChanged: 6,
    StoreError: 7,
    SourceDown: 5,
}


class SourceOutcome(Frozen):
    """What became of one source on one night; `error` is None where it went well."""

    source_id: str
    layer: str
    night: str
    changed: bool = False
    rows_in: int = 0
    rows: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str | None = None
    kind: str | None = None


class TopRow(Frozen):
    """One of the first rows, for the terminal and the artifact.

    `more` is how many sites of its block are folded beneath it.
    """

    rank: int
    call: str
    site_id: str
    address: str | None
    sentence: str
    more: int = 0

    @property
    def more_text(self) -> str:
        """What follows the place: nothing, or how many more sites its block has."""
        return f" (+ {self.more} more on this block)" if self.more else ""


class PublishedNight(Frozen):
    """What was published: where, the run's report, its first rows, the seconds each step took.

    `stale` names each source for which an earlier snapshot stood in, and why.
    """

    folder: Path
    report: Report
    top: tuple[TopRow, ...]
    seconds: dict[str, float]
    stale: tuple[str, ...] = ()


def combine_errors(errors: dict[str, Exception], market: str) -> Exception:
    """Return the one error that says what failed, for one source or many, by source id."""
    ours = {name: error for name, error in errors.items() if isinstance(error, PadfinderError)}
    for error in errors.values():
        if not isinstance(error, PadfinderError):
            return error
    if len(ours) == 1:
        return next(iter(ours.values()))
    kind = next(kind for kind in EXIT_CODES if any(isinstance(e, kind) for e in ours.values()))
    remedies = list(dict.fromkeys(error.remedy for error in ours.values()))
    return kind(
        f"refreshing market {market}",
        f"{len(ours)} sources failed"
        + "".join(f"\n  - {name}: {error.doing}: {error.wrong}" for name, error in ours.items()),
        "; ".join(remedies),
    )


def save_outcomes(outcomes: tuple[SourceOutcome, ...], folder: Path) -> None:
    """Keep each source's last outcome in `folder`, for `padfinder sources` to show."""
    folder.mkdir(parents=True, exist_ok=True)
    last = read_outcomes(folder) | {one.source_id: one for one in outcomes}
    whole = folder / "sources.json.new"
    whole.write_text(
        json.dumps({name: one.model_dump() for name, one in sorted(last.items())}, indent=1),
        "utf-8",
    )
    whole.replace(folder / "sources.json")


def read_outcomes(folder: Path) -> dict[str, SourceOutcome]:
    """Return each source's last outcome, by id; nothing where no refresh ran."""
    path = folder / "sources.json"
    if not path.is_file():
        return {}
    return TypeAdapter(dict[str, SourceOutcome]).validate_json(path.read_text("utf-8"))
