"""Pick the sites, and what lies near enough to matter to them, inside the store.

Most parcels are homes: they leave the database only as receptors within reach of a site.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.source import Source, read_sources
from data.store import Store, open_store, read_frame
from geo import catalogue
from geo.errors import StoreError
from geo.model import LandUse, Layer, Market, Needs, Screening, Sites, SourceLine
from geo.shapes import adjoining

# Kinds of polygon that assessors draw and that nobody owns as a lot (MassGIS level 3 and others),
# and what lies there.
NOT_LAND = {"ROW": "street", "PRIV_ROW": "street", "RAIL_ROW": "rail", "WATER": "water"}
# A lot is split where its largest zone holds less than this share of what is zoned of it.
SPLIT_BELOW = 0.98
# Lots touch across this: what surveys and rounding leave between two that share a line.
TOUCH_M = 0.05

STACKED = "stacked on another parcel"
PIECE = "another piece of a repeated id"
JOINED = "joined to a touching parcel of the same owner"
TOO_SMALL = "smaller than the plan's minimum"
# A point of these stands where the feeder begins, not where it runs: it may matter to a site as far
# off as its substation, and there are few. All of them leave the store.
LAYERS_WITH_START_POINTS = frozenset({"capacity"})
LAYERS_OF_SEPARATE_KINDS = frozenset({"exclusions", "receptors"})
# The first that applies sets a parcel aside.
SET_ASIDE_RULES: tuple[str, ...] = (
    "no geometry",
    "not land",
    "no assessor id",
    STACKED,
    PIECE,
    "residential use",
    "exempt use",
    "mixed use",
    "commercial use",
    "industrial use",
    "vacant use in a zone that is not for sites",
    "missing use in a zone that is not for sites",
    "unclassified use in a zone that is not for sites",
    "vacant use in no zone",
    "missing use in no zone",
    "unclassified use in no zone",
    JOINED,
    TOO_SMALL,
)

_SETBACKS = ["setback_front_m", "setback_side_m", "setback_rear_m", "setback_home_m"]
SITE_COLUMNS = [
    "site_id",
    "address",
    "city",
    "use_code",
    "use_title",
    "use_class",
    "site_because",
    "zone_code",
    "zone_class",
    "zone_share",
    "zone_split",
    "lot_area_m2",
    "recorded_area_m2",
    "building_area_m2",
    "storeys",
    "record_count",
    "stacked_count",
    "piece_count",
    "joined_count",
    "own_dwelling",
    *_SETBACKS,
]
_TEXTS = [
    "site_id",
    "address",
    "city",
    "use_code",
    "use_title",
    "use_class",
    "site_because",
    "zone_code",
    "zone_class",
]
_NUMBERS = [
    "zone_share",
    "recorded_area_m2",
    "building_area_m2",
    "storeys",
    "record_count",
    *_SETBACKS,
]


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
    """Return the sites of `market` as of `night`, and each layer within its reach of one.

    Only layers named in `needs.reach_m` are loaded. Every frame is in the market's metric frame,
    ordered by key. Raises StoreError where the store has no parcels or no zoning.
    """
    with open_store(store, read_only=True) as opened:
        con = opened.con
        stood = opened.read_snapshots(night, market.sources)
        _require_layers(set(stood["layer"]), market, night)
        _create_code_tables(con, land_use)
        _create_setback_table(con, land_use, needs)
        _create_parcel_table(opened, market, night)
        _create_lot_table(con)
        _create_zone_share_table(opened, market, needs, night)
        _create_decision_table(con, needs)
        if needs.sites.join_owner:
            _join_lots_of_owner(con, market, needs.sites)
        con.execute(
            "create temp table site as select parcel_id as site_id, decided.*, "
            "setback_front_m, setback_side_m, setback_rear_m, setback_home_m "
            "from decided left join setback using (jurisdiction, zone_code) "
            "where rule is null order by parcel_id, ord"
        )
        sites = _read_sites(con, market)
        aside, counts = _read_set_aside(con)
        parcels_in = _count_rows(con, "select count(*) from parcel")
        if parcels_in != len(sites) + sum(counts.values()):
            raise StoreError(
                f"selecting the sites of market {market.id!r}",
                f"{parcels_in} parcels went in, {len(sites)} sites and {counts} came out",
                "report this: a parcel has gone astray",
            )
        layers = _read_layers_near_sites(opened, market, needs, night)
        rasters = {
            name: opened.read_raster_layer(name, night, market.sources)
            for name, layer in catalogue.read_layers().items()
            if layer.is_raster and name in needs.reach_m and name in set(stood["layer"])
        }
        unclassified = dict(
            con.execute(
                "select use_code, count(*) from parcel where use_state = 'unclassified' "
                "group by use_code order by use_code"
            ).fetchall()
        )
        notes = _selection_notes(con, stood, market, night)
        wanted = {*layers, *rasters, "parcels", "zoning"}
        coverage = _combine_coverages(stood, market, wanted)
    return Selection(
        Screening(sites, layers, coverage, rasters),
        parcels_in,
        counts,
        aside,
        unclassified,
        notes,
    )


def read_drawing_layers(
    store: Path, market: Market, night: dt.date, land_use: tuple[LandUse, ...] | None = None
) -> dict[str, gpd.GeoDataFrame]:
    """Return every vector layer whole, for the map; `parcels` are the land, with `use_class`.

    `land_use` is the catalogue's unless given.
    """
    drawn: dict[str, gpd.GeoDataFrame] = {}
    with open_store(store, read_only=True) as opened:
        con = opened.con
        stood = opened.read_snapshots(night, market.sources)
        for name, layer in catalogue.read_layers().items():
            if layer.is_raster or name not in set(stood["layer"]):
                continue
            if name != "parcels":
                drawn[name] = opened.read_layer(name, night, market.sources)
                continue
            _create_code_tables(con, land_use or catalogue.read_land_use())
            _create_parcel_table(opened, market, night)
            land = con.sql(
                "select parcel_id, address, city, use_code, use_title, use_class, geometry "
                "from parcel where coalesce(rule, '') not in ('no geometry', 'not land') "
                "order by ord"
            )
            drawn[name] = read_frame(land, market.crs)
    return drawn


def describe_sources(store: Path, market: Market, night: dt.date) -> tuple[SourceLine, ...]:
    """Return what a reader is told of each source that stood on `night`, in the market's order."""
    with open_store(store, read_only=True) as opened:
        stood = opened.read_snapshots(night, market.sources)
    return tuple(
        SourceLine(
            id=row["source_id"],
            layer=row["layer"],
            title=row["title"],
            publisher=row["publisher"],
            licence=row["licence"],
            attribution=row["attribution"],
            vintage=f"{row['vintage']:%Y-%m-%d}",
            rows=row["row_count"],
            notes=(
                *row["notes"],
                *_declaration_notes(Source.model_validate_json(row["declaration"])),
            ),
        )
        for row in stood.to_dict("records")
    )


def _declaration_notes(source: Source) -> list[str]:
    """Return what the source's own declaration tells a reader."""
    coverage = source.coverage
    absence = f"absence says nothing: {coverage.reason or 'its coverage is not known'}"
    return [
        *([source.note] if source.note else []),
        *([absence] if coverage.kind == "none" else []),
    ]


# ---------------------------------------------------------------------------------------------
# Who is a site


def _require_layers(have: set[str], market: Market, night: dt.date) -> None:
    missing = [name for name in ("parcels", "zoning") if name not in have]
    if missing:
        raise StoreError(
            f"selecting the sites of market {market.id!r}",
            f"no source in flows/markets/{market.id}.toml fills layer {' or '.join(missing)} with "
            f"a snapshot on or before {night}",
            f"name a source of layer {missing[0]!r} in flows/markets/{market.id}.toml (zoning "
            "decides where the use of a parcel does not), then run padfinder refresh",
        )


def _create_code_tables(con: duckdb.DuckDBPyConnection, land_use: tuple[LandUse, ...]) -> None:
    """Make the tables `use_code` and `zone_code` of what the codes mean."""
    con.execute(
        "create temp table use_code (jurisdiction varchar, scheme varchar, code varchar, "
        "title varchar, class varchar, receptor varchar)"
    )
    con.execute(
        "create temp table zone_code (jurisdiction varchar, scheme varchar, code varchar, "
        "title varchar, class varchar)"
    )
    for table in land_use:
        place = (table.jurisdiction, table.scheme)
        uses = [
            (*place, code, use.title, use.use_class, use.receptor)
            for code, use in table.use.items()
        ]
        zones = [(*place, code, zone.title, zone.zone_class) for code, zone in table.zone.items()]
        if uses:
            con.executemany("insert into use_code values (?, ?, ?, ?, ?, ?)", uses)
        if zones:
            con.executemany("insert into zone_code values (?, ?, ?, ?, ?)", zones)


def _create_setback_table(
    con: duckdb.DuckDBPyConnection, land_use: tuple[LandUse, ...], needs: Needs
) -> None:
    """Make the table `setback` of what the zoning texts that were read ask of the structure."""
    con.execute(
        "create temp table setback (jurisdiction varchar, zone_code varchar, "
        "setback_front_m double, setback_side_m double, setback_rear_m double, "
        "setback_home_m double, primary key (jurisdiction, zone_code))"
    )
    rows = [
        (table.jurisdiction, code, asked.front_m, asked.side_m, asked.rear_m, asked.home_m)
        for table in land_use
        for code, zone in table.zone.items()
        if (asked := getattr(zone.setbacks, needs.structure)) is not None
    ]
    if rows:
        # Of a code that two schemes of one jurisdiction share, the first with a text counts.
        con.executemany("insert or ignore into setback values (?, ?, ?, ?, ?, ?)", rows)


def _create_layer_table(
    opened: Store, layer: Layer, market: Market, night: dt.date, name: str
) -> None:
    """Make the temporary table `name` of a layer's rows, numbered in `ord`."""
    relation = opened.query_layer(layer, night, market.sources)
    if relation is None:
        raise StoreError(
            f"reading layer {layer.id!r} of market {market.id!r}", "it has no rows", "refresh it"
        )
    # The names are this program's own; nothing in them comes from a source.
    opened.con.execute(
        f"create temp table {name} as select row_number() over "  # noqa: S608
        f"(order by source_order, row_number) as ord, * from ({relation.sql_query()})"
    )


def _create_parcel_table(opened: Store, market: Market, night: dt.date) -> None:
    """Make the table `parcel`: every parcel with what its use means and the first rules."""
    _create_layer_table(opened, catalogue.read_layers()["parcels"], market, night, "given")
    opened.con.execute(
        """
        create temp table parcel as
        select given.ord, nullif(trim(parcel_id), '') as parcel_id, given.jurisdiction, address,
            city, given.use_code, coalesce(code.title, use_title) as use_title,
            code.class as use_class,
            -- Rules protect business too; whoever is named closer than by class comes first. Where
            -- nobody knows the use, somebody may live there.
            coalesce(code.receptor,
                case when code.class in ('commercial', 'industrial') then code.class
                    when code.class = 'mixed' then 'home'
                    when code.code is null then 'unknown' end)
                as receptor,
            case when given.use_code is null then 'missing'
                when code.code is null then 'unclassified' else code.class end as use_state,
            recorded_area_m2, building_area_m2, storeys, record_count, geometry,
            nullif(trim(regexp_replace(upper(owner), '[[:space:]]+', ' ', 'g')), '') as owner,
            coalesce(map(?, ?)[upper(trim(polygon_kind))], 'lot') as kind,
            case when geometry is null or st_isempty(geometry) then 'no geometry'
                when kind <> 'lot' then 'not land'
                when nullif(trim(parcel_id), '') is null then 'no assessor id' end as rule
        from given left join use_code as code on code.jurisdiction = given.jurisdiction
            and code.scheme = use_scheme and code.code = given.use_code
        order by ord
        """,
        [list(NOT_LAND), list(NOT_LAND.values())],
    )


def _create_lot_table(con: duckdb.DuckDBPyConnection) -> None:
    """Fold stacked parcels and dissolve repeated ids: one row of `lot` to a lot.

    A stack goes by its first id and by the first use that is known; one that holds both homes and
    business is mixed. Floor areas and tax rows of a stack are summed.
    Sums are taken in the parcels' order, so that they do not depend on the number of cores.
    """
    con.execute(
        """
        create temp table stack as
        select ord, first_value(ord) over (
            partition by jurisdiction, st_aswkb(st_normalize(geometry)) order by parcel_id, ord
        ) as head
        from parcel where rule is null
        """
    )
    con.execute(
        """
        create temp table plot as
        select head, count(*) as stacked_count,
            first(use_code order by use_class is null, parcel_id, ord) as use_code,
            first(use_title order by use_class is null, parcel_id, ord) as use_title,
            first(use_state order by use_class is null, parcel_id, ord) as use_state,
            case when bool_or(use_class = 'residential')
                    and bool_or(use_class in ('commercial', 'industrial')) then 'mixed'
                else first(use_class order by use_class is null, parcel_id, ord) end as use_class,
            coalesce(bool_or(receptor in ('home', 'elderly', 'hotel')), false) as own_dwelling,
            sum(record_count) as record_count,
            sum(building_area_m2 order by ord) as building_area_m2,
            max(storeys) as storeys,
            -- Ground that several own is nobody's to join.
            case when count(owner) = count(*) and count(distinct owner) = 1
                then min(owner) end as owner
        from stack join parcel using (ord) group by head
        """
    )
    con.execute(
        """
        create temp table piece as
        select ord, first_value(ord) over (
            partition by jurisdiction, parcel_id order by ord) as head
        from parcel where ord in (select head from plot)
        """
    )
    con.execute(
        """
        create temp table whole as
        select head, count(*) as piece_count,
            case when count(*) = 1 then first(geometry)
                else st_union_agg(geometry order by ord) end as geometry
        from piece join parcel using (ord) group by head
        """
    )
    # The tax rows behind a repeated id are the same for each piece, so the first piece's count.
    con.execute(
        """
        create temp table ground as
        select piece.head as ord, first(parcel.parcel_id order by piece.ord) as parcel_id,
            first(parcel.jurisdiction order by piece.ord) as jurisdiction,
            first(parcel.address order by parcel.address is null, piece.ord) as address,
            first(parcel.city order by parcel.city is null, piece.ord) as city,
            first(parcel.recorded_area_m2 order by parcel.recorded_area_m2 is null, piece.ord)
                as recorded_area_m2,
            first(plot.use_code order by plot.use_class is null, piece.ord) as use_code,
            first(plot.use_title order by plot.use_class is null, piece.ord) as use_title,
            first(plot.use_class order by plot.use_class is null, piece.ord) as use_class,
            first(plot.use_state order by plot.use_class is null, piece.ord) as use_state,
            first(plot.record_count order by plot.record_count is null, piece.ord)
                as record_count,
            first(plot.building_area_m2 order by plot.building_area_m2 is null, piece.ord)
                as building_area_m2,
            first(plot.storeys order by plot.storeys is null, piece.ord) as storeys,
            sum(plot.stacked_count) as stacked_count, bool_or(own_dwelling) as own_dwelling,
            case when count(distinct plot.owner) = 1 then min(plot.owner) end as owner
        from piece join plot on plot.head = piece.ord join parcel on parcel.ord = piece.ord
        group by piece.head
        """
    )
    con.execute(
        """
        create temp table lot as
        select ground.*, piece_count, geometry, st_area(geometry) as lot_area_m2
        from ground join whole on whole.head = ground.ord order by ord
        """
    )


def _create_zone_share_table(opened: Store, market: Market, needs: Needs, night: dt.date) -> None:
    """Make `share`: the square metres of each zone in each lot that its use does not set aside."""
    _create_layer_table(opened, catalogue.read_layers()["zoning"], market, night, "zone")
    opened.con.execute(
        """
        create temp table overlap as
        select lot.ord as ord, zone.ord as zone_ord, zone.zone_code,
            code.class as zone_class,
            st_area(st_intersection(lot.geometry, zone.geometry)) as area_m2
        from (
            select ord, geometry from lot
            where use_class is null or use_class = 'vacant' or use_class in (select unnest(?))
        ) as lot join zone on st_intersects(lot.geometry, zone.geometry)
            left join zone_code as code on code.jurisdiction = zone.jurisdiction
                and code.scheme = zone.zone_scheme and code.code = zone.zone_code
        """,
        [list(needs.sites.classes)],
    )
    opened.con.execute(
        """
        create temp table share as
        select ord, zone_code, zone_class, sum(area_m2 order by zone_ord) as area_m2
        from overlap where area_m2 > 0 group by ord, zone_code, zone_class
        """
    )


def _create_decision_table(con: duckdb.DuckDBPyConnection, needs: Needs) -> None:
    """Make `decided`: each lot with its zone and the rule that sets it aside, if any."""
    rules = needs.sites
    con.execute(
        """
        create temp table decided as
        with zoned as (
            select ord, first(zone_code order by area_m2 desc, zone_code) as zone_code,
                first(zone_class order by area_m2 desc, zone_code) as zone_class,
                max(area_m2) as largest_m2, sum(area_m2 order by zone_code) as zoned_m2,
                coalesce(sum(area_m2 order by zone_code)
                    filter (zone_class in (select unnest($zones))), 0) as site_m2
            from share group by ord
        ), used as (
            select lot.*, zone_code, zone_class, zoned_m2, site_m2,
                least(largest_m2 / lot_area_m2, 1) as zone_share,
                largest_m2 < $split * zoned_m2 as zone_split,
                use_class is not null and use_class in (select unnest($classes)) as by_use
            from lot left join zoned using (ord)
        )
        select *, ord as head, 1 as joined_count,
            case when by_use then 'use' else 'zoning' end as site_because,
            case when not by_use and use_class is not null and use_class <> 'vacant'
                    then use_class || ' use'
                when not by_use and zoned_m2 is null then use_state || ' use in no zone'
                when not by_use and site_m2 < $share * lot_area_m2
                    then use_state || ' use in a zone that is not for sites'
                when lot_area_m2 < $minimum then $too_small end as rule
        from used
        """,
        {
            "zones": list(rules.zones),
            "classes": list(rules.classes),
            "split": SPLIT_BELOW,
            "share": rules.zone_share_minimum,
            "minimum": rules.minimum_area_m2,
            "too_small": TOO_SMALL,
        },
    )


def _join_lots_of_owner(con: duckdb.DuckDBPyConnection, market: Market, rules: Sites) -> None:
    """Make one row of `decided` of touching lots of one owner that would be sites but for size.

    The whole goes by its least id, and by the use and zone of its largest lot; what is counted is
    summed. A whole that is still too small is not joined: each of its lots is set aside as small.
    """
    lots = read_frame(
        con.sql(
            """
            select ord, dense_rank() over (order by jurisdiction, owner) as owner, geometry
            from decided where owner is not null and (rule is null or rule = $too_small)
            qualify count(*) over (partition by jurisdiction, owner) > 1
            order by parcel_id, ord
            """,
            params={"too_small": TOO_SMALL},
        ),
        market.crs,
    )
    shapes, ords = np.asarray(lots.geometry.array), lots["ord"].to_numpy()
    first = adjoining.group_adjoining(shapes, TOUCH_M, lots["owner"].to_numpy())
    several = np.bincount(first, minlength=len(first))[first] > 1
    shapes, ords, heads = shapes[several], ords[several], ords[first][several]
    # By the position of the head, which is by id: `together` gives one ground for each, in order.
    found, place = np.unique(first[several], return_inverse=True)
    grounds = adjoining.unite_adjoining(shapes, place, TOUCH_M)
    large = shapely.area(grounds) >= rules.minimum_area_m2
    if not large.any():
        return
    joining = pd.DataFrame({"ord": ords, "head": heads})[large[place]]
    whole = pd.DataFrame({"head": lots["ord"].to_numpy()[found], "shape": shapely.to_wkb(grounds)})[
        large
    ]
    for name, table in (("joining", joining), ("whole_joined", whole)):
        con.register("incoming", table)
        con.execute(f"create temp table {name} as select * from incoming")  # noqa: S608 (our own)
        con.unregister("incoming")
    con.execute(
        """
        create temp table joined as
        with member as (
            select decided.* exclude (head), joining.head from joining join decided using (ord)
        ), zoned as (
            select head, zone_code, sum(area_m2 order by ord, zone_class) as zone_m2
            from joining join share using (ord) group by head, zone_code
        ), split as (
            select head, max(zone_m2) < ? * sum(zone_m2 order by zone_code) as zone_split
            from zoned group by head
        ), counted as (
            select head as ord, head,
                first(parcel_id order by parcel_id, ord) as parcel_id,
                first(jurisdiction order by parcel_id, ord) as jurisdiction,
                first(address order by address is null, parcel_id, ord) as address,
                first(city order by city is null, parcel_id, ord) as city,
                first(use_code order by lot_area_m2 desc, parcel_id, ord) as use_code,
                first(use_title order by lot_area_m2 desc, parcel_id, ord) as use_title,
                first(use_class order by lot_area_m2 desc, parcel_id, ord) as use_class,
                first(site_because order by lot_area_m2 desc, parcel_id, ord) as site_because,
                first(zone_code order by lot_area_m2 desc, parcel_id, ord) as zone_code,
                first(zone_class order by lot_area_m2 desc, parcel_id, ord) as zone_class,
                sum(recorded_area_m2 order by parcel_id, ord) as recorded_area_m2,
                sum(building_area_m2 order by parcel_id, ord) as building_area_m2,
                sum(record_count) as record_count, max(storeys) as storeys,
                sum(stacked_count) as stacked_count, sum(piece_count) as piece_count,
                count(*) as joined_count, bool_or(own_dwelling) as own_dwelling
            from member group by head
        )
        select counted.*, st_geomfromwkb(shape) as geometry,
            st_area(st_geomfromwkb(shape)) as lot_area_m2,
            least(zone_m2 / st_area(st_geomfromwkb(shape)), 1) as zone_share, zone_split
        from counted join whole_joined using (head) left join zoned using (head, zone_code)
            left join split using (head)
        """,
        [SPLIT_BELOW],
    )
    con.execute(
        """
        create or replace temp table decided as
        select * replace (geometry::geometry as geometry) from decided
        where ord not in (select ord from joining)
        union all by name
        select ord, head, ? as rule from joining where ord <> head
        union all by name
        select * from joined
        """,
        [JOINED],
    )


def _read_sites(con: duckdb.DuckDBPyConnection, market: Market) -> gpd.GeoDataFrame:
    columns = ", ".join([*SITE_COLUMNS, "geometry"])
    relation = con.sql(f"select {columns} from site order by site_id, ord")  # noqa: S608 (ours)
    sites = read_frame(relation, market.crs)
    twice = sites.loc[sites["site_id"].duplicated(), "site_id"].unique()
    if len(twice):
        raise StoreError(
            f"selecting the sites of market {market.id!r}",
            f"assessor ids {list(twice[:5])} stand in several jurisdictions",
            "make the ids of one of the parcel sources different, by declaring another column",
        )
    types = dict.fromkeys(_TEXTS, "str") | dict.fromkeys(_NUMBERS, "float64")
    types |= dict.fromkeys(("stacked_count", "piece_count", "joined_count"), "int64")
    sites["zone_split"] = sites["zone_split"].astype("boolean").fillna(value=False).astype("bool")
    return gpd.GeoDataFrame(sites.astype(types))


def _read_set_aside(con: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return each parcel set aside with its rule, in the parcels' order, and the counts."""
    aside = con.execute(
        """
        select parcel.parcel_id, parcel.address,
            case when parcel.rule is not null then parcel.rule
                when stack.head <> parcel.ord then $stacked
                when piece.head <> parcel.ord then $piece
                else decided.rule end as rule
        from parcel left join stack using (ord) left join piece using (ord)
            left join decided using (ord)
        where decided.ord is null or decided.rule is not null
        order by parcel.ord
        """,
        {"stacked": STACKED, "piece": PIECE},
    ).df()
    aside = aside.astype(dict.fromkeys(("parcel_id", "address", "rule"), "str"))
    found = aside["rule"].value_counts().to_dict()
    strange = sorted({str(rule) for rule in found} - set(SET_ASIDE_RULES))
    if strange:
        raise StoreError("counting the parcels set aside", f"{strange} are no rules", "report this")
    return aside, {rule: int(found[rule]) for rule in SET_ASIDE_RULES if rule in found}


# ---------------------------------------------------------------------------------------------
# What lies near


def _read_layers_near_sites(
    opened: Store, market: Market, needs: Needs, night: dt.date
) -> dict[str, gpd.GeoDataFrame]:
    """Return each vector layer that the market has, cut to what lies within reach of a site.

    `lots` is made of the parcels alone: no source fills it, so the catalogue does not offer it.
    """
    con, near = opened.con, dict[str, gpd.GeoDataFrame]()
    have = set(opened.read_snapshots(night, market.sources)["layer"])
    for name, reach_m in sorted(needs.reach_m.items()):
        if name == "lots":
            near[name] = _read_lots(con, market, reach_m)
            continue
        layer = catalogue.read_layers()[name]
        if layer.is_raster or name in {"parcels", "zoning"}:
            continue
        if name == "receptors":
            near[name] = _read_receptors(opened, market, needs, night, have=name in have)
        elif name in have:
            _create_layer_table(opened, layer, market, night, f"near_{name}")
            columns = ", ".join(["source_id", *layer.columns, "geometry"])
            kept = f"ord in ({_query_within_reach(f'near_{name}', reach_m)})"
            if name in LAYERS_WITH_START_POINTS:
                kept += " or st_dimension(geometry) = 0"
            near[name] = read_frame(
                con.sql(
                    f"select {columns} from near_{name} "  # noqa: S608 (the catalogue's names)
                    f"where {kept} order by ord"
                ),
                market.crs,
                layer,
            )
    return near


def _read_lots(con: duckdb.DuckDBPyConnection, market: Market, reach_m: float) -> gpd.GeoDataFrame:
    """Return every piece of land within `reach_m` of a site, the sites' own included.

    Columns: lot_id, kind (lot, street, rail or water), use_class, site_id (of the site that it is
    ground of, null where of none), geometry; by lot_id. Ground that several parcels share, such as
    a stack of condos, is one row by the first id: residential if any of them is. Each piece of a
    repeated id is a row. Parcels without geometry are left out.
    """
    texts = ("lot_id", "kind", "use_class", "site_id")
    frame = read_frame(
        con.sql(
            f"""
            with near_lot as (
                select parcel.*, site.site_id,
                    st_aswkb(st_normalize(parcel.geometry)) as ground
                from parcel left join stack on stack.ord = parcel.ord
                    left join piece on piece.ord = stack.head
                    left join decided on decided.ord = piece.head
                    left join site on site.ord = decided.head
                where parcel.ord in ({_query_within_reach("parcel", reach_m)})
            ), once as (
                -- Somebody's lot goes before a street that was drawn over the same ground.
                select first(ord order by kind <> 'lot', parcel_id, ord) as ord,
                    first(parcel_id order by kind <> 'lot', parcel_id, ord) as parcel_id,
                    first(kind order by kind <> 'lot', parcel_id, ord) as kind,
                    case when bool_or(use_class = 'residential') then 'residential'
                        else first(use_class order by use_class is null, kind <> 'lot',
                            parcel_id, ord) end as use_class,
                    min(site_id) as site_id,
                    first(geometry order by kind <> 'lot', parcel_id, ord) as geometry
                from near_lot group by jurisdiction, ground
            )
            select coalesce(parcel_id, 'parcel ' || ord) as lot_id, {", ".join(texts[1:])}, geometry
            from once order by lot_id, ord
            """  # noqa: S608 (our own names and a number)
        ),
        market.crs,
    )
    return gpd.GeoDataFrame(frame.astype(dict.fromkeys(texts, "str")))


def _query_within_reach(table: str, reach_m: float) -> str:
    """Return the query for the `ord` of rows of `table` within `reach_m` of some site.

    The site's box, widened by the reach, is what the spatial join indexes; the distance decides.
    """
    reach = repr(float(reach_m))
    return (
        f"select near.ord from {table} as near join "  # noqa: S608 (a table's name and a number)
        f"(select geometry, st_makeenvelope(st_xmin(geometry) - {reach}, "
        f"st_ymin(geometry) - {reach}, st_xmax(geometry) + {reach}, "
        f"st_ymax(geometry) + {reach})::geometry as around from site) as reached "
        f"on st_intersects(near.geometry::geometry, reached.around) "
        f"where st_distance(near.geometry, reached.geometry) <= {reach}"
    )


def _read_receptors(
    opened: Store, market: Market, needs: Needs, night: dt.date, *, have: bool
) -> gpd.GeoDataFrame:
    """Return who hears: the parcels whose use has people in it, and the receptor layer's rows."""
    con, layer = opened.con, catalogue.read_layers()["receptors"]
    con.execute(
        """
        create temp table hearer as
        select min(parcel.ord) as ord, parcel.parcel_id, parcel.jurisdiction, receptor,
            first(address order by address is null, parcel.ord) as name,
            case when count(distinct st_aswkb(geometry)) = 1
                then first(geometry order by parcel.ord)
                else st_union_agg(geometry order by parcel.ord) end as geometry
        from (
            select *, row_number() over (
                partition by jurisdiction, receptor, st_aswkb(st_normalize(geometry))
                order by parcel_id, ord) as turn
            from parcel
            where receptor in (select unnest(?))
                and coalesce(rule, 'no assessor id') = 'no assessor id'
        ) as parcel
        where turn = 1
        group by coalesce(parcel_id, 'parcel ' || ord), parcel_id, jurisdiction, receptor
        """,
        [list(needs.receptors)],
    )
    con.execute(
        """
        create temp table near_hearer as
        select ord, case when parcel_id is not null
                    and count(*) over (partition by parcel_id) = 1 then parcel_id
                else coalesce(parcel_id || ' ', 'parcel ' || ord || ' ') || receptor end
                as receptor_id,
            receptor as receptor_class, name, site_id, geometry
        from (
            select hearer.*, site.site_id from hearer
                left join stack on stack.ord = hearer.ord
                left join piece on piece.ord = stack.head
                left join decided on decided.ord = piece.head
                left join site on site.ord = decided.head
        )
        """
    )
    if have:
        _create_layer_table(opened, layer, market, night, "heard")
        con.execute(
            """
            create temp table near_heard as
            select ord, source_id || '/' || (row_number + 1) as receptor_id, receptor_class, name,
                -- Who has a point on a site is on that site's own land.
                case when st_geometrytype(geometry) = 'POINT' then (
                    select min(site.site_id) from site
                    where st_intersects(site.geometry, heard.geometry)) end as site_id,
                geometry
            from heard where receptor_class in (select unnest(?))
            """,
            [list(needs.receptors)],
        )
    tables = ["near_hearer", *(["near_heard"] if have else [])]
    parts = [
        f"select receptor_id, receptor_class, name, site_id, geometry from {table} "  # noqa: S608
        f"where ord in ({_query_within_reach(table, needs.reach_m['receptors'])})"
        for table in tables
    ]
    frame = read_frame(con.sql(f"{' union all '.join(parts)} order by receptor_id"), market.crs)
    texts = ("receptor_id", "receptor_class", "name", "site_id")
    return gpd.GeoDataFrame(frame.astype(dict.fromkeys(texts, "str")))


def _combine_coverages(
    stood: pd.DataFrame, market: Market, wanted: set[str]
) -> dict[str, shapely.Geometry | None]:
    """Return where absence is a fact, per layer, in the market's frame; None where nowhere is."""
    covered = {name: _layer_coverage(stood, name, market) for name in sorted(wanted)}
    if "lots" in covered:
        covered["lots"] = covered["parcels"]
    if "receptors" in covered:
        # Homes come from the parcels: beyond them nobody is known to listen.
        parcels, others = covered["parcels"], covered["receptors"]
        if "receptors" not in set(stood["layer"]) or others is None:
            covered["receptors"] = parcels
        elif parcels is not None:
            covered["receptors"] = shapely.intersection(parcels, others)
        else:
            covered["receptors"] = None
    return covered


def _layer_coverage(stood: pd.DataFrame, layer: str, market: Market) -> shapely.Geometry | None:
    parts = stood.loc[stood["layer"] == layer, "coverage"]
    absent = [one for one in _absent_sources(stood, market) if one[1] == layer]
    if absent or parts.empty or parts.isna().any():
        return None
    areas = [shapely.from_wkb(bytes(one)) for one in parts]
    # Several utilities share a role and their areas add up; floods and wetland, or schools and
    # parks, are different things: only where every one of them is mapped is absence a fact.
    together = shapely.intersection_all if layer in LAYERS_OF_SEPARATE_KINDS else shapely.union_all
    return shapely.normalize(together(areas))


def _absent_sources(stood: pd.DataFrame, market: Market) -> list[tuple[str, str | None]]:
    """Return the market's sources without a snapshot, each with its layer where that is known."""
    missing = [one for one in market.sources if one not in set(stood["source_id"])]
    known = read_sources() if missing else {}
    return [(one, known[one].layer if one in known else None) for one in missing]


def _selection_notes(
    con: duckdb.DuckDBPyConnection, stood: pd.DataFrame, market: Market, night: dt.date
) -> tuple[str, ...]:
    notes = [
        f"source {source_id} has no snapshot on or before {night}"
        for source_id, _ in _absent_sources(stood, market)
    ]
    codes = con.execute(
        "select use_code, count(*) from parcel where use_state = 'unclassified' "
        "group by use_code order by use_code"
    ).fetchall()
    if codes:
        many = sum(count for _, count in codes)
        shown = ", ".join(f"{code} ({count})" for code, count in codes)
        notes.append(f"{many} parcels have a use code that no land-use table lists: {shown}")
    zones = con.execute(
        "select zone_code, count(distinct ord) from share where zone_class is null "
        "group by zone_code order by zone_code"
    ).fetchall()
    if zones:
        shown = ", ".join(f"{code} ({count})" for code, count in zones)
        notes.append(f"lots in a zone that no land-use table lists: {shown}")
    return tuple(notes)


def _count_rows(con: duckdb.DuckDBPyConnection, query: str) -> int:
    found = con.execute(query).fetchone()
    return int(found[0]) if found else 0
