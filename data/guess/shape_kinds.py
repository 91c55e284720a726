"""Check which kinds of shapes a dataset has."""

from data.look import Dataset
from geo.contract.layer import GEOMETRY_TYPES
from geo.errors import ContractError
from geo.model import Layer


def check_shapes(dataset: Dataset, layer: Layer, option: str) -> None:
    """Check that a dataset has shapes of a kind that a layer takes, or that can be made one.

    Args:
        dataset: The dataset.
        layer: The layer.
        option: The option that names the dataset, for the message.

    Raises:
        ContractError: Most of its shapes are of another kind.
    """
    kinds = count_kinds(dataset)
    if not kinds:
        raise ContractError(
            f"reading {option}",
            f"no row of {dataset.name} has a point, a line or an area",
            "name a file with shapes of one kind",
        )
    most = max(kinds, key=lambda kind: kinds[kind])
    if most in layer.geometry or (most == "polygon" and "polygon" not in layer.geometry):
        return
    wanted = " or ".join(SHAPE_NAMES[kind] for kind in layer.geometry)
    raise ContractError(
        f"reading {option}",
        f"{dataset.name} has {SHAPE_NAMES[most]}, and {layer.title.lower()} must be {wanted}",
        f"name a file of {wanted}"
        + (
            ": the assessor's or the county's parcel polygons. A table that belongs to them is "
            "given in --parcels-table"
            if layer.id == "parcels"
            else ""
        ),
    )


SHAPE_NAMES = {"point": "points", "line": "lines", "polygon": "areas"}


def count_kinds(dataset: Dataset) -> dict[str, int]:
    """Return how many rows of a dataset have points, lines and areas."""
    types = dataset.rows.geometry.geom_type.dropna().value_counts()
    counts = {"point": 0, "line": 0, "polygon": 0}
    for name, count in types.items():
        for kind, names in GEOMETRY_TYPES.items():
            if name in names or (kind == "point" and name == "MultiPoint"):
                counts[kind] += int(count)
    return {kind: count for kind, count in counts.items() if count}
