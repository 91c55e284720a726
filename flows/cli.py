"""The command line. `padfinder --help` lists the commands.

This module is over 400 lines long, because every command has its options here, with their help.
"""

import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Annotated

import typer

from flows import declarations, settings
from flows.check import (
    count_files,
    find_config_errors,
    list_unreviewed,
    list_unseen_sources,
    load_run,
)
from flows.old_layout import describe_old_layout
from flows.outcome import EXIT_CODES, UNEXPECTED, find_exit_code
from flows.prefect_server import explain_trouble, has_prefect_server
from flows.progress import terminal
from geo.addresses import hide_secrets
from geo.errors import ConfigError, PadfinderError
from geo.model import Market

# The exit code of a program that a signal ends is this and the signal's number.
SIGNALED = 128
EPILOG = (
    "Exit codes: 0 done; 1 a bug in the program; 2 a wrong command line; 3 an error in a TOML file "
    "or setting; 4 a table does not match its layer; 5 a source does not answer; "
    "6 a source has changed; 7 an error of the store, or another run holds the market; 130 and 143 "
    "stopped."
)

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
    typer.Option("--night", help="The date, such as 2026-03-31. Default: today in the market."),
]
PlanName = Annotated[
    str | None, typer.Option("--plan", help="The plan's name. Default: the market's plan.")
]
StaleOk = Annotated[
    bool,
    typer.Option("--stale-ok", help="If a source fails, publish with its last good snapshot."),
]
Texts = list[str] | None
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show Prefect's log and the tracebacks of errors.")
]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. Errors are printed without a traceback."""
    if arguments is None:
        arguments = sys.argv[1:]
    verbose = bool({"-v", "--verbose"} & set(arguments))
    _end_in_order()
    try:
        app(args=arguments, prog_name="padfinder")
    except SystemExit as exit_request:
        return exit_request.code if isinstance(exit_request.code, int) else UNEXPECTED
    except PadfinderError as error:
        if verbose:
            traceback.print_exc()
        _print_error(str(error))
        return find_exit_code({type(error).__name__})
    except Exception as error:  # noqa: BLE001 - a bug gets one message and a code, no traceback
        if verbose:
            traceback.print_exc()
        if (trouble := explain_trouble(error)) is not None:
            _print_error(str(trouble))
            return EXIT_CODES[ConfigError]
        _print_error(
            f"This is a bug in padfinder: {type(error).__name__}: {hide_secrets(str(error))}\n"
            "  What to do: run the same command with --verbose, and report what it prints"
        )
        return UNEXPECTED
    return 0


def _end_in_order() -> None:
    """Have a request to end (SIGTERM) undo what is half done, as Ctrl-C does; the code is 143."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(SIGNALED + number)

    # Only the first thread of a program may set this.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


@app.command(epilog="Example: padfinder nightly --market demo")
def nightly(
    market: MarketName = settings.DEMO,
    night: Night = None,
    plan: PlanName = None,
    stale_ok: StaleOk = False,
    verbose: Verbose = False,
) -> None:
    """Refresh every source, then publish the map and lists."""
    _prepare(market, plan, night, verbose=verbose)
    from flows import show

    if has_prefect_server():
        from flows.nightly import run_night

        published = run_night(market, night, plan, stale_ok=stale_ok)
    else:
        from flows.night import refresh_and_publish

        published = refresh_and_publish(market, night, plan, stale_ok=stale_ok)
    show.print_published(published)


@app.command(epilog="Example: padfinder refresh --market demo")
def refresh(
    market: MarketName = settings.DEMO, night: Night = None, verbose: Verbose = False
) -> None:
    """Pull every source of a market into its store."""
    market_model = _prepare(market, None, night, verbose=verbose)
    from flows import show

    if has_prefect_server():
        from flows.nightly import run_refresh

        outcomes = run_refresh(market, night)
    else:
        from flows.refresh import refresh_market

        outcomes = refresh_market(market, night)
    changed = sum(outcome.changed for outcome in outcomes)
    typer.echo(f"{len(outcomes)} sources pulled, {changed} changed")
    show.print_source_lines(
        market_model, settings.read_settings(), settings.parse_night(market_model, night)
    )


@app.command(epilog="Example: padfinder publish --market demo --plan default")
def publish(
    market: MarketName = settings.DEMO,
    night: Night = None,
    plan: PlanName = None,
    verbose: Verbose = False,
) -> None:
    """Screen and rank the parcels in the store, and publish the map and lists."""
    _prepare(market, plan, night, verbose=verbose)
    from flows import show

    if has_prefect_server():
        from flows.nightly import run_publish

        published = run_publish(market, plan, night)
    else:
        from flows.publish import publish_market

        published = publish_market(market, plan, night)
    show.print_published(published)


@app.command(epilog="Example: padfinder explain 10000123 --market demo")
def explain(
    site: Annotated[str, typer.Argument(help="An assessor id or an address.")],
    market: MarketName = settings.DEMO,
    plan: PlanName = None,
) -> None:
    """Show every fact of one published site, or why a parcel is not a site."""
    from flows import show

    workspace = _read_workspace()
    market_model = declarations.load_market(market, workspace)
    folder = settings.published_folder(market_model, plan or market_model.plan, workspace)
    if not show.print_site(folder, market_model, site):
        raise typer.BadParameter(
            f"no parcel of market {market} has the id or address {site!r}; copy one from ranked.csv"
        )


@app.command(epilog="Example: padfinder noise --market demo --site 10000123")
def noise(
    site: Annotated[str, typer.Option("--site", "-s", help="An assessor id or an address.")],
    market: MarketName = settings.DEMO,
    cell: Annotated[
        float, typer.Option("--cell", min=1.0, max=50.0, help="The cell size, in meters.")
    ] = 5.0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The output folder. Default: var/noise/MARKET/SITE."),
    ] = None,
    night: Night = None,
    plan: PlanName = None,
) -> None:
    """Map the noise around one published site: a map, a GeoTIFF and contour lines as GeoJSON."""
    from flows.noise import draw_site_noise
    from geo.ranking.sentences import format_machines

    folder, picture = draw_site_noise(market, site, cell, out, night=night, plan=plan)
    typer.echo(f"{picture.title}: {format_machines(picture.running)} running")
    typer.echo(f"Map:  {folder / 'noise.html'}")
    typer.echo(f"Data: {folder / 'noise.tif'} and {folder / 'contours.geojson'}")


@app.command(epilog="Example: padfinder check --data --market demo")
def check(
    data: Annotated[
        bool, typer.Option("--data", help="Read the headers of the data too: columns, CRS, shapes.")
    ] = False,
    market: Annotated[
        str | None,
        typer.Option(
            "--market", "-m", help="The market whose data to check. Default: all of your own."
        ),
    ] = None,
) -> None:
    """Read every TOML file (markets, plans, sources, catalogue, settings) and list all errors."""
    workspace = _read_workspace()
    errors = find_config_errors(workspace)
    kinds, count = {type(error).__name__ for error in errors}, 0
    if data and not errors:
        from flows.check_data import check_markets

        errors, count = check_markets(market, workspace)
        kinds = {type(error).__name__ for error in errors}
    for error in errors:
        _print_error(str(error))
    if errors:
        typer.echo(f"{len(errors)} {'error' if len(errors) == 1 else 'errors'}")
        raise typer.Exit(find_exit_code(kinds))
    of_data = f", and the headers of {count} sources" if data else ""
    typer.echo(f"{count_files(workspace)} TOML files read{of_data}, no errors")
    for line in list_unreviewed(workspace):
        typer.echo(line)
    if unseen := list_unseen_sources(workspace):
        typer.echo(
            f"{len(unseen)} sources were declared from documentation alone; `padfinder sources` "
            "marks them"
        )


@app.command("new-market", epilog="Example: padfinder new-market mytown --parcels lots.zip")
def new_market(
    name: Annotated[str, typer.Argument(help="The market's name: small letters, digits and _.")],
    parcels: Annotated[
        str, typer.Option("--parcels", help="The parcels' areas: a file or an address.")
    ],
    parcels_table: Annotated[
        str | None,
        typer.Option("--parcels-table", help="A CSV with more columns of the parcels."),
    ] = None,
    zoning: Annotated[Texts, typer.Option(help="Zoning districts.")] = None,
    buildings: Annotated[Texts, typer.Option(help="Building footprints.")] = None,
    gas_mains: Annotated[Texts, typer.Option(help="Gas mains.")] = None,
    substations: Annotated[Texts, typer.Option(help="Substations.")] = None,
    capacity: Annotated[
        list[str] | None, typer.Option(help="What feeders, areas or grid cells can still take.")
    ] = None,
    gas_territories: Annotated[
        list[str] | None, typer.Option(help="Gas utilities' territories.")
    ] = None,
    gas_transmission: Annotated[
        list[str] | None, typer.Option(help="Gas transmission lines.")
    ] = None,
    gas_signs: Annotated[
        list[str] | None, typer.Option(help="Leak reports or regulating stations.")
    ] = None,
    fuel_plants: Annotated[
        list[str] | None, typer.Option(help="Landfills, digesters and hydrogen plants.")
    ] = None,
    receptors: Annotated[
        list[str] | None, typer.Option(help="Schools, hospitals, hotels, parks and others.")
    ] = None,
    exclusions: Annotated[
        list[str] | None, typer.Option(help="Flood zones, wetland, easements or railroad land.")
    ] = None,
    streets: Annotated[
        list[str] | None, typer.Option(help="Streets, rivers, rail and town lines.")
    ] = None,
    elevation: Annotated[Texts, typer.Option(help="Ground heights: a raster.")] = None,
    ambient: Annotated[Texts, typer.Option(help="Ambient noise: a raster.")] = None,
    use_words: Annotated[
        str | None, typer.Option("--use-words", help="A CSV of use codes and what they mean.")
    ] = None,
    zoning_words: Annotated[
        str | None, typer.Option("--zoning-words", help="A CSV of zoning codes and their meaning.")
    ] = None,
    parcel_id: Annotated[
        str | None, typer.Option("--parcel-id", help="The column of the assessor's ids.")
    ] = None,
    crs: Annotated[
        str | None, typer.Option("--crs", help="The CRS of files that name none: EPSG:2249.")
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option("--bounds", help="West,south,east,north in degrees, for a part of the data."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="The market's title.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files of a market that is there.")
    ] = False,
) -> None:
    """Look at datasets, and write a market's folder with best guesses to review.

    Each option of a layer takes a file or an address, and can be given several times. FILE#NAME
    names a layer, a sheet or a file inside FILE.
    """
    from flows.new_market import NewMarket, create_market

    layers = {
        "parcels": [parcels], "zoning": zoning, "substations": substations, "capacity": capacity,
        "mains": gas_mains, "gas_signs": gas_signs, "gas_territories": gas_territories,
        "gas_transmission": gas_transmission, "fuel_plants": fuel_plants, "receptors": receptors,
        "buildings": buildings, "exclusions": exclusions, "streets": streets,
        "elevation": elevation, "ambient": ambient,
    }  # fmt: skip
    create_market(
        NewMarket(
            name=name,
            places={layer: tuple(texts) for layer, texts in layers.items() if texts},
            parcels_table=parcels_table,
            use_words=use_words,
            zoning_words=zoning_words,
            parcel_id=parcel_id,
            crs=crs,
            bounds=bounds,
            title=title,
            overwrite=overwrite,
        )
    )


@app.command("try", epilog="Example: padfinder try demo_parcels")
def try_(
    source: Annotated[str, typer.Argument(help="The source's name.")],
    market: Annotated[
        str | None, typer.Option("--market", "-m", help="The market. Default: that of the source.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows to try.")] = 1000,
) -> None:
    """Try a source's declaration on the first rows of its data; nothing is written.

    The exit code is 0 if the declaration fits, else that of the errors.
    """
    from flows.try_source import try_source

    _read_workspace()
    if code := try_source(source, market, rows):
        raise typer.Exit(code)


@app.command(epilog="Example: padfinder conformity --out var/conformity.html")
def conformity(
    out: Annotated[
        Path | None, typer.Option("--out", help="The page's file. Default: var/conformity.html.")
    ] = None,
) -> None:
    """Run the test cases of ISO/TR 17534-3 and write a page of the results.

    The exit code is 1 if a required case fails.
    """
    from flows.conformity import write_conformity_page

    path, failed = write_conformity_page(out or _read_workspace().var / "conformity.html")
    typer.echo(f"Page: {path}")
    if failed:
        _print_error(f"Required cases that fail: {', '.join(failed)}")
        raise typer.Exit(UNEXPECTED)


@app.command(epilog="Example: padfinder sources --market demo")
def sources(market: MarketName = settings.DEMO, night: Night = None) -> None:
    """List a market's sources with their age, rows, license and health, without a network.

    The exit code is 0 if the last try to pull each source succeeded, else that of the errors.
    """
    from flows import show

    workspace = _read_workspace()
    market_model = declarations.load_market(market, workspace)
    night_date = settings.parse_night(market_model, night)
    if code := show.print_sources(market_model, workspace, night_date):
        raise typer.Exit(code)


@app.command(epilog="Example: padfinder schedule --market demo")
def schedule(market: MarketName = settings.DEMO, verbose: Verbose = False) -> None:
    """Run `nightly` at 02:00 in the market's time zone, until stopped."""
    market_model = _prepare(market, None, None, verbose=verbose)
    has_prefect_server()
    from prefect.schedules import Cron

    from flows.nightly import run_night

    terminal.print(
        f"Running {market} every night at 02:00 {market_model.time_zone}; stop with Ctrl-C"
    )
    run_night.serve(
        name=f"nightly-{market}",
        parameters={"market": market},
        schedule=Cron("0 2 * * *", timezone=market_model.time_zone),
        print_starting_message=verbose,
    )


def _read_workspace() -> settings.Workspace:
    """Read the settings, and warn if files are still in the old folder layout."""
    workspace = settings.read_settings()
    warning = describe_old_layout(workspace)
    if warning is not None:
        terminal.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    return workspace


def _prepare(market: str, plan: str | None, night: str | None, *, verbose: bool) -> Market:
    """Check the files and options of a command, then set Prefect's environment variables.

    Prefect reads the variables when it is first imported; those that the user has set are kept.
    Its files go under var/ instead of the home folder. Its log is off by default, because padfinder
    prints the same errors.
    """
    workspace = _read_workspace()
    market_model = load_run(market, plan, workspace).market
    settings.parse_night(market_model, night)
    home = workspace.var / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    variables = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "WARNING",
        # Prefect's temporary server may be slow to start on a busy or small machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    if not verbose:
        variables["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    return market_model


def _print_error(text: str) -> None:
    terminal.print(text, style="red", markup=False, soft_wrap=True)
