"""A source is a file of declarations in data/sources/; the folder is the registry."""

import datetime as dt
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from geo.config import parse
from geo.errors import ConfigError
from geo.model import Frozen

Share = Annotated[float, Field(ge=0, le=1)]


class Fetch(Frozen):
    """Where the data stand and how to read them.

    `path` is relative to the folder of files that the user gives; `url` is fetched instead.
    `crs` is what the coordinates are in: it must agree with the file's own where that has one,
    and stands in for it where it has none. A CSV names its coordinate columns in `x` and `y`.
    """

    protocol: Literal["file", "raster"]
    path: str | None = None
    url: str | None = None
    fallback_urls: tuple[str, ...] = ()
    crs: str
    member: str | None = None
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


class From(Frozen):
    """How one column of the layer comes from the source's own.

    Exactly one of `column` (the source's name for it) and `value` (the same for every row).
    `missing` lists the texts that mean "not known"; `map` turns codes into the layer's words
    (`other` for those not listed, else they are a fault); `unit` is the source's unit.
    """

    column: str | None = None
    value: str | float | None = None
    missing: tuple[str | float, ...] = ()
    map: dict[str, str] = {}
    other: str | None = None
    unit: str | None = None
    date_format: str | None = None
    fold: Literal["first", "sum", "min", "max"] = "first"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either column or value")
        return self


class Join(Frozen):
    """A second table that shares a key with the first; several rows to a key are folded."""

    path: str
    key: str
    to: str
    encoding: str = "utf-8"
    delimiter: str = ","
    columns: dict[str, From]
    count_as: str | None = None


class Coverage(Frozen):
    """The area inside which the layer is complete, so that absence is a fact.

    `bounds`: the box around the rows; `hull`: their convex hull; `file`: the polygons of a file
    beside the source's; `none`: not known, so absence says nothing.
    """

    kind: Literal["bounds", "hull", "file", "none"]
    path: str | None = None
    crs: str | None = None
    reason: str = ""


class Expect(Frozen):
    """What a healthy answer looks like; outside it the source has changed and a person decides."""

    rows_min: Annotated[int, Field(ge=1)] = 1
    rows_max: int | None = None
    null_geometry_share_max: Share = 0.0
    unreadable_share_max: Share = 0.0
    shrink_share_max: Share = 0.2


class Source(Frozen):
    """One public dataset: what it is, where it is, and how its columns become a layer's."""

    id: str
    layer: str
    title: str
    publisher: str
    licence: str
    attribution: str
    redistribute: bool
    vintage: dt.date
    note: str = ""
    fetch: Fetch
    columns: dict[str, From] = {}
    where: dict[str, tuple[str, ...]] = {}
    drop: dict[str, tuple[str, ...]] = {}
    join: Join | None = None
    coverage: Coverage
    expect: Expect = Expect()


def registry() -> dict[str, Source]:
    """Return every source by id. Raises ConfigError for a file whose id is not its name."""
    folder = files("data").joinpath("sources")
    found: dict[str, Source] = {}
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if not item.name.endswith(".toml"):
            continue
        where = f"data/sources/{item.name}"
        source = parse(Source, item.read_text(encoding="utf-8"), where)
        if f"{source.id}.toml" != item.name:
            raise ConfigError(
                f"reading {where}",
                f"id = {source.id!r} is not the file's name",
                f"call the file {source.id}.toml, or the source {item.name.removesuffix('.toml')}",
            )
        found[source.id] = source
    return found
