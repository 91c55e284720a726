"""Compare the selection of a random town with distances and areas of each pair, one by one."""

import numpy as np
import pandas as pd
import pytest
import shapely
from shapely.affinity import rotate

from data.database import open_engine
from data.select import select_sites

REACH_M = {"exclusions": 0.0, "lots": 30.0, "gas_signs": 60.0, "streets": 120.0, "receptors": 700.0}
SIDE_M, LOTS = 3000.0, 400
# One of these shapes in five has several pieces, and one in nine a hole or a bend.
PIECES_M = 250.0


def make_rectangles(rng, make_square, count, side_m):
    """Return turned rectangles, most of them one piece."""
    shapes = []
    for number in range(count):
        x, y = rng.uniform(0, SIDE_M, 2)
        pieces = []
        for _ in range(rng.integers(2, 9) if number % 5 == 0 else 1):
            wide, deep = rng.uniform(0.5, 1.5, 2) * side_m
            pieces.append(rotate(make_square(x, y, wide, deep), rng.uniform(0, 90)))
            x, y = x + rng.uniform(-PIECES_M, PIECES_M), y + rng.uniform(-PIECES_M, PIECES_M)
        if number % 9 == 0:
            pieces[0] = pieces[0].difference(pieces[0].centroid.buffer(side_m / 8))
        shapes.append(shapely.union_all(pieces))
    return shapes


def make_lines(rng, make_point, count):
    """Return bent lines; each fifth has several pieces."""
    lines = []
    for number in range(count):
        pieces = []
        for _ in range(rng.integers(2, 9) if number % 5 == 0 else 1):
            start = rng.uniform(0, SIDE_M, 2)
            steps = rng.uniform(-60, 60, (rng.integers(1, 6), 2)).cumsum(axis=0)
            pieces.append([make_point(*xy) for xy in [start, *(start + steps)]])
        joined = [shapely.LineString(points) for points in pieces]
        lines.append(joined[0] if len(joined) == 1 else shapely.MultiLineString(joined))
    return lines


@pytest.fixture(scope="module")
def town(*, tmp_path_factory, make_square, make_point, make_table, make_source, make_market, pull,
         parcel_source, zone_source, make_needs, land_use, night):  # fmt: skip
    """Return what a town is made of, the function that selects its sites, and the selection."""
    rng = np.random.default_rng(20_260_711)
    folder = tmp_path_factory.mktemp("random_town")
    shapes = {
        "parcels": make_rectangles(rng, make_square, LOTS, 25.0),
        "zoning": make_rectangles(rng, make_square, 60, 300.0),
        "exclusions": make_rectangles(rng, make_square, 80, 60.0),
        "streets": make_lines(rng, make_point, 300),
        "gas_signs": [make_point(*xy) for xy in rng.uniform(0, SIDE_M, (500, 2))],
    }
    # Shops and vacant lots are in the west only, so that much lies beyond every reach.
    west = shapely.bounds(shapes["parcels"])[:, 0] < make_square(SIDE_M / 4, 0).bounds[0]
    use = np.where(west, rng.choice(["3", "1", "V"], LOTS), rng.choice(["1", "9"], LOTS))
    ids = np.array([f"P{number:03d}" for number in range(LOTS)])
    make_table(
        shapes["parcels"], ID=ids, USE=use, KIND=[None] * LOTS, FLOOR=[1.0] * LOTS
    ).to_parquet(folder / "parcels.parquet")
    zones = rng.choice(["B", "R"], len(shapes["zoning"]))
    make_table(shapes["zoning"], ZONE=zones).to_parquet(folder / "zoning.parquet")
    declared = [parcel_source, zone_source]
    for layer, columns in (
        ("exclusions", {"kind": {"value": "rail"}, "name": {"column": "N"}}),
        ("streets", {"kind": {"value": "street"}, "name": {"column": "N"}}),
        ("gas_signs", {"sign": {"value": "leak_report"}}),
    ):
        names = [f"{number:03d}" for number in range(len(shapes[layer]))]
        make_table(shapes[layer], N=names).to_parquet(folder / f"{layer}.parquet")
        declared.append(make_source(layer, f"{layer}.parquet", columns))
    market = make_market(*[source.id for source in declared])
    store, _ = pull(folder, market, *declared)

    def select():
        return select_sites(store, market, make_needs(REACH_M), land_use, night)

    made = {name: np.array(several, dtype=object) for name, several in shapes.items()}
    return made, pd.DataFrame({"id": ids, "use": use}), zones, select, select()


def find_sites(town):
    """Return which parcels are sites, measured pair by pair, with their areas in B and R."""
    shapes, parcels, zones, _, _ = town
    lots = shapes["parcels"]
    shared_m2 = shapely.area(shapely.intersection(lots[:, None], shapes["zoning"][None, :]))
    in_b_m2, in_r_m2 = (shared_m2[:, zones == code].sum(axis=1) for code in "BR")
    area_m2 = shapely.area(lots)
    by_zone = parcels["use"].eq("V") & (in_b_m2 >= 0.5 * area_m2) & (in_b_m2 > 0)
    by_zone &= ~are_tied(in_b_m2, in_r_m2)
    is_site = (parcels["use"].eq("3") | by_zone) & (area_m2 >= 100.0)
    return is_site.to_numpy(), in_b_m2, in_r_m2


def are_tied(in_b_m2, in_r_m2):
    """Return where neither of two zones is the larger."""
    smaller, larger = np.minimum(in_b_m2, in_r_m2), np.maximum(in_b_m2, in_r_m2)
    return (smaller >= 0.995 * larger) & (smaller > 0)


def rows_near(shapes, sites, reach_m):
    return (shapely.distance(shapes[:, None], sites[None, :]) <= reach_m).any(axis=1)


def test_sites_have_the_zones_that_each_pair_of_lot_and_zone_gives(town):
    shapes, parcels, _, _, selection = town
    is_site, in_b_m2, in_r_m2 = find_sites(town)
    sites = selection.screening.sites
    assert sites["site_id"].tolist() == parcels["id"][is_site].tolist()
    largest_m2 = np.maximum(in_b_m2, in_r_m2)[is_site]
    zoned_m2 = (in_b_m2 + in_r_m2)[is_site]
    share = np.minimum(largest_m2 / shapely.area(shapes["parcels"][is_site]), 1)
    share[zoned_m2 == 0] = np.nan
    np.testing.assert_allclose(sites["zone_share"], share, rtol=1e-9)
    np.testing.assert_array_equal(sites["zone_split"], largest_m2 < 0.98 * zoned_m2)
    code = np.where(in_b_m2 >= in_r_m2, "B", "R")[is_site]
    tied = are_tied(in_b_m2, in_r_m2)
    is_known = (zoned_m2 > 0) & ~tied[is_site]
    assert sites["zone_code"].fillna("").tolist() == np.where(is_known, code, "").tolist()
    assert tied.any()
    # The town has lots inside one zone, cut by a zone's edge, and outside all zones.
    assert {True, False} == set(sites["zone_split"])
    assert (share == 1).any()
    assert ((share > 0) & (share < 1)).any()
    assert np.isnan(share).any()


@pytest.mark.parametrize("layer", ["exclusions", "streets", "gas_signs"])
def test_each_row_within_reach_of_a_site_comes_once(town, layer):
    shapes, _, _, _, selection = town
    lots = shapes["parcels"][find_sites(town)[0]]
    near = rows_near(shapes[layer], lots, REACH_M[layer])
    rows = selection.screening.layers[layer].geometry.to_numpy()
    assert sorted(shapely.to_wkb(shapely.normalize(rows))) == sorted(
        shapely.to_wkb(shapely.normalize(shapes[layer][near]))
    )
    assert 0 < near.sum() < len(near)


def test_lots_and_receptors_within_reach_of_a_site_come_once(town):
    shapes, parcels, _, _, selection = town
    lots, layers = shapes["parcels"], selection.screening.layers
    is_site, _, _ = find_sites(town)
    near = rows_near(lots, lots[is_site], REACH_M["lots"])
    assert layers["lots"]["lot_id"].tolist() == parcels["id"][near].tolist()
    assert 0 < near.sum() < len(near)
    near = rows_near(lots, lots[is_site], REACH_M["receptors"])
    near &= parcels["use"].isin(["1", "9"]).to_numpy()
    assert layers["receptors"]["receptor_id"].tolist() == parcels["id"][near].tolist()
    assert 0 < near.sum() < parcels["use"].isin(["1", "9"]).sum()


def test_the_number_of_cores_changes_nothing(town):
    *_, select, first = town
    engine = open_engine()
    ((threads,),) = engine.execute("select current_setting('threads')").fetchall()
    try:
        for count in (1, 5):
            engine.execute(f"set threads = {count}")
            other = select()
            pd.testing.assert_frame_equal(first.set_aside_parcels, other.set_aside_parcels)
            frames = {"sites": first.screening.sites} | first.screening.layers
            others = {"sites": other.screening.sites} | other.screening.layers
            for name, frame in frames.items():
                pd.testing.assert_frame_equal(
                    pd.DataFrame(frame), pd.DataFrame(others[name]), check_exact=True
                )
    finally:
        engine.execute(f"set threads = {threads}")
