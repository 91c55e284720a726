"""Run a complete night of a market: refresh every source, then publish."""

import datetime as dt
import json
from collections.abc import Callable
from functools import partial

from flows import outcome, settings
from flows.check import load_run
from flows.market_lock import hold_market
from flows.notify import tell_once
from flows.outcome import PublishedNight
from flows.publish import publish_market
from flows.refresh import PullSource, pull_all, pull_with_retries
from flows.settings import Workspace
from geo.errors import PadfinderError
from geo.model import Market

# Publishes a market, by its id, the plan's name, the night and the stale sources.
PublishMarket = Callable[[str, str | None, str | None, tuple[str, ...]], PublishedNight]


def refresh_and_publish(
    market: str,
    night: str | None = None,
    plan: str | None = None,
    *,
    stale_ok: bool = False,
    pull_one: PullSource = pull_with_retries,
    publish: PublishMarket = publish_market,
) -> PublishedNight:
    """Refresh a market, then publish it.

    If a source fails and `stale_ok` does not allow it, nothing is published, and the last
    published night stays in place.

    Args:
        market: The market's id.
        night: The night, as an ISO date; None for today in the market's time zone.
        plan: The plan's name; None for the plan that the market names.
        stale_ok: Publish anyway, with the last good snapshot of each source that failed.
        pull_one: What pulls one source.
        publish: What publishes the market.

    Returns:
        What was published.

    Raises:
        PadfinderError: The error of the source that failed, or one that names all of them; or
            another run holds the market.
    """
    workspace = settings.read_settings()
    # Read every file first, so that an error in one stops the night before any source is pulled.
    market_model = load_run(market, plan, workspace).market
    with hold_market(market_model.id, workspace, "running the night of"):
        return _refresh_and_publish(
            market_model,
            night,
            plan,
            workspace,
            stale_ok=stale_ok,
            pull_one=pull_one,
            publish=publish,
        )


def _refresh_and_publish(
    market_model: Market,
    night: str | None,
    plan: str | None,
    workspace: Workspace,
    *,
    stale_ok: bool,
    pull_one: PullSource,
    publish: PublishMarket,
) -> PublishedNight:
    started, market = dt.datetime.now(dt.UTC), market_model.id
    night_date = settings.parse_night(market_model, night).isoformat()
    outcomes, errors = pull_all(market, night_date, pull_one)
    troubles = {name: str(error) for name, error in errors.items()}
    tell = partial(tell_once, workspace, market, market_model.title, night_date)
    all_expected = all(isinstance(error, PadfinderError) for error in errors.values())
    if errors and not (stale_ok and all_expected):
        tell(troubles)
        raise outcome.combine_errors(errors, market)
    stale = tuple(f"{name}: {text}" for name, text in troubles.items())
    try:
        published = publish(market, plan, night_date, tuple(sorted(errors)))
    except Exception as error:
        tell(troubles | {"publishing": str(error)})
        raise
    tell(troubles)
    published = published.model_copy(update={"stale": stale})
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
