"""The command line: `padfinder --help` shows the commands, and each command's help an example."""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from flows import declarations, settings
from flows.check import count_files, find_faults, load_run
from flows.outcome import EXIT_CODES
from flows.progress import terminal
from geo.errors import ConfigError, PadfinderError
from geo.model import Market

EPILOG = (
    "Exit codes: 0 done; 1 a fault of the program; 2 the command line; 3 a TOML file or setting; "
    "4 a table that does not hold to its layer; 5 a source that does not answer; "
    "6 a source that has changed; 7 the store."
)
UNEXPECTED = 1

app = typer.Typer(
    name="padfinder",
    help="Find where on-site power can stand: screen a market's parcels, publish maps and lists.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

MarketName = Annotated[str, typer.Option("--market", "-m", help="The market's name.")]
Night = Annotated[
    str | None,
    typer.Option("--night", help="As of this date (2026-03-31); today in the market if not given."),
]
PlanName = Annotated[
    str | None, typer.Option("--plan", help="The plan's name; the market's own if not given.")
]
StaleOk = Annotated[
    bool,
    typer.Option("--stale-ok", help="Publish with the last good snapshot where a source fails."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show Prefect's log, and tracebacks of errors.")
]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors print what to do, without a traceback."""
    given = sys.argv[1:] if arguments is None else arguments
    verbose = bool({"-v", "--verbose"} & set(given))
    try:
        app(args=given, prog_name="padfinder")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else UNEXPECTED
    except PadfinderError as error:
        if verbose:
            traceback.print_exc()
        _say_error(str(error))
        return next(
            (code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), UNEXPECTED
        )
    except Exception as error:  # noqa: BLE001 - the last resort: one message, a code, no traceback
        if verbose:
            traceback.print_exc()
        _say_error(
            f"padfinder met a fault of its own: {type(error).__name__}: {error}\n"
            "  What to do: run the same command with --verbose, and report what it prints"
        )
        return UNEXPECTED
    return 0


@app.command(epilog="Example: padfinder nightly --market demo")
def nightly(
    market: MarketName = settings.DEMO,
    night: Night = None,
    plan: PlanName = None,
    stale_ok: StaleOk = False,
    verbose: Verbose = False,
) -> None:
    """Run one whole night: refresh every source, then publish map and lists."""
    _prepare(market, plan, night, verbose=verbose)
    from flows import show
    from flows.nightly import run_night

    show.print_published(run_night(market, night, plan, stale_ok=stale_ok))


@app.command(epilog="Example: padfinder refresh --market demo")
def refresh(
    market: MarketName = settings.DEMO, night: Night = None, verbose: Verbose = False
) -> None:
    """Pull every source of a market into its store."""
    _prepare(market, None, night, verbose=verbose)
    from flows.refresh import run_refresh

    outcomes = run_refresh(market, night)
    changed = sum(one.changed for one in outcomes)
    typer.echo(f"{len(outcomes)} sources pulled, {changed} changed")


@app.command(epilog="Example: padfinder publish --market demo --plan default")
def publish(
    market: MarketName = settings.DEMO,
    night: Night = None,
    plan: PlanName = None,
    verbose: Verbose = False,
) -> None:
    """Screen and rank what the store holds, and publish map and lists."""
    _prepare(market, plan, night, verbose=verbose)
    from flows import show
    from flows.publish import run_publish

    show.print_published(run_publish(market, plan, night))


@app.command(epilog="Example: padfinder explain 10000123 --market demo")
def explain(
    site: Annotated[str, typer.Argument(help="An assessor id, or an address.")],
    market: MarketName = settings.DEMO,
) -> None:
    """Show every fact of one site of the last published night, or why it is not a site."""
    from flows import show

    workspace = _read_workspace()
    known = declarations.load_market(market, workspace)
    if not show.print_site(workspace.var / "published" / known.id, known, site):
        raise typer.BadParameter(
            f"no parcel of market {market} has the id or address {site!r}: copy one from ranked.csv"
        )


@app.command(epilog="Example: padfinder noise --market demo --site 10000123")
def noise(
    site: Annotated[str, typer.Option("--site", "-s", help="An assessor id, or an address.")],
    market: MarketName = settings.DEMO,
    cell: Annotated[float, typer.Option("--cell", min=1.0, max=50.0, help="Metres.")] = 5.0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder; var/noise/MARKET/SITE if not given."),
    ] = None,
    night: Night = None,
) -> None:
    """Draw the noise round one published site: a map, a GeoTIFF and its lines as GeoJSON."""
    from flows.noise import draw_site_noise
    from geo.ranking.sentences import format_machines

    folder, picture = draw_site_noise(market, site, cell, out, night)
    typer.echo(f"{picture.title}: {format_machines(picture.running)} running")
    typer.echo(f"Map:  {folder / 'noise.html'}")
    typer.echo(f"Data: {folder / 'noise.tif'} and {folder / 'contours.geojson'}")


@app.command(epilog="Example: padfinder check")
def check() -> None:
    """Read every TOML file (markets, plans, sources, catalogue, settings): all faults at once."""
    workspace = _read_workspace()
    faults = find_faults(workspace)
    for fault in faults:
        _say_error(str(fault))
    if faults:
        raise typer.Exit(EXIT_CODES[ConfigError])
    typer.echo(f"{count_files(workspace)} TOML files read, no faults")


@app.command(epilog="Example: padfinder conformity --out var/conformity.html")
def conformity(
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the page goes; var/ if not given.")
    ] = None,
) -> None:
    """Run the test cases of ISO/TR 17534-3 and write their page; 1 when a required one fails."""
    from flows.conformity import write_conformity_page

    path, failed = write_conformity_page(out or _read_workspace().var / "conformity.html")
    typer.echo(f"Page: {path}")
    if failed:
        _say_error(f"required cases not met: {', '.join(failed)}")
        raise typer.Exit(UNEXPECTED)


@app.command(epilog="Example: padfinder sources --market demo")
def sources(market: MarketName = settings.DEMO) -> None:
    """List a market's sources: age, rows, licence and health."""
    from flows import show

    workspace = _read_workspace()
    show.print_sources(declarations.load_market(market, workspace), workspace)


@app.command(epilog="Example: padfinder schedule --market demo")
def schedule(market: MarketName = settings.DEMO, verbose: Verbose = False) -> None:
    """Serve the nightly run at 02:00 in the market's time zone, until stopped."""
    known = _prepare(market, None, None, verbose=verbose)
    from prefect.schedules import Cron

    from flows.nightly import run_night

    terminal.print(f"Serving nightly {market} at 02:00 {known.time_zone}; stop with Ctrl-C")
    run_night.serve(
        name=f"nightly-{market}",
        parameters={"market": market},
        schedule=Cron("0 2 * * *", timezone=known.time_zone),
        print_starting_message=verbose,
    )


def _read_workspace() -> settings.Workspace:
    """Read the settings; warn once where files are still in the old folder layout."""
    workspace = settings.read_settings()
    advice = declarations.describe_old_layout(workspace)
    if advice is not None:
        terminal.print(f"Warning: {advice}", style="yellow", markup=False, soft_wrap=True)
    return workspace


def _prepare(market: str, plan: str | None, night: str | None, *, verbose: bool) -> Market:
    """Read all that the command needs, so that its faults show at once; then set up Prefect.

    Prefect reads its settings when first imported; what the user has set stays. Its folder stands
    under var/, so that nothing is asked of the home folder, and its own log is silent unless asked
    for: the errors say what is to be said.
    """
    workspace = _read_workspace()
    known = load_run(market, plan, workspace)[0]
    settings.parse_night(known, night)
    home = workspace.var / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    wanted = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "WARNING",
        # Prefect's temporary server may be slow to start on a busy or small machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    if not verbose:
        wanted["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    return known


def _say_error(text: str) -> None:
    terminal.print(text, style="red", markup=False, soft_wrap=True)
