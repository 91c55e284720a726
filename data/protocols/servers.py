"""The protocols of servers that give their rows page by page.

Each is a module with a function that pulls all rows into one file, and one that asks for the first
rows only. What a pull keeps for the next night is in a folder of the source's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.connection import Connection, open_connection
from data.protocols import arcgis, ckan, ogc_features, opendatasoft, wfs
from data.protocols.pulled import Preview, Protocol
from data.source import Source

# By the name that `fetch.protocol` gives.
PROTOCOLS: dict[str, Protocol] = {
    "arcgis": arcgis.PROTOCOL,
    "ogc_features": ogc_features.PROTOCOL,
    "wfs": wfs.PROTOCOL,
    "opendatasoft": opendatasoft.PROTOCOL,
    "ckan": ckan.PROTOCOL,
}


def pulls_folder(store: Path, source_id: str) -> Path:
    """Return the folder beside a market's store that keeps what a source's server gave.

    >>> pulls_folder(Path("var/store/demo.duckdb"), "parcels").as_posix()
    'var/store/pulls/demo/parcels'
    """
    return store.parent / "pulls" / store.stem / source_id


@contextmanager
def connect(source: Source) -> Iterator[Connection]:
    """Open a connection to the servers of a source, with the limits and headers it declares."""
    fetch = source.fetch
    with open_connection(
        source.id,
        bytes_most=fetch.bytes_most,
        seconds_most=fetch.seconds_most,
        requests_per_s=fetch.requests_per_s,
        headers=fetch.headers,
        redirect_hosts=fetch.redirect_hosts,
    ) as connection:
        yield connection


def preview_rows(source: Source, rows: int) -> Preview:
    """Ask a source's server what the layer is, and for its first rows.

    Args:
        source: The source, whose protocol is one of PROTOCOLS.
        rows: How many rows.

    Returns:
        What the server says.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: It has no such layer, or its answer cannot be read.
        ConfigError: The declaration is wrong.
    """
    with connect(source) as connection:
        return PROTOCOLS[source.fetch.protocol].preview(connection, source, rows)
