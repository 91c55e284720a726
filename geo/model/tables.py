"""Definitions of layers and published facts, and the tables that pass between packages."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine

from geo.model.base import Frozen
from geo.model.codes import ReceptorClass, Structure
from geo.model.plan import Sites


class Column(Frozen):
    """One column of a layer: its type, its unit, and the values that it may have.

    Attributes:
        title: Its name for readers.
        type: The type of its values.
        unit: The unit of its values.
        required: Whether each source of the layer must give it.
        nullable: Whether a value may be missing.
        values: The words that it may hold; empty: any.
        minimum: The lowest value allowed.
        maximum: The highest value allowed.
        range_columns: The columns for both ends of a range, where this one is for a single number.
    """

    title: str
    type: Literal["string", "float", "integer", "boolean", "date"]
    unit: str | None = None
    required: bool = False
    nullable: bool = True
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    range_columns: tuple[str, ...] = ()


class Layer(Frozen):
    """The role that a source fills: geometry kinds and columns.

    A raster has no columns; `unit`, `minimum` and `maximum` describe the values of its cells.
    `kind_column` names the column with the kind of each thing, if a layer's sources map different
    kinds, so that each kind is complete in its own area.
    """

    id: str
    title: str
    geometry: tuple[Literal["point", "line", "polygon", "raster"], ...]
    key: str | None = None
    kind_column: str | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    columns: dict[str, Column] = {}

    @property
    def is_raster(self) -> bool:
        """Whether the layer is a grid of values rather than a table."""
        return "raster" in self.geometry


class CodeWords(Frozen):
    """The reader's words for one code.

    Attributes:
        title: On a card, in a list or in a legend.
        phrase: In the middle of a sentence.
        unknown: Completes "We don't know".
        unavailable: Why the value is missing, in the middle of a sentence.
    """

    title: str
    phrase: str | None = None
    unknown: str | None = None
    unavailable: str | None = None


class Fact(Frozen):
    """One published column: the reader's title, its unit and its number of decimals.

    `shown` is the number of decimals on a card, where that is fewer. A fact `per` load or fuel
    stands for one column for each load or fuel, which fills `{of}` in its name and title.
    """

    name: str
    title: str
    group: Literal[
        "result", "site", "grid", "loads", "fuel", "ladder", "money", "pad", "noise", "score",
        "provenance",
    ]  # fmt: skip
    per: Literal["load", "fuel"] | None = None
    of: str | None = None
    unit: str | None = None
    decimals: int | None = None
    shown: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Raster:
    """A grid of values in the market's frame or its own: `values` is float, NaN where nodata."""

    values: np.ndarray
    transform: Affine
    crs: str
    unit: str | None = None


@dataclass(frozen=True)
class Needs:
    """What a plan needs from the store: its sites, its receptors, and the reach of each layer (m).

    `exclusions` are the kinds of ground that the plan keeps clear of (None: all that are mapped);
    `structure` is the kind of structure whose setbacks are read from the zoning.
    """

    sites: Sites
    receptors: tuple[ReceptorClass, ...]
    reach_m: dict[str, float]
    exclusions: tuple[str, ...] | None = None
    structure: Structure = "accessory"


@dataclass(frozen=True)
class Screening:
    """The store's answer: the sites, the layers near enough to matter, and each layer's coverage.

    `layers` holds a frame per vector layer that the market has (absent key: no such layer), in
    the market's metric frame. `coverage` is the area in which a layer is complete, so that absence
    is a fact there (None: unknown). `unmapped` names, by layer, the kinds that the plan needs and
    no source maps; the layer's coverage is that of the other kinds. Records are as old as they are
    on `night` (None: none is old).
    """

    sites: gpd.GeoDataFrame
    layers: dict[str, gpd.GeoDataFrame]
    coverage: dict[str, shapely.Geometry | None]
    rasters: dict[str, Raster] = field(default_factory=dict)
    night: dt.date | None = None
    unmapped: dict[str, tuple[str, ...]] = field(default_factory=dict)
