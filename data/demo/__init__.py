"""A made-up town, the same on every run, written as messy files like those of real sources.

`write_town` writes the files that the sources `demo_*` declare. The recipe is in
`data.demo.recipe`.
"""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.demo import (
    assessor,
    files,
    gas,
    grids,
    land,
    layout,
    lots,
    plants,
    power,
    recipe,
    streets,
)

# Each stage has its own stream of random numbers, so that changing one leaves the others unchanged.
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
    "sections",
    "hosting",
    "cells",
    "records",
)
PRESSURE_CODES = {"low": "LP", "medium": "IP", "high": "HP"}


def write_town(folder: Path, parcels: int = recipe.PARCELS, seed: int = recipe.SEED) -> None:
    """Write the files of an invented town; the same seed always gives the same bytes.

    The formats are: a zipped shapefile in US survey feet for parcels; CSV with degrees as text for
    substations, leaks and plants; GeoPackage for mains, water and streets; GeoParquet for
    buildings; GeoTIFF for ground height and noise; and GeoJSON for zoning, feeders, other
    capacity, receptors, easements, coverages and territories.

    Args:
        folder: Where the files go.
        parcels: About how many parcels the town has.
        seed: The seed of all random numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    streams = np.random.default_rng(seed).spawn(len(STAGES))
    rng = dict(zip(STAGES, streams, strict=True))
    plan = layout.lay_out_town(parcels, rng["layout"])
    town_lots = lots.cut_lots(plan, parcels, rng["lots"])
    town_lots["use"] = lots.assign_uses(town_lots, rng["uses"])
    town_lots["use"] = lots.cut_village(town_lots, plan.frame, rng["village"])
    buildings = lots.place_buildings(town_lots, rng["buildings"])
    ground = land.lay_ground(plan, town_lots)
    _write_land(folder, plan, town_lots, buildings, ground, rng)
    served = streets.streets_served(plan, town_lots)
    _write_power(folder, plan, served, ground, rng)
    _write_gas(folder, plan, served, ground, rng)
    _write_plants(folder, plan, town_lots, ground)
    files.write_geotiff(grids.make_elevation(plan, ground.town), folder / "elevation.tif")
    files.write_geotiff(grids.make_ambient(plan, ground.town), folder / "ambient.tif")


def _write_land(
    folder: Path,
    plan: layout.TownLayout,
    town_lots: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    ground: land.TownGround,
    rng: dict[str, np.random.Generator],
) -> None:
    ways = land.draw_rights_of_way(plan, town_lots, ground.town)
    rows = assessor.write_tax_table(town_lots, buildings, ways, rng["faults"])
    rows = rows.set_geometry(files.place_shapes(rows.geometry.to_numpy(), files.FEET))
    files.write_shapefile_zip(rows, folder / "parcels.zip", "M999TaxPar_CY26")

    zones = land.draw_zoning(plan, town_lots)
    codes = zones.zone.copy()
    # Imitate hand-typed codes: some are in lower case, and some end in a blank.
    codes.iloc[3::17] = codes.iloc[3::17].str.lower()
    codes.iloc[5::13] = codes.iloc[5::13] + " "
    files.write_geojson(
        pd.DataFrame({"OBJECTID": range(1, len(zones) + 1), "ZONE_CODE": codes}),
        zones.geometry.to_numpy(),
        folder / "zoning.geojson",
    )

    # The parcel table has the floor area of every building, but not every building has a footprint.
    buildings = buildings[buildings.intersects(ground.footprints)].reset_index(drop=True)
    height_ft = (buildings.height_m / 0.3048).round(1)
    height_ft[rng["faults"].random(len(height_ft)) < 0.05] = np.nan
    footprints = gpd.GeoDataFrame(
        {"STRUCT_ID": [f"B{i:06d}" for i in range(len(buildings))], "HEIGHT_FT": height_ft},
        geometry=files.place_shapes(buildings.geometry.to_numpy()),
    )
    footprints.to_parquet(
        folder / "buildings.parquet", compression="zstd", write_covering_bbox=True
    )

    receptors = land.place_receptors(town_lots, ground)
    files.write_geojson(
        pd.DataFrame({"TYPE": receptors.kind.str.upper(), "NAME": receptors.name}),
        receptors.geometry.to_numpy(),
        folder / "receptors.geojson",
    )
    wet = [land.draw_flood_zone(plan, ground.town)]
    marsh = [
        one for one in land.draw_wetland(plan, ground.town, rng["wetland"]) if not one.is_empty
    ]
    files.write_geopackage(
        {
            "flood": _frame({"FLD_ZONE": ["AE"] * len(wet)}, wet),
            "wetland": _frame({"IT_VALDESC": ["SHALLOW MARSH"] * len(marsh)}, marsh),
        },
        folder / "water.gpkg",
    )
    files.write_geojson(
        pd.DataFrame({"NAME": ["Trunk sewer along the Mill River"]}),
        np.array([land.draw_sewer_easement(plan, ground.town)]),
        folder / "easements.geojson",
    )
    served = streets.streets_served(plan, town_lots)
    river = plan.river.buffer(recipe.RIVER_M / 2).intersection(ground.town)
    rail = plan.rail.intersection(ground.town)
    drawn = [*served.geometry, river, rail, ground.town.exterior]
    kinds = ["street"] * len(served) + ["river", "rail", "boundary"]
    names = [*served.name, "Mill River", "Central Valley Railroad", f"Town of {recipe.TOWN}"]
    files.write_geopackage(
        {"map": _frame({"KIND": kinds, "NAME": names}, drawn)}, folder / "map.gpkg"
    )
    for name in ("town", "gas", "hosting", "footprints", "clerk", "county"):
        _write_coverage(folder, name, getattr(ground, name))


def _write_power(
    folder: Path,
    plan: layout.TownLayout,
    served: gpd.GeoDataFrame,
    ground: land.TownGround,
    rng: dict[str, np.random.Generator],
) -> None:
    stations = recipe.SUBSTATIONS
    files.write_csv(
        pd.DataFrame(
            {
                "Id": [s.id for s in stations],
                "Substation": [s.name for s in stations],
                "Utility": [s.owner for s in stations],
                "Status": [s.status for s in stations],
                "Level": [s.level for s in stations],
                "kV": [s.voltage for s in stations],
                "Firm_kVA": [s.firm for s in stations],
                "Peak_kVA": [s.peak for s in stations],
                "Committed_kVA": [s.committed for s in stations],
                "Banks": [s.banks for s in stations],
                "Bank_MVA": [s.rating for s in stations],
                "AsOf": "03/31/2026",
            }
        ),
        shapely.points([plan.frame.place(*s.at) for s in stations]),
        folder / "substations.csv",
    )
    sections = power.lay_feeders(served, plan, ground, rng["feeders"], rng["sections"])
    said = sections.load_mw
    files.write_geojson(
        pd.DataFrame(
            {
                "SECTION": sections.section_id,
                "FEEDER": sections.feeder_id,
                "SUBSTATION": sections.substation_id,
                "LOAD_CAP_MW": said.map("{:g}".format).where(said.notna()),
                # The same value as a number; the export wrote 0 where the text is empty.
                "LOAD_CAP_MW_V": said.fillna(0.0),
                "HC_GEN_KW": power.assign_hosting_kw(sections, rng["hosting"]),
                "UPDATED": "2026-05-01",
            }
        ),
        sections.geometry.to_numpy(),
        folder / "feeders.geojson",
    )
    cells = power.make_cells(sections, plan.frame, ground, rng["cells"])
    files.write_geojson(
        pd.DataFrame(
            {
                "CELL": cells.cell_id,
                "AVAIL_MVA": cells.load_mva,
                "QUEUED_MVA": cells.queued_mva,
                # Every other cell was studied again, and of every seventh nobody wrote down when.
                "STUDIED": np.where(
                    np.arange(len(cells)) % 7 == 6,
                    "",
                    np.where(np.arange(len(cells)) % 2 == 0, "2023-06-30", "2025-09-30"),
                ),
            }
        ),
        cells.geometry.to_numpy(),
        folder / "load_study.geojson",
    )
    areas = power.make_areas(plan.frame, ground)
    files.write_geojson(
        pd.DataFrame(
            {
                "AREA": "SA-" + areas.substation_id,
                "SUBSTATION": areas.substation_id,
                "FIRM_MVA": areas.firm,
                "PCT_HEADROOM": areas.left,
            }
        ),
        areas.geometry.to_numpy(),
        folder / "substation_areas.geojson",
    )
    _write_coverage(folder, "study", cells.union_all())
    _write_coverage(folder, "areas", areas.union_all())


def _write_gas(
    folder: Path,
    plan: layout.TownLayout,
    served: gpd.GeoDataFrame,
    ground: land.TownGround,
    rng: dict[str, np.random.Generator],
) -> None:
    pipes = gas.record_mains(gas.lay_mains(served, plan, ground, rng["mains"]), rng["records"])
    files.write_geopackage(
        {
            "gas_main": _frame(
                {
                    "FACILITYID": [f"GM-{i:05d}" for i in range(len(pipes))],
                    "DIAMETER": [f'{d:g}"' if d else "UNK" for d in pipes.diameter_in],
                    "PRESSURE": [PRESSURE_CODES.get(p, "") for p in pipes.pressure_class],
                    "MAOP": pipes.maop,
                    "MATERIAL": pipes.material,
                    "STATUS": pipes.status,
                },
                pipes.geometry.to_numpy(),
            )
        },
        folder / "gas_mains.gpkg",
    )
    leaks = gas.scatter_signs(served, pipes, ground, rng["signs"])
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
    sold = gas.draw_territories(plan, ground)
    files.write_geojson(
        pd.DataFrame({"COMPANY": sold.company}),
        sold.geometry.to_numpy(),
        folder / "gas_territories.geojson",
    )
    lines = gas.draw_transmission(plan, ground)
    files.write_geojson(
        pd.DataFrame(
            {"TYPEPIPE": "Interstate", "Operator": lines.operator, "Status": lines.status}
        ),
        lines.geometry.to_numpy(),
        folder / "gas_transmission.geojson",
    )


def _write_plants(
    folder: Path, plan: layout.TownLayout, town_lots: gpd.GeoDataFrame, ground: land.TownGround
) -> None:
    listed = recipe.PLANTS
    files.write_csv(
        pd.DataFrame(
            {
                "Landfill ID": [p.id for p in listed],
                "Landfill Name": [p.name for p in listed],
                "Facility Type": [p.kind for p in listed],
                "Current Landfill Status": [p.status for p in listed],
                "LFG Collected (mmscfd)": [p.flow for p in listed],
                "LFG Used (mmscfd)": [p.used for p in listed],
                "Percent Methane": [p.methane for p in listed],
                "Project Type Category": [p.project for p in listed],
                "Placed By": [p.placed_by for p in listed],
                "As Of": "2025-09",
            }
        ),
        plants.place_plants(town_lots, plan.frame, ground),
        folder / "fuel_plants.csv",
    )


def _write_coverage(folder: Path, name: str, area: shapely.Geometry) -> None:
    files.write_geojson(
        pd.DataFrame({"NAME": [name]}), np.array([area]), folder / f"coverage_{name}.geojson"
    )


def _frame(columns: dict[str, list[str]], shapes: list[shapely.Geometry]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=files.place_shapes(np.array(shapes, dtype=object)))
