"""Read what a WFS says of itself and of one feature type, and how to ask for its rows."""

from collections.abc import Mapping
from typing import NamedTuple

import pyproj

from data.ask import ask
from data.connection import Connection, refuse_answer
from data.message_text import count_noun
from data.protocols.axes import find_offered, is_north_first, read_crs
from data.protocols.bounds import bounds_in_crs
from data.protocols.gml import ask_page
from data.protocols.refusal import join_names
from data.protocols.wfs_answers import Capabilities, FeatureType, read_capabilities, read_schema
from data.source import Source
from geo.addresses import show_address
from geo.errors import ConfigError, ContractError, SourceChanged

# Parameters that are set here; of those in the declared address, only the version counts.
_OWN = {
    "service", "request", "version", "acceptversions", "typename", "typenames", "srsname",
    "outputformat", "count", "maxfeatures", "startindex", "resulttype", "sortby", "bbox", "filter",
    "cql_filter",
}  # fmt: skip


class Layer(NamedTuple):
    """A feature type, and how its rows are asked for.

    Attributes:
        address: The declared address without the parameters that are set here.
        version: The version to speak: 1.1.0 or 2.0.0.
        kind: The feature type.
        capabilities: What the server says of itself.
        schema: Its columns with their XML Schema types.
        crs: The declared CRS as the server names it.
        filters: The parameters that choose rows.
    """

    address: str
    version: str
    kind: FeatureType
    capabilities: Capabilities
    schema: dict[str, str]
    crs: str
    filters: Mapping[str, str]

    def list_parameters(self, rows: int | None = None, start: int | None = None) -> dict[str, str]:
        """Return the parameters of a GetFeature request."""
        is_new = self.version == "2.0.0"
        parameters = {
            "service": "WFS",
            "version": self.version,
            "request": "GetFeature",
            "typenames" if is_new else "typename": self.kind.name,
            "srsname": self.crs,
            **self.filters,
        }
        if rows is not None:
            parameters["count" if is_new else "maxfeatures"] = str(rows)
        if start is not None:
            parameters["startindex"] = str(start)
        return parameters


def read_layer(
    connection: Connection, source: Source, *, takes_any_crs: bool = False
) -> tuple[Layer, Source]:
    """Read what a server says of itself and of the feature type that a source names.

    Args:
        connection: The connection.
        source: The source.
        takes_any_crs: Whether the server's own CRS will do where the declared one is not offered.

    Returns:
        The feature type, and the source in the CRS that will be asked for.

    Raises:
        SourceChanged: There is no such feature type, or the server speaks another version.
        ContractError: The server does not offer the declared CRS.
        ConfigError: The server would ignore the declared filter.
    """
    address, version = _split_address(source.fetch.url or "")
    shown = connection.hide(show_address(address))
    wanted = {"acceptversions": version or "2.0.0,1.1.0"} | (
        {"version": version} if version else {}
    )
    body = ask(connection, address, {"service": "WFS", "request": "GetCapabilities", **wanted}).body
    try:
        capabilities = read_capabilities(body)
    except ValueError as error:
        wrong = f"{shown} answers GetCapabilities with what is cut off or no WFS ({error})"
        raise refuse_answer(connection, connection.hide(wrong)) from None
    spoken = next((one for one in ("2.0.0", "1.1.0") if capabilities.version[:3] == one[:3]), None)
    if spoken is None:
        wrong = (
            f"{shown} speaks WFS {capabilities.version[:20] or 'of no version'}, not 1.1.0 or 2.0.0"
        )
        raise refuse_answer(connection, connection.hide(wrong))
    kind = _choose_type(connection, source, capabilities, shown)
    name = "typenames" if spoken == "2.0.0" else "typename"
    described = ask(
        connection,
        address,
        {
            "service": "WFS",
            "version": spoken,
            "request": "DescribeFeatureType",
            name: kind.name,
        },
    )
    layer = Layer(
        address=address,
        version=spoken,
        kind=kind,
        capabilities=capabilities,
        schema=read_schema(described.body, kind.name),
        crs="",
        filters={},
    )
    try:
        crs = find_offered(kind.crs, source.fetch.crs, shown, connection)
    except ContractError:
        own = read_crs(kind.crs[0]) if kind.crs and takes_any_crs else None
        if own is None:
            raise
        crs, source = kind.crs[0], source.set_crs(own.to_string())
    layer = layer._replace(crs=crs)
    return layer._replace(filters=_list_filters(connection, source, layer)), source


def _split_address(url: str) -> tuple[str, str]:
    """Return an address without the parameters that are set here, and the version that it names.

    >>> _split_address("https://h/wfs?map=a.map&SERVICE=WFS&version=1.1.0")
    ('https://h/wfs?map=a.map', '1.1.0')
    """
    start, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    names = {pair: pair.partition("=")[0].lower() for pair in pairs}
    version = next((pair.partition("=")[2] for pair in pairs if names[pair] == "version"), "")
    rest = "&".join(pair for pair in pairs if names[pair] not in _OWN)
    return (f"{start}?{rest}" if rest else start), version


def _choose_type(
    connection: Connection, source: Source, capabilities: Capabilities, shown: str
) -> FeatureType:
    """Return the feature type that a source names, or the only one."""
    types, member = capabilities.types, source.fetch.member
    named = [
        one for one in types if member is None or member in {one.name, one.name.rpartition(":")[2]}
    ]
    exact = [one for one in named if one.name == member] or named
    if len(exact) == 1:
        return exact[0]
    wrong = f"{shown} has {count_noun(len(types), 'feature type')}"
    if member is not None:
        wrong = f"{shown} has no single feature type {member!r}"
    listed = connection.hide(join_names([one.name for one in types])) or "none"
    raise SourceChanged(
        connection.doing,
        f"{wrong}: {listed}",
        f"name one of them in fetch.member of sources/{source.id}.toml",
        fault="gone" if member is not None else None,
    )


def _list_filters(connection: Connection, source: Source, layer: Layer) -> dict[str, str]:
    """Return the parameters that choose rows: the declared filter, or else the bounds.

    The standard takes only one of the two. With a filter, the bounds are applied here.
    """
    fetch = source.fetch
    if fetch.filter.lstrip().startswith("<"):
        return {"filter": fetch.filter.strip()}
    if fetch.filter:
        _require_cql(connection, layer)
        return {"cql_filter": fetch.filter}
    if fetch.bounds is None:
        return {}
    left, bottom, right, top = bounds_in_crs(fetch.bounds, fetch.crs)
    corners = (left, bottom, right, top)
    if is_north_first(pyproj.CRS.from_user_input(fetch.crs)) and layer.crs.startswith("urn:"):
        corners = (bottom, left, top, right)
    return {"bbox": ",".join([*(f"{one:.9g}" for one in corners), layer.crs])}


def _require_cql(connection: Connection, layer: Layer) -> None:
    """Raise ConfigError if a server ignores CQL, which is no part of the standard."""
    nothing = layer._replace(filters={"cql_filter": "EXCLUDE"})
    hits = ask_hits(connection, nothing)
    if hits != 0:
        shown = connection.hide(show_address(layer.address))
        raise ConfigError(
            f"reading sources/{connection.source_id}.toml",
            f"{shown} does not take a filter in CQL: it finds rows where none are asked for",
            'write fetch.filter as an OGC filter in XML, "<Filter ...>", or choose the rows with '
            "[where] or [drop]",
        )


def ask_hits(connection: Connection, layer: Layer) -> int | None:
    """Return how many features the server says there are; None if it does not say."""
    parameters = layer.list_parameters() | {"resulttype": "hits"}
    return ask_page(connection, layer.address, parameters).outline.matched
