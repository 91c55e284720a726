"""Keep the facts of screened sites as files, so that other weights need no new screening.

Each set of facts has a folder, named by a digest of everything that the facts depend on. It is
written whole and then renamed, so that a folder that is there is complete.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import pandas as pd

from geo.catalogue import SHAPE_COLUMNS
from geo.model import ScreenedCounts

FACTS, SET_ASIDE, COUNTS = "facts.parquet", "set_aside.parquet", "counts.json"
DAY_S = 24 * 3600
KEPT = 4
"""So many sets of facts are kept for a market."""


class ScreenedFacts(NamedTuple):
    """The facts of a market's sites, and what else a report needs to know of the screening.

    Attributes:
        facts: One row of facts per site.
        set_aside_parcels: Every parcel that is not a site: parcel_id, address and rule.
        counts: The counts and notes of the selection.
    """

    facts: gpd.GeoDataFrame
    set_aside_parcels: pd.DataFrame
    counts: ScreenedCounts


def read_facts(folder: Path, digest: str) -> ScreenedFacts | None:
    """Read the facts with this digest.

    Args:
        folder: The folder of the market's facts.
        digest: The digest of everything that the facts depend on.

    Returns:
        The facts, or None if they are not kept.
    """
    kept = folder / digest
    if not all((kept / name).is_file() for name in (FACTS, SET_ASIDE, COUNTS)):
        return None
    facts = gpd.read_parquet(kept / FACTS)
    for name in SHAPE_COLUMNS:
        facts[name] = facts[name].to_numpy(dtype=object)
    counts = ScreenedCounts.model_validate_json((kept / COUNTS).read_text("utf-8"))
    return ScreenedFacts(facts, pd.read_parquet(kept / SET_ASIDE), counts)


def _remove_old(folder: Path, digest: str) -> None:
    """Remove all but the last sets of facts, and what a run left unfinished a day ago."""
    sets = []
    for path in folder.iterdir():
        age_s = time.time() - path.stat().st_mtime
        if path.name.startswith("new-") and age_s > DAY_S:
            shutil.rmtree(path, ignore_errors=True)
        elif not path.name.startswith("new-") and path.name != digest:
            sets.append((age_s, path))
    for _, old in sorted(sets)[KEPT - 1 :]:
        _remove(old)


def _remove(path: Path) -> None:
    """Remove a set of facts; one that is removed only in part is no longer under its digest."""
    if path.exists():
        unfinished = Path(tempfile.mkdtemp(dir=path.parent, prefix="new-"))
        path.rename(unfinished / path.name)
        shutil.rmtree(unfinished, ignore_errors=True)


def keep_facts(folder: Path, digest: str, screened: ScreenedFacts) -> ScreenedFacts:
    """Keep facts under their digest, and return them as they will be read from now on.

    Args:
        folder: The folder of the market's facts.
        digest: The digest of everything that the facts depend on.
        screened: The facts.

    Returns:
        The same facts, read back from the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder, prefix="new-"))
    try:
        facts = screened.facts.copy()
        for name in SHAPE_COLUMNS:
            facts[name] = gpd.GeoSeries(facts[name], index=facts.index, crs=facts.crs)
        facts.to_parquet(new / FACTS, compression="zstd")
        screened.set_aside_parcels.to_parquet(new / SET_ASIDE)
        (new / COUNTS).write_text(screened.counts.model_dump_json(), "utf-8")
        # Another run may have kept the same facts meanwhile; what is incomplete is replaced.
        if read_facts(folder, digest) is None:
            _remove(folder / digest)
            new.rename(folder / digest)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    kept = read_facts(folder, digest)
    _remove_old(folder, digest)
    if kept is None:
        raise FileNotFoundError(folder / digest)
    return kept
