"""The store: one DuckDB file per market, a snapshot per source and night, raw files beside it."""

import datetime as dt
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import geopandas as gpd
import pandas as pd

from data.database import (
    attach_store,
    create_rows_table,
    detach_store,
    first_line,
    open_engine,
    read_frame,
    transaction,
)
from data.migrations import check_version, migrate_store
from data.protocols.raster import read_raster
from data.queries import read_query
from data.raw_files import (
    are_raw_files_whole,
    keep_raw_files,
    raw_files_folder,
    unpack_raster,
)
from data.snapshot import FetchedFrom, SnapshotContent
from data.snapshot_record import (
    check_not_shrunk,
    compare_to_last,
    insert_snapshot,
    snapshot_table,
)
from data.source import Source
from geo import catalogue
from geo.errors import StoreError
from geo.model import Layer, Raster

# Every store is attached under the same name, so only one thread may have a store open.
_STORE_LOCK = threading.RLock()

_SQL_TYPES = {
    "string": "varchar",
    "float": "double",
    "integer": "bigint",
    "boolean": "boolean",
    "date": "timestamp",
}


@dataclass(frozen=True)
class PutResult:
    """The last snapshot of a source, and whether it is new."""

    snapshot_id: int
    changed: bool
    rows: int


class Store:
    """An open store, which `open_store` makes and closes.

    Attributes:
        con: Connection to the database, for other queries.
        path: File of the store.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.con = con
        self.path = path

    def read_snapshots(
        self, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the last snapshot of each source as of `night` (now, if None).

        Only `sources` are included, in their order; if None, all of them by source id. `coverage`
        is WKB in the snapshot's CRS, or null; `notes` is a list.
        """
        snapshots = self.con.execute(read_query("data", "list_snapshots"), {"night": night}).df()
        if sources is not None:
            order = {source_id: number for number, source_id in enumerate(sources)}
            snapshots = snapshots[snapshots["source_id"].isin(order)]
            snapshots = snapshots.sort_values("source_id", key=lambda ids: ids.map(order))
        return snapshots.reset_index(drop=True)

    def read_history(self) -> pd.DataFrame:
        """Return every snapshot ever taken, oldest first."""
        return self.con.execute("select * from snapshot order by snapshot_id").df()

    def mark_unchanged(
        self,
        source_id: str,
        raw_digest: str,
        declaration_digest: str,
        night: dt.date,
        fetched: FetchedFrom | None = None,
    ) -> PutResult | None:
        """Record that a source was seen again unchanged, and return its last snapshot.

        Args:
            source_id: The source.
            raw_digest: Digest of its raw files.
            declaration_digest: Digest of everything that determines how they are read.
            night: The night on which the source was seen.
            fetched: Where its own file comes from this time.

        Returns:
            The last snapshot, or None, with nothing recorded, if one of its digests is different.
        """
        last = self._last_snapshot(source_id, night)
        if last is None or (last["raw_digest"], last["declaration_digest"]) != (
            raw_digest,
            declaration_digest,
        ):
            return None
        seen = fetched or FetchedFrom()
        with self._transaction(f"recording that source {source_id!r} is unchanged"):
            self.con.execute(
                "update snapshot set last_seen = greatest(last_seen, ?), address = ?, "
                "failed_addresses = ? where snapshot_id = ?",
                [night, seen.address, list(seen.failed), int(last["snapshot_id"])],
            )
        return PutResult(int(last["snapshot_id"]), changed=False, rows=int(last["row_count"]))

    def mend_raw_files(
        self, source_id: str, layer: Layer, raw_digest: str, paths: Sequence[Path]
    ) -> None:
        """Keep the raw files of an unchanged source again, if those that are kept are damaged.

        Those of a raster are unpacked to find out, since it is read from them; of others only their
        folder must be there.

        Args:
            source_id: The source.
            layer: The layer that it fills.
            raw_digest: Digest of its raw files.
            paths: The raw files, the same as before.
        """
        folder = raw_files_folder(self.path, source_id, raw_digest)
        is_whole = are_raw_files_whole(folder, raw_digest) if layer.is_raster else folder.is_dir()
        if not is_whole:
            shutil.rmtree(folder, ignore_errors=True)
            keep_raw_files(paths, folder)

    def put_snapshot(self, content: SnapshotContent, night: dt.date, seconds: float) -> PutResult:
        """Add a complete snapshot or nothing, and keep its raw files compressed.

        Args:
            content: The content of the snapshot.
            night: The night on which it was taken.
            seconds: How long the source took, for the log.

        Returns:
            The new snapshot.

        Raises:
            SourceChanged: The source has shrunk by more than it allows. The last snapshot stays.
            StoreError: The database rejects the snapshot.
        """
        rows = content.count_rows()
        last = self._last_snapshot(content.source.id, night)
        if last is not None:
            check_not_shrunk(content.source, rows, int(last["row_count"]))
        folder = raw_files_folder(self.path, content.source.id, content.raw_digest)
        folder_is_new = keep_raw_files(content.raw, folder)
        try:
            with self._transaction(f"storing source {content.source.id!r}"):
                snapshot_id = insert_snapshot(self.con, content, rows, night, seconds)
                if content.frame is not None:
                    self._create_rows_table(snapshot_table(snapshot_id), content.frame)
                if last is not None:
                    compare_to_last(self.con, snapshot_id, content, last)
        except BaseException:
            if folder_is_new:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return PutResult(snapshot_id, changed=True, rows=rows)

    def query_layer(
        self, layer: Layer, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> duckdb.DuckDBPyRelation | None:
        """Return a layer's rows of all its sources as a query; None where no source has any.

        Args:
            layer: The vector layer.
            night: The date as of which it is read; now, if None.
            sources: The sources to read, in order; if None, all of them by id.

        Returns:
            The layer's columns, geometry and source_id, and the columns source_order and
            row_number, which give the order of the rows.
        """
        snapshots = self.read_snapshots(night, sources)
        snapshots = snapshots[snapshots["layer"] == layer.id]
        relation: duckdb.DuckDBPyRelation | None = None
        for order, snapshot in enumerate(snapshots.to_dict("records")):
            table = self.con.table(snapshot_table(int(snapshot["snapshot_id"])))
            stored = set(table.columns)
            columns = [
                name if name in stored else f"cast(null as {_SQL_TYPES[column.type]}) as {name}"
                for name, column in layer.columns.items()
            ]
            rows = table.project(
                f"'{snapshot['source_id']}' as source_id, {order} as source_order, row_number, "
                f"{', '.join(columns)}, geometry"
            )
            relation = rows if relation is None else relation.union(rows)
        return relation

    def read_layer(
        self, name: str, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> gpd.GeoDataFrame:
        """Return a vector layer with `source_id`, in the market's CRS.

        Args:
            name: The layer's id.
            night: The date as of which it is read; now, if None.
            sources: The sources to read, in order; if None, all of them by id.

        Returns:
            The rows, in the order of the sources and of the rows in each source.

        Raises:
            StoreError: No source fills the layer, or its snapshots are in different CRSs.
        """
        layer = catalogue.read_layers()[name]
        relation = self.query_layer(layer, night, sources)
        if relation is None:
            raise self._missing_layer(name, night)
        ordered = relation.order("source_order, row_number")
        return read_frame(ordered, self._layer_crs(name, night, sources), layer)

    def find_bounds(
        self, name: str, crs: str, night: dt.date | None, sources: Sequence[str]
    ) -> tuple[float, float, float, float] | None:
        """Return the bounds of a layer's shapes, measured in the database.

        Args:
            name: The layer's id.
            crs: The CRS of the bounds.
            night: The date as of which the layer is read; now, if None.
            sources: The sources to read.

        Returns:
            Left, bottom, right and top; None if the layer has no shapes in `crs`.
        """
        snapshots = self.read_snapshots(night, sources)
        relation = self.query_layer(catalogue.read_layers()[name], night, sources)
        if relation is None or set(snapshots.loc[snapshots["layer"] == name, "crs"]) != {crs}:
            return None
        bounds = relation.aggregate(
            "min(st_xmin(geometry)), min(st_ymin(geometry)), "
            "max(st_xmax(geometry)), max(st_ymax(geometry))"
        ).fetchone()
        return bounds if bounds and bounds[0] is not None else None

    def read_raster_layer(
        self, name: str, night: dt.date | None = None, sources: Sequence[str] | None = None
    ) -> Raster:
        """Return a raster layer from its kept raw file, in its own CRS.

        Args:
            name: The layer's id.
            night: The date as of which it is read; now, if None.
            sources: The sources to read; all of them, if None.

        Returns:
            The raster, its values in the layer's unit.

        Raises:
            StoreError: No source or several sources fill the layer, or the raw file is gone.
        """
        snapshots = self.read_snapshots(night, sources)
        snapshots = snapshots[snapshots["layer"] == name]
        if snapshots.empty:
            raise self._missing_layer(name, night)
        if len(snapshots) > 1:
            raise StoreError(
                f"reading layer {name!r} of {self.path}",
                f"{len(snapshots)} rasters fill it: {', '.join(sorted(snapshots['source_id']))}",
                "name only one source of it in the market: rasters are not joined",
            )
        snapshot = snapshots.iloc[0]
        source = Source.model_validate_json(snapshot["declaration"])
        raw_digest = str(snapshot["raw_digest"])
        folder = raw_files_folder(self.path, source.id, raw_digest)
        kept = folder / str(snapshot["raw_file"])
        if not are_raw_files_whole(folder, raw_digest):
            what = "damaged" if kept.exists() else "gone"
            raise StoreError(
                f"reading layer {name!r} of {self.path}",
                f"the kept file {kept} of source {source.id!r} is {what}",
                "pull the source again, which keeps its file anew: padfinder refresh",
            )
        near = None
        stored = self.read_snapshots(night, sources)
        if "parcels" in set(stored["layer"]):
            crs = self._layer_crs("parcels", night, sources)
            bounds = self.find_bounds("parcels", crs, night, list(stored["source_id"]))
            near = None if bounds is None else (bounds, crs)
        with tempfile.TemporaryDirectory() as plain_folder:
            plain = unpack_raster(kept, Path(plain_folder))
            return read_raster(plain, source, catalogue.read_layers()[name], near)

    def _last_snapshot(self, source_id: str, night: dt.date) -> "pd.Series | None":
        snapshots = self.read_snapshots(night, [source_id])
        return None if snapshots.empty else snapshots.iloc[0]

    def _layer_crs(self, layer: str, night: dt.date | None, sources: Sequence[str] | None) -> str:
        snapshots = self.read_snapshots(night, sources)
        names = sorted(set(snapshots.loc[snapshots["layer"] == layer, "crs"]))
        if len(names) > 1:
            raise StoreError(
                f"reading layer {layer!r} of {self.path}",
                f"its snapshots are in several CRS: {names}",
                "pull all its sources again after changing the market's crs",
            )
        return str(names[0])

    def _missing_layer(self, layer: str, night: dt.date | None) -> StoreError:
        when = f"on or before {night}" if night else "yet"
        return StoreError(
            f"reading {self.path}",
            f"no source of layer {layer!r} has a snapshot {when}",
            "pull the market's sources first: padfinder refresh",
        )

    def _create_rows_table(self, name: str, frame: gpd.GeoDataFrame) -> None:
        create_rows_table(self.con, name, frame)

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        try:
            with transaction(self.con):
                yield
        except duckdb.Error as error:
            raise StoreError(
                f"{doing} in {self.path}",
                first_line(error),
                "check the free space of the disk, and that no other program writes to the store",
            ) from error


@contextmanager
def open_store(path: Path, *, read_only: bool = False) -> Iterator[Store]:
    """Open the store at `path`; unless `read_only`, create or migrate it first if needed.

    Raises StoreError for a file that does not exist (if `read_only`), is in use by another program,
    is not a DuckDB file, or was written by a newer program.
    """
    if read_only and not path.exists():
        raise StoreError(
            f"opening {path}", "there is no store yet", "pull the sources first: padfinder refresh"
        )
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _STORE_LOCK:
        con = open_engine().cursor()
        try:
            attach_store(con, path, read_only=read_only)
            try:
                if read_only:
                    check_version(con, str(path))
                else:
                    migrate_store(con, str(path))
                yield Store(con, path)
            finally:
                detach_store(con)
        except duckdb.Error as error:
            raise StoreError(
                f"querying {path}",
                first_line(error),
                "run padfinder refresh; if that fails too, move the file away and refresh again",
            ) from error
        finally:
            con.close()
