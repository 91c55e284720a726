from typing import get_args

import numpy as np
import pytest

from geo.criteria.fuel.requirements import describe_needs
from geo.model import FuelEvidence

ROW = {
    "fuel_id": "natural_gas", "fuel_route": "main", "fuel_evidence": "main", "fuel_n_hi": 10,
    "main_diameter_in": 4.0, "main_pressure_class": "high", "storage_capacity": np.nan,
    "plant_name": None, "plant_status": None,
}  # fmt: skip
LANDFILL = {
    "fuel_route": "plant",
    "fuel_evidence": "plant by pipe",
    "plant_name": "Mill River Landfill",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "A service line from the 4-inch high-pressure main, and the gas utility's approval",
        ),
        (
            {"main_pressure_class": None},
            "A service line from the 4-inch gas main, and the gas utility's approval",
        ),
        ({"fuel_n_hi": 0}, "More gas than the 4-inch high-pressure main can supply"),
        (
            {"main_diameter_in": np.nan},
            "To be confirmed: the capacity of other gas mains nearby, or the material of this one",
        ),
        (
            {"fuel_evidence": "main of unknown size"},
            "To be confirmed: the size or pressure of the gas main",
        ),
        (
            {"fuel_evidence": "sign of a main"},
            "To be confirmed: whether there is a gas main in the street, and its size",
        ),
        (
            {"fuel_evidence": "territory"},
            "To be confirmed: where the gas utility's mains are, and their size",
        ),
        (
            {"fuel_evidence": "territory and transmission line"},
            "To be confirmed: where the gas utility's mains are, and their size",
        ),
        (
            {"fuel_evidence": "edge of layer"},
            "To be confirmed: where the gas mains are (the map ends near here)",
        ),
        (
            {"fuel_evidence": "no layer"},
            "To be confirmed: where the gas mains are (no map of them is public)",
        ),
        ({"fuel_evidence": "no main"}, "No gas main within reach"),
        ({"fuel_evidence": "no territory"}, "No gas utility serves this location"),
        ({"fuel_evidence": "no delivery"}, "No supplier delivers it under this plan"),
        ({"fuel_route": "plant", "fuel_evidence": "no plant"}, "No plant within reach"),
        (
            {"fuel_route": "plant", "fuel_evidence": "plant, place by county only"},
            "No plant known to be within reach",
        ),
        (
            LANDFILL | {"plant_status": "operating"},
            "A pipe from Mill River Landfill, and the owner's agreement",
        ),
        (
            LANDFILL | {"plant_status": "planned", "fuel_evidence": "plant on the site"},
            "A pipe from Mill River Landfill (not known to be running), and the owner's agreement",
        ),
        (LANDFILL | {"fuel_n_hi": 0}, "More gas than Mill River Landfill can spare"),
        # The plan allows gas pipes up to 500 m long: 1640 ft.
        (
            {"fuel_route": "plant", "fuel_evidence": "plant too far",
             "plant_name": "Ropewalk Hydrogen"},
            "A closer source (the nearest plant, Ropewalk Hydrogen, is over 1,640 ft away)",
        ),
        (
            {"fuel_route": "plant", "fuel_evidence": "plant too far"},
            "A closer source (the nearest plant is over 1,640 ft away)",
        ),
        (
            {"fuel_evidence": "edge of layer", "fuel_route": "plant"},
            "A source nearby (no public data on where there is one)",
        ),
        (
            {"fuel_evidence": "storage", "fuel_id": "propane", "storage_count": 2.0,
             "storage_capacity": 24_000.0, "storage_unit": "gal"},
            "2 tanks of 12,000 gal each, for at least 3 days of fuel",
        ),
        (
            {"fuel_evidence": "storage", "fuel_id": "propane", "storage_count": 1.0,
             "storage_capacity": 12_000.0, "storage_unit": "gal"},
            "A tank of 12,000 gal, for at least 3 days of fuel",
        ),
        ({"fuel_evidence": "storage", "fuel_id": "propane"}, "Room for a tank and its clearances"),
    ],
)  # fmt: skip
def test_each_fuel_says_what_it_needs(plan, changes, expected):
    assert describe_needs(ROW | changes, plan) == expected


@pytest.mark.parametrize("evidence", get_args(FuelEvidence))
def test_every_evidence_code_has_a_text(plan, evidence):
    assert describe_needs(ROW | {"fuel_evidence": evidence}, plan)
    assert describe_needs(ROW | {"fuel_evidence": evidence, "main_diameter_in": np.nan}, plan)
