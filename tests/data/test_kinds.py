"""Each kind of ground and of receptor is known only where some source maps it completely."""

import datetime as dt
import shutil
from itertools import count

import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from data.coverage import close_slivers
from data.pull import refresh_source
from data.select import coverage, select_sites
from data.source import Coverage
from geo.model import Needs, Sites
from tests.data.conftest import X, Y, build_market, build_source

NIGHT = dt.date(2026, 3, 1)
KINDS = ("flood", "wetland", "easement")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_square, make_table, parcel_source, zone_source):
    """Return a folder with ten shops in a row, also in a store."""
    path = tmp_path_factory.mktemp("shops")
    shops = [make_square(100 * n, 0, 40) for n in range(10)]
    table = make_table(shops, ID=[f"s{n}" for n in range(10)], USE="3", KIND=None)
    table.assign(FLOOR=pd.Series(dtype="float64")).to_parquet(path / "parcels.parquet")
    make_table([make_square(-100, -100, 1200)], ZONE=["B"]).to_parquet(path / "zoning.parquet")
    market = build_market(parcel_source.id, zone_source.id)
    for source in (parcel_source, zone_source):
        refresh_source(source, market, path, path / "shops.duckdb", NIGHT)
    return path


@pytest.fixture
def town(tmp_path, folder, parcel_source, zone_source, land_use):
    """Return a function that selects the sites of the shops, with more sources."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    stores = (tmp_path / f"{nth}.duckdb" for nth in count())

    def select(*sources, exclusions=KINDS, receptors=("home",), parcels=parcel_source):
        market = build_market(parcels.id, zone_source.id, *(source.id for source in sources))
        store = shutil.copy(tmp_path / "shops.duckdb", next(stores))
        changed = [parcels] if parcels is not parcel_source else []
        for source in (*changed, *sources):
            refresh_source(source, market, tmp_path, store, NIGHT)
        reach = {"exclusions": 0.0, "receptors": 100.0}
        needs = Needs(Sites(), receptors, reach, exclusions)
        selection = select_sites(store, market, needs, land_use, NIGHT)
        return selection.screening, selection.notes

    return select


@pytest.fixture
def mapped(tmp_path, make_square, make_table):
    """Return a function that writes a source of exclusions or receptors, one row per kind."""

    def write(name, rows, layer="exclusions", until_m=1_000, **declared):
        column = {"exclusions": "kind", "receptors": "receptor_class"}[layer]
        shapes = [make_square(100 * n + 5, 5, 5) for n in range(len(rows))]
        make_table(shapes, KIND=list(rows)).to_parquet(tmp_path / f"{name}.parquet")
        area = make_table([make_square(-50, -50, until_m + 50, 100)])
        area.to_file(tmp_path / f"{name}_area.gpkg", engine="pyogrio")
        area = {"kind": "file", "path": f"{name}_area.gpkg"} | declared
        columns = {column: {"column": "KIND"}}
        return build_source(layer, f"{name}.parquet", columns, id=name, coverage=area)

    return write


def test_a_market_with_only_wetland_does_not_know_its_flood_zones(town, mapped):
    screening, _ = town(mapped("wetlands", ["wetland"]))
    assert screening.unmapped["exclusions"] == ("flood", "easement")
    assert screening.coverage["exclusions"].area == pytest.approx(1_050 * 100)
    screening, _ = town(mapped("wetlands", ["wetland"]), exclusions=("wetland",))
    assert screening.unmapped["exclusions"] == ()
    screening, _ = town(mapped("wetlands", ["wetland"]), exclusions=())
    assert screening.unmapped["exclusions"] == ()


def test_a_kind_without_rows_is_absent_only_if_it_is_declared(town, mapped):
    screening, _ = town(mapped("water", ["wetland", "flood"]))
    assert screening.unmapped["exclusions"] == ("easement",)
    screening, _ = town(mapped("water", ["wetland"], kinds=KINDS))
    assert screening.unmapped["exclusions"] == ()
    # A source that declares fewer kinds than it has is not complete of the others.
    screening, _ = town(mapped("water", ["wetland", "flood"], kinds=["wetland"]))
    assert screening.unmapped["exclusions"] == ("flood", "easement")


def test_a_code_of_the_map_counts_only_if_a_row_has_it(town, mapped):
    source = mapped("water", ["W", "W"])
    columns = {"kind": {"column": "KIND", "map": {"W": "wetland", "A": "flood"}}}
    source = type(source).model_validate(source.model_dump() | {"columns": columns})
    screening, _ = town(source)
    assert screening.unmapped["exclusions"] == ("flood", "easement")


def test_kinds_are_known_where_all_of_them_are_mapped(town, mapped):
    sources = [
        mapped("floods", ["flood"], until_m=500),
        mapped("wetlands", ["wetland"]),
        mapped("easements", ["easement"], until_m=800),
    ]
    screening, notes = town(*sources)
    assert screening.coverage["exclusions"].area == pytest.approx(550 * 100)
    assert screening.unmapped["exclusions"] == ()
    # Lots are 40 m wide and 100 m apart: the sixth begins at 500 m, the ninth at 800 m.
    assert "5 sites of 10 beyond the map of flood zones" in notes
    assert "2 sites of 10 beyond the map of easements" in notes


def test_sources_of_one_kind_add_up_and_their_seam_is_closed(town, mapped, make_table, tmp_path):
    west = mapped("west", KINDS, until_m=500)
    east = mapped("east", KINDS)
    area = make_table([shapely.box(X + 500.5, Y - 50, X + 1_000, Y + 50)])
    area.to_file(tmp_path / "east_area.gpkg", engine="pyogrio")
    screening, notes = town(west, east)
    assert screening.coverage["exclusions"].area == pytest.approx(1_050 * 100, abs=0.01)
    assert not any("beyond" in note for note in notes)


def test_a_source_without_coverage_makes_its_kind_unknown_everywhere(town, mapped):
    nowhere = mapped("floods", ["flood"], kind="none", path=None)
    screening, notes = town(nowhere, mapped("wetlands", ["wetland", "easement"]))
    assert screening.coverage["exclusions"] is None
    assert screening.unmapped["exclusions"] == ()
    assert "10 sites of 10 beyond the map of flood zones" in notes


def test_the_coverage_of_the_parcels(town, mapped, parcel_source):
    floods = mapped("floods", KINDS, kind="parcels", path=None)
    screening, _ = town(floods)
    assert screening.coverage["exclusions"].equals(screening.coverage["parcels"])
    # The outline of the shops themselves: ten squares of 40 m, 60 m apart.
    parcels = parcel_source.model_copy(update={"coverage": Coverage(kind="parcels")})
    screening, _ = town(floods, parcels=parcels)
    assert screening.coverage["exclusions"].area == pytest.approx(940 * 40, abs=1)
    parcels = parcel_source.model_copy(update={"coverage": Coverage(kind="none")})
    screening, _ = town(floods, parcels=parcels)
    assert screening.coverage["exclusions"] is None


def test_receptors_other_than_homes_need_a_list_or_a_declaration(town, mapped, parcel_source):
    protected = ("home", "school", "park", "commercial", "unknown", "vacant_unknown")
    screening, _ = town(receptors=protected)
    assert screening.unmapped["receptors"] == ("school", "park")
    assert screening.coverage["receptors"].equals(screening.coverage["parcels"])
    schools = mapped("schools", ["school"], layer="receptors", until_m=300)
    screening, notes = town(schools, receptors=protected)
    assert screening.unmapped["receptors"] == ("park",)
    # Homes are known to the last shop, schools only to 300 m.
    assert screening.coverage["receptors"].area == pytest.approx(300 * 40)
    assert "7 sites of 10 beyond the map of schools" in notes
    declared = Coverage(kind="bounds", kinds=("school", "park"))
    parcels = parcel_source.model_copy(update={"coverage": declared})
    screening, _ = town(receptors=protected, parcels=parcels)
    assert screening.unmapped["receptors"] == ()


def test_lists_that_are_complete_only_together(town, mapped):
    public = mapped("public", ["school"], layer="receptors", together_with=["private"])
    private = mapped(
        "private", ["school"], layer="receptors", until_m=600, together_with=["public"]
    )
    needed = ("home", "school")
    screening, notes = town(public, private, receptors=needed)
    assert screening.coverage["receptors"].area == pytest.approx(600 * 40)
    screening, notes = town(public, receptors=needed)
    assert screening.coverage["receptors"] is None
    assert any("public is complete only together with private" in note for note in notes)


def test_a_coverage_that_touches_no_site_is_noted(town, mapped):
    away = mapped("floods", ["flood"], until_m=-45)
    _, notes = town(away)
    assert any("the coverage of floods touches no site" in note for note in notes)
    assert any("floods: none of its rows lies inside its coverage" in note for note in notes)
    assert "10 sites of 10 beyond the map of flood zones" in notes


def test_repeated_rows_are_no_condos_and_lose_no_home(
    tmp_path, pull, make_market, make_table, make_square, parcel_source, zone_source, land_use
):
    lots = [
        ("shop", "3", 0), ("shop", "3", 0), ("shop", "3", 0),
        ("condo_a", "3", 100), ("condo_b", "3", 100), ("condo_b", "3", 100),
        # The same lot as a shop and as a house: somebody may live there.
        ("both", "3", 200), ("both", "1", 200),
    ]  # fmt: skip
    table = make_table(
        [make_square(x, 0, 40) for _, _, x in lots], ID=[lot[0] for lot in lots],
        USE=[lot[1] for lot in lots], KIND=None,
    )  # fmt: skip
    table["FLOOR"] = pd.Series(dtype="float64")
    table.to_parquet(tmp_path / "parcels.parquet")
    make_table([make_square(-100, -100, 1200)], ZONE=["B"]).to_parquet(tmp_path / "zoning.parquet")
    market = make_market(parcel_source.id, zone_source.id)
    store, _ = pull(tmp_path, market, parcel_source, zone_source)
    needs = Needs(Sites(), ("home",), {"receptors": 300.0})
    selection = select_sites(store, market, needs, land_use, NIGHT)
    assert selection.set_aside == {
        "entered twice": 4, "stacked on another parcel": 1, "residential use": 1,
    }  # fmt: skip
    assert selection.parcels_in == 8 == 2 + sum(selection.set_aside.values())
    assert selection.screening.sites.set_index("site_id")["stacked_count"].to_dict() == {
        "condo_a": 2, "shop": 1,
    }  # fmt: skip
    assert selection.screening.layers["receptors"]["receptor_id"].tolist() == ["both"]
    assert selection.notes == (
        "4 rows that repeat an earlier row of the parcels (same id, same ground), counted once",
    )


# ---------------------------------------------------------------------------------------------
# Losing data

SQUARES = st.tuples(*[st.integers(0, 9)] * 4).map(
    lambda box: shapely.box(box[0], box[1], box[0] + box[2] + 1, box[1] + box[3] + 1)
)
CLAIMS = st.lists(
    st.tuples(
        st.one_of(st.none(), SQUARES), st.frozensets(st.sampled_from(KINDS)),
        st.frozensets(st.integers(0, 4), max_size=1),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


def make_claims(drawn):
    return [
        coverage._Claim(
            f"s{nth}", "exclusions",
            Coverage(
                kind="none", sliver_m=0, together_with=tuple(f"s{n}" for n in others - {nth})
            ),
            area, kinds, (),
        )
        for nth, (area, kinds, others) in enumerate(drawn)
    ]  # fmt: skip


def find_known(claims):
    """Return where each kind is known; empty where no source maps it."""
    by_id = {claim.source_id: claim for claim in claims}
    together = [
        coverage.replace(claim, area=coverage._area_together(claim, by_id)) for claim in claims
    ]
    areas, unmapped = coverage._find_kind_areas(together, KINDS, {"exclusions"})
    assert set(areas) | set(unmapped) == set(KINDS)
    return {kind: areas.get(kind) or shapely.Polygon() for kind in KINDS}


@given(CLAIMS, st.data())
@settings(max_examples=200, deadline=None)
def test_losing_a_source_a_kind_or_ground_never_makes_more_known(drawn, data):
    claims = make_claims(drawn)
    before = find_known(claims)
    lost = data.draw(st.integers(0, len(claims) - 1))
    less = list(claims)
    if data.draw(st.booleans()):
        del less[lost]
    else:
        area, gone = less[lost].area, data.draw(SQUARES)
        kinds = less[lost].kinds - data.draw(st.frozensets(st.sampled_from(KINDS)))
        left = None if area is None else shapely.difference(area, gone)
        less[lost] = coverage.replace(less[lost], kinds=kinds, area=left)
    after = find_known(less)
    for kind in KINDS:
        assert shapely.difference(after[kind], before[kind]).area < 1e-9


def test_a_seam_is_closed_with_the_narrowest_tolerance_declared():
    two = shapely.union_all([shapely.box(0, 0, 9, 9), shapely.box(9.5, 0, 20, 9)])
    assert close_slivers(two, 0.4)[1] == 0
    assert close_slivers(two, 0.6)[1] == 1
