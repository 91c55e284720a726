"""A source: one public dataset, declared in a TOML file."""

import datetime as dt
from typing import Annotated, ClassVar, Literal, Self

import pyproj
from pydantic import Field, PrivateAttr, model_validator

from data.fetch_options import FetchOptions
from geo.contract.units import UNITS
from geo.model import Degrees, Frozen, Share

# Options that only apply to a column of the source, not to a constant value.
_COLUMN_OPTIONS = (
    "missing", "map", "other", "rename", "units", "unit_column", "rating", "fraction", "range",
    "date_was", "least", "most", "twin", "times", "fill_down",
)  # fmt: skip


class ColumnOrigin(Frozen):
    """How one column of the layer is derived from the source's columns.

    Give exactly one of `column` and `value`. The options are applied in the order in which they
    are listed here. The snapshot's notes count what was filled, renamed, read back from a date,
    unreadable or taken as missing.

    Attributes:
        column: The source's name for the column.
        value: The same value for every row, in `unit`.
        fill_down: Whether a blank takes the value above it, as in the merged cells of a workbook.
        missing: Texts that mean "not known".
        map: The layer's word for each code. A code that is not listed is an error, unless `other`
            is given.
        other: The layer's word for every code that `map` does not list.
        rename: Other spellings of a name. A name that is not listed stays as it is.
        unit: The source's unit.
        units: Unit texts that may follow a number ("60 psig", "7 in WC"), each with its unit in
            geo.contract.units; "" is for a number without a unit. Any other text is unreadable.
        unit_column: Column of the source with the unit text of each number, instead of text that
            follows it. A number without a unit, or with one that `missing` lists, is missing.
        rating: For several stages in one text, "20/26.67/33.33" or "115-13.8": whether to take the
            highest or the first. A rating is unreadable if any stage is unreadable.
        fraction: Whether a number may be a fraction of a ruler: 3/4, 1-1/4, 1 1/4.
        range: For a text that may be a range, such as "250 - 500 kW" or "> 2000": which end to
            take. An open end is missing; a single number is both ends.
        date_was: Date format with which a spreadsheet misread a rating or a fraction and turned it
            into a date ("%m/%d/%y": 12/16/20 became 2020-12-16). Such dates are turned back.
        twin: Column of the source that shows whether a 0 is real: a 0 is missing if the twin is
            empty in the same row.
        least: A lower value is taken as missing. In the layer's unit.
        most: A higher value is taken as missing. In the layer's unit.
        times: Column of the source to multiply by (three banks of 5 MVA are 15 MVA).
        date_format: Format of a date in text; ISO 8601 by default. `epoch_ms`: milliseconds since
            1970, as feature servers give dates; `epoch_s`: seconds. A date before 1900 is taken as
            missing.
        fold: How the values of several rows are combined, in a join or a group. `first` is the
            first known value.
    """

    ascending: ClassVar = (("least", "most"),)

    column: str | None = None
    value: str | float | None = None
    fill_down: bool = False
    missing: tuple[str | float, ...] = ()
    map: dict[str, str] = {}
    other: str | None = None
    rename: dict[str, str] = {}
    unit: str | None = None
    units: dict[str, str] = {}
    unit_column: str | None = None
    rating: Literal["max", "first"] | None = None
    fraction: bool = False
    range: Literal["low", "high"] | None = None
    date_was: str | None = None
    twin: str | None = None
    least: float | None = None
    most: float | None = None
    times: str | None = None
    date_format: str | None = None
    fold: Literal["first", "sum", "min", "max"] = "first"

    @model_validator(mode="after")
    def _check_one_origin(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either column or value")
        if self.column is None:
            for name in _COLUMN_OPTIONS:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} applies to a column of the source, not to a value")
        return self

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.units and self.unit:
            raise ValueError("give either unit or units")
        if self.unit_column is not None and not self.units:
            raise ValueError("unit_column needs units, which say what its texts mean")
        if unknown := sorted(set(self.units.values()) - set(UNITS)):
            raise ValueError(f"units: {unknown[0]!r} is not a known unit")
        if sum(bool(one) for one in (self.rating, self.fraction, self.range)) > 1:
            raise ValueError("give only one of rating, fraction and range")
        if self.date_was is not None and not (self.rating or self.fraction):
            raise ValueError("date_was applies to a rating or a fraction: give one of them too")
        if self.map and self.rename:
            raise ValueError("give either map or rename")
        return self

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Return every column of the source that is read."""
        names = (self.column, self.unit_column, self.twin, self.times)
        return tuple(name for name in names if name is not None)

    @property
    def number_options(self) -> tuple[str, ...]:
        """Return the declared options that only a number can have."""
        names = ("units", "rating", "fraction", "range", "twin", "least", "most", "times")
        declared = [name for name in names if getattr(self, name) not in (None, False, {})]
        return (*declared, *(("fold = sum",) if self.fold == "sum" else ()))


class JoinedTable(Frozen):
    """A second table that shares a key with the first; rows with the same key are combined.

    Attributes:
        path: The table's file, a CSV.
        key: Its column with the key.
        to: The first table's column with the key.
        encoding: Text encoding of the file.
        delimiter: Character between its columns.
        columns: The layer's columns that come from the table.
        count_as: The layer's column that gets the number of combined rows.
        partners_min: The least share of the first table's rows with a key that must find a row.
    """

    path: str
    key: str
    to: str
    encoding: str = "utf-8"
    delimiter: str = ","
    columns: dict[str, ColumnOrigin]
    count_as: str | None = None
    partners_min: Share = 0.5


class Grouping(Frozen):
    """How the rows about one thing are combined into one row.

    Each column is combined according to its own `fold`, and a joined column by `first`; the shape
    is the first known shape. A sum with a missing part is missing, unlike a sum in a join. If no
    column is filled down, the rows are sorted first, so that `first` does not depend on the file's
    order.

    Attributes:
        by: The layer's column that has the same value in all rows about one thing.
    """

    by: str


class PlaceTable(Frozen):
    """A second table with the locations of things, for rows without coordinates.

    Blanks around a key are ignored. If several rows have the same key, the row farthest west is
    used, and the farthest south of those.

    Attributes:
        path: The table's file, a CSV.
        key: Its column with the key.
        to: The layer's column with the key.
        x: Its column with the x coordinate.
        y: Its column with the y coordinate.
        crs: CRS of x and y, if it is not fetch.crs.
        encoding: Text encoding of the file.
        delimiter: Character between its columns.
        decimal: Decimal mark of its numbers.
    """

    path: str
    key: str
    to: str
    x: str
    y: str
    crs: str | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."

    @model_validator(mode="after")
    def _check_crs(self) -> Self:
        try:
            pyproj.CRS.from_user_input(self.crs or "EPSG:4326")
        except pyproj.exceptions.CRSError:
            raise ValueError(f"crs = {self.crs!r} is not known: write it as EPSG:2249") from None
        return self


class Coverage(Frozen):
    """The area inside which the source is complete, so that absence is a fact.

    Attributes:
        kind: `bounds`: the box around the rows; `hull`: their convex hull; `closed`: the rows'
            shapes, with gaps up to `closed_m` between them; `parcels`: where the market's parcels
            are complete (for a source of parcels: its own shapes, closed over 60 m unless
            `closed_m` is given); `file`: the polygons of a file; `none`: not known, so that absence
            is never a fact.
        path: The file of polygons.
        crs: CRS of that file, if it is neither the file's own CRS nor fetch.crs.
        closed_m: The widest gap between shapes that `closed` and `parcels` still cover.
        sliver_m: Gaps between the polygons of `file` that are narrower than this are closed.
        kinds: The kinds of things that are complete here, such as flood and wetland, in a layer
            whose kinds are known separately (exclusions and receptors). A kind without any row
            counts as absent only if it is listed. Without a list: the kinds of the rows. For a
            source of parcels: the receptors, apart from homes and businesses, of which the use
            codes show every one; without a list: none.
        together_with: Other sources without which none of its kinds is complete, such as the
            private schools beside the public ones.
        reason: Why the coverage is not known, for readers.
    """

    kind: Literal["bounds", "hull", "closed", "parcels", "file", "none"]
    path: str | None = None
    crs: str | None = None
    closed_m: Annotated[float, Field(gt=0)] | None = None
    sliver_m: Annotated[float, Field(ge=0)] = 1.0
    kinds: tuple[str, ...] | None = None
    together_with: tuple[str, ...] = ()
    reason: str = ""

    @model_validator(mode="after")
    def _check_closed_m(self) -> Self:
        if self.kind == "closed" and self.closed_m is None:
            raise ValueError('kind = "closed" needs closed_m, the widest gap that it covers')
        if self.closed_m is not None and self.kind not in {"closed", "parcels"}:
            raise ValueError('closed_m applies to the kinds "closed" and "parcels" only')
        return self


class Shapes(Frozen):
    """What becomes of shapes of another kind than the layer's.

    Attributes:
        areas_as: For a layer of points, or of lines, whose source draws areas: `point` takes a
            point inside each; `line` takes the line midway between the sides of a corridor.
    """

    areas_as: Literal["point", "line"] | None = None


class Expectations(Frozen):
    """Limits for the source's content; outside them, a person must decide what to do.

    Attributes:
        rows_min: The smallest number of rows of the layer.
        rows_max: The largest number of rows of the layer.
        null_geometry_share_max: The largest share of rows without geometry.
        stray_shapes_share_max: The largest share of rows with a shape of another kind than the
            layer's. They lose their shape, and are counted.
        unreadable_share_max: The largest share of unreadable values in a column.
        shrink_share_max: The largest share of rows that may disappear from one night to the next.
        age_days_max: The greatest age of the data (`vintage`) on the night of a run, in days. Older
            data are still used, and are called stale. By default no limit is declared.
    """

    rows_min: Annotated[int, Field(ge=1)] = 1
    rows_max: int | None = None
    null_geometry_share_max: Share = 0.0
    stray_shapes_share_max: Share = 0.0
    unreadable_share_max: Share = 0.0
    shrink_share_max: Share = 0.2
    age_days_max: Annotated[int, Field(ge=1)] | None = None


class Source(Frozen):
    """One public dataset: what it is, where it is, and how its columns become a layer's.

    Rows go through `where` and `drop`, the columns and the join, then `group`, then `place`.

    Attributes:
        id: Name of the source and of its file.
        layer: The layer that the source fills.
        title: Name of the dataset, for readers.
        publisher: Who publishes it.
        licence: Its license.
        attribution: The credit text that must be shown with the data.
        redistribute: Whether the license allows passing the data on.
        vintage: Date of the data.
        verified: Date on which the declaration was last held against the publisher's own file or
            answer; `"never, no answer was seen"` if it was written from documentation alone; None
            if nobody says.
        note: What a reader should know.
        fetch: Where the data are and how to read them.
        columns: The layer's columns that come from the source.
        where: Values to keep, by column of the source; "" means missing.
        drop: Values to leave out, by column of the source; "" means missing.
        join: A second table with more columns.
        group: Which rows are combined into one.
        place: A second table with the locations of things.
        shapes: What becomes of shapes of another kind than the layer's.
        coverage: The area inside which the layer is complete.
        expect: Limits for the source's content.
    """

    id: str
    layer: str
    title: str
    publisher: str
    licence: str
    attribution: str
    redistribute: bool
    vintage: dt.date
    verified: dt.date | Literal["never, no answer was seen"] | None = None
    note: str = ""
    fetch: FetchOptions
    columns: dict[str, ColumnOrigin] = {}
    where: dict[str, tuple[str, ...]] = {}
    drop: dict[str, tuple[str, ...]] = {}
    join: JoinedTable | None = None
    group: Grouping | None = None
    place: PlaceTable | None = None
    shapes: Shapes = Shapes()
    coverage: Coverage
    expect: Expectations = Expectations()
    _file: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        for key, name in (
            ("group.by", self.group and self.group.by),
            ("place.to", self.place and self.place.to),
        ):
            if name and name not in self.columns:
                raise ValueError(
                    f"{key} = {name!r} is not one of its columns ({list(self.columns)})"
                )
        return self

    @property
    def is_unseen(self) -> bool:
        """Return whether nobody has seen an answer that the declaration could be held against."""
        return isinstance(self.verified, str)

    @property
    def file(self) -> str:
        """The path of the declaration, for messages."""
        return self._file or f"sources/{self.id}.toml"

    def set_file(self, path: str) -> Self:
        """Return the same declaration with the path of its file, for messages."""
        declared = self.model_copy()
        declared._file = path  # noqa: SLF001 (its own)
        return declared

    def set_crs(self, crs: str) -> Self:
        """Return the declaration with another CRS of the coordinates."""
        return self.model_copy(update={"fetch": self.fetch.model_copy(update={"crs": crs})})

    def hide_secrets(self) -> Self:
        """Return the declaration without what may be secret, to be stored or shown."""
        return self.model_copy(update={"fetch": self.fetch.hide_secrets()})

    def limit_to(self, bounds: Degrees) -> Self:
        """Return the same declaration, reading only the rows within a market's bounds."""
        fetch = self.fetch.model_copy(update={"bounds": bounds, "market_bounds": False})
        return self.model_copy(update={"fetch": fetch})

    def list_columns(self) -> tuple[str, ...]:
        """Return every column of the source's own file that is read, apart from its shapes."""
        declared = [name for origin in self.columns.values() for name in origin.source_columns]
        declared += [*self.where, *self.drop, *([self.join.to] if self.join else [])]
        return tuple(dict.fromkeys(declared))
