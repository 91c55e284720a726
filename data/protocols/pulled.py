"""What a protocol of servers is: two functions, and what they return."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd

from data.connection import Connection
from data.source import Source


class Pulled(NamedTuple):
    """The rows that a server gave.

    Attributes:
        file: A file with all rows, in a folder that is kept, as `read_file` reads it.
        address: The address that answered, as declared.
        notes: What a reader should know of the pull.
    """

    file: Path
    address: str
    notes: tuple[str, ...] = ()


class Preview(NamedTuple):
    """What a server says of a layer, and its first rows.

    Attributes:
        rows: The first rows, with the server's own columns, in its own CRS.
        row_count: How many rows the server says it has; None if it does not say.
        types: The server's own type of each column.
        says: Sentences for a reader, such as the layer's title and when it was edited.
    """

    rows: gpd.GeoDataFrame
    row_count: int | None
    types: dict[str, str]
    says: tuple[str, ...] = ()


class Protocol(NamedTuple):
    """How to ask one kind of server.

    Attributes:
        pull: Pulls all rows: the connection, the source, the folder kept for it, the night.
        preview: Asks for some of the first rows: the connection, the source, how many.
    """

    pull: Callable[[Connection, Source, Path, dt.date], Pulled]
    preview: Callable[[Connection, Source, int], Preview]
