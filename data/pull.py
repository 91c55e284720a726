"""Take one source from where it stands into the store: pull, conform, contract, put."""

import datetime as dt
import hashlib
import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from data import conform, http, raster_place
from data.protocols import file as file_protocol
from data.protocols import raster as raster_protocol
from data.shapes import Bounds
from data.snapshot import SnapshotContent
from data.source import FetchOptions, Source
from data.store import PutResult, open_store
from geo import catalogue
from geo.contract.layer import check_layer
from geo.errors import ConfigError
from geo.model import Layer, Market

# Raised when conforming changes what it makes of the same files, so that they are conformed again.
CONFORM_VERSION = 2


@dataclass(frozen=True)
class PullResult:
    """What became of one source on one night. `seconds` is wall-clock: for the log alone."""

    source_id: str
    snapshot_id: int
    changed: bool
    rows_in: int
    rows: int
    notes: tuple[str, ...]
    seconds: float


def refresh_source(
    source: Source, market: Market, files: Path, store: Path, night: dt.date
) -> PullResult:
    """Pull one source of a market into its store, unless it is as it stood.

    `files` is the folder that file sources are named in. Raises the PadfinderError of whatever is
    wrong; the store is then as it was. Only SourceDown is worth trying again.
    """
    began = time.perf_counter()
    layer = _source_layer(source)
    with ExitStack() as done:
        raw = _find_raw_files(source, files, store, done)
        raw_digest = _digest_raw(tuple(raw.values()))
        parcels: Bounds | None = None
        # A first night that fails leaves nothing behind, not even an empty store.
        if store.exists():
            with open_store(store) as opened:
                if layer.is_raster:
                    parcels = opened.find_bounds("parcels", market.crs, night, market.sources)
                declared = digest_declaration(source, layer, market, parcels)
                stood = opened.mark_unchanged(source.id, raw_digest, declared, night)
                if stood is not None:
                    before = opened.read_snapshots(night, [source.id]).iloc[0]
                    rows_in, notes = int(before["rows_in"]), tuple(before["notes"])
                    seconds = time.perf_counter() - began
                    return _report_pull(source, stood, rows_in, notes, seconds)
        declared = digest_declaration(source, layer, market, parcels)
        content = _conform_content(source, layer, market, raw, raw_digest, declared, parcels)
        with open_store(store) as opened:
            put = opened.put_snapshot(content, night, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    return _report_pull(source, put, content.rows_in, content.notes, seconds)


def digest_declaration(source: Source, layer: Layer, market: Market, parcels: Bounds | None) -> str:
    """Return the digest of all that says how a source's files are to be read.

    `parcels` are the bounds that a grid is held against: where the parcels come later, or move,
    the same grid is looked at again.
    """
    parts = [source.model_dump_json(), layer.model_dump_json(), market.crs, str(CONFORM_VERSION)]
    if parcels is not None:
        parts.append(" ".join(f"{one:.0f}" for one in parcels))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _source_layer(source: Source) -> Layer:
    known = catalogue.read_layers()
    if source.layer not in known:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"layer = {source.layer!r} is no layer",
            f"use one of {', '.join(known)}",
        )
    layer = known[source.layer]
    if layer.is_raster != (source.fetch.protocol == "raster"):
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"fetch.protocol = {source.fetch.protocol!r} does not fill layer {layer.id!r}",
            f"use protocol {'raster' if layer.is_raster else 'file'!r}, or another layer",
        )
    return layer


def _find_raw_files(source: Source, files: Path, store: Path, done: ExitStack) -> dict[str, Path]:
    """Return the files that the source is made of by what they are to it, its own first.

    What is fetched stands in a folder beside the store until `done` closes.
    """
    raw = {"own": _fetch_file(source.fetch, source.id, files, store, done)}
    if source.join is not None:
        raw["join"] = _find_file(files, source.join.path, source.id, "join.path")
    if source.place is not None:
        raw["place"] = _find_file(files, source.place.path, source.id, "place.path")
    if source.coverage.kind == "file":
        if source.coverage.path is None:
            raise ConfigError(
                f"reading sources/{source.id}.toml",
                'coverage.kind = "file" has no path',
                "give coverage.path, or another kind",
            )
        raw["coverage"] = _find_file(files, source.coverage.path, source.id, "coverage.path")
    return raw


def _fetch_file(
    fetch: FetchOptions, source_id: str, files: Path, store: Path, done: ExitStack
) -> Path:
    if fetch.path is not None:
        return _find_file(files, fetch.path, source_id, "fetch.path")
    address = fetch.url or ""
    store.parent.mkdir(parents=True, exist_ok=True)
    folder = done.enter_context(tempfile.TemporaryDirectory(dir=store.parent, prefix="pull-"))
    to = Path(folder) / (Path(urlsplit(address).path).name or "answer")
    http.download_file([address, *fetch.fallback_urls], to, source_id=source_id)
    return to


def _find_file(files: Path, path: str, source_id: str, key: str) -> Path:
    place = files / path
    if place.is_file():
        return place
    raise ConfigError(
        f"pulling source {source_id!r}",
        f"{key} = {path!r}: there is no file {place}",
        "put the file there, or set PADFINDER_FILES (or files in padfinder.toml) to the folder "
        "that holds it",
    )


def _digest_raw(raw: tuple[Path, ...]) -> str:
    digests = []
    for path in raw:
        with path.open("rb") as file:
            digests.append([path.name, hashlib.file_digest(file, "sha256").hexdigest()])
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _conform_content(
    source: Source,
    layer: Layer,
    market: Market,
    raw: dict[str, Path],
    raw_digest: str,
    declared: str,
    parcels: Bounds | None,
) -> SnapshotContent:
    own, kept = raw["own"], tuple(raw.values())
    if layer.is_raster:
        grid = raster_protocol.read_raster(own, source, layer)
        around = raster_place.check_raster_place(
            grid, source, layer, market, file=own.name, parcels=parcels
        )
        known = source.coverage.kind != "none"
        return SnapshotContent(
            source=source,
            raw_digest=raw_digest,
            declaration_digest=declared,
            rows_in=grid.values.size,
            crs=grid.crs,
            coverage=around if known else None,
            notes=(),
            raw=kept,
            raster=grid,
        )
    area, joined, places = None, None, None
    if "coverage" in raw:
        area = file_protocol.read_area(
            raw["coverage"], source, source.coverage.crs, source.fetch.crs
        )
    table, said = file_protocol.read_file(own, source)
    if (join := source.join) is not None:
        joined = file_protocol.read_table(raw["join"], source.id, join.encoding, join.delimiter)
    if (beside := source.place) is not None:
        places = file_protocol.read_table(
            raw["place"], source.id, beside.encoding, beside.delimiter
        )
    made = conform.conform_table(
        table, source, layer, market, file=own.name, joined=joined, places=places, area=area
    )
    check_layer(made.frame, layer, source.id)
    return SnapshotContent(
        source=source,
        raw_digest=raw_digest,
        declaration_digest=declared,
        rows_in=made.rows_in,
        crs=market.crs,
        coverage=made.coverage,
        notes=said + made.notes,
        raw=kept,
        frame=made.frame,
    )


def _report_pull(
    source: Source, put: PutResult, rows_in: int, notes: tuple[str, ...], seconds: float
) -> PullResult:
    return PullResult(source.id, put.snapshot_id, put.changed, rows_in, put.rows, notes, seconds)
