"""Convert a source's rows to a layer's columns, units, keys, shapes and CRS.

The functions are pure: they take tables and return tables. Whatever is left out or repaired is
counted in a note.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.coverage import find_coverage, list_coverage_faults
from data.group import group_rows
from data.join import join_columns
from data.locate import locate_rows
from data.message_text import count_noun, join_choices
from data.notes import RoutineNote
from data.personal import is_personal
from data.protocols.bounds import clip_to_bounds
from data.protocols.file import require_columns
from data.shapes import convert_shapes, drop_strays, split_points
from data.source import Source
from data.texts import text_values
from data.values import DTYPES, fill_down, read_column
from geo.errors import ConfigError, ContractError, Fault, SourceChanged
from geo.model import Layer, Market

# What a spreadsheet or a floating-point column makes of a long id.
_ROUNDED_ID = re.compile(r"\d(?:[.,]\d+)?e\+\d+", re.IGNORECASE)
_MAX_CODES = 12

# So few parcels may be one that is there several times.
FEW_PARCELS = 3


@dataclass(frozen=True)
class ConformedRows:
    """A layer's rows in the market's CRS, in an order that does not depend on the file's order.

    Attributes:
        frame: The rows.
        rows_in: How many rows the file has.
        coverage: Area inside which absence is a fact, in the market's CRS; None if not known.
        notes: What was done to the rows.
    """

    frame: gpd.GeoDataFrame
    rows_in: int
    coverage: shapely.Geometry | None
    notes: tuple[str, ...]


def conform_table(
    table: gpd.GeoDataFrame,
    source: Source,
    layer: Layer,
    market: Market,
    *,
    file: str,
    joined: pd.DataFrame | None = None,
    places: pd.DataFrame | None = None,
    area: gpd.GeoDataFrame | None = None,
) -> ConformedRows:
    """Return the rows of `table` as rows of `layer`, in the market's CRS.

    Args:
        table: The source's rows, in the CRS that it declares.
        source: The source's declaration.
        layer: The layer that it fills.
        market: The market, which has a metric CRS.
        file: Name of the source's file, for messages.
        joined: Rows of the declared join's file, as text.
        places: Rows of the declared place table, as text.
        area: Polygons of the declared coverage file, in any CRS.

    Returns:
        The conformed rows, their coverage, and notes on what was done.

    Raises:
        ConfigError: The source declares a column that the layer does not have.
        SourceChanged: The file lacks a declared column, or has too few or too many rows.
        ContractError: Values or shapes are not as the source declares.
    """
    _check_declared_columns(source, layer)
    rows_in = len(table)
    if rows_in == 0:
        raise _source_changed(source, file, f"{file} is an empty layer: 0 rows", fault="shrunk")
    _check_file_columns(table, source, file)
    filled, notes = fill_down(table, source.columns)
    rows, more_notes = _filter_rows(gpd.GeoDataFrame(filled), source, file)
    notes += more_notes
    values: dict[str, pd.Series] = {}
    for name, origin in source.columns.items():
        values[name], more_notes = read_column(
            rows, name, origin, layer.columns[name], source, file
        )
        notes += more_notes
        if name == layer.key:
            _check_digits(values[name], str(origin.column), source, file)
    if source.join is not None and joined is not None:
        joined_values, more_notes = join_columns(rows, joined, source, layer)
        values |= joined_values
        notes += more_notes
    _check_keys(values, source, layer, file)
    columns = {
        name: values.get(name, pd.Series(None, index=rows.index, dtype=DTYPES[column.type]))
        for name, column in layer.columns.items()
        if name in values or not column.required
    }
    frame = gpd.GeoDataFrame(columns, index=rows.index, geometry=rows.geometry)
    frame = frame.set_crs(source.fetch.crs, allow_override=True)
    if source.group is not None:
        is_filled_down = any(origin.fill_down for origin in source.columns.values())
        frame, more_notes = group_rows(
            frame if is_filled_down else _sort_rows(frame, layer), source
        )
        notes += more_notes
    if source.place is not None and places is not None:
        frame, more_notes = locate_rows(frame, places, source)
        notes += more_notes
    shapes, more_notes = convert_shapes(frame, source, layer, market, file)
    notes += more_notes
    frame = frame.set_geometry(shapes)
    frame, more_notes = split_points(frame, source, layer, file)
    notes += more_notes
    frame, more_notes = drop_strays(frame, source, layer, file)
    notes += more_notes
    _check_row_count(len(frame), source, file)
    frame = _sort_rows(frame, layer)
    notes += _note_repeats(frame, layer)
    coverage, more_notes = find_coverage(frame, source, layer, market, area)
    coverage = clip_to_bounds(coverage, source, market.crs)
    notes += more_notes
    # Two columns of the layer may come from the same column of the source, with the same notes.
    unique_notes = tuple(dict.fromkeys(notes))
    return ConformedRows(frame, rows_in, coverage, unique_notes)


# ---------------------------------------------------------------------------------------------
# Rows and columns


def _check_declared_columns(source: Source, layer: Layer) -> None:
    """Raise ConfigError for a column that the layer lacks, or an option that its type forbids."""
    joined = list(source.join.columns) if source.join else []
    counted = [source.join.count_as] if source.join and source.join.count_as else []
    for name in [*source.columns, *joined, *counted]:
        if name in layer.columns:
            continue
        near = get_close_matches(name, list(layer.columns), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else f" (it has {list(layer.columns)})"
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"layer {layer.id!r} has no column {name!r}{hint}",
            "name a column of geo/catalogue/layers.toml",
        )

    for wrong, remedy in list_coverage_faults(source, layer):
        raise ConfigError(f"reading sources/{source.id}.toml", wrong, remedy)
    joins = source.join.columns.items() if source.join else ()
    for name, origin in [*source.columns.items(), *joins]:
        column_type = layer.columns[name].type
        if origin.number_options and column_type not in {"float", "integer"}:
            raise ConfigError(
                f"reading sources/{source.id}.toml",
                f"columns.{name} is a {column_type} and takes no {origin.number_options[0]}",
                "leave it out, or name another column",
            )
        if origin.range and (ends := layer.columns[name].range_columns):
            raise ConfigError(
                f"reading sources/{source.id}.toml",
                f"columns.{name} is one number and takes no range",
                f'declare {ends[0]} with range = "low" and {ends[1]} with range = "high"',
            )


def _check_file_columns(table: gpd.GeoDataFrame, source: Source, file: str) -> None:
    """Raise SourceChanged if the file lacks a declared column."""
    file_columns = [str(name) for name in table.columns if name != table.geometry.name]
    require_columns(source.list_columns(), file_columns, file, source.id)


def _check_digits(ids: pd.Series, column: str, source: Source, file: str) -> None:
    """Raise ContractError for ids that were turned into numbers without their last digits."""
    is_cut = ids.astype("str").str.fullmatch(_ROUNDED_ID).fillna(False).astype(bool)
    if is_cut.any():
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"column {column!r}: {count_noun(int(is_cut.sum()), 'id')} of {len(ids)} "
            f"lost digits, such as {ids[is_cut].iloc[0]!r}",
            "export the column as text, with every digit",
        )


def _check_keys(values: dict[str, pd.Series], source: Source, layer: Layer, file: str) -> None:
    """Raise SourceChanged if the ids of parcels are all missing, or all the same.

    The selection would otherwise leave out every lot, as one without an id or as a duplicate.
    """
    if layer.id != "parcels" or layer.key is None or layer.key not in values:
        return
    known = values[layer.key].dropna()
    count = count_noun(len(values[layer.key]), "row")
    if known.empty and len(values[layer.key]):
        wrong = f"{layer.key} is missing in each of {count}"
    elif len(known) > FEW_PARCELS and bool((known == known.iloc[0]).all()):
        wrong = f"{layer.key} is {known.iloc[0]!r} in each of {count}"
    else:
        return
    raise SourceChanged(
        f"reading {file} for source {source.id!r}",
        f"{file}: {wrong}",
        f"name another column in columns.{layer.key}.column of sources/{source.id}.toml",
    )


def _filter_rows(
    table: gpd.GeoDataFrame, source: Source, file: str
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Return the rows that pass `where` and `drop`; an empty text in either means missing."""
    notes: list[str] = []
    rows = table
    for name, wanted in source.where.items():
        is_wanted = text_values(rows[name]).fillna("").isin(wanted)
        if not is_wanted.any():
            held = _show_codes(text_values(rows[name]))
            holds = f"in {list(wanted)}; it holds {held}"
            raise _source_changed(
                source,
                file,
                f"no row has {name} {'as declared' if is_personal(name) else holds}",
                f"look at the file; if it is right, correct where.{name}",
            )
        if not is_wanted.all():
            count = count_noun(int((~is_wanted).sum()), "row")
            notes.append(RoutineNote(f"{count} left out: another {name}"))
        rows = rows[is_wanted]
    for name, unwanted in source.drop.items():
        is_unwanted = text_values(rows[name]).fillna("").isin(unwanted)
        if is_unwanted.any():
            count = count_noun(int(is_unwanted.sum()), "row")
            why = f"by {name}" if is_personal(name) else f"{name} is {join_choices(unwanted)}"
            notes.append(RoutineNote(f"{count} left out: {why}"))
        rows = rows[~is_unwanted]
    return rows, notes


def _show_codes(texts: pd.Series) -> str:
    """Return the values of a column of codes; of another column, only how many there are.

    A column whose values hardly repeat may hold people's names, whatever it is called.
    """
    known = texts.dropna()
    held = sorted(known.unique())
    if len(held) > len(known) / 2:
        return count_noun(len(held), "other value")
    more = f" and {len(held) - _MAX_CODES} more" if len(held) > _MAX_CODES else ""
    return f"{held[:_MAX_CODES]}{more}"


# ---------------------------------------------------------------------------------------------
# Order and number of rows


def _sort_rows(frame: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    """Sort rows by their key, shape and other values, so that a shuffled file gives the same rows.

    The texts of shapes and values take much memory, so only rows with the same key are compared
    by them.
    """
    is_tied = np.ones(len(frame), dtype=bool)
    order = np.arange(len(frame))
    if layer.key is not None and layer.key in frame.columns:
        keys = frame[layer.key].astype("str").reset_index(drop=True)
        is_tied = keys.duplicated(keep=False).to_numpy()
        order = keys.sort_values(kind="stable", na_position="last").index.to_numpy(copy=True)
    # Rows with the same key are next to each other, so they are sorted within their own places.
    order[is_tied[order]] = np.flatnonzero(is_tied)[_order_by_all(frame[is_tied], layer)]
    return frame.iloc[order].reset_index(drop=True)


def _order_by_all(frame: gpd.GeoDataFrame, layer: Layer) -> np.ndarray:
    """Return the numbers of the rows in the order of their key, then shape, then other values."""
    texts = pd.DataFrame({"shape": frame.geometry.to_wkb().to_numpy()})
    names = [name for name in layer.columns if name in frame.columns]
    for name in names:
        texts[name] = frame[name].astype("str").to_numpy()
    key = [layer.key] if layer.key in names else []
    ordered = texts.sort_values([*key, "shape", *names], kind="stable", na_position="last")
    return ordered.index.to_numpy()


def _note_repeats(frame: gpd.GeoDataFrame, layer: Layer) -> list[str]:
    """Return a note on rows that are there twice: same key and same ground, or all the same.

    Repeated parcels are counted by a rule of the selection, which also sets them aside. Only rows
    with the same bounds are compared, because the texts of shapes take much memory.
    """
    if layer.id == "parcels":
        return []
    names = [name for name in layer.columns if name in frame.columns]
    by = [layer.key] if layer.key in names else names
    rows = frame[frame.bounds.duplicated(keep=False)]
    texts = rows[by].astype("str").reset_index(drop=True)
    texts["shape"] = shapely.to_wkb(shapely.normalize(rows.geometry.to_numpy()))
    repeats = int(texts.duplicated().sum())
    if not repeats:
        return []
    same = "same id, same place" if layer.key in names else "the same in every column"
    verb = "repeats" if repeats == 1 else "repeat"
    return [f"{count_noun(repeats, 'row')} that {verb} an earlier row ({same})"]


def _check_row_count(rows: int, source: Source, file: str) -> None:
    """Raise SourceChanged for fewer or more rows than expected."""
    expect = source.expect
    if rows < expect.rows_min:
        raise _source_changed(
            source,
            file,
            f"{rows} rows are left, at least {expect.rows_min} expected",
            "look at the file; if it is right, lower expect.rows_min",
            "shrunk",
        )
    if expect.rows_max is not None and rows > expect.rows_max:
        raise _source_changed(
            source,
            file,
            f"{rows} rows are left, at most {expect.rows_max} expected",
            "look at the file; if it is right, raise expect.rows_max",
        )


def _source_changed(
    source: Source,
    file: str,
    wrong: str,
    remedy: str = "look at the file; if it is right, correct its declaration",
    fault: Fault = "changed",
) -> SourceChanged:
    return SourceChanged(
        f"reading {file} for source {source.id!r}",
        wrong if file in wrong else f"{file}: {wrong}",
        f"{remedy} in sources/{source.id}.toml",
        fault=fault,
    )
