"""Every declaration of a real market reads an answer with the columns that were recorded for it.

The answers are made up, in the columns, codes and units that the declaration's notes name. Expected
values are arithmetic on them. No test needs a network.
"""

import geopandas as gpd
import openpyxl
import pandas as pd
import pytest
import shapely
from shapely.affinity import translate

from data.conform import conform_table
from data.protocols.file import read_files
from data.source import Source
from flows import declarations
from geo.catalogue import read_layers
from geo.contract.layer import check_layer
from geo.errors import ContractError
from tests.built_in import read_land_use, workspace

FT2 = 0.3048**2
# 1,784,937,600 s are 20,659 days after January 1, 1970: July 25, 2026.
JULY_25 = pd.Timestamp("1970-01-01") + pd.Timedelta(days=20_659)
ACRE = 4046.8564224
# In degrees, from a place in the market.
SQUARE = shapely.box(0, 0, 0.002, 0.001)
NEXT, THIRD = translate(SQUARE, 0.01), translate(SQUARE, 0.02)
LINE = shapely.LineString([(0, 0), (0.002, 0.001)])
POINT = shapely.Point(0, 0)
# A place in each market, or in a market that would name the shared source.
PLACES = {
    "new_york_city": (-73.95, 40.70),
    "boston": (-71.06, 42.35),
    "los_angeles": (-118.20, 33.95),
    "london": (-0.10, 51.55),
}
OF_LONDON = {"crs": "EPSG:27700", "bounds": (-0.6, 51.2, 0.4, 51.8), "id": "london"}

# The columns of an answer, its shape, and the rows that the layer gets, by the layer's columns.
CASES = {
    "nyc_parcels": (
        {
            "BBL": [4073340070.0, 4073340001.0],
            "Borough": ["QN", "MN"],
            "Address": ["215-16 NORTHERN BOULEVARD", None],
            "LandUse": ["03", None],
            "LotArea": [10075, 0],
            "BldgArea": [45388, 0],
        },
        SQUARE,
        {
            "parcel_id": ["4073340070", "4073340001"],
            "use_code": ["03", None],
            "address": ["215-16 NORTHERN BOULEVARD", None],
            "city": ["Queens", "Manhattan"],
            "recorded_area_m2": [10075 * FT2, None],
            "building_area_m2": [45388 * FT2, None],
        },
    ),
    "nyc_zoning": (
        {"ZONEDIST": ["M1-2/R6B", "C4-4D"]},
        SQUARE,
        {"zone_code": ["M1-2/R6B", "C4-4D"], "zone_scheme": ["zoning_district"] * 2},
    ),
    "nyc_coned_hosting": (
        {
            "FEEDER_ID": ["1B23", "2Q04"],
            "SUBSTATION": ["Water Street", "Plymouth Street"],
            "LOCAL_MIN": [0.1, None],
            "LOCAL_MAX": [2.5, 0.0],
            "LOCAL_VOLTAGE": [27.0, 4.0],
            "HC_REFESH_DATE": [1784937600000, None],
        },
        LINE,
        {
            "record_id": ["1B23", "2Q04"],
            "kind": ["generation"] * 2,
            "headroom_least_kw": [100.0, None],
            "headroom_most_kw": [2500.0, 0.0],
            "voltage_kv": [27.0, 4.0],
            "as_of": [JULY_25, None],
        },
    ),
    "boston_parcels": (
        {
            # A condominium: three records on one polygon. A lot in square feet, and a street.
            "LOC_ID": ["F_1_2", "F_1_2", "F_1_2", "F_3_4", None],
            "USE_CODE": ["325", "102", "102", "400", None],
            "USE_DESC": ["Shop", "Condo", "Condo", "Factory", None],
            "SITE_ADDR": ["1 MAIN ST", "1 MAIN ST", "1 MAIN ST", "2 MAIN ST", None],
            "CITY": ["BOSTON"] * 4 + [None],
            "LOT_SIZE": [0.5, 0.5, 0.5, 20000, None],
            "LOT_UNITS": ["Acres", "Acres", "Acres", "S", None],
            "BLD_AREA": [3000, 1000, 1200, 0, None],
            "POLY_TYPE": ["FEE", "FEE", "FEE", "TAX", "ROW"],
        },
        [SQUARE, SQUARE, SQUARE, NEXT, THIRD],
        {
            "parcel_id": ["F_1_2", "F_3_4", None],
            "use_code": ["102", "400", None],
            "recorded_area_m2": [0.5 * ACRE, 20000 * FT2, None],
            "building_area_m2": [(3000 + 1000 + 1200) * FT2, None, None],
            "record_count": [3, 1, 1],
            "polygon_kind": ["FEE", "TAX", "ROW"],
        },
    ),
    "boston_zoning": (
        {"zo_usety": [1.0, 2.0, None], "muni": ["Boston"] * 3},
        SQUARE,
        {"zone_code": ["1", "2"]},
    ),
    "boston_hosting": (
        {
            "feeder_cdf": ["11_51_1", "11_51_2"],
            "substation_name": ["EVERETT 37", "EVERETT 37"],
            "feeder_voltage": [13.8, 13.8],
            "feeder_min_hc": [0.25, None],
            "feeder_max_hc": [4.0, None],
        },
        LINE,
        {
            "record_id": ["11_51_1", "11_51_2"],
            "kind": ["generation"] * 2,
            "headroom_least_kw": [250.0, None],
            "headroom_most_kw": [4000.0, None],
        },
    ),
    "la_parcels": (
        {
            "AIN": ["5149001915", "6302001001"],
            "UseCode": ["1100", "010C"],
            "UseDescription": ["Store", "Condominium"],
            "SitusFullAddress": ["200 N SPRING ST LOS ANGELES CA 90012", None],
            "SitusCity": ["LOS ANGELES CA", None],
        },
        SQUARE,
        {
            "parcel_id": ["5149001915", "6302001001"],
            "use_code": ["1100", "010C"],
            "address": ["200 N SPRING ST LOS ANGELES CA 90012", None],
            "recorded_area_m2": [None, None],
        },
    ),
    "la_zoning": (
        {"Zoning": ["M2-1", "[Q]R4-1", None], "CATEGORY": ["Manufacturing", "Residential", None]},
        SQUARE,
        {"zone_code": ["Manufacturing", "Residential"]},
    ),
    # -1 is not measured; 0 is measured.
    "la_sce_load": (
        {
            "circuit_name": ["ATOM", "ATOM", "BOLT"],
            "substation_name": ["Vernon", "Vernon", "Laguna Bell"],
            "circuit_voltage": ["16", "16", "4.16"],
            "uniform_load_static_grid_legend": [-1.0, 0.0, 1.5],
            "changed_date_forecast": [1784937600000, None, 1784937600000],
        },
        LINE,
        {
            "record_id": ["ATOM", "ATOM", "BOLT"],
            "kind": ["load"] * 3,
            "headroom_kw": [None, 0.0, 1500.0],
            "voltage_kv": [16.0, 16.0, 4.16],
            "as_of": [JULY_25, None, JULY_25],
        },
    ),
    "la_ladwp_load": (
        {
            "GISID": [17, 18, 19],
            "Capacity_Range_KW": ["250 - 500 kW", ">7500", None],
            "Capacity_Status": ["Medium Capacity", "High Capacity", "No Capacity"],
        },
        LINE,
        {
            "record_id": ["17", "18", "19"],
            "headroom_least_kw": [250.0, 7500.0, None],
            "headroom_most_kw": [500.0, None, None],
        },
    ),
    # 10 MW is where the study stops.
    "sdge_load": (
        {
            "CIRCUIT_NAME": ["157", "157", "158"],
            "SUBID": ["B", "B", "C"],
            "ICAWOF_UNILOAD": [0.0, 9.9, 10.0],
            "ICAWOF_UNIGENERATION": [3.0, 3.0, 3.0],
        },
        SQUARE,
        {
            "record_id": ["157", "157", "158"],
            "headroom_kw": [0.0, 9900.0, 10_000.0],
            "ceiling_kw": [10_000.0] * 3,
        },
    ),
    "us_substations": (
        {
            "ID": ["101", "102"],
            "NAME": ["HARBOR", None],
            "STATUS": ["IN SERVICE", "NOT AVAILABLE"],
            "MAX_VOLT": [115.0, -999999.0],
        },
        POINT,
        {
            "substation_id": ["101", "102"],
            "status": ["in_service", "unknown"],
            "voltage_kv": [115.0, None],
        },
    ),
    "us_gas_transmission": (
        {
            "TYPEPIPE": ["Interstate", "Intrastate"],
            "Operator": ["Algonquin", None],
            "Status": ["Operating", "?"],
        },
        LINE,
        {"operator": ["Algonquin", None], "status": ["in_service", "unknown"]},
    ),
    # The columns of a workbook are text. A million cubic feet a day is 1e6 / 24 an hour.
    "us_landfills": (
        {
            "Landfill ID": ["1", "2"],
            "Landfill Name": ["North", "South"],
            "Current Landfill Status": ["Open", "Closed"],
            "LFG Collected (mmscfd)": ["1.2", None],
            "Percent Methane": ["52", None],
        },
        POINT,
        {
            "plant_id": ["1", "2"],
            "status": ["operating", "closed"],
            "flow_scfh": [1.2e6 / 24, None],
            "methane_share": [0.52, None],
            "used": ["unknown", "unknown"],
        },
    ),
    "us_flood": (
        {"FLD_ZONE": ["AE", "X"], "ZONE_SUBTY": [None, None], "SFHA_TF": ["T", "F"]},
        SQUARE,
        {"kind": ["flood"], "name": ["AE"]},
    ),
    "us_wetlands": (
        {"Wetlands.ATTRIBUTE": ["PFO1A"], "Wetlands.WETLAND_TYPE": ["Freshwater Forested Wetland"]},
        SQUARE,
        {"kind": ["wetland"], "name": ["Freshwater Forested Wetland"]},
    ),
    "us_public_schools": (
        {"NAME": ["Snowden"]},
        POINT,
        {"receptor_class": ["school"], "name": ["Snowden"]},
    ),
    "us_private_schools": (
        {"NAME": ["Winsor"]},
        POINT,
        {"receptor_class": ["school"], "name": ["Winsor"]},
    ),
    "us_hospitals": (
        {"NAME": ["Mercy", "Old Mercy"], "STATUS": ["OPEN", "CLOSED"]},
        POINT,
        {"receptor_class": ["hospital"], "name": ["Mercy"]},
    ),
    # 24% of 40 MVA are left; an overloaded substation has less than nothing.
    "uk_power_networks_winter": (
        {
            "primarysubstationname": ["Bow", "Hackney", "Ely"],
            "seasonofconstraint": ["Winter", "Winter", "Summer"],
            "demand": [24, -5, 50],
            "firmcapacitywinter": [40.0, 30.0, 20.0],
            "firmcapacitysummer": [36.0, 28.0, 18.0],
        },
        SQUARE,
        {
            "record_id": ["Bow", "Hackney"],
            "headroom_share": [0.24, -0.05],
            "firm_capacity_mva": [40.0, 30.0],
        },
    ),
    "uk_power_networks_summer": (
        {
            "primarysubstationname": ["Bow", "Ely"],
            "seasonofconstraint": ["Winter", "Summer"],
            "demand": [24, 50],
            "firmcapacitywinter": [40.0, 20.0],
            "firmcapacitysummer": [36.0, 18.0],
        },
        SQUARE,
        {"record_id": ["Ely"], "headroom_share": [0.5], "firm_capacity_mva": [18.0]},
    ),
    # 90 mm are 90 / 25.4 inches; UN is a unit that nobody knows.
    "uk_cadent_mains": (
        {
            "asset_id": ["CDT1", "CDT2", "CDT3", "CDT4"],
            "type": ["Main Pipe", "Main Pipe", "Main Pipe", "Service Pipe"],
            "pressure": ["LP", "MP", "MP", "LP"],
            "material": ["PE", "DI", None, "PE"],
            "diameter": [90.0, 6.0, 180.0, 32.0],
            "diam_unit": ["MM", "I", "UN", "MM"],
        },
        LINE,
        {
            "main_id": ["CDT1", "CDT2", "CDT3"],
            "diameter_in": [90 / 25.4, 6.0, None],
            "pressure_class": ["low", "medium", "medium"],
            "material": ["polyethylene", "other", None],
            "kind": ["main"] * 3,
        },
    ),
}


def market_of(source_id):
    """Return a market that names a source, and a place in it."""
    if source_id.startswith("uk_"):
        boston = declarations.load_market("boston", workspace())
        return boston.model_copy(update=OF_LONDON), PLACES["london"]
    known = {"nyc": "new_york_city", "la": "los_angeles", "sdge": "los_angeles"}
    name = known.get(source_id.split("_")[0], "boston")
    return declarations.load_market(name, workspace()), PLACES[name]


def make_answer(source: Source, columns, shapes, place) -> gpd.GeoDataFrame:
    """Return an answer at a place in degrees, in the CRS that the source declares."""
    count = len(next(iter(columns.values())))
    shapes = shapes if isinstance(shapes, list) else [shapes] * count
    moved = [translate(one, *place) for one in shapes]
    frame = gpd.GeoDataFrame(columns, geometry=moved, crs="EPSG:4326")
    return frame.to_crs(source.fetch.crs)


def list_rows(frame, columns):
    """Return rows as tuples in a fixed order; a missing value is None, numbers have 9 digits."""
    rows = []
    for values in zip(*(frame[name] for name in columns), strict=True):
        known = [None if pd.isna(one) else one for one in values]
        rows.append(tuple(float(f"{x:.9g}") if isinstance(x, float) else x for x in known))
    return sorted(rows, key=str)


def conform(source_id, **changed):
    """Conform the made-up answer of a source, with other values in some columns."""
    columns, shapes, _ = CASES[source_id]
    market, place = market_of(source_id)
    source = declarations.load_market_source(source_id, market, workspace())
    few = source.expect.model_copy(update={"rows_min": 1})
    source = source.model_copy(update={"expect": few})
    layer = read_layers()[source.layer]
    answer = make_answer(source, columns | changed, shapes, place)
    conformed = conform_table(answer, source, layer, market, file="answer")
    check_layer(conformed.frame, layer, source_id)
    return conformed


def list_unseen():
    """Return every built-in source that is declared from documentation alone."""
    names = {name: owner for owner, name in declarations.read_declarations(workspace()).sources}
    sources = [
        declarations.load_source(name, workspace(), owner) for name, owner in sorted(names.items())
    ]
    return [source for source in sources if source.is_unseen]


def test_each_unseen_source_has_a_made_up_answer():
    assert sorted(CASES) == [source.id for source in list_unseen()]


@pytest.mark.parametrize("source_id", sorted(CASES))
def test_the_declaration_reads_the_recorded_columns(source_id):
    expected = CASES[source_id][2]
    conformed = conform(source_id)
    count = len(next(iter(expected.values())))
    wanted = list_rows(pd.DataFrame(expected, dtype=object).head(count), expected)
    assert list_rows(conformed.frame, expected) == wanted


def test_a_pressure_that_nobody_listed_is_refused():
    with pytest.raises(ContractError, match="'IP'"):
        conform("uk_cadent_mains", pressure=["LP", "IP", "MP", "LP"])


def test_a_unit_that_nobody_listed_is_refused():
    units = ["Acres", "Acres", "Acres", "Rods", None]
    with pytest.raises(ContractError, match=r"'20000 Rods'.*LOT_SIZE|LOT_SIZE.*'20000 Rods'"):
        conform("boston_parcels", LOT_UNITS=units)


def test_a_lot_without_a_unit_is_counted():
    noted = conform("boston_parcels", LOT_UNITS=["Acres", "Acres", "Acres", None, None]).notes
    assert "LOT_SIZE: 1 value without LOT_UNITS, taken as missing" in noted


def test_hosting_of_generation_is_never_load():
    """ConEd and National Grid publish no load headroom by feeder: their maps are of generation."""
    kinds = {s.id: s.columns["kind"].value for s in list_unseen() if s.layer == "capacity"}
    generation = {name for name, kind in kinds.items() if kind == "generation"}
    assert generation == {"nyc_coned_hosting", "boston_hosting"}
    assert set(kinds.values()) == {"load", "generation"}


@pytest.mark.parametrize("source", list_unseen(), ids=lambda source: source.id)
def test_each_says_whose_it_is_and_whether_it_may_be_passed_on(source):
    assert source.note
    assert source.coverage.kind != "none" or source.coverage.reason
    # What nobody has read is not passed on.
    unread = any(words in source.licence for words in ("not read", "no license", "not to be"))
    assert source.redistribute != unread
    assert source.fetch.url.startswith("https://")
    assert not source.fetch.url.endswith(("/query", "/"))


def read_tables():
    """Return the built-in land-use tables, by jurisdiction and scheme."""
    return {(one.jurisdiction, one.scheme): one for one in read_land_use()}


def test_the_codes_of_each_market_have_their_tables():
    tables = {
        (one.jurisdiction, one.scheme): one for one in declarations.load_land_use(workspace())
    }
    for name in PLACES.keys() - {"london"}:
        market = declarations.load_market(name, workspace())
        for source in declarations.load_sources(market, workspace()):
            if source.layer == "parcels":
                key = (source.columns["jurisdiction"].value, source.columns["use_scheme"].value)
                assert tables[key].use
            if source.layer == "zoning":
                key = (source.columns["jurisdiction"].value, source.columns["zone_scheme"].value)
                assert tables[key].zone


def test_codes_mean_what_the_publisher_says():
    tables = {
        (one.jurisdiction, one.scheme): one for one in declarations.load_land_use(workspace())
    }
    pluto = tables["new_york_city", "pluto_land_use"].use
    assert {code: use.use_class for code, use in pluto.items()} == {
        "01": "residential", "02": "residential", "03": "residential", "04": "mixed",
        "05": "commercial", "06": "industrial", "08": "exempt", "09": "exempt",
        "10": "commercial", "11": "vacant",
    }  # fmt: skip
    districts = tables["new_york_city", "zoning_district"].zone
    letters = {"R": "residential", "C": "commercial", "M": "industrial"}
    for code, zone in districts.items():
        if "/" in code:
            assert zone.zone_class == "mixed"
        elif code[1].isdigit():
            assert zone.zone_class == letters[code[0]]
    # The first digit of a Massachusetts code is its class, and no code is listed by it alone.
    classes = {"0": {"mixed"}, "1": {"residential", "vacant"}, "3": {"commercial", "vacant"},
               "4": {"industrial", "vacant"}, "9": {"exempt"}}  # fmt: skip
    for code, use in tables["massachusetts", "dor"].use.items():
        assert len(code) == 3
        assert use.use_class in classes[code[0]]
    assert "07" not in pluto
    assert "1010" not in tables["massachusetts", "dor"].use


def test_the_landfills_of_a_market_are_read_from_the_workbook(tmp_path):
    """Of three sheets, and without those beyond the bounds or without a place."""
    market = declarations.load_market("boston", workspace())
    source = declarations.load_market_source("us_landfills", market, workspace())
    titles = [*source.list_columns(), "Longitude", "Latitude"]
    rows = {
        "Near": ["Open", "1.2", "52", -71.06, 42.35],
        "Far": ["Open", "3.0", "50", -118.2, 33.9],
        "Nowhere": ["Closed", None, None, None, None],
    }
    book = openpyxl.Workbook()
    book.active.title = "Summary"
    sheet = book.create_sheet("LMOP Database")
    sheet.append(titles)
    for nth, (name, values) in enumerate(rows.items()):
        sheet.append([str(nth), name, *values])
    book.create_sheet("Field Descriptions")
    book.save(tmp_path / "landfilllmopdata.xlsx")
    table, _ = read_files((tmp_path / "landfilllmopdata.xlsx",), source)
    frame = conform_table(
        table, source, read_layers()[source.layer], market, file="landfilllmopdata.xlsx"
    ).frame
    assert list_rows(frame, ["name", "status", "flow_scfh"]) == [("Near", "operating", 50_000.0)]
