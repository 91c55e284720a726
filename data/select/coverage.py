"""Combine the coverages of a layer's sources: the area where the absence of a thing is a fact."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.coverage import AREA, NO_ROW_INSIDE, close_slivers
from data.message_text import count_noun
from data.shapes import keep_parts
from data.snapshot_record import snapshot_table
from data.source import Coverage, Source
from data.store import Store
from geo import catalogue
from geo.model import VACANT_CLASSES, Needs
from geo.shapes.near import geometry_array, is_covered
from geo.unmapped import join_words, title_kinds

# What every table of parcels with their use shows completely: who lives and works where.
KINDS_OF_PARCELS = frozenset({"home", "commercial", "industrial", "unknown", *VACANT_CLASSES})


@dataclass(frozen=True)
class LayerCoverage:
    """Where the layers of a market are complete.

    Attributes:
        areas: By layer, the area where absence is a fact, in the market's CRS; None if not known.
            In a layer of several kinds, every kind that is mapped is complete there.
        unmapped: By layer, the kinds that the plan needs and no source maps completely.
        notes: What a reader should know about them.
    """

    areas: dict[str, shapely.Geometry | None]
    unmapped: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Claim:
    """What one source says about its completeness: where (None: nowhere), and of which kinds."""

    source_id: str
    layer: str
    declared: Coverage
    area: shapely.Geometry | None
    kinds: frozenset[str]
    warnings: tuple[str, ...]


def combine_coverages(
    opened: Store,
    snapshots: pd.DataFrame,
    layers: Iterable[str],
    needs: Needs,
    sites: gpd.GeoDataFrame,
) -> LayerCoverage:
    """Combine what the market's sources say about where they are complete.

    Of sources that map the same kind of thing, such as those of several towns, the areas are
    united. Of different kinds, such as flood zones and wetland, they are intersected: absence is a
    fact only where every kind that the plan needs is mapped.

    Args:
        opened: The open store.
        snapshots: The last snapshot of each source of the market.
        layers: The layers to cover.
        needs: The kinds of ground and of receptors that the plan needs.
        sites: The sites, for counting those that lie beyond the area of a kind.

    Returns:
        The coverages. That of the lots is that of the parcels.
    """
    claims = _read_claims(opened, snapshots)
    parcels = _unite_claims([claim for claim in claims if claim.layer == "parcels"])
    claims = [
        replace(claim, area=parcels)
        if claim.declared.kind == "parcels" and claim.layer != "parcels"
        else claim
        for claim in claims
    ]
    by_id = {claim.source_id: claim for claim in claims}
    claims = [replace(claim, area=_area_together(claim, by_id)) for claim in claims]
    areas = {
        name: _unite_claims([claim for claim in claims if claim.layer == name])
        for name in sorted(layers)
    }
    if "lots" in areas:
        areas["lots"] = parcels
    notes = [*_note_companions(claims), *_note_places(claims, sites)]
    unmapped: dict[str, tuple[str, ...]] = {}
    exclusions = needs.exclusions
    if exclusions is None:
        exclusions = tuple(
            kind for claim in claims if claim.layer == "exclusions" for kind in sorted(claim.kinds)
        )
    for name, kinds, sources in (
        ("exclusions", exclusions, {"exclusions"}),
        # Homes and businesses come from the parcels' use, other receptors also from lists.
        ("receptors", needs.receptors, {"receptors", "parcels"}),
    ):
        if name in areas:
            mapped, unmapped[name] = _find_kind_areas(claims, kinds, sources)
            areas[name] = _intersect_areas(mapped.values())
            notes += _note_partial_kinds(mapped, sites)
    return LayerCoverage(areas, unmapped, tuple(notes))


def _read_claims(opened: Store, snapshots: pd.DataFrame) -> list[_Claim]:
    """Return what each source says about its completeness, in the order of the snapshots."""
    claims = []
    for row in snapshots.to_dict("records"):
        source = Source.model_validate_json(row["declaration"])
        wkb = row["coverage"]
        claims.append(
            _Claim(
                source_id=source.id,
                layer=source.layer,
                declared=source.coverage,
                area=None if pd.isna(wkb) else shapely.from_wkb(bytes(wkb)),
                kinds=_read_kinds(opened, source, int(row["snapshot_id"])),
                warnings=tuple(note for note in row["notes"] if note.startswith(NO_ROW_INSIDE)),
            )
        )
    return claims


def _read_kinds(opened: Store, source: Source, snapshot_id: int) -> frozenset[str]:
    """Return the kinds of which a source is complete: those it declares, else those it has."""
    declared = source.coverage.kinds
    if source.layer == "parcels":
        return KINDS_OF_PARCELS | frozenset(declared or ())
    column = catalogue.read_layers()[source.layer].kind_column
    if declared is not None or column is None:
        return frozenset(declared or ())
    rows = opened.con.execute(
        f"select distinct {column} from {snapshot_table(snapshot_id)}"  # noqa: S608 (our names)
    ).fetchall()
    return frozenset(kind for (kind,) in rows)


def _unite_claims(claims: list[_Claim]) -> shapely.Geometry | None:
    """Return the area in which a layer is complete; None if any of its sources says nothing."""
    areas = [claim.area for claim in claims if claim.area is not None]
    return _unite_areas(areas, claims) if len(areas) == len(claims) else None


def _unite_areas(areas: list[shapely.Geometry], claims: list[_Claim]) -> shapely.Geometry | None:
    """Return areas as one, without slivers between them; None where there is no area."""
    if len(areas) < 2:
        return areas[0] if areas else None
    sliver_m = min(claim.declared.sliver_m for claim in claims)
    united, _ = close_slivers(shapely.union_all(areas), sliver_m)
    return shapely.normalize(united)


def _intersect_areas(areas: Iterable[shapely.Geometry | None]) -> shapely.Geometry | None:
    """Return the ground that all areas share; None if one is not known, or there is none."""
    known = list({id(area): area for area in areas}.values())
    if not known or any(area is None for area in known):
        return None
    # Areas that only touch share a line, which is no ground.
    return shapely.normalize(keep_parts(shapely.intersection_all(known), AREA))


def _find_kind_areas(
    claims: list[_Claim], kinds: Iterable[str], layers: set[str]
) -> tuple[dict[str, shapely.Geometry | None], tuple[str, ...]]:
    """Find where each kind is complete.

    Args:
        claims: What the sources say about their completeness.
        kinds: The kinds that the plan needs.
        layers: The layers whose sources map such kinds.

    Returns:
        The area of each kind that some source maps, None where no source knows its area; and the
        kinds that none maps.
    """
    united: dict[frozenset[str], shapely.Geometry | None] = {}
    areas: dict[str, shapely.Geometry | None] = {}
    unmapped = []
    for kind in kinds:
        mapping = [claim for claim in claims if claim.layer in layers and kind in claim.kinds]
        if not mapping:
            unmapped.append(kind)
            continue
        # Most kinds have the same sources, whose areas are united once.
        key = frozenset(claim.source_id for claim in mapping)
        if key not in united:
            known = [claim.area for claim in mapping if claim.area is not None]
            united[key] = _unite_areas(known, mapping)
        areas[kind] = united[key]
    return areas, tuple(unmapped)


def _area_together(claim: _Claim, by_id: Mapping[str, _Claim]) -> shapely.Geometry | None:
    """Return where a source is complete together with those that it needs; None if not known."""
    others = [by_id.get(name) for name in claim.declared.together_with]
    areas = [claim.area, *(None if other is None else other.area for other in others)]
    return claim.area if len(areas) == 1 else _intersect_areas(areas)


# ---------------------------------------------------------------------------------------------
# Notes


def _note_companions(claims: list[_Claim]) -> list[str]:
    """Return notes on sources that are complete only together with one that the market lacks."""
    present = {claim.source_id for claim in claims}
    notes = []
    for claim in claims:
        missing = [name for name in claim.declared.together_with if name not in present]
        if missing:
            notes.append(
                f"{claim.source_id} is complete only together with {join_words(missing)}, which is "
                "not among the sources: nothing it maps is known to be absent anywhere"
            )
    return notes


def _note_places(claims: list[_Claim], sites: gpd.GeoDataFrame) -> list[str]:
    """Return notes on coverages that lie elsewhere than the sites or than their own rows."""
    shapes, notes = geometry_array(sites), []
    layers = catalogue.read_layers()
    for claim in claims:
        notes += [f"{claim.source_id}: {warning}" for warning in claim.warnings]
        # A raster's coverage is in its own CRS, and is compared with the parcels when it is pulled.
        if claim.area is None or layers[claim.layer].is_raster:
            continue
        shapely.prepare(claim.area)
        if len(shapes) and not shapely.intersects(claim.area, shapes).any():
            notes.append(
                f"the coverage of {claim.source_id} touches no site, so it says nothing about any: "
                "check its [coverage]"
            )
    return notes


def _note_partial_kinds(
    areas: dict[str, shapely.Geometry | None], sites: gpd.GeoDataFrame
) -> list[str]:
    """Return notes on the kinds that are mapped for only some of the sites."""
    words = catalogue.read_code_words()["mapped_kind"]
    shapes = geometry_array(sites)
    covered: dict[int, np.ndarray] = {}
    kinds: dict[int, list[str]] = {}
    for kind, area in areas.items():
        if kind in words:
            if id(area) not in covered:
                covered[id(area)] = is_covered(shapes, area, 0.0)
            beyond = int((~covered[id(area)]).sum())
            kinds.setdefault(beyond, []).append(kind)
    return [
        f"{count_noun(beyond, 'site')} of {len(shapes):,} beyond the map of "
        f"{join_words(title_kinds(of))}"
        for beyond, of in kinds.items()
        if beyond
    ]
