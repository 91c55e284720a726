"""Compare the selection from Cambridge's real files, including their defects, with an oracle."""

import datetime as dt
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from data.database import open_engine
from data.pull import refresh_source
from data.select import describe_sources, read_drawing_layers, select_sites
from data.snapshot import digest_frame
from geo.contract.toml import parse_toml
from geo.model import Market, Needs, Plan
from tests.built_in import read_land_use, read_sources

ROOT = Path(__file__).parents[2]
NIGHT = dt.date(2026, 3, 1)
REACH = {
    "receptors": 100.0,
    "substations": 4000.0,
    "gas_signs": 60.0,
    "exclusions": 0.0,
    "lots": 30.0,
}


def read_toml(model, name):
    return parse_toml(model, (ROOT / name).read_text("utf-8"), name)


@pytest.fixture(scope="module")
def market():
    return read_toml(Market, "data/markets/cambridge/market.toml")


@pytest.fixture(scope="module")
def plan():
    return read_toml(Plan, "data/markets/cambridge/plans/cambridge.toml")


@pytest.fixture(scope="module")
def store(tmp_path_factory, cambridge_files, market):
    path = tmp_path_factory.mktemp("cambridge") / "cambridge.duckdb"
    sources = read_sources()
    for source_id in market.sources:
        refresh_source(sources[source_id], market, cambridge_files, path, NIGHT)
    return path


@pytest.fixture(scope="module")
def selection(store, market, plan):
    needs = Needs(plan.sites, plan.noise.receptors, REACH)
    return select_sites(store, market, needs, read_land_use(), NIGHT)


def test_every_parcel_is_accounted_for(selection, cambridge_files):
    rows = len(gpd.read_parquet(cambridge_files / "parcels_fy2014.parquet"))
    assert selection.parcels_in == rows == 13_116
    assert rows == len(selection.screening.sites) + sum(selection.set_aside.values())
    assert selection.set_aside["no geometry"] == 1
    assert selection.set_aside["another piece of a repeated id"] > 0
    assert selection.unclassified == {"1322": 22}


def test_the_real_defects_are_counted(store, market):
    lines = {line.id: line for line in describe_sources(store, market, NIGHT)}
    assert list(lines) == list(market.sources)
    notes = "; ".join(lines["cambridge_parcels"].notes)
    for note in ("37 invalid rings repaired", "134 rows without a match in TaxFY14.csv"):
        assert note in notes
    assert "10 rows left out: another TYPE" in lines["cambridge_transformer_stations"].notes
    assert any("may be incomplete" in note for note in lines["cambridge_leaks_open"].notes)


def test_every_code_but_one_is_in_the_table(cambridge_files):
    (table,) = (table for table in read_land_use() if table.jurisdiction == "cambridge_ma")
    parcels = gpd.read_parquet(cambridge_files / "parcels_fy2014.parquet")["UseCode"]
    tax = pd.read_csv(cambridge_files / "TaxFY14.csv", encoding="latin-1", dtype=str)["UseCode"]
    codes = set(parcels.dropna()) | set(tax.dropna())
    assert codes - set(table.use) == {"1322"}
    assert set(table.use) <= codes
    zones = gpd.read_file(cambridge_files / "CDD_ZoningDistricts.geojson")["ZONE_TYPE"]
    assert set(zones) <= set(table.zone)
    # A code with a leading zero is a different code with a different meaning.
    assert table.use["0101"].use_class == "mixed"
    assert table.use["101"].use_class == "residential"


def test_tax_rows_are_combined_as_by_pandas(selection, cambridge_files):
    tax = pd.read_csv(cambridge_files / "TaxFY14.csv", encoding="latin-1", dtype=str)
    area = pd.to_numeric(tax["GrossArea"])
    area = area.where(area > 0).groupby(tax["ML"].str.strip()).sum(min_count=1) * 0.3048**2
    sites = selection.screening.sites.set_index("site_id")
    expected = area.reindex(sites.index)
    pd.testing.assert_series_equal(
        sites["building_area_m2"], expected, check_names=False, check_index_type=False
    )
    counts = tax["ML"].str.strip().value_counts().reindex(sites.index).astype("float64")
    pd.testing.assert_series_equal(
        sites["record_count"], counts, check_names=False, check_index_type=False
    )


def test_sites_agree_with_a_slow_oracle(selection, cambridge_files, plan):
    """The oracle takes a sample of whole lots from the files, one at a time, with GeoPandas."""
    (table,) = (table for table in read_land_use() if table.jurisdiction == "cambridge_ma")
    lots = gpd.read_parquet(cambridge_files / "parcels_fy2014.parquet")
    lots = lots[lots["ML"].str.match(r"\d+[A-Z]?-\d+$", na=False)]
    lots = lots[~lots["ML"].duplicated(keep=False)].to_crs("EPSG:26986")
    zones = gpd.read_file(cambridge_files / "CDD_ZoningDistricts.geojson").to_crs("EPSG:26986")
    sites = selection.screening.sites.set_index("site_id")
    rules = selection.set_aside_parcels.set_index("parcel_id")["rule"]
    for lot in lots.sample(250, random_state=1).itertuples():
        shape = lot.geometry if lot.geometry.is_valid else lot.geometry.buffer(0)
        use = table.use.get(lot.UseCode)
        share = zones.intersection(shape).area.groupby(zones["ZONE_TYPE"]).sum()
        site_zones = [
            zone for zone in share.index if table.zone[zone].zone_class in plan.sites.zones
        ]
        use_class = use.use_class if use else None
        by_use = use_class in plan.sites.classes
        by_zone = use_class in {None, "vacant"} and (
            share[site_zones].sum() >= plan.sites.zone_share_minimum * shape.area
        )
        expected = (by_use or by_zone) and shape.area >= plan.sites.minimum_area_m2
        assert (lot.ML in sites.index) == expected, (lot.ML, rules.get(lot.ML))
        if expected:
            assert sites.loc[lot.ML, "lot_area_m2"] == pytest.approx(shape.area)
            assert sites.loc[lot.ML, "zone_code"] == share.idxmax()
            assert sites.loc[lot.ML, "zone_share"] == pytest.approx(
                min(share.max() / shape.area, 1), abs=1e-6
            )
            assert sites.loc[lot.ML, "zone_split"] == (share.max() < 0.98 * share.sum())


def test_layers_within_reach_agree_with_a_slow_oracle(selection, cambridge_files):
    ground = selection.screening.sites.union_all()
    for name, parts in {
        "gas_signs": [
            "gas_leaks_unrepaired2019_cambridge_1mi.geojson",
            "gas_leaks_repaired2019_cambridge_1mi.geojson",
        ],
        "exclusions": ["FEMA_FloodPlains100Year.geojson"],
    }.items():
        rows = pd.concat([gpd.read_file(cambridge_files / part) for part in parts])
        near = rows.to_crs("EPSG:26986").make_valid().distance(ground) <= REACH[name]
        selected = selection.screening.layers[name]
        if name == "gas_signs":
            selected = selected[selected["sign"] == "leak_report"]
        else:
            selected = selected[selected["kind"] == "flood"]
        assert len(selected) == near.sum() > 0


def test_homes_within_reach_agree_with_a_slow_oracle(selection, store, market):
    (table,) = (table for table in read_land_use() if table.jurisdiction == "cambridge_ma")
    parcels = read_drawing_layers(store, market, NIGHT, (table,))["parcels"]
    homes = parcels[
        parcels["use_code"].map(
            lambda code: getattr(table.use.get(code), "receptor", None) == "home"
        )
    ]
    near = homes.sindex.query(
        selection.screening.sites.geometry, predicate="dwithin", distance=REACH["receptors"]
    )[1]
    selected = selection.screening.layers["receptors"]
    selected = selected[selected["receptor_class"] == "home"]
    expected = set(homes.iloc[near]["parcel_id"].dropna())
    assert expected <= set(selected["receptor_id"])
    assert len(expected) > 5000
    own = selected[selected["site_id"].notna()]
    assert set(own["site_id"]) <= set(selection.screening.sites["site_id"])
    assert (own["site_id"] == own["receptor_id"]).all()


def test_lots_within_reach_agree_with_a_slow_oracle(selection, cambridge_files):
    parcels = gpd.read_parquet(cambridge_files / "parcels_fy2014.parquet").to_crs("EPSG:26986")
    parcels = parcels[~(parcels.geometry.isna() | parcels.geometry.is_empty)]
    parcels["geometry"] = parcels.geometry.make_valid()
    sites, lots = selection.screening.sites, selection.screening.layers["lots"]
    near = np.unique(
        parcels.sindex.query(sites.geometry, predicate="dwithin", distance=REACH["lots"])[1]
    )
    grounds = parcels.iloc[near].geometry.normalize().to_wkb()
    # Repairing a ring may change the order of its points: at most the 37 invalid rings differ.
    assert abs(len(lots) - grounds.nunique()) <= 37
    assert set(parcels.iloc[near]["ML"].str.strip()) >= set(
        lots.loc[~lots["lot_id"].str.startswith("parcel "), "lot_id"]
    )
    # Cambridge draws its streets (a few large shapes) and railroads as parcels.
    counted = lots["kind"].value_counts()
    assert counted["lot"] > 5000
    assert counted["street"] > 0
    assert counted["rail"] > 0
    assert set(lots["site_id"].dropna()) == set(sites["site_id"])


def test_no_capacity_is_invented(selection):
    stations = selection.screening.layers["substations"]
    assert len(stations) == 11 + 4
    for column in ("firm_capacity_mva", "peak_load_mva", "committed_load_mva"):
        assert stations[column].isna().all()
    assert set(stations["status"]) == {"in_service", "unknown"}
    assert selection.screening.coverage["substations"] is None


def test_a_second_night_changes_nothing(store, market, plan, selection, cambridge_files):
    sources = read_sources()
    later = NIGHT + dt.timedelta(days=1)
    for source_id in ("cambridge_parcels", "cambridge_zoning", "cambridge_flood"):
        pulled = refresh_source(sources[source_id], market, cambridge_files, store, later)
        assert not pulled.changed
    needs = Needs(plan.sites, plan.noise.receptors, {})
    again = select_sites(store, market, needs, read_land_use(), later)
    pd.testing.assert_frame_equal(
        pd.DataFrame(again.screening.sites), pd.DataFrame(selection.screening.sites)
    )
    pd.testing.assert_frame_equal(again.set_aside_parcels, selection.set_aside_parcels)


def test_licenses_are_those_of_the_files():
    sources = {
        key: source for key, source in read_sources().items() if key.startswith("cambridge_")
    }
    closed = {key for key, source in sources.items() if not source.redistribute}
    assert closed == {"cambridge_substations", "cambridge_leaks_open", "cambridge_leaks_repaired"}
    for key in closed:
        assert "no license file" in sources[key].licence


def test_one_core_gives_the_same_as_many(store, market, plan, selection):
    needs = Needs(plan.sites, plan.noise.receptors, REACH)
    engine = open_engine()
    engine.execute("set threads = 1")
    try:
        alone = select_sites(store, market, needs, read_land_use(), NIGHT)
    finally:
        engine.execute("reset threads")
    pairs = [(alone.screening.sites, selection.screening.sites)]
    pairs += [(alone.screening.layers[name], selection.screening.layers[name]) for name in REACH]
    for first, second in pairs:
        assert digest_frame(first) == digest_frame(second)
    assert alone.set_aside_parcels.equals(selection.set_aside_parcels)
