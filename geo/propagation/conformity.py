"""Test the program against ISO 9613-2: run the test cases of ISO/TR 17534-3 from data.

Of the TR's cases only the one about reflections has any: the walls of all others absorb everything.
Cases of our own compare buildings that touch with the one outline that they form together.
"""

from importlib.resources import files
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import shapely
from affine import Affine
from pydantic import Field

from geo.contract.toml import parse_toml
from geo.model import Frozen
from geo.propagation.bands import A_WEIGHTING_DB, MIDBANDS_HZ, sum_bands_dba
from geo.propagation.edition import ISO_1996, Edition
from geo.propagation.ground import GroundEffect, MeanHeightGround, PlanGround, ZonedGround
from geo.propagation.levels import attenuation_db
from geo.propagation.scene import Scene, Terrain, build_scene

FILE = "geo/catalogue/conformity.toml"
TURNED_DEG = 37.0
SHIFTED_M = 500_000.0
STILL_DB = 0.001
"""A case rotated by 37 degrees and shifted by 500 km must give the same result within this."""
CELL_M = 5.0
BANDS = tuple(f"{band:g} Hz" for band in MIDBANDS_HZ)
TOTAL = "total"
QUIET_DB = -200.0
AT_1_KHZ = 4

Place = tuple[float, float, float]
Spectrum = Annotated[tuple[float, ...], Field(min_length=8, max_length=8)]


class Profile(Frozen):
    """Ground whose height depends on x only."""

    x: tuple[float, ...]
    height_m: tuple[float, ...]


class Solid(Frozen):
    """A building: its outline, and the height of its roof above the datum."""

    top_m: float
    outline: tuple[tuple[float, float], ...]


class Case(Frozen):
    """One test case: its geometry and its expected levels.

    Where `merged` has the same buildings as one outline, the levels that it gives are expected.
    """

    id: str
    title: str
    required: bool = False
    source: Place
    receiver: Place
    hill: bool = False
    ground: float | dict[str, float] | Literal["mean height"]
    solid: tuple[Solid, ...] = ()
    merged: tuple[Solid, ...] = ()
    barrier: tuple[Place, ...] = ()
    absorption: Spectrum = (1.0,) * 8
    rated_dba: float | None = None
    rated_m: float | None = None
    expected_dba: Spectrum | None = None
    total_dba: float | None = None
    tolerance_db: float | None = None
    note: str = ""


class Cases(Frozen):
    """All test cases, with the data that they share."""

    source: str
    tolerance_db: float
    power_db: float
    air_db_km: Spectrum
    hill: Profile
    zone: dict[str, tuple[tuple[float, float], ...]]
    case: tuple[Case, ...]


def read_cases() -> Cases:
    """Return the test cases, ISO/TR 17534-3:2015 clause 6."""
    text = files("geo.catalogue").joinpath("conformity.toml").read_text(encoding="utf-8")
    return parse_toml(Cases, text, FILE)


def run_cases(edition: Edition = ISO_1996) -> pd.DataFrame:
    """Run every case and return a row per case and band, and one per total.

    Columns: case, title, band, required, expected and computed (dB(A), two decimals, as the TR
    prints them), deviation, turned (the change in dB if the case is rotated and shifted),
    tolerance, note, met.

    For example, T01's total is 44.29 dB(A).
    """
    cases = read_cases()
    parts = [_run_case(one, cases, edition) for one in cases.case]
    answer = pd.concat(parts, ignore_index=True)
    answer["computed"] = answer["computed"].round(2)
    answer["deviation"] = (answer["computed"] - answer["expected"]).round(2)
    answer["met"] = (answer["deviation"].abs() <= answer["tolerance"]) & (
        answer["turned"].abs() <= STILL_DB
    )
    return answer


def _run_case(case: Case, cases: Cases, edition: Edition) -> pd.DataFrame:
    at_origin = _levels_dba(case, cases, edition, Affine.identity())
    away = Affine.translation(SHIFTED_M, SHIFTED_M) @ Affine.rotation(TURNED_DEG)
    moved = _levels_dba(case, cases, edition, away)
    expected: list[float | None] = [*(case.expected_dba or ()), case.total_dba]
    if case.merged:
        whole = case.model_copy(update={"solid": case.merged})
        expected = _levels_dba(whole, cases, edition, Affine.identity()).tolist()
    first = slice(-len(expected), None)
    return pd.DataFrame(
        {
            "case": case.id,
            "title": case.title,
            "band": [*BANDS, TOTAL][first],
            "required": case.required,
            "expected": np.round(np.array(expected, dtype=float), 2),
            "computed": at_origin[first],
            "turned": (moved - at_origin)[first],
            "tolerance": case.tolerance_db or cases.tolerance_db,
            "note": case.note,
        }
    )


def _levels_dba(case: Case, cases: Cases, edition: Edition, move: Affine) -> np.ndarray:
    """Return the A-weighted band levels and their total (9,)."""
    air = np.array(cases.air_db_km) / 1000
    power = np.full(8, cases.power_db)
    if case.rated_dba is not None and case.rated_m is not None:
        air = np.zeros(8)
        power = np.full(8, QUIET_DB)
        power[AT_1_KHZ] = case.rated_dba + 10 * np.log10(2 * np.pi * case.rated_m**2)
    ends = [
        np.array([[*_move_point(move, *place[:2]), place[2]]])
        for place in (case.source, case.receiver)
    ]
    lost = attenuation_db(ends[0], ends[1], _case_scene(case, cases, move), air, edition)
    level = (power - lost + A_WEIGHTING_DB)[0]
    return np.append(level, sum_bands_dba(level, weighted=True))


def _case_scene(case: Case, cases: Cases, move: Affine) -> Scene:
    solids = np.array(
        [shapely.Polygon([_move_point(move, *at) for at in one.outline]) for one in case.solid],
        dtype=object,
    )
    barriers = np.empty(0, dtype=object)
    if case.barrier:
        line = [(*_move_point(move, x, y), z) for x, y, z in case.barrier]
        barriers = np.array([shapely.LineString(line)], dtype=object)
    return build_scene(
        solids,
        top_m=np.array([one.top_m for one in case.solid]),
        barriers=barriers,
        terrain=_case_terrain(cases.hill, move) if case.hill else None,
        ground=_case_ground(case, cases, move),
        solid_absorption=np.array(case.absorption),
        barrier_absorption=np.array(case.absorption),
    )


def _move_point(move: Affine, x: float, y: float) -> tuple[float, float]:
    at = move @ (x, y)
    return at[0], at[1]


def _case_ground(case: Case, cases: Cases, move: Affine) -> GroundEffect:
    if isinstance(case.ground, str):
        return MeanHeightGround()
    if isinstance(case.ground, float):
        return PlanGround(case.ground, case.ground, case.ground)
    areas = [
        shapely.Polygon([_move_point(move, *at) for at in cases.zone[name]]) for name in case.ground
    ]
    return ZonedGround(np.array(areas, dtype=object), np.array(list(case.ground.values())))


def _case_terrain(hill: Profile, move: Affine) -> Terrain:
    """Return the profile as a grid with cell centers at its bends, so that it is exact."""
    x = np.arange(hill.x[0], hill.x[-1] + CELL_M / 2, CELL_M)
    heights = np.tile(np.interp(x, hill.x, hill.height_m), (len(x), 1))
    corner = Affine(CELL_M, 0, x[0] - CELL_M / 2, 0, -CELL_M, x[-1] / 2)
    return Terrain(heights, move @ corner)
