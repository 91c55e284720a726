"""A grid in the wrong place stops a night, wherever the market lists it; the last grid stays."""

import numpy as np
import rasterio
from affine import Affine

from tests.flows import hamlet

WIDE, HIGH = hamlet.COLUMNS * 6, hamlet.ROWS * 6


def give(folder, east_m=0.0):
    """Give the hamlet an ambient grid with 10 m cells as the first of its sources."""
    with rasterio.open(
        folder / "files/hamlet/ambient.tif",
        "w",
        driver="GTiff",
        height=HIGH,
        width=WIDE,
        count=1,
        dtype="float32",
        crs=hamlet.CRS,
        transform=Affine(10, 0, hamlet.LEFT + east_m, 0, -10, hamlet.BOTTOM + 10 * HIGH),
    ) as file:
        file.write(np.full((HIGH, WIDE), 41.0, dtype="float32"), 1)
    text = hamlet.source("buildings").replace("buildings", "ambient")
    text = text.replace('protocol = "file"', 'protocol = "raster"').replace("geojson", "tif")
    text = text.replace("EPSG:4326", hamlet.CRS)
    text = text[: text.index("[columns]")] + '[columns]\nvalue = { column = "1", unit = "dB(A)" }\n'
    (folder / "own/hamlet/sources/hamlet_ambient.toml").write_text(text, "utf-8")
    market = hamlet.MARKET.replace("sources = [", 'sources = ["hamlet_ambient", ')
    (folder / "own/hamlet/market.toml").write_text(market, "utf-8")


def test_a_grid_listed_before_the_parcels_is_held_against_them(padfinder, tmp_path):
    hamlet.write(tmp_path)
    # 20 lots of 60 m are 1,200 m wide in total, so there is no lot 5 km to the east.
    give(tmp_path, east_m=5_000)
    done = padfinder(tmp_path, "refresh", "--market", "hamlet")
    assert done.code == 4
    assert "does not touch the parcels of market 'hamlet'" in done.err
    assert "What to do" in done.err
    give(tmp_path)
    assert padfinder(tmp_path, "refresh", "--market", "hamlet").code == 0
    # The correct grid stays, and the next wrong one does not replace it.
    give(tmp_path, east_m=5_000)
    assert padfinder(tmp_path, "refresh", "--market", "hamlet").code == 4
    done = padfinder(tmp_path, "publish", "--market", "hamlet")
    assert done.code == 0, done.err
