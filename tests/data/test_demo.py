"""The demo town: the same bytes, any size, the mess really there, and a town's own topology."""

import hashlib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from data import demo
from data.demo import assessor, layout, recipe
from data.demo import lots as lots_of
from data.protocols import file, raster
from data.source import Source, registry
from geo import catalogue

SMALL = 1_500


def digests(folder: Path) -> dict[str, str]:
    return {
        one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(folder.iterdir())
    }


def sources() -> list[Source]:
    return [source for name, source in registry().items() if name.startswith("demo_")]


def rows_of(folder: Path, source_id: str) -> gpd.GeoDataFrame:
    source = registry()[source_id]
    assert source.fetch.path is not None
    return file.read(folder / source.fetch.path, source)[0]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    demo.write(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def parcels(town: Path) -> gpd.GeoDataFrame:
    return rows_of(town, "demo_parcels").to_crs(recipe.CRS)


@pytest.fixture(scope="module")
def lots(parcels: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    there = parcels[(parcels.POLY_TYPE == "FEE") & parcels.geometry.notna()]
    return there[there.geometry.is_valid].reset_index(drop=True)


def test_the_same_bytes_every_time(town: Path, tmp_path: Path) -> None:
    demo.write(tmp_path, SMALL)
    assert digests(tmp_path) == digests(town)


def test_writing_over_an_older_town_gives_the_same_bytes(town: Path, tmp_path: Path) -> None:
    demo.write(tmp_path, 900)
    demo.write(tmp_path, SMALL)
    assert digests(tmp_path) == digests(town)


def test_another_seed_is_another_town(town: Path, tmp_path: Path) -> None:
    demo.write(tmp_path, SMALL, seed=recipe.SEED + 1)
    changed = {name for name, digest in digests(tmp_path).items() if digests(town)[name] != digest}
    assert {"parcels.zip", "buildings.parquet", "gas_mains.gpkg"} <= changed


@pytest.mark.parametrize("size", [900, 4_000])
def test_any_size(size: int, tmp_path: Path) -> None:
    demo.write(tmp_path, size)
    rows = rows_of(tmp_path, "demo_parcels")
    # Whole blocks are kept, and condos add a row for each unit.
    assert size <= (rows.POLY_TYPE == "FEE").sum() <= size * 1.1 + 60


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.id)
def test_every_file_reads_through_its_declaration(source: Source, town: Path) -> None:
    assert source.fetch.path is not None
    path, layer = town / source.fetch.path, catalogue.layers()[source.layer]
    if source.fetch.protocol == "raster":
        assert np.isfinite(raster.read(path, source, layer).values).mean() > 0.9
        return
    frame, notes = file.read(path, source)
    assert len(frame) > 0
    assert notes == ()
    named = {origin.column for origin in source.columns.values() if origin.column}
    assert named <= set(frame.columns)
    for name, origin in source.columns.items():
        if origin.map and origin.other is None:
            held = set(frame[origin.column].dropna().str.strip()) - {*map(str, origin.missing), ""}
            assert held <= set(origin.map), name
    if source.coverage.kind == "file":
        assert (town / str(source.coverage.path)).is_file()


def test_market_and_town_name_the_same_sources() -> None:
    market = Path(__file__).parents[2] / "flows" / "markets" / "demo.toml"
    text = market.read_text(encoding="utf-8")
    assert all(f'"{source.id}"' in text for source in sources())


def test_every_use_and_zone_is_in_the_land_use_table() -> None:
    known = catalogue.land_use()
    table = next(one for one in known if one.jurisdiction == "demo_town")
    districts = recipe.DISTRICTS.values()
    assert {code for one in districts for code in one.uses} <= set(table.use)
    assert {one.zone for one in districts} | {"B-1", "MX", "OS"} <= set(table.zone)


# ---------------------------------------------------------------------------------------------
# The mess


def test_parcels_are_a_shapefile_in_feet_with_its_faults(town: Path) -> None:
    rows = rows_of(town, "demo_parcels")
    assert rows.crs.to_epsg() == 2249
    assert max(map(len, rows.columns.drop("geometry"))) == 10
    land = rows[rows.POLY_TYPE == "FEE"]
    assert land.geometry.isna().sum() == 1
    assert land.MAP_PAR_ID.isna().sum() >= 1
    assert (~land.geometry.dropna().is_valid).sum() >= 1
    assert (land.USE_CODE == "3V9").sum() >= 1
    assert land.USE_CODE.isna().sum() >= 1
    stacked = land[land.geometry.notna() & land.geometry.to_wkb().duplicated(keep=False)]
    assert len(stacked) >= 2
    assert stacked.MAP_PAR_ID.is_unique
    repeated = land.MAP_PAR_ID.dropna()
    assert repeated.duplicated().sum() >= 1
    assert {"ROW", "WATER", "RAIL_ROW"} <= set(rows.POLY_TYPE)


def test_an_owner_has_one_lot_or_some_that_touch(parcels: gpd.GeoDataFrame) -> None:
    land = parcels[(parcels.POLY_TYPE == "FEE") & parcels.geometry.is_valid]
    assert 0.001 < land.OWNER1.isna().mean() < 0.03
    several = land[land.OWNER1.duplicated(keep=False) & land.OWNER1.notna()]
    by_owner = several.groupby("OWNER1")
    # Two pieces of one id are of one owner too, and need not touch.
    ids = by_owner.MAP_PAR_ID.nunique()
    assert (ids > 1).any()
    for owner in ids[ids > 1].index:
        rows = by_owner.get_group(owner)
        assert rows.USE_CODE.str[0].isin(["3", "4"]).all()
        parts = shapely.buffer(rows.geometry.to_numpy(), 0.025)
        assert shapely.union_all(parts).geom_type == "Polygon"
    assert (ids == 1).any()


def test_owners_change_nothing_else(tmp_path: Path, town: Path, monkeypatch) -> None:
    monkeypatch.setattr(assessor, "OWNER_SEED", 7)
    demo.write(tmp_path, SMALL)
    changed = {name for name, digest in digests(tmp_path).items() if digests(town)[name] != digest}
    assert changed == {"parcels.zip"}
    before, after = rows_of(town, "demo_parcels"), rows_of(tmp_path, "demo_parcels")
    assert not before.OWNER1.equals(after.OWNER1)
    assert before.drop(columns="OWNER1").equals(after.drop(columns="OWNER1"))


def test_tables_of_text_hold_what_hands_typed(town: Path) -> None:
    stations = pd.read_csv(town / "substations.csv", dtype=str, keep_default_na=False)
    assert stations.Firm_kVA.str.contains(",").sum() >= 3
    assert "n/a" in set(stations.Firm_kVA)
    assert "" in set(stations.Committed_kVA)
    assert set(stations.Status.str.lower()) == {"in service", "retired", "planned"}
    mains = rows_of(town, "demo_mains")
    assert {'2"', '4"', '6"', '8"', "UNK"} == set(mains.DIAMETER)
    assert {"LP", "IP", "HP", ""} == set(mains.PRESSURE)
    zones = rows_of(town, "demo_zoning").ZONE_CODE
    assert (zones != zones.str.strip()).any()
    assert (zones != zones.str.upper()).any()
    assert rows_of(town, "demo_buildings").HEIGHT_FT.isna().any()
    with rasterio.open(town / "elevation.tif") as ground:
        assert (ground.read(1) == ground.nodata).any()


def test_feeders_are_negative_small_large_and_unpublished(town: Path) -> None:
    load = rows_of(town, "demo_feeders").LOAD_CAP_MW
    assert (load < 0).any()
    assert load.between(0, 1).any()
    assert (load > 1).any()
    assert load.isna().any()


def test_substations_are_full_overloaded_free_silent_and_retired() -> None:
    def left_kva(station: recipe.Substation) -> float:
        firm, peak, committed = (
            float(text.replace(",", "")) for text in (station.firm, station.peak, station.committed)
        )
        return firm - peak - committed

    by_name = {station.name: station for station in recipe.SUBSTATIONS}
    assert left_kva(by_name["Mill Pond"]) == 40_000 - 38_200 - 1_800 == 0
    assert left_kva(by_name["Northgate"]) == 25_000 - 26_400 - 900 < 0
    assert left_kva(by_name["Old Quarry"]) == 60_000 - 31_500 - 4_000 > 20_000
    assert by_name["West Yard"].firm == "n/a"
    assert by_name["Canal Street"].status == "Retired"


# ---------------------------------------------------------------------------------------------
# The town


def overlaps_m2(shapes: np.ndarray) -> np.ndarray:
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pair = one < other
    return np.asarray(shapely.area(shapely.intersection(shapes[one[pair]], shapes[other[pair]])))


def test_lots_do_not_overlap_but_where_they_are_stacked(lots: gpd.GeoDataFrame) -> None:
    alone = lots[~lots.geometry.to_wkb().duplicated()]
    assert overlaps_m2(alone.geometry.to_numpy()).max() < 0.01


def test_that_overlaps_are_seen() -> None:
    assert overlaps_m2(shapely.box([0, 1], [0, 0], [2, 3], [1, 1])).max() == 1.0


def test_streets_river_and_railway_lie_between_the_lots(parcels: gpd.GeoDataFrame) -> None:
    valid = parcels[parcels.geometry.notna() & parcels.geometry.is_valid]
    lots = valid[valid.POLY_TYPE == "FEE"].geometry.to_numpy()
    ways = valid[valid.POLY_TYPE != "FEE"].geometry.to_numpy()
    lot, way = shapely.STRtree(ways).query(lots, predicate="intersects")
    assert shapely.area(shapely.intersection(lots[lot], ways[way])).max() < 0.01


def test_buildings_lie_on_lots(town: Path, parcels: gpd.GeoDataFrame) -> None:
    buildings = rows_of(town, "demo_buildings").geometry.to_numpy()
    # A bow tie is half a lot, and a lot without geometry none: their houses are not judged.
    whole = parcels[(parcels.POLY_TYPE == "FEE") & parcels.geometry.is_valid]
    lots = whole.geometry.to_numpy()
    building, _ = shapely.STRtree(lots).query(buildings, predicate="covered_by")
    standing = np.unique(building).size
    broken = len(parcels[parcels.POLY_TYPE == "FEE"]) - len(whole)
    assert len(buildings) - standing <= 2 * broken
    assert len(buildings) > 0.8 * SMALL


def area_of(path: Path) -> shapely.Geometry:
    return gpd.read_file(path).to_crs(recipe.CRS).geometry.union_all()


def test_footprints_stop_at_the_west_village(town: Path, lots: gpd.GeoDataFrame) -> None:
    whole = area_of(town / "coverage_town.geojson")
    village = whole.difference(area_of(town / "coverage_footprints.geojson"))
    # A building across the line is drawn, one beyond it is not.
    buildings = rows_of(town, "demo_buildings").geometry
    assert not buildings.within(village.buffer(-0.01)).any()
    there = lots[lots.within(village)]
    assert len(there) >= 10
    assert there.BLDG_AREA.notna().sum() >= 10


def test_only_houses_of_the_village_get_a_shop_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "VILLAGE_SHOPS_SHARE", 1.0)
    frame = layout.Frame(1.0, (1_000.0, 1_000.0), np.empty((0, 4)))
    x = np.array([-800.0, -800.0, -800.0, 0.0])
    houses = gpd.GeoDataFrame(
        {
            "use": ["101", "102", "101", "104"],
            "district": ["old_town", "old_town", "suburb", "old_town"],
        },
        geometry=shapely.box(x, 0, x + 20, 20),
    )
    found = lots_of.village(houses, frame, np.random.default_rng(1))
    assert list(found) == ["013", "102", "101", "104"]


def test_the_clerks_list_ends_short_of_the_town_line(town: Path) -> None:
    whole = area_of(town / "coverage_town.geojson")
    listed = area_of(town / "coverage_clerk.geojson")
    assert 0.9 < listed.area / whole.area < 1
    told = rows_of(town, "demo_receptors").to_crs(recipe.CRS)
    assert told.intersects(listed.buffer(0.1)).all()


def test_lots_are_of_plausible_size(lots: gpd.GeoDataFrame) -> None:
    houses = lots[lots.USE_CODE == "101"].area
    assert houses.quantile(0.02) > 200
    assert 400 < houses.median() < 1_200
    assert lots.area.min() > 100


def test_most_streets_are_not_straight(town: Path) -> None:
    drawn = rows_of(town, "demo_streets")
    streets = drawn[(drawn.KIND == "street") & (drawn.length > 150)].geometry
    ends = shapely.linestrings(
        np.stack(
            [
                shapely.get_coordinates(shapely.get_point(streets.to_numpy(), 0)),
                shapely.get_coordinates(shapely.get_point(streets.to_numpy(), -1)),
            ],
            axis=1,
        )
    )
    bow_m = shapely.hausdorff_distance(streets.to_numpy(), ends)
    assert (bow_m > 3).mean() > 0.5


def test_zoning_covers_the_lots_and_splits_some(town: Path, lots: gpd.GeoDataFrame) -> None:
    zones = rows_of(town, "demo_zoning").to_crs(recipe.CRS).geometry.make_valid().to_numpy()
    shapes = lots.geometry.to_numpy()
    lot, zone = shapely.STRtree(zones).query(shapes, predicate="intersects")
    share = shapely.area(shapely.intersection(shapes[lot], zones[zone])) / shapely.area(shapes[lot])
    table = pd.Series(share).groupby(lot)
    assert (table.sum() > 0.999).mean() > 0.99
    assert (table.max() < 0.98).sum() >= 10
