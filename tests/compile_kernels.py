"""Compile the kernels before the tests, of which otherwise each worker compiles them itself."""

import tempfile
from pathlib import Path

import shapely

from flows import declarations
from flows.conformity import write_conformity_page
from geo.screen import screen_sites
from tests import built_in
from tests.geo.conftest import make_town

if __name__ == "__main__":
    where = built_in.workspace()
    lots = [shapely.box(x, 0, x + 40, 40) for x in (0, 100)]
    homes = [shapely.box(x, 60, x + 20, 80) for x in (0, 100)]
    market, plan = declarations.load_market("demo", where), declarations.load_plan("default", where)
    screen_sites(make_town(lots, homes=homes), market, plan)
    with tempfile.TemporaryDirectory() as folder:
        write_conformity_page(Path(folder) / "conformity.html")
