"""The files of a new market, and what the terminal says of them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from data.guess.declare import Draft
from data.guess.lines import REVIEW, Line, Table, write_value
from data.guess.place import TIME_ZONES
from data.look import Dataset
from flows import settings
from flows.check import find_config_errors
from flows.declarations import LAND_USE_FILE
from geo.addresses import hide_secrets
from geo.errors import PadfinderError

Say = Callable[..., None]


@dataclass
class WrittenMarket:
    """The files of a new market by path, and what is told of them."""

    folder: Path
    texts: dict[Path, str] = field(default_factory=dict)
    drafts: list[tuple[Draft, Dataset | None]] = field(default_factory=list)
    replaced: list[Path] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)
    market: Table = field(default_factory=lambda: Table("", ()))
    notes: list[str] = field(default_factory=list)


def print_market(console: Console, written: WrittenMarket, layers: Collection[str]) -> None:
    """Print every guess, what is missing, the files, and what to do next.

    Args:
        console: Where to print.
        written: The market.
        layers: The layers that a dataset was given for.
    """

    def say(text: str = "", style: str | None = None) -> None:
        console.print(hide_secrets(text), markup=False, style=style)

    say()
    say("The market")
    for line in written.market.lines:
        _print_line(say, line)
    for draft, dataset in written.drafts:
        say()
        _print_draft(say, draft, dataset)
    for note in written.notes:
        say(note)
    land_use = written.texts[written.folder / LAND_USE_FILE]
    codes = sum(len(draft.codes) for draft, _ in written.drafts)
    empty = land_use.count('class = ""')
    say()
    say(f"Codes: {codes} found, {codes - empty} with a proposed class, {empty} to fill in")
    say()
    say("Written:")
    for path, text in written.texts.items():
        count = text.count(REVIEW)
        more = " (replaced)" if path in written.replaced else ""
        say(f"  {path}{more}" + (f": {count} to review" if count else ""))
    for path in written.left:
        say(f"  {path} (was there, and is left as it is)")
    _print_next(say, written, layers)


def _print_line(say: Say, line: Line) -> None:
    if not line.why and not line.is_open:
        return
    value = write_value(line.value) if not line.is_open else "?"
    say(f"  {line.key:<18} {value}")
    say(f"  {'':<18}   {line.why}", style="dim")


# What a declaration says of a publisher and a license, which no data tell.
_RIGHTS = ("publisher", "licence", "attribution", "redistribute")


def _print_draft(say: Say, draft: Draft, dataset: Dataset | None) -> None:
    if dataset is not None:
        count = dataset.row_count
        rows = f"{count:,} rows" if count is not None else "an unknown number of rows"
        say(f"{draft.id}: {rows}, {dataset.kind}, {dataset.crs[:40]}")
    else:
        say(f"{draft.id}:")
    for table in draft.tables:
        for line in table.lines:
            if line.key in _RIGHTS:
                continue
            is_plain = table.name == "" or table.name.endswith("columns")
            _print_line(
                say, line._replace(key=line.key if is_plain else f"{table.name}.{line.key}")
            )
    say(f"  {', '.join(_RIGHTS):<18}")
    say(f"  {'':<18}   not stated: write who publishes the data, and on which terms", style="dim")
    for name, follows in draft.missing:
        say(f"  {name:<18} not found: {follows}", style="yellow")
    for remark in draft.remarks:
        say(f"  {remark}")
    if draft.unused:
        say(f"  Columns not used: {', '.join(draft.unused)}")


def _print_next(say: Say, written: WrittenMarket, layers: Collection[str]) -> None:
    say()
    name = written.folder.name
    if "zoning" not in layers:
        say(
            "There is no zoning yet, and a market needs it: add a file of zoning districts with "
            "--zoning and --overwrite",
            style="yellow",
        )
    errors = _find_errors(written)
    if errors:
        say("padfinder check still finds:")
        for error in errors:
            say(f"  {error.doing}: {error.wrong}", style="yellow")
    if _is_american(written):
        say(_NATIONAL)
    say("Next:")
    say("  1. Open the files. Look at each line marked REVIEW, correct it, and delete the mark")
    say(f"  2. padfinder try {written.drafts[0][0].id} --market {name}")
    say(f"  3. padfinder check --data --market {name}")
    say(f"  4. padfinder nightly --market {name}")


def _is_american(written: WrittenMarket) -> bool:
    zones = [line.value for line in written.market.lines if line.key == "time_zone"]
    return any(zone in TIME_ZONES.values() for zone in zones)


_NATIONAL = (
    "National layers that the market can name in `sources` of market.toml: us_substations, "
    "us_gas_transmission, us_flood, us_wetlands, us_public_schools, us_private_schools, "
    "us_hospitals, us_landfills (docs/markets.md)"
)


def _find_errors(written: WrittenMarket) -> list[PadfinderError]:
    name = written.folder.name
    errors = find_config_errors(settings.read_settings())
    ours = (f"/{name}/", f"market {name}")
    return [error for error in errors if any(text in error.doing for text in ours)]
