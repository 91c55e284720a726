"""One whole night of a market: refresh every source, then publish."""

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
    """Refresh `market`, then publish it by `plan` (the market's own) as of `night` (ISO date).

    Where a source fails, nothing is published and its error is raised: last night's map stays. With
    `stale_ok`, the last good snapshot stands in for each source that failed.
    """
    started = dt.datetime.now(dt.UTC)
    workspace = settings.read_settings()
    known = load_run(market, plan, workspace)[0]  # a fault there ends the night before any pull
    when = settings.parse_night(known, night).isoformat()
    outcomes, errors = pull_all(market, when)
    ours = all(isinstance(error, PadfinderError) for error in errors.values())
    if errors and not (stale_ok and ours):
        raise outcome.combine_errors(errors, market)
    stale = tuple(f"{name}: {error}" for name, error in errors.items())
    published = publish_market(market, plan, when, tuple(sorted(errors))).model_copy(
        update={"stale": stale}
    )
    create_markdown_artifact(
        key=f"padfinder-{market}".replace("_", "-"),
        markdown=_night_page(published),
        description=f"{known.title}: the first rows, and what is stale",
    )
    runs = workspace.var / "runs" / known.id
    runs.mkdir(parents=True, exist_ok=True)
    (runs / f"{published.report.run_id}.json").write_text(
        json.dumps(
            {
                "run_id": published.report.run_id,
                "market": known.id,
                "night": when,
                "started": started.isoformat(timespec="seconds"),
                "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                "published": str(published.folder),
                "seconds": published.seconds,
                "sources": [one.model_dump() for one in outcomes],
                "stale": sorted(errors),
            },
            indent=1,
        )
        + "\n",
        "utf-8",
    )
    return published


def _night_page(published: PublishedNight) -> str:
    """Return the night in Markdown: what is stale, then the first rows."""
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
            *(stale or ["None: every source was pulled tonight."]),
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
