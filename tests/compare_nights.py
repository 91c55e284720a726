"""Compare two published nights fact by fact, to check that a refactoring changed no number.

Run it as ``python -m tests.compare_nights BEFORE AFTER`` with two published folders of one market
(each with ``ranked.parquet``, ``set_aside.csv`` and ``report.json``). Numbers, codes, geometry and
the order of the rows must be identical. Texts written for readers and the run's provenance are
counted but may differ.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

# Texts for readers (`use_title` is the title of `use_code`, which is compared), and columns that
# identify the run. All other columns are facts.
READER_TEXTS = re.compile(
    r"limit_text|lift_text|sentence|data_complete|checks|assumed|fuel_ladder|needs_of_\w+|noise_rule|"
    r"upgrade_years_source|use_title"
)
PROVENANCE = re.compile(r"run_id|plan_digest|vintage")
FACT = re.compile(r"[a-z][a-z0-9_.]*")  # a reader's column has capitals or spaces
SHAPES = ("geometry", "block", "machines", "gear", "storage")
REPORT_KEYS = ("market_id", "plan_id", "parcels_in", "sites", "set_aside", "unclassified", "counts")


@dataclass(frozen=True)
class Comparison:
    """What two nights have in common: facts and shapes that are identical, and each difference."""

    rows: int
    identical_facts: int
    identical_shapes: int
    reader_texts: int
    differences: tuple[str, ...]


def compare_nights(before: Path, after: Path, dropped: frozenset[str] = frozenset()) -> Comparison:
    """Compare the rows, the parcels set aside and the counts of two published nights.

    Args:
        before: The published folder of the earlier night.
        after: The published folder of the later night.
        dropped: Facts of the earlier night that the later one may lack.

    Returns:
        How much is identical, and one line per difference.
    """
    old, new = (pq.read_table(night / "ranked.parquet").to_pandas() for night in (before, after))
    differences = []
    if list(old["site_id"]) != list(new["site_id"]):
        differences.append("the sites or their order differ")
        both = sorted(set(old["site_id"]) & set(new["site_id"]))
        differences[-1] += f" ({len(old)} and {len(new)} rows, {len(both)} in common)"
        old, new = (one.set_index("site_id", drop=False).loc[both] for one in (old, new))
    facts = [name for name in old.columns if FACT.fullmatch(name) and name not in SHAPES]
    texts = [name for name in facts if READER_TEXTS.fullmatch(name)]
    compared = [name for name in facts if name not in texts and not PROVENANCE.fullmatch(name)]
    identical = {"facts": 0, "shapes": 0}
    for kind, names in (("facts", compared), ("shapes", SHAPES)):
        for name in names:
            if name not in old.columns and name not in new.columns:
                continue
            if name not in new.columns or name not in old.columns:
                if name not in dropped:
                    differences.append(f"{name} is in one night only")
                continue
            unlike = unequal_rows(old[name], new[name])
            if len(unlike):
                at = unlike[0]
                differences.append(
                    f"{name} differs in {len(unlike)} rows, first at site "
                    f"{old['site_id'].iloc[at]}: {str(old[name].iloc[at])[:60]!r} and "
                    f"{str(new[name].iloc[at])[:60]!r}"
                )
            else:
                identical[kind] += 1
    differences += [
        f"{name} is new"
        for name in new.columns
        if FACT.fullmatch(name) and name not in old.columns and name not in SHAPES
    ]
    if (before / "set_aside.csv").read_bytes() != (after / "set_aside.csv").read_bytes():
        differences.append("set_aside.csv differs")
    differences += _report_differences(*(_read_report(night) for night in (before, after)))
    return Comparison(
        len(new), identical["facts"], identical["shapes"], len(texts), tuple(differences)
    )


def unequal_rows(old: pd.Series, new: pd.Series) -> np.ndarray:
    """Return the positions at which two columns differ; two missing values are equal."""
    missing_old, missing_new = old.isna().to_numpy(), new.isna().to_numpy()
    both = ~missing_old & ~missing_new
    unequal = missing_old != missing_new
    pairs = zip(old[both].to_numpy(object), new[both].to_numpy(object), strict=True)
    unequal[both] = [first != second for first, second in pairs]
    return np.flatnonzero(unequal)


def _read_report(night: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((night / "report.json").read_text("utf-8"))
    report["counts"] = {
        # The counts of each kind of record are numbers; the names of the kinds are reader texts.
        name: sorted(counts.values()) if name == "records" else counts
        for name, counts in report["counts"].items()
    }
    return report


def _report_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"report.json: {key} differs: {old.get(key)!r} and {new.get(key)!r}"[:400]
        for key in REPORT_KEYS
        if old.get(key) != new.get(key)
    ]


def main(arguments: list[str]) -> int:
    """Print the comparison of two published folders; return 1 if they differ."""
    if len(arguments) < 2:
        sys.stderr.write("usage: python -m tests.compare_nights BEFORE AFTER [FACT_DROPPED ...]\n")
        return 2
    result = compare_nights(Path(arguments[0]), Path(arguments[1]), frozenset(arguments[2:]))
    summary = (
        f"{result.rows} sites; {result.identical_facts} facts and {result.identical_shapes} shapes "
        f"identical on every row; {result.reader_texts} reader's texts not compared"
    )
    sys.stdout.write("\n".join([summary, *(result.differences or ["no difference"])]) + "\n")
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
