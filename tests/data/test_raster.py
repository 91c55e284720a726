"""A raster in the wrong place or with impossible values is refused: the last snapshot stays."""

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from data.protocols import raster
from data.store import open_store
from geo.catalogue import read_layers
from geo.errors import ContractError, SourceChanged

LEFT, TOP = 232_000.0, 901_000.0
# EPSG:2249 is EPSG:26986 in US survey feet: 3937/1200 survey feet are one meter.
FEET = 3937 / 1200
METERS = Affine(10, 0, LEFT, 0, -10, TOP)


def write_raster(path, values, transform=METERS, crs="EPSG:26986", nodata=None):
    array = np.array(values, dtype="float32")
    high, wide = array.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=high,
        width=wide,
        count=1,
        dtype="float32",
        crs=crs,
        nodata=nodata,
        transform=transform,
    ) as file:
        file.write(array, 1)


LEVEL = np.full((10, 20), 50.0)


@pytest.fixture
def parcel_source(make_square, make_table, make_source, tmp_path):
    """Return the source of ten lots under the raster: 200 m wide, 20 m deep."""
    shapes = [make_square(20 * n, -60) for n in range(10)]
    make_table(shapes, ID=[f"L{n}" for n in range(10)]).to_parquet(tmp_path / "parcels.parquet")
    columns = {
        "parcel_id": {"column": "ID"},
        "jurisdiction": {"value": "tiny"},
        "use_scheme": {"value": "s"},
        "use_code": {"value": "1"},
    }
    return make_source("parcels", "parcels.parquet", columns)


@pytest.fixture
def declare(make_source):
    def build(layer="ambient", crs="EPSG:26986", columns=None):
        return make_source(layer, f"{layer}.tif", columns, fetch={"protocol": "raster", "crs": crs})

    return build


@pytest.fixture
def pull_raster(tmp_path, make_market, parcel_source, pull):
    """Return a function that pulls the lots and then a raster, and returns the store."""

    def pull_one(raster_source, parcels=True):
        sources = (parcel_source, raster_source) if parcels else (raster_source,)
        return pull(
            tmp_path, make_market(*(s.id for s in (parcel_source, raster_source))), *sources
        )[0]

    return pull_one


def test_a_raster_over_the_parcels_is_stored(tmp_path, declare, pull_raster, night):
    write_raster(tmp_path / "ambient.tif", LEVEL)
    with open_store(pull_raster(declare()), read_only=True) as opened:
        assert opened.read_raster_layer("ambient", night).values.tolist() == LEVEL.tolist()
        # There are ten lots of 20 m from x = 0, y = -60.
        box = (LEFT, TOP - 60, LEFT + 200, TOP - 40)
        parcels = "tiny_parcels"
        assert opened.find_bounds("parcels", "EPSG:26986", night, [parcels]) == box
        assert opened.find_bounds("parcels", "EPSG:26918", night, [parcels]) is None
        assert opened.find_bounds("zoning", "EPSG:26986", night, [parcels]) is None


def test_a_raster_in_meters_labeled_in_feet_is_refused_with_a_remedy(
    tmp_path, declare, pull_raster
):
    # 232,000 m read as feet are 71 km: 161 km west of the town.
    write_raster(tmp_path / "ambient.tif", LEVEL, crs="EPSG:2249")
    with pytest.raises(ContractError) as caught:
        pull_raster(declare(crs="EPSG:2249"))
    assert "read as EPSG:2249" in caught.value.wrong
    assert "US survey foot" in caught.value.wrong
    assert "longitude -7" in caught.value.wrong
    assert "'EPSG:26986', in which the raster meets the parcels" in caught.value.remedy
    assert "gdal_edit.py -a_srs" in caught.value.remedy


def test_a_raster_in_feet_labeled_in_meters_is_refused(tmp_path, declare, pull_raster):
    shift = Affine(10 * FEET, 0, LEFT * FEET, 0, -10 * FEET, TOP * FEET)
    write_raster(tmp_path / "ambient.tif", LEVEL, shift)
    with pytest.raises(ContractError, match="wrong CRS or coordinates elsewhere") as caught:
        pull_raster(declare())
    assert "the same zone as EPSG:26986 but in US survey feet" in caught.value.remedy
    # With its label in feet, the raster is in the right place.
    write_raster(tmp_path / "ambient.tif", LEVEL, shift, crs="EPSG:2249")
    pull_raster(declare(crs="EPSG:2249"))


def test_degrees_labeled_in_meters_and_the_reverse_are_refused(tmp_path, declare, pull_raster):
    # (232000, 901000) is 71.112 W, 42.359 N.
    degrees = Affine(1e-4, 0, -71.1125, 0, -1e-4, 42.3592)
    write_raster(tmp_path / "ambient.tif", LEVEL, degrees)
    with pytest.raises(ContractError, match=r"declare .* as 'EPSG:4326', in which"):
        pull_raster(declare())
    write_raster(tmp_path / "ambient.tif", LEVEL, crs="EPSG:4326")
    with pytest.raises(
        ContractError, match=r"no longitude and latitude.*outside the area that EPSG"
    ):
        pull_raster(declare(crs="EPSG:4326"))
    write_raster(tmp_path / "ambient.tif", LEVEL, degrees, crs="EPSG:4326")
    pull_raster(declare(crs="EPSG:4326"))


def test_a_raster_beside_the_parcels_is_refused_and_the_last_one_stays(
    tmp_path, declare, pull_raster, night
):
    write_raster(tmp_path / "ambient.tif", LEVEL)
    store = pull_raster(declare())
    # The CRS is right, but the raster is 5 km east: its 200 m do not reach the lots.
    write_raster(tmp_path / "ambient.tif", LEVEL + 1, METERS @ Affine.translation(500, 0))
    with pytest.raises(ContractError) as caught:
        pull_raster(declare())
    assert "does not touch the parcels of market 'tiny', at longitude -71.11" in caught.value.wrong
    assert "take a raster of this market" in caught.value.remedy
    with open_store(store, read_only=True) as opened:
        assert opened.read_raster_layer("ambient", night).values[0, 0] == 50.0


@pytest.mark.parametrize(("east_m", "meets"), [(180, True), (195, False)])
def test_a_raster_over_a_corner_of_the_parcels_is_refused(
    tmp_path, declare, pull_raster, east_m, meets
):
    # The lots are 200 m wide: an overlap of 20 m (a tenth) is enough, 5 m (a fortieth) is not.
    write_raster(tmp_path / "ambient.tif", LEVEL, Affine(10, 0, LEFT + east_m, 0, -10, TOP))
    if meets:
        pull_raster(declare())
        return
    with pytest.raises(ContractError, match="hardly touches the parcels"):
        pull_raster(declare())


def test_a_small_raster_within_the_market_is_stored(tmp_path, declare, pull_raster):
    # One cell of 10 m on lots of 200 m by 20 m: a fortieth of the lots, all of the raster.
    write_raster(tmp_path / "ambient.tif", [[50.0]], Affine(10, 0, LEFT + 50, 0, -10, TOP - 45))
    pull_raster(declare())


def test_a_raster_stored_before_the_parcels_is_checked_again(tmp_path, declare, pull_raster):
    write_raster(tmp_path / "ambient.tif", LEVEL, METERS @ Affine.translation(500, 0))
    pull_raster(declare(), parcels=False)
    with pytest.raises(ContractError, match="does not touch the parcels"):
        pull_raster(declare())


@pytest.mark.parametrize(
    ("layer", "value", "words"),
    [
        ("ambient", -9999, "not between 10 and 110 dB.A.: -9999 in 1 of them, read as dB.A."),
        ("ambient", 9.5, "9.5 in 1 of them"),
        ("ambient", 110.5, "110.5 in 1 of them"),
        ("ambient", np.inf, "inf in 1 of them"),
        ("elevation", -9999, "not between -500 and 9000 m: -9999 in 1 of them"),
        ("elevation", 9000.5, "9000.5 in 1 of them"),
        ("elevation", -3.4028235e38, "-3.4028234[67]e.38 in 1 of them"),
    ],
)
def test_a_value_outside_the_layers_limits_is_refused(
    tmp_path, declare, pull_raster, layer, value, words
):
    values = LEVEL.copy()
    values[3, 4] = value
    write_raster(tmp_path / f"{layer}.tif", values)
    with pytest.raises(ContractError, match=words) as caught:
        pull_raster(declare(layer))
    assert "columns.value.missing" in caught.value.remedy


@pytest.mark.parametrize("value", [10.0, 110.0])
def test_values_at_the_layers_limits_are_stored(tmp_path, declare, pull_raster, value):
    write_raster(tmp_path / "ambient.tif", np.full((10, 20), value))
    pull_raster(declare())


def test_the_limits_hold_in_the_layers_unit(tmp_path, declare, pull_raster):
    # 9000 m are 29,528 ft: 29,000 ft is within the limit, 30,000 ft is not.
    columns = {"value": {"column": "1", "unit": "ft"}}
    write_raster(tmp_path / "elevation.tif", np.full((10, 20), 29_000.0))
    pull_raster(declare("elevation", columns=columns))
    write_raster(tmp_path / "elevation.tif", np.full((10, 20), 30_000.0))
    with pytest.raises(ContractError, match="read as ft"):
        pull_raster(declare("elevation", columns=columns))


def test_declared_markers_are_nodata_in_the_files_own_unit(tmp_path, declare):
    values = [[-9999.0, 10.0], [-3.4028234663852886e38, 20.0]]
    write_raster(tmp_path / "elevation.tif", values)
    missing = [-9999, "-3.4028235e38"]
    raster_source = declare(
        "elevation", columns={"value": {"column": "1", "unit": "ft", "missing": missing}}
    )
    grid = raster.read_raster(tmp_path / "elevation.tif", raster_source, read_layers()["elevation"])
    np.testing.assert_allclose(grid.values, [[np.nan, 3.048], [np.nan, 6.096]], rtol=1e-12)


def test_nodata_stays_unknown_and_is_not_covered(tmp_path, declare, pull_raster, night):
    values = LEVEL.copy()
    values[:, :5] = -1
    write_raster(tmp_path / "ambient.tif", values, nodata=-1)
    with open_store(pull_raster(declare()), read_only=True) as opened:
        stored = opened.read_raster_layer("ambient", night).values
        table = opened.read_snapshots(night).set_index("layer")
    assert np.isnan(stored[:, :5]).all()
    assert (stored[:, 5:] == 50).all()
    covered = shapely.from_wkb(bytes(table.loc["ambient", "coverage"]))
    # Five of twenty columns of 10 m are unknown.
    assert covered.bounds == pytest.approx((LEFT + 50, TOP - 100, LEFT + 200, TOP))


def test_coverage_of_flipped_and_rotated_rasters(tmp_path, declare, pull_raster, night):
    def covered(transform):
        write_raster(tmp_path / "ambient.tif", LEVEL, transform)
        with open_store(pull_raster(declare()), read_only=True) as opened:
            table = opened.read_snapshots(night).set_index("layer")
        return shapely.from_wkb(bytes(table.loc["ambient", "coverage"]))

    north_down = covered(Affine(10, 0, LEFT, 0, 10, TOP - 100))
    assert north_down.bounds == pytest.approx((LEFT, TOP - 100, LEFT + 200, TOP))
    turned = covered(Affine.translation(LEFT, TOP - 100) @ Affine.rotation(30) @ Affine.scale(10))
    # A rotated raster covers its own 200 m by 100 m, not the box around it.
    assert turned.area == pytest.approx(200 * 100)
    assert turned.bounds[2] == pytest.approx(LEFT + 200 * np.cos(np.pi / 6))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_without_georeference_is_refused(tmp_path, declare, pull_raster):
    write_raster(tmp_path / "ambient.tif", LEVEL, Affine.identity())
    with pytest.raises(SourceChanged, match="is not georeferenced"):
        pull_raster(declare())


def test_a_real_state_raster_is_stored_but_not_if_labeled_in_feet(
    real_files, declare, make_market, pull, tmp_path, night
):
    """The file is labeled EPSG:3653, which is in meters as it should be; EPSG:3654 is in feet."""
    state_file = next(real_files.rglob("ri_nlcd.tif"))
    with rasterio.open(state_file) as file:
        label, cells, transform = file.crs.to_wkt(), file.read(1), file.transform
    with rasterio.open(state_file.with_name("ri_srtm_slope.tif")) as file:
        # The cells are the same as those of another file, which is in EPSG:32130.
        assert transform.almost_equals(file.transform, 1e-3)
    rhode_island = make_market("tiny_elevation", crs="EPSG:32130")
    (tmp_path / "elevation.tif").symlink_to(state_file)
    with pytest.raises(ContractError, match="correct the file's label"):
        pull(tmp_path, rhode_island, declare("elevation", crs="EPSG:32130"))
    store, _ = pull(tmp_path, rhode_island, declare("elevation", crs=label))
    with open_store(store, read_only=True) as opened:
        assert opened.read_raster_layer("elevation", night).values.shape == (1434, 972)
    (tmp_path / "elevation.tif").unlink()
    write_raster(tmp_path / "elevation.tif", cells, transform, "EPSG:3654")
    # 66 to 153 km read as feet are 20 to 47 km: at least 53 km west of the state's meridian.
    with pytest.raises(ContractError, match=r"in US survey foot, .* longitude -72") as caught:
        pull(tmp_path, rhode_island, declare("elevation", crs="EPSG:3654"))
    assert "outside the area that EPSG:3654 is made for, longitude -71.85" in caught.value.wrong


def test_a_raster_of_the_whole_country_is_stored(tmp_path, declare, pull_raster, night):
    """Its corners cannot be projected into the market's CRS; its coverage ends near the market."""
    degrees = Affine(1, 0, -180, 0, -1, 90)
    write_raster(tmp_path / "ambient.tif", np.full((180, 360), 45.0), degrees, crs="EPSG:4326")
    with open_store(pull_raster(declare(crs="EPSG:4326")), read_only=True) as opened:
        table = opened.read_snapshots(night).set_index("layer")
    covered = shapely.from_wkb(bytes(table.loc["ambient", "coverage"]))
    # The zone's longitudes -73.5 to -69.86 plus a quarter are about 370 km wide.
    assert np.isfinite(covered.bounds).all()
    assert covered.contains(shapely.Point(LEFT, TOP))
