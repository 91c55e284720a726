"""What a source declares: where its data are, and how its columns become a layer's."""

import datetime as dt
from typing import Annotated, Literal, Self

import pyproj
from pydantic import Field, model_validator

from geo.contract.units import UNITS
from geo.model import Frozen

Share = Annotated[float, Field(ge=0, le=1)]


class FetchOptions(Frozen):
    """Where the data stand and how to read them.

    `path` is relative to the folder of files that the user gives; `url` is fetched instead.
    `crs` is what the coordinates are in: it must agree with the file's own where that has one,
    and stands in for it where it has none. A CSV or a workbook names its coordinate columns in `x`
    and `y`, or the source has a `place`. A workbook's `member` is the sheet (else its first) and
    `header_row` the row of the titles, the first being 1; a title's line breaks are read as spaces.
    """

    protocol: Literal["file", "raster"]
    path: str | None = None
    url: str | None = None
    fallback_urls: tuple[str, ...] = ()
    crs: str
    member: str | None = None
    header_row: Annotated[int, Field(ge=1)] = 1
    x: str | None = None
    y: str | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        return self


# What only makes sense for something read from a column of the source.
_OF_A_COLUMN = (
    "missing", "map", "other", "rename", "units", "rating", "date_was", "least", "most", "twin",
    "times", "fill_down",
)  # fmt: skip


class ColumnOrigin(Frozen):
    """How one column of the layer comes from the source's own.

    Exactly one of `column` (the source's name for it) and `value` (the same for every row, in
    `unit`). What is done to a column, in this order; what was filled, spelt alike, read back,
    not believed or not readable is counted in the snapshot's notes:

    `fill_down`: a blank is the value above it, as in the merged cells of a workbook.
    `missing`: the texts that mean "not known".
    `map`: turns codes into the layer's words (`other` for those not listed, else they are a fault).
    `rename`: other spellings of a name; a name that is not listed stays as it is.
    `unit`: the source's unit. `units`: each text carries its own: what may follow the number
    ("60 psig", "7 in WC"), and the unit of geo.measure that it means; "" is a bare number. Any
    other is unreadable.
    `rating`: several stages in one text, "20/26.67/33.33" or "115-13.8": the highest or the first
    of them; unreadable if any stage is. `date_was`: how the spreadsheet read a rating that it then
    turned into a date ("%m/%d/%y": 12/16/20 became 2020-12-16); such dates are written back.
    `twin`: a 0 counts only where that column of the source is not empty, else it is missing.
    `least`, `most`: in the layer's unit; a value beyond them is taken as missing.
    `times`: a column of the source to multiply by (three banks of 5 MVA are 15).
    `fold`: how several rows become one, in a join or a group. `first` is the first that is known.
    """

    column: str | None = None
    value: str | float | None = None
    fill_down: bool = False
    missing: tuple[str | float, ...] = ()
    map: dict[str, str] = {}
    other: str | None = None
    rename: dict[str, str] = {}
    unit: str | None = None
    units: dict[str, str] = {}
    rating: Literal["max", "first"] | None = None
    date_was: str | None = None
    twin: str | None = None
    least: float | None = None
    most: float | None = None
    times: str | None = None
    date_format: str | None = None
    fold: Literal["first", "sum", "min", "max"] = "first"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either column or value")
        if self.column is None:
            for name in _OF_A_COLUMN:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is of a column of the source, and value has none")
        return self

    @model_validator(mode="after")
    def _must_agree_with_itself(self) -> Self:
        if self.units and self.unit:
            raise ValueError("give either unit or units")
        if unknown := sorted(set(self.units.values()) - set(UNITS)):
            raise ValueError(f"units: {unknown[0]!r} is not a known unit")
        if self.date_was is not None and self.rating is None:
            raise ValueError("date_was is of a rating: give rating too")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least {self.least:g} is above most {self.most:g}")
        if self.map and self.rename:
            raise ValueError("give either map or rename")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Return every column of the source that is read."""
        return tuple(name for name in (self.column, self.twin, self.times) if name is not None)

    @property
    def counts(self) -> tuple[str, ...]:
        """Return the names of what is declared that only a number can have."""
        names = ("units", "rating", "twin", "least", "most", "times")
        given = [name for name in names if getattr(self, name) not in (None, {})]
        return (*given, *(("fold = sum",) if self.fold == "sum" else ()))


class JoinedTable(Frozen):
    """A second table that shares a key with the first; several rows to a key are folded."""

    path: str
    key: str
    to: str
    encoding: str = "utf-8"
    delimiter: str = ","
    columns: dict[str, ColumnOrigin]
    count_as: str | None = None


class Grouping(Frozen):
    """Rows of one thing become one: those whose layer column `by` holds the same.

    Each column is folded by its own `fold`, a joined one by `first`; the shape is the first there
    is. Unlike a join's, a sum of which a part is missing is missing. Where no column is filled
    down the rows are first put in order, so that `first` does not hang on the file's order.
    """

    by: str


class PlaceTable(Frozen):
    """A second table that says where things are, for rows without coordinates of their own.

    `to` is the layer's column that holds what the table has in `key`; blanks around either do not
    count. Of several rows of one key the one farthest west, then south, is taken. `crs` is what `x`
    and `y` are in, where it is not fetch.crs.
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
    def _crs_is_known(self) -> Self:
        try:
            pyproj.CRS.from_user_input(self.crs or "EPSG:4326")
        except pyproj.exceptions.CRSError:
            raise ValueError(f"crs = {self.crs!r} is not known: write it as EPSG:2249") from None
        return self


class Coverage(Frozen):
    """The area inside which the layer is complete, so that absence is a fact.

    `bounds`: the box around the rows; `hull`: their convex hull; `file`: the polygons of a file
    beside the source's; `none`: not known, so absence says nothing.
    """

    kind: Literal["bounds", "hull", "file", "none"]
    path: str | None = None
    crs: str | None = None
    reason: str = ""


class Expectations(Frozen):
    """What a healthy answer looks like; outside it the source has changed and a person decides."""

    rows_min: Annotated[int, Field(ge=1)] = 1
    rows_max: int | None = None
    null_geometry_share_max: Share = 0.0
    unreadable_share_max: Share = 0.0
    shrink_share_max: Share = 0.2


class Source(Frozen):
    """One public dataset: what it is, where it is, and how its columns become a layer's.

    Rows go through `where` and `drop`, the columns and the join, then `group`, then `place`.
    """

    id: str
    layer: str
    title: str
    publisher: str
    licence: str
    attribution: str
    redistribute: bool
    vintage: dt.date
    note: str = ""
    fetch: FetchOptions
    columns: dict[str, ColumnOrigin] = {}
    where: dict[str, tuple[str, ...]] = {}
    drop: dict[str, tuple[str, ...]] = {}
    join: JoinedTable | None = None
    group: Grouping | None = None
    place: PlaceTable | None = None
    coverage: Coverage
    expect: Expectations = Expectations()

    @model_validator(mode="after")
    def _keys_are_declared(self) -> Self:
        for key, name in (
            ("group.by", self.group and self.group.by),
            ("place.to", self.place and self.place.to),
        ):
            if name and name not in self.columns:
                raise ValueError(f"{key} = {name!r} is none of its columns ({list(self.columns)})")
        return self
