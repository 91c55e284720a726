"""The addresses of a layer of an ArcGIS server, and of a query of its rows."""

import re

from data.source import Source
from geo.errors import ConfigError

# Parameters of a query that would change which rows an answer has, or what they hold.
_OF_A_QUERY = frozenset({
    "where", "objectids", "geometry", "geometrytype", "insr", "outsr", "spatialrel", "outfields",
    "returngeometry", "returnidsonly", "returncountonly", "returndistinctvalues", "orderbyfields",
    "resultoffset", "resultrecordcount", "maxallowableoffset", "geometryprecision", "time",
    "groupbyfieldsforstatistics", "outstatistics", "returnextentonly", "quantizationparameters",
})  # fmt: skip


def layer_address(declared: str, source: Source) -> str:
    """Return the address of a layer, without the end that asks for its rows.

    Args:
        declared: The address as declared, perhaps copied from a browser.
        source: The source, for the message.

    Returns:
        The address, with its other parameters, such as a token.

    Raises:
        ConfigError: It has parameters that choose rows.
    """
    path, mark, query = declared.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    names = {pair: pair.partition("=")[0].lower() for pair in pairs}
    chosen = [names[pair] for pair in pairs if names[pair] in _OF_A_QUERY]
    if chosen:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"fetch.url has the parameter {chosen[0]} of a query, which the pull itself sets",
            "give the address of the layer alone, and choose rows with fetch.filter",
        )
    kept = "&".join(pair for pair in pairs if names[pair] != "f")
    path = re.sub(r"/query$", "", path.rstrip("/"), flags=re.IGNORECASE)
    return f"{path}{mark}{kept}" if kept else path


def query_address(layer: str) -> str:
    """Return the address at which the rows of a layer are asked for.

    >>> query_address("https://host/FeatureServer/0?token=${TOKEN}")
    'https://host/FeatureServer/0/query?token=${TOKEN}'
    """
    path, mark, query = layer.partition("?")
    return f"{path}/query{mark}{query}"
