"""Print a published night, one site of it, or a market's sources."""

import csv
import datetime as dt
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from data import store
from flows import declarations, outcome, settings
from flows.outcome import PublishedNight
from flows.settings import Workspace
from geo import catalogue
from geo.errors import StoreError
from geo.model import Market
from maps import card

SHOWN_ROWS = 5
# A source is stale if it was last pulled longer ago than this.
STALE_DAYS = 3
# The table of sources needs this width; a narrower terminal wraps its lines.
MIN_WIDTH = 150


def print_published(night: PublishedNight) -> None:
    """Print the parcel counts, the verdicts and gaps, the first rows, and where the files are."""
    console = Console(highlight=False, soft_wrap=True)
    report = night.report
    console.print(f"{report.market_title}: {report.plan_title}", markup=False)
    for line in report.first_lines:
        console.print(f"  {line}", markup=False)
    table = Table("Parcels", "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    table.add_row("in", f"{report.parcels_in:,}")
    for rule, count in report.set_aside.items():
        table.add_row(f"  set aside: {rule}", f"{count:,}")
    table.add_row("sites", f"{report.sites:,}")
    console.print(table)
    total = report.sites + sum(report.set_aside.values())
    console.print(f"{report.parcels_in:,} parcels in = {total:,} accounted for")
    for name, counts in report.counts.items():
        if name in {"call", "verdict", "gap_class"}:
            listed = ", ".join(f"{value} {count:,}" for value, count in counts.items())
            console.print(f"{name}: {listed}", markup=False)
    for row in night.top[:SHOWN_ROWS]:
        place = row.address or row.site_id
        line = f"{row.rank}. {place}{row.more_text} [{row.call}] {row.sentence}"
        console.print(line, markup=False)
    for source in night.stale:
        console.print(f"stale: {source}", markup=False, style="yellow")
    console.print(f"Map:  {night.folder / 'map.html'}", markup=False)
    console.print(f"List: {night.folder / 'ranked.csv'} (and .xlsx, .parquet, .gpkg)", markup=False)


def find_ranking(folder: Path, market: Market) -> Path:
    """Return the path of the published ranking. Raises StoreError if nothing was published."""
    path = folder / "ranked.parquet"
    if not path.is_file():
        others = sorted(one.name for one in folder.parent.glob("[!.]*") if one.is_dir())
        raise StoreError(
            f"looking for what was published for market {market.id} under plan {folder.name}",
            f"there is no {path}"
            + (f"; the plans published are {', '.join(others)}" if others else ""),
            f"run `padfinder nightly --market {market.id} --plan {folder.name}` first",
        )
    return path


def print_site(folder: Path, market: Market, site: str) -> bool:
    """Print the facts of one site, or the rule that excluded the parcel.

    Only the published files are read, not the store.

    Args:
        folder: The market's published folder.
        market: The market.
        site: An assessor id or an address, in upper or lower case.

    Returns:
        Whether the site or parcel was found.

    Raises:
        StoreError: If nothing was published.
    """
    path = find_ranking(folder, market)
    names = [fact.name for fact in catalogue.facts_of_table(pq.read_schema(path).names)]
    ranking = pq.read_table(path, columns=names).to_pandas()
    wanted_site = site.strip().casefold()
    console = Console(highlight=False, soft_wrap=True)
    for column in ("site_id", "address"):
        rows = ranking[ranking[column].astype("string").str.casefold() == wanted_site]
        if len(rows):
            for _, row in rows.iterrows():
                console.print(card.format_card_text(row), markup=False)
            return True
    with (folder / "set_aside.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if wanted_site in {line["parcel_id"].casefold(), line["address"].casefold()}:
                console.print(f"{line['parcel_id']} {line['address']}", markup=False)
                console.print(f"Not a site. Set aside: {line['rule']}", markup=False)
                return True
    return False


def print_sources(market: Market, workspace: Workspace) -> None:
    """Print each of the market's sources with its age, rows, license and health."""
    console = Console(highlight=False)
    console.width = max(console.width, MIN_WIDTH)
    outcomes = outcome.read_outcomes(workspace.var / "runs" / market.id)
    today = settings.parse_night(market, None)
    path = settings.store_path(market, workspace)
    snapshots: dict[str, dict[Hashable, Any]] = {}
    if path.is_file():
        with store.open_store(path, read_only=True) as opened:
            rows = opened.read_snapshots().to_dict("records")
        snapshots = {str(row["source_id"]): row for row in rows}
    table = Table(box=None, pad_edge=False)
    for name in ("source", "layer", "rows", "data of", "days old", "last seen", "health"):
        is_number = name in {"rows", "days old"}
        table.add_column(name, no_wrap=True, justify="right" if is_number else "left")
    table.add_column("license")
    for source in declarations.load_sources(market, workspace):
        snapshot = snapshots.get(source.id)
        last_seen = _parse_date(snapshot["last_seen"]) if snapshot else None
        table.add_row(
            source.id,
            source.layer,
            f"{snapshot['row_count']:,}" if snapshot else "-",
            str(source.vintage),
            f"{(today - source.vintage).days:,}",
            str(last_seen) if last_seen else "never",
            _describe_health(last_seen, today, outcomes.get(source.id)),
            source.licence,
        )
    console.print(table)


def _describe_health(
    last_seen: dt.date | None, today: dt.date, last_outcome: outcome.SourceOutcome | None
) -> str:
    if last_outcome is not None and last_outcome.error is not None:
        return f"failing ({last_outcome.kind}, {last_outcome.night})"
    if last_seen is None:
        return "never pulled"
    age_days = (today - last_seen).days
    return f"stale ({age_days} days)" if age_days > STALE_DAYS else "good"


def _parse_date(value: object) -> dt.date:
    return pd.Timestamp(str(value)).date()
