"""The store: one DuckDB file per market, a snapshot per source and night, raw answers beside it."""

import datetime as dt
import gzip
import hashlib
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from types import TracebackType

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from data import migrations
from data.protocols import raster as raster_protocol
from data.source import Source
from data.values import DTYPES
from geo import catalogue
from geo.errors import SourceChanged, StoreError
from geo.model import Layer, Raster

# One thread of this process at a time: a store is attached under one name, for one purpose.
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class SnapshotContent:
    """What is put for one source: a conformed frame, or a grid whose raw file is kept."""

    source: Source
    raw_digest: str
    declaration_digest: str
    rows_in: int
    crs: str
    coverage: shapely.Geometry | None
    notes: tuple[str, ...]
    raw: tuple[Path, ...]
    frame: gpd.GeoDataFrame | None = None
    raster: Raster | None = None


@dataclass(frozen=True)
class PutResult:
    """What became of a put: the snapshot that now stands, and whether it is new."""

    snapshot_id: int
    changed: bool
    rows: int


class Store:
    """An open store. Made by `open_store`, which closes it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.con = con
        self.path = path

    def read_snapshots(
        self, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the snapshot of each source that stood on `night` (now, if None).

        Ordered as `sources` are, which also says which count; by source id if None. `coverage` is
        WKB in the snapshot's CRS, or null; `notes` a list.
        """
        found = self.con.execute(
            """
            select * from snapshot where taken_on <= coalesce(?, date '9999-12-31')
            qualify row_number() over (
                partition by source_id order by taken_on desc, snapshot_id desc) = 1
            order by source_id
            """,
            [night],
        ).df()
        if sources is not None:
            place = {source_id: number for number, source_id in enumerate(sources)}
            found = found[found["source_id"].isin(place)]
            found = found.sort_values("source_id", key=lambda ids: ids.map(place))
        return found.reset_index(drop=True)

    def read_history(self) -> pd.DataFrame:
        """Return every snapshot there ever was, oldest first."""
        return self.con.execute("select * from snapshot order by snapshot_id").df()

    def mark_unchanged(
        self, source_id: str, raw_digest: str, declaration_digest: str, night: dt.date
    ) -> PutResult | None:
        """Note that a source was seen again as it stood, and return its snapshot; else None."""
        stood = self._stood(source_id, night)
        if stood is None or (stood["raw_digest"], stood["declaration_digest"]) != (
            raw_digest,
            declaration_digest,
        ):
            return None
        with self._transaction(f"noting that source {source_id!r} is unchanged"):
            self.con.execute(
                "update snapshot set last_seen = greatest(last_seen, ?) where snapshot_id = ?",
                [night, int(stood["snapshot_id"])],
            )
        return PutResult(int(stood["snapshot_id"]), changed=False, rows=int(stood["row_count"]))

    def put_snapshot(self, content: SnapshotContent, night: dt.date, seconds: float) -> PutResult:
        """Add a snapshot, all of it or nothing, and keep its raw files compressed.

        Raises SourceChanged for a source that has shrunk by more than it declares, leaving the
        last snapshot; StoreError for a store that does not take it.
        """
        source, frame = content.source, content.frame
        rows = len(frame) if frame is not None else _count_cells(content.raster)
        stood = self._stood(source.id, night)
        if stood is not None:
            _check_not_shrunk(source, rows, int(stood["row_count"]))
        kept = self._keep_raw(content)
        try:
            with self._transaction(f"storing source {source.id!r}"):
                snapshot_id = self._insert(content, rows, night, seconds)
                if frame is not None:
                    self._create(snapshot_table(snapshot_id), frame)
        except BaseException:
            if kept is not None:
                shutil.rmtree(kept, ignore_errors=True)
            raise
        return PutResult(snapshot_id, changed=True, rows=rows)

    def query_layer(
        self, layer: Layer, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> duckdb.DuckDBPyRelation | None:
        """Return a layer's rows on a night, of all its sources: None where none has any.

        Columns: the layer's, geometry, source_id, source_order and row_number, which order it.
        """
        stood = self.read_snapshots(night, sources)
        whole: duckdb.DuckDBPyRelation | None = None
        for order, snapshot in enumerate(stood[stood["layer"] == layer.id].to_dict("records")):
            table = self.con.table(snapshot_table(int(snapshot["snapshot_id"])))
            have = set(table.columns)
            columns = [
                name if name in have else f"cast(null as {_SQL_TYPES[column.type]}) as {name}"
                for name, column in layer.columns.items()
            ]
            part = table.project(
                f"'{snapshot['source_id']}' as source_id, {order} as source_order, row_number, "
                f"{', '.join(columns)}, geometry"
            )
            whole = part if whole is None else whole.union(part)
        return whole

    def read_layer(
        self, name: str, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> gpd.GeoDataFrame:
        """Return a vector layer as it stood on `night`, with `source_id`; raises StoreError."""
        layer = catalogue.read_layers()[name]
        relation = self.query_layer(layer, night, sources)
        if relation is None:
            raise self._absent(name, night)
        ordered = relation.order("source_order, row_number")
        return read_frame(ordered, self._crs(name, night, sources), layer)

    def find_bounds(
        self, name: str, crs: str, night: dt.date | None, sources: Sequence[str]
    ) -> tuple[float, float, float, float] | None:
        """Return left, bottom, right, top of a layer's shapes; None where it has none in `crs`.

        Asked of the database, so that a million parcels stay in it.
        """
        stood = self.read_snapshots(night, sources)
        relation = self.query_layer(catalogue.read_layers()[name], night, sources)
        if relation is None or set(stood.loc[stood["layer"] == name, "crs"]) != {crs}:
            return None
        found = relation.aggregate(
            "min(st_xmin(geometry)), min(st_ymin(geometry)), "
            "max(st_xmax(geometry)), max(st_ymax(geometry))"
        ).fetchone()
        return found if found and found[0] is not None else None

    def read_raster_layer(
        self, name: str, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> Raster:
        """Return a grid as it stood on `night`, from its kept raw file; raises StoreError."""
        stood = self.read_snapshots(night, sources)
        stood = stood[stood["layer"] == name]
        if stood.empty:
            raise self._absent(name, night)
        if len(stood) > 1:
            raise StoreError(
                f"reading layer {name!r} of {self.path}",
                f"{len(stood)} rasters fill it: {', '.join(sorted(stood['source_id']))}",
                "name one source of it in the market: rasters are not joined",
            )
        snapshot = stood.iloc[0]
        source = Source.model_validate_json(snapshot["declaration"])
        kept = self._raw_folder(snapshot) / str(snapshot["raw_file"])
        if not kept.exists():
            raise StoreError(
                f"reading layer {name!r} of {self.path}",
                f"the kept file {kept.name} of source {snapshot['source_id']!r} is gone",
                "pull the source again: padfinder refresh",
            )
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / kept.name.removesuffix(".gz")
            with gzip.open(kept, "rb") as packed, plain.open("wb") as file:
                shutil.copyfileobj(packed, file)
            return raster_protocol.read_raster(plain, source, catalogue.read_layers()[name])

    # -----------------------------------------------------------------------------------------

    def _stood(self, source_id: str, night: dt.date) -> "pd.Series | None":
        stood = self.read_snapshots(night, [source_id])
        return None if stood.empty else stood.iloc[0]

    def _crs(self, layer: str, night: dt.date | None, sources: Sequence[str] | None) -> str:
        stood = self.read_snapshots(night, sources)
        found = sorted(set(stood.loc[stood["layer"] == layer, "crs"]))
        if len(found) > 1:
            raise StoreError(
                f"reading layer {layer!r} of {self.path}",
                f"its snapshots are in several CRS: {found}",
                "pull all its sources again after changing the market's crs",
            )
        return str(found[0])

    def _absent(self, layer: str, night: dt.date | None) -> StoreError:
        when = f"on {night}" if night else "yet"
        return StoreError(
            f"reading {self.path}",
            f"no source of layer {layer!r} has a snapshot {when}",
            "pull the market's sources first: padfinder refresh",
        )

    def _insert(self, content: SnapshotContent, rows: int, night: dt.date, seconds: float) -> int:
        source = content.source
        taken = self.con.execute("select nextval('snapshot_id')").fetchone()
        snapshot_id = int(taken[0]) if taken else 0
        covered = content.coverage
        self.con.execute(
            f"insert into snapshot values ({', '.join('?' * 23)})",  # noqa: S608 (only marks)
            [
                snapshot_id,
                source.id,
                source.layer,
                digest_content(content),
                content.raw_digest,
                content.declaration_digest,
                source.model_dump_json(),
                _raw_file_name(0, content.raw[0]) if content.raw else None,
                content.rows_in,
                rows,
                content.crs,
                shapely.to_wkb(covered) if covered is not None else None,
                source.coverage.kind,
                source.title,
                source.publisher,
                source.licence,
                source.attribution,
                source.redistribute,
                source.vintage,
                night,
                night,
                seconds,
                list(content.notes),
            ],
        )
        return snapshot_id

    def _create(self, name: str, frame: gpd.GeoDataFrame) -> None:
        numbered = frame.assign(row_number=np.arange(len(frame), dtype="int64"))
        table = pa.table(numbered.to_arrow(geometry_encoding="WKB", index=False))
        self.con.register("incoming", table)
        try:
            self.con.table("incoming").create(name)
        finally:
            self.con.unregister("incoming")

    def _raw_folder(self, snapshot: "pd.Series") -> Path:
        return raw_files_folder(self.path, str(snapshot["source_id"]), str(snapshot["raw_digest"]))

    def _keep_raw(self, content: SnapshotContent) -> Path | None:
        """Keep the raw files, written whole, then moved in; return the folder if it is new."""
        folder = raw_files_folder(self.path, content.source.id, content.raw_digest)
        if folder.exists():
            return None
        folder.parent.mkdir(parents=True, exist_ok=True)
        half = folder.with_name(f"{folder.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        try:
            for number, path in enumerate(content.raw):
                with (
                    path.open("rb") as plain,
                    (half / _raw_file_name(number, path)).open("wb") as file,
                    # No name and no time inside: the same raw file packs to the same bytes.
                    gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
                ):
                    shutil.copyfileobj(plain, packed)
            half.replace(folder)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        return folder

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        try:
            with _Transaction(self.con):
                yield
        except duckdb.Error as error:
            raise StoreError(
                f"{doing} in {self.path}",
                str(error).splitlines()[0],
                "look at the free space of the disk, and that no other program writes to it",
            ) from error


class _Transaction:
    """Commit what is done inside, or undo all of it."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def __enter__(self) -> None:
        self.con.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.con.commit()
        else:
            self.con.rollback()


_SQL_TYPES = {
    "string": "varchar",
    "float": "double",
    "integer": "bigint",
    "boolean": "boolean",
    "date": "timestamp",
}


@contextmanager
def open_store(path: Path, *, read_only: bool = False) -> Iterator[Store]:
    """Open the store at `path`, made and migrated where needed; a reader changes nothing.

    Raises StoreError for a store that is not there (readers), is held by another program, is not
    a DuckDB file, or was written by a newer program.
    """
    if read_only and not path.exists():
        raise StoreError(
            f"opening {path}", "there is no store yet", "pull the sources first: padfinder refresh"
        )
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _ONE_AT_A_TIME:
        con = _engine().cursor()
        try:
            _attach_store(con, path, read_only=read_only)
            try:
                _prepare_store(con, path, read_only=read_only)
                yield Store(con, path)
            finally:
                con.execute("use memory")
                con.execute("detach store")
        except duckdb.Error as error:
            raise StoreError(
                f"asking {path}",
                str(error).splitlines()[0],
                "run padfinder refresh; if it stays, move the file away and refresh anew",
            ) from error
        finally:
            con.close()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """Return this process's database engine, to which stores are attached one at a time.

    The spatial extension is large, and DuckDB reads all of it to check its signature: an engine
    for each opening would do so each time.
    """
    con = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    load_spatial(con)
    return con


def _attach_store(con: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool) -> None:
    place = str(path).replace("'", "''")
    try:
        con.execute(f"attach '{place}' as store{' (read_only)' if read_only else ''}")
        con.execute("use store")
    except duckdb.Error as error:
        wrong = str(error).splitlines()[0]
        if "lock" in wrong.lower() or "already attached" in wrong.lower():
            raise StoreError(
                f"opening {path}",
                f"another program holds it ({wrong})",
                "wait until the other run has ended, or end it, and try again",
            ) from error
        raise StoreError(
            f"opening {path}", wrong, "move the file away; padfinder refresh makes a new store"
        ) from error


def _prepare_store(con: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool) -> None:
    if not read_only:
        migrations.migrate_store(con, str(path))
        return
    have, known = migrations.read_version(con), len(migrations.STEPS)
    if have != known:
        newer = have > known
        raise StoreError(
            f"opening {path}",
            f"it is at step {have}, this program knows {known}",
            "update padfinder" if newer else "run padfinder refresh once, which brings it up",
        )


def load_spatial(con: duckdb.DuckDBPyConnection) -> None:
    """Load DuckDB's spatial extension from its PyPI package; nothing is ever downloaded."""
    try:
        within = files("duckdb_extension_spatial") / "extensions" / f"v{duckdb.__version__}"
        with as_file(within / "spatial.duckdb_extension") as place:
            con.load_extension(str(place))
    except (ModuleNotFoundError, FileNotFoundError, duckdb.Error) as error:
        raise StoreError(
            "loading DuckDB's spatial extension",
            f"{type(error).__name__}: {str(error).splitlines()[0]}",
            f"install duckdb-extension-spatial=={duckdb.__version__}, the version of duckdb",
        ) from error


def snapshot_table(snapshot_id: int) -> str:
    """Return the name of the table that holds a snapshot's rows."""
    return f"snapshot_{snapshot_id}"


def raw_files_folder(store: Path, source_id: str, raw_digest: str) -> Path:
    """Return the folder beside the store that keeps a source's raw files."""
    return store.parent / "raw" / source_id / raw_digest


def _raw_file_name(number: int, path: Path) -> str:
    """Return what a raw file is kept as; numbered, since two may have one name."""
    return f"{number}-{path.name}.gz"


def read_frame(
    relation: duckdb.DuckDBPyRelation, crs: str, layer: Layer | None = None
) -> gpd.GeoDataFrame:
    """Return a relation with a `geometry` column as a frame, its order kept.

    With `layer`, its columns have the layer's types, whatever nulls they hold.
    """
    frame = gpd.GeoDataFrame.from_arrow(relation.to_arrow_table())
    # The same CRS as DuckDB wrote it, but spelt as the market spells it.
    frame = gpd.GeoDataFrame(frame.set_crs(crs, allow_override=True))
    frame = frame.drop(columns=["source_order", "row_number"], errors="ignore")
    if layer is not None:
        types = {name: DTYPES[c.type] for name, c in layer.columns.items() if name in frame}
        frame = gpd.GeoDataFrame(frame.astype(types))
    return frame


def digest_content(content: SnapshotContent) -> str:
    """Return the digest of a snapshot: what it holds, what it covers, and what it was made of."""
    digest = hashlib.sha256()
    parts = [content.source.id, content.raw_digest, content.declaration_digest, content.crs]
    if content.coverage is not None:
        parts.append(shapely.to_wkb(content.coverage, hex=True))
    digest.update("\x1f".join(parts).encode())
    if content.frame is not None:
        digest.update(digest_frame(content.frame).encode())
    if content.raster is not None:
        digest.update(np.ascontiguousarray(content.raster.values).tobytes())
        digest.update(repr(tuple(content.raster.transform)).encode())
    return digest.hexdigest()


def digest_frame(frame: gpd.GeoDataFrame) -> str:
    """Return the digest of a frame's names, types and values, in order."""
    digest = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        digest.update(f"\x1e{name}\x1f{column.dtype}\x1f".encode())
        if name == frame.geometry.name:
            for wkb in column.to_wkb():
                digest.update(b"\x00" if wkb is None else b"\x01" + wkb)
        elif pd.api.types.is_float_dtype(column.dtype):
            digest.update(column.to_numpy(dtype="float64").tobytes())
        else:
            known = column.notna()
            digest.update(known.to_numpy().tobytes())
            digest.update("\x1f".join(column[known].astype("str")).encode())
    return digest.hexdigest()


def _count_cells(raster: Raster | None) -> int:
    return 0 if raster is None else int(np.isfinite(raster.values).sum())


def _check_not_shrunk(source: Source, rows: int, before: int) -> None:
    floor = before * (1 - source.expect.shrink_share_max)
    if rows < floor:
        raise SourceChanged(
            f"storing source {source.id!r}",
            f"it has {rows} rows, {before} the last time: "
            f"a loss of more than {source.expect.shrink_share_max:.0%}",
            "look at the source; the last snapshot stays in use until then. If the loss is real, "
            f"raise expect.shrink_share_max in data/sources/{source.id}.toml",
        )
