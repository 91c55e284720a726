"""The built-in markets, plans, sources and land-use tables, as tests read them."""

from pathlib import Path

from data.source import Source
from flows import declarations
from flows.settings import Workspace, read_settings
from geo.contract.toml import parse_toml
from geo.model import LandUse

ROOT = Path(__file__).parents[1]
NEW_YORK = ROOT / "docs/examples/new_york/sources"


def workspace() -> Workspace:
    """Return the workspace of a user without settings."""
    return read_settings({})


def read_sources() -> dict[str, Source]:
    """Return every built-in source and New York's examples, by id."""
    names = {name for _, name in declarations.read_declarations(workspace()).sources}
    sources = {name: declarations.load_source(name, workspace()) for name in sorted(names)}
    for path in sorted(NEW_YORK.glob("*.toml")):
        source = parse_toml(Source, path.read_text("utf-8"), path.name)
        assert f"{source.id}.toml" == path.name
        sources[source.id] = source
    return sources


def read_land_use() -> tuple[LandUse, ...]:
    """Return every built-in land-use table."""
    return declarations.load_land_use(workspace())
