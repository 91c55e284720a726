"""Print a published night, one site of it, or a market's sources."""

import csv
import datetime as dt
import textwrap
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from data.health import judge_sources
from flows import declarations, outcome, settings
from flows.outcome import PublishedNight
from flows.settings import Workspace
from geo import catalogue
from geo.errors import StoreError
from geo.model import Market, SourceHealth
from geo.ranking.notes import list_source_lines
from maps import card

SHOWN_ROWS = 5
# Width of the table of sources where it is not printed on a terminal.
PIPE_WIDTH = 100


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
    line = find_set_aside(folder, wanted_site)
    if line is None:
        return False
    console.print(f"{line['parcel_id']} {line['address']}", markup=False)
    console.print(f"Not a site. Set aside: {line['rule']}", markup=False)
    return True


def find_set_aside(folder: Path, wanted: str) -> dict[str, str] | None:
    """Return the row of a parcel that was set aside; None if there is none.

    Args:
        folder: The folder of the published night.
        wanted: Its id or address, without case.

    Returns:
        Its row of set_aside.csv.
    """
    with (folder / "set_aside.csv").open(encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file):
            # A text that could run as a formula begins with an apostrophe.
            known = {line[name].removeprefix("'").casefold() for name in ("parcel_id", "address")}
            if wanted.removeprefix("'") in known - {""}:
                return line
    return None


def print_source_lines(market: Market, workspace: Workspace, night: dt.date) -> None:
    """Print which sources are not fresh, and what was lost or repaired in reading the others.

    Args:
        market: The market.
        workspace: The settings of this run.
        night: The night as of which the sources are judged.
    """
    console = Console(highlight=False, soft_wrap=True)
    for line in list_source_lines(_judge_market(market, workspace, night)):
        console.print(line, markup=False, style="yellow")


def print_sources(market: Market, workspace: Workspace, night: dt.date) -> int:
    """Print each of the market's sources with its age, rows, license and health.

    Args:
        market: The market.
        workspace: The settings of this run.
        night: The night as of which the sources are judged.

    Returns:
        The exit code: 0 if the last try to pull each source succeeded.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    layers = {source.id: source.layer for source in declarations.load_sources(market, workspace)}
    judged = _judge_market(market, workspace, night)
    table = Table(box=None, pad_edge=False)
    for name in ("source", "layer", "rows", "before", "data of", "last pull", "health", "license"):
        is_number = name in {"rows", "before"}
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for one in judged:
        table.add_row(
            one.id,
            layers[one.id],
            _format_count(one.rows),
            _format_count(one.rows_before),
            one.vintage,
            one.good_on or "-",
            one.verdict,
            one.licence,
        )
    console.print(table)
    console.print()
    for one in judged:
        _print_source_details(console, one)
    usable = sum(one.is_usable for one in judged)
    failing = sum(not one.is_usable and one.verdict != "never pulled" for one in judged)
    more = f"; {failing} {'is' if failing == 1 else 'are'} failing" if failing else ""
    console.print(f"\n{usable} of {len(judged)} sources are usable{more}")
    outcomes = outcome.read_outcomes(workspace.var / "runs" / market.id)
    kinds = {
        (one.id in outcomes and outcomes[one.id].kind) or StoreError.__name__
        for one in judged
        if not one.is_usable
    }
    return outcome.find_exit_code(kinds) if kinds else 0


def _judge_market(market: Market, workspace: Workspace, night: dt.date) -> tuple[SourceHealth, ...]:
    failed = outcome.read_failed_pulls(workspace.var / "runs" / market.id)
    sources = declarations.load_sources(market, workspace)
    return judge_sources(settings.store_path(market, workspace), sources, night, failed)


def _print_source_details(console: Console, one: SourceHealth) -> None:
    """Print a source's origin and rights, its changes, and what is wrong with it."""
    origin = f"from {one.address}; columns {one.columns_digest or 'not recorded'}; "
    more = f"; {one.verified}" if one.verified else ""
    made_by = f"by {one.attribution}; {one.age_limit}{more}"
    lines = [f"{one.id}: {origin if one.address else ''}{made_by}"]
    if one.rows_added is not None:
        added = f"{one.rows_added:,} {'row' if one.rows_added == 1 else 'rows'} added"
        lines.append(f"{added}, {one.rows_removed:,} removed by the last change")
    if one.verdict not in {"fresh", "never pulled"}:
        lines += [f"{one.verdict}: {one.error}", f"What to do: {one.remedy}"]
    lines += [f"Warning: {text}" for text in one.warnings]
    for number, line in enumerate(lines):
        # A path is never broken, so that it can be copied.
        wrapped = textwrap.fill(
            line,
            console.width,
            initial_indent="  " if number else "",
            subsequent_indent="    " if number else "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        console.print(wrapped, markup=False, soft_wrap=True)


def _format_count(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
