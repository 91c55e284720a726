"""Pull a dataset of an Opendatasoft portal by its export, which has no limit of rows.

Its `records` give at most 10,000 rows, and are only asked how many there are.
"""

import datetime as dt
import json
import re
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pyogrio

from data.ask import ask_json, download
from data.connection import Connection, refuse_answer
from data.message_text import count_noun
from data.protocols.features import FEATURE_ID
from data.protocols.kept import digest_request, read_kept, write_kept
from data.protocols.kept_file import count_csv_rows, mask_keys, read_first_rows
from data.protocols.parts import GEOMETRY, write_part
from data.protocols.pulled import Preview, Protocol, Pulled
from data.protocols.refusal import first_line, join_names
from data.protocols.sorted_parts import sort_parts
from data.source import Source
from geo.addresses import show_address
from geo.errors import ConfigError, SourceChanged, SourceDown

_ROOT = re.compile(r"^https?://[^/?#]+")
# The API's own address of a dataset, and that of its page.
_PLACES = (re.compile(r"/catalog/datasets/([^/?#]+)"), re.compile(r"/dataset/([^/?#]+)"))
_ROWS_AT_ONCE = 10_000
# So many datasets are listed where the declared one is not there.
_LISTED_MOST = 100


class Dataset(NamedTuple):
    """A dataset, and how its rows are asked for.

    Attributes:
        address: The address of its description in the API, as declared apart from the path.
        query: The query of the declared address, without the question mark.
        title: Its title.
        types: The type of each column.
        version: When it was changed and processed.
        where: Which rows are asked for, in the portal's own language.
    """

    address: str
    query: str
    title: str
    types: dict[str, str]
    version: dict[str, str]
    where: str

    def name(self, path: str) -> str:
        """Return an address below the dataset's own, with the declared query."""
        return f"{self.address}{path}{'?' if self.query else ''}{self.query}"

    @property
    def parameters(self) -> dict[str, str]:
        """Return the parameters that choose rows."""
        return {"where": self.where} if self.where else {}


def pull(connection: Connection, source: Source, folder: Path, night: dt.date) -> Pulled:
    """Pull all rows of a dataset.

    Args:
        connection: The connection.
        source: The source.
        folder: The folder kept for the source.
        night: The night.

    Returns:
        The file with all rows: GeoParquet, or CSV if the dataset has no shapes.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not whole, or not what the source declares.
        ConfigError: The declared address is not that of a dataset.
    """
    dataset = _read_dataset(connection, source)
    asked = digest_request(source)
    kept = read_kept(folder, asked, night)
    if kept is not None and dataset.version and kept.version == dataset.version:
        return Pulled(kept.file, dataset.address, kept.notes)
    count = _count_rows(connection, dataset)
    file = _export(connection, source, dataset, folder, None, count)
    write_kept(folder, asked, night, file, dataset.version)
    return Pulled(file, dataset.address)


def preview(connection: Connection, source: Source, rows: int) -> Preview:
    """Ask for the first rows of a dataset.

    Args:
        connection: The connection.
        source: The source.
        rows: How many rows to ask for.

    Returns:
        What the server says, and the rows.

    Raises:
        SourceDown: The server does not answer.
        SourceChanged: Its answer is not what the source declares.
        ConfigError: The declared address is not that of a dataset.
    """
    dataset = _read_dataset(connection, source)
    count = _count_rows(connection, dataset)
    with TemporaryDirectory(prefix="padfinder-") as folder:
        file = _export(connection, source, dataset, Path(folder), rows, min(rows, count))
        frame = read_first_rows(file, source, rows)
    changed = dataset.version.get("modified") or dataset.version.get("data_processed")
    says = [f"title: {dataset.title}"] + ([f"modified: {changed}"] if changed else [])
    return Preview(frame, count, dataset.types, tuple(says))


PROTOCOL = Protocol(pull, preview)


# ---------------------------------------------------------------------------------------------
# The dataset


def _read_dataset(connection: Connection, source: Source) -> Dataset:
    """Read what a portal says of a dataset."""
    declared, _, query = (source.fetch.url or "").partition("?")
    root = _ROOT.match(declared)
    name = next((match[1] for place in _PLACES if (match := place.search(declared))), None)
    if root is None or name is None:
        raise ConfigError(
            f"reading sources/{source.id}.toml",
            f"fetch.url = {connection.hide(show_address(declared))} is not a dataset's address",
            "give it as https://HOST/api/explore/v2.1/catalog/datasets/NAME",
        )
    catalog = f"{root[0]}/api/explore/v2.1/catalog/datasets"
    address = f"{catalog}/{name}"
    asked = f"{address}?{query}" if query else address
    try:
        document = ask_json(connection, asked)
    except SourceChanged as error:
        if error.fault != "gone":
            raise
        listed = _list_near(connection, f"{catalog}?{query}" if query else catalog, name)
        raise SourceChanged(
            error.doing,
            f"{error.wrong}: there is no dataset {name!r}{listed}",
            error.remedy,
            fault="gone",
        ) from None
    metas = _read_metas(document)
    version = {key: str(metas[key]) for key in ("modified", "data_processed") if metas.get(key)}
    types = {
        str(field.get("name")): str(field.get("type"))
        for field in document.get("fields") or []
        if isinstance(field, dict)
    }
    return Dataset(
        address, query, str(metas.get("title") or name), types, version, _choose_rows(source, types)
    )


def _read_metas(document: Mapping[str, Any]) -> Mapping[str, Any]:
    metas = document.get("metas")
    default = metas.get("default") if isinstance(metas, dict) else None
    return default if isinstance(default, dict) else {}


def _list_near(connection: Connection, catalog: str, name: str) -> str:
    """Return the names of datasets that there are, the most similar ones first; "" if unknown."""
    try:
        document = ask_json(connection, catalog, {"limit": str(_LISTED_MOST)})
    except (SourceChanged, SourceDown):
        return ""
    results = [one for one in document.get("results") or [] if isinstance(one, dict)]
    names = [str(one["dataset_id"]) for one in results if "dataset_id" in one]
    near = get_close_matches(name, names, n=5, cutoff=0.4)
    listed = connection.hide(join_names([*near, *(one for one in names if one not in near)]))
    return f"; the portal has {listed}" if listed else ""


def _choose_rows(source: Source, types: Mapping[str, str]) -> str:
    """Return the condition for the rows: the declared filter, and the bounds."""
    conditions = [f"({source.fetch.filter})"] if source.fetch.filter else []
    if source.fetch.bounds is not None:
        west, south, east, north = (f"{degree:.9g}" for degree in source.fetch.bounds)
        by_type = {kind: name for name, kind in types.items()}
        if shape := by_type.get("geo_shape"):
            corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
            ring = ", ".join(f"{x} {y}" for x, y in corners)
            conditions.append(f"intersects(`{shape}`, geom'POLYGON(({ring}))')")
        elif point := by_type.get("geo_point_2d"):
            conditions.append(f"in_bbox(`{point}`, {south}, {west}, {north}, {east})")
    return " and ".join(conditions)


def _count_rows(connection: Connection, dataset: Dataset) -> int:
    """Return how many rows the portal says there are."""
    parameters = {"limit": "0", **dataset.parameters}
    count = ask_json(connection, dataset.name("/records"), parameters).get("total_count")
    if not isinstance(count, int):
        shown = connection.hide(show_address(dataset.address))
        raise refuse_answer(connection, f"{shown}/records does not say how many rows there are")
    if not count:
        shown = connection.hide(show_address(dataset.address))
        raise SourceChanged(
            connection.doing,
            f"{shown} is an empty layer: 0 rows",
            f"correct fetch.filter and fetch.bounds in sources/{connection.source_id}.toml if it "
            "has some; if not, remove the source",
            fault="shrunk",
        )
    return count


# ---------------------------------------------------------------------------------------------
# The export


def _export(
    connection: Connection,
    source: Source,
    dataset: Dataset,
    folder: Path,
    rows: int | None,
    due: int,
) -> Path:
    """Download an export, and return the file that holds its rows, which must be `due`."""
    has_shapes = any(kind.startswith("geo_") for kind in dataset.types.values())
    fetch = source.fetch
    is_table = not has_shapes or fetch.x is not None or fetch.wkt is not None
    kind = "csv" if is_table else "geojson"
    parameters = dict(dataset.parameters)
    if rows is not None:
        parameters["limit"] = str(rows)
    if is_table:
        parameters |= {"delimiter": fetch.delimiter, "use_labels": "false"}
    answer = folder / f"answer.{kind}"
    address = dataset.name(f"/exports/{kind}")
    shown = connection.hide(show_address(address))
    download(connection, _add_parameters(address, parameters), answer)
    mask_keys(answer, source)
    if is_table:
        count, file = count_csv_rows(answer, source), folder / "rows.csv"
        _check_count(connection, dataset, count, due, rows)
        answer.replace(file)
        return file
    file = folder / "rows.parquet"
    count = _sort_features(connection, source, answer, file, shown)
    _check_count(connection, dataset, count, due, rows)
    answer.unlink()
    return file


def _add_parameters(address: str, parameters: Mapping[str, str]) -> str:
    """Return an address with more parameters, and its own ${NAME} as they are."""
    added = str(httpx.QueryParams(parameters))
    if not added:
        return address
    return f"{address}{'&' if '?' in address else '?'}{added}"


def _check_count(
    connection: Connection, dataset: Dataset, count: int, due: int, rows: int | None
) -> None:
    """Raise an error unless as many rows came as the portal says there are."""
    if count == due:
        return
    shown = connection.hide(show_address(dataset.address))
    wrong = f"{shown} says that it has {count_noun(due, 'row')}, but its export has {count:,}"
    if rows is None and _count_rows(connection, dataset) == count:
        remedy = "try again later; the last good snapshot stays in use"
        raise SourceDown(connection.doing, f"{wrong}: it changed while it was pulled", remedy)
    raise SourceChanged(
        connection.doing,
        wrong,
        "try again later; if it stays so, tell the publisher "
        f"(sources/{connection.source_id}.toml)",
    )


def _sort_features(
    connection: Connection, source: Source, answer: Path, file: Path, shown: str
) -> int:
    """Write the features of an export as sorted rows, some at a time; return their number.

    A portal does not keep to an order, and the same rows shall give the same bytes.
    """
    parts: list[Path] = []
    with TemporaryDirectory(dir=file.parent, prefix="parts-") as folder:
        try:
            with (
                warnings.catch_warnings(),
                pyogrio.open_arrow(answer, batch_size=_ROWS_AT_ONCE, use_pyarrow=True) as opened,
            ):
                warnings.simplefilter("ignore")
                meta, reader = opened
                for batch in reader:
                    part = Path(folder) / f"{len(parts):06}.parquet"
                    name = meta["geometry_name"] or "wkb_geometry"
                    write_part(part, _plain_rows(pa.Table.from_batches([batch]), name))
                    parts.append(part)
        except (
            pyogrio.errors.DataSourceError,
            RuntimeError,
            ValueError,
            pa.ArrowException,
        ) as error:
            said = connection.hide(first_line(error).replace(str(answer), "it"))
            wrong = f"{shown} answers with what is cut off or not GeoJSON ({said})"
            raise refuse_answer(connection, wrong) from error
        if not parts:
            raise refuse_answer(connection, f"{shown} holds no feature")
        return sort_parts(parts, file, source.fetch.crs, FEATURE_ID)


def _plain_rows(rows: pa.Table, shapes: str) -> pa.Table:
    """Return rows with their shapes in `geometry`, and lists as JSON text."""
    columns: dict[str, pa.Array] = {}
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        if name == shapes:
            continue
        if pa.types.is_nested(column.type):
            texts = [None if one is None else json.dumps(one) for one in column.to_pylist()]
            column = pa.array(texts, pa.string())
        columns[name] = column
    columns.pop(GEOMETRY, None)
    columns[FEATURE_ID] = pa.nulls(len(rows), pa.string())
    shape = rows[shapes].combine_chunks() if shapes in rows.column_names else None
    empty = pa.nulls(len(rows), pa.binary())
    columns[GEOMETRY] = empty if shape is None else shape.cast(pa.binary())
    return pa.table(columns)
