"""All faults of a table are reported together, and a table without faults passes."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geo.catalogue import read_layers
from geo.contract.layer import check_layer
from geo.errors import ContractError
from geo.model import Column, Layer

POINT = shapely.Point(232_000, 901_000)


def substations(count=2, geometry=POINT, crs="EPSG:26986", **columns):
    frame = gpd.GeoDataFrame(
        {
            "substation_id": pd.Series([f"S{n}" for n in range(count)], dtype="str"),
            "status": pd.Series(["in_service"] * count, dtype="str"),
            "firm_capacity_mva": [10.0] * count,
        },
        geometry=[geometry] * count,
        crs=crs,
    )
    for name, values in columns.items():
        frame[name] = values
    return frame


def faults(frame, layer=None):
    with pytest.raises(ContractError) as caught:
        check_layer(frame, layer or read_layers()["substations"], "utility_x")
    assert "utility_x" in caught.value.doing
    assert "sources/utility_x.toml" in caught.value.remedy
    return caught.value.wrong


def test_a_table_that_holds_passes():
    check_layer(substations(), read_layers()["substations"], "utility_x")


def test_a_null_value_where_it_may_be_and_a_null_shape_pass():
    frame = substations(firm_capacity_mva=[np.nan, np.nan])
    frame.loc[0, "geometry"] = None
    check_layer(frame, read_layers()["substations"], "utility_x")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (substations().drop(columns="status"), "column 'status' is missing"),
        (substations(status=["open", "in_service"]), "holds 'open' in 1 rows"),
        (substations(status=[None, "in_service"]).astype({"status": "str"}), None),
        (substations(substation_id=pd.Series([None, "a"], dtype="str")), "is null in 1 of 2 rows"),
        (substations(firm_capacity_mva=[-1.0, 2.0]), "is below 0 in 1 rows (-1.0)"),
        (substations(firm_capacity_mva=["10", "20"]), "is str, not float"),
        (substations(substation_id=[1, 2]), "is int64, not string"),
        (substations(crs=None), "the geometry has no CRS"),
        (substations(crs="EPSG:4326"), "the geometry is in degrees"),
        (substations(crs="EPSG:2249"), "the geometry is in US survey foot"),
        (
            substations(geometry=POINT.buffer(1)),
            "2 of 2 rows are of type Polygon, not point",
        ),
        (substations(mva=[1.0, 2.0]), "columns ['mva'] do not belong to the layer"),
    ],
)
def test_each_fault_is_named(frame, said):
    if said is None:
        check_layer(frame, read_layers()["substations"], "utility_x")
    else:
        assert said in faults(frame)


def test_all_faults_are_named_at_once():
    frame = substations(
        crs="EPSG:4326", geometry=POINT.buffer(1), status=["a", "b"], firm_capacity_mva=[-1.0, -2.0]
    ).drop(columns="substation_id")
    wrong = faults(frame)
    assert wrong.count(";") == 4
    for word in ("degrees", "Polygon", "substation_id", "'a', 'b'", "below 0"):
        assert word in wrong


def test_above_the_maximum_and_more_samples_than_are_shown():
    layer = Layer(
        id="x",
        title="X",
        geometry=("point",),
        columns={"size": Column(title="Size", type="float", maximum=1.0)},
    )
    frame = gpd.GeoDataFrame({"size": [2.0, 3, 4, 5]}, geometry=[POINT] * 4, crs="EPSG:26986")
    assert "is above 1 in 4 rows (2.0, 3.0, 4.0, ...)" in faults(frame, layer)
