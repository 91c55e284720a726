"""Merge the pages of a pull, and the rows of the last one, to one file in the order of the ids."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.protocols.parts import GROUP_ROWS, describe_shapes, unify_schemas, widen_rows

# So many groups of rows, each the rows of a page, are in memory at once.
GROUPS_MOST = 8


class Pieces(NamedTuple):
    """Rows in several files, of which each group of rows is held in memory as a whole.

    Attributes:
        files: The file of each piece, and the number of its group.
        ids: The object ids of all rows, piece by piece.
        piece: The number of each row's piece.
        row: The number of each row in its piece.
    """

    files: tuple[tuple[Path, int], ...]
    ids: np.ndarray
    piece: np.ndarray
    row: np.ndarray


def list_pieces(paths: Sequence[Path], id_column: str) -> Pieces:
    """Return which object ids are where.

    Args:
        paths: The files.
        id_column: Their column of object ids.

    Returns:
        The pieces.
    """
    files: list[tuple[Path, int]] = []
    ids = [np.empty(0, dtype=np.int64)]
    for path in paths:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                column = file.read_row_group(group, columns=[id_column]).column(0)
                files.append((path, group))
                ids.append(column.to_numpy().astype(np.int64))
    sizes = [len(one) for one in ids[1:]]
    rows = [np.arange(size) for size in sizes] or [np.empty(0, dtype=np.int64)]
    return Pieces(
        tuple(files),
        np.concatenate(ids),
        np.repeat(np.arange(len(files)), sizes),
        np.concatenate(rows),
    )


def merge_pieces(pieces: Pieces, ids: np.ndarray, path: Path, schema: pa.Schema, crs: Any) -> None:
    """Write rows to one GeoParquet file, in the order of their ids.

    Args:
        pieces: Where the rows are. Of several with the same id the last one counts.
        ids: The object ids to write, ascending.
        path: The file to write, whole or not at all. It may be one of the files of the pieces.
        schema: The columns; one of whole numbers becomes decimal where a piece has it so.
        crs: The CRS of the shapes, as pyproj reads it; None if it is not known.
    """
    schemas = [pq.read_schema(one) for one in dict.fromkeys(path for path, _ in pieces.files)]
    schema = describe_shapes(unify_schemas([schema, *schemas]), crs)
    unfinished = path.with_name(f"{path.name}.half")
    places = _find_last(pieces, ids)
    with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        for begin in range(0, len(places), GROUP_ROWS):
            tables = list(_take(pieces, places[begin : begin + GROUP_ROWS], schema))
            writer.write_table(pa.concat_tables(tables).combine_chunks())
    _read_piece.cache_clear()
    unfinished.replace(path)


def _find_last(pieces: Pieces, ids: np.ndarray) -> np.ndarray:
    """Return the place of the last row with each id."""
    order = np.argsort(pieces.ids, kind="stable")
    return order[np.searchsorted(pieces.ids[order], ids, side="right") - 1]


def _take(pieces: Pieces, places: np.ndarray, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows at places, in their order, as runs of rows of one piece."""
    of_piece = pieces.piece[places]
    ends = np.flatnonzero(np.diff(of_piece)) + 1
    for run in np.split(places, ends):
        path, group = pieces.files[pieces.piece[run[0]]]
        yield widen_rows(_read_piece(path, group).take(pa.array(pieces.row[run])), schema)


@lru_cache(maxsize=GROUPS_MOST)
def _read_piece(path: Path, group: int) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group)
