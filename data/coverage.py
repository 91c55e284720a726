"""Find the area inside which a source is complete, as its declaration says."""

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import shapely
from shapely.geometry import box

from data.message_text import count_noun
from data.shapes import check_inside_crs, keep_parts
from data.source import Source
from geo import catalogue
from geo.contract.units import convert_units
from geo.errors import ContractError
from geo.model import Layer, Market

# The dimension of an area.
AREA = 2
# Streets between parcels are no wider than this, as a rule.
PARCELS_CLOSED_M = 60.0
# Gaps smaller than this (m2) are rounding.
GAP_AREA_M2 = 0.01
NO_ROW_INSIDE = "none of its rows lies inside its coverage"
_MITER: dict[str, object] = {"join_style": "mitre", "mitre_limit": 5.0}


def list_coverage_faults(source: Source, layer: Layer) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the kinds that a source's coverage names, and what to do."""
    kinds = list_kinds(layer)
    for kind in source.coverage.kinds or ():
        if kind not in kinds:
            yield (
                f"coverage.kinds names {kind!r}, which is no kind of layer {layer.id!r}",
                f"use {', '.join(kinds)}" if kinds else "delete coverage.kinds",
            )


def list_kinds(layer: Layer) -> tuple[str, ...]:
    """Return the kinds of things in a layer that are known separately; parcels show receptors."""
    layer = catalogue.read_layers()["receptors"] if layer.id == "parcels" else layer
    return () if layer.kind_column is None else layer.columns[layer.kind_column].values


def find_coverage(
    frame: gpd.GeoDataFrame, source: Source, layer: Layer, market: Market,
    area: gpd.GeoDataFrame | None,
) -> tuple[shapely.Geometry | None, list[str]]:  # fmt: skip
    """Find the area inside which absence is a fact.

    Args:
        frame: The conformed rows.
        source: The source, which declares the kind of coverage.
        layer: The layer that it fills.
        market: The market.
        area: Polygons of the declared coverage file, in any CRS.

    Returns:
        The area in the market's CRS, and notes on it. None if it is not known, or is that of the
        parcels, which another source fills.

    Raises:
        ContractError: The coverage file has no polygon, or its polygons lie outside the area that
            the market's CRS is made for; or the shapes of a `closed` coverage enclose no area.
    """
    coverage = source.coverage
    shapes = frame.geometry[frame.geometry.notna()].to_numpy()
    found: shapely.Geometry | None = None
    notes: list[str] = []
    if not len(shapes):
        return None, notes
    if coverage.kind == "file" and area is not None:
        found, notes = _read_polygons(area, source, market)
        notes += _note_rows_outside(found, shapes, source, layer)
    elif coverage.kind in {"bounds", "hull"}:
        together = shapely.GeometryCollection(list(shapes))
        is_box = coverage.kind == "bounds"
        found = box(*together.bounds) if is_box else shapely.convex_hull(together)
    elif coverage.kind == "closed" or (coverage.kind == "parcels" and layer.id == "parcels"):
        found = close_gaps(shapes, coverage.closed_m or PARCELS_CLOSED_M)
        if found.is_empty:
            raise _refuse_coverage(
                source,
                f"its {count_noun(len(shapes), 'shape')}, closed over "
                f"{coverage.closed_m or PARCELS_CLOSED_M:g} m, enclose no area",
                "raise coverage.closed_m, or declare another kind of coverage",
            )
    if found is None:
        return None, notes
    return shapely.normalize(found), [*notes, *_note_parts(found)]


def _read_polygons(
    area: gpd.GeoDataFrame, source: Source, market: Market
) -> tuple[shapely.Geometry, list[str]]:
    """Return the polygons of a coverage file as one area, with notes on what was repaired."""
    name, notes = source.coverage.path, []
    shapes = area.geometry.to_crs(market.crs)
    shapes = shapes[shapes.notna() & ~shapes.is_empty]
    is_invalid = ~shapely.is_valid(shapes.to_numpy())
    check_inside_crs(shapes, source, market, str(name), str(area.crs))
    valid = shapely.make_valid(shapes.to_numpy())
    polygons = np.array([keep_parts(shape, AREA) for shape in valid], dtype=object)
    is_area = ~shapely.is_empty(polygons) if len(polygons) else np.zeros(0, dtype=bool)
    if not is_area.any():
        kinds = ", ".join(sorted({shape.geom_type for shape in shapes})) or "no shape"
        raise _refuse_coverage(
            source,
            f"coverage.path = {name!r} has no polygon; it has {kinds}",
            "name a file of the area in which the layer is complete, or another coverage.kind",
        )
    if is_invalid.any():
        count = count_noun(int(is_invalid.sum()), "invalid polygon")
        notes.append(f"{count} of the coverage in {name} repaired")
    if not is_area.all():
        count = count_noun(int((~is_area).sum()), "shape")
        notes.append(f"{count} of {name} left out of the coverage: not a polygon")
    united = keep_parts(shapely.union_all(polygons[is_area]), AREA)
    closed, gaps = close_slivers(united, source.coverage.sliver_m)
    if gaps:
        notes.append(
            f"{count_noun(gaps, 'gap')} narrower than {source.coverage.sliver_m:g} m between the "
            f"coverage polygons of {name} closed"
        )
    return closed, notes


def _note_rows_outside(
    area: shapely.Geometry, shapes: np.ndarray, source: Source, layer: Layer
) -> list[str]:
    """Return a note if no row touches the coverage. Raises ContractError for parcels."""
    shapely.prepare(area)
    if shapely.intersects(area, shapes).any():
        return []
    if layer.id == "parcels":
        raise _refuse_coverage(
            source,
            f"none of its {len(shapes):,} parcels touches the area of {source.coverage.path}",
            "name the file of this market's area in coverage.path, or correct coverage.crs",
        )
    return [f"{NO_ROW_INSIDE}: check {source.coverage.path} and its CRS"]


def _note_parts(area: shapely.Geometry) -> list[str]:
    """Return a note on the parts and holes of a coverage, if it is not one area without holes."""
    parts = shapely.get_parts(area)
    holes = [shapely.polygons(ring) for part in parts for ring in part.interiors]
    if len(parts) == 1 and not holes:
        return []
    text = f"coverage in {count_noun(len(parts), 'part')}"
    if holes:
        hole_m2 = float(shapely.area(holes).sum())
        text += f" with {count_noun(len(holes), 'hole')} of {format_area(hole_m2)}"
        text += " in all" if len(holes) > 1 else ""
    return [text]


def close_gaps(shapes: np.ndarray, width_m: float) -> shapely.Geometry:
    """Return the ground of shapes and of the gaps between them that are no wider than a distance.

    Args:
        shapes: Valid geometries (n,), in a metric frame.
        width_m: The widest gap.

    Returns:
        The polygons. Two squares 4 m apart become one if `width_m` is 5, and stay two if it is 3.
    """
    parts = shapely.get_parts(shapes)
    grown = shapely.union_all(shapely.buffer(parts, width_m / 2, **_MITER))
    shrunk = shapely.buffer(grown, -width_m / 2, **_MITER)
    # Buffers may cut a shape's corners by 1% of their width: what is cut is added again.
    is_cut = ~shapely.covers(shrunk, parts) & (shapely.get_dimensions(parts) == AREA)
    return keep_parts(shapely.union_all([shrunk, *parts[is_cut]]), AREA)


def close_slivers(area: shapely.Geometry, width_m: float) -> tuple[shapely.Geometry, int]:
    """Close the gaps in an area that are narrower than a distance, and count them.

    Args:
        area: Polygons, in a metric frame.
        width_m: The width from which a gap stays open.

    Returns:
        The area, unchanged if it has no such gap, and the number of gaps.
    """
    if width_m == 0:
        return area, 0
    closed = close_gaps(shapely.get_parts(area), width_m)
    parts = shapely.get_parts(shapely.difference(closed, area))
    parts = parts[shapely.area(parts) > GAP_AREA_M2]
    # A buffer may cut shallow corners by 1% of its width; that is no gap.
    wide = ~shapely.is_empty(shapely.buffer(parts, -width_m / 100))
    gaps = max(int(wide.sum()), _count_rings(area) - _count_rings(closed))
    return (closed, gaps) if gaps else (area, 0)


def _count_rings(area: shapely.Geometry) -> int:
    parts = shapely.get_parts(area)
    return len(parts) + int(shapely.get_num_interior_rings(parts).sum())


def format_area(area_m2: float) -> str:
    """Return an area as text, in acres and in hectares.

    >>> format_area(1_200_000)
    '297 acres (120 ha)'
    """
    hectares, acres = area_m2 / 10_000, convert_units(area_m2, "m2", "acre")
    return f"{acres:,.3g} acres ({hectares:,.3g} ha)"


def _refuse_coverage(source: Source, wrong: str, remedy: str) -> ContractError:
    return ContractError(
        f"finding the coverage of source {source.id!r}",
        wrong,
        f"{remedy}, in sources/{source.id}.toml",
    )
