"""Bring one source into the store: find or download its files, conform them, store a snapshot."""

import datetime as dt
import hashlib
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from data.changes import note_changes
from data.conform import conform_table
from data.fetch_options import is_pattern
from data.kept_download import download_kept
from data.notes import list_warnings
from data.protocols import s3
from data.protocols.file import read_area, read_files, read_table
from data.protocols.raster import list_bands, read_noted_raster
from data.protocols.servers import PROTOCOLS, connect, pulls_folder
from data.protocols.shards import find_shards, list_parts
from data.raster_place import check_raster_place
from data.raw_files import digest_raw_files
from data.real_paths import list_data_files, name_real_files
from data.schema import list_columns
from data.shapes import Bounds
from data.snapshot import FetchedFrom, SnapshotContent
from data.source import Source
from data.store import open_store
from geo import catalogue
from geo.addresses import show_address
from geo.contract.layer import check_layer
from geo.errors import ConfigError, PadfinderError
from geo.model import Layer, Market
from geo.printable import make_printable

# A source's files by their role in its declaration.
RawFiles = dict[str, tuple[Path, ...]]

# Raise this when conforming gives a new result for the same files, so that they are read again.
CONFORM_VERSION = 4


@dataclass(frozen=True)
class PullResult:
    """The result of pulling one source on one night.

    Attributes:
        source_id: The source.
        snapshot_id: Its last snapshot.
        changed: Whether that snapshot is new.
        rows_in: How many rows, or cells of a raster, the raw file has.
        rows: How many are stored.
        notes: What was done to the rows.
        warnings: Those of the notes that are warnings.
        seconds: How long it took; used only in the log.
    """

    source_id: str
    snapshot_id: int
    changed: bool
    rows_in: int
    rows: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float


def refresh_source(
    source: Source, market: Market, files: Path, store: Path, night: dt.date
) -> PullResult:
    """Bring one source of a market into its store, unless nothing about it has changed.

    Args:
        source: The source.
        market: The market.
        files: The folder that the paths in the source are relative to.
        store: File of the market's store.
        night: The night on which the source is read.

    Returns:
        The source's snapshot as of that night.

    Raises:
        SourceDown: The source does not answer. This is the only error that a retry may fix.
        PadfinderError: Any other error. After either error the store is unchanged. Both name the
            real paths of the source's files.
    """
    url = source.fetch.url
    real = list_data_files(source, files, show_address(url) if url else "")
    try:
        return _refresh(source, market, files, store, night)
    except PadfinderError as error:
        name_real_files(error, source, real)
        raise


def _refresh(
    source: Source, market: Market, files: Path, store: Path, night: dt.date
) -> PullResult:
    began = time.perf_counter()
    layer = find_layer(source)
    with ExitStack() as cleanup:
        raw, fetched = _find_raw_files(source, files, store, night, cleanup)
        parts = _list_raw_parts(raw, source.id)
        raw_digest = digest_raw_files(parts)
        parcels: Bounds | None = None
        # Do not create the store yet: a first night that fails must not leave an empty store.
        if store.exists():
            with open_store(store) as opened:
                if layer.is_raster:
                    parcels = opened.find_bounds("parcels", market.crs, night, market.sources)
                declaration_digest = digest_declaration(source, layer, market, parcels)
                unchanged = opened.mark_unchanged(
                    source.id, raw_digest, declaration_digest, night, fetched
                )
                if unchanged is not None:
                    opened.mend_raw_files(source.id, layer, raw_digest, parts)
                    snapshot = opened.read_snapshots(night, [source.id]).iloc[0]
                    return PullResult(
                        source.id,
                        unchanged.snapshot_id,
                        changed=False,
                        rows_in=int(snapshot["rows_in"]),
                        rows=unchanged.rows,
                        notes=tuple(snapshot["notes"]),
                        warnings=tuple(snapshot["warnings"]),
                        seconds=time.perf_counter() - began,
                    )
        declaration_digest = digest_declaration(source, layer, market, parcels)
        digests = (raw_digest, declaration_digest)
        content = _conform_content(source, layer, market, raw, digests, parcels)
        content = replace(content, fetched=fetched, notes=fetched.notes + content.notes)
        with open_store(store) as opened:
            notes = content.notes + note_changes(opened, content, night)
            content = replace(content, notes=tuple(map(_make_note_printable, notes)))
            put = opened.put_snapshot(content, night, time.perf_counter() - began)
    return PullResult(
        source.id,
        put.snapshot_id,
        changed=True,
        rows_in=content.rows_in,
        rows=put.rows,
        notes=content.notes,
        warnings=list_warnings(content.notes),
        seconds=time.perf_counter() - began,
    )


def _make_note_printable(note: str) -> str:
    """Return a note of the same kind that a terminal can show, whatever a file's columns are."""
    return type(note)(make_printable(note))


def digest_declaration(source: Source, layer: Layer, market: Market, parcels: Bounds | None) -> str:
    """Return the digest of everything that determines how a source's files are read.

    Args:
        source: The source.
        layer: The layer that it fills.
        market: The market, for its CRS.
        parcels: Bounds of the parcels, against which a raster is checked. If parcels are added
            later, or move, the same raster is checked again.

    Returns:
        The digest, 64 hexadecimal digits.
    """
    # A new password or token does not change what is read.
    declared = source.hide_secrets().model_dump_json()
    parts = [declared, layer.model_dump_json(), market.crs, str(CONFORM_VERSION)]
    if parcels is not None:
        parts.append(" ".join(f"{coordinate:.0f}" for coordinate in parcels))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def find_layer(source: Source) -> Layer:
    """Return the layer that a source fills. Raises ConfigError."""
    layers = catalogue.read_layers()
    if source.layer not in layers:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"there is no layer {source.layer!r}",
            f"set layer to one of {', '.join(layers)}",
        )
    layer = layers[source.layer]
    if layer.is_raster != (source.fetch.protocol == "raster"):
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"fetch.protocol = {source.fetch.protocol!r} does not fill layer {layer.id!r}",
            f"use protocol {'raster' if layer.is_raster else 'file'!r}, or another layer",
        )
    return layer


def _find_raw_files(
    source: Source, files: Path, store: Path, night: dt.date, cleanup: ExitStack
) -> tuple[RawFiles, FetchedFrom]:
    """Return the source's files by their role in the declaration, its own data files first.

    A downloaded file is in a folder beside the store until `cleanup` closes.
    """
    own_files, fetched = _fetch_files(source, files, store, night, cleanup)
    raw = {"own": own_files}
    if source.join is not None:
        raw["join"] = (find_file(files, source.join.path, source.id, "join.path"),)
    if source.place is not None:
        raw["place"] = (find_file(files, source.place.path, source.id, "place.path"),)
    if source.coverage.kind == "file":
        if source.coverage.path is None:
            raise ConfigError(
                f"reading sources/{source.id}.toml",
                'coverage.kind = "file" has no path',
                "give coverage.path, or another kind",
            )
        raw["coverage"] = (find_file(files, source.coverage.path, source.id, "coverage.path"),)
    return raw, fetched


def _fetch_files(
    source: Source, files: Path, store: Path, night: dt.date, cleanup: ExitStack
) -> tuple[tuple[Path, ...], FetchedFrom]:
    """Return the source's own files and their origin, and download them if they have an address."""
    fetch = source.fetch
    if fetch.path is not None:
        fetched = FetchedFrom(fetch.path)
        if is_pattern(fetch.path) and not (files / fetch.path).exists():
            return find_shards(files, fetch.path, source.id), fetched
        return (find_file(files, fetch.path, source.id, "fetch.path"),), fetched
    folder = pulls_folder(store, source.id)
    folder.mkdir(parents=True, exist_ok=True)
    if not fetch.is_server and not (fetch.url or "").startswith(s3.SCHEME):
        file, fetched = download_kept(source, folder, night, cleanup)
        return (file,), fetched
    return _pull_rows(source, folder, night)


def _pull_rows(
    source: Source, folder: Path, night: dt.date
) -> tuple[tuple[Path, ...], FetchedFrom]:
    """Pull a source's rows from its server or bucket, and return the file that holds them."""
    fetch = source.fetch
    pull = PROTOCOLS[fetch.protocol].pull if fetch.is_server else s3.pull_objects
    with connect(source) as connection:
        try:
            pulled = pull(connection, source, folder, night)
        except PadfinderError as error:
            texts = (error.doing, error.wrong, error.remedy)
            error.doing, error.wrong, error.remedy = error.args = tuple(map(connection.hide, texts))
            raise
        notes = tuple(type(note)(connection.hide(note)) for note in pulled.notes)
    return (pulled.file,), FetchedFrom(show_address(pulled.address), notes=notes)


def find_file(files: Path, name: str, source_id: str, key: str) -> Path:
    """Return the file that a declaration names.

    Args:
        files: The folder of files.
        name: The path as declared.
        source_id: The source.
        key: The key of the declaration, for the message.

    Returns:
        The file, or the folder of a file geodatabase.

    Raises:
        ConfigError: There is no such file.
    """
    path = files / name
    # A file geodatabase is a folder.
    if path.is_file() or (path.is_dir() and path.suffix.lower() == ".gdb"):
        return path
    raise ConfigError(
        f"pulling source {source_id!r}",
        f"{key} = {name!r}: there is no file {path}",
        "put the file there, or set PADFINDER_FILES (or files in padfinder.toml) to the folder "
        "that holds it",
        fault="gone",
    )


def _list_raw_parts(raw: RawFiles, source_id: str) -> tuple[Path, ...]:
    paths = [path for paths in raw.values() for path in paths]
    return tuple(part for path in paths for part in list_parts(path, source_id))


def _conform_content(
    source: Source,
    layer: Layer,
    market: Market,
    raw: RawFiles,
    digests: tuple[str, str],
    parcels: Bounds | None,
) -> SnapshotContent:
    """Read the raw files into a snapshot. `digests` are those of the files and the declaration."""
    own_files = raw["own"]
    own_file = own_files[0]
    shown = source.fetch.path if len(own_files) > 1 and source.fetch.path else own_file.name
    raw_digest, declaration_digest = digests
    if layer.is_raster:
        near = None if parcels is None else (parcels, market.crs)
        raster, notes = read_noted_raster(own_file, source, layer, near)
        outline = check_raster_place(
            raster, source, layer, market, file=own_file.name, parcels=parcels
        )
        return SnapshotContent(
            source=source,
            raw_digest=raw_digest,
            declaration_digest=declaration_digest,
            rows_in=raster.values.size,
            crs=raster.crs,
            coverage=outline if source.coverage.kind != "none" else None,
            notes=notes,
            raw_columns=list_bands(own_files[0], source),
            raw=_list_raw_parts(raw, source.id),
            raster=raster,
        )
    area, joined, places = None, None, None
    if "coverage" in raw:
        area = read_area(raw["coverage"][0], source, source.coverage.crs, source.fetch.crs)
    table, notes = read_files(own_files, source)
    raw_columns = list_columns(table)
    if (join := source.join) is not None:
        joined = read_table(raw["join"][0], source.id, join.encoding, join.delimiter)
        raw_columns |= list_columns(joined, f"{join.path}: ")
    if (place := source.place) is not None:
        places = read_table(raw["place"][0], source.id, place.encoding, place.delimiter)
        raw_columns |= list_columns(places, f"{place.path}: ")
    conformed = conform_table(
        table,
        source,
        layer,
        market,
        file=shown,
        joined=joined,
        places=places,
        area=area,
    )
    check_layer(conformed.frame, layer, source.id)
    return SnapshotContent(
        source=source,
        raw_digest=raw_digest,
        declaration_digest=declaration_digest,
        rows_in=conformed.rows_in,
        crs=market.crs,
        coverage=conformed.coverage,
        notes=notes + conformed.notes,
        raw_columns=raw_columns,
        raw=_list_raw_parts(raw, source.id),
        frame=conformed.frame,
    )
