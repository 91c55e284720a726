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
    "vacant_residential", "vacant_commercial", "vacant_industrial", "vacant_unknown",
]  # fmt: skip
# Vacant land by its zone, which only noise rules by zone protect.
VACANT_CLASSES: tuple[ReceptorClass, ...] = (
    "vacant_residential", "vacant_commercial", "vacant_industrial", "vacant_unknown",
)  # fmt: skip
# Land of which nobody knows whether the residential limit applies: it does, in the worst case only.
UNCERTAIN_CLASSES: tuple[ReceptorClass, ...] = ("unknown", "vacant_unknown")
ProtectedBy = Literal["zone", "use"]
ReceivingClass = Literal["residential", "commercial", "industrial"]
Structure = Literal["principal", "accessory"]
CRITERIA: tuple[Criterion, ...] = ("grid", "fuel", "pad", "noise")
LIMITING: tuple[Literal["pad", "noise", "fuel"], ...] = ("pad", "noise", "fuel")

# How a fact is known: the code words of the evidence columns.
GridEvidence = Literal[
    "service area", "feeder", "grid cell", "feeders of substation", "substation",
    "unpublished", "none", "edge of layer", "no layer",
]  # fmt: skip
FuelEvidence = Literal[
    "main", "main of unknown size", "territory and transmission line", "territory",
    "sign of a main", "no main", "no territory",
    "storage", "no delivery",
    "plant on the site", "plant by pipe", "plant too far", "plant, place by county only",
    "no plant",
    "edge of layer", "no layer",
]  # fmt: skip
HeadroomBasis = Literal[
    "published", "share of firm", "firm less peak", "N-1 of the banks less peak",
    "nameplate of one bank less peak",
]  # fmt: skip
HeadroomReading = Literal["exactly", "between", "at most", "at least", "neither"]
HeadroomCheck = Literal["no second answer", "cannot be compared", "contradict", "differ", "agree"]
PadEvidence = Literal["buildings", "bare parcel", "edge of layer", "slope not known"]
SetbackEvidence = Literal["zoning text", "plan's assumption"]
Access = Literal["reached", "blocked", "no street side"]
NoiseEvidence = Literal[
    "receptors", "edge of layer", "no layer", "own dwelling", "use unknown", "ambient unknown",
]  # fmt: skip
NoiseClass = Literal["pass", "marginal", "fail", "not known"]
Governs = Literal["plan", "local rule"]
# What may govern a site's noise: a kind of receptor, homes on the site, or the layer's edge.
GoverningClass = ReceptorClass | Literal["own dwelling", "edge of layer"]
Binding = Literal["pad", "noise", "fuel", "several", "cap"]
Verdict = Literal["fit", "unfit", "unknown"]
GapClass = Literal["short", "covered", "unknown"]
GapCover = Literal["no gap", "yes", "no", "not known"]
Call = Literal["yes", "check first", "no"]
# What somebody must check before a site is a `yes`, the most decisive first: the first ones may
# still make it a `no`.
CallCheck = Literal[
    "contradiction", "grid", "count", "access", "fuel_margin", "noise_margin", "hosting",
    "setbacks", "heights", "unmapped", "assumed",
    "usable_share", "rating_distance_m", "efficiency", "power_factor", "altitude_m",
]  # fmt: skip
RangedAssumption = Literal[
    "usable_share", "rating_distance_m", "efficiency", "power_factor", "altitude_m",
]  # fmt: skip
