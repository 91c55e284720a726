"""Check the headers of the data of a market's sources against their declarations."""

from data.headers import is_looked_at, list_header_faults
from flows import declarations, settings
from flows.progress import terminal
from flows.settings import Workspace
from geo.errors import PadfinderError


def check_markets(
    market_name: str | None, workspace: Workspace
) -> tuple[list[PadfinderError], int]:
    """Return everything in the data of some markets that their declarations do not expect.

    Sources that are downloaded are named on the terminal, since they are not looked at.

    Args:
        market_name: The market; None for every market of the user, or the demo without one.
        workspace: The settings of this run.

    Returns:
        The errors, in the order of the markets and of their sources; and how many sources were
        looked at.
    """
    names = [market_name] if market_name else _list_own_markets(workspace) or [settings.DEMO]
    errors: list[PadfinderError] = []
    count = 0
    for name in names:
        market = declarations.load_market(name, workspace)
        sources = declarations.load_sources(market, workspace)
        try:
            folder = settings.find_files_folder(market, sources, workspace)
        except PadfinderError as error:
            errors.append(error)
            continue
        for source in sources:
            errors += list_header_faults(source, folder)
        count += sum(map(is_looked_at, sources))
        unseen = [source.id for source in sources if not is_looked_at(source)]
        if unseen:
            terminal.print(
                f"Not looked at, because they are downloaded: {', '.join(unseen)}. Use `padfinder "
                "try` for each",
                markup=False,
                soft_wrap=True,
            )
    return errors, count


def _list_own_markets(workspace: Workspace) -> list[str]:
    """Return the ids of the markets that the user declares."""
    own = [str(folder) for folder in workspace.markets]
    markets = declarations.read_declarations(workspace).markets
    return [name for name, toml in markets.items() if any(map(toml.label.startswith, own))]
