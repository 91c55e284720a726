"""Vacant land near sites as receptors: by its zone, and only where a noise rule goes by zone."""

from dataclasses import replace
from typing import get_args

import pytest

from data.select import select_sites
from geo.model import VACANT_CLASSES, LandUse, ReceptorClass

# id, use, kind, x, width; 20 m deep. Zones: B below 1000, I to 2000, R to 3000, X (mixed) to 4000,
# Z (in no land-use table) to 5000, and none beyond.
LAND = [
    ("shop_b", "3", None, 400, 20),
    ("shop_i", "3", None, 1400, 20),
    ("shop_r", "3", None, 2400, 20),
    ("shop_x", "3", None, 3400, 20),
    ("shop_z", "3", None, 4400, 20),
    ("shop_outside", "3", None, 5400, 20),
    # Vacant land in a business zone is a site itself, unless it is too small.
    ("own_land", "V", None, 440, 20),
    ("in_b", "V", None, 470, 4),
    ("in_i", "V", None, 1440, 4),
    ("in_r", "V", None, 2440, 20),
    ("in_x", "V", None, 3440, 4),
    ("in_z", "V", None, 4440, 20),
    ("outside", "V", None, 5440, 20),
    # A house lot without a house, and a house on a lot that another record calls vacant.
    ("house_lot", "0", None, 2470, 20),
    ("house", "1", None, 2500, 20),
    ("house_land", "V", None, 2500, 20),
    # A lot drawn twice, two pieces of one lot, and a lot without an id.
    ("copy_b", "V", None, 2530, 4),
    ("copy_a", "V", None, 2530, 4),
    ("twice", "V", None, 2540, 4),
    ("twice", "V", None, 2550, 4),
    (None, "V", None, 2560, 20),
    # Streets, rail and water, whatever use is on record.
    ("road", "V", "ROW", 2420, 20),
    ("lane", "0", "priv_row ", 460, 10),
    ("track", "V", "RAIL_ROW", 1420, 20),
    ("pond", "V", "WATER", 3420, 20),
    ("odd_road", "?", "ROW", 420, 20),
    (None, "V", "ROW", 5420, 20),
    # Public land is not vacant, and neither is land of unknown use.
    ("town_hall", "P", None, 2590, 10),
    ("odd", "?", None, 2605, 10),
    # Out of reach.
    ("far", "V", None, 2900, 20),
]
ZONES = [("B", 0, 1000), ("I", 1000, 1000), ("R", 2000, 1000), ("X", 3000, 1000), ("Z", 4000, 1000)]
EVERY_CLASS = get_args(ReceptorClass)
REACH_M = 200.0


@pytest.fixture(scope="module")
def codes():
    return (
        LandUse.model_validate(
            {
                "jurisdiction": "tiny",
                "scheme": "s",
                "source": "made up",
                "use": {
                    "0": {"title": "House lot", "class": "residential"},
                    "1": {"title": "House", "class": "residential", "receptor": "home"},
                    "3": {"title": "Shop", "class": "commercial"},
                    "P": {"title": "Town hall", "class": "exempt"},
                    "V": {"title": "Vacant", "class": "vacant"},
                },
                "zone": {
                    "B": {"title": "Business", "class": "commercial"},
                    "I": {"title": "Industry", "class": "industrial"},
                    "R": {"title": "Houses", "class": "residential"},
                    "R2": {"title": "More houses", "class": "residential"},
                    "X": {"title": "Main street", "class": "mixed"},
                },
            }
        ),
    )


@pytest.fixture(scope="module")
def select_receptors(
    *,
    tmp_path_factory,
    make_square,
    make_table,
    pull,
    make_market,
    parcel_source,
    zone_source,
    make_needs,
    codes,
    night,
):
    """Return a function that selects the receptors of a town, by id."""
    market = make_market(parcel_source.id, zone_source.id)

    def select(lots, zones, receptors=EVERY_CLASS):
        path = tmp_path_factory.mktemp("town")
        table = make_table(
            [make_square(x, 0, width, 20) for *_, x, width in lots],
            ID=[lot[0] for lot in lots],
            USE=[lot[1] for lot in lots],
            KIND=[lot[2] for lot in lots],
            FLOOR=1.0,
        )
        table.to_parquet(path / "parcels.parquet")
        grounds = [make_square(x, -100, width, 400) for _, x, width in zones]
        make_table(grounds, ZONE=[zone[0] for zone in zones]).to_parquet(path / "zoning.parquet")
        store, _ = pull(path, market, parcel_source, zone_source)
        needs = replace(make_needs({"receptors": REACH_M}), receptors=tuple(receptors))
        selection = select_sites(store, market, needs, codes, night)
        layer = selection.screening.layers["receptors"]
        assert layer["receptor_id"].is_unique
        return layer.set_index("receptor_id"), selection.screening.sites

    return select


@pytest.fixture(scope="module")
def town(select_receptors):
    return select_receptors(LAND, ZONES)


def test_vacant_land_is_a_receptor_by_its_zone(town):
    found, _ = town
    classes = found["receptor_class"]
    classes = classes[classes.isin(VACANT_CLASSES)]
    # The lot without an id is named by its row.
    nameless = classes[classes.index.str.startswith("parcel ")]
    assert nameless.tolist() == ["vacant_residential"]
    assert classes.drop(nameless.index).to_dict() == {
        "own_land": "vacant_commercial",
        "in_b": "vacant_commercial",
        "in_i": "vacant_industrial",
        "in_r": "vacant_residential",
        "house_lot": "vacant_residential",
        "copy_a": "vacant_residential",
        "twice": "vacant_residential",
        # A mixed zone, a zone in no land-use table, and no zone do not decide for a limit.
        "in_x": "vacant_unknown",
        "in_z": "vacant_unknown",
        "outside": "vacant_unknown",
    }


def test_land_in_use_keeps_the_class_of_its_use(town):
    classes = town[0]["receptor_class"]
    assert classes["house"] == "home"
    assert classes["odd"] == "unknown"
    assert classes["shop_r"] == "commercial"
    assert {"house_land", "town_hall"}.isdisjoint(classes.index)


def test_streets_rail_and_water_are_never_receptors(town, make_square):
    found, _ = town
    assert {"road", "lane", "track", "pond", "odd_road"}.isdisjoint(found.index)
    # The street without an id has no name to look for: no receptor begins where it does.
    left = set((found.bounds["minx"] - make_square(0, 0).bounds[0]).round())
    assert 5440 in left
    assert 5420 not in left


def test_only_vacant_land_in_reach_of_a_site_is_selected(town):
    # The nearest site is shop_r, which ends at 2420: `odd` is 185 m away and `far` 480 m.
    assert "far" not in town[0].index


def test_a_vacant_site_is_known_as_its_own_land(town):
    found, sites = town
    assert "own_land" in set(sites["site_id"])
    vacant = found[found["receptor_class"].isin(VACANT_CLASSES)]
    assert vacant["site_id"].dropna().to_dict() == {"own_land": "own_land"}


def test_the_pieces_of_a_vacant_lot_are_one_receptor(town):
    shape = town[0].geometry["twice"]
    assert shape.geom_type == "MultiPolygon"
    assert shape.area == pytest.approx(2 * 4 * 20)


def test_vacant_land_is_left_out_where_no_rule_by_zone_protects_it(town, select_receptors):
    others = [kind for kind in EVERY_CLASS if kind not in VACANT_CLASSES]
    found, _ = select_receptors(LAND, ZONES, others)
    every = town[0]
    expected = every[~every["receptor_class"].isin(VACANT_CLASSES)]
    assert found["receptor_class"].to_dict() == expected["receptor_class"].to_dict()
    assert len(expected) < len(every)


# The widths in meters of the zones of a lot 100 m wide; None is ground in no zone.
SPLITS = [
    ([("R", 100)], "vacant_residential"),
    ([("B", 60), ("R", 40)], "vacant_commercial"),
    ([("B", 40), ("R", 60)], "vacant_residential"),
    ([("I", 60), ("B", 40)], "vacant_industrial"),
    # Two residential zones together are the largest.
    ([("R", 30), ("R2", 30), ("I", 40)], "vacant_residential"),
    # On a tie the stricter class counts.
    ([("R", 50), ("B", 50)], "vacant_residential"),
    ([("I", 50), ("B", 50)], "vacant_commercial"),
    # Unknown ground could make a stricter class the largest.
    ([("B", 60), (None, 40)], "vacant_commercial"),
    ([("B", 40), (None, 60)], "vacant_unknown"),
    ([("B", 45), ("R", 30), (None, 25)], "vacant_unknown"),
    ([("I", 45), ("B", 30), (None, 25)], "vacant_unknown"),
    ([("I", 60), ("X", 40)], "vacant_industrial"),
    ([("R", 60), (None, 40)], "vacant_residential"),
    ([("X", 100)], "vacant_unknown"),
    ([("Z", 100)], "vacant_unknown"),
]


@pytest.fixture(scope="module")
def split_lots(select_receptors):
    """Select one vacant lot for each split, and again for each split with one zone lost."""
    cases = [(number, None) for number in range(len(SPLITS))]
    cases += [(n, lost) for n, (parts, _) in enumerate(SPLITS) for lost in range(len(parts))]
    lots, zones = [], []
    for place, (number, lost) in enumerate(cases):
        left = 1000 * place
        # The shop beside each lot is the site that it is near.
        lots += [
            (f"shop_{place}", "3", None, left - 30, 20),
            (f"lot_{place}", "V", None, left, 100),
        ]
        for part, (code, width) in enumerate(SPLITS[number][0]):
            if code is not None and part != lost:
                zones.append((code, left, width))
            left += width
    found, _ = select_receptors(lots, zones)
    return {case: found["receptor_class"][f"lot_{place}"] for place, case in enumerate(cases)}


@pytest.mark.parametrize("number", range(len(SPLITS)))
def test_the_largest_zone_decides_unless_unknown_ground_could(split_lots, number):
    assert split_lots[number, None] == SPLITS[number][1]


def test_losing_a_zone_never_makes_a_limit_less_strict(split_lots):
    # Colorado's limits in dB(A) in the worst case; in the best, unclear zoning has no limit.
    worst = {"vacant_residential": 50, "vacant_unknown": 50, "vacant_commercial": 55,
             "vacant_industrial": 65}  # fmt: skip
    lost = [(number, case) for number, case in split_lots if case is not None]
    changed = 0
    for number, case in lost:
        before, after = split_lots[number, None], split_lots[number, case]
        assert worst[after] <= worst[before], (SPLITS[number], case)
        changed += before != after
    assert changed > 5
