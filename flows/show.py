"""Print what a night gave: the accounting, the counts, the first rows, one site, the sources."""

import csv
import datetime as dt
from pathlib import Path

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
# A source whose snapshot was last seen longer ago than this is called stale.
STALE_DAYS = 3
# Narrower than this, the table of sources cannot be read: it is then left to the terminal to wrap.
WIDTH = 150


def print_published(night: PublishedNight) -> None:
    """Print the accounting, verdict and gap counts, first rows, and where map and list are."""
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
        if name in {"verdict", "gap_class"}:
            said = ", ".join(f"{value} {count:,}" for value, count in counts.items())
            console.print(f"{name}: {said}", markup=False)
    for row in night.top[:SHOWN_ROWS]:
        place = row.address or row.site_id
        line = f"{row.rank}. {place}{row.more_text} [{row.call}] {row.sentence}"
        console.print(line, markup=False)
    for line in night.stale:
        console.print(f"stale: {line}", markup=False, style="yellow")
    console.print(f"Map:  {night.folder / 'map.html'}", markup=False)
    console.print(f"List: {night.folder / 'ranked.csv'} (and .xlsx, .parquet, .gpkg)", markup=False)


def find_ranking(folder: Path, market: Market) -> Path:
    """Return the published ranking's file; raises StoreError where nothing was published."""
    path = folder / "ranked.parquet"
    if not path.is_file():
        raise StoreError(
            f"looking for what was published for market {market.id}",
            f"there is no {path}",
            f"run `padfinder nightly --market {market.id}` first",
        )
    return path


def print_site(folder: Path, market: Market, site: str) -> bool:
    """Print all that is known of one site, or the rule that set it aside; False for neither.

    Reads the published files alone. Raises StoreError where nothing was published.
    """
    path = find_ranking(folder, market)
    names = [fact.name for fact in catalogue.facts_of_table(pq.read_schema(path).names)]
    ranking = pq.read_table(path, columns=names).to_pandas()
    wanted = site.strip().casefold()
    console = Console(highlight=False, soft_wrap=True)
    for column in ("site_id", "address"):
        rows = ranking[ranking[column].astype("string").str.casefold() == wanted]
        if len(rows):
            for _, row in rows.iterrows():
                console.print(card.format_card_text(row), markup=False)
            return True
    with (folder / "set_aside.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if wanted in {line["parcel_id"].casefold(), line["address"].casefold()}:
                console.print(f"{line['parcel_id']} {line['address']}", markup=False)
                console.print(f"Not a site. Set aside: {line['rule']}", markup=False)
                return True
    return False


def print_sources(market: Market, workspace: Workspace) -> None:
    """Print each of the market's sources: age, rows, licence and health."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    last = outcome.read_outcomes(workspace.var / "runs" / market.id)
    today = settings.parse_night(market, None)
    path = settings.store_path(market, workspace)
    held: dict[str, dict[str, object]] = {}
    if path.is_file():
        with store.open_store(path, read_only=True) as opened:
            snapshots = opened.read_snapshots()
        held = {
            str(row["source_id"]): {str(name): value for name, value in row.items()}
            for row in snapshots.to_dict("records")
        }
    table = Table(box=None, pad_edge=False)
    for name in ("source", "layer", "rows", "data of", "days old", "last seen", "health"):
        right = name in {"rows", "days old"}
        table.add_column(name, no_wrap=True, justify="right" if right else "left")
    table.add_column("licence")
    for source in declarations.load_sources(market, workspace):
        snapshot = held.get(source.id)
        rows = f"{snapshot['row_count']:,}" if snapshot else "-"
        seen = _parse_date(snapshot["last_seen"]) if snapshot else None
        tried = last.get(source.id)
        table.add_row(
            source.id,
            source.layer,
            rows,
            str(source.vintage),
            f"{(today - source.vintage).days:,}",
            str(seen) if seen else "never",
            _describe_health(seen, today, tried),
            source.licence,
        )
    console.print(table)


def _describe_health(
    seen: dt.date | None, today: dt.date, tried: outcome.SourceOutcome | None
) -> str:
    if tried is not None and tried.error is not None:
        return f"failing ({tried.kind}, {tried.night})"
    if seen is None:
        return "never pulled"
    age = (today - seen).days
    return f"stale ({age} days)" if age > STALE_DAYS else "good"


def _parse_date(value: object) -> dt.date:
    return pd.Timestamp(str(value)).date()
