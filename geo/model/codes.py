"""The code words that tables and settings share, as literal types."""

from typing import Literal

Criterion = Literal["grid", "fuel", "pad", "noise"]
PressureClass = Literal["low", "medium", "high"]
Route = Literal["main", "storage", "plant"]
UseClass = Literal["residential", "mixed", "commercial", "industrial", "exempt", "vacant"]
ZoneClass = Literal["residential", "mixed", "commercial", "industrial", "open_space", "special"]
ReceptorClass = Literal[
    "home", "school", "day_care", "hospital", "clinic", "elderly", "hotel", "worship", "park",
    "commercial", "industrial", "unknown",
]  # fmt: skip
ReceivingClass = Literal["residential", "commercial", "industrial"]
Structure = Literal["principal", "accessory"]
CRITERIA: tuple[Criterion, ...] = ("grid", "fuel", "pad", "noise")
LIMITING: tuple[Literal["pad", "noise", "fuel"], ...] = ("pad", "noise", "fuel")
