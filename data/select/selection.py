"""Select the sites of a market as of one night, with the layers near them."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data.select.coverage import combine_coverages
from data.select.joining import join_lots_of_owner
from data.select.lots import create_code_tables, create_lot_tables, create_parcel_table
from data.select.neighbors import read_layers_near_sites
from data.select.notes import count_unclassified_uses, list_selection_notes
from data.select.sites import (
    create_lot_decision_table,
    create_site_tables,
    read_set_aside_parcels,
    read_sites,
)
from data.select.zoning import create_lot_zone_table
from data.store import open_store
from geo import catalogue
from geo.errors import StoreError
from geo.model import LandUse, Market, Needs, Screening


@dataclass(frozen=True)
class Selection:
    """The sites of a market with what lies near them, and why each other parcel is not a site.

    parcels_in = sites + the sum of set_aside.

    Attributes:
        screening: The sites and the layers near them.
        parcels_in: How many parcels the market has.
        set_aside: How many parcels each rule set aside, in the order of SET_ASIDE_RULES.
        set_aside_parcels: Every parcel set aside: parcel_id, address and rule.
        unclassified: How many parcels have each use code that no land-use table lists.
        notes: What a reader should know about the selection.
    """

    screening: Screening
    parcels_in: int
    set_aside: dict[str, int]
    set_aside_parcels: pd.DataFrame
    unclassified: dict[str, int]
    notes: tuple[str, ...]


def select_sites(
    store: Path, market: Market, needs: Needs, land_use: tuple[LandUse, ...], night: dt.date
) -> Selection:
    """Return the sites of `market` as of `night`, and each layer's rows within reach of a site.

    Args:
        store: File of the market's store.
        market: The market. Every frame is in its CRS, in meters.
        needs: Which parcels may be sites, and the reach in meters of each layer to load.
        land_use: The land-use tables, which give the meaning of use and zoning codes.
        night: The date as of which the layers are read.

    Returns:
        The selection. Its frames are ordered by key.

    Raises:
        StoreError: The store has no snapshot of one of the market's sources, or no source of the
            market fills the layer of parcels or of zoning.
    """
    with open_store(store, read_only=True) as opened:
        con = opened.con
        snapshots = opened.read_snapshots(night, market.sources)
        _require_snapshots(snapshots, market, night)
        create_code_tables(con, land_use, needs.structure)
        create_parcel_table(opened, market, night)
        create_lot_tables(con)
        create_lot_zone_table(opened, market, needs, night)
        create_lot_decision_table(con, needs.sites)
        if needs.sites.join_owner:
            join_lots_of_owner(con, market, needs.sites)
        create_site_tables(con)
        sites = read_sites(con, market)
        set_aside_parcels, set_aside = read_set_aside_parcels(con)
        ((parcels_in,),) = con.execute("select count(*) from parcel").fetchall()
        if parcels_in != len(sites) + sum(set_aside.values()):
            raise StoreError(
                f"selecting the sites of market {market.id!r}",
                f"of {parcels_in} parcels, {len(sites)} are sites and {set_aside} were set aside, "
                "which does not account for all of them",
                "report this as a bug in padfinder",
            )
        layers = read_layers_near_sites(opened, market, needs, night)
        filled = set(snapshots["layer"])
        rasters = {
            name: opened.read_raster_layer(name, night, market.sources)
            for name, layer in catalogue.read_layers().items()
            if layer.is_raster and name in needs.reach_m and name in filled
        }
        unclassified = count_unclassified_uses(con)
        complete = combine_coverages(
            opened, snapshots, {*layers, *rasters, "parcels", "zoning"}, needs, sites
        )
        notes = (*list_selection_notes(con, unclassified, set_aside), *complete.notes)
    return Selection(
        screening=Screening(sites, layers, complete.areas, rasters, night, complete.unmapped),
        parcels_in=parcels_in,
        set_aside=set_aside,
        set_aside_parcels=set_aside_parcels,
        unclassified=unclassified,
        notes=notes,
    )


def _require_snapshots(snapshots: pd.DataFrame, market: Market, night: dt.date) -> None:
    """Raise StoreError if a source has no snapshot, or a layer that decides sites has no source."""
    doing = f"selecting the sites of market {market.id!r}"
    stored = set(snapshots["source_id"])
    missing_sources = [source_id for source_id in market.sources if source_id not in stored]
    # Without a source, part of its layer is missing, and the store does not know which part.
    if missing_sources:
        raise StoreError(
            doing,
            f"no snapshot of {', '.join(missing_sources)} on or before {night}",
            f"run `padfinder refresh --market {market.id}`, and correct what it reports",
        )
    filled = set(snapshots["layer"])
    missing_layers = [name for name in ("parcels", "zoning") if name not in filled]
    if missing_layers:
        raise StoreError(
            doing,
            f"none of its sources fills layer {' or '.join(missing_layers)}",
            f"name a source of layer {missing_layers[0]!r} in `sources` of market {market.id!r} "
            "(zoning decides where the use of a parcel does not), then run padfinder refresh",
        )
