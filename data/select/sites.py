"""Decide which lots are sites, and account for every other parcel."""

import duckdb
import geopandas as gpd
import pandas as pd

from data.database import read_frame
from data.queries import read_query
from geo.errors import StoreError
from geo.model import Market, Sites

# Zones of a lot are equally large from this share of the largest on.
TIED_FROM = 0.995
# A lot counts as split if its largest zone covers less than this share of its zoned area.
SPLIT_ZONE_BELOW = 0.98

REPEATED = "entered twice"
STACKED = "stacked on another parcel"
PIECE = "another piece of a repeated id"
JOINED = "joined to a touching parcel of the same owner"
TOO_SMALL = "smaller than the plan's minimum"
# The first rule that applies sets a parcel aside.
SET_ASIDE_RULES: tuple[str, ...] = (
    "no geometry",
    "not land",
    "no assessor id",
    REPEATED,
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
    "vacant use in several zones, none of them the largest",
    "missing use in several zones, none of them the largest",
    "unclassified use in several zones, none of them the largest",
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
_TEXT_COLUMNS = [
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
_NUMBER_COLUMNS = [
    "zone_share",
    "recorded_area_m2",
    "building_area_m2",
    "storeys",
    "record_count",
    *_SETBACKS,
]
_COUNT_COLUMNS = ["stacked_count", "piece_count", "joined_count"]


def create_lot_decision_table(con: duckdb.DuckDBPyConnection, rules: Sites) -> None:
    """Create the table `lot_decision`: each lot with its zone, and the rule that sets it aside."""
    con.execute(
        read_query("data.select", "create_lot_decision_table"),
        {
            "zones": list(rules.zones),
            "classes": list(rules.classes),
            "split_zone_below": SPLIT_ZONE_BELOW,
            "tied_from": TIED_FROM,
            "zone_share_minimum": rules.zone_share_minimum,
            "minimum_area_m2": rules.minimum_area_m2,
            "too_small": TOO_SMALL,
        },
    )


def create_site_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the tables `site` and `parcel_site`, which gives the site that each parcel is in."""
    con.execute(read_query("data.select", "create_site_tables"))


def read_sites(con: duckdb.DuckDBPyConnection, market: Market) -> gpd.GeoDataFrame:
    """Return the sites, sorted by id. Raises StoreError for an id in two jurisdictions."""
    columns = ", ".join([*SITE_COLUMNS, "geometry"])
    relation = con.sql(f"select {columns} from site order by site_id, lot_row")  # noqa: S608 (ours)
    sites = read_frame(relation, market.crs)
    repeated = sites.loc[sites["site_id"].duplicated(), "site_id"].unique()
    if len(repeated):
        raise StoreError(
            f"selecting the sites of market {market.id!r}",
            f"assessor ids {list(repeated[:5])} are used in several jurisdictions",
            "make the ids of one of the parcel sources different, by declaring another column",
        )
    types = dict.fromkeys(_TEXT_COLUMNS, "str") | dict.fromkeys(_NUMBER_COLUMNS, "float64")
    types |= dict.fromkeys(_COUNT_COLUMNS, "int64")
    sites["zone_split"] = sites["zone_split"].astype("boolean").fillna(value=False).astype("bool")
    return gpd.GeoDataFrame(sites.astype(types))


def read_set_aside_parcels(con: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return each parcel set aside with its rule, in the parcels' order, and the counts by rule."""
    set_aside = con.execute(
        read_query("data.select", "list_set_aside_parcels"), {"stacked": STACKED, "piece": PIECE}
    ).df()
    set_aside = set_aside.astype(dict.fromkeys(("parcel_id", "address", "rule"), "str"))
    counts = set_aside["rule"].value_counts().to_dict()
    unknown = sorted({str(rule) for rule in counts} - set(SET_ASIDE_RULES))
    if unknown:
        raise StoreError(
            "counting the parcels set aside",
            f"{unknown} are not in the list of rules",
            "report this as a bug in padfinder",
        )
    return set_aside, {rule: int(counts[rule]) for rule in SET_ASIDE_RULES if rule in counts}
