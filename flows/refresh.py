"""Pull every source of a market into its store."""

import datetime as dt
import time
from collections.abc import Callable

from data import pull
from flows import declarations, outcome, settings
from flows.check import load_run
from flows.market_lock import hold_market
from flows.outcome import SourceOutcome
from flows.progress import show_step
from geo.errors import SourceDown

# Pulls one source, by its id, the market's id and the night as an ISO date.
PullSource = Callable[[str, str, str], SourceOutcome]

# A server that asks to wait longer than this is asked again after this time.
WAIT_MOST_S = 600.0


def pull_source(source_id: str, market: str, night: str) -> SourceOutcome:
    """Pull one source into the market's store.

    Args:
        source_id: The source.
        market: The market's id.
        night: The night, as an ISO date.

    Returns:
        What was stored.

    Raises:
        PadfinderError: If the source fails.
    """
    workspace = settings.read_settings()
    market_model = declarations.load_market(market, workspace)
    source = declarations.load_market_source(source_id, market_model, workspace)
    folder = settings.find_files_folder(market_model, (source,), workspace)
    store = settings.store_path(market_model, workspace)
    store.parent.mkdir(parents=True, exist_ok=True)
    with show_step(f"Pulling {source_id}") as show_result:
        refreshed = pull.refresh_source(
            source, market_model, folder, store, dt.date.fromisoformat(night)
        )
        state = "new snapshot" if refreshed.changed else "unchanged"
        count = len(refreshed.warnings)
        warned = f", {count} warning{'' if count == 1 else 's'}" if count else ""
        show_result(f"{refreshed.rows:,} rows, {state}{warned}")
    return SourceOutcome(
        source_id=source_id,
        layer=source.layer,
        night=night,
        changed=refreshed.changed,
        rows_in=refreshed.rows_in,
        rows=refreshed.rows,
        seconds=round(refreshed.seconds, 3),
        notes=refreshed.notes,
        warnings=refreshed.warnings,
    )


def pull_with_retries(source_id: str, market: str, night: str) -> SourceOutcome:
    """Pull one source as `pull_source` does, and try again after a while if it does not answer.

    Args:
        source_id: The source.
        market: The market's id.
        night: The night, as an ISO date.

    Returns:
        What was stored.

    Raises:
        PadfinderError: If the source fails, the last time too if it does not answer.
    """
    for delay_s in settings.read_settings().retry_delays_s:
        try:
            return pull_source(source_id, market, night)
        except SourceDown as error:
            time.sleep(max(delay_s, min(error.wait_s or 0.0, WAIT_MOST_S)))
    return pull_source(source_id, market, night)


def refresh_market(
    market: str, night: str | None, pull_one: PullSource = pull_with_retries
) -> list[SourceOutcome]:
    """Pull every source of a market.

    If a source fails, the others are still pulled.

    Args:
        market: The market's id.
        night: The night, as an ISO date; None for today in the market's time zone.
        pull_one: What pulls one source.

    Returns:
        The outcome of each source.

    Raises:
        PadfinderError: The error of the source that failed, or one that names all of them.
    """
    workspace = settings.read_settings()
    market_id = declarations.load_market(market, workspace).id
    with hold_market(market_id, workspace, "refreshing"):
        outcomes, errors = pull_all(market, night, pull_one)
    if errors:
        raise outcome.combine_errors(errors, market)
    return outcomes


def pull_all(
    market: str, night: str | None, pull_one: PullSource
) -> tuple[list[SourceOutcome], dict[str, Exception]]:
    """Pull every source of a market.

    The store takes one writer, so the sources are pulled one after another.

    Args:
        market: The market's id.
        night: The night, as an ISO date; None for today in the market's time zone.
        pull_one: What pulls one source.

    Returns:
        The outcome of each source, and the errors by source id.
    """
    workspace = settings.read_settings()
    run = load_run(market, None, workspace)
    with show_step("Looking for the files"):
        settings.find_files_folder(run.market, run.sources, workspace)
    night_date = settings.parse_night(run.market, night).isoformat()
    outcomes: list[SourceOutcome] = []
    errors: dict[str, Exception] = {}
    # Rasters come last, because their place is checked against the parcels in the store.
    for source in sorted(run.sources, key=lambda source: source.fetch.protocol == "raster"):
        try:
            outcomes.append(pull_one(source.id, market, night_date))
        except Exception as error:  # noqa: BLE001 - one source's bug does not stop the others
            errors[source.id] = error
            outcomes.append(outcome.describe_failure(source, night_date, error))
    outcome.save_outcomes(tuple(outcomes), workspace.var / "runs" / run.market.id)
    return outcomes, errors
