"""Publish a market: screen and rank its sites, write the map and lists, and swap them in."""

import datetime as dt
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd

from data import select, store
from data.health import judge_sources
from flows import conformity, digests, outcome, settings
from flows.check import LoadedRun, load_run
from flows.market_lock import hold_market
from flows.old_layout import move_old_folder
from flows.outcome import PublishedNight, TopRow
from flows.progress import show_step, terminal
from flows.screened import screen_or_read
from flows.settings import Workspace
from geo.errors import StoreError
from geo.model import Market, Report, SourceHealth
from geo.ranking import rank
from geo.ranking.notes import (
    list_assumptions,
    list_call_lines,
    list_estimates,
    list_source_lines,
)
from maps import export, ranked

TOP_ROWS = 20
DAY_S = 24 * 3600


def publish_market(
    market: str, plan: str | None = None, night: str | None = None, stale: tuple[str, ...] = ()
) -> PublishedNight:
    """Screen a market and publish the result; the last night stays until the new one is complete.

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
    workspace = settings.read_settings()
    run = load_run(market, plan, workspace)
    with hold_market(run.market.id, workspace, "publishing"):
        return _publish(run, settings.parse_night(run.market, night), workspace, stale)


def _publish(
    run: LoadedRun, night_date: dt.date, workspace: Workspace, stale: tuple[str, ...]
) -> PublishedNight:
    seconds: dict[str, float] = {}
    screened = _screen_night(run, night_date, workspace, seconds, stale)
    drawing = select.read_drawing_layers(
        settings.store_path(run.market, workspace), run.market, night_date, run.land_use
    )
    with show_step("Writing map and lists", seconds) as show_result:
        move_old_folder(workspace.var / "published" / run.market.id)
        published = settings.published_folder(run.market, run.plan.id, workspace)
        folder = _write_and_swap(screened, drawing, published)
        show_result(str(folder))
    return PublishedNight(
        folder=folder, report=screened.report, top=list_top_rows(screened.ranking), seconds=seconds
    )


def list_top_rows(ranking: gpd.GeoDataFrame) -> tuple[TopRow, ...]:
    """Return the first rows of the list, each with the number of rows folded under it."""
    names = ["rank", "call", "site_id", "address", "sentence", "more"]
    listed = ranking.assign(more=rank.count_folded_beneath(ranking))
    first = listed.loc[~listed["folded"], names].head(TOP_ROWS)
    return tuple(
        TopRow(
            rank=int(row.rank),
            call=row.call,
            site_id=row.site_id,
            address=row.address if isinstance(row.address, str) else None,
            sentence=row.sentence,
            more=int(row.more),
        )
        for row in first.itertuples()
    )


@dataclass(frozen=True)
class _ScreenedNight:
    ranking: gpd.GeoDataFrame
    report: Report
    set_aside_parcels: pd.DataFrame


def _screen_night(
    run: LoadedRun,
    night: dt.date,
    workspace: Workspace,
    seconds: dict[str, float],
    stale: tuple[str, ...],
) -> _ScreenedNight:
    market, plan = run.market, run.plan
    path = settings.store_path(market, workspace)
    _require_store(path, market)
    everything_read: dict[str, object] = {
        "snapshots": _snapshot_digests(path, market, night),
        "sources": [source.hide_secrets().model_dump(mode="json") for source in run.sources],
        "market": market.model_dump(mode="json"),
        "catalogue": digests.digest_catalogue(workspace),
        "version": digests.program_version(),
        "night": night.isoformat(),
    }
    screened = screen_or_read(run, night, workspace, everything_read, seconds)
    with show_step("Ranking", seconds):
        ranking = rank.rank_sites(screened.facts, plan)
    source_lines = select.describe_sources(path, market, night)
    health = _judge_sources(run, night, workspace)
    run_id = digests.digest_json(
        everything_read
        | {
            "plan": plan.model_dump(mode="json", by_alias=True),
            "stale": list(stale),
            "health": [one.model_dump(mode="json") for one in health],
        }
    )
    counts = screened.counts
    report = Report(
        market_id=market.id,
        market_title=market.title,
        plan_id=plan.id,
        plan_title=plan.title,
        night=night.isoformat(),
        run_id=run_id,
        plan_digest=digests.digest_plan(plan),
        program_version=digests.program_version(),
        parcels_in=counts.parcels_in,
        sites=counts.sites,
        set_aside=counts.set_aside,
        unclassified=counts.unclassified,
        counts=rank.count_opinions(ranking) | {"records": counts.records},
        first_lines=(
            *(
                f"Stale: {source} could not be pulled; its last good snapshot is used."
                for source in stale
            ),
            *counts.first_lines,
            *list_source_lines(health),
            *list_call_lines(ranking, plan),
        ),
        assumptions=list_assumptions(market, plan),
        estimates=list_estimates(plan),
        sources=source_lines,
        health=health,
    )
    ranking = ranking.assign(
        run_id=report.run_id,
        plan_digest=report.plan_digest,
        vintage="; ".join(f"{line.id} {line.vintage}" for line in source_lines),
    )
    return _ScreenedNight(ranking, report, screened.set_aside_parcels)


def _judge_sources(
    run: LoadedRun, night: dt.date, workspace: Workspace
) -> tuple[SourceHealth, ...]:
    """Return the health of each source for readers, who need not know what to do about it."""
    failed = outcome.read_failed_pulls(workspace.var / "runs" / run.market.id)
    path = settings.store_path(run.market, workspace)
    judged = judge_sources(path, run.sources, night, failed)
    return tuple(one.model_copy(update={"remedy": ""}) for one in judged)


def _require_store(path: Path, market: Market) -> None:
    if not path.is_file():
        raise StoreError(
            f"opening the store of market {market.id}",
            f"there is no {path}",
            f"run `padfinder refresh --market {market.id}` first",
        )


def _snapshot_digests(path: Path, market: Market, night: dt.date) -> dict[str, str]:
    """Return the digest of each source's snapshot as of `night`, by source id."""
    with store.open_store(path, read_only=True) as opened:
        table = opened.read_snapshots(night, market.sources)
    return dict(sorted(zip(table["source_id"], table["digest"].astype(str), strict=True)))


def _write_and_swap(
    night: _ScreenedNight, drawing: dict[str, gpd.GeoDataFrame], published: Path
) -> Path:
    """Write every file into a new folder, then point `published` at it in one step.

    `published` is a symbolic link into a hidden folder next to it, which also keeps the previous
    night.
    """
    nights = published.parent / f".{published.name}"
    nights.mkdir(parents=True, exist_ok=True)
    for unfinished in nights.glob("new-*"):
        # Another run may still be writing to a newer folder.
        if time.time() - unfinished.stat().st_mtime > DAY_S:
            shutil.rmtree(unfinished, ignore_errors=True)
    new = Path(tempfile.mkdtemp(dir=nights, prefix="new-"))
    try:
        export.write_files(night.ranking, night.report, new)
        page = ranked.draw_ranked_page(night.ranking, drawing, night.report)
        (new / "map.html").write_text(page, "utf-8", newline="\n")
        conformity.write_conformity_page(new / "conformity.html")
        (new / "set_aside.csv").write_bytes(export.write_plain_csv_bytes(night.set_aside_parcels))
        (new / "report.json").write_text(
            night.report.model_dump_json(indent=1) + "\n", "utf-8", newline="\n"
        )
        new.chmod(0o755)
        numbers = [int(path.name) for path in nights.iterdir() if path.name.isdigit()]
        complete = nights / f"{max(numbers, default=0) + 1:06d}"
        _flush(new)
        new.rename(complete)
        _flush(nights)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _move_aside(published)
    link = nights / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(complete, published.parent))
    link.replace(published)
    _flush(published.parent)
    for old in sorted(path for path in nights.iterdir() if path.name.isdigit())[:-2]:
        shutil.rmtree(old)
    return published


def _move_aside(published: Path) -> None:
    """Move what is in the place of the link to the published night, such as a restored backup."""
    if published.is_symlink() or not published.exists():
        return
    number = 1
    while (aside := published.with_name(f"{published.name}.moved-{number}")).exists():
        number += 1
    published.rename(aside)
    terminal.print(
        f"Warning: {published} was not a link to the last night; it is now {aside}",
        style="yellow", markup=False, soft_wrap=True,
    )  # fmt: skip


def _flush(folder: Path) -> None:
    """Have the system write the files of a folder, and their names, to the disk.

    Without this, a power cut after the swap may leave files of no length.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows does not open folders.
    for path in [*(path for path in sorted(folder.iterdir()) if path.is_file()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
