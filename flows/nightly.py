"""Run a complete night of a market: refresh every source, then publish."""

import datetime as dt
import json

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows import outcome, settings
from flows.check import load_run
from flows.outcome import PublishedNight
from flows.publish import publish_market
from flows.refresh import pull_all
from geo.errors import PadfinderError


@flow(name="nightly", flow_run_name="nightly {market}")
def run_night(
    market: str = "demo",
    night: str | None = None,
    plan: str | None = None,
    *,
    stale_ok: bool = False,
) -> PublishedNight:
    """Refresh a market, then publish it.

    If a source fails and `stale_ok` does not allow it, nothing is published, and the last
    published night stays in place.

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
    started = dt.datetime.now(dt.UTC)
    workspace = settings.read_settings()
    # Read every file first, so that an error in one stops the night before any source is pulled.
    market_model = load_run(market, plan, workspace).market
    night_date = settings.parse_night(market_model, night).isoformat()
    outcomes, errors = pull_all(market, night_date)
    all_expected = all(isinstance(error, PadfinderError) for error in errors.values())
    if errors and not (stale_ok and all_expected):
        raise outcome.combine_errors(errors, market)
    stale = tuple(f"{name}: {error}" for name, error in errors.items())
    published = publish_market(market, plan, night_date, tuple(sorted(errors))).model_copy(
        update={"stale": stale}
    )
    create_markdown_artifact(
        key=f"padfinder-{market}".replace("_", "-"),
        markdown=_format_night(published),
        description=f"{market_model.title}: the first rows, and stale sources",
    )
    runs = workspace.var / "runs" / market_model.id
    runs.mkdir(parents=True, exist_ok=True)
    (runs / f"{published.report.run_id}.json").write_text(
        json.dumps(
            {
                "run_id": published.report.run_id,
                "market": market_model.id,
                "night": night_date,
                "started": started.isoformat(timespec="seconds"),
                "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                "published": str(published.folder),
                "seconds": published.seconds,
                "sources": [source_outcome.model_dump() for source_outcome in outcomes],
                "stale": sorted(errors),
            },
            indent=1,
        )
        + "\n",
        "utf-8",
    )
    return published


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
