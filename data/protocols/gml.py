"""Ask for pages of GML, and read each of them with GDAL.

Every value is read as text and then turned into its column's declared type, because GDAL would
guess the types anew for each page.
"""

import json
import re
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import geopandas as gpd
import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pyproj
import shapely

from data.ask import Version, ask
from data.connection import Connection, refuse_answer
from data.crs import is_same_crs
from data.notes import RoutineNote
from data.protocols.axes import do_meet, is_north_first
from data.protocols.bounds import Bounds, bounds_in_crs
from data.protocols.features import FEATURE_ID, swap_axes
from data.protocols.ogr import name_geometry
from data.protocols.parts import GEOMETRY
from data.protocols.refusal import first_line
from data.protocols.wfs_answers import Outline, kind_of, scan_page
from data.source import Source
from geo.addresses import show_address
from geo.errors import ContractError

_GDAL_OPTIONS = {
    "GML_FIELDTYPES": "ALWAYS_STRING",
    # Otherwise a page could make GDAL open an address.
    "GML_DOWNLOAD_SCHEMA": False,
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
}
# The options hold for the whole process, so that one thread at a time reads with them.
_GDAL_LOCK = threading.Lock()
_ID = "gml_id"
# GeoServer makes up such ids anew for each answer where a table has no primary key.
_PASSING_ID = re.compile(r"(^|\.)fid-+[0-9a-f_-]+$")
_BOOLEANS = {"true": "true", "1": "true", "false": "false", "0": "false"}


class GmlReply(NamedTuple):
    """A page of GML.

    Attributes:
        shown: The address in messages.
        body: The page.
        headers: The headers of the answer.
        outline: What the page says of itself.
        is_unchanged: Whether the server says that the known version is the current one.
    """

    shown: str
    body: bytes
    headers: httpx.Headers
    outline: Outline
    is_unchanged: bool

    @property
    def has_next(self) -> bool:
        """Return whether the page names a next one."""
        return "next" in self.outline.attributes


def ask_page(
    connection: Connection,
    address: str,
    parameters: dict[str, str],
    known: Version = Version(),  # noqa: B008 (it cannot be changed)
) -> GmlReply:
    """Ask for a page of GML, and check that it is whole.

    Args:
        connection: The connection.
        address: The address of the WFS.
        parameters: The parameters of the request.
        known: The version that is at hand, and need not be sent again.

    Returns:
        The page.

    Raises:
        SourceDown: As for `ask`.
        SourceChanged: As for `ask`, or the answer is not a whole feature collection.
    """
    reply = ask(connection, address, parameters, known=known)
    shown = connection.hide(show_address(address))
    if reply.is_unchanged:
        return GmlReply(shown, b"", reply.headers, Outline(), is_unchanged=True)
    try:
        outline = scan_page(reply.body)
    except ValueError as error:
        wrong = f"{shown} answers GetFeature with what is cut off or is not XML ({error})"
        raise refuse_answer(connection, connection.hide(wrong)) from None
    if outline.root != "FeatureCollection":
        said = f": {' '.join(outline.text.split())[:200]}" if outline.text else ""
        wrong = f"{shown} answers GetFeature with an element {outline.root[:40]!r}{said}"
        raise refuse_answer(connection, connection.hide(wrong))
    return GmlReply(shown, reply.body, reply.headers, outline, is_unchanged=False)


@dataclass
class GmlReader:
    """What reads the pages of one feature type.

    Attributes:
        connection: The connection.
        source: The source.
        schema: The columns with their XML Schema types; empty if they are not known.
        extent: West, south, east and north of the layer in degrees, if they are known.
        key: The column that the pages are sorted by, if any.
        is_swapped: Whether the pages have north before east though their CRS does not say so; None
            until the first page is read.
        has_passing_ids: Whether the features' ids are made up for each answer.
    """

    connection: Connection
    source: Source
    schema: dict[str, str]
    extent: Bounds | None
    key: str | None
    is_swapped: bool | None = None
    has_passing_ids: bool = False
    notes: dict[str, None] = field(default_factory=dict)

    def list_notes(self) -> tuple[str, ...]:
        """Return what a reader should know of the pages."""
        return tuple(RoutineNote(note) for note in self.notes)

    def read_frame(self, reply: GmlReply) -> gpd.GeoDataFrame:
        """Return the rows of a page in the declared CRS, each value of its declared type."""
        rows = self.read_rows(reply).drop_columns([FEATURE_ID])
        shapes = shapely.from_wkb(rows[GEOMETRY].to_numpy(zero_copy_only=False))
        plain = rows.drop_columns([GEOMETRY]).to_pandas()
        return gpd.GeoDataFrame(plain, geometry=shapes, crs=self.source.fetch.crs)

    def read_rows(self, reply: GmlReply) -> pa.Table:
        """Return the rows of a page, as `paging` takes them."""
        if not reply.outline.features:
            empty = pa.array([], pa.string())
            return pa.table({FEATURE_ID: empty, GEOMETRY: pa.array([], pa.binary())})
        frame = self._read_gml(reply)
        if len(frame) != reply.outline.features:
            wrong = (
                f"{reply.shown} sends {reply.outline.features:,} features, of which "
                f"{len(frame):,} can be read"
            )
            raise refuse_answer(self.connection, wrong)
        self._check_crs(frame, reply)
        shapes = frame.geometry.to_numpy()
        if self._decide_axes(frame, reply):
            shapes = swap_axes(shapes)
            self.notes[
                "the server writes north before east without saying so; this was set right"
            ] = None
        columns = {
            name: _build_column(frame.get(name), len(frame), kind)
            for name, kind in (self.schema or _list_columns(frame)).items()
            if name not in {GEOMETRY, FEATURE_ID}
        }
        ids = self._read_ids(frame, columns)
        if _ID in frame and not self.has_passing_ids and _ID not in columns:
            columns = {_ID: pa.array(frame[_ID].tolist(), pa.string())} | columns
        return pa.table(
            columns
            | {
                FEATURE_ID: pa.array(ids, pa.string()),
                GEOMETRY: pa.array(shapely.to_wkb(shapes), pa.binary()),
            }
        )

    def _read_gml(self, reply: GmlReply) -> gpd.GeoDataFrame:
        with TemporaryDirectory(prefix="padfinder-") as folder, _GDAL_LOCK:
            path = Path(folder) / "page.gml"
            path.write_bytes(reply.body)
            try:
                pyogrio.set_gdal_config_options(_GDAL_OPTIONS)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    frame = pyogrio.read_dataframe(path, on_invalid="fix")
            except (pyogrio.errors.DataSourceError, RuntimeError, ValueError) as error:
                said = first_line(error).replace(str(path), "the page")
                wrong = f"{reply.shown} sends GML that cannot be read: {said}"
                raise refuse_answer(self.connection, self.connection.hide(wrong)) from error
            finally:
                pyogrio.set_gdal_config_options({"GML_FIELDTYPES": None})
        if not isinstance(frame, gpd.GeoDataFrame):
            frame = gpd.GeoDataFrame(frame, geometry=[None] * len(frame))
        return name_geometry(frame)

    def _check_crs(self, frame: gpd.GeoDataFrame, reply: GmlReply) -> None:
        """Raise ContractError if a page is in another CRS than the one that was asked for."""
        declared = self.source.fetch.crs
        if frame.crs is not None and not is_same_crs(frame.crs, pyproj.CRS(declared)):
            raise ContractError(
                self.connection.doing,
                f"{reply.shown} answers in {frame.crs.to_string()[:80]}, not in the declared "
                f"{declared}",
                f"set fetch.crs in sources/{self.source.id}.toml to the CRS of its answers",
            )

    def _decide_axes(self, frame: gpd.GeoDataFrame, reply: GmlReply) -> bool:
        """Return whether the coordinates are in the other order than GDAL takes them to be.

        A CRS as "EPSG:4326" leaves the order open: some servers write north first, others east.
        Where the layer lies decides. An URN does not leave it open, so that the check of the whole
        layer refuses what does not agree with it.
        """
        if self.is_swapped is None:
            is_open = not reply.outline.crs.lower().startswith("urn:")
            self.is_swapped = is_open and self._lies_elsewhere(frame)
        return self.is_swapped

    def _lies_elsewhere(self, frame: gpd.GeoDataFrame) -> bool:
        """Return whether the shapes lie in the layer's extent only with exchanged coordinates."""
        crs = pyproj.CRS.from_user_input(self.source.fetch.crs)
        box = frame.total_bounds
        if self.extent is None or not is_north_first(crs) or not np.isfinite(box).all():
            return False
        due = bounds_in_crs(self.extent, crs)
        return not do_meet(box, due) and do_meet(box[[1, 0, 3, 2]], due)

    def _read_ids(self, frame: gpd.GeoDataFrame, columns: dict[str, pa.Array]) -> list[Any]:
        """Return the id of each feature: the server's own, or the value that it is sorted by."""
        own = frame[_ID].tolist() if _ID in frame else []
        self.has_passing_ids |= any(_PASSING_ID.search(str(one)) for one in own)
        is_whole = own and all(isinstance(one, str) and one for one in own)
        if is_whole and not self.has_passing_ids:
            return list(own)
        if self.key is not None and self.key in columns:
            return [None if one is None else str(one) for one in columns[self.key].to_pylist()]
        return [None] * len(frame)


def _list_columns(frame: gpd.GeoDataFrame) -> dict[str, str]:
    """Return the columns of a page whose types are not known, as text."""
    boxes = {"lowerCorner", "upperCorner", _ID, GEOMETRY}
    return {str(name): "string" for name in frame.columns if name not in boxes}


def _build_column(values: pd.Series | None, count: int, kind: str) -> pa.Array:
    """Return texts as a column of a type; as text if one of them is not of that type."""
    if values is None:
        return pa.nulls(count, _ARROW[kind_of(kind)])
    texts = pa.array([_write_text(one) for one in values], pa.string())
    wanted = kind_of(kind)
    if wanted == "bool":
        plain = [
            None if one is None else _BOOLEANS.get(one.lower(), one) for one in texts.to_pylist()
        ]
        texts = pa.array(plain, pa.string())
    try:
        return texts.cast(_ARROW[wanted])
    except pa.ArrowException:
        return texts


_ARROW = {
    "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_(), "string": pa.string(),
}  # fmt: skip


def _write_text(value: Any) -> str | None:
    """Return a value as text; several values of one row become a list in JSON."""
    if isinstance(value, list | np.ndarray):
        return json.dumps([str(one) for one in value], ensure_ascii=False)
    return None if pd.isna(value) else str(value)
