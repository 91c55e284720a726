"""Tell from an address by which protocol its server is asked."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from data.fetch_options import ProtocolName


class AddressGuess(NamedTuple):
    """How an address is asked.

    Attributes:
        protocol: The protocol.
        url: The address to declare.
        member: The layer or type to declare in `fetch.member`, if the address names it.
        wrong: What is wrong with the address; "" if nothing is.
    """

    protocol: ProtocolName
    url: str
    member: str | None = None
    wrong: str = ""


_ARCGIS = re.compile(
    r"(?P<service>.*/(?:Feature|Map)Server)(?P<number>/\d+)?(?:/query)?/?", re.IGNORECASE
)
_NO_LAYER = "names a whole service, not a layer: add the layer's number, as in FeatureServer/0"
_OGC = re.compile(r"(?P<collection>.*/collections/[^/]+)(?:/items)?/?")
_OPENDATASOFT = re.compile(r"(?P<dataset>.*/api/explore/v2\.\d/catalog/datasets/[^/]+)(?:/.*)?")
_CKAN = re.compile(r".*/(?:datastore/dump|resource)/[0-9a-f-]{36}/?.*")
_DOWNLOAD = re.compile(r".*/exports/[^/]+|.*/download(?:/.*)?|.*\.(?:zip|csv|geojson|gpkg|parquet)")


def guess_address(address: str) -> AddressGuess:
    """Return how an address is asked: as a known kind of server, else as a file to download.

    >>> guess_address("https://host/arcgis/rest/services/Lots/FeatureServer/0/query?where=1")[:2]
    ('arcgis', 'https://host/arcgis/rest/services/Lots/FeatureServer/0')
    >>> guess_address("https://host/api/collections/lots/items?limit=5")[:2]
    ('ogc_features', 'https://host/api/collections/lots')
    >>> guess_address("https://host/lots.geojson?key=${KEY}")[:2]
    ('file', 'https://host/lots.geojson?key=${KEY}')
    """
    parts = urlsplit(address)
    plain = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    query = {name.lower(): value for name, value in parse_qsl(parts.query)}
    if (found := _ARCGIS.fullmatch(plain)) is not None:
        wrong = "" if found["number"] else _NO_LAYER
        # As it was given: a key must not be decoded and written again.
        tokens = [part for part in parts.query.split("&") if part.lower().startswith("token=")]
        token = f"?{tokens[0]}" if tokens else ""
        layer = f"{found['service']}{found['number'] or ''}"
        return AddressGuess("arcgis", f"{layer}{token}", wrong=wrong)
    if query.get("service", "").lower() == "wfs" or parts.path.lower().endswith("/wfs"):
        kept = f"?map={query['map']}" if "map" in query else ""
        member = query.get("typenames") or query.get("typename")
        return AddressGuess("wfs", f"{plain}{kept}", member)
    if _DOWNLOAD.fullmatch(plain) is None:
        for protocol, pattern in (("opendatasoft", _OPENDATASOFT), ("ogc_features", _OGC)):
            if (match := pattern.fullmatch(plain)) is not None:
                return AddressGuess(protocol, match[1])  # type: ignore[arg-type]
        if _CKAN.fullmatch(plain) or "datastore_search" in parts.path:
            return AddressGuess("ckan", address)
    return AddressGuess("file", address)
