"""Pull a file that a CKAN portal lists: the portal says where it is, and when it was changed.

The addresses of such files change, so that the file is named by its title. Rows that are only in
the portal's own database come from its dump, because a search gives at most 32,000 of them.
"""

import datetime as dt
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from data.ask import Version, ask_json, download, read_version
from data.connection import Connection, refuse_answer
from data.http import Answer, name_answer
from data.message_text import count_noun
from data.protocols.formats import known_suffix
from data.protocols.kept import (
    Kept,
    digest_request,
    find_version,
    name_version,
    read_kept,
    write_kept,
)
from data.protocols.kept_file import count_csv_rows, mask_keys, read_first_rows
from data.protocols.pulled import Preview, Protocol, Pulled
from data.protocols.refusal import join_names
from data.source import Source
from geo.addresses import show_address
from geo.errors import ConfigError, SourceChanged, SourceDown

_PAGE = re.compile(
    r"^(?P<root>https?://[^?#]*?)/dataset/(?P<id>[^/?#]+)(/resource/(?P<resource>[^/?#]+))?"
)
_API = re.compile(
    r"^(?P<root>https?://[^?#]*?)/api/(3/)?action/package_show\?(.*&)?id=(?P<id>[^&#]+)"
)
# The suffix of the file by the portal's name of its kind.
_SUFFIXES = {
    "csv": ".csv", "tsv": ".tsv", "xlsx": ".xlsx", "geojson": ".geojson", "json": ".json",
    "shp": ".zip", "zip": ".zip", "gpkg": ".gpkg", "geopackage": ".gpkg", "kml": ".kml",
    "parquet": ".parquet", "geoparquet": ".parquet",
}  # fmt: skip


class Resource(NamedTuple):
    """A file that a portal lists.

    Attributes:
        root: The address of the portal.
        id: Its id.
        title: Its title, with that of its dataset.
        url: Its address, as the portal gives it now.
        kind: The portal's name of its kind, in lower case.
        is_dump: Whether its rows come from the portal's own database.
        version: What tells one version from the next.
    """

    root: str
    id: str
    title: str
    url: str
    kind: str
    is_dump: bool
    version: dict[str, str]


def pull(connection: Connection, source: Source, folder: Path, night: dt.date) -> Pulled:
    """Download the file of a resource, unless it has not changed.

    Args:
        connection: The connection.
        source: The source.
        folder: The folder kept for the source.
        night: The night.

    Returns:
        The file.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not whole, or not what the source declares.
        ConfigError: The declared address is not that of a dataset, or a filter is declared.
    """
    resource = _find_resource(connection, source)
    asked = digest_request(source)
    kept = read_kept(folder, asked, night)
    if kept is not None and _is_same(kept, resource):
        return Pulled(kept.file, resource.url, kept.notes)
    found = _download(connection, source, resource, folder, find_version(kept))
    if found is None and kept is not None:
        return Pulled(kept.file, resource.url, kept.notes)
    if found is None:
        raise AssertionError("nothing is known, so all is sent")  # pragma: no cover
    file, version = found
    write_kept(folder, asked, night, file, {**resource.version, **name_version(version)})
    return Pulled(file, resource.url)


def preview(connection: Connection, source: Source, rows: int) -> Preview:
    """Download the file of a resource, and return its first rows.

    Args:
        connection: The connection.
        source: The source.
        rows: How many rows to return.

    Returns:
        What the portal says, and the rows.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not what the source declares.
        ConfigError: The declared address is not that of a dataset, or a filter is declared.
    """
    resource = _find_resource(connection, source)
    with TemporaryDirectory(prefix="padfinder-") as folder:
        found = _download(connection, source, resource, Path(folder), Version())
        if found is None:
            raise AssertionError("nothing is known, so all is sent")  # pragma: no cover
        every = read_first_rows(found[0], source, None)
    types = {name: str(kind) for name, kind in every.dtypes.items() if name != "geometry"}
    says = [f"title: {resource.title}"]
    says += [f"{name}: {text}" for name, text in resource.version.items() if name == "modified"]
    return Preview(every.iloc[:rows], len(every), types, tuple(says))


PROTOCOL = Protocol(pull, preview)


# ---------------------------------------------------------------------------------------------
# The dataset and its resources


def _find_resource(connection: Connection, source: Source) -> Resource:
    """Find the resource that a source names, or the only one of its dataset."""
    declared = source.fetch.url or ""
    place = _API.match(declared) or _PAGE.match(declared)
    if place is None:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"fetch.url = {connection.hide(show_address(declared))} is not a dataset's address",
            "give it as https://HOST/dataset/NAME",
        )
    if source.fetch.filter:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            "fetch.filter is for servers that choose rows, and a CKAN portal sends whole files",
            "delete it, and choose the rows with [where] or [drop]",
        )
    root, name = place["root"], place["id"]
    dataset = _ask_dataset(connection, root, name)
    resources = [one for one in dataset.get("resources") or [] if isinstance(one, dict)]
    wanted = source.fetch.member
    if wanted is not None:
        wanted = wanted.partition("::")[0]
    elif "resource" in place.re.groupindex:
        wanted = place["resource"]
    found = [one for one in resources if wanted in {None, one.get("id"), one.get("name")}]
    if len(found) != 1:
        names = [f"{one.get('name') or one.get('id')} ({one.get('format')})" for one in resources]
        said = "no resource" if not found else f"{len(found)} resources"
        called = "" if wanted is None else f" called {wanted!r}"
        raise SourceChanged(
            connection.doing,
            connection.hide(
                f"{show_address(root)} has {said}{called} in dataset {name!r}, which has "
                f"{join_names(names) or 'none'}"
            ),
            f"name one of them in fetch.member of sources/{source.id}.toml, by its name or its id",
            fault="gone" if wanted is not None and not found else None,
        )
    return _describe(connection, root, dataset, found[0])


def _ask_dataset(connection: Connection, root: str, name: str) -> Mapping[str, Any]:
    address = f"{root}/api/3/action/package_show?id={name}"
    try:
        document = ask_json(connection, address)
    except SourceChanged as error:
        if error.fault != "gone":
            raise
        listed = _list_near(connection, root, name)
        raise SourceChanged(
            error.doing,
            f"{error.wrong}: there is no dataset {name!r}{listed}",
            error.remedy,
            fault="gone",
        ) from None
    result = document.get("result")
    if document.get("success") is not True or not isinstance(result, dict):
        shown = connection.hide(show_address(address))
        raise refuse_answer(connection, f"{shown} does not answer with a dataset")
    return result


def _list_near(connection: Connection, root: str, name: str) -> str:
    """Return the names of datasets that there are, the most similar ones first; "" if unknown."""
    try:
        result = ask_json(connection, f"{root}/api/3/action/package_list").get("result")
    except (SourceChanged, SourceDown):
        return ""
    names = [str(one) for one in result] if isinstance(result, list) else []
    near = get_close_matches(name, names, n=5, cutoff=0.4)
    listed = connection.hide(join_names([*near, *(one for one in names if one not in near)]))
    return f"; the portal has {listed}" if listed else ""


def _describe(
    connection: Connection, root: str, dataset: Mapping[str, Any], found: Mapping[str, Any]
) -> Resource:
    key, url = str(found.get("id") or ""), str(found.get("url") or "")
    is_dump = "/datastore/dump/" in url or (not url and bool(found.get("datastore_active")))
    if not url and not is_dump:
        raise refuse_answer(connection, f"{show_address(root)}: resource {key!r} has no file")
    version = {
        "modified": found.get("last_modified"),
        "hash": found.get("hash"),
        "size": found.get("size"),
    }
    titles = [str(one.get("title") or one.get("name") or "") for one in (dataset, found)]
    return Resource(
        root=root,
        id=key,
        title=": ".join(title for title in titles if title),
        url=f"{root}/datastore/dump/{key}" if is_dump else url,
        kind=str(found.get("format") or "").lower().lstrip("."),
        is_dump=is_dump,
        version={name: str(value) for name, value in version.items() if value},
    )


def _is_same(kept: Kept, resource: Resource) -> bool:
    """Return whether the portal says that a resource is as it was. A size alone does not."""
    own = resource.version
    is_dated = "modified" in own or "hash" in own
    return is_dated and all(
        kept.version.get(name) == own.get(name) for name in ("modified", "hash", "size")
    )


# ---------------------------------------------------------------------------------------------
# The file


def _download(
    connection: Connection, source: Source, resource: Resource, folder: Path, known: Version
) -> tuple[Path, Version] | None:
    """Download the file; None if the known version is the current one."""
    answer = folder / "answer.half"
    headers = download(
        connection, resource.url, answer, linked_from=f"{resource.root}/", known=known
    )
    if headers is None:
        return None
    mask_keys(answer, source)
    if resource.is_dump:
        _check_count(connection, source, resource, answer)
    sent = Answer(
        resource.url,
        headers.get("content-type", ""),
        headers.get("content-disposition", ""),
    )
    suffix = known_suffix(name_answer(sent)) or _SUFFIXES.get(resource.kind, "")
    # The name is the same each night, because it counts as part of the file.
    return answer.replace(folder / f"rows{'.csv' if resource.is_dump else suffix}"), read_version(
        headers
    )


def _check_count(connection: Connection, source: Source, resource: Resource, answer: Path) -> None:
    """Raise SourceChanged unless a dump has as many rows as the portal's database."""
    address = f"{resource.root}/api/3/action/datastore_search?resource_id={resource.id}&limit=0"
    result = ask_json(connection, address).get("result")
    due = result.get("total") if isinstance(result, dict) else None
    count = count_csv_rows(answer, source)
    if isinstance(due, int) and due != count:
        answer.unlink()
        raise SourceChanged(
            connection.doing,
            f"{connection.hide(show_address(resource.url))} says that it has "
            f"{count_noun(due, 'row')}, but its dump has {count:,}",
            "try again later; if it stays so, tell the publisher "
            f"(sources/{connection.source_id}.toml)",
        )
