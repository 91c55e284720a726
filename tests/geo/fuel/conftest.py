"""Mains and plants on small hand-made ground."""

import numpy as np
import pandas as pd
import pytest
import shapely


@pytest.fixture(scope="session")
def mains(layer):
    def make(rows, **columns):
        """Return gas mains from (shape, diameter_in, pressure_class), polyethylene."""
        shapes, sizes, classes = zip(*rows, strict=True) if rows else ((), (), ())
        told = {
            "main_id": [f"M{number}" for number in range(len(shapes))],
            "diameter_in": pd.Series(sizes, dtype=float),
            "pressure_class": pd.Series(classes, dtype=object),
            "material": "polyethylene",
        }
        return layer(shapes, **(told | columns))

    return make


@pytest.fixture(scope="session")
def plants(layer):
    def make(*rows):
        """Return plants, each a landfill at (0, 0) that sells nothing, but for what is given."""
        usual = {
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
        told = [usual | row for row in rows]
        columns = {
            name: pd.Series([one[name] for one in told], dtype=type(value))
            for name, value in usual.items()
            if name != "shape"
        }
        columns = {
            name: values.astype(object) if values.dtype != float else values
            for name, values in columns.items()
        }
        return layer([one["shape"] for one in told], **columns)

    return make
