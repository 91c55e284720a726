"""Screen the sites of a market, or read the facts of an earlier run with the same input."""

import datetime as dt
from importlib.metadata import version

from data import select
from data.facts_files import ScreenedFacts, keep_facts, read_facts
from flows import digests, settings
from flows.check import LoadedRun
from flows.progress import show_step
from flows.settings import Workspace
from flows.workers import screen_side_by_side
from geo import screen
from geo.model import ScreenedCounts
from geo.ranking.notes import count_records, list_first_lines

# With another value of these, a plan's facts are the same.
RANKING_KEYS = {"id", "title", "score"}
# With another version of these, the same input may give slightly other facts.
LIBRARIES = ("geopandas", "numba", "numpy", "pandas", "pyproj", "rasterio", "shapely")


def screen_or_read(
    run: LoadedRun,
    night: dt.date,
    workspace: Workspace,
    input_read: dict[str, object],
    seconds: dict[str, float],
) -> ScreenedFacts:
    """Screen the sites of a market, unless the facts with the same input are kept.

    Args:
        run: The market, its plan, its sources and the land-use tables.
        night: The night.
        workspace: The settings of this run.
        input_read: What the facts depend on apart from the plan, as plain values.
        seconds: How long each step took; this adds its own.

    Returns:
        The facts, the parcels set aside, and the counts for the report.
    """
    market, plan = run.market, run.plan
    read_of_plan = plan.model_dump(mode="json", by_alias=True, exclude=RANKING_KEYS)
    libraries = {name: version(name) for name in LIBRARIES}
    digest = digests.digest_json(input_read | {"plan": read_of_plan, "libraries": libraries})
    folder = workspace.var / "facts" / market.id
    with show_step("Reading facts", seconds) as show_result:
        kept = read_facts(folder, digest)
        show_result("none with this input" if kept is None else f"{len(kept.facts):,} sites")
    if kept is not None:
        return kept
    with show_step("Selecting sites", seconds) as show_result:
        needs = screen.list_needs(market, plan)
        selected = select.select_sites(
            settings.store_path(market, workspace), market, needs, run.land_use, night
        )
        site_count = len(selected.screening.sites)
        show_result(f"{site_count:,} of {selected.parcels_in:,} parcels")
    with show_step("Screening", seconds):
        facts = screen_side_by_side(selected.screening, market, plan, workspace.workers)
    counts = ScreenedCounts(
        parcels_in=selected.parcels_in,
        sites=site_count,
        set_aside=selected.set_aside,
        unclassified=selected.unclassified,
        records=count_records(selected.screening, plan),
        first_lines=(*list_first_lines(selected.screening, market, plan), *selected.notes),
    )
    return keep_facts(folder, digest, ScreenedFacts(facts, selected.set_aside_parcels, counts))
