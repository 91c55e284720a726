"""Combine the coverages of a layer's sources: the area where the absence of a thing is a fact."""

import pandas as pd
import shapely

# The sources of these layers map different kinds of things, such as flood zones and wetland, or
# schools and parks. Absence is a fact only where every kind is mapped, so their coverages are
# intersected. The coverages of other layers, such as those of several utilities, are united.
LAYERS_OF_SEPARATE_KINDS = frozenset({"exclusions", "receptors"})


def combine_coverages(
    snapshots: pd.DataFrame, layers: set[str]
) -> dict[str, shapely.Geometry | None]:
    """Return, by layer, the area where absence is a fact, in the market's CRS; None if unknown.

    `snapshots` has a row for each source of the market: its layer, and its coverage as WKB.
    """
    coverages = {name: _combine_layer_coverage(snapshots, name) for name in sorted(layers)}
    if "lots" in coverages:
        coverages["lots"] = coverages["parcels"]
    if "receptors" in coverages:
        # Homes come from the parcels, so they are not known outside the parcels' coverage.
        parcels, listed = coverages["parcels"], coverages["receptors"]
        if "receptors" not in set(snapshots["layer"]) or listed is None:
            coverages["receptors"] = parcels
        elif parcels is not None:
            coverages["receptors"] = shapely.intersection(parcels, listed)
        else:
            coverages["receptors"] = None
    return coverages


def _combine_layer_coverage(snapshots: pd.DataFrame, layer: str) -> shapely.Geometry | None:
    parts = snapshots.loc[snapshots["layer"] == layer, "coverage"]
    if parts.empty or parts.isna().any():
        return None
    areas = [shapely.from_wkb(bytes(wkb)) for wkb in parts]
    combine = shapely.intersection_all if layer in LAYERS_OF_SEPARATE_KINDS else shapely.union_all
    return shapely.normalize(combine(areas))
