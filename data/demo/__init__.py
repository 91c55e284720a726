"""A made-up town, the same every time, written as the messy files that real sources give.

`write` makes the files that the sources `demo_*` declare. The recipe is in `data.demo.recipe`.
"""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.demo import assessor, files, grids, land, layout, lots, recipe, utilities

# Each stage draws from a stream of its own: to tune one leaves the others as they are.
STAGES = (
    "layout",
    "lots",
    "uses",
    "buildings",
    "faults",
    "wetland",
    "mains",
    "signs",
    "feeders",
    "village",
)
PRESSURE_CODES = {"low": "LP", "medium": "IP", "high": "HP"}


def write(folder: Path, parcels: int = recipe.PARCELS, seed: int = recipe.SEED) -> None:
    """Write the town of about `parcels` parcels into `folder`: the same bytes every time.

    Parcels come as a zipped shapefile in US survey feet, substations and leaks as CSV with degrees
    in text, zoning, feeders and receptors as GeoJSON, mains, water and streets as GeoPackages,
    buildings as GeoParquet, ground and noise as GeoTIFF; coverages as GeoJSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    streams = np.random.default_rng(seed).spawn(len(STAGES))
    rng = dict(zip(STAGES, streams, strict=True))
    plan = layout.lay_out(parcels, rng["layout"])
    town_lots = lots.cut(plan, parcels, rng["lots"])
    town_lots["use"] = lots.uses(town_lots, rng["uses"])
    town_lots["use"] = lots.village(town_lots, plan.frame, rng["village"])
    buildings = lots.build(town_lots, rng["buildings"])
    ground = land.ground(plan, town_lots)
    _write_land(folder, plan, town_lots, buildings, ground, rng)
    _write_utilities(folder, plan, town_lots, ground, rng)
    files.write_geotiff(grids.elevation(plan, ground.town), folder / "elevation.tif")
    files.write_geotiff(grids.ambient(plan, ground.town), folder / "ambient.tif")


def _write_land(
    folder: Path,
    plan: layout.Layout,
    town_lots: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    ground: land.Ground,
    rng: dict[str, np.random.Generator],
) -> None:
    ways = land.rights_of_way(plan, town_lots, ground.town)
    rows = assessor.table(town_lots, buildings, ways, rng["faults"])
    rows = rows.set_geometry(files.placed(rows.geometry.to_numpy(), files.FEET))
    files.write_shapefile_zip(rows, folder / "parcels.zip", "M999TaxPar_CY26")

    zones = land.zoning(plan, town_lots)
    codes = zones.zone.copy()
    # One clerk typed in lower case, another left a blank.
    codes.iloc[3::17] = codes.iloc[3::17].str.lower()
    codes.iloc[5::13] = codes.iloc[5::13] + " "
    files.write_geojson(
        pd.DataFrame({"OBJECTID": range(1, len(zones) + 1), "ZONE_CODE": codes}),
        zones.geometry.to_numpy(),
        folder / "zoning.geojson",
    )

    # The table above has the floor area of every building; not every one has a footprint.
    buildings = buildings[buildings.intersects(ground.footprints)].reset_index(drop=True)
    height_ft = (buildings.height_m / 0.3048).round(1)
    height_ft[rng["faults"].random(len(height_ft)) < 0.05] = np.nan
    footprints = gpd.GeoDataFrame(
        {"STRUCT_ID": [f"B{i:06d}" for i in range(len(buildings))], "HEIGHT_FT": height_ft},
        geometry=files.placed(buildings.geometry.to_numpy()),
    )
    footprints.to_parquet(
        folder / "buildings.parquet", compression="zstd", write_covering_bbox=True
    )

    heard = land.receptors(town_lots, ground)
    files.write_geojson(
        pd.DataFrame({"TYPE": heard.kind.str.upper(), "NAME": heard.name}),
        heard.geometry.to_numpy(),
        folder / "receptors.geojson",
    )
    wet = [land.flood(plan, ground.town)]
    marsh = [one for one in land.wetland(plan, ground.town, rng["wetland"]) if not one.is_empty]
    files.write_geopackage(
        {
            "flood": _frame({"FLD_ZONE": ["AE"] * len(wet)}, wet),
            "wetland": _frame({"IT_VALDESC": ["SHALLOW MARSH"] * len(marsh)}, marsh),
        },
        folder / "water.gpkg",
    )
    streets = utilities.served_streets(plan, town_lots)
    river = plan.river.buffer(recipe.RIVER_M / 2).intersection(ground.town)
    rail = plan.rail.intersection(ground.town)
    drawn = [*streets.geometry, river, rail, ground.town.exterior]
    kinds = ["street"] * len(streets) + ["river", "rail", "boundary"]
    names = [*streets.name, "Mill River", "Central Valley Railroad", f"Town of {recipe.TOWN}"]
    files.write_geopackage(
        {"map": _frame({"KIND": kinds, "NAME": names}, drawn)}, folder / "map.gpkg"
    )
    for name in ("town", "gas", "hosting", "footprints", "clerk", "county"):
        files.write_geojson(
            pd.DataFrame({"NAME": [name]}),
            np.array([getattr(ground, name)]),
            folder / f"coverage_{name}.geojson",
        )


def _write_utilities(
    folder: Path,
    plan: layout.Layout,
    town_lots: gpd.GeoDataFrame,
    ground: land.Ground,
    rng: dict[str, np.random.Generator],
) -> None:
    streets = utilities.served_streets(plan, town_lots)
    pipes = utilities.mains(streets, plan, ground, rng["mains"])
    files.write_geopackage(
        {
            "gas_main": _frame(
                {
                    "FACILITYID": [f"GM-{i:05d}" for i in range(len(pipes))],
                    "DIAMETER": [f'{d:g}"' if d else "UNK" for d in pipes.diameter_in],
                    "PRESSURE": [PRESSURE_CODES.get(p, "") for p in pipes.pressure_class],
                    "MATERIAL": pipes.material,
                },
                pipes.geometry.to_numpy(),
            )
        },
        folder / "gas_mains.gpkg",
    )
    leaks = utilities.signs(streets, pipes, ground, rng["signs"])
    files.write_csv(
        pd.DataFrame(
            {
                "Type": leaks.sign,
                "Street": leaks.street,
                "Reported": pd.to_datetime(leaks.day).dt.strftime("%m/%d/%Y"),
            }
        ),
        leaks.geometry.to_numpy(),
        folder / "gas_leaks.csv",
    )
    stations = recipe.SUBSTATIONS
    files.write_csv(
        pd.DataFrame(
            {
                "Id": [s.id for s in stations],
                "Substation": [s.name for s in stations],
                "Status": [s.status for s in stations],
                "kV": [s.voltage for s in stations],
                "Firm_kVA": [s.firm for s in stations],
                "Peak_kVA": [s.peak for s in stations],
                "Committed_kVA": [s.committed for s in stations],
                "AsOf": "03/31/2026",
            }
        ),
        shapely.points([plan.frame.place(*s.at) for s in stations]),
        folder / "substations.csv",
    )
    sections = utilities.feeders(streets, ground, rng["feeders"])
    files.write_geojson(
        pd.DataFrame(
            {"FEEDER": sections.feeder_id, "LOAD_CAP_MW": sections.load_mw, "UPDATED": "2026-05-01"}
        ),
        sections.geometry.to_numpy(),
        folder / "feeders.geojson",
    )


def _frame(columns: dict[str, list[str]], shapes: list[shapely.Geometry]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=files.placed(np.array(shapes, dtype=object)))
