"""A snapshot to be stored: its content, and digests that change with the content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.source import Source
from geo.model import Raster

# Before each shape in a digest: whether the row has one.
_SHAPE_MARKS = np.array([b"\x00", b"\x01"], dtype=object)
_SHAPES_AT_ONCE = 10_000


@dataclass(frozen=True)
class FetchedFrom:
    """Where a source's own file comes from, without secrets.

    Attributes:
        address: The address that answered, or the declared path.
        failed: What is wrong with each address that was tried before.
        notes: What a reader should know of how it was pulled from a server.
    """

    address: str = ""
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SnapshotContent:
    """The content stored for one source: a conformed frame, or a raster whose raw file is kept.

    Attributes:
        source: The source's declaration.
        raw_digest: Digest of the raw files.
        declaration_digest: Digest of everything that determines how the raw files are read.
        rows_in: How many rows, or cells of a raster, the raw file has.
        crs: CRS of the frame or raster, and of the coverage.
        coverage: Area inside which absence is a fact; None if it is not known.
        notes: What was done to the rows.
        raw: The raw files, the source's own first.
        frame: The rows; None for a raster.
        raster: The raster; None for rows.
        raw_columns: The columns of the raw files by name, each with its kind (see data.schema).
        fetched: Where the source's own file comes from.
    """

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
    raw_columns: Mapping[str, str] = field(default_factory=dict)
    fetched: FetchedFrom = FetchedFrom()

    def count_rows(self) -> int:
        """Return how many rows, or cells with a value, are stored."""
        if self.frame is not None:
            return len(self.frame)
        return 0 if self.raster is None else int(np.isfinite(self.raster.values).sum())


def digest_content(content: SnapshotContent) -> str:
    """Return the digest of a snapshot: its content, its coverage, and the inputs it comes from."""
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
            for start in range(0, len(column), _SHAPES_AT_ONCE):
                shapes = column.iloc[start : start + _SHAPES_AT_ONCE].to_wkb().to_numpy(copy=True)
                is_missing = pd.isna(shapes)
                shapes[is_missing] = b""
                digest.update(b"".join(_SHAPE_MARKS[(~is_missing).astype(int)] + shapes))
        elif pd.api.types.is_float_dtype(column.dtype):
            digest.update(column.to_numpy(dtype="float64").tobytes())
        else:
            known = column.notna()
            digest.update(known.to_numpy().tobytes())
            digest.update("\x1f".join(column[known].astype("str").tolist()).encode())
    return digest.hexdigest()
