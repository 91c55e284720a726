"""The results of a night: each source's outcome, what was published, and the error to raise."""

import datetime as dt
import json
from pathlib import Path

from pydantic import TypeAdapter

from data.health import FailedPull
from data.source import Source
from flows.progress import terminal
from geo.addresses import hide_secrets
from geo.errors import (
    ConfigError,
    ContractError,
    Fault,
    PadfinderError,
    SourceChanged,
    SourceDown,
    StoreError,
)
from geo.model import Frozen, Report

# The exit code of each kind of error. Where several kinds occur, the first one here decides.
EXIT_CODES: dict[type[PadfinderError], int] = {
    ConfigError: 3,
    ContractError: 4,
    SourceChanged: 6,
    StoreError: 7,
    SourceDown: 5,
}


UNEXPECTED = 1


class SourceOutcome(Frozen):
    """The result of pulling one source on one night.

    Attributes:
        source_id: The source.
        layer: The layer that it fills.
        night: The night, as an ISO date.
        changed: Whether the rows differ from the last snapshot.
        rows_in: Number of rows in the source.
        rows: Number of rows stored.
        seconds: How long it took.
        notes: Notes on what was done to the rows.
        warnings: Those of the notes that are warnings.
        error: The error's message; None for success.
        kind: The error's class name; None for success.
        fault: What the error says about the source; None for success.
        wrong: What is wrong, in words; None for success.
        remedy: What to do about the error; None for success.
    """

    source_id: str
    layer: str
    night: str
    changed: bool = False
    rows_in: int = 0
    rows: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None
    kind: str | None = None
    fault: Fault | None = None
    wrong: str | None = None
    remedy: str | None = None


class TopRow(Frozen):
    """One of the first rows of the list, for the terminal and the Prefect artifact.

    Attributes:
        rank: The site's rank.
        call: The site's call.
        site_id: The site.
        address: Its address, if known.
        sentence: The sentence that summarizes it.
        more: How many more sites of its block are folded under this row.
    """

    rank: int
    call: str
    site_id: str
    address: str | None
    sentence: str
    more: int = 0

    @property
    def more_text(self) -> str:
        """The text after the address: how many more sites the block has, if any."""
        return f" (+ {self.more} more on this block)" if self.more else ""


class PublishedNight(Frozen):
    """What was published.

    Attributes:
        folder: Where the files are.
        report: The run's report.
        top: The first rows of the list.
        seconds: How long each step took.
        stale: Each source whose earlier snapshot was used instead, and why.
    """

    folder: Path
    report: Report
    top: tuple[TopRow, ...]
    seconds: dict[str, float]
    stale: tuple[str, ...] = ()


def describe_failure(source: Source, night: str, error: Exception) -> SourceOutcome:
    """Return the outcome of a source that could not be pulled.

    Args:
        source: The source.
        night: The night, as an ISO date.
        error: Why.

    Returns:
        The outcome.
    """
    message = hide_secrets(str(error))
    failed = SourceOutcome(
        source_id=source.id,
        layer=source.layer,
        night=night,
        error=message,
        kind=type(error).__name__,
        fault="stale",
        wrong=f"a bug in padfinder: {message}",
        remedy="run the command with --verbose, and report what it prints",
    )
    if isinstance(error, PadfinderError):
        said = {"fault": error.fault, "wrong": error.wrong, "remedy": error.remedy}
        return failed.model_copy(update=said)
    return failed


def combine_errors(errors: dict[str, Exception], market: str) -> Exception:
    """Combine the errors of a market's sources, by source id, into one error to raise."""
    expected = {name: error for name, error in errors.items() if isinstance(error, PadfinderError)}
    for error in errors.values():
        if not isinstance(error, PadfinderError):
            return error  # a bug must not be hidden in a list of failed sources
    if len(expected) == 1:
        return next(iter(expected.values()))
    kind = next(
        kind for kind in EXIT_CODES if any(isinstance(error, kind) for error in expected.values())
    )
    remedies = list(dict.fromkeys(error.remedy for error in expected.values()))
    return kind(
        f"refreshing market {market}",
        f"{len(expected)} sources failed"
        + "".join(
            f"\n  - {name}: {error.doing}: {error.wrong}" for name, error in expected.items()
        ),
        "; ".join(remedies),
    )


def save_outcomes(outcomes: tuple[SourceOutcome, ...], folder: Path) -> None:
    """Save each source's last outcome in `folder`, for `padfinder sources`."""
    folder.mkdir(parents=True, exist_ok=True)
    latest = read_outcomes(folder) | {outcome.source_id: outcome for outcome in outcomes}
    new_file = folder / "sources.json.new"
    new_file.write_text(
        json.dumps(
            {name: outcome.model_dump() for name, outcome in sorted(latest.items())}, indent=1
        ),
        "utf-8",
    )
    new_file.replace(folder / "sources.json")


def read_outcomes(folder: Path) -> dict[str, SourceOutcome]:
    """Read each source's last outcome, by source id; empty before the first refresh.

    A record that cannot be read counts as empty, with a warning. The next refresh writes it anew.
    """
    path = folder / "sources.json"
    try:
        return TypeAdapter(dict[str, SourceOutcome]).validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        terminal.print(
            f"Warning: {path} cannot be read, so that it is not known which sources failed last; "
            "the next refresh writes it anew",
            style="yellow", markup=False, soft_wrap=True,
        )  # fmt: skip
        return {}


def read_failed_pulls(folder: Path) -> dict[str, FailedPull]:
    """Read, by source id, the last try to pull each source whose last try failed."""
    return {
        name: FailedPull(
            dt.date.fromisoformat(last.night),
            last.fault or "stale",
            last.wrong or last.error,
            last.remedy or "run padfinder refresh",
        )
        for name, last in read_outcomes(folder).items()
        if last.error is not None
    }


def find_exit_code(kinds: set[str]) -> int:
    """Return the exit code for errors of these kinds, by class name; 1 for a bug in the program.

    >>> find_exit_code({"SourceDown", "ConfigError"}), find_exit_code({"KeyError"})
    (3, 1)
    """
    if kinds - {kind.__name__ for kind in EXIT_CODES}:
        return UNEXPECTED
    return next(code for kind, code in EXIT_CODES.items() if kind.__name__ in kinds)
