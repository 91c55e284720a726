"""The memory and CPU time of bringing a large file of parcels into the store."""

import re
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from tests.benchmarks.lots import made_lots

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
SHAPEFILE_PARCELS, GEOPARQUET_PARCELS = 260_000, 1_000_000
# The town lies around this point of EPSG:26986, in Massachusetts.
PLACE_M = np.array([200_000.0, 880_000.0])
USES = np.array(["101", "104", "316", "325", "400", "905"])
REFRESH = """
import datetime as dt
import json
import resource
import sys
from pathlib import Path

from data.pull import refresh_source
from data.source import Source
from geo.model import Market

folder, name, crs = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
columns = {
    "parcel_id": {"column": "PARCEL_ID"},
    "use_code": {"column": "USE_CODE"},
    "building_area_m2": {"column": "FLOOR", "unit": "ft2"},
    "jurisdiction": {"value": "tiny"},
    "use_scheme": {"value": "s"},
}
source = Source(
    id="lots", layer="parcels", title="Lots", publisher="Tiny", licence="made up",
    attribution="Tiny", redistribute=True, vintage=dt.date(2026, 1, 1),
    fetch={"protocol": "file", "path": name, "crs": crs}, columns=columns,
    coverage={"kind": "bounds"},
)
market = Market(
    id="tiny", title="Tiny", crs="EPSG:26986", time_zone="America/New_York", jurisdiction="tiny",
    plan="default", sources=("lots",),
)
refresh_source(source, market, folder, folder / "store" / "tiny.duckdb", dt.date(2026, 3, 1))
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
print(Path("/proc/self/status").read_text("ascii"))
"""


def write_lots(path: Path, count: int, crs: str) -> None:
    """Write lots with ten columns, of which a source declares three."""
    rng = np.random.default_rng(20260601)
    number = np.arange(count)
    shapes = made_lots(count)[0]
    # Large lots are laid out too far apart for one state, so they are placed again, overlapping.
    place_m = PLACE_M + 60.0 * np.column_stack(np.divmod(number, 1000))
    points, lot = shapely.get_coordinates(shapes, return_index=True)
    shift = place_m - shapely.bounds(shapes)[:, :2]
    shapes = gpd.GeoSeries(shapely.set_coordinates(shapes, points + shift[lot]), crs="EPSG:26986")
    shapes = shapes.to_crs(crs)
    columns = {
        "PARCEL_ID": np.char.mod("M_%07d_9000", number),
        "USE_CODE": rng.choice(USES, count),
        "FLOOR": rng.integers(500, 90_000, count),
        "OWNER": np.char.mod("Owner %d and others", number),
        "ADDRESS": np.char.mod("%d Main Street", number % 9000),
        "CITY": np.full(count, "SPRINGFIELD"),
        "YEAR": rng.integers(1850, 2025, count),
        "LAND_VAL": rng.integers(10_000, 900_000, count),
        "BLDG_VAL": rng.integers(10_000, 900_000, count),
        "SITE_NOTE": np.full(count, "See the assessor's record"),
    }
    lots = gpd.GeoDataFrame(columns, geometry=shapes, crs=crs)
    if path.suffix == ".parquet":
        lots.to_parquet(path)
    else:
        lots.to_file(path)


def refresh_apart(folder: Path, name: str, crs: str) -> tuple[float, float]:
    """Refresh a file in a process of its own; return its CPU time in s and most memory in MB."""
    # The most memory that `getrusage` reports for a child includes its parent's, VmHWM does not.
    done = subprocess.run(
        [sys.executable, "-c", REFRESH, str(folder), name, crs],
        check=True,
        capture_output=True,
        text=True,
    )
    most_kb = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]
    return float(done.stdout.split()[0]), int(most_kb) / 1024


@pytest.mark.parametrize("crs", ["EPSG:2249", "EPSG:26986"])
def test_a_large_shapefile_takes_less_than_a_gigabyte(tmp_path, crs):
    write_lots(tmp_path / "lots.shp", SHAPEFILE_PARCELS, crs)
    cpu_s, most_mb = refresh_apart(tmp_path, "lots.shp", crs)
    print(f"\n{SHAPEFILE_PARCELS:,} parcels in {crs}: {cpu_s:.1f} s of CPU, {most_mb:,.0f} MB")
    assert most_mb < 1000


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:26986"])
def test_a_million_parcels_of_geoparquet_take_less_than_half_a_minute(tmp_path, crs):
    write_lots(tmp_path / "lots.parquet", GEOPARQUET_PARCELS, crs)
    cpu_s, most_mb = refresh_apart(tmp_path, "lots.parquet", crs)
    print(f"\n{GEOPARQUET_PARCELS:,} parcels in {crs}: {cpu_s:.1f} s of CPU, {most_mb:,.0f} MB")
    assert cpu_s < 30
