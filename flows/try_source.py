"""Try the declaration of a source on the first rows of its data, and print what fits."""

import pandas as pd
from rich.console import Console
from rich.table import Table

from data.trial import Trial, run_trial
from flows import declarations, settings
from flows.outcome import find_exit_code
from geo.errors import ConfigError, SourceDown
from geo.model import Market

SAMPLE_ROWS = 5
_WIDTH = 18
_CODES_SHOWN = 30
# Names of people are not shown.
_HIDDEN = {"owner"}


def try_source(source_id: str, market_name: str | None, rows_most: int) -> int:
    """Try a source on the first rows of its data, and print what fits. Nothing is written.

    Args:
        source_id: The source.
        market_name: Its market; None for the market whose list names the source.
        rows_most: How many rows to try.

    Returns:
        The exit code: 0 if the declaration fits.

    Raises:
        ConfigError: There is no such source or market, or several markets name the source.
    """
    workspace = settings.read_settings()
    market = _find_market(source_id, market_name, workspace)
    source = declarations.load_market_source(source_id, market, workspace)
    folder = settings.find_files_folder(market, (source,), workspace)
    land_use = declarations.load_land_use(workspace)
    trial = run_trial(source, market, folder, land_use, rows_most)
    console = Console(highlight=False, soft_wrap=True)

    def say(text: str, style: str | None = None) -> None:
        console.print(text, markup=False, style=style)

    what = "cells" if trial.frame is None and not trial.faults else "rows"
    count = f" of {trial.row_count:,}" if trial.row_count is not None else ""
    is_down = any(isinstance(fault, SourceDown) for fault in trial.faults)
    is_unknown = trial.row_count is None and not is_down
    of_unknown = " (the server does not say how many there are)" if is_unknown else ""
    say(f"{source.id}: {trial.rows_read:,}{count} {what} tried{of_unknown}, as {source.fetch.crs}")
    for text in trial.says:
        say(f"  {text}")
    if trial.frame is not None:
        _print_sample(console, trial.frame)
        say(f"{len(trial.frame):,} rows as {source.layer}")
    if trial.unclassified:
        say(_format_codes(trial), "yellow")
    if trial.unused:
        say(f"Columns not used: {', '.join(trial.unused)}")
    for note in trial.notes:
        say(f"Note: {note}")
    for fault in trial.faults:
        is_silent = isinstance(fault, SourceDown)
        say(f"{'No answer' if is_silent else 'Does not fit'}: {fault}", "red")
    if not trial.faults:
        say("The declaration fits." if trial.is_whole else "The declaration fits these rows.")
    return find_exit_code({type(one).__name__ for one in trial.faults}) if trial.faults else 0


def _find_market(source_id: str, market_name: str | None, workspace: settings.Workspace) -> Market:
    if market_name is not None:
        return declarations.load_market(market_name, workspace)
    names = declarations.read_declarations(workspace).markets
    markets = [declarations.load_market(name, workspace) for name in names]
    naming = [market for market in markets if source_id in market.sources]
    if len(naming) == 1:
        return naming[0]
    declarations.load_source(source_id, workspace)
    listed = ", ".join(market.id for market in naming)
    raise ConfigError(
        f"trying source {source_id!r}",
        f"several markets name it: {listed}" if naming else "no market names it",
        "say for which market with --market",
    )


def _print_sample(console: Console, frame: pd.DataFrame) -> None:
    """Print the first rows with a known id, one column of the table for each row."""
    rows = frame.head(SAMPLE_ROWS)
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(len(rows) + 1):
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=_WIDTH)
    for name in frame.columns:
        if name in _HIDDEN:
            continue
        values = rows[name].geom_type if name == "geometry" else rows[name]
        known = int(frame[name].notna().sum())
        cells = ["-" if pd.isna(value) else _format(value) for value in values]
        table.add_row(str(name), *cells, style=None if known else "yellow")
    console.width = max(console.width, (_WIDTH + 2) * (len(rows) + 1))
    console.print(table, markup=False)


def _format(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _format_codes(trial: Trial) -> str:
    counts = list(trial.unclassified.items())
    shown = ", ".join(f"{code} ({count:,})" for code, count in counts[:_CODES_SHOWN])
    more = f" and {len(counts) - _CODES_SHOWN} more" if counts[_CODES_SHOWN:] else ""
    return f"Codes without a class in land_use.toml, with their rows: {shown}{more}"
