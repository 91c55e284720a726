"""Try a declaration on the first rows of its data, and write nothing."""

import datetime as dt
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import pandas as pd

from data.conform import conform_table
from data.crs import check_crs
from data.fetch_options import is_pattern
from data.http import download_file, name_answer
from data.message_text import count_texts
from data.protocols import s3
from data.protocols.file import read_area, read_files, read_table, require_columns
from data.protocols.raster import read_noted_raster
from data.protocols.servers import connect, preview_rows
from data.protocols.shards import find_shards
from data.pull import find_file, find_layer
from data.real_paths import list_data_files, name_real_files
from data.schema import LEFT_OUT
from data.source import ColumnOrigin, Coverage, Expectations, Source
from data.texts import text_values
from geo.addresses import show_address
from geo.contract.layer import check_layer
from geo.errors import ContractError, PadfinderError, SourceChanged
from geo.model import LandUse, Layer, Market

_SHARES = ("null_geometry_share_max", "stray_shapes_share_max", "unreadable_share_max")


@dataclass
class Trial:
    """What came of a trial.

    Attributes:
        rows_read: How many rows, or cells of a raster, were tried.
        row_count: How many there are; None if the server does not say.
        frame: The rows as the layer has them; None if they cannot be conformed at all.
        faults: What does not fit.
        notes: What was done to the rows.
        unclassified: How many rows have each code without a class in any land-use table.
        unused: The data's columns that the declaration does not name.
        says: What a server says of the layer.
    """

    rows_read: int = 0
    row_count: int | None = None
    frame: gpd.GeoDataFrame | None = None
    faults: list[PadfinderError] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    unclassified: dict[str, int] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    says: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every row was tried."""
        return self.row_count is not None and self.rows_read >= self.row_count


@dataclass(frozen=True)
class _Tables:
    """A source's tables: its own rows, those of its join, of its places, and its area."""

    own: gpd.GeoDataFrame
    joined: pd.DataFrame | None
    places: pd.DataFrame | None
    area: gpd.GeoDataFrame | None


def run_trial(
    source: Source,
    market: Market,
    files: Path,
    land_use: Sequence[LandUse],
    rows_most: int,
) -> Trial:
    """Conform the first rows of a source's data as its declaration says.

    Args:
        source: The source.
        market: The market.
        files: The folder that the paths in the source are relative to.
        land_use: The land-use tables.
        rows_most: How many rows to try.

    Returns:
        What came of it. Nothing is written.
    """
    trial = Trial()
    url = source.fetch.url
    try:
        layer = find_layer(source)
        if layer.is_raster:
            _try_raster(trial, source, layer, files)
        else:
            _try_rows(trial, source, layer, market, files, rows_most)
            _count_unclassified(trial, layer, land_use)
    except PadfinderError as error:
        trial.faults.append(error)
    real = list_data_files(source, files, show_address(url) if url else "")
    for fault in trial.faults:
        name_real_files(fault, source, real)
    return trial


def _try_raster(trial: Trial, source: Source, layer: Layer, files: Path) -> None:
    with ExitStack() as stack:
        (path,) = _find_own_files(source, files, stack)
        raster, trial.notes = read_noted_raster(path, source, layer)
    trial.rows_read = trial.row_count = int(raster.values.size)  # noqa: PD011 (an array)


def _try_rows(
    trial: Trial, source: Source, layer: Layer, market: Market, files: Path, rows_most: int
) -> None:
    more_notes: tuple[str, ...] = ()
    own, notes = _read_rows(trial, source, files, rows_most)
    named = {str(name) for name in own.columns if name != own.geometry.name}
    named |= set(own.attrs.get(LEFT_OUT, {}))
    read = {*source.list_columns(), source.fetch.x, source.fetch.y, source.fetch.wkt}
    trial.unused = tuple(sorted(named - read))
    tables = _read_tables(own, source, files)
    shown = source.fetch.path or show_address(source.fetch.url or "")
    trial.faults += _list_faults(trial, tables, source, shown)
    sampled = source
    if not trial.is_whole:
        # The first rows say nothing about how many there are.
        # They may also have more than their share of what the declaration puts up with.
        shares = {name: 1.0 for name in _SHARES if getattr(source.expect, name) > 0}
        limits = {"rows_min": 1, "rows_max": None} | shares
        expect = source.expect.model_copy(update=limits)
        coverage = source.coverage if source.coverage.kind == "file" else Coverage(kind="none")
        sampled = source.model_copy(update={"expect": expect, "coverage": coverage})
    if not trial.faults:
        try:
            trial.frame, more_notes = _conform(tables, sampled, layer, market, shown)
        except PadfinderError as error:
            trial.faults.append(error)
    if trial.frame is None:
        relaxed = _relax(source, tables)
        try:
            trial.frame, more_notes = _conform(tables, relaxed, layer, market, shown)
        except PadfinderError as error:
            if str(error) not in {str(one) for one in trial.faults}:
                trial.faults.append(error)
    else:
        try:
            check_layer(trial.frame, layer, source.id)
        except ContractError as error:
            trial.faults.append(error)
    # Most of a second table belongs to rows that were not tried.
    of_others = f"of {source.join.path} without a match" if source.join else ""
    said = [note for note in more_notes if trial.is_whole or not of_others or of_others not in note]
    trial.notes = (*notes, *said)


def _read_rows(
    trial: Trial, source: Source, files: Path, rows_most: int
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    """Return the first rows in the declared CRS, and notes on the reading."""
    fetch = source.fetch
    notes: tuple[str, ...] = ()
    if fetch.is_server:
        preview = preview_rows(source, rows_most)
        trial.row_count, trial.says = preview.row_count, preview.says
        rows = preview.rows
        name = show_address(fetch.url or "")
        declared = check_crs(rows.crs, fetch.crs, name, source.id)
        rows = gpd.GeoDataFrame(rows.set_crs(declared, allow_override=True))
    else:
        with ExitStack() as stack:
            rows, notes = read_files(_find_own_files(source, files, stack), source)
        trial.row_count = len(rows)
        rows = gpd.GeoDataFrame(rows.head(rows_most))
    trial.rows_read = len(rows)
    return rows, notes


def _find_own_files(source: Source, files: Path, stack: ExitStack) -> tuple[Path, ...]:
    fetch = source.fetch
    if fetch.path is not None:
        if is_pattern(fetch.path) and not (files / fetch.path).exists():
            return find_shards(files, fetch.path, source.id)
        return (find_file(files, fetch.path, source.id, "fetch.path"),)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="padfinder-")))
    if (fetch.url or "").startswith(s3.SCHEME):
        connection = stack.enter_context(connect(source))
        return (s3.pull_objects(connection, source, folder, dt.date.min).file,)
    answer = download_file(
        [fetch.url or "", *fetch.fallback_urls],
        folder / "answer",
        source_id=source.id,
        headers=fetch.headers,
        redirect_hosts=fetch.redirect_hosts,
        bytes_most=fetch.bytes_most,
        seconds_most=fetch.seconds_most,
    )
    return ((folder / "answer").rename(folder / name_answer(answer)),)


def _read_tables(own: gpd.GeoDataFrame, source: Source, files: Path) -> _Tables:
    joined, places, area = None, None, None
    if (join := source.join) is not None:
        path = find_file(files, join.path, source.id, "join.path")
        joined = read_table(path, source.id, join.encoding, join.delimiter)
    if (place := source.place) is not None:
        path = find_file(files, place.path, source.id, "place.path")
        places = read_table(path, source.id, place.encoding, place.delimiter)
    if source.coverage.kind == "file" and source.coverage.path is not None:
        path = find_file(files, source.coverage.path, source.id, "coverage.path")
        area = read_area(path, source, source.coverage.crs, source.fetch.crs)
    return _Tables(own, joined, places, area)


# ---------------------------------------------------------------------------------------------
# Faults


def _list_faults(
    trial: Trial, tables: _Tables, source: Source, shown: str
) -> Iterator[PadfinderError]:
    """Yield every fault that can be found without conforming the rows."""
    for rows, names, columns, file, key in _list_origins(tables, source, shown):
        try:
            require_columns(names, list(map(str, rows.columns)), file, source.id)
        except SourceChanged as error:
            yield error
        for name, origin in columns.items():
            unlisted = _find_unlisted(rows, origin)
            if len(unlisted):
                yield ContractError(
                    f"reading {file} for source {source.id!r}",
                    f"column {origin.column!r} holds {count_texts(unlisted)}, which the map of "
                    f"{name} does not list",
                    f"add them to {key}columns.{name}.map in sources/{source.id}.toml, or set "
                    f"{key}columns.{name}.other",
                )
    least = source.expect.rows_min
    if trial.row_count is not None and trial.row_count < least:
        yield SourceChanged(
            f"reading {shown} for source {source.id!r}",
            f"it has {trial.row_count:,} rows, at least {least:,} expected",
            f"look at the data; if they are right, lower expect.rows_min in "
            f"sources/{source.id}.toml",
            fault="shrunk",
        )


def _list_origins(
    tables: _Tables, source: Source, shown: str
) -> Iterator[tuple[pd.DataFrame, tuple[str, ...], dict[str, ColumnOrigin], str, str]]:
    """Yield each table with the columns that are read of it, its name, and the key's beginning."""
    yield tables.own, source.list_columns(), source.columns, shown, ""
    if source.join is not None and tables.joined is not None:
        join = source.join
        names = [name for origin in join.columns.values() for name in origin.source_columns]
        yield tables.joined, (join.key, *names), join.columns, join.path, "join."


def _find_unlisted(rows: pd.DataFrame, origin: ColumnOrigin) -> pd.Series:
    """Return the texts of a column that its map does not list."""
    if not origin.map or origin.other is not None or origin.column not in rows:
        return pd.Series(dtype="str")
    texts = text_values(rows[origin.column]).dropna()
    known = {*origin.map, *(str(marker).strip() for marker in origin.missing)}
    return texts[~texts.isin(known)]


def _conform(
    tables: _Tables, source: Source, layer: Layer, market: Market, shown: str
) -> tuple[gpd.GeoDataFrame, tuple[str, ...]]:
    conformed = conform_table(
        tables.own,
        source,
        layer,
        market,
        file=shown,
        joined=tables.joined,
        places=tables.places,
        area=tables.area,
    )
    return conformed.frame, conformed.notes


def _relax(source: Source, tables: _Tables) -> Source:
    """Return a declaration that asks for no more than the data hold, to show what fits."""
    have = set(map(str, tables.own.columns))
    everything = Expectations(
        null_geometry_share_max=1.0,
        stray_shapes_share_max=1.0,
        unreadable_share_max=1.0,
        shrink_share_max=1.0,
    )
    changed: dict[str, object] = {
        "columns": _keep_origins(source.columns, tables.own),
        "where": {},
        "drop": {name: texts for name, texts in source.drop.items() if name in have},
        "expect": everything,
    }
    if (join := source.join) is not None and tables.joined is not None:
        columns = _keep_origins(join.columns, tables.joined)
        is_possible = join.to in have and join.key in tables.joined
        relaxed = join.model_copy(update={"columns": columns, "partners_min": 0.0})
        changed["join"] = relaxed if is_possible else None
    return source.model_copy(update=changed)


def _keep_origins(columns: dict[str, ColumnOrigin], rows: pd.DataFrame) -> dict[str, ColumnOrigin]:
    """Return the origins whose columns are there; what their maps do not list is missing."""
    have = set(map(str, rows.columns))
    kept = {}
    for name, origin in columns.items():
        if not set(origin.source_columns) <= have:
            continue
        unlisted = tuple(sorted(_find_unlisted(rows, origin).unique()))
        kept[name] = origin.model_copy(update={"missing": (*origin.missing, *unlisted)})
    return kept


def _count_unclassified(trial: Trial, layer: Layer, land_use: Sequence[LandUse]) -> None:
    """Count the rows with a code to which no land-use table gives a class."""
    names = {"parcels": ("use_code", "use_scheme"), "zoning": ("zone_code", "zone_scheme")}
    name, scheme = names.get(layer.id, ("", ""))
    frame = trial.frame
    if frame is None or not {name, scheme, "jurisdiction"} <= set(frame.columns):
        return
    known = set()
    for table in land_use:
        meanings = table.use if layer.id == "parcels" else table.zone
        unfilled = set(table.list_unfilled())
        known |= {
            (table.jurisdiction, table.scheme, code) for code in meanings if code not in unfilled
        }
    rows = frame[frame[name].notna()]
    keys = zip(rows["jurisdiction"], rows[scheme], rows[name], strict=True)
    unknown = rows[name][[key not in known for key in keys]]
    counts = unknown.value_counts().sort_index()
    trial.unclassified = {str(code): int(count) for code, count in counts.items()}
