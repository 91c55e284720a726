"""Make the assessor's parcel table from the lots, with the faults that such tables have."""

from collections.abc import Sequence
from itertools import product

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.demo import recipe
from data.demo.recipe import MESS_PER_20_000
from geo.contract.units import unit_factor

Array = np.ndarray
TITLES = {
    "101": "ONE FAM",
    "104": "TWO FAM",
    "111": "APT 4-8 UNITS",
    "102": "CONDO",
    "130": "VACANT RES LAND",
    "013": "STORE W/ APTS",
    "300": "HOTEL/INN",
    "316": "COMM WHSE",
    "325": "STORE",
    "326": "REST/BAR",
    "332": "AUTO REPAIR",
    "337": "PARKING LOT",
    "340": "OFFICE BLD",
    "390": "VACANT COMM LAND",
    "400": "FACTORY",
    "401": "IND WHSE",
    "404": "R&D FACILITY",
    "440": "VACANT IND LAND",
    "900": "TOWN PARK",
    "931": "TOWN BLDG",
    "934": "SCHOOL",
    "953": "HOSPITAL",
    "960": "CHURCH",
    "975": "RAILROAD",
}
# Invented names of people and firms. Each name belongs to one owner.
GIVEN = (
    "ABEL", "ADA", "AGNES", "AMOS", "CLARA", "CYRUS", "DORA", "EDITH", "ELI", "EZRA", "FLORA",
    "HIRAM", "IDA", "IRA", "JONAS", "LEVI", "LYDIA", "MABEL", "NORA", "ORRIN", "OTIS", "PEARL",
    "RHODA", "RUTH", "SILAS", "STELLA", "TILDA", "URSULA", "VERA", "WILLA",
)  # fmt: skip
FAMILY = (
    "ALDERWAY", "ASHCOMBE", "BARLOWE", "BIRCHALL", "CARDEN", "COLBROOK", "DANFORTH", "DUNMORE",
    "ELLERY", "FAIRWOOD", "FENWICK", "GARLAND", "HALLOWELL", "HARTSELL", "INGLEBY", "KESTREL",
    "LANGDALE", "LOCKRIDGE", "MARDEN", "NETTLETON", "OAKSHOTT", "PELHAM", "QUILLER", "RADNOR",
    "SELWYN", "THORNE", "UNDERHILL", "VARLEY", "WEXCOMB", "YARROW",
)  # fmt: skip
PLACE = (
    "MILLBROOK", "MILL RIVER", "CANAL STREET", "FOUNDRY", "OLD QUARRY", "NORTHGATE", "MILL POND",
    "WEST YARD", "STATION", "BRIDGE STREET", "RIVERBANK", "UPPER DAM", "TANNERY", "ROPEWALK",
)  # fmt: skip
TRADE = (
    "MILLS", "HOLDINGS", "PROPERTIES", "STORAGE", "SUPPLY", "TRADING", "WORKS", "ESTATES",
    "PARTNERS", "REALTY",
)  # fmt: skip
FORM = ("LLC", "INC", "TRUST", "LP")
# Owners have their own random stream, so that the rest of the town is the same without them.
OWNER_SEED = 20_260_401
SHARED_OWNER, NO_OWNER = 0.04, 0.01
TOUCH_M = 0.05
# So have missing addresses.
ADDRESS_SEED = 20_261_127
VACANT = ("130", "390", "440")


def write_tax_table(
    lots: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    ways: gpd.GeoDataFrame,
    rng: np.random.Generator,
) -> gpd.GeoDataFrame:
    """Return the parcel rows with the assessor's own columns and units, defects included.

    Args:
        lots: The town's lots, in the town's frame.
        buildings: The buildings on them.
        ways: The streets, the river and the railway between the lots.
        rng: The source of random numbers.

    Returns:
        The rows of the assessor's table with their shapes.
    """
    floor = buildings.area * buildings.storeys
    floor_m2 = floor.groupby(buildings.lot).sum().reindex(range(len(lots))).to_numpy()
    storeys = buildings.groupby("lot").storeys.max().reindex(range(len(lots))).to_numpy()
    recorded_m2 = lots.area.to_numpy() * np.exp(rng.normal(0, 0.012, len(lots)))
    number = lots.groupby("block").cumcount().to_numpy() + 1
    rows = gpd.GeoDataFrame(
        {
            "MAP_PAR_ID": [
                f"{cell:03d}-{block:05d}-{n:03d}"
                for cell, block, n in zip(lots.cell, lots.block, number, strict=True)
            ],
            "POLY_TYPE": "FEE",
            "USE_CODE": lots.use.to_numpy(),
            "USE_DESCRI": lots.use.map(TITLES).to_numpy(),
            "SITE_ADDRE": [
                f"{n} {s.upper()}" for n, s in zip(lots.number, lots.street, strict=True)
            ],
            "CITY": recipe.TOWN.upper(),
            "LOT_SIZE": (recorded_m2 * unit_factor("m2", "acre")).round(3),
            "BLDG_AREA": (floor_m2 * unit_factor("m2", "ft2")).round(0),
            "STORIES": [f"{n:.0f}" if n > 0 else "" for n in storeys],
            "RECORD_COU": 1,
            "OWNER1": name_owners(lots),
        },
        geometry=lots.geometry.to_numpy(),
    )
    rows = _drop_addresses(_spoil(rows, lots.block.to_numpy(), rng))
    between = gpd.GeoDataFrame(
        {"POLY_TYPE": ways.kind, "CITY": recipe.TOWN.upper()}, geometry=ways.geometry
    )
    between.loc[between.POLY_TYPE == "RAIL_ROW", ["USE_CODE", "USE_DESCRI"]] = ["975", "RAILROAD"]
    return pd.concat([rows, between], ignore_index=True)


def name_owners(lots: gpd.GeoDataFrame) -> Array:
    """Return each lot's owner (n,), in capitals; None if the assessor has none.

    All owners are different, except that some commercial and industrial lots have the same owner
    as the lot before them in their block, if the two touch.

    For example, in 4% of cases, two touching stores in one block both belong to "FOUNDRY TRADING
    INC".
    """
    rng = np.random.default_rng(OWNER_SEED)
    use, block, shape = lots.use.to_numpy(str), lots.block.to_numpy(), lots.geometry.to_numpy()
    trade = np.char.startswith(use, "3") | np.char.startswith(use, "4")
    drawn, missing = rng.random((2, len(lots)))
    follows = np.zeros(len(lots), dtype=bool)
    follows[1:] = (block[1:] == block[:-1]) & trade[1:] & trade[:-1] & (drawn[1:] < SHARED_OWNER)
    at = np.flatnonzero(follows)
    follows[at] = shapely.dwithin(shape[at - 1], shape[at], TOUCH_M)
    # Lots that share an owner take the owner of the first lot in the row.
    first = np.maximum.accumulate(np.where(follows, 0, np.arange(len(lots))))
    initials = [chr(ord("A") + letter) for letter in range(26)]
    people = _names(rng, len(lots), FAMILY, GIVEN, initials)
    firms = _names(rng, len(lots), PLACE, TRADE, FORM)
    names = np.where(trade, firms, people)[first]
    names[missing < NO_OWNER] = None
    return np.asarray(names)


def _names(rng: np.random.Generator, count: int, *words: Sequence[str]) -> Array:
    """Return `count` different names of one word of each kind, numbered once all are used."""
    every = np.array([" ".join(parts) for parts in product(*words)], dtype=object)
    turns = -(-count // len(every))
    rounds = [every, *(every + f" {number}" for number in range(2, turns + 1))]
    return np.concatenate([rng.permutation(one) for one in rounds])[:count]


def _spoil(rows: gpd.GeoDataFrame, block: Array, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Add the faults, each to different lots."""
    free = np.ones(len(rows), dtype=bool)
    size = len(rows) / 20_000

    def pick(fault: str, among: Array) -> Array:
        spoiled = np.flatnonzero(among & free)
        wanted = min(max(1, round(MESS_PER_20_000[fault] * size)), len(spoiled))
        chosen = np.sort(rng.choice(spoiled, wanted, replace=False))
        free[chosen] = False
        return chosen

    use = rows.USE_CODE.to_numpy()
    homes, trade = np.isin(use, ("101", "104")), np.char.startswith(use.astype(str), "3")
    # Two pieces with one id: the next lot of the same block gets the same id and owner.
    follows = np.append((block[1:] == block[:-1]) & (use[1:] == use[:-1]), False)
    first = pick("second_piece", follows & (homes | trade))
    second = first + 1
    free[second] = False
    rows.loc[second, "MAP_PAR_ID"] = rows.loc[first, "MAP_PAR_ID"].to_numpy()
    rows.loc[second, "OWNER1"] = rows.loc[first, "OWNER1"].to_numpy()
    corners = shapely.get_num_coordinates(rows.geometry.to_numpy()) == 5
    for at in pick("bow_tie", corners & (homes | trade)):
        ring = shapely.get_coordinates(rows.geometry[at])
        rows.loc[at, "geometry"] = shapely.Polygon(ring[[0, 2, 1, 3, 0]])
    rows.loc[pick("unknown_use", trade), ["USE_CODE", "USE_DESCRI"]] = ["3V9", "SEE CARD"]
    rows.loc[pick("no_use", homes | trade), ["USE_CODE", "USE_DESCRI"]] = [None, None]
    rows.loc[pick("no_id", homes), "MAP_PAR_ID"] = None
    rows.loc[pick("no_geometry", homes), "geometry"] = None
    homes = pick("condo", use == "102")
    condos = np.concatenate([homes, pick("office_condo", use == "340")])
    least, most = recipe.CONDO_UNITS
    units = rng.integers(least, most, len(condos), endpoint=True)
    towers = round(recipe.TOWERS_PER_20_000 * size)
    largest = np.argsort(-rows.geometry[homes].area.to_numpy(), kind="stable")[:towers]
    units[largest] = recipe.TOWER_UNITS
    stacked = rows.loc[np.repeat(condos, units)].copy()
    unit = stacked.groupby(level=0).cumcount() + 1
    stacked["MAP_PAR_ID"] += "." + unit.astype(str).str.zfill(2)
    stacked["SITE_ADDRE"] += " UNIT " + unit.astype(str)
    stacked["OWNER1"] += " UNIT " + unit.astype(str)
    stacked["BLDG_AREA"] = (stacked["BLDG_AREA"] / np.repeat(units, units)).round(0)
    rows = pd.concat([rows.drop(index=condos), stacked], ignore_index=True)
    return rows.sort_values(["MAP_PAR_ID", "SITE_ADDRE"], kind="stable", ignore_index=True)


def _drop_addresses(rows: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Take the address from some of the vacant lots."""
    drawn = np.random.default_rng(ADDRESS_SEED).random(len(rows))
    is_vacant = rows.USE_CODE.isin(VACANT).to_numpy()
    rows.loc[is_vacant & (drawn < recipe.NO_ADDRESS_SHARE), "SITE_ADDRE"] = None
    return rows
