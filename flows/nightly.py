"""The Prefect flows: a complete night of a market, and each half of it.

They run the plain functions of `night`, `refresh` and `publish`: each source and the publishing are
a task. The command line uses the flows where a Prefect server is configured, and the plain
functions where none is, since Prefect's temporary server takes longer to start than a small night.
"""

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows import declarations, publish, refresh, settings
from flows import night as nights
from flows.outcome import PublishedNight, SourceOutcome
from geo.errors import SourceDown


def _is_down(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Return whether a retry may help, which is true only if the source did not answer."""
    return isinstance(state.result(raise_on_failure=False), SourceDown)


@task(
    name="pull",
    task_run_name="pull {source_id}",
    cache_policy=NO_CACHE,
    retry_condition_fn=_is_down,
)
def pull_source(source_id: str, market: str, night: str) -> SourceOutcome:
    """Pull one source into the market's store (see `refresh.pull_source`).

    Args:
        source_id: The source.
        market: The market's id.
        night: The night, as an ISO date.

    Returns:
        What was stored.

    Raises:
        PadfinderError: If the source fails.
    """
    return refresh.pull_source(source_id, market, night)


@task(name="publish", task_run_name="publish {market}", cache_policy=NO_CACHE)
def publish_market(
    market: str, plan: str | None, night: str | None, stale: tuple[str, ...] = ()
) -> PublishedNight:
    """Screen a market and publish the result (see `publish.publish_market`).

    Args:
        market: The market's id.
        plan: The plan's name; None for the plan that the market names.
        night: The night, as an ISO date; None for today in the market's time zone.
        stale: The sources that could not be pulled tonight.

    Returns:
        What was published.

    Raises:
        PadfinderError: If a file has errors, or the store lacks a layer.
    """
    return publish.publish_market(market, plan, night, stale)


@flow(name="nightly", flow_run_name="nightly {market}")
def run_night(
    market: str = "demo",
    night: str | None = None,
    plan: str | None = None,
    *,
    stale_ok: bool = False,
) -> PublishedNight:
    """Refresh a market, then publish it (see `night.refresh_and_publish`).

    Args:
        market: The market's id.
        night: The night, as an ISO date; None for today in the market's time zone.
        plan: The plan's name; None for the plan that the market names.
        stale_ok: Publish anyway, with the last good snapshot of each source that failed.

    Returns:
        What was published.

    Raises:
        PadfinderError: The error of the source that failed, or one that names all of them.
    """
    published = nights.refresh_and_publish(
        market, night, plan, stale_ok=stale_ok, pull_one=_pull_in_task, publish=publish_market
    )
    title = declarations.load_market(market, settings.read_settings()).title
    create_markdown_artifact(
        key=f"padfinder-{market}".replace("_", "-"),
        markdown=_format_night(published),
        description=f"{title}: the first rows, and stale sources",
    )
    return published


@flow(name="refresh", flow_run_name="refresh {market}")
def run_refresh(market: str = "demo", night: str | None = None) -> list[SourceOutcome]:
    """Pull every source of a market (see `refresh.refresh_market`)."""
    return refresh.refresh_market(market, night, _pull_in_task)


@flow(name="publish", flow_run_name="publish {market}")
def run_publish(
    market: str = "demo", plan: str | None = None, night: str | None = None
) -> PublishedNight:
    """Screen a market and publish the result (see `publish.publish_market`).

    Args:
        market: The market's id.
        plan: The plan's name; None for the plan that the market names.
        night: The night, as an ISO date; None for today in the market's time zone.

    Returns:
        What was published.

    Raises:
        PadfinderError: If a file has errors, or the store lacks a layer.
    """
    return publish_market(market, plan, night)


def _pull_in_task(source_id: str, market: str, night: str) -> SourceOutcome:
    """Pull one source in a task of its own, which Prefect tries again if it does not answer."""
    delays_s = list(settings.read_settings().retry_delays_s)
    pull = pull_source.with_options(retries=len(delays_s), retry_delay_seconds=delays_s)
    return pull(source_id, market, night)


def _format_night(published: PublishedNight) -> str:
    """Return the night as Markdown: stale sources, then the first rows."""
    report = published.report
    stale = ["- " + line.replace("\n", " ") for line in published.stale]
    rows = [
        f"| {row.rank} | {row.call} | {_escape_cell(row.address or row.site_id)}{row.more_text} "
        f"| {_escape_cell(row.sentence)} |"
        for row in published.top
    ]
    return "\n".join(
        [
            f"# {report.market_title}: {report.plan_title}",
            "",
            *report.first_lines,
            "",
            f"{report.sites:,} sites of {report.parcels_in:,} parcels. Run {report.run_id}.",
            "",
            "## Stale sources",
            "",
            *(stale or ["None; every source was pulled tonight."]),
            "",
            "## First rows",
            "",
            "| rank | call | site | |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
