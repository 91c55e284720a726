"""Real layers of Cambridge, from Esri's FeatureServer code, are the same tables as their files."""

import datetime as dt
import json

import geopandas as gpd
import numpy as np
import pytest
import shapely

from data.connection import open_connection
from data.protocols.servers import PROTOCOLS
from data.store import open_store
from tests.built_in import read_sources
from tests.servers.koop import serving_layers

NIGHT = dt.date(2026, 3, 1)
ZONING = "CDD_ZoningDistricts.geojson"
OPEN_SPACE = "RECREATION_OpenSpace.geojson"
POLES = "INFRA_UtilityPoles.geojson"


@pytest.fixture(scope="module")
def koop(tmp_path_factory, cambridge_files):
    """Zones whose ids Koop makes from the rows, and others with our own, 100 rows at once."""
    folder = tmp_path_factory.mktemp("koop")
    layers = {"zoning": (cambridge_files / ZONING, None, 100)}
    for name, file in (("open_space", OPEN_SPACE), ("poles", POLES)):
        collection = json.loads((cambridge_files / file).read_text("utf-8"))
        for number, feature in enumerate(collection["features"]):
            feature["properties"]["ROW_ID"] = 3 * number + 1
        path = folder / f"numbered_{name}.geojson"
        path.write_text(json.dumps(collection), "utf-8")
        layers[name] = (path, "ROW_ID", 100)
    with serving_layers(folder, layers) as address:
        yield lambda name: f"{address}/{name}/FeatureServer/0"


def read_zones(pull, make_market, folder, files, fetch):
    """Pull the built-in source of Cambridge's zones in another way; return its rows."""
    folder.mkdir()
    source = read_sources()["cambridge_zoning"]
    declared = source.fetch.model_dump() | {"path": None, "requests_per_s": 1000.0} | fetch
    source = type(source).model_validate(source.model_dump() | {"fetch": declared})
    for name in (ZONING, source.coverage.path):
        if name and not (folder / name).exists():
            (folder / name).symlink_to(files / name)
    store, _ = pull(folder, make_market(source.id), source, night=NIGHT)
    with open_store(store, read_only=True) as opened:
        frame = opened.read_layer("zoning")
    points = frame.geometry.representative_point()
    order = np.lexsort([points.y.round(), points.x.round(), frame["zone_code"].astype(str)])
    return frame.iloc[order].reset_index(drop=True)


def test_the_zones_are_those_of_the_file(koop, pull, make_market, tmp_path, cambridge_files):
    """Koop offers the binary format, which counts in 1e-9 degrees: 0.1 mm."""
    in_file = {"protocol": "file", "path": ZONING, "crs": "EPSG:4326"}
    served = {"protocol": "arcgis", "url": koop("zoning"), "crs": "EPSG:4326"}
    due = read_zones(pull, make_market, tmp_path / "file", cambridge_files, in_file)
    found = read_zones(pull, make_market, tmp_path / "server", cambridge_files, served)
    assert len(found) == len(due) == 261
    assert found["zone_code"].tolist() == due["zone_code"].tolist()
    apart = shapely.hausdorff_distance(found.geometry.to_numpy(), due.geometry.to_numpy())
    assert apart.max() < 0.001


@pytest.mark.parametrize("name", ["open_space", "poles"])
def test_shapes_and_values_are_those_of_the_file(
    koop, make_source, tmp_path, cambridge_files, name
):
    """Koop cuts off the dates of the open spaces in its binary format, so JSON is asked for."""
    fetch = {"protocol": "arcgis", "path": None, "url": koop(name), "crs": "EPSG:4326"}
    due = gpd.read_file(cambridge_files / {"open_space": OPEN_SPACE, "poles": POLES}[name])
    columns = [column for column in due.columns if column != "geometry"]
    source = make_source(
        "zoning", None, {f"of_{n}": {"column": one} for n, one in enumerate(columns)}, fetch=fetch
    )
    with open_connection("tiny", requests_per_s=1000) as connection:
        pulled = PROTOCOLS["arcgis"].pull(connection, source, tmp_path, NIGHT)
    found = gpd.read_parquet(pulled.file)
    assert len(found) == len(due) > 200
    assert found["ROW_ID"].tolist() == [3 * number + 1 for number in range(len(due))]
    apart = shapely.hausdorff_distance(found.geometry.to_numpy(), due.geometry.to_numpy())
    assert apart.max() < 2e-9
    areas = shapely.area(found.geometry.to_numpy()), shapely.area(due.geometry.to_numpy())
    assert np.allclose(*areas, rtol=1e-4)
    for column in columns:
        texts = [None if one is None else str(one) for one in _list(due[column])]
        given = [None if one is None else str(one) for one in _list(found[column])]
        assert given == texts or np.allclose(
            [float(one or "nan") for one in given],
            [float(one or "nan") for one in texts],
            equal_nan=True,
        )


def _list(column):
    values = column.astype(object)
    return [None if is_none else one for one, is_none in zip(values, column.isna(), strict=True)]
