"""Write the declaration of a source from what was seen of its data."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely

from data.guess.catalogue import has_words, read_words, split_words
from data.guess.codes import Code, count_codes
from data.guess.columns import guess_columns
from data.guess.lines import Line, Table
from data.guess.naming import Context, find_column
from data.guess.second_table import SecondTable, describe_join, draft_join, find_join
from data.guess.shape_kinds import SHAPE_NAMES, count_kinds
from data.look import Dataset
from data.message_text import count_noun
from data.texts import text_values
from geo.errors import ConfigError, ContractError
from geo.model import Layer

SCHEME = "local"
_NOT_STATED = "not stated"
# What a column that is left out means for the map, by layer and column.
CONSEQUENCES: dict[str, dict[str, str]] = {
    "parcels": {
        "use_code": "zoning alone decides which parcels are sites, and someone may live on every "
        "other lot",
        "use_title": "the words of land_use.toml are shown instead",
        "address": "sites are listed by their id alone",
        "city": "no city is shown",
        "recorded_area_m2": "the drawn area is not compared with one on record",
        "building_area_m2": "where no footprints are given, the buildings' size is not known",
        "storeys": "where no footprints are given, the buildings' size is not known",
        "polygon_kind": "streets and water drawn as parcels are not told from lots",
    },
    "buildings": {"height_m": "how far buildings screen noise is judged at worst and at best"},
    "mains": {
        "diameter_in": "what a main can carry is not known",
        "pressure_class": "what a main can carry is not known, unless its pressure is",
        "pressure_kpa": "what a main can carry is not known, unless its pressure class is",
    },
    "substations": {"headroom_kw": "headroom is worked out from firm capacity and peak load"},
    "capacity": {"headroom_kw": "the records give no headroom"},
}


@dataclass(frozen=True)
class Draft:
    """The declaration of a source, for a person to review.

    Attributes:
        id: Its id.
        layer: The layer that it fills.
        tables: Its tables.
        missing: The columns of the layer that nothing was found for, with what follows.
        unused: The dataset's columns that become no column of the layer.
        remarks: What else a person should know.
        codes: The use or zoning codes in it.
    """

    id: str
    layer: str
    tables: tuple[Table, ...]
    missing: tuple[tuple[str, str], ...]
    unused: tuple[str, ...]
    remarks: tuple[str, ...]
    codes: tuple[Code, ...] = ()


# ---------------------------------------------------------------------------------------------
# One source


def draft_source(
    source_id: str,
    dataset: Dataset,
    layer: Layer,
    metric_crs: str,
    constants: Mapping[str, tuple[Any, str]],
    second: SecondTable | None = None,
    id_column: str | None = None,
) -> Draft:
    """Draft the declaration of a source.

    Args:
        source_id: Its id.
        dataset: The dataset.
        layer: The layer that it fills.
        metric_crs: The market's CRS, in which areas are measured.
        constants: Values that are the same in every row, with the reason, by column of the layer.
        second: A second table with more columns of the parcels.
        id_column: The column of ids, if a person names it.

    Returns:
        The draft.

    Raises:
        ConfigError: The dataset has no column called `id_column`.
        ContractError: No column tells parcels apart, or a second table shares no key with them.
    """
    columns = dataset.columns
    drawn_m2 = None
    if layer.geometry == ("polygon",):
        areas = shapely.area(dataset.rows.geometry.to_crs(metric_crs).to_numpy())
        drawn_m2 = pd.Series(areas, index=columns.index)
    joined = None
    _require_id_column(columns, id_column, dataset.name)
    context = Context(constants=constants, drawn_m2=drawn_m2, key=id_column)
    if second is not None:
        joined = find_join(columns, second, dataset.name)
        partners = frozenset(text_values(second.rows[joined.key]).dropna())
        context = Context(constants, drawn_m2, id_column or joined.to, partners)
    lines = guess_columns(columns, layer, context)
    _require_id(lines, layer, dataset)
    join: tuple[Table, ...] = ()
    remarks: list[str] = []
    if second is not None and joined is not None:
        found = {line.key for line in lines if not line.is_open}
        join, filled = draft_join(columns, second, joined, layer, found, drawn_m2)
        lines = tuple(line for line in lines if not (line.is_open and line.key in filled))
        remarks.append(describe_join(joined, second))
    if layer.id == "parcels":
        lines = _allow_no_use(lines, join)
    tables = (
        Table("", tuple(_head_lines(source_id, layer, dataset))),
        Table("fetch", dataset.fetch),
        *_draft_drop(columns, layer),
        Table("columns", lines),
        *join,
        *_draft_shapes(dataset, layer),
        Table("coverage", tuple(_coverage_lines(layer))),
        Table("expect", tuple(_expect_lines(dataset, layer))),
    )
    of_join = tuple(line for table in join for line in table.lines if table.name == "join.columns")
    used = _list_used((*lines, *of_join))
    more = tuple(second.rows.columns) if second is not None else ()
    unused = tuple(dict.fromkeys(str(one) for one in (*columns, *more) if str(one) not in used))
    return Draft(
        id=source_id,
        layer=layer.id,
        tables=tables,
        missing=tuple(_list_missing(layer, (*lines, *of_join))),
        unused=unused,
        remarks=(*remarks, *_list_remarks(dataset, layer, unused)),
        codes=_count_codes(lines, of_join, columns, second, layer),
    )


def _require_id_column(columns: pd.DataFrame, id_column: str | None, name: str) -> None:
    if id_column is None or id_column in columns:
        return
    raise ConfigError(
        "reading --parcel-id",
        f"{name} has no column {id_column!r}",
        f"name one of {', '.join(map(str, columns))}",
    )


def _require_id(lines: tuple[Line, ...], layer: Layer, dataset: Dataset) -> None:
    """Raise ContractError if no column tells the parcels apart."""
    if layer.id != "parcels" or not any(line.key == layer.key and line.is_open for line in lines):
        return
    listed = ", ".join(map(str, dataset.columns)) or "it has none"
    raise ContractError(
        "reading --parcels",
        f"no column of {dataset.name} tells the parcels apart: none has another value in most of "
        f"its {len(dataset.rows):,} rows ({listed})",
        "name the column of the assessor's ids with --parcel-id COLUMN; if there is none, ask the "
        "publisher for it, or give the table that has it in --parcels-table",
    )


def _head_lines(source_id: str, layer: Layer, dataset: Dataset) -> Iterator[Line]:
    yield Line("id", source_id)
    yield Line("layer", layer.id)
    title = split_words(re.sub(r"(?:\.[A-Za-z0-9]+)+$", "", dataset.name)).capitalize()
    yield Line("title", title if "://" not in dataset.name else layer.title, "the name for readers")
    yield Line("publisher", _NOT_STATED, "who publishes the data?")
    yield Line("licence", _NOT_STATED, "which license do they have?")
    yield Line("attribution", _NOT_STATED, "the credit that must be shown with the data")
    yield Line("redistribute", False, "true only if the license allows passing the data on")
    yield dataset.vintage


def _draft_drop(columns: pd.DataFrame, layer: Layer) -> tuple[Table, ...]:
    """Leave out the areas of a flood map that are outside the flood zone."""
    if layer.id != "exclusions":
        return ()
    for name in map(str, columns.columns):
        if split_words(name) in {"fld zone", "fldzone", "zone"}:
            texts = sorted(text_values(columns[name]).dropna().unique())
            outside = [text for text in texts if text.upper() in _OUTSIDE_FLOOD]
            if outside:
                why = "FEMA's zones outside the 100-year flood"
                return (Table("drop", (Line(name, outside, why),)),)
    return ()


_OUTSIDE_FLOOD = frozenset({"X", "C", "B", "D", "AREA NOT INCLUDED", "OPEN WATER"})


def _draft_shapes(dataset: Dataset, layer: Layer) -> tuple[Table, ...]:
    kinds = count_kinds(dataset)
    if "polygon" not in kinds or "polygon" in layer.geometry:
        return ()
    become = "point" if "point" in layer.geometry else "line"
    why = f"{count_noun(kinds['polygon'], 'area')} in a layer of {SHAPE_NAMES[become]}"
    return (Table("shapes", (Line("areas_as", become, why),)),)


def _coverage_lines(layer: Layer) -> Iterator[Line]:
    """Yield the most cautious coverage that is still of use."""
    if layer.id == "parcels":
        yield Line(
            "kind",
            "parcels",
            "the parcels' own ground and the streets between them. If you have the town's outline, "
            'write kind = "file" and its path',
        )
    elif layer.id == "zoning":
        yield Line("kind", "closed", "the zones' own ground, with gaps up to closed_m")
        yield Line("closed_m", 30.0)
    else:
        yield Line(
            "kind",
            "none",
            "nothing is taken to be absent anywhere. If the list is complete for the whole town, "
            'write kind = "parcels"; for another area, kind = "file" and its path',
        )
        yield Line("reason", "nobody has said yet where the list is complete")


def _expect_lines(dataset: Dataset, layer: Layer) -> Iterator[Line]:
    if dataset.row_count:
        least = max(round_down(0.8 * dataset.row_count), 1)
        yield Line("rows_min", least, f"some 80% of the {dataset.row_count:,} rows of today")
    shapes = dataset.rows.geometry
    if share := float((shapes.isna() | shapes.is_empty).mean()):
        why = f"rows without a shape today: {int((shapes.isna() | shapes.is_empty).sum()):,}"
        yield Line("null_geometry_share_max", _round_up(share), why)
    kinds = count_kinds(dataset)
    allowed = {*layer.geometry, *(("polygon",) if "polygon" not in layer.geometry else ())}
    stray = sum(count for kind, count in kinds.items() if kind not in allowed)
    if stray:
        why = f"rows with a shape of another kind today, which they lose: {stray:,}"
        yield Line("stray_shapes_share_max", _round_up(stray / len(shapes)), why)


def round_down(count: float) -> int:
    """Return a count with two digits and zeros, never higher.

    >>> round_down(10492.8), round_down(7.9)
    (10000, 7)
    """
    whole = int(count)
    step = int(10 ** max(len(str(whole)) - 2, 0))
    return whole // step * step


def _round_up(share: float) -> float:
    """Return a share in thousandths, with a tenth of itself as room."""
    return float(min(np.ceil(share * 1.1 * 1000) / 1000, 1.0))


def _allow_no_use(lines: tuple[Line, ...], join: tuple[Table, ...]) -> tuple[Line, ...]:
    """Declare that no parcel has a use code, if none was found."""
    of_join = {line.key for table in join for line in table.lines if table.name == "join.columns"}
    if "use_code" in of_join:
        return tuple(line for line in lines if line.key != "use_code")
    why = (
        'no column is named like a use code. With value = "" zoning alone decides which parcels '
        "are sites; name the column if there is one"
    )
    return tuple(
        Line("use_code", {"value": ""}, why) if line.key == "use_code" and line.is_open else line
        for line in lines
    )


# ---------------------------------------------------------------------------------------------
# What to tell


def _list_used(lines: tuple[Line, ...]) -> set[str]:
    return {str(line.value["column"]) for line in lines if "column" in line.value}


def _list_missing(layer: Layer, lines: tuple[Line, ...]) -> Iterator[tuple[str, str]]:
    have = {line.key for line in lines if not line.is_open and line.value != {"value": ""}}
    for name, follows in CONSEQUENCES.get(layer.id, {}).items():
        if name not in have:
            yield name, follows


def _list_remarks(dataset: Dataset, layer: Layer, unused: tuple[str, ...]) -> Iterator[str]:
    yield from dataset.says
    if layer.id == "parcels":
        owners = find_column(dataset.columns, "parcels", "owner", lambda values: len(values) > 0)
        if owners is not None and owners in unused:
            yield (
                f"owner: {owners} is left out, because names of people are not needed. Only a plan "
                "with join_owner reads them"
            )
    if not dataset.is_whole:
        seen, of = len(dataset.rows), dataset.row_count
        of_all = f" of {of:,}" if of else ""
        yield (
            f"only the first {seen:,} rows{of_all} were looked at: other codes may follow. "
            "`padfinder nightly` names each code without a class"
        )


def _count_codes(
    lines: tuple[Line, ...],
    of_join: tuple[Line, ...],
    columns: pd.DataFrame,
    second: SecondTable | None,
    layer: Layer,
) -> tuple[Code, ...]:
    """Count the use or zoning codes, with the words beside them."""
    name = {"parcels": "use_code", "zoning": "zone_code"}.get(layer.id)
    if name is None:
        return ()
    for origin, rows in ((lines, columns), (of_join, None if second is None else second.rows)):
        named = {line.key: line.value for line in origin if not line.is_open}
        if rows is None or "column" not in named.get(name, {}):
            continue
        title = named.get("use_title", {}).get("column")
        if layer.id == "zoning":
            title = find_column(
                rows.drop(columns=named[name]["column"]), "zoning", "words", _has_letters
            )
        return count_codes(rows[named[name]["column"]], [rows[title]] if title else [])
    return ()


def _has_letters(values: pd.Series) -> bool:
    known = text_values(values).dropna()
    return bool(known.str.contains(r"[A-Za-z]{3}").mean() >= 0.5)


def guess_kind(layer: Layer, dataset: Dataset) -> tuple[Any, str] | None:
    """Return the kind of everything in a dataset, from its name; None if the name says none.

    Args:
        layer: A layer with kinds.
        dataset: The dataset.

    Returns:
        The kind, and why.
    """
    if layer.kind_column is None and layer.id != "streets":
        return None
    column = layer.kind_column or "kind"
    words = split_words(dataset.name)
    joined = words.replace(" ", "")
    synonyms = read_words().values.get(column, {})  # noqa: PD011 (a field, not a frame's values)
    for kind in layer.columns[column].values:  # noqa: PD011
        written = (kind.replace("_", " "), *synonyms.get(kind, ()))
        for phrase in written:
            plain = split_words(phrase)
            if len(plain) > 3 and (has_words(words, plain) or plain.replace(" ", "") in joined):
                return kind, f"the name {dataset.name} says {phrase!r}"
    return None
