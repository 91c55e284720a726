"""Download the file of a source, unless its server says that it is the file of an earlier night."""

import datetime as dt
from contextlib import ExitStack
from pathlib import Path

from data.ask import Version
from data.connection import open_connection
from data.http import download_first, name_answer
from data.protocols.kept import digest_request, find_version, name_version, read_kept, write_kept
from data.protocols.kept_file import mask_keys
from data.snapshot import FetchedFrom
from data.source import Source
from geo.addresses import show_address


def download_kept(
    source: Source, folder: Path, night: dt.date, cleanup: ExitStack
) -> tuple[Path, FetchedFrom]:
    """Download the file of a source, and keep it if the server names its version.

    Args:
        source: The source, with a `url`.
        folder: The folder kept for the source.
        night: The night.
        cleanup: Deletes a file that is not kept when it closes.

    Returns:
        The file, and where it comes from.

    Raises:
        SourceDown: No address answers, and one may answer later.
        SourceChanged: Every address needs a correction.
        ConfigError: A variable is not set.
    """
    fetch = source.fetch
    asked = digest_request(source)
    kept = read_kept(folder, asked, night)
    urls = [fetch.url or "", *fetch.fallback_urls]
    known: dict[str, Version] = {}
    if kept is not None and kept.version.get("nth") in {str(nth) for nth in range(len(urls))}:
        known = {urls[int(kept.version["nth"])]: find_version(kept)}
    path = folder / "answer.half"
    with open_connection(
        source.id,
        bytes_most=fetch.bytes_most,
        seconds_most=fetch.seconds_most,
        headers=fetch.headers,
        redirect_hosts=fetch.redirect_hosts,
    ) as connection:
        answer = download_first(connection, urls, path, known)
    if answer.is_unchanged and kept is not None:
        return kept.file, FetchedFrom(show_address(answer.url), answer.failed, kept.notes)
    notes = mask_keys(path, source)
    fetched = FetchedFrom(show_address(answer.url), answer.failed, notes)
    file = path.rename(folder / name_answer(answer))
    if any(answer.version):
        nth = str(urls.index(answer.url))
        write_kept(folder, asked, night, file, {**name_version(answer.version), "nth": nth}, notes)
    else:
        cleanup.callback(file.unlink, missing_ok=True)
    return file, fetched
