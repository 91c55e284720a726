"""Draw the noise around one published site: read the night, compute the levels, write files."""

import datetime as dt
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import typer

from data import select
from data.store import open_store
from flows import declarations, digests, settings
from flows.progress import show_step
from flows.settings import Workspace
from flows.show import find_ranking, find_set_aside
from geo.criteria.noise.picture import ACCURACY_DB, LEVELS_DBA, compute_level_grid, draw_contours
from geo.criteria.noise.sound import NoiseSource, make_noise_source, noise_reach_m, sound_power_dba
from geo.equipment.selection import plan_generator
from geo.errors import StoreError
from geo.model import Market, Plan, Raster, Report
from geo.ranking.sentences import format_feet, format_temperature
from maps import export, noise

# The standard states no accuracy beyond this distance.
FARTHEST_M = 1000.0
# How far beyond the picture a building may still screen or reflect its sound.
BESIDE_M = 100.0
FILES = (noise.GRID, noise.LINES, noise.PAGE)


@dataclass(frozen=True)
class StoredTown:
    """The store's data for a picture: whole layers, and the ground height if it is known.

    `mapped` is the area inside which every building is known, in the market's CRS.
    """

    layers: dict[str, gpd.GeoDataFrame]
    elevation: Raster | None
    mapped: shapely.Geometry


def draw_site_noise(
    market: str,
    site: str,
    cell_m: float,
    out: Path | None,
    *,
    night: str | None,
    plan: str | None,
) -> tuple[Path, noise.NoisePicture]:
    """Draw the noise around one site of a published night, as files for a map and a GIS.

    Args:
        market: The market's name.
        site: The assessor id or the address of the site.
        cell_m: The cell size in meters.
        out: The folder for the files; None for var/noise/<market>/<site>.
        night: The night to draw; None for the last published one.
        plan: The plan under which the night was published; None for the market's.

    Returns:
        The folder and the picture.

    Raises:
        typer.BadParameter: If the site is not in the ranking, or no generator runs there.
        StoreError: If nothing is published, or the store or the plan has changed since.
    """
    workspace = settings.read_settings()
    known = declarations.load_market(market, workspace)
    folder = settings.published_folder(known, plan or known.plan, workspace)
    ranking, report = _read_published(folder, known)
    row = _find_site(ranking, site, folder, known)
    read_plan = _read_plan(report, workspace)
    town = _read_town(known, report, settings.parse_night(known, night), workspace)
    with show_step(f"Computing the noise around {row['site_id']}") as say:
        picture = _draw_picture(row, town, known, read_plan, cell_m)
        rows, columns = np.shape(picture.grid.values)
        say(f"{rows:,} by {columns:,} cells of {cell_m:g} m")
    of_market = workspace.var / "noise" / known.id
    if report.plan_id != known.plan:
        of_market = of_market / report.plan_id
    to = out or of_market / _folder_name(picture.site_id)
    with show_step("Writing the picture") as say:
        _write_files(picture, town, report, to)
        say(str(to))
    return to, picture


def _read_published(folder: Path, market: Market) -> tuple[gpd.GeoDataFrame, Report]:
    path = find_ranking(folder, market)
    report = Report.model_validate_json((folder / "report.json").read_text("utf-8"))
    return export.read_ranking(path), report


def _find_site(ranking: gpd.GeoDataFrame, site: str, folder: Path, market: Market) -> pd.Series:
    """Return the site's row. Raises typer.BadParameter if there is nothing to draw."""
    wanted = site.strip().casefold()
    doing = f"drawing the noise around {site!r}"
    for column in ("site_id", "address"):
        rows = ranking[ranking[column].astype("string").str.casefold() == wanted]
        if len(rows) > 1:
            raise typer.BadParameter(
                f"{doing}: {len(rows)} sites of market {market.id} have that address. "
                f"Give the assessor id: {', '.join(rows['site_id'].head(8))}"
            )
        if len(rows) == 1:
            row: pd.Series = rows.iloc[0]
            if row["machines"] is None or shapely.is_empty(row["machines"]):
                raise typer.BadParameter(
                    f"{doing}: it fits no generator, so it makes no noise "
                    f"({row['sentence']}). Pick a site that fits a generator"
                )
            return row
    line = find_set_aside(folder, wanted)
    if line is not None:
        raise typer.BadParameter(
            f"{doing}: it is not a site. Set aside: {line['rule']}. "
            "Copy the assessor id of a site from ranked.csv"
        )
    raise typer.BadParameter(
        f"{doing}: no parcel of market {market.id} has that id or address. "
        "Copy the assessor id of a site from ranked.csv"
    )


def _read_plan(report: Report, workspace: Workspace) -> Plan:
    """Return the plan of the published night; raise StoreError if it has changed since."""
    plan = declarations.load_plan(report.plan_id, workspace, report.market_id)
    if digests.digest_plan(plan) != report.plan_digest:
        raise _night_has_passed(report, f"plan {plan.id!r} has changed since")
    return plan


def _read_town(market: Market, report: Report, night: dt.date, workspace: Workspace) -> StoredTown:
    """Return the store's data; raise StoreError if its sources have changed since publication."""
    path = settings.store_path(market, workspace)
    with show_step("Reading the town"):
        if select.describe_sources(path, market, night) != report.sources:
            raise _night_has_passed(report, "its sources have been pulled again since, and differ")
        layers = select.read_drawing_layers(
            path, market, night, declarations.load_land_use(workspace)
        )
        elevation = None
        with open_store(path, read_only=True) as opened:
            if any(line.layer == "elevation" for line in report.sources):
                elevation = opened.read_raster_layer("elevation", night, market.sources)
            stood = opened.read_snapshots(night, market.sources)
        areas = stood.loc[stood["layer"] == "buildings", "coverage"].dropna()
        mapped = shapely.union_all([shapely.from_wkb(bytes(one)) for one in areas])
    return StoredTown(layers, elevation, mapped)


def _night_has_passed(report: Report, why: str) -> StoreError:
    return StoreError(
        f"drawing from run {report.run_id} of market {report.market_id}",
        f"{why}: the noise map would not show what was published",
        f"run `padfinder publish --market {report.market_id} --plan {report.plan_id}` first",
    )


def _draw_picture(
    row: pd.Series, town: StoredTown, market: Market, plan: Plan, cell_m: float
) -> noise.NoisePicture:
    """Compute the noise of the machines at the site, among the buildings and ground around them."""
    generator = plan_generator(plan)
    machines = shapely.get_parts(row["machines"])
    # Spares do not run. As in sizing, the generators in the first places run.
    running = len(machines) - plan.spares
    if running < 1:
        raise typer.BadParameter(
            f"drawing the noise around {row['site_id']!r}: its {len(machines)} generators are all "
            f"spares under plan {plan.id!r}, so none runs. Pick a site that fits more"
        )
    middles = shapely.get_coordinates(shapely.centroid(machines))[:running]
    buildings = town.layers.get("buildings")
    # The quietest band's farthest reach over open ground, with one wall behind the machines.
    thrown_back_db = 10 * np.log10(2 - plan.noise.wall_absorption)
    quietest = min(LEVELS_DBA) - ACCURACY_DB - thrown_back_db
    reach = min(noise_reach_m(make_noise_source(generator, plan), quietest, running), FARTHEST_M)
    near = _buildings_near(buildings, middles, reach + BESIDE_M)
    sound = make_noise_source(generator, plan, near, town.elevation, market.crs)
    indoors = np.empty(0, dtype=object) if near is None else near.geometry.to_numpy()
    grid = compute_level_grid(
        middles,
        sound,
        receiver_height_m=plan.noise.receptor_height_m,
        cell_m=cell_m,
        reach_m=reach,
        indoors=indoors,
        crs=market.crs,
    )
    address = row["address"]
    return noise.NoisePicture(
        site_id=row["site_id"],
        title=address if isinstance(address, str) else row["site_id"],
        running=running,
        installed=len(machines),
        parcel=row["geometry"],
        pad=row["block"],
        machines=row["machines"],
        grid=grid,
        lines=draw_contours(grid, indoors),
        receiver_height_m=plan.noise.receptor_height_m,
        edition=sound.edition.name,
        said=(row["sentence"],),
        assumptions=(*_list_method(plan, cell_m), *_list_unknowns(row, town, near, sound, grid)),
    )


def _buildings_near(
    buildings: gpd.GeoDataFrame | None, middles: np.ndarray, within_m: float
) -> gpd.GeoDataFrame | None:
    if buildings is None:
        return None
    (left, bottom), (right, top) = middles.min(axis=0), middles.max(axis=0)
    square = shapely.box(left - within_m, bottom - within_m, right + within_m, top + within_m)
    has_shape = buildings.geometry.notna() & ~buildings.geometry.is_empty
    return buildings[has_shape & buildings.intersects(square)].reset_index(drop=True)


def _list_method(plan: Plan, cell_m: float) -> tuple[str, ...]:
    """List the plan's noise settings and how the picture is computed."""
    machine, noise_plan = plan_generator(plan), plan.noise
    ground = noise_plan.ground
    return (
        (
            f"One {machine.title} has a sound power of {sound_power_dba(machine):.1f} dB(A): rated "
            f"{machine.level_dba:g} dB(A) at {_feet_and_meters(machine.level_distance_m)}."
        ),
        (
            f"Downwind in every direction, {format_temperature(noise_plan.temperature_c)} and "
            f"{noise_plan.humidity_pct:g}% humidity. Generators are "
            f"{_feet_and_meters(noise_plan.source_height_m)} high."
        ),
        (
            f"Ground factors {ground.source:g}, {ground.middle:g} and {ground.receiver:g} (0 hard, "
            f"1 porous); walls reflect {1 - noise_plan.wall_absorption:.0%} of the sound."
        ),
        f"Levels are computed every {_feet_and_meters(cell_m)} and are linear in between.",
    )


def _feet_and_meters(meters: float) -> str:
    return f"{format_feet(meters)} ({meters:g} m)"


def _list_unknowns(
    row: pd.Series,
    town: StoredTown,
    near: gpd.GeoDataFrame | None,
    sound: NoiseSource,
    grid: Raster,
) -> tuple[str, ...]:
    """List what is not known at this site, and what is assumed instead."""
    unknowns = []
    if row["n_lo"] == 0:
        unknowns.append("This many generators fit only in the best case: data is missing.")
    if near is None:
        unknowns.append(
            "No buildings are mapped here: the picture has no screening and no reflections."
        )
    else:
        unknowns += [
            f"{count:,} of {len(near):,} buildings ({reason}) are no obstacle in this picture."
            for reason, count in sound.scene.left_out.items()
            if count
        ]
    if near is not None and not town.mapped.covers(noise.outline_grid(grid)):
        unknowns.append(
            "Buildings are mapped for only part of the picture: there is no screening elsewhere."
        )
    if town.elevation is None:
        unknowns.append("No ground heights are published here: the ground is assumed level.")
    if isinstance(row["assumed"], str):
        unknowns.append(f"Assumed at this site: {row['assumed']}.")
    return tuple(unknowns)


def _folder_name(site_id: str) -> str:
    """Return a folder name that is unique to an id and valid on every file system."""
    return re.sub(r"[^A-Za-z0-9-]", lambda one: f"_{ord(one[0]):x}_", site_id)


def _write_files(picture: noise.NoisePicture, town: StoredTown, report: Report, to: Path) -> None:
    """Write every file into a temporary folder, then move each into place."""
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to, prefix=".new-") as new:
        noise.write_picture(picture, town.layers, report, Path(new))
        for name in FILES:
            (Path(new) / name).replace(to / name)
