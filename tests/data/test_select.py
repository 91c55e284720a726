"""Select sites, set other parcels aside, and find what lies near them, with a lot for each rule."""

import datetime as dt
from dataclasses import replace

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from data.select import SET_ASIDE_RULES, describe_sources, read_drawing_layers, select_sites
from geo.errors import ConfigError, SourceChanged, StoreError
from geo.model import Setbacks

# id, use, kind, floor area, x, y, side. Zone B is x < 1000, R is 1000..2000; no zone lies beyond.
LOTS = [
    ("shop", "3", None, 100.0, 0, 0, 20),
    ("mill", "4", None, None, 100, 0, 30),
    ("homes_above", "M", None, None, 200, 0, 20),
    ("house", "1", None, None, 130, 0, 20),
    ("school", "9", None, None, 300, 0, 40),
    ("vacant_in_b", "V", None, None, 400, 0, 20),
    ("vacant_in_r", "V", None, None, 1400, 0, 20),
    ("vacant_outside", "V", None, None, 2400, 0, 20),
    ("missing_in_b", None, None, None, 500, 0, 20),
    ("missing_in_r", None, None, None, 1500, 0, 20),
    ("missing_outside", None, None, None, 2500, 0, 20),
    ("odd_in_b", "X", None, None, 600, 0, 20),
    ("odd_in_r", "X", None, None, 1600, 0, 20),
    ("odd_outside", "X", None, None, 2600, 0, 20),
    ("small", "3", None, None, 700, 0, 5),
    ("street", "3", "ROW", None, 740, 0, 20),
    ("pond", "3", "Water", None, 770, 0, 20),
    (None, "3", None, None, 800, 0, 20),
    (" ", "3", None, None, 830, 0, 20),
    ("split", "3", None, None, 990, 0, 20),
    ("stack_b", "3", None, 30.0, 860, 0, 20),
    ("stack_a", "3", None, 50.0, 860, 0, 20),
    ("stack_c", "1", None, None, 860, 0, 20),
    ("twice", "3", None, 70.0, 900, 0, 20),
    ("twice", "3", None, 70.0, 940, 0, 20),
    ("nowhere", "3", None, None, None, 0, 0),
    ("far_house", "1", None, None, 1200, 5000, 20),
    # Entered twice: the same id on the same ground. The row whose use is known counts.
    ("again", None, None, 20.0, 630, 0, 20),
    ("again", "3", None, 40.0, 630, 0, 20),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_square, make_table):
    path = tmp_path_factory.mktemp("street")
    shapes = [None if lot[4] is None else make_square(*lot[4:7]) for lot in LOTS]
    columns = {n: [lot[i] for lot in LOTS] for i, n in enumerate(("ID", "USE", "KIND", "FLOOR"))}
    columns["FLOOR"] = pd.Series(columns["FLOOR"], dtype="float64")
    make_table(shapes, **columns).to_parquet(path / "parcels.parquet")
    zones = [make_square(-100, -100, 1100, 400), make_square(1000, -100, 1000, 400)]
    make_table(zones, ZONE=["B", "R"]).to_parquet(path / "zoning.parquet")
    return path


@pytest.fixture(scope="module")
def street(folder, pull, make_market, parcel_source, zone_source):
    market = make_market(parcel_source.id, zone_source.id)
    return pull(folder, market, parcel_source, zone_source)[0], market


def run_selection(stored_market, needs, land_use, night):
    store, market = stored_market
    return select_sites(store, market, needs, land_use, night)


def test_each_parcel_is_a_site_or_set_aside_by_one_rule(street, make_needs, land_use, night):
    selection = run_selection(street, make_needs(), land_use, night)
    assert selection.screening.sites["site_id"].tolist() == [
        "again",
        "homes_above",
        "mill",
        "missing_in_b",
        "odd_in_b",
        "shop",
        "split",
        "stack_a",
        "twice",
        "vacant_in_b",
    ]
    rules = selection.set_aside_parcels.set_index(
        selection.set_aside_parcels["parcel_id"].fillna("-")
    )["rule"]
    assert rules.drop(["-", "twice"]).to_dict() == {
        "again": "entered twice",
        "nowhere": "no geometry",
        "street": "not land",
        "pond": "not land",
        "stack_b": "stacked on another parcel",
        "stack_c": "stacked on another parcel",
        "house": "residential use",
        "far_house": "residential use",
        "school": "exempt use",
        "vacant_in_r": "vacant use in a zone that is not for sites",
        "missing_in_r": "missing use in a zone that is not for sites",
        "odd_in_r": "unclassified use in a zone that is not for sites",
        "vacant_outside": "vacant use in no zone",
        "missing_outside": "missing use in no zone",
        "odd_outside": "unclassified use in no zone",
        "small": "smaller than the plan's minimum",
    }
    assert rules["twice"] == "another piece of a repeated id"
    assert rules["-"].tolist() == ["no assessor id"] * 2
    assert selection.parcels_in == len(LOTS) == 10 + sum(selection.set_aside.values())
    assert list(selection.set_aside) == [
        rule for rule in SET_ASIDE_RULES if rule in selection.set_aside
    ]
    assert selection.unclassified == {"X": 3}
    assert "X (3)" in selection.notes[0]


def test_the_plan_decides_which_lots_are_sites(street, make_needs, land_use, night):
    plain = run_selection(street, make_needs(classes=("industrial",), zones=()), land_use, night)
    assert plain.screening.sites["site_id"].tolist() == ["mill"]
    assert plain.set_aside["commercial use"] == 5
    # These are the stack of a shop and a home, and the shop with homes above it.
    assert plain.set_aside["mixed use"] == 2
    assert plain.parcels_in == 1 + sum(plain.set_aside.values())
    large = run_selection(street, make_needs(minimum_area_m2=500.0), land_use, night)
    # 30 m by 30 m, and two pieces of 20 m by 20 m.
    assert large.screening.sites["site_id"].tolist() == ["mill", "twice"]


def test_the_columns_of_a_site(street, make_needs, land_use, night):
    sites = run_selection(street, make_needs(), land_use, night).screening.sites
    assert sites.crs.to_string() == "EPSG:26986"
    assert sites.index.equals(pd.RangeIndex(len(sites)))
    by_id = sites.set_index("site_id")
    assert by_id.loc["shop", "use_title"] == "Shop"
    assert by_id["site_because"].to_dict() == {
        name: "zoning" if name.endswith("_in_b") else "use" for name in by_id.index
    }
    assert by_id.loc["mill", "lot_area_m2"] == pytest.approx(30 * 30)
    # 10 m of 20 m are on either side of the line between the zones, so neither is the lot's.
    assert by_id.loc["split", "zone_share"] == pytest.approx(0.5)
    assert by_id.loc["split", ["zone_code", "zone_class"]].isna().all()
    assert by_id["zone_split"].to_dict() == {name: name == "split" for name in by_id.index}
    assert by_id["zone_code"].dropna().unique().tolist() == ["B"]
    assert by_id["zone_class"].dropna().unique().tolist() == ["commercial"]
    assert by_id["own_dwelling"].to_dict() == {
        name: name in {"homes_above", "stack_a"} for name in by_id.index
    }
    assert by_id.loc["stack_a", ["use_class", "stacked_count"]].tolist() == ["mixed", 3]
    assert by_id.loc["stack_a", "building_area_m2"] == 50 + 30
    assert by_id.loc["twice", ["piece_count", "lot_area_m2"]].tolist() == [2, 2 * 20 * 20]
    # A repeated id has one tax row, not one per piece.
    assert by_id.loc["twice", "building_area_m2"] == 70
    assert pd.isna(by_id.loc["mill", "building_area_m2"])


def test_receptors_are_those_within_reach_with_the_site_they_are_on(
    street, make_needs, land_use, night
):
    screening = run_selection(street, make_needs({"receptors": 100.0}), land_use, night).screening
    heard = screening.layers["receptors"].set_index("receptor_id")
    assert heard["receptor_class"].to_dict() == {
        "homes_above": "home",
        "house": "home",
        "school": "school",
        "stack_c": "home",
    }
    # far_house is 5 km away; the school is 60 m from vacant_in_b.
    assert heard["site_id"].fillna("").to_dict() == {
        "homes_above": "homes_above",
        "house": "",
        "school": "",
        "stack_c": "stack_a",
    }
    assert screening.coverage["receptors"].equals(screening.coverage["parcels"])
    none = run_selection(street, make_needs({"receptors": 0.0}), land_use, night).screening.layers[
        "receptors"
    ]
    # The house touches the mill's lot, so its distance is 0.
    assert none["receptor_id"].tolist() == ["homes_above", "house", "stack_c"]


def test_lots_are_every_piece_of_land_near_a_site(street, make_needs, land_use, night):
    screening = run_selection(street, make_needs({"lots": 100.0}), land_use, night).screening
    lots = screening.layers["lots"]
    assert list(lots.columns) == ["lot_id", "kind", "use_class", "site_id", "geometry"]
    assert lots["lot_id"].is_monotonic_increasing
    named = lots[~lots["lot_id"].str.startswith("parcel ")].set_index("lot_id")
    # The school is 60 m from vacant_in_b, the street 100 m from the stack, small 70 m from
    # odd_in_b.
    assert named.index.tolist() == [
        "again",
        "homes_above",
        "house",
        "mill",
        "missing_in_b",
        "odd_in_b",
        "pond",
        "school",
        "shop",
        "small",
        "split",
        "stack_a",
        "street",
        "twice",
        "twice",
        "vacant_in_b",
    ]
    kinds = named["kind"].to_dict()
    assert (kinds.pop("street"), kinds.pop("pond")) == ("street", "water")
    assert set(kinds.values()) == {"lot"}
    # One parcel of the stack is a home, so its neighbors adjoin a residential lot.
    assert named["use_class"].drop("twice").fillna("").to_dict() == {
        "again": "commercial",
        "homes_above": "mixed",
        "house": "residential",
        "mill": "industrial",
        "missing_in_b": "",
        "odd_in_b": "",
        "pond": "commercial",
        "school": "exempt",
        "shop": "commercial",
        "small": "commercial",
        "split": "commercial",
        "stack_a": "residential",
        "street": "commercial",
        "vacant_in_b": "vacant",
    }
    assert set(named["use_class"]["twice"]) == {"commercial"}
    own = {"house", "pond", "school", "small", "street"}
    for name, site in named["site_id"].fillna("").items():
        assert site == ("" if name in own else name), name
    # There are two lots without an id, 10 m and 40 m from the stack.
    nameless = lots[lots["lot_id"].str.startswith("parcel ")]
    assert (len(nameless), nameless["site_id"].notna().sum()) == (2, 0)
    assert screening.coverage["lots"].equals(screening.coverage["parcels"])
    near = run_selection(street, make_needs({"lots": 30.0}), land_use, night).screening.layers[
        "lots"
    ]
    assert {"school", "small", "pond", "street"}.isdisjoint(near["lot_id"])
    assert near["lot_id"].str.startswith("parcel ").sum() == 1


def test_ground_drawn_twice_is_one_lot_rather_than_a_street(
    *,
    tmp_path,
    pull,
    make_market,
    make_table,
    make_square,
    parcel_source,
    zone_source,
    make_needs,
    land_use,
    night,
):
    columns = {
        "ID": ["a", None, "b", None, "way", "c", "line"],
        "USE": ["3", "3", "1", "1", "3", "1", None],
        "KIND": [None, None, None, None, "priv_row ", "FEE", "RAIL_ROW"],
        "FLOOR": [1.0] * 7,
    }
    # The private way is drawn over lot c; lot b and a home without an id share their ground.
    shapes = [make_square(x, 0) for x in (0, 20, 40, 40, 60, 60, 80)]
    make_table(shapes, **columns).to_parquet(tmp_path / "parcels.parquet")
    make_table([make_square(-10, -10, 200)], ZONE=["B"]).to_parquet(tmp_path / "zoning.parquet")
    market = make_market(parcel_source.id, zone_source.id)
    store, _ = pull(tmp_path, market, parcel_source, zone_source)
    selection = select_sites(store, market, make_needs({"lots": 70.0}), land_use, night)
    lots = selection.screening.layers["lots"]
    assert lots["lot_id"].str.replace(r"\d+", "n", regex=True).tolist() == [
        "a",
        "b",
        "c",
        "line",
        "parcel n",
    ]
    assert lots["kind"].tolist() == ["lot", "lot", "lot", "rail", "lot"]
    assert selection.set_aside["not land"] == 2


# id, use, owner, address, floor area, x, width; 20 m deep, in zone B below x = 1000.
OWNED = [
    # Three in a row: the first one by id has no address, and the last one is 4 cm away.
    ("b2", "3", " Mill  Co ", "2 Mill St", 100.0, 0, 20),
    ("b1", "4", "MILL CO", None, 50.0, 20, 30),
    ("b3", "M", "mill\tco", "6 Mill St", None, 50.04, 20),
    # Another owner's lot, and beyond it another lot of the first owner.
    ("c1", "3", "Other", None, None, 70.04, 20),
    ("b4", "3", "Mill Co", None, None, 90.04, 20),
    # The owner's house is not a site, and lots 20 cm apart do not touch.
    ("b5", "1", "Mill Co", None, None, 110.04, 20),
    ("b6", "3", "Mill Co", None, None, 110.24, 20),
    # Lots without an owner's name are not joined.
    ("d1", "3", None, None, None, 200, 20),
    ("d2", "3", "  ", None, None, 220, 20),
    # Two lots that are too small only alone, and two that are too small even together.
    ("e1", "3", "Lee", None, 10.0, 300, 10),
    ("e2", "3", "Lee", None, None, 310, 10),
    ("f1", "3", "Ray", None, None, 400, 8),
    ("f2", "3", "Ray", None, None, 408, 8),
    # A stack of one owner, with a home, beside that owner's shop; and a stack of two owners.
    ("g1", "3", "Kim", None, 30.0, 500, 20),
    ("g2", "1", "Kim", None, 40.0, 500, 20),
    ("g3", "3", "Kim", None, 50.0, 520, 20),
    ("h1", "3", "Roy", None, None, 600, 20),
    ("h2", "3", "May", None, None, 600, 20),
    ("h3", "3", "Roy", None, None, 620, 20),
    # On both sides of the line between the zones, the smaller part beyond it.
    ("k1", "3", "Zoe", None, None, 970, 30),
    ("k2", "3", "Zoe", None, None, 1000, 20),
]


@pytest.fixture(scope="module")
def owned(
    tmp_path_factory, *, make_square, make_table, pull, make_market, parcel_source, zone_source
):
    path = tmp_path_factory.mktemp("owned")
    shapes = [make_square(lot[5], 0, lot[6], 20) for lot in OWNED]
    names = ("ID", "USE", "OWNER", "ADDRESS", "FLOOR")
    columns = {name: [lot[i] for lot in OWNED] for i, name in enumerate(names)}
    columns["FLOOR"] = pd.Series(columns["FLOOR"], dtype="float64")
    make_table(shapes, KIND=None, **columns).to_parquet(path / "parcels.parquet")
    zones = [make_square(-100, -100, 1100, 400), make_square(1000, -100, 1000, 400)]
    make_table(zones, ZONE=["B", "R"]).to_parquet(path / "zoning.parquet")
    declared = parcel_source.model_dump()
    declared["columns"] |= {"owner": {"column": "OWNER"}, "address": {"column": "ADDRESS"}}
    source = type(parcel_source).model_validate(declared)
    market = make_market(source.id, zone_source.id)
    return pull(path, market, source, zone_source)[0], market


def test_touching_parcels_of_one_owner_are_one_site(owned, make_needs, land_use, night):
    reach = {"receptors": 0.0, "lots": 0.0}
    selection = run_selection(
        owned, make_needs(reach, minimum_area_m2=350.0, join_owner=True), land_use, night
    )
    sites = selection.screening.sites.set_index("site_id")
    assert sites["joined_count"].to_dict() == {
        "b1": 3,
        "b4": 1,
        "b6": 1,
        "c1": 1,
        "d1": 1,
        "d2": 1,
        "e1": 2,
        "g1": 2,
        "h1": 1,
        "h3": 1,
        "k1": 2,
    }
    assert selection.set_aside == {
        "stacked on another parcel": 2,
        "residential use": 1,
        "joined to a touching parcel of the same owner": 5,
        "smaller than the plan's minimum": 2,
    }
    assert selection.parcels_in == len(OWNED) == len(sites) + sum(selection.set_aside.values())
    aside = selection.set_aside_parcels.set_index("parcel_id")["rule"]
    joined = aside[aside == "joined to a touching parcel of the same owner"]
    assert joined.index.tolist() == ["b2", "b3", "e2", "g3", "k2"]
    mill = sites.loc["b1"]
    # The site takes the lowest id, the first address by id, and the use and zone of the largest
    # lot. The gap is closed.
    assert mill[["address", "use_code", "use_class"]].tolist() == ["2 Mill St", "4", "industrial"]
    assert mill["zone_code"] == "B"
    assert mill["zone_share"] == pytest.approx(1, abs=0.001)
    assert mill["building_area_m2"] == 100 + 50
    assert mill.geometry.geom_type == "Polygon"
    assert mill["lot_area_m2"] == pytest.approx(70.04 * 20, abs=0.05)
    assert mill["own_dwelling"]
    assert pd.isna(sites.loc["k1", "building_area_m2"])
    assert sites.loc["g1", ["stacked_count", "piece_count"]].tolist() == [3, 2]
    assert sites.loc["g1", "building_area_m2"] == 30 + 40 + 50
    # 30 m of 50 m are in zone B.
    assert sites.loc["k1", ["zone_code", "zone_split"]].tolist() == ["B", True]
    assert sites.loc["k1", "zone_share"] == pytest.approx(0.6)


def test_receptors_on_a_joined_site_are_its_own(owned, make_needs, land_use, night):
    reach = {"receptors": 0.0, "lots": 0.0}
    selection = run_selection(
        owned, make_needs(reach, minimum_area_m2=350.0, join_owner=True), land_use, night
    )
    heard = selection.screening.layers["receptors"].set_index("receptor_id")["site_id"]
    assert heard.fillna("").to_dict() == {"b3": "b1", "b5": "", "g2": "g1"}
    lots = selection.screening.layers["lots"].set_index("lot_id")["site_id"].fillna("")
    assert lots[["b1", "b2", "b3", "b4", "b5"]].tolist() == ["b1", "b1", "b1", "b4", ""]
    assert lots[["e1", "e2", "g1", "g3", "k2"]].tolist() == ["e1", "e1", "g1", "g1", "k1"]
    # This lot is too small even when joined, and it is near no site.
    assert "f1" not in lots.index


def test_parcels_of_one_owner_are_not_joined_unless_the_plan_asks(
    owned, make_needs, land_use, night
):
    selection = run_selection(owned, make_needs(minimum_area_m2=350.0), land_use, night)
    assert set(selection.screening.sites["joined_count"]) == {1}
    assert selection.screening.sites["site_id"].tolist() == [
        "b1", "b2", "b3", "b4", "b6", "c1", "d1", "d2", "g1", "g3", "h1", "h3", "k1", "k2",
    ]  # fmt: skip
    assert selection.set_aside["smaller than the plan's minimum"] == 4


def test_a_market_without_owners_joins_no_lots(street, make_needs, land_use, night):
    plain = run_selection(street, make_needs({"lots": 50.0}), land_use, night)
    joining = run_selection(street, make_needs({"lots": 50.0}, join_owner=True), land_use, night)
    pd.testing.assert_frame_equal(
        pd.DataFrame(plain.screening.sites), pd.DataFrame(joining.screening.sites)
    )
    pd.testing.assert_frame_equal(plain.set_aside_parcels, joining.set_aside_parcels)


def test_only_what_is_asked_for_is_loaded(street, make_needs, land_use, night):
    screening = run_selection(street, make_needs(), land_use, night).screening
    assert screening.layers == {}
    assert set(screening.coverage) == {"parcels", "zoning"}
    reach = dict.fromkeys(("mains", "substations", "elevation"), 100.0)
    screening = run_selection(street, make_needs(reach), land_use, night).screening
    assert screening.layers == {}
    assert screening.rasters == {}


def test_layers_come_within_their_reach_with_their_coverage(
    *,
    street,
    folder,
    make_needs,
    land_use,
    pull,
    make_market,
    make_source,
    make_table,
    make_point,
    night,
):
    store, market = street
    columns = {"sign": {"value": "leak_report"}}
    # 60.0 m and 60.5 m from the shop's lot line, and one far away.
    make_table(
        [make_point(-60, 5), make_point(-60.5, 5), make_point(-900, 0)], A=[1, 2, 3]
    ).to_parquet(folder / "leaks.parquet")
    leaks = make_source(
        "gas_signs", "leaks.parquet", columns, coverage={"kind": "none"}, id="leaks"
    )
    market = make_market(*market.sources, leaks.id)
    pull(folder, market, leaks)
    screening = run_selection(
        (store, market), make_needs({"gas_signs": 60.0}), land_use, night
    ).screening
    assert screening.layers["gas_signs"].geometry.x.tolist() == [make_point(-60, 5).x]
    assert screening.coverage["gas_signs"] is None
    drawn = read_drawing_layers(store, market, night, land_use)
    assert set(drawn) == {"parcels", "zoning", "gas_signs"}
    assert len(drawn["gas_signs"]) == 3
    classes = drawn["parcels"].set_index("parcel_id")["use_class"]
    assert classes["house"] == "residential"
    assert pd.isna(classes["odd_in_b"])
    assert {"street", "pond", "nowhere"}.isdisjoint(classes.index)


def test_a_feeder_known_only_by_its_substation_is_read_at_any_distance(
    *,
    street,
    folder,
    make_needs,
    land_use,
    pull,
    make_market,
    make_source,
    make_table,
    make_point,
    night,
):
    store, market = street
    columns = {
        "record_id": {"column": "F"},
        "kind": {"value": "load"},
        "grain": {"value": "feeder"},
    }
    near, far = make_point(-30, 5), make_point(-900, 0)
    lines = [shapely.LineString([near, (near.x, near.y + 5)]),
             shapely.LineString([far, (far.x, far.y + 5)])]  # fmt: skip
    make_table([far, *lines], F=["by name", "in the street", "elsewhere"]).to_parquet(
        folder / "feeders.parquet"
    )
    declared = make_source(
        "capacity", "feeders.parquet", columns, coverage={"kind": "none"}, id="feeders"
    )
    market = make_market(*market.sources, declared.id)
    pull(folder, market, declared)
    screening = run_selection(
        (store, market), make_needs({"capacity": 60.0}), land_use, night
    ).screening
    assert sorted(screening.layers["capacity"]["record_id"]) == ["by name", "in the street"]


def test_a_source_that_was_never_pulled_is_named(street, make_needs, land_use, night):
    store, market = street
    more = market.model_copy(update={"sources": (*market.sources, "cambridge_roads")})
    with pytest.raises(StoreError, match=f"no snapshot of cambridge_roads on or before {night}"):
        select_sites(store, more, make_needs({"streets": 10.0}), land_use, night)


def test_a_market_without_zoning_is_refused(
    tmp_path, folder, pull, make_market, parcel_source, make_needs, land_use, night
):
    market = make_market(parcel_source.id)
    (tmp_path / "parcels.parquet").write_bytes((folder / "parcels.parquet").read_bytes())
    store, _ = pull(tmp_path, market, parcel_source)
    with pytest.raises(StoreError) as caught:
        select_sites(store, market, make_needs(), land_use, night)
    for word in ("market 'tiny'", "`sources`", "zoning"):
        assert word in str(caught.value)
    with pytest.raises(StoreError, match=r"no snapshot of tiny_parcels on or before"):
        select_sites(store, market, make_needs(), land_use, night - dt.timedelta(days=1))


def test_a_missing_file_is_named_with_its_folder(tmp_path, pull, make_market, parcel_source):
    with pytest.raises(ConfigError) as caught:
        pull(tmp_path, make_market(), parcel_source)
    assert str(tmp_path / "parcels.parquet") in caught.value.wrong
    assert "PADFINDER_FILES" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"join": {"path": "tax.csv", "key": "A", "to": "ID", "columns": {}}}, "join.path"),
        ({"coverage": {"kind": "file", "path": "town.geojson"}}, "coverage.path"),
        ({"coverage": {"kind": "file"}}, "coverage.kind"),
        ({"layer": "parcel"}, "there is no layer 'parcel'"),
        ({"layer": "elevation"}, "does not fill layer 'elevation'"),
    ],
)
def test_a_declaration_that_cannot_be_followed_is_named(
    folder, pull, make_market, parcel_source, fields, message
):
    changed = type(parcel_source).model_validate(parcel_source.model_dump() | fields)
    with pytest.raises(ConfigError, match=message):
        pull(folder, make_market(), changed)


def test_each_source_is_described_for_readers(street, night):
    store, market = street
    lines = describe_sources(store, market, night)
    assert [line.id for line in lines] == list(market.sources)
    assert lines[0].rows == len(LOTS)
    assert lines[0].vintage == "2026-01-01"
    assert lines[0].notes == ("1 row without geometry",)


def test_shuffled_rows_give_the_same_selection(
    *, tmp_path, folder, street, pull, parcel_source, zone_source, make_needs, land_use, night
):
    for name in ("parcels", "zoning"):
        rows = gpd.read_parquet(folder / f"{name}.parquet").sample(frac=1, random_state=3)
        rows.to_parquet(tmp_path / f"{name}.parquet")
    store, market = street
    other, _ = pull(tmp_path, market, parcel_source, zone_source)
    reach = make_needs({"receptors": 100.0, "lots": 100.0})
    first = select_sites(store, market, reach, land_use, night)
    second = select_sites(other, market, reach, land_use, night)
    pd.testing.assert_frame_equal(
        pd.DataFrame(first.screening.sites), pd.DataFrame(second.screening.sites)
    )
    pd.testing.assert_frame_equal(first.set_aside_parcels, second.set_aside_parcels)
    for name in ("receptors", "lots"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(first.screening.layers[name]), pd.DataFrame(second.screening.layers[name])
        )


def test_an_id_in_two_jurisdictions_is_refused(
    *,
    tmp_path,
    pull,
    make_market,
    make_table,
    make_square,
    parcel_source,
    zone_source,
    make_needs,
    land_use,
    night,
):
    columns = {"USE": ["3"], "KIND": [None], "FLOOR": [1.0]}
    make_table([make_square(0, 0)], ID=["7"], **columns).to_parquet(tmp_path / "parcels.parquet")
    make_table([make_square(50, 0)], ID=["7"], **columns).to_parquet(tmp_path / "b.parquet")
    make_table([make_square(-10, -10, 200)], ZONE=["B"]).to_parquet(tmp_path / "zoning.parquet")
    declared = parcel_source.model_dump()
    declared["id"], declared["fetch"]["path"] = "b", "b.parquet"
    declared["columns"]["jurisdiction"] = {"value": "other"}
    other = type(parcel_source).model_validate(declared)
    market = make_market(parcel_source.id, "b", zone_source.id)
    store, _ = pull(tmp_path, market, parcel_source, other, zone_source)
    both = (*land_use, land_use[0].model_copy(update={"jurisdiction": "other"}))
    with pytest.raises(StoreError, match=r"\['7'\] are used in several jurisdictions"):
        select_sites(store, market, make_needs(), both, night)


def test_an_empty_layer_never_reaches_the_store(
    tmp_path, pull, make_market, parcel_source, make_table
):
    empty = make_table([shapely.Point(0, 0)], ID=["a"], USE=["3"], KIND=[None], FLOOR=[1.0]).iloc[
        :0
    ]
    empty.to_parquet(tmp_path / "parcels.parquet")
    with pytest.raises(SourceChanged, match=r"parcels\.parquet is an empty layer"):
        pull(tmp_path, make_market(), parcel_source)
    assert [path.name for path in tmp_path.iterdir()] == ["parcels.parquet"]


def test_sites_have_the_setbacks_of_their_zone(street, make_needs, land_use, night):
    deep = {"front_m": 6.0, "side_m": 2.0, "rear_m": 3.0, "home_m": 9.0}
    names = ["setback_front_m", "setback_side_m", "setback_rear_m", "setback_home_m"]
    (table,) = land_use
    setbacks = Setbacks.model_validate({"accessory": deep})
    read = table.zone["B"].model_copy(update={"setbacks": setbacks})
    text = (table.model_copy(update={"zone": {**table.zone, "B": read}}),)
    sites = run_selection(street, make_needs(), text, night).screening.sites
    in_one_zone = sites[sites["site_id"] != "split"]
    assert (in_one_zone[names] == list(deep.values())).all(axis=None)
    # No setback is known for a principal structure or for a zone without a text.
    principal = replace(make_needs(), structure="principal")
    for known, wanted in ((text, principal), (land_use, make_needs())):
        assert (
            run_selection(street, wanted, known, night).screening.sites[names].isna().all(axis=None)
        )


def test_of_a_parcel_entered_twice_the_lot_stays(
    *, tmp_path, make_square, make_table, pull, make_market, parcel_source, zone_source, make_needs,
    land_use, night,
):  # fmt: skip
    """Its first row is drawn as a street, which is no lot."""
    make_table(
        [make_square(0, 0, 20)] * 3, ID=["A"] * 3, USE=["3"] * 3, KIND=["ROW", None, None],
        FLOOR=[1.0] * 3,
    ).to_parquet(tmp_path / "parcels.parquet")  # fmt: skip
    make_table([make_square(-100, -100, 1100, 400)], ZONE=["B"]).to_parquet(
        tmp_path / "zoning.parquet"
    )
    market = make_market(parcel_source.id, zone_source.id)
    stored = pull(tmp_path, market, parcel_source, zone_source)[0]
    selection = run_selection((stored, market), make_needs(), land_use, night)
    assert selection.screening.sites["site_id"].tolist() == ["A"]
    assert selection.set_aside == {"not land": 1, "entered twice": 1}
