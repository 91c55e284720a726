"""The protocols of servers that give their rows page by page.

Each is a module with a function that pulls all rows into one file, and one that asks for the first
rows only. What a pull keeps for the next night is in a folder of the source's own.
"""

from pathlib import Path

from data.protocols import arcgis, ckan, ogc_features, opendatasoft, wfs
from data.protocols.pulled import Protocol

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
