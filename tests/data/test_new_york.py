"""Compare New York's real capacity files, read with declarations, with a reading by hand.

The market's CRS is NAD 83 / UTM 18N (EPSG:26918). It is also used for the west of the state, up to
108 km beyond its zone, where lengths are 0.12 % too long (0.08 % in Buffalo).
"""

import csv
import datetime as dt
import re
from collections import Counter, defaultdict

import geopandas as gpd
import numpy as np
import openpyxl
import pytest

from data.pull import refresh_source
from data.store import open_store
from tests.built_in import read_sources

NIGHT = dt.date(2026, 3, 1)
CRS = "EPSG:26918"
SOURCES = ("ny_feeders_overhead", "ny_feeders_underground", "ny_substations")
# The columns of each feeder file: id, substation, voltage and rating.
FEEDERS = {
    "ny_feeders_overhead": (
        "OH.csv",
        ("MASTER_CDF", "SUBSTATION_NAME", "OPERATING_VOLTAGE", "FEEDER_SN_RATING_AMPS"),
    ),
    "ny_feeders_underground": (
        "UG.csv",
        ("Feeder", "Substation", "Operating Voltage (kV)", "Summer Rating (Amps)"),
    ),
}
PEAK, PERCENT = "PEAK_AMPS_CURRENT_YEAR", "PCT_RATING_CURRENT_YEAR"
LAST_PEAK = "PEAK_AMPS_LAST_YEAR"


def parse_number(text):
    return float(re.sub("[\u0020\u00a0]", "", text).replace(",", "."))


@pytest.fixture(scope="module")
def folder(real_files):
    return real_files / "ny-capacity"


@pytest.fixture(scope="module")
def rows(folder):
    def read(name):
        with (folder / name).open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, delimiter=";"))

    return {name: read(name) for name in ("OH.csv", "UG.csv", "Substations.csv")}


@pytest.fixture(scope="module")
def pulled(tmp_path_factory, folder, make_market):
    """Return the result of each source's pull, and the two layers that they fill."""
    store = tmp_path_factory.mktemp("ny") / "ny.duckdb"
    sources = read_sources()
    where = make_market(*SOURCES, id="new_york", crs=CRS)
    done = {name: refresh_source(sources[name], where, folder, store, NIGHT) for name in SOURCES}
    with open_store(store) as opened:
        return done, {name: opened.read_layer(name) for name in ("capacity", "substations")}


@pytest.fixture(scope="module")
def feeders(pulled):
    return pulled[1]["capacity"].set_index("record_id")


@pytest.fixture(scope="module")
def stations(pulled):
    return pulled[1]["substations"].set_index("substation_id")


@pytest.mark.parametrize(
    ("source", "exact", "trimmed", "renamed"),
    # Feeders without a place: 35 of 1000 (3.5 %) and 2 of 87 with the names as written, 27 after
    # trimming the names, and 16 after two names are spelled as in the table of places.
    [("ny_feeders_overhead", 35, 27, 16), ("ny_feeders_underground", 2, 2, 2)],
)
def test_feeders_without_a_place_are_counted(rows, pulled, source, exact, trimmed, renamed):
    file, (_, station, *_) = FEEDERS[source]
    names = [row[station] for row in rows[file]]
    places = [row["NAME"] for row in rows["Substations.csv"]]
    assert sum(name not in places for name in names) == exact
    places = {name.strip() for name in places}
    assert sum(name.strip() not in places for name in names) == trimmed
    rename = read_sources()[source].columns["substation_id"].rename
    assert sum(rename.get(name.strip(), name.strip()) not in places for name in names) == renamed
    done = pulled[0][source]
    assert (done.rows_in, done.rows) == (len(names), len(names) - renamed)
    assert f"{renamed} rows without geometry dropped" in done.notes
    assert not any("unreadable" in note for note in done.notes)


@pytest.mark.parametrize("source", FEEDERS)
def test_every_feeder_has_the_load_that_the_file_publishes(rows, feeders, source):
    file, (key, _, volts, rating) = FEEDERS[source]
    kept = [row for row in rows[file] if row[key] in feeders.index]
    got = feeders.loc[[row[key] for row in kept]]
    assert (got["source_id"] == source).all()
    assert got["voltage_kv"].tolist() == [parse_number(row[volts]) for row in kept]
    assert got["rating_a"].tolist() == [parse_number(row[rating]) for row in kept]
    published = np.array([parse_number(row[PERCENT]) for row in kept])
    share = 100 * (got["peak_a"] / got["rating_a"]).to_numpy()
    silent = np.isnan(share)
    # The one row of each file with 0 A counts as missing.
    assert [row[PEAK] for row, none in zip(kept, silent, strict=True) if none] == ["0"]
    # The published values have two decimals: no other value differs by more than the rounding.
    assert np.abs(share - published)[~silent].max() <= 0.005 + 1e-9


@pytest.mark.parametrize(("file", "last_year", "came_back"), [("OH.csv", 11, 10), ("UG.csv", 3, 2)])
def test_a_peak_of_zero_means_no_reading(rows, file, last_year, came_back):
    """0 is declared missing: the files have no blanks, and feeders at 0 A have peaks later."""
    assert all(row[PEAK] and row[LAST_PEAK] for row in rows[file])
    idle = [row for row in rows[file] if parse_number(row[LAST_PEAK]) == 0]
    assert len(idle) == last_year
    assert sum(parse_number(row[PEAK]) > 0 for row in idle) == came_back


def test_a_feeder_by_name(feeders):
    feeder = feeders.loc["36_01_12161"]
    assert feeder["substation_id"] == "121 CLINTON ST"
    assert (feeder["voltage_kv"], feeder["rating_a"], feeder["peak_a"]) == (4.8, 241, 104)
    assert (feeder["kind"], feeder["grain"]) == ("load", "feeder")
    assert np.isnan(feeders.loc["36_01_4872", "peak_a"])
    assert np.isnan(feeder["headroom_kw"])


def test_points_match_those_of_the_republished_layer(folder, rows, feeders, stations):
    theirs = gpd.read_file(folder / "sub_shape.gpkg", layer="substations").to_crs(CRS)
    # It has the same places in the same order, with their names spelled differently.
    theirs.index = [row["NAME"].strip() for row in rows["Substations.csv"]]
    assert len(theirs) == 518
    assert theirs.index.is_unique
    for ours, names in ((feeders, feeders["substation_id"]), (stations, stations.index)):
        away = ours.geometry.distance(theirs.geometry.loc[names].set_axis(ours.index))
        assert away.max() < 0.01


# ---------------------------------------------------------------------------------------------
# The workbook of substations, cell by cell


@pytest.fixture(scope="module")
def cells(folder):
    """Read (name, banks, volts, rating) from each row of the sheet, filling names down."""
    book = openpyxl.load_workbook(folder / "nys-substations.xlsx", data_only=True)
    sheet = book["Sheet1"]
    titles = [cell.value for cell in sheet[4]]
    at = [titles.index(t) for t in ("Substation Name", "#Banks", "Rated Voltage", "Rated MVA")]
    found, name = [], None
    for row in sheet.iter_rows(min_row=5, values_only=True):
        name = row[at[0]] or name
        found.append((name, *(row[n] for n in at[1:])))
    return found


def parse_highest_stage_mva(rating):
    """Return a bank's highest stage in MVA, or None if it is unreadable or implausible."""
    if isinstance(rating, dt.datetime):
        rating = f"{rating.month}/{rating.day}/{rating.year % 100}"
    try:
        highest = max(float(part) for part in str(rating).split("/"))
    except ValueError:
        return None
    return highest if highest <= 500 else None


def test_the_workbook_matches_its_declaration(cells, pulled):
    assert len(cells) == 750
    assert cells[-1][1:] == (None, None, 1_756_336)
    ratings = [rating for *_, rating in cells[:-1]]
    dates = Counter(one.strftime("%m/%d/%y") for one in ratings if isinstance(one, dt.datetime))
    assert dates == {"12/16/20": 28, "10/12/14": 1, "12/16/22": 1}
    unread = [one for one in ratings if parse_highest_stage_mva(one) is None]
    assert unread == ["7500/9375", "(blank)", "12//16/20/24"]
    names = {name for name, *_ in cells}
    done = pulled[0]["ny_substations"]
    assert len(names) == 552
    assert (done.rows_in, done.rows) == (750, 472)
    assert done.notes == (
        "Substation Name: 198 blanks filled from above",
        "1 row left out: #Banks is ''",
        "Substation Name: 39 names in another spelling",
        "Rated MVA: 1 unreadable number, taken as missing",
        "Rated MVA: 30 dates read back as ratings",
        "Rated MVA: 1 value above 500 MVA, taken as missing",
        "749 rows combined into 552 by substation_id",
        (
            "80 rows without a place in Substations.csv, such as '138 OAKWOOD' or '171 BURT' or "
            "'56 Electric Ave'"
        ),
        "80 rows without geometry dropped",
    )


def test_every_substation_is_the_sum_of_its_banks(cells, rows, stations):
    banks = defaultdict(list)
    for name, count, volts, rating in cells[:-1]:
        banks[name].append((count, volts, parse_highest_stage_mva(rating)))
    places = {row["NAME"].strip() for row in rows["Substations.csv"]}
    rename = read_sources()["ny_substations"].columns["substation_id"].rename
    assert set(rename) <= set(banks)
    assert set(rename.values()) <= places - set(banks)
    found = {rename.get(name, name): one for name, one in banks.items()}
    found = {name: one for name, one in found.items() if name in places}
    assert set(found) == set(stations.index)
    for name, one in found.items():
        got = stations.loc[name]
        assert got["bank_count"] == sum(count for count, *_ in one)
        ratings = [(count, mva) for count, _, mva in one]
        known = [mva for _, mva in ratings if mva is not None]
        if len(known) < len(ratings):
            assert np.isnan(got["nameplate_mva"])
        else:
            total = sum(count * mva for count, mva in ratings)
            assert got["nameplate_mva"] == pytest.approx(total, abs=1e-9)
        np.testing.assert_array_equal(got["largest_bank_mva"], max(known, default=np.nan))
        volts = [re.split("[/-]", str(v).rstrip(".")) for _, v, _ in one if v is not None]
        highest = max(float(part) for parts in volts for part in parts)
        assert got["voltage_kv"] == highest


def test_three_substations_by_name(stations):
    ash = stations.loc["ASH ST. SUB"]
    assert ash["name"] == "ASH STREET"
    assert ash["bank_count"] == 2 + 1 + 1 + 1 + 1 + 1 + 2
    # 24/32/40 twice, 20/26.7/33.3, 30/40/50, 30/40/50/56, 20/26.7/33.3, 7.5/9.375, 7.5/9.4 twice
    total = 2 * 40 + 33.3 + 50 + 56 + 33.3 + 9.375 + 2 * 9.4
    assert ash["nameplate_mva"] == pytest.approx(total)
    assert (ash["largest_bank_mva"], ash["voltage_kv"]) == (56, 115)
    # 12/16/20, which the spreadsheet stores as a day in December 2020, and three banks of 5 MVA
    altamont = stations.loc["ALTAMONT"]
    assert (altamont["bank_count"], altamont["nameplate_mva"]) == (4, 20 + 3 * 5)
    # 12//16/20/24 is not a rating
    hill = stations.loc["PROSPECT HILL"]
    assert hill["bank_count"] == 1
    assert np.isnan([hill["nameplate_mva"], hill["largest_bank_mva"]]).all()
    assert (stations["status"] == "in_service").all()
    assert (stations["level"] == "distribution").all()
    assert (stations["as_of"] == "2013-03-31").all()
    assert stations["peak_load_mva"].isna().all()


def test_most_feeders_know_their_substation(feeders, stations):
    # Both lists use the utility's names; the declaration corrects different spellings.
    assert feeders["substation_id"].isin(stations.index).sum() == 1012
    assert len(feeders) == 984 + 85


def test_the_crs_covers_both_ends_of_the_state(feeders):
    degrees = feeders.to_crs(4326).total_bounds
    # Buffalo is at 78.9 W, the Vermont border at 73.3 W
    assert degrees[0] < -78.9
    assert degrees[2] > -73.8
