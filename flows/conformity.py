"""Run the test cases of the noise calculation and write the page with their results."""

from importlib.metadata import version
from pathlib import Path

from geo.propagation import conformity
from geo.propagation.edition import ISO_1996
from maps.conformity import draw_conformity_page


def write_conformity_page(path: Path) -> tuple[Path, list[str]]:
    """Write the page to `path`; return the path and the required cases that are not met."""
    table = conformity.run_cases(ISO_1996)
    meta = {
        "Edition": ISO_1996.name,
        "Test cases": f"T01 to T19 of {conformity.read_cases().source}; P01 to P06 of our own",
        "Program": f"padfinder {version('padfinder')}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draw_conformity_page(table, meta), encoding="utf-8")
    failed = table.loc[table["required"] & ~table["met"], "case"]
    return path, sorted(set(failed))
