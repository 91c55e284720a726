"""Pull a collection of an OGC API (Features), page by page along its own links.

The pages are asked for and parsed here rather than by GDAL's driver OAPIF: docs/source_servers.md
says why.
"""

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import httpx
import pyproj
import shapely

from data.ask import Reply, Version, ask, ask_json, read_version
from data.connection import Connection, refuse_answer
from data.crs import is_same_crs
from data.protocols.axes import CRS84, check_axes, find_offered, is_north_first, read_crs
from data.protocols.bounds import Bounds
from data.protocols.features import FEATURE_ID, read_features
from data.protocols.kept import digest_request, find_version, name_version, read_kept, write_kept
from data.protocols.paging import Asked, Page, dropping_parts, note_pages, pull_pages
from data.protocols.parts import GEOMETRY
from data.protocols.pulled import Preview, Protocol, Pulled
from data.protocols.sorted_parts import sort_parts
from data.source import Source
from data.variables import fill_variables
from geo.addresses import show_address
from geo.errors import ConfigError, ContractError, SourceChanged

# How many rows are asked for at once, until the server takes it.
_SIZES = (1_000, 100)
# Where the features come from: media types, the preferred one first.
_ACCEPT = "application/geo+json, application/json;q=0.9, */*;q=0.1"
_FILTER_CLASS = re.compile(r"/ogcapi-features-3/.*/conf/.*filter")


class Collection(NamedTuple):
    """A collection, and how its rows are asked for.

    Attributes:
        address: Its address as declared, without a query.
        query: The query of the declared address, without the question mark.
        title: Its title.
        updated: When it was changed, as the server writes it; "" if it does not say.
        extent: West, south, east and north in degrees; None if the server does not say.
        crs: The CRS to ask for, as the server names it; "" for longitude and latitude.
    """

    address: str
    query: str
    title: str
    updated: str
    extent: Bounds | None
    crs: str

    @property
    def items(self) -> str:
        """Return the address of its features, with the declared query."""
        return self._with_query(f"{self.address}/items")

    @property
    def itself(self) -> str:
        """Return its address with the declared query."""
        return self._with_query(self.address)

    def _with_query(self, address: str) -> str:
        return f"{address}?{self.query}" if self.query else address


def pull(connection: Connection, source: Source, folder: Path, night: dt.date) -> Pulled:
    """Pull all features of a collection.

    Args:
        connection: The connection.
        source: The source.
        folder: The folder kept for the source.
        night: The night.

    Returns:
        The file with all rows.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not whole, or not what the source declares.
        ContractError: It does not offer the declared CRS.
        ConfigError: The declaration does not fit the server.
    """
    connection = _accept_json(connection)
    collection = _read_collection(connection, source)
    asked = digest_request(source)
    parameters = _list_parameters(connection, source, collection)
    kept = read_kept(folder, asked, night)
    updated = collection.updated
    if kept is not None and updated and kept.version.get("updated") == updated:
        return Pulled(kept.file, collection.itself, kept.notes)
    first = _ask_first(connection, source, collection, parameters, find_version(kept))
    if kept is not None and first.is_unchanged:
        return Pulled(kept.file, collection.itself, kept.notes)
    reader = _Reader(connection, collection, parameters, first)
    pages = pull_pages(
        Asked(_FIRST, reader.read_page, f"{asked} {collection.updated}", reader.shown),
        folder,
        night,
        connection,
    )
    with dropping_parts(folder):
        check_axes(pages.box, collection.extent, source.fetch.crs, reader.shown, connection)
    file = folder / "rows.parquet"
    sort_parts(pages.parts, file, source.fetch.crs, FEATURE_ID)
    notes = note_pages(pages)
    version = {"updated": collection.updated} if collection.updated else {}
    if len(pages.parts) == 1 and not pages.is_resumed:
        # The version of the first page says nothing of the pages behind it.
        version |= name_version(read_version(first.headers))
    write_kept(folder, asked, night, file, version, notes)
    return Pulled(file, collection.itself, notes)


def preview(connection: Connection, source: Source, rows: int) -> Preview:
    """Ask for the first features of a collection.

    Args:
        connection: The connection.
        source: The source.
        rows: How many rows to ask for.

    Returns:
        What the server says, and the rows.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not what the source declares.
        ContractError: It does not offer the declared CRS.
        ConfigError: The declaration does not fit the server.
    """
    connection = _accept_json(connection)
    try:
        collection = _read_collection(connection, source)
    except ContractError:
        # Where the declared CRS is not offered, a preview takes the one that each server has.
        source = source.set_crs("OGC:CRS84")
        collection = _read_collection(connection, source)
    parameters = _list_parameters(connection, source, collection) | {"limit": str(rows)}
    first = ask(connection, collection.items, parameters)
    page = _Reader(connection, collection, parameters, first).read_page(_FIRST)
    table = page.rows.drop_columns([FEATURE_ID]).slice(0, rows)
    types = {
        name: str(kind)
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
        if name != GEOMETRY
    }
    shapes = shapely.from_wkb(table[GEOMETRY].to_numpy(zero_copy_only=False))
    frame = gpd.GeoDataFrame(
        table.drop_columns([GEOMETRY]).to_pandas(), geometry=shapes, crs=source.fetch.crs
    )
    says = [f"title: {collection.title}"] if collection.title else []
    says += [f"updated: {collection.updated}"] if collection.updated else []
    return Preview(frame, page.matched, types, tuple(says))


PROTOCOL = Protocol(pull, preview)


# ---------------------------------------------------------------------------------------------
# The collection


def _accept_json(connection: Connection) -> Connection:
    """Return the connection with a header that asks for GeoJSON, unless one is declared."""
    declared = {name.lower() for name in connection.headers}
    accept = {} if "accept" in declared else {"accept": _ACCEPT}
    return dataclasses.replace(connection, headers={**accept, **connection.headers})


def _read_collection(connection: Connection, source: Source) -> Collection:
    """Read what a server says of a collection."""
    address, _, query = (source.fetch.url or "").partition("?")
    address = re.sub(r"/(items/?)?$", "", address)
    itself = f"{address}?{query}" if query else address
    shown = connection.hide(show_address(address))
    if "/collections/" not in address:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"fetch.url = {shown} is not the address of a collection",
            "give it as https://.../collections/NAME",
        )
    document = ask_json(connection, itself)
    kind = document.get("itemType", "feature")
    if kind != "feature":
        wrong = f"{shown} holds items of the kind {str(kind)[:40]!r}, not features"
        raise refuse_answer(connection, connection.hide(wrong))
    crs = _choose_crs(connection, source, document, address, query)
    return Collection(
        address=address,
        query=query,
        title=str(document.get("title") or document.get("id") or ""),
        updated=str(document.get("updated") or ""),
        extent=_read_extent(document),
        crs=crs,
    )


def _choose_crs(
    connection: Connection,
    source: Source,
    document: Mapping[str, Any],
    address: str,
    query: str,
) -> str:
    """Return the CRS to ask for; "" if the declared one is that of every answer."""
    declared = pyproj.CRS.from_user_input(source.fetch.crs)
    if is_same_crs(declared, pyproj.CRS(CRS84)):
        return ""
    offered = _list_texts(document.get("crs"))
    if any(name.startswith("#") for name in offered):
        # "#/crs" stands for the list of all collections.
        above = address.rpartition("/")[0]
        shared = ask_json(connection, f"{above}?{query}" if query else above)
        offered += _list_texts(shared.get("crs"))
    shown = connection.hide(show_address(address))
    return find_offered([*offered, CRS84], source.fetch.crs, shown, connection)


def _list_texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _read_extent(document: Mapping[str, Any]) -> Bounds | None:
    try:
        (numbers, *_) = document["extent"]["spatial"]["bbox"]
        corners = [float(number) for number in numbers]
    except (KeyError, TypeError, ValueError):
        return None
    if len(corners) == 6:
        corners = [*corners[:2], *corners[3:5]]
    return (corners[0], corners[1], corners[2], corners[3]) if len(corners) == 4 else None


def _list_parameters(
    connection: Connection, source: Source, collection: Collection
) -> dict[str, str]:
    """Return the parameters of the first page, apart from its size."""
    fetch = source.fetch
    parameters = {}
    if collection.crs:
        parameters["crs"] = collection.crs
    if fetch.bounds is not None:
        parameters["bbox"] = ",".join(f"{degree:.9g}" for degree in fetch.bounds)
    if fetch.filter:
        _require_filter(connection, collection)
        parameters |= {"filter": fetch.filter, "filter-lang": "cql2-text"}
    return parameters


def _require_filter(connection: Connection, collection: Collection) -> None:
    """Raise ConfigError if the server does not say that it takes a filter: it may ignore one."""
    root = collection.address.partition("/collections/")[0]
    address = f"{root}/conformance"
    query = f"?{collection.query}" if collection.query else ""
    classes = _list_texts(ask_json(connection, f"{address}{query}").get("conformsTo"))
    if not any(_FILTER_CLASS.search(name) for name in classes):
        raise ConfigError(
            f"reading sources/{connection.source_id}.toml",
            f"{connection.hide(show_address(address))} does not say that the server takes a filter",
            "delete fetch.filter, and choose the rows with [where] or [drop]",
        )


# ---------------------------------------------------------------------------------------------
# Pages

# The first page is asked for with parameters, each later one by the server's own address.
_FIRST = "first"


def _ask_first(
    connection: Connection,
    source: Source,
    collection: Collection,
    parameters: dict[str, str],
    known: Version,
) -> Reply:
    """Ask for the first page; where the server refuses its size, in a smaller size or its own."""
    sizes = [source.fetch.page_rows] if source.fetch.page_rows else [*_SIZES, None]
    for size in sizes:
        parameters.pop("limit", None)
        if size is not None:
            parameters["limit"] = str(size)
        try:
            return ask(connection, collection.items, parameters, known=known)
        except SourceChanged as error:
            if size is sizes[-1] or error.fault != "changed":
                raise
    raise AssertionError("the last size returns or raises")  # pragma: no cover


class _Reader(NamedTuple):
    """What reads the pages of one collection."""

    connection: Connection
    collection: Collection
    parameters: Mapping[str, str]
    first: Reply

    @property
    def shown(self) -> str:
        return self.connection.hide(show_address(self.collection.items))

    def read_page(self, cursor: str) -> Page:
        """Return the page at an address that the server gave, or the first one."""
        if cursor == _FIRST:
            reply = self.first
        else:
            missing = {
                name: value
                for name, value in self._read_query().items()
                if name not in httpx.URL(cursor).params
            }
            reply = ask(self.connection, cursor, missing, linked_from=self.collection.items)
        document = self._parse(reply)
        features = document["features"]
        is_swapped = self._check_crs(reply.headers)
        matched = document.get("numberMatched")
        return Page(
            read_features(features, is_swapped=is_swapped),
            len(reply.body),
            self._find_next(document, reply),
            matched if isinstance(matched, int) else None,
        )

    def _parse(self, reply: Reply) -> Mapping[str, Any]:
        try:
            document: Any = json.loads(reply.body)
        except (ValueError, RecursionError):
            wrong = f"{self.shown} answers with what is cut off or is not JSON"
            raise refuse_answer(self.connection, wrong) from None
        features = document.get("features") if isinstance(document, dict) else None
        if not isinstance(features, list) or not all(isinstance(one, dict) for one in features):
            wrong = f"{self.shown} answers with JSON that is not a list of GeoJSON features"
            raise refuse_answer(self.connection, wrong)
        return dict(document)

    def _check_crs(self, headers: httpx.Headers) -> bool:
        """Return whether the answer's coordinates are north before east."""
        due_name = self.collection.crs or CRS84
        named = headers.get("content-crs", "")
        if not named and self.collection.crs and "content-crs" in self.first.headers:
            named = "none that it names"
        own, due = read_crs(named or due_name), read_crs(due_name)
        if own is None or due is None or not is_same_crs(own, due):
            wrong = f"{self.shown} answers in the CRS {named[:80]}, not in {due_name} as asked"
            remedy = f"set fetch.crs in sources/{self.connection.source_id}.toml to another CRS"
            raise SourceChanged(self.connection.doing, self.connection.hide(wrong), remedy)
        return is_north_first(own)

    def _find_next(self, document: Mapping[str, Any], reply: Reply) -> str:
        """Return the address of the next page without the declared query; "" if there is none."""
        links = document.get("links")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("rel") == "next" and link.get("href"):
                # Only what is declared is filled with secrets, never what a server sent.
                base = reply.url
                if reply is self.first:
                    base = fill_variables(base, "fetch.url", self.connection.source_id)
                return self._drop_query(str(link["href"]), base)
        return ""

    def _drop_query(self, link: str, base: str) -> str:
        """Return a whole address without the parameters that are declared: they may be secret."""
        declared = self._read_query()
        try:
            url = httpx.URL(base).copy_with(userinfo=b"").join(link)
        except httpx.InvalidURL:
            wrong = f"{self.shown} names a next page that is not at an address"
            raise refuse_answer(self.connection, wrong) from None
        if declared:
            own = url.params.multi_items()
            url = url.copy_with(params=[one for one in own if declared.get(one[0]) != one[1]])
        return str(url)

    def _read_query(self) -> dict[str, str]:
        """Return the declared query with its variables filled."""
        query = fill_variables(self.collection.query, "fetch.url", self.connection.source_id)
        return dict(httpx.QueryParams(query).multi_items())
