"""Fixtures that make gas mains and fuel plants."""

import numpy as np
import pandas as pd
import pytest
import shapely


@pytest.fixture(scope="session")
def mains(layer):
    def make(rows, **columns):
        """Make polyethylene mains from (shape, diameter_in, pressure_class)."""
        shapes, sizes, classes = zip(*rows, strict=True) if rows else ((), (), ())
        base = {
            "main_id": [f"M{number}" for number in range(len(shapes))],
            "diameter_in": pd.Series(sizes, dtype=float),
            "pressure_class": pd.Series(classes, dtype=object),
            "material": "polyethylene",
        }
        return layer(shapes, **(base | columns))

    return make


@pytest.fixture(scope="session")
def plants(layer):
    def make(*rows):
        """Make plants: landfills at (0, 0) that sell no gas, unless a row says otherwise."""
        default = {
            "plant_id": "P",
            "name": "Hill",
            "fuel": "biogas",
            "plant_kind": "landfill",
            "status": "operating",
            "flow_scfh": 30_000.0,
            "methane_share": 0.5,
            "used": "no",
            "used_scfh": np.nan,
            "precision": "site",
            "source_id": "plants",
            "shape": shapely.Point(0, 0),
        }
        plants_ = [default | row for row in rows]
        columns = {
            name: pd.Series([plant[name] for plant in plants_], dtype=type(value))
            for name, value in default.items()
            if name != "shape"
        }
        columns = {
            name: values.astype(object) if values.dtype != float else values
            for name, values in columns.items()
        }
        return layer([plant["shape"] for plant in plants_], **columns)

    return make
