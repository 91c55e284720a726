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
    """Whether trying again may help: only where the source did not answer."""
    return isinstance(state.result(raise_on_failure=False), SourceDown)


@task(
    name="pull",
    task_run_name="pull {source_id}",
    cache_policy=NO_CACHE,
    retry_condition_fn=_is_down,
)
def pull_source(source_id: str, market: str, night: str) -> SourceOutcome:
    """Pull one source and put it into the store, as of `night` (ISO date)."""
    workspace = settings.read_settings()
    known = declarations.load_market(market, workspace)
    source = declarations.load_source(source_id, workspace, known.id)
    folder = settings.find_files_folder(known, (source,), workspace)
    store = settings.store_path(known, workspace)
    store.parent.mkdir(parents=True, exist_ok=True)
    with show_step(f"Pulling {source_id}") as say:
        got = pull.refresh_source(source, known, folder, store, dt.date.fromisoformat(night))
        say(f"{got.rows:,} rows, {'new snapshot' if got.changed else 'unchanged'}")
    return SourceOutcome(
        source_id=source_id,
        layer=source.layer,
        night=night,
        changed=got.changed,
        rows_in=got.rows_in,
        rows=got.rows,
        seconds=round(got.seconds, 3),
        notes=got.notes,
    )


@flow(name="refresh", flow_run_name="refresh {market}")
def run_refresh(market: str = "demo", night: str | None = None) -> list[SourceOutcome]:
    """Pull every source of `market` as of `night` (ISO date; today in the market's time zone).

    One source's failure does not stop the others. Raises the error of the source that failed, or
    one error that names them all.
    """
    outcomes, errors = pull_all(market, night)
    if errors:
        raise outcome.combine_errors(errors, market)
    return outcomes


def pull_all(market: str, night: str | None) -> tuple[list[SourceOutcome], dict[str, Exception]]:
    """Return each source's outcome, and the errors of those that failed by source id.

    The store takes one writer, so the sources go one after the other.
    """
    workspace = settings.read_settings()
    known, _, sources, _ = load_run(market, None, workspace)
    with show_step("Looking for the files"):
        settings.find_files_folder(known, sources, workspace)
    when = settings.parse_night(known, night)
    tried = pull_source.with_options(
        retries=len(workspace.retry_delays_s), retry_delay_seconds=list(workspace.retry_delays_s)
    )
    outcomes: list[SourceOutcome] = []
    errors: dict[str, Exception] = {}
    # Grids last: they are held against the parcels, wherever the market lists them.
    for source in sorted(sources, key=lambda one: one.fetch.protocol == "raster"):
        state = tried(source.id, market, when.isoformat(), return_state=True)
        got = state.result(raise_on_failure=False)
        if isinstance(got, SourceOutcome):
            outcomes.append(got)
            continue
        if not isinstance(got, Exception):
            raise TypeError(f"pulling {source.id} ended in {state}")
        errors[source.id] = got
        outcomes.append(
            SourceOutcome(
                source_id=source.id,
                layer=source.layer,
                night=when.isoformat(),
                error=str(got),
                kind=type(got).__name__,
            )
        )
    outcome.save_outcomes(tuple(outcomes), workspace.var / "runs" / known.id)
    return outcomes, errors
