"""How the map looks, as data, and the color of a score."""

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from geo.contract.toml import parse_toml
from geo.model import Frozen, NotNegative, Share

Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Dash = Annotated[str, Field(pattern=r"^(\d+( \d+)*)?$")]
MEANINGFUL_STOPS = 2


class ColorStop(Frozen):
    """One stop of a color scale."""

    at: float
    color: Color


class ScoreStyle(Frozen):
    """The fill of a score: linear between stops, and one color for a score that is not known."""

    unknown: Color
    stops: tuple[ColorStop, ...]

    @model_validator(mode="after")
    def _check_stops_ascend(self) -> Self:
        at = [stop.at for stop in self.stops]
        if len(at) < MEANINGFUL_STOPS or at != sorted(set(at)):
            raise ValueError(f"stops at {at}: give at least two, each higher than the one before")
        return self


class VerdictStyle(Frozen):
    """How a verdict is marked."""

    title: str
    color: Color
    width: NotNegative
    dash: Dash = ""
    fill_opacity: Share


class BackdropStyle(Frozen):
    """Every parcel, tinted by its use class."""

    line: Color
    line_width: NotNegative
    unclassified: Color
    fill: dict[str, Color]


class GroundStyle(Frozen):
    """Streets, water, rail and boundaries."""

    color: Color
    width: NotNegative
    casing: Color | None = None
    fill: Color | None = None
    dash: Dash = ""


class LayerStyle(Frozen):
    """A layer that the reader can switch on and off."""

    title: str
    symbol: Literal["area", "line", "dot", "square"]
    color: Color
    width: NotNegative
    show: bool
    fill: Color | None = None
    fill_opacity: Share = 1.0
    dash: Dash = ""
    radius: NotNegative = 4.0


class NoiseStyle(Frozen):
    """The lines of equal noise and the bands around them, each in the color of its level."""

    line_width: NotNegative
    band_opacity: Share
    loudest_opacity: Share
    site: Color
    site_width: NotNegative
    levels: tuple[ColorStop, ...]

    def color(self, level_dba: float) -> str:
        """Return the color of the highest level up to `level_dba`; if there is none, the first."""
        below = [one.color for one in self.levels if one.at <= level_dba]
        return below[-1] if below else self.levels[0].color


class Style(Frozen):
    """Everything in style.toml."""

    score: ScoreStyle
    verdict: dict[Literal["fit", "unknown", "unfit"], VerdictStyle]
    backdrop: BackdropStyle
    ground: dict[str, GroundStyle]
    layers: dict[str, LayerStyle]
    noise: NoiseStyle


@cache
def read_style() -> Style:
    """Return the map's style.

    Raises ConfigError, which lists every error in style.toml.
    """
    text = files(__package__).joinpath("style.toml").read_text(encoding="utf-8")
    return parse_toml(Style, text, "maps/style.toml")


def split_channels(colors: list[str]) -> np.ndarray:
    """Return red, green and blue (n x 3, 0 to 255) of colors given as #rrggbb.

    >>> split_channels(["#ff8000"]).tolist()
    [[255.0, 128.0, 0.0]]
    """
    parts = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colors]
    return np.array(parts, dtype=float).reshape(-1, 3)


def relative_luminance(colors: list[str]) -> np.ndarray:
    """Return the relative luminance (0 to 1) of each color, according to WCAG 2.2."""
    share = split_channels(colors) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def score_fills(scores: np.ndarray, look: ScoreStyle) -> np.ndarray:
    """Return the fill (#rrggbb) of each score; `look.unknown` where the score is NaN.

    A score beyond the first or last stop takes that stop's color.
    """
    at = np.array([stop.at for stop in look.stops])
    ends = split_channels([stop.color for stop in look.stops])
    known = ~np.isnan(scores)
    safe = np.where(known, scores, at[0])
    rgb = np.column_stack([np.interp(safe, at, ends[:, i]) for i in range(3)])
    whole = np.rint(rgb).astype(int) @ np.array([65536, 256, 1])
    hexes = np.array([f"#{value:06x}" for value in whole.tolist()], dtype=object)
    return np.where(known, hexes, look.unknown)
