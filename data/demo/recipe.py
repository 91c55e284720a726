"""What the made-up town of Millbrook is made of: the tables that every other module reads.

Changing a value here changes the town, but not the rules that build it. Lengths are in meters
unless a name says otherwise. Places are given in the town's own frame: (0, 0) is its center, x runs
from -1 (west end) to 1 (east end) and y from -1 (south edge) to 1 (north edge).

The module is over 400 lines long: it contains only tables, which are kept in one place.
"""

from dataclasses import dataclass

PARCELS = 20_000
SEED = 1846

CRS = "EPSG:26986"
MIDDLE_M = (155_000.0, 883_000.0)
# Half the length and half the width of the valley that 20,000 parcels fill.
HALF_M = (4_750.0, 2_150.0)
TOWN = "Millbrook"

Span = tuple[float, float]
Main = tuple[float, float | None, str | None]


@dataclass(frozen=True)
class District:
    """How one kind of neighborhood is laid out, used and built on.

    `lot_m2` is the range of lot areas, `block_m` a block's depth and length between street centers,
    and `cover` the range of the share of a lot that its building covers. `uses` gives the weight of
    each use code. Each main is (weight, diameter in inches, pressure class); None means not on
    record, and a diameter of 0 means no main.
    """

    zone: str
    uses: dict[str, float]
    lot_m2: Span
    depth_m: float
    block_m: Span
    street_m: float
    cover: Span
    storeys: Span
    front_m: Span
    side_m: float = 1.0
    courts: float = 0.0
    mains: tuple[Main, ...] = ()


HOUSE_MAINS: tuple[Main, ...] = (
    (1.2, 2, "medium"),
    (6, 4, "medium"),
    (0.7, 2, "low"),
    (0.5, 4, "low"),
    (1.5, 6, "medium"),
    (0.5, None, None),
    (0.4, 0, None),
)
OLD_MAINS: tuple[Main, ...] = (
    (5, 4, "medium"),
    (3, 6, "medium"),
    (2, 8, "low"),
    (0.7, 6, "low"),
    (1.4, 8, "medium"),
    (1.4, 4, None),
    (1.2, None, None),
    (0.4, 0, None),
)
WORK_MAINS: tuple[Main, ...] = (
    (3, 4, "medium"),
    (4, 4, "high"),
    (3, 6, "medium"),
    (3, 8, "medium"),
    (4, 8, "high"),
    (0.8, 2, "high"),
    (0.4, 8, "low"),
    (1.6, 6, None),
    (1.0, None, None),
    (0.5, 0, None),
)
# Mains that a plant had laid for itself.
PLANT_MAINS: tuple[Main, ...] = (
    (5, 8, "high"),
    (2, 6, "high"),
    (3, 8, "medium"),
    (1, 4, "high"),
    (0.5, 6, None),
)

DISTRICTS: dict[str, District] = {
    "center": District(
        zone="MX",
        uses={"111": 40, "340": 18, "325": 13, "013": 7, "337": 7, "326": 5, "931": 7, "300": 1},
        lot_m2=(420, 1600),
        depth_m=28,
        block_m=(72, 120),
        street_m=13,
        cover=(0.18, 0.56),
        storeys=(2, 4),
        front_m=(0, 2),
        side_m=0.3,
        mains=OLD_MAINS,
    ),
    "main_street": District(
        zone="MX",
        uses={"104": 38, "111": 26, "325": 11, "013": 7, "340": 6, "326": 5, "337": 4, "332": 2},
        lot_m2=(450, 2000),
        depth_m=45,
        block_m=(80, 160),
        street_m=14,
        cover=(0.20, 0.60),
        storeys=(1, 3),
        front_m=(0, 3),
        mains=OLD_MAINS,
    ),
    "strip": District(
        zone="B-1",
        uses={"325": 34, "340": 16, "326": 12, "332": 12, "390": 10, "316": 5, "337": 4, "300": 2},
        lot_m2=(1800, 9000),
        depth_m=60,
        block_m=(80, 160),
        street_m=14,
        cover=(0.15, 0.45),
        storeys=(1, 2),
        front_m=(6, 22),
        mains=WORK_MAINS,
    ),
    "old_town": District(
        zone="R-2",
        uses={
            "104": 40,
            "101": 30,
            "111": 14,
            "102": 9,
            "130": 2,
            "013": 0.3,
            "325": 0.3,
            "960": 0.3,
        },
        lot_m2=(300, 720),
        depth_m=30,
        block_m=(74, 170),
        street_m=13,
        cover=(0.22, 0.42),
        storeys=(2, 3),
        front_m=(2, 5),
        mains=HOUSE_MAINS,
    ),
    "suburb": District(
        zone="R-1",
        uses={"101": 91, "104": 3, "130": 3, "102": 1, "960": 0.2, "325": 0.15},
        lot_m2=(560, 1150),
        depth_m=34,
        block_m=(82, 230),
        street_m=14,
        cover=(0.12, 0.24),
        storeys=(1, 2),
        front_m=(6, 10),
        side_m=2.0,
        mains=HOUSE_MAINS,
    ),
    "courts": District(
        zone="R-1",
        uses={"101": 95, "130": 4, "102": 1},
        lot_m2=(700, 1500),
        depth_m=42,
        block_m=(128, 165),
        street_m=14,
        cover=(0.10, 0.22),
        storeys=(1, 2),
        front_m=(7, 12),
        side_m=2.5,
        courts=0.85,
        mains=HOUSE_MAINS,
    ),
    "business_park": District(
        zone="B-2",
        uses={"404": 52, "401": 18, "400": 12, "340": 6, "390": 5, "440": 5, "316": 2},
        lot_m2=(4000, 18000),
        depth_m=105,
        block_m=(230, 340),
        street_m=18,
        cover=(0.18, 0.42),
        storeys=(1, 4),
        front_m=(14, 32),
        side_m=6.0,
        mains=WORK_MAINS,
    ),
    "mills": District(
        zone="I-2",
        uses={"400": 43, "401": 32, "404": 8, "440": 12, "013": 8},
        lot_m2=(2500, 13000),
        depth_m=75,
        block_m=(160, 260),
        street_m=13,
        cover=(0.35, 0.70),
        storeys=(1, 5),
        front_m=(0, 5),
        side_m=1.0,
        mains=WORK_MAINS,
    ),
    "works": District(
        zone="I-1",
        uses={"401": 44, "400": 29, "404": 10, "440": 14, "332": 1, "013": 1.5},
        lot_m2=(3000, 12000),
        depth_m=85,
        block_m=(185, 290),
        street_m=16,
        cover=(0.20, 0.50),
        storeys=(1, 2),
        front_m=(5, 16),
        side_m=2.5,
        mains=WORK_MAINS,
    ),
    "plant": District(
        zone="I-1",
        uses={"400": 50, "401": 22, "440": 28},
        lot_m2=(16_000, 32_000),
        depth_m=200,
        block_m=(240, 330),
        street_m=16,
        cover=(0.12, 0.30),
        storeys=(1, 2),
        front_m=(15, 30),
        side_m=8.0,
        mains=PLANT_MAINS,
    ),
    # Districts of single blocks inside the neighborhoods: see BLOCKS.
    "park": District(
        zone="OS",
        uses={"900": 1},
        lot_m2=(1e6, 2e6),
        depth_m=1e4,
        block_m=(80, 200),
        street_m=14,
        cover=(0, 0),
        storeys=(1, 1),
        front_m=(5, 5),
    ),
    "school": District(
        zone="R-1",
        uses={"934": 1},
        lot_m2=(1e6, 2e6),
        depth_m=1e4,
        block_m=(80, 200),
        street_m=14,
        cover=(0.16, 0.28),
        storeys=(1, 3),
        front_m=(12, 25),
        side_m=6.0,
    ),
    "hospital": District(
        zone="R-2",
        uses={"953": 1},
        lot_m2=(1e6, 2e6),
        depth_m=1e4,
        block_m=(80, 200),
        street_m=14,
        cover=(0.3, 0.4),
        storeys=(4, 6),
        front_m=(10, 20),
        side_m=5.0,
    ),
}

# Where each district lies: (district, x, y, reach along x, reach along y). A point belongs to the
# first place that contains it. At night, noise rules keep a machine about 60 m from a home and 35 m
# from a business, but only 11 m from industry. Many machines therefore fit on large lots inside
# industrial estates, with the plants in the middle, far from any home.
PLACES: tuple[tuple[str, float, float, float, float], ...] = (
    ("mills", -0.15, -0.23, 0.17, 0.15),
    ("plant", -0.59, -0.44, 0.18, 0.21),
    ("plant", 0.42, -0.43, 0.17, 0.18),
    ("works", -0.56, -0.42, 0.30, 0.30),
    ("works", 0.41, -0.43, 0.32, 0.28),
    ("works", -0.05, -0.72, 0.24, 0.17),
    ("business_park", -0.58, 0.52, 0.20, 0.26),
    ("business_park", 0.78, 0.12, 0.14, 0.34),
    ("business_park", 0.48, 0.52, 0.15, 0.20),
    ("old_town", 0.0, 0.05, 0.30, 0.62),
    ("old_town", -0.78, 0.02, 0.08, 0.22),
)
# The rest of the town is suburb; this share of its neighborhoods is laid out around courts.
COURTS_SHARE = 0.42
CENTER = (0.02, 0.13)
CENTER_RADIUS_M = 270.0
RING_M = 68.0

# Blocks that get another district: (new district, districts of the blocks, n for a share of 1/n of
# these blocks, smallest block in square meters).
BLOCKS: tuple[tuple[str, tuple[str, ...], float, float], ...] = (
    ("school", ("suburb", "courts", "old_town"), 40.0, 8_000.0),
    ("park", ("suburb", "courts", "old_town"), 34.0, 5_000.0),
)
HOSPITAL = (0.16, 0.38)

# The roads that leave the center: name, bearing in degrees from east, and largest swing to either
# side in radians.
ARTERIALS: tuple[tuple[str, float, float], ...] = (
    ("Main Street", 4.0, 0.10),
    ("Worcester Road", 176.0, -0.12),
    ("Hill Road", 72.0, 0.20),
    ("North Road", 128.0, -0.22),
    ("Depot Road", 262.0, 0.12),
    ("Quarry Road", 318.0, 0.22),
    ("Ferry Road", 212.0, -0.15),
    ("Lake Road", 32.0, -0.18),
)
ARTERIAL_M = 22.0
STRIP_DEPTH_M = 60.0
STRIP_SHARE = 0.26
MAIN_STREET_REACH = 0.16

RIVER_M = 48.0
RAIL_M = 18.0
SEWER_EASEMENT_M = 6.0
# The assessors drew the railway in pieces that end at its crossings, with gaps between them.
RAIL_PIECES = 67
RAIL_GAP_M = 0.5

# Some layers end inside the town, so that the map shows missing data. The west village, as a box in
# shares (west, east, south, north), joined the town late: none of its buildings has a footprint,
# and this share of its houses has a shop on the ground floor.
WEST_VILLAGE = (-1.5, -0.69, -0.25, 0.30)
VILLAGE_SHOPS_SHARE = 0.065
# East of this share along x, the town clerk has no list of receptors.
CLERKS_LIST_END = 0.97

STREET_NAMES = [
    "Acorn",
    "Adams",
    "Alder",
    "Ashby",
    "Aspen",
    "Baker",
    "Barrett",
    "Beech",
    "Birch",
    "Blossom",
    "Bowman",
    "Bridge",
    "Brook",
    "Canal",
    "Cedar",
    "Chapel",
    "Chestnut",
    "Clay",
    "Clover",
    "Coburn",
    "Cooper",
    "Cottage",
    "Crescent",
    "Cutler",
    "Dale",
    "Dudley",
    "Dyer",
    "Eaton",
    "Elm",
    "Fairview",
    "Fern",
    "Field",
    "Fisk",
    "Forest",
    "Foundry",
    "Franklin",
    "Fuller",
    "Garden",
    "Garfield",
    "Gates",
    "Glen",
    "Granite",
    "Grove",
    "Hale",
    "Harvest",
    "Hawthorn",
    "Hazel",
    "Hemlock",
    "Heron",
    "Hickory",
    "Highland",
    "Holly",
    "Howe",
    "Hunter",
    "Ivy",
    "Jasper",
    "Juniper",
    "Keyes",
    "Kingsley",
    "Knoll",
    "Larch",
    "Laurel",
    "Lincoln",
    "Linden",
    "Locust",
    "Lowell",
    "Lyman",
    "Maple",
    "Marsh",
    "Mason",
    "Meadow",
    "Merriam",
    "Mill",
    "Mulberry",
    "Myrtle",
    "Nichols",
    "Oak",
    "Orchard",
    "Osgood",
    "Parker",
    "Pearl",
    "Pine",
    "Pleasant",
    "Plum",
    "Pond",
    "Poplar",
    "Prescott",
    "Prospect",
    "Quail",
    "Reed",
    "Ridge",
    "Rowan",
    "Russell",
    "Sawyer",
    "School",
    "Shaw",
    "Spring",
    "Spruce",
    "Stearns",
    "Stone",
    "Sumner",
    "Sycamore",
    "Tanner",
    "Thorn",
    "Union",
    "Vale",
    "Vine",
    "Walnut",
    "Warren",
    "Water",
    "Weaver",
    "Webster",
    "Wheeler",
    "Willow",
    "Winter",
    "Wood",
    "Wyman",
    "Yarrow",
]
STREET_KINDS = ("Street", "Avenue", "Lane", "Road", "Way", "Terrace")


# ---------------------------------------------------------------------------------------------
# Power and gas


VALLEY, BERKSHIRE = "Valley Electric", "Berkshire Hill Power"


@dataclass(frozen=True)
class DemoSubstation:
    """A substation as its utility's list shows it: text as someone typed it."""

    id: str
    name: str
    status: str
    at: tuple[float, float]
    voltage: str
    firm: str = ""
    peak: str = ""
    committed: str = ""
    owner: str = VALLEY
    level: str = "Distribution"
    banks: str = ""
    rating: str = ""


# Valley Electric publishes the firm capacity. Berkshire Hill Power publishes the number of
# transformer banks, and the rating of each bank at each cooling stage.
SUBSTATIONS: tuple[DemoSubstation, ...] = (
    DemoSubstation(
        "MB-01", "Mill Pond", "In Service", (-0.12, -0.06), "115", "40,000", "38,200", "1,800"
    ),
    DemoSubstation(
        "MB-02", "Northgate", "In Service", (-0.52, 0.40), "115", "25,000", "26,400", "900"
    ),
    DemoSubstation(
        "MB-03", "Old Quarry", "in service", (-0.08, 0.74), "115", "60,000", "31,500", "4,000"
    ),
    DemoSubstation("MB-04", "West Yard", "In Service", (-0.80, -0.22), "69", "n/a", "n/a", ""),
    DemoSubstation("MB-05", "Canal Street", "Retired", (0.03, -0.02), "23", "12,000", "0", "0"),
    DemoSubstation("MB-06", "Depot", "In Service", (-0.05, -0.50), "69", "20,000", "18,600", "800"),
    DemoSubstation("MB-07", "Eastfield", "Planned", (0.80, 0.30), "115", "50,000", "TBD", ""),
    DemoSubstation(
        "MB-08", "Lake Road", "In Service", (0.44, 0.42), "115", "30,000", "22,100", "2,500"
    ),
    DemoSubstation(
        "MB-90", "Long Ridge", "In Service", (0.47, -0.24), "345", "n/a", "n/a", level="Transm."
    ),
    DemoSubstation(
        "BH-11", "Ferry Road", "IN SERVICE", (0.54, -0.56), "69", "", "29,400", "", BERKSHIRE,
        "Dist.", "2", "20/26.67/33.33",
    ),
    DemoSubstation(
        "BH-12", "Tannery", "IN SERVICE", (0.84, -0.08), "69", "", "9,150", "", BERKSHIRE,
        "Dist.", "1", "12/16/20",
    ),
)  # fmt: skip

# The part of the town, as a box in shares, whose utility publishes what its feeders can carry.
HOSTING_AREA = (-0.30, 0.76, -0.22, 1.5)
# Each patch of about this size has its own feeder, unless it has fewer than this many sections.
FEEDER_PATCH_M = 420.0
FEEDER_SECTIONS_LEAST = 5
# What a feeder can still carry: (weight, lowest MW, highest MW); None where nothing is published.
FEEDER_MW: tuple[tuple[float, float | None, float | None], ...] = (
    (10, -1.8, -0.05),
    (6, 0.0, 0.0),
    (24, 0.05, 0.45),
    (26, 0.45, 0.98),
    (18, 1.05, 5.0),
    (4, 11.0, 16.0),
    (12, None, None),
)
# How far the value of a section may differ from that of its feeder, as a share.
SECTION_SWING = 0.06
# A larger capacity is published as this value.
LOAD_CEILING_MW = 10.0
# The shares of sections (at least one section each) without a value, without capacity although
# their feeder has some, and with an undocumented marker instead of a value.
SECTION_MESS = {"silent": 0.015, "full": 0.008, "marker": 0.004}
MARKER_MW = 999_999.0
# The generation that a section can host: (weight, lowest kW, highest kW), up to a ceiling; None if
# nothing is published.
GENERATION_KW: tuple[tuple[float, float | None, float | None], ...] = (
    (10, 0, 0),
    (30, 60, 600),
    (34, 600, 2_400),
    (18, 2_800, 6_000),
    (8, None, None),
)
GENERATION_CEILING_KW = 3_000.0

# A planning study, some years old, of the load that each square of the south could take. It extends
# into the feeders' area, where STUDY_AGREES_SHARE of its cells agree with the feeders.
STUDY_AREA = (-0.30, 0.30, -1.5, 0.12)
CELL_M = 400.0
STUDY_AGREES_SHARE = 0.55
STUDY_POWER_FACTOR = 0.97
STUDY_MVA: tuple[tuple[float, float | None, float | None], ...] = (
    (22, -1.5, -0.05),
    (34, 0.05, 0.9),
    (34, 1.0, 6.0),
    (10, None, None),
)
# Queued load that is not yet subtracted from the headroom, and the share of cells that have it.
QUEUED_MVA = (0.0, 0.7)
QUEUED_KNOWN_SHARE = 0.6

# The west has a map of the area that each substation serves: (firm capacity, share of it left).
# Northgate: (25 - 26.4 - 0.9) / 25 = -9 %; Depot: (20 - 18.6 - 0.8) / 20 = 3 %.
AREAS_BOX = (-1.5, -0.30, -1.5, 1.5)
AREAS: dict[str, tuple[str, str]] = {
    "MB-02": ("25", "-9 %"),
    "MB-04": ("30", "23 %"),
    "MB-06": ("20", "3%"),
}

# Where the gas company that publishes its mains serves the town: from and to, as shares along x.
GAS_TERRITORY = (-1.5, 0.55)
# Neighborhoods inside it that never had gas mains: (x, y, reach along x, reach along y).
NOT_PIPED: tuple[tuple[float, float, float, float], ...] = (
    (-0.27, -0.25, 0.075, 0.15),
    (-0.05, -0.74, 0.08, 0.12),
    (0.07, 0.14, 0.12, 0.22),
)
# Mains were laid in patches of about this size.
PATCH_M = 170.0
# The share of streets with a leak report: with a main on record, without one, and outside the area
# of the company that publishes its mains.
SIGN_SHARES = {"main": 0.10, "no_main": 0.03, "elsewhere": 0.36}
MATERIALS = {"low": ("CI", "CI", "BS"), "medium": ("PE", "PE", "CS"), "high": ("CS", "PE")}
# The share of mains without a pressure class that have a maximum allowed pressure, and its texts.
MAOP_SHARE = 0.7
MAOP = ("60 psig", "60 psig", "4.1 bar", "99 psig", "75 mbar", "7 in WC", "UNK")
# The shares of all mains that are abandoned and not laid yet, and whose material is not known.
MAIN_STATUS = {"ABN": 0.03, "PRP": 0.01}
NO_MATERIAL_SHARE = 0.05

# The eastern gas company publishes only where it sells. It serves everything farther east except
# this corner, which neither company serves: a box in shares.
GAS_COMPANIES = ("Millbrook Gas Light", "Eastern Valley Gas")
NO_GAS_CORNER = (0.72, 9.0, 0.16, 9.0)
# Transmission lines: (operator, status, corners in shares), each cut off at the county line.
GAS_TRANSMISSION: tuple[tuple[str, str, tuple[tuple[float, float], ...]], ...] = (
    (
        "Ropewalk Pipeline",
        "Operating",
        ((0.90, -60), (0.84, -1.1), (0.78, -0.5), (0.86, 0.1), (0.82, 0.8), (0.95, 60)),
    ),
    ("Ropewalk Pipeline", "Abandoned", ((0.78, -0.5), (0.60, -0.1), (0.62, 0.5))),
)


@dataclass(frozen=True)
class DemoPlant:
    """A landfill, digester or hydrogen plant as the state's inventory shows it.

    `at` is in shares. The plant is at that point (`there`), at the nearest point of the town line
    (`line`), on the nearest lot with one of `uses` (`lot`), or at an unknown place in the county,
    for which the point is the county's center (`county`).
    """

    id: str
    name: str
    kind: str
    stands: str
    at: tuple[float, float]
    status: str
    flow: str
    used: str
    methane: str
    project: str
    placed_by: str
    uses: tuple[str, ...] = ()


# The first landfill has 1.2 - 0.48 = 0.72 MMscfd left: 30,000 scfh, half of it methane.
PLANTS: tuple[DemoPlant, ...] = (
    DemoPlant(
        "LF-0417", "Mill River Landfill", "Landfill", "line", (-0.66, -0.70), "Open",
        "1.200", "0.480", "51", "Electricity", "Site",
    ),
    DemoPlant(
        "LF-0422", "Northgate Landfill", "Landfill", "line", (-0.45, 1.0), "Closed",
        "0.090", "", "43", "Shutdown", "Site",
    ),
    DemoPlant(
        "AD-0031", "Foundry Digester", "Anaerobic Digester", "lot", (0.42, -0.43), "Operational",
        "0.310", "0.100", "62", "Electricity", "Site", ("400",),
    ),
    DemoPlant(
        "AD-0044", "Business Park Digester", "Anaerobic Digester", "lot", (0.48, 0.52),
        "Construction", "0.200", "", "", "None", "Address", ("404",),
    ),
    DemoPlant(
        "AD-0058", "Hayfield Dairy Digester", "Anaerobic Digester", "county", (0.0, 0.0),
        "Operational", "0.150", "", "", "Not stated", "County centroid",
    ),
    DemoPlant(
        "HY-0003", "Ropewalk Hydrogen", "Hydrogen", "there", (1.30, -0.60), "Operational",
        "2.400", "", "", "None", "Address",
    ),
)  # fmt: skip

# ---------------------------------------------------------------------------------------------
# Faults: how many rows in 20,000 have each fault (at least one row each in a small town)

MESS_PER_20_000 = {
    "bow_tie": 9,
    "no_geometry": 3,
    "no_id": 5,
    "second_piece": 14,
    "unknown_use": 16,
    "no_use": 40,
    "condo": 70,
    "office_condo": 6,
}
CONDO_UNITS = (2, 14)
# The largest buildings of condo homes are towers: how many in 20,000 lots, and their condos.
TOWERS_PER_20_000 = 2
TOWER_UNITS = 240
# The share of vacant lots to which the assessors have given no address.
NO_ADDRESS_SHARE = 0.3
