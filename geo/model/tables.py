"""What a layer and a published fact are, and the tables that pass between packages."""

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
    """One column of a layer: its type, its unit, and what it may hold."""

    title: str
    type: Literal["string", "float", "integer", "boolean", "date"]
    unit: str | None = None
    required: bool = False
    nullable: bool = True
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


class Layer(Frozen):
    """The role that a source fills: geometry kinds and columns.

    A raster has no columns: `unit`, `minimum` and `maximum` are of its cells' values.
    """

    id: str
    title: str
    geometry: tuple[Literal["point", "line", "polygon", "raster"], ...]
    key: str | None = None
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
        unknown: What nobody knows, after "We don't know".
        unavailable: Why there is none, in the middle of a sentence.
    """

    title: str
    phrase: str | None = None
    unknown: str | None = None
    unavailable: str | None = None


class Fact(Frozen):
    """One published column: the reader's title, its unit and how many decimals it is given.

    `shown` is how many of them a card shows, where fewer. A fact `per` load or fuel stands for a
    column of each: `{of}` in its name and title is filled in.
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
    """What a plan asks of the store: who is a site, who hears, how far each layer matters (m).

    `structure` is what the zoning is asked about.
    """

    sites: Sites
    receptors: tuple[ReceptorClass, ...]
    reach_m: dict[str, float]
    structure: Structure = "accessory"


@dataclass(frozen=True)
class Screening:
    """What leaves the store: the sites, what lies near enough to matter, and each coverage.

    `layers` holds a frame per vector layer that the market has (absent key: no such layer), in
    the market's metric frame; `coverage` the area inside which absence is a fact (None: unknown).
    """

    sites: gpd.GeoDataFrame
    layers: dict[str, gpd.GeoDataFrame]
    coverage: dict[str, shapely.Geometry | None]
    rasters: dict[str, Raster] = field(default_factory=dict)
