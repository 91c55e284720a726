"""Pull every source of a market into its store: one task per source."""

import datetime as dt
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from data import pull
from flows import declarations, outcome, settings
from flows.check import load_run
from flows.outcome import SourceOutcome
from flows.progress import show_step
from geo.errors import SourceDown


def _is_down(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a retry may help, which is true only if the source did not answer."""
    return isinstance(state.result(raise_on_failure=False), SourceDown)


@task(
    name="pull",
    task_run_name="pull {source_id}",
    cache_policy=NO_CACHE,
    retry_condition_fn=_is_down,
)
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
    source = declarations.load_source(source_id, workspace, market_model.id)
    folder = settings.find_files_folder(market_model, (source,), workspace)
    store = settings.store_path(market_model, workspace)
    store.parent.mkdir(parents=True, exist_ok=True)
    with show_step(f"Pulling {source_id}") as show_result:
        refreshed = pull.refresh_source(
            source, market_model, folder, store, dt.date.fromisoformat(night)
        )
        state = "new snapshot" if refreshed.changed else "unchanged"
        show_result(f"{refreshed.rows:,} rows, {state}")
    return SourceOutcome(
        source_id=source_id,
        layer=source.layer,
        night=night,
        changed=refreshed.changed,
        rows_in=refreshed.rows_in,
        rows=refreshed.rows,
        seconds=round(refreshed.seconds, 3),
        notes=refreshed.notes,
    )


@flow(name="refresh", flow_run_name="refresh {market}")
def run_refresh(market: str = "demo", night: str | None = None) -> list[SourceOutcome]:
    """Pull every source of a market.

    If a source fails, the others are still pulled.

    Args:
        market: The market's id.
        night: The night, as an ISO date; None for today in the market's time zone.

    Returns:
        The outcome of each source.

    Raises:
        PadfinderError: The error of the source that failed, or one that names all of them.
    """
    outcomes, errors = pull_all(market, night)
    if errors:
        raise outcome.combine_errors(errors, market)
    return outcomes


def pull_all(market: str, night: str | None) -> tuple[list[SourceOutcome], dict[str, Exception]]:
    """Pull every source; return the outcome of each, and the errors by source id.

    The store takes one writer, so the sources are pulled one after another.
    """
    workspace = settings.read_settings()
    run = load_run(market, None, workspace)
    with show_step("Looking for the files"):
        settings.find_files_folder(run.market, run.sources, workspace)
    night_date = settings.parse_night(run.market, night).isoformat()
    pull_with_retries = pull_source.with_options(
        retries=len(workspace.retry_delays_s), retry_delay_seconds=list(workspace.retry_delays_s)
    )
    outcomes: list[SourceOutcome] = []
    errors: dict[str, Exception] = {}
    # Rasters come last, because their place is checked against the parcels in the store.
    for source in sorted(run.sources, key=lambda source: source.fetch.protocol == "raster"):
        state = pull_with_retries(source.id, market, night_date, return_state=True)
        result = state.result(raise_on_failure=False)
        if isinstance(result, SourceOutcome):
            outcomes.append(result)
            continue
        if not isinstance(result, Exception):
            raise TypeError(f"pulling {source.id} ended in {state}")
        errors[source.id] = result
        outcomes.append(
            SourceOutcome(
                source_id=source.id,
                layer=source.layer,
                night=night_date,
                error=str(result),
                kind=type(result).__name__,
            )
        )
    outcome.save_outcomes(tuple(outcomes), workspace.var / "runs" / run.market.id)
    return outcomes, errors
